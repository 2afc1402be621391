"""Readings become integers and come back the same, or are missing; nothing is cut off to fit."""

import math
from array import array
from typing import Any

import pytest

from cellwire.outputs.history.columns import MISSING
from cellwire.outputs.history.layout import Field, Layout, PackHour, sorted_by_time, widened
from cellwire.readings.catalogue import CATALOGUE, LIST, decimals

# What goes in, and what comes back.
READINGS: tuple[tuple[str, Any, Any], ...] = (
    ("voltage", 52.43, 52.43),
    ("voltage", 52.4349, 52.43),
    ("current", -0.01, -0.01),
    ("soc", 81, 81.0),
    ("cycles", 12, 12),
    ("cycles", 12.0, 12),
    ("charge_mosfet", True, True),
    ("charge_mosfet", False, False),
    ("cell_voltages", [3.281, 3.279], [3.281, 3.279]),
    ("cell_voltages", (3.281, 3.279), [3.281, 3.279]),
    ("cell_voltages", [3.281, None], [3.281, None]),
    ("temperatures", [None, -12.3], [None, -12.3]),
    ("temperatures", [None, None], None),
    ("alarm_bits", 1 << 62, 1 << 62),
    ("alarm_bits", 1 << 63, None),
    ("energy_in", 4294967.2951, 4294967.2951),
    ("last_full", 1_759_795_200, 1_759_795_200),
    ("voltage", None, None),
    ("voltage", math.nan, None),
    ("voltage", math.inf, None),
    ("voltage", 1e30, None),
    ("voltage", "52", None),
    ("voltage", [52.0], None),
    ("cell_voltages", 3.3, None),
    ("cell_voltages", ["a", 3.3], [None, 3.3]),
    ("model", "JK", None),
    ("rated_voltage", 51.2, None),
    ("charge_switch", True, None),
    ("warnings", ["soc_low"], None),
    ("pack_state", "idle", None),
    ("no_such_reading", 5, None),
)


@pytest.mark.parametrize(("name", "value", "back"), READINGS)
def test_what_comes_back(name: str, value: Any, back: Any) -> None:
    readings = {name: value}
    layout = Layout(()).with_readings(readings)
    found = layout.decode(layout.encode(readings))
    assert found == ({} if back is None else {name: back})
    assert type(found.get(name)) is type(back)
    # Beside others, which go the short way when all are well.
    readings = {"power": 1.5, "cell_voltages": [3.0, 3.0], **readings}
    layout = layout.with_readings(readings)
    assert layout.decode(layout.encode(readings)).get(name) == back


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: str(row[0]))
def test_every_reading_that_is_kept_comes_back(row: tuple[str, str, str, str, str]) -> None:
    name, quantity, kind, group, _ = row
    value: Any = True if quantity == "flag" else round(7.654321, decimals(name)) if decimals(name) else 7
    readings = {name: [value, None, value] if kind == LIST else value}
    layout = Layout(()).with_readings(readings)
    kept = quantity not in ("text", "names") and group not in ("identity", "settings")
    assert layout.decode(layout.encode(readings)) == (readings if kept else {})


def test_a_new_reading_makes_a_wider_layout() -> None:
    first = Layout(()).with_readings({"voltage": 1.0, "cell_voltages": [3.0, 3.0]})
    assert first.fits({"voltage": 2.0, "model": "x", "nonsense": 1})
    assert first.with_readings({"voltage": 2.0}) is first
    assert not first.fits({"soc": 5})
    assert not first.fits({"cell_voltages": [3.0, 3.0, 3.0]})
    second = first.with_readings({"soc": 5, "cell_voltages": [3.0, 3.0, 3.0]})
    assert [field.column for field in second.fields] == [
        "voltage", "soc", "cell_voltages.1", "cell_voltages.2", "cell_voltages.3",
    ]  # fmt: skip
    assert second.decode(second.encode({"voltage": 1.0})) == {"voltage": 1.0}
    # Who sees the readings in another order ends with the same layout.
    assert Layout(()).with_readings({"cell_voltages": [1, 2, 3], "soc": 1, "voltage": 2}) == second


def test_is_written_down_and_read() -> None:
    layout = Layout(()).with_readings({"voltage": 1.0, "cell_voltages": [3.0], "charge_mosfet": True})
    assert Layout.read(layout.written()) == layout
    with pytest.raises(ValueError, match="Expecting"):
        Layout.read("{")


def test_a_column_stays_what_it_was() -> None:
    """A later catalogue may have other decimals: what was written is read as it was written."""
    old = Layout([Field("voltage", 0, 10, "mean")])
    assert old.decode(array("q", [524])) == {"voltage": 52.4}
    wider = old.with_readings({"voltage": 52.43, "soc": 1})
    assert wider.decode(wider.encode({"voltage": 52.43, "soc": 1})) == {"voltage": 52.4, "soc": 1.0}
    finer = Layout([Field("voltage", 0, 100, "mean")])
    assert list(widened(array("q", [5, 1, 524, 6, 2, MISSING]), old, finer)) == [5, 1, 5240, 6, 2, MISSING]


def test_rows_of_an_hour() -> None:
    narrow = Layout(()).with_readings({"energy_in": 1.0})
    hour = PackHour(narrow)
    for number, (time, energy) in enumerate(((3000, 1.5), (1000, 2.5), (2000, None)), 1):
        hour.add(time, number, narrow.encode({"energy_in": energy}))
    assert len(hour) == 3
    assert hour.journalled() == {"energy_in": 2.5}
    assert [list(column) for column in hour.columns()[:2]] == [[1000, 2000, 3000], [2, 3, 1]]
    assert len(hour.after(2)) == 1
    hour.widen(narrow.with_readings({"soc": 1}))
    assert [hour.layout.decode(row[2:]) for row in zip(*hour.columns(), strict=True)] == [
        {"energy_in": 2.5}, {}, {"energy_in": 1.5},
    ]  # fmt: skip


def test_sorts_by_time_then_number() -> None:
    columns = [array("q", [2, 1, 2]), array("q", [9, 8, 7]), array("q", [20, 10, 21])]
    assert [list(column) for column in sorted_by_time(columns)] == [[1, 2, 2], [8, 7, 9], [10, 21, 20]]
