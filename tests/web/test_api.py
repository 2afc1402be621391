"""The routes of the API: what they answer, and in which form they say what is wrong."""

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from caller import Caller, calling
from desk import CELLS, IDS, FakeDesk, FakeReader, serving

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import KINDS
from cellwire.outputs.history import History, HistoryError, Row
from cellwire.outputs.web import Web, pages
from cellwire.outputs.web.answers import encoded
from cellwire.readings.catalogue import ALARMS, CATALOGUE

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Clock:
    """A clock that stands still."""

    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk(Clock())


@pytest.fixture
async def server(tmp_path: Path, desk: FakeDesk) -> AsyncIterator[Web]:
    async with serving(tmp_path, desk) as running:
        yield running


@pytest.fixture
async def caller(server: Web) -> AsyncIterator[Caller]:
    async with calling(server, logged_in=True) as found:
        yield found


# Now


async def test_packs(caller: Caller, desk: FakeDesk) -> None:
    desk.store.packs["van"].since["cell_overvoltage"] = 1_794_999_000.0
    found = (await caller.get("packs")).json["packs"]
    assert [pack["pack"] for pack in found] == list(CELLS)
    van = (await caller.get("packs/van")).json
    assert van == found[2]
    state = desk.store.packs["van"]
    snapshot = desk.store.snapshot(state)
    assert {key: van[key] for key in snapshot} == snapshot
    assert van["every"] == 1.0
    assert van["since"] == {"cell_overvoltage": 1_794_999_000.0}
    assert van["changed"]["voltage"] == Clock.now
    assert van["link"]["address"] == "/dev/serial/by-id/usb-FTDI-van"
    assert van["readings"]["temperatures"][2] is None


async def test_banks(caller: Caller, desk: FakeDesk) -> None:
    found = (await caller.get("banks")).json["banks"]
    assert found == [desk.store.bank_snapshot(desk.store.banks["house"])]
    assert (await caller.get("banks/house")).json == found[0]


@pytest.mark.parametrize("path", ["packs/vam", "banks/vam", "packs/%00", "packs/shed%2Fvan", "packs/..%2f..%2fetc"])
async def test_an_unknown_name_is_answered_with_those_that_exist(caller: Caller, path: str) -> None:
    answer = await caller.get(path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert ("house" if path.startswith("banks") else "garage, shed, van") in answer.json["error"]


async def test_catalogue(caller: Caller) -> None:
    found = (await caller.get("catalogue")).json
    assert len(found["readings"]) == len(CATALOGUE)
    assert len(found["alarms"]) == len(ALARMS)
    voltage = next(row for row in found["readings"] if row["name"] == "voltage")
    assert voltage["unit"] == "V"
    assert voltage["decimals"] == 2
    assert voltage["quantity"] == "pack_voltage"
    assert voltage["group"] == "pack"


async def test_health(caller: Caller) -> None:
    found = (await caller.get("health")).json
    assert found["clients"] == 0
    assert [pack["pack"] for pack in found["packs"]] == list(CELLS)
    assert found["history"]["state"] == "ok"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_what_is_no_number_is_null(caller: Caller, desk: FakeDesk, value: float) -> None:
    desk.store.packs["van"].readings.update(current=value, cell_voltages=[3.3, value])
    answer = await caller.get("packs/van")
    assert b"NaN" not in answer.body
    assert b"Infinity" not in answer.body
    assert answer.json["readings"]["current"] is None
    assert answer.json["readings"]["cell_voltages"] == [3.3, None]


def test_broken_characters_do_not_break_json() -> None:
    assert json.loads(encoded({"text": "a\ud800b"})) == {"text": "a?b"}


# The past


async def test_history(caller: Caller) -> None:
    end = Clock.now
    path = f"history?of=van&names=voltage,cell_voltages.2&start={end - HOUR}&end={end}&points=60"
    found = (await caller.get(path)).json
    assert found["resolution"] == "raw"
    assert found["step"] == MINUTE
    assert len(found["times"]) == 60
    assert set(found["series"]) == {"voltage", "cell_voltages.2"}
    assert {len(values) for series in found["series"].values() for values in series.values()} == {60}
    by_id = (await caller.get(path.replace("of=van", f"of={IDS['van']}"))).json
    assert by_id == found
    daily = await caller.get(f"history?of=house&names=voltage&start={end - 300 * DAY}&resolution=day")
    assert daily.json["resolution"] == "day"
    assert len(daily.json["times"]) == 300


async def test_energy(caller: Caller) -> None:
    found = (await caller.get(f"energy?of=shed&period=month&start={Clock.now - 90 * DAY}&zone=Europe/Berlin")).json
    assert len(found["energy"]) in (3, 4, 5)
    assert set(found["energy"][0]) == {"from", "to", "energy_in", "energy_out", "charge_in", "charge_out"}


async def test_events(caller: Caller, desk: FakeDesk) -> None:
    for number in range(5):
        desk.store.clock.now = Clock.now - 100 + number  # type: ignore[attr-defined]
        desk.events.add("full", f"van is full for the {number}. time", IDS["van"], "van", number=number)
    desk.store.clock.now = Clock.now  # type: ignore[attr-defined]
    found = (await caller.get("events?of=van&kinds=full,state&limit=2")).json["events"]
    assert [event["detail"]["number"] for event in found] == [4, 3]
    assert found[0]["kind"] == "full"
    desk.history = None
    assert (await caller.get("events?of=van&kinds=full,state&limit=2")).json["events"] == found


async def test_without_history_it_says_how_to_switch_it_on(caller: Caller, desk: FakeDesk) -> None:
    desk.history = None
    for path in ("stored", "history?of=van&names=voltage", "energy?of=van", "export?of=van"):
        answer = await caller.get(path)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "enabled = true" in answer.json["error"]


async def test_a_disk_that_fails_is_said(caller: Caller, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise HistoryError("cellwire.db cannot be read: disk I/O error")

    for name in ("packs", "series", "energy", "events"):
        monkeypatch.setattr(FakeReader, name, broken)
    for path in ("stored", "history?of=van&names=voltage", "energy?of=van", "events", "export?of=van"):
        answer = await caller.get(path)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "disk I/O error" in answer.json["error"]


async def test_export(caller: Caller) -> None:
    path = f"export?of=van&start={Clock.now - 6000}&end={Clock.now}"
    answer = await caller.get(path)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="cellwire-{IDS["van"]}.csv"'
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = answer.body.decode().splitlines()
    assert len(lines) == 1 + 1200
    head = [column.partition(" ")[0] for column in lines[0].split(",")]
    assert "voltage [V]" in lines[0]
    row = dict(zip(head, lines[1].split(","), strict=True))
    assert row["time"].endswith("Z")
    assert float(row["cell_voltages.4"]) > 3
    assert row["charge_mosfet"] == "1"
    assert row["charge_out"] == ""
    objects = [json.loads(line) for line in (await caller.get(path + "&format=jsonl")).body.splitlines()]
    assert len(objects) == 1200
    assert objects[0]["id"] == IDS["van"]
    assert objects[0]["readings"]["cell_count"] == 4


async def test_an_export_waits_for_whom_it_is_for(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year is not made while the client takes none of it; a client that leaves ends it; other calls go on."""
    made = 0

    def rows(self: FakeReader, id: str, start: float, end: float) -> Any:
        nonlocal made
        for number in range(3_000_000):
            made += 1
            yield start + number, {"voltage": 13.2, "cell_voltages": [3.3] * 16}

    monkeypatch.setattr(FakeReader, "rows", rows)
    async with caller.session.get(f"{caller.base}/api/v1/export?of=van", ssl=False) as answer:
        await answer.content.read(1000)
        before = -1
        while made != before:
            before = made
            await asyncio.sleep(0.2)
        assert made < 300_000
        assert (await caller.get("packs")).status == 200


async def test_with_the_real_history(caller: Caller, desk: FakeDesk, tmp_path: Path) -> None:
    settings = HistorySettings(path=tmp_path / "cellwire.db", commit=1.0)
    history = History(settings, desk.store.clock, time.monotonic, desk.events, lambda meters: None)
    history.start()
    try:
        desk.history = history  # type: ignore[assignment]
        rows = [
            Row(
                IDS["van"], Clock.now - 3600 + 5 * number, {"voltage": 13 + number / 1000, "cell_voltages": [3.3, None]}
            )
            for number in range(720)
        ]
        history.append(rows)
        history.event(desk.events.add("full", "van is full", IDS["van"], "van"))
        assert history.flush(20)
        assert (await caller.get("stored")).json["packs"][0]["id"] == IDS["van"]
        found = (await caller.get("history?of=van&names=voltage,cell_voltages.2&points=100")).json
        assert found["series"]["voltage"]["max"][-1] > 13.7
        assert set(found["series"]["cell_voltages.2"]["avg"]) == {None}
        day = (await caller.get("history?of=van&names=voltage&resolution=day")).json
        assert day["resolution"] == "day"
        for path in ("energy?of=van", "energy?of=van&period=month&zone=Europe/Berlin", "history?of=shed&names=voltage"):
            assert (await caller.get(path)).status == 200
        assert [event["kind"] for event in (await caller.get("events?of=van")).json["events"]] == ["full"]
        csv = (await caller.get("export?of=van")).body.decode().splitlines()
        assert len(csv) == 721
        assert csv[0].startswith("time,")
        assert len((await caller.get("export?of=van&format=jsonl")).body.splitlines()) == 720
        assert (await caller.get("export?of=shed&format=jsonl")).body == b""
    finally:
        history.stop()
        history.reader.close()


async def test_slow_reads_keep_nobody_from_logging_in(
    server: Web, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many charts and exports are asked for at once."""
    go_on = threading.Event()

    def slow(*_: object, **__: object) -> Any:
        assert go_on.wait(20)
        return {}

    monkeypatch.setattr(FakeReader, "series", slow)
    try:
        reads = [asyncio.create_task(caller.get("history?of=van&names=voltage")) for _ in range(60)]
        await asyncio.sleep(0.3)
        async with calling(server) as other:
            assert (await asyncio.wait_for(other.log_in(), 5)).status == 200
            assert (await asyncio.wait_for(other.get("packs"), 5)).status == 200
    finally:
        go_on.set()
    assert {answer.status for answer in await asyncio.gather(*reads)} == {200}


async def test_nothing_is_read_for_whom_left(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, asked = threading.Event(), 0

    def slow(*_: object, **__: object) -> Any:
        nonlocal asked
        asked += 1
        assert go_on.wait(20)
        return {}

    monkeypatch.setattr(FakeReader, "series", slow)
    reads = [asyncio.create_task(caller.get("history?of=van&names=voltage")) for _ in range(30)]
    await asyncio.sleep(0.3)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await asyncio.sleep(0.1)
    go_on.set()
    assert (await caller.get("history?of=van&names=voltage")).status == 200
    assert asked <= 5


async def test_an_export_that_fails_on_the_way_is_broken_off(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not look like the whole."""

    def rows(self: FakeReader, id: str, start: float, end: float) -> Any:
        for number in range(2000):
            yield start + number, {"voltage": 13.2}
        raise HistoryError("cellwire.db cannot be read: disk I/O error")

    monkeypatch.setattr(FakeReader, "rows", rows)
    with pytest.raises(aiohttp.ClientPayloadError):
        await caller.get("export?of=van")
    assert "an export broke off: cellwire.db cannot be read" in caplog.text
    assert (await caller.get("packs")).status == 200


async def test_an_export_ends_with_the_session(server: Web, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(self: FakeReader, id: str, start: float, end: float) -> Any:
        for number in range(3_000_000):
            yield start + number, {"voltage": 13.2}

    monkeypatch.setattr(FakeReader, "rows", rows)
    token = server.site.access.add_token("grafana", "read")
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{caller.base}/api/v1/export?of=van", headers=headers)
        await answer.content.read(1000)
        assert (await caller.call("DELETE", "tokens/grafana")).status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert server.site.exports == 0


async def test_exports_are_limited(caller: Caller, server: Web) -> None:
    server.site.exports = 4
    assert (await caller.get("export?of=van")).status == 503
    server.site.exports = 0
    assert (await caller.get(f"export?of=van&start={Clock.now - 60}")).status == 200
    assert server.site.exports == 0


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("history?names=voltage", "'of' is missing"),
        ("history?of=van", "'names' is missing"),
        ("history?of=van&names=,", "'names' must be 1 to"),
        ("history?of=van&names=voltage&start=nan", "'start' must be a number"),
        ("history?of=van&names=voltage&start=-1", "'start' must be a number"),
        ("history?of=van&names=voltage&end=1e99", "'end' must be a number"),
        ("history?of=van&names=voltage&start=2000&end=1000", "'start' must be before 'end'"),
        ("history?of=van&names=voltage&points=0", "'points' must be a whole number"),
        ("history?of=van&names=voltage&points=1.5", "'points' must be a whole number"),
        ("history?of=van&names=voltage&points=٣", "'points' must be a whole number"),
        ("history?of=van&names=voltage&resolution=week", "one of"),
        (f"history?of=van&names={','.join(f'cell_voltages.{n}' for n in range(200))}&points=20000", "at most 200000"),
        ("history?of=van&names=voltage&start=0&resolution=raw", "the span is too long for so many columns"),
        ("history?of=van&names=voltage&start=0&resolution=minute", "the span is too long for so many columns"),
        ("history?of=van&names=voltage&ponts=3", "unknown parameter 'ponts'; known: of, names"),
        ("history?of=van&of=shed&names=voltage", "once only"),
        ("energy?of=van&period=week", "one of day, month"),
        ("energy?of=van&zone=Mars/Olympus", "'zone' must be a time zone"),
        ("energy?of=van&zone=../../etc/passwd", "'zone' must be a time zone"),
        ("energy?of=van&zone=Europe", "'zone' must be a time zone"),
        ("energy?of=van&start=0", "too long"),
        ("events?kinds=party", f"known: {', '.join(KINDS)}"),
        ("events?limit=9999", "'limit' must be"),
        ("export?of=van&format=xml", "one of csv, jsonl"),
        ("packs?x=1", "unknown parameter 'x'; known: none"),
        ("packs/%ff", "not UTF-8"),
    ],
)
async def test_a_wrong_question_is_explained(caller: Caller, path: str, problem: str) -> None:
    answer = await caller.get(path)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert problem in answer.json["error"]


@pytest.mark.parametrize("path", ["history?names=voltage&of=vam", "energy?of=vam", "events?of=vam", "export?of=vam"])
async def test_unknown_in_history(caller: Caller, path: str) -> None:
    answer = await caller.get(path)
    assert answer.status == 404
    assert "jbd-0011223344" in answer.json["error"]


# Configuration


async def test_configuration(caller: Caller, desk: FakeDesk) -> None:
    body = {"link": "/dev/ttyUSB7", "family": "jbd", "every": 2.0}
    assert (await caller.call("PUT", "configuration/packs/boat", body)).json == {"applied": True}
    assert (await caller.call("PUT", "configuration/banks/all", {"packs": ["boat", "van"]})).status == 200
    assert (await caller.call("PUT", "configuration/history", {"commit": 60.0})).status == 200
    assert (await caller.call("PUT", "configuration/web", {"guests": True})).status == 200
    mqtt = {"url": "mqtt://192.0.2.10", "user": "anna", "password": "broker-secret", "home_assistant": {"raw": True}}
    assert (await caller.call("PUT", "configuration/mqtt", mqtt)).status == 200
    assert (await caller.call("PUT", "configuration/modbus", {"listen": "127.0.0.1:502", "allow": []})).status == 200
    assert (await caller.call("DELETE", "configuration/packs/boat")).status == 200
    assert desk.changes == [
        ("pack", "boat", body, "admin"),
        ("bank", "all", {"packs": ["boat", "van"]}, "admin"),
        ("history", "", {"commit": 60.0}, "admin"),
        ("web", "", {"guests": True}, "admin"),
        ("mqtt", "", mqtt, "admin"),
        ("modbus", "", {"listen": "127.0.0.1:502", "allow": []}, "admin"),
        ("pack", "boat", None, "admin"),
    ]
    found = (await caller.get("configuration")).json
    assert found["writable"] is True
    assert found["history"]["commit"] == 60.0
    assert (found["mqtt"]["user"], found["modbus"]["listen"]) == ("anna", "127.0.0.1:502")
    assert "broker-secret" not in str(found)
    assert "broker-secret" in desk.text


@pytest.mark.parametrize(
    ("what", "body", "keys"),
    [
        ("mqtt", {"url": "http://x", "base": "a/#"}, {"mqtt.url", "mqtt.base"}),
        ("mqtt", {"home_assistant": {"prefix": "+"}}, {"mqtt.home_assistant.prefix"}),
        ("modbus", {"listen": "502", "baud": 9600.5}, {"modbus.listen", "modbus.baud"}),
        ("modbus", {"allow": ["192.168.1.0/24", "all"]}, {"modbus.allow"}),
        ("mqtt", {"password": 5}, {"mqtt.password"}),
    ],
)  # fmt: skip
async def test_mistakes_in_outputs(
    caller: Caller, desk: FakeDesk, what: str, body: dict[str, Any], keys: set[str]
) -> None:
    answer = await caller.call("PUT", f"configuration/{what}", body)
    assert (answer.status, answer.code) == (422, "bad_request")
    assert {mistake["key"] for mistake in answer.json["mistakes"]} == keys
    assert not desk.changes


async def test_mistakes_are_all_listed(caller: Caller, desk: FakeDesk) -> None:
    answer = await caller.call("PUT", "configuration/packs/boat", {"link": 3, "speed": 9600})
    assert (answer.status, answer.code) == (422, "bad_request")
    assert [mistake["key"] for mistake in answer.json["mistakes"]] == ["pack.link", "pack.speed"]
    assert set(answer.json["mistakes"][0]) == {"line", "key", "problem", "fix"}
    assert not desk.changes


async def test_a_change_that_cannot_be_made(caller: Caller) -> None:
    answer = await caller.call("DELETE", "configuration/packs/boat")
    assert (answer.status, answer.code) == (409, "unavailable")


async def test_scan(caller: Caller, desk: FakeDesk) -> None:
    assert (await caller.get("scan")).json == {"running": False, "links": []}
    assert (await caller.call("POST", "scan")).status == 202
    assert (await caller.get("scan")).json["running"] is True
    desk._scan_ends = 0.0
    found = (await caller.get("scan")).json
    assert found["links"][0]["packs"][0]["model"] == "JK_PB2A16S20P"
    assert "swap A and B" in found["links"][1]["advice"]


# Form


@pytest.mark.parametrize("path", ["nothing", "packs/shed/cells", "", "login/x"])
async def test_there_is_no_such_thing(caller: Caller, path: str) -> None:
    answer = await caller.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
async def test_other_methods(caller: Caller, method: str) -> None:
    answer = await caller.call(method, "packs")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"
    assert method == "HEAD" or answer.code == "bad_request"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"a"', b"\xff\xfe", b'{"name": "a"}', b'{"name": "a", "password": NaN}',
        b'{"name": "\\ud800", "password": "long enough 1"}', b'{"name": 1, "password": "long enough 1"}',
        b'{"name": "a", "password": "long enough 1", "more": 1}', b"[" * 60000, b'{"a":' * 10000, b"9" * 60000,
        b'{"name": "", "password": "long enough 1"}', b'{"name": "a", "password": {}}',
    ],
)  # fmt: skip
async def test_bodies_that_do_not_fit(caller: Caller, body: bytes) -> None:
    answer = await caller.call("POST", "login", body, Content_Type="application/json")
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_infinity_is_no_number(caller: Caller, desk: FakeDesk) -> None:
    for body in (b'{"size": 1e999}', b'{"size": -1e999}', b'{"size": Infinity}', b'{"size": [[1e999]]}'):
        answer = await caller.call("PUT", "configuration/history", body, Content_Type="application/json")
        assert (answer.status, answer.code) == (400, "bad_request")


async def test_bodies_are_limited(caller: Caller) -> None:
    body = b'{"name": "' + b"a" * 70000 + b'"}'
    answer = await caller.call("POST", "login", body, Content_Type="application/json")
    assert (answer.status, answer.code) == (413, "bad_request")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"a" * 1000

    url = f"{caller.base}/api/v1/login"
    async with caller.session.post(url, data=pieces(), headers={"Content-Type": "application/json"}) as found:
        assert found.status == 413
    assert (await caller.get("packs")).status == 200


async def test_compressed_bodies_are_not_taken(caller: Caller) -> None:
    answer = await caller.call("POST", "login", b"{}", Content_Type="application/json", Content_Encoding="gzip")
    assert answer.status == 415


async def raw(server: Web, data: bytes) -> tuple[int, bytes, bytes]:
    """Return status, head and body of what the server says to bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head, body


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/v1/session HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /api/v1/session HTTP/1.1\r\n\r\n",
        b"GET /api/v1/session HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nBad header\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        bytes(range(256)),
    ],
)
async def test_what_is_not_http_gets_our_form_of_error(server: Web, data: bytes) -> None:
    status, head, body = await raw(server, data)
    assert status == 400
    assert json.loads(body)["code"] == "bad_request"
    assert b"application/json" in head
    assert b"nosniff" in head


async def test_expecting_to_be_asked_for_the_body(server: Web) -> None:
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + b"Expect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


async def test_a_mistake_of_ours_is_500_and_logged(
    caller: Caller, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk, "health", lambda: 1 / 0)
    answer = await caller.get("health")
    assert (answer.status, answer.code) == (500, "unavailable")
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in answer.body.decode()


@pytest.mark.parametrize("path", ["session", "packs", "nothing", "/", "/assets/none.js"])
async def test_headers_that_keep_browsers_careful(caller: Caller, path: str) -> None:
    headers = (await caller.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Server"] == "cellwire"
    assert "Access-Control-Allow-Origin" not in headers
    if "api" in path or not path.startswith("/"):
        assert headers["Cache-Control"] == "no-store"


# The page


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Cellwire</title>", encoding="utf-8")
    (folder / "assets/index-Bbn_HHgn.js").write_text("console.log(1)" * 100, encoding="utf-8")
    (folder / "assets/index-Bbn_HHgn.js.gz").write_bytes(b"compressed")
    (folder / ".hidden").write_text("no", encoding="utf-8")
    (tmp_path / "outside.txt").write_text("no", encoding="utf-8")
    monkeypatch.setattr(pages, "FOLDER", folder)
    return folder


async def test_the_page_is_open_to_everybody(server: Web, built: Path) -> None:
    async with calling(server) as caller:
        index = await caller.get("/")
        assert index.status == 200
        assert index.headers["Content-Type"] == "text/html; charset=utf-8"
        assert index.headers["Cache-Control"] == "no-cache"
        policy = index.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        again = await caller.get("/", If_None_Match=index.headers["Etag"])
        assert again.status == 304
        assert (await caller.call("HEAD", "/")).status == 200
        assert (await caller.call("POST", "/")).status == 405


async def test_assets_last_and_are_compressed(server: Web, built: Path) -> None:
    url = f"{server.addresses[0]}assets/index-Bbn_HHgn.js"
    async with calling(server) as caller:
        plain = await caller.get("/assets/index-Bbn_HHgn.js", Accept_Encoding="identity")
        assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert plain.body.startswith(b"console")
        async with caller.session.get(url, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert await answer.read() == b"compressed"


@pytest.mark.parametrize(
    "path",
    ["/.hidden", "/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/assets/../../outside.txt",
     "/" + "a" * 300, "/assets/" + "a" * 4000, "/" + "a/" * 2000, "/" + "%C3%A4" * 150,
     "/assets", "/assets/", "//etc/passwd", "/%00", "/index.html/", "/c:%5cwindows"],
)  # fmt: skip
async def test_nothing_beside_the_page_is_served(server: Web, built: Path, path: str) -> None:
    status, _, _ = await raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert status in (400, 404)


async def test_a_page_that_was_not_built_says_how(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FOLDER", tmp_path / "none")
    async with calling(server) as caller:
        answer = await caller.get("/")
        assert answer.status == 200
        assert b"make page" in answer.body
