"""Runs the vectors and the commands' limits again, under MicroPython."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from captured import vectors

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "tests/micropython").glob("run_*.py"))


def micropython() -> str:
    """Return the interpreter of this environment; skip, loudly, where there is no package of it."""
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("MicroPython is not installed (the extra `micropython`; there is none for this machine?)")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_under_micropython(script: Path) -> None:
    command = [micropython(), "-X", "heapsize=32M", str(script), str(ROOT / "src")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    assert "0 wrong" in result.stdout
    assert result.stdout.startswith("micropython ")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_says_the_same_under_cpython(script: Path) -> None:
    command = [sys.executable, str(script), str(ROOT / "src")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    assert "0 wrong" in result.stdout


def test_all_vectors_were_run() -> None:
    command = [micropython(), "-X", "heapsize=32M", str(ROOT / "tests/micropython/run_vectors.py"), str(ROOT / "src")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert f" {len(vectors())} vectors " in result.stdout
