"""cellwire watch: goes on through everything, gives the port back when asked to, and ends quietly."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, called, command_of, environment, running, served

from cellwire.cli import main


@pytest.fixture
def jbd(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "pack", "jbd") as pack:
        yield pack


def taken(path: str) -> int:
    """Return the open port, locked for this process alone; raise BlockingIOError when another has it."""
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(port)
        raise
    return port


def test_count_and_json_lines(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", jbd.path, "--family", "jbd", "--count", "3", "--every", "0.05", "--json"]) == 0
    captured = capsys.readouterr()
    snapshots = [json.loads(line) for line in captured.out.splitlines()]
    assert [snapshot["state"] for snapshot in snapshots] == ["online"] * 3
    times = [snapshot["time"] for snapshot in snapshots]
    assert times == sorted(set(times))
    assert captured.err == ""


def test_lines_for_people(jbd: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", jbd.path, "--family", "jbd", "--count", "2", "--every", "0.05"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(" jbd " in line and " voltage 1" in line and " soc " in line for line in lines)


def test_the_pace_is_kept(jbd: Served) -> None:
    began = time.monotonic()
    assert main(["watch", jbd.path, "--family", "jbd", "--count", "4", "--every", "0.3"]) == 0
    assert 0.9 <= time.monotonic() - began < 6.0


@pytest.mark.parametrize("extra", [["--count", "0"], ["--count", "x"], ["--every", "0"], ["--every", "nan"]])
def test_wrong_numbers(extra: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["watch", "/dev/null", *extra])
    assert caught.value.code == 2


def test_a_wrong_link_or_family_is_not_tried_for_ever() -> None:
    for words in (["nonsense"], ["/dev/null", "--family", "duracell"]):
        result = called("watch", *words)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1


def test_a_port_given_back_can_be_had_between_reads(jbd: Served) -> None:
    with running("watch", jbd.path, "--family", "jbd", "--every", "1", "--release", "--json") as watching:
        for _ in range(2):
            assert watching.until("online")
            os.close(taken(jbd.path))
        watching.until("online")
        port = taken(jbd.path)
        assert "in use" in watching.until("lost")["reason"]
        os.close(port)
        assert watching.until("online")
        assert watching.interrupt() == 0
    assert "Traceback" not in watching.errors


def test_without_release_the_port_is_kept(jbd: Served) -> None:
    with running("watch", jbd.path, "--family", "jbd", "--every", "0.3", "--json") as watching:
        for _ in range(3):
            watching.until("online")
            with pytest.raises(BlockingIOError):
                taken(jbd.path)


def test_unplugged_and_plugged_in_again(jbd: Served) -> None:
    with running("watch", jbd.path, "--family", "jbd", "--every", "0.2", "--json") as watching:
        before = watching.until("online")
        for _ in range(2):
            jbd.unplug()
            lost = watching.until("lost")
            assert lost["readings"]["voltage"] == pytest.approx(before["readings"]["voltage"], abs=1)
            assert lost["reason"]
            jbd.replug()
            back = watching.until("online")
            assert back["time"] > lost["time"]
        assert watching.interrupt() == 0
    assert watching.errors.count(" is lost: ") <= 2
    assert watching.errors.count(" is back ") == watching.errors.count(" is lost: ")
    assert "Traceback" not in watching.errors


def test_an_adapter_that_is_not_there_yet(tmp_path: Path) -> None:
    with served(tmp_path / "pack", "jbd") as jbd:
        jbd.unplug()
        with running("watch", jbd.path, "--family", "jbd", "--every", "0.2", "--json") as watching:
            watching.complaint("is not there")
            assert watching.process.poll() is None
            jbd.replug()
            assert watching.until("online")
            assert watching.interrupt() == 0
        assert watching.errors.count("trying again") == 1


@pytest.mark.parametrize("moment", ["while looking", "while reading"])
def test_ctrl_c(jbd: Served, tmp_path: Path, moment: str) -> None:
    link = jbd.path if moment == "while reading" else tmp_path / "nothing"
    with running("watch", link, "--family", "jbd", "--every", "0.1", "--json") as watching:
        if moment == "while reading":
            watching.until("online")
        else:
            watching.complaint("trying again")
        assert watching.interrupt() == 0
    assert "Traceback" not in watching.errors
    assert "Warning" not in watching.errors


def test_a_reader_that_leaves_is_no_error(jbd: Served) -> None:
    """The pipe of a shell: head takes one line and goes."""
    words = ["watch", jbd.path, "--family", "jbd", "--every", "0.05", "--json"]
    process = subprocess.Popen(
        command_of(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_another_master_is_only_listened_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "bus", "jk-pb", 8, addresses=[1, 2], baud=115200, faults=["second-master=1"]) as bus:
        words = ["watch", bus.path, "--family", "jk-pb", "--every", "0.5", "--count", "1", "--json"]
        assert main(words) == 0
        assert bus.simulator.requests == 0
    assert {1, 2} <= {json.loads(line)["address"] for line in capsys.readouterr().out.splitlines()}
