"""What is special about writing to a Daly: frames with several values, a clock beside the charge, sides of zero."""

from pathlib import Path

import pytest
from written import bench, quick

from cellwire.families import dialects
from cellwire.families.daly.dates import clock_bytes

A5, D2, P81 = dialects("daly")


async def test_the_charge_is_set_with_the_clock_of_the_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, A5)
    async with bench(A5, "", tmp_path) as pack:
        assert (await pack.one("clock", 210_000_000)).result == "done"
        result = await pack.one("soc", 30.0)
        assert result.result == "done"
        assert bytes.fromhex(result.frames[0])[4:12] == clock_bytes(210_000_000) + (300).to_bytes(2, "big")
        # And the clock with the charge.
        result = await pack.one("clock", 220_000_000)
        assert result.result == "done"
        assert bytes.fromhex(result.frames[0])[4:12] == clock_bytes(220_000_000) + (300).to_bytes(2, "big")


async def test_an_old_clock_is_not_written_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, A5)
    monkeypatch.setattr(A5.query("clock"), "timeout", 0.05)
    async with bench(A5, "", tmp_path) as pack:
        assert pack.known["clock"]
        twin = pack.simulator.twins[0]
        answer = twin.answer
        twin.answer = lambda data: [] if data[2] == 0x61 else answer(data)  # type: ignore[method-assign]
        result = await pack.one("soc", 30.0)
        assert result.result == "refused"
        assert "cannot be read: clock" in result.reason
        assert not any(frame[2] == 0x21 for frame in pack.sent)


async def test_values_that_share_a_frame_are_written_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, A5)
    async with bench(A5, "", tmp_path) as pack:
        changes = {"cell_overvoltage_warning": 3.7, "cell_overvoltage_limit": 3.8, "cell_undervoltage_limit": 2.6}
        results = await pack.write(changes)
        assert {result.result for result in results} == {"done"}
        # The safer one first, and no limit below its warning in between.
        assert [result.command for result in results] == [
            "cell_undervoltage_limit",
            "cell_overvoltage_limit",
            "cell_overvoltage_warning",
        ]
        assert {name: pack.known[name] for name in changes} == changes
        assert pack.known["cell_undervoltage_warning"] == 2.8


@pytest.mark.parametrize("dialect", [A5, D2], ids=lambda dialect: dialect.name)
async def test_limits_of_the_current_stay_on_their_sides(
    dialect: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = A5 if dialect is A5 else D2
    quick(monkeypatch, dialect)
    async with bench(dialect, "", tmp_path) as pack:
        sides = pack.known["current_limit_sides"]
        assert sides == (0b1100 if dialect is A5 else 0b1000)
        for name in ("charge_overcurrent_limit", "discharge_overcurrent_limit"):
            result = await pack.one(name, pack.known[name] + 7)
            assert result.result == "done", result
        assert pack.known["current_limit_sides"] == sides


async def test_what_nothing_shows_is_not_called_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, P81)
    async with bench(P81, "", tmp_path) as pack:
        result = await pack.one("balancer_switch", False)
        assert result.result == "not_confirmed"
        assert "no value of it shows" in result.reason
        assert pack.simulator.batteries[0].switches["balancer_switch"] is False  # type: ignore[union-attr]
        assert (await pack.one("active_balance", True)).result == "done"
