"""What the tests of commands that change something share: a simulated pack, and a console in a folder of its own."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, command_of, environment, served

from cellwire.cli import main
from cellwire.gateway import detect

Document = dict[str, Any]


class Console:
    """Cellwire as somebody types it for one pack."""

    def __init__(self, pack: Served, kind: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.pack = pack
        self.kind = kind
        self.home = home
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, command: str, *words: Any) -> int:
        """Return the exit code; what was said is in `out` and `err` then."""
        self._capsys.readouterr()
        code = main([command, self.pack.path, *self._named(words)])
        self.out, self.err = self._capsys.readouterr()
        return code

    def settings(self, *words: Any) -> int:
        return self.run("settings", *words)

    def document(self, *words: Any) -> Document:
        """Return the JSON of an action of `settings` that goes well."""
        assert self.settings(*words, "--json") == 0, self.err
        (line,) = self.out.splitlines()
        found: Document = json.loads(line)
        return found

    def value(self, name: str) -> Any:
        """Return what the pack shows."""
        return self.document("get", name)["settings"][name]

    def journal(self) -> list[Document]:
        """Return all entries, the newest first."""
        found: list[Document] = self.document("journal", "--count", "1000")["entries"]
        return found

    def words(self, command: str, *words: Any) -> list[str]:
        """Return the same as words of a shell."""
        found: list[str] = command_of(command, self.pack.path, *self._named(words))
        return found

    def _named(self, words: tuple[Any, ...]) -> list[str]:
        """Return the words with the pack behind them, so that nobody looks for it for long."""
        address = ["--address", "1"] if self.kind == "jk-pb" and "--address" not in words else []
        return [*map(str, words), "--family", self.kind, *address]


@contextlib.contextmanager
def console(
    path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Iterator[Console]:
    """Yield a console for a simulated pack of that dialect."""
    monkeypatch.setenv("XDG_STATE_HOME", str(path / "state"))
    monkeypatch.chdir(path)
    if "second-master=1" not in more.get("faults", ()):
        monkeypatch.setattr(detect, "LISTEN", 0.1)  # nobody else is there to be heard
    with served(path / f"pack-{kind}", kind, **more) as pack:
        yield Console(pack, kind, path, capsys)


def heeding_ctrl_c() -> None:
    """Have the process end by Ctrl-C, as in a terminal: what a shell starts in its background does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def typed(words: list[str], *answers: str) -> tuple[int, str]:
    """Return exit code and output of a program on a terminal, on which the answers are typed when it asks."""
    ours, its = pty.openpty()
    # As the one that the terminal belongs to, so that Ctrl-C reaches it.
    command = ["setsid", "--ctty", *words]
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=environment(), close_fds=True, preexec_fn=heeding_ctrl_c
    )
    os.close(its)
    text, left = "", list(answers)
    with contextlib.suppress(OSError):  # a terminal ends so when nobody has it any more
        while select.select([ours], [], [], 30)[0] and (piece := os.read(ours, 4096)):
            text += piece.decode()
            if left and text.rstrip(" ").endswith(("[y/N]", "nevertheless:")):
                text += "|"
                os.write(ours, left.pop(0).encode())
    os.close(ours)
    try:
        return process.wait(30), text
    finally:
        process.kill()
