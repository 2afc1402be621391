"""Makes a fast Python function from a record's rows, on CPython only; table.interpret says what it must return.

All rows that every record of this kind has (they end within `size`) are fetched by one unpack per byte order
and built into one dict; the rest are asked one by one whether the data reaches that far.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from .table import SIZES, Record, bits_of, text_of

Readings = dict[str, Any]

# Alarm words repeat for hours, and so do cell masks: the lists made from them are kept, at most this many a row.
KEPT = 256


def compiled(record: Record) -> Callable[[bytes, Readings], Readings]:
    """Return decode(data, known) for the record's rows, without `then` and `finish`."""
    return _Maker(record).function()


def _value(raw: str, zero: int, divisor: int) -> str:
    if divisor == 1:
        return raw if zero == 0 else f"{raw} - {zero}" if zero > 0 else f"{raw} + {-zero}"
    if divisor < 0:
        return f"({zero} - {raw}) / {-divisor}"
    return f"{raw} / {divisor}" if zero == 0 else f"({raw} - {zero}) / {divisor}"


def _alarm_lists(bits: tuple[tuple[int, str, str], ...]) -> Callable[[int], tuple[tuple[str, ...], ...]]:
    names = list(dict.fromkeys(row[1] for row in bits))
    seen: dict[int, tuple[tuple[str, ...], ...]] = {}

    def lists(raw: int) -> tuple[tuple[str, ...], ...]:
        found = seen.get(raw)
        if found is None:
            found = tuple(tuple(alarm for bit, own, alarm in bits if own == name and raw >> bit & 1) for name in names)
            if len(seen) < KEPT:
                seen[raw] = found
        return found

    return lists


def _texts(field: bytes, seen: dict[bytes, str] = {}) -> str:  # noqa: B006  # the default is the cache
    text = seen.get(field)
    if text is None:
        text = text_of(field)
        if len(seen) < KEPT:
            seen[field] = text
    return text


class _Maker:
    """Collects the lines of one function and the objects they use."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.space: dict[str, Any] = {"texts": _texts, "bits_of": bits_of}
        self.fetched: dict[str, list[tuple[int, str, str]]] = {"<": [], ">": []}
        self.items: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.made: set[str] = set()
        orders = [row[2][0] for row in (*record.numbers, *record.lists)]
        self.order = ">" if orders.count(">") >= orders.count("<") else "<"

    def keep(self, thing: object) -> str:
        name = f"k{len(self.space)}"
        self.space[name] = thing
        return name

    def fetch(self, at: int, form: str) -> str:
        """Return the variable that holds the number at `at`; the unpack of all of them is written at the end."""
        order, kind = form[0], form[1]
        if kind == "B":
            # Bytes have no order: they come with the numbers that the record has most of.
            order = self.order
        variable = f"v{at}{kind}{'l' if order == '<' else 'b'}"
        if (at, kind, variable) not in self.fetched[order]:
            self.fetched[order].append((at, kind, variable))
        return variable

    def reaches(self, at: int, width: int) -> bool:
        return at + width <= self.record.size

    def number(self, at: int, form: str) -> tuple[str, str]:
        """Return (condition or "", expression) for the raw number at `at`."""
        width = SIZES[form[1]]
        if self.reaches(at, width):
            return "", self.fetch(at, form)
        if form[1] == "B":
            return f"size > {at}", f"data[{at}]"
        return f"size >= {at + width}", f"{self.keep(Struct(form).unpack_from)}(data, {at})[0]"

    def give(self, reading: str, condition: str, expression: str) -> None:
        if not condition and reading not in self.made:
            self.items.append((reading, expression))
        elif condition:
            self.lines += [f"if {condition}:", f"    values[{reading!r}] = {expression}"]
        else:
            self.lines.append(f"values[{reading!r}] = {expression}")
        self.made.add(reading)

    def numbers(self) -> None:
        for row in self.record.numbers:
            reading, at, form, zero, divisor = row[:5]
            condition, raw = self.number(at, form)
            if len(row) == 6:
                inside = f"(raw := {raw}) not in {row[5]!r}"
                self.give(
                    reading,
                    f"{condition} and {inside}" if condition else inside,
                    _value("raw", zero, divisor),
                )
            else:
                self.give(reading, condition, _value(raw, zero, divisor))

    def flags(self) -> None:
        for reading, at, bit in self.record.flags:
            condition, raw = self.number(at, self.order + "B")
            self.give(reading, condition, f"{raw} & {1 << bit} != 0")

    def choices(self) -> None:
        for reading, at, form, texts in self.record.choices:
            condition, raw = self.number(at, form)
            kept = self.keep({number: text for number, text in enumerate(texts) if text})
            inside = f"(raw := {raw}) in {kept}"
            self.give(reading, f"{condition} and {inside}" if condition else inside, f"{kept}[raw]")

    def texts(self) -> None:
        for reading, at, length in self.record.texts:
            self.give(reading, f"size > {at} and (text := texts(data[{at}:{at + length}]))", "text")

    def masks(self) -> None:
        for reading, at, form, first in self.record.masks:
            condition, raw = self.number(at, form)
            if reading in self.made:
                filled = f"(raw := {raw})"
                bits = f"values.get({reading!r}, []) + bits_of(raw, {first})"
                self.give(reading, f"{condition} and {filled}" if condition else filled, bits)
                if condition:
                    self.lines.append(f"if {condition}: values.setdefault({reading!r}, [])")
            else:
                self.give(reading, condition, f"bits_of(raw, {first}) if (raw := {raw}) else []")

    def alarms(self) -> None:
        for reading, at, form, bits in self.record.alarms:
            condition, raw = self.number(at, form)
            self.give(reading, condition, raw)
            names = list(dict.fromkeys(row[1] for row in bits))
            pad = "    " if condition else ""
            if condition:
                self.lines.append(f"if {condition}:")
            if not names:
                self.lines.append(f"{pad}pass")
                continue
            found = "".join(f"n{number}, " for number in range(len(names)))
            self.lines.append(f"{pad}{found} = {self.keep(_alarm_lists(bits))}(values[{reading!r}])")
            for number, name in enumerate(names):
                if name in self.made:
                    self.lines += [f"{pad}values.setdefault({name!r}, []).extend(n{number})"]
                else:
                    self.lines += [f"{pad}values[{name!r}] = [*n{number}]"]
                self.made.add(name)

    def lists(self) -> None:
        for row in self.record.lists:
            reading, at, form, zero, divisor, count = row[:6]
            absent = row[6] if len(row) == 7 else ()
            width = SIZES[form[1]]
            wanted = (
                str(count)
                if isinstance(count, int)
                else f"values.get({count!r}) if {count!r} in values else known.get({count!r})"
            )
            room = f"(size - {at}) // {width}" if width > 1 else f"size - {at}"
            value = _value("raw", zero, divisor)
            if absent:
                value = f"None if raw in {absent!r} else {value}"
            if isinstance(count, int) and count and self.reaches(at, count * width):
                given = (
                    f"[{value} for raw in {self.keep(Struct(f'{form[0]}{count}{form[1]}').unpack_from)}(data, {at})]"
                )
                if absent:
                    self.lines.append(f"if (found := {given}).count(None) < {count}: values[{reading!r}] = found")
                else:
                    self.lines.append(f"values[{reading!r}] = {given}")
                continue
            if isinstance(count, int) and self.reaches(at, count * width):
                self.fixed_list(reading, [self.fetch(at + number * width, form) for number in range(count)], row)
                continue
            unpack = self.keep([Struct(f"{form[0]}{number}{form[1]}").unpack_from for number in range(257)])
            if isinstance(count, int):
                wanted = str(count)
            elif count in self.made:
                wanted = f"values.get({count!r}, known.get({count!r}))"
            else:
                wanted = f"known.get({count!r})"
            room = f"(size - {at}) // {width}" if width > 1 else f"size - {at}"
            value = _value("raw", zero, divisor)
            if absent:
                value = f"None if raw in {absent!r} else {value}"
            self.lines += [
                f"wanted = {wanted}",
                "if wanted:",
                f"    count = wanted if size >= {at} + {width} * wanted else max(0, {room})",
                "    if count:",
                f"        found = [{value} for raw in {unpack}[count](data, {at})]",
                *(["        if found.count(None) < count:"] if absent else []),
                f"    {'        ' if absent else '    '}values[{reading!r}] = found",
                "elif wanted == 0:",
                f"    values[{reading!r}] = []",
            ]

    def fixed_list(self, reading: str, raws: list[str], row: tuple[Any, ...]) -> None:
        """Give a list of a constant number of elements that every record has."""
        absent = row[6] if len(row) == 7 else ()
        elements = [_value(raw, row[3], row[4]) for raw in raws]
        if absent:
            elements = [f"None if {raw} in {absent!r} else {one}" for raw, one in zip(raws, elements, strict=True)]
            self.lines += [
                f"found = [{', '.join(elements)}]",
                f"if found.count(None) < {len(raws)}:",
                f"    values[{reading!r}] = found",
            ]
        else:
            self.give(reading, "", f"[{', '.join(elements)}]")

    def unpacks(self) -> list[str]:
        """Return the lines that fetch all fixed numbers: one unpack per byte order, more where fields overlap."""
        lines = []
        for order, fields in self.fetched.items():
            left = sorted(fields)
            while left:
                form, position, names, later = order, 0, [], []
                for at, kind, variable in left:
                    if at < position:
                        later.append((at, kind, variable))
                        continue
                    form += f"{at - position}x" * (at > position) + kind
                    position = at + SIZES[kind]
                    names.append(variable)
                lines.append(f"{', '.join(names)}, = {self.keep(Struct(form).unpack_from)}(data)")
                left = later
        return lines

    def begin(self) -> list[str]:
        """Return the lines that make `values` with what every answer has.

        CPython builds a large dict display in pieces that it then merges; filling the copy of a dict that has all the
        names is a sixth faster.
        """
        if len(self.items) <= 15:
            return ["values = {" + ", ".join(f"{reading!r}: {value}" for reading, value in self.items) + "}"]
        names = self.keep(dict.fromkeys(reading for reading, _ in self.items).copy)
        return [f"values = {names}()"] + [f"values[{reading!r}] = {value}" for reading, value in self.items]

    def function(self) -> Callable[[bytes, Readings], Readings]:
        for part in (self.numbers, self.flags, self.choices, self.texts, self.masks, self.alarms, self.lists):
            part()
        body = [
            "size = len(data)",
            *self.unpacks(),
            *self.begin(),
            *self.lines,
            "return values",
        ]
        source = "def decode(data, known):\n" + "\n".join("    " + line for line in body)
        exec(compile(source, f"<record {self.record.name}>", "exec"), self.space)  # noqa: S102  # rows are our own constants
        function: Callable[[bytes, Readings], Readings] = self.space["decode"]
        return function
