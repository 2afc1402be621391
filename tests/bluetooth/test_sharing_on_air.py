"""Who has which radio's connection, and for how long; what is tried about a pack that is silent. In simulated time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import air
import ether
import pytest
from bluez import FakeBluez
from ether import Ether, Pack, Refusal
from fakes import warped
from gateway_on_air import running

from cellwire.gateway.air import radios as real_radios
from cellwire.gateway.config import PackSettings
from cellwire.gateway.events import Events
from cellwire.gateway.session import Session
from cellwire.gateway.store import Store
from cellwire.gateway.wire import Wire
from cellwire.links import open_link
from cellwire.links.ble import BleLink, Radios
from cellwire.links.ble.link import ENDING
from cellwire.links.link import LinkError

HOUR = 3600.0


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated time does not wait for threads."""

    async def here(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", here)


class House:
    """Wires to packs, and what they tell."""

    def __init__(self, radios: Radios, packs: Sequence[Pack]) -> None:
        loop = asyncio.get_running_loop()
        self.radios = radios
        self.store = Store(loop.time, loop.time)
        made = [PackSettings(name=p.address, link=f"ble:{p.address}", every=5.0, family=p.kind.dialect) for p in packs]
        self.wires = [Wire(self.store, Events(loop.time), [each], radios) for each in made]

    def link(self, number: int) -> BleLink:
        """Return the link to a pack."""
        link = self.wires[number].session.link
        assert isinstance(link, BleLink)
        return link

    def accepted(self, number: int) -> int:
        """Return how often a pack was read."""
        return self.wires[number].states[0].counts["accepted"]


@contextlib.asynccontextmanager
async def house(radios: Radios, packs: Sequence[Pack]) -> AsyncIterator[House]:
    """Run the wires; all have ended well afterwards."""
    made = House(radios, packs)
    async with running(made.wires):
        yield made
    assert not any(radio.holders for radio in radios.radios)
    assert not radios.queue
    assert all(pack.client is None for pack in packs)


def link_to(pack: Pack, radios: Radios, **more: Any) -> BleLink:
    """Return a link of its own."""
    return BleLink(f"ble:{pack.address}", pack.address, radios, **more)


def two(kind: str = "jbd", **more: Any) -> list[Pack]:
    """Return two packs."""
    return [Pack(kind, ether.address(number), **more) for number in (1, 2)]


@warped
async def test_one_who_waits_and_gives_up_leaves_no_gap() -> None:
    packs = [Pack("jbd", ether.address(number)) for number in range(4)]
    radios = ether.radios(Ether("hci0", packs, slots=1))
    first, second, third, fourth = (link_to(pack, radios) for pack in packs)
    await first.open()
    waiting = [asyncio.create_task(each.open()) for each in (second, third, fourth)]
    await asyncio.sleep(5.0)
    assert [each.link for each in radios.queue] == [second, third, fourth]
    waiting[0].cancel()
    await asyncio.sleep(1.0)
    await first.close()
    await asyncio.sleep(0.0)
    # The third has the connection by now, and is told to go before it knows.
    waiting[1].cancel()
    await asyncio.sleep(5.0)
    assert fourth.connected
    assert (await asyncio.gather(*waiting, return_exceptions=True))[2] is None
    await fourth.close()
    assert not radios.radios[0].holders


@warped
async def test_the_nearer_radio_first_then_the_one_that_has_a_connection_left() -> None:
    packs = two(rssi={"hci0": -90, "hci1": -50})
    radios = ether.radios(Ether("hci0", packs), Ether("hci1", packs, slots=1))
    near, far = (link_to(pack, radios) for pack in packs)
    await near.open()
    await far.open()
    assert near.health()["radio"] == "hci1"
    assert far.health()["radio"] == "hci0"
    assert near.health()["rssi"] == -50
    for link in (near, far):
        await link.close()


@warped
async def test_a_radio_through_which_it_cannot_be_reached_is_the_last_choice() -> None:
    (pack, _) = two(rssi={"hci0": -90, "hci1": -50})
    radios = ether.radios(Ether("hci0", [pack]), Ether("hci1", [pack]))
    link = link_to(pack, radios)
    pack.fails = [Refusal("Failed", "le-connection-abort-by-local")]
    with pytest.raises(LinkError, match="broke while it was made"):
        await link.open()
    await link.open()
    assert link.health()["radio"] == "hci0"
    await link.close()


@warped
async def test_packs_on_different_radios_do_not_wait_for_each_other() -> None:
    packs = [Pack("jbd", ether.address(number), {f"hci{number % 2}": -60}) for number in range(6)]
    radios = ether.radios(Ether("hci0", packs, slots=1), Ether("hci1", packs, slots=3))
    async with house(radios, packs) as made:
        await asyncio.sleep(600.0)
        assert [made.link(number).period() for number in (0, 2, 4)] == [78.0] * 3
        assert [made.link(number).period() for number in (1, 3, 5)] == [0.0] * 3
        assert [len(packs[number].connects) for number in (1, 3, 5)] == [1] * 3, "those keep their connections"
        assert min(made.accepted(number) for number in (0, 2, 4)) > 20


@warped
async def test_a_pack_that_is_polled_rarely_gives_its_turn_in_between() -> None:
    packs = two()
    async with house(ether.radios(Ether("hci0", packs, slots=1)), packs) as made:
        await asyncio.sleep(60.0)
        made.wires[0].line.pollers[0].every = 600.0
        await asyncio.sleep(600.0)
        assert made.accepted(1) > 100, "the other one need not wait for its next poll"


@warped
async def test_a_released_pack_holds_nothing() -> None:
    packs = two()
    async with house(ether.radios(Ether("hci0", packs, slots=1)), packs) as made:
        await asyncio.sleep(60.0)
        began = asyncio.get_running_loop().time()
        await made.wires[0].release(600.0, "anna")
        assert asyncio.get_running_loop().time() - began < 2.0
        assert packs[0].client is None
        await asyncio.sleep(5.0)
        before = len(packs[1].connects)
        await asyncio.sleep(500.0)
        assert len(packs[1].connects) == before, "the other one keeps the connection"
        assert made.link(1).period() == 0.0


@warped
async def test_a_silent_pack_is_left_alone_and_does_not_hinder_the_other() -> None:
    packs = two()
    packs[0].deaf = True
    async with house(ether.radios(Ether("hci0", packs, slots=1)), packs) as made:
        await asyncio.sleep(HOUR)
        health = made.link(0).health()
        assert len(packs[0].connects) < 60, "some packs beep each time"
        assert health["counts"]["notify_again"] >= 5
        assert health["counts"]["forget_device"] >= 5
        assert made.accepted(1) > 0.6 * HOUR / 5.0
        assert made.store.packs[packs[0].address].reason
        packs[0].deaf = False
        await asyncio.sleep(330.0)
        assert made.accepted(0) > 0, "it is tried again every five minutes"
        assert "rests" not in made.link(0).health()


@warped
async def test_the_stages_of_a_pack_that_is_silent_once_each_and_then_a_rest() -> None:
    (pack, _) = two()
    radio = Ether("hci0", [pack])
    pack.deaf = True
    async with house(ether.radios(radio), [pack]) as made:
        await asyncio.sleep(290.0)
        counts = {name: made.link(0).counts[name] for name in ("notify_again", "reconnect", "forget_device")}
        assert counts == {"notify_again": 1, "reconnect": 1, "forget_device": 1}
        assert made.link(0).counts["restart_adapter"] == radio.restarts == 1
        assert 0 < made.link(0).health()["rests"] <= 300.0
        assert len(pack.connects) == 4
        pack.deaf = False
        await asyncio.sleep(20.0)
        assert made.accepted(0) > 0, "it is still connected, and asked"
        await asyncio.sleep(HOUR)
        assert len(pack.connects) == 4
        assert made.link(0).health()["connected_for"] > HOUR


@warped
async def test_an_adapter_on_which_another_pack_works_is_not_restarted() -> None:
    packs = two()
    packs[0].deaf = True
    radio = Ether("hci0", packs)
    async with house(ether.radios(radio), packs) as made:
        await asyncio.sleep(HOUR)
        assert radio.restarts == 0
        assert len(packs[1].connects) == 1
        assert made.accepted(1) > 700


@warped
async def test_an_adapter_is_restarted_at_most_once_in_ten_minutes_and_only_when_that_is_allowed() -> None:
    for allowed in (True, False):
        (pack, _) = two()
        pack.deaf = True
        radio = Ether("hci0", [pack])
        radios = ether.radios(radio)
        radios.restarts = allowed
        async with house(radios, [pack]):
            await asyncio.sleep(HOUR)
        assert radio.restarts == (pytest.approx(5, abs=1) if allowed else 0)


@warped
async def test_a_radio_that_hears_nothing_at_all_is_restarted() -> None:
    (pack, _) = two()
    radio = Ether("hci0", [pack])
    radio.deafened = True
    async with house(ether.radios(radio), [pack]) as made:
        await asyncio.sleep(120.0)
        assert radio.restarts == 1
        assert made.link(0).health()["radio_counts"] == {"restart_adapter": 1}
        assert made.accepted(0) > 10


@warped
async def test_a_radio_that_bears_fewer_than_it_says() -> None:
    packs = [Pack("jbd", ether.address(number)) for number in range(4)]
    radio = Ether("hci0", packs, slots=5, really=2)
    async with house(ether.radios(radio), packs) as made:
        await asyncio.sleep(500.0)
        assert radio.most == 2
        assert radio.bears == 2
        assert radio.counts["refused"] <= 2
        reads = [made.accepted(number) for number in range(4)]
        assert min(reads) > 0.6 * max(reads) > 10
        radio.really = 5
        await asyncio.sleep(700.0)
        assert radio.most == 4, "it is asked again after ten minutes"


@warped
async def test_one_that_drops_each_connection_does_not_keep_others_waiting() -> None:
    packs = [Pack("jbd", ether.address(number)) for number in range(3)]
    packs[0].stays = lambda: 0.01
    async with house(ether.radios(Ether("hci0", packs, slots=1)), packs) as made:
        await asyncio.sleep(HOUR)
        assert len(packs[0].connects) < 120
        assert made.accepted(0) == 0
        assert min(made.accepted(1), made.accepted(2)) > 200
        assert made.link(0).health()["drops_an_hour"] > 10


@warped
async def test_no_answer_from_the_system_does_not_hold_a_connection_for_ever() -> None:
    packs = two()
    radios = ether.radios(Ether("hci0", packs, slots=1))
    first, second = (link_to(pack, radios) for pack in packs)
    await first.open()

    async def never() -> None:
        await asyncio.Future()

    assert packs[0].client is not None
    packs[0].client.disconnect = never  # type: ignore[method-assign]
    waiting = asyncio.create_task(second.open())
    began = asyncio.get_running_loop().time()
    await first.close()
    assert asyncio.get_running_loop().time() - began < ENDING + 5.0
    packs[0].client._ended()
    await waiting
    await second.close()


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.04, 0.06, 0.1, 0.2])
async def test_whoever_is_cancelled_while_connecting_leaves_nothing_connected(seconds: float) -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ether.address(1))
        radios = real_radios()
        session = Session(open_link(f"ble:{ether.address(1)}", radios))
        opening = asyncio.create_task(session.open())
        await asyncio.sleep(seconds)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await session.close()
        assert not pack.device.connected
        assert not bluez.adapter().discovering
        assert not any(radio.holders for radio in radios.radios)
        await radios.close()


async def test_whoever_is_cancelled_while_the_system_does_not_answer_ends_the_attempt() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ether.address(1))
        pack.device.hang("Connect")
        radios = real_radios()
        session = Session(open_link(f"ble:{ether.address(1)}", radios))
        opening = asyncio.create_task(session.open())
        while not pack.device.calls["Connect"]:
            await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert pack.device.calls["Disconnect"] == 1
        assert not any(radio.holders for radio in radios.radios)
        await radios.close()
