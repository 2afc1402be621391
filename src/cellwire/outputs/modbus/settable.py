"""The registers that can be written: switches and limits, as commands of the pack."""

import struct
from typing import Any

from .registers import TYPES, registers, size

BASE = 200
SWITCH = "switch"  # in place of a unit: 1 is on, 0 is off
# register, type, factor, unit of the register, command. Value times factor is what the register holds. Up to 209 they
# are what is operated every day, from 210 on what is set once.
ROWS: tuple[tuple[int, str, float, str, str], ...] = (
    (200, "uint16", 1, SWITCH, "charge_switch"),
    (201, "uint16", 1, SWITCH, "discharge_switch"),
    (202, "uint16", 1, SWITCH, "balancer_switch"),
    (203, "uint16", 1, SWITCH, "heating_switch"),
    (210, "uint16", 1000, "mV", "cell_overvoltage_limit"),
    (211, "uint16", 1000, "mV", "cell_overvoltage_release"),
    (212, "uint16", 1000, "mV", "cell_undervoltage_limit"),
    (213, "uint16", 1000, "mV", "cell_undervoltage_release"),
    (214, "uint16", 100, "0.01 V", "pack_overvoltage_limit"),
    (215, "uint16", 100, "0.01 V", "pack_overvoltage_release"),
    (216, "uint16", 100, "0.01 V", "pack_undervoltage_limit"),
    (217, "uint16", 100, "0.01 V", "pack_undervoltage_release"),
    (218, "uint16", 10, "0.1 A", "charge_overcurrent_limit"),
    (219, "uint16", 10, "0.1 A", "discharge_overcurrent_limit"),
    (220, "uint16", 1000, "mV", "balance_start"),
    (221, "uint16", 1000, "mV", "balance_delta"),
    (222, "int16", 10, "0.1 degC", "charge_overtemperature_limit"),
    (223, "int16", 10, "0.1 degC", "charge_overtemperature_release"),
    (224, "int16", 10, "0.1 degC", "charge_undertemperature_limit"),
    (225, "int16", 10, "0.1 degC", "charge_undertemperature_release"),
    (226, "int16", 10, "0.1 degC", "discharge_overtemperature_limit"),
    (227, "int16", 10, "0.1 degC", "discharge_overtemperature_release"),
    (228, "int16", 10, "0.1 degC", "discharge_undertemperature_limit"),
    (229, "int16", 10, "0.1 degC", "discharge_undertemperature_release"),
    (230, "uint16", 10, "0.1 %", "soc"),
    (232, "uint32", 1000, "mAh", "design_capacity"),
)
END = 234


class Missing(Exception):
    """A register that does not exist, or cannot be written."""


class Wrong(Exception):
    """A value that no command can have, or a half of one."""


def image(values: dict[str, Any]) -> bytes:
    """Return all registers from BASE on; values: what the pack shows of its commands."""
    content = bytearray(b"\xff" * (2 * (END - BASE)))
    for register, kind, factor, _, command in ROWS:
        at = 2 * (register - BASE)
        content[at : at + 2 * size(kind)] = registers(kind, values.get(command), factor)
    return bytes(content)


def changes(first: int, content: bytes) -> dict[str, Any]:
    """Return the values of the commands that registers from `first` on are written with; raise Missing or Wrong."""
    found: dict[str, Any] = {}
    last = first + len(content) // 2
    at = first
    while at < last:
        row = next((row for row in ROWS if row[0] <= at < row[0] + size(row[1])), None)
        if row is None:
            raise Missing
        register, kind, factor, unit, command = row
        if register < at or register + size(kind) > last:
            raise Wrong
        form, low, high, _ = TYPES[kind]
        (raw,) = struct.unpack_from(form, content, 2 * (at - first))
        if not low <= raw <= high or (unit == SWITCH and raw > 1):
            raise Wrong
        found[command] = bool(raw) if unit == SWITCH else raw if factor == 1 else raw / factor
        at += size(kind)
    return found
