"""Export: every row, streamed, as CSV and as JSON lines."""

import csv
import io
import itertools
import json
import tracemalloc
from datetime import datetime
from pathlib import Path

import pytest
from durable import Clock
from generated import EVERY, START, identity
from made import made, opened

from cellwire.outputs.history import Row
from cellwire.outputs.history.export import export
from cellwire.outputs.history.reader import Reader

PACK = identity(1)


def seconds(text: str) -> float:
    assert text.endswith("Z")
    return datetime.fromisoformat(text).timestamp()


def test_csv_has_every_row(tmp_path: Path) -> None:
    rows = made(tmp_path / "a.db", 900)[PACK]
    text = "".join(export(Reader(tmp_path / "a.db"), PACK, START, START + 1e6, "csv"))
    table = list(csv.reader(io.StringIO(text)))
    assert table[0][0] == "time"
    assert {"voltage [V]", "soc [%]", "temperatures.4 [degC]", "cycles", "charge_mosfet"} <= set(table[0])
    assert len(table[0]) == 46
    assert [seconds(line[0]) for line in table[1:]] == [at for at, _ in rows]
    for line, (_, readings) in zip(table[1:], rows, strict=True):
        found = dict(zip(table[0], line, strict=True))
        assert isinstance(readings, dict)
        assert float(found["current [A]"]) == readings["current"]
        assert float(found["cell_voltages.16 [V]"]) == readings["cell_voltages"][15]
        assert found["charge_mosfet"] == str(int(readings["charge_mosfet"]))


def test_json_lines_look_like_snapshots(tmp_path: Path) -> None:
    rows = made(tmp_path / "a.db", 900)[PACK]
    lines = list(export(Reader(tmp_path / "a.db"), PACK, START, START + 1e6, "jsonl"))
    assert all(line.endswith("}\n") and line.count("\n") == 1 for line in lines)
    documents = [json.loads(line) for line in lines]
    assert [(seconds(document["time"]), document["readings"]) for document in documents] == rows
    assert {document["id"] for document in documents} == {PACK}


def test_only_the_time_that_was_asked_for(tmp_path: Path) -> None:
    rows = made(tmp_path / "a.db", 900)[PACK]
    start, end = rows[100][0], rows[850][0]
    lines = list(export(Reader(tmp_path / "a.db"), PACK, start, end, "jsonl"))
    assert [seconds(json.loads(line)["time"]) for line in lines] == [at for at, _ in rows[100:850]]


def test_what_is_not_known_is_empty_and_absent(tmp_path: Path) -> None:
    history = opened(tmp_path / "a.db", Clock(START))
    history.append([Row("a", START, {"voltage": 52.1, "temperatures": [21.5, None, 22.0], "charge_mosfet": False})])
    history.append([Row("a", START + EVERY, {"soc": 81})])
    history.flush(20)
    try:
        table = list(csv.reader(export(history.reader, "a", START, START + 60, "csv")))
        first, second = (dict(zip(table[0], line, strict=True)) for line in table[1:])
        assert (
            first["temperatures.2 [degC]"] == first["soc [%]"] == second["voltage [V]"] == second["charge_mosfet"] == ""
        )
        assert first["temperatures.3 [degC]"] == "22.0"
        assert first["charge_mosfet"] == "0"
        lines = [json.loads(line) for line in export(history.reader, "a", START, START + 60, "jsonl")]
        assert lines[0]["readings"]["temperatures"] == [21.5, None, 22.0]
        assert lines[1]["readings"] == {"soc": 81}
    finally:
        history.stop()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_span(tmp_path: Path, form: str) -> None:
    made(tmp_path / "a.db", 3 * 720, packs=1)
    reader = Reader(tmp_path / "a.db")

    def peak(hours: int) -> int:
        tracemalloc.start()
        try:
            for _ in export(reader, PACK, START, START + hours * 3600, form):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(3) < 1.2 * peak(1)


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    rows = made(tmp_path / "a.db", 900)[PACK]
    lines = export(Reader(tmp_path / "a.db"), PACK, START, START + 1e6, "jsonl")
    first = list(itertools.islice(lines, 3))
    assert [seconds(json.loads(line)["time"]) for line in first] == [at for at, _ in rows[:3]]
    lines.close()  # type: ignore[attr-defined]


def test_nothing_is_known_of_that_pack(tmp_path: Path) -> None:
    made(tmp_path / "a.db", 10)
    assert list(export(Reader(tmp_path / "a.db"), "other", START, START + 60, "jsonl")) == []
    assert list(export(Reader(tmp_path / "a.db"), "other", START, START + 60, "csv")) == ["time\n"]
