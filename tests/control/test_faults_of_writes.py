"""Packs that ignore, refuse, bend or lose a write: what is told about it is what the pack shows, in every dialect."""

from pathlib import Path
from typing import Any

import pytest
from written import ANNA, PACK, Bench, bench, key_of, kinds, name_of_kind, quick

from cellwire.codec.command import NUMBER, SWITCH, Command, same
from cellwire.codec.dialect import Dialect

each_kind = pytest.mark.parametrize("kind", kinds(), ids=name_of_kind)
Kind = tuple[Dialect, str]

# Their protocol has no way to say no: the pack stays silent.
WITHOUT_NO = ("jk-uart", "jk02", "jk04", "jbd-up", "daly-a5")


def sample(pack: Bench) -> list[tuple[Command, int]]:
    """Return some commands that the pack shows: a switch, and numbers from the middle and the end."""
    settings = pack.settings()
    switches = [each for each in settings if each[0].kind == SWITCH]
    numbers = [each for each in settings if each[0].kind == NUMBER and "clock" not in each[0].name]
    found = switches[:1] + numbers[len(numbers) // 2 :][:1] + numbers[-1:]
    assert found
    return found


def far(pack: Bench, command: Command, number: int) -> Any:
    """Return a value so far from the present one that half of the way is neither, None when there is none."""
    before, wanted = pack.shown(command, number), pack.another(command, number)
    if command.kind != NUMBER or wanted is None or same(command, (before + wanted) / 2, wanted):
        return None
    return None if abs(wanted - before) < 4 * max(command.step, 2 * command.near) - 1e-9 else wanted


@each_kind
async def test_a_pack_that_ignores_writes(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        pack.fault("ignore-writes")
        for command, number in sample(pack):
            before = pack.shown(command, number)
            result = await pack.one(key_of(command, number), pack.another(command, number))
            assert result.result == "not_confirmed", result
            assert same(command, result.found, before), result
            assert "still shows" in result.reason
            assert pack.entries()[0]["result"] == "not_confirmed"
            assert pack.entries()[0]["found"] == result.found


@each_kind
async def test_a_pack_that_refuses(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        pack.fault("refuse")
        for command, number in sample(pack):
            before, wanted = pack.shown(command, number), pack.another(command, number)
            result = await pack.one(key_of(command, number), wanted)
            if kind[0].name in WITHOUT_NO:
                assert result.result == "not_confirmed", result
                assert "answer" in result.reason
            else:
                assert result.result == "refused", result
                assert len(result.reason.split()) > 3, result.reason
                # A second time only where the first no may mean that a mode is wanted.
                assert pack.times_heard(result.frames[-1]) in ((1, 2) if pack.mode else (1,))
            assert pack.entries()[0]["result"] == result.result
            assert pack.entries()[0]["reason"] == result.reason
            pack.fault()
            assert not await pack.control.read(PACK, ANNA)
            assert same(command, pack.shown(command, number), before), command.name
            pack.fault("refuse")


@each_kind
async def test_a_pack_that_takes_half(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, kind[0])
    tried = 0
    async with bench(*kind, tmp_path) as pack:
        pack.fault("clamp")
        for command, number in sample(pack):
            before, wanted = pack.shown(command, number), far(pack, command, number)
            if wanted is None:
                continue
            tried += 1
            result = await pack.one(key_of(command, number), wanted)
            assert result.result == "not_confirmed", result
            assert min(before, wanted) < result.found < max(before, wanted), result
            assert "instead" in result.reason
            assert pack.entries()[0]["found"] == result.found
        assert tried or not [each for each in pack.settings() if far(pack, *each) is not None]


@each_kind
async def test_a_link_that_is_lost_before_the_answer(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is sent once and never again; what became of it is read when the link is back."""
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        for command, number in sample(pack):
            wanted = pack.another(command, number)
            pack.fault("drop-after-write")
            begun = len(pack.heard)
            result = await pack.one(key_of(command, number), wanted)
            pack.fault()
            assert result.result == "done", result
            assert same(command, result.found, wanted), result
            assert "the answer was lost" in result.reason
            for frame in result.frames:
                assert pack.heard[begun:].count(bytes.fromhex(frame)) == 1, command.name
            assert pack.entries()[0]["result"] == "done"
