"""Tests that the page about the gate documents the jumps that the catalogue has; run this file to write its table."""

from pathlib import Path

from cellwire.readings.catalogue import QUANTITIES

PAGE = Path(__file__).parents[2] / "docs/gate.md"
HEAD = "<!-- quantities: made from the catalogue, checked by tests/readings/test_gate_page.py -->\n"
RULE = "|---|---|---|\n"
END = "<!-- end -->"


def table() -> str:
    """Return the rows of all quantities."""
    rows = []
    for name, unit, _decimals, low, high, jump, share in QUANTITIES:
        sort = name.replace("_", " ")
        if name in ("flag", "text", "names") or low < -1e9:
            words = ""
        elif high > 1e9:
            words = "from 0"
        else:
            words = f"{low:g} to {high:g} {unit}".strip()
        if jump is None:
            change = "confirmed"
        elif jump >= high - low:
            change = "not judged"
        else:
            change = f"{jump:g} {unit}".strip() + (f" or {share:.0%}, the larger" if share else "")
        rows.append(f"| {sort} | {words} | {change} |\n")
    return "".join(rows)


def test_the_page_has_the_jumps_of_the_catalogue() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = page.partition(RULE)[2].partition(END)[0]
    assert written == table() + HEAD, f"python {Path(__file__).name} writes the table anew"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(RULE)[0], text.partition(END)[2]
    PAGE.write_text(before + RULE + table() + HEAD + END + after, encoding="utf-8")
