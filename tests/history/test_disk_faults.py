"""A disk that is full, read-only or gone, a file that is taken away, a clock that jumps: the history goes on.

One event when it fails, one when it is well again; what was acknowledged stays readable, and so is what was queued
meanwhile; no meter goes back.
"""

import contextlib
import itertools
import os
import resource
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated import START
from home import Fickle, Home, file_system, until  # noqa: F401 - a fixture, asked for as `mounted`

from cellwire.gateway.events import Event
from cellwire.outputs.history import Reader, memory
from cellwire.outputs.history.check import verify
from cellwire.outputs.history.copies import backup

YEAR = 365 * 86400.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "cellwire.db")
    try:
        yield made
    finally:
        made.history.stop()


@pytest.fixture
def fickle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make connections that can fail."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{"factory": Fickle, **more}))
    yield
    Fickle.pragma = ""


@pytest.mark.parametrize("pragma", ["PRAGMA max_page_count=1", "PRAGMA query_only=ON"], ids=["full", "read-only"])
def test_disk_takes_nothing_for_a_while(fickle: None, tmp_path: Path, pragma: str) -> None:
    home = Home(tmp_path / "cellwire.db")
    try:
        home.write(50)
        home.well()
        Fickle.pragma = pragma
        home.write(100)
        home.failing()
        home.write(800)  # over the end of an hour
        time.sleep(0.1)
        assert len(home.said) == 1
        Fickle.pragma = pragma.replace("=1", "=1073741823").replace("=ON", "=OFF")
        home.write()
        home.check()
    finally:
        home.history.stop()


def test_file_may_not_grow(home: Home) -> None:
    """As `ulimit -f` does it: the system itself refuses the write."""
    home.write(20)
    home.well()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in home.path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        home.write(200)
        home.failing()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    home.check()


def test_file_system_is_full(mounted: Path) -> None:
    home = Home(mounted / "cellwire.db")
    try:
        home.write(20)
        home.well()
        filler = mounted / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            file.writelines(itertools.repeat(bytes(4096)))
        home.write(300)
        home.failing()
        filler.unlink()
        home.write()
        home.check()
    finally:
        home.history.stop()


@pytest.mark.parametrize("parts", [("",), ("", "-wal", "-shm"), ("-wal", "-shm")], ids=["file", "all", "wal"])
def test_file_is_deleted(home: Home, parts: tuple[str, ...]) -> None:
    home.write(800)
    home.well()
    for part in parts:
        Path(f"{home.path}{part}").unlink()
    home.write(30)
    until(lambda: len(home.said) == 1)
    home.write(800)
    home.check(said=1)


def test_folder_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    home = Home(folder / "cellwire.db")
    try:
        home.write(30)
        home.well()
        shutil.rmtree(folder)
        home.write(30)
        home.failing()
        folder.mkdir()
        home.check()
    finally:
        home.history.stop()


@pytest.mark.parametrize("is_history", [False, True], ids=["empty", "history"])
def test_file_is_replaced(home: Home, tmp_path: Path, is_history: bool) -> None:
    """By an empty file, or by a copy of a while ago."""
    home.write(30)
    home.well()
    new = tmp_path / "new"
    if is_history:
        backup(home.path, new)
    else:
        new.touch()
    home.write(800)
    home.well()
    os.replace(new, home.path)
    home.write(30)
    until(lambda: len(home.said) == 1)
    if not is_history:
        home.check(said=1)
        return
    home.write(800)
    home.well()
    home.history.stop()
    (before,) = tmp_path.glob("cellwire.db.replaced-*")
    assert before.name in home.said[0]
    for path, first, last in ((home.path, -830, None), (before, 0, 830)):
        assert not verify(path).findings
        reader = Reader(path)
        for pack, rows in home.appended.items():
            assert list(reader.rows(pack, rows[first][0], rows[-1][0]))[:830] == rows[first:last]


@pytest.mark.parametrize("is_database", [False, True], ids=["text", "database"])
def test_file_is_replaced_by_one_of_somebody_else(home: Home, tmp_path: Path, is_database: bool) -> None:
    """It is left alone, and all is well when it is gone again."""
    home.write(800)
    home.well()
    new = tmp_path / "new"
    if is_database:
        with contextlib.closing(sqlite3.connect(new)) as connection:
            connection.execute("CREATE TABLE somebody(els INTEGER)")
    else:
        new.write_bytes(b"not a database at all" * 100)
    content = new.read_bytes()
    os.replace(new, home.path)
    home.write(30)
    home.failing()
    home.write(30)
    assert home.path.read_bytes() == content
    home.path.unlink()
    home.check()


def test_clock_jumps_by_a_year_and_back(home: Home) -> None:
    home.write(300)
    for jump in (YEAR, -YEAR, -YEAR, YEAR):
        home.clock.now += jump
        home.jumped += jump
        home.write(1000)
        home.history.event(Event(home.clock.now, "clock", f"the clock was set by {jump:.0f} s"))
        home.well()
    known = home.history.reader.after(0, 100_000)
    assert [sequence for sequence, _row in known] == list(range(1, 2 * 4300 + 1))
    assert [row.time for _sequence, row in known if row.pack == home.packs[0].id] == [
        at for at, _readings in home.appended[home.packs[0].id]
    ]
    assert len(home.history.reader.events(START - 2 * YEAR, START + 2 * YEAR, kinds=("clock",))) >= 4
    home.check(said=0)


def test_rows_that_wait_are_bounded(fickle: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes nothing for days the oldest of the waiting rows are given up: memory stays bounded."""
    monkeypatch.setattr(memory, "HELD", 1_000_000)  # bytes; about 2600 rows
    home = Home(tmp_path / "cellwire.db")
    try:
        home.write(10)
        home.well()
        acknowledged = {pack: list(rows) for pack, rows in home.appended.items()}
        Fickle.pragma = "PRAGMA query_only=ON"
        home.write(3000)
        home.failing()
        Fickle.pragma = "PRAGMA query_only=OFF"
        home.well()
        assert "rows were too many to be kept, the oldest are lost" in home.said[-1]
        assert len(home.said) == 2
        for pack, rows in acknowledged.items():
            kept = list(home.history.reader.rows(pack, rows[0][0], home.clock.now + 10))
            assert kept[: len(rows)] == rows
            assert kept[-500:] == home.appended[pack][-500:]
            assert len(kept) < 1500
    finally:
        home.history.stop()
