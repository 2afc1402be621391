"""Reads a configuration whole and tells all mistakes at once: where, what is wrong, and what to do about it."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from ...links.ble.link import spelled
from .bluetooth import ProxySettings
from .lines import Places, Where
from .rules import Row, rows, short
from .settings import Config

Data = dict[str, Any]


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong in the file."""

    line: int
    key: str
    problem: str
    fix: str


class ConfigError(Exception):
    """A configuration that cannot be used, with all its mistakes."""

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.path = path
        self.mistakes = tuple(sorted(mistakes))
        super().__init__(path, self.mistakes)

    def __str__(self) -> str:
        lines = []
        for mistake in self.mistakes:
            key = f"{mistake.key}: " if mistake.key else ""
            lines.append(f"{self.path}:{mistake.line}: {key}{mistake.problem}; {mistake.fix}")
        return "\n".join(lines)


def load(path: Path) -> Config:
    """Return the configuration of a file; raise ConfigError with all mistakes, OSError when it cannot be read."""
    return parse(read(path), path)


def read(path: Path) -> str:
    """Return the text of a file; raise ConfigError when it is no text, OSError when it cannot be read."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [Mistake(line, "", "this is not UTF-8 text", "save the file as UTF-8")]) from None


def parse(text: str, path: Path) -> Config:
    """Return the configuration that a text means; raise ConfigError with all mistakes.

    path: of the file; what it names without a leading slash lies beside it
    """
    data = toml(text, path)
    return checked(data, Places(text), path)


def checked(data: Data, places: Places, path: Path) -> Config:
    """Return the configuration that data means; raise ConfigError with all mistakes."""
    check = _Check(places, path.parent)
    values = check.section(Config, data, ())
    check.packs_together(data)
    check.banks_together(data)
    check.outputs_together(data)
    check.proxies_together(data)
    if check.mistakes:
        raise ConfigError(path, check.mistakes)
    return Config(**values, path=path)


# Syntax

SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
# What people meant, by what tomllib says, and by what stands there.
SYNTAX_FIXES = (
    (r"Cannot declare .* twice", "keep one of the two and put its keys together; only [[pack]] and [[bank]] repeat"),
    (r"Cannot overwrite a value|Duplicate inline", "this key is there already: keep one of the two"),
    (r"Expected '='", 'write key = value, such as name = "shed", and # before a remark'),
    (r"Invalid value", 'put text in quotes, such as name = "shed"; yes and no are true and false'),
    (r"Unclosed array", 'write lists as packs = ["shed", "garage"]'),
    (r"Expected '\]", "write [web] for a section, [[pack]] for a pack and [[bank]] for a bank"),
    (r"Unescaped|escape", "write each backslash twice, or put the text in single quotes"),
    (r"Illegal character|[Uu]nterminated|Unclosed|Expected \"'\"", "close the quotes on the same line"),
    (r"Expected newline", "one key on each line, and # before a remark"),
)


def toml(text: str, path: Path) -> Data:
    """Return what a text holds as TOML; raise ConfigError when it is none."""
    try:
        text.encode()
        return tomllib.loads(text)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        mistake = Mistake(line, "", "a character stands here that no file can hold", "type the line anew")
    except tomllib.TOMLDecodeError as error:
        mistake = _syntax(text, str(error))
    except (ValueError, RecursionError):
        mistake = Mistake(1, "", "a number is too long, or lists lie too deep in each other", "write it shorter")
    raise ConfigError(path, [mistake])


def _syntax(text: str, said: str) -> Mistake:
    found = SYNTAX.fullmatch(said)
    reason, line, column = found.groups() if found else (said, None, None)
    where = f"column {column}" if column else "the end of the file"
    fix = next((fix for pattern, fix in SYNTAX_FIXES if re.search(pattern, reason)), "correct the line")
    return Mistake(int(line) if line else text.count("\n") + 1, "", f"not TOML at {where}: {reason}", fix)


# Types

# How a value of a type is called, and how it is written.
WORDS: dict[Any, tuple[str, str]] = {
    str: ("text", 'in quotes, such as "shed"'),
    bool: ("true or false", "true or false without quotes"),
    int: ("a whole number", "a whole number without quotes"),
    float: ("a number", "a number without quotes, such as 2.5"),
    Path: ("the name of a file", 'the name of a file in quotes, such as "cellwire.db"'),
    list: ("a list", 'a list in brackets, such as ["shed", "garage"]'),
    dict: ("a section", "a section"),
}
BIGGEST = 2**63


def plain(kind: Any) -> Any:
    """Return the type that stands in `X | None`, list for tuples, dict for sections, else the type itself."""
    kinds = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is tuple:
        return list
    if is_dataclass(kind):
        return dict
    return kinds[0] if kinds else kind


def _fits(kind: Any, raw: Any) -> bool:
    if kind in (int, float) and isinstance(raw, int) and not isinstance(raw, bool):
        return -BIGGEST <= raw < BIGGEST
    return isinstance(raw, str if kind is Path else kind) and (kind is bool or not isinstance(raw, bool))


def _told(raw: Any) -> str:
    """Return how a value is called that has the wrong type."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int | float):
        return f"the number {raw}" if isinstance(raw, float) or _fits(int, raw) else "a number far too large"
    if isinstance(raw, str):
        return f"the text {short(raw)}"
    names = {list: "a list", dict: "a section", type(None): "nothing"}
    return names.get(type(raw), "a date or time")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, or ""."""
    return next(iter(difflib.get_close_matches(word.lower(), known, 1)), "")


def homes(name: str, section: type = Config, path: str = "") -> list[str]:
    """Return the headers of all sections that have this key."""
    found = []
    for row in rows(section).values():
        inner = section_of(row)
        if inner:
            inside = f"{path}.{row.in_file}".lstrip(".")
            bracketed = f"[[{inside}]]" if plain(row.type) is list else f"[{inside}]"
            found += [bracketed] if name in rows(inner) else []
            found += homes(name, inner, inside)
    return found


def section_of(row: Row) -> type | None:
    """Return the class of the section, or of each of the sections, that a field is; None when it is a mere key."""
    kinds = [row.type, *get_args(row.type)]
    return next((kind for kind in kinds if is_dataclass(kind) and isinstance(kind, type)), None)


class _Check:
    """One look through a whole configuration; `mistakes` grows."""

    def __init__(self, places: Places, folder: Path) -> None:
        self.mistakes: list[Mistake] = []
        self._places = places
        self._folder = folder

    def wrong(self, where: Where, problem: str, fix: str) -> None:
        """Note a mistake at a place."""
        key = ".".join(part for part in where if isinstance(part, str))
        self.mistakes.append(Mistake(self._places.line(where), key, problem, fix))

    def section(self, kind: type, data: Data, where: Where) -> dict[str, Any]:
        """Return the values of a section by field, without those that are wrong."""
        known = rows(kind)
        given: dict[str, Any] = {}
        for name, raw in data.items():
            if name in known:
                before = len(self.mistakes)
                value = self.value(known[name], raw, (*where, name))
                given[name] = value if len(self.mistakes) == before else None
            else:
                self._unknown(name, kind, where)
        for name, problem, fix in getattr(kind, "conflicts", lambda values: ())(given):
            self.wrong((*where, name), problem, fix)
        values = {known[name].name: value for name, value in given.items()}
        for name in known.keys() - data.keys():
            row = known[name]
            if row.default is MISSING:
                self.wrong((*where, name), f"{name} is missing", f"write {name} = {example(row)}")
            elif isinstance(row.default, Path):
                values[row.name] = self._folder / row.default
            elif plain(row.type) is dict:
                values[row.name] = self.value(row, {}, (*where, name))
        return values

    def _unknown(self, name: str, kind: type, where: Where) -> None:
        meant, elsewhere = nearest(name, rows(kind)), homes(name)
        if meant and (not where or not elsewhere):
            fix = f"write {meant}"
        elif elsewhere:
            fix = f"move it below {' or '.join(elsewhere)}, where it belongs"
        else:
            fix = f"take it out, or write one of {', '.join(rows(kind))}"
        what = "key" if where else "section or key"
        self.wrong((*where, name), f"there is no {what} {short(name)} here", fix)

    def value(self, row: Row, raw: Any, where: Where) -> Any:
        """Return the value of a key as its field wants it; note what is wrong."""
        kind, inner = plain(row.type), section_of(row)
        if inner and kind is list:
            return self._sections(inner, raw, where)
        if inner:
            return self._one(inner, raw, where)
        if not self._typed(kind, raw, where):
            return None
        if kind is list:
            return tuple(self._element(row, each, (*where, number)) for number, each in enumerate(raw))
        if kind is Path:
            return self._path(raw, where)
        self._ruled(row, raw, where)
        return float(raw) if kind is float else raw

    def _typed(self, kind: Any, raw: Any, where: Where) -> bool:
        if not _fits(kind, raw):
            words, written = WORDS[kind]
            self.wrong(where, f"this must be {words}, not {_told(raw)}", f"write {written}")
            return False
        if isinstance(raw, str) and any(ord(sign) < 32 or ord(sign) == 127 for sign in raw):
            self.wrong(where, f"{short(raw)} has a control character in it", "type it anew, on one line")
            return False
        return True

    def _ruled(self, row: Row, raw: Any, where: Where) -> None:
        found = row.key.rule.check(raw) if row.key.rule else None
        if found:
            self.wrong(where, *found)

    def _element(self, row: Row, raw: Any, where: Where) -> Any:
        if self._typed(str, raw, where):
            self._ruled(row, raw, where)
        return raw

    def _path(self, raw: str, where: Where) -> Path:
        path = self._folder / raw
        if not raw.strip() or os.path.isdir(path):
            self.wrong(where, f"{short(raw)} is no file", "write " + WORDS[Path][1])
        elif not os.path.isdir(path.parent):
            self.wrong(where, f"there is no folder {path.parent}", "make the folder, or correct its name")
        return path

    def _sections(self, kind: type, raw: Any, where: Where) -> Any:
        header = ".".join(part for part in where if isinstance(part, str))
        fix = f"write [[{header}]] with two brackets, once for each"
        if isinstance(raw, dict):
            self.wrong(where, f"[{header}] has one bracket on each side", fix)
            self.section(kind, raw, where)
            return None
        if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
            self.wrong(where, f"this must be sections, not {_told(raw)}", fix)
            return None
        before = len(self.mistakes)
        values = [self.section(kind, each, (*where, number)) for number, each in enumerate(raw)]
        return tuple(kind(**each) for each in values) if len(self.mistakes) == before else None

    def _one(self, kind: type, raw: Any, where: Where) -> Any:
        header = ".".join(part for part in where if isinstance(part, str))
        if isinstance(raw, list) and raw and isinstance(raw[0], dict):
            self.wrong(where, f"[[{header}]] has two brackets on each side", f"write [{header}], and only once")
            self.section(kind, raw[0], (*where, 0))
            return None
        if not isinstance(raw, dict):
            self.wrong(where, f"this must be a section, not {_told(raw)}", f"write [{header}] and its keys below it")
            return None
        before = len(self.mistakes)
        values = self.section(kind, raw, where)
        return kind(**values) if len(self.mistakes) == before else None

    # What packs and banks must be together

    def packs_together(self, data: Data) -> None:
        """Note packs of the same name or identity, and packs that one link cannot tell from each other."""
        packs = _tables(data, "pack")
        self._once(packs, "pack", "name", "give each pack a name of its own")
        self._once(packs, "pack", "id", "two packs are never the same: leave the id out where it is wrong")
        lines: dict[str, list[tuple[int, Data]]] = {}
        for number, pack in packs:
            if isinstance(pack.get("link"), str):
                lines.setdefault(port(pack["link"]), []).append((number, pack))
        for shared in lines.values():
            self._shared(shared)

    def _shared(self, packs: list[tuple[int, Data]]) -> None:
        (first, one), by_address = packs[0], dict[Any, int]()
        for number, pack in packs:
            where: Where = ("pack", number)
            line = self._places.line(("pack", first, "link"))
            if pack["link"] != one["link"]:
                fix = f"write it the same way: {one['link']}"
                self.wrong((*where, "link"), f"this is the link of line {line}, otherwise written", fix)
            address = pack.get("address")
            if isinstance(address, int) and address in by_address:
                line = self._places.line(("pack", by_address[address], "address"))
                problem = f"the pack of line {line} has address {address} on this link, too"
                self.wrong((*where, "address"), problem, "give each pack a board number of its own, and write it here")
            elif isinstance(address, int):
                by_address[address] = number
        if len(packs) > 1 and not all("address" in pack for _, pack in packs):
            line = self._places.line(("pack", first, "link"))
            problem = f"this is the link of line {line}, too, and not every pack on it has an address"
            fix = "write address = the board number in each of them, or correct the link"
            self.wrong(("pack", packs[1][0], "link"), problem, fix)

    def _once(self, tables: list[tuple[int, Data]], section: str, key: str, fix: str) -> None:
        seen: dict[str, int] = {}
        for number, table in tables:
            value = table.get(key)
            if not isinstance(value, str) or not value:
                continue
            if value in seen:
                line = self._places.line((section, seen[value], key))
                self.wrong((section, number, key), f"{short(value)} is in line {line} already", fix)
            seen.setdefault(value, number)

    def banks_together(self, data: Data) -> None:
        """Note banks without packs, with unknown packs, or with packs that are in another bank."""
        banks, packs = _tables(data, "bank"), _tables(data, "pack")
        names = [*dict.fromkeys(pack["name"] for _, pack in packs if isinstance(pack.get("name"), str))]
        self._once(banks, "bank", "name", "give each bank a name of its own")
        homes: dict[str, int] = {}
        for number, bank in banks:
            if bank.get("name") in names:
                fix = "give the bank a name of its own"
                self.wrong(("bank", number, "name"), f"{short(bank['name'])} is the name of a pack", fix)
            members = bank.get("packs")
            if members == []:
                self.wrong(("bank", number, "packs"), "the bank has no packs", "name its packs, or take the bank out")
            for place, name in enumerate(members if isinstance(members, list) else ()):
                if isinstance(name, str):
                    self._member(("bank", number, "packs", place), name, names, homes, number)

    def _member(self, where: Where, name: str, names: list[str], homes: dict[str, int], bank: int) -> None:
        if name not in names:
            meant = nearest(name, names)
            known = f"write one of {', '.join(names)}" if names else "write a [[pack]] with this name"
            self.wrong(where, f"there is no pack {short(name)}", f"write {meant}" if meant else known)
        elif name in homes:
            again = "is named twice" if homes[name] == bank else "is in another bank already"
            self.wrong(where, f"{short(name)} {again}", "name each pack once, in one bank")
        homes.setdefault(name, bank)

    def outputs_together(self, data: Data) -> None:
        """Note units of the Modbus server that are nothing known, and databases of the same name."""
        self._once(_tables(data, "influx"), "influx", "name", "give each database a name of its own")
        there = [table["name"] for kind in ("pack", "bank") for _, table in _tables(data, kind) if "name" in table]
        names = [name for name in there if isinstance(name, str)]
        modbus = data.get("modbus")
        units = modbus.get("units") if isinstance(modbus, dict) else None
        seen: set[str] = set()
        for place, name in enumerate(units if isinstance(units, list) else ()):
            where: Where = ("modbus", "units", place)
            if isinstance(name, str) and name not in names:
                meant = nearest(name, names)
                fix = f"write {meant}" if meant else f"write one of {', '.join(names) or 'your packs'}"
                self.wrong(where, f"there is no pack or bank {short(name)}", fix)
            elif isinstance(name, str) and name in seen:
                self.wrong(where, f"{short(name)} is named twice", "name each once: its place is its unit")
            if isinstance(name, str):
                seen.add(name)

    def proxies_together(self, data: Data) -> None:
        """Note proxies of the same name, and such as are one device."""
        proxies = _tables(data, "proxy")
        self._once(proxies, "proxy", "name", "give each proxy a name of its own")
        seen: dict[tuple[str, Any], int] = {}
        for number, proxy in proxies:
            host = proxy.get("host")
            if isinstance(host, str):
                first = seen.setdefault((host.lower(), proxy.get("port", ProxySettings.port)), number)
                if first != number:
                    line = self._places.line(("proxy", first, "host"))
                    fix = "take one of the two out: a proxy serves one connection"
                    self.wrong(("proxy", number, "host"), f"this is the proxy of line {line}, too", fix)


def example(row: Row) -> str:
    """Return a value that a key could have, as it is written in the file: its default, or an example."""
    return written(row.default if row.key.example is None else row.key.example)


def written(value: Any) -> str:
    """Return a value as it is written in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def port(link: str) -> str:
    """Return what an address of a link leads to, however it is written; a Bluetooth device is one for all readers."""
    kind, _, rest = link.partition("?")[0].partition(":")
    device = spelled(rest) if kind in ("ble", "aiobmsble") else None
    return f"ble:{device}" if device else link.removeprefix("serial:").partition("?")[0]


def _tables(data: Data, name: str) -> list[tuple[int, Data]]:
    found = data.get(name)
    tables = found if isinstance(found, list) else [found]
    return [(number, table) for number, table in enumerate(tables) if isinstance(table, dict)]
