"""Serves Modbus TCP."""

import asyncio
import errno
import logging
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from .answers import Answers
from .place import CannotServe, Place

log = logging.getLogger("cellwire")

MOST_CLIENTS = 100
IDLE = 120.0  # seconds until a client that asks nothing, or does not take its answers, is disconnected
HEADER = struct.Struct(">HHHB")  # transaction, protocol, number of bytes that follow, unit
SHORTEST, LONGEST = 2, 254  # bytes that follow: the unit, and a request of 1 to 253
READ_AHEAD = 1024  # bytes that wait for being answered
# Where to serve when a port below 1024 is for the administrator only.
INSTEAD = {502: 1502}
MANY = 100  # addresses that were refused and are remembered, so that each is said once


class TcpServer(Place):
    """The server of one TCP port.

    refused: connections that were not let in
    """

    def __init__(self, listen: str, allow: tuple[str, ...], answers: Answers) -> None:
        super().__init__()
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._networks = [ip_network(network) for network in allow]
        self._answers = answers
        self._clients: set[asyncio.Task[None]] = set()
        self._refused: set[str] = set()
        self.refused = 0

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    async def serve(self) -> None:
        """Serve until cancelled."""
        server = await self._started()
        try:
            self.serving(_written(server.sockets[0].getsockname()))
            await asyncio.Event().wait()
        finally:
            server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _started(self) -> asyncio.Server:
        self.hint = ""
        try:
            return await self._start(self._port)
        except PermissionError:
            if self._port not in INSTEAD:
                raise CannotServe(
                    f"port {self._port} is for the administrator only; choose one from 1024 on in listen of [modbus]"
                ) from None
        except OSError as error:
            raise CannotServe(self._trouble(self._port, error)) from None
        port = INSTEAD[self._port]
        try:
            server = await self._start(port)
        except OSError as error:
            raise CannotServe(self._trouble(port, error)) from None
        self.hint = (
            f"port {self._port} is for the administrator only, so clients have to use {port}; to get {self._port}, "
            "give Cellwire the capability CAP_NET_BIND_SERVICE"
        )
        log.warning("modbus: %s", self.hint)
        return server

    async def _start(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._client, self._host, port, limit=READ_AHEAD, backlog=MOST_CLIENTS)

    def _trouble(self, port: int, error: OSError) -> str:
        """Return why the port cannot be served, and what to do."""
        if error.errno == errno.EADDRINUSE:
            return f"port {port} is taken; end the other program, or choose another port in listen of [modbus]"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            return f"this computer has no address {self._host}; write 0.0.0.0 for all of them in listen of [modbus]"
        return f"port {port} of {self._host} cannot be served: {error.strerror or error}; see listen of [modbus]"

    # Clients

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self._is_welcome(writer):
            self.refused += 1
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError):
            pass  # it left, or is silent, or does not take its answers
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    def _is_welcome(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        if peer is None:  # gone already
            return False
        address = ip_address(peer[0].partition("%")[0])
        if self._networks and not any(address in network for network in self._networks):
            self._say_refused(address, "is in no network of allow in [modbus]")
            return False
        if len(self._clients) >= MOST_CLIENTS:
            self._say_refused(address, f"comes when {MOST_CLIENTS} clients are connected")
            return False
        return True

    def _say_refused(self, address: IPv4Address | IPv6Address, why: str) -> None:
        said = f"{address} {why}"
        if said not in self._refused and len(self._refused) < MANY:
            self._refused.add(said)
            log.warning("modbus: refused: %s", said)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until something comes that is not Modbus; raise TimeoutError, EOFError or OSError."""
        client = str(writer.get_extra_info("peername")[0])
        while True:
            async with asyncio.timeout(IDLE):
                transaction, protocol, length, unit = HEADER.unpack(await reader.readexactly(HEADER.size))
                if protocol != 0 or not SHORTEST <= length <= LONGEST:
                    return  # where the next request begins is not known any more
                request = await reader.readexactly(length - 1)
                answer = await self._answers.over_tcp(unit, request, client)
                writer.write(HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer)
                await writer.drain()
            await asyncio.sleep(0)  # a client that sends many requests at once must not hold up everything else


def _written(name: tuple[str, int]) -> str:
    """Return host and port as one text."""
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
