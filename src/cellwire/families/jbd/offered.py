"""What may be written to a JBD pack with the standard dialect, within which limits, and how well that is proven.

`field` of a command is (register, payload or what makes it, bit of a function); payload.py makes the bytes.
"""

from ...codec.command import (
    ACTION,
    AGREED,
    CAPTURED,
    CONFIGURE,
    NUMBER,
    OPERATE,
    SERVICE,
    SWITCH,
    TEXT,
    UNPROVEN,
    Command,
)
from . import frames, frontend, payload, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

FACTORY, LEAVE, USE_PASSWORD, CHANGE_PASSWORD, CLEAR_PASSWORD, CONTROL = 0x00, 0x01, 0x06, 0x07, 0x09, 0x0A
CELL_CALIBRATION, SENSOR_CALIBRATION = 0xB0, 0xD0
IDLE_CALIBRATION, CHARGE_CALIBRATION, DISCHARGE_CALIBRATION = 0xAD, 0xAE, 0xAF
REMAINING, MOSFETS, BALANCE = 0xE0, 0xE1, 0xE2
MASTER_PASSWORD = b"\x06J1B2D4"
LONGEST_BALANCE = 60  # seconds for which cells may be discharged without anybody looking at their voltage

KEPT = "To keep it, the BMS also sets its counters of protections back to 0."

# command, register, low, high, grant, proof: numbers in factory mode. The register's record packs the value.
SETTINGS = (
    ("design_capacity", 0x10, 1, 655.35, CONFIGURE, AGREED),
    ("cycle_capacity", 0x11, 1, 655.35, CONFIGURE, AGREED),
    ("soc_full_voltage", 0x12, 2.0, 4.4, CONFIGURE, AGREED),
    ("soc_empty_voltage", 0x13, 1.5, 3.8, CONFIGURE, AGREED),
    ("self_discharge", 0x14, 0, 10, CONFIGURE, AGREED),
    ("serial_number_setting", 0x16, 0, 65535, SERVICE, AGREED),
    ("cycles", 0x17, 0, 65535, SERVICE, AGREED),
    ("charge_overtemperature_limit", 0x18, 30, 80, CONFIGURE, AGREED),
    ("charge_overtemperature_release", 0x19, -30, 80, CONFIGURE, AGREED),
    ("charge_undertemperature_limit", 0x1A, -30, 20, CONFIGURE, AGREED),
    ("charge_undertemperature_release", 0x1B, -30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_limit", 0x1C, 30, 90, CONFIGURE, AGREED),
    ("discharge_overtemperature_release", 0x1D, -40, 90, CONFIGURE, AGREED),
    ("discharge_undertemperature_limit", 0x1E, -40, 10, CONFIGURE, AGREED),
    ("discharge_undertemperature_release", 0x1F, -40, 90, CONFIGURE, AGREED),
    ("pack_overvoltage_limit", 0x20, 5.6, 140.8, CONFIGURE, AGREED),
    ("pack_overvoltage_release", 0x21, 3.0, 140.8, CONFIGURE, AGREED),
    ("pack_undervoltage_limit", 0x22, 3.0, 108.8, CONFIGURE, AGREED),
    ("pack_undervoltage_release", 0x23, 3.0, 140.8, CONFIGURE, AGREED),
    ("cell_overvoltage_limit", 0x24, 2.5, 4.3, CONFIGURE, AGREED),
    ("cell_overvoltage_release", 0x25, 1.5, 4.3, CONFIGURE, AGREED),
    ("cell_undervoltage_limit", 0x26, 1.5, 3.5, CONFIGURE, AGREED),
    ("cell_undervoltage_release", 0x27, 1.5, 4.3, CONFIGURE, AGREED),
    ("charge_overcurrent_limit", 0x28, 1, 327, CONFIGURE, AGREED),
    ("discharge_overcurrent_limit", 0x29, 1, 327, CONFIGURE, AGREED),
    ("balance_start", 0x2A, 2.0, 4.4, CONFIGURE, AGREED),
    ("balance_delta", 0x2B, 0.003, 0.5, CONFIGURE, AGREED),
    ("shunt_resistance", 0x2C, 0.1, 3276.7, SERVICE, AGREED),
    ("sensor_enable_bits", 0x2E, 0, 255, SERVICE, AGREED),
    ("cell_count_setting", 0x2F, 3, 32, SERVICE, AGREED),
    ("mosfet_control_time", 0x30, 0, 65535, CONFIGURE, AGREED),
    ("led_time", 0x31, 0, 65535, CONFIGURE, AGREED),
    ("soc_80_voltage", 0x32, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_60_voltage", 0x33, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_40_voltage", 0x34, 1.5, 4.4, CONFIGURE, AGREED),
    ("soc_20_voltage", 0x35, 1.5, 4.4, CONFIGURE, AGREED),
    ("hard_cell_overvoltage_limit", 0x36, 2.5, 4.5, CONFIGURE, AGREED),
    ("hard_cell_undervoltage_limit", 0x37, 1.0, 3.5, CONFIGURE, AGREED),
    ("charge_undertemperature_delay", 0x3A, 0, 255, CONFIGURE, AGREED),
    ("charge_overtemperature_delay", 0x3A, 0, 255, CONFIGURE, AGREED),
    ("discharge_undertemperature_delay", 0x3B, 0, 255, CONFIGURE, AGREED),
    ("discharge_overtemperature_delay", 0x3B, 0, 255, CONFIGURE, AGREED),
    ("pack_undervoltage_delay", 0x3C, 0, 255, CONFIGURE, AGREED),
    ("pack_overvoltage_delay", 0x3C, 0, 255, CONFIGURE, AGREED),
    ("cell_undervoltage_delay", 0x3D, 0, 255, CONFIGURE, AGREED),
    ("cell_overvoltage_delay", 0x3D, 0, 255, CONFIGURE, AGREED),
    ("charge_overcurrent_delay", 0x3E, 0, 255, CONFIGURE, AGREED),
    ("charge_overcurrent_release_delay", 0x3E, 0, 255, CONFIGURE, AGREED),
    ("discharge_overcurrent_delay", 0x3F, 0, 255, CONFIGURE, AGREED),
    ("discharge_overcurrent_release_delay", 0x3F, 0, 255, CONFIGURE, AGREED),
    ("gps_cutoff_voltage", 0x40, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("gps_cutoff_delay", 0x41, 0, 65535, CONFIGURE, UNPROVEN),
    ("soc_90_voltage", 0x42, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_70_voltage", 0x43, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_50_voltage", 0x44, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_30_voltage", 0x45, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_10_voltage", 0x46, 1.5, 4.4, CONFIGURE, UNPROVEN),
    ("soc_100_voltage", 0x47, 1.5, 4.4, CONFIGURE, UNPROVEN),
)

# command, bit of the function word, grant, proof
FUNCTIONS = (
    ("switch_function", 0, CONFIGURE, AGREED),
    ("load_detection", 1, CONFIGURE, AGREED),
    ("balancer_switch", 2, OPERATE, CAPTURED),
    ("balance_only_charging", 3, CONFIGURE, AGREED),
    ("led_switch", 4, CONFIGURE, AGREED),
    ("led_capacity", 5, CONFIGURE, AGREED),
)

# command, register, low, high, both again in double range, step: what a TI front end has
FRONT_END = (
    ("short_circuit_threshold", 0x38, 22, 100, 44, 200, 1),
    ("short_circuit_delay", 0x38, 0.00007, 0.0004, 0.00007, 0.0004, 0.00001),
    ("discharge_overcurrent_2_threshold", 0x38, 8, 50, 17, 100, 1),
    ("discharge_overcurrent_2_delay", 0x38, 0.008, 1.28, 0.008, 1.28, 0.001),
    ("hard_cell_undervoltage_delay", 0x39, 1, 16, 1, 16, 1),
    ("hard_cell_overvoltage_delay", 0x39, 1, 8, 1, 8, 1),
    ("short_circuit_release_delay", 0x39, 0, 255, 0, 255, 1),
)

# command, payload of the control word, grant, proof, meaning, danger
CONTROLS = (
    ("recompute_capacity", 1, SERVICE, AGREED, "work the state of charge out again from the cell voltages", ""),
    ("clear_history", 2, SERVICE, UNPROVEN, "forget the history of protections", ""),
    ("restart", 3, SERVICE, UNPROVEN, "restart the BMS", "The output may be off while it restarts."),
    ("clear_alarms", 4, OPERATE, AGREED, "end the present protections and alarms", ""),
    (
        "sleep",
        5,
        SERVICE,
        UNPROVEN,
        "let the BMS sleep",
        "Nothing but a charger, a load or its button may wake it up again, at the pack.",
    ),
    (
        "power_down",
        6,
        SERVICE,
        UNPROVEN,
        "switch the BMS off",
        "The output goes off, and only a charger at the pack brings it back.",
    ),
    ("balance_automatically", 7, OPERATE, AGREED, "leave balancing to the BMS again", ""),
    (
        "storage",
        8,
        SERVICE,
        UNPROVEN,
        "put the pack into its storage mode",
        "The output goes off, and it takes a hand at the pack to bring it back.",
    ),
)

BALANCE_TESTS = (
    ("balance_odd_cells", 1, "balance the cells 1, 3, 5 and so on, for that many seconds"),
    ("balance_even_cells", 2, "balance the cells 2, 4, 6 and so on, for that many seconds"),
    ("balance_no_cells", 3, "balance no cell, for that many seconds"),
)

NO_SENSOR = "A sensor that is not enabled protects nothing: cells may be charged in frost or heat."
DANGERS = {
    "cell_count_setting": "With a wrong number of cells the BMS measures and protects wrongly.",
    "shunt_resistance": "With a wrong shunt all currents, capacities and current protections are wrong.",
    "sensor_enable_bits": NO_SENSOR,
    "hard_cell_overvoltage_limit": "This is the last protection of the cells, for when the others fail.",
    "hard_cell_undervoltage_limit": "This is the last protection of the cells, for when the others fail.",
}
WARNINGS = {
    "switch_function": "With the switch input in use, a pack without a switch there can go off.",
    "cycles": "It is what the age of the pack is told by.",
}
HARD = "Too high or too slow, and the MOSFETs do not survive a short circuit."


def _query(register: int) -> str:
    if register in records.STRINGS:
        return records.STRINGS[register]
    return "functions" if register == payload.FUNCTIONS else f"setting-{register:02x}"


def _step(register: int, name: str, coarse: bool) -> float:
    table = records.COARSE_SETTINGS if coarse and register in records.COARSE_SETTINGS else records.SETTINGS
    for row in table[register].numbers:
        if row[0] == name:
            return 1 / abs(row[4]) if abs(row[4]) > 1 else 1
    return 1


def _setting(row: "tuple[Any, ...]", coarse: bool) -> Command:
    name, register, low, high, grant, proof = row
    return Command(
        name,
        NUMBER,
        grant,
        proof,
        _query(register),
        low=low,
        high=high,
        step=_step(register, name, coarse),
        warning=(WARNINGS.get(name, "") + " " + KEPT).strip(),
        danger=DANGERS.get(name, ""),
        mode=True,
        saves=True,
        field=(register, payload.shunt if register == payload.SHUNT else payload.setting),
    )


def _kept(name: str, kind: str, grant: str, proof: str, register: int, made: "Any", **more: "Any") -> Command:
    """Return a command that writes a parameter, and keeps it."""
    more["warning"] = (more.get("warning", "") + " " + KEPT).strip()
    field = (register, made, more.pop("bit", 0))
    return Command(name, kind, grant, proof, _query(register), mode=True, saves=True, field=field, **more)


def _common() -> "tuple[Command, ...]":
    found = [
        Command(name, SWITCH, OPERATE, CAPTURED, "basic", field=(MOSFETS, payload.switches))
        for name in (payload.CHARGE, payload.DISCHARGE)
    ]
    for name, bit, grant, proof in FUNCTIONS:
        found.append(_kept(name, SWITCH, grant, proof, 0x2D, payload.function, bit=bit, warning=WARNINGS.get(name, "")))
    found += [
        _kept(
            "vendor_function",
            SWITCH,
            SERVICE,
            UNPROVEN,
            0x2D,
            payload.function,
            bit=payload.FIRST_VENDOR_BIT,
            reading="function_bits",
            count=6,
            meaning="functions 6 to 11 of the BMS, whose meaning depends on its maker",
            danger="It is not known what this does on this board.",
        ),
        _kept(
            "production_date", TEXT, SERVICE, AGREED, 0x15, payload.date, low=10, high=10,
            meaning="date of production, YYYY-MM-DD",
        ),
        _kept("manufacturer", TEXT, SERVICE, AGREED, 0xA0, payload.string, low=1, high=31),
        _kept(
            "model", TEXT, SERVICE, AGREED, 0xA1, payload.string, low=1, high=31,
            danger="With another model name the maker's own app may not open this pack any more.",
        ),
        _kept(
            "barcode", TEXT, SERVICE, AGREED, 0xA2, payload.string, low=1, high=31,
            warning="The pack may be known by it: it can look like another pack after the next start.",
        ),
        Command(
            "remaining_capacity", NUMBER, CONFIGURE, AGREED, "basic", high=655.35, step=0.01, near=0.1, mode=True,
            field=(REMAINING, payload.remaining),
        ),
        Command("soc", NUMBER, CONFIGURE, AGREED, "basic", high=100, mode=True, field=(REMAINING, payload.soc)),
        Command(
            "reset_counters", ACTION, CONFIGURE, AGREED, "counters", reading="short_circuit_count", mode=True,
            meaning="set the counters of protections to 0", field=(FACTORY, frames.FACTORY_CODE),
        ),
    ]  # fmt: skip
    for name, code, grant, proof, meaning, danger in CONTROLS:
        field = (CONTROL, bytes((code, 0)))
        found.append(Command(name, ACTION, grant, proof, reading="", meaning=meaning, danger=danger, field=field))
    for name, code, meaning in BALANCE_TESTS:
        found.append(
            Command(
                name, NUMBER, SERVICE, AGREED, reading="", low=1, high=LONGEST_BALANCE, like="sleep_delay",
                meaning=meaning, warning="Balancing by hand looks at no voltage.", mode=True, hold=True,
                field=(BALANCE, bytes((0, code))),
            )
        )  # fmt: skip
    return tuple(found) + _calibrations() + _passwords()


def _calibrations() -> "tuple[Command, ...]":
    wrong = "With a wrong value every current that the BMS measures, counts and protects by is wrong."
    found = [
        Command(
            "calibrate_idle_current", ACTION, SERVICE, UNPROVEN, "basic", reading="current", mode=True, danger=wrong,
            meaning="tell the BMS that no current flows now", field=(IDLE_CALIBRATION, b"\x00\x00"),
        )
    ]  # fmt: skip
    for word, register in (("charge", CHARGE_CALIBRATION), ("discharge", DISCHARGE_CALIBRATION)):
        found.append(
            Command(
                f"calibrate_{word}_current", NUMBER, SERVICE, UNPROVEN, "basic", reading="current", low=1, high=327,
                step=0.01, near=0.05, mode=True, saves=True, danger=wrong, warning=KEPT,
                meaning=f"the steady {word} current that flows now, measured with something better",
                field=(register, payload.remaining),
            )
        )  # fmt: skip
    return tuple(found)


def _passwords() -> "tuple[Command, ...]":
    return (
        PASSWORD,
        Command(
            "change_password", TEXT, SERVICE, UNPROVEN, reading="", low=12, high=12, secret=True,
            meaning="the present password of six characters and the new one right behind it; none is 000000",
            danger="Nobody changes a setting or switches a MOSFET any more without the new password.",
            field=(CHANGE_PASSWORD, payload.password),
        ),
        Command(
            "clear_password", ACTION, SERVICE, CAPTURED, reading="", secret=True,
            meaning="take the password of the BMS away",
            danger="Somebody has set this password: take it away from a pack of your own only.",
            field=(CLEAR_PASSWORD, MASTER_PASSWORD),
        ),
    )  # fmt: skip


def _front_end(proof: str, double: bool) -> "tuple[Command, ...]":
    danger = HARD
    if proof == UNPROVEN:
        danger += (
            " This board does not tell which front end it has; with another one than TI's this means other things."
        )
    found = [_kept(frontend.DOUBLE, SWITCH, CONFIGURE, proof, 0x38, payload.front_end, danger=danger)]
    for name, register, low, high, double_low, double_high, step in FRONT_END:
        found.append(
            _kept(
                name, NUMBER, CONFIGURE, proof, register, payload.front_end,
                low=double_low if double else low, high=double_high if double else high, step=step, danger=danger,
            )
        )  # fmt: skip
    return tuple(found)


def _numbered(cells: int, sensors: int) -> "tuple[Command, ...]":
    return (
        _kept(
            "sensor_enabled", SWITCH, SERVICE, AGREED, 0x2E, payload.sensor, reading="sensor_enable_bits", count=8,
            meaning="the BMS looks at this temperature sensor", danger=NO_SENSOR,
        ),
        Command(
            "calibrate_cell", NUMBER, SERVICE, UNPROVEN, "cells", reading="cell_voltages", low=1, high=5, step=0.001,
            near=0.0015, count=cells, mode=True, meaning="the true voltage of the cell now",
            danger="With a wrong value the BMS overcharges this cell, or empties it too far.",
            field=(CELL_CALIBRATION, payload.cell),
        ),
        Command(
            "calibrate_sensor", NUMBER, SERVICE, UNPROVEN, "basic", reading="temperatures", low=-40, high=120,
            step=0.1, near=0.25, count=sensors, mode=True, meaning="the true temperature of the sensor now",
            danger="With a wrong value the BMS charges in frost or heat.",
            field=(SENSOR_CALIBRATION, payload.temperature),
        ),
    )  # fmt: skip


ENTER = Command("enter_factory_mode", ACTION, OPERATE, CAPTURED, reading="", field=(FACTORY, frames.FACTORY_CODE))
STAY = Command("leave_factory_mode", ACTION, OPERATE, CAPTURED, reading="", field=(LEAVE, frames.DISCARD))
SAVE = Command("save", ACTION, OPERATE, AGREED, reading="", field=(LEAVE, frames.SAVE))
PASSWORD = Command(
    "use_password",
    TEXT,
    SERVICE,
    UNPROVEN,
    reading="",
    low=6,
    high=6,
    secret=True,
    meaning="the password of the BMS, for as long as it stays awake",
    field=(USE_PASSWORD, payload.password),
)
COMMON = _common()
_packs: "dict[tuple[Any, ...], tuple[Command, ...]]" = {}


def of(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands of a pack with the standard dialect.

    Registers 38 and 39 are those of a TI front end. A board that has another one does not have these commands; for
    one that does not tell they are unproven.
    """
    chip = known.get("chip_type", "")
    cells, sensors = known.get("cell_count") or 32, known.get("sensor_count") or 8
    key = (chip, bool(known.get(frontend.DOUBLE)), cells, sensors, payload.is_coarse(known))
    if key not in _packs:
        if len(_packs) > 3:
            _packs.clear()
        found = tuple([_setting(row, key[4]) for row in SETTINGS])
        if chip in ("", "TI"):
            found += _front_end(AGREED if chip else UNPROVEN, key[1])
        _packs[key] = COMMON + found + _numbered(min(cells, 32), min(sensors, 8))
    return _packs[key]
