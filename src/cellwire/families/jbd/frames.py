"""Frames of the three JBD dialects: builds requests, finds checked frames in bytes that may be cut anywhere."""

import struct

from ...codec.checksum import crc16, negative_sum16
from ...codec.dialect import ACK, PUSH, REFUSAL, REPLY, REQUEST
from ...codec.errors import Refused
from . import up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.dialect import Frame

START = 0xDD
END = 0x77
READ = 0xA5
WRITE = 0x5A
# 0 is done; the others are refusals: no such register, not allowed now, checksum, wrong password
REFUSALS = (0x80, 0x81, 0x82, 0x83)
REASONS = {
    0x80: "this BMS does not know the register",
    0x81: "not allowed now: factory mode is off, or a password is wanted",
    0x82: "the BMS says that the checksum of the request was wrong",
    0x83: "the password is wrong",
}
FACTORY_CODE = b"\x56\x78"
SAVE = b"\x28\x28"
DISCARD = b"\x00\x00"
# Every write to a UP board begins with it.
UP_MARK = b"\x11JBD"


def request(operation: int, register: int, data: bytes = b"") -> bytes:
    """Return a standard frame: operation READ or WRITE."""
    body = bytes((register, len(data))) + data
    return bytes((START, operation)) + body + struct.pack(">HB", negative_sum16(body), END)


def addressed_request(address: int, operation: int, register: int, data: bytes = b"") -> bytes:
    """Return an addressed frame; its checksum covers everything from the address on."""
    body = bytes((address, operation, register, len(data))) + data
    return bytes((START,)) + body + struct.pack(">HB", negative_sum16(body), END)


def up_request(address: int, function: int, start: int, end: int, data: bytes = b"") -> bytes:
    """Return a UP frame; the low byte of the CRC comes first."""
    frame = struct.pack(">BBHHH", address, function, start, end, len(data)) + data
    return frame + struct.pack("<H", crc16(frame))


def refused(register: int, code: int) -> Refused:
    """Return the error of a refusal, with its reason in words."""
    return Refused(code, f"register {register:02x}: {REASONS.get(code, 'refused')} (status {code:02x})")


def enter_factory_mode(code: bytes = FACTORY_CODE) -> bytes:
    """Return the standard frame that opens the parameters for reading and writing."""
    return request(WRITE, 0x00, code)


def leave_factory_mode(save: bool = False) -> bytes:
    """Return the standard frame that ends it; saving also clears the protection counters."""
    return request(WRITE, 0x01, SAVE if save else DISCARD)


def _answer(address: "int | None", register: int, status: int, data: bytes) -> "Frame":
    if status:
        return (REFUSAL, address, register, bytes((status,)))
    return (REPLY if data else ACK, address, register, data)


class _Search:
    """Walks through the bytes: a frame is taken out whole, anything else byte by byte."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.damaged = 0

    def waiting(self) -> int:
        """Return how many bytes of an unfinished frame have arrived."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames that they complete."""
        return self._search(self._buffer + data if self._buffer else data)

    def _length(self, data: bytes, at: int) -> int:
        """Return how long a frame that begins here would be; 0: none can, -1: more bytes must tell."""
        raise NotImplementedError

    def _open(self, frame: bytes) -> "Frame | None":
        """Return the frame of these bytes, None when its checksum is wrong."""
        raise NotImplementedError

    def _start(self, data: bytes, at: int) -> int:
        """Return where the next frame may begin."""
        raise NotImplementedError

    def _search(self, data: bytes) -> "list[Frame]":
        frames: "list[Frame]" = []
        size = len(data)
        at = 0
        while at < size:
            begin = self._start(data, at)
            self.dropped += begin - at
            at = begin
            if at >= size:
                break
            length = self._length(data, at)
            if length < 0 or length > size - at:
                # Noise can look like the start of a long frame, which would swallow a whole one behind it.
                behind = self._whole(data, at + 1)
                if behind < 0:
                    break
                self.dropped += behind - at
                at = behind
                continue
            if length == 0:
                self.dropped += 1
                at += 1
                continue
            frame = self._module(data, at, length) or self._open(data[at : at + length])
            if frame is None:
                self.dropped += 1
                at += 1
                continue
            if frame[0]:
                frames.append(frame)
            at += length
        self._buffer = data[at:] if at < size else b""
        return frames

    def _module(self, data: bytes, at: int, length: int) -> "Frame | None":
        return None

    def _whole(self, data: bytes, at: int) -> int:
        """Return where a whole, right frame begins that ends the bytes; -1 when there is none."""
        size = len(data)
        while True:
            at = self._start(data, at)
            if at >= size:
                return -1
            if self._length(data, at) == size - at:
                damaged = self.damaged
                if self._open(data[at:]) is not None:
                    return at
                self.damaged = damaged
            at += 1


class Receiver(_Search):
    """Finds standard frames; frames of the Bluetooth module and broadcasts of UP boards are skipped."""

    def feed(self, data: bytes) -> "list[Frame]":
        """Take bytes; return the frames that they complete."""
        if self._buffer:
            data = self._buffer + data
        size = len(data)
        # One whole good answer and nothing else: nearly every call, so it is asked first.
        if (
            size > 7
            and data[0] == 0xDD
            and data[3] + 7 == size
            and data[2] == 0
            and data[-1] == 0x77
            and (sum(data[2:-3]) + (data[-3] << 8 | data[-2])) & 0xFFFF == 0
            and data[1] != 0x5A
            and data[1] != 0xA5
        ):
            self._buffer = b""
            return [(REPLY, None, data[1], data[4:-3])]
        # Its first part, in which nothing else can begin: the first of two notifications.
        if 4 <= size < data[3] + 7 and data[0] == 0xDD and data[2] == 0 and data.find(b"\xdd", 1) < 0:
            self._buffer = data
            return []
        return self._search(data)

    def _start(self, data: bytes, at: int) -> int:
        start = data.find(b"\xdd", at)
        module = data.find(b"\xff\xaa", at)
        if start < 0:
            start = len(data)
        return module if 0 <= module < start else start

    def _length(self, data: bytes, at: int) -> int:
        size = len(data)
        if data[at] == 0xFF:
            return -1 if size < at + 4 else 5 + data[at + 3] if data[at + 3] <= 32 else 0
        if size < at + 3:
            return -1
        register, status = data[at + 1], data[at + 2]
        if register != READ and register != WRITE and status != 0 and status not in REFUSALS:
            return 0
        if size < at + 4:
            return -1
        length = data[at + 3]
        if register == READ:
            # A question has at most 3 bytes. With more it is an answer of old firmware, which repeats the A5.
            return 7 + length if length <= 3 or status == 0 else 0
        if register != WRITE and status and length:
            return 0
        return 7 + length

    def _module(self, data: bytes, at: int, length: int) -> "Frame | None":
        if data[at] != 0xFF:
            return None
        end = at + length - 1
        return ("", None, None, b"") if sum(data[at + 2 : end]) & 0xFF == data[end] else None

    def _open(self, frame: bytes) -> "Frame | None":
        if frame[0] != START or frame[-1] != END:
            return None
        if negative_sum16(frame[2:-3]) != frame[-3] << 8 | frame[-2]:
            self.damaged += 1
            return None
        register, status, data = frame[1], frame[2], frame[4:-3]
        if register == WRITE or (register == READ and len(data) <= 3):
            return (REQUEST, None, status, data)
        return _answer(None, register, status, data)


class AddressedReceiver(_Search):
    """Finds addressed frames."""

    def _start(self, data: bytes, at: int) -> int:
        start = data.find(b"\xdd", at)
        return start if start >= 0 else len(data)

    def _length(self, data: bytes, at: int) -> int:
        size = len(data)
        if size < at + 4:
            return -1
        register, status = data[at + 2], data[at + 3]
        asked = register in (READ, WRITE)
        if not asked and status != 0 and status not in REFUSALS:
            return 0
        if size < at + 5:
            return -1
        length = data[at + 4]
        if (register == READ and length > 3) or (not asked and status and length):
            return 0
        return 8 + length

    def _open(self, frame: bytes) -> "Frame | None":
        if frame[-1] != END:
            return None
        if negative_sum16(frame[1:-3]) != frame[-3] << 8 | frame[-2]:
            self.damaged += 1
            return None
        address, register, status, data = frame[1], frame[2], frame[3], frame[5:-3]
        if register in (READ, WRITE):
            return (REQUEST, address, status, data)
        return _answer(address, register, status, data)


class UpReceiver(_Search):
    """Finds the frames of UP boards: no start byte, so a function and a range that fit stand for it."""

    def _start(self, data: bytes, at: int) -> int:
        size = len(data)
        while at < size:
            if data[at] <= 32 and (at + 1 == size or data[at + 1] in (up.READ, up.WRITE, up.OWN, up.TELEMETRY)):
                return at
            at += 1
        return size

    def _length(self, data: bytes, at: int) -> int:
        if len(data) < at + 8:
            return -1
        function = data[at + 1]
        start, end, length = struct.unpack_from(">HHH", data, at + 2)
        if end <= start or length > 256 or length & 1:
            return 0
        if function == up.TELEMETRY and (start, end) != (0, 0xFFFF):
            return 0
        return int(10 + length)

    def _open(self, frame: bytes) -> "Frame | None":
        if crc16(frame[:-2]) != frame[-2] | frame[-1] << 8:
            self.damaged += 1
            return None
        address, function, data = frame[0], frame[1], frame[8:-2]
        key = function << 16 | frame[2] << 8 | frame[3]
        if function == up.TELEMETRY:
            return (PUSH, address, key, data)
        if function == up.WRITE:
            return (REQUEST if data else ACK, address, key, data)
        return (REPLY if data else REQUEST, address, key, data)
