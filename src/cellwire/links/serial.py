"""Moves bytes through a serial port: UART-TTL or RS485, or a pseudo terminal."""

import array
import asyncio
import contextlib
import errno
import fcntl
import os
import sys
import termios
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import trouble
from .link import BufferedLink, LinkError, LinkLost, PortBusy, PortMissing

OPENING = 5.0
CHUNK = 4096
BITS = 10  # of a byte on the wire: start, eight, stop
# The driver collects what a question wants; an answer that is shorter is noticed this long after it could be there.
GRACE = 0.100
COLLECTED = 255 if sys.platform == "linux" else 1  # the most that it collects; elsewhere nobody has tried
BY_ID = "/dev/serial/by-id"
# Of Linux, not named by the module termios: is the port taken; the driver's settings; wake up at once, not each 16 ms.
TIOCGEXCL, TIOCGSERIAL, TIOCSSERIAL, ASYNC_LOW_LATENCY = 0x80045440, 0x541E, 0x541F, 0x2000
PARITIES = {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}
SPEEDS = {int(name[1:]): getattr(termios, name) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}


@dataclass(frozen=True)
class Port:
    """One serial port: its device, its name that survives replugging, and the adapter's USB numbers."""

    device: str
    by_id: str | None
    vid: int | None
    pid: int | None
    description: str


def ports() -> list[Port]:
    """Return the serial ports of this machine, sorted by device."""
    from serial.tools.list_ports import comports

    names = dict(_by_id())
    found = [
        Port(port.device, names.get(os.path.realpath(port.device)), port.vid, port.pid, port.description or "")
        for port in comports()
    ]
    return sorted(found, key=lambda port: port.device)


def _by_id() -> Iterator[tuple[str, str]]:
    """Yield (device, by-id path) of the adapters that tell who they are."""
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(BY_ID)):
            path = os.path.join(BY_ID, name)
            yield os.path.realpath(path), path


class SerialLink(BufferedLink):
    """A serial port, read straight from its file descriptor; docs/decisions/001-serial-link.md says why.

    parity: none (8N1, as packs speak), even or odd
    """

    def __init__(self, path: str, baud: int = 9600, name: str = "", parity: str = "none") -> None:
        super().__init__(name or path, baud)
        self.path = path
        self._speed = _known(baud)
        self._parity = PARITIES[parity]
        self._fd = -1
        self._settings: list[Any] = []
        self._collecting = 1
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Open and lock the port; raise PortMissing, PortBusy or PortForbidden."""
        if self._fd >= 0:
            return
        # In a thread: a driver whose adapter hangs can block in here, and would hold up all other packs.
        opening = asyncio.ensure_future(asyncio.to_thread(_opened, self.path, self._speed, self._parity))
        try:
            # Not wait_for: up to Python 3.11 it loses a cancellation that comes as the port opens.
            async with asyncio.timeout(OPENING):
                self._fd, self._settings = await asyncio.shield(opening)
        except TimeoutError:
            opening.add_done_callback(_close_late)
            text = (
                f"{self.path} did not open within {OPENING:.0f} s, its driver hangs; unplug the adapter and plug it in"
            )
            raise PortMissing(text) from None
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        self._collecting = 1
        self._begin()
        asyncio.get_running_loop().add_reader(self._fd, self._look)

    async def send(self, data: bytes) -> None:
        """Hand all bytes to the driver."""
        self._check()
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except (BlockingIOError, InterruptedError):
                await self._room()
            except OSError as error:
                self._gone(error)
                raise LinkLost(self._loss) from None

    async def _room(self) -> None:
        """Wait until the driver takes bytes again."""
        loop = asyncio.get_running_loop()
        self._writer = loop.create_future()
        fd = self._fd
        loop.add_writer(fd, self._writable)
        try:
            await self._writer
        finally:
            self._writer = None
            loop.remove_writer(fd)

    def _writable(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def pending(self) -> bytes:
        """Return what arrived and was not fetched, from the driver too."""
        if not self._loss:
            self._look()
        return super().pending()

    async def set_baud(self, baud: int) -> None:
        """Change the line speed; raise LinkLost, or LinkError for a speed that the port cannot run at."""
        speed = _known(baud)
        if self._fd >= 0:
            self._check()
            try:
                self._settings, self._collecting = _configure(self._fd, speed, self._parity), 1
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise LinkError(f"{self.path} does not run at {baud} baud; choose another speed") from None
                self._gone(error)
                raise LinkLost(self._loss) from None
        self.baud, self._speed = baud, speed

    async def close(self) -> None:
        """Unlock and close the port."""
        if self._fd < 0:
            return
        self._stop()
        fd, self._fd = self._fd, -1
        self._lost(f"{self.path} was closed")
        _release(fd)

    # Reading

    def _want(self, at_least: int) -> int:
        self._unguard()
        at_least = min(at_least, CHUNK) if COLLECTED > 1 else 1
        self._collect(at_least)
        if at_least > 1:
            self._guard(at_least)
        return at_least

    def _collect(self, size: int) -> None:
        """Let the driver report bytes only when so many are there: one wake-up for an answer in many pieces."""
        size = min(size, COLLECTED)
        if size != self._collecting:
            self._collecting = self._settings[6][termios.VMIN] = size
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._settings)
            except termios.error as error:
                self._gone(OSError(*error.args[:2]))

    def _guard(self, size: int) -> None:
        assert self.baud is not None
        self._timer = asyncio.get_running_loop().call_later(size * BITS / self.baud + GRACE, self._short)

    def _unguard(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _short(self) -> None:
        """Hand over an answer that is shorter than announced, or go on waiting for its first byte."""
        self._timer = None
        self._look()
        if self._received:
            self._wake()
        elif self._waiter is not None and not self._loss:
            self._guard(self._wanted)

    def _look(self) -> None:
        """Fetch all that the driver has. It gives 64 bytes at a time when it collects more, and hides the others."""
        data = b""
        try:
            while True:
                piece = os.read(self._fd, CHUNK)
                data += piece
                if not piece or len(data) + len(self._received) >= max(self._wanted, self._collecting):
                    break
        except (BlockingIOError, InterruptedError):
            piece = data
        except OSError as error:
            self._gone(error)
        else:
            if not piece:
                self._gone(OSError(errno.EIO, "hung up"))
        if data:
            self._arrived(data)
            missing = self._wanted - len(self._received)
            if missing <= 0:
                self._unguard()
            elif missing < self._collecting:
                self._collect(missing)

    def _gone(self, error: OSError) -> None:
        """Stop reading: a dead port reports itself readable without end."""
        self._stop()
        self._lost(f"{self.path} is gone ({error.strerror}); check plug and cable, and open it again when it is back")

    def _stop(self) -> None:
        self._unguard()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._writable()


def _known(baud: int) -> int:
    """Return the number by which the terminal driver knows a speed; raise ValueError for an odd one."""
    if baud not in SPEEDS or baud <= 0:
        usual = ", ".join(str(speed) for speed in sorted(SPEEDS) if 1200 <= speed <= 921600)
        raise ValueError(f"{baud} baud is not a speed of serial ports; choose one of {usual}")
    speed: int = SPEEDS[baud]
    return speed


def _opened(path: str, speed: int, parity: int) -> tuple[int, list[Any]]:
    """Return the descriptor and the settings of the opened, locked and configured port; raise a LinkError."""
    fd = -1
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        _claim(fd, path)
        settings = _configure(fd, speed, parity)
        termios.tcflush(fd, termios.TCIFLUSH)
    except (OSError, termios.error, LinkError) as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, LinkError):
            raise
        present = [port.by_id or port.device for port in ports()]
        raise trouble.explain(path, OSError(*error.args[:2]), present) from None
    return fd, settings


def _claim(fd: int, path: str) -> None:
    """Take the port for ourselves before a setting is touched; raise OSError or PortBusy when another has it."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # The mark below would outlive a killed program on a pty, and a simulator keeps its pty open: the lock must do.
    if sys.platform != "linux" or trouble.is_pty(os.fstat(fd)):
        return
    # Root is let in although the port is marked as taken, and a program in a container has another node to lock.
    taken = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, TIOCGEXCL, taken)
    others = list(trouble.holders(path))
    if taken[0] or others:
        raise PortBusy(trouble.busy(path, others))
    fcntl.ioctl(fd, termios.TIOCEXCL)
    with contextlib.suppress(OSError):
        settings = array.array("i", [0] * 32)
        fcntl.ioctl(fd, TIOCGSERIAL, settings)
        settings[4] |= ASYNC_LOW_LATENCY
        fcntl.ioctl(fd, TIOCSSERIAL, settings)


def _configure(fd: int, speed: int, parity: int) -> list[Any]:
    """Set raw mode, eight bits, without flow control, and return the settings; raise OSError or LinkError."""
    try:
        tty.setraw(fd, termios.TCSANOW)
        settings = termios.tcgetattr(fd)
        settings[2] &= ~(termios.CSTOPB | termios.CRTSCTS)
        settings[2] |= termios.CLOCAL | termios.CREAD
        settings[4] = settings[5] = speed
        termios.tcsetattr(fd, termios.TCSANOW, settings)
    except termios.error as error:
        raise OSError(*error.args[:2]) from None
    if parity:
        settings[2] |= parity
        with contextlib.suppress(termios.error):  # it may as well do a part of what it is asked for, without an error
            termios.tcsetattr(fd, termios.TCSANOW, settings)
        if termios.tcgetattr(fd)[2] & PARITIES["odd"] != parity:
            raise LinkError(f"{os.ttyname(fd)} cannot do this parity; choose another one, or another adapter")
    return settings


def _release(fd: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCNXCL)
    with contextlib.suppress(OSError):
        os.close(fd)


def _close_late(opening: "asyncio.Future[tuple[int, list[Any]]]") -> None:
    """Close a port that opened after nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        _release(opening.result()[0])
