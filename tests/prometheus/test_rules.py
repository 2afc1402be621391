"""The alert rules pass promtool, and there is a test of each."""

import re
import subprocess
from pathlib import Path

import pytest
from scraped import ROOT, program

FOLDER = ROOT / "contrib/prometheus"
RULES = (FOLDER / "cellwire.rules.yml").read_text(encoding="utf-8")
NAMES = re.findall(r"- alert: (\w+)", RULES)


def promtool(*arguments: str, folder: Path = FOLDER) -> str:
    result = subprocess.run(
        [program("promtool"), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_promtool_checks_the_rules() -> None:
    assert f"SUCCESS: {len(NAMES)} rules found" in promtool("check", "rules", "cellwire.rules.yml")


def test_promtool_tests_the_rules() -> None:
    assert "SUCCESS" in promtool("test", "rules", "cellwire.rules.test.yml")


def test_promtool_checks_the_example_of_a_configuration(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "cellwire.rules.yml"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "cellwire.token").write_text("secret", encoding="utf-8")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_tested_and_says_what_to_do(name: str) -> None:
    assert name in (FOLDER / "cellwire.rules.test.yml").read_text(encoding="utf-8")
    rule = RULES.partition(f"- alert: {name}\n")[2].partition("- alert:")[0]
    assert "severity: " in rule
    assert "summary: " in rule
    assert "description: " in rule


def test_every_metric_of_the_rules_exists() -> None:
    from cellwire.outputs.prometheus import HEADS

    assert set(re.findall(r"\bcellwire_\w+", RULES)) <= set(HEADS)
