"""The simulated line: terminal and TCP, pace, clients that come and go, faults, other masters, captures."""

import asyncio
import contextlib
import json
import os
import select
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cellwire.sim.faults import LATE_PAUSE
from cellwire.sim.model import Battery
from cellwire.sim.server import CaptureTwin, Master, Simulator, jk_master

SIZE = 96


class Fake:
    """Answers `?` + its address with SIZE bytes: "!", address, variant, then the voltage or zeros."""

    def __init__(self, address: int = 1) -> None:
        self.values: dict[str, Any] = {"voltage": 12.34}
        self.zero = False
        self.variant = "32S"
        self.mood: Callable[[str], bool] = lambda fault: False
        self.lost = False
        self.address = address
        self.pushed: list[bytes] = []
        self._buffer = b""

    def answer(self, data: bytes) -> list[bytes]:
        self._buffer += data
        replies = []
        while len(self._buffer) >= 2:
            request, self._buffer = self._buffer[:2], self._buffer[2:]
            if request == b"?" + bytes((self.address,)):
                text = "0" if self.zero else str(self.values["voltage"])
                reply = b"!" + bytes((self.address,)) + self.variant.encode() + text.encode()
                replies.append(reply.ljust(SIZE, b"."))
            elif request == b"#" + bytes((self.address,)):
                self.values["discharge_switch"] = False
        return replies

    def pushes(self) -> list[bytes]:
        pushed, self.pushed = self.pushed, []
        return pushed


class Client:
    """A client on a terminal that reads without blocking the loop."""

    def __init__(self, path: str) -> None:
        self.port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self.port)

    def send(self, data: bytes) -> None:
        os.write(self.port, data)

    async def receive(self, size: int, timeout: float = 2.0) -> bytes:
        data, end = b"", time.monotonic() + timeout
        while len(data) < size and time.monotonic() < end:
            if select.select([self.port], [], [], 0)[0]:
                got = os.read(self.port, 4096)
                if not got:
                    break
                data += got
            else:
                await asyncio.sleep(0.001)
        return data

    async def ask(self, request: bytes, size: int = SIZE, timeout: float = 2.0) -> bytes:
        self.send(request)
        return await self.receive(size, timeout)


async def until(condition: Callable[[], bool], timeout: float = 3.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


async def test_terminal_can_be_closed_and_opened_again(tmp_path: Path) -> None:
    path = str(tmp_path / "pack")
    async with Simulator([Fake()], baud=0) as simulator:
        assert await simulator.pty(path) == path
        for _ in range(3):
            client = Client(path)
            assert (await client.ask(b"?\x01")).startswith(b"!\x0132S12.34")
            client.close()
    assert not os.path.lexists(path)


async def test_several_packs_on_one_line(tmp_path: Path) -> None:
    twins = [Fake(1), Fake(2), Fake(3)]
    twins[1].values = {"voltage": 51.2}
    async with Simulator(twins, baud=0) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        assert b"51.2" in await client.ask(b"?\x02")
        assert (await client.ask(b"?\x03")).startswith(b"!\x03")
        assert await client.ask(b"?\x04", timeout=0.1) == b""
        client.close()


async def test_pace_and_think_time(tmp_path: Path) -> None:
    async with Simulator([Fake()], baud=9600, think=0.05) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        ideal = 2 * 10 / 9600 + 0.05 + SIZE * 10 / 9600
        taken = []
        for _ in range(4):
            begun = time.monotonic()
            assert len(await client.ask(b"?\x01")) == SIZE
            taken.append(time.monotonic() - begun)
        assert min(taken) >= ideal * 0.99
        # The best of four: the machine may be busy, the schedule may not be wrong.
        assert min(taken) < ideal * 1.10
        begun = time.monotonic()
        client.send(b"?\x01")
        first = await client.receive(1)
        assert 0.05 < time.monotonic() - begun < 0.5
        assert 0 < len(first) < SIZE / 2
        assert len(first + await client.receive(SIZE - len(first))) == SIZE
        client.close()


async def test_tcp_client_after_client() -> None:
    async with Simulator([Fake()], baud=0) as simulator:
        port = await simulator.tcp()
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"?\x01")
            assert len(await reader.readexactly(SIZE)) == SIZE
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_values_come_from_the_battery_and_switches_go_back() -> None:
    now = [1000.0]
    battery = Battery(4, 1)
    twin = Fake()
    async with Simulator([twin], 0, batteries=[battery], clock=lambda: now[0]) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", await simulator.tcp())
        for moment in (1000.0, 40000.0):
            now[0] = moment
            writer.write(b"?\x01")
            assert str(battery.values(moment)["voltage"]).encode() in await reader.readexactly(SIZE)
        writer.write(b"#\x01")
        await until(lambda: not battery.switches["discharge_switch"])
        simulator.refresh()
        assert twin.values["discharge_mosfet"] is False
        writer.close()


async def test_unplug_and_replug(tmp_path: Path) -> None:
    path = str(tmp_path / "pack")
    async with Simulator([Fake()], baud=0) as simulator:
        await simulator.pty(path)
        port = await simulator.tcp()
        client = Client(path)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?\x01")
        assert len(await reader.readexactly(SIZE)) == SIZE
        assert len(await client.receive(SIZE)) == SIZE
        await simulator.unplug()
        assert not os.path.lexists(path)
        with contextlib.suppress(OSError):
            assert os.read(client.port, 10) == b""
        client.close()
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b""
        writer.close()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", port)
        await simulator.replug()
        client = Client(path)
        assert len(await client.ask(b"?\x01")) == SIZE
        client.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?\x01")
        assert len(await reader.readexactly(SIZE)) == SIZE
        writer.close()


async def test_faults_can_change_while_it_runs(tmp_path: Path) -> None:
    async with Simulator([Fake()], baud=0, think=0.0, faults={"asleep": 2}) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        for _ in range(2):
            assert await client.ask(b"?\x01", timeout=0.1) == b""
        assert len(await client.ask(b"?\x01")) == SIZE
        simulator.faults = {"echo": 1}
        assert (await client.ask(b"?\x01", SIZE + 2))[:3] == b"?\x01!"
        simulator.faults = ["zero-after-wake=1"]
        assert await client.ask(b"?\x01", timeout=0.1) == b""
        for _ in range(3):
            assert (await client.ask(b"?\x01")).startswith(b"!\x0132S0.")
        assert b"12.34" in await client.ask(b"?\x01")
        simulator.faults = ["wrong-variant=1"]
        assert b"24S" in await client.ask(b"?\x01")
        simulator.faults = {"late": 1}
        begun = time.monotonic()
        assert b"32S" in await client.ask(b"?\x01")
        assert time.monotonic() - begun >= LATE_PAUSE
        simulator.faults = {"silent": 1}
        assert await client.ask(b"?\x01", timeout=0.1) == b""
        simulator.faults = ()
        assert len(await client.ask(b"?\x01")) == SIZE
        client.close()


async def test_pushes(tmp_path: Path) -> None:
    twin = Fake()
    async with Simulator([twin], baud=0) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        twin.pushed = [b"hello"]
        assert await client.receive(5) == b"hello"
        client.close()


async def test_second_master(tmp_path: Path) -> None:
    master = Master([(b"?\x01", 0.02), (b"?\x05", 0.02)], lambda: [b"own record"], cycle=0.2)
    async with Simulator([Fake()], baud=0, think=0.0, faults=["second-master=1"], master=master) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        heard = await client.receive(2 * (SIZE + 14))
        assert heard.startswith(b"?\x01!\x01")
        assert b"?\x05own record?\x01!" in heard
        simulator.faults = ()
        await asyncio.sleep(0.3)
        await client.receive(10000, 0.1)
        assert await client.receive(1, 0.3) == b""
        client.close()


def test_a_jk_master_asks_slaves_then_the_missing_ones() -> None:
    master = jk_master([1, 3], None)
    assert master.requests[0][0] == bytes.fromhex("01 10 16 20 00 01 02 00 00 D6 F1")
    assert [request[:4].hex() for request, _pause in master.requests[:5]] == [
        "01101620",
        "0110161e",
        "03101620",
        "0310161e",
        "02101620",
    ]
    assert len(master.requests) == 4 + 13
    # Section 9.4 of the JK notes: a round takes about 4.4 s.
    assert 3.0 < sum(pause for _request, pause in master.requests) < 4.4


async def test_terminal_at_another_speed_hears_nothing(tmp_path: Path) -> None:
    async with Simulator([Fake()], baud=115200, match_baud=True) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        for speed, size in ((termios.B9600, 0), (termios.B115200, SIZE)):
            settings = termios.tcgetattr(client.port)
            settings[4] = settings[5] = speed
            termios.tcsetattr(client.port, termios.TCSANOW, settings)
            assert len(await client.ask(b"?\x01", timeout=0.2)) == size
        client.close()


async def test_a_broken_twin_is_not_hidden() -> None:
    class Broken(Fake):
        def answer(self, data: bytes) -> list[bytes]:
            raise ZeroDivisionError

    simulator = Simulator([Broken()], baud=0)
    _reader, writer = await asyncio.open_connection("127.0.0.1", await simulator.tcp())
    writer.write(b"?\x01")
    await until(lambda: simulator.requests == 1)
    await asyncio.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        await simulator.stop()
    writer.close()


def capture(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    path = tmp_path / "pack.jsonl"
    lines = [{"cellwire": "capture", "version": 1, "link": "/dev/ttyUSB0"}, *entries]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


async def test_a_capture_answers_like_its_pack(tmp_path: Path) -> None:
    path = capture(
        tmp_path,
        {"t": 0.0, "tx": "dda50300fffd77"},
        {"t": 0.05, "rx": "dd03"},
        {"t": 0.06, "rx": "0077"},
        {"t": 1.0, "tx": "dda50400fffc77"},
        {"t": 1.05, "rx": "dd040077"},
        {"t": 2.0, "tx": "dda50300fffd77"},
        {"t": 2.05, "rx": "dd030177"},
        {"t": 3.0, "tx": "dda50500fffb77"},
    )
    twin = CaptureTwin(path)
    assert twin.answer(bytes.fromhex("00 dda503")) == []
    assert twin.answer(bytes.fromhex("00fffd77")) == [bytes.fromhex("dd030077")]
    assert twin.answer(bytes.fromhex("dda50500fffb77")) == []
    both = twin.answer(bytes.fromhex("dda50400fffc77dda50300fffd77"))
    assert both == [bytes.fromhex("dd040077"), bytes.fromhex("dd030177")]
    assert twin.answer(bytes.fromhex("dda50300fffd77")) == [bytes.fromhex("dd030077")]
    assert twin.pushes() == []
    async with Simulator([twin], baud=0) as simulator:
        client = Client(await simulator.pty(str(tmp_path / "pack")))
        assert await client.ask(bytes.fromhex("dda50400fffc77"), 4) == bytes.fromhex("dd040077")
        client.close()


def test_a_capture_of_a_listener_is_pushed(tmp_path: Path) -> None:
    twin = CaptureTwin(capture(tmp_path, {"t": 0, "rx": "01"}, {"t": 0.01, "rx": "02"}, {"t": 1, "rx": "03"}))
    assert [twin.pushes() for _ in range(3)] == [[b"\x01\x02"], [b"\x03"], [b"\x01\x02"]]


def test_not_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for text in ("", "hello", '{"some": "json"}', "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match="not a capture"):
            CaptureTwin(path)
