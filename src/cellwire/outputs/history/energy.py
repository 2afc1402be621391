"""Energy and charge of local days and months, from the meters that lie in the history."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from . import rollup
from .columns import MISSING
from .layout import METERS, Layout
from .rollup import HOUR, MINUTE, Stretches
from .view import View, bounded, fresh_parts, places_of


class Wish(NamedTuple):
    """Which days or months are to be counted."""

    period: str
    start: float
    end: float
    zone: ZoneInfo

    @classmethod
    def of(cls, period: str, start: float, end: float, zone: str) -> "Wish":
        """Return the wish within what can be. Raises ValueError when it makes no sense."""
        if period not in ("day", "month"):
            raise ValueError(f"period must be day or month, not {period!r}")
        try:
            local = ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {zone!r}; name one like Europe/Berlin or UTC") from error
        return cls(period, bounded(start), bounded(end), local)


def energy(view: View, wish: Wish) -> list[dict[str, float | None]]:
    """Return what the meters counted in each period, from the first with a row to the last."""
    known = _meter_range(view)
    if known is None or wish.end < wish.start:
        return []
    edges = _edges(wish.period, max(wish.start, known[0]), min(wish.end, known[1]), wish.zone)
    return _periods(edges, _meter_points(view, edges)) if edges else []


class _MeterPoint(NamedTuple):
    """The four meters in one hour or minute: the least, the last and the most; MISSING where not known."""

    start: int
    low: tuple[int, ...]
    last: tuple[int, ...]
    high: tuple[int, ...]
    scales: tuple[int, ...]


def _meter_range(view: View) -> tuple[float, float] | None:
    """Return the times of the first and the last hour that is known."""
    hours = list(view.fresh)
    if view.connection is not None and view.number is not None:
        bounds = (view.number << 32, view.number << 32 | 0xFFFFFFFF)
        query = "SELECT min(id), max(id) FROM roll_h WHERE id BETWEEN ? AND ?"
        first, last = view.connection.execute(query, bounds).fetchone()
        if first is not None:
            hours += [first & 0xFFFFFFFF, last & 0xFFFFFFFF]
    return (min(hours) * HOUR, (max(hours) + 1) * HOUR - 1) if hours else None


def _edges(period: str, start: float, end: float, zone: ZoneInfo) -> list[int]:
    """Return the borders of the local days or months from that of `start` to that of `end`."""
    if end < start:
        return []
    day = datetime.fromtimestamp(start, UTC).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "month":
        day = day.replace(day=1)
    edges = [int(day.timestamp())]
    while edges[-1] <= end:
        day = day.replace(tzinfo=None) + timedelta(days=1 if period == "day" else 32)
        if period == "month":
            day = day.replace(day=1)
        day = day.replace(tzinfo=zone)
        edges.append(int(day.timestamp()))
    return edges


def _meter_points(view: View, edges: Sequence[int]) -> list[_MeterPoint]:
    """Return the meters hour by hour, by minutes where a border is in the middle of an hour, and what was before."""
    before = edges[0] // HOUR - 1
    first = before
    if view.connection is not None and view.number is not None:
        query = "SELECT max(id) FROM roll_h WHERE id BETWEEN ? AND ?"
        bounds = (view.number << 32, view.number << 32 | max(before, 0))
        (newest,) = view.connection.execute(query, bounds).fetchone()
        first = before if newest is None else newest & 0xFFFFFFFF
    last = (edges[-1] - 1) // HOUR
    cut = {edge // HOUR for edge in edges if edge % HOUR}
    points: list[_MeterPoint] = []
    groups: dict[Layout, tuple[list[int], list[bytes]]] = {}
    for chunk in view.records("roll_h", max(first, 0), last):
        if chunk.hour in cut and (minutes := view.chunks("roll_m", chunk.hour, chunk.hour)):
            try:
                places = places_of(minutes[0].layout, METERS)
                part = rollup.decode_minutes(minutes[0].data, chunk.hour, places)
            except ValueError:  # spoiled: the hour must do
                pass
            else:
                points += _points_of(part, minutes[0].layout, places)
                continue
        numbers, records = groups.setdefault(chunk.layout, ([], []))
        numbers.append(chunk.hour * HOUR)
        records.append(chunk.data)
    for layout, (starts, records) in groups.items():
        places = places_of(layout, METERS)
        part = Stretches(starts, [], rollup.decode_records(layout, records, places))
        points += _points_of(part, layout, places)
    for fresh, layout, places in fresh_parts(view, METERS, MINUTE):
        points += _points_of(fresh, layout, places)
    return sorted(points, key=lambda point: point.start)


def _points_of(part: Stretches, layout: Layout, places: list[int]) -> list[_MeterPoint]:
    nothing = [MISSING] * len(part.starts)
    by_name = {layout.fields[place].name: at for at, place in enumerate(places)}
    fields = [part.fields[by_name[name]] if name in by_name else None for name in METERS]
    scales = tuple(layout.fields[places[by_name[name]]].scale if name in by_name else 1 for name in METERS)
    columns = [list(zip(*(nothing if f is None else f[which] for f in fields), strict=True)) for which in (0, 1, 2)]
    return [
        _MeterPoint(start, low, last, high, scales)
        for start, low, last, high in zip(part.starts, *columns, strict=True)
    ]


def _periods(edges: Sequence[int], points: Sequence[_MeterPoint]) -> list[dict[str, float | None]]:
    periods: list[dict[str, float | None]] = [
        {"from": first, "to": last, **dict.fromkeys(METERS)} for first, last in pairwise(edges)
    ]
    for at, name in enumerate(METERS):
        before: float | None = None
        for point in points:
            if point.last[at] == MISSING:
                continue
            low, last, high = (values[at] / point.scales[at] for values in (point.low, point.last, point.high))
            place = bisect_right(edges, point.start) - 1
            if 0 <= place < len(periods):
                more = max(0.0, high - (low if before is None else before))
                periods[place][name] = (periods[place][name] or 0.0) + more
            before = last
    for period in periods:
        for name in METERS:
            value = period[name]
            if value is not None:
                period[name] = round(value, 4)
    return periods
