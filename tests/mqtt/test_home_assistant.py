"""Discovery in a real Home Assistant: entities, availability, expiry, birth, removal, migration, energy, dashboard.

Wants an environment made by tools/homeassistant.sh, named by CELLWIRE_HOMEASSISTANT, and mosquitto.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import discovery_rules as rules
import mosquitto
import pytest
from discovery_samples import (
    Entity,
    battery,
    chosen,
    dashboard,
    document,
    enabled,
    entities,
    everything,
    named,
    told,
)
from home_assistant_run import Broker, HomeAssistant, home_assistant
from served import served
from test_app import online, pack, running, until, written

from cellwire.gateway.config import MqttSettings
from cellwire.gateway.config.outputs import PeriodSettings
from cellwire.gateway.store import Battery
from cellwire.outputs.mqtt import discovery
from cellwire.readings.catalogue import BY_NAME

ENVIRONMENT = os.environ.get("CELLWIRE_HOMEASSISTANT", "")

pytestmark = [
    pytest.mark.skipif(not ENVIRONMENT, reason="CELLWIRE_HOMEASSISTANT names no environment with Home Assistant"),
    mosquitto.needed,
]

STYLES = ("device", "entity")
each_style = pytest.mark.parametrize("style", STYLES)
SOME = ("voltage", "soc", "cell_voltages", "charge_mosfet", "alarm_bits", "warnings", "last_full")
UNKNOWN, UNAVAILABLE = "unknown", "unavailable"
AWAY = (UNKNOWN, UNAVAILABLE)


class Place:
    """One Home Assistant and its broker; every test has packs of its own there, and leaves nothing to complain of."""

    def __init__(self, home: HomeAssistant, broker: Broker) -> None:
        self.home = home
        self.broker = broker
        self.heeded = 0

    def show(self, battery: Battery, settings: MqttSettings, **readings: Any) -> dict[str, str]:
        """Publish everything of a battery that is there; return its discovery messages."""
        messages = told(battery, settings)
        self.broker.publish("cellwire/status", "online")
        self.broker.publish(f"cellwire/{battery.name}/availability", "online")
        self.broker.publish(f"cellwire/{battery.name}/state", document(battery, **readings))
        self.broker.publish_all(messages)
        return messages

    async def there(self, messages: dict[str, str]) -> dict[str, Any]:
        """Return all states when every enabled entity has one that is known."""
        wanted = enabled(messages)
        return await self.home.until(lambda states: all(known(states, each) for each in wanted))

    def complaints(self) -> list[str]:
        """Return what was complained of since the last time."""
        found = self.home.complaints()
        new, self.heeded = found[self.heeded :], len(found)
        return new


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with home_assistant(Path(ENVIRONMENT), tmp_path_factory.mktemp("home_assistant")) as (home, broker):
        place = Place(home, broker)
        place.complaints()
        yield place


@pytest.fixture
def place(started: Place) -> Iterator[Place]:
    yield started
    complaints = started.complaints()
    assert not complaints, "\n".join(complaints)


def known(states: dict[str, Any], entity_id: str) -> bool:
    """Return whether an entity is there, with a value."""
    return entity_id in states and states[entity_id]["state"] not in AWAY


def some(name: str) -> Battery:
    """Return a battery with a few readings."""
    return battery(name, f"jk-{name}", readings={each: everything()[each] for each in SOME})


@contextlib.asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[list[Battery]]:
    """Yield a JK pack "shed", a JBD pack "garage" and the bank "house" of both, as a gateway sees them."""
    bank = '[[bank]]\nname = "house"\npacks = ["shed", "garage"]\n'
    limits = '[pack.limits]\nchemistry = "lfp"\ncharge_current = 100\ndischarge_current = 100\n'
    with served(folder / "jk", "jk-pb", 16, addresses=[1]) as jk, served(folder / "jbd", "jbd", 16) as jbd:
        shed = pack("shed", jk.path, f'family = "jk-pb"\naddress = 1\n{limits}')
        garage = pack("garage", jbd.path, f'family = "jbd"\naddress = 0\n{limits}')
        async with running(written(folder, shed, garage, bank)) as gateway:
            await online(gateway, "shed", "garage")
            store = gateway.store
            await until(lambda: all("energy_out" in each.readings for each in store.batteries()))
            await until(lambda: all("time_to_empty" in each.readings for each in store.batteries()))
            yield store.batteries()


def test_the_rules_are_those_of_home_assistant(tmp_path: Path) -> None:
    program = """
import json
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.mqtt import abbreviations
from homeassistant.components.number.const import DEVICE_CLASS_UNITS as NUMBER_UNITS, NumberDeviceClass
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS, SensorDeviceClass
print(json.dumps({
    "units": {each: [str(unit) for unit in DEVICE_CLASS_UNITS.get(each, ())] for each in SensorDeviceClass},
    "states": {each: [str(state) for state in DEVICE_CLASS_STATE_CLASSES[each]] for each in SensorDeviceClass},
    "binary": list(BinarySensorDeviceClass),
    "numbers": {each: [str(unit) for unit in NUMBER_UNITS.get(each, ())] for each in NumberDeviceClass},
    "keys": abbreviations.ABBREVIATIONS,
    "device": abbreviations.DEVICE_ABBREVIATIONS,
}))
"""
    command = [f"{ENVIRONMENT}/bin/python", "-c", program]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    for name, (units, states) in rules.SENSOR_CLASSES.items():
        assert units <= set(theirs["units"][name]), name
        assert states <= set(theirs["states"][name]), name
    for name, units in rules.NUMBER_CLASSES.items():
        assert units <= set(theirs["numbers"][name]), name
    assert set(theirs["binary"]) >= rules.BINARY_SENSOR_CLASSES
    assert theirs["keys"].items() >= (rules.ABBREVIATIONS.items() - {("t", "topic"), ("cmps", "components")})
    assert theirs["device"].items() >= rules.DEVICE_ABBREVIATIONS.items()


@each_style
async def test_simulated_packs_and_a_bank_are_there(place: Place, tmp_path: Path, style: str) -> None:
    async with simulated(tmp_path) as batteries:
        assert [each.name for each in batteries] == ["shed", "garage", "house"]
        wanted: dict[str, Entity] = {}
        try:
            for each in batteries:
                messages = place.show(each, chosen(style))
                wanted |= enabled(messages)
                size = sum(len(text.encode()) for text in messages.values())
                described = entities(messages)
                print(
                    f"{each.name}: {len(messages)} {style} messages, {size} bytes, {len(described)} entities, "
                    f"{len(enabled(messages))} enabled"
                )
            began = time.monotonic()
            states = await place.home.until(
                lambda states: all(states.get(each, {"state": UNAVAILABLE})["state"] != UNAVAILABLE for each in wanted)
            )
            print(f"{len(wanted)} enabled entities after {time.monotonic() - began:.1f} s")
            # A battery that discharges has no time to full, and one that was never full no such moment.
            assert [each for each in wanted if states[each]["state"] == UNKNOWN] == []
            for each in batteries:
                assert float(states[f"sensor.{each.name}_voltage"]["state"]) == each.readings["voltage"]
                assert float(states[f"sensor.{each.name}_state_of_charge"]["state"]) == each.readings["soc"]
            assert set(named(dashboard())) <= set(wanted), "the example shows what is there"
            assert float(states["sensor.shed_cell_voltage_16"]["state"]) == batteries[0].readings["cell_voltages"][15]
            registry = await place.home.registry()
            for each in batteries:
                for key, entity in entities(told(each, chosen(style))).items():
                    assert (registry[key]["disabled_by"] is None) == entity.get("en", True), key
        finally:
            for each in batteries:
                place.broker.publish_all(dict.fromkeys(told(each, chosen(style)), ""))
        await place.home.until(lambda states: not set(wanted) & set(states))


@each_style
@pytest.mark.parametrize("kind", ["pack", "bank"])
async def test_the_whole_catalogue_is_taken(place: Place, style: str, kind: str) -> None:
    whole = battery(f"whole {kind} {style}", f"whole-{kind}-{style}", kind)
    messages = place.show(whole, chosen(style, raw=True))
    states = await place.there(messages)
    wanted = enabled(messages)
    assert len(wanted) == len(entities(messages)) > len(BY_NAME)
    for entity_id, entity in wanted.items():
        state, attributes = states[entity_id]["state"], states[entity_id]["attributes"]
        assert attributes.get("device_class") == entity.get("dev_cla")
        assert attributes.get("state_class") == entity.get("stat_cla")
        assert attributes.get("unit_of_measurement") == entity.get("unit_of_meas")
        assert attributes["friendly_name"] == f"{whole.name} {entity['name']}"
        if entity["p"] == "binary_sensor":
            assert state == "on"
    # Nothing is there: unknown, not 0, and not the last value.
    values = [each for each in wanted if not each.endswith("_connection")]

    def nothing_known(states: dict[str, Any]) -> bool:
        return all(states[each]["state"] == UNKNOWN for each in values)

    place.broker.publish(f"cellwire/{whole.name}/state", json.dumps({"readings": {}, "problems": []}))
    await place.home.until(nothing_known)
    # So it is when the topic is cleared, as that of a pack with another name now.
    place.broker.publish(f"cellwire/{whole.name}/state", document(whole))
    await place.there(messages)
    place.broker.publish(f"cellwire/{whole.name}/state", "")
    await place.home.until(nothing_known)
    place.broker.publish_all(dict.fromkeys(messages, ""))
    await place.home.until(lambda states: not set(wanted) & set(states))


async def test_states_are_what_was_read(place: Place) -> None:
    messages = place.show(some("values"), chosen(raw=True), charge_mosfet=False, warnings=[], soc=0)
    states = await place.there(messages)
    assert {each.partition("values_")[2]: states[each]["state"] for each in enabled(messages)} == {
        "connection": "on",
        "problem": "off",
        "problems": "none",
        "warnings": "none",
        "voltage": "52.99",
        "state_of_charge": "0",
        "charge_mosfet": "off",
        "alarm_bits": str(2**63 + 1),
        "last_full": "2026-11-21T10:00:00+00:00",
        **{f"cell_voltage_{number}": "3.312" for number in range(1, 17)},
    }


async def test_availability(place: Place) -> None:
    messages = place.show(some("away"), chosen())
    await place.there(messages)
    others = set(enabled(messages)) - {"binary_sensor.away_connection"}
    place.broker.publish("cellwire/away/availability", "offline")
    states = await place.home.until(lambda states: all(states[each]["state"] == UNAVAILABLE for each in others))
    assert states["binary_sensor.away_connection"]["state"] == "off", "it says so, instead of being unavailable too"
    place.broker.publish("cellwire/away/availability", "online")
    await place.there(messages)
    place.broker.publish("cellwire/status", "offline")
    await place.home.until(lambda states: all(states[each]["state"] == UNAVAILABLE for each in enabled(messages)))
    place.broker.publish("cellwire/status", "online")
    await place.there(messages)


async def test_values_expire(place: Place) -> None:
    at_once = PeriodSettings(**dict.fromkeys(PeriodSettings.__dataclass_fields__, 0.0))
    settings = chosen(refresh=1.0, periods=at_once)
    messages = place.show(some("quiet")._replace(every=1.0), settings)
    await place.there(messages)
    last = time.monotonic()
    place.broker.publish("cellwire/quiet/state", document(some("quiet")))
    await place.home.until(lambda states: states["sensor.quiet_voltage"]["state"] == UNAVAILABLE, 10.0)
    print(f"expired after {time.monotonic() - last:.1f} s of 3 s")
    assert time.monotonic() - last > 2.5
    place.broker.publish("cellwire/quiet/state", document(some("quiet")))
    await place.there(messages)


async def test_an_empty_message_removes_it_all(place: Place) -> None:
    for style in STYLES:
        messages = place.show(some(f"gone {style}"), chosen(style))
        keys = set(entities(messages))
        await place.there(messages)
        assert keys <= set(await place.home.registry())
        place.broker.publish_all(dict.fromkeys(messages, ""))
        await place.home.until(lambda states, messages=messages: not set(enabled(messages)) & set(states))  # type: ignore[misc]
        async with asyncio.timeout(10):
            while keys & set(await place.home.registry()):
                await asyncio.sleep(0.1)


async def test_fewer_readings_remove_nothing(place: Place) -> None:
    """After a restart a gateway knows only what it has seen since."""
    whole = some("growing")
    messages = place.show(whole, chosen())
    await place.there(messages)
    place.broker.publish_all(told(whole._replace(readings={"voltage": 52.1}), chosen()))
    await asyncio.sleep(1)
    assert set(entities(messages)) <= set(await place.home.registry())
    place.broker.publish_all(messages)
    await place.there(messages)


async def ours(place: Place, name: str) -> dict[str, tuple[str, str, str]]:
    """Return what is registered of a pack, by unique id: entity id, name that the user gave, and who disabled it."""
    mark = f"{discovery.MARK}jk-{name}-"
    registry = await place.home.registry()
    return {
        key: (each["entity_id"], each["name"], each["disabled_by"])
        for key, each in registry.items()
        if key.startswith(mark)
    }


async def test_renaming_keeps_the_entities(place: Place) -> None:
    place.show(some("cabin"), chosen())
    await place.there(told(some("cabin"), chosen()))
    before = await ours(place, "cabin")
    renamed = some("cabin")._replace(name="Hut")
    place.show(renamed, chosen(), voltage=49.5)
    states = await place.home.until(lambda states: states["sensor.cabin_voltage"]["state"] == "49.5")
    assert await ours(place, "cabin") == before
    assert states["sensor.cabin_voltage"]["attributes"]["friendly_name"] == "Hut Voltage"


@pytest.mark.parametrize(("old", "new"), [("device", "entity"), ("entity", "device")])
async def test_the_style_changes_and_the_entities_stay(place: Place, old: str, new: str) -> None:
    name = f"moving {new}"
    was, now = told(some(name), chosen(old)), told(some(name), chosen(new))
    place.show(some(name), chosen(old))
    await place.there(was)
    own = f"sensor.my_charge_{new}"
    theirs = f"sensor.moving_{new}_state_of_charge"
    await place.home.ask("config/entity_registry/update", entity_id=theirs, new_entity_id=own, name="My charge")
    await place.home.until(lambda states: own in states)
    before = await ours(place, name)
    # In this order: cleared after the new ones are there, the old ones would be taken for a conflict.
    for topic in was:
        place.broker.publish(topic, discovery.MIGRATE, retain=False)
    place.broker.publish_all(dict.fromkeys(was, ""))
    place.broker.publish_all(now)
    place.broker.publish(f"cellwire/{name}/state", document(some(name), voltage=48.25))
    voltage = f"sensor.moving_{new}_voltage"
    await place.home.until(lambda states: states.get(voltage, {}).get("state") == "48.25" and own in states)
    await place.home.until(lambda states: set(enabled(now)) - {theirs} <= set(states))
    assert await ours(place, name) == before


async def test_birth_and_a_restart(started: Place) -> None:
    """What is retained is there again after a restart, and Home Assistant says that it is."""
    messages = started.show(some("stays"), chosen())
    await started.there(messages)
    before = await ours(started, "stays")
    started.broker.heard.clear()
    await asyncio.to_thread(started.home.stop)
    await asyncio.to_thread(started.home.start)
    started.heeded = 0
    await started.there(messages)
    assert await ours(started, "stays") == before
    end = time.monotonic() + 30
    while ("homeassistant/status", "online") not in started.broker.heard:
        assert time.monotonic() < end, started.broker.heard
        await asyncio.sleep(0.1)
    # Sent again unchanged on that message, everything stays as it is.
    started.show(some("stays"), chosen(), voltage=51.5)
    await started.home.until(lambda states: states["sensor.stays_voltage"]["state"] == "51.5")
    assert await ours(started, "stays") == before
    print(f"Home Assistant ran after {started.home.seconds:.1f} s")
    assert [each for each in started.complaints() if "mqtt" in each or "sensor" in each] == []


async def test_the_meters_fit_the_energy_dashboard(place: Place) -> None:
    both = battery("meter", "jk-meter", readings={"energy_in": 12.3456, "energy_out": 11.1, "soc": 50})
    await place.there(place.show(both, chosen()))
    source = {
        "type": "battery",
        "stat_energy_from": "sensor.meter_energy_out",
        "stat_energy_to": "sensor.meter_energy_in",
    }
    await place.home.ask("energy/save_prefs", energy_sources=[source])
    # Statistics are made every five minutes; that there are none yet is all that may be said.
    (issues,) = (await place.home.ask("energy/validate"))["energy_sources"]
    assert {each["type"] for each in issues} <= {"statistics_not_defined"}
    wrong = {**source, "stat_energy_to": "sensor.meter_state_of_charge"}
    await place.home.ask("energy/save_prefs", energy_sources=[wrong])
    (issues,) = (await place.home.ask("energy/validate"))["energy_sources"]
    assert "entity_unexpected_device_class" in {each["type"] for each in issues}, "it does look"


async def test_the_dashboard_is_taken(place: Place) -> None:
    await place.home.ask("lovelace/config/save", config=dashboard())
    assert await place.home.ask("lovelace/config") == dashboard()


async def test_a_gateway_from_first_to_last(place: Place, tmp_path: Path) -> None:
    """The gateway itself tells everything, is stopped, and comes back with the other style; everything stays."""
    port, name = place.broker.port, "barn"

    def configured(style: str) -> str:
        mqtt = (
            f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\nbase = "{name}"\n[mqtt.home_assistant]\ndiscovery = "{style}"\n'
        )
        return mqtt + pack(name, jbd.path)

    async def restarted(style: str) -> list[str]:
        """Run the gateway until everything of the pack is told in that style, and nothing in the other.

        Return the topics that were cleared meanwhile.
        """
        before = len(place.broker.heard)
        path = written(tmp_path, configured(style))
        path.write_text(path.read_text().replace("commit = 1.0", "commit = 5.0"))
        async with running(path):
            wanted = set(told(seen, chosen(style, base=name)))
            mark = f"/{discovery.MARK}{seen.id}/"
            await until(lambda: {each for each in place.broker.discovery() if mark in each} == wanted, 40.0)
            # The meters come late, with the first commit of the history.
            await place.home.until(lambda states: known(states, f"sensor.{name}_energy_out"), 40.0)
            return [topic for topic, payload in place.broker.heard[before:] if mark in topic and not payload]

    async def registered() -> dict[str, tuple[str, str]]:
        listed = (await place.home.registry()).items()
        return {key: (each["entity_id"], each["name"]) for key, each in listed if f".{name}_" in each["entity_id"]}

    with served(tmp_path / "port", "jbd", 4) as jbd:
        async with running(written(tmp_path, configured("device"))) as gateway:
            await online(gateway, name)
            await place.home.until(lambda states: f"sensor.{name}_energy_out" in states)
            update = {"entity_id": f"sensor.{name}_energy_out", "name": "My meter"}
            await place.home.ask("config/entity_registry/update", **update)
            await place.home.until(lambda states: known(states, f"binary_sensor.{name}_connection"))
            seen = gateway.store.batteries()[0]
        before = await registered()
        assert ("sensor.barn_energy_out", "My meter") in before.values()
        await place.home.until(lambda states: states[f"sensor.{name}_voltage"]["state"] == UNAVAILABLE)
        for style, moved in (("device", False), ("entity", True), ("entity", False), ("device", True)):
            cleared = await restarted(style)
            assert bool(cleared) == moved, cleared
            assert await registered() == before, style


@each_style
@pytest.mark.parametrize("kind", ["jbd", "jk-pb"])
async def test_it_switches_and_sets(place: Place, tmp_path: Path, style: str, kind: str) -> None:
    """What somebody does in Home Assistant is done to the pack, and shown as the pack shows it afterwards."""
    name = f"{kind} {style}".replace("-", " ")
    slug = name.replace(" ", "_")
    limit = f"number.{slug}_cell_overvoltage_limit"
    switch = f"switch.{slug}_discharge_switch"
    more = (
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{place.broker.port}"\nbase = "control-{slug}"\ngrant = "configure"\n'
        f'[mqtt.home_assistant]\ndiscovery = "{style}"\n'
    )
    with served(tmp_path / "port", kind, 16) as there:
        address = 1 if kind == "jk-pb" else 0
        grant = f'family = "{kind}"\naddress = {address}\nid = "{kind}-{style}"\ngrant = "configure"'
        path = written(tmp_path, pack(name, there.path, grant), more=more)
        async with running(path) as gateway:
            await online(gateway, name)
            states = await place.home.until(lambda states: known(states, limit) and known(states, switch), 40)
            assert states[switch]["state"] == "on"
            before = float(states[limit]["state"])
            assert before == gateway.control.values(name)["cell_overvoltage_limit"]
            await place.home.ask(
                "call_service", domain="number", service="set_value",
                service_data={"entity_id": limit, "value": before - 0.01},
            )  # fmt: skip
            await place.home.until(lambda states: float(states[limit]["state"]) == round(before - 0.01, 3))
            data = {"entity_id": switch}
            await place.home.ask("call_service", domain="switch", service="turn_off", service_data=data)
            await place.home.until(lambda states: states[switch]["state"] == "off")
            assert gateway.control.values(name)["discharge_switch"] is False
            await place.home.ask("call_service", domain="switch", service="turn_on", service_data=data)
            await place.home.until(lambda states: states[switch]["state"] == "on")
            assert gateway.control.values(name)["discharge_switch"] is True
            await until(lambda: gateway.control.journal.entries()[0]["result"] != "sent")
            done = [(entry["command"], entry["source"], entry["result"]) for entry in gateway.control.journal.entries()]
            assert done == [
                ("discharge_switch", "mqtt", "done"),
                ("discharge_switch", "mqtt", "done"),
                ("cell_overvoltage_limit", "mqtt", "done"),
            ]
            text = path.read_text(encoding="utf-8").replace('grant = "configure"\n[mqtt.', 'grant = "read"\n[mqtt.')
            path.write_text(text, encoding="utf-8")
            gateway.reload()
            await place.home.until(lambda states: limit not in states and switch not in states)
            # It is taken away with the pack, so that the next test finds nothing.
            path.write_text(text.partition("[[pack]]")[0], encoding="utf-8")
            gateway.reload()
            await place.home.until(lambda states: f"sensor.{slug}_voltage" not in states)
