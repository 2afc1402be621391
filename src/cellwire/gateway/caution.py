"""What people should be told before they change something: what the field knows to go wrong.

Warnings are told; dangers have to be confirmed by typing. Neither takes the place of a range.
"""

from typing import Any

from ..codec.command import Command

Readings = dict[str, Any]

# Where protection makes sense for a cell, V: chemistry -> (overvoltage low, high, undervoltage low, high).
# LFP and Li-ion after the makers' own defaults (3.65 and 2.5, 4.2 and 2.8); LTO after cell data sheets.
CELLS = {
    "lfp": (3.40, 3.80, 2.00, 3.10),
    "nmc": (4.00, 4.30, 2.50, 3.50),
    "lto": (2.50, 2.90, 1.50, 2.20),
}
# What BMSs call their chemistries.
NAMES = {"LFP": "lfp", "Li-ion": "nmc", "LTO": "lto"}
COLD = 0.0  # degC below which charging plates lithium in these
PLATED = ("lfp", "nmc")
FLOWS = 0.5  # A that count as a load


def chemistry_of(known: Readings, configured: str = "") -> str:
    """Return lfp, nmc or lto, as configured, else as the BMS says; "" when nobody knows."""
    return configured or NAMES.get(known.get("battery_type", ""), "")


def warnings(command: Command, value: Any, known: Readings) -> tuple[str, ...]:
    """Return what to tell before the command is done."""
    found = [command.warning] if command.warning and value is not False else []
    current = known.get("current", 0.0)
    if value is False and command.name == "discharge_switch":
        found.append("Switching discharge off takes the power from everything behind the pack, this gateway too.")
        if current < -FLOWS:
            found.append(f"{-current:g} A flow out of the pack now.")
    if value is False and command.name == "charge_switch" and current > FLOWS:
        found.append(f"{current:g} A flow into the pack now; some chargers do not like to lose their battery.")
    return tuple(found)


def dangers(command: Command, value: Any, known: Readings, chemistry: str) -> tuple[str, ...]:
    """Return what has to be confirmed before the command is done."""
    found = [command.danger] if command.danger else []
    name = command.name
    if not isinstance(value, bool) and isinstance(value, int | float) and chemistry in CELLS:
        over_low, over_high, under_low, under_high = CELLS[chemistry]
        cells = known.get("cell_count_setting") or known.get("cell_count") or 0
        for word, low, high in (("overvoltage", over_low, over_high), ("undervoltage", under_low, under_high)):
            if name == f"cell_{word}_limit" and not low <= value <= high:
                found.append(f"{value:g} V is no {word} limit of {chemistry.upper()} cells ({low:g} to {high:g} V).")
            if name == f"pack_{word}_limit" and cells and not low * cells <= value <= high * cells:
                found.append(
                    f"{value:g} V is no {word} limit of {cells} {chemistry.upper()} cells "
                    f"({low * cells:g} to {high * cells:g} V)."
                )
        if name == "charge_undertemperature_limit" and chemistry in PLATED and value < COLD:
            found.append(f"Charging {chemistry.upper()} cells below {COLD:g} °C damages them for good.")
    return tuple(found)
