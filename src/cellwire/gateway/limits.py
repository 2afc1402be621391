"""Works out how high a pack may be charged, and with how much current it may be charged and discharged now.

`limits` says what follows from one look at the pack, `steady` keeps that from toggling. docs/banks.md has the same
tables for people.
"""

import math
from typing import Any, NamedTuple

from .chemistry import CHEMISTRIES, Chemistry, Curve
from .config import LimitSettings

LOW_SOC = 10.0  # %: discharging is tapered from here to 0 at 0 %

# Reasons
CONFIGURED = "configured"
CELL_HIGH, CELL_LOW = "cell_high", "cell_low"
TEMPERATURE_LOW, TEMPERATURE_HIGH = "temperature_low", "temperature_high"
SOC_LOW = "soc_low"
BMS_REQUEST = "bms_request"
BLOCKED_CHARGING, BLOCKED_DISCHARGING = "bms_blocks_charging", "bms_blocks_discharging"
SENSOR_MISSING = "sensor_missing"
STALE = "stale"
# What ends at once, so that the limit is back at once; everything else comes back slowly.
AT_ONCE = (BLOCKED_CHARGING, BLOCKED_DISCHARGING, SENSOR_MISSING, STALE)

PER_VOLT, PER_AMPERE = 10, 1  # steps in which limits are shown, rounded down
DEAD = 2  # steps that a limit must be able to rise before it does
LEAVE_ZERO = 0.1  # of the configured current: less does not end a limit of 0
SECONDS = 100.0  # that a current takes to rise from 0 to what is configured
CELL_RISE = 0.001  # V per cell and second that the charge voltage rises
TINY = 1e-6  # of a step, lost in floats


class Inputs(NamedTuple):
    """One look at a pack; None is unknown. Cells and temperatures must be fresh."""

    cells: int | None = None
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None
    coldest: float | None = None
    warmest: float | None = None
    soc: float | None = None
    charge_mosfet: bool | None = None
    discharge_mosfet: bool | None = None
    voltage_request: float | None = None
    charge_request: float | None = None
    discharge_request: float | None = None


class Limit(NamedTuple):
    """A limit and what sets it."""

    value: float
    reason: str


class Limits(NamedTuple):
    """CVL in V, CCL and DCL in A, both positive; None: nothing is promised."""

    charge_voltage: Limit | None = None
    charge_current: Limit | None = None
    discharge_current: Limit | None = None


def limits(pack: Inputs, settings: LimitSettings) -> Limits:
    """Return the limits that follow from one look at a pack; each is set by the worst of its causes.

    Without a chemistry there are none, without a configured current not this one. What cannot be seen is not
    allowed: no cells, no current; no temperature, no charging.
    """
    chemistry = CHEMISTRIES.get(settings.chemistry)
    if chemistry is None:
        return Limits()
    return Limits(
        _charge_voltage(pack, settings, chemistry),
        _charge_current(pack, settings.charge_current, chemistry),
        _discharge_current(pack, settings.discharge_current, chemistry),
    )


def nothing(settings: LimitSettings) -> Limits:
    """Return the limits of a pack that is away."""
    if settings.chemistry not in CHEMISTRIES:
        return Limits()
    none = Limit(0.0, STALE)
    return Limits(
        None,
        None if settings.charge_current is None else none,
        None if settings.discharge_current is None else none,
    )


def _charge_voltage(pack: Inputs, settings: LimitSettings, chemistry: Chemistry) -> Limit | None:
    if not pack.cells or pack.highest is None or pack.mean is None:
        return None
    per_cell, reason = settings.charge_voltage or chemistry.full, CONFIGURED
    # Where the highest cell would stand when all cells rise alike.
    room = pack.mean + chemistry.highest - pack.highest
    if room < per_cell:
        per_cell, reason = max(room, min(chemistry.rest, per_cell)), CELL_HIGH
    limit = Limit(pack.cells * per_cell, reason)
    if pack.voltage_request and 0 < pack.voltage_request < limit.value:
        limit = Limit(pack.voltage_request, BMS_REQUEST)
    return limit


def _charge_current(pack: Inputs, most: float | None, chemistry: Chemistry) -> Limit | None:
    if most is None:
        return None
    if pack.charge_mosfet is False:
        return Limit(0.0, BLOCKED_CHARGING)
    if pack.highest is None or pack.coldest is None or pack.warmest is None:
        return Limit(0.0, SENSOR_MISSING)
    causes = [
        Limit(most, CONFIGURED),
        Limit(most * between(pack.highest, chemistry.highest, chemistry.full), CELL_HIGH),
        *_by_temperature(most, pack.coldest, pack.warmest, chemistry.charge),
    ]
    if pack.charge_request is not None:
        causes.append(Limit(max(0.0, pack.charge_request), BMS_REQUEST))
    return min(causes, key=_value)


def _discharge_current(pack: Inputs, most: float | None, chemistry: Chemistry) -> Limit | None:
    if most is None:
        return None
    if pack.discharge_mosfet is False:
        return Limit(0.0, BLOCKED_DISCHARGING)
    if pack.lowest is None:
        return Limit(0.0, SENSOR_MISSING)
    causes = [
        Limit(most, CONFIGURED),
        Limit(most * between(pack.lowest, chemistry.lowest, chemistry.low), CELL_LOW),
    ]
    if pack.coldest is not None and pack.warmest is not None:
        causes += _by_temperature(most, pack.coldest, pack.warmest, chemistry.discharge)
    if pack.soc is not None:
        causes.append(Limit(most * between(pack.soc, 0.0, LOW_SOC), SOC_LOW))
    if pack.discharge_request is not None:
        causes.append(Limit(max(0.0, pack.discharge_request), BMS_REQUEST))
    return min(causes, key=_value)


def _value(limit: Limit) -> float:
    return limit.value


def _by_temperature(most: float, coldest: float, warmest: float, curve: Curve) -> tuple[Limit, Limit]:
    """Return what the coldest and the warmest sensor allow; each is looked at on its own side only."""
    middle = (curve[0][0] + curve[-1][0]) / 2
    cold, warm = on(curve, min(coldest, middle)), on(curve, max(warmest, middle))
    return Limit(most * cold, TEMPERATURE_LOW), Limit(most * warm, TEMPERATURE_HIGH)


def between(value: float, none: float, all_of_it: float) -> float:
    """Return the share, 0 to 1, of a value on the way from where nothing is allowed to where all is."""
    return min(1.0, max(0.0, (value - none) / (all_of_it - none)))


def on(curve: Curve, place: float) -> float:
    """Return the height of a curve of straight lines; it goes on level at both ends."""
    before, height = curve[0]
    for after, next_height in curve:
        if place <= after:
            if after == before:
                return next_height
            return height + (next_height - height) * max(0.0, place - before) / (after - before)
        before, height = after, next_height
    return height


def steady(new: Limits, old: Limits, cells: int | None, settings: LimitSettings, seconds: float) -> Limits:
    """Return the limits to hold to, `seconds` after `old`: they fall at once and rise slowly.

    A cell rests as soon as the current stops, so a limit that followed it upwards would toggle for ever.
    """
    rise = (cells or 0) * CELL_RISE * seconds
    charge, discharge = settings.charge_current or 0.0, settings.discharge_current or 0.0
    return Limits(
        _held(new.charge_voltage, old.charge_voltage, rise, 1 / PER_VOLT, 0.0),
        _held(new.charge_current, old.charge_current, charge * seconds / SECONDS, 1 / PER_AMPERE, charge),
        _held(new.discharge_current, old.discharge_current, discharge * seconds / SECONDS, 1 / PER_AMPERE, discharge),
    )


def _held(new: Limit | None, old: Limit | None, rise: float, step: float, most: float) -> Limit | None:
    if new is None or old is None or old.reason in AT_ONCE or new.value <= old.value:
        return new
    if old.value == 0 and new.value < LEAVE_ZERO * most:
        return old
    if new.reason != CONFIGURED and new.value - old.value < DEAD * step:
        return old
    return new if new.value <= old.value + rise else Limit(old.value + rise, old.reason)


def readings(limits: Limits) -> dict[str, Any]:
    """Return the limits by the catalogue's names, rounded down to their steps; what is not promised is not there."""
    found: dict[str, Any] = {}
    for name, limit in zip(Limits._fields, limits, strict=True):
        if limit is not None:
            steps = PER_VOLT if name == "charge_voltage" else PER_AMPERE
            found[f"{name}_limit"] = math.floor(limit.value * steps + TINY) / steps
            found[f"{name}_reason"] = limit.reason
    return found
