"""Packs and banks with made-up readings, and what discovery tells of them, for the tests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cellwire.gateway.config import MqttSettings
from cellwire.gateway.config.outputs import HomeAssistantSettings
from cellwire.gateway.store import Battery
from cellwire.outputs.mqtt import discovery
from cellwire.readings.catalogue import CATALOGUE, LIST

Entity = dict[str, Any]

DASHBOARD = Path(__file__).parent.parent.parent / "contrib/home-assistant/dashboard.yaml"

# What a value of each quantity may be; a list of them has as many elements as LENGTHS says.
VALUES: dict[str, Any] = {
    "cell_voltage": 3.312,
    "cell_difference": 0.012,
    "pack_voltage": 52.99,
    "current": -12.34,
    "small_current": 0.512,
    "power": -653.9,
    "percent": 81.5,
    "percent_difference": -0.7,
    "duty": 12,
    "capacity": 228.2,
    "charge": 1234.5,
    "metered_charge": 12.345,
    "metered_energy": 0.6543,
    "energy": 11800,
    "temperature": 21.5,
    "temperature_difference": 1.5,
    "resistance": 0.052,
    "countdown": 3600,
    "uptime": 86400,
    "time": 5,
    "short_time": 0.00032,
    "clock": 1_795_255_200,
    "count": 16,
    "number": 3,
    "tick": 77,
    "bits": 2**63 + 1,
    "extreme_cell": 4,
    "flag": True,
    "text": "absorption",
    "names": ["cell_overvoltage", "charge_overtemperature"],
}
LENGTHS = {"cell_voltages": 16, "cell_resistances": 16, "wire_resistances": 16, "temperatures": 4}
IDENTITY = {
    "model": "JK_PB2A16S20P",
    "manufacturer": "Jikong",
    "serial_number": "2061802302",
    "hardware_version": "15A",
    "software_version": "15.17",
}


def everything() -> dict[str, Any]:
    """Return every reading of the catalogue, as no single pack has them."""
    found = {}
    for name, quantity, kind, _group, _meaning in CATALOGUE:
        value = VALUES[quantity]
        found[name] = [value] * LENGTHS.get(name, 3) if kind == LIST and quantity != "names" else value
    return {**found, **IDENTITY}


def battery(name: str = "shed", id: str = "jk-2061802302", kind: str = "pack", **more: Any) -> Battery:
    """Return a battery that has every reading of the catalogue, unless told otherwise."""
    packs = ("shed", "garage") if kind == "bank" else ()
    identity = IDENTITY if kind == "pack" else {}
    made = Battery(kind, name, id, True, "online", True, 2.0, 1.0, 1.0, everything(), identity, "jk", packs)
    return made._replace(**more)


def chosen(style: str = "device", base: str = "cellwire", raw: bool = False, **more: Any) -> MqttSettings:
    return MqttSettings(base=base, home_assistant=HomeAssistantSettings(discovery=style, raw=raw), **more)


def told(battery: Battery, settings: MqttSettings) -> dict[str, str]:
    """Return the messages of a battery whose readings are all that was ever seen of it."""
    return discovery.messages(battery, discovery.seen(battery.readings), settings)


def entities(messages: dict[str, str]) -> dict[str, Entity]:
    """Return all entities that the messages describe, by unique id; each with its platform as "p" and its device."""
    found: dict[str, Entity] = {}
    for topic, text in messages.items():
        message = json.loads(text)
        if "cmps" in message:
            shared = {key: message[key] for key in ("avty", "stat_t", "dev", "o", "avty_mode")}
            described = [{**shared, **component} for component in message["cmps"].values()]
        else:
            described = [{**message, "p": topic.split("/")[-4]}]
        for entity in described:
            assert entity["uniq_id"] not in found
            found[entity["uniq_id"]] = entity
    return found


def entity_id(entity: Entity) -> str:
    """Return the id that Home Assistant makes of names in plain letters."""
    words = f"{entity['dev']['name']} {entity['name']}".lower()
    return f"{entity['p']}." + re.sub(r"[^a-z0-9]+", "_", words).strip("_")


def enabled(messages: dict[str, str]) -> dict[str, Entity]:
    """Return the entities that are enabled from the start, by entity id."""
    return {entity_id(each): each for each in entities(messages).values() if each.get("en", True)}


def document(battery: Battery, **readings: Any) -> str:
    """Return the state of a battery as it is published."""
    shown = {**battery.readings, **readings}
    problems = [alarm for name in ("faults", "protections", "warnings") for alarm in shown.get(name, ())]
    return json.dumps({battery.kind: battery.name, "id": battery.id, "readings": shown, "problems": problems})


def dashboard() -> Any:
    """Return the dashboard that comes with us, as Home Assistant reads it."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load(DASHBOARD.read_text(encoding="utf-8"))


def named(part: Any) -> Iterator[str]:
    """Yield the entity ids in a part of the dashboard."""
    if isinstance(part, dict):
        if "entity" in part:
            yield part["entity"]
        yield from re.findall(r"states\('(.+?)'\)", part.get("content", ""))
    if isinstance(part, (dict, list)):
        for each in part.values() if isinstance(part, dict) else part:
            yield from named(each)
