"""Columns of integers come back as they went in, and damage is told, never taken for values."""

import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellwire.outputs.history import columns
from cellwire.outputs.history.columns import MISSING

BIG = (1 << 63) - 1

COLUMNS = (
    ("constant", [3300] * 720, 4),
    ("zero", [0] * 720, 3),
    ("all missing", [MISSING] * 720, 1),
    ("one row", [5], 3),
    ("steps of one", list(range(720)), 20),
    ("constant with gaps", [MISSING, 7, 7, MISSING, 7] * 100, 60),
    ("gaps at both ends", [MISSING, 1, 2, 3, MISSING], 30),
    ("two bytes", [0, 30000, 0, -30000], 30),
    ("four bytes", [0, 2_000_000_000, 0], 30),
    ("eight bytes", [0, 4_000_000_000_000, 1], 30),
    ("further apart than 64 bits", [BIG, -BIG, BIG, MISSING], 50),
)
each_column = pytest.mark.parametrize(("values", "most"), [row[1:] for row in COLUMNS], ids=[row[0] for row in COLUMNS])
values_of = st.one_of(st.just(MISSING), st.integers(-5, 5), st.integers(-BIG, BIG))
tables = st.integers(0, 30).flatmap(
    lambda n: st.lists(st.lists(values_of, min_size=n, max_size=n), min_size=1, max_size=6)
)


def arrays(values: list[list[int]]) -> list["array[int]"]:
    return [array("q", column) for column in values]


@each_column
def test_a_column_comes_back_and_is_small(values: list[int], most: int) -> None:
    data = columns.encode(arrays([values]))
    assert columns.decode(data) == [values]
    assert len(data) <= 4 + most


@given(tables)
def test_chunks_come_back(values: list[list[int]]) -> None:
    data = columns.encode(arrays(values))
    assert columns.decode(data) == values
    assert columns.column_count(data) == len(values)
    assert columns.decode(data, [len(values) - 1]) == [values[-1]]


@given(tables)
def test_hot_blobs_come_back(values: list[list[int]]) -> None:
    assert columns.decode_rows(columns.encode_rows(arrays(values))) == values


def test_picks_columns() -> None:
    data = columns.encode(arrays([[1, 2], [MISSING, MISSING], [5, 5], [MISSING, 9]]))
    assert columns.decode(data, [3, 1]) == [[MISSING, MISSING], [MISSING, 9]]
    assert columns.decode(data, []) == []
    with pytest.raises(ValueError, match="damaged"):
        columns.decode(data, [4])


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        columns.encode(arrays([[1, 2], [1]]))


SAMPLE = [[1000 + 7 * row % 13 for row in range(50)], [MISSING, 3] * 25, [8] * 50]


@pytest.mark.parametrize("which", ["chunk", "hot"])
def test_what_is_cut_short_is_refused(which: str) -> None:
    encode, decode = (
        (columns.encode, columns.decode) if which == "chunk" else (columns.encode_rows, columns.decode_rows)
    )
    data = encode(arrays(SAMPLE))
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r"history|chunk"):
            decode(data[:size])


@pytest.mark.parametrize("which", ["chunk", "hot"])
def test_damage_never_does_anything_else(which: str) -> None:
    """Whatever the bytes are: columns of the right number and size come back, or ValueError."""
    encode, decode = (
        (columns.encode, columns.decode) if which == "chunk" else (columns.encode_rows, columns.decode_rows)
    )
    data, chance = encode(arrays(SAMPLE)), random.Random(1)
    for _ in range(3000):
        spoiled = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            found = decode(bytes(spoiled))
        except ValueError:
            continue
        assert len({len(column) for column in found}) <= 1


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x07\x01\x01", b"SQLite format 3\x00", b"\x01" + b"\xff" * 20, b"\x02\x00" + b"\xff" * 20]
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    for decode in (columns.decode, columns.decode_rows, columns.column_count):
        with pytest.raises(ValueError, match=r"history|chunk|rows"):
            decode(data)
