"""Disk full, read-only, file gone, clock jumps, links that come and go, errors in Cellwire itself: the gateway goes on.

The pack stays online, each fault is said once when it comes and once when it is over, what was acknowledged stays
readable, and no meter that was shown goes back.
"""

import asyncio
import contextlib
import gc
import itertools
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from home import Fickle
from served import Served, evening, served
from test_app import online, pack, running, until, written

from cellwire.gateway.app import ChangeRefused, Gateway
from cellwire.gateway.store import PackState
from cellwire.outputs.history import Reader, Row
from cellwire.outputs.history.check import verify
from cellwire.sim.server import build

YEAR = 365 * 86400.0
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")
BANK = '[[bank]]\nname = "house"\npacks = ["shed"]\n'


class Clock:
    """The wall clock, which can be set."""

    def __init__(self) -> None:
        self.set = 0.0

    def __call__(self) -> float:
        return time.time() + self.set


class Seen:
    """What somebody sees who looks at the running gateway all the time."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.states: set[str] = set()
        self.oldest = 0.0  # seconds
        self.back: list[tuple[str, float, float]] = []  # meters that went back
        self.appended: list[Row] = []
        self._meters: dict[str, float] = {}
        assert gateway.history is not None
        append = gateway.history.append

        def appending(rows: Any) -> int:
            self.appended += rows
            return append(rows)

        gateway.history.append = appending  # type: ignore[method-assign]

    async def look(self) -> None:
        while True:
            store = self.gateway.store
            for shown in (store.snapshot(store.packs["shed"]), store.bank_snapshot(store.banks["house"])):
                self.states.add(shown["state"])
                self.oldest = max(self.oldest, shown["age"])
                for name in METERS:
                    key, value = shown["id"] + name, shown["readings"].get(name, 0.0)
                    if value < self._meters.get(key, 0.0):
                        self.back.append((key, self._meters[key], value))
                    self._meters[key] = value
            await asyncio.sleep(0.02)

    def said(self, kind: str) -> list[str]:
        return [event.text for event in self.gateway.events.recent if event.kind == kind]

    def check(self, path: Path) -> None:
        """Compare what was seen and what is in the file, after the gateway has stopped."""
        assert self.states == {"online"}
        assert self.oldest < 2.0, "a bank is added up each second"
        assert self.back == []
        assert verify(path).findings == []
        reader = Reader(path)
        for identity in {row.pack for row in self.appended}:
            wanted = {round(row.time, 3): row.readings["voltage"] for row in self.appended if row.pack == identity}
            first, last = min(wanted), max(wanted)
            rows = {round(at, 3): row["voltage"] for at, row in reader.rows(identity, first - 1, last + 1)}
            assert {at: rows.get(at) for at in wanted} == wanted, "not a row is missing"


@contextlib.asynccontextmanager
async def seen(path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Seen]:
    """Yield what is seen of the gateway while it runs; it has written something down already."""
    async with running(path, clock) as gateway:
        await online(gateway, "shed")
        shown = Seen(gateway)
        await until(lambda: bool(gateway.store.packs["shed"].readings.get("charge_out")))
        await until(lambda: gateway.store.bank_snapshot(gateway.store.banks["house"])["state"] == "online")
        looking = asyncio.create_task(shown.look())
        try:
            yield shown
            assert not looking.done(), looking
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "port", "jbd") as there:
        yield there


@contextlib.contextmanager
def may_not_grow(folder: Path) -> Iterator[None]:
    """As `ulimit -f` does it: the system itself refuses the write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        file.writelines(itertools.repeat(bytes(4096)))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """As SQLite says it; a file system that is written to cannot be made read-only by a test."""
    Fickle.pragma = "PRAGMA query_only=ON"
    try:
        yield
    finally:
        Fickle.pragma = "PRAGMA query_only=OFF"


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """The file is taken away from a folder into which no new one may be put."""
    for file in folder.glob("cellwire.db*"):
        file.unlink()
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


@contextlib.contextmanager
def folder_gone(folder: Path) -> Iterator[None]:
    shutil.rmtree(folder)
    try:
        yield
    finally:
        folder.mkdir()


@pytest.mark.parametrize("fault", [may_not_grow, full, read_only, locked_folder, folder_gone])
async def test_the_disk_fails_for_a_while(
    fault: Callable[[Path], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
    shed: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if fault is locked_folder and os.geteuid() == 0:
        pytest.skip("no folder is locked for root; run the tests as another user")
    if fault is read_only:
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{"factory": Fickle, **more}))
    if fault is full:
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        path = written(tmp_path, pack("shed", shed.path), BANK, more=f'path = "{folder}/cellwire.db"')
        async with seen(path) as shown:
            gateway = shown.gateway
            assert gateway.health()["ok"]
            with fault(folder):
                await until(lambda: gateway.health()["history"]["state"] == "failing")
                health = gateway.health()
                assert not health["ok"]
                assert str(folder) in health["history"]["reason"]
                assert health["packs"][0]["state"] == "online"
                accepted = gateway.store.packs["shed"].counts["accepted"]
                await asyncio.sleep(3.5)  # it is tried again meanwhile
                assert gateway.store.packs["shed"].counts["accepted"] > accepted + 5
                assert len(shown.said("history")) == 1, shown.said("history")
                assert "cannot be written" in shown.said("history")[0]
                assert gateway.health()["history"]["queued_rows"] >= 2
            await until(lambda: gateway.health()["ok"])
            await until(lambda: len(shown.said("history")) == 2)
        assert len(shown.said("history")) == 2, shown.said("history")
        shown.check(folder / "cellwire.db")
    finally:
        Fickle.pragma = ""
        if fault is full:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.mark.parametrize("parts", [("",), ("", "-wal", "-shm")], ids=["file", "all"])
async def test_the_file_is_deleted(parts: tuple[str, ...], tmp_path: Path, shed: Served) -> None:
    path = written(tmp_path, pack("shed", shed.path), BANK)
    async with seen(path) as shown:
        for part in parts:
            (tmp_path / f"cellwire.db{part}").unlink()
        await until(lambda: len(shown.said("history")) == 1)
        await until(lambda: shown.gateway.health()["ok"])
        await asyncio.sleep(2.0)
    assert len(shown.said("history")) == 1, shown.said("history")
    shown.check(tmp_path / "cellwire.db")


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forwards", "back"])
async def test_the_clock_jumps_by_a_year_and_returns(jump: float, tmp_path: Path, shed: Served) -> None:
    clock = Clock()
    async with seen(written(tmp_path, pack("shed", shed.path), BANK), clock) as shown:
        for times, setting in ((1, jump), (2, 0.0)):
            clock.set = setting
            await until(lambda times=times: len(shown.said("clock")) == times)  # type: ignore[misc]
            count = len(shown.appended)
            await until(lambda count=count: len(shown.appended) > count + 4)  # type: ignore[misc]
        assert len(shown.said("clock")) == 2
        assert not shown.said("state")
        assert not shown.said("history")
        assert shown.gateway.health()["uptime"] < 60
    assert max(row.time for row in shown.appended) - min(row.time for row in shown.appended) > YEAR - 60
    shown.check(tmp_path / "cellwire.db")


# Log lines


def lines_about(caplog: pytest.LogCaptureFixture, *names: str) -> list[str]:
    """Return what the log says of these packs."""
    texts = [record.getMessage() for record in caplog.records if record.name == "cellwire"]
    return [text for text in texts if text.startswith(names)]


async def test_one_line_when_lost_and_one_when_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An adapter that vanishes, a pack that falls silent, and one that was never found."""
    never = tmp_path / "never"
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd", cells=8) as two:
        packs = pack("shed", one.path), pack("van", two.path), pack("boat", str(never), "")
        async with running(written(tmp_path, *packs)) as gateway:
            await online(gateway, "shed", "van")
            one.unplug()
            two.simulator.faults = {"silent": 1.0}
            await until(lambda: len(lines_about(caplog, "shed", "van", "boat")) == 3)
            await asyncio.sleep(5.0)
            lost = lines_about(caplog, "shed", "van", "boat")
            assert len(lost) == 3, lost
            assert any(line.startswith("shed is lost: ") and one.path in line for line in lost), lost
            assert any(line.startswith("van is asleep: ") and "no answer" in line for line in lost), lost
            assert any(line.startswith("boat is lost: ") and str(never) in line for line in lost), lost
            one.replug()
            two.simulator.faults = {}
            with served(never, "jbd", cells=4):
                # To find out what the boat speaks takes long beside other tests.
                await until(lambda: len(lines_about(caplog, "shed", "van", "boat")) == 6, 60.0)
                await online(gateway, "shed", "van", "boat")
                back = lines_about(caplog, "shed", "van", "boat")[3:]
                for name in ("shed", "van", "boat"):
                    assert any(line.startswith(f"{name} is back after ") for line in back), back
                await asyncio.sleep(1.0)
                assert len(lines_about(caplog, "shed", "van", "boat", "/")) == 6


# Errors in Cellwire itself


async def test_an_error_in_the_decoder_costs_one_link_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "daly-a5", cells=8) as two:
        daly = 'family = "daly-a5"\naddress = 1'
        async with running(written(tmp_path, pack("shed", one.path), pack("van", two.path, daly))) as gateway:
            await online(gateway, "shed", "van")
            shed, van = gateway.store.packs.values()
            with monkeypatch.context() as patch:
                patch.setattr("cellwire.gateway.poller.derive", broken_for(8))
                patch.setattr("cellwire.gateway.keeper.AGAIN", 0.3)
                await until(lambda: van.trouble == "error")
                accepted = shed.counts["accepted"]
                await until(lambda: shed.counts["accepted"] > accepted + 8)
                assert "report it" in van.reason
            await online(gateway, "shed", "van")
            errors = [record for record in caplog.records if record.exc_info]
            assert len(errors) == 1, "said once, however often it came"
            assert two.path in errors[0].getMessage()


def broken_for(cells: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a `derive` that has a mistake for packs of so many cells."""
    from cellwire.readings.derive import derive

    def broken(values: dict[str, Any]) -> dict[str, Any]:
        if len(values.get("cell_voltages", ())) == cells or values.get("cell_count") == cells:
            raise ZeroDivisionError("a mistake")
        return derive(values)

    return broken


# Changes


async def test_two_changes_at_once_are_made_one_after_the_other(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(served(tmp_path / f"port{number}", "jbd")) for number in range(4)]
        path = written(tmp_path, pack("p0", there[0].path))
        async with running(path) as gateway:
            values = [{"link": each.path, "family": "jbd", "address": 0, "every": 0.2} for each in there]
            await asyncio.gather(
                *(gateway.change("pack", f"p{number}", values[number], "admin") for number in (1, 2, 3)),
                gateway.change("history", "", {"commit": 2.0}, "admin"),
                *(asyncio.to_thread(os.kill, os.getpid(), signal.SIGHUP) for _ in range(3)),
            )
            await online(gateway, "p0", "p1", "p2", "p3")
            assert list(gateway.store.packs) == ["p0", "p1", "p2", "p3"]
            assert len(gateway._wires.parts) == 4
            assert gateway.config.history.commit == 2.0
            await gateway.change("pack", "p2", {"name": "q2"}, "admin")
            identity = gateway.store.packs["p1"].id
            await online(gateway, "q2")
            await gateway.change("pack", "p1", {"name": "q1"}, "admin")
            await online(gateway, "q1")
            assert gateway.store.packs["q1"].id == identity, "history goes on under the new name"
            path.unlink()
            with pytest.raises(ChangeRefused, match="is gone"):
                await gateway.change("history", "", {"commit": 3.0}, "admin")
            assert not path.exists()


async def test_a_reload_at_the_very_end_leaves_nothing_behind(tmp_path: Path) -> None:
    with served(tmp_path / "one", "jbd") as one, served(tmp_path / "two", "jbd") as two:
        path = written(tmp_path, pack("shed", one.path))
        tasks = len(asyncio.all_tasks())
        async with running(path) as gateway:
            await online(gateway, "shed")
            path.write_text(path.read_text(encoding="utf-8") + pack("van", two.path), encoding="utf-8")
            gateway.reload()
        assert len(asyncio.all_tasks()) == tasks


# Many packs, one of which comes and goes


@contextlib.asynccontextmanager
async def crowd(folder: Path, count: int) -> AsyncIterator[list[str]]:
    """Yield the ports of so many simulated packs, all in this loop."""
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for number in range(count):
            simulator = build("jbd", 4, baud=0, think=0.001, seed=number, clock=evening())
            await stack.enter_async_context(simulator)
            ports.append(await simulator.pty(str(folder / f"port{number}")))
        yield ports


def held() -> tuple[int, int, int]:
    """Return how many tasks, file descriptors and states of packs there are."""
    gc.collect()
    states = sum(isinstance(thing, PackState) for thing in gc.get_objects())
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), states


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="file descriptors are counted in /proc")
async def test_one_of_many_comes_and_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every, rounds = 1.0, 20
    async with crowd(tmp_path, 32) as ports:
        packs = [
            pack(f"p{number}", port).replace("every = 0.2", f"every = {every}") for number, port in enumerate(ports)
        ]
        path = written(tmp_path, *packs)
        text = path.read_text(encoding="utf-8")
        without, renamed = text.replace(packs[-1], ""), text.replace('"p31"', '"q31"')
        async with running(path) as gateway:
            await online(gateway, *(f"p{number}" for number in range(32)))
            oldest = 0.0

            async def look() -> None:
                nonlocal oldest
                while True:
                    store = gateway.store
                    ages = [store.monotonic() - (store.packs[f"p{number}"].seen or 0.0) for number in range(31)]
                    oldest = max(oldest, *ages)
                    await asyncio.sleep(0.02)

            looking = asyncio.create_task(look())
            kept = {name: gateway.store.packs[name] for name in list(gateway.store.packs)[:31]}
            before = (0, 0, 0)
            for number in range(rounds):
                for changed, name in ((without, ""), (text, "p31"), (renamed, "q31"), (text, "p31")):
                    path.write_text(changed, encoding="utf-8")
                    told = len([event for event in gateway.events.recent if event.kind == "configuration"])
                    os.kill(os.getpid(), signal.SIGHUP)
                    await until(
                        lambda told=told: (  # type: ignore[misc]
                            len([event for event in gateway.events.recent if event.kind == "configuration"]) > told
                        )
                    )
                    if name:
                        await online(gateway, name)
                if number == 0:
                    await asyncio.sleep(3.0)
                    before = held()
            # What ends is gone with the next ticks; the accounts keep the last state of an identity that is gone: q31.
            with contextlib.suppress(TimeoutError):
                await until(lambda: held()[:2] == before[:2] and held()[2] <= 33, 10.0)
            tasks, files, states = held()
            assert (tasks, files) == before[:2]
            assert states <= 33
            assert looking.cancel()
            assert {name: gateway.store.packs[name] for name in kept} == kept
            assert not any(event.kind == "state" for event in gateway.events.recent)
            with capsys.disabled():
                print(f"{rounds * 4} changes among 32 packs: the oldest sample of the others was {oldest:.2f} s old")
            assert oldest < 3.2 * every, "nobody missed more than two intervals"
