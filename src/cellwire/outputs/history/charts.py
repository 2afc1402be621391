"""Charts: columns of a pack from one time to another, from the layer that fits their span."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import add, mul, sub
from statistics import median_low
from typing import NamedTuple, TypedDict

from . import rollup
from .columns import MISSING
from .layout import BITS, HEAD, MEAN, TIME, Field, Layout
from .rollup import DAY, HOUR, MINUTE, Rolled, Stretches
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
        grids = _minute_grids(view, names, start, end)
    else:
        grids = _record_grids(view, names, start, end, layer)
    return _bucketed(grids, layer, names, points)


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
            scaled = _scaled(values[name], fields[name].scale if name in fields else 1)
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
        scaled = _scaled(column, scale)
        if slots[-1] - slots[0] + 1 != len(slots):
            spread: list[float | None] = [None] * (slots[-1] - slots[0] + 1)
            for slot, value in zip(slots, scaled, strict=True):
                spread[slot - slots[0]] = value
            scaled = spread
        result[key] = scaled
    return result


def _scaled(values: Sequence[int], scale: int) -> list[float | None]:
    if MISSING in values:
        if scale == 1:
            return [None if value == MISSING else value for value in values]
        return [None if value == MISSING else value / scale for value in values]
    return list(values) if scale == 1 else [value / scale for value in values]


# Charts of roll-ups.


class _Grid:
    """One column's stretches side by side: a place for each, also where there is none."""

    def __init__(self, size: int) -> None:
        self.field: Field | None = None
        self.rolled = Rolled([MISSING] * size, [MISSING] * size, [MISSING] * size, [0] * size)

    def put(self, at: list[int], field: Field, rolled: Rolled) -> None:
        """Put stretches to their places; what is there already is combined with them."""
        self.field = field
        count = self.rolled.counts
        first, last = at[0], at[-1] + 1
        if last - first == len(at) and not any(count[first:last]):
            for to, values in zip(self.rolled, rolled, strict=True):
                to[first:last] = values
            return
        for index, place in enumerate(at):
            new = tuple(values[index] for values in rolled)
            if count[place]:
                both = [(to[place], value) for to, value in zip(self.rolled, new, strict=True)]
                new = rollup.combined(field.kind, *both)
            for to, value in zip(self.rolled, new, strict=True):
                to[place] = value


class _Grids(NamedTuple):
    first: int  # number of the first stretch since 1970
    columns: dict[str, _Grid]


def _minute_grids(view: View, names: Sequence[str], start: float, end: float) -> _Grids:
    parts: list[tuple[Stretches, Layout, list[str], list[int]]] = []
    for chunk in view.chunks("roll_m", *hours_of(start, end)):
        known, places = places_of(chunk.layout, names)
        try:
            parts.append((rollup.decode_minutes(chunk.data, chunk.hour, places), chunk.layout, known, places))
        except ValueError:  # spoiled
            continue
    parts += fresh_parts(view, names, MINUTE)
    return _gridded(parts, int(start) // MINUTE, int(end) // MINUTE, MINUTE, names)


def _record_grids(view: View, names: Sequence[str], start: float, end: float, layer: str) -> _Grids:
    seconds = STEPS[layer]
    first, last = int(start) // seconds, int(end) // seconds
    groups: dict[Layout, tuple[list[int], list[bytes]]] = {}
    for chunk in view.records("roll_h" if layer == HOURS else "roll_d", first, last):
        numbers, records = groups.setdefault(chunk.layout, ([], []))
        numbers.append(chunk.hour)
        records.append(chunk.data)
    parts: list[tuple[Stretches, Layout, list[str], list[int]]] = []
    for layout, (numbers, records) in groups.items():
        known, places = places_of(layout, names)
        fields = rollup.decode_records(layout, records, places)
        parts.append((Stretches([number * seconds for number in numbers], [], fields), layout, known, places))
    parts += fresh_parts(view, names, seconds)
    return _gridded(parts, first, last, seconds, names)


def _gridded(
    parts: list[tuple[Stretches, Layout, list[str], list[int]]],
    first: int,
    last: int,
    seconds: int,
    names: Sequence[str],
) -> _Grids:
    """Return all parts on one grid that goes from the first to the last stretch that is there."""
    starts = [part.starts for part, _, _, _ in parts if part.starts]
    if not starts:
        return _Grids(first, {})
    first = max(first, min(part[0] for part in starts) // seconds)
    last = min(last, max(part[-1] for part in starts) // seconds)
    if last < first:
        return _Grids(first, {})
    grids = {name: _Grid(last - first + 1) for name in names}
    for part, layout, known, places in parts:
        at = [start // seconds - first for start in part.starts]
        begin, stop = bisect_left(at, 0), bisect_right(at, last - first)
        if begin == stop:
            continue
        whole = begin == 0 and stop == len(at)
        at = at[begin:stop]
        for name, place, rolled in zip(known, places, part.fields, strict=True):
            if not whole:
                rolled = Rolled(*(values[begin:stop] for values in rolled))
            grids[name].put(at, layout.fields[place], rolled)
    return _Grids(first, grids)


def _bucketed(grids: _Grids, layer: str, names: Sequence[str], points: int) -> Series:
    """Return the grid as a series of at most so many points."""
    seconds = STEPS[layer]
    series = _empty(layer, names)
    size = max((len(grid.rolled.counts) for grid in grids.columns.values()), default=0)
    if not size:
        return series
    step = 1
    while (grids.first + size - 1) // step - grids.first // step + 1 > points:
        step = max(step + 1, math.ceil(size / points))
    first = grids.first // step
    series["step"] = float(seconds * step)
    buckets = (grids.first + size - 1) // step - first + 1
    series["times"] = [float((first + bucket) * step * seconds) for bucket in range(buckets)]
    for name in names:
        grid = grids.columns[name]
        if grid.field is None:
            nothing: list[float | None] = [None] * buckets
            series["series"][name] = {"min": nothing, "avg": nothing, "max": nothing}
            continue
        rolled = grid.rolled
        if step > 1:
            rolled = _merged(grid.field.kind, rolled, step, grids.first - first * step, buckets)
        scale = grid.field.scale
        low, average, high = rolled[:3]
        scaled = _scaled(average, scale)
        series["series"][name] = {
            "min": scaled if low is average else _scaled(low, scale),
            "avg": scaled,
            "max": scaled if high is average else _scaled(high, scale),
        }
    return series


def _merged(kind: str, rolled: Rolled, step: int, ahead: int, buckets: int) -> Rolled:
    """Return the stretches with so many of them in one; `ahead` are missing before the first."""
    size = len(rolled.counts)
    behind = buckets * step - ahead - size
    low, average, high, count = rolled
    head, tail = step - ahead if ahead else 0, size - (step - behind if behind else 0)
    result = Rolled([], [], [], [])
    if ahead:
        _append(result, rollup.combined(kind, *(values[:head] for values in rolled)))
    if head < tail:
        if 0 in count[head:tail] or kind == BITS:
            for at in range(head, tail, step):
                _append(result, rollup.combined(kind, *(values[at : at + step] for values in rolled)))
        else:
            lanes = [slice(head + lane, tail, step) for lane in range(step)]
            result.low.extend(map(min, *(low[lane] for lane in lanes)))
            result.high.extend(map(max, *(high[lane] for lane in lanes)))
            totals = _sums([count[lane] for lane in lanes])
            if kind == MEAN:
                sums = _sums([list(map(mul, average[lane], count[lane])) for lane in lanes])
                result.average.extend([(2 * s + n) // (2 * n) for s, n in zip(sums, totals, strict=True)])
            else:
                result.average.extend(average[lanes[-1]])
            result.counts.extend(totals)
    if behind and len(result.counts) < buckets:
        _append(result, rollup.combined(kind, *(values[max(tail, head) :] for values in rolled)))
    return result


def _sums(lanes: list[list[int]]) -> list[int]:
    total = lanes[0]
    for lane in lanes[1:]:
        total = list(map(add, total, lane))
    return total


def _append(result: Rolled, one: Sequence[int]) -> None:
    for to, value in zip(result, one, strict=True):
        to.append(value)
