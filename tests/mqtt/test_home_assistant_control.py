"""Entities that change something keep Home Assistant's rules, for the commands of all dialects, and tell the truth."""

import json
from typing import Any

import discovery_rules as rules
import pytest
from discovery_samples import Entity, battery, chosen, entities, everything, told
from jinja2 import Environment

from cellwire.codec.command import (
    ACTION,
    AGREED,
    CHOICE,
    CONFIGURE,
    NUMBER,
    OPERATE,
    SERVICE,
    SWITCH,
    TEXT,
    Command,
)
from cellwire.families import dialects
from cellwire.gateway.store import Battery
from cellwire.outputs.mqtt import controls, discovery

SHED = battery()
MADE_UP = (
    Command("charge_switch", SWITCH, OPERATE, AGREED),
    Command("led_switch", SWITCH, CONFIGURE, AGREED),
    Command("cell_overvoltage_limit", NUMBER, CONFIGURE, AGREED, low=2.5, high=4.3, step=0.001),
    Command("charge_undertemperature_limit", NUMBER, CONFIGURE, AGREED, low=-30, high=20),
    Command("soc", NUMBER, CONFIGURE, AGREED, low=0, high=100, step=0.1),
    Command("battery_type", CHOICE, SERVICE, AGREED, words=("LFP", "", "Li-ion", "It's")),
    Command("user_data", TEXT, SERVICE, AGREED, low=0, high=16),
    Command("clear_alarms", ACTION, OPERATE, AGREED, reading=""),
    # None of these can be shown.
    Command("calibrate_cell", NUMBER, SERVICE, AGREED, reading="cell_voltages", low=1, high=5, count=4),
    Command("balance_odd_cells", NUMBER, SERVICE, AGREED, reading="", low=1, high=60, hold=True),
    Command("short_circuit_delay", NUMBER, CONFIGURE, AGREED, low=0.0, high=0.0008, step=0.000001),
    Command("clock", NUMBER, CONFIGURE, AGREED, low=0, high=4294967295),
)


def those_of(
    commands: tuple[Command, ...], style: str = "device", of: Battery = SHED, grant: str = "read"
) -> dict[str, Entity]:
    """Return the entities of commands, by object id."""
    messages = discovery.messages(of, discovery.seen(of.readings), chosen(style, grant=grant), commands)
    mark = f"{discovery.MARK}{discovery.slug(of.id)}-"
    found = entities(messages)
    assert len({(each["p"], each["name"]) for each in found.values()}) == len(found), "no two have one name"
    return {key.removeprefix(mark): each for key, each in found.items() if key.startswith(f"{mark}{controls.MARK}")}


def check(entity: Entity) -> None:
    """Check an entity by the rules of Home Assistant."""
    platform = entity["p"]
    assert set(entity) <= rules.CONTROL_KEYS[platform]
    assert entity["cmd_t"].startswith("cellwire/shed/set/")
    assert "+" not in entity["cmd_t"]
    assert entity.get("ent_cat", "config") == "config"
    if platform == "number":
        assert entity["min"] < entity["max"]
        assert rules.FINEST_STEP <= entity["step"] <= entity["max"] - entity["min"]
        assert entity["mode"] == "box"
        unit, device_class = entity.get("unit_of_meas"), entity.get("dev_cla")
        assert unit in rules.NUMBER_CLASSES[device_class] if device_class else unit in {None, *rules.FREE_UNITS}
    if platform == "select":
        assert entity["ops"]
        assert all(entity["ops"])
    if platform == "text":
        assert 0 <= entity["min"] <= entity["max"] <= rules.LONGEST_TEXT


# Of every dialect, as its pack tells what it is; those of more than one cell are all there.
REAL = {
    dialect.name: dialect.commands.of({**everything(), "cell_count": 16, "sensor_count": 4})
    for dialect in dialects()
    if dialect.commands
}


@pytest.mark.parametrize("style", ["device", "entity"])
@pytest.mark.parametrize("name", [*REAL, "made up"])
def test_the_commands_of_a_dialect_keep_the_rules(name: str, style: str) -> None:
    found = those_of(REAL.get(name, MADE_UP), style)
    for entity in found.values():
        check(entity)
    assert "set_charge_switch" in found or not REAL.get(name, MADE_UP)


def test_both_styles_say_the_same_of_commands() -> None:
    assert those_of(MADE_UP, "device") == those_of(MADE_UP, "entity")


def test_what_each_kind_becomes() -> None:
    found = those_of(MADE_UP)
    assert {name.removeprefix(controls.MARK): each["p"] for name, each in found.items()} == {
        "charge_switch": "switch", "led_switch": "switch", "cell_overvoltage_limit": "number",
        "charge_undertemperature_limit": "number", "soc": "number", "battery_type": "select", "user_data": "text",
        "clear_alarms": "button",
    }  # fmt: skip
    assert [name for name, each in found.items() if "ent_cat" not in each] == ["set_charge_switch", "set_clear_alarms"]
    limit = found["set_cell_overvoltage_limit"]
    assert (limit["min"], limit["max"], limit["step"], limit["unit_of_meas"], limit["dev_cla"]) == (
        2.5, 4.3, 0.001, "V", "voltage"
    )  # fmt: skip
    assert limit["name"] == "Cell overvoltage limit"
    assert found["set_charge_undertemperature_limit"]["unit_of_meas"] == "°C"
    assert "dev_cla" not in found["set_soc"], "one battery a device"
    assert found["set_battery_type"]["ops"] == ["LFP", "Li-ion", "It's"]


@pytest.mark.parametrize("style", ["device", "entity"])
def test_a_pack_is_released_with_a_button(style: str) -> None:
    assert "set_release" not in those_of(MADE_UP, style)
    button = those_of((), style, grant="operate")["set_release"]
    assert set(button) <= rules.CONTROL_KEYS["button"]
    assert (button["p"], button["name"], button["ent_cat"]) == ("button", "Release for phone app", "config")
    assert (button["cmd_t"], button["pl_prs"]) == ("cellwire/shed/release", "10")
    # Also one that cannot be read may be left to its app.
    assert button["avty"] == [{"t": "cellwire/status"}]
    assert not those_of((), style, SHED._replace(kind="bank"), "service")


def rendered(template: str, document: str) -> str:
    """Return what Home Assistant makes of a template and a message."""
    known: dict[str, Any] = {"value": document}
    if document:
        known["value_json"] = json.loads(document)
    return Environment().from_string(template).render(**known)


@pytest.mark.parametrize(
    ("command", "value", "shown"),
    [
        ("charge_switch", True, "on"),
        ("charge_switch", False, "off"),
        ("cell_overvoltage_limit", 3.65, "3.65"),
        ("cell_overvoltage_limit", 4.3, "4.3"),
        ("cell_overvoltage_limit", 4.301, "None"),  # it would be an error in its log, and the old one would stay
        ("charge_undertemperature_limit", -30, "-30"),
        ("soc", 0, "0"),
        ("battery_type", "Li-ion", "Li-ion"),
        ("battery_type", "It's", "It's"),
        ("battery_type", "other", "None"),
        ("user_data", "Shed 1", "Shed 1"),
        ("user_data", "", ""),
    ],
)
def test_states_are_what_the_pack_shows(command: str, value: Any, shown: str) -> None:
    entity = those_of(MADE_UP)[f"{controls.MARK}{command}"]
    assert rendered(entity["val_tpl"], json.dumps({"readings": {}, "controls": {command: value}})) == shown
    unknown = "" if entity["p"] == "text" else "None"
    for document in ('{"readings": {}}', '{"readings": {}, "controls": {"other": 1}}', ""):
        assert rendered(entity["val_tpl"], document) == unknown
    if entity["p"] == "text":
        (_, _, there) = entity["avty"]
        assert there["t"] == entity["stat_t"]
        assert rendered(there["val_tpl"], json.dumps({"controls": {command: value}})) == "online"
        for document in ('{"readings": {}}', '{"controls": {"other": 1}}', ""):
            assert rendered(there["val_tpl"], document) == "offline"


def test_what_is_gone_is_said_in_a_device_message() -> None:
    gone = {"set_charge_switch": "switch", "set_soc": "number"}
    (text,) = discovery.messages(SHED, (), chosen(), MADE_UP[:1], gone).values()
    components = json.loads(text)["cmps"]
    assert components["set_soc"] == {"p": "number"}
    assert len(components["set_charge_switch"]) > 1
    assert controls.kept(text) == {"set_charge_switch": "switch", "set_soc": "number"}
    assert not controls.kept(next(iter(told(SHED, chosen()).values())))


@pytest.mark.parametrize("style", ["device", "entity"])
def test_messages_of_commands_are_known_as_ours(style: str) -> None:
    for topic, text in discovery.messages(SHED, (), chosen(style), MADE_UP).items():
        assert discovery.owner(topic, text, chosen(style)) == (SHED.id, style)
