"""Changes the text of a configuration: what is not changed keeps its comments, its order and its looks to the byte."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .check import ConfigError, Data, Mistake, checked, example, plain, section_of, toml
from .lines import Places, Statement, Where
from .rules import rows, secrets, short
from .settings import Config

BESIDE = Path("cellwire.toml")
SECRETS = secrets(Config)
# However it is written: with one or three quotes, in a line of its own or within braces, the key in quotes or dotted.
SECRET = re.compile(
    rf"""((?<![\w-])["']?(?:{"|".join(sorted(SECRETS))})["']?[ \t]*=[ \t]*)"""
    r"""(\"{3}.*?\"{3,}|'{3}.*?'{3,}|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|[^\s#,}]+)""",
    re.DOTALL,
)


def with_pack(text: str, settings: Mapping[str, Any], name: str = "", path: Path = BESIDE) -> str:
    """Return the text with a pack added or changed; None takes a key away, keys that are not named stay.

    name: what the pack was called till now, when it gets another name; its bank follows
    """
    return _with_table(text, "pack", settings, name, path)


def without_pack(text: str, name: str, path: Path = BESIDE) -> str:
    """Return the text without the pack; its bank loses it too, and goes when nothing is left of it."""
    return _without_table(text, "pack", name, path)


def with_bank(text: str, settings: Mapping[str, Any], name: str = "", path: Path = BESIDE) -> str:
    """Return the text with a bank added or changed; None takes a key away, keys that are not named stay."""
    return _with_table(text, "bank", settings, name, path)


def without_bank(text: str, name: str, path: Path = BESIDE) -> str:
    """Return the text without the bank; its packs stay."""
    return _without_table(text, "bank", name, path)


def with_section(text: str, section: str, settings: Mapping[str, Any], path: Path = BESIDE) -> str:
    """Return the text with keys of a section set; None takes a key away, keys that are not named stay."""
    return _Edit(text, path).set((section,), settings).result()


def document(config: Config) -> Data:
    """Return the settings as they would stand in the file, with all defaults but without secrets, for the page."""

    def told(value: Any) -> Any:
        if isinstance(value, Path):
            folder = config.path.parent
            return str(value.relative_to(folder) if value.is_relative_to(folder) else value)
        if isinstance(value, dict):
            return {name: told(each) for name, each in value.items() if name not in SECRETS}
        return [told(each) for each in value] if isinstance(value, list | tuple) else value

    return {name: told(value) for name, value in asdict(config).items()}


def without_secrets(text: str) -> str:
    """Return the text of a configuration with dots in place of its passwords and tokens."""
    return SECRET.sub(r'\1"..."', text)


def write(path: Path, text: str) -> None:
    """Put the text into the file at once or not at all; the one before stays as cellwire.toml~. Raises OSError."""
    path = path.resolve()
    before = path.stat() if path.exists() else None
    file, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(file, "w", encoding="utf-8") as target:
            target.write(text)
            os.fchmod(file, before.st_mode & 0o7777 if before else 0o644)
            if before:
                with contextlib.suppress(PermissionError):
                    os.fchown(file, before.st_uid, before.st_gid)
            target.flush()
            os.fsync(file)
        if before:
            shutil.copy2(path, f"{path}~")
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def first(packs: Sequence[Data]) -> str:
    """Return the text of a first configuration with these packs: what there is to set, with remarks."""
    head = (
        "# The configuration of Cellwire. What is left out has the value in its remark; an (example) has none.\n"
        "# After a change by hand: systemctl reload cellwire. The page can change it, too, and keeps the remarks.\n"
    )
    known = rows(Config)
    parts = [head, *(_block("pack", pack) for pack in packs)]
    samples = {name: _remarks(name, row.type, row.key.meaning) for name, row in known.items()}
    return "\n".join([*parts, *samples.values()])


def _remarks(header: str, kind: Any, meaning: str) -> str:
    """Return a section with all its keys as remarks; its header is one too, where it may stand several times."""
    section = next(part for part in (kind, *getattr(kind, "__args__", ())) if hasattr(part, "__dataclass_fields__"))
    several = plain(kind) is list
    brackets = f"[[{header}]]" if several else f"[{header}]"
    lines, inner = [f"# {brackets:<38} # {meaning}" if several or "." in header else f"{brackets}"], []
    for name, row in rows(section).items():
        if section_of(row):
            inner.append(_remarks(f"{header}.{name}", row.type, row.key.meaning))
        else:
            note = "" if row.key.example is None else " (example)"
            lines.append(f"# {name + ' = ' + example(row):<38} # {row.key.meaning}{note}")
    return "\n".join(lines) + "\n" + "".join(inner)


def _with_table(text: str, kind: str, settings: Mapping[str, Any], name: str, path: Path) -> str:
    edit = _Edit(text, path)
    old, new = name or settings.get("name"), settings.get("name", name)
    place = edit.find(kind, old)
    if place is not None:
        edit.set((kind, place), settings)
        if kind == "pack" and isinstance(new, str):
            edit.members(str(old), new)
    elif name and name != new:
        edit.refuse((kind,), f"there is no {kind} {short(name)}", "load the page again: it was removed or renamed")
    else:
        edit.add(kind, settings)
    return edit.result()


def _without_table(text: str, kind: str, name: str, path: Path) -> str:
    edit = _Edit(text, path)
    place = edit.find(kind, name)
    if place is None:
        edit.refuse((kind,), f"there is no {kind} {short(name)}", "load the page again: it was removed or renamed")
    else:
        edit.remove(kind, place)
        if kind == "pack":
            edit.members(name, None)
    return edit.result()


class _Edit:
    """Changes to one text: first made to what it means and checked, then to the text, which must come to the same."""

    def __init__(self, text: str, path: Path) -> None:
        self._text, self._path = text, path
        self._data = toml(text, path)
        self._steps: list[Callable[[str], str]] = []

    def find(self, kind: str, name: Any) -> int | None:
        """Return the place of the pack or bank of that name."""
        tables = self._tables(kind)
        return next((place for place, table in enumerate(tables) if table.get("name") == name), None)

    def _tables(self, kind: str) -> list[Data]:
        tables = self._data.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            checked(self._data, Places(self._text), self._path)
        return [*tables]

    def set(self, where: Where, settings: Mapping[str, Any]) -> "_Edit":
        """Set keys of a section, or of one of several."""
        kind = str(where[0])
        section = section_of(rows(Config)[kind]) if kind in rows(Config) else None
        if len(where) > 1:
            tables = self._tables(kind)
            place = int(where[1])
            tables[place] = _merged(tables[place], settings, section)
            new, self._data = tables[place], {**self._data, kind: tables}
        else:
            old = self._data.get(kind, {})
            new = _merged(old if isinstance(old, dict) else {}, settings, section)
            self._data = {**self._data, kind: new} if new or kind in self._data else self._data
        self._steps.append(lambda text: self._rewritten(text, where, new))
        return self

    def add(self, kind: str, settings: Mapping[str, Any]) -> None:
        """Add a pack or a bank after the others."""
        section = section_of(rows(Config)[kind])
        new = _merged({}, settings, section)
        self._data = {**self._data, kind: [*self._tables(kind), new]}
        self._steps.append(lambda text: _added(text, kind, _block(kind, new)))

    def remove(self, kind: str, place: int) -> None:
        """Remove a pack or a bank."""
        tables = self._tables(kind)
        del tables[place]
        self._data = {**self._data, kind: tables}
        if not tables:
            del self._data[kind]
        self._steps.append(lambda text: self._removed(text, (kind, place)))

    def members(self, old: str, new: str | None) -> None:
        """Let the banks follow a pack that is called otherwise now, or that is gone."""
        for place, bank in reversed([*enumerate(self._tables("bank"))]):
            packs = bank.get("packs")
            if old == new or not isinstance(packs, list) or old not in packs:
                continue
            left = [new if name == old else name for name in packs if name != old or new is not None]
            if left:
                self.set(("bank", place), {"packs": left})
            else:
                self.remove("bank", place)

    def refuse(self, where: Where, problem: str, fix: str) -> None:
        """Raise ConfigError: this cannot be done."""
        key = ".".join(part for part in where if isinstance(part, str))
        raise ConfigError(self._path, [Mistake(Places(self._text).line(where), key, problem, fix)])

    def result(self) -> str:
        """Return the changed text, checked; raise ConfigError with all mistakes."""
        checked(self._data, Places(self._text), self._path)
        text = self._text
        for step in self._steps:
            text = step(text)
        if toml(text, self._path) != self._data:
            self._by_hand(())
        return text

    def _by_hand(self, where: Where) -> None:
        fix = "write each section with its header, [[pack]] or [web], and its keys below it, or change it by hand"
        self.refuse(where, "this is written in a way that cannot be changed from here", fix)

    def _rewritten(self, text: str, where: Where, new: Data) -> str:
        import tomlkit

        header = str(where[0])
        old = toml(text, self._path).get(header)
        if old is None:
            return _added(text, header, _block(header, new)) if new else text
        old = old[where[1]] if len(where) > 1 else old
        if old == new:
            return text
        first, last = self._lines(text, where)
        lines = text.split("\n")
        part = tomlkit.parse("\n".join(lines[first - 1 : last]) + "\n")
        table: Any = part[header]
        _set(table[0] if len(where) > 1 else table, old, new)
        return "\n".join([*lines[: first - 1], *tomlkit.dumps(part).rstrip("\n").split("\n"), *lines[last:]])

    def _removed(self, text: str, where: Where) -> str:
        first, last = self._lines(text, where)
        lines = text.split("\n")
        # Remarks right above the header, with an empty line before them, are about what goes.
        above = first - 1
        while above and lines[above - 1].startswith("#"):
            above -= 1
        first = above + 1 if above and not lines[above - 1].strip() else first
        while last < len(lines) and not lines[last].strip() and (first == 1 or not lines[first - 2].strip()):
            last += 1
        return "\n".join(lines[: first - 1] + lines[last:])

    def _lines(self, text: str, where: Where) -> tuple[int, int]:
        """Return the first and the last line of a section with all that is in it."""
        statements = Places(text).statements
        inside = [number for number, each in enumerate(statements) if each.where[: len(where)] == where]
        mine: list[Statement] = [statements[number] for number in inside]
        if not mine or not mine[0].header or inside[-1] - inside[0] + 1 != len(inside):
            self._by_hand(where)
        return mine[0].first, mine[-1].last


def _merged(old: Data, settings: Mapping[str, Any], section: type | None) -> Data:
    """Return a section with the settings put in; a default that was not written down is not written down now."""
    new = dict(old)
    known = rows(section) if section else {}
    for name, value in settings.items():
        row = known.get(name)
        inner = section_of(row) if row else None
        if isinstance(value, Mapping) and inner:
            before = old.get(name)
            value = _merged(before if isinstance(before, dict) else {}, value, inner) or None
        if value is None:
            new.pop(name, None)
        elif name in old or row is None or not _is_default(value, row.default):
            new[name] = value
    return new


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(default, Path):
        return bool(value == str(default))
    return bool(value == (list(default) if isinstance(default, tuple) else default))


def _set(table: Any, old: Data, new: Data) -> None:
    """Bring a table of tomlkit from one meaning to another, touching only what differs."""
    for name in old.keys() - new.keys():
        del table[name]
    for name, value in new.items():
        if name in old and isinstance(value, dict) and isinstance(old[name], dict):
            _set(table[name], old[name], value)
        elif name not in old or old[name] != value:
            table[name] = value


def _block(header: str, settings: Data) -> str:
    """Return the text of a new section, its keys in the order of the documentation."""
    import tomlkit

    row = rows(Config)[header]
    order = [*rows(section_of(row) or Config)]
    ordered = {name: settings[name] for name in sorted(settings, key=order.index)}
    return tomlkit.dumps({header: [ordered] if plain(row.type) is list else ordered})


def _added(text: str, header: str, block: str) -> str:
    """Return the text with a new section, after those of the same kind, else at the end."""
    alike = [each.last for each in Places(text).statements if each.where[0] == header]
    if not alike:
        return f"{text.rstrip()}\n\n{block}" if text.strip() else block
    lines = text.split("\n")
    before, after = "\n".join(lines[: alike[-1]]), "\n".join(lines[alike[-1] :])
    return f"{before}\n\n{block}{after}" if after.strip() else f"{before}\n\n{block}"
