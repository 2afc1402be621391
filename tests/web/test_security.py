"""Who may do what, and that nobody else can: log-in, roles, CSRF, Origin, Host, lock-out, set-up, secrets, TLS."""

import asyncio
import contextlib
import gzip
import json
import logging
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import pytest
from caller import Caller, calling
from desk import NAME, PASSWORD, FakeDesk, serving

from cellwire.gateway.config import WebSettings
from cellwire.outputs.web import Web, WebError, access, pages, session
from cellwire.outputs.web.access import GRANTS, Access, AccessBroken, AccessError
from cellwire.outputs.web.lockout import BY_NAME, BY_PEER, WINDOW, Lockout, peer_key
from cellwire.outputs.web.site import TOLD
from cellwire.outputs.web.table import ROUTES
from cellwire.outputs.web.visit import WRITES, Route

OPEN = {("GET", "/session"), ("POST", "/login"), ("POST", "/logout"), ("POST", "/setup")}
each_route = pytest.mark.parametrize("route", ROUTES.all, ids=lambda route: f"{route.method} {route.path}")
each_write = pytest.mark.parametrize(
    "route",
    [route for route in ROUTES.all if route.method in WRITES and route.grant],
    ids=lambda route: f"{route.method} {route.path}",
)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def server(tmp_path: Path, desk: FakeDesk) -> AsyncIterator[Web]:
    async with serving(tmp_path, desk) as running:
        yield running


def path_of(route: Route) -> str:
    return route.path[1:].replace("{name}", "shed").replace("{chemistry}", "lfp")


def kinds(desk: FakeDesk) -> list[str]:
    return [event.kind for event in desk.events.recent]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Without log-in


@each_route
async def test_without_login_only_the_open_routes_answer(server: Web, desk: FakeDesk, route: Route) -> None:
    async with calling(server) as caller:
        answer = await caller.call(route.method, path_of(route), {} if route.body else None)
    if (route.method, route.path) in OPEN:
        assert answer.status in (200, 400)
        assert not route.grant
    else:
        assert answer.status == 401
        assert answer.code == "not_logged_in"
        assert "Log in" in answer.json["error"]
        assert ("refused" in kinds(desk)) is (route.method in WRITES)


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES.all if route.method == "GET" and route.grant in ("", "read") and route.path != "/live"],
    ids=lambda route: route.path,
)
async def test_guests_read_when_that_is_wanted(tmp_path: Path, route: Route) -> None:
    async with serving(tmp_path, guests=True) as server, calling(server) as caller:
        query = {"/history": "?of=van&names=voltage&points=5", "/energy": "?of=van"}
        query["/export"] = f"?of=van&start={server.site.desk.store.clock() - 60:.0f}"
        path = path_of(route).replace("banks/shed", "banks/house").replace("packs/shed", "packs/van")
        # A backup is of what was read.
        assert (await caller.call("POST", "packs/van/settings/read")).status == 200
        assert (await caller.get(path + query.get(route.path, ""))).status == 200


async def test_guests_may_do_no_more_than_read(tmp_path: Path, desk: FakeDesk) -> None:
    async with serving(tmp_path, desk, guests=True) as server, calling(server) as caller:
        assert (await caller.get("session")).json["grant"] == "read"
        assert (await caller.get("session")).json["user"] is None
        assert (await caller.get("users")).status == 401
        assert (await caller.call("DELETE", "configuration/packs/shed")).status == 401
        assert (await caller.call("POST", "password", {"password": PASSWORD, "new": PASSWORD})).status == 403
        assert not desk.changes


@pytest.mark.parametrize("token", ["", "x", "cellwire_", "\xe4", "a" * 5000, "cellwire_" + "A" * 43])
async def test_made_up_tokens_open_nothing(server: Web, token: str) -> None:
    async with calling(server) as caller:
        assert (await caller.get("packs", Authorization=f"Bearer {token}")).status == 401
        assert (await caller.get("packs", Cookie=f"{session.cookie_name(server.site)}={token}")).status == 401


async def test_who_came_in_and_who_changed_what_is_not_for_everybody(tmp_path: Path, desk: FakeDesk) -> None:
    """Names of users and their addresses are shown from the grant configure on."""
    async with serving(tmp_path, desk, guests=True) as server, calling(server) as guest, calling(server) as program:
        await guest.log_in("eve", "wrong-password")
        await guest.call("POST", "scan")
        desk.events.add("configuration", "admin changed pack shed")
        desk.events.add("full", "van is full")
        for history in (desk.history, None):
            desk.history = history
            assert [event["kind"] for event in (await guest.get("events")).json["events"]] == ["full"]
            assert (await guest.get("events?kinds=login,refused,configuration")).json["events"] == []
            assert len((await guest.get("events?kinds=login,full")).json["events"]) == 1
            for grant, count in (("operate", 1), ("configure", 4), ("service", 4)):
                program.token = server.site.access.add_token(f"{grant}{bool(history)}", grant)
                assert len((await program.get("events")).json["events"]) == count


# Roles


@pytest.mark.parametrize("grant", GRANTS)
async def test_each_grant_opens_what_is_its_own_and_below(server: Web, desk: FakeDesk, grant: str) -> None:
    """Every route with every grant, as a user with a session and as a token."""
    server.site.access.add_user("other", "quite-a-secret", grant)
    token = server.site.access.add_token("program", grant)
    async with calling(server) as caller, calling(server) as program:
        await caller.log_in("other", "quite-a-secret")
        program.token = token
        for who in (caller, program):
            for route in ROUTES.all:
                if not route.grant or route.path in ("/live", "/export"):
                    continue
                desk.changes.clear()
                answer = await who.call(route.method, path_of(route), b"[]" if route.body else None, **typed(route))
                enough = GRANTS.index(grant) >= GRANTS.index(route.grant)
                if enough or (route.path == "/password" and who is program):
                    assert answer.status != 401, route
                    assert answer.code != "not_allowed" or route.path == "/password"
                else:
                    assert (answer.status, answer.code) == (403, "not_allowed"), route
                    assert not desk.changes
                    assert route.grant in answer.json["error"]


def typed(route: Route) -> dict[str, str]:
    return {"Content_Type": "application/json"} if route.body else {}


# Writes


@each_write
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X_CSRF_Token": None}, "csrf"),
        ({"X_CSRF_Token": "0" * 64}, "csrf"),
        ({"X_CSRF_Token": "\xe4"}, "csrf"),
        ({"Origin": "https://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"Origin": "http://127.0.0.1:1"}, "origin"),
        ({"Sec_Fetch_Site": "cross-site"}, "origin"),
        ({"Sec_Fetch_Site": "same-site"}, "origin"),
        ({"Host": "evil.example"}, "host"),
        ({"Host": "evil.example:6789"}, "host"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_write_that_a_foreign_page_could_send_is_refused(
    shared: tuple[Caller, FakeDesk], route: Route, headers: dict[str, str | None], code: str
) -> None:
    caller, desk = shared
    before = len(desk.events.recent)
    answer = await caller.call(route.method, path_of(route), b"{}", Content_Type="application/json", **headers)
    assert (answer.status, answer.code) == (403, code)
    told = list(desk.events.recent)[before:]
    assert [event.kind for event in told] == ["refused"]
    assert told[0].detail["code"] == code
    assert not desk.changes


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://]", "http://\u2100", "http://", "://", "%"])
async def test_an_origin_that_is_none_is_foreign(shared: tuple[Caller, FakeDesk], origin: str) -> None:
    answer = await shared[0].call("POST", "scan", Origin=origin)
    assert (answer.status, answer.code) == (403, "origin")


@pytest.mark.parametrize("form", ["foo://{}", "{}", "http://{}/", "http://anna@{}", "http://{}.example"])
async def test_an_origin_like_the_own_is_foreign(shared: tuple[Caller, FakeDesk], form: str) -> None:
    place = shared[0].base.removeprefix("http://")
    assert (await shared[0].call("POST", "scan", Origin=form.format(place))).code == "origin"
    assert (await shared[0].call("POST", "scan", Origin=f"http://{place}")).status == 202


@pytest.fixture
async def shared(tmp_path: Path, desk: FakeDesk) -> AsyncIterator[tuple[Caller, FakeDesk]]:
    """A caller who is logged in; made without the log-in's hashing, for there are many of these tests."""
    async with serving(tmp_path, desk, set_up=False) as server:
        users = server.site.access
        with users._changing() as state:
            state["users"][NAME] = {"hash": "none", "grant": "service", "added": 0.0}
        secret = users.begin(NAME)
        async with calling(server) as caller:
            caller.session.cookie_jar.update_cookies({session.cookie_name(server.site): secret})
            caller.csrf = users.visitor(secret).csrf
            yield caller, desk


@pytest.mark.parametrize("name", ["10.1.2.3:6789", "[fe80::1]:6789", "localhost", "smartbms", "SMARTBMS.local:6789"])
async def test_own_names_are_fine(shared: tuple[Caller, FakeDesk], name: str) -> None:
    caller, _ = shared
    answer = await caller.call("POST", "scan", Host=name, Origin=f"http://{name.lower()}")
    assert answer.status == 202


async def test_configured_names_are_fine(tmp_path: Path) -> None:
    async with serving(tmp_path, hosts=("battery.example.org",)) as server, calling(server) as caller:
        assert (await caller.get("session", Host="battery.example.org")).status == 200
        assert (await caller.get("session", Host="battery.example.org.")).status == 200
        assert (await caller.get("session", Host="battery.example.com")).status == 403
        assert (await caller.get("/", Host="battery.example.com")).status == 403
        own = socket.gethostname().partition(".")[0]
        for name in (own, f"{own}.local"):
            assert (await caller.get("session", Host=name)).status == 200


async def test_a_token_needs_no_csrf_but_no_foreign_origin_either(server: Web) -> None:
    token = server.site.access.add_token("program", "configure")
    async with calling(server) as caller:
        caller.token = token
        assert (await caller.call("POST", "scan")).status == 202
        assert (await caller.call("POST", "scan", Origin="http://evil.example")).code == "origin"


async def test_a_flood_of_refusals_floods_neither_history_nor_log(
    server: Web, desk: FakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    server.site.refusals._monotonic = clock
    async with calling(server) as caller:
        for _ in range(200):
            await caller.call("POST", "scan")
        clock.now += 61
        server.site.refusals._since = clock.now - 60
        server.site.refusals.tick()
        told = [event for event in desk.events.recent if event.kind == "refused"]
        assert len(told) == 21
        assert told[-1].detail == {"count": 180}
        assert sum("refused" in record.getMessage() for record in caplog.records) == 21
        for _ in range(25):
            await caller.call("POST", "scan")
        # What was not told yet is told at the end.
        await server.stop()
        assert desk.events.recent[-1].detail == {"count": 5}


async def test_every_write_that_is_refused_is_told(tmp_path: Path, desk: FakeDesk) -> None:
    """Also where the route itself refuses."""
    passwords = {"password": PASSWORD, "new": PASSWORD}
    async with serving(tmp_path, desk, guests=True) as server, calling(server) as guest, calling(server) as program:
        program.token = server.site.access.add_token("grafana", "service")
        for caller in (guest, program):
            assert (await caller.call("POST", "password", passwords)).status == 403
        setup = {"code": "x", "name": "eve", "password": "correct horse"}
        assert (await guest.call("POST", "setup", setup)).status == 403
    assert [event.text for event in desk.events.recent if event.kind == "refused"] == [
        "POST /password from 127.0.0.1 by guest was refused: not_allowed",
        "POST /password from 127.0.0.1 by token grafana was refused: not_allowed",
        "POST /setup from 127.0.0.1 by guest was refused: not_allowed",
    ]


# Log-in and lock-out


async def test_login_gives_a_session(server: Web, desk: FakeDesk) -> None:
    async with calling(server) as caller:
        answer = await caller.log_in()
        assert answer.status == 200
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Secure" not in cookie
        shown = (await caller.get("session")).json
        assert shown["user"] == NAME
        assert shown["grant"] == "service"
        assert shown["csrf"] == caller.csrf
        assert "login" in kinds(desk)
        old = caller.cookie
        assert (await caller.call("POST", "logout")).status == 200
        assert (await caller.get("packs")).status == 401
        assert (await caller.get("packs", Cookie=f"{session.cookie_name(server.site)}={old}")).status == 401


async def test_login_of_a_foreign_page_is_refused(server: Web) -> None:
    body = {"name": NAME, "password": PASSWORD}
    async with calling(server) as caller:
        assert (await caller.call("POST", "login", body, Origin="http://evil.example")).code == "origin"
        form = await caller.call("POST", "login", b"name=a", Content_Type="application/x-www-form-urlencoded")
        assert form.status == 415
        plain = await caller.call("POST", "login", json.dumps(body).encode(), Content_Type="text/plain")
        assert plain.status == 415


async def test_an_old_cookie_does_not_stand_in_the_way_of_login(server: Web) -> None:
    async with calling(server, logged_in=True) as caller:
        caller.csrf = ""
        assert (await caller.log_in()).status == 200


async def test_wrong_passwords_lock_out(server: Web, desk: FakeDesk) -> None:
    clock = Clock()
    server.site.lockout = Lockout(clock)
    async with calling(server) as caller:
        statuses = [(await caller.log_in(NAME, f"wrong-password-{number}")).status for number in range(20)]
        assert statuses == [401] * BY_PEER + [429] * (20 - BY_PEER)
        right = await caller.log_in()
        assert (right.status, right.code) == (429, "locked_out")
        assert 0 < int(right.headers["Retry-After"]) <= WINDOW
        clock.now += WINDOW - 1
        assert (await caller.log_in()).status == 429
        clock.now += 2
        assert (await caller.log_in()).status == 200
    told = [event.text for event in desk.events.recent if event.kind == "login"]
    assert sum("Wrong password" in text for text in told) == BY_PEER
    assert sum("Locked out" in text for text in told) == 1
    assert sum("Still locked out" in text for text in told) == TOLD - BY_PEER - 1


async def test_many_at_once_gain_nothing(server: Web) -> None:
    async with calling(server) as caller:
        tries = [caller.log_in(NAME, f"wrong-password-{number}") for number in range(15)]
        answers = await asyncio.gather(*tries)
    assert sum(answer.status == 401 for answer in answers) == BY_PEER
    assert sum(answer.status == 429 for answer in answers) == 5


async def test_too_many_at_once_are_sent_away(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.site.WAITING", 2)
    async with calling(server) as caller:
        answers = await asyncio.gather(*[caller.log_in() for _ in range(6)])
    assert {answer.status for answer in answers} == {200, 503}


def test_lockout_by_peer_and_by_name() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for number in range(BY_NAME):
        keys = (peer_key(f"10.0.0.{number}"), "name anna")
        assert not lockout.wait(*keys)
        assert lockout.begin(*keys) is (number == BY_NAME - 1)
    assert lockout.wait("peer 10.9.9.9", "name anna") == WINDOW
    assert not lockout.wait("peer 10.9.9.9", "name bert")
    clock.now += WINDOW
    assert not lockout.wait("peer 10.9.9.9", "name anna")


def test_tries_long_ago_do_not_count() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(3 * BY_PEER):
        assert not lockout.begin("peer 10.0.0.1")
        clock.now += WINDOW / (BY_PEER - 1)


def test_right_passwords_do_not_count() -> None:
    lockout = Lockout(Clock())
    for _ in range(3 * BY_PEER):
        assert not lockout.begin("peer 10.0.0.1")
        lockout.take_back("peer 10.0.0.1")


def test_strangers_cannot_fill_the_memory() -> None:
    lockout = Lockout(Clock())
    for number in range(20000):
        lockout.begin(f"peer {number}", f"name {number}")
    assert len(lockout._tries) <= 4096


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.0.0.1", "peer 10.0.0.1"),
        ("::ffff:10.0.0.1", "peer 10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "peer 2001:db8:1:2::/64"),
        ("fe80::1%eth0", "peer fe80::/64"),
        ("unknown", "peer unknown"),
    ],
)
def test_what_counts_as_one_peer(address: str, key: str) -> None:
    assert peer_key(address) == key


async def test_unknown_names_cost_the_same(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both go through the same hash; an unknown name, perhaps a password in the wrong field, is not written down."""
    hashes: list[str] = []

    class Spy:
        def verify(self, hashed: str, password: str) -> bool:
            hashes.append(hashed)
            return real.verify(hashed, password)

    real = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
    monkeypatch.setattr(access, "HASHER", real)
    server.site.access.set_password(NAME, PASSWORD)
    monkeypatch.setattr(access, "HASHER", Spy())
    async with calling(server) as caller:
        first = await caller.log_in(NAME, "not-the-password")
        second = await caller.log_in("hunter2-hunter2", "not-the-password")
    assert first.json == second.json
    assert {tuple(hashed.split("$")[1:4]) for hashed in hashes} == {("argon2id", "v=19", "m=19456,t=2,p=1")}
    assert len(hashes) == 2
    assert not any("hunter2" in event.text for event in server.site.desk.events.recent)


# Users and tokens


async def test_users_and_tokens_over_the_api(server: Web) -> None:
    async with calling(server, logged_in=True) as caller:
        body = {"name": "anna", "password": "correct horse", "grant": "operate"}
        assert (await caller.call("POST", "users", body)).status == 201
        assert (await caller.call("POST", "users", body)).status == 409
        names = [(user["name"], user["grant"]) for user in (await caller.get("users")).json["users"]]
        assert names == [("admin", "service"), ("anna", "operate")]
        async with calling(server) as other:
            await other.log_in("anna", "correct horse")
            assert (await other.get("packs")).status == 200
            assert (await caller.call("PUT", "users/anna", {"grant": "configure"})).status == 200
            assert (await other.get("packs")).status == 401
            await other.log_in("anna", "correct horse")
            assert (await other.get("session")).json["grant"] == "configure"
            change = {"grant": "read", "password": "another horse"}
            assert (await caller.call("PUT", "users/anna", change)).status == 200
            await other.log_in("anna", "another horse")
            assert (await other.get("session")).json["grant"] == "read"
            assert (await caller.call("PUT", "users/nobody", {"grant": "read"})).status == 404
            assert (await caller.call("PUT", f"users/{NAME}", {"grant": "read"})).status == 409
            assert (await caller.call("DELETE", "users/anna")).status == 200
            assert (await other.get("packs")).status == 401
        assert (await caller.call("DELETE", "users/anna")).status == 404
        last = await caller.call("DELETE", f"users/{NAME}")
        assert last.status == 409
        assert "last user" in last.json["error"]
        token = (await caller.call("POST", "tokens", {"name": "grafana", "grant": "read"})).json["token"]
        assert (await caller.call("POST", "tokens", {"name": "grafana", "grant": "read"})).status == 409
        assert token not in (await caller.get("tokens")).body.decode()
        async with calling(server) as program:
            program.token = token
            assert (await program.get("packs")).status == 200
            assert (await program.get("configuration")).status == 403
            assert (await caller.call("DELETE", "tokens/grafana")).status == 200
            assert (await program.get("packs")).status == 401
        assert (await caller.call("DELETE", "tokens/grafana")).status == 404


@pytest.mark.parametrize(
    ("name", "password", "problem"),
    [
        ("anna", "short", "10 to 200 characters"),
        ("anna-with-a-long-name", "Anna-with-a-long-name", "must not be the name"),
        ("-anna", "correct horse", "look like"),
        ("an na", "correct horse", "look like"),
        ("", "correct horse", "1 to 64"),
        ("anna", "x" * 201, "10 to 200"),
    ],
)
async def test_rules_of_names_and_passwords(server: Web, name: str, password: str, problem: str) -> None:
    async with calling(server, logged_in=True) as caller:
        answer = await caller.call("POST", "users", {"name": name, "password": password, "grant": "read"})
        assert answer.status == 400
        assert problem in answer.json["error"]


async def test_changing_the_password_ends_the_other_sessions(server: Web) -> None:
    async with calling(server, logged_in=True) as caller, calling(server, logged_in=True) as elsewhere:
        wrong = await caller.call("POST", "password", {"password": "not-this-one", "new": "another-house"})
        assert wrong.status == 403
        done = await caller.call("POST", "password", {"password": PASSWORD, "new": "another-house"})
        assert done.status == 200
        assert (await caller.get("packs")).status == 200
        assert (await elsewhere.get("packs")).status == 401
        assert (await elsewhere.log_in()).status == 401
        assert (await elsewhere.log_in(NAME, "another-house")).status == 200


async def test_the_own_password_cannot_be_guessed_with_a_stolen_session(server: Web) -> None:
    async with calling(server, logged_in=True) as caller:
        body = {"password": "not-this-one", "new": "another-house"}
        statuses = [(await caller.call("POST", "password", body)).status for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2


# Sessions and the file


async def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, calling(server, logged_in=True) as caller:
        cookie, csrf = caller.cookie, caller.csrf
    async with serving(tmp_path) as server, calling(server) as caller:
        name = session.cookie_name(server.site)
        assert (await caller.get("packs", Cookie=f"{name}={cookie}")).status == 200
        assert (await caller.call("POST", "scan", Cookie=f"{name}={cookie}", X_CSRF_Token=csrf)).status == 202


def test_sessions_end_when_not_used(tmp_path: Path) -> None:
    clock = Clock()
    file = Access(tmp_path / "access.json", clock)
    file.add_user("anna", "correct horse", "service")
    secret = file.begin("anna")
    for _ in range(4):
        clock.now += 29 * 86400
        visitor = file.visitor(secret)
        assert visitor.may("service")
        assert file.wants_note(visitor)
        file.note_use(visitor)
        assert not file.wants_note(visitor)
    clock.now += 30 * 86400
    assert not file.visitor(secret).may("read")
    assert not file.still(visitor).may("read")


def test_sessions_are_bounded(tmp_path: Path) -> None:
    clock = Clock()
    file = Access(tmp_path / "access.json", clock)
    file.add_user("anna", "correct horse", "service")
    file.add_user("bert", "correct horse", "read")
    other = file.begin("bert")
    secrets = []
    for _ in range(access.SESSIONS + 3):
        clock.now += 1
        secrets.append(file.begin("anna"))
    assert [bool(file.visitor(secret).grant) for secret in secrets] == [False] * 3 + [True] * access.SESSIONS
    # A program that logs in all the time does not put others out.
    assert file.visitor(other).grant


def test_the_file_holds_no_secret_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    file = Access(path, Clock())
    file.add_user("anna", "correct horse", "service")
    session_secret, token = file.begin("anna"), file.add_token("grafana", "read")
    text = path.read_text(encoding="utf-8")
    for secret in ("correct horse", session_secret, token, file.visitor(session_secret).csrf):
        assert secret not in text
    assert "$argon2id$" in text
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_two_processes_change_the_file(tmp_path: Path) -> None:
    """What the command line does is seen by the gateway, and neither undoes what the other did."""
    clock = Clock()
    gateway, command = Access(tmp_path / "a.json", clock), Access(tmp_path / "a.json", clock)
    command.add_user("anna", "correct horse", "service")
    assert not gateway.is_set_up
    gateway.refresh()
    assert gateway.is_set_up
    secret = gateway.begin("anna")
    command.add_token("grafana", "read")
    gateway.refresh()
    assert gateway.visitor(secret).may("service")
    assert [token["name"] for token in gateway.tokens()] == ["grafana"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "damaged"),
        ("[]", "not a file of users"),
        ('{"version": 9, "users": {}, "tokens": {}, "sessions": {}}', "another version"),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "access.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AccessBroken, match=problem):
        Access(path, Clock())
    assert path.read_text(encoding="utf-8") == text


async def test_a_damaged_file_opens_nothing(
    server: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks is not told where the file is; the log says it, once."""
    monkeypatch.setattr("cellwire.outputs.web.server.TICK", 0.05)
    async with calling(server, logged_in=True) as caller:
        path = server.settings.access
        path.write_text("{", encoding="utf-8")
        answer = await caller.get("packs")
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "the log of Cellwire says why" in answer.json["error"]
        assert str(path) not in answer.json["error"]
        while "is damaged; restore it" not in caplog.text:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert caplog.text.count("is damaged; restore it") == 1


def test_a_link_is_not_followed_when_the_file_is_locked(tmp_path: Path) -> None:
    """Root adds a user in a folder of the gateway's user: that one must not choose what root gives away."""
    victim = tmp_path / "shadow"
    victim.write_text("secret", encoding="utf-8")
    (tmp_path / "access.json.lock").symlink_to(victim)
    with pytest.raises(AccessBroken, match="cannot be written"):
        Access(tmp_path / "access.json", Clock()).add_user("anna", "correct horse", "service")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("", encoding="utf-8")
    file = Access(tmp_path / "access.json", Clock())
    file.path = tmp_path / "folder" / "access.json"
    with pytest.raises(AccessError, match="cannot be"):
        file.add_user("anna", "correct horse", "service")


# Set-up


async def test_first_set_up(tmp_path: Path, desk: FakeDesk, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, desk, set_up=False) as server, calling(server) as caller:
        code = server.site.setup_code
        assert sum(code in record.getMessage() for record in caplog.records) == 1
        assert f"http://127.0.0.1:{server.port}/#/setup/{code}" in caplog.text
        assert (await caller.get("session")).json["setup"] is True
        for path in ("packs", "users", "openapi.json"):
            assert (await caller.get(path)).code == "setup_needed"
        assert (await caller.log_in("anna", "correct horse")).code == "setup_needed"
        body = {"code": code, "name": "anna", "password": "correct horse"}
        assert (await caller.call("POST", "setup", {**body, "code": "x" * 22})).status == 403
        assert (await caller.call("POST", "setup", body, Origin="http://evil.example")).code == "origin"
        done = await caller.call("POST", "setup", body)
        assert done.status == 200
        assert done.json["grant"] == "service"
        assert (await caller.get("packs")).status == 200
        again = await caller.call("POST", "setup", {**body, "name": "eve"}, X_CSRF_Token=done.json["csrf"])
        assert again.status == 403
        assert [user["name"] for user in server.site.access.users()] == ["anna"]


async def test_a_set_up_that_fails_leaves_the_code_good(tmp_path: Path) -> None:
    async with serving(tmp_path, set_up=False) as server, calling(server) as caller:
        body = {"code": server.site.setup_code, "name": "anna-banana", "password": "Anna-Banana"}
        assert (await caller.call("POST", "setup", body)).status == 400
        assert (await caller.call("POST", "setup", {**body, "password": "correct horse"})).status == 200


async def test_the_code_cannot_be_guessed(tmp_path: Path) -> None:
    async with serving(tmp_path, set_up=False) as server, calling(server) as caller:
        body = {"code": "guess", "name": "eve", "password": "correct horse"}
        statuses = [(await caller.call("POST", "setup", body)).status for _ in range(12)]
        assert statuses == [403] * BY_PEER + [429] * 2
        right = await caller.call("POST", "setup", {**body, "code": server.site.setup_code})
        assert right.status == 429


async def test_two_set_ups_at_once_make_one_user(tmp_path: Path) -> None:
    async with serving(tmp_path, set_up=False) as server, calling(server) as caller:
        body = {"code": server.site.setup_code, "password": "correct horse"}
        tries = [caller.call("POST", "setup", {**body, "name": f"user{number}"}) for number in range(5)]
        answers = await asyncio.gather(*tries)
        assert sorted(answer.status for answer in answers) == [200, 403, 403, 403, 403]
        assert len(server.site.access.users()) == 1


async def test_only_loopback_until_there_is_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.TICK", 0.05)
    async with serving(tmp_path, set_up=False, listen="0.0.0.0:0") as server, calling(server) as caller:
        places = {site._sock.getsockname()[0] for site in server._sites}
        assert places <= {"127.0.0.1", "::1"}
        port = server.port
        body = {"code": server.site.setup_code, "name": "anna", "password": "correct horse"}
        assert (await caller.call("POST", "setup", body)).status == 200
        while not server._open:
            await asyncio.sleep(0.01)
        assert [site._sock.getsockname() for site in server._sites] == [("0.0.0.0", port)]
        assert (await caller.get("packs")).status == 200


async def test_the_command_line_opens_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.TICK", 0.05)
    async with serving(tmp_path, set_up=False, listen="0.0.0.0:0") as server, calling(server) as caller:
        code = server.site.setup_code
        Access(tmp_path / "access.json", Clock()).add_user("anna", "correct horse", "service")
        while not server._open:
            await asyncio.sleep(0.01)
        assert (await caller.log_in("anna", "correct horse")).status == 200
        body = {"code": code, "name": "eve", "password": "correct horse"}
        assert (await caller.call("POST", "setup", body)).status == 403


async def test_without_its_file_of_users_it_offers_set_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.TICK", 0.05)
    async with serving(tmp_path, listen="0.0.0.0:0") as server, calling(server, logged_in=True) as caller:
        server.settings.access.unlink()
        while server._open:
            await asyncio.sleep(0.01)
        assert {site._sock.getsockname()[0] for site in server._sites} <= {"127.0.0.1", "::1"}
        assert (await caller.get("packs")).code == "setup_needed"
        code = server.site.setup_code
        assert f"/#/setup/{code}" in caplog.text
        body = {"code": code, "name": "anna", "password": "correct horse"}
        assert (await caller.call("POST", "setup", body)).status == 200


# Secrets


async def test_no_secret_anywhere(tmp_path: Path, desk: FakeDesk, caplog: pytest.LogCaptureFixture) -> None:
    """Passwords, codes, tokens, cookies and hashes are in no answer, event or log line; only where they are given."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with serving(tmp_path, desk, set_up=False) as server, calling(server) as caller:
        code = server.site.setup_code
        caplog.clear()
        await caller.call("POST", "setup", {"code": code, "name": "anna", "password": "correct horse"})
        await caller.log_in("anna", "wrong-horse-1")
        await caller.log_in("correct horse", "wrong-horse-2")
        await caller.log_in("anna", "correct horse")
        token = (await caller.call("POST", "tokens", {"name": "grafana", "grant": "read"})).json["token"]
        await caller.call("POST", "users", {"name": "bert", "password": "bert-is-secret", "grant": "read"})
        await caller.call("PUT", "configuration/mqtt", {"user": "bert", "password": "broker-is-secret"})
        await caller.call("POST", "scan", X_CSRF_Token="wrong-csrf-token")
        await caller.call("POST", f"setup/{code}", {})
        for path in ("/api/v1/packs?token=" + token, f"/{token}", f"/api/v1/{code}"):
            await caller.get(path)
        for route in ROUTES.all:
            if route.method == "GET" and route.path not in ("/live", "/session"):
                said.append((await caller.get(path_of(route))).body.decode())
        hashes = [part for part in server.site.access.path.read_text().split('"') if len(part) >= 40]
        secrets = [code, token, caller.cookie, caller.csrf, "correct horse", "wrong-horse", "bert-is-secret"]
        secrets += ["broker-is-secret", *hashes]
    assert len(hashes) >= 4
    said += [str(event) for event in desk.events.recent]
    said += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    for secret in secrets:
        assert not [text for text in said if secret in text], secret


SECRETS = {
    "a token": r"cellwire_[\w-]{43}",
    "a hash": r"\$argon2|\b[0-9a-f]{40}\b",
    "a key": r"-----BEGIN|\beyJ[\w-]{20,}\.",
    "a password": r"""(?i)(password|secret|token|key)["']?\s*[:=]\s*["'`](?=[\w+/-]*\d)[\w+/-]{10,}["'`]""",
    "a path of the machine that built it": r"/(home|root|work|tmp|Users)/|sourceMappingURL",
    "another host": r"(?<![\w.])(https?|wss?)://(?!www\.w3\.org/)\w",
}


@pytest.mark.skipif(not (pages.FOLDER / "index.html").exists(), reason="the page is not built here; run make page")
def test_no_secret_in_the_page() -> None:
    """What is built into the page is open to everybody, also without log-in."""
    texts = {}
    for file in sorted(pages.FOLDER.rglob("*.*")):
        data = file.read_bytes()
        texts[file.name] = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    assert len(texts) > 4
    for what, pattern in SECRETS.items():
        found = {name: match[0][:60] for name, text in texts.items() if (match := re.search(pattern, text))}
        assert not found, what


# Listening


async def test_a_taken_port_is_said(server: Web, tmp_path: Path) -> None:
    other = Web(FakeDesk(), WebSettings(listen=f"127.0.0.1:{server.port}", access=tmp_path / "access.json"))
    with pytest.raises(WebError, match="is taken, perhaps by a Cellwire that runs already; stop it, or choose another"):
        await other.start()


@pytest.mark.parametrize(
    ("listen", "problem"),
    [("no.such.host.invalid:0", "not an address to listen on"), ("192.0.2.1:0", "not an address of this machine")],
)
async def test_a_wrong_place_to_listen_is_said(tmp_path: Path, listen: str, problem: str) -> None:
    Access(tmp_path / "access.json", Clock()).add_user(NAME, PASSWORD, "service")
    with pytest.raises(WebError, match=problem):
        await Web(FakeDesk(), WebSettings(listen=listen, access=tmp_path / "access.json")).start()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, made with the openssl of the system."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


async def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    async with serving(tmp_path, certificate=certificate[0], key=certificate[1]) as server:
        assert server.addresses == [f"https://127.0.0.1:{server.port}/"]
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            await asyncio.to_thread(trusting.wrap_socket, plain, server_hostname="localhost") as secure,
        ):
            assert secure.version() == "TLSv1.3"
        async with calling(server) as caller:
            answer = await caller.log_in()
            assert answer.status == 200
            assert "Secure" in answer.headers["Set-Cookie"]
            host = f"127.0.0.1:{server.port}"
            assert (await caller.call("POST", "scan", Origin=f"https://{host}")).status == 202
            assert (await caller.call("POST", "scan", Origin=f"http://{host}")).code == "origin"


async def test_mistakes_with_certificates_are_said(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    right, key = certificate
    text = tmp_path / "text.pem"
    text.write_text("hello", encoding="utf-8")
    other, locked = tmp_path / "other.pem", tmp_path / "locked.pem"
    words = ["openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(other)]
    subprocess.run(words, check=True, capture_output=True)
    words = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(words, check=True, capture_output=True)
    cases: list[tuple[Path | None, Path | None, str]] = [
        (tmp_path / "none.pem", key, "No such file"),
        (right, tmp_path / "none.pem", "No such file"),
        (text, key, "convert them with openssl"),
        (right, other, "is not the key of"),
        (right, locked, "has a password; remove it"),
        (None, key, "a key but no certificate"),
    ]
    for certificate_file, key_file, problem in cases:
        settings = WebSettings(
            listen="127.0.0.1:0", access=tmp_path / "access.json", certificate=certificate_file, key=key_file
        )
        with pytest.raises(WebError, match=problem):
            await Web(FakeDesk(), settings).start()


async def test_too_many_connections_are_hung_up_on(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.CONNECTIONS", 5)
    links = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
    assert [await reader.read() for reader, _ in links[5:]] == [b""] * 3
    for _, writer in links:
        writer.close()
        await writer.wait_closed()
    async with calling(server) as caller:
        assert (await caller.get("session")).status == 200


async def test_one_address_does_not_take_all_connections(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.EACH", 3)
    async with contextlib.AsyncExitStack() as stack:

        async def opened() -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            return reader

        # From this machine, where a proxy may be, as many as there can be.
        for _ in range(5):
            await opened()
        monkeypatch.setattr("cellwire.outputs.web.server.HERE", ())
        assert await (await opened()).read() == b""


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has it")
async def test_who_takes_nothing_of_an_answer_is_hung_up_on(
    tmp_path: Path, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellwire.outputs.web.server.STUCK", 0.3)
    monkeypatch.setattr(desk, "health", lambda: {"text": "x" * 20_000_000})
    async with serving(tmp_path, desk, guests=True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.read(1)
        assert server._runner is not None
        assert server._runner.server is not None
        while server._runner.server.connections:
            await asyncio.sleep(0.05)
        writer.close()


async def test_a_body_that_dawdles_is_hung_up_on(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellwire.outputs.web.guard.BODY_TIME", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = (
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    )
    writer.write(head.encode() + b'{"n')
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


# Behind a reverse proxy


async def test_a_proxy_is_believed_only_when_configured(tmp_path: Path, desk: FakeDesk) -> None:
    forwarded = {"X_Forwarded_For": "203.0.113.9, 198.51.100.7", "X_Forwarded_Proto": "https"}
    forwarded |= {"X_Forwarded_Prefix": "/battery"}
    async with serving(tmp_path, desk) as server, calling(server) as caller:
        answer = await caller.call("POST", "login", {"name": NAME, "password": PASSWORD}, **forwarded)
        assert "Secure" not in answer.headers["Set-Cookie"]
        assert "Path=/;" in answer.headers["Set-Cookie"]
        assert desk.events.recent[-1].detail["peer"] == "127.0.0.1"
        assert (await caller.get("session", X_Forwarded_Host="evil.example")).status == 200
    async with serving(tmp_path, desk, proxy=True, hosts=("battery.example.org",)) as server, calling(server) as caller:
        answer = await caller.call("POST", "login", {"name": NAME, "password": PASSWORD}, **forwarded)
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "Path=/battery/" in answer.headers["Set-Cookie"]
        assert desk.events.recent[-1].detail["peer"] == "198.51.100.7"
        assert (await caller.get("session", X_Forwarded_Host="evil.example")).code == "host"
        assert (await caller.get("session", X_Forwarded_Host="battery.example.org")).status == 200


async def test_a_proxy_does_not_make_a_foreign_name_ours(tmp_path: Path) -> None:
    """A page under a foreign name that leads here may send any header; the browser alone makes Host."""
    async with serving(tmp_path, proxy=True, hosts=("home.example.org",)) as server, calling(server) as caller:
        for name in ("localhost", "home.example.org", "127.0.0.1"):
            answer = await caller.get("session", Host="evil.example", X_Forwarded_Host=name)
            assert answer.code == "host"
        own = {"Origin": "https://home.example.org", "X_Forwarded_Proto": "https"}
        token = server.site.access.add_token("program", "configure")
        caller.token = token
        assert (await caller.call("POST", "scan", X_Forwarded_Host="home.example.org", **own)).status == 202
        assert (await caller.call("POST", "scan", **own)).code == "origin"


@pytest.mark.parametrize("said", ["198.51.100.7:5001", "unknown", "_hidden", "", "a" * 5000, "1.2.3.4, ", "[::1]:80"])
async def test_a_proxy_that_names_no_address_names_nobody(tmp_path: Path, desk: FakeDesk, said: str) -> None:
    """A port would make each connection another visitor, whose wrong passwords are counted anew."""
    async with serving(tmp_path, desk, proxy=True) as server, calling(server) as caller:
        await caller.call("POST", "scan", X_Forwarded_For=said)
        assert desk.events.recent[-1].detail["peer"] == "127.0.0.1"


@pytest.mark.parametrize("prefix", ["/battery", "/a/b"])
async def test_below_a_prefix(tmp_path: Path, prefix: str) -> None:
    async with serving(tmp_path, prefix=prefix) as server:
        root = f"http://127.0.0.1:{server.port}"
        async with calling(root + prefix) as caller, calling(root) as bare:
            answer = await caller.log_in()
            assert f"Path={prefix}/;" in answer.headers["Set-Cookie"]
            assert (await caller.get("packs")).status == 200
            moved = await bare.get(prefix)
            assert (moved.status, moved.headers["Location"]) == (308, prefix + "/")
            # A proxy that takes the prefix away.
            assert (await bare.get("session")).status == 200


async def test_settings_change_without_a_restart(tmp_path: Path, server: Web) -> None:
    async with calling(server, logged_in=True) as caller:
        assert (await caller.get("session", Host="battery.example.org")).status == 403
        settings: dict[str, Any] = {**vars(server.settings), "hosts": ("battery.example.org",), "guests": True}
        await server.configure(WebSettings(**settings))
        assert (await caller.get("session", Host="battery.example.org")).json["guests"] is True
        port = server.port
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(WebError, match="is taken"):
                await server.configure(WebSettings(**{**settings, "listen": f"127.0.0.1:{taken.getsockname()[1]}"}))
        assert server.port == port
        assert (await caller.get("packs")).status == 200
