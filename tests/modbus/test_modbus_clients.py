"""What pysunspec2, mbpoll and pymodbus read is what the store holds: simulated packs of all families, and a bank."""

import asyncio
import re
import shutil
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from modbus_served import SHED, made, scanned, serving, simulated, with_bank
from pymodbus.client import AsyncModbusTcpClient
from served import served
from test_app import online, running, written

from cellwire.gateway.store import PackState, Store
from cellwire.readings.derive import derive

Readings = dict[str, Any]
UNITS = {"jk": 1, "jbd": 2, "daly": 3, "one": 4, "two": 5, "house": 101}
# alarm: bits of Evt1 for severe and mild, bit of the native map
BITS = {"soc_low": (13, 14, 17), "charge_overtemperature": (1, 2, 7), "frontend": (25, 26, 26)}


@pytest.fixture(scope="module")
def filled() -> Store:
    """A store as the gateway fills it."""
    return asyncio.run(simulated())


# What the points must be, worked out here from readings alone. What is not named is not implemented.


def evt1(readings: Readings) -> int:
    severe = {BITS[name][0] for name in [*readings.get("protections", []), *readings.get("faults", [])]}
    return sum(1 << bit for bit in severe | {BITS[name][1] for name in readings.get("warnings", [])})


def vendor(readings: Readings) -> int:
    kinds = ("warnings", "protections", "faults")
    return sum(1 << bit for bit in {BITS[name][2] for kind in kinds for name in readings.get(kind, [])})


def common_parts(readings: Readings) -> Readings:
    """Return what is the same in 802, 804 and 805."""
    temperatures = [value for value in readings.get("temperatures", []) if value is not None]
    return {
        "SoC": readings["soc"], "DoD": 100 - readings["soc"], "SoH": readings.get("soh"), "V": readings["voltage"],
        "NCyc": readings.get("cycles"), "CellVMax": readings.get("cell_max"), "CellVMin": readings.get("cell_min"),
        "TmpMax": readings.get("temperature_max"), "TmpMin": readings.get("temperature_min"),
        "CellVAvg": readings.get("cell_mean"), "TmpAvg": fmean(temperatures) if temperatures else None,
        "NCellBal": len(readings["balancing_cells"]) if "balancing_cells" in readings else None,
    }  # fmt: skip


def contactors(readings: Readings) -> tuple[int, int]:
    charge, discharge = readings["charge_mosfet"], readings["discharge_mosfet"]
    off = readings.get("charge_switch") is False and readings.get("discharge_switch") is False
    return (0 if off else 1) + 2 * (charge or discharge), charge + 2 * discharge


def points_802(readings: Readings, strings: list[Readings], names: list[str]) -> Readings:
    capacity = readings.get("design_capacity", readings.get("full_capacity"))
    nominal = readings.get("nominal_cell_voltage")
    means = [string["cell_mean"] for string in strings]
    flow = round(readings["current"], 1)
    return {
        **{name: common_parts(readings)[name] for name in ("SoC", "DoD", "SoH", "NCyc", "V", "CellVMax", "CellVMin")},
        "AHRtg": capacity, "WHRtg": capacity * nominal * readings["cell_count"] if nominal else None,
        "ChaSt": 4 if flow > 0 else 3 if flow < 0 else 6, "LocRemCtl": 1, "Typ": 4,
        "State": 99 if readings.get("faults") else 3, "Evt1": evt1(readings), "EvtVnd1": vendor(readings),
        "VMax": readings.get("charge_voltage_limit"), "VMin": readings.get("discharge_voltage_request"),
        "CellVMaxStr": names.index(readings.get("cell_max_pack", names[0])) + 1, "CellVMaxMod": 1,
        "CellVMinStr": names.index(readings.get("cell_min_pack", names[0])) + 1, "CellVMinMod": 1,
        "CellVAvg": fmean(means), "A": readings["current"], "AChaMax": readings.get("charge_current_limit"),
        "ADisChaMax": readings.get("discharge_current_limit"), "W": readings["power"],
        "Hb": 1000,
    }  # fmt: skip


def points_803(readings: Readings, strings: list[Readings], names: list[str]) -> Readings:
    voltages, currents = ([string[name] for string in strings] for name in ("voltage", "current"))
    sums = [common_parts(string) for string in strings]
    balanced = [each["NCellBal"] for each in sums]
    return {
        "NStr": len(strings), "NStrCon": len(strings),
        "ModTmpMax": readings["temperature_max"], "ModTmpMaxMod": 1,
        "ModTmpMaxStr": names.index(readings.get("temperature_max_pack", names[0])) + 1,
        "ModTmpMin": readings["temperature_min"], "ModTmpMinMod": 1,
        "ModTmpMinStr": names.index(readings.get("temperature_min_pack", names[0])) + 1,
        "ModTmpAvg": fmean(each["TmpAvg"] for each in sums),
        "StrVMax": max(voltages), "StrVMaxStr": voltages.index(max(voltages)) + 1, "StrVAvg": fmean(voltages),
        "StrVMin": min(voltages), "StrVMinStr": voltages.index(min(voltages)) + 1,
        "StrAMax": max(currents), "StrAMaxStr": currents.index(max(currents)) + 1, "StrAAvg": fmean(currents),
        "StrAMin": min(currents), "StrAMinStr": currents.index(min(currents)) + 1,
        "NCellBal": None if None in balanced else sum(balanced),
    }  # fmt: skip


def string_of_803(readings: Readings) -> Readings:
    parts = common_parts(readings)
    status, contactor = contactors(readings)
    return {
        "StrNMod": 1, "StrSt": status, "StrConSt": contactor, "StrSoC": parts["SoC"], "StrSoH": parts["SoH"],
        "StrA": readings["current"], "StrCellVMax": parts["CellVMax"], "StrCellVMaxMod": 1,
        "StrCellVMin": parts["CellVMin"], "StrCellVMinMod": 1, "StrCellVAvg": parts["CellVAvg"],
        "StrModTmpMax": parts["TmpMax"], "StrModTmpMaxMod": 1, "StrModTmpMin": parts["TmpMin"], "StrModTmpMinMod": 1,
        "StrModTmpAvg": parts["TmpAvg"], "StrEvt1": evt1(readings), "StrEvtVnd1": vendor(readings),
    }  # fmt: skip


def points_804(readings: Readings, number: int) -> Readings:
    parts = common_parts(readings)
    status, contactor = contactors(readings)
    same = ("SoC", "DoD", "NCyc", "SoH", "V", "CellVMax", "CellVMin", "CellVAvg", "NCellBal")
    return {
        **{name: parts[name] for name in same}, "Idx": number, "NMod": 1, "St": status, "ConSt": contactor,
        "A": readings["current"], "CellVMaxMod": 1, "CellVMinMod": 1, "ModTmpMax": parts["TmpMax"], "ModTmpMaxMod": 1,
        "ModTmpMin": parts["TmpMin"], "ModTmpMinMod": 1, "ModTmpAvg": parts["TmpAvg"], "Evt1": evt1(readings),
        "EvtVnd1": vendor(readings),
    }  # fmt: skip


def module_of_804(readings: Readings) -> Readings:
    parts = common_parts(readings)
    return {
        "ModNCell": readings["cell_count"], "ModSoC": parts["SoC"], "ModSoH": parts["SoH"],
        "ModCellVMax": parts["CellVMax"], "ModCellVMaxCell": readings["cell_max_number"],
        "ModCellVMin": parts["CellVMin"], "ModCellVMinCell": readings["cell_min_number"],
        "ModCellVAvg": parts["CellVAvg"], "ModCellTmpMax": parts["TmpMax"], "ModCellTmpMin": parts["TmpMin"],
        "ModCellTmpAvg": parts["TmpAvg"],
    }  # fmt: skip


def points_805(readings: Readings, number: int) -> Readings:
    parts = common_parts(readings)
    same = ("SoC", "DoD", "SoH", "NCyc", "V", "CellVMax", "CellVMin", "CellVAvg", "NCellBal")
    return {
        **{name: parts[name] for name in same}, "StrIdx": number, "ModIdx": 1, "NCell": readings["cell_count"],
        "CellVMaxCell": readings["cell_max_number"], "CellVMinCell": readings["cell_min_number"],
        "CellTmpMax": parts["TmpMax"], "CellTmpMin": parts["TmpMin"], "CellTmpAvg": parts["TmpAvg"],
        "SN": readings.get("serial_number"),
    }  # fmt: skip


def cell_of_805(readings: Readings, index: int) -> Readings:
    balanced = readings.get("balancing_cells")
    status = None if balanced is None else int(index + 1 in balanced)
    return {"CellV": readings["cell_voltages"][index], "CellSt": status}


def compare(group: Any, expected: Readings, where: str) -> int:
    """Compare all points of a group with what they must be; return how many have a value."""
    unknown = set(expected) - set(group.points)
    assert not unknown, f"{where} has no {unknown}"
    for name, point in group.points.items():
        if name in ("ID", "L") or point.pdef["type"] in ("sunssf", "pad"):
            continue
        wanted, got = expected.get(name), point.cvalue
        if wanted is None or isinstance(wanted, str):
            assert (got or None) == (wanted or None), f"{where} {name}"
            continue
        step = 10.0 ** (point.sf_value or 0)
        assert got == pytest.approx(wanted, abs=step / 2 + 1e-6), f"{where} {name}"
    return sum(value is not None for value in expected.values())


def walk(device: Any, readings: Readings, strings: list[Readings], names: list[str]) -> int:
    """Compare every point of every model behind the first; return how many have a value."""
    models = device.models
    assert [number for number in models if isinstance(number, int)] == [1, 802, 803, 804, 805]
    assert [len(models[number]) for number in (1, 802, 803, 804, 805)] == [1, 1, 1, len(strings), len(strings)]
    count = compare(models[802][0], points_802(readings, strings, names), "802")
    count += compare(models[803][0], points_803(readings, strings, names), "803")
    for index, string in enumerate(strings):
        count += compare(models[803][0].groups["string"][index], string_of_803(string), f"803 string {index}")
        count += compare(models[804][index], points_804(string, index + 1), f"804 {index}")
        (module,) = models[804][index].groups["lithium_ion_string_module"]
        count += compare(module, module_of_804(string), f"804 {index} module")
        count += compare(models[805][index], points_805(string, index + 1), f"805 {index}")
        cells = models[805][index].groups["lithium-ion-module-cell"]
        assert len(cells) == len(string["cell_voltages"])
        for number, cell in enumerate(cells):
            count += compare(cell, cell_of_805(string, number), f"805 {index} cell {number}")
    return count


@pytest.mark.parametrize(("name", "cells"), [("jk", 16), ("jbd", 4), ("daly", 24), ("house", 16)])
async def test_every_point_is_what_the_store_holds(filled: Store, name: str, cells: int) -> None:
    bank = filled.banks.get(name)
    names = list(bank.packs) if bank else [name]
    strings = [filled.packs[each].readings for each in names]
    readings = bank.readings if bank else strings[0]
    assert sum(len(string["cell_voltages"]) for string in strings) == cells
    async with serving(filled) as (_, port):
        work = partial(walk, readings=readings, strings=strings, names=names)
        assert await asyncio.to_thread(scanned, port, UNITS[name], work) > 60 + cells


async def test_every_point_of_packs_in_trouble() -> None:
    store, shed, _ = made(**{**SHED, "warnings": ["soc_low"], "nominal_cell_voltage": 3.2, "balancing_cells": [1, 3]})
    garage = store.add(PackState("garage", "jbd", "jbd", 1, 2.0))
    changes = {"voltage": 13.2, "current": 40.0, "protections": ["charge_overtemperature"], "charge_mosfet": False}
    store.accept(garage, derive({**SHED, **changes, "faults": ["frontend"], "cell_voltages": [3.3, 3.31, 3.2, 3.4]}))
    bank = with_bank(store, "shed", "garage")
    packs = [shed.readings, garage.readings]
    async with serving(store) as (_, port):
        for unit, readings, strings, names in (
            (1, shed.readings, packs[:1], ["shed"]),
            (2, garage.readings, packs[1:], ["garage"]),
            (101, bank.readings, packs, ["shed", "garage"]),
        ):
            work = partial(walk, readings=readings, strings=strings, names=names)
            await asyncio.to_thread(scanned, port, unit, work)


async def test_identity(filled: Store) -> None:
    def common(device: Any) -> list[Any]:
        return [device.common[0].points[name].value for name in ("Mn", "Md", "Opt", "Vr", "SN", "DA")]

    async with serving(filled) as (_, port):
        jbd = await asyncio.to_thread(scanned, port, 2, common)
        house = await asyncio.to_thread(scanned, port, 101, common)
    assert jbd == ["Cellwire", "JBD-SP04S034-L4S-200A-B-U", "jbd", "8.0", filled.packs["jbd"].id, 2]
    assert house == ["Cellwire", "bank", "house", None, "bank-house", 101]


async def test_current_the_other_way_round(filled: Store) -> None:
    def currents(device: Any) -> list[Any]:
        whole, bank, string = (device.models[number][0] for number in (802, 803, 804))
        points = [whole.A, whole.W, whole.ChaSt, bank.StrAMax, bank.StrAMaxStr, bank.StrAMin, string.A]
        return [point.cvalue for point in [*points, bank.groups["string"][0].StrA]]

    discharging = filled.packs["jbd"].readings["current"]
    assert discharging < -1
    async with serving(filled, invert_current=True) as (_, port):
        values = await asyncio.to_thread(scanned, port, 2, currents)
        pack = filled.packs["jbd"].readings
        amperes = pytest.approx(-discharging, abs=0.05)
        assert values == [amperes, pytest.approx(-pack["power"], abs=5), 3, amperes, 1, amperes, amperes, amperes]
        # The native map has one sign.
        async with asyncio.timeout(10):
            client = AsyncModbusTcpClient("127.0.0.1", port=port)
            await client.connect()
            answer = await client.read_holding_registers(4, count=1, device_id=2)
            client.close()
        assert answer.registers == [65536 + round(discharging * 10)]


# mbpoll


async def mbpoll(*arguments: Any) -> tuple[int, str]:
    """Return exit code and all that mbpoll says."""
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("mbpoll is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def values_in(said: str) -> list[str]:
    return re.findall(r"^\[\d+\]: \t(\S+(?: \(-?\d+\))?)", said, re.MULTILINE)


async def test_mbpoll_reads_the_native_map() -> None:
    store, _, _ = made(**SHED)
    async with serving(store) as (_, port):
        tcp = ("-m", "tcp", "-p", port, "-a", 1, "-0", "-1")
        code, said = await mbpoll(*tcp, "-r", 0, "-c", 8, "127.0.0.1")
        assert (code, values_in(said)) == (
            0, ["2", "481", "0", "1312", "65413 (-123)", "65520 (-16)", "810", "990"]
        )  # fmt: skip
        code, said = await mbpoll(*tcp, "-r", 8, "-c", 2, "-t", "4:int", "-B", "127.0.0.1")
        assert (code, values_in(said)) == (0, ["81000", "100000"])
        code, said = await mbpoll(*tcp, "-r", 32, "-c", 5, "-t", 3, "127.0.0.1")
        assert (code, values_in(said)) == (0, ["3281", "3279", "3284", "3280", "65535 (-1)"])
        code, said = await mbpoll(*tcp, "-r", 80, "-c", 3, "127.0.0.1")
        assert (code, values_in(said)) == (0, ["215", "65504 (-32)", "32768 (-32768)"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-a", 1, "-r", 234), "Illegal data address"),
        (("-a", 1, "-r", 90, "-c", 10), "Illegal data address"),
        (("-a", 9, "-r", 0), "Target device failed to respond"),
        (("-a", 1, "-r", 0, "-t", 0), "Illegal function"),
        (("-a", 1, "-r", 0, "-t", 1), "Illegal function"),
    ],
)
async def test_mbpoll_is_refused(arguments: tuple[Any, ...], text: str) -> None:
    store, _, _ = made(**SHED)
    async with serving(store) as (_, port):
        code, said = await mbpoll("-m", "tcp", "-p", port, "-0", "-1", *arguments, "127.0.0.1")
        assert code != 0
        assert text in said


async def test_mbpoll_cannot_write() -> None:
    store, _, _ = made(**SHED)
    async with serving(store) as (_, port):
        for values in ([1], [1, 0]):
            said = (await mbpoll("-m", "tcp", "-p", port, "-0", "-r", 200, "127.0.0.1", *values))[1]
            assert "Illegal function" in said


# pymodbus


async def test_pymodbus() -> None:
    store, _, _ = made(**SHED)
    async with serving(store) as (modbus, port):
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        assert await client.connect()
        holding = await client.read_holding_registers(0, count=96, device_id=1)
        assert holding.registers[3] == 1312
        assert (await client.read_input_registers(0, count=96, device_id=1)).registers == holding.registers
        for unit in (0, 255):
            assert (await client.read_holding_registers(0, count=96, device_id=unit)).registers == holding.registers
        refused = [
            await client.read_coils(0, count=1, device_id=1),
            await client.read_discrete_inputs(0, count=1, device_id=1),
            await client.write_coil(0, True, device_id=1),
            await client.write_register(200, 1, device_id=1),
            await client.write_coils(0, [True], device_id=1),
            await client.write_registers(200, [1, 2], device_id=1),
            await client.read_device_information(device_id=1),
            await client.readwrite_registers(read_address=0, read_count=1, address=0, values=[1], device_id=1),
        ]
        assert {answer.exception_code for answer in refused} == {1}
        assert (await client.read_holding_registers(200, count=34, device_id=1)).registers[:4] == [0xFFFF] * 4
        assert (await client.read_holding_registers(199, count=1, device_id=1)).exception_code == 2
        assert (await client.read_holding_registers(0, count=1, device_id=9)).exception_code == 0x0B
        client.close()
        assert modbus.status["requests"] == 15
        assert modbus.status["exceptions"] == 10


async def test_in_the_gateway(tmp_path: Path) -> None:
    """A pack on a line, the whole gateway, and a client that finds it."""
    with served(tmp_path / "port", "jbd") as there:
        line = f'[[pack]]\nname = "shed"\nlink = "{there.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        path = written(tmp_path, line, more='[modbus]\nlisten = "127.0.0.1:0"')
        async with running(path) as gateway:
            await online(gateway, "shed")
            (status,) = gateway.health()["outputs"]
            assert (status["output"], status["state"], status["units"]) == ("modbus", "running", {"1": "shed"})
            port = int(status["addresses"][0].rpartition(":")[2])
            cells = await asyncio.to_thread(scanned, port, 1, lambda device: device.models[805][0].NCell.value)
            assert cells == 4
