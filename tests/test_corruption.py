"""Tests, in short form, that nothing wrong leaves the gate on a bad line; bench/corruption.py is the long one."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cellwire.families import FAMILIES, dialects

FRAMES = 20_000


def bench() -> ModuleType:
    """Return bench/corruption.py, which is no package."""
    path = Path(__file__).parent.parent / "bench/corruption.py"
    spec = importlib.util.spec_from_file_location("corruption", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["corruption"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_wrong_is_believed(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    corruption = bench()
    results = corruption.attack(FRAMES, family, seed=1)
    assert {result[1] for result in results} == {dialect.name for dialect in dialects(family)}
    good = corruption.report(results)
    assert good, capsys.readouterr().out
    for _family, name, counts, _worst, _wrong in results:
        # The attack is one: lies got as far as the gate, and the gate lets the truth through all the same.
        assert counts["lies"] > 0.01 * counts["frames"], name
        # Few for Daly A5: a sample of it takes seven good answers, and hardly one comes undamaged here.
        assert counts["believed"] > 20, name


@pytest.mark.parametrize("dialect", [dialect.name for dialect in dialects()])
def test_an_undamaged_pack_is_never_rejected(dialect: str) -> None:
    """Steps of load and charger, switches, alarms and balancing pass, each with one second question at most."""
    corruption = bench()
    for variant in corruption.VARIANTS.get(dialect, ("",)):
        pack = corruption.Pack(dialects(dialect)[0], variant, seed=3)
        gate = corruption.Gate(pack.dialect.sum_tolerance)
        for sample in pack.whole:
            verdict = gate.judge(sample)
            assert verdict == "" or verdict.startswith("doubt:")
            if verdict:
                assert gate.judge(sample) == ""
            assert {name: gate.last[name] for name in sample} == sample
