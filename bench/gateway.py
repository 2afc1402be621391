"""32 simulated packs at 1 Hz in one gateway, page open, MQTT, Modbus and history on: its processor time and memory.

    python bench/gateway.py --minutes 10

MQTT goes to a mosquitto, with discovery and the default periods, /metrics is asked for every 10 seconds, the Modbus
server is there and not asked. The simulators, the broker and the browser run in processes of their own and are
not counted. Budget: 15 % of one core, 120 MiB.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from cellwire.families import dialects
from cellwire.sim.server import build

KINDS = ("jk-uart", "jbd", "jk-pb", "daly-a5", "jbd", "jk-pb", "daly-d2", "jbd")
CELLS = {"jbd": 16, "daly-d2": 8}
BUDGET_CPU = 0.15
BUDGET_MIB = 120.0
SETTLING = 20.0  # seconds before the measurement: every pack is asked for its identity once
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
CHROMIUM = "/usr/bin/chromium"
MOSQUITTO = "/usr/sbin/mosquitto"
PORT, BROKER, MODBUS = 6900, 6901, 6902

PACK = """
[[pack]]
name = "pack {number}"
link = "{link}"
family = "{kind}"
address = {address}
every = 1.0
[pack.limits]
chemistry = "lfp"
charge_current = 100.0
discharge_current = 100.0
"""


async def simulate(folder: Path, count: int) -> None:
    """Serve the packs and write their configuration; runs until it is killed."""
    packs = ""
    simulators = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        simulator = build(kind, CELLS.get(kind, 16), think=0.02, seed=number)
        simulators.append(simulator)
        link = await simulator.pty(str(folder / f"pack{number}"))
        packs += PACK.format(number=number + 1, link=link, kind=kind, address=dialects(kind)[0].addresses[0])
    (folder / "packs.toml").write_text(packs, encoding="utf-8")
    print("ready", flush=True)
    await asyncio.Event().wait()


def used(process: int) -> tuple[float, float]:
    """Return (CPU seconds, resident MiB) of a process."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    resident = next(
        line for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines() if "VmRSS" in line
    )
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS, int(resident.split()[1]) / 1024


def reachable(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def measure(minutes: float, count: int) -> int:
    """Print what the gateway needs; return 1 above the budget."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="cellwire-bench-") as name:
        folder = Path(name)
        simulators = subprocess.Popen(
            [sys.executable, __file__, "--simulate", name, "--packs", str(count)], stdout=subprocess.PIPE, text=True
        )
        broker: subprocess.Popen[Any] | None = None
        gateway: subprocess.Popen[Any] | None = None
        try:
            (folder / "broker.conf").write_text(
                f"listener {BROKER} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8"
            )
            broker = subprocess.Popen([MOSQUITTO, "-c", str(folder / "broker.conf")], stderr=subprocess.DEVNULL)
            assert simulators.stdout is not None
            simulators.stdout.readline()
            names = ", ".join(
                f'"pack {number + 1}"' for number in range(count) if KINDS[number % len(KINDS)] == "jk-pb"
            )
            (folder / "cellwire.toml").write_text(
                f'[web]\nlisten = "127.0.0.1:{PORT}"\nguests = true\n[[bank]]\nname = "house"\npacks = [{names}]\n'
                f'[mqtt]\nurl = "mqtt://127.0.0.1:{BROKER}"\n[modbus]\nlisten = "127.0.0.1:{MODBUS}"\n'
                + (folder / "packs.toml").read_text(encoding="utf-8"),
                encoding="utf-8",
            )
            gateway = subprocess.Popen(
                [sys.executable, "-m", "cellwire", "run", "-c", str(folder / "cellwire.toml")],
                stderr=subprocess.DEVNULL,
            )
            address = f"http://127.0.0.1:{PORT}/"
            end = time.monotonic() + 20
            while not reachable(address) and time.monotonic() < end:
                time.sleep(0.1)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                page = browser.new_page()
                page.goto(address)
                time.sleep(SETTLING)
                busy, rates, peak = watch(gateway.pid, minutes, f"{address}metrics")
                packs = page.evaluate("fetch('api/v1/packs').then(answer => answer.json())")["packs"]
                online = sum(pack["state"] == "online" for pack in packs)
                outputs = page.evaluate("fetch('api/v1/health').then(answer => answer.json())")["outputs"]
                failing = [output["output"] for output in outputs if output["state"] != "running"]
                browser.close()
        finally:
            for process in (gateway, broker, simulators):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(20)
    good = busy <= BUDGET_CPU and peak <= BUDGET_MIB and online == count and len(outputs) == 2 and not failing
    print(
        f"gateway, {count} packs at 1 Hz, page, MQTT, Modbus, history, {minutes:g} min: {busy:.1%} of one core "
        f"(10 s windows {min(rates):.1%} to {max(rates):.1%}, median {statistics.median(rates):.1%}; budget "
        f"{BUDGET_CPU:.0%}), {peak:.0f} MiB resident at most (budget {BUDGET_MIB:.0f}), {online} of {count} online"
        f"{', not running: ' if failing else ''}{', '.join(failing)}: "
        f"{'PASS' if good else 'FAIL'}"
    )
    return int(not good)


def watch(process: int, minutes: float, metrics: str) -> tuple[float, list[float], float]:
    """Return the share of a core over the whole time, in windows of 10 s, and the most memory seen in MiB.

    Asks for the metrics every 10 s.
    """
    began, start = time.monotonic(), used(process)[0]
    before, last, peak = start, began, 0.0
    rates = []
    while time.monotonic() - began < minutes * 60:
        time.sleep(min(10.0, minutes * 60))
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            answer.read()
        spent, resident = used(process)
        now = time.monotonic()
        rates.append((spent - before) / (now - last))
        before, last, peak = spent, now, max(peak, resident)
    return (before - start) / (last - began), rates, peak


def main() -> int:
    """Measure, or be the simulators."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--packs", type=int, default=32)
    parser.add_argument("--simulate", metavar="FOLDER", help="be the simulators")
    options = parser.parse_args()
    if options.simulate:
        asyncio.run(simulate(Path(options.simulate), options.packs))
        return 0
    return measure(options.minutes, options.packs)


if __name__ == "__main__":
    sys.exit(main())
