"""Serial links on pseudo terminals: bytes, the hint, unplugging, and every way in which opening fails."""

import asyncio
import fcntl
import os
import subprocess
import sys
import termios
import time
import tty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cellwire.links import open_link, serial, trouble
from cellwire.links.link import Link, LinkError, LinkLost, PortBusy, PortForbidden, PortMissing
from cellwire.links.serial import SerialLink, ports


class Pty:
    """A pseudo terminal; what the device would do is done on `master`."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def write(self, data: bytes) -> None:
        os.write(self.master, data)

    def unplug(self) -> None:
        for name in ("master", "slave"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.unplug()


@pytest.fixture
async def link(pty: Pty) -> AsyncIterator[Link]:
    async with open_link(pty.path) as opened:
        yield opened


async def soon(wanted: Any, seconds: float = 2.0) -> Any:
    async with asyncio.timeout(seconds):
        return await wanted


async def test_bytes_of_every_value_go_both_ways(pty: Pty, link: Link) -> None:
    everything = bytes(range(256))
    await link.send(everything)
    assert os.read(pty.master, 1000) == everything
    pty.write(everything)
    assert await soon(link.receive()) == everything


async def test_many_round_trips(pty: Pty, link: Link) -> None:
    for number in range(200):
        question = bytes((number, 0x11, 0x13, 0x0D))
        await link.send(question)
        assert os.read(pty.master, 100) == question
        pty.write(question * 3)
        assert await soon(link.receive(12)) == question * 3


async def test_more_than_the_terminal_holds_is_sent_whole(pty: Pty, link: Link) -> None:
    sending = asyncio.create_task(link.send(bytes(100_000)))
    os.set_blocking(pty.master, False)
    got = 0
    async with asyncio.timeout(10):
        while got < 100_000:
            await asyncio.sleep(0)
            try:
                got += len(os.read(pty.master, 65536))
            except BlockingIOError:
                continue
    await soon(sending)


@pytest.mark.parametrize("size", [13, 63, 64, 65, 200, 255, 256, 308, 1000])
async def test_an_answer_in_pieces_is_one_wake_up(pty: Pty, link: Link, size: int) -> None:
    receiving = asyncio.create_task(link.receive(size))
    for at in range(0, size, 7):
        await asyncio.sleep(0.0005)
        assert not receiving.done()
        pty.write(bytes(min(7, size - at)))
    start = time.monotonic()
    assert len(await soon(receiving)) == size
    assert time.monotonic() - start < 0.08, "it was the guard that found the bytes"


async def test_the_terminal_reports_nothing_until_the_hint_is_reached(pty: Pty) -> None:
    link = SerialLink(pty.path, 9600)
    looks = 0
    look = link._look

    def counted() -> None:
        nonlocal looks
        looks += 1
        look()

    link._look = counted  # type: ignore[method-assign]
    async with link:
        receiving = asyncio.create_task(link.receive(13))
        for _ in range(13):
            await asyncio.sleep(0.002)
            pty.write(b"x")
        assert await soon(receiving) == b"x" * 13
    assert looks == 1


async def test_an_answer_shorter_than_the_hint_comes_too(pty: Pty, link: Link) -> None:
    receiving = asyncio.create_task(link.receive(34))
    await asyncio.sleep(0)
    pty.write(b"short")
    start = time.monotonic()
    assert await soon(receiving) == b"short"
    assert time.monotonic() - start < 0.5


async def test_more_than_the_hint_comes_at_once(pty: Pty, link: Link) -> None:
    pty.write(bytes(50))
    assert await soon(link.receive(5)) == bytes(50)


async def test_a_smaller_hint_after_a_greater_one(pty: Pty, link: Link) -> None:
    with pytest.raises(TimeoutError):
        await soon(link.receive(200), 0.05)
    pty.write(b"ab")
    assert await soon(link.receive(1)) == b"ab"


async def test_pending_takes_what_the_terminal_has_and_does_not_wait(pty: Pty, link: Link) -> None:
    assert link.pending() == b""
    with pytest.raises(TimeoutError):
        await soon(link.receive(200), 0.02)
    pty.write(b"late")
    await asyncio.sleep(0.01)
    assert link.pending() == b"late"
    assert link.pending() == b""


async def test_a_link_has_one_reader(pty: Pty, link: Link) -> None:
    first = asyncio.create_task(link.receive())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one session"):
        await link.receive()
    pty.write(b"x")
    assert await soon(first) == b"x"


async def test_speed_and_form_reach_the_terminal(pty: Pty, link: Link) -> None:
    assert link.baud == 9600
    assert termios.tcgetattr(pty.slave)[4:6] == [termios.B9600] * 2
    receiving = asyncio.create_task(link.receive(20))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.sleep(0)
    await link.set_baud(115200)
    settings = termios.tcgetattr(pty.slave)
    assert settings[4:6] == [termios.B115200] * 2
    assert settings[2] & termios.CSIZE == termios.CS8
    assert not settings[2] & (termios.CSTOPB | termios.CRTSCTS | termios.PARENB)
    assert link.baud == 115200
    pty.write(b"x")
    assert await soon(link.receive()) == b"x"
    with pytest.raises(ValueError, match="12345 baud is not a speed"):
        await link.set_baud(12345)


@pytest.mark.parametrize("steps", range(6))
async def test_a_cancelled_opening_is_cancelled(pty: Pty, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Whenever it comes, also in the very step in which the port has opened: the gateway could not end otherwise."""

    async def at_once(work: Any, *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    link = SerialLink(pty.path)
    opening = asyncio.create_task(link.open())
    for _ in range(steps):
        await asyncio.sleep(0)
    if not opening.done():
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await link.close()
    await asyncio.sleep(0)


async def test_a_speed_chosen_before_opening_is_used(pty: Pty) -> None:
    link = open_link(f"serial:{pty.path}?baud=19200")
    await link.set_baud(57600)
    async with link:
        assert termios.tcgetattr(pty.slave)[4] == termios.B57600


# Unplugging


async def test_unplugged_while_waiting(pty: Pty, link: Link) -> None:
    receiving = asyncio.create_task(link.receive(13))
    await asyncio.sleep(0.01)
    pty.unplug()
    with pytest.raises(LinkLost, match=r"is gone .*check plug and cable"):
        await soon(receiving)
    with pytest.raises(LinkLost):
        await link.send(b"x")
    with pytest.raises(LinkLost):
        await link.receive()
    with pytest.raises(LinkLost):
        await link.set_baud(115200)
    assert link.pending() == b""
    await link.close()
    with pytest.raises(PortMissing):
        await link.open()


async def test_unplugged_while_nobody_looks_costs_nothing(pty: Pty, link: Link) -> None:
    pty.unplug()
    cpu = time.process_time()
    await asyncio.sleep(0.2)
    assert time.process_time() - cpu < 0.1, "a dead port is looked at without end"
    with pytest.raises(LinkLost):
        await link.send(b"x")


async def test_unplugged_while_sending(pty: Pty, link: Link) -> None:
    sending = asyncio.create_task(link.send(bytes(100_000)))
    await asyncio.sleep(0.05)
    assert not sending.done()
    pty.unplug()
    with pytest.raises(LinkLost):
        await soon(sending)


async def test_closed_while_waiting_and_opened_again(pty: Pty, link: Link) -> None:
    receiving = asyncio.create_task(link.receive())
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(LinkLost, match="was closed"):
        await soon(receiving)
    await link.close()
    await link.open()
    pty.write(b"back")
    assert await soon(link.receive()) == b"back"


async def test_not_open_says_so(pty: Pty) -> None:
    link = open_link(pty.path)
    assert link.pending() == b""
    with pytest.raises(LinkLost, match="is not open"):
        await link.receive()
    with pytest.raises(LinkLost, match="is not open"):
        await link.send(b"x")


# Opening that fails


async def test_missing_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [serial.Port("/dev/ttyUSB1", "/dev/serial/by-id/usb-1a86", 0x1A86, 0x7523, "USB Serial")]
    monkeypatch.setattr(serial, "ports", lambda: there)
    with pytest.raises(PortMissing, match="is not there; present are: /dev/serial/by-id/usb-1a86"):
        await open_link("/dev/ttyUSB0-gone").open()
    monkeypatch.setattr(serial, "ports", list)
    with pytest.raises(PortMissing, match="no serial port is there at all"):
        await open_link("COM3").open()


async def test_a_name_that_points_nowhere(tmp_path: Path) -> None:
    name = tmp_path / "by-id"
    name.symlink_to(tmp_path / "ttyUSB7")
    with pytest.raises(PortMissing, match=r"points to .*ttyUSB7, which is gone"):
        await open_link(str(name)).open()


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_not_a_serial_port(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(b"") if kind == "file" else path.mkdir()
    with pytest.raises(PortMissing, match="is not a serial port"):
        await open_link(str(path)).open()


async def test_busy_in_this_program(pty: Pty, link: Link) -> None:
    before = termios.tcgetattr(pty.slave)
    with pytest.raises(PortBusy, match="open already in this program"):
        await open_link(f"serial:{pty.path}?baud=115200").open()
    assert termios.tcgetattr(pty.slave) == before
    await link.close()
    async with open_link(pty.path):
        pass


HOLDER = """
import asyncio, sys
from cellwire.links import open_link
async def hold():
    async with open_link(sys.argv[1]):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(hold())
"""


async def test_busy_in_another_program_even_as_root(pty: Pty) -> None:
    command = [sys.executable, "-c", HOLDER, pty.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            with pytest.raises(PortBusy, match=rf"in use by \S+ \(process {holder.pid}\); end that program"):
                await open_link(pty.path).open()
        finally:
            holder.kill()
    async with open_link(pty.path):
        pass  # a killed program leaves no lock behind


async def test_a_port_marked_as_taken_is_busy_for_root_too(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real port, played by a pty: a program in a container has locked another node of it."""
    monkeypatch.setattr(trouble, "is_pty", lambda status: False)
    monkeypatch.setattr(trouble, "holders", lambda path: iter(()))
    fcntl.ioctl(pty.slave, termios.TIOCEXCL)
    with pytest.raises(PortBusy, match="fuser"):
        await open_link(pty.path).open()
    fcntl.ioctl(pty.slave, termios.TIOCNXCL)
    async with open_link(pty.path):
        pass
    os.close(os.open(pty.path, os.O_RDWR | os.O_NOCTTY))


async def test_a_program_that_locks_nothing_is_found(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "is_pty", lambda status: False)
    command = [sys.executable, "-c", "import sys; f = open(sys.argv[1], 'rb'); print(flush=True); sys.stdin.read()"]
    with subprocess.Popen([*command, pty.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(PortBusy, match=f"process {other.pid}"):
                await open_link(pty.path).open()
        finally:
            other.kill()


OPENER = """
import asyncio, concurrent.futures.thread, os, sys
from cellwire.links import open_link
import cellwire.links.serial, cellwire.links.trouble, grp, pwd, serial.tools.list_ports
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    asyncio.run(open_link(sys.argv[1]).open())
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_forbidden_as_another_user(pty: Pty) -> None:
    os.chown(pty.path, 0, 20)
    os.chmod(pty.path, 0o660)
    result = subprocess.run([sys.executable, "-c", OPENER, pty.path], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("PortForbidden"), result
    assert "sudo usermod -aG dialout nobody, then log out" in result.stdout.replace("`", "")
    os.chmod(pty.path, 0o600)
    result = subprocess.run([sys.executable, "-c", OPENER, pty.path], capture_output=True, text=True, check=True)
    assert f"sudo chmod g+rw {pty.path}" in result.stdout


async def test_forbidden_by_a_container(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refused(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if path == pty.path:
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", refused)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    os.chmod(pty.path, 0o660)
    with pytest.raises(PortForbidden, match="--device="):
        await open_link(pty.path).open()


def test_forbidden_texts(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chmod(pty.path, 0o660)
    status = os.stat(pty.path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getegid", lambda: 12345)
    monkeypatch.setattr(os, "getgroups", list)
    import grp
    import pwd

    person = pwd.struct_passwd(("ann", "x", 12345, 12345, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: person)
    monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group(("dialout", "x", number, ["ann"])))
    assert "log out and in again, or restart the service" in trouble.forbidden(pty.path)
    monkeypatch.setattr(grp, "getgrgid", lambda number: {}[number])
    assert f"--group-add {status.st_gid}" in trouble.forbidden(pty.path)


async def test_a_driver_that_hangs_does_not_hang_us(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    real = serial._opened

    def slow(path: str, speed: int, parity: int) -> tuple[int, list[Any]]:
        time.sleep(0.2)
        return real(path, speed, parity)

    monkeypatch.setattr(serial, "_opened", slow)
    monkeypatch.setattr(serial, "OPENING", 0.05)
    with pytest.raises(PortMissing, match="driver hangs"):
        await open_link(pty.path).open()
    await asyncio.sleep(0.4)
    monkeypatch.setattr(serial, "_opened", real)
    async with open_link(pty.path):
        pass  # what opened too late was closed


def test_every_error_is_a_link_error() -> None:
    for kind in (PortMissing, PortBusy, PortForbidden, LinkLost):
        assert issubclass(kind, LinkError)
    for number in range(1, 40):
        assert "/dev/x" in str(trouble.explain("/dev/x", OSError(number, ""), []))


def test_listing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    device = tmp_path / "ttyUSB0"
    device.touch()
    (tmp_path / "by-id").mkdir()
    name = tmp_path / "by-id" / "usb-FTDI_A5069RR4-if00-port0"
    name.symlink_to(device)
    usb, plain = ListPortInfo(str(device)), ListPortInfo("/dev/ttyS0")
    usb.vid, usb.pid, usb.description = 0x0403, 0x6001, "FT232R"
    monkeypatch.setattr(list_ports, "comports", lambda: [usb, plain])
    monkeypatch.setattr(serial, "BY_ID", str(tmp_path / "by-id"))
    found = ports()
    assert found[0].device == "/dev/ttyS0"
    assert (found[0].by_id, found[0].vid) == (None, None)
    assert (found[1].by_id, found[1].vid, found[1].pid, found[1].description) == (str(name), 0x0403, 0x6001, "FT232R")
    monkeypatch.setattr(serial, "BY_ID", str(tmp_path / "nothing"))
    assert ports()[1].by_id is None
