"""cellwire switch: a MOSFET, the balancer or the heater, with proof from the pack."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from changing import Console, console

from cellwire.cli import main

Make = Callable[..., AbstractContextManager[Console]]


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return make(dialect, **more) -> a console for a simulated pack, in a folder of the test's own."""
    return lambda kind, **more: console(tmp_path, kind, capsys, monkeypatch, **more)


@pytest.mark.parametrize("kind", ["jbd", "jk-pb", "jk-uart", "daly-d2", "daly-a5"])
@pytest.mark.parametrize("what", ["charge", "discharge"])
def test_mosfets(make: Make, kind: str, what: str) -> None:
    with make(kind) as pack:
        battery = pack.pack.simulator.batteries[0]
        assert battery is not None
        for state in ("off", "on"):
            assert pack.run("switch", what, state, "--yes") == 0, pack.out + pack.err
            assert f"{what}_switch = {state}: done" in pack.out
            assert battery.switches[f"{what}_switch"] is (state == "on")


@pytest.mark.parametrize("kind", ["jbd", "jk-pb", "daly-d2"])
def test_balancer(make: Make, kind: str) -> None:
    with make(kind) as pack:
        assert pack.run("switch", "balancer", "off", "--yes") == 0, pack.out + pack.err
        assert pack.value("balancer_switch") is False


def test_heating_where_there_is_one(make: Make) -> None:
    with make("jk-pb") as pack:
        assert pack.run("switch", "heating", "on", "--yes") == 0, pack.out + pack.err
        assert pack.value("heating_switch") is True
    with make("jbd") as pack:
        assert pack.run("switch", "heating", "on", "--yes") == 2
        assert "has no heating that can be switched; it has charge, discharge, " in pack.err


def test_what_happens_is_told_before(make: Make) -> None:
    with make("jbd") as pack:
        assert pack.run("switch", "discharge", "off") == 5
        assert "takes the power from everything behind the pack" in pack.out
        assert "A flow out of the pack now" in pack.out
        assert "no terminal" in pack.err


def test_what_is_so_already_is_not_sent(make: Make) -> None:
    with make("jbd") as pack:
        assert pack.run("switch", "charge", "on", "--yes") == 0
        assert "charge_switch = on: done: it was so before; nothing sent" in pack.out


@pytest.mark.parametrize(("fault", "code"), [("ignore-writes", 6), ("refuse", 5), ("drop-after-write", 0)])
def test_a_pack_that_misbehaves(make: Make, fault: str, code: int) -> None:
    with make("jbd", faults=[f"{fault}=1"]) as pack:
        assert pack.run("switch", "charge", "off", "--yes") == code, pack.out + pack.err


@pytest.mark.parametrize("words", [["charge"], ["charge", "maybe"], ["everything", "on"], []])
def test_wrong_words_are_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["switch", "/dev/null", *words])
    assert caught.value.code == 2
