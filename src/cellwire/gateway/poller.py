"""Asks a pack for its records, each at its own pace, and hands to the store only what the gate believes."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..codec.dialect import FAST, ONCE, SETTINGS, Dialect, Query
from ..codec.errors import ProtocolError, Refused
from ..links.link import LinkError
from ..readings.derive import derive
from ..readings.gate import Gate
from .errors import FINAL, NoAnswer
from .session import Session
from .store import ASLEEP, ERROR, LOST, PackState, Store

log = logging.getLogger("cellwire")

if TYPE_CHECKING:
    from ..codec.dialect import Frame

Readings = dict[str, Any]

SLOW_EVERY = 60.0  # seconds between records that change slowly
QUESTIONS = 3  # times a sample is asked for at once before the gate's doubt counts as a rejection
PAUSES = (0.0, 0.5, 1.0, 2.0, 3.0)  # seconds between tries on a pack that does not answer; the last one goes on
LISTEN = 2.2  # seconds without traffic after which a line has no other master (a JK master pauses less)
PATIENT = 100  # believed samples after which a pack that does not tell who it is goes by its address
LOOK = 1.0  # seconds between looks whether others wait for a radio link's connection
QUIET_AGAIN = 10.0  # seconds without another master before a line is asked again


class Poller:
    """One pack: what was asked, what is due, and how it goes.

    every   seconds between two polls; the pack's own `every` is longer while its link is shared out
    missing names of queries that this pack does not have
    owed    requests that end a mode which the pack was left in; sent as soon as it answers again
    took    seconds that the last poll needed
    tells   whether the log says that the pack is gone and back
    """

    def __init__(self, session: Session, dialect: Dialect, address: int, store: Store, pack: PackState) -> None:
        self.session = session
        self.dialect = dialect
        self.address = address
        self.store = store
        self.pack = pack
        self.every = pack.every
        self.gate = Gate(dialect.sum_tolerance)
        self.missing: set[str] = set()
        self.owed: tuple[bytes, ...] = ()
        self.password = ""  # that the pack may want before it takes settings
        self.took = 0.0
        self.tells = True
        self.invert_current = False  # some packs are wired or made the wrong way round
        self._sampling = asyncio.Lock()  # the gate looks at one sample at a time
        self._noes: Counter[str] = Counter()
        self._answered: set[str] = set()  # names of queries that were ever answered
        self._asked: dict[str, float] = {}  # loop time of the last believed answer, by query
        self._opening = 0  # which opening of the link the last poll began in
        self._misses = 0
        self._silent = False  # the last failure was silence: the pack may be asleep, and wake up with zeros
        self._lost_at: float | None = None
        self._woken = False

    # One poll

    async def poll(self) -> bool:
        """Ask for the live values, then for whatever else is due; return True when the live values were believed.

        Raises LinkError, NoAnswer or ProtocolError when the live values cannot be had.
        """
        live = [query for query in self._wanted() if query.pace == FAST]
        first = self.dialect.queries[0]
        if first.pace != FAST and (self._due(first) or self._opening != self.session.openings):
            # The dialect wants it first: some JK do not start their stream otherwise.
            await self._extra(first)
        self._opening = self.session.openings
        verdict = await self._sample(live)
        if verdict:
            self.store.fail(self.pack, ERROR, _reason(verdict))
            return False
        if self.owed and not self.session.writing.locked():
            requests = self.owed
            await self.session.around(requests)
            self.owed = ()  # not before: what is broken off is still owed
        for query in self._wanted():
            if query.pace != FAST and self._due(query):
                await self._extra(query)
        if not self.pack.settled and self._identified():
            self.store.settle(self.pack)
        return True

    def _identified(self) -> bool:
        """Return whether everything that tells who the pack is was answered, or was asked for long enough."""
        asked = all(query.name in self._answered for query in self._wanted() if query.pace == ONCE)
        return asked or self.pack.counts["accepted"] > PATIENT

    def _wanted(self) -> list[Query]:
        return [query for query in self.dialect.queries if query.name not in self.missing]

    def _due(self, query: Query) -> bool:
        if query.pace == SETTINGS:
            return False
        asked = self._asked.get(query.name)
        if asked is None or query.pace == ONCE:
            return asked is None
        return asyncio.get_running_loop().time() - asked >= SLOW_EVERY

    async def _extra(self, query: Query) -> None:
        """Ask for a record that others can do without: a failure costs only this record."""
        try:
            await self._sample([query], 1)
        except (NoAnswer, ProtocolError) as error:
            # Counted by the session. The pack answers other questions, so it may not have this record.
            self._without(query, error)

    def _without(self, query: Query, error: Exception) -> None:
        """Note that a record did not come; what was never answered with anything but silence or a no is missing."""
        ignored = passed_over = False
        if query.optional and isinstance(error, NoAnswer):
            ignored = error.silent
            # A stream goes on whole beside a question that is not answered.
            passed_over = error.kind == "incomplete" and not error.dropped
        self._noes[query.name] += isinstance(error, Refused) or passed_over
        # A no can be damage too: only the second one counts.
        if query.name not in self._answered and (ignored or self._noes[query.name] > 1):
            self.missing.add(query.name)

    async def read_settings(self) -> list[str]:
        """Ask once for all settings; return what could not be read, in words."""
        before, after = self.dialect.around or ((), ())
        async with self.session.writing:
            try:
                await self.session.around(before)
                return await self.read([query.name for query in self._wanted() if query.pace == SETTINGS])
            finally:
                await self.session.around(after)

    async def read(self, names: Sequence[str]) -> list[str]:
        """Ask now for the records of the queries of these names; return what could not be read, in words.

        Whoever asks holds `session.writing`, and has put the pack into the mode that the records want.
        """
        problems = []
        for query in self._wanted():
            if query.name in names:
                try:
                    verdict = await self._sample([query], whole=True)
                except (NoAnswer, ProtocolError) as error:
                    verdict = str(error)
                # What only some packs have is no problem where it is not.
                absent = query.optional and (verdict == "refused" or query.name in self.missing)
                if verdict and not absent:
                    problems.append(f"{query.name}: {_reason(verdict)}")
        return problems

    async def read_live(self) -> str:
        """Ask now for the live values; return what is wrong with them in words, "" when they were believed.

        Raises LinkError, NoAnswer or ProtocolError.
        """
        verdict = await self._sample([query for query in self._wanted() if query.pace == FAST])
        return _reason(verdict) if verdict else ""

    async def _sample(self, queries: Sequence[Query], tries: int = 3, whole: bool = False) -> str:
        """Ask, and ask again what the gate doubts; return "" when the sample was believed, else the gate's verdict.

        whole: a part of it is not enough, so it is asked for as often as a bad line wants.
        """
        async with self._sampling:
            return await self._sampled(queries, tries, whole)

    async def _sampled(self, queries: Sequence[Query], tries: int, whole: bool) -> str:
        answers: dict[Query, Readings] = {}
        asked = queries
        verdict = ""
        for _ in range(max(QUESTIONS, self.gate.wanted() + 1) if whole else QUESTIONS):
            for query in asked:
                await self._answer(query, answers, tries)
            if not answers:
                return "refused"
            sample = derive(_merged(answers))
            verdict = self.gate.judge(sample)
            if not verdict:
                self.store.accept(self.pack, sample)
                now = asyncio.get_running_loop().time()
                for query in answers:
                    self._asked[query.name] = now
                    self._answered.add(query.name)
                return ""
            # A lie of the line is gone when asked again; what is true is said twice.
            asked = _concerned(verdict, answers)
        beyond = self.gate.rest(sample, verdict)
        if beyond:
            self.store.accept(self.pack, beyond, sample)
            return "partial" if whole else ""
        self._reject(verdict)
        return verdict

    def _reject(self, verdict: str) -> None:
        self.pack.counts["rejected"] += 1
        self.pack.counts[f"rejected_{verdict.partition(':')[0]}"] += 1

    async def _answer(self, query: Query, answers: dict[Query, Readings], tries: int) -> None:
        """Put the answer to a query among the others, in place of an earlier one.

        What decoding needs to know, counts and the variant, comes from this sample or was believed: a lie about it
        must not get into the next answers too.
        """
        others = {other: readings for other, readings in answers.items() if other is not query}
        known = {**self.gate.last, **_merged(others)}
        damage = self.session.damage
        try:
            values = await self.session.ask(
                self.dialect, query, self.address, known, 1 if self._silent else tries, self._patience(query)
            )
        except (Refused, NoAnswer) as error:
            refused = isinstance(error, Refused) and query.name != self.dialect.probe
            if not refused and not (query.optional and others):
                raise
            self._without(query, error)
            answers.pop(query, None)
        else:
            answers[query] = self._turned(values)
        finally:
            if self.session.damage != damage:
                self.gate.noisy()

    def _turned(self, values: Readings) -> Readings:
        if self.invert_current and "current" in values:
            values["current"] = -values["current"]
        return values

    def _patience(self, query: Query) -> float:
        """A pack that is silent must not make its neighbours late."""
        return max(0.25, query.timeout / 2) if self._silent else query.timeout

    # Listening

    def hear(self, values: Readings) -> bool:
        """Take readings that went by on the line; return True when they were believed."""
        sample = derive(self._turned(values))
        verdict = self.gate.judge(sample)
        if verdict:
            if not verdict.startswith("doubt"):
                self._reject(verdict)
            return False
        self.store.accept(self.pack, sample)
        if not self.pack.settled and self.pack.counts["accepted"] > PATIENT:
            self.store.settle(self.pack)
        return True

    # All day

    async def run(self) -> None:
        """Poll for ever: at the pack's pace while it answers, after growing pauses while it does not."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if await self.step():
                due = max(loop.time(), due + self.every)
            else:
                due = loop.time() + self.pause()
            await self._rest(due)

    async def _rest(self, due: float) -> None:
        """Wait for the next poll; give the link to others meanwhile, as soon as it is their turn."""
        loop = asyncio.get_running_loop()
        while True:
            await self.session.share()
            # Where more packs want the link's radio than it bears, a sample is only old after a pack's next turn.
            self.pack.every = max(self.every, self.session.link.period())
            left = due - loop.time()
            if left <= LOOK or not self.session.link.wireless:
                break
            await asyncio.sleep(LOOK)
        await asyncio.sleep(left)

    def pause(self) -> float:
        """Return the seconds until the next try on a pack that did not answer."""
        if not self._misses:
            return min(0.5, self.every)
        return max(min(0.2, self.every), PAUSES[min(self._misses, len(PAUSES) - 1)])

    async def step(self) -> bool:
        """Poll once and note how it went; return True when something was believed."""
        began = asyncio.get_running_loop().time()
        try:
            believed = await self.poll()
            self.took = asyncio.get_running_loop().time() - began
            self.pack.polls.add(self.took)
        except LinkError as error:
            self._miss(LOST, str(error), True)
            return False
        except (NoAnswer, ProtocolError) as error:
            silent = isinstance(error, NoAnswer) and error.kind in ("silent", "echo")
            self._miss(ASLEEP if silent else ERROR, str(error), silent)
            if isinstance(error, NoAnswer) and error.kind not in FINAL:
                await self.session.revive()
            if silent and self.dialect.wake and not self._woken:
                self._woken = True
                await self.session.send(self.dialect.wake)
            return False
        # It answers: what is not believed yet is asked for again soon.
        self._misses, self._silent = 0, False
        if believed:
            self._back()
        return believed

    def _miss(self, trouble: str, reason: str, silent: bool) -> None:
        self._misses += 1
        self._silent = silent
        if self._tells(trouble):
            self.store.fail(self.pack, trouble, reason)
        if silent:
            # What it says after a pause may be the zeros of a board that just woke up, or another pack.
            self.forget()
        if self._misses == 2:
            self._lost_at = asyncio.get_running_loop().time()
            if self.tells:
                log.warning("pack %s is %s: %s", self.pack.name, trouble, reason)

    def _tells(self, trouble: str) -> bool:
        """Return whether a failure is the pack's: one lost answer is the line's, and lost connections are the air's.

        Of a radio that comes back in time nobody needs to hear more than the counters tell.
        """
        if self.pack.seen is None or (trouble == LOST and not self.session.link.wireless):
            return True
        late = self.store.monotonic() - self.pack.seen > self.pack.every
        return self._misses > 1 and (late or trouble != LOST)

    def forget(self) -> None:
        """Take nothing for granted of what was read before, and ask for all of it again."""
        self.gate.forget()
        self._asked.clear()

    def _back(self) -> None:
        if self._lost_at is not None and self.tells:
            away = asyncio.get_running_loop().time() - self._lost_at
            log.warning("pack %s is back after %.0f s", self.pack.name, away)
        self._lost_at, self._woken = None, False


def _merged(answers: dict[Query, Readings]) -> Readings:
    sample: Readings = {}
    for readings in answers.values():
        sample.update(readings)
    return sample


def _concerned(verdict: str, answers: dict[Query, Readings]) -> Sequence[Query]:
    """Return the queries that a doubt is about, in the order of asking; all when it cannot be said."""
    cause, _, names = verdict.partition(":")
    doubtful = set(names.split(",")) if cause == "doubt" else set()
    concerned = [query for query, readings in answers.items() if not doubtful.isdisjoint(readings)]
    return concerned or list(answers)


def _reason(verdict: str) -> str:
    cause, _, names = verdict.partition(":")
    texts = {
        "zero": "the pack answers nothing but zeros, as a board does that just woke up; nothing of it is shown",
        "cells_sum": "the cells do not add up to the pack voltage: wrong protocol variant or damaged data",
        "range": f"impossible value of {names}",
        "refused": "the pack refused to tell",
        "partial": "not all of it came twice alike, so not all of it is known",
        "doubt": f"{names} changed and a second question did not confirm it",
    }
    return texts.get(cause, verdict)


class Line:
    """All packs of one link: asked in turn, or only listened to while another master owns the line."""

    def __init__(self, session: Session, pollers: Sequence[Poller]) -> None:
        self.session = session
        self.pollers = list(pollers)
        self.passive = False
        self.found: Callable[[int], Poller | None] = lambda address: None  # a pack that was heard and is not known

    async def run(self) -> None:
        """Serve the line for ever."""
        shared = [poller.dialect for poller in self.pollers if poller.dialect.listens]
        if shared and not self.passive:
            with contextlib.suppress(LinkError):  # a link that is not there yet has no master; the pollers say so
                self.passive = await foreign_master(self.session, shared[0])
        while True:
            if self.passive:
                await self.listen(shared[0])
            tasks = [asyncio.create_task(poller.run()) for poller in self.pollers]
            if shared:
                tasks.append(asyncio.create_task(self._foreign()))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self.passive = True

    async def _foreign(self) -> None:
        await self.session.foreign.wait()

    async def listen(self, dialect: Dialect, seconds: float = 0.0, enough: Callable[[], bool] = lambda: False) -> None:
        """Hear the line until the other master has been gone for a while, or for that many seconds. Never sends.

        enough: asked after each record; True ends the listening.
        """
        loop = asyncio.get_running_loop()
        listener = dialect.listener()
        known = {poller.address: poller for poller in self.pollers}
        stop = loop.time() + seconds if seconds else None

        def take(frame: "Frame") -> bool:
            for address, values in listener.take(frame):
                poller = known.get(address) or self.found(address)
                if poller is not None:
                    known[address] = poller
                    poller.hear(values)
            return enough() or (stop is not None and loop.time() >= stop)

        while True:
            left = QUIET_AGAIN if stop is None else stop - loop.time()
            if left <= 0:
                return
            try:
                heard = await self.session.listen(dialect, left, take)
            except LinkError as error:
                for poller in known.values():
                    poller.store.fail(poller.pack, LOST, str(error))
                await asyncio.sleep(1.0)
                continue
            if enough():
                return
            if not heard and stop is None:
                self.passive = False
                self.session.foreign.clear()
                return


async def foreign_master(session: Session, dialect: Dialect, seconds: float = LISTEN) -> bool:
    """Return True when another master's requests or a record nobody asked for are heard on the line."""
    heard = []

    def take(frame: "Frame") -> bool:
        heard.append(frame)
        return True

    await session.listen(dialect, seconds, take)
    if heard:
        session.foreign.set()
    return bool(heard)
