"""What keeps a proxy from being a radio: each cause by its name, with what to do about it."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bleak.exc import BleakError
from fakeproxy import ACTIVE, ALL, KEY, OTHER_KEY, PASSIVE, RAW, FakeProxy
from proxied import SHED, lends, played, reading, settings

from cellwire.gateway import air
from cellwire.gateway.config import ProxySettings
from cellwire.links import open_link
from cellwire.links.ble import proxy as proxies
from cellwire.links.ble.causes import BleError, classify
from cellwire.links.ble.proxy import ProxyRadio, ready
from cellwire.links.link import AdapterOff, LinkLost, PortForbidden


@contextlib.asynccontextmanager
async def tried(host: str, port: int, key: str = "") -> AsyncIterator[ProxyRadio]:
    """Connect to a device; inside it is known how that went."""
    radio = ProxyRadio("kitchen", host, port, lambda: key)
    await ready([radio])
    try:
        yield radio
    finally:
        await radio.close()


async def trouble(radio: ProxyRadio) -> tuple[str, str]:
    """Return the name of what is wrong, and what to do about it."""
    assert not radio.there
    assert radio.trouble is not None
    assert radio.trouble.radio, "it is no fault of the pack's"
    with pytest.raises(BleError) as caught:
        await radio.listen(lambda advert: None)
    assert caught.value.cause == radio.trouble
    assert radio.health()["state"] == "trouble"
    assert radio.health()["reason"] == radio.trouble.advice
    return radio.trouble.name, radio.trouble.advice


async def test_nothing_is_wrong() -> None:
    for key in ("", KEY):
        async with FakeProxy(key=key, slots=4) as proxy, tried("127.0.0.1", proxy.port, key) as radio:
            assert radio.there
            assert radio.health() == {
                "name": "kitchen", "kind": "proxy", "slots": 4, "used": 0, "state": "ready", "reason": "",
            }  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours", "advice"),
    [
        (KEY, OTHER_KEY, "does not take this encryption_key; copy the one below `api:`"),
        (KEY, "", "wants a key; write encryption_key"),
        ("", KEY, "has no encryption; take encryption_key out"),
        (KEY, "short", "does not take this encryption_key"),
    ],
)
async def test_a_key_that_does_not_fit(theirs: str, ours: str, advice: str) -> None:
    async with FakeProxy(key=theirs) as proxy, tried("127.0.0.1", proxy.port, ours) as radio:
        name, said = await trouble(radio)
        assert name == "proxy_key"
        assert advice in said
        assert said.startswith("Bluetooth proxy kitchen: ")
        if ours:
            assert ours not in said


async def test_a_device_with_an_api_password() -> None:
    async with FakeProxy(password="secret") as proxy, tried("127.0.0.1", proxy.port) as radio:
        name, said = await trouble(radio)
        assert name == "proxy_password"
        assert "instead of `password:`" in said


@pytest.mark.parametrize(
    ("features", "name", "advice"),
    [
        (0, "no_proxy", "write `bluetooth_proxy:`"),
        (PASSIVE | RAW, "proxy_passive", "write `active: true`"),
        (PASSIVE | ACTIVE, "proxy_old", "2023.2 or later"),
    ],
)
async def test_a_device_that_lends_too_little(features: int, name: str, advice: str) -> None:
    async with FakeProxy(features=features) as proxy, tried("127.0.0.1", proxy.port) as radio:
        assert (await trouble(radio))[0] == name
        assert advice in (await trouble(radio))[1]


async def test_a_proxy_that_serves_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "ANSWER", 0.2)
    monkeypatch.setattr(proxies, "PAUSES", (0.05,))
    async with FakeProxy() as proxy:
        proxy.taken = True
        async with tried("127.0.0.1", proxy.port) as radio:
            name, said = await trouble(radio)
            assert name == "proxy_taken"
            assert "Home Assistant" in said
            proxy.taken = False
            async with asyncio.timeout(20):
                while not radio.there:
                    await asyncio.sleep(0.01)
            assert radio.trouble is None


async def test_a_proxy_that_went_over_to_another_program_is_had_back_by_a_restart() -> None:
    async with FakeProxy() as proxy, tried("127.0.0.1", proxy.port) as radio:
        played("jbd", SHED, proxy)
        proxy.subscriber = None  # newer ones serve the last who asked, and do not tell the others
        await radio.restart()
        assert radio.there
        heard = asyncio.Event()
        await radio.listen(lambda advert: heard.set())
        async with asyncio.timeout(20):
            await heard.wait()
        proxy.password = "secret"
        with pytest.raises(BleError, match="proxy_password"):
            await radio.restart()


async def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with tried("127.0.0.1", port) as radio:
        name, said = await trouble(radio)
        assert name == "proxy_away"
        assert f"nobody answers at 127.0.0.1:{port}" in said


async def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nothing)
    async with tried("kitchen.invalid", 6053) as radio:
        name, said = await trouble(radio)
        assert name == "proxy_unknown"
        assert "no device of the name kitchen.invalid" in said


async def test_something_else_answers() -> None:
    async def website(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(website, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for key in ("", KEY):
        async with tried("127.0.0.1", port, key) as radio:
            name, said = await trouble(radio)
            assert name == "no_proxy"
            assert "is no ESPHome device" in said
    server.close()
    await server.wait_closed()


async def test_something_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "CONNECT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with tried("127.0.0.1", server.getsockname()[1]) as radio:
            assert "nobody answers" in (await trouble(radio))[1]


async def test_something_that_is_slow_to_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "FIRST", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with asyncio.timeout(20), tried("127.0.0.1", server.getsockname()[1]) as radio:
            assert "is not connected to yet; wait a moment" in (await trouble(radio))[1]


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aioesphomeapi.client", None)
    async with tried("127.0.0.1", 1) as radio:
        name, said = await trouble(radio)
        assert name == "no_proxy_library"
        assert "pip install 'cellwire[proxy]'" in said


async def test_the_key_in_a_file_and_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeProxy(key=KEY) as proxy:
        path = tmp_path / "kitchen.key"
        path.write_text(f"{KEY}\n")
        for given in ({"encryption_key_file": path}, {"encryption_key": KEY}, {}):
            if not given:
                monkeypatch.setenv("CELLWIRE_PROXY_KEY", KEY)
            radios = air.radios(proxies=[lends(proxy, **given)])
            assert [radio.name for radio in await radios.there()] == ["kitchen"]
            await radios.close()
        path.unlink()
        radios = air.radios(proxies=[lends(proxy, encryption_key_file=path)])
        with pytest.raises(BleError) as caught:
            await radios.find(SHED)
        assert caught.value.cause.error is PortForbidden
        assert "kitchen.key cannot be read (No such file or directory)" in caught.value.cause.advice
        await radios.close()


async def test_a_link_says_what_is_wrong_with_its_proxy() -> None:
    async with FakeProxy(key=KEY) as proxy:
        radios = air.radios(proxies=[lends(proxy)])
        for address in (f"ble:{SHED}", f"ble:{SHED}?radio=kitchen"):
            link = open_link(address, radios)
            with pytest.raises(PortForbidden, match=r"Bluetooth proxy kitchen: 127\.0\.0\.1 wants a key"):
                await link.open()
            await link.close()
        link = open_link(f"ble:{SHED}?radio=hci0", radios)
        with pytest.raises(AdapterOff, match="no Bluetooth adapter"):
            await link.open()
        await link.close()
        await radios.close()


async def test_a_passkey_is_nothing_for_a_proxy() -> None:
    async with FakeProxy() as proxy:
        played("jbd", SHED, proxy)
        radios = air.radios(proxies=[lends(proxy)])
        link = open_link(f"ble:{SHED}", radios, "passkey", "123456")
        with pytest.raises(PortForbidden, match="cannot type in a passkey"):
            await link.open()
        await link.close()
        await radios.close()


async def test_a_pack_is_paired_through_a_proxy_and_forgotten() -> None:
    async with FakeProxy() as proxy:
        played("jbd", SHED, proxy)
        radios = air.radios(proxies=[lends(proxy)])
        async with open_link(f"ble:{SHED}", radios, "just-works"):
            assert proxy.received["BluetoothGATTGetServicesRequest"] == 1
        async with open_link(f"ble:{SHED}", radios):
            assert proxy.received["BluetoothGATTGetServicesRequest"] == 1, "the services are known"
        (radio,) = await radios.there()
        await radio.forget((await radios.find(SHED))[0])
        async with open_link(f"ble:{SHED}", radios):
            assert proxy.received["BluetoothGATTGetServicesRequest"] == 2, "the services were forgotten"
        await radios.close()


async def test_a_pack_that_is_gone_when_it_is_connected_to() -> None:
    async with FakeProxy() as proxy:
        pack = played("jbd", SHED, proxy)
        radios = air.radios(proxies=[lends(proxy)])
        await radios.find(SHED)
        pack.device.here = False
        link = open_link(f"ble:{SHED}", radios)
        with pytest.raises(LinkLost, match="the connection broke while it was made"):
            await link.open()
        await link.close()
        assert proxy.held == []
        await radios.close()


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (TimeoutError("kitchen: No free BLE connection slot became available (limit=3, in use=3)"), "no_slot"),
        (BleakError("Error ESP_GATT_CONN_FAIL_ESTABLISH while connecting: Connection failed"), "aborted"),
        (BleakError("Bluetooth GATT Error error=5 description=Insufficient authentication"), "authentication"),
        (BleakError("Bluetooth GATT Error error=15 description=Insufficient encryption"), "authentication"),
        (BleakError("Pairing failed due to error: 82"), "authentication"),
        (BleakError("Bluetooth GATT Error error=-1 description=Not connected"), "dropped"),
    ],
)
def test_what_a_proxy_says_of_a_pack_has_a_cause(error: Exception, name: str) -> None:
    assert classify(error).name == name


async def test_an_absent_proxy_and_a_present_one() -> None:
    async with FakeProxy() as proxy:
        pack = played("jbd", SHED, proxy)
        away = ProxySettings("attic", "127.0.0.1", 1)
        async with reading([settings("shed", SHED, family="jbd")], [away, lends(proxy)]) as gateway:
            await gateway.until(lambda: gateway.whole("shed", "jbd"))
            assert gateway.radio("attic")["state"] == "trouble"
            assert gateway.radio("kitchen")["state"] == "ready"
        assert pack.device.calls["Connect"] == 1


async def test_nothing_goes_on_after_the_end() -> None:
    before = asyncio.all_tasks()
    async with FakeProxy(features=ALL) as proxy:
        radios = air.radios(proxies=[lends(proxy), ProxySettings("attic", "127.0.0.1", 1)])
        assert [radio.name for radio in await radios.there()] == ["kitchen"]
        await radios.close()
        assert proxy.clients == []
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
