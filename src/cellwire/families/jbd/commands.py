"""What may be written to a JBD pack, within which limits, and how well each way of writing it is proven.

Nothing here sends. A value is checked against its row before anything is packed; `guard` also compares it with the
other settings of the pack.
"""

from ...codec.errors import OutOfRange
from ...codec.table import encode
from . import frames, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

OPERATE = "operate"
CONFIGURE = "configure"
SERVICE = "service"

# captured: seen on a real pack, with its answer; agreed: independent sources say the same; unproven: one source
CAPTURED = "captured"
AGREED = "agreed"
UNPROVEN = "unproven"

# command, register, low, high, grant, proof level; all want factory mode. The register's record packs the value, and
# the reading of the command's name proves it afterwards.
SETTINGS = (
    ("design_capacity", 0x10, 1, 655.35, CONFIGURE, AGREED),
    ("cycle_capacity", 0x11, 1, 655.35, CONFIGURE, AGREED),
    ("soc_full_voltage", 0x12, 2.0, 4.4, CONFIGURE, AGREED),
    ("soc_empty_voltage", 0x13, 1.5, 3.8, CONFIGURE, AGREED),
    ("self_discharge", 0x14, 0, 10, CONFIGURE, AGREED),
    ("serial_number_setting", 0x16, 0, 65535, SERVICE, AGREED),
    ("cycles", 0x17, 0, 65535, SERVICE, AGREED),
    ("charge_overtemperature_limit", 0x18, 30, 80, CONFIGURE, AGREED),
    ("charge_overtemperature_release", 0x19, -30, 80, CONFIGURE, AGREED),
    ("charge_undertemperature_limit", 0x1A, -30, 20, CONFIGURE, AGREED),
    ("charge_undertemperature_release", 0x1B, -30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_limit", 0x1C, 30, 90, CONFIGURE, AGREED),
    ("discharge_overtemperature_release", 0x1D, -40, 90, CONFIGURE, AGREED),
    ("discharge_undertemperature_limit", 0x1E, -40, 10, CONFIGURE, AGREED),
    ("discharge_undertemperature_release", 0x1F, -40, 90, CONFIGURE, AGREED),
    ("pack_overvoltage_limit", 0x20, 5.6, 140.8, CONFIGURE, AGREED),
    ("pack_overvoltage_release", 0x21, 3.0, 140.8, CONFIGURE, AGREED),
    ("pack_undervoltage_limit", 0x22, 3.0, 108.8, CONFIGURE, AGREED),
    ("pack_undervoltage_release", 0x23, 3.0, 140.8, CONFIGURE, AGREED),
    ("cell_overvoltage_limit", 0x24, 2.5, 4.3, CONFIGURE, AGREED),
    ("cell_overvoltage_release", 0x25, 1.5, 4.3, CONFIGURE, AGREED),
    ("cell_undervoltage_limit", 0x26, 1.5, 3.5, CONFIGURE, AGREED),
    ("cell_undervoltage_release", 0x27, 1.5, 4.3, CONFIGURE, AGREED),
    ("charge_overcurrent_limit", 0x28, 1, 327, CONFIGURE, AGREED),
    ("discharge_overcurrent_limit", 0x29, 1, 327, CONFIGURE, AGREED),
    ("balance_start", 0x2A, 2.0, 4.4, CONFIGURE, AGREED),
    ("balance_delta", 0x2B, 0.003, 0.5, CONFIGURE, AGREED),
    ("shunt_resistance", 0x2C, 0.1, 3276.7, SERVICE, AGREED),
    ("sensor_enable_bits", 0x2E, 0, 255, SERVICE, AGREED),
    ("cell_count_setting", 0x2F, 3, 32, SERVICE, AGREED),
    ("mosfet_control_time", 0x30, 0, 65535, CONFIGURE, AGREED),
    ("led_time", 0x31, 0, 65535, CONFIGURE, AGREED),
    ("soc_80_voltage", 0x32, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_60_voltage", 0x33, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_40_voltage", 0x34, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_20_voltage", 0x35, 1.5, 4.4, CONFIGURE, AGREED),
    ("hard_cell_overvoltage_limit", 0x36, 2.5, 4.5, CONFIGURE, AGREED),
    ("hard_cell_undervoltage_limit", 0x37, 1.0, 3.5, CONFIGURE, AGREED),
    ("charge_undertemperature_delay", 0x3A, 0, 255, CONFIGURE, AGREED),
    ("charge_overtemperature_delay", 0x3A, 0, 255, CONFIGURE, AGREED),
    ("discharge_undertemperature_delay", 0x3B, 0, 255, CONFIGURE, AGREED),
    ("discharge_overtemperature_delay", 0x3B, 0, 255, CONFIGURE, AGREED),
    ("pack_undervoltage_delay", 0x3C, 0, 255, CONFIGURE, AGREED),
    ("pack_overvoltage_delay", 0x3C, 0, 255, CONFIGURE, AGREED),
    ("cell_undervoltage_delay", 0x3D, 0, 255, CONFIGURE, AGREED),
    ("cell_overvoltage_delay", 0x3D, 0, 255, CONFIGURE, AGREED),
    ("charge_overcurrent_delay", 0x3E, 0, 255, CONFIGURE, AGREED),
    ("charge_overcurrent_release_delay", 0x3E, 0, 255, CONFIGURE, AGREED),
    ("discharge_overcurrent_delay", 0x3F, 0, 255, CONFIGURE, AGREED),
    ("discharge_overcurrent_release_delay", 0x3F, 0, 255, CONFIGURE, AGREED),
    ("gps_cutoff_voltage", 0x40, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("gps_cutoff_delay", 0x41, 0, 65535, CONFIGURE, UNPROVEN),
    ("soc_90_voltage", 0x42, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_70_voltage", 0x43, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_50_voltage", 0x44, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_30_voltage", 0x45, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_10_voltage", 0x46, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_100_voltage", 0x47, 1.5, 4.4, CONFIGURE, UNPROVEN),
)

# command, bit: one bit of the function word; all the others stay as they were read
FUNCTIONS = (
    ("switch_function", 0, CONFIGURE, AGREED),
    ("load_detection", 1, CONFIGURE, AGREED),
    ("balancer_switch", 2, OPERATE, CAPTURED),
    ("balance_only_charging", 3, CONFIGURE, AGREED),
    ("led_switch", 4, CONFIGURE, AGREED),
    ("led_capacity", 5, CONFIGURE, AGREED),
)

# command, bit of E1 (1: off)
SWITCHES = (
    ("charge_switch", 0, OPERATE, CAPTURED),
    ("discharge_switch", 1, OPERATE, CAPTURED),
)

# command, register, payload, grant, proof level, needs factory mode: no value, only "do it"
ACTIONS = (
    ("balance_odd_cells", 0xE2, b"\x00\x01", SERVICE, AGREED, True),
    ("balance_even_cells", 0xE2, b"\x00\x02", SERVICE, AGREED, True),
    ("balance_no_cells", 0xE2, b"\x00\x03", SERVICE, AGREED, True),
    ("recompute_capacity", 0x0A, b"\x01\x00", SERVICE, AGREED, False),
    ("clear_history", 0x0A, b"\x02\x00", SERVICE, UNPROVEN, False),
    ("restart", 0x0A, b"\x03\x00", SERVICE, UNPROVEN, False),
    ("clear_alarms", 0x0A, b"\x04\x00", OPERATE, AGREED, False),
    # These three can only be undone at the pack itself.
    ("sleep", 0x0A, b"\x05\x00", SERVICE, UNPROVEN, False),
    ("power_down", 0x0A, b"\x06\x00", SERVICE, UNPROVEN, False),
    ("storage", 0x0A, b"\x08\x00", SERVICE, UNPROVEN, False),
    ("balance_automatically", 0x0A, b"\x07\x00", OPERATE, AGREED, False),
    ("calibrate_idle_current", 0xAD, b"\x00\x00", SERVICE, UNPROVEN, True),
)

# command, first register, zero, factor, low, high, grant, proof level, how many cells or sensors; factory mode
NUMBERS = (
    ("set_remaining_capacity", 0xE0, 0, 100, 0, 655.35, SERVICE, AGREED, 1),
    ("calibrate_charge_current", 0xAE, 0, 100, 1, 327, SERVICE, UNPROVEN, 1),
    ("calibrate_discharge_current", 0xAF, 0, 100, 1, 327, SERVICE, UNPROVEN, 1),
    ("calibrate_cell", 0xB0, 0, 1000, 1, 5, SERVICE, UNPROVEN, 32),
    ("calibrate_sensor", 0xD0, 2731, 10, -40, 120, SERVICE, UNPROVEN, 8),
)

# UP boards: command, first and last address, bit of the outputs word (1: on) or -1 for a number, grant, proof level
UP = (
    ("discharge_switch", 0x2902, 0x2904, 0, OPERATE, AGREED),
    ("charge_switch", 0x2902, 0x2904, 1, OPERATE, AGREED),
    ("set_soc", 0x2006, 0x2008, -1, SERVICE, UNPROVEN),
)

# What has to be smaller, what has to be larger.
ORDER = (
    ("charge_overtemperature_release", "charge_overtemperature_limit"),
    ("charge_undertemperature_limit", "charge_undertemperature_release"),
    ("discharge_overtemperature_release", "discharge_overtemperature_limit"),
    ("discharge_undertemperature_limit", "discharge_undertemperature_release"),
    ("pack_overvoltage_release", "pack_overvoltage_limit"),
    ("pack_undervoltage_limit", "pack_undervoltage_release"),
    ("cell_overvoltage_release", "cell_overvoltage_limit"),
    ("cell_undervoltage_limit", "cell_undervoltage_release"),
    ("cell_overvoltage_limit", "hard_cell_overvoltage_limit"),
    ("hard_cell_undervoltage_limit", "cell_undervoltage_limit"),
    ("soc_60_voltage", "soc_80_voltage"),
    ("soc_40_voltage", "soc_60_voltage"),
    ("soc_20_voltage", "soc_40_voltage"),
    ("soc_90_voltage", "soc_100_voltage"),
    ("soc_80_voltage", "soc_90_voltage"),
    ("soc_70_voltage", "soc_80_voltage"),
    ("soc_60_voltage", "soc_70_voltage"),
    ("soc_50_voltage", "soc_60_voltage"),
    ("soc_40_voltage", "soc_50_voltage"),
    ("soc_30_voltage", "soc_40_voltage"),
    ("soc_20_voltage", "soc_30_voltage"),
    ("soc_10_voltage", "soc_20_voltage"),
)
# Volts for each cell of the string.
PER_CELL = (
    ("pack_overvoltage_limit", 2.8, 4.4),
    ("pack_undervoltage_limit", 1.5, 3.4),
)
# command, chemistry (the catalogue's battery_type), low, high
CHEMISTRY = (
    ("cell_overvoltage_limit", "LFP", 3.4, 3.8),
    ("cell_overvoltage_limit", "Li-ion", 4.0, 4.3),
    ("cell_overvoltage_limit", "LTO", 2.5, 2.9),
    ("cell_undervoltage_limit", "LFP", 2.0, 3.1),
    ("cell_undervoltage_limit", "Li-ion", 2.5, 3.5),
)


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise OutOfRange(f"{name}: {value} is not between {low} and {high}")


def _on_or_off(name: str, value: float) -> bool:
    if value not in (0, 1):
        raise OutOfRange(f"{name}: {value} is neither on nor off")
    return bool(value)


def guard(name: str, value: float, known: "Readings") -> None:
    """Raise OutOfRange when the value makes no sense beside the pack's other settings."""
    for smaller, larger in ORDER:
        if name == smaller and larger in known and not value < known[larger]:
            raise OutOfRange(f"{name}: {value} has to be below {larger}, which is {known[larger]}")
        if name == larger and smaller in known and not value > known[smaller]:
            raise OutOfRange(f"{name}: {value} has to be above {smaller}, which is {known[smaller]}")
    cells = known.get("cell_count_setting", known.get("cell_count"))
    for command, low, high in PER_CELL:
        if name == command and cells:
            _in_range(name, value, round(low * cells, 3), round(high * cells, 3))
    for command, chemistry, low, high in CHEMISTRY:
        if name == command and known.get("battery_type") == chemistry:
            _in_range(name, value, low, high)


def guard_calibration(name: str, value: float, known: "Readings", number: int = 1) -> None:
    """Raise OutOfRange when a calibration is too far from what the pack measures now, or cannot be compared."""
    if name in ("calibrate_cell", "calibrate_sensor"):
        reading, far = ("cell_voltages", 0.1) if name == "calibrate_cell" else ("temperatures", 10)
        found = known.get(reading, [])
        if number > len(found) or found[number - 1] is None or abs(found[number - 1] - value) > far:
            raise OutOfRange(f"{name}: {value} is more than {far} away from the reading")
    elif name == "calibrate_charge_current" and not known.get("current", 0) > 0:
        raise OutOfRange(f"{name}: the pack is not being charged")
    elif name == "calibrate_discharge_current" and not known.get("current", 0) < 0:
        raise OutOfRange(f"{name}: the pack is not being discharged")
    elif name == "calibrate_idle_current" and abs(known.get("current", 1)) > 1:
        raise OutOfRange(f"{name}: a current flows")
    elif name == "set_remaining_capacity":
        full: float = known.get("design_capacity") or known.get("full_capacity") or 0
        _in_range(name, value, 0, full)


def pack(row: "tuple[str, int, float, float, str, str]", value: float, known: "Readings") -> bytes:
    """Return the two bytes of a setting; raise OutOfRange, also when its neighbour in the register is not known.

    known: what was read from this register just before; a delay shares its register with another one.
    """
    name, register, low, high = row[0], row[1], row[2], row[3]
    _in_range(name, value, low, high)
    record = records.SETTINGS[register]
    if known.get("coarse_units") or known.get("function_bits", 0) & 0x1000:
        record = records.COARSE_SETTINGS.get(register, record)
    values = {name: value}
    for other in record.numbers:
        if other[0] != name:
            if other[0] not in known:
                raise OutOfRange(f"{name}: {other[0]} shares its register and has to be read first")
            values[other[0]] = known[other[0]]
    return encode(record, values)


def _functions(name: str, bit: int, value: float, known: "Readings") -> bytes:
    on = _on_or_off(name, value)
    if "function_bits" not in known:
        raise OutOfRange(f"{name}: function_bits has to be read first")
    raw = known["function_bits"] & ~(1 << bit) & 0xFFFF | on << bit
    return bytes((raw >> 8, raw & 0xFF))


def switch_bits(name: str, value: float, known: "Readings") -> int:
    """Return the E1 word that sets one switch and leaves the other as the user wants it.

    A MOSFET that is off by protection must not be locked: without the lock bit no lock is there, and with it only a
    MOSFET that no protection explains counts as switched off.
    """
    word = 0
    reasons = [alarm for alarm in known.get("protections", []) if alarm != "mosfet_software_lock"]
    for other, bit, _grant, _proof in SWITCHES:
        if other == name:
            on = _on_or_off(name, value)
        elif other in known:
            on = bool(known[other])
        else:
            locked = "mosfet_software_lock" in known.get("protections", ())
            conducts = known.get(other.replace("switch", "mosfet"), True)
            on = conducts or not locked or bool(reasons)
        word |= (not on) << bit
    return word


def message(name: str, value: float, known: "Readings", number: int = 1) -> bytes:
    """Return the standard frame that writes the value; raise OutOfRange or KeyError.

    known: readings of the pack; number: which cell or sensor, for a calibration.
    """
    for row in SETTINGS:
        if row[0] == name:
            return frames.request(frames.WRITE, row[1], pack(row, value, known))
    for command, bit, _grant, _proof in FUNCTIONS:
        if command == name:
            return frames.request(frames.WRITE, 0x2D, _functions(name, bit, value, known))
    if name in ("charge_switch", "discharge_switch"):
        return frames.request(frames.WRITE, 0xE1, bytes((0, switch_bits(name, value, known))))
    for command, register, data, _grant, _proof, _factory in ACTIONS:
        if command == name:
            return frames.request(frames.WRITE, register, data)
    for command, first, zero, factor, low, high, _grant, _proof, count in NUMBERS:
        if command == name:
            _in_range(name, value, low, high)
            _in_range(name + " number", number, 1, count)
            if zero == 0 and factor == 100 and known.get("coarse_units"):
                raise OutOfRange(f"{name}: nobody knows its unit on a pack with coarse units")
            raw = round(value * factor) + zero
            return frames.request(frames.WRITE, first + number - 1, bytes((raw >> 8, raw & 0xFF)))
    raise KeyError(name)


def up_message(address: int, name: str, value: float, known: "Readings") -> bytes:
    """Return the UP frame that writes the value; raise OutOfRange or KeyError."""
    for command, start, end, bit, _grant, _proof in UP:
        if command != name:
            continue
        if bit < 0:
            _in_range(name, value, 0, 100)
            raw = round(value * 100)
        else:
            raw = 0
            for other, _start, _end, place, _own_grant, _own_proof in UP:
                if place >= 0:
                    on = _on_or_off(name, int(value)) if other == name else _up_wish(other, known)
                    raw |= on << place
        return frames.up_request(address, 0x79, start, end, frames.UP_MARK + bytes((raw >> 8, raw & 0xFF)))
    raise KeyError(name)


def _up_wish(name: str, known: "Readings") -> bool:
    # These boards have no lock bit: the wish is what the user has set, else what the MOSFET does.
    found = known.get(name, known.get(name.replace("switch", "mosfet")))
    if found is None:
        raise OutOfRange(f"{name} has to be known before the other switch can be set")
    return bool(found)
