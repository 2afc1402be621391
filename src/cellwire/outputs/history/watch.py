"""Watches the clock: tells when it was set, and knows for how long it was not."""

import logging
from collections.abc import Callable

log = logging.getLogger("cellwire")

JUMP = 30.0  # seconds by which the clock must be off to say that it was set
AWAY = 31 * 86400.0  # a gateway that was off for longer may as well have a wrong clock


class Watch:
    """Compares the clock with one that cannot be set. Only one thread uses it.

    tell: called with kind and text of what people should know; steady: seconds that the clock is known to run evenly
    """

    def __init__(
        self, clock: Callable[[], float], monotonic: Callable[[], float], tell: Callable[[str, str], None]
    ) -> None:
        self._clock, self._monotonic, self._tell = clock, monotonic, tell
        self._looked, self._looked_wall = monotonic(), clock()
        self.steady = 0.0

    def begin(self, seen: float, steady: float) -> None:
        """Compare the clock with the newest time that a file knows, and go on from how steady it was there."""
        now = self._looked_wall = self._clock()
        self._looked = self._monotonic()
        self.steady = steady if 0 <= now - seen < AWAY else 0.0
        if now < seen - JUMP:
            self._tell("clock", f"The clock is {_duration(seen - now)} behind the newest row of the history.")

    def look(self) -> None:
        """Tell when the clock was set since the last look, and count on when it was not."""
        now, passed = self._clock(), self._monotonic()
        jump = (now - self._looked_wall) - (passed - self._looked)
        self.steady += passed - self._looked
        self._looked_wall, self._looked = now, passed
        if abs(jump) > JUMP:
            self.steady = 0.0
            way = "forwards" if jump > 0 else "back"
            log.warning("history: the clock was set %s by %s", way, _duration(abs(jump)))
            self._tell("clock", f"The clock was set {way} by {_duration(abs(jump))}. The history keeps all rows.")


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
