"""A real Home Assistant beside a real broker, on loopback, for the tests that ask it what it makes of our messages."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import paho.mqtt.client as paho
from mosquitto import mosquitto
from paho.mqtt.enums import CallbackAPIVersion
from served import free_port

Answer = dict[str, Any]
BORN = "2025-01-01T00:00:00+00:00"
# Warnings that have nothing to do with us: one answers its own clearing of a topic, one its log of many discoveries.
NOISE = (
    "is logging too frequently",
    "turbojpeg",
    "zlib_ng",
    "sqlite3 database",
    "Skipping pip installation",
    "No device components to cleanup",
)


class Broker:
    """A client of the broker that publishes, and notes what it hears."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: list[tuple[str, str]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def listen(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)

    def discovery(self) -> set[str]:
        """Return the topics of all discovery messages that the broker holds."""
        last = {topic: payload for topic, payload in self.heard if topic.endswith("/config")}
        return {topic for topic, payload in last.items() if payload}

    def publish(self, topic: str, payload: str, retain: bool = True) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def publish_all(self, messages: dict[str, str]) -> None:
        for topic, payload in messages.items():
            self.publish(topic, payload)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class HomeAssistant:
    """Home Assistant in its own folder, with a user whose token we made, connected to the broker."""

    def __init__(self, environment: Path, folder: Path, broker: Broker) -> None:
        self.python = environment / "bin/python"
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seconds = 0.0  # until it ran
        self._seed(broker.port)
        self._process: subprocess.Popen[bytes] | None = None

    def _seed(self, broker: int) -> None:
        (self.folder / ".storage").mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\n"
            "frontend:\nenergy:\nrecorder:\n  commit_interval: 1\nlogger:\n  default: warning\n"
        )
        key, token = secrets.token_hex(64), secrets.token_hex(16)
        user = {"id": "a" * 32, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "owner"}
        refresh = {
            "id": token,
            "user_id": user["id"],
            "client_id": None,
            "client_name": "test",
            "client_icon": None,
            "token_type": "long_lived_access_token",
            "created_at": BORN,
            "access_token_expiration": 315360000.0,
            "token": secrets.token_hex(64),
            "jwt_key": key,
            "last_used_at": None,
            "last_used_ip": None,
            "expire_at": None,
            "credential_id": None,
            "version": "2025.4.4",
        }
        groups = [{"id": "system-admin", "name": "Administrators"}]
        users = [{**user, "system_generated": False, "local_only": False}]
        data = {"users": users, "groups": groups, "credentials": [], "refresh_tokens": [refresh]}
        self._store("auth", 1, data)
        self._store("onboarding", 4, {"done": ["user", "core_config", "analytics", "integration"]})
        mqtt: Answer = {
            "created_at": BORN,
            "modified_at": BORN,
            "disabled_by": None,
            "discovery_keys": {},
            "domain": "mqtt",
            "data": {"broker": "127.0.0.1", "port": broker},
            "entry_id": "b" * 26,
            "minor_version": 2,
            "options": {},
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "subentries": [],
            "title": "broker",
            "unique_id": None,
            "version": 1,
        }
        self._store("core.config_entries", 1, {"entries": [mqtt]}, minor=5)
        self.token = signed({"iss": token, "iat": int(time.time()) - 60, "exp": int(time.time()) + 86400}, key)

    def _store(self, name: str, version: int, data: Answer, minor: int = 1) -> None:
        document = {"version": version, "minor_version": minor, "key": name, "data": data}
        (self.folder / ".storage" / name).write_text(json.dumps(document))

    def start(self) -> None:
        began = time.monotonic()
        command = [str(self.python), "-m", "homeassistant", "-c", str(self.folder), "--skip-pip"]
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        asyncio.run(self._until_running())
        self.seconds = time.monotonic() - began

    async def _until_running(self) -> None:
        async with asyncio.timeout(90):
            while True:
                assert self._process is not None
                assert self._process.poll() is None, (self.folder / "output.txt").read_text()
                with contextlib.suppress(aiohttp.ClientError):
                    if (await self.get("config"))["state"] == "RUNNING":
                        return
                await asyncio.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    async def get(self, path: str) -> Any:
        """Return what the REST interface answers."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{self.url}/api/{path}") as answer:
            assert answer.status == 200, f"{path}: {answer.status}"
            return await answer.json()

    async def ask(self, type: str, **arguments: Any) -> Any:
        """Return the result of a command over the WebSocket."""
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.url}/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.token})
            assert (await socket.receive_json())["type"] == "auth_ok"
            await socket.send_json({"id": 1, "type": type, **arguments})
            answer = await socket.receive_json()
            assert answer["success"], answer
            return answer["result"]

    async def states(self) -> dict[str, Answer]:
        """Return all states by entity id."""
        return {each["entity_id"]: each for each in await self.get("states")}

    async def until(self, true: Callable[[dict[str, Answer]], bool], seconds: float = 20.0) -> dict[str, Answer]:
        """Return the states as soon as something is true of them."""
        end = time.monotonic() + seconds
        while not true(states := await self.states()):
            assert time.monotonic() < end, {name: each["state"] for name, each in states.items()}
            await asyncio.sleep(0.1)
        return states

    async def registry(self) -> dict[str, Answer]:
        """Return the entities of MQTT that are registered, also the disabled ones, by unique id."""
        listed = await self.ask("config/entity_registry/list")
        return {each["unique_id"]: each for each in listed if each["platform"] == "mqtt"}

    def complaints(self) -> list[str]:
        """Return warnings and errors from its log, as far as they are not noise."""
        log = (self.folder / "home-assistant.log").read_text()
        lines = re.findall(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) .*", log, re.MULTILINE)
        return [line for line in lines if not any(noise in line for noise in NOISE)]


def signed(claims: Answer, key: str) -> str:
    """Return a JSON web token."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    parts = [encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    return f"{text}.{encoded(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"


@contextlib.contextmanager
def home_assistant(environment: Path, folder: Path) -> Iterator[tuple[HomeAssistant, Broker]]:
    """Yield a running Home Assistant and a client of its broker."""
    with mosquitto(folder) as server:
        broker = Broker(server.port)
        broker.listen("homeassistant/#")
        home = HomeAssistant(environment, folder / "home", broker)
        try:
            home.start()
            yield home, broker
        finally:
            home.stop()
            broker.stop()
