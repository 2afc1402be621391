"""Follows one pack: what the gateway works out of its samples, and what is told of its state and alarms."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..readings.catalogue import ALARMS
from .bank import NOT_READ
from .config import PackSettings
from .counter import Counter, Look
from .events import Events
from .limits import Inputs, Limits, limits, nothing, readings, steady
from .meter import METERS, Meter, Step, longest
from .store import ASLEEP, LOST, ONLINE, RELEASED, STALE, STALE_AFTER, PackState, Readings

log = logging.getLogger("cellwire")

QUIET, LONGEST_QUIET = 10.0, 60.0  # seconds for which a change of the same thing is not told again; longer each time
UNSEEN_TEMPERATURE = 180.0  # seconds: some packs are asked for temperatures once a minute
MEANINGS = dict(ALARMS)
LEVELS = (("faults", "fault"), ("protections", "protection"), ("warnings", "warning"))


class Told:
    """What was told of each thing, so that one that flickers does not flood the events. "" is the normal value."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], tuple[str, float, float]] = {}  # value, when, seconds of quiet after it

    def value(self, *thing: str) -> str:
        """Return what was told last."""
        return self._told[thing][0] if thing in self._told else ""

    def changed(self, value: str, now: float, *thing: str, back_at_once: bool = True) -> bool:
        """Return True when a value is to be told now: not while it is to be quiet, unless the value is normal again."""
        told, then, quiet = self._told.get(thing, ("", -math.inf, QUIET))
        back = back_at_once and not value
        if value == told or (now - then < quiet and not back):
            return False
        if not back:
            quiet = min(2 * quiet, LONGEST_QUIET) if now - then < 2 * quiet else QUIET
            then = now
        self._told[thing] = value, then, quiet
        return True


class Shown:
    """A meter, and which of its totals are on the disk: only those are shown, so what is shown never goes back."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.totals: dict[str, float] = {}
        self._restored = False

    def restore(self, saved: Mapping[str, float]) -> bool:
        """Go on from saved totals; return False when that was done before: each total counts once."""
        if self._restored:
            return False
        self._restored = True
        self.meter.restore(saved)
        self.settle(saved)
        return True

    def settle(self, journalled: Mapping[str, float]) -> None:
        """Note what is on the disk now."""
        for name in METERS:
            if name in journalled:
                self.totals[name] = max(journalled[name], self.totals.get(name, 0.0))


class Cells(NamedTuple):
    """The newest look at the cells, and when it was."""

    seen: float = -math.inf
    number: int | None = None
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None


class Temperatures(NamedTuple):
    """The newest look at the sensors, and when it was."""

    seen: float = -math.inf
    coldest: float | None = None
    warmest: float | None = None


class Account:
    """One pack, whatever it is called; `id` is "" until its identity is settled. `now` is the monotonic clock."""

    def __init__(self, pack: PackState, settings: PackSettings, events: Events, now: float) -> None:
        self.pack = pack
        self.settings = settings
        self.events = events
        self.id = ""
        self.seen = now  # when the newest sample came
        self.sampled = False
        self.shown = Shown()
        self.counter = Counter()
        self._left = now  # when the newest sample came before the pack went away
        self._limits = Limits()
        self._limited = now
        self._worked_out: Readings = {}
        self._cells = Cells()
        self._temperatures = Temperatures()
        self._alarm_lists: dict[str, Sequence[str]] = {}
        self._alarms: dict[tuple[str, str], float] = {}  # (level, alarm) -> when it came up
        self._told = Told()

    def restore(self, saved: Mapping[str, float], wall: float) -> None:
        """Go on from what was written down at a time."""
        if self.shown.restore(saved) and self.counter.charge is None:
            self.counter.restore(saved, wall)

    def journal(self) -> dict[str, float]:
        """Return what must survive a crash."""
        return {**self.shown.meter.readings(), **self.counter.journal()}

    def move(self, other: "Account") -> None:
        """Go on with the pack of another account: it was renamed, or is read in another way now."""
        self.shown.meter.absorb(other.shown.meter)
        self.pack, self.settings = other.pack, other.settings
        self.seen, self.sampled = other.seen, other.sampled
        self._worked_out = {**self._worked_out, **other._worked_out}  # so that it goes when it is not known any more

    def capacity(self) -> float | None:
        """Return the Ah that go into the pack: what the BMS says today, else as configured, else as sold."""
        found = self.pack.readings
        return found.get("full_capacity") or self.settings.capacity or found.get("design_capacity") or None

    def away(self, now: float) -> str:
        """Return why the pack cannot be read, "" when it is online; a sample that was not believed is no error yet."""
        pack = self.pack
        if pack.released:
            return RELEASED
        if pack.trouble in (LOST, ASLEEP):
            return pack.trouble
        if now - self.seen <= STALE_AFTER * pack.every:
            return ""
        return pack.trouble or (STALE if self.sampled else NOT_READ)

    # A sample

    def take(self, sample: Readings, now: float) -> Step | None:
        """Take an accepted sample, which is in the pack's readings already; return what flowed since the last one."""
        find = sample.get
        if "cell_voltages" in sample:
            number = len(sample["cell_voltages"])
            self._cells = Cells(now, number, find("cell_mean"), find("cell_min"), find("cell_max"))
        if "temperatures" in sample:
            self._temperatures = Temperatures(now, find("temperature_min"), find("temperature_max"))
        step = None
        if "current" in sample:
            step = self.shown.meter.take(now, sample["current"], find("voltage"), longest(self.pack.every))
            if self.id:
                # Before, it is not known what was counted so far.
                self._count(sample["current"], step, now)
        self.seen, self.sampled = now, True
        settings = self.settings.limits
        new = limits(self._inputs(now), settings)
        self._limits = steady(new, self._limits, self._cells.number, settings, now - self._limited)
        self._limited = now
        return step

    def _count(self, current: float, step: Step | None, now: float) -> None:
        pack, cells = self.pack, self._fresh_cells(now)
        soc, wall = pack.readings.get("soc"), self.events.clock()
        look = Look(now, wall, current, self.capacity(), soc, cells.highest, cells.mean, self.settings.limits.chemistry)
        if self.counter.take(look, step):
            self.events.add("full", f"{pack.name} is full: its counter was set to 100 %", pack.id, pack.name)

    def _fresh_cells(self, now: float) -> Cells:
        return self._cells if now - self._cells.seen <= longest(self.pack.every) else Cells()

    def _inputs(self, now: float) -> Inputs:
        find = self.pack.readings.get
        cells, temperatures = self._fresh_cells(now), self._temperatures
        if now - temperatures.seen > max(UNSEEN_TEMPERATURE, longest(self.pack.every)):
            temperatures = Temperatures()
        return Inputs(
            cells.number,
            cells.mean,
            cells.lowest,
            cells.highest,
            temperatures.coldest,
            temperatures.warmest,
            find("soc"),
            find("charge_mosfet"),
            find("discharge_mosfet"),
            find("charge_voltage_request"),
            find("charge_current_request"),
            find("discharge_current_request"),
        )

    def worked_out(self) -> Readings:
        """Return what is worked out of the pack; what was before and is not any more is taken from its readings."""
        pack, found = self.pack, {**self.counter.readings(), **readings(self._limits)}
        for name in self._worked_out:
            if name not in found:
                for known in (pack.readings, pack.received, pack.changed):
                    known.pop(name, None)
        self._worked_out = found
        return found

    # What happens without one

    def pause(self, why: str) -> None:
        """Promise nothing more of the pack: it is away."""
        self.counter.pause()
        if why in (LOST, ASLEEP, RELEASED):
            self.shown.meter.pause()
        self._limits = nothing(self.settings.limits)

    def tell_state(self, away: str, now: float) -> None:
        """Tell that the pack went away or came back; one that was not read yet since the start is no news.

        The log has one line for each, however often the cause changes in between. A release is told by who does it.
        """
        pack = self.pack
        before = self._told.value("state") or ONLINE
        # Whoever asks a pack that fell silent soon knows more than that: it is told with the cause.
        if away in (NOT_READ, RELEASED) or (away == STALE and now - self.seen <= longest(pack.every)):
            return
        if not self._told.changed(away, now, "state"):
            return
        if away:
            if before == ONLINE:
                self._left = self.seen
            seconds = now - self._left
            text = f"{pack.name} is {away}: {pack.reason or f'nothing was heard of it for {seconds:.0f} s'}"
        else:
            seconds = self.seen - self._left
            text = f"{pack.name} is back after {seconds:.0f} s"
        detail = {"from": before, "to": away or ONLINE, "reason": pack.reason, "seconds": round(seconds, 1)}
        if before == ONLINE or not away:
            log.warning("%s", text)
        self.events.add("state", text, self.id, pack.name, **detail)

    def tell_alarms(self, now: float) -> None:
        """Note since when alarms are up; tell what came and what went, as soon as it is settled which pack this is."""
        pack = self.pack
        active: set[tuple[str, str]] = set()
        for name, level in LEVELS:
            # A list that is not believed at the moment says nothing about its alarms.
            found = pack.readings.get(name)
            if found is None:
                found = self._alarm_lists.get(name, ())
            self._alarm_lists[name] = found
            if found:
                active.update((level, alarm) for alarm in found)
        if not active and not self._alarms:
            return
        wall = self.events.clock()
        for key in active:
            self._alarms.setdefault(key, wall)
        pack.since = {}
        for key, since in list(self._alarms.items()):
            level, alarm = key
            up = key in active
            if up:
                pack.since[alarm] = min(since, pack.since.get(alarm, since))
            if self.id and self._told.changed("up" if up else "", now, *key, back_at_once=False):
                kind, words = ("alarm_on", "") if up else ("alarm_off", "over: ")
                text = f"{pack.name}: {words}{MEANINGS.get(alarm, alarm)} ({level})"
                self.events.add(kind, text, pack.id, pack.name, alarm=alarm, level=level, since=since)
            if not up and not self._told.value(*key):
                del self._alarms[key]
