"""cellwire run --stdout: lines for programs, whoever reads them, and however slowly."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import command_of, environment, running, served
from test_run import online, port

from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs.console import Lines, Snapshots


def configured(folder: Path, number: int, links: dict[str, str]) -> Path:
    """Return a configuration with these packs, and all of them as the bank house."""
    path = folder / "cellwire.toml"
    text = f'[web]\nlisten = "127.0.0.1:{number}"\nguests = true\n[history]\nenabled = false\n'
    for name, link in links.items():
        text += f'[[pack]]\nname = "{name}"\nlink = "{link}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
    names = ", ".join(f'"{name}"' for name in links)
    path.write_text(text + f'[[bank]]\nname = "house"\npacks = [{names}]\n', encoding="utf-8")
    return path


# The whole gateway


def test_snapshots_and_events_can_be_told_apart(tmp_path: Path) -> None:
    with served(tmp_path / "shed", "jbd") as shed, served(tmp_path / "van", "jbd") as van:
        path = configured(tmp_path, port(), {"shed": shed.path, "van": van.path})
        with running("run", "-c", path, "--stdout", "--json") as process:
            lines = [process.snapshot() for _ in range(12)]
            van.unplug()
            while lines[-1].get("pack") != "van" or lines[-1].get("state") == "online":
                assert len(lines) < 100, lines[-1]
                lines.append(process.snapshot())
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0
            while lines[-1].get("kind") != "stop":
                lines.append(process.snapshot())
    events = [line for line in lines if "kind" in line]
    snapshots = [line for line in lines if "readings" in line]
    assert len(events) + len(snapshots) == len(lines)
    assert events[0]["kind"] == "start"
    assert {line["state"] for line in snapshots if line.get("pack") == "van"} == {"online", "lost"}
    for name in ("shed", "van"):
        times = [line["time"] for line in snapshots if line.get("pack") == name and line["state"] == "online"]
        assert len(times) > 1
        assert times == sorted(set(times)), "each sample once"
        assert len({line["id"] for line in snapshots if line.get("pack") == name}) == 1
    assert [line for line in snapshots if line.get("bank") == "house" and line["present"] == 2]


def test_snapshots_alone_come_once_a_second(tmp_path: Path) -> None:
    with (
        served(tmp_path / "shed", "jbd") as shed,
        running("run", "-c", configured(tmp_path, port(), {"shed": shed.path}), "--stdout") as process,
    ):
        process.snapshot()
        began = time.monotonic()
        lines = [process.snapshot() for _ in range(5)]
        passed = time.monotonic() - began
    assert all("readings" in line for line in lines)
    assert len([line for line in lines if "pack" in line]) <= passed / 0.8 + 1


def begun(*words: Any) -> "subprocess.Popen[bytes]":
    """Start Cellwire with a pipe that holds only some lines."""
    process = subprocess.Popen(
        command_of(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), pipesize=4096
    )
    assert process.stdout is not None
    assert process.stderr is not None
    return process


def there(number: int) -> None:
    """Wait until the gateway answers and has its pack."""
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(urllib.error.URLError):
            online(number, "shed")
            return
        assert time.monotonic() < end, "it does not answer"
        time.sleep(0.05)


def test_a_reader_who_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with served(tmp_path / "shed", "jbd") as shed:
        number = port()
        words = ["run", "-c", configured(tmp_path, number, {"shed": shed.path}), "--stdout", "--json", "--every", "0.2"]
        with begun(*words) as process:
            try:
                there(number)
                time.sleep(2)  # far more lines than the pipe holds
                online(number, "shed")
            finally:
                process.terminate()
            assert process.wait(20) == 0
            assert process.stdout is not None
            whole, _, rest = process.stdout.read().rpartition(b"\n")
    lines = [json.loads(line) for line in whole.split(b"\n")]
    assert lines[0]["kind"] == "start"
    assert len(whole) + len(rest) <= 4096


def test_a_reader_who_leaves_does_not_end_the_gateway(tmp_path: Path) -> None:
    with served(tmp_path / "shed", "jbd") as shed:
        number = port()
        with begun("run", "-c", configured(tmp_path, number, {"shed": shed.path}), "--stdout") as process:
            try:
                assert process.stdout is not None
                assert json.loads(process.stdout.readline())["pack"] == "shed"
                process.stdout.close()
                time.sleep(1.5)
                online(number, "shed")
            finally:
                process.terminate()
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert process.stderr.read().count(b"standard output is gone (Broken pipe)") == 1


# Lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield both ends of a small pipe."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def taken(reader: int, last: str) -> list[str]:
    """Return all lines up to one that is awaited."""
    found = b""
    while not found.endswith(f"{last}\n".encode()):
        found += os.read(reader, 65536)
    return found.decode().splitlines()


@pytest.mark.parametrize("blocking", [True, False])
def test_the_newest_lines_are_kept_for_a_slow_reader(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture, blocking: bool
) -> None:
    reader, writer = pipe
    os.set_blocking(writer, blocking)
    lines = Lines(writer, waiting=5)
    wanted = [f"{number:04} {'x' * 1000}" for number in range(100)]
    began = time.monotonic()
    for line in wanted:
        lines.put(line)
    lines.end(0.05)
    assert time.monotonic() - began < 2
    assert [record.message for record in caplog.records] == [
        "standard output is read too slowly: lines are left out, the newest are kept"
    ]
    found = taken(reader, wanted[-1])
    assert found[-5:] == wanted[-5:]
    assert set(found) < set(wanted)
    assert found == sorted(found)
    lines.end()
    assert caplog.records[-1].message == f"standard output is read again; {100 - len(found)} lines were left out"
    lines.put("and on")
    assert taken(reader, "and on") == ["and on"]
    assert len(caplog.records) == 2


def test_a_disk_that_is_full(caplog: pytest.LogCaptureFixture) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        lines = Lines(full.fileno())
        for number in range(10):
            lines.put(str(number))
            lines.end(0.1)
    (record,) = caplog.records
    assert record.message == "standard output is gone (No space left on device): no more lines, all else goes on"


# Snapshots


class Told(Lines):
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def put(self, line: str) -> None:
        self.documents.append(json.loads(line))


class Made:
    """A store with the packs shed and van under a clock that is set by hand, and what is told of it."""

    def __init__(self, every: float = 1.0) -> None:
        self.now = 1000.0
        self.store = Store(lambda: self.now)
        for name in ("shed", "van"):
            self.store.add(PackState(name, "jbd", "jbd", 0, 0.5)).pinned_id = f"jbd-{name}"
        self.lines = Told()
        self.snapshots = Snapshots(self.store, self.lines, every)

    def tell(self, seconds: float = 0.25) -> list[tuple[str, str]]:
        """Return names and states that are told after so many seconds."""
        self.now += seconds
        self.lines.documents.clear()
        self.snapshots.tell(self.now)
        return [(each.get("pack") or each["bank"], each["state"]) for each in self.lines.documents]

    def sample(self, name: str, **readings: Any) -> None:
        pack = self.store.packs[name]
        self.store.settle(pack)
        self.store.accept(pack, {"voltage": 50.0, **readings})


def test_what_is_new_is_told_once() -> None:
    made = Made()
    assert made.tell() == []
    made.sample("shed")
    assert made.tell() == [("shed", "online")]
    assert made.tell(1.0) == []
    made.sample("van")
    made.sample("shed")
    assert made.tell() == [("shed", "online"), ("van", "online")]
    assert made.tell(2.0) == [("shed", "stale"), ("van", "stale")]
    made.store.fail(made.store.packs["van"], "lost", "no answer")
    assert made.tell(1.0) == [("van", "lost")]
    assert made.lines.documents[0]["reason"] == "no answer"


def test_not_oftener_than_wanted() -> None:
    made = Made(every=2.0)
    told = []
    for _ in range(40):
        made.sample("shed")
        told += made.tell()
    assert len(told) == 5


def test_not_before_it_is_known_which_pack_it_is() -> None:
    made = Made()
    made.store.accept(made.store.packs["shed"], {"voltage": 50.0})
    assert made.tell() == []
    made.store.settle(made.store.packs["shed"])
    assert made.tell() == [("shed", "online")]


def test_packs_and_banks_come_and_go() -> None:
    made = Made()
    bank = made.store.add_bank(BankState("house", ("shed", "van")))
    bank.missing = {"shed": "stale", "van": "stale"}
    assert made.tell() == [], "nothing was heard yet"
    made.sample("shed")
    bank.missing, bank.readings, bank.time, bank.seen = {"van": "stale"}, {"voltage": 50.0}, made.now, made.now
    assert made.tell() == [("shed", "online"), ("house", "partial")]
    made.store.packs = {"boat": made.store.packs["shed"]}
    made.store.packs["boat"].name = "boat"
    assert made.tell() == [("boat", "online")]
    bank.missing = {"van": "lost", "shed": "gone"}
    assert made.tell(1.0) == [("house", "lost")]
