"""With a real broker: it goes and comes back, wants passwords and certificates, and is asked to keep up."""

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from mosquitto import READINGS, Home, Mosquitto, listening, mosquitto, needed, retained, say, settings_for, until
from served import free_port

import cellwire.outputs.mqtt as output
from cellwire.gateway.config import DeadBandSettings, HomeAssistantSettings, PeriodSettings
from cellwire.gateway.store import LOST, PackState
from cellwire.outputs.mqtt import connection

pytestmark = needed
LONG = bool(os.environ.get("CELLWIRE_LONG"))
AWAY = 60.0 if LONG else 3.0
LOAD = 60.0 if LONG else 5.0
DISCOVERY = HomeAssistantSettings()
RAW = {
    "periods": PeriodSettings(**{field.name: 0.0 for field in fields(PeriodSettings)}),
    "dead_band": DeadBandSettings(**{field.name: 0.0 for field in fields(DeadBandSettings)}),
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as made:
        yield made


def is_running(home: Home) -> bool:
    return bool(home.mqtt.status["state"] == "running")


async def failing(home: Home, words: str, seconds: float = 15.0) -> None:
    """Wait until these words are the reason of its trouble."""
    await until(lambda: words in home.mqtt.status.get("reason", ""), seconds)
    assert home.mqtt.status["state"] == "failing"
    assert "; " in home.mqtt.status["reason"], "it says what to do"


# Away and back


async def test_the_broker_is_away_for_a_while(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(settings_for(broker.port, home_assistant=DISCOVERY, single=True))
    home.pack("shed")
    home.pack("lost")
    home.bank("house", "shed")
    home.store.fail(home.store.packs["lost"], LOST, "no answer")
    async with home.publishing():
        await until(lambda: home.mqtt.status["published"] > 15 and not home.mqtt.status["waiting"])
        await asyncio.sleep(2.0)
        before = await retained(broker.port)
        assert sum(topic.startswith("homeassistant/") for topic in before) == 2
        broker.stop()
        await failing(home, "was lost")
        await failing(home, "refuses the connection")
        await asyncio.sleep(AWAY)
        home.pack("shed", voltage=14.0)
        broker.start()
        await until(lambda: is_running(home), 35)
        await asyncio.sleep(2.5)
        after = await retained(broker.port)
    assert set(after) == set(before), "it forgot everything, and has everything again"
    assert json.loads(after["cellwire/shed/state"])["readings"]["voltage"] == 14.0
    assert after["cellwire/lost/availability"] == "offline"
    assert home.mqtt.status["reconnects"] == 1
    lines = [record.getMessage() for record in caplog.records if "mqtt" in record.getMessage()]
    assert sum("again after" in line for line in lines) == 1
    assert len(lines) <= 3, lines


async def test_a_broker_that_is_not_there_yet() -> None:
    port = free_port()
    home = Home(settings_for(port))
    async with home.publishing():
        await failing(home, f"127.0.0.1:{port} refuses the connection")
        assert home.mqtt.status["reconnects"] == 0
        assert "connected_since" not in home.mqtt.status


async def test_a_broker_that_falls_silent(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    if not LONG:
        monkeypatch.setattr(connection, "KEEPALIVE", 2)
    home = Home(settings_for(broker.port))
    home.pack("shed")
    assert broker.process
    async with home.publishing():
        await until(lambda: is_running(home) and home.mqtt.status["published"] >= 3)
        broker.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        try:
            await failing(home, "was lost", 50)
            assert time.monotonic() - begun < (42 if LONG else 8)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        await until(lambda: is_running(home), 20)


async def test_the_end_is_said_and_bounded(broker: Mosquitto) -> None:
    home = Home(settings_for(broker.port))
    for number in range(50):
        home.pack(f"pack {number}")
    assert broker.process
    async with listening(broker.port) as listener:
        async with home.publishing():
            await until(lambda: listener.last.get("cellwire/status") == "online")
        await until(lambda: set(listener.of("cellwire/pack 49/availability")) == {"online", "offline"})
        said = {payload for topic, payload in listener.last.items() if topic.endswith(("status", "availability"))}
        assert said == {"offline"}
    async with home.publishing():
        await until(lambda: is_running(home))
        broker.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
    assert time.monotonic() - begun < 6
    broker.process.send_signal(signal.SIGCONT)


async def test_another_client_with_the_same_id(broker: Mosquitto) -> None:
    home, other = Home(settings_for(broker.port)), Home(settings_for(broker.port))
    async with home.publishing():
        await until(lambda: is_running(home))
        async with other.publishing():
            await failing(home, "look whether another client has the id cellwire-cellwire")


@pytest.mark.parametrize("call", ["subscribe", "unsubscribe", "publish"])
async def test_ends_when_the_library_forgets_that_it_is_to_end(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """asyncio.wait_for of Python 3.11 does, when it is cancelled as the answer comes."""
    whole = getattr(aiomqtt.Client, call)
    stuck = asyncio.Event()

    async def forgetful(*arguments: Any, **more: Any) -> Any:
        stuck.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)
        return await whole(*arguments, **more)

    home = Home(settings_for(broker.port))
    home.pack("shed")
    async with listening(broker.port) as listener:
        monkeypatch.setattr(aiomqtt.Client, call, forgetful)
        async with asyncio.timeout(8), home.publishing():
            await stuck.wait()
            await asyncio.sleep(0.1)
        await until(lambda: listener.last.get("cellwire/status") == "offline")


# Who may come in


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_wrong_password_and_then_a_right_one(tmp_path: Path, protocol: str) -> None:
    file = tmp_path / "passwords"
    file.touch()

    def known(password: str) -> None:
        subprocess.run(["mosquitto_passwd", "-b", file, "shed", password], check=True, capture_output=True)

    known("another")
    (tmp_path / "password").write_text("hunter2\n")
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {file}") as broker:
        home = Home(settings_for(broker.port, user="shed", password_file=tmp_path / "password", protocol=protocol))
        async with home.publishing():
            await failing(home, f"127.0.0.1:{broker.port} does not accept user shed with this password")
            assert "hunter2" not in str(home.mqtt.status)
            known("hunter2")
            broker.reload()
            await until(lambda: is_running(home), 20)
        nobody = Home(settings_for(broker.port))
        async with nobody.publishing():
            await failing(nobody, "lets only known users in")


async def test_the_password_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["mosquitto_passwd", "-c", "-b", tmp_path / "p", "shed", "x y"], check=True, capture_output=True)
    monkeypatch.setenv("CELLWIRE_MQTT_PASSWORD", "x y")
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'p'}") as broker:
        home = Home(settings_for(broker.port, user="shed"))
        async with home.publishing():
            await until(lambda: is_running(home))


async def test_a_password_file_that_cannot_be_read(tmp_path: Path) -> None:
    home = Home(settings_for(1883, user="shed", password_file=tmp_path / "gone"))
    async with home.publishing():
        await failing(home, f"{tmp_path / 'gone'} cannot be read")


class Certificates:
    """An authority, a certificate for 127.0.0.1 and one for a client, made by openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.authority("ca")
        self.authority("other")
        self.signed("server", "subjectAltName=IP:127.0.0.1")
        self.signed("elsewhere", "subjectAltName=DNS:broker.example.org")
        self.signed("client", "extendedKeyUsage=clientAuth")

    def __call__(self, name: str) -> Path:
        return self.folder / name

    def openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def new(self, name: str) -> tuple[str, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        return "req", "-new", *curve, "-keyout", f"{name}.key", "-subj", f"/CN={name}"

    def authority(self, name: str) -> None:
        self.openssl(*self.new(name), "-x509", "-days", "2", "-out", f"{name}.pem")

    def signed(self, name: str, extension: str) -> None:
        self.openssl(*self.new(name), "-out", f"{name}.csr")
        self(f"{name}.ext").write_text(extension + "\n")
        by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *by)

    def lines(self, name: str = "server") -> tuple[str, ...]:
        """Return what a broker needs to show the certificate of that name."""
        return (f"certfile {self(name)}.pem", f"keyfile {self(name)}.key", f"cafile {self('ca.pem')}")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


def secured(port: int, **more: Any) -> Home:
    return Home(settings_for(port, **{"url": f"mqtts://127.0.0.1:{port}", **more}))


async def test_tls(tmp_path: Path, certificates: Certificates) -> None:
    with mosquitto(tmp_path, *certificates.lines()) as broker:
        home = secured(broker.port, ca=certificates("ca.pem"))
        home.pack("shed")
        async with home.publishing():
            await until(lambda: is_running(home) and home.mqtt.status["published"] >= 3)
        for ca, words in (("other.pem", f"is not signed by what is in {certificates('other.pem')}"), (None, "anybody")):
            home = secured(broker.port, ca=certificates(ca) if ca else None)
            async with home.publishing():
                await failing(home, words)
                assert home.mqtt.status["published"] == 0
        home = secured(broker.port, ca=certificates("server.key"))
        async with home.publishing():
            await failing(home, "is no PEM certificate that can be read")


async def test_tls_of_another_host(tmp_path: Path, certificates: Certificates) -> None:
    with mosquitto(tmp_path, *certificates.lines("elsewhere")) as broker:
        home = secured(broker.port, ca=certificates("ca.pem"))
        async with home.publishing():
            await failing(home, "is made for another name than 127.0.0.1")


async def test_tls_with_a_certificate_of_ours(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER", 1.0)
    ours = {"certificate": certificates("client.pem"), "key": certificates("client.key")}
    with mosquitto(tmp_path, *certificates.lines(), "require_certificate true") as broker:
        home = secured(broker.port, ca=certificates("ca.pem"), **ours)
        async with home.publishing():
            await until(lambda: is_running(home))
        home = secured(broker.port, ca=certificates("ca.pem"))
        async with home.publishing():
            await failing(home, "whether a certificate is wanted")
        home = secured(broker.port, ca=certificates("ca.pem"), **{**ours, "key": certificates("server.key")})
        async with home.publishing():
            await failing(home, "certificate and key")


async def test_tls_and_no_tls_mixed_up(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, broker: Mosquitto
) -> None:
    monkeypatch.setattr(connection, "ANSWER", 1.0)
    monkeypatch.setattr("paho.mqtt.client.Client.connect_timeout", 1.0)
    home = secured(broker.port, ca=certificates("ca.pem"))
    async with home.publishing():
        await failing(home, "there is no TLS")
    with mosquitto(tmp_path, *certificates.lines()) as other:
        home = Home(settings_for(other.port))
        async with home.publishing():
            await failing(home, "look whether it wants mqtts://")


async def test_a_host_that_is_not_there() -> None:
    for host in ("broker.invalid", "a..b"):
        home = Home(settings_for(1883, url=f"mqtt://{host}"))
        async with home.publishing():
            await until(lambda home=home: home.mqtt.status["state"] == "failing", 30)  # type: ignore[misc]
            assert "host" in home.mqtt.status["reason"]


async def test_something_that_is_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        home = Home(settings_for(silent.getsockname()[1]))
        async with home.publishing():
            await failing(home, "does not answer as an MQTT broker")
            # Ended while it connects.
            await asyncio.sleep(1.2)


@contextlib.asynccontextmanager
async def only_3_1_1(port: int) -> AsyncIterator[tuple[int, list[int]]]:
    """Yield the port of a broker that refuses MQTT 5, and the versions that it was asked for."""
    versions: list[int] = []
    tasks: set[asyncio.Task[Any] | None] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        first = await reader.read(4096)
        versions.append(first[first.index(b"MQTT") + 4])
        if versions[-1] != 4:
            writer.write(bytes((0x20, 2, 0, 1)))
            writer.close()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        outer.write(first)
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], versions
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


async def test_a_broker_that_does_not_speak_mqtt_5(broker: Mosquitto) -> None:
    async with only_3_1_1(broker.port) as (port, versions):
        home = Home(settings_for(port))
        home.pack("shed")
        async with home.publishing():
            await until(lambda: is_running(home) and home.mqtt.status["published"] >= 3)
            assert home.mqtt.status["protocol"] == "3.1.1"
            assert versions == [5, 4]
        strict = Home(settings_for(port, protocol="5"))
        async with strict.publishing():
            await failing(strict, 'does not speak MQTT 5; write protocol = "auto"')


# Commands


async def test_commands_are_answered_and_retained_ones_are_not(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    await say(broker.port, "cellwire/shed/set/charge_switch", "on", retain=True)
    await say(broker.port, "cellwire/shed/set/discharge_switch", "on", retain=True)
    home = Home(settings_for(broker.port))
    shed = home.pack("shed")
    async with listening(broker.port) as listener, home.publishing():
        await until(lambda: listener.last.get("cellwire/status") == "online")
        for number in range(20):
            await say(broker.port, "cellwire/shed/set/charge_switch", f"off {number}")
        await until(lambda: len(listener.of("cellwire/shed/result")) == 20)
        await say(broker.port, "cellwire/nowhere/set/charge_switch", "off")
        await until(lambda: "cellwire/nowhere/result" in listener.last)
        answers = [json.loads(payload) for payload in listener.of("cellwire/shed/result")]
        refused = {
            "pack": "shed",
            "command": "charge_switch",
            "result": "refused",
            "reason": "nothing can be changed here",
        }
        assert answers == [refused] * 20
        assert "no pack or bank nowhere" in json.loads(listener.last["cellwire/nowhere/result"])["reason"]
        events = [event for event in home.events.recent if event.name == "shed"]
        assert len(events) == 20
        assert (events[0].kind, events[0].pack, events[0].detail["result"]) == ("command", shed.id, "refused")
    ignored = [record for record in caplog.records if "retained commands are ignored" in record.getMessage()]
    assert len(ignored) == 1


# What is there, and what is not any more


async def test_removed_and_renamed_while_running(broker: Mosquitto) -> None:
    home = Home(settings_for(broker.port, home_assistant=DISCOVERY, single=True))
    for name in ("shed", "van", "Keller Süd"):
        home.pack(name)
    home.bank("house", "shed", "van")
    async with home.publishing(), listening(broker.port) as listener:

        def announced() -> list[str]:
            return sorted(
                json.loads(text)["dev"]["name"]
                for topic, text in listener.last.items()
                if topic.startswith("homeassistant/")
            )

        def of(name: str) -> set[str]:
            return {topic for topic in listener.last if topic.startswith(f"cellwire/{name}/")}

        await until(lambda: announced() == ["Keller Süd", "house", "shed", "van"])
        home.store.remove("van")
        del home.store.banks["house"]
        begun = time.monotonic()
        await until(lambda: announced() == ["Keller Süd", "shed"] and not of("van") | of("house"))
        assert time.monotonic() - begun < 5
        # Renamed: the new name was not read yet, and turns out to be the same.
        home.store.remove("Keller Süd")
        home.store.add(PackState("Schuppen Nord", "unknown", "unknown", 0, 1200.0))
        await until(lambda: not of("Keller Süd"))
        await asyncio.sleep(1.0)
        assert announced() == ["Keller Süd", "shed"], "it may be that one"
        home.pack("Schuppen Nord", settled=False, serial_number="SNKeller Süd")
        await until(lambda: bool(of("Schuppen Nord")))
        home.store.settle(home.store.packs["Schuppen Nord"])
        await until(lambda: announced() == ["Schuppen Nord", "shed"])
        topic = next(topic for topic, text in listener.last.items() if '"name":"Schuppen Nord"' in text)
        assert "" not in listener.of(topic), "Home Assistant kept its entities"


async def test_removed_while_it_did_not_run(broker: Mosquitto) -> None:
    strange = {
        "cellwire/kitchen/state": "foreign",
        "homeassistant/sensor/other/config": '{"dev":{"ids":["other"]},"o":{"name":"other"}}',
    }
    for topic, payload in strange.items():
        await say(broker.port, topic, payload, retain=True)
    first = Home(settings_for(broker.port, home_assistant=DISCOVERY, single=True))
    for name in ("shed", "van", "silent"):
        first.pack(name)
    first.bank("house", "shed")
    async with first.publishing(), listening(broker.port) as listener:
        await until(lambda: sum(topic.startswith("homeassistant/device") for topic in listener.last) == 4)
    silent = {topic for topic in await retained(broker.port) if "silent" in topic}
    assert len(silent) > 3
    again = Home(settings_for(broker.port, home_assistant=DISCOVERY, single=True))
    again.pack("shed")
    again.store.add(PackState("silent", "unknown", "unknown", 0, 2.0))
    async with again.publishing(), listening(broker.port) as listener:
        await until(
            lambda: (
                bool(listener.last)
                and not any("van" in topic or "house" in topic for topic in listener.last)
                and listener.last.get("cellwire/status") == "online"
            )
        )
        await asyncio.sleep(1.0)
        assert {topic for topic in listener.last if "silent" in topic} == {
            "cellwire/silent/availability",
            "cellwire/silent/state",
            "homeassistant/device/cellwire-jbd-snsilent/config",
        }
        assert listener.last["cellwire/silent/availability"] == "offline"
        document = listener.state("silent")
        assert (document["readings"], document["state"], document["id"]) == ({}, "stale", "jbd-snsilent")
        assert strange.items() <= listener.last.items()


@pytest.mark.parametrize(("before", "after"), [("entity", "device"), ("device", "entity")])
async def test_the_style_of_discovery_changes(broker: Mosquitto, before: str, after: str) -> None:
    old = Home(settings_for(broker.port, home_assistant=HomeAssistantSettings(discovery=before)))
    old.pack("shed")
    async with old.publishing(), listening(broker.port, "homeassistant/#") as listener:
        await until(lambda: bool(listener.last))
        await asyncio.sleep(0.5)
        topics = set(listener.last)
    new = Home(settings_for(broker.port, home_assistant=HomeAssistantSettings(discovery=after)))
    new.pack("shed")
    async with listening(broker.port, "homeassistant/#") as listener:
        await until(lambda: set(listener.last) == topics)
        listener.came.clear()
        async with new.publishing():
            await until(lambda: bool(listener.last) and not topics & set(listener.last))
        for topic in topics:
            assert listener.of(topic) == ['{"migrate_discovery": true}', ""]
        kinds = ["moved" if "migrate" in text else "new" if text else "cleared" for _, text, _ in listener.came]
        assert kinds == sorted(kinds, key=["moved", "cleared", "new"].index)
        assert len(set(kinds)) == 3


async def test_everything_is_said_again_when_home_assistant_starts(broker: Mosquitto) -> None:
    home = Home(settings_for(broker.port, home_assistant=DISCOVERY))
    for number in range(5):
        home.pack(f"pack {number}")
    async with home.publishing(), listening(broker.port) as listener:
        await until(lambda: sum(topic.startswith("homeassistant/") for topic in listener.last) == 5)
        await asyncio.sleep(0.5)
        topics = {topic for topic in listener.last if topic.endswith(("/state", "/config"))}
        assert len(topics) == 10
        listener.came.clear()
        await say(broker.port, "homeassistant/status", "online", retain=True)
        begun = time.monotonic()
        await until(lambda: {topic for topic, _, _ in listener.came} >= topics)
        assert 1.0 < time.monotonic() - begun < 6.0
        came = [topic for topic, _, _ in listener.came if topic in topics]
        assert [topic.endswith("/config") for topic in came] == [True] * 5 + [False] * 5
        listener.came.clear()
        await say(broker.port, "homeassistant/status", "offline", retain=True)
        await asyncio.sleep(1.0)
        assert [topic for topic, _, _ in listener.came if topic in topics] == []


# Load


async def test_a_thousand_states_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mosquitto(tmp_path, "max_queued_messages 0") as broker:
        await a_thousand_states_a_second(broker, tmp_path / "heard")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def a_thousand_states_a_second(broker: Mosquitto, heard: Path) -> None:
    home = Home(settings_for(broker.port, **RAW))
    names = [f"pack {number}" for number in range(100)]
    with heard.open("wb") as file:
        command = ["mosquitto_sub", "-p", str(broker.port), "-t", "cellwire/+/state", "-F", "%t"]
        listener = subprocess.Popen(command, stdout=file)
    try:
        for name in names:
            home.pack(name)
        async with home.publishing():
            await until(lambda: home.mqtt.status["published"] > 200)
            loop, waited, memory = asyncio.get_running_loop(), 0, []
            begun = due = loop.time()
            busy, before = time.process_time(), home.mqtt.status["published"]
            rounds, late = 0, 0.0
            while due - begun < LOAD:
                rounds += 1
                for name in names:
                    cells = [3.3 + rounds % 1000 / 1000] * 16
                    home.pack(name, voltage=13 + rounds % 1000 / 100, current=rounds / 100, cell_voltages=cells)
                waited = max(waited, home.mqtt.status["waiting"])
                if rounds % 10 == 0:
                    memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                due += 0.1
                await asyncio.sleep(max(0.002, due - loop.time()))
                late = max(late, loop.time() - due)
            busy = time.process_time() - busy
            await until(lambda: not home.mqtt.status["waiting"])
            published = home.mqtt.status["published"] - before
            assert published / busy > 1000, f"{published} in {busy:.1f} s of a processor"
            share = published / (rounds * 100)
            print(f"{published} states in {LOAD} s, {share:.1%} of all, {busy:.1f} s of a processor, {late:.3f} s late")
            assert share > 0.9 or late > 0.01, "none is replaced by a newer one when nothing else is in the way"
            assert waited <= 2 * len(names)
            assert memory[-1] - memory[1] < 4000, f"kB: {memory}"
            await until(lambda: heard.read_bytes().count(b"\n") >= published)
    finally:
        listener.terminate()
        listener.wait(20)


async def test_a_slow_broker_costs_no_memory(broker: Mosquitto) -> None:
    home = Home(settings_for(broker.port, single=True, **RAW))
    home.pack("shed")
    assert broker.process
    async with home.publishing():
        await until(lambda: is_running(home) and not home.mqtt.status["waiting"])
        broker.process.send_signal(signal.SIGSTOP)
        for number in range(3000):
            home.pack("shed", voltage=number / 100, cell_voltages=[number / 1000] * 16)
            await asyncio.sleep(0)
        assert home.mqtt.status["waiting"] <= len(READINGS) + 2
        broker.process.send_signal(signal.SIGCONT)


def test_pauses_grow_to_half_a_minute() -> None:
    assert output.PAUSES[0] == 1.0
    assert max(output.PAUSES) == output.PAUSES[-1] == 30.0
    assert sorted(output.PAUSES) == list(output.PAUSES)
