"""One question at a time on one link: sends, waits for the answer's bytes, and counts what goes wrong by cause.

Work is driven by bytes: an answer ends as soon as its last byte is there. Several packs on one line share one
session, which serves their questions in the order of asking.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..codec.dialect import PUSH, REQUEST, Dialect, Query
from ..codec.errors import ProtocolError, Refused
from ..links.link import Link, LinkError, PortForbidden
from .errors import LOGIN_ADVICE, PIN_WANTED, PIN_WRONG, LoggedOut, NoAnswer, Repeated

if TYPE_CHECKING:
    from ..codec.dialect import Frame

Readings = dict[str, Any]

log = logging.getLogger("cellwire")

# A line that only makes noise must not hold a question for ever: after this many time-outs' worth it is given up.
PATIENCE = 4
# Seconds for which a line is asked with pauses after an answer was missing or damaged.
CALM = 60.0
# A pack that sends by itself is taken for silent after this many seconds, and asked again.
STREAM_STALLS = 3.0
# A pack that sends the same record, number and all, for so many seconds does not measure any more.
REPEATS = 30.0


# Questions in silence after which a module may want a password, seconds in which it answers, and seconds until a
# password that it did not take is tried again: modules lock themselves.
SILENCES = 2
LOGIN = 5.0
LOCKED = 1800.0

# What is made of the frames of an answer; the flag says that the line fell silent. None: it is not complete.
Collect = Callable[[list["Frame"], bool], Any]


class _Answer:
    """What comes after one request: takes the echo off, finds the frames, and collects what they say."""

    def __init__(self, dialect: Dialect, title: str, collect: Collect, request: bytes, wireless: bool = False) -> None:
        self.title = title
        self.wireless = wireless
        self.receiver = dialect.receiver()
        self._collect = collect
        self.frames: list[Frame] = []
        self.seen = 0
        self.echo = False
        self._request = request  # while its echo may still come
        self._front = b""  # what may still turn out to be the echo

    def take(self, data: bytes) -> Any:
        """Take bytes; return what the answer says when they complete it."""
        if self._request:
            data = self._without_echo(self._front + data)
        self.seen += len(data)
        frames = self.receiver.feed(data) if data else []
        if not frames:
            return None
        self.frames += frames
        return self._collect(self.frames, False)

    def _without_echo(self, data: bytes) -> bytes:
        if len(data) < len(self._request) and self._request.startswith(data):
            self._front = data
            return b""
        self.echo = data.startswith(self._request)
        rest = data[len(self._request) :] if self.echo else data
        self._request = self._front = b""
        return rest

    def rest(self, final: bool) -> Any:
        """Return what there is when nothing more comes; raise NoAnswer that tells what came instead.

        final: no further try follows, so a part is better than nothing.
        """
        values = self._collect(self.frames, True)
        if values is not None and final:
            return values
        receiver = self.receiver
        seen = self.seen + len(self._front)
        dropped = receiver.dropped if self.frames else receiver.dropped + receiver.waiting() + len(self._front)
        raise NoAnswer(self.title, seen, dropped, receiver.damaged, self.echo, self.wireless)


class Session:
    """The owner of one link.

    counts   answers by cause: ok, partial, silent, echo, noise, damaged, incomplete, repeated, unreadable, refused; and
             bytes that belong to no answer: dropped, stray
    unasked  called with every frame that a pack sent by itself or that another master asked, (dialect, frame)
    damage   goes up with every answer in which bytes were wrong or missing
    openings how often the link was opened: what was asked of a pack before the last one may have to be asked again
    foreign  set when another master's question was heard; cleared by who has waited for its silence
    writing  held by who changes something or reads settings: what they do has to stay together
    withheld why the link is not to be opened now, "" when it may be: it is left to another program
    """

    def __init__(self, link: Link, unasked: "Callable[[Dialect, Frame], None] | None" = None) -> None:
        self.link = link
        self.counts: Counter[str] = Counter()
        self.unasked = unasked
        self.foreign = asyncio.Event()
        self.writing = asyncio.Lock()
        self.withheld = ""
        self.damage = 0
        self.openings = 0
        self._turn = asyncio.Lock()
        self._open = False
        self._heard = 0.0  # loop time of the last byte, for the gap before a request
        self._calm_until = 0.0
        self._sizes: dict[tuple[Query, int], int] = {}  # bytes of the shortest answers: what the link may wait for
        self._streaming: dict[str, float] = {}
        self._pushed: dict[str, tuple[Frame | None, float]] = {}  # the newest record of each, and when it came first
        self._silences = 0  # in this opening, since anything came
        self._door: Dialect | None = None  # the dialect that a login is known to be needed for
        self._told = False  # the module was told in this opening, or says that it need not be
        self._locked_until = 0.0

    async def open(self) -> None:
        """Open the link when it is not; raise LinkError with what to do."""
        if self.withheld:
            raise LinkError(self.withheld)
        if not self._open:
            if asyncio.get_running_loop().time() < self._locked_until:
                raise PortForbidden(f"{self.link.name}: {LOGIN_ADVICE[PIN_WRONG]}")
            await self.link.open()
            self._open = True
            self.openings += 1
            self._streaming.clear()
            self._silences = 0
            self._told = False

    async def close(self) -> None:
        """Give the link back to other programs."""
        if self._open:
            self._open = False
            await self.link.close()

    async def release(self) -> None:
        """Close the link when no question is under way: another program may use it until the next one."""
        async with self._turn:
            await self.close()

    async def share(self) -> None:
        """Give the link back for a while when somebody else waits for it."""
        if self.link.wanted() and not self.writing.locked():
            await self.release()

    async def revive(self) -> None:
        """Let the link do what it can about a pack that does not answer."""
        async with self._turn:
            if await self.link.revive():
                await self.close()

    async def set_baud(self, baud: int) -> None:
        """Set the line speed where the link has one."""
        async with self._turn:
            await self.open()
            if self.link.baud != baud:
                await self.link.set_baud(baud)

    async def send(self, data: bytes) -> None:
        """Send bytes to which no answer belongs: a wake-up, an entry into a mode."""
        async with self._turn:
            await self._ready()
            await self.link.send(data)

    async def _ready(self) -> None:
        """Open the link, and log in where that is known to be needed. Raises LoggedOut or LinkError."""
        await self.open()
        if self._door is not None and not self._told:
            await self._log_in(self._door)

    async def _admitted(self, dialect: Dialect) -> bool:
        """Log in after silence that a login may end; return whether there is a better chance of an answer now."""
        if dialect.login is None or not self.link.wireless or self._told:
            return False
        self._silences += 1
        return self._silences >= SILENCES and await self._log_in(dialect)

    async def _log_in(self, dialect: Dialect) -> bool:
        """Go through a login, once an opening; return whether the module took it, and not if it did not answer."""
        assert dialect.login is not None
        loop = asyncio.get_running_loop()
        login = dialect.login(*self.link.key())
        request: bytes | None = login.start()
        self.link.pending()
        self.link.private = True
        try:
            async with asyncio.timeout(LOGIN) as limit:
                while request:
                    await self.link.send(request)
                    limit.reschedule(loop.time() + LOGIN)
                    request = None
                    while request is None:
                        request = login.feed(await self.link.receive())
        except TimeoutError:
            log.debug("%s: no answer to the login", self.link.name)
        finally:
            self.link.private = False
        if login.wrong:
            # The owner may want to look with the app, so nobody keeps the connection.
            self._locked_until = loop.time() + LOCKED
            await self.close()
            raise LoggedOut(dialect.title, PIN_WRONG)
        if login.wanted:
            self._door = dialect
            raise LoggedOut(dialect.title, PIN_WANTED)
        self._told = True
        if login.done:
            self._door = dialect
        return login.done

    async def ask(
        self, dialect: Dialect, query: Query, address: int, known: Readings, tries: int = 1, timeout: float = 0.0
    ) -> Readings:
        """Return the readings of one answer.

        timeout: seconds of silence that end the wait, instead of the query's own.
        Raises NoAnswer, Refused, ProtocolError or LinkError. A second try comes at once, further ones after pauses
        that grow from 0.1 s.
        """
        for number in range(tries):
            try:
                async with self._turn:
                    final = number == tries - 1
                    patience = (timeout or query.timeout) + self.link.lag
                    try:
                        return await self._ask(dialect, query, address, known, patience, final)
                    except NoAnswer as error:
                        if not error.silent or not await self._admitted(dialect):
                            raise
                    return await self._ask(dialect, query, address, known, patience, final)
            except (NoAnswer, ProtocolError) as error:
                self.counts[_kind(error)] += 1
                if not isinstance(error, Refused):
                    self._calm_until = asyncio.get_running_loop().time() + CALM
                if number == tries - 1 or isinstance(error, Refused | LoggedOut):
                    raise
            except LinkError:
                await self.close()
                raise
            if number:
                await asyncio.sleep(0.1 * 2 ** (number - 1))
        raise AssertionError("tries must be at least 1")

    async def _ask(
        self, dialect: Dialect, query: Query, address: int, known: Readings, timeout: float, final: bool
    ) -> Readings:
        loop = asyncio.get_running_loop()
        await self._ready()
        began = loop.time()
        request = b""
        if not (query.pushed and began - self._streaming.get(dialect.name, -STREAM_STALLS) < STREAM_STALLS):
            request = await self._send(dialect, query, address, began)

        def collect(frames: "list[Frame]", quiet: bool) -> Readings | None:
            return dialect.collect(query, address, frames, known, quiet)

        answer = _Answer(dialect, f"{dialect.title}, {query.name}", collect, request, self.link.wireless)
        usual = self._sizes.get((query, address), 1)
        values: Readings | None = await self._hear(dialect, answer, timeout, usual)
        if values is None:
            self._streaming.pop(dialect.name, None)
            self._sizes.pop((query, address), None)
            rest: Readings = answer.rest(final)
            self.counts["partial"] += 1
            return rest
        if query.pushed and self._repeats(dialect, answer):
            raise Repeated(answer.title)
        self.counts["ok"] += 1
        self._silences = 0
        self.link.proved()
        # The smaller one counts: an answer may come with the late one of somebody else before it.
        self._sizes[query, address] = min(answer.seen, self._sizes.get((query, address), answer.seen))
        if query.pushed:
            self._streaming[dialect.name] = self._heard
        return values

    def _repeats(self, dialect: Dialect, answer: _Answer) -> bool:
        """Return whether a pack that sends by itself has sent the very same record for a while.

        Records are numbered, so it is the Bluetooth module that says again what it heard before its BMS fell silent.
        """
        newest = next((frame for frame in reversed(answer.frames) if frame[0] == PUSH), None)
        before, since = self._pushed.get(dialect.name, (None, 0.0))
        if newest is None or newest != before:
            self._pushed[dialect.name] = newest, self._heard
            return False
        return self._heard - since > REPEATS

    async def _hear(self, dialect: Dialect, answer: _Answer, timeout: float, usual: int) -> Any:
        """Return what the answer says, None when it did not come; `usual` is how long it was before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        values = None
        try:
            async with asyncio.timeout(timeout) as limit:
                while values is None:
                    data = await self.link.receive(max(1, usual - answer.seen))
                    self._heard = now = loop.time()
                    if log.isEnabledFor(logging.DEBUG):
                        log.debug("%s < %s", self.link.name, data.hex(" "))
                    values = answer.take(data)
                    if now - began > PATIENCE * timeout + 1.0:
                        break
                    if values is None:
                        limit.reschedule(now + timeout)
        except TimeoutError:
            pass
        if not answer.echo:
            self._tell(dialect, answer.frames)
        self.counts["dropped"] += answer.receiver.dropped
        self.counts["echoed"] += answer.echo
        if answer.receiver.damaged or (values is None and answer.seen):
            self.damage += 1
        return values

    async def _send(self, dialect: Dialect, query: Query, address: int, now: float) -> bytes:
        """Send the request when the line had its rest; return it."""
        request = dialect.request(query, address)
        await self._send_bytes(dialect, request, now)
        return request

    async def _send_bytes(self, dialect: Dialect, request: bytes, now: float) -> None:
        gap = max(dialect.gap, dialect.calm) if now < self._calm_until else dialect.gap
        if gap and now - self._heard < gap:
            await asyncio.sleep(self._heard + gap - now)
        stray = self.link.pending()
        if stray:
            self.counts["stray"] += len(stray)
            self._tell(dialect, dialect.receiver().feed(stray))
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s > %s", self.link.name, request.hex(" "))
        await self.link.send(request)

    def _tell(self, dialect: Dialect, frames: "list[Frame]") -> None:
        for frame in frames:
            if frame[0] == REQUEST:
                self.foreign.set()
            if self.unasked and frame[0] in (PUSH, REQUEST):
                self.unasked(dialect, frame)

    async def tell(self, dialect: Dialect, title: str, requests: Sequence[bytes], yes: Collect) -> Any:
        """Send the frames of one command, once, with nothing of ours in between; return what `yes` makes of the answer.

        yes: as a query's collect. Raises NoAnswer, Refused, ProtocolError or LinkError: it may have been taken then.
        """
        commands = dialect.commands
        assert commands is not None
        loop = asyncio.get_running_loop()
        async with self._turn:
            try:
                await self._ready()
                for number, request in enumerate(requests):
                    if number:
                        await asyncio.sleep(commands.pause)
                    await self._send_bytes(dialect, request, loop.time())
                echo = b"" if commands.mirrors else requests[-1]
                answer = _Answer(dialect, f"{dialect.title}, {title}", yes, echo, self.link.wireless)
                said = await self._hear(dialect, answer, commands.timeout + self.link.lag, 1)
                return answer.rest(True) if said is None else said
            except LinkError:
                await self.close()
                raise
            except (NoAnswer, ProtocolError) as error:
                self.counts[_kind(error)] += 1
                raise

    async def listen(self, dialect: Dialect, seconds: float, take: "Callable[[Frame], bool]") -> bytes:
        """Hear what goes by without sending anything, and return the first bytes of it.

        take(frame) is called with every frame; True ends the listening.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            await self.open()
            receiver = dialect.receiver()
            heard = b""
            try:
                async with asyncio.timeout(seconds):
                    while True:
                        data = await self.link.receive()
                        self._heard = loop.time()
                        heard = (heard + data)[:4096]
                        enough = [take(frame) for frame in receiver.feed(data)]
                        if True in enough:
                            return heard
            except TimeoutError:
                return heard
            except LinkError:
                await self.close()
                raise

    async def around(self, requests: tuple[bytes, ...], wait: float = 0.3) -> None:
        """Send requests that only want a yes (factory mode in and out), each followed by its answer or a pause."""
        for request in requests:
            async with self._turn:
                await self._ready()
                await self.link.send(request)
                try:
                    async with asyncio.timeout(wait):
                        await self.link.receive(7)
                except TimeoutError:
                    continue


def _kind(error: NoAnswer | ProtocolError) -> str:
    if isinstance(error, NoAnswer):
        return error.kind
    return "refused" if isinstance(error, Refused) else "unreadable"


__all__ = ["NoAnswer", "ProtocolError", "Refused", "Session"]
