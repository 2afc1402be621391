"""Real databases: what arrives, and that every row is there once when one side is killed in the middle."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine, Influxd, VictoriaMetrics, running
from sending import Home, sending, sent, until

ENGINES = (VictoriaMetrics, Influxd)
LONG = os.environ.get("CELLWIRE_LONG") == "1"
SENDER = Path(__file__).parent / "sender.py"


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.program)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Give a database that runs."""
    kind: type[Engine] = request.param
    if why := kind.missing():
        pytest.skip(why)
    with running(kind(tmp_path / kind.program)) as engine:
        yield engine


def missing(home: Home, engine: Engine) -> int:
    """Return how many rows the database lacks; fail when it has one twice, or one that never was."""
    found = engine.values("voltage")
    count = 0
    for pack, rows in home.voltages.items():
        have = found.get((pack, pack), [])
        assert len({at for at, _ in have}) == len(have), "a row is there twice"
        assert set(have) <= set(rows), "a row that never was"
        count += len(rows) - len(have)
    return count


async def test_values_come_back(home: Home, engine: Engine) -> None:
    home.history.name(home.packs[0].id, "shed, no. 1=old \\ ü")
    home.write(1)
    async with sending(home.sink(engine.url)) as sink:
        await sent(sink)
    expected = {pack.id: list(home.history.reader.rows(pack.id, 0, 4e9)) for pack in home.packs}
    names = {home.packs[0].id: "shed, no. 1=old / ü", home.packs[1].id: home.packs[1].id}
    for field, name, number in (
        ("voltage", "voltage", 0),
        ("soc", "soc", 0),
        ("cell_voltages_1", "cell_voltages", 1),
        ("cell_voltages_16", "cell_voltages", 16),
        ("temperatures_4", "temperatures", 4),
        ("charge_mosfet", "charge_mosfet", 0),
        ("energy_out", "energy_out", 0),
    ):
        found = await asyncio.to_thread(engine.values, field)
        for pack, rows in expected.items():
            values = [
                (round(at * 1000), readings[name][number - 1] if number else readings[name]) for at, readings in rows
            ]
            assert found[pack, names[pack]] == values, field


async def test_the_database_is_killed_in_the_middle(tmp_path: Path, engine: Engine) -> None:
    rows = 100_000 if LONG else 5000
    home = Home(tmp_path / "cellwire.db")
    home.write(rows // 2, every=720)
    async with sending(home.sink(engine.url, batch=rows // 50)) as sink:
        await until(lambda: sink.status["sent_rows"] >= rows * 0.4)
        await asyncio.to_thread(engine.kill)
        await until(lambda: sink.status["state"] == "failing")
        assert re.search("cannot be reached|refuses the connection", sink.status["reason"])
        await asyncio.to_thread(engine.start)
        await sent(sink, 300)
        home.write(1)
        await sent(sink)
        assert sink.status["sent_rows"] >= rows + 2
    assert home.history.reader.window(0, 1).last == rows + 2
    home.history.stop()
    assert await asyncio.to_thread(missing, home, engine) == 0


async def test_our_side_is_killed_in_the_middle(tmp_path: Path, engine: Engine) -> None:
    rows = 100_000 if LONG else 5000
    home = Home(tmp_path / "cellwire.db")
    home.write(rows // 2, every=720)
    home.history.stop()
    words = [sys.executable, str(SENDER), str(home.history.reader.path), engine.url, "0", str(rows // 50)]

    def sent_rows(enough: float) -> int:
        """Return how many rows a process had sent when it was killed; it was sent that many at least."""
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if int(line) >= enough:
                        return int(line)
            finally:
                process.kill()
        raise AssertionError("it ended by itself")

    first = await asyncio.to_thread(sent_rows, rows * 0.4)
    second = await asyncio.to_thread(sent_rows, rows * 0.2)
    kept = Home(tmp_path / "cellwire.db")
    assert 0 < kept.kept <= first + second  # neither from the beginning, nor too far
    async with sending(kept.sink(engine.url)) as sink:
        await sent(sink, 300)
        assert sink.status["sent_rows"] < rows
    kept.history.stop()
    assert await asyncio.to_thread(missing, home, engine) == 0
