"""Shows snapshots on the console: as JSON, as text for people, and as one line."""

import json
from typing import Any

from ..readings.catalogue import ALARMS, CATALOGUE, decimals, unit

Snapshot = dict[str, Any]

SIGNS = {"degC": "°C", "ohm": "Ω"}
GROUPS = (
    "pack", "cells", "temperatures", "switches", "alarms", "totals", "meters", "counter", "limits", "bank", "identity",
    "settings", "link",
)  # fmt: skip
MEANINGS = dict(ALARMS)


def as_json(snapshot: Snapshot) -> str:
    """Return the snapshot as one line of JSON."""
    return json.dumps(snapshot, ensure_ascii=False, separators=(", ", ": "))


def value_text(name: str, value: Any) -> str:
    """Return a reading for people: its decimals, its unit; absent elements of a list are a dash."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        if not value:
            return "none"
        if all(isinstance(item, (int, float)) or item is None for item in value):
            places = decimals(name)
            texts = ["-" if item is None else f"{item:.{places}f}" for item in value]
            return " ".join(texts) + sign(name)
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.{decimals(name)}f}{sign(name)}"
    return f"{value}{sign(name)}" if isinstance(value, int) else str(value)


def sign(name: str) -> str:
    """Return the unit behind a blank, "" when there is none."""
    text = unit(name)
    return " " + SIGNS.get(text, text) if text else ""


def as_text(snapshot: Snapshot) -> str:
    """Return the snapshot as lines for people, in the order of the catalogue."""
    lines = [title(snapshot)]
    readings = snapshot["readings"]
    for group in GROUPS:
        rows = [row for row in CATALOGUE if row[3] == group and row[0] in readings]
        for number, row in enumerate(rows):
            heading = group if number == 0 else ""
            lines.append(f"  {heading:<13}{row[0]:<34} {value_text(row[0], readings[row[0]])}")
    for alarm in snapshot["problems"]:
        lines.append(f"  ! {alarm}: {MEANINGS.get(alarm, '')}")
    return "\n".join(lines)


def title(snapshot: Snapshot) -> str:
    """Return the pack's name, model, state and how old its readings are."""
    parts = [snapshot["pack"], snapshot.get("model", ""), snapshot["id"], snapshot["state"]]
    if "age" in snapshot:
        parts.append(f"{snapshot['age']:.1f} s old")
    return "  ".join(part for part in parts if part)


def as_line(snapshot: Snapshot) -> str:
    """Return the snapshot as one line: the values that people look at first."""
    readings = snapshot["readings"]
    parts = [snapshot.get("time", "never read")[:19].replace("T", " "), snapshot["pack"]]
    if snapshot["state"] != "online":
        parts.append(snapshot["state"])
    for name in ("voltage", "current", "power", "soc", "cell_min", "cell_max", "temperature_max"):
        if name in readings:
            parts.append(f"{name} {value_text(name, readings[name])}")
    parts += [f"! {alarm}" for alarm in snapshot["problems"]]
    if snapshot["state"] != "online" and "reason" in snapshot:
        parts.append(f"({snapshot['reason']})")
    return "  ".join(parts)
