"""What is published of packs and banks, without a broker and with a clock that is set by hand."""

import json
from typing import Any

from mosquitto import READINGS

from cellwire.gateway.config import MqttSettings, PeriodSettings
from cellwire.gateway.store import LOST, BankState, PackState, Store
from cellwire.outputs.mqtt.outbox import Message, Outbox
from cellwire.outputs.mqtt.publisher import Publisher, plain
from cellwire.outputs.mqtt.retained import Retained
from cellwire.outputs.mqtt.topics import AVAILABILITY, RESULT, STATE, Topics
from cellwire.readings.catalogue import BY_NAME

NOW = 1_795_255_200.123
Said = list[tuple[str, str]]


class Bench:
    """A store, a publisher of it, and what it says."""

    def __init__(self, before: dict[str, str] | None = None, packs: tuple[str, ...] = ("shed",), **more: Any) -> None:
        self.now = 1000.0
        self.store = Store(lambda: NOW - 1000 + self.now, lambda: self.now)
        for name in packs:
            self.store.add(PackState(name, "jbd", "jbd", 0, 2.0))
        settings = MqttSettings(**more)
        found = Retained(Topics("cellwire"), settings)
        for topic, payload in (before or {}).items():
            found.take(topic, payload)
        self.outbox = Outbox()
        self.publisher = Publisher(self.store, settings, Topics("cellwire"), self.outbox, found)

    @property
    def shed(self) -> PackState:
        return self.store.packs["shed"]

    def sample(self, **readings: Any) -> None:
        self.store.accept(self.shed, {**READINGS, **readings})

    async def messages(self) -> list[Message]:
        """Look at everything; return what is said."""
        for name in self.publisher.names():
            self.publisher.look(name)
        return await self.outbox.take(1000) if len(self.outbox) else []

    async def said(self) -> Said:
        return [(message.topic.removeprefix("cellwire/"), message.payload) for message in await self.messages()]

    async def state(self) -> Any:
        """Return the only state document that is said."""
        (document,) = [json.loads(text) for topic, text in await self.said() if topic.endswith("/state")]
        return document


async def test_nothing_before_the_first_sample() -> None:
    bench = Bench()
    bench.store.add_bank(BankState("house", ("shed",)))
    bench.store.fail(bench.shed, LOST, "no answer")
    assert await bench.said() == []


async def test_a_live_pack() -> None:
    bench = Bench()
    bench.sample()
    bench.store.settle(bench.shed)
    first, second = await bench.messages()
    assert first == Message("cellwire/shed/availability", "online", 1, True)
    assert (second.topic, second.qos, second.retain) == ("cellwire/shed/state", 0, True)
    assert json.loads(second.payload) == bench.store.snapshot(bench.shed)
    assert await bench.said() == [], "nothing changed"


async def test_an_id_that_may_change_is_not_said() -> None:
    bench = Bench()
    bench.sample()
    assert "id" not in await bench.state()
    bench.store.settle(bench.shed)
    assert (await bench.state())["id"] == "jbd-0011223344"


async def test_a_pack_that_is_lost() -> None:
    bench = Bench(single=True)
    bench.sample(warnings=["cell_overvoltage"])
    assert ("shed/voltage", "13.32") in await bench.said()
    bench.now += 1
    bench.store.fail(bench.shed, LOST, "no answer; look at the cable")
    said = dict(await bench.said())
    document = json.loads(said["shed/state"])
    assert said["shed/availability"] == "offline"
    assert (document["state"], document["reason"]) == ("lost", "no answer; look at the cable")
    assert (document["readings"], document["problems"]) == ({}, [])
    assert document["age"] == 1.0
    assert {topic for topic, text in said.items() if not text} == {f"shed/{name}" for name in READINGS}
    assert await bench.said() == [], "once"
    bench.now += 1
    bench.store.fail(bench.shed, LOST, "the port is gone")
    assert (await bench.state())["reason"] == "the port is gone"
    bench.sample()
    said = dict(await bench.said())
    assert said["shed/availability"] == "online"
    assert json.loads(said["shed/state"])["readings"] == READINGS
    assert said["shed/cell_voltages"] == "[3.331,3.329,3.33,3.33]"


async def test_a_pack_that_grows_stale_tells_nobody_and_is_seen_all_the_same() -> None:
    bench = Bench()
    bench.sample()
    await bench.said()
    bench.now += 6.1
    said = dict(await bench.said())
    assert said["shed/availability"] == "offline"
    assert json.loads(said["shed/state"])["state"] == "stale"


async def test_readings_are_held_and_problems_with_them() -> None:
    bench = Bench()
    bench.sample()
    await bench.said()
    bench.now += 1
    bench.sample(voltage=14.0, soc=81.05)
    assert await bench.said() == []
    bench.now += 1
    bench.sample(voltage=14.0, soc=81.05, protections=["short_circuit"])
    document = await bench.state()
    assert document["readings"]["voltage"] == 13.32, "its time has not come"
    assert document["problems"] == ["short_circuit"]
    assert document["age"] == 0.0
    bench.now += 3
    bench.sample(voltage=14.0, soc=81.05, protections=["short_circuit"])
    document = await bench.state()
    assert (document["readings"]["voltage"], document["readings"]["soc"]) == (14.0, 81)


async def test_repeated_after_a_while() -> None:
    bench = Bench(single=True, refresh=60.0)
    bench.sample()
    everything = [topic for topic, _ in await bench.said() if topic != "shed/availability"]
    for _ in range(59):
        bench.now += 1
        bench.sample()
        assert await bench.said() == []
    bench.now += 1
    bench.sample()
    assert sorted(topic for topic, _ in await bench.said()) == sorted(everything)
    bench.publisher.repeat("shed")
    assert sorted(topic for topic, _ in await bench.said()) == sorted(everything)


async def test_a_lost_pack_is_repeated_too_and_problems_wait_like_alarms() -> None:
    bench = Bench(refresh=60.0, periods=PeriodSettings(alarms=10.0))
    bench.sample()
    await bench.said()
    bench.now += 1
    bench.sample(warnings=["cell_overvoltage"])
    assert await bench.said() == []
    bench.store.fail(bench.shed, LOST, "no answer")
    assert (await bench.state())["state"] == "lost"
    bench.now += 59
    assert (await bench.state())["age"] == 59.0


async def test_single_values_that_change_or_vanish() -> None:
    bench = Bench(single=True)
    bench.sample(pack_state="idle")
    said = dict(await bench.said())
    assert (said["shed/pack_state"], said["shed/charge_mosfet"], said["shed/warnings"]) == ("idle", "true", "[]")
    bench.now += 5
    bench.sample(soc=82, pack_state="idle")
    assert [topic for topic, _ in await bench.said()] == ["shed/state", "shed/soc"]
    bench.store.forget(bench.shed, "pack_state")
    assert (await bench.said())[1:] == [("shed/pack_state", "")]


async def test_a_bank() -> None:
    bench = Bench()
    bench.sample()
    bank = bench.store.add_bank(BankState("house", ("shed", "van")))
    bank.readings, bank.time, bank.seen = {"voltage": 13.3}, NOW, bench.now
    bank.missing = {"van": "lost"}
    said = dict(await bench.said())
    assert said["house/availability"] == "online"
    assert json.loads(said["house/state"]) == bench.store.bank_snapshot(bank)
    bank.missing = {"van": "asleep"}
    assert json.loads(dict(await bench.said())["house/state"])["missing"] == {"van": "asleep"}, "at once"
    bank.missing = {"van": "asleep", "shed": "lost"}
    said = dict(await bench.said())
    assert said["house/availability"] == "offline"
    assert json.loads(said["house/state"])["readings"] == {}
    del bench.store.banks["house"]
    assert await bench.said() == [("house/availability", ""), ("house/state", "")]


async def test_a_pack_that_is_removed_or_renamed() -> None:
    bench = Bench(single=True)
    bench.sample()
    await bench.said()
    bench.store.remove("shed")
    bench.store.add(PackState("barn", "jbd", "jbd", 0, 2.0))
    said = await bench.said()
    assert said[-1] == ("shed/state", ""), "the topic that tells whose they are goes last"
    assert {topic for topic, text in said if not text} == {
        f"shed/{name}" for name in (*READINGS, "state", "availability")
    }
    assert await bench.said() == []


BEFORE = {
    "pack": "shed",
    "family": "jbd",
    "dialect": "jbd",
    "address": 0,
    "model": "SP04S020",
    "id": "jbd-0011223344",
    "time": "2026-11-20T10:00:00.123Z",
    "age": 0.4,
    "state": "online",
    "readings": {"voltage": 52.43},
    "problems": ["cell_undervoltage"],
}


def before(name: str, *lasts: str) -> dict[str, str]:
    found = {f"cellwire/{name}/state": json.dumps({**BEFORE, "pack": name}), f"cellwire/{name}/availability": "online"}
    return {**found, **{f"cellwire/{name}/{last}": "1" for last in lasts}}


async def test_a_silent_pack_keeps_its_topics_and_loses_its_values() -> None:
    bench = Bench(before("shed", "voltage"))
    bench.store.fail(bench.shed, LOST, "no answer")
    said = dict(await bench.said())
    document = json.loads(said.pop("shed/state"))
    assert said == {"shed/availability": "offline", "shed/voltage": ""}
    expected = {**BEFORE, "state": "lost", "reason": "no answer", "readings": {}, "problems": []}
    assert document == {key: value for key, value in expected.items() if key != "age"}
    bench.sample()
    assert (await bench.said())[0] == ("shed/availability", "online")


async def test_a_pack_that_is_made_anew_while_it_runs() -> None:
    bench = Bench()
    bench.sample()
    bench.store.settle(bench.shed)
    document = await bench.state()
    bench.store.add(PackState("shed", "unknown", "unknown", 0, 2.0))
    said = dict(await bench.said())
    assert said["shed/availability"] == "offline"
    again = json.loads(said["shed/state"])
    assert (again["id"], again["family"], again["time"]) == (document["id"], "jbd", document["time"])
    assert (again["state"], again["readings"]) == ("stale", {})


async def test_what_was_left_by_packs_that_are_gone() -> None:
    bench = Bench({**before("gone", "voltage", "soc"), **before("shed")})
    bench.sample()
    said = await bench.said()
    assert said[:4] == [("gone/availability", ""), ("gone/soc", ""), ("gone/voltage", ""), ("gone/state", "")]
    assert ("shed/availability", "online") in said
    bank = Bench({"cellwire/house/state": json.dumps({"bank": "house"}), "cellwire/house/availability": "online"})
    assert await bank.said() == [("house/availability", ""), ("house/state", "")]


async def test_what_is_not_ours_stays() -> None:
    strange = {
        "cellwire/kitchen/state": '{"pack": "other"}',
        "cellwire/attic/state": "online",
        "cellwire/hall/state": "[1]",
        "cellwire/cellar/voltage": "12",
        "cellwire/porch/availability": "online",
        "cellwire/a/b/state": '{"pack": "b"}',
        "elsewhere/b/state": '{"pack": "b"}',
        "cellwire/status": "online",
    }
    assert await Bench(strange).said() == []


async def test_single_values_are_cleared_when_they_are_not_wanted_any_more() -> None:
    bench = Bench(before("shed", "voltage", "nonsense"))
    bench.sample()
    said = dict(await bench.said())
    assert said["shed/voltage"] == ""
    assert "shed/nonsense" not in said


def test_no_reading_is_called_like_a_topic() -> None:
    assert not {STATE, AVAILABILITY, RESULT, "set"} & BY_NAME.keys()


def test_plain_values() -> None:
    assert [plain(value) for value in (1.5, 80, True, "LFP", [3.3, None], ["a"])] == [
        "1.5", "80", "true", "LFP", "[3.3,null]", '["a"]',
    ]  # fmt: skip
