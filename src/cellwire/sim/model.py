"""A simulated battery: what a pack of a house with solar panels shows at any moment, the same for the same seed."""

import math
import random
from itertools import pairwise
from typing import Any

from ..readings.catalogue import decimals

# Open circuit voltage of a rested cell by state of charge, typical curves.
CURVES = {
    "LFP": (
        (0.0, 2.600), (1.0, 2.800), (5.0, 3.050), (10.0, 3.180), (20.0, 3.235), (30.0, 3.265), (40.0, 3.285),
        (50.0, 3.295), (60.0, 3.305), (70.0, 3.325), (80.0, 3.335), (90.0, 3.345), (95.0, 3.355),
        (98.0, 3.385), (99.0, 3.430), (100.0, 3.500), (102.0, 3.640),
    ),
    "NMC": (
        (0.0, 3.000), (5.0, 3.350), (10.0, 3.480), (20.0, 3.580), (30.0, 3.630), (40.0, 3.670), (50.0, 3.730),
        (60.0, 3.820), (70.0, 3.920), (80.0, 4.010), (90.0, 4.090), (100.0, 4.170), (102.0, 4.190),
    ),
}  # fmt: skip
BALANCE_START = {"LFP": 3.40, "NMC": 4.05}
BALANCE_DELTA = 0.010
SWITCHES = ("charge_switch", "discharge_switch", "balancer_switch")

DAY = 86400
MINUTES = 1440
# Counters run from 2024-01-01, so that a wall clock gives a pack in its middle years; smaller clocks count from 0.
ORIGIN = 1_704_067_200.0
# Values change this often and stand still in between.
TICK = 0.1


class Battery:
    """One pack: `values(now)` depends on the arguments, the switches and the time, and on nothing else."""

    def __init__(
        self,
        cells: int = 16,
        seed: int = 0,
        chemistry: str = "LFP",
        capacity: float = 280.0,
        sensors: int = 2,
    ) -> None:
        if chemistry not in CURVES:
            raise ValueError(f"{chemistry}: not one of {', '.join(CURVES)}")
        self.cells = cells
        self.seed = seed
        self.chemistry = chemistry
        self.capacity = capacity
        self.sensors = sensors
        self.switches = dict.fromkeys(SWITCHES, True)
        chance = random.Random(f"{seed} pack")
        self._offsets = [chance.uniform(-0.5, 0.3) for _ in range(cells)]
        self._resistances = [chance.uniform(0.00025, 0.00040) * 280 / capacity for _ in range(cells)]
        self._leads = [round(chance.uniform(0.04, 0.07), 3) for _ in range(cells)]
        self._warmth = [chance.uniform(-0.6, 0.6) for _ in range(sensors)]
        self._day()
        self._tick = -1
        self._values: dict[str, Any] = {}

    def _wanted(self) -> list[float]:
        """Return the current of each minute of the day, before the pack's own limits."""
        chance = random.Random(f"{self.seed} day")
        cooking = [(minute + chance.randint(-15, 15), chance.randint(8, 35)) for minute in (415, 740, 1120)]
        wanted = []
        cloud = compressor = 0.0
        for minute in range(MINUTES):
            if minute % 7 == 0:
                cloud = chance.choice((1.0, 1.0, 0.95, 0.9, 0.6, 0.35))
            if minute % 12 == 0:
                compressor = 0.012 * (compressor == 0)
            sun = max(0.0, math.sin(math.pi * (minute - 360) / 840)) if 360 <= minute <= 1200 else 0.0
            load = 0.018 + compressor + (0.025 if 1050 <= minute <= 1400 else 0.0)
            for start, length in cooking:
                if start <= minute < start + length:
                    load += 0.12
            wanted.append(self.capacity * (0.22 * sun**1.5 * cloud - load))
        return wanted

    def _day(self) -> None:
        """Fill the tables of one day: it ends as it began, so days can follow each other for ever."""
        wanted = self._wanted()
        soc, warm, hot = 60.0, 0.0, 0.0
        for _ in range(3):
            currents, socs, warmth, heat = [], [], [], []
            for current in wanted:
                # A charger tapers near the top, an inverter stops near the bottom.
                current = min(current, self.capacity * 0.5 * max(0.0, 100.0 - soc) / 4.0)
                if soc < 6.0:
                    current = max(current, -0.5)
                currents.append(current)
                socs.append(soc)
                warmth.append(warm)
                heat.append(hot)
                soc = min(100.0, soc + current / 60 / self.capacity * 100)
                share = abs(current) / self.capacity
                warm += (share**2 * 60 - warm) / 60
                hot += (share**2 * 180 - hot) / 8
        self._currents, self._socs, self._warm, self._hot = currents, socs, warmth, heat
        self._charged = [0.0]
        self._discharged = [0.0]
        for current in currents:
            self._charged.append(self._charged[-1] + max(0.0, current) / 60)
            self._discharged.append(self._discharged[-1] + max(0.0, -current) / 60)

    def open_voltage(self, soc: float) -> float:
        """Return the rest voltage of a cell at that state of charge."""
        curve = CURVES[self.chemistry]
        for (low, below), (high, above) in pairwise(curve):
            if soc <= high:
                return below + (above - below) * (max(soc, low) - low) / (high - low)
        return curve[-1][1]

    def values(self, now: float) -> dict[str, Any]:
        """Return all live readings at a time in seconds, with the catalogue's names and decimals."""
        tick = math.floor(now / TICK)
        if tick != self._tick:
            self._values = self._measured(tick)
            self._tick = tick
        return self._values

    def switch(self, name: str, on: bool) -> None:
        """Set one of SWITCHES as its owner did: the MOSFETs follow, and the current stops."""
        self.switches[name] = on
        self._tick = -1

    def _measured(self, tick: int) -> dict[str, Any]:
        chance = random.Random(self.seed << 44 ^ tick)
        now = tick * TICK
        elapsed = now - ORIGIN if now >= ORIGIN else now
        days, second = divmod(elapsed, DAY)
        minute, part = divmod(second, 60)
        at, part = int(minute), part / 60
        following = (at + 1) % MINUTES

        charging, discharging = self.switches["charge_switch"], self.switches["discharge_switch"]
        current = self._currents[at] + chance.gauss(0.0, 0.02 + abs(self._currents[at]) * 0.002)
        if (current > 0 and not charging) or (current < 0 and not discharging):
            current = 0.0
        current = round(current, 2) + 0.0  # no minus zero
        soc = self._socs[at] + (self._socs[following] - self._socs[at]) * part
        soc = min(100.0, max(0.0, soc))

        millivolts = []
        for offset, resistance in zip(self._offsets, self._resistances, strict=True):
            volts = self.open_voltage(soc + offset) + current * resistance + chance.gauss(0.0, 0.0006)
            millivolts.append(round(volts * 1000))
        # Cells are told in mV, the pack in 10 mV: the rest is taken from the cells, so that they sum up to the pack.
        for number in range(sum(millivolts) % 10):
            millivolts[number % self.cells] -= 1
        cells = [volts / 1000 for volts in millivolts]
        voltage = sum(millivolts) // 10 / 100

        low, high = min(cells), max(cells)
        balanced = [
            number
            for number, volts in enumerate(cells, 1)
            if volts > BALANCE_START[self.chemistry] and volts - low >= BALANCE_DELTA
        ]
        if not self.switches["balancer_switch"]:
            balanced = []

        outside = 20.0 - 6.0 * math.cos(2 * math.pi * (second - 4 * 3600) / DAY)
        temperatures = [round(outside + self._warm[at] + own + chance.uniform(-0.1, 0.1), 1) for own in self._warmth]
        charged = 200.0 + days * self._charged[-1] + self._between(self._charged, at, part)
        discharged = 190.0 + days * self._discharged[-1] + self._between(self._discharged, at, part)
        full = round(self.capacity * 0.98, 2)
        state = "idle" if abs(current) < 0.2 else "charging" if current > 0 else "discharging"
        values: dict[str, Any] = {
            "voltage": voltage,
            "current": current,
            "power": voltage * current,
            "soc": soc,
            "soh": 98.0,
            "remaining_capacity": full * soc / 100,
            "full_capacity": full,
            "design_capacity": self.capacity,
            "pack_state": state,
            "cell_count": self.cells,
            "cell_voltages": cells,
            "cell_min": low,
            "cell_max": high,
            "cell_mean": sum(millivolts) / self.cells / 1000,
            "cell_delta": high - low,
            "cell_min_number": cells.index(low) + 1,
            "cell_max_number": cells.index(high) + 1,
            "cell_resistances": self._leads,
            "sensor_count": self.sensors,
            "temperatures": temperatures,
            "mosfet_temperature": outside + 2.0 + self._hot[at] + chance.uniform(-0.1, 0.1),
            "charge_mosfet": charging,
            "discharge_mosfet": discharging,
            "balancing": bool(balanced),
            "balancing_cells": balanced,
            "balance_current": 0.6 if balanced else 0.0,
            "charger_connected": current > 0.2,
            "load_connected": True,
            "warnings": [],
            "protections": [],
            "faults": [],
            "fault_code": 0,
            "cycles": int(discharged / self.capacity),
            "charged_total": charged,
            "discharged_total": discharged,
            "cycled_capacity": discharged,
            "runtime": int(elapsed) + 3600,
            "power_on_count": 7,
        }
        if temperatures:
            values["temperature_min"] = min(temperatures)
            values["temperature_max"] = max(temperatures)
            values["temperature_min_number"] = temperatures.index(min(temperatures)) + 1
            values["temperature_max_number"] = temperatures.index(max(temperatures)) + 1
        values.update(self.switches)
        for name, value in values.items():
            if isinstance(value, float):
                values[name] = round(value, decimals(name))
        return values

    def _between(self, table: list[float], at: int, part: float) -> float:
        return table[at] + (table[at + 1] - table[at]) * part
