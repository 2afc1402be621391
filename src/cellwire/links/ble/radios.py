"""All radios of this machine: what they hear, and who may connect through which of them, and for how long."""

import asyncio
import contextlib
import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import causes
from .advert import Advert, Module
from .causes import BleError, forgiving, naming

if TYPE_CHECKING:
    from .link import BleLink

Heard = Callable[[Advert], None]

LISTEN = 12.0  # seconds after which a device that was not heard is not there; many advertise once in some seconds
SLOTS = 5  # connections that an ordinary adapter bears at a time
TURN = 20.0  # seconds for which a pack keeps its connection while others wait for one
CONNECTING = 6.0  # seconds that making and ending a connection take, for reckoning with


class Radio(ABC):
    """An adapter or a proxy.

    name       "hci0", or the name of the proxy
    slots      connections at a time
    restarted  loop time of the last restart
    busy       held while a connection is made: radios make one at a time
    """

    name: str
    slots: int

    def __init__(self, name: str, slots: int = SLOTS) -> None:
        self.name = name
        self.slots = slots
        self.busy = asyncio.Lock()
        self.holders: list[BleLink] = []
        self.waiting: list[tuple[BleLink, asyncio.Future[None]]] = []
        self.restarted = -math.inf
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
                await self.start(heard)
            self._ears += 1

    async def unlisten(self) -> None:
        """End the scan when nobody else needs it."""
        async with self._scanning:
            self._ears -= 1
            if not self._ears:
                with forgiving():  # a radio that is gone does not scan either
                    await self.stop()

    @abstractmethod
    def client(self, advert: Advert, lost: Callable[[Any], None], pair: bool) -> Any:
        """Return a bleak client for a device, not connected yet; lost(client) is called when it is gone."""

    async def forget(self, advert: Advert) -> None:  # noqa: B027, a radio without a memory has nothing to forget
        """Remove what the system remembers of a device: connections, services, keys it cannot use."""

    async def restart(self) -> None:  # noqa: B027, not every radio can
        """Switch the radio off and on."""

    async def pairing(self, address: str, policy: str, pin: str) -> None:  # noqa: B027
        """Say how a device is to be paired when it asks for it: policy "never", "just-works" or "passkey"."""

    async def close(self) -> None:  # noqa: B027
        """Give everything back."""

    @property
    def free(self) -> int:
        """Connections that nobody has, less those who wait for one."""
        return self.slots - len(self.holders) - len(self.waiting)


class Radios:
    """The radios, found when they are first needed and again after one was missing.

    modules  what the makers' modules look like
    find     find(radios so far) -> the radios that are there now; raises BleError with the cause when there is none
    turn     seconds for which a connection is kept while others wait
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
        self._find = find
        self._heard = asyncio.Event()

    # Radios

    async def there(self) -> list[Radio]:
        """Return the radios that are there; raise BleError when there is none."""
        with naming():
            self.radios = list(await self._find(self.radios))
        if not self.radios:
            raise BleError(causes.NO_ADAPTER)
        return self.radios

    async def close(self) -> None:
        """End everything that goes on."""
        radios, self.radios = self.radios, []
        for radio in radios:
            await radio.close()

    # Devices

    async def find(self, address: str, radio: str = "", seconds: float = LISTEN) -> list[Advert]:
        """Return how the radios heard a device, the loudest first; raise BleError when none does.

        radio: only this one
        """
        radios = self._of(radio, await self.there())
        if not self._known(address, radios):
            await self._listen(radios, seconds, lambda: bool(self._known(address, radios)))
        known = self._known(address, radios)
        if not known:
            raise BleError(causes.UNHEARD)
        return known

    async def scan(self, seconds: float, radio: str = "") -> list[Advert]:
        """Return everything that is heard within so many seconds, each device once, the loudest first."""
        began = asyncio.get_running_loop().time()
        await self._listen(self._of(radio, await self.there()), seconds, lambda: False)
        best: dict[str, Advert] = {}
        for advert in self.seen.values():
            other = best.get(advert.address)
            if advert.at >= began and (other is None or _loudness(advert) > _loudness(other)):
                best[advert.address] = advert
        return sorted(best.values(), key=_loudness, reverse=True)

    def forget(self, address: str) -> None:
        """Hear a device anew before it is connected to again."""
        for key in [key for key in self.seen if key[1] == address]:
            del self.seen[key]

    def _known(self, address: str, radios: Sequence[Radio]) -> list[Advert]:
        names = [radio.name for radio in radios]
        adverts = [self.seen[name, address] for name in names if (name, address) in self.seen]
        return sorted(adverts, key=_loudness, reverse=True)

    def _take(self, advert: Advert) -> None:
        before = self.seen.get((advert.radio, advert.address))
        if before is not None and not advert.name and before.name:
            # Names come in an answer of their own, which is not heard each time.
            advert = Advert(**{**vars(advert), "name": before.name})
        self.seen[advert.radio, advert.address] = advert
        self._heard.set()

    def _of(self, name: str, radios: Sequence[Radio]) -> list[Radio]:
        found = [radio for radio in radios if name in ("", radio.name)]
        if not found:
            raise BleError(causes.NO_ADAPTER)
        return found

    async def _listen(self, radios: Sequence[Radio], seconds: float, enough: Callable[[], bool]) -> None:
        """Let all these radios scan until it is enough or the time is over; raise BleError when none of them can."""
        listening: list[Radio] = []
        error: BleError | None = None
        try:
            for radio in radios:
                try:
                    with naming():
                        await radio.listen(self._take)
                    listening.append(radio)
                except BleError as reason:
                    error = reason
            if not listening and error is not None:
                raise error
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not enough():
                        self._heard.clear()
                        await self._heard.wait()
        finally:
            for radio in listening:
                await radio.unlisten()

    # Connections

    async def slot(self, link: "BleLink", adverts: Sequence[Advert]) -> tuple[Radio, Advert]:
        """Wait for a free connection on one of the radios that hear the device; return it with how it is heard."""
        choice = [(self._named(advert.radio), advert) for advert in adverts]
        # A free one that hears it well; else where the fewest wait.
        radio, advert = max(choice, key=lambda each: (min(each[0].free, 1), _loudness(each[1])))
        if radio.free > 0:
            radio.holders.append(link)
            return radio, advert
        turn = link, asyncio.get_running_loop().create_future()
        radio.waiting.append(turn)
        try:
            await turn[1]
        except asyncio.CancelledError:
            if turn in radio.waiting:
                radio.waiting.remove(turn)
            self.give_back(link, radio)  # when it had been given to us already
            raise
        return radio, advert

    def give_back(self, link: "BleLink", radio: Radio) -> None:
        """Note that a link has no connection any more; the one that waits longest gets it."""
        if link in radio.holders:
            radio.holders.remove(link)
        while radio.waiting and len(radio.holders) < radio.slots:
            other, turn = radio.waiting.pop(0)
            if not turn.done():
                radio.holders.append(other)
                turn.set_result(None)

    def _named(self, name: str) -> Radio:
        return next((radio for radio in self.radios if radio.name == name), self.radios[0])

    def wanted(self, radio: Radio, since: float) -> bool:
        """Return whether somebody else waits for the connection that one has had since a loop time, for its turn."""
        return bool(radio.waiting) and asyncio.get_running_loop().time() - since >= self.turn

    def period(self) -> float:
        """Return the seconds within which each of the links has its turn; 0 where each can keep its connection."""
        slots = sum(radio.slots for radio in self.radios)
        if not slots or len(self.links) <= slots:
            return 0.0
        return math.ceil(len(self.links) / slots) * (self.turn + CONNECTING)


def _loudness(advert: Advert) -> int:
    return -200 if advert.rssi is None else advert.rssi
