"""What is done about a device that cannot be connected to or does not answer: one stage more each time, then a rest."""

from collections import Counter, deque

from . import causes
from .causes import Cause

REST = 300.0  # seconds after a whole round without help: some packs beep at each connection
# Seconds until a device is looked for again that was not heard or is taken, for the first time, the second, ...
AWAY = (0.0, 3.0, 6.0, 12.0, 24.0)
HOUR = 3600.0
DROPS = 1000  # of the last hour are remembered at most


class Recovery:
    """What went wrong with one device since it last answered, and what is to be tried next. Time is passed in.

    counts  stages by name, as often as they were done
    causes  failures by name
    cause   the last one in words, "" when there was none
    due     the stage to be done before the next connection, "" for none
    until   time until which nothing is tried; told: the failure that whoever tries nevertheless is told
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.cause = ""
        self.due = ""
        self.until = 0.0
        self.told: Cause = causes.OTHER
        self._tried = 0  # stages since the device last answered
        self._away = 0  # times that it was not heard, one after the other
        self._drops: deque[float] = deque(maxlen=DROPS)

    def failed(self, cause: Cause, now: float) -> str:
        """Note a failure; return the stage that comes next, "" when nothing is to be done about the device."""
        self.note(cause)
        if now < self.until:
            return ""
        if cause.radio:
            return ""
        if not cause.stages:
            self._rest(cause, now + AWAY[min(self._away, len(AWAY) - 1)])
            self._away += 1
            return ""
        if self._tried >= len(cause.stages):
            self._tried, self.due = 0, ""
            self._rest(cause, now + REST)
            return ""
        self.due = cause.stages[self._tried]
        self._tried += 1
        return self.due

    def note(self, cause: Cause) -> None:
        """Count a failure about which nothing has to be done."""
        self.causes[cause.name] += 1
        self.cause = cause.advice

    def _rest(self, cause: Cause, until: float) -> None:
        self.told, self.until = cause, until

    def heard(self) -> None:
        """Note that the device was heard: it need not be waited for any more."""
        self._away = 0
        if not self.told.stages:
            self.until = 0.0

    def proved(self) -> None:
        """Note that the device answered: whatever was tried has helped."""
        self._tried = self._away = 0
        self.until = 0.0
        self.due = ""

    def dropped(self, now: float) -> None:
        """Note that a connection was lost."""
        self.counts["drops"] += 1
        self._drops.append(now)

    def drops(self, now: float) -> int:
        """Return how many connections were lost within the last hour."""
        while self._drops and self._drops[0] < now - HOUR:
            self._drops.popleft()
        return len(self._drops)
