"""The one way in: who asks, from where, may it be, and is it in form; then the route answers."""

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import socket
from typing import Any

from aiohttp import web

from . import scrape
from .access import GUEST, NOBODY_HERE, AccessBroken, AccessError, NotFit, Visitor
from .answers import HEADERS, Problem, bad_request, printable
from .pages import page
from .schema import check, check_loose, read_query
from .session import cookie_name, setup_needed
from .site import Site, refused
from .table import ROUTES
from .visit import API, WRITES, Route, Routes, Visit, decoded

log = logging.getLogger("cellwire")

BODY = 64 * 1024  # bytes
BODY_TIME = 15.0  # seconds for a body to come
DEEPEST = 32  # levels of lists and objects in a body
NAMES = ("localhost", "smartbms", "smartbms.local")
PORTS = {"http": ":80", "https": ":443"}  # that an address may leave out


class Guard:
    """Answers every request to the server."""

    def __init__(self, site: Site) -> None:
        self.site = site
        own = socket.gethostname().lower()
        self._names = {*NAMES, own, own.partition(".")[0], own.partition(".")[0] + ".local"}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, whatever happens."""
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = problem.answer()
            if problem.status == 413:
                response.force_close()
        except AccessError as error:
            response = _of_access(error).answer()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("a request failed")
            response = Problem(500, "unavailable", "Something went wrong here; the log of Cellwire says what").answer()
        if not response.prepared:
            response.headers.update({key: value for key, value in HEADERS.items() if key not in response.headers})
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = self._arrive(request)
        path = self._inside(request.rel_url.raw_path, visit)
        if path == API or path.startswith(API + "/"):
            return await self._api(visit, ROUTES, path[len(API) :])
        if scrape.ROUTES.find(path)[0]:
            return await self._api(visit, scrape.ROUTES, path)
        self._check_host(visit)
        return page(request, decoded(path), visit.base)

    # From where

    def _arrive(self, request: web.BaseRequest) -> Visit:
        hosts = request.headers.getall("Host", [])
        if len(hosts) > 1:
            raise bad_request("there is more than one Host header")
        visit = Visit(request, request.remote or "", hosts[0] if hosts else "", request.secure)
        if self.site.settings.proxy and _is_loopback(visit.peer):
            self._forwarded(visit)
        return visit

    def _forwarded(self, visit: Visit) -> None:
        """Take what a reverse proxy on this machine says about who asked."""
        headers = visit.request.headers
        # The proxy appends: only the last address is its own word, those before were sent by the stranger.
        address = _last(",".join(headers.getall("X-Forwarded-For", [])))
        if _is_address(address):
            visit.peer = address
        visit.outside = _last(headers.get("X-Forwarded-Host", ""))
        proto = _last(headers.get("X-Forwarded-Proto", ""))
        visit.secure = visit.secure or proto == "https"
        prefix = _last(headers.get("X-Forwarded-Prefix", "")).rstrip("/")
        if re.fullmatch(r"(/[\w.~-]+)+", prefix, re.ASCII):
            visit.base = prefix

    def _inside(self, path: str, visit: Visit) -> str:
        """Return the path below our prefix; a proxy may have taken the prefix away, or left it."""
        prefix = self.site.settings.prefix
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            visit.base = visit.base or prefix
            return path[len(prefix) :]
        return path

    def _check_host(self, visit: Visit) -> None:
        # A page under a foreign name may put anything into X-Forwarded-Host, so Host itself must be right as well.
        for host in {visit.host, visit.outside or visit.host}:
            name = _name_of(host)
            if name is None:
                raise bad_request("the Host header is missing or broken")
            known = self._names | {known.lower() for known in self.site.settings.hosts}
            if not _is_address(name) and name not in known:
                text = f"This gateway is not called {printable(name)!r}; add the name to `hosts` in [web]"
                raise Problem(403, "host", text)

    def _check_origin(self, visit: Visit) -> None:
        """A page of another site must not make the browser do things here."""
        headers = visit.request.headers
        foreign = headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
        for origin in headers.getall("Origin", []):
            scheme, _, place = origin.lower().partition("://")
            port = PORTS.get(scheme, "")
            own = (visit.outside or visit.host).lower()
            foreign = foreign or not port or place.removesuffix(port) != own.removesuffix(port)
            foreign = foreign or (visit.secure and scheme != "https")
        if foreign:
            raise Problem(403, "origin", "The request comes from a page of another site; open this gateway's own page")

    # Who

    def _who(self, visit: Visit) -> Visitor:
        site = self.site
        try:
            site.access.refresh()
        except AccessError:
            # To people who have not come in: no word about files.
            raise Problem(
                503, "unavailable", "The file of users cannot be read; the log of Cellwire says why"
            ) from None
        headers = visit.request.headers.getall("Authorization", [])
        if headers:
            scheme, _, secret = headers[0].partition(" ")
            return site.access.bearer(secret.strip()) if scheme.lower() == "bearer" else NOBODY_HERE
        cookie = visit.request.cookies.get(cookie_name(site), "")
        visitor = site.access.visitor(cookie) if cookie else NOBODY_HERE
        if not visitor.grant and site.settings.guests:
            return GUEST
        return visitor

    # The API

    async def _api(self, visit: Visit, routes: Routes, path: str) -> web.StreamResponse:
        request = visit.request
        methods, names = routes.find(path)
        route = methods.get(request.method)
        known = route.path if route else "an unknown path"
        try:
            self._check_host(visit)
            if request.method in WRITES or path == "/live":
                self._check_origin(visit)
            visit.visitor = self._who(visit)
            if not methods:
                raise Problem(404, "not_found", "There is no such thing; openapi.json describes all there is")
            if route is None:
                allowed = ", ".join(sorted(methods))
                raise Problem(405, "bad_request", f"This understands {allowed}", {"Allow": allowed})
            self._check_grant(visit, route)
        except Problem as problem:
            if request.method in WRITES and problem.status in (401, 403):
                refused(self.site, visit, known, problem)
            raise
        visit.names = names
        visit.query = read_query(list(request.rel_url.query.items()), route.query)
        if request.method in WRITES:
            visit.body = await self._body(visit, route)
        if self.site.access.wants_note(visit.visitor):
            await asyncio.to_thread(self.site.access.note_use, visit.visitor)
        return await route.answer(self.site, visit)

    def _check_grant(self, visit: Visit, route: Route) -> None:
        visitor = visit.visitor
        if not visitor.may(route.grant):
            if visitor.kind in ("user", "token"):
                raise Problem(403, "not_allowed", f"This needs the grant {route.grant}, yours is {visitor.grant}")
            if not self.site.access.is_set_up:
                raise setup_needed()
            raise Problem(401, "not_logged_in", f"Log in, or send a token: this needs the grant {route.grant}")
        # Coming in needs no session, so an old cookie must not stand in the way of it.
        if route.method in WRITES and visitor.kind == "user" and route.path not in ("/login", "/setup"):
            shown = visit.request.headers.get("X-CSRF-Token", "")
            if not hmac.compare_digest(shown.encode("utf-8", "replace"), visitor.csrf.encode()):
                raise Problem(403, "csrf", "The header X-CSRF-Token must say what GET session gives as csrf")

    async def _body(self, visit: Visit, route: Route) -> dict[str, Any]:
        request = visit.request
        if not request.body_exists and route.body is None:
            return {}
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise Problem(415, "bad_request", "Send the body as Content-Type: application/json, not compressed")
        value = _parsed(await _read(request))
        if route.body is None:
            if value != {}:
                raise bad_request("this takes no body")
            return {}
        (check_loose if route.loose else check)(value, route.body)
        result: dict[str, Any] = value
        return result


async def _read(request: web.BaseRequest) -> bytes:
    """Return the body; it must not be large, nor dawdle."""
    if (request.content_length or 0) > BODY:
        raise _too_large()
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # that was not the answer yet

    def give_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    timer = asyncio.get_running_loop().call_later(BODY_TIME, give_up)
    body = b""
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > BODY:
                raise _too_large()
    except web.RequestPayloadError:
        raise bad_request("the body broke off, or is broken") from None
    finally:
        timer.cancel()
    return body


def _of_access(error: AccessError) -> Problem:
    if isinstance(error, AccessBroken):
        return Problem(503, "unavailable", str(error))
    if isinstance(error, NotFit):
        return bad_request(str(error))
    return Problem(409, "unavailable", str(error))


def _too_large() -> Problem:
    return Problem(413, "bad_request", f"The body is larger than {BODY // 1024} KiB")


def _parsed(body: bytes) -> Any:
    """Return the JSON of a body, in which nothing can later break: no NaN, no half characters, no endless depth."""
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON in UTF-8") from None
    if _depth(value) > DEEPEST:
        raise bad_request(f"the body is nested deeper than {DEEPEST} levels")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _depth(value: Any, level: int = 1) -> int:
    if level > DEEPEST or not isinstance(value, dict | list):
        return level
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(item, level + 1) for item in inner), default=level)


def _last(header: str) -> str:
    return header.rpartition(",")[2].strip()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _name_of(host: str) -> str | None:
    """Return the name in a Host header, None when it is broken."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[\w.-]+)(?::\d{1,5})?", host)
    return match[1].lower().rstrip(".") if match else None
