"""Decides which readings are published anew: those that moved, no more often than their group may be."""

import math
from collections.abc import Mapping
from typing import Any

from ...gateway.store import Readings
from ...readings.catalogue import CATALOGUE

GROUP = {name: group for name, _quantity, _kind, group, _meaning in CATALOGUE}
QUANTITY = {name: quantity for name, quantity, _kind, _group, _meaning in CATALOGUE}
FUZZ = 1e-9  # what arithmetic adds to a difference; far below the last decimal of any quantity


class Steady:
    """The published readings of one pack or bank.

    bands: how far a value must move, by quantity, 0 where none is named; settings do not tremble, they have none
    periods: seconds between two changes, by group; what appears or vanishes does not wait
    """

    def __init__(self, bands: Mapping[str, float], periods: Mapping[str, float]) -> None:
        self.readings: Readings = {}
        self._bands = bands
        self._periods = periods
        self._changed: dict[str, float] = {}  # when a reading of each group was last published

    def take(self, readings: Readings, now: float) -> set[str]:
        """Take what is known now; return the names of the readings that are published anew or not any more."""
        changed = self.readings.keys() - readings.keys()
        for name in changed:
            del self.readings[name]
        for name, value in readings.items():
            if name in self.readings:
                group = GROUP[name]
                if now - self._changed.get(group, -math.inf) < self._periods[group]:
                    continue
                band = 0.0 if group == "settings" else self._bands.get(QUANTITY[name], 0.0)
                value = held(self.readings[name], value, band)
                if value == self.readings[name]:
                    continue
            self.readings[name] = value
            changed.add(name)
        for name in changed:
            self._changed[GROUP[name]] = now
        return changed


def held(old: Any, new: Any, band: float) -> Any:
    """Return the new value where it moved by more than the band, else the old one; in lists element by element."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [held(before, now, band) for before, now in zip(old, new, strict=True)]
    if isinstance(old, (int, float)) and isinstance(new, (int, float)) and abs(new - old) <= band + FUZZ:
        return old
    return new
