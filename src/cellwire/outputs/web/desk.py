"""What the web server asks of the running gateway, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ...gateway.control import Control
from ...gateway.events import Events
from ...gateway.release import Releases
from ...gateway.store import Store

Document = dict[str, Any]


class ChangeRefused(Exception):
    """A change of the configuration that cannot be made: a sentence that says why and what to do."""


class Reader(Protocol):
    """Reads the history; every call may take long and belongs into a thread."""

    def ids(self) -> set[str]:
        """Return the ids of what is stored."""

    def packs(self) -> list[Document]:
        """Return what is stored: {id, name, first, last, columns}."""

    def series(
        self, id: str, names: Sequence[str], start: float, end: float, points: int = 1000, resolution: str = ""
    ) -> Any:
        """Return {resolution, step, times, series: {column: {min, avg, max}}}."""

    def energy(self, id: str, period: str, start: float, end: float, zone: str) -> list[Document]:
        """Return energy and charge a day or month: {from, to, energy_in, energy_out, charge_in, charge_out}."""

    def events(
        self, start: float, end: float, id: str = "", kinds: Sequence[str] = (), limit: int = 500
    ) -> list[Document]:
        """Return events, the newest first."""

    def rows(self, id: str, start: float, end: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Yield (time, readings) of every stored row, in order."""


class History(Protocol):
    """The history as far as the web server needs it."""

    @property
    def status(self) -> Document:
        """How it goes with writing."""

    @property
    def reader(self) -> Reader:
        """Reads what is stored."""


class Desk(Protocol):
    """The running gateway."""

    @property
    def store(self) -> Store:
        """The newest readings."""

    @property
    def events(self) -> Events:
        """What happened."""

    @property
    def control(self) -> Control:
        """The way back to the packs."""

    @property
    def releases(self) -> Releases:
        """Leaves packs to others for a while."""

    @property
    def history(self) -> History | None:
        """None while the history is off."""

    @property
    def started(self) -> float:
        """When the gateway started, seconds since 1970."""

    def link_of(self, pack: str) -> Document:
        """Return what is known of a pack's link: {address, counts, listening, poll_time, radio, released_until...}."""

    def health(self) -> Document:
        """Return how it goes with every pack and the history."""

    def metrics(self) -> str:
        """Return what Prometheus asks for."""

    def configuration(self) -> Document:
        """Return the configuration as the API shows it, without secrets."""

    async def change(self, kind: str, name: str, value: Document | None, who: str) -> None:
        """Change a pack, a bank, the history or the web section; None deletes.

        Raises ConfigError with all mistakes, ChangeRefused when it cannot be done now.
        """

    def scan(self) -> None:
        """Start to look for packs, in the background."""

    def scanned(self) -> Document:
        """Return {running, links}."""
