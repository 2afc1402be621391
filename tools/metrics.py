"""Writes the tables of docs/prometheus.md from the code that makes the metrics."""

import re
import sys
from pathlib import Path
from typing import Any

from cellwire.gateway.bank import Member, combine
from cellwire.gateway.meter import METERS
from cellwire.outputs.prometheus import METRICS, OF_BANKS, OF_BOTH, OF_PACKS, OF_THE_GATEWAY, Row, why_not
from cellwire.readings.catalogue import BY_NAME, CATALOGUE

PAGE = Path(__file__).parent.parent / "docs/prometheus.md"
BEGIN = "<!-- made by tools/metrics.py: {} -->"
END = "<!-- end -->"


def example(name: str) -> Any:
    """Return some value that a reading may have."""
    _, quantity, kind, _, _ = BY_NAME[name]
    values = {"flag": True, "text": "text", "names": []}
    value = values.get(quantity, 10.0)
    return [value, value] if kind == "list" and quantity != "names" else value


def of_banks() -> set[str]:
    """Return the readings that banks have."""
    readings = {row[0]: example(row[0]) for row in CATALOGUE if row[3] not in ("bank", "settings")}
    members = [Member(name, readings, capacity=100.0, smoothed=current) for name, current in (("a", -3.0), ("b", -3.0))]
    charging = [member._replace(smoothed=3.0) for member in members]
    return {*combine(members, 1.0).readings, *combine(charging, 1.0).readings, *METERS}


def own() -> str:
    """Return the table of what is no reading."""
    lines = ["| metric | type | what it says |", "|---|---|---|"]
    both = {f"cellwire_pack_{name}`, `cellwire_bank_{name}": row for name, row in OF_BOTH.items()}
    for name, (type_, text) in {**both, **OF_PACKS, **OF_BANKS, **OF_THE_GATEWAY}.items():
        lines.append(f"| `{name}` | {type_} | {text} |")
    return "\n".join(lines)


def readings() -> str:
    """Return the table of readings."""
    banks = of_banks()
    found: dict[str, tuple[Row, list[str]]] = {}
    for name, row in METRICS.items():
        found.setdefault(row.metric, (row, []))[1].append(name)
    lines = ["| metric, after `cellwire_pack_` | bank | type | what it says |", "|---|---|---|---|"]
    for metric, (row, names) in found.items():
        labels = ", ".join(filter(None, [*re.findall(r"(\w+)=", row.labels), row.number]))
        of_bank = "only" if BY_NAME[names[0]][3] == "bank" else "too" if banks & set(names) else ""
        shown = f"`{metric}`" + (f" by {labels}" if labels else "")
        lines.append(f"| {shown} | {of_bank} | {row.type} | {row.help} |")
    return "\n".join(lines)


def left_out() -> str:
    """Return the table of readings that are not shown, and why."""
    found: dict[str, list[str]] = {}
    for name in BY_NAME:
        if why_not(name):
            found.setdefault(why_not(name), []).append(name)
    lines = ["| not shown, because it is | readings |", "|---|---|"]
    for reason, names in found.items():
        shown = ", ".join(f"`{name}`" for name in names[:12])
        lines.append(f"| {reason} | {shown}{f' and {len(names) - 12} more' if len(names) > 12 else ''} |")
    return "\n".join(lines)


def fresh(page: str) -> str:
    """Return the page with all its tables made anew; raise ValueError when one has no place in it."""
    for title, table in (("own", own()), ("readings", readings()), ("left out", left_out())):
        begin = BEGIN.format(title)
        if begin not in page:
            raise ValueError(f"{PAGE.name} has no place for the table {title}: add {begin} and {END}")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
    return page


def main() -> int:
    """Write the tables anew."""
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
