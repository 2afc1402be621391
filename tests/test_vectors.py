"""Every captured frame of every family: whole, byte by byte, inside noise, damaged, and with every bit flipped."""

import random
from typing import Any

import pytest
from captured import (
    Frame,
    Readings,
    Vector,
    addresses,
    by_dialect,
    differences,
    is_answer,
    name_of,
    plain,
    received,
    vectors,
)

from cellwire.codec.dialect import REFUSAL, REQUEST, Dialect
from cellwire.codec.errors import ProtocolError
from cellwire.families import FAMILIES

# Their checksum does not cover the register number: one flipped bit makes a right answer to another question, and only
# the question that was asked can tell.
BARE_KEY = ("jbd", "jbd-addr")

ALL = vectors()
WITH_FRAMES = [vector for vector in ALL if "frames" in vector.row]
each_with_frames = pytest.mark.parametrize("vector", WITH_FRAMES, ids=name_of)
each_answer = pytest.mark.parametrize("vector", [v for v in ALL if is_answer(v)], ids=name_of)
each_damaged = pytest.mark.parametrize("vector", [v for v in ALL if "error" in v.row], ids=name_of)
each_request = pytest.mark.parametrize("vector", [v for v in ALL if "request" in v.row], ids=name_of)
each_asked = pytest.mark.parametrize("vector", [v for v in ALL if "ask" in v.row], ids=name_of)


def read_all(dialect: Dialect, frames: list[Frame], known: Readings) -> list[Readings]:
    """Return what read() gives for each frame; a frame that cannot be what it claims gives {}."""
    result = []
    for frame in frames:
        try:
            result.append(dialect.read(frame, known))
        except ProtocolError:
            result.append({})
    return result


def check(vector: Vector, dialect: Dialect, frames: list[Frame]) -> None:
    """Assert that the frames are those of the vector, with its readings."""
    expected = vector.row["frames"]
    heads = [[frame[0], frame[1], plain(frame[2])] for frame in frames]
    assert heads == [[row["kind"], row.get("address"), row.get("key")] for row in expected]
    for row, readings in zip(expected, read_all(dialect, frames, vector.row.get("known", {})), strict=True):
        assert differences(readings, row.get("readings", {})) == []


def test_every_family_has_captures() -> None:
    for family in FAMILIES:
        assert [v for v in ALL if v.family == family and v.row["kind"] == "capture"], family


def test_every_dialect_has_answers() -> None:
    assert {vector.dialect for vector in ALL if is_answer(vector)} == set(by_dialect())


def test_ids_are_unique_and_sources_named() -> None:
    seen = [(vector.family, vector.id) for vector in ALL]
    assert len(seen) == len(set(seen))
    for vector in ALL:
        assert vector.row["source"], vector.id
        assert vector.row["kind"] in ("capture", "altered", "constructed", "example"), vector.id
        assert vector.row["direction"] in ("rx", "tx"), vector.id
        assert vector.dialect in by_dialect(), vector.id


@each_with_frames
def test_as_captured(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    frames, receiver = received(dialect, vector.chunks)
    check(vector, dialect, frames)
    for count in ("dropped", "damaged"):
        if count in vector.row:
            assert getattr(receiver, count) == vector.row[count], count


@each_with_frames
def test_whole(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    check(vector, dialect, received(dialect, [vector.data])[0])


@each_with_frames
def test_byte_by_byte(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    check(vector, dialect, received(dialect, [bytes((byte,)) for byte in vector.data])[0])


@each_answer
def test_inside_noise(vector: Vector) -> None:
    """A false start in the noise may hold the frame back, but never swallow it."""
    dialect = by_dialect()[vector.dialect]
    for seed in range(3):
        noise = random.Random(f"{vector.id} {seed}").randbytes(23)
        frames, _ = received(dialect, [noise, vector.data, noise, bytes(1200)])
        kept = [(frame[0], frame[1], frame[2], frame[3]) for frame in frames]
        clean = received(dialect, [vector.data])[0]
        position = 0
        for frame in kept:
            if position < len(clean) and frame == clean[position]:
                position += 1
        assert position == len(clean), f"{len(clean)} frames in silence, {position} of them in noise"


@each_damaged
def test_damaged_complains(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    error = vector.row["error"]
    frames, receiver = received(dialect, vector.chunks)
    if "frames" in vector.row:
        check(vector, dialect, frames)
    elif error == "refused":
        assert [frame[0] for frame in frames] == [REFUSAL]
    elif error == "echo":
        assert all(frame[0] == REQUEST for frame in frames)
    else:
        assert not any(read_all(dialect, frames, vector.row.get("known", {}))), frames
    if error == "checksum":
        assert receiver.damaged + receiver.dropped > 0
    if error == "truncated":
        assert receiver.waiting() + receiver.dropped + receiver.damaged > 0


@each_asked
def test_answers_its_question(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    ask = vector.row["ask"]
    frames = received(dialect, vector.chunks)[0]
    known = dict(vector.row.get("known", {}))
    found = dialect.collect(dialect.query(ask["query"]), ask.get("address", 0), frames, known, True)
    assert differences(found or {}, vector.row["readings"]) == []


def answers(dialect: Dialect, frames: list[Frame], known: Readings) -> dict[tuple[str, int], Readings | None]:
    """Return what the frames give as the answer to every question to every address they can come from."""
    found: dict[tuple[str, int], Readings | None] = {}
    for query in dialect.queries:
        for address in addresses(dialect, frames):
            try:
                found[query.name, address] = dialect.collect(query, address, frames, dict(known), True)
            except ProtocolError:
                found[query.name, address] = None
    return found


@each_answer
def test_one_flipped_bit(vector: Vector) -> None:
    """Nothing that comes out of a frame with one wrong bit may differ from what the right frame says."""
    dialect = by_dialect()[vector.dialect]
    known: Readings = vector.row.get("known", {})
    clean, receiver = received(dialect, [vector.data])
    if receiver.damaged:
        return  # the flipped bit may be the one that repairs it
    right = answers(dialect, clean, known)
    whole = {(plain_key(frame[2]), frame[3]) for frame in clean}
    good: dict[Any, list[Readings]] = {}
    for frame, readings in zip(clean, read_all(dialect, clean, known), strict=True):
        good.setdefault(plain_key(frame[2]), []).append(readings)
    for bit in range(8 * len(vector.data)):
        data = bytearray(vector.data)
        data[bit // 8] ^= 1 << bit % 8
        frames = received(dialect, [bytes(data)])[0]
        if not [frame for frame in frames if (plain_key(frame[2]), frame[3]) not in whole]:
            continue
        for key, found in answers(dialect, frames, known).items():
            if right.get(key) or (key in right and dialect.name not in BARE_KEY):
                for name, value in (found or {}).items():
                    wanted = (right[key] or {}).get(name)
                    assert wanted == value, f"bit {bit}: {key[0]} gives {name} = {value}, not {wanted}"
        for frame, readings in zip(frames, read_all(dialect, frames, known), strict=True):
            if plain_key(frame[2]) in good or dialect.name not in BARE_KEY:
                allowed = good.get(plain_key(frame[2]), [])
                assert not readings or readings in allowed, f"bit {bit}: {frame}"


def plain_key(key: Any) -> str:
    """Return a frame's key as something to look up by."""
    return repr(key)


@each_request
def test_builds_the_request(vector: Vector) -> None:
    dialect = by_dialect()[vector.dialect]
    row = vector.row["request"]
    built = dialect.request(dialect.query(row["query"]), row.get("address", 0))
    assert built.hex(" ") == vector.data.hex(" ")
