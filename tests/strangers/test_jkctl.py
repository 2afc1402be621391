"""pbasista/jkctl 0.2 and Cellwire see the same settings, in our JK twin and in its own simulator, and write to both."""

import asyncio
import contextlib
import importlib.util
import json
import os
import pty
import sys
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

# Its key -> our command, and by how much its number is larger.
SAME = {
    "volSmartSleep": ("sleep_voltage", 1),
    "volCellUV": ("cell_undervoltage_limit", 1),
    "volCellUVPR": ("cell_undervoltage_release", 1),
    "volCellOV": ("cell_overvoltage_limit", 1),
    "volCellOVPR": ("cell_overvoltage_release", 1),
    "volBalanTrig": ("balance_delta", 1),
    "volSOCP100": ("soc_full_voltage", 1),
    "volSOCP0": ("soc_empty_voltage", 1),
    "volCellRCV": ("charge_voltage_setting", 1),
    "volCellRFV": ("float_voltage_setting", 1),
    "volSysPwrOff": ("power_off_voltage", 1),
    "timBatCOC": ("charge_overcurrent_limit", 1),
    "timBatCOCPDly": ("charge_overcurrent_delay", 1),
    "timBatCOCPRDly": ("charge_overcurrent_release_delay", 1),
    "timBatDcOC": ("discharge_overcurrent_limit", 1),
    "timBatDcOCPDly": ("discharge_overcurrent_delay", 1),
    "timBatDcOCPRDly": ("discharge_overcurrent_release_delay", 1),
    "timBatSCPRDly": ("short_circuit_release_delay", 1),
    "curBalanMax": ("balance_current_limit", 1),
    "tmpBatCOT": ("charge_overtemperature_limit", 1),
    "tmpBatCOTPR": ("charge_overtemperature_release", 1),
    "tmpBatDcOT": ("discharge_overtemperature_limit", 1),
    "tmpBatDcOTPR": ("discharge_overtemperature_release", 1),
    "tmpBatCUT": ("charge_undertemperature_limit", 1),
    "tmpBatCUTPR": ("charge_undertemperature_release", 1),
    "tmpMosOT": ("mosfet_overtemperature_limit", 1),
    "tmpMosOTPR": ("mosfet_overtemperature_release", 1),
    "cellCount": ("cell_count_setting", 1),
    "batChargeEn": ("charge_switch", 1),
    "batDischargeEn": ("discharge_switch", 1),
    "balanEn": ("balancer_switch", 1),
    "capBatCell": ("design_capacity", 1),
    "scpDelay": ("short_circuit_delay", 1_000_000),
    "volStartBalan": ("balance_start", 1),
    "dischrgPreChrgT": ("precharge_time", 1),
    "tmpStartHeating": ("heating_start", 1),
    "tmpStopHeating": ("heating_stop", 1),
    "timeSmartSleep": ("sleep_delay", 1 / 3600),
}


@pytest.fixture
def ours(tmp_path: Path, ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return ours(path, dialect, *words) -> the JSON that `cellwire settings` prints."""

    async def run(path: str, dialect: str, *words: str) -> Any:
        more = ("--family", dialect, "--address", "1", "--json", "--journal", str(tmp_path / "journal.jsonl"))
        return await ask("python", "-m", "cellwire", "settings", path, *words, *more, module="jkctl")

    return run


@pytest.fixture
def theirs(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return theirs(path) -> all settings that jkctl reads."""
    return lambda path: ask("jkctl", "settings", "show", "--json", "--port", path, "--id", "1", module="jkctl")


def told_apart(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return what the two do not agree on."""
    pairs = {key: (theirs.get(key), ours.get(name), factor) for key, (name, factor) in SAME.items()}
    return {
        key: (their, our)
        for key, (their, our, factor) in pairs.items()
        if their is None or our is None or float(their) != pytest.approx(float(our) * factor, abs=1e-6)
    }


async def test_both_read_the_same_of_our_twin(serve: Any, ours: Any, theirs: Any) -> None:
    async with serve("jk-pb", cells=16, addresses=[1], baud=0) as (_simulator, path, _values):
        mine = (await ours(path, "jk-pb", "get"))["settings"]
        assert told_apart(await theirs(path), mine) == {}


async def test_each_sees_what_the_other_wrote_to_our_twin(serve: Any, ours: Any, theirs: Any, ask: Any) -> None:
    async with serve("jk-pb", cells=16, addresses=[1], baud=0) as (_simulator, path, _values):
        await ours(path, "jk-pb", "set", "cell_undervoltage_limit=2.75", "charge_overtemperature_limit=47", "--yes")
        read = await theirs(path)
        assert (read["volCellUV"], read["tmpBatCOT"]) == (2.75, 47.0)
        its = ("jkctl", "settings", "set", "volCellUV=2.77", "balanEn=off", "--port", path, "--id", "1")
        # It prints no JSON here; that it ends well is enough.
        with contextlib.suppress(json.JSONDecodeError):
            await ask(*its, module="jkctl")
        found = (await ours(path, "jk-pb", "get", "cell_undervoltage_limit", "balancer_switch"))["settings"]
        assert found == {"cell_undervoltage_limit": 2.77, "balancer_switch": False}


@pytest.fixture
async def its_simulator(tmp_path: Path) -> AsyncIterator[str]:
    """Yield the port on which the simulated board of jkctl answers."""
    if importlib.util.find_spec("jkctl") is None:
        pytest.skip("jkctl IS NOT INSTALLED: pip install 'cellwire[strangers]'")
    loop = asyncio.get_running_loop()
    ends = [pty.openpty(), pty.openpty()]
    for (master, slave), (other, _) in zip(ends, reversed(ends), strict=True):
        tty.setraw(slave)
        loop.add_reader(master, lambda master=master, other=other: os.write(other, os.read(master, 4096)))  # type: ignore[misc]
    program = str(Path(sys.executable).parent / "jkctl")
    words = ("simulate", "--port", os.ttyname(ends[0][1]), "--id", "1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield os.ttyname(ends[1][1])
    finally:
        process.kill()
        await process.wait()
        for master, slave in ends:
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)


async def test_we_read_and_write_its_simulator(its_simulator: str, ours: Any, theirs: Any, tmp_path: Path) -> None:
    mine = (await ours(its_simulator, "jk-modbus", "get"))["settings"]
    assert told_apart(await theirs(its_simulator), mine) == {}
    assert (await ours(its_simulator, "jk-modbus", "backup", "-o", str(tmp_path / "it.toml")))["family"] == "jk"
    # A limit, a switch, a bit of a word of switches, and what stands in one byte of two.
    wanted = {"cell_undervoltage_limit": 2.75, "balancer_switch": False, "float_charge": True, "heating_stop": 12}
    words = [
        f"{name}={'on' if value is True else 'off' if value is False else value}" for name, value in wanted.items()
    ]
    written = await ours(its_simulator, "jk-modbus", "set", *words, "--yes", "--unproven")
    assert [(each["result"], each["found"]) for each in written["results"]] == [
        ("done", wanted[each["command"]]) for each in written["results"]
    ]
    read = await theirs(its_simulator)
    assert (read["volCellUV"], read["balanEn"], read["tmpStopHeating"]) == (2.75, 0, 12)
    restored = await ours(its_simulator, "jk-modbus", "restore", str(tmp_path / "it.toml"), "--yes", "--unproven")
    assert sorted(each["command"] for each in restored["results"]) == sorted(wanted)
    assert told_apart(await theirs(its_simulator), mine) == {}
