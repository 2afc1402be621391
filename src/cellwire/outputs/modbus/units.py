"""Which battery is which unit, and the registers of each: made once for each new sample, and each second."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ...gateway.control import Control
from ...gateway.store import Store
from ..offer import known
from . import native, settable, sunspec
from .values import View

BANKS_FROM = 101
LAST = 247  # of the units that Modbus knows
FIRST_BATTERY = (0, 255)  # what clients of Modbus TCP say when they do not care
BEATS = 65535  # the heartbeat counts up to one less; this stands for "not implemented"


class Image(NamedTuple):
    """All registers of one unit at one moment."""

    native: bytes
    sunspec: bytes
    settable: bytes

    def read(self, address: int, count: int) -> bytes | None:
        """Return the registers, None when some of them do not exist."""
        for base, content in ((0, self.native), (settable.BASE, self.settable), (sunspec.BASE, self.sunspec)):
            first, end = 2 * (address - base), 2 * (address - base + count)
            if first >= 0 and end <= len(content):
                return content[first:end]
        return None


class Units:
    """The batteries of the store by unit.

    pinned: names in the order of their units, from 1; without them packs are from 1 and banks from 101
    """

    def __init__(self, store: Store, pinned: Sequence[str], invert: bool, control: Control | None = None) -> None:
        self.store = store
        self._control = control
        self.invert = invert
        self._pinned = tuple(pinned)
        self._made: dict[int, tuple[Hashable, Image]] = {}
        self._cells: dict[str, int] = {}
        self._heartbeats: dict[str, int] = {}

    @property
    def names(self) -> dict[int, str]:
        """The batteries that there are, by unit."""
        if self._pinned:
            numbered = enumerate(self._pinned, 1)
            return {unit: name for unit, name in numbered if name in self.store.packs or name in self.store.banks}
        packs = dict(enumerate(list(self.store.packs)[: BANKS_FROM - 1], 1))
        return packs | dict(enumerate(list(self.store.banks)[: LAST - BANKS_FROM + 1], BANKS_FROM))

    def image(self, unit: int) -> Image | None:
        """Return the registers of a unit as they are now, None when there is no such unit."""
        name = self.names.get(unit)
        if name is None:
            return None
        bank = self.store.banks.get(name)
        members = bank.packs if bank and name not in self.store.packs else (name,)
        packs = [self.store.packs.get(member) for member in members]
        # A battery can grow old, and its heart beats, without a sample.
        second = int(self.store.monotonic())
        key = (name, second, bank and bank.seen, *((pack.seen, pack.trouble) if pack else None for pack in packs))
        made = self._made.get(unit)
        if made is None or made[0] != key:
            view = self._view(unit, name, members, second)
            controls = settable.image(known(self.store, self._control, view.battery))
            made = self._made[unit] = key, Image(native.image(view), sunspec.image(view, self.invert), controls)
        return made[1]

    def _view(self, unit: int, name: str, members: Sequence[str], second: int) -> View:
        battery = self.store.battery(name)
        assert battery is not None
        if battery.live:
            self._heartbeats[name] = second % BEATS
        strings = tuple(self.store.battery(member) for member in members)
        counted = frozenset(string.name for string in strings if string and string.live)
        if battery.kind == "bank":
            counted -= self.store.banks[name].missing.keys()
        cells = [self._cells_of(member) for member in members]
        # Packs in parallel have the same number of cells: one that was not read yet must not move the others' models.
        cells = [count or max(cells) for count in cells]
        age = None if battery.seen is None else self.store.monotonic() - battery.seen
        return View(unit, battery, strings, counted, tuple(cells), age, self._heartbeats.get(name))

    def _cells_of(self, name: str) -> int:
        """Return the number of cells of a pack, 0 when it was never known."""
        pack = self.store.packs.get(name)
        if pack is not None:
            found = pack.readings.get("cell_count") or len(pack.readings.get("cell_voltages", ()))
            if found:
                self._cells[name] = found
        return self._cells.get(name, 0)
