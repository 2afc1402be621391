"""What answers on a port is named rightly when everything is possible, and where nothing does the reason is given."""

import asyncio
import contextlib
import fcntl
import os
import random
import re
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fakes import FakeLink, FakePack, fake_dialect, frame_of, warped
from served import evening

from cellwire.codec.dialect import FAST, Query
from cellwire.families import dialects
from cellwire.gateway.detect import Finding, detect
from cellwire.gateway.poller import LISTEN
from cellwire.gateway.session import Session
from cellwire.links import open_link
from cellwire.links.link import PortBusy
from cellwire.sim.server import build

ALL = dialects()
NAMES = [dialect.name for dialect in ALL]


async def found_on(path: str) -> Finding:
    """Return what a scan of the port with all dialects finds."""
    session = Session(open_link(path))
    try:
        return await detect(session, ALL)
    finally:
        await session.close()


@contextlib.asynccontextmanager
async def noise() -> AsyncIterator[str]:
    """Yield the path of a port on which there is only noise, as of a wrong baud rate."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    chance = random.Random(4)

    async def hum() -> None:
        while True:
            with contextlib.suppress(BlockingIOError):
                os.read(master, 4096)
            with contextlib.suppress(BlockingIOError):
                os.write(master, bytes(chance.choice(b"\x00\x80\xe0\xf8\xfe\xff") for _ in range(16)))
            await asyncio.sleep(0.05)

    humming = asyncio.create_task(hum())
    try:
        yield os.ttyname(slave)
    finally:
        humming.cancel()
        await asyncio.gather(humming, return_exceptions=True)
        os.close(master)
        os.close(slave)


async def test_all_twins_and_troubles_side_by_side(tmp_path: Path) -> None:
    """A scan of fourteen ports at once, each with its own story, is over within 15 seconds."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for dialect in ALL:
            simulator = await stack.enter_async_context(build(dialect.name, 16, think=0.02, seed=3, clock=evening()))
            ports[dialect.name] = await simulator.pty(str(tmp_path / dialect.name))
        silent = await stack.enter_async_context(build("jbd", 4, faults={"silent": 1.0}))
        ports["silent"] = await silent.pty(str(tmp_path / "silent"))
        echo = await stack.enter_async_context(build("jbd", 4, faults={"echo": 1.0, "silent": 1.0}))
        ports["echo"] = await echo.pty(str(tmp_path / "echo"))
        ports["noise"] = await stack.enter_async_context(noise())
        # On a machine that is busy with other tests a simulated pack may answer too late once.
        for _ in range(2):
            began = loop.time()
            findings = dict(zip(ports, await asyncio.gather(*map(found_on, ports.values())), strict=True))
            took = loop.time() - began
            if all(findings[name].packs for name in NAMES) and took < 15.0:
                break
    for name in NAMES:
        packs = findings[name].packs
        assert [pack.dialect.name for pack in packs] == [name], findings[name]
        assert packs[0].proof.startswith("answered ")
        assert not packs[0].passive
    for name in ("silent", "echo", "noise"):
        assert findings[name].packs == []
        assert findings[name].problem == name
        assert findings[name].advice
    assert took < 15.0


async def test_a_busy_port_says_so() -> None:
    master, slave = os.openpty()
    try:
        fcntl.flock(slave, fcntl.LOCK_EX)
        with pytest.raises(PortBusy, match="is open already in this program"):
            await found_on(os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


async def test_packs_of_a_bus_are_all_found(tmp_path: Path) -> None:
    there = [("jk-pb", 1), ("jk-pb", 2), ("jk-pb", 15)]
    async with build("jk-pb", 16, [1, 2, 15], seed=3, clock=evening()) as simulator:
        port = await simulator.pty(str(tmp_path / "bus"))
        # On a machine that is busy with other tests a simulated pack may answer too late once.
        for _ in range(2):
            finding = await found_on(port)
            if len(finding.packs) == len(there):
                break
    assert [(pack.dialect.name, pack.address) for pack in finding.packs] == there


@warped
async def test_addresses_that_are_named_are_all_tried() -> None:
    pack = FakePack({(2, 1): [{"voltage": 52.0}], (9, 1): [{"voltage": 53.0}]})
    finding = await detect(Session(FakeLink(pack)), [fake_dialect()], [2, 5, 9])
    assert [found.address for found in finding.packs] == [2, 9]
    assert finding.packs[0].proof == "answered basic: 52.0 V"
    assert finding.packs[1].readings == {"voltage": 53.0}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "silent"),
        (b"\x01\x02\x03", "noise"),
        (frame_of(0xB0, 1, 1, b"{}")[:-1] + b"\x00", "damaged"),
        (frame_of(0xE0, 1, 1), "refused"),
        (frame_of(0xB0, 1, 1, b'{"voltage": 9000.0}'), "implausible"),
    ],
    ids=["silent", "noise", "damaged", "refused", "implausible"],
)
@warped
async def test_the_reason_why_there_is_no_pack(answer: bytes, problem: str) -> None:
    finding = await detect(Session(FakeLink(lambda request: answer)), [fake_dialect(addresses=(1,))])
    assert finding.packs == []
    assert finding.problem == problem
    assert len(finding.advice) > 20


@warped
async def test_an_echo_is_told_from_an_answer() -> None:
    finding = await detect(Session(FakeLink(lambda request: request)), [fake_dialect(addresses=(1,))])
    assert finding.problem == "echo"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda request: b"", "silent"),
        (lambda request: b"\x01\x02\x03", "noise"),
        (lambda request: frame_of(0xB0, 1, 1, b"{}")[:-1] + b"\x00", "damaged"),
        (lambda request: frame_of(0xE0, 1, 1), "refused"),
        (lambda request: frame_of(0xB0, 1, 1, b'{"voltage": 9000.0}'), "implausible"),
        (lambda request: request, "wants_pairing"),
    ],
    ids=["silent", "noise", "damaged", "refused", "implausible", "echo"],
)
@warped
async def test_what_is_wrong_on_the_air_is_no_cable(answer: Callable[[bytes], bytes], problem: str) -> None:
    link = FakeLink(answer)
    link.wireless = True
    finding = await detect(Session(link), [fake_dialect(addresses=(1,))])
    assert (finding.packs, finding.problem) == ([], problem)
    assert len(finding.advice) > 20
    assert not re.search("RX|A and B|cable|socket|ground|baud", finding.advice)


@warped
async def test_waiting_for_a_connection_is_not_the_packs_time() -> None:
    class Distant(FakeLink):
        async def open(self) -> None:
            await asyncio.sleep(60)
            await super().open()

    finding = await detect(Session(Distant(FakePack({1: [{"voltage": 52.0}]}))), [fake_dialect(addresses=(1,))])
    assert [found.address for found in finding.packs] == [1]


@warped
async def test_only_what_the_service_speaks_is_asked_the_likeliest_first() -> None:
    link = FakeLink(lambda request: b"")
    link.speaks = ("second", "first")
    known = [fake_dialect(Query("basic", key, FAST), addresses=(1,)) for key in range(3)]
    for dialect, name in zip(known, ("first", "second", "third"), strict=True):
        dialect.name = name
    await detect(Session(link), known)
    assert [sent[1][2] for sent in link.sent[:2]] == [1, 0]
    assert {sent[1][2] for sent in link.sent} == {0, 1}


@warped
async def test_a_slow_pack_is_found_in_the_second_round() -> None:
    link = FakeLink(lambda request: b"")

    def answer(request: bytes) -> bytes:
        asyncio.get_running_loop().call_later(0.5, link.arrive, frame_of(0xB0, 1, 1, b'{"voltage": 52.0}'))
        return b""

    link.answer = answer
    finding = await detect(Session(link), [fake_dialect(Query("basic", 1, FAST, timeout=0.9), addresses=(1,))])
    assert [found.address for found in finding.packs] == [1]


@warped
async def test_a_line_with_a_master_is_never_asked() -> None:
    link = FakeLink(FakePack({1: [{"voltage": 52.0}]}))
    loop = asyncio.get_running_loop()
    for number in range(10):
        loop.call_later(0.5 + number, link.arrive, frame_of(0xA0, 3, 1) + frame_of(0xB0, 3, 1, b'{"voltage": 51.5}'))
    finding = await detect(Session(link), [fake_dialect(listens=True)])
    assert link.sent == []
    assert [(found.address, found.passive) for found in finding.packs] == [(3, True)]
    assert finding.packs[0].proof == "heard while another master asked"


@warped
async def test_a_bus_is_asked_only_after_listening() -> None:
    link = FakeLink(FakePack({1: [{"voltage": 52.0}]}))
    finding = await detect(Session(link), [fake_dialect(listens=True, addresses=(1, 2))])
    assert [found.address for found in finding.packs] == [1]
    assert link.sent[0][0] >= LISTEN
