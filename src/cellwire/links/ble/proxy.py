"""ESPHome devices that lend their Bluetooth: a radio that is reached through the network, by the device's API.

The connection to the device is held here, with aioesphomeapi; what bleak-esphome has for connecting through it is
used as it is. Of habluetooth, which bleak-esphome is made for, nothing runs: its manager knows and chooses between
radios, which is what `Radios` does. So bleak's client is made here, with a stand-in for habluetooth's scanner, of
which that client uses nothing but the notice that a connection is being made.

The subscription to what the device hears lasts as long as the connection: a proxy gives up all its Bluetooth
connections as soon as nobody is subscribed.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from ..link import AdapterOff, LinkError, PortBusy, PortForbidden, PortMissing
from .advert import Advert
from .causes import BleError, Cause, forgiving, naming
from .radios import Heard, Radio

log = logging.getLogger("cellwire")

PORT = 6053
FIRST = 5.0  # seconds that others wait until it is known whether the proxy is there
CONNECT = 15.0  # seconds for a connection to the device
ANSWER = 5.0  # seconds in which the device answers
ALIVE = 5.0  # seconds between two questions whether the device is still there; after 4.5 times that it is not
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds between tries to connect to a device that is away

# By the class of an exception and its bases: name for counters, what to do next, and the class that it becomes.
TROUBLES: dict[str, tuple[str, str, type[LinkError]]] = {
    "ModuleNotFoundError": (
        "no_proxy_library",
        "it needs a library that is not installed; `pip install 'cellwire[proxy]'`",
        AdapterOff,
    ),
    "ResolveAPIError": (
        "proxy_unknown",
        "no device of the name {host} is in the network; is it switched on? Else write its IP address as host",
        PortMissing,
    ),
    "RequiresEncryptionAPIError": (
        "proxy_key",
        "{host} wants a key; write encryption_key = the key below `api:` and `encryption:` in its YAML",
        PortForbidden,
    ),
    "InvalidEncryptionKeyAPIError": (
        "proxy_key",
        "{host} does not take this encryption_key; copy the one below `api:` and `encryption:` in its YAML",
        PortForbidden,
    ),
    "EncryptionPlaintextAPIError": (
        "proxy_key",
        "{host} has no encryption; take encryption_key out, or write `encryption:` below `api:` in its YAML",
        PortForbidden,
    ),
    "InvalidAuthAPIError": (
        "proxy_password",
        "{host} wants an API password, of which ESPHome has taken leave; write `encryption:` with a key below `api:` "
        "in its YAML instead of `password:`",
        PortForbidden,
    ),
    "ProtocolAPIError": (
        "no_proxy",
        "what answers at {host}:{port} is no ESPHome device; correct host and port, and see that its YAML has `api:`",
        PortMissing,
    ),
    "APIConnectionError": (
        "proxy_away",
        "nobody answers at {host}:{port}; see that the device is switched on, in this network, and has `api:` in its "
        "YAML",
        AdapterOff,
    ),
}
TROUBLES["HandshakeAPIError"] = TROUBLES["ProtocolAPIError"]
TROUBLES["TimeoutError"] = TROUBLES["APIConnectionError"]

NO_PROXY = "{host} has no Bluetooth proxy; write `bluetooth_proxy:` with `active: true` into its YAML"
PASSIVE = "its Bluetooth proxy only listens; write `active: true` below `bluetooth_proxy:` in the YAML of {host}"
OLD = "its ESPHome is too old; update {host} to 2023.2 or later"
TAKEN = (
    "{host} lends its Bluetooth to another program already, such as Home Assistant, and serves only one; take it out "
    "there, or use a device of its own"
)
LOST = "the connection to {host} is gone; it is made again"
PASSKEY = Cause(
    "proxy_passkey",
    "a proxy cannot type in a passkey; reach this pack by an adapter of this machine, with ?radio=hci0 in its link",
    PortForbidden,
)


class ProxyRadio(Radio):
    """One ESPHome device with `bluetooth_proxy`; connected to when radios are first looked for, and kept connected.

    key    gives the key of its API, "" for none; raises BleError when there is trouble with it
    known  set when it is known whether the device is there, or when that takes too long
    """

    kind = "proxy"

    def __init__(self, name: str, host: str, port: int = PORT, key: Callable[[], str] = str) -> None:
        super().__init__(name, slots=0)
        self.host = host
        self.port = port
        self.known = asyncio.Event()
        self.trouble = self._cause("proxy_away", "{host} is not connected to yet; wait a moment", AdapterOff)
        self._key = key
        self._staying: asyncio.Task[None] | None = None
        self._session: Any = None  # what bleak-esphome keeps of the device, while it is there
        self._limits: set[asyncio.Timeout] = set()  # of what waits for the device
        self._told: dict[str, Advert] = {}  # what was heard since the scan began, by address
        self._heard: Heard | None = None
        self._lost = False  # whether it was said that it is away

    @property
    def there(self) -> bool:
        """Whether the device is connected and may be used."""
        return self._session is not None

    # Being connected to the device

    def begin(self) -> None:
        """Connect to the device, and stay connected, from now on."""
        if self._staying is None:
            self._staying = asyncio.create_task(self._stay())
            asyncio.get_running_loop().call_later(FIRST, self.known.set)

    async def _stay(self) -> None:
        misses = 0
        while True:
            try:
                with naming():
                    await self._serve()
            except BleError as error:
                misses = 0 if self.there else misses + 1
                trouble = self._named(error)
                if not self._lost:
                    log.warning("%s", trouble.advice)
                    self._lost = True
                self._away(trouble)
            await asyncio.sleep(PAUSES[min(misses, len(PAUSES) - 1)])

    async def _serve(self) -> None:
        """Connect to the device and serve as a radio until it is gone; raise what the reason is."""
        from aioesphomeapi.client import APIClient

        gone = asyncio.Event()

        async def stopped(expected: bool) -> None:
            gone.set()

        client: Any = APIClient(
            self.host, self.port, None, noise_psk=self._key() or None, client_info="cellwire", keepalive=ALIVE,
            provide_time=False,
        )  # fmt: skip
        try:
            async with asyncio.timeout(CONNECT):
                await client.connect(on_stop=stopped, login=True, log_errors=False)
                session = await self._begun(client)
            self._here(session)
            await gone.wait()
            raise BleError(self._cause("proxy_lost", LOST, AdapterOff))
        finally:
            with forgiving():
                async with asyncio.timeout(ANSWER):
                    await client.disconnect()

    async def _begun(self, client: Any) -> Any:
        """Return what bleak-esphome wants to know of the device, once it lets us have its Bluetooth."""
        from aioesphomeapi import BluetoothProxyFeature as Feature
        from aioesphomeapi import BluetoothScannerMode
        from bleak_esphome.backend.client import ESPHomeClientData
        from bleak_esphome.backend.device import ESPHomeBluetoothDevice

        info = await client.device_info()
        features = Feature(info.bluetooth_proxy_feature_flags_compat(client.api_version))
        self._check(bool(features), Feature.ACTIVE_CONNECTIONS in features, Feature.RAW_ADVERTISEMENTS in features)
        device = ESPHomeBluetoothDevice(self.name, info.bluetooth_mac_address or info.mac_address, available=True)
        counted, heard = asyncio.Event(), asyncio.Event()

        def count(free: int, limit: int, allocated: list[int]) -> None:
            device.async_update_ble_connection_limits(free, limit, allocated)
            self.slots = limit
            counted.set()
            self.changed()

        client.subscribe_bluetooth_connections_free(count)
        client.subscribe_bluetooth_scanner_state(lambda state: heard.set())
        client.subscribe_bluetooth_le_raw_advertisements(self._take)
        await counted.wait()
        if Feature.FEATURE_STATE_AND_MODE in features:
            # The state of its scanner is told to the one program alone whose subscription counts.
            try:
                async with asyncio.timeout(ANSWER):
                    await heard.wait()
            except TimeoutError:
                raise BleError(self._cause("proxy_taken", TAKEN, PortBusy)) from None
            client.bluetooth_scanner_set_mode(BluetoothScannerMode.ACTIVE)  # else it hears no names
        scanner: Any = _Scanner()
        return ESPHomeClientData(
            bluetooth_device=device, client=client, device_info=info, api_version=client.api_version, title=self.name,
            scanner=scanner,
        )  # fmt: skip

    def _check(self, proxy: bool, active: bool, raw: bool) -> None:
        """Raise BleError when the device cannot do what is needed."""
        if not proxy:
            raise BleError(self._cause("no_proxy", NO_PROXY, PortMissing))
        if not active:
            raise BleError(self._cause("proxy_passive", PASSIVE, PortForbidden))
        if not raw:
            raise BleError(self._cause("proxy_old", OLD, PortForbidden))

    def _here(self, session: Any) -> None:
        self._session, self.trouble = session, None
        self.known.set()
        self.changed()
        if self._lost:
            log.warning("Bluetooth proxy %s: it is back", self.name)
            self._lost = False

    def _away(self, trouble: Cause) -> None:
        """Let those go who are connected through the device; they come back, or find another radio."""
        self.trouble = trouble
        self.known.set()
        session, self._session = self._session, None
        self.slots = 0
        self.changed()
        for limit in self._limits:
            limit.reschedule(0.0)
        if session is not None:
            session.bluetooth_device.async_set_unavailable()
            for lost in list(session.disconnect_callbacks):
                with forgiving(), naming():
                    lost()

    def _named(self, error: BleError) -> Cause:
        """Return the cause of an error in words that fit a proxy."""
        kinds = type(error.__cause__).__mro__
        found = next((TROUBLES[kind.__name__] for kind in kinds if kind.__name__ in TROUBLES), None)
        return self._cause(*found) if found else error.cause._replace(radio=True)

    def _cause(self, name: str, advice: str, error: type[LinkError]) -> Cause:
        words = advice.format(host=self.host, port=self.port)
        return Cause(name, f"Bluetooth proxy {self.name}: {words}", error, radio=True)

    # Being a radio

    async def start(self, heard: Heard) -> None:
        """Tell of everything that the device hears from now on."""
        if not self.there:
            raise BleError(self.trouble or self._cause("proxy_lost", LOST, AdapterOff))
        self._heard = heard

    async def stop(self) -> None:
        """Tell no more."""
        self._heard = None
        self._told.clear()

    def _take(self, response: Any) -> None:
        if self._heard is not None:
            for each in response.advertisements:
                self._heard(self._advert(each))

    def _advert(self, raw: Any) -> Advert:
        """Return what is known of a device since the scan began: it tells its name and its services in turns."""
        from bleak.backends.device import BLEDevice
        from bluetooth_data_tools import int_to_bluetooth_address, parse_advertisement_data_bytes

        name, services, data, makers, _ = parse_advertisement_data_bytes(bytes(raw.data))
        address = int_to_bluetooth_address(raw.address).upper()
        before = self._told.get(address) or Advert(address)
        name = name or before.name
        source = self._session.bluetooth_device.mac_address if self._session else ""
        advert = Advert(
            address, name, raw.rssi, tuple(dict.fromkeys((*before.services, *services))), {**before.makers, **makers},
            {**before.service_data, **data}, self.name,
            BLEDevice(address, name, {"source": source, "address_type": raw.address_type}),
            asyncio.get_running_loop().time(),
        )  # fmt: skip
        self._told[address] = advert
        return advert

    def client(
        self, advert: Advert, lost: Callable[[Any], None], pair: bool, services: Sequence[str] | None = None
    ) -> Any:
        """Return bleak's client for a device that the proxy hears; raise BleError when the proxy is away."""
        if not self.there:
            raise BleError(self.trouble or self._cause("proxy_lost", LOST, AdapterOff))
        from bleak import BleakClient
        from bleak_esphome.backend.client import ESPHomeClient

        session, impatient = self._session, self._impatient

        class Client(ESPHomeClient):
            """bleak-esphome's client, which would wait for a device that is gone."""

            def __init__(self, *args: Any, **more: Any) -> None:
                super().__init__(*args, client_data=session, **more)

            async def connect(self, *args: Any, **more: Any) -> None:
                async with impatient():
                    await super().connect(*args, **more)

        return BleakClient(advert.device, lost, pair=pair, backend=Client)

    @contextlib.asynccontextmanager
    async def _impatient(self) -> AsyncIterator[None]:
        """Raise BleError as soon as the device is gone while something waits inside."""
        try:
            async with asyncio.timeout(None) as limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            if limit.expired() and self.trouble:
                raise BleError(self.trouble) from None
            raise
        finally:
            self._limits.discard(limit)

    async def forget(self, advert: Advert) -> None:
        """Let the device and this program forget what services a pack has."""
        from aioesphomeapi import BluetoothProxyFeature

        session = self._session
        if session is None:
            return
        number = int(advert.address.replace(":", ""), 16)
        session.bluetooth_device.cache.clear_gatt_services_cache(number)
        session.bluetooth_device.cache.clear_gatt_mtu_cache(number)
        features = session.device_info.bluetooth_proxy_feature_flags_compat(session.api_version)
        if features & BluetoothProxyFeature.CACHE_CLEARING:
            await session.client.bluetooth_device_clear_cache(number, timeout=ANSWER)

    async def reclaim(self, address: str) -> None:
        """Do nothing: the device itself ends what a program has left behind."""

    async def pairing(self, address: str, policy: str, pin: str) -> None:
        """Refuse what the device cannot do: it pairs without a passkey, or not at all."""
        if policy == "passkey":
            raise BleError(PASSKEY)

    async def restart(self) -> None:
        """Connect to the device anew: it gives up what it lent, and tells again whether it serves us."""
        await self.close()
        self.known.clear()
        self.begin()
        await self.known.wait()
        if self.trouble:
            raise BleError(self.trouble)

    async def close(self) -> None:
        """Leave the device."""
        staying, self._staying = self._staying, None
        if staying is not None:
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)
            self._away(self._cause("proxy_away", "it was closed", AdapterOff))


class _Scanner:
    """What bleak-esphome's client wants of habluetooth's scanner: to be told that a connection is being made."""

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Do nothing about it: the device goes on scanning by itself."""
        yield


async def ready(proxies: Sequence[ProxyRadio]) -> None:
    """Connect to those that nobody connected to yet; come back when it is known, or takes too long, who is there."""
    for proxy in proxies:
        proxy.begin()
    for proxy in proxies:
        await proxy.known.wait()
