"""What goes between memory and file: the batch that a commit writes, and what a file has left when it is opened."""

from array import array
from typing import NamedTuple

from ...gateway.events import Event
from .layout import METERS, Layout, PackHour

# The newest meters and counters of each pack, and when they were taken.
Saved = dict[str, tuple[float, dict[str, float]]]


class Batch:
    """What one transaction brings to the disk.

    seq: of the newest row in it; anew: whether it is everything, for a file that has nothing of it yet
    groups: rows by hour and layout; hours: where they are in memory, and how many are saved there then
    """

    def __init__(self, seq: int, anew: bool) -> None:
        self.seq = seq
        self.anew = anew
        self.count = 0
        self.hours: list[tuple[PackHour, int]] = []
        self.groups: dict[tuple[int, Layout], list[tuple[str, PackHour]]] = {}
        self.packs: set[str] = set()
        self.journal: Saved = {}
        self.events: list[Event] = []
        self.names: dict[str, str] = {}
        self.cursors: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.anew or self.groups or self.events or self.names or self.cursors)

    @property
    def meters(self) -> dict[str, dict[str, float]]:
        """The meters of the packs that have rows in it."""
        return {
            pack: {name: values[name] for name in METERS if name in values}
            for pack, (_, values) in self.journal.items()
            if pack in self.packs
        }


class Left(NamedTuple):
    """What a file has that is not sealed, and how far its numbers go.

    layouts: the newest of each pack; rows: parts of one pack each, in the order in which they came
    last: the largest number of a row that was ever given
    """

    layouts: list[tuple[str, Layout]]
    cursors: dict[str, int]
    rows: list[tuple[str, Layout, "array[int]"]]
    last: int
