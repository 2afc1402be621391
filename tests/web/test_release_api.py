"""Releasing a pack over the API: who may, for how long, what is answered; and how links and radios are shown."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from caller import Caller, calling
from desk import RADIO, RADIOS, FakeDesk, serving

PATH = "packs/garage/release"


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def caller(desk: FakeDesk, tmp_path: Path) -> AsyncIterator[Caller]:
    async with serving(tmp_path, desk) as server, calling(server, True) as made:
        made.server = server  # type: ignore[attr-defined]
        yield made


async def test_released_prolonged_and_taken_back(desk: FakeDesk, caller: Caller) -> None:
    before = desk.store.clock()
    answer = await caller.call("POST", PATH, {"minutes": 10})
    assert answer.status == 200
    assert answer.json["packs"] == ["garage", "van"]
    assert answer.json["text"].startswith("released for the phone app until ")
    assert answer.json["text"].endswith(" (by admin), together with van on the same link")
    assert 600 <= answer.json["released_until"] - before < 660
    shown = (await caller.get("packs/garage")).json
    assert (shown["state"], shown["link"]["released_until"]) == ("lost", answer.json["released_until"])
    assert shown["reason"].startswith("released for the phone app")
    later = await caller.call("POST", PATH, {"minutes": 240})
    assert later.json["released_until"] > answer.json["released_until"] + 200 * 60
    back = await caller.call("DELETE", "packs/van/release")
    assert back.json == {"packs": ["garage", "van"], "text": "taken back, together with garage on the same link"}
    again = await caller.call("POST", PATH, {"minutes": 0})
    assert again.json["text"].startswith("it was not released")
    assert "released_until" not in (await caller.get("packs/garage")).json["link"]


async def test_ten_minutes_when_none_are_named(desk: FakeDesk, caller: Caller) -> None:
    answer = await caller.call("POST", PATH, {})
    assert 595 < answer.json["released_until"] - desk.store.clock() <= 600


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"minutes": 0.4}, "0.5 to 240 minutes"),
        ({"minutes": -1}, "at least 0"),
        ({"minutes": 241}, "at most 240"),
        ({"minutes": "10"}, "must be a number"),
        ({"minutes": True}, "must be a number"),
        ({"hours": 1}, "unknown key"),
    ],
)
async def test_what_is_no_time(desk: FakeDesk, caller: Caller, body: dict[str, Any], words: str) -> None:
    answer = await caller.call("POST", PATH, body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert words in answer.json["error"]
    assert desk.wire.released_until is None


async def test_who_may(desk: FakeDesk, caller: Caller) -> None:
    access = caller.server.site.access  # type: ignore[attr-defined]
    async with calling(caller.base) as other:
        for token, status in (
            ("", 401),
            (access.add_token("reader", "read"), 403),
            (access.add_token("app", "operate"), 200),
        ):
            other.token = token
            assert (await other.call("POST", PATH, {})).status == status
            assert (desk.wire.released_until is not None) == (status == 200)
    assert desk.wire.who == "token app"


async def test_what_cannot_be_now(desk: FakeDesk, caller: Caller) -> None:
    desk.wire.busy = True
    answer = await caller.call("POST", PATH, {})
    assert (answer.status, answer.code) == (409, "unavailable")
    assert answer.json["error"].startswith("garage: something is being written")
    assert (await caller.call("POST", "packs/barn/release", {})).status == 404


async def test_how_links_and_radios_go(caller: Caller) -> None:
    assert (await caller.get("packs/garage")).json["link"]["radio"] == RADIO
    assert "radio" not in (await caller.get("packs/shed")).json["link"]
    health = (await caller.get("health")).json
    assert health["radios"] == RADIOS
    assert [pack["link"].get("radio") for pack in health["packs"]] == [None, RADIO, None]
