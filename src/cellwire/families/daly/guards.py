"""What the settings of a Daly have to be beside each other, so that they make sense."""

from ...codec.errors import OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.command import Command
    from ...codec.table import Readings

# A limit of the whole pack may lie so much beyond those of its cells: some people let the cells decide.
BEYOND = 0.1
IDLE = 1.0  # A that may flow while the current is calibrated to zero


def _orders() -> "tuple[tuple[str, str, bool], ...]":
    """Return (low, high, may be equal) of readings."""
    rows = [
        ("cell_undervoltage_limit", "balance_start", False),
        ("balance_start", "cell_overvoltage_limit", True),
    ]
    for over in ("cell_overvoltage", "pack_overvoltage", "charge_overtemperature", "discharge_overtemperature"):
        under = over.replace("_over", "_under")
        # The warning comes before the protection, and the protection ends on its safe side.
        rows += [(over + "_warning", over + "_limit", True), (under + "_limit", under + "_warning", True)]
        rows += [(over + "_release", over + "_limit", False), (under + "_limit", under + "_release", False)]
        for low in ("_warning", "_limit"):
            rows += [(under + low, over + high, False) for high in ("_warning", "_limit")]
    for name in ("charge_overcurrent", "discharge_overcurrent", "cell_delta", "temperature_delta"):
        rows.append((name + "_warning", name + "_limit", True))
    return tuple(rows)


def _packs() -> "tuple[tuple[str, str, float], ...]":
    """Return (reading of the pack, reading of a cell, share): positive when the pack's is to be below cells * share."""
    rows = []
    for kind in ("_warning", "_limit", "_release"):
        rows += [
            ("pack_overvoltage" + kind, "cell_overvoltage_limit", 1.0 + BEYOND),
            ("pack_overvoltage" + kind, "cell_undervoltage_limit", -1.0),
            ("pack_undervoltage" + kind, "cell_undervoltage_limit", -1.0 + BEYOND),
            ("pack_undervoltage" + kind, "cell_overvoltage_limit", 1.0),
        ]
    return tuple(rows)


ORDERS = _orders()
PACKS = _packs()


def partners(name: str) -> "tuple[str, ...]":
    """Return the readings that a setting has to make sense with."""
    found: "list[str]" = []
    pairs = [row[:2] for row in ORDERS] + [row[:2] for row in PACKS]
    for one, other in pairs:
        if name in (one, other):
            partner = other if name == one else one
            if partner not in found:
                found.append(partner)
    return tuple(found)


def _set(name: str, values: "Readings") -> bool:
    """Return whether a setting is known and used: zero stands for "no limit", but for a temperature."""
    value = values.get(name)
    return value is not None and (value != 0 or "overtemperature" in name or "undertemperature" in name)


def guard(command: "Command", number: int, value: "Any", known: "Readings") -> None:
    """Raise OutOfRange when the value makes no sense beside what is set and measured."""
    name = command.name
    if name == "balancer_switch" and command.reading and command.reading not in known:
        raise OutOfRange(name + ": this pack has no such switch")
    if name == "calibrate_idle_current" and abs(known.get("current", 2 * IDLE)) > IDLE:
        raise OutOfRange(name + ": nothing may flow while the current is taken for zero")
    values = dict(known)
    values[name] = value
    for low, high, equal in ORDERS:
        if name in (low, high) and _set(low, values) and _set(high, values):
            wrong = values[low] > values[high] if equal else values[low] >= values[high]
            if wrong:
                raise OutOfRange(_complaint(name, value, low, high, values))
    cells = known.get("cell_count_setting") or known.get("cell_count") or 0
    for pack, cell, share in PACKS:
        if cells and name in (pack, cell) and _set(pack, values) and _set(cell, values):
            bound = cells * values[cell] * abs(share)
            if values[pack] > bound if share > 0 else values[pack] < bound:
                side = "above" if share > 0 else "below"
                text = f"{pack} of {values[pack]} V would be {side} {cells} cells of {values[cell]} V"
                raise OutOfRange(f"{name}: {text} ({cell}); change both together")


def _complaint(name: str, value: "Any", low: str, high: str, values: "Readings") -> str:
    other, side = (high, "below") if name == low else (low, "above")
    return f"{name}: {value} has to be {side} {other}, which is {values[other]}; change both together"
