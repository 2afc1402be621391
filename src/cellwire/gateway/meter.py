"""Meters charge and energy in and out by the trapezoid between accepted samples; what was not seen is not invented."""

from collections.abc import Mapping
from typing import NamedTuple

from ..readings.catalogue import decimals

METERS = ("energy_in", "energy_out", "charge_in", "charge_out")
HOUR = 3600.0
WATTS = 1000.0  # in a kW


class Step(NamedTuple):
    """What flowed between two samples: seconds, kWh and Ah."""

    seconds: float
    energy_in: float
    energy_out: float
    charge_in: float
    charge_out: float


def longest(every: float) -> float:
    """Return the seconds between two samples of a pack above which nobody knows what flowed."""
    return max(10.0, 5 * every)


def areas(first: float, last: float, seconds: float) -> tuple[float, float]:
    """Return the area above zero and the area below zero of a straight line, both as positive numbers."""
    if first >= 0 and last >= 0:
        return (first + last) / 2 * seconds, 0.0
    if first <= 0 and last <= 0:
        return 0.0, -(first + last) / 2 * seconds
    crossing = seconds * first / (first - last)
    early, late = abs(first) / 2 * crossing, abs(last) / 2 * (seconds - crossing)
    return (early, late) if first > 0 else (late, early)


class Meter:
    """Four totals that only go up; not rounded inside, so small currents add up."""

    def __init__(self) -> None:
        self.energy_in = self.energy_out = self.charge_in = self.charge_out = 0.0
        self._last: tuple[float, float, float | None] | None = None  # time, current, voltage

    def take(self, now: float, current: float, voltage: float | None, limit: float) -> Step | None:
        """Take a sample at a time of the monotonic clock; return what flowed since the last one, None when unknown.

        limit: seconds above which nothing is added. Without a voltage at both ends charge is metered alone.
        """
        last, self._last = self._last, (now, current, voltage)
        if last is None or now - last[0] > limit:
            return None
        seconds = now - last[0]
        charged, discharged = areas(last[1], current, seconds)
        taken = given = 0.0
        if voltage is not None and last[2] is not None:
            taken, given = areas(last[1] * last[2], current * voltage, seconds)
        step = Step(seconds, taken / HOUR / WATTS, given / HOUR / WATTS, charged / HOUR, discharged / HOUR)
        self.add(step)
        return step

    def pause(self) -> None:
        """Note that the pack is away: what flows until the next sample is not known."""
        self._last = None

    def add(self, step: Step) -> None:
        """Add what flowed elsewhere: in a pack of the bank."""
        self.energy_in += step.energy_in
        self.energy_out += step.energy_out
        self.charge_in += step.charge_in
        self.charge_out += step.charge_out

    def restore(self, saved: Mapping[str, float]) -> None:
        """Go on from saved totals; what was metered meanwhile stays in."""
        for name in METERS:
            setattr(self, name, getattr(self, name) + max(0.0, saved.get(name, 0.0)))

    def absorb(self, other: "Meter") -> None:
        """Go on with what another meter of the same pack has metered and seen last."""
        self.restore({name: getattr(other, name) for name in METERS})
        self._last = other._last

    def readings(self) -> dict[str, float]:
        """Return the totals with the catalogue's decimals."""
        return {name: round(getattr(self, name), decimals(name)) for name in METERS}
