"""Says how far a dialect is proven: which of its readings captured frames showed, and what its commands rest on."""

import json
from importlib import resources
from typing import Any

from ..codec.command import AGREED, UNPROVEN
from ..codec.command import CAPTURED as SEEN
from ..codec.dialect import Dialect
from ..codec.table import Record

CAPTURED = "capture"

# What a pack tells that has all commands of its dialect; JK packs tell their layout too.
LAYOUTS = ("24S", "32S", "JK04")
TELLS = {"software_version": "99", "cell_count": 24, "charge_switch": True, "discharge_switch": True}


def proof(dialect: Dialect) -> tuple[list[str], list[str]]:
    """Return (proven, unproven) names of readings, each in the order of the dialect's tables.

    Proven is what a captured frame of this dialect showed with a value other than zero, false or empty.
    """
    if not dialect.records:
        return [], []  # a guest's: what it reads is proven where it was made
    seen: set[str] = set()
    for vector in _vectors(dialect.family):
        if vector["dialect"] == dialect.name and vector["kind"] == CAPTURED and "error" not in vector:
            for readings in [vector.get("readings", {})] + [f.get("readings", {}) for f in vector.get("frames", ())]:
                seen.update(name for name, value in readings.items() if _tells(value))
    names = readings_of(dialect)
    return [name for name in names if name in seen], [name for name in names if name not in seen]


def commands(dialect: Dialect) -> dict[str, dict[str, str]]:
    """Return {command: {"grant": ..., "proof": ...}} of all that some pack of the dialect takes."""
    if dialect.commands is None:
        return {}
    found: dict[str, dict[str, str]] = {}
    for layout in LAYOUTS:
        for command in dialect.commands.of({**TELLS, "record_variant": layout}):
            found.setdefault(command.name, {"grant": command.grant, "proof": command.proof})
    return found


def counted(dialect: Dialect) -> dict[str, int]:
    """Return how many commands of a dialect are captured, agreed and unproven."""
    proofs = [row["proof"] for row in commands(dialect).values()]
    return {proof: proofs.count(proof) for proof in (SEEN, AGREED, UNPROVEN)}


def level(dialect: Dialect) -> str:
    """Return the proof in one phrase: "78 of 90 readings seen in captures"."""
    proven, unproven = proof(dialect)
    return f"{len(proven)} of {len(proven) + len(unproven)} readings seen in captures"


def readings_of(dialect: Dialect) -> list[str]:
    """Return the names of all readings that the tables of the dialect can give."""
    names: dict[str, None] = {}
    for record in dialect.records:
        names.update(dict.fromkeys(names_of(record)))
    return list(names)


def names_of(record: Record) -> list[str]:
    """Return the names of all readings in the rows of a record, and of the record that follows it."""
    rows: list[Any] = [*record.numbers, *record.flags, *record.choices, *record.texts, *record.masks, *record.lists]
    names = [row[0] for row in rows]
    for reading, _at, _form, bits in record.alarms:
        names += [reading, *(row[1] for row in bits)]
    if record.then is not None:
        names += names_of(record.then[0])
    return list(dict.fromkeys(names))


def _vectors(family: str) -> list[dict[str, Any]]:
    file = resources.files("cellwire.families") / family / "vectors.json"
    vectors: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["vectors"]
    return vectors


def _tells(value: Any) -> bool:
    """Return whether a value proves its row: zero and nothing could stand anywhere."""
    return any(value) if isinstance(value, list) else bool(value)
