"""How Home Assistant shows a reading: worked out from the catalogue's quantity, kind and group, with few exceptions."""

from typing import NamedTuple

from ...readings.catalogue import BY_NAME, LIST, MEASUREMENT, TOTAL, decimals, unit

SENSOR, BINARY_SENSOR = "sensor", "binary_sensor"
# A plain one is shown among the sensors of the device; the others below "diagnostic", a raw one only when enabled.
PLAIN, DIAGNOSTIC, RAW = "", "diagnostic", "raw"

UNITS = {"degC": "°C", "ohm": "Ω"}
# By quantity. A difference of temperatures has no class: Home Assistant would convert it to °F like a temperature.
DEVICE_CLASSES = {
    "cell_voltage": "voltage",
    "cell_difference": "voltage",
    "pack_voltage": "voltage",
    "current": "current",
    "small_current": "current",
    "power": "power",
    "energy": "energy_storage",
    "metered_energy": "energy",
    "temperature": "temperature",
    "countdown": "duration",
    "uptime": "duration",
    "time": "duration",
    "short_time": "duration",
    "clock": "timestamp",
}
# By reading. One battery a device: the others in % would each be taken for its charge.
DEVICE_CLASS_OF = {
    "soc": "battery",
    "humidity": "humidity",
    "charge_mosfet": "power",
    "discharge_mosfet": "power",
    "precharge_mosfet": "power",
    "balancing": "running",
    "heating": "running",
    "fan": "running",
    "charger_connected": "plug",
    "load_connected": "plug",
}
# More decimals than these matter to the meters, not to people.
PRECISION = {"metered_energy": 2, "metered_charge": 1}

# Of these no mean can be made, or none that says anything.
WITHOUT_STATISTICS = {"count", "number", "tick", "bits", "extreme_cell", "clock"}
GROUPS_WITHOUT_STATISTICS = {"settings", "identity", "alarms", "link"}

RAW_GROUPS = {"settings", "identity", "alarms", "link"}
RAW_QUANTITIES = {"bits", "resistance", "number", "duty", "tick", "count", "uptime"}
LEVELS = {
    "cycles": DIAGNOSTIC,
    "charged_total": DIAGNOSTIC,
    "discharged_total": DIAGNOSTIC,
    "cycled_capacity": DIAGNOSTIC,
    "design_capacity": DIAGNOSTIC,
    "cell_min_number": DIAGNOSTIC,
    "cell_max_number": DIAGNOSTIC,
    "temperature_min_number": DIAGNOSTIC,
    "temperature_max_number": DIAGNOSTIC,
    "cell_min_pack": DIAGNOSTIC,
    "cell_max_pack": DIAGNOSTIC,
    "temperature_min_pack": DIAGNOSTIC,
    "temperature_max_pack": DIAGNOSTIC,
    "packs_present": PLAIN,
    "packs_total": DIAGNOSTIC,
    "packs_chargeable": DIAGNOSTIC,
    "packs_dischargeable": DIAGNOSTIC,
    "counted_soc_error": DIAGNOSTIC,
    "soc_drift": DIAGNOSTIC,
    "charge_voltage_reason": DIAGNOSTIC,
    "charge_current_reason": DIAGNOSTIC,
    "discharge_current_reason": DIAGNOSTIC,
    "acquisition_voltage": RAW,
    "charge_phase_time": RAW,
    "balancing_cells": RAW,
    "balance_wire_alarms": RAW,
    "emergency_countdown": RAW,
    "sleep_countdown": RAW,
    "dry_contact_1": RAW,
    "dry_contact_2": RAW,
    "parallel_module": RAW,
    "battery_line": RAW,
}

LEFT_OUT = {
    # The device shows them.
    "model",
    "manufacturer",
    "serial_number",
    "hardware_version",
    "software_version",
    # Without a time zone, and it ticks.
    "clock",
    # Too long for a state.
    "log_book",
    # Lists of numbers that nobody knows the meaning of.
    "settings_raw",
    "soc_limits_raw",
    "temperature_limits_raw",
}

NAMES = {
    "cell_voltages": "Cell voltage",
    "cell_resistances": "Cell resistance",
    "temperatures": "Temperature",
    "wire_resistances": "Wire resistance",
    "cell_delta": "Cell difference",
    "cell_min": "Lowest cell",
    "cell_max": "Highest cell",
    "cell_mean": "Mean of cells",
    "cell_min_number": "Number of the lowest cell",
    "cell_max_number": "Number of the highest cell",
    "cell_min_pack": "Pack with the lowest cell",
    "cell_max_pack": "Pack with the highest cell",
    "temperature_min": "Lowest temperature",
    "temperature_max": "Highest temperature",
    "temperature_mean": "Mean temperature",
    "temperature_delta": "Temperature difference",
    "temperature_min_number": "Number of the coldest sensor",
    "temperature_max_number": "Number of the warmest sensor",
    "temperature_min_pack": "Pack with the coldest sensor",
    "temperature_max_pack": "Pack with the warmest sensor",
    "counted_soc_error": "Uncertainty of the counted state of charge",
    "soc_drift": "Drift of the state of charge",
    "energy": "Stored energy",
    "bank_cell_min": "Lowest cell of all packs",
    "bank_cell_max": "Highest cell of all packs",
    "bank_temperature_min": "Lowest temperature of all packs",
    "bank_temperature_max": "Highest temperature of all packs",
}
WORDS = {
    "soc": "state of charge",
    "soh": "state of health",
    "mosfet": "MOSFET",
    "rs485": "RS485",
    "uart": "UART",
    "uart1": "UART1",
    "uart2": "UART2",
    "uart3": "UART3",
    "can": "CAN",
    "gps": "GPS",
    "led": "LED",
}


class Look(NamedTuple):
    """How Home Assistant shows a reading; "" where it is told nothing. precision: decimals to show."""

    platform: str
    name: str
    device_class: str = ""
    state_class: str = ""
    unit: str = ""
    precision: int | None = None
    level: str = PLAIN


def look(reading: str) -> Look | None:
    """Return how a reading of the catalogue is shown, None when it is no entity; of a list, how each element is."""
    if reading in LEFT_OUT:
        return None
    _name, quantity, kind, group, _meaning = BY_NAME[reading]
    device_class = DEVICE_CLASS_OF.get(reading) or DEVICE_CLASSES.get(quantity, "")
    if quantity == "flag":
        return Look(BINARY_SENSOR, title(reading), device_class, level=level(reading))
    plain = unit(reading) if device_class != "timestamp" else ""
    return Look(
        SENSOR,
        title(reading),
        device_class,
        _state_class(quantity, kind, group),
        UNITS.get(plain, plain),
        PRECISION.get(quantity, decimals(reading)) if plain else None,
        level(reading),
    )


def _state_class(quantity: str, kind: str, group: str) -> str:
    if kind == TOTAL:
        return "total_increasing"
    worth_it = quantity not in WITHOUT_STATISTICS and group not in GROUPS_WITHOUT_STATISTICS
    return "measurement" if kind in (MEASUREMENT, LIST) and quantity != "names" and worth_it else ""


def level(reading: str) -> str:
    """Return how far to the front a reading is shown: plain, diagnostic or raw."""
    _name, quantity, _kind, group, _meaning = BY_NAME[reading]
    raw = group in RAW_GROUPS or quantity in RAW_QUANTITIES
    return LEVELS.get(reading, RAW if raw else PLAIN)


def title(reading: str) -> str:
    """Return the name of a reading for people, in sentence case."""
    words = " ".join(WORDS.get(word, word) for word in reading.split("_"))
    return NAMES.get(reading) or words[0].upper() + words[1:]
