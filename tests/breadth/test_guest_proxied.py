"""A pack that the library aiobmsble reads, through an ESPHome proxy: the library's clients are made by our radios."""

import pytest
import recordings
from bluez import FakeDevice

pytestmark = pytest.mark.skipif(
    recordings.folder() is None, reason="the library aiobmsble and its recordings are not here: make breadth"
)

ADDRESS = "C8:47:80:15:D8:34"


async def test_it_is_read_through_a_proxy() -> None:
    from fakeproxy import FakeProxy
    from proxied import lends, reading, settings

    services = [("FFE0", [("FFE1", ("notify",)), ("FFE2", ("write-without-response",))])]
    device = FakeDevice(ADDRESS, "R-24100BNN160-A00643", services, makers={0x585A: bytes.fromhex("c8478015d834")})
    frame = bytes(recordings.double("redodo_bms", device.name)._RESP)
    device.written = lambda uuid, data: device.notify("FFE1", frame)
    async with FakeProxy() as proxy:
        proxy.add(device)
        van = settings("van", ADDRESS, link=f"aiobmsble:{ADDRESS}")
        async with reading([van], [lends(proxy)]) as gateway:
            await gateway.until(lambda: "model" in gateway.store.packs["van"].readings)
            assert gateway.readings("van")["voltage"] == 26.556
            assert gateway.wire("van").session.link.health()["radio"] == "kitchen"
            assert len(proxy.held) == 1
        assert proxy.held == []
