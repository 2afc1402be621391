"""One link of a running gateway and the packs on it: finds out what they speak, asks them, and comes back by itself."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence

from ..codec.dialect import Dialect
from ..families import dialects, spoken
from ..links import open_link
from ..links.ble import Radios
from ..links.link import LinkError
from .config import PackSettings
from .detect import Found, detect
from .events import Events
from .keeper import end
from .poller import PAUSES, Line, Poller
from .release import Hold, length, together
from .session import Session
from .store import ERROR, LOST, PackState, Store
from .writing import Denied

log = logging.getLogger("cellwire")

UNKNOWN = "unknown"  # family and dialect of a pack that has not said yet what it speaks
WRITING = 1.0  # seconds for which a release waits for a write that is under way
LOOK = 0.1  # seconds between looks whether the write is done, or the release over


class Wire:
    """A link and its packs; `packs` are their settings, all with the same link. hold: whether it is left to others."""

    def __init__(
        self,
        store: Store,
        events: Events,
        packs: Sequence[PackSettings],
        radios: Radios | None = None,
        hold: Hold | None = None,
    ) -> None:
        self.store = store
        self.events = events
        self.packs = tuple(packs)
        self.hold = hold or Hold()
        self.session = Session(open_link(packs[0].link, radios, packs[0].pairing, packs[0].pin))
        self.line = Line(self.session, [])
        self.states = [store.add(_state(settings)) for settings in packs]
        self._known = False  # whether it was found out what the packs speak
        self._work: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # one release or taking back at a time

    @property
    def title(self) -> str:
        """The address of the link."""
        return self.packs[0].link

    def failed(self, reason: str) -> None:
        """Note that reading ended with an error that nobody thought of."""
        for pack in self.states:
            self.store.fail(pack, ERROR, reason)

    def poller(self, name: str) -> Poller | None:
        """Return the poller of a pack, None while it is not known what the pack speaks."""
        return next((poller for poller in self.line.pollers if poller.pack.name == name), None)

    async def run(self) -> None:
        """Serve the link for ever; may be run again after an error that nobody thought of."""
        self._known = False
        try:
            while True:
                await self._stay_away()
                self._work = asyncio.create_task(self._serve())
                try:
                    await asyncio.wait([self._work])
                finally:
                    await end(self._work)
                if not self._work.cancelled():
                    self._work.result()
        finally:
            await self.session.close()

    async def _serve(self) -> None:
        if not self._known:
            await self._find_out()
            self._known = True
        await self.line.run()

    async def _find_out(self) -> None:
        """Know of each pack how it is to be asked."""
        self.line = Line(self.session, [])
        unknown = [(pack, state) for pack, state in zip(self.packs, self.states, strict=True) if not _known(pack)]
        for pack, state in zip(self.packs, self.states, strict=True):
            if _known(pack):
                dialect = spoken(pack.link, pack.family)[0]
                address = dialect.addresses[0] if pack.address is None else pack.address
                self._add(pack, state, dialect, address)
        if unknown:
            await self._find(unknown)
        bauds = self.line.pollers[0].dialect.bauds
        if not unknown and bauds and "baud=" not in self.packs[0].link:
            # Before the link is opened: a port that is not there yet must know its speed when it comes.
            await self.session.link.set_baud(bauds[0])

    # Left to others

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the packs."""
        return tuple(pack.name for pack in self.packs)

    @property
    def released_until(self) -> float | None:
        """When the link is taken back, seconds since 1970; None while it is not released."""
        left = self._left()
        return round(self.store.clock() + left, 1) if left > 0 else None

    @property
    def reason(self) -> str:
        """Why the packs are not read while the link is released."""
        moment = time.strftime("%H:%M", time.localtime(self.released_until))
        return f"released for {self._for} until {moment} (by {self.hold.who})"

    @property
    def _for(self) -> str:
        return "the phone app" if self.session.link.wireless else "another program"

    def _left(self) -> float:
        return self.hold.until - self.store.monotonic()

    async def release(self, seconds: float, who: str) -> None:
        """Leave the link to others for so long from now on; what is asked just now is broken off.

        Raises Denied in the middle of a write.
        """
        async with self._changing:
            await self._wait_for_writes()
            self.hold.until, self.hold.who = self.store.monotonic() + seconds, who
            self._withhold()
            self._tell(f"is released for {self._for} for {length(seconds)} by {who}", minutes=round(seconds / 60, 2))
            await end(self._work)
            await self.session.close()

    async def _wait_for_writes(self) -> None:
        late = self.store.monotonic() + WRITING
        while self.session.writing.locked():
            if self.store.monotonic() >= late:
                raise Denied("something is being written or its settings are being read; try again in a moment")
            await asyncio.sleep(LOOK)

    async def resume(self, who: str) -> None:
        """Take the link back before its time."""
        async with self._changing:
            if self._left() > 0:
                self.hold.who = who
                self._take_back(f"is taken back by {who}")

    def _withhold(self) -> None:
        """Let nobody open the link, and say why."""
        self.session.withheld = self.reason
        for state in self.states:
            self.store.release(state, self.reason)

    def _take_back(self, text: str) -> None:
        self.hold.until = -math.inf
        self.session.withheld = ""
        for state in self.states:
            self.store.release(state, "taken back, and not read yet")
        for poller in self.line.pollers:
            poller.forget()  # whoever was connected may have changed anything
        self._tell(text)

    async def _stay_away(self) -> None:
        """Return when the link is not released, or not any more."""
        if self._left() > 0:
            self._withhold()  # a link that was made while it is released does not know yet
        while self.session.withheld:
            if self._left() > 0:
                await asyncio.sleep(min(LOOK, self._left()))
                continue
            async with self._changing:
                if self.session.withheld and self._left() <= 0:
                    self._take_back("is taken back: its time is over")

    def _tell(self, text: str, **detail: float) -> None:
        log.info("%s %s", " and ".join(self.names), text)
        for state in self.states:
            words = f"{state.name} {text}{together(state.name, self.names)}"
            identity = state.id if state.settled else ""
            self.events.add("release", words, identity, state.name, who=self.hold.who, **detail)

    def _add(self, pack: PackSettings, state: PackState, dialect: Dialect, address: int) -> None:
        state.family, state.dialect, state.address = dialect.family, dialect.name, address
        poller = Poller(self.session, dialect, address, self.store, state)
        poller.invert_current = pack.invert_current
        poller.password = pack.password
        poller.tells = False  # the accounts do, also of packs that were never found
        self.line.pollers.append(poller)

    async def _find(self, unknown: Sequence[tuple[PackSettings, PackState]]) -> None:
        """Detect until something proves what it speaks; give each pack its own."""
        misses = 0
        while True:
            found, reason = await self._detect([pack for pack, _ in unknown])
            if found:
                break
            for _, state in unknown:
                self.store.fail(state, LOST, reason)
            misses += 1
            await self.session.revive()
            await self.session.share()
            await asyncio.sleep(PAUSES[min(misses, len(PAUSES) - 1)])
        self.line.passive = any(item.passive for item in found)
        taken = {poller.address for poller in self.line.pollers}
        for pack, state in unknown:
            mine = next((item for item in found if _fits(pack, item, taken)), None)
            # What sits on one line speaks alike: a pack that is silent now is asked as its neighbours are.
            dialect = mine.dialect if mine else found[0].dialect
            address = mine.address if mine else pack.address
            if address is None:
                self.store.fail(state, LOST, "no other pack answers on this link; give this one an address")
                continue
            taken.add(address)
            self._add(pack, state, dialect, address)

    async def _detect(self, packs: Sequence[PackSettings]) -> tuple[list[Found], str]:
        candidates = [dialect for name in {pack.family for pack in packs} for dialect in dialects(name)]
        order = [dialect for dialect in dialects("") if dialect in candidates]
        addresses = [pack.address for pack in packs if pack.address is not None]
        try:
            await self.session.open()
            finding = await detect(self.session, order, addresses)
        except LinkError as error:
            return [], str(error)
        return finding.packs, f"{finding.problem}: {finding.advice}"


def _known(pack: PackSettings) -> bool:
    """Return whether the settings alone tell how to ask the pack."""
    found = spoken(pack.link, pack.family)
    return len(found) == 1 and (pack.address is not None or len(found[0].addresses) < 2)


def _fits(pack: PackSettings, item: Found, taken: set[int]) -> bool:
    return item.address not in taken and pack.address in (None, item.address)


def _state(settings: PackSettings) -> PackState:
    state = PackState(settings.name, UNKNOWN, UNKNOWN, settings.address or 0, settings.every)
    state.pinned_id = settings.id
    state.reason = "not read yet"
    return state
