"""A history that cannot be opened at the start: a mistake is refused, trouble that may pass is waited for.

Nothing is lost meanwhile, and no meter goes back, even when what was saved could only be read later.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from durable import Clock
from generated import EVERY, METERS, START
from home import Home, file_system, until  # noqa: F401 - a fixture, asked for as `mounted`

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Events
from cellwire.outputs.history import History, HistoryError, Reader, Row, Saved, file
from cellwire.outputs.history.check import verify

PACK = "jbd-1"


def read_only(folder: Path, on: bool = True) -> None:
    subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(folder)], check=True)


def foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine(x)")


def newer(path: Path) -> None:
    file.open_for_writing(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")


MISTAKES: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("cellwire.db", foreign, "another program"),
    ("cellwire.db", newer, "newer Cellwire"),
    ("cellwire.db", lambda path: path.write_text("name = 'shed'\n" * 20), "not a history"),
    ("cellwire.db", Path.mkdir, "is a folder"),
    ("none/cellwire.db", lambda path: None, "make this folder"),
    ("text/cellwire.db", lambda path: path.parent.write_text("text"), "make this folder"),
)


@pytest.mark.parametrize(("name", "make", "text"), MISTAKES, ids=[text for _, _, text in MISTAKES[:-1]] + ["no folder"])
def test_a_mistake_is_refused(tmp_path: Path, name: str, make: Callable[[Path], object], text: str) -> None:
    path = tmp_path / name
    make(path)
    clock = Clock(START)
    history = History(HistorySettings(path=path), clock, clock, Events(clock), lambda meters: None)
    with pytest.raises(HistoryError, match=text):
        history.start()


@pytest.mark.parametrize("killed", [False, True])
def test_read_only_at_the_start(mounted: Path, tmp_path: Path, killed: bool) -> None:
    """Meters and charts are there, rows wait, and are written when that works again."""
    home = Home(mounted / "cellwire.db")
    home.write(100)  # not to the end of the hour: nothing is sealed while it is copied
    home.well()
    if killed:
        left = tmp_path / "left"
        left.mkdir()
        for part in mounted.iterdir():
            shutil.copy(part, left)
        home.history.stop()
        for part in left.iterdir():
            shutil.copy(part, mounted)
    else:
        home.history.stop()
    last = {pack: rows[-1] for pack, rows in home.appended.items()}
    read_only(mounted)
    try:
        home.history = home.opened()
        saved = home.history.start()
        assert {pack: {name: meters[name] for name in METERS} for pack, (_, meters) in saved.items()} == {
            pack: {name: readings[name] for name in METERS} for pack, (_, readings) in last.items()
        }
        home.failing()
        home.write(100)
        other = Reader(home.path)
        for reader in (home.history.reader, other):
            for pack, rows in home.appended.items():
                found = list(reader.rows(pack, rows[0][0], rows[-1][0]))
                assert found == rows[: len(found)]
                assert len(found) == (200 if reader is home.history.reader else 100)
        other.close()
        assert len(home.said) == 1
    finally:
        read_only(mounted, False)
    home.write()
    home.check(said=2)


def test_no_right_to_make_the_file(mounted: Path) -> None:
    read_only(mounted)
    try:
        home = Home(mounted / "cellwire.db")
        home.failing()
        home.write(1200)
    finally:
        read_only(mounted, False)
    home.check(said=2)


def test_locked_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "cellwire.db")
    home.write(30)
    home.well()
    home.history.stop()
    monkeypatch.setattr(file, "BUSY", 0.05)
    with contextlib.closing(sqlite3.connect(home.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        home.history = home.opened()
        assert {pack: moment for pack, (moment, _) in home.history.start().items()} == {
            pack: rows[-1][0] for pack, rows in home.appended.items()
        }
        home.failing()
        assert "another program" in home.history.status["reason"]
        home.write(30)
    home.check(said=2)


def test_damaged_and_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cellwire.db"
    path.write_bytes(bytes(5000))
    replace = os.replace

    def refuse(*paths: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    home = Home(path)
    home.failing()
    assert "cannot be renamed" in home.history.status["reason"]
    home.write(10)
    monkeypatch.setattr(os, "replace", replace)
    home.check(said=3)
    assert len(list(tmp_path.glob("cellwire.db.damaged-*"))) == 1


class Gateway:
    """Meters of one pack that begin at 0 and go on from what was saved when that is known."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self.before = self.metered = 0.0
        self.shown: list[float] = []
        self.threads: list[str] = []
        self.events = Events(clock)
        settings = HistorySettings(path=path, commit=0.01)
        self.history = History(settings, clock, clock, self.events, self.committed, self.restore)

    def committed(self, meters: dict[str, dict[str, float]]) -> None:
        self.shown.append(meters[PACK]["energy_in"])

    def restore(self, saved: Saved) -> None:
        self.threads.append(threading.current_thread().name)
        self.before += saved[PACK][1]["energy_in"] if saved else 0.0

    def meter(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.now += EVERY
            self.metered += 0.5
            readings = {"voltage": 53.0, "energy_in": round(self.before + self.metered, 3)}
            self.history.append([Row(PACK, self.clock.now, readings)])

    def metered_before(self) -> list[float]:
        return [row["energy_in"] for _, row in self.history.reader.rows(PACK, START, START + 1e6)]


class Dead(sqlite3.Connection):
    """A connection to a disk that does not answer."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("disk I/O error")


async def test_meters_do_not_go_back_when_they_are_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a moment, in no row, and not after a crash: what was metered meanwhile comes on top."""
    path, clock = tmp_path / "cellwire.db", Clock(START)
    first = Gateway(path, clock)
    first.restore(first.history.start())
    first.meter(100)
    assert first.history.flush(20)
    first.history.stop()
    connect = sqlite3.connect
    with monkeypatch.context() as broken:
        broken.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{**more, "factory": Dead}))
        second = Gateway(path, clock)
        assert second.history.start() == {}
        assert second.history.status["state"] == "failing"
        second.meter(800)  # over the end of an hour
        await asyncio.sleep(0.05)
        assert not second.shown
        assert [event.kind for event in second.events.recent] == ["history"]
    second.history.commit_soon()
    clock.now += 60
    for _ in range(50):
        second.meter()
        await asyncio.sleep(0.002)
    assert await asyncio.to_thread(second.history.flush, 20)
    assert second.threads == ["MainThread"]
    assert second.shown == sorted(second.shown)
    assert second.shown[0] >= 50.0
    assert second.metered_before() == [0.5 * (number + 1) for number in range(950)]
    assert [number for number, _ in second.history.reader.after(0, 2000)] == list(range(1, 951))
    await asyncio.to_thread(second.history.stop)
    assert [event.kind for event in second.events.recent] == ["history", "history"]
    assert not verify(path).findings
    third = Gateway(path, clock)
    assert third.history.start()[PACK][1]["energy_in"] == 475.0
    third.history.stop()


def test_meters_are_handed_out_without_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = tmp_path / "cellwire.db", Clock(START)
    first = Gateway(path, clock)
    first.history.start()
    first.meter(10)
    first.history.stop()
    connect = sqlite3.connect
    with monkeypatch.context() as broken:
        broken.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{**more, "factory": Dead}))
        second = Gateway(path, clock)
        second.history.start()
        second.meter(10)
    clock.now += 60
    until(lambda: second.history.flush(1.0))
    second.meter()
    second.history.stop()
    assert second.metered_before() == [0.5 * (number + 1) for number in range(21)]


def test_a_stop_leaves_one_file(tmp_path: Path) -> None:
    """So that it can be copied, also when charts were read from it."""
    home = Home(tmp_path / "cellwire.db")
    home.write(10)
    home.well()
    assert len(home.history.reader.packs()) == 2
    home.history.stop()
    assert list(tmp_path.iterdir()) == [home.path]
