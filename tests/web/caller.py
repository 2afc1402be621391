"""A client of the web server for the tests: logs in, and sends what a browser would, or what an attacker would."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from desk import NAME, PASSWORD

from cellwire.outputs.web import Web


class Answer:
    """What came back, read to its end."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes, json: Any) -> None:
        self.status, self.headers, self.body, self.json = status, headers, body, json

    @property
    def code(self) -> str:
        """The code of the error, "" when it is none."""
        return str(self.json.get("code", "")) if isinstance(self.json, dict) else ""


class Caller:
    """Calls one server; `csrf` is sent with every write once somebody logged in."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session
        self.csrf = ""
        self.token = ""
        self.streams: list[aiohttp.ClientResponse] = []  # closed at the end

    async def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """Return the answer; a header of None is not sent, an underscore stands for a hyphen."""
        sent = {}
        if self.csrf and method != "GET":
            sent["X-CSRF-Token"] = self.csrf
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        for name, value in headers.items():
            sent.pop(name.replace("_", "-"), None)
            if value is not None:
                sent[name.replace("_", "-")] = value
        url = self.base + path if path.startswith("/") else f"{self.base}/api/v1/{path}"
        data = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self.session.request(method, url, headers=sent, allow_redirects=False, ssl=False, **data) as answer:
            raw = await answer.read()
            json = await answer.json() if answer.content_type == "application/json" else None
            return Answer(answer.status, dict(answer.headers), raw, json)

    async def get(self, path: str, **headers: str | None) -> Answer:
        """Return the answer to a question."""
        return await self.call("GET", path, **headers)

    async def log_in(self, name: str = NAME, password: str = PASSWORD) -> Answer:
        """Log in, and keep the CSRF token."""
        answer = await self.call("POST", "login", {"name": name, "password": password})
        self.csrf = answer.json.get("csrf") or ""
        return answer

    @property
    def cookie(self) -> str:
        """The value of the session's cookie."""
        return next((morsel.value for morsel in self.session.cookie_jar), "")


@contextlib.asynccontextmanager
async def calling(server: Web | str, logged_in: bool = False) -> AsyncIterator[Caller]:
    """Give a caller of a server."""
    base = server if isinstance(server, str) else server.addresses[0].rstrip("/")
    patience = aiohttp.ClientTimeout(total=10)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=patience) as session:
        caller = Caller(base, session)
        if logged_in:
            assert (await caller.log_in()).status == 200
        try:
            yield caller
        finally:
            for stream in caller.streams:
                stream.close()
