"""Takes commands that come over MQTT, has them done one after the other on each pack, and tells what became of each.

Nothing that is old or came before is done: a battery must not be switched by what was meant for another moment.
"""

import asyncio
import contextlib
import json
import logging
import math
from collections import OrderedDict, deque
from datetime import datetime
from typing import Any, NamedTuple

from ...gateway.control import (
    ACTION,
    DONE,
    NOT_CONFIRMED,
    OPERATE,
    REFUSED,
    Command,
    Control,
    Denied,
    OutOfRange,
    Result,
    Who,
    parsed,
)
from ...gateway.events import Events
from ...gateway.release import Releases
from ...gateway.store import Store
from ..offer import SettingsReader
from .outbox import Message
from .publisher import as_json
from .topics import RELEASE, RESULT, Topics

log = logging.getLogger("cellwire")

Document = dict[str, Any]

LATE = 10.0  # seconds after which a command is not done any more
REPEATED = 5.0  # seconds within which the same action is one that was sent twice
LOOK = 0.05  # seconds between looks whether a pack that is busy is free
WAITING = 20  # commands of one pack that wait at most
REMEMBERED = 1000  # ids of commands
UNSENT = 1000  # answers that wait for the broker
LONGEST = 1000  # bytes of a command


class Unfit(Exception):
    """A command that is not done, and why."""


class Order(NamedTuple):
    """One command. key: as written, "calibrate_cell/3"; id: of the sender's, None without; came: when.

    release: it is none for the pack, but the minutes for which it is left to the phone app
    """

    pack: str
    key: str
    value: Any
    id: str | int | None
    came: float
    release: bool = False


class Commands:
    """The commands of one gateway that came over MQTT; outlives connections.

    answers: messages for whoever sent a command
    """

    def __init__(
        self,
        store: Store,
        events: Events,
        control: Control | None,
        grant: str,
        topics: Topics,
        releases: Releases | None = None,
    ) -> None:
        self.answers: asyncio.Queue[Message] = asyncio.Queue(UNSENT)
        self.who = Who("mqtt", "mqtt", grant)
        self.reader = SettingsReader(store, control, self.who) if control else None
        self._store = store
        self._events = events
        self._control = control
        self._releases = releases
        self._topics = topics
        self._warned = False
        self._waiting: dict[str, deque[Order]] = {}  # by pack; the first of them is being done
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._notes: set[asyncio.Task[Any]] = set()  # refusals on their way into the journal
        self._begun: set[str] = set()  # packs whose first command Control has
        self._acted: dict[tuple[str, str], float] = {}  # when an action was last done
        self._known: OrderedDict[tuple[str, str | int], Document] = (
            OrderedDict()
        )  # answers by id, {} while there is none

    # Coming

    def take(self, topic: str, payload: bytes, retain: bool = False, again: bool = False) -> None:
        """Take a message on one of the topics of commands. again: the broker says that it may have come before."""
        name, *rest = self._topics.levels(topic)
        release = rest == [RELEASE]
        key = RELEASE if release else "/".join(rest[1:])
        if retain:
            if payload and not self._warned:
                self._warned = True
                log.warning("mqtt: retained commands are ignored, such as that on %s; send without retain", topic)
            return
        order = Order(name, key, None, None, self._store.monotonic(), release)
        try:
            document = _document(payload)
            order = order._replace(id=_id(document))
            order = order._replace(value=self._value(order, document.get("value")))
            if order.id is not None and (name, order.id) in self._known:
                self._say_again(order)
                return
            if again:
                raise Unfit("the broker says that it may have been sent before; send it anew")
            if "time" in document:
                self._check_time(document["time"])
            self._check(order)
        except Unfit as error:
            self._refuse(order, str(error))
            return
        self._remember(order, {})
        self._waiting.setdefault(name, deque()).append(order)
        if name not in self._workers:
            self._workers[name] = asyncio.create_task(self._work(name))

    def _value(self, order: Order, value: Any) -> Any:
        """Return the value as the command takes it, as it is where it does not: Control says what is wrong.

        Raises Unfit when there is none.
        """
        if value is None or isinstance(value, (dict, list)):
            raise Unfit('it has no "value" that is on or off, a number or a text')
        if order.release:
            return _minutes(value)
        command = self._command(order)
        if command and isinstance(value, str):
            with contextlib.suppress(OutOfRange):
                return parsed(command, value)
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    def _check_time(self, time: Any) -> None:
        """Raise Unfit when a command was not sent now."""
        try:
            moment = float(time) if isinstance(time, (int, float)) else _moment(time)
        except (TypeError, ValueError, OverflowError):
            raise Unfit('its time is neither seconds since 1970 nor such as "2026-11-21T10:00:00Z"') from None
        age = self._store.clock() - moment
        if not -LATE <= age <= LATE:
            way = "old" if age > 0 else "in the future; put the clocks right"
            raise Unfit(f"it is {abs(age):.0f} s {way}")

    def _check(self, order: Order) -> None:
        """Raise Unfit when a command is not to be done."""
        battery = self._store.battery(order.pack)
        if battery is None:
            raise Unfit(f"there is no pack or bank {order.pack}")
        if battery.kind == "bank":
            raise Unfit(f"{order.pack} is a bank; send it to each of its packs: {', '.join(battery.packs)}")
        if (self._releases if order.release else self._control) is None:
            raise Unfit("nothing can be changed here")
        waiting = self._waiting.get(order.pack, ())
        same = (order.release, order.key, order.value)
        if any((other.release, other.key, other.value) == same for other in waiting):
            raise Unfit("the same is being done already")
        acted = self._acted.get((order.pack, order.key))
        if acted is not None and order.came - acted < REPEATED:
            raise Unfit(f"the same was done less than {REPEATED:.0f} s ago")
        if len(waiting) >= WAITING:
            raise Unfit(f"{order.pack} is busy: {WAITING} commands wait for it")

    def _command(self, order: Order) -> Command | None:
        if order.release:
            return None
        there = self._control.commands(order.pack) if self._control else ()
        return next((command for command in there if command.name == order.key.partition("/")[0]), None)

    # Being done

    async def _work(self, name: str) -> None:
        """Do the commands of a pack, until none is left."""
        waiting = self._waiting[name]
        while waiting:
            try:
                await self._do(waiting[0])
            except Exception:
                log.exception("mqtt: an error in Cellwire itself, please report it")
                self._tell(
                    waiting[0], self._result(waiting[0], NOT_CONFIRMED, "an error in Cellwire itself; see its log")
                )
            waiting.popleft()
            self._begun.discard(name)
        del self._waiting[name], self._workers[name]

    async def _do(self, order: Order) -> None:
        control = self._control
        while control and control.busy(order.pack) and not self._is_late(order):
            await asyncio.sleep(LOOK)
        if self._is_late(order):
            self._forget(order)
            self._refuse(order, f"the pack was busy for {LATE:.0f} s")
            return
        self._begun.add(order.pack)
        if order.release:
            await self._release(order)
            return
        assert control is not None
        command = self._command(order)
        if command and command.kind == ACTION:
            self._acted[order.pack, order.key] = math.inf
        try:
            (result,) = await control.write(order.pack, {order.key: order.value}, self.who)
        finally:
            if command and command.kind == ACTION:
                self._acted[order.pack, order.key] = self._store.monotonic()
        self._tell(order, result)
        battery = self._store.battery(order.pack)
        if self.reader and battery and command and command.grant != OPERATE and result.frames:
            self.reader.again(battery.id)

    async def _release(self, order: Order) -> None:
        assert self._releases is not None
        try:
            released = await self._releases.release(order.pack, order.value, self.who)
        except (Denied, ValueError) as error:
            self._forget(order)
            self._refuse(order, str(error))
            return
        self._tell(order, Result(order.pack, order.key, order.value, result=DONE, reason=released.text))

    def _is_late(self, order: Order) -> bool:
        return self._store.monotonic() - order.came > LATE

    # Being told

    def _refuse(self, order: Order, reason: str) -> None:
        """Tell that a command is not done that Control never heard of, and write it down."""
        result = self._result(order, REFUSED, reason)
        self._send(order, result.document())
        if self._control is not None:
            note = asyncio.create_task(self._control.note([result], self.who))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)
            return
        document = {key: value for key, value in result.document().items() if key != "pack"}
        self._write_down(order, f"{order.pack}: {order.key} over MQTT was refused: {reason}", document)

    def _write_down(self, order: Order, text: str, detail: Document) -> None:
        battery = self._store.battery(order.pack)
        identity = battery.id if battery and battery.settled else ""
        self._events.add("command", text, identity, order.pack, **detail, who=self.who.name, source=self.who.source)

    def _result(self, order: Order, result: str, reason: str) -> Result:
        command = self._command(order)
        # What is not known may be a secret.
        value = order.value if order.release or (command and not command.secret) else None
        return Result(order.pack, order.key, value, result=result, reason=reason)

    def _tell(self, order: Order, result: Result) -> None:
        document = result.document()
        self._remember(order, document)
        self._send(order, document)

    def _send(self, order: Order, document: Document) -> None:
        if self.answers.full():
            self.answers.get_nowait()
        answer = document if order.id is None else {**document, "id": order.id}
        self.answers.put_nowait(Message(self._topics.of(order.pack, RESULT), as_json(answer), 1, retain=False))

    def _remember(self, order: Order, document: Document) -> None:
        if order.id is not None:
            self._known[order.pack, order.id] = document
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _forget(self, order: Order) -> None:
        """Let a command that was not done come again."""
        if order.id is not None:
            self._known.pop((order.pack, order.id), None)

    def _say_again(self, order: Order) -> None:
        """Tell what became of a command that came before; when it is not known yet, it will be told."""
        assert order.id is not None
        text = f"{order.pack}: {order.key} over MQTT came again with the id {order.id}; nothing was done"
        self._write_down(order, text, {"command": order.key, "id": order.id})
        document = self._known[order.pack, order.id]
        if document:
            self._send(order, document)

    def end(self) -> None:
        """Do nothing any more; say so of what waits. What is being done goes on to its end."""
        for worker in self._workers.values():
            worker.cancel()
        for name, waiting in self._waiting.items():
            if name in self._begun:
                order = waiting.popleft()
                self._tell(order, self._result(order, NOT_CONFIRMED, "MQTT ended meanwhile; look into the journal"))
            for order in waiting:
                self._refuse(order, "MQTT ended before its turn")
        self._workers.clear()
        self._waiting.clear()
        self._begun.clear()


def _document(payload: bytes) -> Document:
    """Return what a message says, {"value": ...} of a plain one; raise Unfit."""
    if len(payload) > LONGEST:
        raise Unfit(f"it is longer than {LONGEST} bytes")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise Unfit("it is no text") from None
    if not text.lstrip().startswith("{"):
        return {"value": text}
    try:
        document: Document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unfit('it begins like JSON, but is none; write such as {"value": "on"}') from None
    return document


def _minutes(value: Any) -> float:
    """Return the minutes of a release; raise Unfit."""
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = math.nan
    if isinstance(value, bool) or not math.isfinite(minutes):
        raise Unfit("write the minutes for which the pack is to be released, such as 10; 0 takes it back")
    return minutes


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _id(document: Document) -> str | int | None:
    """Return the id that the sender gave a command; raise Unfit."""
    identity = document.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (str, int, type(None))):
        raise Unfit("its id is neither a text nor a number")
    return identity


def _moment(text: str) -> float:
    """Return the time in seconds since 1970; raise TypeError or ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without a zone it could be any time")
    return moment.timestamp()
