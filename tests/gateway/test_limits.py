"""Charge and discharge limits: hand-computed by cells, temperature and state of charge, and what keeps them steady."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from cellwire.gateway.chemistry import CHEMISTRIES
from cellwire.gateway.config import LimitSettings
from cellwire.gateway.limits import Inputs, Limit, Limits, limits, nothing, on, readings, steady
from cellwire.readings.catalogue import BY_NAME

PAGE = (Path(__file__).parents[2] / "docs/banks.md").read_text(encoding="utf-8")

LFP = LimitSettings("lfp", charge_current=100.0, discharge_current=200.0)
# A pack of 16 LFP cells in the middle of its life: all limits are as configured.
WELL: dict[str, Any] = {
    "cells": 16, "mean": 3.30, "lowest": 3.29, "highest": 3.31, "coldest": 20.0, "warmest": 24.0, "soc": 60.0,
    "charge_mosfet": True, "discharge_mosfet": True,
}  # fmt: skip


def shown(settings: LimitSettings, **look: Any) -> dict[str, Any]:
    return readings(limits(Inputs(**{**WELL, **look}), settings))


# what is seen -> charge current, its reason
CHARGE = [
    ({}, 100, "configured"),
    # cells: from 3.45 V to 3.60 V down to nothing
    ({"highest": 3.45}, 100, "configured"),
    ({"highest": 3.48}, 80, "cell_high"),
    ({"highest": 3.525}, 50, "cell_high"),
    ({"highest": 3.599}, 0, "cell_high"),  # 0.67 A, rounded down
    ({"highest": 3.60}, 0, "cell_high"),
    ({"highest": 3.75}, 0, "cell_high"),
    # cold: 0 at 0 degC, 20 % at 5, 50 % at 7.5, all from 10
    ({"coldest": -5.0}, 0, "temperature_low"),
    ({"coldest": 0.0}, 0, "temperature_low"),
    ({"coldest": 2.5}, 10, "temperature_low"),
    ({"coldest": 5.0}, 20, "temperature_low"),
    ({"coldest": 6.0}, 32, "temperature_low"),  # 20 + 30 x 1 / 2.5
    ({"coldest": 7.5}, 50, "temperature_low"),
    ({"coldest": 9.0}, 80, "temperature_low"),  # 50 + 50 x 1.5 / 2.5
    ({"coldest": 10.0}, 100, "configured"),
    # warm: all to 45 degC, 50 % at 50, 0 at 55
    ({"warmest": 45.0}, 100, "configured"),
    ({"warmest": 46.0}, 90, "temperature_high"),
    ({"warmest": 50.0}, 50, "temperature_high"),
    ({"warmest": 55.0}, 0, "temperature_high"),
    ({"warmest": 80.0}, 0, "temperature_high"),
    ({"coldest": 48.0, "warmest": 52.0}, 30, "temperature_high"),
    ({"coldest": 2.5, "warmest": 46.0}, 10, "temperature_low"),
    # the worst cause counts, the others do not add to it
    ({"highest": 3.525, "coldest": 6.0}, 32, "temperature_low"),
    ({"highest": 3.57, "coldest": 6.0}, 20, "cell_high"),
    # what the BMS asks for is an upper bound
    ({"charge_request": 30.0}, 30, "bms_request"),
    ({"charge_request": 0.0}, 0, "bms_request"),
    ({"charge_request": 130.0}, 100, "configured"),
    ({"charge_request": 60.0, "highest": 3.525}, 50, "cell_high"),
    # what cannot be seen is not allowed
    ({"highest": None}, 0, "sensor_missing"),
    ({"coldest": None, "warmest": None}, 0, "sensor_missing"),
    ({"charge_mosfet": False}, 0, "bms_blocks_charging"),
    ({"charge_mosfet": None}, 100, "configured"),
    ({"discharge_mosfet": False}, 100, "configured"),
    ({"soc": None}, 100, "configured"),
]


@pytest.mark.parametrize(("look", "current", "reason"), CHARGE)
def test_charge_current(look: dict[str, Any], current: float, reason: str) -> None:
    found = shown(LFP, **look)
    assert (found["charge_current_limit"], found["charge_current_reason"]) == (current, reason)


# what is seen -> discharge current, its reason
DISCHARGE = [
    ({}, 200, "configured"),
    # cells: from 3.00 V to 2.70 V down to nothing
    ({"lowest": 3.00}, 200, "configured"),
    ({"lowest": 2.94}, 160, "cell_low"),
    ({"lowest": 2.85}, 100, "cell_low"),
    ({"lowest": 2.70}, 0, "cell_low"),
    ({"lowest": 2.10}, 0, "cell_low"),
    # state of charge: from 10 % to 0 % down to nothing
    ({"soc": 10}, 200, "configured"),
    ({"soc": 5}, 100, "soc_low"),
    ({"soc": 0}, 0, "soc_low"),
    ({"soc": None}, 200, "configured"),
    # temperature
    ({"coldest": -20.0}, 0, "temperature_low"),
    ({"coldest": -15.0}, 50, "temperature_low"),
    ({"coldest": -10.0}, 100, "temperature_low"),
    ({"coldest": -5.0}, 150, "temperature_low"),
    ({"coldest": 0.0}, 200, "configured"),
    ({"warmest": 50.0}, 200, "configured"),
    ({"warmest": 52.5}, 150, "temperature_high"),
    ({"warmest": 60.0}, 0, "temperature_high"),
    ({"coldest": None, "warmest": None}, 200, "configured"),
    ({"lowest": None}, 0, "sensor_missing"),
    ({"discharge_mosfet": False}, 0, "bms_blocks_discharging"),
    ({"charge_mosfet": False}, 200, "configured"),
    ({"discharge_request": 75.5}, 75, "bms_request"),
    ({"lowest": 2.85, "soc": 4}, 80, "soc_low"),
]


@pytest.mark.parametrize(("look", "current", "reason"), DISCHARGE)
def test_discharge_current(look: dict[str, Any], current: float, reason: str) -> None:
    found = shown(LFP, **look)
    assert (found["discharge_current_limit"], found["discharge_current_reason"]) == (current, reason)


# settings, what is seen -> charge voltage, its reason
VOLTAGE = [
    (LFP, {}, 55.2, "configured"),  # 16 x 3.45
    (LimitSettings("lfp", charge_voltage=3.40), {}, 54.4, "configured"),
    (LimitSettings("lfp", charge_voltage=3.60), {"mean": 3.31}, 57.6, "configured"),
    (LimitSettings("lfp", charge_voltage=3.60), {}, 57.4, "cell_high"),  # the highest is 0.01 V ahead: 16 x 3.59
    (LFP, {"cells": 4}, 13.8, "configured"),
    # all cells may rise by 3.60 - 3.58 = 0.02 V: 16 x 3.42 = 54.72
    (LFP, {"mean": 3.40, "highest": 3.58}, 54.7, "cell_high"),
    # 0.05 V beyond: 16 x (3.44 - 0.05) = 54.24
    (LFP, {"mean": 3.44, "highest": 3.65}, 54.2, "cell_high"),
    # as far ahead as it may be: 3.45 + 0.15
    (LFP, {"mean": 3.45, "highest": 3.60}, 55.2, "configured"),
    # never below the voltage of a full pack at rest: 16 x 3.35
    (LFP, {"mean": 3.30, "highest": 3.65}, 53.6, "cell_high"),
    (LimitSettings("lfp", charge_voltage=3.32), {"mean": 3.20, "highest": 3.65}, 53.1, "cell_high"),
    (LFP, {"voltage_request": 54.0}, 54.0, "bms_request"),
    (LFP, {"voltage_request": 58.0}, 55.2, "configured"),
    (LFP, {"voltage_request": 0.0}, 55.2, "configured"),
    (LimitSettings("nmc"), {"cells": 14, "mean": 3.7, "highest": 3.72}, 58.1, "configured"),  # 14 x 4.15
    (LimitSettings("lto"), {"cells": 20, "mean": 2.3, "highest": 2.31}, 53.0, "configured"),  # 20 x 2.65
    (LFP, {"highest": None}, None, None),
    (LFP, {"cells": None}, None, None),
]


@pytest.mark.parametrize(("settings", "look", "voltage", "reason"), VOLTAGE)
def test_charge_voltage(
    settings: LimitSettings, look: dict[str, Any], voltage: float | None, reason: str | None
) -> None:
    found = shown(settings, **look)
    assert (found.get("charge_voltage_limit"), found.get("charge_voltage_reason")) == (voltage, reason)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (LimitSettings(), set()),
        (LimitSettings(charge_current=100.0, discharge_current=100.0), set()),
        (LimitSettings("lfp"), {"charge_voltage"}),
        (LimitSettings("lfp", charge_current=50.0), {"charge_voltage", "charge_current"}),
        (LimitSettings("lfp", discharge_current=50.0), {"charge_voltage", "discharge_current"}),
    ],
)
def test_what_is_not_configured_is_absent(settings: LimitSettings, names: set[str]) -> None:
    found = shown(settings)
    assert set(found) == {f"{name}_{what}" for name in names for what in ("limit", "reason")}
    assert set(found) <= set(BY_NAME)
    away = readings(nothing(settings))
    assert set(away) == set(found) - {"charge_voltage_limit", "charge_voltage_reason"}
    assert {value for name, value in away.items() if name.endswith("_limit")} <= {0.0}
    assert {value for name, value in away.items() if name.endswith("_reason")} <= {"stale"}


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize("nothing_there", [None, float("nan")], ids=["absent", "nan"])
def test_nothing_is_promised_without_what_it_needs(chemistry: str, nothing_there: Any) -> None:
    """Whatever is missing, in all 4096 combinations: no current above 0 without its cells, no charging unseen."""
    full = CHEMISTRIES[chemistry].full - 0.1
    whole = Inputs(16, full, full, full, 20.0, 25.0, 50.0, True, True, 57.0, 80.0, 90.0)
    settings = LimitSettings(chemistry, charge_current=100.0, discharge_current=200.0)
    for missing in itertools.product([False, True], repeat=len(Inputs._fields)):
        gone = dict(zip(Inputs._fields, missing, strict=True))
        look = whole._replace(**{name: nothing_there for name in gone if gone[name]})
        found = limits(look, settings)
        assert found.charge_current is not None
        assert found.discharge_current is not None
        needed = gone["highest"] or gone["coldest"] or gone["warmest"]
        assert 0 <= found.charge_current.value <= (0.0 if needed else 100.0 if gone["charge_request"] else 80.0), gone
        most = 0.0 if gone["lowest"] else 200.0 if gone["discharge_request"] else 90.0
        assert 0 <= found.discharge_current.value <= most, gone
        if nothing_there is None:
            cells = gone["cells"] or gone["mean"] or gone["highest"]
            assert (found.charge_voltage is None) == cells, gone


def test_no_pack_without_sensors_is_charged() -> None:
    found = readings(limits(Inputs(), LFP))
    assert found == {
        "charge_current_limit": 0,
        "charge_current_reason": "sensor_missing",
        "discharge_current_limit": 0,
        "discharge_current_reason": "sensor_missing",
    }


def ccl(amperes: float, reason: str) -> Limits:
    return Limits(charge_current=Limit(amperes, reason))


# before, what follows from the look, seconds between -> what is held to; 100 A are configured
STEADY = [
    # falls at once
    (Limit(100, "configured"), Limit(40, "cell_high"), 2, Limit(40, "cell_high")),
    (Limit(40, "cell_high"), Limit(0, "cell_high"), 2, Limit(0, "cell_high")),
    # rises by 1 % of what is configured a second, and keeps the reason until it is there
    (Limit(40, "cell_high"), Limit(100, "configured"), 2, Limit(42, "cell_high")),
    (Limit(40, "cell_high"), Limit(100, "configured"), 60, Limit(100, "configured")),
    (Limit(40, "cell_high"), Limit(44, "temperature_low"), 10, Limit(44, "temperature_low")),
    # not for less than 2 A, unless nothing limits any more
    (Limit(40, "cell_high"), Limit(41.9, "cell_high"), 10, Limit(40, "cell_high")),
    (Limit(99, "cell_high"), Limit(100, "configured"), 2, Limit(100, "configured")),
    # 0 stays 0 until a tenth is possible
    (Limit(0, "cell_high"), Limit(9.9, "cell_high"), 10, Limit(0, "cell_high")),
    (Limit(0, "cell_high"), Limit(10, "cell_high"), 2, Limit(2, "cell_high")),
    # what was missing or switched off comes back at once
    (Limit(0, "sensor_missing"), Limit(100, "configured"), 2, Limit(100, "configured")),
    (Limit(0, "bms_blocks_charging"), Limit(60, "cell_high"), 2, Limit(60, "cell_high")),
    (Limit(0, "stale"), Limit(100, "configured"), 2, Limit(100, "configured")),
    (None, Limit(60, "cell_high"), 2, Limit(60, "cell_high")),
    (Limit(60, "cell_high"), None, 2, None),
]


@pytest.mark.parametrize(("before", "new", "seconds", "held"), STEADY)
def test_steady(before: Limit | None, new: Limit | None, seconds: float, held: Limit | None) -> None:
    found = steady(Limits(charge_current=new), Limits(charge_current=before), 16, LFP, seconds)
    assert found == Limits(charge_current=held)


def test_charge_voltage_rises_slowly() -> None:
    """0.001 V per cell and second: 16 cells rise by 0.16 V in 10 s."""
    old, new = Limits(Limit(54.0, "cell_high")), Limits(Limit(55.2, "configured"))
    assert steady(new, old, 16, LFP, 10).charge_voltage == pytest.approx((54.16, "cell_high"))
    assert steady(new, old, 16, LFP, 100).charge_voltage == Limit(55.2, "configured")
    assert steady(old, new, 16, LFP, 1).charge_voltage == Limit(54.0, "cell_high")


def test_it_does_not_toggle() -> None:
    """A charger that follows the limit, and a cell that rises by 1 mV per A: they meet, and stay together."""
    held, current, currents = ccl(100, "configured"), 100.0, []
    for _ in range(600):
        new = limits(Inputs(**{**WELL, "highest": 3.46 + current * 0.001}), LFP)
        held = steady(Limits(charge_current=new.charge_current), held, 16, LFP, 1.0)
        assert held.charge_current is not None
        current = held.charge_current.value
        currents.append(current)
    # Where both agree: 100 A x (3.60 - 3.46 - 0.001 I) / 0.15 = I, so I = 56 A
    assert all(50 < current < 60 for current in currents[60:])
    assert max(currents[60:]) - min(currents[60:]) < 6


def test_a_curve_goes_on_level() -> None:
    curve = ((0.0, 0.0), (10.0, 1.0), (20.0, 0.5))
    heights = [on(curve, place) for place in (-1, 0, 5, 10, 15, 20, 21)]
    assert heights == [0.0, 0.0, 0.5, 1.0, 0.75, 0.5, 0.5]


@pytest.mark.parametrize("name", CHEMISTRIES)
def test_chemistries_are_in_order(name: str) -> None:
    chemistry = CHEMISTRIES[name]
    assert chemistry.lowest < chemistry.low < chemistry.rest < chemistry.full < chemistry.highest
    for curve in (chemistry.charge, chemistry.discharge):
        places = [place for place, _ in curve]
        assert places == sorted(places)
        assert curve[0][1] == curve[-1][1] == 0.0
        assert max(height for _, height in curve) == 1.0


def test_the_page_has_the_tables() -> None:
    """docs/banks.md: one row a chemistry in each table, with the numbers of the program."""
    for name, chemistry in CHEMISTRIES.items():
        volts = " | ".join(f"{value:.2f}" for value in chemistry[:5])
        assert f"| {name} | {volts} |" in PAGE
        for word, curve in (("charging", chemistry.charge), ("discharging", chemistry.discharge)):
            points = ", ".join(f"{height * 100:.0f} % at {place:g}" for place, height in curve)
            assert f"| {name}, {word} | {points} |" in PAGE


def test_the_page_has_all_reasons() -> None:
    found = {reason for _, _, reason in CHARGE + DISCHARGE} | {"stale"}
    section = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == found
