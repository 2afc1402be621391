"""Records of the UP16S rack boards, by function and first address; layout and proofs are told in NOTES.md."""

from ...codec.errors import ProtocolError
from ...codec.table import Record, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

READ = 0x78
WRITE = 0x79
OWN = 0x45
TELEMETRY = 0x51

FAULT_BITS = (
    (0, "protections", "cell_overvoltage"),
    (1, "protections", "cell_undervoltage"),
    (2, "protections", "pack_overvoltage"),
    (3, "protections", "pack_undervoltage"),
    (4, "protections", "charge_overcurrent"),
    (5, "protections", "charge_overcurrent_2"),
    (6, "protections", "discharge_overcurrent"),
    (7, "protections", "discharge_overcurrent_2"),
    (8, "protections", "charge_overtemperature"),
    (9, "protections", "charge_undertemperature"),
    (10, "protections", "discharge_overtemperature"),
    (11, "protections", "discharge_undertemperature"),
    (12, "protections", "mosfet_overtemperature"),
    (13, "protections", "ambient_overtemperature"),
    (14, "protections", "ambient_undertemperature"),
    (15, "protections", "cell_delta"),
    (16, "protections", "temperature_delta"),
    (17, "protections", "soc_low"),
    (18, "protections", "short_circuit"),
    (19, "faults", "cell_offline"),
    (20, "faults", "temperature_sensor"),
    (21, "faults", "charge_mosfet"),
    (22, "faults", "discharge_mosfet"),
    (23, "faults", "current_limiter"),
    (24, "faults", "fire_aerosol"),
    (25, "protections", "full_charge"),
    (26, "faults", "frontend_communication"),
    (27, "faults", "reverse_connection"),
)
ALARM_BITS = (
    (0, "warnings", "cell_overvoltage"),
    (1, "warnings", "cell_undervoltage"),
    (2, "warnings", "pack_overvoltage"),
    (3, "warnings", "pack_undervoltage"),
    (4, "warnings", "charge_overcurrent"),
    (5, "warnings", "discharge_overcurrent"),
    (6, "warnings", "charge_overtemperature"),
    (7, "warnings", "charge_undertemperature"),
    (8, "warnings", "discharge_overtemperature"),
    (9, "warnings", "discharge_undertemperature"),
    (10, "warnings", "mosfet_overtemperature"),
    (11, "warnings", "ambient_overtemperature"),
    (12, "warnings", "ambient_undertemperature"),
    (13, "warnings", "cell_delta"),
    (14, "warnings", "temperature_delta"),
    (15, "warnings", "soc_low"),
    (16, "faults", "eeprom"),
    (17, "faults", "clock"),
    (18, "warnings", "full_charge"),
)


def _date(data: bytes, at: int) -> str:
    year, month, day = [data[at + step] << 8 | data[at + step + 1] for step in (0, 2, 4)]
    if 2000 <= year < 2128 and 1 <= month <= 12 and 1 <= day <= 31:
        return f"{year}-{month:02d}-{day:02d}"
    return ""


def _status_end(values: "Readings", data: bytes) -> None:
    # Masters send major and minor version, slaves a single number.
    values["software_version"] = f"{data[4]}.{data[5]}" if data[4] else f"{data[5]}"
    values["balancing"] = values["balancing_cells"] != []


def _status(values: "Readings", data: bytes) -> None:
    sensors = 68 + 2 * values["cell_count"]
    if values["cell_count"] > 32 or len(data) < sensors + 2 + 2 * values.get("sensor_count", 0):
        raise ProtocolError("pack status: shorter than its own counts say")


STATUS_END = Record(
    "end of pack status",
    36,
    texts=(("pack_serial_number", 6, 30),),
    masks=(("balancing_cells", 2, ">H", 1),),
    finish=_status_end,
)
STATUS_SENSORS = Record(
    "sensors of pack status",
    2,
    numbers=(("sensor_count", 0, ">H", 0, 1),),
    lists=(("temperatures", 2, ">H", 500, 10, "sensor_count"),),
    then=(STATUS_END, 2, "sensor_count", 2),
)
STATUS = Record(
    "pack status",
    68,
    numbers=(
        ("voltage", 0, ">H", 0, 100),
        ("current", 4, ">I", 300000, 100),
        ("soc", 8, ">H", 0, 100),
        ("remaining_capacity", 10, ">H", 0, 100),
        ("full_capacity", 12, ">H", 0, 100),
        ("design_capacity", 14, ">H", 0, 100),
        ("mosfet_temperature", 16, ">H", 500, 10),
        ("ambient_temperature", 18, ">H", 500, 10),
        ("soh", 22, ">H", 0, 1),
        ("cycles", 36, ">H", 0, 1),
        ("cell_max_number", 38, ">H", 0, 1),
        ("cell_max", 40, ">H", 0, 1000),
        ("cell_min_number", 42, ">H", 0, 1),
        ("cell_min", 44, ">H", 0, 1000),
        ("cell_mean", 46, ">H", 0, 1000),
        ("temperature_max", 50, ">H", 500, 10),
        ("temperature_min", 54, ">H", 500, 10),
        ("temperature_mean", 56, ">H", 500, 10),
        ("charge_voltage_request", 58, ">H", 0, 10),
        ("charge_current_request", 60, ">H", 0, 10),
        ("discharge_voltage_request", 62, ">H", 0, 10),
        ("discharge_current_request", 64, ">H", 0, 10),
        ("cell_count", 66, ">H", 0, 1),
    ),
    lists=(("cell_voltages", 68, ">H", 0, 1000, "cell_count"),),
    # Discharge comes first here, unlike in the standard dialect.
    flags=(
        ("discharge_mosfet", 33, 0),
        ("charge_mosfet", 33, 1),
        ("precharge_mosfet", 33, 2),
        ("heating", 33, 3),
        ("fan", 33, 4),
    ),
    choices=(("pack_state", 20, ">H", ("idle", "charging", "discharging")),),
    alarms=(("fault_bits", 24, ">I", FAULT_BITS), ("alarm_bits", 28, ">I", ALARM_BITS)),
    then=(STATUS_SENSORS, 68, "cell_count", 2),
    finish=_status,
)


def _info(values: "Readings", data: bytes) -> None:
    for reading, at in (("production_date", 46), ("pack_production_date", 82)):
        date = _date(data, at)
        if date:
            values[reading] = date


INFO = Record(
    "pack information",
    118,
    numbers=(
        ("balance_start", 4, ">H", 0, 1000),
        ("balance_delta", 6, ">H", 0, 1000),
        ("full_pack_voltage", 12, ">H", 0, 100),
        ("full_pack_current", 14, ">H", 0, 100),
        ("sleep_voltage", 118, ">H", 0, 1000),
    ),
    texts=(("serial_number", 16, 30), ("pack_serial_number", 52, 30), ("project", 88, 30)),
    finish=_info,
)


def _protection() -> Record:
    rows = []
    # alarm, word of the warning, word of the limit (release and delay follow it), zero, divisor
    for alarm, warning, limit, zero, divisor in (
        ("cell_overvoltage", 0, 3, 0, 1000),
        ("cell_undervoltage", 6, 9, 0, 1000),
        ("pack_overvoltage", 12, 15, 0, 100),
        ("pack_undervoltage", 18, 21, 0, 100),
        ("charge_overtemperature", 44, 47, 500, 10),
        ("charge_undertemperature", 50, 53, 500, 10),
        ("discharge_overtemperature", 56, 59, 500, 10),
        ("discharge_undertemperature", 62, 65, 500, 10),
        ("mosfet_overtemperature", 68, 71, 500, 10),
        ("ambient_overtemperature", 74, 77, 500, 10),
        ("ambient_undertemperature", 80, 83, 500, 10),
        ("temperature_delta", 86, 89, 0, 10),
        ("cell_delta", 92, 95, 0, 1000),
        ("soc_low", 98, 101, 0, 1),
    ):
        rows.append((alarm + "_warning", 2 * warning, ">H", zero, divisor))
        rows.append((alarm + "_limit", 2 * limit, ">H", zero, divisor))
        rows.append((alarm + "_release", 2 * limit + 2, ">H", zero, divisor))
        rows.append((alarm + "_delay", 2 * limit + 4, ">H", 0, 1000))
    for alarm, warning, limit in (("charge_overcurrent", 24, 27), ("discharge_overcurrent", 34, 37)):
        rows.append((alarm + "_warning", 2 * warning, ">H", 0, 10))
        rows.append((alarm + "_limit", 2 * limit, ">H", 0, 10))
        rows.append((alarm + "_delay", 2 * limit + 2, ">H", 0, 1000))
    rows.append(("discharge_overcurrent_2_limit", 82, ">H", 0, 10))
    rows.append(("discharge_overcurrent_2_delay", 84, ">H", 0, 1000))
    return Record("protection table", 208, numbers=tuple(rows))


PROTECTION = _protection()

CAPACITY = Record(
    "capacity",
    24,
    numbers=(
        ("design_capacity", 0, ">H", 0, 100),
        ("full_capacity", 2, ">H", 0, 100),
        ("remaining_capacity", 4, ">H", 0, 100),
        ("soc", 6, ">H", 0, 100),
        ("soh", 8, ">H", 0, 1),
        ("cycles", 10, ">H", 0, 1),
        ("charged_total", 16, ">I", 0, 10),
        ("discharged_total", 20, ">I", 0, 10),
    ),
)
# The same from SOC on: asking from 2000 can drop the discharge limit to 0 for a moment on some firmware.
SHORT_CAPACITY = Record(
    "short capacity",
    18,
    numbers=(
        ("soc", 0, ">H", 0, 100),
        ("soh", 2, ">H", 0, 1),
        ("cycles", 4, ">H", 0, 1),
        ("charged_total", 10, ">I", 0, 10),
        ("discharged_total", 14, ">I", 0, 10),
    ),
)


def _clock(values: "Readings", data: bytes) -> None:
    year, month, day, hour, minute, second = [data[at] << 8 | data[at + 1] for at in range(0, 12, 2)]
    if not (2020 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        return
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
    days = 365 * (year - 2020) + (year - 2017) // 4 + before + day - 1
    if year % 4 == 0 and month > 2:
        days += 1
    values["clock"] = ((days * 24 + hour) * 60 + minute) * 60 + second


CLOCK = Record("clock", 12, finish=_clock)


def _product(values: "Readings", data: bytes) -> None:
    hardware, major, minor, patch = [data[at] << 8 | data[at + 1] for at in (2, 4, 6, 8)]
    values["hardware_version"] = f"{hardware}"
    values["software_version"] = f"{major}.{minor}.{patch}"


PRODUCT = Record("product", 44, texts=(("model", 12, 16), ("project", 28, 16)), finish=_product)


def _own_end(values: "Readings", data: bytes) -> None:
    # The serial number stands here with the two bytes of every word changed over.
    field = bytes([data[32 + (index ^ 1)] for index in range(30)])
    text = text_of(field)
    if text:
        values["pack_serial_number"] = text


def _own(values: "Readings", data: bytes) -> None:
    if values["cell_count"] > 32 or len(data) < 98 - 32 + 2 * values["cell_count"]:
        raise ProtocolError("own pack: shorter than its own count says")


OWN_END = Record(
    "end of own pack",
    66,
    numbers=(
        ("cell_max", 0, ">H", 0, 1000),
        ("cell_min", 2, ">H", 0, 1000),
        ("voltage", 4, ">H", 0, 100),
        ("temperature_max", 10, ">H", 2731, 10),
        ("temperature_min", 12, ">H", 2731, 10),
        ("full_capacity", 14, ">H", 0, 100),
        ("remaining_capacity", 16, ">H", 0, 100),
        ("cycles", 18, ">H", 0, 1),
        ("soc", 20, ">H", 0, 1),
        ("soh", 22, ">H", 0, 1),
        ("charge_current_request", 62, ">H", 0, 10),
        ("discharge_current_request", 64, ">H", 0, 10),
        ("mosfet_temperature", 68, ">H", 2731, 10),
        ("ambient_temperature", 70, ">H", 2731, 10),
        ("sensor_count", 73, ">B", 0, 1),
    ),
    lists=(("temperatures", 74, ">H", 2731, 10, "sensor_count"),),
    finish=_own_end,
)
OWN_PACK = Record(
    "own pack",
    2,
    numbers=(("cell_count", 0, ">H", 0, 1),),
    lists=(("cell_voltages", 2, ">H", 0, 1000, "cell_count"),),
    then=(OWN_END, 2, "cell_count", 2),
    finish=_own,
)

BANK = (
    ("current", "bank_current"),
    ("soc", "bank_soc"),
    ("soh", "bank_soh"),
    ("remaining_capacity", "bank_remaining_capacity"),
    ("full_capacity", "bank_full_capacity"),
    ("cell_min", "bank_cell_min"),
    ("cell_max", "bank_cell_max"),
    ("temperature_min", "bank_temperature_min"),
    ("temperature_max", "bank_temperature_max"),
)


def _telemetry(values: "Readings", data: bytes) -> None:
    # A master sends what all packs have together: these are not the readings of its own pack.
    if values["pack_count"] > 1:
        for own, bank in BANK:
            values[bank] = values.pop(own)


TELEMETRY_RECORD = Record(
    "telemetry",
    26,
    numbers=(
        ("voltage", 0, ">H", 0, 100),
        ("current", 2, ">h", 0, 10),
        ("soc", 4, ">H", 0, 1),
        ("soh", 6, ">H", 0, 1),
        ("mosfet_temperature", 8, ">H", 2731, 10),
        ("cell_max", 10, ">H", 0, 1000),
        ("cell_min", 12, ">H", 0, 1000),
        ("temperature_max", 14, ">H", 2731, 10),
        ("temperature_min", 16, ">H", 2731, 10),
        ("remaining_capacity", 20, ">H", 0, 10),
        ("full_capacity", 22, ">H", 0, 10),
        ("pack_count", 24, ">H", 0, 1),
    ),
    flags=(
        ("discharge_mosfet", 19, 0),
        ("charge_mosfet", 19, 1),
        ("precharge_mosfet", 19, 2),
        ("heating", 19, 3),
        ("fan", 19, 4),
    ),
    finish=_telemetry,
)

# function << 16 | first address -> record
RECORDS = {
    0x781000: STATUS,
    0x781800: PROTECTION,
    0x781C00: INFO,
    0x782000: CAPACITY,
    0x782006: SHORT_CAPACITY,
    0x782800: CLOCK,
    0x782810: PRODUCT,
    0x450000: OWN_PACK,
    0x510000: TELEMETRY_RECORD,
}
