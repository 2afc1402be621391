"""Seals a pack's hour: its rows become a chunk, its minutes, its hour and its day are rolled up."""

import logging
import sqlite3
from collections.abc import Callable

from . import columns as codec
from . import rollup
from .file import HistoryFile, chunk_rows
from .layout import SEQ, TIME, Layout, PackHour
from .rollup import DAY, HOUR, Stretches

log = logging.getLogger("cellwire")

DROPPED_AT_ONCE = 48  # hours that are dropped after one sealing, at most


def seal(file: HistoryFile, number: int, pack: str, fresh: PackHour) -> None:
    """Write one pack's hour, merged with what is there of it already."""
    connection, layout = file.connection, fresh.layout
    pack_number = file.pack_number(pack, layout)
    chunk, record = number << 16 | pack_number, pack_number << 32 | number
    old = _read_chunk(file, chunk)
    if old is not None:
        fresh, layout = _only_new(fresh, old), fresh.layout.joined(old.layout)
        if not len(fresh):
            return
        fresh.widen(layout)
        old.widen(layout)
    every = PackHour(layout, fresh.flat if old is None else old.flat + fresh.flat)
    columns = every.columns()
    hours = _read_roll(
        file, "roll_h", record, lambda have, data: rollup.decode_record(have, data, number * HOUR), layout
    )
    # Rolled up from the rows themselves, unless some of those were dropped already.
    whole = hours is None or (old is not None and hours.rows[0] <= len(old))
    counted = columns if whole else fresh.columns()
    minutes = rollup.roll(layout, counted, rollup.MINUTE)
    hour = rollup.hour_of(layout, counted, minutes)
    if not whole and hours is not None:
        hour = rollup.united(layout, [hours, hour], HOUR)
        known = _read_roll(file, "roll_m", chunk, lambda have, data: rollup.all_minutes(have, data, number), layout)
        minutes = rollup.united(layout, [known, minutes], rollup.MINUTE) if known is not None else minutes
    form = file.layout_number(layout)
    numbers = columns[SEQ]
    connection.execute(
        "INSERT OR REPLACE INTO chunk VALUES(?, ?, ?, ?, ?, ?)",
        (chunk, form, len(every), min(numbers), max(numbers), codec.encode(columns)),
    )
    connection.execute(
        "INSERT OR REPLACE INTO roll_m VALUES(?, ?, ?)", (chunk, form, rollup.encode_minutes(minutes, number))
    )
    connection.execute("INSERT OR REPLACE INTO roll_h VALUES(?, ?, ?)", (record, form, rollup.encode_record(hour)))
    _roll_day(file, pack_number, number // 24, layout)


def _roll_day(file: HistoryFile, pack_number: int, day: int, layout: Layout) -> None:
    """Write the pack's day anew from its hours."""
    first = pack_number << 32 | day * 24
    hours = []
    query = "SELECT id, layout, data FROM roll_h WHERE id BETWEEN ? AND ? ORDER BY id"
    for record, number, data in file.connection.execute(query, (first, first + 23)):
        try:
            have = file.by_number[number]
            one = rollup.decode_record(have, data, (record & 0xFFFFFFFF) * HOUR)
        except (ValueError, KeyError):  # spoiled; it stays where it is, and the day goes without it
            continue
        hours.append(rollup.moved(one, have, layout))
    values = (
        pack_number << 32 | day,
        file.layout_number(layout),
        rollup.encode_record(rollup.united(layout, hours, DAY)),
    )
    file.connection.execute("INSERT OR REPLACE INTO roll_d VALUES(?, ?, ?)", values)


def _read_chunk(file: HistoryFile, chunk: int) -> PackHour | None:
    row = file.connection.execute("SELECT layout, data FROM chunk WHERE id = ?", (chunk,)).fetchone()
    if row is None:
        return None
    try:
        layout = file.by_number[row[0]]
        return PackHour(layout, chunk_rows(row[1], layout))
    except (ValueError, KeyError):
        log.exception("history: a chunk is spoiled; it was set aside in the file")
        file.spoil("chunk", chunk)
        return None


def _only_new(fresh: PackHour, old: PackHour) -> PackHour:
    """Return the rows that are not in the chunk: a sealing that failed may have reached the disk all the same."""
    known = set(zip(old.column(TIME), old.column(SEQ), strict=True))
    width, new = fresh.layout.width, PackHour(fresh.layout)
    for at in range(0, len(fresh.flat), width):
        if (fresh.flat[at + TIME], fresh.flat[at + SEQ]) not in known:
            new.flat.extend(fresh.flat[at : at + width])
    return new


def _read_roll(
    file: HistoryFile, table: str, number: int, decode: Callable[[Layout, bytes], Stretches], layout: Layout
) -> Stretches | None:
    row = file.connection.execute(f"SELECT layout, data FROM {table} WHERE id = ?", (number,)).fetchone()  # noqa: S608
    if row is None:
        return None
    try:
        have = file.by_number[row[0]]
        return rollup.moved(decode(have, row[1]), have, layout)
    except (ValueError, KeyError):
        log.exception("history: a roll-up is spoiled; it was set aside in the file")
        file.spoil(table, number)
        return None


def drop_hours(connection: sqlite3.Connection, table: str, before: int, wanted: Callable[[], bool]) -> None:
    """Drop the oldest hours of a table while that is wanted, none of them from `before` on."""
    for _ in range(DROPPED_AT_ONCE):
        (oldest,) = connection.execute(f"SELECT min(id) FROM {table}").fetchone()  # noqa: S608 - names of our tables
        if oldest is None or oldest >> 16 >= before or not wanted():
            return
        connection.execute(f"DELETE FROM {table} WHERE id < ?", ((oldest >> 16) + 1 << 16,))  # noqa: S608
