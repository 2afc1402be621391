"""All routes of the API in one table, from which requests are answered and the OpenAPI document is made."""

from aiohttp import web

from . import configuration, control, now, past, release, session, users
from .answers import encoded, raw_answer
from .openapi import document
from .site import Site
from .visit import Route, Routes, Visit


async def openapi(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET openapi.json."""
    return raw_answer(OPENAPI)


ROUTES = Routes(
    (
        *session.ROUTES,
        *now.ROUTES,
        *past.ROUTES,
        *control.ROUTES,
        *release.ROUTES,
        *configuration.ROUTES,
        *users.ROUTES,
        Route("GET", "/openapi.json", "read", openapi, "This description", {200: {"type": "object"}}),
    )
)
PARTS = (session, now, past, control, configuration)
OPENAPI = encoded(document(ROUTES.all, {name: schema for part in PARTS for name, schema in part.SCHEMAS.items()}))
