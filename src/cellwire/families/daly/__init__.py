"""Daly: the A5 frames of older boards and the two register dialects of newer ones, D2 and P81."""

from ...codec.dialect import FAST, ONCE, REFUSAL, REPLY, SETTINGS, SLOW, Bluetooth, Dialect, Listener, Query
from ...codec.errors import Refused
from ...codec.table import decode
from .a5 import MOST_PARTS, PARTS, RECORDS, from_board, join, parts_needed
from .commands import A5, D2, P81
from .frames import (
    D2_UNIT,
    P81_REQUEST,
    READ,
    A5Receiver,
    a5_frame,
    a5_host,
    d2_receiver,
    p81_receiver,
    register_frame,
)
from .registers import D2_LENGTHS, D2_RECORDS, P81_LENGTHS, P81_RECORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.dialect import Frame
    from ...codec.table import Readings, Record

# An A5 frame has 13 bytes and comes some 40 ms after its question; slow ones take up to half a second.
A5_QUERIES = (
    Query("status", 0x94, FAST),
    Query("pack", 0x90, FAST),
    Query("cells", 0x95, FAST),
    Query("temperatures", 0x96, FAST),
    Query("mosfets", 0x93, FAST),
    Query("alarms", 0x98, FAST),
    Query("balancing", 0x97, FAST),
    Query("cell_extremes", 0x91, SETTINGS),
    Query("temperature_extremes", 0x92, SETTINGS),
    Query("rating", 0x50, ONCE, optional=True),
    Query("battery_code", 0x57, ONCE, optional=True),
    Query("firmware", 0x54, ONCE, optional=True),
    Query("software", 0x62, ONCE, optional=True),
    Query("hardware", 0x63, ONCE, optional=True),
    Query("details", 0x53, ONCE, optional=True),
    Query("totals", 0x52, SLOW, optional=True),
    Query("boards", 0x51, SETTINGS, optional=True),
    Query("cell_limits", 0x59, SETTINGS, optional=True),
    Query("pack_limits", 0x5A, SETTINGS, optional=True),
    Query("current_limits", 0x5B, SETTINGS, optional=True),
    Query("temperature_limits", 0x5C, SETTINGS, optional=True),
    Query("soc_limits", 0x5D, SETTINGS, optional=True),
    Query("difference_limits", 0x5E, SETTINGS, optional=True),
    Query("balance_settings", 0x5F, SETTINGS, optional=True),
    Query("short_circuit", 0x60, SETTINGS, optional=True),
    Query("clock", 0x61, SETTINGS, optional=True),
)

# The key of a register query is (first register, count).
D2_QUERIES = (
    Query("status", (0x00, 62), FAST),
    Query("extension", (0x3E, 9), FAST, optional=True),
    Query("versions", (0xA9, 32), ONCE, optional=True),
    Query("settings", (0x80, 41), SETTINGS),
    Query("balancer", (0xCC, 5), SETTINGS, optional=True),
    Query("clock", (0xD4, 3), SETTINGS, optional=True),
)
P81_QUERIES = (
    Query("cells", (0x00, 64), FAST),
    Query("status", (0x41, 62), FAST),
    Query("versions", (0x178, 74), ONCE, optional=True),
    Query("settings", (0x100, 81), SETTINGS),
    Query("more_settings", (0x151, 39), SETTINGS, optional=True),
)


def a5_request(query: Query, address: int) -> bytes:
    """Return the 13 bytes that ask a board (1 to 16), or whoever listens to the app's address 0x80."""
    return a5_frame(a5_host(address), query.key)


def a5_collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of an answer, None while parts of it are missing.

    A long answer is complete with the parts that the known number of cells needs, however many the module sends. On
    a quiet line a lost part leaves None in the list. Without the number of cells there is no telling where the list
    ends, so there is no answer: ask "status" first.
    """
    command = query.key
    if command in PARTS:
        needed = parts_needed(command, known)
        if needed is None or needed > MOST_PARTS:
            return None
        data = join(command, frames, address, needed, quiet)
        return None if data is None else _long(command, data, known)
    for kind, board, key, payload in frames:
        if kind == REPLY and key == command and from_board(board, address):
            return decode(RECORDS[command], payload, known)
    return None


def _long(command: int, data: bytes, known: "Readings") -> "Readings":
    values = decode(RECORDS[command], data, known)
    for name in ("cell_voltages", "temperatures"):
        elements = values.get(name)
        while elements and elements[-1] is None:
            elements.pop()
    return values


def a5_read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of one frame; {} for a part of a longer answer, which only collect() can place and cut."""
    kind, _board, command, payload = frame
    if kind != REPLY or command not in RECORDS or len(payload) != 8:
        return {}
    if command in PARTS:
        if payload[0] == 1 and parts_needed(command, known) == 1:
            return _long(command, payload[1 : 1 + PARTS[command][0]], known)
        return {}
    return decode(RECORDS[command], payload, known)


class A5Listener(Listener):
    """Joins answers in parts too, once the count of their elements went by."""

    def __init__(self) -> None:
        Listener.__init__(self, a5_read)
        self._parts: "dict[tuple[int | None, int], list[Frame]]" = {}

    def take(self, frame: "Frame") -> "list[tuple[int | None, Readings]]":
        """Return (board, readings) of the answer that this frame completes."""
        kind, board, command, payload = frame
        if kind != REPLY or command not in PARTS or board is None:
            return Listener.take(self, frame)
        if payload[0] == 1:
            self._parts[board, command] = []
        parts = self._parts.setdefault((board, command), [])
        parts.append(frame)
        known = self.known.setdefault(board, {})
        values = a5_collect(Query("", command), board, parts, known, False)
        if not values:
            return []
        parts.clear()
        known.update(values)
        return [(board, values)]


def d2_request(query: Query, address: int) -> bytes:
    """Return the read of the query's registers; D2 has no addresses."""
    return register_frame(D2_UNIT, READ, query.key[0], query.key[1])


def p81_request(query: Query, address: int) -> bytes:
    """Return the read of the query's registers for a board, 1 to 16."""
    return register_frame(P81_REQUEST + address - 1, READ, query.key[0], query.key[1])


def _collect(
    query: Query, address: int, frames: "list[Frame]", known: "Readings", records: "dict[int, Record]"
) -> "Readings | None":
    register, count = query.key
    for kind, board, key, payload in frames:
        if board is not None and board != address:
            continue
        if kind == REFUSAL:
            raise Refused(payload[0], f"the BMS refuses registers {register:#x}, exception {payload[0]}")
        # A reply of another length answers an earlier question that was given up.
        if kind == REPLY and len(payload) == 2 * count and (key is None or key == register):
            return decode(records[register], payload, known)
    return None


def _read(frame: "Frame", known: "Readings", records: "dict[int, Record]", lengths: "dict[int, int]") -> "Readings":
    kind, _board, key, payload = frame
    if kind != REPLY:
        return {}
    size = len(payload)
    if key is None:
        key = lengths.get(size)
    record = records.get(key)
    if record is None or (size != record.size and lengths.get(size) != key):
        return {}
    return decode(record, payload, known)


def d2_collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the reply that has the length asked for, None while it is not there."""
    return _collect(query, address, frames, known, D2_RECORDS)


def d2_read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of a reply: by the register when the question was seen, else by a length that tells."""
    return _read(frame, known, D2_RECORDS, D2_LENGTHS)


def p81_collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the board's reply that has the length asked for, None while it is not there."""
    return _collect(query, address, frames, known, P81_RECORDS)


def p81_read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of a reply: by the register when the question was seen, else by a length that tells."""
    return _read(frame, known, P81_RECORDS, P81_LENGTHS)


DIALECTS = (
    Dialect(
        "daly-a5",
        "daly",
        "Daly with 13-byte frames (A5): older boards, R16 to R32, Y series",
        A5_QUERIES,
        "pack",
        a5_request,
        A5Receiver,
        a5_collect,
        a5_read,
        tuple(RECORDS.values()),
        addresses=tuple([1, 0x80] + list(range(2, 17))),
        calm=0.1,
        sum_tolerance=(0.2, 0.01),
        listener=A5Listener,
        commands=A5,
    ),
    Dialect(
        "daly-d2",
        "daly",
        "Daly with registers, unit D2: H, K, M, S series by Bluetooth or UART, smart active balancer",
        D2_QUERIES,
        "status",
        d2_request,
        d2_receiver,
        d2_collect,
        d2_read,
        tuple(D2_RECORDS.values()),
        calm=0.1,
        sum_tolerance=(0.2, 0.01),
        commands=D2,
    ),
    Dialect(
        "daly-p81",
        "daly",
        "Daly with registers, board 81 and up: K series, 100 Balance, energy storage",
        P81_QUERIES,
        "cells",
        p81_request,
        p81_receiver,
        p81_collect,
        p81_read,
        tuple(P81_RECORDS.values()),
        addresses=tuple(range(1, 17)),
        calm=0.1,
        sum_tolerance=(0.2, 0.01),
        commands=P81,
    ),
)

BLUETOOTH = Bluetooth(
    "daly",
    speaks=("daly-d2", "daly-p81", "daly-a5"),
    services=(("FFF0", "FFF1", "FFF2"), ("FF00", "FF01", "FF02")),
    # HLK-B20 and B40 modules: the maker's app says this first.
    hello=(("02f00000-0000-0000-0000-00000000ff05", b"HiLink"),),
    names=("DL-*", "JHB-*"),
    makers=tuple(
        (company, b"", mark) for company in (0x0102, 0x0104, 0x0302, 0x0303, 0x0402) for mark in (b"DL", b"JHB")
    ),
)
