"""The unit for systemd: it parses, and it does what docs/configuration.md says of it."""

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cellwire.cli import parser

UNIT = Path(__file__).parent.parent.parent / "packaging/cellwire.service"
PROGRAM = "/opt/cellwire/bin/cellwire"


class Several(dict[str, Any]):
    """Keys of a unit may come again: their values are added, a line each."""

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self and isinstance(value, list):
            value = [*self[key], *value]
        super().__setitem__(key, value)


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None, dict_type=Several)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    assert unit.sections() == ["Unit", "Service", "Install"]
    return unit["Service"]


def test_it_starts_a_command_that_there_is() -> None:
    program, *words = service()["ExecStart"].split()
    assert program == PROGRAM
    options = parser().parse_args(words)
    assert options.command == "run"
    assert options.config == f"/var/lib/{service()['StateDirectory']}/cellwire.toml"


def test_it_may_do_little() -> None:
    unit = service()
    assert (unit["ProtectSystem"], unit["DynamicUser"], unit["NoNewPrivileges"]) == ("strict", "yes", "yes")
    assert unit["SupplementaryGroups"] == "dialout"
    assert all(line.startswith("char-tty") for line in unit["DeviceAllow"].splitlines())
    assert "CAP_" not in UNIT.read_text(encoding="utf-8")


def test_systemd_understands_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "cellwire.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"), encoding="utf-8")
    result = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
