"""cellwire history: export, verify, compact and backup as users call them."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
from durable import Clock
from generated import EVERY, START, identity
from made import made, opened

from cellwire.cli import main
from cellwire.outputs.history import Row
from cellwire.outputs.history.check import verify

PACK = identity(1)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made(tmp_path / "a.db", 800)
    return tmp_path / "a.db"


def test_export_to_the_console_and_to_a_file(path: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["history", "export", str(path), "--of", PACK]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) == 801
    out = tmp_path / "a.csv"
    assert main(["history", "export", str(path), "--of", PACK, "-o", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out == ""
    assert main(["history", "export", str(path), "--of", PACK, "-o", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--format", "jsonl"], ["--json"]])
def test_export_of_a_time(path: Path, capsys: Capture, words: list[str]) -> None:
    times = ["--from", "2024-01-01T00:10:00Z", "--to", "2024-01-01T02:11:00+02:00"]
    assert main(["history", "export", str(path), "--of", PACK, *times, *words]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 12
    assert lines[0]["time"].startswith("2024-01-01T00:10:00")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], f"say which with --of ID; {{path}} has {identity(1)}, {identity(2)}"),
        (["--of", "shed"], f"{{path}} has no rows of shed; there is {identity(1)}, {identity(2)}"),
        (["--of", PACK, "--from", "2025-01-01", "--to", "2024-01-01"], "--to is not after --from"),
        (["--of", PACK, "-o", "/nowhere/a.csv"], "/nowhere/a.csv cannot be written: No such file or directory"),
    ],
)
def test_export_of_what_is_not_there(path: Path, capsys: Capture, words: list[str], sentence: str) -> None:
    assert main(["history", "export", str(path), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"cellwire: {sentence.format(path=path)}\n"


def test_export_takes_no_time_that_is_none(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["history", "export", "--from", "yesterday"])
    assert end.value.code == 2
    assert "'yesterday' is not a date or time; write 2026-11-21" in capsys.readouterr().err


def test_verify(path: Path, capsys: Capture) -> None:
    assert main(["history", "verify", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: sound: 1600 rows")
    assert main(["history", "verify", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"] == []
    assert document["rows"] == 1600
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE chunk SET data = zeroblob(40)")
    connection.close()
    assert main(["history", "verify", str(path)]) == 2
    assert "chunk" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["export", "verify", "compact", "backup"])
def test_file_that_is_none(tmp_path: Path, capsys: Capture, action: str) -> None:
    more = [str(tmp_path / "out")] if action == "backup" else []
    assert main(["history", action, str(tmp_path / "none.db"), *more]) == 2
    assert capsys.readouterr().err.startswith(f"cellwire: there is no history at {tmp_path / 'none.db'}; ")
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"something else" * 1000)
    assert main(["history", action, str(foreign), *more]) == 2
    captured = capsys.readouterr()
    assert str(foreign) in captured.err + captured.out
    assert "Traceback" not in captured.err
    assert foreign.read_bytes() == b"something else" * 1000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["foreign.db"]


def test_the_file_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["history", "verify"]) == 2
    assert "there is no history at cellwire.db" in capsys.readouterr().err
    made(tmp_path / "cellwire.db", 10)
    assert main(["history", "verify"]) == 0
    os.rename("cellwire.db", "other.db")
    Path("cellwire.toml").write_text('[history]\npath = "other.db"\n', encoding="utf-8")
    capsys.readouterr()
    assert main(["history", "verify"]) == 0
    assert "other.db: sound" in capsys.readouterr().out
    Path("cellwire.toml").write_text("[history]\npath = 7\n", encoding="utf-8")
    assert main(["history", "verify"]) == 2
    assert "cellwire.toml:2" in capsys.readouterr().err


def test_backup_while_it_is_written(path: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "copy.db"
    clock = Clock(START + 90000)
    history = opened(path, clock)
    try:
        history.append([Row(PACK, clock.now, {"voltage": 52.0})])
        assert history.flush(20)
        assert main(["history", "backup", str(path), str(out)]) == 0
        assert capsys.readouterr().out == f"{out}: {out.stat().st_size / 1e6:.1f} MB\n"
        clock.now += EVERY
        history.append([Row(PACK, clock.now, {"voltage": 52.0})])
        assert history.flush(20)
    finally:
        history.stop()
    report = verify(out)
    assert not report.findings
    assert report.rows == 1601
    assert main(["history", "backup", str(path), str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_compact(path: Path, capsys: Capture) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE filler(data BLOB)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
        connection.execute("DROP TABLE filler")
    connection.close()
    before = path.stat().st_size
    assert main(["history", "compact", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"file": str(path), "before": before, "after": path.stat().st_size}
    assert document["after"] < before - 900_000
    report = verify(path)
    assert not report.findings
    assert report.rows == 1600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    opened(path, Clock(START + 90000)).stop()  # the gateway takes it up again


def test_compact_leaves_a_running_gateway_alone(path: Path, capsys: Capture) -> None:
    history = opened(path, Clock(START + 90000))
    try:
        assert main(["history", "compact", str(path)]) == 2
        assert f"{path} is in use; stop the gateway first" in capsys.readouterr().err
        history.append([Row(PACK, START + 90000, {"voltage": 52.0})])
        assert history.flush(20)
    finally:
        history.stop()
    report = verify(path)
    assert not report.findings
    assert report.rows == 1601


def test_compact_leaves_what_is_not_sound(path: Path, capsys: Capture) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE chunk SET data = zeroblob(40)")
    connection.close()
    content = path.read_bytes()
    assert main(["history", "compact", str(path)]) == 2
    assert "is not sound, it is left as it is" in capsys.readouterr().err
    # Only the header may say that it stands alone, without a -wal file.
    assert path.read_bytes()[100:] == content[100:]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
