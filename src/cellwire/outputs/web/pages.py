"""Serves the files of the page, as Vite built them."""

import re
from pathlib import Path

from aiohttp import web

from .answers import Problem

FOLDER = Path(__file__).parent / "page"
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
LONGEST = 200  # letters of a name: asked for a longer one, a file system does not say "not found" any more
# Vite puts a hash of the contents into the name: another content is another file.
HASHED = re.compile(r"assets/[\w.-]+-[\w-]{8,}\.\w+")
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
NOT_BUILT = (
    "Cellwire is running, but its page was not built.\n"
    "In a checkout of the sources: make page\n"
    "The API is below api/v1/ all the same.\n"
)


def page(request: web.BaseRequest, path: str, base: str) -> web.StreamResponse:
    """Return the file of a path, the start of the page for the root."""
    if request.method not in ("GET", "HEAD"):
        raise Problem(405, "bad_request", "This understands GET, HEAD", {"Allow": "GET, HEAD"})
    if not path:
        return web.Response(status=308, headers={"Location": base + "/"})
    name = path[1:] or "index.html"
    file = FOLDER / name
    # Only what stands in the folder by that very name: no way up, no hidden files, no device.
    parts = name.split("/")
    sound = len(name) <= LONGEST and all(re.fullmatch(r"[\w-][\w.-]*", part, re.ASCII) for part in parts)
    if not sound or not file.is_file():
        if name == "index.html":
            return web.Response(text=NOT_BUILT, headers={"Cache-Control": "no-cache"})
        raise Problem(404, "not_found", "There is no such page; start at the root")
    response = web.FileResponse(file)
    response.content_type = TYPES.get(file.suffix, "application/octet-stream")
    if response.content_type.startswith("text/"):
        response.charset = "utf-8"
    response.headers["Content-Security-Policy"] = POLICY
    lasting = "public, max-age=31536000, immutable"
    response.headers["Cache-Control"] = lasting if HASHED.fullmatch(name) else "no-cache"
    return response
