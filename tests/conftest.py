"""Keeps the tests away from the Bluetooth of the machine on which they run: around it there may be real packs."""

import os

os.environ.setdefault("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
