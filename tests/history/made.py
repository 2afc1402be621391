"""A small history for tests that only look at one."""

from pathlib import Path

from durable import Clock
from generated import EVERY, START, household, ticks

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Event, Events
from cellwire.outputs.history import History, Row


def opened(path: Path, clock: Clock) -> History:
    """Return a history that is started."""
    events = Events(clock)
    history = History(HistorySettings(path=path, every=EVERY, commit=1e6), clock, clock, events, lambda _: None)
    history.start()
    return history


def made(path: Path, count: int = 1600, packs: int = 2, begin: float = START) -> dict[str, list[tuple[float, object]]]:
    """Write so many ticks of generated packs, a commit a minute and an event an hour; return the rows of each pack."""
    clock = Clock(begin)
    history = opened(path, clock)
    rows: dict[str, list[tuple[float, object]]] = {}
    try:
        for number, tick in enumerate(ticks(household(packs), begin, count)):
            clock.now = tick[-1][1]
            history.append([Row(*row) for row in tick])
            for pack, at, readings in tick:
                rows.setdefault(pack, []).append((at, readings))
            if number % 12 == 11:
                assert history.flush(20)
            if number % 720 == 0:
                history.event(Event(clock.now, "state", "online", tick[0][0]))
        assert history.flush(20)
    finally:
        history.stop()
    return rows
