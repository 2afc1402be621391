"""Answers as JSON, and the one form that every error has."""

import json
import math
from typing import Any

from aiohttp import web

API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Server": "cellwire",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Problem(Exception):
    """A request that is not done: status, code for programs, and a sentence that says what to do."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers, self.more = status, code, text, headers or {}, more

    def answer(self) -> web.Response:
        """Return the answer that tells it."""
        response = answer({"error": self.text, "code": self.code, **self.more}, self.status)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        response.headers.update(self.headers)
        return response


def encoded(value: Any) -> bytes:
    """Return the value as JSON; what is not a number becomes null, because JSON has no word for it."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def finite(value: Any) -> Any:
    """Return the value with None in the place of every NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def answer(value: Any, status: int = 200) -> web.Response:
    """Return the value as a JSON answer."""
    return raw_answer(encoded(value), status)


def raw_answer(body: bytes, status: int = 200) -> web.Response:
    """Return bytes that are JSON already as an answer."""
    response = web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
    response.headers.update(API_HEADERS)
    return response


def bad_request(text: str) -> Problem:
    """Return the problem of a request that cannot be understood."""
    return Problem(400, "bad_request", text)


def not_found(what: str, name: str, known: "list[str]") -> Problem:
    """Return the problem of a name that does not exist, with those that do."""
    there = ", ".join(sorted(known)[:40]) or "none yet"
    return Problem(404, "not_found", f"There is no {what} {printable(name)!r}. There is: {there}")


def printable(text: str) -> str:
    """Return a text of a stranger so that it can be shown: short, nothing that moves the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:64])
