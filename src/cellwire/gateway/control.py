"""The only way back to a pack: allowed, checked, sent once, read back, written into the journal, and to be undone."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..codec.command import ACTION, CHOICE, GRANTS, NUMBER, OPERATE, READ, SWITCH, TEXT, UNPROVEN, Command, same
from ..codec.dialect import SETTINGS
from ..codec.errors import OutOfRange
from .caution import chemistry_of
from .events import Events
from .journal import HIDDEN, SENT, Entry, Journal, JournalError
from .poller import Poller
from .writing import (
    DONE,
    NOT_CONFIRMED,
    REFUSED,
    TROUBLE,
    Denied,
    Result,
    Who,
    Wish,
    Writing,
    key_of,
    text_of,
    too_little,
)

Readings = dict[str, Any]
Told = Callable[[Result], None]
T = TypeVar("T")

SAID = {DONE: "is done", REFUSED: "was refused", NOT_CONFIRMED: "is not confirmed"}
ON, OFF = ("on", "true", "1", "yes"), ("off", "false", "0", "no")


class Control:
    """Writes to packs for everybody who may.

    poller_of   returns the poller of a pack, None while it is not known what it speaks
    grant_of    returns the highest grant that a pack accepts, None when there is no such pack
    passive     returns whether another master owns the line of a pack
    chemistry   returns lfp, nmc or lto of a pack as configured, "" when it is not
    """

    def __init__(
        self,
        journal: Journal,
        events: Events,
        poller_of: Callable[[str], Poller | None],
        grant_of: Callable[[str], str | None],
        passive: Callable[[str], bool] = lambda name: False,
        chemistry: Callable[[str], str] = lambda name: "",
    ) -> None:
        self.journal = journal
        self.events = events
        self._poller_of = poller_of
        self._grant_of = grant_of
        self._passive = passive
        self._chemistry = chemistry
        self._running: set[asyncio.Task[Any]] = set()

    # What there is

    def commands(self, pack: str) -> tuple[Command, ...]:
        """Return what can be written to a pack, () while too little of it is known."""
        poller = self._poller_of(pack)
        if poller is None or poller.dialect.commands is None:
            return ()
        there = poller.dialect.commands.of(poller.pack.readings)
        return tuple(command for command in there if command.query not in poller.missing)

    def allowed(self, pack: str, grant: str) -> str:
        """Return what is left of a user's grant on this pack."""
        return min(grant, self._grant_of(pack) or READ, key=GRANTS.index)

    def obstacle(self, pack: str, who: Who) -> str:
        """Return why somebody can write nothing to a pack, "" when something can be."""
        try:
            self._poller(pack)
        except Denied as error:
            return str(error)
        if self.allowed(pack, who.grant) == READ:
            return self._too_little(pack, who, OPERATE)
        return "" if self.commands(pack) else f"{pack}: too little is known of it yet; wait until it was read"

    def values(self, pack: str) -> Readings:
        """Return what the pack shows of each command, by key ("calibrate_cell/3"), as far as it is known."""
        poller = self._poller_of(pack)
        if poller is None or poller.dialect.commands is None:
            return {}
        found = {}
        for command in self.commands(pack):
            for number in range(1, command.count + 1) if command.count else (0,):
                value = poller.dialect.commands.found(command, number, poller.pack.readings)
                if value is not None and not command.secret:
                    found[key_of(command, number)] = value
        return found

    def busy(self, pack: str) -> bool:
        """Return whether somebody changes something on the pack's line now, or reads settings."""
        poller = self._poller_of(pack)
        return poller is not None and poller.session.writing.locked()

    async def read(self, pack: str, who: Who) -> list[str]:
        """Read all settings of a pack now; return what could not be read, in words.

        Raises Denied when that is not allowed or the pack cannot be read.
        """
        return await self._to_its_end(self._read(pack, who))

    async def _read(self, pack: str, who: Who) -> list[str]:
        poller = self._poller(pack)
        if poller.dialect.around and self.allowed(pack, who.grant) == READ:
            what = f"{poller.dialect.title} shows its settings only in a mode that has to be entered by a write"
            raise Denied(f"{what}; {self._too_little(pack, who, OPERATE)}")
        writing = Writing(poller, "")
        names = [query.name for query in poller.dialect.queries if query.pace == SETTINGS]
        async with poller.session.writing:
            try:
                problem = await poller.read_live()
                if problem:
                    raise Denied(f"the pack cannot be read: {problem}")
                async with writing.mode(poller.dialect.around is not None):
                    return await poller.read(names)
            except TROUBLE as error:
                raise Denied(f"the pack cannot be read: {error}") from None

    # What is done

    async def plan(self, pack: str, changes: Mapping[str, Any], who: Who, unproven: bool = False) -> list[Result]:
        """Return what writing the changes would do, in the order in which it would be done; nothing is changed.

        What would be refused has that result already. The pack is read for it.
        """
        return await self._to_its_end(self._do(pack, changes, who, True, unproven, None, {}, dry=True))

    async def write(
        self,
        pack: str,
        changes: Mapping[str, Any],
        who: Who,
        confirmed: bool = False,
        unproven: bool = False,
        told: Told | None = None,
        **marks: Any,
    ) -> list[Result]:
        """Write the changes, {command: value}, in a safe order; return a result for each.

        Either all pass the checks or none is sent; after one that is not done the rest is not tried. What was begun
        goes on to its end when the caller is cancelled.

        confirmed  whoever asks has seen the dangers, and typed that they want it nevertheless
        unproven   commands without public proof are wanted
        told       called with each result as it comes
        marks      go into the journal, such as undo=7
        """
        return await self._to_its_end(self._do(pack, changes, who, confirmed, unproven, told, marks))

    async def note(self, refused: Sequence[Result], who: Who, **marks: Any) -> list[Result]:
        """Write down what `plan` would refuse, when whoever asked meant it; return it with the journal's numbers."""
        results = []
        for result in refused:
            work = _Work(self, result.pack, who, None, marks, False)
            work.poller = self._poller_of(result.pack)
            result = await work.written_down(result)
            work.tell(result)
            results.append(result)
        return results

    async def undo(
        self, pack: str, who: Who, entry: int = 0, confirmed: bool = False, told: Told | None = None
    ) -> list[Result]:
        """Write what was there before an entry of the journal, the newest of this pack when none is named.

        Raises Denied when there is nothing that can be undone.
        """
        before = await asyncio.to_thread(self.undoable, pack, entry)
        changes = {before["command"]: before["before"]}
        return await self.write(pack, changes, who, confirmed, True, told, undo=before["entry"])

    def undoable(self, pack: str, entry: int = 0) -> Entry:
        """Return the journal's entry that `undo` would take back; raise Denied when there is none."""
        entries = self.journal.entries(self._poller(pack).pack.id, 10_000)
        undone = {each["undo"] for each in entries if each.get("undo") and each.get("result") == DONE}
        for each in entries:
            if entry and each["entry"] != entry:
                continue
            changed = each.get("result") != REFUSED and each.get("before") != each.get("wanted")
            changed = changed and each.get("before") not in (None, HIDDEN)
            if changed and "calibrat" in each["command"]:
                # What was measured before is no value to go back to, and nobody means an older entry.
                number, command = each["entry"], each["command"]
                raise Denied(f"{pack}: entry {number}, {command}, cannot be taken back; undo an older one by number")
            if changed and (entry or not (each["entry"] in undone or each.get("undo"))):
                return each
            if entry:
                raise Denied(f"entry {entry} of the journal changed nothing that can be written back")
        missing = f"entry {entry} is not in the journal of this pack" if entry else "nothing in the journal to undo"
        raise Denied(f"{pack}: {missing}")

    async def finish(self, seconds: float = 30.0) -> None:
        """Wait for what was begun, then break off what goes on: no pack may be left in a mode."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    # Inside

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, even when whoever asked goes away."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    def _poller(self, pack: str) -> Poller:
        """Return the poller of a pack that can be asked and told; raise Denied."""
        if self._grant_of(pack) is None:
            raise Denied(f"there is no pack {pack}")
        poller = self._poller_of(pack)
        if poller is None:
            raise Denied(f"{pack}: nothing is known of it yet; wait until it was read")
        if poller.dialect.commands is None:
            raise Denied(f"{pack}: {poller.dialect.title} can only be read")
        if poller.session.withheld:
            raise Denied(f"{pack}: {poller.session.withheld}; take it back, or wait until then")
        if self._passive(pack):
            raise Denied(
                f"{pack}: another master owns this line, and two of them disturb each other; "
                "use a second port of the pack, or take the other master away"
            )
        if not poller.pack.settled:
            # The journal goes by its identity: what was written must not be undone on another pack.
            raise Denied(f"{pack}: it is not known yet which pack this is; try again in a moment")
        return poller

    async def _do(
        self,
        pack: str,
        changes: Mapping[str, Any],
        who: Who,
        confirmed: bool,
        unproven: bool,
        told: Told | None,
        marks: Mapping[str, Any],
        dry: bool = False,
    ) -> list[Result]:
        work = _Work(self, pack, who, told, marks, dry)
        try:
            poller = self._poller(pack)
        except Denied as error:
            return await work.refuse(changes, {}, str(error))
        work.poller = poller
        commands = self.commands(pack)
        work.known = bool(commands)
        work.secrets = {command.name for command in commands if command.secret}
        writing = Writing(poller, chemistry_of(poller.pack.readings, self._chemistry(pack)))
        async with poller.session.writing:
            try:
                if not writing.commands.of(writing.known):
                    await poller.read_live()
                wishes, problems = self._wishes(writing, pack, changes, who, unproven)
                if problems:
                    return await work.refuse(changes, problems)
                async with writing.mode(writing.wants_mode(wishes)):
                    plan = await writing.prepare(wishes)
                    if dry:
                        return work.planned(writing, plan)
                    risky = {wish.key: " ".join(writing.dangers(wish)) for wish in plan if writing.dangers(wish)}
                    if risky and not confirmed:
                        asked = "The page and the console ask for that."
                        texts = {key: f"it has to be confirmed: {text} {asked}" for key, text in risky.items()}
                        return await work.refuse(changes, texts)
                    return await work.write(writing, plan)
            except OutOfRange as error:
                key = str(error).partition(":")[0]
                return await work.refuse(changes, {key: str(error)} if key in changes else {}, str(error))
            except Denied as error:
                return await work.refuse(changes, {}, str(error))
            except TROUBLE as error:
                return await work.refuse(
                    changes, {}, f"the pack could not be read before, so nothing was sent: {error}"
                )

    def _wishes(
        self, writing: Writing, pack: str, changes: Mapping[str, Any], who: Who, unproven: bool
    ) -> tuple[list[Wish], dict[str, str]]:
        """Return the commands that are wanted, and what is wrong with each of those that cannot be."""
        wishes, problems = [], {}
        for key, value in changes.items():
            try:
                wish = writing.wish(key, value)
            except OutOfRange as error:
                problems[key] = str(error)
                continue
            if too_little(wish.command, self.allowed(pack, who.grant)):
                problems[key] = self._too_little(pack, who, wish.command.grant)
            elif wish.command.proof == UNPROVEN and not unproven:
                problems[key] = (
                    f"{key}: nobody has shown in public that this works; if you can bear that it does something else, "
                    "ask for unproven commands: --unproven at the console, a tick on the page"
                )
            wishes.append(wish)
        return wishes, problems

    def _too_little(self, pack: str, who: Who, needed: str) -> str:
        mine = self._grant_of(pack) or READ
        if GRANTS.index(mine) < GRANTS.index(needed):
            return f'this pack accepts no more than "{mine}"; it takes grant = "{needed}" in its [[pack]] section'
        return f'{who.name} may do no more than "{who.grant}", and it takes "{needed}"'


class _Work:
    """The results of one request, told and written down as they come."""

    def __init__(
        self, control: Control, pack: str, who: Who, told: Told | None, marks: Mapping[str, Any], dry: bool
    ) -> None:
        self.control = control
        self.pack = pack
        self.who = who
        self.told = told
        self.marks = marks
        self.dry = dry
        self.poller: Poller | None = None
        self.known = False  # what the pack has
        self.secrets: set[str] = set()

    async def refuse(self, changes: Mapping[str, Any], problems: Mapping[str, str], reason: str = "") -> list[Result]:
        """Return that nothing was done, each with its own reason or because of the others'."""
        others = f"not tried, because {', '.join(problems)} cannot be done" if problems else reason
        results = []
        for key, value in changes.items():
            # Of a pack that is not known yet nobody can say what is a secret.
            hidden = key.partition("/")[0] in self.secrets or (isinstance(value, str) and not self.known)
            wanted = HIDDEN if hidden else value
            result = Result(self.pack, key, wanted, result=REFUSED, reason=problems.get(key, others))
            if not self.dry:
                result = await self.written_down(result)
                self.tell(result)
            results.append(result)
        return results

    def planned(self, writing: Writing, plan: Sequence[Wish]) -> list[Result]:
        """Return what would be done."""
        results = [self._begun(writing, wish) for wish in plan]
        enter, leave = writing.around(plan)
        if results:
            results[0] = replace(results[0], frames=(*enter, *results[0].frames))
            results[-1] = replace(results[-1], frames=(*results[-1].frames, *leave))
        return results

    def _begun(self, writing: Writing, wish: Wish) -> Result:
        secret = wish.command.secret
        return Result(
            self.pack,
            wish.key,
            HIDDEN if secret else wish.value,
            # There is nothing to go back to from an action.
            None if secret or wish.command.kind == ACTION else wish.before,
            warnings=writing.warnings(wish),
            dangers=writing.dangers(wish),
            frames=() if secret else tuple(wish.frames),
        )

    async def write(self, writing: Writing, plan: Sequence[Wish]) -> list[Result]:
        """Do what is planned, one after the other, until something is not done."""
        results: list[Result] = []
        for place, wish in enumerate(plan):
            result = await self._one(writing, wish)
            self.tell(result)
            results.append(result)
            if result.result != DONE:
                rest = {each.key: each.value for each in plan[place + 1 :]}
                return results + await self.refuse(rest, {}, f"not tried, because {wish.key} {SAID[result.result]}")
        return results

    async def _one(self, writing: Writing, wish: Wish) -> Result:
        result = self._begun(writing, wish)
        if wish.command.kind != ACTION and same(wish.command, wish.before, wish.value):
            result = replace(result, result=DONE, found=wish.before, frames=(), reason="it was so before; nothing sent")
            return await self.written_down(result)
        try:
            entry = await asyncio.to_thread(self.control.journal.begin, **self._line(result), result=SENT, **self.marks)
        except JournalError as error:
            return replace(result, result=REFUSED, reason=str(error), frames=())
        result = await writing.do(wish, replace(result, entry=entry))
        if wish.command.secret:
            result = replace(result, frames=())
        try:
            known = {"found": result.found, "result": result.result, "reason": result.reason}
            await asyncio.to_thread(self.control.journal.add, entry, **known)
        except JournalError as error:
            result = replace(result, reason=f"{result.reason}; {error}".lstrip("; "))
        return result

    @property
    def _identity(self) -> str:
        # Asked for late: it may be known only since the pack was read for this.
        return self.poller.pack.id if self.poller else ""

    def _line(self, result: Result) -> dict[str, Any]:
        return {
            "who": self.who.name,
            "source": self.who.source,
            "pack": self._identity,
            "name": self.pack,
            "command": result.command,
            "before": result.before,
            "wanted": result.wanted,
        }

    async def written_down(self, result: Result) -> Result:
        """Write a result down of which nothing was sent."""
        rest = {"found": result.found, "result": result.result, "reason": result.reason}
        try:
            line = {**self._line(result), **rest, **self.marks}
            return replace(result, entry=await asyncio.to_thread(lambda: self.control.journal.begin(**line)))
        except JournalError as error:
            return replace(result, reason=f"{result.reason}; {error}")

    def tell(self, result: Result) -> None:
        text = f"{self.pack}: {result.command} = {text_of(result.wanted)} by {self.who.name} ({self.who.source})"
        text += f" {SAID[result.result]}" + (f": {result.reason}" if result.reason else "")
        document = result.document()
        for key in ("pack", "frames", "warnings", "dangers"):
            document.pop(key, None)
        who = {"who": self.who.name, "source": self.who.source}
        self.control.events.add("command", text, self._identity, self.pack, **document, **who)
        if self.told:
            self.told(result)


def parsed(command: Command, text: str) -> Any:
    """Return the value that a text stands for; raise OutOfRange. `check` looks at its range later."""
    word = text.strip()
    if command.kind in (SWITCH, ACTION):
        if word.lower() in ON:
            return True
        if word.lower() in OFF:
            return False
        raise OutOfRange(f"{command.name}: {word!r} is neither on nor off")
    if command.kind == NUMBER:
        with contextlib.suppress(ValueError):
            value = int(word) if word.lstrip("+-").isdecimal() else float(word)
            if math.isfinite(value):
                return value
        raise OutOfRange(f"{command.name}: {word[:40]!r} is not a number")
    if command.kind == CHOICE:
        return next((each for each in command.words if each.lower() == word.lower()), word)
    return text


__all__ = [
    "ACTION",
    "CHOICE",
    "DONE",
    "NOT_CONFIRMED",
    "NUMBER",
    "OPERATE",
    "READ",
    "REFUSED",
    "SWITCH",
    "TEXT",
    "UNPROVEN",
    "Command",
    "Control",
    "Denied",
    "OutOfRange",
    "Result",
    "Who",
    "parsed",
    "too_little",
]
