"""Runs on both interpreters: every command's captured bytes, and its limits at low, high, below and above."""

import json
import sys

SOURCE = sys.argv[1]
sys.path.insert(0, SOURCE)

from cellwire.codec.command import ACTION, CHOICE, SWITCH, TEXT, check  # noqa: E402
from cellwire.codec.errors import OutOfRange, ProtocolError  # noqa: E402
from cellwire.families import FAMILIES, dialects  # noqa: E402

# What tells which commands a pack has, by dialect; one run with each.
NEW = {"record_variant": "32S", "software_version": "19.34", "wire_resistances": [0.001] * 32}
LAYOUTS = {
    "jk-uart": ({"charge_switch": True, "discharge_switch": True},),
    "jk-pb": (NEW,),
    "jk-modbus": (NEW,),
    "jk02": ({"record_variant": "24S", "wire_resistances": [0.001] * 24}, NEW),
    "jk04": ({"record_variant": "JK04"},),
    "jbd": ({"chip_type": "TI"},),
}
wrong = 0
done = 0


def complain(where, text):
    global wrong
    wrong += 1
    if wrong < 40:
        print("WRONG", where, text)


def all_known(dialect, layout):
    """Return a value for every reading that a write may want to know, as if the pack had just been read."""
    known = dict(layout)
    for _ in range(2):
        for command in dialect.commands.of(known):
            if command.reading and not command.count:
                known.setdefault(command.reading, middle(command))
            for reading in dialect.commands.needs(command):
                known.setdefault(reading, 1)
    return known


def middle(command):
    """Return a value that the command takes."""
    if command.kind in (SWITCH, ACTION):
        return True
    if command.kind == CHOICE:
        return next(word for word in command.words if word)
    if command.kind == TEXT:
        return "A" * int(command.high)
    return command.low + command.step * round((command.high - command.low) / 2 / command.step)


def good(command):
    """Return the values at the edges of what the command takes."""
    if command.kind == SWITCH:
        return (True, False, 1, 0)
    if command.kind == ACTION:
        return (True,)
    if command.kind == CHOICE:
        return tuple([word for word in command.words if word])
    if command.name == "production_date":
        return ("2000-01-01", "2127-12-31")
    if command.kind == TEXT:
        return ("A" * int(command.low), "z" * int(command.high))
    return (command.low, command.high)


def bad(command):
    """Return values just outside of what the command takes, and far outside."""
    if command.kind in (SWITCH, ACTION):
        return (2, -1, "on", None) + ((False,) if command.kind == ACTION else ())
    if command.kind == CHOICE:
        return ("", "nothing of the sort", 0, None)
    if command.kind == TEXT:
        return (
            "A" * (int(command.high) + 1),
            "\u00fc" * int(max(command.low, 1)),
            "\n" * int(max(command.low, 1)),
            None,
        )
    return (command.low - command.step, command.high + command.step, -1e9, 1e12, float("nan"), "1", True, None)


def limits(dialect, command, known):
    """Check that the edges are taken, and that nothing beyond them is."""
    global done
    done += 1
    where = dialect.name + " " + str(known.get("record_variant", "")) + " " + command.name
    number = command.count
    for value in good(command):
        try:
            taken = check(command, number, value)
            frames = dialect.commands.encode(command, number, taken, dialect.addresses[0], known)
            if not frames or not all(frames):
                complain(where, str(value) + " gives nothing")
        except ProtocolError as error:
            complain(where, str(value) + ": " + str(error))
    for value in bad(command):
        try:
            complain(where, str(value) + " passes as " + str(check(command, number, value)))
        except OutOfRange:
            pass
    for number in (0, command.count + 1) if command.count else (1,):
        try:
            check(command, number, good(command)[0])
            complain(where, "number " + str(number) + " passes")
        except OutOfRange:
            pass


def built(vector):
    """Return what the dialect makes of the vector's command."""
    row = vector["command"]
    dialect = dialects(vector["dialect"])[0]
    layouts = LAYOUTS.get(dialect.name, ({},))
    layout = layouts[0] if row.get("layout") == "24S" else layouts[-1]
    if "known" in row:
        known = dict(layout)
        known.update(row["known"])
    else:
        known = all_known(dialect, layout)
    found = [command for command in dialect.commands.of(known) if command.name == row["name"]]
    if not found:
        raise ProtocolError("there is no such command")
    address = row.get("address", vector.get("address", dialect.addresses[0]))
    number = row.get("number", 1 if found[0].count else 0)
    return dialect.commands.encode(found[0], number, check(found[0], number, row["value"]), address, known)[-1]


for dialect in dialects():
    if dialect.commands is not None:
        for layout in LAYOUTS.get(dialect.name, ({},)):
            known = all_known(dialect, layout)
            if not dialect.commands.of(known):
                complain(dialect.name, "has no commands")
            for command in dialect.commands.of(known):
                limits(dialect, command, known)

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

print(sys.implementation.name, done, "commands", wrong, "wrong")
sys.exit(1 if wrong or not done else 0)
