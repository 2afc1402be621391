"""cellwire record: what was recorded is replayed with the same readings, and answers again as a simulated pack."""

import json
from pathlib import Path
from typing import Any

import pytest
from served import served

from cellwire.cli import main

# What counts the answers themselves.
COUNTING = {"frame_counter", "heartbeat", "runtime"}


def snapshot(capsys: pytest.CaptureFixture[str], *words: Any) -> dict[str, Any]:
    assert main(["read", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize("kind", ["jbd", "jk-uart", "jk02", "daly-a5", "daly-d2"])
def test_a_replay_gives_the_same_readings(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    # The clock stands still, so that the pack says the same all the time.
    with served(tmp_path / "pack", kind, 8, clock=lambda: 1_795_255_200.0) as pack:
        live = snapshot(capsys, pack.path, "--family", kind)
        assert main(["record", pack.path, "--family", kind, "-o", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"cellwire read replay:{file}" in captured.err
    played = snapshot(capsys, f"replay:{file}")
    assert played["dialect"] == kind
    assert played["id"] == live["id"]
    for name, value in played["readings"].items():
        assert name in COUNTING or live["readings"].get(name) == value, name
    assert {"voltage", "cell_voltages"} <= set(played["readings"])


def test_a_capture_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    with served(tmp_path / "pack", "jbd") as pack:
        assert main(["record", pack.path, "--family", "jbd", "-o", str(file)]) == 0
        header, *entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert (header["cellwire"], header["version"], header["link"]) == ("capture", 1, pack.path)
        assert {key for entry in entries for key in entry} == {"t", "rx", "tx"}
        times = [entry["t"] for entry in entries]
        assert times == sorted(times)
        before = file.read_bytes()
        assert main(["record", pack.path, "--family", "jbd", "-o", str(file)]) == 2
        assert "nothing is overwritten" in capsys.readouterr().err
        assert file.read_bytes() == before


def test_a_capture_is_a_pack_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    with served(tmp_path / "pack", "jbd", clock=lambda: 1_795_255_200.0) as pack:
        live = snapshot(capsys, pack.path, "--family", "jbd")
        assert main(["record", pack.path, "--family", "jbd", "-o", str(file)]) == 0
    with served(tmp_path / "again", "jbd", capture=file) as pack:
        again = snapshot(capsys, pack.path, "--family", "jbd")
    assert again["readings"] == live["readings"]


def test_listening_records_and_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    with served(tmp_path / "bus", "jk-pb", 8, addresses=[1, 2], baud=115200, faults=["second-master=1"]) as bus:
        words = ["record", bus.path, "--family", "jk-pb", "--listen", "--seconds", "2.5", "-o", str(file)]
        assert main(words) == 0
        assert bus.simulator.requests == 0
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    assert all("rx" in entry for entry in entries)
    assert sum(len(entry["rx"]) // 2 for entry in entries) > 600
    capsys.readouterr()
    with open(file, encoding="utf-8") as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", lines)
        assert main(["decode", "jk-pb"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("cell_voltages" in document.get("readings", {}) for document in documents)


def test_no_answer_and_no_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    assert main(["record", str(tmp_path / "nothing"), "--family", "jbd", "-o", str(file)]) == 4
    assert not file.exists()
    with served(tmp_path / "pack", "jbd", faults=["silent=1"]) as pack:
        assert main(["record", pack.path, "--family", "jbd-up", "-o", str(file)]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "pack", "jbd") as pack:
        code = main(["record", pack.path, "--family", "jbd", "-o", str(tmp_path / "no" / "a.jsonl")])
    assert code == 4
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "is empty"), ("hello\n", "line 1 is not a line of a capture"), ('{"a": 1}\n', "the first line must have")],
)
def test_a_file_that_is_no_capture(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    assert main(["read", f"replay:{file}"]) == 4
    assert sentence in capsys.readouterr().err
