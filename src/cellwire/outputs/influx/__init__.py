"""Brings the history into a database that understands line protocol."""

import asyncio
import logging
import random
import time
from collections import deque
from typing import Any, NamedTuple

from ...gateway.config import InfluxSettings
from ...gateway.events import Events
from ...gateway.store import utc
from ..history import History, HistoryError
from .lines import Line, Names, lines
from .server import Refused, Server, Trouble
from .trail import Trail

log = logging.getLogger("cellwire")

WINDOW = 6000  # rows in memory at once: 6 MB
LOOK = 1.0  # seconds between looks for rows that are new on the disk
KEEP = 5.0  # seconds between two notes of how far it is
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts, at first and at most
ALIVE = 15.0  # seconds without a request after which the server is asked whether it is there
RATE = 10  # seconds that the rate is the mean of


class Block(NamedTuple):
    """Lines in the order of their rows; end: number up to which there are no others."""

    lines: list[Line]
    end: int


class Influx:
    """Follows the history and writes its rows to one server, each at least once and in their order.

    After any interruption it begins again at the last row that is safe, see trail.py.
    """

    def __init__(self, history: History | None, events: Events, settings: InfluxSettings) -> None:
        self.settings = settings
        self.title = f"influx {settings.name}"
        self._history, self._clock = history, events.clock
        self._sink = f"influx {settings.name}"
        self._state, self._reason = "starting", ""
        self._since = time.monotonic()  # when it began to fail
        self._tries = 0
        self._trail: Trail | None = None
        self._kept, self._kept_at = 0, 0.0
        self._names = Names()
        self._breaks = 0  # of the connection, as far as they are known
        self._limit = settings.batch
        self._oldest: int | None = None  # time of the oldest row that is waiting, ms
        self._rows = self._bytes = self._skipped = 0
        self._skipped_to = 0  # rows are skipped again when they are sent again, but count once
        self._last_skipped = self._last_error = ""
        self._recent: deque[tuple[float, int]] = deque()
        if history is None:
            self._fail(
                "the history is switched off, and this output sends what is in it; write enabled = true in [history]"
            )

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        behind = 0
        if self._history is not None and self._trail is not None:
            behind = max(0, int(self._history.status["committed_seq"]) - self._trail.sent)
        waiting = self._clock() - self._oldest / 1000 if behind and self._oldest is not None else 0.0
        now = time.monotonic()
        document = {
            "output": "influx",
            "name": self.settings.name,
            "state": self._state,
            "sent_rows": self._rows,
            "sent_bytes": self._bytes,
            "rows_per_second": round(sum(rows for at, rows in self._recent if now - at < RATE) / RATE, 1),
            "behind_rows": behind,
            "behind_seconds": round(max(0.0, waiting), 1),
            "skipped_rows": self._skipped,
        }
        texts = {"reason": self._reason, "last_skipped": self._last_skipped, "last_error": self._last_error}
        return document | {key: text for key, text in texts.items() if text}

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
        self._fail(reason)

    async def run(self) -> None:
        """Send until cancelled."""
        if self._history is None:
            await asyncio.Event().wait()
            return
        try:
            while True:
                try:
                    async with Server(self.settings) as server:
                        await self._follow(self._history, server)
                except (Trouble, HistoryError) as error:
                    self._fail(str(error))
                    if self._trail is not None:
                        self._trail.rewind()
                    await asyncio.sleep(self._pause(error))
        finally:
            self._keep(self._history, at_once=True)

    async def _follow(self, history: History, server: Server) -> None:
        """Send what comes, for ever. Raises Trouble or HistoryError when that is interrupted."""
        if self._trail is None:
            self._trail = await asyncio.to_thread(self._begun, history)
        trail, heard = self._trail, time.monotonic()
        self._breaks = server.breaks
        while True:
            block = await asyncio.to_thread(self._read, history, trail.sent)
            if (trail.unsafe or block.lines) and time.monotonic() - heard >= ALIVE:
                await server.ask()
                heard = time.monotonic()
                if self._is_another(server, trail):
                    continue
                trail.alive(heard)
                self._keep(history)
            if block.end == trail.sent:
                self._oldest = None
                await asyncio.sleep(LOOK)
            else:
                await self._send(history, server, trail, block)
                heard = time.monotonic()

    def _is_another(self, server: Server, trail: Trail) -> bool:
        """Return whether the server may have begun anew; then go back."""
        if server.breaks == self._breaks:
            return False
        self._breaks = server.breaks
        trail.rewind()
        log.debug("%s: the connection was lost, and is a new one", self.title)
        return True

    def _begun(self, history: History) -> Trail:
        """Return where to begin."""
        at = history.reader.cursor(self._sink, -1)
        if at < 0 and self.settings.since == "now":
            at = history.reader.window(0, 1).last
            history.reader.set_cursor(self._sink, at)
        self._kept = max(0, at)
        return Trail(self.settings.trail, self._kept)

    def _read(self, history: History, seq: int) -> Block:
        window = history.reader.window(seq, WINDOW)
        return Block(lines(window, self._names, self.settings.flags == "boolean"), window.end)

    async def _send(self, history: History, server: Server, trail: Trail, block: Block) -> None:
        """Send a block, some rows at a time; return early when it must begin again."""
        at = 0
        while trail.sent < block.end:
            part = block.lines[at : at + self._limit]
            at += len(part)
            if part:
                self._oldest = part[0].time
                await self._deliver(history, server, part)
            else:  # nothing but rows without a reading
                await server.ask()
            if self._is_another(server, trail):
                return
            trail.acknowledged(part[-1].seq if at < len(block.lines) else block.end, time.monotonic())
            self._keep(history)

    async def _deliver(self, history: History, server: Server, rows: list[Line]) -> None:
        """Write these rows, as often halved as needed to find those that the server does not take."""
        waiting, proven = [rows], False
        while waiting:
            part = waiting.pop()
            half = len(part) // 2
            try:
                await self._write(server, part)
                proven = True
            except Refused as refusal:
                if refusal.too_large and half:
                    self._limit = min(self._limit, half)
                if half and refusal.dropped != len(part):
                    waiting += [part[half:], part[:half]]
                    continue
                # Is it these rows, or would the server say so of any?
                proven = proven or await self._takes_another(history, server, part[-1].seq, str(refusal))
                self._skip(part, str(refusal))

    async def _write(self, server: Server, part: list[Line]) -> None:
        size = await server.write("".join(line.text for line in part))
        now = time.monotonic()
        self._rows += len(part)
        self._bytes += size
        self._recent.append((now, len(part)))
        while now - self._recent[0][0] >= RATE:
            self._recent.popleft()
        self._works()

    async def _takes_another(self, history: History, server: Server, seq: int, refusal: str) -> bool:
        """Return True when the server takes the newest row there is. Raises Trouble when it does not."""
        last = (await asyncio.to_thread(history.reader.window, seq, 1)).last
        newest = await asyncio.to_thread(self._read, history, last - 1)
        if last > seq and newest.lines:
            try:
                await self._write(server, newest.lines)
                return True
            except Refused as again:
                refusal = str(again)
        raise Trouble(f"{self.settings.url} takes no row ({refusal}); see what is wrong with the database there")

    def _skip(self, rows: list[Line], refusal: str) -> None:
        new = [line for line in rows if line.seq > self._skipped_to]
        if not new:
            return
        self._skipped_to = new[-1].seq
        self._last_skipped = f"{new[-1].pack} at {utc(new[-1].time / 1000)} ({refusal})"
        if not self._skipped:
            log.warning("%s: a row is refused, and skipped; others will be counted: %s", self.title, self._last_skipped)
        self._skipped += len(new)

    def _keep(self, history: History, at_once: bool = False) -> None:
        """Note how far rows are safe, when that has changed, and not too often."""
        if self._trail is None or self._trail.safe == self._kept:
            return
        now = time.monotonic()
        if at_once or now - self._kept_at >= KEEP:
            history.reader.set_cursor(self._sink, self._trail.safe)
            self._kept, self._kept_at = self._trail.safe, now

    def _works(self) -> None:
        if self._state == "failing":
            log.warning("%s: works again after %.0f s", self.title, time.monotonic() - self._since)
        self._state, self._reason, self._tries = "running", "", 0

    def _fail(self, reason: str) -> None:
        if self._state != "failing":
            self._since = time.monotonic()
            log.warning("%s: %s", self.title, reason)
        self._state, self._reason = "failing", reason
        self._last_error = f"{utc(self._clock())} {reason}"

    def _pause(self, error: Exception) -> float:
        """Return the seconds until the next attempt: growing, and not the same for all gateways of a site."""
        self._tries += 1
        given = error.pause if isinstance(error, Trouble) else 0.0
        if given and isinstance(error, Trouble) and error.exact:
            return given * random.uniform(1.0, 1.1)
        return (given or min(LONGEST_PAUSE, PAUSE * 2.0 ** min(self._tries - 1, 10))) * random.uniform(0.5, 1.0)


__all__ = ["Influx"]
