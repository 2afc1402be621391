"""Moves bytes through a TCP connection: a serial adapter on the network that passes bytes on as they are."""

import asyncio
import contextlib
import os
import socket

from .link import BufferedLink, LinkLost, PortMissing

OPENING = 5.0
# A device server that lost its power says nothing: ask after 15 s of silence, give up after four questions.
KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))


class TcpLink(BufferedLink):
    """A raw TCP connection. The line speed is set at its other end."""

    def __init__(self, name: str, host: str, port: int, baud: int | None = None) -> None:
        super().__init__(name, baud)
        self.host = host
        self.port = port
        self._wire: asyncio.WriteTransport | None = None

    async def open(self) -> None:
        """Connect; raise PortMissing when nothing answers there."""
        if self._wire is not None:
            return
        loop = asyncio.get_running_loop()
        self._begin()
        ready = False
        try:
            async with asyncio.timeout(OPENING):
                wire, _ = await loop.create_connection(lambda: _Incoming(self), self.host, self.port)
                keep_alive(wire.get_extra_info("socket"))
                await self._greet()
            ready = True
        except (OSError, TimeoutError) as error:
            raise PortMissing(self._advice(error)) from None
        finally:
            if not ready:
                await self.close()
                self._loss = f"{self.name} is not open"

    async def _greet(self) -> None:
        """Say what has to be said before bytes can go through: nothing, on a raw connection."""

    def _advice(self, error: OSError | TimeoutError) -> str:
        where = f"{self.host} port {self.port}"
        if isinstance(error, socket.gaierror):
            return f"the name {self.host} is not known in this network; check its spelling or write the IP address"
        if isinstance(error, ConnectionRefusedError):
            return f"{where} refuses: the device is there, nothing listens on this port; check the port number"
        if isinstance(error, TimeoutError):
            return f"{where} does not answer within {OPENING:.0f} s; is the device powered and in this network?"
        return f"{where} cannot be reached: {_text(error)}; check address, cable and Wi-Fi"

    async def send(self, data: bytes) -> None:
        """Hand all bytes over; they are lost without a word when the connection breaks."""
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._check()
        if self._wire is None:
            raise LinkLost(f"{self.name} is not open")
        self._wire.write(data)

    def _heard(self, data: bytes) -> None:
        """Take what came off the connection."""
        self._arrived(data)

    def _broken(self, error: Exception | None) -> None:
        cause = _text(error) if isinstance(error, OSError) else "closed by the other side"
        self._lost(f"{self.name} is gone ({cause}); check its power and network, and that no other program uses it")

    async def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            self._lost(f"{self.name} was closed")
            wire.close()
            # One turn of the loop, in which the socket is really closed: the device takes one client at a time.
            await asyncio.sleep(0)


class _Incoming(asyncio.Protocol):
    """Hands on what a connection brings, until its link has closed it."""

    def __init__(self, link: TcpLink) -> None:
        self.link = link
        self.wire: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.wire = self.link._wire = transport

    def data_received(self, data: bytes) -> None:
        if self.link._wire is self.wire:
            self.link._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.link._wire is self.wire:
            self.link._broken(exc)


def keep_alive(connection: socket.socket) -> None:
    """Let the system notice by itself when the other end has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        with contextlib.suppress(OSError, AttributeError):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
