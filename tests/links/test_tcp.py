"""Links over TCP on this machine: raw, and RFC 2217 against the server side of pyserial."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import serial
import serial.rfc2217

from cellwire.links import open_link, tcp
from cellwire.links.link import Link, LinkError, LinkLost, PortMissing
from cellwire.links.rfc2217 import Telnet, escaped


class Server:
    """A TCP server for one client at a time; `answer` gets what the client sends."""

    def __init__(self) -> None:
        self.port = 0
        self.received = b""
        self.clients: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def greet(self, writer: asyncio.StreamWriter) -> None:
        pass

    def heard(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.received += data
        writer.write(data[::-1])

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        self.greet(writer)
        try:
            while data := await reader.read(4096):
                self.heard(data, writer)
        except OSError:
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self.clients:
                writer.close()
            await asyncio.sleep(0.01)


class Rfc2217Server(Server):
    """pyserial's server side in front of a port that hears itself."""

    def __init__(self) -> None:
        super().__init__()
        self.serial = serial.serial_for_url("loop://", timeout=0)
        self.manager: Any = None

    def greet(self, writer: asyncio.StreamWriter) -> None:
        self.manager = serial.rfc2217.PortManager(self.serial, writer)  # type: ignore[arg-type]

    def heard(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        plain = b"".join(self.manager.filter(data))
        self.received += plain
        writer.write(b"".join(self.manager.escape(plain)))


class Stubborn(Server):
    """Speaks telnet and refuses everything."""

    def heard(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for verb, option, _ in Telnet().feed(data)[1]:
            if verb in (251, 253):
                writer.write(bytes((255, 254 if verb == 251 else 252, option)))


class Fixed(Rfc2217Server):
    """Answers every wish for a speed with 115200."""

    def heard(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for verb, option, content in Telnet().feed(data)[1]:
            if verb == 251 and option == 44:
                writer.write(bytes((255, 253, 44)))
            elif verb == 250 and content[0] == 1:
                writer.write(bytes((255, 250, 44, 101)) + (115200).to_bytes(4, "big") + bytes((255, 240)))


async def serving(server: Server) -> AsyncIterator[Any]:
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async for started in serving(Server()):
        yield started


@pytest.fixture
async def rfc2217() -> AsyncIterator[Rfc2217Server]:
    async for started in serving(Rfc2217Server()):
        yield started


async def collected(link: Link, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while len(data) < size:
            data += await link.receive(size - len(data))
    return data


async def test_raw_bytes_go_both_ways(server: Server) -> None:
    everything = bytes(range(256))
    async with open_link(f"tcp:127.0.0.1:{server.port}") as link:
        assert link.baud is None
        await link.set_baud(9600)
        await link.send(everything)
        assert await collected(link, 256) == everything[::-1]
        assert link.pending() == b""
        wire = server.clients[0]
        wire.write(b"unasked")
        await wire.drain()
        await asyncio.sleep(0.02)
        assert link.pending() == b"unasked"


async def test_a_hint_does_not_hold_back_a_piece(server: Server) -> None:
    async with open_link(f"tcp:127.0.0.1:{server.port}") as link:
        await link.send(b"ab")
        async with asyncio.timeout(1):
            assert await link.receive(300) == b"ba"


async def test_lost_and_opened_again(server: Server) -> None:
    link = open_link(f"tcp:127.0.0.1:{server.port}")
    await link.open()
    receiving = asyncio.create_task(link.receive())
    await asyncio.sleep(0.02)
    server.clients[0].write(b"last")
    server.clients[0].close()
    assert await receiving == b"last"
    with pytest.raises(LinkLost, match="closed by the other side"):
        await collected(link, 1)
    with pytest.raises(LinkLost):
        await link.send(b"x")
    await link.close()
    await link.open()
    await link.send(b"again")
    assert await collected(link, 5) == b"niaga"
    await link.close()
    with pytest.raises(LinkLost, match="was closed"):
        await link.send(b"x")


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(PortMissing, match="nothing listens on this port"):
        await open_link(f"tcp:127.0.0.1:{port}").open()


async def test_unknown_names_and_silent_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    link = open_link("tcp:battery:23")
    loop = asyncio.get_running_loop()

    async def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    async def silent(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(10)

    monkeypatch.setattr(loop, "create_connection", unknown)
    with pytest.raises(PortMissing, match="name battery is not known"):
        await link.open()
    monkeypatch.setattr(loop, "create_connection", silent)
    monkeypatch.setattr(tcp, "OPENING", 0.02)
    with pytest.raises(PortMissing, match="is the device powered"):
        await link.open()
    with pytest.raises(LinkLost, match="is not open"):
        await link.receive()


async def test_rfc2217_bytes_and_speed(rfc2217: Rfc2217Server) -> None:
    everything = bytes(range(256)) + b"\xff\xff\xff\xf0"
    async with open_link(f"rfc2217://127.0.0.1:{rfc2217.port}?baud=19200") as link:
        assert rfc2217.serial.baudrate == 19200
        assert (rfc2217.serial.bytesize, rfc2217.serial.parity, rfc2217.serial.stopbits) == (8, "N", 1)
        await link.send(everything)
        assert await collected(link, len(everything)) == everything
        await link.set_baud(115200)
        assert (rfc2217.serial.baudrate, link.baud) == (115200, 115200)
        for number in range(50):
            await link.send(bytes((255, number, 255)))
            assert await collected(link, 3) == bytes((255, number, 255))
    assert rfc2217.received[: len(everything)] == everything


async def test_rfc2217_lost_and_opened_again(rfc2217: Rfc2217Server) -> None:
    link = open_link(f"rfc2217://127.0.0.1:{rfc2217.port}")
    await link.open()
    rfc2217.clients[0].close()
    with pytest.raises(LinkLost):
        await collected(link, 1)
    await link.close()
    await link.set_baud(4800)
    await link.open()
    assert rfc2217.serial.baudrate == 4800
    await link.send(b"again")
    assert await collected(link, 5) == b"again"
    await link.close()


async def test_a_raw_port_is_no_rfc2217_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from cellwire.links import rfc2217 as module

    monkeypatch.setattr(module, "OPENING", 0.1)
    monkeypatch.setattr(server, "heard", lambda data, writer: None)
    with pytest.raises(PortMissing, match=rf"its address is tcp:127\.0\.0\.1:{server.port}"):
        await open_link(f"rfc2217://127.0.0.1:{server.port}").open()


async def test_a_telnet_server_without_a_port() -> None:
    async for server in serving(Stubborn()):
        with pytest.raises(PortMissing, match="does not speak RFC 2217"):
            await open_link(f"rfc2217://127.0.0.1:{server.port}").open()


async def test_a_server_that_cannot_change_its_speed() -> None:
    async for server in serving(Fixed()):
        with pytest.raises(LinkError, match="runs at 115200 baud and does not take 9600"):
            await open_link(f"rfc2217://127.0.0.1:{server.port}").open()
        async with open_link(f"rfc2217://127.0.0.1:{server.port}?baud=115200") as link:
            assert link.baud == 115200


def test_telnet_may_be_cut_anywhere() -> None:
    content = b"\x01\x00\x00\xff\xf0"
    stream = (
        b"a\xff\xfd\x2cb" + escaped(b"\xff\xf0") + b"\xff\xfa\x2c" + escaped(content) + b"\xff\xf0\xff\xf1c\xff\xff"
    )
    for cut in range(len(stream) + 1):
        telnet = Telnet()
        data, events = telnet.feed(stream[:cut])
        more, later = telnet.feed(stream[cut:])
        assert data + more == b"ab\xff\xf0c\xff"
        assert events + later == [(253, 44, b""), (250, 44, content)]
