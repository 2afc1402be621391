"""Kill -9 under load: what was acknowledged is there, the file is sound, the meters do not go back."""

from pathlib import Path

import durable

# bench/durability.py does it 50 times, `make durability`.
KILLS = 6


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert durable.survive_kills(tmp_path, KILLS) > 1000
