"""The adapters of this machine, through BlueZ: bleak for devices, D-Bus for what bleak does not do."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from . import agent, causes
from .advert import Advert
from .causes import BleError, forgiving, naming
from .radios import SLOTS, Heard, Radio

BLUEZ = "org.bluez"
ROOT = "/org/bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
AGENTS = "org.bluez.AgentManager1"
PAUSE = 1.0  # seconds between off and on
ANSWER = 10.0  # seconds in which BlueZ answers a call


class Bluez:
    """What is asked of BlueZ beside bleak: adapters, switching them, forgetting devices, answering for pairing."""

    def __init__(self, slots: int = SLOTS, adapters: Sequence[str] = ()) -> None:
        self.slots = slots
        self.adapters = tuple(adapters)
        self._bus: Any = None
        self._agent = agent.Agent()

    async def find(self, before: Sequence[Radio]) -> list[Radio]:
        """Return the adapters that are there, those known before as they are; raise BleError."""
        names: list[str] = []
        try:
            objects = await self.objects()
            names = sorted(path.rpartition("/")[2] for path, each in objects.items() if ADAPTER in each)
            names = [name for name in names if not self.adapters or name in self.adapters]
        finally:
            if not names:
                await self.close()  # without an adapter nobody else does
        if not names:
            raise BleError(causes.NO_ADAPTER)
        known = {radio.name: radio for radio in before}
        return [known.get(name) or BluezRadio(name, self, self.slots) for name in names]

    async def objects(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return all properties by object path and interface."""
        answer = await self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        found = answer.body[0]
        return {
            path: {name: {key: value.value for key, value in each.items()} for name, each in interfaces.items()}
            for path, interfaces in found.items()
        }

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """Call a method of BlueZ; raise the error that it answers, or BleError when there is nobody to answer."""
        from bleak.exc import BleakDBusError
        from dbus_fast import Message, MessageType

        bus = await self._connected()
        message = Message(
            destination=BLUEZ, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        try:
            async with asyncio.timeout(ANSWER):
                answer = await bus.call(message)
        except (EOFError, ConnectionError) as error:
            self._bus = None
            raise BleError(causes.NO_BUS) from error
        if answer.message_type is MessageType.ERROR:
            raise BleakDBusError(answer.error_name, answer.body)
        return answer

    async def _connected(self) -> Any:
        if self._bus is None or not self._bus.connected:
            from dbus_fast import BusType
            from dbus_fast.aio import MessageBus

            bus = MessageBus(bus_type=BusType.SYSTEM)
            connected = False
            try:
                with naming():
                    try:
                        async with asyncio.timeout(ANSWER):
                            self._bus = await bus.connect()
                    except (EOFError, ConnectionResetError, BrokenPipeError) as error:
                        # A bus that hangs up before anything was said does not let this user in.
                        raise BleError(causes.FORBIDDEN) from error
                self._bus.add_message_handler(self._agent.handler(self._bus.send))
                connected = True
            finally:
                if not connected:
                    bus.disconnect()
        return self._bus

    async def power(self, adapter: str, on: bool) -> None:
        """Switch an adapter."""
        from dbus_fast import Variant

        path = f"{ROOT}/{adapter}"
        interface = "org.freedesktop.DBus.Properties"
        await self.call(path, interface, "Set", "ssv", ADAPTER, "Powered", Variant("b", on))

    async def forget(self, adapter: str, address: str) -> None:
        """Let BlueZ forget a device; one that it does not know is fine."""
        with forgiving():
            await self.call(f"{ROOT}/{adapter}", ADAPTER, "RemoveDevice", "o", device_path(adapter, address))

    async def reclaim(self, adapter: str, address: str) -> None:
        """End a connection that nobody uses; raise BleError when another program uses it."""
        path = device_path(adapter, address)
        objects = await self.objects()
        if not objects.get(path, {}).get(DEVICE, {}).get("Connected"):
            return
        # BlueZ keeps the connections of programs that were killed, but not what they had subscribed to.
        parts = [each for name, each in objects.items() if name.startswith(f"{path}/")]
        if any(each.get(CHARACTERISTIC, {}).get("Notifying") for each in parts):
            raise BleError(causes.TAKEN)
        with forgiving():  # it may have gone meanwhile
            await self.call(path, DEVICE, "Disconnect")

    async def pairing(self, address: str, policy: str, pin: str) -> None:
        """Answer for a device from now on when BlueZ asks about pairing: "never", "just-works" or "passkey"."""
        self._agent.policies[address.upper()] = policy, pin
        # Each time: who started BlueZ anew or became the one that it asks in the meantime did not tell us.
        with forgiving():  # most devices never want to be paired
            with forgiving():  # it is registered already
                await self.call(ROOT, AGENTS, "RegisterAgent", "os", agent.PATH, agent.CAPABILITY)
            await self.call(ROOT, AGENTS, "RequestDefaultAgent", "o", agent.PATH)

    async def close(self) -> None:
        """Leave the bus."""
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()
            await bus.wait_for_disconnect()


class BluezRadio(Radio):
    """One adapter of this machine."""

    def __init__(self, name: str, bluez: Bluez, slots: int = SLOTS) -> None:
        super().__init__(name, slots)
        self.bluez = bluez
        self._scanner: Any = None

    async def start(self, heard: Heard) -> None:
        """Scan, and ask devices for their names."""
        from bleak import BleakScanner

        loop = asyncio.get_running_loop()

        def take(device: Any, data: Any) -> None:
            known = device.details["props"]
            heard(
                Advert(
                    device.address.upper(), data.local_name or device.name or "", known.get("RSSI"),
                    tuple(data.service_uuids), dict(data.manufacturer_data), dict(data.service_data),
                    self.name, device, loop.time(), bool(known.get("Connected")),
                )
            )  # fmt: skip

        scanner = BleakScanner(take, bluez={"adapter": self.name})
        await scanner.start()
        self._scanner = scanner

    async def stop(self) -> None:
        """End the scan."""
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            await scanner.stop()

    def client(
        self, advert: Advert, lost: Callable[[Any], None], pair: bool, services: Sequence[str] | None = None
    ) -> Any:
        """Return bleak's client for a device that this adapter heard."""
        from bleak import BleakClient

        return BleakClient(advert.device, lost, services, pair=pair, bluez={"adapter": self.name})

    async def forget(self, advert: Advert) -> None:
        """Let BlueZ forget the device, with what it believes to be connected to it."""
        await self.bluez.forget(self.name, advert.address)

    async def reclaim(self, address: str) -> None:
        """End a connection that a program has left behind; raise BleError when another program uses it."""
        await self.bluez.reclaim(self.name, address)

    async def pairing(self, address: str, policy: str, pin: str) -> None:
        """Answer as its owner wants when BlueZ asks about pairing with the device."""
        await self.bluez.pairing(address, policy, pin)

    async def restart(self) -> None:
        """Switch the adapter off and on."""
        with forgiving():
            await self.bluez.power(self.name, False)
        await asyncio.sleep(PAUSE)
        await self.bluez.power(self.name, True)

    async def close(self) -> None:
        """End the scan and leave the bus."""
        with forgiving():
            await self.stop()
        await self.bluez.close()


def device_path(adapter: str, address: str) -> str:
    """Return where BlueZ keeps a device."""
    return f"{ROOT}/{adapter}/dev_{address.upper().replace(':', '_')}"
