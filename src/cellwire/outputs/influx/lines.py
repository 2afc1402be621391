"""Writes rows of the history as line protocol: a line for each row, its values column by column."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import repeat
from typing import NamedTuple

from ..history.columns import MISSING
from ..history.follow import Window
from ..history.layout import FLAG, HEAD, SEQ, TIME, Field

MEASUREMENT = "cellwire"
# What would end a tag's value early. No two engines read a backslash in front of one of these alike, so none is sent.
ESCAPED = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\\": "/"})


class Line(NamedTuple):
    """One row as text.

    seq: its number; time: milliseconds since 1970; pack: id
    """

    seq: int
    time: int
    pack: str
    text: str


class Names:
    """What packs and banks are called, and from which row on: a row that is sent again must have the name it had."""

    def __init__(self) -> None:
        self._seen = 0
        self._known: dict[str, list[tuple[int, str]]] = {}

    def learn(self, window: Window) -> None:
        """Take the present names: who was renamed has the new one in rows that came since the last time."""
        for pack, name in window.names.items():
            known = self._known.setdefault(pack, [(0, _head(pack, name))])
            if known[-1][1] != (head := _head(pack, name)):
                known.append((self._seen + 1, head))
        self._seen = max(self._seen, window.last)

    def heads(self, pack: str, numbers: list[int]) -> Iterable[str]:
        """Return what the lines of rows with these numbers begin with."""
        known = self._known[pack]
        if len(known) == 1:
            return repeat(known[0][1], len(numbers))
        return [known[bisect_left(known, (number + 1,)) - 1][1] for number in numbers]


def lines(window: Window, names: Names, flags: bool) -> list[Line]:
    """Return the rows of a window in the order of their numbers; flags: whether these are true and false, else 1 and 0.

    A row without any reading has no line.
    """
    names.learn(window)
    found: list[Line] = []
    for part in window.parts:
        if not part.layout.fields:
            continue
        heads = names.heads(part.pack, part.columns[SEQ])
        fields = zip(*map(_texts, part.layout.fields, part.columns[HEAD:], repeat(flags)), strict=True)
        for head, texts, seq, time in zip(heads, fields, part.columns[SEQ], part.columns[TIME], strict=True):
            if text := "".join(texts):
                found.append(Line(seq, time, part.pack, f"{head}{text[1:]} {time}\n"))
    found.sort()
    return found


def _texts(field: Field, column: list[int], flags: bool) -> Iterable[str]:
    """Return the column as texts ",name=value", empty where it is missing.

    A value comes again in most rows of an hour, so each is written once only.
    """
    key = f",{field.name}_{field.number}=" if field.number else f",{field.name}="
    texts = dict.fromkeys(column, "")
    for value in texts:
        if value != MISSING:
            texts[value] = key + _written(field, value, flags)
    return map(texts.__getitem__, column)


def _written(field: Field, value: int, flags: bool) -> str:
    """Return the value; a number without an ending is a float for all engines, whether it has decimals or not."""
    if field.kind == FLAG and flags:
        return "true" if value else "false"
    return repr(value if field.scale == 1 else value / field.scale)


def _head(pack: str, name: str) -> str:
    return f"{MEASUREMENT},id={_tag(pack)},pack={_tag(name or pack)} "


def _tag(text: str) -> str:
    return "".join(sign if sign.isprintable() else "_" for sign in text).translate(ESCAPED)
