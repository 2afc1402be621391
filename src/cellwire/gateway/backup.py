"""The settings of a pack as a readable document, and what differs between such a document and a pack."""

import difflib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..codec.command import ACTION, CHOICE, NUMBER, SWITCH, TEXT, UNPROVEN
from ..families import FAMILIES
from ..readings.catalogue import BY_NAME, unit
from .store import PackState

Row = dict[str, Any]  # of gateway/settings.py
Settings = dict[str, Any]

FORMAT, VERSION = "cellwire-settings", 1
# The state of the day: MOSFETs as somebody wants them now, and what counts or runs by itself.
MOMENTARY = (
    "charge_switch",
    "discharge_switch",
    "clock",
    "emergency_mode",
    "soc",
    "soh",
    "remaining_capacity",
    "full_capacity",
    "cycles",
)
# Which pack it is: with these two packs would go by one name or answer at one address.
OWN = ("serial_number_setting",)
FIRST = ("battery_type",)  # the BMS may set all its limits anew with it
ALONE = "the BMS may set all its limits anew with it; set it first, by itself, and look at the difference again"
UNSHOWN = "nobody has shown in public that writing it works; unproven settings have to be asked for"
UNREAD = "the pack does not show it now, so nothing would prove that it was taken"
LARGEST = 2**63  # whole numbers of TOML are below it
ONE_CELL = 5.0  # V that no cell has; what is above is the voltage of a pack
TITLES = {"model": "model", "hardware_version": "hardware", "software_version": "firmware"}
SIGNS = {"degC": "°C", "ohm": "Ω"}

HEAD = """\
# Settings of a battery pack. To put them back: cellwire settings LINK restore FILE
# It shows every difference before it writes anything.
"""


class BackupError(Exception):
    """A document that cannot be used: a sentence that says where and what to do."""


@dataclass(frozen=True)
class Backup:
    """The settings of a pack at a time. What is "" or 0 is not known."""

    family: str
    settings: Settings
    dialect: str = ""
    model: str = ""
    hardware_version: str = ""
    software_version: str = ""
    id: str = ""
    cells: int = 0
    time: float = 0.0


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same; None: it is not there."""

    name: str
    now: Any
    then: Any
    unit: str
    meaning: str


@dataclass(frozen=True)
class Comparison:
    """What has to be written so that a pack is as a backup says.

    changes: {command: value}; warnings: sentences; skipped: {setting: why it cannot be put back}
    """

    changes: Settings = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


# From a pack


def kept(row: Row) -> bool:
    """Return whether a command sets something that a backup has."""
    name = row["command"]
    if row["kind"] == ACTION or row.get("secret") or row.get("hold") or "calibrat" in name:
        return False
    identity = name in BY_NAME and BY_NAME[name][3] == "identity" and name not in FIRST
    return not (identity or name in MOMENTARY or name in OWN)


def settings_of(rows: Sequence[Row]) -> Settings:
    """Return the settings that a pack has now, of the commands as gateway/settings.py describes them."""
    return {row["command"]: row["value"] for row in rows if kept(row) and _known(row.get("value"))}


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, list) and None in value)


def cells_of(pack: PackState) -> int:
    """Return the number of cells of a pack, 0 while it is not known."""
    return int(pack.readings.get("cell_count") or pack.readings.get("cell_count_setting") or 0)


def own_identity(pack: PackState) -> str:
    """Return the id that a pack has from its own serial number or from its owner, "" when it goes by its address."""
    address = f"{pack.dialect}-{pack.address}"
    # With its name or its link behind it, where several go by one address.
    return "" if pack.id == address or pack.id.startswith((f"{address}-", f"{address}@")) else pack.id


def backup(pack: PackState, rows: Sequence[Row], time: float) -> str:
    """Return the document of a pack's settings. time: seconds since 1970."""
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    lines = [HEAD, f'format = "{FORMAT}"', f"version = {VERSION}", f"time = {moment}", "", "[pack]"]
    known = {"family": pack.family, "dialect": pack.dialect, "id": own_identity(pack), "cells": cells_of(pack)}
    known |= {name: str(pack.readings.get(name, "")) for name in TITLES}
    lines += [f"{name} = {_written(value)}" for name, value in known.items() if value]
    lines += ["", "[settings]"]
    settings = settings_of(rows)
    group = ""
    for row in rows:
        if row["command"] in settings:
            if row["group"] != group:
                group = row["group"]
                lines += ["", f"# {group}"]
            lines.append(_line(row, settings[row["command"]]))
    return "\n".join(lines) + "\n"


def _line(row: Row, value: Any) -> str:
    text = _sign(row.get("unit", ""))
    if row["kind"] == NUMBER:
        rounded = [round(each, row["decimals"]) for each in _each(value)]
        value = rounded if isinstance(value, list) else rounded[0]
    return f"{row['command']} = {_written(value)}" + (f"  # {text}" if text else "")


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _written(value: Any) -> str:
    # JSON writes texts, numbers and truth values as TOML wants them, but for one letter.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _sign(text: str) -> str:
    return SIGNS.get(text, text)


# From a document


def parse(text: str) -> Backup:
    """Return what the document says; raise BackupError."""
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BackupError(f"{_reason(error)}; mend the line, or make the backup anew") from None
    if document.get("format") != FORMAT:
        raise BackupError(
            f'this is no backup of settings: the line format = "{FORMAT}" is missing; '
            "`cellwire settings LINK backup` makes one"
        )
    if document.get("version") != VERSION:
        raise BackupError(
            f"{_where(text, 'version')}this is a backup of version {document.get('version')}, and only {VERSION} is "
            "understood here; take a newer Cellwire"
        )
    pack = _table(document, "pack")
    settings = _table(document, "settings")
    family = _text(text, pack, "family")
    if family not in FAMILIES:
        raise BackupError(
            f"{_where(text, 'family')}there is no family {family!r}; it says which packs the settings fit, so write "
            f"one of {', '.join(FAMILIES)} under [pack]"
        )
    for name, value in settings.items():
        if not all(_plain(each) for each in _each(value)):
            raise BackupError(
                f"{_where(text, name)}{name} is neither a number, nor true or false, nor a text; mend it, "
                "or take the line out"
            )
    texts = {name: _text(text, pack, name) for name in ("dialect", "id", *TITLES)}
    return Backup(family, settings, cells=_cells(text, pack), time=_time(document), **texts)


def _plain(value: Any) -> bool:
    whole = isinstance(value, int) and abs(value) < LARGEST
    return whole or isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "this is no backup of settings"
    message = str(error)
    reason, at, place = message.rpartition(" (at ")
    return f"{place.rstrip(')')}: {reason}" if at else message


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name)
    if not isinstance(table, dict):
        raise BackupError(f"this backup has no section [{name}]; make it anew")
    return table


def _text(text: str, pack: Mapping[str, Any], name: str) -> str:
    value = pack.get(name, "")
    if not isinstance(value, str):
        raise BackupError(f"{_where(text, name)}{name} has to be a text; put it between quotation marks")
    return value


def _cells(text: str, pack: Mapping[str, Any]) -> int:
    value = pack.get("cells", 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BackupError(f"{_where(text, 'cells')}cells has to be a whole number; correct it, or take the line out")
    return value


def _time(document: Mapping[str, Any]) -> float:
    value = document.get("time")
    return value.timestamp() if isinstance(value, datetime) else 0.0


def _where(text: str, name: str) -> str:
    """Return in which line a name is set, for the start of a sentence; "" when none does."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.partition("=")[0].strip().strip("\"'") == name:
            return f"line {number}: "
    return ""


# Beside each other


def compare(saved: Backup, pack: PackState, rows: Sequence[Row], unproven: bool = False) -> Comparison:
    """Return what has to be written to the pack; raise BackupError when the backup is another family's.

    unproven: settings without public proof too
    """
    if saved.family != pack.family:
        raise BackupError(
            f"this is a backup of a {saved.family} pack, and {pack.name} is a {pack.family}; their settings do not "
            "mean the same, so none is put back. Set by hand what you want: cellwire settings LINK set NAME=VALUE"
        )
    found = Comparison(warnings=list(_warnings(saved, pack)))
    then, cells = _cells_then(saved), cells_of(pack)
    moved = bool(then and cells and then != cells)
    by_name = {row["command"]: row for row in rows}
    for name, value in saved.settings.items():
        row = by_name.get(name)
        if row is None:
            near = difflib.get_close_matches(name, by_name, 1)
            found.skipped[name] = "this pack has no such setting" + (f"; is it {near[0]}?" if near else "")
            continue
        if alike(row, row.get("value"), value):
            continue
        why = unfit(row, value) or (moved and _of_all_cells(row, value, then, cells)) or ""
        if not why and not _known(row.get("value")):
            why = UNREAD
        if not why and row["proof"] == UNPROVEN and not unproven:
            why = UNSHOWN
        if why:
            found.skipped[name] = why
        elif isinstance(value, list):
            found.changes.update((key, then) for key, now, then in _keyed(row, value) if not alike(row, now, then))
        else:
            found.changes[name] = value
    return found


def _keyed(row: Row, value: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, now, then) of each element of a setting of cells or sensors."""
    for number, (now, then) in enumerate(zip(row["value"], value, strict=True), 1):
        yield f"{row['command']}/{number}", now, then


def _cells_then(saved: Backup) -> int:
    count = saved.settings.get("cell_count_setting", 0)
    return saved.cells or (count if isinstance(count, int) else 0)


def _warnings(saved: Backup, pack: PackState) -> Iterator[str]:
    then, cells = _cells_then(saved), cells_of(pack)
    if then and cells and then != cells:
        yield (
            f"The backup is of {then} cells, this pack has {cells}: voltages of the whole pack and the number "
            "of cells are left as they are."
        )
    if saved.dialect and saved.dialect != pack.dialect:
        yield f"The backup was made over {saved.dialect}, this pack speaks {pack.dialect}: look at each value."
    for name, title in TITLES.items():
        was, now = getattr(saved, name), str(pack.readings.get(name, ""))
        if was and now and was != now:
            yield f"Another {title}: the backup is of {was}, this is {now}. Look at each value."
    if saved.id and saved.id != (own_identity(pack) or saved.id):
        yield f"The backup is of another pack: {saved.id}, this is {pack.id}."


def unfit(row: Row, value: Any) -> str:
    """Return why a value cannot be written among others with this command, "" when it can."""
    if not kept(row):
        return "it is no setting that is put back"
    if row["command"] in FIRST:
        return ALONE
    if len(_each(value)) != row.get("count", 1) or isinstance(value, list) != ("count" in row):
        return f"it takes {row['count']} values" if "count" in row else "it takes one value"
    return next((why for each in _each(value) if (why := _unfit(row, each))), "")


def _unfit(row: Row, value: Any) -> str:
    kind = row["kind"]
    if kind == SWITCH:
        return "" if isinstance(value, bool) else f"{value} is neither true nor false"
    if kind == CHOICE:
        return "" if value in row["words"] else f"{value} is not one of {', '.join(row['words'])}"
    if kind == TEXT:
        fits = isinstance(value, str) and row["low"] <= len(value) <= row["high"]
        return "" if fits else f"it takes a text of {row['low']} to {row['high']} characters"
    if isinstance(value, bool | str):
        return f"{value} is not a number"
    if not row["low"] <= value <= row["high"]:
        return f"{value} is not between {row['low']} and {row['high']}"
    return ""


def _of_all_cells(row: Row, value: Any, then: int, now: int) -> str:
    name = row["command"]
    if name == "cell_count_setting":
        return f"the number of cells is not put back; if {now} is wrong, set it first, by itself"
    if row.get("unit") == "V" and not isinstance(value, list) and (name.startswith("pack_") or value > ONE_CELL):
        return f"{value} V was meant for {then} cells, and this pack has {now}"
    return ""


def alike(row: Row, one: Any, other: Any) -> bool:
    """Return whether two values are the same to a pack: numbers within half a step."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, [row] * len(one), one, other))
    if one is None or other is None:
        return one is other
    numbers = not any(isinstance(value, bool | str | list) for value in (one, other))
    if row.get("kind", NUMBER) == NUMBER and numbers:
        return bool(abs(one - other) <= row.get("step", 0) / 2 + 1e-9)
    return type(one) is type(other) and bool(one == other)


def difference(now: Settings, then: Settings, rows: Sequence[Row] = ()) -> list[Difference]:
    """Return what is not the same in two sets of settings, in the order of the rows, then of the alphabet.

    rows: what the pack can be set to, as far as a pack is there; they tell units and how fine the values are.
    """
    by_name = {row["command"]: row for row in rows}
    names = [name for name in by_name if name in now or name in then]
    names += sorted({*now, *then} - {*names})
    found = []
    for name in names:
        row = by_name.get(name, {})
        one, other = now.get(name), then.get(name)
        if not alike(row, one, other):
            known = BY_NAME.get(name)
            sign = row.get("unit", unit(name) if known else "")
            found.append(Difference(name, one, other, _sign(sign), row.get("meaning") or (known[4] if known else "")))
    return found
