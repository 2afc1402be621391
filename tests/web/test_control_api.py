"""Setting packs over HTTP: who may, what is answered, what the journal and the live stream say of it."""

import asyncio
import json
import time
import tomllib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caller import Answer, Caller, calling
from desk import IDS, FakeDesk, serving
from obedient import LIMITS
from test_openapi import fits

from cellwire.outputs.web import Web
from cellwire.outputs.web.access import GRANTS

LIMIT = "cell_overvoltage_limit"
DANGEROUS = {"barcode": "E1"}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def server(tmp_path: Path, desk: FakeDesk) -> AsyncIterator[Web]:
    async with serving(tmp_path, desk) as running:
        yield running


@pytest.fixture
async def caller(server: Web) -> AsyncIterator[Caller]:
    async with calling(server, logged_in=True) as found:
        yield found


async def post(caller: Caller, path: str, **body: Any) -> Answer:
    return await caller.call("POST", f"packs/van/{path}", body)


def outcomes(answer: Answer) -> dict[str, str]:
    """Return the result of each command, "" where nothing was done."""
    assert answer.status == 200, answer.json
    return {result["command"]: result.get("result", "") for result in answer.json["results"]}


# What can be set


async def test_settings_say_what_can_be_set_without_asking_the_pack(caller: Caller, desk: FakeDesk) -> None:
    answer = await caller.get("packs/van/settings")
    assert answer.status == 200
    assert (answer.json["pack"], answer.json["allowed"], answer.json["reason"]) == ("van", "service", "")
    rows = {row["command"]: row for row in answer.json["commands"]}
    assert rows[LIMIT] == {
        "command": LIMIT, "kind": "number", "group": "protection", "grant": "configure", "proof": "agreed",
        "meaning": rows[LIMIT]["meaning"], "unit": "V", "decimals": 3, "low": 2.5, "high": 4.3, "step": 0.001,
        "reading": LIMIT,
    }  # fmt: skip
    assert rows["calibrate_cell"]["count"] == 4
    assert rows["calibrate_cell"]["reading"] == "cell_voltages"
    assert len(rows["calibrate_cell"]["value"]) == 4
    assert "danger" in rows["restart"]
    assert rows["pin"]["secret"] is True
    assert desk.van.asked == []


async def test_reading_reads_all_now(caller: Caller, desk: FakeDesk) -> None:
    answer = await post(caller, "settings/read")
    assert answer.status == 200
    assert answer.json["problems"] == []
    rows = {row["command"]: row for row in answer.json["commands"]}
    assert {name: rows[name]["value"] for name in LIMITS} == LIMITS
    assert 0 <= rows[LIMIT]["age"] < 5
    assert "value" not in rows["pin"]
    desk.van.values.pop(5)
    answer = await post(caller, "settings/read")
    assert "limits" in answer.json["problems"][0]


async def test_who_asks_while_it_is_read_gets_what_comes_of_that(caller: Caller, desk: FakeDesk) -> None:
    answers = await asyncio.gather(*[post(caller, "settings/read") for _ in range(6)])
    assert {answer.status for answer in answers} == {200}
    assert desk.van.asked.count(5) < 6


async def test_why_nothing_can_be_set(caller: Caller, desk: FakeDesk) -> None:
    shed = (await caller.get("packs/shed/settings")).json
    assert shed["commands"] == []
    assert "wait until it was read" in shed["reason"]
    denied = await caller.call("POST", "packs/shed/settings/read")
    assert (denied.status, denied.code) == (409, "unavailable")
    assert "wait until it was read" in denied.json["error"]
    desk.grants["van"] = "read"
    van = (await caller.get("packs/van/settings")).json
    assert van["allowed"] == "read"
    assert 'grant = "operate"' in van["reason"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "settings"), ("POST", "settings/read"), ("POST", "plan"), ("POST", "commands"), ("POST", "undo"),
        ("GET", "journal"), ("GET", "backup"), ("POST", "restore"), ("GET", "presets/lfp"),
    ],
)  # fmt: skip
async def test_an_unknown_pack(caller: Caller, method: str, path: str) -> None:
    bodies: dict[str, Any] = {"plan": {"changes": {LIMIT: 3.6}}, "restore": {"text": "x"}}
    body = bodies.get(path.replace("commands", "plan"), {}) if method == "POST" else None
    answer = await caller.call(method, f"packs/vam/{path}", body)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "garage, shed, van" in answer.json["error"]


# What would be done


async def test_a_plan_shows_order_bytes_and_dangers_and_changes_nothing(caller: Caller, desk: FakeDesk) -> None:
    changes = {LIMIT: 3.8, "cell_overvoltage_release": 3.4, "restart": True, "charge_switch": False}
    answer = await post(caller, "plan", changes=changes)
    found = {result["command"]: result for result in answer.json["results"]}
    assert set(found) == set(changes)
    assert found[LIMIT]["before"] == 3.65
    assert found[LIMIT]["wanted"] == 3.8
    assert all(bytes.fromhex(frame) for result in found.values() for frame in result["frames"])
    assert found["restart"]["dangers"] == ["The power goes away."]
    assert found["charge_switch"]["warnings"]
    assert {result.get("result") for result in found.values()} == {None}
    # What lets the pack do more comes last.
    assert list(found)[-1] in (LIMIT, "restart")
    assert desk.van.writes == []
    assert (await caller.get("packs/van/journal")).json == {"entries": []}


async def test_a_plan_says_what_would_be_refused(caller: Caller) -> None:
    answer = await post(caller, "plan", changes={LIMIT: 3.5, "cell_undervoltage_limit": 2.4})
    reasons = {result["command"]: result["reason"] for result in answer.json["results"]}
    assert "nobody has shown in public" in reasons["cell_undervoltage_limit"]
    assert "not tried" in reasons[LIMIT]
    answer = await post(caller, "plan", changes={"cell_undervoltage_limit": 2.4}, unproven=True)
    assert outcomes(answer) == {"cell_undervoltage_limit": ""}


# Doing it


async def test_changes_are_written_read_back_and_journalled(caller: Caller, desk: FakeDesk) -> None:
    answer = await post(caller, "commands", changes={LIMIT: 3.6, "charge_switch": False})
    assert outcomes(answer) == {"charge_switch": "done", LIMIT: "done"}
    for result in answer.json["results"]:
        fits("Result", result)
        assert result["found"] == result["wanted"]
    assert len(desk.van.writes) == 2
    entries = (await caller.get("packs/van/journal")).json["entries"]
    assert [(entry["command"], entry["result"]) for entry in entries] == [("charge_switch", "done"), (LIMIT, "done")]
    assert {(entry["who"], entry["source"], entry["pack"]) for entry in entries} == {("admin", "page", IDS["van"])}
    assert entries[0]["time"] == pytest.approx(time.time(), abs=60)
    for entry in entries:
        fits("JournalEntry", entry)
    assert len((await caller.get("packs/van/journal?limit=1")).json["entries"]) == 1


@pytest.mark.parametrize("mood", ["refuse", "ignore", "clamp"])
async def test_what_is_not_done_says_why(caller: Caller, desk: FakeDesk, mood: str) -> None:
    desk.van.mood = mood
    answer = await post(caller, "commands", changes={LIMIT: 3.6})
    assert outcomes(answer) == {LIMIT: "refused" if mood == "refuse" else "not_confirmed"}
    assert answer.json["results"][0]["reason"]


async def test_dangers_are_confirmed_with_the_name_of_the_pack(caller: Caller, desk: FakeDesk) -> None:
    answer = await post(caller, "commands", changes=DANGEROUS)
    assert outcomes(answer) == {"barcode": "refused"}
    assert "It is printed on the box." in answer.json["results"][0]["reason"]
    wrong = await post(caller, "commands", changes=DANGEROUS, confirm="shed")
    assert (wrong.status, wrong.code) == (400, "bad_request")
    assert "'van'" in wrong.json["error"]
    assert desk.van.writes == []
    assert outcomes(await post(caller, "commands", changes=DANGEROUS, confirm="van")) == {"barcode": "done"}


@pytest.mark.parametrize(
    ("command", "value"),
    [
        (LIMIT, True), (LIMIT, "3.6"), (LIMIT, 9.0), (LIMIT, 10**300), ("charge_switch", "off"), ("charge_switch", 2),
        ("barcode", 7), ("barcode", "a very long one"), ("barcode", "äöü"), ("clear_alarms", False),
        ("calibrate_cell", 3.3), ("calibrate_cell/0", 3.3), ("calibrate_cell/5", 3.3), ("charge_switch/1", True),
        ("no_such_thing", 1), (f"{LIMIT}/999", 3.6),
    ],
)  # fmt: skip
async def test_a_value_that_does_not_fit_is_refused_with_a_reason(
    caller: Caller, desk: FakeDesk, command: str, value: Any
) -> None:
    answer = await post(caller, "commands", changes={command: value}, confirm="van")
    assert outcomes(answer) == {command: "refused"}
    assert command.partition("/")[0] in answer.json["results"][0]["reason"]
    assert desk.van.writes == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"changes": {}}, {"changes": []}, {"changes": {LIMIT: None}}, {"changes": {LIMIT: [3.6]}},
        {"changes": {LIMIT: {"value": 3.6}}}, {"changes": {"Shell; rm": 1}}, {"changes": {LIMIT: 3.6}, "unproven": 1},
        {"changes": {"calibrate_cell/" + "9" * 5000: 3.3}}, {"changes": {LIMIT: 3.6}, "force": True},
        {"changes": {f"x{number}": 1 for number in range(301)}}, {"changes": {"barcode": "a" * 201}},
        {"changes": {LIMIT: 3.6}, "confirm": 1},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("path", ["plan", "commands"])
async def test_what_is_no_request_is_not_understood(
    caller: Caller, desk: FakeDesk, path: str, body: dict[str, Any]
) -> None:
    answer = await post(caller, path, **body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert desk.van.asked == []


# Undoing it


async def test_undo_writes_what_was_before(caller: Caller, desk: FakeDesk) -> None:
    nothing = await post(caller, "undo")
    assert (nothing.status, nothing.code) == (409, "unavailable")
    await post(caller, "commands", changes={LIMIT: 3.6})
    first = (await caller.get("packs/van/journal")).json["entries"][0]["entry"]
    await post(caller, "commands", changes={"charge_switch": False})
    assert outcomes(await post(caller, "undo")) == {"charge_switch": "done"}
    assert desk.van.values[6]["charge_switch"] is True
    answer = await post(caller, "undo", entry=first)
    assert outcomes(answer) == {LIMIT: "done"}
    assert desk.van.values[5][LIMIT] == 3.65
    assert (await caller.get("packs/van/journal")).json["entries"][0]["undo"] == first
    missing = await post(caller, "undo", entry=99)
    assert (missing.status, missing.code) == (409, "unavailable")
    for body in ({"entry": 0}, {"entry": "1"}, {"entry": True}, {"entry": 1.5}):
        assert (await post(caller, "undo", **body)).status == 400


async def test_undoing_what_is_dangerous_has_to_be_confirmed(caller: Caller) -> None:
    await post(caller, "commands", changes=DANGEROUS, confirm="van")
    assert outcomes(await post(caller, "undo")) == {"barcode": "refused"}
    assert (await post(caller, "undo", confirm="van!")).status == 400
    assert outcomes(await post(caller, "undo", confirm="van")) == {"barcode": "done"}


# Many at once


async def test_a_backup_is_put_back(caller: Caller, desk: FakeDesk) -> None:
    early = await caller.get("packs/van/backup")
    assert (early.status, early.code) == (409, "unavailable")
    assert "read them first" in early.json["error"]
    await post(caller, "settings/read")
    saved = await caller.get("packs/van/backup")
    assert saved.headers["Content-Type"].startswith("application/toml")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="van-settings.toml"'
    text = saved.body.decode()
    assert tomllib.loads(text)["settings"][LIMIT] == 3.65
    same: dict[str, Any] = {"changes": {}, "warnings": [], "skipped": {}}
    assert (await post(caller, "restore", text=text)).json == same
    await post(caller, "commands", changes={LIMIT: 3.6, "cell_undervoltage_limit": 2.4}, unproven=True)
    found = (await post(caller, "restore", text=text)).json
    assert found["changes"] == {LIMIT: 3.65}
    assert "cell_undervoltage_limit" in found["skipped"]
    found = (await post(caller, "restore", text=text, unproven=True)).json
    assert found["changes"] == {LIMIT: 3.65, "cell_undervoltage_limit": 2.5}
    assert set(outcomes(await post(caller, "commands", unproven=True, changes=found["changes"])).values()) == {"done"}
    assert (await post(caller, "restore", text=text)).json == same


async def test_a_backup_that_does_not_fit(caller: Caller) -> None:
    await post(caller, "settings/read")
    text = (await caller.get("packs/van/backup")).body.decode()
    broken = await post(caller, "restore", text=text.replace(f"{LIMIT} =", f"{LIMIT} = ="))
    assert (broken.status, broken.code) == (400, "bad_request")
    assert "line" in broken.json["error"]
    huge = await post(caller, "restore", text=text.replace(f"{LIMIT} = 3.65", f"{LIMIT} = {10**400}"))
    assert (huge.status, huge.code) == (400, "bad_request")
    other = await post(caller, "restore", text=text.replace('family = "daly"', 'family = "jbd"'))
    assert (other.status, other.code) == (409, "unavailable")
    assert "jbd" in other.json["error"]


async def test_starting_values_of_a_chemistry(caller: Caller) -> None:
    found = (await caller.get("packs/van/presets/nmc")).json
    assert found["changes"] == {LIMIT: 4.2, "cell_overvoltage_release": 4.1}
    assert "cell_undervoltage_limit" in found["skipped"]
    assert "cell_undervoltage_limit" in (await caller.get("packs/van/presets/nmc?unproven=yes")).json["changes"]
    wrong = await caller.get("packs/van/presets/lead")
    assert (wrong.status, wrong.code) == (404, "not_found")
    assert "lfp" in wrong.json["error"]


# Who may


async def visitor(caller: Caller, server: Web, grant: str, by: str) -> None:
    """Let the caller be somebody with this grant: a user, or a program with a token."""
    if by == "token":
        caller.token = server.site.access.add_token("program", grant)
    else:
        server.site.access.add_user("other", "seven small cells", grant)
        assert (await caller.log_in("other", "seven small cells")).status == 200


@pytest.mark.parametrize("by", ["user", "token"])
@pytest.mark.parametrize("grant", GRANTS)
async def test_what_each_grant_may(server: Web, desk: FakeDesk, grant: str, by: str) -> None:
    wanted = {"charge_switch": (False, "operate"), LIMIT: (3.6, "configure"), "barcode": ("E1", "service")}
    async with calling(server) as caller:
        await visitor(caller, server, grant, by)
        found = (await caller.get("packs/van/settings")).json
        assert found["allowed"] == grant
        assert bool(found["reason"]) == (grant == "read")
        assert (await post(caller, "settings/read")).status == 200
        if grant == "read":
            for path in ("plan", "commands"):
                answer = await post(caller, path, changes={"charge_switch": False})
                assert (answer.status, answer.code) == (403, "not_allowed")
            # Nothing was written that it could undo.
            assert (await post(caller, "undo")).status == 409
            (entry,) = desk.control.journal.entries()
            assert (entry["result"], entry["command"]) == ("refused", "charge_switch")
            assert 'no more than "read"' in entry["reason"]
            assert (await caller.get("packs/van/journal")).status == 403
            assert desk.van.writes == []
            return
        for command, (value, needed) in wanted.items():
            answer = await post(caller, "commands", changes={command: value}, confirm="van")
            may = GRANTS.index(grant) >= GRANTS.index(needed)
            assert outcomes(answer) == {command: "done" if may else "refused"}
            if not may:
                assert f'takes "{needed}"' in answer.json["results"][0]["reason"]
        entry = (await caller.get("packs/van/journal")).json["entries"][-1]
        assert (entry["who"], entry["source"]) == (("other", "page") if by == "user" else ("token program", "api"))


async def test_the_grant_of_the_pack_is_the_highest(caller: Caller, desk: FakeDesk) -> None:
    desk.grants["van"] = "operate"
    answer = await post(caller, "commands", changes={LIMIT: 3.6})
    assert outcomes(answer) == {LIMIT: "refused"}
    assert 'grant = "configure"' in answer.json["results"][0]["reason"]


@pytest.mark.parametrize("path", ["settings/read", "plan", "commands", "undo"])
async def test_strangers_cannot_write(server: Web, caller: Caller, desk: FakeDesk, path: str) -> None:
    body = {"changes": {"charge_switch": False}} if path in ("plan", "commands") else {}
    assert (await caller.call("POST", f"packs/van/{path}", body, X_CSRF_Token=None)).code == "csrf"
    foreign = {"Origin": "http://evil.example"}
    assert (await caller.call("POST", f"packs/van/{path}", body, **foreign)).code == "origin"
    async with calling(server) as nobody:
        assert (await post(nobody, path, **body)).code == "not_logged_in"
    assert desk.van.asked == []


async def test_guests_may_look(server: Web, desk: FakeDesk) -> None:
    server.site.settings = replace(server.site.settings, guests=True)
    async with calling(server) as guest:
        assert (await guest.get("packs/van/settings")).json["allowed"] == "read"
        assert (await post(guest, "commands", changes={"charge_switch": False})).code == "not_logged_in"
        assert (await guest.get("packs/van/journal")).code == "not_logged_in"
    assert desk.van.asked == []


# While it goes on


async def heard(caller: Caller, until: str) -> list[dict[str, Any]]:
    """Return the events of commands on a live stream until one of a command came, or for a second."""
    stream = await caller.session.get(f"{caller.base}/api/v1/live", headers={"Accept": "text/event-stream"})
    caller.streams.append(stream)
    found: list[dict[str, Any]] = []
    kind = ""
    try:
        async with asyncio.timeout(2 if until else 1):
            async for line in stream.content:
                name, _, data = line.decode().strip().partition(": ")
                kind = data if name == "event" else kind
                if name == "data" and kind == "event" and (event := json.loads(data))["kind"] == "command":
                    found.append(event)
                    if event["detail"]["command"] == until:
                        break
    except TimeoutError:
        assert not until, found
    return found


async def test_results_come_on_the_live_stream_for_those_who_operate(caller: Caller, server: Web) -> None:
    async with calling(server) as viewer:
        await visitor(viewer, server, "read", "user")
        streams = asyncio.gather(heard(caller, LIMIT), heard(viewer, ""))
        while server.site.live.clients < 2:
            await asyncio.sleep(0.01)
        await post(caller, "commands", changes={"charge_switch": False, LIMIT: 3.6})
        shown, hidden = await streams
        assert [(event["detail"]["command"], event["detail"]["result"]) for event in shown] == [
            ("charge_switch", "done"), (LIMIT, "done"),
        ]  # fmt: skip
        assert {(event["name"], event["detail"]["who"]) for event in shown} == {("van", "admin")}
        assert hidden == []
        # Who did what is no more for everybody when it is looked up later.
        assert [event["kind"] for event in (await caller.get("events?kinds=command")).json["events"]] == ["command"] * 2
        assert (await viewer.get("events?kinds=command")).json["events"] == []


async def test_what_was_begun_goes_on_when_the_browser_goes_away(
    caller: Caller, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, begun, go_on = desk.pollers["van"].session.tell, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await tell(*arguments)

    monkeypatch.setattr(desk.pollers["van"].session, "tell", slow)
    request = asyncio.create_task(post(caller, "commands", changes={"charge_switch": False, LIMIT: 3.6}))
    await begun.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    go_on.set()
    await desk.control.finish()
    assert len(desk.van.writes) == 2
    entries = (await caller.get("packs/van/journal")).json["entries"]
    assert [entry["result"] for entry in entries] == ["done", "done"]


async def test_a_journal_that_cannot_be_read_is_said(caller: Caller, desk: FakeDesk, tmp_path: Path) -> None:
    desk.control.journal.path = tmp_path
    assert (await caller.get("packs/van/journal")).status == 503
    assert (await post(caller, "undo")).status == 503
    # Without a journal nothing is written to a pack.
    answer = await post(caller, "commands", changes={LIMIT: 3.6})
    assert outcomes(answer) == {LIMIT: "refused"}
    assert "journal" in answer.json["results"][0]["reason"]
    assert desk.van.writes == []
