"""A real Prometheus for the tests, and a gateway whose packs stand still and show everything of the catalogue."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cellwire.gateway.config import WebSettings
from cellwire.gateway.control import Control
from cellwire.gateway.events import Events
from cellwire.gateway.journal import Journal
from cellwire.gateway.release import Releases
from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs import prometheus
from cellwire.outputs.web import Web
from cellwire.readings.catalogue import CATALOGUE, LIST

ROOT = Path(__file__).parent.parent.parent
MODEL = 'A "16S"\\100A\nLiFePO₄'  # what a BMS may say of itself
ALARMS = {"warnings": ["soc_low", "cell_delta"], "protections": ["cell_undervoltage"], "faults": []}
Labels = dict[str, str]


def everything() -> dict[str, Any]:
    """Return a value for every reading of the catalogue, each number another one."""
    readings: dict[str, Any] = {}
    for number, (name, quantity, kind, _, _) in enumerate(CATALOGUE):
        value = 1.5 + number
        if quantity in ("text", "names"):
            readings[name] = "" if quantity == "text" else []
        elif quantity == "flag":
            readings[name] = number % 2 == 0
        else:
            readings[name] = [value, None, value + 0.25] if kind == LIST else value
    identity = {"model": MODEL, "serial_number": "0815", "charge_current_reason": "cell_high"}
    return {**readings, **ALARMS, **identity}


class Still:
    """A gateway with two packs and a bank that show everything; `accept` lets a sample come."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.store = Store(clock)
        self.events = Events(clock)
        self.control = Control(Journal(Path("/nowhere"), clock), self.events, lambda name: None, lambda name: None)
        self.releases = Releases(lambda name: None)
        self.history = None
        self.started = clock()
        self.readings = everything()
        for name in ("shed", "Würfel & Söhne"):
            pack = self.store.add(PackState(name, "jk", "jk-pb", 1, 3600.0))
            pack.pinned_id, pack.settled = f"jk-{name}", True
            pack.polls.add(0.02)
            pack.polls.add(20.0)
            pack.counts["rejected_range"] = 3
            self.store.accept(pack, dict(self.readings))
        self.bank = self.store.add_bank(BankState("house", tuple(self.store.packs)))
        self.bank.readings = dict(self.readings)
        self.bank.missing = {"shed": "blocked"}
        self.bank.warnings = ["do not join shed"]
        self.bank.time = self.bank.seen = clock()

    def links(self) -> list[dict[str, Any]]:
        """Return one link with all packs, and one by Bluetooth without any."""
        counts = {"ok": 5, "damaged": 2, "echoed": 1, "stray": 7}
        link = {"address": "/dev/ttyUSB0", "packs": list(self.store.packs), "counts": counts, "listening": False}
        radio = {"connected": True, "rssi": -71, "rssi_age": 3.5, "counts": {"connections": 2, "drops": 1}}
        radio |= {"radio": "hci0", "causes": {"dropped": 1}, "last_cause": "the connection was lost; it is made again"}
        air = {"address": "ble:C8:47:8C:00:00:01", "packs": [], "counts": {}, "listening": False, "radio": radio}
        return [link, {**air, "released_until": self.store.clock() + 60}]

    def link_of(self, pack: str) -> dict[str, Any]:
        """Return the link."""
        return self.links()[0]

    def health(self) -> dict[str, Any]:
        """Return how it goes."""
        figures = dict.fromkeys(prometheus.FIGURES, 7)
        mqtt = {"output": "mqtt", "name": "broker:1883", "state": "failing", "reason": "the broker is away", **figures}
        return {
            "version": "1.2.3",
            "started": self.started,
            "uptime": round(self.store.clock() - self.started, 3),
            "history": {"state": "failing", "reason": "disk full", "queued_rows": 17, "file_bytes": 4096},
            "outputs": [mqtt],
        }

    def metrics(self) -> str:
        """Return what Prometheus asks for."""
        return prometheus.exposition(self.store, self.links(), self.health())

    def configuration(self) -> dict[str, Any]:
        """Return nothing: there is none."""
        return {}

    async def change(self, kind: str, name: str, value: dict[str, Any] | None, who: str) -> None:
        """Change nothing."""

    def scan(self) -> None:
        """Look for nothing."""

    def scanned(self) -> dict[str, Any]:
        """Return that nothing was looked for."""
        return {"running": False, "links": []}


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the value of every sample by name and labels, as another program reads them; each may be there once."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def of(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], metric: str, /, **labels: str) -> list[float]:
    """Return the values of all samples of that name which have these labels."""
    wanted = set(labels.items())
    return [value for (each, found), value in samples.items() if each == metric and wanted <= found]


def program(name: str) -> str:
    """Return the path of a program; skip the test when it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install prometheus")
    return path


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return what is true at last."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def served_still(folder: Path, **settings: Any) -> Iterator[tuple[Still, Web]]:
    """Serve a gateway that stands still, in a thread, with the real web server."""
    desk = Still()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(20)

    web = Web(desk, WebSettings(**{"listen": "127.0.0.1:0", "access": folder / "access.json", **settings}))
    try:
        run(web.start())
        yield desk, web
    finally:
        run(web.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API; fail with what it says is wrong."""
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Return labels and value of everything that an expression gives just now."""
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", found
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def targets(self) -> dict[str, dict[str, Any]]:
        """Return all targets by job."""
        return {each["labels"]["job"]: each for each in self.ask("targets")["activeTargets"]}


@contextlib.contextmanager
def prometheus_of(folder: Path, config: str, port: int) -> Iterator[Prometheus]:
    """Run Prometheus with a configuration whose targets it looks at each second; files are kept in the folder."""
    path = program("prometheus")
    often = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
    (folder / "prometheus.yml").write_text(often + config, encoding="utf-8")
    log = (folder / "prometheus.log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [
            path,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )
    running = Prometheus(f"http://127.0.0.1:{port}")

    def ready() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text(encoding="utf-8")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{running.address}/-/ready", timeout=5):
            return True
        return False

    try:
        until(ready)
        yield running
    finally:
        process.terminate()
        process.wait(20)
        log.close()
