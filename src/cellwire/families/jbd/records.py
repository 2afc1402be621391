"""JBD records of the standard and the addressed dialect, by register number; layout and proofs are told in NOTES.md."""

from ...codec.errors import ProtocolError
from ...codec.table import Record, text_of
from . import frontend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

LIMIT_BITS = (
    (0, "protections", "cell_overvoltage"),
    (1, "protections", "cell_undervoltage"),
    (2, "protections", "pack_overvoltage"),
    (3, "protections", "pack_undervoltage"),
    (4, "protections", "charge_overtemperature"),
    (5, "protections", "charge_undertemperature"),
    (6, "protections", "discharge_overtemperature"),
    (7, "protections", "discharge_undertemperature"),
    (8, "protections", "charge_overcurrent"),
    (9, "protections", "discharge_overcurrent"),
    (10, "protections", "short_circuit"),
    (11, "faults", "frontend"),
    (12, "protections", "mosfet_software_lock"),
)
PROTECTION_BITS = LIMIT_BITS + ((13, "faults", "charge_mosfet"), (14, "faults", "discharge_mosfet"))
ADDRESSED_PROTECTION_BITS = LIMIT_BITS + (
    (13, "protections", "ambient_overtemperature"),
    (14, "protections", "ambient_undertemperature"),
    (15, "protections", "mosfet_overtemperature"),
)
ALARM_BITS = (
    (0, "warnings", "cell_overvoltage"),
    (1, "warnings", "cell_undervoltage"),
    (2, "warnings", "pack_overvoltage"),
    (3, "warnings", "pack_undervoltage"),
    (4, "warnings", "charge_overtemperature"),
    (5, "warnings", "charge_undertemperature"),
    (6, "warnings", "discharge_overtemperature"),
    (7, "warnings", "discharge_undertemperature"),
    (8, "warnings", "charge_overcurrent"),
    (9, "warnings", "discharge_overcurrent"),
    (10, "warnings", "cell_delta"),
    (11, "warnings", "soc_low"),
)
ADDRESSED_ALARM_BITS = (
    (0, "warnings", "cell_undervoltage"),
    (1, "warnings", "cell_overvoltage"),
    (2, "warnings", "pack_undervoltage"),
    (3, "warnings", "pack_overvoltage"),
    (4, "warnings", "charge_overcurrent"),
    (5, "warnings", "discharge_overcurrent"),
    (6, "warnings", "charge_overtemperature"),
    (7, "warnings", "charge_undertemperature"),
    (8, "warnings", "discharge_overtemperature"),
    (9, "warnings", "discharge_undertemperature"),
    (10, "warnings", "ambient_overtemperature"),
    (11, "warnings", "ambient_undertemperature"),
    (12, "warnings", "board_overtemperature"),
    (13, "warnings", "cell_delta"),
    (14, "warnings", "soc_low"),
)

_dates: "dict[int, str]" = {}
_versions: "dict[int, str]" = {}


def date_of(raw: int) -> str:
    """Return YYYY-MM-DD of a packed date, "" when there is no such day."""
    year, month, day = 2000 + (raw >> 9), raw >> 5 & 15, raw & 31
    if not (1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]):
        return ""
    return f"{year}-{month:02d}-{day:02d}"


def packed_date(text: str) -> int:
    """Return the packed form of YYYY-MM-DD; raise ProtocolError when there is no such day after 1999."""
    parts = text.split("-")
    if len(parts) == 3 and all([part.isdigit() for part in parts]):
        year, month, day = [int(part) for part in parts]
        raw = (year - 2000) << 9 | month << 5 | day
        if 2000 <= year <= 2127 and month < 16 and day < 32 and date_of(raw):
            return raw
    raise ProtocolError(f"{text} is not a date from 2000-01-01 to 2127-12-31")


def _basic(values: "Readings", data: bytes) -> None:
    # A date and a version stay the same for years: their texts are made once.
    raw = data[10] << 8 | data[11]
    date = _dates.get(raw)
    if date is None:
        date = date_of(raw)
        if len(_dates) < 64:
            _dates[raw] = date
    if date:
        values["production_date"] = date
    raw = data[18]
    version = _versions.get(raw)
    if version is None:
        version = _versions[raw] = f"{raw >> 4:x}.{raw & 15:x}"
    values["software_version"] = version
    values["balancing"] = values["balancing_cells"] != []


# The tail stands behind the sensors, on newer firmware only. Its second copy of the remaining capacity is not read.
BASIC_TAIL = Record(
    "basic tail",
    9,
    numbers=(
        # Every captured board sends 0 % humidity: it has no such sensor.
        ("humidity", 0, ">B", 0, 1, (0,)),
        ("learned_capacity", 3, ">H", 0, 100),
        ("balance_current", 7, ">H", 0, 1000),
    ),
    alarms=(("alarm_bits", 1, ">H", ALARM_BITS),),
)

_FIRST_NUMBERS = (
    # reading              at  form  zero divisor
    ("voltage", 0, ">H", 0, 100),
    ("current", 2, ">h", 0, 100),
    ("remaining_capacity", 4, ">H", 0, 100),
    ("full_capacity", 6, ">H", 0, 100),
    ("cycles", 8, ">H", 0, 1),
    ("soc", 19, ">B", 0, 1),
    ("cell_count", 21, ">B", 0, 1),
)
_FIRST_FLAGS = (
    ("charge_mosfet", 20, 0),
    ("discharge_mosfet", 20, 1),
    ("current_limiter", 20, 2),
    ("heating", 20, 3),
    ("coarse_units", 20, 7),
)
# The word of the cells 1 to 16 comes first.
_FIRST_MASKS = (("balancing_cells", 12, ">H", 1), ("balancing_cells", 14, ">H", 17))

BASIC = Record(
    "basic",
    23,
    numbers=_FIRST_NUMBERS + (("sensor_count", 22, ">B", 0, 1),),
    lists=(("temperatures", 23, ">H", 2731, 10, "sensor_count"),),
    flags=_FIRST_FLAGS,
    masks=_FIRST_MASKS,
    alarms=(("protection_bits", 16, ">H", PROTECTION_BITS),),
    then=(BASIC_TAIL, 23, "sensor_count", 2),
    finish=_basic,
)

ADDRESSED_BASIC = Record(
    "addressed basic",
    29,
    numbers=_FIRST_NUMBERS
    + (
        ("ambient_temperature", 24, ">H", 2731, 10),
        ("mosfet_temperature", 26, ">H", 2731, 10),
        ("sensor_count", 28, ">B", 0, 1),
    ),
    lists=(("temperatures", 29, ">H", 2731, 10, "sensor_count"),),
    flags=_FIRST_FLAGS,
    masks=_FIRST_MASKS,
    alarms=(
        ("protection_bits", 16, ">H", ADDRESSED_PROTECTION_BITS),
        ("alarm_bits", 22, ">H", ADDRESSED_ALARM_BITS),
    ),
    finish=_basic,
)

CELLS = Record("cells", 2, lists=(("cell_voltages", 0, ">H", 0, 1000, 32),))

COUNTERS = Record(
    "counters",
    22,
    numbers=(
        ("short_circuit_count", 0, ">H", 0, 1),
        ("charge_overcurrent_count", 2, ">H", 0, 1),
        ("discharge_overcurrent_count", 4, ">H", 0, 1),
        ("cell_overvoltage_count", 6, ">H", 0, 1),
        ("cell_undervoltage_count", 8, ">H", 0, 1),
        ("charge_overtemperature_count", 10, ">H", 0, 1),
        ("charge_undertemperature_count", 12, ">H", 0, 1),
        ("discharge_overtemperature_count", 14, ">H", 0, 1),
        ("discharge_undertemperature_count", 16, ">H", 0, 1),
        ("pack_overvoltage_count", 18, ">H", 0, 1),
        ("pack_undervoltage_count", 20, ">H", 0, 1),
        ("restarts", 22, ">H", 0, 1),
    ),
)

CHIPS = ("TI", "O2", "Panasonic", "SinoWealth 309", "SinoWealth 303", "DC10xx", "OZ3714")
CHIP = Record("chip type", 2, choices=(("chip_type", 1, ">B", CHIPS),))


def _date(values: "Readings", data: bytes) -> None:
    date = date_of(data[0] << 8 | data[1])
    if date:
        values["production_date"] = date


def _shunt(values: "Readings", data: bytes) -> None:
    # With bit 15 the unit is 0.01 instead of 0.1 milliohm.
    raw = data[0] << 8 | data[1]
    if raw & 0x8000:
        values["shunt_resistance"] = (raw & 0x7FFF) / 100


FUNCTION_FLAGS = (
    ("switch_function", 1, 0),
    ("load_detection", 1, 1),
    ("balancer_switch", 1, 2),
    ("balance_only_charging", 1, 3),
    ("led_switch", 1, 4),
    ("led_capacity", 1, 5),
    ("coarse_units", 0, 4),
)

_CAPACITY = (">H", 0, 100)
_CELL = (">H", 0, 1000)
_PACK = (">H", 0, 100)
_TEMPERATURE = (">H", 2731, 10)
_PLAIN = (">H", 0, 1)

# register, reading, (form, zero, divisor)
WORDS = (
    (0x10, "design_capacity", _CAPACITY),
    (0x11, "cycle_capacity", _CAPACITY),
    (0x12, "soc_full_voltage", _CELL),
    (0x13, "soc_empty_voltage", _CELL),
    (0x14, "self_discharge", (">H", 0, 10)),
    (0x16, "serial_number_setting", _PLAIN),
    (0x17, "cycles", _PLAIN),
    (0x18, "charge_overtemperature_limit", _TEMPERATURE),
    (0x19, "charge_overtemperature_release", _TEMPERATURE),
    (0x1A, "charge_undertemperature_limit", _TEMPERATURE),
    (0x1B, "charge_undertemperature_release", _TEMPERATURE),
    (0x1C, "discharge_overtemperature_limit", _TEMPERATURE),
    (0x1D, "discharge_overtemperature_release", _TEMPERATURE),
    (0x1E, "discharge_undertemperature_limit", _TEMPERATURE),
    (0x1F, "discharge_undertemperature_release", _TEMPERATURE),
    (0x20, "pack_overvoltage_limit", _PACK),
    (0x21, "pack_overvoltage_release", _PACK),
    (0x22, "pack_undervoltage_limit", _PACK),
    (0x23, "pack_undervoltage_release", _PACK),
    (0x24, "cell_overvoltage_limit", _CELL),
    (0x25, "cell_overvoltage_release", _CELL),
    (0x26, "cell_undervoltage_limit", _CELL),
    (0x27, "cell_undervoltage_release", _CELL),
    (0x28, "charge_overcurrent_limit", (">h", 0, 100)),
    # On the wire this current is negative; a limit is told by its size, as in all families.
    (0x29, "discharge_overcurrent_limit", (">h", 0, -100)),
    (0x2A, "balance_start", _CELL),
    (0x2B, "balance_delta", _CELL),
    (0x2C, "shunt_resistance", (">H", 0, 10)),
    (0x2E, "sensor_enable_bits", _PLAIN),
    (0x2F, "cell_count_setting", _PLAIN),
    (0x30, "mosfet_control_time", _PLAIN),
    (0x31, "led_time", _PLAIN),
    (0x32, "soc_80_voltage", _CELL),
    (0x33, "soc_60_voltage", _CELL),
    (0x34, "soc_40_voltage", _CELL),
    (0x35, "soc_20_voltage", _CELL),
    (0x36, "hard_cell_overvoltage_limit", _CELL),
    (0x37, "hard_cell_undervoltage_limit", _CELL),
    (0x40, "gps_cutoff_voltage", _CELL),
    (0x41, "gps_cutoff_delay", _PLAIN),
    (0x42, "soc_90_voltage", _CELL),
    (0x43, "soc_70_voltage", _CELL),
    (0x44, "soc_50_voltage", _CELL),
    (0x45, "soc_30_voltage", _CELL),
    (0x46, "soc_10_voltage", _CELL),
    (0x47, "soc_100_voltage", _CELL),
)

# register, reading of the high byte, reading of the low byte: delays in seconds
PAIRS = (
    (0x3A, "charge_undertemperature_delay", "charge_overtemperature_delay"),
    (0x3B, "discharge_undertemperature_delay", "discharge_overtemperature_delay"),
    (0x3C, "pack_undervoltage_delay", "pack_overvoltage_delay"),
    (0x3D, "cell_undervoltage_delay", "cell_overvoltage_delay"),
    (0x3E, "charge_overcurrent_delay", "charge_overcurrent_release_delay"),
    (0x3F, "discharge_overcurrent_delay", "discharge_overcurrent_release_delay"),
)

# What counts in tenths instead of hundredths when the coarse units are on (FET byte bit 7, function bit 12).
COARSE = (
    "current",
    "remaining_capacity",
    "full_capacity",
    "learned_capacity",
    "design_capacity",
    "cycle_capacity",
    "charge_overcurrent_limit",
    "discharge_overcurrent_limit",
)


def coarse(record: Record) -> Record:
    """Return the record in coarse units: currents and capacities in steps of 0.1, the shunt in 0.01 milliohm."""
    numbers: "list[Any]" = []
    for row in record.numbers:
        divisor = row[4]
        if row[0] in COARSE:
            divisor = 10 if divisor > 0 else -10
        elif row[0] == "shunt_resistance":
            divisor = 100
        numbers.append(row[:4] + (divisor,) + row[5:])
    then = record.then
    if then is not None:
        then = (coarse(then[0]),) + then[1:]
    return Record(
        record.name,
        record.size,
        tuple(numbers),
        record.lists,
        record.flags,
        record.choices,
        record.texts,
        record.masks,
        record.alarms,
        then,
        record.finish,
    )


def _settings() -> "dict[int, Record]":
    records = {}
    for register, reading, (form, zero, divisor) in WORDS:
        records[register] = Record(f"register {register:02x}", 2, numbers=((reading, 0, form, zero, divisor),))
    for register, high, low in PAIRS:
        rows = ((high, 0, ">B", 0, 1), (low, 1, ">B", 0, 1))
        records[register] = Record(f"register {register:02x}", 2, numbers=rows)
    records[0x15] = Record("register 15", 2, finish=_date)
    records[0x2C].finish = _shunt
    records[0x2D] = Record("functions", 2, (("function_bits", 0, ">H", 0, 1),), flags=FUNCTION_FLAGS)
    records[0x38] = frontend.CURRENTS
    records[0x39] = frontend.DELAYS
    return records


SETTINGS = _settings()
COARSE_BASIC = coarse(BASIC)
COARSE_ADDRESSED_BASIC = coarse(ADDRESSED_BASIC)
COARSE_SETTINGS = {register: coarse(SETTINGS[register]) for register in (0x10, 0x11, 0x28, 0x29, 0x2C)}

STRINGS = {0xA0: "manufacturer", 0xA1: "model", 0xA2: "barcode"}


def name_in(data: bytes) -> str:
    """Return the hardware name of register 05; raise ProtocolError when the bytes are no text."""
    if len(data) > 1 and data[0] == len(data) - 1:
        data = data[1:]
    for byte in data:
        if byte and not 32 <= byte < 127:
            raise ProtocolError("hardware name: the bytes are no text")
    return text_of(data)


def string_in(data: bytes) -> str:
    """Return the text behind its length byte; raise ProtocolError when the length does not fit."""
    if not data or data[0] != len(data) - 1:
        raise ProtocolError("string: the length byte does not fit")
    return text_of(data[1:])
