"""Where everything stands in a TOML text that is right: tomllib checks and reads, and does not tell."""

import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple

# Names of keys, and numbers of elements: ("pack", 0, "every").
Where = tuple[str | int, ...]

BLANK = re.compile(r"(?:\s|#[^\n]*)*")
DOT = re.compile(r"[ \t]*\.[ \t]*")
EQUALS = re.compile(r"[ \t]*=[ \t]*")
PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
# A multi-line text may end in up to two quotes of its own. Everything else ends where the next sign must stand.
SCALAR = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?:""|"|)|\'\'\'.*?\'\'\'(?:\'\'|\'|)|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\[\]{}#\n]+''',
    re.DOTALL,
)


class Statement(NamedTuple):
    """One header or one key with its value, and the lines that it takes."""

    where: Where
    first: int
    last: int
    header: bool


class Places:
    """The statements of a text in order, and the line of every key and element; numbered from 1."""

    def __init__(self, text: str) -> None:
        self.statements: list[Statement] = []
        self._lines: dict[Where, int] = {}
        self._text = text
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._counts: dict[Where, int] = {}
        table: Where = ()
        self._skip(BLANK)
        while self._at < len(text):
            first = self._line()
            header = text[self._at] == "["
            where = table = self._header() if header else table
            if not header:
                where = (*table, *self._keys())
                self._note(where, first)
                self._skip(EQUALS)
                self._value(where)
            self.statements.append(Statement(where, first, self._line(), header))
            self._skip(BLANK)

    def line(self, where: Where) -> int:
        """Return the line of a key, or of the nearest that is around it; 1 when nothing is."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)

    def _line(self) -> int:
        return bisect_right(self._ends, self._at - 1) + 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, "the text is no TOML"
        self._at = found.end()
        return found[0]

    def _note(self, where: Where, line: int) -> None:
        for length in range(1, len(where) + 1):
            self._lines.setdefault(where[:length], line)

    def _keys(self) -> list[str]:
        parts = []
        while True:
            part = self._skip(PART)
            parts.append(str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part)
            if not DOT.match(self._text, self._at):
                return parts
            self._skip(DOT)

    def _header(self) -> Where:
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        self._skip(BLANK)
        parts = self._keys()
        self._skip(BLANK)
        self._at += brackets
        where: Where = ()
        for number, part in enumerate(parts, 1):
            where = (*where, part)
            if brackets == 2 and number == len(parts):
                self._counts[where] = self._counts.get(where, 0) + 1
            if where in self._counts:
                where = (*where, self._counts[where] - 1)
        self._note(where, line)
        return where

    def _value(self, where: Where) -> None:
        self._note(where, self._line())
        opening = self._text[self._at]
        if opening not in "[{":
            self._skip(SCALAR)
            return
        self._at += 1
        self._skip(BLANK)
        number = 0
        while self._text[self._at] not in "]}":
            if opening == "[":
                self._value((*where, number))
            else:
                line = self._line()
                inside = (*where, *self._keys())
                self._note(inside, line)
                self._skip(EQUALS)
                self._value(inside)
            number += 1
            self._skip(BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(BLANK)
        self._at += 1
