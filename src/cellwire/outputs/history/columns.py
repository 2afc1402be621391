"""Packs columns of integers, with or without gaps, into few bytes: differences in the narrowest form, then deflate.

A column is an array of 64-bit integers in which MISSING stands for "there is no value". A chunk is the columns of one
stretch of rows, each packed on its own, so that one is read without the others:

    chunk   form (1 byte), number of rows, number of columns, the columns; numbers are 7 bits a byte, lowest first
    column  tag (1 byte), the first value, and unless all values are alike: size of the body, body (raw deflate)
    body    presence (a byte a row, when some are missing), then the differences between the values that are there

A hot blob holds the few rows of one commit in one deflate stream instead, because so short columns would not pay:

    hot     form, tag, number of rows, number of columns, body (raw deflate)
    body    presence (a byte a value, when some are missing), the first values of all columns (8 bytes each), then the
            differences; lowest bytes first. A missing value is written as the one before.
"""

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress
from operator import sub

MISSING = -(1 << 63)

# Tag of a column.
WIDTH = 0x03  # bits 0-1: differences are of 1, 2, 4 or 8 bytes
FIRST = 0x0C  # bits 2-3: the first value is of 1, 2, 4 or 8 bytes
ALIKE = 0x10  # all values that are there are the first
GAPS = 0x20  # some are missing
EMPTY = 0x40  # all are missing
WHOLE = 0x80  # the body has the values themselves: their differences do not fit into 8 bytes

# For each tag: the bytes of tag and first value, and whether a body follows.
HEADS = [1 if tag & EMPTY else 1 + (1 << ((tag & FIRST) >> 2)) for tag in range(256)]
BODIES = [not tag & EMPTY and (tag & GAPS or not tag & ALIKE) for tag in range(256)]

CHUNK, HOT = 1, 2
CODES = "bhiq"
MOST_ROWS, MOST_COLUMNS = 1 << 22, 1 << 16  # no chunk has more; a larger number is damage
LEVEL, HOT_LEVEL = 6, 3  # hot blobs are gone within the hour
_MISSING_BYTES = array("q", [MISSING]).tobytes()
_FOREIGN_ORDER = sys.byteorder == "big"  # the file is little endian everywhere


def has_missing(column: "array[int]") -> bool:
    """Return whether a value of the column is missing."""
    # Searching bytes is ten times as fast as comparing integers; a hit across two values is looked at again.
    return _MISSING_BYTES in column.tobytes() and MISSING in column


def encode(columns: Sequence["array[int]"]) -> bytes:
    """Return the chunk of these columns, which are equally long."""
    rows = len(columns[0]) if columns else 0
    parts = [bytes((CHUNK,)), _number(rows), _number(len(columns))]
    for column in columns:
        if len(column) != rows:
            raise ValueError("the columns of a chunk must be equally long")
        _encode_column(column, parts)
    return b"".join(parts)


def decode(data: bytes, wanted: Iterable[int] | None = None) -> list[list[int]]:
    """Return the wanted columns of a chunk, in the order of the chunk; all when None.

    Raises ValueError when the bytes are not a chunk, or not whole.
    """
    if not data or data[0] != CHUNK:
        raise ValueError("these bytes are not a chunk of the history")
    try:
        rows, at = _read_number(data, 1)
        number, at = _read_number(data, at)
        if rows > MOST_ROWS or number > MOST_COLUMNS:
            raise ValueError(f"a chunk cannot have {rows} rows of {number} columns")
        return _decode_columns(data, at, rows, range(number) if wanted is None else sorted(set(wanted)))
    except (IndexError, OverflowError, zlib.error) as error:
        raise ValueError(f"a chunk of the history is damaged: {error}") from error


def column_count(data: bytes) -> int:
    """Return the number of columns of a chunk."""
    if not data or data[0] != CHUNK:
        raise ValueError("these bytes are not a chunk of the history")
    try:
        return _read_number(data, _read_number(data, 1)[1])[0]
    except IndexError as error:
        raise ValueError(f"a chunk of the history is damaged: {error}") from error


def encode_rows(columns: Sequence["array[int]"]) -> bytes:
    """Return the hot blob of these columns, which are equally long."""
    column = array("q")
    for one in columns:
        column += one
    rows = len(column) // max(1, len(columns))
    presence = b""
    values = column.tolist()
    if has_missing(column):
        presence = bytes(map(MISSING.__ne__, values))
        values = list(accumulate(values, _filled))
    differences = list(map(sub, values[1:], values))
    if rows:
        del differences[rows - 1 :: rows]  # from the end of one column to the begin of the next
    narrow = _narrowest(differences)
    tag = GAPS if presence else 0
    if narrow is None:
        body, tag = _planes(array("q", values)), tag | WHOLE
    else:
        body, tag = _planes(array("q", values[:: rows or 1])) + _planes(narrow), tag | CODES.index(narrow.typecode)
    packed = zlib.compress(presence + body, HOT_LEVEL, -15)
    return b"".join((bytes((HOT, tag)), _number(rows), _number(len(columns)), packed))


def _filled(before: int, value: int) -> int:
    return before if value == MISSING else value


def decode_rows(data: bytes) -> list[list[int]]:
    """Return the columns of a hot blob.

    Raises ValueError when the bytes are not a hot blob, or not whole.
    """
    if len(data) < 2 or data[0] != HOT:
        raise ValueError("these bytes are not rows of the history")
    try:
        rows, at = _read_number(data, 2)
        width, at = _read_number(data, at)
        if rows * width > MOST_ROWS * 8 or width > MOST_COLUMNS:
            raise ValueError(f"rows of the history cannot be {rows} by {width}")
        body = _inflate(data[at:], rows * width * 9)
    except (IndexError, zlib.error) as error:
        raise ValueError(f"rows of the history are damaged: {error}") from error
    tag, presence = data[1], b""
    if tag & GAPS:
        presence, body = body[: rows * width], body[rows * width :]
    found = _decode_hot(body, tag, rows, width)
    if not presence:
        return found
    return [
        [value if there else MISSING for value, there in zip(column, presence[at * rows :], strict=False)]
        for at, column in enumerate(found)
    ]


def _decode_hot(body: bytes, tag: int, rows: int, width: int) -> list[list[int]]:
    if not rows:
        return [[] for _ in range(width)]
    if tag & WHOLE:
        values = _from_planes(body, "q", rows * width)
        return [values[at * rows : (at + 1) * rows] for at in range(width)]
    firsts = _from_planes(body[: 8 * width], "q", width)
    rest = _from_planes(body[8 * width :], CODES[tag & WIDTH], (rows - 1) * width)
    return [
        list(accumulate(rest[at * (rows - 1) : (at + 1) * (rows - 1)], initial=first))
        for at, first in enumerate(firsts)
    ]


def _from_planes(data: bytes, code: str, count: int) -> list[int]:
    values = array(code)
    size = values.itemsize
    if len(data) != size * count:
        raise ValueError("rows of the history are cut short")
    whole = bytearray(len(data))
    for plane in range(size):
        whole[plane::size] = data[plane * count : (plane + 1) * count]
    values.frombytes(bytes(whole))
    if _FOREIGN_ORDER:
        values.byteswap()
    return values.tolist()


def _planes(values: "array[int]") -> bytes:
    """Return the lowest bytes of all values, then the next: alike bytes side by side pack better."""
    size = values.itemsize
    data = _little(values)
    return data if size == 1 else b"".join(data[plane::size] for plane in range(size))


def _encode_column(column: "array[int]", parts: list[bytes]) -> None:
    tag, presence = 0, b""
    if has_missing(column):
        presence = bytes(map(MISSING.__ne__, column))
        column = array("q", compress(column, presence))
        tag = GAPS
    if not column:
        parts.append(bytes((EMPTY,)))
        return
    values = column.tolist()
    first = _narrowest(values[:1])
    assert first is not None  # it was in a column
    tag |= CODES.index(first.typecode) << 2
    body = presence
    if values[0] == values[-1] and values.count(values[0]) == len(values):
        tag |= ALIKE
    else:
        differences = _narrowest(list(map(sub, values[1:], values)))
        if differences is None:
            differences, tag = column, tag | WHOLE
        tag |= CODES.index(differences.typecode)
        body += _little(differences)
    parts.append(bytes((tag,)))
    parts.append(_little(first))
    if body:
        packed = zlib.compress(body, LEVEL, -15)
        parts.append(_number(len(packed)))
        parts.append(packed)


def _decode_columns(data: bytes, at: int, rows: int, wanted: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = []
    index = -1
    for want in wanted:
        while index < want:
            index += 1
            begin, tag = at + 1, data[at]
            length, at = 0, at + HEADS[tag]
            if BODIES[tag]:
                length, at = data[at], at + 1
                if length > 127:
                    length, at = _read_number(data, at - 1)
                at += length
        if at > len(data):
            raise ValueError("a chunk of the history is cut short")
        if tag & EMPTY:
            found.append([MISSING] * rows)
            continue
        value = int.from_bytes(data[begin : begin - 1 + HEADS[tag]], "little", signed=True)
        found.append(_decode_column(tag, value, data[at - length : at], rows) if BODIES[tag] else [value] * rows)
    return found


def _decode_column(tag: int, first: int, packed: bytes, rows: int) -> list[int]:
    width = tag & WIDTH
    body = _inflate(packed, rows * ((1 << width) + 1))
    presence = b""
    there = rows
    if tag & GAPS:
        presence = body[:rows]
        body = body[rows:]
        there = len(presence) - presence.count(0)
        if len(presence) != rows:
            raise ValueError("a chunk of the history is cut short")
    if tag & ALIKE:
        return _spread([first] * there, presence)
    differences = array(CODES[width], body)
    if len(differences) != (there if tag & WHOLE else there - 1):
        raise ValueError("a chunk of the history is cut short")
    if _FOREIGN_ORDER:
        differences.byteswap()
    values = differences.tolist() if tag & WHOLE else list(accumulate(differences, initial=first))
    return _spread(values, presence) if presence else values


def _spread(values: Iterable[int], presence: bytes) -> list[int]:
    """Return the values with MISSING where nothing is present."""
    rest = iter(values)
    return [next(rest) if there else MISSING for there in presence]


def _narrowest(values: list[int]) -> "array[int] | None":
    """Return the integers in the narrowest form that holds them, None when there is none."""
    for code in CODES:
        try:
            return array(code, values)
        except OverflowError:
            continue
    return None


def _little(values: "array[int]") -> bytes:
    if _FOREIGN_ORDER:
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _inflate(data: bytes, most: int) -> bytes:
    """Return the bytes of a deflate stream that must be whole, and not longer than it can be."""
    stream = zlib.decompressobj(-15)
    body = stream.decompress(data, most + 1)
    if not stream.eof or len(body) > most or stream.unused_data:
        raise ValueError("a packed part of the history is damaged")
    return body


def _number(value: int) -> bytes:
    """Return the number with 7 bits a byte, lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at this place, and the place after it."""
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if shift > 56:
            raise ValueError("a number in the history is damaged")
    return value | data[at] << shift, at + 1
