"""What was acknowledged is there after anything: crashes, clocks that jump, disks that fail, files that vanish."""

import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kept import DAY, HOUR, START, Kept

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Event, Events
from cellwire.outputs.history import History, HistoryError, Row, file, memory, place, writer
from cellwire.outputs.history.commit import mb_per_day
from cellwire.outputs.history.reader import Reader

METERS = {"energy_in": 1.5, "energy_out": 0.5, "charge_in": 30.125, "charge_out": 10.0}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "h.db")


def tables(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path)
    names = ("hot", "chunk", "roll_m", "roll_h", "roll_d", "spoiled")
    found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return found


def times(kept: Kept, pack: str = "jbd-1") -> list[float]:
    return [time for time, _ in kept.all(pack)]


# Commits and crashes.


def test_rows_survive_a_crash_as_soon_as_they_are_committed(kept: Kept) -> None:
    kept.add({"voltage": 52.43, "cell_voltages": [3.3, None], "charge_mosfet": True, **METERS})
    kept.writer.turn()
    kept.wait(5)
    kept.add({"voltage": 1.0})
    assert len(kept.all()) == 2  # what is not committed is shown already
    saved = kept.begin().start()
    assert kept.all() == [(START, {"voltage": 52.43, "cell_voltages": [3.3, None], "charge_mosfet": True, **METERS})]
    assert saved == {"jbd-1": (START, METERS)}
    assert kept.add({"voltage": 2.0}) == 2  # the number of the row that was lost: nobody was told of it
    kept.writer.stop()


def test_rows_stay_with_their_packs_in_whatever_order_these_came(kept: Kept) -> None:
    """A file numbers its packs as they come; a commit has them in the order of their names."""
    for names in (("jbd-2",), ("jbd-0", "jbd-1", "jbd-2")):
        for name in names:
            kept.add({"voltage": float(name[-1])}, name)
        kept.writer.turn()
    kept.begin().start()
    shown = {name: [readings for _, readings in kept.all(name)] for name in ("jbd-0", "jbd-1", "jbd-2")}
    kept.writer.stop()
    two = {"voltage": 2.0}
    assert shown == {"jbd-0": [{"voltage": 0.0}], "jbd-1": [{"voltage": 1.0}], "jbd-2": [two, two]}


def test_tells_the_meters_that_are_on_the_disk(kept: Kept) -> None:
    kept.add({"counted_soc": 55.5, "last_full": 1_759_000_000, **METERS})
    kept.add({"energy_in": 9.0}, "bank-house")
    assert kept.committed == []
    kept.writer.turn()
    assert kept.committed == [{"jbd-1": METERS, "bank-house": {"energy_in": 9.0}}]
    kept.wait(5)
    kept.add({"energy_in": 9.5}, "bank-house")
    kept.writer.turn()
    assert kept.committed[1:] == [{"bank-house": {"energy_in": 9.5}}]
    kept.writer.turn()
    assert len(kept.committed) == 2
    saved = kept.begin().start()
    kept.writer.stop()
    assert saved["jbd-1"][1] == {"counted_soc": 55.5, "last_full": 1_759_000_000, **METERS}
    assert saved["bank-house"] == (START + 5, {"energy_in": 9.5})


def test_meters_are_found_again_after_the_hour_was_sealed(kept: Kept) -> None:
    kept.add({"counted_soc": 55.5, **METERS})
    kept.wait(5)
    kept.add({"energy_in": 1.6})
    kept.wait(2 * HOUR)
    kept.writer.turn()
    assert tables(kept.path)["hot"] == 0
    saved = kept.begin().start()
    kept.writer.stop()
    assert saved == {"jbd-1": (START + 5, {"counted_soc": 55.5, **METERS, "energy_in": 1.6})}


def test_readings_are_taken_as_they_are_now(kept: Kept) -> None:
    readings: dict[str, Any] = {"voltage": 52.0}
    kept.writer.turn()
    kept.add(readings)
    readings["voltage"] = 1.0
    assert kept.all() == [(START, {"voltage": 52.0})]


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_row_with_no_possible_time_is_left_out(kept: Kept, time: float) -> None:
    kept.add({"voltage": 1.0}, time=time)
    kept.add({"voltage": 2.0})
    assert kept.writer.flush(0)
    assert kept.all() == [(START, {"voltage": 2.0})]


def test_a_reading_that_comes_late_in_the_hour(kept: Kept) -> None:
    kept.run(100, voltage=1.0)
    kept.writer.turn()
    kept.run(100, voltage=1.0, soc=50)
    kept.writer.turn()
    assert [sorted(readings) for _, readings in kept.all()] == [["voltage"]] * 20 + [["soc", "voltage"]] * 20
    kept.begin().turn()
    assert [sorted(readings) for _, readings in kept.all()] == [["voltage"]] * 20 + [["soc", "voltage"]] * 20
    kept.wait(2 * HOUR)
    kept.writer.turn()
    assert tables(kept.path)["chunk"] == 1
    assert [sorted(readings) for _, readings in kept.all()] == [["voltage"]] * 20 + [["soc", "voltage"]] * 20


def test_packs_of_one_shape_share_a_layout(kept: Kept) -> None:
    for pack in ("a", "b", "c"):
        kept.add({"soc": 1, "voltage": 1.0}, pack)
    kept.add({"power": 1.0}, "d")
    kept.writer.turn()
    connection = sqlite3.connect(kept.path)
    assert connection.execute("SELECT count(*) FROM layout").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM hot").fetchone() == (2,)
    connection.close()


# Sealing.


def test_an_hour_is_sealed_when_it_is_over(kept: Kept) -> None:
    kept.writer.turn()
    kept.run(HOUR, voltage=lambda n: 50 + n % 7 / 100, energy_in=lambda n: n / 1000)
    kept.run(HOUR / 2, voltage=51.0, energy_in=1.0)
    before = kept.all()
    assert len(before) == 1080
    kept.writer.turn()
    assert tables(kept.path) == {"hot": 1, "chunk": 1, "roll_m": 1, "roll_h": 1, "roll_d": 1, "spoiled": 0}
    assert kept.all() == before
    kept.begin().turn()
    assert kept.all() == before


@pytest.mark.parametrize("early", [1.0, 1800.0, 2 * HOUR, 365 * DAY])
def test_late_rows_are_merged_with_the_sealed_hour(kept: Kept, early: float) -> None:
    """Also when raw rows of that hour were there before."""
    first = kept.run(HOUR / 2, voltage=50.0)
    kept.wait(early + HOUR)
    kept.writer.turn()
    kept.add({"voltage": 60.0, "soc": 5}, time=START + 1801.5)
    kept.add({"voltage": 40.0, "soc": 5}, time=START + 2.5)
    expected = sorted([*first, START + 1801.5, START + 2.5])
    assert times(kept) == expected
    kept.writer.turn()
    assert times(kept) == expected
    assert tables(kept.path) == {"hot": 0, "chunk": 1, "roll_m": 1, "roll_h": 1, "roll_d": 1, "spoiled": 0}
    hour = kept.reader.series("jbd-1", ["voltage"], START, START + 1, resolution="hour")["series"]["voltage"]
    assert (hour["min"], hour["max"]) == ([40.0], [60.0])
    numbers = [number for number, _ in kept.reader.after(0, 10_000)]
    assert numbers == list(range(1, len(expected) + 1))


def test_sealing_again_after_a_commit_that_seemed_to_fail(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may report an error for what it wrote all the same: no row is there twice."""
    expected = kept.run(HOUR, voltage=50.0)
    kept.wait(60)
    kept.writer.turn()  # makes the file
    kept.run(600, voltage=51.0)
    kept.wait(HOUR)

    class Lying(sqlite3.OperationalError):
        pass

    def transaction(connection: sqlite3.Connection) -> Any:
        manager = file.transaction(connection)

        class Once:
            def __enter__(self) -> None:
                manager.__enter__()

            def __exit__(self, *error: Any) -> None:
                manager.__exit__(*error)
                raise Lying("disk I/O error")

        return Once()

    monkeypatch.setattr(writer, "transaction", transaction)
    kept.writer.turn()  # committed, and told that it was not
    kept.wait(60)
    monkeypatch.setattr(writer, "transaction", file.transaction)
    kept.writer.turn()
    assert kept.kinds() == ["history", "history"]
    assert len(times(kept)) == len(set(times(kept))) == len(expected) + 120
    numbers = [number for number, _ in kept.reader.after(0, 10_000)]
    assert numbers == list(range(1, len(expected) + 121))


def test_a_spoiled_chunk_is_kept_aside(kept: Kept) -> None:
    kept.run(100, voltage=50.0)
    kept.wait(2 * HOUR)
    kept.writer.turn()
    connection = sqlite3.connect(kept.path)
    connection.execute("UPDATE chunk SET data = x'0102'")
    connection.commit()
    connection.close()
    kept.add({"voltage": 51.0}, time=START + 200)
    kept.writer.turn()
    assert tables(kept.path)["spoiled"] == 1
    assert times(kept) == [START + 200]
    # What had been rolled up of the spoiled rows is still counted.
    hour = kept.reader.series("jbd-1", ["voltage"], START, START, resolution="hour")["series"]["voltage"]
    assert (hour["min"], hour["max"]) == ([50.0], [51.0])


# Clocks.


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY, 2 * HOUR, -2 * HOUR, -90.0, 31.0])
def test_a_clock_that_is_set_loses_nothing_and_is_told_once(kept: Kept, jump: float) -> None:
    first = kept.run(600, voltage=50.0)
    kept.writer.turn()
    kept.now += jump
    second = kept.run(600, voltage=51.0)
    kept.writer.turn()
    kept.now -= jump
    third = kept.run(600, voltage=52.0)
    kept.writer.turn()
    kept.writer.turn()
    assert kept.kinds() == ["clock", "clock"]
    expected = sorted([*first, *second, *third])
    assert times(kept) == expected
    kept.wait(3 * HOUR)
    kept.writer.turn()
    assert times(kept) == expected
    kept.begin().turn()
    assert times(kept) == expected
    assert [number for number, _ in kept.reader.after(0, 10_000)] == list(range(1, 361))


def test_a_clock_that_was_set_back_while_the_gateway_was_off(kept: Kept) -> None:
    kept.run(600, voltage=50.0, energy_in=1.0)
    kept.writer.turn()
    kept.writer.stop()
    kept.now -= 100 * DAY
    saved = kept.begin().start()
    kept.writer.stop()
    assert saved["jbd-1"][1] == {"energy_in": 1.0}
    assert kept.told == [("clock", "The clock is 100 days behind the newest row of the history.")]


def test_a_clock_that_creeps_is_not_told(kept: Kept) -> None:
    for _ in range(100):
        kept.now += 0.5
        kept.wait(60)
        kept.writer.turn()
    assert kept.told == []


# Retention.


def test_old_rows_are_dropped_when_the_clock_was_steady_for_a_day(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db", keep_raw=3.0, keep_minutes=5.0)
    for _ in range(24 * 7):
        kept.run(HOUR, every=600, voltage=50.0)
        kept.writer.turn()
    kept.wait(10)
    kept.writer.turn()
    found = tables(kept.path)
    assert found["roll_h"] == 168
    assert found["roll_d"] == 7
    assert 3 * 24 <= found["chunk"] <= 3 * 24 + 2
    assert 5 * 24 <= found["roll_m"] <= 5 * 24 + 2
    assert min(times(kept)) >= kept.now - 3 * DAY - HOUR - 20
    # Late rows of an hour whose rows are gone are added to what is known of it.
    kept.add({"voltage": 60.0}, time=START + 10)
    kept.writer.turn()
    hour = kept.reader.series("jbd-1", ["voltage"], START, START, resolution="hour")["series"]["voltage"]
    assert (hour["min"], hour["max"]) == ([50.0], [60.0])


def test_nothing_is_dropped_because_the_clock_jumped(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db", keep_raw=3.0, keep_minutes=5.0)
    for _ in range(40):
        kept.run(HOUR, every=600, voltage=50.0)
        kept.writer.turn()
    kept.now += 3650 * DAY
    for _ in range(23):
        kept.run(HOUR, every=600, voltage=50.0)
        kept.writer.turn()
    assert tables(kept.path)["chunk"] >= 62
    kept.writer.stop()
    kept.begin().start()  # a restart does not make the clock better
    kept.run(1800, every=600, voltage=50.0)
    kept.writer.stop()
    assert tables(kept.path)["chunk"] >= 62


def test_a_file_that_is_too_large_loses_its_oldest_rows(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db", size=0.15)
    chance = random.Random(5)
    for _ in range(24 * 4):
        kept.run(HOUR, every=20, voltage=lambda n: chance.uniform(0, 99), current=lambda n: chance.uniform(-99, 99))
        kept.writer.turn()
    found = tables(kept.path)
    assert found["roll_h"] >= 95
    assert 24 <= found["chunk"] < 60
    assert max(times(kept)) > kept.now - 60


# Faults.


def fails(code: int, message: str) -> Callable[..., Any]:
    def fail(*arguments: Any) -> Any:
        error = sqlite3.OperationalError(message)
        error.sqlite_errorcode = code
        raise error

    return fail


FAULTS = (
    (sqlite3.SQLITE_FULL, "database or disk is full", "make room"),
    (sqlite3.SQLITE_READONLY, "attempt to write a readonly database", "read-only"),
    (sqlite3.SQLITE_IOERR, "disk I/O error", "replacing"),
    (sqlite3.SQLITE_BUSY, "database is locked", "another program"),
    (sqlite3.SQLITE_CANTOPEN, "unable to open database file", "its folder"),
)


@pytest.mark.parametrize(("code", "message", "advice"), FAULTS)
def test_a_disk_that_fails_is_told_once_and_nothing_is_lost(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, code: int, message: str, advice: str
) -> None:
    kept.run(600, voltage=50.0)
    kept.writer.turn()
    monkeypatch.setattr(writer, "transaction", fails(code, message))
    monkeypatch.setattr(file, "transaction", fails(code, message))
    for _ in range(30):
        kept.run(600, voltage=51.0, energy_in=1.0)
        kept.writer.event(Event(kept.now, "alarm_on", "too cold", "jbd-1"))
        kept.writer.turn()
    status = kept.writer.status
    assert status["state"] == "failing"
    assert advice in status["reason"]
    assert status["queued_rows"] == 3600
    assert kept.kinds() == ["history"]
    assert kept.committed == []
    assert len(times(kept)) == 3720  # live charts go on
    monkeypatch.undo()
    kept.wait(61)
    kept.writer.turn()
    assert kept.kinds() == ["history", "history"]
    assert kept.writer.status["state"] == "ok"
    assert kept.writer.status["queued_rows"] == 0
    assert len(kept.committed) == 1
    kept.begin().turn()
    assert len(times(kept)) == 3720
    assert len(kept.reader.events(0, 1e10)) == 30


def test_pauses_between_attempts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[float] = []

    def fail(*arguments: Any) -> Any:
        attempts.append(kept.now - START)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, "HistoryFile", fail)
    for _ in range(200):
        kept.writer.turn()
        kept.wait(1)
    assert attempts == [0, 1, 3, 8, 18, 48, 108, 168]


def test_the_oldest_rows_are_dropped_when_memory_is_full(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "HELD", 3 * 8 * 1000)
    kept.writer.turn()
    monkeypatch.setattr(writer, "transaction", fails(sqlite3.SQLITE_FULL, "full"))
    for _ in range(4):
        kept.run(1800, voltage=50.0)
        kept.writer.turn()
    monkeypatch.undo()
    kept.wait(61)
    kept.writer.turn()
    assert "720 rows were too many" in kept.told[-1][1]
    assert min(times(kept)) == START + HOUR


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "restored"])
def test_a_file_that_is_taken_away(kept: Kept, how: str) -> None:
    """The rows that are not sealed are in the next file, and each once."""
    kept.run(HOUR, every=60, voltage=50.0)
    kept.wait(10)
    kept.writer.turn()
    kept.run(600, every=60, voltage=50.0, energy_in=1.0)
    kept.writer.set_cursor("mqtt", 33)
    kept.writer.turn()
    backup = kept.path.with_name("backup.db")
    connection = sqlite3.connect(kept.path)
    connection.execute(f"VACUUM INTO '{backup}'")
    connection.close()
    kept.run(600, every=60, voltage=50.0)
    kept.writer.turn()
    if how == "deleted":
        for ending in ("", "-wal", "-shm"):
            os.unlink(f"{kept.path}{ending}")
    elif how == "moved":
        os.replace(kept.path, kept.path.with_name("moved.db"))
    elif how == "restored":
        os.replace(backup, kept.path)
    else:
        other = Kept(kept.path.with_name("other.db"), now=kept.now)
        other.add({"soc": 9}, "jk-9")
        other.writer.turn()
        other.writer.stop()
        os.replace(other.path, kept.path)
    kept.run(600, every=60, voltage=50.0)
    kept.writer.turn()
    assert kept.kinds() == ["history"]
    assert "taken away" in kept.told[0][1]
    open_hour = [time for time in times(kept) if time >= START + HOUR]
    assert len(open_hour) == len(set(open_hour)) == 30
    assert len(times(kept)) == (30 if how == "replaced" else 90)
    assert kept.reader.cursor("mqtt") == 33
    assert len(kept.all("jk-9")) == (how == "replaced")
    kept.wait(2 * HOUR)
    kept.writer.turn()
    saved = kept.begin().start()
    assert saved["jbd-1"][1] == {"energy_in": 1.0}
    kept.writer.stop()
    assert len(times(kept)) == (30 if how == "replaced" else 90)


def test_a_file_that_is_damaged_is_set_aside_and_begun_anew(kept: Kept) -> None:
    kept.run(600, voltage=50.0)
    kept.writer.turn()
    kept.writer.stop()
    with kept.path.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\xff" * 3000)
    kept.begin().start()
    kept.add({"voltage": 51.0})
    assert kept.writer.flush(10)
    kept.writer.stop()
    aside = [name for name in os.listdir(kept.path.parent) if "damaged" in name]
    assert aside
    assert "was damaged" in kept.told[0][1]
    assert aside[0] in kept.told[0][1]
    assert len(times(kept)) == 1


def test_damage_while_running_keeps_the_open_hour(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.run(600, voltage=50.0)
    kept.writer.turn()
    monkeypatch.setattr(writer, "transaction", fails(sqlite3.SQLITE_CORRUPT, "database disk image is malformed"))
    kept.run(600, voltage=51.0)
    kept.writer.turn()
    monkeypatch.undo()
    kept.writer.turn()
    assert "was damaged" in kept.told[0][1]
    assert len(times(kept)) == 240
    kept.begin().turn()
    assert len(times(kept)) == 240


def test_spoiled_commits_are_set_aside(kept: Kept) -> None:
    for _ in range(3):
        kept.run(10, voltage=50.0)
        kept.writer.turn()
    connection = sqlite3.connect(kept.path)
    connection.execute("UPDATE hot SET data = x'02' WHERE id = 4")
    connection.commit()
    connection.close()
    kept.begin().turn()
    assert len(times(kept)) == 4
    assert tables(kept.path)["spoiled"] == 1
    assert "1 commits" in kept.told[0][1]


@pytest.mark.parametrize("what", ["foreign", "folder"])
def test_start_says_what_to_do(tmp_path: Path, what: str) -> None:
    path = tmp_path / "h.db" if what == "foreign" else tmp_path / "none" / "h.db"
    if what == "foreign":
        path.write_text("something else entirely")
    with pytest.raises(HistoryError, match=r"history\.path"):
        Kept(path).writer.start()


# The rest.


def test_events_are_written_at_once(kept: Kept) -> None:
    kept.writer.start()
    kept.writer.event(Event(START, "alarm_on", "cell 3 \ud800 is low", "jbd-1", "shed", {"cell": 3}))
    assert kept.writer.flush(10)
    kept.writer.stop()
    assert Reader(kept.path).events(0, 1e10) == [
        {
            "time": START,
            "kind": "alarm_on",
            "pack": "jbd-1",
            "name": "shed",
            "text": "cell 3 ? is low",
            "detail": {"cell": 3},
        }
    ]


def test_names_and_cursors_are_kept(kept: Kept) -> None:
    kept.writer.name("jbd-1", "shed")
    kept.add({"voltage": 1.0})
    kept.reader.set_cursor("mqtt", 1)
    kept.writer.turn()
    reader = Reader(kept.path)
    assert [(pack["id"], pack["name"]) for pack in reader.packs()] == [("jbd-1", "shed")]
    assert reader.cursor("mqtt") == 1
    assert reader.cursor("influx") == 0
    with pytest.raises(HistoryError):
        reader.set_cursor("mqtt", 2)


def test_the_numbers_of_rows_go_on_after_everything_else_is_gone(kept: Kept) -> None:
    kept.run(100, voltage=1.0)
    kept.wait(2 * HOUR)
    kept.writer.turn()
    connection = sqlite3.connect(kept.path)
    connection.execute("DELETE FROM chunk")
    connection.commit()
    connection.close()
    kept.begin().start()
    assert kept.add({"voltage": 1.0}) == 21
    kept.writer.stop()


def test_off(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db", enabled=False)
    assert kept.writer.start() == {}
    assert kept.add({"voltage": 1.0}) == 0
    kept.writer.event(Event(START, "start", ""))
    assert kept.writer.status["state"] == "off"
    assert kept.writer.flush(0)
    kept.writer.stop()
    assert not kept.path.exists()
    assert kept.all() == []


@pytest.mark.parametrize(
    ("commit", "least", "most"), [(10, 205, 220), (30, 85, 100), (60, 64, 78), (300, 12, 24), (1, 1800, 2000)]
)
def test_expected_megabytes(commit: float, least: float, most: float) -> None:
    assert least <= mb_per_day(commit) <= most


def test_history_as_the_gateway_uses_it(tmp_path: Path) -> None:
    now = [START]
    events = Events(lambda: now[0])
    meters: list[dict[str, dict[str, float]]] = []
    settings = HistorySettings(path=tmp_path / "h.db")
    history = History(settings, lambda: now[0], lambda: now[0], events, meters.append)
    assert history.start() == {}
    history.name("jbd-1", "shed")
    assert history.append([Row("jbd-1", START, {"voltage": 52.0, "energy_in": 1.0}), Row("jbd-1", START + 1, {})]) == 2
    history.event(events.add("start", "Cellwire began"))
    assert history.flush(10)
    assert meters[-1] == {"jbd-1": {"energy_in": 1.0}}
    status = history.status
    assert (status["state"], status["queued_rows"], status["committed_seq"]) == ("ok", 0, 2)
    assert status["file_bytes"] > 1000
    history.configure(replace(settings, commit=60.0))
    assert history.status["loses_at_most_s"] == 60.0
    history.commit_soon()
    history.stop()
    assert [row for _, row in Reader(settings.path).after(0, 10)] == [
        Row("jbd-1", START, {"voltage": 52.0, "energy_in": 1.0}), Row("jbd-1", START + 1, {}),
    ]  # fmt: skip
