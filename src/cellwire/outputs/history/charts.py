"""Charts: columns of a pack from one time to another, from the layer that fits their span."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add, and_, mul, or_, sub
from statistics import median_low
from typing import NamedTuple, TypedDict

from . import rollup
from .columns import MISSING
from .layout import BITS, HEAD, MEAN, TIME, Field, Layout
from .rollup import DAY, HOUR, MINUTE, Rolled, Triples
from .view import View, bounded, decoded, fresh_parts, hour_rows, hours_of, places_of

RAW, MINUTES, HOURS, DAYS = "raw", "minute", "hour", "day"
STEPS = {RAW: 0, MINUTES: MINUTE, HOURS: HOUR, DAYS: DAY}
# A chart of at most this many seconds is drawn from this layer.
SPANS = ((6 * HOUR, RAW), (7 * DAY, MINUTES), (366 * DAY, HOURS))
MOST_POINTS = 20_000


class Series(TypedDict):
    """Values of several columns at the same times; None where a value is missing.

    resolution: the layer; step: seconds between two times; series: lists called min, avg and max for each column
    """

    resolution: str
    step: float
    times: list[float]
    series: dict[str, dict[str, list[float | None]]]


class Wish(NamedTuple):
    """What a chart is to show; `resolution` is "" when the span decides."""

    names: list[str]
    start: float
    end: float
    points: int
    resolution: str

    @classmethod
    def of(cls, names: Sequence[str], start: float, end: float, points: int, resolution: str) -> "Wish":
        """Return the wish within what can be. Raises ValueError when it makes no sense."""
        if resolution and resolution not in STEPS:
            raise ValueError(f"resolution must be {', '.join(STEPS)}, not {resolution!r}")
        points = max(2, min(points, MOST_POINTS))
        return cls(list(dict.fromkeys(names)), bounded(start), bounded(end), points, resolution)


def series(view: View, wish: Wish) -> Series:
    """Return what was wished; where rows are not kept any more, the next layer answers."""
    names, start, end, points, resolution = wish
    layer = resolution or next((layer for span, layer in SPANS if end - start <= span), DAYS)
    if end < start:
        return _empty(layer, names)
    first, last = hours_of(start, end)
    if layer == RAW and view.count("chunk", first, last) < view.count("roll_m", first, last):
        layer = MINUTES
    if layer == MINUTES and view.count("roll_m", first, last) < view.count("roll_h", first, last):
        layer = HOURS
    if layer == RAW:
        return _raw_series(view, names, start, end, points)
    if layer == MINUTES:
        parts = _minute_parts(view, names, start, end)
    else:
        parts = _record_parts(view, names, start, end, layer)
    for fresh, layout, places in fresh_parts(view, names, STEPS[layer]):
        triples = [rolled.triples() for rolled in fresh.fields]
        parts.append(_Part(fresh.starts, [layout.fields[place] for place in places], triples))
    return _rolled_series(parts, layer, wish)


def _empty(layer: str, names: Sequence[str]) -> Series:
    return {
        "resolution": layer,
        "step": float(STEPS[layer]),
        "times": [],
        "series": {name: {"min": [], "avg": [], "max": []} for name in names},
    }


# Charts of rows.


def _raw_series(view: View, names: Sequence[str], start: float, end: float, points: int) -> Series:
    first, last = round(start * 1000), round(end * 1000)
    times: list[int] = []
    values: dict[str, list[int]] = {name: [] for name in names}
    fields: dict[str, Field] = {}
    chunks = {chunk.hour: chunk for chunk in view.chunks("chunk", *hours_of(start, end))}
    for hour in sorted({*chunks, *view.fresh}):
        if hour in view.fresh:
            columns, layout = hour_rows(view, hour)
            found = dict(zip((TIME, *range(HEAD, layout.width)), (columns[TIME], *columns[HEAD:]), strict=True))
        else:
            layout = chunks[hour].layout
            wanted = [TIME, *sorted(layout.index[name] for name in names if name in layout.index)]
            picked = decoded(chunks[hour], wanted)
            if not picked:
                continue
            found = dict(zip(wanted, picked, strict=True))
        moments = found[TIME]
        begin, stop = bisect_left(moments, first), bisect_right(moments, last)
        times += moments[begin:stop]
        for name in names:
            at = layout.index.get(name)
            if at is None:
                values[name] += [MISSING] * (stop - begin)
            else:
                fields[name] = layout.fields[at - HEAD]
                values[name] += found[at][begin:stop]
    series = _empty(RAW, names)
    if len(times) <= points:
        series["times"] = [time / 1000 for time in times]
        series["step"] = median_low(map(sub, times[1:], times)) / 1000 if len(times) > 1 else 0.0
        for name in names:
            scaled = _scaled(values[name], fields[name].scale if name in fields else 1, MISSING in values[name])
            series["series"][name] = {"min": scaled, "avg": scaled, "max": scaled}
        return series
    width = max(1, math.ceil((last - first) / 1000 / (points - 1))) * 1000
    slots: list[int] = []
    bounds: list[tuple[int, int]] = []
    at = 0
    while at < len(times):
        slot = times[at] // width
        stop = bisect_left(times, (slot + 1) * width, at)
        slots.append(slot)
        bounds.append((at, stop))
        at = stop
    counts = [stop - begin for begin, stop in bounds]
    series["step"] = width / 1000
    series["times"] = [slot * width / 1000 for slot in range(slots[0], slots[-1] + 1)]
    for name in names:
        if name in fields:
            rolled = rollup.roll_field(fields[name].kind, values[name], bounds, counts)
            series["series"][name] = _put(rolled, fields[name].scale, slots)
        else:
            nothing: list[float | None] = [None] * len(series["times"])
            series["series"][name] = {"min": nothing, "avg": nothing, "max": nothing}
    return series


def _put(rolled: Rolled, scale: int, slots: Sequence[int]) -> dict[str, list[float | None]]:
    """Return the values at their slots, None between them."""
    result: dict[str, list[float | None]] = {}
    for key, column in (("min", rolled.low), ("avg", rolled.average), ("max", rolled.high)):
        scaled = _scaled(column, scale, 0 in rolled.counts)
        if slots[-1] - slots[0] + 1 != len(slots):
            spread: list[float | None] = [None] * (slots[-1] - slots[0] + 1)
            for slot, value in zip(slots, scaled, strict=True):
                spread[slot - slots[0]] = value
            scaled = spread
        result[key] = scaled
    return result


def _scaled(values: Sequence[int], scale: int, has_gaps: bool) -> list[float | None]:
    if has_gaps:
        if scale == 1:
            return [None if value == MISSING else value for value in values]
        return [None if value == MISSING else value / scale for value in values]
    return list(values) if scale == 1 else [value / scale for value in values]


# Charts of roll-ups.


class _Part(NamedTuple):
    """Stretches of some hours: their starts, and for each of these columns its triples and counts."""

    starts: list[int]
    fields: list[Field]
    triples: list[Triples]


class _Grid:
    """One column's stretches side by side: a place for each, also where there is none."""

    def __init__(self, size: int) -> None:
        self.field: Field | None = None
        self.values = [MISSING] * (3 * size)
        self.counts = [0] * size
        self._end = 0  # from here on there is none yet

    def put(self, at: list[int], field: Field, new: Triples) -> None:
        """Put stretches to their places; what is there already is combined with them."""
        self.field = field
        values, counts = self.values, self.counts
        first, last, end = at[0], at[-1] + 1, self._end
        self._end = max(last, end)
        if first >= end and last - first == len(at):
            values[3 * first : 3 * last], counts[first:last] = new
            return
        for index, place in enumerate(at):
            part = slice(3 * place, 3 * place + 3)
            triple, count = new.values[3 * index : 3 * index + 3], new.counts[index]
            if counts[place]:
                both = zip(values[part], triple, strict=True)
                low, average, high = both
                *triple, count = rollup.combined(field.kind, low, average, high, (counts[place], count))
            values[part], counts[place] = triple, count


def _minute_parts(view: View, names: Sequence[str], start: float, end: float) -> list[_Part]:
    parts = []
    for chunk in view.chunks("roll_m", *hours_of(start, end)):
        places = places_of(chunk.layout, names)
        try:
            starts, _, triples = rollup.read_minutes(chunk.data, chunk.hour, places)
        except ValueError:  # spoiled
            continue
        parts.append(_Part(starts, [chunk.layout.fields[place] for place in places], triples))
    return parts


def _record_parts(view: View, names: Sequence[str], start: float, end: float, layer: str) -> list[_Part]:
    seconds = STEPS[layer]
    groups: dict[Layout, tuple[list[int], list[bytes]]] = {}
    for chunk in view.records("roll_h" if layer == HOURS else "roll_d", int(start) // seconds, int(end) // seconds):
        starts, records = groups.setdefault(chunk.layout, ([], []))
        starts.append(chunk.hour * seconds)
        records.append(chunk.data)
    parts = []
    for layout, (starts, records) in groups.items():
        places = places_of(layout, names)
        triples = [rolled.triples() for rolled in rollup.decode_records(layout, records, places)]
        parts.append(_Part(starts, [layout.fields[place] for place in places], triples))
    return parts


def _rolled_series(parts: list[_Part], layer: str, wish: Wish) -> Series:
    """Return the stretches of all parts on one grid, from the first to the last that is there."""
    seconds, series = STEPS[layer], _empty(layer, wish.names)
    every = [part.starts for part in parts if part.starts]
    first = max(int(wish.start) // seconds, min((starts[0] for starts in every), default=0) // seconds)
    last = min(int(wish.end) // seconds, max((starts[-1] for starts in every), default=-1) // seconds)
    if last < first:
        return series
    step = 1
    while last // step - first // step + 1 > wish.points:
        step = max(step + 1, math.ceil((last - first + 1) / wish.points))
    bucket, buckets = first // step, last // step - first // step + 1
    grids = {name: _Grid(buckets * step) for name in wish.names}
    for part in parts:
        at = [start // seconds - bucket * step for start in part.starts]
        begin, end = bisect_left(at, first - bucket * step), bisect_right(at, last - bucket * step)
        if begin == end:
            continue
        whole, at = end - begin == len(at), at[begin:end]
        for field, triples in zip(part.fields, part.triples, strict=True):
            if not whole:
                triples = Triples(triples.values[3 * begin : 3 * end], triples.counts[begin:end])
            grids[field.column].put(at, field, triples)
    series["step"] = float(seconds * step)
    series["times"] = [float((bucket + number) * step * seconds) for number in range(buckets)]
    weights = _Weights([], step)
    for name, grid in grids.items():
        if weights.counts != grid.counts:  # nearly always all columns have the same
            weights = _Weights(grid.counts, step)
        field = grid.field or Field(name, 0, 1, MEAN)
        columns = _bucketed(field.kind, grid.values, weights, step)
        scaled = [_scaled(column, field.scale, weights.has_gaps) for column in columns]
        series["series"][name] = dict(zip(("min", "avg", "max"), scaled, strict=True))
    return series


class _Weights:
    """The rows of all stretches, and of the buckets of so many stretches that are made of them."""

    def __init__(self, counts: list[int], step: int) -> None:
        self.counts = counts
        self.lanes = [counts[lane::step] for lane in range(step)]
        self.totals = list(map(sum, zip(*self.lanes, strict=True))) if step > 1 else counts
        self.has_gaps = 0 in self.totals
        self.are_alike = len({*counts} - {0}) == 1  # where there are any
        self.ragged: list[int] = []  # buckets in which a stretch is missing
        if step > 1 and 0 in counts:
            self.ragged = [number for number, bucket in enumerate(zip(*self.lanes, strict=True)) if 0 in bucket]


def _bucketed(kind: str, values: list[int], weights: _Weights, step: int) -> list[list[int]]:
    """Return minimum, average and maximum of each bucket."""
    if step == 1:
        return [values[which::3] for which in range(3)]
    low, average, high = ([values[3 * lane + which :: 3 * step] for lane in range(step)] for which in range(3))
    least, most = (_and, _or) if kind == BITS else (_least, _most)
    middle = average[-1]
    if kind == MEAN:
        middle = _mean(average, weights)
    columns = [reduce(least, low), middle, reduce(most, high)]
    for bucket in weights.ragged:
        part = slice(bucket * step, bucket * step + step)
        triples = values[3 * part.start : 3 * part.stop]
        one = rollup.combined(kind, triples[0::3], triples[1::3], triples[2::3], weights.counts[part])
        for column, value in zip(columns, one, strict=False):
            column[bucket] = value
    return columns


def _mean(lanes: list[list[int]], weights: _Weights) -> list[int]:
    """Return the nearest integers of the means of lists side by side."""
    if weights.are_alike:
        half, number = len(lanes) // 2, len(lanes)
        return [(total + half) // number for total in _sums(lanes)]
    sums = _sums([map(mul, *both) for both in zip(lanes, weights.lanes, strict=True)])
    return [(2 * total + count) // (2 * count or 1) for total, count in zip(sums, weights.totals, strict=True)]


def _sums(lanes: Sequence[Iterable[int]]) -> Iterable[int]:
    return reduce(lambda one, other: map(add, one, other), lanes)


# A comparison in place is four times as fast as a call of min.


def _least(one: list[int], other: list[int]) -> list[int]:
    return [a if a < b else b for a, b in zip(one, other, strict=True)]


def _most(one: list[int], other: list[int]) -> list[int]:
    return [a if a > b else b for a, b in zip(one, other, strict=True)]


def _and(one: list[int], other: list[int]) -> list[int]:
    return list(map(and_, one, other))


def _or(one: list[int], other: list[int]) -> list[int]:
    return list(map(or_, one, other))
