"""What the poller asks and how often, what it believes, and how it tells that a pack is away and back."""

import asyncio
import logging
from typing import Any

import pytest
from fakes import FakeLink, FakePack, fake_dialect, frame_of, reply_of, warped

from cellwire.codec.dialect import FAST, ONCE, SETTINGS, SLOW, Dialect, Query
from cellwire.gateway import poller as poller_module
from cellwire.gateway.errors import NoAnswer
from cellwire.gateway.poller import PAUSES, Line, Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.links.link import LinkLost, PortMissing

LIVE = {"voltage": 13.2, "current": 1.5, "soc": 80}
CELLS = {"cell_voltages": [3.3, 3.3, 3.3, 3.3]}
ZEROS = {"voltage": 0.0, "current": 0.0, "soc": 0}
NO_CELLS = {"cell_voltages": [0.0, 0.0, 0.0, 0.0]}
QUERIES = (
    Query("basic", 1, FAST),
    Query("cells", 2, FAST),
    Query("totals", 3, SLOW, optional=True),
    Query("name", 4, ONCE, optional=True),
    Query("limit", 5, SETTINGS),
    Query("release", 6, SETTINGS),
)
SLOW_KEY, ONCE_KEY = 3, 4
ENTER, LEAVE = frame_of(0xA0, 1, 0x50), frame_of(0xA0, 1, 0x51)
EVERYTHING: dict[int | tuple[int, int], list[Any]] = {
    1: [LIVE],
    2: [CELLS],
    3: [{"charged_total": 100.0}],
    4: [{"model": "SP04"}],
    5: [{"cell_overvoltage_limit": 3.65}],
    6: [{"cell_overvoltage_release": 3.5}],
}


def made(
    answers: dict[int | tuple[int, int], list[Any]], refuses: bool = False, dialect: Dialect | None = None
) -> tuple[Poller, FakePack, FakeLink]:
    """Return a poller of a fake pack whose store has the loop's clock."""
    pack = FakePack({**EVERYTHING, **answers}, refuses)
    link = FakeLink(pack)
    chosen = dialect or fake_dialect(*QUERIES)
    store = Store(lambda: asyncio.get_running_loop().time())
    state = store.add(PackState("shed", "fake", "fake", 1, 1.0))
    return Poller(Session(link), chosen, 1, store, state), pack, link


def state(poller: Poller) -> str:
    return poller.store.state(poller.pack)


@warped
async def test_the_first_sample_is_asked_for_twice() -> None:
    poller, pack, _ = made({})
    assert await poller.step()
    assert pack.asked[:4] == [1, 2, 1, 2]
    assert poller.pack.readings["voltage"] == 13.2
    assert poller.pack.readings["power"] == pytest.approx(19.8)
    pack.asked.clear()
    assert await poller.step()
    assert pack.asked == [1, 2]
    assert state(poller) == "online"


@warped
async def test_two_first_samples_that_contradict_each_other_are_not_shown() -> None:
    poller, pack, _ = made({1: [LIVE, {**LIVE, "soc": 20}, {**LIVE, "soc": 50}, {**LIVE, "soc": 95}]})
    assert not await poller.step()
    assert "soc" not in poller.pack.readings
    assert pack.asked.count(1) == 3
    assert poller.pack.counts["rejected_doubt"] == 1


@warped
async def test_a_doubtful_change_is_confirmed_by_one_more_question() -> None:
    poller, pack, _ = made({})
    await poller.step()
    pack.asked.clear()
    pack.answers[1, 1] = [{**LIVE, "current": 60.0}]
    assert await poller.step()
    assert pack.asked == [1, 2, 1]
    assert poller.pack.readings["current"] == 60.0


@warped
async def test_a_change_that_is_not_confirmed_is_not_shown() -> None:
    poller, pack, _ = made({})
    await poller.step()
    shown = []
    pack.answers[1, 1] = [{**LIVE, "current": 60.0}, LIVE]
    for _ in range(3):
        await poller.step()
        shown.append(poller.pack.readings["current"])
    assert shown == [1.5, 1.5, 1.5]


@warped
async def test_zeros_of_a_board_that_just_woke_up_are_not_believed() -> None:
    poller, _pack, _ = made({1: [ZEROS] * 4 + [LIVE], 2: [NO_CELLS] * 4 + [CELLS]})
    seen = []
    for _ in range(4):
        await poller.step()
        seen.append(dict(poller.pack.readings))
    assert all(values.get("voltage") in (None, 13.2) for values in seen)
    assert seen[0] == {}
    assert seen[-1]["voltage"] == 13.2
    assert poller.pack.counts["rejected_zero"] >= 1


@warped
async def test_zeros_after_a_silence_are_not_believed() -> None:
    poller, pack, _ = made({})
    await poller.step()
    pack.answers[1, 1] = [None, None, None, None, ZEROS, ZEROS, ZEROS, LIVE]
    pack.answers[1, 2] = [NO_CELLS, NO_CELLS, NO_CELLS, CELLS]
    for _ in range(8):
        await poller.step()
        assert poller.pack.readings["voltage"] == 13.2
        await asyncio.sleep(1.0)
    assert state(poller) == "online"
    assert poller.pack.counts["rejected_zero"] >= 1


@warped
async def test_an_optional_record_that_is_never_answered_is_asked_once() -> None:
    poller, pack, _ = made({3: [None], 4: [None]})
    for _ in range(4):
        assert await poller.step()
    assert pack.asked.count(SLOW_KEY) == 1
    assert pack.asked.count(ONCE_KEY) == 1
    assert poller.missing == {"totals", "name"}
    assert state(poller) == "online"


@warped
async def test_an_optional_record_that_only_came_damaged_is_asked_again() -> None:
    damaged = reply_of(ONCE_KEY, {"model": "SP04"})
    poller, _pack, _ = made({4: [damaged[:-1] + bytes((damaged[-1] ^ 4,)), {"model": "SP04"}]})
    for _ in range(3):
        await poller.step()
    assert poller.missing == set()
    assert poller.pack.readings["model"] == "SP04"


@warped
async def test_a_refused_record_is_not_asked_again() -> None:
    """One refusal may be damage; the second is believed."""
    poller, pack, _ = made({2: [], 3: []}, refuses=True)
    for _ in range(6):
        assert await poller.step()
        await asyncio.sleep(100.0)
    assert 1 <= pack.asked.count(2) <= 2
    assert 1 <= pack.asked.count(SLOW_KEY) <= 2
    assert poller.missing == {"cells", "totals"}
    assert poller.pack.readings["voltage"] == 13.2


@warped
async def test_a_refused_probe_is_asked_again() -> None:
    poller, pack, _ = made({1: []}, refuses=True)
    assert not await poller.step()
    pack.answers[1, 1] = [LIVE]
    assert not await poller.step() or poller.pack.readings["voltage"] == 13.2
    assert await poller.step()
    assert state(poller) == "online"


@warped
async def test_slow_and_once_at_their_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller_module, "SLOW_EVERY", 20.0)
    poller, pack, _ = made({})
    await poller.step()
    first = pack.asked.count(SLOW_KEY)  # twice: the first sight is confirmed
    assert first == 2
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(65.0)
    task.cancel()
    # Due after 20, 40 and 60 s, asked with the next poll after that.
    assert pack.asked.count(SLOW_KEY) - first == 3
    assert pack.asked.count(ONCE_KEY) == 2
    assert 62 <= pack.asked.count(1) <= 70


@warped
async def test_settings_only_when_they_are_wanted() -> None:
    poller, pack, _ = made({})
    for _ in range(5):
        await poller.step()
        await asyncio.sleep(100.0)
    assert not {5, 6} & set(pack.asked)
    assert await poller.read_settings() == []
    assert poller.pack.readings["cell_overvoltage_limit"] == 3.65
    assert poller.pack.readings["cell_overvoltage_release"] == 3.5


@warped
async def test_factory_mode_is_left_also_when_a_read_fails() -> None:
    poller, _pack, link = made({5: [None]}, dialect=fake_dialect(*QUERIES, around=((ENTER,), (LEAVE,))))
    await poller.step()
    link.sent.clear()
    problems = await poller.read_settings()
    assert len(problems) == 1
    assert problems[0].startswith("limit: Fake, limit: no answer")
    sent = [data for _, data in link.sent]
    assert sent[0] == ENTER
    assert sent[-1] == LEAVE
    assert poller.pack.readings["cell_overvoltage_release"] == 3.5
    assert "cell_overvoltage_limit" not in poller.pack.readings


@warped
async def test_factory_mode_is_left_when_the_reading_is_given_up() -> None:
    poller, _, link = made({5: [None]}, dialect=fake_dialect(*QUERIES, around=((ENTER,), (LEAVE,))))
    await poller.step()
    task = asyncio.create_task(poller.read_settings())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert link.sent[-1][1] == LEAVE


@warped
async def test_one_lost_answer_is_not_a_lost_pack(caplog: pytest.LogCaptureFixture) -> None:
    poller, pack, _ = made({})
    await poller.step()
    pack.answers[1, 1] = [None, None, None, LIVE]
    assert not await poller.step()
    assert state(poller) == "online"
    assert await poller.step()
    assert caplog.records == []


@warped
async def test_one_line_when_lost_and_one_when_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cellwire")
    poller, pack, _ = made({})
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(5.0)
    pack.answers[1, 1] = [None]
    await asyncio.sleep(60.0)
    assert state(poller) == "asleep"
    assert "may be asleep" in poller.store.snapshot(poller.pack)["reason"]
    assert poller.pack.readings["voltage"] == 13.2
    pack.answers[1, 1] = [LIVE]
    await asyncio.sleep(10.0)
    task.cancel()
    assert state(poller) == "online"
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, lines
    assert lines[0].startswith("pack shed is asleep: Fake, basic: no answer")
    assert lines[1].startswith("pack shed is back after ")


@warped
async def test_an_unplugged_adapter_is_lost_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    poller, _, link = made({})
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(3.0)
    link.failures = [PortMissing("fake is not there; plug it in")] * 6
    link.unplug()
    await asyncio.sleep(3.0)
    assert state(poller) == "lost"
    assert poller.pack.reason == "fake is not there; plug it in"
    await asyncio.sleep(30.0)
    task.cancel()
    assert state(poller) == "online"
    assert len(caplog.records) == 2


@warped
async def test_a_lost_link_is_said_at_the_first_miss() -> None:
    poller, _, link = made({})
    await poller.step()
    link.unplug()
    link.failures = [LinkLost("gone")]
    assert not await poller.step()
    assert state(poller) == "lost"


@warped
async def test_damaged_answers_are_an_error() -> None:
    damaged = reply_of(1, LIVE)
    poller, _, _ = made({1: [damaged[:-1] + bytes((damaged[-1] ^ 1,))]})
    assert not await poller.step()
    assert state(poller) == "error"
    assert "wrong checksum" in poller.pack.reason


@warped
async def test_contradicting_cells_are_an_error() -> None:
    poller, _, _ = made({2: [{"cell_voltages": [3.3, 3.3, 3.3, 2.3]}]})
    assert not await poller.step()
    assert state(poller) == "error"
    assert "cells do not add up" in poller.pack.reason
    assert poller.pack.readings == {}
    assert poller.pack.counts["rejected_cells_sum"] == 1


@warped
async def test_nobody_polls_and_the_pack_is_stale() -> None:
    poller, _, _ = made({})
    await poller.step()
    await asyncio.sleep(3.1)
    assert state(poller) == "stale"


@warped
async def test_a_silent_pack_is_asked_less_and_less_often() -> None:
    poller, _, link = made({1: [None]})
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(60.0)
    task.cancel()
    at = [moment for moment, _ in link.sent]
    assert at[-1] - at[-2] == pytest.approx(PAUSES[-1] + poller._patience(QUERIES[0]), abs=0.01)
    assert len(at) < 25


@warped
async def test_a_silent_pack_does_not_make_its_neighbour_late() -> None:
    pack = FakePack({**EVERYTHING, (2, 1): [None]})
    link = FakeLink(pack)
    session = Session(link)
    store = Store(lambda: asyncio.get_running_loop().time())
    dialect = fake_dialect(*QUERIES)
    pollers = [
        Poller(session, dialect, address, store, store.add(PackState(f"pack-{address}", "fake", "fake", address, 1.0)))
        for address in (1, 2)
    ]
    task = asyncio.create_task(Line(session, pollers).run())
    await asyncio.sleep(10.0)
    oldest = 0.0
    for _ in range(300):
        await asyncio.sleep(0.1)
        oldest = max(oldest, store.clock() - (pollers[0].pack.time or 0.0))
    task.cancel()
    assert store.state(pollers[0].pack) == "online"
    assert store.state(pollers[1].pack) == "asleep"
    assert oldest < 1.5


@warped
async def test_a_sleeping_pack_is_woken_once() -> None:
    wake = b"\xa0wake"
    dialect = fake_dialect(*QUERIES, wake=wake)
    poller, pack, link = made({1: [None]}, dialect=dialect)
    for _ in range(4):
        await poller.step()
    assert [data for _, data in link.sent].count(wake) == 1
    pack.answers[1, 1] = [LIVE]
    assert await poller.step() or await poller.step()
    pack.answers[1, 1] = [None]
    for _ in range(3):
        await poller.step()
    assert [data for _, data in link.sent].count(wake) == 2


@warped
async def test_the_current_can_be_turned_round() -> None:
    poller, _, _ = made({})
    poller.invert_current = True
    await poller.step()
    assert poller.pack.readings["current"] == -1.5
    assert poller.pack.readings["power"] == pytest.approx(-19.8)


@warped
async def test_a_poll_tells_why_it_could_not() -> None:
    poller, _, _ = made({1: [None]})
    with pytest.raises(NoAnswer) as caught:
        await poller.poll()
    assert caught.value.kind == "silent"


@warped
async def test_what_goes_by_is_heard_and_judged() -> None:
    poller, _, link = made({})
    assert not poller.hear(LIVE)
    assert poller.hear(LIVE)
    assert not poller.hear({**LIVE, "current": 60.0})
    assert not poller.hear(ZEROS)
    assert poller.pack.counts["rejected_zero"] == 1
    assert poller.pack.readings["current"] == 1.5
    assert link.sent == []


@warped
async def test_a_flickering_flag_is_left_out_and_the_rest_is_shown() -> None:
    flicker = [{**CELLS, "balancing_cells": [number % 16 + 1]} for number in range(60)]
    poller, _, _ = made({2: [{**CELLS, "balancing_cells": [1]}] * 2 + flicker})
    for _ in range(12):
        assert await poller.step()
        await asyncio.sleep(1.0)
    assert state(poller) == "online"
    assert poller.pack.readings["voltage"] == 13.2
    assert "balancing_cells" not in poller.pack.readings


@warped
async def test_a_pack_that_answers_again_is_asked_soon_although_it_is_not_believed_yet() -> None:
    poller, pack, _ = made({1: [None] * 40 + [ZEROS] * 6 + [LIVE]})
    while pack.asked.count(1) < 40:
        assert not await poller.step()
        await asyncio.sleep(poller.pause())
    assert poller.pause() == PAUSES[-1]
    assert not await poller.step()
    assert poller.pause() <= 0.5


@warped
async def test_a_record_that_is_read_now_is_read_whole() -> None:
    """What somebody wants to write beside it must not be taken for unknown because the line damaged it."""
    lies = [{"cell_overvoltage_limit": value, "balance_start": 3.4} for value in (3.65, 3.61, 3.62, 3.63, 3.64, 3.66)]
    poller, _, _ = made({5: lies})
    assert await poller.step()
    (problem,) = await poller.read(["limit"])
    assert "not all of it came twice alike" in problem
    assert await poller.read(["release"]) == []
    assert poller.pack.readings["cell_overvoltage_release"] == 3.5


@warped
async def test_a_question_beside_a_stream_that_is_never_answered() -> None:
    stream = reply_of(9, {"voltage": 13.2}, start=0xC0)
    poller, pack, _ = made({4: [stream]})
    for _ in range(4):
        await poller.step()
    assert "name" in poller.missing
    pack.asked.clear()
    assert await poller.step()
    assert ONCE_KEY not in pack.asked
