"""Runs on both interpreters: every command's captured bytes, and its limits at low, high, below and above."""

import json
import sys

SOURCE = sys.argv[1]
sys.path.insert(0, SOURCE)

from cellwire.codec.errors import OutOfRange, ProtocolError  # noqa: E402
from cellwire.families import FAMILIES  # noqa: E402
from cellwire.families.daly import commands as daly  # noqa: E402
from cellwire.families.jbd import commands as jbd  # noqa: E402
from cellwire.families.jbd import records as jbd_records  # noqa: E402
from cellwire.families.jk import commands as jk  # noqa: E402

wrong = 0
done = 0


def complain(where, text):
    global wrong
    wrong += 1
    if wrong < 40:
        print("WRONG", where, text)


def built(vector):
    """Return what the family makes of the vector's command."""
    row = vector["command"]
    name, value, dialect = row["name"], row["value"], vector["dialect"]
    known, address = row.get("known", {}), row.get("address", 1)
    if dialect.startswith("daly"):
        current = bytes.fromhex(row.get("current", ""))
        return daly.command(dialect, name, value, address, current, row.get("clock"))
    if dialect == "jbd-up":
        return jbd.up_message(row.get("address", vector.get("address", 1)), name, value, known)
    if dialect.startswith("jbd"):
        return jbd.message(name, value, known)
    return jk.request(dialect, name, value, row.get("address", 0), row.get("layout", ""))


def limits(where, low, high, pack):
    """Check that both ends are taken, and that just outside of them nothing is packed."""
    global done
    done += 1
    step = max((high - low) * 0.01, 0.001) if isinstance(low, float) or isinstance(high, float) else 1
    for value in (low, high):
        try:
            if not pack(value):
                complain(where, str(value) + " gives nothing")
        except ProtocolError as error:
            complain(where, str(value) + ": " + str(error))
    for value in (low - step, high + step, -1e9, 1e12):
        try:
            complain(where, str(value) + " gives " + str(pack(value)))
        except OutOfRange:
            pass


def all_known(register):
    """Return a value for every reading of a JBD register, as if it had just been read."""
    known = {}
    for row in jbd_records.SETTINGS[register].numbers:
        known[row[0]] = 1
    return known


for family in FAMILIES:
    with open(SOURCE + "/cellwire/families/" + family + "/vectors.json") as file:
        for vector in json.load(file)["vectors"]:
            if "command" in vector:
                done += 1
                try:
                    found = built(vector)
                except ProtocolError as error:
                    complain(vector["id"], str(error))
                    continue
                wanted = bytes.fromhex(vector.get("hex") or "".join(vector["chunks"]))
                if vector["dialect"] in ("jk02", "jk04"):
                    # The maker's app fills what is behind the value with random bytes; we send zeros.
                    end = 6 + wanted[5]
                    found, wanted = found[:end], wanted[:end]
                if found != wanted:
                    complain(vector["id"], str(found) + " is not " + str(wanted))

for key in jk.COMMANDS:
    for row in jk.COMMANDS[key]:
        limits(key + " " + row[0], row[4], row[5], lambda value, row=row: jk.pack(row, value))
for key in daly.COMMANDS:
    for row in daly.COMMANDS[key]:
        limits(key + " " + row[0], row[6], row[7], lambda value, row=row: daly.pack(row, value))
for row in jbd.SETTINGS:
    limits("jbd " + row[0], row[2], row[3], lambda value, row=row: jbd.pack(row, value, all_known(row[1])))
for row in jbd.NUMBERS:
    limits("jbd " + row[0], row[4], row[5], lambda value, row=row: jbd.message(row[0], value, {}))
for row in jbd.FUNCTIONS:
    limits("jbd " + row[0], 0, 1, lambda value, row=row: jbd.message(row[0], value, {"function_bits": 0}))
for row in jbd.SWITCHES:
    limits("jbd " + row[0], 0, 1, lambda value, row=row: jbd.message(row[0], value, {}))

print(sys.implementation.name, done, "commands", wrong, "wrong")
sys.exit(1 if wrong or not done else 0)
