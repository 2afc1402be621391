"""Bank arithmetic, hand-computed: unequal capacities, packs that do not count, extremes, limits, warnings."""

from typing import Any

import pytest

from cellwire.gateway.bank import Combined, Member, combine
from cellwire.readings.catalogue import BY_NAME

ON = {"charge_mosfet": True, "discharge_mosfet": True}
# Three packs in parallel: 280, 100 and 100 Ah.
SHED: dict[str, Any] = {
    **ON, "voltage": 53.20, "current": 30.0, "soc": 80, "counted_soc": 82.0, "counted_soc_error": 2.0,
    "remaining_capacity": 224.0, "full_capacity": 280.0, "design_capacity": 280.0, "counted_charge": 229.6,
    "cell_count": 16, "cell_min": 3.320, "cell_max": 3.330, "cell_min_number": 4, "cell_max_number": 9,
    "temperature_min": 18.0, "temperature_max": 22.5, "temperature_min_number": 1, "temperature_max_number": 3,
    "charge_voltage_limit": 55.2, "charge_voltage_reason": "configured",
    "charge_current_limit": 140.0, "charge_current_reason": "configured",
    "discharge_current_limit": 200.0, "discharge_current_reason": "configured",
    "balancing": False, "warnings": [], "protections": [], "faults": [],
}  # fmt: skip
ATTIC: dict[str, Any] = {
    **ON, "voltage": 53.30, "current": 10.0, "soc": 60, "counted_soc": 58.0, "counted_soc_error": 4.0,
    "remaining_capacity": 60.0, "full_capacity": 100.0, "design_capacity": 105.0, "counted_charge": 58.0,
    "cell_count": 16, "cell_min": 3.318, "cell_max": 3.340, "cell_min_number": 16, "cell_max_number": 1,
    "temperature_min": 21.0, "temperature_max": 28.0, "temperature_min_number": 2, "temperature_max_number": 1,
    "charge_voltage_limit": 54.9, "charge_voltage_reason": "cell_high",
    "charge_current_limit": 30.0, "charge_current_reason": "cell_high",
    "discharge_current_limit": 100.0, "discharge_current_reason": "configured",
    "balancing": True, "warnings": ["cell_overvoltage"], "protections": [], "faults": [],
}  # fmt: skip
BARN: dict[str, Any] = {**ATTIC, "current": -2.0, "voltage": 53.25, "warnings": ["cell_overvoltage", "cell_delta"]}


def member(name: str, found: dict[str, Any], away: str = "", without: str = "", **changes: Any) -> Member:
    """Return a pack; without: readings that it does not have."""
    readings = {key: value for key, value in {**found, **changes}.items() if key not in without.split()}
    return Member(name, readings, away, readings.get("full_capacity"), readings.get("current"))


def bank(*members: Member) -> Combined:
    return combine(members, 0.5)


TWO = (member("shed", SHED), member("attic", ATTIC))


# readings of the two packs together
BOTH = {
    "packs_present": 2,
    "packs_total": 2,
    "voltage": 53.25,  # mean of 53.20 and 53.30
    "voltage_spread": 0.10,
    "current": 40.0,
    "power": 2129.0,  # 53.2 x 30 + 53.3 x 10 = 1596 + 533
    "remaining_capacity": 284.0,
    "full_capacity": 380.0,
    "design_capacity": 385.0,
    "counted_charge": 287.6,
    "soc": 74.7,  # (280 x 80 + 100 x 60) / 380 = 28400 / 380; the plain mean would be 70
    "counted_soc": 75.7,  # (280 x 82 + 100 x 58) / 380 = 28760 / 380
    "counted_soc_error": 2.5,  # (280 x 2 + 100 x 4) / 380 = 960 / 380
    "soc_drift": -1.0,
    "time_to_full": 8340,  # 380 x 24.3 % = 92.34 Ah at 40 A: 2.3085 h = 138.5 min
    "cell_min": 3.318,
    "cell_min_pack": "attic",
    "cell_min_number": 16,
    "cell_max": 3.340,
    "cell_max_pack": "attic",
    "cell_max_number": 1,
    "cell_delta": 0.022,
    "temperature_min": 18.0,
    "temperature_min_pack": "shed",
    "temperature_min_number": 1,
    "temperature_max": 28.0,
    "temperature_max_pack": "attic",
    "temperature_max_number": 1,
    "temperature_delta": 10.0,
    "charge_mosfet": True,
    "packs_chargeable": 2,
    "discharge_mosfet": True,
    "packs_dischargeable": 2,
    "balancing": True,
    "warnings": ["cell_overvoltage"],
    "protections": [],
    "faults": [],
    "charge_voltage_limit": 54.9,
    "charge_voltage_reason": "cell_high: attic",
    # attic has 100 / 380 of the capacity: 30 A x 3.8 = 114 A; shed would bear 140 x 380 / 280 = 190 A
    "charge_current_limit": 114.0,
    "charge_current_reason": "cell_high: attic",
    # shed 200 x 380 / 280 = 271.4 A, attic 100 x 3.8 = 380 A
    "discharge_current_limit": 271.0,
    "discharge_current_reason": "configured",
}


def test_two_unequal_packs() -> None:
    combined = bank(*TWO)
    assert combined == Combined(BOTH, {}, [])
    assert set(combined.readings) <= set(BY_NAME)


def test_names_come_from_the_packs_and_nothing_from_their_order() -> None:
    other = bank(*reversed(TWO))
    assert other.readings == BOTH


# third pack -> why it does not count
MISSING = {
    "lost": (member("barn", BARN, "lost"), "lost"),
    "stale": (member("barn", BARN, "stale"), "stale"),
    "asleep": (member("barn", BARN, "asleep"), "asleep"),
    "in error": (member("barn", BARN, "error"), "error"),
    "never read": (member("barn", {}), "not read yet"),
    "no current yet": (member("barn", BARN, without="current"), "not read yet"),
    "blocked": (member("barn", BARN, charge_mosfet=False, discharge_mosfet=False), "blocked"),
}


@pytest.mark.parametrize(("third", "why"), MISSING.values(), ids=MISSING)
def test_a_pack_that_does_not_count(third: Member, why: str) -> None:
    combined = bank(*TWO, third)
    wanted: dict[str, Any] = {**BOTH, "packs_total": 3}
    if why == "blocked":
        wanted["warnings"] = ["cell_overvoltage", "cell_delta"]  # it can be read: its alarms are true
    assert combined == Combined(wanted, {"barn": why}, [])


@pytest.mark.parametrize(("third", "why"), MISSING.values(), ids=MISSING)
def test_no_pack_that_counts(third: Member, why: str) -> None:
    assert bank(third) == Combined({}, {"barn": why}, [])


# What of the attic is different -> readings of the bank that are different, None is absent.
DIFFERENT: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "sign turned": ({"current": -10.0}, "", {"current": 20.0, "power": 1063.0, "time_to_full": 16620}),
    "discharging": ({"current": -70.0}, "", {
        "current": -40.0, "power": -2135.0, "time_to_full": None, "time_to_empty": 25860,  # 287.66 Ah: 431.5 min
    }),
    "idle together": ({"current": -30.0}, "", {"current": 0.0, "power": -3.0, "time_to_full": None}),
    "no soc": ({}, "soc", {"soc": None, "soc_drift": None}),
    "no count": ({}, "counted_soc counted_soc_error counted_charge", {
        "counted_soc": None, "counted_soc_error": None, "counted_charge": None, "soc_drift": None, "time_to_full": None,
    }),
    # Without its capacity nobody knows what its share is; the current is taken to be shared equally.
    "no capacity": ({}, "full_capacity", {
        "full_capacity": None, "soc": None, "counted_soc": None, "counted_soc_error": None, "soc_drift": None,
        "time_to_full": None, "charge_current_limit": 60.0,  # 2 x 30 A
        "discharge_current_limit": 200.0,  # 2 x 100 A
    }),
    "no cells": ({}, "cell_min cell_max", {
        name: None for name in BOTH if name.startswith("cell_")
    }),
    "no temperatures": ({}, "temperature_min temperature_max", {
        "temperature_max": 22.5, "temperature_max_pack": "shed", "temperature_max_number": 3, "temperature_delta": 4.5,
    }),
    "not to be charged": ({"charge_mosfet": False}, "", {
        "packs_chargeable": 1, "charge_current_limit": 140.0, "charge_current_reason": "configured",
    }),
    "not to be discharged": ({"discharge_mosfet": False}, "", {
        "packs_dischargeable": 1, "discharge_current_limit": 200.0,
    }),
    "no MOSFETs told": ({}, "charge_mosfet discharge_mosfet", {}),
    "no limits": ({}, "charge_voltage_limit charge_current_limit discharge_current_limit", {
        f"{name}_{what}": None
        for name in ("charge_voltage", "charge_current", "discharge_current") for what in ("limit", "reason")
    }),
    "full": ({"charge_current_limit": 0.0}, "", {"charge_current_limit": 0.0}),
    "alarms": ({"protections": ["charge_overcurrent"], "faults": ["frontend"]}, "", {
        "protections": ["charge_overcurrent"], "faults": ["frontend"],
    }),
    "no alarms told": ({}, "warnings", {"warnings": []}),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "without", "differences"), DIFFERENT.values(), ids=DIFFERENT)
def test_one_pack_is_different(changes: dict[str, Any], without: str, differences: dict[str, Any]) -> None:
    found = bank(TWO[0], member("attic", ATTIC, without=without, **changes)).readings
    wanted = {name: value for name, value in {**BOTH, **differences}.items() if value is not None}
    assert found == wanted


def test_no_pack_may_be_charged() -> None:
    off: dict[str, Any] = {
        "charge_mosfet": False,
        "charge_current_limit": 0.0,
        "charge_current_reason": "bms_blocks_charging",
    }
    found = bank(member("shed", SHED, **off), member("attic", ATTIC, **off)).readings
    assert (found["charge_current_limit"], found["charge_current_reason"]) == (0.0, "bms_blocks_charging")
    assert (found["charge_mosfet"], found["packs_chargeable"]) == (False, 0)
    assert found["discharge_current_limit"] == 271.0


def test_thirty_equal_packs_add_up_exactly() -> None:
    found = bank(*(member(f"pack {number}", SHED) for number in range(30))).readings
    assert (found["current"], found["charge_current_limit"], found["soc"]) == (900.0, 4200.0, 80.0)


OFF: dict[str, Any] = {"charge_mosfet": False, "discharge_mosfet": False}
# packs -> warnings by pack; 0.5 V is too much for 16 cells
WARNINGS: dict[str, tuple[tuple[Member, ...], list[tuple[str, str]]]] = {
    "alike": (TWO, []),
    "joined and apart": (
        (TWO[0], member("attic", ATTIC, voltage=53.75)),
        [("", "shed and attic are joined and 0.55 V apart; look at cables, fuses and shunts")],
    ),
    "just not apart": ((TWO[0], member("attic", ATTIC, voltage=53.70)), []),
    "blocked and high": (
        (*TWO, member("barn", BARN, **OFF, voltage=54.05)),  # 53.25 are the others in the mean
        [("barn", "do not join barn: it is 0.80 V above the others; charge or discharge until they are alike")],
    ),
    "blocked and alike": ((*TWO, member("barn", BARN, **OFF, voltage=53.70)), []),
    "lost and low": (
        (*TWO, member("barn", BARN, "lost", voltage=52.25)),
        [("barn", "measure before you join barn: it was 1.00 V below the others when it was last read")],
    ),
    "never read": ((*TWO, member("barn", {}, "lost")), []),
    # Four cells: an eighth of a volt is too much.
    "few cells": (
        (member("shed", SHED, voltage=13.30, cell_count=4), member("attic", ATTIC, voltage=13.45, cell_count=4)),
        [("", "shed and attic are joined and 0.15 V apart; look at cables, fuses and shunts")],
    ),
    "none joined": (
        (member("shed", SHED, **OFF, voltage=53.0), member("attic", ATTIC, **OFF, voltage=54.2)),
        [
            ("shed", "do not join shed: it is 1.20 V below the others; charge or discharge until they are alike"),
            ("attic", "do not join attic: it is 1.20 V above the others; charge or discharge until they are alike"),
        ],
    ),
}


@pytest.mark.parametrize(("members", "warnings"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(members: tuple[Member, ...], warnings: list[tuple[str, str]]) -> None:
    assert bank(*members).warnings == warnings


def test_a_warning_ends_later_than_it_begins() -> None:
    """At 0.5 V it begins, at 0.4 V it ends."""
    members = (TWO[0], member("attic", ATTIC, voltage=53.65))
    assert combine(members, 0.5).warnings == []
    assert len(combine(members, 0.5, [""]).warnings) == 1
    assert combine((TWO[0], member("attic", ATTIC, voltage=53.58)), 0.5, [""]).warnings == []
