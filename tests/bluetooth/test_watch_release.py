"""cellwire watch --release on the air: a second client connects between the reads. Whoever is ended disconnects."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import air
import pytest
from bluez import FakeBluez

ADDRESS = "A4:C1:38:00:00:01"
LINK = f"ble:{ADDRESS}"


@contextlib.asynccontextmanager
async def program(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run cellwire beside the test."""
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "cellwire", *words, stdout=pipe, stderr=pipe)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def snapshot(watching: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return the next snapshot."""
    assert watching.stdout is not None
    async with asyncio.timeout(30):
        document: dict[str, Any] = json.loads(await watching.stdout.readline())
        return document


async def until(pack: air.Peripheral, connected: bool) -> None:
    """Wait until the pack is connected, or is not."""
    async with asyncio.timeout(30):
        while pack.device.connected != connected:
            await asyncio.sleep(0.01)


async def test_a_second_client_connects_between_reads() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        async with program("watch", LINK, "--family", "jbd", "--every", "4", "--release", "--json") as watching:
            for _ in range(2):
                assert (await snapshot(watching))["state"] == "online"
                await until(pack, False)
                async with program("read", LINK, "--family", "jbd", "--json") as reading:
                    said, _ = await reading.communicate()
                assert reading.returncode == 0
                assert json.loads(said)["readings"]["voltage"] > 0
            assert (await snapshot(watching))["state"] == "online"
            watching.terminate()
            assert await watching.wait() == 0
        assert not pack.device.connected
        connects = pack.device.calls["Connect"]
        assert pack.device.calls["Disconnect"] == connects >= 5


async def test_the_link_is_held_without_release() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        async with program("watch", LINK, "--family", "jbd", "--every", "0.3", "--json") as watching:
            for _ in range(4):
                await snapshot(watching)
                assert pack.device.connected
            watching.terminate()
            assert await watching.wait() == 0
        assert pack.device.calls["Connect"] == pack.device.calls["Disconnect"] == 1


@pytest.mark.parametrize("member", ["Connect", "StartNotify", ""])
async def test_whoever_is_ended_disconnects(member: str) -> None:
    """While connecting, while asking for notifications, and while the pack is asked."""
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        if member:
            pack.device.hang(member)
        else:
            pack.deaf = True
        async with program("read", LINK, "--family", "jbd", "--timeout", "60") as reading:
            async with asyncio.timeout(30):
                while not pack.device.calls[member or "WriteValue"]:
                    await asyncio.sleep(0.01)
            reading.terminate()
            async with asyncio.timeout(10):
                assert await reading.wait() == 143
        assert not pack.device.connected
        assert pack.device.calls["Disconnect"] == 1
        assert not bluez.adapter().discovering
