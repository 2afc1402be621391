"""The running gateway on simulated packs: start, history, reload, changes, health, stop."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from served import free_port, served

from cellwire.gateway import config as files
from cellwire.gateway.app import ChangeRefused, Gateway
from cellwire.gateway.config import ConfigError
from cellwire.outputs.history import Reader


def written(folder: Path, *packs: str, more: str = "") -> Path:
    """Return a configuration file with these packs, that serves on loopback and writes each second."""
    path = folder / "cellwire.toml"
    text = f'# ours\n[web]\nlisten = "127.0.0.1:{free_port()}"\n[history]\nevery = 1.0\ncommit = 1.0\n{more}\n'
    path.write_text(text + "\n".join(packs), encoding="utf-8")
    return path


def pack(name: str, link: str, more: str = 'family = "jbd"\naddress = 0') -> str:
    return f'[[pack]]\nname = "{name}"\nlink = "{link}"\nevery = 0.2\n{more}\n'


@contextlib.asynccontextmanager
async def running(path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Gateway]:
    """Yield the gateway of this configuration while it runs."""
    gateway = Gateway(files.load(path), clock)
    stop = asyncio.Event()
    task = asyncio.create_task(gateway.run(stop))
    try:
        yield gateway
        assert not task.done(), task
    finally:
        stop.set()
        await task


async def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def online(gateway: Gateway, *names: str) -> None:
    await until(
        lambda: all(
            name in gateway.store.packs
            and gateway.store.packs[name].settled
            and gateway.store.state(gateway.store.packs[name]) == "online"
            for name in names
        )
    )


async def test_reads_and_writes_down(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as pack_there:
        path = written(tmp_path, pack("shed", pack_there.path))
        async with running(path) as gateway:
            await online(gateway, "shed")
            shed = gateway.store.packs["shed"]
            assert shed.id.startswith("jbd-")
            await until(lambda: "energy_out" in shed.readings)
            await until(lambda: gateway.health()["ok"])
            health = gateway.health()
            assert health["packs"][0]["state"] == "online"
            assert health["packs"][0]["link"]["counts"]["ok"] > 0
            assert health["packs"][0]["link"]["poll_time"] > 0
            metered = shed.readings["energy_out"]
        reader = Reader(tmp_path / "cellwire.db")
        series = reader.series(shed.id, ["voltage", "energy_out"], gateway.started - 60, gateway.started + 600)
        assert series["series"]["voltage"]["max"]
        # What was shown is on the disk, and the next start goes on from there.
        async with running(path) as again:
            await online(again, "shed")
            await until(lambda: "energy_out" in again.store.packs["shed"].readings)
            assert again.store.packs["shed"].readings["energy_out"] >= metered
        kinds = [event["kind"] for event in reader.events(0, gateway.clock() + 60)]
        assert kinds.count("start") == 2
        assert kinds.count("stop") == 2


async def test_finds_out_what_a_pack_speaks(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as pack_there:
        async with running(written(tmp_path, pack("shed", pack_there.path, ""))) as gateway:
            await online(gateway, "shed")
            assert gateway.store.packs["shed"].dialect == "jbd"


async def test_a_port_that_comes_later(tmp_path: Path) -> None:
    port = tmp_path / "port"
    async with running(written(tmp_path, pack("shed", str(port)))) as gateway:
        await until(lambda: any(event.detail.get("to") == "lost" for event in gateway.events.recent))
        assert str(port) in gateway.store.packs["shed"].reason
        assert not gateway.health()["ok"]
        with served(port, "jbd"):
            await online(gateway, "shed")
            await until(lambda: gateway.events.recent[-1].detail.get("to") == "online")


async def test_reload_leaves_alone_what_did_not_change(tmp_path: Path) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd", cells=8) as two:
        path = written(tmp_path, pack("shed", one.path))
        async with running(path) as gateway:
            await online(gateway, "shed")
            shed = gateway.store.packs["shed"]
            path.write_text(path.read_text(encoding="utf-8") + pack("van", two.path), encoding="utf-8")
            gateway.reload()
            await online(gateway, "shed", "van")
            assert gateway.store.packs["shed"] is shed
            assert list(gateway.store.packs) == ["shed", "van"]
            # Two boards that know no serial number of their own must not share one history.
            assert gateway.store.packs["van"].id != shed.id
            path.write_text(path.read_text(encoding="utf-8") + "nonsense = 1\n", encoding="utf-8")
            gateway.reload()
            await until(lambda: "mistakes" in gateway.events.recent[-1].text)
            assert list(gateway.store.packs) == ["shed", "van"]


async def test_changes_keep_comments_and_are_applied(tmp_path: Path) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd", cells=8) as two:
        path = written(tmp_path, pack("shed", one.path))
        async with running(path) as gateway:
            await gateway.change(
                "pack", "van", {"link": two.path, "family": "jbd", "address": 0, "every": 0.2}, "admin"
            )
            await gateway.change("bank", "house", {"packs": ["shed", "van"]}, "admin")
            await online(gateway, "shed", "van")
            await until(lambda: gateway.store.banks["house"].readings.get("packs_present") == 2)
            assert "# ours" in path.read_text(encoding="utf-8")
            with pytest.raises(ConfigError):
                await gateway.change("pack", "boat", {"link": "", "family": "jbd"}, "admin")
            with pytest.raises(ChangeRefused, match="path"):
                await gateway.change("history", "", {"path": "/tmp/other.db"}, "admin")
            await gateway.change("pack", "van", {"name": "bus"}, "admin")
            assert files.load(path).banks[0].packs == ("shed", "bus")
            await gateway.change("bank", "house", {"name": "home"}, "admin")
            assert gateway.store.banks["home"].id == "bank-house"
            await gateway.change("bank", "home", {"name": "house"}, "admin")
            await online(gateway, "bus")
            await gateway.change("pack", "bus", None, "admin")
            assert list(gateway.store.packs) == ["shed"]
            await gateway.change("bank", "house", None, "admin")
            assert not gateway.store.banks
            assert files.load(path).packs[0].name == "shed"


async def test_nobody_from_afar_gets_the_password_of_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may change the configuration could name a broker of their own, also in two steps."""
    path = written(tmp_path, more='[mqtt]\nurl = "mqtt://127.0.0.1:1"\nuser = "me"\npassword = "hunter2"\n')
    async with running(path) as gateway:
        await gateway.change("mqtt", "", {"single": True}, "admin")
        await gateway.change("mqtt", "", {"url": "", "user": None}, "admin")
        with pytest.raises(ChangeRefused, match="typed again"):
            await gateway.change("mqtt", "", {"url": "mqtt://127.0.0.1:2"}, "admin")
        assert "hunter2" not in str(gateway.configuration())
        await gateway.change("mqtt", "", {"url": "mqtt://127.0.0.1:2", "password": "mine"}, "admin")
        assert gateway.config.mqtt.password == "mine"
        await gateway.change("mqtt", "", {"password": None}, "admin")
        await gateway.change("mqtt", "", {"url": "mqtt://127.0.0.1:1"}, "admin")
        monkeypatch.setenv("CELLWIRE_MQTT_PASSWORD", "hunter2")
        with pytest.raises(ChangeRefused, match="typed again"):
            await gateway.change("mqtt", "", {"url": "mqtt://127.0.0.1:2"}, "admin")


@pytest.mark.parametrize("key", ["password", "pin"])
async def test_nobody_from_afar_gets_the_password_of_a_pack(tmp_path: Path, key: str) -> None:
    """Whoever may change the configuration could name a device of their own."""
    path = written(tmp_path, pack("boat", "tcp:127.0.0.1:1") + f'{key} = "hunter2"\n')
    async with running(path) as gateway:
        with pytest.raises(ChangeRefused, match=f"the {key} must be typed again"):
            await gateway.change("pack", "boat", {"name": "boat", "link": "tcp:127.0.0.1:2"}, "admin")
        assert "hunter2" not in str(gateway.configuration())
        await gateway.change("pack", "boat", {"name": "boat", "link": "tcp:127.0.0.1:2", key: "mine"}, "admin")
        assert getattr(gateway.config.packs[0], key) == "mine"


async def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path)
    async with running(path) as gateway:
        monkeypatch.setattr(files, "write", refuse)
        with pytest.raises(ChangeRefused, match="cannot be written"):
            await gateway.change("history", "", {"commit": 60.0}, "admin")
        assert gateway.config.history.commit == 1.0


async def test_an_address_that_cannot_be_served_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_text(encoding="utf-8")
    async with running(path) as gateway:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            await until(lambda: bool(gateway._web.addresses))
            with pytest.raises(ChangeRefused, match="Nothing was changed"):
                await gateway.change("web", "", {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}, "admin")
        assert path.read_text(encoding="utf-8") == before
        await gateway.change("web", "", {"guests": True}, "admin")


async def test_scan_finds_nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path / "one", "jbd") as one:
        monkeypatch.setattr("cellwire.gateway.scan.links", lambda: [one.path])
        async with running(written(tmp_path)) as gateway:
            gateway.scan()
            assert gateway.scanned()["running"]
            await until(lambda: not gateway.scanned()["running"])
            assert gateway.scanned()["links"][0]["packs"][0]["dialect"] == "jbd"
