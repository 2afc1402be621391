"""A fake ESPHome device with a Bluetooth proxy: speaks its native API, plain or encrypted, and lends what it hears.

The packs are those of the fake BlueZ (bluez.FakeDevice, played by air.Peripheral), so a pack may be heard by an adapter
and by a proxy at once. Nothing here is shared with the client but the classes of the messages.
"""

import asyncio
import base64
import importlib
import uuid
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from bluez import FakeDevice, full

api: Any = importlib.import_module("aioesphomeapi.api_pb2")
TYPES: dict[int, Any] = importlib.import_module("aioesphomeapi.core").MESSAGE_TYPE_TO_PROTO
NUMBERS = {kind: number for number, kind in TYPES.items()}

PASSIVE, ACTIVE, CACHING, PAIRING, CLEARING, RAW, STATE = (1 << bit for bit in range(7))
ALL = PASSIVE | ACTIVE | CACHING | PAIRING | CLEARING | RAW | STATE
FLAGS = {"read": 0x02, "write-without-response": 0x04, "write": 0x08, "notify": 0x10, "indicate": 0x20}
CONTROL = full("2902")  # the descriptor that switches notifications on

BEAT = 0.05  # seconds between two advertisements of a pack
CONNECTING = 0.01  # seconds that a connection takes
MTU = 247
NOT_FOUND = 0x0100  # ESP_GATT_CONN_NONE: the device was not there to be connected to
NOISE = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
PROLOGUE = b"NoiseAPIInit\x00\x00"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


def number(address: str) -> int:
    """Return a Bluetooth address as the API has it."""
    return int(address.replace(":", ""), 16)


class Characteristic:
    """A characteristic of a pack that the proxy is connected to."""

    def __init__(self, lent: "Lent", text: str, flags: Sequence[str], handle: int) -> None:
        self.lent = lent
        self.uuid = full(text)
        self.flags = sum(FLAGS[flag] for flag in flags)
        self.handle = handle
        self.wanted = False  # the program asked for notifications
        self.enabled = False  # the descriptor was written

    @property
    def notifying(self) -> bool:
        """Whether notifications go anywhere."""
        return self.wanted and self.enabled

    def value(self, data: bytes) -> None:
        """Pass a notification on."""
        self.lent.proxy.tell(
            api.BluetoothGATTNotifyDataResponse(address=self.lent.number, handle=self.handle, data=data)
        )


class Lent:
    """A pack as the proxy knows it; the counterpart of bluez.Known."""

    def __init__(self, proxy: "FakeProxy", device: FakeDevice, rssi: int) -> None:
        self.proxy = proxy
        self.device = device
        self.rssi = rssi
        self.number = number(device.address)
        self.connected = False
        self.paired = False
        self.characteristics: list[Characteristic] = []

    def advertisements(self) -> list[Any]:
        """Return what it says of itself: services and makers first, its name in an answer of its own."""
        device = self.device
        if device.connected or device.silent or not device.here:
            return []
        short = b"".join(bytes.fromhex(text[4:8])[::-1] for text in device.uuids)
        first = _structure(0x01, b"\x06") + (_structure(0x03, short) if short else b"")
        for company, data in device.makers.items():
            first += _structure(0xFF, company.to_bytes(2, "little") + data)
        parts = [first, _structure(0x09, device.name.encode())] if device.name else [first]
        return [
            api.BluetoothLERawAdvertisement(address=self.number, rssi=self.rssi, address_type=0, data=part)
            for part in parts
        ]

    def services(self) -> list[Any]:
        """Return its services as the API tells them, and keep what they are made of."""
        self.characteristics.clear()
        found = []
        handle = 1
        for text, characteristics in self.device.services:
            service = api.BluetoothGATTService(uuid=_halves(text), handle=handle)
            for name, flags in characteristics:
                one = Characteristic(self, name, flags, handle + 2)
                self.characteristics.append(one)
                told = service.characteristics.add(uuid=_halves(name), handle=one.handle, properties=one.flags)
                told.descriptors.add(uuid=_halves("2902"), handle=one.handle + 1)
                handle += 3
            handle += 1
            found.append(service)
        return found

    def of(self, handle: int) -> Characteristic:
        """Return the characteristic of a handle, or of the handle of its descriptor."""
        return next(one for one in self.characteristics if handle in (one.handle, one.handle + 1))

    def lost(self) -> None:
        """Be without connection from now on."""
        if self.connected:
            self.connected = False
            self.characteristics.clear()
            self.proxy.tell(api.BluetoothDeviceConnectionResponse(address=self.number, connected=False))
            self.proxy.freed(self.number)
            self.device.changed(False)


def _structure(kind: int, data: bytes) -> bytes:
    return bytes((len(data) + 1, kind)) + data


def _halves(text: str) -> list[int]:
    whole = uuid.UUID(full(text)).int
    return [whole >> 64, whole & (1 << 64) - 1]


class FakeProxy:
    """The ESPHome device.

    slots     connections at a time
    key       of its API, "" for none
    password  of its API, as old ones had it
    features  flags of its Bluetooth proxy, 0 for none
    taken     another program is subscribed
    received  messages that came, by class
    held      addresses that have a slot
    most      most slots that were held at once
    """

    def __init__(
        self, slots: int = 3, key: str = "", password: str = "", features: int = ALL, name: str = "kitchen"
    ) -> None:
        self.slots = slots
        self.key = key
        self.password = password
        self.features = features
        self.name = name
        self.taken = False
        self.port = 0
        self.packs: dict[int, Lent] = {}
        self.received: Counter[str] = Counter()
        self.held: list[int] = []
        self.most = 0
        self.mode = 0
        self.clients: list[Client] = []
        self.subscriber: Client | None = None
        self.loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._beating: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.away()

    def add(self, device: FakeDevice, rssi: int = -60) -> FakeDevice:
        """Let the proxy hear a pack."""
        lent: Any = Lent(self, device, rssi)
        self.packs[lent.number] = lent
        device.known.append(lent)
        return device

    async def back(self) -> None:
        """Be switched on, on the same port as before."""
        self._server = await self.loop.create_server(lambda: Client(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._beat()

    async def away(self) -> None:
        """Be without power."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._beating is not None:
            self._beating.cancel()
        await self.drop()

    async def drop(self) -> None:
        """End all connections of the API, and with them what was lent."""
        for client in list(self.clients):
            client.end()
        while self.clients:
            await asyncio.sleep(0.001)

    def _beat(self) -> None:
        heard = [each for lent in self.packs.values() for each in lent.advertisements()]
        if heard:
            self.tell(api.BluetoothLERawAdvertisementsResponse(advertisements=heard))
        self._beating = self.loop.call_later(BEAT, self._beat)

    def tell(self, message: Any) -> None:
        """Send to the program that is subscribed."""
        if self.subscriber is not None:
            self.subscriber.send(message)

    def forsaken(self, client: "Client") -> None:
        """Give everything up that was lent to a program that is gone."""
        self.clients.remove(client)
        if self.subscriber is client:
            self.subscriber = None
            for lent in self.packs.values():
                lent.lost()
            self.held.clear()

    def hold(self, address: int) -> None:
        """Take a slot."""
        self.held.append(address)
        self.most = max(self.most, len(self.held))
        self.tell(self.free())

    def freed(self, address: int) -> None:
        """Give a slot back."""
        if address in self.held:
            self.held.remove(address)
            self.tell(self.free())

    def free(self) -> Any:
        """Return what is told of the slots."""
        left = self.slots - len(self.held)
        return api.BluetoothConnectionsFreeResponse(free=left, limit=self.slots, allocated=self.held)

    def state(self) -> Any:
        """Return what is told of the scanner."""
        return api.BluetoothScannerStateResponse(state=2, mode=self.mode)  # 2: running

    # What the messages do, by class

    def take(self, client: "Client", message: Any) -> None:
        """Do what a message wants."""
        name = type(message).__name__
        self.received[name] += 1
        found = getattr(self, f"_{name}", None)
        if found is not None:
            found(client, message)

    def _HelloRequest(self, client: "Client", message: Any) -> None:
        client.send(api.HelloResponse(api_version_major=1, api_version_minor=12, server_info="fake", name=self.name))

    def _AuthenticationRequest(self, client: "Client", message: Any) -> None:
        if self.password and message.password != self.password:
            client.send(api.AuthenticationResponse(invalid_password=True))

    def _DeviceInfoRequest(self, client: "Client", message: Any) -> None:
        mac = "24:0A:C4:00:00:01"
        flags = self.features
        client.send(
            api.DeviceInfoResponse(
                name=self.name, mac_address=mac, bluetooth_mac_address=mac, bluetooth_proxy_feature_flags=flags
            )
        )

    def _PingRequest(self, client: "Client", message: Any) -> None:
        client.send(api.PingResponse())

    def _DisconnectRequest(self, client: "Client", message: Any) -> None:
        client.send(api.DisconnectResponse())
        client.end()

    def _SubscribeBluetoothConnectionsFreeRequest(self, client: "Client", message: Any) -> None:
        client.send(self.free())

    def _SubscribeBluetoothLEAdvertisementsRequest(self, client: "Client", message: Any) -> None:
        if self.subscriber is None and not self.taken:
            self.subscriber = client
            client.send(self.state())

    def _BluetoothScannerSetModeRequest(self, client: "Client", message: Any) -> None:
        self.mode = message.mode
        client.send(self.state())

    def _BluetoothDeviceRequest(self, client: "Client", message: Any) -> None:
        address, wish = message.address, message.request_type
        lent = self.packs.get(address)
        if wish == 1:  # disconnect
            if lent is not None and lent.connected:
                lent.lost()
            else:
                self.freed(address)
                client.send(api.BluetoothDeviceConnectionResponse(address=address, connected=False))
        elif wish == 2:  # pair
            client.send(api.BluetoothDevicePairingResponse(address=address, paired=True))
        elif wish == 6:  # clear the cache
            client.send(api.BluetoothDeviceClearCacheResponse(address=address, success=True))
        elif len(self.held) >= self.slots:
            client.send(api.BluetoothDeviceConnectionResponse(address=address, connected=False))
        else:
            self.hold(address)
            self.loop.call_later(CONNECTING, self._connect, address)

    def _connect(self, address: int) -> None:
        lent = self.packs.get(address)
        if address not in self.held:
            return
        if lent is None or not lent.device.here or lent.device.connected:
            self.tell(api.BluetoothDeviceConnectionResponse(address=address, connected=False, error=NOT_FOUND))
            self.freed(address)
            return
        lent.device.calls["Connect"] += 1
        lent.connected = True
        self.tell(api.BluetoothDeviceConnectionResponse(address=address, connected=True, mtu=MTU))
        lent.device.changed(True)

    def _BluetoothGATTGetServicesRequest(self, client: "Client", message: Any) -> None:
        for service in self.packs[message.address].services():
            client.send(api.BluetoothGATTGetServicesResponse(address=message.address, services=[service]))
        client.send(api.BluetoothGATTGetServicesDoneResponse(address=message.address))

    def _BluetoothGATTNotifyRequest(self, client: "Client", message: Any) -> None:
        lent = self.packs[message.address]
        if not lent.characteristics:
            lent.services()  # the program knows them from an earlier connection
        lent.of(message.handle).wanted = message.enable
        if message.enable:
            client.send(api.BluetoothGATTNotifyResponse(address=message.address, handle=message.handle))

    def _BluetoothGATTWriteDescriptorRequest(self, client: "Client", message: Any) -> None:
        self.packs[message.address].of(message.handle).enabled = message.data[:1] in (b"\x01", b"\x02")
        client.send(api.BluetoothGATTWriteResponse(address=message.address, handle=message.handle))

    def _BluetoothGATTWriteRequest(self, client: "Client", message: Any) -> None:
        lent = self.packs[message.address]
        if not lent.connected:
            client.send(api.BluetoothGATTErrorResponse(address=message.address, handle=message.handle, error=-1))
            return
        lent.device.written(lent.of(message.handle).uuid, message.data)
        if message.response:
            client.send(api.BluetoothGATTWriteResponse(address=message.address, handle=message.handle))


class Client(asyncio.Protocol):
    """A program that is connected to the API."""

    def __init__(self, proxy: FakeProxy) -> None:
        self.proxy = proxy
        self._buffer = b""
        self._transport: Any = None
        self._noise: Any = None
        self._steps = 0  # of the encrypted greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet whoever has the key."""
        self._transport = transport
        self.proxy.clients.append(self)
        if self.proxy.key:
            noise: Any = importlib.import_module("noise.connection")
            self._noise = noise.NoiseConnection.from_name(NOISE)
            self._noise.set_as_responder()
            self._noise.set_psks(base64.b64decode(self.proxy.key))
            self._noise.set_prologue(PROLOGUE)
            self._noise.start_handshake()

    def connection_lost(self, error: Exception | None) -> None:
        """Let go what was lent to it."""
        self.proxy.forsaken(self)

    def end(self) -> None:
        """End the connection, once everything is sent."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take the frames that have come."""
        self._buffer += data
        while not self._transport.is_closing():
            if self._noise is not None and self._buffer[:1] == b"\x00":
                self._frame(b"\x00")  # a key is wanted: the mark of an encrypted frame says so
                return self.end()
            found = self._encrypted() if self._noise is not None else self._plain()
            if not found:
                return None
        return None

    def _plain(self) -> bool:
        if self._buffer[:1] not in (b"\x00", b""):
            self._transport.write(bytes((0, 0, NUMBERS[api.DisconnectRequest])))
            self.end()
            return False
        at, values = 1, []
        for _ in range(2):
            value = shift = 0
            while True:
                if at >= len(self._buffer):
                    return False
                byte = self._buffer[at]
                at += 1
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            values.append(value)
        size, kind = values
        if len(self._buffer) < at + size:
            return False
        payload, self._buffer = self._buffer[at : at + size], self._buffer[at + size :]
        self._message(kind, payload)
        return True

    def _encrypted(self) -> bool:
        size = int.from_bytes(self._buffer[1:3], "big")
        if len(self._buffer) < 3 + size:
            return False
        frame, self._buffer = self._buffer[3 : 3 + size], self._buffer[3 + size :]
        self._steps += 1
        if self._steps == 1:
            self._frame(b"\x01" + self.proxy.name.encode() + b"\x00")
        elif self._steps == 2:
            self._handshake(frame[1:])
        else:
            text = self._noise.decrypt(frame)
            self._message(int.from_bytes(text[:2], "big"), bytes(text[4:]))
        return True

    def _handshake(self, data: bytes) -> None:
        try:
            self._noise.read_message(data)
        except Exception:  # noqa: BLE001, what the library makes of a wrong key
            self._frame(b"\x01Handshake MAC failure")
            self.end()
        else:
            self._frame(b"\x00" + bytes(self._noise.write_message()))

    def _frame(self, data: bytes) -> None:
        self._transport.write(b"\x01" + len(data).to_bytes(2, "big") + data)

    def _message(self, kind: int, payload: bytes) -> None:
        self.proxy.take(self, TYPES[kind].FromString(payload))

    def send(self, message: Any) -> None:
        """Send a message."""
        if self._transport.is_closing():
            return
        data, kind = message.SerializeToString(), NUMBERS[type(message)]
        if self._noise is not None:
            self._frame(self._noise.encrypt(kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data))
        else:
            self._transport.write(b"\x00" + _varint(len(data)) + _varint(kind) + data)


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))
