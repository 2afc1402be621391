"""Adapters and proxies side by side: the better one is taken, and one takes over from the other."""

import socket

import air as on_air
import pytest
from air import KINDS, Peripheral, Recorded
from bluez import FakeBluez
from fakeproxy import FakeProxy
from proxied import GARAGE, SHED, lends, reading, settings

from cellwire.gateway.config import BluetoothSettings, ProxySettings
from cellwire.links.ble import proxy as proxies


def heard_by_both(bluez: FakeBluez, proxy: FakeProxy, address: str, adapter: int, lent: int) -> Peripheral:
    """Put a pack on the air that both hear, each with an RSSI of its own."""
    device = bluez.add(on_air.device("jbd", address, rssi=adapter), "hci0")
    proxy.add(device, lent)
    return Peripheral(Recorded("jbd"), device, KINDS["jbd"].notify)


@pytest.mark.parametrize(("adapter", "lent", "taken"), [(-60, -80, "hci0"), (-80, -60, "kitchen")])
async def test_the_louder_one_is_taken(adapter: int, lent: int, taken: str) -> None:
    async with FakeBluez() as bluez, FakeProxy() as proxy:
        heard_by_both(bluez, proxy, SHED, adapter, lent)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            assert gateway.wire("shed").session.link.health()["radio"] == taken
            assert sorted(radio["name"] for radio in gateway.radios.health()) == ["hci0", "kitchen"]
            assert gateway.radio(taken)["used"] == 1


async def test_the_one_that_a_link_names_is_taken() -> None:
    async with FakeBluez() as bluez, FakeProxy() as proxy:
        heard_by_both(bluez, proxy, SHED, -50, -80)
        packs = [settings("shed", f"{SHED}?radio=kitchen", family="jbd")]
        async with reading(packs, [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            assert gateway.wire("shed").session.link.health()["radio"] == "kitchen"


async def test_the_free_one_is_taken() -> None:
    async with FakeBluez() as bluez, FakeProxy(slots=1) as proxy:
        for address in (SHED, GARAGE):
            heard_by_both(bluez, proxy, address, -80, -60)
        packs = [settings("shed", SHED, family="jbd"), settings("garage", GARAGE, family="jbd")]
        async with reading(packs, [lends(proxy)], BluetoothSettings(slots=1, turn=60.0)) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd") and gateway.whole("garage", "jbd"))
            used = {gateway.wire(name).session.link.health()["radio"] for name in ("shed", "garage")}
            assert used == {"hci0", "kitchen"}


async def test_the_adapter_takes_over_from_a_proxy_that_is_away() -> None:
    async with FakeBluez() as bluez, FakeProxy() as proxy:
        pack = heard_by_both(bluez, proxy, SHED, -80, -60)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            assert gateway.wire("shed").session.link.health()["radio"] == "kitchen"
            await proxy.away()
            await gateway.until(lambda: pack.device.calls["Connect"] == 2)
            await gateway.until(lambda: gateway.wire("shed").session.link.health()["radio"] == "hci0")
            await gateway.until(lambda: gateway.online("shed"))


async def test_the_proxy_takes_over_from_an_adapter_that_is_away() -> None:
    async with FakeBluez() as bluez, FakeProxy() as proxy:
        heard_by_both(bluez, proxy, SHED, -60, -80)
        async with reading([settings("shed", SHED, family="jbd")], [lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            assert gateway.wire("shed").session.link.health()["radio"] == "hci0"
            await bluez.adapter("hci0").take_away()
            await gateway.until(lambda: gateway.wire("shed").session.link.health()["radio"] == "kitchen")
            await gateway.until(lambda: gateway.online("shed"))


async def test_a_proxy_that_does_not_answer_keeps_no_adapter_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "FIRST", 0.1)
    monkeypatch.setattr(proxies, "CONNECT", 600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with FakeBluez() as bluez:
            device = bluez.add(on_air.device("jbd", SHED), "hci0")
            Peripheral(Recorded("jbd"), device, KINDS["jbd"].notify)
            attic = ProxySettings("attic", "127.0.0.1", silent.getsockname()[1])
            async with reading([settings("shed", SHED, family="jbd")], [attic]) as gateway:
                await gateway.until(lambda: gateway.whole("shed", "jbd"))
                assert gateway.radio("attic")["state"] == "trouble"
