"""A line by radio: a Bluetooth LE module as the maker's, on a controller that bumble opens."""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec.dialect import Bluetooth
from ..families import bluetooth, dialects

if TYPE_CHECKING:
    from bumble.device import Connection, Device
    from bumble.gatt import Characteristic
    from bumble.transport.common import Transport

MTU = 23  # what every central grants: 20 bytes a notification. These modules do not ask for more
HEAD = 3  # bytes of a notification before the value
INTERVAL = 200.0  # milliseconds between two advertisements
ADVERTISEMENT = 31  # bytes of an advertisement, and of the answer to a scan
QUEUE = 4096  # bytes that wait for the radio; more means that nobody takes them


class RadioError(Exception):
    """No controller for the simulated module; the text says why, and what to do next."""


def module(family_or_dialect: str) -> tuple[str, Bluetooth]:
    """Return the dialect that a simulated pack speaks by radio, and its module; raise ValueError when it has none."""
    names = [dialect.name for dialect in dialects(family_or_dialect)]
    for each in bluetooth():
        for name in each.speaks:
            if name in names:
                return name, each
    spoken = ", ".join(name for each in bluetooth() for name in each.speaks)
    raise ValueError(f"{family_or_dialect or 'this capture'} is not spoken by Bluetooth; {spoken} are")


def usual_name(module: Bluetooth, cells: int) -> str:
    """Return a name as the maker gives it: "JK-16S"."""
    return module.names[0].replace("*", f"{cells}S")


def usual_address(module: Bluetooth, seed: int) -> str:
    """Return an address that is the same for the same seed, and another one for each family."""
    own = random.Random(f"{seed} {module.family} address").randbytes(4)
    return ":".join(f"{byte:02X}" for byte in b"\xf0\xf1" + own)


def is_static(address: str) -> bool:
    """Return whether an address may be chosen freely: its two highest bits are set."""
    return int(address[:2], 16) >= 0xC0


def advertisement(module: Bluetooth, name: str, address: str) -> tuple[bytes, bytes]:
    """Return (what the module tells everybody, what it tells those who ask), each of at most 31 bytes.

    The name is in the second where the first has no room for it.
    """
    told = _part(0x01, b"\x06")
    told += _part(0x03, b"".join(bytes.fromhex(service)[::-1] for service, _, _ in module.services[:1]))
    for company, start, inside in module.makers[:1]:
        told += _part(0xFF, company.to_bytes(2, "little") + start + bytes.fromhex(address.replace(":", "")) + inside)
    named = _part(0x09, name.encode()[: ADVERTISEMENT - 2])
    return (told + named, b"") if len(told + named) <= ADVERTISEMENT else (told, named)


def _part(kind: int, data: bytes) -> bytes:
    return bytes((1 + len(data), kind)) + data


def load() -> None:
    """Load the library, which takes a small computer seconds; raise RadioError when it is not installed."""
    try:
        import bumble.device
        import bumble.transport  # noqa: F401
    except ImportError:
        raise RadioError(
            "a simulated pack by Bluetooth needs a library that is not installed; `pip install 'cellwire[simble]'`"
        ) from None


class Peripheral:
    """One module: advertises until a central connects, and again when that has gone; an Outlet of the Simulator.

    heard     called with the bytes that the central writes
    left      called when a connection has ended
    address   "F0:F1:00:00:00:01"
    gone      done when the controller is not there any more; known once it is open
    """

    gone: asyncio.Future[None]

    def __init__(
        self,
        module: Bluetooth,
        name: str,
        address: str,
        heard: Callable[[bytes], None],
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self.module = module
        self.name = name
        self.address = address
        self.heard = heard
        self.left = left
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._notify: Characteristic[Any] | None = None
        self._central: Connection | None = None
        self._subscribed = False
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    # The controller

    async def open(self, transport: str) -> None:
        """Take a controller by bumble's name for it, like usb:0, and advertise; raise RadioError."""
        load()
        from bumble.transport import open_transport

        try:
            self._transport = await open_transport(transport)
            await self._begin(self._transport)
        except Exception as error:  # bumble raises bare Exception too, and what usb and serial libraries raise
            raise RadioError(_refusal(transport, error)) from error
        self.gone = self._transport.source.terminated

    async def _begin(self, transport: "Transport") -> None:
        from bumble.device import Device
        from bumble.hci import Address

        self._device = device = Device.with_hci(self.name, Address(self.address), transport.source, transport.sink)
        device.gatt_server.max_mtu = MTU
        device.add_service(self._service())
        device.on(device.EVENT_CONNECTION, self._met)
        device.advertising_data, device.scan_response_data = advertisement(self.module, self.name, self.address)
        await device.power_on()
        await device.start_advertising(
            auto_restart=True, advertising_interval_min=INTERVAL, advertising_interval_max=INTERVAL
        )
        self._start(self._tell())

    def _service(self) -> Any:
        """Return the maker's likeliest service, with one characteristic or two."""
        from bumble.gatt import Characteristic, CharacteristicValue, Service

        can = Characteristic.Properties
        service, notify, write = self.module.services[0]
        value: CharacteristicValue[Any] = CharacteristicValue(write=self._written)
        writes = Characteristic[Any](write, can.WRITE_WITHOUT_RESPONSE | can.WRITE, Characteristic.WRITEABLE, value)
        if notify == write:
            writes.properties |= can.NOTIFY
            self._notify, characteristics = writes, [writes]
        else:
            self._notify = Characteristic[Any](notify, can.NOTIFY | can.READ, Characteristic.READABLE, b"")
            characteristics = [self._notify, writes]
        self._notify.on(Characteristic.EVENT_SUBSCRIPTION, self._subscribe)
        return Service(service, characteristics)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The central

    def _met(self, connection: "Connection") -> None:
        self._central = connection
        connection.on(connection.EVENT_DISCONNECTION, lambda _: self._parted())

    def _parted(self) -> None:
        self._central, self._subscribed = None, False
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self.left()

    def _subscribe(self, _: Any, notifies: bool, __: bool) -> None:
        self._subscribed = notifies

    def _written(self, _: Any, data: bytes) -> None:
        self.heard(bytes(data))

    # What the simulator needs of a line

    @property
    def used(self) -> bool:
        """True while a central has subscribed."""
        return self._subscribed

    def put(self, data: bytes) -> bool:
        """Notify the central of these bytes in pieces that fit; return False when they are lost."""
        if not self._subscribed or self._waiting.qsize() * (MTU - HEAD) > QUEUE:
            return False
        for at in range(0, len(data), MTU - HEAD):
            self._waiting.put_nowait(data[at : at + MTU - HEAD])
        return True

    async def _tell(self) -> None:
        while True:
            piece = await self._waiting.get()
            if self._device is not None and self._central is not None and self._notify is not None:
                await self._device.notify_subscriber(self._central, self._notify, piece)

    def lose(self) -> None:
        """Break the connection."""
        if self._central is not None:
            self._start(self._hang_up(self._central))

    async def _hang_up(self, central: "Connection") -> None:
        from bumble.core import BaseBumbleError

        try:
            await central.disconnect()
        except BaseBumbleError:
            pass  # it went by itself

    async def close(self) -> None:
        """Break the connection, advertise no more, and give the controller back."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        device, self._device = self._device, None
        transport, self._transport = self._transport, None
        if (
            device is not None
            and device.powered_on
            and transport is not None
            and not transport.source.terminated.done()
        ):
            if self._central is not None:
                await self._hang_up(self._central)
            await device.stop_advertising()
            await device.power_off()
        if transport is not None:
            await transport.close()


def _refusal(transport: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return (
        f"{transport}: {reason}; name a controller that the system does not use itself (usb:0, or hci-socket:0 after "
        "`sudo hciconfig hci0 down`), as a user who may open it"
    )
