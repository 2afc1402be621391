"""Listens, first on this machine alone, then as configured; and keeps what is slow or too much from harm."""

import asyncio
import errno
import logging
import socket
import ssl
import time

from aiohttp import web

from ...gateway.config import WebSettings
from .access import AccessError
from .answers import HEADERS, Problem
from .desk import Desk
from .guard import Guard
from .lockout import peer_key
from .site import Site

log = logging.getLogger("cellwire")

CONNECTIONS = 300  # at a time; more are hung up on
EACH = 100  # of them from one address, unless it is this machine, where a proxy may be
IDLE = 75.0  # seconds without a whole request after which a connection is closed
STUCK = 60.0  # seconds after which somebody who takes nothing of an answer is hung up on
GRACE = 1.0  # seconds for answers under way when the server stops
TICK = 1.0
# Requests are not logged one by one: there are many, and what strangers put into them is theirs.
QUIET = logging.Logger("quiet", logging.CRITICAL)
LOOPBACK = ("127.0.0.1", "::1")
HERE = tuple(map(peer_key, LOOPBACK))


class WebError(Exception):
    """The page cannot be served: a sentence that says why and what to do."""


class Connection(web.RequestHandler):
    """A connection whose broken requests are answered in our form, and not written into the log with all they had."""

    __slots__ = ("peer",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hang up when there are too many."""
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        self.peer = peer_key(address[0]) if address else ""
        assert self._manager is not None
        others = self._manager.connections
        same = sum(isinstance(other, Connection) and other.peer == self.peer for other in others)
        if len(others) > CONNECTIONS or (same > EACH and self.peer not in HERE):
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what is not HTTP."""
        if request.writer.output_size > 0:
            raise ConnectionError("broken off in the middle of the answer")
        response = Problem(status, "bad_request", "This is not a request that can be understood").answer()
        response.headers.update(HEADERS)
        response.force_close()
        return response


class Listener(web.Server):
    """Makes a Connection for each caller."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=QUIET,
            keepalive_timeout=IDLE,
            lingering_time=2.0,
            auto_decompress=False,
        )


class Web:
    """The web server; `start`, `configure` when the settings changed, `stop`."""

    def __init__(self, desk: Desk, settings: WebSettings) -> None:
        self.settings = settings
        try:
            self.site = Site(desk, settings, time.monotonic)
        except AccessError as error:
            raise WebError(str(error)) from None
        self.port = 0  # the one that is really listened on
        self.addresses: list[str] = []
        self._runner: web.ServerRunner | None = None
        self._sites: list[web.SockSite] = []
        self._open = False  # listening as configured, not only on this machine
        self._ticking: asyncio.Task[None] | None = None
        self._trouble = ""  # what is wrong with the file of users

    async def start(self) -> None:
        """Begin to serve; raise WebError when that is not possible."""
        self._runner = web.ServerRunner(Listener(Guard(self.site).answer), shutdown_timeout=GRACE)
        await self._runner.setup()
        try:
            await self._listen()
        except WebError:
            await self._runner.cleanup()
            raise
        self._say_where()
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """End the streams at once, let answers under way end, and stop."""
        if self._ticking:
            self._ticking.cancel()
        self.site.live.end()
        self.site.refusals.say_rest()
        if self._runner:
            await self._runner.cleanup()

    async def configure(self, settings: WebSettings) -> None:
        """Serve by other settings from now on; sessions, streams and connections stay.

        Raises WebError when that is not possible, and goes on as before.
        """
        before, self.settings = self.settings, settings
        places = ("listen", "certificate", "key")
        self.site.settings = settings
        if settings.access != before.access:
            try:
                self.site.change_access(settings.access)
            except AccessError as error:
                raise WebError(str(error)) from None
        if any(getattr(settings, place) != getattr(before, place) for place in places):
            try:
                await self._listen()
            except WebError:
                self.settings = self.site.settings = before
                await self._listen()
                raise

    # Listening

    async def _listen(self) -> None:
        """Listen where the settings say, on this machine alone while there is no user."""
        host, port = place_of(self.settings.listen)
        context = await asyncio.to_thread(tls, self.settings)
        is_open = self.site.access.is_set_up
        await self._close()
        await self._serve(_bound(host, port or self.port) if is_open else _loopback(port or self.port), context)
        self._open = is_open

    async def _close(self) -> None:
        """Stop listening; connections stay."""
        for site in self._sites:
            await site.stop()
        self._sites = []

    async def _serve(self, sockets: list[socket.socket], context: ssl.SSLContext | None) -> None:
        assert self._runner is not None
        for listening in sockets:
            site = web.SockSite(self._runner, listening, ssl_context=context)
            await site.start()
            self._sites.append(site)
        self.port = sockets[0].getsockname()[1]
        scheme = "https" if context else "http"
        self.addresses = [
            f"{scheme}://{f'[{name}]' if ':' in name else name}:{number}{self.settings.prefix}/"
            for name, number, *_ in (listening.getsockname() for listening in sockets)
        ]

    def _say_where(self) -> None:
        if not self.site.setup_code:
            log.info("the page is on %s", " ".join(self.addresses))
            return
        log.warning(
            "no user yet: open %s#/setup/%s on this machine to set a password (good once). "
            "From another one: ssh -L %d:127.0.0.1:%d THIS-MACHINE, or `cellwire user add NAME --grant service` here",
            self.addresses[0], self.site.setup_code, self.port, self.port,
        )  # fmt: skip

    async def _tick(self) -> None:
        """Look each second whether the first user came, from the page or the command line."""
        while True:
            await asyncio.sleep(TICK)
            self.site.refusals.tick()
            self._look_at_users()
            if self.site.access.is_set_up != self._open:
                await self._reopen()

    def _look_at_users(self) -> None:
        trouble = ""
        try:
            self.site.access.refresh()
        except AccessError as error:
            trouble = str(error)
            if trouble != self._trouble:
                log.error("nobody can come in: %s", trouble)
        self._trouble = trouble

    async def _reopen(self) -> None:
        self.site.renew_code()
        try:
            await self._listen()
            self._say_where()
        except WebError as error:
            log.error("%s; until then the page is served on this machine alone", error)
            self._open = self.site.access.is_set_up
            await self._close()
            await self._serve(_loopback(self.port), None)

    async def wait(self) -> None:
        """Wait until the server fails; it never ends by itself."""
        assert self._ticking is not None
        await self._ticking


async def run(desk: Desk, settings: WebSettings) -> None:
    """Serve the page and the API until cancelled; raise WebError when that is not possible."""
    server = Web(desk, settings)
    await server.start()
    try:
        await server.wait()
    finally:
        await server.stop()


def place_of(listen: str) -> tuple[str, int]:
    """Return host and port."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  (loopback alone until there is a password)


def _loopback(port: int) -> list[socket.socket]:
    first = _bound(LOOPBACK[0], port)
    try:
        return first + _bound(LOOPBACK[1], first[0].getsockname()[1])
    except WebError:
        return first  # without IPv6, or it is taken there


def _bound(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets; raise WebError with what to do when that is not possible."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise WebError(f"{host} is not an address to listen on; correct `listen` in [web]") from None
    family, _, _, _, address = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(STUCK * 1000))
        listening.bind(address)
        listening.listen(128)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise WebError(_advice(error, host, port)) from None
    return [listening]


def _advice(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken, perhaps by a Cellwire that runs already; stop it, "
            "or choose another port with `listen` in [web]"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} is not allowed to this user; choose one above 1023 with `listen` in [web]"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; correct `listen` in [web]"
    return f"{host} port {port} cannot be listened on ({error.strerror}); correct `listen` in [web]"


def tls(settings: WebSettings) -> ssl.SSLContext | None:
    """Return how to speak TLS, None without a certificate."""
    if settings.certificate is None:
        if settings.key is not None:
            raise WebError("[web] has a key but no certificate; name both, or none")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for file in (settings.certificate, settings.key):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise WebError(f"{file}: {error.strerror}; correct [web], or let this user read the file") from None

    def no_password() -> str:
        file = settings.key or settings.certificate
        raise WebError(f"{file} has a password; remove it: openssl pkey -in OLD -out NEW")

    try:
        context.load_cert_chain(settings.certificate, settings.key, no_password)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise WebError(f"{settings.key} is not the key of {settings.certificate}; name the pair") from None
        text = f"{settings.certificate} and its key are not a certificate and a private key in PEM"
        raise WebError(f"{text}; convert them with openssl") from None
    return context
