"""Leaves packs to the maker's app or program for a while: who may have that, for how long, and what is told of it."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..codec.command import GRANTS, OPERATE
from .writing import Denied, Who

LEAST, USUAL, MOST = 0.5, 10.0, 240.0  # minutes


@dataclass
class Hold:
    """That a link is left to others; outlives the changes of the configuration that do not touch it.

    until  by the clock that nobody sets
    who    by whom
    """

    until: float = -math.inf
    who: str = ""


@dataclass(frozen=True)
class Released:
    """What became of a release.

    packs  all that share the link, in the order of the configuration
    until  seconds since 1970, None when they were taken back
    text   for people
    """

    packs: tuple[str, ...]
    until: float | None
    text: str = field(compare=False)


class Releasable(Protocol):
    """A link as far as it can be left to others; gateway/wire.py."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its packs."""

    @property
    def released_until(self) -> float | None:
        """When it is taken back, seconds since 1970; None while it is not released."""

    @property
    def reason(self) -> str:
        """Why its packs are not read while it is released."""

    async def release(self, seconds: float, who: str) -> None:
        """Leave it to others for so long; raise Denied in the middle of a write."""

    async def resume(self, who: str) -> None:
        """Take it back now."""


class Releases:
    """Releases packs for whoever may have that; those of one link go together.

    wire_of: returns the link of a pack, None when there is no such pack
    """

    def __init__(self, wire_of: Callable[[str], Releasable | None]) -> None:
        self.holds: defaultdict[str, Hold] = defaultdict(Hold)  # by the address of the link
        self._wire_of = wire_of

    async def release(self, pack: str, minutes: float, who: Who) -> Released:
        """Leave the pack's link to others for so many minutes from now on, 0: take it back.

        Raises Denied when that is not allowed or cannot be now, ValueError when it is too short or too long.
        """
        wire = self._wire(pack, who)
        if minutes and not LEAST <= minutes <= MOST:
            raise ValueError(f"a pack is released for {LEAST:g} to {MOST:g} minutes, or 0 to take it back")
        if minutes:
            await wire.release(60 * minutes, who.name)
            text = wire.reason
        else:
            text = "taken back" if wire.released_until is not None else "it was not released"
            await wire.resume(who.name)
        return Released(wire.names, wire.released_until, text + together(pack, wire.names))

    def _wire(self, pack: str, who: Who) -> Releasable:
        wire = self._wire_of(pack)
        if wire is None:
            raise Denied(f"there is no pack {pack}")
        if GRANTS.index(who.grant) < GRANTS.index(OPERATE):
            raise Denied(f'{who.name} may do no more than "{who.grant}", and it takes "{OPERATE}"')
        return wire


def together(pack: str, names: Sequence[str]) -> str:
    """Return what else is on the link of a pack, for the end of a sentence."""
    others = [name for name in names if name != pack]
    return f", together with {', '.join(others)} on the same link" if others else ""


def length(seconds: float) -> str:
    """Return a time in minutes, in words."""
    minutes = round(seconds / 60, 1)
    return "1 minute" if minutes == 1 else f"{minutes:g} minutes"
