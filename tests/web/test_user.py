"""cellwire user: adds, lists and removes users and tokens, asks for passwords twice, and says what is wrong."""

import getpass
import io
import json
import sys
from pathlib import Path

import pytest

from cellwire.cli import main
from cellwire.outputs.web.access import Access


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cellwire.toml"


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let standard input hold a text, as a pipe does."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def asked(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Let somebody sit at the terminal."""
    left = list(answers)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: left.pop(0))


def access(path: Path) -> Access:
    return Access(path, lambda: 1000.0)


def test_first_user_and_more(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked(monkeypatch, "battery-house", "battery-house")
    assert main(["user", "add", "anna", "--grant", "service"]) == 0
    typed(monkeypatch, "correct horse\n")
    assert main(["user", "add", "bert", "--password-stdin", "--json"]) == 0
    users = access(config.parent / "access.json")
    assert users.is_right("anna", "battery-house")
    assert users.is_right("bert", "correct horse")
    capsys.readouterr()
    assert main(["user", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(user["name"], user["grant"]) for user in found["users"]] == [("anna", "service"), ("bert", "read")]
    assert main(["user", "list"]) == 0
    assert "bert" in capsys.readouterr().out


def test_password_and_remove(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = access(config.parent / "access.json")
    users.add_user("anna", "battery-house", "service")
    users.add_user("bert", "battery-house", "read")
    secret = users.begin("bert")
    typed(monkeypatch, "correct horse\n")
    assert main(["user", "password", "bert", "--password-stdin"]) == 0
    users.refresh()
    assert users.is_right("bert", "correct horse")
    assert not users.visitor(secret).grant
    assert main(["user", "remove", "bert"]) == 0
    assert main(["user", "remove", "anna"]) == 5
    assert [user["name"] for user in access(config.parent / "access.json").users()] == ["anna"]


def test_tokens(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "token", "add", "grafana", "--grant", "operate"]) == 0
    output = capsys.readouterr()
    secret = output.out.strip()
    assert "cannot be shown again" in output.err
    assert access(config.parent / "access.json").bearer(secret).grant == "operate"
    assert main(["user", "token", "add", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["token"].startswith("cellwire_")
    assert main(["user", "token", "remove", "grafana"]) == 0
    assert not access(config.parent / "access.json").bearer(secret).grant
    assert main(["user", "token", "remove", "grafana"]) == 2


def test_the_file_that_the_configuration_names(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config.parent / "etc").mkdir()
    file = config.parent / "etc/cellwire.toml"
    file.write_text('[web]\naccess = "users.json"\n', encoding="utf-8")
    typed(monkeypatch, "battery-house\n")
    assert main(["user", "add", "anna", "--grant", "service", "--password-stdin", "-c", str(file)]) == 0
    assert access(config.parent / "etc/users.json").knows("anna")


@pytest.mark.parametrize(
    ("words", "password", "code", "problem"),
    [
        (["add", "anna", "--grant", "read", "--password-stdin"], "battery-house\n", 5, "The first user needs"),
        (["add", "anna", "--grant", "service", "--password-stdin"], "short\n", 2, "at least 10 characters"),
        (["add", "-a", "--grant", "service", "--password-stdin"], "battery-house\n", 2, ""),
        (["add", "an na", "--grant", "service", "--password-stdin"], "battery-house\n", 2, "A name has 1 to 64"),
        (["add", "anna", "--grant", "service"], "battery-house\n", 2, "give it with --password-stdin"),
        (["password", "anna", "--password-stdin"], "battery-house\n", 2, "there is no user anna"),
        (["remove", "anna"], "", 2, "there is no user anna"),
        (["token", "add", "a b"], "", 2, "A name has 1 to 64"),
    ],
)
def test_what_is_wrong_is_said(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    password: str,
    code: int,
    problem: str,
) -> None:
    typed(monkeypatch, password)
    try:
        found = main(["user", *words])
    except SystemExit as ended:  # what argparse itself refuses
        found = int(str(ended.code))
    assert found == code
    assert problem in capsys.readouterr().err
    assert not access(config.parent / "access.json").is_set_up


def test_two_different_passwords_change_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(monkeypatch, "battery-house", "battery-mouse")
    assert main(["user", "add", "anna", "--grant", "service"]) == 2
    assert "not the same" in capsys.readouterr().err
    assert not (config.parent / "access.json").exists()


def test_a_configuration_with_mistakes_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[web]\nlisten = 3\n", encoding="utf-8")
    assert main(["user", "list"]) == 2
    assert "web.listen" in capsys.readouterr().err
