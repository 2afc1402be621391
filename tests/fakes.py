"""A made-up protocol, link and pack that answer at once, and an event loop in which waiting takes no time."""

import asyncio
import functools
import json
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from cellwire.codec.dialect import FAST, PUSH, REFUSAL, REPLY, REQUEST, Dialect, Query
from cellwire.codec.errors import Refused
from cellwire.links.link import BufferedLink, LinkLost

Readings = dict[str, Any]
Frame = tuple[str, int | None, Any, bytes]

# The first byte of a frame tells what it is; then come address, key, length, payload and the sum of it all.
STARTS = {0xA0: REQUEST, 0xB0: REPLY, 0xC0: PUSH, 0xE0: REFUSAL}


def frame_of(start: int, address: int, key: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    body = bytes((start, address, key, len(payload))) + payload
    return body + bytes((sum(body) & 0xFF,))


def reply_of(key: int, values: Readings, address: int = 1, start: int = 0xB0) -> bytes:
    """Return an answer that holds these readings."""
    return frame_of(start, address, key, json.dumps(values).encode())


class FakeReceiver:
    """Finds the made-up frames."""

    def __init__(self) -> None:
        self.dropped = 0
        self.damaged = 0
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames: list[Frame] = []
        while self._buffer:
            if self._buffer[0] not in STARTS:
                self._buffer = self._buffer[1:]
                self.dropped += 1
                continue
            if len(self._buffer) < 4 or len(self._buffer) < 5 + self._buffer[3]:
                break
            size = 5 + self._buffer[3]
            whole, self._buffer = self._buffer[:size], self._buffer[size:]
            if sum(whole[:-1]) & 0xFF == whole[-1]:
                frames.append((STARTS[whole[0]], whole[1], whole[2], whole[4:-1]))
            else:
                self.damaged += 1
                self.dropped += size
        return frames

    def waiting(self) -> int:
        return len(self._buffer)


def _request(query: Query, address: int) -> bytes:
    return frame_of(0xA0, address, query.key)


def _read(frame: Frame, known: Readings) -> Readings:
    return dict(json.loads(frame[3])) if frame[0] in (REPLY, PUSH) else {}


def _collect(query: Query, address: int, frames: list[Frame], known: Readings, quiet: bool) -> Readings | None:
    for frame in frames:
        if frame[1:3] == (address, query.key):
            if frame[0] == REFUSAL:
                raise Refused(7, f"the pack refused {query.name}")
            if frame[0] == REPLY or (query.pushed and frame[0] == PUSH):
                return _read(frame, known)
    return None


BASIC = Query("basic", 1, FAST)


def fake_dialect(*queries: Query, **more: Any) -> Dialect:
    """Return the made-up dialect with these queries, the first of which is its probe."""
    asked = queries or (BASIC,)
    return Dialect(
        "fake", "fake", "Fake", asked, asked[0].name, _request, FakeReceiver, _collect, _read, (), (9600,), **more
    )


class FakePack:
    """Has a list of answers for each (address, key), given in turn, the last one again and again.

    An answer is readings, bytes as they are, or None for silence; what is not in the list is refused when `refuses`.
    """

    def __init__(self, answers: dict[int | tuple[int, int], list[Any]], refuses: bool = False) -> None:
        self.answers = {key if isinstance(key, tuple) else (1, key): list(value) for key, value in answers.items()}
        self.refuses = refuses
        self.asked: list[int] = []

    def __call__(self, request: bytes) -> bytes:
        address, key = request[1], request[2]
        self.asked.append(key)
        answers = self.answers.get((address, key))
        if not answers:
            return frame_of(0xE0, address, key) if self.refuses else b""
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return b""
        return answer if isinstance(answer, bytes) else reply_of(key, answer, address)


class FakeLink(BufferedLink):
    """Hands every request to `answer` and lets what it returns arrive at once.

    sent: (loop time, bytes); failures: errors of the next openings
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__("fake", 9600)
        self.answer = answer
        self.sent: list[tuple[float, bytes]] = []
        self.bauds: list[int] = []
        self.opened = 0
        self.closed = 0
        self.failures: list[Exception] = []

    async def open(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.opened += 1
        self._begin()

    async def send(self, data: bytes) -> None:
        self._check()
        self.sent.append((asyncio.get_running_loop().time(), data))
        answer = self.answer(data)
        if answer:
            self._arrived(answer)

    def arrive(self, data: bytes) -> None:
        """Let bytes come that nobody asked for."""
        self._arrived(data)

    def unplug(self) -> None:
        """Take the adapter away."""
        self._lost("fake is gone; plug it in again")

    async def set_baud(self, baud: int) -> None:
        self.baud = baud
        self.bauds.append(baud)

    async def close(self) -> None:
        self.closed += 1
        self._lost("fake was closed")


class _Warp(selectors.DefaultSelector):
    """Waits by moving the clock of its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(5.0 if timeout is None else 0.0)
        if timeout is None:
            assert ready, "nothing will ever happen any more"
        elif not ready:
            self.moved += max(0.0, timeout)
        return ready


class WarpLoop(asyncio.SelectorEventLoop):
    """An event loop that sleeps in no time; only for tests in which no other process or thread has a part."""

    def __init__(self) -> None:
        self._warp = _Warp()
        super().__init__(self._warp)

    def time(self) -> float:
        return self._warp.moved


def warped(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return the test as one that runs in a WarpLoop."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=WarpLoop) as runner:
            runner.run(test(*arguments, **named))

    return run


__all__ = ["BASIC", "FakeLink", "FakePack", "LinkLost", "fake_dialect", "frame_of", "reply_of", "warped"]
