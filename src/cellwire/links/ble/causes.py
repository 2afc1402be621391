"""Why Bluetooth did not do what was wanted: the errors of BlueZ, bleak and D-Bus by cause, each with what to do."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from ..link import AdapterOff, LinkError, LinkLost, PortBusy, PortForbidden, PortMissing

# What can be done about a device, in the words of the counters.
NOTIFY, RECONNECT, FORGET, RESTART = "notify_again", "reconnect", "forget_device", "restart_adapter"
# What is tried one after the other where nothing better is known. A connection on a weak signal wants several tries.
PATIENTLY = (RECONNECT, RECONNECT, FORGET, RECONNECT, RESTART)


class Cause(NamedTuple):
    """One kind of failure.

    name     for counters: "in_progress"
    advice   for people: what it is, and what to do next
    error    the LinkError that it becomes
    stages   what is tried about it, one stage more with each failure in a row; () when there is nothing to do but to
             look again after a while
    radio    the fault is the radio's, not the device's: nothing is done about the device
    """

    name: str
    advice: str
    error: type[LinkError]
    stages: tuple[str, ...] = PATIENTLY
    radio: bool = False


UNHEARD = Cause(
    "unheard",
    "it is not heard: out of reach, switched off, asleep, or connected to a phone (a BMS that has a connection does "
    "not advertise); close the app, wake the pack, or come nearer",
    PortMissing,
    stages=(),
)
TAKEN = Cause(
    "taken",
    "another program on this machine is connected to it; end that program, or let it release the pack",
    PortBusy,
    stages=(),
)
NO_BUS = Cause(
    "no_bluetooth",
    "this machine has no Bluetooth service; `sudo apt-get install bluez`, then `sudo systemctl enable --now bluetooth`",
    AdapterOff,
    radio=True,
)
NO_DAEMON = Cause(
    "no_daemon",
    "the Bluetooth service does not run; `sudo systemctl enable --now bluetooth` "
    "(not installed? `sudo apt-get install bluez`)",
    AdapterOff,
    radio=True,
)
NO_ADAPTER = Cause(
    "no_adapter",
    "no Bluetooth adapter is there; plug one in, or on a Raspberry Pi take dtoverlay=disable-bt out of config.txt",
    AdapterOff,
    radio=True,
)
OFF = Cause(
    "not_ready",
    "the Bluetooth adapter is switched off; `bluetoothctl power on`, after `rfkill unblock bluetooth` where that fails",
    AdapterOff,
    radio=True,
)
FORBIDDEN = Cause(
    "forbidden",
    "this user may not use Bluetooth; `sudo usermod -aG bluetooth $USER`, then log in again "
    "(in a container, pass on /run/dbus)",
    PortForbidden,
    radio=True,
)
NO_LIBRARY = Cause(
    "no_library",
    "Bluetooth needs a library that is not installed; `pip install 'cellwire[ble]'`",
    AdapterOff,
    radio=True,
)
PROGRESS = Cause(
    "in_progress",
    "the system believes that it is connecting already; what it remembers of the device is removed and tried again",
    PortBusy,
    stages=(FORGET, FORGET, RESTART),
)
AUTHENTICATION = Cause(
    "authentication",
    'the pack wants to be paired; write pairing = "passkey" and pin = the number that the app asks for '
    '(or pairing = "just-works" where it asks for none)',
    PortForbidden,
    stages=(FORGET, RECONNECT),
)
PAIRING = Cause(
    "pairing",
    "the pack does not accept the pairing; write pin = the number that the app asks for, "
    'or pairing = "just-works" or "never" where it asks for none',
    PortForbidden,
    stages=(FORGET, RECONNECT),
)
ABORTED = Cause(
    "aborted",
    "the connection broke while it was made; come nearer, and move the adapter away from USB 3 and inverters",
    LinkLost,
)
GONE = Cause("gone", "the system has forgotten the device; it is looked for again", LinkLost)
TIMEOUT = Cause(
    "timeout",
    "the connection was not made in time; come nearer, and see that no phone is connected to the pack",
    LinkLost,
)
SERVICES = Cause(
    "no_service",
    "it has none of the services that a JK, JBD or Daly has; another maker's device, or stale memory of it",
    PortMissing,
    stages=(FORGET, RECONNECT),
)
DROPPED = Cause("dropped", "the connection was lost; it is made again", LinkLost)
STALLED = Cause(
    "stalled",
    "it is connected, and nothing new comes; the connection is renewed",
    LinkLost,
    stages=(NOTIFY, RECONNECT, FORGET, RESTART),
)
FULL = Cause(
    "no_slot",
    "the radio bears no further connection, so the packs share those it bears; an adapter or a proxy more would help",
    PortBusy,
    radio=True,
)
OTHER = Cause("other", "Bluetooth failed; it is tried again", LinkLost)

# By the name of the D-Bus error, and a part of its text where one name means several things; the first that fits.
NAMED: tuple[tuple[str, str, Cause], ...] = (
    ("org.bluez.Error.InProgress", "", PROGRESS),
    ("org.bluez.Error.NotReady", "", OFF),
    ("org.bluez.Error.Blocked", "", OFF),  # by rfkill
    ("org.bluez.Error.Authentication", "", AUTHENTICATION),  # Failed, Canceled, Rejected, Timeout
    ("org.bluez.Error.NotAuthorized", "", AUTHENTICATION),
    ("org.bluez.Error.NotPermitted", "", AUTHENTICATION),
    ("org.bluez.Error.NotPaired", "", AUTHENTICATION),
    ("org.bluez.Error.ConnectionAttemptFailed", "", ABORTED),
    ("org.bluez.Error.NotConnected", "", DROPPED),
    ("org.bluez.Error.AlreadyConnected", "", PROGRESS),
    ("org.bluez.Error.AlreadyExists", "", PROGRESS),
    ("org.bluez.Error.DoesNotExist", "", GONE),
    ("org.bluez.Error.NotAvailable", "", GONE),
    ("org.bluez.Error.Failed", "Not connected", DROPPED),
    ("org.bluez.Error.Failed", "Insufficient", AUTHENTICATION),  # Authentication, Encryption: ATT errors
    ("org.bluez.Error.Failed", "Authentication", AUTHENTICATION),
    ("org.bluez.Error.Failed", "busy", PROGRESS),
    ("org.bluez.Error.Failed", "in progress", PROGRESS),
    ("org.bluez.Error.Failed", "already-connected", PROGRESS),
    ("org.bluez.Error.Failed", "connection-limit", FULL),
    ("org.bluez.Error.Failed", "not-powered", OFF),
    ("org.bluez.Error.Failed", "not ready", OFF),
    ("org.bluez.Error.Failed", "No adapter", NO_ADAPTER),
    ("org.bluez.Error.Failed", "", ABORTED),  # le-connection-abort-by-local and relatives
    ("org.freedesktop.DBus.Error.AccessDenied", "", FORBIDDEN),
    ("org.freedesktop.DBus.Error.AuthFailed", "", FORBIDDEN),
    ("org.freedesktop.DBus.Error.ServiceUnknown", "", NO_DAEMON),
    ("org.freedesktop.DBus.Error.NameHasNoOwner", "", NO_DAEMON),
    ("org.freedesktop.DBus.Error.Spawn", "", NO_DAEMON),
    ("org.freedesktop.DBus.Error.UnknownObject", "", GONE),
    ("org.freedesktop.DBus.Error.UnknownMethod", "", GONE),
    ("org.freedesktop.DBus.Error.NoReply", "", TIMEOUT),
    ("org.freedesktop.DBus.Error.TimedOut", "", TIMEOUT),
)
# By the class of the exception and its bases, whichever library it comes from.
CLASSES: dict[str, Cause] = {
    "BleakDeviceNotFoundError": GONE,
    "BleakCharacteristicNotFoundError": SERVICES,
    "BleakOutOfConnectionSlotsError": FULL,
    "AuthError": FORBIDDEN,  # of dbus-fast: the bus does not let this user in
    "PermissionError": FORBIDDEN,
    "FileNotFoundError": NO_BUS,
    "ConnectionRefusedError": NO_BUS,
    "ModuleNotFoundError": NO_LIBRARY,
    "ImportError": NO_LIBRARY,
    "TimeoutError": TIMEOUT,
    "EOFError": DROPPED,
    "ConnectionError": DROPPED,
}
# By what bleak-esphome says: its errors are of one class.
SAID: tuple[tuple[str, Cause], ...] = (
    ("connection slot", FULL),
    ("while connecting", ABORTED),
    ("pairing failed", AUTHENTICATION),
    ("insufficient authentication", AUTHENTICATION),
    ("insufficient authorization", AUTHENTICATION),
    ("insufficient encryption", AUTHENTICATION),
)
REASONS = {"POWERED_OFF": OFF, "NO_BLUETOOTH": NO_ADAPTER, "NO_BLE_CENTRAL_ROLE": NO_ADAPTER}


class BleError(Exception):
    """A failure whose cause is known already."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.name)
        self.cause = cause


@contextlib.contextmanager
def naming() -> Iterator[None]:
    """Turn whatever a Bluetooth library raises inside into BleError with its cause."""
    try:
        yield
    except (BleError, LinkError):
        raise
    except Exception as error:
        raise BleError(classify(error)) from error


@contextlib.contextmanager
def forgiving() -> Iterator[None]:
    """Go on after the block when a Bluetooth library fails in it: what it does is good to have, no more."""
    with contextlib.suppress(BleError, LinkError), naming():
        yield


def classify(error: BaseException) -> Cause:
    """Return the cause of an exception of bleak, dbus-fast, a proxy or the system."""
    if isinstance(error, BleError):
        return error.cause
    name = getattr(error, "dbus_error", None) or getattr(error, "type", None)
    if isinstance(name, str):
        for known, words, cause in NAMED:
            if name.startswith(known) and words.lower() in str(error).lower():
                return cause
    reason = getattr(getattr(error, "reason", None), "name", "")
    if reason:
        return REASONS.get(reason, FORBIDDEN)
    text = str(error).lower()
    for words, cause in SAID:
        if words in text:
            return cause
    for kind in type(error).__mro__:
        if kind.__name__ in CLASSES:
            return CLASSES[kind.__name__]
    if "not found" in text and "adapter" in text:
        return NO_ADAPTER
    if "not found" in text and "device" in text:
        return GONE
    if "disconnected" in text or "not connected" in text:
        return DROPPED
    return OTHER
