"""What happened: alarms, changes of state, commands, changes of the configuration, refused log-ins."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("cellwire")

# Every kind of event there is.
KINDS = (
    "start",  # the gateway started
    "stop",  # the gateway was told to stop
    "state",  # a pack is online, stale, asleep, lost or in error
    "alarm_on",
    "alarm_off",
    "full",  # a pack was truly full, its counter was set
    "bank",  # packs of a bank came or went, or should not be joined
    "release",  # a pack was left to another program for a while, or taken back
    "command",  # a command to a pack and its result
    "configuration",
    "login",
    "refused",  # a request that was not allowed
    "history",  # the history could not be written, or can again
    "clock",  # the clock was set
)
RECENT = 1000


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    pack: id of the pack or bank that it is about, "" for the gateway; name: what that is called; text: for people
    """

    time: float
    kind: str
    text: str
    pack: str = ""
    name: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class Events:
    """Tells everybody who wants to know what happened, and remembers the newest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.recent: deque[Event] = deque(maxlen=RECENT)
        self.hearers: list[Callable[[Event], None]] = []

    def add(self, kind: str, text: str, pack: str = "", name: str = "", **detail: Any) -> Event:
        """Return the event, told to all hearers."""
        # As exact as the history keeps it: who hears of it twice is to see that it is the same.
        event = Event(round(self.clock(), 3), kind, text, pack, name, detail)
        self.recent.append(event)
        for hear in tuple(self.hearers):
            hear(event)
        return event
