"""Decodes and encodes a record by its rows: one table says where every value stands, in both directions.

A row holds constants only. `at` is the byte offset in the record, `form` a struct format with its byte order
(">H", "<i"), and value = (raw - zero) / divisor, so that 52431 / 1000 is 52.431. A divisor of 1 keeps an int, a
negative divisor turns the sign round. A row beyond the end of the data is left out, and so is a value whose raw
number is listed as absent. In a list an absent element is None, because its neighbours keep their numbers; a
list that holds nothing but None is left out.
"""

import struct
import sys

from .errors import OutOfRange, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Readings = dict[str, Any]

SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4, "f": 4}
LIMITS = {
    "B": (0, 0xFF),
    "b": (-0x80, 0x7F),
    "H": (0, 0xFFFF),
    "h": (-0x8000, 0x7FFF),
    "I": (0, 0xFFFFFFFF),
    "i": (-0x80000000, 0x7FFFFFFF),
}


class Record:
    """A table of rows.

    name     what the record is called in messages, "basic"
    size     the fewest bytes that make sense of it
    numbers  (reading, at, form, zero, divisor [, absent raws])
    lists    (reading, at, form, zero, divisor, count [, absent raws]); count: a number, or the reading that has it
    flags    (reading, at, bit): bit 0 to 7 of the byte at `at`
    choices  (reading, at, form, texts): the raw number picks a text; one without a text is left out
    texts    (reading, at, length): ASCII up to the first NUL; an empty text is left out
    masks    (reading, at, form, first): `first` + number of every set bit; rows of one reading add up
    alarms   (raw reading, at, form, ((bit, list, alarm), ...)): bits by name, the raw number beside them
    then     (record, base, reading, width): what follows a counted list, at base + count * width
    finish   finish(values, data): for what no row can say; changes `values` in place
    """

    def __init__(
        self,
        name: str,
        size: int = 0,
        numbers: "tuple[tuple[str, int, str, int, int] | tuple[str, int, str, int, int, tuple[int, ...]], ...]" = (),
        lists: "tuple[tuple[str, int, str, int, int, int | str] | tuple[str, int, str, int, int, int | str, tuple[int, ...]], ...]" = (),  # noqa: E501
        flags: "tuple[tuple[str, int, int], ...]" = (),
        choices: "tuple[tuple[str, int, str, tuple[str, ...]], ...]" = (),
        texts: "tuple[tuple[str, int, int], ...]" = (),
        masks: "tuple[tuple[str, int, str, int], ...]" = (),
        alarms: "tuple[tuple[str, int, str, tuple[tuple[int, str, str], ...]], ...]" = (),
        then: "tuple[Record, int, str, int] | None" = None,
        finish: "Callable[[Readings, bytes], None] | None" = None,
    ) -> None:
        self.name = name
        self.size = size
        self.numbers = numbers
        self.lists = lists
        self.flags = flags
        self.choices = choices
        self.texts = texts
        self.masks = masks
        self.alarms = alarms
        self.then = then
        self.finish = finish
        self.fast: "Callable[[bytes, Readings], Readings] | None" = None


def moved(record: Record, name: str, size: int, after: int, by: int) -> Record:
    """Return the record with every row at or behind offset `after` moved by `by` bytes: a dialect with more room."""

    def move(rows: "tuple[Any, ...]") -> "tuple[Any, ...]":
        result = []
        for row in rows:
            at = row[1] + by if row[1] >= after else row[1]
            result.append((row[0], at) + row[2:])
        return tuple(result)

    return Record(
        name,
        size,
        move(record.numbers),
        move(record.lists),
        move(record.flags),
        move(record.choices),
        move(record.texts),
        move(record.masks),
        move(record.alarms),
        record.then,
        record.finish,
    )


def joined(
    name: str,
    size: int,
    first: Record,
    second: Record,
    finish: "Callable[[Readings, bytes], None] | None" = None,
) -> Record:
    """Return one record with the rows of both; `finish` as given, else that of the second, else of the first."""
    return Record(
        name,
        size,
        first.numbers + second.numbers,
        first.lists + second.lists,
        first.flags + second.flags,
        first.choices + second.choices,
        first.texts + second.texts,
        first.masks + second.masks,
        first.alarms + second.alarms,
        second.then or first.then,
        finish or second.finish or first.finish,
    )


def reordered(record: Record, order: str = ">") -> Record:
    """Return the record with its numbers in the other byte order: JK's Modbus map is its record, big-endian."""

    def turn(rows: "tuple[Any, ...]") -> "tuple[Any, ...]":
        return tuple([(row[0], row[1], order + row[2][1]) + row[3:] for row in rows])

    return Record(
        record.name,
        record.size,
        turn(record.numbers),
        turn(record.lists),
        record.flags,
        turn(record.choices),
        record.texts,
        turn(record.masks),
        turn(record.alarms),
        record.then,
        record.finish,
    )


def decode(record: Record, data: bytes, known: "Readings | None" = None) -> "Readings":
    """Return the readings of the record by name; raise ProtocolError when the data is too short.

    known: readings of this pack that are known already; lists may take their count from it.
    """
    if len(data) < record.size:
        raise ProtocolError(f"{record.name}: {len(data)} bytes, at least {record.size} are needed")
    if record.fast is None:
        record.fast = _compile(record)
    return record.fast(data, known or {})


def scaled(raw: "int | float", zero: int, divisor: int) -> "int | float":
    """Return the value of a raw number. Divides, because 52431 * 0.001 is 52.431000000000004."""
    if divisor == 1:
        return raw - zero
    if divisor < 0:
        return (zero - raw) / -divisor
    return (raw - zero) / divisor


def text_of(field: bytes) -> str:
    """Return the readable ASCII before the first NUL, without blanks around it."""
    end = field.find(b"\x00")
    if end >= 0:
        field = field[:end]
    return "".join([chr(byte) for byte in field if 32 <= byte < 127]).strip()


def bits_of(raw: int, first: int) -> "list[int]":
    """Return `first` + bit number of every set bit."""
    result = []
    number = first
    while raw:
        if raw & 1:
            result.append(number)
        raw >>= 1
        number += 1
    return result


def interpret(record: Record, data: bytes, values: "Readings", known: "Readings") -> "Readings":
    """Decode row by row: the meaning of a table in the plainest words, and what runs on MicroPython."""
    size = len(data)
    for row in record.numbers:
        reading, at, form, zero, divisor = row[:5]
        if at + SIZES[form[1]] <= size:
            raw = struct.unpack_from(form, data, at)[0]
            if len(row) == 5 or raw not in row[5]:
                values[reading] = scaled(raw, zero, divisor)
    for reading, at, bit in record.flags:
        if at < size:
            values[reading] = bool(data[at] >> bit & 1)
    for reading, at, form, texts in record.choices:
        if at + SIZES[form[1]] <= size:
            raw = struct.unpack_from(form, data, at)[0]
            if 0 <= raw < len(texts) and texts[raw]:
                values[reading] = texts[raw]
    for reading, at, length in record.texts:
        if at < size:
            text = text_of(data[at : at + length])
            if text:
                values[reading] = text
    for reading, at, form, first in record.masks:
        if at + SIZES[form[1]] <= size:
            values[reading] = values.get(reading, []) + bits_of(struct.unpack_from(form, data, at)[0], first)
    for reading, at, form, bits in record.alarms:
        if at + SIZES[form[1]] <= size:
            raw = struct.unpack_from(form, data, at)[0]
            values[reading] = raw
            for bit, names, alarm in bits:
                if names not in values:
                    values[names] = []
                if raw >> bit & 1:
                    values[names].append(alarm)
    for lrow in record.lists:
        reading, at, form, zero, divisor, count = lrow[:6]
        absent = lrow[6] if len(lrow) == 7 else ()
        wanted = count if isinstance(count, int) else values.get(count, known.get(count))
        if wanted is None:
            continue
        width = SIZES[form[1]]
        elements: "list[int | float | None]" = []
        for index in range(min(wanted, max(0, size - at) // width)):
            raw = struct.unpack_from(form, data, at + index * width)[0]
            elements.append(None if raw in absent else scaled(raw, zero, divisor))
        if not elements and wanted:
            continue
        if not elements or any([element is not None for element in elements]):
            values[reading] = elements
    return values


def _compile(record: Record) -> "Callable[[bytes, Readings], Readings]":
    """Return a function that decodes the record: a made one on CPython, the interpreter of rows elsewhere."""
    if sys.implementation.name == "cpython":
        from .compiled import compiled

        rows = compiled(record)
    else:

        def rows(data: bytes, known: "Readings") -> "Readings":
            return interpret(record, data, {}, known)

    if record.then is None and record.finish is None:
        return rows

    finish = record.finish
    following_row = record.then
    if following_row is None:
        assert finish is not None

        def finished(data: bytes, known: "Readings") -> "Readings":
            values = rows(data, known)
            finish(values, data)
            return values

        return finished

    def whole(data: bytes, known: "Readings") -> "Readings":
        values = rows(data, known)
        following, start, reading, width = following_row
        start += values.get(reading, 0) * width
        if len(data) >= start + following.size:
            values.update(decode(following, data[start:], values))
        if finish is not None:
            finish(values, data)
        return values

    return whole


def raw_of(reading: str, form: str, value: "int | float", zero: int, divisor: int) -> int:
    """Return the raw number for a value; raise OutOfRange when the field cannot hold it.

    The check comes first: MicroPython's struct wraps without a word.
    """
    raw = round(value * divisor) + zero
    low, high = LIMITS[form[1]]
    if not low <= raw <= high:
        raise OutOfRange(f"{reading}: {value} does not fit its field ({low} to {high} raw)")
    return raw


def _put(data: bytearray, at: int, field: bytes) -> None:
    if len(data) < at + len(field):
        data.extend(bytes(at + len(field) - len(data)))
    for index in range(len(field)):
        data[at + index] = field[index]


def encode(record: Record, values: "Readings", base: bytes = b"") -> bytes:
    """Return a record that decodes to the values: the way of a twin, and of settings written whole.

    base: what stands in the bytes that no given value fills; at least as long as the record may be.
    Readings that the record does not have are passed over; a None in a list becomes its absent raw number.
    """
    data = bytearray(base)
    if len(data) < record.size:
        data.extend(bytes(record.size - len(data)))
    for row in record.numbers:
        reading, at, form, zero, divisor = row[:5]
        if values.get(reading) is not None:
            value = values[reading]
            if form[1] == "f":
                _put(data, at, struct.pack(form, float(value)))
            else:
                _put(data, at, struct.pack(form, raw_of(reading, form, value, zero, divisor)))
    for lrow in record.lists:
        reading, at, form, zero, divisor = lrow[:5]
        width = SIZES[form[1]]
        elements = values.get(reading) or []
        for index in range(len(elements)):
            value = elements[index]
            if value is None:
                if len(lrow) == 7:
                    _put(data, at + index * width, struct.pack(form, lrow[6][0]))
            elif form[1] == "f":
                _put(data, at + index * width, struct.pack(form, float(value)))
            else:
                _put(data, at + index * width, struct.pack(form, raw_of(reading, form, value, zero, divisor)))
    for reading, at, bit in record.flags:
        if reading in values:
            _put(data, at, b"" if at < len(data) else b"\x00")
            data[at] = data[at] & ~(1 << bit) & 0xFF | bool(values[reading]) << bit
    for reading, at, form, texts in record.choices:
        if values.get(reading) in texts:
            _put(data, at, struct.pack(form, texts.index(values[reading])))
    for reading, at, length in record.texts:
        if reading in values:
            field = values[reading].encode()[:length]
            _put(data, at, field + bytes(length - len(field)))
    for reading, at, form, first in record.masks:
        if reading in values:
            width = 8 * SIZES[form[1]]
            raw = 0
            for number in values[reading]:
                if 0 <= number - first < width:
                    raw |= 1 << (number - first)
            _put(data, at, struct.pack(form, raw))
    for reading, at, form, bits in record.alarms:
        word = values.get(reading)
        if word is None and any([names in values for _bit, names, _alarm in bits]):
            word = 0
            for bit, names, alarm in bits:
                if alarm in values.get(names, ()):
                    word |= 1 << bit
        if word is not None:
            _put(data, at, struct.pack(form, word))
    if record.then is not None:
        following, start, reading, width = record.then
        start += values.get(reading, 0) * width
        tail = encode(following, values, bytes(data[start:]))
        _put(data, start, tail)
    return bytes(data)
