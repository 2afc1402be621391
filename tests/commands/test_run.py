"""cellwire run as people start it: configuration with mistakes, first start, reload, and the end."""

import json
import os
import random
import signal
import socket
import sqlite3
import time
import urllib.request
from pathlib import Path

from served import Running, called, running, served


def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def event(process: Running, kind: str) -> dict[str, object]:
    """Return the next event of that kind."""
    for _ in range(50):
        found: dict[str, object] = json.loads(process.line())
        if found["kind"] == kind:
            return found
    raise AssertionError(f"no {kind}")


def online(number: int, *names: str) -> None:
    """Wait until these packs, and no others, are online."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://127.0.0.1:{number}/api/v1/packs", timeout=10) as answer:
            packs = json.load(answer)["packs"]
        if [pack["pack"] for pack in packs if pack["state"] == "online"] == list(names):
            return
        time.sleep(0.05)
    raise AssertionError(packs)


def test_six_mistakes_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    path.write_text(
        """[web]
listen = "6789"
[[pack]]
nmae = "shed"
link = "/dev/ttyUSB0"
family = "jkk"
every = 0.01
[[bank]]
name = "house"
packs = ["garage"]
""",
        encoding="utf-8",
    )
    for result in (called("run", "-c", path), called("run", "-c", path, "--check")):
        assert result.returncode == 2
        lines = [line for line in result.stderr.splitlines() if str(path) in line or "cellwire.toml:" in line]
        assert len(lines) >= 6, result.stderr
        for number in (2, 3, 4, 6, 7, 10):
            assert any(f"cellwire.toml:{number}:" in line for line in lines), (number, result.stderr)
        assert 'is it "name"' in result.stderr or "name" in result.stderr
        assert not result.stdout


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = called("run", "-c", tmp_path / "not/here.toml")
    assert result.returncode == 2
    assert "folder" in result.stderr


def test_checks_only(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    path.write_text('[[pack]]\nname = "shed"\nlink = "/dev/ttyUSB0"\n', encoding="utf-8")
    result = called("run", "--check", "-c", path)
    assert result.returncode == 0
    assert "1 pack" in result.stdout
    assert list(tmp_path.iterdir()) == [path]


def test_runs_reloads_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "shed", "jbd") as shed, served(tmp_path / "van", "jbd") as van:
        number = port()
        text = f'[web]\nlisten = "127.0.0.1:{number}"\nguests = true\n[history]\nevery = 0.5\n'
        one = f'[[pack]]\nname = "shed"\nlink = "{shed.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        two = one.replace("shed", "van").replace(shed.path, van.path)
        path.write_text(text + one, encoding="utf-8")
        with running("run", "--json", "-c", path) as process:
            event(process, "start")
            process.complaint("setup")
            online(number, "shed")
            path.write_text(text + one + two, encoding="utf-8")
            process.process.send_signal(signal.SIGHUP)
            assert "read again" in str(event(process, "configuration")["text"])
            online(number, "shed", "van")
            path.write_text("nonsense = 1\n", encoding="utf-8")
            process.process.send_signal(signal.SIGHUP)
            assert "mistakes" in str(event(process, "configuration")["text"])
            process.complaint("cellwire.toml:1")
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0
            event(process, "stop")
    with sqlite3.connect(tmp_path / "cellwire.db") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# The number of kills: a few in the everyday run, as many as wanted with CELLWIRE_KILLS.
KILLS = int(os.environ.get("CELLWIRE_KILLS", "3"))
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")


def meters(number: int) -> dict[str, float]:
    """Return the meters of all packs and banks as the API shows them, by id and name."""
    found = {}
    for kind in ("packs", "banks"):
        with urllib.request.urlopen(f"http://127.0.0.1:{number}/api/v1/{kind}", timeout=10) as answer:
            for each in json.load(answer)[kind]:
                readings = each["readings"]
                found.update({f"{each['id']} {name}": readings[name] for name in METERS if name in readings})
    return found


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The file is whole, and no meter that was shown goes back; boards without a number of their own stay apart."""
    chance = random.Random(7)
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "shed", "jbd") as shed, served(tmp_path / "van", "jbd") as van:
        number = port()
        text = f'[web]\nlisten = "127.0.0.1:{number}"\nguests = true\n[history]\nevery = 0.5\ncommit = 1.0\n'
        for name, each in (("shed", shed), ("van", van)):
            text += f'[[pack]]\nname = "{name}"\nlink = "{each.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        path.write_text(text + '[[bank]]\nname = "house"\npacks = ["shed", "van"]\n', encoding="utf-8")
        shown: dict[str, float] = {}
        for kill in range(KILLS + 1):
            with running("run", "-c", path) as process:
                process.complaint("setup")
                online(number, "shed", "van")
                end = time.monotonic() + (chance.uniform(0.0, 4.0) if kill < KILLS else 4.0)
                found: dict[str, float] = {}
                while time.monotonic() < end or not shown.keys() <= found.keys():
                    assert time.monotonic() < end + 10, f"{shown.keys() - found.keys()} after {kill} kills"
                    found = meters(number)
                    back = {key: (shown[key], value) for key, value in found.items() if value < shown.get(key, 0.0)}
                    assert not back, f"after {kill} kills"
                    shown = {**shown, **found}
                    time.sleep(0.05)
                process.process.kill()
                process.process.wait(20)
            result = called("history", "verify", tmp_path / "cellwire.db")
            assert result.returncode == 0, result.stdout + result.stderr
    assert len({key.split()[0] for key in shown}) == 3, shown
    assert all(value for key, value in shown.items() if key.endswith("charge_out")), shown


def test_a_port_in_use(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path.write_text(f'[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n', encoding="utf-8")
        result = called("run", "-c", path)
    assert result.returncode == 2
    assert "taken" in result.stderr
    assert "listen" in result.stderr


def test_without_a_configuration_it_waits_for_one(tmp_path: Path) -> None:
    path = tmp_path / "cellwire.toml"
    with running("run", "-c", path) as process:
        process.complaint("No pack is configured")
        process.complaint("setup")
        assert process.interrupt() == 0
    assert not path.exists()
