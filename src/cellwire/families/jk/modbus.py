"""JK on RS485 as Modbus-RTU: the same records as big-endian register blocks, read in pieces of at most 32 words.

JK counts addresses in bytes and lengths in words: 32 words from 0x1200 end before 0x1240.
"""

import struct

from ...codec.checksum import crc16
from ...codec.dialect import (
    ACK,
    FAST,
    ONCE,
    REFUSAL,
    REPLY,
    REQUEST,
    SETTINGS,
    SLOW,
    Dialect,
    Query,
)
from ...codec.errors import Refused
from ...codec.table import Record, decode, reordered
from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

READ, WRITE = 0x03, 0x10
WORDS = 32
HIGHEST = 0x0F


def sealed(frame: bytes) -> bytes:
    """Return the frame with its CRC behind it, low byte first."""
    crc = crc16(frame)
    return frame + bytes((crc & 0xFF, crc >> 8))


def whole(frame: bytes) -> bool:
    """Return whether the last two bytes are the CRC of the others."""
    return crc16(frame[:-2]) == frame[-2] | frame[-1] << 8


def read_words(address: int, register: int, count: int) -> bytes:
    """Return the FC03 request for `count` words from the byte address `register`."""
    return sealed(struct.pack(">BBHH", address, READ, register, count))


def write_words(address: int, register: int, payload: bytes) -> bytes:
    """Return the FC16 request that writes the payload, two bytes a word, to the byte address `register`."""
    size = len(payload)
    return sealed(struct.pack(">BBHHB", address, WRITE, register, size // 2, size) + payload)


def shape(buffer: bytes) -> "tuple[int, ...]":
    """Return the sizes that a Modbus frame at the start of the buffer can have, () when there cannot be one."""
    if not buffer or not 1 <= buffer[0] <= HIGHEST:
        return ()
    if len(buffer) < 2:
        return (5,)
    function = buffer[1]
    if function == READ:
        # An answer has twice as many bytes as words; a request of 8 bytes may look like one.
        if len(buffer) < 3:
            return (5,)
        count = buffer[2]
        return (8, 5 + count) if 0 < count <= 2 * WORDS + 16 and count % 2 == 0 else (8,)
    if function == WRITE:
        if len(buffer) < 7:
            return (8,)
        count = buffer[6]
        return (8, 9 + count) if count and count == 2 * buffer[5] and buffer[4] == 0 else (8,)
    if function in (READ | 0x80, WRITE | 0x80):
        return (5,)
    return ()


def frame_of(frame: bytes) -> "Frame":
    """Return the frame tuple of a checked Modbus frame: answers to reading do not carry their register."""
    address, function = frame[0], frame[1]
    if function & 0x80:
        return (REFUSAL, address, function & 0x7F, frame[2:3])
    register = frame[2] << 8 | frame[3]
    if function == READ:
        if len(frame) == 8 and frame[2] != 3:
            return (REQUEST, address, register, frame[4:6])
        return (REPLY, address, None, frame[3:-2])
    if len(frame) == 8:
        return (ACK, address, register, frame[4:6])
    return (REQUEST, address, register, frame[7:-2])


class Receiver:
    """Turns the bytes of a Modbus line into checked frames: requests, answers and refusals."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.damaged = 0

    def waiting(self) -> int:
        """Return the bytes of a frame that has begun."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames they complete: (kind, address, register or function, bytes)."""
        buffer = self._buffer + data
        frames: "list[Frame]" = []
        while buffer:
            sizes = shape(buffer)
            found = 0
            for size in sizes:
                if len(buffer) >= size and whole(buffer[:size]):
                    found = size
                    break
            if found:
                frames.append(frame_of(buffer[:found]))
                buffer = buffer[found:]
            elif sizes and len(buffer) < sizes[-1]:
                break
            else:
                self.damaged += 1 if sizes else 0
                self.dropped += 1
                buffer = buffer[1:]
        self._buffer = buffer
        return frames


def _big(record: Record, words: "tuple[tuple[str, int, int, int], ...]" = ()) -> Record:
    """Return the record big-endian, with the switches of its words where that order puts them."""
    turned = reordered(record)
    names = [row[0] for row in words]
    turned.flags = tuple([row for row in record.flags if row[0] not in names]) + records.switch_rows(words, True)
    return turned


def piece(record: Record, start: int, size: int) -> Record:
    """Return the rows of the record that lie whole within `size` bytes from `start`, counted from there."""

    def inside(rows: "tuple[Any, ...]", widths: "tuple[int, ...]") -> "tuple[Any, ...]":
        kept = []
        for index in range(len(rows)):
            row = rows[index]
            if start <= row[1] and row[1] + widths[index] <= start + size:
                kept.append((row[0], row[1] - start) + row[2:])
        return tuple(kept)

    def widths(rows: "tuple[Any, ...]") -> "tuple[int, ...]":
        return tuple([struct.calcsize(row[2]) for row in rows])

    return Record(
        record.name,
        size,
        numbers=inside(record.numbers, widths(record.numbers)),
        lists=inside(record.lists, widths(record.lists)),
        flags=inside(record.flags, (1,) * len(record.flags)),
        choices=inside(record.choices, widths(record.choices)),
        texts=inside(record.texts, tuple([row[2] for row in record.texts])),
        masks=inside(record.masks, widths(record.masks)),
        alarms=inside(record.alarms, widths(record.alarms)),
    )


CELLS = _big(records.CELLS_32S_14)
SETTINGS_BLOCK = _big(records.SETTINGS_32S, records.SWITCHES + records.CONTROLS)
DEVICE_BLOCK = _big(records.DEVICE_32S)

# name, register of the block, record of the block, first offset in the record, words, pace
PIECES = (
    ("mask", 0x1200, CELLS, 70, 5, FAST),
    ("cells", 0x1200, CELLS, 6, 32, FAST),
    ("status", 0x1200, CELLS, 144, 32, FAST),
    ("resistances", 0x1200, CELLS, 80, 32, SLOW),
    ("inputs", 0x1200, CELLS, 208, 31, SLOW),
    ("phase", 0x1200, CELLS, 270, 7, SLOW),
    ("model", 0x1400, DEVICE_BLOCK, 6, 28, ONCE),
    ("serial", 0x1400, DEVICE_BLOCK, 78, 20, ONCE),
    ("texts", 0x1400, DEVICE_BLOCK, 134, 8, ONCE),
    ("ports", 0x1400, DEVICE_BLOCK, 184, 32, ONCE),
    ("triggers", 0x1400, DEVICE_BLOCK, 246, 17, ONCE),
    ("limits", 0x1000, SETTINGS_BLOCK, 6, 32, SETTINGS),
    ("temperature_limits", 0x1000, SETTINGS_BLOCK, 70, 32, SETTINGS),
    ("balance", 0x1000, SETTINGS_BLOCK, 134, 4, SETTINGS),
    ("switches", 0x1000, SETTINGS_BLOCK, 270, 14, SETTINGS),
)
RECORDS = {name: piece(record, start, 2 * words) for name, _base, record, start, words, _pace in PIECES}

QUERIES = tuple(
    [
        Query(name, (base + start - 6, words), pace, timeout=0.5, optional=pace == ONCE)
        for name, base, _record, start, words, pace in PIECES
    ]
)


def request(query: Query, address: int) -> bytes:
    """Return the FC03 request for the piece of the query."""
    return read_words(address, query.key[0], query.key[1])


def read(frame: "Frame", known: "Readings") -> "Readings":
    """Return {}: an answer of Modbus does not say what was asked."""
    return {}


def read_piece(name: str, data: bytes, known: "Readings") -> "Readings":
    """Return the readings in the answer to the query of that name."""
    values = decode(RECORDS[name], data, known)
    if name == "mask":
        values["cell_count"] = records.COUNTS.get(values["cell_mask"], 0)
        if not values["cell_count"]:
            for reading in ("cell_mean", "cell_delta", "cell_max_number", "cell_min_number"):
                values.pop(reading, None)
            if values["cell_mask"]:
                # Cells with gaps in between do not fit the lists of the other pieces: nothing is said about them.
                values.pop("cell_count")
    elif name == "cells":
        values["record_variant"] = "32S"
    elif name == "status":
        values["balancing"] = data[172 - 144] != 0
        _sensors(values, known)
    elif name == "inputs":
        _far_sensors(values, data, known)
    elif name == "switches":
        records.finish_settings(values)
    elif name in ("serial", "ports", "triggers"):
        records.finish_device(values)
    return values


def _sensors(values: "Readings", known: "Readings") -> None:
    """Keep T4 and T5, which another piece carries, behind T1 and T2."""
    further = known.get("temperatures", [])[2:]
    if further:
        values["temperatures"] = values.get("temperatures", [None, None]) + further


def _far_sensors(values: "Readings", data: bytes, known: "Readings") -> None:
    """Put T4 and T5 behind the T1 and T2 that are known."""
    near = known.get("temperatures", [])[:2]
    fourth, fifth = struct.unpack_from(">hh", data, records.T4 - 208)
    version = known.get("software_version", "")
    if not near or (records.major(version) < 14 if version else fourth == fifth == 0):
        return
    found = near + [None] * (3 - len(near))
    for raw in (fourth, fifth):
        found.append(None if raw == records.NO_SENSOR else raw / 10)
    while found[-1] is None:
        found.pop()
    values["temperatures"] = found


def collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the piece, None while it has not come; raise Refused when the pack says no."""
    for kind, owner, _key, payload in frames:
        if owner == address and kind == REPLY and len(payload) == 2 * query.key[1]:
            return read_piece(query.name, payload, known)
        if owner == address and kind == REFUSAL:
            raise Refused(payload[0], f"the pack refused {query.name}: Modbus exception {payload[0]}")
    return None


JK_MODBUS = Dialect(
    name="jk-modbus",
    family="jk",
    title="JK, RS485 Modbus",
    queries=QUERIES,
    probe="model",
    request=request,
    receiver=Receiver,
    collect=collect,
    read=read,
    records=(CELLS, SETTINGS_BLOCK, DEVICE_BLOCK),
    bauds=(115200, 9600),
    addresses=tuple(range(1, 16)),
    gap=0.05,
    listens=True,
)
