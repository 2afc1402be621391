"""Writes the tables of docs/modbus.md from the rows that are served."""

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cellwire.outputs.modbus import alarms, native, registers, settable, sunspec, values
from cellwire.readings.catalogue import BY_NAME

PAGE = Path(__file__).parent.parent / "docs/modbus.md"
BEGIN = "<!-- made by tools/modbus_page.py: {} -->"
END = "<!-- end -->"
WORDS = {**dict(values.DERIVED), **dict(native.SOURCES)}


def table(*rows: tuple[object, ...]) -> str:
    """Return a table; the first row is its head."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def source(name: str | int | None) -> str:
    """Return where a value comes from."""
    if name is None or isinstance(name, int):
        return "" if name is None else f"always {name}"
    return f"`{name}`" if name in BY_NAME else WORDS[name]


def native_map() -> str:
    """Return the rows of the native map."""
    rows = []
    for first, count, kind, _, step, name, meaning in native.ROWS:
        last = first + count * registers.size(kind) - 1
        where = str(first) if last == first else f"{first} to {last}"
        rows.append((where, kind, step, meaning, source(name or None)))
    return table(("register", "type", "unit", "content", "from"), *rows)


def settable_map() -> str:
    """Return the registers that can be written."""
    rows = []
    for first, kind, _, step, command in settable.ROWS:
        last = first + registers.size(kind) - 1
        where = str(first) if last == first else f"{first} to {last}"
        rows.append((where, kind, "1 on, 0 off" if step == settable.SWITCH else step, f"`{command}`"))
    return table(("register", "type", "unit", "command"), *rows)


def status_bits() -> str:
    """Return the bits of the status."""
    return table(("bit", "name", "set when"), *native.STATUS)


def alarm_bits() -> str:
    """Return the alarm bits with their alarms."""
    rows = []
    for bit, meaning in alarms.BITS:
        names = [f"`{name}`" for name, its_bit, _ in alarms.ALARM_BITS if its_bit == bit]
        rows.append((bit, meaning, ", ".join(names)))
    return table(("bit", "meaning", "alarms"), *rows, (31, "never set", ""))


def events() -> str:
    """Return the events of SunSpec with their alarms."""
    rows = [("communication error", 0, "", "the battery, or a pack of the bank, is not live")]
    for event, (severe, mild) in alarms.EVENTS.items():
        names = [f"`{name}`" for name, _, its_event in alarms.ALARM_BITS if its_event == event]
        rows.append((event.replace("_", " "), severe, str(mild), ", ".join(names)))
    return table(("event", "protection or fault", "warning", "alarms"), *rows)


def model(number: int) -> str:
    """Return the points of a model, those that are never there in one line."""
    found = next(each for each in sunspec.MODELS if each.number == number)
    parts = [_points(found.points, 2)]
    if found.group:
        parts.append(f"Then for each {found.each}, counted from the start of its block:")
        parts.append(_points(found.group, 0))
    absent = [name for name, kind, _, where in (*found.points, *found.group) if where is None and kind != "pad"]
    if absent:
        parts.append(f"Not implemented: {', '.join(absent)}.")
    return "\n\n".join(parts)


def _points(points: tuple[sunspec.Point, ...], offset: int) -> str:
    rows = []
    exponents = {name: where for name, kind, _, where in points if kind == "sunssf"}
    for name, kind, scale, where in points:
        if where is not None and kind != "sunssf":
            rows.append((offset, name, kind, scale, source(where)))
        offset += registers.size(kind)
    shown = table(("offset", "point", "type", "scale factor", "from"), *rows)
    factors = ", ".join(f"{name} {where}" for name, where in exponents.items())
    return f"{shown}\n\nScale factors: {factors}." if factors else shown


PARTS: dict[str, Callable[[], str]] = {
    "native map": native_map,
    "registers to write": settable_map,
    "status bits": status_bits,
    "alarm bits": alarm_bits,
    "events": events,
    **{f"model {each.number}": partial(model, each.number) for each in sunspec.MODELS},
}


def fresh(page: str) -> str:
    """Return the page with all its tables made anew; raise ValueError when one has no place in it."""
    for name, make in PARTS.items():
        begin = BEGIN.format(name)
        if page.count(begin) != 1:
            raise ValueError(f"{PAGE.name} has no place for {name}, or several: add {begin} and {END}")
        pattern = re.escape(begin) + ".*?" + re.escape(END)
        made = f"{begin}\n\n{make()}\n\n{END}"
        page = re.sub(pattern, lambda _, made=made: made, page, flags=re.DOTALL)  # type: ignore[misc]
    return page


def main() -> int:
    """Write the tables anew."""
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
