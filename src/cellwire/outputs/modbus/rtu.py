"""Serves Modbus RTU on a serial line, beside other devices on the same line."""

import asyncio

from ...codec.checksum import crc16
from ...links.link import LinkError
from ...links.serial import SerialLink
from .answers import WRITE, Answers
from .place import CannotServe, Place

BITS = 11  # of a byte on the wire, with parity or a second stop bit
TURN = 3.5  # bytes of silence that end a frame
SHORTEST_TURN = 0.00175  # seconds, whatever the speed
# A pause in what arrives that is longer ends a frame: adapters and drivers hand bytes over late, not all at once.
SILENCE = 0.05
ECHO = 0.1  # seconds after an answer in which its echo comes from adapters that hear what they send
SHORTEST, LONGEST = 4, 256  # bytes of a frame
# function: bytes of a request, and where its own count of further bytes stands
SIZES = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 15: 9, 16: 9}
COUNTED = {15: 6, 16: 6}


class Receiver:
    """Finds requests among all that is on the line: answers of other devices, noise, and echoes too.

    Requests whose size their function tells are found at once, wherever they begin; others when the line is silent.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._open = 0  # from here on a request may begin that is not complete yet

    @property
    def waiting(self) -> bool:
        """Whether there are bytes that may be a part of a request."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the requests that they complete, without checksum."""
        self._buffer += data
        found: list[bytes] = []
        start, incomplete = self._open, -1
        while start < len(self._buffer):
            end = start + self._size(start)
            if end > len(self._buffer):
                incomplete = start if incomplete < 0 else incomplete
            elif end > start and _is_whole(self._buffer[start:end]):
                found.append(self._buffer[start : end - 2])
                self._buffer, start, incomplete = self._buffer[end:], -1, -1
            start += 1
        self._open = incomplete if incomplete >= 0 else len(self._buffer)
        if len(self._buffer) > LONGEST:
            self._buffer, self._open = self._buffer[self._open :], 0
        return found

    def silence(self) -> list[bytes]:
        """Return the request of an unknown function that the silence completes."""
        frame, self._buffer, self._open = self._buffer, b"", 0
        # An answer with an exception looks alike: the highest bit of its function is set.
        whole = SHORTEST <= len(frame) <= LONGEST and frame[1] < 0x80 and frame[1] not in SIZES and _is_whole(frame)
        return [frame[:-2]] if whole else []

    def _size(self, start: int) -> int:
        """Return the size of a request that begins here, as far as it is known yet; 0 when no request does."""
        function = self._buffer[start + 1] if start + 1 < len(self._buffer) else 3
        size = SIZES.get(function, 0)
        at = start + COUNTED.get(function, 0)
        return size + self._buffer[at] if start < at < len(self._buffer) else size


def _is_whole(frame: bytes) -> bool:
    return crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


class RtuServer(Place):
    """The server of one serial line."""

    def __init__(self, path: str, baud: int, parity: str, answers: Answers) -> None:
        super().__init__()
        self._path, self._baud, self._parity = path, baud, parity
        self._answers = answers
        self._byte = BITS / baud
        self._turn = max(TURN * self._byte, SHORTEST_TURN)

    async def serve(self) -> None:
        """Serve until cancelled."""
        try:
            port = SerialLink(self._path, self._baud, parity=self._parity)
        except ValueError as error:  # the speed is none of serial ports
            raise CannotServe(str(error)) from None
        try:
            async with port:
                self.serving(self._path)
                await self._talk(port)
        except LinkError as error:
            raise CannotServe(str(error)) from None

    async def _talk(self, port: SerialLink) -> None:
        receiver = Receiver()
        data = said = b""
        loop = asyncio.get_running_loop()
        heard_until = 0.0
        while True:
            try:
                if not data:
                    async with asyncio.timeout(SILENCE if receiver.waiting else None):
                        data = await port.receive()
                requests = receiver.feed(data)
            except TimeoutError:
                requests = receiver.silence()
            data = b""
            # Whoever asks again waits for one answer only; and after another unit was asked, that one answers.
            for request in requests[-1:]:
                if request == said and loop.time() < heard_until:
                    continue  # the answer to a write is the same as the request
                answer = await self._answers.over_serial(request[0], request[1:], self._path)
                if request[1] in WRITE:
                    data = port.pending()  # after a while, the master asks somebody else
                if answer is not None and not data:
                    frame = request[:1] + answer
                    await asyncio.sleep(self._turn)
                    await port.send(frame + crc16(frame).to_bytes(2, "little"))
                    said, heard_until = frame, loop.time() + self._byte * len(frame) + ECHO
