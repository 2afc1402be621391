"""Where there is no Bluetooth, for whatever reason, one sentence says so and what to do, and the rest goes on."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bluez import ERROR, FakeBluez
from commanded import commanded
from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from served import free_port, running, served

from cellwire.cli import NO_ANSWER, PORT, main
from cellwire.links.ble.causes import CLASSES, FORBIDDEN, NO_LIBRARY, classify
from cellwire.links.serial import Port

PACK = "ble:C8:47:8C:00:00:01"
BUS = "DBUS_SYSTEM_BUS_ADDRESS"
COMMANDS = [["read", PACK], ["watch", PACK], ["scan", "--ble"]]
each_command = pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])

POLICY = """<busconfig>
  <type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <{entry} user="*"/><allow own="*"/><allow receive_type="method_return"/><allow receive_type="error"/>
    <allow send_destination="*"/><deny send_destination="org.bluez"/>
  </policy>
</busconfig>
"""
# As on a machine where an extra was not installed.
ABSENT = """import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("bleak", "dbus_fast"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
"""


@contextlib.contextmanager
def bus(folder: Path, entry: str = "") -> Iterator[str]:
    """Yield the address of a private bus; entry: "allow" or "deny" people, where nobody may speak to org.bluez."""
    address = f"unix:path={folder / 'bus'}"
    words = ["--session", f"--address={address}"]
    if entry:
        policy = folder / "bus.conf"
        policy.write_text(POLICY.format(path=folder / "bus", entry=entry), encoding="utf-8")
        words = [f"--config-file={policy}"]
    daemon = subprocess.Popen(
        ["dbus-daemon", "--nofork", "--print-address=1", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert daemon.stdout is not None
    try:
        assert daemon.stdout.readline(), "dbus-daemon did not start"
        yield address
    finally:
        daemon.terminate()
        daemon.wait(10)
        daemon.stdout.close()


async def says(words: list[str], part: str, **variables: str) -> None:
    """Fail unless a command ends with code 4 and one sentence that has this part."""
    answer = await commanded(*words, **variables)
    assert (answer.code, answer.out) == (PORT, ""), answer
    assert answer.errors.startswith("cellwire: ")
    assert answer.errors.count("\n") == 1, answer.errors
    assert part in answer.errors


@each_command
async def test_no_bus(words: list[str], tmp_path: Path) -> None:
    await says(words, "apt-get install bluez", **{BUS: f"unix:path={tmp_path / 'nothing'}"})


@each_command
async def test_no_bluetoothd(words: list[str], tmp_path: Path) -> None:
    with bus(tmp_path) as address:
        await says(words, "the Bluetooth service does not run; `sudo systemctl enable --now", **{BUS: address})


@each_command
async def test_a_bus_that_lets_nobody_in(words: list[str], tmp_path: Path) -> None:
    with bus(tmp_path, "deny") as address:
        await says(words, "sudo usermod -aG bluetooth", **{BUS: address})


@each_command
async def test_a_bluetoothd_that_may_not_be_asked(words: list[str], tmp_path: Path) -> None:
    with bus(tmp_path, "allow") as address:
        service = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
        try:
            await service.request_name("org.bluez")
            await says(words, "sudo usermod -aG bluetooth", **{BUS: address})
        finally:
            service.disconnect()


@each_command
async def test_no_library(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ABSENT, encoding="utf-8")
    await says(words, "pip install 'cellwire[ble]'", PYTHONPATH=str(tmp_path))


@each_command
async def test_no_adapter(words: list[str]) -> None:
    async with FakeBluez(adapters=()):
        await says(words, "no Bluetooth adapter is there; plug one in")


@each_command
async def test_an_adapter_that_stays_off(words: list[str]) -> None:
    async with FakeBluez() as bluez:
        bluez.adapter().powered = False
        bluez.adapter().fail("Powered", ERROR + "Blocked", "Blocked through rfkill", times=100)
        await says(words, "rfkill unblock bluetooth")


async def test_json_stays_empty(tmp_path: Path) -> None:
    await says(["scan", "--ble", "--json"], "apt-get install bluez", **{BUS: f"unix:path={tmp_path / 'nothing'}"})


def test_a_scan_of_everything_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(BUS, f"unix:path={tmp_path / 'nothing'}")
    with served(tmp_path / "van", "jbd") as van:
        monkeypatch.setattr("cellwire.commands.scan.ports", lambda: [Port(van.path, None, None, None, "")])
        assert main(["scan", "--family", "jbd"]) == 0
        found = capsys.readouterr()
        assert main(["scan", "--family", "jbd", "--no-ble"]) == 0
        assert capsys.readouterr().err == ""
    assert found.out.startswith(f"{van.path}\n  jbd address 0")
    assert found.err.startswith("cellwire: Bluetooth was not looked at: this machine has no Bluetooth service")
    assert found.err.count("\n") == 1
    monkeypatch.setattr("cellwire.commands.scan.ports", list)
    assert main(["scan"]) == NO_ANSWER


def test_a_gateway_reads_its_other_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUS, f"unix:path={tmp_path / 'nothing'}")
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "van", "jbd") as van:
        links = {"air": PACK, "wire": van.path}
        text = "".join(
            f'[[pack]]\nname = "{name}"\nlink = "{link}"\nfamily = "jbd"\nevery = 0.2\n' for name, link in links.items()
        )
        path.write_text(f'{text}[web]\nlisten = "127.0.0.1:{free_port()}"\n[history]\nenabled = false\n', "utf-8")
        with running("run", "-c", path, "--stdout") as process:
            assert process.until("online")["pack"] == "wire"
            process.complaint("air is lost: ble:C8:47:8C:00:00:01: this machine has no Bluetooth service")
            assert process.until("online")["pack"] == "wire"
            assert process.interrupt() == 0


def test_errors_of_the_system_have_a_cause() -> None:
    assert classify(PermissionError(13, "Permission denied")) is FORBIDDEN
    assert classify(ModuleNotFoundError("bleak")) is NO_LIBRARY
    assert {"AuthError", "FileNotFoundError", "ConnectionRefusedError"} <= set(CLASSES)
