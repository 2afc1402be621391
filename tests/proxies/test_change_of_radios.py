"""The running gateway with proxies: in its health, and changed while it runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from fakeproxy import FakeProxy
from proxied import SHED, played
from served import free_port, served

from cellwire.gateway import config as files
from cellwire.gateway.app import Gateway


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def written(path: Path, wired: str, proxy: FakeProxy, more: str = "") -> None:
    """Write a configuration with one pack on a wire, one by Bluetooth, and a proxy."""
    text = f"""
[web]
listen = "127.0.0.1:{free_port()}"
[history]
enabled = false
{more}
[[pack]]
name = "wired"
link = "{wired}"
family = "jbd"
every = 0.5
[[pack]]
name = "shed"
link = "ble:{SHED}"
family = "jbd"
every = 0.5
[[proxy]]
name = "{proxy.name}"
host = "127.0.0.1"
port = {proxy.port}
"""
    path.write_text(text, encoding="utf-8")


async def test_other_radios_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "port", "jbd") as wired:
        async with FakeProxy() as proxy, FakeProxy(name="attic") as attic:
            pack = played("jbd", SHED, proxy)
            written(path, wired.path, proxy)
            gateway = Gateway(files.load(path))
            stop = asyncio.Event()
            task = asyncio.create_task(gateway.run(stop))

            def online(name: str) -> bool:
                found = gateway.store.packs.get(name)
                return found is not None and gateway.store.state(found) == "online"

            await until(lambda: online("wired") and online("shed"))
            (kitchen,) = gateway.radios.health()
            assert (kitchen["name"], kitchen["kind"], kitchen["used"], kitchen["state"]) == (
                "kitchen", "proxy", 1, "ready",
            )  # fmt: skip
            undisturbed = gateway.store.packs["wired"]

            # The pack moves to the other proxy, and so must the link.
            del proxy.packs[next(iter(proxy.packs))]
            pack.device.known.clear()
            attic.add(pack.device)
            written(path, wired.path, attic, "[bluetooth]\nturn = 30")
            gateway.reload()
            await until(lambda: [radio["name"] for radio in gateway.radios.health()] == ["attic"])
            await until(lambda: online("shed"))
            assert proxy.clients == []
            assert gateway.radios.turn == 30.0
            assert gateway.store.packs["wired"] is undisturbed
            stop.set()
            await task
            assert attic.clients == []
