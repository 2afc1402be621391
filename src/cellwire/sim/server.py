"""Puts twins on a line: a pseudo terminal, a TCP port on this machine or an outlet, at line speed, with faults."""

import asyncio
import contextlib
import fcntl
import json
import os
import random
import struct
import termios
import time
import tty
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from ..codec.checksum import crc16
from .faults import Faults
from .model import Battery

CHUNK = 0.010
PUSH_PERIOD = 0.5
# asyncio's timers are up to some milliseconds late, as much as a short answer takes; a thread's sleep is not.
COARSE = 0.003
# A queue of bytes from the client longer than this is a client that does not wait: the oldest are lost, as in a UART.
HEARD_LIMIT = 64
DEAF = 1.5  # seconds for which a terminal hears nothing after its link was lost
# Unread bytes in the terminal; more means that nobody has the port open.
UNREAD_LIMIT = 2048
# Replies recorded closer together than this are one answer.
SAME_ANSWER = 0.05
MASTER_CYCLE = 4.4
# Layouts that are mistaken for each other.
OTHER = {"24S": "32S", "32S": "24S"}
SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name.startswith("B") and name[1:].isdigit()}


class Twin(Protocol):
    """What the simulator needs of a simulated pack; families/<maker>/twin.py has them.

    values  what it shows; replaced before each request, so what is written to it is kept elsewhere
    mood    mood(fault) -> whether this fault of a write happens now: asked once a write, by the twin
    lost    set by the twin that took a write and lost its link
    """

    values: dict[str, Any]
    zero: bool
    variant: str
    mood: Callable[[str], bool]
    lost: bool

    def answer(self, data: bytes) -> list[bytes]: ...

    def pushes(self) -> list[bytes]: ...


@runtime_checkable
class Streams(Protocol):
    """A twin that sends by itself for as long as the connection lasts in which it was asked to."""

    def hush(self) -> None: ...


class Outlet(Protocol):
    """A line of another kind; what its clients send comes in through `Simulator.hear`.

    used   whether somebody listens
    put    put(data) -> whether it went out
    lose   lose the client, as when it goes out of reach
    """

    @property
    def used(self) -> bool: ...

    def put(self, data: bytes) -> bool: ...

    def lose(self) -> None: ...

    async def close(self) -> None: ...


class Master:
    """Another master on the line: asks its requests in turn, then sends what it has to say itself, then rests.

    requests: (bytes, seconds until the next one); own: its broadcasts; cycle: seconds of one round
    """

    def __init__(
        self,
        requests: Sequence[tuple[bytes, float]],
        own: Callable[[], list[bytes]] | None = None,
        cycle: float = MASTER_CYCLE,
    ) -> None:
        self.requests = requests
        self.own = own
        self.cycle = cycle


class Simulator:
    """Twins on one line. `batteries` has one Battery for each twin, or None for a twin that keeps its values.

    baud 0 sends at once; think: seconds from the end of a request to the first byte of its answer;
    chunk: seconds of line time delivered together; match_baud: a terminal set to another speed gets nothing sensible.
    """

    def __init__(
        self,
        twins: Sequence[Twin],
        baud: int = 9600,
        think: float = 0.010,
        faults: Faults | Mapping[str, float] | Iterable[str] = (),
        seed: int = 0,
        batteries: Sequence[Battery | None] = (),
        master: Master | None = None,
        clock: Callable[[], float] = time.time,
        chunk: float = CHUNK,
        match_baud: bool = False,
    ) -> None:
        self.twins = list(twins)
        self.batteries = list(batteries)
        self.baud = baud
        self.think = think
        self.seed = seed
        self.master = master
        self.clock = clock
        self.chunk = chunk
        self.match_baud = match_baud
        self.faults = faults
        self.requests = 0
        self.replies = 0
        self.lost = 0
        self._variants = [twin.variant for twin in self.twins]
        self._heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._received = 0.0
        self._sent = 0.0
        self._deaf_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._link = ""
        self._master_end = -1
        self._client_end = -1
        self._port: int | None = None
        self._server: asyncio.Server | None = None
        self._outlet: Outlet | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self.refresh()

    @property
    def faults(self) -> Faults:
        """What goes wrong at present. May be set at any time, also from a mapping or texts like "drop=0.1"."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults | Mapping[str, float] | Iterable[str]) -> None:
        self._faults = faults if isinstance(faults, Faults) else Faults(faults, self.seed)

    # Opening and closing

    async def pty(self, path: str = "") -> str:
        """Serve on a pseudo terminal; return its address: `path`, a symlink to it, or its own name without a path."""
        if self._master_end >= 0:
            raise RuntimeError("this simulator has a terminal already")
        self._master_end, self._client_end = os.openpty()
        # Our own hold on the client's end keeps the terminal alive while clients come and go.
        tty.setraw(self._client_end)
        os.set_blocking(self._master_end, False)
        name = os.ttyname(self._client_end)
        self._link = path
        if path:
            _point(path, name)
        asyncio.get_running_loop().add_reader(self._master_end, self._hear_terminal)
        self._start()
        return path or name

    async def tcp(self, port: int = 0) -> int:
        """Serve on a TCP port of 127.0.0.1; return the port, a free one when asked for 0."""
        if self._server is not None:
            raise RuntimeError("this simulator has a TCP port already")
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port)
        self._port = self._server.sockets[0].getsockname()[1]
        self._start()
        return self._port

    def serve(self, outlet: Outlet) -> None:
        """Serve on an outlet that is open, and close it in the end."""
        self._outlet = outlet
        self._start()

    async def unplug(self) -> None:
        """Take the line away as if the adapter were pulled out: clients lose it, its name is gone."""
        self._close_terminal()
        await self._close_server()
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            await outlet.close()
        while not self._heard.empty():
            self._heard.get_nowait()

    async def replug(self) -> None:
        """Bring a terminal or port back at its old address."""
        if self._link and self._master_end < 0:
            await self.pty(self._link)
        if self._port is not None and self._server is None:
            await self.tcp(self._port)

    async def stop(self) -> None:
        """End everything and leave nothing behind; raises what a twin raised, if one did."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await self.unplug()
        self._link, self._port = "", None
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _start(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._answer_all()), asyncio.create_task(self._push_all())]
            if self.master is not None:
                self._tasks.append(asyncio.create_task(self._play_master(self.master)))

    def _close_terminal(self) -> None:
        if self._master_end < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master_end)
        if self._link:
            with contextlib.suppress(OSError):
                if os.readlink(self._link) == os.ttyname(self._client_end):
                    os.unlink(self._link)
        os.close(self._master_end)
        os.close(self._client_end)
        self._master_end = self._client_end = -1

    async def _close_server(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in list(self._clients):
            # A pulled plug says no goodbye; abort also spares the port its waiting time.
            writer.transport.abort()
        for task in list(self._reading):
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await server.wait_closed()

    # Bytes from the clients

    def hear(self, data: bytes) -> None:
        """Take bytes that a client sent."""
        if self._heard.qsize() >= HEARD_LIMIT:
            self._heard.get_nowait()
        self._heard.put_nowait((asyncio.get_running_loop().time(), data))

    def hush(self) -> None:
        """Note that the client has gone: what a twin sends unasked ends with the connection."""
        for twin in self.twins:
            if isinstance(twin, Streams):
                twin.hush()

    def _hear_terminal(self) -> None:
        with contextlib.suppress(OSError):
            data = os.read(self._master_end, 4096)
            if data:
                self.hear(data)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(writer)
        self._reading.add(task)
        try:
            while data := await reader.read(4096):
                self.hear(data)
        except (ConnectionError, asyncio.CancelledError):
            # Cancelled only by _close_server, which waits for this task; asyncio would report it as an error.
            pass
        finally:
            self._clients.discard(writer)
            self._reading.discard(task)
            writer.close()

    # The line

    def _line_time(self, data: bytes) -> float:
        return len(data) * 10 / self.baud if self.baud else 0.0

    async def _until(self, moment: float, exact: bool = False) -> None:
        loop = asyncio.get_running_loop()
        pause = moment - loop.time()
        if pause > (COARSE if exact else 0.0):
            await asyncio.sleep(pause - COARSE if exact else pause)
        if exact and (pause := moment - loop.time()) > 0:
            await asyncio.to_thread(time.sleep, pause)

    def _put(self, data: bytes) -> None:
        for writer in self._clients:
            if writer.transport.get_write_buffer_size() < UNREAD_LIMIT:
                writer.write(data)
            else:
                self.lost += len(data)
        if self._outlet is not None and not self._outlet.put(data):
            self.lost += len(data)
        if self._master_end < 0:
            return
        try:
            if self._unread() > UNREAD_LIMIT:
                termios.tcflush(self._client_end, termios.TCIFLUSH)
            os.write(self._master_end, data)
        except (OSError, termios.error):
            self.lost += len(data)

    def _unread(self) -> int:
        waiting = fcntl.ioctl(self._client_end, termios.FIONREAD, struct.pack("i", 0))
        return int(struct.unpack("i", waiting)[0])

    async def _transmit(self, data: bytes, start: float) -> float:
        """Send at line speed from `start` on; return when the last byte has arrived."""
        start = max(start, self._sent)
        if not self.baud:
            await self._until(start)
            self._put(data)
            return start
        if self._wrong_speed():
            data = random.Random(self.seed ^ len(data)).randbytes(len(data))
        step = max(1, int(self.baud * self.chunk / 10))
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            last = at + len(piece) == len(data)
            await self._until(start + (at + len(piece)) * 10 / self.baud, exact=last)
            self._put(piece)
        self._sent = start + self._line_time(data)
        return self._sent

    def _wrong_speed(self) -> bool:
        if not self.match_baud or self._client_end < 0:
            return False
        return SPEEDS.get(termios.tcgetattr(self._client_end)[5]) != self.baud

    # Answers

    def refresh(self) -> None:
        """Give every twin the present values of its battery."""
        now = self.clock()
        for twin, battery in zip(self.twins, self.batteries, strict=False):
            if battery is not None:
                twin.values = dict(battery.values(now))

    def _learn(self) -> None:
        """Tell the batteries which switches were written through their twins."""
        for twin, battery in zip(self.twins, self.batteries, strict=False):
            if battery is None:
                continue
            for name, on in battery.switches.items():
                if bool(twin.values.get(name, on)) != on:
                    battery.switch(name, not on)

    def _ask(self, data: bytes) -> list[bytes]:
        self.refresh()
        faults = self._faults
        zero = faults.rate("zero-after-wake") > 0 and faults.zero()
        replies = []
        for twin, variant in zip(self.twins, self._variants, strict=True):
            twin.zero = zero
            twin.mood = faults.hit
            if variant in OTHER:
                twin.variant = OTHER[variant] if faults.hit("wrong-variant") else variant
            replies += twin.answer(data)
            if twin.lost:
                twin.lost = False
                self._lose_link()
                replies = []
        self._learn()
        return replies

    def _lose_link(self) -> None:
        """Lose the link as when a cable is pulled: connections break, a terminal is deaf for a while."""
        self._deaf_until = asyncio.get_running_loop().time() + DEAF
        for writer in list(self._clients):
            writer.transport.abort()
        if self._outlet is not None:
            self._outlet.lose()

    async def _answer_all(self) -> None:
        while True:
            moment, data = await self._heard.get()
            # The client's bytes are here at once; on a wire the last one would come this much later.
            self._received = max(moment, self._received) + self._line_time(data)
            await self._until(self._received)
            async with self._turn:
                await self._answer(data, self._received)

    async def _answer(self, data: bytes, moment: float) -> None:
        self.requests += 1
        faults = self._faults
        if faults.hit("echo"):
            self._put(data)
        if self._wrong_speed() or faults.unheard() or moment < self._deaf_until:
            return
        for reply in self._ask(data):
            self.replies += 1
            moment = max(moment, self._sent) + self.think
            for pause, piece in faults.spoil(reply):
                moment = await self._transmit(piece, moment + pause)

    async def _push_all(self) -> None:
        loop = asyncio.get_running_loop()
        moment = loop.time()
        while True:
            moment += PUSH_PERIOD
            await self._until(moment)
            if not self._used() or self._faults.sleeping:
                continue
            async with self._turn:
                self.refresh()
                for twin in self.twins:
                    for push in twin.pushes():
                        for pause, piece in self._faults.spoil(push):
                            await self._transmit(piece, loop.time() + pause)

    def _used(self) -> bool:
        there = self._outlet is not None and self._outlet.used
        return there or self._master_end >= 0 or bool(self._clients)

    async def _play_master(self, master: Master) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._faults.rate("second-master"):
                await asyncio.sleep(0.1)
                continue
            begun = moment = loop.time()
            for request, period in master.requests:
                if self._faults.hit("second-master"):
                    async with self._turn:
                        asked = await self._transmit(request, moment)
                        for reply in self._ask(request):
                            asked = await self._transmit(reply, asked + self.think)
                moment = max(moment + period, loop.time())
                await self._until(moment)
            if master.own is not None and self._faults.hit("second-master"):
                for record in master.own():
                    async with self._turn:
                        await self._transmit(record, loop.time())
                    await asyncio.sleep(0.1)
            await self._until(begun + master.cycle)


def _point(path: str, name: str) -> None:
    spot = Path(path)
    if spot.is_symlink():
        spot.unlink()
    spot.symlink_to(name)


class CaptureTwin:
    """Answers as the pack in a capture did: the same request gets the recorded answers in turn, any other silence."""

    def __init__(self, path: str | Path) -> None:
        """Read a capture file; raises ValueError when it is none."""
        self.values: dict[str, Any] = {}
        self.zero = False
        self.variant = ""
        self.mood: Callable[[str], bool] = lambda fault: False
        self.lost = False
        self.header: dict[str, Any] = {}
        self.answers: dict[bytes, list[list[bytes]]] = {}
        self.unasked: list[bytes] = []
        self._buffer = b""
        self._turns: dict[bytes, int] = {}
        self._pushed = 0
        self._read(Path(path))
        self._longest = max((len(request) for request in self.answers), default=0)

    def _read(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines()
        try:
            entries = [json.loads(line) for line in lines if line.strip()]
        except ValueError:
            entries = []
        if not entries or not isinstance(entries[0], dict) or entries[0].get("cellwire") != "capture":
            raise ValueError(f"{path}: not a capture; `cellwire record` makes them")
        self.header = entries[0]
        request: bytes | None = None
        groups: list[bytes] = []
        last = 0.0
        for entry in entries[1:]:
            moment = float(entry.get("t", last))
            if "tx" in entry:
                self._keep(request, groups)
                request, groups = bytes.fromhex(entry["tx"]), []
            elif "rx" in entry:
                data = bytes.fromhex(entry["rx"])
                if groups and moment - last < SAME_ANSWER:
                    groups[-1] += data
                else:
                    groups.append(data)
            last = moment
        self._keep(request, groups)

    def _keep(self, request: bytes | None, groups: list[bytes]) -> None:
        if request is None:
            self.unasked += groups
            return
        known = self.answers.setdefault(request, [])
        if groups:
            known.append(groups)

    def answer(self, data: bytes) -> list[bytes]:
        """Return what the capture holds for the requests that these bytes complete."""
        self._buffer += data
        replies: list[bytes] = []
        while found := self._find():
            at, request = found
            self._buffer = self._buffer[at + len(request) :]
            recorded = self.answers[request]
            if recorded:
                turn = self._turns.get(request, 0)
                self._turns[request] = turn + 1
                replies += recorded[turn % len(recorded)]
        if self._longest:
            self._buffer = self._buffer[-self._longest :]
        return replies

    def _find(self) -> tuple[int, bytes] | None:
        places = [(self._buffer.find(request), -len(request), request) for request in self.answers]
        there = sorted(place for place in places if place[0] >= 0)
        return (there[0][0], there[0][2]) if there else None

    def pushes(self) -> list[bytes]:
        """Return the next record of a capture in which nobody asked, over and over; [] of any other."""
        if self.answers or not self.unasked:
            return []
        self._pushed += 1
        return [self.unasked[(self._pushed - 1) % len(self.unasked)]]


def jk_master(addresses: Sequence[int], own: Twin | None) -> Master:
    """Return a JK pack with DIP 0: asks its slaves for two records each, looks for missing ones, tells its own."""

    def trigger(address: int, register: int) -> bytes:
        frame = bytes((address, 0x10, 0x16, register, 0x00, 0x01, 0x02, 0x00, 0x00))
        return frame + crc16(frame).to_bytes(2, "little")

    def broadcasts() -> list[bytes]:
        if own is None:
            return []
        # The record alone: the echo behind it belongs to an answer, and nobody asked.
        return [reply[:300] for register in (0x20, 0x1E) for reply in own.answer(trigger(0, register))]

    requests = []
    for address in addresses:
        requests += [(trigger(address, 0x20), 0.13), (trigger(address, 0x1E), 0.13)]
    requests += [(trigger(address, 0x20), 0.22) for address in range(1, 16) if address not in addresses]
    return Master(requests, broadcasts)


def build(
    family_or_dialect: str,
    cells: int = 16,
    addresses: Sequence[int] = (),
    baud: int | None = None,
    think: float = 0.010,
    faults: Faults | Mapping[str, float] | Iterable[str] = (),
    seed: int = 0,
    capture: str | Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Simulator:
    """Return a simulator of one pack for each address, or of the pack in a capture; nothing is opened yet.

    Raises KeyError when the family or dialect does not exist, ValueError when the capture is none.
    """
    from ..families import dialects

    found = dialects(family_or_dialect)
    if not found:
        raise KeyError(family_or_dialect)
    # A maker's first dialect is the one asked first; for JK that needs a serial line, not a radio.
    dialect = next((one for one in found if one.bauds), found[0])
    speed = baud if baud is not None else (dialect.bauds or (115200,))[0]
    if capture is not None:
        return Simulator([CaptureTwin(capture)], speed, think, faults, seed, clock=clock)
    make = import_module(f"..families.{dialect.family}.twin", __package__).twin
    addresses = list(addresses) or [dialect.addresses[0]]
    twins = [make(dialect.name, address) for address in addresses]
    sensors = 3 if dialect.family == "jbd" else 2
    batteries = [Battery(cells, seed + number, sensors=sensors) for number in range(len(twins))]
    if dialect.name == "jk-pb":
        own = make(dialect.name, 0)
        own.values = Battery(cells, seed + 100).values(clock())
        master = jk_master(addresses, own)
    else:
        fast = [query for query in dialect.queries if query.pace == "fast"]
        asked = [(dialect.request(query, address), 0.5) for address in addresses for query in fast]
        master = Master(asked, None, cycle=1.0)
    return Simulator(twins, speed, think, faults, seed, batteries, master, clock)
