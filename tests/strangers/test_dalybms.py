"""dreadnought/python-daly-bms 0.5 reads and writes our Daly twin through its own command line, beside Cellwire."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written import Bench, met

from cellwire.families import dialects

A5 = dialects("daly-a5")[0]


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


async def tell(path: str, *words: str) -> None:
    """Have its command line set something. It ends with 1 then, done or not, and complains when it had no answer."""
    pytest.importorskip("dalybms")
    program = str(Path(sys.executable).parent / "daly-bms-cli")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, "-d", path, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    await asyncio.sleep(0)  # asyncio closes the pipes a moment later
    assert (process.returncode, output, errors) == (1, b"", b"")


async def polled(pack: Bench, name: str) -> Any:
    """Return what one poll of Cellwire shows."""
    assert await pack.poller.step()
    return pack.known[name]


@pytest.mark.parametrize("side", ["charge", "discharge"])
async def test_what_it_switches_cellwire_shows(serve: Callable[..., Any], tmp_path: Path, side: str) -> None:
    async with serve("daly-a5", baud=0) as (simulator, path, _values):
        async with met(simulator, A5, f"tcp:127.0.0.1:{await simulator.tcp()}", tmp_path) as pack:
            assert await polled(pack, f"{side}_mosfet") is True
            for word, on in (("off", False), ("on", True), ("off", False)):
                await tell(path, f"--set-{side}-mosfet", word)
                assert await polled(pack, f"{side}_mosfet") is on
        other = "discharge" if side == "charge" else "charge"
        assert simulator.batteries[0].switches == {
            f"{side}_switch": False,
            f"{other}_switch": True,
            "balancer_switch": True,
        }


async def test_the_charge_that_it_sets_cellwire_shows(serve: Callable[..., Any], tmp_path: Path) -> None:
    async with (
        serve("daly-a5", baud=0) as (simulator, path, values),
        met(simulator, A5, f"tcp:127.0.0.1:{await simulator.tcp()}", tmp_path) as pack,
    ):
        assert await polled(pack, "soc") == pytest.approx(values["soc"], abs=0.051)
        await tell(path, "--set-soc", "42.5")
        assert await polled(pack, "soc") == 42.5


async def test_what_cellwire_writes_it_shows(
    serve: Callable[..., Any], ask: Callable[..., Any], tmp_path: Path
) -> None:
    async with (
        serve("daly-a5", baud=0) as (simulator, path, _values),
        met(simulator, A5, f"tcp:127.0.0.1:{await simulator.tcp()}", tmp_path) as pack,
    ):
        for changes in ({"discharge_switch": False}, {"charge_switch": False, "discharge_switch": True}):
            results = await pack.write(changes)
            assert [result.result for result in results] == ["done"] * len(changes)
            read = await ask("daly-bms-cli", "-d", path, "--mosfet", module="dalybms")
            for key, on in changes.items():
                side = {"charge_switch": "charging", "discharge_switch": "discharging"}[key]
                assert read[f"{side}_mosfet"] is on
        assert (await pack.one("soc", 33.3)).result == "done"
        read = await ask("daly-bms-cli", "-d", path, "--soc", module="dalybms")
        assert read["soc_percent"] == 33.3
