"""What the strangers' tests share: a frozen pack on a terminal, and other people's programs as subprocesses."""

import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from cellwire.sim.model import ORIGIN
from cellwire.sim.server import Simulator, build

Serve = Callable[..., AbstractAsyncContextManager[tuple[Simulator, str, dict[str, Any]]]]

# Nine in the morning of a day it charges, twelve hours later it discharges.
MORNING = ORIGIN + 300 * 86400 + 9 * 3600.0
EVENING = MORNING + 12 * 3600.0


@pytest.fixture(params=[MORNING, EVENING], ids=["charging", "discharging"])
def moment(request: pytest.FixtureRequest) -> float:
    """Return a time at which the simulated packs charge, then one at which they discharge."""
    return float(request.param)


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return serve(dialect, **build options) -> context of (simulator, path of the terminal, values shown)."""

    @contextlib.asynccontextmanager
    async def on_a_terminal(dialect: str, **options: Any) -> AsyncIterator[tuple[Simulator, str, dict[str, Any]]]:
        # A clock that stands still, so that values can be compared.
        options.setdefault("clock", lambda: MORNING)
        simulator = build(dialect, **options)
        async with simulator:
            path = await simulator.pty(str(tmp_path / "port"))
            yield simulator, path, dict(simulator.twins[0].values)

    return on_a_terminal


async def run(program: str, *arguments: str, module: str, timeout: float = 30.0) -> str:
    """Return what a stranger's program prints; skips when its package is not installed, fails when it fails."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} IS NOT INSTALLED: pip install 'cellwire[strangers]' to let it read our twins")
    command = [sys.executable] if program == "python" else [sys.executable, str(Path(sys.executable).parent / program)]
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        pytest.fail(f"{program} {' '.join(arguments)}: no end after {timeout} s")
    finally:
        # asyncio closes the pipes a moment later; give it the moment before the loop goes.
        await asyncio.sleep(0)
    text = output.decode()
    assert process.returncode == 0, f"{program} failed ({process.returncode}): {text} {errors.decode()}"
    return text


async def run_json(program: str, *arguments: str, module: str) -> Any:
    """Return the JSON that a stranger's program prints."""
    return json.loads(await run(program, *arguments, module=module))


@pytest.fixture
def ask() -> Callable[..., Any]:
    """Return run_json: ask(program, *arguments, module=...) -> what it read."""
    return run_json
