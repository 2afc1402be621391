"""Knows whether the file can be written: why not and what to do, when it is tried again, and what people are told."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from .file import HistoryError

log = logging.getLogger("cellwire")

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds between attempts while the file cannot be written

ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room on it",
    sqlite3.SQLITE_READONLY: "it may not be written; check who owns it and whether the disk is mounted read-only",
    sqlite3.SQLITE_PERM: "it may not be written; check who owns it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder is there and may be written",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; end that",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked; end that",
    sqlite3.SQLITE_IOERR: "the disk reports errors; look at the system log and think of replacing it",
}


class Trouble:
    """Tells once when the file cannot be written, and once when that is over.

    tell: called with kind and text of what people should know
    reason: why the file cannot be written, empty when it can; set by one thread, read by any
    pause: seconds from the last attempt to the next, 0 when the file can be written
    """

    def __init__(self, monotonic: Callable[[], float], tell: Callable[[str, str], None]) -> None:
        self._monotonic, self._tell = monotonic, tell
        self._next_try, self._tries = 0.0, 0
        self.reason = ""
        self.pause = 0.0

    def is_due(self) -> bool:
        """Return whether it is time for an attempt."""
        return self._monotonic() >= self._next_try

    def begin(self, reason: str) -> None:
        """Note that an attempt failed."""
        self.pause = PAUSES[min(self._tries, len(PAUSES) - 1)]
        self._tries += 1
        self._next_try = self._monotonic() + self.pause
        said, self.reason = self.reason, reason
        if not said:
            log.error("history: %s", reason)
            self.tell(f"The history cannot be written: {reason}. Rows are kept in memory until it can.")

    def end(self, dropped: int) -> None:
        """Note that an attempt went well, and how many rows were dropped for want of room before."""
        self._tries, self._next_try, self.pause = 0, 0.0, 0.0
        said, self.reason = self.reason, ""
        if said or dropped:
            lost = f"; {dropped} rows were too many to be kept, the oldest are lost" if dropped else ""
            log.warning("history: is written again%s", lost)
            self.tell(f"The history is written again{lost}.")

    def tell_loss(self, text: str) -> None:
        """Tell that the file was taken away; when it was told that it cannot be written, that is over with this."""
        self.reason = ""
        log.warning("history: its file was taken away; %s", text)
        self.tell(f"The history's file was taken away. {text}")

    def tell(self, text: str) -> None:
        """Tell something else about the file."""
        self._tell("history", text)


def reason_of(error: Exception, path: Path) -> str:
    """Return why the file cannot be written, and what to do."""
    if isinstance(error, HistoryError):
        return str(error)
    if isinstance(error, sqlite3.Error):
        advice = ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        return f"{path}: {advice} ({error})" if advice else f"{path}: {error}"
    return f"{path}: {getattr(error, 'strerror', None) or error}"
