"""Writes rows of the history as text: CSV for spreadsheets, JSON lines for programs, one row at a time."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from ...gateway.store import utc
from ...readings.catalogue import unit
from .reader import Reader

Rows = Iterable[tuple[float, dict[str, Any]]]

FORMATS = ("csv", "jsonl")


def export(reader: Reader, pack: str, start: float, end: float, form: str) -> Iterator[str]:
    """Yield the rows of a pack or bank, from `start` to before `end`, as lines of text; each is read when asked for."""
    rows = takewhile(lambda row: row[0] < end, reader.rows(pack, start, end))
    if form == "jsonl":
        return _json_lines(pack, rows)
    columns: list[str] = next((known["columns"] for known in reader.packs() if known["id"] == pack), [])
    return _csv(columns, rows)


def _csv(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """Yield a line with names and units, then a line a row; what is not known is empty, flags are 1 and 0."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")

    def written(fields: list[Any]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(fields)
        return line.getvalue()

    places = [(name, int(number or 0)) for name, _, number in (column.partition(".") for column in columns)]
    yield written(["time", *(_heading(column) for column in columns)])
    for time, readings in rows:
        yield written([utc(time), *(_field(readings.get(name), number) for name, number in places)])


def _heading(column: str) -> str:
    measured_in = unit(column.partition(".")[0])
    return f"{column} [{measured_in}]" if measured_in else column


def _field(value: Any, number: int) -> Any:
    """Return one field; number: which element of a list, from 1, 0 for a reading that is no list."""
    if number:
        value = value[number - 1] if value is not None and number <= len(value) else None
    return int(value) if isinstance(value, bool) else value


def _json_lines(pack: str, rows: Rows) -> Iterator[str]:
    """Yield an object a row with the keys that a snapshot has: id, time, readings."""
    for time, readings in rows:
        document = {"id": pack, "time": utc(time), "readings": readings}
        yield json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
