"""Presets are starting values that fit together, lie inside of what cells bear, and are those of the documentation."""

import re
from pathlib import Path
from typing import Any

import pytest

from cellwire.gateway.backup import ALONE, UNSHOWN
from cellwire.gateway.caution import CELLS as SENSIBLE
from cellwire.gateway.caution import COLD, PLATED
from cellwire.gateway.chemistry import CHEMISTRIES as BEAR
from cellwire.gateway.presets import CELLS, CHEMISTRIES, STRINGS, preset, values

PAGE = (Path(__file__).parents[2] / "docs/control.md").read_text(encoding="utf-8")
each_chemistry = pytest.mark.parametrize("chemistry", CHEMISTRIES)

# From low to high.
ORDER = (
    ("hard_cell_undervoltage_limit", "power_off_voltage", "cell_undervoltage_limit", "cell_undervoltage_warning"),
    ("cell_undervoltage_limit", "cell_undervoltage_release", "balance_start", "cell_overvoltage_limit"),
    ("cell_overvoltage_release", "cell_overvoltage_warning", "cell_overvoltage_limit", "hard_cell_overvoltage_limit"),
    ("cell_undervoltage_limit", "soc_empty_voltage", "soc_full_voltage", "cell_overvoltage_limit"),
    ("float_voltage_setting", "charge_voltage_setting", "cell_overvoltage_limit"),
    tuple(f"soc_{percent}_voltage" for percent in range(10, 101, 10)),
    ("charge_undertemperature_limit", "charge_undertemperature_release", "charge_overtemperature_release"),
    ("charge_overtemperature_release", "charge_overtemperature_limit"),
    ("discharge_undertemperature_limit", "discharge_undertemperature_release", "discharge_overtemperature_release"),
    ("discharge_overtemperature_release", "discharge_overtemperature_limit"),
)


def row_of(name: str, value: Any, low: float = -100, high: float = 1000, **more: Any) -> dict[str, Any]:
    row = {"command": name, "kind": "number", "group": "protection", "proof": "agreed", "value": value}
    return {**row, "low": low, "high": high, "step": 0.001, **more}


@each_chemistry
@pytest.mark.parametrize("names", ORDER, ids=lambda names: names[0])
def test_values_fit_together(chemistry: str, names: tuple[str, ...]) -> None:
    found = values(chemistry, 16)
    row = [found[name] for name in names]
    assert row == sorted(set(row))


@each_chemistry
def test_no_value_is_one_that_is_warned_of(chemistry: str) -> None:
    found = values(chemistry, 16)
    over_low, over_high, under_low, under_high = SENSIBLE[chemistry]
    assert over_low <= found["cell_overvoltage_limit"] <= over_high
    assert under_low <= found["cell_undervoltage_limit"] <= under_high
    if chemistry in PLATED:
        assert found["charge_undertemperature_limit"] > COLD


@each_chemistry
def test_the_bms_acts_after_the_limits_that_are_worked_out(chemistry: str) -> None:
    """It is the last line: chargers and inverters are to be at rest before a MOSFET opens."""
    found, bears = values(chemistry, 16), BEAR[chemistry]
    assert found["cell_overvoltage_limit"] >= bears.highest
    assert found["cell_undervoltage_limit"] < bears.lowest


@each_chemistry
def test_the_string_is_its_cells(chemistry: str) -> None:
    found = values(chemistry, 15)
    for name, cell in STRINGS.items():
        assert found[name] == pytest.approx(15 * found[cell], abs=0.005)
    assert not set(STRINGS) & set(values(chemistry, 0))


def test_only_what_the_pack_has_and_takes() -> None:
    rows = [
        row_of("cell_overvoltage_limit", 3.5),
        row_of("cell_undervoltage_limit", 2.0, low=2.7),
        row_of("pack_overvoltage_limit", 30.0),
        row_of("balance_start", 3.4),
        row_of("balance_delta", 0.02, proof="unproven"),
        row_of("battery_type", "LTO", kind="choice", words=["LFP", "LTO"]),
        row_of("design_capacity", 280.0),
    ]
    changes, skipped = preset("lfp", 8, rows)
    assert changes == {"cell_overvoltage_limit": 3.65, "pack_overvoltage_limit": 29.2}
    assert skipped == {
        "cell_undervoltage_limit": "2.6 is not between 2.7 and 1000",
        "balance_delta": UNSHOWN,
        "battery_type": ALONE,
    }
    assert preset("lfp", 8, rows, unproven=True)[0]["balance_delta"] == 0.01


def test_voltages_that_have_to_fit_together_are_all_written_or_none() -> None:
    rows = [row_of("soc_80_voltage", 3.9), row_of("soc_90_voltage", 4.0, proof="unproven"), row_of("balance_start", 3)]
    changes, skipped = preset("lfp", 4, rows)
    assert changes == {"balance_start": 3.4}
    assert skipped["soc_80_voltage"] == "it has to fit to soc_90_voltage, which is left as it is"
    assert set(preset("lfp", 4, rows, unproven=True)[0]) == {"soc_80_voltage", "soc_90_voltage", "balance_start"}


def test_without_the_number_of_cells_the_string_is_left_alone() -> None:
    changes, skipped = preset("nmc", 0, [row_of("pack_overvoltage_limit", 60.0), row_of("cell_overvoltage_limit", 4.0)])
    assert changes == {"cell_overvoltage_limit": 4.2}
    assert skipped == {"pack_overvoltage_limit": "nobody knows how many cells this pack has"}


def test_the_page_has_the_same_values() -> None:
    rows = {}
    for line in PAGE.partition("<!-- presets -->")[2].partition("<!-- end -->")[0].splitlines():
        found = re.fullmatch(r"\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \|.*", line)
        if found:
            rows[found[1]] = tuple(float(text.replace("−", "-")) for text in found.groups()[1:4])
    assert rows == {name: tuple(map(float, row)) for name, *row in CELLS}
