"""Counts how long something took, in the form of a Prometheus histogram."""

from bisect import bisect_left

# Seconds: from one answer at 115200 baud to a whole Daly at 9600, and what is far too long.
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Durations:
    """How often something took at most each of BOUNDS and more than the one before; the last count is of the rest."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds
