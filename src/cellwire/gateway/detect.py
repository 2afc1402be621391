"""Finds out what answers on a link: listens first, then asks in the families' probing order, and demands proof."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codec.dialect import Dialect
from ..codec.errors import ProtocolError, Refused
from ..links.ble import BleLink, guest
from ..links.link import Link, PortMissing
from ..readings.derive import derive
from ..readings.gate import Gate
from .errors import LOGIN_ADVICE, NoAnswer
from .poller import LISTEN, foreign_master
from .session import Session

Readings = dict[str, Any]

QUICK = 0.25  # seconds of silence that end a first try; packs answer within 130 ms
BUS = 0.12  # the same on a bus where many addresses are tried; JK PB packs answer within 50 ms
WOKEN = 0.4  # a second try, on a pack that the first one may have woken
HEAR = 6.0  # seconds in which a JK master and its packs have all been heard

IMPLAUSIBLE = "something answers, but its values contradict each other; keep a capture of it: cellwire record"
REFUSED = "a BMS answers and refuses; give --family and --address"


@dataclass
class Found:
    """A pack that proved what it speaks.

    proof: in words, "answered basic: 16 cells add up to 53.1 V"
    """

    dialect: Dialect
    address: int
    readings: Readings
    proof: str
    passive: bool = False


@dataclass
class Finding:
    """What a link turned out to be: packs, or the reason why there are none."""

    packs: list[Found] = field(default_factory=list)
    problem: str = ""
    advice: str = ""


async def detect(
    session: Session,
    dialects: Sequence[Dialect],
    addresses: Sequence[int] = (),
    seconds: float = 13.0,
) -> Finding:
    """Return what answers on the link of the session.

    addresses: board numbers to try instead of the likeliest; on a bus (JK PB) all are tried anyway.
    seconds count from the first question: waiting for a connection and making it take their own time.
    Raises LinkError. Nothing is ever written to a pack.
    """
    causes: Counter[str] = Counter()
    try:
        await session.open()
    except PortMissing as error:
        other = await _other(session.link)
        if not other:
            raise
        raise PortMissing(f"{error}; {other}") from error
    dialects = _possible(session.link.speaks, dialects)
    if not dialects:
        return Finding([], "other", "none of the wanted families goes through the Bluetooth service of this device")
    try:
        async with asyncio.timeout(seconds):
            found = await _detect(session, dialects, addresses, causes)
    except TimeoutError:
        found = []
    if found:
        return Finding(found)
    if not session.link.wireless:
        return Finding([], *_diagnosis(causes))
    problem, advice = _on_air(causes)
    return Finding([], problem, await _other(session.link) or advice)


def _possible(speaks: Sequence[str], dialects: Sequence[Dialect]) -> list[Dialect]:
    """Return the dialects that may go through a link, in the order of their likelihood there."""
    if not speaks:
        return list(dialects)
    return sorted((each for each in dialects if each.name in speaks), key=lambda each: speaks.index(each.name))


async def _detect(
    session: Session, dialects: Sequence[Dialect], addresses: Sequence[int], causes: Counter[str]
) -> list[Found]:
    speeds = list(dict.fromkeys(baud for dialect in dialects for baud in dialect.bauds[:1])) or [115200]
    buses = [dialect for dialect in dialects if dialect.listens]
    if buses:
        await session.set_baud(buses[0].bauds[0])
        if await foreign_master(session, buses[0], LISTEN):
            heard = await _overhear(session, buses[0])
            if heard:
                return heard
    for round_number in (1, 2):
        for baud in speeds:
            await session.set_baud(baud)
            for dialect in dialects:
                if dialect.bauds[:1] == (baud,) or (not dialect.bauds and baud == speeds[0]):
                    found = await _try(session, dialect, addresses, round_number, causes)
                    if found:
                        return found
    return []


async def _try(
    session: Session, dialect: Dialect, addresses: Sequence[int], round_number: int, causes: Counter[str]
) -> list[Found]:
    query = dialect.query(dialect.probe)
    if addresses:
        tried: Sequence[int] = addresses
    elif dialect.listens and round_number == 1:
        tried = dialect.addresses
    else:
        tried = dialect.addresses[: 2 if round_number == 1 else 1]
    patience = min(query.timeout, QUICK if round_number == 1 else WOKEN)
    if len(tried) > 2:
        patience = BUS
    elif query.timeout > 1.0:
        patience *= 2  # the slow ones say so
    found = []
    for address in tried:
        try:
            values = await session.ask(dialect, query, address, {}, 1, patience)
        except NoAnswer as error:
            causes[error.kind] += 1
            continue
        except (Refused, ProtocolError):
            causes["refused"] += 1
            continue
        verdict = Gate(dialect.sum_tolerance).judge(derive(values))
        if verdict and not verdict.startswith(("doubt", "zero")):
            causes["implausible"] += 1
            continue
        found.append(Found(dialect, address, values, _proof(query.name, values)))
        if not addresses and not dialect.listens:
            break
    return found


async def _overhear(session: Session, dialect: Dialect) -> list[Found]:
    listener = dialect.listener()
    heard: dict[int, Readings] = {}

    def take(frame: Any) -> bool:
        for address, values in listener.take(frame):
            if address is not None:
                heard.setdefault(address, {}).update(values)
        return False

    await session.listen(dialect, HEAR, take)
    return [
        Found(dialect, address, values, "heard while another master asked", True)
        for address, values in sorted(heard.items())
    ]


def _proof(query: str, values: Readings) -> str:
    cells = values.get("cell_voltages")
    if cells and "voltage" in values:
        return f"answered {query}: {len(cells)} cells add up to {values['voltage']} V"
    if "voltage" in values:
        return f"answered {query}: {values['voltage']} V"
    return f"answered {query}"


async def _other(link: Link) -> str:
    """Return how to read a device that is known to be another maker's, "" when it is not."""
    if not isinstance(link, BleLink) or link.advert is None or guest.DIALECT in link.speaks:
        return ""
    found = await asyncio.to_thread(guest.recognise, link.advert)
    return f"it looks like a {found.title}, which is read as {guest.address(link.address, found)}" if found else ""


def _on_air(causes: Counter[str]) -> tuple[str, str]:
    """Return (problem, advice) for a radio link on which nothing proved itself: what is wrong then is no cable."""
    if causes["implausible"]:
        return "implausible", IMPLAUSIBLE
    for kind, advice in LOGIN_ADVICE.items():
        if causes[kind]:
            return kind, advice
    if causes["echo"]:
        return "wants_pairing", (
            "the module only sends our questions back, as those do that want to be paired first: "
            'write pairing = "passkey" and pin = the number that the app asks for'
        )
    if causes["damaged"] or causes["incomplete"]:
        return "damaged", "answers begin and do not come whole: pieces are lost on the air; come nearer"
    if causes["noise"]:
        return "noise", (
            "something comes that no JK, JBD or Daly sends: another maker's device, or pieces are lost on the air"
        )
    if causes["refused"]:
        return "refused", REFUSED
    return "silent", (
        "connected, and nothing answers: the BMS behind the module is asleep (connect a charger or a load), "
        "or the module wants its app's password first (write pin)"
    )


def _diagnosis(causes: Counter[str]) -> tuple[str, str]:
    """Return (problem, advice) for a link on which nothing proved itself."""
    if causes["implausible"]:
        return "implausible", IMPLAUSIBLE
    if causes["damaged"]:
        return "damaged", "answers come with wrong checksums; check cable length, ground, and other masters on the line"
    # An echo that comes late is noise to the next question.
    if causes["noise"] + causes["incomplete"] > causes["echo"]:
        return "noise", (
            "bytes come that no known BMS sends; check the baud rate, swap A and B (RS485) or RX and TX (UART), "
            "connect ground, and check that a UART-TTL socket is not on an RS485 adapter"
        )
    if causes["echo"]:
        return "echo", (
            "only our own questions come back: the adapter echoes or TX touches RX; "
            "the pack is not connected, asleep or off"
        )
    if causes["refused"]:
        return "refused", REFUSED
    return "silent", (
        "nothing answers; wake the pack (button, charger or load), swap RX and TX or A and B, connect ground, "
        "check the socket, or give --address for another board number"
    )
