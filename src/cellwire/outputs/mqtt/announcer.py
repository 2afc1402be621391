"""Tells Home Assistant what there is: publishes discovery messages, repeats, moves and clears them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from ...gateway.config import MqttSettings
from ...gateway.store import Battery, Store
from . import discovery
from .outbox import Message

CALM = 1.0  # seconds without anything new of a pack, after which it is announced
PATIENCE = 30.0  # seconds for a pack that was not read yet to turn out to be one that seems to be gone

Send = Callable[[list[Message]], Awaitable[None]]


class Known:
    """What was seen of one pack or bank since it is settled."""

    def __init__(self, battery: Battery) -> None:
        self.battery = battery  # when it was last live
        self.names: set[str] = set()
        self.described: object = None  # all that its messages are made of
        self.since = 0.0  # when that changed

    def see(self, battery: Battery, now: float) -> None:
        """Take what is seen of it now."""
        self.battery = battery
        self.names |= discovery.seen(battery.readings)
        described = (battery.name, battery.every, battery.packs, battery.identity, len(self.names))
        if described != self.described:
            self.described, self.since = described, now


class Memory:
    """What outlives a connection: what was seen by id, the id that each name last had, and what the log has already."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.identities: dict[str, str] = {}
        self.warned_of_retained = False


class Announcer:
    """The discovery messages on one connection.

    found: retained ones from before, {id: {topic: style}}
    """

    def __init__(
        self, store: Store, settings: MqttSettings, memory: Memory, found: dict[str, dict[str, str]], send: Send
    ) -> None:
        self._store = store
        self._settings = settings
        self._memory = memory
        self._found = found
        self._send = send
        self._style = settings.home_assistant.discovery
        self._said: dict[str, object] = {}  # what the messages were made of that are published, by id
        self._published: dict[str, dict[str, str]] = {}  # payloads by topic, by id
        self._missed: dict[str, float] = {}  # since when nothing of that id is there

    async def look(self) -> None:
        """Publish what is new, clear what is gone; raise MqttError."""
        now = self._store.monotonic()
        for battery in self._store.batteries():
            await asyncio.sleep(0)
            if battery.settled and battery.live and self._style != "off":
                self._memory.known.setdefault(battery.id, Known(battery)).see(battery, now)
            if battery.settled:
                self._memory.identities[battery.name] = battery.id
                await self._announce(battery.id, now)
        await self._clear_what_is_gone(now)

    async def repeat(self, identity: str) -> None:
        """Publish the messages of a pack or bank again."""
        await self._publish(self._published.get(identity, {}))

    @property
    def announced(self) -> list[str]:
        """The ids of all that is announced."""
        return list(self._published)

    async def _announce(self, identity: str, now: float) -> None:
        known = self._memory.known.get(identity)
        if known is None or known.described == self._said.get(identity) or now - known.since < CALM:
            return
        self._said[identity] = known.described
        messages = discovery.messages(known.battery, known.names, self._settings)
        found, before = self._found.get(identity, {}), self._published.get(identity, {})
        # Home Assistant keeps its entities when it is told that their messages move, and the old ones go before the new
        # ones come. What was only not seen yet since a restart stays.
        moving = [topic for topic, style in found.items() if style != self._style] if messages else []
        await self._send([Message(topic, discovery.MIGRATE, 1, retain=False) for topic in moving])
        await self._clear(moving)
        self._found[identity] = {topic: style for topic, style in found.items() if topic not in moving}
        self._published[identity] = messages
        await self._publish({topic: text for topic, text in messages.items() if before.get(topic) != text})
        await self._clear(before.keys() - messages.keys())

    async def _clear_what_is_gone(self, now: float) -> None:
        there = {battery.name: battery for battery in self._store.batteries()}
        for name in self._memory.identities.keys() - there.keys():
            del self._memory.identities[name]
        ours = {battery.id for battery in there.values()} | set(self._memory.identities.values())
        # One that was renamed and did not tell its identity yet may be any of those that seem to be gone.
        strangers = any(not battery.settled and name not in self._memory.identities for name, battery in there.items())
        for identity in {*self._published, *self._found, *self._memory.known}:
            if self._style != "off" and identity in ours:
                self._missed.pop(identity, None)
            elif self._style == "off" or not strangers or now - self._missed.setdefault(identity, now) > PATIENCE:
                topics = self._published.pop(identity, {}).keys() | self._found.pop(identity, {}).keys()
                for memory in (self._memory.known, self._said, self._missed):
                    memory.pop(identity, None)
                await self._clear(topics)

    async def _publish(self, messages: dict[str, str]) -> None:
        await self._send([Message(topic, payload, 1) for topic, payload in messages.items()])

    async def _clear(self, topics: Iterable[str]) -> None:
        await self._send([Message(topic, "", 1) for topic in sorted(topics)])
