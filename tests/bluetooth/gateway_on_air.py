"""A gateway that reads packs by Bluetooth: the real wires, store and control, with the radios of the fake BlueZ."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from cellwire.gateway.air import radios
from cellwire.gateway.config import PackSettings
from cellwire.gateway.events import Events
from cellwire.gateway.store import Store
from cellwire.gateway.wire import Wire

PATIENCE = 30.0  # seconds; only a broken test waits so long


class Gateway:
    """Wires and their store."""

    def __init__(self, packs: Sequence[PackSettings]) -> None:
        self.radios = radios()
        self.store = Store(time.time, time.monotonic)
        self.events = Events(time.time)
        self.wires = [Wire(self.store, self.events, [pack], self.radios) for pack in packs]

    def readings(self, name: str) -> dict[str, Any]:
        """Return what is known of a pack."""
        return self.store.packs[name].readings

    def wire(self, name: str) -> Wire:
        """Return the wire of a pack."""
        return next(wire for wire in self.wires if wire.packs[0].name == name)

    async def until(self, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something is so; fail with the reasons of the packs when it never is."""
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            reasons = {pack.name: (pack.trouble, pack.reason) for pack in self.store.packs.values()}
            raise AssertionError(f"it did not come to that: {reasons}") from None


def settings(name: str, address: str, **more: Any) -> PackSettings:
    """Return the settings of a pack that is polled often."""
    return PackSettings(**{"name": name, "link": f"ble:{address}", "every": 0.5, **more})


@contextlib.asynccontextmanager
async def running(wires: Sequence[Wire]) -> AsyncIterator[None]:
    """Run wires; all have ended afterwards."""
    tasks = [asyncio.create_task(wire.run()) for wire in wires]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def gateway(*packs: PackSettings) -> AsyncIterator[Gateway]:
    """Run a gateway with these packs."""
    made = Gateway(packs)
    try:
        async with running(made.wires):
            yield made
    finally:
        await made.radios.close()
