"""Coming in and going out: first set-up, log-in, log-out."""

import asyncio
import hmac
import math

from aiohttp import web

from ... import __version__
from .access import LONGEST, NAME, SHORTEST, AccessError, Visitor
from .answers import Problem, answer
from .lockout import peer_key
from .schema import YES_OR_NO, Schema, closed, refer, text, thing, word
from .site import Site, refused
from .visit import Route, Visit

COOKIE_AGE = 400 * 86400  # the longest that browsers allow; the server ends a session that is not used

TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
SESSION = thing(
    {
        "user": {**TEXT_OR_NULL, "description": "who is logged in; the token's name; null for nobody and for guests"},
        "grant": {"enum": ["read", "operate", "configure", "service", None]},
        "csrf": {**TEXT_OR_NULL, "description": "what X-CSRF-Token must say with every write"},
        "setup": {**YES_OR_NO, "description": "the gateway waits for its first user"},
        "guests": {**YES_OR_NO, "description": "everybody may read"},
        "name": {"type": "string"},
        "version": {"type": "string"},
    }
)
PASSWORD = text(LONGEST, 1)
NEW_PASSWORD = text(LONGEST, SHORTEST)
USER_NAME: Schema = {**text(64, 1), "pattern": NAME}


def session_document(site: Site, visitor: Visitor) -> dict[str, object]:
    """Return what the page asks first: who is here, and what that one may do."""
    return {
        "user": visitor.name if visitor.kind in ("user", "token") else None,
        "grant": visitor.grant or None,
        "csrf": visitor.csrf or None,
        "setup": not site.access.is_set_up,
        "guests": site.settings.guests,
        "name": "cellwire",
        "version": __version__,
    }


async def show(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET session."""
    return answer(session_document(site, visit.visitor))


async def log_in(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST login."""
    name, password = visit.body["name"], visit.body["password"]
    if not site.access.is_set_up:
        raise setup_needed()
    keys = (peer_key(visit.peer), f"name {name}")
    # A name that does not exist may be a password in the wrong field: it is never written down.
    who = name if site.access.knows(name) else "an unknown name"
    admit(site, visit, keys, who)
    if not await site.hashing(site.access.is_right, name, password):
        site.refusals.tell("login", f"Wrong password for {who} from {visit.peer}", peer=visit.peer)
        raise Problem(401, "not_logged_in", "The name or the password is wrong; try again")
    site.lockout.take_back(*keys)
    return await _enter(site, visit, name)


async def set_up(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST setup: the first user, who has the grant service."""
    name, password = visit.body["name"], visit.body["password"]
    if site.access.is_set_up or not site.setup_code:
        problem = Problem(403, "not_allowed", "This gateway is set up already; log in")
        refused(site, visit, "/setup", problem)
        raise problem
    keys = (peer_key(visit.peer), "name \0setup")
    admit(site, visit, keys, "the set-up")
    if not hmac.compare_digest(visit.body["code"].encode(), site.setup_code.encode()):
        site.refusals.tell("refused", f"Wrong set-up code from {visit.peer}", peer=visit.peer)
        raise Problem(403, "not_allowed", "The code is wrong or used up; take the newest address from the log")
    site.lockout.take_back(*keys)
    code, site.setup_code = site.setup_code, ""
    try:
        await site.hashing(site.access.add_user, name, password, "service", True)
    except (AccessError, Problem):
        site.setup_code = code  # nothing came of it: the code is still good
        raise
    return await _enter(site, visit, name)


async def log_out(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST logout; its streams end at once."""
    if visit.visitor.kind == "user":
        await asyncio.to_thread(site.access.end, visit.visitor)
        site.live.end_session(visit.visitor.session)
    response = answer(session_document(site, Visitor()))
    response.del_cookie(cookie_name(site), path=visit.base + "/", httponly=True, samesite="Strict", secure=visit.secure)
    return response


def admit(site: Site, visit: Visit, keys: tuple[str, str], who: str) -> None:
    """Count a try with a password; raise Problem when there were too many wrong ones."""
    wait = site.lockout.wait(*keys)
    if wait:
        minutes = math.ceil(wait / 60)
        text = f"Too many wrong passwords; wait {minutes} minute{'s' if minutes > 1 else ''} and try again"
        site.refusals.tell("login", f"Still locked out: {who} from {visit.peer}", peer=visit.peer)
        raise Problem(429, "locked_out", text, {"Retry-After": str(math.ceil(wait))})
    if site.lockout.begin(*keys):
        site.refusals.tell("login", f"Locked out for 15 minutes: {who} from {visit.peer}", peer=visit.peer)


async def _enter(site: Site, visit: Visit, name: str) -> web.StreamResponse:
    secret = await asyncio.to_thread(site.access.begin, name)
    site.desk.events.add("login", f"{name} logged in from {visit.peer}", peer=visit.peer, who=name)
    response = answer(session_document(site, site.access.visitor(secret)))
    response.set_cookie(
        cookie_name(site), secret, path=visit.base + "/", max_age=COOKIE_AGE, httponly=True, samesite="Strict",
        secure=visit.secure,
    )  # fmt: skip
    return response


def cookie_name(site: Site) -> str:
    """Return the cookie's name: with the port, because a browser shares cookies between all ports of a host."""
    return f"cellwire_{site.settings.listen.rpartition(':')[2]}"


def setup_needed() -> Problem:
    """Return the problem of a gateway that has no user yet."""
    return Problem(401, "setup_needed", "This gateway has no user yet; open the address that its log shows once")


ROUTES = (
    Route("GET", "/session", "", show, "Who is logged in, and what the page must know first", {200: refer("Session")}),
    Route(
        "POST", "/login", "", log_in, "Log in; sets the session's cookie", {200: refer("Session")},
        body=closed({"name": text(64, 1), "password": PASSWORD}), problems=(401, 429, 503),
    ),
    Route(
        "POST", "/logout", "", log_out, "Log out; the session and its streams end", {200: refer("Session")},
        problems=(401,),
    ),
    Route(
        "POST", "/setup", "", set_up, "Add the first user, with the code that the log shows once",
        {200: refer("Session")},
        body=closed({"code": text(100, 1), "name": USER_NAME, "password": NEW_PASSWORD}), problems=(409, 429, 503),
    ),
)  # fmt: skip
SCHEMAS = {"Session": SESSION, "Grant": word("read", "operate", "configure", "service")}
