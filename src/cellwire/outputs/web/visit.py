"""One request: who asks, from where, for what; and the table of what can be asked."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from .access import NOBODY_HERE, Visitor
from .answers import bad_request
from .schema import Parameter, Schema

if TYPE_CHECKING:
    from .site import Site

API = "/api/v1"
WRITES = ("POST", "PUT", "DELETE", "PATCH")


@dataclass
class Visit:
    """A request on its way.

    outside: the host that people see when a proxy says so; base: the path below which they see us; names: from the path
    """

    request: web.BaseRequest
    peer: str = ""
    host: str = ""
    secure: bool = False
    base: str = ""
    outside: str = ""
    visitor: Visitor = NOBODY_HERE
    names: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One thing that can be asked.

    grant: what the visitor needs, "" nothing; body: None for none; answers: schema by status, a text for another type
    of content; problems: statuses of errors that only this route has; loose: the body is checked by who gets it
    """

    method: str
    path: str
    grant: str
    answer: "Callable[[Site, Visit], Awaitable[web.StreamResponse]]"
    summary: str
    answers: dict[int, Schema | str]
    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    problems: tuple[int, ...] = ()
    loose: bool = False


class Routes:
    """Finds the route of a path below the API's root."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.all = routes
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            patterns.setdefault(route.path, {})[route.method] = route
        # What is written out goes before what stands for anything.
        self._patterns = [
            (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))), methods)
            for path, methods in sorted(patterns.items(), key=lambda item: "{" in item[0])
        ]

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """Return the routes of the path by method, none when there is no such path, and the names in it."""
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                return methods, {key: decoded(value) for key, value in match.groupdict().items()}
        return {}, {}


def decoded(part: str) -> str:
    """Return a part of a path without its percent signs."""
    try:
        text = unquote(part, errors="strict")
        text.encode("utf-8")
        return text
    except UnicodeError:
        raise bad_request("the path is not UTF-8") from None
