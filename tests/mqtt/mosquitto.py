"""A mosquitto of one's own for a test, somebody who listens to it, and made-up packs to publish."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from served import free_port

from cellwire.gateway.config import HomeAssistantSettings, MqttSettings
from cellwire.gateway.events import Events
from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs.mqtt import Mqtt

Document = dict[str, Any]

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needed = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
OFF = HomeAssistantSettings(discovery="off")


class Mosquitto:
    """A broker on a free port of loopback, that forgets everything when it ends."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self.file = folder / f"mosquitto-{self.port}.conf"
        self.log = folder / f"mosquitto-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None
        default = () if any(line.startswith("allow_anonymous") for line in lines) else ("allow_anonymous true",)
        mine = ("user root",) if os.geteuid() == 0 else ()  # else it could not read the files of a test
        self.file.write_text(
            "\n".join((f"listener {self.port} 127.0.0.1", "persistence false", *default, *mine, *lines)) + "\n"
        )

    def start(self) -> None:
        assert PROGRAM
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self.file)], stdout=log, stderr=log)
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def reload(self) -> None:
        """Let it read its passwords again."""
        assert self.process
        self.process.send_signal(signal.SIGHUP)


@contextlib.contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[Mosquitto]:
    """Yield a broker with these further lines of configuration."""
    broker = Mosquitto(folder, *lines)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop(signal.SIGKILL)


class Listener:
    """Somebody who listens to everything: what is retained or was last said by topic, and all that came."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}
        self.came: list[tuple[str, str, bool]] = []

    def take(self, topic: str, payload: str, retain: bool) -> None:
        self.came.append((topic, payload, retain))
        if payload:
            self.last[topic] = payload
        else:
            self.last.pop(topic, None)

    def of(self, topic: str) -> list[str]:
        """Return all payloads that came on a topic."""
        return [payload for each, payload, _ in self.came if each == topic]

    def state(self, name: str, base: str = "cellwire") -> Document:
        document: Document = json.loads(self.last[f"{base}/{name}/state"])
        return document


@contextlib.asynccontextmanager
async def listening(port: int, topic: str = "#") -> AsyncIterator[Listener]:
    """Yield a listener that is there while its block runs."""
    listener = Listener()

    async def hear(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            listener.take(message.topic.value, bytes(message.payload or b"").decode(), message.retain)

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic, qos=1)
        task = asyncio.create_task(hear(client))
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def retained(port: int) -> dict[str, str]:
    """Return all that the broker holds now, by topic."""
    async with listening(port) as listener:
        await asyncio.sleep(0.3)
        return {topic: payload for topic, payload, retain in listener.came if retain}


async def say(port: int, topic: str, payload: str, retain: bool = False) -> None:
    """Publish one message."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(topic, payload, qos=1, retain=retain)


async def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


READINGS: Document = {
    "voltage": 13.32,
    "current": -1.2,
    "soc": 81,
    "cell_voltages": [3.331, 3.329, 3.330, 3.330],
    "charge_mosfet": True,
    "warnings": [],
    "protections": [],
    "faults": [],
    "serial_number": "0011223344",
}


class Home:
    """A store with packs that are heard as long as the test wants, and what publishes it."""

    def __init__(self, settings: MqttSettings) -> None:
        self.store = Store(time.time, time.monotonic)
        self.events = Events(time.time)
        self.mqtt = Mqtt(self.store, self.events, settings)

    def pack(self, name: str, settled: bool = True, **readings: Any) -> PackState:
        """Return a pack that was heard now, and will be for an hour."""
        pack = self.store.packs.get(name) or self.store.add(PackState(name, "jbd", "jbd", 0, 1200.0))
        self.store.accept(pack, {**READINGS, "serial_number": f"SN{name}", **readings})
        if settled and not pack.settled:
            self.store.settle(pack)
        return pack

    def bank(self, name: str, *packs: str) -> BankState:
        """Return a bank whose packs all count."""
        bank = self.store.add_bank(BankState(name, packs))
        bank.readings = {"voltage": 13.3, "packs_present": len(packs)}
        bank.time, bank.seen = self.store.clock(), self.store.monotonic()
        return bank

    @contextlib.asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Publish while the block runs."""
        task = asyncio.create_task(self.mqtt.run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results


def settings_for(port: int, **more: Any) -> MqttSettings:
    """Return settings for a broker on loopback, without Home Assistant unless wanted."""
    return MqttSettings(**{"url": f"mqtt://127.0.0.1:{port}", "home_assistant": OFF, **more})
