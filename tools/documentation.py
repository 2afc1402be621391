"""Writes the generated parts of the documentation, and turns docs/ into web pages."""

import argparse
import html
import re
import sys
from pathlib import Path

from cellwire.codec.dialect import Dialect
from cellwire.families import bluetooth, dialects
from cellwire.families.proof import commands, counted, proof
from cellwire.readings.catalogue import ALARMS, CATALOGUE, decimals, unit

ROOT = Path(__file__).parent.parent
PAGES = (
    "index.md",
    "wiring.md",
    "bluetooth.md",
    "bluetooth-recovery.md",
    "proxies.md",
    "aiobmsble.md",
    "gateway.md",
    "configuration.md",
    "banks.md",
    "control.md",
    "mqtt.md",
    "home-assistant.md",
    "modbus.md",
    "prometheus.md",
    "influx.md",
    "console.md",
    "history.md",
    "security.md",
    "api.md",
    "commands.md",
    "json.md",
    "families.md",
    "catalogue.md",
    "gate.md",
    "performance.md",
    "captures/README.md",
)
BEGIN = "<!-- made by tools/documentation.py: families -->"
END = "<!-- end -->"

GROUPS = {
    "pack": "The pack",
    "cells": "Cells",
    "temperatures": "Temperatures",
    "switches": "Switches, balancing and states",
    "alarms": "Alarms",
    "totals": "Totals",
    "meters": "The gateway's meters",
    "counter": "The gateway's coulomb counter",
    "limits": "Limits that the gateway works out",
    "bank": "Banks",
    "identity": "Identity",
    "settings": "Settings",
    "link": "The BMS's own clock and counters",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} - Cellwire</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56em; margin: 0 auto; padding: 1em; }}
nav a {{ margin-right: 1em; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #bbb; padding: .2em .6em; text-align: left; }}
pre {{ background: #f3f3f3; padding: .6em; overflow-x: auto; }}
</style>
</head>
<body>
<nav>{links}</nav>
{body}</body>
</html>
"""


def how(dialect: Dialect) -> str:
    """Return how a dialect is reached."""
    ways = ["serial, " + " or ".join(str(baud) for baud in dialect.bauds)] if dialect.bauds else []
    ways += ["Bluetooth"] if any(dialect.name in module.speaks for module in bluetooth()) else []
    return "; ".join(ways)


def families_table() -> str:
    """Return the table of what is supported, with its proof."""
    lines = [
        "| dialect | what it is | how it is read | rows proven by captures | commands: captured, agreed, unproven |",
        "|---|---|---|---|---|",
    ]
    for dialect in dialects():
        proven, unproven = proof(dialect)
        total = len(proven) + len(unproven)
        written = ", ".join(str(number) for number in counted(dialect).values())
        lines.append(f"| `{dialect.name}` | {dialect.title} | {how(dialect)} | {len(proven)} of {total} | {written} |")
    return "\n".join(lines)


def families_page() -> str:
    """Return the page about the families: the table, and what each can be asked."""
    text = "# Supported packs\n\n" + families_table() + "\n\n"
    text += "A row is proven when a frame captured from a real pack showed it with a value other than zero.\n\n"
    text += (
        "A command is captured when the very write is in a capture of a real pack, agreed when independent sources say "
        "the same, and unproven when it comes from one source or was worked out. Unproven commands are refused until "
        "they are asked for as such. Every write is read back from the pack, whatever its proof.\n"
    )
    for dialect in dialects():
        _proven, unproven = proof(dialect)
        addresses = ", ".join(str(address) for address in dialect.addresses[:4])
        if len(dialect.addresses) > 4:
            addresses += f" and {len(dialect.addresses) - 4} more"
        text += f"\n## {dialect.name}\n\n{dialect.title}. Read over: {how(dialect)}. Addresses: {addresses}.\n\n"
        text += "| question | how often |\n|---|---|\n"
        text += "".join(f"| {query.name} | {query.pace} |\n" for query in dialect.queries)
        if unproven:
            text += "\nNot yet proven: " + ", ".join(f"`{name}`" for name in unproven) + ".\n"
        text += "\n| command | takes the grant | proof |\n|---|---|---|\n"
        text += "".join(f"| `{name}` | {row['grant']} | {row['proof']} |\n" for name, row in commands(dialect).items())
    return text


def catalogue_page() -> str:
    """Return the page with the whole vocabulary."""
    text = "# Readings\n\nOne name, one meaning, the same for every pack. Positive current charges.\n"
    for group, title in GROUPS.items():
        rows = [row for row in CATALOGUE if row[3] == group]
        if rows:
            text += f"\n## {title}\n\n| reading | unit | decimals | kind | meaning |\n|---|---|---|---|---|\n"
            for name, _quantity, kind, _group, meaning in rows:
                text += f"| `{name}` | {unit(name)} | {decimals(name)} | {kind} | {meaning} |\n"
    text += "\n## Names in warnings, protections and faults\n\n| alarm | meaning |\n|---|---|\n"
    return text + "".join(f"| `{name}` | {meaning} |\n" for name, meaning in ALARMS)


def with_table(readme: str) -> str:
    """Return the README with its table of packs made anew."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{families_table()}\n\n{END}{after}"


def page(name: str) -> str:
    """Return the text of a page, made or read."""
    made = {"families.md": families_page, "catalogue.md": catalogue_page}
    return made[name]() if name in made else (ROOT / "docs" / name).read_text(encoding="utf-8")


def names() -> list[str]:
    """Return all pages: the fixed ones, then the decisions."""
    return [*PAGES, *sorted(f"decisions/{path.name}" for path in (ROOT / "docs/decisions").glob("*.md"))]


def build(target: Path) -> None:
    """Write all pages as HTML below target."""
    from markdown_it import MarkdownIt

    render = MarkdownIt("commonmark").enable("table").render
    texts = {name: page(name) for name in names()}
    titles = {name: text.partition("\n")[0].lstrip("# ") for name, text in texts.items()}
    for name, text in texts.items():
        up = "../" * name.count("/")
        links = " ".join(
            f'<a href="{up}{other[:-3]}.html">{html.escape(titles[other])}</a>'
            for other in texts
            if not other.startswith("decisions/")
        )
        body = re.sub(r'href="([^":]+)\.md(#[^"]*)?"', r'href="\1.html\2"', render(text))
        path = (target / name).with_suffix(".html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE.format(title=html.escape(titles[name]), links=links, body=body), encoding="utf-8")
    print(f"{len(texts)} pages in {target}; open {target / 'index.html'}")


def main() -> int:
    """Write the pages into the folder given; with --readme, the table into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "site")
    parser.add_argument("--readme", action="store_true", help="make the table in README.md anew, and nothing else")
    options = parser.parse_args()
    if options.readme:
        readme = ROOT / "README.md"
        readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        build(options.target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
