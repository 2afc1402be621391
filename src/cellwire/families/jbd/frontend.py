"""The front end's current and delay registers: thresholds in millivolt at the shunt, delays in seconds."""

from ...codec.table import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

# TI BQ769x0: registers PROTECT1 to PROTECT3 as they stand in the parameter memory.
SHORT_CIRCUIT = (22, 33, 44, 56, 67, 78, 89, 100)
SHORT_CIRCUIT_DOUBLE = (44, 67, 89, 111, 133, 155, 178, 200)
SHORT_CIRCUIT_DELAY = (70, 100, 200, 400)
OVERCURRENT = (8, 11, 14, 17, 19, 22, 25, 28, 31, 33, 36, 39, 42, 44, 47, 50)
OVERCURRENT_DOUBLE = (17, 22, 28, 33, 39, 44, 50, 56, 61, 67, 72, 78, 83, 89, 94, 100)
OVERCURRENT_DELAY = (8, 20, 40, 80, 160, 320, 640, 1280)
HARD_UNDERVOLTAGE_DELAY = (1, 4, 8, 16)
HARD_OVERVOLTAGE_DELAY = (1, 2, 4, 8)

# Other chips, one byte each on new firmware: threshold in the high nibble, delay in the low one (vendor text V11).
SINOWEALTH_SHORT = (50, 80, 110, 140, 170, 200, 230, 260, 290, 320, 350, 400, 500, 600, 800, 1000)
SINOWEALTH_OVER = (20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 160, 180, 200)
SINOWEALTH_OVER_DELAY = (
    50, 100, 200, 400, 600, 800, 1000, 2000, 4000, 6000, 8000, 10000, 15000, 20000, 30000, 40000,
)  # fmt: skip
DC10_SHORT = (19, 30, 41, 53, 64, 75, 87, 98, 110, 120, 132, 143, 155, 166, 177, 190)
DC10_SHORT_DELAY = (560, 800, 1600, 3200)
DC10_OVER = (4, 10, 16, 21, 28, 33, 38, 44, 50, 55, 61, 67, 73, 78, 84, 90)
DC10_OVER_DELAY = (32, 80, 160, 320, 640, 1280, 2560, 5120)

THRESHOLDS = (
    "frontend_double_range",
    "short_circuit_threshold",
    "short_circuit_delay",
    "discharge_overcurrent_2_threshold",
    "discharge_overcurrent_2_delay",
    "hard_cell_undervoltage_delay",
    "hard_cell_overvoltage_delay",
)


def _currents(values: "Readings", data: bytes) -> None:
    high, low = data[0], data[1]
    double = high & 0x80 != 0
    values["frontend_double_range"] = double
    values["short_circuit_threshold"] = (SHORT_CIRCUIT_DOUBLE if double else SHORT_CIRCUIT)[high & 7]
    values["short_circuit_delay"] = SHORT_CIRCUIT_DELAY[high >> 3 & 3] / 1000000
    values["discharge_overcurrent_2_threshold"] = (OVERCURRENT_DOUBLE if double else OVERCURRENT)[low & 15]
    values["discharge_overcurrent_2_delay"] = OVERCURRENT_DELAY[low >> 4 & 7] / 1000


def _delays(values: "Readings", data: bytes) -> None:
    values["hard_cell_undervoltage_delay"] = HARD_UNDERVOLTAGE_DELAY[data[0] >> 6]
    values["hard_cell_overvoltage_delay"] = HARD_OVERVOLTAGE_DELAY[data[0] >> 4 & 3]


CURRENTS = Record("front end currents", 2, numbers=(("frontend_current_bits", 0, ">H", 0, 1),), finish=_currents)
DELAYS = Record(
    "front end delays",
    2,
    numbers=(
        ("frontend_delay_bits", 0, ">B", 0, 1),
        ("short_circuit_release_delay", 1, ">B", 0, 1),
    ),
    finish=_delays,
)


CURRENT_BITS, DELAY_BITS = "frontend_current_bits", "frontend_delay_bits"
DOUBLE = "frontend_double_range"
RANGED = ("short_circuit_threshold", "discharge_overcurrent_2_threshold")
# reading: register, lowest bit in it, table in the order of the codes, the same in double range, unit in seconds
FIELDS: "dict[str, tuple[int, int, tuple[int, ...], tuple[int, ...], int]]" = {
    "short_circuit_threshold": (0x38, 8, SHORT_CIRCUIT, SHORT_CIRCUIT_DOUBLE, 1),
    "short_circuit_delay": (0x38, 11, SHORT_CIRCUIT_DELAY, SHORT_CIRCUIT_DELAY, 1000000),
    "discharge_overcurrent_2_threshold": (0x38, 0, OVERCURRENT, OVERCURRENT_DOUBLE, 1),
    "discharge_overcurrent_2_delay": (0x38, 4, OVERCURRENT_DELAY, OVERCURRENT_DELAY, 1000),
    "hard_cell_undervoltage_delay": (0x39, 14, HARD_UNDERVOLTAGE_DELAY, HARD_UNDERVOLTAGE_DELAY, 1),
    "hard_cell_overvoltage_delay": (0x39, 12, HARD_OVERVOLTAGE_DELAY, HARD_OVERVOLTAGE_DELAY, 1),
}


def allowed(reading: str, known: "Readings") -> "list[float]":
    """Return the values that a TI front end has for a reading, in its present range."""
    _register, _bit, single, double, unit = FIELDS[reading]
    table = double if known.get(DOUBLE) else single
    return [value / unit if unit > 1 else value for value in table]


def code(reading: str, value: "Any", known: "Readings") -> "int | None":
    """Return the number that stands for a value in the register, None when the front end has no such value."""
    if reading == DOUBLE:
        return int(bool(value))
    if reading == "short_circuit_release_delay":
        return int(value) if 0 <= value <= 255 and value == int(value) else None
    there = allowed(reading, known)
    for index in range(len(there)):
        if abs(there[index] - value) <= there[index] / 1000:
            return index
    return None


def registers(known: "Readings") -> "dict[int, bytes]":
    """Return the registers 38 and 39 with what is known of their fields set in them, as far as their bits are known.

    What agrees with the bits as they were read stays as it is, unless the range changes: the same threshold has
    another code there.
    """
    found: "dict[int, bytes]" = {}
    raws = {0x38: known.get(CURRENT_BITS), 0x39: known.get(DELAY_BITS)}
    for register, bits in raws.items():
        if bits is None:
            continue
        raw = int(bits) << (8 if register == 0x39 else 0)
        was: "Readings" = {}
        moved = False
        if register == 0x38:
            _currents(was, bytes((raw >> 8, raw & 0xFF)))
            double = bool(known.get(DOUBLE, was[DOUBLE]))
            moved = double != was[DOUBLE]
            raw = raw & 0x7FFF | double << 15
        else:
            _delays(was, bytes((raw >> 8, 0)))
            raw |= int(known.get("short_circuit_release_delay", 0)) & 0xFF
        for reading in FIELDS:
            at, bit, table = FIELDS[reading][:3]
            if at == register and reading in known and (moved or known[reading] != was[reading]):
                number = code(reading, known[reading], known)
                if number is not None:
                    raw = raw & ~((len(table) - 1) << bit) | number << bit
        found[register] = bytes((raw >> 8, raw & 0xFF))
    return found


def finish(values: "Readings", known: "Readings") -> None:
    """Take out what only a TI chip means, and add the limits in ampere when the shunt is known."""
    if known.get("chip_type", "TI") != "TI":
        for name in THRESHOLDS:
            if name in values:
                del values[name]
        return
    shunt = known.get("shunt_resistance")
    if shunt:
        for name in ("short_circuit", "discharge_overcurrent_2"):
            if name + "_threshold" in values:
                values[name + "_limit"] = values[name + "_threshold"] / shunt


def packed_currents(chip: str, overcurrent: int, short_circuit: int) -> "Readings":
    """Return the readings of the parameters 40 and 41 of new firmware; {} for a chip whose tables are unknown."""
    values: "Readings" = {}
    high, low = overcurrent >> 4 & 15, overcurrent & 15
    peak, brief = short_circuit >> 4 & 15, short_circuit & 15
    over_delay: "float | None" = None
    if chip == "TI":
        double = short_circuit & 0x80 != 0
        over = (OVERCURRENT_DOUBLE if double else OVERCURRENT)[high]
        over_delay = OVERCURRENT_DELAY[low & 7]
        short = (SHORT_CIRCUIT_DOUBLE if double else SHORT_CIRCUIT)[peak & 7]
        short_delay: float = SHORT_CIRCUIT_DELAY[brief & 3]
        values["frontend_double_range"] = double
    elif chip == "O2":
        over, short, short_delay = 10 * high + 5, 20 * peak + 20, 62.5 * brief + 62.5
    elif chip == "Panasonic":
        over, over_delay = 20 * high + 10, 20 * low + 10
        short, short_delay = 40 * peak + 20, 62.5 * brief + 31.25
    elif chip == "SinoWealth 309":
        over, over_delay = SINOWEALTH_OVER[high], SINOWEALTH_OVER_DELAY[low]
        short, short_delay = SINOWEALTH_SHORT[peak], 64 * brief
    elif chip == "DC10xx":
        over, over_delay = DC10_OVER[high], DC10_OVER_DELAY[low & 7]
        short, short_delay = DC10_SHORT[peak], DC10_SHORT_DELAY[brief & 3]
    elif chip == "OZ3714":
        over, over_delay = 10 * high + 10, 2 * low + 2
        short, short_delay = 40 * peak + 40, 62.5 * (brief + 1)
    else:
        return values
    values["discharge_overcurrent_2_threshold"] = over
    if over_delay is not None:
        values["discharge_overcurrent_2_delay"] = over_delay / 1000
    values["short_circuit_threshold"] = short
    values["short_circuit_delay"] = short_delay / 1000000
    return values
