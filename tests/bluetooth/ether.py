"""Radios and packs inside the test, without D-Bus and in simulated time: an hour of an adapter passes in seconds."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import air

from cellwire.families import bluetooth
from cellwire.links.ble.advert import Advert, full
from cellwire.links.ble.radios import Heard, Radio, Radios

ADVERTISES = 1.0  # seconds between two advertisements
CONNECTS = 2.0  # seconds that a connection takes
ENDS = 0.5  # seconds that ending one takes


class Refusal(Exception):
    """An error of BlueZ by its name."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(text)
        self.dbus_error = f"org.bluez.Error.{name}"


class Characteristic:
    """One of a module's, with the properties that it has."""

    def __init__(self, uuid: str, properties: Sequence[str]) -> None:
        self.uuid = full(uuid)
        self.properties = list(properties)


class Service:
    """A service with its characteristics."""

    def __init__(self, uuid: str, characteristics: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.uuid = full(uuid)
        self.characteristics = [Characteristic(*each) for each in characteristics]


class Services(list[Service]):
    """What a client found, as bleak has it."""

    def get_characteristic(self, uuid: str) -> Characteristic | None:
        """Return the characteristic of that UUID."""
        return next((one for each in self for one in each.characteristics if one.uuid == uuid), None)


class Pack:
    """A pack on the air, played by its twin.

    rssi      dBm by radio: those that hear it
    here      it is within reach; deaf: it is connected to, and does not answer
    fails     errors of the next connections
    stays     seconds after which it drops a connection; 0: never
    connects  loop times of the connections
    """

    def __init__(self, kind: str, address: str, rssi: dict[str, int] | None = None, pushes: float = 1.0) -> None:
        self.kind = air.KINDS[kind]
        self.address = address
        self.twin = air.twin(kind)
        self.rssi = rssi or {"hci0": -60}
        self.pushes = pushes
        self.here = True
        self.deaf = False
        self.fails: list[Exception] = []
        self.stays: Callable[[], float] = lambda: 0.0
        self.client: Client | None = None
        self.connects: list[float] = []
        self.calls: Counter[str] = Counter()


class Client:
    """Stands for bleak's client."""

    def __init__(self, pack: Pack, radio: "Ether", lost: Callable[[Any], None]) -> None:
        self.pack = pack
        self.radio = radio
        self.lost = lost
        self.services = Services(Service(*each) for each in pack.kind.services)
        self._hear: Callable[[Any, bytearray], None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def connected(self) -> bool:
        """Whether the pack is connected to this client."""
        return self.pack.client is self

    async def connect(self) -> None:
        """Connect after a while, or fail as the pack wants it."""
        self.pack.calls["Connect"] += 1
        assert self.radio.connecting == 0, "a radio makes one connection at a time"
        self.radio.connecting += 1
        try:
            await asyncio.sleep(CONNECTS)
        finally:
            self.radio.connecting -= 1
        if self.pack.fails:
            raise self.pack.fails.pop(0)
        if not self.pack.here or self.pack.client is not None:
            raise Refusal("Failed", "le-connection-abort-by-local")
        if len(self.radio.clients) >= self.radio.really:
            raise Refusal("Failed", "le-connection-concurrent-connection-limit")
        self.pack.client = self
        self.pack.connects.append(asyncio.get_running_loop().time())
        self.radio.clients.append(self)
        self.radio.most = max(self.radio.most, len(self.radio.clients))
        air.restarted(self.pack.twin)
        self._later("push", self.pack.pushes, self._push)
        if stays := self.pack.stays():
            self._later("drop", stays, self.drop)

    def _later(self, what: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[what] = asyncio.get_running_loop().call_later(seconds, call)

    def _push(self) -> None:
        for record in [] if self.pack.deaf else self.pack.twin.pushes():
            self._say(record)
        self._later("push", self.pack.pushes, self._push)

    def _say(self, data: bytes) -> None:
        size = self.pack.kind.mtu
        for at in range(0, len(data), size):
            if self._hear is not None and self.connected:
                self._hear(None, bytearray(data[at : at + size]))

    def _ended(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if self.connected:
            self.pack.client = None
            self.radio.clients.remove(self)

    def drop(self) -> None:
        """End the connection from the pack's side."""
        self._ended()
        self.lost(self)

    async def disconnect(self) -> None:
        """End the connection politely."""
        if self.connected:
            self.pack.calls["Disconnect"] += 1
            await asyncio.sleep(ENDS)
            self._ended()
            self.lost(self)

    async def start_notify(self, characteristic: Any, hear: Callable[[Any, bytearray], None]) -> None:
        """Hear what the pack says from now on."""
        self.pack.calls["StartNotify"] += 1
        self._hear = hear

    async def stop_notify(self, characteristic: Any) -> None:
        """Hear nothing more."""
        self._hear = None

    async def write_gatt_char(self, characteristic: Any, data: bytes, response: bool) -> None:
        """Pass bytes to the pack."""
        if not self.connected:
            raise Refusal("Failed", "Not connected")
        for reply in [] if self.pack.deaf else self.pack.twin.answer(bytes(data)):
            asyncio.get_running_loop().call_later(0.05, self._say, reply)


class Ether(Radio):
    """A radio that hears packs.

    really   connections that it bears, whatever it says
    clients  that are connected; most: at a time so far
    """

    def __init__(self, name: str, packs: Sequence[Pack], slots: int = 3, really: int = 99) -> None:
        super().__init__(name, slots)
        self.packs = packs
        self.really = really
        self.clients: list[Client] = []
        self.connecting = 0
        self.most = 0
        self.restarts = 0
        self.deafened = False
        self.failure: Exception | None = None  # of the next scans
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, heard: Heard) -> None:
        """Tell of every pack that is not connected, again and again."""
        if self.failure is not None:
            raise self.failure
        self._timer = asyncio.get_running_loop().call_later(ADVERTISES / 2, self._beat, heard)

    def _beat(self, heard: Heard) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(ADVERTISES, self._beat, heard)
        for pack in self.packs:
            if pack.here and pack.client is None and self.name in pack.rssi and not self.deafened:
                uuids = tuple(full(uuid) for uuid, _ in pack.kind.services)
                heard(
                    Advert(
                        pack.address, pack.kind.name, pack.rssi[self.name], uuids, pack.kind.makers, {}, self.name,
                        pack, loop.time(),
                    )
                )  # fmt: skip

    async def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def client(
        self, advert: Advert, lost: Callable[[Any], None], pair: bool, services: Sequence[str] | None = None
    ) -> Client:
        """Return a client for a pack."""
        return Client(advert.device, self, lost)

    async def forget(self, advert: Advert) -> None:
        """Count it; there is nothing to forget."""
        advert.device.calls["RemoveDevice"] += 1

    async def reclaim(self, address: str) -> None:
        """Do nothing: nobody else is here."""

    async def pairing(self, address: str, policy: str, pin: str) -> None:
        """Do nothing: these devices are not paired."""

    async def close(self) -> None:
        """Do nothing: there is nothing to give back."""

    async def restart(self) -> None:
        """Lose all connections."""
        self.restarts += 1
        self.deafened = False
        self.failure = None
        for client in list(self.clients):
            client.drop()
        await asyncio.sleep(1.0)


def radios(*ethers: Ether, turn: float = 20.0) -> Radios:
    """Return radios that are always there."""

    async def find(before: Sequence[Radio]) -> Sequence[Radio]:
        return ethers

    return Radios(bluetooth(), find, turn)


def address(number: int) -> str:
    """Return the address of a pack."""
    return f"C8:47:8C:00:00:{number:02X}"


def scattered(seed: int, mean: float) -> Callable[[], float]:
    """Return what gives random seconds of that mean."""
    chance = random.Random(seed)
    return lambda: chance.expovariate(1 / mean)
