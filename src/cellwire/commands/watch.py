"""cellwire watch: a snapshot every few seconds, for ever; comes back by itself when a pack or an adapter was away."""

import argparse
import asyncio
import signal
import sys

from ..cli import DONE, Failure
from ..gateway.poller import PAUSES
from ..links.link import AdapterOff, LinkError, PortForbidden
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
        shown = 0
        while not options.count or shown < options.count:
            # A master that shows up owns the line until it falls silent.
            shown = await (_passive if packs.line.passive else _asking)(packs, options, shown)
    except asyncio.CancelledError:
        pass
    finally:
        await packs.close()
    return DONE


async def _find(packs: Packs) -> None:
    """Find the packs, and go on trying: a pack may be asleep and an adapter not plugged in yet."""
    misses = 0
    while True:
        try:
            await packs.find()
            return
        except (Failure, LinkError) as error:
            if not misses and isinstance(error, AdapterOff | PortForbidden):
                raise  # that is not waited for: somebody has to do something about it first
            if not misses:
                print(f"cellwire: {error}; trying again until something answers", file=sys.stderr)
            misses += 1
            await packs.close()
            await asyncio.sleep(PAUSES[min(misses, len(PAUSES) - 1)])


async def _asking(packs: Packs, options: argparse.Namespace, shown: int) -> int:
    loop = asyncio.get_running_loop()
    due = loop.time()
    shared = any(poller.dialect.listens for poller in packs.line.pollers)
    while True:
        for poller in packs.line.pollers:
            if not await poller.step() and poller.pack.time is None:
                await poller.step()  # the first sample is not believed alone
        if options.release:
            await packs.session.release()
        _show(packs, options)
        shown += 1
        packs.line.passive = shared and packs.session.foreign.is_set()
        if shown == options.count or packs.line.passive:
            return shown
        due = max(loop.time(), due + options.every)
        await asyncio.sleep(due - loop.time())


async def _passive(packs: Packs, options: argparse.Namespace, shown: int) -> int:
    listening = asyncio.create_task(packs.line.listen(packs.line.pollers[0].dialect))
    try:
        while not options.count or shown < options.count:
            done, _ = await asyncio.wait([listening], timeout=options.every)
            if done:
                listening.result()
                break
            _show(packs, options)
            shown += 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return shown


def _show(packs: Packs, options: argparse.Namespace) -> None:
    for pack in packs.store.packs.values():
        snapshot = packs.store.snapshot(pack)
        print(as_json(snapshot) if options.json else as_line(snapshot), flush=True)
