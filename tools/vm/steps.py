"""What is done in the machine: the product with the real bluetoothd in good times and bad, each step with seconds."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from served import Running, command_of, environment

HERE = Path(__file__).parent
PORT = "7000"
PATIENCE = 180.0  # seconds for anything; the machine is emulated, and others may use the same processor
BLUETOOTHD = "/usr/libexec/bluetooth/bluetoothd"
CONFIGURATION = """
[web]
listen = "127.0.0.1:6789"
guests = true
[history]
enabled = false
"""
SECTION = """
[[pack]]
name = "{name}"
link = "{link}"
every = 1
"""


class Pack(NamedTuple):
    """A simulated pack."""

    name: str
    family: str
    address: str
    cells: int

    @property
    def link(self) -> str:
        """Its address for Cellwire."""
        return f"ble:{self.address}"


JK = Pack("shed", "jk", "F0:F1:00:00:00:01", 16)
JBD = Pack("van", "jbd", "F0:F1:00:00:00:02", 4)
DALY = Pack("house", "daly", "F0:F1:00:00:00:03", 8)
PACKS = (JK, JBD, DALY)

Document = dict[str, Any]


class Failed(Exception):
    """A step that did not do what it is to do."""


class Started:
    """A program that goes on beside the steps; what it says is in a file."""

    def __init__(self, name: str, *words: str) -> None:
        self.path = Path(f"{name}.log")
        with self.path.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment())

    def said(self) -> str:
        """Return everything that it said."""
        return self.path.read_text("utf-8", "replace")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self.process.send_signal(how)
        self.process.wait(60)


def until(fits: Callable[[], Any], what: str) -> None:
    """Wait until it fits; raise Failed."""
    end = time.monotonic() + PATIENCE
    while not fits():
        if time.monotonic() > end:
            raise Failed(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.1)


def check(fits: object, what: object) -> None:
    """Raise Failed when it does not fit."""
    if not fits:
        raise Failed(str(what))


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say how long the step took, and whether it did what it is to do."""
    start = time.monotonic()
    said = "FAILED"
    try:
        yield
        said = "ok    "
    finally:
        print(f"{said} {time.monotonic() - start:6.1f} s  {name}", flush=True)


class Gateway:
    """`cellwire run` with all packs, and what it said of each of them last."""

    def __init__(self) -> None:
        packs = "".join(SECTION.format(name=pack.name, link=pack.link) for pack in PACKS)
        Path("cellwire.toml").write_text(CONFIGURATION + packs, "utf-8")
        self.process = Running("run", "-c", "cellwire.toml", "--stdout", "--every", "0.5")

    def until(self, fits: Callable[[str], bool], *packs: Pack) -> None:
        """Wait until the states of packs fit, in what is said from now on; raise Failed."""
        with contextlib.suppress(AssertionError):
            while True:
                self.process.line(0.01)
        states: dict[str, str] = {}
        end = time.monotonic() + PATIENCE
        while not all(fits(states.get(pack.name, "")) for pack in packs):
            try:
                document = json.loads(self.process.line(max(end - time.monotonic(), 0.01)))
            except AssertionError:
                raise Failed(f"not within {PATIENCE:g} s; packs are {states}") from None
            if "pack" in document:
                states[document["pack"]] = document["state"]

    def online(self, *packs: Pack) -> None:
        """Wait for a new sample of each pack."""
        self.until(lambda state: state == "online", *packs)

    def away(self, *packs: Pack) -> None:
        """Wait until it is said of each pack that it is away."""
        self.until(lambda state: state in ("stale", "lost", "error"), *packs)


class Steps:
    """The machine's programs, and what is done with them."""

    def __init__(self) -> None:
        self.packs: dict[Pack, Started] = {}
        self.all: list[Started] = []
        self.gateway: Gateway | None = None

    def start(self, name: str, *words: str) -> Started:
        """Start a program that goes on."""
        started = Started(name, *words)
        self.all.append(started)
        return started

    def advertise(self, *packs: Pack) -> None:
        """Start simulated packs, and wait until they advertise."""
        for pack in packs:
            words = ("sim", pack.family, "--ble", f"tcp-client:127.0.0.1:{PORT}")
            more = ("--mac", pack.address, "--cells", str(pack.cells))
            self.packs[pack] = self.start(pack.name, *command_of(*words, *more))
        until(lambda: all(pack.link in self.packs[pack].said() for pack in packs), "simulated packs")

    def bluetoothd(self) -> None:
        """Start the system's Bluetooth, and wait for its adapter."""
        self.daemon = self.start("bluetoothd", BLUETOOTHD, "-n")
        until(lambda: has("Powered"), "an adapter that is on")

    def made(self) -> int:
        """Return how many connections were made on the air since it is there."""
        return self.air.said().count("connected: ")

    def run(self) -> None:
        """Do everything; raise Failed."""
        with step("the air, and the system's own Bluetooth on it"):
            self.air = self.start("air", sys.executable, str(HERE / "localair.py"), PORT)
            until(lambda: "READY" in self.air.said(), "the simulated air")
            self.bluetoothd()
        with step("three packs advertise"):
            self.advertise(*PACKS)
        self.commands()
        self.gateway = Gateway()
        self.outages(self.gateway)
        self.violence()

    def commands(self) -> None:
        """Scan, read, watch, and leave."""
        with step("scan finds the packs and proves them"):
            found = {each["link"]: each for each in json.loads(output("scan", "--ble", "--json"))}
            for pack in PACKS:
                proved = [each["family"] for each in found.get(pack.link, {}).get("packs", [])]
                check(proved == [pack.family], f"{pack}: {found}")
            check(has("Connected") == 0, "connections after scan")
        with step("read, JBD"):
            document = json.loads(output("read", JBD.link, "--json"))
            readings = document["readings"]
            check(document["family"] == JBD.family, document)
            check(len(readings["cell_voltages"]) == JBD.cells, document)
            check(abs(sum(readings["cell_voltages"]) - readings["voltage"]) < 0.05, document)
        with step("watch, JK: three snapshots"):
            said = output("watch", JK.link, "--json", "--every", "1", "--count", "3")
            check([json.loads(line)["state"] for line in said.splitlines()] == ["online"] * 3, said)
            check(has("Connected") == 0, "connections after watch")

    def outages(self, gateway: Gateway) -> None:
        """Take away what the gateway needs, and bring it back."""
        with step("run: three packs online at once"):
            gateway.online(*PACKS)
            check(has("Connected") == 3, "connections of the system")
        with step("a pack dies: it is away"):
            self.packs[JK].stop(signal.SIGKILL)
            gateway.away(JK)
        self.advertise(JK)
        with step("it lives again: it comes back"):
            gateway.online(*PACKS)
        with step("all connections break: all are made again"):
            before = self.made()
            self.air.process.send_signal(signal.SIGUSR1)
            until(lambda: self.made() >= before + len(PACKS), "three connections")
            gateway.online(*PACKS)
        with step("the adapter is switched off: it is switched on again, and all come back"):
            before = self.made()
            run("bluetoothctl", "power", "off")
            until(lambda: self.made() >= before + len(PACKS), "three connections")
            gateway.online(*PACKS)
        with step("the system's Bluetooth dies: all are away"):
            self.daemon.stop(signal.SIGKILL)
            gateway.away(*PACKS)
        with step("it is started again: all come back"):
            self.bluetoothd()
            gateway.online(*PACKS)
        with step("the gateway ends: the packs are let go at once"):
            gateway.process.process.send_signal(signal.SIGTERM)
            check(gateway.process.process.wait(60) == 0, "exit code of run")
            check(has("Connected") == 0, "connections of the system")

    def violence(self) -> None:
        """Kill a program that is connected; the next one finds the pack connected to nobody it knows."""
        with step("watch, Daly, killed while it is connected"):
            watch = Running("watch", DALY.link, "--json", "--every", "1")
            watch.line(PATIENCE)
            watch.end()
            check(has("Connected") == 1, "the system keeps the connection of a program that was killed")
        with step("read: connects all the same"):
            document = json.loads(output("read", DALY.link, "--json"))
            check(document["family"] == DALY.family, document)

    def explain(self) -> None:
        """Print what everybody said last."""
        for started in self.all:
            print(f"--- {started.path.stem}\n" + "\n".join(started.said().splitlines()[-15:]))
        if self.gateway is not None:
            print("--- gateway\n" + self.gateway.process.errors)
        print("--- objects\n" + managed())
        print("--- kernel\n" + "\n".join(run("dmesg").splitlines()[-15:]))


def managed() -> str:
    """Return everything that bluetoothd tells of adapters, devices and their characteristics."""
    manager = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
    return run("dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/", manager)


def has(flag: str) -> int:
    """Return how many objects of bluetoothd have a property that is true."""
    return len(re.findall(rf'"{flag}"\s+variant\s+boolean true', managed()))


def run(*words: str) -> str:
    """Return the output of a program, whatever it is."""
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


def output(*words: str) -> str:
    """Return the output of a command of Cellwire that succeeds."""
    result = subprocess.run(
        command_of(*words), capture_output=True, text=True, timeout=PATIENCE, env=environment(), check=False
    )
    check(result.returncode == 0, f"exit code {result.returncode} of {words}: {result.stdout}{result.stderr}")
    return result.stdout


def main() -> int:
    """Return 0 when every step did what it is to do."""
    steps = Steps()
    print(f"up after {Path('/proc/uptime').read_text().split()[0]} s", flush=True)
    try:
        steps.run()
    except (Failed, AssertionError, subprocess.TimeoutExpired) as error:
        print(f"{type(error).__name__}: {error}")
        steps.explain()
        return 1
    print("everything worked", flush=True)
    return 0


if __name__ == "__main__":
    # The machine is switched off afterwards: threads and programs need no end.
    import os

    status = main()
    sys.stdout.flush()
    os._exit(status)
