"""In which order several settings are written, so that no moment in between is worse than before and after."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..codec.errors import OutOfRange

Readings = dict[str, Any]

# Lowering such a limit makes the pack safer; raising any other limit does.
UPPER = ("overvoltage", "overcurrent", "overtemperature", "delta", "short_circuit")


class Change(Protocol):
    """A new value for a command."""

    @property
    def name(self) -> str:
        """The command's name."""

    @property
    def value(self) -> Any:
        """What it is to be."""


def loosens(name: str, before: Any, wanted: Any) -> bool:
    """Return whether the new value lets the pack do more than before; what cannot be told counts as such."""
    if isinstance(wanted, bool):
        return wanted
    numbers = (int, float)
    if not isinstance(before, numbers) or not isinstance(wanted, numbers):
        return True
    upper = any(word in name for word in UPPER)
    if name.endswith("_delay"):
        return wanted > before
    return wanted > before if upper else wanted < before


def ordered(
    changes: Sequence[Any],
    known: Readings,
    guard: Callable[[Any, Readings], None],
    apply: Callable[[Any, Readings], Readings],
    before: Callable[[Any], Any],
) -> list[Any]:
    """Return the changes in an order in which each one is consistent with what is set by then, the safer ones first.

    guard: raises OutOfRange when a change makes no sense beside what is known; apply: what is known after it.
    Raises OutOfRange when there is no such order.
    """
    left, done = list(changes), []
    while left:
        problem: OutOfRange | None = None
        left.sort(key=lambda change: loosens(change.name, before(change), change.value))
        for change in left:
            try:
                guard(change, known)
            except OutOfRange as error:
                problem = problem or error
                continue
            break
        else:
            assert problem is not None
            raise problem
        left.remove(change)
        done.append(change)
        known = apply(change, known)
    return done


def contradiction(
    changes: Sequence[Any],
    known: Readings,
    guard: Callable[[Any, Readings], None],
    apply: Callable[[Any, Readings], Readings],
) -> dict[int, str]:
    """Return what is wrong with each change, by its place, when all of them are done."""
    for change in changes:
        known = apply(change, known)
    found = {}
    for place, change in enumerate(changes):
        try:
            guard(change, known)
        except OutOfRange as error:
            found[place] = str(error)
    return found
