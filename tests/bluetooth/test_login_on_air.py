"""The login of JBD's Bluetooth modules: asked for when it is needed, and told once."""

import asyncio
import sys
from pathlib import Path

import air
import pytest
from air import JbdModule, Recorded
from bluez import FakeBluez
from gateway_on_air import gateway, settings

from cellwire.codec.errors import ProtocolError
from cellwire.families.jbd import login
from cellwire.gateway import session
from cellwire.links.ble import BleLink

ADDRESS = "10:A5:62:32:75:36"
PLAIN, RANDOM, PASSWORD, ROOT = 0x15, 0x17, 0x18, 0x1D
WHOLE = [PLAIN, RANDOM, PASSWORD, RANDOM, ROOT]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what does not come: here the air is quick."""
    monkeypatch.setattr(BleLink, "lag", 0.2)


def module(bluez: FakeBluez, password: str = "123456") -> tuple[JbdModule, air.Peripheral]:
    """Put a pack behind such a module on the air."""
    made = JbdModule(Recorded("jbd"), ADDRESS, password)
    return made, air.pack(bluez, "jbd", ADDRESS, played=made)


@pytest.mark.parametrize("family", ["", "jbd"])
async def test_a_pack_behind_a_password_is_read(family: str) -> None:
    async with FakeBluez() as bluez:
        made, pack = module(bluez)
        async with gateway(settings("shed", ADDRESS, family=family, pin="123456")) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
            assert made.asked == WHOLE
            assert pack.heard[0][1][:1] == b"\xdd", "the BMS is asked first"
            await pack.device.drop()
            await run.until(lambda: made.asked == WHOLE * 2)
            before = run.store.packs["shed"].counts["accepted"]
            heard = len(pack.heard)
            await run.until(lambda: run.store.packs["shed"].counts["accepted"] > before)
            first = [data[:1] for _, data in pack.heard[heard - 5 : heard]]
            assert first == [b"\xff"] * 5, "known to be needed: before anything else"


async def test_a_module_without_password_only_wants_to_be_greeted() -> None:
    async with FakeBluez() as bluez:
        made, _ = module(bluez, password="")
        async with gateway(settings("shed", ADDRESS)) as run:
            await run.until(lambda: run.readings("shed").get("soc") == 72)
        assert made.asked == [PLAIN]


@pytest.mark.parametrize("family", ["", "jbd"])
async def test_without_a_pin_it_says_that_one_is_wanted(family: str) -> None:
    async with FakeBluez() as bluez:
        made, _ = module(bluez)
        async with gateway(settings("shed", ADDRESS, family=family)) as run:
            await run.until(lambda: "write pin" in run.store.packs["shed"].reason)
            assert "wants a password" in run.store.packs["shed"].reason
        assert set(made.asked) == {PLAIN}
        assert made.tries == 0


@pytest.mark.parametrize("family", ["", "jbd"])
async def test_a_wrong_pin_is_told_once_and_the_connection_given_back(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCKED", 4.0)
    async with FakeBluez() as bluez:
        made, pack = module(bluez)
        async with gateway(settings("shed", ADDRESS, family=family, pin="654321")) as run:
            await run.until(lambda: "does not take this pin" in run.store.packs["shed"].reason)
            await run.until(lambda: not pack.device.connected)
            await asyncio.sleep(1.0)
            assert "does not take this pin" in run.store.packs["shed"].reason
            assert made.tries == 1, "modules lock themselves"
            assert pack.device.calls["Connect"] == 1
            made.password = "654321"
            await run.until(lambda: run.readings("shed").get("soc") == 72)
            assert made.tries == 1


async def test_a_pin_that_cannot_be_one_is_not_told() -> None:
    async with FakeBluez() as bluez:
        made, _ = module(bluez)
        async with gateway(settings("shed", ADDRESS, family="jbd", pin="1234")) as run:
            await run.until(lambda: "does not take this pin" in run.store.packs["shed"].reason)
        assert made.tries == 0


async def test_a_pack_that_sleeps_is_not_taken_for_one_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOGIN", 0.3)
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        pack.deaf = True
        async with gateway(settings("shed", ADDRESS, family="jbd")) as run:
            await run.until(lambda: "asleep" in run.store.packs["shed"].reason)
            await run.until(lambda: any(data[:2] == b"\xff\xaa" for _, data in pack.heard))
            pack.deaf = False
            await run.until(lambda: run.readings("shed") != {})


async def test_a_pack_that_answers_is_never_asked_for_a_login() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", ADDRESS)
        async with gateway(settings("shed", ADDRESS, pin="123456")) as run:
            await run.until(lambda: run.store.packs["shed"].counts["accepted"] > 2)
        assert not any(data[:2] == b"\xff\xaa" for _, data in pack.heard)


async def test_the_password_does_not_get_into_captures(tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl"
    async with FakeBluez() as bluez:
        made, _ = module(bluez)
        program = [sys.executable, "-m", "cellwire", "record", f"ble:{ADDRESS}", "-o", str(capture), "--pin", "123456"]
        running = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.DEVNULL)
        assert await running.wait() == 0
        assert made.asked == WHOLE
    assert "dda5" in capture.read_text()
    assert "ffaa" not in capture.read_text()


def said(command: int, code: int) -> bytes:
    """Return what a module says."""
    return login.frame(command, bytes((code,)))


def test_a_login_through_noise_and_doubled_pieces() -> None:
    """What is no answer to the last frame is passed over: nothing is sent twice."""
    made = login.begin(ADDRESS, "123456")
    assert made.start() == login.app_key()
    assert made.feed(b"\xdd\x03\x00\xff\xaa") is None, "the end of another answer, and a beginning"
    assert made.feed(said(PLAIN, 0)[2:]) == login.random_number()
    assert made.feed(said(PLAIN, 0)) is None
    assert made.feed(b"\xff\xaa\x17\xf0" + said(RANDOM, 0x21)) == login.password("123456", made._mac, 0x21)
    assert made.feed(said(RANDOM, 0x21)) is None
    assert made.feed(said(PASSWORD, 0) + said(PASSWORD, 0)) == login.random_number()
    damaged = said(RANDOM, 0x42)[:-1] + b"\x00"
    assert made.feed(damaged) is None
    assert made.feed(said(RANDOM, 0x43)) == login.root_key(made._mac, 0x43)
    assert not made.done
    assert made.feed(said(ROOT, 0)) == b""
    assert made.done
    assert not made.wrong
    assert not made.wanted
    assert made.feed(said(ROOT, 0)) is None


def test_a_login_byte_by_byte() -> None:
    made = login.begin(ADDRESS, "")
    found = [made.feed(bytes((byte,))) for byte in said(PLAIN, 2)]
    assert found == [None] * 5 + [b""]
    assert made.done


def test_a_login_wants_an_address() -> None:
    with pytest.raises(ProtocolError):
        login.begin("here", "123456")
