"""Reads the history: charts from the layer that fits their span, energy by local days, events, and rows in order.

Every read is short: a long one would keep the file's log from being emptied, so rows are read an hour at a time.
What is not in the file yet is read from the writer's memory, or without a writer from the hot table.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from . import charts, energy, follow
from . import columns as codec
from .charts import Series
from .file import Damaged, HistoryError, layouts_of, open_for_reading
from .follow import Window
from .layout import HEAD, TIME, PackHour, Row
from .rollup import HOUR
from .view import LAST_HOUR, View, bounded, hot_of, hour_rows, hours_of
from .writer import Writer

__all__ = ["Reader", "Series"]

IDLE = 4  # connections that are kept open

# One at a time: SQLite would walk through all hours to answer both at once.
FIRST = "SELECT min(id) FROM roll_h WHERE id BETWEEN ? AND ?"
LAST = "SELECT max(id) FROM roll_h WHERE id BETWEEN ? AND ?"


class Reader:
    """Reads a history, from any thread. Without a writer it reads what is in the file."""

    def __init__(self, path: Path, writer: Writer | None = None) -> None:
        self.path = path
        self._writer = writer
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[int, int], sqlite3.Connection]] = []

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    # Charts.

    def series(
        self, id: str, names: Sequence[str], start: float, end: float, points: int = 1000, resolution: str = ""
    ) -> Series:
        """Return columns of a pack or bank from one time to another, at most so many points of each.

        The layer follows from the span unless `resolution` is raw, minute, hour or day. Where rows are not kept any
        more, the next layer answers.
        """
        wish = charts.Wish.of(names, start, end, points, resolution)
        with self._view(id, wish.start, wish.end) as view:
            return charts.series(view, wish)

    # Lists.

    def ids(self) -> set[str]:
        """Return the ids of all packs and banks that are in the history."""
        with self._read() as connection:
            stored = connection.execute("SELECT uid FROM pack").fetchall() if connection is not None else []
        return {uid for (uid,) in stored} | set(self._every_fresh())

    def packs(self) -> list[dict[str, Any]]:
        """Return the packs and banks that are in the history, with the times of their first and last rows."""
        found: dict[str, dict[str, Any]] = {}
        with self._read() as connection:
            if connection is not None:
                layouts = layouts_of(connection)
                packs = connection.execute("SELECT id, uid, name, layout FROM pack ORDER BY id").fetchall()
                for number, uid, name, layout in packs:
                    within = number << 32, number << 32 | 0xFFFFFFFF
                    first, last = (connection.execute(query, within).fetchone()[0] for query in (FIRST, LAST))
                    columns = [field.column for field in layouts[layout].fields] if layout in layouts else []
                    found[uid] = {
                        "id": uid,
                        "name": name or uid,
                        "first": None if first is None else (first & 0xFFFFFFFF) * HOUR,
                        "last": None if last is None else _last_time(connection, number, last & 0xFFFFFFFF),
                        "columns": columns,
                    }
        for pack, hours in self._every_fresh().items():
            entry = found.setdefault(pack, {"id": pack, "name": pack, "first": None, "last": None, "columns": []})
            times = [hour.column(TIME) for hour in hours.values()]
            first, last = min(map(min, times)) / 1000, max(map(max, times)) / 1000
            entry["first"] = first if entry["first"] is None else min(entry["first"], first)
            entry["last"] = last if entry["last"] is None else max(entry["last"], last)
            for hour in hours.values():
                entry["columns"] += [
                    field.column for field in hour.layout.fields if field.column not in entry["columns"]
                ]
        return list(found.values())

    def events(
        self,
        start: float,
        end: float,
        id: str = "",
        kinds: Sequence[str] = (),
        limit: int = 500,
        newest_first: bool = True,
    ) -> list[dict[str, Any]]:
        """Return events from one time to another, of one pack and of these kinds if given."""
        query = "SELECT time, kind, pack, name, text, detail FROM event WHERE time BETWEEN ? AND ?"
        values: list[Any] = [round(bounded(start) * 1000), round(bounded(end) * 1000)]
        if id:
            query += " AND pack = ?"
            values.append(id)
        if kinds:
            query += f" AND kind IN ({', '.join('?' * len(kinds))})"
            values += kinds
        order = "DESC" if newest_first else "ASC"
        query += f" ORDER BY time {order}, id {order} LIMIT ?"
        with self._read() as connection:
            if connection is None:
                return []
            rows = connection.execute(query, (*values, max(0, limit))).fetchall()
        return [
            {"time": time / 1000, "kind": kind, "pack": pack, "name": name, "text": text, "detail": json.loads(detail)}
            for time, kind, pack, name, text, detail in rows
        ]

    # Rows.

    def rows(self, id: str, start: float, end: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the rows of a pack in the order of time, from `start` to `end` inclusive."""
        first, last = round(bounded(start) * 1000), round(bounded(end) * 1000)
        hour: int | None = first // 3_600_000
        while hour is not None and hour * 3_600_000 <= last:
            with self._view(id, hour * HOUR, hour * HOUR) as view:
                columns, layout = hour_rows(view, hour)
            for row in zip(*columns, strict=True):
                if first <= row[TIME] <= last:
                    yield row[TIME] / 1000, layout.decode(row[HEAD:])
            hour = self._next_hour(id, hour)

    def window(self, seq: int, most: int) -> Window:
        """Return the rows that came after the one with this number, at most so many; only what is on the disk."""
        with self._read() as connection:
            fetched = follow.fetch(connection, seq, most) if connection is not None else None
        return follow.unpacked(fetched) if fetched is not None else Window(seq, 0, {}, [])

    def after(self, seq: int, limit: int) -> list[tuple[int, Row]]:
        """Return the same as rows in their order; none when no more have come."""
        while limit > 0:
            window = self.window(seq, limit)
            if window.parts or window.end <= seq:
                return sorted((row for part in window.parts for row in part.rows()), key=itemgetter(0))
            seq = window.end
        return []

    def cursor(self, sink: str, never: int = 0) -> int:
        """Return how far this sink has acknowledged, `never` when it never did."""
        if self._writer is not None and (known := self._writer.cursor(sink)) is not None:
            return known
        with self._read() as connection:
            row = connection and connection.execute("SELECT seq FROM cursor WHERE sink = ?", (sink,)).fetchone()
        return int(row[0]) if row else never

    def set_cursor(self, sink: str, seq: int) -> None:
        """Note how far this sink has acknowledged; it is written with the next commit."""
        if self._writer is None:
            raise HistoryError("only the running gateway can note how far rows were forwarded")
        self._writer.set_cursor(sink, seq)

    # Energy.

    def energy(self, id: str, period: str, start: float, end: float, zone: str) -> list[dict[str, float | None]]:
        """Return what the meters counted in each local day or month that has a part between the two times.

        Energy that was metered while no row was written counts where the meter was seen next; a meter that was set
        back counts on from there. Days without a row have None.
        """
        wish = energy.Wish.of(period, start, end, zone)
        with self._view(id, 0, LAST_HOUR * HOUR) as view:
            return energy.energy(view, wish)

    # Connections.

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """Give a connection in a transaction; None when a writer has no file yet."""
        try:
            place = self._place()
            if place is None and self._writer is not None:
                yield None
                return
            connection = self._take(place)
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("ROLLBACK")
            except BaseException:
                connection.close()
                raise
            self._give_back(place, connection)
        except (sqlite3.Error, Damaged, OSError) as error:
            raise HistoryError(f"{self.path} cannot be read: {error}") from error

    def _place(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _take(self, place: tuple[int, int] | None) -> sqlite3.Connection:
        with self._lock:
            while self._idle:
                known, connection = self._idle.pop()
                if known == place:
                    return connection
                connection.close()
        return open_for_reading(self.path)

    def _give_back(self, place: tuple[int, int] | None, connection: sqlite3.Connection) -> None:
        # A connection that was made while nothing can be written keeps others from writing as long as it is open.
        failing = self._writer is not None and self._writer.is_failing
        with self._lock:
            if place is not None and not failing and len(self._idle) < IDLE:
                self._idle.append((place, connection))
                return
        connection.close()

    @contextmanager
    def _view(self, id: str, start: float, end: float) -> Iterator[View]:
        """Give what is known of a pack, the file and the rows that are not sealed."""
        first, last = hours_of(start, end)
        # Memory first: what is sealed in between is then in both, and left out of one.
        fresh = self._writer.live(id, first, last) if self._writer is not None else {}
        with self._read() as connection:
            if connection is None:
                yield View(None, {}, None, fresh)
                return
            layouts = layouts_of(connection)
            row = connection.execute("SELECT id FROM pack WHERE uid = ?", (id,)).fetchone()
            number = None if row is None else int(row[0])
            if self._writer is None and number is not None:
                fresh = hot_of(connection, layouts, number, first, last)
            for hour in list(fresh):
                sealed = connection.execute(
                    "SELECT last_seq FROM chunk WHERE id = ?", (hour << 16 | (number or 0),)
                ).fetchone()
                if sealed is not None:
                    fresh[hour] = fresh[hour].after(sealed[0])
                if not len(fresh[hour]):
                    del fresh[hour]
            yield View(connection, layouts, number, fresh)

    def _every_fresh(self) -> dict[str, dict[int, PackHour]]:
        """Return all rows that are not sealed, by pack and hour."""
        if self._writer is not None:
            return {
                pack: hours for pack in self._writer.live_packs() if (hours := self._writer.live(pack, 0, LAST_HOUR))
            }
        with self._read() as connection:
            if connection is None:
                return {}
            layouts = layouts_of(connection)
            packs = connection.execute("SELECT id, uid FROM pack").fetchall()
            return {uid: hours for number, uid in packs if (hours := hot_of(connection, layouts, number, 0, LAST_HOUR))}

    def _next_hour(self, id: str, hour: int) -> int | None:
        """Return the next hour that has rows of any pack."""
        later: list[int] = []
        if self._writer is not None:
            later += self._writer.live(id, hour + 1, LAST_HOUR)
        with self._read() as connection:
            if connection is not None:
                queries = (
                    ("SELECT min(id) >> 16 FROM chunk WHERE id >= ?", hour + 1 << 16),
                    ("SELECT min(hour) FROM hot WHERE hour >= ?", hour + 1),
                )
                for query, bound in queries:
                    (found,) = connection.execute(query, (bound,)).fetchone()
                    if found is not None:
                        later.append(found)
        return min(later, default=None)


def _last_time(connection: sqlite3.Connection, number: int, hour: int) -> float:
    """Return the time of the newest row in this hour, or the hour's end when rows are not kept any more."""
    row = connection.execute("SELECT data FROM chunk WHERE id = ?", (hour << 16 | number,)).fetchone()
    if row is not None:
        try:
            return max(codec.decode(row[0], [TIME])[0]) / 1000
        except ValueError:
            pass
    return float((hour + 1) * HOUR)
