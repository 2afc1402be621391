"""Holds what is not sealed in memory: rows by hour and pack, and the events, names and cursors that wait for the disk.

Rows stay here until their hour is sealed, not only until they are committed. So live charts need no file, sealing reads
nothing back, and when the disk fails or the file is taken away, nothing that was acknowledged is missing from the next.
"""

import logging
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, TypeVar

from ...gateway.events import Event
from .batch import Batch, Left, Saved
from .layout import SEQ, TIME, Layout, PackHour, Row, widened

log = logging.getLogger("cellwire")

Committed = Callable[[dict[str, dict[str, float]]], None]

HELD = 64_000_000  # bytes of rows in memory: four packs at 5 s for two days
HELD_EVENTS = 10_000
TAKEN_AT = 1000  # queued rows that are taken without waiting for the next commit
LATEST = 1e11  # seconds since 1970; later times are no times

Value = TypeVar("Value")


class Memory:
    """What is not sealed. Any thread may call it, but batches, sealing and other files belong to the one that writes.

    committed: called after each commit, see History
    """

    def __init__(self, committed: Committed) -> None:
        self._tell_committed = committed
        # All that follows is shared under the lock; nobody is told anything while it is held.
        self._lock = threading.Condition(threading.RLock())
        self._queue: list[Row] = []
        self._events: list[Event] = []
        self._events_seen = self._events_written = 0
        self._names: dict[str, str] = {}
        self._cursors: dict[str, int] = {}
        self._names_written: dict[str, str] = {}
        self._cursors_written: dict[str, int] = {}
        self._open: dict[int, dict[str, PackHour]] = {}  # by hour, by pack
        self._layouts: dict[str, Layout] = {}  # the newest of each pack
        self._shared: dict[Layout, Layout] = {}  # one object for all packs of a shape
        self._journal: Saved = {}
        self._seq = 0  # of the newest row that was appended
        self._taken = 0  # of the newest row that was taken from the queue
        self._committed = 0  # of the newest row that is on the disk
        self._dropped = 0
        self._writing = False  # what is in a batch must stay as it is

    # What any thread calls.

    def append(self, rows: Sequence[Row]) -> int:
        """Queue rows; return the number of the last."""
        with self._lock:
            # What was read keeps changing in the store: take it as it is now.
            self._queue.extend(Row(pack, time, dict(readings)) for pack, time, readings in rows)
            self._seq += len(rows)
            if len(self._queue) >= TAKEN_AT:
                self._take()
            return self._seq

    def event(self, event: Event) -> None:
        """Queue an event."""
        with self._lock:
            self._events.append(event)
            self._events_seen += 1
            if len(self._events) > HELD_EVENTS and not self._writing:
                self._events_written += len(self._events) - HELD_EVENTS
                del self._events[:-HELD_EVENTS]
            if event.pack and event.name:
                self._names[event.pack] = event.name

    def name(self, pack: str, name: str) -> None:
        """Note what people call this pack."""
        with self._lock:
            self._names[pack] = name

    def set_cursor(self, sink: str, seq: int) -> None:
        """Note how far a sink has acknowledged."""
        with self._lock:
            self._cursors[sink] = seq

    def cursor(self, sink: str) -> int | None:
        """Return how far the sink is, or None when nothing is known of it."""
        with self._lock:
            return self._cursors.get(sink)

    def live(self, pack: str, first: int, last: int) -> dict[int, PackHour]:
        """Return copies of the pack's rows, by hour, from one hour to another inclusive."""
        with self._lock:
            self._take()
            found = {}
            for hour, packs in self._open.items():
                if first <= hour <= last and pack in packs and len(packs[pack]):
                    found[hour] = PackHour(packs[pack].layout, packs[pack].flat[:])
            return found

    def live_packs(self) -> dict[str, Layout]:
        """Return the packs that have rows, and their layouts."""
        with self._lock:
            self._take()
            return {pack: self._layouts[pack] for packs in self._open.values() for pack in packs}

    def saved(self) -> Saved:
        """Return the newest meters and counters of each pack."""
        with self._lock:
            return {pack: (time, dict(values)) for pack, (time, values) in self._journal.items()}

    def add_to_meters(self, saved: Saved) -> None:
        """Add what was saved to the meters of all rows that came by now."""
        with self._lock:
            self._take()
            for packs in self._open.values():
                for pack, hour in packs.items():
                    if pack in saved:
                        hour.add_to_meters(saved[pack][1])

    @property
    def seq(self) -> int:
        """The number of the newest row."""
        with self._lock:
            return self._seq

    @property
    def committed(self) -> int:
        """The number of the newest row that is on the disk."""
        with self._lock:
            return self._committed

    def queued(self) -> tuple[int, int]:
        """Return how many rows and events came by now."""
        with self._lock:
            return self._seq, self._events_seen

    def wait(self, queued: tuple[int, int], timeout: float) -> bool:
        """Wait until so many rows and events are on the disk; return whether they are."""
        rows, events = queued
        with self._lock:
            return self._lock.wait_for(lambda: self._committed >= rows and self._events_written >= events, timeout)

    def take(self) -> None:
        """Put queued rows to their hours."""
        with self._lock:
            self._take()

    def pop_dropped(self) -> int:
        """Return how many rows were dropped for want of room since this was asked last."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            return dropped

    # Commits.

    @contextmanager
    def batch(self, anew: bool = False) -> Iterator[Batch]:
        """Give what is not on the disk yet, or everything, to be written inside; nothing of it is dropped meanwhile.

        When it goes well the batch is on the disk.
        """
        with self._lock:
            self._take()
            batch = self._gather(anew)
            self._writing = True
        try:
            yield batch
            if batch:
                self._settle(batch)
        finally:
            self._writing = False
        if meters := batch.meters:
            self._tell_committed(meters)

    def _gather(self, anew: bool) -> Batch:
        """Return what is not on the disk yet, or everything; the lock is held."""
        batch = Batch(self._taken, anew)
        for number, packs in self._open.items():
            for pack in sorted(packs):
                hour = packs[pack]
                first = 0 if anew else hour.saved
                if len(hour) > first:
                    width = hour.layout.width
                    batch.hours.append((hour, len(hour)))
                    part = PackHour(hour.layout, hour.flat[first * width :])
                    batch.groups.setdefault((number, hour.layout), []).append((pack, part))
                    batch.count += len(part)
        for pack, part in sorted(
            ((pack, part) for group in batch.groups.values() for pack, part in group),
            key=lambda member: member[1].flat[SEQ - member[1].layout.width],
        ):
            self._note(pack, part)
            batch.packs.add(pack)
        batch.journal = {pack: (when, dict(values)) for pack, (when, values) in self._journal.items()}
        batch.events = self._events[:]
        batch.names = _changed(self._names, {} if anew else self._names_written)
        batch.cursors = _changed(self._cursors, {} if anew else self._cursors_written)
        return batch

    def _settle(self, batch: Batch) -> None:
        """Note that a batch is on the disk."""
        with self._lock:
            for hour, count in batch.hours:
                hour.saved = count
            self._committed = max(self._committed, batch.seq)
            del self._events[: len(batch.events)]
            self._events_written += len(batch.events)
            self._names_written.update(batch.names)
            self._cursors_written.update(batch.cursors)
            self._lock.notify_all()

    # Sealing.

    def hours(self) -> list[int]:
        """Return the hours that have rows, ascending."""
        with self._lock:
            return sorted(self._open)

    def committed_rows(self, number: int) -> dict[str, PackHour]:
        """Return copies of an hour's rows that are on the disk, by pack."""
        with self._lock:
            return {
                pack: PackHour(hour.layout, hour.flat[: hour.saved * hour.layout.width])
                for pack, hour in self._open.get(number, {}).items()
                if hour.saved
            }

    def let_go(self, number: int, parts: dict[str, PackHour]) -> None:
        """Forget an hour's rows that were sealed; what came meanwhile stays."""
        with self._lock:
            for pack, part in parts.items():
                hour = self._open[number][pack]
                del hour.flat[: len(part) * hour.layout.width]
                hour.saved -= len(part)
                if not len(hour):
                    self._forget(number, pack)

    # Opening a file.

    def take_over(self, left: Left, meters: Saved) -> None:
        """Go on where a file ends. What is in memory already comes behind."""
        with self._lock:
            self._learn(left)
            self._journal = meters
            waiting, self._open = self._open, {}
            newest: list[tuple[int, str, PackHour]] = []
            for pack, layout, flat in left.rows:
                for number, rows in _by_hour(flat, layout.width):
                    hour = self._put(pack, number, layout, rows)
                    hour.saved = len(hour)
                    newest.append((rows[SEQ - layout.width], pack, PackHour(layout, rows)))
            for _, pack, part in sorted(newest, key=itemgetter(0)):
                self._note(pack, part)
            for number, packs in waiting.items():
                for pack, hour in packs.items():
                    numbers = slice(SEQ, None, hour.layout.width)
                    hour.flat[numbers] = array("q", [seq + left.last for seq in hour.flat[numbers]])
                    self._put(pack, number, hour.layout, hour.flat)
            self._taken, self._committed = self._taken + left.last, left.last
            self._seq = self._taken + len(self._queue)

    def add_what_is_new(self, left: Left, same: bool) -> None:
        """Take the rows of another file that are not in memory; same: it is a copy of the file from before."""
        with self._lock:
            self._take()
            self._learn(left)
            self._taken = max(self._taken, left.last)
            for pack, layout, flat in left.rows:
                for number, rows in _by_hour(flat, layout.width):
                    known = self._open.get(number, {}).get(pack)
                    times = set(known.column(TIME)) if known else set()
                    for at in range(0, len(rows), layout.width):
                        if rows[at] not in times:
                            row = rows[at : at + layout.width]
                            if not same:  # else its numbers are of the same count: they stay
                                self._taken += 1
                                row[SEQ] = self._taken
                            self._put(pack, number, layout, row)
            self._seq = self._taken

    def _learn(self, left: Left) -> None:
        """Take over the layouts and cursors that a file has; the lock is held."""
        for pack, layout in left.layouts:
            self._join_layout(pack, layout)
        for sink, seq in left.cursors.items():
            self._cursors.setdefault(sink, seq)

    # Rows; the lock is held.

    def _take(self) -> None:
        """Turn queued rows into integers and put them to their hours."""
        queue, self._queue = self._queue, []
        for row in queue:
            self._taken += 1
            pack, when, readings = row
            if not 0 <= when < LATEST:  # also when it is not a number
                log.error("history: a row of %s has no possible time: %s", pack, when)
                continue
            layout = self._layouts.get(pack)
            if layout is None or not layout.fits(readings):
                layout = self._widened(pack, readings)
            milliseconds = round(when * 1000)
            packs = self._open.setdefault(milliseconds // 3_600_000, {})
            hour = packs.get(pack)
            if hour is None:
                hour = packs[pack] = PackHour(layout)
            elif hour.layout is not layout:
                hour.widen(layout)
            hour.add(milliseconds, self._taken, layout.encode(readings))
        if queue and not self._writing and self._held() > HELD:
            self._drop_oldest()

    def _widened(self, pack: str, readings: Any) -> Layout:
        layout = self._layouts.get(pack, Layout(())).with_readings(readings)
        layout = self._layouts[pack] = self._shared.setdefault(layout, layout)
        return layout

    def _join_layout(self, pack: str, layout: Layout) -> Layout:
        joined = self._layouts.get(pack, layout).joined(layout)
        joined = self._layouts[pack] = self._shared.setdefault(joined, joined)
        return joined

    def _put(self, pack: str, number: int, layout: Layout, rows: "array[int]") -> PackHour:
        newest = self._join_layout(pack, layout)
        hour = self._open.setdefault(number, {}).setdefault(pack, PackHour(newest))
        if hour.layout != newest:
            hour.widen(newest)
        hour.flat.extend(widened(rows, layout, newest))
        return hour

    def _note(self, pack: str, rows: PackHour) -> None:
        """Remember the newest meters and counters."""
        found = rows.journalled()
        if found:
            _, known = self._journal.get(pack, (0.0, {}))
            self._journal[pack] = (rows.flat[TIME - rows.layout.width] / 1000, {**known, **found})

    def _held(self) -> int:
        return sum(8 * len(hour.flat) for packs in self._open.values() for hour in packs.values())

    def _drop_oldest(self) -> None:
        """Give up the oldest rows that are not on the disk."""
        unsaved = [
            (hour.flat[hour.saved * hour.layout.width + SEQ], number, pack)
            for number, packs in self._open.items()
            for pack, hour in packs.items()
            if len(hour) > hour.saved
        ]
        for _, number, pack in sorted(unsaved):
            hour = self._open[number][pack]
            self._dropped += len(hour) - hour.saved
            del hour.flat[hour.saved * hour.layout.width :]
            if not hour.saved:
                self._forget(number, pack)
            if self._held() <= HELD * 0.9:
                break

    def _forget(self, number: int, pack: str) -> None:
        del self._open[number][pack]
        if not self._open[number]:
            del self._open[number]


def _changed(now: dict[str, Value], before: dict[str, Value]) -> dict[str, Value]:
    """Return what is not the same as before."""
    return {key: value for key, value in now.items() if before.get(key) != value}


def _by_hour(flat: "array[int]", width: int) -> Iterator[tuple[int, "array[int]"]]:
    """Yield the rows by their hour; a hot blob is of one hour, so nearly always all at once."""
    found: dict[int, array[int]] = {}
    for at in range(0, len(flat), width):
        found.setdefault(flat[at] // 3_600_000, array("q")).extend(flat[at : at + width])
    yield from found.items()
