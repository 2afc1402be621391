"""JK PB packs on RS485: a Modbus write to a trigger register is answered by a whole record and the write's echo.

The record does not say whose it is; the echo behind it does, and so does the request before it. A pack with address
0 is master of the bus: it asks the others, and tells its own records without request and without echo.
"""

from ...codec.dialect import ACK, FAST, ONCE, REFUSAL, REPLY, REQUEST, SETTINGS, Dialect, Listener, Query
from ...codec.errors import ProtocolError, Refused
from . import records
from .ble import RECORD, SIZE, TYPES
from .modbus import HIGHEST, frame_of, shape, whole, write_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

TRIGGERS = {records.CELLS: 0x1620, records.SETTINGS: 0x161E, records.DEVICE: 0x161C}
TYPES_BY_TRIGGER = {register: key for key, register in TRIGGERS.items()}

# Between the record and its echo, and behind the echo, some buses have a byte of zero.
PADDING = 0


class Receiver:
    """Turns the bytes of the bus into requests, records and echoes, whoever sent them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._padding = False
        self.dropped = 0
        self.damaged = 0

    def waiting(self) -> int:
        """Return the bytes of a frame that has begun."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames they complete: (kind, address or None, record type or register, bytes)."""
        buffer = self._buffer + data
        frames: "list[Frame]" = []
        while buffer:
            if buffer[0] == 0x55 and RECORD.startswith(buffer[:4]):
                if len(buffer) < SIZE:
                    break
                record = buffer[:SIZE]
                if (sum(record) - 2 * record[299]) & 0xFF == 0 and record[4] in TYPES:
                    frames.append((REPLY, None, record[4], record))
                    buffer = buffer[SIZE:]
                    self._padding = True
                    continue
                self.damaged += 1
                sizes: "tuple[int, ...]" = ()
            else:
                sizes = shape(buffer)
                found = 0
                for size in sizes:
                    if len(buffer) >= size and whole(buffer[:size]):
                        found = size
                        break
                if found:
                    frames.append(self._named(frame_of(buffer[:found])))
                    buffer = buffer[found:]
                    self._padding = True
                    continue
                if sizes and len(buffer) < sizes[-1] and buffer.find(RECORD) < 0:
                    break
            self._drop(buffer[0])
            buffer = buffer[1:]
        self._buffer = buffer
        return frames

    def _named(self, frame: "Frame") -> "Frame":
        kind, address, register, payload = frame
        return (kind, address, TYPES_BY_TRIGGER.get(register, register), payload)

    def _drop(self, byte: int) -> None:
        if not (self._padding and byte == PADDING):
            self.dropped += 1
        self._padding = False


QUERIES = (
    # Some firmware ignores the question for cell info until the settings were asked.
    Query("settings", records.SETTINGS, SETTINGS, timeout=1.0),
    Query("cells", records.CELLS, FAST, timeout=0.5),
    Query("device", records.DEVICE, ONCE, timeout=0.5),
)


def request(query: Query, address: int) -> bytes:
    """Return the write of one zero word to the trigger register of the query's record."""
    return write_words(address, TRIGGERS[query.key], b"\x00\x00")


def read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of a record, {} for other frames."""
    reader = records.READERS_02.get(frame[2])
    if reader is None or frame[0] != REPLY:
        return {}
    return reader(frame[3], known)


def collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the record that the asked pack's echo follows; raise Refused when it says no.

    A settings record names its owner itself, so it may do without the echo when the line falls silent.
    """
    record: "Frame | None" = None
    for frame in frames:
        kind, owner, key, _payload = frame
        if kind == REPLY:
            record = frame if key == query.key else None
        elif kind == ACK and key == query.key:
            if owner == address and record is not None:
                return read(record, known)
            record = None
        elif kind == REFUSAL and owner == address:
            raise Refused(frame[3][0], f"the pack refused {query.name}: Modbus exception {frame[3][0]}")
    if quiet and record is not None and query.key == records.SETTINGS and record[3][270] == address:
        return read(record, known)
    return None


class BusListener(Listener):
    """Names the owner of every record that goes by on a bus with another master.

    An echo behind a record names its owner, and a settings record names it inside. A record that nobody asked for and
    no echo follows is the master's, address 0. A record that was asked for and has no echo may be from the pack that
    was asked, or from the master, which speaks after it asked for packs that are not there: it is the master's when
    the master's settings follow at once, as they do, and else nobody's.
    """

    def __init__(self) -> None:
        super().__init__(read)
        self._asked: "int | None" = None
        self._record: "Frame | None" = None

    def take(self, frame: "Frame") -> "list[tuple[int | None, Readings]]":
        """Return (address, readings) for every record whose owner is certain now."""
        found: "list[tuple[int | None, Readings]]" = []
        for owner, record in self.owned(frame):
            known = self.known.setdefault(owner, {})
            try:
                values = read(record, known)
            except ProtocolError:
                continue
            known.update(values)
            found.append((owner, values))
        return found

    def owned(self, frame: "Frame") -> "list[tuple[int, Frame]]":
        """Return (address, record) for every record whose owner is certain now."""
        kind, address, key, payload = frame
        held, asked = self._record, self._asked
        if kind == ACK:
            self._record, self._asked = None, None
            named = held is not None and held[2] == key and asked in (None, address)
            return [(address, held)] if named and held is not None and address is not None else []
        found: "list[tuple[int, Frame]]" = []
        if held is not None:
            self._record, self._asked = None, None
            if asked is None or (kind == REPLY and key == records.SETTINGS and payload[270] == 0):
                found.append((0, held))
        if kind == REQUEST:
            self._asked = address
        elif kind == REPLY and key == records.SETTINGS and payload[270] <= HIGHEST:
            if self._asked in (None, payload[270]) or payload[270] == 0:
                found.append((payload[270], frame))
            self._asked = None
        elif kind == REPLY:
            self._record = frame
        return found


JK_PB = Dialect(
    name="jk-pb",
    family="jk",
    title="JK PB series, RS485",
    queries=QUERIES,
    probe="settings",
    request=request,
    receiver=Receiver,
    collect=collect,
    read=read,
    records=(records.CELLS_32S_14, records.SETTINGS_32S, records.DEVICE_32S),
    bauds=(115200,),
    addresses=tuple(range(1, 16)),
    gap=0.12,
    listens=True,
    listener=BusListener,
)
