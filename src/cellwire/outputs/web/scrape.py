"""The metrics, where Prometheus looks for them: beside the API, with the same right to read."""

import asyncio
import gzip

from aiohttp import web

from ..prometheus import CONTENT_TYPE
from .answers import API_HEADERS
from .site import Site
from .visit import Route, Routes, Visit

FAST = 1  # level of gzip: a ninth of the size in a third of the time of the best


async def metrics(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET /metrics."""
    body = site.desk.metrics().encode("utf-8", "replace")
    headers = {**API_HEADERS, "Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
    if "gzip" in visit.request.headers.get("Accept-Encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, FAST)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


ROUTES = Routes((Route("GET", "/metrics", "read", metrics, "All metrics", {200: "text/plain"}),))
