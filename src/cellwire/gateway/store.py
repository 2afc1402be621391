"""Keeps the newest believed readings of every pack, with the time they came and the time they changed."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..readings.catalogue import BY_NAME
from .durations import Durations

Readings = dict[str, Any]

ONLINE, STALE, ASLEEP, LOST, ERROR = "online", "stale", "asleep", "lost", "error"
PARTIAL = "partial"  # a bank of which some packs do not count
RELEASED = "released"  # why a pack does not count that is lost only because it is left to another program
# Readings older than this many poll intervals are stale.
STALE_AFTER = 3
# What a BMS tells once or when asked for, and meters, which are shown when they are on the disk; everything else is old
# when it did not come again for so many seconds.
LASTING = ("identity", "settings", "meters")
SLOW = 180.0


class PackState:
    """What is known of one pack: its newest readings and how it goes with asking it.

    settled: everything that tells its identity was read, so that `id` stays
    since: when each active alarm came up
    seen, received: when the newest sample and each reading came, by the clock that nobody sets
    """

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
        self.seen: float | None = None
        self.trouble = ""  # ASLEEP, LOST or ERROR while the pack cannot be read
        self.reason = ""  # why, for people
        self.released = False  # it is left to another program, or was, and was not heard of since
        self.counts: Counter[str] = Counter()  # samples accepted, and rejected by cause
        self.polls = Durations()  # how long the polls took that were answered
        self.since: dict[str, float] = {}
        self.settled = False
        self.pinned_id = ""  # as configured, or as settled

    @property
    def id(self) -> str:
        """The identity of the pack for ever: from its own serial number or code, else from its address."""
        if self.pinned_id:
            return self.pinned_id
        for reading in ("serial_number", "battery_code", "pack_serial_number", "barcode"):
            text = "".join(letter for letter in str(self.readings.get(reading, "")) if letter.isalnum())
            if text.strip("0"):
                return f"{self.family}-{text.lower()}"
        return f"{self.dialect}-{self.address}"


class BankState:
    """Several packs as one battery: what they come to, which of them count, and why the others do not.

    missing: why a pack does not count, by its name; warnings: sentences for people
    seen: when the oldest sample that counts came, by the clock that nobody sets
    """

    def __init__(self, name: str, packs: tuple[str, ...], id: str = "") -> None:
        self.name = name
        self.packs = packs
        self.id = id or f"bank-{name}"
        self.readings: Readings = {}
        self.time: float | None = None  # of the oldest sample that counts
        self.seen: float | None = None
        self.missing: dict[str, str] = {}
        self.warnings: list[str] = []


class Battery(NamedTuple):
    """A pack or a bank as an output shows it.

    kind: "pack" or "bank"; settled: its id stays; live: it can be read and its newest sample is not stale
    every: seconds between two samples; seen: when the newest came, by the clock that nobody sets, `time` by the wall's
    readings: what is known and not old, nothing unless live; packs: names of a bank's members
    """

    kind: str
    name: str
    id: str
    settled: bool
    state: str
    live: bool
    every: float
    time: float | None
    seen: float | None
    readings: Readings
    identity: Readings  # what is known of a pack's identity, also when it is not live
    family: str = ""
    packs: tuple[str, ...] = ()


class Store:
    """The newest readings of all packs and banks.

    clock: seconds since 1970; monotonic: what ages are reckoned by, needed where the clock may be set
    follow: called with every accepted sample; returns what the gateway itself adds to the pack's readings
    known: identities that packs have or had, in earlier runs too
    """

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float] | None = None) -> None:
        self.clock = clock
        self.monotonic = monotonic or clock
        self.known: set[str] = set()
        self.packs: dict[str, PackState] = {}
        self.banks: dict[str, BankState] = {}
        self.follow: Callable[[PackState, Readings], Readings] = lambda pack, sample: {}
        self._watchers: set[asyncio.Queue[str]] = set()

    def add(self, pack: PackState) -> PackState:
        """Return the pack's state, known to the store from now on."""
        self.packs[pack.name] = pack
        return pack

    def accept(self, pack: PackState, readings: Readings, sample: Readings | None = None) -> None:
        """Take the readings that the gate believes.

        sample: all that was read, when some of it stayed doubtful; a reading that stays so is soon not known any more.
        """
        now = self.monotonic()
        for name in sample or ():
            if name not in readings and now - pack.received.get(name, now) > STALE_AFTER * pack.every:
                self.forget(pack, name)
        self.put(pack, readings)
        pack.time, pack.seen = self.clock(), now
        pack.trouble = pack.reason = ""
        pack.released = False
        pack.counts["accepted"] += 1
        self.put(pack, self.follow(pack, readings))
        self._tell(pack)

    def put(self, pack: PackState, readings: Readings) -> None:
        """Put readings to those of the pack; they came now."""
        now, wall = self.monotonic(), self.clock()
        for name, value in readings.items():
            if pack.readings.get(name) != value or name not in pack.readings:
                pack.changed[name] = wall
            pack.received[name] = now
        pack.readings.update(readings)

    def forget(self, pack: PackState, name: str) -> None:
        """Take a reading away that is not known any more."""
        for known in (pack.readings, pack.received, pack.changed):
            known.pop(name, None)

    def fail(self, pack: PackState, trouble: str, reason: str) -> None:
        """Note that the pack cannot be read, and why; its old readings stay, and grow old."""
        pack.trouble, pack.reason, pack.released = trouble, reason, False
        self._tell(pack)

    def release(self, pack: PackState, reason: str) -> None:
        """Note that the pack is left to another program, and why: it cannot be read, and nothing is wrong."""
        self.fail(pack, LOST, reason)
        pack.released = True

    def settle(self, pack: PackState) -> None:
        """Fix the identity of a pack that told all it can; boards without a serial number may share one.

        A pack that had to take one of its own before takes it again, whichever of them answers first this time.
        """
        wanted, own = pack.id, f"{pack.id}-{pack.name}"
        taken = {other.id for other in self.packs.values() if other is not pack and other.settled}
        if wanted in taken or (own in self.known and not pack.pinned_id):
            wanted = own
        pack.pinned_id, pack.settled = wanted, True
        self.known.add(wanted)

    def remove(self, name: str) -> None:
        """Forget a pack."""
        self.packs.pop(name, None)

    def add_bank(self, bank: BankState) -> BankState:
        """Return the bank, known to the store from now on."""
        self.banks[bank.name] = bank
        return bank

    def state(self, pack: PackState) -> str:
        """Return online, stale, asleep, lost or error."""
        if pack.trouble:
            return pack.trouble
        if pack.seen is None or self.monotonic() - pack.seen > STALE_AFTER * pack.every:
            return STALE
        return ONLINE

    def fresh(self, pack: PackState, slow: float = SLOW) -> Readings:
        """Return the readings that are not old, those that last however old they are."""
        oldest = self.monotonic() - max(slow, STALE_AFTER * pack.every)
        return {
            name: value
            for name, value in pack.readings.items()
            if pack.received[name] >= oldest or BY_NAME[name][3] in LASTING
        }

    def is_live(self, name: str) -> bool:
        """Return whether the pack or bank of that name can be read and its newest sample is not stale."""
        pack, bank = self.packs.get(name), self.banks.get(name)
        if pack is not None:
            return self.state(pack) == ONLINE
        return bank is not None and len(bank.missing) < len(bank.packs) and bank.seen is not None

    def battery(self, name: str) -> Battery | None:
        """Return the pack or bank of that name."""
        pack, bank, live = self.packs.get(name), self.banks.get(name), self.is_live(name)
        if pack is not None:
            readings = self.fresh(pack) if live else {}
            identity = {each: value for each, value in pack.readings.items() if BY_NAME[each][3] == "identity"}
            return Battery(
                "pack", name, pack.id, pack.settled, self.state(pack), live, pack.every, pack.time, pack.seen, readings,
                identity, pack.family,
            )  # fmt: skip
        if bank is not None:
            members = [self.packs[each] for each in bank.packs if each in self.packs]
            every = max((member.every for member in members), default=1.0)
            state = LOST if not live else PARTIAL if bank.missing else ONLINE
            readings = dict(bank.readings) if live else {}
            return Battery(
                "bank", name, bank.id, True, state, live, every, bank.time, bank.seen, readings, {}, "", bank.packs
            )
        return None

    def batteries(self) -> list[Battery]:
        """Return all packs, then all banks, in the order of the configuration."""
        found = (self.battery(name) for name in (*self.packs, *self.banks))
        return [battery for battery in found if battery is not None]

    def _when(self, what: PackState | BankState) -> Readings:
        """Return the time and the age of the newest sample, as far as there was one."""
        if what.time is None:
            return {}
        document: Readings = {"time": utc(what.time)}
        if what.seen is not None:
            document["age"] = round(max(0.0, self.monotonic() - what.seen), 3)
        return document

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
        document.update(self._when(pack))
        document["state"] = self.state(pack)
        if pack.reason:
            document["reason"] = pack.reason
        document["readings"] = dict(pack.readings)
        document["problems"] = problems(pack.readings)
        return document

    def bank_snapshot(self, bank: BankState) -> Readings:
        """Return the bank as the JSON document that every output shows (docs/json.md)."""
        document: Readings = {"bank": bank.name, "id": bank.id, "packs": list(bank.packs)}
        document["present"] = len(bank.packs) - len(bank.missing)
        document["missing"] = dict(bank.missing)
        document.update(self._when(bank))
        document["state"] = LOST if len(bank.missing) == len(bank.packs) else PARTIAL if bank.missing else ONLINE
        document["readings"] = dict(bank.readings)
        document["problems"] = problems(bank.readings)
        document["warnings"] = list(bank.warnings)
        return document

    async def watch(self) -> AsyncGenerator[PackState, None]:
        """Yield each pack whose readings or state were just told anew."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        try:
            while True:
                pack = self.packs.get(await queue.get())
                if pack is not None:
                    yield pack
        finally:
            self._watchers.discard(queue)

    def _tell(self, pack: PackState) -> None:
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(pack.name)


def problems(readings: Readings) -> list[str]:
    """Return the names of all active faults, protections and warnings, the worst first."""
    return [alarm for names in ("faults", "protections", "warnings") for alarm in readings.get(names, ())]


def utc(seconds: float) -> str:
    """Return the moment as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
