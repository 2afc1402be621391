"""The live stream: what it says, how seldom, to how many; that it ends when it must, and costs little."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from caller import Caller, calling
from desk import CELLS, IDS, FakeDesk, serving

from cellwire.gateway.store import PackState
from cellwire.outputs.web import Web, stream
from cellwire.outputs.web.access import Visitor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that no test has to wait."""
    monkeypatch.setattr(stream, "ROUND", 0.02)
    monkeypatch.setattr(stream, "LEAST", 0.05)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def server(tmp_path: Path, desk: FakeDesk) -> AsyncIterator[Web]:
    async with serving(tmp_path, desk) as running:
        yield running


class Listener:
    """A client that reads events one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def raw(self) -> bytes:
        """Return the next block, b"" at the end."""
        try:
            return await self.response.content.readuntil(b"\n\n")
        except aiohttp.ClientPayloadError:
            return b""

    async def event(self) -> tuple[str, Any]:
        """Return kind and data of the next event, ("", None) at the end."""
        while block := await self.raw():
            fields = dict(
                line.split(": ", 1) for line in block.decode().strip().split("\n") if not line.startswith(":")
            )
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])
        return "", None

    async def until(self, kind: str) -> Any:
        """Return the data of the next event of a kind."""
        while True:
            found, data = await self.event()
            if found in (kind, ""):
                return data


async def listen(caller: Caller) -> Listener:
    response = await caller.session.get(f"{caller.base}/api/v1/live")
    caller.streams.append(response)
    assert response.status == 200
    return Listener(response)


async def test_everything_comes_first(server: Web, desk: FakeDesk) -> None:
    async with calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        assert listener.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert listener.response.headers["Cache-Control"] == "no-store"
        found = [await listener.event() for _ in range(5)]
        assert [kind for kind, _ in found] == ["pack", "pack", "pack", "bank", "health"]
        assert [data["pack"] for _, data in found[:3]] == list(CELLS)
        assert found[2][1]["readings"] == desk.store.packs["van"].readings
        assert {"every", "since", "link"} <= set(found[2][1])
        assert found[3][1]["bank"] == "house"
        assert found[4][1]["clients"] == 1
        assert (await caller.get("health")).json["clients"] == 1


async def test_changes_follow(server: Web, desk: FakeDesk) -> None:
    async with calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        await listener.until("health")
        van = desk.store.packs["van"]
        desk.store.accept(van, {"voltage": 12.34})
        while (data := await listener.until("pack"))["readings"]["voltage"] != 12.34:
            pass
        assert data["pack"] == "van"
        desk.store.fail(van, "lost", "no answer; look at the cable")
        while (data := await listener.until("pack"))["state"] != "lost":
            pass
        assert data["reason"] == "no answer; look at the cable"
        desk.events.add("alarm_on", "van: cell_overvoltage", IDS["van"], "van", alarm="cell_overvoltage")
        event = await listener.until("event")
        assert event["detail"] == {"alarm": "cell_overvoltage"}
        assert event["pack"] == IDS["van"]


async def test_a_pack_that_grows_old_is_told_though_nothing_came(tmp_path: Path) -> None:
    now = time.time()
    async with serving(tmp_path, FakeDesk(lambda: now)) as server, calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        await listener.until("health")
        now += 60
        while (data := await listener.until("pack"))["state"] != "stale":
            pass
        assert data["age"] == 60


async def test_a_change_of_the_configuration_is_told(server: Web, desk: FakeDesk) -> None:
    async with calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        await listener.until("health")
        assert (await caller.call("PUT", "configuration/packs/boat", {"link": "/dev/ttyUSB7"})).status == 200
        assert await listener.until("reload") == {}
        boat = desk.store.add(PackState("boat", "jbd", "jbd", 1, 1.0))
        assert await listener.until("reload") == {}
        desk.store.accept(boat, {"voltage": 13.0})
        while (await listener.until("pack"))["pack"] != "boat":
            pass


async def test_one_serialisation_serves_all_at_most_once_a_second(
    server: Web, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LEAST", 0.9)
    monkeypatch.setattr(stream, "HEALTH", 1e9)  # which asks for snapshots, too
    async with calling(server, logged_in=True) as caller:
        listeners = [await listen(caller) for _ in range(10)]
        for listener in listeners:
            await listener.until("health")
        made: list[str] = []
        snapshot = desk.store.snapshot

        def counted(pack: PackState) -> dict[str, Any]:
            made.append(pack.name)
            return snapshot(pack)

        monkeypatch.setattr(desk.store, "snapshot", counted)
        await asyncio.sleep(1.0)
        made.clear()
        began = time.monotonic()
        while time.monotonic() < began + 2.0:
            desk.store.accept(desk.store.packs["van"], {"voltage": 12.0 + time.monotonic() % 1})
            await asyncio.sleep(0.01)
        assert 1 <= made.count("van") <= (time.monotonic() - began) / stream.LEAST + 1


async def test_a_slow_client_skips_and_costs_no_memory(server: Web, desk: FakeDesk) -> None:
    client = stream.Client(None, Visitor())  # type: ignore[arg-type]
    for number in range(10000):
        client.put("pack van", b"%d" % number)
        client.tell(b"e%d" % number)
    assert len(client.waiting) == 1
    assert len(client.events) == stream.EVENTS
    data = client.take()
    assert data.startswith(b"9999e")
    assert client.take() == b""


async def test_a_client_that_takes_nothing_is_let_go(
    server: Web, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STUCK", 0.2)
    async with calling(server, logged_in=True) as caller:
        cookie = f"cellwire_0={caller.cookie}"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        await reader.read(1)
        assert server.site.live.clients == 1
        desk.store.packs["van"].readings["pack_state"] = "x" * 1_000_000
        while server.site.live.clients:
            desk.step()
            await asyncio.sleep(0.02)
        writer.close()


async def test_at_most_fifty(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CLIENTS", 3)
    async with calling(server, logged_in=True) as caller:
        listeners = [await listen(caller) for _ in range(3)]
        answer = await caller.get("live")
        assert (answer.status, answer.code) == (503, "unavailable")
        listeners[0].response.close()
        while server.site.live.clients == 3:
            await asyncio.sleep(0.01)
        await listen(caller)


async def test_one_address_does_not_take_all_streams(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "EACH", 2)
    async with calling(server, logged_in=True) as caller:
        for _ in range(2):
            await listen(caller)
        answer = await caller.get("live")
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "2 of them from here" in answer.json["error"]


async def test_who_came_in_is_not_told_to_everybody(tmp_path: Path, desk: FakeDesk) -> None:
    async with (
        serving(tmp_path, desk, guests=True) as server,
        calling(server) as guest,
        calling(server, logged_in=True) as admin,
    ):
        listener, other = await listen(guest), await listen(admin)
        for one in (listener, other):
            await one.until("health")
        desk.events.add("login", "anna logged in from 10.0.0.7")
        desk.events.add("configuration", "anna changed web")
        desk.events.add("full", "van is full")
        assert (await listener.until("event"))["text"] == "van is full"
        assert (await other.until("event"))["kind"] == "login"


async def test_nothing_is_done_without_clients(server: Web) -> None:
    live = server.site.live
    async with calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        assert live._task is not None
        listener.response.close()
        while live.clients:
            await asyncio.sleep(0.01)
        assert live._task is None
        await (await listen(caller)).until("health")


async def test_heartbeat(server: Web, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.05)
    monkeypatch.setattr(stream, "ROUND", 10.0)
    async with calling(server, logged_in=True) as caller:
        listener = await listen(caller)
        await listener.until("health")
        assert await listener.raw() == b": \n\n"
        assert await listener.raw() == b": \n\n"


async def test_ends_with_logout(server: Web) -> None:
    async with calling(server, logged_in=True) as caller, calling(server, logged_in=True) as other:
        listener, kept = await listen(caller), await listen(other)
        assert (await caller.call("POST", "logout")).status == 200
        while (await listener.event())[0]:
            pass
        await kept.until("health")
        assert server.site.live.clients == 1


async def test_ends_when_the_session_or_token_does(server: Web) -> None:
    access = server.site.access
    access.add_user("anna", "correct horse", "read")
    token = access.add_token("grafana", "read")
    async with calling(server) as anna, calling(server) as program:
        await anna.log_in("anna", "correct horse")
        listener = await listen(anna)
        headers = {"Authorization": f"Bearer {token}"}
        answer = await program.session.get(f"{program.base}/api/v1/live", headers=headers)
        program.streams.append(answer)
        second = Listener(answer)
        access.remove_user("anna")
        while (await listener.event())[0]:
            pass
        access.remove_token("grafana")
        while (await second.event())[0]:
            pass


async def test_ends_when_guests_are_no_longer_wanted(tmp_path: Path) -> None:
    async with serving(tmp_path, guests=True) as server, calling(server) as caller:
        listener = await listen(caller)
        await listener.until("health")
        await server.configure(type(server.settings)(**{**vars(server.settings), "guests": False}))
        while (await listener.event())[0]:
            pass


async def test_ends_at_once_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, calling(server, logged_in=True) as caller:
        listeners = [await listen(caller) for _ in range(5)]
        began = time.monotonic()
        await server.stop()
        assert time.monotonic() - began < 0.5
        for listener in listeners:
            while (await listener.event())[0]:
                pass
        assert not server.site.desk.events.hearers


async def test_a_foreign_page_cannot_listen(server: Web) -> None:
    async with calling(server, logged_in=True) as caller:
        assert (await caller.get("live", Origin="http://evil.example")).code == "origin"
        assert (await caller.get("live", Sec_Fetch_Site="cross-site")).code == "origin"
