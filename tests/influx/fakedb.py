"""A database that does what a test says: refuses, breaks, is slow, loses what it has only in memory."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from aiohttp import web
from lineprotocol import Point, points
from served import free_port

Judge = Callable[[web.Request, list[Point]], web.Response | Awaitable[web.Response | None] | None]


class FakeDb:
    """Keeps points by pack and time. `judge` may answer instead; rows that it was given are in `asked` all the same."""

    def __init__(self) -> None:
        self.port = free_port()
        self.rows: dict[tuple[str, int], Point] = {}
        self.volatile: list[tuple[float, Point]] = []  # acknowledged, and when
        self.lag = 0.0  # seconds after which what was acknowledged is safe
        self.asked: list[list[Point]] = []
        self.requests: list[web.Request] = []
        self.pings = 0
        self.judge: Judge = lambda request, rows: None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, tls: SSLContext | None = None) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, keepalive_timeout=600)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def settle(self) -> None:
        """Bring to the disk what is old enough for it."""
        now = asyncio.get_running_loop().time()
        while self.volatile and self.volatile[0][0] <= now - self.lag:
            point = self.volatile.pop(0)[1]
            self.rows[point.tags["id"], point.time] = point

    async def crash(self) -> None:
        """Lose what is not on the disk, and the connections with it; be back at once."""
        self.settle()
        self.volatile.clear()
        await self.stop()
        await self.start()

    async def _take(self, request: web.Request) -> web.Response:
        if request.path == "/ping":
            self.pings += 1
            return web.Response(status=204)
        self.requests.append(request)
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        rows = points(body.decode())
        self.asked.append(rows)
        verdict = self.judge(request, rows)
        answer = await verdict if isinstance(verdict, Awaitable) else verdict
        if answer is not None:
            return answer
        now = asyncio.get_running_loop().time()
        self.volatile += [(now, point) for point in rows]
        self.settle()
        return web.Response(status=204)


@asynccontextmanager
async def serving(tls: SSLContext | None = None) -> AsyncIterator[FakeDb]:
    """Give a database that listens."""
    fake = FakeDb()
    await fake.start(tls)
    try:
        yield fake
    finally:
        await fake.stop()
