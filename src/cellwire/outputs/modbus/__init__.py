"""Serves all packs and banks over Modbus TCP and RTU."""

import asyncio
from typing import Any

from ...gateway.config import ModbusSettings
from ...gateway.store import Store


class Modbus:
    """Serves all packs and banks over Modbus TCP and RTU."""

    title = "modbus"

    def __init__(self, store: Store, settings: ModbusSettings) -> None:
        self.settings = settings

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        return {"output": "modbus", "name": self.title, "state": "starting"}

    async def run(self) -> None:
        """Publish until cancelled."""
        await asyncio.Event().wait()

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
