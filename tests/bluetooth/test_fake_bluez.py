"""The fake org.bluez, as unmodified bleak sees it."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import air
import pytest
from bleak.exc import BleakDBusError
from bluez import ADAPTER, DEVICE, ERROR, ROOT, UNKNOWN_OBJECT, FakeBluez

from cellwire.codec.dialect import FAST
from cellwire.families import dialects
from cellwire.gateway.air import radios
from cellwire.gateway.session import Session
from cellwire.links import open_link
from cellwire.links.ble.bluez import Bluez

ADDRESS = "A4:C1:38:00:00:01"


async def test_a_pack_is_read() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        air_of_all = radios()
        session = Session(open_link(f"ble:{ADDRESS}", air_of_all))
        dialect = dialects("jbd")[0]
        try:
            readings: dict[str, Any] = {}
            for query in dialect.queries:
                if query.pace == FAST:
                    readings.update(await session.ask(dialect, query, 0, readings))
        finally:
            await session.close()
            await air_of_all.close()
        assert readings["cell_count"] == len(readings["cell_voltages"]) == 4
        assert not pack.device.connected
        assert pack.device.calls["Connect"] == pack.device.calls["Disconnect"] == 1


async def test_who_is_connected_is_not_heard_and_cannot_be_connected_to_by_another() -> None:
    async with FakeBluez(("hci0", "hci1")) as bluez:
        made = bluez.add(air.device("jbd", ADDRESS), ("hci0", "hci1"))
        client = Bluez()
        paths = [f"{ROOT}/{name}/dev_{ADDRESS.replace(':', '_')}" for name in ("hci0", "hci1")]
        for name in ("hci0", "hci1"):
            await client.call(f"{ROOT}/{name}", ADAPTER, "StartDiscovery")
        await heard(client, *paths)
        await client.call(paths[0], DEVICE, "Connect")
        assert made.connected
        assert await failure(client.call(paths[1], DEVICE, "Connect")) == ERROR + "Failed"
        await client.call(f"{ROOT}/hci1", ADAPTER, "RemoveDevice", "o", paths[1])
        await asyncio.sleep(5 * bluez.beat)
        assert not bluez.has(paths[1])
        await made.drop()
        await heard(client, paths[1])
        await client.call(paths[1], DEVICE, "Connect")
        await client.close()


async def test_errors_by_name() -> None:
    async with FakeBluez() as bluez:
        made = bluez.add(air.device("jbd", ADDRESS))
        client = Bluez()
        path = f"{ROOT}/hci0/dev_{ADDRESS.replace(':', '_')}"
        adapter = f"{ROOT}/hci0"
        assert await failure(client.call(path, DEVICE, "Connect")) == UNKNOWN_OBJECT
        assert await failure(client.call(adapter, ADAPTER, "RemoveDevice", "o", path)) == ERROR + "DoesNotExist"
        assert await failure(client.call(adapter, ADAPTER, "StopDiscovery")) == ERROR + "Failed"
        await client.call(adapter, ADAPTER, "StartDiscovery")
        assert await failure(client.call(adapter, ADAPTER, "StartDiscovery")) == ERROR + "InProgress"
        await heard(client, path)
        made.hang("Connect")
        hanging = asyncio.create_task(client.call(path, DEVICE, "Connect"))
        while not made.calls["Connect"]:
            await asyncio.sleep(0)
        assert await failure(client.call(path, DEVICE, "Connect")) == ERROR + "InProgress"
        await client.call(path, DEVICE, "Disconnect")
        await client.call(path, DEVICE, "Connect")
        hanging.cancel()
        bluez.adapter().powered = False
        assert not made.connected
        assert await failure(client.call(path, DEVICE, "Connect")) == ERROR + "NotReady"
        assert await failure(client.call(adapter, ADAPTER, "StartDiscovery")) == ERROR + "NotReady"
        await client.power("hci0", True)
        await client.call(path, DEVICE, "Connect")
        await bluez.adapter().take_away()
        assert await failure(client.call(adapter, ADAPTER, "StartDiscovery")) == UNKNOWN_OBJECT
        await bluez.stop_service()
        assert await failure(client.objects()) == "org.freedesktop.DBus.Error.ServiceUnknown"
        await client.close()


async def test_a_client_that_leaves_does_not_scan_any_more() -> None:
    async with FakeBluez() as bluez:
        client = Bluez()
        await client.call(f"{ROOT}/hci0", ADAPTER, "StartDiscovery")
        assert bluez.adapter().discovering
        await client.close()
        while bluez.adapter().discovering:
            await asyncio.sleep(0)


async def heard(client: Bluez, *paths: str) -> None:
    """Wait until BlueZ knows devices."""
    while not set(paths) <= set(await client.objects()):
        await asyncio.sleep(0.005)


async def failure(call: Awaitable[Any]) -> str:
    """Return the name of the D-Bus error of a call."""
    with pytest.raises(BleakDBusError) as caught:
        await call
    return str(caught.value.dbus_error)
