"""docs/mqtt.md is true: its example runs, its table is what a broker holds."""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mosquitto import (
    OFF,
    READINGS,
    Home,
    Mosquitto,
    listening,
    mosquitto,
    needed,
    retained,
    say,
    settings_for,
    until,
)
from served import Running, running, served

from cellwire.gateway.config import HomeAssistantSettings, parse
from cellwire.outputs.mqtt import connection

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/mqtt.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```console\n\$ (.+)\n((?:.*\n)*?)```", PAGE, re.MULTILINE)
CONFIGURATIONS = re.findall(r"^```toml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
TABLE = dict(re.findall(r"^\| `cellwire/(\S+)` \| (yes|no) \|", PAGE, re.MULTILINE))


def pattern(line: str) -> str:
    """Return a regular expression for a line of an example."""
    return ".*".join(map(re.escape, line.split("...")))


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_configurations_are_right(text: str, tmp_path: Path) -> None:
    for name in re.findall(r'= "(\S+\.(?:pem|password))"', text):
        (tmp_path / name).touch()
    parse(text, tmp_path / "cellwire.toml")


@contextlib.contextmanager
def gateway(folder: Path, broker: Mosquitto, more: str = "") -> Iterator[Running]:
    """Yield a gateway with the page's first configuration and the pack it speaks of."""
    with served(folder / "port", "jbd") as shed:
        text = CONFIGURATIONS[0].replace("192.168.1.10", f"127.0.0.1:{broker.port}")
        pack = f'[[pack]]\nname = "shed"\nlink = "{shed.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        pack += 'grant = "operate"\n'
        path = folder / "cellwire.toml"
        path.write_text(f'[web]\nlisten = "127.0.0.1:0"\n[history]\nenabled = false\n{pack}{text}{more}')
        with running("run", "-c", path) as process:
            yield process


@needed
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto-clients is not installed")
@pytest.mark.parametrize(("number", "more"), [(0, ""), (1, ""), (2, 'grant = "operate"\n'), (3, 'grant = "operate"\n')])
async def test_the_examples(tmp_path: Path, number: int, more: str) -> None:
    assert len(EXAMPLES) == 4
    with mosquitto(tmp_path) as broker, gateway(tmp_path, broker, more) as process:
        async with listening(broker.port) as listener:
            await until(lambda: '"model"' in listener.last.get("cellwire/shed/state", ""), 30)
        command, output = EXAMPLES[number]
        command = command.replace("-h 192.168.1.10", f"-h 127.0.0.1 -p {broker.port}")
        result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode in (0, 27), result.stderr  # 27: the time of -W is over
        for line in output.splitlines():
            assert any(re.fullmatch(pattern(line), each) for each in result.stdout.splitlines()), (line, result)
        assert process.interrupt() == 0
        held = await retained(broker.port)
        assert held["cellwire/status"] == held["cellwire/shed/availability"] == "offline"


@needed
async def test_the_will_is_seen_after_a_kill(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, gateway(tmp_path, broker) as process:
        async with listening(broker.port) as listener:
            await until(lambda: listener.last.get("cellwire/status") == "online", 30)
            process.process.kill()
            await until(lambda: listener.last["cellwire/status"] == "offline", 5)
        assert (await retained(broker.port))["cellwire/status"] == "offline"


def documented(name: str) -> set[str]:
    """Return the topics that the table names for a pack or bank, those of readings left out."""
    lasts = {topic for topic, kept in TABLE.items() if kept == "yes"}
    assert lasts == {"status", "NAME/availability", "NAME/state", "NAME/READING"}
    return {f"cellwire/{each.replace('NAME', name)}" for each in lasts - {"NAME/READING"}}


@needed
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("single", [False, True])
async def test_what_is_retained_is_what_the_table_says(tmp_path: Path, protocol: str, single: bool) -> None:
    with mosquitto(tmp_path) as broker:
        home = Home(settings_for(broker.port, protocol=protocol, single=single))
        home.pack("Keller Süd")
        home.bank("house", "Keller Süd")
        async with home.publishing(), listening(broker.port) as listener:
            await until(lambda: listener.last.get("cellwire/status") == "online")
            expected = documented("Keller Süd") | documented("house")
            if single:
                expected |= {f"cellwire/Keller Süd/{name}" for name in READINGS}
                expected |= {f"cellwire/house/{name}" for name in ("voltage", "packs_present")}
            await until(lambda: set(listener.last) >= expected)
            assert set(await retained(broker.port)) == expected
            assert home.mqtt.status["protocol"] == protocol
            await say(broker.port, "cellwire/house/set/charge_switch", "on")
            await until(lambda: "cellwire/house/result" in listener.last)
        assert set(await retained(broker.port)) == expected, "neither commands nor answers stay"


@needed
async def test_discovery_lies_where_the_page_says_and_is_cleared_when_off(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        home = Home(settings_for(broker.port, home_assistant=HomeAssistantSettings()))
        home.pack("shed")
        async with home.publishing(), listening(broker.port, "homeassistant/#") as listener:
            await until(lambda: bool(listener.last))
        held = await retained(broker.port)
        assert all(topic.startswith(("cellwire/", "homeassistant/")) for topic in held)
        assert len(held) == len(documented("shed")) + 1
        home = Home(settings_for(broker.port, home_assistant=OFF))
        home.pack("shed")
        async with home.publishing():
            end = time.monotonic() + 10
            while set(await retained(broker.port)) != documented("shed"):
                assert time.monotonic() < end


def test_the_table_of_trouble_has_the_words_of_the_program() -> None:
    source = Path(connection.__file__).read_text(encoding="utf-8")
    rows: list[Any] = re.findall(r"^\| ([a-zA-Z ]+) \| .*\|$", PAGE.partition("| it says |")[2], re.MULTILINE)
    assert len(rows) >= 10
    for words in rows:
        assert words.strip() in re.sub(r'"\s+f?"', "", source), words
