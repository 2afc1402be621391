"""Writes the history: one thread owns the file, commits what came every few seconds, and seals hours that are over.

Rows of hours that are not sealed stay in memory too. So live charts need no file, sealing reads nothing back, and when
the disk fails or the file is taken away, nothing that was acknowledged is missing from the next file.
"""

import json
import logging
import os
import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

from ...gateway.config import HistorySettings
from ...gateway.events import Event
from . import columns as codec
from .copies import copy_of
from .file import (
    KEPT,
    Damaged,
    HistoryError,
    HistoryFile,
    bytes_used,
    damage_told,
    file_bytes,
    open_for_reading,
    set_aside,
    transaction,
)
from .layout import METERS, SEQ, TIME, Layout, PackHour, Row, widened
from .rollup import DAY, HOUR
from .seal import drop_hours, seal

log = logging.getLogger("cellwire")

Committed = Callable[[dict[str, dict[str, float]]], None]
Saved = dict[str, tuple[float, dict[str, float]]]
Restored = Callable[[Saved], None]

GRACE = 5.0  # seconds after which an hour's last rows have come
ODD = 60.0  # seconds: an hour that is further ahead than this was written before the clock was set back
JUMP = 30.0  # seconds by which the clock must be off to say that it was set
STEADY = 86400.0  # seconds that the clock must have run evenly before anything old is dropped
AWAY = 31 * 86400.0  # a gateway that was off for longer may as well have a wrong clock
KEPT_HOURS = 24  # the newest hours are never dropped for want of room
HELD = 64_000_000  # bytes of rows in memory: four packs at 5 s for two days
HELD_EVENTS = 10_000
TAKEN_AT = 1000  # queued rows that are taken without waiting for the next commit
LATEST = 1e11  # seconds since 1970; later times are no times
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds between attempts while the file cannot be written

# What reaches the device with one commit, four packs at 5 s: seconds between commits, kB (docs/history.md). Sealing and
# checkpoints come on top, MB a day.
KB_PER_COMMIT = ((1.0, 22.0), (10.0, 24.0), (30.0, 30.0), (60.0, 46.0), (3600.0, 46.0))
SEALING = 9.0

ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room on it",
    sqlite3.SQLITE_READONLY: "it may not be written; check who owns it and whether the disk is mounted read-only",
    sqlite3.SQLITE_PERM: "it may not be written; check who owns it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder is there and may be written",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; end that",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked; end that",
    sqlite3.SQLITE_IOERR: "the disk reports errors; look at the system log and think of replacing it",
}


class Writer:
    """Takes rows and events in memory and brings them to the file.

    tell: called with kind and text of what people should know; committed, restored: see History
    """

    def __init__(
        self,
        settings: HistorySettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[[str, str], None],
        committed: Committed,
        restored: Restored | None = None,
    ) -> None:
        self.settings = settings
        self.path: Path = settings.path
        self._clock, self._monotonic = clock, monotonic
        self._tell, self._committed, self._restored = tell, committed, restored
        self._thread: threading.Thread | None = None
        self._lock = threading.Condition(threading.RLock())
        # All of these are shared with other threads, under the lock.
        self._queue: list[Row] = []
        self._events: list[Event] = []
        self._events_seen = self._events_written = 0
        self._names: dict[str, str] = {}
        self._cursors: dict[str, int] = {}
        self._open: dict[int, dict[str, PackHour]] = {}  # by hour, by pack
        self._layouts: dict[str, Layout] = {}  # the newest of each pack
        self._shared: dict[Layout, Layout] = {}  # one object for all packs of a shape
        self._journal: Saved = {}
        self._seq = 0  # of the newest row that was appended
        self._taken = 0  # of the newest row that was taken from the queue
        self._committed_seq = 0
        self._soon = self._stopping = self._at_once = False
        self._late = False  # nothing was read at the start: the meters in the rows begin at 0
        self._failing = ""
        self._dropped = 0
        # Only the thread (or start, before it) uses these.
        self._file: HistoryFile | None = None
        self._identity = ""
        self._next_try, self._tries = 0.0, 0
        self._wait = 0.0  # seconds until the next attempt, while the file cannot be written
        self._writing = False
        self._names_written: dict[str, str] = {}
        self._cursors_written: dict[str, int] = {}
        self._looked, self._looked_wall = monotonic(), clock()
        self._steady = 0.0  # seconds that the clock is known to run evenly

    # What the gateway calls.

    def start(self) -> Saved:
        """Open the file, read back what is not sealed, start the thread; return the newest meters of each pack.

        When the file cannot be written just now, it is tried again later; when it cannot be read either, its meters
        are handed to `restored` then.
        """
        if not self.settings.enabled:
            return {}
        try:
            self._open_file()
        except (sqlite3.Error, OSError) as error:
            self._fail(_reason(error, self.path))
            self._only_read()
        saved = self._saved()
        self._late = not self._identity and self._restored is not None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()
        return saved

    def go_on(self, saved: Saved) -> None:
        """Write on: what is metered goes on from what was saved, in all rows that come from now on.

        What was metered before is added to it here.
        """
        with self._lock:
            if not self._late:
                return
            self._take()
            for packs in self._open.values():
                for pack, hour in packs.items():
                    if pack in saved:
                        hour.add_to_meters(saved[pack][1])
            self._late = False
            self.commit_soon()

    def append(self, rows: Sequence[Row]) -> int:
        """Queue rows; return the number of the last."""
        with self._lock:
            if self.settings.enabled:
                # What was read keeps changing in the store: take it as it is now.
                self._queue.extend(Row(pack, time, dict(readings)) for pack, time, readings in rows)
                self._seq += len(rows)
                if len(self._queue) >= TAKEN_AT:
                    self._take()
            return self._seq

    def event(self, event: Event) -> None:
        """Queue an event, to be committed at once."""
        with self._lock:
            if not self.settings.enabled:
                return
            self._events.append(event)
            self._events_seen += 1
            if len(self._events) > HELD_EVENTS and not self._writing:
                self._events_written += len(self._events) - HELD_EVENTS
                del self._events[:-HELD_EVENTS]
            if event.pack and event.name:
                self._names[event.pack] = event.name
            self.commit_soon()

    def name(self, pack: str, name: str) -> None:
        """Note what people call this pack."""
        with self._lock:
            self._names[pack] = name

    def set_cursor(self, sink: str, seq: int) -> None:
        """Note how far a sink has acknowledged; written with the next commit."""
        with self._lock:
            self._cursors[sink] = seq

    def cursor(self, sink: str) -> int | None:
        """Return how far the sink is, or None when nothing is known of it."""
        with self._lock:
            return self._cursors.get(sink)

    def commit_soon(self) -> None:
        """Wake the thread to commit."""
        with self._lock:
            self._soon = True
            self._lock.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued by now is on the disk."""
        with self._lock:
            rows, events = self._seq, self._events_seen
            self._at_once = True
            self.commit_soon()
        if self._thread is None:
            self.turn()
        with self._lock:

            def done() -> bool:
                return self._committed_seq >= rows and self._events_written >= events

            return self._lock.wait_for(done, timeout) if self._thread is not None else done()

    def stop(self) -> None:
        """Commit what is queued, close the file, end the thread."""
        with self._lock:
            self._stopping = self._at_once = True
            self.commit_soon()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        elif self._file is not None:
            self.turn()
            self._close()

    def configure(self, settings: HistorySettings) -> None:
        """Go on with other settings."""
        with self._lock:
            self.settings = settings
            self.commit_soon()

    @property
    def status(self) -> dict[str, Any]:
        """How it goes."""
        with self._lock:
            settings, failing, seq, committed = self.settings, self._failing, self._seq, self._committed_seq
        state = "off" if not settings.enabled else "failing" if failing else "ok"
        return {
            "state": state,
            "reason": failing if state == "failing" else "",
            "queued_rows": max(0, seq - committed),
            "committed_seq": committed,
            "file_bytes": file_bytes(self.path),
            "loses_at_most_s": settings.commit,
            "mb_per_day": mb_per_day(settings.commit),
        }

    @property
    def is_failing(self) -> bool:
        """Whether the file cannot be written just now."""
        with self._lock:
            return self._failing != ""

    def live(self, pack: str, first: int, last: int) -> dict[int, PackHour]:
        """Return copies of the pack's rows that are not sealed, by hour, from one hour to another inclusive."""
        with self._lock:
            self._take()
            found = {}
            for hour, packs in self._open.items():
                if first <= hour <= last and pack in packs and len(packs[pack]):
                    found[hour] = PackHour(packs[pack].layout, packs[pack].flat[:])
            return found

    def live_packs(self) -> dict[str, Layout]:
        """Return the packs that have rows in memory, and their layouts."""
        with self._lock:
            self._take()
            return {pack: self._layouts[pack] for packs in self._open.values() for pack in packs}

    # The thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                if not (self._soon or self._stopping):
                    self._lock.wait_for(lambda: self._soon or self._stopping, self._wait or self.settings.commit)
                self._soon = False
                stopping = self._stopping
            try:
                self.turn()
            except Exception:
                log.exception("the history had an error that nobody thought of; it goes on")
                self._fail("an error in Cellwire itself, see the log; please report it")
            if stopping:
                self._close()
                return

    def turn(self) -> None:
        """Commit what is queued, seal hours that are over; what the thread does again and again."""
        if not self.settings.enabled:
            return
        self._look_at_clock()
        with self._lock:
            self._take()
            at_once, self._at_once = self._at_once, False
        if self._file is None and not at_once and self._monotonic() < self._next_try:
            return
        try:
            if self._file is not None and self._file.is_gone():
                self._rescue(self._file)
            self._work(self._file or self._open_file())
        except (sqlite3.Error, OSError, HistoryError) as error:
            if self._file is None or not self._file.is_gone():  # else nobody else has what it holds
                self._close()
            self._fail(_reason(error, self.path))
        else:
            self._recovered()

    def _work(self, file: HistoryFile) -> None:
        if self._late:  # until whoever meters knows what was saved
            return
        try:
            with damage_told():
                self._commit(file)
                self._seal_what_is_over(file)
                if self._stopping:
                    self._remember(file)
        except Damaged as damage:
            self._close()
            self._set_aside(damage)
            self.commit_soon()

    def _rescue(self, file: HistoryFile) -> None:
        """Copy a file that was taken away while it is still open, and close it."""
        try:
            with damage_told():
                copy_of(file.connection, self._kept)
        except Damaged as damage:
            log.error("history: what was taken away was damaged, too (%s)", damage)
        file.leave()
        self._file = None

    def _fail(self, reason: str) -> None:
        pause = PAUSES[min(self._tries, len(PAUSES) - 1)]
        self._tries += 1
        self._wait = pause
        self._next_try = self._monotonic() + pause
        with self._lock:
            said, self._failing = self._failing, reason
        if not said:
            log.error("history: %s", reason)
            self._tell("history", f"The history cannot be written: {reason}. Rows are kept in memory until it can.")

    def _recovered(self) -> None:
        self._tries, self._next_try, self._wait = 0, 0.0, 0.0
        with self._lock:
            said, self._failing = self._failing, ""
            dropped, self._dropped = self._dropped, 0
        if said or dropped:
            lost = f"; {dropped} rows were too many to be kept, the oldest are lost" if dropped else ""
            log.warning("history: is written again%s", lost)
            self._tell("history", f"The history is written again{lost}.")

    def _set_aside(self, damage: Damaged) -> None:
        try:
            aside = set_aside(self.path, self._clock())
        except OSError as error:
            raise OSError(error.errno, f"it is damaged ({damage}), and cannot be renamed: {error.strerror}") from error
        text = f"The history was damaged ({damage}). It lies at {aside} now, and a new one was begun."
        log.error("history: %s", text)
        self._tell("history", text)

    # Rows in memory.

    def _take(self) -> None:
        """Turn queued rows into integers and put them to their hours; the lock is held."""
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

    def _held(self) -> int:
        return sum(8 * len(hour.flat) for packs in self._open.values() for hour in packs.values())

    def _drop_oldest(self) -> None:
        """Give up the oldest rows that are not on the disk; the lock is held."""
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

    # Opening, with what the file has.

    def _open_file(self) -> HistoryFile:
        """Return the file, opened, with memory and file brought together."""
        existed = self._is_there()
        rescued = not existed and self._kept.exists()
        if rescued:
            os.replace(self._kept, self.path)
        try:
            self._file = self._joined(existed, rescued)
        except Damaged as damage:
            self._set_aside(damage)
            self._file = self._joined(existed=False, rescued=False)
        if self._late:
            self._hand_out()
        if rescued:
            self._tell_loss("It was written anew, with everything that was in it.")
        return self._file

    def _joined(self, existed: bool, rescued: bool) -> HistoryFile:
        opened = HistoryFile(self.path)
        with ExitStack() as unless_well:
            unless_well.callback(opened.close)
            if rescued and self._identity:
                self._identity = opened.identity
            with damage_told():
                self._join(opened, existed)
            unless_well.pop_all()
        return opened

    def _only_read(self) -> None:
        """Go on where a file ends that cannot be written just now, as far as it can be read."""
        try:
            opened = HistoryFile(self.path, open_for_reading)
        except (sqlite3.Error, OSError, HistoryError, Damaged) as error:
            log.warning("history: %s cannot be read either: %s", self.path, error)
            return
        try:
            with self._lock:
                self._take_over(opened)
        except (sqlite3.Error, Damaged) as error:
            log.warning("history: %s cannot be read to its end: %s", self.path, error)
        finally:
            opened.close()

    def _hand_out(self) -> None:
        """Let whoever meters go on from what was saved."""
        saved = self._saved()
        if saved and self._restored is not None:
            self._restored(saved)
        else:
            self.go_on({})

    def _saved(self) -> Saved:
        with self._lock:
            return {pack: (time, dict(values)) for pack, (time, values) in self._journal.items()}

    def _tell_loss(self, text: str) -> None:
        """Tell that the file was taken away; when it was told that it cannot be written, that is over with this."""
        with self._lock:
            self._failing = ""
        log.warning("history: its file was taken away; %s", text)
        self._tell("history", f"The history's file was taken away. {text}")

    @property
    def _kept(self) -> Path:
        """Where a file that was taken away waits until its place is free."""
        return self.path.with_name(self.path.name + KEPT)

    def _is_there(self) -> bool:
        """Return whether there is a file at the path with something in it."""
        try:
            return self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _join(self, opened: HistoryFile, existed: bool) -> None:
        if not self._identity:
            with self._lock:
                self._take_over(opened)
        elif opened.identity == self._identity:
            # The commit that failed may have reached the disk all the same; it is done anew.
            with transaction(opened.connection):
                opened.connection.execute("DELETE FROM hot WHERE id > ?", (self._committed_seq,))
        else:
            with self._lock:
                self._take()
                self._add_what_is_new(opened)
                rows = self._gather(anew=True)
            self._write(opened, rows, anew=True)
            what = "Another history was put in its place, which is used now." if existed else "It is begun anew."
            text = f"{what} The {rows.count} newest rows are in it."
            if self._kept.exists():
                text += f" The one from before is {set_aside(self._kept, self._clock(), 'replaced').name}."
            self._tell_loss(text)
            self._identity = opened.identity

    def _take_over(self, opened: HistoryFile) -> None:
        """Go on where the file ends; the lock is held. What is in memory already comes behind."""
        connection = opened.connection
        query = "SELECT uid, time, fields FROM meter JOIN pack ON pack.id = pack"
        meters = {pack: (when, _numbers(fields)) for pack, when, fields in connection.execute(query)}
        state = dict(connection.execute("SELECT name, value FROM state"))
        hot, last = opened.hot(), opened.last_seq()
        self._learn(opened)
        self._journal = meters
        waiting, self._open = self._open, {}
        newest: list[tuple[int, str, PackHour]] = []
        for pack, layout, flat in hot:
            for number, rows in _by_hour(flat, layout.width):
                hour = self._put(pack, number, layout, rows)
                hour.saved = len(hour)
                newest.append((rows[SEQ - layout.width], pack, PackHour(layout, rows)))
        if opened.spoiled:
            self._tell(
                "history", f"{opened.spoiled} commits of the last hour were damaged; they were set aside in the file."
            )
        for _, pack, part in sorted(newest, key=itemgetter(0)):
            self._note(pack, part)
        for number, packs in waiting.items():
            for pack, hour in packs.items():
                numbers = slice(SEQ, None, hour.layout.width)
                hour.flat[numbers] = array("q", [seq + last for seq in hour.flat[numbers]])
                self._put(pack, number, hour.layout, hour.flat)
        self._taken, self._committed_seq = self._taken + last, last
        self._seq = self._taken + len(self._queue)
        self._identity = opened.identity
        seen = max([float(state.get("time", 0.0)), *(when for when, _ in self._journal.values())])
        self._first_look(seen, float(state.get("steady", 0.0)))

    def _add_what_is_new(self, opened: HistoryFile) -> None:
        """Take the rows of another file that are not in memory; the lock is held."""
        self._learn(opened)
        self._taken = max(self._taken, opened.last_seq())
        # A copy of the file from before has numbers of the same count: they stay.
        same = opened.identity.split()[0] == self._identity.split()[0]
        for pack, layout, flat in opened.hot():
            for number, rows in _by_hour(flat, layout.width):
                known = self._open.get(number, {}).get(pack)
                times = set(known.column(TIME)) if known else set()
                for at in range(0, len(rows), layout.width):
                    if rows[at] not in times:
                        row = rows[at : at + layout.width]
                        if not same:
                            self._taken += 1
                            row[SEQ] = self._taken
                        self._put(pack, number, layout, row)
        self._seq = self._taken

    def _learn(self, opened: HistoryFile) -> None:
        """Take over the layouts and cursors that a file has; the lock is held."""
        for pack, number in opened.connection.execute("SELECT uid, layout FROM pack WHERE layout IS NOT NULL"):
            if number in opened.by_number:
                self._join_layout(pack, opened.by_number[number])
        for sink, seq in opened.connection.execute("SELECT sink, seq FROM cursor"):
            self._cursors.setdefault(sink, seq)

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

    # Committing.

    def _gather(self, anew: bool = False) -> "_Batch":
        """Return what is not on the disk yet, or everything when the file is a new one; the lock is held."""
        batch = _Batch(self._taken)
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
        batch.names, batch.cursors = dict(self._names), dict(self._cursors)
        return batch

    def _commit(self, file: HistoryFile) -> None:
        with self._lock:
            self._take()
            batch = self._gather()
        if batch.groups or batch.events or batch.names != self._names_written or batch.cursors != self._cursors_written:
            self._write(file, batch)

    def _write(self, file: HistoryFile, batch: "_Batch", anew: bool = False) -> None:
        """Bring a batch to the disk in one transaction."""
        connection = file.connection
        self._writing = True
        try:
            with transaction(connection):
                if anew:
                    connection.execute("DELETE FROM hot")
                    _write_meters(file, batch.journal)
                for (number, layout), group in batch.groups.items():
                    packs = [file.pack_number(pack, layout) for pack, _ in group]
                    first, last, data = _hot(packs, [part for _, part in group])
                    connection.execute(
                        "INSERT INTO hot(id, hour, layout, data, first_seq) VALUES(?, ?, ?, ?, ?)",
                        (last, number, file.layout_number(layout), data, first),
                    )
                for event in batch.events:
                    connection.execute(
                        "INSERT INTO event(time, kind, pack, name, text, detail) VALUES(?, ?, ?, ?, ?, ?)",
                        _event(event),
                    )
                for pack, name in batch.names.items():
                    if anew or self._names_written.get(pack) != name:
                        connection.execute(
                            "UPDATE pack SET name = ? WHERE id = ?", (_clean(name), file.pack_number(pack))
                        )
                for sink, seq in batch.cursors.items():
                    if anew or self._cursors_written.get(sink) != seq:
                        connection.execute("INSERT OR REPLACE INTO cursor VALUES(?, ?)", (sink, seq))
        finally:
            self._writing = False
        self._names_written, self._cursors_written = batch.names, batch.cursors
        with self._lock:
            for hour, count in batch.hours:
                hour.saved = count
            self._committed_seq = max(self._committed_seq, batch.seq)
            del self._events[: len(batch.events)]
            self._events_written += len(batch.events)
            self._lock.notify_all()
        meters = {
            pack: {name: values[name] for name in METERS if name in values}
            for pack, (_, values) in batch.journal.items()
            if pack in batch.packs
        }
        if meters:
            self._committed(meters)

    # Sealing.

    def _seal_what_is_over(self, file: HistoryFile) -> None:
        now = self._clock()
        with self._lock:
            over = [
                number
                for number in sorted(self._open)
                if now >= (number + 1) * HOUR + GRACE or now < number * HOUR - ODD
            ]
        for number in over:
            self._seal(file, number, now)
        if over:
            self._retire(file, now)

    def _seal(self, file: HistoryFile, number: int, now: float) -> None:
        """Bring the hour from the hot table into chunks and roll-ups, in one transaction."""
        with self._lock:
            parts = {
                pack: PackHour(hour.layout, hour.flat[: hour.saved * hour.layout.width])
                for pack, hour in self._open[number].items()
                if hour.saved
            }
            committed = self._committed_seq
            journal = {pack: self._journal[pack] for pack in parts if pack in self._journal}
        with transaction(file.connection):
            for pack, part in parts.items():
                seal(file, number, pack, part)
            file.connection.execute("DELETE FROM hot WHERE hour = ? AND id <= ?", (number, committed))
            _write_meters(file, journal)
            self._write_state(file, now)
        with self._lock:
            for pack, part in parts.items():
                hour = self._open[number][pack]
                del hour.flat[: len(part) * hour.layout.width]
                hour.saved -= len(part)
                if not len(hour):
                    self._forget(number, pack)

    def _remember(self, file: HistoryFile) -> None:
        with transaction(file.connection):
            self._write_state(file, self._clock())

    def _write_state(self, file: HistoryFile, now: float) -> None:
        state = (("time", now), ("steady", self._steady), ("seq", self._committed_seq))
        file.connection.executemany("INSERT OR REPLACE INTO state VALUES(?, ?)", state)

    def _retire(self, file: HistoryFile, now: float) -> None:
        """Drop what is too old or too much, a few hours at a time, unless the clock is in doubt."""
        if self._steady < STEADY:
            return
        settings, connection = self.settings, file.connection
        with transaction(connection):
            for table, days in (("chunk", settings.keep_raw), ("roll_m", settings.keep_minutes)):
                drop_hours(connection, table, int(now - days * DAY) // HOUR, lambda: True)
            connection.execute(
                "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE time < ? LIMIT 1000)",
                (int((now - settings.keep_minutes * DAY) * 1000),),
            )
            newest = int(now) // HOUR - KEPT_HOURS
            for table in ("chunk", "roll_m"):
                drop_hours(connection, table, newest, lambda: bytes_used(connection) > settings.size * 1e6)

    # The clock.

    def _first_look(self, seen: float, steady: float) -> None:
        """Compare the clock with what the file knows of the time."""
        now = self._looked_wall = self._clock()
        self._looked = self._monotonic()
        self._steady = steady if 0 <= now - seen < AWAY else 0.0
        if now < seen - JUMP:
            self._tell("clock", f"The clock is {_duration(seen - now)} behind the newest row of the history.")

    def _look_at_clock(self) -> None:
        """Tell when the clock was set, and count for how long it was not."""
        now, passed = self._clock(), self._monotonic()
        jump = (now - self._looked_wall) - (passed - self._looked)
        self._steady += passed - self._looked
        self._looked_wall, self._looked = now, passed
        if abs(jump) > JUMP:
            self._steady = 0.0
            way = "forwards" if jump > 0 else "back"
            log.warning("history: the clock was set %s by %s", way, _duration(abs(jump)))
            self._tell("clock", f"The clock was set {way} by {_duration(abs(jump))}. The history keeps all rows.")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Batch:
    """What one transaction brings to the disk.

    seq: of the newest row in it; hours: where its rows are in memory, and how many of them are saved then
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.count = 0
        self.hours: list[tuple[PackHour, int]] = []
        self.groups: dict[tuple[int, Layout], list[tuple[str, PackHour]]] = {}
        self.packs: set[str] = set()
        self.journal: Saved = {}
        self.events: list[Event] = []
        self.names: dict[str, str] = {}
        self.cursors: dict[str, int] = {}


def _hot(numbers: list[int], parts: list[PackHour]) -> tuple[int, int, bytes]:
    """Return the numbers of the first and last row, and the blob, of these packs' rows."""
    packs, flat = array("q"), array("q")
    for number, part in zip(numbers, parts, strict=True):
        packs.extend([number] * len(part))
        flat += part.flat
    width = parts[0].layout.width
    rows = [flat[at::width] for at in range(width)]
    return min(rows[SEQ]), max(rows[SEQ]), codec.encode_rows([packs, *rows])


def _by_hour(flat: "array[int]", width: int) -> Iterator[tuple[int, "array[int]"]]:
    """Yield the rows by their hour; a hot blob is of one hour, so nearly always all at once."""
    found: dict[int, array[int]] = {}
    for at in range(0, len(flat), width):
        found.setdefault(flat[at] // 3_600_000, array("q")).extend(flat[at : at + width])
    yield from found.items()


def _write_meters(file: HistoryFile, journal: Saved) -> None:
    for pack, (when, values) in journal.items():
        row = (file.pack_number(pack), when, json.dumps(values))
        file.connection.execute("INSERT OR REPLACE INTO meter VALUES(?, ?, ?)", row)


def _event(event: Event) -> tuple[int, str, str, str, str, str]:
    detail = json.dumps(event.detail, default=str)
    return round(event.time * 1000), event.kind, _clean(event.pack), _clean(event.name), _clean(event.text), detail


def _clean(text: str) -> str:
    """Return the text without halves of letters, which cannot be written."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _numbers(text: str) -> dict[str, float]:
    """Return the meters that were written down; none when that cannot be read."""
    try:
        return {str(name): value for name, value in json.loads(text).items() if isinstance(value, int | float)}
    except (ValueError, AttributeError):
        return {}


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _reason(error: Exception, path: Path) -> str:
    """Return why the file cannot be written, and what to do."""
    if isinstance(error, HistoryError):
        return str(error)
    if isinstance(error, sqlite3.Error):
        advice = ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        return f"{path}: {advice} ({error})" if advice else f"{path}: {error}"
    return f"{path}: {getattr(error, 'strerror', None) or error}"


def mb_per_day(commit: float) -> float:
    """Return how many MB a day reach the disk when it is written to every so many seconds, as far as is known."""
    size = KB_PER_COMMIT[-1][1]
    for (at, kb), (next_at, next_kb) in pairwise(KB_PER_COMMIT):
        if commit <= next_at:
            size = kb + (next_kb - kb) * max(0.0, commit - at) / (next_at - at)
            break
    return round(DAY / commit * size / 1000 + SEALING, 1)
