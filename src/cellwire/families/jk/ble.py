"""JK02 and JK04 framing: commands of 20 bytes, records of 300 bytes, on Bluetooth or any other stream."""

from ...codec.checksum import sum8
from ...codec.dialect import ACK, FAST, ONCE, PUSH, REFUSAL, REPLY, REQUEST, SETTINGS, Dialect, Query
from ...codec.errors import ProtocolError, Refused
from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

RECORD = b"\x55\xaa\xeb\x90"
COMMAND = b"\xaa\x55\x90\xeb"
SIZE = 300
COMMAND_SIZE = 20
ACCEPTED = 0xC8
TYPES = b"\x01\x02\x03\x05"


def command(register: int, value: bytes = b"") -> bytes:
    """Return the 20 bytes of a command or a register write; the unused value bytes are zero."""
    frame = COMMAND + bytes((register, len(value))) + value + bytes(13 - len(value))
    return frame + bytes((sum8(frame),))


def began(buffer: bytes, starts: "tuple[bytes, ...]") -> int:
    """Return how many bytes at the end of the buffer may be the first of a start mark."""
    for size in (3, 2, 1):
        for start in starts:
            if buffer[-size:] == start[:size] and len(buffer) >= size:
                return size
    return 0


class Receiver:
    """Turns notifications, cut anywhere, into checked records and acknowledgements."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.damaged = 0

    def waiting(self) -> int:
        """Return the bytes of a frame that has begun."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames they complete: (kind, None, record type or register, bytes)."""
        buffer = self._buffer + data
        frames: "list[Frame]" = []
        if len(buffer) < SIZE and buffer.startswith(RECORD):
            self._buffer = buffer
            return frames
        # A loop turn takes one frame, or one byte that begins none.
        while True:
            start = buffer.find(RECORD)
            if start != 0:
                other = buffer.find(COMMAND)
                if start < 0 or 0 <= other < start:
                    start = other
                if start < 0:
                    start = len(buffer) - began(buffer, (RECORD, COMMAND))
                if start:
                    self.dropped += start
                    buffer = buffer[start:]
                if len(buffer) < 4:
                    break
            if buffer[0] == 0x55:
                if len(buffer) < SIZE:
                    break
                record = buffer[:SIZE]
                if (sum(record) - 2 * record[299]) & 0xFF == 0 and record[4] in TYPES:
                    frames.append((PUSH if record[4] == records.CELLS else REPLY, None, record[4], record))
                    buffer = buffer[SIZE:]
                    if buffer:
                        continue
                    break
            else:
                if len(buffer) < COMMAND_SIZE:
                    break
                frame = buffer[:COMMAND_SIZE]
                if sum8(frame[:19]) == frame[19] and frame[5] <= 13:
                    frames.append(self._command(frame))
                    buffer = buffer[COMMAND_SIZE:]
                    if buffer:
                        continue
                    break
            self.damaged += 1
            self.dropped += 1
            buffer = buffer[1:]
        self._buffer = buffer
        return frames

    def _command(self, frame: bytes) -> "Frame":
        value = frame[6 : 6 + frame[5]]
        if frame[4] != ACCEPTED:
            return (REQUEST, None, frame[4], value)
        # No other value than 1 was ever seen.
        return (ACK if value == b"\x01" else REFUSAL, None, None, value)


# The order matters: some units never start their stream when the settings are asked before the device info.
QUERIES = (
    Query("device", (0x97, records.DEVICE), ONCE, timeout=1.5),
    Query("cells", (0x96, records.CELLS), FAST, timeout=5.0, pushed=True),
    Query("settings", (0x96, records.SETTINGS), SETTINGS, timeout=1.5),
)
LOG_QUERY = Query("log", (0xA1, records.LOG), ONCE, timeout=1.5, optional=True)


def request(query: Query, address: int) -> bytes:
    """Return the command that asks for the record of the query."""
    return command(query.key[0])


def old(frame: "Frame") -> "bool | None":
    """Return True when a device info record is that of a JK04 board; None when it does not say."""
    if frame[2] != records.DEVICE:
        return None
    values = records.device(frame[3], {})
    version = values.get("software_version")
    if not version:
        return None
    # The one JK04 board whose software has a higher number.
    return records.major(version) < 6 or values.get("model", "").startswith("JK-B5A24S")


def read_02(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of a JK02 record, {} for other frames; raise ProtocolError for one of JK04."""
    reader = records.READERS_02.get(frame[2])
    if reader is None or frame[0] not in (REPLY, PUSH):
        return {}
    return reader(frame[3], known)


def read_04(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of a JK04 record, {} for other frames; raise ProtocolError for one of JK02."""
    reader = records.READERS_04.get(frame[2])
    if reader is None or frame[0] not in (REPLY, PUSH):
        return {}
    return reader(frame[3], known)


def _answer(query: Query, frames: "list[Frame]", quiet: bool) -> "Frame | None":
    """Return the newest record of the query's type; settled once the acknowledgement or the stream follows it."""
    found = None
    followed = quiet or query.key[1] == records.CELLS
    for frame in frames:
        if frame[0] in (REPLY, PUSH) and frame[2] == query.key[1]:
            found = frame
        elif found is not None and frame[0] in (ACK, PUSH):
            followed = True
    return found if followed else None


def collect_02(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the record that answers the query, None while it has not come."""
    frame = _answer(query, frames, quiet)
    if frame is None and query is LOG_QUERY and any([one[0] == ACK for one in frames]):
        # The acknowledgement comes behind a record, or instead of one that the pack does not have.
        raise Refused(0, "the pack has no log book")
    if frame is not None and old(frame):
        raise ProtocolError("device: this board speaks JK04")
    return None if frame is None else read_02(frame, known)


def collect_04(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the record that answers the query, None while it has not come."""
    frame = _answer(query, frames, quiet)
    if frame is not None and old(frame) is False:
        raise ProtocolError("device: this board speaks JK02")
    return None if frame is None else read_04(frame, known)


JK02 = Dialect(
    name="jk02",
    family="jk",
    title="JK, Bluetooth, software 6 and later",
    queries=QUERIES + (LOG_QUERY,),
    probe="device",
    request=request,
    receiver=Receiver,
    collect=collect_02,
    read=read_02,
    records=records.RECORDS_02,
    bauds=(),
    gap=0.0,
)
JK04 = Dialect(
    name="jk04",
    family="jk",
    title="JK, Bluetooth, software before 6 and old balancers",
    queries=QUERIES,
    probe="device",
    request=request,
    receiver=Receiver,
    collect=collect_04,
    read=read_04,
    records=records.RECORDS_04,
    bauds=(),
    gap=0.0,
    # The pack voltage is the sum itself.
    sum_tolerance=(0.05, 0.005),
)
