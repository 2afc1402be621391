"""cellwire release: asks a running gateway, finds it, and says what is wrong when it cannot."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import free_port, running, served

from cellwire.cli import main
from cellwire.outputs.web.access import Access


class Place:
    """A gateway that runs, its folder, and its tokens."""

    def __init__(self, folder: Path, port: int, tokens: dict[str, str]) -> None:
        self.config = folder / "cellwire.toml"
        self.port = port
        self.tokens = tokens


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("gateway")
    port = free_port()
    access = Access(folder / "access.json", lambda: 0.0)
    access.add_user("anna", "battery-house", "service")
    made = Place(folder, port, {grant: access.add_token(grant, grant) for grant in ("read", "operate")})
    with served(folder / "port", "jbd") as there:
        made.config.write_text(
            f'[web]\nlisten = "127.0.0.1:{port}"\n[history]\nenabled = false\n'
            f'[[pack]]\nname = "shed"\nlink = "{there.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.2\n'
        )
        with running("run", "-c", made.config, "--stdout", "--every", "0.2") as gateway:
            gateway.until("online")
            yield made


@pytest.fixture(autouse=True)
def token(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLWIRE_TOKEN", place.tokens["operate"])


def test_released_and_taken_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "shed", "--minutes", "2", "-c", str(place.config)]) == 0
    assert capsys.readouterr().out.startswith("shed: released for another program until ")
    assert main(["release", "shed", "--back", "--json", "--url", f"http://127.0.0.1:{place.port}"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pack": "shed", "packs": ["shed"], "text": "taken back"}
    assert main(["release", "shed", "--back", "-c", str(place.config)]) == 0
    assert capsys.readouterr().out == "shed: it was not released\n"


def test_the_token_may_be_in_a_file(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CELLWIRE_TOKEN")
    (tmp_path / "token").write_text(place.tokens["operate"])
    assert main(["release", "shed", "--back", "-c", str(place.config), "--token-file", str(tmp_path / "token")]) == 0
    assert "not released" in capsys.readouterr().out


@pytest.mark.parametrize("grant", ["", "read"])
def test_a_token_is_needed_that_may(
    place: Place, grant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELLWIRE_TOKEN", place.tokens.get(grant, ""))
    assert main(["release", "shed", "-c", str(place.config)]) == 5
    told = capsys.readouterr()
    assert "cellwire user token add phone --grant operate" in told.err
    assert not told.out


def test_a_pack_that_is_not_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "barn/2", "-c", str(place.config)]) == 2
    assert "There is no pack 'barn/2'. There is: shed" in capsys.readouterr().err


def test_no_gateway_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cellwire.toml"
    config.write_text(f'[web]\nlisten = "127.0.0.1:{free_port()}"\n')
    assert main(["release", "shed", "-c", str(config)]) == 3
    told = capsys.readouterr().err
    assert "does not answer" in told
    assert "is it running?" in told


def test_somebody_else_answers(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert main(["release", "shed", "--url", f"http://127.0.0.1:{port}"]) == 3
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
    assert "does not answer as a Cellwire gateway does" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--minutes", "0.4"], ["--minutes", "241"], ["--minutes", "soon"], ["--minutes", "5", "--back"]],
)
def test_what_is_no_time(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["release", "shed", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "nonsense"], "not the address of a gateway"),
        (["--url", "ftp://192.0.2.7"], "not the address of a gateway"),
        (["--token-file", "nothing"], "cannot be read"),
    ],
)
def test_wrong_options(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "shed", *arguments]) == 2
    assert words in capsys.readouterr().err
