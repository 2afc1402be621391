"""Publishes all packs and banks to an MQTT broker."""

import asyncio
from typing import Any

from ...gateway.config import MqttSettings
from ...gateway.events import Events
from ...gateway.store import Store


class Mqtt:
    """Publishes all packs and banks to an MQTT broker."""

    title = "mqtt"

    def __init__(self, store: Store, events: Events, settings: MqttSettings) -> None:
        self.settings = settings

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        return {"output": "mqtt", "name": self.title, "state": "starting"}

    async def run(self) -> None:
        """Publish until cancelled."""
        await asyncio.Event().wait()

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
