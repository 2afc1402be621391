"""Minutes, hours and days say what the rows say: missing stays missing, and flags are not averaged."""

import random
from array import array
from typing import Any

import pytest

from cellwire.outputs.history import rollup
from cellwire.outputs.history.columns import MISSING
from cellwire.outputs.history.layout import Layout, PackHour
from cellwire.outputs.history.rollup import HOUR, MINUTE, Rolled, Stretches

NOTHING = (MISSING, MISSING, MISSING, 0)

# Reading, its values in one minute, what becomes of them: minimum, average (or last), maximum, count.
ROLLED: tuple[tuple[str, list[Any], tuple[int, int, int, int]], ...] = (
    ("voltage", [52.0, 53.0], (5200, 5250, 5300, 2)),
    ("voltage", [52.0, None, 53.0, 53.0], (5200, 5267, 5300, 3)),
    ("voltage", [None, None], NOTHING),
    ("current", [-1.0, -2.0], (-200, -150, -100, 2)),
    ("current", [-0.01, -0.02, -0.02], (-2, -2, -1, 3)),
    ("charge_mosfet", [True, True], (1, 1, 1, 2)),
    ("charge_mosfet", [True, False, True], (0, 1, 1, 3)),
    ("charge_mosfet", [False, True, False], (0, 0, 1, 3)),
    ("alarm_bits", [0b0110, 0b0011], (0b0010, 0b0011, 0b0111, 2)),
    ("alarm_bits", [0b0110, None, 0b0100], (0b0100, 0b0100, 0b0110, 2)),
    ("cycles", [7, 9, 8], (7, 8, 9, 3)),
    ("cell_min_number", [3, 16, 4], (3, 4, 16, 3)),
)
each_roll = pytest.mark.parametrize(("name", "values", "rolled"), ROLLED)


def hour_with(name: str, values: list[Any], every: float = 1.0) -> PackHour:
    layout = Layout(()).with_readings({name: values[0], "power": 1.0})
    hour = PackHour(layout)
    for number, value in enumerate(values):
        hour.add(round(number * every * 1000), number + 1, layout.encode({name: value, "power": 1.0}))
    return hour


def only(stretches: Stretches, layout: Layout, name: str) -> list[tuple[int, ...]]:
    field = stretches.fields[layout.index[name] - 2]
    return list(zip(*field, strict=True))


@each_roll
def test_a_minute(name: str, values: list[Any], rolled: tuple[int, ...]) -> None:
    hour = hour_with(name, values)
    minutes = rollup.roll(hour.layout, hour.columns(), MINUTE)
    assert minutes.starts == [0]
    assert minutes.rows == [len(values)]
    assert only(minutes, hour.layout, name) == [rolled]
    # Down to the chunk, the record, and over several stretches it stays the same.
    data = rollup.encode_minutes(minutes, 0)
    assert rollup.all_minutes(hour.layout, data, 0) == minutes
    place = hour.layout.index[name] - 2
    assert list(zip(*rollup.decode_minutes(data, 0, [place]).fields[0], strict=True)) == [rolled]
    whole = rollup.hour_of(hour.layout, hour.columns(), minutes)
    assert whole == rollup.hour_of(hour.layout, hour.columns())
    record = rollup.encode_record(whole)
    assert rollup.decode_record(hour.layout, record, 0) == whole
    assert [
        tuple(values) for values in zip(*rollup.decode_records(hour.layout, [record], [place])[0], strict=True)
    ] == [rolled]


@each_roll
def test_a_day_of_hours(name: str, values: list[Any], rolled: tuple[int, ...]) -> None:
    """One row an hour, put together again."""
    hour = hour_with(name, values, every=HOUR)
    hours = rollup.roll(hour.layout, hour.columns(), HOUR)
    assert len(hours.starts) == len(values)
    day = rollup.united(hour.layout, [hours], rollup.DAY)
    assert day.rows == [len(values)]
    assert only(day, hour.layout, name) == [rolled]


def test_averages_are_weighted() -> None:
    assert rollup.combined("mean", [0, 10], [0, 10], [0, 10], [3, 1]) == (0, 3, 10, 4)
    assert rollup.combined("mean", [0, MISSING], [4, MISSING], [9, MISSING], [3, 0]) == (0, 4, 9, 3)


def test_random_hours_are_as_counted_by_hand() -> None:
    chance = random.Random(3)
    layout = Layout(()).with_readings({"current": 1.0})
    for _ in range(20):
        hour = PackHour(layout)
        rows = [
            (chance.randrange(3_600_000), chance.choice([MISSING, chance.randrange(-900, 900)])) for _ in range(200)
        ]
        for number, (time, value) in enumerate(rows):
            hour.add(time, number, array("q", [value]))
        minutes = rollup.roll(layout, hour.columns(), MINUTE)
        for at, start in enumerate(minutes.starts):
            inside = [value for time, value in rows if start * 1000 <= time < (start + 60) * 1000]
            there = [value for value in inside if value != MISSING]
            low, average, high, count = (values[at] for values in minutes.fields[0])
            assert (minutes.rows[at], count) == (len(inside), len(there))
            if there:
                assert (low, high) == (min(there), max(there))
                assert abs(average - sum(there) / len(there)) <= 0.5
        assert rollup.all_minutes(layout, rollup.encode_minutes(minutes, 0), 0) == minutes
        assert rollup.hour_of(layout, hour.columns(), minutes) == rollup.hour_of(layout, hour.columns())


def test_another_layout() -> None:
    old = Layout(()).with_readings({"voltage": 1.0, "soc": 1})
    new = Layout(()).with_readings({"soc": 1, "current": 1.0})
    stretches = Stretches([0], [2], [Rolled([1], [2], [3], [2]), Rolled([4], [5], [6], [2])])
    moved = rollup.moved(stretches, old, new)
    assert only(moved, new, "soc") == [(4, 5, 6, 2)]
    assert only(moved, new, "current") == [NOTHING]


def test_too_far_apart_for_64_bits_is_left_out() -> None:
    layout = Layout(()).with_readings({"alarm_bits": 1})
    far = (1 << 63) - 1
    record = rollup.encode_record(Stretches([0], [2], [Rolled([-far], [0], [far], [2])]))
    assert rollup.decode_record(layout, record, 0).fields[0] == Rolled([MISSING], [MISSING], [MISSING], [0])


@pytest.mark.parametrize("data", [b"", b"bb", b"bhiq", b"zzzz1234", b"\xff\xff\xff\xff1234", b"bbbb"])
def test_damaged_records_are_told(data: bytes) -> None:
    layout = Layout(()).with_readings({"voltage": 1.0, "soc": 1})
    with pytest.raises(ValueError, match="damaged"):
        rollup.decode_record(layout, data, 0)
    assert rollup.decode_records(layout, [data], [0])[0] == Rolled([MISSING], [MISSING], [MISSING], [0])
