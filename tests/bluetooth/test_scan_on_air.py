"""A scan of the air: packs of each maker are recognised and asked, and nobody else's devices are touched."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import air
import pytest
from bluez import FakeBluez, FakeDevice
from commanded import commanded
from dbus_fast import Variant
from served import free_port

from cellwire.commands.run import offered
from cellwire.families import bluetooth, dialects
from cellwire.gateway import scan
from cellwire.gateway.air import radios
from cellwire.gateway.app import Gateway, config_of
from cellwire.gateway.config import load
from cellwire.links import open_link
from cellwire.links.ble import Advert, guest
from cellwire.links.ble.advert import full, recognise
from cellwire.links.link import AdapterOff

JK, RENAMED, DALY = "C8:47:8C:00:00:01", "A5:C2:37:00:00:02", "41:18:12:01:18:9F"
STRANGER, THERMOMETER, BULB = "C0:D6:3C:00:00:04", "A4:C1:38:00:00:05", "10:22:33:00:00:06"
LISTEN = 0.5  # seconds; devices of the fake advertise every 0.03 s

Document = dict[str, Any]


@pytest.fixture
async def bluez() -> AsyncIterator[FakeBluez]:
    """Yield a machine with an adapter that hears three packs, another maker's, a thermometer and a bulb."""
    async with FakeBluez() as made:
        air.pack(made, "jk02", JK, rssi=-70)
        air.pack(made, "jbd", RENAMED, name="Shed", rssi=-80)
        air.pack(made, "daly-d2", DALY, rssi=-50)
        service = [("FFE0", [("FFE1", ("notify",)), ("FFE2", ("write-without-response",))])]
        made.add(FakeDevice(STRANGER, "R-12100BNN160-A00001", service, rssi=-40))
        # The chips of JBD's modules are in thermometers, too.
        made.add(
            FakeDevice(THERMOMETER, "LYWSD03MMC", [("180A", [])], rssi=-30, uuids=[], service_data={"FE95": b"0X"})
        )
        made.add(FakeDevice(BULB, "", [("FFF0", [("FFF1", ("notify",)), ("FFF2", ("write",))])], rssi=-90))
        yield made


async def looked(families: str = "", **more: Any) -> list[Document]:
    """Return what a scan of the air gives."""
    through = radios()
    try:
        return await scan.air(through, dialects(families) if families else (), **{"seconds": LISTEN, **more})
    finally:
        await through.close()


def told(document: Document) -> list[tuple[str, str]]:
    return [(each["family"], each["why"]) for each in document["taken_for"]]


def connections(bluez: FakeBluez) -> dict[str, int]:
    """Return how often each device was connected to."""
    return {known.device.address: known.device.calls["Connect"] for known in bluez.adapter().known}


async def test_packs_are_recognised_and_proven_and_the_others_left_alone(bluez: FakeBluez) -> None:
    documents = await looked()
    by_link = {document["link"].removeprefix("ble:"): document for document in documents}
    assert list(by_link) == [THERMOMETER, STRANGER, DALY, JK, RENAMED, BULB], "the loudest first"
    found = {address: [pack["dialect"] for pack in each["packs"]] for address, each in by_link.items() if each["packs"]}
    assert found == {DALY: ["daly-d2"], JK: ["jk02"], RENAMED: ["jbd"]}
    assert all(document["radio"] == "hci0" for document in documents)
    assert all(pack["proof"].startswith("answered") for each in documents for pack in each["packs"])
    jk = by_link[JK]
    assert (jk["name"], jk["rssi"]) in [("JK_PB2A16S20P", -70), ("JK_PB2A16S20P", -71)]
    why = "the name is like JK_* and the maker's number is 0x0B65 and the address begins with C8:47:8C and it has the "
    assert told(jk) == [("jk", f"{why}service FFE0")]
    assert told(by_link[RENAMED])[0] == ("jbd", "the address begins with A5:C2:37 and it has the service FF00")
    assert by_link[STRANGER]["problem"] == by_link[BULB]["problem"] == "not_asked"
    assert f"cellwire scan ble:{STRANGER}" in by_link[STRANGER]["advice"]
    assert told(by_link[STRANGER]) == [("jk", "it has the service FFE0")]
    assert by_link[THERMOMETER]["problem"] == scan.UNKNOWN
    assert told(by_link[THERMOMETER]) == []
    assert connections(bluez) == {JK: 1, RENAMED: 1, DALY: 1, STRANGER: 0, THERMOMETER: 0, BULB: 0}
    assert not any(known.device.connected for known in bluez.adapter().known)


async def test_weak_signs_are_followed_when_that_is_wanted(bluez: FakeBluez) -> None:
    documents = await looked("jk", ask=scan.ALL)
    problems = {each["link"].removeprefix("ble:"): each["problem"] for each in documents if not each["packs"]}
    unknown = dict.fromkeys((RENAMED, DALY, THERMOMETER, BULB), scan.UNKNOWN)
    assert problems == {STRANGER: "PortMissing", **unknown}
    assert connections(bluez)[STRANGER] == 1


async def test_nobody_is_connected_to_unasked(
    bluez: FakeBluez, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "air", partial(scan.air, seconds=LISTEN))
    monkeypatch.setattr(scan, "links", list)
    path = tmp_path / "cellwire.toml"
    path.write_text(f'[web]\nlisten = "127.0.0.1:{free_port()}"\n[history]\nenabled = false\n', "utf-8")
    gateway, stop = Gateway(config_of(path)), asyncio.Event()
    runs = asyncio.create_task(gateway.run(stop))
    try:
        async with asyncio.timeout(30):
            while not gateway.scanned()["links"]:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await runs
    document = next(each for each in gateway.scanned()["links"] if each["link"] == f"ble:{JK}")
    assert document["problem"] == "not_asked"
    assert told(document) != []
    assert not any(connections(bluez).values())


async def test_one_family_leaves_the_packs_of_others_alone(bluez: FakeBluez) -> None:
    documents = await looked("jbd")
    assert [each["link"] for each in documents if each["packs"]] == [f"ble:{RENAMED}"]
    assert {address for address, times in connections(bluez).items() if times} == {RENAMED}


async def test_packs_in_use_are_left_alone(bluez: FakeBluez) -> None:
    documents = await looked(used=[f"ble:{JK}"])
    assert f"ble:{JK}" not in [each["link"] for each in documents]
    assert connections(bluez)[JK] == 0


async def test_other_makers_packs_are_left_to_who_knows_them(bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch) -> None:
    known = guest.Recognised("redodo_bms", "Redodo Bluetooth battery", "aiobmsble knows the name")

    def recognise(advert: Advert) -> guest.Recognised | None:
        return known if advert.address == STRANGER else None

    monkeypatch.setattr(guest, "recognise", recognise)
    documents = {document["link"]: document for document in await looked(ask=scan.ALL, families="jk")}
    assert documents[f"ble:{STRANGER}"]["problem"] == scan.UNKNOWN, "only JK is looked for"
    documents = {document["link"]: document for document in await looked()}
    link = f"aiobmsble:{STRANGER}?type=redodo_bms"
    assert told(documents[link]) == [("aiobmsble", "aiobmsble knows the name")]
    through = radios()
    try:
        document = await scan.look(f"ble:{STRANGER}", dialects(), through)
    finally:
        await through.close()
    assert f"it looks like a Redodo Bluetooth battery, which is read as {link}" in document["advice"]
    stranger = next(known.device for known in bluez.adapter().known if known.device.address == STRANGER)
    assert stranger.calls["WriteValue"] == 0


async def test_what_another_program_is_connected_to_is_left_alone(bluez: FakeBluez) -> None:
    through = radios()
    link = open_link(f"ble:{JK}", through)
    try:
        async with link:
            # A change of any property makes the system tell of a device that does not advertise.
            known = bluez.adapter().known[0]
            listening = asyncio.create_task(looked())
            await asyncio.sleep(LISTEN / 2)
            bluez.change(known.path, "org.bluez.Device1", {"Trusted": Variant("b", True)})
            documents = {document["link"]: document for document in await listening}
    finally:
        await through.close()
    assert documents[f"ble:{JK}"]["problem"] == "in_use"
    assert connections(bluez)[JK] == 1


async def test_a_connection_that_breaks_at_once_is_made_again(bluez: FakeBluez) -> None:
    jk = next(known.device for known in bluez.adapter().known if known.device.address == JK)
    answers = jk.written

    def dropped(uuid: str, data: bytes) -> None:
        jk.written = answers
        drops.append(asyncio.get_running_loop().create_task(jk.drop()))

    drops: list[asyncio.Task[None]] = []
    jk.written = dropped
    documents = {document["link"]: document for document in await looked()}
    assert [pack["dialect"] for pack in documents[f"ble:{JK}"]["packs"]] == ["jk02"]
    assert (len(drops), jk.calls["Connect"]) == (1, 2)


async def test_what_the_owner_has_to_give_is_said(bluez: FakeBluez) -> None:
    locked, paired = "A5:C2:37:00:00:08", "A5:C2:37:00:00:09"
    air.pack(bluez, "jbd", locked, played=air.JbdModule(air.Recorded("jbd"), locked))
    air.pack(bluez, "jbd", paired, pairing="passkey")
    documents = {document["link"]: document for document in await looked("jbd")}
    assert documents[f"ble:{locked}"]["problem"] == "pin_wanted"
    assert documents[f"ble:{paired}"]["problem"] == "wants_pairing"
    assert "pin = " in documents[f"ble:{locked}"]["advice"]
    assert 'pairing = "passkey"' in documents[f"ble:{paired}"]["advice"]


async def test_a_named_device_is_asked_whatever_it_looks_like(bluez: FakeBluez) -> None:
    plain = "D8:00:00:00:00:07"
    air.pack(bluez, "jbd", plain, name="Boat", rssi=-60)
    answer = await commanded("scan", f"ble:{plain.lower()}", "--json")
    assert answer.code == 0, answer.errors
    (document,) = json.loads(answer.out)
    assert [pack["dialect"] for pack in document["packs"]] == ["jbd"]
    assert (document["name"], document["radio"]) == ("Boat", "hci0")
    assert sum(connections(bluez).values()) == 1


async def test_packs_are_written_down_once(bluez: FakeBluez, tmp_path: Path) -> None:
    air.pack(bluez, "jk02", "C8:47:8C:00:00:07", rssi=-75)
    path = tmp_path / "cellwire.toml"
    words = ["scan", "--ble", "--seconds", str(LISTEN), "--write", "-c", path]
    answer = await commanded(*words)
    assert answer.code == 0, answer.errors
    assert f"ble:{DALY}  DL-41181201189F, -5" in answer.out
    assert "1 other Bluetooth devices are heard; --all shows them" in answer.out
    packs = {pack.link: (pack.name, pack.family) for pack in load(path).packs}
    assert packs == {
        f"ble:{DALY}": ("DL-41181201189F", "daly-d2"),
        f"ble:{JK}": ("JK_PB2A16S20P", "jk02"),
        "ble:C8:47:8C:00:00:07": ("JK_PB2A16S20P-2", "jk02"),
        f"ble:{RENAMED}": ("Shed", "jbd"),
    }
    text = path.read_text(encoding="utf-8")
    again = await commanded(*words, "--json")
    assert again.code == 0, again.errors
    assert path.read_text(encoding="utf-8") == text
    documents = json.loads(again.out)
    assert all(not pack["added"] for document in documents for pack in document["packs"])
    assert "thermometer" not in again.out
    assert len(documents) == 6


async def test_a_first_start_offers_packs_on_the_air(
    bluez: FakeBluez, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cellwire.toml"
    keyboard, terminal = os.openpty()
    monkeypatch.setattr(scan, "air", partial(scan.air, seconds=LISTEN))
    monkeypatch.setattr(scan, "links", list)
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(keyboard, b"\n")
        found = await offered(config_of(path), asyncio.Event())
    os.close(keyboard)
    assert [pack.link for pack in found.packs] == [f"ble:{DALY}", f"ble:{JK}", f"ble:{RENAMED}"]
    assert "taken for jbd: the address begins with A5:C2:37" in capsys.readouterr().err
    assert THERMOMETER not in capsys.readouterr().err


async def test_the_page_sees_what_no_pack_uses(
    bluez: FakeBluez, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "air", partial(scan.air, seconds=LISTEN))
    monkeypatch.setattr(scan, "links", list)
    path = tmp_path / "cellwire.toml"
    text = f'[[pack]]\nname = "jk"\nlink = "ble:{JK.lower()}?radio=hci0"\nfamily = "jk02"\n'
    path.write_text(f'{text}[web]\nlisten = "127.0.0.1:{free_port()}"\n[history]\nenabled = false\n', "utf-8")
    gateway = Gateway(config_of(path))
    stop = asyncio.Event()
    runs = asyncio.create_task(gateway.run(stop))
    try:
        async with asyncio.timeout(30):
            while gateway.store.packs.get("jk") is None or gateway.store.packs["jk"].time is None:
                await asyncio.sleep(0.02)
            gateway.scan()
            while gateway.scanned()["running"]:
                await asyncio.sleep(0.02)
        found = {document["link"]: document["packs"] for document in gateway.scanned()["links"]}
        assert {link for link, packs in found.items() if packs} == {f"ble:{DALY}", f"ble:{RENAMED}"}
        assert f"ble:{JK}" not in found
        assert f"ble:{THERMOMETER}" not in found
        assert "no_bluetooth" not in gateway.scanned()
        assert connections(bluez)[JK] == 1
    finally:
        stop.set()
        await runs


async def test_all_devices_are_shown(bluez: FakeBluez) -> None:
    answer = await commanded("scan", "--ble", "--seconds", str(LISTEN), "--family", "jbd", "--all", "--json")
    assert answer.code == 0, answer.errors
    problems = [document.get("problem") for document in json.loads(answer.out)]
    assert sorted(map(str, problems)) == ["None", "not_asked", *[scan.UNKNOWN] * 4]


async def test_ten_packs_are_asked_side_by_side_on_five_connections() -> None:
    loop = asyncio.get_running_loop()
    async with FakeBluez() as bluez:
        packs = [air.pack(bluez, "jbd", f"A5:C2:37:00:00:{number:02X}") for number in range(10)]
        for pack in packs:
            pack.think = 0.13
        most = 0

        async def count() -> None:
            nonlocal most
            while True:
                most = max(most, sum(pack.device.connected for pack in packs))
                await asyncio.sleep(0.005)

        counting = asyncio.create_task(count())
        began = loop.time()
        documents = await looked()
        took = loop.time() - began
        counting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await counting
    assert [len(document["packs"]) for document in documents] == [1] * 10
    assert 2 <= most <= 5
    assert took < LISTEN + 12.0, "with eight seconds of listening it is twenty in all"


async def test_no_bluetooth_is_an_error_with_its_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    with pytest.raises(AdapterOff, match="no Bluetooth service"):
        await looked()


def taken_for(address: str = "01:02:03:04:05:06", name: str = "", *services: str, **more: Any) -> dict[str, bool]:
    """Return which makers a device is taken for, and whether strongly, the likeliest first."""
    advert = Advert(address, name, services=tuple(map(full, services)), **more)
    return {taken.module.family: taken.strong for taken in recognise(advert, bluetooth())}


def test_signs_are_weighed() -> None:
    assert taken_for(name="JK-B2A24S") == {"jk": True}
    assert taken_for(name="DL-40210D9D6A8B\0\0") == {"daly": True}
    assert taken_for(name="SP17S005P17S120A") == {"jbd": True}
    assert taken_for(name="iPad Simon") == taken_for() == {}
    assert taken_for(makers={0x0B65: b"\x88\xa0\xc8"}) == {"jk": True}
    assert taken_for(makers={0x0B65: b"\x01"}) == taken_for(makers={0x0102: b"\x01\x02"}) == {}
    assert taken_for("A4:C1:38:00:00:01", "", "FF00") == {"jbd": True, "daly": False}
    assert taken_for("A4:C1:38:00:00:01") == {"jbd": False}
    assert taken_for("A4:C1:38:00:00:01", "", "181A") == {}
    assert taken_for("A4:C1:38:00:00:01", service_data={full("FE95"): b""}) == {}
    both = taken_for("01:02:03:04:05:06", "DL-1", "FFF0")
    assert list(both.items()) == [("daly", True), ("jbd", False)]
    assert list(taken_for("01:02:03:04:05:06", "", "FFF0").items()) == [("jbd", False), ("daly", False)]
