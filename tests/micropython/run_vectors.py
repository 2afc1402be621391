"""Runs under MicroPython: every captured frame whole, byte by byte and with flipped bits; prints what is wrong."""

import json
import sys

SOURCE = sys.argv[1]
sys.path.insert(0, SOURCE)

from cellwire.codec.errors import ProtocolError  # noqa: E402
from cellwire.families import dialects  # noqa: E402
from cellwire.readings import catalogue  # noqa: E402

FLIPS = 12

wrong = 0
done = 0


def complain(where, text):
    global wrong
    wrong += 1
    if wrong < 40:
        print("WRONG", where, text)


def same(name, ours, theirs):
    if isinstance(ours, (list, tuple)) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all([same(name, ours[n], theirs[n]) for n in range(len(ours))])
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return abs(ours - theirs) <= 0.51 * 10 ** -catalogue.decimals(name) or ours == theirs
    return ours == theirs


def compare(where, ours, theirs):
    for name in theirs:
        if name not in ours:
            complain(where, name + " is missing")
        elif not same(name, ours[name], theirs[name]):
            complain(where, name + " is " + str(ours[name]) + " not " + str(theirs[name]))
    for name in ours:
        if name not in theirs:
            complain(where, name + " was not expected")


def received(dialect, chunks):
    receiver = dialect.receiver()
    frames = []
    for chunk in chunks:
        frames = frames + receiver.feed(chunk)
    return frames


def read(dialect, frame, known):
    try:
        return dialect.read(frame, known)
    except ProtocolError:
        return {}


def plain(key):
    return list(key) if isinstance(key, tuple) else key


def check(where, dialect, vector, chunks):
    frames = received(dialect, chunks)
    expected = vector["frames"]
    if len(frames) != len(expected):
        complain(where, str(len(frames)) + " frames, not " + str(len(expected)))
        return
    for number in range(len(frames)):
        frame = frames[number]
        row = expected[number]
        if [frame[0], frame[1], plain(frame[2])] != [row["kind"], row.get("address"), row.get("key")]:
            complain(where, "frame " + str(frame[:3]))
        compare(where, read(dialect, frame, vector.get("known", {})), row.get("readings", {}))


def flip(where, dialect, vector, data):
    known = vector.get("known", {})
    right = {}
    for frame in received(dialect, [data]):
        right.setdefault(str(frame[2]), []).append(read(dialect, frame, known))
    step = max(1, 8 * len(data) // FLIPS)
    bit = len(where) % step
    while bit < 8 * len(data):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        for frame in received(dialect, [bytes(damaged)]):
            readings = read(dialect, frame, known)
            if readings and str(frame[2]) in right and readings not in right[str(frame[2])]:
                complain(where, "bit " + str(bit) + " gives " + str(readings))
        bit += step


def vectors_of(family, by_name):
    global done
    with open(SOURCE + "/cellwire/families/" + family + "/vectors.json") as file:
        rows = json.load(file)["vectors"]
    for vector in rows:
        where = vector["dialect"] + ":" + vector["id"]
        dialect = by_name[vector["dialect"]]
        chunks = [bytes.fromhex(text) for text in vector.get("chunks") or [vector["hex"]]]
        data = b"".join(chunks)
        if "frames" in vector:
            check(where, dialect, vector, chunks)
            check(where + " byte by byte", dialect, vector, [data[n : n + 1] for n in range(len(data))])
        if vector["direction"] == "rx" and "error" not in vector:
            flip(where, dialect, vector, data)
        if "error" in vector and "frames" not in vector and vector["error"] not in ("refused", "echo"):
            for frame in received(dialect, chunks):
                if read(dialect, frame, vector.get("known", {})):
                    complain(where, "readings out of a damaged frame")
        if "request" in vector:
            row = vector["request"]
            built = dialect.request(dialect.query(row["query"]), row.get("address", 0))
            if built != data:
                complain(where, "request is " + str(built))
        if "ask" in vector:
            row = vector["ask"]
            known = {}
            known.update(vector.get("known", {}))
            frames = received(dialect, chunks)
            query = dialect.query(row["query"])
            found = dialect.collect(query, row.get("address", 0), frames, known, True)
            compare(where + " asked", found or {}, vector["readings"])
        done += 1


by_name = {}
families = []
for dialect in dialects():
    by_name[dialect.name] = dialect
    if dialect.family not in families:
        families.append(dialect.family)
for family in families:
    vectors_of(family, by_name)
print(sys.implementation.name, done, "vectors", wrong, "wrong")
sys.exit(1 if wrong or not done else 0)
