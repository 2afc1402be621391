"""The page and the HTTP API: `await run(desk, settings)`, or Web to change settings on the way."""

from .desk import ChangeRefused, Desk
from .server import Web, WebError, run

__all__ = ["ChangeRefused", "Desk", "Web", "WebError", "run"]
