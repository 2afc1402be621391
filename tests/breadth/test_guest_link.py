"""Links to packs that the library aiobmsble reads: found, connected, lost and back, as every Bluetooth link."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import makers
import pytest
import recordings
from bluez import FakeBluez, FakeDevice
from gateway_on_air import gateway, settings
from recordings import RecordedDevice

from cellwire.families import dialects
from cellwire.gateway.air import radios
from cellwire.gateway.errors import NoAnswer
from cellwire.gateway.session import Session
from cellwire.links import open_link, recording
from cellwire.links.ble import Advert
from cellwire.links.ble.guest import OURS, address, recognise
from cellwire.links.link import LinkError, LinkLost, PortMissing

pytestmark = pytest.mark.skipif(
    recordings.folder() is None, reason="the library aiobmsble and its recordings are not here: make breadth"
)

ADDRESS = "C8:47:80:15:D8:34"
LINK = f"aiobmsble:{ADDRESS}"
NAME = "R-24100BNN160-A00643"
MAKERS = {0x585A: bytes.fromhex("c8478015d834")}
(DIALECT,) = dialects("aiobmsble")
SAMPLE, DEVICE = DIALECT.queries


@contextlib.asynccontextmanager
async def redodo() -> AsyncIterator[RecordedDevice]:
    """Have a pack by Redodo on the air, as the library recorded it."""
    from aiobmsble.bms.redodo_bms import BMS

    async with FakeBluez() as bluez:
        device = RecordedDevice(BMS, recordings.double("redodo_bms", NAME), ADDRESS, NAME)
        device.makers = MAKERS
        bluez.add(device)
        yield device
        await device.end()
        assert not device.connected  # every end was a polite one


@contextlib.asynccontextmanager
async def asked(link: str, **more: Any) -> AsyncIterator[Session]:
    """Have a session on a link."""
    air = radios()
    session = Session(open_link(link, air, **more))
    try:
        yield session
    finally:
        await session.close()
        await air.close()


async def test_a_gateway_reads_it_and_gets_it_back_after_a_loss() -> None:
    async with redodo() as device, gateway(settings("van", ADDRESS, link=LINK)) as home:
        await home.until(lambda: "model" in home.readings("van"))
        pack = home.store.snapshot(home.store.packs["van"])
        assert pack["family"] == "aiobmsble"
        assert pack["model"] == "mock_model"
        assert pack["id"] == "aiobmsble-c8478015d834"
        assert pack["readings"]["pack_serial_number"] == "mock_serial_number"
        assert pack["readings"]["cell_voltages"] == [3.317, 3.319, 3.324, 3.323, 3.320, 3.314, 3.322, 3.317]
        accepted = home.store.packs["van"].counts["accepted"]
        await device.drop()
        await home.until(lambda: home.store.packs["van"].counts["accepted"] > accepted + 1)
        health = home.wire("van").session.link.health()
        assert health["connected"]
        assert (health["counts"]["drops"], health["counts"]["connections"]) == (1, 2)


async def test_the_console_prints_it_as_json() -> None:
    async with redodo():
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cellwire", "read", LINK, "--json", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await program.communicate()
    assert program.returncode == 0
    pack = json.loads(printed)
    assert (pack["family"], pack["dialect"], pack["model"]) == ("aiobmsble", "aiobmsble", "mock_model")
    assert (pack["readings"]["voltage"], pack["readings"]["soc"]) == (26.556, 65)
    assert pack["problems"] == []


async def test_a_capture_of_it_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "redodo.jsonl"
    async with redodo():
        air = radios()
        session = Session(recording(open_link(LINK, air), file, "aiobmsble"))
        live = [await session.ask(DIALECT, query, 0, {}) for query in DIALECT.queries]
        await session.close()
        await air.close()
    async with asked(f"replay:{file}") as session:
        assert [await session.ask(DIALECT, query, 0, {}) for query in DIALECT.queries] == live


async def test_a_pack_that_says_nothing_is_silent_and_connected_anew() -> None:
    from aiobmsble.basebms import BaseBMS

    async with redodo() as device, asked(LINK) as session:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BaseBMS, "_RETRY_TIMEOUT", 0.02)
            await session.open()
            device.muted = True
            with pytest.raises(NoAnswer) as caught:
                await session.ask(DIALECT, SAMPLE, 0, {})
        assert caught.value.silent
        await session.revive()
        assert not device.connected
        device.muted = False
        assert (await session.ask(DIALECT, SAMPLE, 0, {}))["voltage"] == 26.556
        assert device.calls["Connect"] == 2


async def test_a_loss_in_the_middle_of_an_answer_is_noticed_at_once() -> None:
    async with redodo() as device, asked(LINK) as session:
        await session.open()
        answering, drops = device.written, []
        device.written = lambda uuid, data: drops.append(asyncio.ensure_future(device.drop()))
        async with asyncio.timeout(2.0):  # the library alone waits for ten
            with pytest.raises(LinkLost):
                await session.ask(DIALECT, SAMPLE, 0, {})
        await drops[0]
        device.written = answering
        assert (await session.ask(DIALECT, SAMPLE, 0, {}))["voltage"] == 26.556
        assert session.link.health()["counts"]["drops"] == 1


async def test_an_answer_that_makes_no_sense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise IndexError

    monkeypatch.setattr("aiobmsble.bms.redodo_bms.BMS._decode_data", broken)
    async with redodo(), gateway(settings("van", ADDRESS, link=LINK)) as home:
        await home.until(lambda: home.store.packs["van"].trouble == "error")
        assert "right type" in home.store.packs["van"].reason
        assert home.wire("van").session.link.health()["causes"] == {"unreadable": 3}
        assert not home.readings("van")


async def test_a_device_that_the_library_does_not_know_wants_a_type() -> None:
    async with FakeBluez() as bluez:
        bluez.add(FakeDevice(ADDRESS, "thermometer", [("FFE0", [("FFE1", ("notify",))])]))
        async with asked(LINK) as session:
            with pytest.raises(PortMissing, match=r"\?type=redodo_bms"):
                await session.open()


async def test_a_wrong_type_is_told() -> None:
    async with redodo():
        async with asked(f"{LINK}?type=felicity_bms") as session:
            with pytest.raises(PortMissing, match="name another"):
                await session.open()
        async with asked(f"{LINK}?type=redodo") as session:
            with pytest.raises(LinkError, match="no type redodo; it has abc_bms, "):
                await session.open()


async def test_what_we_read_ourselves_is_left_to_us() -> None:
    async with FakeBluez() as bluez:
        bluez.add(FakeDevice(ADDRESS, "JBD-SP04S020", [("FF00", [("FF01", ("notify",)), ("FF02", ("write",))])]))
        async with asked(LINK) as session:
            with pytest.raises(LinkError, match=f"write ble:{ADDRESS}, or \\?type=jbd_bms"):
                await session.open()


async def test_only_its_two_questions_are_answered() -> None:
    async with redodo(), asked(LINK) as session:
        await session.open()
        await session.link.send(bytes.fromhex("dda50300fffd77"))
        assert session.link.pending() == b""


def test_adverts_are_recognised_as_the_library_does() -> None:
    from aiobmsble.test_data import bms_advertisements, ignore_advertisements

    assert {kind for _, _, kind, _ in bms_advertisements()} >= set(OURS)
    for heard, device, kind, _ in bms_advertisements():
        found = recognise(advert(heard, device))
        if kind in OURS:
            assert found is None
        else:
            assert found is not None
            assert found.type == kind
            assert address(ADDRESS, found) == f"{LINK}?type={kind}"
    for heard, device, _, _ in ignore_advertisements():
        assert recognise(advert(heard, device)) is None


def test_what_is_recognised_is_told_in_words() -> None:
    found = recognise(Advert(ADDRESS, NAME, -60, ("0000ffe0-0000-1000-8000-00805f9b34fb",), MAKERS))
    assert found is not None
    assert found.title == "Redodo Bluetooth battery"
    assert found.why.startswith(f"the name is {NAME} and the maker's number is 0x585A, ")
    assert found.why.endswith("aiobmsble takes for a Redodo Bluetooth battery")


def advert(heard: Any, device: str) -> Advert:
    return Advert(
        device.upper() or "AA:BB:CC:DD:EE:FF", heard.local_name or "", heard.rssi, tuple(heard.service_uuids),
        heard.manufacturer_data, heard.service_data,
    )  # fmt: skip


def test_the_page_lists_the_types() -> None:
    page = makers.PAGE.read_text(encoding="utf-8")
    assert makers.with_table(page) == page, "run: .venv-breadth/bin/python tools/makers.py"
