"""How JBD packs are written to, in all three dialects. Nothing here sends.

offered.py has what there is to write, payload.py makes the bytes of it.
"""

from ...codec.command import AGREED, CONFIGURE, NUMBER, OPERATE, SWITCH, UNPROVEN, Command, Commands, Mode, shown
from ...codec.dialect import ACK, REFUSAL
from ...codec.errors import OutOfRange
from . import frames, frontend, offered, payload, records, up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

# What has to be smaller, what has to be larger.
ORDER = (
    ("charge_overtemperature_release", "charge_overtemperature_limit"),
    ("charge_undertemperature_limit", "charge_undertemperature_release"),
    ("discharge_overtemperature_release", "discharge_overtemperature_limit"),
    ("discharge_undertemperature_limit", "discharge_undertemperature_release"),
    ("pack_overvoltage_release", "pack_overvoltage_limit"),
    ("pack_undervoltage_limit", "pack_undervoltage_release"),
    ("cell_overvoltage_release", "cell_overvoltage_limit"),
    ("cell_undervoltage_limit", "cell_undervoltage_release"),
    ("cell_overvoltage_limit", "hard_cell_overvoltage_limit"),
    ("hard_cell_undervoltage_limit", "cell_undervoltage_limit"),
    ("soc_60_voltage", "soc_80_voltage"),
    ("soc_40_voltage", "soc_60_voltage"),
    ("soc_20_voltage", "soc_40_voltage"),
    ("soc_90_voltage", "soc_100_voltage"),
    ("soc_80_voltage", "soc_90_voltage"),
    ("soc_70_voltage", "soc_80_voltage"),
    ("soc_60_voltage", "soc_70_voltage"),
    ("soc_50_voltage", "soc_60_voltage"),
    ("soc_40_voltage", "soc_50_voltage"),
    ("soc_30_voltage", "soc_40_voltage"),
    ("soc_20_voltage", "soc_30_voltage"),
    ("soc_10_voltage", "soc_20_voltage"),
)
# Volts for each cell of the string.
PER_CELL = (
    ("pack_overvoltage_limit", 2.8, 4.4),
    ("pack_undervoltage_limit", 1.5, 3.4),
)
# How far a calibration may lie from what is measured, V and K; farther off, something else is wrong.
FAR = {"calibrate_cell": 0.1, "calibrate_sensor": 10}
IDLE = 1.0  # A that may be an error of the measurement while no current flows


def needs(command: Command) -> "tuple[str, ...]":
    """Return the readings that a command of the standard dialect depends on, besides its own."""
    register, made = command.field[0], command.field[1]
    found: "list[str]" = []
    if made == payload.setting:
        found += [row[0] for row in records.SETTINGS[register].numbers if row[0] != command.name]
    if made == payload.front_end:
        # All that shares the register with it; the raw bits carry what has no name.
        found += [frontend.CURRENT_BITS, frontend.DOUBLE] if register == 0x38 else [frontend.DELAY_BITS]
        found += [row[0] for row in offered.FRONT_END if row[1] == register and row[0] != command.name]
    if made == payload.function or made == payload.remaining or made == payload.soc:
        found.append("function_bits")
    if register in records.COARSE_SETTINGS:
        found.append("function_bits")
    if made == payload.sensor or register == offered.SENSOR_CALIBRATION:
        found.append("sensor_enable_bits")
    if command.name == "remaining_capacity":
        found.append("design_capacity")
    if made == payload.soc:
        found.append("full_capacity")
    for smaller, larger in ORDER:
        if command.name == smaller:
            found.append(larger)
        if command.name == larger:
            found.append(smaller)
    if command.name in [row[0] for row in PER_CELL]:
        found.append("cell_count_setting")
    return tuple(found)


def guard(command: Command, number: int, value: "Any", known: "Readings") -> None:
    """Raise OutOfRange when the value makes no sense beside what is set and measured."""
    name = command.name
    if command.field[1] in (payload.date, payload.string, payload.front_end, payload.shunt):
        command.field[1](command, number, value, known)
    for smaller, larger in ORDER:
        if name == smaller and larger in known and not value < known[larger]:
            raise OutOfRange(f"{name}: {value} has to be below {larger}, which is {known[larger]}")
        if name == larger and smaller in known and not value > known[smaller]:
            raise OutOfRange(f"{name}: {value} has to be above {smaller}, which is {known[smaller]}")
    cells = known.get("cell_count_setting", known.get("cell_count"))
    for command_name, low, high in PER_CELL:
        if name == command_name and cells:
            _between(name, value, round(low * cells, 3), round(high * cells, 3))
    if name == "remaining_capacity":
        _between(name, value, 0, known.get("design_capacity") or known.get("full_capacity") or 0)
    if name in FAR:
        _calibration(command, number, value, known)
    current = known.get("current")
    if name == "calibrate_charge_current" and not (current or 0) > 0:
        raise OutOfRange(f"{name}: the pack is not being charged")
    if name == "calibrate_discharge_current" and not (current or 0) < 0:
        raise OutOfRange(f"{name}: the pack is not being discharged")
    if name == "calibrate_idle_current" and (current is None or abs(current) > IDLE):
        raise OutOfRange(f"{name}: {current} A flow now; take every load and charger off first")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise OutOfRange(f"{name}: {value} is not between {low} and {high}, which is what fits this pack")


def _calibration(command: Command, number: int, value: float, known: "Readings") -> None:
    name, far = command.name, FAR[command.name]
    found = shown(command, number, known)
    if found is None:
        raise OutOfRange(f"{name}/{number}: nothing is measured there that it could be compared with")
    if abs(found - value) > far:
        raise OutOfRange(f"{name}/{number}: {value} is more than {far:g} away from what is measured, {found}")
    bits = known.get("sensor_enable_bits")
    if name == "calibrate_sensor" and bits is not None and int(bits) & (int(bits) + 1):
        raise OutOfRange(f"{name}: the enabled sensors are not the first ones, so their numbers are not known for sure")


def found(command: Command, number: int, known: "Readings") -> "Any":
    """Return what a pack with the standard dialect shows of a command."""
    name = command.name
    if name in (payload.CHARGE, payload.DISCHARGE):
        return payload.allowed(name, known, True)
    if command.reading == "function_bits" or command.reading == "sensor_enable_bits":
        bits = known.get(command.reading)
        if bits is None or not number:
            return bits
        return bool(int(bits) >> (command.field[2] + number - 1) & 1)
    if name == "reset_counters":
        counts = [known.get(row[0]) for row in records.COUNTERS.numbers if row[0] != "restarts"]
        return None if None in counts else not any(counts)
    current = known.get("current")
    if current is not None and name == "calibrate_idle_current":
        return abs(current) <= 0.05
    if current is not None and name == "calibrate_charge_current":
        return current if current > 0 else None
    if current is not None and name == "calibrate_discharge_current":
        return -current if current < 0 else None
    return shown(command, number, known)


def encode(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the standard frames of a command; raise OutOfRange."""
    register, data = _packed(command, number, value, known)
    frame = frames.request(frames.WRITE, register, data)
    if command.name == "reset_counters":
        # Keeping the parameters resets the counters too, and leaves the mode that others behind it still want.
        return (frames.leave_factory_mode(save=True), frame)
    return (frame,)


def _packed(command: Command, number: int, value: "Any", known: "Readings") -> "tuple[int, bytes]":
    register, made = command.field[0], command.field[1]
    data = made if isinstance(made, bytes) else made(command, number, value, known)
    if register == offered.CELL_CALIBRATION or register == offered.SENSOR_CALIBRATION:
        register += number - 1
    return register, data


def answered(command: Command, address: int, received: "list[Frame]") -> "bool | None":
    """Return True when a board with the standard dialect said yes, None while it said nothing; raise Refused."""
    return _said(command, None, received)


def _said(command: Command, address: "int | None", received: "list[Frame]") -> "bool | None":
    register = command.field[0]
    count = command.count if register in (offered.CELL_CALIBRATION, offered.SENSOR_CALIBRATION) else 1
    for frame in received:
        if frame[1] != address or not isinstance(frame[2], int) or not register <= frame[2] < register + count:
            continue
        # Register 00 is also asked for the chip type; only a yes is without data.
        if frame[0] == ACK:
            return True
        if frame[0] == REFUSAL:
            code = frame[3][0]
            if register == offered.USE_PASSWORD and code == 0x80:
                return True  # this firmware has no passwords, so none is wanted
            raise frames.refused(frame[2], code)
    return None


# Boards with an address: only what does not depend on their parameters, which nobody has shown.

ADDRESSED_SWITCHES = tuple(
    [
        Command(name, SWITCH, OPERATE, UNPROVEN, "basic", field=(offered.MOSFETS, payload.switches))
        for name in (payload.CHARGE, payload.DISCHARGE)
    ]
)


def encode_addressed(
    command: Command, number: int, value: "Any", address: int, known: "Readings"
) -> "tuple[bytes, ...]":
    """Return the addressed frame of a command; raise OutOfRange."""
    register, data = _packed(command, number, value, known)
    return (frames.addressed_request(address, frames.WRITE, register, data),)


def answered_addressed(command: Command, address: int, received: "list[Frame]") -> "bool | None":
    """Return True when the board of this address said yes, None while it said nothing; raise Refused."""
    return _said(command, address, received)


# UP boards: `field` is (first address, payload, last address).

_OUTPUTS = (0x2902, payload.outputs, 0x2904)
_SHARE = (0x2006, payload.share, 0x2008)
UP_COMMANDS = (
    Command(payload.CHARGE, SWITCH, OPERATE, AGREED, "status", field=_OUTPUTS),
    Command(payload.DISCHARGE, SWITCH, OPERATE, AGREED, "status", field=_OUTPUTS),
    Command("soc", NUMBER, CONFIGURE, UNPROVEN, "status", high=100, step=0.01, near=0.5, field=_SHARE),
)


def found_up(command: Command, number: int, known: "Readings") -> "Any":
    """Return what a UP board shows of a command."""
    return shown(command, number, known) if command.name == "soc" else payload.allowed(command.name, known, False)


def encode_up(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the UP frame of a command; raise OutOfRange."""
    start, made, end = command.field
    data = frames.UP_MARK + made(command, number, value, known)
    return (frames.up_request(address, up.WRITE, start, end, data),)


def answered_up(command: Command, address: int, received: "list[Frame]") -> "bool | None":
    """Return True when the UP board of this address said yes, None while it said nothing: it has no other word."""
    key = up.WRITE << 16 | command.field[0]
    for frame in received:
        if frame[0] == ACK and frame[1] == address and frame[2] == key:
            return True
    return None


# The pause lets a board answer the first of two frames; a MOSFET or a calibration shows within the settle time.
STANDARD = Commands(
    offered.of,
    encode,
    answered,
    guard,
    needs,
    found,
    Mode(offered.ENTER, offered.STAY, offered.SAVE, (0x81,), offered.PASSWORD),
    pause=0.1,
    settle=2.0,
)
ADDRESSED = Commands(lambda known: ADDRESSED_SWITCHES, encode_addressed, answered_addressed, found=found, settle=2.0)
UP = Commands(lambda known: UP_COMMANDS, encode_up, answered_up, found=found_up, timeout=1.5, settle=2.0)
