"""Users and tokens, for those with the grant service; and the own password."""

import asyncio

from aiohttp import web

from .access import GRANTS
from .answers import Problem, answer, not_found
from .lockout import peer_key
from .schema import MOMENT, TEXT, YES_OR_NO, closed, listed, refer, thing, word
from .session import NEW_PASSWORD, PASSWORD, USER_NAME, admit
from .site import Site, refused
from .visit import Route, Visit

DONE = thing({"done": YES_OR_NO})
USER = thing({"name": TEXT, "grant": refer("Grant"), "added": MOMENT})
TOKEN = USER


async def users(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET users."""
    return answer({"users": site.access.users()})


async def add_user(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST users."""
    body = visit.body
    await site.hashing(site.access.add_user, body["name"], body["password"], body["grant"])
    _tell(site, visit, f"added the user {body['name']} with the grant {body['grant']}")
    return answer({"done": True}, 201)


async def change_user(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer PUT users/{name}."""
    name, grant = visit.names["name"], visit.body["grant"]
    if not site.access.knows(name):
        raise not_found("user", name, [user["name"] for user in site.access.users()])
    await site.hashing(site.access.change_user, name, grant, visit.body.get("password", ""))
    _tell(site, visit, f"changed the user {name}, who has the grant {grant} now")
    return answer({"done": True})


async def remove_user(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer DELETE users/{name}."""
    name = visit.names["name"]
    if not site.access.knows(name):
        raise not_found("user", name, [user["name"] for user in site.access.users()])
    await asyncio.to_thread(site.access.remove_user, name)
    _tell(site, visit, f"removed the user {name}")
    return answer({"done": True})


async def tokens(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET tokens."""
    return answer({"tokens": site.access.tokens()})


async def add_token(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST tokens: the only time that the token is shown."""
    body = visit.body
    secret = await asyncio.to_thread(site.access.add_token, body["name"], body["grant"])
    _tell(site, visit, f"added the token {body['name']} with the grant {body['grant']}")
    return answer({"name": body["name"], "grant": body["grant"], "token": secret}, 201)


async def remove_token(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer DELETE tokens/{name}."""
    name = visit.names["name"]
    known = [token["name"] for token in site.access.tokens()]
    if name not in known:
        raise not_found("token", name, known)
    await asyncio.to_thread(site.access.remove_token, name)
    _tell(site, visit, f"removed the token {name}")
    return answer({"done": True})


async def change_password(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST password: the own one, the present one must be shown; other sessions end."""
    visitor = visit.visitor
    if visitor.kind != "user":
        problem = Problem(403, "not_allowed", "Only a user who is logged in has a password to change")
        refused(site, visit, "/password", problem)
        raise problem
    keys = (peer_key(visit.peer), f"name {visitor.name}")
    admit(site, visit, keys, visitor.name)
    if not await site.hashing(site.access.is_right, visitor.name, visit.body["password"]):
        site.refusals.tell("login", f"Wrong password for {visitor.name} from {visit.peer}", peer=visit.peer)
        raise Problem(403, "not_allowed", "The present password is wrong; nothing was changed")
    site.lockout.take_back(*keys)
    await site.hashing(site.access.set_password, visitor.name, visit.body["new"], visitor.session)
    _tell(site, visit, "changed the own password")
    return answer({"done": True})


def _tell(site: Site, visit: Visit, what: str) -> None:
    site.desk.events.add("configuration", f"{visit.visitor.title} {what}", peer=visit.peer, who=visit.visitor.title)


ROUTES = (
    Route("GET", "/users", "service", users, "All users", {200: thing({"users": listed(USER)})}),
    Route(
        "POST", "/users", "service", add_user, "Add a user", {201: DONE},
        body=closed({"name": USER_NAME, "password": NEW_PASSWORD, "grant": word(*GRANTS)}), problems=(409, 503),
    ),
    Route(
        "PUT", "/users/{name}", "service", change_user, "Change a user, who has to log in again", {200: DONE},
        body=closed({"grant": word(*GRANTS)}, {"password": NEW_PASSWORD}), problems=(404, 409, 503),
    ),
    Route(
        "DELETE", "/users/{name}", "service", remove_user, "Remove a user, who is logged out at once", {200: DONE},
        problems=(404, 409),
    ),
    Route("GET", "/tokens", "service", tokens, "All tokens for programs", {200: thing({"tokens": listed(TOKEN)})}),
    Route(
        "POST", "/tokens", "service", add_token, "Add a token; the answer shows it, once",
        {201: thing({"name": TEXT, "grant": refer("Grant"), "token": TEXT})},
        body=closed({"name": USER_NAME, "grant": word(*GRANTS)}), problems=(409,),
    ),
    Route("DELETE", "/tokens/{name}", "service", remove_token, "Remove a token", {200: DONE}, problems=(404,)),
    Route(
        "POST", "/password", "read", change_password, "Change the own password; the user's other sessions end",
        {200: DONE}, body=closed({"password": PASSWORD, "new": NEW_PASSWORD}), problems=(409, 429, 503),
    ),
)  # fmt: skip
