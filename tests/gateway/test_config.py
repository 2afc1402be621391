"""The configuration: what it means, every mistake with its line and its fix, and changes that keep the rest."""

import contextlib
import os
import re
import tomllib
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import configuration
import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from cellwire.gateway.config import (
    BankSettings,
    Config,
    ConfigError,
    HistorySettings,
    LimitSettings,
    PackSettings,
    document,
    first,
    load,
    parse,
    port,
    read,
    with_bank,
    with_pack,
    with_section,
    without_bank,
    without_pack,
    without_secrets,
    write,
)
from cellwire.gateway.config.check import Mistake
from cellwire.gateway.config.lines import Places, Where
from cellwire.gateway.config.rules import rows, spans
from cellwire.readings.catalogue import CATALOGUE, QUANTITY

PATH = Path("cellwire.toml")
PACK = '[[pack]]\nname = "shed"\nlink = "/dev/ttyUSB0"\n'
VAN = '[[pack]]\nname = "van"\nlink = "/dev/ttyUSB1"\n'


def mistakes(text: str, path: Path = PATH) -> list[Mistake]:
    with pytest.raises(ConfigError) as caught:
        parse(text, path)
    return [*caught.value.mistakes]


def the(text: str, path: Path = PATH) -> Mistake:
    """Return the only mistake."""
    found = mistakes(text, path)
    assert len(found) == 1, found
    return found[0]


# What it means


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).touch()
    text = """
[[pack]]
name = "garden shed"
link = "serial:/dev/ttyUSB0?baud=115200"
family = "jk-pb"
address = 2
every = 5
grant = "operate"
invert_current = true
password = "000000"
pairing = "passkey"
pin = "123456"
id = "jk-123"
capacity = 280
[pack.limits]
chemistry = "lfp"
charge_current = 100
discharge_current = 150.5
charge_voltage = 3.5
[[pack]]
name = "van"
link = "/dev/ttyUSB1"
[[bank]]
name = "house"
packs = ["garden shed", "van"]
join_difference = 1
id = "bank-old house"
[web]
listen = "[::1]:80"
hosts = ["battery.example.org"]
prefix = "/cellwire"
guests = true
access = "people.json"
certificate = "a.pem"
key = "b.pem"
proxy = true
[control]
journal = "writes.jsonl"
[history]
path = "/tmp/history.db"
every = 10
commit = 60
keep_raw = 30
keep_minutes = 60
size = 100
enabled = false
"""
    config = parse(text, tmp_path / "c.toml")
    limits = LimitSettings("lfp", 100.0, 150.5, 3.5)
    shed = PackSettings(
        "garden shed",
        "serial:/dev/ttyUSB0?baud=115200",
        "jk-pb",
        2,
        5.0,
        "operate",
        True,
        "000000",
        "passkey",
        "123456",
        "jk-123",
        280.0,
        limits,
    )
    assert config.packs == (shed, PackSettings("van", "/dev/ttyUSB1"))
    assert config.banks == (BankSettings("house", ("garden shed", "van"), 1.0, "bank-old house"),)
    assert config.web.listen == "[::1]:80"
    assert config.web.hosts == ("battery.example.org",)
    assert (config.web.prefix, config.web.guests, config.web.proxy) == ("/cellwire", True, True)
    assert config.web.access == tmp_path / "people.json"
    assert (config.web.certificate, config.web.key) == (tmp_path / "a.pem", tmp_path / "b.pem")
    assert config.control.journal == tmp_path / "writes.jsonl"
    assert config.history == HistorySettings(Path("/tmp/history.db"), 10.0, 60.0, 30.0, 60.0, 100.0, False)
    assert config.path == tmp_path / "c.toml"
    assert isinstance(config.packs[0].every, float)


def test_nothing_is_a_configuration(tmp_path: Path) -> None:
    config = parse("", tmp_path / "cellwire.toml")
    assert not config.packs
    assert not config.banks
    assert config.web.access == tmp_path / "access.json"
    assert config.web.listen == "0.0.0.0:6789"
    assert config.history.path == tmp_path / "cellwire.db"
    assert parse("[web]\n[history]\n", tmp_path / "cellwire.toml") == config


def test_settings_are_frozen_and_can_be_compared() -> None:
    pack = PackSettings("a", "/dev/ttyUSB0")
    with pytest.raises(FrozenInstanceError):
        pack.name = "b"  # type: ignore[misc]
    assert len({pack, PackSettings("a", "/dev/ttyUSB0")}) == 1
    assert len({parse(PACK, PATH), parse(PACK + "# a remark\n", PATH)}) == 1


# Mistakes

SIX = """\
# Six mistakes, each of another kind.
[[pack]]
name = "shed"
link = "ttyUSB0"
evry = 5

[[pack]]
name = "shed"
link = "tcp:192.168.1.20:8899"
every = "2"

[[bank]]
name = "house"
packs = ["shed", "garage"]

[history]
keep_raw = -1
"""
SIX_TOLD = """\
cellwire.toml:4: pack.link: 'ttyUSB0' is not the address of a link; write /dev/ttyUSB0, serial:/dev/serial/by-id/...\
?baud=9600, COM3, ble:C8:47:8C:00:00:01, aiobmsble:C8:47:8C:00:00:02, tcp:host:port, rfc2217://host:port or \
replay:file.jsonl
cellwire.toml:5: pack.evry: there is no key 'evry' here; write every
cellwire.toml:8: pack.name: 'shed' is in line 3 already; give each pack a name of its own
cellwire.toml:10: pack.every: this must be a number, not the text '2'; write a number without quotes, such as 2.5
cellwire.toml:14: bank.packs: there is no pack 'garage'; write one of shed
cellwire.toml:17: history.keep_raw: -1 is not between 1 and 36500; write a number of days from 1 to 36500"""


def test_six_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SIX, PATH)
    assert str(caught.value) == SIX_TOLD


# Text, line, key, problem, and a part of the fix.
ONE: list[tuple[str, int, str, str, str]] = [
    # unknown keys and sections
    (PACK + "[hystory]\n", 4, "hystory", "there is no section or key 'hystory'", "write history"),
    ("every = 2\n" + PACK, 1, "every", "no section or key 'every'", "move it below [[pack]] or [history]"),
    (PACK + 'listen = ":80"\n', 4, "pack.listen", "no key 'listen'", "move it below [web]"),
    (PACK + "chemistry = 'lfp'\n", 4, "pack.chemistry", "no key", "move it below [pack.limits]"),
    (PACK + '"grand" = "read"\n', 4, "pack.grand", "no key 'grand'", "write grant"),
    (PACK + "[pack.limits]\nchemistry='lfp'\nxyz = 1\n", 6, "pack.limits.xyz", "no key", "write one of chemistry,"),
    (PACK + '"" = 1\n', 4, "pack.", "no key ''", "take it out"),
    # missing keys
    ('[[pack]]\nlink = "/dev/ttyUSB0"\n', 1, "pack.name", "name is missing", 'write name = "shed"'),
    ('\n[[pack]]\nname = "a"\n', 2, "pack.link", "link is missing", 'write link = "/dev/ttyUSB0"'),
    (PACK + '[[bank]]\nname = "x"\n', 4, "bank.packs", "packs is missing", 'packs = ["shed", "garage"]'),
    # types
    (PACK + "family = 3\n", 4, "pack.family", "must be text, not the number 3", "in quotes"),
    (PACK + "address = 1.5\n", 4, "pack.address", "a whole number, not the number 1.5", "whole number"),
    (PACK + "address = true\n", 4, "pack.address", "a whole number, not true", "whole number"),
    (PACK + "every = true\n", 4, "pack.every", "must be a number, not true", "without quotes"),
    (PACK + "every = 07:32:00\n", 4, "pack.every", "not a date or time", "without quotes"),
    (PACK + 'invert_current = "yes"\n', 4, "pack.invert_current", "true or false, not the text 'yes'", "true or false"),
    (PACK + "invert_current = 1\n", 4, "pack.invert_current", "true or false, not the number 1", "without quotes"),
    (PACK + "limits = 3\n", 4, "pack.limits", "must be a section, not the number 3", "[pack.limits]"),
    (PACK + f"every = {'9' * 400}\n", 4, "pack.every", "a number far too large", "write a number"),
    (PACK + f"every = 0x{'f' * 5000}\n", 4, "pack.every", "a number far too large", "write a number"),
    (PACK + '[[bank]]\nname = "x"\npacks = "shed"\n', 6, "bank.packs", "must be a list, not the text", "in brackets"),
    (
        PACK + '[[bank]]\nname = "x"\npacks = [\n"shed",\n3]\n',
        8,
        "bank.packs",
        "must be text, not the number",
        "quotes",
    ),
    ("[web]\nhosts = [[]]\n", 2, "web.hosts", "must be text, not a list", "in quotes"),
    ("[web]\naccess = true\n", 2, "web.access", "the name of a file, not true", "in quotes"),
    ("[pack]\nname = 'a'\nlink = 'COM3'\n", 1, "pack", "[pack] has one bracket", "write [[pack]] with two"),
    ("[[web]]\n", 1, "web", "[[web]] has two brackets", "write [web], and only once"),
    ("pack = 3\n", 1, "pack", "must be sections, not the number 3", "[[pack]]"),
    ("web = 'x'\n", 1, "web", "must be a section, not the text 'x'", "[web]"),
    # values
    ('[[pack]]\nname = ""\nlink = "COM3"\n', 2, "pack.name", "the name is empty", "1 to 64 letters"),
    ('[[pack]]\nname = "a/b"\nlink = "COM3"\n', 2, "pack.name", "has '/' in it", "1 to 64 letters"),
    ('[[pack]]\nname = "a#+"\nlink = "COM3"\n', 2, "pack.name", "has '#' '+' in it", "1 to 64 letters"),
    ('[[pack]]\nname = " a"\nlink = "COM3"\n', 2, "pack.name", "begins or ends with a space", "1 to 64 letters"),
    ('[[pack]]\nname = ".."\nlink = "COM3"\n', 2, "pack.name", "neither letter nor digit", "1 to 64 letters"),
    (f'[[pack]]\nname = "{"a" * 65}"\nlink = "COM3"\n', 2, "pack.name", "has 65 characters", "1 to 64 letters"),
    ('[[pack]]\nname = "a\\nb"\nlink = "COM3"\n', 2, "pack.name", "control character", "on one line"),
    ('[[pack]]\nname = "a"\nlink = "/dev/\\u0000"\n', 3, "pack.link", "control character", "on one line"),
    ('[[pack]]\nname = "a"\nlink = "ble:AA"\n', 3, "pack.link", "is no Bluetooth address", "write six pairs"),
    ('[[pack]]\nname = "a"\nlink = "tcp:host"\n', 3, "pack.link", "needs a host and a port", "write /dev/"),
    ('[[pack]]\nname = "a"\nlink = "serial:/dev/x?bauds=1"\n', 3, "pack.link", "no option bauds", "write /dev/"),
    (PACK + 'family = "duracell"\n', 4, "pack.family", "no family 'duracell'", "write one of jk, jbd, daly, jk-uart"),
    (
        PACK + 'family = "daly-p81"\naddress = 17\n',
        5,
        "pack.address",
        "no address of a daly-p81",
        "write one of 1 to 16",
    ),
    (PACK + "address = 200\n", 4, "pack.address", "no address of any pack", "or leave it out"),
    (PACK + "address = 256\n", 4, "pack.address", "256 is not between 0 and 255", "a board number"),
    (PACK + "every = 0.1\n", 4, "pack.every", "0.1 is not between 0.2 and 3600", "from 0.2 to 3600"),
    (PACK + "every = 3601\n", 4, "pack.every", "3601 is not between", "from 0.2 to 3600"),
    (PACK + "every = nan\n", 4, "pack.every", "nan is not between", "from 0.2 to 3600"),
    (PACK + "every = inf\n", 4, "pack.every", "inf is not between", "from 0.2 to 3600"),
    (PACK + 'grant = "admin"\n', 4, "pack.grant", "there is no 'admin'", '"read", "operate", "configure", "service"'),
    (PACK + 'id = "a b"\n', 4, "pack.id", "'a b' is not letters", "copy the id from the page"),
    (PACK + "capacity = 0\n", 4, "pack.capacity", "0 is not between", "ampere-hours"),
    (PACK + "limits.charge_current = 5\n", 4, "pack.limits.charge_current", "without a chemistry", "lfp, nmc, lto"),
    (PACK + "[pack.limits]\nchemistry = 'lead'\n", 5, "pack.limits.chemistry", "there is no 'lead'", '"lfp"'),
    (
        PACK + "[pack.limits]\nchemistry = 'lfp'\ncharge_voltage = 4.2\n",
        6,
        "pack.limits.charge_voltage",
        "lfp cells are not charged to 4.2 V",
        "or leave it out",
    ),
    ("[web]\nlisten = '6789'\n", 2, "web.listen", "'6789' is not a host and a port", "0.0.0.0:6789"),
    ("[web]\nlisten = 'a:65536'\n", 2, "web.listen", "is not a host and a port", "0.0.0.0:6789"),
    ("[web]\nhosts = ['ok.org', 'http://x']\n", 2, "web.hosts", "'http://x' is not a host name", "the name alone"),
    ("[web]\nprefix = 'cellwire/'\n", 2, "web.prefix", "is not a path", "begin with a slash"),
    ("[web]\naccess = 'nowhere/a.json'\n", 2, "web.access", "there is no folder nowhere", "make the folder"),
    ("[web]\naccess = ''\n", 2, "web.access", "'' is no file", "in quotes"),
    ("[history]\npath = '/'\n", 2, "history.path", "'/' is no file", "in quotes"),
    ("[history]\nkeep_minutes = -5\n", 2, "history.keep_minutes", "-5 is not between", "days"),
    ("[history]\nsize = 0\n", 2, "history.size", "0 is not between 10", "megabytes"),
    # what must fit together
    (PACK + PACK.replace("USB0", "USB1"), 5, "pack.name", "'shed' is in line 2 already", "name of its own"),
    (PACK + "id = 'x'\n" + VAN + "id = 'x'\n", 8, "pack.id", "'x' is in line 4 already", "leave the id out"),
    (
        PACK + "address = 1\n" + VAN.replace("USB1", "USB0") + "address = 1\n",
        8,
        "pack.address",
        "the pack of line 4 has address 1 on this link, too",
        "a board number of its own",
    ),
    (PACK + VAN.replace("USB1", "USB0"), 6, "pack.link", "the link of line 3, too", "write address = the board number"),
    (
        PACK + "address = 1\n" + VAN.replace("/dev/ttyUSB1", "serial:/dev/ttyUSB0?baud=9600") + "address = 2\n",
        7,
        "pack.link",
        "the link of line 3, otherwise written",
        "write it the same way: /dev/ttyUSB0",
    ),
    (
        PACK.replace("/dev/ttyUSB0", "ble:C8:47:8C:00:00:01")
        + "address = 1\n"
        + VAN.replace("/dev/ttyUSB1", "aiobmsble:c8478c000001?type=redodo_bms")
        + "address = 2\n",
        7,
        "pack.link",
        "the link of line 3, otherwise written",
        "write it the same way: ble:C8:47:8C:00:00:01",
    ),
    (PACK + "[[bank]]\nname = 'x'\npacks = []\n", 6, "bank.packs", "the bank has no packs", "take the bank out"),
    (PACK + "[[bank]]\nname = 'x'\npacks = ['shet']\n", 6, "bank.packs", "no pack 'shet'", "write shed"),
    ("[[bank]]\nname = 'x'\npacks = ['shed']\n", 3, "bank.packs", "no pack 'shed'", "write a [[pack]]"),
    (PACK + "[[bank]]\nname = 'shed'\npacks = ['shed']\n", 5, "bank.name", "the name of a pack", "of its own"),
    (PACK + "[[bank]]\nname = 'x'\npacks = ['shed', 'shed']\n", 6, "bank.packs", "named twice", "once"),
    (
        PACK + "[[bank]]\nname = 'x'\npacks = ['shed']\n[[bank]]\nname = 'y'\npacks = [\n 'shed']\n",
        10,
        "bank.packs",
        "'shed' is in another bank already",
        "in one bank",
    ),
    ("[web]\nkey = '/etc/passwd'\n", 2, "web.key", "there is no certificate to it", "certificate = "),
    (
        "[web]\ncertificate = 'no.pem'\nkey = '/etc/passwd'\n",
        2,
        "web.certificate",
        "no file no.pem",
        "correct its name",
    ),
    # no TOML at all
    (PACK + "every 2\n", 4, "", "not TOML at column 7: Expected '='", "write key = value"),
    (PACK + "grant = read\n", 4, "", "not TOML at column 9: Invalid value", "put text in quotes"),
    (PACK + "every = 2\nevery = 3\n", 5, "", "not TOML", "keep one of the two"),
    ("[web]\n[history]\n[web]\n", 3, "", "not TOML", "keep one of the two"),
    (PACK + 'id = "abc\n', 4, "", "not TOML", "close the quotes"),
    (PACK + "id = 'C:\\x' 3\n", 4, "", "not TOML", "one key on each line"),
    ("[[pack]\n", 1, "", "not TOML", "[[pack]] for a pack"),
    (PACK + "packs = ['a'\n", 5, "", "not TOML at the end of the file", "write lists as"),
    ("a = " + "9" * 5000 + "\n", 1, "", "a number is too long", "shorter"),
    ("a = " + "[" * 5000 + "\n", 1, "", "too deep", "shorter"),
    ("# \ud800\n", 1, "", "a character stands here that no file can hold", "type the line anew"),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "problem", "fix"), ONE, ids=[f"{number}-{one[2]}" for number, one in enumerate(ONE)]
)
def test_a_mistake(text: str, line: int, key: str, problem: str, fix: str) -> None:
    found = the(text)
    assert (found.line, found.key) == (line, key)
    assert problem in found.problem
    assert fix in found.fix
    assert len(found.problem) < 200


@pytest.mark.parametrize(
    "good",
    [
        PACK + 'family = "jk-pb"\naddress = 1\n' + VAN.replace("USB1", "USB0") + "address = 2\n",
        PACK + 'grant = "service"\n',
        PACK.replace("shed", "Gartenhäusle 2.0_-"),
        "[web]\nlisten = 'localhost:0'\n",
        "[web]\nprefix = ''\nhosts = []\n",
        PACK + "[pack.limits]\nchemistry = ''\n",
        PACK + "every = 0.2\n",
        "\n".join([PACK, VAN, "[[bank]]\nname = 'x'\npacks = ['shed', 'van']"]),
    ],
)
def test_no_mistake(good: str) -> None:
    parse(good, PATH)


def test_what_is_wrong_in_sections_with_wrong_brackets_is_told_too() -> None:
    found = mistakes("[pack]\nname = 'a'\nlink = 'x'\n[[bank]]\nname = 'b'\npacks = ['a']\n[[web]]\nlisten = 'y'\n")
    assert [(each.line, each.key) for each in found] == [(1, "pack"), (3, "pack.link"), (7, "web"), (8, "web.listen")]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"# fine\n[web]\n# \xff\n")
    with pytest.raises(ConfigError, match=r"c\.toml:3: this is not UTF-8 text; save the file as UTF-8"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_a_file_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (PACK + "every = 0\n").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r"c\.toml:4: pack\.every"):
        load(path)
    assert read(path) == PACK + "every = 0\n"


def test_what_a_link_leads_to() -> None:
    assert port("serial:/dev/ttyUSB0?baud=9600") == port("/dev/ttyUSB0")
    assert port("tcp:h:1") != port("tcp:h:2")


def test_numbers_as_people_write_them() -> None:
    assert spans([0]) == "0"
    assert spans([1, 2, 3, 7, 128, 129]) == "1 to 3, 7, 128 to 129"


@settings(deadline=None)
@given(some.text() | some.text(alphabet="[]{}=\"'.,#\n\\ ab1truefals-:"))
def test_no_text_is_too_much(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, PATH)


# Lines

TRICKY = '''\
# [[pack]]
top = 1
[[pack]]   # [[pack]]
name = "a # b"
"odd key" = 'x = 1'
text = """
[[pack]]
name = "\\"""inside"
""""
other = \'\'\'
[web]
\'\'\'
list = [
  1, # one ]
  [ "]", "\\"" ],
  { a = 1, b.c = 2 },
]
dotted.deep."er 1" = 1979-05-27 07:32:00Z
inline = { x = 1, y = [ 2, { z = 3 } ] }
[pack.limits]
chemistry = "lfp"

[[pack]]
name = "b"
[pack.limits]
chemistry = "nmc"
[ a . "b.c" ]
d = 1
[[a.list]]
e = 1
[[a.list]]
[a.list.f]
g = 2'''
TRICKY_LINES: dict[Where, int] = {
    ("top",): 2,
    ("pack",): 3,
    ("pack", 0): 3,
    ("pack", 0, "name"): 4,
    ("pack", 0, "odd key"): 5,
    ("pack", 0, "text"): 6,
    ("pack", 0, "other"): 10,
    ("pack", 0, "list"): 13,
    ("pack", 0, "list", 0): 14,
    ("pack", 0, "list", 1, 0): 15,
    ("pack", 0, "list", 1, 1): 15,
    ("pack", 0, "list", 2, "a"): 16,
    ("pack", 0, "list", 2, "b", "c"): 16,
    ("pack", 0, "dotted"): 18,
    ("pack", 0, "dotted", "deep", "er 1"): 18,
    ("pack", 0, "inline", "y", 1, "z"): 19,
    ("pack", 0, "limits"): 20,
    ("pack", 0, "limits", "chemistry"): 21,
    ("pack", 1): 23,
    ("pack", 1, "name"): 24,
    ("pack", 1, "limits", "chemistry"): 26,
    ("a",): 27,
    ("a", "b.c", "d"): 28,
    ("a", "list", 0, "e"): 30,
    ("a", "list", 1): 31,
    ("a", "list", 1, "f", "g"): 33,
}


def paths(data: Any, where: Where = ()) -> list[Where]:
    """Return the path of everything in the data."""
    inside: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found: list[Where] = [where] if where else []
    for name, value in inside:
        found += paths(value, (*where, name))
    return found


def test_lines_of_a_tricky_text() -> None:
    places = Places(TRICKY)
    assert {where: places.line(where) for where in TRICKY_LINES} == TRICKY_LINES
    assert places.line(("pack", 1, "nothing")) == 23
    assert places.line(("nothing",)) == 1
    assert set(paths(tomllib.loads(TRICKY))) == set(places._lines)
    assert [each[1:] for each in places.statements if each.where[-1] in ("text", "other", "list")] == [
        (6, 9, False),
        (10, 12, False),
        (13, 17, False),
    ]


KEYS = some.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True) | some.text(max_size=4)
VALUES: Any = some.recursive(
    some.booleans()
    | some.integers(-9, 9)
    | some.floats(allow_nan=False)
    | some.text(max_size=8)
    | some.datetimes()
    | some.sampled_from(["a\nb", "[x]\n#", '"""', "'''", "\\", "\\\n  x"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def quoted(text: str, way: int = 0) -> str:
    """Return the text as TOML has it, in one of four ways where it can be."""
    if way == 1 and "'" not in text and text.isprintable():
        return f"'{text}'"
    if way == 2 and "'" not in text and text.replace("\n", "").isprintable():
        return f"'''\n{text}'''"
    escaped = "".join(
        f"\\U{ord(sign):08x}" if sign in '"\\' or not (sign.isprintable() or (sign == "\n" and way == 3)) else sign
        for sign in text
    )
    return f'"""\n{escaped}"""' if way == 3 else f'"{escaped}"'


def as_toml(value: Any, draw: Any) -> str:
    """Return a value in one of the many ways of writing it."""
    if isinstance(value, str):
        return quoted(value, int(draw(some.integers(0, 3))))
    if isinstance(value, list):
        gaps = some.sampled_from(["", " ", "\n", "  # ] }\n"])
        inside = "".join(f"{draw(gaps)}{as_toml(each, draw)}{draw(gaps)}," for each in value)
        return f"[{inside}{draw(gaps)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(name, 0)} = {as_toml(each, draw)}" for name, each in value.items()) + "}"
    text: str = tomlkit.item(value).as_string()
    return text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.data())
def test_lines_of_any_text(data: some.DataObject) -> None:
    """Whatever TOML is written in whatever way: each thing in it has a line, and each key has the one it stands in."""
    text, expected, counts = "", dict[Where, int](), dict[str, int]()
    for _ in range(data.draw(some.integers(0, 4))):
        text += data.draw(some.sampled_from(["", "\n", "# [pack]\n", "\r\n"]))
        name, several = data.draw(some.sampled_from([("pack", True), ("bank", True), ("ta ble", False)]))
        if not several and name in counts:
            continue
        counts[name] = counts.get(name, 0) + 1
        where: Where = (name, counts[name] - 1) if several else (name,)
        expected[where] = text.count("\n") + 1
        text += f"[[ {name} ]]" if several else f'["{name}"] # "'
        text += "\n"
        for key, value in data.draw(some.dictionaries(KEYS, VALUES, max_size=4)).items():
            text += data.draw(some.sampled_from(["", "\n", "# = '''\n", "\t"]))
            expected[(*where, key)] = text.count("\n") + 1
            text += f"{quoted(key, data.draw(some.integers(0, 1)))}={as_toml(value, data.draw)}"
            text += data.draw(some.sampled_from(["\n", " # end\n", "\r\n"]))
    places = Places(text)
    assert {each: places.line(each) for each in expected} == expected
    assert set(paths(tomllib.loads(text))) == set(places._lines)


# Changes

FILE = """\
# Our house.
[[pack]]
name = "shed"   # at the back
link = "/dev/ttyUSB0"
every = 2.0  # often

# the van
[[pack]]
link = '/dev/ttyUSB1'
name = 'van'
# address = 1
[pack.limits]
chemistry = "lfp"     # by Anna

# everything
[[bank]]
name = "house"
packs = [
  "shed", # first
  "van",
]

[web]  # the page
guests = true
# listen = "0.0.0.0:80"
"""


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that went and that came."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_adding_a_pack() -> None:
    text = with_pack(FILE, {"name": "boat", "link": "tcp:h:1", "family": "jk-pb", "address": 3, "every": 2.0})
    block = '[[pack]]\nname = "boat"\nlink = "tcp:h:1"\nfamily = "jk-pb"\naddress = 3\n'
    assert text == FILE.replace("# by Anna\n", f"# by Anna\n\n{block}")
    assert [pack.name for pack in parse(text, PATH).packs] == ["shed", "van", "boat"]


def test_adding_to_nothing() -> None:
    text = with_pack("", {"name": "boat", "link": "COM3", "limits": {"chemistry": "lto", "charge_current": 5}})
    assert text == '[[pack]]\nname = "boat"\nlink = "COM3"\n\n[pack.limits]\nchemistry = "lto"\ncharge_current = 5\n'
    text = with_bank(text, {"name": "house", "packs": ["boat"]})
    assert text.endswith('\n\n[[bank]]\nname = "house"\npacks = ["boat"]\n')
    text = with_section(text, "history", {"commit": 60})
    assert text.endswith("\n\n[history]\ncommit = 60\n")
    assert with_section(text, "web", {}) == text


def test_changing_a_pack_touches_nothing_else() -> None:
    text = with_pack(FILE, {"name": "shed", "every": 5, "grant": "operate", "invert_current": False})
    assert changed(FILE, text) == (["every = 2.0  # often"], ["every = 5  # often", 'grant = "operate"'])
    text = with_pack(FILE, {"name": "van", "limits": {"chemistry": "nmc", "charge_voltage": 4.1}, "address": None})
    assert changed(FILE, text) == (
        ['chemistry = "lfp"     # by Anna'],
        ['chemistry = "nmc"     # by Anna', "charge_voltage = 4.1"],
    )
    assert with_pack(FILE, {"name": "shed", "every": 2}) == FILE
    assert with_pack(FILE, {"name": "van", "limits": None}) == FILE.replace(
        '[pack.limits]\nchemistry = "lfp"     # by Anna\n', ""
    )
    text = with_pack(FILE, {"name": "shed", "limits": {"chemistry": "lfp"}})
    assert parse(text, PATH).packs[0].limits == LimitSettings("lfp")
    assert changed(FILE, text)[0] == []


def test_a_pack_that_gets_another_name() -> None:
    text = with_pack(FILE, {"name": "Shed 2"}, "shed")
    assert changed(FILE, text)[0][0] == 'name = "shed"   # at the back'
    assert parse(text, PATH).packs[0].name == "Shed 2"
    assert parse(text, PATH).banks[0].packs == ("Shed 2", "van")
    with pytest.raises(ConfigError, match="there is no pack 'boat'"):
        with_pack(FILE, {"name": "ship"}, "boat")
    with pytest.raises(ConfigError, match="'van' is in line"):
        with_pack(FILE, {"name": "van"}, "shed")
    assert parse(with_bank(FILE, {"name": "home"}, "house"), PATH).banks[0].name == "home"


def test_removing_a_pack() -> None:
    text = without_pack(FILE, "van")
    assert "van" not in text
    assert "by Anna" not in text
    assert "# everything" in text
    assert parse(text, PATH).banks[0].packs == ("shed",)
    text = without_pack(text, "shed")
    assert not parse(text, PATH).packs
    assert not parse(text, PATH).banks
    assert text == '# Our house.\n\n[web]  # the page\nguests = true\n# listen = "0.0.0.0:80"\n'
    with pytest.raises(ConfigError, match="there is no pack 'van'"):
        without_pack(text, "van")


def test_banks() -> None:
    assert without_bank(FILE, "house") == FILE.partition("# everything")[0] + FILE[FILE.index("[web]") :]
    text = with_bank(FILE, {"name": "house", "packs": ["shed"], "join_difference": 0.5})
    assert parse(text, PATH).banks == (BankSettings("house", ("shed",)),)
    assert "join_difference" not in text
    text = with_bank(text, {"name": "road", "packs": ["van"]})
    assert text.index('[[bank]]\nname = "road"') < text.index("[web]")
    with pytest.raises(ConfigError, match="there is no bank 'x'"):
        without_bank(text, "x")


def test_sections() -> None:
    text = with_section(FILE, "web", {"guests": False, "listen": "0.0.0.0:6789", "hosts": ["a.org"]})
    assert changed(FILE, text) == (["guests = true"], ["guests = false", 'hosts = ["a.org"]'])
    assert changed(FILE, with_section(FILE, "web", {"guests": None})) == (["guests = true"], [])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": "new"}, "pack.link"),
        ({"name": "new", "link": 3}, "pack.link"),
        ({"name": "new", "link": "COM3", "evry": 3}, "pack.evry"),
        ({"name": "new", "link": "COM3", "limits": [None]}, "pack.limits"),
        ({"name": "new", "link": "COM3", "limits": {"a": {"b": None}}}, "pack.limits.a"),
        ({"name": "new", "link": "COM3", "every": [[None, {}]]}, "pack.every"),
        ({"name": "new", "link": "\ud800"}, "pack.link"),
        ({"name": "new", "link": "/dev/\ud800"}, ""),
        ({"name": ["x"]}, "pack.link"),
        ({"name": {}, "link": "COM3"}, "pack.name"),
        ({"link": "COM3"}, "pack.name"),
        ({}, "pack.link"),
        ({"name": "new", "link": "COM3", "": 3}, "pack."),
        ({"name": "new", "link": "COM3", "every": float("nan")}, "pack.every"),
        ({"name": "new", "link": "COM3", "address": 10**4000}, "pack.address"),
    ],
)
def test_a_change_that_is_wrong(change: dict[str, Any], key: str | None) -> None:
    if key is None:
        assert with_pack(FILE, change)
        return
    with pytest.raises(ConfigError) as caught:
        with_pack(FILE, change)
    assert key in [mistake.key for mistake in caught.value.mistakes]


def test_an_unknown_section() -> None:
    with pytest.raises(ConfigError, match="no section or key 'mqqt'"):
        with_section(FILE, "mqqt", {"url": "x"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('pack = [{name = "a", link = "COM3"}]', "a"),
        ('[[pack]]\nname = "a"\nlink = "COM3"\n[web]\n[pack.limits]\nchemistry = "lfp"\n', "a"),
    ],
)
def test_what_is_written_too_oddly_is_changed_by_hand(text: str, name: str) -> None:
    parse(text, PATH)
    with pytest.raises(ConfigError, match="cannot be changed from here"):
        with_pack(text, {"name": name, "every": 5})
    with pytest.raises(ConfigError, match="cannot be changed from here"):
        without_pack(text, name)


def test_what_is_written_otherwise_but_can_be_changed() -> None:
    text = 'web.guests = true\n[[pack]]\nname = "a"\nlink = "COM3"\nlimits.chemistry = "lfp"\nlimits = {}\n'
    text = text.replace("limits = {}\n", "")
    changed_text = with_pack(text, {"name": "a", "limits": {"chemistry": "lto"}})
    assert changed_text == text.replace("lfp", "lto")
    inline = '[[pack]]\nname = "a"\nlink = "COM3"\nlimits = { chemistry = "lfp" } # x\n'
    assert with_pack(inline, {"name": "a", "limits": {"chemistry": "lto"}}) == inline.replace("lfp", "lto")
    with pytest.raises(ConfigError, match="cannot be changed from here"):
        with_section(text, "web", {"guests": False})


REMARKS = some.sampled_from(["", "\n", "# a remark\n", "#[[pack]]\n", "\n# above\n", "  \n"])
NAMES = ("a", "b", "c", "d")


@some.composite
def files(draw: some.DrawFn) -> str:
    """Return a right configuration with remarks everywhere, its parts in any order."""
    names = draw(some.lists(some.sampled_from(NAMES), unique=True, max_size=4))
    parts = []
    for name in names:
        lines = [f'name = "{name}" # {name}\n', f"link = 'tcp:{name}:1'\n", "every = 2.50\n"]
        part = "[[pack]]\n" + "".join(draw(REMARKS) + line for line in draw(some.permutations(lines)))
        parts.append(part + draw(some.sampled_from(["", "[pack.limits]\nchemistry = 'lfp'\n"])))
    members = draw(some.lists(some.sampled_from(names or NAMES), unique=True))
    if names and members:
        parts.append("[[bank]]\nname = 'all'\npacks = [" + ", ".join(f"'{name}'" for name in members) + "]\n")
    parts += draw(some.sampled_from([[], ["[web]\nguests = true\n"], ["[history]\n", "[web]\n"]]))
    return "".join(draw(REMARKS) + part for part in draw(some.permutations(parts))) + draw(REMARKS)


CHANGES = some.fixed_dictionaries(
    {"name": some.sampled_from(NAMES), "link": some.sampled_from(["COM1", "tcp:x:1"])},
    optional={
        "every": some.sampled_from([None, 2.0, 2.5, 7]),
        "grant": some.sampled_from([None, "read", "operate"]),
        "limits": some.sampled_from([None, {}, {"chemistry": "nmc"}, {"chemistry": None}, {"charge_current": 5}]),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), some.lists(CHANGES | some.sampled_from(NAMES), max_size=4))
def test_any_changes_of_any_file(text: str, changes: list[Any]) -> None:
    """A change that is accepted means what was asked, and no other section loses as much as a space."""
    for change in changes:
        before = parse(text, PATH)
        name = change if isinstance(change, str) else change["name"]
        try:
            after_text = without_pack(text, name) if isinstance(change, str) else with_pack(text, change)
        except ConfigError:
            continue
        after = parse(after_text, PATH)
        others = [pack for pack in before.packs if pack.name != name]
        assert [pack for pack in after.packs if pack.name != name] == others
        assert (after.web, after.history) == (before.web, before.history)
        mine = [pack for pack in after.packs if pack.name == name]
        assert len(mine) == (not isinstance(change, str))
        if mine:
            assert mine[0].link == change["link"]
            if change.get("every"):
                assert mine[0].every == change["every"]
            assert after.banks == before.banks
            # Only lines of this pack may be other ones than before.
            kept = [line for line in text.splitlines() if line.strip() in ("# a remark", "#[[pack]]", "# above")]
            assert [line for line in after_text.splitlines() if line in kept] == kept
        text = after_text


# The file


def test_writing_keeps_the_mode_and_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    write(path, "# one\n")
    assert path.read_text() == "# one\n"
    assert [*tmp_path.iterdir()] == [path]
    path.chmod(0o640)
    write(path, "# zwei: ä\n")
    assert path.read_text(encoding="utf-8") == "# zwei: ä\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "cellwire.toml~").read_text() == "# one\n"
    write(path, "# three\n")
    assert (tmp_path / "cellwire.toml~").read_text(encoding="utf-8") == "# zwei: ä\n"
    assert len([*tmp_path.iterdir()]) == 2


def test_writing_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/c.toml").write_text("# old\n")
    (tmp_path / "c.toml").symlink_to(tmp_path / "real/c.toml")
    write(tmp_path / "c.toml", "# new\n")
    assert (tmp_path / "c.toml").is_symlink()
    assert (tmp_path / "real/c.toml").read_text() == "# new\n"


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.toml"
    path.write_text("# old\n")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, "# new\n")
    assert path.read_text() == "# old\n"
    assert [*tmp_path.iterdir()] == [path]


def test_the_first_file() -> None:
    text = first([{"name": "shed", "link": "/dev/ttyUSB0", "family": "jbd"}, {"name": "van", "link": "tcp:h:1"}])
    assert parse(text, PATH).packs == (PackSettings("shed", "/dev/ttyUSB0", "jbd"), PackSettings("van", "tcp:h:1"))
    assert parse(first([]), PATH) == parse("", PATH)
    assert text == text.replace("\n\n\n", "\n\n")
    for pack in ("x", "y"):
        text = with_pack(text, {"name": pack, "link": f"tcp:{pack}:1"})
    assert text.index('"y"') < text.index("# [[pack]]")


def test_the_remarks_of_the_first_file_are_right(tmp_path: Path) -> None:
    """Every remark that shows a key can be uncommented, and shows the default or an example."""
    for name in re.findall(r'= "(\S+\.(?:pem|key|password|token))"', first([])):
        (tmp_path / name).touch()
    lines = [line for line in first([]).splitlines() if not re.match(r"# (password|token|encryption_key) = ", line)]
    text = "\n".join(line.removeprefix("# ") if re.match(r"# (\[|\w+ = )", line) else line for line in lines)
    text = text.replace('["shed", "garage"]', '["shed"]').replace("mqtt://", "mqtts://")
    config = parse(text, tmp_path / "cellwire.toml")
    assert config.history == parse("", tmp_path / "cellwire.toml").history
    assert config.packs[0].limits.chemistry == "lfp"
    known = {row for section in configuration.sections().values() for row in rows(section)}
    shown = set(re.findall(r"^(?:# )?(\w+) = ", first([]), re.MULTILINE))
    headers = {"web", "history", "modbus", "influx", "mqtt", "home_assistant", "periods", "dead_band", "bluetooth"}
    assert shown == known - headers


# Secrets


@pytest.mark.parametrize(
    "written",
    [
        '[mqtt]\nurl = "mqtt://b"\npassword = "hunter2"',
        "[mqtt]\nurl = 'mqtt://b'\npassword='hunter2'  # ours",
        '[mqtt]\nurl = "mqtt://b"\n"password" = """hunter2"""',
        "[mqtt]\npassword = '''a 'hunter2' b'''",
        '[mqtt]\npassword = "say \\"hunter2\\" twice"',
        'mqtt = { url = "mqtt://b", password = "hunter2" }',
        'mqtt.password = "hunter2"',
        '[[influx]]\nname = "a"\nurl = "http://b"\ntoken = "hunter2"\npassword = "hunter2"',
    ],
)
def test_secrets_are_never_shown(written: str) -> None:
    config = parse(written, PATH)
    assert "hunter2" in (config.mqtt.password or config.influx[0].token)
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(document(config))
    shown = without_secrets(written)
    assert "hunter2" not in shown
    assert parse(shown, PATH).mqtt.url == config.mqtt.url


def test_only_secrets_are_hidden() -> None:
    text = '# password = "is mine"\n[mqtt]\npassword_file = "x"\nuser = "password"\n'
    assert without_secrets(text).splitlines()[1:] == text.splitlines()[1:]
    assert "mine" not in without_secrets(text)


def test_a_secret_is_changed_and_kept() -> None:
    text = with_section('[mqtt]\nurl = "mqtt://b"\npassword = "old"\n', "mqtt", {"user": "me"})
    assert parse(text, PATH).mqtt.password == "old"
    assert parse(with_section(text, "mqtt", {"password": "new"}), PATH).mqtt.password == "new"


# Outputs


def test_outputs_are_off_until_they_are_configured() -> None:
    config = parse(PACK, PATH)
    assert (config.mqtt.url, config.modbus.listen, config.modbus.serial, config.influx) == ("", "", "", ())


def test_periods_and_dead_bands_are_those_of_the_catalogue() -> None:
    sections = configuration.sections()
    assert set(rows(sections["[mqtt.periods]"])) == {row[3] for row in CATALOGUE}
    assert set(rows(sections["[mqtt.dead_band]"])) <= set(QUANTITY)


@pytest.mark.parametrize(
    ("text", "key", "problem", "fix"),
    [
        ('[mqtt]\nurl = "192.168.1.10"', "mqtt.url", "is not an address", "mqtt://192.168.1.10:1883"),
        ('[mqtt]\nurl = "mqtt://b:99999"', "mqtt.url", "is not an address", "mqtt://"),
        ('[mqtt]\nurl = "mqtt://me:secret@b"', "mqtt.url", "has a user in it", "password_file"),
        ('[mqtt]\nurl = "mqtt://b"\nbase = "cell/#"', "mqtt.base", "without + and #", "home/battery"),
        ('[mqtt]\nurl = "mqtt://b"\nprotocol = "4"', "mqtt.protocol", "there is no '4'", '"3.1.1"'),
        (
            '[mqtt]\nurl = "mqtt://b"\npassword_file = "no.file"',
            "mqtt.password_file",
            "there is no file",
            "put the file",
        ),
        ('[mqtt.home_assistant]\ndiscovery = "old"', "mqtt.home_assistant.discovery", "there is no 'old'", '"entity"'),
        ("[mqtt.dead_band]\ncurrent = -1", "mqtt.dead_band.current", "is not between", "amperes"),
        ('[modbus]\nlisten = "502"', "modbus.listen", "is not a host and a port", "0.0.0.0"),
        ('[modbus]\nallow = ["192.168.1.1/24"]', "modbus.allow", "host bits", "192.168.1.0/24"),
        ('[modbus]\nparity = "mark"', "modbus.parity", "there is no 'mark'", '"even"'),
        (f'{PACK}[modbus]\nunits = ["shet"]', "modbus.units", "no pack or bank 'shet'", "write shed"),
        (f'{PACK}[modbus]\nunits = ["shed", "shed"]', "modbus.units", "named twice", "its place is its unit"),
        ('[[influx]]\nname = "a"\nurl = "b:8086"', "influx.url", "is not an address", "http://127.0.0.1:8086"),
        ('[[influx]]\nname = "a"\nurl = "http://b/write"', "influx.url", "ends with /write", "leave /write out"),
        (
            '[[influx]]\nname = "a"\nurl = "http://b"\n[[influx]]\nname = "a"\nurl = "http://c"',
            "influx.name",
            "is in line 2 already",
            "a name of its own",
        ),
    ],
)
def test_mistakes_in_outputs(text: str, key: str, problem: str, fix: str) -> None:
    found = the(text)
    assert found.key == key
    assert problem in found.problem
    assert fix in found.fix


# Documentation and the table


def test_the_page_has_the_tables_of_the_settings() -> None:
    text = configuration.PAGE.read_text(encoding="utf-8")
    assert configuration.fresh(text) == text, "run: .venv/bin/python tools/configuration.py"


def test_examples_of_the_page_are_right() -> None:
    examples = re.findall(r"```toml\n(.*?)```", configuration.PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 3
    for example in examples:
        parse(example, PATH)


def test_every_field_is_a_key() -> None:
    for section in configuration.sections().values():
        assert is_dataclass(section)
        assert len(rows(section)) == len(fields(section)), section
        for row in rows(section).values():
            assert row.key.meaning
            assert not any(part is float and row.key.rule is None for part in (row.type, *get_args(row.type))), row


def test_the_page_gets_what_it_may_send_back(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    config = parse(FILE, path)
    shown = document(config)
    assert shown["packs"][1]["limits"]["chemistry"] == "lfp"
    assert shown["history"]["path"] == "cellwire.db"
    assert shown["web"]["certificate"] is None
    text = FILE
    for pack in shown["packs"]:
        text = with_pack(text, pack, path=path)
    for bank in shown["banks"]:
        text = with_bank(text, bank, path=path)
    for section in ("web", "history"):
        text = with_section(text, section, shown[section], path)
    assert text == FILE
    assert isinstance(config, Config)
