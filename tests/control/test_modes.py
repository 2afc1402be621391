"""A pack that has to be put into a mode for a write is never left in it, whatever happens meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from written import ANNA, PACK, Bench, bench, key_of, kinds, name_of_kind, quick

from cellwire.codec.command import NUMBER, Command
from cellwire.codec.dialect import Dialect
from cellwire.gateway import writing

Kind = tuple[Dialect, str]
WITH_MODE = [kind for kind in kinds() if kind[0].commands is not None and kind[0].commands.mode is not None]
each_kind = pytest.mark.parametrize("kind", WITH_MODE, ids=name_of_kind)


def frames(pack: Bench, *commands: Command) -> list[bytes]:
    """Return the last frame of each of these commands of the mode."""
    assert pack.dialect.commands is not None
    encode = pack.dialect.commands.encode
    return [encode(command, 0, True, pack.poller.address, pack.known)[-1] for command in commands]


def turns(pack: Bench, begun: int) -> list[str]:
    """Return how the mode was entered and left since then: "in", "out" without keeping, "kept"."""
    assert pack.mode is not None
    names = dict(
        zip(frames(pack, pack.mode.enter, pack.mode.leave, pack.mode.save), ("in", "out", "kept"), strict=True)
    )
    return [names[frame] for frame in pack.sent[begun:] if frame in names]


def setting(pack: Bench) -> tuple[str, object]:
    """Return a number that wants the mode, as (key, another value)."""
    there = [each for each in pack.settings() if each[0].mode and each[0].kind == NUMBER and each[0].saves]
    return key_of(*there[0]), pack.another(*there[0])


@each_kind
async def test_the_mode_is_left_and_kept_what_was_written(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        key, value = setting(pack)
        begun = len(pack.sent)
        assert (await pack.one(key, value)).result == "done"
        assert turns(pack, begun) == ["in", "kept"]
        begun = len(pack.sent)
        assert (await pack.one(key, value)).reason == "it was so before; nothing sent"
        await pack.control.plan(PACK, {key: pack.another(pack.command(key), 0)}, ANNA, unproven=True)
        assert not await pack.control.read(PACK, ANNA)
        assert turns(pack, begun) == ["in", "out"] * 3


@each_kind
@pytest.mark.parametrize("fault", ["ignore-writes", "refuse", "clamp", "drop-after-write"])
async def test_the_mode_is_left_after_a_fault(
    kind: Kind, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        key, value = setting(pack)
        begun = len(pack.sent)
        pack.fault(fault)
        result = await pack.one(key, value)
        assert result.result == {"refuse": "refused", "drop-after-write": "done"}.get(fault, "not_confirmed"), result
        assert turns(pack, begun)[0] == "in"
        assert turns(pack, begun)[-1] == ("out" if fault == "refuse" else "kept")


@each_kind
async def test_the_mode_is_left_when_the_caller_goes_away(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is closed in the middle of it: what was begun goes on to its end."""
    quick(monkeypatch, kind[0])
    async with bench(*kind, tmp_path) as pack:
        key, value = setting(pack)
        begun = len(pack.sent)
        caller = asyncio.create_task(pack.one(key, value))
        await until(lambda: bool(turns(pack, begun)))
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await pack.control.finish()
        assert turns(pack, begun) == ["in", "kept"]
        assert pack.entries()[0]["result"] == "done"


@each_kind
async def test_the_mode_is_left_as_soon_as_a_lost_pack_is_back(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, kind[0])
    monkeypatch.setattr(writing, "BACK", 0.2)
    async with bench(*kind, tmp_path) as pack:
        key, value = setting(pack)
        begun = len(pack.sent)
        lose_after(pack, lambda: bool(turns(pack, begun)), pack.simulator.unplug)
        result = await pack.one(key, value)
        assert result.result in ("refused", "not_confirmed")
        assert pack.poller.owed
        while_away = len(pack.sent)
        await pack.simulator.replug()
        for _ in range(5):
            if await pack.poller.step():
                break
        assert turns(pack, while_away)[-1] in ("out", "kept")
        assert not pack.poller.owed


def lose_after(pack: Bench, when: Callable[[], bool], lose: Callable[[], Awaitable[None]]) -> None:
    """Have the link lost with the first request that is sent after that."""
    link = pack.poller.session.link
    send = link.send

    async def sending(data: bytes) -> None:
        due = when()
        await send(data)
        if due:
            link.send = send  # type: ignore[method-assign]
            await lose()

    link.send = sending  # type: ignore[method-assign]


async def until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.001)
