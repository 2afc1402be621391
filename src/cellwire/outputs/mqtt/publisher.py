"""Says what is to be published of each pack and bank: availability, state, and single values."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ...gateway.config import MqttSettings
from ...gateway.control import Control
from ...gateway.store import Battery, Readings, Store, problems
from ..offer import known, offered
from .outbox import Message, Outbox
from .retained import Retained
from .state import Steady
from .topics import AVAILABILITY, OFFLINE, ONLINE, STATE, Topics

Document = dict[str, Any]
# Of a state document: what alone is no reason to publish it anew.
PASSING = ("time", "age", "readings")
# Of a state document: what is always of now, the rest is kept from before while nothing was read.
PRESENT = ("state", "reason", "packs", "present", "missing", "warnings")


class Shown:
    """What is published of one pack or bank."""

    def __init__(self, steady: Steady, document: Document, single: set[str]) -> None:
        self.steady = steady
        self.document = document
        self.single = single  # readings with a topic of their own
        self.live: bool | None = None
        self.lasting: Document = {}  # of the document, what does not pass
        self.whole = -math.inf  # when everything was published


class Publisher:
    """Looks at packs and banks, and puts into the outbox what changed since it was published on this connection.

    A pack that was not read since the start has topics only when it had them before.
    """

    def __init__(
        self,
        store: Store,
        settings: MqttSettings,
        topics: Topics,
        outbox: Outbox,
        retained: Retained,
        control: Control | None = None,
    ) -> None:
        self._store = store
        self._control = control
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._bands = asdict(settings.dead_band)
        self._periods = asdict(settings.periods)
        self._shown: dict[str, Shown] = {}
        for name, document in retained.documents.items():
            battery = store.battery(name)
            if battery is not None and battery.kind in document:
                self._shown[name] = self._new(document, retained.single(name))
            else:
                self._clear(retained.topics_of(name))

    @property
    def live(self) -> list[str]:
        """Names of the packs and banks that are said to be online."""
        return [name for name, shown in self._shown.items() if shown.live]

    def names(self) -> list[str]:
        """Return the names of all that is or was there."""
        return list({**self._store.packs, **self._store.banks, **self._shown})

    def turned(self) -> list[str]:
        """Return the names of those that are not live any more, or are again, since they were looked at."""
        return [name for name, shown in self._shown.items() if shown.live != self._store.is_live(name)]

    def look(self, name: str) -> None:
        """Publish what changed of one pack or bank; clear what is there of one that is gone."""
        battery, shown = self._store.battery(name), self._shown.get(name)
        if battery is None:
            if shown is not None:
                del self._shown[name]
                lasts = (*sorted(shown.single), AVAILABILITY, STATE)
                self._clear(self._topics.of(name, last) for last in lasts)
            return
        if shown is None:
            if battery.time is None:
                return
            shown = self._shown[name] = self._new({}, set())
        if battery.live != shown.live:
            shown.live = battery.live
            self._put(name, AVAILABILITY, ONLINE if battery.live else OFFLINE, qos=1)
        now = self._store.monotonic()
        changed = shown.steady.take(battery.readings, now)
        document = self._document(battery, shown)
        lasting = {key: value for key, value in document.items() if key not in PASSING}
        whole = now - shown.whole >= self._settings.refresh
        if whole:
            shown.whole = now
            changed = {*shown.steady.readings, *shown.single}
        if changed or whole or lasting != shown.lasting:
            shown.document, shown.lasting = document, lasting
            self._put(name, STATE, as_json(document))
            self._publish_single(name, shown, changed)

    def repeat(self, name: str) -> None:
        """Publish everything of one pack or bank again."""
        if name in self._shown:
            self._shown[name].whole = -math.inf
            self.look(name)

    def _new(self, document: Document, single: set[str]) -> Shown:
        return Shown(Steady(self._bands, self._periods), document, single)

    def _document(self, battery: Battery, shown: Shown) -> Document:
        """Return the snapshot with the published readings; an id that may still change is left out."""
        if battery.kind == "bank":
            document = self._store.bank_snapshot(self._store.banks[battery.name])
        else:
            document = self._store.snapshot(self._store.packs[battery.name])
        if battery.time is None:
            passed = {key: value for key, value in shown.document.items() if key not in ("age", *PRESENT)}
            document = {**passed, **{key: document[key] for key in PRESENT if key in document}}
        elif not battery.settled:
            del document["id"]
        document["readings"] = dict(shown.steady.readings)
        document["problems"] = problems(shown.steady.readings)
        document.pop("controls", None)
        controls = self._controls(battery, shown.steady.readings)
        return {**document, "controls": controls} if controls else document

    def _controls(self, battery: Battery, published: Readings) -> Readings:
        """Return what a pack shows of the commands that may be done over MQTT; of what moves, what is published."""
        sources = {each.name: each.reading for each in offered(self._control, battery.name, self._settings.grant)}
        if not sources:
            return {}
        found = {}
        for key, value in known(self._store, self._control, battery).items():
            source = sources.get(key.partition("/")[0])
            if source is not None:
                moves = source in published and battery.readings[source] == value
                found[key] = published[source] if moves else value
        return found

    def _publish_single(self, name: str, shown: Shown, changed: Iterable[str]) -> None:
        wanted = shown.steady.readings if self._settings.single else {}
        for reading in sorted(shown.single - wanted.keys()):
            self._put(name, reading, "")
        for reading in sorted(wanted.keys() & changed):
            self._put(name, reading, plain(wanted[reading]))
        shown.single = set(wanted)

    def _put(self, name: str, last: str, payload: str, qos: int = 0) -> None:
        self._outbox.put(Message(self._topics.of(name, last), payload, qos))

    def _clear(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._outbox.put(Message(topic, "", qos=1))


def plain(value: Any) -> str:
    """Return a value as it stands on a topic of its own: texts as they are, all else as in JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """Return the value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
