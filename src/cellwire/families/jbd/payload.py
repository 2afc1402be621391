"""What stands in the frames of JBD's commands: from a value, and from what is set beside it, to bytes.

Every function takes (command, number, value, known) and raises OutOfRange. What shares a register with the value is
taken from `known`, so that it stays as it is.
"""

from ...codec.errors import OutOfRange, ProtocolError
from ...codec.table import encode
from . import frontend, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.command import Command

    Readings = dict[str, Any]

FUNCTIONS = 0x2D
SHUNT = 0x2C
# The unit bit of the shunt: with it the rest counts in 0.01 instead of 0.1 milliohm.
FINE_SHUNT = 0x8000
# Bits 6 to 11 of the functions: what they mean depends on the maker.
FIRST_VENDOR_BIT = 6

CHARGE, DISCHARGE = "charge_switch", "discharge_switch"
SWITCHES = ((CHARGE, "charge_mosfet"), (DISCHARGE, "discharge_mosfet"))
LOCK = "mosfet_software_lock"
# Protections that stop only one direction; all others may stop both.
ONE_WAY = {
    CHARGE: (
        "cell_overvoltage",
        "pack_overvoltage",
        "charge_overcurrent",
        "charge_overcurrent_2",
        "charge_overtemperature",
        "charge_undertemperature",
        "full_charge",
    ),
    DISCHARGE: (
        "cell_undervoltage",
        "pack_undervoltage",
        "discharge_overcurrent",
        "discharge_overcurrent_2",
        "discharge_overtemperature",
        "discharge_undertemperature",
        "soc_low",
    ),
}


def is_coarse(known: "Readings") -> bool:
    """Return whether currents and capacities count in steps of 0.1."""
    return bool(known.get("coarse_units")) or int(known.get("function_bits", 0)) & 0x1000 != 0


def word(raw: int) -> bytes:
    """Return the two bytes of a number from 0 to 65535."""
    return bytes((raw >> 8, raw & 0xFF))


def needed(command: "Command", reading: str, known: "Readings") -> "Any":
    """Return a reading without which the command cannot be packed."""
    if known.get(reading) is None:
        raise OutOfRange(f"{command.name}: {reading} has to be read first")
    return known[reading]


# Parameters


def setting(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a parameter; a delay keeps the one that shares its register."""
    register = command.field[0]
    record = records.SETTINGS[register]
    if is_coarse(known):
        record = records.COARSE_SETTINGS.get(register, record)
    values = {command.reading: value}
    for other in record.numbers:
        if other[0] != command.reading:
            values[other[0]] = needed(command, other[0], known)
    return encode(record, values)


def shunt(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the shunt in the unit that this board is known to take."""
    if is_coarse(known):
        raw, unit = round(value * 100), 0
    elif abs(value * 10 - round(value * 10)) < 0.001:
        raw, unit = round(value * 10), 0
    elif round(known.get(command.reading, 0) * 100) % 10:
        # What it has now can only have been told in hundredths.
        raw, unit = round(value * 100), FINE_SHUNT
    else:
        raise OutOfRange(f"{command.name}: this board is only known to take steps of 0.1 milliohm, not {value}")
    if not 0 < raw < FINE_SHUNT:
        raise OutOfRange(f"{command.name}: {value} does not fit its register")
    return word(raw | unit)


def date(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a day, packed."""
    try:
        return word(records.packed_date(value))
    except ProtocolError as error:
        raise OutOfRange(f"{command.name}: {error}") from None


def string(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a text behind its length."""
    if value != value.strip():
        raise OutOfRange(f"{command.name}: without blanks at its ends")
    text: bytes = value.encode()
    return bytes((len(text),)) + text


def functions(known: "Readings", raw: int) -> int:
    """Return the word of the functions with what is known of its bits set or cleared in it."""
    for reading, at, bit in records.FUNCTION_FLAGS:
        if at == 1 and reading in known:
            raw = raw & ~(1 << bit) | bool(known[reading]) << bit
    for number in range(1, 7):
        key = f"vendor_function/{number}"
        if key in known:
            bit = FIRST_VENDOR_BIT + number - 1
            raw = raw & ~(1 << bit) | bool(known[key]) << bit
    return raw


def function(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the word of the functions with one bit of it set or cleared."""
    raw = functions(known, int(needed(command, "function_bits", known)))
    bit = command.field[2] + max(number - 1, 0)
    return word((raw & ~(1 << bit) | bool(value) << bit) & 0xFFFF)


def sensor(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the word of the enabled sensors with one bit of it set or cleared."""
    raw = int(needed(command, "sensor_enable_bits", known))
    for other in range(1, 9):
        on = value if other == number else known.get(f"{command.name}/{other}")
        if on is not None:
            raw = raw & ~(1 << (other - 1)) | bool(on) << (other - 1)
    return word(raw & 0xFFFF)


def front_end(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a register of the TI front end; all that shares it stays."""
    bits = "frontend_current_bits" if command.field[0] == 0x38 else "frontend_delay_bits"
    needed(command, bits, known)
    changed = dict(known)
    changed[command.reading] = value
    if frontend.code(command.reading, value, known) is None:
        there = ", ".join([f"{each:g}" for each in frontend.allowed(command.reading, known)])
        raise OutOfRange(f"{command.name}: the front end has no {value}, only {there}")
    for reading in frontend.RANGED if command.reading == frontend.DOUBLE else ():
        threshold = known.get(reading, 0)
        told = frontend.code(reading, threshold, known) is not None
        if told and frontend.code(reading, threshold, changed) is None:
            both = [each for each in frontend.allowed(reading, changed) if each in frontend.allowed(reading, known)]
            there = ", ".join([f"{each:g}" for each in both])
            raise OutOfRange(
                f"{command.name}: {reading} is {threshold:g}, which the other range does not have; set it to one of "
                f"{there} before"
            )
    return frontend.registers(changed)[command.field[0]]


# What has no register of its own


def remaining(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a charge in steps of 10 mAh."""
    if is_coarse(known):
        raise OutOfRange(f"{command.name}: nobody knows its unit on a pack with coarse units")
    raw = round(value * 100)
    if not 0 <= raw <= 0xFFFF:
        raise OutOfRange(f"{command.name}: {value} does not fit its register")
    return word(raw)


def soc(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the charge that makes this share of the full capacity."""
    return remaining(command, number, needed(command, "full_capacity", known) * value / 100, known)


def cell(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a cell's voltage."""
    return word(round(value * 1000))


def temperature(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a sensor's temperature."""
    return word(round(value * 10) + 2731)


def password(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return passwords of six characters each: digits as numbers, as the maker's text has them, others as ASCII."""
    data = b""
    for start in range(0, len(value), 6):
        text = value[start : start + 6]
        data += bytes([int(digit) for digit in text]) if text.isdigit() else text.encode()
    return bytes((len(data),)) + data


# Switches


def explained(name: str, known: "Readings") -> bool:
    """Return whether a protection or a fault can be the reason why the MOSFET of this switch is off."""
    other = ONE_WAY[DISCHARGE if name == CHARGE else CHARGE]
    for reason in known.get("protections", []) + known.get("faults", []):
        if reason != LOCK and reason not in other:
            return True
    return False


def allowed(name: str, known: "Readings", locks: bool) -> "bool | None":
    """Return whether the user has switched it on, as far as the pack shows it; None when it does not.

    locks: True of boards that tell that something was switched off by command.
    """
    if name in known:
        return bool(known[name])
    conducts = known.get(name.replace("switch", "mosfet"))
    if conducts is None or "protections" not in known:
        return None
    if conducts or (locks and LOCK not in known["protections"]):
        return True
    return None if explained(name, known) else False


def switches(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the word that sets one switch and leaves the other as the user wants it; 1 is off.

    A MOSFET that is off by protection must not be locked: it would stay off when the protection ends.
    """
    raw = 0
    for bit, (name, _mosfet) in enumerate(SWITCHES):
        on = value if name == command.name else allowed(name, known, True)
        raw |= (on is False) << bit
    return word(raw)


def outputs(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return the outputs of a UP board, 1 is on: one switch, the other as the user wants it, the rest as it is."""
    raw = 0
    for bit, (name, mosfet) in enumerate((SWITCHES[1], SWITCHES[0])):
        if name != command.name and name not in known:
            needed(command, mosfet, known)
        on = value if name == command.name else allowed(name, known, False)
        raw |= (on is not False) << bit
    for bit, name in ((2, "precharge_mosfet"), (3, "heating"), (4, "fan")):
        raw |= bool(known.get(name)) << bit
    return word(raw)


def share(command: "Command", number: int, value: "Any", known: "Readings") -> bytes:
    """Return a state of charge in steps of 0.01 %."""
    return word(round(value * 100))
