"""cellwire demo: the whole gateway on simulated packs, with its page; nothing to configure, nothing left behind."""

import argparse
import asyncio
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..cli import DONE
from ..gateway.app import Gateway
from ..gateway.bank import Member, combine
from ..gateway.config import Config, parse
from ..gateway.events import Events
from ..gateway.meter import Meter
from ..outputs.console import as_json, as_line
from ..outputs.history import History, Row
from ..sim.model import Battery
from .packs import main

# name, dialect, cells, hour of its simulated day: one is charged by the sun, one feeds the evening, one wakes up
PACKS = (("shed", "jk-pb", 16, 12), ("garage", "jk-pb", 16, 12), ("van", "jbd", 4, 20), ("boat", "daly-a5", 8, 8))
# The packs have a past, so that there is something to see in the charts: hours, seconds between rows, what is kept.
HOURS, STEP = 24, 60.0
KEPT = (
    "voltage", "current", "power", "soc", "remaining_capacity", "full_capacity", "cell_voltages", "cell_min",
    "cell_max", "cell_mean", "cell_delta", "temperatures", "temperature_min", "temperature_max", "charge_mosfet",
    "discharge_mosfet",
)  # fmt: skip

HEAD = """# The demonstration: simulated packs on pseudo serial ports. Guests may look; changes want a log-in.
[web]
listen = "127.0.0.1:{port}"
guests = true

[history]
commit = 2.0
every = 1.0

[[bank]]
name = "house"
packs = ["shed", "garage"]
"""
PACK = """
[[pack]]
name = "{name}"
link = "{link}"
family = "{kind}"
address = {address}
every = 1.0
grant = "service"
id = "{identity}"

[pack.limits]
chemistry = "lfp"
charge_current = 100.0
discharge_current = 150.0
"""


def run(options: argparse.Namespace) -> int:
    """Serve the simulated packs until Ctrl-C."""
    return main(lambda: _demo(options), options.verbose)


async def _demo(options: argparse.Namespace) -> int:
    from ..families import dialects
    from ..sim.server import build

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signalled in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signalled, stop.set)
    if options.seconds:
        loop.call_later(options.seconds, stop.set)
    port = _free(options.port)
    with tempfile.TemporaryDirectory(prefix="cellwire-demo-") as folder:
        simulators, batteries = [], {}
        text = HEAD.format(port=port)
        try:
            for number, (name, kind, cells, hour) in enumerate(PACKS):
                simulator = build(kind, cells, think=0.02, seed=options.seed + number, clock=_clock(hour))
                simulators.append(simulator)
                battery = simulator.batteries[0]
                assert battery is not None
                batteries[name] = battery, simulator.clock
                link = await simulator.pty(str(Path(folder, name)))
                text += PACK.format(
                    name=name, link=link, kind=kind, address=dialects(kind)[0].addresses[0], identity=_id(name)
                )
            config = _configured(Path(folder, "cellwire.toml"), text)
            await asyncio.to_thread(_lay_past, config, batteries)
            gateway = Gateway(config)
            showing = asyncio.create_task(_show(gateway, options))
            if not options.json:
                print(
                    f"Open http://127.0.0.1:{port}/ - four simulated packs, Ctrl-C ends it; files: {folder}", flush=True
                )
            try:
                await gateway.run(stop)
            finally:
                showing.cancel()
        finally:
            for simulator in simulators:
                await simulator.stop()
    return DONE


def _configured(path: Path, text: str) -> Config:
    """Return the configuration, written to its file too: it can be looked at, and changed on the page."""
    path.write_text(text, encoding="utf-8")
    return parse(text, path)


def _id(name: str) -> str:
    return f"demo-{name}"


def _lay_past(config: Config, batteries: Mapping[str, "tuple[Battery, Callable[[], float]]"]) -> None:
    """Write what the simulated packs would have shown in the last hours."""
    now = time.time()
    moment = start = now - HOURS * 3600
    history = History(config.history, lambda: moment, lambda: moment, Events(lambda: moment), lambda meters: None)
    history.start()
    meters = {name: Meter() for name in (*batteries, *(bank.name for bank in config.banks))}
    for number in range(int(HOURS * 3600 / STEP)):
        moment = start + number * STEP
        rows, packs = [], {}
        for name, (battery, clock) in batteries.items():
            values = battery.values(clock() - now + moment)
            packs[name] = {each: values[each] for each in KEPT if each in values}
            meters[name].take(moment, values["current"], values["voltage"], STEP * 2)
            rows.append(Row(_id(name), moment, {**packs[name], **meters[name].readings()}))
        for bank in config.banks:
            found = combine([Member(name, packs[name]) for name in bank.packs], bank.join_difference).readings
            meters[bank.name].take(moment, found["current"], found["voltage"], STEP * 2)
            rows.append(Row(f"bank-{bank.name}", moment, {**found, **meters[bank.name].readings()}))
        history.append(rows)
    history.flush(60.0)
    history.stop()


async def _show(gateway: Gateway, options: argparse.Namespace) -> None:
    """Print the packs: each second as JSON, else once when all are there, and then each minute."""
    while True:
        await asyncio.sleep(1.0)
        packs = list(gateway.store.packs.values())
        if not options.json and not all(pack.settled for pack in packs):
            continue
        for pack in packs:
            snapshot = gateway.store.snapshot(pack)
            print(as_json(snapshot) if options.json else as_line(snapshot), flush=True)
        if not options.json:
            await asyncio.sleep(60.0)


def _free(port: int) -> int:
    """Return the port, or one that is free when another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            print(f"port {port} is taken, by another gateway perhaps: using a free one", file=sys.stderr)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                return int(free.getsockname()[1])
    return port


def _clock(hour: int) -> Callable[[], float]:
    """Return a clock on which it is that hour now; it runs on from there."""
    midnight = time.time() // 86400 * 86400
    start = time.monotonic()
    return lambda: midnight + hour * 3600 + time.monotonic() - start
