"""The live stream: what changes, as server-sent events, put into words once for all who listen."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from ...gateway.events import Event
from ...gateway.store import PackState
from .access import Visitor
from .answers import API_HEADERS, HEADERS, Problem, encoded
from .desk import Desk, Document

CLIENTS = 50
EACH = 20  # of them from one address
ROUND = 0.25  # seconds between looks for what changed
LEAST = 0.9  # seconds between two snapshots of one pack: once a second, however the rounds fall
HEARTBEAT = 15.0
HEALTH = 10.0  # seconds between two words about health
STUCK = 60.0  # seconds after which a client that takes nothing is let go
EVENTS = 100  # events kept for a client that is slow
# Who came in, and who changed what, is not for everybody who may read, least of all for guests.
PRIVATE = {"login": "configure", "refused": "configure", "configuration": "configure", "command": "operate"}


class Client:
    """Somebody who listens. What was not taken yet is replaced by what is newer."""

    def __init__(self, request: web.BaseRequest, visitor: Visitor, peer: str = "") -> None:
        self.request = request
        self.visitor = visitor
        self.peer = peer
        self.waiting: dict[str, bytes] = {}  # the newest message by what it is about
        self.events: deque[bytes] = deque(maxlen=EVENTS)
        self.more = asyncio.Event()
        self.ended = False
        self.writing: float | None = None  # since when a write goes on

    def put(self, key: str, message: bytes) -> None:
        """Send a message that replaces an older one with the same key."""
        self.waiting[key] = message
        self.more.set()

    def tell(self, message: bytes) -> None:
        """Send a message that must not be replaced."""
        self.events.append(message)
        self.more.set()

    def end(self) -> None:
        """Let the stream end."""
        self.ended = True
        self.more.set()

    def take(self) -> bytes:
        """Return all that waits."""
        data = b"".join((*self.waiting.values(), *self.events))
        self.waiting.clear()
        self.events.clear()
        self.more.clear()
        return data


class Live:
    """Tells all clients what changes; does nothing while there are none.

    may_stay: whether the visitor may still listen
    """

    def __init__(self, desk: Desk, monotonic: Callable[[], float], may_stay: Callable[[Visitor], bool]) -> None:
        self.desk = desk
        self._monotonic = monotonic
        self._may_stay = may_stay
        self._clients: set[Client] = set()
        self._told: dict[str, tuple[Any, float]] = {}  # what the last message said, and when, by what it is about
        self._names: tuple[str, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        desk.events.hearers.append(self._hear)

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    async def serve(self, request: web.BaseRequest, visitor: Visitor, peer: str) -> web.StreamResponse:
        """Serve one client until it leaves, is no longer allowed, or the server stops."""
        here = sum(client.peer == peer for client in self._clients)
        if self._ended or len(self._clients) >= CLIENTS or here >= EACH:
            text = f"{len(self._clients)} live streams are open already, {here} of them from here; close another page"
            raise Problem(503, "unavailable", text, {"Retry-After": "10"})
        client = Client(request, visitor, peer)
        self._clients.add(client)
        try:
            response = web.StreamResponse(headers={**HEADERS, **API_HEADERS, "X-Accel-Buffering": "no"})
            response.content_type = "text/event-stream"
            response.charset = "utf-8"
            await response.prepare(request)
            self._greet(client)
            if self._task is None:
                self._names = self._now()
                self._task = asyncio.create_task(self._run())
            # A client that left is no error, and nobody is there to be told.
            with contextlib.suppress(ConnectionError):
                await self._write(client, response)
            return response
        finally:
            self._clients.discard(client)
            if not self._clients and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _write(self, client: Client, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        while not client.ended:
            heartbeat = loop.call_later(HEARTBEAT, client.tell, b": \n\n")
            await client.more.wait()
            heartbeat.cancel()
            data = client.take()
            if data and not client.ended:
                client.writing = self._monotonic()
                await response.write(data)
                client.writing = None

    def _greet(self, client: Client) -> None:
        """Tell a new client all there is, in words that are used for the others too where they are new."""
        client.put("", b"retry: 2000\n\n")
        store = self.desk.store
        for pack in store.packs.values():
            client.put(f"pack {pack.name}", message("pack", self._pack(pack)))
        for bank in store.banks.values():
            client.put(f"bank {bank.name}", message("bank", store.bank_snapshot(bank)))
        client.put("health", message("health", self._health()))

    def _pack(self, pack: PackState) -> Document:
        document = pack_document(self.desk, pack)
        # When each reading changed is half of the bytes, and only looked at now and then: GET packs/NAME has it.
        del document["changed"]
        return document

    def _health(self) -> Document:
        return {**self.desk.health(), "clients": self.clients}

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(loop.time(), due + ROUND)
            await asyncio.sleep(due - loop.time())
            self._round()

    def _round(self) -> None:
        now = self._monotonic()
        for client in tuple(self._clients):
            self._check(client, now)
        store = self.desk.store
        names = self._now()
        if names != self._names:
            self._tell_all(message("reload", {}))
            self._told.clear()
        self._names = names
        for pack in store.packs.values():
            self._offer(f"pack {pack.name}", (pack.time, store.state(pack), pack.reason), now, self._pack, pack)
        for bank in store.banks.values():
            said = (bank.time, dict(bank.readings), dict(bank.missing), tuple(bank.warnings))
            self._offer(f"bank {bank.name}", said, now, store.bank_snapshot, bank)
        self._offer("health", now // HEALTH, now, lambda _: self._health(), None)

    def _now(self) -> tuple[str, ...]:
        """Return what there is now, by name."""
        return (*self.desk.store.packs, "", *self.desk.store.banks)

    def _offer(self, key: str, says: Any, now: float, document: Callable[[Any], Document], about: Any) -> None:
        """Send a message to all when it says something new, and not too soon after the last one."""
        before, moment = self._told.get(key, (None, -LEAST))
        if says == before or now - moment < LEAST:
            return
        self._told[key] = (says, now)
        data = message(key.partition(" ")[0], document(about))
        for client in self._clients:
            client.put(key, data)

    def _check(self, client: Client, now: float) -> None:
        transport = client.request.transport
        if transport is None or transport.is_closing():
            client.end()
        elif client.writing is not None and now - client.writing > STUCK:
            transport.abort()
        elif not self._may_stay(client.visitor):
            client.end()

    def _hear(self, event: Event) -> None:
        data = message("event", event_document(event)) if self._clients else b""
        for client in self._clients:
            if is_shown(event.kind, client.visitor):
                client.tell(data)
        if event.kind == "configuration":
            self._tell_all(message("reload", {}))

    def _tell_all(self, data: bytes) -> None:
        for client in self._clients:
            client.tell(data)

    def end_session(self, session: str) -> None:
        """End the streams of a session."""
        for client in self._clients:
            if client.visitor.session == session:
                client.end()

    def end(self) -> None:
        """End all streams, and let none begin."""
        self._ended = True
        with contextlib.suppress(ValueError):
            self.desk.events.hearers.remove(self._hear)
        for client in self._clients:
            client.end()
            # A client that does not take what was written would keep the server from stopping.
            if client.writing is not None and client.request.transport is not None:
                client.request.transport.abort()


def message(kind: str, document: Document) -> bytes:
    """Return a server-sent event; JSON has no line breaks."""
    return b"event: " + kind.encode() + b"\ndata: " + encoded(document) + b"\n\n"


def is_shown(kind: str, visitor: Visitor) -> bool:
    """Return whether events of a kind are shown to a visitor."""
    return visitor.may(PRIVATE.get(kind, ""))


def event_document(event: Event) -> Document:
    """Return an event as JSON shows it."""
    return {
        "time": event.time,
        "kind": event.kind,
        "text": event.text,
        "pack": event.pack,
        "name": event.name,
        "detail": event.detail,
    }


def pack_document(desk: Desk, pack: PackState) -> Document:
    """Return the snapshot of a pack, with how often it is read, since when its alarms are on, and its link."""
    return {
        **desk.store.snapshot(pack),
        "every": pack.every,
        "since": dict(pack.since),
        "changed": dict(pack.changed),
        "link": desk.link_of(pack.name),
    }
