"""The history's file: its tables, how it is opened, brought up to date, and set aside when it is damaged."""

import os
import secrets
import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from . import columns
from .layout import SEQ, Layout

VERSION = 2
APPLICATION = 0x43656C6C  # "Cell"
KEPT = ".kept"  # what the name of a file ends with that was taken away, until its place is free again
BUSY = 5.0  # seconds to wait for another program that has the file

# hot     rows of the open hour: one blob for each commit, layout and hour; id is the number of its last row
# chunk   rows of one pack in one hour; id is hour << 16 | pack
# roll_m  the minutes of one pack in one hour, ids alike
# roll_h  one pack's hour, roll_d one pack's day in UTC; id is pack << 32 | hour or day
# meter   newest meters and counters of a pack, as JSON
# spoiled what could not be read any more; nothing is thrown away
TABLES = """
CREATE TABLE layout(id INTEGER PRIMARY KEY, fields TEXT NOT NULL);
CREATE TABLE pack(id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL DEFAULT '', layout INTEGER);
CREATE TABLE hot(id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE roll_m(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE roll_h(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE roll_d(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, pack TEXT NOT NULL,
 name TEXT NOT NULL, text TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX event_time ON event(time);
CREATE TABLE cursor(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE meter(pack INTEGER PRIMARY KEY, time REAL NOT NULL, fields TEXT NOT NULL);
"""


class HistoryError(Exception):
    """The history cannot be read or written; the text says why and what to do."""


class Damaged(Exception):
    """The file is one of ours, but damaged."""


def _to_2(connection: sqlite3.Connection) -> None:
    """Put the numbers of rows beside them, so that what was not forwarded yet is found without unpacking."""
    connection.execute("ALTER TABLE chunk RENAME TO old")
    connection.execute(
        "CREATE TABLE chunk(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, n INTEGER NOT NULL, "
        "first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, data BLOB NOT NULL)"
    )
    connection.execute("CREATE TABLE spoiled(source TEXT NOT NULL, id INTEGER, layout INTEGER, data BLOB)")
    connection.execute("CREATE TABLE state(name TEXT PRIMARY KEY, value) WITHOUT ROWID")
    for number, layout, n, data in connection.execute("SELECT id, layout, n, data FROM old ORDER BY id"):
        try:
            numbers = columns.decode(data, [SEQ])[0]
        except ValueError:
            connection.execute("INSERT INTO spoiled VALUES('chunk', ?, ?, ?)", (number, layout, data))
            continue
        values = (number, layout, n, min(numbers, default=0), max(numbers, default=0), data)
        connection.execute("INSERT INTO chunk VALUES(?, ?, ?, ?, ?, ?)", values)
    connection.execute("DROP TABLE old")
    connection.execute("ALTER TABLE hot ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 0")
    for number, data in connection.execute("SELECT id, data FROM hot").fetchall():
        try:
            numbers = columns.decode_rows(data)[1 + SEQ]
        except (ValueError, IndexError):  # set aside when it is read
            continue
        connection.execute("UPDATE hot SET first_seq = ? WHERE id = ?", (min(numbers, default=0), number))
    connection.execute("CREATE INDEX chunk_seq ON chunk(last_seq, first_seq)")
    connection.execute("INSERT INTO state VALUES('file', ?)", (secrets.token_hex(8),))


# What brings a file from the version before to this one. A new file goes the same way, so there is only one.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {2: _to_2}


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return the connection to the history, made or brought up to date if needed.

    Raises HistoryError when the file is not ours or too new, Damaged when it is ours and damaged, and what sqlite3
    and the system raise when it cannot be opened at all.
    """
    if not path.parent.is_dir():
        raise HistoryError(f"{path.parent} is not there; make this folder, or set history.path to a file elsewhere")
    _look_at(path)
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    with ExitStack() as unless_well:
        unless_well.callback(connection.close)
        with damage_told():
            _set_up(connection, path)
        unless_well.pop_all()
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cache_size=-4000")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages == 0:
        connection.execute("PRAGMA page_size=1024")
    else:
        _refuse_foreign(connection, path)
    with transaction(connection):
        _migrate(connection, new=pages == 0)
    # Only now: until its first checkpoint a file in this mode holds nothing by itself.
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise HistoryError(
            f"{path} lies on a file system without shared memory, where a power cut could damage it; "
            "set history.path to a file on a local disk"
        )
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    connection.execute("PRAGMA journal_size_limit=8388608")
    # A transaction on a file that may only be read begins and ends well when it changes nothing; this does not.
    connection.execute("UPDATE state SET value = value WHERE false")


def _migrate(connection: sqlite3.Connection, new: bool) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if new:
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        version = 1
    for next_version in range(version + 1, VERSION + 1):
        MIGRATIONS[next_version](connection)
        connection.execute(f"PRAGMA user_version={next_version}")


def _look_at(path: Path) -> None:
    """Raise when the file's first bytes are not those of a history."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        raise HistoryError(f"{path} is a folder; set history.path to a file in it") from error
    if not head:
        return
    if not any(head[:16]):
        raise Damaged("it begins with zeros")
    if not head.startswith(b"SQLite format 3\0"):
        raise HistoryError(f"{path} is not a history of Cellwire; set history.path to another file")


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise HistoryError(f"{path} is a database of another program; set history.path to another file")
    if version > VERSION:
        raise HistoryError(
            f"{path} is of a newer Cellwire (format {version}, this one knows {VERSION}); "
            "install that, or set history.path to another file"
        )
    if version < 1:
        raise Damaged("its format is not known")


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what sqlite3 says of a damaged file into Damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # sqlite3 sets no code for errors of its own.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Damaged(str(error)) from error
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all or nothing of what is inside."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def set_aside(path: Path, now: float, word: str = "damaged") -> Path:
    """Give a file that cannot be used, and what belongs to it, a name with the time; return that."""
    try:
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S")
    except (ValueError, OverflowError):
        stamp = "unknown-time"
    name = f"{path.name.removesuffix(KEPT)}.{word}-{stamp}"
    aside = path.with_name(name)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{name}-{number}")
    for ending in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + ending)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + ending))
    return aside


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads. Raises HistoryError when there is no history at this path."""
    if not path.exists():
        raise HistoryError(f"there is no history at {path}; start the gateway once, or name another file")
    try:
        _look_at(path)
        name = f"{path.absolute().as_uri()}?mode=ro"
        if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
            name += "&immutable=1"  # nobody can write to it here, and there is no room for what SQLite puts beside it
        connection = sqlite3.connect(name, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
        with ExitStack() as unless_well:
            unless_well.callback(connection.close)
            connection.execute("PRAGMA cache_size=-4000")
            _refuse_foreign(connection, path)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            unless_well.pop_all()
    except (sqlite3.Error, OSError, Damaged) as error:
        raise HistoryError(f"{path} cannot be read: {error}") from error
    if version < VERSION:
        connection.close()
        raise HistoryError(f"{path} was written by an older Cellwire; start the gateway once to bring it up to date")
    return connection


def layouts_of(connection: sqlite3.Connection) -> dict[int, Layout]:
    """Return all layouts by their number."""
    try:
        return {number: Layout.read(fields) for number, fields in connection.execute("SELECT id, fields FROM layout")}
    except (ValueError, TypeError) as error:
        raise Damaged(f"a layout cannot be read: {error}") from error


def hot_columns(data: bytes, layout: Layout) -> list[tuple[int, list[list[int]]]]:
    """Return the columns of a hot blob for each number of a pack, whose rows lie side by side. Raises ValueError."""
    packs, *found = columns.decode_rows(data)
    if len(found) != layout.width:
        raise ValueError("the rows do not fit to their layout")
    parts, at = [], 0
    for pack, rows in groupby(packs):
        end = at + sum(1 for _ in rows)
        parts.append((pack, [column[at:end] for column in found]))
        at = end
    return parts


def hot_rows(data: bytes, layout: Layout) -> list[tuple[int, "array[int]"]]:
    """Return the rows of a hot blob, for each number of a pack one after the other. Raises ValueError."""
    parts: list[tuple[int, array[int]]] = []
    for pack, found in hot_columns(data, layout):
        flat = array("q", bytes(8 * layout.width * len(found[0])))
        for index, column in enumerate(found):
            flat[index :: layout.width] = _whole(column)
        parts.append((pack, flat))
    return parts


def chunk_rows(data: bytes, layout: Layout) -> "array[int]":
    """Return the rows of a chunk, one after the other. Raises ValueError."""
    found = columns.decode(data)
    if len(found) != layout.width:
        raise ValueError("the chunk does not fit to its layout")
    flat = array("q", bytes(8 * layout.width * len(found[0])))
    for at, column in enumerate(found):
        flat[at :: layout.width] = _whole(column)
    return flat


def _whole(column: list[int]) -> "array[int]":
    try:
        return array("q", column)
    except OverflowError as error:
        raise ValueError("the rows have values that were never written") from error


class HistoryFile:
    """The open file, with the numbers that packs and layouts have in it."""

    def __init__(self, path: Path, opened: Callable[[Path], sqlite3.Connection] = open_for_writing) -> None:
        self.path = path
        self._paths = (f"{path}", f"{path}-wal", f"{path}-shm")
        self.spoiled = 0  # hot blobs that could not be read
        self.connection = opened(path)
        with ExitStack() as unless_well:
            unless_well.callback(self.close)
            with damage_told():
                self._read()
            unless_well.pop_all()

    def _read(self) -> None:
        (name,) = self.connection.execute("SELECT value FROM state WHERE name = 'file'").fetchone() or ("",)
        self._places = self._present()
        # Not the name alone: a copy of the file has it too.
        self.identity = f"{name} {self._places[0]}"
        self.by_number = layouts_of(self.connection)
        self.layouts = {layout: number for number, layout in self.by_number.items()}
        self.packs: dict[str, int] = dict(self.connection.execute("SELECT uid, id FROM pack"))
        self._layout_of: dict[str, int] = dict(self.connection.execute("SELECT uid, layout FROM pack"))

    def close(self) -> None:
        """Close the file, whatever state it is in."""
        try:
            self.connection.close()
        except sqlite3.Error:
            pass

    def _present(self) -> list[tuple[int, int] | None]:
        return [_place(path) for path in self._paths]

    def is_gone(self) -> bool:
        """Return whether another file, or none, is in the place of this one or of what belongs to it.

        Then what it holds is only there as long as it is open, and what was committed last would not survive a crash.
        """
        return self._present() != self._places

    def leave(self) -> None:
        """Close a file that is gone, and remove what is left of it, so that nothing of it gets into another one."""
        self.close()
        for path, place, now in zip(self._paths, self._places, self._present(), strict=True):
            if now is not None and now == place:
                os.unlink(path)

    def layout_number(self, layout: Layout) -> int:
        """Return the number of the layout, written down if it is new."""
        if layout not in self.layouts:
            cursor = self.connection.execute("INSERT INTO layout(fields) VALUES(?)", (layout.written(),))
            number = int(cursor.lastrowid or 0)
            self.layouts[layout], self.by_number[number] = number, layout
        return self.layouts[layout]

    def pack_number(self, pack: str, layout: Layout | None = None) -> int:
        """Return the number of the pack, written down if it is new, as is its newest layout."""
        if pack not in self.packs:
            cursor = self.connection.execute("INSERT INTO pack(uid) VALUES(?)", (pack,))
            self.packs[pack] = int(cursor.lastrowid or 0)
        if layout is not None and self._layout_of.get(pack) != (number := self.layout_number(layout)):
            self.connection.execute("UPDATE pack SET layout = ? WHERE uid = ?", (number, pack))
            self._layout_of[pack] = number
        return self.packs[pack]

    def last_seq(self) -> int:
        """Return the largest number of a row that was ever given, as far as the file knows."""
        query = (
            "SELECT max(ifnull((SELECT max(id) FROM hot), 0), ifnull((SELECT max(last_seq) FROM chunk), 0), "
            "ifnull((SELECT max(seq) FROM cursor), 0), ifnull((SELECT value FROM state WHERE name = 'seq'), 0))"
        )
        return int(self.connection.execute(query).fetchone()[0])

    def hot(self) -> list[tuple[str, Layout, "array[int]"]]:
        """Return all rows that are not sealed, in the order in which they came; what is spoiled is set aside."""
        names = {number: pack for pack, number in self.packs.items()}
        found: list[tuple[str, Layout, array[int]]] = []
        spoiled: list[int] = []
        for blob, number, data in self.connection.execute("SELECT id, layout, data FROM hot ORDER BY id"):
            try:
                layout = self.by_number[number]
                found += [(names[pack], layout, flat) for pack, flat in hot_rows(data, layout)]
            except (ValueError, KeyError):
                spoiled.append(blob)
        self.spoiled = len(spoiled)
        for blob in spoiled:
            with transaction(self.connection):
                self.spoil("hot", blob)
        return found

    def spoil(self, table: str, number: int) -> None:
        """Set aside what cannot be read, so that it is not in the way."""
        # Names of our own tables: nothing from outside gets into these.
        which = f"FROM {table} WHERE id = ?"
        self.connection.execute(f"INSERT INTO spoiled SELECT '{table}', id, layout, data {which}", (number,))
        self.connection.execute(f"DELETE {which}", (number,))


def _place(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one with the same name; None when there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def bytes_used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that are in use."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(size * (pages - free))


def file_bytes(path: Path) -> int:
    """Return the bytes that the history takes on the disk now."""
    total = 0
    for ending in ("", "-wal"):
        try:
            total += path.with_name(path.name + ending).stat().st_size
        except OSError:  # not there, or out of reach: it takes no room that could be told
            continue
    return total
