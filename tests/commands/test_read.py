"""cellwire read: one snapshot of each pack, and an exit code with a sentence when there is none."""

import json
import os
import socket
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, called, served

from cellwire.cli import main


@pytest.fixture
def jbd(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "pack", "jbd") as pack:
        yield pack


def read(*arguments: Any) -> int:
    return main(["read", *map(str, arguments)])


def test_json_is_one_document_and_nothing_else(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(jbd.path, "--family", "jbd", "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    (line,) = captured.out.splitlines()
    snapshot = json.loads(line)
    assert (snapshot["family"], snapshot["dialect"], snapshot["state"]) == ("jbd", "jbd", "online")
    cells = jbd.simulator.twins[0].values["cell_voltages"]
    assert snapshot["readings"]["cell_voltages"] == pytest.approx(cells, abs=0.02)
    assert "cell_overvoltage_limit" not in snapshot["readings"]


def test_text_for_people(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(jbd.path, "--family", "jbd") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "online" in lines[0]
    assert any(line.split()[:2] == ["pack", "voltage"] and line.endswith(" V") for line in lines)


def test_the_family_is_found_out(tmp_path: Path) -> None:
    with served(tmp_path / "pack", "jk-uart", 14, baud=115200) as pack:
        result = called("read", pack.path, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["dialect"] == "jk-uart"
    assert result.stderr == ""


def test_settings(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(jbd.path, "--family", "jbd", "--settings", "--json") == 0
    captured = capsys.readouterr()
    readings = json.loads(captured.out)["readings"]
    assert 3.0 < readings["cell_overvoltage_limit"] < 4.5
    assert all(line.startswith("cellwire: not read: ") for line in captured.err.splitlines())


def test_the_current_can_be_turned_round(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    currents = []
    for extra in ([], ["--invert-current"]):
        assert read(jbd.path, "--family", "jbd", "--json", *extra) == 0
        currents.append(json.loads(capsys.readouterr().out)["readings"]["current"])
    assert currents[0] == pytest.approx(-currents[1], abs=1.0)
    assert currents[0] != 0


def test_several_addresses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "bus", "daly-p81", 8, addresses=[2, 5]) as bus:
        assert read(bus.path, "--family", "daly-p81", "--address", "2", "5", "--json") == 0
    snapshots = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [snapshot["address"] for snapshot in snapshots] == [2, 5]
    assert snapshots[0]["readings"]["cell_voltages"] != snapshots[1]["readings"]["cell_voltages"]
    assert len({snapshot["id"] for snapshot in snapshots}) == 2


def test_one_of_two_packs_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "bus", "daly-p81", 8, addresses=[2]) as bus:
        code = read(bus.path, "--family", "daly-p81", "--address", "2", "5", "--json", "--timeout", "1.5")
    captured = capsys.readouterr()
    assert code == 3
    assert json.loads(captured.out)["address"] == 2
    assert captured.err.startswith("cellwire: daly-p81-5: ")


def test_over_tcp(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    port = jbd.run(jbd.simulator.tcp())
    assert read(f"tcp:127.0.0.1:{port}", "--family", "jbd", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "online"


@pytest.mark.parametrize("fault", ["echo=1", "noise=0.3", "split=0.5", "asleep=2", "duplicate=1"])
def test_a_line_with_faults(tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "pack", "jbd", faults=[fault]) as pack:
        assert read(pack.path, "--family", "jbd", "--json") == 0
        values = pack.simulator.twins[0].values
    readings = json.loads(capsys.readouterr().out)["readings"]
    assert readings["cell_voltages"] == pytest.approx(values["cell_voltages"], abs=0.02)


def test_zeros_after_waking_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "pack", "jbd", faults=["zero-after-wake=1"]) as pack:
        assert read(pack.path, "--family", "jbd", "--json") == 0
    assert json.loads(capsys.readouterr().out)["readings"]["voltage"] > 10


@pytest.mark.parametrize("link", ["nonsense", "ble:AA:BB:CC:DD:EE", "tcp:localhost", "serial:/dev/null?baud=x"])
def test_a_wrong_link_is_a_usage_error(link: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(link) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cellwire: ")
    assert len(captured.err.splitlines()) == 1


def test_an_unknown_family_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(tmp_path / "pack", "--family", "duracell") == 2
    assert "there is no family 'duracell'; known are jk, jbd, daly" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--address", "256"], ["--address", "x"], ["--timeout", "0"], ["--nonsense"]])
def test_a_wrong_option_is_a_usage_error(option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read("/dev/null", *option)
    assert caught.value.code == 2


def test_a_missing_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(tmp_path / "nothing", "--family", "jbd") == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is not there" in captured.err


def test_a_file_is_no_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert read(tmp_path / "file", "--family", "jbd") == 4
    assert "is not a serial port" in capsys.readouterr().err


def test_a_closed_tcp_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert read(f"tcp:127.0.0.1:{free.getsockname()[1]}", "--family", "jbd") == 4
    assert "refuses" in capsys.readouterr().err


def test_a_silent_pack(capsys: pytest.CaptureFixture[str]) -> None:
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        assert read(os.ttyname(slave), "--family", "jbd", "--address", "0", "--timeout", "1") == 3
    finally:
        os.close(master)
        os.close(slave)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "silent" in captured.err
    assert "wake the pack" in captured.err


def test_verbose_logs_every_byte(jbd: Served) -> None:
    run = called("-v", "read", jbd.path, "--family", "jbd", "--address", "0", "--json")
    assert run.returncode == 0
    assert "> dd a5 03 00 ff fd 77" in run.stderr
    assert "< dd 03 00" in run.stderr
    json.loads(run.stdout)
