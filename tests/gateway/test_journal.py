"""The journal: entries in pieces, several writers, a power cut in the middle of a line, and a file that grows."""

import json
import multiprocessing
from pathlib import Path

import pytest

from cellwire.gateway import journal as journal_module
from cellwire.gateway.journal import Journal, JournalError


def made(folder: Path) -> Journal:
    return Journal(folder / "state" / "journal.jsonl", lambda: 1000.0)


def test_an_entry_grows(tmp_path: Path) -> None:
    journal = made(tmp_path)
    number = journal.begin(pack="a", command="x", before=1, wanted=2, result="sent")
    assert journal.entry(number) == {
        "entry": 1, "time": 1000.0, "pack": "a", "command": "x", "before": 1, "wanted": 2, "result": "sent",
    }  # fmt: skip
    journal.add(number, found=2, result="done")
    journal.begin(pack="b", command="y", result="refused")
    assert [entry["entry"] for entry in journal.entries()] == [2, 1]
    assert [entry["result"] for entry in journal.entries("a")] == ["done"]
    assert [entry["entry"] for entry in journal.entries(limit=1)] == [2]
    assert journal.entry(3) is None
    # Only who runs the gateway may read what was done.
    assert journal.path.stat().st_mode & 0o077 == 0


def test_a_line_that_a_power_cut_left_half_written(tmp_path: Path) -> None:
    journal = made(tmp_path)
    journal.begin(command="x")
    with journal.path.open("ab") as file:
        file.write(b'{"entry":2,"comm')
    assert journal.begin(command="y") == 2
    assert [entry["command"] for entry in journal.entries()] == ["y", "x"]


@pytest.mark.parametrize("line", ["[]", "1", "null", '{"entry":"x"}', '{"no":1}', "\x00\x00"])
def test_lines_that_are_no_entries(tmp_path: Path, line: str) -> None:
    journal = made(tmp_path)
    journal.begin(command="x")
    with journal.path.open("a") as file:
        file.write(line + "\n")
    assert journal.begin(command="y") == 2
    assert [entry["command"] for entry in journal.entries()] == ["y", "x"]


def test_a_large_file_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LARGEST", 300)
    journal = made(tmp_path)
    for _ in range(12):
        journal.begin(command="x" * 40)
    assert [entry["entry"] for entry in journal.entries()][:3] == [12, 11, 10]
    assert sum(path.stat().st_size for path in journal.path.parent.iterdir()) < 900


def _write(path: Path) -> None:
    journal = Journal(path, lambda: 1.0)
    for _ in range(20):
        journal.add(journal.begin(command="x"), result="done")


def test_programs_that_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    entries = Journal(path, lambda: 1.0).entries()
    assert sorted(entry["entry"] for entry in entries) == list(range(1, 41))
    assert all(entry["result"] == "done" for entry in entries)
    assert len(path.read_text().splitlines()) == 80
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    journal = made(tmp_path)
    journal.path.parent.touch()
    with pytest.raises(JournalError, match="nothing is written to a pack"):
        journal.begin(command="x")
