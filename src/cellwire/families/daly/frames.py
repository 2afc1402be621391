"""Finds and builds the frames of the three Daly dialects: 13 bytes with a plain sum, and the two of registers."""

from ...codec.checksum import crc16, sum8
from ...codec.dialect import ACK, REFUSAL, REPLY, REQUEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.dialect import Frame

A5_SIZE = 13
# The BMS puts its board number into byte 1; 0x20 and above are hosts that ask: GPRS 0x20, wires 0x40.., app 0x80.
FIRST_HOST = 0x20
WIRE_HOST = 0x40
APP = 0x80
BOARDS = 16
# D9 and DA switch MOSFETs, 00 restarts, 21 sets the state of charge, 10 to 20 write settings.
A5_WRITES = tuple([0x00, 0x21, 0xD9, 0xDA] + list(range(0x10, 0x21)))

READ = 0x03
WRITE_ONE = 0x06
WRITE_MANY = 0x10
# 81 registers are the longest read; a longer length byte is noise that would make us wait for nothing.
LONGEST_READ = 2 * 81
LONGEST_WRITE = 64


def a5_frame(host: int, command: int, data: bytes = bytes(8)) -> bytes:
    """Return an A5 frame with its sum; `host` is byte 1 as it goes over the wire."""
    body = bytes((0xA5, host, command, 8)) + data
    return body + bytes((sum8(body),))


def a5_host(address: int) -> int:
    """Return byte 1 of a request to a board: 0x40 for board 1 and so on; address 0x80 is the app's own way in."""
    return address if address >= FIRST_HOST else WIRE_HOST + address - 1


def register_frame(unit: int, function: int, register: int, word: int, data: bytes = b"") -> bytes:
    """Return a frame of the register dialects; `word` is the count or the value. Many values carry no byte count."""
    body = bytes((unit, function, register >> 8, register & 0xFF, word >> 8, word & 0xFF)) + data
    crc = crc16(body)
    return body + bytes((crc & 0xFF, crc >> 8))


class A5Receiver:
    """Turns a stream of bytes, cut anywhere, into A5 frames: (kind, board or host, command, 8 bytes)."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.damaged = 0

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames that they complete, each part of a longer answer for itself."""
        buffer = self._buffer + data
        size = len(buffer)
        frames: "list[Frame]" = []
        at = 0
        while at < size:
            start = buffer.find(b"\xa5", at)
            if start < 0:
                start = size
            self.dropped += start - at
            at = start
            if size - at >= 4 and buffer[at + 3] != 8:
                self.dropped += 1
                at += 1
                continue
            if size - at < A5_SIZE:
                break
            if sum8(buffer[at : at + 12]) != buffer[at + 12]:
                # Only one byte: the next good frame may begin inside the damaged one.
                self.damaged += 1
                self.dropped += 1
                at += 1
                continue
            frames.append(_a5(buffer[at + 1], buffer[at + 2], buffer[at + 4 : at + 12]))
            at += A5_SIZE
        self._buffer = buffer[at:]
        return frames

    def waiting(self) -> int:
        """Return how many bytes of a begun frame are there."""
        return len(self._buffer)


def _a5(sender: int, command: int, payload: bytes) -> "Frame":
    if sender < FIRST_HOST:
        return (ACK if command in A5_WRITES else REPLY, sender, command, payload)
    board = sender - WIRE_HOST + 1
    return (REQUEST, board if 1 <= board <= BOARDS else sender, command, payload)


class RegisterReceiver:
    """Turns a stream of bytes, cut anywhere, into frames of D2 or P81: (kind, board, register, bytes).

    A reply does not say which register it begins with: the key is known when the request was seen on the line just
    before (an echo, another master), else None. On D2 both directions begin alike and a write and its yes are the
    same bytes; both are given as ACK.
    """

    def __init__(self, reply: int, request: int, boards: int) -> None:
        self._buffer = b""
        self._reply = reply
        self._request = request
        self._boards = boards
        self._asked: "tuple[int | None, int, int] | None" = None
        self.dropped = 0
        self.damaged = 0

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames that they complete."""
        buffer = self._buffer + data if self._buffer else data
        size = len(buffer)
        frames: "list[Frame]" = []
        at = 0
        while at < size:
            length, kind = self._form(buffer, at)
            if length > size - at:
                break
            if length:
                if crc16(buffer[at : at + length]) == 0:
                    frames.append(self._frame(buffer[at : at + length], kind))
                    at += length
                    continue
                self.damaged += 1
            self.dropped += 1
            at += 1
        self._buffer = buffer[at:]
        return frames

    def waiting(self) -> int:
        """Return how many bytes of a begun frame are there."""
        return len(self._buffer)

    def _form(self, buffer: bytes, at: int) -> "tuple[int, str]":
        """Return the length and kind of the frame at `at`: 0 when none can begin, a larger one to wait."""
        size = len(buffer) - at
        answers = 0 <= buffer[at] - self._reply < self._boards
        asks = 0 <= buffer[at] - self._request < self._boards
        if not answers and not asks:
            return 0, ""
        if size < 3:
            return (0 if size == 2 and buffer[at + 1] & 0x7F not in (READ, WRITE_ONE, WRITE_MANY) else 5), ""
        function = buffer[at + 1]
        if function == READ:
            # No register above 0xFF is in D2's map, so a request's third byte is 0 and a reply's never.
            if asks and (not answers or buffer[at + 2] == 0):
                return 8, REQUEST
            length = buffer[at + 2]
            return (length + 5 if 0 < length <= LONGEST_READ and length & 1 == 0 else 0), REPLY
        if function == WRITE_ONE:
            return 8, ACK if answers else REQUEST
        if function == WRITE_MANY:
            if answers and (not asks or size < 8 or crc16(buffer[at : at + 8]) == 0):
                return 8, ACK
            if size < 6:
                return 8, REQUEST
            count = buffer[at + 4] << 8 | buffer[at + 5]
            return (8 + 2 * count if 0 < count <= LONGEST_WRITE else 0), REQUEST
        if answers and function in (READ | 0x80, WRITE_ONE | 0x80, WRITE_MANY | 0x80):
            return 5, REFUSAL
        return 0, ""

    def _frame(self, frame: bytes, kind: str) -> "Frame":
        board = None
        if self._boards > 1:
            board = frame[0] - (self._request if kind == REQUEST else self._reply) + 1
        if kind == REFUSAL:
            return (kind, board, None, frame[2:3])
        if kind == REPLY:
            payload = frame[3 : len(frame) - 2]
            asked, self._asked = self._asked, None
            key = None
            if asked is not None and asked[0] == board and 2 * asked[2] == len(payload):
                key = asked[1]
            return (kind, board, key, payload)
        register = frame[2] << 8 | frame[3]
        if kind == REQUEST and frame[1] == READ:
            self._asked = (board, register, frame[4] << 8 | frame[5])
        return (kind, board, register, frame[4 : len(frame) - 2])


D2_UNIT = 0xD2
P81_REQUEST = 0x81
P81_REPLY = 0x51


def d2_receiver() -> RegisterReceiver:
    """Return a new Receiver for D2: one unit, the same in both directions."""
    return RegisterReceiver(D2_UNIT, D2_UNIT, 1)


def p81_receiver() -> RegisterReceiver:
    """Return a new Receiver for P81: boards 1 to 16 are asked as 0x81.. and answer as 0x51.."""
    return RegisterReceiver(P81_REPLY, P81_REQUEST, BOARDS)
