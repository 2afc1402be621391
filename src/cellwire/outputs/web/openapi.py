"""Makes the OpenAPI 3.1 document out of the table of routes."""

import re
from collections.abc import Iterable
from typing import Any

from ... import __version__
from .schema import TEXT, Schema, listed, refer, thing, word
from .visit import WRITES, Route

CODES = (
    "not_logged_in", "not_allowed", "csrf", "origin", "host", "locked_out", "not_found", "bad_request",
    "setup_needed", "unavailable",
)  # fmt: skip
ERROR = thing({"error": {**TEXT, "description": "what is wrong and what to do"}, "code": word(*CODES)})
MISTAKE = thing({"line": {"type": "integer"}, "key": TEXT, "problem": TEXT, "fix": TEXT})
MISTAKES = thing({**ERROR["properties"], "mistakes": listed(MISTAKE)})

MEANINGS = {
    400: "the request cannot be understood",
    401: "nobody is logged in, or the password is wrong",
    403: "the grant is not enough; or the CSRF token, Origin or Host is wrong",
    404: "there is no such thing; the error names those that exist",
    409: "this cannot be done as things are",
    413: "the body has more than 64 KiB",
    415: "the body is not application/json",
    422: "the configuration would have mistakes; nothing was changed",
    429: "too many wrong passwords; Retry-After says for how long",
    503: "not available now",
}


def statuses(route: Route) -> list[int]:
    """Return the statuses of all errors that a route can answer with."""
    found = {400, 403, *route.problems}
    if route.grant:
        found |= {401, 503}
    if route.method in WRITES:
        found |= {413, 415}
    return sorted(found)


def document(routes: Iterable[Route], schemas: dict[str, Schema]) -> Schema:
    """Return the OpenAPI document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cellwire",
            "version": __version__,
            "description": "Battery packs behind a BMS: readings, history, events and the gateway's configuration. "
            "Times are seconds since 1970 except in snapshots. Positive current charges.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": ERROR, "Mistakes": MISTAKES},
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "With the cookie that log-in sets. Reading needs the cookie alone.",
                },
                "token": {"type": "http", "scheme": "bearer", "description": "A token with a grant."},
            },
        },
    }


def _operation(route: Route) -> Schema:
    needs = f"Needs the grant {route.grant}." if route.grant else "Open to everybody."
    operation: Schema = {
        "operationId": _name(route),
        "summary": route.summary,
        "description": needs,
        "security": [{"token": []}, {"session": []}] if route.grant else [],
        "responses": {},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for parameter in route.query:
        schema = parameter.schema if parameter.default is None else {**parameter.schema, "default": parameter.default}
        parameters.append(
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.meaning,
                "schema": schema,
            }
        )
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    for status, answer in route.answers.items():
        operation["responses"][str(status)] = {"description": "done", "content": _content(answer)}
    for status in statuses(route):
        response: Schema = {
            "description": MEANINGS[status],
            "content": {"application/json": {"schema": refer("Mistakes" if status == 422 else "Error")}},
        }
        if status == 429:
            response["headers"] = {"Retry-After": {"required": True, "schema": {"type": "string"}}}
        operation["responses"][str(status)] = response
    return operation


def _content(answer: Schema | str) -> Schema:
    if isinstance(answer, str):
        return {kind: {"schema": {"type": "string"}} for kind in answer.split()}
    return {"application/json": {"schema": answer}}


def _name(route: Route) -> str:
    words = [part.strip("{}") for part in re.split(r"[/.]", route.path) if part]
    return "_".join([route.method.lower(), *words])
