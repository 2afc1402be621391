"""The SunSpec models of a battery: 1, 802, 803, then 804 of each string, then 805 of each string.

A source in a row is a reading, a derived value (values.py), a number that is always there, or None: never there.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from .alarms import COMMUNICATION_ERROR
from .registers import registers
from .values import SN_SIZE, Values, View, of_battery, of_strings

BASE = 40000
SIGN = b"SunS"
END = struct.pack(">HH", 0xFFFF, 0)
LITHIUM_ION = 4

# point, type, scale factor, source
Point = tuple[str, str, str, str | int | None]

COMMON: tuple[Point, ...] = (
    ("Mn", "string16", "", "maker"),
    ("Md", "string16", "", "kind"),
    ("Opt", "string8", "", "label"),
    ("Vr", "string8", "", "software_version"),
    ("SN", "string16", "", "id"),
    ("DA", "uint16", "", "unit"),
    ("Pad", "pad", "", None),
)
BATTERY: tuple[Point, ...] = (
    ("AHRtg", "uint16", "AHRtg_SF", "rated_capacity"),
    ("WHRtg", "uint16", "WHRtg_SF", "rated_energy"),
    ("WChaRteMax", "uint16", "WChaDisChaMax_SF", None),
    ("WDisChaRteMax", "uint16", "WChaDisChaMax_SF", None),
    ("DisChaRte", "uint16", "DisChaRte_SF", None),
    ("SoCMax", "uint16", "SoC_SF", None),
    ("SoCMin", "uint16", "SoC_SF", None),
    ("SocRsvMax", "uint16", "SoC_SF", None),
    ("SoCRsvMin", "uint16", "SoC_SF", None),
    ("SoC", "uint16", "SoC_SF", "soc"),
    ("DoD", "uint16", "DoD_SF", "depth_of_discharge"),
    ("SoH", "uint16", "SoH_SF", "soh"),
    ("NCyc", "uint32", "", "cycles"),
    ("ChaSt", "enum16", "", "charge_status"),
    ("LocRemCtl", "enum16", "", "control"),
    ("Hb", "uint16", "", "beat"),
    ("CtrlHb", "uint16", "", None),
    ("AlmRst", "uint16", "", None),
    ("Typ", "enum16", "", LITHIUM_ION),
    ("State", "enum16", "", "state"),
    ("StateVnd", "enum16", "", None),
    ("WarrDt", "uint32", "", None),
    ("Evt1", "bitfield32", "", "events"),
    ("Evt2", "bitfield32", "", None),
    ("EvtVnd1", "bitfield32", "", "alarms"),
    ("EvtVnd2", "bitfield32", "", None),
    ("V", "uint16", "V_SF", "voltage"),
    ("VMax", "uint16", "V_SF", "charge_voltage_limit"),
    ("VMin", "uint16", "V_SF", "discharge_voltage_request"),
    ("CellVMax", "uint16", "CellV_SF", "cell_max"),
    ("CellVMaxStr", "uint16", "", "cell_max_string"),
    ("CellVMaxMod", "uint16", "", "cell_max_module"),
    ("CellVMin", "uint16", "CellV_SF", "cell_min"),
    ("CellVMinStr", "uint16", "", "cell_min_string"),
    ("CellVMinMod", "uint16", "", "cell_min_module"),
    ("CellVAvg", "uint16", "CellV_SF", "cell_average"),
    ("A", "int16", "A_SF", "current"),
    ("AChaMax", "uint16", "AMax_SF", "charge_current_limit"),
    ("ADisChaMax", "uint16", "AMax_SF", "discharge_current_limit"),
    ("W", "int16", "W_SF", "power"),
    ("ReqInvState", "enum16", "", None),
    ("ReqW", "int16", "W_SF", None),
    ("SetOp", "enum16", "", None),
    ("SetInvState", "enum16", "", None),
    ("AHRtg_SF", "sunssf", "", -1),
    ("WHRtg_SF", "sunssf", "", 1),
    ("WChaDisChaMax_SF", "sunssf", "", 1),
    ("DisChaRte_SF", "sunssf", "", -1),
    ("SoC_SF", "sunssf", "", -1),
    ("DoD_SF", "sunssf", "", -1),
    ("SoH_SF", "sunssf", "", -1),
    ("V_SF", "sunssf", "", -2),
    ("CellV_SF", "sunssf", "", -3),
    ("A_SF", "sunssf", "", -1),
    ("AMax_SF", "sunssf", "", -1),
    ("W_SF", "sunssf", "", 1),
)
BANK: tuple[Point, ...] = (
    ("NStr", "uint16", "", "strings"),
    ("NStrCon", "uint16", "", "strings_connected"),
    ("ModTmpMax", "int16", "ModTmp_SF", "temperature_max"),
    ("ModTmpMaxStr", "uint16", "", "temperature_max_string"),
    ("ModTmpMaxMod", "uint16", "", "temperature_max_module"),
    ("ModTmpMin", "int16", "ModTmp_SF", "temperature_min"),
    ("ModTmpMinStr", "uint16", "", "temperature_min_string"),
    ("ModTmpMinMod", "uint16", "", "temperature_min_module"),
    ("ModTmpAvg", "int16", "ModTmp_SF", "temperature_average"),
    ("StrVMax", "uint16", "V_SF", "voltage_max"),
    ("StrVMaxStr", "uint16", "", "voltage_max_string"),
    ("StrVMin", "uint16", "V_SF", "voltage_min"),
    ("StrVMinStr", "uint16", "", "voltage_min_string"),
    ("StrVAvg", "uint16", "V_SF", "voltage_average"),
    ("StrAMax", "int16", "A_SF", "current_max"),
    ("StrAMaxStr", "uint16", "", "current_max_string"),
    ("StrAMin", "int16", "A_SF", "current_min"),
    ("StrAMinStr", "uint16", "", "current_min_string"),
    ("StrAAvg", "int16", "A_SF", "current_average"),
    ("NCellBal", "uint16", "", "strings_balancing_count"),
    ("CellV_SF", "sunssf", "", -3),
    ("ModTmp_SF", "sunssf", "", -1),
    ("A_SF", "sunssf", "", -1),
    ("SoH_SF", "sunssf", "", -1),
    ("SoC_SF", "sunssf", "", -1),
    ("V_SF", "sunssf", "", -2),
)
BANK_STRING: tuple[Point, ...] = (
    ("StrNMod", "uint16", "", "module"),
    ("StrSt", "bitfield32", "", "string_status"),
    ("StrConFail", "enum16", "", None),
    ("StrSoC", "uint16", "SoC_SF", "soc"),
    ("StrSoH", "uint16", "SoH_SF", "soh"),
    ("StrA", "int16", "A_SF", "current"),
    ("StrCellVMax", "uint16", "CellV_SF", "cell_max"),
    ("StrCellVMaxMod", "uint16", "", "cell_max_module"),
    ("StrCellVMin", "uint16", "CellV_SF", "cell_min"),
    ("StrCellVMinMod", "uint16", "", "cell_min_module"),
    ("StrCellVAvg", "uint16", "CellV_SF", "cell_mean"),
    ("StrModTmpMax", "int16", "ModTmp_SF", "temperature_max"),
    ("StrModTmpMaxMod", "uint16", "", "temperature_max_module"),
    ("StrModTmpMin", "int16", "ModTmp_SF", "temperature_min"),
    ("StrModTmpMinMod", "uint16", "", "temperature_min_module"),
    ("StrModTmpAvg", "int16", "ModTmp_SF", "temperature_average"),
    ("StrDisRsn", "enum16", "", None),
    ("StrConSt", "bitfield32", "", "contactors"),
    ("StrEvt1", "bitfield32", "", "events"),
    ("StrEvt2", "bitfield32", "", None),
    ("StrEvtVnd1", "bitfield32", "", "alarms"),
    ("StrEvtVnd2", "bitfield32", "", None),
    ("StrSetEna", "enum16", "", None),
    ("StrSetCon", "enum16", "", None),
    ("Pad1", "pad", "", None),
    ("Pad2", "pad", "", None),
)
STRING: tuple[Point, ...] = (
    ("Idx", "uint16", "", "string"),
    ("NMod", "uint16", "", "module"),
    ("St", "bitfield32", "", "string_status"),
    ("ConFail", "enum16", "", None),
    ("NCellBal", "uint16", "", "balancing_count"),
    ("SoC", "uint16", "SoC_SF", "soc"),
    ("DoD", "uint16", "DoD_SF", "depth_of_discharge"),
    ("NCyc", "uint32", "", "cycles"),
    ("SoH", "uint16", "SoH_SF", "soh"),
    ("A", "int16", "A_SF", "current"),
    ("V", "uint16", "V_SF", "voltage"),
    ("CellVMax", "uint16", "CellV_SF", "cell_max"),
    ("CellVMaxMod", "uint16", "", "cell_max_module"),
    ("CellVMin", "uint16", "CellV_SF", "cell_min"),
    ("CellVMinMod", "uint16", "", "cell_min_module"),
    ("CellVAvg", "uint16", "CellV_SF", "cell_mean"),
    ("ModTmpMax", "int16", "ModTmp_SF", "temperature_max"),
    ("ModTmpMaxMod", "uint16", "", "temperature_max_module"),
    ("ModTmpMin", "int16", "ModTmp_SF", "temperature_min"),
    ("ModTmpMinMod", "uint16", "", "temperature_min_module"),
    ("ModTmpAvg", "int16", "ModTmp_SF", "temperature_average"),
    ("Pad1", "pad", "", None),
    ("ConSt", "bitfield32", "", "contactors"),
    ("Evt1", "bitfield32", "", "events"),
    ("Evt2", "bitfield32", "", None),
    ("EvtVnd1", "bitfield32", "", "alarms"),
    ("EvtVnd2", "bitfield32", "", None),
    ("SetEna", "enum16", "", None),
    ("SetCon", "enum16", "", None),
    ("SoC_SF", "sunssf", "", -1),
    ("SoH_SF", "sunssf", "", -1),
    ("DoD_SF", "sunssf", "", -1),
    ("A_SF", "sunssf", "", -1),
    ("V_SF", "sunssf", "", -2),
    ("CellV_SF", "sunssf", "", -3),
    ("ModTmp_SF", "sunssf", "", -1),
    ("Pad2", "pad", "", None),
    ("Pad3", "pad", "", None),
    ("Pad4", "pad", "", None),
)
STRING_MODULE: tuple[Point, ...] = (
    ("ModNCell", "uint16", "", "cells"),
    ("ModSoC", "uint16", "SoC_SF", "soc"),
    ("ModSoH", "uint16", "SoH_SF", "soh"),
    ("ModCellVMax", "uint16", "CellV_SF", "cell_max"),
    ("ModCellVMaxCell", "uint16", "", "cell_max_number"),
    ("ModCellVMin", "uint16", "CellV_SF", "cell_min"),
    ("ModCellVMinCell", "uint16", "", "cell_min_number"),
    ("ModCellVAvg", "uint16", "CellV_SF", "cell_mean"),
    ("ModCellTmpMax", "int16", "ModTmp_SF", "temperature_max"),
    ("ModCellTmpMaxCell", "uint16", "", None),
    ("ModCellTmpMin", "int16", "ModTmp_SF", "temperature_min"),
    ("ModCellTmpMinCell", "uint16", "", None),
    ("ModCellTmpAvg", "int16", "ModTmp_SF", "temperature_average"),
    ("Pad5", "pad", "", None),
    ("Pad6", "pad", "", None),
    ("Pad7", "pad", "", None),
)
MODULE: tuple[Point, ...] = (
    ("StrIdx", "uint16", "", "string"),
    ("ModIdx", "uint16", "", "module"),
    ("NCell", "uint16", "", "cells"),
    ("SoC", "uint16", "SoC_SF", "soc"),
    ("DoD", "uint16", "DoD_SF", "depth_of_discharge"),
    ("SoH", "uint16", "SoH_SF", "soh"),
    ("NCyc", "uint32", "", "cycles"),
    ("V", "uint16", "V_SF", "voltage"),
    ("CellVMax", "uint16", "CellV_SF", "cell_max"),
    ("CellVMaxCell", "uint16", "", "cell_max_number"),
    ("CellVMin", "uint16", "CellV_SF", "cell_min"),
    ("CellVMinCell", "uint16", "", "cell_min_number"),
    ("CellVAvg", "uint16", "CellV_SF", "cell_mean"),
    ("CellTmpMax", "int16", "Tmp_SF", "temperature_max"),
    ("CellTmpMaxCell", "uint16", "", None),
    ("CellTmpMin", "int16", "Tmp_SF", "temperature_min"),
    ("CellTmpMinCell", "uint16", "", None),
    ("CellTmpAvg", "int16", "Tmp_SF", "temperature_average"),
    ("NCellBal", "uint16", "", "balancing_count"),
    ("SN", "string16", "", "serial_number"),
    ("SoC_SF", "sunssf", "", -1),
    ("SoH_SF", "sunssf", "", -1),
    ("DoD_SF", "sunssf", "", -1),
    ("V_SF", "sunssf", "", -2),
    ("CellV_SF", "sunssf", "", -3),
    ("Tmp_SF", "sunssf", "", -1),
)
CELL: tuple[Point, ...] = (
    ("CellV", "uint16", "CellV_SF", "cell_voltage"),
    ("CellTmp", "int16", "Tmp_SF", None),
    ("CellSt", "bitfield32", "", "cell_status"),
)


class Model(NamedTuple):
    """A model of SunSpec: its points, and those of the group that repeats at its end."""

    number: int
    title: str
    points: tuple[Point, ...]
    group: tuple[Point, ...] = ()
    each: str = ""  # what the group stands for


MODELS = (
    Model(1, "common", COMMON),
    Model(802, "battery", BATTERY),
    Model(803, "lithium-ion battery bank", BANK, BANK_STRING, "string"),
    Model(804, "lithium-ion string", STRING, STRING_MODULE, "module"),
    Model(805, "lithium-ion module", MODULE, CELL, "cell"),
)
# Model and its points as they are written: type, factor, source.
Written = tuple[tuple[str, float, str | int | None], ...]


def _written(model: Model, points: tuple[Point, ...]) -> Written:
    exponents = {name: source for name, kind, _, source in model.points if kind == "sunssf"}
    rows = []
    for _, kind, scale, source in points:
        exponent = exponents[scale] if scale else 0
        assert isinstance(exponent, int)
        rows.append((kind, 10.0**-exponent, source))
    return tuple(rows)


WRITTEN = {model.number: (_written(model, model.points), _written(model, model.group)) for model in MODELS}


def model(number: int, values: Values, groups: Sequence[Values] = ()) -> bytes:
    """Return a model with its number and length."""
    points, group = WRITTEN[number]
    body = b"".join([_points(points, values), *(_points(group, each) for each in groups)])
    return struct.pack(">HH", number, len(body) // 2) + body


def _points(rows: Written, values: Values) -> bytes:
    return b"".join(
        registers(kind, values.get(source) if isinstance(source, str) else source, factor)
        for kind, factor, source in rows
    )


def image(view: View, invert: bool) -> bytes:
    """Return all registers from BASE on; models of cells only once the number of cells is known."""
    strings = []
    for number, (string, cells) in enumerate(zip(view.strings, view.cells, strict=True), 1):
        values = _turned(of_battery(string, cells), invert)
        values |= {"string": number, "module": 1, "cells": cells or None}
        strings.append(values)
    whole = _turned(of_battery(view.battery, max(view.cells, default=0)), invert)
    whole |= of_strings(view, strings) | {"beat": view.heartbeat}
    if any(string["events"] == COMMUNICATION_ERROR for string in strings):
        whole["events"] = (whole["events"] or 0) | COMMUNICATION_ERROR
    parts = [SIGN, model(1, _common(view)), model(802, whole), model(803, whole, strings)]
    parts += [model(804, values, [values]) for values in strings]
    if all(view.cells):
        parts += [model(805, values, _cells(values)) for values in strings]
    return b"".join([*parts, END])


def _turned(values: Values, invert: bool) -> Values:
    """Return the values with positive current for discharging, when that is wanted."""
    if invert:
        values |= {name: -values[name] for name in ("current", "power") if name in values}
    return values


def _common(view: View) -> Values:
    battery = view.battery
    return {
        **battery.identity,
        "maker": battery.identity.get("manufacturer") or "Cellwire",
        "kind": battery.identity.get("model") or battery.family or battery.kind,
        "label": battery.name,
        "id": battery.id[-SN_SIZE:] if battery.settled else None,
        "unit": view.unit,
    }


def _cells(values: Values) -> list[Values]:
    """Return what is known of each cell."""
    voltages = list(values.get("cell_voltages", ()))[: values["cells"]]
    voltages += [None] * (values["cells"] - len(voltages))
    balanced = values.get("balancing_cells")
    return [
        {"cell_voltage": voltage, "cell_status": None if balanced is None else int(number in balanced)}
        for number, voltage in enumerate(voltages, 1)
    ]
