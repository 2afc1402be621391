"""The native map, version 2: the rows that are served and documented; settable.py has those that can be written."""

from typing import Any

from .registers import registers
from .values import Values, View, direction, of_battery

VERSION = 2

# bit of the status, name, when it is set
STATUS = (
    (0, "online", "the values are of now"),
    (1, "stale", "there are no values: the battery is not read, or was never"),
    (2, "warning", "any of `warnings`: near a limit, still running"),
    (3, "protection", "any of `protections`: a limit was passed"),
    (4, "charging", "`current` shows as 0.1 A or more"),
    (5, "discharging", "`current` shows as -0.1 A or less"),
    (6, "charge MOSFET", "`charge_mosfet` conducts; in a bank, that of any pack"),
    (7, "discharge MOSFET", "`discharge_mosfet` conducts; in a bank, that of any pack"),
    (8, "balancing", "`balancing`"),
    (9, "fault", "any of `faults`: hardware that does not work"),
    (10, "partial", "packs of the bank do not count"),
)

# register, count, type, factor, unit of the register, source, meaning. Value times factor is what the register holds.
ROWS: tuple[tuple[int, int, str, float, str, str, str], ...] = (
    (0, 1, "uint16", 1, "", "version", f"version of this map, {VERSION}"),
    (1, 1, "uint16", 1, "", "status", "[status bits](#status-bits)"),
    (2, 1, "uint16", 1, "s", "age", "age of the newest sample, in a bank of the oldest that counts"),
    (3, 1, "uint16", 100, "0.01 V", "voltage", "voltage"),
    (4, 1, "int16", 10, "0.1 A", "current", "current, positive charges"),
    (5, 1, "int16", 0.1, "10 W", "power", "power, positive charges"),
    (6, 1, "uint16", 10, "0.1 %", "soc", "state of charge"),
    (7, 1, "uint16", 10, "0.1 %", "soh", "state of health"),
    (8, 1, "uint32", 1000, "mAh", "remaining_capacity", "charge in it now"),
    (10, 1, "uint32", 1000, "mAh", "rated_capacity", "charge when full, as sold"),
    (12, 1, "uint16", 1, "", "cycles", "full cycles"),
    (13, 1, "uint16", 1, "", "cells", "number of cells"),
    (14, 1, "uint16", 1, "", "sensors", "number of temperature sensors"),
    (15, 1, "uint16", 1000, "mV", "cell_max", "highest cell"),
    (16, 1, "uint16", 1, "", "cell_max_number", "number of the highest cell, in its pack"),
    (17, 1, "uint16", 1000, "mV", "cell_min", "lowest cell"),
    (18, 1, "uint16", 1, "", "cell_min_number", "number of the lowest cell, in its pack"),
    (19, 1, "int16", 10, "0.1 degC", "temperature_max", "highest sensor"),
    (20, 1, "int16", 10, "0.1 degC", "temperature_min", "lowest sensor"),
    (21, 1, "uint32", 1, "", "alarms", "active alarms"),
    (23, 1, "uint32", 1, "", "balancing_bits", "cells that are balanced, bit 0 is cell 1"),
    (25, 1, "uint16", 1, "", "known", "status bits of which it is known whether they should be set"),
    (26, 1, "uint16", 1, "", "packs_present", "packs of the bank that count"),
    (27, 1, "uint16", 1, "", "packs_total", "packs of the bank"),
    (28, 1, "uint16", 10, "0.1 V", "charge_voltage_limit", "how high it may be charged now"),
    (29, 1, "uint16", 10, "0.1 A", "charge_current_limit", "with how much current it may be charged now"),
    (30, 1, "uint16", 10, "0.1 A", "discharge_current_limit", "with how much current it may be discharged now"),
    (31, 1, "uint16", 1, "", "", "not used"),
    (32, 48, "uint16", 1000, "mV", "cell_voltages", "cells 1 to 48"),
    (80, 16, "int16", 10, "0.1 degC", "temperatures", "sensors 1 to 16"),
)
END = 96
# What is no reading and only here: name, where it comes from
SOURCES = (
    ("version", ""),
    ("status", "below"),
    ("age", ""),
    ("sensors", "`sensor_count`, else as many as `temperatures` has"),
    ("known", "below"),
)


def conditions(view: View) -> dict[str, bool | None]:
    """Return the status by name; None where it is not known."""
    live, readings = view.battery.live, view.battery.readings
    found: dict[str, bool | None] = {"online": live, "stale": not live, "partial": view.partial}
    for name in ("warning", "protection", "fault"):
        if f"{name}s" in readings:
            found[name] = bool(readings[f"{name}s"])
    if "current" in readings:
        way = direction(readings["current"])
        found |= {"charging": way > 0, "discharging": way < 0}
    for name, reading in (
        ("charge MOSFET", "charge_mosfet"),
        ("discharge MOSFET", "discharge_mosfet"),
        ("balancing", "balancing"),
    ):
        found[name] = readings.get(reading)
    return found


def values_of(view: View) -> Values:
    """Return the values of all rows that have one."""
    status = conditions(view)
    values = of_battery(view.battery, 0) if view.battery.live else {}
    values |= {"version": VERSION, "age": view.age}
    values["status"] = sum(1 << bit for bit, name, _ in STATUS if status.get(name))
    if view.battery.live:
        values["known"] = sum(1 << bit for bit, name, _ in STATUS if status.get(name) is not None)
        if view.battery.kind == "pack":
            values["cells"] = view.cells[0] or None
        if "temperatures" in values:
            values["sensors"] = len(values["temperatures"])
        if "sensor_count" in values:
            values["sensors"] = values["sensor_count"]
    return values


def image(view: View) -> bytes:
    """Return all registers of the map."""
    values = values_of(view)
    return b"".join(_row(values, row) for row in ROWS)


def _row(values: Values, row: tuple[int, int, str, float, str, str, str]) -> bytes:
    _, count, kind, factor, _, source, _ = row
    value = values.get(source)
    if count == 1:
        return registers(kind, value, factor)
    elements: list[Any] = list(value or ())[:count]
    elements += [None] * (count - len(elements))
    return b"".join(registers(kind, element, factor) for element in elements)
