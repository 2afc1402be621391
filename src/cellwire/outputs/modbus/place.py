"""Something that is served in one place, a TCP port or a serial line, as soon and as long as it can be served."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod

log = logging.getLogger("cellwire")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two attempts


class CannotServe(Exception):
    """It cannot be served now; the text says why, and what to do."""


class Place(ABC):
    """A place to serve in.

    address: where it is served, "" while it is not; reason: why it is not, for people
    hint: what else people should know
    """

    def __init__(self) -> None:
        self.address = ""
        self.reason = ""
        self.hint = ""
        self._pause = FIRST_PAUSE
        self._since = 0.0

    async def run(self) -> None:
        """Serve until cancelled; what stands in the way is said once, and tried again with growing pauses."""
        while True:
            try:
                await self.serve()
            except CannotServe as error:
                self._failing(str(error))
            finally:
                self.address = ""
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    @abstractmethod
    async def serve(self) -> None:
        """Serve until cancelled; raise CannotServe when that is not possible, or not any more."""

    def serving(self, address: str) -> None:
        """Note that it is served now."""
        if self.reason:
            seconds = time.monotonic() - self._since
            log.info("modbus: serves on %s after %.0f s; it was: %s", address, seconds, self.reason)
        else:
            log.info("modbus: serves on %s", address)
        self.address, self.reason, self._pause = address, "", FIRST_PAUSE

    def _failing(self, reason: str) -> None:
        if not self.reason:
            self._since = time.monotonic()
        if reason != self.reason:
            log.warning("modbus: %s", reason)
        self.reason = reason
