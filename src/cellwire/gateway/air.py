"""The radios of this machine and of proxies, with what the makers' modules look like."""

import os
from collections.abc import Sequence
from functools import partial

from ..families import bluetooth as modules
from ..links.ble import Radio, Radios
from ..links.ble.bluez import Bluez
from ..links.ble.causes import BleError, Cause, naming
from ..links.ble.proxy import ProxyRadio, ready
from ..links.link import PortForbidden
from .config import BluetoothSettings, ProxySettings

KEY = "CELLWIRE_PROXY_KEY"  # of the environment: the key of proxies that have none in the configuration


def radios(bluetooth: BluetoothSettings | None = None, proxies: Sequence[ProxySettings] = ()) -> Radios:
    """Return the radios; none is touched until a link needs one."""
    settings = bluetooth or BluetoothSettings()
    bluez = Bluez(settings.slots, settings.adapters)
    lent = [ProxyRadio(each.name, each.host, each.port, partial(_key, each)) for each in proxies]
    return Radios(modules(), partial(_find, bluez, lent), settings.turn, settings.restart)


async def _find(bluez: Bluez, proxies: Sequence[ProxyRadio], before: Sequence[Radio]) -> Sequence[Radio]:
    """Return the adapters that are there, and all proxies; raise BleError when there is neither."""
    await ready(proxies)
    adapters: Sequence[Radio] = ()
    try:
        with naming():
            adapters = await bluez.find(before)
    except BleError:
        if not proxies:
            raise
    return [*adapters, *proxies]


def _key(settings: ProxySettings) -> str:
    """Return the key of a proxy's API, "" for none; raise BleError when its file cannot be read."""
    path = settings.encryption_key_file
    try:
        key = path.read_text(encoding="utf-8").strip() if path is not None else settings.encryption_key
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        advice = f"Bluetooth proxy {settings.name}: {path} cannot be read ({reason}); put the key there"
        raise BleError(Cause("proxy_key", advice, PortForbidden, radio=True)) from error
    return key or os.environ.get(KEY, "")
