"""Packs of other makers, through the library aiobmsble: what it reads goes on as lines of JSON.

The library speaks with the pack, and nothing else: radios, turns, connections and coming back are ours, as with every
Bluetooth link. families/aiobmsble makes readings of the lines.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..link import LinkError, LinkLost, PortMissing
from . import causes
from .advert import Advert
from .causes import BleError, Cause, forgiving, naming
from .link import ENDING, BleLink
from .radios import Radio, Radios
from .waiting import limited, settled

DIALECT = "aiobmsble"
# The types that our own families read, and write to: these come first, and the library's only when they are named.
OURS = ("jikong_bms", "jbd_bms", "daly_bms")

UPDATE = 30.0  # seconds for a sample: some packs are asked a dozen questions, and each up to six times

UNRECOGNISED = Cause(
    "unrecognised",
    "its advertisement is none that the library aiobmsble knows; name its type, like ?type=redodo_bms",
    PortMissing,
    stages=(),
)
UNSUITED = Cause(
    "unsuited",
    "it has not got what the library aiobmsble speaks through with that type; name another, like ?type=redodo_bms",
    PortMissing,
    stages=causes.SERVICES.stages,
)
UNREADABLE = Cause(
    "unreadable", "it answers, and the library aiobmsble makes nothing of that; is it the right type?", LinkLost
)
# What the library raises over an answer that it does not understand.
NONSENSE = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)


class Recognised(NamedTuple):
    """What the library takes a device for: type for the address of a link, maker and model, and why."""

    type: str
    title: str
    why: str


class GuestLink(BleLink):
    """A pack that the library reads: each request is one line, and each answer too.

    type  name of the library's module for it, "" to find it by the advertisement
    """

    def __init__(
        self,
        name: str,
        address: str,
        radios: Radios | None,
        radio: str = "",
        type: str = "",
        pairing: str = "never",
        pin: str = "",
    ) -> None:
        super().__init__(name, address, radios, radio, pairing=pairing, pin=pin)
        self.speaks = (DIALECT,)
        self.type = type

    async def open(self) -> None:
        """Connect, and log in where the pack wants it; raise LinkError with the cause."""
        if not await asyncio.to_thread(_library):
            raise LinkError(
                f"{self.name}: packs of other makers are read by the library aiobmsble, which is not here; with Python "
                "3.12 or newer, `pip install 'cellwire[aiobmsble]'`"
            )
        await super().open()

    def _made(self, radio: Radio, advert: Advert) -> Any:
        kind = _type(self.type, self.name) if self.type else _matching(advert)
        if kind is None:
            raise BleError(UNRECOGNISED)
        if not self.type and _name(kind) in OURS:
            text = f"{self.name}: this is a {kind.bms_id()}, which Cellwire reads itself; write ble:{self.address}"
            raise LinkError(f"{text}, or ?type={_name(kind)} for the library all the same")

        def client(lost: Callable[[Any], None], services: Sequence[str] | None) -> Any:
            def gone(client: Any) -> None:
                lost(client)
                guest.lost()
                self._dropped(guest)

            return radio.client(advert, gone, self.pairing != "never", services)

        guest = _Guest(kind, _Device(advert.address, advert.name or None, client), self.pin)
        return guest

    def _noted(self, cause: Cause) -> Exception:
        return super()._noted(UNSUITED if cause is causes.SERVICES else cause)

    async def _choose(self, client: Any) -> None:
        """Do nothing: the library has chosen."""

    async def _notified_again(self, client: Any) -> bool:
        return False

    async def send(self, data: bytes) -> None:
        """Ask the pack what a line says; the answer arrives as a line. None arrives where the pack does not answer."""
        self._check()
        guest: _Guest = self._client
        work = {b"sample\n": guest.sample, b"device\n": guest.device}.get(data)
        if work is None:
            return
        try:
            with naming():
                document = await self._asked(guest, work)
        except BleError as error:
            self._check()  # a connection that was lost meanwhile is noted already
            failure = self._noted(error.cause)
            self._lost(str(failure))
            raise failure from error
        if document:
            document |= {"type": guest.type, "address": self.address}
            self._arrived(json.dumps(document, default=str).encode() + b"\n")

    async def _asked(self, guest: "_Guest", work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
        asking = asyncio.ensure_future(limited(work(), UPDATE))
        ends: set[asyncio.Future[Any]] = {asking, guest.gone}
        try:
            # The library would wait for the answer of a pack that is gone.
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise BleError(causes.DROPPED)
            return asking.result()
        except TimeoutError:
            return {}  # the library has asked several times
        except NONSENSE:
            self.recovery.note(UNREADABLE)
            return {"sample": {}}
        finally:
            asking.cancel()


@dataclass(frozen=True)
class _Device:
    """What the library is given in place of bleak's device; client(lost, services) is a bleak client for it."""

    address: str
    name: str | None
    client: Callable[[Callable[[Any], None], Sequence[str] | None], Any]


class _Guest:
    """One of the library's classes for one connection, in the shape of a client that BleLink connects.

    gone  done when the connection is
    """

    def __init__(self, kind: Any, device: _Device, secret: str) -> None:
        from aiobmsble import BMSConfig

        self.type = _name(kind)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bms = kind(device, BMSConfig(keep_alive=True, secret=secret))

    def lost(self) -> None:
        """Note that the connection is gone."""
        if not self.gone.done():
            self.gone.set_result(None)

    async def connect(self) -> None:
        """Connect, and do all that the pack wants before it is asked."""
        await self._bms.__aenter__()

    async def disconnect(self) -> None:
        """End what goes on by itself, and the connection."""
        await self._bms.disconnect()

    async def sample(self) -> dict[str, Any]:
        """Return what the pack measures, and nothing that can be worked out from it."""
        return {"sample": _plain(await self._bms.async_update(raw=True))}

    async def device(self) -> dict[str, Any]:
        """Return what it says of itself, over what is known of its type; not every pack that should says it."""
        told: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            told = await self._bms.device_info()
        return {"device": {**self._bms.INFO, **told}}


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a sample: a sensor is its value, and the name of the place where it sits."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "type"):
        return {"value": value.value, "type": value.type.name}
    return value


# The library


def _library() -> bool:
    """Load the library and all its types; return whether it is here. Its connections are made by our radios then."""
    try:
        from aiobmsble import basebms
        from aiobmsble.utils import load_bms_plugins
    except ImportError:
        return False
    load_bms_plugins()
    # Its tests put their clients into the same place. Ours know the way through adapter or proxy, and do not try again
    # by themselves: BleLink does, in stages, and gives up its turn to others.
    basebms.BleakClient = _client
    basebms.establish_connection = _connected
    return True


class _NotYet:
    """Stands where the library has a client before it has connected one."""

    is_connected = False

    async def disconnect(self) -> None:
        """Do nothing: nothing is connected."""


def _client(*_: Any, **__: Any) -> _NotYet:
    return _NotYet()


async def _connected(
    client_class: Any,
    device: _Device,
    name: str,
    disconnected_callback: Callable[[Any], None],
    services: Sequence[str] | None,
) -> Any:
    client = device.client(disconnected_callback, services)
    connected = False
    try:
        await client.connect()
        connected = True
    finally:
        if not connected:
            with forgiving():
                await settled(client.disconnect(), ENDING)
    return client


def _name(kind: Any) -> str:
    return str(kind.get_bms_module().rpartition(".")[2])


def types() -> dict[str, Any]:
    """Return the library's classes by the names of their modules, without the one that is a template."""
    from aiobmsble.utils import load_bms_plugins

    kinds = [module.BMS for module in load_bms_plugins()]
    return {_name(kind): kind for kind in sorted(kinds, key=_name) if _name(kind) != "dummy_bms"}


def _type(name: str, link: str) -> Any:
    known = types()
    if name not in known:
        raise LinkError(f"{link}: the library has no type {name}; it has {', '.join(known)}")
    return known[name]


def _matching(advert: Advert) -> Any:
    """Return the library's class for what a device advertises, None when it has none."""
    from aiobmsble.utils import bms_supported
    from bleak.backends.scanner import AdvertisementData

    heard = AdvertisementData(
        advert.name or None, dict(advert.makers), dict(advert.service_data), list(advert.services), None,
        advert.rssi or -127, (),
    )  # fmt: skip
    return next((kind for kind in types().values() if bms_supported(kind, heard, advert.address)), None)


def recognise(advert: Advert) -> Recognised | None:
    """Return what the library takes a device for; None for ours, for what it does not know, and without the library."""
    if not _library():
        return None
    kind = _matching(advert)
    if kind is None or _name(kind) in OURS:
        return None
    signs = [f"the name is {advert.name}"] if advert.name else []
    signs += [f"the maker's number is 0x{company:04X}" for company in advert.makers]
    why = f"{' and '.join(signs) or 'its service'}, which the library aiobmsble takes for a {kind.bms_id()}"
    return Recognised(_name(kind), kind.bms_id(), why)


def address(device: str, found: Recognised) -> str:
    """Return the address of the link to a device that was recognised."""
    return f"aiobmsble:{device}?type={found.type}"
