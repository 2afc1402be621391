"""cellwire record: the raw bytes of a link in a file that can be replayed."""

import argparse
import asyncio
import os
import sys

from ..cli import DONE, NO_ANSWER, USAGE, Failure
from ..codec.errors import ProtocolError
from ..gateway.errors import NoAnswer
from ..gateway.poller import Poller
from ..links import recording
from .packs import Packs, main


def run(options: argparse.Namespace) -> int:
    """Record while reading, or while only listening."""
    if os.path.exists(options.output):
        raise Failure(USAGE, f"{options.output} is there already; give another name, nothing is overwritten")
    if options.listen and not options.seconds:
        options.seconds = 10.0
    return main(lambda: _record(options), options.verbose)


async def _record(options: argparse.Namespace) -> int:
    packs = Packs(options, lambda link: recording(link, options.output))
    try:
        if options.listen:
            await packs.session.listen(packs.dialects[0], options.seconds, lambda frame: False)
        else:
            await _ask(packs, options.seconds, options.timeout)
    finally:
        await packs.close()
    print(f"recorded; replay it with: cellwire read replay:{options.output}", file=sys.stderr)
    return NO_ANSWER if packs.unread() else DONE


async def _ask(packs: Packs, seconds: float, timeout: float) -> None:
    pollers = await packs.find()
    await packs.first(timeout)
    if packs.line.passive:
        return
    for poller in pollers:
        await _everything(poller)
    if seconds:
        try:
            async with asyncio.timeout(seconds):
                await packs.line.run()
        except TimeoutError:
            pass


async def _everything(poller: Poller) -> None:
    """Ask once for each record that needs no special mode, settings included."""
    for query in poller.dialect.queries:
        if query.name not in poller.missing and not (poller.dialect.around and query.pace == "settings"):
            try:
                await poller.session.ask(poller.dialect, query, poller.address, poller.gate.last)
            except (NoAnswer, ProtocolError) as error:
                print(f"cellwire: not recorded: {query.name}: {error}", file=sys.stderr)
