"""What can be set on a pack, as one document for console, page and Home Assistant."""

from typing import Any

from ..codec.command import ACTION, NUMBER, SWITCH, Command
from ..readings.catalogue import BY_NAME, decimals, unit
from .control import Control
from .writing import key_of

# Groups in the order in which people see them; a command is in the first one that has a word of its name.
GROUPS = (
    ("switches", ()),
    ("protection", ("overvoltage", "undervoltage", "overcurrent", "overtemperature", "undertemperature",
                    "short_circuit", "cell_delta", "temperature_delta", "frontend", "power_off_voltage")),
    ("balancing", ("balanc",)),
    ("capacity", ("capacity", "soc", "soh", "cycles", "self_discharge")),
    ("charging", ("charge_voltage", "float", "rebulk", "precharge")),
    ("heating and sleep", ("heating", "sleep", "emergency", "fan")),
    ("sensors and cells", ("sensor", "cell_count", "shunt", "nominal_cell", "voltage_reference")),
    ("ports", ("protocol", "port", "address", "trigger", "contact", "gps", "parallel", "display", "buzzer")),
    ("calibration", ()),
    ("actions", ()),
    ("other", ()),
)  # fmt: skip


def group_of(command: Command) -> str:
    """Return the group in which people look for a command."""
    if "calibrat" in command.name:
        return "calibration"
    if command.kind == ACTION or command.hold:
        return "actions"
    if command.kind == SWITCH and command.name.endswith("_switch"):
        return "switches"
    return next((name for name, words in GROUPS if any(word in command.name for word in words)), "other")


def meaning_of(command: Command) -> str:
    """Return what a command is about, in one line."""
    return command.meaning or (BY_NAME[command.name][4] if command.name in BY_NAME else "")


def decimals_of(command: Command) -> int:
    """Return how many decimals its number has."""
    if command.kind != NUMBER:
        return 0
    text = f"{command.step:.6f}".rstrip("0").partition(".")[2]
    return len(text) if command.like not in BY_NAME else max(decimals(command.like), len(text))


def describe(control: Control, pack: str) -> list[dict[str, Any]]:
    """Return every command of a pack with its present value where that is known, in the order of the groups.

    Keys: command, kind, group, meaning, grant, proof; value (of a command with a count: a list); unit, decimals, low,
    high, step of numbers, low and high of texts; words of choices; count, warning, danger where there are any.
    """
    values = control.values(pack)
    rows = []
    for command in control.commands(pack):
        row: dict[str, Any] = {
            "command": command.name,
            "kind": command.kind,
            "group": group_of(command),
            "meaning": meaning_of(command),
            "grant": command.grant,
            "proof": command.proof,
        }
        if command.count:
            row["count"] = command.count
            row["value"] = [values.get(key_of(command, number)) for number in range(1, command.count + 1)]
        elif command.name in values:
            row["value"] = values[command.name]
        if command.kind == NUMBER:
            row |= {"unit": unit(command.like) if command.like in BY_NAME else "", "decimals": decimals_of(command)}
        if command.kind not in (SWITCH, ACTION):
            row |= {"words": [word for word in command.words if word]} if command.words else _range(command)
        row |= {key: text for key in ("warning", "danger") if (text := getattr(command, key))}
        row |= {key: True for key in ("secret", "hold") if getattr(command, key)}
        rows.append(row)
    order = [name for name, _ in GROUPS]
    return sorted(rows, key=lambda row: order.index(row["group"]))


def _range(command: Command) -> dict[str, Any]:
    return {"low": command.low, "high": command.high, "step": command.step}
