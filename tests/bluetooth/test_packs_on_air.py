"""Every kind of pack through unmodified bleak: found out, read whole as it was captured, and written to."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import air
import pytest
from air import CAPTURED, Recorded, expected
from bluez import ERROR, FakeBluez
from captured import same
from gateway_on_air import gateway, settings

from cellwire.gateway.control import Control, Who
from cellwire.gateway.events import Events
from cellwire.gateway.journal import Journal

ADDRESS = "C8:47:8C:00:00:01"
OTHER = "A4:C1:38:00:00:02"
ANNA = Who("anna", "page", "service")
# What goes on in a pack or differs between those that were captured, and what the gateway works out itself.
OWN = {"frame_counter", "heartbeat", "log_entries"}
OWN |= {f"cell_{name}" for name in ("mean", "delta", "max", "min", "max_number", "min_number")}
OWN |= {f"temperature_{name}" for name in ("max", "min", "max_number", "min_number")}
KINDS = list(CAPTURED)
DIALECTS = {kind: air.KINDS[kind].dialect for kind in KINDS}


def missing(readings: dict[str, Any], kind: str) -> list[str]:
    """Return what was captured and is not known, or known otherwise."""
    return [
        f"{name} = {readings.get(name)}, expected {value}"
        for name, value in expected(kind).items()
        if name not in OWN and (name not in readings or not same(name, readings[name], value))
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_pack_is_found_out_and_read_whole_as_it_was_captured(kind: str) -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, kind, ADDRESS, played=Recorded(kind))
        pack.period = 0.1
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: made.readings("shed") != {})
            await made.until(lambda: not missing(made.readings("shed"), kind))
            assert made.store.packs["shed"].dialect == DIALECTS[kind]
            assert made.store.packs["shed"].counts["rejected_cells_sum"] == 0
        assert not pack.device.connected, "the end of the gateway ends the connection"
        assert pack.device.calls["Connect"] == 1


async def test_a_pack_is_read_on_the_command_line() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jbd", OTHER, played=Recorded("jbd"))
        program = [sys.executable, "-m", "cellwire", "read", f"ble:{OTHER}", "--json"]
        running = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        said, _ = await running.communicate()
        assert running.returncode == 0
        document = json.loads(said)
        assert missing(document["readings"], "jbd") == []
        assert document["family"] == "jbd"
        assert not pack.device.connected


async def test_what_was_recorded_on_the_air_replays(tmp_path: Path) -> None:
    for kind in ("jbd", "jk02"):
        capture = tmp_path / f"{kind}.jsonl"
        async with FakeBluez() as bluez:
            pack = air.pack(bluez, kind, OTHER, played=Recorded(kind))
            pack.period = 0.1
            program = [sys.executable, "-m", "cellwire", "record", f"ble:{OTHER}", "-o", str(capture)]
            running = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.DEVNULL)
            assert await running.wait() == 0
        program = [sys.executable, "-m", "cellwire", "read", f"replay:{capture}", "--json"]
        running = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        said, _ = await running.communicate()
        assert running.returncode == 0
        assert missing(json.loads(said)["readings"], kind) == []


async def test_two_packs_at_once() -> None:
    async with FakeBluez() as bluez:
        packs = [air.pack(bluez, "jk02-24s", ADDRESS, played=Recorded("jk02-24s"))]
        packs.append(air.pack(bluez, "jbd", OTHER, played=Recorded("jbd")))
        packs[0].period = 0.1
        async with gateway(settings("shed", ADDRESS), settings("garage", OTHER)) as made:
            await made.until(lambda: bool(made.readings("shed") and made.readings("garage")))
            await made.until(lambda: not missing(made.readings("shed"), "jk02-24s"))
            await made.until(lambda: not missing(made.readings("garage"), "jbd"))
            assert all(pack.device.connected for pack in packs)
        assert not any(pack.device.connected for pack in packs)


@pytest.mark.parametrize("kind", ["jk02", "jbd", "daly-d2"])
async def test_a_pack_is_written_to_and_read_back(kind: str, tmp_path: Path) -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, kind, ADDRESS)
        pack.period = 0.1
        async with gateway(settings("shed", ADDRESS, family=DIALECTS[kind])) as made:
            control = Control(
                Journal(tmp_path / "journal.jsonl", lambda: 0.0), Events(lambda: 0.0), made.wire("shed").poller,
                lambda name: "service",
            )  # fmt: skip
            await made.until(lambda: made.store.packs["shed"].settled)
            assert await control.read("shed", ANNA) == []
            assert control.values("shed")["charge_switch"] is True
            (result,) = await control.write("shed", {"charge_switch": False}, ANNA, confirmed=True, unproven=True)
            assert result.result == "done", result
            assert control.values("shed")["charge_switch"] is False
            await made.until(lambda: made.readings("shed")["charge_mosfet"] is False)


async def test_the_characteristic_is_there_twice() -> None:
    """One of them only notifies, the other can only be written to."""
    services = [("FFE0", [("FFE1", ("notify",)), ("FFE1", ("write-without-response",))])]
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jk02", ADDRESS, played=Recorded("jk02"), services=services)
        pack.period = 0.1
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: made.readings("shed") != {})
            await made.until(lambda: not missing(made.readings("shed"), "jk02"))


async def test_a_service_that_refuses_beside_one_that_works() -> None:
    services = [*air.DALY, ("FF00", [("FF01", ("notify",)), ("FF02", ("write-without-response",))])]
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "daly-d2", ADDRESS, played=Recorded("daly-d2"), services=services)
        pack.notify_uuid = "FF01"
        pack.device.fail("StartNotify", ERROR + "NotPermitted", "Operation not permitted", times=100, uuid="FFF1")
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: not missing(made.readings("shed"), "daly-d2"))
        assert {uuid[4:8] for uuid, _ in pack.heard} == {"ff02"}


async def test_what_the_module_says_to_itself_does_no_harm() -> None:
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "jk02", ADDRESS, played=Recorded("jk02"))
        pack.period = 0.1
        pack.between = b"AT\r\n"
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: made.readings("shed") != {})
            await made.until(lambda: made.store.packs["shed"].counts["accepted"] > 3)
            # The captures of live values and of the log are of two packs, which count its entries differently.
            assert {text.split()[0] for text in missing(made.readings("shed"), "jk02")} <= {"log_entries"}
            assert made.wire("shed").session.counts["damaged"] == 0


@pytest.mark.parametrize("there", [True, False])
async def test_modules_that_want_it_are_greeted(there: bool) -> None:
    own = ("02f00000-0000-0000-0000-00000000fe00", [("02f00000-0000-0000-0000-00000000ff05", ("write",))])
    services = [*air.DALY, own] if there else air.DALY
    async with FakeBluez() as bluez:
        pack = air.pack(bluez, "daly-d2", ADDRESS, played=Recorded("daly-d2"), services=services)
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: made.readings("shed") != {})
        greetings = [(uuid, data) for uuid, data in pack.heard if b"HiLink" in data]
        assert greetings == ([("02f00000-0000-0000-0000-00000000ff05", b"HiLink")] if there else [])
        assert not greetings or pack.heard[0] == greetings[0]


async def test_an_older_daly_that_hears_the_app_only() -> None:
    async with FakeBluez() as bluez:
        played = air.twin("daly-a5")
        played.hosts = (0x80,)
        air.pack(bluez, "daly-a5", ADDRESS, played=played)
        async with gateway(settings("shed", ADDRESS)) as made:
            await made.until(lambda: made.readings("shed").get("voltage") == 52.8)
            assert made.store.packs["shed"].dialect == "daly-a5"
