"""The page about Bluetooth names every cause and every problem, and its examples are good ones."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cellwire.cli import parser
from cellwire.gateway import config
from cellwire.gateway.errors import LOGIN_ADVICE
from cellwire.links import open_link
from cellwire.links.ble import causes

PAGE = (Path(__file__).parents[2] / "docs/bluetooth.md").read_text(encoding="utf-8")


def rows(header: str) -> list[str]:
    """Return the words in the first column of the table that begins so."""
    table = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0]
    found: list[str] = []
    for line in table.splitlines():
        if line.startswith("| `"):
            found += re.findall(r"`([\w-]+)`", line.split("|")[1])
    return found


def test_every_cause_is_explained() -> None:
    known = [cause.name for cause in vars(causes).values() if isinstance(cause, causes.Cause)]
    assert sorted(rows("cause")) == sorted(known)


def test_what_a_scan_says_is_explained() -> None:
    text = "\n".join(
        (Path(causes.__file__).parents[2] / "gateway" / name).read_text(encoding="utf-8")
        for name in ("detect.py", "scan.py")
    )
    said = set(rows("a scan says"))
    assert {"not_asked", "in_use", "silent", "wants_pairing", *LOGIN_ADVICE} <= said
    for problem in said - set(LOGIN_ADVICE):
        assert f'"{problem}"' in text, f"nothing says {problem}"


def test_the_configuration_is_a_good_one() -> None:
    text = PAGE.partition("```toml\n")[2].partition("```")[0]
    packs = config.parse(text, Path("cellwire.toml")).packs
    assert len(packs) == len(tomllib.loads(text)["pack"]) == 2
    for pack in packs:
        assert open_link(pack.link, None, pack.pairing, pack.pin).wireless


@pytest.mark.parametrize("line", re.findall(r"^    cellwire (.+)$", PAGE, re.MULTILINE))
def test_the_commands_can_be_given(line: str) -> None:
    assert parser().parse_args(shlex.split(line)).command
