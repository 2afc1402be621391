"""Tests for what follows from other readings."""

from cellwire.readings.derive import FOLLOWS, derive


def test_power_and_extremes() -> None:
    values = derive(
        {"voltage": 53.2, "current": -10.0, "cell_voltages": [3.3, 3.35, 3.3], "temperatures": [21.0, 19.5]}
    )
    assert values["power"] == -532.0
    assert (values["cell_min"], values["cell_min_number"]) == (3.3, 1)
    assert (values["cell_max"], values["cell_max_number"]) == (3.35, 2)
    assert (values["cell_mean"], values["cell_delta"]) == (3.317, 0.05)
    assert (values["temperature_min"], values["temperature_min_number"]) == (19.5, 2)
    assert (values["temperature_max"], values["temperature_max_number"]) == (21.0, 1)
    assert "temperature_mean" not in values


def test_the_argument_stays_as_it_is() -> None:
    given = {"cell_voltages": [3.3, 3.4]}
    derive(given)
    assert given == {"cell_voltages": [3.3, 3.4]}


def test_extremes_by_the_list_replace_those_of_the_bms() -> None:
    values = derive({"cell_voltages": [3.3, 3.4], "cell_max": 9.9, "temperatures": [20, 24], "temperature_delta": 99})
    assert values["cell_max"] == 3.4
    assert values["temperature_delta"] == 4


def test_extremes_without_a_list_stay() -> None:
    assert derive({"cell_max": 3.4, "power": 12.0}) == {"cell_max": 3.4, "power": 12.0}


def test_gaps_keep_the_numbers() -> None:
    values = derive({"temperatures": [None, 20.0, None, 18.0]})
    assert (values["temperature_min_number"], values["temperature_max_number"]) == (4, 2)


def test_an_empty_list_has_no_extremes() -> None:
    assert derive({"cell_voltages": [], "cell_min": 0.0, "cell_delta": 0.0}) == {"cell_voltages": []}


def test_no_minus_zero() -> None:
    assert str(derive({"voltage": 53.2, "current": -0.0001})["power"]) == "0.0"


def test_everything_that_follows_is_worked_out() -> None:
    given = dict.fromkeys(FOLLOWS, 1.0)
    given.update({"voltage": 50.0, "current": 2.0})
    lists = {"cell_voltages": [3.0, 3.5], "temperatures": [20.0, 25.0]}
    values = derive({**given, **lists})
    alone = derive({"voltage": 50.0, "current": 2.0, **lists})
    assert all(values[name] == alone[name] for name in FOLLOWS if name in alone)
    assert values["temperature_mean"] == 22.5
