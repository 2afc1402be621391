"""Tests for the gate: what is believed at once, what wants a second question, what cannot be true."""

import random
from typing import Any

import pytest

from cellwire.readings.catalogue import CATALOGUE, QUANTITY
from cellwire.readings.derive import derive
from cellwire.readings.gate import WARY, Gate
from cellwire.sim.model import Battery

Readings = dict[str, Any]

CELLS = [3.300, 3.301, 3.302, 3.303]


def pack(**changes: Any) -> Readings:
    """Return a derived sample of a four-cell pack with some values changed."""
    values: Readings = {
        "voltage": 13.206,
        "current": 10.0,
        "soc": 50.0,
        "cell_voltages": list(CELLS),
        "temperatures": [20.0, 21.0],
        "charge_mosfet": True,
        "warnings": [],
        "cycles": 12,
        "model": "JK-B2A24S",
        "cell_overvoltage_limit": 3.65,
        "charged_total": 1000.0,
    }
    values.update(changes)
    if "cell_voltages" in changes and "voltage" not in changes:
        values["voltage"] = sum(changes["cell_voltages"])
    return derive(values)


def trusting(**changes: Any) -> Gate:
    """Return a gate that believes pack()."""
    gate = Gate()
    assert gate.judge(pack(**changes)).startswith("doubt:")
    assert gate.judge(pack(**changes)) == ""
    return gate


def test_first_sight_is_a_doubt_and_the_second_is_believed() -> None:
    gate = Gate()
    verdict = gate.judge(pack())
    assert set(verdict.removeprefix("doubt:").split(",")) >= {"voltage", "soc", "model", "cell_voltages"}
    assert gate.last == {}
    assert gate.judge(pack()) == ""
    assert gate.last == pack()


def test_a_new_reading_is_a_doubt_of_its_own() -> None:
    gate = trusting()
    assert gate.judge(pack(soh=99.0)) == "doubt:soh"
    assert "soh" not in gate.last
    assert gate.judge(pack(soh=99.0)) == ""


def test_a_part_of_the_readings_is_judged_alone() -> None:
    gate = trusting()
    assert gate.judge({"soc": 50.5}) == ""
    assert gate.last["soc"] == 50.5
    assert gate.last["voltage"] == 13.206


SMALL = [
    {"current": 12.4},
    {"soc": 51.0},
    {"temperatures": [21.5, 19.5]},
    {"cell_voltages": [3.314, 3.301, 3.302, 3.290]},
    {"charged_total": 1000.9},
]
LARGE = [
    {"current": 13.0},
    {"current": -10.0},
    {"soc": 51.1},
    {"temperatures": [22.0, 21.0]},
    {"temperatures": [20.0]},
    {"temperatures": [None, 21.0]},
    {"temperatures": [20.0, 21.0, None, 23.0]},
    {"cell_voltages": [3.300, 3.320, 3.302, 3.303]},
    {"charge_mosfet": False},
    {"warnings": ["cell_overvoltage"]},
    {"cycles": 13},
    {"model": "JK-B2A24T"},
    {"cell_overvoltage_limit": 3.64},
    {"charged_total": 999.9},
    {"charged_total": 1002.0},
]


@pytest.mark.parametrize("change", SMALL, ids=str)
def test_a_small_change_is_believed_at_once(change: Readings) -> None:
    gate = trusting()
    assert gate.judge(pack(**change)) == ""
    assert gate.last == pack(**change)


@pytest.mark.parametrize("change", LARGE, ids=str)
def test_a_large_change_is_believed_when_it_is_said_twice(change: Readings) -> None:
    gate = trusting()
    assert next(iter(change)) in gate.judge(pack(**change))
    assert gate.last == pack()
    assert gate.judge(pack(**change)) == ""
    assert gate.last == pack(**change)
    assert gate.judge(pack(**change)) == ""


@pytest.mark.parametrize("change", LARGE, ids=str)
def test_a_lie_is_gone_when_the_second_answer_is_as_before(change: Readings) -> None:
    gate = trusting()
    gate.judge(pack(**change))
    assert gate.judge(pack()) == ""
    assert gate.last == pack()
    # The next change begins anew: the old doubt confirms nothing.
    assert gate.judge(pack(**change)).startswith("doubt:")


def test_two_different_lies_confirm_nothing() -> None:
    gate = trusting()
    assert gate.judge(pack(current=80.0)) == "doubt:current"
    assert gate.judge(pack(soc=7.0)) == "doubt:soc"
    assert gate.judge(pack(current=-80.0)) == "doubt:current"
    assert gate.judge(pack(current=200.0, cycles=999)) == "doubt:current,cycles"
    assert gate.last == pack()


def test_a_load_that_goes_up_and_down_is_shown() -> None:
    gate = trusting()
    shown = 0
    for number in range(60):
        shown += gate.judge(pack(current=(20.0, 35.0, 50.0)[number % 3])) == ""
    assert shown >= 19


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("current", 3000.0),
        ("current", float("nan")),
        ("soc", 100.5),
        ("soc", -1.0),
        ("temperatures", [20.0, 231.0]),
        ("cell_overvoltage_limit", 65.0),
    ],
)
def test_what_is_out_of_range_is_never_believed(name: str, value: Any) -> None:
    gate = trusting()
    for _ in range(5):
        assert gate.judge(pack(**{name: value})) == "range:" + name
    assert gate.last == pack()


@pytest.mark.parametrize(
    "sample",
    [
        pack(voltage=0.0),
        pack(cell_voltages=[0.0] * 4),
        {"voltage": 0.0, "current": -3000.0, "soc": 0.0},
        {"cell_max": 0.0, "cell_min": 0.0},
        {"voltage": 0.0, "cell_count": 0, "cell_voltages": [], "temperatures": [14.0], "current": 12.0},
        {"cell_count": 0, "sensor_count": 0},
        {
            "soc": 0,
            "full_capacity": 0,
            "temperature_max": 0,
            "remaining_capacity": 0,
            "charge_mosfet": False,
            "faults": [],
        },
    ],
    ids=str,
)
def test_a_board_that_just_woke_up_is_never_believed(sample: Readings) -> None:
    for gate in (Gate(), trusting()):
        for _ in range(5):
            assert gate.judge(sample) == "zero"


def test_a_bench_board_without_cells_may_say_zero() -> None:
    gate = Gate()
    bare = derive(
        {"cell_mask": 0, "cell_voltages": [], "voltage": 0.0, "current": 0.0, "soc": 0, "mosfet_temperature": 22.0}
    )
    gate.judge(bare)
    assert gate.judge(bare) == ""


def test_alarms_that_are_all_quiet_are_no_zero_frame() -> None:
    gate = Gate()
    quiet: Readings = {"warnings": [], "protections": [], "faults": [], "alarm_bits": 0, "fault_code": 0}
    gate.judge(quiet)
    assert gate.judge(quiet) == ""


def test_the_cells_must_add_up() -> None:
    gate = Gate((0.05, 0.005))
    low = pack(voltage=13.0)
    assert gate.judge(low) == "cells_sum"
    assert gate.judge(low) == "cells_sum"
    assert Gate((0.3, 0.0)).judge(low).startswith("doubt:")
    gap = pack(voltage=13.0, cell_voltages=[3.3, None, 3.3, 3.3])
    assert gate.judge(gap).startswith("doubt:")


def test_after_forgetting_nothing_is_believed_alone() -> None:
    gate = trusting()
    gate.forget()
    assert gate.last == {}
    assert gate.judge(pack()).startswith("doubt:")
    assert gate.judge(pack()) == ""


def test_a_line_that_does_damage_needs_one_confirmation_more() -> None:
    gate = trusting()
    gate.noisy()
    assert gate.wanted() == 2
    assert gate.judge(pack(charge_mosfet=False)) == "doubt:charge_mosfet"
    assert gate.judge(pack(charge_mosfet=False)) == "doubt:charge_mosfet"
    assert gate.judge(pack(charge_mosfet=False)) == ""
    # And to go back to what was believed is not proven by one answer either.
    assert gate.judge(pack(charge_mosfet=True)) == "doubt:charge_mosfet"
    assert gate.judge(pack(charge_mosfet=False)) == "doubt:charge_mosfet"
    assert gate.judge(pack(charge_mosfet=False)) == ""
    for _ in range(WARY):
        assert gate.judge(pack(charge_mosfet=False)) == ""
    assert gate.judge(pack(charge_mosfet=True)) == "doubt:charge_mosfet"
    assert gate.judge(pack(charge_mosfet=True)) == ""


@pytest.mark.parametrize("change", [{"model": "JK-B2A24T"}, {"cell_overvoltage_limit": 3.2}, {"cycles": 140}], ids=str)
def test_a_steady_reading_that_comes_back_shows_a_bad_line(change: Readings) -> None:
    gate = trusting()
    gate.judge(pack(**change))
    assert gate.judge(pack()) == ""
    gate.judge(pack(charge_mosfet=False))
    assert gate.judge(pack(charge_mosfet=False)) == "doubt:charge_mosfet"


def test_small_lies_carry_no_value_away() -> None:
    """Every second answer lies, always upwards and as far as is believed at once: the truth stays near."""
    gate = trusting()
    for lie in [0.014, 0.0, 0.0149, 0.0, 0.015] * 50:
        gate.judge(pack(cell_voltages=[3.300 + lie, 3.301, 3.302, 3.303]))
        assert abs(gate.last["cell_voltages"][0] - 3.300) <= 0.030


def test_four_lies_in_a_row_stay_within_the_documented_jump() -> None:
    gate = trusting()
    for _ in range(4):
        best = max((50.0 + step / 100 for step in range(300) if _believed_alone(gate, 50.0 + step / 100)), default=50.0)
        assert gate.judge({"soc": best}) == ""
    assert gate.last["soc"] - 50.0 <= 2.0


def _believed_alone(gate: Gate, soc: float) -> bool:
    copy = Gate()
    copy.last, copy._held = dict(gate.last), dict(gate._held)
    return copy.judge({"soc": soc}) == ""


def test_a_doubt_that_nobody_spoke_of_again_is_forgotten() -> None:
    gate = trusting()
    assert gate.judge(pack(user_data="?")) == "doubt:user_data"
    for _ in range(20):
        assert gate.judge(pack()) == ""
    assert gate.judge(pack(user_data="?")) == "doubt:user_data"


def test_the_more_damage_the_more_confirmations() -> None:
    gate = trusting()
    for _ in range(10):
        gate.noisy()
    assert gate.wanted() == 4
    for _ in range(4):
        assert gate.judge(pack(current=90.0)) == "doubt:current"
    assert gate.judge(pack(current=90.0)) == ""
    for _ in range(4 * WARY):
        gate.judge(pack(current=90.0))
    assert gate.wanted() == 1


def test_unknown_names_are_confirmed_exactly() -> None:
    gate = Gate()
    gate.judge({"novel": 1})
    assert gate.judge({"novel": 2}).startswith("doubt")
    # Now it was said as often as something else.
    assert gate.judge({"novel": 2}).startswith("doubt")
    assert gate.judge({"novel": 2}) == ""


def test_every_reading_of_the_catalogue_can_be_judged() -> None:
    for name, quantity, kind, _group, _meaning in CATALOGUE:
        high = QUANTITY[quantity][4]
        value: Any = "text" if quantity == "text" else ["one"] if quantity == "names" else min(high, 1)
        if kind == "list" and quantity != "names":
            value = [value]
        gate = Gate()
        assert gate.judge({name: value}) == "doubt:" + name
        assert gate.judge({name: value}) == ""


def days(seed: int, seconds: list[float]) -> list[Readings]:
    """Return what an undamaged pack says at these times, with things happening to it."""
    chance = random.Random(seed)
    battery = Battery(16, seed)
    samples = []
    alarm: list[str] = []
    for number, now in enumerate(seconds):
        if number % 23 == 11:
            name = chance.choice(("charge_switch", "discharge_switch", "balancer_switch"))
            battery.switch(name, not battery.switches[name])
        if number % 46 == 30:
            alarm = [] if alarm else [chance.choice(("cell_overvoltage", "discharge_overcurrent"))]
        values = dict(battery.values(now))
        values["protections"] = list(alarm)
        if alarm:
            values["discharge_mosfet"] = False
        samples.append(derive(values))
    return samples


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("every", [1.0, 5.0, 60.0])
def test_an_undamaged_day_passes_and_changes_show_within_one_extra_poll(seed: int, every: float) -> None:
    gate = Gate((0.05, 0.005))
    doubts = 0
    samples = days(seed, [6 * 3600 + seed * 700 + number * every for number in range(700)])
    for sample in samples:
        verdict = gate.judge(sample)
        assert verdict == "" or verdict.startswith("doubt:")
        # A second question at once: the pack says the same as long as nothing happens.
        if verdict:
            doubts += 1
            assert gate.judge(sample) == ""
        assert {name: gate.last[name] for name in sample} == sample
    assert doubts < len(samples) * (0.25 if every < 60 else 0.6)


def test_a_step_is_shown_within_one_extra_poll_without_second_questions() -> None:
    """A listener cannot ask: the next record of the line has to do."""
    gate = Gate((0.05, 0.005))
    samples = days(3, [8 * 3600.0 + number for number in range(500)])
    unseen = 0
    for sample in samples:
        unseen = unseen + 1 if gate.judge(sample) else 0
        assert unseen <= 1


@pytest.mark.parametrize("seed", range(4))
def test_waking_up_shows_zeros_to_nobody(seed: int) -> None:
    chance = random.Random(seed)
    gate = Gate()
    samples = days(seed, [8 * 3600.0 + number for number in range(40)])
    for sample in samples[:3]:
        gate.judge(sample)
    gate.forget()
    zero = {name: _nothing(value) for name, value in samples[0].items()}
    for _ in range(chance.randint(1, 4)):
        assert gate.judge(derive(zero)) == "zero"
    assert gate.judge(samples[4]).startswith("doubt:")
    assert gate.judge(samples[4]) == ""
    assert gate.last == samples[4]


def _nothing(value: Any) -> Any:
    if isinstance(value, list):
        return [_nothing(element) for element in value]
    return "" if isinstance(value, str) else type(value)()


def test_what_flickers_does_not_hide_the_rest() -> None:
    gate = trusting(balancing_cells=[1])
    sample: Readings = {}
    verdict = ""
    for cells in ([2], [3], [4]):
        sample = pack(balancing_cells=cells, soc=51.0)
        verdict = gate.judge(sample)
    assert verdict == "doubt:balancing_cells"
    beyond = gate.rest(sample, verdict)
    assert beyond["soc"] == 51.0
    assert "balancing_cells" not in beyond
    assert gate.last["balancing_cells"] == [1]


def test_a_doubtful_voltage_is_not_left_out_but_rejected() -> None:
    gate = trusting()
    sample = pack(current=80.0)
    verdict = gate.judge(sample)
    assert verdict == "doubt:current"
    assert gate.rest(sample, verdict) == {}
    assert gate.rest(sample, "cells_sum") == {}
    assert gate.last == pack()


def test_what_follows_from_a_doubtful_list_is_left_out_with_it() -> None:
    gate = trusting()
    sample = pack(temperatures=[20.0, 60.0])
    beyond = gate.rest(sample, gate.judge(sample))
    assert beyond["voltage"] == 13.206
    assert not [name for name in beyond if name.startswith("temperature")]


def test_different_lies_do_not_agree_in_what_sums_them_up() -> None:
    gate = trusting(balancing_cells=[], balancing=False)
    sample: Readings = {}
    verdict = ""
    for cells in ([2], [3], [4]):
        sample = pack(balancing_cells=cells, balancing=True)
        verdict = gate.judge(sample)
    assert "balancing" not in gate.rest(sample, verdict)
    assert gate.last["balancing"] is False
