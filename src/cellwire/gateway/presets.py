"""Starting values for a chemistry, to be looked at and then written as any other settings; docs/control.md has them."""

from collections.abc import Sequence
from typing import Any

from ..codec.command import UNPROVEN
from .backup import UNSHOWN, Row, alike, unfit

CHEMISTRIES = ("lfp", "nmc", "lto")

# setting                            lfp     nmc     lto    V of one cell, degree C
CELLS = (
    ("hard_cell_overvoltage_limit", 3.75, 4.28, 2.85),
    ("cell_overvoltage_limit", 3.65, 4.20, 2.80),
    ("cell_overvoltage_warning", 3.60, 4.18, 2.75),
    ("cell_overvoltage_release", 3.45, 4.10, 2.65),
    ("cell_undervoltage_release", 3.00, 3.20, 2.00),
    ("cell_undervoltage_warning", 2.80, 3.00, 1.85),
    ("cell_undervoltage_limit", 2.60, 2.80, 1.70),
    ("hard_cell_undervoltage_limit", 2.30, 2.60, 1.55),
    ("power_off_voltage", 2.50, 2.70, 1.60),
    ("charge_voltage_setting", 3.45, 4.15, 2.65),
    ("float_voltage_setting", 3.35, 4.05, 2.50),
    ("soc_full_voltage", 3.45, 4.15, 2.65),
    ("soc_empty_voltage", 2.90, 3.10, 1.95),
    ("soc_100_voltage", 3.40, 4.15, 2.65),
    ("soc_90_voltage", 3.33, 4.05, 2.50),
    ("soc_80_voltage", 3.32, 3.95, 2.42),
    ("soc_70_voltage", 3.31, 3.87, 2.36),
    ("soc_60_voltage", 3.30, 3.78, 2.31),
    ("soc_50_voltage", 3.29, 3.71, 2.27),
    ("soc_40_voltage", 3.28, 3.66, 2.24),
    ("soc_30_voltage", 3.26, 3.61, 2.20),
    ("soc_20_voltage", 3.23, 3.55, 2.15),
    ("soc_10_voltage", 3.18, 3.45, 2.05),
    ("nominal_cell_voltage", 3.20, 3.65, 2.30),
    ("balance_start", 3.40, 4.00, 2.50),
    ("balance_delta", 0.010, 0.010, 0.010),
    ("charge_overtemperature_limit", 50, 45, 50),
    ("charge_overtemperature_warning", 45, 40, 45),
    ("charge_overtemperature_release", 45, 40, 45),
    ("charge_undertemperature_release", 5, 5, -5),
    ("charge_undertemperature_warning", 5, 5, -5),
    ("charge_undertemperature_limit", 2, 2, -10),
    ("discharge_overtemperature_limit", 55, 55, 55),
    ("discharge_overtemperature_warning", 50, 50, 50),
    ("discharge_overtemperature_release", 50, 50, 50),
    ("discharge_undertemperature_release", -5, -5, -20),
    ("discharge_undertemperature_warning", -5, -5, -20),
    ("discharge_undertemperature_limit", -10, -10, -25),
)
# What the settings of the whole string are made from.
STRINGS = {
    f"pack_{side}_{value}": f"cell_{side}_{value}"
    for side in ("overvoltage", "undervoltage")
    for value in ("limit", "warning", "release")
}
# Each has to be above the one before: all of them or none.
LADDER = tuple(f"soc_{percent}_voltage" for percent in range(10, 101, 10))
NAMES = {"lfp": "LFP", "nmc": "Li-ion", "lto": "LTO"}  # of `battery_type`


def values(chemistry: str, cells: int) -> dict[str, Any]:
    """Return {setting: value} for a string of that many cells, without those of the whole string when it is 0."""
    place = 1 + CHEMISTRIES.index(chemistry)
    found: dict[str, Any] = {"battery_type": NAMES[chemistry]}
    for row in CELLS:
        found[row[0]] = row[place]
    if cells:
        found |= {name: round(found[other] * cells, 2) for name, other in STRINGS.items()}
    return found


def preset(
    chemistry: str, cells: int, rows: Sequence[Row], unproven: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return ({command: value}, {command: why it is left out}) of the commands that a pack has.

    chemistry: one of CHEMISTRIES; unproven: commands without public proof too. What is so already is in neither.
    """
    changes: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    wanted = values(chemistry, cells)
    for row in rows:
        name = row["command"]
        if name in STRINGS and not cells:
            skipped[name] = "nobody knows how many cells this pack has"
        if name not in wanted:
            continue
        value = wanted[name]
        if alike(row, row.get("value"), value):
            continue
        why = unfit(row, value)
        if not why and row["proof"] == UNPROVEN and not unproven:
            why = UNSHOWN
        if why:
            skipped[name] = why
        else:
            changes[name] = value
    gap = next((name for name in LADDER if name in skipped), "")
    for name in LADDER if gap else ():
        if changes.pop(name, None) is not None:
            skipped[name] = f"it has to fit to {gap}, which is left as it is"
    return changes, skipped
