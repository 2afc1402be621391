"""A made-up pack that obeys writes, or misbehaves as told, and the control that writes to it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakes import FakeLink, fake_dialect, frame_of, reply_of

from cellwire.codec.command import (
    ACTION,
    AGREED,
    CAPTURED,
    CONFIGURE,
    NUMBER,
    OPERATE,
    SERVICE,
    SWITCH,
    TEXT,
    UNPROVEN,
    Command,
    Commands,
    Mode,
)
from cellwire.codec.dialect import FAST, REFUSAL, REPLY, SETTINGS, Dialect, Query
from cellwire.codec.errors import OutOfRange, Refused
from cellwire.gateway.control import Control, Who
from cellwire.gateway.events import Events
from cellwire.gateway.journal import Journal
from cellwire.gateway.poller import Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store

Readings = dict[str, Any]

LIVE = {
    "voltage": 13.2,
    "current": 1.5,
    "soc": 80,
    "cell_voltages": [3.3, 3.3, 3.3, 3.3],
    "charge_mosfet": True,
    "discharge_mosfet": True,
    "serial_number": "42",
}
LIMITS = {"cell_overvoltage_limit": 3.65, "cell_overvoltage_release": 3.55, "cell_undervoltage_limit": 2.5}
SWITCHES = {"charge_switch": True, "discharge_switch": True}
NAMES = {"barcode": "abc"}
WRITE, ENTER, LEAVE, SAVE, PASSWORD = 0x40, 0x50, 0x51, 0x52, 0x53
NOT_NOW, NO = 0x81, 0x07

COMMANDS = (
    Command("charge_switch", SWITCH, OPERATE, CAPTURED, "switches"),
    Command("discharge_switch", SWITCH, OPERATE, CAPTURED, "switches"),
    Command("cell_overvoltage_limit", NUMBER, CONFIGURE, AGREED, "limits", low=2.5, high=4.3, step=0.001),
    Command("cell_overvoltage_release", NUMBER, CONFIGURE, AGREED, "limits", low=1.5, high=4.3, step=0.001),
    Command("cell_undervoltage_limit", NUMBER, CONFIGURE, UNPROVEN, "limits", low=1.5, high=3.5, step=0.001),
    Command("barcode", TEXT, SERVICE, AGREED, "names", low=0, high=8, danger="It is printed on the box."),
    Command(
        "calibrate_cell", NUMBER, SERVICE, AGREED, "basic", reading="cell_voltages", low=1, high=5, step=0.001, count=4,
        meaning="what a cell truly has", danger="Cells that are measured wrongly are charged wrongly.",
    ),
    Command("restart", ACTION, SERVICE, AGREED, reading="", meaning="start anew", danger="The power goes away."),
    Command("clear_alarms", ACTION, OPERATE, AGREED, reading="", meaning="forget the alarms"),
    Command(
        "hold_fan", NUMBER, SERVICE, AGREED, reading="", low=1, high=100, meaning="run the fan for so long", hold=True,
    ),
    Command("pin", TEXT, SERVICE, AGREED, reading="", low=4, high=4, meaning="the password", secret=True),
    Command("fan_switch", SWITCH, OPERATE, AGREED, reading="", meaning="the fan"),
)  # fmt: skip


def _encode(command: Command, number: int, value: Any, address: int, known: Readings) -> tuple[bytes, ...]:
    if isinstance(command.field, int):
        return (frame_of(0xA0, address, command.field, json.dumps(value).encode()),)
    payload = json.dumps({command.reading or command.name: value, **({"number": number} if number else {})})
    return (frame_of(0xA0, address, WRITE, payload.encode()),)


def _answered(command: Command, address: int, frames: list[Any]) -> bool | None:
    key = command.field if isinstance(command.field, int) else WRITE
    for kind, _owner, found, payload in frames:
        if found == key:
            if kind == REFUSAL:
                raise Refused(payload[0], f"the pack refused {command.name} (status {payload[0]:02x})")
            if kind == REPLY:
                return True
    return None


def _guard(command: Command, number: int, value: Any, known: Readings) -> None:
    for low, high in (
        ("cell_undervoltage_limit", "cell_overvoltage_release"),
        ("cell_overvoltage_release", "cell_overvoltage_limit"),
    ):
        if command.name == low and not value < known.get(high, 9):
            raise OutOfRange(f"{low}: {value} has to be below {high}, which is {known[high]}")
        if command.name == high and not value > known.get(low, 0):
            raise OutOfRange(f"{high}: {value} has to be above {low}, which is {known[low]}")


def _needs(command: Command) -> tuple[str, ...]:
    return tuple(LIMITS) if command.name in LIMITS else ()


def _mode(name: str, key: int) -> Command:
    return Command(name, ACTION, OPERATE, CAPTURED, reading="", field=key)


QUERIES = (
    Query("basic", 1, FAST),
    Query("limits", 5, SETTINGS),
    Query("switches", 6, SETTINGS),
    Query("names", 7, SETTINGS),
)


def obedient_dialect(factory: bool = False) -> Dialect:
    """Return the made-up dialect with commands; with `factory` its settings want a mode."""
    commands: tuple[Command, ...] = COMMANDS
    mode = None
    around = None
    if factory:
        for command in COMMANDS:
            if (command.query in ("limits", "names") or command.hold) and not command.mode:
                command = Command(**{**vars(command), "mode": True, "saves": True})
                commands = tuple(command if each.name == command.name else each for each in commands)
        mode = Mode(
            _mode("enter", ENTER), _mode("leave", LEAVE), _mode("save", SAVE), (NOT_NOW,), _mode("pass", PASSWORD)
        )
        around = ((frame_of(0xA0, 1, ENTER, b"true"),), (frame_of(0xA0, 1, LEAVE, b"true"),))
    return fake_dialect(
        *QUERIES,
        around=around,
        commands=Commands(lambda known: commands, _encode, _answered, _guard, _needs, mode=mode, settle=0.6),
    )


class ObedientPack:
    """Answers and obeys, or as `mood` says: ignore, refuse, clamp, silent (no answer), lose (no answer, no link)."""

    def __init__(self, factory: bool = False, password: str = "") -> None:
        self.values: dict[int, Readings] = {1: dict(LIVE), 5: dict(LIMITS), 6: dict(SWITCHES), 7: dict(NAMES)}
        self.mood = ""
        self.factory = factory
        self.password = password
        self.inside = False
        self.saved = 0
        self.writes: list[Readings] = []
        self.asked: list[int] = []
        self.link: FakeLink | None = None
        self.deaf = False

    def __call__(self, request: bytes) -> bytes:
        address, key, payload = request[1], request[2], request[4:-1]
        if self.deaf:
            return b""
        self.asked.append(key)
        if key in (ENTER, LEAVE, SAVE, PASSWORD):
            return self._mode(key, payload)
        if key == WRITE:
            return self._write(json.loads(payload))
        if key not in self.values or (self.factory and key in (5, 7) and not self.inside):
            return frame_of(0xE0, address, key, bytes((NOT_NOW,)))
        return reply_of(key, self.values[key], address)

    def _mode(self, key: int, payload: bytes) -> bytes:
        if key == PASSWORD:
            self.password = "" if json.loads(payload) == self.password else self.password
        elif key == ENTER and self.password:
            return frame_of(0xE0, 1, key, bytes((0x83,)))
        else:
            self.inside = key == ENTER
        self.saved += key == SAVE
        return reply_of(key, {})

    def _write(self, wanted: Readings) -> bytes:
        self.writes.append(wanted)
        number = wanted.pop("number", 0)
        for name, value in wanted.items():
            there = next((values for values in self.values.values() if name in values), {})
            if self.mood == "refuse":
                return frame_of(0xE0, 1, WRITE, bytes((NO,)))
            if self.factory and name in (*LIMITS, *NAMES) and not self.inside:
                return frame_of(0xE0, 1, WRITE, bytes((NOT_NOW,)))
            if self.mood == "ignore" or name not in there:
                continue
            if self.mood == "clamp":
                value = round((there[name] + value) / 2, 3)
            there[name] = (
                value if not number else [value if at == number else each for at, each in enumerate(there[name], 1)]
            )
        if self.mood == "lose" and self.link:
            self.mood = ""
            self.link.unplug()
            return b""
        return b"" if self.mood == "silent" else reply_of(WRITE, {})


class House:
    """One obedient pack, named shed, and the control that writes to it."""

    def __init__(self, folder: Path, grant: str = "service", factory: bool = False, password: str = "") -> None:
        self.pack = ObedientPack(factory, password)
        self.link = FakeLink(self.pack)
        self.pack.link = self.link
        loop = asyncio.get_running_loop()
        self.store = Store(loop.time)
        state = self.store.add(PackState("shed", "fake", "fake", 1, 1.0))
        state.pinned_id, state.settled = "fake-42", True
        self.poller = Poller(Session(self.link), obedient_dialect(factory), 1, self.store, state)
        self.events = Events(loop.time)
        self.journal = Journal(folder / "journal.jsonl", loop.time)
        self.grant = grant
        self.passive = False
        self.control = Control(
            self.journal,
            self.events,
            {"shed": self.poller}.get,
            {"shed": self.grant}.get,
            lambda name: self.passive,
            lambda name: "lfp",
        )

    async def write(self, changes: Mapping[str, Any], grant: str = "service", **more: Any) -> list[tuple[str, str]]:
        """Return (command, result) of each change."""
        results = await self.control.write("shed", changes, Who("anna", "page", grant), **more)
        self.results = results
        return [(result.command, result.result) for result in results]
