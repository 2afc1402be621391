"""The databases that are installed here, each on a free port with its data in a folder; they can be killed."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from served import free_port

MEASUREMENT = "cellwire"


class Engine:
    """One database server."""

    program = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """Return why it cannot be used here, "" when it can."""
        return "" if shutil.which(cls.program) else f"{cls.program} is not installed"

    def words(self) -> list[str]:
        """Return the command that runs it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it on its folder, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.words(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                self.get("/ping")
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
                assert time.monotonic() < end, "it does not answer"
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it at once: what it has only in memory is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def get(self, path: str, **query: str) -> bytes:
        """Return the answer to a GET."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())

    def values(self, field: str) -> dict[tuple[str, str], list[tuple[int, Any]]]:
        """Return what it has of a field: by id and name the times in ms and the values, in the order of time."""
        raise NotImplementedError


class VictoriaMetrics(Engine):
    """Keeps numbers only; acknowledges some seconds before it writes."""

    program = "victoria-metrics"

    def words(self) -> list[str]:
        """Return the command that runs it; the options are those of docs/influx.md."""
        return [
            self.program,
            f"-storageDataPath={self.folder}/data",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-memory.allowedBytes=200MB",
            "-search.maxUniqueTimeseries=100000",
        ]

    def values(self, field: str) -> dict[tuple[str, str], list[tuple[int, Any]]]:
        """Return what it has of a field; what came last is made readable first."""
        self.get("/internal/force_flush")
        found: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        for line in self.get("/api/v1/export", **{"match[]": f"{MEASUREMENT}_{field}"}).splitlines():
            series = json.loads(line)
            key = series["metric"]["id"], series["metric"]["pack"]
            found.setdefault(key, []).extend(zip(series["timestamps"], series["values"], strict=True))
        return {key: sorted(values) for key, values in found.items()}


class Influxd(Engine):
    """InfluxDB 1."""

    program = "influxd"

    def words(self) -> list[str]:
        """Return the command that runs it."""
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{self.folder}/meta"
[data]
dir = "{self.folder}/data"
wal-dir = "{self.folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{self.port}"
log-enabled = false
[ifql]
enabled = false
""",
            encoding="utf-8",
        )
        return [self.program, "-config", str(config)]

    def query(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query gives."""
        document = json.loads(self.get("/query", db=MEASUREMENT, epoch="ms", q=query))
        assert "error" not in document["results"][0], document
        return list(document["results"][0].get("series", []))

    def values(self, field: str) -> dict[tuple[str, str], list[tuple[int, Any]]]:
        """Return what it has of a field."""
        series = self.query(f'SELECT "{field}" FROM {MEASUREMENT} GROUP BY "id", "pack"')
        return {
            (one["tags"]["id"], one["tags"]["pack"]): [(at, value) for at, value in one["values"]] for one in series
        }


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    """Run an engine, and end it in any case."""
    try:
        engine.start()
        yield engine
    finally:
        engine.kill()
