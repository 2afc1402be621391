"""Pairing as the owner of each pack wants it: never, just so, or with a number."""

from typing import Any

import air
import pytest
from air import Peripheral, Recorded
from bluez import ERROR, FakeBluez
from gateway_on_air import gateway, settings

from cellwire.links.ble import BleLink
from cellwire.links.ble.agent import Agent, address_of

ADDRESS = "A4:C1:38:00:00:01"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what does not come: here the air is quick."""
    monkeypatch.setattr(BleLink, "lag", 0.2)


def pack(bluez: FakeBluez, **more: Any) -> Peripheral:
    """Put a pack on the air that wants to be paired."""
    return air.pack(bluez, "jbd", ADDRESS, played=Recorded("jbd"), **more)


@pytest.mark.parametrize("guard", ["echo", "refuse"])
@pytest.mark.parametrize(
    ("wants", "policy", "question"),
    [
        ("passkey", "passkey", "RequestPasskey"),
        ("just-works", "just-works", "RequestAuthorization"),
        ("confirm", "just-works", "RequestConfirmation"),
    ],
)
async def test_a_pack_is_paired_as_its_owner_wants(wants: str, policy: str, question: str, guard: str) -> None:
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing=wants, guard=guard)
        async with gateway(settings("shed", ADDRESS, pairing=policy, pin="123456")) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
            assert made.device.paired
            assert bluez.asked == {question: 1}
            await made.device.drop()
            before = run.store.packs["shed"].counts["accepted"]
            await run.until(lambda: run.store.packs["shed"].counts["accepted"] > before)
        assert made.device.calls["Pair"] == 1, "what was paired once is only connected to"


async def test_what_is_not_to_be_paired_is_never_paired() -> None:
    """A module that only echoes says so; one that refuses is not paired with behind its owner's back."""
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="passkey")
        async with gateway(settings("shed", ADDRESS)) as run:
            await run.until(lambda: 'pairing = "passkey"' in run.store.packs["shed"].reason)
        assert not made.device.paired
        assert made.device.calls["Pair"] == 0
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="just-works", guard="refuse")
        async with gateway(settings("shed", ADDRESS, family="jbd")) as run:
            await run.until(lambda: "wants to be paired" in run.store.packs["shed"].reason)
        assert not made.device.paired
        assert bluez.asked["RequestAuthorization"] > 0, "BlueZ asked, and was told no"


async def test_an_echo_says_that_pairing_is_wanted() -> None:
    async with FakeBluez() as bluez:
        pack(bluez, pairing="passkey")
        async with gateway(settings("shed", ADDRESS, family="jbd")) as run:
            await run.until(lambda: 'pairing = "passkey"' in run.store.packs["shed"].reason)
            assert run.wire("shed").session.counts["echo"] > 0


async def test_a_wrong_number() -> None:
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="passkey", passkey=654321)
        async with gateway(settings("shed", ADDRESS, family="jbd", pairing="passkey", pin="123456")) as run:
            await run.until(lambda: "pin" in run.store.packs["shed"].reason)
            assert "does not accept" in run.store.packs["shed"].reason
        assert not made.device.paired


async def test_a_pack_that_was_paired_before_and_has_forgotten_it() -> None:
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="passkey")
        made.device.known[0].paired = True
        made.device.keys = False
        async with gateway(settings("shed", ADDRESS, pairing="passkey", pin="123456")) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
        assert bluez.adapter().calls["RemoveDevice"] == 1
        assert made.device.paired


async def test_a_pack_that_was_paired_by_hand() -> None:
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="passkey")
        made.device.known[0].paired = True
        async with gateway(settings("shed", ADDRESS)) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
        assert made.device.calls["Pair"] == 0


@pytest.mark.parametrize("error", [ERROR + "AlreadyExists", "org.freedesktop.DBus.Error.AccessDenied"])
@pytest.mark.parametrize("member", ["RegisterAgent", "RequestDefaultAgent"])
async def test_packs_that_need_no_pairing_do_without_an_agent(member: str, error: str) -> None:
    async with FakeBluez() as bluez:
        bluez.fail(member, error, times=1000)
        pack(bluez)
        async with gateway(settings("shed", ADDRESS, family="jbd")) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)


async def test_the_agent_is_there_again_when_bluez_was_started_anew() -> None:
    async with FakeBluez() as bluez:
        made = pack(bluez, pairing="passkey")
        async with gateway(settings("shed", ADDRESS, pairing="passkey", pin="123456", family="jbd")) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
            await bluez.stop_service()
            await bluez.start_service()
            before = run.store.packs["shed"].counts["accepted"]
            await run.until(lambda: run.store.packs["shed"].counts["accepted"] > before)
        assert made.device.calls["Pair"] == 2


@pytest.mark.parametrize(
    ("policy", "member", "answer"),
    [
        (("never", ""), "RequestPasskey", None),
        (("never", ""), "RequestAuthorization", None),
        (("just-works", "123456"), "RequestPasskey", None),
        (("just-works", ""), "RequestAuthorization", ("", [])),
        (("just-works", ""), "RequestConfirmation", ("", [])),
        (("passkey", "001234"), "RequestPasskey", ("u", [1234])),
        (("passkey", "001234"), "RequestPinCode", ("s", ["001234"])),
        (("passkey", "abc"), "RequestPasskey", None),
        (("passkey", "123456"), "RequestAuthorization", None),
        (("passkey", "123456"), "AuthorizeService", None),
    ],
)
def test_answers_of_the_agent(policy: tuple[str, str], member: str, answer: Any) -> None:
    agent = Agent()
    agent.policies[ADDRESS] = policy
    path = "/org/bluez/hci0/dev_A4_C1_38_00_00_01"
    assert address_of(path) == ADDRESS
    assert agent.answer(member, [path]) == answer
    assert agent.answer(member, ["/org/bluez/hci0/dev_00_00_00_00_00_00"]) is None
