"""Writes registers to packs: what a client asked for becomes commands, and their results become an exception code."""

import asyncio
from collections.abc import Sequence

from ...gateway.control import DONE, OPERATE, READ, Control, Result, Who
from ..offer import SettingsReader
from . import settable
from .units import Units

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, FAILED, ACKNOWLEDGE, BUSY = 1, 2, 3, 4, 5, 6
LOOK = 0.02  # seconds between looks whether a pack that is busy is free
OVER_TCP, OVER_SERIAL = 5.0, 0.3  # seconds to wait for a pack that is busy
PATIENCE = 0.7  # seconds to wait for a result on a serial line: masters wait a second, then others speak


class Writes:
    """What is written over Modbus, one request a pack at a time.

    reader: is told when settings were changed
    """

    def __init__(self, units: Units, control: Control | None, grant: str, reader: SettingsReader | None = None) -> None:
        self._units = units
        self._control = control
        self._grant = grant
        self._reader = reader
        self._under_way: dict[str, asyncio.Task[int]] = {}  # by pack

    async def over_tcp(self, unit: int, first: int, content: bytes, client: str) -> int:
        """Return 0 when it is done, else the exception code, as soon as that is known."""
        task = self._begin(unit, first, content, client, OVER_TCP)
        return await asyncio.shield(task) if task else BUSY

    async def over_serial(self, unit: int, first: int, content: bytes, client: str) -> int:
        """Return the same, or ACKNOWLEDGE while it is being done when nobody waits any longer."""
        task = self._begin(unit, first, content, client, OVER_SERIAL)
        if task is None:
            return BUSY
        await asyncio.wait([task], timeout=PATIENCE)
        return task.result() if task.done() else ACKNOWLEDGE

    def malformed(self, unit: int) -> int:
        """Return the exception code of a request to write that makes no sense."""
        return ILLEGAL_FUNCTION if self._is_off(self._units.names[unit]) else ILLEGAL_VALUE

    def _is_off(self, name: str) -> bool:
        """Return whether nothing can be written to a pack or bank."""
        return self._control is None or self._control.allowed(name, self._grant) == READ

    def _begin(self, unit: int, first: int, content: bytes, client: str, patience: float) -> "asyncio.Task[int] | None":
        """Return the work on it, which goes on when nobody waits for it; None when there is such work already."""
        name = self._units.names[unit]
        if name in self._under_way:
            return None
        task = asyncio.create_task(self._do(name, first, content, client, patience))
        self._under_way[name] = task
        task.add_done_callback(lambda _: self._under_way.pop(name))
        return task

    async def _do(self, name: str, first: int, content: bytes, client: str, patience: float) -> int:
        off, control = self._is_off(name), self._control
        if control is None or name not in self._units.store.packs:
            return ILLEGAL_FUNCTION
        try:
            wanted = settable.changes(first, content)
        except settable.Missing:
            return ILLEGAL_FUNCTION if off else ILLEGAL_ADDRESS
        except settable.Wrong:
            return ILLEGAL_FUNCTION if off else ILLEGAL_VALUE
        who = Who(client, "modbus", self._grant)
        if off:
            await control.write(name, wanted, who)  # to be refused, and written down
            return ILLEGAL_FUNCTION
        there = {command.name: command for command in control.commands(name)}
        if not wanted.keys() <= there.keys():
            return ILLEGAL_ADDRESS if self._units.store.is_live(name) else FAILED
        if not await self._is_free(control, name, patience):
            return BUSY
        results = await control.write(name, wanted, who)
        if self._reader and any(result.frames and there[result.command].grant != OPERATE for result in results):
            self._reader.again(self._units.store.packs[name].id)
        return self._code(name, results)

    async def _is_free(self, control: Control, name: str, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while control.busy(name):
            if loop.time() >= end:
                return False
            await asyncio.sleep(LOOK)
        return True

    def _code(self, name: str, results: Sequence[Result]) -> int:
        """Return 0 when all is done; whether a rule or the pack stands in the way, when it is not."""
        if all(result.result == DONE for result in results):
            return 0
        sent = any(result.frames for result in results)
        return FAILED if sent or not self._units.store.is_live(name) else ILLEGAL_VALUE
