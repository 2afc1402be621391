"""A gateway that reads packs through fake proxies: real wires and store, with the radios of a configuration."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import air as on_air
from air import KINDS, Peripheral, Recorded, expected
from captured import same
from fakeproxy import FakeProxy
from gateway_on_air import Gateway, running, settings

from cellwire.gateway import air
from cellwire.gateway.config import BluetoothSettings, PackSettings, ProxySettings
from cellwire.gateway.wire import Wire

SHED = "C8:47:8C:00:00:01"
GARAGE = "A4:C1:38:00:00:02"
OWN = ("frame_counter", "heartbeat")  # what goes on in a pack
EVERYTHING = BluetoothSettings()


def played(kind: str, address: str, proxy: FakeProxy, rssi: int = -60) -> Peripheral:
    """Put a pack that says what was captured of one into the reach of a proxy."""
    device = proxy.add(on_air.device(kind, address), rssi)
    pack = Peripheral(Recorded(kind), device, KINDS[kind].notify, KINDS[kind].mtu)
    pack.period = 0.1
    return pack


def missing(readings: dict[str, Any], kind: str) -> list[str]:
    """Return what was captured and is not known, or known otherwise."""
    return [
        f"{name} = {readings.get(name)}, expected {value}"
        for name, value in expected(kind).items()
        if name not in OWN and (name not in readings or not same(name, readings[name], value))
    ]


def lends(proxy: FakeProxy, **more: Any) -> ProxySettings:
    """Return the settings of a proxy."""
    return ProxySettings(**{"name": proxy.name, "host": "127.0.0.1", "port": proxy.port, **more})


class Proxied(Gateway):
    """A gateway with the radios of a configuration."""

    def __init__(
        self, packs: Sequence[PackSettings], proxies: Sequence[ProxySettings], bluetooth: BluetoothSettings = EVERYTHING
    ) -> None:
        super().__init__([])
        self.radios = air.radios(bluetooth, proxies)
        self.wires = [Wire(self.store, self.events, [pack], self.radios) for pack in packs]

    def whole(self, name: str, kind: str) -> bool:
        """Return whether everything is known that was captured."""
        return name in self.store.packs and not missing(self.readings(name), kind)

    def online(self, name: str) -> bool:
        """Return whether a pack is read as often as it should be."""
        return bool(self.store.snapshot(self.store.packs[name])["state"] == "online")

    def radio(self, name: str) -> dict[str, Any]:
        """Return how a radio goes, {} when it was not found yet."""
        return next((each for each in self.radios.health() if each["name"] == name), {})


@contextlib.asynccontextmanager
async def reading(
    packs: Sequence[PackSettings], proxies: Sequence[ProxySettings], bluetooth: BluetoothSettings = EVERYTHING
) -> AsyncIterator[Proxied]:
    """Run a gateway with these packs and proxies."""
    made = Proxied(packs, proxies, bluetooth)
    try:
        async with running(made.wires):
            yield made
    finally:
        await made.radios.close()


__all__ = ["GARAGE", "SHED", "Proxied", "lends", "missing", "played", "reading", "settings"]
