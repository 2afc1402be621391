"""Writes the tables of docs/configuration.md from the settings."""

import re
import sys
from pathlib import Path

from cellwire.gateway.config.check import WORDS, plain, section_of, written
from cellwire.gateway.config.rules import Row, rows
from cellwire.gateway.config.settings import Config

PAGE = Path(__file__).parent.parent / "docs/configuration.md"
BEGIN = "<!-- made by tools/configuration.py: {} -->"
END = "<!-- end -->"


def table(section: type) -> str:
    """Return the table of a section's keys."""
    lines = ["| key | what it is | default | means |", "|---|---|---|---|"]
    for row in rows(section).values():
        if section_of(row) is None:
            lines.append(f"| `{row.in_file}` | {allowed(row)} | {default(row)} | {row.key.meaning} |")
    return "\n".join(lines)


def allowed(row: Row) -> str:
    """Return what values a key may have."""
    kind = WORDS[plain(row.type)][0].removeprefix("a ")
    return f"{kind}: {row.key.rule.words}" if row.key.rule else kind


def default(row: Row) -> str:
    """Return the default of a key as the page shows it."""
    if repr(row.default).startswith("<dataclasses._MISSING"):
        return "must be there"
    return "none" if row.default in (None, "") else f"`{written(row.default)}`"


def sections(section: type = Config, path: str = "") -> dict[str, type]:
    """Return all sections by their headers."""
    found: dict[str, type] = {}
    for row in rows(section).values():
        inner = section_of(row)
        if inner:
            header = f"{path}.{row.in_file}".lstrip(".")
            found[f"[[{header}]]" if plain(row.type) is list else f"[{header}]"] = inner
            found |= sections(inner, header)
    return found


def fresh(page: str) -> str:
    """Return the page with all its tables made anew; raise ValueError when a section has no place in it."""
    for header, section in sections().items():
        begin = BEGIN.format(header)
        if begin not in page:
            raise ValueError(f"{PAGE.name} has no place for the table of {header}: add {begin} and {END}")
        page = re.sub(
            re.escape(begin) + ".*?" + re.escape(END),
            lambda _, section=section, begin=begin: f"{begin}\n\n{table(section)}\n\n{END}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
    return page


def main() -> int:
    """Write the tables anew."""
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
