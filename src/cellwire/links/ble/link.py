"""A link to one device by Bluetooth LE: joins what its notifications bring, and comes back by itself in stages."""

import asyncio
from collections import Counter
from typing import Any

from ..link import AdapterOff, BufferedLink, LinkLost
from . import causes
from .advert import Advert, Module, full, recognise
from .causes import BleError, Cause, forgiving, naming
from .radios import Radio, Radios

CONNECT = 20.0  # seconds for a connection with all its services
ENDING = 3.0  # seconds for a polite end
LAG = 0.5  # seconds that the air may add to an answer
PIECE = 20  # bytes that every module takes in one write

# What is done about a device that does not answer or cannot be connected to, one more each time.
NOTIFY, RECONNECT, FORGET, RESTART = "notify_again", "reconnect", "forget_device", "restart_adapter"
STAGES = (NOTIFY, RECONNECT, FORGET, RESTART)
REST = 300.0  # seconds until all stages are tried again: some packs beep at each connection
RESTARTS = 600.0  # seconds between two restarts of one radio


class BleLink(BufferedLink):
    """One device, and the connection to it while there is one.

    address  "C8:47:8C:00:00:01"; radio: name of the only radio to use, "" for any
    pairing  "never", "just-works" or "passkey", and the pin for it
    speaks   names of the dialects that may go through the service in use, the likeliest first; known when open
    counts   connections, drops and stages of recovery by name
    cause    what went wrong last, in words, "" when nothing did
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
        self.counts: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.cause = ""
        self.advert: Advert | None = None
        self.radio: Radio | None = None
        self.since = 0.0
        self.speaks: tuple[str, ...] = ()
        self._only = radio
        self._service = service
        self._client: Any = None
        self._notify: Any = None
        self._write: Any = None
        self._rest = 0.0  # loop time until which nothing more is tried
        self._stage = 0  # how many stages of recovery were tried since something proved itself
        self._failed = 0  # connections that could not be made since one could
        self._stale = False  # the system remembers something wrong
        if radios is not None:
            radios.links.add(self)

    @property
    def _air(self) -> Radios:
        if self.radios is None:
            raise AdapterOff(f"{self.name}: no radio is at hand here")
        return self.radios

    # Opening

    async def open(self) -> None:
        """Connect; waits for its turn where there are more devices than connections. Raise LinkError with the cause."""
        if self._client is not None:
            return
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

    async def _connect(self) -> None:
        adverts = await self._air.find(self.address, self._only)
        self.radio, self.advert = await self._air.slot(self, adverts)
        async with self.radio.busy:
            await self.radio.pairing(self.address, self.pairing, self.pin)
            client = self.radio.client(self.advert, self._dropped, self.pairing != "never")
            self._client = client
            async with asyncio.timeout(CONNECT):
                await client.connect()
        await self._choose(client)
        self.since = asyncio.get_running_loop().time()
        self.counts["connections"] += 1
        self._failed = 0

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
                    await client.write_gatt_char(write, data[start : start + PIECE], response=not without)
        except BleError as error:
            self._lost(f"{self.name}: {error.cause.advice}")
            raise LinkLost(str(self._noted(error.cause))) from error

    def _dropped(self, client: Any) -> None:
        """Note that the connection is gone without our doing."""
        if client is self._client:
            self.counts["drops"] += 1
            self.causes[causes.DROPPED.name] += 1
            self.cause = causes.DROPPED.advice
            self._lost(f"{self.name}: {causes.DROPPED.advice}")

    # Coming back

    def proved(self) -> None:
        """Note that a whole answer came: whatever was tried has helped."""
        self._stage = self._failed = 0
        self._rest = 0.0

    async def revive(self) -> bool:
        """Do the next thing about a device that is connected and does not answer; return whether to open anew."""
        now = asyncio.get_running_loop().time()
        if now < self._rest:
            return False
        stage = STAGES[self._stage]
        self._stage += 1
        if self._stage == len(STAGES):
            self._stage, self._rest = 0, now + REST
        self.cause = "connected, and nothing came; the link is renewed"
        self.causes["stalled"] += 1
        if stage == NOTIFY and self._client is not None:
            self.counts[NOTIFY] += 1
            with forgiving():
                await self._client.stop_notify(self._notify)
            with forgiving():
                await self._subscribe(self._client)
                return False
        if stage == RECONNECT:
            self.counts[RECONNECT] += 1
        self._stale = self._stale or stage == FORGET
        self._failed = max(self._failed, 4) if stage == RESTART else self._failed
        return True

    async def _repair(self) -> None:
        """Before a connection is made: undo what made earlier ones fail."""
        before = self.advert
        radio = next((each for each in self._air.radios if before and each.name == before.radio), None)
        if before is None or radio is None:
            return
        if self._failed >= 4 and self._may_restart(radio):
            self.counts[RESTART] += 1
            self._failed = 0
            radio.restarted = asyncio.get_running_loop().time()
            async with radio.busy:
                await radio.restart()
            self._air.forget(self.address)
        elif self._stale or self._failed >= 2:
            self.counts[FORGET] += 1
            self._stale = False
            self._air.forget(self.address)
            with forgiving():
                await radio.forget(before)

    def _may_restart(self, radio: Radio) -> bool:
        """Return whether nobody else is connected through a radio, so that switching it off harms nobody."""
        rested = asyncio.get_running_loop().time() - radio.restarted >= RESTARTS
        return self._air.restarts and rested and not any(link is not self for link in radio.holders)

    def _noted(self, cause: Cause) -> Exception:
        self.causes[cause.name] += 1
        self.cause = cause.advice
        self._stale = self._stale or cause.stale
        if not cause.radio:
            self._failed += cause is not causes.UNHEARD
        if cause.stale or cause is causes.ABORTED:
            self._air.forget(self.address)
        return cause.error(f"{self.name}: {cause.advice}")

    # Ending

    async def close(self) -> None:
        """Disconnect politely: a module that was left without goodbye may not advertise any more."""
        self._lost(f"{self.name} was closed")
        await self._end()

    async def _end(self) -> None:
        client, self._client = self._client, None
        radio, self.radio = self.radio, None
        try:
            if client is not None:
                # A caller that is cancelled must not leave the device connected.
                await asyncio.shield(_disconnected(client))
        finally:
            if radio is not None and self.radios is not None:
                self.radios.give_back(self, radio)

    def wanted(self) -> bool:
        """Return whether another device waits for this connection, and this one has had its turn."""
        return self.radios is not None and self.radio is not None and self.radios.wanted(self.radio, self.since)

    def period(self) -> float:
        """Return the seconds within which the device has its turn; 0 where it can keep its connection."""
        return self.radios.period() if self.radios is not None else 0.0

    def health(self) -> dict[str, Any]:
        """Return how the connection goes, for people."""
        loop = asyncio.get_running_loop()
        document: dict[str, Any] = {"connected": self._client is not None and not self._loss}
        radio = self.radio.name if self.radio else self.advert.radio if self.advert else ""
        document["radio"] = radio
        if self.advert is not None and self.advert.rssi is not None:
            document["rssi"] = self.advert.rssi
            document["rssi_age"] = round(loop.time() - self.advert.at, 1)
        if document["connected"]:
            document["connected_for"] = round(loop.time() - self.since, 1)
        document["counts"] = dict(self.counts)
        document["causes"] = dict(self.causes)
        document["last_cause"] = self.cause
        if self.period():
            document["period"] = self.period()
        return document


async def _disconnected(client: Any) -> None:
    with forgiving():
        async with asyncio.timeout(ENDING):
            await client.disconnect()


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
