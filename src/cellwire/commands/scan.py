"""cellwire scan: what answers on serial ports and by Bluetooth, and what is wrong with those where nothing does."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from ..cli import DONE, NO_ANSWER, USAGE, Failure
from ..families import dialects, spoken
from ..gateway import config
from ..gateway.air import radios
from ..gateway.scan import ALL, LIKELY, UNKNOWN, Document, air, look
from ..links.ble import Radios
from ..links.link import LinkError
from ..links.serial import Port, ports
from .packs import chosen, link_of, main, port_of


def run(options: argparse.Namespace) -> int:
    """Scan ports and air side by side, print what was found, and write it down when told so."""
    return main(lambda: _scan(options), options.verbose)


async def _scan(options: argparse.Namespace) -> int:
    machine = ports()
    links = options.links
    if not links and not options.ble and spoken("", options.family or ""):
        links = [port.by_id or port.device for port in machine]
    # What is wrong is said before anything is asked.
    wanted = {link_of(address).name: chosen(options.family, address) for address in links}
    path = Path(options.config)
    known = _known(path, options.write)
    through = radios(known.bluetooth, known.proxies)
    try:
        looks = [look(address, families, through) for address, families in wanted.items()]
        heard, found = await asyncio.gather(_air(options, through), asyncio.gather(*looks))
    finally:
        await through.close()
    worth = heard if options.all else [document for document in heard if document.get("problem") != UNKNOWN]
    documents = [*found, *worth]
    if options.write:
        write_down(path, known, documents, machine)
    if options.json:
        print(json.dumps(documents, ensure_ascii=False))
    else:
        if not links and not options.ble:
            print("no serial port is there; plug in the adapter, or name a link: cellwire scan tcp:host:port")
        for document in documents:
            show(document, path if options.write else None)
        if len(worth) < len(heard):
            print(f"{len(heard) - len(worth)} other Bluetooth devices are heard; --all shows them")
    return DONE if any(document["packs"] for document in documents) else NO_ANSWER


async def _air(options: argparse.Namespace, through: Radios) -> list[Document]:
    """Return what is there by Bluetooth; where it does not work, only who asked for nothing else has to know."""
    if options.no_ble or (options.links and not options.ble):
        return []
    families = dialects(options.family) or chosen(options.family) if options.family else ()
    try:
        return await air(through, families, (), options.seconds, ALL if options.ask_all else LIKELY)
    except LinkError as error:
        if options.ble:
            raise
        print(f"cellwire: Bluetooth was not looked at: {error}", file=sys.stderr)
        return []


def show(document: Document, path: Path | None = None, file: TextIO | None = None) -> None:
    """Print what was found on one link.

    path: the file to which it was written down; file: where to print, standard output when left out
    """
    heard = [document["name"]] if "name" in document else []
    heard += [f"{document['rssi']} dBm"] if "rssi" in document else []
    heard += [f"heard by {document['radio']}"] if "radio" in document else []
    lines = ["  ".join([document["link"], ", ".join(heard)]).strip()]
    lines += [f"  taken for {taken['family']}: {taken['why']}" for taken in document.get("taken_for", [])]
    for pack in document["packs"]:
        model = f"{pack['model']}, " if "model" in pack else ""
        lines.append(f"  {pack['dialect']} address {pack['address']}: {model}{pack['proof']}")
        lines += [f"    {_told(path, pack)}"] if path else []
    if not document["packs"]:
        lines.append(f"  {document['problem']}: {document['advice']}")
    print("\n".join(lines), file=file)


def _known(path: Path, needed: bool) -> config.Config:
    """Return the configuration as it is, an empty one when there is no file or it is not needed and cannot be used.

    Raise Failure when it is needed, and has mistakes or cannot be read.
    """
    empty = config.parse("", path)
    try:
        return config.load(path) if path.exists() else empty
    except config.ConfigError as error:
        text = f"{path} has mistakes, and nothing was asked or changed:\n{error}"
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}; give this user the right to"
    if needed:
        raise Failure(USAGE, text)
    return empty


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
                mine = {
                    "name": _name(found, document.get("name", ""), taken),
                    "link": _lasting(document["link"], machine),
                }
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


def _name(found: Document, heard: str, taken: set[str]) -> str:
    """Return a name that nothing else has: the model, else the one that it is heard by, else the dialect."""
    for text in (found.get("model", ""), heard, found["dialect"]):
        signs = "".join(sign if sign.isalnum() or sign in "-_." else " " for sign in str(text))
        base = " ".join(signs.split())[:40].strip()
        if any(sign.isalnum() for sign in base):
            break
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
