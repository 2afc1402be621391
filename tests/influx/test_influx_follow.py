"""Following the history: every row once and in order, each chunk unpacked about once."""

import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kept import HOUR, Kept
from made import made

from cellwire.outputs.history import Row, columns
from cellwire.outputs.history.follow import Window
from cellwire.outputs.history.reader import Reader


def followed(reader: Reader, most: int, seq: int = 0) -> list[tuple[int, Row]]:
    """Return all rows by windows of so many rows."""
    found: list[tuple[int, Row]] = []
    while (window := reader.window(seq, most)).end > seq:
        rows = sorted((row for part in window.parts for row in part.rows()), key=lambda row: row[0])
        assert len(rows) <= most
        assert all(seq < number <= window.end for number, _ in rows)
        found += rows
        seq = window.end
    assert window.last == seq
    return found


@pytest.mark.parametrize("most", [1, 100, 1000, 1441, 3000, 100_000])
def test_windows_have_every_row_once(tmp_path: Path, most: int) -> None:
    rows = made(tmp_path / "h.db", 300 if most < 100 else 1600)
    reader = Reader(tmp_path / "h.db")
    found = followed(reader, most)
    reader.close()
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    for pack, expected in rows.items():
        assert [(row.time, row.readings) for _, row in found if row.pack == pack] == expected


def test_each_chunk_is_unpacked_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "h.db", 5 * 720, packs=4)
    count = 0
    decode = columns.decode

    def counted(*arguments: Any) -> list[list[int]]:
        nonlocal count
        count += 1
        return decode(*arguments)

    monkeypatch.setattr(columns, "decode", counted)
    reader = Reader(tmp_path / "h.db")
    assert len(followed(reader, 6000)) == 5 * 720 * 4
    reader.close()
    assert 16 <= count <= 18  # four hours of four packs are sealed


def test_late_rows_change_the_hours_that_were_sealed(tmp_path: Path) -> None:
    kept, chance, seq = Kept(tmp_path / "h.db"), random.Random(3), 0
    expected: list[Row] = []
    found: list[tuple[int, Row]] = []
    for number in range(2000):
        late = 4000 if chance.random() < 0.05 else 0
        row = Row(f"jbd-{chance.randrange(3)}", kept.now - late, {"soc": float(number % 100), "cycles": number})
        kept.writer.append([row])
        expected.append(row)
        kept.wait(10)
        if number % 37 == 0:
            kept.writer.turn()
        if number % 90 == 0:
            window = kept.reader.window(seq, 50)
            found += sorted((row for part in window.parts for row in part.rows()), key=lambda row: row[0])
            seq = window.end
    kept.writer.turn()
    found += followed(kept.reader, 70, seq)
    kept.reader.close()
    assert [number for number, _ in found] == list(range(1, 2001))
    assert [row for _, row in found] == expected


def test_rows_that_are_not_kept_any_more_are_passed_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db", keep_raw=2)
    kept.writer.turn()
    kept.run(4 * 24 * HOUR, every=60, soc=50.0)
    for _ in range(5):
        kept.wait(HOUR)
        kept.add({"soc": 1.0})
        kept.writer.turn()
    numbers = [number for number, _ in followed(kept.reader, 500)]
    kept.reader.close()
    assert numbers == list(range(numbers[0], 4 * 24 * 60 + 6))
    assert numbers[0] > 60


def test_while_the_writer_seals_and_drops(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db")
    kept.writer.turn()
    done = threading.Event()

    def follow() -> list[int]:
        found: list[int] = []
        seq = 0
        while True:
            over = done.is_set()
            window = kept.reader.window(seq, 300)
            found.extend(sorted(number for part in window.parts for number, _ in part.rows()))
            if over and window.end == seq:
                return found
            seq = window.end

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        for number in range(3000):
            kept.add({"soc": float(number % 100)}, pack=f"jbd-{number % 4}")
            kept.wait(20)
            if number % 10 == 9:
                kept.writer.turn()
        kept.writer.turn()
        done.set()
        assert following.result(60) == list(range(1, 3001))
    kept.reader.close()


def test_without_a_file_there_are_no_rows(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "none" / "h.db")
    assert kept.reader.window(5, 10) == Window(5, 0, {}, [])


def test_a_spoiled_chunk_is_left_out(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db")
    kept.run(3 * HOUR, soc=50.0)
    kept.writer.turn()
    connection = sqlite3.connect(tmp_path / "h.db", isolation_level=None)
    connection.execute("UPDATE chunk SET data = x'0102' WHERE id = (SELECT min(id) FROM chunk)")
    connection.close()
    numbers = [number for number, _ in followed(kept.reader, 500)]
    kept.reader.close()
    assert numbers == list(range(721, 3 * 720 + 1))
