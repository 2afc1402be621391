"""Daly's alarm bits by name: the layout that A5 and D2 share, and that of the K series (P81).

Level 1 warns, level 2 and above protects, what is broken is a fault. Vendor texts V1.0 and V1.2 differ in the first
three bits; the table here is V1.2, and the Chinese text of V1.0 agrees with it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.table import Readings

WARNINGS = "warnings"
PROTECTIONS = "protections"
FAULTS = "faults"


def _pairs(*names: str) -> "tuple[tuple[int, str, str], ...]":
    """Return rows of two bits a name: level 1, then level 2."""
    rows = []
    for index in range(len(names)):
        rows.append((2 * index, WARNINGS, names[index]))
        rows.append((2 * index + 1, PROTECTIONS, names[index]))
    return tuple(rows)


# Bytes 0 and 1 of command 0x98, register 0x3A of D2; the bits count from the low byte.
LIMITS_1 = _pairs(
    "cell_overvoltage",
    "cell_undervoltage",
    "pack_overvoltage",
    "pack_undervoltage",
    "charge_overtemperature",
    "charge_undertemperature",
    "discharge_overtemperature",
    "discharge_undertemperature",
)
# Bytes 2 and 3, register 0x3B.
LIMITS_2 = _pairs(
    "charge_overcurrent", "discharge_overcurrent", "soc_high", "soc_low", "cell_delta", "temperature_delta"
)
# Bytes 4 and 5, register 0x3C.
HARDWARE_1 = (
    (0, PROTECTIONS, "charge_mosfet_overtemperature"),
    (1, PROTECTIONS, "discharge_mosfet_overtemperature"),
    (2, FAULTS, "charge_mosfet_sensor"),
    (3, FAULTS, "discharge_mosfet_sensor"),
    (4, FAULTS, "charge_mosfet_stuck_closed"),
    (5, FAULTS, "discharge_mosfet_stuck_closed"),
    (6, FAULTS, "charge_mosfet_stuck_open"),
    (7, FAULTS, "discharge_mosfet_stuck_open"),
    (8, FAULTS, "frontend"),
    (9, FAULTS, "cell_wire_open"),
    (10, FAULTS, "temperature_sensor"),
    (11, FAULTS, "eeprom"),
    (12, FAULTS, "clock"),
    (13, FAULTS, "precharge"),
    (14, FAULTS, "external_communication"),
    (15, FAULTS, "internal_communication"),
)
# Byte 6, low byte of register 0x3D; two more bits have a meaning on D2 only.
HARDWARE_2 = (
    (0, FAULTS, "current_sensor"),
    (1, FAULTS, "pack_voltage_sensor"),
    (2, PROTECTIONS, "short_circuit"),
    (3, PROTECTIONS, "undervoltage_charging"),
)
HARDWARE_2_D2 = HARDWARE_2 + ((4, FAULTS, "mosfet_software_lock"), (5, FAULTS, "charge_cabinet_offline"))

# K series. Words 0x6D and 0x6E as one number, then 0x6F and 0x70: first the single bits, then the levels of 3 bits.
K_1 = (
    (23, FAULTS, "smart_charger"),
    (31, FAULTS, "smart_discharger"),
    (6, PROTECTIONS, "charge_mosfet_overtemperature"),
    (7, FAULTS, "charge_mosfet_sensor"),
    (14, PROTECTIONS, "discharge_mosfet_overtemperature"),
    (15, FAULTS, "discharge_mosfet_sensor"),
)
K_2 = (
    (22, PROTECTIONS, "short_circuit"),
    (30, PROTECTIONS, "undervoltage_charging"),
    (31, PROTECTIONS, "overvoltage_discharging"),
    (7, FAULTS, "parallel_communication"),
)
K_LEVELS_1 = (
    (16, "cell_overvoltage"),
    (19, "cell_undervoltage"),
    (24, "cell_delta"),
    (27, "charge_overtemperature"),
    (0, "charge_undertemperature"),
    (3, "discharge_overtemperature"),
    (8, "discharge_undertemperature"),
    (11, "temperature_delta"),
)
K_LEVELS_2 = (
    (16, "pack_overvoltage"),
    (19, "pack_undervoltage"),
    (24, "charge_overcurrent"),
    (27, "discharge_overcurrent"),
    (0, "soc_low"),
    (3, "soh_low"),
    (8, "mosfet_overtemperature"),
    (11, "thermal_runaway"),
)
# Words 0x72 and 0x73 as one number.
K_FAULTS = (
    (24, FAULTS, "frontend"),
    (25, FAULTS, "frontend_communication"),
    (26, FAULTS, "frontend_sampling"),
    (27, FAULTS, "voltage_sensor"),
    (28, FAULTS, "cell_wire_open"),
    (29, FAULTS, "pack_voltage_sensor"),
    (30, FAULTS, "current_sensor"),
    (31, FAULTS, "temperature_sensor"),
    (0, FAULTS, "temperature_sensor_open"),
    (1, FAULTS, "eeprom"),
    (2, FAULTS, "flash"),
    (3, FAULTS, "clock"),
    (4, FAULTS, "charge_mosfet"),
    (5, FAULTS, "discharge_mosfet"),
    (6, FAULTS, "precharge_mosfet"),
    (7, FAULTS, "precharge"),
    (15, FAULTS, "heater"),
)


def sort_levels(values: "Readings", reading: str, rows: "tuple[tuple[int, str], ...]") -> None:
    """Add the alarms whose level in the word `reading` is not 0: level 1 to warnings, above to protections."""
    word = values[reading]
    if word == 0:
        return
    for shift, alarm in rows:
        level = word >> shift & 7
        if level:
            values[WARNINGS if level == 1 else PROTECTIONS].append(alarm)


def levels_of(values: "Readings", rows: "tuple[tuple[int, str], ...]", bits: "tuple[tuple[int, str, str], ...]") -> int:
    """Return the K word that shows the alarms in `values`: what a twin needs."""
    word = 0
    for shift, alarm in rows:
        if alarm in values.get(PROTECTIONS, ()):
            word |= 2 << shift
        elif alarm in values.get(WARNINGS, ()):
            word |= 1 << shift
    for bit, names, alarm in bits:
        if alarm in values.get(names, ()):
            word |= 1 << bit
    return word
