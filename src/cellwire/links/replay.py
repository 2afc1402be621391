"""Records what goes through a link, and plays such a capture as if the device were there."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, TextIO

from .link import BufferedLink, Link, PortMissing

Event = tuple[float, str, bytes]  # seconds since the start, "rx" or "tx", bytes


def load(path: str | Path) -> tuple[dict[str, Any], list[Event]]:
    """Return (header, events) of a capture; raise ValueError naming the line that is wrong, OSError."""
    header: dict[str, Any] = {}
    events: list[Event] = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if not header:
                header = _header(entry)
            else:
                events.append(_event(entry))
        except ValueError as error:
            raise ValueError(f"{path} line {number} is not a line of a capture: {error}") from None
    if not header:
        raise ValueError(f"{path} is empty; `cellwire record` writes captures")
    return header, events


def _header(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.get("cellwire") != "capture":
        raise ValueError('the first line must have "cellwire": "capture"')
    if entry.get("version") != 1:
        raise ValueError(f"version {entry.get('version')} is not known here; a newer Cellwire may read it")
    return entry


def _event(entry: Any) -> Event:
    if isinstance(entry, dict):
        for way in ("rx", "tx"):
            if isinstance(entry.get(way), str):
                return float(entry.get("t", 0.0)), way, bytes.fromhex(entry[way])
    raise ValueError('it needs "rx" or "tx" with bytes as hex')


class ReplayLink(BufferedLink):
    """Answers a request with what followed the same bytes in the capture, in turn and again from the start.

    A capture in which nothing was sent is played piece by piece to whoever receives; after its end nothing comes.
    real_time: pause as long as the device did, otherwise not at all.
    """

    def __init__(self, name: str, path: str, real_time: bool = False) -> None:
        super().__init__(name)
        self.path = path
        self.real_time = real_time
        self.dialect: str | None = None
        self.address: int | None = None
        self._answers: dict[bytes, list[list[tuple[float, bytes]]]] = {}
        self._turns: dict[bytes, int] = {}
        self._pieces: list[tuple[float, bytes]] = []  # (pause before it, bytes), to be played next
        self._player: asyncio.Task[None] | None = None
        self._listening = False

    async def open(self) -> None:
        """Read the capture; raise PortMissing when it is not there or not a capture."""
        if not self._loss:
            return
        try:
            header, events = load(self.path)
        except OSError as error:
            raise PortMissing(f"{self.path} cannot be read: {error.strerror}; check the name of the capture") from None
        except ValueError as error:
            raise PortMissing(str(error)) from None
        self.dialect, self.address = header.get("dialect"), header.get("address")
        self._begin()
        self._sort(events)
        if self._listening or self._pieces:
            self._play()

    def _sort(self, events: list[Event]) -> None:
        """Tell answers by the request before them; what came before the first request comes at once."""
        self._answers, self._turns, self._pieces = {}, {}, []
        self._listening = all(way == "rx" for _, way, _ in events)
        heard, before = self._pieces, 0.0
        for at, way, data in events:
            if way == "tx":
                heard = []
                self._answers.setdefault(data, []).append(heard)
            else:
                heard.append((max(0.0, at - before), data))
            before = at

    async def send(self, data: bytes) -> None:
        """Take a request; its answer begins to arrive."""
        self._check()
        answers = self._answers.get(data)
        if answers:
            turn = self._turns.get(data, 0)
            self._turns[data] = turn + 1
            self._pieces = list(answers[turn % len(answers)])
            self._play()

    def _play(self) -> None:
        """Let the pieces arrive with their pauses; without pauses they wait until somebody receives."""
        self._stop()
        if self.real_time:
            self._player = asyncio.get_running_loop().create_task(self._played())

    async def _played(self) -> None:
        while self._pieces:
            pause, data = self._pieces.pop(0)
            await asyncio.sleep(pause)
            self._arrived(data)

    async def receive(self, at_least: int = 1) -> bytes:
        """Return the next piece; raise TimeoutError when the capture holds no more of this answer."""
        if self.real_time or self._loss or self._received:
            return await super().receive(at_least)
        # A turn for the others: whoever listens to a capture without pauses must not hold up the program.
        await asyncio.sleep(0)
        if not self._pieces:
            # What waiting would find out is known at once.
            raise TimeoutError(f"{self.name} holds nothing more here")
        return self._pieces.pop(0)[1]

    def pending(self) -> bytes:
        """Return what is left of an answer; of a capture that is only listened to, nothing has come before its turn."""
        left = b""
        if not self.real_time and not self._listening and not self._loss:
            left = b"".join(data for _, data in self._pieces)
            self._pieces = []
        return super().pending() + left

    def _stop(self) -> None:
        if self._player is not None:
            self._player.cancel()
            self._player = None

    async def close(self) -> None:
        """Stop playing; opened again, the capture starts from its beginning."""
        self._stop()
        self._lost(f"{self.name} was closed")


class Recording(Link):
    """Another link, and a capture of all that goes through it, in the order in which it was sent and fetched."""

    def __init__(self, link: Link, target: str | Path | TextIO, header: dict[str, Any]) -> None:
        self.link = link
        self.name = link.name
        self._target = target
        self._header = header
        self._file: TextIO | None = None
        self._start: float | None = None

    @property
    def baud(self) -> int | None:  # type: ignore[override]
        """The speed of the link below."""
        return self.link.baud

    @property
    def lag(self) -> float:  # type: ignore[override]
        """Of the link below."""
        return self.link.lag

    @property
    def wireless(self) -> bool:  # type: ignore[override]
        """Of the link below."""
        return self.link.wireless

    @property
    def speaks(self) -> tuple[str, ...]:  # type: ignore[override]
        """Of the link below."""
        return self.link.speaks

    async def open(self) -> None:
        """Open the link, then the file; a link opened again goes on in the same capture."""
        await self.link.open()
        if self._file is None:
            try:
                self._file = self._opened()
            except OSError as error:
                await self.link.close()
                raise PortMissing(f"{self._target} cannot be written: {error.strerror}; choose another file") from None
        if self._start is None:
            self._start = time.monotonic()
            self._write(self._header)

    def _opened(self) -> TextIO:
        if isinstance(self._target, str | Path):
            return open(self._target, "w" if self._start is None else "a", encoding="utf-8")
        return self._target

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def _note(self, way: str, data: bytes) -> None:
        if data and self._start is not None and not self.private:
            self._write({"t": round(time.monotonic() - self._start, 4), way: data.hex()})

    async def send(self, data: bytes) -> None:
        """Send and record."""
        self._note("tx", data)
        await self.link.send(data)

    async def receive(self, at_least: int = 1) -> bytes:
        """Receive and record."""
        data = await self.link.receive(at_least)
        self._note("rx", data)
        return data

    def pending(self) -> bytes:
        """Fetch what is there and record it."""
        data = self.link.pending()
        self._note("rx", data)
        return data

    async def set_baud(self, baud: int) -> None:
        """Change the speed of the link below."""
        await self.link.set_baud(baud)

    def key(self) -> tuple[str, str]:
        """Return what the link below has."""
        return self.link.key()

    def proved(self) -> None:
        """Tell the link below."""
        self.link.proved()

    async def revive(self) -> bool:
        """Let the link below do what it can."""
        return await self.link.revive()

    async def close(self) -> None:
        """Close the link, and the file when it was opened here."""
        await self.link.close()
        if self._file is not None and self._file is not self._target:
            self._file.close()
            self._file = None
