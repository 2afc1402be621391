"""Simulated packs in a thread of their own, and the command line as users start it."""

import asyncio
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from cellwire.sim.server import Simulator, build

Result = TypeVar("Result")
Document = dict[str, Any]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


EVENING = 1_700_078_400


def evening() -> Callable[[], float]:
    """Return a clock that starts at eight in the evening, so that no test depends on the time of the day."""
    start = time.monotonic()
    return lambda: EVENING + time.monotonic() - start


class Served:
    """A simulator that runs beside the test; `path` is the port on which it answers."""

    def __init__(self, simulator: Simulator, path: str) -> None:
        self.simulator = simulator
        self.path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what the work gives, done in the simulator's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def unplug(self) -> None:
        self.run(self.simulator.unplug())

    def replug(self) -> None:
        self.run(self.simulator.replug())

    def stop(self) -> None:
        self.run(self.simulator.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def served(path: Any, kind: str, cells: int = 4, **more: Any) -> Iterator[Served]:
    """Yield a simulator of that dialect on a pseudo terminal, as fast as it can be, in its evening: it discharges."""
    simulator = build(kind, cells, **{"baud": 0, "think": 0.001, "seed": 3, "clock": evening(), **more})
    made = Served(simulator, str(path))
    try:
        made.run(simulator.pty(made.path))
        yield made
    finally:
        made.stop()


def environment() -> dict[str, str]:
    """Return the environment of a command: no colours, wide lines, warnings shown."""
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONWARNINGS": "default", "PYTHONUNBUFFERED": "1"}


def command_of(*arguments: Any) -> list[str]:
    """Return the words that start Cellwire."""
    return [sys.executable, "-m", "cellwire", *map(str, arguments)]


def called(*arguments: Any, given: str = "") -> subprocess.CompletedProcess[str]:
    """Return the result of a whole run of Cellwire."""
    return subprocess.run(
        command_of(*arguments), input=given, capture_output=True, text=True, timeout=60, env=environment(), check=False
    )


class Running:
    """Cellwire while it runs: its lines as they come."""

    def __init__(self, *arguments: Any) -> None:
        self.process = subprocess.Popen(
            command_of(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        self.errors = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line

    def line(self, seconds: float = 30.0) -> str:
        """Return the next line of output; fail when none comes."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no line within {seconds} s; errors: {self.errors}") from None
        assert line, f"the output ended; errors: {self.errors}"
        return line

    def snapshot(self) -> Document:
        """Return the next line as JSON."""
        document: Document = json.loads(self.line())
        return document

    def until(self, state: str, limit: int = 300) -> Document:
        """Return the first snapshot in this state."""
        seen = []
        for _ in range(limit):
            document = self.snapshot()
            if document["state"] == state:
                return document
            seen.append(document["state"])
        raise AssertionError(f"never {state}: {seen}")

    def complaint(self, text: str, seconds: float = 30.0) -> None:
        """Wait until the text was said on standard error."""
        end = time.monotonic() + seconds
        while text not in self.errors:
            assert time.monotonic() < end, f"never said: {self.errors}"
            time.sleep(0.02)

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        for thread in self._threads:
            thread.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def running(*arguments: Any) -> Iterator[Running]:
    """Yield Cellwire while it runs; it is ended afterwards."""
    process = Running(*arguments)
    try:
        yield process
    finally:
        process.end()
