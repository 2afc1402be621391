"""From a link's address to pollers for the packs on it: what read, watch and record share."""

import argparse
import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from ..cli import NO_ANSWER, NOT_ALLOWED, PORT, USAGE, Failure
from ..codec.dialect import Dialect
from ..codec.errors import ProtocolError, Refused
from ..families import FAMILIES, dialects, guests, spoken
from ..gateway.air import radios
from ..gateway.detect import Finding, Found, detect
from ..gateway.errors import NoAnswer
from ..gateway.poller import Line, Poller
from ..gateway.session import Session
from ..gateway.store import PackState, Store
from ..links import open_link
from ..links.ble import Radios
from ..links.link import Link, LinkError


def chosen(name: str | None, link: str = "") -> tuple[Dialect, ...]:
    """Return the dialects of a family or dialect name, all when it is None; raise Failure when there is none.

    link: the address where they are to be asked for
    """
    found = spoken(link, name or "")
    if found:
        return found
    if dialects(name or ""):
        kind = link.partition(":")[0]
        raise Failure(USAGE, f"{name} is not asked for at {kind or 'just any'} links; docs/aiobmsble.md says where")
    known = ", ".join([*FAMILIES, *(dialect.name for dialect in (*dialects(), *guests()))])
    raise Failure(USAGE, f"there is no family {name!r}; known are {known}")


def link_of(address: str, radios: Radios | None = None, pairing: str = "never", pin: str = "") -> Link:
    """Return the link of an address, not opened yet; raise Failure when the address is wrong."""
    try:
        return open_link(address, radios, pairing, pin)
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None


def port_of(link: str) -> str:
    """Return what a link leads to: two names of one serial port are the same."""
    from ..gateway.config import port as written  # reading does without the configuration

    port = written(link)
    return os.path.realpath(port) if port.startswith("/") else port


def main(work: Callable[[], Awaitable[int]], verbose: bool = False) -> int:
    """Run the work and turn the errors of links and packs into exit codes."""
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, format="%(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        return asyncio.run(_awaited(work))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except LinkError as error:
        raise Failure(PORT, str(error)) from None
    except NoAnswer as error:
        raise Failure(NO_ANSWER, str(error)) from None
    except Refused as error:
        raise Failure(NOT_ALLOWED, str(error)) from None
    except ProtocolError as error:
        raise Failure(NO_ANSWER, f"the answer made no sense: {error}") from None


async def _awaited(work: Callable[[], Awaitable[int]]) -> int:
    """Do the work; who is told to end disconnects first, or some packs cannot be connected to any more."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work()


class Packs:
    """The packs of one link, as asked for on the command line."""

    def __init__(
        self, options: argparse.Namespace, through: Callable[[Link], Link] = lambda link: link, every: float = 2.0
    ) -> None:
        self.options = options
        self.radios = radios()
        self.link = through(link_of(options.link, self.radios, options.pairing, options.pin))
        self.session = Session(self.link)
        self.store = Store(time.time, time.monotonic)
        self.every = every
        self.dialects = chosen(options.family, options.link)
        self.line = Line(self.session, [])

    async def close(self) -> None:
        """Give the link and the radios back."""
        await self.session.close()
        await self.radios.close()

    async def find(self) -> Sequence[Poller]:
        """Return a poller for each pack on the link; raise Failure with the reason when there is none."""
        addresses: Sequence[int] = self.options.address
        await self.session.open()
        told = getattr(self.link, "dialect", None)
        if told and not self.options.family:
            self.dialects = chosen(told, self.options.link)
        if self.options.family and addresses and len(self.dialects) == 1 and not self.dialects[0].listens:
            found = [Found(self.dialects[0], address, {}, "as given") for address in addresses]
        elif told and len(self.dialects) == 1:
            address = getattr(self.link, "address", None)
            likeliest = self.dialects[0].addresses[0]
            found = [Found(self.dialects[0], likeliest if address is None else address, {}, "as the capture says")]
        else:
            finding = await detect(self.session, self.dialects, addresses)
            found = finding.packs
            if not found:
                raise Failure(NO_ANSWER, f"{self.options.link}: {finding.problem}: {finding.advice}")
        self.line.pollers = [self.poller(item) for item in found]
        self.line.passive = any(item.passive for item in found)
        baud = found[0].dialect.bauds[:1]
        if baud and not self.line.passive:
            await self.session.set_baud(baud[0])
        return self.line.pollers

    def poller(self, found: Found) -> Poller:
        """Return the poller of a pack that was found."""
        dialect = found.dialect
        name = dialect.name if len(dialect.addresses) < 2 else f"{dialect.name}-{found.address}"
        pack = self.store.add(PackState(name, dialect.family, dialect.name, found.address, self.every))
        poller = Poller(self.session, dialect, found.address, self.store, pack)
        poller.invert_current = self.options.invert_current
        return poller

    async def first(self, seconds: float) -> None:
        """Poll until every pack said something believed, or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self.line.passive:
            dialect = self.line.pollers[0].dialect
            await self.line.listen(dialect, seconds, lambda: not self.unread())
            return
        for poller in self.line.pollers:
            while not await poller.step() and loop.time() < end:
                await asyncio.sleep(min(poller.pause(), max(0.0, end - loop.time())))

    def unread(self) -> list[PackState]:
        """Return the packs that said nothing that can be believed."""
        return [pack for pack in self.store.packs.values() if pack.time is None]


__all__ = ["Finding", "Packs", "chosen", "link_of", "main", "port_of"]
