"""One connection to a broker: what is published on it, what comes in, and the good-bye."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn

import aiomqtt

from ...gateway.config import MqttSettings
from ...gateway.control import Control
from ...gateway.store import Store
from . import retained
from .announcer import Announcer, Memory
from .commands import Commands
from .connection import GOODBYE, hear
from .outbox import Message, Outbox
from .publisher import Publisher
from .topics import AVAILABILITY, OFFLINE, ONLINE, Topics

ROUND = 0.2  # seconds between looks whether packs and banks are still live
ROUNDS = 5  # of these between looks at everything; of a pack that is read there is one with each sample, too
ANNOUNCE = 1.0  # seconds between looks for what Home Assistant is to be told
SPREAD = 2.0  # seconds over which everything is said again when Home Assistant starts
BATCH = 20  # messages on their way at the same time
INSIST = 0.5  # seconds until what does not end is told so again


class Session:
    """What is done on one connection.

    memory: of what Home Assistant was told; commands: those that came. Both are kept from one connection to the next
    """

    def __init__(
        self,
        client: aiomqtt.Client,
        store: Store,
        control: Control | None,
        settings: MqttSettings,
        memory: Memory,
        commands: Commands,
    ) -> None:
        self.published = 0
        self.outbox = Outbox()
        self._client = client
        self._store = store
        self._control = control
        self._settings = settings
        self._memory = memory
        self._commands = commands
        self._topics = Topics(settings.base)
        self._publisher: Publisher | None = None
        self._birth = asyncio.Event()
        self._birth_topic = f"{settings.home_assistant.prefix}/status"

    async def run(self) -> NoReturn:
        """Publish until cancelled; raise MqttError when the connection ends."""
        try:
            await _first_to_fail(self._publish())
        except asyncio.CancelledError:
            await self._say_good_bye()
            raise

    async def _publish(self) -> NoReturn:
        for topic in self._topics.commands:
            hear(self._client, topic, self._commands.take)
            await self._client.subscribe(topic, qos=1)
        found = await retained.look(self._client, self._topics, self._settings)
        for name, document in found.documents.items():
            if isinstance(document.get("id"), str):
                self._memory.identities.setdefault(name, document["id"])
        publisher = Publisher(self._store, self._settings, self._topics, self.outbox, found, self._control)
        announcer = Announcer(self._store, self._settings, self._memory, found, self._send, self._control)
        self._publisher = publisher
        reader = self._commands.reader
        if self._settings.home_assistant.discovery != "off":
            await self._client.subscribe(self._birth_topic)
        await _first_to_fail(
            self._receive(),
            self._tell(),
            self._drain(),
            self._look_around(publisher),
            self._follow(publisher),
            self._announce(announcer, publisher),
            *([reader.run()] if reader else []),
        )

    # Out

    async def _send(self, messages: Sequence[Message]) -> None:
        """Send messages, several at a time, in their order; return when the broker has them."""
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            await asyncio.gather(*(self._client.publish(*message) for message in batch))
            self.published += len(batch)

    async def _drain(self) -> None:
        while True:
            await self._send(await self.outbox.take(BATCH))

    async def _tell(self) -> None:
        """Tell what became of commands."""
        answers = self._commands.answers
        while True:
            answer = await answers.get()
            try:
                await self._send([answer])
            except BaseException:
                answers.put_nowait(answer)  # on the next connection
                raise

    async def _look_around(self, publisher: Publisher) -> None:
        """Look at everything each second, in between whether it is live: what grows old tells nobody."""
        await self._look_at_all(publisher)
        # After the packs: one that is gone must not look alive.
        self.outbox.put(Message(self._topics.status, ONLINE, 1))
        while True:
            for _ in range(ROUNDS):
                await asyncio.sleep(ROUND)
                for name in publisher.turned():
                    publisher.look(name)
            await self._look_at_all(publisher)

    async def _look_at_all(self, publisher: Publisher) -> None:
        for name in publisher.names():
            publisher.look(name)
            await asyncio.sleep(0)

    async def _follow(self, publisher: Publisher) -> None:
        """Look at each pack as soon as something comes of it."""
        async for pack in self._store.watch():
            publisher.look(pack.name)
            await asyncio.sleep(0)

    async def _announce(self, announcer: Announcer, publisher: Publisher) -> None:
        while True:
            await announcer.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANNOUNCE):
                    await self._birth.wait()
                self._birth.clear()
                await self._say_again(announcer, publisher)

    async def _say_again(self, announcer: Announcer, publisher: Publisher) -> None:
        """Repeat what there is, then how it is."""
        identities, names = announcer.announced, publisher.names()
        pause = SPREAD / max(1, len(identities) + len(names))
        for identity in identities:
            await announcer.repeat(identity)
            await asyncio.sleep(pause)
        for name in names:
            publisher.repeat(name)
            await asyncio.sleep(pause)

    async def _say_good_bye(self) -> None:
        """Say that nothing is live any more, as far as there is time for it."""
        self._commands.end()
        answers = self._commands.answers
        names = self._publisher.live if self._publisher else []
        topics = [self._topics.status, *(self._topics.of(name, AVAILABILITY) for name in names)]
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._send([Message(topic, OFFLINE, 1) for topic in topics])
                await self._send([answers.get_nowait() for _ in range(answers.qsize())])

    # In

    async def _receive(self) -> None:
        async for message in self._client.messages:
            payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
            if message.topic.value == self._birth_topic and payload == ONLINE.encode() and not message.retain:
                self._birth.set()


async def _first_to_fail(*works: Coroutine[Any, Any, None]) -> NoReturn:
    """Do all at once, for ever; raise what the first raises that fails, and end the others."""
    # A TaskGroup forgets that it was cancelled when one of its tasks fails at that moment.
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # More than once: the library waits with `wait_for`, which forgets it when an answer comes at that moment.
        while running := [task for task in tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=INSIST)
        await asyncio.gather(*tasks, return_exceptions=True)
    raise done.pop().exception() or AssertionError("it was to go on for ever")
