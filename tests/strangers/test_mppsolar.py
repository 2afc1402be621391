"""jblance/mpp-solar 0.16 reads our JK, JBD and Daly twins through its own command line."""

from collections.abc import Callable
from typing import Any

import pytest


async def test_jk_4e57(serve: Callable[..., Any], ask: Callable[..., Any], moment: float) -> None:
    """Its protocol JKSERIAL is 4E57, for 16 cells only (fixed positions); its JK485 is an old balancer's."""
    async with serve("jk-uart", cells=16, clock=lambda: moment) as (_simulator, path, values):
        read = await ask(
            *("mpp-solar", "-p", path, "--porttype", "jkserial", "-P", "JKSERIAL", "-b", "115200"),
            *("-o", "json", "-c", "getBalancerData"),
            module="mppsolar",
        )
    assert read["cells_connected"] == 16
    for number, volts in enumerate(values["cell_voltages"], 1):
        assert read[f"voltage_cell{number:02}"] == volts
    assert read["battery_voltage"] == values["voltage"]
    assert read["battery_current"] == pytest.approx(values["current"], abs=0.0001)
    assert read["percent_remain"] == pytest.approx(values["soc"], abs=0.51)
    assert read["mos_temp"] == pytest.approx(values["mosfet_temperature"], abs=0.51)
    assert read["battery_t1"] == pytest.approx(values["temperatures"][0], abs=0.51)
    assert read["battery_t2"] == pytest.approx(values["temperatures"][1], abs=0.51)
    assert read["cycle_count"] == values["cycles"]
    assert read["total_capacity"] == pytest.approx(values["cycled_capacity"], abs=0.51)
    assert read["capacity_setting"] == values["design_capacity"]
    # Called "Balancer Active" there; the identifier 9D is the switch.
    assert read["balancer_active"] == values["balancer_switch"]
    assert read["charge_enabled"] == values["charge_switch"]
    assert read["discharge_enabled"] == values["discharge_switch"]
    assert int(read["battery_warning_message"], 16) == 0
    assert int(read["battery_status_information"], 16) & 3 == 3


async def test_daly(serve: Callable[..., Any], ask: Callable[..., Any], moment: float) -> None:
    async with serve("daly-a5", cells=16, clock=lambda: moment) as (_simulator, path, values):
        read: dict[str, Any] = {}
        for command in ("SOC", "cellMinMaxVoltages", "mosStatus", "status", "cellVoltages"):
            read |= await ask(
                *("mpp-solar", "-p", path, "--porttype", "daly", "-P", "DALY", "-b", "9600"),
                *("-o", "json", "-c", command),
                module="mppsolar",
            )
    assert read["battery_bank_voltage"] == pytest.approx(values["voltage"], abs=0.051)
    # It leaves Daly's sign as it is: discharging is positive there.
    assert read["current"] == pytest.approx(-values["current"], abs=0.051)
    assert read["soc"] == pytest.approx(values["soc"], abs=0.051)
    assert read["maximum_cell_voltage"] == values["cell_max"]
    assert read["maximum_cell_number"] == values["cell_max_number"]
    assert read["minimum_cell_voltage"] == values["cell_min"]
    assert read["charging_mos_tube_status"] == "01"
    assert read["discharging_mos_tube_status"] == "01"
    assert read["residual_capacity"] == pytest.approx(values["remaining_capacity"], abs=0.01)
    assert read["number_of_cells"] == 16
    assert read["number_of_temperature_sensors"] == values["sensor_count"]
    for number, volts in enumerate(values["cell_voltages"], 1):
        assert read[f"cell_{number:02}_voltage"] == volts


async def test_jbd_is_not_answered(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    """Its protocol JK232 is JBD's, but its own mistake keeps it from working: since its checksum function became
    that of 4E57 (a plain sum), the request ends in 00 03 77 instead of FF FD 77, and a pack must not answer that."""
    async with serve("jbd", cells=16) as (simulator, path, _values):
        read = await ask(
            *("mpp-solar", "-p", path, "--porttype", "serial", "-P", "JK232", "-b", "9600"),
            *("-o", "json", "-c", "getBalancerData"),
            module="mppsolar",
        )
    assert "error" in read
    assert (simulator.requests, simulator.replies) == (1, 0)


async def test_jk_pb(serve: Callable[..., Any], ask: Callable[..., Any]) -> None:
    """Its protocol JKPB gives the 308 bytes of an answer as they are. Its port type "serial" ends at the first 0D,
    which the values of this frozen moment do not have; "jkserial" waits for the end of 4E57 and so for ever."""
    async with serve("jk-pb", cells=16, addresses=[1]) as (_simulator, path, values):
        read = await ask(
            *("mpp-solar", "-p", path, "--porttype", "serial", "-P", "JKPB", "-b", "115200"),
            *("-o", "json", "-c", "getCellData"),
            module="mppsolar",
        )
    answer = bytes.fromhex(read["response"])
    assert len(answer) == 308
    assert answer[:5] == bytes.fromhex("55 AA EB 90 02")
    assert [each / 1000 for each in memoryview(answer[6:38]).cast("H")] == values["cell_voltages"]
