"""Writes the history: one thread owns the file, commits what came every few seconds, and seals hours that are over.

What it writes, and what waits for that, is in memory.py; how the file is opened and lost in place.py.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...gateway.config import HistorySettings
from ...gateway.events import Event
from .batch import Saved
from .commit import mb_per_day, write, write_meters, write_state
from .file import Damaged, HistoryError, HistoryFile, bytes_used, damage_told, file_bytes, transaction
from .layout import Layout, PackHour, Row
from .memory import Committed, Memory
from .place import Place
from .rollup import DAY, HOUR
from .seal import drop_hours, seal
from .trouble import Trouble, reason_of
from .watch import Watch

__all__ = ["Committed", "Restored", "Saved", "Writer"]

log = logging.getLogger("cellwire")

Restored = Callable[[Saved], None]

GRACE = 5.0  # seconds after which an hour's last rows have come
ODD = 60.0  # seconds: an hour that is further ahead than this was written before the clock was set back
STEADY = 86400.0  # seconds that the clock must have run evenly before anything old is dropped
KEPT_HOURS = 24  # the newest hours are never dropped for want of room


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
        self._clock, self._restored = clock, restored
        self._memory = Memory(committed)
        self._trouble = Trouble(monotonic, tell)
        self._thread: threading.Thread | None = None
        # These are shared with other threads, under the lock.
        self._lock = threading.Condition(threading.RLock())
        self._soon = self._stopping = self._at_once = False
        self._late = False  # nothing was read at the start: the meters in the rows begin at 0
        # Only the thread (or start, before it) uses these.
        self._watch = Watch(clock, monotonic, tell)
        self._place = Place(settings.path, clock, self._memory, self._watch, self._trouble)

    # What the gateway calls.

    def start(self) -> Saved:
        """Open the file, read back what is not sealed, start the thread; return the newest meters of each pack.

        When the file cannot be written just now, it is tried again later; when it cannot be read either, its meters
        are handed to `restored` then.
        """
        if not self.settings.enabled:
            return {}
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._trouble.begin(reason_of(error, self.path))
            self._place.only_read()
        saved = self._memory.saved()
        self._late = not self._place.identity and self._restored is not None
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
            self._memory.add_to_meters(saved)
            self._late = False
            self.commit_soon()

    def append(self, rows: Sequence[Row]) -> int:
        """Queue rows; return the number of the last."""
        return self._memory.append(rows) if self.settings.enabled else self._memory.seq

    def event(self, event: Event) -> None:
        """Queue an event, to be committed at once."""
        if self.settings.enabled:
            self._memory.event(event)
            self.commit_soon()

    def name(self, pack: str, name: str) -> None:
        """Note what people call this pack."""
        self._memory.name(pack, name)

    def set_cursor(self, sink: str, seq: int) -> None:
        """Note how far a sink has acknowledged; written with the next commit."""
        self._memory.set_cursor(sink, seq)

    def cursor(self, sink: str) -> int | None:
        """Return how far the sink is, or None when nothing is known of it."""
        return self._memory.cursor(sink)

    def commit_soon(self) -> None:
        """Wake the thread to commit."""
        with self._lock:
            self._soon = True
            self._lock.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued by now is on the disk."""
        queued = self._memory.queued()
        with self._lock:
            self._at_once = True
            self.commit_soon()
        if self._thread is None:
            self.turn()
        return self._memory.wait(queued, timeout if self._thread is not None else 0.0)

    def stop(self) -> None:
        """Commit what is queued, close the file, end the thread."""
        with self._lock:
            self._stopping = self._at_once = True
            self.commit_soon()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        elif self._place.file is not None:
            self.turn()
            self._place.close()

    def configure(self, settings: HistorySettings) -> None:
        """Go on with other settings."""
        with self._lock:
            self.settings = settings
            self.commit_soon()

    @property
    def status(self) -> dict[str, Any]:
        """How it goes."""
        settings, failing, committed = self.settings, self._trouble.reason, self._memory.committed
        state = "off" if not settings.enabled else "failing" if failing else "ok"
        return {
            "state": state,
            "reason": failing if state == "failing" else "",
            "queued_rows": max(0, self._memory.seq - committed),
            "committed_seq": committed,
            "file_bytes": file_bytes(self.path),
            "loses_at_most_s": settings.commit,
            "mb_per_day": mb_per_day(settings.commit),
        }

    @property
    def is_failing(self) -> bool:
        """Whether the file cannot be written just now."""
        return self._trouble.reason != ""

    def live(self, pack: str, first: int, last: int) -> dict[int, PackHour]:
        """Return copies of the pack's rows that are not sealed, by hour, from one hour to another inclusive."""
        return self._memory.live(pack, first, last)

    def live_packs(self) -> dict[str, Layout]:
        """Return the packs that have rows in memory, and their layouts."""
        return self._memory.live_packs()

    # The thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                if not (self._soon or self._stopping):
                    pause = self._trouble.pause or self.settings.commit
                    self._lock.wait_for(lambda: self._soon or self._stopping, pause)
                self._soon = False
                stopping = self._stopping
            try:
                self.turn()
            except Exception:
                log.exception("the history had an error that nobody thought of; it goes on")
                self._trouble.begin("an error in Cellwire itself, see the log; please report it")
            if stopping:
                self._place.close()
                return

    def turn(self) -> None:
        """Commit what is queued, seal hours that are over; what the thread does again and again."""
        if not self.settings.enabled:
            return
        self._watch.look()
        self._memory.take()
        with self._lock:
            at_once, self._at_once = self._at_once, False
        place = self._place
        if place.file is None and not at_once and not self._trouble.is_due():
            return
        try:
            place.rescue()
            self._work(place.file or self._open())
        except (sqlite3.Error, OSError, HistoryError) as error:
            if place.file is None or not place.file.is_gone():  # else nobody else has what it holds
                place.close()
            self._trouble.begin(reason_of(error, self.path))
        else:
            self._trouble.end(self._memory.pop_dropped())

    def _open(self) -> HistoryFile:
        file = self._place.open()
        if self._late:
            self._hand_out()
        return file

    def _hand_out(self) -> None:
        """Let whoever meters go on from what was saved."""
        saved = self._memory.saved()
        if saved and self._restored is not None:
            self._restored(saved)
        else:
            self.go_on({})

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
            self._place.set_aside(damage)
            self.commit_soon()

    def _commit(self, file: HistoryFile) -> None:
        with self._memory.batch() as batch:
            if batch:
                with transaction(file.connection):
                    write(file, batch)

    # Sealing.

    def _seal_what_is_over(self, file: HistoryFile) -> None:
        now = self._clock()
        over = [
            number for number in self._memory.hours() if now >= (number + 1) * HOUR + GRACE or now < number * HOUR - ODD
        ]
        for number in over:
            self._seal(file, number, now)
        if over:
            self._retire(file, now)

    def _seal(self, file: HistoryFile, number: int, now: float) -> None:
        """Bring the hour from the hot table into chunks and roll-ups, in one transaction."""
        parts = self._memory.committed_rows(number)
        meters = {pack: saved for pack, saved in self._memory.saved().items() if pack in parts}
        with transaction(file.connection):
            for pack, part in parts.items():
                seal(file, number, pack, part)
            file.connection.execute("DELETE FROM hot WHERE hour = ? AND id <= ?", (number, self._memory.committed))
            write_meters(file, meters)
            self._write_state(file, now)
        self._memory.let_go(number, parts)

    def _remember(self, file: HistoryFile) -> None:
        with transaction(file.connection):
            self._write_state(file, self._clock())

    def _write_state(self, file: HistoryFile, now: float) -> None:
        write_state(file, now, self._watch.steady, self._memory.committed)

    def _retire(self, file: HistoryFile, now: float) -> None:
        """Drop what is too old or too much, a few hours at a time, unless the clock is in doubt."""
        if self._watch.steady < STEADY:
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
