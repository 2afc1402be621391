"""cellwire calibrate: tells a BMS what a meter of your own shows, so that it measures the same."""

import argparse
from typing import Any

from ..cli import USAGE, Failure
from .change import OnePack, on_pack

# What people say -> (command, the reading that it makes right).
EACH = {"cell": ("calibrate_cell", "cell_voltages"), "sensor": ("calibrate_sensor", "temperatures")}
ONE = {
    "voltage": ("calibrate_voltage", "voltage"),
    "current": ("calibrate_current", "current"),
    "charge": ("calibrate_charge_current", "current"),
    "discharge": ("calibrate_discharge_current", "current"),
    "idle": ("calibrate_idle_current", "current"),
}
WHAT = {**EACH, **ONE}


def run(options: argparse.Namespace) -> int:
    """Calibrate, and read back what the pack measures then."""
    name, reading = WHAT[options.what]
    changes: dict[str, Any] = {}
    for number, value in wanted(options.what, options.values).items():
        changes[f"{name}/{number}" if number else name] = value

    async def work(pack: OnePack) -> int:
        known = [each.name for each in pack.control.commands(pack.name)]
        if name not in known:
            there = [what for what, (command, _) in WHAT.items() if command in known]
            can = f"it has {', '.join(there)}" if there else "it cannot be calibrated from here"
            raise Failure(USAGE, f"{pack.name} has no calibration of {options.what}; {can}")

        def measured(key: str) -> Any:
            value = pack.pack.readings.get(reading)
            number = int(key.partition("/")[2] or 0)
            if number and isinstance(value, list):
                return value[number - 1] if number <= len(value) else None
            return value

        return await pack.change(changes, measured=measured)

    return on_pack(options, work)


def wanted(what: str, words: list[str]) -> dict[int, Any]:
    """Return {number of the cell or sensor, else 0: what it really is}; raise Failure."""
    if what == "idle":
        if words:
            raise Failure(USAGE, "idle takes no value: no current is to flow while it is done")
        return {0: True}
    if what in ONE:
        if len(words) != 1:
            raise Failure(USAGE, f"{what} takes one value, what your meter shows: cellwire calibrate LINK {what} 12.34")
        return {0: _number(words[0])}
    pairs = [word.partition("=")[::2] for word in words]
    if len(words) == 2 and "=" not in words[0] + words[1]:
        pairs = [(words[0], words[1])]
    found: dict[int, Any] = {}
    for number, value in pairs:
        if not (number.isascii() and number.isdecimal() and int(number)) or int(number) in found:
            found = {}
            break
        found[int(number)] = _number(value)
    if not found:
        example = "1=3.312 2=3.309" if what == "cell" else "1=21.5"
        raise Failure(
            USAGE, f"{what} takes numbers and what your meter shows there: cellwire calibrate LINK {what} {example}"
        )
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Failure(USAGE, f"{text!r} is not a number; write such as 3.312") from None
