"""Serves all packs and banks over Modbus TCP and RTU, with a map of its own and as SunSpec batteries."""

import asyncio
from typing import Any

from ...gateway.config import ModbusSettings
from ...gateway.control import Control, Who
from ...gateway.store import Store
from ..offer import SettingsReader
from .answers import Answers
from .place import Place
from .rtu import RtuServer
from .tcp import TcpServer
from .units import Units
from .writes import Writes


class Modbus:
    """Serves all packs and banks over Modbus TCP and RTU; docs/modbus.md is its other half."""

    title = "modbus"

    def __init__(self, store: Store, settings: ModbusSettings, control: Control | None = None) -> None:
        who = Who("modbus", "modbus", settings.grant)
        self._reader = SettingsReader(store, control, who) if control else None
        self._units = Units(store, settings.units, settings.invert_current, control)
        self._answers = Answers(self._units, Writes(self._units, control, settings.grant, self._reader))
        self._tcp = TcpServer(settings.listen, settings.allow, self._answers) if settings.listen else None
        self._rtu = (
            RtuServer(settings.serial, settings.baud, settings.parity, self._answers) if settings.serial else None
        )
        self._places: list[Place] = [place for place in (self._tcp, self._rtu) if place]
        self._reason = ""

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        reasons = [reason for reason in (self._reason, *(place.reason for place in self._places)) if reason]
        serving = all(place.address for place in self._places)
        document: dict[str, Any] = {"output": "modbus", "name": self.title}
        document["state"] = "failing" if reasons else "running" if serving else "starting"
        if reasons:
            document["reason"] = "; ".join(reasons)
        hints = [place.hint for place in self._places if place.hint]
        if hints:
            document["hint"] = "; ".join(hints)
        document["addresses"] = [place.address for place in self._places if place.address]
        if self._tcp:
            document["clients"] = self._tcp.clients
            document["refused"] = self._tcp.refused
        document["requests"] = self._answers.requests
        document["exceptions"] = self._answers.exceptions
        document["units"] = {str(unit): name for unit, name in self._units.names.items()}
        return document

    async def run(self) -> None:
        """Serve until cancelled."""
        self._reason = ""
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                group.create_task(place.run())
            if self._reader:
                group.create_task(self._reader.run())

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
        self._reason = reason
