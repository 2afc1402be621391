"""Packs released over MQTT: by minutes on a topic, told what became of it, nothing old done; with a real broker."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from mosquitto import Listener, listening, mosquitto, needed, until
from served import served
from test_app import online, pack, running, written

from cellwire.gateway.app import Gateway
from cellwire.outputs.mqtt import Mqtt

pytestmark = needed
Document = dict[str, Any]
TOPIC = "cellwire/shed/release"


class House:
    """A gateway with a pack, and who listens to what it publishes."""

    def __init__(self, gateway: Gateway, listener: Listener, client: aiomqtt.Client) -> None:
        self.gateway = gateway
        self.listener = listener
        self.client = client

    @property
    def results(self) -> list[Document]:
        return [json.loads(text) for text in self.listener.of("cellwire/shed/result")]

    @property
    def releases(self) -> list[str]:
        return [event.text for event in self.gateway.events.recent if event.kind == "release"]

    async def say(self, payload: Any, topic: str = TOPIC, **more: Any) -> Document:
        """Publish; return the result that follows."""
        before = len(self.results)
        await self.client.publish(topic, payload if isinstance(payload, str) else json.dumps(payload), 1, **more)
        await until(lambda: len(self.results) > before)
        return self.results[before]


@contextlib.asynccontextmanager
async def house(folder: Path, grant: str = "operate", before: str = "") -> AsyncIterator[House]:
    """Yield a gateway that is there; before: what the broker keeps on the topic since before it came."""
    with mosquitto(folder) as broker, served(folder / "port", "jbd") as there:
        more = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\ngrant = "{grant}"'
        path = written(folder, pack("shed", there.path), more=more)
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.publish(TOPIC, before, 1, retain=True)
        async with (
            running(path) as gateway,
            listening(broker.port) as listener,
            aiomqtt.Client("127.0.0.1", broker.port) as client,
        ):
            await online(gateway, "shed")
            await until(lambda: listener.last.get("cellwire/shed/availability") == "online")
            yield House(gateway, listener, client)


async def test_released_and_taken_back(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        result = await place.say("10")
        assert (result["command"], result["wanted"], result["result"]) == ("release", 10, "done")
        assert result["reason"].startswith("released for another program until ")
        await until(lambda: place.listener.last["cellwire/shed/availability"] == "offline")
        await until(lambda: place.listener.state("shed")["state"] == "lost")
        assert place.listener.state("shed")["reason"].endswith("(by mqtt)")
        assert (await place.say({"value": 0, "id": 4})).items() >= {"result": "done", "id": 4}.items()
        await until(lambda: place.listener.last["cellwire/shed/availability"] == "online")
        assert place.releases == [
            "shed is released for another program for 10 minutes by mqtt",
            "shed is taken back by mqtt",
        ]
        # It is no command of the pack.
        refused = await place.say("10", "cellwire/shed/set/release")
        assert refused["result"] == "refused"
        assert len(place.releases) == 2


async def test_the_button_of_home_assistant(tmp_path: Path) -> None:
    async with house(tmp_path) as place:

        def button() -> Document:
            for topic, text in place.listener.last.items():
                if topic.startswith("homeassistant/device/"):
                    return dict(json.loads(text)["cmps"].get("set_release", {}))
            return {}

        await until(lambda: bool(button()))
        result = await place.say(button()["pl_prs"], button()["cmd_t"])
        assert (result["wanted"], result["result"]) == (10, "done")


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("soon", "write the minutes"),
        ("true", "write the minutes"),
        ("", "write the minutes"),
        ("nan", "write the minutes"),
        ({"value": True}, "write the minutes"),
        ({"value": None}, 'it has no "value"'),
        ("0.1", "0.5 to 240 minutes"),
        ("300", "0.5 to 240 minutes"),
        ("-1", "0.5 to 240 minutes"),
        ({"value": 10, "time": 0}, "s old"),
    ],
)
async def test_what_is_not_done(tmp_path: Path, payload: Any, why: str) -> None:
    async with house(tmp_path) as place:
        result = await place.say(payload)
        assert result["result"] == "refused"
        assert why in result["reason"]
        assert place.releases == []


async def test_not_without_the_grant(tmp_path: Path) -> None:
    async with house(tmp_path, "read") as place:
        result = await place.say("10")
        assert (result["result"], place.releases) == ("refused", [])
        assert 'may do no more than "read"' in result["reason"]


async def test_retained_repeated_or_for_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, before="10") as place:
        first = await place.say({"value": 5, "id": "a"})
        again = await place.say({"value": 5, "id": "a"})
        assert first == again
        assert len(place.releases) == 1
        assert "5 minutes" in place.releases[0]
        await place.client.publish("cellwire/barn/release", "10", 1)
        await until(lambda: "cellwire/barn/result" in place.listener.last)
        assert "there is no pack or bank barn" in place.listener.last["cellwire/barn/result"]


async def test_while_something_is_written_it_waits(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        poller = place.gateway._poller_of("shed")
        assert poller is not None
        async with poller.session.writing:
            await place.client.publish(TOPIC, "10", 1)
            (mqtt,) = place.gateway._outputs.parts
            assert isinstance(mqtt, Mqtt)
            await until(lambda: bool(mqtt._commands._waiting))
            assert place.releases == []
        await until(lambda: len(place.results) == 1)
        assert place.results[0]["result"] == "done"
