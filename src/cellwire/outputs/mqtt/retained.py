"""What the broker still holds of this gateway from before."""

import asyncio
import contextlib
import json
from typing import Any

import aiomqtt

from ...gateway.config import MqttSettings
from ...readings.catalogue import BY_NAME
from . import controls, discovery
from .topics import AVAILABILITY, STATE, Topics

QUIET = 0.5  # seconds without a message after which all of them are here
LONGEST = 5.0  # seconds to wait for them at most


class Retained:
    """Retained messages of this gateway; what is not clearly of a Cellwire with this base topic is not among them.

    documents: states by name of the pack or bank
    discovery: {id: {topic: style}}
    controls: platforms of entities of commands, {id: {object id: platform}}
    """

    def __init__(self, topics: Topics, settings: MqttSettings) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.discovery: dict[str, dict[str, str]] = {}
        self.controls: dict[str, dict[str, str]] = {}
        self._topics = topics
        self._settings = settings
        self._lasts: dict[str, set[str]] = {}

    def take(self, topic: str, payload: str) -> None:
        """Take a retained message."""
        owner = discovery.owner(topic, payload, self._settings)
        if owner is not None:
            identity, style = owner
            self.discovery.setdefault(identity, {})[topic] = style
            if style == "device":
                with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
                    self.controls[identity] = controls.kept(payload)
            return
        levels = self._topics.levels(topic)
        if len(levels) != 2:
            return
        name, last = levels
        if last == STATE:
            with contextlib.suppress(ValueError):
                document = json.loads(payload)
                if isinstance(document, dict) and name in (document.get("pack"), document.get("bank")):
                    self.documents[name] = document
        elif last == AVAILABILITY or last in BY_NAME:
            self._lasts.setdefault(name, set()).add(last)

    def single(self, name: str) -> set[str]:
        """Return the readings of a pack or bank that have topics of their own."""
        return self._lasts.get(name, set()) - {AVAILABILITY}

    def topics_of(self, name: str) -> list[str]:
        """Return all topics of a name, the one that tells whose they are last."""
        return [self._topics.of(name, last) for last in (*sorted(self._lasts.get(name, set())), STATE)]


async def look(client: aiomqtt.Client, topics: Topics, settings: MqttSettings) -> Retained:
    """Return what the broker holds; raise MqttError."""
    found = Retained(topics, settings)
    filters = [topics.of_all, *discovery.patterns(settings)]
    for each in filters:
        await client.subscribe(each)
    messages = client.messages
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST):
            while True:
                async with asyncio.timeout(QUIET):
                    message = await anext(messages)
                if message.retain and isinstance(message.payload, bytes):
                    found.take(message.topic.value, message.payload.decode("utf-8", "replace"))
    for each in filters:
        await client.unsubscribe(each)
    return found
