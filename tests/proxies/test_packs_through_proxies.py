"""Packs through ESPHome proxies: read whole, shared by turns, and back after the proxy was away."""

import asyncio

import pytest
from fakeproxy import KEY, FakeProxy
from proxied import GARAGE, SHED, lends, played, reading, settings

from cellwire.gateway.config import BluetoothSettings


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize(("kind", "family"), [("jk02", "jk02"), ("jbd", "")])
async def test_a_pack_is_read_whole_through_a_proxy(kind: str, family: str, key: str) -> None:
    async with FakeProxy(key=key) as proxy:
        pack = played(kind, SHED, proxy)
        shed = settings("shed", SHED, family=family)
        async with reading([shed], [lends(proxy, encryption_key=key)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", kind))
            assert pack.device.calls["Connect"] == 1
            assert gateway.wire("shed").session.link.health()["radio"] == "kitchen"
            assert proxy.mode == 1, "only an active scan hears names"
        assert proxy.held == [], "the end of the gateway gives the connection back"
        assert proxy.clients == []


async def test_two_packs_take_turns_on_one_slot() -> None:
    async with FakeProxy(slots=1) as proxy:
        shed, garage = played("jbd", SHED, proxy), played("jbd", GARAGE, proxy)
        packs = [settings("shed", SHED, family="jbd"), settings("garage", GARAGE, family="jbd")]
        async with reading(packs, [lends(proxy)], BluetoothSettings(turn=0.5)) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd") and gateway.whole("garage", "jbd"))
            await gateway.until(lambda: min(pack.device.calls["Connect"] for pack in (shed, garage)) >= 3)
            kitchen = gateway.radio("kitchen")
            assert (kitchen["kind"], kitchen["slots"], kitchen["state"]) == ("proxy", 1, "ready")
        assert proxy.most == 1


async def test_two_packs_keep_two_slots() -> None:
    async with FakeProxy(slots=2) as proxy:
        shed, garage = played("jbd", SHED, proxy), played("daly-d2", GARAGE, proxy)
        packs = [settings("shed", SHED, family="jbd"), settings("garage", GARAGE, family="daly-d2")]
        async with reading(packs, [lends(proxy)], BluetoothSettings(turn=0.5)) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd") and gateway.whole("garage", "daly-d2"))
            assert gateway.radio("kitchen")["used"] == 2
            assert (shed.device.calls["Connect"], garage.device.calls["Connect"]) == (1, 1)


async def test_a_proxy_that_drops_its_connection_reads_the_pack_again() -> None:
    async with FakeProxy() as proxy:
        pack = played("jbd", SHED, proxy)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            for times in (2, 3):
                await proxy.drop()
                assert not pack.device.connected, "a proxy gives everything up when its program is gone"
                await gateway.until(lambda times=times: pack.device.calls["Connect"] == times)  # type: ignore[misc]
                heard = len(pack.heard)
                await gateway.until(lambda heard=heard: len(pack.heard) > heard + 3)  # type: ignore[misc]
                await gateway.until(lambda: gateway.online("shed"))
            assert gateway.wire("shed").session.link.health()["counts"]["drops"] == 2


async def test_a_proxy_without_power_is_told_of_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeProxy() as proxy:
        pack = played("jbd", SHED, proxy)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            await proxy.away()
            await gateway.until(lambda: gateway.radio("kitchen")["state"] == "trouble")
            await gateway.until(lambda: "Bluetooth proxy kitchen" in gateway.store.packs["shed"].reason)
            await gateway.until(lambda: "nobody answers at 127.0.0.1" in gateway.radio("kitchen")["reason"])
            assert gateway.radio("kitchen")["slots"] == 0
            await proxy.back()
            await gateway.until(lambda: pack.device.calls["Connect"] == 2)
            await gateway.until(lambda: gateway.online("shed"))
            assert gateway.radio("kitchen")["reason"] == ""
    said = [record.getMessage() for record in caplog.records if "proxy kitchen" in record.getMessage()]
    assert len(said) == 2, "once when it is lost, and once when it is back"
    assert "it is back" in said[1]


async def test_who_waits_for_a_slot_of_a_proxy_hears_that_it_is_gone() -> None:
    async with FakeProxy(slots=1) as proxy:
        played("jbd", SHED, proxy), played("jbd", GARAGE, proxy)
        packs = [settings("shed", SHED, family="jbd"), settings("garage", GARAGE, family="jbd")]
        async with reading(packs, [lends(proxy)], BluetoothSettings(turn=60.0)) as gateway:
            await gateway.until(lambda: gateway.radio("kitchen").get("waiting") == 1)
            await proxy.away()
            await gateway.until(lambda: gateway.radio("kitchen")["state"] == "trouble")
            assert gateway.radio("kitchen")["waiting"] == 0
            # Sooner than a connection may take to be made: the first pack was in the middle of it.
            for name in ("shed", "garage"):
                await gateway.until(lambda name=name: "proxy kitchen" in gateway.store.packs[name].reason, 15.0)  # type: ignore[misc]


async def test_a_pack_that_is_gone_from_the_proxy_comes_back() -> None:
    async with FakeProxy() as proxy:
        pack = played("jbd", SHED, proxy)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            await pack.device.vanish()
            await asyncio.sleep(0.2)
            assert proxy.held == []
            await pack.device.appear()
            await gateway.until(lambda: pack.device.calls["Connect"] == 2)
            await gateway.until(lambda: gateway.online("shed"))
