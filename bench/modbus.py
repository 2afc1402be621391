"""Many Modbus clients at once: how soon each gets its answer, and what that costs the gateway.

    python bench/modbus.py --seconds 60

The server runs in a process of its own, on four packs of 16 cells and their bank with a new sample each second. Each
client reads model 802 and the native map by turns. An answer that is wrong or does not come is an error.
"""

import argparse
import asyncio
import os
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from cellwire.gateway.config import ModbusSettings
from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs.modbus import Modbus
from cellwire.outputs.modbus.native import VERSION
from cellwire.readings.derive import derive

PACKS = ("one", "two", "three", "four")
UNITS = (1, 2, 3, 4, 101)
READS = ((40070, 64), (0, 96))
BUDGET = 0.050  # seconds in which 99 of 100 answers come


@dataclass
class Found:
    """What the clients met with; times in seconds."""

    times: list[float] = field(default_factory=list)
    errors: int = 0
    cpu: float = 0.0  # share of a core that the server took

    @property
    def requests(self) -> int:
        """How many answers came."""
        return len(self.times)

    def percentile(self, share: float) -> float:
        """Return the time in which so many of 100 answers came."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * share / 100))]


def sample(number: int) -> dict[str, Any]:
    """Return a sample of a pack."""
    cells = [3.3 + (number + cell) % 7 / 1000 for cell in range(16)]
    return derive(
        {
            "voltage": round(sum(cells), 2), "current": -12.3 + number % 5, "soc": 80.1, "soh": 99, "cycles": 120,
            "cell_count": 16, "cell_voltages": cells, "temperatures": [21.0, 22.5], "remaining_capacity": 80.1,
            "full_capacity": 100.0, "charge_mosfet": True, "discharge_mosfet": True, "balancing": False,
            "balancing_cells": [], "warnings": [], "protections": [], "faults": [],
        }
    )  # fmt: skip


async def serve() -> None:
    """Serve until standard input ends; say the port first, and the CPU seconds of the time in between last."""
    store = Store(time.time, time.monotonic)
    for name in PACKS:
        store.add(PackState(name, "jbd", "jbd", 0, 1.0))
    bank = store.add_bank(BankState("house", PACKS))
    modbus = Modbus(store, ModbusSettings(listen="127.0.0.1:0"))
    serving = asyncio.create_task(modbus.run())
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    number = 0
    begin = time.process_time()
    while not ended.done():
        number += 1
        for pack in store.packs.values():
            store.accept(pack, sample(number))
        bank.readings = {name: value for name, value in sample(number).items() if name != "cell_voltages"}
        bank.seen, bank.time = store.monotonic(), store.clock()
        await asyncio.sleep(0.05 if number == 1 else 1.0)
        if number == 1:
            begin = time.process_time()
            print(modbus.status["addresses"][0].rpartition(":")[2], flush=True)
    print(time.process_time() - begin, flush=True)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def client(port: int, number: int, clients: int, rate: float, until: float, found: Found) -> None:
    """Ask at this rate until the time is over."""
    loop = asyncio.get_running_loop()
    unit = UNITS[number % len(UNITS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = loop.time() + number / clients / rate
    turn = 0
    while due < until:
        await asyncio.sleep(max(0.0, due - loop.time()))
        first, count = READS[turn % 2]
        begin = loop.time()
        writer.write(struct.pack(">HHHBBHH", turn % 65536, 0, 6, unit, 3, first, count))
        try:
            async with asyncio.timeout(5):
                transaction, _, length, _ = struct.unpack(">HHHB", await reader.readexactly(7))
                answer = await reader.readexactly(length - 1)
        except (OSError, EOFError):
            found.errors += 1
            break
        found.times.append(loop.time() - begin)
        begins = struct.pack(">HH", 802, 62) if first else struct.pack(">H", VERSION)
        right = transaction == turn % 65536 and answer[:2] == bytes((3, 2 * count)) and answer[2:].startswith(begins)
        found.errors += not right
        turn += 1
        due += 1 / rate
    writer.close()


async def load(seconds: float, clients: int, rate: float) -> Found:
    """Return what so many clients met with that ask so often a second each."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found = Found()
    try:
        port = int(await process.stdout.readline())
        begin = asyncio.get_running_loop().time()
        await asyncio.gather(
            *(client(port, number, clients, rate, begin + seconds, found) for number in range(clients))
        )
        process.stdin.close()
        passed = asyncio.get_running_loop().time() - begin
        found.cpu = float(await process.stdout.readline()) / passed
    finally:
        if process.returncode is None:
            process.stdin.close()
            await process.wait()
    return found


def main() -> int:
    """Print the figures; return 1 when the budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second of each client")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return 0
    found = asyncio.run(load(options.seconds, options.clients, options.rate))
    print(f"{options.clients} clients, {options.rate:g} requests a second each, {options.seconds:g} s")
    print(f"  requests {found.requests}, errors {found.errors}, server {found.cpu * 100:.1f} % of a core")
    figures = (f"{name} {found.percentile(share) * 1000:.2f} ms" for name, share in (("p50", 50), ("p99", 99)))
    print(f"  {', '.join(figures)}, longest {max(found.times) * 1000:.1f} ms; load of the machine {os.getloadavg()[0]}")
    return int(found.errors > 0 or found.percentile(99) > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
