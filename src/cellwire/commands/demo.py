"""cellwire demo: the gateway on three simulated packs, shown live; nothing to configure, nothing left behind."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable

from ..cli import DONE
from ..families import dialects
from ..gateway.poller import Line, Poller
from ..gateway.session import Session
from ..gateway.store import PackState, Store
from ..links import open_link
from ..outputs.console import as_json, as_line, live_table
from .packs import main

# name, dialect, cells, hour of its simulated day: one is charged by the sun, one feeds the evening, one wakes up
PACKS = (("shed", "jk-pb", 16, 12), ("van", "jbd", 4, 20), ("boat", "daly-a5", 8, 8))
SHOWN = (
    "voltage",
    "current",
    "power",
    "soc",
    "remaining_capacity",
    "cell_min",
    "cell_max",
    "cell_delta",
    "temperatures",
    "charge_mosfet",
    "discharge_mosfet",
    "balancing_cells",
    "cycles",
)


def run(options: argparse.Namespace) -> int:
    """Show three packs until Ctrl-C."""
    return main(lambda: _demo(options), options.verbose)


async def _demo(options: argparse.Namespace) -> int:
    from ..sim.server import build

    store = Store(time.time)
    stop = asyncio.Event()
    for signalled in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signalled, stop.set)
    simulators, tasks, sessions = [], [], []
    with tempfile.TemporaryDirectory(prefix="cellwire-demo-") as folder:
        try:
            for number, (name, kind, cells, hour) in enumerate(PACKS):
                simulator = build(kind, cells, think=0.02, seed=options.seed + number, clock=_clock(hour))
                simulators.append(simulator)
                session = Session(open_link(await simulator.pty(os.path.join(folder, name))))
                sessions.append(session)
                dialect = dialects(kind)[0]
                pack = store.add(PackState(name, dialect.family, kind, dialect.addresses[0], 1.0))
                line = Line(session, [Poller(session, dialect, dialect.addresses[0], store, pack)])
                tasks.append(asyncio.create_task(line.run()))
            await _show(options, store, stop, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for session in sessions:
                await session.close()
            for simulator in simulators:
                await simulator.stop()
    return DONE


def _clock(hour: int) -> Callable[[], float]:
    """Return a clock on which it is that hour now; it runs on from there."""
    midnight = time.time() // 86400 * 86400
    start = time.monotonic()
    return lambda: midnight + hour * 3600 + time.monotonic() - start


async def _show(
    options: argparse.Namespace, store: Store, stop: asyncio.Event, tasks: list["asyncio.Task[None]"]
) -> None:
    live = None
    if sys.stdout.isatty() and not options.json:
        from rich.live import Live

        live = Live(live_table([], SHOWN), refresh_per_second=4)
        live.start()
    loop = asyncio.get_running_loop()
    end = loop.time() + options.seconds if options.seconds else None
    try:
        while not stop.is_set() and (end is None or loop.time() < end):
            try:
                async with asyncio.timeout(1.0 if end is None else min(1.0, max(0.01, end - loop.time()))):
                    await stop.wait()
            except TimeoutError:
                pass
            for task in tasks:
                if task.done():
                    task.result()
            snapshots = [store.snapshot(pack) for pack in store.packs.values()]
            if live:
                live.update(live_table(snapshots, SHOWN))
            else:
                for snapshot in snapshots:
                    print(as_json(snapshot) if options.json else as_line(snapshot), flush=True)
    finally:
        if live:
            live.stop()
