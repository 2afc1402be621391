"""Every dialect's twin, built as the command line does it, is read back through the dialect itself."""

import asyncio
from typing import Any

import pytest

from cellwire.codec.dialect import Dialect
from cellwire.codec.errors import ProtocolError
from cellwire.families import dialects
from cellwire.sim.server import CaptureTwin, build

ALL = dialects()
NOW = 1_704_067_200.0 + 300 * 86400 + 9 * 3600
# What a dialect rounds to; everything else has the catalogue's decimals.
COARSE = {"soc": 0.51, "voltage": 0.051, "current": 0.051, "temperatures": 0.51, "mosfet_temperature": 0.51}


async def ask(port: int, dialect: Dialect, name: str, address: int, known: dict[str, Any]) -> dict[str, Any]:
    query = dialect.query(name)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    receiver = dialect.receiver()
    frames: list[Any] = []
    writer.write(dialect.request(query, address))
    readings: dict[str, Any] | None = None
    try:
        async with asyncio.timeout(1.2):
            while readings is None:
                data = await reader.read(4096)
                assert data, "the simulator closed the line"
                frames += receiver.feed(data)
                readings = dialect.collect(query, address, frames, known, False)
    except TimeoutError:
        readings = dialect.collect(query, address, frames, known, True)
    finally:
        writer.close()
    assert readings is not None, f"{dialect.name} {name}: no answer in {frames}"
    return readings


@pytest.mark.parametrize("dialect", ALL, ids=[dialect.name for dialect in ALL])
async def test_what_the_battery_says_is_what_is_read(dialect: Dialect) -> None:
    address = dialect.addresses[0]
    async with build(dialect.name, 16, baud=0, think=0.0, seed=3, clock=lambda: NOW) as simulator:
        port = await simulator.tcp()
        values = simulator.twins[0].values
        known: dict[str, Any] = {}
        # Counts that the cells need may be in a record that is asked less often.
        slowest_first = sorted(
            dialect.queries, key=lambda query: ("once", "slow", "fast", "settings").index(query.pace)
        )
        for query in slowest_first:
            if query.pace == "settings" and query.name != dialect.probe:
                continue
            try:
                known.update(await ask(port, dialect, query.name, address, known))
            except (AssertionError, ProtocolError):
                if not query.optional:
                    raise
    assert known["cell_voltages"] == pytest.approx(values["cell_voltages"], abs=0.0011)
    compared = {"cell_voltages"}
    for name, tolerance in COARSE.items():
        if name in known:
            wanted = values[name]
            found = [each for each in known[name] if each is not None] if name == "temperatures" else known[name]
            if name == "temperatures":
                found = found[: len(wanted)]
            assert found == pytest.approx(wanted, abs=tolerance), name
            compared.add(name)
    for name in ("charge_mosfet", "discharge_mosfet", "cell_count", "cycles"):
        if name in known:
            assert known[name] == values[name], name
            compared.add(name)
    assert {"voltage", "current"} <= compared or dialect.name == "jk04", compared


@pytest.mark.parametrize("name", ["jk", "jbd", "daly"])
def test_a_family_stands_for_its_serial_dialect(name: str) -> None:
    simulator = build(name, 8, addresses=[1, 2], baud=19200, think=0.02, faults=["drop=0.5"], seed=1)
    assert len(simulator.twins) == 2
    assert (simulator.baud, simulator.think, simulator.faults.rate("drop")) == (19200, 0.02, 0.5)
    assert simulator.master is not None
    assert [twin.values["cell_count"] for twin in simulator.twins] == [8, 8]
    assert simulator.twins[0].values["cell_voltages"] != simulator.twins[1].values["cell_voltages"]


def test_unknown_family() -> None:
    with pytest.raises(KeyError):
        build("duracell")


def test_a_capture_needs_no_battery(tmp_path: Any) -> None:
    path = tmp_path / "pack.jsonl"
    path.write_text('{"cellwire": "capture", "version": 1}\n{"t": 0, "tx": "00"}\n{"t": 1, "rx": "01"}\n')
    simulator = build("jbd", capture=path)
    assert isinstance(simulator.twins[0], CaptureTwin)
    assert simulator.twins[0].answer(b"\x00") == [b"\x01"]


async def test_a_jk_bus_with_a_master() -> None:
    """All that is on the line is found by the dialect's receiver: requests, records and the master's own."""
    (dialect,) = dialects("jk-pb")
    simulator = build("jk-pb", 16, addresses=[1, 2], faults=["second-master=1"], clock=lambda: NOW, think=0.02)
    async with simulator:
        reader, _writer = await asyncio.open_connection("127.0.0.1", await simulator.tcp())
        receiver = dialect.receiver()
        frames: list[Any] = []
        try:
            async with asyncio.timeout(4.7):
                while True:
                    frames += receiver.feed(await reader.read(4096))
        except TimeoutError:
            pass
        _writer.close()
    kinds = [frame[0] for frame in frames]
    assert kinds.count("request") >= 17
    voltages = [dialect.read(frame, {}).get("cell_voltages") for frame in frames if frame[0] != "request"]
    assert sum(volts is not None for volts in voltages) >= 3
