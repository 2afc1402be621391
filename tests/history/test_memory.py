"""Rows and events in memory while one thread writes and others append: what is in a batch stays until it is written."""

import pytest
from kept import HOUR, START

from cellwire.gateway.events import Event
from cellwire.outputs.history import Row, memory
from cellwire.outputs.history.memory import Memory

ROW = 3 * 8  # bytes


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Give one that has room for 1000 rows and 10 events."""
    monkeypatch.setattr(memory, "HELD", 1000 * ROW)
    monkeypatch.setattr(memory, "HELD_EVENTS", 10)
    return Memory(lambda meters: None)


def fill(kept: Memory, rows: int = 0, events: int = 0) -> None:
    """Append rows that are taken at once, and events that are named by their order."""
    _, before = kept.queued()
    kept.append([Row("jbd-1", START + number, {"voltage": 50.0}) for number in range(rows)])
    kept.take()
    for number in range(events):
        kept.event(Event(START, "state", f"{before + number}"))


def test_nothing_is_dropped_of_what_is_being_written(kept: Memory) -> None:
    fill(kept, rows=500, events=8)
    with kept.batch() as first:
        fill(kept, rows=1500, events=8)
    assert (first.count, kept.committed) == (500, 500)
    with kept.batch() as second:
        pass
    assert (second.count, kept.committed) == (1500, 2000)
    assert [event.text for event in first.events + second.events] == [f"{number}" for number in range(16)]
    assert kept.pop_dropped() == 0
    assert kept.wait(kept.queued(), 0.0)
    assert len(kept.committed_rows(int(START / HOUR))["jbd-1"]) == 2000


def test_what_was_not_written_may_be_dropped_again(kept: Memory) -> None:
    fill(kept, rows=500, events=8)
    with pytest.raises(OSError, match="full"), kept.batch():
        raise OSError("full")
    fill(kept, rows=1500, events=8)
    assert kept.committed == 0
    assert kept.pop_dropped() == 2000  # all of the one hour
    with kept.batch() as batch:
        assert [event.text for event in batch.events] == [f"{number}" for number in range(6, 16)]
