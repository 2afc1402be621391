"""Connections that others have: of a program that was killed, and of one that runs."""

import asyncio
import json
import sys

import air
import pytest
from air import Recorded
from bluez import FakeBluez

ADDRESS = "A4:C1:38:00:00:02"


async def started(*words: str) -> asyncio.subprocess.Process:
    """Return Cellwire, while it runs."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "cellwire", *words, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("killed", [True, False])
async def test_a_connection_is_taken_over_from_who_is_dead_only(killed: bool) -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS, played=Recorded("jbd"))
        first = await started("watch", f"ble:{ADDRESS}", "--json", "--every", "0.2")
        assert first.stdout is not None
        async with asyncio.timeout(30):
            assert json.loads(await first.stdout.readline())["state"] == "online"
        if killed:
            first.kill()
            await first.wait()
            assert pack.device.connected, "the system keeps the connection"
        second = await started("read", f"ble:{ADDRESS}", "--json")
        said, complaint = await second.communicate()
        if killed:
            assert second.returncode == 0, complaint
            assert json.loads(said)["family"] == "jbd"
        else:
            assert second.returncode == 4
            assert b"another program on this machine is connected to it" in complaint
            assert pack.device.connected, "who was there first goes on"
            first.terminate()
            await first.communicate()
