"""Loads the captured frames of all families, and feeds them to receivers: what the tests over all families share."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cellwire.codec.dialect import REPLY, Dialect
from cellwire.families import FAMILIES, dialects
from cellwire.readings import catalogue

FOLDER = Path(__file__).parent.parent / "src/cellwire/families"

Frame = tuple[str, int | None, Any, bytes]
Readings = dict[str, Any]


class Vector(NamedTuple):
    """One entry of a family's vectors.json."""

    family: str
    dialect: str
    id: str
    chunks: tuple[bytes, ...]
    row: dict[str, Any]

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)


@cache
def vectors() -> tuple[Vector, ...]:
    """Return every vector of every family that has landed."""
    found = []
    for family in FAMILIES:
        path = FOLDER / family / "vectors.json"
        if path.exists():
            for row in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
                texts = row["chunks"] if "chunks" in row else [row["hex"]]
                chunks = tuple(bytes.fromhex(text) for text in texts)
                found.append(Vector(family, row["dialect"], row["id"], chunks, row))
    return tuple(found)


@cache
def by_dialect() -> dict[str, Dialect]:
    """Return all dialects by name."""
    return {dialect.name: dialect for dialect in dialects()}


def name_of(vector: object) -> str:
    """Return what pytest calls the test of this vector or dialect."""
    if isinstance(vector, Vector):
        return f"{vector.dialect}:{vector.id}"
    return str(getattr(vector, "name", vector))


def received(dialect: Dialect, chunks: tuple[bytes, ...] | list[bytes]) -> tuple[list[Frame], Any]:
    """Return the frames that a new receiver finds in the chunks, and the receiver."""
    receiver = dialect.receiver()
    frames: list[Frame] = []
    for chunk in chunks:
        frames += receiver.feed(chunk)
    return frames, receiver


def plain(value: Any) -> Any:
    """Return the value as JSON has it: tuples become lists."""
    if isinstance(value, tuple | list):
        return [plain(element) for element in value]
    return value


def same(name: str, ours: Any, theirs: Any) -> bool:
    """Return whether two values of a reading agree within its decimals."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(name, a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return abs(ours - theirs) <= 0.51 * 10 ** -catalogue.decimals(name) or ours == theirs
    return bool(plain(ours) == plain(theirs))


def differences(ours: Readings, theirs: Readings) -> list[str]:
    """Return one line for each reading that is not alike."""
    lines = [f"{name} is missing, expected {theirs[name]}" for name in theirs if name not in ours]
    lines += [f"{name} = {ours[name]} was not expected" for name in ours if name not in theirs]
    lines += [
        f"{name} = {ours[name]}, expected {theirs[name]}"
        for name in ours
        if name in theirs and not same(name, ours[name], theirs[name])
    ]
    return lines


def addresses(dialect: Dialect, frames: list[Frame]) -> list[int]:
    """Return the addresses that the frames come from, or the dialect's first when they carry none."""
    found = [frame[1] for frame in frames if frame[1] is not None]
    return list(dict.fromkeys(found)) or [dialect.addresses[0]]


def is_answer(vector: Vector) -> bool:
    """Return whether the vector is something that a pack sent, whole."""
    return vector.row["direction"] == "rx" and "error" not in vector.row


def replies(frames: list[Frame]) -> list[Frame]:
    """Return the frames of kind reply."""
    return [frame for frame in frames if frame[0] == REPLY]
