"""Keeps parts running that must never end: one that fails is run again, one that is not wanted any more is ended."""

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

log = logging.getLogger("cellwire")

AGAIN = 3.0  # seconds until a part is run again after an error in Cellwire itself
ERROR_WORDS = "an error in Cellwire itself, see the log; please report it"


class Part(Protocol):
    """Something that runs until it is cancelled, and may be run again after an error that nobody thought of."""

    @property
    def title(self) -> str:
        """What it is called in the log."""

    async def run(self) -> None:
        """Run for ever; give everything back when cancelled."""

    def failed(self, reason: str) -> None:
        """Note that `run` ended with an error that nobody thought of."""


Kept = TypeVar("Kept", bound=Part)
Key = TypeVar("Key", bound=Hashable)


class Keeper(Generic[Kept]):
    """The running parts of one kind, each under a key that says all about how it was made."""

    def __init__(self) -> None:
        self._running: dict[Hashable, tuple[Kept, asyncio.Task[None]]] = {}

    @property
    def parts(self) -> list[Kept]:
        """The running parts."""
        return [part for part, _ in self._running.values()]

    async def keep(self, wanted: Collection[Hashable]) -> None:
        """End the parts whose keys are not wanted any more."""
        gone = [self._running.pop(key) for key in list(self._running) if key not in wanted]
        await end(*(task for _, task in gone))

    def start(self, wanted: Mapping[Key, Callable[[], Kept]]) -> None:
        """Make and run the parts that do not run yet."""
        for key, make in wanted.items():
            if key not in self._running:
                part = make()
                self._running[key] = part, asyncio.create_task(_for_ever(part))


async def _for_ever(part: Part) -> None:
    """Run a part for ever; an error that nobody thought of must not take the other parts along."""
    said: set[str] = set()
    while True:
        try:
            await part.run()
        except Exception as error:
            if repr(error) not in said:  # it may come again with every answer of a pack
                log.exception("%s: an error in Cellwire itself, please report it", part.title)
            said.add(repr(error))
        part.failed(ERROR_WORDS)
        await asyncio.sleep(AGAIN)


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel the tasks and wait until they are gone."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
