"""Turns catalogue readings into rows of integers and back, by a layout that says which column is what.

A layout never changes once it was written; a reading that was not there before makes a new one with more columns.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import repeat
from operator import mul
from typing import Any, NamedTuple

from ...readings.catalogue import BY_NAME, LIST, QUANTITY, STATE, TOTAL
from .columns import MISSING

# What becomes of several values of a column: see rollup.py.
MEAN, LAST, BITS, FLAG = "mean", "last", "bits", "flag"
# What the columns of every row begin with: the moment in milliseconds since 1970 and the number of the row.
TIME, SEQ = 0, 1
HEAD = 2
NOT_KEPT = ("identity", "settings")
JOURNALLED = ("meters", "counter")
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")


class Row(NamedTuple):
    """The readings of one pack or bank at one moment.

    pack: its id; time: seconds since 1970; readings: catalogue names and values, lists allowed
    """

    pack: str
    time: float
    readings: Mapping[str, Any]


class Field(NamedTuple):
    """One column of a layout.

    name: of the reading; number: in its list, from 1, or 0; scale: the integer is the value times this
    """

    name: str
    number: int
    scale: int
    kind: str

    @property
    def column(self) -> str:
        """What the column is called: "voltage", "cell_voltages.1"."""
        return f"{self.name}.{self.number}" if self.number else self.name


class Layout:
    """The columns of a row. `fields` are in the order of the columns, after time and number of the row."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.width = HEAD + len(self.fields)
        self._hash = hash(self.fields)
        # Lists are read and written as a whole: name, first column, number of columns, scale.
        self._lists: list[tuple[str, int, int, int]] = []
        self._plain: list[tuple[int, str, int, bool]] = []
        for index, field in enumerate(self.fields):
            if not field.number:
                self._plain.append((index, field.name, field.scale, field.kind == FLAG))
            elif field.number == 1:
                count = sum(other.name == field.name for other in self.fields)
                self._lists.append((field.name, index, count, field.scale))
        self._known = {field.name for field in self.fields} | {name for name in BY_NAME if not _kept(name)}
        self._names = [name for _, name, _, _ in self._plain]
        self._scales = [scale for _, _, scale, _ in self._plain]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Layout) and self.fields == other.fields)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def journalled(self) -> list[tuple[str, int, int]]:
        """Name, place and scale of the meters and counters."""
        return [
            (field.name, HEAD + at, field.scale)
            for at, field in enumerate(self.fields)
            if not field.number and field.name in BY_NAME and BY_NAME[field.name][3] in JOURNALLED
        ]

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each column in a row."""
        return {field.column: HEAD + at for at, field in enumerate(self.fields)}

    @staticmethod
    @lru_cache(1000)
    def read(text: str) -> "Layout":
        """Return the layout that was written down as this text."""
        rows = json.loads(text)
        return Layout([Field(str(name), int(number), int(scale), str(kind)) for name, number, scale, kind in rows])

    def written(self) -> str:
        """Return the layout as text for the file."""
        return json.dumps([list(field) for field in self.fields], separators=(",", ":"))

    def fits(self, readings: Mapping[str, Any]) -> bool:
        """Return whether there is a column for everything in the readings that is kept."""
        if not self._known.issuperset(readings):
            return not any(name in BY_NAME and name not in self._known for name in readings) and self._lists_fit(
                readings
            )
        return self._lists_fit(readings)

    def _lists_fit(self, readings: Mapping[str, Any]) -> bool:
        for name, _, count, _ in self._lists:
            value = readings.get(name)
            if value is not None and isinstance(value, list | tuple) and len(value) > count:
                return False
        return True

    def with_readings(self, readings: Mapping[str, Any]) -> "Layout":
        """Return the layout that has columns for these readings too; the same one when it has them already."""
        wanted: dict[str, int] = {}
        for name, value in readings.items():
            if _kept(name):
                is_list = BY_NAME[name][2] == LIST
                if not is_list:
                    wanted[name] = 0
                elif isinstance(value, list | tuple) and value:
                    wanted[name] = len(value)
        fields = {field[:2]: field for field in self.fields}
        forms = {field.name: field[2:] for field in self.fields}  # a column stays what it was
        for name, count in wanted.items():
            for number in range(1, count + 1) if count else (0,):
                form = forms.get(name) or _scale_and_kind(name)
                fields.setdefault((name, number), Field(name, number, *form))
        return self if len(fields) == len(self.fields) else Layout(sorted(fields.values(), key=_order))

    def joined(self, other: "Layout") -> "Layout":
        """Return the layout with the columns of both."""
        if set(other.fields) <= set(self.fields):
            return self
        fields = {field[:2]: field for field in (*other.fields, *self.fields)}
        return Layout(sorted(fields.values(), key=_order))

    def encode(self, readings: Mapping[str, Any]) -> "array[int]":
        """Return the columns of the readings; what is not there, or does not fit, is MISSING."""
        try:
            # Nearly always all values are there, and this is faster than looking at each.
            values = list(map(round, map(mul, map(readings.get, self._names), self._scales)))
            # Lists stand in ascending order of their place, so that what was put in before does not move.
            for name, at, count, scale in self._lists:
                elements = readings[name]
                if len(elements) != count:
                    return self._encode_carefully(readings)
                values[at:at] = map(round, map(mul, elements, repeat(scale)))
            return array("q", values)
        except (TypeError, ValueError, OverflowError, KeyError):
            return self._encode_carefully(readings)

    def _encode_carefully(self, readings: Mapping[str, Any]) -> "array[int]":
        out = array("q", [MISSING]) * len(self.fields)
        for at, field in enumerate(self.fields):
            value = readings.get(field.name)
            if field.number:
                value = (
                    value[field.number - 1] if isinstance(value, list | tuple) and len(value) >= field.number else None
                )
            if isinstance(value, int | float):
                try:
                    out[at] = round(value * field.scale)
                except (ValueError, OverflowError):  # not a number, endless, or beyond 64 bits
                    continue
        return out

    def decode(self, values: Sequence[int]) -> dict[str, Any]:
        """Return the readings of a row, given its columns after time and number."""
        readings: dict[str, Any] = {}
        for at, name, scale, flag in self._plain:
            value = values[at]
            if value != MISSING:
                readings[name] = bool(value) if flag else value if scale == 1 else value / scale
        for name, at, count, scale in self._lists:
            part = values[at : at + count]
            elements = [None if value == MISSING else value if scale == 1 else value / scale for value in part]
            if elements.count(None) < count:
                readings[name] = elements
        return readings


class PackHour:
    """The rows of one pack in one hour that are not in a chunk yet, in the order in which they came.

    flat: the rows one after the other, each of `layout.width` integers
    saved: how many of them are in the file's hot table
    """

    def __init__(self, layout: Layout, flat: "array[int] | None" = None) -> None:
        self.layout = layout
        self.flat = array("q") if flat is None else flat
        self.saved = 0

    def __len__(self) -> int:
        return len(self.flat) // self.layout.width

    def add(self, time: int, seq: int, values: "array[int]") -> None:
        """Take one row."""
        self.flat.append(time)
        self.flat.append(seq)
        self.flat.extend(values)

    def widen(self, layout: Layout) -> None:
        """Change to a layout that has all the columns of the present one."""
        self.flat = widened(self.flat, self.layout, layout)
        self.layout = layout

    def column(self, at: int) -> "array[int]":
        """Return one column, in the order in which the rows came."""
        return self.flat[at :: self.layout.width]

    def after(self, seq: int) -> "PackHour":
        """Return only the rows with a larger number; they came in the order of their numbers."""
        first = bisect_left(self.column(SEQ), seq + 1)
        return PackHour(self.layout, self.flat[first * self.layout.width :])

    def columns(self) -> list["array[int]"]:
        """Return all columns, sorted by time."""
        return sorted_by_time([self.column(at) for at in range(self.layout.width)])

    def journalled(self) -> dict[str, float]:
        """Return the newest meters and counters."""
        found: dict[str, float] = {}
        for name, at, scale in self.layout.journalled:
            value = self.flat[at - self.layout.width]  # nearly always the newest row has them
            if value == MISSING:
                value = next((value for value in reversed(self.column(at)) if value != MISSING), MISSING)
            if value != MISSING:
                found[name] = value if scale == 1 else value / scale
        return found

    def add_to_meters(self, more: Mapping[str, float]) -> None:
        """Add to the meters of the rows that are not saved."""
        width = self.layout.width
        for name, at, scale in self.layout.journalled:
            if name in METERS and name in more:
                rest, step = slice(self.saved * width + at, None, width), round(more[name] * scale)
                values = [value if value == MISSING else value + step for value in self.flat[rest]]
                self.flat[rest] = array("q", values)


def sorted_by_time(columns: list["array[int]"]) -> list["array[int]"]:
    """Return the columns with their rows in the order of time, then of number."""
    times = columns[TIME]
    if all(map(int.__le__, times, times[1:])):
        return columns
    numbers = columns[SEQ]
    order = sorted(range(len(times)), key=lambda row: (times[row], numbers[row]))
    return [array("q", [column[row] for row in order]) for column in columns]


def widened(flat: "array[int]", old: Layout, new: Layout) -> "array[int]":
    """Return the rows of one layout as rows of another that has all of its columns."""
    if old == new:
        return flat
    rows = len(flat) // old.width
    out = array("q", [MISSING]) * (rows * new.width)
    for at in range(HEAD):
        out[at :: new.width] = flat[at :: old.width]
    for field, at in zip(old.fields, range(HEAD, old.width), strict=True):
        to = new.index[field.column]
        column = flat[at :: old.width]
        scale = new.fields[to - HEAD].scale
        if scale != field.scale:
            column = array("q", [v if v == MISSING else round(v * scale / field.scale) for v in column])
        out[to :: new.width] = column
    return out


def _kept(name: str) -> bool:
    row = BY_NAME.get(name)
    return row is not None and row[1] not in ("text", "names") and row[3] not in NOT_KEPT


def _scale_and_kind(name: str) -> tuple[int, str]:
    _, quantity, kind, _, _ = BY_NAME[name]
    scale = 10 ** QUANTITY[quantity][2]
    if quantity == "flag":
        return scale, FLAG
    if quantity == "bits":
        return scale, BITS
    if kind in (STATE, TOTAL) or quantity in ("extreme_cell", "tick", "clock"):
        return scale, LAST
    return scale, MEAN


_PLACE = {name: place for place, name in enumerate(BY_NAME)}


def _order(field: Field) -> tuple[int, str, int]:
    return _PLACE.get(field.name, len(_PLACE)), field.name, field.number
