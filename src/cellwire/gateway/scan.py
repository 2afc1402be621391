"""What answers on a link, and what is wrong with it where nothing does; as the documents that people are shown."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from ..codec.dialect import Dialect
from ..families import dialects, guests
from ..links import open_link
from ..links.ble import Advert, BleLink, Radios, guest
from ..links.ble.advert import recognise
from ..links.ble.causes import BleError
from ..links.link import LinkError, LinkLost
from ..links.serial import ports
from .detect import Finding, detect
from .session import Session

Document = dict[str, Any]

UNKNOWN = "unknown"  # problem of a device that is taken for nothing
NOBODY, LIKELY, ALL = "nobody", "likely", "all"  # who is asked of those that are heard
SECONDS = 8.0  # of listening; most packs advertise once a second, some once in five


def links() -> list[str]:
    """Return the addresses of this machine's serial ports, by id where the system knows one."""
    return [port.by_id or port.device for port in ports()]


async def look(address: str, families: Sequence[Dialect], radios: Radios | None = None) -> Document:
    """Return {link, packs: [{family, dialect, address, model, proof}]}, with problem and advice when there are none.

    Of a Bluetooth device also how it is heard. Raises ValueError for an address that is none.
    """
    link = open_link(address, radios)
    session = Session(link)
    try:
        finding = await _asked(session, families)
    except LinkError as error:
        finding = Finding([], type(error).__name__, str(error))
    finally:
        await session.close()
    advert = link.advert if isinstance(link, BleLink) else None
    document: Document = {"link": address, **(_heard(advert) if advert else {}), "packs": []}
    for found in finding.packs:
        pack = {"family": found.dialect.family, "dialect": found.dialect.name, "address": found.address}
        if "model" in found.readings:
            pack["model"] = found.readings["model"]
        document["packs"].append({**pack, "proof": found.proof})
    if not finding.packs:
        document["problem"], document["advice"] = finding.problem, finding.advice
    return document


async def _asked(session: Session, families: Sequence[Dialect]) -> Finding:
    """Return what answers on a link; on the air a connection that breaks at once is worth a second one."""
    try:
        return await detect(session, families)
    except LinkLost:
        if not session.link.wireless:
            raise
        return await detect(session, families)


async def air(
    radios: Radios,
    families: Sequence[Dialect] = (),
    used: Collection[str] = (),
    seconds: float = SECONDS,
    ask: str = LIKELY,
) -> list[Document]:
    """Return a document of each Bluetooth device that is heard and not used, the loudest first, after asking it.

    The documents are those of `look`, with {name, rssi, radio, taken_for: [{family, why}]} as far as it is known. Only
    devices with a sign of their maker's own are connected to: a connection makes some packs beep and locks their
    owner's phone out, and they may be a neighbour's. With ALL those are asked too that have but a service that many
    makers use; with NOBODY none. Our families say nothing to a device that is known to be another maker's; a guest is
    asked for there.

    families: what to ask for, guests included; () for all
    used: links, as "ble:C8:47:8C:00:00:01", that are left alone
    Raises LinkError where there is no Bluetooth.
    """
    families = families or (*dialects(), *guests())
    try:
        adverts = await radios.scan(seconds)
    except BleError as error:
        raise error.cause.error(error.cause.advice) from error
    free = [advert for advert in adverts if f"ble:{advert.address}" not in used]
    return list(await asyncio.gather(*[_device(advert, families, radios, ask) for advert in free]))


async def _device(advert: Advert, families: Sequence[Dialect], radios: Radios, ask: str) -> Document:
    names = {dialect.name for dialect in families}
    taken = recognise(advert, radios.modules)
    strong = [each for each in taken if each.strong]
    other = None if strong else await asyncio.to_thread(guest.recognise, advert)
    link = f"ble:{advert.address}"
    told: list[Document] = []
    asked: set[str] = set()
    if not other:
        likely = [each for each in strong or taken if names.intersection(each.module.speaks)]
        told = [{"family": each.module.family, "why": each.why} for each in likely]
        asked = {name for each in likely if strong or ask == ALL for name in each.module.speaks}
    elif guest.DIALECT in names:
        link = guest.address(advert.address, other)
        told, asked = [{"family": guest.DIALECT, "why": other.why}], {guest.DIALECT}
    document: Document = {"link": link, **_heard(advert), "taken_for": told, "packs": []}
    if advert.in_use:
        return {**document, "problem": "in_use", "advice": "a program on this machine is connected to it already"}
    if asked and ask != NOBODY:
        wanted = [dialect for dialect in families if dialect.name in asked]
        return {**document, **await look(link, wanted, radios), "taken_for": told}
    if told:
        why = "it was only listened for" if asked else "many makers' devices look like that, so it was not asked"
        advice = f"{why}; if it is yours: cellwire scan {link}"
        return {**document, "problem": "not_asked", "advice": advice}
    return {**document, "problem": UNKNOWN, "advice": "nothing of it is known here"}


def _heard(advert: Advert) -> Document:
    document: Document = {"name": advert.name.strip("\0 "), "rssi": advert.rssi, "radio": advert.radio}
    return {key: value for key, value in document.items() if value not in ("", None)}
