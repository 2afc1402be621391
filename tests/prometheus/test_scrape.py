"""A real Prometheus scrapes real gateways; the example of the page and every question of the dashboard are asked."""

import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scraped import ROOT, Prometheus, Still, parsed, program, prometheus_of, served_still, until
from served import free_port, running, served

from cellwire.gateway.store import LOST
from cellwire.outputs.prometheus import CONTENT_TYPE, HEADS, METRICS, families
from cellwire.outputs.web import Web
from cellwire.outputs.web.access import Access

PAGE = (ROOT / "docs/prometheus.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "contrib/grafana/cellwire.json").read_text(encoding="utf-8"))
EXAMPLES = re.findall(r"^```console\n((?:.*\n)*?)```", PAGE, re.MULTILINE)
LONG = os.environ.get("CELLWIRE_LONG") == "1"
SECONDS = 60.0 if LONG else 7.0
RATE = "6s"  # what is looked at for rates: some scrapes

# The gateway of the example: two packs in a bank, limits, an output.
CONFIGURATION = """[web]
listen = "127.0.0.1:{port}"

[history]
commit = 1.0
every = 1.0

[modbus]
listen = "127.0.0.1:{modbus}"
{packs}
[[bank]]
name = "house"
packs = ["shed", "garage"]
"""
PACK = """
[[pack]]
name = "{name}"
link = "{link}"
family = "jbd"
address = 0
every = 0.2

[pack.limits]
chemistry = "lfp"
charge_current = 100.0
discharge_current = 150.0
"""


class Scraped(NamedTuple):
    """A Prometheus, and what it scrapes: the gateway of the example, which runs, and one that stands still."""

    prometheus: Prometheus
    gateway: str
    still: Still
    still_web: Web
    folder: Path

    def shown(self, text: str) -> str:
        """Return a part of the page with the addresses of the test."""
        return text.replace("192.0.2.7:6789", self.gateway).replace("http://127.0.0.1:9090", self.prometheus.address)


def get(url: str, **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ran(command: str, folder: Path) -> str:
    """Return what a command of the page prints, run as people would, with our Cellwire."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def compare(shown: str, printed: str) -> None:
    """Check that every line that the page shows was printed, in order; "..." stands for any text."""
    lines = iter(printed.splitlines())
    for wanted in shown.splitlines():
        pattern = ".*".join(map(re.escape, wanted.split("...")))
        assert any(re.fullmatch(pattern, line) for line in lines), f"{wanted!r} is not in {printed!r}"


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """The worked example of the page, with a second gateway and one target whose token is wrong."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with contextlib.ExitStack() as stack:
        packs = [
            PACK.format(name=name, link=stack.enter_context(served(folder / name, "jbd", cells=16, seed=seed)).path)
            for seed, name in enumerate(("shed", "garage"))
        ]
        port, asked = free_port(), free_port()
        text = CONFIGURATION.format(port=port, modbus=free_port(), packs="".join(packs))
        (folder / "cellwire.toml").write_text(text, encoding="utf-8")
        still, web = stack.enter_context(served_still(folder / "still"))
        (folder / "still.token").write_text(web.site.access.add_token("prometheus", "read"), encoding="utf-8")
        (folder / "wrong.token").write_text("wrong", encoding="utf-8")
        command = EXAMPLES[0].splitlines()[0].removeprefix("$ ")
        compare(EXAMPLES[0].splitlines()[1], ran(command, folder))
        stack.enter_context(running("run", "-c", folder / "cellwire.toml"))
        (folder / "cellwire.rules.yml").write_bytes((ROOT / "contrib/prometheus/cellwire.rules.yml").read_bytes())
        config = re.findall(r"^```yaml\n((?:.*\n)*?)```", PAGE, re.MULTILINE)[0]
        config = config.replace("192.0.2.7:6789", f"127.0.0.1:{port}")
        for job, token in (("still", "still.token"), ("stranger", "wrong.token")):
            targets = [{"targets": [f"127.0.0.1:{web.port}"]}]
            more = {"job_name": job, "authorization": {"credentials_file": token}, "static_configs": targets}
            config += f"  - {json.dumps(more)}\n"
        prometheus = stack.enter_context(prometheus_of(folder, config, asked))
        found = Scraped(prometheus, f"127.0.0.1:{port}", still, web, folder)
        until(lambda: prometheus.query('cellwire_bank_packs_present{job="cellwire", bank="house"} == 2'))
        until(lambda: prometheus.query('cellwire_pack_energy_out_watthours_total{job="cellwire"}'))
        began = time.monotonic()
        until(lambda: prometheus.query('up{job="still"} == 1'))
        time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))  # for rates
        yield found


# The route


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Still, Web]]:
    with served_still(tmp_path_factory.mktemp("still")) as found:
        yield found


def test_a_token_reads(still: tuple[Still, Web]) -> None:
    desk, web = still
    url = f"http://127.0.0.1:{web.port}/metrics"
    token = web.site.access.add_token("reader", "read")
    status, headers, body = get(url, Authorization=f"Bearer {token}")
    assert status == 200
    assert headers["Content-Type"] == CONTENT_TYPE
    assert headers["Content-Encoding"] is None
    assert headers["Cache-Control"] == "no-store"
    assert set(parsed(body.decode())) == set(parsed(desk.metrics()))
    status, headers, packed = get(url, Authorization=f"Bearer {token}", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"], headers["Content-Type"]) == (200, "gzip", CONTENT_TYPE)
    assert set(parsed(gzip.decompress(packed).decode())) == set(parsed(body.decode()))
    assert len(packed) < len(body) / 5


def test_strangers_are_told_what_to_do(still: tuple[Still, Web]) -> None:
    _, web = still
    url = f"http://127.0.0.1:{web.port}/metrics"
    web.site.access.add_user("anna", "battery-house", "service")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic cHJvbWV0aGV1czpzZWNyZXQ="}):
        status, answered, body = get(url, **headers)
        assert status == 401
        assert answered["WWW-Authenticate"] == "Bearer"
        assert json.loads(body)["error"] == "Log in, or send a token: this needs the grant read"
    token = web.site.access.add_token("second", "read")
    status, _, body = get(url, Authorization=f"Bearer {token}", Host="evil.example")
    assert (status, json.loads(body)["code"]) == (403, "host")
    request = urllib.request.Request(url, method="POST", headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    with refused.value:
        assert refused.value.code == 405
    web.site.access.remove_token("second")
    assert get(url, Authorization=f"Bearer {token}")[0] == 401


def test_guests_read_when_they_may(tmp_path: Path) -> None:
    Access(tmp_path / "access.json", time.time).add_user("anna", "battery-house", "service")
    with served_still(tmp_path, guests=True) as (_, web):
        assert get(f"http://127.0.0.1:{web.port}/metrics")[0] == 200
        assert get(f"http://127.0.0.1:{web.port}/metrics/")[0] == 404
        assert get(f"http://127.0.0.1:{web.port}/api/v1/metrics")[0] == 404


def test_below_a_prefix(tmp_path: Path) -> None:
    with served_still(tmp_path, guests=True, prefix="/battery") as (_, web):
        assert get(f"http://127.0.0.1:{web.port}/battery/metrics")[0] == 200


# Prometheus


def test_the_example_of_the_page(scraped: Scraped) -> None:
    examples = [example.partition("\n") for text in EXAMPLES for example in text.split("$ ")[1:]]
    assert [command.split()[0] for command, _, _ in examples] == ["cellwire", "curl", "promtool"]
    for command, _, output in examples[1:]:
        compare(scraped.shown(output), ran(scraped.shown(command), scraped.folder))
    shown = re.findall(r"^```yaml\n((?:.*\n)*?)```", PAGE, re.MULTILINE)[0]
    assert shown.rstrip() in (ROOT / "contrib/prometheus/prometheus.yml").read_text(encoding="utf-8")


def test_the_questions_of_the_page_are_answered(scraped: Scraped) -> None:
    questions = re.findall(r"^    ((?:increase|histogram|sum).+(?:\n      .+)*)\n", PAGE, re.MULTILINE)
    assert len(questions) == 3
    for question in [*questions, *re.findall(r"`(cellwire_pack_soc_ratio \*[^`]+)`", PAGE)]:
        assert scraped.prometheus.query(" ".join(re.sub(r"\[\d+m\]", f"[{RATE}]", question).split())), question


def test_targets(scraped: Scraped) -> None:
    targets = scraped.prometheus.targets()
    for job in ("cellwire", "still"):
        assert (targets[job]["health"], targets[job]["lastError"]) == ("up", "")
    assert "401" in targets["stranger"]["lastError"]
    log = (scraped.folder / "prometheus.log").read_text(encoding="utf-8")
    assert not re.search(r"level=(warn|error)(?!.*stranger)", log), log


def test_values_are_those_of_the_store_after_prometheus(scraped: Scraped) -> None:
    found = {}
    for labels, value in scraped.prometheus.query('{__name__=~"cellwire_.+", job="still"}'):
        own = {(name, label) for name, label in labels.items() if name not in ("job", "instance", "__name__")}
        found[labels["__name__"], frozenset(own)] = value
    wanted = parsed(scraped.still.metrics())
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        if not key[0].endswith(("age_seconds", "uptime_seconds")):
            assert found[key] == value, key
    described = scraped.prometheus.ask("metadata", limit="5000")
    assert set(described) >= set(HEADS)
    assert all(each["help"] for name, kinds in described.items() if name.startswith("cellwire_") for each in kinds)


def test_two_gateways_do_not_clash(scraped: Scraped) -> None:
    found = scraped.prometheus.query('cellwire_pack_voltage_volts{pack="shed"}')
    assert {labels["job"] for labels, _ in found} == {"cellwire", "still"}
    joined = "cellwire_pack_soc_ratio * on (instance, pack) group_left (id) cellwire_pack_info"
    assert len(scraped.prometheus.query(joined)) == 4


def test_rates_and_quantiles(scraped: Scraped) -> None:
    ask = scraped.prometheus.query
    shed = 'job="cellwire", pack="shed"'
    [(_, polls)] = ask(f"rate(cellwire_poll_duration_seconds_count{{{shed}}}[{RATE}])")
    assert 0.5 < polls < 7  # five a second
    [(_, seconds)] = ask(f"histogram_quantile(0.5, rate(cellwire_poll_duration_seconds_bucket{{{shed}}}[{RATE}]))")
    assert 0 < seconds < 1
    assert ask(f'rate(cellwire_link_answers_total{{job="cellwire", result="ok"}}[{RATE}])')[0][1] > 0.5
    assert ask(f"increase(cellwire_pack_energy_out_watthours_total{{{shed}}}[{RATE}])")[0][1] >= 0


def test_nothing_was_missed_and_no_counter_went_back(scraped: Scraped) -> None:
    """A few seconds, a whole minute with CELLWIRE_LONG=1."""
    window, ask = f"{SECONDS - 1:.0f}s", scraped.prometheus.query
    for labels, lowest in ask(f'min_over_time(up{{job!="stranger"}}[{window}])'):
        assert lowest == 1, labels
    histogram = [f"cellwire_poll_duration_seconds_{part}" for part in ("bucket", "sum", "count")]
    seen = 0
    for name in [name for name, (kind, _) in families().items() if kind == "counter"] + histogram:
        resets = ask(f"resets({name}[{window}])")
        seen += len(resets)
        assert all(count == 0 for _, count in resets), name
    assert seen > 100
    counts = ask(f'count_over_time(cellwire_pack_up{{job="cellwire"}}[{window}])')
    assert min(count for _, count in counts) >= SECONDS - 3
    [(_, slowest)] = ask(f'max_over_time(scrape_duration_seconds{{job="cellwire"}}[{window}])')
    print(f"{window}: {min(count for _, count in counts):.0f} scrapes, the slowest took {slowest * 1000:.1f} ms")


def test_rules_are_evaluated(scraped: Scraped) -> None:
    def rules() -> dict[str, dict[str, Any]]:
        groups = scraped.prometheus.ask("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    until(lambda: all(rule["health"] == "ok" for rule in rules().values()))
    assert rules()["CellwireProtection"]["state"] == "firing"
    [alert] = [each for each in rules()["CellwireProtection"]["alerts"] if each["labels"]["pack"] == "shed"]
    assert alert["annotations"]["summary"] == "shed protects itself: cell_undervoltage"
    assert rules()["CellwireHistoryFailing"]["state"] in ("pending", "firing")
    assert rules()["CellwireBankUneven"]["state"] in ("pending", "firing")


# The dashboard


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_the_dashboard_is_ready_to_import() -> None:
    assert DASHBOARD["schemaVersion"] == 38
    assert DASHBOARD["id"] is None
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", "cellwire"}
    assert text.count('"uid": "cellwire"') == 1  # the dashboard's own
    assert set(re.findall(r"\$(\w+)", text)) <= {*variables, "__all", "__rate_interval"}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["title"]
        assert panel["targets"]
        assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]
    assert set(re.findall(r"\bcellwire_\w+", text)) <= {*HEADS, "cellwire_poll_duration_seconds_bucket"}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['id']} {panel['title']}")
def test_every_panel_has_data(scraped: Scraped, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = target["expr"].replace("$instance", ".*").replace("$pack", ".*").replace("$__rate_interval", RATE)
        assert scraped.prometheus.query(expression), expression


@pytest.mark.parametrize("name", ["instance", "pack"])
def test_the_choices_of_the_dashboard(scraped: Scraped, name: str) -> None:
    [query] = [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["name"] == name]
    metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
    found = scraped.prometheus.ask(f"label/{label}/values", **{"match[]": metric.replace("$instance", ".*")})
    wanted = {
        "instance": {scraped.gateway, f"127.0.0.1:{scraped.still_web.port}"},
        "pack": {"shed", "garage", "Würfel & Söhne"},
    }
    assert set(found) == wanted[name]


def test_a_pack_that_goes_away_is_absent_at_once(scraped: Scraped) -> None:
    ask, shed = scraped.prometheus.query, scraped.still.store.packs["shed"]
    before = len(ask('{__name__=~"cellwire_pack_.+", job="still", pack="shed"}'))
    assert before > len(METRICS)
    scraped.still.store.fail(shed, LOST, "the port is gone")
    try:
        until(lambda: ask('cellwire_pack_state{job="still", pack="shed", state="lost"} == 1'))
        assert ask('cellwire_pack_up{job="still", pack="shed"}')[0][1] == 0
        left = ask('{__name__=~"cellwire_pack_.+", job="still", pack="shed"}')
        assert {labels["__name__"].removeprefix("cellwire_pack_") for labels, _ in left} == {
            "up", "state", "info", "last_success_timestamp_seconds", "age_seconds", "samples_accepted_total",
            "samples_rejected_total",
        }  # fmt: skip
        until(lambda: not ask('ALERTS{alertname="CellwireProtection", job="still", pack="shed"}'))
        assert ask('cellwire_pack_voltage_volts{job="still", pack="Würfel & Söhne"}')
    finally:
        scraped.still.store.accept(shed, scraped.still.readings)
        until(lambda: ask('cellwire_pack_up{job="still", pack="shed"} == 1'))
