"""What has to fit together when something is written to a JK, and how the pack shows what was written."""

from ...codec.command import Command, shown
from ...codec.errors import OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

# (lower, upper, may be the same)
ORDER = (
    ("power_off_voltage", "cell_undervoltage_limit", True),
    ("cell_undervoltage_limit", "cell_undervoltage_release", False),
    ("cell_undervoltage_release", "cell_overvoltage_release", False),
    ("cell_overvoltage_release", "cell_overvoltage_limit", False),
    ("float_voltage_setting", "charge_voltage_setting", True),
    ("soc_empty_voltage", "soc_full_voltage", False),
    ("charge_overtemperature_release", "charge_overtemperature_limit", False),
    ("discharge_overtemperature_release", "discharge_overtemperature_limit", False),
    ("mosfet_overtemperature_release", "mosfet_overtemperature_limit", False),
    ("charge_undertemperature_limit", "charge_undertemperature_release", False),
    ("charge_undertemperature_release", "charge_overtemperature_release", False),
    ("discharge_undertemperature_limit", "discharge_undertemperature_release", False),
    ("discharge_undertemperature_release", "discharge_overtemperature_release", False),
    ("heating_start", "heating_stop", False),
)
# Held against the limits when they are written themselves, but never in the way of a safer limit.
WITHIN = ("balance_start", "charge_voltage_setting", "soc_full_voltage")
CELL_LIMITS = ("cell_undervoltage_limit", "cell_overvoltage_limit")
# A calibration mends a small error, as a share; more than that is a slip of the pen.
CALIBRATIONS = {"calibrate_voltage": ("voltage", 0.1), "calibrate_current": ("current", 0.5)}
FLOWING = 1.0  # A without which a current cannot be calibrated
# What the BMS itself says that a port can speak, as bits.
PROTOCOLS = {"uart1_protocol": "uart1_protocols", "uart2_protocol": "uart2_protocols", "can_protocol": "can_protocols"}


def needs(command: Command) -> "tuple[str, ...]":
    """Return the readings that `guard` and `encode` look at."""
    name = command.name
    found = []
    for lower, upper, _same in ORDER:
        if name in (lower, upper):
            found.append(upper if name == lower else lower)
    if name in WITHIN:
        found += [limit for limit in CELL_LIMITS if limit not in found]
    if name in PROTOCOLS:
        found.append(PROTOCOLS[name])
    if len(command.field) == 2:
        parts = command.field[1]
        if isinstance(parts, int):
            found.append("control_bits")
        else:
            found += [part[0] for part in parts if part[0] != name and part[0] not in found]
    return tuple(found)


def guard(command: Command, number: int, value: "Any", known: "Readings") -> None:
    """Raise OutOfRange when the value stands on the wrong side of another, or cannot be meant."""
    name = command.name
    for lower, upper, same in ORDER:
        if name == lower:
            _sides(command, value, upper, known, 1, same)
        elif name == upper:
            _sides(command, value, lower, known, -1, same)
    if name in WITHIN:
        _sides(command, value, CELL_LIMITS[0], known, -1, True)
        _sides(command, value, CELL_LIMITS[1], known, 1, True)
    if name in PROTOCOLS:
        there = known.get(PROTOCOLS[name])
        if there and not there >> value & 1:
            raise OutOfRange(f"{name}: {value} is none of the protocols that this pack has there")
    if name in CALIBRATIONS:
        reading, share = CALIBRATIONS[name]
        _plausible(name, value, known.get(reading), share)


def _sides(command: Command, value: float, other: str, known: "Readings", side: int, same: bool) -> None:
    """Raise OutOfRange unless the value is below the other one (side 1) or above it (side -1)."""
    limit = known.get(other)
    if limit is None:
        # Records that have the one have the other; JK04 has no neighbours, and these came with software 19.
        if known.get("record_variant") in ("24S", "32S") and not other.startswith("discharge_undertemperature"):
            raise OutOfRange(f"{command.name}: it has to fit {other}, and that is not known; read the settings first")
        return
    room = (limit - value) * side
    if room < 0 or (room <= command.step / 2 and not same):
        raise OutOfRange(f"{command.name}: {value} is on the wrong side of {other} ({limit})")


def _plausible(name: str, value: float, measured: "float | None", share: float) -> None:
    if measured is None:
        raise OutOfRange(f"{name}: the pack does not tell what it measures now")
    measured = abs(measured)
    if name == "calibrate_current" and measured < FLOWING:
        raise OutOfRange(f"{name}: only {measured} A flow; let a steady current flow for it")
    if abs(value - measured) > share * measured:
        raise OutOfRange(f"{name}: {value} is too far from the {measured} that the pack measures")


def found(command: Command, number: int, known: "Readings") -> "Any":
    """Return what the pack shows of what the command sets, None when it is not known."""
    value = shown(command, number, known)
    if value is not None and command.name == "emergency_mode":
        return value > 0
    if value is not None and command.name == "calibrate_current":
        return abs(value)
    return value
