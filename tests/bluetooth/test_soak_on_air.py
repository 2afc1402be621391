"""Eight packs share three connections for a simulated hour: each has its turn in the time that is stated for it."""

import asyncio
import gc
from typing import Any

import ether
from fakes import warped

from cellwire.gateway.config import PackSettings
from cellwire.gateway.events import Events
from cellwire.gateway.store import STALE, PackState, Store
from cellwire.gateway.wire import Wire

KINDS = ("jk02", "jbd", "daly-a5", "jk02-24s", "daly-d2", "jbd", "jk04", "daly-p81")
SLOTS = 3
HOUR = 3600.0
EVERY = 5.0
AWAY = (1200.0, 1800.0)  # seconds between which one of them is out of reach
GONE = 3  # which
SETTLED = 300.0  # seconds after which the turns go round


class Watch:
    """Notes when each pack was read, and what was stated for it then: (time, seconds)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read: dict[str, list[tuple[float, float]]] = {}
        self.states: dict[str, list[str]] = {}
        store.follow = self._follow

    def _follow(self, pack: PackState, sample: Any) -> dict[str, Any]:
        self.read.setdefault(pack.name, []).append((self.store.monotonic(), pack.every))
        return {}

    async def run(self) -> None:
        """Note the states, once a second."""
        while True:
            await asyncio.sleep(1.0)
            for name, pack in self.store.packs.items():
                self.states.setdefault(name, []).append(self.store.state(pack))


def late(read: list[tuple[float, float]], until: float, but: tuple[float, float] | None) -> list[tuple[float, float]]:
    """Return (time, seconds) of each gap that was longer than what was stated; but: while it was out of reach."""
    found = []
    for (before, stated), (after, then) in zip(read, [*read[1:], (until, read[-1][1])], strict=True):
        away = but is not None and before < but[1] and after > but[0]
        if before > SETTLED and not away and after - before > max(stated, then):
            found.append((round(before, 1), round(after - before, 1)))
    return found


@warped
async def test_eight_packs_on_three_slots_for_an_hour() -> None:
    loop = asyncio.get_running_loop()
    packs = [ether.Pack(kind, ether.address(number)) for number, kind in enumerate(KINDS)]
    for number, pack in enumerate(packs):
        pack.stays = ether.scattered(number, 120.0)
    radio = ether.Ether("hci0", packs, SLOTS)
    radios = ether.radios(radio)
    store = Store(loop.time, loop.time)
    watch = Watch(store)
    names = [f"pack {number}" for number in range(len(packs))]
    wires = [
        Wire(
            store,
            Events(loop.time),
            [PackSettings(name=name, link=f"ble:{pack.address}", every=EVERY, family=pack.kind.dialect)],
            radios,
        )
        for name, pack in zip(names, packs, strict=True)
    ]
    tasks = [asyncio.create_task(wire.run()) for wire in wires] + [asyncio.create_task(watch.run())]
    objects = []
    for quarter in range(1, 5):
        for moment in AWAY:
            if loop.time() <= moment < quarter * HOUR / 4:
                await asyncio.sleep(moment - loop.time())
                packs[GONE].here = moment != AWAY[0]
                if (client := packs[GONE].client) is not None:
                    client.drop()
        await asyncio.sleep(quarter * HOUR / 4 - loop.time())
        gc.collect()
        objects.append(len(gc.get_objects()) - sum(len(each) for each in watch.read.values()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    for number, name in enumerate(names):
        # Who was out of reach is read again in the first period after it is back.
        but = (AWAY[0], AWAY[1] + 120.0) if number == GONE else None
        assert late(watch.read[name], HOUR, but) == [], name
        if number != GONE:
            seen = set(watch.states[name][int(SETTLED) :])
            assert seen == {"online"}, (name, seen)
    back = next(moment for moment, _ in watch.read[names[GONE]] if moment > AWAY[1])
    assert back - AWAY[1] < 120.0
    assert STALE in watch.states[names[GONE]] or "lost" in watch.states[names[GONE]]

    turns = [len(pack.connects) for number, pack in enumerate(packs) if number != GONE]
    reads = [len(watch.read[name]) for number, name in enumerate(names) if number != GONE]
    assert max(turns) <= 1.5 * min(turns), turns
    assert max(reads) <= 2.0 * min(reads), reads
    assert radio.most == SLOTS
    assert not radio.clients, "all are disconnected at the end"
    assert not radio.holders
    assert not radios.queue
    assert objects[-1] < 1.02 * objects[0], objects
