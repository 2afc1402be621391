"""Twelve twins with random faults, unplugged and plugged in again; every value that is believed is checked.

    python bench/soak.py --minutes 10

Fails when a value that was believed is none that the twin showed, when a pack is not back within 10 s after its
fault ended, when memory grows, or when a task is left behind.
"""

import argparse
import asyncio
import logging
import os
import random
import resource
import sys
import tempfile
import time
from collections import deque
from typing import Any

from cellwire.families import dialects
from cellwire.gateway.poller import Line, Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.links import open_link
from cellwire.readings.catalogue import BY_NAME, QUANTITY
from cellwire.sim.server import Simulator, build

LINES = (
    ("jk-uart", 16, ()),
    ("jk-pb", 16, (1, 2, 3)),
    ("jbd", 4, ()),
    ("jbd-addr", 16, ()),
    ("jbd-up", 16, ()),
    ("daly-a5", 16, ()),
    ("daly-d2", 8, ()),
    ("daly-p81", 16, ()),
    ("jbd", 16, ()),
    ("daly-a5", 8, ()),
)
EVERY = 1.0
BACK_WITHIN = 10.0
# Faults that spoil bytes, and those that take the pack away; second-master and wrong-variant have tests of their own.
SPOILING = ("drop", "flip", "truncate", "duplicate", "split", "late", "noise")
REMEMBERED = 40  # versions of a twin's values that a believed sample may come from
LIVE = ("voltage", "current", "soc", "cell_voltages", "temperatures", "charge_mosfet", "discharge_mosfet", "cycles")


class Witness:
    """One pack: what its twin showed lately, and when its line was last in trouble."""

    def __init__(self, simulator: Simulator, number: int, pack: PackState) -> None:
        self.simulator = simulator
        self.number = number
        self.pack = pack
        self.shown: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self.checked = 0
        self.wrong: list[str] = []

    def remember(self) -> None:
        values = self.simulator.twins[self.number].values
        if not self.shown or self.shown[-1] != values:
            self.shown.append(dict(values))

    def check(self) -> None:
        """Compare the pack's readings with everything the twin showed lately."""
        self.checked += 1
        for name in LIVE:
            value = self.pack.readings.get(name)
            if value is None or self.pack.received[name] != self.pack.time:
                continue
            if not any(name not in shown or near(name, value, shown[name]) for shown in self.shown):
                self.wrong.append(f"{self.pack.name} {name} {value}, twin {self.shown[-1].get(name)}")


def near(name: str, value: Any, truth: Any) -> bool:
    """Return True when a reading is the truth within the resolution of the coarsest dialect, or within the jump."""
    if isinstance(truth, list):
        return len(value) == len(truth) and all(near(name, a, b) for a, b in zip(value, truth, strict=True))
    if isinstance(truth, bool) or not isinstance(truth, (int, float)) or value is None:
        return bool(value == truth)
    jump = QUANTITY[BY_NAME[name][1]]
    return bool(abs(value - truth) <= max(jump[5] or 0.0, jump[6] * abs(truth)) + 1e-9)


async def soak(minutes: float, seed: int) -> int:
    """Run the soak; return 1 when something was wrong."""
    dice = random.Random(seed)
    store = Store(time.time, time.monotonic)
    simulators: list[Simulator] = []
    witnesses: list[Witness] = []
    sessions, tasks = [], []
    before = len(asyncio.all_tasks())
    with tempfile.TemporaryDirectory() as folder:
        for number, (kind, cells, addresses) in enumerate(LINES):
            simulator = build(kind, cells, addresses, think=0.02, seed=seed + number)
            session = Session(open_link(await simulator.pty(os.path.join(folder, f"line{number}"))))
            dialect = dialects(kind)[0]
            pollers = []
            for index, address in enumerate(addresses or dialect.addresses[:1]):
                pack = store.add(PackState(f"{number}-{kind}-{address}", dialect.family, kind, address, EVERY))
                pollers.append(Poller(session, dialect, address, store, pack))
                witnesses.append(Witness(simulator, index, pack))
            simulators.append(simulator)
            sessions.append(session)
            tasks.append(asyncio.create_task(Line(session, pollers).run()))
        by_name = {witness.pack.name: witness for witness in witnesses}

        async def observe() -> None:
            async for pack in store.watch():
                if pack.time is not None and not pack.trouble:
                    by_name[pack.name].check()

        async def remember() -> None:
            while True:
                for witness in witnesses:
                    witness.remember()
                await asyncio.sleep(0.02)

        tasks += [asyncio.create_task(observe()), asyncio.create_task(remember())]
        loop = asyncio.get_running_loop()
        end = loop.time() + minutes * 60
        early = 0
        late: list[str] = []
        rounds = 0
        await asyncio.sleep(min(10.0, minutes * 20))
        while loop.time() < end:
            rounds += 1
            await trouble(simulators, dice, min(8.0, minutes * 15))
            calm = time.time()
            deadline = loop.time() + BACK_WITHIN
            while loop.time() < deadline and not all(fresh(witness, calm) for witness in witnesses):
                await asyncio.sleep(0.2)
            late += [f"{w.pack.name} ({w.pack.trouble}: {w.pack.reason})" for w in witnesses if not fresh(w, calm)]
            for task in tasks:
                if task.done():
                    task.result()
            if rounds == 3 or not early:
                early = memory()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in sessions:
            await session.close()
        for simulator in simulators:
            await simulator.stop()
    left = len(asyncio.all_tasks()) - before
    wrong = [text for witness in witnesses for text in witness.wrong]
    grown = memory() - early
    counts = {witness.pack.name: dict(witness.pack.counts) for witness in witnesses}
    for name, count in counts.items():
        print(f"{name:<16} {count}")
    checked = sum(witness.checked for witness in witnesses)
    print(f"{rounds} rounds of trouble, {checked} believed samples checked on {len(witnesses)} packs")
    print(f"wrong values {len(wrong)}, late comebacks {len(late)}, tasks left {left}, memory grown {grown} KiB")
    for text in [*wrong[:10], *late[:10]]:
        print("  " + text)
    never = [witness.pack.name for witness in witnesses if not witness.checked]
    return int(bool(wrong or late or never or left or grown > 8192))


def fresh(witness: Witness, since: float) -> bool:
    """Return True when the pack said something believed since then."""
    return witness.pack.time is not None and witness.pack.time > since


async def trouble(simulators: list[Simulator], dice: random.Random, seconds: float) -> None:
    """Make trouble on about half of the lines for some seconds, then end all of it."""
    pulled = []
    for simulator in simulators:
        what = dice.random()
        if what < 0.2:
            await simulator.unplug()
            pulled.append(simulator)
        elif what < 0.3:
            simulator.faults = {"silent": 1.0}
        elif what < 0.4:
            simulator.faults = {"zero-after-wake": 4}
        elif what < 0.9:
            names = dice.sample(SPOILING, 3)
            simulator.faults = {name: dice.uniform(0.02, 0.3) for name in names}
    await asyncio.sleep(seconds)
    for simulator in simulators:
        simulator.faults = {}
    for simulator in pulled:
        await simulator.replug()


def memory() -> int:
    """Return the resident memory of this process in KiB."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    sys.exit(asyncio.run(soak(options.minutes, options.seed)))
