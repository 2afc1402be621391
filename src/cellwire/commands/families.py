"""cellwire families: what is supported, and how many rows a real capture proves."""

import argparse
import json

from ..cli import DONE
from ..families import dialects
from ..families.proof import proof


def run(options: argparse.Namespace) -> int:
    """Print each dialect with its rows: proven by a capture with a non-zero value, and not."""
    rows = []
    for dialect in dialects():
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
            }
        )
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
        return DONE
    print(f"{'dialect':<12}{'rows proven':>12}{'of':>5}  title")
    for row in rows:
        print(f"{row['dialect']:<12}{row['proven']:>12}{row['rows']:>5}  {row['title']}")
    return DONE
