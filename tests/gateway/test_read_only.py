"""A gateway as it is installed writes nothing, whatever anybody asks for; and each way to it keeps to its grants."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from mosquitto import listening, mosquitto, needed
from pymodbus.client import AsyncModbusTcpClient
from served import free_port, served
from test_app import online, running, until, written

from cellwire.families import dialects
from cellwire.gateway import wire
from cellwire.gateway.app import Gateway
from cellwire.links import open_link
from cellwire.links.link import Link

SERIAL = [dialect for dialect in dialects() if dialect.bauds]


def reading(names: list[str]) -> set[bytes]:
    """Return every request that only asks, of these dialects at the addresses that the tests use."""
    asked = set()
    for name in names:
        dialect = dialects(name)[0]
        for query in dialect.queries:
            if query.pace != "settings" or dialect.around is None:
                asked |= {dialect.request(query, address) for address in dialect.addresses}
        asked |= {dialect.wake} if dialect.wake else set()
    return asked


class Guard:
    """Lets nothing but questions through to the links of a gateway, and keeps what else was sent."""

    def __init__(self, allowed: set[bytes]) -> None:
        self.allowed = allowed
        self.others: list[bytes] = []
        self.questions = 0

    def open(self, address: str, *how: Any) -> Link:
        link = open_link(address, *how)
        send = link.send

        async def guarded(data: bytes) -> None:
            if data not in self.allowed:
                self.others.append(data)
                raise AssertionError(f"{data.hex()} is no question")
            self.questions += 1
            await send(data)

        link.send = guarded  # type: ignore[method-assign]
        return link


def call(port: int, token: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and document of a request to the API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}",
        data,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextlib.contextmanager
def all_served(folder: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a simulated pack of each dialect."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(served(folder / f"port-{name}", name)) for name in names}


def configured(folder: Path, there: dict[str, Any], grant: str, more: str) -> Path:
    packs = []
    for name, pack in there.items():
        address = dialects(name)[0].addresses[0]
        packs.append(
            f'[[pack]]\nname = "{name}"\nlink = "{pack.path}"\nfamily = "{name}"\naddress = {address}\nevery = 0.5\n'
            + (f'grant = "{grant}"\n' if grant else "")
        )
    return written(folder, *packs, more=more)


async def everything(gateway: Gateway, broker: int, modbus: int, token: str) -> None:
    """Ask over every output for every command of every pack."""
    port = gateway._web.port
    client = AsyncModbusTcpClient("127.0.0.1", port=modbus, timeout=5)
    assert await client.connect()
    async with aiomqtt.Client("127.0.0.1", broker) as publisher:
        for unit, name in enumerate(gateway.store.packs, 1):
            commands = gateway.control.commands(name)
            for command in commands:
                key = f"{command.name}/1" if command.count else command.name
                for value in ("1", "0", "on", str(command.low)):
                    await publisher.publish(f"cellwire/{name}/set/{key}", value, qos=1)
            changes = {(f"{each.name}/1" if each.count else each.name): True for each in commands}
            whole = {"changes": changes, "confirm": name, "unproven": True}
            for path, body in (
                ("commands", whole),
                ("commands", {"changes": {"charge_switch": False}}),
                ("undo", {}),
                ("settings/read", {}),
            ):
                status, document = await asyncio.to_thread(call, port, token, f"/packs/{name}/{path}", body)
                assert status < 500, document
            for register in (*range(200, 240), 0, 40000):
                await client.write_register(register, 0, device_id=unit)
            await client.write_registers(200, [0, 0], device_id=unit)
    client.close()


@needed
async def test_as_installed_no_byte_of_a_write_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [dialect.name for dialect in SERIAL]
    guard = Guard(reading(names))
    monkeypatch.setattr(wire, "open_link", guard.open)
    modbus = free_port()
    with mosquitto(tmp_path) as broker, all_served(tmp_path, names) as there:
        more = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\n[modbus]\nlisten = "127.0.0.1:{modbus}"\n'
        async with running(configured(tmp_path, there, "", more)) as gateway:
            await online(gateway, *names)
            access = gateway._web.site.access
            access.add_user("admin", "battery-house", "service", first=True)
            token = access.add_token("everything", "service")
            before = guard.questions
            await everything(gateway, broker.port, modbus, token)
            await until(lambda: guard.questions > before + 50)
        assert guard.others == []
    entries = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert {entry["result"] for entry in entries} == {"refused"}
    assert {entry["source"] for entry in entries} >= {"api"}
    assert all(entry["who"] and entry["reason"] for entry in entries)


LIMIT = 3.58  # V; Modbus has it in mV, in its register of the cell overvoltage limit
SWITCH_REGISTER, LIMIT_REGISTER = 200, 210


@needed
@pytest.mark.parametrize(
    ("grant", "switched", "set_"),
    [("read", "refused", "refused"), ("operate", "done", "refused"), ("configure", "done", "done")],
)
async def test_a_viewer_cannot_operate_and_an_operator_cannot_configure(
    tmp_path: Path, grant: str, switched: str, set_: str
) -> None:
    modbus = free_port()
    with mosquitto(tmp_path) as broker, served(tmp_path / "port", "jbd") as there:
        more = (
            f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\ngrant = "{grant}"\n'
            f'[modbus]\nlisten = "127.0.0.1:{modbus}"\ngrant = "{grant}"\n'
        )
        path = configured(tmp_path, {"jbd": there}, "service", more)
        async with running(path) as gateway, listening(broker.port, "cellwire/+/result") as heard:
            await online(gateway, "jbd")
            access = gateway._web.site.access
            access.add_user("admin", "battery-house", "service", first=True)
            token = access.add_token("house", grant)
            twin: Any = there.simulator.twins[0]

            async def over_api(key: str, value: Any) -> str:
                status, document = await asyncio.to_thread(
                    call, gateway._web.port, token, "/packs/jbd/commands", {"changes": {key: value}}
                )
                assert status in (200, 403), document
                return str(document["results"][0]["result"]) if status == 200 else "refused"

            async def over_mqtt(key: str, value: Any) -> str:
                told = len(heard.came)
                async with aiomqtt.Client("127.0.0.1", broker.port) as publisher:
                    await publisher.publish(f"cellwire/jbd/set/{key}", json.dumps(value), qos=1)
                await until(lambda: len(heard.came) > told)
                return str(json.loads(heard.came[-1][1])["result"])

            async def over_modbus(key: str, value: Any) -> str:
                client = AsyncModbusTcpClient("127.0.0.1", port=modbus, timeout=10)
                assert await client.connect()
                register = SWITCH_REGISTER if key == "charge_switch" else LIMIT_REGISTER
                number = round(value * 1000) if isinstance(value, float) else int(value)
                answer = await client.write_register(register, number, device_id=1)
                client.close()
                return "refused" if answer.isError() else "done"

            for number, way in enumerate((over_api, over_mqtt, over_modbus)):
                assert await way("charge_switch", False) == switched, way
                assert (twin.lock & 1 == 1) is (switched == "done"), way
                assert await way("charge_switch", True) == switched, way
                limit = LIMIT + number / 1000
                assert await way("cell_overvoltage_limit", limit) == set_, way
                stored = int.from_bytes(twin.registers[0x24], "big")
                assert (stored == round(limit * 1000)) is (set_ == "done"), way
            entries = gateway.control.journal.entries()
            assert {entry["source"] for entry in entries} == {"api", "mqtt", "modbus"}
            for source in ("api", "mqtt", "modbus"):
                mine = [entry for entry in entries if entry["source"] == source]
                assert [entry["result"] for entry in reversed(mine)] == [switched, switched, set_]
                assert all(entry["who"] for entry in mine)
                assert all(entry["reason"] for entry in mine if entry["result"] == "refused")
