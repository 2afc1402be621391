"""cellwire families: what is supported, how many rows a real capture proves, and what can be written on what proof."""

import argparse
import json
from typing import Any

from ..cli import DONE
from ..families import dialects, guests
from ..families.proof import commands, counted, proof


def run(options: argparse.Namespace) -> int:
    """Print each dialect with its rows, proven by a capture with a non-zero value or not, and with its commands."""
    rows: list[dict[str, Any]] = []
    for dialect in (*dialects(), *guests()):
        proven, unproven = proof(dialect)
        rows.append(
            {
                "family": dialect.family,
                "dialect": dialect.name,
                "title": dialect.title,
                "bauds": list(dialect.bauds),
                "addresses": len(dialect.addresses),
                "records": [query.name for query in dialect.queries],
                "proven": len(proven),
                "rows": len(proven) + len(unproven),
                "unproven": sorted(unproven),
                "proofs": counted(dialect),
                "commands": commands(dialect),
            }
        )
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
        return DONE
    print(f"{'dialect':<12}{'rows proven':>12}{'of':>5}{'commands seen':>15}{'agreed':>8}{'unproven':>10}  title")
    for row in rows:
        seen, agreed, unproven = row["proofs"].values()
        written = f"{seen:>15}{agreed:>8}{unproven:>10}"
        print(f"{row['dialect']:<12}{row['proven']:>12}{row['rows']:>5}{written}  {row['title']}")
    return DONE
