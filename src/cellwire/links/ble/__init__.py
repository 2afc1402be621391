"""Bytes by Bluetooth Low Energy: radios that find devices and share out their connections, and links through them."""

from .advert import Advert
from .link import BleLink
from .radios import Radio, Radios

__all__ = ["Advert", "BleLink", "Radio", "Radios"]
