"""The simulated power cut: what was acknowledged is there, the file is sound, the meters do not go back."""

import re
from pathlib import Path

import powercut
import pytest

# bench/durability.py does it 60 times, `make durability`.
CUTS = 10

pytestmark = pytest.mark.skipif(
    bool(powercut.recording_works()), reason=f"system calls cannot be recorded: {powercut.recording_works()}"
)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    wrong, held = powercut.losses_by_cuts(powercut.evening(tmp_path, 400), tmp_path, CUTS, seed=1)
    assert not wrong, wrong[:5]
    assert held["say"] > 100


def test_the_rig_notices_what_is_not_synchronised(tmp_path: Path) -> None:
    order = powercut.evening(tmp_path, 400, synchronous="NORMAL")
    wrong, _held = powercut.losses_by_cuts(order, tmp_path, CUTS, seed=1)
    assert any(re.search(r"lost tick \d+ of", loss) for loss in wrong)
    assert any("went" in loss or "was" in loss for loss in wrong)
