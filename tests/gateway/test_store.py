"""The newest readings, when they came and when they changed, and the JSON document made of them."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cellwire.gateway.store import ASLEEP, LOST, BankState, PackState, Store, utc
from cellwire.outputs.console import as_json

PAGE = (Path(__file__).parent.parent.parent / "docs/json.md").read_text(encoding="utf-8")
NOW = 1_795_255_200.123  # 2026-11-21T10:00:00.123Z


class Clock:
    """A clock that is set by hand, and how long it really ran."""

    def __init__(self) -> None:
        self.now = NOW
        self.set = 0.0  # by how much it was set

    def __call__(self) -> float:
        return self.now + self.set

    def monotonic(self) -> float:
        return self.now - NOW


def made(**readings: Any) -> tuple[Store, PackState, Clock]:
    clock = Clock()
    store = Store(clock, clock.monotonic)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 2.0))
    if readings:
        store.accept(pack, readings)
    return store, pack, clock


def test_two_clocks_for_every_value() -> None:
    store, pack, clock = made(voltage=13.2, soc=80)
    clock.now += 2
    store.accept(pack, {"voltage": 13.3, "soc": 80})
    clock.now += 2
    store.accept(pack, {"voltage": 13.3})
    assert pack.received == {"voltage": 4, "soc": 2}, "by the clock that nobody sets"
    assert pack.changed == {"voltage": NOW + 2, "soc": NOW}
    assert pack.counts["accepted"] == 3


def test_stale_after_three_intervals() -> None:
    store, pack, clock = made(voltage=13.2)
    assert store.state(pack) == "online"
    clock.now = NOW + 5.9
    assert store.state(pack) == "online"
    clock.now = NOW + 6.1
    assert store.state(pack) == "stale"
    document = store.snapshot(pack)
    assert document["state"] == "stale"
    assert document["time"] == "2026-11-21T10:00:00.123Z"
    assert document["age"] == pytest.approx(6.1)
    assert document["readings"] == {"voltage": 13.2}


@pytest.mark.parametrize("jump", [365 * 86400.0, -365 * 86400.0])
def test_the_clock_is_set(jump: float) -> None:
    store, pack, clock = made(voltage=13.2, soc=80)
    bank = store.add_bank(BankState("house", ("shed",)))
    bank.time, bank.seen = pack.time, pack.seen
    clock.now += 1
    clock.set = jump
    document = store.snapshot(pack)
    assert (document["state"], document["age"]) == ("online", 1.0)
    assert document["time"] == "2026-11-21T10:00:00.123Z", "the clock was so when the sample came"
    assert store.bank_snapshot(bank)["age"] == 1.0
    clock.now += 6
    assert store.state(pack) == "stale"
    # What stays doubtful is forgotten as soon as without the jump, and no sooner.
    store.accept(pack, {"voltage": 13.3}, {"voltage": 13.3, "soc": 0})
    assert pack.readings == {"voltage": 13.3}
    assert pack.time == clock()


def test_never_read() -> None:
    store, pack, _ = made()
    document = store.snapshot(pack)
    assert document["state"] == "stale"
    assert "time" not in document
    assert "age" not in document
    assert document["readings"] == {}


def test_trouble_keeps_the_old_readings_and_goes_with_the_next_sample() -> None:
    store, pack, clock = made(voltage=13.2)
    clock.now += 1
    store.fail(pack, LOST, "plug it in")
    document = store.snapshot(pack)
    assert (document["state"], document["reason"]) == ("lost", "plug it in")
    assert document["readings"] == {"voltage": 13.2}
    assert document["age"] == pytest.approx(1.0)
    store.fail(pack, ASLEEP, "wake it")
    assert store.state(pack) == "asleep"
    store.accept(pack, {"voltage": 13.1})
    document = store.snapshot(pack)
    assert document["state"] == "online"
    assert "reason" not in document


def documented(heading: str) -> set[str]:
    """Return the keys that the page's section has in its table."""
    section = PAGE[PAGE.index(heading) + 1 :].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_a_bank_is_as_documented() -> None:
    store, pack, _ = made(voltage=13.3)
    bank = store.add_bank(BankState("house", (pack.name, "garage")))
    bank.missing["garage"] = "lost"
    bank.readings, bank.time, bank.seen = {"voltage": 13.3, "faults": ["short_circuit"]}, pack.time, pack.seen
    document = store.bank_snapshot(bank)
    common = {"id", "time", "age", "readings", "problems"}
    assert set(document) == documented("## A bank") | common
    assert document["id"] == "bank-house"
    assert document["present"] == 1
    assert document["state"] == "partial"
    assert document["problems"] == ["short_circuit"]
    bank.missing[pack.name] = "stale"
    assert store.bank_snapshot(bank)["state"] == "lost"


def test_boards_that_share_a_number_keep_apart() -> None:
    store, pack, _ = made(serial_number="0011223344")
    other = store.add(PackState("garage", "jbd", "jbd", 0, 2.0))
    store.accept(other, {"serial_number": "0011223344"})
    store.settle(pack)
    store.settle(other)
    assert pack.id == "jbd-0011223344"
    assert other.id == "jbd-0011223344-garage"
    store.accept(pack, {"serial_number": "99"})
    assert pack.id == "jbd-0011223344", "settled for ever"


def test_boards_that_share_a_number_stay_who_they_were() -> None:
    """After a restart, or when their links are opened anew, another one may answer first."""
    store, pack, _ = made()
    store.known = {"jbd-0", "jbd-0-garage"}
    garage = store.add(PackState("garage", "jbd", "jbd", 0, 2.0))
    store.settle(garage)
    store.settle(pack)
    assert (pack.id, garage.id) == ("jbd-0", "jbd-0-garage")
    again, pack = (store.add(PackState(name, "jbd", "jbd", 0, 2.0)) for name in ("garage", "shed"))
    store.settle(again)
    store.settle(pack)
    assert (pack.id, again.id) == ("jbd-0", "jbd-0-garage")
    pinned = store.add(PackState("attic", "jbd", "jbd", 0, 2.0))
    pinned.pinned_id = "mine"
    store.known.add("mine-attic")
    store.settle(pinned)
    assert pinned.id == "mine"


def test_a_snapshot_is_as_documented() -> None:
    store, pack, clock = made(
        model="SP04S020",
        serial_number="0011223344",
        voltage=13.32,
        cell_voltages=[3.331, None, 3.33],
        charge_mosfet=True,
        warnings=["cell_undervoltage"],
        protections=["charge_overcurrent"],
        faults=[],
    )
    clock.now += 0.4
    document = json.loads(as_json(store.snapshot(pack)))
    assert set(document) == documented("# JSON") - {"reason"}
    assert document["id"] == "jbd-0011223344"
    assert document["model"] == "SP04S020"
    assert document["age"] == 0.4
    assert document["readings"]["cell_voltages"] == [3.331, None, 3.33]
    assert document["problems"] == ["charge_overcurrent", "cell_undervoltage"]
    assert "\n" not in as_json(store.snapshot(pack))


def test_every_key_of_a_snapshot_is_documented() -> None:
    store, pack, _ = made(model="A", voltage=1.0)
    store.fail(pack, LOST, "because")
    for key in store.snapshot(pack):
        assert f"`{key}`" in PAGE, key


def test_a_snapshot_does_not_change_afterwards() -> None:
    store, pack, _ = made(voltage=13.2)
    document = store.snapshot(pack)
    store.accept(pack, {"voltage": 13.3})
    assert document["readings"] == {"voltage": 13.2}


@pytest.mark.parametrize(
    ("readings", "identity"),
    [
        ({"serial_number": "SN 12-Ab"}, "jbd-sn12ab"),
        ({"serial_number": "0000", "battery_code": "B7"}, "jbd-b7"),
        ({"serial_number": "  "}, "jbd-3"),
        ({"barcode": "X1"}, "jbd-x1"),
        ({}, "jbd-3"),
    ],
)
def test_identity_from_the_serial_number_else_the_address(readings: dict[str, Any], identity: str) -> None:
    pack = PackState("renamed", "jbd", "jbd", 3, 2.0)
    pack.readings.update(readings)
    assert pack.id == identity


async def test_watchers_hear_of_samples_and_troubles() -> None:
    store, pack, _ = made()
    other = store.add(PackState("van", "jk", "jk-pb", 1, 1.0))
    heard: list[str] = []

    async def watch() -> None:
        async for told in store.watch():
            heard.append(f"{told.name} {store.state(told)}")

    watchers = [asyncio.create_task(watch()), asyncio.create_task(watch())]
    await asyncio.sleep(0)
    store.accept(pack, {"voltage": 13.2})
    await asyncio.sleep(0)
    store.fail(other, LOST, "gone")
    for _ in range(3):
        await asyncio.sleep(0)
    assert heard == ["shed online"] * 2 + ["van lost"] * 2
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    assert not store._watchers


async def test_a_watcher_that_does_not_listen_costs_no_memory() -> None:
    store, pack, _ = made()
    watching = store.watch()
    first = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    for number in range(3000):
        store.accept(pack, {"voltage": number / 1000})
    assert (await first) is pack
    (queue,) = store._watchers
    assert queue.qsize() <= 1000
    await watching.aclose()


def test_utc() -> None:
    assert utc(0.0) == "1970-01-01T00:00:00.000Z"


# What outputs see


def test_what_is_old_is_left_out_while_the_pack_still_answers() -> None:
    store, pack, clock = made(voltage=13.2, heating=True, serial_number="0011223344", cell_overvoltage_limit=3.65)
    store.put(pack, {"energy_in": 1.5})
    clock.now += 100
    store.accept(pack, {"voltage": 13.3})
    battery = store.battery("shed")
    assert battery is not None
    assert battery.live
    assert battery.readings["heating"] is True
    clock.now += 100
    store.accept(pack, {"voltage": 13.4})
    battery = store.battery("shed")
    assert battery is not None
    # What is told once, and meters that wait for the disk, last.
    assert battery.readings == {
        "voltage": 13.4,
        "serial_number": "0011223344",
        "cell_overvoltage_limit": 3.65,
        "energy_in": 1.5,
    }


def test_nothing_is_shown_of_what_is_not_live() -> None:
    store, pack, clock = made(voltage=13.2, serial_number="0011223344")
    bank = store.add_bank(BankState("house", ("shed", "garage"), "bank-home"))
    bank.missing, bank.readings, bank.time, bank.seen = {"garage": "lost"}, {"voltage": 13.2}, pack.time, pack.seen
    assert [(battery.name, battery.state, battery.live) for battery in store.batteries()] == [
        ("shed", "online", True),
        ("house", "partial", True),
    ]
    clock.now += 3 * pack.every + 0.1
    bank.missing["shed"] = "stale"
    shed, house = store.batteries()
    assert (shed.state, shed.live, shed.readings) == ("stale", False, {})
    assert shed.identity == {"serial_number": "0011223344"}
    assert (house.id, house.state, house.live, house.readings) == ("bank-home", "lost", False, {})
    assert house.every == pack.every
    assert store.battery("nobody") is None


def test_a_pack_that_was_never_read_is_not_live() -> None:
    store, pack, _ = made()
    store.fail(pack, LOST, "plug it in")
    battery = store.battery("shed")
    assert battery is not None
    assert (battery.live, battery.settled, battery.time) == (False, False, None)
