"""Releasing a pack for the phone app, and taking it back."""

from aiohttp import web

from ...gateway.control import Denied
from ...gateway.release import LEAST, MOST, USUAL
from .answers import Problem, answer, bad_request
from .control import pack_of, who_of
from .schema import MOMENT, NUMBER, TEXT, Schema, closed, listed, thing
from .site import Site
from .visit import Route, Visit


async def release(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/release, when the link is free."""
    return await _release(site, visit, visit.body.get("minutes", USUAL))


async def take_back(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer DELETE packs/{name}/release."""
    return await _release(site, visit, 0.0)


async def _release(site: Site, visit: Visit, minutes: float) -> web.StreamResponse:
    pack = pack_of(site, visit)
    try:
        released = await site.desk.releases.release(pack.name, minutes, who_of(visit))
    except ValueError as error:
        raise bad_request(str(error)) from None
    except Denied as error:
        raise Problem(409, "unavailable", f"{pack.name}: {error}") from None
    document = {"packs": list(released.packs), "text": released.text}
    return answer(document if released.until is None else {**document, "released_until": released.until})


RELEASED = thing(
    {
        "packs": {**listed(TEXT), "description": "all that share the link: they go together"},
        "text": {**TEXT, "description": "what became of it"},
    },
    {"released_until": {**MOMENT, "description": "absent when it was taken back; seconds since 1970"}},
)
MINUTES: Schema = {
    **NUMBER,
    "minimum": 0,
    "maximum": MOST,
    "default": USUAL,
    "description": f"from now on: {LEAST:g} to {MOST:g}, or 0 to take it back",
}
ROUTES = (
    Route(
        "POST", "/packs/{name}/release", "operate", release,
        "Release a pack for some minutes, so that the phone app or another program can connect to it", {200: RELEASED},
        body=closed({}, {"minutes": MINUTES}), problems=(404, 409),
    ),
    Route(
        "DELETE", "/packs/{name}/release", "operate", take_back, "Take a released pack back now", {200: RELEASED},
        problems=(404, 409),
    ),
)  # fmt: skip
