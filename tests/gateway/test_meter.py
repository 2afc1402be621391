"""Meters of energy and charge: hand-computed trapezoids, gaps that are not invented, totals that only go up."""

import pytest

from cellwire.gateway.meter import Meter, areas, longest

# Samples (seconds, A, V or None), and what they come to: Wh in, Wh out, Ah in, Ah out. Gaps up to 10 s count.
CASES = {
    # 10 A for 3 x 10 s = 300 As = 1/12 Ah; at 50 V 15000 Ws = 4.1667 Wh
    "steady charge": (((0, 10, 50), (10, 10, 50), (20, 10, 50), (30, 10, 50)), (4.1667, 0, 0.08333, 0)),
    # 0 to -36 A in 10 s: mean 18 A, 180 As = 0.05 Ah; 0 to 1800 W: mean 900 W, 9000 Ws = 2.5 Wh
    "discharge that grows": (((0, 0, 50), (10, -36, 50)), (0, 2.5, 0, 0.05)),
    # 10 to -30 A in 8 s crosses zero after 2 s: 10 As in, 90 As out; at 36 V 360 Ws in, 3240 Ws out
    "through zero": (((0, 10, 36), (8, -30, 36)), (0.1, 0.9, 0.0027778, 0.025)),
    "through zero, upwards": (((0, -30, 36), (8, 10, 36)), (0.1, 0.9, 0.0027778, 0.025)),
    # power goes 500 W to 600 W: mean 550 W for 10 s = 5500 Ws
    "voltage changes": (((0, 10, 50), (10, 10, 60)), (1.52778, 0, 0.0277778, 0)),
    "ten seconds count": (((0, 36, 50), (10, 36, 50)), (5, 0, 0.1, 0)),
    "more than ten do not": (((0, 36, 50), (10.1, 36, 50)), (0, 0, 0, 0)),
    "after a gap it goes on": (((0, 36, 50), (100, 36, 50), (110, 36, 50)), (5, 0, 0.1, 0)),
    "one sample": (((0, 36, 50),), (0, 0, 0, 0)),
    "without a voltage charge alone": (((0, 36, None), (10, 36, None)), (0, 0, 0.1, 0)),
    "voltage at one end only": (((0, 36, 50), (10, 36, None), (20, 36, 50)), (0, 0, 0.2, 0)),
    "the same moment twice": (((0, 36, 50), (0, 36, 50), (10, 36, 50)), (5, 0, 0.1, 0)),
    # What is turned round by invert_current comes turned: in and out change places.
    "turned round": (((0, -10, 36), (8, 30, 36)), (0.9, 0.1, 0.025, 0.0027778)),
}


@pytest.mark.parametrize(("samples", "totals"), CASES.values(), ids=CASES)
def test_totals(samples: tuple[tuple[float, float, float | None], ...], totals: tuple[float, ...]) -> None:
    meter = Meter()
    for now, current, voltage in samples:
        meter.take(now, current, voltage, longest(2.0))
    found = (meter.energy_in * 1000, meter.energy_out * 1000, meter.charge_in, meter.charge_out)
    assert found == pytest.approx(totals, abs=1e-4 * max(totals))


@pytest.mark.parametrize(("every", "seconds"), [(0.5, 10), (2, 10), (2.1, 10.5), (60, 300)])
def test_longest_gap(every: float, seconds: float) -> None:
    assert longest(every) == seconds


@pytest.mark.parametrize(
    ("first", "last", "above", "below"),
    [(1, 1, 2, 0), (0, 0, 0, 0), (-1, -3, 0, 4), (0, -2, 0, 2), (1, -1, 0.5, 0.5), (-3, 1, 0.25, 2.25)],
)
def test_areas_of_two_seconds(first: float, last: float, above: float, below: float) -> None:
    assert areas(first, last, 2.0) == (above, below)


def test_nothing_is_added_while_the_pack_is_away() -> None:
    meter = Meter()
    meter.take(0, 36, 50, 10)
    meter.pause()
    assert meter.take(2, 36, 50, 10) is None
    step = meter.take(12, 36, 50, 10)
    assert step is not None
    assert meter.charge_in == pytest.approx(0.1)


def test_small_currents_add_up() -> None:
    """0.01 A is 0.0000028 Ah a second, far below the last decimal that is shown; after an hour it is 0.01 Ah."""
    meter = Meter()
    for second in range(3601):
        meter.take(float(second), 0.01, 3.6, 10)
    assert meter.readings() == {"energy_in": 0.0, "energy_out": 0.0, "charge_in": 0.01, "charge_out": 0.0}
    assert meter.energy_in == pytest.approx(0.000036)


def test_goes_on_from_what_was_saved() -> None:
    meter = Meter()
    meter.take(0, 36, 50, 10)
    meter.take(10, 36, 50, 10)
    meter.restore({"energy_in": 12.5, "charge_in": 250.0, "charge_out": 200.0})
    assert meter.readings() == {"energy_in": 12.505, "energy_out": 0.0, "charge_in": 250.1, "charge_out": 200.0}


def test_a_step_tells_what_flowed() -> None:
    meter = Meter()
    meter.take(0, 10, 36, 10)
    step = meter.take(8, -30, 36, 10)
    assert step == pytest.approx((8, 0.0001, 0.0009, 10 / 3600, 90 / 3600))
    bank = Meter()
    assert step is not None
    bank.add(step)
    bank.add(step)
    assert bank.charge_out == pytest.approx(180 / 3600)
