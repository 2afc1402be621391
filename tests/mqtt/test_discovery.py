"""Discovery by Home Assistant, without one: the messages keep its rules, for everything in the catalogue."""

import itertools
import json
import re
from typing import Any

import discovery_rules as rules
import pytest
from discovery_samples import Entity, battery, chosen, document, enabled, entities, entity_id, everything, told
from hypothesis import given
from hypothesis import strategies as st

from cellwire import __version__
from cellwire.gateway.store import Battery
from cellwire.outputs.mqtt import discovery
from cellwire.outputs.mqtt.classes import LEFT_OUT, LEVELS, NAMES, look, title
from cellwire.readings.catalogue import BY_NAME, CATALOGUE, LIST

STYLES = ("device", "entity")
each_style = pytest.mark.parametrize("style", STYLES)
each_kind = pytest.mark.parametrize("kind", ["pack", "bank"])

SHED = battery()
HOUSE = battery("house", "bank-house", "bank")


def of(battery: Battery, reading: str, style: str = "device", **more: Any) -> Entity:
    """Return the entity of a reading or element."""
    node = discovery.MARK + discovery.slug(battery.id)
    return entities(told(battery, chosen(style, **more)))[f"{node}-{reading}"]


def check_sensor(entity: Entity) -> None:
    assert set(entity) <= rules.SENSOR_KEYS
    device_class, state_class = entity.get("dev_cla"), entity.get("stat_cla")
    unit = entity.get("unit_of_meas")
    if device_class is None:
        assert unit is None or unit in rules.FREE_UNITS
        assert state_class is None or state_class in rules.STATE_CLASSES
    else:
        units, states = rules.SENSOR_CLASSES[device_class]
        assert unit in units or (unit is None and not units)
        assert state_class is None or state_class in states
    if "sug_dsp_prc" in entity:
        assert unit, "a precision makes Home Assistant expect a number"
        assert 0 <= entity["sug_dsp_prc"] <= 6


# The rules of Home Assistant, over the whole catalogue


@each_style
@each_kind
@pytest.mark.parametrize("raw", [False, True])
def test_classes_units_and_state_classes_go_together(style: str, kind: str, raw: bool) -> None:
    for entity in entities(told(battery(kind=kind), chosen(style, raw=raw))).values():
        assert entity["p"] in ("sensor", "binary_sensor")
        if entity["p"] == "sensor":
            check_sensor(entity)
        else:
            assert set(entity) <= rules.BINARY_SENSOR_KEYS
            assert entity.get("dev_cla", "power") in rules.BINARY_SENSOR_CLASSES
        assert entity.get("ent_cat", "diagnostic") == "diagnostic", "only a setting that can be made may be config"
        assert entity.get("en", False) is False, "true is the default and left out"
        assert not raw or "en" not in entity, "raw enables everything"
        assert entity["name"]
        assert entity["uniq_id"]


def test_every_reading_is_an_entity_or_left_out_on_purpose() -> None:
    shown = {key.rpartition("-")[2] for key in entities(told(SHED, chosen()))}
    lists = {name for name, quantity, kind, _group, _meaning in CATALOGUE if kind == LIST and quantity != "names"}
    single = set(BY_NAME) - lists
    assert single - shown == LEFT_OUT & single
    for name in lists - LEFT_OUT:
        assert f"{name}_1" in shown
    assert set(LEVELS) | set(NAMES) | LEFT_OUT <= set(BY_NAME), "the exceptions are readings"


@each_style
def test_only_known_keys_stand_in_the_messages(style: str) -> None:
    known = {*rules.ABBREVIATIONS, *rules.DEVICE_ABBREVIATIONS, *rules.NOT_ABBREVIATED}

    def walk(value: Any, beneath: str = "") -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                assert beneath == "cmps" or key in known, key
                walk(each, key)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    for text in told(SHED, chosen(style)).values():
        walk(json.loads(text))


@each_style
def test_a_topic_is_one_that_home_assistant_takes(style: str) -> None:
    odd = battery("Gärten 1.2", "bank-Gärten 1.2/x")
    for topic in told(odd, chosen(style)):
        assert re.fullmatch(r"homeassistant/\w+/(?:[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config", topic)


# What each reading becomes


@pytest.mark.parametrize(
    ("reading", "device_class", "state_class", "unit"),
    [
        ("soc", "battery", "measurement", "%"),
        ("soh", None, "measurement", "%"),
        ("counted_soc", None, "measurement", "%"),
        ("voltage", "voltage", "measurement", "V"),
        ("current", "current", "measurement", "A"),
        ("power", "power", "measurement", "W"),
        ("energy_in", "energy", "total_increasing", "kWh"),
        ("energy_out", "energy", "total_increasing", "kWh"),
        ("charge_in", None, "total_increasing", "Ah"),
        ("energy", "energy_storage", "measurement", "Wh"),
        ("remaining_capacity", None, "measurement", "Ah"),
        ("cycles", None, "total_increasing", None),
        ("temperatures_2", "temperature", "measurement", "°C"),
        ("temperature_delta", None, "measurement", "K"),
        ("temperature_delta_limit", None, None, "K"),
        ("cell_voltages_16", "voltage", "measurement", "V"),
        ("cell_resistances_1", None, "measurement", "Ω"),
        ("time_to_empty", "duration", "measurement", "s"),
        ("last_full", "timestamp", None, None),
        ("charge_mosfet", "power", None, None),
        ("balancing", "running", None, None),
        ("problem", "problem", None, None),
        ("connection", "connectivity", None, None),
    ],
)
def test_what_a_reading_becomes(reading: str, device_class: str, state_class: str, unit: str) -> None:
    entity = of(SHED, reading)
    assert (entity.get("dev_cla"), entity.get("stat_cla"), entity.get("unit_of_meas")) == (
        device_class,
        state_class,
        unit,
    )


def test_the_front_is_kept_clear() -> None:
    for name, quantity, _kind, group, _meaning in CATALOGUE:
        shown = look(name)
        if shown and (group in ("settings", "identity", "link") or quantity in ("bits", "resistance")):
            assert shown.level == "raw", name
    assert of(SHED, "alarm_bits")["en"] is False
    assert of(SHED, "alarm_bits")["ent_cat"] == "diagnostic"
    assert "en" not in of(SHED, "alarm_bits", raw=True)
    for plain in ("soc", "voltage", "current", "power", "energy_in", "cell_voltages_1", "charge_mosfet", "problem"):
        assert "ent_cat" not in of(SHED, plain)
        assert "en" not in of(SHED, plain)


def test_there_is_one_battery_a_device() -> None:
    batteries = [each for each in entities(told(SHED, chosen())).values() if each.get("dev_cla") == "battery"]
    assert [each["name"] for each in batteries] == ["State of charge"]


def test_names_are_in_sentence_case() -> None:
    assert title("soc") == "State of charge"
    assert title("mosfet_temperature") == "MOSFET temperature"
    assert title("port_rs485") == "Port RS485"
    assert of(SHED, "cell_voltages_1")["name"] == "Cell voltage 1"
    for name in BY_NAME:
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 ]*", title(name)), name


# The device, its name and its ids


def test_the_device_says_what_is_known() -> None:
    (text,) = told(SHED, chosen()).values()
    message = json.loads(text)
    assert message["dev"] == {
        "ids": ["cellwire-jk-2061802302"],
        "name": "shed",
        "mdl": "JK_PB2A16S20P",
        "mf": "Jikong",
        "sw": "15.17",
        "hw": "15A",
        "sn": "2061802302",
    }
    assert message["o"] == {"name": "Cellwire", "sw": __version__}
    assert message["stat_t"] == "cellwire/shed/state"
    assert message["avty"] == [{"t": "cellwire/status"}, {"t": "cellwire/shed/availability"}]
    assert message["avty_mode"] == "all"


def test_a_device_without_an_identity_has_a_name_only() -> None:
    (text,) = told(battery(identity={}), chosen()).values()
    assert json.loads(text)["dev"] == {"ids": ["cellwire-jk-2061802302"], "name": "shed"}
    (text,) = told(battery(identity={"barcode": "B7", "pack_serial_number": "P1"}), chosen()).values()
    assert json.loads(text)["dev"]["sn"] == "P1"


def test_a_bank_says_how_many_packs_it_has() -> None:
    (text,) = told(HOUSE, chosen()).values()
    assert json.loads(text)["dev"] == {"ids": ["cellwire-bank-house"], "name": "house", "mdl": "Bank of 2 packs"}


@each_style
def test_renaming_changes_the_name_of_the_device_and_the_topics_alone(style: str) -> None:
    before, after = told(SHED, chosen(style)), told(battery("Garden shed"), chosen(style))
    assert list(before) == list(after)
    was, now = entities(before), entities(after)
    assert list(was) == list(now)
    for key, entity in was.items():
        renamed = json.loads(json.dumps(entity).replace("/shed/", "/Garden shed/"))
        assert now[key] == {**renamed, "dev": {**entity["dev"], "name": "Garden shed"}}


def test_no_two_entities_have_one_unique_id() -> None:
    # Two packs of one model, ids that differ by what may not stand in a topic, and one that ends as a reading begins.
    ids = ["jk-1", "jk-2", "bank-a b", "bank-a_b", "bank-a.b", "bank-x", "bank-x-bank", "bank-x_bank", "jk-1-voltage"]
    for style in STYLES:
        several = [told(battery(f"p{number}", each), chosen(style)) for number, each in enumerate(ids)]
        keys = [key for messages in several for key in entities(messages)]
        assert len(set(keys)) == len(keys)
        topics = [topic for messages in several for topic in messages]
        assert len(set(topics)) == len(topics)


def test_both_styles_say_the_same() -> None:
    device, entity = entities(told(SHED, chosen("device"))), entities(told(SHED, chosen("entity")))
    assert device == entity
    # The ids by which Home Assistant knows both as the same, for the way from one to the other.
    (topic,) = told(SHED, chosen("device"))
    node = topic.split("/")[-2]
    components = json.loads(next(iter(told(SHED, chosen("device")).values())))["cmps"]
    assert {f"homeassistant/{each['p']}/{node}/{key}/config" for key, each in components.items()} == set(
        told(SHED, chosen("entity"))
    )


@each_kind
def test_no_two_entities_of_a_device_have_one_name(kind: str) -> None:
    found = entities(told(battery(kind=kind), chosen(raw=True))).values()
    ids = [entity_id(each) for each in found]
    assert len(set(ids)) == len(ids)


@given(st.text(min_size=1), st.text(min_size=1))
def test_slugs_are_plain_and_differ(one: str, other: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", discovery.slug(one))
    assert (discovery.slug(one) == discovery.slug(other)) == (one == other)


def test_slugs_of_ids_as_they_are() -> None:
    assert discovery.slug("jbd-0011223344") == "jbd-0011223344"
    assert re.fullmatch(r"bank-garden_shed-[0-9a-f]{8}", discovery.slug("bank-garden shed"))
    assert discovery.slug("bank-garden shed") != discovery.slug("bank-garden.shed")


# When they change


def test_the_same_battery_is_told_the_same_way() -> None:
    names = sorted(discovery.seen(SHED.readings))
    for style in STYLES:
        one = discovery.messages(SHED, names, chosen(style))
        two = discovery.messages(SHED, names[::-1], chosen(style))
        assert list(one.items()) == list(two.items())
    later = SHED._replace(readings={**SHED.readings, "voltage": 49.9}, time=9.0, seen=9.0)
    assert told(later, chosen()) == told(SHED, chosen())


@each_style
def test_a_pack_that_is_away_keeps_all_its_entities(style: str) -> None:
    names = discovery.seen(SHED.readings)
    away = SHED._replace(live=False, state="lost", readings={})
    assert discovery.messages(away, names, chosen(style)) == discovery.messages(SHED, names, chosen(style))


def test_elements_are_those_that_were_seen() -> None:
    readings = {"temperatures": [20.5, None, 21.0], "cell_voltages": [3.3] * 4}
    assert discovery.seen(readings) == {
        *readings,
        *("temperatures/1", "temperatures/3"),
        *(f"cell_voltages/{number}" for number in (1, 2, 3, 4)),
    }
    found = entities(told(battery(readings=readings), chosen()))
    assert [key.rpartition("-")[2] for key in found] == [
        "connection",
        *(f"cell_voltages_{number}" for number in (1, 2, 3, 4)),
        "temperatures_1",
        "temperatures_3",
    ]


def test_plain_names_do_while_the_readings_are_there() -> None:
    assert discovery.messages(SHED, list(SHED.readings), chosen()) == told(SHED, chosen())


def test_nothing_is_told_of_what_has_no_identity_yet_or_when_switched_off() -> None:
    assert told(battery(settled=False), chosen()) == {}
    assert told(SHED, chosen("off")) == {}


def test_a_battery_without_alarms_has_no_problem_entity() -> None:
    found = entities(told(battery(readings={"voltage": 13.2}), chosen()))
    assert [key.rpartition("-")[2] for key in found] == ["connection", "voltage"]


def test_values_expire_after_three_times_the_longest_pause() -> None:
    assert of(SHED, "voltage")["exp_aft"] == 180, "the refresh"
    assert of(SHED, "cycles")["exp_aft"] == 900, "the period of the group"
    assert of(SHED, "problem")["exp_aft"] == 180
    assert of(battery(every=200.0), "voltage")["exp_aft"] == 600, "the interval of the pack"
    assert of(SHED, "voltage", refresh=1.5)["exp_aft"] == 15, "a whole number"
    for entity in entities(told(SHED, chosen())).values():
        assert entity["name"] == "Connection" or isinstance(entity["exp_aft"], int)


def test_the_connection_hangs_on_the_gateway_alone() -> None:
    for style in STYLES:
        entity = of(SHED, "connection", style)
        assert entity["avty"] == [{"t": "cellwire/status"}]
        assert entity["stat_t"] == "cellwire/shed/availability"
        assert (entity["pl_on"], entity["pl_off"]) == ("online", "offline")
        assert "exp_aft" not in entity, "it is not published again and again"


# Sizes


def test_messages_stay_small() -> None:
    lists = {"cell_voltages": [3.3] * 16, "cell_resistances": [0.05] * 16, "temperatures": [20.0] * 4}
    usual = {name: value for name, value in everything().items() if BY_NAME[name][3] not in ("settings", "identity")}
    usual = {name: value for name, value in usual.items() if not name.endswith(("_timer", "_count"))} | lists
    (text,) = told(battery(readings=usual), chosen()).values()
    assert len(text.encode()) < 50_000, "far more than any pack has"
    (text,) = told(SHED, chosen()).values()
    assert len(text.encode()) < 160_000, "the whole catalogue"
    assert max(len(text) for text in told(SHED, chosen("entity")).values()) < 1000


# Which messages are ours


@each_style
def test_knows_its_own(style: str) -> None:
    odd = battery("Gärten", "bank-Gärten 1")
    for settings in (chosen(style), chosen(style, base="home/battery")):
        for topic, payload in told(odd, settings).items():
            assert discovery.owner(topic, payload, settings) == ("bank-Gärten 1", style)
            assert any(fits(pattern, topic) for pattern in discovery.patterns(settings))


def fits(pattern: str, topic: str) -> bool:
    return re.fullmatch(pattern.replace("+", "[^/]+"), topic) is not None


@each_style
def test_leaves_others_alone(style: str) -> None:
    settings = chosen(style)
    for topic, payload in told(SHED, chosen(style, base="cellwire2")).items():
        assert discovery.owner(topic, payload, settings) is None, "another gateway of ours"
    topic, payload = next(iter(told(SHED, settings).items()))
    message = json.loads(payload)
    changes: tuple[Any, ...] = ({"o": {"name": "zigbee2mqtt"}}, {"o": None}, {"dev": {"ids": ["x", "y"]}}, {"avty": []})
    for change in changes:
        assert discovery.owner(topic, json.dumps({**message, **change}), settings) is None
    assert discovery.owner("homeassistant/light/x/config", payload, settings) is None
    assert discovery.owner(f"other/{topic}", payload, settings) is None
    assert discovery.owner(topic, "", settings) is None
    assert discovery.owner(topic, discovery.MIGRATE, settings) is None
    assert discovery.owner(topic, "[" * 100_000, settings) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just("cellwire-x"),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["dev", "ids", "o", "name", "avty", "t", "cmps"]), each, max_size=5)
    ),
    max_leaves=15,
)


@given(JSON.map(json.dumps) | st.text())
def test_survives_any_payload(payload: str) -> None:
    for topic in ("homeassistant/device/x/config", "homeassistant/sensor/x/y/config"):
        found = discovery.owner(topic, payload, chosen())
        assert found is None or "cellwire-" in payload


def test_migration_is_what_home_assistant_waits_for() -> None:
    assert json.loads(discovery.MIGRATE) == {"migrate_discovery": True}


# Templates

RENDERED = {
    "voltage": "52.99",
    "current": "-12.34",
    "cell_voltages_16": "3.312",
    "temperatures_1": "21.5",
    "charge_mosfet": "ON",
    "charge_phase": "absorption",
    "short_circuit_delay": "0.00032",
    "alarm_bits": str(2**63 + 1),
    "warnings": "cell_overvoltage, charge_overtemperature",
    "last_full": "2026-11-21T10:00:00+00:00",
    "problem": "ON",
}


def test_every_template_has_a_way_out_for_what_is_absent() -> None:
    for entity in entities(told(SHED, chosen())).values():
        if entity["name"] != "Connection":
            assert re.fullmatch(r"\{\{ .*'None'.* \}\}", entity["val_tpl"])
            assert entity["val_tpl"].count("(") == entity["val_tpl"].count(")")
            assert "value_json." in entity["val_tpl"]
            assert re.search(r" if value |^\{\{ 'None' if not value ", entity["val_tpl"]), "a topic that is cleared"
    methods = set(dir({})) & set(BY_NAME)
    assert not methods, "value_json.readings.NAME would be the method"


def renderer() -> Any:
    """Return what renders a template with a document, as Home Assistant does."""
    jinja2 = pytest.importorskip("jinja2", reason="jinja2 is not installed: templates are checked by their shape only")
    from datetime import UTC, datetime

    environment = jinja2.Environment()
    environment.filters["timestamp_utc"] = lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat()

    def render(entity: Entity, text: str) -> str:
        variables = {"value_json": json.loads(text)} if text else {}
        return str(environment.from_string(entity["val_tpl"]).render(value=text, **variables))

    return render


@pytest.mark.parametrize(("reading", "text"), RENDERED.items())
def test_what_is_there_is_rendered(reading: str, text: str) -> None:
    assert renderer()(of(SHED, reading), document(SHED)) == text


def test_what_is_absent_is_unknown() -> None:
    render = renderer()
    nothing = json.dumps({"readings": {}, "problems": []})
    for entity in entities(told(SHED, chosen())).values():
        if "val_tpl" in entity:
            assert render(entity, nothing) == "None"
            assert render(entity, "") == "None", "the topic was cleared"


def test_what_is_false_or_empty_or_zero_is_not_absent() -> None:
    render = renderer()
    alarms: dict[str, list[str]] = {"warnings": [], "protections": [], "faults": []}
    text = document(SHED, charge_mosfet=False, current=0, user_data="", temperatures=[None, 0.0], **alarms)
    for reading, rendered in {
        "charge_mosfet": "OFF",
        "current": "0",
        "user_data": "None",
        "temperatures_1": "None",
        "temperatures_2": "0.0",
        "temperatures_3": "None",
        "warnings": "none",
        "problem": "OFF",
        "problems": "none",
    }.items():
        assert render(of(SHED, reading), text) == rendered, reading


def test_no_problem_is_known_only_when_every_list_of_alarms_is() -> None:
    render = renderer()
    partly = json.dumps({"readings": {"warnings": []}, "problems": []})
    assert render(of(SHED, "problem"), partly) == "None"
    assert render(of(SHED, "problems"), partly) == "None"
    active = json.dumps({"readings": {"warnings": ["soc_low"]}, "problems": ["soc_low"]})
    assert render(of(SHED, "problem"), active) == "ON"
    assert render(of(SHED, "problems"), active) == "soc_low"


def test_a_state_is_never_too_long() -> None:
    names = [f"alarm_{number}" for number in range(60)]
    for reading in ("problems", "warnings"):
        assert len(renderer()(of(SHED, reading), document(SHED, warnings=names))) == 255


def test_entity_ids_are_as_the_documentation_says() -> None:
    found = enabled(told(SHED, chosen()))
    assert {"sensor.shed_state_of_charge", "sensor.shed_cell_voltage_16", "binary_sensor.shed_problem"} <= set(found)


def test_two_packs_of_one_model_do_not_share_entity_ids() -> None:
    packs = [told(battery(name, f"jk-{name}"), chosen()) for name in ("shed", "garage", "van")]
    for one, other in itertools.combinations(packs, 2):
        assert not set(enabled(one)) & set(enabled(other))
