"""Counts the charge in a pack from accepted samples, beside the BMS, and says how far the count may be off."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .chemistry import CHEMISTRIES
from .meter import HOUR, Step

# Where the count begins, and how it gets worse: shares are of the capacity.
SEED_ERROR = 0.10  # after a start from the BMS's own state of charge
FULL_ERROR = 0.01  # after the pack was truly full
THROUGHPUT_ERROR = 0.01  # of the charge that went in and out: the gain of the current sensor
OFFSET_CURRENT = 0.05  # A: what the sensor may say when nothing flows
UNSEEN_CURRENT = 0.2  # of the capacity an hour: what may have flowed while the pack was not seen

# Truly full
TAIL = 0.05  # of the capacity an hour: less current than this flows
REST = -0.2  # A: a sensor may say so when nothing flows
BALANCED = 0.05  # V: the mean of the cells is at most so far below the full voltage, or one cell runs away
HELD = 60.0  # seconds that all this must hold
REARM = 0.98  # of the capacity: below this the pack is no longer full, and can be full anew

# Times to full and to empty
SMOOTHING = 120.0  # seconds
IDLE_CURRENT = 0.2  # A
IDLE_SHARE = 0.005  # of the capacity an hour
MINUTE = 60.0

JOURNALLED = ("counted_charge", "counted_soc", "counted_soc_error", "last_full")


class Look(NamedTuple):
    """What the counter wants to know of an accepted sample.

    now: monotonic clock; wall: seconds since 1970; cells and state of charge may be unknown
    """

    now: float
    wall: float
    current: float
    capacity: float | None
    soc: float | None = None
    highest: float | None = None
    mean: float | None = None
    chemistry: str = ""


class Counter:
    """The charge in one pack and how far it may be off, in Ah; `charge` is None while nothing is known."""

    def __init__(self) -> None:
        self.capacity: float | None = None
        self.charge: float | None = None
        self.error = 0.0
        self.smoothed: float | None = None  # A
        self.last_full: float | None = None  # seconds since 1970
        self._soc: float | None = None
        self._saved: Mapping[str, float] = {}
        self._saved_at = 0.0
        self._seen: float | None = None
        self._full_since: float | None = None
        self._armed = True

    def restore(self, saved: Mapping[str, float], wall: float) -> None:
        """Go on from what was written down at a time, as soon as a sample comes."""
        self._saved, self._saved_at = saved, wall
        self.last_full = saved.get("last_full")

    def take(self, look: Look, step: Step | None) -> bool:
        """Count what flowed since the last sample, None when unknown; return True when the pack has become full."""
        seen, self._seen = self._seen, look.now
        self._soc = look.soc
        self._smooth(look.current, step)
        capacity = look.capacity or self.capacity
        if not capacity:
            return False
        self._size(capacity)
        if self._saved:
            self._begin_from_saved(look, capacity)
        elif self.charge is None:
            self._seed(look, capacity)
        elif step is not None:
            self.charge += step.charge_in - step.charge_out
            self.error += THROUGHPUT_ERROR * (step.charge_in + step.charge_out)
            self.error += OFFSET_CURRENT * step.seconds / HOUR
        elif seen is not None:
            self._unseen(look, capacity, look.now - seen)
        became_full = self._look_if_full(look, capacity, step)
        if self.charge is not None:
            self.charge = min(max(self.charge, 0.0), capacity)
            self.error = min(self.error, capacity)
        return became_full

    def pause(self) -> None:
        """Note that the pack is away: the present current is not known, and it may not be full any more."""
        self.smoothed = self._full_since = None

    def _smooth(self, current: float, step: Step | None) -> None:
        if step is None or self.smoothed is None:
            self.smoothed = current
        else:
            self.smoothed += (current - self.smoothed) * (1 - math.exp(-step.seconds / SMOOTHING))

    def _size(self, capacity: float) -> None:
        """Keep the state of charge, not the charge, when the BMS learns another capacity."""
        if self.capacity and self.capacity != capacity and self.charge is not None:
            self.charge *= capacity / self.capacity
            self.error *= capacity / self.capacity
        self.capacity = capacity

    def _begin_from_saved(self, look: Look, capacity: float) -> None:
        saved, self._saved = self._saved, {}
        share = saved.get("counted_soc")
        if share is None:
            self._seed(look, capacity)
            return
        self.charge = saved.get("counted_charge", share / 100 * capacity)
        self.error = saved.get("counted_soc_error", 100 * SEED_ERROR) / 100 * capacity
        self._armed = self.charge < REARM * capacity
        away = look.wall - self._saved_at
        # A clock that stands before what was written down says nothing of how long it was.
        self._unseen(look, capacity, away if away >= 0 else math.inf)

    def _seed(self, look: Look, capacity: float) -> None:
        if look.soc is not None:
            self.charge, self.error = look.soc / 100 * capacity, SEED_ERROR * capacity

    def _unseen(self, look: Look, capacity: float, seconds: float) -> None:
        """After a gap in which more may have flowed than the BMS is off by, begin anew from the BMS."""
        unseen = UNSEEN_CURRENT * capacity * seconds / HOUR
        self.error += unseen
        if unseen > SEED_ERROR * capacity:
            self._seed(look, capacity)

    def _look_if_full(self, look: Look, capacity: float, step: Step | None) -> bool:
        """Set the count to full when the pack was so for long enough; return True when it was not before."""
        if self.charge is not None and self.charge < REARM * capacity:
            self._armed = True
        if not _seems_full(look, capacity):
            self._full_since = None
            return False
        if self._full_since is None or step is None:
            self._full_since = look.now
        if look.now - self._full_since < HELD:
            return False
        became_full, self._armed = self._armed, False
        self._full_since = look.now
        self.last_full = look.wall
        # Without a chemistry that is the word of the BMS, no better than its state of charge.
        known = look.chemistry in CHEMISTRIES
        self.charge, self.error = capacity, (FULL_ERROR if known else SEED_ERROR) * capacity
        return became_full

    def journal(self) -> dict[str, float]:
        """Return what `restore` goes on from; what was restored and not yet used is in it."""
        found = {**self._saved, **self.readings()}
        return {name: found[name] for name in JOURNALLED if name in found}

    def readings(self) -> dict[str, Any]:
        """Return what is known, by the catalogue's names."""
        found: dict[str, Any] = {}
        if self.last_full is not None:
            found["last_full"] = int(self.last_full)
        if self.charge is None or not self.capacity:
            return found
        counted = 100 * self.charge / self.capacity
        found["counted_charge"] = round(self.charge, 2)
        found["counted_soc"] = round(counted, 1)
        found["counted_soc_error"] = round(100 * self.error / self.capacity, 1)
        if self._soc is not None:
            found["soc_drift"] = round(self._soc - counted, 1) + 0.0
        found.update(times(self.charge, self.capacity, self.smoothed))
        return found


def _seems_full(look: Look, capacity: float) -> bool:
    if not REST <= look.current < TAIL * capacity:
        return False
    if look.chemistry not in CHEMISTRIES:
        return look.soc is not None and look.soc >= 100
    full = CHEMISTRIES[look.chemistry].full
    if look.highest is None or look.mean is None:
        return False
    return look.highest >= full and look.mean >= full - BALANCED


def times(charge: float, capacity: float, current: float | None) -> dict[str, int]:
    """Return time_to_full or time_to_empty in s, whole minutes, at a smoothed current; neither when it is idle."""
    if current is None or abs(current) < max(IDLE_CURRENT, IDLE_SHARE * capacity):
        return {}
    name, left = ("time_to_full", capacity - charge) if current > 0 else ("time_to_empty", charge)
    return {name: round(left / abs(current) * HOUR / MINUTE) * int(MINUTE)}
