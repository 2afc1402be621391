"""Shows everything as Prometheus metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..gateway.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(store: Store, links: Sequence[Mapping[str, Any]], health: Mapping[str, Any]) -> str:
    """Return all metrics in the text format."""
    return ""
