"""How a command goes to a JK over each of its ways, and what its yes and its no look like."""

import struct

from ...codec.command import ACTION, TEXT, Command, check
from ...codec.dialect import ACK, REFUSAL
from ...codec.errors import OutOfRange, Refused
from ...codec.table import LIMITS
from . import ble, modbus, records, uart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]


def packed(name: str, form: str, divisor: float, value: float) -> bytes:
    """Return the bytes of a value; raise OutOfRange when they do not hold it. MicroPython's struct wraps silently."""
    if form[1] == "f":
        return struct.pack(form, float(value))
    raw = round(value * divisor)
    least, most = LIMITS[form[1]]
    if not least <= raw <= most:
        raise OutOfRange(f"{name}: {value} does not fit its field")
    return struct.pack(form, raw)


def encode_ble(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the register write of JK02 or JK04."""
    value = check(command, number, value)
    register, form, divisor = command.field
    if command.kind == ACTION:
        return (ble.command(register),)
    if command.kind == TEXT:
        payload = value.encode() + bytes(int(command.high) - len(value))
    else:
        payload = packed(command.name, form, divisor, value)
    return (ble.command(register + max(0, number - 1), payload),)


def encode_uart(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the password frame, at whose content no known firmware looks, and the write."""
    value = check(command, number, value)
    identifier, form, divisor = command.field
    body = bytes((identifier,)) + packed(command.name, form, divisor, value)
    return (
        uart.frame(uart.PASSWORD, uart.FROM_GPS, b"\x00\x00"),
        uart.frame(uart.WRITE, uart.FROM_GPS, body),
    )


def encode_modbus(command: Command, number: int, value: "Any", address: int, known: "Readings") -> "tuple[bytes, ...]":
    """Return the FC16 write of the command's words, with what else stands in them as it is now."""
    value = check(command, number, value)
    register, parts = command.field
    if isinstance(parts, int):
        payload = _control_word(command, parts, value, known)
    else:
        payload = b""
        for reading, form, divisor in parts:
            payload += packed(
                reading, form, divisor, value if reading == command.name else _beside(command, reading, known)
            )
    return (modbus.write_words(address, register + 4 * max(0, number - 1), payload),)


def _beside(command: Command, reading: str, known: "Readings") -> "Any":
    """Return what stands in the same word; raise OutOfRange when it is not known."""
    if known.get(reading) is None:
        raise OutOfRange(f"{command.name}: the pack keeps it in one word with {reading}, and did not tell that one")
    return known[reading]


def _control_word(command: Command, bit: int, on: bool, known: "Readings") -> bytes:
    word = _beside(command, "control_bits", known)
    # Switches that the same request changes before are newer than the word.
    for name, _at, _width, place in records.CONTROLS:
        wanted = on if place == bit else known.get(name, word >> place & 1)
        word = word & ~(1 << place) | bool(wanted) << place
    return struct.pack(">H", word)


def answered_ble(command: Command, address: int, frames: "list[Frame]") -> "bool | None":
    """Return True for the acknowledgement; it does not say what of."""
    for kind, _address, _key, payload in frames:
        if kind == ACK:
            return True
        if kind == REFUSAL:
            raise Refused(payload[0] if payload else 0, f"{command.name}: the pack says no")
    return None


def answered_uart(command: Command, address: int, frames: "list[Frame]") -> "bool | None":
    """Return True for the answer that names the identifier."""
    for kind, _address, key, payload in frames:
        if kind == ACK and key == uart.WRITE and payload[:1] == bytes((command.field[0],)):
            return True
    return None


EXCEPTIONS = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not take this value",
    4: "the write was damaged on the way, or failed inside",
}


def answered_modbus(command: Command, address: int, frames: "list[Frame]") -> "bool | None":
    """Return True for the echo of the write; raise Refused for an exception."""
    first = command.field[0]
    for kind, owner, key, payload in frames:
        if owner != address:
            continue
        if kind == ACK and key is not None and first <= key < first + 4 * max(1, command.count):
            return True
        if kind == REFUSAL and key == modbus.WRITE:
            reason = EXCEPTIONS.get(payload[0], f"Modbus exception {payload[0]}")
            raise Refused(payload[0], f"{command.name}: the pack says no: {reason}")
    return None
