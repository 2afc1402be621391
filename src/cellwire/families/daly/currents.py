"""Limits of the current: boards keep them above or below their raw zero, without a rule, and only the size counts.

What is written stays on the side where it was.
"""

from ...codec.errors import OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.table import Readings

# In the order of the bits of the reading current_limit_sides: a set bit stands for "above".
LIMITS = (
    "charge_overcurrent_warning",
    "charge_overcurrent_limit",
    "discharge_overcurrent_warning",
    "discharge_overcurrent_limit",
)


def sizes(values: "Readings") -> None:
    """Make sizes of the limits as read, in place, and keep their sides."""
    sides = 0
    for bit in range(len(LIMITS)):
        amperes = values[LIMITS[bit]]
        values[LIMITS[bit]] = abs(amperes)
        if amperes > 0:
            sides |= 1 << bit
    values["current_limit_sides"] = sides


def signed(name: str, values: "Readings", known: "Readings") -> "Readings":
    """Return the limits among the values with the signs of their sides.

    Raises OutOfRange when the side of the one that is written, `name`, is not known: where it is 0 it has none.
    """
    sides = known.get("current_limit_sides")
    if sides is None or not known.get(name):
        raise OutOfRange(name + ": the pack does not tell on which side of zero it keeps this limit")
    found: "Readings" = {}
    for bit in range(len(LIMITS)):
        if LIMITS[bit] in values:
            size = values[LIMITS[bit]]
            found[LIMITS[bit]] = size if sides >> bit & 1 else -size
    return found
