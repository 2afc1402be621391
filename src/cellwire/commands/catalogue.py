"""cellwire catalogue: the vocabulary."""

import argparse
import json

from ..cli import DONE
from ..readings.catalogue import ALARMS, CATALOGUE, decimals, unit


def run(options: argparse.Namespace) -> int:
    """Print every reading with unit, kind, group and meaning, and every alarm."""
    columns = ("name", "quantity", "kind", "group", "meaning")
    rows = [
        {**dict(zip(columns, row, strict=True)), "unit": unit(row[0]), "decimals": decimals(row[0])}
        for row in CATALOGUE
    ]
    if options.json:
        print(json.dumps({"readings": rows, "alarms": [{"name": name, "meaning": text} for name, text in ALARMS]}))
        return DONE
    for row in rows:
        print(f"{row['name']:<42} {row['unit']:<5} {row['kind']:<12} {row['group']:<13} {row['meaning']}")
    print("\nalarms: members of warnings, protections and faults")
    for name, text in ALARMS:
        print(f"{name:<42} {text}")
    return DONE
