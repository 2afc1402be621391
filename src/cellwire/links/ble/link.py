"""A link to one device by Bluetooth LE: joins what its notifications bring, and comes back by itself in stages."""

import asyncio
import math
from collections import Counter
from typing import Any

from ..link import AdapterOff, BufferedLink
from . import causes
from .advert import Advert, Module, full, recognise
from .causes import FORGET, NOTIFY, RECONNECT, RESTART, BleError, Cause, forgiving, naming
from .radios import REMEMBERED, Radio, Radios
from .recovery import Recovery
from .waiting import limited, settled

CONNECT = 20.0  # seconds for a connection with all its services
CHOOSE = 10.0  # seconds for finding out which of its services works
WRITE = 5.0  # seconds for a piece to be taken
ENDING = 5.0  # seconds for a polite end; BlueZ takes two
UNDO = 15.0  # seconds for what is done about a device or a radio before it is tried again
LAG = 0.5  # seconds that the air may add to an answer
PIECE = 20  # bytes that every module takes in one write


class BleLink(BufferedLink):
    """One device, and the connection to it while there is one.

    address   "C8:47:8C:00:00:01"; radio: name of the only radio to use, "" for any
    pairing   "never", "just-works" or "passkey", and the pin for it
    speaks    names of the dialects that may go through the service in use, the likeliest first; known when open
    radio     that it has a connection through, or makes one; hears: names of those that hear the device
    recovery  what went wrong, and what is done about it
    missed    connections that could not be made since the last answer, by radio
    since, asked, answered  loop times: connected since, last wanted a connection, last answer
    """

    lag = LAG
    wireless = True

    def __init__(
        self,
        name: str,
        address: str,
        radios: Radios | None,
        radio: str = "",
        service: str = "",
        pairing: str = "never",
        pin: str = "",
    ) -> None:
        super().__init__(name)
        self.address = address
        self.radios = radios
        self.pairing = pairing
        self.pin = pin
        self.recovery = Recovery()
        self.counts = self.recovery.counts
        self.causes = self.recovery.causes
        self.missed: Counter[str] = Counter()
        self.advert: Advert | None = None
        self.radio: Radio | None = None
        self.hears: tuple[str, ...] = ()
        self.since = math.inf
        self.asked = -math.inf
        self.answered = -math.inf
        self.speaks: tuple[str, ...] = ()
        self._only = radio
        self._service = service
        self._client: Any = None
        self._notify: Any = None
        self._write: Any = None
        self._looked = -math.inf  # loop time until which it was looked for in vain
        self._cut = 0  # connections that ended without an answer, one after the other
        if radios is not None:
            radios.links.add(self)

    @property
    def _air(self) -> Radios:
        if self.radios is None:
            raise AdapterOff(f"{self.name}: no radio is at hand here")
        return self.radios

    @property
    def connected(self) -> bool:
        """Whether bytes can go through."""
        return self.since < math.inf and not self._loss

    @property
    def useless(self) -> bool:
        """Whether it is connected, and nothing that was tried made the device answer."""
        return self.radio is not None and asyncio.get_running_loop().time() < self.recovery.until

    # Opening

    async def open(self) -> None:
        """Connect; waits for its turn where there are more devices than connections. Raise LinkError with the cause."""
        if self._client is not None:
            return
        self._rested()
        self._begin()
        ready = False
        try:
            with naming():
                await self._repair()
                await self._connect()
            ready = True
        except BleError as error:
            raise self._noted(error.cause) from error
        finally:
            if not ready:
                await self._end()
                self._loss = f"{self.name} is not open"

    def _rested(self) -> None:
        """Raise LinkError while the device is left alone."""
        if not self.recovery.told.stages and self._air.heard_since(self.address, self._looked):
            self.recovery.heard()
        if asyncio.get_running_loop().time() < self.recovery.until:
            cause = self.recovery.told
            text = "" if not cause.stages else "; all that helps was tried, it is left alone for five minutes"
            raise cause.error(f"{self.name}: {cause.advice}{text}")

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        adverts = await self._air.find(self.address, self._only, fresh=REMEMBERED)
        self.hears = tuple(advert.radio for advert in adverts)
        self.asked = loop.time()
        # Whose connection was cut before it could be used does not queue again, unless that goes on.
        self.radio, _ = await self._air.slot(self, adverts, 0 < self._cut <= 2)
        # It may have waited for long, and the system forgets soon what it needs for connecting.
        self.advert = (await self._air.find(self.address, self.radio.name))[0]
        self.recovery.heard()
        async with self.radio.busy:
            await limited(self.radio.pairing(self.address, self.pairing, self.pin), UNDO)
            self._client = client = self._made(self.radio, self.advert)
            await limited(client.connect(), CONNECT)
        await limited(self._choose(client), CHOOSE)
        self.since = loop.time()
        self.counts["connections"] += 1

    def _made(self, radio: Radio, advert: Advert) -> Any:
        """Return a client for the device, not connected yet."""
        return radio.client(advert, self._dropped, self.pairing != "never")

    async def _choose(self, client: Any) -> None:
        """Take the first known service whose notifications can be had, and say what its module wants to hear."""
        refused: BleError | None = None
        for service, notify, write in self._channels():
            found = _characteristics(client, service, notify, write)
            if found is None:
                continue
            self._notify, self._write = found
            try:
                with naming():
                    await self._subscribe(client)
            except BleError as error:
                # A module may have a service that it does not let anybody use, beside the one that works.
                refused = error
                continue
            self.speaks = self._spoken(service, notify)
            await self._greet(client)
            return
        raise refused or BleError(causes.SERVICES)

    def _channels(self) -> list[tuple[str, str, str]]:
        """Return what to look for: of the likely makers first, each once."""
        every = [channel for module in self._likely() for channel in module.services]
        return [each for each in dict.fromkeys(every) if self._service.upper() in ("", each[0])]

    def _likely(self) -> list[Module]:
        assert self.advert is not None
        first = [taken.module for taken in recognise(self.advert, self._air.modules)]
        return first + [module for module in self._air.modules if module not in first]

    def _spoken(self, service: str, notify: str) -> tuple[str, ...]:
        modules = [each for each in self._likely() if any(one[:2] == (service, notify) for one in each.services)]
        return tuple(dict.fromkeys(name for module in modules for name in module.speaks))

    async def _subscribe(self, client: Any) -> None:
        await client.start_notify(self._notify, lambda _, data: self._hear(client, bytes(data)))

    def _hear(self, client: Any, data: bytes) -> None:
        if client is self._client:
            self._arrived(data)

    async def _greet(self, client: Any) -> None:
        for module in self._air.modules:
            for uuid, data in module.hello:
                characteristic = client.services.get_characteristic(full(uuid))
                if characteristic is not None:
                    with forgiving():  # it goes without, too
                        await client.write_gatt_char(characteristic, data, response=False)

    # Bytes

    async def send(self, data: bytes) -> None:
        """Write all bytes, in pieces that the module takes."""
        self._check()
        client, write = self._client, self._write
        without = "write-without-response" in write.properties
        try:
            with naming():
                for start in range(0, len(data), PIECE):
                    piece = data[start : start + PIECE]
                    await limited(client.write_gatt_char(write, piece, response=not without), WRITE)
        except BleError as error:
            self._check()  # a connection that was lost meanwhile is noted already
            failure = self._noted(error.cause)
            self._lost(str(failure))
            raise failure from error

    def _dropped(self, client: Any) -> None:
        """Note that the connection is gone without our doing, and let others have it."""
        if client is not self._client or not self.connected:
            return  # we ended it, or it was not made yet: then connecting fails with the cause
        now = asyncio.get_running_loop().time()
        self.recovery.dropped(now)
        if self.answered < self.since:
            self.recovery.failed(causes.DROPPED, now)
        else:
            self.recovery.note(causes.DROPPED)
        self._lost(f"{self.name}: {causes.DROPPED.advice}")
        self._give_back()

    def key(self) -> tuple[str, str]:
        """Return the address of the device and its pin."""
        return self.address, self.pin

    # Coming back

    def proved(self) -> None:
        """Note that a whole answer came: whatever was tried has helped."""
        self.answered = asyncio.get_running_loop().time()
        self.recovery.proved()
        self.missed.clear()
        self._cut = 0

    async def revive(self) -> bool:
        """Do the next thing about a device that is connected and does not answer; return whether to open anew."""
        client = self._client
        if client is None:
            return False
        stage = self.recovery.failed(causes.STALLED, asyncio.get_running_loop().time())
        if stage == NOTIFY:
            self.recovery.due = ""
            self.counts[NOTIFY] += 1
            return not await self._notified_again(client)
        return stage != ""

    async def _notified_again(self, client: Any) -> bool:
        """Ask anew for notifications; return whether that was taken."""
        with forgiving():
            await limited(client.stop_notify(self._notify), WRITE)
        with forgiving():
            await limited(self._subscribe(client), WRITE)
            return True
        return False

    async def _repair(self) -> None:
        """Before a connection is made: do what is to be done about those that failed."""
        stage, self.recovery.due = self.recovery.due, ""
        before = self.advert
        if not stage or before is None:
            return
        radio = next(iter(self._air.of((before.radio,))), None)
        self._air.forget(self.address)
        if stage == RESTART and (radio is None or not self._air.may_restart(radio, self)):
            stage = RECONNECT
        self.counts[stage] += 1
        with forgiving():
            if radio is not None and stage == RESTART:
                await self._air.restart(radio)
            elif radio is not None and stage == FORGET:
                await limited(radio.forget(before), UNDO)

    def _noted(self, cause: Cause) -> Exception:
        """Note a failure; return the error that it becomes."""
        if cause is causes.AUTHENTICATION and self.pairing != "never":
            cause = causes.PAIRING
        now = asyncio.get_running_loop().time()
        self.recovery.failed(cause, now)
        self._looked = now
        if self.radio is not None:
            self.missed[self.radio.name] += 1
            if cause is causes.FULL:
                self.radio.refused()
        if cause is causes.OFF:
            self._air.forget(self.address)  # so that it is looked for, which switches the radio on
        return cause.error(f"{self.name}: {cause.advice}")

    # Ending

    async def close(self) -> None:
        """Disconnect politely: a module that was left without goodbye may not advertise any more."""
        self._lost(f"{self.name} was closed")
        await self._end()

    async def _end(self) -> None:
        client, self._client = self._client, None
        try:
            if client is not None:
                with forgiving():
                    await settled(client.disconnect(), ENDING)
        finally:
            self._give_back()
            self.since = math.inf

    def _give_back(self) -> None:
        radio, self.radio = self.radio, None
        if radio is not None:
            self._cut += not self.since <= self.answered
            self._air.give_back(self, radio)

    def wanted(self) -> bool:
        """Return whether another device waits for this connection, and this one has had its turn."""
        return self.radios is not None and self.radios.wanted(self)

    def period(self) -> float:
        """Return the seconds within which the device has its turn; 0 where it can keep its connection."""
        return self.radios.period(self) if self.radios is not None else 0.0

    def health(self) -> dict[str, Any]:
        """Return how the connection goes, for people.

        connected     bool; connected_for: seconds, while it is
        radio         name of the adapter or proxy in use, or the last one; "" before the first
        rssi          dBm of its last advertisement, rssi_age seconds ago: a device that is connected does not advertise
        drops_an_hour connections that were lost within the last hour
        counts        how often: connections, drops, and the stages of recovery notify_again, reconnect, forget_device,
                      restart_adapter
        causes        failures by name; last_cause: the last one in words, with what to do, "" when there was none
        radio_counts  what was done about the radio, where anything was: switch_on, restart_adapter, refused
        rests         seconds for which nothing is tried, while that is so
        period        seconds within which it has its turn, where more packs want a connection than there are
        """
        now = asyncio.get_running_loop().time()
        advert, radio = self.advert, self.radio or self._last_radio()
        document: dict[str, Any] = {"connected": self.connected, "radio": radio.name if radio else ""}
        if self.connected:
            document["connected_for"] = round(now - self.since, 1)
        if advert is not None and advert.rssi is not None:
            document["rssi"] = advert.rssi
            document["rssi_age"] = round(now - advert.at, 1)
        document["drops_an_hour"] = self.recovery.drops(now)
        document["counts"] = dict(self.counts)
        document["causes"] = dict(self.causes)
        document["last_cause"] = self.recovery.cause
        if radio is not None and radio.counts:
            document["radio_counts"] = dict(radio.counts)
        if now < self.recovery.until:
            document["rests"] = round(self.recovery.until - now, 1)
        if period := self.period():
            document["period"] = period
        return document

    def _last_radio(self) -> Radio | None:
        if self.radios is None or self.advert is None:
            return None
        return next(iter(self.radios.of((self.advert.radio,))), None)


def _characteristics(client: Any, service: str, notify: str, write: str) -> tuple[Any, Any] | None:
    """Return (the one that notifies, the one to write to) of a service; by properties too, as UUIDs may come twice."""
    reads = writes = None
    for each in client.services:
        if each.uuid != full(service):
            continue
        for one in each.characteristics:
            if one.uuid == full(notify) and reads is None and _can(one, "notify", "indicate"):
                reads = one
            if one.uuid == full(write) and writes is None and _can(one, "write-without-response", "write"):
                writes = one
    return (reads, writes) if reads is not None and writes is not None else None


def _can(characteristic: Any, *properties: str) -> bool:
    return any(each in characteristic.properties for each in properties)


def spelled(text: str) -> str | None:
    """Return the address in capitals of "c8:47:8c:00:00:01" or "c8478c000001", None when it is none."""
    digits = text.replace(":", "").replace("-", "").upper()
    if len(digits) != 12 or any(digit not in "0123456789ABCDEF" for digit in digits):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
