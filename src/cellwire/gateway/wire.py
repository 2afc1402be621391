"""One link of a running gateway and the packs on it: finds out what they speak, asks them, and comes back by itself."""

import asyncio
import logging
from collections.abc import Sequence

from ..codec.dialect import Dialect
from ..families import dialects
from ..links import open_link
from ..links.ble import Radios
from ..links.link import LinkError
from .config import PackSettings
from .detect import Found, detect
from .poller import PAUSES, Line, Poller
from .session import Session
from .store import ERROR, LOST, PackState, Store

log = logging.getLogger("cellwire")

UNKNOWN = "unknown"  # family and dialect of a pack that has not said yet what it speaks


class Wire:
    """A link and its packs; `packs` are their settings, all with the same link."""

    def __init__(self, store: Store, packs: Sequence[PackSettings], radios: Radios | None = None) -> None:
        self.store = store
        self.packs = tuple(packs)
        self.session = Session(open_link(packs[0].link, radios, packs[0].pairing, packs[0].pin))
        self.line = Line(self.session, [])
        self.states = [store.add(_state(settings)) for settings in packs]

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
        self.line = Line(self.session, [])
        try:
            unknown = [(pack, state) for pack, state in zip(self.packs, self.states, strict=True) if not _known(pack)]
            for pack, state in zip(self.packs, self.states, strict=True):
                if _known(pack):
                    dialect = dialects(pack.family)[0]
                    address = dialect.addresses[0] if pack.address is None else pack.address
                    self._add(pack, state, dialect, address)
            if unknown:
                await self._find(unknown)
            bauds = self.line.pollers[0].dialect.bauds
            if not unknown and bauds and "baud=" not in self.packs[0].link:
                # Before the link is opened: a port that is not there yet must know its speed when it comes.
                await self.session.link.set_baud(bauds[0])
            await self.line.run()
        finally:
            await self.session.close()

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
    found = dialects(pack.family) if pack.family else ()
    return len(found) == 1 and (pack.address is not None or len(found[0].addresses) < 2)


def _fits(pack: PackSettings, item: Found, taken: set[int]) -> bool:
    return item.address not in taken and pack.address in (None, item.address)


def _state(settings: PackSettings) -> PackState:
    state = PackState(settings.name, UNKNOWN, UNKNOWN, settings.address or 0, settings.every)
    state.pinned_id = settings.id
    state.reason = "not read yet"
    return state
