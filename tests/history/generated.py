"""Generated batteries for tests and benches: seeded, of a household with the sun on its roof, no two days the same.

45 columns a row, of which about 19 change from one row to the next. Current has 40 mA of noise and each cell 0.7 mV.
"""

import math
import random
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

START = 1_704_067_200.0  # 2024-01-01 00:00 UTC
EVERY = 5.0
CELLS = 16
CURRENT_NOISE = 0.040  # A
CELL_NOISE = 0.7  # mV
FULL_CAPACITY = 280.0
POOL = 256
PHASES = 4  # steps within a millivolt
VOLTS = tuple(millivolts / 1000 for millivolts in range(5000))
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")

# Open-circuit voltage of a LiFePO4 cell, mV, at 0, 5, 10, 20 ... 100 %.
CURVE = ((0, 2800), (5, 3080), (10, 3190), (20, 3240), (40, 3285), (60, 3310), (80, 3330), (95, 3345), (100, 3420))


def identity(number: int) -> str:
    """Return the id of the pack with that number."""
    return f"jbd-{number:010d}"


class Cells(NamedTuple):
    """One draw of noise on all cells, in mV above their common voltage, and what follows from it."""

    each: tuple[int, ...]
    low: int
    high: int
    mean: int
    low_number: int
    high_number: int


class Pack:
    """One generated pack; the same number and seed give the same rows again.

    meters: what the meters have counted before
    """

    def __init__(self, number: int, seed: int = 1, meters: Mapping[str, float] | None = None) -> None:
        self.id = identity(number)
        self._random = random.Random(f"{seed}/{number}")
        self._phase = number * 0.21
        offsets = [self._random.gauss(0, 3.0) for _ in range(CELLS)]
        self._pool = [self._cells(offsets, phase / PHASES) for phase in range(PHASES) for _ in range(POOL)]
        self._noise = [self._random.gauss(0, CURRENT_NOISE) for _ in range(1024)]
        self._remaining = FULL_CAPACITY * self._random.uniform(0.3, 0.8)
        self._counted = [(meters or {}).get(name, 0.0) for name in METERS]
        self._cycles = 40 + number
        self._day = self._minute = -1
        self._cloud = self._sun = self._load = self._warmth = 0.0
        self._current = 0.0
        self._temperatures: list[list[float]] = []
        self._slow: dict[str, Any] = {}

    def _cells(self, offsets: list[float], phase: float) -> Cells:
        each = tuple(round(phase + offset + self._random.gauss(0, CELL_NOISE)) for offset in offsets)
        low, high = min(each), max(each)
        return Cells(each, low, high, round(sum(each) / CELLS), each.index(low) + 1, each.index(high) + 1)

    def row(self, time: float, every: float = EVERY) -> tuple[float, dict[str, Any]]:
        """Return the exact time and the readings of the row that belongs to the tick at `time`."""
        draw = self._random.random
        if int(time // 60) != self._minute:
            self._next_minute(time)
        current = round(self._current + self._noise[int(draw() * 1024)], 2)
        share = current * every / 3600
        self._remaining = min(max(self._remaining + share, 0.0), FULL_CAPACITY)
        soc = 100 * self._remaining / FULL_CAPACITY
        common = self._open_voltage + 0.25 * current
        base = int(common)
        cells = self._pool[int((common - base) * PHASES) * POOL + int(draw() * POOL)]
        voltage = round((CELLS * base + sum(cells.each)) / 1000, 2)
        temperatures = self._temperatures[int(draw() * 8)]
        counted = self._counted
        if current > 0:
            counted[0] += share * voltage / 1000
            counted[2] += share
        else:
            counted[1] -= share * voltage / 1000
            counted[3] -= share
        readings = {
            "voltage": voltage,
            "current": current,
            "power": round(voltage * current, 1),
            "soc": int(soc + 0.5),
            "remaining_capacity": round(self._remaining, 2),
            "cell_voltages": [VOLTS[base + above] for above in cells.each],
            "cell_min": VOLTS[base + cells.low],
            "cell_max": VOLTS[base + cells.high],
            "cell_mean": VOLTS[base + cells.mean],
            "cell_delta": VOLTS[cells.high - cells.low],
            "cell_min_number": cells.low_number,
            "cell_max_number": cells.high_number,
            "energy_in": round(counted[0], 4),
            "energy_out": round(counted[1], 4),
            "charge_in": round(counted[2], 3),
            "charge_out": round(counted[3], 3),
            "counted_soc": round(soc, 1),
            "temperatures": temperatures,
            "temperature_min": min(temperatures),
            "temperature_max": max(temperatures),
        }
        readings.update(self._slow)
        return round(time + self._phase + draw() * 0.04, 3), readings

    def _next_minute(self, time: float) -> None:
        self._minute = int(time // 60)
        day, hour = int(time // 86400), time % 86400 / 3600
        draw = self._random
        if day != self._day:
            self._day = day
            self._sun = draw.uniform(0.15, 1.0) * (1.0 + 0.6 * math.sin((day % 365 - 80) / 365 * math.tau))
            self._warmth = 15.0 + 9.0 * math.sin((day % 365 - 110) / 365 * math.tau) + draw.uniform(-2, 2)
        self._cloud = min(max(0.9 * self._cloud + 0.1 * draw.uniform(0.2, 1.2), 0.1), 1.0)
        self._load *= 0.8
        if draw.random() < (0.10 if 6 < hour < 23 else 0.02):
            self._load += draw.uniform(100, 1500)  # W, something was switched on
        solar = 2500.0 * self._sun * self._cloud * max(0.0, math.sin((hour - 6) / 12 * math.pi))
        net = solar - self._load - 120.0 - draw.uniform(0, 15)
        soc = 100 * self._remaining / FULL_CAPACITY
        if net > 0:
            net *= min(1.0, max(0.0, (99.8 - soc) / 3))  # the charger tapers
        if net < 0:
            net *= min(1.0, max(0.0, (soc - 4) / 3))
        self._current = net / 52.8
        if soc > 99 and draw.random() < 0.01:
            self._cycles += 1
        self._open_voltage = _on_curve(soc)
        warm = self._warmth + 3 * math.sin((hour - 9) / 12 * math.pi) + abs(self._current) / 20
        self._temperatures = [
            [round(warm + sensor * 0.6 + draw.gauss(0, 0.02), 1) for sensor in range(4)] for _ in range(8)
        ]
        self._slow = {
            "mosfet_temperature": round(warm + 4 + abs(self._current) / 8, 1),
            "charge_mosfet": soc < 99.7,
            "discharge_mosfet": soc > 4.5,
            "balancing": soc > 96 and net > 0,
            "cycles": self._cycles,
            "full_capacity": FULL_CAPACITY,
            "soh": 99.0,
        }


def _on_curve(soc: float) -> float:
    for (low, below), (high, above) in pairwise(CURVE):
        if soc <= high:
            return below + (above - below) * (soc - low) / (high - low)
    return CURVE[-1][1]


def household(count: int = 4, seed: int = 1, meters: Mapping[str, Mapping[str, float]] | None = None) -> list[Pack]:
    """Return the packs of one seed; meters: what each had counted before, by id."""
    return [Pack(number, seed, (meters or {}).get(identity(number))) for number in range(1, count + 1)]


def ticks(
    packs: list[Pack], start: float = START, count: int = 720, every: float = EVERY
) -> "Iterator[list[tuple[str, float, dict[str, Any]]]]":
    """Yield the rows of all packs (id, time, readings), one list a tick."""
    for tick in range(count):
        time = start + tick * every
        yield [(pack.id, *pack.row(time, every)) for pack in packs]
