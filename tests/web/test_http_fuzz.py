"""Random requests, sound and broken ones, leave the server answering, its memory bounded and nothing let in.

The whole of 10,000: CELLWIRE_FUZZ=10000 .venv/bin/pytest tests/web/test_http_fuzz.py, or .venv/bin/python this file.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cellwire.outputs.web import table

REQUESTS = int(os.environ.get("CELLWIRE_FUZZ", "1500"))
MEMORY = 60_000  # kB that may be added; two passwords that are hashed take 40,000 of them
CALLERS = 8
METHODS = (
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "get",
    "",
)
HEADERS = (
    "Host", "Cookie", "Authorization", "Content-Type", "Content-Length", "Transfer-Encoding", "Origin", "Range",
    "X-CSRF-Token", "X-Forwarded-For", "Expect", "Connection", "Upgrade", "Accept-Encoding", "If-None-Match",
    "If-Modified-Since", "Content-Encoding", "Sec-Fetch-Site", "X-" + "A" * 300,
)  # fmt: skip
VALUES = (
    "", "localhost", "evil.example", "a b", "[::1", "127.0.0.1:99999", "Bearer x", "Bearer " + "A" * 4000, "chunked",
    "gzip", "application/json", "text/plain", "0", "-1", "5", "99999999999999999999", "100-continue", "close",
    "keep-alive", "websocket", "h2c", "bytes=0-1", "bytes=9999-", "bytes=-0", "null", "http://localhost", "http://[",
    "http://\xe2\x84\x80", "*",
    "Thu, 01 Jan 1970 00:00:00 GMT", "\x00", "\xff\xfe", "cellwire_0=" + "x" * 300, 'a="b', "W/\"x\"", ";" * 50,
)  # fmt: skip
BODIES = (
    b"", b"{}", b"[]", b"null", b'{"name": "admin", "password": "x"}', b"{" * 5000, b"[" * 60000, b"\xff" * 100,
    b'{"name": "\\ud800", "password": "y"}', b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"A" * 70000,
    b'{"of": NaN}', b"1e999", b'{"a": ' + b"9" * 5000 + b"}",
)  # fmt: skip


class Fuzzer:
    """Makes requests out of what the API knows, and of what nobody should send; the same with the same seed."""

    def __init__(self, seed: int, tokens: tuple[str, ...]) -> None:
        self.random = random.Random(seed)
        self.tokens = tokens
        self.method = ""

    def path(self) -> bytes:
        """Return a path."""
        choice = self.random.choice
        route = choice(table.ROUTES.all)
        self.method = route.method if self.random.random() < 0.6 else choice(METHODS)
        path = "/api/v1" + route.path.replace("{name}", choice(("shed", "house", "%00", "..", "%ff", "a" * 300, "%2F")))
        match self.random.randrange(12):
            case 0:
                noise = bytes(self.random.randrange(256) for _ in range(self.random.randrange(1, 60)))
                return b"/" + noise.replace(b" ", b"").replace(b"\r", b"").replace(b"\n", b"")
            case 1:
                return choice(
                    (
                        b"*",
                        b"/",
                        b"//",
                        b"/" + b"../" * 30,
                        b"http://evil.example/",
                        b"/assets/x",
                        b"/" + b"a" * 300,
                        b"?",
                        b"a",
                    )
                )
            case 2:
                names = [parameter.name for parameter in route.query] or ["x"]
                values = ("1", "-1", "nan", "1e308", "", "van", "voltage", "%00", "%ff", "9" * 400, "a,b,c" * 50, "day")
                query = "&".join(f"{choice(names)}={choice(values)}" for _ in range(self.random.randrange(6)))
                return f"{path}?{query}".encode()
        return path.encode()

    def request(self) -> bytes:
        """Return the bytes of a request."""
        chance, choice = self.random.random, self.random.choice
        if chance() < 0.03:
            return bytes(self.random.randrange(256) for _ in range(self.random.randrange(1, 2000)))
        version = "HTTP/1.1" if chance() < 0.95 else choice(("HTTP/1.0", "HTTP/2.0", "HTTP/x", "", "HTTP/1.1 more"))
        path = self.path()
        lines = [self.method.encode() + b" " + path + b" " + version.encode()]
        if chance() < 0.9:
            lines.append(b"Host: localhost")
        if chance() < 0.4:
            lines.append(b"Authorization: Bearer " + choice(self.tokens).encode())
        for _ in range(choice((0, 0, 0, 1, 2, 5))):
            lines.append(f"{choice(HEADERS)}: {choice(VALUES)}".encode("latin-1"))
        body = b""
        if chance() < 0.5:
            body = choice(BODIES)
            lines.append(b"Content-Type: application/json")
            if chance() < 0.9:
                lines.append(b"Content-Length: %d" % (len(body) if chance() < 0.9 else self.random.randrange(100000)))
        data = b"\r\n".join(lines) + b"\r\n\r\n" + body
        if chance() < 0.05:
            data = data[: self.random.randrange(1, len(data))]
        if chance() < 0.05:
            spot = self.random.randrange(len(data))
            data = data[:spot] + bytes([self.random.randrange(256)]) + data[spot + 1 :]
        return data


def send(port: int, data: bytes) -> int:
    """Send a request; return the status of the answer, 0 for none."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.settimeout(0.5)
        with contextlib.suppress(OSError):
            link.sendall(data)
            # A request that is not whole gets no answer as long as we stay; do not wait for that.
            answer = link.recv(4096)
            if answer.startswith(b"HTTP/1.1 100"):
                answer = link.recv(4096)
            return int(answer[9:12]) if answer.startswith(b"HTTP/1") else 0
    return 0


def memory(process: int) -> int:
    """Return the resident memory of a process in kB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


@contextlib.contextmanager
def served() -> Iterator[tuple[int, int, tuple[str, str]]]:
    """Serve in a process of its own; give its id, its port, and a token that reads and one that may do anything."""
    words = [sys.executable, str(Path(__file__).with_name("desk.py")), "--port", "0", "--calm", "--tokens"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            address, reading, service = (process.stdout.readline().strip() for _ in range(3))
            yield process.pid, int(address.rstrip("/").rpartition(":")[2]), (reading, service)
        finally:
            process.terminate()
            process.wait(10)


def fuzz(count: int, seed: int = 1) -> tuple[Counter[int], int, float]:
    """Send so many requests; return how often each status came, the memory that was added in kB, and the seconds."""
    with served() as (process, port, tokens):
        fuzzer = Fuzzer(seed, (tokens[0], tokens[1], "wrong"))
        for _ in range(100):
            send(port, fuzzer.request())
        before, began = memory(process), time.monotonic()
        # Many at a time: those that get no answer would cost most of the time.
        with ThreadPoolExecutor(CALLERS) as callers:
            requests = (fuzzer.request() for _ in range(count))
            statuses = Counter(callers.map(lambda data: send(port, data), requests))
        seconds, added = time.monotonic() - began, memory(process) - before
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/packs", headers={"Authorization": f"Bearer {tokens[0]}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert len(json.load(answer)["packs"]) == 3
        return statuses, added, seconds


def test_random_requests_leave_it_running() -> None:
    statuses, added, _seconds = fuzz(REQUESTS)
    assert not [status for status in statuses if status >= 500 and status != 503], statuses
    assert {200, 400, 401, 403, 404, 405} <= set(statuses)
    assert statuses.get(0, 0) < REQUESTS / 4
    assert added < MEMORY


if __name__ == "__main__":
    found, grown, took = fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
    print(f"{sum(found.values())} requests in {took:.1f} s, {grown} kB more memory, answers: {sorted(found.items())}")
