"""Every command of every dialect, through the real control to a simulated pack: written, read back, undone, refused."""

from pathlib import Path
from typing import Any

import pytest
from written import ANNA, PACK, bench, edges, key_of, kinds, name_of_kind, quick

from cellwire.codec.command import ACTION, CHOICE, NUMBER, SWITCH, TEXT, Command, check, same
from cellwire.codec.dialect import Dialect
from cellwire.gateway.control import Denied

each_kind = pytest.mark.parametrize("kind", kinds(), ids=name_of_kind)
Kind = tuple[Dialect, str]


@each_kind
async def test_each_setting_is_written_read_back_and_undone(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    wrong = []
    async with bench(*kind, tmp_path) as pack:
        settings = pack.settings()
        assert settings
        for command, number in settings:
            key, before, wanted = key_of(command, number), pack.shown(command, number), pack.another(command, number)
            if wanted is None:
                # The other state of a switch may make no sense now; a number always has neighbours.
                if command.kind == NUMBER:
                    wrong.append(f"{key}: no other value than {before} passes")
                continue
            done = await pack.one(key, wanted)
            if done.result != "done" or not same(command, done.found, wanted):
                wrong.append(f"{key} = {wanted}, it was {before}: {done.result}, {done.found}, {done.reason}")
                continue
            beside = pack.problem(command, number, before)
            if "calibrat" in command.name:
                with pytest.raises(Denied, match="cannot be taken back"):
                    await pack.control.undo(PACK, ANNA, confirmed=True)
                continue
            (back,) = await pack.control.undo(PACK, ANNA, confirmed=True)
            if beside:
                # Some captured packs were set to what makes no sense, and nobody is helped back to that.
                assert (back.result, back.reason) == ("refused", beside)
                continue
            if back.result != "done" or not same(command, back.found, before):
                wrong.append(f"{key} back to {before}: {back.result}, {back.found}, {back.reason}")
                continue
            undone, entry = pack.entries()[:2]
            assert (undone["command"], undone["result"], undone["undo"]) == (key, "done", entry["entry"])
            assert (entry["command"], entry["result"]) == (key, "done")
            assert (entry["who"], entry["source"], entry["wanted"]) == ("anna", "page", wanted)
    assert wrong == []


def outside(command: Command) -> list[Any]:
    """Return values just beyond what a command takes, and of a wrong kind."""
    if command.kind == SWITCH:
        return [2, "on", None]
    if command.kind == ACTION:
        return [False, 2]
    if command.kind == CHOICE:
        return ["", "nothing of the sort", 0]
    if command.kind == TEXT:
        return ["A" * (int(command.high) + 1), "ü" * max(1, int(command.low)), 1]
    step = command.step
    return [command.low - step, command.high + step, -1e9, 1e12, float("nan"), float("inf"), "1", True]


@each_kind
async def test_what_is_out_of_range_never_reaches_the_link(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        sent = len(pack.sent)
        for command in pack.commands():
            key = key_of(command, command.count)
            for value in outside(command):
                result = await pack.one(key, value)
                assert (result.result, result.command) == ("refused", key), (value, result)
                assert command.name in result.reason
            wrong_number = f"{command.name}/{command.count + 1}"
            assert (await pack.one(wrong_number, edges(command)[0])).result == "refused"
            assert {entry["result"] for entry in pack.entries()} == {"refused"}
            pack.journal.path.unlink()  # each entry reads the whole of it
        assert len(pack.sent) == sent


@each_kind
async def test_what_is_in_range_can_be_sent_or_the_neighbours_forbid_it(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest and the highest value of each command: bytes for it, or a sentence that begins with its name."""
    quick(monkeypatch, kind[0])
    commands = kind[0].commands
    assert commands is not None
    async with bench(*kind, tmp_path) as pack:
        for command in pack.commands():
            for value in edges(command):
                taken = check(command, command.count, value)
                problem = pack.problem(command, command.count, taken)
                if problem:
                    assert problem.startswith(command.name)
                    continue
                frames = commands.encode(command, command.count, taken, pack.poller.address, pack.known)
                assert frames
                assert all(frames)
