"""Brings the history into a database that understands line protocol."""

import asyncio
from typing import Any

from ...gateway.config import InfluxSettings
from ...gateway.events import Events
from ..history import History


class Influx:
    """Brings the history into a database that understands line protocol."""

    title = "influx"

    def __init__(self, history: History | None, events: Events, settings: InfluxSettings) -> None:
        self.settings = settings

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        return {"output": "influx", "name": self.title, "state": "starting"}

    async def run(self) -> None:
        """Publish until cancelled."""
        await asyncio.Event().wait()

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
