"""Tells Home Assistant of packs and banks: the discovery messages, made of what was seen of each, and how to know them.

Nothing here sends anything. All entities of a battery take their values from its one state topic.
"""

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ... import __version__
from ...gateway.config import MqttSettings
from ...gateway.control import Command
from ...gateway.store import Battery
from ...readings.catalogue import CATALOGUE, LIST
from . import controls
from .classes import BINARY_SENSOR, DIAGNOSTIC, PLAIN, RAW, SENSOR, look

Payload = dict[str, Any]

# Sent to a retained message of the other style, it makes Home Assistant keep the entities while the style changes.
MIGRATE = '{"migrate_discovery": true}'
ORIGIN = "Cellwire"
MARK = "cellwire-"  # begins every object, node, identifier and unique id
ALARMS = ("faults", "protections", "warnings")
# Where the serial number of a device is looked for, in the order in which the gateway makes a pack's identity of them.
SERIALS = ("serial_number", "battery_code", "pack_serial_number", "barcode")
LONGEST = 255  # characters of a state
PLATFORMS = (SENSOR, BINARY_SENSOR, *controls.PLATFORMS.values())


def seen(readings: Mapping[str, Any]) -> set[str]:
    """Return the names of readings, those of a list one by one: "cell_voltages/1" is that of cell 1.

    Sensors that are not fitted have no name. What was seen this way stays known while the pack is away.
    """
    found = set(readings)
    for name, quantity, kind, _group, _meaning in CATALOGUE:
        if kind == LIST and quantity != "names":
            elements = enumerate(readings.get(name, ()), 1)
            found |= {f"{name}/{number}" for number, element in elements if element is not None}
    return found


def messages(
    battery: Battery,
    names: Collection[str],
    settings: MqttSettings,
    commands: Sequence[Command] = (),
    gone: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the retained messages that describe a pack or bank, by topic; none when it is switched off.

    names: every reading seen of it since it is settled, as `seen` names them, so that lists keep their length
    commands: those that may be done; gone: platform by object id of entities of those that may not be any more
    """
    style, prefix = settings.home_assistant.discovery, settings.home_assistant.prefix
    if style == "off" or not battery.settled:
        return {}
    node = MARK + slug(battery.id)
    topic = f"{settings.base}/{battery.name}"
    shared = {
        "dev": _device(battery),
        "o": {"name": ORIGIN, "sw": __version__},
        "avty": [{"t": f"{settings.base}/status"}, {"t": f"{topic}/availability"}],
        "avty_mode": "all",
        "stat_t": f"{topic}/state",
    }
    described = _entities(battery, {*names, *seen(battery.readings)}, settings)
    described |= controls.entities(battery, settings, commands)
    entities = {
        object_id: (platform, {**entity, "uniq_id": f"{node}-{object_id}"})
        for object_id, (platform, entity) in described.items()
    }
    if style == "device":
        # Of a component that is not there any more Home Assistant wants to hear that; left out it would stay.
        components = {object_id: {"p": platform} for object_id, platform in gone.items() if object_id not in entities}
        components |= {object_id: {"p": platform, **entity} for object_id, (platform, entity) in entities.items()}
        return {f"{prefix}/device/{node}/config": _json({**shared, "cmps": components})}
    return {
        f"{prefix}/{platform}/{node}/{object_id}/config": _json({**shared, **entity})
        for object_id, (platform, entity) in entities.items()
    }


def patterns(settings: MqttSettings) -> list[str]:
    """Return the topic filters below which our messages of both styles lie, beside those of others."""
    prefix = settings.home_assistant.prefix
    return [f"{prefix}/device/+/config", *(f"{prefix}/{platform}/+/+/config" for platform in PLATFORMS)]


def owner(topic: str, payload: str, settings: MqttSettings) -> tuple[str, str] | None:
    """Return the identity and style of a message that a gateway with this base topic wrote, None for all others."""
    match = re.fullmatch(
        re.escape(settings.home_assistant.prefix) + rf"/(?:(device)|(?:{'|'.join(PLATFORMS)})/[^/]+)/[^/]+/config",
        topic,
    )
    try:
        message = json.loads(payload)
        (identifier,) = message["dev"]["ids"]
        ours = message["o"]["name"] == ORIGIN and message["avty"][0]["t"] == f"{settings.base}/status"
        known = ours and identifier.startswith(MARK)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    if not match or not known:
        return None
    return identifier.removeprefix(MARK), "device" if match[1] else "entity"


def is_control(topic: str, settings: MqttSettings) -> bool:
    """Return whether a topic is that of one command's entity."""
    return topic.removeprefix(settings.home_assistant.prefix + "/").split("/")[0] in controls.OURS


def slug(identity: str) -> str:
    """Return the identity as it may stand in a discovery topic; no two have the same."""
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", identity)
    return plain if plain == identity else f"{plain}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def _device(battery: Battery) -> Payload:
    known = battery.identity
    serials = (known[name] for name in SERIALS if name in known)
    found = {
        "mdl": known.get("model"),
        "mf": known.get("manufacturer"),
        "sw": known.get("software_version"),
        "hw": known.get("hardware_version"),
        "sn": next(serials, None),
    }
    if battery.kind == "bank":
        found["mdl"] = f"Bank of {len(battery.packs)} pack{'s' if len(battery.packs) > 1 else ''}"
    device = {"ids": [MARK + battery.id], "name": battery.name}
    return device | {key: str(value) for key, value in found.items() if value}


def _entities(battery: Battery, names: Collection[str], settings: MqttSettings) -> dict[str, tuple[str, Payload]]:
    """Return platform and description of each entity, by its object id."""
    found = {"connection": (BINARY_SENSOR, _connection(battery, settings))}
    alarms = [name for name in ALARMS if name in names]
    if alarms:
        found.update(_problems(alarms, _expiry(battery, "alarms", settings)))
    for name, quantity, kind, group, _meaning in CATALOGUE:
        shown = look(name)
        if shown is None:
            continue
        common = {
            "dev_cla": shown.device_class,
            "stat_cla": shown.state_class,
            "unit_of_meas": shown.unit,
            "sug_dsp_prc": shown.precision,
            **_level(shown.level, settings),
            "exp_aft": _expiry(battery, group, settings),
        }
        common = {key: value for key, value in common.items() if value not in ("", None)}
        value = f"value_json.readings.{name}"
        if kind != LIST or quantity == "names":
            if name in names:
                found[name] = (shown.platform, {"name": shown.name, **common, "val_tpl": _template(value, quantity)})
            continue
        for number in sorted(int(each.rpartition("/")[2]) for each in names if each.startswith(f"{name}/")):
            template = _template(f"({value} | default([]))[{number - 1}]", quantity)
            described = {"name": f"{shown.name} {number}", **common, "val_tpl": template}
            found[f"{name}_{number}"] = (shown.platform, described)
    return found


def _connection(battery: Battery, settings: MqttSettings) -> Payload:
    """Say whether the battery can be read; it is known as long as the gateway is there."""
    return {
        "name": "Connection",
        "dev_cla": "connectivity",
        "ent_cat": DIAGNOSTIC,
        "avty": [{"t": f"{settings.base}/status"}],
        "stat_t": f"{settings.base}/{battery.name}/availability",
        "pl_on": "online",
        "pl_off": "offline",
    }


def _problems(alarms: Collection[str], expiry: int) -> dict[str, tuple[str, Payload]]:
    """Say whether there is a problem, and which; that there is none is known when every list of alarms is."""
    known = " and ".join(f"value_json.readings.{name} is defined" for name in alarms)
    unknown = f"not value or not (value_json.problems or {known})"
    problem = {
        "name": "Problem",
        "dev_cla": "problem",
        "exp_aft": expiry,
        "val_tpl": f"{{{{ 'None' if {unknown} else 'ON' if value_json.problems else 'OFF' }}}}",
    }
    problems = {
        "name": "Problems",
        "exp_aft": expiry,
        "val_tpl": f"{{{{ 'None' if {unknown} else {_joined('value_json.problems')} }}}}",
    }
    return {"problem": (BINARY_SENSOR, problem), "problems": (SENSOR, problems)}


def _level(level: str, settings: MqttSettings) -> Payload:
    if level == PLAIN:
        return {}
    hidden = level == RAW and not settings.home_assistant.raw
    return {"ent_cat": DIAGNOSTIC, **({"en": False} if hidden else {})}


def _expiry(battery: Battery, group: str, settings: MqttSettings) -> int:
    """Return the seconds after which a value of that group is not true any more when nothing came."""
    period: float = getattr(settings.periods, group)
    return math.ceil(3 * max(battery.every, settings.refresh, period))


def _template(value: str, quantity: str) -> str:
    """Return the template of a reading; one that is absent is unknown, which Home Assistant wants spelled 'None'.

    `value` is empty when the topic is cleared, and there is no `value_json` then.
    """
    if quantity == "flag":
        present = f"'ON' if {value} else 'OFF'"
    elif quantity == "names":
        present = _joined(value)
    elif quantity == "clock":
        present = f"{value} | timestamp_utc"
    else:
        default = "'None', true" if quantity == "text" else "'None'"
        return f"{{{{ {value} | default({default}) if value else 'None' }}}}"
    return f"{{{{ 'None' if not value or {value} is not defined else {present} }}}}"


def _joined(value: str) -> str:
    """Return the expression of a list of names as a text; an empty text would not be taken for a state."""
    return f"({value} | join(', ') | default('none', true))[:{LONGEST}]"


def _json(payload: Payload) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
