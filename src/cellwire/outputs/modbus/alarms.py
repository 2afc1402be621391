"""Maps the alarms of all families to the 32 alarm bits of the native map and to the events of SunSpec."""

from typing import Any

# event of SunSpec: bit for protections and faults, bit for warnings; where there is one only, it stands for both
EVENTS = {
    "over_temp": (1, 2),
    "under_temp": (3, 4),
    "over_charge_current": (5, 6),
    "over_discharge_current": (7, 8),
    "over_volt": (9, 10),
    "under_volt": (11, 12),
    "under_soc_min": (13, 14),
    "over_soc_max": (15, 16),
    "voltage_imbalance": (17, 17),
    "temperature_imbalance": (18, 19),
    "contactor": (20, 20),
    "other": (25, 26),
    "configuration": (28, 29),
}
COMMUNICATION_ERROR = 1 << 0

# bit, meaning. Bit 31 is never set: so all bits together can say that nothing is known.
BITS = (
    (0, "a cell's voltage is too high"),
    (1, "a cell's voltage is too low"),
    (2, "the pack's voltage is too high"),
    (3, "the pack's voltage is too low"),
    (4, "the charge current is too high"),
    (5, "the discharge current is too high"),
    (6, "short circuit"),
    (7, "too hot to charge"),
    (8, "too cold to charge"),
    (9, "too hot to discharge"),
    (10, "too cold to discharge"),
    (11, "battery, box or surroundings are too hot"),
    (12, "battery or surroundings are too cold"),
    (13, "board or MOSFETs are too hot"),
    (14, "fire"),
    (15, "the cells differ too much"),
    (16, "the temperatures differ too much"),
    (17, "state of charge is low"),
    (18, "state of charge is high"),
    (19, "state of health is low"),
    (20, "wiring of the cells"),
    (21, "settings"),
    (22, "measurement of voltage or current"),
    (23, "temperature sensor"),
    (24, "MOSFET"),
    (25, "precharge"),
    (26, "analogue front end"),
    (27, "communication of the BMS"),
    (28, "memory or clock of the BMS"),
    (29, "locked or switched off by command"),
    (30, "anything else"),
)

# alarm of the catalogue, bit, event of SunSpec
ALARM_BITS = (
    ("cell_overvoltage", 0, "over_volt"),
    ("cell_undervoltage", 1, "under_volt"),
    ("undervoltage_charging", 1, "under_volt"),
    ("pack_overvoltage", 2, "over_volt"),
    ("overvoltage_discharging", 2, "over_volt"),
    ("pack_undervoltage", 3, "under_volt"),
    ("charge_overcurrent", 4, "over_charge_current"),
    ("charge_overcurrent_2", 4, "over_charge_current"),
    ("discharge_overcurrent", 5, "over_discharge_current"),
    ("discharge_overcurrent_2", 5, "over_discharge_current"),
    ("discharge_overcurrent_3", 5, "over_discharge_current"),
    ("short_circuit", 6, "over_discharge_current"),
    ("charge_short_circuit", 6, "over_charge_current"),
    ("discharge_short_circuit", 6, "over_discharge_current"),
    ("short_circuit_release_failed", 6, "over_discharge_current"),
    ("charge_overtemperature", 7, "over_temp"),
    ("charge_undertemperature", 8, "under_temp"),
    ("discharge_overtemperature", 9, "over_temp"),
    ("discharge_undertemperature", 10, "under_temp"),
    ("battery_overtemperature", 11, "over_temp"),
    ("box_overtemperature", 11, "over_temp"),
    ("ambient_overtemperature", 11, "over_temp"),
    ("battery_undertemperature", 12, "under_temp"),
    ("ambient_undertemperature", 12, "under_temp"),
    ("board_overtemperature", 13, "over_temp"),
    ("mosfet_overtemperature", 13, "over_temp"),
    ("charge_mosfet_overtemperature", 13, "over_temp"),
    ("discharge_mosfet_overtemperature", 13, "over_temp"),
    ("thermal_runaway", 14, "over_temp"),
    ("fire_aerosol", 14, "other"),
    ("cell_delta", 15, "voltage_imbalance"),
    ("temperature_delta", 16, "temperature_imbalance"),
    ("soc_low", 17, "under_soc_min"),
    ("soc_high", 18, "over_soc_max"),
    ("full_charge", 18, "over_soc_max"),
    ("soh_low", 19, "other"),
    ("balance_wire_resistance", 20, "other"),
    ("cell_wire_open", 20, "other"),
    ("cell_offline", 20, "other"),
    ("cell_count_mismatch", 21, "configuration"),
    ("default_password", 21, "configuration"),
    ("current_sensor", 22, "other"),
    ("voltage_sensor", 22, "other"),
    ("pack_voltage_sensor", 22, "other"),
    ("temperature_sensor", 23, "other"),
    ("temperature_sensor_open", 23, "other"),
    ("charge_mosfet_sensor", 23, "other"),
    ("discharge_mosfet_sensor", 23, "other"),
    ("charge_mosfet", 24, "contactor"),
    ("discharge_mosfet", 24, "contactor"),
    ("charge_mosfet_stuck_closed", 24, "contactor"),
    ("discharge_mosfet_stuck_closed", 24, "contactor"),
    ("charge_mosfet_stuck_open", 24, "contactor"),
    ("discharge_mosfet_stuck_open", 24, "contactor"),
    ("discharge_start_failed", 24, "contactor"),
    ("precharge", 25, "contactor"),
    ("precharge_mosfet", 25, "contactor"),
    ("frontend", 26, "other"),
    ("frontend_communication", 26, "other"),
    ("frontend_sampling", 26, "other"),
    ("frontend_protection_a", 26, "other"),
    ("frontend_protection_b", 26, "other"),
    ("internal_communication", 27, "other"),
    ("external_communication", 27, "other"),
    ("parallel_communication", 27, "other"),
    ("eeprom", 28, "other"),
    ("flash", 28, "other"),
    ("clock", 28, "other"),
    ("mosfet_software_lock", 29, "other"),
    ("remote_lock", 29, "other"),
    ("current_limiter", 30, "other"),
    ("parallel_module", 30, "other"),
    ("reverse_connection", 30, "other"),
    ("gps_disconnected", 30, "other"),
    ("smart_charger", 30, "other"),
    ("smart_discharger", 30, "other"),
    ("heater", 30, "other"),
    ("charge_cabinet_offline", 30, "other"),
    ("unnamed", 30, "other"),
)
BY_ALARM = {alarm: (bit, event) for alarm, bit, event in ALARM_BITS}
ELSE = (30, "other")
KINDS = (("protections", 0), ("faults", 0), ("warnings", 1))  # and which of an event's bits they set


def alarm_bits(readings: dict[str, Any]) -> int | None:
    """Return the bits of all active alarms, None when the battery tells of none of the three kinds."""
    told = [readings[kind] for kind, _ in KINDS if kind in readings]
    return sum(1 << bit for bit in {BY_ALARM.get(name, ELSE)[0] for names in told for name in names}) if told else None


def event_bits(readings: dict[str, Any]) -> int | None:
    """Return SunSpec's Evt1 of all active alarms, None when the battery tells of none of the three kinds."""
    told = [(readings[kind], which) for kind, which in KINDS if kind in readings]
    bits = {EVENTS[BY_ALARM.get(name, ELSE)[1]][which] for names, which in told for name in names}
    return sum(1 << bit for bit in bits) if told else None
