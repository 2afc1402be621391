"""The simulated battery: repeatable, consistent in itself, and like a pack over a whole day."""

from itertools import pairwise

import pytest

from cellwire.readings.catalogue import BY_NAME, QUANTITY, decimals
from cellwire.sim.model import ORIGIN, Battery

DAY = [ORIGIN + 86400 * 300 + 60 * minute for minute in range(0, 1440, 3)]


def test_same_seed_same_values() -> None:
    first, second = Battery(16, 5), Battery(16, 5)
    second.values(DAY[7])
    assert first.values(DAY[3]) == second.values(DAY[3])
    assert first.values(DAY[3]) != Battery(16, 6).values(DAY[3])


def test_values_stand_still_within_a_tick() -> None:
    battery = Battery(4, 1)
    assert battery.values(1000.01) == battery.values(1000.09)
    assert battery.values(1000.01) != battery.values(1000.15)


@pytest.mark.parametrize(("cells", "chemistry"), [(4, "LFP"), (14, "NMC"), (16, "LFP"), (24, "LFP")])
def test_a_day_is_believable(cells: int, chemistry: str) -> None:
    battery = Battery(cells, cells, chemistry, capacity=100.0, sensors=3)
    day = [battery.values(moment) for moment in DAY]
    for values in day:
        assert sum(round(volts * 1000) for volts in values["cell_voltages"]) == round(values["voltage"] * 1000)
        assert len(values["cell_voltages"]) == values["cell_count"] == cells
        assert values["power"] == pytest.approx(values["voltage"] * values["current"], abs=0.06)
        for name, value in values.items():
            _unit, places, low, high = QUANTITY[BY_NAME[name][1]][1:5]
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, float):
                    assert low <= number <= high, name
                    assert round(number, places) == number, name
                    assert decimals(name) == places
    assert max(values["soc"] for values in day) == 100.0
    assert min(values["soc"] for values in day) < 65.0
    assert max(values["current"] for values in day) > 10.0
    assert min(values["current"] for values in day) < -10.0
    assert any(values["balancing"] for values in day)
    assert all(values["cell_max"] > 3.4 for values in day if values["balancing"])
    for earlier, later in pairwise(day):
        assert abs(later["soc"] - earlier["soc"]) < 3
        for name in ("charged_total", "discharged_total", "cycles", "runtime"):
            assert later[name] >= earlier[name]


def test_days_follow_each_other_without_a_jump() -> None:
    battery = Battery(16, 1)
    before, after = battery.values(DAY[0] + 86399.9), battery.values(DAY[0] + 86400.1)
    for name in ("soc", "charged_total", "discharged_total", "remaining_capacity"):
        assert after[name] == pytest.approx(before[name], abs=0.2)


def test_switches_stop_the_current() -> None:
    battery = Battery(16, 1)
    moment = next(moment for moment in DAY if battery.values(moment)["current"] < -5)
    battery.switch("discharge_switch", False)
    values = battery.values(moment)
    assert (values["current"], values["discharge_mosfet"], values["discharge_switch"]) == (0.0, False, False)
    battery.switch("discharge_switch", True)
    assert battery.values(moment)["current"] < -5


def test_unknown_chemistry() -> None:
    with pytest.raises(ValueError, match="LFP"):
        Battery(4, chemistry="lead")
