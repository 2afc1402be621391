"""Reads line protocol as its definition says, one character after the other: a second opinion on what is written."""

from typing import NamedTuple


class Point(NamedTuple):
    """One line: numbers are floats, flags bools."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | bool]
    time: int


def points(text: str) -> list[Point]:
    """Return the lines of a request. Raises ValueError."""
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    return [_point(line) for line in text.split("\n")[:-1]]


def _point(line: str) -> Point:
    key, rest = _until(line, " ")
    fields, time = _until(rest, " ")
    measurement, *tags = _split(key)
    return Point(
        _plain(measurement),
        {_plain(name): _plain(value) for name, value in map(_pair, tags)},
        {_plain(name): _value(value) for name, value in map(_pair, _split(fields))},
        int(time),
    )


def _until(text: str, end: str) -> tuple[str, str]:
    at = 0
    while text[at] != end:
        at += 2 if text[at] == "\\" else 1
        if at >= len(text):
            raise ValueError(f"there is no {end!r} in {text!r}")
    return text[:at], text[at + 1 :]


def _split(text: str) -> list[str]:
    found, at, begin = [], 0, 0
    while at < len(text):
        if text[at] == ",":
            found.append(text[begin:at])
            begin = at + 1
        at += 2 if text[at] == "\\" else 1
    return [*found, text[begin:]]


def _pair(text: str) -> tuple[str, str]:
    name, value = _until(text, "=")
    if not name or not value:
        raise ValueError(f"{text!r} has no name or no value")
    return name, value


def _plain(text: str) -> str:
    for sign in ", =":
        text = text.replace("\\" + sign, sign)
    return text


def _value(text: str) -> float | bool:
    if text in ("true", "false"):
        return text == "true"
    return float(text)
