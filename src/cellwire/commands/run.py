"""cellwire run: the gateway, all day, from one configuration file."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ..cli import DONE, USAGE, Failure
from ..families import dialects
from ..gateway import config as files
from ..gateway import scan
from ..gateway.air import radios
from ..gateway.app import Gateway, config_of
from ..gateway.config import Config, ConfigError
from ..gateway.events import Event
from ..gateway.keeper import Keeper
from ..links.ble import Radios
from ..links.link import LinkError
from ..links.serial import ports
from ..outputs.console import Lines, Snapshots, as_json
from ..outputs.history import HistoryError
from ..outputs.web import WebError
from .packs import main
from .scan import show, write_down


def run(options: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; SIGHUP reads the configuration again."""
    path = Path(options.config)
    try:
        if not path.exists() and not path.parent.is_dir():
            raise Failure(USAGE, f"the folder {path.parent} is not there; make it, or name another file with -c")
        config = config_of(path)
    except ConfigError as error:
        raise Failure(USAGE, f"the configuration has mistakes:\n{error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{path} cannot be read: {error}") from None
    if options.check:
        print(f"{path}: {len(config.packs)} packs, {len(config.banks)} banks, no mistakes")
        return DONE
    return main(lambda: _run(options, config), options.verbose)


async def _run(options: argparse.Namespace, config: Config) -> int:
    stop = asyncio.Event()
    for signalled in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signalled, stop.set)
    logging.getLogger("cellwire").setLevel(logging.DEBUG if options.verbose else logging.INFO)
    if not config.packs:
        config = await offered(config, stop)
    gateway = Gateway(config)
    try:
        async with printing(gateway, options):
            await gateway.run(stop)
    except (HistoryError, WebError) as error:
        raise Failure(USAGE, str(error)) from None
    return DONE


@contextlib.asynccontextmanager
async def printing(gateway: Gateway, options: argparse.Namespace) -> AsyncIterator[None]:
    """Print lines for programs, as far as they are asked for: events with --json, snapshots with --stdout."""
    if not (options.json or options.stdout):
        yield
        return
    lines = Lines(sys.stdout.fileno())
    snapshots: Keeper[Snapshots] = Keeper()
    if options.json:
        gateway.events.hearers.append(lambda event: lines.put(as_json(_document(event))))
    if options.stdout:
        snapshots.start({"": lambda: Snapshots(gateway.store, lines, options.every)})
    try:
        yield
    finally:
        await snapshots.keep(())
        lines.end()


def _document(event: Event) -> dict[str, Any]:
    document = {"time": event.time, "kind": event.kind, "pack": event.pack, "name": event.name, "text": event.text}
    return {**document, "detail": event.detail}


async def offered(config: Config, stop: asyncio.Event) -> Config:
    """Offer what answers here when no pack is configured yet; return the configuration to go on with."""
    print(f"No pack is configured in {config.path} yet.", file=sys.stderr)
    if not sys.stdin.isatty():
        print("The page shows what answers here; or write it down: cellwire scan --write", file=sys.stderr)
        return config
    links = scan.links()
    print(f"Looking at {', '.join([*links, 'Bluetooth'])} ...", file=sys.stderr)
    through = radios(config.bluetooth, config.proxies)
    try:
        heard, found = await asyncio.gather(
            _heard(through), asyncio.gather(*[scan.look(link, dialects("")) for link in links])
        )
    finally:
        await through.close()
    documents = [*found, *heard]
    for document in documents:
        show(document, file=sys.stderr)
    if not any(document["packs"] for document in documents) or stop.is_set():
        print("Nothing was added; packs can be added on the page.", file=sys.stderr)
        return config
    print(f"Write them to {config.path}? [Y/n] ", end="", file=sys.stderr, flush=True)
    if (await _line(stop)).strip().lower() not in ("", "y", "yes"):
        return config
    write_down(config.path, config, documents, ports())
    return files.load(config.path)


async def _heard(through: Radios) -> list[scan.Document]:
    """Return the Bluetooth devices that may be packs; none where there is no Bluetooth."""
    with contextlib.suppress(LinkError):
        return [document for document in await scan.air(through) if document.get("problem") != scan.UNKNOWN]
    return []


async def _line(stop: asyncio.Event) -> str:
    """Return the next line that is typed, "no" when the program is ended instead."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str] = asyncio.Queue()
    waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(typed.get())]
    loop.add_reader(sys.stdin.fileno(), lambda: typed.put_nowait(sys.stdin.readline()))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(sys.stdin.fileno())
        for task in waiting:
            task.cancel()
    return str(waiting[1].result()) if waiting[1].done() and not waiting[1].cancelled() else "no"
