"""Verify: a sound history is sound whatever happened to it, and every kind of damage is found."""

import contextlib
import sqlite3
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from durable import Clock
from generated import EVERY, START, identity
from made import made, opened

from cellwire.outputs.history import HistoryError, Row, columns
from cellwire.outputs.history.check import MOST, verify
from cellwire.outputs.history.file import layouts_of
from cellwire.outputs.history.layout import SEQ

HOURS = 2
TICKS = HOURS * 720 + 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give a sound history: two sealed hours and an open one, of two packs."""
    path = tmp_path_factory.mktemp("sound") / "cellwire.db"
    made(path, TICKS)
    return path.read_bytes()


@pytest.fixture
def path(sound: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "cellwire.db"
    file.write_bytes(sound)
    return file


def changed(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def rewritten(path: Path, column: str, change: Callable[["array[int]"], None]) -> None:
    """Write the first chunk anew with one column changed."""
    connection = sqlite3.connect(path)
    with connection:
        number, layout, data = connection.execute("SELECT id, layout, data FROM chunk ORDER BY id").fetchone()
        found = [array("q", values) for values in columns.decode(data)]
        change(found[SEQ] if column == "seq" else found[layouts_of(connection)[layout].index[column]])
        connection.execute("UPDATE chunk SET data = ? WHERE id = ?", (columns.encode(found), number))
    connection.close()


def test_sound(path: Path) -> None:
    report = verify(path)
    assert report.findings == []
    assert (report.rows, report.packs, report.hours, report.events) == (2 * TICKS, 2, 2 * HOURS, 3)
    assert report.first is not None
    assert START <= report.first < START + EVERY
    assert report.last is not None
    assert report.summary().startswith(f"sound: {2 * TICKS} rows of 2 packs and banks from 2024-01-01T00:00:00.")


def test_nothing_in_it(tmp_path: Path) -> None:
    opened(tmp_path / "a.db", Clock(START)).stop()
    assert verify(tmp_path / "a.db").summary() == "sound: 0 rows of 0 packs and banks, 0 events"


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "UPDATE chunk SET data = substr(data, 1, length(data) - 9) WHERE id = (SELECT min(id) FROM chunk)",
            "chunk of",
        ),
        ("UPDATE chunk SET n = n + 1", "not 47 and 721"),
        ("UPDATE chunk SET last_seq = last_seq + 1", "not 1 to 1440"),
        ("UPDATE chunk SET id = id + 65536 WHERE id = (SELECT max(id) FROM chunk)", "of another hour"),
        ("UPDATE chunk SET layout = 77", "of a layout that is not there"),
        ("UPDATE chunk SET id = id + 7", "of a pack that is not there"),
        ("UPDATE roll_m SET data = (SELECT data FROM roll_m ORDER BY id DESC)", "minutes of"),
        ("DELETE FROM roll_m WHERE id = (SELECT max(id) FROM roll_m)", "minutes of"),
        ("UPDATE roll_h SET data = (SELECT data FROM roll_h ORDER BY id DESC)", "hour of"),
        ("DELETE FROM roll_h WHERE id = (SELECT max(id) FROM roll_h)", "hour of"),
        ("UPDATE roll_d SET data = (SELECT data FROM roll_d ORDER BY id DESC)", "day of"),
        ("UPDATE roll_d SET data = x'00'", "roll_d of"),
        ("DELETE FROM roll_d", "not there"),
        ("UPDATE hot SET data = substr(data, 1, 20)", "rows of commit"),
        ("UPDATE hot SET id = id + 1000", "the last one is"),
        ("UPDATE hot SET hour = hour + 1", "of another hour"),
        (
            "INSERT INTO hot(id, hour, layout, data, first_seq) SELECT id + 1, hour, layout, data, first_seq FROM hot",
            "a number comes twice",
        ),
        ("UPDATE hot SET first_seq = first_seq - 1", "the first one is"),
        ("UPDATE meter SET fields = '{'", "cannot be read"),
        ("DELETE FROM hot", ""),
        ("UPDATE event SET detail = '{'", "details cannot be read"),
        ("INSERT INTO spoiled VALUES ('chunk', 1, 1, x'00')", "were set aside"),
        ("UPDATE layout SET fields = '['", "cannot be read"),
        ("DROP TABLE roll_d", "no such table"),
    ],
)
def test_damage_is_found(path: Path, statement: str, finding: str) -> None:
    changed(path, statement)
    report = verify(path)
    assert any(finding in found for found in report.findings) or not finding, report.findings
    if finding:
        assert "finding" in report.summary()


def test_meters_that_are_not_written_down(path: Path) -> None:
    changed(path, "DELETE FROM hot")
    assert not verify(path).findings
    changed(path, "UPDATE meter SET fields = json_set(fields, '$.charge_out', 0.0)")
    assert any("charge_out is 0.0, its rows say more" in finding for finding in verify(path).findings)


def test_meters_that_go_back(path: Path) -> None:
    def back(meter: "array[int]") -> None:
        meter[300] = meter[299] - 1

    rewritten(path, "charge_out", back)
    assert any("charge_out goes back" in finding for finding in verify(path).findings)


def test_meters_that_go_back_from_hour_to_hour(path: Path) -> None:
    def ahead(meter: "array[int]") -> None:
        meter[-1] += 100_000

    rewritten(path, "charge_out", ahead)
    findings = verify(path).findings
    assert any(finding.startswith("rows from number") and "charge_out goes back" in finding for finding in findings)


def test_numbers_that_come_twice(path: Path) -> None:
    def twice(numbers: "array[int]") -> None:
        numbers[7] = numbers[8]

    rewritten(path, "seq", twice)
    assert any("a number comes twice" in finding for finding in verify(path).findings)


def test_every_flipped_page_is_found_or_harmless(path: Path, sound: bytes) -> None:
    """Whatever is damaged, it ends with a report; what SQLite itself cannot see, the packed rows tell."""
    for at in range(1500, len(sound), len(sound) // 40):
        damaged = bytearray(sound)
        damaged[at] ^= 0x55
        path.write_bytes(damaged)
        with contextlib.suppress(HistoryError):
            verify(path)


def test_findings_are_not_endless(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO event VALUES(?, 0, '', '', '', '', '{')", [(n,) for n in range(1000, 3000)])
    connection.close()
    report = verify(path)
    assert len(report.findings) == MOST
    assert report.summary().startswith("2000 findings")


def test_while_it_is_written(tmp_path: Path) -> None:
    clock = Clock(START)
    history = opened(tmp_path / "a.db", clock)
    try:
        for tick in range(3):
            clock.now += EVERY
            history.append([Row(identity(1), clock.now, {"voltage": 52.0})])
            assert history.flush(20)
            assert verify(tmp_path / "a.db").summary().startswith(f"sound: {tick + 1} rows")
    finally:
        history.stop()


def test_clock_set_back_and_forth_within_the_hour(tmp_path: Path) -> None:
    """Rows of one hour that came at different times lie among the rows of others, and nothing is wrong with that."""
    clock = Clock(START + 3500)
    history = opened(tmp_path / "a.db", clock)
    charge = 0.0
    try:
        for step in (0, -3600, 3600, -1800, 7200, -7000):
            clock.now += step
            for _ in range(60):
                clock.now += EVERY
                charge += 0.01
                readings = {"voltage": 52.0, "charge_in": round(charge, 3)}
                history.append([Row(pack, clock.now, readings) for pack in ("a", "b")])
            assert history.flush(20)
    finally:
        history.stop()
    report = verify(tmp_path / "a.db")
    assert report.findings == []
    assert report.rows == 6 * 60 * 2
