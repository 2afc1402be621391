"""Rolls rows up to one minimum, average, maximum and count for each minute, hour and day.

Missing values stay missing, and an average comes with its count. What cannot be averaged is not: of counters and states
the last value stands in place of the average, of flags and words of bits the least is what was on all the time and the
most what was on at any time.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from operator import add, and_, mul, or_, sub
from typing import NamedTuple

from . import columns as codec
from .columns import MISSING
from .layout import BITS, HEAD, MEAN, TIME, Layout

MINUTE, HOUR, DAY = 60, 3600, 86400


class Rolled(NamedTuple):
    """What became of one field, a value for each stretch of time; MISSING where it has no row."""

    low: list[int]
    average: list[int]
    high: list[int]
    counts: list[int]

    def triples(self) -> "Triples":
        """Return the same with minimum, average and maximum side by side."""
        values = [0] * (3 * len(self.counts))
        values[0::3], values[1::3], values[2::3] = self.low, self.average, self.high
        return Triples(values, self.counts)


class Triples(NamedTuple):
    """One field's minimum, average and maximum of stretch after stretch, as the file has them, and its counts."""

    values: list[int]
    counts: list[int]


class Stretches(NamedTuple):
    """Rolled up rows of one pack: the starts of the stretches in seconds, their rows, and their fields."""

    starts: list[int]
    rows: list[int]
    fields: list[Rolled]


def roll(
    layout: Layout, columns: Sequence[Sequence[int]], seconds: int, only: Iterable[int] | None = None
) -> Stretches:
    """Return the rows, sorted by time, as stretches of so many seconds; `only` picks places of fields."""
    times = columns[TIME]
    bounds: list[tuple[int, int]] = []
    starts: list[int] = []
    at, end = 0, len(times)
    while at < end:
        start = times[at] // (seconds * 1000) * seconds
        stop = bisect_left(times, (start + seconds) * 1000, at)
        starts.append(start)
        bounds.append((at, stop))
        at = stop
    rows = [stop - start for start, stop in bounds]
    wanted = range(len(layout.fields)) if only is None else only
    fields = [roll_field(layout.fields[place].kind, columns[HEAD + place], bounds, rows) for place in wanted]
    return Stretches(starts, rows, fields)


def roll_field(kind: str, column: Sequence[int], bounds: list[tuple[int, int]], rows: list[int]) -> Rolled:
    """Return one column's stretches, which lie between these bounds and have so many rows."""
    values = column.tolist() if isinstance(column, array) else list(column)
    first = values[0]
    if values[-1] == first and values.count(first) == len(values):
        same = [first] * len(rows)
        return Rolled(same, same, same, [0] * len(rows) if first == MISSING else rows)
    parts = [values[start:stop] for start, stop in bounds]
    low, high = list(map(min, parts)), list(map(max, parts))
    if MISSING in low:
        return _roll_gaps(kind, parts)
    if kind == BITS:
        low, high = [reduce(and_, part) for part in parts], [reduce(or_, part) for part in parts]
    if kind == MEAN:
        average = [(2 * total + count) // (2 * count) for total, count in zip(map(sum, parts), rows, strict=True)]
    else:
        average = [part[-1] for part in parts]
    return Rolled(low, average, high, rows)


def _roll_gaps(kind: str, parts: list[list[int]]) -> Rolled:
    rolled = Rolled([], [], [], [])
    for part in parts:
        there = [value for value in part if value != MISSING]
        if there:
            one = roll_field(kind, there, [(0, len(there))], [len(there)])
            for to, values in zip(rolled, one, strict=True):
                to.extend(values)
        else:
            for to, value in zip(rolled, (MISSING, MISSING, MISSING, 0), strict=True):
                to.append(value)
    return rolled


def _divided(total: int, count: int) -> int:
    """Return the nearest integer of the quotient."""
    return (2 * total + count) // (2 * count)


def combined(
    kind: str, low: Sequence[int], average: Sequence[int], high: Sequence[int], count: Sequence[int]
) -> tuple[int, int, int, int]:
    """Return one field's minimum, average, maximum and count over several stretches, in the order of time."""
    total = sum(count)
    if not total:
        return MISSING, MISSING, MISSING, 0
    if 0 in count:
        there = [at for at, number in enumerate(count) if number]
        low, average, high, count = ([values[at] for at in there] for values in (low, average, high, count))
    if kind == MEAN:
        middle = _divided(sum(map(mul, average, count)), total)
    else:
        middle = average[-1]
    if kind == BITS:
        return reduce(and_, low), middle, reduce(or_, high), total
    return min(low), middle, max(high), total


def united(layout: Layout, parts: Sequence[Stretches], seconds: int) -> Stretches:
    """Return stretches of one layout as stretches of so many seconds, one for each start."""
    groups: dict[int, list[tuple[Stretches, int]]] = {}
    for part in parts:
        for at, start in enumerate(part.starts):
            groups.setdefault(start // seconds * seconds, []).append((part, at))
    result = Stretches(sorted(groups), [], [Rolled([], [], [], []) for _ in layout.fields])
    for start in result.starts:
        members = groups[start]
        result.rows.append(sum(part.rows[at] for part, at in members))
        for place, field in enumerate(layout.fields):
            one = combined(field.kind, *([part.fields[place][which][at] for part, at in members] for which in range(4)))
            for to, value in zip(result.fields[place], one, strict=True):
                to.append(value)
    return result


def moved(stretches: Stretches, old: Layout, new: Layout) -> Stretches:
    """Return stretches of one layout as stretches of another."""
    if old == new:
        return stretches
    nothing = [MISSING] * len(stretches.starts)
    empty = Rolled(nothing, nothing, nothing, [0] * len(stretches.starts))
    place = {column: at - HEAD for column, at in old.index.items()}
    fields = [stretches.fields[place[field.column]] if field.column in place else empty for field in new.fields]
    return Stretches(stretches.starts, stretches.rows, fields)


def encode_minutes(stretches: Stretches, hour: int) -> bytes:
    """Return the minutes of the hour, counted since 1970, as a chunk of columns three times as long.

    The first has the numbers of the minutes, then their rows, then whether fields have fewer rows than those. A column
    for each field has minimum, average and maximum of minute after minute. Where fields have fewer rows, a column for
    each tells how many fewer.
    """
    size, rows = len(stretches.starts), stretches.rows
    fewer = any(field.counts != rows for field in stretches.fields)
    head = [(start - hour * HOUR) // MINUTE for start in stretches.starts]
    columns = [array("q", head + rows + [int(fewer)] * size)]
    columns += [array("q", field.triples().values) for field in stretches.fields]
    if fewer:
        rest = [0] * (2 * size)
        columns += [array("q", [*map(sub, rows, field.counts), *rest]) for field in stretches.fields]
    return codec.encode(columns)


def read_minutes(data: bytes, hour: int, places: Sequence[int]) -> tuple[list[int], list[int], list[Triples]]:
    """Return starts, rows and fields of the minutes in a chunk, only the fields at these ascending places."""
    head, *fields = codec.decode(data, [0, *(1 + place for place in places)])
    size = len(head) // 3
    rows = head[size : 2 * size]
    counts = [rows] * len(fields)
    if size and head[-1] and places:
        total = (codec.column_count(data) - 1) // 2
        lacking = codec.decode(data, [1 + total + place for place in places])
        counts = [list(map(sub, rows, fewer)) for fewer in lacking]
    starts = [hour * HOUR + minute * MINUTE for minute in head[:size]]
    return starts, rows, list(map(Triples, fields, counts))


def decode_minutes(data: bytes, hour: int, places: Sequence[int]) -> Stretches:
    """Return the minutes in a chunk, only the fields at these ascending places."""
    starts, rows, fields = read_minutes(data, hour, places)
    return Stretches(starts, rows, [Rolled(v[0::3], v[1::3], v[2::3], counts) for v, counts in fields])


def encode_record(stretches: Stretches) -> bytes:
    """Return a single stretch, an hour or a day, as a record: one is read without unpacking the others.

    Four letters tell the forms of what follows for all fields: average, average - low, high - average, count.
    """
    averages, below, above, counts = [], [], [], []
    for low, average, high, count in stretches.fields:
        # Further apart than 64 bits can say: only the rows themselves tell.
        there = count[0] > 0 and high[0] - low[0] < -MISSING
        averages.append(average[0] if there else 0)
        below.append(average[0] - low[0] if there else 0)
        above.append(high[0] - average[0] if there else 0)
        counts.append(count[0] if there else 0)
    form, body = "", b""
    for values in (averages, below, above, counts):
        code = next(code for code in "bhiq" if _fits(code, values))
        form += code
        body += struct.pack(f"<{len(values)}{code}", *values)
    return form.encode() + body


def _fits(code: str, values: list[int]) -> bool:
    most = 1 << 8 * struct.calcsize(f"<{code}") - 1
    return -most <= min(values, default=0) and max(values, default=0) < most


@lru_cache(1000)
def _picker(form: bytes, total: int, places: tuple[int, ...]) -> struct.Struct:
    """Return what reads the fields at these ascending places out of a record."""
    text, gap = "<4x", 0
    for code in form.decode("ascii"):
        size = struct.calcsize(f"<{code}")
        at = 0
        for place in places:
            gap += (place - at) * size
            text += f"{gap}x{code}"
            gap, at = 0, place + 1
        gap += (total - at) * size
    return struct.Struct(text)


def decode_record(layout: Layout, data: bytes, start: int) -> Stretches:
    """Return the stretch of a record, with all fields. Raises ValueError when it is spoiled."""
    total = len(layout.fields)
    try:
        values = _picker(data[:4], total, tuple(range(total))).unpack_from(data)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"a roll-up of the history is damaged: {error}") from error
    fields = []
    for average, below, above, count in zip(*(values[n * total : (n + 1) * total] for n in range(4)), strict=True):
        if count:
            fields.append(Rolled([average - below], [average], [average + above], [count]))
        else:
            fields.append(Rolled([MISSING], [MISSING], [MISSING], [0]))
    rows = max((field.counts[0] for field in fields), default=0)
    return Stretches([start], [rows], fields)


def decode_records(layout: Layout, records: Sequence[bytes], places: Sequence[int]) -> list[Rolled]:
    """Return the fields at these ascending places, each with a stretch for every record; spoiled ones are missing."""
    total, picked = len(layout.fields), tuple(places)
    if not picked:
        return []
    nothing = (0,) * (4 * len(picked))
    rows = []
    for data in records:
        try:
            rows.append(_picker(data[:4], total, picked).unpack_from(data))
        except (struct.error, UnicodeDecodeError):
            rows.append(nothing)
    columns = list(zip(*rows, strict=True)) or [()] * len(nothing)
    fields = []
    for at in range(len(picked)):
        average, below, above, count = (columns[at + which * len(picked)] for which in range(4))
        low, high = list(map(sub, average, below)), list(map(add, average, above))
        middle = list(average)
        if 0 in count:
            for values in (low, middle, high):
                for row, number in enumerate(count):
                    if not number:
                        values[row] = MISSING
        fields.append(Rolled(low, middle, high, list(count)))
    return fields


def hour_of(layout: Layout, columns: Sequence[Sequence[int]], minutes: Stretches | None = None) -> Stretches:
    """Return all rows, which are of one hour, as a single stretch; faster when their minutes are known."""
    if minutes is None:
        return roll(layout, columns, HOUR)
    start, rows = minutes.starts[0] // HOUR * HOUR, sum(minutes.rows)
    fields = []
    for place, field in enumerate(layout.fields):
        one = minutes.fields[place]
        low, average, high, count = combined(field.kind, *one)
        if field.kind == MEAN and count and low != high:
            # From the rows themselves: averages of averages would round twice.
            values: Iterable[int] = columns[HEAD + place]
            if count != rows:
                values = (value for value in values if value != MISSING)
            average = _divided(sum(values), count)
        fields.append(Rolled([low], [average], [high], [count]))
    return Stretches([start], [rows], fields)


def all_minutes(layout: Layout, data: bytes, hour: int) -> Stretches:
    """Return the minutes in a chunk, with all fields."""
    return decode_minutes(data, hour, range(len(layout.fields)))
