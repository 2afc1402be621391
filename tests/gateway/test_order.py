"""In which order settings are written, and what people are told before."""

import random
from typing import Any, NamedTuple

import pytest

from cellwire.codec.command import NUMBER, SWITCH, Command
from cellwire.codec.errors import OutOfRange
from cellwire.gateway.caution import chemistry_of, dangers, warnings
from cellwire.gateway.order import contradiction, loosens, ordered

CHAIN = ("undervoltage_limit", "undervoltage_release", "overvoltage_release", "overvoltage_limit")


class Change(NamedTuple):
    name: str
    value: Any


def guard(change: Change, known: dict[str, Any]) -> None:
    place = CHAIN.index(change.name)
    for other, name in enumerate(CHAIN):
        wrong = change.value >= known[name] if place < other else change.value <= known[name]
        if other != place and wrong:
            raise OutOfRange(f"{change.name}: {change.value} is on the wrong side of {name}")


def apply(change: Change, known: dict[str, Any]) -> dict[str, Any]:
    return {**known, change.name: change.value}


def test_every_step_between_two_good_states_is_good() -> None:
    chance = random.Random(7)
    for _ in range(300):
        before = dict(zip(CHAIN, sorted(chance.sample(range(100), 4)), strict=True))
        after = dict(zip(CHAIN, sorted(chance.sample(range(100), 4)), strict=True))
        changes = [Change(name, value) for name, value in after.items()]
        chance.shuffle(changes)
        assert not contradiction(changes, before, guard, apply)
        assert _walked(changes, before) == after


def _walked(changes: list[Change], before: dict[str, Any]) -> dict[str, Any]:
    """Return what is set after all changes in their order; each has to make sense when its turn comes."""
    known = before
    for change in ordered(changes, before, guard, apply, lambda change: before[change.name]):
        guard(change, known)
        known = apply(change, known)
    return known


def test_what_contradicts_itself_is_said() -> None:
    before = dict(zip(CHAIN, (1, 2, 3, 4), strict=True))
    changes = [Change("overvoltage_limit", 9), Change("overvoltage_release", 10)]
    assert set(contradiction(changes, before, guard, apply)) == {0, 1}
    with pytest.raises(OutOfRange):
        ordered([Change("overvoltage_release", 5)], before, guard, apply, lambda change: 3)


@pytest.mark.parametrize(
    ("name", "before", "wanted", "expected"),
    [
        ("cell_overvoltage_limit", 3.6, 3.7, True),
        ("cell_overvoltage_limit", 3.6, 3.5, False),
        ("cell_undervoltage_limit", 2.5, 2.4, True),
        ("cell_undervoltage_limit", 2.5, 2.6, False),
        ("charge_overcurrent_limit", 100, 120, True),
        ("charge_overcurrent_delay", 10, 5, False),
        ("cell_undervoltage_delay", 2, 5, True),
        ("charge_switch", True, False, False),
        ("charge_switch", False, True, True),
        ("barcode", "a", "b", True),
        ("design_capacity", None, 100, True),
    ],
)
def test_what_makes_a_pack_less_safe(name: str, before: Any, wanted: Any, expected: bool) -> None:
    assert loosens(name, before, wanted) is expected


def number(name: str) -> Command:
    return Command(name, NUMBER, "configure", "agreed", low=0, high=100)


def switch(name: str) -> Command:
    return Command(name, SWITCH, "operate", "agreed")


def test_a_mosfet_off_under_load() -> None:
    told = warnings(switch("discharge_switch"), False, {"current": -12.0})
    assert "this gateway too" in told[0]
    assert "12 A flow out" in told[1]
    assert warnings(switch("discharge_switch"), True, {"current": -12.0}) == ()
    assert "20 A flow into" in warnings(switch("charge_switch"), False, {"current": 20.0})[0]
    assert warnings(switch("charge_switch"), False, {"current": -20.0}) == ()


@pytest.mark.parametrize(
    ("name", "value", "known", "chemistry", "told"),
    [
        ("cell_overvoltage_limit", 3.65, {}, "lfp", ""),
        ("cell_overvoltage_limit", 4.2, {}, "lfp", "LFP"),
        ("cell_overvoltage_limit", 4.2, {}, "nmc", ""),
        ("cell_overvoltage_limit", 4.2, {}, "", ""),
        ("cell_undervoltage_limit", 1.0, {}, "lto", "LTO"),
        ("pack_overvoltage_limit", 58.4, {"cell_count": 16}, "lfp", ""),
        ("pack_overvoltage_limit", 67.2, {"cell_count": 16}, "lfp", "16 LFP cells"),
        ("pack_overvoltage_limit", 67.2, {}, "lfp", ""),
        ("charge_undertemperature_limit", -5, {}, "lfp", "damages"),
        ("charge_undertemperature_limit", -5, {}, "lto", ""),
        ("charge_undertemperature_limit", 2, {}, "lfp", ""),
    ],
)
def test_a_limit_beyond_the_chemistry(
    name: str, value: float, known: dict[str, Any], chemistry: str, told: str
) -> None:
    found = dangers(number(name), value, known, chemistry)
    assert bool(found) is bool(told)
    assert told in " ".join(found)


def test_the_chemistry_is_the_configured_one_else_what_the_bms_says() -> None:
    assert chemistry_of({"battery_type": "Li-ion"}) == "nmc"
    assert chemistry_of({"battery_type": "Li-ion"}, "lfp") == "lfp"
    assert chemistry_of({"battery_type": "lead"}) == ""
    assert chemistry_of({}) == ""
