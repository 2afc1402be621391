"""CPU of a serial link in a poll loop: nine 13-byte questions and answers at 9600 baud on a paced pseudo terminal.

The other end runs in a process of its own. Every candidate asks, waits under a time-out until 13 bytes are there, and
asks again; the figures are CPU milliseconds for nine answers, wall time above the wire's own, and wake-ups.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "src"))
from cellwire.links.serial import SerialLink

BAUD = 9600
THINK = 0.010
QUESTION = bytes(range(13))
QUESTIONS = 9
Receive = Callable[[int], Awaitable[bytes]]
Send = Callable[[bytes], Awaitable[None]]


def answer(master: int, pieces: list[int]) -> None:
    """Be the device: answer each question in pieces, each when its last byte would have come off the wire."""
    while True:
        data = b""
        while len(data) < len(QUESTION):
            try:
                data += os.read(master, 100)
            except OSError:
                return
        at = time.monotonic() + len(QUESTION) * 10 / BAUD + THINK
        for size in pieces:
            at += size * 10 / BAUD
            time.sleep(max(0.0, at - time.monotonic()))
            os.write(master, bytes(size))


class Plain(SerialLink):
    """Our own reading without the hint: the question wakes up for every piece."""

    def _want(self, at_least: int) -> int:
        return 1


class Hold(SerialLink):
    """Our own reading: pieces are collected outside the question, under a timer for answers that are shorter."""

    def _collect(self, size: int) -> None:
        pass


class Away(Hold):
    """Our own reading: after the first piece nobody looks until the others had the time to arrive."""

    def _look(self) -> None:
        super()._look()
        missing = self._wanted - len(self._received)
        if 0 < missing < self._wanted and not self._loss:
            asyncio.get_running_loop().remove_reader(self._fd)
            asyncio.get_running_loop().call_later(missing * 10 / BAUD, self._again)

    def _again(self) -> None:
        asyncio.get_running_loop().add_reader(self._fd, self._look)
        super()._look()


async def own(kind: type[SerialLink], path: str) -> tuple[Send, Receive]:
    """Return the two ways of one of our own links."""
    link = kind(path, BAUD)
    await link.open()

    async def receive(size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await link.receive(size - len(data))
        return data

    return link.send, receive


async def fast(path: str) -> tuple[Send, Receive]:
    """Return the two ways of pyserial-asyncio-fast."""
    import serial_asyncio_fast

    reader, writer = await serial_asyncio_fast.open_serial_connection(url=path, baudrate=BAUD)

    async def send(data: bytes) -> None:
        writer.write(data)

    async def receive(size: int) -> bytes:
        data: bytes = await reader.readexactly(size)
        return data

    return send, receive


async def serialx(path: str) -> tuple[Send, Receive]:
    """Return the two ways of serialx."""
    import serialx as package

    reader, writer = await package.open_serial_connection(path, baudrate=BAUD)

    async def send(data: bytes) -> None:
        writer.write(data)

    async def receive(size: int) -> bytes:
        data: bytes = await reader.readexactly(size)
        return data

    return send, receive


async def blocking(path: str) -> tuple[Send, Receive]:
    """Return the two ways of pyserial alone, which stops everything else while it waits; only for comparison."""
    import serial

    port = serial.Serial(path, BAUD, timeout=1)

    async def send(data: bytes) -> None:
        port.write(data)

    async def receive(size: int) -> bytes:
        data: bytes = port.read(size)
        return data

    return send, receive


async def bare(path: str) -> tuple[Send, Receive]:
    """Return the two ways of the least that asyncio can do: no locks, no errors, no short answers; the floor."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    settings = termios.tcgetattr(fd)
    settings[6][termios.VMIN] = 13
    termios.tcsetattr(fd, termios.TCSANOW, settings)
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[bytes]] = []

    def readable() -> None:
        waiting.pop().set_result(os.read(fd, 100))

    loop.add_reader(fd, readable)

    async def send(data: bytes) -> None:
        os.write(fd, data)

    async def receive(size: int) -> bytes:
        waiting.append(loop.create_future())
        return await waiting[0]

    return send, receive


CANDIDATES: dict[str, Callable[[str], Awaitable[tuple[Send, Receive]]]] = {
    "floor of asyncio": bare,
    "pyserial, blocking": blocking,
    "pyserial-asyncio-fast": fast,
    "serialx": serialx,
    "own, every piece": lambda path: own(Plain, path),
    "own, hold in loop": lambda path: own(Hold, path),
    "own, look away": lambda path: own(Away, path),
    "own, VMIN (kept)": lambda path: own(SerialLink, path),
}


async def measure(name: str, path: str, cycles: int) -> tuple[float, float]:
    """Return (CPU milliseconds a cycle, wall milliseconds a cycle above the wire)."""
    send, receive = await CANDIDATES[name](path)

    async def cycle() -> None:
        for _ in range(QUESTIONS):
            await send(QUESTION)
            async with asyncio.timeout(1):
                await receive(13)

    await cycle()
    cpu, wall = time.process_time(), time.monotonic()
    for _ in range(cycles):
        await cycle()
    wall = (time.monotonic() - wall) / cycles
    floor = QUESTIONS * (THINK + 26 * 10 / BAUD)
    return (time.process_time() - cpu) / cycles * 1000, (wall - floor) * 1000


def child(name: str, pieces: list[int], cycles: int, out: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """Measure one candidate in this process, with the device in a process below."""
    master, slave = os.openpty()
    tty.setraw(slave)
    device = multiprocessing.get_context("fork").Process(target=answer, args=(master, pieces), daemon=True)
    device.start()
    try:
        out.put(asyncio.run(measure(name, os.ttyname(slave), cycles)))
    finally:
        device.terminate()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    fork = multiprocessing.get_context("fork")
    for pieces in ([7, 6], [1] * 13):
        print(
            f"{len(pieces)} pieces an answer: CPU ms, ms above the wire's own {QUESTIONS * 26 * 10 / BAUD * 1000:.0f}"
        )
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in CANDIDATES}
        for _ in range(options.rounds):
            for name in CANDIDATES:
                out: multiprocessing.Queue[tuple[float, float]] = fork.Queue()
                process = fork.Process(target=child, args=(name, pieces, options.cycles, out))
                process.start()
                results[name].append(out.get(timeout=60))
                process.join()
        for name, found in results.items():
            cpu, late = (statistics.median(values) for values in zip(*found, strict=True))
            print(f"  {name:<24}{cpu:>7.2f}{late:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
