"""On a JK line with another master Cellwire listens, never sends, and tells the packs apart all the same."""

import argparse
import asyncio
from pathlib import Path

import pytest
from fakes import FakeLink, fake_dialect, frame_of, reply_of, warped
from served import evening

from cellwire.commands.packs import Packs
from cellwire.gateway.poller import QUIET_AGAIN, Line, Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.sim.server import build

VALUES = {"voltage": 52.0, "soc": 50}


async def test_three_packs_are_read_without_sending_a_byte(tmp_path: Path) -> None:
    async with build(
        "jk-pb", 16, [1, 2, 3], think=0.02, faults={"second-master": 1.0}, seed=5, clock=evening()
    ) as simulator:
        path = await simulator.pty(str(tmp_path / "bus"))
        options = argparse.Namespace(link=path, family=None, address=[], invert_current=False, pairing="never", pin="")
        packs = Packs(options)
        try:
            await packs.find()
            assert packs.line.passive
            await packs.first(12.0)
        finally:
            await packs.session.close()
        assert simulator.requests == 0
        known = {pack.address: pack.readings for pack in packs.store.packs.values()}
        assert {1, 2, 3} <= set(known) <= {0, 1, 2, 3}
        for address, twin in zip((1, 2, 3), simulator.twins, strict=True):
            readings = known[address]
            assert readings["cell_voltages"] == pytest.approx(twin.values["cell_voltages"], abs=0.02), address
            assert readings["soc"] == pytest.approx(twin.values["soc"], abs=1.0)
        lists = [tuple(known[address]["cell_voltages"]) for address in (1, 2, 3)]
        assert len(set(lists)) == 3


def made() -> tuple[FakeLink, Line, Store]:
    """Return a line with packs 1 and 2 of a dialect that listens; each answers with its address as soc."""

    def answer(request: bytes) -> bytes:
        return reply_of(1, {**VALUES, "soc": request[1]}, request[1]) if request[1] in (1, 2) else b""

    link = FakeLink(answer)
    session = Session(link)
    store = Store(lambda: asyncio.get_running_loop().time())
    dialect = fake_dialect(listens=True)
    pollers = [
        Poller(session, dialect, address, store, store.add(PackState(f"pack-{address}", "fake", "fake", address, 1.0)))
        for address in (1, 2)
    ]
    return link, Line(session, pollers), store


def traffic(link: FakeLink, start: float, seconds: int) -> None:
    """Let another master ask both packs once a second."""
    loop = asyncio.get_running_loop()
    for number in range(seconds):
        for address in (1, 2):
            data = frame_of(0xA0, address, 1) + reply_of(1, {**VALUES, "soc": 10 * address}, address)
            loop.call_at(start + number + 0.1 * address, link.arrive, data)


@warped
async def test_a_master_that_comes_later_is_given_way_and_followed_when_it_leaves() -> None:
    link, line, store = made()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(line.run())
    await asyncio.sleep(6.0)
    assert link.sent
    assert not line.passive
    first = store.packs["pack-1"]
    assert first.readings["soc"] == 1
    start = loop.time()
    traffic(link, start, 20)
    await asyncio.sleep(20.0)
    assert line.passive
    assert [at for at, _ in link.sent if at > start + 2.5] == []
    assert first.readings["soc"] == 10
    assert store.packs["pack-2"].readings["soc"] == 20
    assert store.state(first) == "online"
    await asyncio.sleep(QUIET_AGAIN + 6.0)
    assert not line.passive
    assert link.sent[-1][0] > start + 20
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert first.readings["soc"] == 1


@warped
async def test_a_line_with_a_master_is_only_heard() -> None:
    link, line, store = made()
    traffic(link, 0.5, 30)
    task = asyncio.create_task(line.run())
    await asyncio.sleep(25.0)
    assert link.sent == []
    assert [store.state(pack) for pack in store.packs.values()] == ["online", "online"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert link.sent == []


@warped
async def test_a_line_that_is_unplugged_while_it_is_heard_comes_back() -> None:
    link, line, store = made()
    traffic(link, 0.5, 40)
    task = asyncio.create_task(line.run())
    await asyncio.sleep(10.0)
    link.unplug()
    await asyncio.sleep(0.5)
    assert [store.state(pack) for pack in store.packs.values()] == ["lost", "lost"]
    await asyncio.sleep(5.0)
    assert [store.state(pack) for pack in store.packs.values()] == ["online", "online"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert link.sent == []
