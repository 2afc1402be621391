"""cellwire watch: a snapshot every few seconds, for ever; comes back by itself when a pack or an adapter was away."""

import argparse
import asyncio
import signal
import sys

from ..cli import DONE, Failure
from ..gateway.poller import PAUSES
from ..links.link import LinkError
from ..outputs.console import as_json, as_line
from .packs import Packs, main


def run(options: argparse.Namespace) -> int:
    """Watch the packs of the link until Ctrl-C or the last snapshot."""
    return main(lambda: _watch(options), options.verbose)


async def _watch(options: argparse.Namespace) -> int:
    packs = Packs(options, every=options.every)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await _find(packs)
        if packs.line.passive:
            await _passive(packs, options)
        else:
            await _asking(packs, options)
    except asyncio.CancelledError:
        pass
    finally:
        await packs.session.close()
    return DONE


async def _find(packs: Packs) -> None:
    """Find the packs, and go on trying: a pack may be asleep and an adapter not plugged in yet."""
    misses = 0
    while True:
        try:
            await packs.find()
            return
        except (Failure, LinkError) as error:
            if not misses:
                print(f"cellwire: {error}; trying again until something answers", file=sys.stderr)
            misses += 1
            await packs.session.close()
            await asyncio.sleep(PAUSES[min(misses, len(PAUSES) - 1)])


async def _asking(packs: Packs, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    shown = 0
    while True:
        for poller in packs.line.pollers:
            if not await poller.step() and poller.pack.time is None:
                await poller.step()  # the first sample is not believed alone
        if options.release:
            await packs.session.release()
        _show(packs, options)
        shown += 1
        if shown == options.count:
            return
        due = max(loop.time(), due + options.every)
        await asyncio.sleep(due - loop.time())


async def _passive(packs: Packs, options: argparse.Namespace) -> None:
    listening = asyncio.create_task(packs.line.listen(packs.line.pollers[0].dialect))
    shown = 0
    try:
        while shown != options.count or not options.count:
            done, _ = await asyncio.wait([listening], timeout=options.every)
            if done:
                listening.result()
                return
            _show(packs, options)
            shown += 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _show(packs: Packs, options: argparse.Namespace) -> None:
    for pack in packs.store.packs.values():
        snapshot = packs.store.snapshot(pack)
        print(as_json(snapshot) if options.json else as_line(snapshot), flush=True)
