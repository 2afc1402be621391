"""cellwire scan: what answers on the serial ports, and what is wrong with those where nothing does."""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..cli import DONE, NO_ANSWER, USAGE, Failure
from ..families import dialects
from ..gateway import config
from ..gateway.scan import Document, look
from ..links.serial import Port, ports
from .packs import chosen, link_of, main, port_of


def run(options: argparse.Namespace) -> int:
    """Scan the ports side by side, print what was found, and write it down when told so."""
    return main(lambda: _scan(options), options.verbose)


async def _scan(options: argparse.Namespace) -> int:
    families = chosen(options.family)
    machine = ports()
    links = options.ports or [port.by_id or port.device for port in machine]
    for address in links:
        link_of(address)  # a wrong one is said before the others are asked
    path = Path(options.config)
    known = _known(path) if options.write else None
    documents = list(await asyncio.gather(*[look(address, families) for address in links]))
    if known:
        write_down(path, known, documents, machine)
    if options.json:
        print(json.dumps(documents, ensure_ascii=False))
    elif not documents:
        print("no serial port is there; plug in the adapter, or name a link: cellwire scan tcp:host:port")
    for document in documents if not options.json else []:
        print(f"{document['link']}")
        for pack in document["packs"]:
            model = f"{pack['model']}, " if "model" in pack else ""
            print(f"  {pack['dialect']} address {pack['address']}: {model}{pack['proof']}")
            if known:
                print(f"    {_told(path, pack)}")
        if not document["packs"]:
            print(f"  {document['problem']}: {document['advice']}")
    return DONE if any(document["packs"] for document in documents) else NO_ANSWER


def _known(path: Path) -> config.Config:
    """Return the configuration as it is, an empty one when there is no file; raise Failure when it has mistakes."""
    try:
        return config.load(path) if path.exists() else config.parse("", path)
    except config.ConfigError as error:
        raise Failure(USAGE, f"{path} has mistakes, and nothing was asked or changed:\n{error}") from None
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be read: {error.strerror}; give this user the right to") from None


def write_down(path: Path, known: config.Config, documents: Sequence[Document], machine: Sequence[Port]) -> None:
    """Add what is new to the file; note in each found pack its name, and whether it was added."""
    packs: list[Document] = [{"name": pack.name, "link": pack.link, "address": pack.address} for pack in known.packs]
    taken = {pack.name for pack in known.packs} | {bank.name for bank in known.banks}
    new: list[Document] = []
    for document in documents:
        several = len(document["packs"]) > 1
        alike = [pack for pack in packs if port_of(pack["link"]) == port_of(document["link"])]
        for found in document["packs"]:
            mine = _claimed(alike, found["address"])
            found["added"] = mine is None and all(pack["address"] is not None for pack in alike)
            if found["added"]:
                mine = {"name": _name(found, taken), "link": _lasting(document["link"], machine)}
                if alike:
                    mine["link"] = alike[0]["link"]
                mine["family"] = found["dialect"]
                if several or alike or len(dialects(found["dialect"])[0].addresses) > 1:
                    mine["address"] = found["address"]
                taken.add(mine["name"])
                new.append(mine)
            if mine:
                found["name"] = mine["name"]
    if new:
        _put(path, new)


def _claimed(alike: Sequence[Document], address: int) -> Document | None:
    """Return the configured pack on this link that was found; one without an address stands for the first found."""
    for pack in alike:
        if pack["address"] == address or (pack["address"] is None and "claimed" not in pack):
            pack["claimed"] = True
            return pack
    return None


def _put(path: Path, new: Sequence[Document]) -> None:
    try:
        if path.exists():
            text = config.read(path)
            for pack in new:
                text = config.with_pack(text, pack, path=path)
        else:
            text = config.first(new)
        config.write(path, text)
    except OSError as error:
        advice = "give this user the right to, or name another file with --config"
        raise Failure(USAGE, f"{path} cannot be written: {error.strerror}; {advice}") from None
    except config.ConfigError as error:
        raise Failure(USAGE, f"{path} was not changed:\n{error}") from None


def _lasting(link: str, machine: Sequence[Port]) -> str:
    """Return the link by the name that its serial port keeps when others are plugged in, where there is one."""
    if not link.startswith("/"):
        return link
    return next((port.by_id for port in machine if port.by_id and port.device == os.path.realpath(link)), link)


def _name(found: Document, taken: set[str]) -> str:
    """Return a name that nothing else has: the model, else the dialect."""
    model = "".join(sign if sign.isalnum() or sign in "-_." else " " for sign in str(found.get("model", "")))
    base = " ".join(model.split())[:40].strip() or found["dialect"]
    base = base if any(sign.isalnum() for sign in base) else found["dialect"]
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return str(name)


def _told(path: Path, pack: Document) -> str:
    if pack["added"]:
        return f"added to {path} as {pack['name']!r}"
    if "name" in pack:
        return f"is in {path} already, as {pack['name']!r}"
    return f"not added: {path} has a pack without an address on this link; write its address there, and scan again"
