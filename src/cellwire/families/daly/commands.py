"""What may be written to a Daly: rows with limits, grant and proof, and the bytes they make after the check.

Proof is "captured" (the frame was seen to work), "agreed" (several independent programs send it) or "unproven"
(inferred, from one source, or only from the maker's sheet: expert use, and only with reading back).
"""

import struct

from ...codec.errors import OutOfRange, ProtocolError
from ...codec.table import raw_of
from .a5 import (
    BALANCE_SETTINGS,
    CELL_LIMITS,
    CURRENT_LIMITS,
    DIFFERENCE_LIMITS,
    PACK_LIMITS,
    RATING,
    SHORT_CIRCUIT,
)
from .dates import clock_bytes
from .frames import (
    D2_UNIT,
    P81_REQUEST,
    WRITE_MANY,
    WRITE_ONE,
    a5_frame,
    a5_host,
    register_frame,
)
from .registers import D2_SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.table import Record

    # command, A5 command or register, offset in the payload, form, zero, divisor, low, high, grant, proof, reading
    Row = tuple[str, int, int, str, int, int, float, float, str, str, str]

OPERATE = "operate"
CONFIGURE = "configure"
SERVICE = "service"
CAPTURED = "captured"
AGREED = "agreed"
UNPROVEN = "unproven"

# The latest second that fits the year byte sensibly: end of 2099.
LAST_SECOND = 80 * 365 * 86400

# The reading at the end of a row is what has to show the new value afterwards; "" when nothing does.
# (low, high) by reading: what can be sensible at all, for any chemistry and 4 to 48 cells.
RANGES = {
    "design_capacity": (1.0, 6000.0),
    "nominal_cell_voltage": (1.5, 4.2),
    "cell_overvoltage_warning": (2.0, 4.5),
    "cell_overvoltage_limit": (2.0, 4.5),
    "cell_undervoltage_warning": (1.0, 4.0),
    "cell_undervoltage_limit": (1.0, 4.0),
    "pack_overvoltage_warning": (6.0, 220.0),
    "pack_overvoltage_limit": (6.0, 220.0),
    "pack_undervoltage_warning": (4.0, 200.0),
    "pack_undervoltage_limit": (4.0, 200.0),
    "charge_overcurrent_warning": (1.0, 1000.0),
    "charge_overcurrent_limit": (1.0, 1000.0),
    "discharge_overcurrent_warning": (1.0, 1500.0),
    "discharge_overcurrent_limit": (1.0, 1500.0),
    "charge_overtemperature_warning": (20, 90),
    "charge_overtemperature_limit": (20, 90),
    "charge_undertemperature_warning": (-40, 30),
    "charge_undertemperature_limit": (-40, 30),
    "discharge_overtemperature_warning": (20, 100),
    "discharge_overtemperature_limit": (20, 100),
    "discharge_undertemperature_warning": (-40, 30),
    "discharge_undertemperature_limit": (-40, 30),
    "mosfet_overtemperature_limit": (40, 130),
    "cell_delta_warning": (0.01, 2.0),
    "cell_delta_limit": (0.01, 2.0),
    "temperature_delta_warning": (2, 100),
    "temperature_delta_limit": (2, 100),
    "balance_start": (1.5, 4.5),
    "balance_delta": (0.005, 1.0),
    "short_circuit_limit": (10, 6000),
    "sleep_delay": (60, 65535),
}


def _settings(record: "Record", first: int, a5: bool) -> "list[Row]":
    """Return an unproven row for each number of a settings record that may be written."""
    rows: "list[Row]" = []
    for row in record.numbers:
        reading, at, form, zero, divisor = row[:5]
        if reading in RANGES:
            low, high = RANGES[reading]
            number, offset = (first, at) if a5 else (first + at // 2, 0)
            rows.append((reading, number, offset, form, zero, divisor, low, high, CONFIGURE, UNPROVEN, reading))
    return rows


# D9 and DA answer with the byte they got; whether the MOSFET follows is in 0x93. A5 has no read of the switch itself.
A5_COMMANDS: "tuple[Row, ...]" = (
    ("discharge_switch", 0xD9, 0, ">B", 0, 1, 0, 1, OPERATE, CAPTURED, "discharge_mosfet"),
    ("charge_switch", 0xDA, 0, ">B", 0, 1, 0, 1, OPERATE, AGREED, "charge_mosfet"),
    # Sets the clock with it: the first six bytes are the time.
    ("soc", 0x21, 6, ">H", 0, 10, 0.0, 100.0, CONFIGURE, CAPTURED, "soc"),
    ("restart", 0x00, -1, ">B", 0, 1, 1, 1, SERVICE, AGREED, ""),
) + tuple(
    # Reads 0x50 to 0x60 have their writes 0x40 lower: inferred from 0x61 and 0x21.
    _settings(RATING, 0x10, True)
    + _settings(CELL_LIMITS, 0x19, True)
    + _settings(PACK_LIMITS, 0x1A, True)
    + _settings(CURRENT_LIMITS, 0x1B, True)
    + _settings(DIFFERENCE_LIMITS, 0x1E, True)
    + _settings(BALANCE_SETTINGS, 0x1F, True)
    + _settings(SHORT_CIRCUIT, 0x20, True)
)

# Registers 0x0C and 0x0D of the maker's sheet are echoed and do nothing. 0xF1 shuts down: a hand on site is needed to
# undo it, so it has no row, and neither have the zero calibration 0xF2 and the reset 0xF3.
D2_COMMANDS: "tuple[Row, ...]" = (
    ("charge_switch", 0xA5, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, "charge_switch"),
    ("discharge_switch", 0xA6, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, "discharge_switch"),
    ("balancer_switch", 0xCF, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, "balancer_switch"),
    ("clock", 0xD4, -1, ">I", 0, 1, 0, LAST_SECOND, CONFIGURE, CAPTURED, "clock"),
    ("soc", 0xA7, 0, ">H", 0, 10, 0.0, 100.0, CONFIGURE, UNPROVEN, "soc"),
    ("restart", 0xF0, 0, ">H", 0, 1, 1, 1, SERVICE, UNPROVEN, ""),
) + tuple(_settings(D2_SETTINGS, 0x80, False))

# The thresholds from 0x130 on have no rows: their meaning is inferred from the values of one unit.
P81_COMMANDS: "tuple[Row, ...]" = (
    ("charge_switch", 0x121, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, "charge_switch"),
    ("discharge_switch", 0x122, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, "discharge_switch"),
    ("balancer_switch", 0xF6, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, ""),
    ("current_limiter_switch", 0xF7, 0, ">H", 0, 1, 0, 1, OPERATE, CAPTURED, ""),
    ("active_balance", 0x119, 0, ">H", 0, 1, 1, 1, OPERATE, CAPTURED, ""),
    ("soc", 0x116, 0, ">H", 0, 10, 0.0, 100.0, CONFIGURE, AGREED, "soc_setting"),
    ("heating_switch", 0x1F7, 0, ">H", 0, 1, 0, 1, OPERATE, UNPROVEN, "heating"),
    ("fan_switch", 0x1F8, 0, ">H", 0, 1, 0, 1, OPERATE, UNPROVEN, "fan"),
)

COMMANDS = {"daly-a5": A5_COMMANDS, "daly-d2": D2_COMMANDS, "daly-p81": P81_COMMANDS}

MIRRORED = (
    "charge_overcurrent_warning",
    "charge_overcurrent_limit",
    "discharge_overcurrent_warning",
    "discharge_overcurrent_limit",
)


def find(dialect: str, name: str) -> "Row":
    """Return the command's row; raise KeyError when the dialect has none of that name."""
    for row in COMMANDS[dialect]:
        if row[0] == name:
            return row
    raise KeyError(name)


def pack(row: "Row", value: float, current: bytes = b"") -> bytes:
    """Return the row's field for a value; raise OutOfRange before anything is packed.

    current: the bytes of the field as they were read; current limits stay on the side of 30000 where they are.
    """
    name, _number, _at, form, zero, divisor, low, high, _grant, _proof, _reading = row
    if not low <= value <= high:
        raise OutOfRange(f"{name}: {value} is not between {low} and {high}")
    if name in MIRRORED and current and struct.unpack(form, current)[0] < zero:
        value = -value
    return struct.pack(form, raw_of(name, form, value, zero, divisor))


def command(
    dialect: str, name: str, value: float, address: int = 1, current: bytes = b"", clock: "int | None" = None
) -> bytes:
    """Return the whole request that writes a value.

    current: what a read of the same setting gave (A5: its 8 bytes; D2 current limits: the 2 bytes of the register),
    needed where one write carries several values. clock: the time to set along with A5's state of charge.
    Raises KeyError without such a command, OutOfRange, and ProtocolError when `current` or `clock` is missing.
    """
    row = find(dialect, name)
    _name, number, at, _form, _zero, _divisor, _low, _high, _grant, _proof, _reading = row
    if dialect != "daly-a5":
        unit = D2_UNIT if dialect == "daly-d2" else P81_REQUEST + address - 1
        if at < 0:
            pack(row, value)
            return register_frame(unit, WRITE_MANY, number, 3, clock_bytes(int(value)))
        if name in MIRRORED and len(current) != 2:
            raise ProtocolError(f"{name}: the register as it is now is needed, to keep its side of zero")
        return register_frame(unit, WRITE_ONE, number, struct.unpack(">H", pack(row, value, current))[0])
    size = struct.calcsize(row[3])
    if number == 0x21:
        if clock is None or not 0 <= clock <= LAST_SECOND:
            raise ProtocolError("soc: the BMS sets its clock with it, so the time is needed")
        data = clock_bytes(clock) + pack(row, value)
    elif number in (0xD9, 0xDA):
        data = pack(row, value) + bytes(7)
    elif at < 0:
        pack(row, value)
        data = bytes(8)
    else:
        if len(current) != 8:
            raise ProtocolError(f"{name}: shares its frame with others, so what was read is needed")
        data = current[:at] + pack(row, value, current[at : at + size]) + current[at + size :]
    return a5_frame(a5_host(address), number, data)
