"""cellwire check: thresholds, every exit code, and what plug-ins print; of captures, simulated packs and gateways."""

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from served import Running, called, running, served

from cellwire.cli import main
from cellwire.commands import check

CAPTURES = Path(__file__).parent.parent.parent / "docs/captures"
JBD = f"replay:{CAPTURES / 'jbd-4s.jsonl'}"  # 100 %, 15.60 V, cells of 3.895 to 3.909 V
FAULTY = f"replay:{CAPTURES / 'daly-p81-16s.jsonl'}"

# label=value[UOM];warn;crit;min;max, as the Monitoring Plugins' guidelines have it.
LIMIT = r"(@?(~|-?[\d.]+)?:?(-?[\d.]+)?)?"
VALUE = re.compile(rf"('[^=|]+'|[^\s'=|]+)=-?\d+(\.\d+)?[A-Za-z%]*(;{LIMIT}){{0,2}}(;-?[\d.]*){{0,2}}", re.ASCII)


class Result(NamedTuple):
    """What came of a check: exit code, the text of each line, and performance data by label."""

    code: int
    lines: list[str]
    values: dict[str, str]
    errors: str


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELLWIRE_TOKEN", raising=False)


class Checked:
    """Runs checks in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: Any) -> Result:
        self._capsys.readouterr()
        try:
            code = main(["check", *map(str, arguments)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = self._capsys.readouterr()
        first, bar, data = captured.out.splitlines()[0].partition(" | ")
        lines = [first, *captured.out.splitlines()[1:]]
        assert not [line for line in lines if "|" in line]
        assert first.startswith(f"CELLWIRE {check.STATES[code]} - ")
        values = [found[0] for found in VALUE.finditer(data)]
        assert " ".join(values) == data, "performance data as plug-ins write it"
        assert bool(bar) is bool(data)
        return Result(code, lines, dict(value.rsplit("=", 1) for value in values), captured.err)


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(capsys)


# Ranges


@pytest.mark.parametrize(
    ("text", "alerts", "well"),
    [
        ("10", [-0.1, 10.1], [0, 5, 10]),
        ("10:", [9.9, -5], [10, 1e9]),
        (":10", [-0.1, 10.1], [0, 10]),
        ("~:10", [10.1], [-1e9, 0, 10]),
        ("10:20", [9.9, 20.1], [10, 15, 20]),
        ("@10:20", [10, 15, 20], [9.9, 20.1]),
        ("@10", [0, 10], [-0.1, 10.1]),
        ("@~:0", [-1, 0], [0.1]),
        ("-20:-10.5", [-21, -10], [-20, -10.5]),
        ("3.000:3.450", [2.999, 3.451], [3.0, 3.45]),
        ("0", [-1, 1], [0]),
    ],
)
def test_ranges(text: str, alerts: list[float], well: list[float]) -> None:
    found = check.range_of(text)
    assert [value for value in (*alerts, *well) if found.alerts(value)] == alerts


@pytest.mark.parametrize(
    "text", ["", ":", "@", "@:", "~", "20:10", "10:~", "1e3", "nan", "inf:", "10:20:30", "10 :", "ten"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|above its end"):
        check.range_of(text)


# A link


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([JBD], 0, "jbd 100 % 15.60 V 0.00 A"),
        ([JBD, "--warning", "soc=20:", "--critical", "soc=10:"], 0, "jbd 100 %"),
        ([JBD, "--warning", "soc=90"], 1, "soc 100 % (warning 90)"),
        ([JBD, "--critical", "soc=90"], 2, "soc 100 % (critical 90)"),
        ([JBD, "--warning", "soc=95", "--critical", "soc=90"], 2, "soc 100 % (critical 90)"),
        (
            [JBD, "--critical", "voltage=@15:16", "--warning", "soc=90"],
            2,
            "voltage 15.60 V (critical @15:16); soc 100 %",
        ),
        ([JBD, "--warning", "cell_voltages=3.9:"], 1, "cell_voltages.3 3.895 V (warning 3.9:)"),
        ([JBD, "--warning", "soc=90", "--warning", "soc=100"], 0, "the last one counts"),
        ([JBD, "--critical", "soh=80:"], 3, "there is no soh"),
        ([JBD, "--warning", "soc=90", "--critical", "soh=80:"], 3, "there is no soh; soc 100 % (warning 90)"),
        ([JBD, "--critical", "soc=90", "--critical", "soh=80:"], 2, "there is no soh"),
        ([JBD, "--pack", "jbd"], 0, "jbd 100 %"),
        ([JBD, "--pack", "garage"], 3, "there is no garage; there is: jbd"),
        ([FAULTY], 2, "fault parallel_communication"),
        (["replay:nothing.jsonl"], 2, "nothing.jsonl cannot be read"),
        (["nonsense"], 3, "is not the address of a link"),
        ([JBD, "--family", "duracell"], 3, "duracell"),
        (["/dev/ttyNOTHING"], 2, "/dev/ttyNOTHING is not there"),
    ],
    ids=lambda value: " ".join(value).replace(str(CAPTURES), "") if isinstance(value, list) else None,
)
def test_link(checked: Checked, arguments: list[str], code: int, says: str) -> None:
    result = checked(*arguments)
    assert result.code == code
    assert says in result.lines[0] or says == "the last one counts"


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_capture(checked: Checked, capture: Path) -> None:
    result = checked(f"replay:{capture}")
    assert result.code in (0, 2)
    assert {"soc", "voltage", "current", "power", "cell_min", "cell_max"} <= set(result.values)
    assert result.values["soc"].endswith("%;;;0;100")
    assert re.fullmatch(r"\d+\.\d\dV", result.values["voltage"])


def test_numbers_are_numbers() -> None:
    """Whatever a gateway answers: flags and texts are none, and elements that are not there keep their place."""
    assert list(check.numbers("soc", 81)) == [("soc", 81)]
    assert list(check.numbers("cell_voltages", [3.3, None, True, "x", 3.2])) == [
        ("cell_voltages.1", 3.3),
        ("cell_voltages.5", 3.2),
    ]
    nothing: tuple[Any, ...] = (None, True, "81", {})
    assert not [each for value in nothing for each in check.numbers("soc", value)]


def test_performance_data_has_thresholds_and_every_element(checked: Checked) -> None:
    result = checked(
        JBD, "--warning", "cell_voltages=3:3.95", "--critical", "temperature_max=~:60", "--warning", "cycles=9999"
    )
    assert result.values["cell_voltages.4"] == "3.901V;3:3.95"
    assert result.values["temperature_max"] == "22.4C;;~:60"
    assert re.fullmatch(r"\d+c;9999", result.values["cycles"]), "a number that only goes up"


@pytest.mark.parametrize(
    "arguments",
    [
        [], [JBD, "x"], [JBD, "--bogus"], [JBD, "--warning"], [JBD, "--warning", "soc"], [JBD, "--warning", "soc=x"],
        [JBD, "--critical", "sco=1"], [JBD, "--critical", "model=1"], [JBD, "--critical", "charge_mosfet=1"],
        [JBD, "--max-age", "0"], [JBD, "--timeout", "never"], ["http://"], ["http://user:secret@127.0.0.1:9"],
        ["http://127.0.0.1:x"], ["http://127.0.0.1:9/?a=b"], ["http://127.0.0.1:9", "--token-file", "/nothing"],
        ["https://127.0.0.1:9", "--ca", "/nothing"],
    ],
    ids=lambda words: " ".join(words[-2:]) or "nothing",
)  # fmt: skip
def test_wrong_usage_is_unknown_and_said_where_monitoring_looks(checked: Checked, arguments: list[str]) -> None:
    result = checked(*arguments)
    assert result.code == 3
    assert len(result.lines) == 1
    assert "secret" not in result.lines[0] + result.errors


def test_other_commands_keep_their_exit_code() -> None:
    for words in (["read"], ["read", "x", "--bogus"], ["--bogus"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", JBD, "--json", "--warning", "soc=90"]) == 1
    document = json.loads(capsys.readouterr().out)
    (pack,) = document.pop("checked")
    assert document == {"state": "WARNING", "code": 1}
    assert (pack["name"], pack["state"], pack["reasons"]) == ("jbd", "WARNING", ["soc 100 % (warning 90)"])
    assert pack["readings"]["soc"] == 100


def test_simulated_pack(checked: Checked, tmp_path: Path) -> None:
    with served(tmp_path / "pack", "jbd") as pack:
        assert checked(pack.path, "--family", "jbd").code == 0
        pack.simulator.twins[0].lock = 3  # type: ignore[attr-defined]
        result = checked(pack.path, "--family", "jbd")
        assert (result.code, "protection mosfet_software_lock" in result.lines[0]) == (2, True)
        pack.unplug()
        assert checked(pack.path, "--family", "jbd").code == 2


def test_a_port_that_another_program_holds(checked: Checked, tmp_path: Path) -> None:
    with served(tmp_path / "pack", "jbd") as pack, running("watch", pack.path, "--family", "jbd", "--json") as watch:
        watch.until("online")
        result = checked(pack.path, "--family", "jbd")
    assert result.code == 3
    assert "in use" in result.lines[0]


@pytest.mark.parametrize("family", [[], ["--family", "jbd", "--address", "0"]], ids=["unknown", "known"])
def test_a_silent_pack_is_critical_and_in_time(checked: Checked, tmp_path: Path, family: list[str]) -> None:
    with served(tmp_path / "pack", "jbd", faults=["silent=1"]) as pack:
        began = time.monotonic()
        result = checked(pack.path, *family, "--timeout", "1.5")
    assert result.code == 2
    assert time.monotonic() - began < 10
    assert not result.values


# A gateway


class Home(NamedTuple):
    """A running gateway with the pack shed, the pack van that is unplugged, and both as the bank house."""

    url: str
    token: Path
    certificate: Path
    process: Running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    path = folder / "cellwire.toml"
    web = f'[web]\nlisten = "127.0.0.1:{port}"\ncertificate = "cert"\nkey = "key"\n[history]\nenabled = false\n'
    bank = '[[bank]]\nname = "house"\npacks = ["shed", "van"]\n'
    with served(folder / "shed", "jbd") as shed, served(folder / "van", "jbd") as van:
        packs = "".join(
            f'[[pack]]\nname = "{name}"\nlink = "{pack.path}"\nfamily = "jbd"\naddress = 0\nevery = 0.5\n'
            for name, pack in (("shed", shed), ("van", van))
        )
        path.write_text(web + packs + bank, encoding="utf-8")
        van.unplug()
        made = called(
            "user", "add", "anna", "--grant", "service", "--password-stdin", "-c", path, given="battery-house\n"
        )
        assert made.returncode == 0, made.stderr
        token = called("user", "token", "add", "monitoring", "-c", path, "--json")
        (folder / "token").write_text(json.loads(token.stdout)["token"] + "\n", encoding="ascii")
        with running("run", "-c", path) as process:
            process.complaint("the page is on")
            process.complaint("van is lost")
            found = Home(f"https://localhost:{port}", folder / "token", folder / "cert", process)
            yield found


def until(checked: Checked, code: int, *arguments: Any) -> Result:
    """Return the result once it has that exit code."""
    end = time.monotonic() + 20
    while (result := checked(*arguments)).code != code:
        assert time.monotonic() < end, result
        time.sleep(0.1)
    return result


def test_gateway(checked: Checked, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [home.url, "--ca", home.certificate, "--token-file", home.token]
    shed = until(checked, 0, *asked, "--pack", "shed")
    assert re.fullmatch(r"CELLWIRE OK - shed \d+ % 1\d\.\d\d V -?\d+\.\d\d A", shed.lines[0])
    assert "voltage" in shed.values
    result = checked(*asked)
    assert result.code == 2
    assert re.match(r"CELLWIRE CRITICAL - van: lost: .+", result.lines[0]), "the worst is in the line that is shown"
    assert re.match(r"WARNING - house .*van does not count", result.lines[1])
    assert result.lines[2].startswith("OK - shed ")
    assert "'shed voltage'" in result.values
    assert not [label for label in result.values if "van" in label], "nothing of a pack that is lost"
    assert checked(*asked, "--pack", "house").code == 1
    assert checked(*asked, "--pack", "shed", "--pack", "house", "--critical", "cell_voltages=2:").code == 3
    assert checked(*asked, "--pack", "shed", "--max-age", "0.001").code == 2
    monkeypatch.setenv("CELLWIRE_TOKEN", home.token.read_text())
    assert checked(home.url + "/", "--ca", home.certificate, "--pack", "shed").code == 0


def test_gateway_that_does_not_let_in(checked: Checked, home: Home, tmp_path: Path) -> None:
    stranger = checked(home.url, "--ca", home.certificate)
    assert (stranger.code, "cellwire user token add" in stranger.lines[0]) == (3, True)
    for text in ("cellwire_made_up", "two\nlines"):
        (tmp_path / "wrong").write_text(text)
        result = checked(home.url, "--ca", home.certificate, "--token-file", tmp_path / "wrong")
        assert result.code == 3
        assert "made_up" not in result.lines[0] + result.errors
    untrusted = checked(home.url, "--token-file", home.token)
    assert (untrusted.code, "--ca" in untrusted.lines[0]) == (3, True)
    assert checked(home.url.replace("https", "http"), "--token-file", home.token).code in (2, 3)


# Whatever else may answer


class Answering(ThreadingHTTPServer):
    """Answers as it is told; `asked` are paths and tokens of what it was asked."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: list[tuple[str, str]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Answering)
        server.asked.append((self.path, self.headers.get("Authorization", "")))
        answer = server.answers.get(self.path.removeprefix("/api/v1/"), {"packs": [], "banks": []})
        if answer == "silence":
            server.released.wait(20)
            return
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body)
        self.end_headers()
        self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

    def log_message(self, *words: Any) -> None:
        pass


@contextlib.contextmanager
def answering(**answers: Any) -> Iterator[Answering]:
    with Answering(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join(10)


def pack(name: str = "shed", state: str = "online", **more: Any) -> dict[str, Any]:
    return {"pack": name, "state": state, "age": 1.0, "readings": {"soc": 50}, **more}


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ({"packs": {"packs": [pack()]}}, 0, "shed 50 %"),
        ({"packs": {"packs": [pack(readings={"warnings": ["low_soc"]})]}}, 1, "warning low_soc"),
        (
            {"packs": {"packs": [pack(readings={"faults": ["afe"], "warnings": ["low_soc"]})]}},
            2,
            "fault afe; warning low",
        ),
        (
            {"packs": {"packs": [pack(state="asleep", reason="asleep, | it \n sleeps")]}},
            2,
            "asleep: asleep, / it sleeps",
        ),
        ({"packs": {"packs": [pack(state="stale")]}}, 2, "stale: nothing is heard of it"),
        ({"packs": {"packs": [pack(state="of the future")]}}, 2, "of the future"),
        ({"packs": {"packs": [pack(age=99.0)]}}, 2, "99.0 s old, more than 60 s"),
        (
            {"packs": {"packs": [pack()]}, "banks": {"banks": [{"bank": "b", "state": "lost", "readings": {}}]}},
            2,
            "b: lost",
        ),
        ({"packs": {"packs": []}}, 3, "no pack yet"),
        ({"packs": {"packs": [{"pack": "shed"}]}}, 3, "not answer as a Cellwire gateway"),
        ({"packs": [1, 2]}, 3, "not answer as a Cellwire gateway"),
        ({"packs": "<html>"}, 3, "not answer as a Cellwire gateway"),
        ({"packs": (404, "no")}, 3, "HTTP 404"),
        ({"packs": (403, {"error": "the gateway is not called so"})}, 3, "the gateway is not called so"),
        ({"packs": (503, {"error": "too much"})}, 2, "too much"),
        ({"packs": "silence"}, 2, "no answer within 1 s"),
    ],
    ids=lambda value: json.dumps(value)[:70] if isinstance(value, dict) else None,
)
def test_answers(checked: Checked, answers: dict[str, Any], code: int, says: str) -> None:
    with answering(**{"banks": {"banks": []}, **answers}) as server:
        result = checked(server.url, "--max-age", "60", "--timeout", "1")
    assert result.code == code
    assert says in result.lines[0]


def test_the_token_goes_nowhere_else(checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("a-token")
    with answering() as other:
        monkeypatch.setenv("http_proxy", other.url)
        with answering(packs=(302, f"{other.url}/api/v1/packs")) as server:
            assert checked(server.url, "--token-file", tmp_path / "token").code == 3
        assert server.asked == [("/api/v1/packs", "Bearer a-token")]
        assert other.asked == []


def test_nobody_there(checked: Checked) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        result = checked(url)
    assert result.code == 2
    assert result.lines == [f"CELLWIRE CRITICAL - {url}: the gateway does not answer: Connection refused"]


def test_as_monitoring_starts_it() -> None:
    result = called("check", JBD, "--warning", "soc=90")
    assert result.returncode == 1
    assert result.stdout.startswith("CELLWIRE WARNING - jbd 100 %")
    assert result.stderr == ""


def test_an_error_of_our_own_is_not_taken_for_a_warning(
    checked: Checked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(options: object) -> list[Any]:
        raise ZeroDivisionError

    monkeypatch.setattr(check, "snapshots", broken)
    assert checked("http://127.0.0.1:1").code == check.UNKNOWN
    assert "please report it" in caplog.text
