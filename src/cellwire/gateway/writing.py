"""One writing to one pack: reads what is there, checks, sends each command once, and reads back what became of it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..codec.command import ACTION, GRANTS, Command, Commands, check, proves, same
from ..codec.dialect import SETTINGS
from ..codec.errors import OutOfRange, ProtocolError, Refused
from ..links.link import LinkError
from .caution import dangers, warnings
from .errors import NoAnswer
from .order import contradiction, ordered
from .poller import Poller

Readings = dict[str, Any]

DONE, REFUSED, NOT_CONFIRMED = "done", "refused", "not_confirmed"

BACK = 15.0  # seconds for which a link that was lost in the middle of a write is waited for
LOOK = 0.25  # seconds between two looks whether the pack shows the new value
TROUBLE = (LinkError, NoAnswer, ProtocolError)


class Denied(Exception):
    """Nothing can be read or written now: a sentence that says why and what to do."""


@dataclass(frozen=True)
class Who:
    """Who wants something. source: page, api, mqtt, modbus, console; grant: the most that they may do."""

    name: str
    source: str
    grant: str


@dataclass(frozen=True)
class Result:
    """What became of one command.

    result: done, refused or not_confirmed; "" in a plan: nothing was done yet
    warnings: what everybody is told; dangers: what has to be confirmed by typing
    frames: the bytes that are or would be sent, in hex, with those of the mode around them
    entry: number in the journal, 0 when nothing was written there
    """

    pack: str
    command: str
    wanted: Any
    before: Any = None
    found: Any = None
    result: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    dangers: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    entry: int = 0

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it; what is not known or empty is left out."""
        whole = {
            "pack": self.pack,
            "command": self.command,
            "before": self.before,
            "wanted": self.wanted,
            "found": self.found,
            "result": self.result,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "dangers": list(self.dangers),
            "frames": list(self.frames),
            "entry": self.entry,
        }
        empty = {"result": "", "reason": "", "warnings": [], "dangers": [], "frames": [], "entry": 0}
        return {key: value for key, value in whole.items() if value is not None and empty.get(key, ...) != value}


@dataclass
class Wish:
    """One command that somebody wants. key: as written, "calibrate_cell/3"."""

    key: str
    command: Command
    number: int
    value: Any
    before: Any = None
    frames: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The command's name."""
        return self.command.name


def key_of(command: Command, number: int) -> str:
    """Return what a command is called, for one of its cells or sensors when it has several."""
    return f"{command.name}/{number}" if number else command.name


class Writing:
    """Commands on their way to one pack. Whoever uses it holds the link's `writing`."""

    def __init__(self, poller: Poller, chemistry: str) -> None:
        commands = poller.dialect.commands
        assert commands is not None
        self.poller = poller
        self.commands: Commands = commands
        self.chemistry = chemistry
        self._inside = False  # the pack is in its mode
        self._save = False  # and has to be left with saving

    @property
    def known(self) -> Readings:
        """What is known of the pack."""
        return self.poller.pack.readings

    # Before

    def wish(self, key: str, value: Any) -> Wish:
        """Return what is wanted, checked by itself; raise OutOfRange."""
        name, _, text = key.partition("/")
        there = self.commands.of(self.known)
        command = next((each for each in there if each.name == name), None)
        if command is None:
            raise OutOfRange(f"{name}: this pack has no such setting")
        if text and not (text.isdecimal() and len(text) <= 3):
            raise OutOfRange(f"{key}: write {name}/1 for the first cell or sensor")
        number = int(text or 0)
        return Wish(key, command, number, check(command, number, value))

    async def prepare(self, wishes: Sequence[Wish]) -> list[Wish]:
        """Read what the wishes depend on, and return them in a safe order; raise OutOfRange when they make no sense.

        Raises Denied when the pack cannot be read.
        """
        live = await self.poller.read_live()
        if live:
            raise Denied(f"the pack cannot be read: {live}")
        problems = await self.poller.read(self._queries(wishes))
        failed = {problem.partition(":")[0] for problem in problems}
        for wish in wishes:
            if wish.command.query in self.poller.missing:
                raise OutOfRange(f"{wish.key}: this pack does not have it")
            wish.before = self.found(wish)
            if wish.command.query in failed or self._old(wish, failed):
                raise Denied(f"{wish.key} cannot be read: {'; '.join(problems)}")
        beyond = contradiction(wishes, self.known, self._guard, self._apply)
        for problem in beyond.values():
            raise OutOfRange(problem)
        plan: list[Wish] = ordered(wishes, self.known, self._guard, self._apply, lambda wish: wish.before)
        known = self.known
        for wish in plan:
            wish.frames = [frame.hex() for frame in self._encoded(wish, known)]
            known = self._apply(wish, known)
        return plan

    def _queries(self, wishes: Sequence[Wish]) -> list[str]:
        """Return the queries that show the wishes' readings and those that they depend on."""
        by_reading = self._by_reading()
        names = {wish.command.query for wish in wishes}
        for wish in wishes:
            names |= {by_reading[name] for name in self.commands.needs(wish.command) if name in by_reading}
        live = {query.name for query in self.poller.dialect.queries if query.pace == "fast"}
        return sorted(names - live - {""})

    def _by_reading(self) -> dict[str, str]:
        """Return the name of the query that shows each reading that can be written."""
        return {each.reading: each.query for each in self.commands.of(self.known)}

    def _old(self, wish: Wish, failed: set[str]) -> bool:
        """Return whether a wish depends on something known that could not be read again: it may be so no more."""
        by_reading = self._by_reading()
        return any(by_reading.get(name) in failed and name in self.known for name in self.commands.needs(wish.command))

    def found(self, wish: Wish) -> Any:
        """Return what the pack shows of what is wanted."""
        return self.commands.found(wish.command, wish.number, self.known)

    def warnings(self, wish: Wish) -> tuple[str, ...]:
        """Return what to tell before."""
        return warnings(wish.command, wish.value, self.known)

    def dangers(self, wish: Wish) -> tuple[str, ...]:
        """Return what has to be confirmed before."""
        return dangers(wish.command, wish.value, self.known, self.chemistry)

    def _guard(self, wish: Wish, known: Readings) -> None:
        self.commands.guard(wish.command, wish.number, wish.value, known)

    def _apply(self, wish: Wish, known: Readings) -> Readings:
        """Return what is known when the wish is done; of a cell or sensor by its key, which no reading has."""
        reading = wish.command.reading
        after = {**known, (wish.key if wish.number else reading): wish.value}
        shows = wish.number or self.commands.found(wish.command, 0, after) == wish.value
        return after if reading and shows else known

    def _encoded(self, wish: Wish, known: Readings) -> tuple[bytes, ...]:
        return self.commands.encode(wish.command, wish.number, wish.value, self.poller.address, known)

    # The mode

    @asynccontextmanager
    async def mode(self, wanted: bool) -> AsyncGenerator[None, None]:
        """Have the pack in its mode, when it has one and it is wanted; leave it whatever happens."""
        try:
            if wanted and self.commands.mode:
                await self._enter()
            yield
        finally:
            if self._inside:
                await self._leave()

    def wants_mode(self, wishes: Sequence[Wish]) -> bool:
        """Return whether the wishes, or what has to be read for them, want the mode."""
        reads = {query.name for query in self.poller.dialect.queries if query.pace == SETTINGS}
        return any(wish.command.mode for wish in wishes) or not reads.isdisjoint(self._queries(wishes))

    async def _enter(self) -> None:
        mode = self.commands.mode
        assert mode is not None
        # It may be inside although the yes did not come.
        self._inside = True
        try:
            await self._tell_often(mode.enter)
        except (NoAnswer, Refused):
            if mode.password is None or not self.poller.password:
                raise
            await self._tell_often(mode.password, self.poller.password)
            await self._tell_often(mode.enter)

    async def _leave(self) -> None:
        mode = self.commands.mode
        assert mode is not None
        command = mode.save if self._save else mode.leave
        loop = asyncio.get_running_loop()
        end = loop.time() + BACK
        while True:
            try:
                await self._tell_often(command)
            except TROUBLE:
                if loop.time() < end:
                    await asyncio.sleep(LOOK)
                    continue
                # The pack is away: as soon as it answers again.
                self.poller.owed = self._frames(command)
            break
        self._inside = self._save = False

    def _frames(self, command: Command, value: Any = True) -> tuple[bytes, ...]:
        return self.commands.encode(command, 0, value, self.poller.address, self.known)

    async def _tell_often(self, command: Command, value: Any = True) -> None:
        """Send a command that does no harm when it comes twice; raise what went wrong the third time."""
        for last in (False, False, True):
            try:
                await self._tell(command, self._frames(command, value))
                return
            except (NoAnswer, ProtocolError) as error:
                if last or isinstance(error, Refused):
                    raise

    def around(self, wishes: Sequence[Wish]) -> tuple[list[str], list[str]]:
        """Return the frames of entering and leaving the mode that these wishes want, in hex."""
        mode = self.commands.mode
        if mode is None or not any(wish.command.mode for wish in wishes):
            return [], []
        leave = mode.save if any(wish.command.saves for wish in wishes) else mode.leave
        return [frame.hex() for frame in self._frames(mode.enter)], [frame.hex() for frame in self._frames(leave)]

    # Sending

    async def _tell(self, command: Command, frames: Sequence[bytes]) -> bool:
        address = self.poller.address

        def yes(received: list[Any], quiet: bool) -> bool | None:
            return self.commands.answered(command, address, received)

        return bool(await self.poller.session.tell(self.poller.dialect, command.name, frames, yes))

    async def do(self, wish: Wish, result: Result) -> Result:
        """Send the command once, and return what became of it, read back from the pack."""
        trouble = ""
        try:
            frames = self._encoded(wish, self.known)
        except OutOfRange as error:
            # It fitted when it was planned: the pack changed since.
            return replace(result, result=REFUSED, reason=str(error), found=self.found(wish), frames=())
        result = replace(result, frames=tuple(frame.hex() for frame in frames))
        try:
            await self._send(wish.command, frames)
            self._save = self._save or wish.command.saves
        except Refused as error:
            return replace(result, result=REFUSED, reason=str(error), found=wish.before)
        except TROUBLE as error:
            trouble = str(error)
            # It may have been taken all the same.
            self._save = self._save or wish.command.saves
        if wish.command.hold and not trouble:
            await asyncio.sleep(wish.value)
        return await self._read_back(wish, result, trouble)

    async def _send(self, command: Command, frames: Sequence[bytes]) -> None:
        mode = self.commands.mode
        try:
            await self._tell(command, frames)
        except Refused as error:
            if mode is None or self._inside or error.code not in mode.wanted:
                raise
            # It was not taken, so this is no second time.
            await self._enter()
            await self._tell(command, frames)

    async def _read_back(self, wish: Wish, result: Result, trouble: str) -> Result:
        command = wish.command
        if not command.reading:
            return self._by_its_word(wish, result, trouble)
        found, problem = await self._look(wish, BACK if trouble else self.commands.settle)
        if proves(wish.command, found, wish.value):
            reason = f"the answer was lost ({trouble}); the pack shows the new value" if trouble else ""
            return replace(result, result=DONE, found=found, reason=reason)
        if found is None:
            hidden = f"could not be read: {problem}" if problem else "the pack does not show"
            reason = f"{trouble or 'the pack said yes'}; what it is now {hidden}"
            return replace(result, result=NOT_CONFIRMED, reason=reason)
        if wish.before is not None and same(command, found, wish.before):
            reason = f"{trouble or 'the pack said yes'}, but it still shows {text_of(found)}"
        else:
            reason = f"{trouble or 'the pack said yes'}, but it shows {text_of(found)} instead"
        held = [each for each in self.known.get("protections", []) if each != "mosfet_software_lock"]
        if command.reading.endswith("_mosfet") and wish.value is True and held:
            reason += f"; a protection holds it: {', '.join(held)}"
        return replace(result, result=NOT_CONFIRMED, found=found, reason=reason)

    @staticmethod
    def _by_its_word(wish: Wish, result: Result, trouble: str) -> Result:
        """Return the result of a command that no reading shows."""
        if trouble:
            reason = f"{trouble}; nothing shows whether it was taken"
            return replace(result, result=NOT_CONFIRMED, reason=reason)
        if wish.command.kind == ACTION or wish.command.hold:
            return replace(result, result=DONE, reason="the pack said yes; nothing else shows it")
        return replace(result, result=NOT_CONFIRMED, reason="the pack said yes; no value of it shows whether it did it")

    async def _look(self, wish: Wish, seconds: float) -> tuple[Any, str]:
        """Return what the pack shows when it is what is wanted, else at the end, and what is wrong with reading."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pause = max(self.commands.pause, 0.0)
        found, problem = None, ""
        again = False
        while True:
            await asyncio.sleep(pause)
            pause = max(self.commands.pause, LOOK)
            try:
                if again and self._inside:
                    await self._enter()
                problem = await self._read_now(wish)
                if not problem:
                    found = self.found(wish)
                    end = min(end, loop.time() + self.commands.settle)
            except TROUBLE as error:
                problem, again = str(error), True
            if (not problem and proves(wish.command, found, wish.value)) or loop.time() >= end:
                return found, problem

    async def _read_now(self, wish: Wish) -> str:
        query = wish.command.query
        if any(each.name == query and each.pace == "fast" for each in self.poller.dialect.queries):
            return await self.poller.read_live()
        return "; ".join(await self.poller.read([query]))


def text_of(value: Any) -> str:
    """Return a value as people read it."""
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def too_little(command: Command, grant: str) -> bool:
    """Return whether a command wants more than this grant."""
    return GRANTS.index(grant) < GRANTS.index(command.grant)
