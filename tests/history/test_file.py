"""The file is made as designed, brought up to date, refused when it is not ours, and set aside when damaged."""

import os
import sqlite3
from array import array
from pathlib import Path

import pytest

from cellwire.outputs.history import columns, file
from cellwire.outputs.history.file import (
    Damaged,
    HistoryError,
    HistoryFile,
    open_for_reading,
    open_for_writing,
    set_aside,
)


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def old_file(path: Path, version: int = 1) -> sqlite3.Connection:
    """Return a file as version 1 left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA page_size=1024")
    connection.executescript(file.TABLES)
    connection.execute(f"PRAGMA application_id={file.APPLICATION}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 1024), ("journal_mode", "wal"), ("synchronous", 2), ("wal_autocheckpoint", 4000),
        ("journal_size_limit", 8388608), ("cache_size", -4000), ("user_version", file.VERSION),
        ("application_id", file.APPLICATION), ("auto_vacuum", 0),
    ],
)  # fmt: skip
def test_a_new_file(tmp_path: Path, name: str, value: object) -> None:
    connection = open_for_writing(tmp_path / "h.db")
    assert pragma(connection, name) == value
    connection.close()


def test_a_new_file_has_its_tables_without_its_log(tmp_path: Path) -> None:
    """Who copies the file alone finds at least what it is."""
    connection = open_for_writing(tmp_path / "h.db")
    data = (tmp_path / "h.db").read_bytes()
    connection.close()
    (tmp_path / "copy.db").write_bytes(data)
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert pragma(copy, "user_version") == file.VERSION
    copy.close()


def test_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    old = old_file(path)
    chunk = columns.encode([array("q", [10, 20]), array("q", [7, 5]), array("q", [1, 2])])
    hot = columns.encode_rows([array("q", [1, 1]), array("q", [10, 20]), array("q", [8, 9]), array("q", [1, 2])])
    old.execute("INSERT INTO chunk VALUES(65537, 1, 2, ?)", (chunk,))
    old.execute("INSERT INTO chunk VALUES(131073, 1, 2, ?)", (b"spoiled",))
    old.execute("INSERT INTO hot VALUES(9, 1, 1, ?)", (hot,))
    old.close()
    connection = open_for_writing(path)
    assert pragma(connection, "user_version") == file.VERSION
    assert connection.execute("SELECT id, layout, n, first_seq, last_seq, data FROM chunk").fetchall() == [
        (65537, 1, 2, 5, 7, chunk)
    ]
    assert connection.execute("SELECT id, first_seq FROM hot").fetchall() == [(9, 8)]
    assert connection.execute("SELECT source, id, data FROM spoiled").fetchall() == [("chunk", 131073, b"spoiled")]
    connection.close()
    new = open_for_writing(tmp_path / "new.db")
    again = open_for_writing(path)
    tables = [
        {name for (name,) in one.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")}
        for one in (new, again)
    ]
    assert tables[0] == tables[1]
    new.close()
    again.close()


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.db"
    old_file(path).close()

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE event")
        raise OSError("power cut")

    monkeypatch.setitem(file.MIGRATIONS, 2, fail)
    with pytest.raises(OSError, match="power cut"):
        open_for_writing(path)
    connection = sqlite3.connect(path)
    assert pragma(connection, "user_version") == 1
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
    connection.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine(x)")
    connection.commit()
    connection.close()


REFUSED = (
    ("newer", lambda path: old_file(path, 99).close(), "newer Cellwire .format 99"),
    ("foreign", foreign, "database of another program"),
    ("text", lambda path: path.write_text("[[pack]]\nname = 'shed'\n" * 10), "not a history of Cellwire"),
    ("folder", lambda path: path.mkdir(), "is a folder"),
)
each_refused = pytest.mark.parametrize(("make", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])


@each_refused
def test_refuses(tmp_path: Path, make: object, text: str) -> None:
    path = tmp_path / "h.db"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for opened in (open_for_writing, open_for_reading):
        with pytest.raises(HistoryError, match=text):
            opened(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="make this folder"):
        open_for_writing(tmp_path / "none" / "h.db")
    with pytest.raises(HistoryError, match="there is no history"):
        open_for_reading(tmp_path / "h.db")


@pytest.mark.parametrize("damage", [(0, b"\0" * 100), (100, b"\xff" * 900), (28, b"\xff\xff\xff\xff")])
def test_damage_is_told(tmp_path: Path, damage: tuple[int, bytes]) -> None:
    path = tmp_path / "h.db"
    open_for_writing(path).close()
    at, data = damage
    with path.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)
    with pytest.raises(Damaged):
        HistoryFile(path).connection.execute("SELECT * FROM chunk").fetchall()


def test_is_set_aside_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"h.db{ending}").write_text(ending)
    first = set_aside(path, 1_759_795_200.0)
    assert first.name == "h.db.damaged-20251007-000000"
    assert sorted(os.listdir(tmp_path)) == [first.name, f"{first.name}-shm", f"{first.name}-wal"]
    path.write_text("again")
    assert set_aside(path, 1_759_795_200.0).name == "h.db.damaged-20251007-000000-2"
    path.write_text("odd")
    assert "unknown-time" in set_aside(path, 1e30).name


def test_notices_another_file_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    opened = HistoryFile(path)
    assert not opened.is_gone()
    os.replace(path, tmp_path / "moved.db")
    assert opened.is_gone()
    opened.close()
    other = HistoryFile(path)
    assert other.identity != opened.identity
    other.close()
