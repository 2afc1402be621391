"""The documentation is true: generated parts are fresh, examples do what they show, and the captures are real packs."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import captures
import documentation
import pytest
from captured import Readings, received

from cellwire.cli import parser
from cellwire.families import dialects

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS_PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# A shell example and what it prints: ```console, "$ command", lines of output. "..." stands for any text, a line of
# only "..." for any lines. With "; echo $?" behind the command the last line is its exit code.
WITH_EXAMPLES = README + (ROOT / "docs/console.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```console\n\$ (.+)\n((?:.*\n)*?)```", WITH_EXAMPLES, re.MULTILINE)

each_capture = pytest.mark.parametrize("capture", captures.CAPTURES, ids=lambda capture: capture.name)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of all commands."""
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "cellwire", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
        check=False,
    )


def pattern(output: str) -> str:
    """Return a regular expression for an example's output."""
    lines = output.rstrip("\n").split("\n")
    parts = [
        "(?:.*\\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + "\\n" for line in lines
    ]
    return "".join(parts)


def test_there_are_examples() -> None:
    assert [example for example in EXAMPLES if "check" in example[0]]
    assert [example for example in EXAMPLES if "check" not in example[0]]


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_example(command: str, output: str) -> None:
    command, echo, _ = command.partition("; echo $?")
    words = shlex.split(command)
    assert words[0] == "cellwire"
    result = run(words[1:])
    assert echo or result.returncode == 0, result.stderr
    printed = result.stdout.rstrip("\n") + "\n" + (f"{result.returncode}\n" if echo else "")
    assert re.fullmatch(pattern(output), printed), printed


def test_readme_table_is_fresh() -> None:
    assert documentation.with_table(README) == README, "run: .venv/bin/python tools/documentation.py --readme"


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_a_section(name: str) -> None:
    section = COMMANDS_PAGE.partition(f"\n## cellwire {name}\n")[2].partition("\n## ")[0]
    assert f"cellwire {name}" in section or f"`{name}`" in section, f"{name} has no example in docs/commands.md"


def test_no_command_is_made_up() -> None:
    found = re.findall(r"^## cellwire (\w+)$", COMMANDS_PAGE, re.MULTILINE)
    assert sorted(found) == sorted(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_is_described(name: str) -> None:
    section = COMMANDS_PAGE.partition(f"\n## cellwire {name}\n")[2].partition("\n## ")[0]
    common = COMMANDS_PAGE.partition("\n## ")[0]
    for action in commands()[name]._actions:
        for option in action.option_strings:
            if option.startswith("--") and option not in ("--help", "--json"):
                assert option in section or option in common, f"{name} {option}"


@pytest.mark.parametrize("line", re.findall(r"^    cellwire (.+)$", COMMANDS_PAGE, re.MULTILINE))
def test_examples_of_commands_can_be_parsed(line: str) -> None:
    assert parser().parse_args(shlex.split(line.partition(" < ")[0])).command


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_help_with_an_example(name: str) -> None:
    help_text = commands()[name].format_help()
    assert "example:" in help_text
    assert f"cellwire {name}" in help_text
    assert "--json" in help_text


def test_faults_of_the_page_are_those_of_the_simulator() -> None:
    from cellwire.sim import faults

    section = COMMANDS_PAGE.partition("\n## cellwire sim\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(faults.NAMES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    made = {ROOT / "docs/families.md", ROOT / "docs/catalogue.md"}
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        there = (path.parent / target).resolve()
        assert there.exists() or there in made, target


def test_site_can_be_built(tmp_path: Path) -> None:
    documentation.build(tmp_path)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="wiring.html"' in index
    assert "<table>" in (tmp_path / "catalogue.html").read_text(encoding="utf-8")


def test_every_decision_is_half_a_page() -> None:
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), path.name
        assert "Context" in text, path.name
        assert len(text.splitlines()) < 80, path.name


@each_capture
def test_capture_file_is_fresh(capture: captures.Capture) -> None:
    path = captures.TARGET / f"{capture.name}.jsonl"
    assert path.read_text(encoding="utf-8") == captures.text_of(capture), "run: .venv/bin/python tools/captures.py"
    assert path.name in (captures.TARGET / "README.md").read_text(encoding="utf-8")


@each_capture
def test_capture_is_one_whole_pack(capture: captures.Capture) -> None:
    """Voltage, current, charge, cells, temperatures, MOSFETs and alarms are there, and the cells add up."""
    dialect = dialects(capture.dialect)[0]
    known: Readings = {}
    groups: list[list[bytes]] = []
    for line in captures.lines_of(capture)[1:]:
        if "tx" in line:
            groups.append([])
        else:
            groups[-1].append(bytes.fromhex(line["rx"]))
    for (name, _vector), chunks in zip(capture.answers, groups, strict=True):
        frames = received(dialect, chunks)[0]
        found = dialect.collect(dialect.query(name), capture.address, frames, known, True)
        assert found, name
        known.update(found)
    for name in ("voltage", "current", "soc", "cell_voltages", "temperatures", "charge_mosfet", "discharge_mosfet"):
        assert name in known, name
    assert {"warnings", "protections", "faults"} & set(known)
    cells = [cell for cell in known["cell_voltages"] if cell is not None]
    tolerance, share = dialect.sum_tolerance
    assert abs(sum(cells) - known["voltage"]) <= tolerance + share * known["voltage"]


@each_capture
def test_capture_can_be_read(capture: captures.Capture) -> None:
    result = run(["read", f"replay:docs/captures/{capture.name}.jsonl", "--json"])
    assert result.returncode == 0, result.stderr
    snapshot = json.loads(result.stdout.splitlines()[0])
    assert snapshot["family"] == dialects(capture.dialect)[0].family
    for name in ("voltage", "current", "soc", "cell_voltages", "temperatures", "charge_mosfet"):
        assert name in snapshot["readings"], name


def test_no_capture_file_is_left_over() -> None:
    names = {f"{capture.name}.jsonl" for capture in captures.CAPTURES}
    assert {path.name for path in captures.TARGET.glob("*.jsonl")} == names
