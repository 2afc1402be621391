"""Packs of other makers as the library aiobmsble recorded them: its own tests play them, here on the fake air.

The recordings are in the library's source archive, which tools/breadth.sh unpacks beside the environment.
"""

import asyncio
import contextlib
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from bluez import FakeDevice, full

Play = Callable[[], Coroutine[Any, Any, None]]

# The test that reads a recorded pack whole, by the names that it has.
TESTS = ("test_update", "test_update_discharging", "test_async_update_discharging")
# What the tests are called with beside a variant: names whose digits are a key, or belong to a model.
NAMES = {"dev_name": ("TBA-MockBLEDevice_C0FE",), "ogt_bms_name": ("SmartBat-A12345", "SmartBat-B12294")}
# Characteristics beside the two that each type names.
OTHERS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "superb_v2_bms": (("e0fef452-9d2b-4005-a1e3-69fe1102b436", ("notify",)),),
    "tdt_bms": (("fffa", ("read", "write")),),
}
# A template, and a master that tells only of the packs inside of it (test_guest_family.py has one).
WITHOUT = ("dummy_bms", "dometic_bms")
BEAT = 0.05  # seconds between two records of those that send by themselves


class Recorded(NamedTuple):
    """One recorded pack: the test, and the name and value of its parameter."""

    type: str
    module: ModuleType
    test: Callable[..., Awaitable[None]]
    parameter: str = ""
    value: Any = None

    @property
    def name(self) -> str:
        """Return the type with what is special about this pack."""
        return f"{self.type}-{self.value}" if self.parameter else self.type


def folder() -> Path | None:
    """Return where the recordings are, None where they or the library are not."""
    try:
        found = Path(sys.prefix) / "recorded" / version("aiobmsble")
    except PackageNotFoundError:
        return None
    return found if found.is_dir() else None


def recorded() -> list[Recorded]:
    """Return all recorded packs."""
    place = folder()
    if place is None:
        return []
    sys.path.append(str(place))  # behind the installed library, which is in the archive too
    found = []
    for path in sorted(place.glob("tests/bms/test_*.py")):
        module = importlib.import_module(f"tests.bms.{path.stem}")
        test = next((getattr(module, name) for name in TESTS if hasattr(module, name)), None)
        if test is not None:
            found += _variants(module, test)
    return [each for each in found if each.type not in WITHOUT]


def _variants(module: ModuleType, test: Callable[..., Awaitable[None]]) -> list[Recorded]:
    kind = module.BMS.get_bms_module().rpartition(".")[2]
    parameters = inspect.signature(test).parameters
    for parameter, values in {**NAMES, "protocol_type": tuple(getattr(module, "_RESULT_DEFS", ()))}.items():
        if parameter in parameters:
            return [Recorded(kind, module, test, parameter, value) for value in values]
    return [Recorded(kind, module, test)]


class RecordedDevice(FakeDevice):
    """A device that answers what the library's own double of it answers.

    double  the client that the library's test would give the library in place of bleak's
    errors  what the double did not like
    """

    def __init__(self, kind: Any, double: Any, address: str, name: str | None) -> None:
        super().__init__(address, name or "", _services(kind, double))
        self.errors: list[BaseException] = []
        self.values = {full(uuid): bytes(value) for uuid, value in double.BT_INFO.items()}
        self.written = lambda uuid, data: self._do(lambda: self._write(uuid, data))
        self.changed = lambda connected: self._do(double.connect if connected else double.disconnect)
        self._kind = kind
        self._double = double
        self._todo: asyncio.Queue[Play] = asyncio.Queue()
        self._tasks = [asyncio.create_task(each) for each in (self._work(), self._stream())]

    def called(self, member: str, uuid: str = "") -> None:
        """Take note of a call; who is asked for notifications may begin to send."""
        super().called(member, uuid)
        if member == "StartNotify":
            self._do(lambda: self._subscribed(uuid))

    def _do(self, play: Play) -> None:
        self._todo.put_nowait(play)

    async def _work(self) -> None:
        while True:
            play = await self._todo.get()
            results = await asyncio.gather(play(), return_exceptions=True)
            self.errors += [each for each in results if isinstance(each, BaseException)]

    async def _stream(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if self.subscribed:
                _ = self._double.is_connected  # which lets those send that do so by themselves

    async def _subscribed(self, uuid: str) -> None:
        await self._double.start_notify(self._theirs(uuid), lambda _, data: self._sent(uuid, bytes(data)))

    def _sent(self, uuid: str, data: bytes) -> "asyncio.Future[None]":
        """Take what the double sends; some of them wait until it has gone."""
        self.notify(uuid, data)
        gone = asyncio.get_running_loop().create_future()
        gone.set_result(None)
        return gone

    async def _write(self, uuid: str, data: bytes) -> None:
        await self._double.write_gatt_char(self._theirs(uuid), data, response=False)

    def _theirs(self, uuid: str) -> Any:
        """Return a characteristic the way the library names it to its double."""
        if self._kind.__module__.endswith("jikong_bms"):
            return 3  # by its handle there
        with contextlib.suppress(NotImplementedError):
            if uuid == full(self._kind.uuid_tx()):
                return self._kind.uuid_tx()
        return uuid

    async def end(self) -> None:
        """Stop sending, and be done with what was asked for; raise what the double did not like."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while not self._todo.empty():
                    await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.errors:
            raise self.errors[0]


def _services(kind: Any, double: Any) -> list[tuple[str, list[tuple[str, tuple[str, ...]]]]]:
    """Return the services that the double has, or that the type names."""
    told = []
    for service in double.services:
        # A double may have a characteristic twice, once for each way; no device does that where the library looks.
        flags: dict[str, tuple[str, ...]] = {}
        for each in service.characteristics:
            flags[each.uuid] = (*flags.get(each.uuid, ()), *each.properties)
        if flags:
            told.append((service.uuid, list(flags.items())))
    if not told:
        flags = {full(kind.uuid_rx()): ("notify",)}
        with contextlib.suppress(NotImplementedError):
            writes = full(kind.uuid_tx())
            flags[writes] = (*flags.get(writes, ()), "write-without-response")
        others = OTHERS.get(kind.__module__.rpartition(".")[2], ())
        told = [(kind.uuid_services()[0], [*flags.items(), *others])]
    return [*told, ("180a", [(uuid, ("read",)) for uuid in double.BT_INFO])]


def paced() -> Any:
    """Return asyncio for a double that sends as fast as it can: here it leaves the bus some time."""
    return SimpleNamespace(**{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(max(seconds, 0.02))})


def double(type: str, name: str) -> Any:
    """Return the library's double of a type, as its test takes it by default."""
    module = next(each.module for each in recorded() if each.type == type)
    made = next(value for key, value in vars(module).items() if key.startswith("Mock") and key != "MockBleakClient")
    return made(SimpleNamespace(address="11:22:33:44:55:66", name=name), disconnected_callback=None, services=None)
