"""Charts, energy, events and rows are what the rows say, from whatever layer and from memory or file alike."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kept import DAY, HOUR, START, Kept

from cellwire.gateway.events import Event
from cellwire.outputs.history import HistoryError, Row
from cellwire.outputs.history.reader import Reader, Series

PACK = "jbd-1"


def readings(number: int) -> dict[str, Any]:
    """Return made-up readings that are the same each time; some are missing now and then."""
    chance = random.Random(number)
    return {
        "voltage": round(52 + chance.random(), 2),
        "current": None if chance.random() < 0.02 else round(chance.uniform(-50, 50), 2),
        "soc": number // 50 % 100,
        "cell_voltages": [round(3.2 + chance.random() / 10, 3) for _ in range(4)],
        "charge_mosfet": chance.random() < 0.9,
        "energy_in": number / 1000,
        "energy_out": 5.0,
    }


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Thirty hours, the last one open, with a gap of two hours after the fifth."""
    kept = Kept(tmp_path_factory.mktemp("history") / "h.db")
    kept.writer.turn()
    for number in range(30 * 120):
        if not 600 <= number < 840:
            kept.add(readings(number))
        if number % 40 == 0:
            kept.writer.turn()
        kept.wait(30)
    kept.now -= 20
    kept.writer.turn()
    yield kept
    kept.reader.close()
    kept.writer.stop()


COLUMNS = ["voltage", "current", "soc", "cell_voltages.2", "charge_mosfet", "no_such_reading"]


def value_of(column: str, row: dict[str, Any]) -> Any:
    name, _, number = column.partition(".")
    value = row.get(name)
    return value[int(number) - 1] if number and value is not None else value


def by_hand(rows: list[tuple[float, dict[str, Any]]], column: str, first: float, step: float) -> Any:
    """Return minimum, average, maximum of what lies in one bucket."""
    there = [
        value for time, row in rows if first <= time < first + step and (value := value_of(column, row)) is not None
    ]
    if not there:
        return None, None, None
    average = there[-1] if column in ("charge_mosfet", "energy_in") else sum(there) / len(there)
    return min(there), average, max(there)


SPANS = (
    # start, end in seconds, points, resolution asked for, resolution given, step
    (0, 0, 1000, "", "raw", 0.0),
    (0, HOUR, 1000, "", "raw", 30.0),
    (0, 6 * HOUR, 1000, "", "raw", 30.0),
    (0, 6 * HOUR, 100, "", "raw", 219.0),
    (28 * HOUR, 30 * HOUR, 50, "", "raw", 147.0),
    (0, 7 * HOUR, 1000, "", "minute", 60.0),
    (100, 30 * HOUR, 2000, "", "minute", 60.0),
    (0, 30 * HOUR, 1000, "", "minute", 120.0),
    (0, 30 * HOUR, 7, "", "minute", 60.0 * 264),
    (0, 30 * HOUR, 1000, "hour", "hour", HOUR),
    (0, 30 * HOUR, 11, "hour", "hour", 3 * HOUR),
    (0, 30 * HOUR, 1000, "day", "day", DAY),
    (0, 300 * DAY, 1000, "", "hour", HOUR),
    (0, 3000 * DAY, 1000, "", "day", DAY),
    (29.5 * HOUR, 40 * HOUR, 1000, "minute", "minute", 60.0),
    (0, 3 * HOUR, 10_000, "minute", "minute", 60.0),
)


@pytest.mark.parametrize(("start", "end", "points", "asked", "given", "step"), SPANS)
def test_series_are_what_the_rows_say(
    long: Kept, start: float, end: float, points: int, asked: str, given: str, step: float
) -> None:
    series = long.reader.series(PACK, COLUMNS, START + start, START + end, points, asked)
    assert (series["resolution"], series["step"]) == (given, step)
    times = series["times"]
    assert 0 < len(times) <= points
    assert times == sorted(set(times))
    rows = list(long.reader.rows(PACK, START - DAY, START + 31 * HOUR))
    if given == "raw" and len(times) > 1 and step == 30.0:
        assert times == [time for time, _ in rows if START + start <= time <= START + end]
    for column in COLUMNS:
        found = series["series"][column]
        assert {len(values) for values in found.values()} == {len(times)}
        for at in {0, 1, len(times) // 3, len(times) // 2, len(times) - 2, len(times) - 1}:
            if 0 <= at < len(times) and (given != "raw" or start <= times[at] - START <= end - step):
                wanted = by_hand(rows, column, times[at], step or 1.0)
                got = [found[key][at] for key in ("min", "avg", "max")]
                rough = 0.11 if column == "soc" else 0.02
                near = [None if value is None else pytest.approx(float(value), abs=rough) for value in wanted]
                assert got == near, column


def test_a_bucket_without_rows_is_there_and_empty(long: Kept) -> None:
    series = long.reader.series(PACK, ["voltage"], START, START + 10 * HOUR)
    values = dict(zip(series["times"], series["series"]["voltage"]["avg"], strict=True))
    assert values[START + 5.5 * HOUR] is None
    assert values[START + 4.5 * HOUR] is not None
    assert len(values) == 601


@pytest.mark.parametrize("resolution", ["raw", "minute", "hour", "day"])
def test_who_reads_the_file_alone_sees_the_same(long: Kept, resolution: str) -> None:
    alone = Reader(long.path)
    arguments = (PACK, COLUMNS, START, START + 31 * HOUR, 700, resolution)
    assert alone.series(*arguments) == long.reader.series(*arguments)
    assert alone.packs() == long.reader.packs()
    assert list(alone.rows(PACK, 0, 1e10)) == long.all()
    assert alone.energy(PACK, "day", 0, 1e10, "UTC") == long.reader.energy(PACK, "day", 0, 1e10, "UTC")
    alone.close()


def test_rows_come_back(long: Kept) -> None:
    rows = dict(long.all())
    assert len(rows) == 30 * 120 - 240
    for number in (0, 599, 840, 3599):
        expected = {name: value for name, value in readings(number).items() if value is not None}
        assert rows[START + number * 30] == expected
    assert [time for time, _ in long.reader.rows(PACK, START + 30, START + 90)] == [START + 30, START + 60, START + 90]
    assert list(long.reader.rows("nobody", 0, 1e10)) == []


def test_nothing_is_known_of_another_pack(long: Kept) -> None:
    for resolution in ("", "raw", "minute", "hour", "day"):
        series = long.reader.series("nobody", ["voltage"], START, START + DAY, resolution=resolution)
        assert series["times"] == []
        assert series["series"] == {"voltage": {"min": [], "avg": [], "max": []}}
    assert long.reader.energy("nobody", "day", START, START + DAY, "UTC") == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"resolution": "week"}, "resolution must be"),
        ({"start": float("nan")}, "a time must be a number"),
    ],
)
def test_refuses_what_makes_no_sense(long: Kept, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        long.reader.series(**{"id": PACK, "names": ["voltage"], "start": 0.0, "end": 1.0, **arguments})


def test_times_beyond_all_rows(long: Kept) -> None:
    for start, end in ((-1e300, 1e300), (START, START - 1), (1e10, 2e10)):
        series = long.reader.series(PACK, ["soc"], start, end)
        assert len(series["times"]) <= 1000


def test_packs(long: Kept) -> None:
    (pack,) = long.reader.packs()
    assert (pack["id"], pack["name"], pack["first"], pack["last"]) == (PACK, PACK, START, START + 30 * HOUR - 30)
    assert "cell_voltages.4" in pack["columns"]


def test_the_next_layer_answers_where_rows_are_gone(long: Kept, tmp_path: Path) -> None:
    with sqlite3.connect(long.path) as source, sqlite3.connect(tmp_path / "copy.db") as copy:
        source.backup(copy)
        hour = int(START) // 3600
        copy.execute("DELETE FROM chunk WHERE id >> 16 < ?", (hour + 8,))
        copy.execute("DELETE FROM roll_m WHERE id >> 16 < ?", (hour + 3,))
    source.close()
    copy.close()
    reader = Reader(tmp_path / "copy.db")

    def resolution(start: float, end: float) -> str:
        series: Series = reader.series(PACK, ["voltage"], START + start * HOUR, START + end * HOUR)
        assert series["times"]
        return series["resolution"]

    assert resolution(9, 12) == "raw"
    assert resolution(4, 9) == "minute"
    assert resolution(1, 5) == "hour"
    assert resolution(8, 24) == "minute"
    assert resolution(1, 24) == "hour"
    reader.close()


# Numbers of rows.


@pytest.mark.parametrize("limit", [1, 7, 100, 999, 5000])
def test_after_gives_each_row_once_and_in_order(tmp_path: Path, limit: int) -> None:
    kept = Kept(tmp_path / "h.db")
    written: list[Row] = []
    chance = random.Random(limit)
    for number in range(900):
        row = Row(f"jbd-{number % 3}", kept.now - (4000 if chance.random() < 0.01 else 0), {"soc": float(number % 100)})
        assert kept.writer.append([row]) == number + 1
        written.append(row)
        kept.wait(10)
        if number % 50 == 49:
            kept.writer.turn()
    kept.add({"soc": 1.0})  # not committed: could still be lost, so nobody is told of it
    seq, found = 0, []
    while page := kept.reader.after(seq, limit):
        assert [number for number, _ in page] == list(range(seq + 1, seq + len(page) + 1))
        assert len(page) <= limit
        found += [row for _, row in page]
        seq = page[-1][0]
    assert found == written
    kept.reader.close()


# Energy.


def energy(kept: Kept, zone: str = "UTC", period: str = "day") -> list[tuple[float, Any, Any]]:
    kept.writer.turn()
    return [
        ((part["from"] or 0) - START, part["energy_in"], part["energy_out"])
        for part in kept.reader.energy(PACK, period, START - DAY, START + 100 * DAY, zone)
    ]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "h.db")
    kept.writer.turn()
    yield kept
    kept.reader.close()


def meter(kept: Kept, hours: float, value: float, out: float | None = None) -> None:
    kept.add({"energy_in": value, "energy_out": out}, time=START + hours * HOUR)


def test_energy_of_days(kept: Kept) -> None:
    for hour in range(72):
        meter(kept, hour + 0.1, 100 + hour * 0.5, 7.0)
        meter(kept, hour + 0.9, 100 + hour * 0.5 + 0.4, 7.0)
    kept.wait(71.95 * HOUR)
    assert energy(kept) == [(0, 11.9, 0.0), (DAY, 12.0, 0.0), (2 * DAY, 12.0, 0.0)]


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("Europe/Berlin", [(-2 * HOUR, 21.0), (22 * HOUR, 24.0), (46 * HOUR, 2.0)]),
        ("America/New_York", [(-20 * HOUR, 3.0), (4 * HOUR, 24.0), (28 * HOUR, 20.0)]),
        # Their midnight is in the middle of an hour: the minutes tell.
        ("Asia/Kolkata", [(-5.5 * HOUR, 17.5), (18.5 * HOUR, 24.0), (42.5 * HOUR, 5.5)]),
    ],
)
def test_energy_of_local_days(kept: Kept, zone: str, days: list[tuple[float, float]]) -> None:
    for part in range(2 * 48):
        meter(kept, part / 2 + 0.0001, part / 2)
        meter(kept, part / 2 + 0.4999, part / 2 + 0.5)
    kept.wait(47.9 * HOUR)
    found = [(start, value) for start, value, _ in energy(kept, zone)]
    assert [start for start, _ in found] == [start for start, _ in days]
    assert sum(value for _, value in found) == pytest.approx(48.0, abs=0.51)
    for (_, value), (_, wanted) in zip(found, days, strict=True):
        assert value == pytest.approx(wanted, abs=1.01)


def test_energy_of_months_and_of_days_when_the_clocks_change(kept: Kept) -> None:
    for day in range(60):
        meter(kept, day * 24 + 12, day * 1.0)
    kept.wait(60 * DAY)
    months = kept.reader.energy(PACK, "month", START, START + 90 * DAY, "Europe/Berlin")
    assert [part["energy_in"] for part in months] == [24.0, 30.0, 5.0]
    days = kept.reader.energy(PACK, "day", START, START + 90 * DAY, "Europe/Berlin")
    assert {(part["to"] or 0) - (part["from"] or 0) for part in days} == {DAY, DAY + HOUR}  # 26 October has 25 hours
    assert all(part["energy_in"] in (0.0, 1.0) for part in days)


def test_energy_across_a_gap_counts_where_it_appears(kept: Kept) -> None:
    meter(kept, 1, 10.0)
    meter(kept, 2, 11.0)
    meter(kept, 60, 15.0)
    kept.wait(60.1 * HOUR)
    assert energy(kept) == [(0, 1.0, None), (DAY, None, None), (2 * DAY, 4.0, None)]


def test_a_meter_that_was_set_back_is_never_negative(kept: Kept) -> None:
    for hour, value in ((1, 10.0), (2, 12.0), (3, 0.0), (4, 1.5), (30, 0.5), (31, 1.0)):
        meter(kept, hour, value)
    kept.wait(31.1 * HOUR)
    assert energy(kept) == [(0, 3.5, None), (DAY, 0.5, None)]


def test_energy_asks_for_a_zone_that_is_there(kept: Kept) -> None:
    for zone in ("Mars/Olympus", "", "../etc/passwd", "/etc/passwd"):
        with pytest.raises(ValueError, match="no time zone"):
            kept.reader.energy(PACK, "day", 0, 1, zone)
    with pytest.raises(ValueError, match="day or month"):
        kept.reader.energy(PACK, "week", 0, 1, "UTC")


# Events, and files that are not there.


EVENTS = (
    (START, "start", "", "began"),
    (START + 1, "alarm_on", "jbd-1", "cold"),
    (START + 2, "alarm_on", "jbd-2", "cold"),
    (START + 3, "alarm_off", "jbd-1", "warm"),
)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, [3, 2, 1, 0]),
        ({"newest_first": False}, [0, 1, 2, 3]),
        ({"limit": 2}, [3, 2]),
        ({"id": "jbd-1"}, [3, 1]),
        ({"kinds": ("alarm_on", "start")}, [2, 1, 0]),
        ({"kinds": ("alarm_on",), "id": "jbd-2", "newest_first": False}, [2]),
        ({"start": START + 1, "end": START + 2}, [2, 1]),
        ({"limit": 0}, []),
        ({"id": "' OR 1=1 --"}, []),
    ],
)
def test_events(kept: Kept, arguments: dict[str, Any], found: list[int]) -> None:
    for time, kind, pack, text in EVENTS:
        kept.writer.event(Event(time, kind, text, pack))
    kept.writer.turn()
    events = kept.reader.events(**{"start": 0.0, "end": 1e10, **arguments})
    assert [event["time"] for event in events] == [EVENTS[at][0] for at in found]


def test_without_a_file(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "none.db")
    for ask in (
        reader.packs,
        lambda: reader.after(0, 1),
        lambda: reader.series(PACK, [], 0, 1),
        lambda: list(reader.rows(PACK, 0, 1)),
    ):
        with pytest.raises(HistoryError, match="there is no history"):
            ask()


def test_while_the_file_cannot_be_made_memory_answers(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db")
    kept.writer.turn()
    kept.reader.close()
    kept.writer.turn()
    kept.add({"voltage": 52.0})
    for name in ("h.db", "h.db-wal", "h.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert kept.reader.series(PACK, ["voltage"], START, START + 60)["series"]["voltage"]["avg"] == [52.0]
    assert [pack["id"] for pack in kept.reader.packs()] == [PACK]
    assert kept.reader.after(0, 10) == []
    assert kept.reader.events(0, 1e10) == []
