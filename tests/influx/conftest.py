"""What the tests of the line protocol share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fakedb import FakeDb, serving
from sending import Home

from cellwire.outputs import influx
from cellwire.outputs.influx import server


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long than people have to."""
    monkeypatch.setattr(influx, "LOOK", 0.02)
    monkeypatch.setattr(influx, "PAUSE", 0.05)
    monkeypatch.setattr(influx, "KEEP", 0.0)
    monkeypatch.setattr(server, "SLOW", 0.1)
    for name in ("CELLWIRE_INFLUX_TOKEN", "CELLWIRE_INFLUX_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give a history with 300 rows of two packs."""
    home = Home(tmp_path / "cellwire.db")
    home.write(150)
    yield home
    home.history.stop()


@pytest.fixture
async def fake() -> AsyncIterator[FakeDb]:
    """Give a database that does what a test says."""
    async with serving() as fake:
        yield fake
