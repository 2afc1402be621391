"""One pack falls silent: every output stops showing it within three intervals, and shows it again when it is back."""

import asyncio
import re
import urllib.request
from pathlib import Path
from typing import Any

import sunspec2.modbus.client
from mosquitto import listening, mosquitto, needed
from served import free_port, served
from test_app import online, pack, running, written

EVERY = 1.0
LATE = 1.0  # seconds that a busy machine may take to tell it and to ask for it


class Outputs:
    """What the outputs show of the pack "shed"."""

    def __init__(self, web: int, modbus: int, heard: dict[str, str]) -> None:
        self._web = f"http://127.0.0.1:{web}/metrics"
        self._heard = heard
        self._device: Any = sunspec2.modbus.client.SunSpecModbusClientDeviceTCP(
            slave_id=1, ipaddr="127.0.0.1", ipport=modbus, timeout=5.0
        )

    def scan(self) -> None:
        self._device.scan()

    def close(self) -> None:
        self._device.close()

    async def shown(self) -> list[bool]:
        """Return whether the pack is shown: over MQTT, to Prometheus, by SunSpec."""
        mqtt = self._heard.get("cellwire/shed/availability") == "online"
        return [mqtt, await asyncio.to_thread(self._prometheus), await asyncio.to_thread(self._sunspec)]

    def _prometheus(self) -> bool:
        """Return whether there is a voltage in the metrics."""
        with urllib.request.urlopen(self._web, timeout=5) as answer:
            text = answer.read().decode()
        assert re.search(r'^cellwire_pack_up\{[^}]*pack="shed"', text, re.MULTILINE)
        return re.search(r'^cellwire_pack_voltage_volts\{[^}]*pack="shed"', text, re.MULTILINE) is not None

    def _sunspec(self) -> bool:
        """Return whether model 802 has a voltage."""
        model = self._device.models[802][0]
        model.read()
        return model.V.cvalue is not None


async def becomes(outputs: Outputs, wanted: list[bool]) -> None:
    """Wait until all outputs are as wanted."""
    async with asyncio.timeout(20):
        while await outputs.shown() != wanted:
            await asyncio.sleep(0.05)


@needed
async def test_a_silent_pack_is_shown_nowhere_after_three_intervals(tmp_path: Path) -> None:
    modbus = free_port()
    with mosquitto(tmp_path) as broker, served(tmp_path / "port", "jbd") as there:
        more = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\n[modbus]\nlisten = "127.0.0.1:{modbus}"\n'
        shed = pack("shed", there.path).replace("every = 0.2", f"every = {EVERY}")
        path = written(tmp_path, shed, more=more)
        path.write_text(path.read_text(encoding="utf-8").replace("[web]", "[web]\nguests = true"), encoding="utf-8")
        async with running(path) as gateway, listening(broker.port) as heard:
            await online(gateway, "shed")
            gateway._web.site.access.add_user("admin", "battery-house", "service")
            outputs = Outputs(gateway._web.port, modbus, heard.last)
            await asyncio.to_thread(outputs.scan)
            await becomes(outputs, [True, True, True])
            there.simulator.faults = {"silent": 1.0}
            await becomes(outputs, [False, False, False])
            newest = gateway.store.packs["shed"].seen
            assert newest is not None
            assert gateway.store.monotonic() - newest <= 3 * EVERY + LATE
            there.simulator.faults = {}
            await becomes(outputs, [True, True, True])
            await asyncio.to_thread(outputs.close)
