"""The first start of cellwire run, at a terminal: what answers is offered, and written down when somebody says yes."""

import asyncio
import os
from pathlib import Path

import pytest
from served import served

from cellwire.commands.run import offered
from cellwire.gateway.app import config_of


async def test_what_was_found_is_offered_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cellwire.toml"
    keyboard, terminal = os.openpty()
    with served(tmp_path / "shed", "jbd") as shed, os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("cellwire.gateway.scan.links", lambda: [shed.path])
        empty = config_of(path)
        os.write(keyboard, b"n\n")
        assert await offered(empty, asyncio.Event()) is empty
        assert not path.exists()
        os.write(keyboard, b"\n")
        found = await offered(empty, asyncio.Event())
    os.close(keyboard)
    assert [(pack.link, pack.family) for pack in found.packs] == [(shed.path, "jbd")]
    assert "jbd" in capsys.readouterr().err
    assert config_of(path) == found


async def test_nobody_has_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = config_of(tmp_path / "cellwire.toml")
    keyboard, terminal = os.openpty()
    stop = asyncio.Event()
    with served(tmp_path / "shed", "jbd") as shed:
        monkeypatch.setattr("cellwire.gateway.scan.links", lambda: [shed.path])
        with open(os.devnull, encoding="utf-8") as nobody:
            monkeypatch.setattr("sys.stdin", nobody)
            assert await offered(empty, stop) is empty
            assert "scan --write" in capsys.readouterr().err
        with os.fdopen(terminal) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            asyncio.get_running_loop().call_later(3.0, stop.set)
            assert await offered(empty, stop) is empty, "Ctrl-C ends the waiting"
    os.close(keyboard)
    assert not empty.path.exists()
