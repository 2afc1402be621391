"""One question at a time: what a session takes for the answer, what it refuses, and what it says about the rest."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from fakes import BASIC, FakeLink, FakePack, LinkLost, fake_dialect, frame_of, reply_of, warped

from cellwire.codec.dialect import FAST, Dialect, Query
from cellwire.codec.errors import Refused
from cellwire.gateway.errors import NoAnswer
from cellwire.gateway.session import Session
from cellwire.links.link import PortMissing

VALUES = {"voltage": 52.4}
REPLY = reply_of(1, VALUES)
REQUEST = frame_of(0xA0, 1, 1)


def line(answer: Callable[[bytes], bytes]) -> tuple[FakeLink, Session]:
    link = FakeLink(answer)
    return link, Session(link)


async def ask(session: Session, dialect: Dialect | None = None, **more: Any) -> dict[str, Any]:
    chosen = dialect or fake_dialect()
    return await session.ask(chosen, chosen.queries[0], 1, {}, **more)


async def complaint(session: Session, **more: Any) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        await ask(session, **more)
    return caught.value


@warped
async def test_an_answer_costs_no_waiting() -> None:
    link, session = line(FakePack({1: [VALUES]}))
    assert await ask(session) == VALUES
    assert await ask(session) == VALUES
    assert session.counts["ok"] == 2
    assert [at for at, _ in link.sent] == [0.0, 0.0]
    assert link.opened == 1


@warped
async def test_an_answer_in_pieces_with_pauses() -> None:
    link, session = line(lambda request: REPLY[:1])
    loop = asyncio.get_running_loop()
    for number in range(1, len(REPLY)):
        loop.call_later(0.5 * number, link.arrive, REPLY[number : number + 1])
    # Each pause is shorter than the time-out; a byte a half second is still slower than a line that is not given up.
    with pytest.raises(NoAnswer):
        await ask(session)
    link, session = line(lambda request: REPLY[:1])
    for number in range(1, len(REPLY)):
        loop.call_later(0.02 * number, link.arrive, REPLY[number : number + 1])
    assert await ask(session) == VALUES


@warped
async def test_the_echo_is_taken_off_and_counted() -> None:
    _, session = line(lambda request: request + REPLY)
    assert await ask(session) == VALUES
    assert session.counts["echoed"] == 1
    assert session.counts["dropped"] == 0
    assert not session.foreign.is_set()


@warped
async def test_the_echo_in_pieces() -> None:
    link, session = line(lambda request: request[:2])
    asyncio.get_running_loop().call_later(0.1, link.arrive, REQUEST[2:] + REPLY[:3])
    asyncio.get_running_loop().call_later(0.2, link.arrive, REPLY[3:])
    assert await ask(session) == VALUES
    assert session.counts["echoed"] == 1


@warped
async def test_only_the_echo_is_no_answer() -> None:
    """What equals the request is never a reply, even in a dialect where both look alike."""
    _, session = line(lambda request: request)
    error = await complaint(session)
    assert (error.kind, error.seen, error.echo, error.silent) == ("echo", 0, True, False)
    assert "only our own question came back" in str(error)
    assert session.counts["echo"] == 1
    assert session.counts["ok"] == 0


@warped
async def test_a_reply_that_looks_like_the_request_is_refused() -> None:
    """A dialect whose request would pass as a reply (Modbus-like writes) gives no reading from its own echo."""
    dialect = fake_dialect()
    dialect.request = lambda query, address: REPLY
    link = FakeLink(lambda request: request)
    session = Session(link)
    error = await complaint(session, dialect=dialect)
    assert error.kind == "echo"
    link.answer = lambda request: request + request
    assert await ask(session, dialect) == VALUES


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"", "silent", "no answer; the pack may be asleep"),
        (b"\x00\xff\x13\x37", "noise", "4 bytes of noise came, no frame among them; check baud rate"),
        (REPLY[:-1] + bytes((REPLY[-1] ^ 1,)), "damaged", "1 answer(s) came damaged (wrong checksum)"),
        (REPLY[:-3], "noise", f"{len(REPLY) - 3} bytes of noise"),
        (reply_of(9, VALUES) + REPLY[:-3], "incomplete", "an answer began"),
    ],
    ids=["silent", "noise", "damaged", "only a start", "incomplete"],
)
@warped
async def test_causes_of_no_answer(answer: bytes, kind: str, text: str) -> None:
    _, session = line(lambda request: answer)
    error = await complaint(session)
    assert error.kind == kind
    assert str(error).startswith("Fake, basic: ")
    assert text in str(error)
    assert session.counts[kind] == 1
    assert error.silent == (kind == "silent")


@warped
async def test_silence_ends_after_the_time_out() -> None:
    _, session = line(lambda request: b"")
    loop = asyncio.get_running_loop()
    await complaint(session)
    assert loop.time() == pytest.approx(BASIC.timeout)
    await complaint(session, timeout=2.0)
    assert loop.time() == pytest.approx(BASIC.timeout + 2.0, abs=0.2)


@warped
async def test_endless_noise_does_not_hold_a_question_for_ever() -> None:
    link, session = line(lambda request: b"\x00")
    loop = asyncio.get_running_loop()

    async def noise() -> None:
        while True:
            await asyncio.sleep(0.05)
            link.arrive(b"\x01")

    noisy = asyncio.create_task(noise())
    error = await complaint(session)
    noisy.cancel()
    assert error.kind == "noise"
    assert loop.time() < 6.0


@warped
async def test_noise_before_the_answer() -> None:
    _, session = line(lambda request: b"\x00\x01" + REPLY)
    assert await ask(session) == VALUES
    assert session.counts["dropped"] == 2


@warped
async def test_a_second_try_comes_at_once_and_further_ones_after_growing_pauses() -> None:
    link, session = line(FakePack({1: [None, None, None, None, VALUES]}))
    assert await ask(session, tries=5) == VALUES
    at = [moment for moment, _ in link.sent]
    pauses = [later - earlier - BASIC.timeout for earlier, later in itertools.pairwise(at)]
    assert pauses == pytest.approx([0.0, 0.1, 0.2, 0.4], abs=0.001)
    assert session.counts["silent"] == 4
    assert session.counts["ok"] == 1


@warped
async def test_tries_end() -> None:
    pack = FakePack({1: [None]})
    _, session = line(pack)
    await complaint(session, tries=3)
    assert len(pack.asked) == 3


@warped
async def test_a_no_is_not_asked_again() -> None:
    pack = FakePack({}, refuses=True)
    _, session = line(pack)
    with pytest.raises(Refused, match="refused basic"):
        await ask(session, tries=3)
    assert len(pack.asked) == 1
    assert session.counts["refused"] == 1


@warped
async def test_after_a_failure_the_line_is_asked_with_rests() -> None:
    dialect = fake_dialect(calm=0.1)
    link, session = line(FakePack({1: [VALUES, VALUES, b"\x00", VALUES]}))
    loop = asyncio.get_running_loop()
    await ask(session, dialect)
    await ask(session, dialect)
    assert loop.time() == 0.0
    await complaint(session, dialect=dialect)
    failed = loop.time()
    for _ in range(3):
        await ask(session, dialect)
    at = [moment for moment, _ in link.sent][3:]
    assert at == pytest.approx([failed, failed + 0.1, failed + 0.2], abs=0.001)
    await asyncio.sleep(61.0)
    before = loop.time()
    await ask(session, dialect)
    await ask(session, dialect)
    assert loop.time() == before


@warped
async def test_the_gap_of_a_dialect_is_kept() -> None:
    dialect = fake_dialect(gap=0.12)
    link, session = line(FakePack({1: [VALUES]}))
    for _ in range(3):
        await ask(session, dialect)
    at = [moment for moment, _ in link.sent]
    assert at[2] - at[1] == pytest.approx(0.12)


@warped
async def test_stray_bytes_are_no_answer_to_the_next_question() -> None:
    pack = FakePack({1: [{"voltage": 51.0}]})
    link, session = line(pack)
    await ask(session)
    link.arrive(REPLY)
    assert await ask(session) == {"voltage": 51.0}
    assert session.counts["stray"] == len(REPLY)


@warped
async def test_another_masters_question_among_the_stray_bytes_is_noticed() -> None:
    heard: list[Any] = []
    link = FakeLink(FakePack({1: [VALUES]}))
    session = Session(link, lambda dialect, frame: heard.append(frame[:3]))
    await ask(session)
    assert not session.foreign.is_set()
    link.arrive(frame_of(0xA0, 5, 1) + reply_of(1, VALUES, 5) + reply_of(1, VALUES, 6, 0xC0))
    await ask(session)
    assert session.foreign.is_set()
    assert heard == [("request", 5, 1), ("push", 6, 1)]


@warped
async def test_two_packs_are_asked_in_the_order_of_asking() -> None:
    pack = FakePack({(1, 1): [None, {"voltage": 51.0}], (2, 1): [{"voltage": 52.0}], (3, 1): [{"voltage": 53.0}]})
    link, session = line(pack)
    dialect = fake_dialect()
    answers = await asyncio.gather(
        *[session.ask(dialect, BASIC, address, {}, 2) for address in (1, 2, 3)], return_exceptions=True
    )
    assert answers == [{"voltage": 51.0}, {"voltage": 52.0}, {"voltage": 53.0}]
    # The second try of the first pack waits until its neighbours had their turn.
    assert [data[1] for _, data in link.sent] == [1, 2, 3, 1]


@warped
async def test_another_packs_answer_is_not_taken() -> None:
    _, session = line(lambda request: reply_of(1, VALUES, 2))
    error = await complaint(session)
    assert error.kind == "incomplete"


@warped
async def test_a_lost_link_is_closed_and_opened_again() -> None:
    link, session = line(FakePack({1: [VALUES]}))
    await ask(session)
    link.unplug()
    with pytest.raises(LinkLost, match="plug it in again"):
        await ask(session, tries=3)
    assert link.closed == 1
    link.failures = [PortMissing("not there yet")]
    with pytest.raises(PortMissing):
        await ask(session)
    assert await ask(session) == VALUES
    assert link.opened == 2


@warped
async def test_a_link_that_is_lost_while_waiting() -> None:
    link, session = line(lambda request: b"")
    asyncio.get_running_loop().call_later(0.1, link.unplug)
    with pytest.raises(LinkLost):
        await ask(session)
    link.answer = FakePack({1: [VALUES]})
    assert await ask(session) == VALUES


@warped
async def test_release_waits_for_the_question_under_way() -> None:
    link, session = line(lambda request: b"")
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, link.arrive, REPLY)
    question = asyncio.create_task(ask(session))
    await asyncio.sleep(0.1)
    await session.release()
    assert question.done()
    assert question.result() == VALUES
    assert link.closed == 1


@warped
async def test_what_is_pushed_is_asked_for_once() -> None:
    dialect = fake_dialect(Query("live", 1, FAST, pushed=True))
    pack = FakePack({1: [VALUES]})
    link, session = line(pack)
    await ask(session, dialect)
    for number in range(3):
        asyncio.get_running_loop().call_later(0.2, link.arrive, reply_of(1, {"voltage": 50.0 + number}, 1, 0xC0))
        assert await ask(session, dialect) == {"voltage": 50.0 + number}
    assert len(pack.asked) == 1
    # The stream stopped: the next question fails, and the one after it asks anew.
    await complaint(session, dialect=dialect)
    assert await ask(session, dialect) == VALUES
    assert len(pack.asked) == 2


@warped
async def test_the_speed_is_set_only_when_it_changes() -> None:
    link, session = line(FakePack({1: [VALUES]}))
    for baud in (9600, 115200, 115200, 9600):
        await session.set_baud(baud)
    assert link.bauds == [115200, 9600]


@warped
async def test_listening_sends_nothing() -> None:
    link, session = line(FakePack({1: [VALUES]}))
    asyncio.get_running_loop().call_later(0.5, link.arrive, REPLY)
    frames: list[Any] = []

    def take(frame: Any) -> bool:
        frames.append(frame)
        return False

    heard = await session.listen(fake_dialect(), 3.0, take)
    assert heard == REPLY
    assert [frame[0] for frame in frames] == ["reply"]
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    assert link.sent == []


@warped
async def test_the_link_is_never_told_to_wait_for_more_than_an_answer_was_long() -> None:
    """A late answer before the right one must not make the next one look unfinished."""
    answers = [REPLY, REPLY + b"\x00" * 200, REPLY, b"", REPLY]
    link, session = line(lambda request: answers.pop(0))
    hints = []
    receive = link.receive

    async def noting(at_least: int = 1) -> bytes:
        hints.append(at_least)
        return await receive(at_least)

    link.receive = noting  # type: ignore[method-assign]
    for _ in range(3):
        assert await ask(session) == VALUES
    with pytest.raises(NoAnswer):
        await ask(session)
    assert await ask(session) == VALUES
    assert hints == [1, len(REPLY), len(REPLY), len(REPLY), 1]
