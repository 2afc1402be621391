"""A history in a process of its own that says what is on disk, until it is killed; and what must be there afterwards.

As a program it takes one JSON order, appends generated rows and prints a line for every acknowledgement.
"""

import contextlib
import functools
import json
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from generated import EVERY, METERS, START, household, ticks

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Event, Events
from cellwire.outputs.history import History, Row
from cellwire.outputs.history.check import verify

Meters = dict[str, dict[str, float]]


@dataclass
class Order:
    """What a child shall do: rows of `packs` from `begin` on, at most `ticks` times.

    flush: most ticks between two waits for the disk, 0: never waits; synchronous: what to weaken SQLite to
    """

    path: str
    begin: float = START
    seed: int = 1
    packs: int = 4
    ticks: int = 10**9
    commit: float = 0.02
    flush: int = 0
    synchronous: str = ""


@dataclass
class Said:
    """What a child acknowledged: ticks whose rows are on disk, meters as reported, events."""

    started: Meters | None = None
    tick: int = -1
    meters: Meters = field(default_factory=dict)
    events: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        """Take a whole line of the child."""
        said = json.loads(line)
        if "started" in said:
            self.started = said["started"]
        self.tick = max(self.tick, said.get("tick", -1))
        self.events.update(said.get("events", ()))
        for pack, meters in said.get("meters", {}).items():
            known = self.meters.setdefault(pack, {})
            for name in METERS:
                if name in meters:
                    known[name] = max(known.get(name, 0.0), meters[name])


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def weakened(synchronous: str) -> Iterator[None]:
    """Make connections less durable than they ask to be: the proof that the tests would notice."""

    class Weak(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute(weak(sql), *parameters)

        def executescript(self, sql: str) -> sqlite3.Cursor:
            return super().executescript(weak(sql))

    def weak(sql: str) -> str:
        if not sql.startswith("PRAGMA"):
            return sql
        return re.sub(r"synchronous\s*=\s*\w+", f"synchronous={synchronous}", sql, flags=re.IGNORECASE)

    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=Weak)  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = connect


def say(**words: Any) -> None:
    """Print one line at once, whole: a pipe takes up to 4096 bytes in one piece."""
    os.write(1, json.dumps(words, separators=(",", ":")).encode() + b"\n")


def run(order: Order) -> None:
    """Append rows and say what is on disk."""
    clock = Clock(order.begin)
    appended: deque[tuple[int, int]] = deque()
    saying = threading.Lock()

    def committed(meters: Meters) -> None:
        sequence = history.status["committed_seq"]
        tick = -1
        while appended and appended[0][0] <= sequence:
            tick = appended.popleft()[1]
        with saying:
            say(tick=tick, meters={pack: {name: own[name] for name in METERS} for pack, own in meters.items()})

    settings = HistorySettings(path=Path(order.path), every=EVERY, commit=order.commit)
    history = History(settings, clock, clock, Events(clock), committed)
    saved = {pack: meters for pack, (_time, meters) in history.start().items()}
    packs = household(order.packs, order.seed, saved)
    with saying:
        say(started={pack: {name: own[name] for name in METERS} for pack, own in saved.items()})
    pace = random.Random(order.seed)
    until_flush = pace.randint(1, order.flush) if order.flush else 0
    events: list[str] = []
    for tick, rows in enumerate(ticks(packs, order.begin, order.ticks)):
        clock.now = rows[-1][1]
        appended.append((history.append([Row(*row) for row in rows]), tick))
        if pace.random() < 0.01:
            events.append(f"event {tick} of {order.seed}")
            history.event(Event(clock.now, "state", events[-1], rows[0][0]))
        until_flush -= 1
        if until_flush == 0:
            assert history.flush(60)
            with saying:
                say(tick=tick, events=events)
            events = []
            until_flush = pace.randint(1, order.flush)
        while not order.flush and history.status["queued_rows"] > 4000:
            time.sleep(0.001)
    os._exit(0)


def command(order: Order) -> list[str]:
    """Return the words that start a child."""
    return [sys.executable, __file__, json.dumps(asdict(order))]


def killed(order: Order, moment: float, after_start: bool) -> Said:
    """Return what a child had said when it was killed, `moment` seconds after its start or its first line."""
    # Unbuffered: what `readline` took too much of would be missing where `os.read` goes on.
    child = subprocess.Popen(command(order), stdout=subprocess.PIPE, bufsize=0)
    assert child.stdout is not None
    text = b""
    try:
        if after_start:
            text = child.stdout.readline()
        end = time.monotonic() + moment
        while (left := end - time.monotonic()) > 0:
            if select.select([child.stdout], [], [], left)[0]:
                piece = os.read(child.stdout.fileno(), 65536)
                assert piece, "the child ended by itself"
                text += piece
        child.send_signal(signal.SIGKILL)
        text += child.stdout.read()
    finally:
        child.kill()
        child.wait(20)
        child.stdout.close()
    said = Said()
    for line in text.decode().split("\n")[:-1]:
        said.take(line)
    return said


def losses(path: Path, order: Order, said: Said) -> list[str]:
    """Open the history after its end, and return all that is wrong with it; the order and what was said tell."""
    wrong: list[str] = []
    if said.started is not None:  # else it may not even have its tables yet
        wrong += [f"verify: {finding}" for finding in verify(path).findings]
    clock = Clock(order.begin + 1e6)
    history = History(HistorySettings(path=path), clock, clock, Events(clock), lambda meters: None)
    restored = {pack: meters for pack, (_time, meters) in history.start().items()}
    try:
        for pack, meters in said.meters.items():
            for name, value in meters.items():
                found = restored.get(pack, {}).get(name, -1.0)
                if found < value:
                    wrong.append(f"{pack} {name} was {value}, is {found}")
        wrong += _missing(history, order, said)
        known = {event["text"] for event in history.reader.events(order.begin - 1, order.begin + 1e6, limit=100_000)}
        wrong += [f"lost {event}" for event in sorted(said.events - known)]
    finally:
        history.stop()
    return wrong


def _missing(history: History, order: Order, said: Said) -> Iterator[str]:
    """Yield what the rows in the file lack, or have that never was."""
    end = order.begin + (said.tick + 1_000_000) * EVERY
    packs = household(order.packs, order.seed, said.started)
    found = {
        pack.id: {round(at, 3): row for at, row in history.reader.rows(pack.id, order.begin, end)} for pack in packs
    }
    expected = ticks(packs, order.begin, max(said.tick + 1, max(map(len, found.values())) + 1))
    for tick, rows in enumerate(expected):
        for pack, at, readings in rows:
            row = found[pack].pop(at, None)
            if row is None:
                if tick <= said.tick:
                    yield f"lost tick {tick} of {pack}, acknowledged up to {said.tick}"
            elif row != readings:
                differing = {name for name in readings.keys() | row.keys() if row.get(name) != readings.get(name)}
                yield f"tick {tick} of {pack}: {sorted(differing)} differ"
    yield from (f"{len(rows)} rows of {pack} that never were" for pack, rows in found.items() if rows)


def copied(path: Path, folder: Path) -> Path:
    """Return a copy of a dead history with what belongs to it; only good while nobody has it open."""
    folder.mkdir(parents=True)
    for part in path.parent.glob(path.name + "*"):
        if not part.name.endswith("-shm"):
            shutil.copy(part, folder / part.name)
    return folder / path.name


def survive_kills(folder: Path, count: int, seed: int = 1, rounds_a_file: int = 6) -> int:
    """Kill a history at `count` random moments; return how many rows were acknowledged, fail when anything is lost."""
    moments = random.Random(seed)
    acknowledged = 0
    for number in range(count):
        if number % rounds_a_file == 0:
            path = folder / f"{number}" / "cellwire.db"
            path.parent.mkdir(parents=True)
            begin = START
            before: Meters = {}
        # The hour is over, and sealed, after up to 250 ticks: often about when the child dies.
        begin = (begin // 3600 + 1) * 3600 - moments.randrange(250) * EVERY
        order = Order(str(path), begin, seed * 1000 + number, flush=number % 2 * 40)
        after_start = moments.random() < 0.8
        said = killed(order, moments.uniform(0.0, 0.4) if after_start else moments.uniform(0.1, 0.6), after_start)
        for pack, meters in before.items():
            for name, value in meters.items():
                if said.started is not None:
                    assert said.started[pack][name] >= value, f"round {number}: {name} of {pack} went back"
        if path.exists():
            copy = copied(path, folder / f"copy-{number}")
            wrong = losses(copy, order, said) or verify(copy).findings  # at first it may not even have its tables
            assert not wrong, f"round {number} (seed {seed}): {wrong[:5]}"
            shutil.rmtree(copy.parent)
        before = said.meters or before
        acknowledged += (said.tick + 1) * order.packs
        begin += (said.tick + 2000) * EVERY  # behind all that was appended and not acknowledged
    return acknowledged


if __name__ == "__main__":
    given = Order(**json.loads(sys.argv[1]))
    with weakened(given.synchronous) if given.synchronous else contextlib.nullcontext():
        run(given)
