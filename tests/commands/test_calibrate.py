"""cellwire calibrate: beside what the pack measures, with a confirmation, and read back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from changing import Console, console

Make = Callable[..., AbstractContextManager[Console]]
YES = ("--yes", "--unproven", "--confirm")


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return make(dialect, **more) -> a console for a simulated pack, in a folder of the test's own."""
    return lambda kind, **more: console(tmp_path, kind, capsys, monkeypatch, **more)


@pytest.fixture
def jbd(make: Make) -> Iterator[Console]:
    with make("jbd") as pack:
        yield pack


def measured(pack: Console) -> dict[str, Any]:
    battery = pack.pack.simulator.twins[0].values
    return dict(battery)


def test_several_cells_at_once(jbd: Console) -> None:
    before = measured(jbd)["cell_voltages"]
    words = [f"1={before[0] + 0.03:.3f}", f"3={before[2] - 0.03:.3f}"]
    assert jbd.run("calibrate", "cell", *words, *YES, "calibrate_cell") == 0, jbd.out + jbd.err
    heading, first, second, *_ = jbd.out.splitlines()
    assert heading.split() == ["setting", "measured", "now", "wanted", "unit"]
    assert first.split()[0] == "calibrate_cell/1"
    assert float(first.split()[1]) == pytest.approx(before[0], abs=0.02)
    assert second.split()[2] == f"{before[2] - 0.03:.3f}"
    assert "calibrate_cell/1" in jbd.out
    assert jbd.out.count(": done") == 2


def test_one_cell_and_one_sensor_as_two_words(jbd: Console) -> None:
    cell = measured(jbd)["cell_voltages"][1] + 0.02
    assert jbd.run("calibrate", "cell", "2", f"{cell:.3f}", *YES, "calibrate_cell") == 0, jbd.out + jbd.err
    sensor = measured(jbd)["temperatures"][0] + 2
    assert jbd.run("calibrate", "sensor", "1", f"{sensor:.1f}", *YES, "calibrate_sensor") == 0, jbd.out + jbd.err
    assert [entry["command"] for entry in jbd.journal()] == ["calibrate_sensor/1", "calibrate_cell/2"]


def test_currents(jbd: Console) -> None:
    amperes = -measured(jbd)["current"]
    assert amperes > 1  # it is evening
    assert jbd.run("calibrate", "discharge", f"{amperes:.1f}", *YES, "calibrate_discharge_current") == 0, jbd.out
    assert jbd.run("calibrate", "charge", "5", *YES, "calibrate_charge_current") == 5
    assert jbd.run("calibrate", "idle", *YES, "calibrate_idle_current") == 5
    assert "nothing was written" in jbd.err


def test_it_is_always_a_danger(jbd: Console) -> None:
    cell = measured(jbd)["cell_voltages"][0] + 0.03
    assert jbd.run("calibrate", "cell", f"1={cell:.3f}", "--unproven", "--yes") == 5
    assert "add --confirm calibrate_cell" in jbd.err
    assert jbd.run("calibrate", "cell", f"1={cell:.3f}", "--unproven") == 5
    assert "DANGER, calibrate_cell: " in jbd.out
    assert jbd.journal() == []


def test_what_is_far_off_is_refused(jbd: Console) -> None:
    assert jbd.run("calibrate", "cell", "1=2.500", *YES, "calibrate_cell") == 5
    assert "calibrate_cell/1 = 2.500 V: refused: " in jbd.out


def test_dry_run_sends_nothing(jbd: Console) -> None:
    cell = measured(jbd)["cell_voltages"][0] + 0.03
    assert jbd.run("calibrate", "cell", f"1={cell:.3f}", "--unproven", "--dry-run") == 0
    assert "calibrate_cell/1: would send dd 5a" in jbd.out
    assert jbd.journal() == []


def test_a_pack_without_it_says_what_it_has(make: Make) -> None:
    with make("daly-d2") as pack:
        assert pack.run("calibrate", "cell", "1=3.3") == 2
        assert "has no calibration of cell; it has idle" in pack.err
    with make("jk-uart") as pack:
        assert pack.run("calibrate", "voltage", "13.3") == 2
        assert "it cannot be calibrated from here" in pack.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cell"], "cellwire calibrate LINK cell 1=3.312 2=3.309"),
        (["cell", "3.3"], "cellwire calibrate LINK cell 1=3.312 2=3.309"),
        (["cell", "0=3.3"], "cellwire calibrate LINK cell"),
        (["cell", "1=3.3", "1=3.4"], "cellwire calibrate LINK cell"),
        (["cell", "1=high"], "'high' is not a number"),
        (["sensor", "1=21", "x"], "cellwire calibrate LINK sensor 1=21.5"),
        (["charge"], "cellwire calibrate LINK charge 12.34"),
        (["charge", "1", "2"], "cellwire calibrate LINK charge 12.34"),
        (["idle", "0"], "idle takes no value"),
    ],
)
def test_a_mistake_is_one_sentence(jbd: Console, words: list[str], says: str) -> None:
    assert jbd.run("calibrate", *words) == 2
    assert says in jbd.err
    assert len(jbd.err.splitlines()) == 1
