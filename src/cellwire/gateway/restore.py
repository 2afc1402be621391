"""Writes the settings of a backup or preset so that it can go on when it was broken off, and be taken back as one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from .backup import Row, alike
from .control import DONE, NOT_CONFIRMED, REFUSED, Control, Result, Told, Who
from .journal import SENT, Entry, Journal

RESTORE = "restore"  # what stands in place of a command in the entry that has the whole list
ALL = 10_000  # entries looked through
ENDED = "the program ended before its result was known"


def unfinished(journal: Journal, identity: str) -> Entry | None:
    """Return the entry of the newest restore of a pack, unless all of it was done.

    Its `what` is where they came from, its `changes` are {command: value}, its `unproven` says whether commands
    without public proof were wanted.
    """
    newest = next((each for each in journal.entries(identity, ALL) if each.get("command") == RESTORE), None)
    return newest if newest and newest.get("result") != DONE else None


def left(changes: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return the changes that the pack does not show yet."""
    found = {}
    for key, value in changes.items():
        row, now = _now(rows, key)
        if not alike(row, now, value):
            found[key] = value
    return found


def _now(rows: Sequence[Row], key: str) -> tuple[Row, Any]:
    """Return the row of a command and what the pack shows of it; of "name/3" the third."""
    name, _, number = key.partition("/")
    row = next((row for row in rows if row["command"] == name), {})
    value = row.get("value")
    if number and isinstance(value, list):
        value = value[int(number) - 1] if int(number) <= len(value) else None
    return row, value


def look_up(journal: Journal, identity: str, rows: Sequence[Row]) -> list[str]:
    """Find out what became of writes that were sent and of which no more is known; return a sentence for each.

    rows: with the values of now. Raises JournalError.
    """
    told = []
    for entry in reversed(journal.entries(identity, ALL)):
        name = str(entry.get("command"))
        if entry.get("result") != SENT or name == RESTORE:
            continue
        row, found = _now(rows, name)
        if found is None:
            journal.add(entry["entry"], result=NOT_CONFIRMED, reason=f"{ENDED}; nothing shows whether it was taken")
            told.append(f"Entry {entry['entry']}: {name} was sent, and nothing shows whether it was taken.")
            continue
        taken = alike(row, found, entry.get("wanted"))
        became = "the pack shows it" if taken else f"the pack shows {found}"
        journal.add(entry["entry"], result=DONE if taken else NOT_CONFIRMED, found=found, reason=f"{ENDED}; {became}")
        told.append(f"Entry {entry['entry']}: {name} was sent, and {'was' if taken else 'was not'} taken: {became}.")
    return told


async def restore(
    control: Control,
    pack: str,
    identity: str,
    changes: Mapping[str, Any],
    who: Who,
    what: str,
    entry: int = 0,
    confirmed: bool = False,
    unproven: bool = False,
    told: Told | None = None,
) -> list[Result]:
    """Write the changes as `Control.write` does, under an entry of the journal that has the whole list.

    what: whose settings they are, for people: the name of a file or preset
    entry: of the restore that goes on, 0 for a new one. Raises JournalError, and nothing was written then.
    """
    journal = control.journal
    if not entry:
        line: Entry = {"who": who.name, "source": who.source, "pack": identity, "name": pack, "command": RESTORE}
        line |= {"what": what, "changes": dict(changes), "unproven": unproven, "result": SENT}
        entry = await asyncio.to_thread(lambda: journal.begin(**line))
    results = await control.write(pack, changes, who, confirmed, unproven, told, restore=entry)
    verdict = worst(results)
    reason = next((f"{each.command}: {each.reason}" for each in results if each.result == verdict != DONE), "")
    await asyncio.to_thread(lambda: journal.add(entry, result=verdict, reason=reason))
    return results


def worst(results: Sequence[Result]) -> str:
    """Return what became of all of them: not confirmed when one is not, refused when one was, else done."""
    found = {each.result for each in results}
    return next((verdict for verdict in (NOT_CONFIRMED, REFUSED) if verdict in found), DONE)
