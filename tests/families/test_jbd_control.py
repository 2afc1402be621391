"""JBD packs through the real control: one request for everything, calibration, passwords, and factory mode left."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from written import ANNA, PACK, Bench, bench, quick

from cellwire.codec.command import ACTION, UNPROVEN, same
from cellwire.families import jbd
from cellwire.families.jbd import records
from cellwire.families.jbd.twin import StandardTwin, UpTwin
from cellwire.gateway import writing

STANDARD, ADDRESSED, UP = jbd.DIALECTS

# Another value for every parameter of a pack of 8 LFP cells, in no order that could be written as it stands.
ALL: dict[str, Any] = {
    "design_capacity": 300.0,
    "cycle_capacity": 250.0,
    "soc_full_voltage": 3.45,
    "soc_empty_voltage": 2.9,
    "self_discharge": 0.5,
    "production_date": "2024-02-29",
    "serial_number_setting": 4711,
    "cycles": 12,
    "charge_overtemperature_limit": 50.0,
    "charge_overtemperature_release": 45.0,
    "charge_undertemperature_limit": 2.0,
    "charge_undertemperature_release": 5.5,
    "discharge_overtemperature_limit": 60.0,
    "discharge_overtemperature_release": 50.0,
    "discharge_undertemperature_limit": -20.0,
    "discharge_undertemperature_release": -15.0,
    "pack_overvoltage_limit": 28.0,
    "pack_overvoltage_release": 27.2,
    "pack_undervoltage_limit": 22.4,
    "pack_undervoltage_release": 24.0,
    "cell_overvoltage_limit": 3.5,
    "cell_overvoltage_release": 3.4,
    "cell_undervoltage_limit": 2.8,
    "cell_undervoltage_release": 3.0,
    "charge_overcurrent_limit": 120.0,
    "discharge_overcurrent_limit": 150.5,
    "balance_start": 3.4,
    "balance_delta": 0.01,
    "shunt_resistance": 0.2,
    "sensor_enable_bits": 3,
    "cell_count_setting": 7,
    "mosfet_control_time": 20,
    "led_time": 5,
    "soc_100_voltage": 3.4,
    "soc_90_voltage": 3.33,
    "soc_80_voltage": 3.32,
    "soc_70_voltage": 3.31,
    "soc_60_voltage": 3.3,
    "soc_50_voltage": 3.29,
    "soc_40_voltage": 3.28,
    "soc_30_voltage": 3.26,
    "soc_20_voltage": 3.23,
    "soc_10_voltage": 3.18,
    "gps_cutoff_voltage": 2.5,
    "gps_cutoff_delay": 30,
    "hard_cell_overvoltage_limit": 3.75,
    "hard_cell_undervoltage_limit": 2.4,
    "frontend_double_range": False,
    "short_circuit_threshold": 67,
    "short_circuit_delay": 0.0002,
    "discharge_overcurrent_2_threshold": 22,
    "discharge_overcurrent_2_delay": 0.64,
    "hard_cell_undervoltage_delay": 8,
    "hard_cell_overvoltage_delay": 4,
    "short_circuit_release_delay": 60,
    "charge_undertemperature_delay": 3,
    "charge_overtemperature_delay": 4,
    "discharge_undertemperature_delay": 5,
    "discharge_overtemperature_delay": 6,
    "pack_undervoltage_delay": 7,
    "pack_overvoltage_delay": 8,
    "cell_undervoltage_delay": 9,
    "cell_overvoltage_delay": 1,
    "charge_overcurrent_delay": 11,
    "charge_overcurrent_release_delay": 12,
    "discharge_overcurrent_delay": 13,
    "discharge_overcurrent_release_delay": 14,
    "switch_function": True,
    "load_detection": False,
    "balancer_switch": False,
    "balance_only_charging": True,
    "led_switch": True,
    "led_capacity": True,
    "vendor_function/1": True,
    "vendor_function/6": True,
    "manufacturer": "CELLWIRE",
    "model": "SHED-8S",
    "barcode": "0123456789ABCDEF0123456789ABCDE",
}


def twin_of(pack: Bench) -> StandardTwin:
    twin = pack.simulator.twins[0]
    assert isinstance(twin, StandardTwin)
    return twin


async def values(pack: Bench) -> dict[str, Any]:
    """Return what the pack shows of every command now."""
    assert await pack.control.read(PACK, ANNA) == []
    found: dict[str, Any] = pack.control.values(PACK)
    return found


async def test_everything_in_one_request_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, STANDARD)
    async with bench(STANDARD, "", tmp_path) as pack:
        twin = twin_of(pack)
        before = await values(pack)
        parameters = {each.name for each in pack.commands() if each.mode and each.saves}
        told = {key.partition("/")[0] for key in ALL} | {"sensor_enabled"}
        assert parameters - told == {"calibrate_charge_current", "calibrate_discharge_current"}
        plan = await pack.control.plan(PACK, ALL, ANNA, unproven=True)
        sent = len(pack.sent)
        results = await pack.write(ALL)
        assert {each.command: (each.result, each.reason) for each in results if each.result != "done"} == {}
        for each in results:
            assert same(pack.command(each.command.partition("/")[0]), each.found, ALL[each.command]), each
        # What was shown before is what was sent, byte for byte, in that order, each once, between enter and save.
        asked = {STANDARD.request(query, 0) for query in STANDARD.queries}
        writes = [frame.hex() for frame in pack.sent[sent:] if frame not in asked]
        assert writes == [frame for each in plan for frame in each.frames]
        assert (writes[0], writes[-1]) == ("dd5a00025678ff3077", "dd5a01022828ffad77")
        assert not twin.factory
        twin.power_cycle()
        after = await values(pack)
        for key, value in ALL.items():
            assert same(pack.command(key.partition("/")[0]), after[key], value), key
        back = {key: before[key] for key in ALL if key in before}
        assert ALL.keys() - back.keys() == {"barcode"}
        # A pack cannot show that it has no text; and the captured board has its range where only the old values fit.
        ranged = {key: back.pop(key) for key in ("short_circuit_threshold", "discharge_overcurrent_2_threshold")}
        for part in (back, ranged):
            results = await pack.write(part)
            assert {each.command: (each.result, each.reason) for each in results if each.result != "done"} == {}
        again = await values(pack)
        assert {key: again[key] for key in before if key in ALL} == {key: before[key] for key in before if key in ALL}
        assert not twin.factory


CASES: list[dict[str, Any]] = [
    {"cell_overvoltage_limit": 3.6},
    {"balancer_switch": False},
    {"charge_switch": False},
    {"calibrate_cell/2": 3.25},
    {"soc": 40},
    {"model": "B"},
    {"reset_counters": True},
]


EXPECTED = {"": "done", "ignore-writes": "not_confirmed", "refuse": "refused", "drop-after-write": "done"}


@pytest.mark.parametrize("fault", [*EXPECTED, "clamp", "silent=0.3", "flip=0.1"])
async def test_factory_mode_is_left_whatever_happens(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, STANDARD)
    async with bench(STANDARD, "", tmp_path) as pack:
        twin = twin_of(pack)
        for changes in CASES:
            if fault:
                pack.fault(fault)
            (result,) = await pack.write(changes)
            pack.fault()
            if pack.poller.owed:
                for _ in range(10):
                    if await pack.poller.step() and not pack.poller.owed:
                        break
            assert not twin.factory, changes
            if fault in EXPECTED and changes != {"reset_counters": True}:
                assert result.result == EXPECTED[fault], result
        for name, value in (("charge_switch", True), ("cell_overvoltage_limit", 3.65)):
            assert (await pack.one(name, value)).result == "done"
        assert not twin.factory


async def test_factory_mode_is_left_when_nobody_waits_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, STANDARD)
    async with bench(STANDARD, "", tmp_path) as pack:
        twin = twin_of(pack)
        task = asyncio.create_task(pack.write({"balance_odd_cells": 1}))
        while not twin.balance_test:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (twin.factory, twin.basic()[12:14]) == (True, b"\x00\x55")
        await pack.control.finish()
        assert (twin.factory, twin.balance_test) == (False, 0)
        assert pack.entries()[0]["result"] == "done"


async def test_factory_mode_is_left_as_soon_as_a_lost_pack_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, STANDARD)
    monkeypatch.setattr(writing, "BACK", 0.3)
    async with bench(STANDARD, "", tmp_path) as pack:
        twin = twin_of(pack)
        take = twin.take

        def taken(register: int, data: bytes) -> None:
            take(register, data)
            pack.fault("silent")

        monkeypatch.setattr(twin, "take", taken)
        result = await pack.one("cell_overvoltage_limit", 3.6)
        assert result.result == "not_confirmed", result
        assert twin.factory
        pack.fault()
        for _ in range(5):
            await pack.poller.step()
        assert not twin.factory
        # It was left with saving: what was taken stays.
        assert twin.saved[0x24] == b"\x0e\x10"


async def test_a_pack_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, STANDARD)
    monkeypatch.setattr(StandardTwin, "wake", wake_open(StandardTwin.wake))
    async with bench(STANDARD, "locked", tmp_path) as pack:
        twin = twin_of(pack)
        for changes in ({"cell_overvoltage_limit": 3.6}, {"charge_switch": False}):
            twin.trusted = False
            pack.poller.password = ""
            (result,) = await pack.write(changes)
            assert result.result == "refused", result
            assert "a password is wanted" in result.reason
            pack.poller.password = "654321"
            (result,) = await pack.write(changes)
            assert result.result == "refused", result
            assert "the password is wrong" in result.reason
            pack.poller.password = "123456"
            (result,) = await pack.write(changes)
            assert result.result == "done", result
            assert not twin.factory
        # Told by hand it does as well; and what it was is written down nowhere.
        twin.trusted, pack.poller.password = False, ""
        assert "yes" in (await pack.one("use_password", "123456")).reason
        assert (await pack.one("charge_switch", True)).result == "done"
        await pack.one("change_password", "123456765828")
        assert twin.password == bytes((7, 6, 5, 8, 2, 8))
        text = (tmp_path / "journal.jsonl").read_text()
        assert not [secret for secret in ("123456", "765828", "060102030405") if secret in text]
        plan = await pack.control.plan(PACK, {"use_password": "765828"}, ANNA, unproven=True)
        assert (plan[0].frames, plan[0].wanted) == ((), "***")


def wake_open(wake: Any) -> Any:
    """Return a start of the twin with its password told, so that the bench can read it."""

    def woken(twin: StandardTwin) -> None:
        wake(twin)
        twin.trusted = True

    return woken


async def test_calibration_and_counting_through_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, STANDARD)
    async with bench(STANDARD, "", tmp_path) as pack:
        known = pack.known
        assert known["current"] < 0
        true = {
            "calibrate_cell/1": round(known["cell_voltages"][0] + 0.05, 3),
            "calibrate_cell/8": round(known["cell_voltages"][7] - 0.02, 3),
            "calibrate_sensor/3": round(known["temperatures"][2] + 4, 1),
            "calibrate_discharge_current": round(-known["current"] * 1.1, 2),
        }
        for result in await pack.write(true):
            assert result.result == "done", result
        assert known["cell_voltages"][0] == true["calibrate_cell/1"]
        assert known["current"] == pytest.approx(-true["calibrate_discharge_current"], abs=0.01)
        for key, value in (
            ("calibrate_charge_current", 10),
            ("calibrate_cell/2", 4.0),
            ("calibrate_idle_current", True),
        ):
            assert (await pack.one(key, value)).result == "refused"
        for key, value in (("soc", 30), ("remaining_capacity", 100.0)):
            assert (await pack.one(key, value)).result == "done"
        assert known["remaining_capacity"] == pytest.approx(100.0, abs=0.1)
        # Keeping the calibration of the current has cleared them already.
        assert twin_of(pack).counters_cleared
        twin_of(pack).counters_cleared = False
        result = await pack.one("reset_counters", True)
        assert (result.result, result.found, result.before) == ("done", True, None)
        assert [known[row[0]] for row in records.COUNTERS.numbers] == [0] * 12
        assert not twin_of(pack).factory


async def test_both_switches_in_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for dialect in (STANDARD, ADDRESSED, UP):
        quick(monkeypatch, dialect)
        async with bench(dialect, "", tmp_path / dialect.name) as pack:
            off = {"charge_switch": False, "discharge_switch": False}
            plan = await pack.control.plan(PACK, off, ANNA, unproven=True)
            results = await pack.write(off)
            assert [each.result for each in results] == ["done", "done"], results
            assert [each.frames for each in plan] == [each.frames for each in results]
            twin = pack.simulator.twins[0]
            assert isinstance(twin, StandardTwin | UpTwin)
            assert (twin.lock if isinstance(twin, StandardTwin) else twin.outputs) == (3 if dialect is not UP else 0)
            assert pack.known["current"] == 0
            assert (await pack.one("discharge_switch", True)).result == "done"
            assert pack.control.values(PACK)["charge_switch"] is False
            if dialect is ADDRESSED:
                assert {each.proof for each in pack.commands()} == {UNPROVEN}
            assert not isinstance(twin, StandardTwin) or not twin.factory


async def test_every_action_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, STANDARD)
    async with bench(STANDARD, "", tmp_path) as pack:
        twin = twin_of(pack)
        for each in pack.commands():
            if each.kind == ACTION and each.name not in ("calibrate_idle_current", "reset_counters"):
                result = await pack.one(each.name, True)
                assert result.result == "done", result
                assert each.secret or pack.times_heard(result.frames[-1]) == 1
                twin.power_cycle()
        with pytest.raises(writing.Denied):
            await pack.control.undo(PACK, ANNA)
