"""A simulated pack of any dialect with all that writes to it: the real control, poller, session and a TCP link."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cellwire.codec.command import ACTION, CHOICE, NUMBER, SWITCH, TEXT, Command, Mode, same
from cellwire.codec.dialect import Dialect
from cellwire.codec.errors import OutOfRange
from cellwire.families import dialects
from cellwire.gateway import session, writing
from cellwire.gateway.control import Control, Result, Who
from cellwire.gateway.events import Events
from cellwire.gateway.journal import Journal
from cellwire.gateway.poller import Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.gateway.writing import key_of
from cellwire.links import open_link
from cellwire.sim import server
from cellwire.sim.server import Simulator, build

Readings = dict[str, Any]

EVENING = 1_700_078_400.0
PACK = "shed"
ANNA = Who("anna", "page", "service")
# Dialects with a layout each of their own, besides the one that their twin has by itself.
LAYOUTS = {"jk02": ("24S",)}


def kinds() -> list[tuple[Dialect, str]]:
    """Return (dialect, layout) of all packs that can be written to; the layout is "" for the usual one."""
    there = [dialect for dialect in dialects() if dialect.commands is not None]
    return [(dialect, layout) for dialect in there for layout in ("", *LAYOUTS.get(dialect.name, ()))]


def name_of_kind(kind: object) -> str:
    """Return what pytest calls the tests of a kind."""
    assert isinstance(kind, tuple)
    return "-".join(filter(None, (kind[0].name, kind[1])))


def quick(monkeypatch: pytest.MonkeyPatch, dialect: Dialect) -> None:
    """Shorten all waits that only real packs need."""
    assert dialect.commands is not None
    monkeypatch.setattr(dialect.commands, "pause", 0.0)
    monkeypatch.setattr(dialect.commands, "settle", 0.05)
    monkeypatch.setattr(dialect.commands, "timeout", 0.15)
    monkeypatch.setattr(dialect, "gap", 0.0)
    monkeypatch.setattr(dialect, "calm", 0.0)
    monkeypatch.setattr(writing, "LOOK", 0.02)
    monkeypatch.setattr(writing, "BACK", 3.0)
    monkeypatch.setattr(session, "PATIENCE", 0)
    monkeypatch.setattr(server, "DEAF", 0.0)
    monkeypatch.setattr(server, "PUSH_PERIOD", 0.02)


class Bench:
    """One simulated pack and its control.

    sent    all requests that reached the link
    heard   all bytes that reached the twin
    """

    def __init__(self, simulator: Simulator, poller: Poller, folder: Path) -> None:
        self.simulator = simulator
        self.poller = poller
        self.dialect = poller.dialect
        self.sent: list[bytes] = []
        self.heard = b""
        self.grant = "service"
        self.journal = Journal(folder / "journal.jsonl", lambda: EVENING)
        self.events = Events(lambda: EVENING)
        self.control = Control(self.journal, self.events, {PACK: poller}.get, lambda name: self.grant)
        self._record()

    def _record(self) -> None:
        link, twin = self.poller.session.link, self.simulator.twins[0]
        send, answer = link.send, twin.answer

        async def sending(data: bytes) -> None:
            self.sent.append(data)
            await send(data)

        def answering(data: bytes) -> list[bytes]:
            self.heard += data
            return answer(data)

        link.send = sending  # type: ignore[method-assign]
        twin.answer = answering  # type: ignore[method-assign]

    @property
    def known(self) -> Readings:
        """What the gateway knows of the pack."""
        return self.poller.pack.readings

    @property
    def mode(self) -> Mode | None:
        """The mode that some writes of the dialect want."""
        assert self.dialect.commands is not None
        return self.dialect.commands.mode

    def commands(self) -> tuple[Command, ...]:
        """Return all commands of the pack."""
        return self.control.commands(PACK)

    def command(self, name: str) -> Command:
        """Return the command of that name."""
        return next(command for command in self.commands() if command.name == name)

    def shown(self, command: Command, number: int) -> Any:
        """Return what the pack showed last of a command."""
        assert self.dialect.commands is not None
        return self.dialect.commands.found(command, number, self.known)

    def settings(self) -> list[tuple[Command, int]]:
        """Return (command, number) of all that has a value which the pack shows; of many cells the second only."""
        found = []
        for command in self.commands():
            number = min(command.count, 2)
            if command.reading and command.kind != ACTION and self.shown(command, number) is not None:
                found.append((command, number))
        return found

    def another(self, command: Command, number: int) -> Any:
        """Return a value that the command takes and that the pack does not have, None when there is none."""
        before = self.shown(command, number)
        for value in candidates(command, before):
            if not same(command, before, value) and not self.problem(command, number, value):
                return value
        return None

    def problem(self, command: Command, number: int, value: Any) -> str:
        """Return why a value makes no sense beside what the pack shows, "" when it does."""
        commands = self.dialect.commands
        assert commands is not None
        try:
            commands.guard(command, number, value, self.known)
            commands.encode(command, number, value, self.poller.address, self.known)
        except OutOfRange as error:
            return str(error)
        return ""

    async def write(self, changes: Readings, who: Who = ANNA, **more: Any) -> list[Result]:
        """Write with everything allowed that can be allowed."""
        return await self.control.write(PACK, changes, who, **{"confirmed": True, "unproven": True, **more})

    async def one(self, key: str, value: Any, **more: Any) -> Result:
        """Write one thing and return what became of it."""
        (result,) = await self.write({key: value}, **more)
        return result

    def fault(self, *faults: str) -> None:
        """Have the pack do wrong from now on; nothing in the brackets heals it."""
        self.simulator.faults = faults

    def times_heard(self, frame: str) -> int:
        """Return how often these bytes, in hex, reached the twin."""
        return self.heard.count(bytes.fromhex(frame))

    def entries(self) -> list[Readings]:
        """Return the journal, the newest first."""
        return self.journal.entries(limit=10_000)


def candidates(command: Command, before: Any) -> list[Any]:
    """Return values inside the command's range, the nearest to the present one first."""
    if command.kind == SWITCH:
        return [True, False]
    if command.kind == CHOICE:
        return [word for word in command.words if word]
    if command.kind == TEXT:
        return [
            text for text in ("2345678", "cellwire", "2023-04-05", "A1") if command.low <= len(text) <= command.high
        ]
    assert command.kind == NUMBER
    start = before if isinstance(before, int | float) else command.low
    found = []
    # Some steps away, so that half of the way is another value.
    step = max(command.step, 2 * command.near)
    for steps in (4, -4, 2, -2, 1, -1, 40, -40, 400, -400):
        value = start + steps * step
        if command.low <= value <= command.high:
            found.append(round(value, 6) if command.step != int(command.step) else int(value))
    return [*found, command.low, command.high]


def edges(command: Command) -> list[Any]:
    """Return the lowest and the highest that a command takes."""
    if command.kind == SWITCH:
        return [False, True]
    if command.kind == ACTION:
        return [True]
    if command.kind == CHOICE:
        return [word for word in command.words if word]
    if command.kind == TEXT:
        return ["A" * int(command.low), "z" * int(command.high)]
    assert command.kind == NUMBER
    return [command.low, command.high]


@contextlib.asynccontextmanager
async def bench(dialect: Dialect, layout: str, folder: Path, cells: int = 8) -> AsyncIterator[Bench]:
    """Yield a pack that was read once, its settings too."""
    simulator = build(dialect.name, cells, baud=0, think=0.0, seed=3, clock=lambda: EVENING)
    if layout:
        make: Callable[..., Any] = import_module(f"cellwire.families.{dialect.family}.twin").twin
        simulator = Simulator(
            [make(dialect.name, 0, layout)], 0, 0.0, batteries=simulator.batteries, clock=simulator.clock
        )
    async with simulator, met(simulator, dialect, f"tcp:127.0.0.1:{await simulator.tcp()}", folder) as pack:
        yield pack


@contextlib.asynccontextmanager
async def met(simulator: Simulator, dialect: Dialect, link: str, folder: Path) -> AsyncIterator[Bench]:
    """Yield the first pack of a simulator that serves on this link; it was read once, its settings too."""
    line = Session(open_link(link))
    store = Store(lambda: EVENING, asyncio.get_running_loop().time)
    address = dialect.addresses[0]
    pack = store.add(PackState(PACK, dialect.family, dialect.name, address, 1.0))
    made = Bench(simulator, Poller(line, dialect, address, store, pack), folder)
    try:
        for _ in range(5):
            await made.poller.step()
            if pack.settled:
                break
        assert pack.settled, pack.reason
        problems = await made.control.read(PACK, ANNA)
        assert not problems, problems
        yield made
    finally:
        made.fault()
        await made.control.finish()
        await line.close()


__all__ = [
    "ANNA",
    "EVENING",
    "PACK",
    "Bench",
    "bench",
    "candidates",
    "edges",
    "key_of",
    "kinds",
    "name_of_kind",
    "quick",
]
