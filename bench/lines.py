"""The history sent as line protocol: CPU a row to read, encode and send it, and how fast a database takes it.

    python bench/lines.py --days 2

The rows are read from a file that the gateway's own writer made. They are sent to a server that throws them away, and
to the databases that are installed. Beside each figure stands what lines that were made beforehand cost the same
database in the same run, with nothing but sockets and bytes on the side of the client: its own limit.
"""

import argparse
import asyncio
import http.client
import multiprocessing
import os
import resource
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests" / part) for part in ("", "history", "influx")] + [str(HERE)]

from durable import Clock  # noqa: E402
from engines import Engine, Influxd, VictoriaMetrics, running  # noqa: E402
from history import PACKS, TICKS_A_DAY, Build, Figure, yardstick  # noqa: E402
from made import opened  # noqa: E402

from cellwire.gateway.config import InfluxSettings  # noqa: E402
from cellwire.gateway.events import Events  # noqa: E402
from cellwire.outputs.history import History  # noqa: E402
from cellwire.outputs.influx import WINDOW, Influx  # noqa: E402
from cellwire.outputs.influx.lines import Names, lines  # noqa: E402

Serve = Callable[[], AbstractContextManager[tuple[str, int]]]
BATCH = 1000
ROUNDS = 3  # of limit and output in turn; what is shown are medians
HERTZ = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """What it took to bring all rows to a server: seconds of time, of our CPU and of its own, and the longest pause.

    pause: how long the event loop did nothing else, at most
    """

    rows: int
    seconds: float
    ours: float
    theirs: float
    pause: float = 0.0

    def each(self, seconds: float) -> float:
        """Return seconds for all rows as microseconds for one."""
        return seconds / self.rows * 1e6


def read(history: History) -> tuple[list[bytes], float, float, float]:
    """Return the bodies of all requests, and CPU seconds of reading, of encoding and of compressing."""
    bodies: list[bytes] = []
    seq, taken, names = 0, [0.0, 0.0, 0.0], Names()
    while True:
        begin = time.process_time()
        window = history.reader.window(seq, WINDOW)
        if window.end == seq:
            return bodies, taken[0], taken[1], taken[2]
        seq = window.end
        middle = time.process_time()
        found = lines(window, names, True)
        texts = ["".join(line.text for line in found[at : at + BATCH]) for at in range(0, len(found), BATCH)]
        end = time.process_time()
        bodies += [zlib.compress(text.encode(), 1, 31) for text in texts]
        taken = [taken[0] + middle - begin, taken[1] + end - middle, taken[2] + time.process_time() - end]


def cpu_of(process: int) -> float:
    """Return the CPU seconds of a process so far."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / HERTZ


def own_cpu() -> float:
    """Return the CPU seconds of this process so far, with all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def floor(url: str, process: int, bodies: list[bytes], rows: int) -> Run:
    """POST bodies that are there already, one after the other over one connection."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    begin, ours, theirs = time.perf_counter(), own_cpu(), cpu_of(process)
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
    for body in bodies:
        connection.request("POST", "/write?db=cellwire&precision=ms", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 204, text
    run = Run(rows, time.perf_counter() - begin, own_cpu() - ours, cpu_of(process) - theirs)
    connection.close()
    return run


def sink(history: History, url: str, process: int, rows: int) -> Run:
    """Send all rows by the gateway's own output, as after days of absence."""

    async def send() -> Run:
        events = Events(Clock(2e9))
        output = Influx(history, events, InfluxSettings(name=url, url=url, batch=BATCH))
        pause = 0.0
        begin, ours, theirs = time.perf_counter(), own_cpu(), cpu_of(process)
        task = asyncio.create_task(output.run())
        while output.status["sent_rows"] < rows:
            slept = time.perf_counter()
            await asyncio.sleep(0.001)
            pause = max(pause, time.perf_counter() - slept - 0.001)
            assert output.status["state"] != "failing", output.status
        run = Run(rows, time.perf_counter() - begin, own_cpu() - ours, cpu_of(process) - theirs, pause)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return run

    return asyncio.run(send())


def throw_away(port: "multiprocessing.Queue[int]") -> None:
    """Serve one connection after the other: take requests, and answer that all is well."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.put(server.getsockname()[1])
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    length = 0
                    while line.strip():
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                        line = stream.readline()
                    stream.read(length)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@contextmanager
def nobody() -> Iterator[tuple[str, int]]:
    """Give address and process of a server that throws everything away."""
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=throw_away, args=(port,), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield f"http://127.0.0.1:{port.get(timeout=30)}", process.pid
    finally:
        process.kill()
        process.join()


@contextmanager
def database(kind: type[Engine]) -> Iterator[tuple[str, int]]:
    """Give address and process of a database with nothing in it."""
    with tempfile.TemporaryDirectory() as folder, running(kind(Path(folder))) as engine:
        if kind is Influxd:
            engine.get("/query", q='CREATE DATABASE "cellwire"')
        assert engine.process is not None
        yield engine.url, engine.process.pid


def main() -> int:
    """Print the table; return 1 when a figure misses its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=2.0)
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cellwire.db"
        made = Build(path, 1)
        made.run(round(TICKS_A_DAY * options.days), 48)
        made.writer.stop()
        history = opened(path, Clock(2e9))
        try:
            slowness = yardstick()
            bodies, *taken = read(history)
            slowness = (slowness + yardstick()) / 2
            rows = round(TICKS_A_DAY * options.days) * PACKS
            print(f"line protocol, {rows} rows of 45 columns, {BATCH} a request, machine {slowness:.2f} times slower")
            words = ("read from the history", "encode as lines", "compress")
            for what, seconds in zip(words, taken, strict=True):
                print(f"  {what:<40}{seconds / rows * 1e6:>8.2f} us/row")
            size = sum(map(len, bodies)) / rows
            print(f"  {'sent':<40}{size:>8.1f} B/row")
            missed |= Figure("encode as lines, CPU", taken[1] / rows * 1e6, "us/row", 10.5, 1.5, slowness).show()
            missed |= compared("thrown away", nobody, 1.2, history, bodies, rows)
            # InfluxDB goes on tidying up while time passes, and with the output more of that does.
            for kind, factor in ((VictoriaMetrics, 1.2), (Influxd, 1.5)):
                if why := kind.missing():
                    print(f"  {kind.program}: not measured, {why}")
                else:
                    missed |= compared(kind.program, partial(database, kind), factor, history, bodies, rows)
        finally:
            history.stop()
    return missed


def medians(runs: list[Run]) -> Run:
    """Return the median of each figure."""
    return Run(runs[0].rows, *(median(values) for values in list(zip(*runs, strict=True))[1:]))


def compared(name: str, serve: Serve, factor: float, history: History, bodies: list[bytes], rows: int) -> int:
    """Print what it takes to bring all rows to one kind of server, and its limit; return 1 when a budget is missed."""
    limits, runs, slowness = [], [], [yardstick()]
    for _ in range(ROUNDS):
        with serve() as (url, process):
            limits.append(floor(url, process, bodies, rows))
        with serve() as (url, process):
            runs.append(sink(history, url, process, rows))
        slowness.append(yardstick())
    limit, run = medians(limits), medians(runs)
    for what, one in (("made beforehand", limit), ("by the output", run)):
        print(
            f"  {name}, {what:<18}{one.rows / one.seconds:>9.0f} rows/s"
            f"{one.each(one.ours):>8.1f} us/row here{one.each(one.theirs):>8.1f} us/row there"
            f"{one.pause * 1000:>8.1f} ms longest pause"
        )
    missed = Figure(f"{name}: CPU here", run.each(run.ours), "us/row", 15, 1.5, median(slowness)).show()
    if limit.theirs > 0.1:
        missed |= Figure(f"{name}: CPU there", run.each(run.theirs), "us/row", limit.each(limit.theirs), factor).show()
    return missed


if __name__ == "__main__":
    sys.exit(main())
