"""cellwire read: one snapshot of each pack on a link."""

import argparse
import sys

from ..cli import DONE, NO_ANSWER
from ..outputs.console import as_json, as_text
from .packs import Packs, main


def run(options: argparse.Namespace) -> int:
    """Read the packs of the link once, and print them."""
    return main(lambda: _read(options), options.verbose)


async def _read(options: argparse.Namespace) -> int:
    packs = Packs(options)
    try:
        await packs.find()
        await packs.first(options.timeout)
        if options.settings and not packs.line.passive:
            for poller in packs.line.pollers:
                for problem in await poller.read_settings():
                    print(f"cellwire: not read: {problem}", file=sys.stderr)
    finally:
        await packs.close()
    unread = packs.unread()
    for pack in packs.store.packs.values():
        if pack not in unread:
            print(as_json(packs.store.snapshot(pack)) if options.json else as_text(packs.store.snapshot(pack)))
    for pack in unread:
        print(f"cellwire: {pack.name}: {pack.reason or 'nothing was heard of it'}", file=sys.stderr)
    return NO_ANSWER if unread else DONE
