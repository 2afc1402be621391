"""The queue before the broker: one message a topic, the newest, in order."""

import asyncio

from cellwire.outputs.mqtt.outbox import Message, Outbox


async def test_the_newest_of_a_topic_wins() -> None:
    outbox = Outbox()
    for number in range(10000):
        outbox.put(Message("a", str(number)))
        outbox.put(Message("b", str(-number)))
    assert len(outbox) == 2
    assert await outbox.take(20) == [Message("a", "9999"), Message("b", "-9999")]
    assert len(outbox) == 0


async def test_a_topic_that_changes_all_the_time_does_not_starve_the_others() -> None:
    outbox = Outbox()
    outbox.put(Message("quiet", "1"))
    outbox.put(Message("loud", "1"))
    outbox.put(Message("quiet", "2"))
    assert await outbox.take(1) == [Message("quiet", "2")]
    outbox.put(Message("quiet", "3"))
    assert await outbox.take(1) == [Message("loud", "1")]


async def test_waits_for_a_message() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take(5))
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.put(Message("a", "1"))
    assert await taking == [Message("a", "1")]
    taking = asyncio.create_task(outbox.take(5))
    await asyncio.sleep(0)
    assert not taking.done(), "it is empty again"
    taking.cancel()
