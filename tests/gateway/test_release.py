"""Releasing packs of a running gateway for another program: given up soon, left alone, taken back in time."""

import asyncio
import time
from pathlib import Path

import pytest
from served import served
from test_app import online, pack, running, until, written

from cellwire.gateway.app import Gateway
from cellwire.gateway.release import Releases
from cellwire.gateway.writing import Denied, Who
from cellwire.links import open_link
from cellwire.links.link import PortBusy

ANNA = Who("anna", "page", "operate")
JBD = 'family = "jbd"\naddress = 0'


async def is_free(path: str) -> bool:
    """Return whether another program may open a port now."""
    link = open_link(path)
    try:
        await link.open()
    except PortBusy:
        return False
    await link.close()
    return True


def told(gateway: Gateway, *kinds: str) -> list[str]:
    return [event.text for event in gateway.events.recent if event.kind in kinds]


async def test_is_free_and_comes_back_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.gateway.release.LEAST", 0.01)
    with served(tmp_path / "port", "jbd") as there:
        async with running(written(tmp_path, pack("shed", there.path))) as gateway:
            await online(gateway, "shed")
            assert not await is_free(there.path)
            began = time.monotonic()
            released = await gateway.releases.release("shed", 0.025, ANNA)
            assert time.monotonic() - began < 2
            assert await is_free(there.path)
            assert released.packs == ("shed",)
            assert released.until is not None
            assert abs(released.until - gateway.clock() - 1.5) < 0.5
            document = gateway.store.snapshot(gateway.store.packs["shed"])
            assert document["state"] == "lost"
            assert document["reason"].startswith("released for another program until ")
            assert document["reason"].endswith(" (by anna)")
            assert gateway.link_of("shed")["released_until"] == pytest.approx(released.until, abs=0.2)
            asked = dict(gateway.link_of("shed")["counts"])
            await asyncio.sleep(1.0)
            assert gateway.link_of("shed")["counts"] == asked
            assert await is_free(there.path)
            await online(gateway, "shed")
            assert time.monotonic() - began < 6
            assert "released_until" not in gateway.link_of("shed")
            # Nothing broke, so nothing but the release is told.
            assert told(gateway, "release", "state", "bank") == [
                "shed is released for another program for 0 minutes by anna",
                "shed is taken back: its time is over",
            ]


async def test_is_taken_back_early_and_prolonged(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as there:
        async with running(written(tmp_path, pack("shed", there.path))) as gateway:
            await online(gateway, "shed")
            first = await gateway.releases.release("shed", 1, ANNA)
            second = await gateway.releases.release("shed", 10, ANNA)
            assert first.until is not None
            assert second.until is not None
            assert 530 < second.until - first.until < 550
            back = await gateway.releases.release("shed", 0, Who("bert", "mqtt", "service"))
            assert (back.until, back.text) == (None, "taken back")
            await online(gateway, "shed")
            assert (await gateway.releases.release("shed", 0, ANNA)).text == "it was not released"
            assert told(gateway, "release", "state") == [
                "shed is released for another program for 1 minute by anna",
                "shed is released for another program for 10 minutes by anna",
                "shed is taken back by bert",
            ]


async def test_a_question_under_way_is_broken_off(tmp_path: Path) -> None:
    """A pack that keeps its answer to itself for long does not keep the link."""
    with served(tmp_path / "port", "jbd") as there:
        async with running(written(tmp_path, pack("shed", there.path))) as gateway:
            await online(gateway, "shed")
            there.simulator.think = 30.0
            requests = there.simulator.requests
            await until(lambda: there.simulator.requests > requests)
            began = time.monotonic()
            await gateway.releases.release("shed", 1, ANNA)
            assert time.monotonic() - began < 0.5
            assert await is_free(there.path)


async def test_while_it_is_looked_for(tmp_path: Path) -> None:
    """What does not say what it speaks is not asked either."""
    port = tmp_path / "port"
    async with running(written(tmp_path, pack("shed", str(port), ""))) as gateway:
        await until(lambda: "shed" in gateway.store.packs and gateway.store.packs["shed"].trouble == "lost")
        await gateway.releases.release("shed", 1, ANNA)
        with served(port, "jbd"):
            await asyncio.sleep(0.7)
            assert await is_free(str(port))
            assert gateway.store.packs["shed"].dialect == "unknown"
            await gateway.releases.release("shed", 0, ANNA)
            await online(gateway, "shed")


async def test_packs_of_one_link_go_together(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd-up", addresses=(1, 2)) as there:
        more = [pack(name, there.path, f'family = "jbd-up"\naddress = {n}') for n, name in enumerate(("one", "two"), 1)]
        async with running(written(tmp_path, *more)) as gateway:
            await online(gateway, "one", "two")
            released = await gateway.releases.release("two", 5, ANNA)
            assert released.packs == ("one", "two")
            assert released.text.endswith("(by anna), together with one on the same link")
            assert {gateway.store.state(each) for each in gateway.store.packs.values()} == {"lost"}
            assert told(gateway, "release") == [
                "one is released for another program for 5 minutes by anna, together with two on the same link",
                "two is released for another program for 5 minutes by anna, together with one on the same link",
            ]


async def test_a_write_is_refused_with_the_reason(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as there:
        path = written(tmp_path, pack("shed", there.path, f'{JBD}\ngrant = "operate"'))
        async with running(path) as gateway:
            await online(gateway, "shed")
            await gateway.releases.release("shed", 5, ANNA)
            (result,) = await gateway.control.write("shed", {"charge_switch": False}, ANNA)
            assert result.result == "refused"
            assert "released for another program until" in result.reason
            assert "(by anna)" in result.reason


async def test_not_in_the_middle_of_a_write(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as there:
        async with running(written(tmp_path, pack("shed", there.path))) as gateway:
            await online(gateway, "shed")
            poller = gateway._poller_of("shed")
            assert poller is not None
            async with poller.session.writing:
                began = time.monotonic()
                with pytest.raises(Denied, match="being written"):
                    await gateway.releases.release("shed", 5, ANNA)
                assert time.monotonic() - began < 1.5
                assert gateway.store.state(gateway.store.packs["shed"]) == "online"
            await gateway.releases.release("shed", 5, ANNA)
            assert await is_free(there.path)


async def test_outlives_a_change_of_the_configuration(tmp_path: Path) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd", cells=8) as two:
        path = written(tmp_path, pack("shed", one.path))
        async with running(path) as gateway:
            await online(gateway, "shed")
            await gateway.releases.release("shed", 5, ANNA)
            van = {"link": two.path, "family": "jbd", "address": 0, "every": 0.2}
            await gateway.change("pack", "van", van, "admin")
            await online(gateway, "van")
            assert await is_free(one.path)
            # Also of one that has to do with how it is read, as long as it is the same link.
            await gateway.change("pack", "shed", {"name": "barn"}, "admin")
            await until(lambda: gateway.store.packs["barn"].reason.startswith("released"))
            assert await is_free(one.path)
            await gateway.releases.release("barn", 0, ANNA)
            await online(gateway, "barn", "van")


async def test_a_bank_says_which_pack_is_released(tmp_path: Path) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd", cells=4) as two:
        bank = '[[bank]]\nname = "house"\npacks = ["shed", "van"]\n'
        path = written(tmp_path, pack("shed", one.path), pack("van", two.path), bank)
        async with running(path) as gateway:
            await online(gateway, "shed", "van")
            await until(lambda: gateway.store.banks["house"].readings.get("packs_present") == 2)
            await gateway.releases.release("shed", 5, ANNA)
            await until(lambda: gateway.store.banks["house"].missing == {"shed": "released"})
            assert told(gateway, "bank") == ["house: shed does not count, it is released; 1 of 2 packs"]


async def test_one_that_stays_away_after_it_is_told(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as there:
        async with running(written(tmp_path, pack("shed", there.path))) as gateway:
            await online(gateway, "shed")
            await gateway.releases.release("shed", 5, ANNA)
            there.unplug()
            await gateway.releases.release("shed", 0, ANNA)
            await until(lambda: any("shed is lost" in text for text in told(gateway, "state")))


async def test_there_must_be_such_a_pack() -> None:
    with pytest.raises(Denied, match="there is no pack shed"):
        await Releases(lambda name: None).release("shed", 10, ANNA)


@pytest.mark.parametrize("minutes", [-1, 0.4, 241])
async def test_who_may_and_for_how_long(tmp_path: Path, minutes: float) -> None:
    async with running(written(tmp_path, pack("shed", str(tmp_path / "port")))) as gateway:
        await until(lambda: "shed" in gateway.store.packs)
        with pytest.raises(ValueError, match=r"0\.5 to 240 minutes"):
            await gateway.releases.release("shed", minutes, ANNA)
        with pytest.raises(Denied, match='it takes "operate"'):
            await gateway.releases.release("shed", 10, Who("eve", "page", "read"))
