"""A history that is sent to a database, beside all that was ever appended to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from durable import Clock
from generated import EVERY, START, household, ticks
from made import opened

from cellwire.gateway.config import InfluxSettings
from cellwire.gateway.events import Events
from cellwire.outputs.history import History, Row
from cellwire.outputs.influx import Influx

Times = dict[str, list[tuple[int, float]]]


class Home:
    """A history with generated packs."""

    def __init__(self, path: Path, packs: int = 2) -> None:
        self.clock = Clock(START)
        self.history: History = opened(path, self.clock)
        self.packs = household(packs)
        self.tick = 0
        self.voltages: Times = {pack.id: [] for pack in self.packs}

    def write(self, count: int, every: int = 60) -> None:
        """Append so many ticks, and see them onto the disk every so many; hours that are over are sealed."""
        for tick in ticks(self.packs, START + self.tick * EVERY, count):
            self.tick += 1
            self.clock.now = tick[-1][1]
            self.history.append([Row(*row) for row in tick])
            for pack, at, readings in tick:
                self.voltages[pack].append((round(at * 1000), readings["voltage"]))
            if self.tick % every == 0:
                assert self.history.flush(20)
        assert self.history.flush(20)

    def sink(self, url: str, **settings: Any) -> Influx:
        """Return a sink that does not run yet."""
        return Influx(self.history, Events(self.clock), InfluxSettings(**{"name": "test", "url": url, **settings}))

    @property
    def kept(self) -> int:
        """How far it is noted that rows were forwarded."""
        return self.history.reader.cursor("influx test", -1)


@asynccontextmanager
async def sending(sink: Influx) -> AsyncIterator[Influx]:
    """Let a sink run."""
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task


async def until(true: Callable[[], object], seconds: float = 30.0, what: Callable[[], object] = str) -> None:
    """Wait for something; fail when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what()
        await asyncio.sleep(0.01)


async def sent(sink: Influx, seconds: float = 30.0) -> None:
    """Wait until all that is on the disk was sent."""

    def done() -> bool:
        return sink.status["state"] == "running" and not sink.status["behind_rows"]

    await until(done, seconds, lambda: sink.status)
