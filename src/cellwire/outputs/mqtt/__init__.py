"""Publishes all packs and banks to an MQTT broker, and keeps at it."""

import asyncio
import logging
import random
from typing import Any, NoReturn

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from ...gateway.config import MqttSettings
from ...gateway.control import Control
from ...gateway.events import Events
from ...gateway.release import Releases
from ...gateway.store import Store
from .announcer import Memory
from .commands import Commands
from .connection import UNSUPPORTED, V5, V311, Broker, NotReady, has_password
from .session import Session
from .topics import Topics

log = logging.getLogger("cellwire")

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds until the next attempt to connect, the last one for ever
JITTER = 0.1  # share of a pause by which it varies, so that many gateways do not come all at once
SETTLED = 30.0  # seconds after which a connection counts as good, and the pauses begin anew


class Mqtt:
    """Publishes all packs and banks to an MQTT broker."""

    title = "mqtt"

    def __init__(
        self,
        store: Store,
        events: Events,
        settings: MqttSettings,
        control: Control | None = None,
        releases: Releases | None = None,
    ) -> None:
        self.control = control
        self.store = store
        self.settings = settings
        self._broker = Broker(settings)
        self._version = V311 if settings.protocol == "3.1.1" else V5
        self._memory = Memory()
        self._commands = Commands(store, events, control, settings.grant, Topics(settings.base), releases)
        self._session: Session | None = None
        self._state = "starting"
        self._reason = ""
        self._said: set[str] = set()  # reasons of the present trouble that are in the log
        self._since: float | None = None  # of the connection, seconds since 1970
        self._lost: float | None = None  # when the present trouble began, by the clock that nobody sets
        self._connections = 0
        self._published = 0  # on earlier connections

    @property
    def status(self) -> dict[str, Any]:
        """How it goes, for health and page."""
        session = self._session
        document: dict[str, Any] = {"output": "mqtt", "name": self._broker.place, "state": self._state}
        if self._reason:
            document["reason"] = self._reason
        if self._since is not None:
            document["connected_since"] = self._since
            document["protocol"] = "5" if self._version is V5 else "3.1.1"
        document["published"] = self._published + (session.published if session else 0)
        document["waiting"] = len(session.outbox) if session else 0
        document["reconnects"] = max(0, self._connections - 1)
        return document

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            await self._connect()
        finally:
            self._commands.end()

    async def _connect(self) -> NoReturn:
        failures = 0
        while True:
            begun = self.store.monotonic()
            error, was_connected = await self._serve()
            auto = self.settings.protocol == "auto"
            if auto and isinstance(error, MqttConnectError) and error.rc == UNSUPPORTED and self._version is V5:
                self._version = V311
                continue
            soon = was_connected and self.store.monotonic() - begun < SETTLED
            if was_connected and not soon:
                failures = 0
            self._fail(self._broker.lost(soon and failures > 0) if was_connected else self._broker.reason(error))
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            failures += 1
            await asyncio.sleep(pause * random.uniform(1 - JITTER, 1))

    async def _serve(self) -> tuple[Exception, bool]:
        """Publish on one connection; return why it ended, and whether there was one."""
        was_connected = False
        try:
            async with self._broker.connected(self._version) as client:
                was_connected = True
                self._connected()
                self._session = Session(client, self.store, self.control, self.settings, self._memory, self._commands)
                await self._session.run()
        except (aiomqtt.MqttError, NotReady) as error:
            return error, was_connected
        finally:
            self._since = None
            if self._session is not None:
                self._published += self._session.published
                self._session = None
        raise AssertionError("a connection ends with an error")

    def _connected(self) -> None:
        self._connections += 1
        self._since = self.store.clock()
        version = "5" if self._version is V5 else "3.1.1"
        if self._lost is not None:
            away = self.store.monotonic() - self._lost
            log.warning("mqtt: connected with %s again after %.0f s: %s", self._broker.place, away, self._reason)
        else:
            log.info("mqtt: connected with %s, MQTT %s", self._broker.place, version)
        self._state, self._reason, self._lost = "running", "", None
        self._said.clear()

    def _fail(self, reason: str) -> None:
        if self._lost is None:
            self._lost = self.store.monotonic()
        self._state, self._reason = "failing", reason
        if reason not in self._said:
            self._said.add(reason)
            log.warning("mqtt: %s", reason)

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""
        self._fail(reason)


__all__ = ["Mqtt", "has_password"]
