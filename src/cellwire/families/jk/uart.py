"""JK on the 3.3 V UART socket ("GPS"): frames of identifiers and values that begin with 4E 57."""

from ...codec.checksum import sum16
from ...codec.dialect import ACK, FAST, PUSH, REPLY, REQUEST, Dialect, Query
from . import identifiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

START = b"\x4e\x57"
WAKE, WRITE, READ, PASSWORD, READ_ALL = 1, 2, 3, 5, 6
FROM_PC, FROM_GPS = 3, 2
SHORTEST, LONGEST = 20, 602


def frame(command: int, source: int, body: bytes) -> bytes:
    """Return a request of that command: the body is an identifier with its value."""
    size = len(body) + 18
    data = START + bytes((size >> 8, size & 0xFF, 0, 0, 0, 0, command, source, 0)) + body
    data += b"\x00\x00\x00\x00\x68"
    total = sum16(data)
    return data + bytes((0, 0, total >> 8, total & 0xFF))


class Receiver:
    """Turns a stream of bytes, cut anywhere, into whole checked frames."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.damaged = 0

    def waiting(self) -> int:
        """Return the bytes of a frame that has begun."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames they complete: (kind, None, command, body)."""
        buffer = self._buffer + data
        frames: "list[Frame]" = []
        while True:
            start = buffer.find(START)
            if start < 0:
                start = len(buffer) - (1 if buffer[-1:] == START[:1] else 0)
            if start:
                self.dropped += start
                buffer = buffer[start:]
            if len(buffer) < 4:
                break
            size = (buffer[2] << 8 | buffer[3]) + 2
            if SHORTEST <= size <= LONGEST:
                if len(buffer) < size:
                    break
                total = buffer[size - 2] << 8 | buffer[size - 1]
                if buffer[size - 5] == 0x68:
                    if sum16(buffer[: size - 4]) == total:
                        frames.append(self._frame(buffer[:size]))
                        buffer = buffer[size:]
                        continue
                    self.damaged += 1
            self.dropped += 1
            buffer = buffer[1:]
        self._buffer = buffer
        return frames

    def _frame(self, data: bytes) -> "Frame":
        command, transfer, body = data[8], data[10], data[11:-9]
        if transfer == 0:
            return (REQUEST, None, command, body)
        if transfer == 2:
            return (PUSH, None, command, body)
        return (ACK if command in (WRITE, PASSWORD, WAKE) else REPLY, None, command, body)


def request(query: Query, address: int) -> bytes:
    """Return the question for every identifier."""
    return frame(query.key, FROM_PC, b"\x00")


def read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of an answer or a report, {} for other frames."""
    kind, _address, command, body = frame
    if kind not in (REPLY, PUSH) or command not in (READ, READ_ALL):
        return {}
    return identifiers.readings(body, known)


def collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings of the answer, None while it has not come."""
    for one in frames:
        if one[0] == REPLY and one[2] == query.key:
            return read(one, known)
    return None


JK_UART = Dialect(
    name="jk-uart",
    family="jk",
    title="JK B and BD series, UART socket",
    queries=(Query("status", READ_ALL, FAST, timeout=1.0),),
    probe="status",
    request=request,
    receiver=Receiver,
    collect=collect,
    read=read,
    records=(identifiers.STATUS,),
    bauds=(115200,),
    gap=0.1,
    # The maker says that a sleeping BMS wants this first; it changes nothing.
    wake=frame(WAKE, FROM_PC, b"\x00"),
)
