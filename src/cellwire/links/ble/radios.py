"""All radios of this machine: what they hear, and who may connect through which of them, and for how long."""

import asyncio
import contextlib
import math
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import causes
from .advert import Advert, Module
from .causes import BleError, Cause, forgiving, naming
from .waiting import settled

if TYPE_CHECKING:
    from .link import BleLink

Heard = Callable[[Advert], None]

LISTEN = 12.0  # seconds after which a device that was not heard is not there; many advertise once in some seconds
LINGER = 1.0  # seconds for which the other radios may still hear what one has heard
FRESH = 10.0  # seconds for which the system keeps what it needs for connecting to a device that it heard
REMEMBERED = 60.0  # seconds for which it is known which radios hear a device
FORGOTTEN = 600.0  # seconds after which it is not known any more: phones pass by under ever new addresses
ANSWER = 10.0  # seconds in which a radio begins or ends to scan
SLOTS = 5  # connections that an ordinary adapter bears at a time
TURN = 20.0  # seconds for which a pack keeps its connection while others wait for one
CONNECTING = 6.0  # seconds that making and ending a connection take, for reckoning with
LATELY = 300.0  # seconds for which it counts that a pack wanted a connection, or waited for one
REFUSED = 600.0  # seconds after which a radio that refused a connection may have one more again
RESTARTS = 600.0  # seconds between two restarts of one radio
WORKING = 60.0  # seconds after an answer for which a connection is not cut for the sake of another
DEAF = 3  # times that a radio hears nothing at all, not even a neighbour, until it is restarted


class Radio(ABC):
    """An adapter or a proxy.

    name       "hci0", or the name of the proxy
    slots      connections at a time that it says it bears
    bears      the same, or fewer where it refused one
    busy       held while a connection is made: radios make one at a time
    holders    links that have a connection, or make one
    restarted  loop time of the last restart
    counts     what was done about it: "restart_adapter", "switch_on", "refused"
    trouble    why it cannot be used now, None when it can or nobody has tried yet
    changed    called when it comes or goes by itself
    """

    kind = "adapter"
    name: str
    slots: int
    trouble: Cause | None = None

    def __init__(self, name: str, slots: int = SLOTS) -> None:
        self.name = name
        self.slots = slots
        self.busy = asyncio.Lock()
        self.holders: list[BleLink] = []
        self.restarted = -math.inf
        self.counts: Counter[str] = Counter()
        self.heard = -math.inf  # loop time at which anything was heard
        self.deaf = 0  # times that nothing was heard
        self.dark = False  # it was switched on by us, and has not worked since
        self.changed: Callable[[], None] = lambda: None
        self._refused = -math.inf  # loop time
        self._borne = slots
        self._ears = 0
        self._scanning = asyncio.Lock()

    @abstractmethod
    async def start(self, heard: Heard) -> None:
        """Begin to scan: `heard` is called with everything that advertises."""

    @abstractmethod
    async def stop(self) -> None:
        """End the scan."""

    async def listen(self, heard: Heard) -> None:
        """Scan from now on, if nobody else lets it scan already."""
        async with self._scanning:
            if not self._ears:
                started = False
                try:
                    await settled(self.start(heard), ANSWER)
                    started = True
                finally:
                    if not started:
                        await self._stopped()
            self._ears += 1

    async def unlisten(self) -> None:
        """End the scan when nobody else needs it."""
        async with self._scanning:
            self._ears -= 1
            if not self._ears:
                await self._stopped()

    async def _stopped(self) -> None:
        with forgiving():  # a radio that is gone does not scan either
            await settled(self.stop(), ANSWER)

    @abstractmethod
    def client(
        self, advert: Advert, lost: Callable[[Any], None], pair: bool, services: Sequence[str] | None = None
    ) -> Any:
        """Return a bleak client for a device, not connected yet; lost(client) is called when it is gone.

        services: the only ones that it is to look at
        """

    @abstractmethod
    async def forget(self, advert: Advert) -> None:
        """Remove what the system remembers of a device: connections, services, keys it cannot use."""

    @abstractmethod
    async def reclaim(self, address: str) -> None:
        """End a connection to the device that a program has left behind: it does not advertise while it has one.

        Raise BleError when another program on this machine uses it.
        """

    @abstractmethod
    async def restart(self) -> None:
        """Switch the radio off and on, or on where it is off."""

    @abstractmethod
    async def pairing(self, address: str, policy: str, pin: str) -> None:
        """Say how a device is to be paired when it asks for it: policy "never", "just-works" or "passkey"."""

    @abstractmethod
    async def close(self) -> None:
        """Give everything back."""

    @property
    def there(self) -> bool:
        """Whether it can be used at all now: an adapter that is not there is not found, a proxy comes and goes."""
        return True

    def health(self) -> dict[str, Any]:
        """Return how it goes, for people: {name, kind, slots, used, state, reason}."""
        return {
            "name": self.name,
            "kind": self.kind,
            "slots": self.bears,
            "used": len(self.holders),
            "state": "trouble" if self.trouble else "ready",
            "reason": self.trouble.advice if self.trouble else "",
        }

    @property
    def bears(self) -> int:
        """Connections at a time, as far as is known now."""
        if asyncio.get_running_loop().time() - self._refused < REFUSED:
            return min(self.slots, self._borne)
        return self.slots

    @property
    def free(self) -> int:
        """Connections that nobody has."""
        return self.bears - len(self.holders)

    def refused(self) -> None:
        """Note that the radio bears no more connections than it has, whatever it says."""
        self.counts["refused"] += 1
        self._refused = asyncio.get_running_loop().time()
        self._borne = max(1, sum(link.connected for link in self.holders))


class _Waiting(NamedTuple):
    """A link that waits for a connection, how the radios hear its device, and the radio that it gets."""

    link: "BleLink"
    adverts: Mapping[str, Advert]
    radio: "asyncio.Future[Radio]"


class Radios:
    """The radios, looked for each time that one is needed: adapters come and go.

    modules   what the makers' modules look like
    find      find(radios so far) -> the radios that are there now; raises BleError with the cause when there is none
    turn      seconds for which a connection is kept while others wait
    restarts  whether an adapter may be switched off and on when nothing else helps
    links     all links that ever wanted a connection
    radios    those that are there
    queue     who waits for a connection, the longest first
    """

    def __init__(
        self,
        modules: Sequence[Module],
        find: Callable[[Sequence[Radio]], Awaitable[Sequence[Radio]]],
        turn: float = TURN,
        restarts: bool = True,
    ) -> None:
        self.modules = tuple(modules)
        self.turn = turn
        self.restarts = restarts
        self.links: weakref.WeakSet[BleLink] = weakref.WeakSet()
        self.radios: list[Radio] = []
        self.seen: dict[tuple[str, str], Advert] = {}  # by radio and address
        self.queue: list[_Waiting] = []
        self._known: dict[str, Radio] = {}  # by name, also those that were taken away
        self._crowded: dict[str, float] = {}  # by radio: loop time at which a link had to wait for it
        self._find = find
        self._finding = asyncio.Lock()
        self._heard = asyncio.Event()

    # Radios

    async def there(self) -> list[Radio]:
        """Return the radios that can be used; raise BleError when none is there at all."""
        async with self._finding:
            found: list[Radio] = []
            try:
                with naming():
                    found = list(await self._find(list(self._known.values())))
            finally:
                for radio in found:
                    self._known[radio.name] = radio
                    radio.changed = self._change
                self.radios = [radio for radio in found if radio.there]
                self._dismiss()
        if not found:
            raise BleError(causes.NO_ADAPTER)
        return self.radios

    def _change(self) -> None:
        """Go on with the radios that are there, after one of them came or went by itself."""
        self.radios = [radio for radio in self.radios if radio.there]
        self._dismiss()
        self.share()

    def _dismiss(self) -> None:
        """Let nobody wait for a connection through a radio that is gone."""
        for waiting in list(self.queue):
            if not self.of(tuple(waiting.adverts)):
                self.queue.remove(waiting)
                if not waiting.radio.done():
                    gone = [self._known[name] for name in waiting.adverts if name in self._known]
                    waiting.radio.set_exception(BleError(_trouble(gone)))

    def of(self, names: Sequence[str]) -> list[Radio]:
        """Return the radios of these names that are there."""
        return [radio for radio in self.radios if radio.name in names]

    def may_restart(self, radio: Radio, link: "BleLink | None" = None) -> bool:
        """Return whether switching a radio off cuts no connection that works, but the link's own."""
        now = asyncio.get_running_loop().time()
        others = [other for other in radio.holders if other is not link]
        works = any(now - other.answered < WORKING for other in others)
        return self.restarts and not works and now - radio.restarted >= RESTARTS

    async def restart(self, radio: Radio) -> None:
        """Switch a radio off and on; raise BleError when that fails."""
        radio.counts[causes.RESTART] += 1
        radio.restarted = asyncio.get_running_loop().time()
        radio.deaf = 0
        for key in [key for key in self.seen if key[0] == radio.name]:
            del self.seen[key]
        async with radio.busy:
            with naming():
                await settled(radio.restart(), ANSWER)

    def health(self) -> list[dict[str, Any]]:
        """Return how each radio goes that was ever there, for people; waiting: links that it could have as well."""
        document = []
        for radio in self._known.values():
            waiting = sum(radio.name in each.adverts for each in self.queue)
            document.append({**radio.health(), "waiting": waiting})
        return document

    async def close(self) -> None:
        """End everything that goes on."""
        radios, self.radios, self._known = list(self._known.values()), [], {}
        for radio in radios:
            await radio.close()

    # Devices

    async def find(self, address: str, radio: str = "", seconds: float = 0.0, fresh: float = 0.0) -> list[Advert]:
        """Return how the radios heard a device, the loudest first; raise BleError when none does.

        radio: only this one; seconds: how long to listen; fresh: seconds for which it counts that it was heard before
        """
        radios = self._named(radio, await self.there())
        loop = asyncio.get_running_loop()

        def heard() -> list[Advert]:
            return self._heard_of(address, radios, loop.time() - (fresh or FRESH))

        if not heard():
            began = loop.time()
            with naming():
                for each in radios:
                    await each.reclaim(address)
            async with self._scanning(radios) as scanning:
                if await self._until(lambda: bool(heard()), seconds or LISTEN):
                    await self._until(lambda: len(heard()) >= len(scanning), LINGER)
            if not heard():
                await self._judge(scanning, began)
                raise BleError(causes.UNHEARD)
        return self._heard_of(address, radios, loop.time() - REMEMBERED)

    async def scan(self, seconds: float, radio: str = "") -> list[Advert]:
        """Return everything that is heard within so many seconds, each device once, the loudest first."""
        began = asyncio.get_running_loop().time()
        async with self._scanning(self._named(radio, await self.there())):
            await self._until(lambda: False, seconds)
        best: dict[str, Advert] = {}
        for advert in self.seen.values():
            other = best.get(advert.address)
            if advert.at >= began and (other is None or _loudness(advert) > _loudness(other)):
                best[advert.address] = advert
        return sorted(best.values(), key=_loudness, reverse=True)

    def heard_since(self, address: str, moment: float) -> bool:
        """Return whether any radio heard a device after a loop time."""
        return any(advert.at > moment for (_, other), advert in self.seen.items() if other == address)

    def forget(self, address: str) -> None:
        """Hear a device anew before it is connected to again."""
        for key in [key for key in self.seen if key[1] == address]:
            del self.seen[key]

    def _heard_of(self, address: str, radios: Sequence[Radio], since: float) -> list[Advert]:
        adverts = [self.seen[radio.name, address] for radio in radios if (radio.name, address) in self.seen]
        return sorted((advert for advert in adverts if advert.at >= since), key=_loudness, reverse=True)

    def _take(self, advert: Advert) -> None:
        before = self.seen.get((advert.radio, advert.address))
        if before is not None and not advert.name and before.name:
            # Names come in an answer of their own, which is not heard each time.
            advert = Advert(**{**vars(advert), "name": before.name})
        self.seen[advert.radio, advert.address] = advert
        if advert.radio in self._known:
            self._known[advert.radio].heard = advert.at
        self._heard.set()

    def _named(self, name: str, radios: Sequence[Radio]) -> list[Radio]:
        found = [radio for radio in radios if name in ("", radio.name)]
        if not found:
            raise BleError(_trouble([radio for radio in self._known.values() if name in ("", radio.name)]))
        return found

    @contextlib.asynccontextmanager
    async def _scanning(self, radios: Sequence[Radio]) -> AsyncIterator[list[Radio]]:
        """Let all these radios scan inside; give those that can, or raise BleError when none of them can."""
        listening: list[Radio] = []
        error: BleError | None = None
        try:
            for radio in radios:
                try:
                    await self._listen(radio)
                    listening.append(radio)
                    radio.trouble = None
                except BleError as reason:
                    error = reason
                    radio.trouble = reason.cause
            if not listening and error is not None:
                raise error
            yield listening
        finally:
            for radio in listening:
                await settled(radio.unlisten(), 2 * ANSWER)
            old = asyncio.get_running_loop().time() - FORGOTTEN
            for key in [key for key, advert in self.seen.items() if advert.at < old]:
                del self.seen[key]

    async def _listen(self, radio: Radio) -> None:
        """Let a radio scan; one that is off is switched on where that is allowed, once until it works again."""
        try:
            with naming():
                await radio.listen(self._take)
        except BleError as error:
            if error.cause is not causes.OFF or radio.dark or not self.restarts:
                raise
            radio.dark = True
            radio.counts["switch_on"] += 1
            with forgiving():
                await settled(radio.restart(), ANSWER)
            with naming():
                await radio.listen(self._take)
        radio.dark = False

    async def _until(self, enough: Callable[[], bool], seconds: float) -> bool:
        """Return whether enough was heard within so many seconds, as soon as it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not enough():
                    self._heard.clear()
                    await self._heard.wait()
        return enough()

    async def _judge(self, radios: Sequence[Radio], began: float) -> None:
        """Restart a radio that hears nothing at all, time after time: some hang in their scan until then."""
        for radio in radios:
            radio.deaf = 0 if radio.heard >= began else radio.deaf + 1
            if radio.deaf >= DEAF and self.may_restart(radio):
                with forgiving():
                    await self.restart(radio)

    # Connections

    async def slot(self, link: "BleLink", adverts: Sequence[Advert], first: bool = False) -> tuple[Radio, Advert]:
        """Wait for a free connection on one of the radios that hear the device; return it with how it is heard.

        first: before all who wait already
        """
        future: asyncio.Future[Radio] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(link, {advert.radio: advert for advert in adverts}, future)
        self.queue.insert(0 if first else len(self.queue), waiting)
        self.share()
        if not future.done():
            self._crowd(waiting)
        try:
            radio = await future
        except asyncio.CancelledError:
            if waiting in self.queue:
                self.queue.remove(waiting)
            elif not future.cancelled() and future.exception() is None:
                self.give_back(link, future.result())
            raise
        return radio, waiting.adverts[radio.name]

    def share(self) -> None:
        """Give what is free to those who wait, in the order of their coming."""
        for waiting in list(self.queue):
            free = [radio for radio in self.of(tuple(waiting.adverts)) if radio.free > 0]
            if free and not waiting.radio.done():  # a waiter that was cancelled may not know it yet
                # A radio through which it could not be reached lately is the last choice.
                radio = min(
                    free, key=lambda each: (waiting.link.missed[each.name], -_loudness(waiting.adverts[each.name]))
                )
                self.queue.remove(waiting)
                radio.holders.append(waiting.link)
                waiting.radio.set_result(radio)

    def _crowd(self, waiting: _Waiting) -> None:
        now = asyncio.get_running_loop().time()
        self._crowded.update(dict.fromkeys(waiting.adverts, now))

    def give_back(self, link: "BleLink", radio: Radio) -> None:
        """Note that a link has no connection any more; the one that waits longest gets it."""
        if link in radio.holders:
            radio.holders.remove(link)
        self.share()

    def wanted(self, link: "BleLink") -> bool:
        """Return whether others wait for the connection of a link, and it is its turn to go.

        As many go as others wait: those that answered nothing first, then those that have been connected longest.
        """
        if link.radio is None:
            return False
        rivals = [waiting for waiting in self.queue if link.radio.name in waiting.adverts]
        if not rivals:
            return False
        now = asyncio.get_running_loop().time()
        names = {name for waiting in rivals for name in waiting.adverts}
        had = [
            other
            for radio in self.of(tuple(names))
            for other in radio.holders
            if other.useless or now - other.since >= self.turn
        ]
        had.sort(key=lambda other: (not other.useless, other.since))
        return link in had[: len(rivals)]

    def period(self, link: "BleLink") -> float:
        """Return the seconds within which a link has its turn; 0 where each can keep its connection."""
        now = asyncio.get_running_loop().time()
        crowded = any(set(link.hears).intersection(waiting.adverts) for waiting in self.queue)
        if not crowded and not any(now - self._crowded.get(name, -math.inf) < LATELY for name in link.hears):
            return 0.0
        slots = sum(radio.bears for radio in self.of(link.hears))
        rivals = [each for each in self.links if set(each.hears).intersection(link.hears)]
        asking = sum(each.radio is not None or now - each.asked < LATELY for each in rivals)
        if not slots or asking <= slots:
            return 0.0
        return math.ceil(asking / slots) * (self.turn + CONNECTING)


def _trouble(radios: Sequence[Radio]) -> Cause:
    """Return why none of these radios can be used."""
    return next((radio.trouble for radio in radios if radio.trouble), causes.NO_ADAPTER)


def _loudness(advert: Advert) -> int:
    return -200 if advert.rssi is None else advert.rssi
