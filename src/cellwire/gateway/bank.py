"""Adds up several packs in parallel to one battery; a pack that does not take part is left out, and said why."""

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from .counter import times
from .limits import BLOCKED_CHARGING, BLOCKED_DISCHARGING, CONFIGURED, PER_AMPERE, TINY

Readings = Mapping[str, Any]

BLOCKED = "blocked"  # both MOSFETs are off
NOT_READ = "not read yet"
CELLS = 16  # join_difference is meant for packs of so many cells in series
STANDING = 0.8  # of the difference that is warned of: below this a warning ends
ALARMS = ("warnings", "protections", "faults")


class Member(NamedTuple):
    """One pack of a bank.

    away: why it cannot be read, "" when it is online; capacity: Ah, as the counter takes it;
    smoothed: its current of the last minutes
    """

    name: str
    readings: Readings
    away: str = ""
    capacity: float | None = None
    smoothed: float | None = None


class Warned(NamedTuple):
    """A pack that should not be joined as it is; pack "": packs that are joined and differ."""

    pack: str
    text: str


class Combined(NamedTuple):
    """What a bank comes to."""

    readings: dict[str, Any]
    missing: dict[str, str]
    warnings: list[Warned]


def combine(members: Sequence[Member], join_difference: float, standing: Collection[str] = ()) -> Combined:
    """Return what the packs come to together; no readings when none of them counts.

    standing: the `pack` of warnings given before, which end a little later than they begin
    """
    missing = {member.name: why for member in members if (why := _why_not(member))}
    present = [member for member in members if member.name not in missing]
    warnings = _warnings(members, missing, join_difference, standing)
    if not present:
        return Combined({}, missing, warnings)
    readings: dict[str, Any] = {"packs_present": len(present), "packs_total": len(members)}
    _add_up(readings, present)
    _weigh(readings, present)
    _extremes(readings, present, "cell", 3)
    _extremes(readings, present, "temperature", 1)
    _switches(readings, present)
    blocked = [member for member in members if missing.get(member.name) == BLOCKED]
    for name in ALARMS:
        lists = [member.readings[name] for member in [*present, *blocked] if name in member.readings]
        if lists:
            readings[name] = list(dict.fromkeys(alarm for alarms in lists for alarm in alarms))
    _limit(readings, present)
    return Combined(readings, missing, warnings)


def _why_not(member: Member) -> str:
    """Return why a pack does not count, "" when it does."""
    if member.away:
        return member.away
    if "voltage" not in member.readings or "current" not in member.readings:
        return NOT_READ
    if member.readings.get("charge_mosfet") is False and member.readings.get("discharge_mosfet") is False:
        return BLOCKED
    return ""


def _all(present: Sequence[Member], name: str) -> list[float] | None:
    """Return a reading of all packs, None when one of them does not have it."""
    values = [member.readings.get(name) for member in present]
    return None if None in values else values  # type: ignore[return-value]


def _add_up(readings: dict[str, Any], present: Sequence[Member]) -> None:
    voltages = [member.readings["voltage"] for member in present]
    currents = [member.readings["current"] for member in present]
    readings["voltage"] = round(fmean(voltages), 2)
    readings["voltage_spread"] = round(max(voltages) - min(voltages), 2)
    readings["current"] = round(sum(currents), 2) + 0.0
    powers = [voltage * current for voltage, current in zip(voltages, currents, strict=True)]
    readings["power"] = round(sum(powers), 1) + 0.0
    for name in ("remaining_capacity", "full_capacity", "design_capacity", "counted_charge"):
        values = _all(present, name)
        if values:
            readings[name] = round(sum(values), 2)


def _weigh(readings: dict[str, Any], present: Sequence[Member]) -> None:
    """Weigh by capacity what is a share of it. A pack of unknown capacity makes all of it unknown."""
    shares = _shares(present)
    if shares is None:
        return
    for name in ("soc", "counted_soc", "counted_soc_error"):
        values = _all(present, name)
        if values:
            readings[name] = round(sum(share * value for share, value in zip(shares, values, strict=True)), 1)
    if "soc" in readings and "counted_soc" in readings:
        readings["soc_drift"] = round(readings["soc"] - readings["counted_soc"], 1) + 0.0
    currents = [member.smoothed for member in present if member.smoothed is not None]
    if "counted_soc" in readings and len(currents) == len(present):
        capacity = sum(member.capacity or 0.0 for member in present)
        readings.update(times(readings["counted_soc"] / 100 * capacity, capacity, sum(currents)))


def _shares(members: Sequence[Member]) -> list[float] | None:
    """Return each pack's share of the capacity, None when one capacity is not known."""
    capacities = [member.capacity for member in members if member.capacity]
    if len(capacities) < len(members):
        return None
    whole = sum(capacities)
    return [capacity / whole for capacity in capacities]


def _extremes(readings: dict[str, Any], present: Sequence[Member], prefix: str, decimals: int) -> None:
    """Find the lowest and the highest of all packs. A pack without cells could have the lowest: then it is unknown."""
    for end, pick in (("_min", min), ("_max", max)):
        name = prefix + end
        known = [member for member in present if name in member.readings]
        if not known or (prefix == "cell" and len(known) < len(present)):
            continue
        found = pick(known, key=lambda member: member.readings[name])
        readings[name] = found.readings[name]
        readings[f"{name}_pack"] = found.name
        number = found.readings.get(f"{name}_number")
        if number is not None:
            readings[f"{name}_number"] = number
    if f"{prefix}_min" in readings and f"{prefix}_max" in readings:
        readings[f"{prefix}_delta"] = round(readings[f"{prefix}_max"] - readings[f"{prefix}_min"], decimals)


def _switches(readings: dict[str, Any], present: Sequence[Member]) -> None:
    """Say whether any pack conducts, and how many; a pack that does not tell is taken to conduct."""
    for name, count in (("charge_mosfet", "packs_chargeable"), ("discharge_mosfet", "packs_dischargeable")):
        readings[count] = len(_conducting(present, name))
        if any(name in member.readings for member in present):
            readings[name] = readings[count] > 0
    if any("balancing" in member.readings for member in present):
        readings["balancing"] = any(member.readings.get("balancing") for member in present)


def _conducting(present: Sequence[Member], mosfet: str) -> list[Member]:
    return [member for member in present if member.readings.get(mosfet) is not False]


def _limit(readings: dict[str, Any], present: Sequence[Member]) -> None:
    """Put the lowest charge voltage, and the currents that no pack's share of is more than it bears."""
    lowest = _lowest(present, "charge_voltage", [1.0] * len(present))
    if lowest:
        readings["charge_voltage_limit"], readings["charge_voltage_reason"] = lowest
    for name, mosfet, blocked in (
        ("charge_current", "charge_mosfet", BLOCKED_CHARGING),
        ("discharge_current", "discharge_mosfet", BLOCKED_DISCHARGING),
    ):
        conducting = _conducting(present, mosfet)
        shares = _shares(conducting) or [1 / len(conducting) for _ in conducting]
        lowest = _lowest(conducting, name, shares)
        if lowest:
            readings[f"{name}_limit"] = math.floor(lowest[0] * PER_AMPERE + TINY) / PER_AMPERE
            readings[f"{name}_reason"] = lowest[1]
        elif not conducting and any(f"{name}_limit" in member.readings for member in present):
            readings[f"{name}_limit"], readings[f"{name}_reason"] = 0.0, blocked


def _lowest(members: Sequence[Member], name: str, shares: Sequence[float]) -> tuple[float, str] | None:
    """Return the lowest limit by share and its reason with the pack's name; None when a pack has no limit."""
    limits = _all(members, f"{name}_limit")
    if not limits:
        return None
    value, number = min((limit / share, at) for at, (limit, share) in enumerate(zip(limits, shares, strict=True)))
    reason = members[number].readings[f"{name}_reason"]
    return value, reason if reason == CONFIGURED else f"{reason}: {members[number].name}"


def _warnings(
    members: Sequence[Member], missing: Mapping[str, str], join_difference: float, standing: Collection[str]
) -> list[Warned]:
    """Return which packs must not be joined as they are, and which are joined and differ."""
    known = [member for member in members if "voltage" in member.readings]
    joined = [member for member in known if member.name not in missing]
    found = []
    if joined:
        low = min(joined, key=lambda member: member.readings["voltage"])
        high = max(joined, key=lambda member: member.readings["voltage"])
        apart = high.readings["voltage"] - low.readings["voltage"]
        if apart > _tolerated(low, join_difference, "" in standing):
            text = f"{low.name} and {high.name} are joined and {apart:.2f} V apart; look at cables, fuses and shunts"
            found.append(Warned("", text))
    for member in known:
        if member.name not in missing:
            continue
        others = [other.readings["voltage"] for other in joined or known if other is not member]
        apart = member.readings["voltage"] - fmean(others) if others else 0.0
        if abs(apart) > _tolerated(member, join_difference, member.name in standing):
            much = f"{abs(apart):.2f} V {'above' if apart > 0 else 'below'} the others"
            text = f"do not join {member.name}: it is {much}; charge or discharge until they are alike"
            if missing[member.name] != BLOCKED:
                text = f"measure before you join {member.name}: it was {much} when it was last read"
            found.append(Warned(member.name, text))
    return found


def _tolerated(member: Member, join_difference: float, stands: bool) -> float:
    cells = member.readings.get("cell_count") or len(member.readings.get("cell_voltages", ())) or CELLS
    return float(join_difference * cells / CELLS * (STANDING if stands else 1.0))
