"""JK records of 300 bytes: cell info, settings, device info and log book, the same over Bluetooth and RS485.

Offsets count from the first header byte. Layout: the maker's RS485 register map V1.1 (offset = register - base + 6)
and the Bluetooth captures in vectors.json. There are three layouts: JK04 (floats, software below 6), 24S (software 6
to 10) and 32S (software 11 and later); the record itself tells which, see `variant`.
"""

import struct

from ...codec.errors import ProtocolError
from ...codec.table import Record, decode, joined, moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

SETTINGS, CELLS, DEVICE, LOG = 1, 2, 3, 5
SIZE = 300

# Raw -200.0 degC: no sensor on this input. Firmware sends it whatever the sensor mask says.
NO_SENSOR = -2000

# Cells by mask: a mask is a run of low one-bits.
COUNTS = {(1 << count) - 1: count for count in range(1, 33)}

WARNING, PROTECTION, FAULT = "warnings", "protections", "faults"
ALARMS_16 = (
    (0, FAULT, "balance_wire_resistance"),
    (1, PROTECTION, "mosfet_overtemperature"),
    (2, FAULT, "cell_count_mismatch"),
    (3, FAULT, "current_sensor"),
    (4, PROTECTION, "cell_overvoltage"),
    (5, PROTECTION, "pack_overvoltage"),
    (6, PROTECTION, "charge_overcurrent"),
    (7, PROTECTION, "charge_short_circuit"),
    (8, PROTECTION, "charge_overtemperature"),
    (9, PROTECTION, "charge_undertemperature"),
    (10, FAULT, "internal_communication"),
    (11, PROTECTION, "cell_undervoltage"),
    (12, PROTECTION, "pack_undervoltage"),
    (13, PROTECTION, "discharge_overcurrent"),
    (14, PROTECTION, "discharge_short_circuit"),
    (15, PROTECTION, "discharge_overtemperature"),
)
ALARMS_32 = ALARMS_16 + (
    (16, FAULT, "charge_mosfet"),
    (17, FAULT, "discharge_mosfet"),
    (18, WARNING, "gps_disconnected"),
    (19, WARNING, "default_password"),
    (20, FAULT, "discharge_start_failed"),
    (21, PROTECTION, "battery_overtemperature"),
    (22, FAULT, "temperature_sensor"),
    (23, FAULT, "parallel_module"),
    (24, FAULT, "short_circuit_release_failed"),
    (25, PROTECTION, "discharge_overcurrent_2"),
    (26, PROTECTION, "discharge_overcurrent_3"),
    (27, PROTECTION, "discharge_undertemperature"),
    (28, WARNING, "remote_lock"),
)

BALANCE_STATES = ("off", "charging", "discharging")

# Cell info in three stretches: what stands before the lists, the lists and what follows them, and the live values.
_HEAD = Record("cells", SIZE, numbers=(("frame_counter", 5, "<B", 0, 1),))
_CELLS = Record(
    "cells",
    numbers=(
        ("cell_mask", 54, "<I", 0, 1),
        ("cell_mean", 58, "<H", 0, 1000),
        ("cell_delta", 60, "<H", 0, 1000),
        ("cell_max_number", 62, "<B", -1, 1),
        ("cell_min_number", 63, "<B", -1, 1),
    ),
    lists=(
        ("cell_voltages", 6, "<H", 0, 1000, "cell_count"),
        ("cell_resistances", 64, "<H", 0, 1000, "cell_count"),
    ),
)
_LIVE = Record(
    "live",
    numbers=(
        ("voltage", 118, "<I", 0, 1000),
        ("current", 126, "<i", 0, 1000),
        ("balance_current", 138, "<h", 0, 1000),
        ("soc", 141, "<B", 0, 1),
        ("remaining_capacity", 142, "<I", 0, 1000),
        # On software 11 and later this is the learned capacity; the configured one is in the settings.
        ("full_capacity", 146, "<I", 0, 1000),
        ("cycles", 150, "<I", 0, 1),
        ("cycled_capacity", 154, "<I", 0, 1000),
        ("soh", 158, "<B", 0, 1),
        ("user_alarm_bits", 160, "<H", 0, 1),
        ("runtime", 162, "<I", 0, 1),
        ("user_alarm_bits_2", 168, "<H", 0, 1),
        ("discharge_overcurrent_release_timer", 170, "<H", 0, 1),
        ("short_circuit_release_timer", 172, "<H", 0, 1),
        ("charge_overcurrent_release_timer", 174, "<H", 0, 1),
        ("charge_short_circuit_release_timer", 176, "<H", 0, 1),
        ("cell_undervoltage_release_timer", 178, "<H", 0, 1),
        ("cell_overvoltage_release_timer", 180, "<H", 0, 1),
        ("sensor_mask", 182, "<B", 0, 1),
    ),
    lists=(("temperatures", 130, "<h", 0, 10, 2, (NO_SENSOR,)),),
    flags=(
        ("precharge_mosfet", 159, 0),
        ("charge_mosfet", 166, 0),
        ("discharge_mosfet", 167, 0),
        ("heating", 183, 0),
    ),
    choices=(("balance_state", 140, "<B", BALANCE_STATES),),
    masks=(("balance_wire_alarms", 114, "<I", 1),),
)
# The MOSFET temperature and the alarm word are what 32S did not just move.
CELLS_24S = joined(
    "cells 24S",
    SIZE,
    joined("cells", SIZE, _HEAD, _CELLS),
    joined(
        "live 24S",
        0,
        _LIVE,
        Record(
            "live 24S",
            numbers=(("mosfet_temperature", 134, "<h", 0, 10, (NO_SENSOR,)),),
            alarms=(("alarm_bits", 136, "<H", ALARMS_16),),
        ),
    ),
)
CELLS_32S = joined(
    "cells 32S",
    SIZE,
    joined("cells", SIZE, _HEAD, moved(_CELLS, "cells", 0, 54, 16)),
    joined(
        "live 32S",
        0,
        moved(_LIVE, "live", 0, 114, 32),
        Record(
            "live 32S",
            numbers=(
                ("mosfet_temperature", 144, "<h", 0, 10, (NO_SENSOR,)),
                ("emergency_countdown", 218, "<H", 0, 1),
                ("discharge_current_correction", 220, "<H", 0, 1),
                ("charge_sensor_voltage", 222, "<H", 0, 1000),
                ("discharge_sensor_voltage", 224, "<H", 0, 1000),
                ("voltage_correction", 226, "<f", 0, 1),
                ("balance_duty_charge", 230, "<H", 0, 1),
                ("balance_duty_discharge", 232, "<H", 0, 1),
                ("heating_current", 236, "<h", 0, 1000),
                ("heartbeat", 246, "<I", 0, 1),
            ),
            flags=(("charger_connected", 245, 0),),
            alarms=(("alarm_bits", 166, "<I", ALARMS_32),),
        ),
    ),
)
# Software 11 to 13 leaves other things in these bytes, or zeros that mean nothing.
_FROM_14 = Record(
    "cells 32S from software 14",
    SIZE,
    numbers=(
        ("clock", 262, "<I", 0, 1),
        ("log_entries", 266, "<I", 0, 1),
        ("sleep_countdown", 270, "<I", 0, 1),
        ("charge_phase_time", 278, "<H", 0, 1),
    ),
    flags=(
        ("parallel_module", 274, 0),
        ("dry_contact_1", 281, 1),
        ("dry_contact_2", 281, 2),
    ),
    choices=(
        ("battery_type", 275, "<B", ("LFP", "Li-ion", "LTO")),
        ("charge_phase", 280, "<B", ("bulk", "absorption", "float")),
    ),
)
CELLS_32S_14 = joined("cells 32S from software 14", SIZE, CELLS_32S, _FROM_14)
# T4 and T5 stand apart from T1 and T2. What stands where T3 should be is a copy of the MOSFET temperature.
T4, T5 = 256, 258

CELLS_04 = Record(
    "cells JK04",
    SIZE,
    numbers=(
        ("frame_counter", 5, "<B", 0, 1),
        ("cell_mean", 202, "<f", 0, 1),
        ("cell_delta", 206, "<f", 0, 1),
        ("cell_mask", 214, "<I", 0, 1),
        ("cell_max_number", 218, "<B", -1, 1),
        ("cell_min_number", 219, "<B", -1, 1),
        ("balance_current", 222, "<f", 0, 1),
        ("runtime", 286, "<I", 0, 1),
    ),
    lists=(
        ("cell_voltages", 6, "<f", 0, 1, "cell_count"),
        ("cell_resistances", 102, "<f", 0, 1, "cell_count"),
    ),
    choices=(("balance_state", 220, "<B", BALANCE_STATES),),
)

# Switches that stand in words of 4 or 2 bytes: (reading, at, width of the word, bit), so that both byte orders can
# be made of them.
SWITCHES = (
    ("charge_switch", 118, 4, 0),
    ("discharge_switch", 122, 4, 0),
    ("balancer_switch", 126, 4, 0),
)
CONTROLS = (
    ("heating_switch", 282, 2, 0),
    ("sensors_disabled", 282, 2, 1),
    ("gps_heartbeat", 282, 2, 2),
    ("port_rs485", 282, 2, 3),
    ("display_always_on", 282, 2, 4),
    ("special_charger", 282, 2, 5),
    ("smart_sleep", 282, 2, 6),
    ("parallel_module_disabled", 282, 2, 7),
    ("timed_stored_data", 282, 2, 8),
    ("float_charge", 282, 2, 9),
    ("emergency_button", 282, 2, 10),
    ("dry_contact_intermittent", 282, 2, 11),
    ("discharge_overcurrent_stage_2", 282, 2, 12),
    ("discharge_overcurrent_stage_3", 282, 2, 13),
    ("gps_lock_charge", 282, 2, 14),
    ("gps_lock_discharge", 282, 2, 15),
)


def switch_rows(
    words: "tuple[tuple[str, int, int, int], ...]", big: bool = False
) -> "tuple[tuple[str, int, int], ...]":
    """Return flag rows for switches that stand in words of that byte order."""
    return tuple(
        [(reading, at + (width - 1 - bit // 8 if big else bit // 8), bit % 8) for reading, at, width, bit in words]
    )


SETTINGS_24S = Record(
    "settings 24S",
    SIZE,
    numbers=(
        ("frame_counter", 5, "<B", 0, 1),
        ("sleep_voltage", 6, "<I", 0, 1000),
        ("cell_undervoltage_limit", 10, "<I", 0, 1000),
        ("cell_undervoltage_release", 14, "<I", 0, 1000),
        ("cell_overvoltage_limit", 18, "<I", 0, 1000),
        ("cell_overvoltage_release", 22, "<I", 0, 1000),
        ("balance_delta", 26, "<I", 0, 1000),
        ("power_off_voltage", 46, "<I", 0, 1000),
        ("charge_overcurrent_limit", 50, "<I", 0, 1000),
        ("charge_overcurrent_delay", 54, "<I", 0, 1),
        ("charge_overcurrent_release_delay", 58, "<I", 0, 1),
        ("discharge_overcurrent_limit", 62, "<I", 0, 1000),
        ("discharge_overcurrent_delay", 66, "<I", 0, 1),
        ("discharge_overcurrent_release_delay", 70, "<I", 0, 1),
        ("short_circuit_release_delay", 74, "<I", 0, 1),
        ("balance_current_limit", 78, "<I", 0, 1000),
        ("charge_overtemperature_limit", 82, "<i", 0, 10),
        ("charge_overtemperature_release", 86, "<i", 0, 10),
        ("discharge_overtemperature_limit", 90, "<i", 0, 10),
        ("discharge_overtemperature_release", 94, "<i", 0, 10),
        ("charge_undertemperature_limit", 98, "<i", 0, 10),
        ("charge_undertemperature_release", 102, "<i", 0, 10),
        ("mosfet_overtemperature_limit", 106, "<i", 0, 10),
        ("mosfet_overtemperature_release", 110, "<i", 0, 10),
        ("cell_count_setting", 114, "<I", 0, 1),
        ("design_capacity", 130, "<I", 0, 1000),
        ("short_circuit_delay", 134, "<I", 0, 1000000),
        ("balance_start", 138, "<I", 0, 1000),
    ),
    lists=(("wire_resistances", 158, "<I", 0, 1000, "cell_count_setting"),),
    flags=switch_rows(SWITCHES),
)
SETTINGS_32S = Record(
    "settings 32S",
    SIZE,
    numbers=SETTINGS_24S.numbers
    + (
        # Not used before software 11.
        ("soc_full_voltage", 30, "<I", 0, 1000),
        ("soc_empty_voltage", 34, "<I", 0, 1000),
        ("charge_voltage_setting", 38, "<I", 0, 1000),
        ("float_voltage_setting", 42, "<I", 0, 1000),
        # Four bytes in the maker's map, though only the lowest is ever used.
        ("device_address", 270, "<I", 0, 1),
        ("precharge_time", 274, "<I", 0, 1),
        ("control_bits", 282, "<H", 0, 1),
        ("heating_start", 284, "<b", 0, 1),
        ("heating_stop", 285, "<b", 0, 1),
        ("sleep_delay", 286, "<B", 0, 1),
        ("stored_data_bits", 287, "<B", 0, 1),
        ("discharge_undertemperature_limit", 296, "<b", 0, 1),
        ("discharge_undertemperature_release", 297, "<b", 0, 1),
    ),
    # The maker's map says micro-ohm; every capture has zeros here.
    lists=(("wire_resistances", 142, "<I", 0, 1000000, "cell_count_setting"),),
    flags=switch_rows(SWITCHES + CONTROLS),
)
SETTINGS_04 = Record(
    "settings JK04",
    SIZE,
    numbers=(
        ("frame_counter", 5, "<B", 0, 1),
        ("cell_count_setting", 34, "<B", 0, 1),
        ("power_off_voltage", 38, "<f", 0, 1),
        ("voltage_reference", 74, "<f", 0, 1),
        ("balance_delta", 106, "<f", 0, 1),
        ("balance_current_limit", 110, "<f", 0, 1),
    ),
    flags=(("balancer_switch", 114, 0),),
)

# The two passcodes of the record (offsets 62 and 118) are left where they are.
DEVICE_OLD = Record(
    "device",
    SIZE,
    numbers=(
        ("frame_counter", 5, "<B", 0, 1),
        ("uptime", 38, "<I", 0, 1),
        ("power_on_count", 42, "<I", 0, 1),
    ),
    texts=(
        ("model", 6, 16),
        ("hardware_version", 22, 8),
        ("software_version", 30, 8),
        ("name", 46, 16),
        ("production_date", 78, 8),
        ("serial_number", 86, 16),
        ("user_data", 102, 16),
    ),
)
DEVICE_32S = joined(
    "device 32S",
    SIZE,
    DEVICE_OLD,
    Record(
        "device 32S",
        numbers=(
            ("uart1_protocol", 184, "<B", 0, 1),
            ("can_protocol", 185, "<B", 0, 1),
            ("uart1_protocols", 186, "<I", 0, 1),
            ("can_protocols", 202, "<I", 0, 1),
            ("uart2_protocol", 218, "<B", 0, 1),
            ("uart2_protocols", 219, "<I", 0, 1),
            ("buzzer_trigger", 234, "<B", 0, 1),
            ("dry_contact_1_trigger", 235, "<B", 0, 1),
            ("dry_contact_2_trigger", 236, "<B", 0, 1),
            ("uart_library_version", 237, "<B", 0, 1),
            ("buzzer_trigger_value", 238, "<i", 0, 1),
            ("buzzer_release_value", 242, "<i", 0, 1),
            ("dry_contact_1_trigger_value", 246, "<i", 0, 1),
            ("dry_contact_1_release_value", 250, "<i", 0, 1),
            ("dry_contact_2_trigger_value", 254, "<i", 0, 1),
            ("dry_contact_2_release_value", 258, "<i", 0, 1),
            ("stored_data_period", 262, "<I", 0, 1),
            ("charge_voltage_time", 266, "<B", 0, 1),
            ("float_voltage_time", 267, "<B", 0, 1),
            ("can_library_version", 268, "<B", 0, 1),
            ("emergency_duration", 269, "<B", 0, 1),
            ("uart3_protocol", 270, "<B", 0, 1),
            ("rebulk_soc", 278, "<B", 0, 1),
        ),
        texts=(("user_data_2", 134, 16), ("hardware_options", 190, 12)),
    ),
)
LOG_HEAD = Record("log", 261, numbers=(("frame_counter", 5, "<B", 0, 1), ("log_entries", 6, "<I", 0, 1)))
LOG_ROOM = 50

RECORDS_02 = (CELLS_24S, CELLS_32S_14, SETTINGS_24S, SETTINGS_32S, DEVICE_32S, LOG_HEAD)
RECORDS_04 = (CELLS_04, SETTINGS_04, DEVICE_OLD)

# Times that the BMS counts in other units than seconds: a row can divide, but not multiply.
SECONDS = (
    ("sleep_delay", 3600),
    ("charge_voltage_time", 360),
    ("float_voltage_time", 360),
    ("emergency_duration", 60),
)

EVENTS = (
    "",
    "boot",
    "shutdown",
    "charging off by app",
    "charging on by app",
    "discharging off by app",
    "discharging on by app",
    "charging off by remote",
    "charging on by remote",
    "discharging off by remote",
    "discharging on by remote",
    "MOSFET overtemperature",
    "MOSFET overtemperature over",
    "current sensor fault",
    "current sensor fault over",
    "internal communication fault",
    "internal communication fault over",
    "cell overvoltage",
    "cell overvoltage over",
    "pack overvoltage",
    "pack overvoltage over",
    "charge overcurrent",
    "charge overcurrent over",
    "charge short circuit",
    "charge short circuit over",
    "charge overtemperature",
    "charge overtemperature over",
    "charge undertemperature",
    "charge undertemperature over",
    "cell undervoltage",
    "cell undervoltage over",
    "pack undervoltage",
    "pack undervoltage over",
    "discharge overcurrent",
    "discharge overcurrent over",
    "discharge short circuit",
    "discharge short circuit over",
    "discharge overtemperature",
    "discharge overtemperature over",
    "watchdog reset",
    "discharge short circuit, second level",
    "emergency on by hand",
    "emergency off by hand",
    "emergency off by timeout",
    "off by app",
    "off by button",
    "discharge could not be switched on",
    "off by RS485",
    "charging off by CAN",
    "charging on by CAN",
    "discharging off by CAN",
    "discharging on by CAN",
    "charging off by RS485",
    "charging on by RS485",
    "discharging off by RS485",
    "discharging on by RS485",
    "sleep",
    "charge MOSFET fault",
    "discharge MOSFET fault",
    "clock set",
    "wrong number of cells",
    "emergency on by button",
    "emergency off by button",
    "heating forced by button",
    "discharge overcurrent, second stage",
    "discharge overcurrent, third stage",
    "short circuit release failed",
    "Li-ion preset loaded",
    "LFP preset loaded",
    "LTO preset loaded",
    "emergency on by remote",
    "emergency off by remote",
    "discharge undertemperature",
    "discharge undertemperature over",
)


def event(code: int) -> str:
    """Return what an entry of the log book says happened."""
    if 0x64 <= code <= 0x83:
        return f"cell {code - 0x63} overvoltage"
    if 0xC8 <= code <= 0xE7:
        return f"cell {code - 0xC7} undervoltage"
    if 0 < code < len(EVENTS):
        return EVENTS[code]
    return f"event {code}"


_majors: "dict[str, int]" = {}


def major(version: str) -> int:
    """Return the number before the first dot of a software version ("11.21h", "15A"); 0 when it has none."""
    found = _majors.get(version)
    if found is None:
        digits = ""
        for letter in version:
            if not "0" <= letter <= "9":
                break
            digits += letter
        found = int(digits) if digits else 0
        if len(_majors) < 64:
            _majors[version] = found
    return found


def _floats(data: bytes) -> bool:
    """Return whether the cell voltages of a cell info record are JK04 floats."""
    some = False
    for value in struct.unpack_from("<24f", data, 6):
        if value != 0.0 and not 0.3 <= value <= 6.0:
            return False
        some = some or value > 0.5
    return some


def variant(data: bytes, known: "Readings") -> str:
    """Return the layout of a cell info record: "JK04", "24S" or "32S", from its own structure where it shows.

    A float between 0.3 and 6.0 is never a run of low one-bits, so the masks may be asked before the floats.
    """
    mask_24, mask_32 = struct.unpack_from("<I12xI", data, 54)
    fits_24, fits_32 = mask_24 in COUNTS and mask_24 < 0x1000000, mask_32 in COUNTS
    if fits_32 != fits_24:
        return "32S" if fits_32 else "24S"
    if not fits_24 and _floats(data):
        return "JK04"
    if data[287]:
        return "32S"
    if fits_24 and not any(data[270:287]):
        # Both masks look right and the end is empty, as 24S leaves it: a resistance stands where 32S has its mask.
        return "24S"
    if known.get("record_variant"):
        return str(known["record_variant"])
    version = major(known.get("software_version", ""))
    return "JK04" if 0 < version < 6 else "32S" if version >= 11 else "24S"


def jk04_settings(data: bytes) -> bool:
    """Return whether a settings record is one of JK04: it begins with the float 1.0 and has a cell count at 34."""
    return data[6:10] == b"\x00\x00\x80\x3f" and 1 <= data[34] <= 32


def _spread(mask: int, data: bytes, at: int, width: int) -> "tuple[int, list[float | None]]":
    """Return the number of cells and the list, None for a gap, for a mask that is not a run of low bits."""
    values: "list[float | None]" = []
    count = 0
    while mask:
        place = at + width * len(values)
        if mask & 1:
            raw = struct.unpack_from("<H" if width == 2 else "<f", data, place)[0]
            values.append(raw / 1000 if width == 2 else raw)
            count += 1
        else:
            values.append(None)
        mask >>= 1
    return count, values


def _no_cells(values: "Readings") -> None:
    """Take out what means nothing without cells; the empty list stays."""
    for reading in ("cell_mean", "cell_delta", "cell_max_number", "cell_min_number", "cell_resistances"):
        values.pop(reading, None)


def cells(data: bytes, known: "Readings") -> "Readings":
    """Return the readings of a JK02 cell info record; raise ProtocolError when it is one of JK04."""
    if len(data) < SIZE:
        raise ProtocolError(f"cells: {len(data)} bytes, {SIZE} are needed")
    # Most records say at once what they are; the others are looked at closely.
    mask_24, mask_32 = struct.unpack_from("<I12xI", data, 54)
    if mask_32 in COUNTS and mask_24 not in COUNTS:
        layout = "32S"
    else:
        layout = variant(data, known)
    if layout == "JK04":
        raise ProtocolError("cells: this record has the floats of JK04")
    if layout == "24S":
        record, mask, lists_at, state = CELLS_24S, mask_24, 64, 140
    else:
        record, mask, lists_at, state = CELLS_32S, mask_32, 80, 172
        version = known.get("software_version")
        # Without a device info record the sensors tell: T4 and T5 are both plain zero before software 14.
        if major(version) >= 14 if version else data[T4 : T5 + 2] != b"\x00\x00\x00\x00":
            record = CELLS_32S_14
    count = COUNTS.get(mask, 0)
    values = decode(record, data, {"cell_count": count})
    values["cell_count"] = count
    if not count:
        _no_cells(values)
        if mask:
            values["cell_count"], values["cell_voltages"] = _spread(mask, data, 6, 2)
            values["cell_resistances"] = _spread(mask, data, lists_at, 2)[1]
    values["balancing"] = data[state] != 0
    values["record_variant"] = layout
    sensors = data[state + 42]
    fitted = 0x06
    if record is CELLS_32S_14:
        _far_sensors(values, data)
        fitted = 0x36
    if sensors & fitted != fitted:
        _unfitted(values, sensors)
    return values


def _far_sensors(values: "Readings", data: bytes) -> None:
    """Put T4 and T5 behind T1 and T2."""
    fourth, fifth = struct.unpack_from("<hh", data, T4)
    if fifth != NO_SENSOR:
        further = [None, None if fourth == NO_SENSOR else fourth / 10, fifth / 10]
    elif fourth != NO_SENSOR:
        further = [None, fourth / 10]
    else:
        return
    values["temperatures"] = values.get("temperatures", [None, None]) + further


def _unfitted(values: "Readings", mask: int) -> None:
    """Take out the sensors that the mask says are not fitted: bit 1 is T1."""
    found = values.pop("temperatures", [])
    found = [found[index] if mask >> index + 1 & 1 else None for index in range(len(found))]
    while found and found[-1] is None:
        found.pop()
    if found:
        values["temperatures"] = found


def cells_04(data: bytes, known: "Readings") -> "Readings":
    """Return the readings of a JK04 cell info record; raise ProtocolError when it is one of JK02.

    It has no pack voltage; the sum of the cells stands in for it.
    """
    if len(data) < SIZE:
        raise ProtocolError(f"cells: {len(data)} bytes, {SIZE} are needed")
    if struct.unpack_from("<I", data, 214)[0] and variant(data, {"record_variant": "JK04"}) != "JK04":
        raise ProtocolError("cells: this record does not have the floats of JK04")
    if not _floats(data) and any(data[6:102]):
        raise ProtocolError("cells: voltages that are no voltages")
    mask = struct.unpack_from("<I", data, 214)[0]
    count = COUNTS.get(mask, 0)
    if count > 24:
        raise ProtocolError(f"cells: {count} cells, at most 24 fit")
    values = decode(CELLS_04, data, {"cell_count": count})
    values["cell_count"] = count
    if not count:
        _no_cells(values)
        if mask:
            if mask >> 24:
                raise ProtocolError("cells: more than the 24 cells that fit")
            values["cell_count"], values["cell_voltages"] = _spread(mask, data, 6, 4)
            values["cell_resistances"] = _spread(mask, data, 102, 4)[1]
    values["balancing"] = data[220] != 0
    if values["cell_voltages"]:
        values["voltage"] = round(sum([cell for cell in values["cell_voltages"] if cell]), 3)
    values["record_variant"] = "JK04"
    return values


def settings(data: bytes, known: "Readings") -> "Readings":
    """Return the readings of a JK02 settings record; what only 32S has is left out when `known` says 24S."""
    if len(data) < SIZE:
        raise ProtocolError(f"settings: {len(data)} bytes, {SIZE} are needed")
    if jk04_settings(data):
        raise ProtocolError("settings: this record has the floats of JK04")
    if any(data[115:118]) or data[114] > 32:
        raise ProtocolError("settings: a cell count beyond 32")
    layout = known.get("record_variant")
    if layout not in ("24S", "32S"):
        # Like the cell info, 32S ends with a footer; 24S leaves zeros.
        version = major(known.get("software_version", ""))
        layout = "32S" if (version >= 11 if version else any(data[270:299])) else "24S"
    if layout == "24S":
        return decode(SETTINGS_24S, data)
    values = decode(SETTINGS_32S, data)
    finish_settings(values)
    return values


def finish_settings(values: "Readings") -> None:
    """Turn the units, and leave out limits that firmware before 19 does not have: both zero."""
    in_seconds(values)
    names = ("discharge_undertemperature_limit", "discharge_undertemperature_release")
    if not values.get(names[0]) and not values.get(names[1]):
        for reading in names:
            values.pop(reading, None)


def settings_04(data: bytes, known: "Readings") -> "Readings":
    """Return the readings of a JK04 settings record; raise ProtocolError when it is one of JK02."""
    if len(data) < SIZE:
        raise ProtocolError(f"settings: {len(data)} bytes, {SIZE} are needed")
    if not jk04_settings(data):
        if any(data[6 : SIZE - 1]):
            raise ProtocolError("settings: this record does not have the floats of JK04")
        return {}
    return decode(SETTINGS_04, data)


def in_seconds(values: "Readings") -> None:
    """Turn times in hours, tenths of hours and minutes into seconds."""
    for reading, factor in SECONDS:
        if reading in values:
            values[reading] *= factor


def device(data: bytes, known: "Readings") -> "Readings":
    """Return the readings of a device info record of any generation."""
    if len(data) < SIZE:
        raise ProtocolError(f"device: {len(data)} bytes, {SIZE} are needed")
    values = decode(DEVICE_OLD, data)
    if major(values.get("software_version", "")) >= 14:
        values = decode(DEVICE_32S, data)
    finish_device(values)
    return values


def finish_device(values: "Readings") -> None:
    """Turn the units, and write the date out: "251221" is 2025-12-21."""
    in_seconds(values)
    text = values.pop("production_date", "")
    if len(text) == 6 and text.isdigit():
        values["production_date"] = f"20{text[:2]}-{text[2:4]}-{text[4:]}"


def log(data: bytes, known: "Readings") -> "Readings":
    """Return the log book: its entries as "seconds event"."""
    values = decode(LOG_HEAD, data)
    entries = []
    for index in range(min(values["log_entries"], LOG_ROOM)):
        seconds = struct.unpack_from("<I", data, 11 + 5 * index)[0]
        entries.append(f"{seconds} {event(data[15 + 5 * index])}")
    values["log_book"] = entries
    return values


READERS_02 = {SETTINGS: settings, CELLS: cells, DEVICE: device, LOG: log}
READERS_04 = {SETTINGS: settings_04, CELLS: cells_04, DEVICE: device}
