"""Keeps the readings of all packs and banks in one file, so that a crash or a power cut loses seconds only."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ...gateway.config import HistorySettings
from ...gateway.events import Event, Events
from .file import HistoryError
from .layout import Row
from .reader import Reader, Series
from .writer import Committed, Restored, Saved, Writer

__all__ = ["Committed", "History", "HistoryError", "Reader", "Restored", "Row", "Saved", "Series"]


class History:
    """The history of one gateway.

    committed: called in the writer's thread after each commit, with the meters of each id that are now on the disk
    restored: called in the event loop with what `start` could not read, as soon as that works
    """

    def __init__(
        self,
        settings: HistorySettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        events: Events,
        committed: Committed,
        restored: Restored | None = None,
    ) -> None:
        self._events = events
        self._loop: asyncio.AbstractEventLoop | None = None
        self._restored = restored
        self._writer = Writer(settings, clock, monotonic, self._tell, committed, self._restore if restored else None)
        self.reader = Reader(settings.path, self._writer)

    def _tell(self, kind: str, text: str) -> None:
        self._leave_to_loop(self._events.add, kind, text)

    def _restore(self, saved: Saved) -> None:
        self._leave_to_loop(self._go_on, saved)

    def _go_on(self, saved: Saved) -> None:
        # Rows are appended here too: what comes from now on has what was saved in it, and nothing before.
        assert self._restored is not None
        self._restored(saved)
        self._writer.go_on(saved)

    def _leave_to_loop(self, call: Callable[..., object], *arguments: object) -> None:
        """Call in the event loop, if there is one: the writer has a thread of its own."""
        if self._loop is None or threading.current_thread() is threading.main_thread():
            call(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed: the gateway is at its end
            call(*arguments)

    def start(self) -> Saved:
        """Open the file and start writing; return the newest meters and counters of each id, and when they were taken.

        Raises HistoryError, with what to do, when the path is wrong, or the file not ours. A disk that is full or
        takes no writes is no reason not to start: rows wait in memory, `status` says why.
        """
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        return self._writer.start()

    def append(self, rows: Sequence[Row]) -> int:
        """Take rows to be written with the next commit; return the number of the last one. Never waits for the disk."""
        return self._writer.append(rows)

    def event(self, event: Event) -> None:
        """Take an event, to be written at once."""
        self._writer.event(event)

    def name(self, pack: str, name: str) -> None:
        """Note what people call this pack or bank."""
        self._writer.name(pack, name)

    def commit_soon(self) -> None:
        """Write what is queued at once: something happened that should not be lost."""
        self._writer.commit_soon()

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued by now is on the disk; return whether it is."""
        return self._writer.flush(timeout)

    def stop(self) -> None:
        """Write what is queued and close the file."""
        self.reader.close()  # whoever closes last brings all into the one file
        self._writer.stop()

    def configure(self, settings: HistorySettings) -> None:
        """Go on with other settings; another path is used after the next start."""
        self._writer.configure(settings)

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, as the API shows it."""
        return self._writer.status
