"""cellwire scan: what answers on the serial ports, and what is wrong with those where nothing does."""

import argparse
import asyncio
import json
from typing import Any

from ..cli import DONE, NO_ANSWER
from ..codec.dialect import Dialect
from ..gateway.detect import detect
from ..gateway.session import Session
from ..links.link import LinkError
from ..links.serial import ports
from .packs import chosen, link_of, main

Document = dict[str, Any]


def run(options: argparse.Namespace) -> int:
    """Scan the ports side by side, and print what was found."""
    return main(lambda: _scan(options), options.verbose)


async def _scan(options: argparse.Namespace) -> int:
    families = chosen(options.family)
    listed = {port.device: port for port in ports()}
    links = options.ports or [port.by_id or port.device for port in listed.values()]
    documents = await asyncio.gather(*[_look(address, families) for address in links])
    if options.json:
        print(json.dumps(documents, ensure_ascii=False))
    elif not documents:
        print("no serial port is there; plug in the adapter, or name a link: cellwire scan tcp:host:port")
    for document in documents if not options.json else []:
        print(f"{document['link']}")
        for pack in document["packs"]:
            model = f"{pack['model']}, " if "model" in pack else ""
            print(f"  {pack['dialect']} address {pack['address']}: {model}{pack['proof']}")
        if not document["packs"]:
            print(f"  {document['problem']}: {document['advice']}")
    return DONE if any(document["packs"] for document in documents) else NO_ANSWER


async def _look(address: str, families: tuple[Dialect, ...]) -> Document:
    document: Document = {"link": address, "packs": []}
    link = link_of(address)
    session = Session(link)
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
