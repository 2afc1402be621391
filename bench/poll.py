"""Wall time and CPU of a poll cycle on paced twins, Cellwire beside other programs, above the wire's own floor.

Every client runs in a process of its own against a twin in another process, in turn, several rounds; the figures
are medians. The floor is what nobody can beat: the bytes of a client's questions and their answers at line speed,
plus the twin's thinking time. Of Daly, dalybms asks nine questions and Cellwire seven: the extremes that the other
two tell follow from the cells and sensors.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

THINK = 0.020
ROUNDS = 3

# title, simulated dialect, baud, cells, (client, cycles a round) ..., the poll's queries
CASES = (
    ("JBD 03 + 04, 16 cells", "jbd", 9600, 16, (("cellwire", 17), ("bmstools", 17))),
    ("Daly A5 live values, 16 cells", "daly-a5", 9600, 16, (("cellwire", 7), ("dalybms", 7), ("mpp-solar", 1))),
    ("JK 4E57, 16 cells", "jk-uart", 115200, 16, (("cellwire", 17), ("mpp-solar", 1))),
    ("JK PB status, 16 cells", "jk-pb", 115200, 16, (("cellwire", 17),)),
)


def cellwire(kind: str, port: str, cycles: int) -> tuple[list[float], float, int, int]:
    """Return (seconds of each cycle, CPU seconds a cycle, bytes a cycle, questions a cycle) of our own poller."""
    import asyncio

    from cellwire.families import dialects
    from cellwire.gateway.poller import Poller
    from cellwire.gateway.session import Session
    from cellwire.gateway.store import PackState, Store
    from cellwire.links import open_link

    async def run() -> tuple[list[float], float, int, int]:
        dialect = dialects(kind)[0]
        link = open_link(port)
        session = Session(link)
        store = Store(time.time, time.monotonic)
        pack = store.add(PackState("bench", dialect.family, dialect.name, dialect.addresses[0], 1.0))
        poller = Poller(session, dialect, dialect.addresses[0], store, pack)
        await session.set_baud(dialect.bauds[0])
        for _ in range(3):
            await poller.poll()  # everything is asked twice at first, and identity once
        counted = {"bytes": 0, "questions": 0}
        send, receive = link.send, link.receive

        async def counting_send(data: bytes) -> None:
            counted["bytes"] += len(data)
            counted["questions"] += 1
            await send(data)

        async def counting_receive(at_least: int = 1) -> bytes:
            data = await receive(at_least)
            counted["bytes"] += len(data)
            return data

        link.send, link.receive = counting_send, counting_receive  # type: ignore[method-assign]
        await poller.poll()
        size, questions = counted["bytes"], counted["questions"]
        link.send, link.receive = send, receive  # type: ignore[method-assign]
        walls = []
        cpu = 0.0
        for _ in range(cycles):
            await asyncio.sleep(dialect.gap)  # the pause between two cycles that the pack needs is not the cycle's
            start, used = time.perf_counter(), time.process_time()
            believed = await poller.poll()
            walls.append(time.perf_counter() - start)
            cpu += time.process_time() - used
            assert believed
        await session.close()
        return walls, cpu / cycles, size, questions

    return asyncio.run(run())


def dalybms(kind: str, port: str, cycles: int) -> tuple[list[float], float, int, int]:
    """Return the same for dalybms: all nine queries of its full cycle."""
    from dalybms import DalyBMS

    counting()
    client = DalyBMS()
    client.connect(port)
    return timed(client.get_all, cycles)


def bmstools(kind: str, port: str, cycles: int) -> tuple[list[float], float, int, int]:
    """Return the same for bmstools: basic info and cells."""
    import serial
    from bmstools.jbd.jbd import JBD

    counting()
    client = JBD(serial.Serial(port, 9600, timeout=1))

    def once() -> None:
        client.readBasicInfo()
        client.readCellInfo()

    return timed(once, cycles)


def mpp_solar(kind: str, port: str, cycles: int) -> tuple[list[float], float, int, int]:
    """Return the wall time of mpp-solar's command line for the same values, once."""
    commands = "#".join(("SOC", "cellMinMax", "tempMinMax", "mosStatus", "status", "cellVoltages", "temperatures"))
    daly = ["-P", "DALY", "--porttype", "daly", "-c", commands]
    options = ["-P", "JKSERIAL", "--porttype", "jkserial", "-c", "getBatteryData"] if kind == "jk-uart" else daly
    start, cpu = time.perf_counter(), os.times()
    subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "mpp-solar"), "-p", port, *options], capture_output=True
    )
    used = os.times()
    return (
        [time.perf_counter() - start],
        used.children_user + used.children_system - cpu.children_user - cpu.children_system,
        0,
        0,
    )


COUNTED = {"bytes": 0, "questions": 0}


def counting() -> None:
    """Make pyserial count what a client sends and receives: its own floor follows from that."""
    import serial

    class Counting(serial.Serial):
        def write(self, data: Any, /) -> int | None:
            COUNTED["questions"] += 1
            COUNTED["bytes"] += len(data)
            return super().write(data)

        def read(self, size: int = 1, /) -> bytes:
            data: bytes = super().read(size)
            COUNTED["bytes"] += len(data)
            return data

    serial.Serial = Counting  # type: ignore[misc]


def timed(once: Callable[[], Any], cycles: int) -> tuple[list[float], float, int, int]:
    """Return wall times and CPU of a client's cycle."""
    COUNTED.update(bytes=0, questions=0)
    once()
    size, questions = COUNTED["bytes"], COUNTED["questions"]
    walls = []
    cpu = time.process_time()
    for _ in range(cycles):
        start = time.perf_counter()
        once()
        walls.append(time.perf_counter() - start)
    return walls, (time.process_time() - cpu) / cycles, size, questions


CLIENTS = {"cellwire": cellwire, "dalybms": dalybms, "bmstools": bmstools, "mpp-solar": mpp_solar}


def child(client: str, kind: str, port: str, cycles: int) -> dict[str, Any] | None:
    """Run one client in a process of its own; return its figures, or None when it is not there or fails."""
    run = subprocess.run(
        [sys.executable, __file__, "--client", client, kind, port, str(cycles)], capture_output=True, text=True
    )
    if run.returncode:
        print(f"  {client}: {run.stderr.strip().splitlines()[-1] if run.stderr.strip() else 'failed'}")
        return None
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main() -> int:
    """Print the table; return 1 when Cellwire misses its budget."""
    missed = False
    print(f"poll, {THINK * 1000:.0f} ms thinking time, median over {ROUNDS} rounds in turn")
    print(f"{'cycle':<30}{'client':<12}{'floor ms':>9}{'wall ms':>9}{'ratio':>7}{'CPU ms':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, kind, baud, cells, clients) in enumerate(CASES):
            port = os.path.join(folder, f"port{number}")
            command = [sys.executable, "-m", "cellwire", "sim", kind, "--pty", port, "--cells", str(cells)]
            twin = subprocess.Popen([*command, "--think", str(THINK * 1000)], stdout=subprocess.PIPE, text=True)
            try:
                assert twin.stdout is not None
                twin.stdout.readline()
                missed |= case(title, kind, baud, port, clients)
            finally:
                twin.terminate()
                twin.wait()
    return int(missed)


def case(title: str, kind: str, baud: int, port: str, clients: tuple[tuple[str, int], ...]) -> bool:
    """Print the rows of one case; return True when Cellwire misses its budget."""
    walls: dict[str, list[float]] = {name: [] for name, _ in clients}
    cpus: dict[str, list[float]] = {name: [] for name, _ in clients}
    floors: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, cycles in clients:
            figures = child(name, kind, port, cycles)
            if figures is None:
                continue
            walls[name] += figures["walls"]
            cpus[name].append(figures["cpu"])
            if figures["bytes"]:
                floors[name] = figures["bytes"] * 10 / baud + figures["questions"] * THINK
    for name, _ in clients:
        if walls[name]:
            wall, cpu = statistics.median(walls[name]), statistics.median(cpus[name])
            floor = floors.get(name, floors["cellwire"])
            row = f"{floor * 1000:>9.1f}{wall * 1000:>9.1f}{wall / floor:>7.3f}{cpu * 1000:>8.2f}"
            print(f"{title:<30}{name:<12}{row}", flush=True)
    best = min((statistics.median(cpus[name]) for name, _ in clients if name != "cellwire" and cpus[name]), default=1.0)
    return (
        statistics.median(walls["cellwire"]) > 1.05 * floors["cellwire"] or statistics.median(cpus["cellwire"]) > best
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", nargs=4, metavar=("NAME", "KIND", "PORT", "CYCLES"))
    options = parser.parse_args()
    if options.client is None:
        sys.exit(main())
    name, kind, port, cycles = options.client
    found = CLIENTS[name](kind, port, int(cycles))
    print(json.dumps(dict(zip(("walls", "cpu", "bytes", "questions"), found, strict=True))))
