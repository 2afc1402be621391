"""What cells of each chemistry bear; docs/banks.md has the same figures for people, and where they come from."""

from typing import NamedTuple

Curve = tuple[tuple[float, float], ...]


class Chemistry(NamedTuple):
    """What cells of a chemistry bear: V per cell, and shares of the configured current by degree C."""

    full: float  # full when little current flows; default charge voltage; charging is tapered from here
    highest: float  # no charging here
    rest: float  # the charge voltage limit is not lowered below this
    low: float  # discharging is tapered from here
    lowest: float  # no discharging here
    charge: Curve
    discharge: Curve


CHEMISTRIES = {
    "lfp": Chemistry(
        3.45, 3.60, 3.35, 3.00, 2.70,
        charge=((0, 0.0), (5, 0.2), (7.5, 0.5), (10, 1.0), (45, 1.0), (50, 0.5), (55, 0.0)),
        discharge=((-20, 0.0), (-10, 0.5), (0, 1.0), (50, 1.0), (55, 0.5), (60, 0.0)),
    ),
    "nmc": Chemistry(
        4.15, 4.20, 4.00, 3.30, 3.00,
        charge=((0, 0.0), (5, 0.2), (7.5, 0.5), (10, 1.0), (40, 1.0), (45, 0.5), (50, 0.0)),
        discharge=((-20, 0.0), (-10, 0.5), (0, 1.0), (50, 1.0), (55, 0.5), (60, 0.0)),
    ),
    "lto": Chemistry(
        2.65, 2.75, 2.45, 2.00, 1.80,
        charge=((-20, 0.0), (-10, 0.5), (0, 1.0), (45, 1.0), (50, 0.5), (55, 0.0)),
        discharge=((-30, 0.0), (-20, 0.5), (-10, 1.0), (50, 1.0), (55, 0.5), (60, 0.0)),
    ),
}  # fmt: skip
