"""The tables of all families: their words, both ways of decoding them, and that no family takes another's frames."""

import math
from typing import Any

import pytest
from captured import Frame, Readings, Vector, addresses, by_dialect, is_answer, name_of, received, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from cellwire.codec import table
from cellwire.codec.compiled import compiled
from cellwire.codec.dialect import FAST, ONCE, SETTINGS, SLOW, Dialect
from cellwire.codec.errors import ProtocolError
from cellwire.codec.table import SIZES, Record
from cellwire.families import FAMILIES, dialects
from cellwire.families.proof import names_of, proof
from cellwire.readings import catalogue

DIALECTS = dialects()
ALARMS = {row[0] for row in catalogue.ALARMS}

# Readings without a captured value other than zero, a dialect. A number here may only fall.
UNPROVEN: dict[str, int] = {
    "jk-uart": 7,
    "jk-pb": 45,
    "jk-modbus": 152,
    "jk02": 37,
    "jk04": 3,
    "jbd": 47,
    "jbd-addr": 13,
    "jbd-up": 12,
    "daly-a5": 49,
    "daly-d2": 17,
    "daly-p81": 10,
}


def all_records() -> list[tuple[str, Record]]:
    """Return every record once, with a name for the test, also those that follow others."""
    found: dict[int, tuple[str, Record]] = {}

    def add(dialect: Dialect, record: Record) -> None:
        found.setdefault(id(record), (f"{dialect.name}:{record.name}", record))
        if record.then is not None:
            add(dialect, record.then[0])

    for dialect in DIALECTS:
        for record in dialect.records:
            add(dialect, record)
    return list(found.values())


RECORDS = all_records()
each_record = pytest.mark.parametrize("record", [row[1] for row in RECORDS], ids=[row[0] for row in RECORDS])
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=name_of)


def test_there_is_something_to_test() -> None:
    assert {dialect.family for dialect in DIALECTS} == set(FAMILIES)
    assert len({dialect.name for dialect in DIALECTS}) == len(DIALECTS)
    assert RECORDS


def test_catalogue_has_every_name_once() -> None:
    names = [row[0] for row in catalogue.CATALOGUE]
    assert len(names) == len(set(names))
    alarms = [row[0] for row in catalogue.ALARMS]
    assert len(alarms) == len(set(alarms))
    assert {row[1] for row in catalogue.CATALOGUE} <= set(catalogue.QUANTITY)
    for name, quantity, kind, group, meaning in catalogue.CATALOGUE:
        assert kind in ("measurement", "total", "state", "text", "list"), name
        assert quantity, name
        assert group, name
        assert meaning, name


@each_record
def test_every_reading_has_a_word(record: Record) -> None:
    assert [name for name in names_of(record) if name not in catalogue.BY_NAME] == []
    for _reading, _at, _form, bits in record.alarms:
        assert [alarm for _bit, _list, alarm in bits if alarm not in ALARMS] == []
        assert {names for _bit, names, _alarm in bits} <= {"warnings", "protections", "faults"}


def test_every_captured_reading_has_a_word() -> None:
    for vector in vectors():
        for readings in [vector.row.get("readings", {})] + [
            frame.get("readings", {}) for frame in vector.row.get("frames", ())
        ]:
            assert [name for name in readings if name not in catalogue.BY_NAME] == [], vector.id
            for names in ("warnings", "protections", "faults"):
                assert [alarm for alarm in readings.get(names, ()) if alarm not in ALARMS] == [], vector.id


@each_dialect
def test_dialect_is_whole(dialect: Dialect) -> None:
    names = [query.name for query in dialect.queries]
    assert len(names) == len(set(names))
    assert dialect.probe in names
    assert dialect.title
    assert dialect.addresses
    for query in dialect.queries:
        assert query.pace in (FAST, SLOW, ONCE, SETTINGS), query.name
        assert isinstance(dialect.request(query, dialect.addresses[0]), bytes)
    tolerance, share = dialect.sum_tolerance
    assert 0 < tolerance <= 1
    assert 0 <= share <= 0.05


@each_dialect
def test_nothing_asked_is_no_answer(dialect: Dialect) -> None:
    for query in dialect.queries:
        assert not dialect.collect(query, dialect.addresses[0], [], {}, False)


@each_dialect
def test_unproven_rows_get_fewer(dialect: Dialect) -> None:
    unproven = proof(dialect)[1]
    assert len(unproven) <= UNPROVEN[dialect.name], unproven
    assert len(unproven) == UNPROVEN[dialect.name], "fewer than written down: lower the number"


def counts(record: Record) -> list[str]:
    """Return the readings that lists of this record take their counts from."""
    return sorted({row[5] for row in record.lists if isinstance(row[5], str)})


def alike(ours: Any, theirs: Any) -> bool:
    """Return whether both are the same; not a number equals itself here."""
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[name], theirs[name]) for name in ours)
    return type(ours) is type(theirs) and bool(ours == theirs)


@st.composite
def payloads(draw: st.DrawFn, record: Record) -> bytes:
    """Random bytes of at least the size of the record, sparse and dense ones."""
    reach = max([record.size, 8, *(row[1] + 40 for row in record.lists)])
    length = draw(st.integers(record.size, reach + 16))
    seed = draw(st.randoms(use_true_random=False))
    density = draw(st.sampled_from((0.0, 0.1, 1.0)))
    return bytes(seed.randrange(256) if seed.random() < density else 0 for _ in range(length))


@each_record
def test_compiled_is_the_interpreter_made_fast(record: Record) -> None:
    fast = compiled(record)
    names = counts(record)

    @settings(max_examples=40, deadline=None, database=None)
    @given(payloads(record), st.lists(st.integers(0, 40), min_size=len(names), max_size=len(names)))
    def agree(data: bytes, numbers: list[int]) -> None:
        for known in ({}, dict(zip(names, numbers, strict=True))):
            assert alike(fast(data, known), table.interpret(record, data, {}, known))

    agree()


def captured_payloads() -> list[tuple[str, bytes]]:
    found = []
    for vector in vectors():
        if is_answer(vector):
            dialect = by_dialect()[vector.dialect]
            found += [(vector.dialect, frame[3]) for frame in received(dialect, vector.chunks)[0]]
    return found


def test_compiled_agrees_on_captures() -> None:
    tried = 0
    for name, payload in captured_payloads():
        for record in by_dialect()[name].records:
            if len(payload) >= record.size:
                for known in ({}, dict.fromkeys(counts(record), 4)):
                    assert alike(compiled(record)(payload, known), table.interpret(record, payload, {}, known))
                tried += 1
    assert tried


@each_record
def test_what_is_decoded_can_be_encoded(record: Record) -> None:
    """Rows alone: what `finish` does to the values is the family's own to turn back."""
    rows = Record(
        record.name, record.size, record.numbers, record.lists, record.flags, record.choices, record.texts,
        record.masks, record.alarms,
    )  # fmt: skip
    doubles = [row[0] for row in [*record.numbers, *record.choices, *record.texts]]
    twice = {name for name in doubles if doubles.count(name) > 1} | {
        row[0] for row in record.masks if [other[0] for other in record.masks].count(row[0]) > 1
    }

    @settings(max_examples=40, deadline=None, database=None)
    @given(payloads(record))
    def there_and_back(data: bytes) -> None:
        known = dict.fromkeys(counts(record), 4)
        values = table.interpret(rows, data, {}, known)
        finite = {name: value for name, value in values.items() if name not in twice and not strange(value)}
        again = table.interpret(rows, table.encode(rows, finite, data), {}, known)
        for name, value in finite.items():
            assert alike(again[name], value), name

    there_and_back()


def strange(value: Any) -> bool:
    """Return whether a value is a float that is no number, or holds one."""
    if isinstance(value, list):
        return any(strange(element) for element in value)
    return isinstance(value, float) and not math.isfinite(value)


@each_record
def test_rows_stand_inside_the_record(record: Record) -> None:
    for row in record.numbers:
        assert row[2][0] in "<>", row
        assert row[2][1] in SIZES, row
        assert row[4] != 0, row
    for _reading, _at, bit in record.flags:
        assert 0 <= bit <= 7


# The rows of this table name identifiers, not bytes: each frame has its own order of them.
BY_IDENTIFIER = ("jk-uart:status",)


@pytest.mark.parametrize(
    "record", [row[1] for row in RECORDS if row[0] not in BY_IDENTIFIER], ids=lambda record: record.name
)
def test_rows_do_not_overlap(record: Record) -> None:
    """A byte has one meaning, unless a raw word stands beside the flags in it."""
    taken: dict[int, str] = {}
    for reading, at, form, *_rest in record.numbers:
        for byte in range(at, at + SIZES[form[1]]):
            if catalogue.BY_NAME[reading][1] != "bits":
                assert taken.setdefault(byte, reading) == reading, f"byte {byte}: {taken[byte]} and {reading}"


# Dialects that share their records: a frame of one is a frame of the other, and only the wire tells which it was.
ALIKE = ({"jk02", "jk-pb"}, {"jk02", "jk04"})


def takes(dialect: Dialect, frames: list[Frame]) -> Readings:
    """Return what the dialect would believe of the frames as the answer to its probe."""
    query = dialect.query(dialect.probe)
    for address in addresses(dialect, frames):
        try:
            found = dialect.collect(query, address, frames, {}, True)
        except ProtocolError:
            continue
        if found:
            return dict(found)
    return {}


@pytest.mark.parametrize("vector", [v for v in vectors() if is_answer(v)], ids=name_of)
def test_no_family_takes_the_frames_of_another(vector: Vector) -> None:
    for dialect in DIALECTS:
        if dialect.name != vector.dialect and {dialect.name, vector.dialect} not in ALIKE:
            found = takes(dialect, received(dialect, vector.chunks)[0])
            assert not found, f"{dialect.name} takes it for its own"


@each_dialect
def test_its_own_request_is_no_answer(dialect: Dialect) -> None:
    """An adapter that echoes must not look like a pack."""
    for query in dialect.queries:
        for address in dialect.addresses[:2]:
            frames = received(dialect, [dialect.request(query, address)])[0]
            try:
                found = dialect.collect(query, address, frames, {}, True)
            except ProtocolError:
                found = None
            assert not found, query.name
