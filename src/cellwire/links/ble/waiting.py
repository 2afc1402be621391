"""Waiting for a Bluetooth library: never for ever, and to the end of what must not be left half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

GRACE = 3.0  # seconds in which work that was cancelled tidies up


async def limited(work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Return what the work gives within so many seconds; raise TimeoutError after them.

    Work that is cancelled has some seconds for tidying up. After these nobody waits for it any more: a call that the
    Bluetooth service never answers does not end by being cancelled either.
    """
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(task)
    finally:
        if not task.done():
            task.cancel()
            await _ended(task, GRACE)


async def settled(work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Return what the work gives, as `limited` does; one who is cancelled meanwhile is so when the work has ended."""
    task = asyncio.ensure_future(limited(work, seconds))
    await _ended(task)
    return task.result()


async def _ended(task: "asyncio.Future[Any]", seconds: float | None = None) -> None:
    """Wait until the task has ended or the time is over, then pass on that we were cancelled meanwhile."""
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    told: asyncio.CancelledError | None = None
    while not task.done() and (end is None or loop.time() < end):
        try:
            await asyncio.wait({task}, timeout=None if end is None else end - loop.time())
        except asyncio.CancelledError as error:
            told = error
    if task.done() and not task.cancelled():
        task.exception()  # nobody may be left to hear of it
    if told is not None:
        raise told
