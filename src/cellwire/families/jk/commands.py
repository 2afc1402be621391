"""What may be written to a JK: one list of commands for each layout, what has to fit together, and the frames.

Registers differ between the layouts: 0x6C is the balancer of JK04 and the clock of 32S. So there is no list for JK as
such, and none at all before the pack's own records have told the layout.
Never written, and not to be had here: identifier BD and Modbus 0x1626, which begin a firmware update, and Modbus
0x1600 to 0x1619, where the emergency mode of one map is a preset of the other.
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
    Commands,
)
from . import modbus, records
from .cautions import DANGERS, MEANINGS, WARNINGS
from .guards import found, guard, needs
from .writes import answered_ble, answered_modbus, answered_uart, encode_ble, encode_modbus, encode_uart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]
    # name, register, form, divisor, low, high, grant, proof; the divisor of a float is its steps in one
    Row = tuple[str, int, str, float, float, float, str, str]
    # Modbus: reading, form, divisor of what stands in the words of a register
    Part = tuple[str, str, float]

HOURS, TENTHS, MINUTES = 1 / 3600, 1 / 360, 1 / 60  # divisors of times that the BMS counts in these

# The same in 24S and 32S: register = (offset in the settings record - 6) / 4 + 1.
_COMMON: "tuple[Row, ...]" = (
    ("sleep_voltage", 0x01, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
    ("cell_undervoltage_limit", 0x02, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_undervoltage_release", 0x03, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_overvoltage_limit", 0x04, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_overvoltage_release", 0x05, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("balance_delta", 0x06, "<I", 1000, 0.003, 1.0, CONFIGURE, AGREED),
    ("power_off_voltage", 0x0B, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("charge_overcurrent_limit", 0x0C, "<I", 1000, 1, 600.1, CONFIGURE, AGREED),
    ("charge_overcurrent_delay", 0x0D, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("charge_overcurrent_release_delay", 0x0E, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("discharge_overcurrent_limit", 0x0F, "<I", 1000, 1, 1200.1, CONFIGURE, AGREED),
    ("discharge_overcurrent_delay", 0x10, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("discharge_overcurrent_release_delay", 0x11, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("short_circuit_release_delay", 0x12, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("balance_current_limit", 0x13, "<I", 1000, 0.3, 15, CONFIGURE, AGREED),
    ("charge_overtemperature_limit", 0x14, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("charge_overtemperature_release", 0x15, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_limit", 0x16, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_release", 0x17, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("charge_undertemperature_limit", 0x18, "<i", 10, -45, 20, CONFIGURE, AGREED),
    ("charge_undertemperature_release", 0x19, "<i", 10, -45, 20, CONFIGURE, AGREED),
    ("mosfet_overtemperature_limit", 0x1A, "<i", 10, 50, 110, CONFIGURE, AGREED),
    ("mosfet_overtemperature_release", 0x1B, "<i", 10, 50, 110, CONFIGURE, AGREED),
    ("design_capacity", 0x20, "<I", 1000, 2, 20000, CONFIGURE, AGREED),
)
_SWITCHES = (("charge_switch", 0x1D), ("discharge_switch", 0x1E), ("balancer_switch", 0x1F))
_24S: "tuple[Row, ...]" = (
    ("cell_count_setting", 0x1C, "<I", 1, 2, 24, SERVICE, AGREED),
    ("short_circuit_delay", 0x25, "<I", 1000000, 0, 1, CONFIGURE, AGREED),
    ("balance_start", 0x26, "<I", 1000, 1.2, 4.25, CONFIGURE, AGREED),
)
_32S: "tuple[Row, ...]" = (
    ("cell_count_setting", 0x1C, "<I", 1, 2, 32, SERVICE, AGREED),
    ("soc_full_voltage", 0x07, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
    ("soc_empty_voltage", 0x08, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
    ("charge_voltage_setting", 0x09, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
    ("float_voltage_setting", 0x0A, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
    ("short_circuit_delay", 0x21, "<I", 1000000, 0, 1, CONFIGURE, AGREED),
    ("balance_start", 0x22, "<I", 1000, 1.2, 4.25, CONFIGURE, AGREED),
    ("precharge_time", 0x25, "<I", 1, 0, 255, CONFIGURE, AGREED),
    ("heating_start", 0x37, "<b", 1, -40, 100, CONFIGURE, AGREED),
    ("heating_stop", 0x38, "<b", 1, -40, 100, CONFIGURE, AGREED),
    ("sleep_delay", 0x39, "<B", HOURS, 3600, 360000, CONFIGURE, AGREED),
    ("discharge_undertemperature_limit", 0x3A, "<b", 1, -40, 100, CONFIGURE, UNPROVEN),
    ("discharge_undertemperature_release", 0x3B, "<b", 1, -40, 100, CONFIGURE, UNPROVEN),
)
# The bits of one word, from bit 0 on; over Bluetooth each has a register of its own, 0x27 + bit.
_CONTROLS = (
    ("heating_switch", OPERATE, AGREED),
    ("sensors_disabled", SERVICE, AGREED),
    ("gps_heartbeat", CONFIGURE, UNPROVEN),
    ("port_rs485", SERVICE, AGREED),
    ("display_always_on", CONFIGURE, AGREED),
    ("special_charger", CONFIGURE, UNPROVEN),
    ("smart_sleep", CONFIGURE, AGREED),
    ("parallel_module_disabled", CONFIGURE, AGREED),
    ("timed_stored_data", CONFIGURE, AGREED),
    ("float_charge", CONFIGURE, AGREED),
    ("emergency_button", CONFIGURE, AGREED),
    ("dry_contact_intermittent", CONFIGURE, AGREED),
    ("discharge_overcurrent_stage_2", CONFIGURE, AGREED),
    ("discharge_overcurrent_stage_3", CONFIGURE, UNPROVEN),
    ("gps_lock_charge", CONFIGURE, AGREED),
    ("gps_lock_discharge", CONFIGURE, AGREED),
)
_FIRST_CONTROL = 0x27
_DEVICE_32S: "tuple[Row, ...]" = (
    ("uart1_protocol", 0xA5, "<H", 1, 0, 16, SERVICE, UNPROVEN),
    ("can_protocol", 0xA6, "<H", 1, 0, 13, SERVICE, UNPROVEN),
    ("uart2_protocol", 0xA8, "<H", 1, 0, 16, SERVICE, UNPROVEN),
    ("uart3_protocol", 0xB6, "<H", 1, 0, 16, SERVICE, UNPROVEN),
    ("buzzer_trigger", 0xA9, "<H", 1, 0, 14, CONFIGURE, UNPROVEN),
    ("dry_contact_1_trigger", 0xAA, "<H", 1, 0, 14, CONFIGURE, UNPROVEN),
    ("dry_contact_2_trigger", 0xAB, "<H", 1, 0, 14, CONFIGURE, UNPROVEN),
    ("charge_voltage_time", 0xB3, "<B", TENTHS, 0, 65520, CONFIGURE, AGREED),
    ("float_voltage_time", 0xB4, "<B", TENTHS, 0, 65520, CONFIGURE, AGREED),
    ("emergency_duration", 0xB5, "<B", MINUTES, 60, 15300, CONFIGURE, AGREED),
    ("rebulk_soc", 0xB7, "<B", 1, 0, 50, CONFIGURE, UNPROVEN),
)
_LIVE_32S: "tuple[Row, ...]" = (
    # From software 19.34.
    ("soc", 0x6E, "<B", 1, 0, 100, CONFIGURE, CAPTURED),
    ("soh", 0x6F, "<B", 1, 0, 100, SERVICE, CAPTURED),
)
# No value follows these.
_ACTIONS_32S = (
    ("restart", 0x66, "restart the BMS"),
    ("power_down", 0x65, "shut the BMS down"),
    ("preset_li_ion", 0x68, "load the maker's settings for Li-ion cells"),
    ("preset_lfp", 0x69, "load the maker's settings for LFP cells"),
    ("preset_lto", 0x6A, "load the maker's settings for LTO cells"),
    ("factory_reset", 0x9D, "load the settings that the BMS left the factory with"),
)
_04: "tuple[Row, ...]" = (
    ("cell_count_setting", 0x1C, "<H", 1, 1, 24, SERVICE, CAPTURED),
    ("power_off_voltage", 0x20, "<f", 1000, 2.0, 3.7, CONFIGURE, CAPTURED),
    ("voltage_reference", 0x44, "<f", 10000, 2.8, 3.2, SERVICE, CAPTURED),
    ("balance_delta", 0x64, "<f", 1000, 0.002, 1.0, CONFIGURE, CAPTURED),
    ("balance_current_limit", 0x68, "<f", 1000, 0.1, 10, CONFIGURE, CAPTURED),
)
# Firmware before software 14 has other things, or nothing, where these are read.
FROM_14 = (
    "clock",
    "discharge_undertemperature_limit",
    "discharge_undertemperature_release",
) + tuple([row[0] for row in _DEVICE_32S])

_CAPTURED_32S = (
    "sleep_voltage",
    "precharge_time",
    "heating_switch",
    "port_rs485",
    "emergency_button",
    "heating_start",
    "heating_stop",
    "sleep_delay",
    "emergency_duration",
)
_CAPTURED_MODBUS = ("sleep_voltage", "balancer_switch", "balance_start", "float_charge")


def _command(
    name: str,
    kind: str,
    grant: str,
    proof: str,
    query: str,
    field: "Any",
    low: float = 0,
    high: float = 1,
    step: float = 1,
    reading: "str | None" = None,
    count: int = 0,
    meaning: str = "",
    near: float = 0,
) -> Command:
    """Return the command with what people are told of it."""
    return Command(
        name, kind, grant, proof, query, reading, low, high, step, (), count, "",
        meaning or MEANINGS.get(name, ""), WARNINGS.get(name, ""), DANGERS.get(name, ""), field=field, near=near,
    )  # fmt: skip


def _numbers(rows: "tuple[Row, ...]", query: str, captured: "tuple[str, ...]" = ()) -> "tuple[Command, ...]":
    commands = []
    for name, register, form, divisor, low, high, grant, proof in rows:
        proof = CAPTURED if name in captured else proof
        field = (register, form, divisor)
        commands.append(_command(name, NUMBER, grant, proof, query, field, low, high, round(1 / divisor, 6)))
    return tuple(commands)


def _switches() -> "tuple[Command, ...]":
    return tuple(
        [_command(name, SWITCH, OPERATE, AGREED, "settings", (register, "<I", 1)) for name, register in _SWITCHES]
    )


def _controls() -> "tuple[Command, ...]":
    commands = []
    for bit in range(len(_CONTROLS)):
        name, grant, proof = _CONTROLS[bit]
        proof = CAPTURED if name in _CAPTURED_32S else proof
        commands.append(_command(name, SWITCH, grant, proof, "settings", (_FIRST_CONTROL + bit, "<I", 1)))
    return tuple(commands)


def _calibrations(voltage: int, current: int) -> "tuple[Command, ...]":
    """Return the commands that tell the BMS what a meter shows, in mV and mA."""
    volts, amperes = (voltage, "<I", 1000), (current, "<I", 1000)
    return (
        _command("calibrate_voltage", NUMBER, SERVICE, AGREED, "cells", volts, 2, 140, 0.01, "voltage", near=0.02),
        _command("calibrate_current", NUMBER, SERVICE, AGREED, "cells", amperes, 1, 1200, 0.1, "current", near=0.2),
    )


def _wires(known: "Readings", most: int, field: "Any", step: float) -> "tuple[Command, ...]":
    """Return the command for the wire of each cell, () while the number of cells is not known."""
    cells = min(most, int(known.get("cell_count_setting") or known.get("cell_count") or 0))
    if not cells:
        return ()
    return (_command("wire_resistances", NUMBER, SERVICE, UNPROVEN, "settings", field, 0, 0.1, step, count=cells),)


JK02_24S = (
    _switches()
    + _numbers(_COMMON + _24S, "settings")
    + _calibrations(0x21, 0x24)
    + (_command("user_data", TEXT, CONFIGURE, UNPROVEN, "device", (0x9F, "", 1), 1, 13),)
)
JK02_32S = (
    _switches()
    + _numbers(_COMMON + _32S, "settings", _CAPTURED_32S)
    + _controls()
    + _numbers(_DEVICE_32S, "device", _CAPTURED_32S)
    + _numbers(_LIVE_32S, "cells")
    + (
        # It runs on while it is read back.
        _command("clock", NUMBER, CONFIGURE, CAPTURED, "cells", (0x6C, "<I", 1), 0, 4294967295, near=3),
        _command(
            "emergency_mode", SWITCH, CONFIGURE, UNPROVEN, "cells", (0x6B, "<I", 1), reading="emergency_countdown"
        ),
    )
    + _calibrations(0x64, 0x67)
    + tuple(
        [
            _command(name, ACTION, SERVICE, UNPROVEN, "", (register, "", 1), reading="", meaning=meaning)
            for name, register, meaning in _ACTIONS_32S
        ]
    )
)
JK04 = (_command("balancer_switch", SWITCH, OPERATE, CAPTURED, "settings", (0x6C, "<B", 1)),) + _numbers(
    _04, "settings"
)
# The maker calls other identifiers writable, but nobody has seen that they are; 9D is refused.
UART = (
    _command("charge_switch", SWITCH, OPERATE, AGREED, "status", (0xAB, ">B", 1)),
    _command("discharge_switch", SWITCH, OPERATE, AGREED, "status", (0xAC, ">B", 1)),
)

# Modbus: what stands in the settings record from register 0x01 to 0x22 has an address of its own, 0x1000 + 4 *
# (register - 1). The rest shares words with others, and such a word is read, changed and written whole.
CONTROL_WORD = 0x1114
_SHARED: "tuple[tuple[int, Part, Part, str], ...]" = (
    (0x1116, ("heating_start", ">b", 1), ("heating_stop", ">b", 1), AGREED),
    (0x1118, ("sleep_delay", ">B", HOURS), ("stored_data_bits", ">B", 1), AGREED),
    (0x1122, ("discharge_undertemperature_limit", ">b", 1), ("discharge_undertemperature_release", ">b", 1), UNPROVEN),
    (0x14B2, ("uart1_protocol", ">B", 1), ("can_protocol", ">B", 1), UNPROVEN),
    (0x14E4, ("buzzer_trigger", ">B", 1), ("dry_contact_1_trigger", ">B", 1), UNPROVEN),
    (0x14E6, ("dry_contact_2_trigger", ">B", 1), ("uart_library_version", ">B", 1), UNPROVEN),
    (0x1504, ("charge_voltage_time", ">B", TENTHS), ("float_voltage_time", ">B", TENTHS), AGREED),
    (0x1506, ("can_library_version", ">B", 1), ("emergency_duration", ">B", MINUTES), UNPROVEN),
)
_WIRES = 0x1088


def _words() -> "dict[str, tuple[int, Any, str]]":
    """Return where Modbus has what 32S has over Bluetooth: (address, bit or parts, proof) by command."""
    places: "dict[str, tuple[int, Any, str]]" = {}
    for name, register in _SWITCHES:
        places[name] = (0x1000 + 4 * (register - 1), ((name, ">I", 1),), AGREED)
    for row in _COMMON + _32S:
        if row[1] <= 0x22:
            places[row[0]] = (0x1000 + 4 * (row[1] - 1), ((row[0], ">" + row[2][1], row[3]),), row[7])
    places["precharge_time"] = (0x110C, (("precharge_time", ">I", 1),), AGREED)
    for bit in range(len(_CONTROLS)):
        places[_CONTROLS[bit][0]] = (CONTROL_WORD, bit, _CONTROLS[bit][2])
    for address, high, low, proof in _SHARED:
        for part in (high, low):
            places[part[0]] = (address, (high, low), proof)
    return places


def _modbus(queries: "dict[str, str]") -> "tuple[Command, ...]":
    """Return the commands of 32S that Modbus has too; queries: name of the query that shows a reading."""
    words = _words()
    commands = []
    for one in JK02_32S:
        if one.name not in words:
            continue
        address, parts, proof = words[one.name]
        proof = CAPTURED if one.name in _CAPTURED_MODBUS else proof
        # A pack has refused 0 there.
        low = 360 if one.name == "charge_voltage_time" else one.low
        query = queries[one.name]
        commands.append(
            _command(one.name, one.kind, one.grant, proof, query, (address, parts), low, one.high, one.step)
        )
    return tuple(commands)


def _asked() -> "dict[str, str]":
    """Return the name of the piece of jk-modbus that shows each reading."""
    queries = {}
    for name in modbus.RECORDS:
        for row in modbus.RECORDS[name].numbers + modbus.RECORDS[name].flags:
            queries[row[0]] = name
    return queries


PB = _modbus({command.name: command.query for command in JK02_32S})
MODBUS = _modbus(_asked())


# Which commands a pack has


def _of_software(commands: "tuple[Command, ...]", known: "Readings") -> "tuple[Command, ...]":
    if records.major(known.get("software_version", "")) >= 14:
        return commands
    return tuple([command for command in commands if command.name not in FROM_14])


def of_jk02(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands of the layout that the records have."""
    layout = known.get("record_variant")
    if layout == "24S":
        return JK02_24S + _wires(known, 24, (0x27, "<I", 1000), 0.001)
    return _of_software(JK02_32S, known) if layout == "32S" else ()


def of_jk04(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands once the records have shown that they are JK04's."""
    return JK04 if known.get("record_variant") == "JK04" else ()


def of_uart(known: "Readings") -> "tuple[Command, ...]":
    """Return the switches that the pack tells of."""
    return tuple([command for command in UART if command.name in known])


def of_pb(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands once the records have shown that they are those of 32S."""
    if known.get("record_variant") != "32S":
        return ()
    parts = (("wire_resistances", ">I", 1000000),)
    return _of_software(PB, known) + _wires(known, 32, (_WIRES, parts), 0.000001)


def of_modbus(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands once the cells were read."""
    return _of_software(MODBUS, known) if known.get("record_variant") == "32S" else ()


def _commands(
    of: "Callable[[Readings], tuple[Command, ...]]",
    encode: "Callable[[Command, int, Any, int, Readings], tuple[bytes, ...]]",
    answered: "Callable[[Command, int, list[Frame]], bool | None]",
    timeout: float,
    pause: float,
) -> Commands:
    return Commands(of, encode, answered, guard, needs, found, None, timeout, pause, 1.5)


JK02_COMMANDS = _commands(of_jk02, encode_ble, answered_ble, 0.6, 0.3)
JK04_COMMANDS = _commands(of_jk04, encode_ble, answered_ble, 0.6, 0.3)
# Known firmware wants 0.1 to 0.15 s behind the password.
UART_COMMANDS = _commands(of_uart, encode_uart, answered_uart, 1.0, 0.12)
PB_COMMANDS = _commands(of_pb, encode_modbus, answered_modbus, 0.6, 0.12)
MODBUS_COMMANDS = _commands(of_modbus, encode_modbus, answered_modbus, 0.6, 0.12)
