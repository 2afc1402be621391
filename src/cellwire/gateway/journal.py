"""What was written to packs, or refused, and by whom: one line of JSON for each step, on the disk before it is done."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

SENT = "sent"  # the result of a write that was begun and of which nothing more is known
HIDDEN = "***"  # stands in place of a secret
LARGEST = 5_000_000  # bytes of the file; it is put aside then, in place of the one that was put aside before


class JournalError(Exception):
    """The journal cannot be written: a sentence that says what to do. Nothing may be written to a pack then."""


class Journal:
    """The file of all writes. Several programs may use the same one.

    An entry has a number, and more lines follow as more is known of it; the last one of each key counts.
    Keys: entry, time, who, source, pack (id), name, command, before, wanted, found, result, reason; restore (number of
    the entry that began it) and undo (number of the entry that was undone) where they apply.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.clock = clock

    def begin(self, **values: Any) -> int:
        """Write the first line of an entry; return its number. Raises JournalError."""
        return self._write({"time": round(self.clock(), 3), **values})

    def add(self, number: int, **values: Any) -> None:
        """Write what else is known of an entry. Raises JournalError."""
        self._write(values, number)

    def entries(self, pack: str = "", limit: int = 100) -> list[Entry]:
        """Return the newest entries, the newest first; of one pack, when its id is given."""
        found = list(self._entries().values())
        return [entry for entry in reversed(found) if pack in ("", entry.get("pack"))][:limit]

    def entry(self, number: int) -> Entry | None:
        """Return the entry of that number."""
        return self._entries().get(number)

    def _entries(self) -> dict[int, Entry]:
        found: dict[int, Entry] = {}
        for path in (self._old, self.path):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise JournalError(f"{path} cannot be read ({error.strerror}); give this user the right to") from None
            for line in lines:
                try:
                    values = json.loads(line)
                    number = int(values["entry"])
                except (ValueError, KeyError, TypeError):
                    continue  # a line that a power cut left half written
                found.setdefault(number, {}).update(values)
        return found

    @property
    def _old(self) -> Path:
        return self.path.with_name(self.path.name + ".old")

    def _write(self, values: Entry, number: int = 0) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > LARGEST:
                os.replace(self.path, self._old)
            with open(self.path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                number = number or self._next()
                start = b"" if file.tell() == 0 or self._ends_well() else b"\n"
                line = json.dumps({"entry": number, **values}, ensure_ascii=False, separators=(",", ":"))
                file.write(start + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be written ({error.strerror}), and nothing is written to a pack "
                "without it; make room, give this user the right to write there, or name another file"
            ) from None
        return number

    def _next(self) -> int:
        return max(self._entries(), default=0) + 1

    def _ends_well(self) -> bool:
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
