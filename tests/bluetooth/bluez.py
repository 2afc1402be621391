"""A fake org.bluez on a bus of its own: adapters, and devices that a test plays; bleak talks to it as it is.

Everything happens in the test's own loop. Errors are D-Bus errors by their BlueZ names.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dbus_fast import BusType, DBusError, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

ROOT = "/org/bluez"
ADAPTER = "org.bluez.Adapter1"
AGENT = "org.bluez.Agent1"
AGENTS = "org.bluez.AgentManager1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
DEVICE = "org.bluez.Device1"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
SERVICE = "org.bluez.GattService1"
ERROR = "org.bluez.Error."
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"

ABORTED = "le-connection-abort-by-local"
CONNECTING = 0.01  # seconds that a connection takes
HANDLES = 0x10  # where the services of a device begin
# The agents that can type the number that a device shows.
KEYBOARDS = ("KeyboardOnly", "KeyboardDisplay", "")

Properties = dict[str, Variant]
Services = Sequence[tuple[str, Sequence[tuple[str, Sequence[str]]]]]


def full(uuid: str) -> str:
    """Return a UUID of four hex digits in full, in small letters."""
    return f"0000{uuid.lower()}-0000-1000-8000-00805f9b34fb" if len(uuid) == 4 else uuid.lower()


class Hang(Exception):
    """This call is never answered."""


class Faulty:
    """Counts calls by member, and fails or hangs when it was told to.

    calls  how often each member was called, by whomever
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._failures: list[tuple[str, str, str, str]] = []  # member, UUID, error, text; "" hangs

    def fail(self, member: str, error: str, text: str = "", times: int = 1, uuid: str = "") -> None:
        """Answer the next calls of a member with this error; uuid: only those of that characteristic."""
        self._failures += [(member, full(uuid) if uuid else "", error, text)] * min(times, 10_000)

    def hang(self, member: str, times: int = 1) -> None:
        """Never answer the next calls of a member."""
        self._failures += [(member, "", "", "")] * times

    def heal(self) -> None:
        """Forget the faults that have not happened yet."""
        self._failures.clear()

    def called(self, member: str, uuid: str = "") -> None:
        """Count a call; raise what it was told to fail with."""
        self.calls[member] += 1
        for failure in self._failures:
            if failure[0] == member and failure[1] in ("", uuid):
                self._failures.remove(failure)
                if not failure[2]:
                    raise Hang
                raise DBusError(failure[2], failure[3])


class FakeDevice(Faulty):
    """One device on the air. The test plays it: `written` is called with what is written, `notify` sends.

    services  (UUID, [(UUID, flags)]); a UUID may come twice
    uuids     of the services that it advertises; all by default
    makers    advertised data by company id
    pairing   what it wants before it works: "", "just-works", "passkey" (the agent types `passkey`) or "confirm"
              (the agent is shown it)
    guard     what it does before it is paired: "echo" sends back what is written, "refuse" refuses notifications
    silent    it does not advertise
    muted     nothing that it sends arrives
    keys      it still knows those whom it was paired with
    values    what can be read of it, by full UUID; else it is what was notified last
    """

    def __init__(
        self,
        address: str,
        name: str = "",
        services: Services = (),
        rssi: int = -60,
        makers: Mapping[int, bytes] | None = None,
        uuids: Sequence[str] | None = None,
        service_data: Mapping[str, bytes] | None = None,
        pairing: str = "",
        passkey: int = 123456,
        guard: str = "echo",
    ) -> None:
        super().__init__()
        self.address = address.upper()
        self.name = name
        self.services = services
        self.rssi = rssi
        self.makers = dict(makers or {})
        self.uuids = [full(uuid) for uuid in ([service for service, _ in services] if uuids is None else uuids)]
        self.service_data = dict(service_data or {})
        self.pairing = pairing
        self.passkey = passkey
        self.guard = guard
        self.silent = False
        self.muted = False
        self.keys = True
        self.here = True
        self.values: dict[str, bytes] = {}
        self.written: Callable[[str, bytes], None] = lambda uuid, data: None
        self.changed: Callable[[bool], None] = lambda connected: None
        self.known: list[Known] = []  # by each adapter that hears it
        self._beat = 0

    @property
    def connected(self) -> bool:
        """Whether a central is connected to it."""
        return any(known.connected for known in self.known)

    @property
    def subscribed(self) -> bool:
        """Whether somebody wants its notifications."""
        return any(one.notifying for known in self.known for one in known.characteristics)

    @property
    def paired(self) -> bool:
        """Whether a machine has paired with it, and it knows."""
        return self.keys and any(known.paired for known in self.known)

    def notify(self, uuid: str, data: bytes) -> None:
        """Send a notification to whoever is subscribed to the first characteristic of that UUID that notifies."""
        for known in self.known:
            if known.connected and not self.muted:
                for one in known.characteristics:
                    if one.uuid == full(uuid) and one.notifying:
                        one.value(data)
                        return

    async def drop(self) -> None:
        """End the connection from the device's side."""
        for known in self.known:
            known.lost()
        await asyncio.sleep(0)

    async def vanish(self) -> None:
        """Be gone: out of reach or switched off."""
        self.here = False
        await self.drop()

    async def appear(self) -> None:
        """Be back."""
        self.here = True
        await asyncio.sleep(0)


class Known:
    """A device as one adapter knows it."""

    def __init__(self, device: FakeDevice, adapter: "FakeAdapter") -> None:
        self.device = device
        self.adapter = adapter
        self.path = f"{adapter.path}/dev_{device.address.replace(':', '_')}"
        self.connected = False
        self.connecting = False
        self.paired = False
        self.characteristics: list[Characteristic] = []

    @property
    def _bluez(self) -> "FakeBluez":
        return self.adapter.bluez

    def heard(self) -> None:
        """Take an advertisement."""
        device = self.device
        device._beat += 1
        rssi = Variant("n", device.rssi - device._beat % 2)  # bleak hears of changes only
        if not self._bluez.has(self.path):
            self._bluez.publish(self.path, DEVICE, {**self._properties(), "RSSI": rssi}, self)
        else:
            self._bluez.change(self.path, DEVICE, {"RSSI": rssi, **self._told()})

    def _told(self) -> Properties:
        device = self.device
        told = {"UUIDs": Variant("as", device.uuids)}
        if device.name:
            told["Name"] = Variant("s", device.name)
        if device.makers:
            told["ManufacturerData"] = Variant(
                "a{qv}", {key: Variant("ay", data) for key, data in device.makers.items()}
            )
        if device.service_data:
            data = {full(uuid): Variant("ay", data) for uuid, data in device.service_data.items()}
            told["ServiceData"] = Variant("a{sv}", data)
        return told

    def _properties(self) -> Properties:
        device = self.device
        return {
            "Address": Variant("s", device.address),
            "AddressType": Variant("s", "public"),
            "Alias": Variant("s", device.name or device.address.replace(":", "-")),
            "Adapter": Variant("o", self.adapter.path),
            "Paired": Variant("b", self.paired),
            "Bonded": Variant("b", self.paired),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", self.connected),
            "ServicesResolved": Variant("b", False),
            **self._told(),
        }

    async def call(self, member: str, sender: str, body: list[Any]) -> tuple[str, list[Any]]:
        """Answer a method of org.bluez.Device1."""
        try:
            self.device.called(member)
            self.adapter.check()
            if member == "Connect":
                await self._connect()
            elif member == "Disconnect":
                self._disconnect()
            elif member == "Pair":
                await self._pair(sender)
            elif member != "CancelPairing":
                raise DBusError(UNKNOWN_METHOD, member)
        except Hang:
            self.connecting = member in ("Connect", "Pair")
            raise
        except DBusError as error:
            if member == "Connect" and error.text == ABORTED:
                # BlueZ was connected for a moment then, and bleak waits for the end of it.
                self._bluez.change(self.path, DEVICE, {"Connected": Variant("b", True)})
                soon = asyncio.get_running_loop().call_later
                soon(CONNECTING, self._bluez.change, self.path, DEVICE, {"Connected": Variant("b", False)})
            raise
        return "", []

    async def _connect(self) -> None:
        device = self.device
        if self.connecting:
            raise DBusError(ERROR + "InProgress", "Operation already in progress")
        if self.connected:
            return
        self.connecting = True
        try:
            await asyncio.sleep(CONNECTING)
            if not self.connecting:
                raise DBusError(ERROR + "Failed", "Operation canceled")  # by Disconnect
            self.adapter.check()
            if not device.here or device.connected:
                raise DBusError(ERROR + "Failed", "le-connection-unknown")
            if self.paired and not device.keys:
                raise DBusError(ERROR + "AuthenticationFailed", "Authentication Failed")
            if not self._bluez.has(self.path):
                raise DBusError(UNKNOWN_OBJECT, "removed")
            self.connected = True
            self._bluez.change(self.path, DEVICE, {"Connected": Variant("b", True)})
            self._resolve()
        finally:
            self.connecting = False
        device.changed(True)

    def _resolve(self) -> None:
        handle = HANDLES
        for service, characteristics in self.device.services:
            path = f"{self.path}/service{handle:04x}"
            handle += 1
            properties = {"UUID": Variant("s", full(service)), "Primary": Variant("b", True)}
            self._bluez.publish(path, SERVICE, {**properties, "Device": Variant("o", self.path)}, self)
            for uuid, flags in characteristics:
                one = Characteristic(self, f"{path}/char{handle:04x}", path, full(uuid), flags)
                self.characteristics.append(one)
                handle += 3
        self._bluez.change(self.path, DEVICE, {"ServicesResolved": Variant("b", True)})

    def _disconnect(self) -> None:
        if self.connecting:
            self.connecting = False
        elif not self.connected:
            raise DBusError(ERROR + "NotConnected", "Not Connected")
        self.lost()

    def lost(self) -> None:
        """Be without connection from now on."""
        self.connecting = False
        if not self.connected:
            return
        self.connected = False
        self.characteristics.clear()
        ended = {"ServicesResolved": Variant("b", False), "Connected": Variant("b", False)}
        self._bluez.change(self.path, DEVICE, ended)
        self._bluez.withdraw(f"{self.path}/")
        self.device.changed(False)

    async def _pair(self, sender: str) -> None:
        if self.paired:
            raise DBusError(ERROR + "AlreadyExists", "Already Exists")
        await self._connect()
        try:
            await self.bond(sender)
        except DBusError:
            self.lost()
            raise

    async def bond(self, sender: str) -> None:
        """Do the pairing that the device wants, with the caller's agent or the default one."""
        device = self.device
        agents = self._bluez.agents
        agent = sender if sender in agents else self._bluez.default
        capability = agents[agent][1] if agent in agents else ""
        if device.pairing == "":
            raise DBusError(ERROR + "AuthenticationFailed", "Authentication Failed")
        if device.pairing == "passkey":
            if agent not in agents or capability not in KEYBOARDS:
                raise DBusError(ERROR + "AuthenticationFailed", "Authentication Failed")
            answer = await self._ask(agent, "RequestPasskey", "o", self.path)
            if answer[0] != device.passkey:
                raise DBusError(ERROR + "AuthenticationFailed", "Authentication Failed")
        elif agent in agents and device.pairing == "confirm":
            await self._ask(agent, "RequestConfirmation", "ou", self.path, device.passkey)
        elif agent in agents:
            await self._ask(agent, "RequestAuthorization", "o", self.path)
        self.paired = device.keys = True
        self._bluez.change(self.path, DEVICE, {"Paired": Variant("b", True), "Bonded": Variant("b", True)})

    async def _ask(self, agent: str, member: str, signature: str, *body: Any) -> list[Any]:
        self._bluez.asked[member] += 1
        path = self._bluez.agents[agent][0]
        message = Message(agent, path, AGENT, member, signature=signature, body=list(body))
        reply = await self._bluez.bus.call(message)
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise DBusError(ERROR + "AuthenticationRejected", "Authentication Rejected")
        return list(reply.body)

    def forget(self) -> None:
        """Be removed from the adapter's memory."""
        self.lost()
        self.paired = False
        self._bluez.withdraw(self.path)


class Characteristic:
    """A characteristic while its device is connected."""

    def __init__(self, known: Known, path: str, service: str, uuid: str, flags: Sequence[str]) -> None:
        self.known = known
        self.path = path
        self.uuid = uuid
        self.notifying = False
        self.subscriber = ""
        self._last = b""
        properties = {
            "UUID": Variant("s", uuid),
            "Service": Variant("o", service),
            "Flags": Variant("as", list(flags)),
            "MTU": Variant("q", 23),
        }
        self._can = set(flags)
        if self._can & {"notify", "indicate"}:
            properties["Notifying"] = Variant("b", False)
        known.adapter.bluez.publish(path, CHARACTERISTIC, properties, self)

    def value(self, data: bytes) -> None:
        """Show a value that the device sent."""
        self._last = data
        self.known.adapter.bluez.change(self.path, CHARACTERISTIC, {"Value": Variant("ay", data)})

    async def call(self, member: str, sender: str, body: list[Any]) -> tuple[str, list[Any]]:
        """Answer a method of org.bluez.GattCharacteristic1."""
        device = self.known.device
        device.called(member, self.uuid)
        if not self.known.connected:
            raise DBusError(ERROR + "Failed", "Not connected")
        unpaired = bool(device.pairing) and not device.paired
        if member == "StartNotify":
            if not self._can & {"notify", "indicate"}:
                raise DBusError(ERROR + "NotSupported", "Operation is not supported")
            if unpaired and device.guard == "refuse":
                await self._elevate(sender)
            self.subscriber = sender
            self.notify(True)
        elif member == "StopNotify":
            if not self.notifying:
                raise DBusError(ERROR + "Failed", "No notify session started")
            self.notify(False)
        elif member == "WriteValue":
            if not self._can & {"write", "write-without-response"}:
                raise DBusError(ERROR + "NotSupported", "Operation is not supported")
            if unpaired:
                self._echo(bytes(body[0]))
            else:
                device.written(self.uuid, bytes(body[0]))
        elif member == "ReadValue":
            return "ay", [device.values.get(self.uuid, self._last)]
        else:
            raise DBusError(UNKNOWN_METHOD, member)
        return "", []

    async def _elevate(self, sender: str) -> None:
        # BlueZ pairs by itself when a device wants it; only an agent keeps it from that.
        try:
            await self.known.bond(sender)
        except DBusError:
            raise DBusError(ERROR + "NotPermitted", "Insufficient Authentication") from None

    def _echo(self, data: bytes) -> None:
        for one in self.known.characteristics:
            if one.notifying:
                one.value(data)

    def notify(self, on: bool) -> None:
        """Begin or end to notify."""
        self.notifying = on
        self.known.adapter.bluez.change(self.path, CHARACTERISTIC, {"Notifying": Variant("b", on)})


class FakeAdapter(Faulty):
    """One adapter."""

    def __init__(self, bluez: "FakeBluez", name: str, number: int) -> None:
        super().__init__()
        self.bluez = bluez
        self.name = name
        self.path = f"{ROOT}/{name}"
        self.number = number
        self.there = False
        self.known: list[Known] = []
        self._powered = True
        self._scanners: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"FakeAdapter({self.name})"

    @property
    def powered(self) -> bool:
        """Whether it is switched on."""
        return self._powered

    @powered.setter
    def powered(self, on: bool) -> None:
        if on != self._powered:
            self._powered = on
            if not on:
                self._silence()
            self.bluez.change(self.path, ADAPTER, {"Powered": Variant("b", on)})

    @property
    def discovering(self) -> bool:
        """Whether somebody lets it scan."""
        return bool(self._scanners)

    def check(self) -> None:
        """Raise what BlueZ answers when the adapter cannot be used."""
        if not self._powered:
            raise DBusError(ERROR + "NotReady", "Resource Not Ready")

    def show(self) -> None:
        """Be there."""
        properties = {
            "Address": Variant("s", f"AA:BB:CC:00:00:{self.number:02X}"),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", self.name),
            "Alias": Variant("s", self.name),
            "Powered": Variant("b", self._powered),
            "Discovering": Variant("b", False),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
        self.there = True
        self.bluez.publish(self.path, ADAPTER, properties, self)

    async def take_away(self) -> None:
        """Pull it out."""
        self._silence()
        self.there = False
        for known in self.known:
            self.bluez.withdraw(known.path)
        self.bluez.withdraw(self.path)
        await asyncio.sleep(0)

    async def bring_back(self) -> None:
        """Plug it in again."""
        self._powered = True
        self.show()
        await asyncio.sleep(0)

    def _silence(self) -> None:
        for known in self.known:
            known.lost()
        self._scanners.clear()
        self._scan()

    async def call(self, member: str, sender: str, body: list[Any]) -> tuple[str, list[Any]]:
        """Answer a method of org.bluez.Adapter1."""
        self.called(member)
        if member == "RemoveDevice":
            known = next((each for each in self.known if each.path == body[0]), None)
            if known is None or not self.bluez.has(known.path):
                raise DBusError(ERROR + "DoesNotExist", "Does Not Exist")
            known.forget()
        elif member == "StartDiscovery":
            self.check()
            if sender in self._scanners:
                raise DBusError(ERROR + "InProgress", "Operation already in progress")
            self._scanners.add(sender)
            self._scan()
        elif member == "StopDiscovery":
            self.check()
            if sender not in self._scanners:
                raise DBusError(ERROR + "Failed", "No discovery started")
            self.left(sender)
        elif member != "SetDiscoveryFilter":
            raise DBusError(UNKNOWN_METHOD, member)
        return "", []

    def gone(self, sender: str) -> None:
        """Forget a client that has left the bus: its scan and what it had subscribed to, but no connection."""
        self.left(sender)
        for known in self.known:
            for one in known.characteristics:
                if one.notifying and one.subscriber == sender:
                    one.notify(False)

    def left(self, sender: str) -> None:
        """Forget a client that ended its scan, or itself."""
        if sender in self._scanners:
            self._scanners.discard(sender)
            self._scan()

    def _scan(self) -> None:
        scanning = self._task is not None
        if self.discovering == scanning:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._hear())
        else:
            self._task.cancel()
            self._task = None
        self.bluez.change(self.path, ADAPTER, {"Discovering": Variant("b", self.discovering)})
        if not self.discovering:
            for known in self.known:
                self.bluez.change(known.path, DEVICE, {}, ["RSSI"])

    async def _hear(self) -> None:
        while True:
            for known in self.known:
                device = known.device
                if device.here and not device.silent and not device.connected:
                    known.heard()
            await asyncio.sleep(self.bluez.beat)

    def set(self, name: str, value: Any) -> None:
        """Take a property that a client writes."""
        self.called(name)
        if name != "Powered":
            raise DBusError("org.freedesktop.DBus.Error.PropertyReadOnly", name)
        self.powered = bool(value)


class FakeBluez(Faulty):
    """The bus, and org.bluez on it; DBUS_SYSTEM_BUS_ADDRESS points there inside of the context.

    adapters  their names
    beat      seconds between the advertisements of each device
    agents    (path, capability) by the client that registered one; default: whose it is
    asked     how often an agent was asked each question
    """

    def __init__(self, adapters: Sequence[str] = ("hci0",), beat: float = 0.03) -> None:
        super().__init__()
        self.beat = beat
        self.adapters = {name: FakeAdapter(self, name, number) for number, name in enumerate(adapters, 1)}
        self.agents: dict[str, tuple[str, str]] = {}
        self.default = ""
        self.asked: Counter[str] = Counter()
        self.bus: MessageBus
        self._objects: dict[str, tuple[str, Properties, Any]] = {}
        self._folder = ""
        self._before: str | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def adapter(self, name: str = "hci0") -> FakeAdapter:
        """Return an adapter."""
        return self.adapters[name]

    def add(self, device: FakeDevice, adapter: str | Sequence[str] = "hci0") -> FakeDevice:
        """Put a device where these adapters hear it; return it."""
        for name in [adapter] if isinstance(adapter, str) else adapter:
            known = Known(device, self.adapters[name])
            device.known.append(known)
            self.adapters[name].known.append(known)
        return device

    # The bus

    async def __aenter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="bluez")
        place = f"unix:path={Path(self._folder) / 'bus'}"
        command = ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={place}"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._daemon.stdout is not None
        address = self._daemon.stdout.readline().decode().strip()
        assert address, "dbus-daemon did not start"
        self._before = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
        self.bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self.bus.add_message_handler(self._handle)
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        daemon = "org.freedesktop.DBus"
        await self.bus.call(Message(daemon, "/org/freedesktop/DBus", daemon, "AddMatch", signature="s", body=[rule]))
        await self.start_service()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _bleak_ended()
        for adapter in self.adapters.values():
            await adapter.take_away()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.bus.disconnect()
        with contextlib.suppress(EOFError):
            await self.bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        if self._before is None:
            del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
        else:
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self._before
        assert self._daemon is not None
        assert self._daemon.stdout is not None
        self._daemon.terminate()
        self._daemon.wait(10)
        self._daemon.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def start_service(self) -> None:
        """Let the Bluetooth service run."""
        await self.bus.request_name("org.bluez")
        self.publish(ROOT, AGENTS, {}, _Agents(self))
        for adapter in self.adapters.values():
            if not adapter.there:
                await adapter.bring_back()

    async def stop_service(self) -> None:
        """Let the Bluetooth service end: nobody has its name."""
        for adapter in self.adapters.values():
            await adapter.take_away()
            for known in adapter.known:
                known.forget()
        self.agents.clear()
        self.default = ""
        self._objects.clear()
        await self.bus.release_name("org.bluez")

    # Objects

    def has(self, path: str) -> bool:
        """Return whether there is an object."""
        return path in self._objects

    def publish(self, path: str, interface: str, properties: Properties, target: Any) -> None:
        """Show an object."""
        self._objects[path] = interface, properties, target
        self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, {interface: properties}])

    def withdraw(self, path: str) -> None:
        """Take an object away, or with a slash at the end all below it."""
        gone = [each for each in self._objects if each == path or (path.endswith("/") and each.startswith(path))]
        for each in reversed(gone):
            interface = self._objects.pop(each)[0]
            self._signal("/", OBJECTS, "InterfacesRemoved", "oas", [each, [interface]])

    def change(self, path: str, interface: str, changed: Properties, gone: Sequence[str] = ()) -> None:
        """Change properties of an object and tell everybody; one that is not there does not change."""
        if path not in self._objects:
            return
        properties = self._objects[path][1]
        properties.update(changed)
        removed = [name for name in gone if properties.pop(name, None) is not None]
        if changed or removed:
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, removed])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self.bus.connected:
            self.bus.send(Message.new_signal(path, interface, member, signature, body))

    # Calls

    def _handle(self, message: Message) -> bool:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, new = message.body
            if not new:
                self._left(name)
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _left(self, sender: str) -> None:
        for adapter in self.adapters.values():
            adapter.gone(sender)
        self.agents.pop(sender, None)
        if self.default == sender:
            self.default = ""

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._call(message)
            reply = Message.new_method_return(message, signature, body)
        except DBusError as error:
            reply = Message.new_error(message, error.type, error.text)
        except Hang:
            return
        if not message.flags & MessageFlag.NO_REPLY_EXPECTED and self.bus.connected:
            self.bus.send(reply)

    async def _call(self, message: Message) -> tuple[str, list[Any]]:
        path, interface, member = str(message.path), str(message.interface), str(message.member)
        if interface == OBJECTS and path == "/":
            self.called(member)
            return "a{oa{sa{sv}}}", [{path: {each[0]: each[1]} for path, each in self._objects.items()}]
        if path not in self._objects:
            raise DBusError(UNKNOWN_OBJECT, f'Method "{member}" on an object that does not exist')
        known, properties, target = self._objects[path]
        if interface == PROPERTIES:
            return self._property(target, properties, member, message.body)
        if interface != known or (isinstance(target, Known) and interface != DEVICE):
            raise DBusError(UNKNOWN_METHOD, f"{interface}.{member}")
        answer: tuple[str, list[Any]] = await target.call(member, str(message.sender), message.body)
        return answer

    def _property(self, target: Any, properties: Properties, member: str, body: list[Any]) -> tuple[str, list[Any]]:
        if member == "GetAll":
            return "a{sv}", [properties]
        if member == "Get":
            return "v", [properties[body[1]]]
        if isinstance(target, FakeAdapter):
            target.set(body[1], body[2].value)
        else:
            properties[body[1]] = body[2]
        return "", []


class _Agents:
    """Who answers questions of pairing."""

    def __init__(self, bluez: FakeBluez) -> None:
        self.bluez = bluez

    async def call(self, member: str, sender: str, body: list[Any]) -> tuple[str, list[Any]]:
        bluez = self.bluez
        bluez.called(member)
        if member == "RegisterAgent":
            if sender in bluez.agents:
                raise DBusError(ERROR + "AlreadyExists", "Already Exists")
            bluez.agents[sender] = body[0], body[1]
        elif sender not in bluez.agents:
            raise DBusError(ERROR + "DoesNotExist", "Does Not Exist")
        elif member == "RequestDefaultAgent":
            bluez.default = sender
        elif member == "UnregisterAgent":
            bluez._left(sender)
        else:
            raise DBusError(UNKNOWN_METHOD, member)
        return "", []


async def _bleak_ended() -> None:
    """Let bleak leave the bus before it is gone: it keeps one connection for each loop, and complains else."""
    from bleak.backends.bluezdbus import manager

    mine = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if mine is not None and mine._bus is not None:
        mine._bus.disconnect()
        if mine._bus_watcher_task is not None:
            await asyncio.wait({mine._bus_watcher_task})
