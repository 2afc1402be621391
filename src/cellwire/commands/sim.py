"""cellwire sim: a simulated pack on a pseudo serial port or a TCP port, with faults on request."""

import argparse
import asyncio
import json
import signal

from ..cli import DONE, USAGE, Failure
from .packs import chosen, main


def run(options: argparse.Namespace) -> int:
    """Serve the twin until Ctrl-C; the first line of output is its address."""
    if not options.family and not options.capture:
        raise Failure(USAGE, "name a family (see `cellwire families`) or a capture with --from FILE")
    if options.pty and options.tcp is not None:
        raise Failure(USAGE, "give --pty or --tcp, not both")
    return main(lambda: _serve(options), options.verbose)


async def _serve(options: argparse.Namespace) -> int:
    from ..sim.server import build

    chosen(options.family)
    try:
        simulator = build(
            options.family or "",
            options.cells,
            options.address,
            options.baud or None,
            options.think / 1000,
            dict(options.fault),
            options.seed,
            options.capture,
        )
        if options.tcp is not None:
            address = f"tcp:127.0.0.1:{await simulator.tcp(options.tcp)}"
        else:
            address = await simulator.pty(options.pty)
    except (ValueError, OSError) as error:
        raise Failure(USAGE, str(error)) from None
    print(json.dumps({"link": address}) if options.json else address, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        await simulator.stop()
    return DONE
