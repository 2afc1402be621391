"""The page about Home Assistant does what it shows, and the dashboard names entities that there are."""

import asyncio
import re
import subprocess
from pathlib import Path

import mosquitto
import pytest
from discovery_samples import battery, chosen, dashboard, enabled, entities, named, told
from served import served
from test_app import online, pack, running, until, written

from cellwire.families import dialects
from cellwire.gateway import config as files
from cellwire.gateway.config import MqttSettings
from cellwire.outputs.mqtt import discovery
from cellwire.outputs.mqtt.classes import LEFT_OUT

PAGE = (Path(__file__).parent.parent.parent / "docs/home-assistant.md").read_text(encoding="utf-8")
TOML, CONTROL, OLDER = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CONSOLE,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ (.+)\n(.+)\n", CONSOLE, re.MULTILINE)


def heard(command: str, port: int) -> str:
    """Return what a command of the page prints, with our broker in place of its."""
    here = command.replace("-h 192.0.2.10", f"-h 127.0.0.1 -p {port} -W 10")
    return subprocess.run(here, shell=True, capture_output=True, text=True, timeout=20, check=True).stdout


@mosquitto.needed
async def test_the_worked_example(tmp_path: Path) -> None:
    assert len(COMMANDS) == 3
    (tmp_path / "mqtt.password").write_text("secret\n")
    with mosquitto.mosquitto(tmp_path) as broker, served(tmp_path / "port", "jbd") as jbd:
        toml = TOML.replace("192.0.2.10:1883", f"127.0.0.1:{broker.port}")
        async with running(written(tmp_path, pack("shed", jbd.path), more=toml)) as gateway:
            await online(gateway, "shed")
            await until(lambda: "energy_out" in gateway.store.packs["shed"].readings)
            for command, printed in COMMANDS:
                output = await asyncio.to_thread(heard, command, broker.port)
                pattern = ".*?".join(map(re.escape, printed.split("...")))
                assert re.fullmatch(pattern, output.strip()), output


@mosquitto.needed
@pytest.mark.parametrize("style", ["device", "entity"])
async def test_what_a_gateway_left_behind_is_removed(tmp_path: Path, style: str) -> None:
    (command,) = re.findall(r"^    (mosquitto_sub .+)$", PAGE, re.MULTILINE)
    kept = "homeassistant/sensor/other/voltage/config"
    with mosquitto.mosquitto(tmp_path) as broker:
        left = battery(id="jbd-0011223344", readings={"voltage": 13.2, "soc": 81})
        for topic, payload in (*told(left, chosen(style)).items(), (kept, "{}")):
            await mosquitto.say(broker.port, topic, payload, retain=True)
        here = command.replace("-h 192.0.2.10", f"-h 127.0.0.1 -p {broker.port}")
        await asyncio.to_thread(subprocess.run, here, shell=True, capture_output=True, timeout=20, check=False)
        assert list(await mosquitto.retained(broker.port)) == [kept]


def test_the_older_style_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    path.write_text('[[pack]]\nname = "shed"\nlink = "/dev/ttyUSB0"\n' + OLDER, encoding="utf-8")
    assert files.load(path).mqtt.home_assistant.discovery == "entity"


def test_what_may_be_changed_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    path.write_text(CONTROL, encoding="utf-8")
    config = files.load(path)
    assert config.mqtt.grant == config.packs[0].grant == "configure"
    commands = dialects("jbd")[0].commands
    assert commands
    there = discovery.messages(battery(), (), chosen(), commands.of({"cell_count": 4}))
    for entity_id in re.findall(r"\b(?:switch|number)\.shed_[a-z_]+[a-z]\b", PAGE):
        assert entity_id in enabled(there), entity_id


def test_what_the_page_names_is_there() -> None:
    shed = enabled(told(battery(), chosen()))
    for entity_id in re.findall(r"\bsensor\.shed_[a-z_]+[a-z]\b", PAGE):
        assert entity_id in shed or f"{entity_id}_1" in shed, entity_id
    assert {"clock", "log_book"} <= LEFT_OUT
    expiries = {each.get("exp_aft") for each in entities(told(battery(), MqttSettings())).values()}
    assert {180, 900} <= expiries, "3 and 15 minutes, says the page"
    defaults = MqttSettings()
    assert (defaults.periods.pack, defaults.periods.cells, defaults.periods.temperatures) == (5, 30, 60)
    assert (defaults.dead_band.cell_voltage, defaults.dead_band.current) == (0.002, 0.1)


def test_the_dashboard_names_entities_that_there_are() -> None:
    shed, house = battery(), battery("house", "bank-house", "bank")
    there = {**enabled(told(shed, chosen())), **enabled(told(house, chosen()))}
    shown = list(named(dashboard()))
    assert len(shown) > 40
    assert [each for each in shown if each not in there] == []


def test_the_dashboard_has_cards_of_home_assistant_alone() -> None:
    core = {"gauge", "entities", "history-graph", "statistics-graph", "conditional", "markdown", "glance"}
    cards = [card for view in dashboard()["views"] for card in view["cards"]]
    assert {card["type"] for card in cards} <= core


@pytest.mark.parametrize("key", ["energy_in", "energy_out"])
def test_the_energy_dashboard_takes_the_meters(key: str) -> None:
    meter = enabled(told(battery(), chosen()))[f"sensor.shed_{key}"]
    assert (meter["dev_cla"], meter["stat_cla"], meter["unit_of_meas"]) == ("energy", "total_increasing", "kWh")
