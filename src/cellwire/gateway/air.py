"""The radios of this machine and of proxies, with what the makers' modules look like."""

from ..families import bluetooth
from ..links.ble import Radios
from ..links.ble.bluez import Bluez


def radios() -> Radios:
    """Return the radios; none is touched until a link needs one."""
    return Radios(bluetooth(), Bluez().find)
