"""How Home Assistant changes something: the entity of each command that may be done over MQTT."""

import json
from collections.abc import Sequence
from typing import Any

from ...gateway.config import MqttSettings
from ...gateway.control import ACTION, CHOICE, NUMBER, OPERATE, READ, SWITCH, TEXT, Command
from ...gateway.release import USUAL
from ...gateway.store import Battery
from ...readings.catalogue import BY_NAME, unit
from .classes import DEVICE_CLASSES, UNITS, title
from .topics import RELEASE

Payload = dict[str, Any]

PLATFORMS = {SWITCH: "switch", NUMBER: "number", CHOICE: "select", TEXT: "text", ACTION: "button"}
OURS = set(PLATFORMS.values())
CONFIG = "config"  # category of what is set once; switches that are used every day have none
MARK = "set_"  # begins the object ids, so that none is that of a reading
FINEST = 0.001  # the smallest step that Home Assistant knows
LONGEST = 255  # characters of a text
ON, OFF = "on", "off"


def entities(battery: Battery, settings: MqttSettings, commands: Sequence[Command]) -> dict[str, tuple[str, Payload]]:
    """Return platform and description of each command's entity, by its object id.

    Commands of single cells or sensors, and those whose effect ends by itself, have none.
    """
    topic = f"{settings.base}/{battery.name}"
    found = {
        MARK + command.name: (PLATFORMS[command.kind], _entity(command, topic))
        for command in commands
        if not command.count and not command.hold and _fits(command)
    }
    if battery.kind == "pack" and settings.grant != READ:
        found[MARK + RELEASE] = PLATFORMS[ACTION], _release(topic)
    return found


def _release(topic: str) -> Payload:
    """Return the button that leaves the pack to the phone app; also one that cannot be read may be left to it."""
    base = topic.rpartition("/")[0]
    return {
        "name": "Release for phone app",
        "cmd_t": f"{topic}/{RELEASE}",
        "pl_prs": f"{USUAL:g}",
        "ent_cat": CONFIG,
        "avty": [{"t": f"{base}/status"}],
    }


def described(commands: Sequence[Command]) -> tuple[Any, ...]:
    """Return all that the entities are made of, to be compared."""
    return tuple((each.name, each.kind, each.grant, each.low, each.high, each.step, each.words) for each in commands)


def kept(text: str) -> dict[str, str]:
    """Return platform by object id of the commands' entities in a device message; raise ValueError or the like."""
    components = json.loads(text)["cmps"]
    return {name: each["p"] for name, each in components.items() if name.startswith(MARK) and each["p"] in OURS}


def _fits(command: Command) -> bool:
    """Return whether Home Assistant can show what a command sets; a clock that ticks is no number for people."""
    if command.kind != NUMBER:
        return True
    return command.high - command.low >= FINEST and (command.like not in BY_NAME or BY_NAME[command.like][1] != "clock")


def _entity(command: Command, topic: str) -> Payload:
    entity: Payload = {"name": title(command.name), "cmd_t": f"{topic}/set/{command.name}"}
    if command.grant != OPERATE:
        entity["ent_cat"] = CONFIG
    # `value` is empty when the topic is cleared, and there is no `value_json` then.
    value = f"(value_json.controls | default({{}})).{command.name}"
    if command.kind == ACTION:
        return {**entity, "pl_prs": ON}
    if command.kind == SWITCH:
        state = f"{{{{ 'None' if not value or {value} is not defined else '{ON}' if {value} else '{OFF}' }}}}"
        return {**entity, "pl_on": ON, "pl_off": OFF, "val_tpl": state}
    if command.kind == NUMBER:
        inside = f"{value} is number and {command.low} <= {value} <= {command.high}"
        return {**entity, **_number(command), "val_tpl": f"{{{{ {value} if value and {inside} else 'None' }}}}"}
    if command.kind == CHOICE:
        words = [word for word in command.words if word]
        return {**entity, "ops": words, "val_tpl": f"{{{{ {value} if value and {value} in {words} else 'None' }}}}"}
    # A text has no way to be unknown; it is unavailable then.
    there = f"{{{{ 'online' if value and {value} is defined else 'offline' }}}}"
    base = topic.rpartition("/")[0]
    return {
        **entity,
        "min": int(command.low),
        "max": min(int(command.high), LONGEST),
        "val_tpl": f"{{{{ {value} if value else '' }}}}",
        "avty": [{"t": f"{base}/status"}, {"t": f"{topic}/availability"}, {"t": f"{topic}/state", "val_tpl": there}],
    }


def _number(command: Command) -> Payload:
    found: Payload = {"min": command.low, "max": command.high, "step": max(command.step, FINEST), "mode": "box"}
    if command.like in BY_NAME:
        plain, quantity = unit(command.like), BY_NAME[command.like][1]
        if plain:
            found["unit_of_meas"] = UNITS.get(plain, plain)
            if DEVICE_CLASSES.get(quantity) not in (None, "timestamp"):
                found["dev_cla"] = DEVICE_CLASSES[quantity]
    return found
