"""Parts that are kept running: an error costs one part a moment, what is not wanted ends, what did not change stays."""

import asyncio
import logging

import pytest

from cellwire.gateway import keeper
from cellwire.gateway.keeper import Keeper


class Made:
    """A part that fails as often as it is told to."""

    def __init__(self, title: str, failures: int = 0) -> None:
        self.title = title
        self.failures = failures
        self.runs = 0
        self.ended = 0
        self.reasons: list[str] = []

    async def run(self) -> None:
        self.runs += 1
        try:
            if self.runs <= self.failures:
                raise KeyError(self.title)
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    def failed(self, reason: str) -> None:
        self.reasons.append(reason)


async def until_running(part: Made, runs: int) -> None:
    async with asyncio.timeout(5):
        while part.runs < runs:
            await asyncio.sleep(0.01)


async def test_keeps_what_did_not_change() -> None:
    kept: Keeper[Made] = Keeper()
    one, two, three = Made("one"), Made("two"), Made("three")
    kept.start({"a": lambda: one, "b": lambda: two})
    await until_running(two, 1)
    await kept.keep({"a", "c"})
    kept.start({"a": lambda: three, "c": lambda: three})
    await until_running(three, 1)
    assert kept.parts == [one, three]
    assert (one.runs, one.ended, two.ended) == (1, 0, 1)
    await kept.keep(())
    assert (one.ended, three.ended) == (1, 1)
    assert not kept.parts


async def test_runs_again_after_an_error_and_says_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "AGAIN", 0.01)
    kept: Keeper[Made] = Keeper()
    bad, good = Made("bad", failures=3), Made("good")
    with caplog.at_level(logging.ERROR, "cellwire"):
        kept.start({1: lambda: bad, 2: lambda: good})
        await until_running(bad, 4)
    assert (bad.runs, good.runs) == (4, 1)
    assert bad.reasons == [keeper.ERROR_WORDS] * 3
    assert caplog.text.count("please report it") == 1
    await kept.keep(())
