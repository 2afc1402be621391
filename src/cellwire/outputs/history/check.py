"""Reads a whole history and says what is wrong with it; it changes nothing, and the gateway may go on writing."""

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ...gateway.store import utc
from . import columns as codec
from .columns import MISSING
from .file import Damaged, hot_rows, layouts_of, open_for_reading
from .layout import METERS, SEQ, TIME, Layout, sorted_by_time
from .rollup import DAY, HOUR, MINUTE, Stretches, all_minutes, decode_record, hour_of, moved, roll, united

MOST = 100  # findings that are listed; a damaged file has thousands
# Rows of one pack whose numbers are further apart than this do not follow each other: the clock was set in between.
APART = 10_000
TABLES = ("chunk", "roll_m", "roll_h", "roll_d", "hot")


@dataclass
class Report:
    """What a history holds, and what is wrong with it.

    first, last: times of the oldest and the newest row, seconds since 1970; unlisted: findings that are only counted
    """

    findings: list[str] = field(default_factory=list)
    unlisted: int = 0
    packs: int = 0
    rows: int = 0
    hours: int = 0
    events: int = 0
    first: float | None = None
    last: float | None = None

    def add(self, finding: str) -> None:
        """Note something that is wrong."""
        if len(self.findings) < MOST:
            self.findings.append(finding)
        else:
            self.unlisted += 1

    def seen(self, times: Sequence[int]) -> None:
        """Count rows with these times, in milliseconds."""
        self.rows += len(times)
        if times:
            first, last = min(times) / 1000, max(times) / 1000
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        names = ("packs", "rows", "hours", "events", "first", "last", "findings", "unlisted")
        return {name: getattr(self, name) for name in names}

    def summary(self) -> str:
        """Return what there is in a line for people."""
        count = len(self.findings) + self.unlisted
        verdict = f"{count} finding{'s' * (count != 1)}" if count else "sound"
        span = (
            f" from {utc(self.first)} to {utc(self.last)}" if self.first is not None and self.last is not None else ""
        )
        return f"{verdict}: {self.rows} rows of {self.packs} packs and banks{span}, {self.events} events"


def verify(path: Path) -> Report:
    """Read the whole file; return what is in it, and what is wrong. Raises HistoryError when it is no history."""
    report = Report()
    connection = open_for_reading(path)
    try:
        connection.execute("BEGIN")  # one moment of it, whatever is written meanwhile
        _Check(connection, report).run()
    except (sqlite3.DatabaseError, Damaged) as error:
        report.add(f"what follows cannot be read: {error}")
    finally:
        connection.close()
    return report


class Run(NamedTuple):
    """Rows of one pack in one entry whose numbers follow each other.

    first, last: their numbers; before, after: each meter's first and last value; table, identity: where they stand
    """

    first: int
    last: int
    before: list[int]
    after: list[int]
    table: str
    identity: int


class _Check:
    def __init__(self, connection: sqlite3.Connection, report: Report) -> None:
        self.connection = connection
        self.report = report
        self.layouts: dict[int, Layout] = {}
        self.packs: dict[int, str] = {}
        self.runs: dict[int, list[Run]] = {}
        self.in_hot: set[int] = set()  # packs with rows that are not sealed

    def run(self) -> None:
        """Look at everything."""
        for (text,) in self.connection.execute(f"PRAGMA integrity_check({MOST})"):
            if text != "ok":
                self.report.add(f"SQLite finds: {text}")
        self.layouts = layouts_of(self.connection)
        self.packs = dict(self.connection.execute("SELECT id, uid FROM pack"))
        self.report.packs = len(self.packs)
        self.belonging()
        self.chunks()
        self.days()
        self.hot()
        self.meters()
        self.rest()

    def belonging(self) -> None:
        """Every row of a table has a layout, and a pack."""
        for table in TABLES:
            query = f"SELECT count(*) FROM {table} WHERE layout NOT IN (SELECT id FROM layout)"  # noqa: S608
            if count := self.connection.execute(query).fetchone()[0]:
                self.report.add(f"{table}: {count} entries are of a layout that is not there")
        for table, pack in (
            ("chunk", "id & 65535"),
            ("roll_m", "id & 65535"),
            ("roll_h", "id >> 32"),
            ("roll_d", "id >> 32"),
        ):
            query = f"SELECT count(*) FROM {table} WHERE {pack} NOT IN (SELECT id FROM pack)"  # noqa: S608
            if count := self.connection.execute(query).fetchone()[0]:
                self.report.add(f"{table}: {count} entries are of a pack that is not there")

    def name(self, pack: int, start: int) -> str:
        try:
            when = utc(start)[:16] + "Z"
        except (ValueError, OverflowError, OSError):  # a damaged number
            when = f"{start} s"
        return f"of {self.packs.get(pack, f'pack {pack}')} at {when}"

    def read(
        self, table: str, identity: int, decode: Callable[[Layout, bytes], Stretches], place: str
    ) -> tuple[Layout, Stretches] | None:
        """Return a roll-up with its layout; None when it is not there or cannot be read, the latter noted."""
        query = f"SELECT layout, data FROM {table} WHERE id = ?"  # noqa: S608 - names of our tables
        for number, data in self.connection.execute(query, (identity,)):
            if number in self.layouts:
                try:
                    return self.layouts[number], decode(self.layouts[number], data)
                except (ValueError, IndexError, OverflowError) as error:
                    self.report.add(f"{table} {place}: {error}")
        return None

    def chunks(self) -> None:
        """Every chunk decodes, is what stands beside it, and gives its roll-ups."""
        (oldest,) = self.connection.execute("SELECT min(id) >> 16 FROM roll_m").fetchone()
        for identity, layout, count, first, last, data in self.connection.execute(
            "SELECT id, layout, n, first_seq, last_seq, data FROM chunk ORDER BY id"
        ):
            hour, pack = identity >> 16, identity & 0xFFFF
            place = self.name(pack, hour * HOUR)
            self.report.hours += 1
            if layout not in self.layouts:
                continue
            try:
                columns = [array("q", column) for column in codec.decode(data)]
            except ValueError as error:
                self.report.add(f"chunk {place}: {error}")
                continue
            if self.shape(place, columns, self.layouts[layout], count, hour):
                if (min(columns[SEQ]), max(columns[SEQ])) != (first, last):
                    self.report.add(
                        f"chunk {place}: rows {min(columns[SEQ])} to {max(columns[SEQ])}, not {first} to {last}"
                    )
                self.follow(pack, place, columns, self.layouts[layout], "chunk", identity)
                self.rolled(identity, self.layouts[layout], columns, place, must=oldest is not None and hour >= oldest)

    def shape(self, place: str, columns: list["array[int]"], layout: Layout, count: int, hour: int) -> bool:
        """Note what does not fit in the columns of a chunk; return whether they can be looked into further."""
        if len(columns) != layout.width or len(columns[TIME]) != count or not count:
            rows = len(columns[TIME]) if columns else 0
            self.report.add(f"chunk {place}: {len(columns)} columns and {rows} rows, not {layout.width} and {count}")
            return False
        times = columns[TIME]
        self.report.seen(times)
        if times[0] // 3_600_000 != hour or times[-1] // 3_600_000 != hour:
            self.report.add(f"chunk {place}: its rows are of another hour")
        if sorted_by_time(columns) is not columns:
            self.report.add(f"chunk {place}: its rows are not in the order of time")
        return True

    def rolled(self, identity: int, layout: Layout, columns: list["array[int]"], place: str, must: bool) -> None:
        """Compare the minutes and the hour with the rows; must: there must be minutes, older ones were not dropped."""
        hour, pack = identity >> 16, identity & 0xFFFF
        minutes = self.read("roll_m", identity, lambda have, data: all_minutes(have, data, hour), place)
        if minutes is not None:
            self.alike(f"minutes {place}", roll(layout, columns, MINUTE), layout, *reversed(minutes))
        elif must:
            self.report.add(f"minutes {place}: not there")
        of_hour = self.read(
            "roll_h", pack << 32 | hour, lambda have, data: decode_record(have, data, hour * HOUR), place
        )
        if of_hour is not None:
            self.alike(f"hour {place}", hour_of(layout, columns), layout, *reversed(of_hour))
        else:
            self.report.add(f"hour {place}: not there")

    def alike(self, place: str, due: Stretches, layout: Layout, found: Any, have: Any) -> None:
        """Note a difference between what the rows give and what is there."""
        if sum(found.rows) > sum(due.rows):
            return  # rows of this hour were dropped once; their share of the roll-up stays
        both = layout.joined(have)
        if moved(due, layout, both) != moved(found, have, both):
            self.report.add(f"{place}: not what its rows give")

    def days(self) -> None:
        """Every day decodes, and is what its hours give; every hour decodes and has its day."""
        for pack, day in self.connection.execute(
            "SELECT id >> 32, (id & 4294967295) / 24 FROM roll_h UNION SELECT id >> 32, id & 4294967295 FROM roll_d"
        ):
            place, first = self.name(pack, day * DAY), pack << 32 | day * 24
            numbers = self.connection.execute("SELECT id FROM roll_h WHERE id BETWEEN ? AND ?", (first, first + 23))
            hours = [
                self.read(
                    "roll_h", number, _record(number & 0xFFFFFFFF, HOUR), self.name(pack, (number & 0xFFFFFFFF) * HOUR)
                )
                for (number,) in numbers.fetchall()
            ]
            of_day = self.read("roll_d", pack << 32 | day, _record(day, DAY), place)
            if of_day is None:
                self.report.add(f"day {place}: not there")
            elif None not in hours:
                self.day(place, *of_day, [hour for hour in hours if hour is not None])

    def day(self, place: str, have: Layout, found: Stretches, hours: list[tuple[Layout, Stretches]]) -> None:
        both = have
        for layout, _ in hours:
            both = both.joined(layout)
        due = united(both, [moved(hour, layout, both) for layout, hour in hours], DAY)
        if due != moved(found, have, both):
            self.report.add(f"day {place}: not what its hours give")

    def hot(self) -> None:
        """Every blob of rows that are not sealed decodes, and is numbered by its first and last row."""
        for identity, hour, number, first, data in self.connection.execute(
            "SELECT id, hour, layout, first_seq, data FROM hot ORDER BY id"
        ):
            layout = self.layouts.get(number)
            if layout is None:
                continue
            try:
                parts = hot_rows(data, layout)
            except ValueError as error:
                self.report.add(f"rows of commit {identity}: {error}")
                continue
            numbers: list[int] = []
            for pack, flat in parts:
                columns = [flat[at :: layout.width] for at in range(layout.width)]
                self.report.seen(columns[TIME])
                numbers += columns[SEQ]
                if pack not in self.packs:
                    self.report.add(f"rows of commit {identity}: of a pack that is not there")
                elif any(time // 3_600_000 != hour for time in columns[TIME]):
                    self.report.add(f"rows of commit {identity}: of another hour")
                self.in_hot.add(pack)
                self.follow(pack, f"of {self.packs.get(pack)} in commit {identity}", columns, layout, "hot", identity)
            if max(numbers, default=0) != identity:
                self.report.add(f"rows of commit {identity}: the last one is {max(numbers, default=0)}")
            if min(numbers, default=0) != first:
                self.report.add(f"rows of commit {identity}: the first one is {min(numbers, default=0)}, not {first}")

    def follow(
        self, pack: int, place: str, columns: list["array[int]"], layout: Layout, table: str, identity: int
    ) -> None:
        """Cut the rows of an entry into runs whose numbers follow each other, and look at each by itself."""
        numbers, meters = columns[SEQ], _meters(columns, layout)
        order: Sequence[int] = range(len(numbers))
        if any(a > b for a, b in pairwise(numbers)):  # the clock was set back in this hour
            order = sorted(order, key=numbers.__getitem__)
        for first, last in _cuts([numbers[at] for at in order]):
            places = order[first:last]
            run = self.ordered(place, [numbers[at] for at in places], [[one[at] for at in places] for one in meters])
            self.runs.setdefault(pack, []).append(Run(*run, table, identity))

    def ordered(self, place: str, numbers: list[int], meters: list[list[int]]) -> tuple[int, int, list[int], list[int]]:
        """Note a number that comes twice and a meter that goes back; return the first two and last two of a Run."""
        if any(a == b for a, b in pairwise(numbers)):
            self.report.add(f"rows {place}: a number comes twice")
        before, after = [], []
        for meter, values in zip(METERS, meters, strict=True):
            there = [value for value in values if value != MISSING] if MISSING in values else values
            if any(a > b for a, b in pairwise(there)):
                self.report.add(f"rows {place}: {meter} goes back")
            before.append(there[0] if there else MISSING)
            after.append(there[-1] if there else MISSING)
        return numbers[0], numbers[-1], before, after

    def meters(self) -> None:
        """No meter goes back from one run to the next, and the newest of all is written down."""
        saved = {}
        for pack, text in self.connection.execute("SELECT pack, fields FROM meter"):
            try:
                saved[pack] = dict(json.loads(text))
            except (ValueError, TypeError):
                self.report.add(f"meters of {self.packs.get(pack, pack)}: cannot be read")
        for pack, runs in self.runs.items():
            newest = [MISSING] * len(METERS)
            for together in _overlapping(sorted(runs)):
                first, _, before, after = self.entwined(pack, together) if len(together) > 1 else together[0][:4]
                for at, meter in enumerate(METERS):
                    if before[at] != MISSING and before[at] < newest[at]:
                        self.report.add(f"rows from number {first} of {self.packs.get(pack)}: {meter} goes back")
                    newest[at] = max(newest[at], after[at])
            if pack not in self.in_hot:
                self.written_down(pack, newest, saved.get(pack, {}))

    def entwined(self, pack: int, runs: list[Run]) -> tuple[int, int, list[int], list[int]]:
        """Look at runs whose numbers lie among each other, as the clock was set back and forth, row by row."""
        rows: list[tuple[int, ...]] = []
        for run in runs:
            layout, columns = self.again(run, pack)
            found = zip(columns[SEQ], *_meters(columns, layout), strict=True)
            rows += [row for row in found if run.first <= row[0] <= run.last]
        rows.sort()
        numbers, *meters = map(list, zip(*rows, strict=True))
        return self.ordered(f"{numbers[0]} to {numbers[-1]} of {self.packs.get(pack)}", numbers, meters)

    def again(self, run: Run, pack: int) -> tuple[Layout, list["array[int]"]]:
        """Return the rows of a run's entry once more."""
        query = f"SELECT layout, data FROM {run.table} WHERE id = ?"  # noqa: S608 - names of our tables
        ((number, data),) = self.connection.execute(query, (run.identity,)).fetchall()
        layout = self.layouts[number]
        if run.table == "chunk":
            return layout, [array("q", column) for column in codec.decode(data)]
        flat = array("q", [value for own, part in hot_rows(data, layout) if own == pack for value in part])
        return layout, [flat[at :: layout.width] for at in range(layout.width)]

    def written_down(self, pack: int, newest: list[int], saved: dict[str, float]) -> None:
        """Without rows that are not sealed, the meters that a start goes on with stand in their own table."""
        scales = {one.name: one.scale for layout in self.layouts.values() for one in layout.fields}
        for meter, value in zip(METERS, newest, strict=True):
            if value != MISSING and round(saved.get(meter, -1.0) * scales[meter]) < value:
                self.report.add(f"meters of {self.packs.get(pack)}: {meter} is {saved.get(meter)}, its rows say more")

    def rest(self) -> None:
        """Events can be read, sinks are not ahead of the rows, nothing was set aside."""
        for number, detail in self.connection.execute("SELECT id, detail FROM event"):
            self.report.events += 1
            try:
                json.loads(detail)
            except ValueError:
                self.report.add(f"event {number}: its details cannot be read")
        for table, count in self.connection.execute("SELECT source, count(*) FROM spoiled GROUP BY source"):
            self.report.add(f"{table}: {count} entries were spoiled, and were set aside when that was noticed")


def _record(number: int, seconds: int) -> Callable[[Layout, bytes], Stretches]:
    return lambda layout, data: decode_record(layout, data, number * seconds)


def _cuts(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where runs begin and end: where the numbers, in their order, are far apart."""
    if not numbers:
        return
    first = 0
    if numbers[-1] - numbers[0] > APART:
        for at in range(1, len(numbers)):
            if numbers[at] - numbers[at - 1] > APART:
                yield first, at
                first = at
    yield first, len(numbers)


def _meters(columns: Sequence["array[int]"], layout: Layout) -> list["array[int]"]:
    """Return the columns of the four meters; one that is not kept is missing all over."""
    missing = array("q", [MISSING]) * len(columns[SEQ])
    return [columns[layout.index[meter]] if meter in layout.index else missing for meter in METERS]


def _overlapping(runs: list[Run]) -> Iterator[list[Run]]:
    """Yield runs, sorted by their first numbers, those together whose numbers lie among each other."""
    together: list[Run] = []
    last = -1
    for run in runs:
        if together and run.first > last:
            yield together
            together = []
        together.append(run)
        last = max(last, run.last)
    if together:
        yield together
