"""What a database may do to whoever writes to it, and what becomes of the rows."""

import asyncio
import base64
import json
import logging
import ssl
import subprocess
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from fakedb import FakeDb, serving
from lineprotocol import Point
from sending import Home, sending, sent, until
from served import free_port

from cellwire.gateway.config import InfluxSettings
from cellwire.gateway.events import Events
from cellwire.outputs import influx
from cellwire.outputs.history import HistoryError, Row
from cellwire.outputs.influx import Influx, server

Answer = Callable[[web.Request, list[Point]], web.Response | None]


def whole(home: Home, fake: FakeDb, but: int = 0) -> None:
    """Fail when the database has not every row, with its value, but for so many."""
    found: dict[str, list[tuple[int, float]]] = {pack: [] for pack in home.voltages}
    for (pack, at), point in sorted(fake.rows.items()):
        found[pack].append((at, point.fields["voltage"]))
    if not but:
        assert found == home.voltages
    missing = {pack: set(rows) - set(found[pack]) for pack, rows in home.voltages.items()}
    assert sum(map(len, missing.values())) == but
    assert all(set(found[pack]) <= set(rows) for pack, rows in home.voltages.items())


def answering(times: int, status: int, text: str = "", **headers: str) -> Answer:
    """Return a judge that gives this answer so many times."""
    left = times

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        nonlocal left
        left -= 1
        return web.Response(status=status, text=text, headers=headers) if left >= 0 else None

    return judge


def refusing(bad: Callable[[Point], bool], status: int = 400, words: str = "no: {}") -> Answer:
    """Return a judge that takes nothing of a request in which a row is bad."""

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        count = sum(map(bad, rows))
        return web.Response(status=status, text=words.format(count)) if count else None

    return judge


# All is well.


async def test_everything_arrives_in_order(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url, batch=70)) as sink:
        await sent(sink)
    whole(home, fake)
    assert [len(rows) for rows in fake.asked] == [70, 70, 70, 70, 20]
    request = fake.requests[0]
    assert (request.method, request.path, dict(request.query)) == (
        "POST",
        "/write",
        {"db": "cellwire", "precision": "ms"},
    )
    assert request.headers["Content-Encoding"] == "gzip"
    assert "Authorization" not in request.headers
    status = sink.status
    assert status["sent_rows"] == 300
    assert 10_000 < status["sent_bytes"] < 60_000
    assert status["rows_per_second"] == 30.0
    assert (status["behind_rows"], status["behind_seconds"], status["skipped_rows"]) == (0, 0.0, 0)
    assert json.loads(json.dumps(status)) == status


async def test_what_comes_later_arrives_when_it_is_on_the_disk(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url)) as sink:
        await sent(sink)
        for _ in range(5):
            home.write(1)
            await sent(sink)
    whole(home, fake)
    assert len(fake.asked) == 6


async def test_the_second_interface(home: Home, fake: FakeDb, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    sink = home.sink(fake.url + "/", api="2", org="home", token_file=tmp_path / "token", gzip=False, flags="number")
    async with sending(sink):
        await sent(sink)
    whole(home, fake)
    request = fake.requests[0]
    assert request.path == "/api/v2/write"
    assert dict(request.query) == {"org": "home", "bucket": "cellwire", "precision": "ms"}
    assert request.headers["Authorization"] == "Token s3cret"
    assert "Content-Encoding" not in request.headers
    assert fake.asked[0][0].fields["balancing"] in (0.0, 1.0)


@pytest.mark.parametrize("where", ["key", "file", "environment"])
async def test_user_and_password(
    home: Home, fake: FakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    settings: dict[str, Any] = {"user": "cellwire"}
    if where == "key":
        settings["password"] = "geheim-ä"
    elif where == "file":
        (tmp_path / "password").write_text("geheim-ä\n", encoding="utf-8")
        settings["password_file"] = tmp_path / "password"
    else:
        monkeypatch.setenv("CELLWIRE_INFLUX_PASSWORD", "geheim-ä")
    async with sending(home.sink(fake.url, **settings)) as sink:
        await sent(sink)
    basic = fake.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == "cellwire:geheim-ä"


async def test_rows_without_readings_are_passed_over(tmp_path: Path, fake: FakeDb) -> None:
    home = Home(tmp_path / "h.db")
    home.history.append([Row("bank-1", home.clock.now, {})] * 3)
    home.write(2)
    home.history.append([Row("bank-1", home.clock.now, {})] * 3)
    assert home.history.flush(20)
    async with sending(home.sink(fake.url, trail=0)) as sink:
        await sent(sink)
        home.history.append([Row("bank-1", home.clock.now, {})])
        assert home.history.flush(20)
        await sent(sink)
    whole(home, fake)
    assert home.kept == 11
    home.history.stop()


# The history.


async def test_without_a_history(caplog: pytest.LogCaptureFixture) -> None:
    sink = Influx(None, Events(time.time), InfluxSettings(name="x", url="http://127.0.0.1:1"))
    async with sending(sink):
        await asyncio.sleep(0)
        assert sink.status["state"] == "failing"
        assert "history is switched off" in sink.status["reason"]
    assert len(caplog.messages) == 1


async def test_from_now_on(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url, since="now")) as sink:
        await until(lambda: home.kept == 300)
        assert not fake.asked
        home.write(3)
        await until(lambda: fake.asked)
        await sent(sink)
    assert len(fake.rows) == 6
    async with sending(home.sink(fake.url, since="now", name="test")) as sink:  # as after a restart
        home.write(3)
        await sent(sink)
    assert len(fake.rows) == 12


async def test_from_now_on_is_a_place_even_in_an_empty_history(tmp_path: Path, fake: FakeDb) -> None:
    home = Home(tmp_path / "h.db")
    async with sending(home.sink(fake.url, since="now")):
        await until(lambda: home.kept == 0)
    home.write(4)
    async with sending(home.sink(fake.url, since="now")) as sink:
        await sent(sink)
    home.history.stop()
    whole(home, fake)


async def test_a_history_that_cannot_be_read_is_said(home: Home, fake: FakeDb, monkeypatch: pytest.MonkeyPatch) -> None:
    window, broken = home.history.reader.window, True

    def reading(*arguments: Any) -> Any:
        if broken:
            raise HistoryError("the disk is broken")
        return window(*arguments)

    monkeypatch.setattr(home.history.reader, "window", reading)
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert sink.status["reason"] == "the disk is broken"
        broken = False
        await sent(sink)
    whole(home, fake)


# Trouble that passes.


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_server_that_is_not_ready(
    home: Home, fake: FakeDb, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cellwire")
    fake.judge = answering(3, status, '{"error": "too busy"}')
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert f"{status}: too busy" in sink.status["reason"]
        assert sink.status["behind_rows"] == 300
        await sent(sink)
        assert "reason" not in sink.status
        assert "too busy" in sink.status["last_error"]
    whole(home, fake)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "too busy" in caplog.messages[0]
    assert "works again after" in caplog.messages[1]


@pytest.mark.parametrize("wait", ["0.4", "date"])
async def test_a_server_says_how_long_to_wait(home: Home, fake: FakeDb, wait: str) -> None:
    text = formatdate(time.time() + 1.7, usegmt=True) if wait == "date" else wait
    fake.judge = answering(1, 429, **{"Retry-After": text})
    begin = time.monotonic()
    async with sending(home.sink(fake.url)) as sink:
        await sent(sink)
    assert time.monotonic() - begin >= (0.4 if wait == "0.4" else 0.6)
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("soon", 0), ("nan", 0), ("-5", 0), ("inf", 3600), ("1e9", 3600), ("120", 120), ("Mon, 99 Foo", 0)],
)
def test_what_a_server_may_ask_for(text: str, seconds: float) -> None:
    assert server._seconds(text) == seconds


async def test_a_host_that_is_not_there(home: Home) -> None:
    async with sending(home.sink("http://nowhere.invalid:8086")) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert "there is no host nowhere.invalid:8086" in sink.status["reason"]


async def test_nobody_listens_yet(home: Home) -> None:
    fake = FakeDb()
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert "refuses the connection" in sink.status["reason"]
        assert str(fake.port) in sink.status["reason"]
        await fake.start()
        await sent(sink)
    await fake.stop()
    whole(home, fake)


async def test_pauses_grow_up_to_a_minute(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(influx, "PAUSE", 1.0)
    sink = home.sink("http://127.0.0.1:1")
    pauses = [sink._pause(server.Trouble("x")) for _ in range(2000)]
    for number, pause in enumerate(pauses):
        assert min(60, 2**number) / 2 <= pause <= min(60, 2**number)
    assert len(set(pauses)) > 1000


async def test_a_server_that_never_answers(home: Home, fake: FakeDb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TIMEOUT", ClientTimeout(total=0.2))
    late = True

    async def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        if late:
            await asyncio.sleep(60)
        return None

    fake.judge = judge
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert "takes too long" in sink.status["reason"]
        late = False
        monkeypatch.setattr(server, "TIMEOUT", ClientTimeout(total=60))
        await sent(sink)
    whole(home, fake)


async def test_a_connection_that_breaks_in_the_middle(home: Home, fake: FakeDb) -> None:
    count = 0

    def judge(request: web.Request, rows: list[Point]) -> None:
        nonlocal count
        count += 1
        if count % 7 == 3:
            assert request.transport is not None
            request.transport.abort()

    fake.judge = judge
    async with sending(home.sink(fake.url, batch=10, trail=0)) as sink:
        await sent(sink)
    whole(home, fake)


# Trouble that somebody has to see to.


@pytest.mark.parametrize(
    ("status", "api", "word"),
    [
        (401, "1", "correct user and password"),
        (401, "2", "correct token"),
        (403, "1", "the right to write to database cellwire"),
        (403, "2", "the right to write to bucket cellwire"),
        (404, "2", "bucket cellwire is there"),
        (405, "1", "whether url and api = 1 are right"),
        (301, "1", "write the address that it leads to into url (http://elsewhere/)"),
    ],
)
async def test_what_has_to_be_put_right(home: Home, fake: FakeDb, status: int, api: str, word: str) -> None:
    fake.judge = answering(2, status, '{"message": "that is so"}', Location="http://elsewhere/")
    async with sending(home.sink(fake.url, api=api)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert word in sink.status["reason"]
        assert f"{status}: that is so" in sink.status["reason"]
        await sent(sink)
    whole(home, fake)


async def test_secrets_are_read_again_and_never_shown(
    home: Home, fake: FakeDb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    file.write_text("wrong-secret", encoding="utf-8")

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        given = request.headers["Authorization"]
        return None if given == "Token right-secret" else web.Response(status=401, text=f"{given} is unknown")

    fake.judge = judge
    async with sending(home.sink(fake.url, api="2", token_file=file)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert "Token ... is unknown" in sink.status["reason"]
        file.write_text("two\nlines", encoding="utf-8")
        await until(lambda: "more than one line" in sink.status["reason"])
        file.unlink()
        await until(lambda: "cannot be read" in sink.status["reason"])
        file.write_text("right-secret", encoding="utf-8")
        await sent(sink)
        assert not any(word in json.dumps(sink.status) for word in ("right-secret", "wrong-secret"))
    whole(home, fake)
    assert not any(word in caplog.text for word in ("right-secret", "wrong-secret"))


async def test_a_missing_database_is_created(home: Home, fake: FakeDb) -> None:
    there = False

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        nonlocal there
        if request.path == "/query":
            assert request.query["q"] == 'CREATE DATABASE "cell\\"wire"'
            there = True
            return web.json_response({"results": [{"statement_id": 0}]})
        return None if there else web.json_response({"error": 'database not found: "cellwire"'}, status=404)

    fake.judge = judge
    async with sending(home.sink(fake.url, database='cell"wire')) as sink:
        await sent(sink)
        assert "last_error" not in sink.status
    whole(home, fake)


async def test_a_missing_database_that_may_not_be_created(home: Home, fake: FakeDb) -> None:
    def judge(request: web.Request, rows: list[Point]) -> web.Response:
        if request.path == "/query":
            return web.json_response({"error": "not allowed to do that"}, status=403)
        return web.json_response({"error": 'database not found: "cellwire"'}, status=404)

    fake.judge = judge
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: sink.status["state"] == "failing")
        assert "no database cellwire, and it cannot be created (not allowed to do that)" in sink.status["reason"]


# Rows that are refused.


@pytest.mark.parametrize("at", [0, 1, 57, 298, 299])
@pytest.mark.parametrize("status", [400, 422])
async def test_one_bad_row_blocks_nobody(
    home: Home, fake: FakeDb, at: int, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    pack = home.packs[at % 2].id
    when, _ = home.voltages[pack][at // 2]
    fake.judge = refusing(lambda point: (point.tags["id"], point.time) == (pack, when), status, "such a row: {}")
    async with sending(home.sink(fake.url, trail=0)) as sink:
        await until(lambda: len(fake.rows) == 299)
        await sent(sink)
        assert sink.status["skipped_rows"] == 1
        assert f"{pack} at 20" in sink.status["last_skipped"]
        assert f"{status}: such a row: 1" in sink.status["last_skipped"]
    whole(home, fake, but=1)
    assert home.kept == 300
    assert sum("skipped" in message for message in caplog.messages) == 1


async def test_the_newest_row_is_bad_and_a_newer_one_shows_that_it_is_only_that(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url)) as sink:
        await sent(sink)
        fake.judge = refusing(lambda point: point.time > home.voltages[home.packs[0].id][149][0])
        home.write(1)
        await until(lambda: sink.status["state"] == "failing")
        assert "takes no row" in sink.status["reason"]
        newest = home.clock.now * 1000
        fake.judge = refusing(lambda point: newest - 4000 < point.time <= newest)
        home.write(1)
        await sent(sink)
        assert sink.status["skipped_rows"] == 2
    whole(home, fake, but=2)


async def test_many_bad_rows(home: Home, fake: FakeDb, caplog: pytest.LogCaptureFixture) -> None:
    bad = {at for rows in home.voltages.values() for at, _ in rows[5:105]}
    fake.judge = refusing(lambda point: point.time in bad)
    async with sending(home.sink(fake.url, trail=30)) as sink:
        await sent(sink)
        assert sink.status["skipped_rows"] == 200
    whole(home, fake, but=200)
    assert sum("skipped" in message for message in caplog.messages) == 1


async def test_rows_that_were_skipped_are_counted_once(home: Home, fake: FakeDb) -> None:
    bad = {home.voltages[home.packs[0].id][7][0]}
    fake.judge = refusing(lambda point: point.time in bad)
    async with sending(home.sink(fake.url, trail=30)) as sink:
        await sent(sink)
        asked = len(fake.asked)
        await fake.crash()
        home.write(1)
        await until(lambda: len(fake.asked) > asked + 2)
        await sent(sink)
        assert sink.status["skipped_rows"] == 1
    whole(home, fake, but=1)


async def test_rows_that_are_too_old_are_not_asked_for_one_by_one(home: Home, fake: FakeDb) -> None:
    oldest = home.clock.now * 1000 - 100_000

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        good = [point for point in rows if point.time >= oldest]
        fake.rows.update({(point.tags["id"], point.time): point for point in good})
        text = f"partial write: points beyond retention policy dropped={len(rows) - len(good)}"
        return web.json_response({"error": text}, status=422) if len(good) < len(rows) else None

    fake.judge = judge
    async with sending(home.sink(fake.url, batch=20)) as sink:
        await sent(sink)
        assert sink.status["skipped_rows"] == 300 - len(fake.rows) > 200
    assert len(fake.asked) < 50


async def test_a_server_that_takes_nothing_loses_nothing(
    home: Home, fake: FakeDb, caplog: pytest.LogCaptureFixture
) -> None:
    fake.judge = answering(45, 400, "The plain HTTP request was sent to HTTPS port")
    async with sending(home.sink(fake.url)) as sink:
        await until(lambda: len(fake.asked) > 40)
        assert sink.status["state"] == "failing"
        assert "takes no row (400: The plain HTTP request" in sink.status["reason"]
        assert sink.status["skipped_rows"] == 0
        await sent(sink)
    whole(home, fake)
    assert sink.status["skipped_rows"] == 0


async def test_requests_that_are_too_large(home: Home, fake: FakeDb) -> None:
    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        return web.Response(status=413, text="<html>Too Large</html>") if len(rows) > 17 else None

    fake.judge = judge
    async with sending(home.sink(fake.url)) as sink:
        await sent(sink)
        home.write(50)
        fake.asked.clear()
        await sent(sink)
    assert max(map(len, fake.asked)) <= 17
    whole(home, fake)


# Servers that acknowledge before they write.


@pytest.mark.parametrize("trail", [2.0, 0.0])
async def test_a_server_that_loses_its_newest_rows(
    home: Home, fake: FakeDb, trail: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "ALIVE", 0.1)
    fake.lag = 1.0
    async with sending(home.sink(fake.url, batch=10, trail=trail)) as sink:
        await until(lambda: sink.status["sent_rows"] >= 100)
        await fake.crash()
        await sent(sink)
        await fake.crash()  # nothing is sent just now
        home.write(20)
        await sent(sink)
        if trail:
            await until(lambda: home.kept == 340, what=lambda: sink.status)
    fake.settle()
    if trail:
        whole(home, fake)
    else:  # so the test would notice
        assert len(fake.rows) < 300


async def test_what_is_kept_trails_behind(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url, trail=3600)) as sink:
        await sent(sink)
    assert home.kept == -1  # nothing yet
    async with sending(home.sink(fake.url, trail=0)) as sink:  # begins at what is kept
        await sent(sink)
    assert home.kept == 300
    assert [len(rows) for rows in fake.asked] == [300, 300]


async def test_a_connection_that_idles_too_long_is_no_reason_to_send_all_again(
    home: Home, fake: FakeDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "ALIVE", 0.05)
    async with sending(home.sink(fake.url, trail=0.3)) as sink:
        await sent(sink)
        await until(lambda: home.kept == 300)
        pings = fake.pings
        await asyncio.sleep(0.3)
        assert fake.pings == pings  # all is safe, nobody is asked any more
        for _ in range(3):
            await fake.stop()
            await fake.start()
            await asyncio.sleep(0.06)
            home.write(1)
            await sent(sink)
            await until(lambda: home.kept == 300 + 2 * (home.tick - 150))
        assert "last_error" not in sink.status
    assert [len(rows) for rows in fake.asked] == [300, 2, 2, 2]


@pytest.mark.parametrize("ends", ["announced", "always"])
async def test_a_server_that_closes_connections_and_says_so(home: Home, fake: FakeDb, ends: str) -> None:
    count = 0

    def judge(request: web.Request, rows: list[Point]) -> web.Response | None:
        nonlocal count
        count += 1
        return web.Response(status=204, headers={"Connection": "close"}) if ends == "always" or count % 3 == 0 else None

    def taking(request: web.Request, rows: list[Point]) -> web.Response | None:
        fake.rows.update({(point.tags["id"], point.time): point for point in rows})
        return judge(request, rows)

    fake.judge = taking
    async with sending(home.sink(fake.url, batch=10)) as sink:
        await sent(sink)
    whole(home, fake)
    assert len(fake.asked) == 30


# TLS.


async def test_a_certificate_of_ones_own(home: Home, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(words, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with serving(tls) as fake:
        url = fake.url.replace("http://", "https://")
        async with sending(home.sink(url)) as sink:
            await until(lambda: sink.status["state"] == "failing")
            assert "not trusted" in sink.status["reason"]
            assert "write ca =" in sink.status["reason"]
        async with sending(home.sink(url, ca=key)) as sink:
            await until(lambda: sink.status["state"] == "failing")
            assert "correct ca" in sink.status["reason"]
        async with sending(home.sink(url, ca=certificate)) as sink:
            await sent(sink)
        whole(home, fake)


# Its life.


async def test_an_error_that_nobody_thought_of(home: Home, fake: FakeDb) -> None:
    sink = home.sink(fake.url)
    sink.failed("an error in Cellwire itself")
    assert sink.status["state"] == "failing"
    async with sending(sink):
        await sent(sink)
    assert sink.status["state"] == "running"
    whole(home, fake)


async def test_how_far_it_is_behind(home: Home) -> None:
    async with sending(home.sink(f"http://127.0.0.1:{free_port()}")) as sink:
        await until(lambda: sink.status["state"] == "failing")
        home.write(720)
        assert sink.status["behind_rows"] == 300 + 1440
        assert 870 * 5 - 10 < sink.status["behind_seconds"] < 870 * 5 + 10
