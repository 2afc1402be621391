"""A history with a clock that is set by hand, and without a thread."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from cellwire.gateway.config import HistorySettings
from cellwire.outputs.history import Row
from cellwire.outputs.history.reader import Reader
from cellwire.outputs.history.writer import Writer

# A Tuesday, 2025-10-07 00:00 UTC.
START = 1_759_795_200.0
HOUR, DAY = 3600.0, 86400.0


class Kept:
    """A writer whose turns are made by the test, and what it told."""

    def __init__(self, path: Path, now: float = START, **settings: Any) -> None:
        self.now, self.passed = now, 1000.0
        self.told: list[tuple[str, str]] = []
        self.committed: list[dict[str, dict[str, float]]] = []
        self.path = path
        self.settings = replace(HistorySettings(path=path), **settings)
        self.writer = self.begin()

    def begin(self) -> Writer:
        """Return a new writer on the same file, as after a crash."""
        self.writer = Writer(
            self.settings,
            lambda: self.now,
            lambda: self.passed,
            self.tell,
            lambda meters: self.committed.append(meters),
        )
        self.reader = Reader(self.path, self.writer)
        return self.writer

    def tell(self, kind: str, text: str) -> None:
        self.told.append((kind, text))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    def wait(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self.now += seconds
        self.passed += seconds

    def add(self, readings: dict[str, Any], pack: str = "jbd-1", time: float | None = None) -> int:
        """Append one row."""
        return self.writer.append([Row(pack, self.now if time is None else time, readings)])

    def run(self, seconds: float, every: float = 5.0, pack: str = "jbd-1", **readings: Any) -> list[float]:
        """Append a row every few seconds; return their times. A callable reading is called with the row's number."""
        times = []
        for number in range(round(seconds / every)):
            values = {name: value(number) if callable(value) else value for name, value in readings.items()}
            self.add(values, pack)
            times.append(self.now)
            self.wait(every)
        return times

    def all(self, pack: str = "jbd-1", start: float = 0.0, end: float = 1e10) -> list[tuple[float, dict[str, Any]]]:
        return list(self.reader.rows(pack, start, end))
