"""Keeps the newest believed readings of every pack, with the time they came and the time they changed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

Readings = dict[str, Any]

ONLINE, STALE, ASLEEP, LOST, ERROR = "online", "stale", "asleep", "lost", "error"
# Readings older than this many poll intervals are stale.
STALE_AFTER = 3


class PackState:
    """What is known of one pack: its newest readings and how it goes with asking it."""

    def __init__(self, name: str, family: str, dialect: str, address: int, every: float) -> None:
        self.name = name
        self.family = family
        self.dialect = dialect
        self.address = address
        self.every = every
        self.readings: Readings = {}
        self.received: dict[str, float] = {}
        self.changed: dict[str, float] = {}
        self.time: float | None = None  # of the newest accepted sample
        self.trouble = ""  # ASLEEP, LOST or ERROR while the pack cannot be read
        self.reason = ""  # why, for people
        self.counts: Counter[str] = Counter()  # samples accepted, and rejected by cause

    @property
    def id(self) -> str:
        """The identity of the pack for ever: from its own serial number or code, else from its address."""
        for reading in ("serial_number", "battery_code", "pack_serial_number", "barcode"):
            text = "".join(letter for letter in str(self.readings.get(reading, "")) if letter.isalnum())
            if text.strip("0"):
                return f"{self.family}-{text.lower()}"
        return f"{self.dialect}-{self.address}"


class Store:
    """The newest readings of all packs; `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.packs: dict[str, PackState] = {}
        self._watchers: set[asyncio.Queue[str]] = set()

    def add(self, pack: PackState) -> PackState:
        """Return the pack's state, known to the store from now on."""
        self.packs[pack.name] = pack
        return pack

    def accept(self, pack: PackState, readings: Readings, sample: Readings | None = None) -> None:
        """Take the readings that the gate believes.

        sample: all that was read, when some of it stayed doubtful; a reading that stays so is soon not known any more.
        """
        now = self.clock()
        for name in sample or ():
            if name not in readings and now - pack.received.get(name, now) > STALE_AFTER * pack.every:
                for known in (pack.readings, pack.received, pack.changed):
                    known.pop(name, None)
        for name, value in readings.items():
            if pack.readings.get(name) != value or name not in pack.readings:
                pack.changed[name] = now
            pack.received[name] = now
        pack.readings.update(readings)
        pack.time = now
        pack.trouble = pack.reason = ""
        pack.counts["accepted"] += 1
        self._tell(pack)

    def fail(self, pack: PackState, trouble: str, reason: str) -> None:
        """Note that the pack cannot be read, and why; its old readings stay, and grow old."""
        pack.trouble, pack.reason = trouble, reason
        self._tell(pack)

    def state(self, pack: PackState) -> str:
        """Return online, stale, asleep, lost or error."""
        if pack.trouble:
            return pack.trouble
        if pack.time is None or self.clock() - pack.time > STALE_AFTER * pack.every:
            return STALE
        return ONLINE

    def snapshot(self, pack: PackState) -> Readings:
        """Return the pack as the JSON document that every output shows (docs/json.md)."""
        document: Readings = {
            "pack": pack.name,
            "family": pack.family,
            "dialect": pack.dialect,
            "address": pack.address,
        }
        if "model" in pack.readings:
            document["model"] = pack.readings["model"]
        document["id"] = pack.id
        if pack.time is not None:
            document["time"] = utc(pack.time)
            document["age"] = round(max(0.0, self.clock() - pack.time), 3)
        document["state"] = self.state(pack)
        if pack.reason:
            document["reason"] = pack.reason
        document["readings"] = dict(pack.readings)
        document["problems"] = [
            alarm for names in ("faults", "protections", "warnings") for alarm in pack.readings.get(names, ())
        ]
        return document

    async def watch(self) -> AsyncIterator[PackState]:
        """Yield each pack whose readings or state were just told anew."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        try:
            while True:
                yield self.packs[await queue.get()]
        finally:
            self._watchers.discard(queue)

    def _tell(self, pack: PackState) -> None:
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(pack.name)


def utc(seconds: float) -> str:
    """Return the moment as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
