"""Dead bands and periods: when a published value moves."""

from dataclasses import asdict
from typing import Any

import pytest

from cellwire.gateway.config import DeadBandSettings, PeriodSettings
from cellwire.outputs.mqtt.state import Steady, held
from cellwire.readings.catalogue import BY_NAME

BANDS = asdict(DeadBandSettings())
PERIODS = asdict(PeriodSettings())
AT_ONCE = dict.fromkeys(PERIODS, 0.0)


def steady(bands: dict[str, float] = BANDS, periods: dict[str, float] = PERIODS, **readings: Any) -> Steady:
    made = Steady(bands, periods)
    assert made.take(readings, 0.0) == set(readings), "what is new is published at once"
    return made


def test_a_value_moves_only_beyond_its_dead_band() -> None:
    made = steady(periods=AT_ONCE, voltage=13.30)
    for value in (13.31, 13.33, 13.27, 13.30):
        assert made.take({"voltage": value}, 1.0) == set()
        assert made.readings == {"voltage": 13.30}
    assert made.take({"voltage": 13.34}, 1.0) == {"voltage"}
    assert made.readings == {"voltage": 13.34}
    assert made.take({"voltage": 13.31}, 1.0) == set(), "reckoned from what is published"


def test_a_slow_drift_is_followed() -> None:
    made = steady(periods=AT_ONCE, voltage=13.0)
    for step in range(1, 101):
        made.take({"voltage": 13.0 + step / 100}, float(step))
        assert abs(made.readings["voltage"] - (13.0 + step / 100)) <= 0.03 + 1e-9
    assert made.readings["voltage"] >= 13.97


def test_a_dead_band_of_0_publishes_any_change() -> None:
    made = steady(bands=dict.fromkeys(BANDS, 0.0), periods=AT_ONCE, voltage=13.30, soc=80)
    assert made.take({"voltage": 13.301, "soc": 80}, 0.0) == {"voltage"}
    assert made.take({"voltage": 13.301, "soc": 80}, 0.0) == set()


def test_a_group_waits_for_its_period() -> None:
    made = steady(voltage=13.0, current=1.0, cell_delta=0.010)
    assert made.take({"voltage": 13.5, "current": 2.0, "cell_delta": 0.1}, 4.9) == set()
    assert made.take({"voltage": 13.5, "current": 2.0, "cell_delta": 0.1}, 5.0) == {"voltage", "current"}
    assert made.readings == {"voltage": 13.5, "current": 2.0, "cell_delta": 0.010}
    assert made.take({"voltage": 13.6, "current": 2.0, "cell_delta": 0.1}, 9.9) == set()
    assert made.take({"voltage": 13.6, "current": 2.0, "cell_delta": 0.1}, 30.0) == {"voltage", "cell_delta"}


def test_a_period_begins_when_something_was_published() -> None:
    made = steady(voltage=13.0)
    assert made.take({"voltage": 13.0}, 100.0) == set()
    assert made.take({"voltage": 13.5}, 100.1) == {"voltage"}, "nothing of the group was published for long"


def test_alarms_and_switches_do_not_wait() -> None:
    made = steady(warnings=[], charge_mosfet=True, current=1.0)
    found = {"warnings": ["cell_overvoltage"], "charge_mosfet": False, "current": 9.0}
    assert made.take(found, 0.1) == {"warnings", "charge_mosfet"}
    assert made.readings == {**found, "current": 1.0}


def test_what_appears_or_vanishes_does_not_wait() -> None:
    made = steady(voltage=13.0, soc=80)
    assert made.take({"voltage": 13.0}, 0.1) == {"soc"}
    assert made.readings == {"voltage": 13.0}
    assert made.take({"voltage": 13.0, "soc": 81}, 0.2) == {"soc"}
    assert made.readings == {"voltage": 13.0, "soc": 81}
    assert made.take({"voltage": 14.0, "soc": 81}, 5.1) == set(), "that was a publication of the group"
    assert made.take({"voltage": 14.0, "soc": 81}, 5.2) == {"voltage"}


def test_lists_are_compared_element_by_element() -> None:
    made = steady(periods=AT_ONCE, cell_voltages=[3.300, 3.300, None, 3.300])
    assert made.take({"cell_voltages": [3.301, 3.299, None, 3.302]}, 1.0) == set()
    assert made.take({"cell_voltages": [3.301, 3.303, None, 3.302]}, 1.0) == {"cell_voltages"}
    assert made.readings["cell_voltages"] == [3.300, 3.303, None, 3.300], "only the cell that moved moves"
    assert made.take({"cell_voltages": [3.301, 3.303, 3.3, 3.302]}, 1.0) == {"cell_voltages"}
    assert made.take({"cell_voltages": [3.301, 3.303]}, 1.0) == {"cell_voltages"}
    assert made.readings["cell_voltages"] == [3.301, 3.303]


@pytest.mark.parametrize(
    ("old", "new", "band", "shown"),
    [
        (1.0, 1.1, 0.1, 1.0),
        (0.3, 0.1 + 0.2, 0.0, 0.3),
        (1, 2, 0.0, 2),
        (True, False, 0.0, False),
        ("idle", "charging", 5.0, "charging"),
        ([1, 2], [1, 2, 3], 5.0, [1, 2, 3]),
        ("idle", 3, 5.0, 3),
        (["a"], ["b"], 5.0, ["b"]),
    ],
)
def test_held(old: Any, new: Any, band: float, shown: Any) -> None:
    assert held(old, new, band) == shown


def test_every_reading_of_the_catalogue_has_a_period() -> None:
    for name, row in BY_NAME.items():
        made = Steady(BANDS, PERIODS)
        made.take({name: 1}, 0.0)
        assert made.take({name: 1000000}, 86400.0) == {name}, row
