"""The coulomb counter: hand-computed counts, how far they may be off, when a pack is full, times to full and empty."""

from typing import Any

import pytest

from cellwire.gateway.counter import Counter, Look, times
from cellwire.gateway.meter import Meter, Step

WALL = 1_795_255_200.0
LFP: dict[str, Any] = {"capacity": 100.0, "soc": 50.0, "highest": 3.30, "mean": 3.29, "chemistry": "lfp"}
FULL = {**LFP, "soc": 97.0, "highest": 3.46, "mean": 3.44}


class Pack:
    """A pack that is looked at by hand: `now` is both clocks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.counter = Counter()
        self._meter = Meter()
        self.fulls = 0

    def flow(self, current: float, seconds: float, every: float = 10.0, **look: Any) -> dict[str, Any]:
        """Let a current flow; return the readings at the end."""
        end = self.now + seconds
        self.see(current, **look)
        while self.now < end:
            self.now = min(end, self.now + every)
            self.see(current, **look)
        return self.counter.readings()

    def see(self, current: float, **look: Any) -> dict[str, Any]:
        step = self._meter.take(self.now, current, None, 10.0)
        self.fulls += self.counter.take(Look(self.now, WALL + self.now, current, **{**LFP, **look}), step)
        return self.counter.readings()


# current (A), hours, capacity, BMS's soc at the end -> charge, soc, error, drift; begins at 50 % of the BMS
COUNTS = [
    # 10 % of 100 Ah; + 1 % of 10 Ah + 0.05 Ah = 10.15 Ah
    (10.0, 1.0, 100.0, 62.0, 60.0, 60.0, 10.15, 2.0),
    # 20 Ah out in 2 h: 10 + 0.2 + 0.1 = 10.3 Ah
    (-10.0, 2.0, 100.0, 29.0, 30.0, 30.0, 10.3, -1.0),
    # idle: the offset alone, 20 + 0.05 A x 10 h = 20.5 Ah of 200 Ah
    (0.0, 10.0, 200.0, 50.0, 100.0, 50.0, 10.25, 0.0),
    # it stays within the pack
    (-60.0, 1.0, 100.0, 0.0, 0.0, 0.0, 10.65, 0.0),
    (60.0, 1.0, 100.0, 100.0, 100.0, 100.0, 10.65, 0.0),
]


@pytest.mark.parametrize(("current", "hours", "capacity", "bms", "charge", "soc", "error", "drift"), COUNTS)
def test_counts(
    current: float, hours: float, capacity: float, bms: float, charge: float, soc: float, error: float, drift: float
) -> None:
    pack = Pack()
    pack.see(current, capacity=capacity)
    pack.flow(current, hours * 3600, capacity=capacity)
    found = pack.see(current, capacity=capacity, soc=bms)
    wanted = {"counted_charge": charge, "counted_soc": soc, "counted_soc_error": error, "soc_drift": drift}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=0.051)


def test_absent_until_something_is_known() -> None:
    pack = Pack()
    assert pack.see(10.0, capacity=None) == {}
    assert pack.see(10.0, soc=None) == {}
    found = pack.see(10.0)
    assert found["counted_soc"] == 50.0
    assert found["counted_soc_error"] == 10.0


def test_without_a_state_of_charge_it_begins_when_the_pack_is_full() -> None:
    pack = Pack()
    full = {**FULL, "soc": None}
    assert pack.flow(2.0, 50, **full) == {}
    found = pack.flow(2.0, 10, **full)
    assert found == {
        "counted_charge": 100.0,
        "counted_soc": 100.0,
        "counted_soc_error": 1.0,
        "last_full": WALL + 60,
    } | {"time_to_full": 0}


# what is seen for 60 s -> full?
FULLS = {
    "high cell and little current": ({}, 2.0, True),
    "no current": ({}, 0.0, True),
    "what a sensor says when nothing flows": ({}, -0.2, True),
    "discharging": ({}, -0.3, False),
    "4.9 A are less than 0.05 C": ({}, 4.9, True),
    "5 A are not": ({}, 5.0, False),
    "no cell is high enough": ({"highest": 3.449}, 2.0, False),
    "one cell runs away": ({"highest": 3.60, "mean": 3.39}, 2.0, False),
    "no cells": ({"highest": None, "mean": None}, 2.0, False),
    "what the BMS says does not matter": ({"soc": 80.0}, 2.0, True),
    "NMC is not full there": ({"chemistry": "nmc"}, 2.0, False),
    "NMC": ({"chemistry": "nmc", "highest": 4.15, "mean": 4.12}, 2.0, True),
    "LTO": ({"chemistry": "lto", "highest": 2.65, "mean": 2.62}, 2.0, True),
    "unknown chemistry, BMS says 100 %": ({"chemistry": "", "soc": 100}, 2.0, True),
    "unknown chemistry, BMS says 99 %": ({"chemistry": "", "soc": 99}, 2.0, False),
    "unknown chemistry, BMS says nothing": ({"chemistry": "", "soc": None}, 2.0, False),
}


@pytest.mark.parametrize(("look", "current", "full"), FULLS.values(), ids=FULLS)
def test_full(look: dict[str, Any], current: float, full: bool) -> None:
    pack = Pack()
    pack.see(2.0)
    pack.flow(current, 59, **{**FULL, **look})
    assert not pack.fulls
    pack.flow(current, 1, **{**FULL, **look})
    assert pack.fulls == full
    found = pack.counter.readings()
    if full:
        # What only the BMS says is no better than its state of charge.
        assert (found["counted_soc"], found["counted_soc_error"]) == (100.0, 1.0 if look.get("chemistry", 1) else 10.0)
        assert found["last_full"] == WALL + 60


def test_a_cloud_begins_the_minute_anew() -> None:
    pack = Pack()
    pack.flow(2.0, 50, **FULL)
    pack.flow(20.0, 10, **FULL)
    assert "last_full" not in pack.flow(2.0, 50, **FULL)
    assert "last_full" in pack.flow(2.0, 10, **FULL)


def test_a_gap_begins_the_minute_anew() -> None:
    pack = Pack()
    pack.flow(2.0, 50, **FULL)
    pack.now += 30
    pack.see(2.0, **FULL)
    pack.flow(2.0, 50, **FULL)
    assert not pack.fulls


def test_full_is_told_once_and_stays_while_it_is_so() -> None:
    pack = Pack()
    found = pack.flow(2.0, 3600, **FULL)
    assert pack.fulls == 1
    assert found["last_full"] == WALL + 3600
    assert found["counted_soc_error"] == 1.0
    # 1.9 Ah out: 98.1 %, and full again: the same full
    pack.flow(-19.0, 360)
    pack.flow(2.0, 120, **FULL)
    assert pack.fulls == 1
    # 3 Ah out: another one
    pack.flow(-30.0, 360)
    pack.flow(2.0, 120, **FULL)
    assert pack.fulls == 2


def test_drift_is_what_the_bms_says_beyond_the_count() -> None:
    pack = Pack()
    assert pack.flow(2.0, 60, **FULL)["soc_drift"] == -3.0
    assert "soc_drift" not in pack.see(2.0, **{**FULL, "soc": None})


# (seconds of gap, BMS's soc after it) -> counted soc, error; before it 100 % +- 1 %
GAPS = [
    (900, 90.0, 100.0, 6.0),  # 0.2 C x 0.25 h = 5 %
    (1800, 90.0, 100.0, 11.0),  # 10 %: as much as the BMS may be off
    (1900, 90.0, 90.0, 10.0),  # more: begins anew from the BMS
    (1900, None, 100.0, 11.6),  # nothing better to begin from
    (36000, None, 100.0, 100.0),
]


@pytest.mark.parametrize(("seconds", "bms", "soc", "error"), GAPS)
def test_a_gap_makes_the_count_worse(seconds: float, bms: float | None, soc: float, error: float) -> None:
    pack = Pack()
    pack.flow(2.0, 60, **FULL)
    pack.now += seconds
    found = pack.see(0.0, soc=bms)
    assert (found["counted_soc"], found["counted_soc_error"]) == (soc, error)


SAVED = {
    "counted_charge": 70.0,
    "counted_soc": 70.0,
    "counted_soc_error": 3.0,
    "last_full": WALL - 9000,
    "energy_in": 1.0,
}


@pytest.mark.parametrize(
    ("saved", "ago", "soc", "error"),
    [
        (SAVED, 0, 70.0, 3.0),
        (SAVED, 360, 70.0, 5.0),  # 0.2 C x 0.1 h = 2 %
        (SAVED, 86400, 50.0, 10.0),  # a day: the BMS knows better
        (SAVED, -86400, 50.0, 10.0),  # the clock is or was wrong: nobody knows how long it was
        ({"counted_soc": 80.0}, 0, 80.0, 10.0),
        ({"counted_soc": 80.0, "counted_soc_error": 30.0}, 60, 80.0, 30.3),  # a short stop changes little
        ({"energy_in": 1.0}, 0, 50.0, 10.0),  # an old file without a count
    ],
)
def test_goes_on_after_a_restart(saved: dict[str, float], ago: float, soc: float, error: float) -> None:
    pack = Pack()
    pack.counter.restore(saved, WALL - ago)
    assert pack.see(1.0, capacity=None) == ({"last_full": WALL - 9000} if "last_full" in saved else {})
    assert pack.counter.journal() == {name: value for name, value in saved.items() if name != "energy_in"}
    found = pack.see(1.0)
    assert (found["counted_soc"], found["counted_soc_error"]) == (soc, error)


def test_what_is_journalled_is_what_it_goes_on_from() -> None:
    pack, after = Pack(), Pack()
    pack.flow(2.0, 60, **FULL)
    pack.flow(-10.0, 600)
    after.counter.restore(pack.counter.journal(), WALL)
    after.see(-10.0)
    assert after.counter.journal() == pack.counter.journal()


def test_full_before_a_restart_is_not_told_again() -> None:
    pack, after = Pack(), Pack()
    pack.flow(2.0, 60, **FULL)
    after.counter.restore(pack.counter.journal(), WALL)
    after.flow(2.0, 300, **FULL)
    assert after.fulls == 0


def test_another_capacity_keeps_the_state_of_charge() -> None:
    pack = Pack()
    pack.see(0.0)
    found = pack.see(0.0, capacity=90.0)
    assert (found["counted_charge"], found["counted_soc"], found["counted_soc_error"]) == (45.0, 50.0, 10.0)


def test_a_capacity_that_is_not_told_for_a_moment_is_not_forgotten() -> None:
    pack = Pack()
    pack.see(0.0)
    assert pack.see(0.0, capacity=None)["counted_charge"] == 50.0


@pytest.mark.parametrize(
    ("charge", "capacity", "current", "found"),
    [
        (60, 100, 10.0, {"time_to_full": 4 * 3600}),
        (60, 100, -10.0, {"time_to_empty": 6 * 3600}),
        (100, 100, 1.0, {"time_to_full": 0}),
        (60, 100, -0.49, {}),  # less than 0.5 % an hour
        (60, 100, -0.5, {"time_to_empty": 120 * 3600}),
        (6, 10, 0.19, {}),  # more than 0.5 % an hour, but less than a sensor sees
        (6, 10, 0.2, {"time_to_full": 20 * 3600}),
        (60, 100, None, {}),
        (50, 100, 7.0, {"time_to_full": 25740}),  # 7.142857 h = 428.57 min
    ],
)
def test_times(charge: float, capacity: float, current: float | None, found: dict[str, int]) -> None:
    assert times(charge, capacity, current) == found


def test_times_follow_a_smoothed_current() -> None:
    """From 10 A to -10 A: after ln 2 x 120 s = 83.2 s the mean passes zero; for a while the pack counts as idle."""
    pack = Pack()
    assert "time_to_full" in pack.see(10.0)
    assert "time_to_full" in pack.flow(-10.0, 70)
    idle = pack.flow(-10.0, 13)
    assert pack.counter.smoothed == pytest.approx(0.0, abs=0.1)
    assert not {"time_to_full", "time_to_empty"} & set(idle)
    assert "time_to_empty" in pack.flow(-10.0, 20)
    pack.counter.pause()
    assert not {"time_to_full", "time_to_empty"} & set(pack.counter.readings())


def test_a_step_is_counted_as_it_is_metered() -> None:
    counter = Counter()
    counter.take(Look(0, WALL, 0.0, 100.0, 50.0), None)
    counter.take(Look(8, WALL, 0.0, 100.0, 50.0), Step(8.0, 0.0, 0.0, 1.0, 4.0))
    assert counter.charge == 47.0
    assert counter.error == pytest.approx(10 + 0.05 + 0.05 * 8 / 3600)
