"""Shows snapshots on the console: as JSON, as text for people, as one line; and all day as lines for programs."""

import asyncio
import json
import logging
import os
import select
import threading
from collections import deque
from typing import Any

from ..gateway.store import Store
from ..readings.catalogue import ALARMS, CATALOGUE, decimals, unit

log = logging.getLogger("cellwire")

Snapshot = dict[str, Any]

SIGNS = {"degC": "°C", "ohm": "Ω"}
GROUPS = (
    "pack", "cells", "temperatures", "switches", "alarms", "totals", "meters", "counter", "limits", "bank", "identity",
    "settings", "link",
)  # fmt: skip
MEANINGS = dict(ALARMS)


def as_json(snapshot: Snapshot) -> str:
    """Return the snapshot as one line of JSON."""
    return json.dumps(snapshot, ensure_ascii=False, separators=(", ", ": "))


def value_text(name: str, value: Any) -> str:
    """Return a reading for people: its decimals, its unit; absent elements of a list are a dash."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        if not value:
            return "none"
        if all(isinstance(item, (int, float)) or item is None for item in value):
            places = decimals(name)
            texts = ["-" if item is None else f"{item:.{places}f}" for item in value]
            return " ".join(texts) + sign(name)
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.{decimals(name)}f}{sign(name)}"
    return f"{value}{sign(name)}" if isinstance(value, int) else str(value)


def sign(name: str) -> str:
    """Return the unit behind a blank, "" when there is none."""
    text = unit(name)
    return " " + SIGNS.get(text, text) if text else ""


def as_text(snapshot: Snapshot) -> str:
    """Return the snapshot as lines for people, in the order of the catalogue."""
    lines = [title(snapshot)]
    readings = snapshot["readings"]
    for group in GROUPS:
        rows = [row for row in CATALOGUE if row[3] == group and row[0] in readings]
        for number, row in enumerate(rows):
            heading = group if number == 0 else ""
            lines.append(f"  {heading:<13}{row[0]:<34} {value_text(row[0], readings[row[0]])}")
    for alarm in snapshot["problems"]:
        lines.append(f"  ! {alarm}: {MEANINGS.get(alarm, '')}")
    return "\n".join(lines)


def title(snapshot: Snapshot) -> str:
    """Return the pack's name, model, state and how old its readings are."""
    parts = [snapshot["pack"], snapshot.get("model", ""), snapshot["id"], snapshot["state"]]
    if "age" in snapshot:
        parts.append(f"{snapshot['age']:.1f} s old")
    return "  ".join(part for part in parts if part)


def as_line(snapshot: Snapshot) -> str:
    """Return the snapshot as one line: the values that people look at first."""
    readings = snapshot["readings"]
    parts = [snapshot.get("time", "never read")[:19].replace("T", " "), snapshot["pack"]]
    if snapshot["state"] != "online":
        parts.append(snapshot["state"])
    for name in ("voltage", "current", "power", "soc", "cell_min", "cell_max", "temperature_max"):
        if name in readings:
            parts.append(f"{name} {value_text(name, readings[name])}")
    parts += [f"! {alarm}" for alarm in snapshot["problems"]]
    if snapshot["state"] != "online" and "reason" in snapshot:
        parts.append(f"({snapshot['reason']})")
    return "  ".join(parts)


WAITING = 1000  # lines kept for a reader who is slow
LAST_LINES = 2.0  # seconds for the reader to take them at the end
ROUND = 0.25  # seconds between looks for what is new


class Lines:
    """Writes lines to a file from a thread of its own, so that no reader can hold anybody up.

    The oldest lines are left out for a reader who takes nothing, and one who left gets no more. Either is said once.
    """

    def __init__(self, file: int, waiting: int = WAITING) -> None:
        self._file = file
        self._most = waiting
        self._waiting: deque[bytes] = deque()
        self._left_out = 0
        self._idle = True
        self._gone = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="lines", daemon=True).start()

    def put(self, line: str) -> None:
        """Write a line soon."""
        with self._changed:
            if self._gone:
                return
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._left_out += 1
                if self._left_out == 1:
                    log.warning("standard output is read too slowly: lines are left out, the newest are kept")
            self._waiting.append(line.encode() + b"\n")
            self._changed.notify_all()

    def end(self, seconds: float = LAST_LINES) -> None:
        """Wait until all is written, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._gone or (self._idle and not self._waiting), seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._left_out and not self._waiting:
                    log.warning("standard output is read again; %d lines were left out", self._left_out)
                    self._left_out = 0
                self._idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._idle = False
                line = self._waiting.popleft()
            try:
                self._write(line)
            except OSError as error:
                log.warning("standard output is gone (%s): no more lines, all else goes on", error.strerror)
                with self._changed:
                    self._gone = True
                    self._waiting.clear()
                    self._changed.notify_all()
                return

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._file, line) :]
            except BlockingIOError:
                select.select([], [self._file], [])


class Snapshots:
    """Tells every pack and bank anew as a line of JSON: each new sample, each other state, not oftener than wanted."""

    title = "stdout"

    def __init__(self, store: Store, lines: Lines, every: float) -> None:
        self._store = store
        self._lines = lines
        self._every = every
        self._told: dict[str, tuple[Any, float]] = {}  # what the last line said, and when, by name

    async def run(self) -> None:
        """Tell what is new until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.tell(loop.time())
            await asyncio.sleep(min(ROUND, self._every))

    def failed(self, reason: str) -> None:
        """Do nothing: the log says it, and it goes on."""

    def tell(self, now: float) -> None:
        """Tell what is new."""
        store, told = self._store, self._told
        self._told = {}
        for battery in store.batteries():
            says = (battery.id, battery.seen, battery.state, battery.readings)
            before, moment = told.get(battery.name, ((battery.id, None, battery.state, {}), now - self._every))
            # Before a pack has told who it is, its id is not the one by which these lines will be kept.
            if says == before or now - moment < self._every - ROUND / 2 or not battery.settled:
                self._told[battery.name] = before, moment
                continue
            self._told[battery.name] = says, now
            pack = store.packs.get(battery.name)
            self._lines.put(as_json(store.snapshot(pack) if pack else store.bank_snapshot(store.banks[battery.name])))
