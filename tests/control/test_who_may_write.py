"""What is not allowed, not confirmed or not known sends no byte of a write, in every dialect, and is in the journal."""

import asyncio
import json
from pathlib import Path

import pytest
from written import PACK, Bench, bench, edges, key_of, kinds, name_of_kind, quick

from cellwire.codec.command import CONFIGURE, GRANTS, OPERATE, SERVICE, UNPROVEN
from cellwire.codec.dialect import Dialect
from cellwire.gateway.writing import Who

each_kind = pytest.mark.parametrize("kind", kinds(), ids=name_of_kind)
Kind = tuple[Dialect, str]
BELOW = {OPERATE: "read", CONFIGURE: OPERATE, SERVICE: CONFIGURE}


def mode_frames(pack: Bench) -> list[list[bytes]]:
    """Return the frames that enter the dialect's mode, and those that leave it in any way; [] without a mode."""
    commands = pack.dialect.commands
    assert commands is not None
    mode = commands.mode
    if mode is None:
        return []
    ways = ((mode.enter,), (mode.leave, mode.save))
    address, known = pack.poller.address, pack.known
    return [[commands.encode(command, 0, True, address, known)[-1] for command in way] for way in ways]


def questions(pack: Bench) -> set[bytes]:
    """Return every request that changes nothing: what only asks, and entering and leaving the mode for it."""
    dialect, address = pack.dialect, pack.poller.address
    found = {dialect.request(query, address) for query in dialect.queries}
    found |= {frame for frames in dialect.around or () for frame in frames}
    found |= {frame for frames in mode_frames(pack) for frame in frames}
    return found | ({dialect.wake} if dialect.wake else set())


def writes(pack: Bench, begun: int) -> list[str]:
    """Return what was sent since then that is no question, in hex."""
    asked = questions(pack)
    return [frame.hex() for frame in pack.sent[begun:] if frame not in asked]


@each_kind
async def test_nothing_is_sent_for_who_may_not(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        begun = len(pack.sent)
        for command in pack.commands():
            key, value = key_of(command, command.count), edges(command)[-1]
            less = BELOW[command.grant]
            assert GRANTS.index(less) < GRANTS.index(command.grant)
            stranger = Who("otto", "mqtt", less)
            refused = await pack.one(key, value, who=stranger)
            assert refused.result == "refused", refused
            assert f'otto may do no more than "{less}"' in refused.reason
            pack.grant = less
            refused = await pack.one(key, value)
            pack.grant = SERVICE
            assert refused.result == "refused", refused
            assert f'it takes grant = "{command.grant}"' in refused.reason
            mine, others = pack.entries()[:2]
            assert (others["who"], others["source"], others["result"]) == ("otto", "mqtt", "refused")
            assert (mine["who"], mine["command"], mine["reason"]) == ("anna", key, refused.reason)
        assert len(pack.sent) == begun


@each_kind
async def test_nothing_is_sent_that_is_unknown_or_unproven(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        begun = len(pack.sent)
        assert (await pack.one("self_destruction", True)).result == "refused"
        assert "no such setting" in pack.entries()[0]["reason"]
        for command in pack.commands():
            if command.proof == UNPROVEN:
                key, value = key_of(command, command.count), edges(command)[-1]
                refused = await pack.one(key, value, unproven=False)
                assert refused.result == "refused", refused
                assert "nobody has shown" in refused.reason
                assert pack.entries()[0]["reason"] == refused.reason
        assert len(pack.sent) == begun


@each_kind
async def test_a_danger_has_to_be_confirmed(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is only planned is not done either."""
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        begun = len(pack.sent)
        for command in pack.commands():
            key, value = key_of(command, command.count), edges(command)[-1]
            if command.danger:
                refused = await pack.one(key, value, confirmed=False)
                assert refused.result == "refused", refused
                assert command.danger in refused.reason or refused.reason.startswith(command.name), refused
                assert pack.entries()[0]["result"] == "refused"
            elif command.kind != "action":
                entries = len(pack.entries())
                (planned,) = await pack.control.plan(PACK, {key: value}, Who("anna", "page", SERVICE), unproven=True)
                assert planned.result in ("", "refused"), planned
                assert planned.frames or planned.reason or command.secret
                assert len(pack.entries()) == entries
        assert writes(pack, begun) == []


@each_kind
async def test_two_who_write_at_once_do_not_get_between_each_other(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    # What is polled beside it may be asked first.
    monkeypatch.setattr(kind[0].commands, "settle", 3.0)
    async with bench(*kind, tmp_path) as pack:
        settings = [each for each in pack.settings() if "clock" not in each[0].name]
        chosen = settings[:1] + settings[-1:]
        changes = {key_of(*each): pack.another(*each) for each in chosen}
        begun, lines = len(pack.sent), len(pack.journal.path.read_text().splitlines()) if pack.entries() else 0
        polling = asyncio.create_task(poll(pack))
        results = await asyncio.gather(
            *[pack.write({key: value}, Who(key, "api", SERVICE)) for key, value in changes.items()]
        )
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        assert [result.result for (result,) in results] == ["done"] * len(chosen), results
        for (result,) in results:
            # Some have a frame before it that unlocks the pack, the same for all.
            assert pack.sent[begun:].count(bytes.fromhex(result.frames[-1])) == 1
        journal = [json.loads(line)["entry"] for line in pack.journal.path.read_text().splitlines()[lines:]]
        assert journal == sorted(journal)
        assert len(journal) == 2 * len(chosen)
        if modes := mode_frames(pack):
            turns = [
                "in" if frame in modes[0] else "out" for frame in pack.sent[begun:] if frame in modes[0] + modes[1]
            ]
            assert turns == ["in", "out"] * (len(turns) // 2)


async def poll(pack: Bench) -> None:
    """Poll without a pause, as a gateway does beside a write."""
    while True:
        await pack.poller.step()
        await asyncio.sleep(0.001)
