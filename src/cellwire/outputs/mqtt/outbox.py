"""What waits for the broker: one message a topic, the newest, so that it cannot grow."""

import asyncio
from typing import NamedTuple


class Message(NamedTuple):
    """One message; an empty retained payload clears its topic."""

    topic: str
    payload: str
    qos: int = 0
    retain: bool = True


class Outbox:
    """The waiting messages, in the order in which their topics came."""

    def __init__(self) -> None:
        self._waiting: dict[str, Message] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Let a message wait, in the place of an older one for its topic."""
        self._waiting[message.topic] = message
        self._filled.set()

    async def take(self, most: int) -> list[Message]:
        """Return the messages that wait longest, at least one."""
        await self._filled.wait()
        taken = [self._waiting.pop(topic) for topic in list(self._waiting)[:most]]
        if not self._waiting:
            self._filled.clear()
        return taken
