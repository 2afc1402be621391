"""cellwire decode: frames from everywhere become readings, and whatever is wrong becomes one sentence."""

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captured
import pytest
from served import called, command_of, environment

from cellwire.cli import main

CELLS = "dd 04 00 08 0f 45 0f 3d 0f 37 0f 3d fe c6 77"
VOLTS = [3.909, 3.901, 3.895, 3.901]
CAPTURES = sorted((Path(__file__).parent.parent.parent / "docs/captures").glob("*.jsonl"))

Decode = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Decode:
    """Return decode(words..., given=standard input) -> (exit code, documents, errors)."""

    def call(*words: str, given: str = "") -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = main(["decode", *words])
        printed = capsys.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return call


@pytest.mark.parametrize(
    "words",
    [
        [CELLS],
        CELLS.split(),
        [CELLS.replace(" ", "")],
        [CELLS.upper().replace(" ", ":")],
        [" ".join("0x" + byte for byte in CELLS.split())],
        [CELLS.replace(" ", ", ")],
    ],
    ids=["blanks", "words", "joined", "colons", "0x", "commas"],
)
def test_arguments(decode: Decode, words: list[str]) -> None:
    code, documents, errors = decode("jbd", *words)
    assert (code, errors) == (0, "")
    assert [document["readings"]["cell_voltages"] for document in documents] == [VOLTS]
    assert documents[0]["dialect"] == "jbd"
    assert documents[0]["key"] == 4


@pytest.mark.parametrize(
    "log",
    [
        f"2024-05-01 12:34:56.789 RX <- {CELLS}",
        f"[12:34:56] << {CELLS.upper()}",
        f"01.05.2024 12:34:56,789 DEBUG (jbd:120) received {CELLS.replace(' ', '')} ok",
        f"12:34:56.789 -> DD A5 04 00 FF FC 77\n12:34:56.912 <- {CELLS}",
        f"May  1 12:34:56 pi bms[123]: {CELLS.replace(' ', ':')}",
        "\n".join([CELLS[:20], CELLS[21:]]),
        json.dumps({"cellwire": "capture", "version": 1}) + "\n" + json.dumps({"t": 0.1, "rx": CELLS}),
    ],
    ids=["date", "brackets", "text", "both ways", "syslog", "two lines", "capture"],
)
def test_pasted_logs(decode: Decode, log: str) -> None:
    code, documents, errors = decode("jbd", given=log + "\n")
    assert (code, errors) == (0, "")
    answers = [document for document in documents if document["kind"] != "request"]
    assert [document["readings"]["cell_voltages"] for document in answers] == [VOLTS]


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_captures(decode: Decode, path: Path) -> None:
    header = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    code, documents, _ = decode(header["dialect"], given=path.read_text(encoding="utf-8"))
    assert code == 0
    assert {document["dialect"] for document in documents} == {header["dialect"]}
    assert any("voltage" in document.get("readings", {}) for document in documents)


def telling(vector: captured.Vector) -> bool:
    """Return whether the vector is one frame of a pack with more than a few readings."""
    frames = vector.row.get("frames", ())
    return captured.is_answer(vector) and len(frames) == 1 and len(frames[0].get("readings", ())) > 3


@pytest.mark.parametrize("vector", [one for one in captured.vectors() if telling(one)], ids=captured.name_of)
def test_the_family_is_enough(decode: Decode, vector: captured.Vector) -> None:
    """Of the dialects of a maker the right one is found out, or one that reads the frame alike."""
    code, documents, errors = decode(vector.family, vector.data.hex())
    assert code == 0, errors
    wanted = vector.row["frames"][0]["readings"]
    assert any(not captured.differences(document.get("readings", {}), wanted) for document in documents), documents


@pytest.mark.parametrize(
    ("family", "data", "sentence"),
    [
        ("jbd", CELLS.replace("0f 45", "0f 46"), "1 jbd frame(s) with a wrong checksum"),
        ("jbd", CELLS[:-9], "truncated: a jbd frame begins, and its end is missing"),
        ("jbd", "00 11 22 33 44 55", "unknown: 6 bytes, and no frame of jbd among them"),
        ("jbd", CELLS[:-1], "odd number of hex digits"),
        ("jbd", "hello", "'hello' is not hex"),
        ("daly", CELLS, "this looks like jbd; try `cellwire decode jbd`"),
        ("duracell", CELLS, "there is no family 'duracell'"),
    ],
    ids=["checksum", "truncated", "unknown", "odd", "no hex", "other family", "no family"],
)
def test_one_sentence_says_what_is_wrong(decode: Decode, family: str, data: str, sentence: str) -> None:
    code, documents, errors = decode(family, data)
    assert code == 2
    assert documents == []
    assert sentence in errors
    assert errors.startswith("cellwire: ")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("given", ["", "\n\n", "no bytes in here\n", "{}\n", '{"rx": 5}\n', "[1, 2]\n"])
def test_nothing_to_decode(decode: Decode, given: str) -> None:
    code, documents, errors = decode("jbd", given=given)
    assert code == 2
    assert documents == []
    assert "there is no hex in the input" in errors
    assert len(errors.splitlines()) == 1


def test_odd_digits_in_a_log(decode: Decode) -> None:
    code, _, errors = decode("jbd", given=f"RX {CELLS.replace(' ', '')[:-1]}\n")
    assert code == 2
    assert len(errors.splitlines()) == 1


def test_what_is_whole_is_shown_and_the_rest_named(decode: Decode) -> None:
    code, documents, errors = decode("jbd", CELLS + CELLS.replace("0f 45", "0f 46"))
    assert code == 0
    assert len(documents) == 1
    assert "wrong checksum" in errors


def test_a_binary_file_is_no_traceback(tmp_path: Path) -> None:
    """Bytes that are no text at all, through a real pipe."""
    result = subprocess.run(
        command_of("decode", "jbd"),
        input=bytes(range(256)) * 3,
        capture_output=True,
        timeout=60,
        env={**environment(), "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )
    assert result.returncode == 2
    assert b"Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_through_a_pipe() -> None:
    result = called("decode", "jbd", given=f"12:00:01 <- {CELLS}\n")
    assert result.returncode == 0
    assert json.loads(result.stdout)["readings"]["cell_voltages"] == VOLTS
