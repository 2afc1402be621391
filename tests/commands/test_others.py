"""cellwire sim, scan, demo, families, catalogue, and what every command has in common."""

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from served import called, command_of, environment, running, served

import cellwire
from cellwire.cli import main
from cellwire.families import FAMILIES, GUESTS, dialects, guests
from cellwire.readings.catalogue import ALARMS, CATALOGUE


def test_sim_says_its_address_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pack"
    with running("sim", "jbd", "--pty", path, "--cells", "4", "--baud", "115200", "--think", "1") as pack:
        assert pack.line() == f"{path}\n"
        assert main(["read", str(path), "--family", "jbd", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["readings"]["cell_count"] == 4
        assert pack.interrupt() == 0
    assert pack.errors == ""
    assert not os.path.lexists(path)


def test_sim_on_tcp_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("daly-p81", "--tcp", "0", "--address", "1", "3", "--cells", "8", "--baud", "115200", "--json")
    with running("sim", *words) as pack:
        link = json.loads(pack.line())["link"]
        assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+", link)
        assert main(["read", link, "--family", "daly-p81", "--address", "1", "3", "--json"]) == 0
        snapshots = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [snapshot["address"] for snapshot in snapshots] == [1, 3]
        assert pack.interrupt() == 0


def test_sim_from_a_capture(capsys: pytest.CaptureFixture[str]) -> None:
    capture = Path(__file__).parent.parent.parent / "docs/captures/jbd-4s.jsonl"
    with running("sim", "--from", capture, "--tcp", "0") as pack:
        assert main(["read", pack.line().strip(), "--family", "jbd", "--address", "0", "--json"]) == 0
        live = json.loads(capsys.readouterr().out)["readings"]
    assert main(["read", f"replay:{capture}", "--json"]) == 0
    assert live == json.loads(capsys.readouterr().out)["readings"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["jbd", "--fault", "gremlins=1"], "gremlins: no such fault; there are drop, flip"),
        (["jbd", "--fault", "drop=7"], "a rate lies between 0 and 1"),
        (["duracell"], "there is no family 'duracell'"),
        ([], "name a family"),
        (["jbd", "--pty", "/tmp/a", "--tcp", "0"], "give one of"),
        (["--from", "/nowhere/a.jsonl"], "/nowhere/a.jsonl"),
        (["jbd", "--pty", "/nowhere/pack"], "/nowhere/pack"),
    ],
)
def test_sim_says_what_it_cannot_do(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1


def test_sim_on_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["sim", "jbd", "--tcp", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err


def test_scan_as_json(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        fcntl.flock(slave, fcntl.LOCK_EX)
        with served(tmp_path / "van", "jk-uart", 14) as van, served(tmp_path / "boat", "jk-pb", 8) as boat:
            links = [van.path, boat.path, os.ttyname(slave), str(tmp_path / "nothing")]
            result = called("scan", *links, "--json")
    finally:
        os.close(master)
        os.close(slave)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    documents = json.loads(result.stdout)
    assert [document["link"] for document in documents] == links
    assert [[pack["dialect"] for pack in document["packs"]] for document in documents] == [
        ["jk-uart"],
        ["jk-pb"],
        [],
        [],
    ]
    assert documents[0]["packs"][0]["proof"].startswith("answered status")
    assert documents[2]["problem"] == "PortBusy"
    assert documents[3]["problem"] == "PortMissing"
    assert all(document["advice"] for document in documents[2:])


def test_scan_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "van", "jbd") as van:
        assert main(["scan", van.path, "--family", "jbd"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == van.path
    assert lines[1].startswith("  jbd address 0: ")


def test_scan_that_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(tmp_path / "nothing"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)[0]["problem"] == "PortMissing"
    assert main(["scan", "nonsense"]) == 2


def test_demo_shows_four_packs_and_leaves_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        command_of("demo", "--seconds", "8", "--json"),
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment(), "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "setup" in result.stderr
    snapshots = [json.loads(line) for line in result.stdout.splitlines()]
    last = {snapshot["pack"]: snapshot for snapshot in snapshots}
    assert sorted(last) == ["boat", "garage", "shed", "van"]
    assert {name: snapshot["state"] for name, snapshot in last.items()} == dict.fromkeys(last, "online")
    assert {name: len(snapshot["readings"]["cell_voltages"]) for name, snapshot in last.items()} == {
        "shed": 16,
        "garage": 16,
        "van": 4,
        "boat": 8,
    }
    assert list(tmp_path.iterdir()) == []


def test_demo_ends_with_ctrl_c(tmp_path: Path) -> None:
    with running("demo") as demo:
        assert "Open http://127.0.0.1:" in demo.line()
        assert demo.interrupt() == 0
    assert "Traceback" not in demo.errors


def test_families(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["dialect"] for row in rows] == [dialect.name for dialect in (*dialects(), *guests())]
    assert {row["family"] for row in rows} == {*FAMILIES, *GUESTS}
    assert all(row["rows"] == row["proven"] + len(row["unproven"]) for row in rows)
    for row in rows:
        proofs = [command["proof"] for command in row["commands"].values()]
        assert row["proofs"] == {proof: proofs.count(proof) for proof in ("captured", "agreed", "unproven")}
        assert {command["grant"] for command in row["commands"].values()} <= {"operate", "configure", "service"}
    daly = next(row for row in rows if row["dialect"] == "daly-p81")
    assert daly["commands"]["charge_switch"] == {"grant": "operate", "proof": "captured"}
    assert daly["proofs"] == {"captured": 5, "agreed": 1, "unproven": 24}
    assert main(["families"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-5:] == ["commands", "seen", "agreed", "unproven", "title"]
    line = next(line for line in lines if line.startswith("daly-p81"))
    assert line.split()[3:6] == ["5", "1", "24"]


def test_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["readings"]] == [row[0] for row in CATALOGUE]
    assert [row["name"] for row in document["alarms"]] == [row[0] for row in ALARMS]
    voltage = next(row for row in document["readings"] if row["name"] == "voltage")
    assert voltage["unit"] == "V"
    assert voltage["meaning"]
    assert main(["catalogue"]) == 0
    assert "cell_voltages" in capsys.readouterr().out


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_an_unknown_command() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["levitate"])
    assert caught.value.code == 2


def test_the_version_is_told_quickly() -> None:
    took = []
    for _ in range(5):
        began = time.monotonic()
        result = subprocess.run(command_of("--version"), capture_output=True, text=True, timeout=20, check=True)
        took.append(time.monotonic() - began)
        assert result.stdout == f"cellwire {cellwire.__version__}\n"
    assert min(took) < 0.3, took


def test_what_is_not_needed_is_not_imported() -> None:
    code = (
        "import sys, cellwire.cli; cellwire.cli.parser(); print([n for n in sys.modules if n.startswith('cellwire')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.strip() == "['cellwire', 'cellwire.cli']"
