"""Reads rows in the order of their numbers, for whoever forwards them, a window at a time.

A window ends where an hour begins, if it can: so each chunk is unpacked about once, and only one window is in memory.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from . import columns as codec
from .file import hot_columns, layouts_of
from .layout import HEAD, SEQ, TIME, Layout, Row

# What has rows between two numbers. The index on both numbers answers without the chunks themselves.
CHUNKS = "SELECT first_seq, last_seq, id FROM chunk WHERE last_seq > ? AND first_seq <= ? ORDER BY first_seq"
HOT = "SELECT first_seq, id FROM hot WHERE id > ? AND first_seq <= ? ORDER BY first_seq"
NEXT = (
    "SELECT min(ifnull((SELECT min(first_seq) FROM chunk WHERE first_seq > ?1), 1 << 62), "
    "ifnull((SELECT min(first_seq) FROM hot WHERE first_seq > ?1), 1 << 62))"
)
LAST = "SELECT max(ifnull((SELECT max(id) FROM hot), 0), ifnull((SELECT max(last_seq) FROM chunk), 0))"


class Part(NamedTuple):
    """Rows of one pack or bank, in the order of their numbers; its columns are those of the layout."""

    pack: str
    layout: Layout
    columns: list[list[int]]

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Yield the rows with their numbers."""
        for row in zip(*self.columns, strict=True):
            yield row[SEQ], Row(self.pack, row[TIME] / 1000, self.layout.decode(row[HEAD:]))


class Window(NamedTuple):
    """All rows between two numbers.

    end: number of the last that could be in it; last: number of the newest row on the disk; names: of all packs, by id
    """

    end: int
    last: int
    names: dict[str, str]
    parts: list[Part]


class Fetched(NamedTuple):
    """A window as the file has it; of hot blobs the pack is 0."""

    start: int
    end: int
    last: int
    packs: dict[int, tuple[str, str]]
    blobs: list[tuple[int, Layout, bytes]]


def fetch(connection: sqlite3.Connection, seq: int, most: int) -> Fetched:
    """Return what has the rows after this number, at most so many; nothing is unpacked yet."""
    (last,) = connection.execute(LAST).fetchone()
    packs = {number: (uid, name) for number, uid, name in connection.execute("SELECT id, uid, name FROM pack")}
    end = min(seq + most, last)
    if last <= seq:
        return Fetched(seq, seq, last, packs, [])
    chunks = connection.execute(CHUNKS, (seq, end)).fetchall()
    hot = connection.execute(HOT, (seq, end)).fetchall()
    if not chunks and not hot:  # not kept any more
        (first,) = connection.execute(NEXT, (end,)).fetchone()
        return Fetched(seq, min(first - 1, last), last, packs, [])
    begun = [first - 1 for first, last, _ in chunks if seq < first - 1 and last > end]
    end = min([end, *begun])
    layouts = layouts_of(connection)
    blobs: list[tuple[int, Layout, bytes]] = []
    for table, number in [("chunk", number) for first, _, number in chunks if first <= end] + [
        ("hot", number) for first, number in hot if first <= end
    ]:
        form, data = connection.execute(f"SELECT layout, data FROM {table} WHERE id = ?", (number,)).fetchone()  # noqa: S608
        if form in layouts:
            blobs.append((number & 0xFFFF if table == "chunk" else 0, layouts[form], data))
    return Fetched(seq, end, last, packs, blobs)


def unpacked(fetched: Fetched) -> Window:
    """Return the rows themselves; what is spoiled is left out."""
    joined: dict[tuple[int, Layout], list[list[int]]] = {}
    for number, layout, data in fetched.blobs:
        try:
            found = [(number, codec.decode(data))] if number else hot_columns(data, layout)
        except ValueError:
            continue
        for pack, columns in found:
            if len(columns) == layout.width and pack in fetched.packs:
                known = joined.setdefault((pack, layout), columns)
                if known is not columns:
                    for column, more in zip(known, columns, strict=True):
                        column += more
    parts = []
    for (pack, layout), columns in joined.items():
        part = Part(fetched.packs[pack][0], layout, _between(columns, fetched.start, fetched.end))
        if part.columns[SEQ]:
            parts.append(part)
    return Window(fetched.end, fetched.last, dict(fetched.packs.values()), parts)


def _between(columns: list[list[int]], start: int, end: int) -> list[list[int]]:
    """Return the rows with numbers after `start` and up to `end`, in the order of these."""
    numbers = columns[SEQ]
    order = sorted((row for row, number in enumerate(numbers) if start < number <= end), key=numbers.__getitem__)
    if order == list(range(len(numbers))):
        return columns
    return [[column[row] for row in order] for column in columns]
