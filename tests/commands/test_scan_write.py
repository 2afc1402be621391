"""cellwire scan --write: what answers gets into the configuration, and what is there stays as it is."""

import json
import os
from pathlib import Path

import pytest
from served import served

from cellwire.cli import main
from cellwire.gateway.config import load


def test_a_first_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "van", "jbd") as van:
        words = ["scan", van.path, str(tmp_path / "nothing"), "--family", "jbd", "--write", "-c", str(path)]
        assert main(words) == 0
    out = capsys.readouterr().out
    pack = load(path).packs[0]
    assert (pack.link, pack.family, pack.address) == (van.path, "jbd", None)
    assert f"    added to {path} as {pack.name!r}\n" in out
    assert len(load(path).packs) == 1
    assert "# listen = " in path.read_text(encoding="utf-8")


def test_a_bus_is_added_to_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "bus", "jk-pb", addresses=(1, 2, 3)) as bus:
        before = f'# mine\n[[pack]]\nname = "old" # keep\nlink = "{bus.path}"\nfamily = "jk-pb"\naddress = 2\n\n[web]\n'
        path.write_text(before, encoding="utf-8")
        words = ["scan", bus.path, "--family", "jk-pb", "--write", "--config", str(path), "--json"]
        assert main(words) == 0
        found = json.loads(capsys.readouterr().out)[0]["packs"]
        assert [(pack["address"], pack["added"]) for pack in found] == [(1, True), (2, False), (3, True)]
        assert found[1]["name"] == "old"
        text = path.read_text(encoding="utf-8")
        assert text.startswith(before.partition("\n[web]")[0])
        assert text.endswith("\n[web]\n")
        config = load(path)
        assert [pack.address for pack in config.packs] == [2, 1, 3]
        assert len({pack.name for pack in config.packs}) == 3
        assert main(words) == 0
    assert path.read_text(encoding="utf-8") == text


def test_a_pack_without_address_stands_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cellwire.toml"
    with served(tmp_path / "bus", "jk-pb", addresses=(1, 2)) as bus:
        text = f'[[pack]]\nname = "old"\nlink = "serial:{bus.path}?baud=115200"\n'
        path.write_text(text, encoding="utf-8")
        assert main(["scan", bus.path, "--family", "jk-pb", "--write", "-c", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"is in {path} already, as 'old'" in out
    assert "has a pack without an address on this link" in out
    assert path.read_text(encoding="utf-8") == text


def test_a_file_with_mistakes_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cellwire.toml"
    path.write_text("[[pack]]\nname = 3\n", encoding="utf-8")
    assert main(["scan", str(tmp_path / "nothing"), "--write", "-c", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == f"cellwire: {path} has mistakes, and nothing was asked or changed:"
    assert [line.partition(": ")[0] for line in captured.err.splitlines()[1:]] == [f"{path}:1", f"{path}:2"]
    assert path.read_text(encoding="utf-8") == "[[pack]]\nname = 3\n"


def test_nothing_found_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cellwire.toml"
    assert main(["scan", str(tmp_path / "nothing"), "--write", "-c", str(path)]) == 3
    assert not path.exists()
    assert "PortMissing" in capsys.readouterr().out


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path / "van", "jbd") as van:
        path = tmp_path / "nowhere/cellwire.toml"
        assert main(["scan", van.path, "--family", "jbd", "--write", "-c", str(path)]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert not os.path.lexists(path.parent)
