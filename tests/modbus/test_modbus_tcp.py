"""The TCP server: exceptions, half requests, noise, unwelcome clients, ports that are taken, many clients at once."""

import asyncio
import gc
import os
import random
import socket
import time
from collections.abc import Iterator

import pytest
from modbus_served import SHED, Raw, connected, made, request, serving, with_bank
from served import free_port
from test_app import until

from cellwire.gateway.config import ModbusSettings
from cellwire.gateway.store import PackState
from cellwire.outputs.modbus import Modbus, place, tcp
from cellwire.readings.derive import derive


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts come without a pause."""
    monkeypatch.setattr(place, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(place, "LONGEST_PAUSE", 0.05)


@pytest.fixture
async def trouble() -> list[object]:
    """The errors that nobody caught."""
    found: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that another program has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other


@pytest.mark.parametrize(
    ("function", "numbers", "answer"),
    [
        (3, (0, 1), b"\x03\x02\x00\x02"),
        (4, (0, 1), b"\x04\x02\x00\x02"),
        (3, (0, 0), b"\x83\x03"),
        (4, (0, 126), b"\x84\x03"),
        (3, (0, 65535), b"\x83\x03"),
        (3, (0,), b"\x83\x03"),
        (3, (), b"\x83\x03"),
        (3, (0, 1, 2), b"\x83\x03"),
        (3, (96, 1), b"\x83\x02"),
        (3, (196, 4), b"\x83\x02"),
        (3, (233, 2), b"\x83\x02"),
        (3, (200, 2), b"\x03\x04\xff\xff\xff\xff"),
        (3, (65535, 125), b"\x83\x02"),
        (1, (0, 1), b"\x81\x01"),
        (2, (0, 1), b"\x82\x01"),
        (5, (0, 0xFF00), b"\x85\x01"),
        (6, (200, 1), b"\x86\x01"),
        (15, (0, 1, 0x0101), b"\x8f\x01"),
        (16, (200, 1, 0x0200), b"\x90\x01"),
        (43, (0x0E01,), b"\xab\x01"),
        (0, (), b"\x80\x01"),
        (0x83, (0, 1), b"\x83\x01"),
    ],
)
async def test_answers(function: int, numbers: tuple[int, ...], answer: bytes) -> None:
    async with serving(made(**SHED)[0]) as (_, port), connected(port) as client:
        assert await client.ask(function, *numbers) == answer


async def test_the_most_registers_in_one_answer() -> None:
    async with serving(made(**SHED)[0]) as (_, port), connected(port) as client:
        answer = await client.ask(3, 40000, 125)
        assert (len(answer), answer[:6]) == (252, b"\x03\xfaSunS")


async def test_units_that_do_not_exist() -> None:
    async with serving(made(**SHED)[0]) as (modbus, port), connected(port) as client:
        for unit in (2, 100, 101, 254):
            assert await client.ask(3, 0, 1, unit=unit) == b"\x83\x0b"
            assert await client.ask(6, 0, 1, unit=unit) == b"\x86\x0b"
        assert modbus.status["exceptions"] == 8


async def test_no_battery_at_all() -> None:
    store, _, _ = made()
    store.remove("shed")
    async with serving(store) as (_, port), connected(port) as client:
        for unit in (0, 1, 255):
            assert await client.ask(3, 0, 1, unit=unit) == b"\x83\x0b"


async def test_the_first_battery() -> None:
    store, _, _ = made(**SHED)
    with_bank(store, "shed")
    async with serving(store, units=("boat", "house", "shed")) as (modbus, port), connected(port) as client:
        assert modbus.status["units"] == {"2": "house", "3": "shed"}
        house = await client.ask(3, 26, 2, unit=2)
        assert house == b"\x03\x04\x00\x01\x00\x01"
        assert [await client.ask(3, 26, 2, unit=unit) for unit in (0, 255)] == [house, house]


async def test_transactions_in_pieces_and_many_at_once() -> None:
    async with serving(made(**SHED)[0]) as (_, port), connected(port) as client:
        for byte in request(3, 0, 1, transaction=0xBEEF, unit=255):
            client.writer.write(bytes((byte,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.answer() == (0xBEEF, 255, b"\x03\x02\x00\x02")
        client.writer.write(b"".join(request(3, 0, 1, transaction=number) for number in range(500)))
        assert [(await client.answer())[0] for _ in range(500)] == list(range(500))


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\x01\x00\x01\x00\x06\x01\x03\x00\x00\x00\x01",  # another protocol
        b"\x00\x01\x00\x00\x00\x00\x01",  # nothing follows
        b"\x00\x01\x00\x00\x00\x01\x01",  # no function
        b"\x00\x01\x00\x00\x00\xff\x01",  # too long
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x01\x03\x00\x00\x00\x01\x84\x0a" * 2,  # RTU
    ],
)
async def test_what_is_not_modbus_ends_the_connection(noise: bytes, trouble: list[object]) -> None:
    async with serving(made(**SHED)[0]) as (_, port):
        async with connected(port) as client:
            client.writer.write(noise)
            assert await client.is_closed()
        async with connected(port) as client:
            assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
    gc.collect()
    assert not trouble


async def test_half_a_request_and_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "IDLE", 0.2)
    async with serving(made(**SHED)[0]) as (modbus, port):
        async with connected(port) as half, connected(port) as silent, connected(port) as left:
            half.writer.write(request(3, 0, 1)[:9])
            left.writer.write(request(3, 0, 1)[:5])
            left.writer.write_eof()
            assert await left.is_closed()
            assert await half.is_closed()
            assert await silent.is_closed()
        await until(lambda: modbus.status["clients"] == 0)


async def test_a_client_that_does_not_take_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not answered on and on into memory, it does not hold up others, and it is disconnected."""
    monkeypatch.setattr(tcp, "IDLE", 1.5)
    async with serving(made(**SHED)[0]) as (modbus, port), connected(port) as other:
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.setblocking(False)
            await asyncio.get_running_loop().sock_connect(greedy, ("127.0.0.1", port))
            asking = asyncio.create_task(
                asyncio.get_running_loop().sock_sendall(greedy, request(3, 40000, 125) * 200_000)
            )
            await until(lambda: modbus.status["clients"] == 2)
            asked, worst = 0, 0.0
            while modbus.status["clients"] == 2:
                begin = time.monotonic()
                assert await other.ask(3, 0, 1) == b"\x03\x02\x00\x02"
                asked, worst = asked + 1, max(worst, time.monotonic() - begin)
            assert modbus.status["clients"] == 1
            assert modbus.status["requests"] - asked < 100_000
            assert worst < 1.4
            await asyncio.gather(asking, return_exceptions=True)


async def test_a_client_that_asks_too_much_at_once() -> None:
    """The loop goes round between its requests: other clients, and reading packs, go on."""
    count = 20_000
    async with serving(made(**SHED)[0]) as (_, port), connected(port) as client:
        longest, before = 0.0, time.process_time()
        client.writer.write(request(3, 0, 1) * count)
        answers = asyncio.create_task(client.reader.readexactly(11 * count))
        while not answers.done():
            await asyncio.sleep(0)
            longest, before = max(longest, time.process_time() - before), time.process_time()
        assert longest < 0.06, f"{longest:.2f} s of computing without a break"


async def test_noise(trouble: list[object]) -> None:
    """Whatever comes, in whatever pieces, the server goes on answering, and says nothing of an error."""
    source = random.Random(7)
    async with serving(made(**SHED)[0]) as (modbus, port):

        async def babble() -> None:
            async with connected(port) as client:
                for _ in range(source.randrange(1, 6)):
                    good = bytearray(request(source.choice((3, 4, 6, 43)), *(source.randrange(65536) for _ in "12")))
                    for _ in range(source.choice((0, 0, 1, 2))):
                        good[source.randrange(len(good))] = source.randrange(256)
                    noise = source.choice((bytes(good), source.randbytes(source.randrange(300))))
                    try:
                        client.writer.write(noise)
                        await client.writer.drain()
                    except ConnectionError:
                        return
                    await asyncio.sleep(0)

        for _ in range(30):
            await asyncio.gather(*(babble() for _ in range(20)))
        async with connected(port) as client:
            assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
        await until(lambda: modbus.status["clients"] == 0)
        assert modbus.status["state"] == "running"
    gc.collect()
    assert not trouble


# Who may connect


async def test_the_networks_that_may_connect(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(made(**SHED)[0], allow=("192.168.1.0/24", "10.0.0.7")) as (modbus, port):
        for _ in range(3):
            async with connected(port) as client:
                assert await client.is_closed()
        assert modbus.status["refused"] == 3
        assert modbus.status["requests"] == 0
    assert caplog.text.count("127.0.0.1 is in no network of allow") == 1
    async with serving(made(**SHED)[0], allow=("10.0.0.7", "127.0.0.0/8")) as (_, port), connected(port) as client:
        assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"


@pytest.mark.parametrize("host", ["::", "::1"])
async def test_the_networks_that_may_connect_by_ipv6(host: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    for allow, welcome in ((("127.0.0.1", "::1"), True), (("10.0.0.0/8", "fe80::/10"), False)):
        async with serving(made(**SHED)[0], listen=f"[{host}]:0", allow=allow) as (modbus, port):
            assert modbus.status["addresses"] == [f"[{host}]:{port}"]
            reader, writer = await asyncio.open_connection("::1", port)
            client = Raw(reader, writer)
            if welcome:
                assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
            else:
                assert await client.is_closed()
            writer.close()


async def test_no_more_clients_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MOST_CLIENTS", 3)
    async with serving(made(**SHED)[0]) as (modbus, port):
        async with connected(port) as one, connected(port) as two, connected(port) as three:
            for client in (one, two, three):
                assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
            async with connected(port) as four:
                assert await four.is_closed()
            assert await one.ask(3, 0, 1) == b"\x03\x02\x00\x02"
        await until(lambda: modbus.status["clients"] == 0)
        async with connected(port) as client:
            assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"


# Ports


@pytest.mark.usefixtures("at_once")
async def test_a_port_that_is_taken(taken: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    port = taken.getsockname()[1]
    modbus = Modbus(made(**SHED)[0], ModbusSettings(listen=f"127.0.0.1:{port}"))
    assert modbus.status["state"] == "starting"
    task = asyncio.create_task(modbus.run())
    try:
        await until(lambda: modbus.status["state"] == "failing")
        assert modbus.status["reason"].startswith(f"port {port} is taken; end the other program")
        assert modbus.status["addresses"] == []
        await asyncio.sleep(0.2)
        assert caplog.text.count("is taken") == 1
        taken.close()
        await until(lambda: modbus.status["state"] == "running")
        assert "reason" not in modbus.status
        assert caplog.text.count(f"serves on 127.0.0.1:{port} after") == 1
        async with connected(port) as client:
            assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("192.0.2.1:0", "has no address 192.0.2.1; write 0.0.0.0"),
        ("nowhere.invalid:0", "has no address nowhere.invalid; write 0.0.0.0"),
    ],
)
async def test_an_address_that_this_computer_does_not_have(listen: str, reason: str) -> None:
    modbus = Modbus(made()[0], ModbusSettings(listen=listen))
    task = asyncio.create_task(modbus.run())
    try:
        await until(lambda: modbus.status["state"] == "failing")
        assert reason in modbus.status["reason"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> int:
    """Only the administrator may use port 502; returns the port that is used instead of it."""
    instead = free_port()
    monkeypatch.setitem(tcp.INSTEAD, 502, instead)
    original = asyncio.start_server

    async def start(client: object, host: str, port: int, **more: object) -> asyncio.Server:
        if port < 1024 and port:
            raise PermissionError(13, "Permission denied")
        return await original(client, host, port, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "start_server", start)
    return instead


async def test_port_502_is_for_the_administrator(unprivileged: int, caplog: pytest.LogCaptureFixture) -> None:
    assert tcp.INSTEAD.keys() == {502}
    async with serving(made(**SHED)[0], listen="127.0.0.1:502") as (modbus, port):
        assert port == unprivileged
        assert f"clients have to use {unprivileged}" in modbus.status["hint"]
        assert modbus.status["hint"] in caplog.text
        async with connected(port) as client:
            assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"


@pytest.mark.usefixtures("unprivileged", "at_once")
async def test_other_ports_are_not_replaced() -> None:
    modbus = Modbus(made()[0], ModbusSettings(listen="127.0.0.1:503"))
    task = asyncio.create_task(modbus.run())
    try:
        await until(lambda: modbus.status["state"] == "failing")
        assert "port 503 is for the administrator only; choose one from 1024 on" in modbus.status["reason"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("at_once")
async def test_both_ports_are_no_good(unprivileged: int) -> None:
    modbus = Modbus(made()[0], ModbusSettings(listen="127.0.0.1:502"))
    with socket.create_server(("127.0.0.1", unprivileged)):
        task = asyncio.create_task(modbus.run())
        try:
            await until(lambda: modbus.status["state"] == "failing")
            assert f"port {unprivileged} is taken" in modbus.status["reason"]
            assert "hint" not in modbus.status
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


# The life of the server


async def test_everything_is_given_back() -> None:
    store = made(**SHED)[0]
    async with serving(store) as (modbus, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = Raw(reader, writer)
        assert await client.ask(3, 0, 1) == b"\x03\x02\x00\x02"
    assert await client.is_closed()
    writer.close()
    assert modbus.status["addresses"] == []
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    async with serving(store, listen=f"127.0.0.1:{port}") as (_, again):
        assert again == port


async def test_an_error_that_nobody_thought_of() -> None:
    modbus = Modbus(made()[0], ModbusSettings(listen="127.0.0.1:0"))
    modbus.failed("an error in Cellwire itself")
    assert (modbus.status["state"], modbus.status["reason"]) == ("failing", "an error in Cellwire itself")
    task = asyncio.create_task(modbus.run())
    await until(lambda: modbus.status["state"] == "running")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_pack_is_removed_while_clients_read() -> None:
    store, _, _ = made(**SHED)
    garage = store.add(PackState("garage", "jbd", "jbd", 1, 2.0))
    store.accept(garage, derive(SHED))
    gone = False
    seen = set()

    async with serving(store) as (modbus, port):

        async def poll() -> None:
            async with connected(port) as client:
                while not gone or modbus.status["requests"] < 2000:
                    for first, count in ((0, 96), (40070, 64), (40000, 125)):
                        answer = await client.ask(3, first, count, unit=2)
                        assert answer == b"\x83\x0b" if len(answer) == 2 else len(answer) == 2 + 2 * count
                        seen.add(answer[:2])

        polls = [asyncio.create_task(poll()) for _ in range(5)]
        await until(lambda: modbus.status["requests"] > 300)
        store.remove("garage")
        gone = True
        await asyncio.gather(*polls)
        assert modbus.status["units"] == {"1": "shed"}
        # One comes back under its name.
        store.add(PackState("garage", "jbd", "jbd", 1, 2.0))
        async with connected(port) as client:
            assert await client.ask(3, 0, 2, unit=2) == b"\x03\x04\x00\x02\x00\x02"
    assert b"\x83\x0b" in seen
    assert len(seen) == 4


# Speed; bench/modbus.py takes longer


async def test_fifty_clients() -> None:
    import modbus as bench

    seconds = float(os.environ.get("CELLWIRE_MODBUS_SECONDS", "4"))
    found = await bench.load(seconds=seconds, clients=50, rate=10.0)
    assert found.errors == 0
    assert found.requests >= 0.8 * 50 * 10 * seconds
    assert found.percentile(99) < 0.5, f"{found.percentile(99) * 1000:.0f} ms"
