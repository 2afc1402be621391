"""Opens the file and joins it with memory; rescues it when it is taken away, and sets it aside when it is damaged."""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .commit import read_left, read_meters, read_state, write
from .copies import copy_of
from .file import KEPT, Damaged, HistoryError, HistoryFile, damage_told, open_for_reading, set_aside, transaction
from .memory import Memory
from .trouble import Trouble
from .watch import Watch

log = logging.getLogger("cellwire")


class Place:
    """The place of the history's file. Only the thread that writes uses it, or whoever starts that, before.

    file: the one that is open; identity: of the file that memory goes on from, empty until one was read
    """

    def __init__(self, path: Path, clock: Callable[[], float], memory: Memory, watch: Watch, trouble: Trouble) -> None:
        self._path, self._clock = path, clock
        self._memory, self._watch, self._trouble = memory, watch, trouble
        self.file: HistoryFile | None = None
        self.identity = ""

    def open(self) -> HistoryFile:
        """Return the file, opened, with memory and file brought together."""
        existed = self._is_there()
        rescued = not existed and self._kept.exists()
        if rescued:
            os.replace(self._kept, self._path)
        try:
            self.file = self._joined(existed, rescued)
        except Damaged as damage:
            self.set_aside(damage)
            self.file = self._joined(existed=False, rescued=False)
        if rescued:
            self._trouble.tell_loss("It was written anew, with everything that was in it.")
        return self.file

    def only_read(self) -> None:
        """Go on where a file ends that cannot be written just now, as far as it can be read."""
        try:
            opened = HistoryFile(self._path, open_for_reading)
        except (sqlite3.Error, OSError, HistoryError, Damaged) as error:
            log.warning("history: %s cannot be read either: %s", self._path, error)
            return
        try:
            self._take_over(opened)
        except (sqlite3.Error, Damaged) as error:
            log.warning("history: %s cannot be read to its end: %s", self._path, error)
        finally:
            opened.close()

    def rescue(self) -> None:
        """Copy the file when it was taken away while it is open, and close it."""
        if self.file is None or not self.file.is_gone():
            return
        try:
            with damage_told():
                copy_of(self.file.connection, self._kept)
        except Damaged as damage:
            log.error("history: what was taken away was damaged, too (%s)", damage)
        self.file.leave()
        self.file = None

    def set_aside(self, damage: Damaged) -> None:
        """Close the file and give it another name."""
        self.close()
        try:
            aside = set_aside(self._path, self._clock())
        except OSError as error:
            raise OSError(error.errno, f"it is damaged ({damage}), and cannot be renamed: {error.strerror}") from error
        text = f"The history was damaged ({damage}). It lies at {aside} now, and a new one was begun."
        log.error("history: %s", text)
        self._trouble.tell(text)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.file is not None:
            self.file.close()
            self.file = None

    @property
    def _kept(self) -> Path:
        """Where a file that was taken away waits until its place is free."""
        return self._path.with_name(self._path.name + KEPT)

    def _is_there(self) -> bool:
        """Return whether there is a file at the path with something in it."""
        try:
            return self._path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    # Memory and file.

    def _joined(self, existed: bool, rescued: bool) -> HistoryFile:
        opened = HistoryFile(self._path)
        with ExitStack() as unless_well:
            unless_well.callback(opened.close)
            if rescued and self.identity:
                self.identity = opened.identity
            with damage_told():
                self._join(opened, existed)
            unless_well.pop_all()
        return opened

    def _join(self, opened: HistoryFile, existed: bool) -> None:
        if not self.identity:
            self._take_over(opened)
        elif opened.identity == self.identity:
            # The commit that failed may have reached the disk all the same; it is done anew.
            with transaction(opened.connection):
                opened.connection.execute("DELETE FROM hot WHERE id > ?", (self._memory.committed,))
        else:
            self._use_instead(opened, existed)

    def _take_over(self, opened: HistoryFile) -> None:
        """Go on where the file ends."""
        meters, state = read_meters(opened), read_state(opened)
        self._memory.take_over(read_left(opened), meters)
        if opened.spoiled:
            self._trouble.tell(
                f"{opened.spoiled} commits of the last hour were damaged; they were set aside in the file."
            )
        self.identity = opened.identity
        seen = max([float(state.get("time", 0.0)), *(when for when, _ in self._memory.saved().values())])
        self._watch.begin(seen, float(state.get("steady", 0.0)))

    def _use_instead(self, opened: HistoryFile, existed: bool) -> None:
        """Bring everything that is in memory to another file than before."""
        is_copy = opened.identity.split()[0] == self.identity.split()[0]
        self._memory.add_what_is_new(read_left(opened), is_copy)
        with self._memory.batch(anew=True) as batch, transaction(opened.connection):
            write(opened, batch)
        what = "Another history was put in its place, which is used now." if existed else "It is begun anew."
        text = f"{what} The {batch.count} newest rows are in it."
        if self._kept.exists():
            text += f" The one from before is {set_aside(self._kept, self._clock(), 'replaced').name}."
        self._trouble.tell_loss(text)
        self.identity = opened.identity
