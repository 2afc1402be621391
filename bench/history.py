"""A year of four packs at 5 s in the history: CPU, size, bytes that reach the device, and how fast charts come.

    python bench/history.py --days 365

Rows go through the gateway's own writer; only the clock is driven. Beside each figure stands what the same design
came to as a bare experiment, and how much more is allowed; missing one is a failure. The charts are also asked of a
gateway that serves the file, as a page does; those limits are absolute.
"""

import argparse
import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parent.parent / "tests"), str(Path(__file__).parent.parent / "tests/history")]

import durable  # noqa: E402
import powercut  # noqa: E402
from generated import EVERY, START, household, identity, ticks  # noqa: E402

from cellwire.gateway.config import HistorySettings  # noqa: E402
from cellwire.gateway.events import Events  # noqa: E402
from cellwire.outputs.history import History, Row  # noqa: E402
from cellwire.outputs.history.reader import Reader  # noqa: E402
from cellwire.outputs.history.writer import Writer  # noqa: E402

DAY = 86400.0
TICKS_A_DAY = int(DAY / EVERY)
PACKS = 4
TIMES = 20
YARDSTICK = 9.2e-6  # CPU seconds that one generated row takes on the machine of the references when it is quiet
# 20 series as a page with cells asks for them, and the four of a year.
CHART = ("voltage", "current", "soc", "power", *(f"cell_voltages.{number}" for number in range(1, 17)))
YEAR = ("voltage", "current", "soc", "cell_delta")


class Figure(NamedTuple):
    """One measured figure beside what it should be.

    factor: how much more is allowed; slowness: how many times slower the machine was meanwhile than when it was quiet
    """

    what: str
    value: float
    unit: str
    reference: float
    factor: float
    slowness: float = 1.0

    @property
    def ratio(self) -> float:
        """How many times the reference it would be on a quiet machine."""
        return self.value / self.slowness / self.reference

    @property
    def good(self) -> bool:
        """Whether it keeps its budget."""
        return self.ratio <= self.factor

    def show(self) -> int:
        """Print it; return 1 when it misses its budget."""
        row = f"{self.value:>10.2f} {self.unit:<7}{self.slowness:>7.2f}{self.reference:>9g}"
        row += f"{self.ratio:>7.2f}{self.factor:>7.1f}"
        print(f"{self.what:<58}{row}  {'PASS' if self.good else 'FAIL'}", flush=True)
        return int(not self.good)


class Yardstick:
    """Tells how many times slower than on the quiet reference machine Python is just now, by making some rows."""

    def __init__(self) -> None:
        self.packs = household(PACKS, 99)
        self.next = START

    def __call__(self) -> float:
        begin = time.process_time()
        rows = sum(len(tick) for tick in ticks(self.packs, self.next, 24))
        self.next += 24 * EVERY
        return (time.process_time() - begin) / rows / YARDSTICK


yardstick = Yardstick()


class Build:
    """Writes generated rows into a history, so many a commit, and counts the CPU of that alone.

    The writer makes its turns without its thread: to wake that ten thousand times a second is no part of the real work.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.now = START
        self.packs = household(PACKS, seed)

        def clock() -> float:
            return self.now

        settings = HistorySettings(path=path, every=EVERY, commit=1e6)
        self.writer = Writer(settings, clock, clock, lambda kind, text: print(f"  {kind}: {text}"), lambda meters: None)
        self.next = START

    def run(self, count: int, rows_a_commit: int) -> tuple[float, int, float]:
        """Append `count` ticks; return CPU seconds, rows, and the slowness of the machine meanwhile."""
        cpu, rows, a_commit, slowness = 0.0, 0, rows_a_commit // PACKS, []
        while count:
            block = [[Row(*row) for row in tick] for tick in ticks(self.packs, self.next, min(count, 720))]
            self.next += len(block) * EVERY
            count -= len(block)
            slowness.append(yardstick())
            begin = time.process_time()
            for first in range(0, len(block), a_commit):
                for tick in block[first : first + a_commit]:
                    self.now = tick[-1].time
                    self.writer.append(tick)
                    rows += len(tick)
                self.writer.turn()
            cpu += time.process_time() - begin
            assert not self.writer.status["queued_rows"], self.writer.status
        return cpu, rows, statistics.median(slowness)


def ingest(what: str, reference: float, cpu: float, rows: int, slowness: float) -> Figure:
    """Return the figure of one run."""
    return Figure(what, cpu / rows * 1e6, "us/row", reference, 2, slowness)


def build(path: Path, days: int, seed: int) -> list[Figure]:
    """Make the file; return the figures of writing it."""
    with tempfile.TemporaryDirectory() as folder, durable.weakened("NORMAL"):
        brief = Build(Path(folder) / "cellwire.db", seed)
        small = ingest("ingest, CPU, 8 rows a commit, synchronous=NORMAL", 25, *brief.run(TICKS_A_DAY // 2, 8))
        brief.writer.stop()
    made = Build(path, seed)
    large = ingest("ingest, CPU, 48 rows a commit", 20, *made.run(TICKS_A_DAY, 48))
    total = TICKS_A_DAY * PACKS
    for day in range(1, days):
        total += made.run(TICKS_A_DAY, 48)[1]
        if day % 30 == 0:
            print(f"  day {day}", flush=True)
    made.writer.stop()
    size = path.stat().st_size
    print(f"{days} days, {total} rows, {size / 1e6:.1f} MB")
    return [
        small,
        large,
        Figure("size of the file, roll-ups included", size / total, "B/row", 22, 1.2),
    ]


def median(ask: Callable[[], object]) -> tuple[float, float]:
    """Return the median of the milliseconds that it takes, and the slowness of the machine meanwhile."""
    times, slowness = [], []
    for _ in range(TIMES):
        slowness.append(yardstick())
        begin = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000, statistics.median(slowness)


def queries(path: Path) -> list[Figure]:
    """Return how long charts take in a gateway that has the file open."""
    pack = identity(1)
    end = last_time(path)
    history = History(HistorySettings(path=path), lambda: end, lambda: end, Events(lambda: end), lambda meters: None)
    history.start()
    reader = history.reader
    try:
        day = median(lambda: reader.series(pack, CHART, end - DAY, end, 1000))
        raw = median(lambda: reader.series(pack, CHART, end - DAY, end, 1000, "raw"))
        year = median(lambda: reader.series(pack, YEAR, end - 365 * DAY, end, 1000, "day"))
    finally:
        history.stop()
    return [
        Figure("a day of 20 series, from minutes", day[0], "ms", 8, 2, day[1]),
        Figure("a day of 20 series, from raw rows", raw[0], "ms", 55, 2, raw[1]),
        Figure("daily min, mean and max of 4 series, a year", year[0], "ms", 1, 2, year[1]),
    ]


def last_time(path: Path) -> float:
    """Return the time of the newest row."""
    return float(max(known["last"] for known in Reader(path).packs()))


def over_http(path: Path) -> list[Figure]:
    """Return how long the same takes at the API of a running gateway, over one connection that stays open."""
    pack, end = identity(1), last_time(path)
    with gateway(path) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def get(names: tuple[str, ...], span: float, resolution: str) -> None:
            words = {"of": pack, "names": ",".join(names), "start": end - span, "end": end, "points": 1000}
            query = urllib.parse.urlencode({**words, "resolution": resolution} if resolution else words)
            connection.request("GET", f"/api/v1/history?{query}")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, f"{answer.status}: {body[:200]!r}"

        day, _ = median(lambda: get(CHART, DAY, ""))
        year, _ = median(lambda: get(YEAR, 365 * DAY, "day"))
        connection.close()
    return [
        Figure("over HTTP: a day of 20 series", day, "ms", 100, 1),
        Figure("over HTTP: daily min, mean and max of 4 series, a year", year, "ms", 20, 1),
    ]


@contextlib.contextmanager
def gateway(path: Path) -> Iterator[int]:
    """Yield the port of a gateway that serves the file to guests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cellwire.toml"
        text = f'[web]\nlisten = "127.0.0.1:{port}"\nguests = true\n[history]\npath = "{path.resolve()}"\n'
        file.write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "cellwire", "run", "-c", str(file)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def device_bytes(seed: int, days: float) -> list[Figure]:
    """Return the bytes a row that reach a block device, the journal of its file system included."""
    found = []
    for rows_a_commit, reference in ((8, 1350), (48, 445)):
        with tempfile.TemporaryDirectory() as folder, mounted(Path(folder)) as (home, written):
            made = Build(home / "cellwire.db", seed)
            made.run(int(TICKS_A_DAY * days / 3), 48)  # so that the -wal file has its size
            os.sync()
            before = written()
            _cpu, rows, _slowness = made.run(int(TICKS_A_DAY * days), rows_a_commit)
            os.sync()
            value = (written() - before) / rows
            made.writer.stop()
        found.append(Figure(f"device bytes, {rows_a_commit} rows a commit", value, "B/row", reference, 1.2))
    return found


class NoDevice(Exception):
    """No block device of our own can be had; the text says why."""


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[tuple[Path, Callable[[], int]]]:
    """Yield a folder on an ext4 image of its own, and what tells the bytes written to its device so far."""
    image, home = folder / "image", folder / "home"
    home.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    device = ""
    try:
        call("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        device = call("losetup", "--find", "--show", str(image)).strip()
        call("mount", device, str(home))
        statistic = Path("/sys/block") / Path(device).name / "stat"
        yield home, lambda: int(statistic.read_text().split()[6]) * 512
    finally:
        if device:
            subprocess.run(["umount", str(home)], capture_output=True, check=False)
            subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)


def call(*words: str) -> str:
    """Return what a command prints."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise NoDevice(f"{words[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise NoDevice(f"{words[0]}: {(error.stderr or '').strip()}") from None


def asked_bytes(seed: int) -> list[str]:
    """Return lines with the bytes that are passed to the system instead: less than what reaches a device."""
    if why := powercut.recording_works():
        return [f"not counted either: {why}"]
    lines = []
    for flush, rows_a_commit in ((3, 8), (23, 48)):
        with tempfile.TemporaryDirectory() as folder:
            order = powercut.evening(Path(folder), 1500)
            order.seed, order.flush = seed, flush
            calls = powercut.record(order, Path(folder) / "calls.log")
        size = sum(len(call.data) for call in calls if call.kind == "write")
        lines.append(f"about {rows_a_commit} rows a commit: {size / 1500 / PACKS:.0f} B/row passed to the system")
    return lines


def main() -> int:
    """Print the table; return 1 when a figure misses its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="keep the file here; used as it is when it is there already")
    parser.add_argument("--device-days", type=float, default=1.0, help="length of the runs on a device; 0: none")
    options = parser.parse_args()
    title = f"history, {PACKS} packs at {EVERY:g} s, 45 columns a row"
    print(f"{title:<58}  measured          slower   should  ratio allowed")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "cellwire.db"
        if not path.exists():
            for figure in build(path, options.days, options.seed):
                missed |= figure.show()
        for figure in [*queries(path), *over_http(path)]:
            missed |= figure.show()
    if options.device_days:
        try:
            for figure in device_bytes(options.seed, options.device_days):
                missed |= figure.show()
        except NoDevice as why:
            print(f"device bytes: no loop device here ({why})")
            print(*asked_bytes(options.seed), sep="\n")
    return missed


if __name__ == "__main__":
    sys.exit(main())
