"""How far rows are safe: an engine may acknowledge a row some seconds before it is on its disk."""

from collections import deque

TOGETHER = 1.0  # seconds of acknowledgements that count as one


class Trail:
    """The number of the newest row that an engine has had for so many seconds while it was there all the time.

    Only words of the engine count as time: one that said nothing for an hour may have begun anew in it.
    """

    def __init__(self, seconds: float, safe: int) -> None:
        self.safe = self.sent = safe
        self._seconds = seconds
        self._recent: deque[tuple[float, float, int]] = deque()  # first time, last time, number

    @property
    def unsafe(self) -> bool:
        """Whether there are acknowledged rows that are not safe yet."""
        return self.sent != self.safe

    def acknowledged(self, seq: int, now: float) -> None:
        """Note that all rows up to this number are acknowledged; now: seconds of a clock that is never set."""
        self.sent = seq
        first = now
        if self._recent and now - self._recent[-1][0] < TOGETHER:
            first = self._recent.pop()[0]
        self._recent.append((first, now, seq))
        self.alive(now)

    def alive(self, now: float) -> None:
        """Note that the engine is there, and was all the time since the last word of it."""
        while self._recent and self._recent[0][1] <= now - self._seconds:
            self.safe = self._recent.popleft()[2]

    def rewind(self) -> None:
        """Go back to what is safe: the engine may have begun anew."""
        self._recent.clear()
        self.sent = self.safe
