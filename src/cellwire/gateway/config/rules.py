"""What stands beside each key of the configuration: its meaning, its rule, and how both are found again."""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

# What is wrong with a value, and a sentence to act on; the key before them where it is not clear.
Wrong = tuple[str, str]
Conflict = tuple[str, str, str]
Values = dict[str, Any]


class Rule(NamedTuple):
    """What a value must be: in words, and as a check."""

    words: str
    check: Callable[[Any], Wrong | None]


class Key(NamedTuple):
    """What stands beside the type of a field: its meaning for people, and the rule for its values."""

    meaning: str
    rule: Rule | None = None
    section: str = ""  # how the section is called in the file, where the field is a section called otherwise
    example: Any = None  # where the default shows nothing
    secret: bool = False  # never shown


class Row(NamedTuple):
    """One key as the checks and the documentation want it; `default` is MISSING where there is none."""

    name: str
    type: Any
    default: Any
    key: Key

    @property
    def in_file(self) -> str:
        """The name in the file."""
        return self.key.section or self.name


@cache
def rows(section: type) -> dict[str, Row]:
    """Return the keys of a section by their names in the file."""
    hints = get_type_hints(section, include_extras=True)
    found: dict[str, Row] = {}
    for field in fields(section):
        kind, *rest = get_args(hints[field.name]) or (hints[field.name],)
        if rest and isinstance(rest[-1], Key):
            row = Row(field.name, kind, field.default, rest[-1])
            found[row.in_file] = row
    return found


def secrets(section: type) -> set[str]:
    """Return the names of all keys below a section that are never shown."""
    found: set[str] = set()
    for row in rows(section).values():
        found |= {row.name} if row.key.secret else set()
        for kind in (row.type, *get_args(row.type)):
            found |= secrets(kind) if is_dataclass(kind) and isinstance(kind, type) else set()
    return found


def between(low: float, high: float, what: str = "a number") -> Rule:
    """Return the rule that a number lies between two others; it keeps nan and inf out, too."""

    def check(value: float) -> Wrong | None:
        if low <= value <= high:
            return None
        return f"{value} is not between {low:g} and {high:g}", f"write {what} from {low:g} to {high:g}"

    return Rule(f"{low:g} to {high:g}", check)


def one_of(words: tuple[str, ...]) -> Rule:
    """Return the rule that a text is one of these words."""
    listed = ", ".join(f'"{word}"' for word in words)

    def check(value: str) -> Wrong | None:
        return None if value in words else (f"there is no {short(value)}", f"write one of {listed}")

    return Rule(", ".join(f"`{word}`" for word in words), check)


def matches(pattern: str, words: str, fix: str) -> Rule:
    """Return the rule that a text is made as the pattern says."""

    def check(value: str) -> Wrong | None:
        return None if re.fullmatch(pattern, value) else (f"{short(value)} is not {words}", fix)

    return Rule(words, check)


def short(text: str) -> str:
    """Return the text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def spans(numbers: list[int]) -> str:
    """Return sorted numbers as people write them: 1 to 16, 128."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _place(value: str) -> Wrong | None:
    found = re.fullmatch(r"(?:\[[0-9a-fA-F:.%\w]+\]|[^:/\[\]\s]+):([0-9]{1,5})", value)
    if found and int(found[1]) < 65536:
        return None
    fix = 'write host:port, such as "0.0.0.0:6789" for everybody or "127.0.0.1:6789" for this computer only'
    return f"{short(value)} is not a host and a port", fix


LISTEN = Rule("host:port, 0 takes any free port", _place)
