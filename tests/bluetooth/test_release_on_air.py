"""Packs by Bluetooth that are left to the phone app: freed within two seconds, and taken back; and no adapter."""

import asyncio
import time
from pathlib import Path

import air
import pytest
from bleak import BleakClient, BleakScanner
from bluez import FakeBluez, FakeDevice
from served import served
from test_app import online, pack, running, until, written

from cellwire.gateway.app import Gateway
from cellwire.gateway.writing import Who

ADDRESS = "C8:47:8C:00:00:01"
ANNA = Who("anna", "page", "operate")


def by_radio(name: str, family: str, address: str = ADDRESS) -> str:
    return pack(name, f"ble:{address}", f'family = "{family}"')


async def freed(gateway: Gateway, device: FakeDevice, minutes: float = 5.0) -> float:
    """Release the shed; return the seconds until its device may be connected to by others."""
    began = time.monotonic()
    released = await gateway.releases.release("shed", minutes, ANNA)
    assert released.text.startswith("released for the phone app until ")
    assert not device.connected
    return time.monotonic() - began


async def connects(device: FakeDevice) -> None:
    """Connect as the phone app does, and let go of it."""
    found = await BleakScanner.find_device_by_address(device.address, 5.0)
    assert found is not None
    async with BleakClient(found, bluez={"adapter": "hci0"}):
        assert device.connected


@pytest.mark.parametrize("kind", ["jk02", "jbd", "daly-d2"])
async def test_another_client_connects_and_it_comes_back(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellwire.gateway.release.LEAST", 0.01)
    async with FakeBluez() as bluez:
        device = air.pack(bluez, kind).device
        async with running(written(tmp_path, by_radio("shed", air.KINDS[kind].dialect))) as gateway:
            await online(gateway, "shed")
            assert device.connected
            assert await freed(gateway, device, 0.05) < 2
            calls = device.calls["Connect"]
            await connects(device)
            assert device.calls["Connect"] == calls + 1
            assert gateway.store.packs["shed"].trouble == "lost"
            await online(gateway, "shed")
            assert device.connected
            assert [event.text for event in gateway.events.recent if event.kind in ("release", "state")] == [
                "shed is released for the phone app for 0.1 minutes by anna",
                "shed is taken back: its time is over",
            ]


async def test_in_the_middle_of_a_question(tmp_path: Path) -> None:
    """A JK that says nothing any more is waited for for seconds."""
    async with FakeBluez() as bluez:
        peripheral = air.pack(bluez, "jk02")
        async with running(written(tmp_path, by_radio("shed", "jk02"))) as gateway:
            await online(gateway, "shed")
            peripheral.deaf = True
            await asyncio.sleep(1.0)
            assert peripheral.device.connected
            assert await freed(gateway, peripheral.device) < 2


async def test_while_it_is_connected_to(tmp_path: Path) -> None:
    async with FakeBluez() as bluez:
        device = air.pack(bluez, "jbd").device
        device.hang("Connect")
        async with running(written(tmp_path, by_radio("shed", "jbd"))) as gateway:
            await until(lambda: device.calls["Connect"] == 1)
            assert await freed(gateway, device) < 2
            await asyncio.sleep(0.5)
            assert device.calls["Connect"] == 1
            await gateway.releases.release("shed", 0, ANNA)
            await online(gateway, "shed")


async def test_while_it_is_looked_for(tmp_path: Path) -> None:
    async with FakeBluez() as bluez:
        device = air.pack(bluez, "jbd").device
        device.silent = True
        async with running(written(tmp_path, by_radio("shed", "jbd"))) as gateway:
            await until(lambda: bluez.adapter("hci0").discovering)
            assert await freed(gateway, device) < 2
            await until(lambda: not bluez.adapter("hci0").discovering)
            device.silent = False
            await asyncio.sleep(0.5)
            assert not device.calls["Connect"]


async def test_the_other_packs_go_on(tmp_path: Path) -> None:
    other = "A4:C1:38:00:00:02"
    async with FakeBluez() as bluez:
        shed, van = air.pack(bluez, "jk02").device, air.pack(bluez, "jbd", other).device
        packs = by_radio("shed", "jk02"), by_radio("van", "jbd", other)
        async with running(written(tmp_path, *packs)) as gateway:
            await online(gateway, "shed", "van")
            calls = van.calls["Connect"]
            assert await freed(gateway, shed) < 2
            seen = gateway.store.packs["van"].counts["accepted"]
            await until(lambda: gateway.store.packs["van"].counts["accepted"] > seen + 2)
            assert van.calls["Connect"] == calls
            # A scan may hear the pack, but must not connect to it.
            gateway.scan()
            await until(lambda: not gateway.scanned()["running"], 30)
            assert not shed.connected


async def test_without_an_adapter_the_others_go_on(tmp_path: Path) -> None:
    async with FakeBluez() as bluez:
        adapter = bluez.adapter("hci0")
        device = air.pack(bluez, "jk02").device
        await adapter.take_away()
        with served(tmp_path / "port", "jbd") as there:
            async with running(written(tmp_path, by_radio("shed", "jk02"), pack("van", there.path))) as gateway:
                await online(gateway, "van")
                shed = gateway.store.packs["shed"]
                await until(lambda: shed.trouble == "lost" and "no Bluetooth adapter is there" in shed.reason)
                seen = gateway.store.packs["van"].counts["accepted"]
                await until(lambda: gateway.store.packs["van"].counts["accepted"] > seen + 5)
                assert gateway.link_of("shed")["radio"]["causes"]["no_adapter"] >= 1
                await adapter.bring_back()
                await online(gateway, "shed", "van")
                assert device.connected
                assert gateway.link_of("shed")["radio"]["connected"]
                assert [radio["name"] for radio in gateway.health()["radios"]] == ["hci0"]
