"""A history with generated packs that remembers all it was given and told, for tests in which something breaks."""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from durable import Clock, Meters
from generated import EVERY, METERS, START, household

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Events
from cellwire.outputs.history import History, Row
from cellwire.outputs.history.check import verify


class Fickle(sqlite3.Connection):
    """A connection that can be made to fail from outside, with errors of SQLite itself."""

    pragma = ""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if Fickle.pragma and not sql.startswith("PRAGMA"):
            super().execute(Fickle.pragma)
        return super().execute(sql, *parameters)


class Home:
    """A history beside its clock, what was appended and what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock(START + 3000)
        self.jumped = 0.0
        self.events = Events(self.clock)
        self.packs = household(2)
        self.appended: dict[str, list[tuple[float, Any]]] = {pack.id: [] for pack in self.packs}
        self.meters: Meters = {}
        self.history = self.opened()
        self.history.start()

    def opened(self) -> History:
        settings = HistorySettings(path=self.path, every=EVERY, commit=0.02)
        return History(settings, self.clock, lambda: self.clock.now - self.jumped, self.events, self.meters.update)

    def write(self, count: int = 1) -> None:
        """Append so many ticks; the clock goes on with them."""
        for _ in range(count):
            self.clock.now += EVERY
            for pack in self.packs:
                self.appended[pack.id].append(pack.row(self.clock.now))
            self.history.append([Row(pack, *rows[-1]) for pack, rows in self.appended.items()])

    def well(self) -> None:
        """Wait until everything is on the disk."""
        until(lambda: self.history.flush(1.0) and self.history.status["state"] == "ok")

    def failing(self) -> None:
        """Wait until the history says that it fails."""
        until(lambda: self.history.status["state"] == "failing", what=lambda: (self.history.status, self.said))
        assert self.history.status["reason"]

    @property
    def said(self) -> list[str]:
        """The texts of the events about the history."""
        return [event.text for event in self.events.recent if event.kind == "history"]

    def check(self, said: int = 2) -> None:
        """Stop, start again, and compare all that was ever appended with what is there; said: events there must be."""
        self.well()
        until(lambda: len(self.said) >= said)
        assert len(self.said) == said, self.said
        self.history.stop()
        assert not verify(self.path).findings
        again = self.opened()
        restored = again.start()
        try:
            for pack, rows in self.appended.items():
                start, end = min(rows, key=lambda row: row[0])[0], max(rows, key=lambda row: row[0])[0] + 1
                assert list(again.reader.rows(pack, start, end)) == sorted(rows, key=lambda row: row[0])
                for name in METERS:
                    assert restored[pack][1][name] >= self.meters[pack][name] >= rows[-1][1][name]
        finally:
            again.stop()


def until(true: Callable[[], bool], seconds: float = 20.0, what: Callable[[], object] = str) -> None:
    """Wait for something; fail when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.005)


@pytest.fixture(name="mounted")
def file_system(tmp_path: Path) -> Iterator[Path]:
    """Give a small file system of its own: it can be filled, and made read-only."""
    place = tmp_path / "mounted"
    place.mkdir()
    run = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if run.returncode:
        pytest.skip(f"nothing can be mounted here: {run.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
