"""cellwire sim: a simulated pack on a pseudo serial port, a TCP port or by Bluetooth, with faults on request."""

import argparse
import asyncio
import json
import signal
from typing import TYPE_CHECKING

from ..cli import DONE, PORT, USAGE, Failure
from .packs import chosen, main

if TYPE_CHECKING:
    from ..sim.ble import Peripheral
    from ..sim.server import Simulator

OPENING = 20.0  # seconds in which a Bluetooth controller is ready


def run(options: argparse.Namespace) -> int:
    """Serve the twin until Ctrl-C; the first line of output is its address."""
    if not options.family and not options.capture:
        raise Failure(USAGE, "name a family (see `cellwire families`) or a capture with --from FILE")
    if sum((bool(options.pty), options.tcp is not None, bool(options.ble))) > 1:
        raise Failure(USAGE, "give one of --pty, --tcp and --ble")
    if (options.name or options.mac) and not options.ble:
        raise Failure(USAGE, "--name and --mac are of a pack by Bluetooth; give --ble TRANSPORT too")
    return main(lambda: _serve(options), options.verbose)


async def _serve(options: argparse.Namespace) -> int:
    chosen(options.family)
    peripheral: Peripheral | None = None
    try:
        if options.ble:
            simulator, peripheral = await _by_radio(options)
            address = f"ble:{peripheral.address}"
        elif options.tcp is not None:
            simulator = _build(options, options.family or "", options.baud or None)
            address = f"tcp:127.0.0.1:{await simulator.tcp(options.tcp)}"
        else:
            simulator = _build(options, options.family or "", options.baud or None)
            address = await simulator.pty(options.pty)
    except (ValueError, OSError) as error:
        raise Failure(USAGE, str(error)) from None
    print(json.dumps({"link": address}) if options.json else address, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if peripheral is not None:
        peripheral.gone.add_done_callback(lambda _: stop.set())
    try:
        await stop.wait()
    finally:
        await simulator.stop()
    if peripheral is not None and peripheral.gone.done():
        raise Failure(PORT, f"{options.ble}: the Bluetooth controller has gone; plug it in and start again")
    return DONE


def _build(options: argparse.Namespace, name: str, baud: int | None) -> "Simulator":
    from ..sim.server import build

    return build(
        name,
        options.cells,
        options.address,
        baud,
        options.think / 1000,
        dict(options.fault),
        options.seed,
        options.capture,
    )


async def _by_radio(options: argparse.Namespace) -> "tuple[Simulator, Peripheral]":
    """Return the twin and its module, which advertises; raise ValueError or Failure."""
    from ..links.ble.link import spelled
    from ..sim import ble

    dialect, module = ble.module(options.family or _recorded(options.capture))
    address = spelled(options.mac) if options.mac else ble.usual_address(module, options.seed)
    if address is None or not ble.is_static(address):
        raise ValueError(f"--mac {options.mac}: write six pairs, the first from C0 to FF, like F0:F1:00:00:00:01")
    # The module hides the line: without a speed to imitate, answers go out as fast as the radio takes them.
    simulator = _build(options, dialect, options.baud)
    name = options.name or ble.usual_name(module, options.cells)
    peripheral = ble.Peripheral(module, name, address, simulator.hear, simulator.hush)
    try:
        ble.load()
        async with asyncio.timeout(OPENING):
            await peripheral.open(options.ble)
    except (ble.RadioError, TimeoutError) as error:
        await peripheral.close()
        raise Failure(
            PORT, str(error) or f"{options.ble}: no Bluetooth controller answers there; name another"
        ) from None
    simulator.serve(peripheral)
    return simulator, peripheral


def _recorded(capture: str) -> str:
    """Return the dialect of a capture; raise ValueError when it does not tell."""
    from ..sim.server import CaptureTwin

    dialect = CaptureTwin(capture).header.get("dialect")
    if not isinstance(dialect, str):
        raise ValueError(f"{capture} does not tell its dialect; name the family too")
    return dialect
