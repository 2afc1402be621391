"""FurTrader/bmstools 1.2 reads our JBD twin, also the parameters behind its factory mode."""

from collections.abc import Callable
from typing import Any

import pytest

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
