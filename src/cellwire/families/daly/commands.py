"""What can be written to a Daly: one Commands for each dialect, with ranges, proof, and the bytes on the wire.

Unproven is what is inferred or comes from one source: the settings of A5 (their write commands are taken to be 0x40
below those that read), all settings of D2 but the two switches (the maker's sheet only), the limits of P81.
"""

import struct

from ...codec.command import (
    ACTION,
    AGREED,
    CAPTURED,
    CHOICE,
    CONFIGURE,
    NUMBER,
    OPERATE,
    SERVICE,
    SWITCH,
    UNPROVEN,
    Command,
    Commands,
)
from ...codec.dialect import ACK, REFUSAL
from ...codec.errors import OutOfRange, Refused
from ...codec.table import encode, raw_of
from .a5 import (
    BALANCE_SETTINGS,
    CELL_LIMITS,
    CURRENT_LIMITS,
    DIFFERENCE_LIMITS,
    PACK_LIMITS,
    RATING,
    SHORT_CIRCUIT,
    from_board,
)
from .currents import LIMITS, signed
from .dates import clock_bytes
from .frames import D2_UNIT, P81_REQUEST, WRITE_MANY, WRITE_ONE, a5_frame, a5_host, register_frame
from .guards import guard, partners
from .registers import D2_SETTINGS, NEVER, P81_SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame
    from ...codec.table import Readings, Record

# The latest second that fits the year byte sensibly: end of 2099.
LAST_SECOND = 80 * 365 * 86400
# Clock and charge go on while they are read back.
CLOCK_NEAR = 5
SOC_NEAR = 0.15

# What a field of registers holds, where that is no plain number.
CLOCK, TENS = "clock", "tens"

# (low, high) by reading: what can be sensible at all, for any chemistry and 4 to 48 cells.
RANGES = {
    "design_capacity": (1.0, 6000.0),
    "nominal_cell_voltage": (1.5, 4.2),
    "cell_overvoltage_warning": (2.0, 4.5),
    "cell_overvoltage_limit": (2.0, 4.5),
    "cell_overvoltage_release": (2.0, 4.5),
    "cell_overvoltage_delay": (0.1, 60.0),
    "cell_undervoltage_warning": (1.0, 4.0),
    "cell_undervoltage_limit": (1.0, 4.0),
    "cell_undervoltage_release": (1.0, 4.0),
    "cell_undervoltage_delay": (0.1, 60.0),
    "pack_overvoltage_warning": (6.0, 220.0),
    "pack_overvoltage_limit": (6.0, 220.0),
    "pack_overvoltage_release": (6.0, 220.0),
    "pack_overvoltage_delay": (0.1, 60.0),
    "pack_undervoltage_warning": (4.0, 200.0),
    "pack_undervoltage_limit": (4.0, 200.0),
    "pack_undervoltage_release": (4.0, 200.0),
    "pack_undervoltage_delay": (0.1, 60.0),
    "charge_overcurrent_warning": (1.0, 1000.0),
    "charge_overcurrent_limit": (1.0, 1000.0),
    "discharge_overcurrent_warning": (1.0, 1500.0),
    "discharge_overcurrent_limit": (1.0, 1500.0),
    "charge_overtemperature_warning": (20, 90),
    "charge_overtemperature_limit": (20, 90),
    "charge_undertemperature_warning": (-40, 30),
    "charge_undertemperature_limit": (-40, 30),
    "discharge_overtemperature_warning": (20, 100),
    "discharge_overtemperature_limit": (20, 100),
    "discharge_undertemperature_warning": (-40, 30),
    "discharge_undertemperature_limit": (-40, 30),
    "mosfet_overtemperature_limit": (40, 130),
    "cell_delta_warning": (0.01, 2.0),
    "cell_delta_limit": (0.01, 2.0),
    "temperature_delta_warning": (2, 100),
    "temperature_delta_limit": (2, 100),
    "balance_start": (1.5, 4.5),
    "balance_delta": (0.005, 1.0),
    "short_circuit_limit": (10, 6000),
    "shunt_resistance": (0.001, 10.0),
    "sleep_delay": (60, NEVER),
    "cell_count_setting": (3, 48),
}

SLEEP = "idle time until the BMS sleeps; 65535 is never"
RESTART = "The MOSFETs may open while the BMS restarts: everything behind the pack loses power then."
CELLS = "With a wrong number of cells the BMS watches the wrong limits, or takes missing cells for empty ones."
KIND = "The BMS may set all its limits to those of the chemistry, over those that are set now."
SHUNT = "With a wrong shunt every current, the state of charge and every limit of the current is wrong."
GUESSED = "What this register means follows from the values of one unit only: it may be another setting."
SERVED = {"shunt_resistance": SHUNT, "cell_count_setting": CELLS}


def _settings(
    record: "Record", query: str, field: "Any", guessed: "tuple[str, ...]" = (), but: "tuple[str, ...]" = ()
) -> "tuple[Command, ...]":
    """Return an unproven command for each number of a settings record that may be written.

    field: field(row) -> what `encode` needs; guessed: beginnings of names whose meaning is a guess
    """
    commands = []
    for row in record.numbers:
        name = row[0]
        if name in RANGES and name not in but:
            low, high = RANGES[name]
            danger = SERVED.get(name, "")
            if any([name.startswith(beginning) for beginning in guessed]):
                danger = GUESSED
            commands.append(
                Command(
                    name,
                    NUMBER,
                    SERVICE if name in SERVED else CONFIGURE,
                    UNPROVEN,
                    query,
                    low=low,
                    high=high,
                    step=1 / row[4] if row[4] > 1 else 1,
                    meaning=SLEEP if name == "sleep_delay" else "",
                    danger=danger,
                    field=field(row),
                )
            )
    return tuple(commands)


# A5: 13-byte frames


def _a5_settings(record: "Record", query: str, number: int) -> "tuple[Command, ...]":
    return _settings(record, query, lambda row: (number, record))


A5_COMMANDS = (
    # No command reads the switches; what the MOSFETs do is in 0x93.
    Command("charge_switch", SWITCH, OPERATE, AGREED, "mosfets", "charge_mosfet", field=(0xDA, None)),
    Command("discharge_switch", SWITCH, OPERATE, CAPTURED, "mosfets", "discharge_mosfet", field=(0xD9, None)),
    # One frame sets both, so each takes the other along as the pack just showed it.
    Command("soc", NUMBER, CONFIGURE, CAPTURED, "pack", high=100.0, step=0.1, near=SOC_NEAR, field=(0x21, None)),
    Command("clock", NUMBER, CONFIGURE, AGREED, "clock", high=LAST_SECOND, near=CLOCK_NEAR, field=(0x21, None)),
    Command("restart", ACTION, SERVICE, AGREED, "", "", meaning="restart the BMS", danger=RESTART, field=(0x00, None)),
) + (
    _a5_settings(RATING, "rating", 0x10)
    + _a5_settings(CELL_LIMITS, "cell_limits", 0x19)
    + _a5_settings(PACK_LIMITS, "pack_limits", 0x1A)
    + _a5_settings(CURRENT_LIMITS, "current_limits", 0x1B)
    + _a5_settings(DIFFERENCE_LIMITS, "difference_limits", 0x1E)
    + _a5_settings(BALANCE_SETTINGS, "balance_settings", 0x1F)
    + _a5_settings(SHORT_CIRCUIT, "short_circuit", 0x20)
)


def a5_of(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands of an A5 board."""
    return A5_COMMANDS


def a5_needs(command: Command) -> "tuple[str, ...]":
    """Return what an A5 frame carries beside the command's own value, and what the value has to fit."""
    number, record = command.field
    beside: "tuple[str, ...]" = ()
    if record is not None:
        beside = tuple([row[0] for row in record.numbers if row[0] != command.name])
        if record is CURRENT_LIMITS:
            beside += ("current_limit_sides",)
    elif number == 0x21:
        beside = ("clock",) if command.name == "soc" else ("soc",)
    return beside + tuple([name for name in partners(command.name) if name not in beside])


def a5_encode(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the frame that writes the value together with all others that share the frame."""
    code, record = command.field
    if record is not None:
        data = encode(record, _whole(command, value, record, known))
    elif code == 0x21:
        clock, soc = (known.get("clock"), value) if command.name == "soc" else (value, known.get("soc"))
        if clock is None:
            raise OutOfRange("soc: the clock is set with it, and this pack does not tell its clock; set that first")
        if soc is None:
            raise OutOfRange("clock: the state of charge is set with it, and this pack does not tell it")
        data = clock_bytes(int(clock)) + struct.pack(">H", raw_of("soc", ">H", soc, 0, 10))
    else:
        data = bytes((int(value and command.kind == SWITCH),)) + bytes(7)
    return (a5_frame(a5_host(address), code, data),)


def _whole(command: Command, value: "Any", record: "Record", known: "Readings") -> "Readings":
    """Return all values of a record with the new one among them; raise OutOfRange when one of the others is unknown."""
    values: "Readings" = {}
    for row in record.numbers:
        name = row[0]
        values[name] = value if name == command.name else known.get(name)
        if values[name] is None:
            raise OutOfRange(command.name + ": it is written together with " + name + ", which this pack does not tell")
    return signed(command.name, values, known) if record is CURRENT_LIMITS else values


def a5_answered(command: Command, address: int, frames: "list[Frame]") -> "bool | None":
    """Return True when the board repeated the command; of 0x21 it says 1 as well."""
    code = command.field[0]
    for kind, board, key, payload in frames:
        if kind == ACK and key == code and from_board(board, address) and (code != 0x21 or payload[0] == 1):
            return True
    return None


A5 = Commands(a5_of, a5_encode, a5_answered, guard, a5_needs, pause=0.1)


# D2 and P81: registers. A field is (register, form, zero, divisor) as in a row of a Record; the form may be CLOCK, or
# TENS for tens of seconds.


def _register(record: "Record", first: int) -> "Any":
    """Return what makes the field of a row of a record that begins with that register."""
    return lambda row: (first + row[1] // 2, row[2], row[3], row[4])


def _flag(register: int) -> "tuple[int, str, int, int]":
    return (register, ">H", 0, 1)


# Registers 0x0C and 0x0D of the maker's sheet are echoed and do nothing. 0xF3 is a reset of nobody knows what; counts
# of sensors stand in the high or in the low byte; the password and the date have no public proof: they have no rows.
D2_SWITCHES = (
    Command("charge_switch", SWITCH, OPERATE, CAPTURED, "settings", field=_flag(0xA5)),
    Command("discharge_switch", SWITCH, OPERATE, CAPTURED, "settings", field=_flag(0xA6)),
)
D2_OTHERS = (
    Command("balancer_switch", SWITCH, OPERATE, CAPTURED, "balancer", field=_flag(0xCF)),
    Command(
        "clock", NUMBER, CONFIGURE, CAPTURED, "clock", high=LAST_SECOND, near=CLOCK_NEAR, field=(0xD4, CLOCK, 0, 1)
    ),
    Command(
        "soc", NUMBER, CONFIGURE, UNPROVEN, "status", high=100.0, step=0.1, near=SOC_NEAR, field=(0xA7, ">H", 0, 10)
    ),
    Command("restart", ACTION, SERVICE, UNPROVEN, "", "", meaning="restart the BMS", danger=RESTART, field=_flag(0xF0)),
    Command(
        "power_down",
        ACTION,
        SERVICE,
        UNPROVEN,
        "",
        "",
        meaning="shut the BMS down",
        danger="The pack is off afterwards, and only somebody at the pack can switch it on again.",
        field=_flag(0xF1),
    ),
    Command(
        "calibrate_idle_current",
        ACTION,
        SERVICE,
        UNPROVEN,
        "",
        "",
        meaning="take the present current for 0 A",
        danger="Nothing may flow, or every current is wrong from then on, and the overcurrent limits with it.",
        field=_flag(0xF2),
    ),
    Command(
        "battery_type",
        CHOICE,
        CONFIGURE,
        UNPROVEN,
        "settings",
        words=("LFP", "Li-ion", "LTO"),
        danger=KIND,
        field=_flag(0x89),
    ),
    Command(
        "board_cells", NUMBER, SERVICE, UNPROVEN, "settings", low=0, high=32, count=3, danger=CELLS, field=_flag(0x83)
    ),
) + _settings(D2_SETTINGS, "settings", _register(D2_SETTINGS, 0x80))


def d2_of(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands of a D2 board; a balancer of that dialect has no MOSFETs to switch."""
    limits = [known.get(name) for name in ("charge_overcurrent_limit", "discharge_overcurrent_limit")]
    if limits == [0, 0] and not known.get("charge_mosfet") and not known.get("discharge_mosfet"):
        return D2_OTHERS
    return D2_SWITCHES + D2_OTHERS


P81_GUESSED = ("cell_overvoltage", "cell_undervoltage", "pack_overvoltage", "pack_undervoltage")
P81_COMMANDS = (
    Command("charge_switch", SWITCH, OPERATE, CAPTURED, "settings", field=_flag(0x121)),
    Command("discharge_switch", SWITCH, OPERATE, CAPTURED, "settings", field=_flag(0x122)),
    # Frames of the maker's tool that no known register shows.
    Command("balancer_switch", SWITCH, OPERATE, CAPTURED, "", "", field=_flag(0xF6)),
    Command(
        "current_limiter_switch",
        SWITCH,
        OPERATE,
        CAPTURED,
        "",
        "",
        meaning="the charge current limiter may act",
        field=_flag(0xF7),
    ),
    Command(
        "active_balance", ACTION, OPERATE, CAPTURED, "", "", meaning="start active balancing now", field=_flag(0x119)
    ),
    Command(
        "heating_switch",
        SWITCH,
        OPERATE,
        UNPROVEN,
        "status",
        "heating",
        meaning="the heater is on whatever the temperature",
        warning="The heater takes its power from the pack until it is switched off again.",
        field=_flag(0x1F7),
    ),
    Command(
        "fan_switch",
        SWITCH,
        OPERATE,
        UNPROVEN,
        "status",
        "fan",
        meaning="the fan is on whatever the temperature",
        field=_flag(0x1F8),
    ),
    # The register keeps a charge of its own beside the one that the pack shows.
    Command(
        "soc", NUMBER, CONFIGURE, AGREED, "settings", "soc_setting", high=100.0, step=0.1, near=SOC_NEAR,
        field=(0x116, ">H", 0, 10),
    ),
    Command(
        "clock", NUMBER, CONFIGURE, UNPROVEN, "settings", high=LAST_SECOND, near=CLOCK_NEAR, field=(0x123, CLOCK, 0, 1)
    ),
    Command(
        "sleep_delay", NUMBER, CONFIGURE, UNPROVEN, "settings", low=60, high=NEVER, step=10, meaning=SLEEP,
        field=(0x115, TENS, 0, 1),
    ),
    Command(
        "board_number",
        NUMBER,
        SERVICE,
        UNPROVEN,
        "",
        "",
        low=1,
        high=16,
        like="board_number",
        danger="The pack answers to the new number only: this gateway loses it until the address is changed here too.",
        field=_flag(0x100),
    ),
) + _settings(P81_SETTINGS, "settings", _register(P81_SETTINGS, 0x100), P81_GUESSED, ("sleep_delay",))  # fmt: skip


def p81_of(known: "Readings") -> "tuple[Command, ...]":
    """Return the commands of a P81 board."""
    return P81_COMMANDS


def _register_needs(command: Command) -> "tuple[str, ...]":
    own: "tuple[str, ...]" = ("current_limit_sides",) if command.name in LIMITS else ()
    if command.name == "calibrate_idle_current":
        own = ("current",)
    return own + partners(command.name)


def _register_frame(unit: int, command: Command, number: int, value: "Any", known: "Readings") -> bytes:
    register, form, zero, divisor = command.field
    if form == CLOCK:
        return register_frame(unit, WRITE_MANY, register, 3, clock_bytes(int(value)))
    if command.count:
        register += number - 1
    if command.kind == CHOICE:
        value = command.words.index(value)
    elif form == TENS:
        form, value = ">H", value if value == NEVER else value / 10
    elif command.name in LIMITS:
        value = signed(command.name, {command.name: value}, known)[command.name]
    raw = raw_of(command.name, form, value, zero, divisor)
    if form == ">I":
        return register_frame(unit, WRITE_MANY, register, 2, struct.pack(form, raw))
    return register_frame(unit, WRITE_ONE, register, raw)


def d2_encode(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the frame that writes the registers of the command."""
    return (_register_frame(D2_UNIT, command, number, value, known),)


def p81_encode(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the frame that writes the registers of the command on a board, 1 to 16."""
    return (_register_frame(P81_REQUEST + address - 1, command, number, value, known),)


REFUSALS = {
    1: "it does not take writes",
    2: "it has no such register",
    3: "it does not take this value",
    4: "it could not do it",
    6: "it is busy",
}


def register_answered(command: Command, address: int, frames: "list[Frame]") -> "bool | None":
    """Return True when the board named one of the command's registers in a yes."""
    first = command.field[0]
    for kind, board, key, payload in frames:
        if board is not None and board != address:
            continue
        if kind == REFUSAL:
            reason = REFUSALS.get(payload[0], "it gives no reason that is known")
            raise Refused(payload[0], f"the BMS refuses to write: {reason} (exception {payload[0]})")
        if kind == ACK and first <= key < first + max(1, command.count):
            return True
    return None


# A D2 board repeats a request of one register as its yes.
D2 = Commands(d2_of, d2_encode, register_answered, guard, _register_needs, pause=0.1, mirrors=True)
P81 = Commands(p81_of, p81_encode, register_answered, guard, _register_needs, pause=0.1)
