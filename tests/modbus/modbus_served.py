"""A Modbus server on a store that stands still, simulated packs as the gateway reads them, and a client of bytes."""

import asyncio
import contextlib
import copy
import struct
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import sunspec2.modbus.client
from served import served
from test_app import online, running, until, written

from cellwire.gateway.config import ModbusSettings
from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs.modbus import Modbus
from cellwire.readings.derive import derive

Result = TypeVar("Result")
NOW = 1_795_255_200.0
START = 1000.0  # of the clock that nobody sets


class Still:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return NOW + self.passed

    def monotonic(self) -> float:
        return START + self.passed


CELLS = [3.281, 3.279, 3.284, 3.28]
SHED = {
    "voltage": 13.12, "current": -12.34, "soc": 81, "soh": 99, "cycles": 7, "cell_count": 4, "cell_voltages": CELLS,
    "sensor_count": 2, "temperatures": [21.5, -3.2], "remaining_capacity": 81.0, "full_capacity": 100.0,
    "charge_mosfet": True, "discharge_mosfet": True, "balancing": True, "balancing_cells": [3], "warnings": [],
    "protections": [], "faults": [], "charge_voltage_limit": 13.8, "charge_current_limit": 50.0,
    "discharge_current_limit": 80.0, "serial_number": "0011223344", "charge_voltage_reason": "configured",
    "charge_current_reason": "configured", "discharge_current_reason": "configured",
}  # fmt: skip


def made(**readings: Any) -> tuple[Store, PackState, Still]:
    """Return a store with one pack that was just read, if there are readings."""
    clock = Still()
    store = Store(clock, clock.monotonic)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 2.0))
    if readings:
        store.accept(pack, derive(readings))
    return store, pack, clock


def with_bank(store: Store, *names: str) -> BankState:
    """Return a bank of these packs, as the gateway adds them up."""
    from cellwire.gateway.bank import Member, combine

    bank = store.add_bank(BankState("house", names))
    members = []
    for name in names:
        pack = store.packs[name]
        away = "" if store.state(pack) == "online" else store.state(pack)
        members.append(Member(name, pack.readings, away, pack.readings.get("full_capacity")))
    combined = combine(members, 0.3)
    bank.readings, bank.missing = combined.readings, combined.missing
    seen = [pack.seen for pack in store.packs.values() if pack.name in names and pack.seen is not None]
    bank.seen, bank.time = min(seen, default=None), NOW
    return bank


@contextlib.asynccontextmanager
async def serving(store: Store, **settings: Any) -> AsyncIterator[tuple[Modbus, int]]:
    """Yield the server and its port."""
    modbus = Modbus(store, ModbusSettings(**{"listen": "127.0.0.1:0", **settings}))
    task = asyncio.create_task(modbus.run())
    try:
        await until(lambda: modbus.status["state"] == "running" or task.done())
        yield modbus, port_of(modbus)
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def port_of(modbus: Modbus) -> int:
    return int(modbus.status["addresses"][0].rpartition(":")[2])


def request(function: int, *numbers: int, unit: int = 1, transaction: int = 1) -> bytes:
    """Return a request of Modbus TCP with 16 bit numbers."""
    body = bytes((unit, function)) + b"".join(struct.pack(">H", number) for number in numbers)
    return struct.pack(">HHH", transaction, 0, len(body)) + body


class Raw:
    """A client that sends bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, int, bytes]:
        """Return transaction, unit and the rest of the next answer."""
        async with asyncio.timeout(10):
            transaction, protocol, length, unit = struct.unpack(">HHHB", await self.reader.readexactly(7))
            assert protocol == 0
            return transaction, unit, await self.reader.readexactly(length - 1)

    async def ask(self, function: int, *numbers: int, unit: int = 1) -> bytes:
        self.writer.write(request(function, *numbers, unit=unit))
        return (await self.answer())[2]

    async def is_closed(self) -> bool:
        """Return whether the server hangs up instead of answering."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read(1) == b""
            return True


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def scanned(port: int, unit: int, work: Callable[[Any], Result]) -> Result:
    """Return what the work makes of the models that pysunspec2 finds."""
    device = sunspec2.modbus.client.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port)
    try:
        device.scan()
        return work(device)
    finally:
        device.close()


KINDS = {"jk": ("jk", 16), "jbd": ("jbd", 4), "daly": ("daly", 24), "one": ("jbd", 8), "two": ("jbd", 8)}


async def simulated() -> Store:
    """Return a store as the gateway fills it from simulated packs and a bank; it stands still from then on."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        packs = []
        for name, (kind, cells) in KINDS.items():
            there = stack.enter_context(served(folder / name, kind, cells=cells))
            packs.append(
                f'[[pack]]\nname = "{name}"\nlink = "{there.path}"\nfamily = "{kind}"\nevery = 0.5\n'
                '[pack.limits]\nchemistry = "lfp"\ncharge_current = 50.0\ndischarge_current = 80.0\n'
            )
        bank = '[[bank]]\nname = "house"\npacks = ["one", "two"]\n'
        async with running(written(folder, *packs, bank)) as gateway:
            await online(gateway, *KINDS)
            store = gateway.store
            await until(lambda: store.banks["house"].readings.get("charge_current_limit") is not None)
            await until(lambda: all("cell_voltages" in pack.readings for pack in store.packs.values()))
            gateway.accounts.tick()  # so that the bank is of the same moment as its packs
            clock = Still()
            still = Store(clock, clock.monotonic)
            now = store.monotonic()
            still.packs, still.banks = copy.deepcopy((store.packs, store.banks))
            for pack in still.packs.values():
                pack.seen = START
                pack.received = {name: START for name, when in pack.received.items() if now - when < 60}
            for each in still.banks.values():
                each.seen = START
            return still
