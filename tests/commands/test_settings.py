"""cellwire settings: shown, changed with proof, kept in a file, put back, and taken back."""

import json
import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from changing import Console, console, heeding_ctrl_c, typed
from home import until
from served import environment, served

from cellwire.cli import main

Make = Callable[..., AbstractContextManager[Console]]

# dialect -> what is changed here: settings that are proven and lie in range.
CHANGES: dict[str, dict[str, float]] = {
    "jbd": {"balance_start": 3.35, "cell_undervoltage_limit": 2.55, "charge_overtemperature_limit": 61},
    "jk-pb": {"balance_start": 3.41, "cell_undervoltage_limit": 2.75, "charge_overtemperature_limit": 47},
    "daly-d2": {"balance_start": 3.35, "cell_undervoltage_limit": 2.5, "charge_overtemperature_limit": 55},
}
each_kind = pytest.mark.parametrize("kind", CHANGES)


def pairs(kind: str) -> list[str]:
    return [f"{name}={value}" for name, value in CHANGES[kind].items()]


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return make(dialect, **more) -> a console for a simulated pack, in a folder of the test's own."""
    return lambda kind, **more: console(tmp_path, kind, capsys, monkeypatch, **more)


@pytest.fixture
def jbd(make: Make) -> Iterator[Console]:
    with make("jbd") as pack:
        yield pack


# Looking


def test_list_for_people(jbd: Console) -> None:
    assert jbd.settings("list") == 0
    lines = jbd.out.splitlines()
    assert lines[0].split() == ["setting", "value", "takes", "grant", "proof", "notes"]
    assert "protection" in lines
    (limit,) = [line for line in lines if line.startswith("  cell_overvoltage_limit ")]
    assert limit.split()[:2] == ["cell_overvoltage_limit", "3.650"]
    assert "2.5 to 4.3" in limit
    assert "configure" in limit
    dangers = [line for line in lines if line.lstrip().startswith("!")]
    assert any("shunt" in line for line in dangers)


def test_list_as_json(jbd: Console) -> None:
    document = jbd.document("list")
    rows = {row["command"]: row for row in document["settings"]}
    row = rows["cell_overvoltage_limit"]
    assert (row["kind"], row["unit"], row["low"], row["high"]) == ("number", "V", 2.5, 4.3)
    assert (row["grant"], row["value"], document["grant"]) == ("configure", 3.65, "service")
    assert row["proof"] in ("captured", "agreed", "unproven")


def test_get(jbd: Console) -> None:
    assert jbd.settings("get", "cell-overvoltage-limit", "balancer_switch") == 0
    assert [line.split() for line in jbd.out.splitlines()] == [
        ["balancer_switch", "on"],
        ["cell_overvoltage_limit", "3.650", "V"],
    ]


def test_what_the_pack_does_not_show_is_no_value(jbd: Console) -> None:
    assert jbd.settings("get", "restart") == 3
    assert "does not show restart" in jbd.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["get", "cell_overvoltage"], "is called cell_overvoltage; is it cell_overvoltage_"),
        (["set", "nonsense=3"], "`cellwire settings LINK list` shows what it has"),
        (["set", "balance_start"], "write NAME=VALUE, such as"),
        (["set", "balance_start=high"], "'high' is not a number"),
        (["set", "balance_start=nan"], "'nan' is not a number"),
        (["set", "balancer_switch=maybe"], "neither on nor off"),
        (["set", "balance_start=3.3", "balance_start=3.4"], "there twice"),
        (["set", "restart=on"], "is done, not set: cellwire settings LINK do restart"),
        (["do", "balance_start"], "is set, not done: cellwire settings LINK set balance_start=VALUE"),
        (["do", "balance_odd_cells"], "takes the seconds for which it is kept"),
        (["do", "clear_alarms", "5"], "takes no seconds"),
        (["restore"], "name the file to restore, or say --resume"),
        (["restore", "x.toml", "--resume"], "name the file to restore, or say --resume"),
        (["restore", "--resume"], "no restore of this pack was broken off"),
        (["restore", "missing.toml"], "missing.toml cannot be read: No such file"),
        (["diff", "here.png"], "here.png is no text"),
        (["diff", "here.toml"], "here.toml: this is no backup of settings"),
        (["diff", "here.fig"], "here.fig: line 1: "),
        (["backup", "-o", "here.toml"], "here.toml is there already"),
        (["backup", "-o", "nowhere/x.toml"], "cannot be written: No such file"),
        (["undo", "--entry", "77"], "entry 77 is not in the journal"),
        (["undo"], "nothing in the journal to undo"),
    ],
)
def test_a_mistake_is_one_sentence_that_says_what_to_do(jbd: Console, words: list[str], says: str) -> None:
    (jbd.home / "here.toml").write_text("")
    (jbd.home / "here.fig").write_text("nothing")
    (jbd.home / "here.png").write_bytes(b"\x89PNG")
    code = jbd.settings(*words)
    said = jbd.err + jbd.out
    assert code == (5 if words[0] == "undo" else 2), said
    assert says in said
    assert not [entry for entry in jbd.journal() if entry["result"] != "refused"]


# Changing


@each_kind
def test_set_shows_writes_reads_back_and_is_undone(make: Make, kind: str) -> None:
    wanted = CHANGES[kind]
    with make(kind) as pack:
        before = pack.document("get", *wanted)["settings"]
        assert pack.settings("set", *pairs(kind), "--yes", "--unproven") == 0, pack.out + pack.err
        heading, *lines = pack.out.splitlines()
        assert heading.split() == ["setting", "was", "now", "wanted", "unit"]
        assert [line for line in lines if line.startswith("balance_start ") and line.endswith(" V")]
        assert sorted(line.partition(" = ")[0] for line in lines if line.endswith(": done")) == sorted(wanted)
        now = pack.document("get", *wanted)["settings"]
        assert now == pytest.approx(wanted)
        for _ in wanted:
            assert pack.settings("undo", "--yes") == 0, pack.out + pack.err
        assert pack.document("get", *wanted)["settings"] == before
        assert {entry["result"] for entry in pack.journal()} == {"done"}
        assert {(entry["source"], entry["before"] is None) for entry in pack.journal()} == {("console", False)}


def test_json_has_the_plan_and_the_results(jbd: Console) -> None:
    document = jbd.document("set", "balance_start=3.35", "--yes")
    (plan,) = document["plan"]
    (result,) = document["results"]
    assert (plan["before"], plan["wanted"], "result" in plan) == (3.2, 3.35, False)
    assert (result["found"], result["result"], result["entry"]) == (3.35, "done", 1)


def test_dry_run_shows_the_bytes_and_sends_none_of_them(jbd: Console) -> None:
    assert jbd.settings("set", "balance_start=3.35", "--dry-run") == 0
    # Enter factory mode; write register 2A; leave with saving.
    shown = "dd 5a 00 02 56 78 ff 30 77, dd 5a 2a 02 0d 16 ff b1 77, dd 5a 01 02 28 28 ff ad 77"
    assert f"balance_start: would send {shown}" in jbd.out
    assert jbd.value("balance_start") == 3.2
    assert jbd.journal() == []
    assert "results" not in jbd.document("set", "balance_start=3.35", "--dry-run")


def test_without_a_terminal_nothing_is_written(jbd: Console) -> None:
    assert jbd.settings("set", "balance_start=3.35") == 5
    assert "no terminal to ask on; if you want it, add --yes" in jbd.err
    assert jbd.value("balance_start") == 3.2


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 5), ("\n", 5)])
def test_on_a_terminal_it_asks(jbd: Console, answer: str, code: int) -> None:
    found, text = typed(jbd.words("settings", "set", "balance_start=3.35"), answer)
    assert found == code, text
    assert "3.200  3.350" in text
    assert jbd.value("balance_start") == (3.35 if code == 0 else 3.2)


def test_ctrl_c_at_the_question_writes_nothing(jbd: Console) -> None:
    code, text = typed(jbd.words("settings", "set", "balance_start=3.35"), "\x03")
    assert code == 5, text
    assert "nothing was written" in text
    assert jbd.value("balance_start") == 3.2


def test_a_danger_is_typed_on_a_terminal(jbd: Console) -> None:
    words = jbd.words("settings", "set", "shunt_resistance=0.5")
    code, text = typed(words, "y\n")
    assert code == 5, text
    assert "DANGER, shunt_resistance: " in text
    assert "Type shunt_resistance to do it nevertheless:" in text
    assert jbd.value("shunt_resistance") != 0.5
    code, text = typed(words, "shunt_resistance\n")
    assert code == 0, text
    assert jbd.value("shunt_resistance") == 0.5


def test_yes_is_not_enough_for_a_danger(jbd: Console) -> None:
    assert jbd.settings("set", "shunt_resistance=0.5", "--yes") == 5
    assert "add --confirm shunt_resistance" in jbd.err
    assert jbd.settings("set", "shunt_resistance=0.5", "--yes", "--confirm", "cell_count_setting") == 5
    assert jbd.value("shunt_resistance") != 0.5
    assert jbd.settings("set", "shunt_resistance=0.5", "--yes", "--confirm", "shunt_resistance") == 0
    assert jbd.value("shunt_resistance") == 0.5


def test_unproven_is_asked_for(jbd: Console) -> None:
    assert jbd.settings("set", "soc_90_voltage=3.44", "--yes") == 5
    assert "nobody has shown in public that this works" in jbd.out
    assert jbd.settings("set", "soc_90_voltage=3.44", "--yes", "--unproven") == 0


def test_what_contradicts_is_refused_before_anything_is_sent(jbd: Console) -> None:
    assert jbd.settings("set", "balance_start=3.35", "cell_overvoltage_release=3.9", "--yes") == 5
    assert "cell_overvoltage_release = 3.900 V: refused: " in jbd.out
    assert "nothing was written" in jbd.err
    assert jbd.value("balance_start") == 3.2
    assert {(entry["command"], entry["result"]) for entry in jbd.journal()} == {
        ("balance_start", "refused"), ("cell_overvoltage_release", "refused"),
    }  # fmt: skip
    assert all(entry["who"] and entry["source"] == "console" and entry["reason"] for entry in jbd.journal())
    # Who only asks what would happen, wants nothing done.
    before = len(jbd.journal())
    assert jbd.settings("set", "cell_overvoltage_release=3.9", "--dry-run") == 5
    assert len(jbd.journal()) == before


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("ignore-writes", 6, "not confirmed: the pack said yes, but it still shows"),
        ("clamp", 6, "not confirmed: the pack said yes, but it shows 3.275 instead"),
        ("refuse", 5, "refused: "),
        ("drop-after-write", 0, "done: the answer was lost"),
    ],
)
def test_a_pack_that_misbehaves(make: Make, fault: str, code: int, says: str) -> None:
    with make("jbd", faults=[f"{fault}=1"]) as pack:
        assert pack.settings("set", "balance_start=3.35", "--yes") == code, pack.out + pack.err
        assert f"balance_start = 3.350 V: {says}" in pack.out


def test_do(jbd: Console) -> None:
    assert jbd.settings("do", "clear-alarms", "--yes") == 0, jbd.err
    assert "clear_alarms = do it: done" in jbd.out
    assert jbd.settings("do", "restart", "--yes", "--unproven", "--confirm", "restart") == 0
    assert jbd.settings("reset-counters", "--yes") == 0, jbd.err + jbd.out
    assert [entry["command"] for entry in jbd.journal()] == ["reset_counters", "restart", "clear_alarms"]


# Who may


def test_the_grant_of_the_configuration_counts(jbd: Console) -> None:
    pack = f'[[pack]]\nname = "shed"\nlink = "{jbd.pack.path}"\ngrant = "operate"\n'
    (jbd.home / "cellwire.toml").write_text(pack)
    assert jbd.settings("set", "balance_start=3.35", "--yes") == 5
    assert 'this pack accepts no more than "operate"' in jbd.out
    assert '(cellwire.toml names this pack "shed", and its grant counts)' in jbd.err
    assert jbd.run("switch", "balancer", "off", "--yes") == 0
    # It is the gateway's journal then.
    lines = (jbd.home / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["name"] == "shed"
    (jbd.home / "cellwire.toml").rename(jbd.home / "other.toml")
    assert jbd.settings("set", "balance_start=3.35", "--yes", "-c", "other.toml") == 5
    assert jbd.settings("set", "balance_start=3.35", "--yes") == 0


def test_a_configuration_of_another_link_says_nothing(jbd: Console) -> None:
    (jbd.home / "cellwire.toml").write_text('[[pack]]\nname = "shed"\nlink = "/dev/ttyUSB9"\n')
    assert jbd.settings("set", "balance_start=3.35", "--yes") == 0


def test_a_configuration_with_mistakes_allows_nothing(jbd: Console) -> None:
    (jbd.home / "cellwire.toml").write_text("[[pack]]\nnme = 1\n")
    assert jbd.settings("set", "balance_start=3.35", "--yes") == 2
    assert "has mistakes" in jbd.err


def test_a_journal_that_cannot_be_written_stops_everything(jbd: Console) -> None:
    (jbd.home / "folder").mkdir()
    assert jbd.settings("set", "balance_start=3.35", "--yes", "--journal", jbd.home / "folder") == 5
    assert "cannot be written" in jbd.out + jbd.err
    assert jbd.value("balance_start") == 3.2


def test_of_several_packs_one_is_named(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with make("jk-pb", cells=8, addresses=[1, 2]) as bus:
        assert main(["settings", bus.pack.path, "get", "--family", "jk-pb"]) == 2
        said = capsys.readouterr().err
        assert "with the addresses 1, 2; name the one that you mean: --address 1" in said
        assert bus.settings("set", "balance_start=3.41", "--address", "2", "--yes") == 0, bus.out + bus.err
        values = [bus.document("get", "balance_start", "--address", n)["settings"]["balance_start"] for n in (1, 2)]
        assert values[0] != pytest.approx(3.41)
        assert values[1] == pytest.approx(3.41)


def test_a_line_of_another_master_is_not_written_to(make: Make) -> None:
    with make("jk-pb", cells=8, addresses=[1], faults=["second-master=1"]) as bus:
        assert bus.settings("set", "balance_start=3.41", "--yes") == 5
        assert "another master owns this line" in bus.err + bus.out


def test_a_missing_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", str(tmp_path / "nothing"), "list", "--family", "jbd"]) == 4
    assert "is not there" in capsys.readouterr().err


# The journal


def test_packs_without_a_number_of_their_own_are_told_apart_by_their_link(make: Make) -> None:
    with make("daly-d2") as one:
        assert one.settings("set", "balance_start=3.35", "--yes", "--unproven") == 0
    Path("elsewhere").mkdir()
    with served(Path("elsewhere").resolve() / "pack", "daly-d2") as other:
        assert main(["settings", other.path, "undo", "--yes", "--family", "daly-d2"]) == 5


def test_the_journal_for_people(jbd: Console) -> None:
    assert jbd.settings("journal") == 0
    assert "knows of no write" in jbd.out
    jbd.settings("set", "balance_start=3.35", "--yes")
    jbd.settings("set", "balance_start=9", "--yes")
    assert jbd.settings("journal") == 0
    refused, done = jbd.out.splitlines()
    assert "refused: balance_start: 9 is not between" in refused
    assert "balance_start 3.2 -> 3.35  done" in done
    assert "(console)" in done


def test_the_journal_can_be_read_when_the_pack_is_gone(jbd: Console) -> None:
    jbd.settings("set", "balance_start=3.35", "--yes")
    jbd.pack.unplug()
    assert jbd.settings("journal") == 0
    assert "entries of all packs" in jbd.err
    assert "balance_start 3.2 -> 3.35  done" in jbd.out


# Files


@each_kind
def test_a_backup_restored_to_a_fresh_pack_leaves_no_difference(make: Make, kind: str) -> None:
    with make(kind) as pack:
        assert pack.settings("set", *pairs(kind), "--yes", "--unproven") == 0
        assert pack.settings("backup", "-o", "it.toml") == 0
    saved = tomllib.loads(Path("it.toml").read_text())
    assert saved["settings"]["balance_start"] == pytest.approx(CHANGES[kind]["balance_start"])
    assert saved["pack"]["cells"] == 4
    with make(kind) as fresh:
        names = [each["name"] for each in fresh.document("diff", "it.toml")["differences"]]
        assert sorted(names) == sorted(CHANGES[kind])
        assert fresh.settings("restore", "it.toml", "--yes", "--unproven") == 0, fresh.out + fresh.err
        assert fresh.settings("diff", "it.toml") == 0
        assert fresh.out.splitlines()[-1] == "No difference."
        assert fresh.settings("restore", "it.toml", "--yes", "--unproven") == 0
        assert "Nothing to change" in fresh.out
        (first,) = [entry for entry in fresh.journal() if entry["command"] == "restore"]
        assert (first["what"], first["result"]) == ("it.toml", "done")
        assert first["changes"] == pytest.approx(CHANGES[kind])
        parts = [entry["command"] for entry in fresh.journal() if entry.get("restore") == first["entry"]]
        assert sorted(parts) == sorted(CHANGES[kind])
        # And all of it is taken back at once.
        assert fresh.settings("undo", "--entry", first["entry"], "--yes") == 0
        assert sorted(each["name"] for each in fresh.document("diff", "it.toml")["differences"]) == sorted(names)


@each_kind
def test_a_backup_is_refused_by_another_family(make: Make, kind: str) -> None:
    with make(kind) as pack:
        assert pack.settings("backup", "-o", "it.toml") == 0
    with make("jbd" if kind != "jbd" else "daly-d2") as other:
        for action in ("restore", "diff"):
            assert other.settings(action, "it.toml") == 5
            assert "their settings do not mean the same" in other.err
        assert other.journal() == []


@each_kind
def test_another_number_of_cells_is_warned_of_and_skipped(make: Make, kind: str) -> None:
    with make(kind, cells=8) as pack:
        assert pack.settings("set", *pairs(kind), "--yes", "--unproven") == 0
        assert pack.settings("backup", "-o", "it.toml") == 0
    with make(kind, cells=4) as other:
        skipped = [each["name"] for each in other.document("diff", "it.toml")["differences"]]
        assert other.settings("restore", "it.toml", "--yes", "--unproven") == 0, other.out + other.err
        assert "Note: The backup is of 8 cells, this pack has 4: " in other.out
        left_out = [name for name in skipped if f"Left as it is: {name}: " in other.out]
        assert sorted(left_out) == sorted(set(skipped) - set(CHANGES[kind]))
        assert other.document("get", *CHANGES[kind])["settings"] == pytest.approx(CHANGES[kind])


def test_diff_of_two_files_asks_no_pack(jbd: Console) -> None:
    jbd.settings("backup", "-o", "one.toml")
    text = Path("one.toml").read_text()
    Path("other.toml").write_text(text.replace("balance_start = 3.2", "balance_start = 3.3"))
    Path("daly.toml").write_text(text.replace('family = "jbd"', 'family = "daly"'))
    jbd.pack.unplug()
    assert jbd.settings("diff", "one.toml", "other.toml") == 0
    assert jbd.out.splitlines()[1].split()[:4] == ["balance_start", "3.2", "3.3", "V"]
    assert jbd.settings("diff", "one.toml", "daly.toml") == 2


def test_backup_to_standard_output(jbd: Console) -> None:
    assert jbd.settings("backup") == 0
    settings = tomllib.loads(jbd.out)["settings"]
    assert settings == jbd.document("backup")["settings"]
    assert not {"charge_switch", "soc", "restart", "calibrate_cell", "use_password"} & set(settings)


def test_files_of_the_pc_program(jbd: Console) -> None:
    jbd.settings("set", "balance_start=3.35", "--yes")
    assert jbd.settings("backup", "-o", "it.fig") == 0, jbd.err
    text = Path("it.fig").read_bytes().decode("latin-1")
    assert "BalanceStartVoltage" in text
    assert text.endswith("\r\r\n")
    jbd.settings("undo", "--yes")
    differences = jbd.document("diff", "it.fig")["differences"]
    assert [each["name"] for each in differences] == ["balance_start"]
    assert jbd.settings("restore", "it.fig", "--yes") == 0, jbd.out + jbd.err
    assert jbd.value("balance_start") == 3.35


def test_files_of_the_pc_program_are_for_jbd(make: Make) -> None:
    with make("daly-d2") as daly:
        assert daly.settings("backup", "-o", "it.fig") == 2
        assert "name a .toml file" in daly.err


def test_preset(jbd: Console) -> None:
    assert jbd.settings("preset", "lfp") == 5
    assert "no terminal" in jbd.err
    hard = ["--confirm", "hard_cell_overvoltage_limit", "--confirm", "hard_cell_undervoltage_limit"]
    assert jbd.settings("preset", "lfp", "--yes", *hard) == 0, jbd.out + jbd.err
    assert "Left as it is: soc_80_voltage: it has to fit to soc_10_voltage" in jbd.out
    assert jbd.value("cell_overvoltage_limit") == 3.65
    assert jbd.value("charge_undertemperature_limit") == 2
    assert jbd.settings("preset", "lfp") == 0
    assert "Nothing to change" in jbd.out


# Broken off


def killed(pack: Console, after: int, *words: Any) -> None:
    """Run the command, and kill it when that many of its writes were begun."""
    journal = pack.home / "state/cellwire/journal.jsonl"
    process = subprocess.Popen(pack.words("settings", *words), stdout=subprocess.DEVNULL, env=environment())
    try:
        end = time.monotonic() + 30
        while not journal.exists() or journal.read_text().count('"restore":') < after:
            assert process.poll() is None, "it was too quick"
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        process.kill()
        assert process.wait(10) == -signal.SIGKILL


# By how much settings are changed that are consistent afterwards, one by one.
MANY = {
    "jbd": {"balance_start": 0.1, "cell_overvoltage_limit": 0.02, "design_capacity": 5, "balance_delta": 0.01},
    "jk-pb": {"balance_start": 0.01, "cell_overvoltage_limit": 0.02, "design_capacity": 5, "balance_delta": 0.01},
    "daly-d2": {"balance_start": 0.1, "cell_overvoltage_limit": 0.02, "design_capacity": 5, "balance_delta": 0.01},
}


def shifted(kind: str) -> None:
    """Make other.toml of the backup it.toml, with some settings that are others."""
    lines = []
    for line in Path("it.toml").read_text().splitlines():
        name, _, rest = line.partition(" = ")
        more = MANY[kind].get(name)
        lines.append(f"{name} = {float(rest.partition('#')[0]) + more:.3f}" if more else line)
    Path("other.toml").write_text("\n".join(lines))


@each_kind
@pytest.mark.parametrize("way", ["resume", "again"])
def test_a_restore_that_was_killed_goes_on(make: Make, kind: str, way: str) -> None:
    with make(kind, think=0.01) as pack:
        assert pack.settings("backup", "-o", "it.toml") == 0
        shifted(kind)
        danger = ["--confirm", "design_capacity"]
        killed(pack, 2, "restore", "other.toml", "--yes", "--unproven", *danger)
        begun = pack.journal()[-1]
        assert (begun["command"], begun["result"]) == ("restore", "sent")
        assert len(begun["changes"]) == len(MANY[kind])
        pack.pack.simulator.think = 0.001
        missing = len(pack.document("diff", "other.toml")["differences"])
        assert 0 < missing < len(MANY[kind])
        if way == "resume":
            Path("other.toml").rename("aside.toml")
            assert pack.settings("restore", "--resume", "--yes", "--unproven", *danger) == 0, pack.out + pack.err
            Path("aside.toml").rename("other.toml")
        else:
            assert pack.settings("restore", "other.toml", "--yes", "--unproven", *danger) == 0, pack.out + pack.err
        done = len(MANY[kind]) - missing
        assert f"was broken off: {done} of its {len(MANY[kind])} settings are done" in pack.out
        assert pack.document("diff", "other.toml")["differences"] == []
        assert {entry["result"] for entry in pack.journal()} <= {"done", "not_confirmed"}
        assert pack.journal()[-1]["result"] == "done"
        # What was done before is not written again.
        written = [entry["command"] for entry in pack.journal() if entry["command"] != "restore" and entry["found"]]
        assert pack.settings("restore", "--resume") == 2
        assert len([name for name in written if written.count(name) == 1]) >= len(MANY[kind]) - 1


def test_what_was_sent_and_not_known_is_looked_up(jbd: Console) -> None:
    assert jbd.settings("backup", "-o", "it.toml") == 0
    shifted("jbd")
    assert jbd.settings("restore", "other.toml", "--yes") == 0
    journal = jbd.home / "state/cellwire/journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    # As if the program had ended while the last write was on its way.
    last = max(line["entry"] for line in lines)
    cut = [line for line in lines if not (line["entry"] in (1, last) and line.get("result") != "sent")]
    journal.write_text("".join(json.dumps(line) + "\n" for line in cut))
    name = next(entry["command"] for entry in jbd.journal() if entry["entry"] == last)
    assert jbd.settings("restore", "--resume") == 0
    assert f"Entry {last}: {name} was sent, and was taken: the pack shows it." in jbd.out
    assert "4 of its 4 settings are done" in jbd.out
    found = jbd.journal()[0]
    assert (found["result"], found["reason"]) == (
        "done",
        "the program ended before its result was known; the pack shows it",
    )
    assert jbd.journal()[-1]["result"] == "done"


def test_ctrl_c_ends_after_what_was_begun(make: Make) -> None:
    with make("jbd", think=0.05) as pack:
        process = subprocess.Popen(
            pack.words("settings", "set", *pairs("jbd"), "--yes"),
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            preexec_fn=heeding_ctrl_c,
        )
        journal = pack.home / "state/cellwire/journal.jsonl"
        until(journal.exists)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 6
        assert "broken off" in said
        pack.pack.simulator.think = 0.001
        assert {entry["result"] for entry in pack.journal()} == {"done"}
        # It left the factory mode, with saving.
        assert pack.document("get", *CHANGES["jbd"])["settings"] == pytest.approx(CHANGES["jbd"])
