"""Records of the two register dialects. Rows stand at 2 * register: D2 by the vendor's Modbus sheet, P81 by captures.

The two maps have nothing in common but the cells at the beginning, and P81's settings are not D2's moved by 0x80.
"""

from ...codec.table import Record, moved
from .alarms import (
    HARDWARE_1,
    HARDWARE_2_D2,
    K_1,
    K_2,
    K_FAULTS,
    K_LEVELS_1,
    K_LEVELS_2,
    LIMITS_1,
    LIMITS_2,
    sort_levels,
)
from .currents import sizes
from .dates import clock_seconds, date_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.table import Readings

NEVER = 65535


def _tidy(values: "Readings", cells: int) -> None:
    """Leave out lists that a wrong count would let run into other registers, and sensors that are not there."""
    if values["cell_count"] > cells:
        values.pop("cell_voltages", None)
    if values["sensor_count"] > 8:
        values.pop("temperatures", None)
    temperatures = values.get("temperatures")
    if temperatures:
        while temperatures[-1] is None:
            temperatures.pop()


def _d2_status(values: "Readings", data: bytes) -> None:
    _tidy(values, 32)


def _d2_settings(values: "Readings", data: bytes) -> None:
    sizes(values)
    # Some units count the sensors of a board in the high byte.
    values["board_sensors"] = [count & 0xFF or count >> 8 for count in values["board_sensors"]]


def _upright(text: str) -> str:
    """Return a version text the right way round: some firmware stores it back to front."""
    back = "".join(reversed(text))
    digits = back.replace("_", "0")
    if text[-3:] == "SMB" or (
        len(back) > 10 and back[2] == "_" and back[9] == "_" and digits[:2].isdigit() and digits[3:9].isdigit()
    ):
        return back
    return text


def _d2_versions(values: "Readings", data: bytes) -> None:
    for name in ("software_version", "hardware_version"):
        if name in values:
            values[name] = _upright(values[name])
    code = values.get("battery_code", "")
    if code and "hardware_version" not in values:
        # Units with short version texts leave twice the room for each.
        values["hardware_version"] = values.pop("battery_code")
    elif len(code) == 8 and code.isdigit() and code[:2] == "20":
        # A date is nobody's identity.
        values["hardware_date"] = values.pop("battery_code")


def _d2_balancer(values: "Readings", data: bytes) -> None:
    date = date_text(data, 0)
    if date:
        values["production_date"] = date
    if data[6] == 0 and data[7] <= 1:
        values["balancer_switch"] = data[7] == 1


def _d2_clock(values: "Readings", data: bytes) -> None:
    seconds = clock_seconds(data, 0)
    if seconds is not None:
        values["clock"] = seconds


D2_STATUS = Record(
    "status",
    2 * 0x3E,
    numbers=(
        ("voltage", 2 * 0x28, ">H", 0, 10),
        # Below 30000 discharges, against the vendor's sheet: seen with the state and the power beside it.
        ("current", 2 * 0x29, ">H", 30000, 10, (0,)),
        ("soc", 2 * 0x2A, ">H", 0, 10),
        ("cell_max", 2 * 0x2B, ">H", 0, 1000),
        ("cell_min", 2 * 0x2C, ">H", 0, 1000),
        ("temperature_max", 2 * 0x2D, ">H", 40, 1, (0, 255, 65535)),
        ("temperature_min", 2 * 0x2E, ">H", 40, 1, (0, 255, 65535)),
        ("remaining_capacity", 2 * 0x30, ">H", 0, 10),
        ("cell_count", 2 * 0x31, ">H", 0, 1),
        ("sensor_count", 2 * 0x32, ">H", 0, 1),
        ("cycles", 2 * 0x33, ">H", 0, 1),
        ("cell_mean", 2 * 0x37, ">H", 0, 1000),
        ("cell_delta", 2 * 0x38, ">H", 0, 1000),
        # Behind register 0x3D: only units that answer 80 registers at once.
        ("balance_current", 2 * 0x40, ">H", 30000, 1000, (0, 65535)),
        ("mosfet_temperature", 2 * 0x42, ">H", 40, 1, (0, 255, 65535)),
        ("board_temperature", 2 * 0x43, ">H", 40, 1, (0, 255, 65535)),
    ),
    lists=(
        ("cell_voltages", 0, ">H", 0, 1000, "cell_count"),
        ("temperatures", 2 * 0x20, ">H", 40, 1, "sensor_count", (255, 65535)),
    ),
    flags=(
        ("balancing", 2 * 0x34 + 1, 0),
        ("charge_mosfet", 2 * 0x35 + 1, 0),
        ("discharge_mosfet", 2 * 0x36 + 1, 0),
    ),
    choices=(("pack_state", 2 * 0x2F, ">H", ("idle", "charging", "discharging")),),
    masks=(("balancing_cells", 2 * 0x3E, ">H", 1), ("balancing_cells", 2 * 0x3F, ">H", 17)),
    alarms=(
        ("alarm_bits", 2 * 0x3A, ">H", LIMITS_1),
        ("alarm_bits_2", 2 * 0x3B, ">H", LIMITS_2),
        ("fault_bits", 2 * 0x3C, ">H", HARDWARE_1),
        ("fault_bits_2", 2 * 0x3D, ">H", HARDWARE_2_D2),
    ),
    finish=_d2_status,
)
# Registers 0x3E and 0x3F are left alone here: on units that answer 62 at a time 0x3E may be the mileage left.
D2_EXTENSION = moved(
    Record(
        "extension",
        numbers=(
            ("balance_current", 2 * 0x40, ">H", 30000, 1000, (0, 65535)),
            ("mosfet_temperature", 2 * 0x42, ">H", 40, 1, (0, 255, 65535)),
            ("board_temperature", 2 * 0x43, ">H", 40, 1, (0, 255, 65535)),
        ),
    ),
    "extension",
    2 * 9,
    0,
    -2 * 0x3E,
)
D2_SETTINGS = moved(
    Record(
        "settings",
        numbers=(
            ("design_capacity", 2 * 0x80, ">H", 0, 10),
            ("nominal_cell_voltage", 2 * 0x81, ">H", 0, 1000),
            ("acquisition_boards", 2 * 0x82, ">H", 0, 1),
            ("sleep_delay", 2 * 0x8A, ">H", 0, 1),
            ("cell_overvoltage_warning", 2 * 0x8B, ">H", 0, 1000),
            ("cell_overvoltage_limit", 2 * 0x8C, ">H", 0, 1000),
            ("cell_undervoltage_warning", 2 * 0x8D, ">H", 0, 1000),
            ("cell_undervoltage_limit", 2 * 0x8E, ">H", 0, 1000),
            ("pack_overvoltage_warning", 2 * 0x8F, ">H", 0, 10),
            ("pack_overvoltage_limit", 2 * 0x90, ">H", 0, 10),
            ("pack_undervoltage_warning", 2 * 0x91, ">H", 0, 10),
            ("pack_undervoltage_limit", 2 * 0x92, ">H", 0, 10),
            ("charge_overcurrent_warning", 2 * 0x93, ">H", 30000, 10),
            ("charge_overcurrent_limit", 2 * 0x94, ">H", 30000, 10),
            ("discharge_overcurrent_warning", 2 * 0x95, ">H", 30000, 10),
            ("discharge_overcurrent_limit", 2 * 0x96, ">H", 30000, 10),
            ("charge_overtemperature_warning", 2 * 0x97, ">H", 40, 1),
            ("charge_overtemperature_limit", 2 * 0x98, ">H", 40, 1),
            ("charge_undertemperature_warning", 2 * 0x99, ">H", 40, 1),
            ("charge_undertemperature_limit", 2 * 0x9A, ">H", 40, 1),
            ("discharge_overtemperature_warning", 2 * 0x9B, ">H", 40, 1),
            ("discharge_overtemperature_limit", 2 * 0x9C, ">H", 40, 1),
            ("discharge_undertemperature_warning", 2 * 0x9D, ">H", 40, 1),
            ("discharge_undertemperature_limit", 2 * 0x9E, ">H", 40, 1),
            # 255 in a difference stands for "off".
            ("cell_delta_warning", 2 * 0x9F, ">H", 0, 1000, (255,)),
            ("cell_delta_limit", 2 * 0xA0, ">H", 0, 1000, (255,)),
            ("temperature_delta_warning", 2 * 0xA1, ">H", 0, 1, (255,)),
            ("temperature_delta_limit", 2 * 0xA2, ">H", 0, 1, (255,)),
            ("balance_start", 2 * 0xA3, ">H", 0, 1000),
            ("balance_delta", 2 * 0xA4, ">H", 0, 1000),
            ("soc_setting", 2 * 0xA7, ">H", 0, 10),
            ("mosfet_overtemperature_limit", 2 * 0xA8, ">H", 40, 1),
        ),
        lists=(
            ("board_cells", 2 * 0x83, ">H", 0, 1, 3),
            ("board_sensors", 2 * 0x86, ">H", 0, 1, 3),
        ),
        flags=(("charge_switch", 2 * 0xA5 + 1, 0), ("discharge_switch", 2 * 0xA6 + 1, 0)),
        choices=(("battery_type", 2 * 0x89, ">H", ("LFP", "Li-ion", "LTO")),),
        finish=_d2_settings,
    ),
    "settings",
    2 * 41,
    0,
    -2 * 0x80,
)
# Ends right before register 0xC9, the password.
D2_VERSIONS = Record(
    "versions",
    2 * 32,
    texts=(("software_version", 0, 16), ("hardware_version", 16, 16), ("battery_code", 32, 32)),
    finish=_d2_versions,
)
D2_BALANCER = Record("balancer", 2 * 5, finish=_d2_balancer)
D2_CLOCK = Record("clock", 2 * 3, finish=_d2_clock)

# first register -> record
D2_RECORDS = {
    0x00: D2_STATUS,
    0x3E: D2_EXTENSION,
    0x80: D2_SETTINGS,
    0xA9: D2_VERSIONS,
    0xCC: D2_BALANCER,
    0xD4: D2_CLOCK,
}
# bytes -> first register, for replies whose question was not seen. Short ones are left out: they may be anything,
# the password too.
D2_LENGTHS = {2 * 62: 0x00, 2 * 80: 0x00, 2 * 9: 0x3E, 2 * 41: 0x80, 2 * 32: 0xA9}


def _p81_cells(values: "Readings", data: bytes) -> None:
    _tidy(values, 48)


def _p81_status(values: "Readings", data: bytes) -> None:
    # 0 off, 1 passive, 2 active. 7 was captured on a unit that did not balance, so it says nothing.
    if values["balance_mode"] <= 2:
        values["balancing"] = values["balance_mode"] > 0
    seconds = clock_seconds(data, 2 * (0x61 - 0x41))
    if seconds is not None:
        values["clock"] = seconds
    values["warnings"] = []
    sort_levels(values, "alarm_bits", K_LEVELS_1)
    sort_levels(values, "alarm_bits_2", K_LEVELS_2)


def _p81_settings(values: "Readings", data: bytes) -> None:
    if values["sleep_delay"] != NEVER:
        values["sleep_delay"] = values["sleep_delay"] * 10
    seconds = clock_seconds(data, 2 * 0x23)
    if seconds is not None:
        values["clock"] = seconds
    date = date_text(data, 2 * 0x29)
    if date:
        values["production_date"] = date


P81_CELLS = Record(
    "cells",
    2 * 0x40,
    numbers=(
        ("voltage", 2 * 0x38, ">H", 0, 10),
        ("current", 2 * 0x39, ">H", 30000, 10, (0,)),
        ("soc", 2 * 0x3A, ">H", 0, 10),
        # Seconds modulo 256; one source calls it the state of health.
        ("heartbeat", 2 * 0x3B, ">H", 0, 1),
        ("cell_count", 2 * 0x3C, ">H", 0, 1),
        ("sensor_count", 2 * 0x3D, ">H", 0, 1),
        ("cell_max", 2 * 0x3E, ">H", 0, 1000),
        ("cell_max_number", 2 * 0x3F, ">H", 0, 1),
    ),
    lists=(
        ("cell_voltages", 0, ">H", 0, 1000, "cell_count"),
        ("temperatures", 2 * 0x30, ">H", 40, 1, "sensor_count", (255, 65535)),
    ),
    finish=_p81_cells,
)
P81_STATUS = moved(
    Record(
        "status",
        numbers=(
            ("cell_min_number", 2 * 0x41, ">H", 0, 1),
            ("cell_delta", 2 * 0x42, ">H", 0, 1000),
            ("temperature_max", 2 * 0x43, ">H", 40, 1, (0, 255, 65535)),
            ("temperature_max_number", 2 * 0x44, ">H", 0, 1, (0,)),
            ("temperature_min", 2 * 0x45, ">H", 40, 1, (0, 255, 65535)),
            ("temperature_min_number", 2 * 0x46, ">H", 0, 1, (0,)),
            ("remaining_capacity", 2 * 0x4B, ">H", 0, 10),
            ("cycles", 2 * 0x4C, ">H", 0, 1),
            ("balance_mode", 2 * 0x4D, ">H", 0, 1),
            ("balance_current", 2 * 0x4E, ">H", 30000, 1000, (0, 65535)),
            ("cell_mean", 2 * 0x57, ">H", 0, 1000),
            ("energy", 2 * 0x59, ">H", 0, 1, (0, 65535)),
            ("mosfet_temperature", 2 * 0x5A, ">H", 40, 1, (0, 255, 65535)),
            ("board_temperature", 2 * 0x5B, ">H", 40, 1, (0, 255, 65535)),
            ("heater_temperature", 2 * 0x5C, ">H", 40, 1, (0, 255, 65535)),
        ),
        flags=(
            ("charge_mosfet", 2 * 0x52 + 1, 0),
            ("discharge_mosfet", 2 * 0x53 + 1, 0),
            ("precharge_mosfet", 2 * 0x54 + 1, 0),
            ("heating", 2 * 0x55 + 1, 0),
            ("fan", 2 * 0x56 + 1, 0),
            ("current_limiter", 2 * 0x73, 6),
        ),
        choices=(("pack_state", 2 * 0x48, ">H", ("idle", "charging", "discharging")),),
        masks=(
            ("balancing_cells", 2 * 0x4F, ">H", 1),
            ("balancing_cells", 2 * 0x50, ">H", 17),
            ("balancing_cells", 2 * 0x51, ">H", 33),
        ),
        alarms=(
            ("alarm_bits", 2 * 0x6D, ">I", K_1),
            ("alarm_bits_2", 2 * 0x6F, ">I", K_2),
            ("fault_bits", 2 * 0x72, ">I", K_FAULTS),
        ),
        finish=_p81_status,
    ),
    "status",
    2 * 62,
    0,
    -2 * 0x41,
)
P81_SETTINGS = moved(
    Record(
        "settings",
        numbers=(
            ("board_number", 2 * 0x100, ">H", 0, 1),
            ("cell_count_setting", 2 * 0x101, ">H", 0, 1),
            ("acquisition_boards", 2 * 0x102, ">H", 0, 1),
            ("design_capacity", 2 * 0x109, ">I", 0, 1000),
            ("charged_total", 2 * 0x10D, ">I", 0, 1000),
            ("discharged_total", 2 * 0x10F, ">I", 0, 1000),
            ("nominal_cell_voltage", 2 * 0x114, ">H", 0, 1000),
            ("sleep_delay", 2 * 0x115, ">H", 0, 1),
            ("soc_setting", 2 * 0x116, ">H", 0, 10),
            ("cell_overvoltage_warning", 2 * 0x130, ">H", 0, 1000),
            ("cell_overvoltage_limit", 2 * 0x131, ">H", 0, 1000),
            ("cell_overvoltage_release", 2 * 0x132, ">H", 0, 1000),
            ("cell_overvoltage_delay", 2 * 0x133, ">H", 0, 1000),
            ("cell_undervoltage_warning", 2 * 0x134, ">H", 0, 1000),
            ("cell_undervoltage_limit", 2 * 0x135, ">H", 0, 1000),
            ("cell_undervoltage_release", 2 * 0x136, ">H", 0, 1000),
            ("cell_undervoltage_delay", 2 * 0x137, ">H", 0, 1000),
            ("pack_overvoltage_warning", 2 * 0x138, ">H", 0, 10),
            ("pack_overvoltage_limit", 2 * 0x139, ">H", 0, 10),
            ("pack_overvoltage_release", 2 * 0x13A, ">H", 0, 10),
            ("pack_overvoltage_delay", 2 * 0x13B, ">H", 0, 1000),
            ("pack_undervoltage_warning", 2 * 0x13C, ">H", 0, 10),
            ("pack_undervoltage_limit", 2 * 0x13D, ">H", 0, 10),
            ("pack_undervoltage_release", 2 * 0x13E, ">H", 0, 10),
            ("pack_undervoltage_delay", 2 * 0x13F, ">H", 0, 1000),
        ),
        lists=(
            ("board_cells", 2 * 0x103, ">H", 0, 1, 3),
            ("board_sensors", 2 * 0x106, ">H", 0, 1, 3),
        ),
        flags=(("charge_switch", 2 * 0x121 + 1, 0), ("discharge_switch", 2 * 0x122 + 1, 0)),
        finish=_p81_settings,
    ),
    "settings",
    2 * 81,
    0,
    -2 * 0x100,
)
P81_MORE = Record("more settings", 2 * 39, lists=(("settings_raw", 0, ">H", 0, 1, 39),))
P81_VERSIONS = Record(
    "versions",
    2 * 74,
    texts=(
        ("software_version", 0, 28),
        ("hardware_version", 28, 14),
        ("serial_number", 42, 24),
        ("hardware_date", 66, 16),
    ),
)

P81_RECORDS = {
    0x00: P81_CELLS,
    0x41: P81_STATUS,
    0x100: P81_SETTINGS,
    0x151: P81_MORE,
    0x178: P81_VERSIONS,
}
P81_LENGTHS = {2 * 64: 0x00, 2 * 62: 0x41, 2 * 81: 0x100, 2 * 39: 0x151, 2 * 74: 0x178}
