"""FurTrader/bmstools 1.2 reads our JBD twin, also the parameters behind its factory mode."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from written import ANNA, EVENING, PACK, Bench, quick

from cellwire.codec.command import SWITCH
from cellwire.families import dialects
from cellwire.families.jbd import frontend
from cellwire.families.jbd.twin import StandardTwin
from cellwire.gateway.poller import Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.links import open_link
from cellwire.sim.server import Simulator

# Its command line is a window; its library is what the window uses. Enumerations become their text.
SCRIPT = """
import json, sys, serial
from bmstools.jbd import jbd
port = serial.Serial(sys.argv[1], 9600)
bms = jbd.JBD(port)
read = {}
for name in sys.argv[2:]:
    read[name] = getattr(bms, name)()
print(json.dumps(read, default=str))
"""


@pytest.mark.parametrize("cells", [4, 16])
async def test_live(serve: Callable[..., Any], ask: Callable[..., Any], moment: float, cells: int) -> None:
    async with serve("jbd", cells=cells, clock=lambda: moment) as (_simulator, path, values):
        read = await ask(
            *("python", "-c", SCRIPT, path, "readBasicInfo", "readCellInfo", "readDeviceInfo"),
            module="bmstools",
        )
    basic = read["readBasicInfo"]
    assert basic["pack_mv"] == pytest.approx(values["voltage"] * 1000, abs=5)
    assert basic["pack_ma"] == pytest.approx(values["current"] * 1000, abs=5)
    assert basic["cap_pct"] == pytest.approx(values["soc"], abs=0.51)
    assert basic["cur_cap"] == pytest.approx(values["remaining_capacity"] * 1000, abs=5)
    assert basic["cycle_cnt"] == values["cycles"]
    assert basic["cell_cnt"] == cells
    assert basic["ntc_cnt"] == values["sensor_count"]
    # Given in degrees Celsius, in the unit of the register: whole tenths.
    temperatures = [basic[f"ntc{number}"] for number in range(values["sensor_count"])]
    assert temperatures == pytest.approx(values["temperatures"], abs=0.11)
    assert basic["chg_fet_en"] is values["charge_mosfet"]
    assert basic["dsg_fet_en"] is values["discharge_mosfet"]
    assert basic["fault_raw"] == 0
    volts = [read["readCellInfo"][f"cell{number}_mv"] for number in range(cells)]
    assert volts == [round(each * 1000) for each in values["cell_voltages"]]
    assert read["readDeviceInfo"]["device_name"]


async def test_parameters_in_factory_mode(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    async with serve("jbd", cells=16) as (_simulator, path, _values):
        read = (await ask("python", "-c", SCRIPT, path, "readEeprom", module="bmstools"))["readEeprom"]
    # All of its registers were answered; limits must stand in their natural order.
    assert len(read) > 80
    assert 4500 > read["covp"] > read["covp_rel"] > read["cuvp_rel"] > read["cuvp"] > 1500
    assert read["povp"] > read["povp_rel"] > read["puvp_rel"] > read["puvp"] > 0
    assert read["chgot"] > read["chgut"]
    assert read["design_cap"] > 0
    assert 2000 < read["year"] < 2100


async def test_it_switches_a_mosfet(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    async with serve("jbd", cells=16) as (_simulator, path, _values):
        script = SCRIPT.replace("read = {}", "read = {}; bms.chgDsgEnable(True, False)")
        read = await ask("python", "-c", script, path, "readBasicInfo", module="bmstools")
    assert (read["readBasicInfo"]["chg_fet_en"], read["readBasicInfo"]["dsg_fet_en"]) == (True, False)


# Our command, their field, what we write, what they write; theirs is ours times the factor.
BOTH = (
    ("cell_overvoltage_limit", "covp", 3.6, 3.55, 1000),
    ("cell_overvoltage_release", "covp_rel", 3.45, 3.4, 1000),
    ("cell_undervoltage_limit", "cuvp", 2.8, 2.6, 1000),
    ("cell_undervoltage_release", "cuvp_rel", 3.0, 2.9, 1000),
    ("pack_overvoltage_limit", "povp", 57.6, 56.8, 1000),
    ("pack_overvoltage_release", "povp_rel", 55.2, 54.4, 1000),
    ("pack_undervoltage_limit", "puvp", 44.8, 41.6, 1000),
    ("pack_undervoltage_release", "puvp_rel", 48.0, 46.4, 1000),
    ("charge_overtemperature_limit", "chgot", 50.0, 60.0, 1),
    ("charge_overtemperature_release", "chgot_rel", 45.0, 54.0, 1),
    ("charge_undertemperature_limit", "chgut", 2.0, 1.0, 1),
    ("charge_undertemperature_release", "chgut_rel", 5.0, 4.0, 1),
    ("discharge_overtemperature_limit", "dsgot", 60.0, 65.0, 1),
    ("discharge_overtemperature_release", "dsgot_rel", 50.0, 52.0, 1),
    ("discharge_undertemperature_limit", "dsgut", -20.0, -15.0, 1),
    ("discharge_undertemperature_release", "dsgut_rel", -15.0, -9.0, 1),
    ("charge_overcurrent_limit", "chgoc", 120.0, 90.5, 1000),
    # Theirs has the sign of the register.
    ("discharge_overcurrent_limit", "dsgoc", 150.5, 99.0, -1000),
    ("cell_undervoltage_delay", "cuvp_delay", 3, 30, 1),
    ("cell_overvoltage_delay", "covp_delay", 4, 31, 1),
    ("pack_undervoltage_delay", "puvp_delay", 5, 32, 1),
    ("pack_overvoltage_delay", "povp_delay", 6, 33, 1),
    ("charge_undertemperature_delay", "chgut_delay", 7, 34, 1),
    ("charge_overtemperature_delay", "chgot_delay", 8, 35, 1),
    ("discharge_undertemperature_delay", "dsgut_delay", 9, 36, 1),
    ("discharge_overtemperature_delay", "dsgot_delay", 10, 37, 1),
    ("charge_overcurrent_delay", "chgoc_delay", 11, 38, 1),
    ("charge_overcurrent_release_delay", "chgoc_rel", 12, 39, 1),
    ("discharge_overcurrent_delay", "dsgoc_delay", 13, 40, 1),
    ("discharge_overcurrent_release_delay", "dsgoc_rel", 14, 41, 1),
    ("hard_cell_overvoltage_limit", "covp_high", 3.8, 3.75, 1000),
    ("hard_cell_undervoltage_limit", "cuvp_high", 2.2, 2.1, 1000),
    ("short_circuit_release_delay", "sc_rel", 60, 61, 1),
    ("switch_function", "switch", True, False, 1),
    ("load_detection", "scrl", False, True, 1),
    ("balancer_switch", "balance_en", False, True, 1),
    ("balance_only_charging", "chg_balance_en", True, False, 1),
    ("led_switch", "led_en", True, False, 1),
    ("led_capacity", "led_num", True, False, 1),
    ("sensor_enabled/1", "ntc1", True, True, 1),
    ("sensor_enabled/3", "ntc3", False, True, 1),
    ("sensor_enabled/8", "ntc8", True, False, 1),
    ("balance_start", "bal_start", 3.45, 3.35, 1000),
    ("balance_delta", "bal_window", 0.01, 0.02, 1000),
    ("shunt_resistance", "shunt_res", 0.2, 0.4, 1),
    ("cell_count_setting", "cell_cnt", 15, 14, 1),
    ("cycles", "cycle_cnt", 12, 500, 1),
    ("serial_number_setting", "serial_num", 4711, 42, 1),
    ("manufacturer", "mfg_name", "CELLWIRE", "STRANGER", 1),
    ("model", "device_name", "SHED 16S", "BARN-16S", 1),
    ("barcode", "barcode", "0123456789ABCDEF0123456789ABCDE", "X", 1),
    ("design_capacity", "design_cap", 300.0, 250.5, 1000),
    ("cycle_capacity", "cycle_cap", 240.0, 200.0, 1000),
    ("self_discharge", "dsg_rate", 0.4, 0.2, 1),
    ("soc_full_voltage", "cap_100", 3.45, 3.41, 1000),
    ("soc_80_voltage", "cap_80", 3.39, 3.34, 1000),
    ("soc_60_voltage", "cap_60", 3.34, 3.32, 1000),
    ("soc_40_voltage", "cap_40", 3.29, 3.27, 1000),
    ("soc_20_voltage", "cap_20", 3.12, 3.21, 1000),
    ("soc_empty_voltage", "cap_0", 2.9, 2.8, 1000),
    ("mosfet_control_time", "fet_ctrl", 20, 25, 1),
    ("led_time", "led_timer", 7, 8, 1),
)
# The same of the front end, where theirs is a word; each delay in the unit in which it shows it.
FRONT_END = (
    ("frontend_double_range", "sc_dsgoc_x2", False, True, 1),
    ("short_circuit_threshold", "sc", 67, 44, 1),
    ("short_circuit_delay", "sc_delay", 0.0002, 0.0004, 1000000),
    ("discharge_overcurrent_2_threshold", "dsgoc2", 22, 17, 1),
    ("discharge_overcurrent_2_delay", "dsgoc2_delay", 0.64, 0.08, 1000),
)
# It has names for the single range only, and shows them in double range too.
SINGLE = {44: 22, 17: 8}

WRITE = """
import json, sys, serial
from bmstools.jbd import enums, jbd
bms = jbd.JBD(serial.Serial(sys.argv[1], 9600))
values = json.loads(sys.argv[2])
for name, kind in (
    ("sc", "ScEnum"), ("sc_delay", "ScDelayEnum"), ("dsgoc2", "Dsgoc2Enum"), ("dsgoc2_delay", "Dsgoc2DelayEnum"),
    ("cuvp_high_delay", "CuvpHighDelayEnum"), ("covp_high_delay", "CovpHighDelayEnum"),
):
    values[name] = getattr(enums, kind).byDisplay(values[name])
bms.writeEeprom(values)
print("{}")
"""


@contextlib.asynccontextmanager
async def cellwire(simulator: Simulator, path: str, folder: Path) -> AsyncIterator[Bench]:
    """Yield our control on the terminal, which it leaves to others afterwards."""
    dialect = dialects("jbd")[0]
    session = Session(open_link(path))
    store = Store(lambda: EVENING, asyncio.get_running_loop().time)
    pack = store.add(PackState(PACK, "jbd", "jbd", 0, 1.0))
    made = Bench(simulator, Poller(session, dialect, 0, store, pack), folder)
    try:
        for _ in range(3):
            await made.poller.step()
        assert pack.time is not None, pack.reason
        yield made
    finally:
        await made.control.finish()
        await session.close()


def text_of(value: Any) -> str:
    """Return a number of theirs as their enumerations print it."""
    return f"{value:g}" if not isinstance(value, bool) else str(value)


async def test_it_reads_back_all_that_we_wrote(
    serve: Callable[..., Any], ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, dialects("jbd")[0])
    async with serve("jbd", cells=16, baud=0) as (simulator, path, _values):
        wanted = {row[0]: row[2] for row in BOTH + FRONT_END} | {
            "production_date": "2024-02-29",
            "hard_cell_undervoltage_delay": 4,
            "hard_cell_overvoltage_delay": 8,
        }
        async with cellwire(simulator, path, tmp_path) as pack:
            results = await pack.write(wanted)
            assert [(each.command, each.reason) for each in results if each.result != "done"] == []
            named = {each.name for each in pack.commands() if each.mode and each.saves and each.query}
        read = (await ask("python", "-c", SCRIPT, path, "readEeprom", module="bmstools"))["readEeprom"]
        twin = simulator.twins[0]
        assert isinstance(twin, StandardTwin)
        assert not twin.factory
    for name, theirs, ours, _other, factor in BOTH:
        value = ours * factor if isinstance(ours, float) else ours
        assert read[theirs] == (pytest.approx(value) if isinstance(value, float) else value), name
    for name, theirs, ours, _other, factor in FRONT_END:
        assert str(read[theirs]) == text_of(ours if isinstance(ours, bool) else ours * factor), name
    assert (read["year"], read["month"], read["day"]) == (2024, 2, 29)
    # It reads the two hard delays the other way round than it writes them: as in bits 7 and 6, where ours is 4 s.
    codes = frontend.HARD_UNDERVOLTAGE_DELAY.index(4), frontend.HARD_OVERVOLTAGE_DELAY.index(8)
    assert read["covp_high_delay"] == text_of(frontend.HARD_OVERVOLTAGE_DELAY[codes[0]])
    assert read["cuvp_high_delay"] == text_of(frontend.HARD_UNDERVOLTAGE_DELAY[codes[1]])
    # Ours has more: of what both have, nothing was left out.
    ours_only = {"vendor_function", "gps_cutoff_voltage", "gps_cutoff_delay", "sensor_enable_bits"}
    ours_only |= {f"soc_{share}_voltage" for share in (100, 90, 70, 50, 30, 10)}
    ours_only |= {"calibrate_charge_current", "calibrate_discharge_current"}
    assert named - {key.partition("/")[0] for key in wanted} == ours_only
    theirs_only = {name for name in read if name.endswith("_err_cnt")} | {"year", "month", "day"}
    theirs_only |= {"covp_high_delay", "cuvp_high_delay", *(f"ntc{number}" for number in (2, 4, 5, 6, 7))}
    assert set(read) - {row[1] for row in BOTH + FRONT_END} == theirs_only
    assert {read[name] for name in read if name.endswith("_err_cnt")} == {0}


async def test_we_read_all_that_it_wrote(serve: Callable[..., Any], ask: Callable[..., Any], tmp_path: Path) -> None:
    async with serve("jbd", cells=16, baud=0) as (simulator, path, _values):
        data: dict[str, Any] = {}
        for _name, theirs, _ours, other, factor in BOTH + FRONT_END:
            data[theirs] = other if isinstance(other, bool | str) else round(other * factor, 6)
        data |= {name: SINGLE[data[name]] for name in ("sc", "dsgoc2")}
        data |= {f"ntc{number}": False for number in (2, 4, 5, 6, 7)}
        data |= {"year": 2023, "month": 12, "day": 31, "cuvp_high_delay": 16, "covp_high_delay": 2}
        await ask("python", "-c", WRITE, path, json.dumps(data), module="bmstools")
        async with cellwire(simulator, path, tmp_path) as pack:
            assert await pack.control.read(PACK, ANNA) == []
            found = pack.control.values(PACK)
            switches = {each.name for each in pack.commands() if each.kind == SWITCH}
    for name, _theirs, _ours, other, _factor in BOTH + FRONT_END:
        assert found[name] == pytest.approx(other) if isinstance(other, float) else found[name] == other, name
        assert isinstance(found[name], bool) == (name.partition("/")[0] in switches)
    assert found["production_date"] == "2023-12-31"
    # What it writes of the hard delays, it writes where we read them.
    assert (found["hard_cell_undervoltage_delay"], found["hard_cell_overvoltage_delay"]) == (16, 2)


async def test_both_switch_the_same_mosfets(serve: Callable[..., Any], ask: Callable[..., Any], tmp_path: Path) -> None:
    async with serve("jbd", cells=16) as (simulator, path, _values):
        async with cellwire(simulator, path, tmp_path) as pack:
            assert (await pack.one("discharge_switch", False)).result == "done"
        read = (await ask("python", "-c", SCRIPT, path, "readBasicInfo", module="bmstools"))["readBasicInfo"]
        assert (read["chg_fet_en"], read["dsg_fet_en"], read["software_err"]) == (True, False, True)
        script = SCRIPT.replace("read = {}", "read = {}; bms.chgDsgEnable(False, True)")
        await ask("python", "-c", script, path, module="bmstools")
        async with cellwire(simulator, path, tmp_path) as pack:
            found = pack.control.values(PACK)
        assert (found["charge_switch"], found["discharge_switch"]) == (False, True)
