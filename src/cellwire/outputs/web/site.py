"""What all routes share: the gateway, who may come in, who is connected, and what was refused."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...gateway.config import WebSettings
from ...gateway.events import Events
from .access import Access, Visitor
from .answers import Problem
from .desk import Desk
from .lockout import Lockout
from .stream import Live

if TYPE_CHECKING:
    from .visit import Visit

log = logging.getLogger("cellwire")

T = TypeVar("T")

HASHING = 2  # passwords hashed at a time
WAITING = 16  # more log-ins than this at a time are sent away
TOLD = 20  # refusals a minute that are told one by one; further ones are counted
READING = 3  # reads of the history at a time: more would but take turns, and all threads away from log-ins


class Site:
    """The server's parts, as the routes see them; `monotonic` gives seconds."""

    def __init__(self, desk: Desk, settings: WebSettings, monotonic: Callable[[], float]) -> None:
        self.desk = desk
        self.settings = settings
        self.access = Access(settings.access, desk.store.clock)
        self.lockout = Lockout(monotonic)
        self.refusals = Refusals(desk.events, monotonic)
        self.live = Live(desk, monotonic, self.may_stay)
        self.setup_code = ""
        self.renew_code()
        self._hashing = asyncio.Semaphore(HASHING)
        self._waiting = 0
        self.reading = asyncio.Semaphore(READING)
        self.exports = 0  # that are being made
        self.settings_reads: dict[tuple[str, str], asyncio.Task[list[str]]] = {}  # by pack and grant

    def change_access(self, path: Path) -> None:
        """Take users, tokens and sessions from another file."""
        self.access = Access(path, self.desk.store.clock)

    def renew_code(self) -> None:
        """Make another code for the first set-up, none when there is a user."""
        self.setup_code = "" if self.access.is_set_up else secrets.token_urlsafe(16)

    def may_stay(self, visitor: Visitor) -> bool:
        """Return whether somebody who reads for long may still do so."""
        if visitor.kind == "guest":
            return self.settings.guests
        return self.access.still(visitor).may("read")

    async def hashing(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run something that hashes a password in a thread, few at a time: each needs 19 MiB."""
        if self._waiting >= WAITING:
            raise Problem(503, "unavailable", "Too many log-ins at once; try again in a moment", {"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1


class Refusals:
    """Tells what was refused, without ever filling log and history: the first 20 a minute, then how many more."""

    def __init__(self, events: Events, monotonic: Callable[[], float]) -> None:
        self._events = events
        self._monotonic = monotonic
        self._since = monotonic()
        self._told = self._untold = 0

    def tell(self, kind: str, text: str, **detail: Any) -> None:
        """Note a refusal."""
        self.tick()
        if self._told < TOLD:
            self._told += 1
            log.warning("%s", text)
            self._events.add(kind, text, **detail)
        else:
            self._untold += 1

    def tick(self) -> None:
        """When the minute is over say how many more there were."""
        if self._monotonic() - self._since >= 60:
            self.say_rest()

    def say_rest(self) -> None:
        """Say how many more there were, and begin another minute."""
        if self._untold:
            text = f"{self._untold} more requests were refused"
            log.warning("%s", text)
            self._events.add("refused", text, count=self._untold)
        self._since, self._told, self._untold = self._monotonic(), 0, 0


def refused(site: Site, visit: "Visit", path: str, problem: Problem) -> None:
    """Note a write that was not allowed; the path is one of ours, so there is no secret in it."""
    method = visit.request.method
    text = f"{method} {path} from {visit.peer} by {visit.visitor.title} was refused: {problem.code}"
    site.refusals.tell("refused", text, peer=visit.peer, who=visit.visitor.title, code=problem.code)
