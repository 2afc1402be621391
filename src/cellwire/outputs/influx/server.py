"""Writes lines to one server over HTTP, and tells what its answers mean for what is to be done next."""

import asyncio
import base64
import email.utils
import json
import os
import re
import ssl
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ...gateway.config import InfluxSettings

TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
SLOW = 60.0  # seconds between attempts where somebody has to do something first
LONGEST = 3600.0  # seconds that a server may ask us to wait
MOST, SHOWN = 10_000, 200  # characters of an answer that are looked at, and that people see
KEPT = 3600.0  # seconds that a connection without requests is kept open on this side


class Trouble(Exception):
    """Nothing can be written for now; the text says why and what to do.

    pause: seconds to wait before the next attempt, 0 when it may work again soon; exact: not to be shortened
    """

    def __init__(self, text: str, pause: float = 0.0, exact: bool = False) -> None:
        super().__init__(text)
        self.pause, self.exact = pause, exact


class Refused(Exception):
    """The server does not take some of these rows; the text is its answer.

    dropped: how many, if it says so, and took the others; too_large: they are too many for one request
    """

    def __init__(self, text: str, dropped: int = 0, too_large: bool = False) -> None:
        super().__init__(text)
        self.dropped, self.too_large = dropped, too_large


class Server:
    """A connection to one server; secrets and certificates are read when it is entered.

    breaks: how often the connection was found gone without a word, as when the server was killed
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self.breaks = 0
        self._place = urlsplit(settings.url).netloc
        self._base = settings.url.rstrip("/")
        self._secrets: list[str] = []
        self._connected = False  # by a connection that the server did not say that it closes

    async def __aenter__(self) -> "Server":
        """Raise Trouble when a secret or certificate cannot be read."""
        settings, headers = self.settings, {}
        if settings.api == "2":
            if token := self._secret(settings.token, settings.token_file, "CELLWIRE_INFLUX_TOKEN"):
                headers["Authorization"] = f"Token {token}"
            self._write = f"{self._base}/api/v2/write"
            self._query = {"org": settings.org, "bucket": settings.database, "precision": "ms"}
        else:
            password = self._secret(settings.password, settings.password_file, "CELLWIRE_INFLUX_PASSWORD")
            if settings.user:
                basic = base64.b64encode(f"{settings.user}:{password}".encode()).decode()
                headers["Authorization"] = f"Basic {basic}"
            self._write = f"{self._base}/write"
            self._query = {"db": settings.database, "precision": "ms"}
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(self._connects)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=TIMEOUT,
            trace_configs=[trace],
            connector=aiohttp.TCPConnector(limit=1, ssl=self._trust(), keepalive_timeout=KEPT),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def write(self, text: str) -> int:
        """Write lines; return how many bytes it took. Raises Trouble or Refused."""
        body = await asyncio.to_thread(_packed if self.settings.gzip else str.encode, text)
        status, answer, headers = await self._ask(self._write, self._query, body)
        if status == 404 and self.settings.api == "1" and "database not found" in answer:
            await self._create()
            status, answer, headers = await self._ask(self._write, self._query, body)
        if status >= 300:
            raise self._judged(status, answer, headers)
        return len(body)

    async def ask(self) -> None:
        """See whether the connection still is the one from before; any answer will do. Raises Trouble."""
        await self._request("GET", f"{self._base}/ping")

    async def _create(self) -> None:
        """Create the database, as far as this user may."""
        name = self.settings.database
        quoted = name.replace("\\", r"\\").replace('"', r"\"")
        status, answer, _ = await self._ask(f"{self._base}/query", {"q": f'CREATE DATABASE "{quoted}"'}, None)
        if status >= 300 or '"error"' in answer:
            text = f"{self._place} has no database {name}, and it cannot be created ({self._said(answer)})"
            raise Trouble(f"{text}; create it there, or give this user the right to", SLOW)

    async def _ask(self, url: str, query: dict[str, str], body: bytes | None) -> tuple[int, str, Any]:
        """Return status, text and headers of the answer to a POST. Raises Trouble when there is none."""
        answer = await self._request("POST", url, query, body)
        if not self._connected:  # connect again at once, so that nobody can be killed unnoticed meanwhile
            await self.ask()
        return answer

    async def _request(
        self, method: str, url: str, query: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, str, Any]:
        headers = {}
        if body is not None:
            headers["Content-Type"] = "text/plain; charset=utf-8"
            if self.settings.gzip:
                headers["Content-Encoding"] = "gzip"
        try:
            async with self._session.request(
                method, url, params=query, data=body, headers=headers, allow_redirects=False
            ) as response:
                answer = (await response.read())[:MOST].decode("utf-8", "replace")
        except TimeoutError:
            raise Trouble(f"{self._place} takes too long to answer; see whether it has too much to do") from None
        except aiohttp.ClientConnectorCertificateError as error:
            text = f"{self._place} has a certificate that is not trusted ({error.certificate_error})"
            raise Trouble(f"{text}; write ca = the certificate that it is signed by", SLOW) from None
        except aiohttp.InvalidURL:
            raise Trouble(f"{self.settings.url} is not an address; correct url", SLOW) from None
        except aiohttp.ClientConnectorDNSError:
            raise Trouble(f"there is no host {self._place}; correct url, or look at the name server") from None
        except (aiohttp.ClientError, OSError) as error:
            cause = getattr(error, "os_error", error)
            if isinstance(cause, ConnectionRefusedError):
                raise Trouble(f"{self._place} refuses the connection; start it, or correct the port in url") from None
            text = f"{self._place} cannot be reached ({self._said(_words(cause))})"
            raise Trouble(f"{text}; see whether it runs, and whether url is right") from None
        closing = "close" if response.version == aiohttp.HttpVersion10 else "keep-alive"
        self._connected = response.headers.get("Connection", closing).lower() != "close"
        return response.status, answer, response.headers

    def _judged(self, status: int, answer: str, headers: Any) -> Trouble | Refused:
        """Return what an answer means that is no success."""
        said = f"{status}: {self._said(answer)}"
        if status in (400, 422) or (status == 500 and "partial write" in answer):
            dropped = re.search(r"dropped=(\d+)", answer)
            return Refused(said, dropped=int(dropped[1]) if dropped else 0)
        if status == 413:
            return Refused(said, too_large=True)
        wait = _seconds(headers.get("Retry-After", ""))
        if status in (408, 429) or status >= 500:
            return Trouble(f"{self._place} is not ready ({said}); see whether it has too much to do", wait, exact=True)
        settings = self.settings
        what = f"database {settings.database}" if settings.api == "1" else f"bucket {settings.database}"
        secret = "user and password" if settings.api == "1" else "token"
        todo = {
            401: f"correct {secret}",
            403: f"give {'this user' if settings.api == '1' else 'this token'} the right to write to {what}",
            404: f"see whether {what} is there, and whether url and api = {settings.api} are right",
        }
        if status < 400:
            todo[status] = f"write the address that it leads to into url ({self._said(headers.get('Location', ''))})"
        advice = todo.get(status, f"see whether url and api = {settings.api} are right")
        return Trouble(f"{self._place} refuses ({said}); {advice}", max(wait, SLOW))

    def _said(self, text: str) -> str:
        """Return what can be shown of an answer."""
        try:
            document = json.loads(text)
            text = str(document.get("error") or document.get("message") or text)
        except (ValueError, AttributeError):
            pass
        for secret in self._secrets:
            text = text.replace(secret, "...")
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= SHOWN else text[:SHOWN] + "..."

    def _secret(self, given: str, path: Path | None, variable: str) -> str:
        try:
            secret = path.read_text(encoding="utf-8").strip() if path is not None else given
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise Trouble(
                f"{path} cannot be read ({reason}); put the secret there, readable to this user", SLOW
            ) from None
        secret = secret or os.environ.get(variable, "")
        if any(not sign.isprintable() for sign in secret):
            raise Trouble("the password or token has more than one line; leave only itself", SLOW)
        if secret:
            self._secrets.append(secret)
        return secret

    def _trust(self) -> ssl.SSLContext | bool:
        path = self.settings.ca
        if path is None:
            return True
        try:
            return ssl.create_default_context(cafile=path)
        except (OSError, ValueError):
            raise Trouble(f"{path} is not a certificate in PEM form that can be read; correct ca", SLOW) from None

    async def _connects(self, *_: Any) -> None:
        if self._connected:
            self.breaks += 1


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 1, 31)


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds(text: str) -> float:
    """Return the seconds that a Retry-After header asks to wait; 0 when it says nothing."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), LONGEST) if seconds == seconds else 0.0
