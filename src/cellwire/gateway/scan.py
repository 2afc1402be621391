"""What answers on a link, and what is wrong with it where nothing does; as the documents that people are shown."""

from collections.abc import Sequence
from typing import Any

from ..codec.dialect import Dialect
from ..links import open_link
from ..links.ble import Radios
from ..links.link import LinkError
from ..links.serial import ports
from .detect import detect
from .session import Session

Document = dict[str, Any]


def links() -> list[str]:
    """Return the addresses of this machine's serial ports, by id where the system knows one."""
    return [port.by_id or port.device for port in ports()]


async def look(address: str, families: Sequence[Dialect], radios: Radios | None = None) -> Document:
    """Return {link, packs: [{family, dialect, address, model, proof}]}, with problem and advice when there are none.

    Raises ValueError for an address that is none.
    """
    document: Document = {"link": address, "packs": []}
    session = Session(open_link(address, radios))
    try:
        finding = await detect(session, families)
    except LinkError as error:
        return {**document, "problem": type(error).__name__, "advice": str(error)}
    finally:
        await session.close()
    for found in finding.packs:
        pack = {"family": found.dialect.family, "dialect": found.dialect.name, "address": found.address}
        if "model" in found.readings:
            pack["model"] = found.readings["model"]
        document["packs"].append({**pack, "proof": found.proof})
    if not finding.packs:
        document["problem"], document["advice"] = finding.problem, finding.advice
    return document
