"""Writes the table of docs/aiobmsble.md, the types that the library aiobmsble has."""

import sys
from importlib.metadata import version
from pathlib import Path

from cellwire.links.ble.guest import OURS, types

PAGE = Path(__file__).parent.parent / "docs/aiobmsble.md"
BEGIN = "<!-- made by tools/makers.py -->"
END = "<!-- end -->"


def table() -> str:
    """Return the types with their makers, ours left out."""
    kinds = {name: kind for name, kind in types().items() if name not in OURS}
    makers = {kind.INFO["manufacturer"] for kind in kinds.values()}
    lines = [
        f"aiobmsble {version('aiobmsble')}: {len(kinds)} types of {len(makers)} makers.\n",
        "| `type` | maker | what it is | wants a `pin` |",
        "|---|---|---|---|",
    ]
    for name, kind in kinds.items():
        pin = "where one is set" if kind.accept_secret else ""
        lines.append(f"| `{name}` | {kind.INFO['manufacturer']} | {kind.INFO['model']} | {pin} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the page with a fresh table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the page anew."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
