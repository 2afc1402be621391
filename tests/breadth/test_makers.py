"""Packs of more than forty other makers: what the library recorded of them, through the fake air into the store."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import recordings
from bluez import FakeBluez
from recordings import Recorded, RecordedDevice

from cellwire.families import dialects
from cellwire.families.aiobmsble import FLAGS, NUMBERS, SENSORS
from cellwire.gateway.air import radios
from cellwire.gateway.poller import Poller
from cellwire.gateway.session import Session
from cellwire.gateway.store import PackState, Store
from cellwire.links import open_link

pytestmark = pytest.mark.skipif(
    recordings.folder() is None, reason="the library aiobmsble and its recordings are not here: make breadth"
)

RECORDED = recordings.recorded()

# Values made up for the library's tests, that contradict each other: nothing of these packs may be shown.
REJECTED = {
    "cbtpwr_bms": "cells_sum",  # 5 cells make 15.7 V, the pack says 13.4
    "daly_bms-210": "cells_sum",  # 4 cells make 16.6 V, the pack says 14.0
    "jbd_bms": "cells_sum",  # 4 cells make 13.7 V, the pack says 15.6
    "ogt_bms-SmartBat-B12294": "cells_sum",  # 4 cells make 13.2 V, the pack says 45.7
    "pylontech_bms": "cells_sum",  # 2 cells make 6.6 V, the pack says 13.2
}
# What the library works out where the pack does not say it: we do not take that for said.
UNSAID = {
    "ag_bms": ("voltage",),
    "ej_bms": ("voltage",),
    "ejpro_bms": ("voltage",),
    "renogy_bms": ("soc",),
    "renogy_pro_bms": ("soc",),
    "saftkiste_bms": ("soc",),
    # Of cells only the packs inside tell, which are not shown.
    "epoch_pro_bms": ("cell_voltages",),
    "lithionics_bms-fixed_stream": ("cell_voltages",),
    "pace_bms": ("cell_voltages",),
    "seplos_bms": ("cell_voltages",),
}
# The library always gives these, measured or worked out; ours follow from the same values.
WORKED_OUT = ("power", "cell_delta", "cell_count", "remaining_capacity", "energy", "remaining_time", "cycles")


class Answer:
    """What the store has of a pack; the library's test compares it with what it expects."""

    def __init__(self, recorded: Recorded, pack: PackState) -> None:
        self.recorded = recorded
        self.pack = pack
        self.compared = 0

    def __eq__(self, expected: object) -> bool:
        assert isinstance(expected, dict)
        self.compared += 1
        cause = REJECTED.get(self.recorded.name)
        if cause:
            assert self.pack.time is None
            assert not self.pack.readings
            assert self.pack.counts[f"rejected_{cause}"]
        else:
            self._same(expected)
        return True

    __hash__ = None  # type: ignore[assignment]

    def _same(self, expected: dict[str, Any]) -> None:
        found = self.pack.readings
        assert self.pack.time is not None, self.pack.reason
        for theirs, ours in (*NUMBERS, ("cell_voltages", "cell_voltages")):
            if ours in found and ours not in ("power", "cell_delta"):
                assert found[ours] == expected[theirs], ours
            elif theirs in expected and ours not in WORKED_OUT:
                assert ours in UNSAID.get(self.recorded.name, ()), ours
        for theirs, ours in FLAGS:
            assert (theirs in expected) == (ours in found), ours
            assert found.get(ours, False) == bool(expected.get(theirs)), ours
        if "voltage" in found and "current" in found:
            assert found["power"] == pytest.approx(found["voltage"] * found["current"], abs=0.06)
        self._temperatures(expected.get("temp_values", []))

    def _temperatures(self, expected: list[Any]) -> None:
        found = self.pack.readings
        placed = [name for name, _ in SENSORS]
        told: dict[str, list[float]] = {}
        for each in expected:
            told.setdefault(getattr(getattr(each, "type", None), "name", "GENERIC"), []).append(float(each))
        for place, ours in SENSORS:
            if place in told:
                assert found[ours] == max(told[place])
        others = [value for place, values in told.items() if place not in placed for value in values]
        if others and max(others) < 200:
            assert found["temperatures"] == others


@pytest.mark.parametrize("recorded", RECORDED, ids=[each.name for each in RECORDED])
async def test_a_recorded_pack_is_read_whole(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own test runs as it is, but its device is on the fake air, and our whole way reads it."""
    kind = recorded.module.BMS
    answers: list[Answer] = []
    doubles: list[Any] = []

    async with FakeBluez() as bluez:

        class Asked(kind):  # type: ignore[misc, valid-type]
            """What the test takes for the library."""

            ALIVE_INTERVAL = 0
            is_connected = True
            _client = SimpleNamespace(is_connected=True)

            def __init__(self, ble_device: Any, config: Any = None) -> None:
                self.device, self.pin = ble_device, config.secret if config else ""
                self.answer: Answer | None = None

            async def async_update(self, raw: bool = False) -> Answer:
                if self.answer is None:
                    double = doubles[0](self.device, disconnected_callback=None, services=None)
                    played = RecordedDevice(kind, double, self.device.address, self.device.name)
                    bluez.add(played)
                    self.answer = Answer(recorded, await read(recorded.type, played, self.pin))
                    await played.end()
                    answers.append(self.answer)
                return self.answer

            async def disconnect(self, reset: bool = False) -> None:
                """Nothing is connected any more."""

        def shorter(type: str = "", seconds: float = 0.0) -> None:
            """Wait less for what a double does not answer; the bus is not as fast as a double in the same loop."""
            monkeypatch.setattr("aiobmsble.basebms.BaseBMS._RETRY_TIMEOUT", 0.1)

        monkeypatch.setattr("aiobmsble.basebms.BaseBMS._RETRY_TIMEOUT", 0.2)
        monkeypatch.setattr(recorded.module, "BMS", Asked)
        if hasattr(recorded.module, "asyncio"):
            monkeypatch.setattr(recorded.module, "asyncio", recordings.paced())
        arguments = {
            "monkeypatch": monkeypatch,
            "patch_bleak_client": doubles.append,
            "patch_bms_timeout": shorter,
            "keep_alive_fixture": True,
            recorded.parameter: recorded.value,
        }
        await recorded.test(**{name: arguments[name] for name in arguments if name in _wanted(recorded)})
    assert len(answers) == 1
    assert answers[0].compared


def _wanted(recorded: Recorded) -> set[str]:
    code: Any = recorded.test.__code__
    return set(code.co_varnames[: code.co_argcount])


async def read(type: str, device: RecordedDevice, pin: str) -> PackState:
    """Return the pack after it was polled the way the gateway does."""
    air = radios()
    session = Session(open_link(f"aiobmsble:{device.address}?type={type}", air, pin=pin))
    store = Store(time.time, time.monotonic)
    (dialect,) = dialects("aiobmsble")
    poller = Poller(session, dialect, 0, store, store.add(PackState("pack", "aiobmsble", "aiobmsble", 0, 2.0)))
    try:
        await poller.step()
        return poller.pack
    finally:
        await session.close()
        await air.close()


def test_there_are_more_than_forty_makers() -> None:
    shown = {each.type for each in RECORDED if each.name not in REJECTED}
    assert len(shown) >= 40
