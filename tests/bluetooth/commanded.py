"""The program as users start it, while the test's own loop plays the air."""

import asyncio
from typing import Any, NamedTuple

from served import command_of, environment


class Answer(NamedTuple):
    """What a run of the program gave."""

    code: int
    out: str
    errors: str


async def commanded(*words: Any, **variables: str) -> Answer:
    """Return the result of a whole run of Cellwire, with these variables in its environment."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command_of(*words), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment() | variables
    )
    try:
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Answer(process.returncode, out.decode(), errors.decode())
