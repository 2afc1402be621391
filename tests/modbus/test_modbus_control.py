"""Writing over Modbus: registers become commands, results become answers, and reading is not held up by it."""

import asyncio
import contextlib
import os
import shutil
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from modbus_served import Raw, connected, port_of
from obedient import COMMANDS, House
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from served import served
from test_app import online, running, until, written
from test_modbus_clients import mbpoll, values_in
from test_modbus_rtu import Line, heard, line, sealed, silent, terminal

from cellwire.families import dialects
from cellwire.gateway.config import ConfigError, ModbusSettings, parse
from cellwire.outputs.modbus import Modbus, rtu, settable, writes
from cellwire.outputs.modbus.registers import size

__all__ = ["line"]
Result = dict[str, Any]
LIMITS = {"cell_overvoltage_limit": 210, "cell_overvoltage_release": 211, "cell_undervoltage_limit": 212}


class Place:
    """An obedient pack, the server, and what became of writes."""

    def __init__(self, house: House, modbus: Modbus) -> None:
        self.house = house
        self.modbus = modbus

    @property
    def journal(self) -> list[Result]:
        return list(reversed(self.house.journal.entries()))


@contextlib.asynccontextmanager
async def obeying(folder: Path, grant: str = "service", pack: str = "service", **settings: Any) -> AsyncIterator[Place]:
    """Yield a place whose pack is read and served."""
    house = House(folder, pack)
    modbus = Modbus(house.store, ModbusSettings(**{"listen": "127.0.0.1:0", "grant": grant, **settings}), house.control)
    tasks = [asyncio.create_task(house.poller.run()), asyncio.create_task(modbus.run())]
    try:
        await until(lambda: house.store.is_live("shed") and house.store.packs["shed"].settled)
        await until(lambda: modbus.status["state"] == "running")
        yield Place(house, modbus)
        assert not any(task.done() for task in tasks), tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def client_of(place: Place) -> AsyncIterator[Raw]:
    async with connected(port_of(place.modbus)) as client:
        yield client


async def write_several(client: Raw, first: int, *values: int, unit: int = 1) -> bytes:
    content = struct.pack(f">{len(values)}H", *values)
    body = bytes((unit, 16)) + struct.pack(">HHB", first, len(values), len(content)) + content
    client.writer.write(struct.pack(">HHH", 1, 0, len(body)) + body)
    return (await client.answer())[2]


# The registers


def test_the_rows_lie_one_after_the_other() -> None:
    end = settable.BASE
    for register, kind, _factor, _unit, _command in settable.ROWS:
        assert register >= end
        end = register + size(kind)
    assert end == settable.END
    assert len({row[4] for row in settable.ROWS}) == len(settable.ROWS)


def test_the_rows_want_the_grant_that_their_number_tells() -> None:
    known: set[str] = set()
    for dialect in dialects():
        readings = {"cell_count": 16, "sensor_count": 4, "cell_voltages": [3.3] * 16}
        for command in dialect.commands.of(readings) if dialect.commands else ():
            row = next((row for row in settable.ROWS if row[4] == command.name), None)
            if row:
                known.add(command.name)
                assert command.grant == ("operate" if row[0] < 210 else "configure"), (dialect.name, command.name)
                assert command.kind == ("switch" if row[3] == settable.SWITCH else "number"), command.name
    assert "charge_switch" in known


def test_what_is_not_known_is_not_available() -> None:
    content = settable.image({"charge_switch": False, "charge_undertemperature_limit": -5.0, "design_capacity": 230.5})
    words = struct.unpack(f">{settable.END - settable.BASE}H", content)
    shown = {register: words[register - settable.BASE] for register in (200, 201, 204, 210, 222, 224, 231, 232, 233)}
    assert shown == {
        200: 0, 201: 0xFFFF, 204: 0xFFFF, 210: 0xFFFF, 222: 0x8000, 224: 65536 - 50, 231: 0xFFFF, 232: 3, 233: 33892
    }  # fmt: skip


# What is done


async def test_a_switch_and_a_limit(tmp_path: Path) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client:
        assert await client.ask(6, 200, 0) == b"\x06\x00\xc8\x00\x00"
        assert await client.ask(6, 210, 3600) == b"\x06\x00\xd2\x0e\x10"
        assert place.house.pack.writes == [{"charge_switch": False}, {"cell_overvoltage_limit": 3.6}]
        await until(lambda: place.house.store.is_live("shed"))
        assert await client.ask(3, 200, 2) == b"\x03\x04\x00\x00\x00\x01"
        assert await client.ask(3, 210, 1) == b"\x03\x02\x0e\x10"
        assert [(each["who"], each["source"], each["result"]) for each in place.journal] == [
            ("127.0.0.1", "modbus", "done"), ("127.0.0.1", "modbus", "done")
        ]  # fmt: skip
        # What is so already is done without a byte.
        assert await client.ask(6, 200, 0) == b"\x06\x00\xc8\x00\x00"
        assert len(place.house.pack.writes) == 2


async def test_several_registers_are_one_request(tmp_path: Path) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client:
        # One after the other the first would be above the second.
        assert await write_several(client, 210, 3450, 3400) == struct.pack(">BHH", 16, 210, 2)
        assert place.house.pack.writes == [{"cell_overvoltage_release": 3.4}, {"cell_overvoltage_limit": 3.45}]
        assert await write_several(client, 200, 0, 0) == struct.pack(">BHH", 16, 200, 2)
        # None is done when one cannot be.
        assert await write_several(client, 210, 3500, 3550) == b"\x90\x03"
        assert len(place.house.pack.writes) == 4


async def test_settings_are_there_where_they_may_be_changed(tmp_path: Path) -> None:
    for grant, shown in (("operate", 0xFFFF), ("configure", 3650)):
        async with obeying(tmp_path, grant) as place, client_of(place) as client:
            if shown == 3650:
                await until(lambda place=place: "cell_overvoltage_limit" in place.house.store.packs["shed"].readings)  # type: ignore[misc]
                await asyncio.sleep(1.1)  # an image lasts a second
            assert await client.ask(3, 210, 1) == b"\x03\x02" + struct.pack(">H", shown)


# What is not done


@pytest.mark.parametrize(
    ("grant", "pack", "first", "values", "code"),
    [
        ("read", "service", 200, (0,), 1),
        ("service", "read", 200, (0,), 1),
        ("read", "service", 5, (0,), 1),
        ("operate", "service", 210, (3600,), 3),
        ("service", "operate", 210, (3600,), 3),
        ("service", "service", 0, (1,), 2),
        ("service", "service", 204, (1,), 2),
        ("service", "service", 203, (1,), 2),  # this pack has no heating
        ("service", "service", 231, (1,), 2),
        ("service", "service", 234, (1,), 2),
        ("service", "service", 40002, (1,), 2),
        ("service", "service", 203, (1, 1), 2),
        ("service", "service", 200, (2,), 3),
        ("service", "service", 200, (0xFFFF,), 3),
        ("service", "service", 210, (0xFFFF,), 3),
        ("service", "service", 210, (4400,), 3),
        ("service", "service", 210, (4200,), 3),  # a danger for these cells
        ("service", "service", 212, (2400,), 3),  # without proof
        ("service", "service", 210, (3500,), 3),  # below its release
        ("service", "service", 232, (3,), 3),  # half of a value
        ("service", "service", 233, (3,), 3),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, grant: str, pack: str, first: int, values: tuple[int, ...], code: int
) -> None:
    async with obeying(tmp_path, grant, pack) as place, client_of(place) as client:
        assert await write_several(client, first, *values) == bytes((0x90, code))
        if len(values) == 1:
            assert await client.ask(6, first, *values) == bytes((0x86, code))
        assert place.house.pack.writes == []
        assert {each["result"] for each in place.journal} <= {"refused"}
        assert place.modbus.status["exceptions"] == 1 + (len(values) == 1)


@pytest.mark.parametrize(
    ("function", "numbers"),
    [(6, (200,)), (6, (200, 0, 0)), (6, ()), (16, (200, 1)), (16, (200, 1, 0x0200)), (16, (200, 2, 0x0400))],
)
async def test_requests_that_make_no_sense(tmp_path: Path, function: int, numbers: tuple[int, ...]) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client:
        assert await client.ask(function, *numbers) == bytes((function | 0x80, 3))
        assert place.house.pack.writes == []


async def test_nobody_in_particular(tmp_path: Path) -> None:
    from cellwire.gateway.store import BankState

    async with obeying(tmp_path) as place, client_of(place) as client:
        place.house.store.add_bank(BankState("house", ("shed",)))
        for unit, code in ((0, 1), (255, 1), (101, 1), (9, 0x0B)):
            assert await client.ask(6, 200, 0, unit=unit) == bytes((0x86, code))
        assert place.house.pack.writes == []


@pytest.mark.parametrize(
    ("mood", "result"), [("ignore", "not_confirmed"), ("refuse", "refused"), ("clamp", "not_confirmed")]
)
async def test_what_a_pack_does_not_do(tmp_path: Path, mood: str, result: str) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client:
        place.house.pack.mood = mood
        assert await client.ask(6, 210, 3600) == b"\x86\x04"
        assert [each["result"] for each in place.journal] == [result]


async def test_a_pack_that_is_away(tmp_path: Path) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client:
        place.house.pack.deaf = True
        await until(lambda: not place.house.store.is_live("shed"))
        assert await client.ask(6, 200, 0) == b"\x86\x04"
        assert await client.ask(3, 200, 1) == b"\x03\x02\xff\xff"
        assert place.house.pack.writes == []


async def test_a_busy_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with obeying(tmp_path) as place, client_of(place) as client, client_of(place) as other:
        monkeypatch.setattr(writes, "OVER_TCP", 0.2)
        async with place.house.poller.session.writing:
            assert await client.ask(6, 200, 0) == b"\x86\x06"
        assert place.house.pack.writes == []
        # It waits for a while, and meanwhile others read and cannot write.
        monkeypatch.setattr(writes, "OVER_TCP", 5.0)
        async with place.house.poller.session.writing:
            task = asyncio.create_task(client.ask(6, 200, 0))
            longest = 0.0
            for _ in range(100):
                begun = time.monotonic()
                assert len(await other.ask(3, 0, 96)) == 194
                longest = max(longest, time.monotonic() - begun)
            assert longest < 0.2
            assert await other.ask(6, 200, 0) == b"\x86\x06"
            assert not task.done()
        assert await task == b"\x06\x00\xc8\x00\x00"
        assert place.house.pack.writes == [{"charge_switch": False}]


async def test_a_client_that_hangs_up(tmp_path: Path) -> None:
    async with obeying(tmp_path) as place:
        async with place.house.poller.session.writing, client_of(place) as client:
            client.writer.write(struct.pack(">HHHBBHH", 1, 0, 6, 1, 6, 200, 0))
            await until(lambda: bool(place.modbus._answers.writes._under_way))
        await until(lambda: bool(place.house.pack.writes))
        await until(lambda: place.journal[-1]["result"] == "done")


# The serial line


async def test_over_serial(tmp_path: Path, line: Line) -> None:
    async with obeying(tmp_path, listen="", serial=line.ours, baud=115200) as place:
        client = AsyncModbusSerialClient(line.theirs, baudrate=115200, timeout=2, retries=0)
        assert await client.connect()
        assert not (await client.write_register(200, 0, device_id=1)).isError()
        assert not (await client.write_registers(210, [3500, 3400], device_id=1)).isError()
        assert (await client.read_holding_registers(200, count=2, device_id=1)).registers == [0, 1]
        client.close()
        assert place.house.pack.writes[0] == {"charge_switch": False}
        assert len(place.house.pack.writes) == 3
        assert {each["who"] for each in place.journal} == {line.ours}
        # For everybody, and for others.
        with terminal(line.theirs) as fd:
            for unit in (0, 2):
                os.write(fd, sealed(bytes((unit,)) + b"\x06\x00\xc8\x00\x01"))
                assert await silent(fd)
        assert len(place.house.pack.writes) == 3


async def test_what_takes_long_on_a_serial_line(tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = sealed(b"\x01\x06\x00\xc8\x00\x00")
    async with obeying(tmp_path, listen="", serial=line.ours, baud=115200) as place:
        with terminal(line.theirs) as fd:
            async with place.house.poller.session.writing:
                begun = time.monotonic()
                os.write(fd, ask)
                assert await heard(fd, 5) == sealed(b"\x01\x86\x06")
                assert time.monotonic() - begun < 1.0
            assert place.house.pack.writes == []
            monkeypatch.setattr(writes, "OVER_SERIAL", 5.0)
            async with place.house.poller.session.writing:
                os.write(fd, ask)
                assert await heard(fd, 5) == sealed(b"\x01\x86\x05"), "it is being done"
                os.write(fd, ask)
                assert await heard(fd, 5) == sealed(b"\x01\x86\x06")
            await until(lambda: place.house.pack.writes == [{"charge_switch": False}])
            await asyncio.sleep(0.3)
            os.write(fd, ask)
            assert await heard(fd, 8) == ask, "it is so now"
            # A master that does not wait any more is not interrupted.
            async with place.house.poller.session.writing:
                os.write(fd, sealed(b"\x01\x06\x00\xc8\x00\x01"))
                await asyncio.sleep(0.1)
                os.write(fd, sealed(b"\x02\x03\x00\x00\x00\x01"))
                assert await silent(fd, 1.0)


async def test_the_echo_of_an_answer_is_no_request(tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = sealed(b"\x01\x06\x00\xc8\x00\x00")
    monkeypatch.setattr(rtu, "ECHO", 0.3)
    async with obeying(tmp_path, listen="", serial=line.ours, baud=115200) as place:
        with terminal(line.theirs) as fd:
            os.write(fd, ask)
            assert await heard(fd, 8) == ask
            os.write(fd, ask)
            assert await silent(fd)
            assert len(place.journal) == 1
            await asyncio.sleep(0.3)
            os.write(fd, ask)
            assert await heard(fd, 8) == ask, "later it is one"


# With clients of other people, on simulated packs


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed")
async def test_mbpoll_switches_a_simulated_pack(tmp_path: Path) -> None:
    with served(tmp_path / "port", "jbd") as there:
        line = f'[[pack]]\nname = "shed"\nlink = "{there.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        path = written(
            tmp_path, f'{line}grant = "service"\n', more='[modbus]\nlisten = "127.0.0.1:0"\ngrant = "configure"'
        )
        async with running(path) as gateway:
            await online(gateway, "shed")
            await until(lambda: any(each.status.get("addresses") for each in gateway._outputs.parts))
            (modbus,) = gateway._outputs.parts
            port = modbus.status["addresses"][0].rpartition(":")[2]
            tcp = ("-m", "tcp", "-p", port, "-a", 1, "-0", "-o", 10)
            for value in (0, 1):
                code, said = await mbpoll(*tcp, "-r", 200, "127.0.0.1", value)
                assert (code, "Written 1 references." in said) == (0, True), said
                assert there.simulator.twins[0].values["charge_mosfet"] is bool(value)
                code, said = await mbpoll(*tcp, "-1", "-r", 200, "127.0.0.1")
                assert (code, values_in(said)) == (0, [str(value)])
            code, said = await mbpoll(*tcp, "-r", 210, "127.0.0.1", 3580, 3480)
            assert (code, "Written 2 references." in said) == (0, True), said
            client = AsyncModbusTcpClient("127.0.0.1", port=int(port), timeout=10)
            assert await client.connect()
            await asyncio.sleep(1.1)
            assert (await client.read_holding_registers(210, count=2, device_id=1)).registers == [3580, 3480]
            assert (await client.write_register(210, 9999, device_id=1)).exception_code == 3
            client.close()
            found = [(each["command"], each["result"]) for each in reversed(gateway.control.journal.entries())]
            assert found[:2] == [("charge_switch", "done")] * 2
            assert sorted(found[2:4]) == [("cell_overvoltage_limit", "done"), ("cell_overvoltage_release", "done")]
            assert [result for _, result in found[4:]] == ["refused"]


# Who may


def test_everybody_may_not_write(tmp_path: Path) -> None:
    for listen, allow, right in (
        ("0.0.0.0:502", "", False),
        ("192.168.1.20:502", "", False),
        ("0.0.0.0:502", 'allow = ["192.168.1.7"]', True),
        ("127.0.0.1:502", "", True),
        ("[::1]:502", "", True),
        ("localhost:502", "", True),
    ):
        text = f'[modbus]\nlisten = "{listen}"\ngrant = "operate"\n{allow}\n'
        if right:
            assert parse(text, tmp_path / "c.toml").modbus.grant == "operate"
        else:
            with pytest.raises(ConfigError, match="Modbus has no passwords"):
                parse(text, tmp_path / "c.toml")
    assert parse('[modbus]\nserial = "/dev/ttyUSB0"\ngrant = "operate"\n', tmp_path / "c.toml").modbus.serial
    assert parse('[modbus]\nlisten = "0.0.0.0:502"\n', tmp_path / "c.toml").modbus.grant == "read"


def test_the_obedient_pack_has_what_the_tests_write() -> None:
    assert {"charge_switch", "discharge_switch", *LIMITS} <= {command.name for command in COMMANDS}
