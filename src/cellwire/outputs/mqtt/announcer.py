"""Tells Home Assistant what there is: publishes discovery messages, repeats, moves and clears them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from ...gateway.config import MqttSettings
from ...gateway.control import READ, Command, Control
from ...gateway.store import Battery, Store
from ..offer import granted, offered
from . import controls, discovery
from .outbox import Message
from .retained import Retained

CALM = 1.0  # seconds without anything new of a pack, after which it is announced
PATIENCE = 30.0  # seconds for a pack that was not read yet to turn out to be one that seems to be gone

Send = Callable[[list[Message]], Awaitable[None]]


class Known:
    """What was seen of one pack or bank since it is settled."""

    def __init__(self, battery: Battery) -> None:
        self.battery = battery  # when it was last live
        self.names: set[str] = set()
        self.commands: tuple[Command, ...] = ()  # that may be done over MQTT
        self.certain = False  # whether those were all, once
        self.described: object = None  # all that its messages are made of
        self.since = 0.0  # when that changed

    def see(self, battery: Battery) -> None:
        """Take what is seen of it now."""
        self.battery = battery
        self.names |= discovery.seen(battery.readings)

    def compare(self, now: float) -> None:
        """Note whether it is to be described otherwise."""
        battery = self.battery
        described: object = (
            battery.name, battery.every, battery.packs, battery.identity, len(self.names),
            controls.described(self.commands), self.certain,
        )  # fmt: skip
        if described != self.described:
            self.described, self.since = described, now


class Memory:
    """What outlives a connection: what was seen by id, and the id that each name last had."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.identities: dict[str, str] = {}


class Announcer:
    """The discovery messages on one connection.

    found: retained ones from before
    """

    def __init__(
        self,
        store: Store,
        settings: MqttSettings,
        memory: Memory,
        found: Retained,
        send: Send,
        control: Control | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._memory = memory
        self._found = found.discovery
        self._controls = found.controls  # of commands that have or had an entity, platform by object id, by id
        self._control = control
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
                self._memory.known.setdefault(battery.id, Known(battery)).see(battery)
            if battery.settled:
                self._see_commands(battery)
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

    def _see_commands(self, battery: Battery) -> None:
        """Note which commands may be done; of a pack that is away, which of those that are known still may."""
        known, control, grant = self._memory.known.get(battery.id), self._control, self._settings.grant
        if known is None:
            return
        if control is None or control.allowed(battery.name, grant) == READ:
            known.commands, known.certain = (), True
        elif battery.live and control.commands(battery.name):
            known.commands, known.certain = offered(control, battery.name, grant), True
        else:
            known.commands = granted(control, battery.name, grant, known.commands)
        known.compare(self._store.monotonic())

    async def _announce(self, identity: str, now: float) -> None:
        known = self._memory.known.get(identity)
        if known is None or known.described == self._said.get(identity) or now - known.since < CALM:
            return
        self._said[identity] = known.described
        entities = controls.entities(known.battery, self._settings, known.commands)
        there = {name: platform for name, (platform, _) in entities.items()}
        ever = self._controls.setdefault(identity, {})
        gone = {name: platform for name, platform in ever.items() if name not in there} if known.certain else {}
        ever.update(there)
        messages = discovery.messages(known.battery, known.names, self._settings, known.commands, gone)
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
        if known.certain and messages:
            # Those of commands that may not be done any more since an earlier start.
            old = [topic for topic in found.keys() - messages.keys() if discovery.is_control(topic, self._settings)]
            self._found[identity] = {each: style for each, style in self._found[identity].items() if each not in old}
            await self._clear(old)

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
