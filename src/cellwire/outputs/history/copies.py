"""Copies a history while it is in use, and writes it anew without its unused pages.

A file copied with `cp` while the gateway runs is no backup: what was written last stands in the -wal file beside it.
"""

import os
import sqlite3
from pathlib import Path

from .check import verify


class CopyError(Exception):
    """It was not done, and nothing was changed; the text says why, and what to do."""


def backup(path: Path, out: Path) -> int:
    """Copy the history, also while a gateway writes to it; return the size of the copy in bytes."""
    if out.exists():
        raise CopyError(f"{out} is there already; give another name, nothing is overwritten")
    source = _opened(path, "ro")
    try:
        copy_of(source, out)
    except (sqlite3.Error, OSError) as error:
        raise CopyError(f"{path} could not be copied to {out}: {error}") from error
    finally:
        source.close()
    return out.stat().st_size


def copy_of(source: sqlite3.Connection, out: Path) -> None:
    """Copy what a connection sees, whole and on the disk under its name, or not at all."""
    part = out.with_name(out.name + ".part")
    part.unlink(missing_ok=True)
    try:
        copy = sqlite3.connect(part)
        try:
            # In one piece: page by page it would begin anew with each commit of the gateway. That can go on writing.
            source.backup(copy)
        finally:
            copy.close()
        _sync(part)
        os.replace(part, out)
        _sync(out.parent)
    finally:
        part.unlink(missing_ok=True)


def compact(path: Path) -> tuple[int, int]:
    """Write the history anew without unused pages and put it in the place of the old; return both sizes in bytes."""
    part = path.with_name(path.name + ".compact")
    part.unlink(missing_ok=True)
    old = _opened(path, "rw")
    try:
        _alone(old, path)
        before = path.stat().st_size
        old.execute("VACUUM INTO ?", (str(part),))
        found = verify(part).findings
        if found:
            raise CopyError(f"{path} is not sound, it is left as it is: {found[0]}; see `cellwire history verify`")
        _sync(part)
        # Still locked: no gateway can start on the old file now.
        os.replace(part, path)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise CopyError(f"{path} could not be written anew: {error}") from error
    finally:
        old.close()
        for name in (part, part.with_name(part.name + "-wal"), part.with_name(part.name + "-shm")):
            name.unlink(missing_ok=True)
    return before, path.stat().st_size


def _alone(old: sqlite3.Connection, path: Path) -> None:
    """Lock everybody else out, and bring what stands in the -wal file into the file itself."""
    try:
        old.execute("PRAGMA locking_mode=EXCLUSIVE")
        mode = old.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        old.execute("BEGIN EXCLUSIVE")
        old.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        mode = "wal"
    if mode == "wal":
        raise CopyError(f"{path} is in use; stop the gateway first (`systemctl stop cellwire`), then try again")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    if not path.is_file():
        raise CopyError(f"there is no history at {path}")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=0.5)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
