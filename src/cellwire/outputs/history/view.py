"""What one read of the history sees of a pack: its part of the file, and its rows that are not sealed."""

import math
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from . import columns as codec
from . import rollup
from .file import hot_rows
from .layout import HEAD, Layout, PackHour
from .rollup import HOUR, Stretches

LAST_HOUR = 1 << 31


class Chunk(NamedTuple):
    hour: int
    layout: Layout
    data: bytes


@dataclass
class View:
    """What is read in one transaction: the file, and rows that are not sealed."""

    connection: sqlite3.Connection | None
    layouts: dict[int, Layout]
    number: int | None  # of the pack
    fresh: dict[int, PackHour]

    def chunks(self, table: str, first: int, last: int) -> list[Chunk]:
        """Return the pack's chunks or minutes from one hour to another inclusive."""
        if self.connection is None or self.number is None or last < first:
            return []
        query = f"SELECT id, layout, data FROM {table} WHERE id BETWEEN ? AND ? AND id & 65535 = ? ORDER BY id"  # noqa: S608
        rows = self.connection.execute(query, (first << 16, last << 16 | 0xFFFF, self.number))
        return [Chunk(number >> 16, self.layouts[layout], data) for number, layout, data in rows]

    def count(self, table: str, first: int, last: int) -> int:
        """Return how many hours of the pack are in this table."""
        if self.connection is None or self.number is None:
            return 0
        if table == "roll_h":
            query, bounds = (
                "SELECT count(*) FROM roll_h WHERE id BETWEEN ? AND ?",
                (self.number << 32 | first, self.number << 32 | last),
            )
            return int(self.connection.execute(query, bounds).fetchone()[0])
        query = f"SELECT count(*) FROM {table} WHERE id BETWEEN ? AND ? AND id & 65535 = ?"  # noqa: S608
        return int(self.connection.execute(query, (first << 16, last << 16 | 0xFFFF, self.number)).fetchone()[0])

    def records(self, table: str, first: int, last: int) -> list[Chunk]:
        """Return the pack's hours or days, from one to another inclusive."""
        if self.connection is None or self.number is None:
            return []
        query = f"SELECT id, layout, data FROM {table} WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608
        rows = self.connection.execute(query, (self.number << 32 | first, self.number << 32 | last))
        layouts = self.layouts
        return [Chunk(number & 0xFFFFFFFF, layouts[layout], data) for number, layout, data in rows]


def bounded(time: float) -> float:
    """Return the time as one that can be in a history."""
    if math.isnan(time):
        raise ValueError("a time must be a number of seconds since 1970")
    return min(max(time, 0.0), LAST_HOUR * 3600.0)


def hours_of(start: float, end: float) -> tuple[int, int]:
    return int(start) // HOUR, int(end) // HOUR


# A commit never changes, and whoever reads without a writer asks for those of the open hour again and again.
_hot_rows = lru_cache(1000)(hot_rows)


def hot_of(
    connection: sqlite3.Connection, layouts: dict[int, Layout], number: int, first: int, last: int
) -> dict[int, PackHour]:
    """Return a pack's rows in the hot table, by hour."""
    found: dict[int, PackHour] = {}
    query = "SELECT hour, layout, data FROM hot WHERE hour BETWEEN ? AND ? ORDER BY id"
    for hour, form, data in connection.execute(query, (first, last)):
        try:
            parts = _hot_rows(data, layouts[form])
        except (ValueError, KeyError):  # spoiled: the writer will set it aside when it starts next
            continue
        for pack, flat in parts:
            if pack == number:
                part = PackHour(layouts[form], flat)
                known = found.setdefault(hour, PackHour(layouts[form]))
                joined = known.layout.joined(part.layout)
                known.widen(joined)
                part.widen(joined)
                known.flat.extend(part.flat)
    return found


def decoded(chunk: Chunk, wanted: Sequence[int] | None = None) -> list[list[int]]:
    """Return columns of a chunk; none at all when it is spoiled: one bad hour must not spoil the year."""
    try:
        found = codec.decode(chunk.data, wanted)
    except ValueError:
        return []
    return found if wanted is not None or len(found) == chunk.layout.width else []


def hour_rows(view: View, hour: int) -> tuple[list[Sequence[int]], Layout]:
    """Return all columns of the pack's rows in this hour, in the order of time, and their layout."""
    fresh = view.fresh.get(hour)
    for chunk in view.chunks("chunk", hour, hour):
        columns = decoded(chunk)
        if columns and fresh is None:
            return list(columns), chunk.layout
        if columns and fresh is not None:
            old = PackHour(chunk.layout, array("q", [value for row in zip(*columns, strict=True) for value in row]))
            layout = fresh.layout.joined(chunk.layout)
            old.widen(layout)
            fresh.widen(layout)
            old.flat.extend(fresh.flat)
            return list(old.columns()), layout
    return (list(fresh.columns()), fresh.layout) if fresh is not None else ([], Layout(()))


def places_of(layout: Layout, names: Sequence[str]) -> list[int]:
    """Return the places of the fields of these names that the layout has, ascending."""
    return sorted(layout.index[name] - HEAD for name in names if name in layout.index)


def fresh_parts(view: View, names: Sequence[str], seconds: int) -> list[tuple[Stretches, Layout, list[int]]]:
    """Return what is not sealed as stretches of so many seconds, with the places of their fields."""
    parts = []
    for _, fresh in sorted(view.fresh.items()):
        places = places_of(fresh.layout, names)
        parts.append((rollup.roll(fresh.layout, fresh.columns(), seconds, places), fresh.layout, places))
    return parts
