"""What a link is, something that moves bytes and knows no protocol, and what can go wrong with one."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

# Bytes that nobody fetches are kept up to this many; then the oldest are lost, as in the buffer of a UART.
UNREAD_LIMIT = 65536


class LinkError(Exception):
    """A link cannot be used; the class is the cause, the text says what to do next."""


class PortMissing(LinkError):
    """The port, host or file of the address is not there."""


class PortBusy(LinkError):
    """Another program holds the port."""


class PortForbidden(LinkError):
    """The port is there, and this user may not open it."""


class AdapterOff(LinkError):
    """The radio that the link needs is switched off or not there."""


class LinkLost(LinkError):
    """The link was open and is gone: unplugged, closed by the other side, or closed here."""


class Link(ABC):
    """Moves bytes between this program and one line.

    name      the address it was made from
    baud      bits a second, None where the link has no speed or does not know it
    lag       seconds that it may add to an answer
    wireless  True for a radio: what is wrong then is not a cable
    speaks    names of the dialects that may go through it, the likeliest first; () when it cannot know
    private   True while passwords go through it: nothing of that is kept
    """

    name: str
    baud: int | None = None
    lag: float = 0.0
    wireless: bool = False
    speaks: tuple[str, ...] = ()
    private: bool = False

    @abstractmethod
    async def open(self) -> None:
        """Open; a closed link may be opened again. Raise PortMissing, PortBusy, PortForbidden or AdapterOff."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Hand all bytes over for sending; raise LinkLost when the link is gone or not open."""

    @abstractmethod
    async def receive(self, at_least: int = 1) -> bytes:
        """Return what arrived, waiting without limit until something has; raise LinkLost when the link is gone.

        A link that knows that nothing will come, such as a capture, raises TimeoutError instead of waiting.

        at_least is a hint: a link that knows its speed may wait until that many bytes had the time to arrive.
        """

    @abstractmethod
    def pending(self) -> bytes:
        """Return what arrived and was not fetched, without waiting; never raises."""

    async def set_baud(self, baud: int) -> None:  # noqa: B027, most links have no speed
        """Change the line speed; a link without one takes no notice. Raise LinkLost, or LinkError when refused."""

    @abstractmethod
    async def close(self) -> None:
        """Give the line back to other programs; closing a closed link does nothing."""

    def proved(self) -> None:  # noqa: B027
        """Note that a whole answer came through."""

    def key(self) -> tuple[str, str]:
        """Return (address of the device at the other end, pin that its owner gave), "" where there is none."""
        return "", ""

    async def revive(self) -> bool:
        """Do what can be done about a device that does not answer; return whether the link is to be opened anew."""
        return False

    def wanted(self) -> bool:
        """Return whether somebody else waits for what this link has, and it has had its turn."""
        return False

    def period(self) -> float:
        """Return the seconds within which it has its turn, where it shares something with others; else 0."""
        return 0.0

    def health(self) -> dict[str, Any]:
        """Return how it goes, for people; {} where there is nothing to tell."""
        return {}

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()


class BufferedLink(Link):
    """A link whose bytes arrive by themselves: keeps them until they are fetched, by one reader at a time."""

    def __init__(self, name: str, baud: int | None = None) -> None:
        self.name = name
        self.baud = baud
        self._received = b""
        self._wanted = 1
        self._waiter: asyncio.Future[None] | None = None
        self._loss = f"{name} is not open"

    def _begin(self) -> None:
        """Forget what an earlier opening left behind."""
        self._received = b""
        self._loss = ""

    def _arrived(self, data: bytes) -> None:
        """Keep bytes; wake the reader when they are as many as it wants."""
        self._received = (self._received + data)[-UNREAD_LIMIT:] if self._received else data
        if len(self._received) >= self._wanted:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lost(self, text: str) -> None:
        """Remember why the link is gone; the reader hears of it once the last bytes are fetched."""
        if not self._loss:
            self._loss = text
        self._wake()

    def _check(self) -> None:
        """Raise LinkLost when the link is gone."""
        if self._loss:
            raise LinkLost(self._loss)

    def _want(self, at_least: int) -> int:
        """Return for how many bytes to wait: one, where the link cannot know how long more of them take."""
        return 1

    async def receive(self, at_least: int = 1) -> bytes:
        """Return what arrived, waiting until something has."""
        if self._waiter is not None:
            raise RuntimeError(f"{self.name} has a reader already; a link belongs to one session")
        if not self._received and not self._loss:
            self._wanted = self._want(at_least)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._wanted = 1
        if not self._received:
            self._check()
        data, self._received = self._received, b""
        return data

    def pending(self) -> bytes:
        """Return what arrived and was not fetched."""
        data, self._received = self._received, b""
        return data
