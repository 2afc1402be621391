"""Commands over MQTT: what is done, what is not and why, and that nothing of it is lost, with a real broker."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from mosquitto import Listener, Mosquitto, listening, mosquitto, needed, say, settings_for, until
from obedient import ENTER, House
from served import free_port, served
from test_app import online, running, written

from cellwire.families import dialects
from cellwire.gateway.config import HomeAssistantSettings
from cellwire.gateway.store import BankState
from cellwire.outputs import offer
from cellwire.outputs.mqtt import Mqtt, commands

pytestmark = needed
Document = dict[str, Any]
SWITCH = "cellwire/shed/set/charge_switch"
LIMIT = "cellwire/shed/set/cell_overvoltage_limit"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as made:
        yield made


class Place:
    """An obedient pack, its output, and who listens."""

    def __init__(self, house: House, mqtt: Mqtt, listener: Listener, port: int) -> None:
        self.house = house
        self.mqtt = mqtt
        self.listener = listener
        self.port = port

    @property
    def results(self) -> list[Document]:
        return [json.loads(text) for text in self.listener.of("cellwire/shed/result")]

    @property
    def journal(self) -> list[Document]:
        return list(reversed(self.house.journal.entries()))

    @property
    def events(self) -> list[str]:
        return [event.text for event in self.house.events.recent if event.kind == "command"]

    async def say(self, topic: str, payload: Any, results: int = 1) -> list[Document]:
        """Publish a command; return so many results that follow."""
        before = len(self.results)
        await say(self.port, topic, payload if isinstance(payload, str) else json.dumps(payload))
        await until(lambda: len(self.results) >= before + results)
        return self.results[before:]


@contextlib.asynccontextmanager
async def obeying(
    folder: Path, port: int, grant: str = "service", pack: str = "service", factory: bool = False, **more: Any
) -> AsyncIterator[Place]:
    """Yield a place whose pack is read and published."""
    house = House(folder, pack, factory)
    settings = settings_for(port, grant=grant, **more)
    mqtt = Mqtt(house.store, house.events, settings, house.control)
    async with listening(port) as listener:
        tasks = [asyncio.create_task(house.poller.run()), asyncio.create_task(mqtt.run())]
        try:
            await until(lambda: listener.last.get("cellwire/shed/availability") == "online")
            await until(lambda: listener.last.get("cellwire/status") == "online")
            yield Place(house, mqtt, listener, port)
            assert not any(task.done() for task in tasks), tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


# What is done


async def test_a_switch_is_switched_and_read_back(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port, "operate") as place:
        (result,) = await place.say(SWITCH, "off")
        told = {"pack": "shed", "command": "charge_switch", "before": True, "wanted": False, "found": False}
        assert result.items() >= {**told, "result": "done"}.items()
        assert place.house.pack.writes == [{"charge_switch": False}]
        (entry,) = place.journal
        assert (entry["who"], entry["source"], entry["result"]) == ("mqtt", "mqtt", "done")
        assert "by mqtt (mqtt) is done" in place.events[0]
        await until(lambda: place.listener.state("shed").get("controls", {}).get("charge_switch") is False)
        # What is so already is done without a byte.
        (again,) = await place.say(SWITCH, {"value": "off", "id": 7})
        assert (again["result"], again["id"]) == ("done", 7)
        assert len(place.house.pack.writes) == 1
        assert "cellwire/shed/result" not in {topic for topic, _, retain in place.listener.came if retain}


@pytest.mark.parametrize(
    ("key", "payload", "written"),
    [
        ("discharge_switch", "OFF", {"discharge_switch": False}),
        ("discharge_switch", "0", {"discharge_switch": False}),
        ("discharge_switch", {"value": False}, {"discharge_switch": False}),
        ("cell_overvoltage_limit", "3.6", {"cell_overvoltage_limit": 3.6}),
        ("cell_overvoltage_limit", {"value": 3.6, "id": "a"}, {"cell_overvoltage_limit": 3.6}),
        ("cell_overvoltage_limit", {"value": "3.6"}, {"cell_overvoltage_limit": 3.6}),
        ("clear_alarms", "on", {"clear_alarms": True}),
    ],
)
async def test_values_as_people_write_them(
    broker: Mosquitto, tmp_path: Path, key: str, payload: Any, written: Document
) -> None:
    async with obeying(tmp_path, broker.port) as place:
        (result,) = await place.say(f"cellwire/shed/set/{key}", payload)
        assert result["result"] == "done"
        assert place.house.pack.writes == [written]


async def test_what_a_pack_does_not_do_is_not_done(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place:
        for mood, result in (("ignore", "not_confirmed"), ("refuse", "refused")):
            place.house.pack.mood = mood
            (said,) = await place.say(SWITCH, "off")
            assert said["result"] == result
            assert place.listener.state("shed")["controls"]["charge_switch"] is True
        assert [entry["result"] for entry in place.journal] == ["not_confirmed", "refused"]


async def test_commands_of_a_pack_are_done_in_their_order(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place, aiomqtt.Client("127.0.0.1", broker.port) as client:
        async with place.house.poller.session.writing:
            values = [round(3.6 + number / 1000, 3) for number in range(5)]
            for value in values:
                await client.publish(LIMIT, str(value), qos=1)
            # Meanwhile it is published on.
            place.house.pack.values[1]["charge_mosfet"] = False
            await until(lambda: place.listener.state("shed")["readings"]["charge_mosfet"] is False, 8)
            assert place.results == []
        await until(lambda: len(place.results) == 5)
        assert [result["wanted"] for result in place.results] == values
        assert [write["cell_overvoltage_limit"] for write in place.house.pack.writes] == values


# What is not done


@pytest.mark.parametrize(
    ("key", "payload", "grant", "pack", "words"),
    [
        ("charge_switch", "off", "read", "service", 'mqtt may do no more than "read"'),
        ("charge_switch", "off", "service", "read", 'grant = "operate"'),
        ("cell_overvoltage_limit", "3.6", "operate", "service", 'it takes "configure"'),
        ("cell_overvoltage_limit", "3.6", "service", "operate", 'grant = "configure"'),
        ("restart", "on", "service", "service", "page and the console ask for that"),
        ("calibrate_cell/2", "3.3", "service", "service", "has to be confirmed"),
        ("cell_overvoltage_limit", "4.2", "service", "service", "has to be confirmed"),
        ("barcode", {"value": "x", "confirmed": True, "confirm": "shed"}, "service", "service", "has to be confirmed"),
        ("cell_undervoltage_limit", {"value": 2.4, "unproven": True}, "service", "service", "nobody has shown"),
        ("cell_overvoltage_limit", "9", "service", "service", "not between"),
        ("cell_overvoltage_limit", "nan", "service", "service", "not between"),
        ("cell_overvoltage_limit", '{"value": NaN}', "service", "service", "begins like JSON"),
        ("cell_overvoltage_limit", '{"value": 1e999}', "service", "service", "not between"),
        ("cell_overvoltage_limit", "3.5", "service", "service", "has to be above"),
        ("charge_switch", "maybe", "service", "service", "not on or off"),
        ("charge_switch", "", "service", "service", "not on or off"),
        ("charge_switch", "ON OFF", "service", "service", "not on or off"),
        ("calibrate_cell/9", "3.3", "service", "service", "calibrate_cell/1"),
        ("nonsense", "on", "service", "service", "no such setting"),
        ("charge_switch", '{"value": tru', "service", "service", "is none"),
        ("charge_switch", "{}", "service", "service", 'no "value"'),
        ("charge_switch", {"value": [False]}, "service", "service", 'no "value"'),
        ("charge_switch", {"value": False, "id": {}}, "service", "service", "its id"),
        ("charge_switch", {"value": False, "time": "soon"}, "service", "service", "its time"),
        ("charge_switch", {"value": False, "time": "2026-11-21T10:00:00"}, "service", "service", "its time"),
        ("charge_switch", {"value": False, "time": 10**400}, "service", "service", "its time"),
        ("charge_switch", "x" * 1001, "service", "service", "longer than"),
    ],
)
async def test_what_is_refused(
    broker: Mosquitto, tmp_path: Path, key: str, payload: Any, grant: str, pack: str, words: str
) -> None:
    async with obeying(tmp_path, broker.port, grant, pack) as place:
        (result,) = await place.say(f"cellwire/shed/set/{key}", payload)
        assert (result["command"], result["result"]) == (key, "refused")
        assert words in result["reason"]
        assert place.house.pack.writes == []
        assert len(place.events) == 1
        assert words in place.events[0]
        await until(lambda: len(place.journal) == 1)
        (entry,) = place.journal
        assert (entry["source"], entry["reason"]) == ("mqtt", result["reason"])


async def test_what_has_no_pack(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place:
        place.house.store.add_bank(BankState("house", ("shed",)))
        for name, words in (("nowhere", "no pack or bank nowhere"), ("house", "each of its packs: shed")):
            await say(broker.port, f"cellwire/{name}/set/charge_switch", "off")
            await until(lambda topic=f"cellwire/{name}/result": topic in place.listener.last)  # type: ignore[misc]
            assert words in json.loads(place.listener.last[f"cellwire/{name}/result"])["reason"]
        assert place.house.pack.writes == []
        assert len(place.events) == 2
        await until(lambda: len(place.journal) == 2)


async def test_retained_ones_do_nothing(broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await say(broker.port, SWITCH, "off", retain=True)
    await say(broker.port, "cellwire/shed/set/calibrate_cell/1", "3", retain=True)
    async with obeying(tmp_path, broker.port) as place:
        # One that comes later is done, so they would have been, too.
        (result,) = await place.say("cellwire/shed/set/discharge_switch", "off")
        assert (result["command"], result["result"]) == ("discharge_switch", "done")
        assert place.house.pack.writes == [{"discharge_switch": False}]
    assert caplog.text.count("retained commands are ignored") == 1


async def test_an_id_counts_once(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place:
        (first,) = await place.say(SWITCH, {"value": "off", "id": "x1"})
        await place.say(SWITCH, "on")
        (second,) = await place.say(SWITCH, {"value": "off", "id": "x1"})
        assert first == second
        assert place.house.pack.writes == [{"charge_switch": False}, {"charge_switch": True}]
        assert "came again with the id x1" in place.events[-1]
        # Not while it is being done either; then there is one answer.
        async with place.house.poller.session.writing:
            for _ in range(3):
                await say(broker.port, SWITCH, '{"value": "off", "id": "x2"}')
            await until(lambda: len(place.events) == 5)
        await until(lambda: len(place.house.pack.writes) == 3)
        await until(lambda: len(place.results) == 4)


async def test_the_same_while_it_is_being_done(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place:
        async with place.house.poller.session.writing:
            await say(broker.port, SWITCH, "off")
            (refused,) = await place.say(SWITCH, "off")
            assert "being done already" in refused["reason"]
        await until(lambda: len(place.results) == 2)
        assert place.house.pack.writes == [{"charge_switch": False}]


async def test_an_action_that_comes_twice(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with obeying(tmp_path, broker.port) as place:
        action = "cellwire/shed/set/clear_alarms"
        assert (await place.say(action, "on"))[0]["result"] == "done"
        (second,) = await place.say(action, "on")
        assert (second["result"], "less than 5 s ago" in second["reason"]) == ("refused", True)
        monkeypatch.setattr(commands, "REPEATED", 0.0)
        assert (await place.say(action, "on"))[0]["result"] == "done"
        assert len(place.house.pack.writes) == 2


async def test_what_the_broker_may_have_sent_before(broker: Mosquitto, tmp_path: Path) -> None:
    """Between broker and gateway somebody sets the flag that says so."""
    port = free_port()

    async def marked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind = (await reader.readexactly(1))[0]
                length = (await reader.readexactly(1))[0]
                while length >= 128:
                    length = length - 128 + 128 * (more := (await reader.readexactly(1))[0])
                    assert more < 128
                body = await reader.readexactly(length)
                if kind >> 4 == 3 and b"/set/" in body:
                    kind |= 0x08
                size = bytes((length,)) if length < 128 else bytes((length % 128 + 128, length // 128))
                writer.write(bytes((kind,)) + size + body)

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", broker.port)
        tasks = [asyncio.create_task(marked(there, writer)), asyncio.create_task(plain(reader, back))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (writer, back):
            each.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server, listening(broker.port) as listener:
        house = House(tmp_path)
        mqtt = Mqtt(house.store, house.events, settings_for(port, grant="service"), house.control)
        tasks = [asyncio.create_task(house.poller.run()), asyncio.create_task(mqtt.run())]
        await until(lambda: listener.last.get("cellwire/shed/availability") == "online")
        await say(broker.port, SWITCH, "off")
        await until(lambda: "cellwire/shed/result" in listener.last)
        assert "may have been sent before" in json.loads(listener.last["cellwire/shed/result"])["reason"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert house.pack.writes == []


async def test_what_is_late(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with obeying(tmp_path, broker.port) as place:
        now = place.house.store.clock()
        for age, words in ((11, "11 s old"), (-12, "12 s in the future")):
            (result,) = await place.say(SWITCH, {"value": "off", "time": now - age, "id": "late"})
            assert (result["result"], result["id"]) == ("refused", "late")
            assert words in result["reason"]
        # In our own queue, because the pack is busy.
        monkeypatch.setattr(commands, "LATE", 0.3)
        async with place.house.poller.session.writing:
            (result,) = await place.say(SWITCH, {"value": "off", "id": "late"})
            assert "was busy for" in result["reason"]
        assert place.house.pack.writes == []
        # It may come again with the same id.
        monkeypatch.undo()
        time_now = place.house.store.clock()
        (result,) = await place.say(SWITCH, {"value": "off", "id": "late", "time": time_now})
        assert result["result"] == "done"


def test_times_as_people_write_them() -> None:
    assert commands._moment("2026-11-21T10:00:00Z") == commands._moment("2026-11-21T11:00:00.000+01:00")


async def test_what_the_broker_kept_while_the_gateway_was_away(broker: Mosquitto, tmp_path: Path) -> None:
    """Even when a program with its client id had a session there that stays."""
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier="cellwire-cellwire", clean_session=False) as before:
        await before.subscribe("cellwire/+/set/+", qos=1)
    await say(broker.port, SWITCH, "off")
    async with obeying(tmp_path, broker.port) as place:
        await place.say("cellwire/shed/set/discharge_switch", "off")
        assert place.house.pack.writes == [{"discharge_switch": False}]
        assert len(place.results) == 1


async def test_too_many_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place, aiomqtt.Client("127.0.0.1", broker.port) as client:
        async with place.house.poller.session.writing:
            for number in range(commands.WAITING + 5):
                await client.publish(LIMIT, f"3.{600 + number}", qos=1)
            await until(lambda: len(place.results) == 5)
            assert all("is busy" in result["reason"] for result in place.results)
        await until(lambda: len(place.results) == commands.WAITING + 5)
        assert len(place.house.pack.writes) == commands.WAITING
        assert len(place.events) == commands.WAITING + 5


async def test_a_secret_is_told_to_nobody(broker: Mosquitto, tmp_path: Path) -> None:
    async with obeying(tmp_path, broker.port) as place:
        topic = "cellwire/shed/set/pin"
        await place.say(topic, "8642")
        await place.say(topic, {"value": "8642", "time": 0})
        await place.say("cellwire/shed/set/unknown", {"value": "8642", "time": 0})
        told = json.dumps([place.results, place.journal, place.events, list(map(vars, place.house.events.recent))])
        assert place.house.pack.writes == [{"pin": "8642"}]
        assert "8642" not in told.replace('{"pin": "8642"}', "")


# The end of a connection


async def test_the_broker_goes_in_the_middle_of_a_command(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done, and told when the broker is back."""
    house = House(tmp_path)
    mqtt = Mqtt(house.store, house.events, settings_for(broker.port, grant="service"), house.control)
    tasks = [asyncio.create_task(house.poller.run()), asyncio.create_task(mqtt.run())]
    async with listening(broker.port) as listener:
        await until(lambda: listener.last.get("cellwire/shed/availability") == "online")
    async with house.poller.session.writing:
        await say(broker.port, SWITCH, "off")
        await until(lambda: bool(mqtt._commands._waiting))
        broker.stop()
        await until(lambda: mqtt.status["state"] == "failing")
    await until(lambda: len(house.pack.writes) == 1)
    broker.start()
    async with listening(broker.port) as listener:
        await until(lambda: "cellwire/shed/result" in listener.last, 30)
        assert json.loads(listener.last["cellwire/shed/result"])["result"] == "done"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_when_mqtt_ends_is_refused(broker: Mosquitto, tmp_path: Path) -> None:
    async with listening(broker.port) as listener, obeying(tmp_path, broker.port) as place:
        original = place.house.control.write

        async def slow(*arguments: Any, **more: Any) -> Any:
            await asyncio.sleep(3)
            return await original(*arguments, **more)

        place.house.control.write = slow  # type: ignore[method-assign]
        await say(broker.port, SWITCH, "off")
        await say(broker.port, LIMIT, "3.6")
        await until(lambda: len(place.mqtt._commands._waiting.get("shed", ())) == 2)
        events = place.house.events
        begun = time.monotonic()
        place.mqtt._commands.end()
        await until(lambda: len(listener.of("cellwire/shed/result")) == 2)
        assert time.monotonic() - begun < 2
        one, two = (json.loads(text) for text in listener.of("cellwire/shed/result"))
        assert (one["command"], one["result"]) == ("charge_switch", "not_confirmed")
        assert (two["command"], two["result"]) == ("cell_overvoltage_limit", "refused")
        assert "before its turn" in events.recent[-1].text


# Settings


async def test_settings_are_read_where_they_may_be_changed(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer, "LOOK", 0.05)
    monkeypatch.setattr(offer, "QUIET", 0.3)
    # They are read in a mode of this pack.
    for grant, pack in (("read", "service"), ("operate", "service"), ("configure", "operate")):
        async with obeying(tmp_path / f"{grant}-{pack}", broker.port, grant, pack, factory=True) as place:
            await asyncio.sleep(0.5)
            assert place.house.pack.asked.count(ENTER) == 0
            assert "cell_overvoltage_limit" not in place.listener.state("shed").get("controls", {})
    async with obeying(tmp_path, broker.port, "configure", "service", factory=True) as place:
        asked = place.house.pack.asked
        await until(lambda: place.listener.state("shed").get("controls", {}).get("cell_overvoltage_limit") == 3.65)
        await asyncio.sleep(0.5)
        assert asked.count(ENTER) == 1
        assert not place.house.pack.inside
        await place.say("cellwire/shed/set/clear_alarms", "on")
        await asyncio.sleep(0.5)
        assert asked.count(ENTER) == 1, "only what changes settings makes them be read again"
        await place.say(LIMIT, "3.6")
        await until(lambda: asked.count(ENTER) == 3)  # to write, and to read
        await until(lambda: place.listener.state("shed")["controls"]["cell_overvoltage_limit"] == 3.6)
        # A change that is smaller than the dead band is shown, too.
        await place.say(LIMIT, "3.601")
        await until(lambda: place.listener.state("shed")["controls"]["cell_overvoltage_limit"] == 3.601)
        assert place.listener.state("shed")["readings"]["cell_overvoltage_limit"] == 3.601


async def test_settings_are_read_again_when_a_pack_was_away(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer, "LOOK", 0.05)
    async with obeying(tmp_path, broker.port, "configure", factory=True) as place:
        pack = place.house.pack
        await until(lambda: place.listener.state("shed").get("controls", {}).get("cell_overvoltage_limit") == 3.65)

        async def away() -> None:
            pack.deaf = True
            await until(lambda: place.listener.last["cellwire/shed/availability"] == "offline")
            assert "controls" not in place.listener.state("shed")
            pack.values[5]["cell_overvoltage_limit"] = 3.58
            pack.deaf = False
            await until(lambda: place.listener.last["cellwire/shed/availability"] == "online")

        await away()
        await asyncio.sleep(0.5)
        assert pack.asked.count(ENTER) == 1, "not again and again on a bad line"
        monkeypatch.setattr(offer, "AGAIN", 0.5)
        await until(lambda: place.listener.state("shed").get("controls", {}).get("cell_overvoltage_limit") == 3.58)


# Simulated packs, and the programs of mosquitto


@pytest.mark.skipif(shutil.which("mosquitto_rr") is None, reason="mosquitto-clients is not installed")
@pytest.mark.parametrize(("kind", "limit"), [("jbd", "3.58"), ("daly-d2", "")])
async def test_a_simulated_pack_is_switched_and_set(broker: Mosquitto, tmp_path: Path, kind: str, limit: str) -> None:
    with served(tmp_path / "port", kind) as there:
        address = dialects(kind)[0].addresses[0]
        shed = f'[[pack]]\nname = "shed"\nlink = "{there.path}"\nfamily = "{kind}"\naddress = {address}\n'
        more = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\ngrant = "configure"\n'
        path = written(tmp_path, f'{shed}every = 0.2\ngrant = "service"\n', more=more)

        def told(key: str, value: str) -> Document:
            command = ["mosquitto_rr", "-p", str(broker.port), "-t", f"cellwire/shed/set/{key}", "-m", value]
            text = subprocess.run([*command, "-e", "cellwire/shed/result", "-W", "20"], capture_output=True, check=True)
            found: Document = json.loads(text.stdout)
            return found

        async with running(path) as gateway, listening(broker.port) as listener:
            await online(gateway, "shed")
            await until(
                lambda: "controls" in listener.state("shed") if "cellwire/shed/state" in listener.last else False
            )
            for value in ("off", "on"):
                result = await asyncio.to_thread(told, "discharge_switch", value)
                assert (result["result"], result["found"]) == ("done", value == "on"), result
                assert there.simulator.twins[0].values["discharge_mosfet"] is (value == "on")
                await until(lambda: listener.state("shed")["controls"]["discharge_switch"] is (value == "on"))  # noqa: B023
            if limit:
                result = await asyncio.to_thread(told, "cell_overvoltage_limit", limit)
                assert (result["result"], result["found"]) == ("done", float(limit)), result
                await until(lambda: listener.state("shed")["controls"]["cell_overvoltage_limit"] == float(limit))
            entries = gateway.control.journal.entries()
            assert [(each["who"], each["result"]) for each in entries] == [("mqtt", "done")] * (3 if limit else 2)


# Home Assistant


def discovered(place: Place, style: str) -> dict[str, Document]:
    """Return the entities of commands that are announced, by object id."""
    found: dict[str, Document] = {}
    for topic, text in place.listener.last.items():
        if topic.startswith("homeassistant/device/"):
            found |= json.loads(text)["cmps"]
        elif topic.startswith("homeassistant/"):
            platform, _node, name = topic.split("/")[1:4]
            found[name] = {"p": platform, **json.loads(text)}
    return {name: each for name, each in found.items() if name.startswith("set_") and len(each) > 1}


@pytest.mark.parametrize("style", ["device", "entity"])
async def test_entities_come_and_go_with_the_grant(broker: Mosquitto, tmp_path: Path, style: str) -> None:
    discovery = HomeAssistantSettings(discovery=style)
    operate = {"set_charge_switch", "set_discharge_switch", "set_clear_alarms", "set_fan_switch", "set_release"}
    configure = operate | {"set_cell_overvoltage_limit", "set_cell_overvoltage_release"}
    async with obeying(tmp_path, broker.port, "service", home_assistant=discovery) as place:
        await until(lambda: set(discovered(place, style)) == configure)
        entity = discovered(place, style)["set_charge_switch"]
        (result,) = await place.say(entity["cmd_t"], entity["pl_off"])
        assert result["result"] == "done"
        # The pack's own grant goes down.
        place.house.control._grant_of = {"shed": "operate"}.get
        await until(lambda: set(discovered(place, style)) == operate)
        if style == "device":
            (text,) = [text for topic, text in place.listener.last.items() if topic.startswith("homeassistant/")]
            assert json.loads(text)["cmps"]["set_cell_overvoltage_limit"] == {"p": "number"}
        place.house.control._grant_of = {"shed": "service"}.get
        await until(lambda: set(discovered(place, style)) == configure)
    # Those of an earlier start go, too.
    async with obeying(tmp_path, broker.port, "read", home_assistant=discovery) as place:
        await until(lambda: not discovered(place, style))
        await until(lambda: any("binary_sensor" in text for text in place.listener.last.values()) or style == "entity")
        assert any(topic.startswith("homeassistant/") for topic in place.listener.last), "the others stay"
