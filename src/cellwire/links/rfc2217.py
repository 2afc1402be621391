"""Moves bytes through a serial port server that speaks RFC 2217: telnet in which the line speed can be set."""

import asyncio
from collections.abc import Callable

from .link import LinkError, PortMissing
from .tcp import OPENING, TcpLink

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT = 0, 1, 3, 44
SET_BAUD, SET_DATASIZE, SET_PARITY, SET_STOPSIZE, SET_CONTROL, PURGE = 1, 2, 3, 4, 5, 12
ANSWER = 100  # a server answers command n as n + 100
LINE = ((SET_DATASIZE, 8), (SET_PARITY, 1), (SET_STOPSIZE, 1), (SET_CONTROL, 1))  # 8N1, no flow control
PURGE_RECEIVED = 1
ASKED_OF_THEM = (BINARY, SUPPRESS_GO_AHEAD)
OURS = (BINARY, SUPPRESS_GO_AHEAD, COM_PORT)
WELCOME = (COM_PORT,)  # of what the other side offers without being asked


class Telnet:
    """Takes a telnet stream apart, cut anywhere: data, and what the other side negotiates."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, stream: bytes) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        """Return the data, and the events (verb, option, content); the content is of SB only."""
        buffer = self._buffer + stream
        data = b""
        events: list[tuple[int, int, bytes]] = []
        while True:
            at = buffer.find(IAC)
            if at < 0:
                at = len(buffer)
            data, buffer = data + buffer[:at], buffer[at:]
            if len(buffer) < 2:
                break
            verb = buffer[1]
            if verb == IAC:
                data, buffer = data + b"\xff", buffer[2:]
            elif verb in (DO, DONT, WILL, WONT):
                if len(buffer) < 3:
                    break
                events.append((verb, buffer[2], b""))
                buffer = buffer[3:]
            elif verb == SB:
                end = _end(buffer)
                if end < 0:
                    break
                inner = buffer[2:end].replace(b"\xff\xff", b"\xff")
                if inner:
                    events.append((SB, inner[0], inner[1:]))
                buffer = buffer[end + 2 :]
            else:
                buffer = buffer[2:]
        self._buffer = buffer
        return data, events


def _end(buffer: bytes) -> int:
    """Return where the IAC SE of a subnegotiation stands, -1 when it has not come yet."""
    at = 2
    while 0 <= (at := buffer.find(IAC, at)) < len(buffer) - 1:
        if buffer[at + 1] == SE:
            return at
        at += 2
    return -1


def escaped(data: bytes) -> bytes:
    """Return data as it goes through telnet."""
    return data.replace(b"\xff", b"\xff\xff")


class Rfc2217Link(TcpLink):
    """A serial port on another machine, 8N1 at the speed that is asked for."""

    def __init__(self, name: str, host: str, port: int, baud: int = 9600) -> None:
        super().__init__(name, host, port, baud)
        self._telnet = Telnet()
        self._they: dict[int, bool] = {}  # option -> whether the other side does it
        self._we: dict[int, bool] = {}
        self._answers: dict[int, bytes] = {}
        self._news = asyncio.Event()

    def _begin(self) -> None:
        super()._begin()
        self._telnet = Telnet()
        self._they, self._we, self._answers = {}, {}, {}
        self._news = asyncio.Event()

    async def _greet(self) -> None:
        """Agree on the options and set the line; raise PortMissing when the other side cannot."""
        for option in OURS:
            self._write(bytes((IAC, WILL, option)))
        for option in ASKED_OF_THEM:
            self._write(bytes((IAC, DO, option)))
        try:
            async with asyncio.timeout(OPENING * 0.8):
                await self._until(lambda: self._agreed() or COM_PORT in self._we)
                if self._agreed():
                    # Some servers never confirm these: what is not 8N1 there must be set there.
                    for command, value in LINE:
                        self._command(command, bytes((value,)))
                    assert self.baud is not None
                    await self._set(self.baud)
                    self._command(PURGE, bytes((PURGE_RECEIVED,)))
        except TimeoutError:
            if self._agreed():
                raise PortMissing(f"{self.name} does not confirm the line speed; set it there, use tcp:") from None
        if not self._agreed():
            raw = f"tcp:{self.host}:{self.port}"
            raise PortMissing(f"{self.name} does not speak RFC 2217; if it is a raw port, its address is {raw}")
        self.pending()

    def _agreed(self) -> bool:
        """Return whether the speed of the line can be talked about; servers differ in who offers it."""
        return bool(self._we.get(COM_PORT) or self._they.get(COM_PORT))

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._check()
            self._news.clear()
            await self._news.wait()

    def _command(self, command: int, value: bytes) -> None:
        self._write(bytes((IAC, SB, COM_PORT, command)) + escaped(value) + bytes((IAC, SE)))

    async def _set(self, baud: int) -> None:
        self._answers.pop(SET_BAUD, None)
        self._command(SET_BAUD, baud.to_bytes(4, "big"))
        await self._until(lambda: SET_BAUD in self._answers)
        found = int.from_bytes(self._answers[SET_BAUD], "big")
        if found != baud:
            raise LinkError(f"{self.name} runs at {found} baud and does not take {baud}; set the speed in the device")

    async def set_baud(self, baud: int) -> None:
        """Change the line speed over there; raise LinkError when it is refused or not confirmed."""
        if baud <= 0:
            raise ValueError(f"{baud} baud is not a speed of serial ports")
        if self._wire is not None:
            try:
                async with asyncio.timeout(OPENING):
                    await self._set(baud)
            except TimeoutError:
                raise LinkError(f"{self.name} does not confirm {baud} baud; set the speed in the device") from None
        self.baud = baud

    async def send(self, data: bytes) -> None:
        """Hand all bytes over."""
        self._write(escaped(data))

    def _heard(self, data: bytes) -> None:
        data, events = self._telnet.feed(data)
        for verb, option, content in events:
            if verb == SB:
                self._answered(option, content)
            else:
                self._negotiated(verb, option)
        if events:
            self._news.set()
        if data:
            self._arrived(data)

    def _broken(self, error: Exception | None) -> None:
        super()._broken(error)
        self._news.set()

    def _answered(self, option: int, content: bytes) -> None:
        """Keep answers; reports of modem and line states, which come by themselves, need none."""
        if option == COM_PORT and content and content[0] > ANSWER:
            self._answers[content[0] - ANSWER] = content[1:]

    def _negotiated(self, verb: int, option: int) -> None:
        """Answer an offer or a demand when it changes something; what we began ourselves needs no answer."""
        theirs = verb in (WILL, WONT)
        state, yes = (self._they, verb == WILL) if theirs else (self._we, verb == DO)
        if state.get(option) == yes:
            return
        state[option] = yes
        if theirs and option in WELCOME:
            self._write(bytes((IAC, DO if yes else DONT, option)))
        elif yes and option not in (ASKED_OF_THEM if theirs else OURS):
            self._write(bytes((IAC, DONT if theirs else WONT, option)))
            state[option] = False
