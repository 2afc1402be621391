"""Answers requests of Modbus: functions 03 and 04 read, 06 and 16 write, everything else is refused."""

import struct

from .units import FIRST_BATTERY, Units
from .writes import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, Writes

READ = (3, 4)  # holding and input registers: both are the same here
WRITE_ONE, WRITE_SEVERAL = WRITE = (6, 16)
MOST, MOST_WRITTEN = 125, 123  # registers in one answer, and in one request
NO_TARGET = 0x0B


class Answers:
    """What the units answer, and how often they were asked.

    requests, exceptions: how many requests came, and how many of them were refused
    """

    def __init__(self, units: Units, writes: Writes) -> None:
        self.units = units
        self.writes = writes
        self.requests = 0
        self.exceptions = 0

    async def over_tcp(self, unit: int, request: bytes, client: str) -> bytes:
        """Return the answer to a request without address and checksum; at once, unless something is written.

        A unit that does not exist is a target that failed to respond, as a gateway before serial lines would say it;
        the client would only wait for nothing otherwise.
        """
        self.requests += 1
        if request[0] in WRITE and unit in FIRST_BATTERY:
            # Which battery that is may change.
            return self._refuse(request, ILLEGAL_FUNCTION)
        if unit in FIRST_BATTERY:
            unit = min(self.units.names, default=unit)
        if request[0] in WRITE and unit in self.units.names:
            found = _written(request)
            code = await self.writes.over_tcp(unit, *found, client) if found else self.writes.malformed(unit)
            return self._echo(request, code)
        answer = self._of(unit, request)
        return self._refuse(request, NO_TARGET) if answer is None else answer

    async def over_serial(self, unit: int, request: bytes, client: str) -> bytes | None:
        """Return the answer, None when there is none: a unit of somebody else, or a broadcast."""
        if request[0] in WRITE and unit in self.units.names:
            self.requests += 1
            found = _written(request)
            code = await self.writes.over_serial(unit, *found, client) if found else self.writes.malformed(unit)
            return self._echo(request, code)
        answer = self._of(unit, request)  # unit 0, for everybody, is no unit
        self.requests += answer is not None
        return answer

    def _of(self, unit: int, request: bytes) -> bytes | None:
        image = self.units.image(unit)
        if image is None:
            return None
        if request[0] not in READ:
            return self._refuse(request, ILLEGAL_FUNCTION)
        if len(request) != 5:
            return self._refuse(request, ILLEGAL_VALUE)
        address, count = struct.unpack_from(">HH", request, 1)
        if not 1 <= count <= MOST:
            return self._refuse(request, ILLEGAL_VALUE)
        content = image.read(address, count)
        if content is None:
            return self._refuse(request, ILLEGAL_ADDRESS)
        return bytes((request[0], len(content))) + content

    def _echo(self, request: bytes, code: int) -> bytes:
        return self._refuse(request, code) if code else request[:5]

    def _refuse(self, request: bytes, code: int) -> bytes:
        self.exceptions += 1
        return bytes((request[0] | 0x80, code))


def _written(request: bytes) -> tuple[int, bytes] | None:
    """Return the first register and the content that a request wants to write, None when it is malformed."""
    if len(request) < 5:
        return None
    first, number = struct.unpack_from(">HH", request, 1)
    if request[0] == WRITE_ONE:
        return (first, request[3:]) if len(request) == 5 else None
    fits = len(request) == 6 + 2 * number and request[5] == 2 * number
    return (first, request[6:]) if 1 <= number <= MOST_WRITTEN and fits else None
