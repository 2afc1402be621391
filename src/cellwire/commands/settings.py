"""cellwire settings: shows and changes what can be set on a pack, keeps it in a file, and takes changes back."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..cli import DONE, NO_ANSWER, NOT_ALLOWED, PORT, USAGE, Failure
from ..codec.command import ACTION
from ..codec.errors import OutOfRange, ProtocolError
from ..families.jbd import fig
from ..gateway.backup import (
    Backup,
    BackupError,
    Comparison,
    Difference,
    backup,
    cells_of,
    compare,
    difference,
    kept,
    parse,
    settings_of,
)
from ..gateway.control import DONE as ALL_DONE
from ..gateway.control import Denied, Result, Told, parsed
from ..gateway.journal import HIDDEN, Entry, Journal, JournalError
from ..gateway.presets import preset
from ..gateway.restore import ALL, RESTORE, left, look_up, restore, unfinished
from .change import OnePack, Row, aligned, as_json, configuration, journal_path, on_pack, unit_of, value_of

FIG = ".fig"  # files of the PC program for JBD


def run(options: argparse.Namespace) -> int:
    """Do one action."""
    actions: dict[str, Callable[[OnePack], Awaitable[int]]] = {
        "list": _list,
        "get": _get,
        "set": _set,
        "do": _do,
        "reset-counters": _reset_counters,
        "backup": _backup,
        "restore": _restore,
        "diff": _diff,
        "preset": _preset,
        "undo": _undo,
    }
    if options.action == "journal":
        return _journal(options)
    if options.action == "diff" and options.other:
        return _diff_files(options)
    if options.action == "restore" and options.resume == bool(options.file):
        raise Failure(USAGE, "name the file to restore, or say --resume to go on with the last one")
    if options.action == "backup" and options.output and Path(options.output).exists():
        raise Failure(USAGE, f"{options.output} is there already; give another name, nothing is overwritten")
    return on_pack(options, actions[options.action])


# What there is


async def _list(pack: OnePack) -> int:
    rows = await pack.described()
    if pack.options.json:
        grant = pack.control.allowed(pack.name, pack.who.grant)
        as_json({"pack": pack.name, "id": pack.pack.id, "grant": grant, "settings": rows})
        return DONE
    notes: dict[str, str] = {}
    lines = [("setting", "value", "takes", "grant", "proof", "notes")]
    for row in rows:
        lines.append((row["command"], _value(row), takes(row), row["grant"], row["proof"], _notes(row, notes)))
    heading, *table = aligned(lines)
    print(f"  {heading}")
    group = ""
    for row, line in zip(rows, table, strict=True):
        if row["group"] != group:
            group = row["group"]
            print(group)
        print(f"  {line}")
        if isinstance(row.get("value"), list):
            print(f"      {value_of(row, row['value'])} {unit_of(row)}".rstrip())
    for text, sign in notes.items():
        print(f"  {sign:>4} {text}")
    return DONE


def _value(row: Row) -> str:
    value = row.get("value")
    if value is None or row["kind"] == ACTION:
        return ""
    if isinstance(value, list):
        return "see below"
    return f"{value_of(row, value)} {unit_of(row)}".rstrip()


def _notes(row: Row, notes: dict[str, str]) -> str:
    """Return the numbers of what to know of a command; a "!" is before those of dangers."""
    signs = []
    for word, mark in (("warning", ""), ("danger", "!")):
        if word in row:
            signs.append(notes.setdefault(row[word], f"{mark}{len(notes) + 1}"))
    return " ".join(signs)


def takes(row: Row) -> str:
    """Return what values a command takes, for people."""
    if row["kind"] == ACTION:
        return "do it"
    if "words" in row:
        return ", ".join(row["words"])
    if "low" not in row:
        return "on, off"
    if row["kind"] == "text":
        return f"{row['low']} to {row['high']} characters"
    span = f"{row['low']:.10g} to {row['high']:.10g}"
    return f"{span}, each of 1 to {row['count']}" if "count" in row else span


async def _get(pack: OnePack) -> int:
    names = [name.replace("-", "_") for name in pack.options.names]
    for name in names:
        pack.command(name)
    rows = [row for row in await pack.described() if not names or row["command"] in names]
    known = [row for row in rows if row.get("value") is not None]
    if pack.options.json:
        values = {row["command"]: row["value"] for row in known}
        as_json({"pack": pack.name, "id": pack.pack.id, "settings": values})
    else:
        for line in aligned([(row["command"], value_of(row, row["value"]), unit_of(row)) for row in known] or [("",)]):
            print(line)
    unknown = [name for name in names if name not in [row["command"] for row in known]]
    if unknown:
        raise Failure(NO_ANSWER, f"the pack does not show {', '.join(unknown)}")
    return DONE


# What is changed


async def _set(pack: OnePack) -> int:
    changes: dict[str, Any] = {}
    for text in pack.options.values:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise Failure(USAGE, f"{text!r}: write NAME=VALUE, such as cell_overvoltage_limit=3.6")
        command = pack.command(key.partition("/")[0])
        if command.kind == ACTION or command.hold:
            raise Failure(USAGE, f"{key} is done, not set: cellwire settings LINK do {key}")
        if key in changes:
            raise Failure(USAGE, f"{key} is there twice; write it once")
        try:
            changes[key] = parsed(command, value)
        except OutOfRange as error:
            raise Failure(USAGE, str(error)) from None
    return await pack.change(changes)


async def _do(pack: OnePack) -> int:
    name = pack.options.name.replace("-", "_")
    command = pack.command(name)
    if not (command.kind == ACTION or command.hold):
        raise Failure(USAGE, f"{name} is set, not done: cellwire settings LINK set {name}=VALUE")
    if command.hold and pack.options.seconds is None:
        raise Failure(USAGE, f"{name} takes the seconds for which it is kept: cellwire settings LINK do {name} 30")
    if not command.hold and pack.options.seconds is not None:
        raise Failure(USAGE, f"{name} takes no seconds")
    return await pack.change({name: pack.options.seconds if command.hold else True})


async def _reset_counters(pack: OnePack) -> int:
    pack.command("reset_counters")
    return await pack.change({"reset_counters": True})


async def _preset(pack: OnePack) -> int:
    rows = await pack.described()
    chemistry = pack.options.chemistry
    changes, skipped = preset(chemistry, cells_of(pack.pack), rows, pack.options.unproven)
    _left_out(pack, skipped)
    return await _restored(pack, changes, f"preset {chemistry}", pack.options.unproven)


async def _undo(pack: OnePack) -> int:
    number = pack.options.entry
    entry = pack.control.journal.entry(number) if number else None
    if entry and entry.get("command") == RESTORE and entry.get("pack") == pack.pack.id:
        return await _undo_restore(pack, entry)
    entry = pack.control.undoable(pack.name, number)
    pack.say(f"Taking back entry {entry['entry']} of {_moment(entry)}, by {entry.get('who')}")
    if "restore" in entry:
        pack.say(f"Note: it is one of several that were written together; all of them: undo --entry {entry['restore']}")
    return await pack.change({entry["command"]: entry["before"]}, unproven=True, undo=entry["entry"])


async def _undo_restore(pack: OnePack, restored: Entry) -> int:
    changes: dict[str, Any] = {}
    for each in pack.control.journal.entries(pack.pack.id, ALL):
        if each.get("restore") == restored["entry"] and each.get("before") not in (None, HIDDEN):
            changes[each["command"]] = each["before"]  # the oldest is the last
    rows = await pack.described()
    pack.say(f"Taking back {restored['what']} of {_moment(restored)}, entry {restored['entry']}")
    return await _written(pack, left(changes, rows), unproven=True, undo=restored["entry"])


async def _written(pack: OnePack, changes: Mapping[str, Any], **how: Any) -> int:
    """Write what differs; say so when nothing does."""
    if changes:
        return await pack.change(changes, **how)
    pack.say("Nothing to change: the pack is so already.")
    if pack.options.json:
        as_json({"pack": pack.name, "id": pack.pack.id, "plan": [], "results": []})
    return DONE


def _left_out(pack: OnePack, skipped: Mapping[str, str]) -> None:
    for name, why in skipped.items():
        pack.say(f"Left as it is: {name}: {why}")


# Files


async def _backup(pack: OnePack) -> int:
    rows = await pack.described()
    output = pack.options.output
    if output and Path(output).suffix == FIG:
        text = _fig_of(pack, rows)
    else:
        text = backup(pack.pack, rows, time.time())
    settings = settings_of(rows)
    if output:
        _save(Path(output), text)
        print(f"cellwire: {len(settings)} settings are in {output}", file=sys.stderr)
    if pack.options.json:
        as_json({"pack": pack.name, "id": pack.pack.id, "family": pack.pack.family, "settings": settings})
    elif not output:
        print(text, end="")
    return DONE


def _fig_of(pack: OnePack, rows: Sequence[Row]) -> str:
    if pack.pack.family != "jbd":
        raise Failure(USAGE, f"{FIG} files are for JBD packs, and this is {pack.pack.family}; name a .toml file")
    return fig.write({**pack.pack.readings, **{row["command"]: row["value"] for row in rows if "value" in row}})


def _save(path: Path, text: str) -> None:
    try:
        # "x": what appeared meanwhile is not overwritten either. The ends of lines are part of a .fig file.
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(USAGE, f"{path} is there already; give another name, nothing is overwritten") from None
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be written: {error.strerror}; name another place") from None


def _load(name: str) -> Backup:
    try:
        data = Path(name).read_bytes()
        text = data.decode("latin-1" if name.endswith(FIG) else "utf-8")
    except OSError as error:
        raise Failure(USAGE, f"{name} cannot be read: {error.strerror}; look at its name") from None
    except UnicodeDecodeError:
        raise Failure(USAGE, f"{name} is no text, so it is no backup of settings; look at its name") from None
    try:
        if not name.endswith(FIG):
            return parse(text)
        for key in fig.unknown(text):
            print(f"cellwire: {name}: {key} is nothing that can be set, and left out", file=sys.stderr)
        return Backup("jbd", fig.read(text))
    except (BackupError, ProtocolError) as error:
        raise Failure(USAGE, f"{name}: {error}") from None


async def _restore(pack: OnePack) -> int:
    saved = None if pack.options.resume else _load(pack.options.file)
    journal = pack.control.journal
    rows = await pack.described()
    begun = unfinished(journal, pack.pack.id)
    missing = left(begun["changes"], rows) if begun else {}
    unproven = pack.options.unproven
    if saved is not None:
        comparison = _compared(saved, pack, rows, unproven)
        changes = comparison.changes
        if not (missing.items() >= changes.items() and (changes or not missing)):
            begun = None  # of another file
    elif begun is None:
        missed = "no restore of this pack was broken off; name the file: cellwire settings LINK restore FILE"
        raise Failure(USAGE, missed)
    else:
        changes = missing
        unproven = unproven or begun.get("unproven", False)
    if begun is None:
        return await _restored(pack, changes, pack.options.file, unproven)
    number, whole = begun["entry"], len(begun["changes"])
    if not pack.options.dry_run:
        for sentence in await asyncio.to_thread(look_up, journal, pack.pack.id, rows):
            pack.say(sentence)
        if not missing:
            await asyncio.to_thread(lambda: journal.add(number, result=ALL_DONE, reason=""))
    done = f"{whole - len(missing)} of its {whole} settings are done"
    pack.say(f"{begun['what']} of {_moment(begun)}, entry {number}, was broken off: {done}.")
    return await _restored(pack, changes, begun["what"], unproven, number)


def _compared(saved: Backup, pack: OnePack, rows: Sequence[Row], unproven: bool) -> Comparison:
    """Return what differs, after what to think of was told; raise Denied."""
    try:
        comparison = compare(saved, pack.pack, rows, unproven)
    except BackupError as error:
        raise Denied(str(error)) from None
    for warning in comparison.warnings:
        pack.say(f"Note: {warning}")
    _left_out(pack, comparison.skipped)
    return comparison


async def _restored(pack: OnePack, changes: Mapping[str, Any], what: str, unproven: bool, entry: int = 0) -> int:
    async def write(confirmed: bool, told: Told) -> list[Result]:
        return await restore(
            pack.control, pack.name, pack.pack.id, changes, pack.who, what, entry, confirmed, unproven, told
        )

    return await _written(pack, changes, write=write, unproven=unproven)


async def _diff(pack: OnePack) -> int:
    saved = _load(pack.options.file)
    rows = await pack.described()
    _compared(saved, pack, rows, unproven=True)
    now = settings_of(rows)
    # What no backup has is no difference; a file of the PC program has some of it, and lacks much else.
    then = {
        row["command"]: saved.settings[row["command"]] for row in rows if kept(row) and row["command"] in saved.settings
    }
    if pack.options.file.endswith(FIG):
        now = {name: value for name, value in now.items() if name in then}
    _show(pack.options, difference(now, then, rows), "pack", pack.options.file)
    return DONE


def _diff_files(options: argparse.Namespace) -> int:
    one, other = _load(options.file), _load(options.other)
    if one.family != other.family:
        families = f"{options.file} is of a {one.family} pack, {options.other} of a {other.family} pack"
        raise Failure(USAGE, f"{families}; their settings do not mean the same")
    _show(options, difference(one.settings, other.settings), options.file, options.other)
    return DONE


def _show(options: argparse.Namespace, found: Sequence[Difference], now: str, then: str) -> None:
    if options.json:
        as_json({"differences": [vars(each) for each in found]})
        return
    if not found:
        print("No difference.")
        return
    lines = [("setting", now, then, "unit", "")]
    for each in found:
        lines.append((each.name, value_of({}, each.now), value_of({}, each.then), each.unit, each.meaning))
    for line in aligned(lines):
        print(line)


# What was done


def _journal(options: argparse.Namespace) -> int:
    """Show what was written to the pack, or to all packs when it does not answer now."""

    async def work(pack: OnePack) -> int:
        _show_entries(options, pack.control.journal, pack.pack.id)
        return DONE

    try:
        return on_pack(options, work)
    except Failure as failure:
        if failure.code not in (NO_ANSWER, PORT):
            raise
        print(f"cellwire: {failure}\ncellwire: so these are the entries of all packs", file=sys.stderr)
    try:
        _show_entries(options, Journal(journal_path(options, configuration(options.config)), time.time), "")
    except JournalError as error:
        raise Failure(NOT_ALLOWED, str(error)) from None
    return DONE


def _show_entries(options: argparse.Namespace, journal: Journal, identity: str) -> None:
    entries = journal.entries(identity, options.count)
    if options.json:
        as_json({"journal": str(journal.path), "entries": entries})
        return
    for entry in entries:
        print(_entry_line(entry))
    if not entries:
        print(f"{journal.path} knows of no write")


def _entry_line(entry: Entry) -> str:
    words = [
        f"{entry['entry']:>5}",
        _moment(entry),
        f"{entry.get('who')} ({entry.get('source')})",
        str(entry.get("name")),
    ]
    if entry.get("command") == RESTORE:
        words.append(f"{entry.get('what')}: {len(entry.get('changes', ()))} settings")
    else:
        before, wanted = (value_of({}, entry.get(name)) for name in ("before", "wanted"))
        words.append(f"{entry.get('command')} {before} -> {wanted}")
    for mark in ("restore", "undo"):
        if mark in entry:
            words.append(f"({mark} {entry[mark]})")
    result = {"not_confirmed": "not confirmed", "sent": "sent, nothing more is known"}
    text = str(entry.get("result"))
    words.append(result.get(text, text) + (f": {entry['reason']}" if entry.get("reason") else ""))
    return "  ".join(words)


def _moment(entry: Entry) -> str:
    moment = datetime.fromtimestamp(float(entry.get("time", 0.0)), UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
