"""Simulated packs by Bluetooth: a central on the same simulated air finds them, asks them, and loses them."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, cast

import pytest
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, Peer
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from localair import Air, AirController
from served import EVENING, running

from cellwire.cli import main
from cellwire.families import bluetooth, dialects
from cellwire.links.ble.advert import Advert, full, recognise
from cellwire.sim import ble
from cellwire.sim.server import Simulator, build

PACK = "F0:F1:00:00:00:01"
SOON = 5.0


class Heard(NamedTuple):
    """What a device says of itself, as far as it is looked at."""

    name: str
    services: tuple[str, ...]
    makers: dict[int, bytes]


class Central:
    """A phone: hears devices, connects, and collects what is notified."""

    def __init__(self, air: Air) -> None:
        controller = AirController("phone", link=air)
        host = Host(controller, AsyncPipeSink(controller))
        self.device = Device(name="phone", address=Address("C0:00:00:00:00:02"), host=host)
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.parted = asyncio.Event()

    async def hear(self, address: str, seconds: float = SOON) -> Heard:
        """Return what a device says of itself; raise TimeoutError when it says nothing."""
        heard: asyncio.Future[AdvertisingData] = asyncio.get_running_loop().create_future()

        def take(told: Any) -> None:
            if told.address == Address(address) and not heard.done():
                heard.set_result(told.data)

        self.device.on("advertisement", take)
        await self.device.start_scanning()
        try:
            async with asyncio.timeout(seconds):
                data = await heard
        finally:
            await self.device.stop_scanning()
            self.device.remove_listener("advertisement", take)
        services = data.get(AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS) or []
        maker = data.get(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)
        return Heard(
            str(data.get(AdvertisingData.COMPLETE_LOCAL_NAME) or ""),
            tuple(full(bytes(reversed(bytes(each))).hex()) for each in services if isinstance(each, UUID)),
            {int(maker[0]): bytes(maker[1])} if maker else {},
        )

    async def connect(self, address: str, channel: tuple[str, str, str]) -> None:
        """Connect, and subscribe to the service's notifications."""
        service, notify, write = (UUID(each) for each in channel)
        self.parted.clear()
        connection = await self.device.connect(Address(address))
        connection.on("disconnection", lambda _: self.parted.set())
        self.connection = connection
        peer = Peer(connection)
        await peer.request_mtu(247)
        await peer.discover_services([service])
        await peer.discover_characteristics()
        self.write = peer.get_characteristics_by_uuid(write)[0]
        await peer.subscribe(peer.get_characteristics_by_uuid(notify)[0], lambda data: self.pieces.put_nowait(data))

    async def receive(self, size: int) -> bytes:
        """Return so many bytes at least."""
        data = b""
        async with asyncio.timeout(SOON):
            while len(data) < size:
                piece = await self.pieces.get()
                assert len(piece) <= 20
                data += piece
        return data

    async def ask(self, request: bytes, size: int) -> bytes:
        """Return what is answered."""
        await self.write.write_value(request)
        return await self.receive(size)

    async def part(self) -> None:
        """Disconnect."""
        await self.connection.disconnect()


class Room(NamedTuple):
    """An air with a phone on it; `transport` is what a simulated pack opens to come in."""

    phone: Central
    transport: str
    server: asyncio.Server


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    air = Air()  # type: ignore[no-untyped-call]
    async with await air.serve() as server:
        phone = Central(air)
        await phone.device.power_on()
        yield Room(phone, f"tcp-client:127.0.0.1:{server.sockets[0].getsockname()[1]}", server)
        await phone.device.power_off()


@contextlib.asynccontextmanager
async def pack(room: Room, family: str, **faults: float) -> AsyncIterator[Simulator]:
    """Yield a simulated pack that advertises."""
    dialect, module = ble.module(family)
    simulator = twin(dialect, **faults)
    peripheral = ble.Peripheral(module, ble.usual_name(module, 16), PACK, simulator.hear, simulator.hush)
    await peripheral.open(room.transport)
    simulator.serve(peripheral)
    async with simulator:
        yield simulator


def twin(dialect: str, **faults: float) -> Simulator:
    """Return a simulated pack whose time stands still."""
    return build(dialect, baud=0, think=0.001, faults=faults, clock=lambda: EVENING)


def probe(family: str) -> bytes:
    """Return the question that proves the family."""
    dialect = dialects(ble.module(family)[0])[0]
    return dialect.request(dialect.query(dialect.probe), dialect.addresses[0])


@pytest.mark.parametrize("family", [module.family for module in bluetooth()])
async def test_a_central_reads_what_the_twin_says(room: Room, family: str) -> None:
    dialect, module = ble.module(family)
    asked = probe(family)
    said = b"".join(twin(dialect).twins[0].answer(asked))
    assert len(said) > 20
    async with pack(room, family):
        for _ in range(2):
            heard = await room.phone.hear(PACK)
            taken = recognise(Advert(PACK, heard.name, None, heard.services, heard.makers), bluetooth())
            assert taken[0].module.family == family
            assert taken[0].strong
            assert fnmatchcase(heard.name, module.names[0])
            await room.phone.connect(PACK, module.services[0])
            assert await room.phone.ask(asked, len(said)) == said
            # Nobody else may connect meanwhile, and the next one may afterwards.
            with pytest.raises(TimeoutError):
                await room.phone.hear(PACK, 0.5)
            await room.phone.part()


async def test_a_jk_streams_until_the_connection_ends(room: Room) -> None:
    dialect, module = ble.module("jk")
    stream = dialects(dialect)[0]
    async with pack(room, "jk"):
        await room.phone.connect(PACK, module.services[0])
        await room.phone.ask(stream.request(stream.query("cells"), 0), 320)
        records = [await room.phone.receive(300) for _ in range(2)]
        assert [record[:5] for record in records] == [b"\x55\xaa\xeb\x90\x02"] * 2
        assert records[0][5] + 1 == records[1][5]
        await room.phone.part()
        await room.phone.connect(PACK, module.services[0])
        await asyncio.sleep(0.7)
        assert room.phone.pieces.empty()


async def test_a_fault_spoils_what_is_notified(room: Room) -> None:
    said = b"".join(twin("jbd").twins[0].answer(probe("jbd")))
    async with pack(room, "jbd", flip=1.0):
        await room.phone.connect(PACK, ble.module("jbd")[1].services[0])
        spoiled = await room.phone.ask(probe("jbd"), len(said))
    assert (int.from_bytes(spoiled, "big") ^ int.from_bytes(said, "big")).bit_count() == 1


async def test_a_pack_hangs_up_when_its_link_is_lost(room: Room) -> None:
    async with pack(room, "jk", **{"drop-after-write": 1.0}):
        await room.phone.connect(PACK, ble.module("jk")[1].services[0])
        frame = b"\xaa\x55\x90\xeb\x1d\x04" + bytes(13)
        await room.phone.write.write_value(frame + bytes((sum(frame) & 0xFF,)))
        async with asyncio.timeout(SOON):
            await room.phone.parted.wait()
        await room.phone.hear(PACK)


async def test_the_command_serves_by_radio_until_it_is_stopped(room: Room) -> None:
    words = ("jbd", "--ble", room.transport, "--name", "xiaoxiang-7", "--mac", PACK.lower(), "--cells", "4")
    asked = probe("jbd")
    with running("sim", *words) as process:
        assert await asyncio.to_thread(process.line) == f"ble:{PACK}\n"
        assert (await room.phone.hear(PACK)).name == "xiaoxiang-7"
        await room.phone.connect(PACK, ble.module("jbd")[1].services[0])
        said = await room.phone.ask(asked, 27)
        assert said[:2] == b"\xdd\x03"
        assert said[4 + 21] == 4, "it has four cells"
        assert await asyncio.to_thread(process.interrupt) == 0
        async with asyncio.timeout(SOON):
            await room.phone.parted.wait()
    assert process.errors == ""


async def test_the_command_ends_when_the_controller_is_gone() -> None:
    air = Air()  # type: ignore[no-untyped-call]
    async with await air.serve() as server:
        port = server.sockets[0].getsockname()[1]
        with running("sim", "jk", "--ble", f"tcp-client:127.0.0.1:{port}") as process:
            assert (await asyncio.to_thread(process.line)).startswith("ble:F0:F1:")
            for controller in list(air.controllers):
                cast("Any", controller.host).transport.abort()
            assert await asyncio.to_thread(process.process.wait, 20) == 4
        assert "the Bluetooth controller has gone" in process.errors


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["jk", "--ble", "tcp-client:127.0.0.1:1"], 4, "name a controller that the system does not use itself"),
        (["jk", "--ble", "telepathy:0"], 4, "unknown transport scheme"),
        (["jk-pb", "--ble", "usb:0"], 2, "jk-pb is not spoken by Bluetooth; jk02, jk04"),
        (["jk", "--ble", "usb:0", "--mac", "12:34"], 2, "six pairs, the first from C0 to FF"),
        (["jk", "--ble", "usb:0", "--mac", "10:34:56:78:9A:BC"], 2, "six pairs, the first from C0 to FF"),
        (["jk", "--ble", "usb:0", "--tcp", "0"], 2, "give one of --pty, --tcp and --ble"),
        (["jk", "--mac", PACK], 2, "give --ble TRANSPORT too"),
        (["--from", "docs/captures/jbd-4s.jsonl", "--ble", "tcp-client:127.0.0.1:1"], 4, "tcp-client:127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", *words]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1


def test_without_the_library_the_fix_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "bumble.transport", None)
    assert main(["sim", "jk", "--ble", "usb:0"]) == 4
    assert "pip install 'cellwire[simble]'" in capsys.readouterr().err


def test_a_long_name_goes_into_the_answer_to_a_scan() -> None:
    module = ble.module("jk")[1]
    told, answered = ble.advertisement(module, "JK-of-the-shed-behind-the-house-of-anna", PACK)
    assert max(len(told), len(answered)) <= 31
    assert answered[1:] == b"\x09JK-of-the-shed-behind-the-hou"
