"""The JBD family: what to ask, what an answer means, in its standard, addressed and UP dialects."""

from ...codec.dialect import ACK, FAST, ONCE, PUSH, REFUSAL, REPLY, SETTINGS, SLOW, Bluetooth, Dialect, Query
from ...codec.errors import ProtocolError
from ...codec.table import decode
from . import commands, frames, frontend, login, parameters, payload, records, up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

BASIC = 0x03
CELLS = 0x04
NAME = 0x05
COUNTERS = 0xAA
CHIP = 0x00

_PLAIN = {COUNTERS: records.COUNTERS, CHIP: records.CHIP}


def _read_cells(data: bytes) -> "Readings":
    if not data:
        return {"cell_voltages": []}
    values = decode(records.CELLS, data)
    if len(data) & 1 or not 4 <= len(data) <= 64 or max(values["cell_voltages"]) > 6:
        raise ProtocolError(f"cells: {len(data)} bytes that are no cell voltages")
    return values


def _read_block(data: bytes, known: "Readings") -> "Readings":
    if len(data) < 3 or len(data) != 3 + 2 * data[2]:
        raise ProtocolError("parameter block: the count does not fit the length")
    first, count = data[0] << 8 | data[1], data[2]
    values = decode(parameters.block(first, count, payload.is_coarse(known)), data[3:], known)
    parameters.finish(values, first, data[3:], known)
    frontend.finish(values, known)
    return values


def _read_setting(register: int, data: bytes, known: "Readings") -> "Readings":
    record = records.SETTINGS.get(register)
    if record is None:
        return {}
    if len(data) != 2:
        raise ProtocolError(f"{record.name}: {len(data)} bytes, 2 are expected")
    if payload.is_coarse(known):
        record = records.COARSE_SETTINGS.get(register, record)
    values = decode(record, data, known)
    if register == 0x38 or register == 0x39:
        frontend.finish(values, known)
    return values


def _read_other(register: int, data: bytes, known: "Readings") -> "Readings":
    """Return the readings of what both the standard and the addressed dialect have besides the basic record."""
    if register == CELLS:
        return _read_cells(data)
    if register == NAME:
        text = records.name_in(data)
        return {"model": text} if text else {}
    if register in _PLAIN:
        record = _PLAIN[register]
        if len(data) not in ((22, 24) if register == COUNTERS else (2,)):
            raise ProtocolError(f"{record.name}: {len(data)} bytes do not fit")
        return decode(record, data, known)
    if register in records.STRINGS:
        text = records.string_in(data)
        return {records.STRINGS[register]: text} if text else {}
    if register == parameters.REGISTER:
        return _read_block(data, known)
    return _read_setting(register, data, known)


def read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of one frame, {} when it has none; raise ProtocolError when it cannot be what it claims."""
    if frame[0] != REPLY:
        return {}
    register = frame[2]
    data = frame[3]
    if register == BASIC:
        if len(data) > 22 and (data[20] > 127 or known.get("function_bits", 0) & 0x1000):
            return decode(records.COARSE_BASIC, data, known)
        return decode(records.BASIC, data, known)
    if register == CELLS:
        return _read_cells(data)
    return _read_other(register, data, known)


def read_addressed(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of one frame of the addressed dialect; raise ProtocolError as `read` does."""
    if frame[0] != REPLY:
        return {}
    register, data = frame[2], frame[3]
    if register == BASIC:
        if len(data) > 28 and len(data) != 29 + 2 * data[28]:
            raise ProtocolError("addressed basic: the sensor count does not fit the length")
        if len(data) > 20 and (data[20] > 127 or known.get("function_bits", 0) & 0x1000):
            return decode(records.COARSE_ADDRESSED_BASIC, data, known)
        return decode(records.ADDRESSED_BASIC, data, known)
    return _read_other(register, data, known)


def read_up(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of one frame of a UP board; raise ProtocolError when it is too short."""
    if frame[0] != REPLY and frame[0] != PUSH:
        return {}
    record = up.RECORDS.get(frame[2])
    return decode(record, frame[3], known) if record is not None else {}


def _old_answer(register: int, data: bytes) -> bool:
    # Firmware of 2018 repeats the A5 of the question instead of its register: only the length can tell.
    if register == BASIC:
        return len(data) > 22 and len(data) == 23 + 2 * data[22]
    if register == CELLS:
        return len(data) & 1 == 0 and all([data[at] < 0x18 for at in range(0, len(data), 2)])
    return register == NAME and all([32 <= byte < 127 for byte in data])


def _is_block(query: Query, data: bytes) -> bool:
    _register, first, count = query.key
    return data[:3] == bytes((first >> 8, first & 0xFF, count))


def collect(query: Query, address: int, received: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings that answer the query, None while there is no answer; raise Refused or ProtocolError."""
    key = query.key
    for frame in received:
        # What nearly always comes, first.
        if frame[2] == key and frame[0] == REPLY:
            return read(frame, known)
    wanted = key if isinstance(key, int) else key[0]
    for frame in received:
        register = frame[2]
        if register == wanted:
            if frame[0] == REPLY and _is_block(query, frame[3]):
                return read(frame, known)
            if frame[0] == REFUSAL:
                raise frames.refused(wanted, frame[3][0])
            if frame[0] == ACK:
                return _nothing(wanted)
        elif register == frames.READ and frame[0] == REPLY and _old_answer(wanted, frame[3]):
            return read((REPLY, None, wanted, frame[3]), known)
    return None


def _nothing(register: int) -> "Readings":
    if register == BASIC:
        raise ProtocolError("basic: an answer without data")
    return {"cell_voltages": []} if register == CELLS else {}


def collect_addressed(
    query: Query, address: int, received: "list[Frame]", known: "Readings", quiet: bool
) -> "Readings | None":
    """Return the readings that answer the query, None while there is no answer; raise Refused or ProtocolError."""
    for frame in received:
        if frame[1] == address and frame[2] == query.key:
            if frame[0] == REPLY:
                return read_addressed(frame, known)
            if frame[0] == REFUSAL:
                raise frames.refused(query.key, frame[3][0])
            if frame[0] == ACK:
                return _nothing(query.key)
    return None


def collect_up(
    query: Query, address: int, received: "list[Frame]", known: "Readings", quiet: bool
) -> "Readings | None":
    """Return the readings that answer the query, None while there is no answer; raise ProtocolError."""
    key = query.key[0] << 16 | query.key[1]
    for frame in received:
        if frame[0] == REPLY and frame[1] == address and frame[2] == key:
            return read_up(frame, known)
    return None


def request(query: Query, address: int) -> bytes:
    """Return the standard frame that asks for it."""
    if isinstance(query.key, int):
        return frames.request(frames.READ, query.key)
    register, first, count = query.key
    return frames.request(frames.READ, register, bytes((first >> 8, first & 0xFF, count)))


def request_addressed(query: Query, address: int) -> bytes:
    """Return the addressed frame that asks for it."""
    return frames.addressed_request(address, frames.READ, query.key)


def request_up(query: Query, address: int) -> bytes:
    """Return the UP frame that asks for it."""
    function, start, end = query.key
    return frames.up_request(address, function, start, end)


def _settings() -> "list[Query]":
    # The functions come first: their bit 12 tells the unit of others.
    queries = [Query("functions", 0x2D, SETTINGS)]
    for register in sorted(records.SETTINGS):
        if register != 0x2D:
            queries.append(Query(f"setting-{register:02x}", register, SETTINGS, optional=register >= 0x40))
    for register in sorted(records.STRINGS):
        queries.append(Query(records.STRINGS[register], register, SETTINGS, optional=True))
    for first, count in parameters.BLOCKS:
        queries.append(Query(f"block-{first}", (parameters.REGISTER, first, count), SETTINGS, optional=True))
    return queries


_LIVE = (Query("basic", BASIC, FAST), Query("cells", CELLS, FAST))

QUERIES = _LIVE + (
    Query("name", NAME, ONCE, optional=True),
    Query("counters", COUNTERS, SLOW, optional=True),
    Query("chip", CHIP, ONCE, optional=True),
)

# UP boards answer after 150 to 600 ms.
UP_TIMEOUT = 1.5
UP_QUERIES = (
    Query("status", (up.READ, 0x1000, 0x10A0), FAST, UP_TIMEOUT),
    Query("information", (up.READ, 0x1C00, 0x1CA0), ONCE, UP_TIMEOUT, optional=True),
    Query("product", (up.READ, 0x2810, 0x283C), ONCE, UP_TIMEOUT, optional=True),
    # Asked from SOC on, because asking from 2000 can drop the discharge limit to 0 for a moment.
    Query("capacity", (up.READ, 0x2006, 0x2018), SLOW, UP_TIMEOUT, optional=True),
    Query("clock", (up.READ, 0x2800, 0x280F), SLOW, UP_TIMEOUT, optional=True),
    Query("protection", (up.READ, 0x1800, 0x1900), SETTINGS, UP_TIMEOUT, optional=True),
    Query("own", (up.OWN, 0x0000, 0x0054), SETTINGS, UP_TIMEOUT, optional=True),
)

DIALECTS = (
    Dialect(
        "jbd",
        "jbd",
        "JBD, Xiaoxiang, Overkill Solar: UART, RS485, Bluetooth",
        QUERIES + tuple(_settings()),
        "basic",
        request,
        frames.Receiver,
        collect,
        read,
        (records.BASIC, records.BASIC_TAIL, records.CELLS, records.COUNTERS, records.CHIP)
        + tuple([records.SETTINGS[register] for register in sorted(records.SETTINGS)])
        + (parameters.PARAMETERS,),
        calm=0.06,
        around=((frames.enter_factory_mode(),), (frames.leave_factory_mode(),)),
        commands=commands.STANDARD,
        login=login.begin,
    ),
    Dialect(
        "jbd-addr",
        "jbd",
        "JBD with board address: RS485 of UP16S010 and relatives",
        _LIVE + (Query("name", NAME, ONCE, optional=True),),
        "basic",
        request_addressed,
        frames.AddressedReceiver,
        collect_addressed,
        read_addressed,
        (records.ADDRESSED_BASIC, records.CELLS),
        addresses=tuple(range(16)),
        calm=0.06,
        commands=commands.ADDRESSED,
    ),
    Dialect(
        "jbd-up",
        "jbd",
        "JBD UP16S rack boards: RS485, RS232",
        UP_QUERIES,
        "status",
        request_up,
        frames.UpReceiver,
        collect_up,
        read_up,
        tuple([up.RECORDS[key] for key in sorted(up.RECORDS)]) + (up.STATUS_SENSORS, up.STATUS_END, up.OWN_END),
        addresses=tuple(range(1, 17)),
        calm=0.06,
        commands=commands.UP,
    ),
)

BLUETOOTH = Bluetooth(
    "jbd",
    speaks=("jbd", "jbd-up"),
    services=(("FFF0", "FFF1", "FFF2"), ("FF00", "FF01", "FF02")),
    # Sellers name them as they like; these are the names of the makers of the module.
    names=("JBD-*", "xiaoxiang*", "?P[0-9][0-9]S*", "LT40AH*", "SBL-*", "OGR-*", "LSG-*", "TZ-H*", "SX60*"),
    prefixes=("A4:C1:37", "A4:C1:38", "A5:C2:37", "A5:C2:39", "A5:C2:3A", "AA:C2:37", "70:3E:97", "10:A5:62"),
)
