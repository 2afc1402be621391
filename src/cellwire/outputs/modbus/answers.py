"""Answers requests of Modbus: functions 03 and 04 read, everything else is refused."""

import struct

from .units import FIRST_BATTERY, Units

READ = (3, 4)  # holding and input registers: both are the same here
MOST = 125  # registers in one answer
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_TARGET = 0x01, 0x02, 0x03, 0x0B


class Answers:
    """What the units answer, and how often they were asked.

    requests, exceptions: how many requests came, and how many of them were refused
    """

    def __init__(self, units: Units) -> None:
        self.units = units
        self.requests = 0
        self.exceptions = 0

    def over_tcp(self, unit: int, request: bytes) -> bytes:
        """Return the answer to a request without address and checksum.

        A unit that does not exist is a target that failed to respond, as a gateway before serial lines would say it;
        the client would only wait for nothing otherwise.
        """
        self.requests += 1
        if unit in FIRST_BATTERY:
            unit = min(self.units.names, default=unit)
        answer = self._of(unit, request)
        return self._refuse(request, NO_TARGET) if answer is None else answer

    def over_serial(self, unit: int, request: bytes) -> bytes | None:
        """Return the answer, None when there is none: a unit of somebody else, or a broadcast."""
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

    def _refuse(self, request: bytes, code: int) -> bytes:
        self.exceptions += 1
        return bytes((request[0] | 0x80, code))
