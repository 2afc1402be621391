"""The RTU server: requests in any pieces among noise and other devices, and two clients of other people on a line."""

import asyncio
import os
import random
import shutil
import termios
import threading
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from modbus_served import SHED, made, with_bank
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException
from test_app import until

from cellwire.codec.checksum import crc16
from cellwire.gateway.config import ModbusSettings
from cellwire.gateway.store import Store
from cellwire.outputs.modbus import Modbus, place, rtu


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


READ = sealed(b"\x01\x03\x00\x00\x00\x01")
ANSWER = sealed(b"\x01\x03\x02\x00\x02")


class Line:
    """Two pseudo terminals joined to one line; all that is on it is written down, and each end hears the other."""

    def __init__(self) -> None:
        self._ends = [os.openpty(), os.openpty()]
        for _, terminal in self._ends:
            tty.setraw(terminal)
        self.ours, self.theirs = (os.ttyname(terminal) for _, terminal in self._ends)
        self._threads = [
            threading.Thread(target=self._carry, args=(self._ends[here][0], self._ends[1 - here][0])) for here in (0, 1)
        ]
        for thread in self._threads:
            thread.start()

    def _carry(self, source: int, target: int) -> None:
        while data := os.read(source, 4096):
            if b"the end" in data:
                return
            os.write(target, data)

    def stop(self) -> None:
        for _, terminal in self._ends:
            os.write(terminal, b"the end")
        for thread in self._threads:
            thread.join(10)
        for pair in self._ends:
            for end in pair:
                os.close(end)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    try:
        yield made
    finally:
        made.stop()


@asynccontextmanager
async def serving(store: Store, path: str, **more: Any) -> AsyncIterator[Modbus]:
    modbus = Modbus(store, ModbusSettings(serial=path, **{"baud": 115200, **more}))
    task = asyncio.create_task(modbus.run())
    try:
        await until(lambda: modbus.status["state"] != "starting")
        yield modbus
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def terminal(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


async def heard(fd: int, size: int) -> bytes:
    """Return so many bytes from the line."""
    data = b""
    async with asyncio.timeout(10):
        while len(data) < size:
            try:
                data += os.read(fd, 300)
            except BlockingIOError:
                await asyncio.sleep(0.005)
    return data


async def silent(fd: int, seconds: float = 0.2) -> bool:
    await asyncio.sleep(seconds)
    try:
        return not os.read(fd, 300)
    except BlockingIOError:
        return True


# Bytes


def cut(data: bytes, source: random.Random) -> Iterator[bytes]:
    while data:
        size = source.randrange(1, len(data) + 1)
        yield data[:size]
        data = data[size:]


def test_requests_in_any_pieces_among_noise() -> None:
    source = random.Random(3)
    requests = [READ, sealed(b"\x02\x04\x9c\x40\x00\x7d"), sealed(b"\x01\x10\x00\xc8\x00\x01\x02\x00\x01")]
    for _ in range(300):
        receiver = rtu.Receiver()
        found: list[bytes] = []
        wanted = [source.choice(requests) for _ in range(4)]
        for frame in wanted:
            noise = source.randbytes(source.randrange(6)).replace(b"\x0f", b"").replace(b"\x10", b"")
            for piece in cut(noise + frame, source):
                found += receiver.feed(piece)
        assert found == [frame[:-2] for frame in wanted]
        assert len(receiver._buffer) < 600


def test_a_request_behind_the_beginning_of_a_longer_one() -> None:
    """What could be a write of many registers does not hold up the request behind it."""
    receiver = rtu.Receiver()
    assert receiver.feed(b"\x05\x10\x00\x00\x00\x7b\xf6" + READ) == [READ[:-2]]


def test_functions_of_unknown_size_end_with_silence() -> None:
    receiver = rtu.Receiver()
    identify = sealed(b"\x01\x2b\x0e\x01\x00")
    assert receiver.feed(identify) == []
    assert receiver.waiting
    assert receiver.silence() == [identify[:-2]]
    assert not receiver.waiting
    # Answers with an exception, of whomever, and what is damaged.
    for other in (sealed(b"\x01\x83\x02"), sealed(b"\x01\xab\x01"), identify[:-1] + b"\0", b"\x01", b""):
        assert receiver.feed(other) == []
        assert receiver.silence() == []


def test_noise_without_end() -> None:
    source = random.Random(5)
    receiver = rtu.Receiver()
    for _ in range(2000):
        receiver.feed(source.randbytes(40))
        assert len(receiver._buffer) < 700
    receiver.silence()
    assert receiver.feed(READ) == [READ[:-2]]


# On a line


async def test_answers_and_silence(line: Line) -> None:
    store, _, _ = made(**SHED)
    async with serving(store, line.ours) as modbus:
        assert modbus.status["addresses"] == [line.ours]
        with terminal(line.theirs) as fd:
            for ask, answer in (
                (b"\x01\x03\x00\x00\x00\x01", b"\x01\x03\x02\x00\x02"),
                (b"\x01\x04\x00\x00\x00\x01", b"\x01\x04\x02\x00\x02"),
                (b"\x01\x03\x00\x60\x00\x01", b"\x01\x83\x02"),
                (b"\x01\x03\x00\x00\x00\x7e", b"\x01\x83\x03"),
                (b"\x01\x06\x00\xc8\x00\x01", b"\x01\x86\x01"),
                (b"\x01\x10\x00\xc8\x00\x01\x02\x00\x01", b"\x01\x90\x01"),
                (b"\x01\x2b\x0e\x01\x00", b"\x01\xab\x01"),
            ):
                os.write(fd, sealed(ask))
                assert await heard(fd, len(answer) + 2) == sealed(answer)
            # Nothing for everybody, for others, and for what is damaged.
            for unit in (0, 2, 255):
                os.write(fd, sealed(bytes((unit,)) + b"\x03\x00\x00\x00\x01"))
                assert await silent(fd)
            os.write(fd, READ[:-1] + b"\0")
            assert await silent(fd)
            # Another unit was asked, and answers; what it says is no request.
            os.write(fd, sealed(b"\x02\x03\x00\x00\x00\x01") + sealed(b"\x02\x03\x02\x00\x01"))
            assert await silent(fd)
            # Of several requests that wait, the last one counts.
            os.write(fd, READ + READ)
            assert await heard(fd, len(ANSWER)) == ANSWER
            assert await silent(fd)
        assert modbus.status["requests"] == 8


async def test_an_echo_is_not_answered(line: Line) -> None:
    """Some adapters hear what they send."""
    async with serving(made(**SHED)[0], line.ours):
        with terminal(line.theirs) as fd:
            for ask in (b"\x01\x03\x00\x00\x00\x01", b"\x01\x06\x00\xc8\x00\x01", b"\x01\x2b\x0e\x01\x00"):
                os.write(fd, sealed(ask))
                answer = await heard(fd, 5)
                os.write(fd, answer)
                assert await silent(fd)


async def test_pymodbus(line: Line) -> None:
    store, _, _ = made(**SHED)
    with_bank(store, "shed")
    async with serving(store, line.ours) as modbus:
        client = AsyncModbusSerialClient(line.theirs, baudrate=115200, timeout=2, retries=0)
        assert await client.connect()
        answer = await client.read_holding_registers(0, count=96, device_id=1)
        assert answer.registers[:4] == [2, 481, 0, 1312]
        assert (await client.read_input_registers(40000, count=125, device_id=101)).registers[:2] == [0x5375, 0x6E53]
        assert (await client.read_holding_registers(96, count=1, device_id=1)).exception_code == 2
        assert (await client.write_register(200, 1, device_id=1)).exception_code == 1
        client.close()
        client = AsyncModbusSerialClient(line.theirs, baudrate=115200, timeout=0.3, retries=0)
        await client.connect()
        with pytest.raises(ModbusException):
            await client.read_holding_registers(0, count=1, device_id=9)
        client.close()
        assert modbus.status["requests"] == 4


async def test_mbpoll(line: Line) -> None:
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("mbpoll is not installed")
    async with serving(made(**SHED)[0], line.ours, baud=9600):
        arguments = ["-m", "rtu", "-b", "9600", "-P", "none", "-a", "1", "-0", "-r", "3", "-c", "1", "-1", line.theirs]
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(20):
            said, _ = await process.communicate()
    assert b"[3]: \t1312" in said


async def test_a_port_that_comes_later(tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(place, "LONGEST_PAUSE", 0.05)
    path = tmp_path / "port"
    async with serving(made(**SHED)[0], str(path), listen="127.0.0.1:0") as modbus:
        await until(lambda: modbus.status["state"] == "failing")
        assert f"{path} is not there" in modbus.status["reason"]
        assert len(modbus.status["addresses"]) == 1, "TCP is served meanwhile"
        path.symlink_to(line.ours)
        await until(lambda: modbus.status["state"] == "running")
        assert modbus.status["addresses"][1] == str(path)
        with terminal(line.theirs) as fd:
            os.write(fd, READ)
            assert await heard(fd, len(ANSWER)) == ANSWER


async def test_a_speed_that_ports_do_not_have(line: Line) -> None:
    async with serving(made()[0], line.ours, baud=12345) as modbus:
        await until(lambda: modbus.status["state"] == "failing")
        assert "12345 baud is not a speed of serial ports; choose one of" in modbus.status["reason"]


@pytest.mark.parametrize(("parity", "bits"), [("even", termios.PARENB), ("odd", termios.PARENB | termios.PARODD)])
async def test_parity(line: Line, parity: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pseudo terminals have none; that is said, and what a port is asked for is right."""
    async with serving(made()[0], line.ours, parity=parity) as modbus:
        await until(lambda: modbus.status["state"] == "failing")
        assert "cannot do this parity" in modbus.status["reason"]
    asked: list[list[Any]] = []
    monkeypatch.setattr(termios, "tcgetattr", lambda fd, original=termios.tcgetattr: (asked or [original(fd)])[-1])
    monkeypatch.setattr(termios, "tcsetattr", lambda fd, when, settings: asked.__setitem__(slice(None), [settings]))
    async with serving(made()[0], line.ours, parity=parity) as modbus:
        await until(lambda: modbus.status["state"] == "running")
    assert asked[0][2] & (termios.PARENB | termios.PARODD) == bits
