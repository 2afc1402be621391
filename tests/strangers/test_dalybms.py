"""dreadnought/python-daly-bms 0.5 reads our Daly twin through its own command line."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("cells", [7, 16])
async def test_everything(serve: Callable[..., Any], ask: Callable[..., Any], moment: float, cells: int) -> None:
    async with serve("daly-a5", cells=cells, clock=lambda: moment) as (_simulator, path, values):
        read = await ask("daly-bms-cli", "-d", path, "--all", module="dalybms")
    assert read["soc"]["total_voltage"] == pytest.approx(values["voltage"], abs=0.051)
    # Their comment says negative is charging, and that is what A5 boards send; ours is positive when charging.
    assert read["soc"]["current"] == pytest.approx(-values["current"], abs=0.051)
    assert read["soc"]["soc_percent"] == pytest.approx(values["soc"], abs=0.051)
    assert read["cell_voltages"] == {str(number): volts for number, volts in enumerate(values["cell_voltages"], 1)}
    assert read["cell_voltage_range"]["highest_voltage"] == values["cell_max"]
    assert read["cell_voltage_range"]["highest_cell"] == values["cell_max_number"]
    assert read["cell_voltage_range"]["lowest_voltage"] == values["cell_min"]
    assert read["cell_voltage_range"]["lowest_cell"] == values["cell_min_number"]
    temperatures = [read["temperatures"][str(number)] for number in range(1, values["sensor_count"] + 1)]
    assert temperatures == pytest.approx(values["temperatures"], abs=0.51)
    assert read["temperature_range"]["highest_temperature"] == pytest.approx(values["temperature_max"], abs=0.51)
    assert read["mosfet_status"]["charging_mosfet"] is values["charge_mosfet"]
    assert read["mosfet_status"]["discharging_mosfet"] is values["discharge_mosfet"]
    assert read["mosfet_status"]["capacity_ah"] == pytest.approx(values["remaining_capacity"], abs=0.01)
    assert read["mosfet_status"]["mode"] == values["pack_state"]
    assert read["status"]["cells"] == cells
    assert read["status"]["temperature_sensors"] == values["sensor_count"]
    assert read["status"]["cycles"] == values["cycles"]
    assert read["errors"] == []


async def test_an_alarm(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    async with serve("daly-a5") as (simulator, path, values):
        simulator.batteries = []
        simulator.twins[0].values = {**values, "protections": ["charge_undertemperature"]}
        read = await ask("daly-bms-cli", "-d", path, "--errors", module="dalybms")
    assert read == ["Charging temperature's too low. Level two alarm"]


async def test_it_switches_a_mosfet(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    async with serve("daly-a5") as (simulator, path, _values):
        script = (
            "import json, sys; from dalybms import DalyBMS; bms = DalyBMS(); bms.connect(sys.argv[1]);"
            "bms.set_discharge_mosfet(False); print(json.dumps(bms.get_mosfet_status()))"
        )
        read = await ask("python", "-c", script, path, module="dalybms")
        assert read["discharging_mosfet"] is False
        assert read["charging_mosfet"] is True
        assert simulator.batteries[0].switches["discharge_switch"] is False
