"""Writes a batch to the file, and what has to be remembered beside it; reads back what is left of earlier ones."""

import json
from array import array
from itertools import pairwise
from typing import Any

from ...gateway.events import Event
from . import columns as codec
from .batch import Batch, Left, Saved
from .file import HistoryFile
from .layout import SEQ, PackHour
from .rollup import DAY

# What reaches the device with one commit, four packs at 5 s: seconds between commits, kB (docs/history.md). Sealing and
# checkpoints come on top, MB a day.
KB_PER_COMMIT = ((1.0, 22.0), (10.0, 24.0), (30.0, 30.0), (60.0, 46.0), (3600.0, 46.0))
SEALING = 9.0


def write(file: HistoryFile, batch: Batch) -> None:
    """Write a batch; the transaction is open."""
    connection = file.connection
    if batch.anew:
        connection.execute("DELETE FROM hot")
        write_meters(file, batch.journal)
    for (number, layout), group in batch.groups.items():
        packs = [file.pack_number(pack, layout) for pack, _ in group]
        first, last, data = _hot(packs, [part for _, part in group])
        connection.execute(
            "INSERT INTO hot(id, hour, layout, data, first_seq) VALUES(?, ?, ?, ?, ?)",
            (last, number, file.layout_number(layout), data, first),
        )
    for event in batch.events:
        connection.execute(
            "INSERT INTO event(time, kind, pack, name, text, detail) VALUES(?, ?, ?, ?, ?, ?)", _event(event)
        )
    for pack, name in batch.names.items():
        connection.execute("UPDATE pack SET name = ? WHERE id = ?", (_clean(name), file.pack_number(pack)))
    for sink, seq in batch.cursors.items():
        connection.execute("INSERT OR REPLACE INTO cursor VALUES(?, ?)", (sink, seq))


def write_meters(file: HistoryFile, journal: Saved) -> None:
    """Write the newest meters and counters of packs; the transaction is open."""
    for pack, (when, values) in journal.items():
        row = (file.pack_number(pack), when, json.dumps(values))
        file.connection.execute("INSERT OR REPLACE INTO meter VALUES(?, ?, ?)", row)


def write_state(file: HistoryFile, now: float, steady: float, seq: int) -> None:
    """Write what time it is, for how long that is certain, and the newest number; the transaction is open."""
    state = (("time", now), ("steady", steady), ("seq", seq))
    file.connection.executemany("INSERT OR REPLACE INTO state VALUES(?, ?)", state)


def read_meters(file: HistoryFile) -> Saved:
    """Return the meters and counters that were written when an hour was sealed."""
    query = "SELECT uid, time, fields FROM meter JOIN pack ON pack.id = pack"
    return {pack: (when, _numbers(fields)) for pack, when, fields in file.connection.execute(query)}


def read_state(file: HistoryFile) -> dict[str, Any]:
    """Return what has to be remembered."""
    return dict(file.connection.execute("SELECT name, value FROM state"))


def read_left(file: HistoryFile) -> Left:
    """Return what is not sealed; what is spoiled is set aside in the file."""
    rows, last = file.hot(), file.last_seq()
    packs = file.connection.execute("SELECT uid, layout FROM pack WHERE layout IS NOT NULL")
    layouts = [(pack, file.by_number[number]) for pack, number in packs if number in file.by_number]
    cursors = dict(file.connection.execute("SELECT sink, seq FROM cursor"))
    return Left(layouts, cursors, rows, last)


def mb_per_day(commit: float) -> float:
    """Return how many MB a day reach the disk when it is written to every so many seconds, as far as is known."""
    size = KB_PER_COMMIT[-1][1]
    for (at, kb), (next_at, next_kb) in pairwise(KB_PER_COMMIT):
        if commit <= next_at:
            size = kb + (next_kb - kb) * max(0.0, commit - at) / (next_at - at)
            break
    return round(DAY / commit * size / 1000 + SEALING, 1)


def _hot(numbers: list[int], parts: list[PackHour]) -> tuple[int, int, bytes]:
    """Return the numbers of the first and last row, and the blob, of these packs' rows."""
    packs, flat = array("q"), array("q")
    for number, part in zip(numbers, parts, strict=True):
        packs.extend([number] * len(part))
        flat += part.flat
    width = parts[0].layout.width
    rows = [flat[at::width] for at in range(width)]
    return min(rows[SEQ]), max(rows[SEQ]), codec.encode_rows([packs, *rows])


def _event(event: Event) -> tuple[int, str, str, str, str, str]:
    detail = json.dumps(event.detail, default=str)
    return round(event.time * 1000), event.kind, _clean(event.pack), _clean(event.name), _clean(event.text), detail


def _clean(text: str) -> str:
    """Return the text without halves of letters, which cannot be written."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _numbers(text: str) -> dict[str, float]:
    """Return the meters that were written down; none when that cannot be read."""
    try:
        return {str(name): value for name, value in json.loads(text).items() if isinstance(value, int | float)}
    except (ValueError, AttributeError):
        return {}
