"""Each fault by its name, through unmodified bleak: the link works again by itself, in the time that is stated."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import air
import pytest
from bluez import ABORTED, ERROR, FakeAdapter, FakeBluez, FakeDevice
from gateway_on_air import Gateway, gateway, settings

from cellwire.gateway import session
from cellwire.gateway.store import ONLINE, PackState
from cellwire.links.ble import link, radios, recovery

ADDRESS = "A4:C1:38:00:00:01"
OTHER = "A4:C1:38:00:00:02"
PAGE = Path(__file__).parents[2] / "docs" / "bluetooth-recovery.md"

# fault: (the stage or the note in the counters, seconds within which the pack is read again)
STATED = {
    "disconnected in the middle of an answer": ("drops", 15),
    "no notifications, until asked for them again": ("notify_again", 15),
    "no notifications, until connected anew": ("reconnect", 25),
    "no notifications, until the device is removed": ("forget_device", 35),
    "no notifications, until the adapter is restarted": ("restart_adapter", 50),
    "InProgress": ("in_progress", 20),
    "NotReady": ("switch_on", 15),
    "AuthenticationFailed": ("pairing", 20),
    "le-connection-abort-by-local": ("aborted", 20),
    "the device is gone, and back": ("unheard", 45),
    "the adapter is gone, and back": ("no_adapter", 20),
    "the Bluetooth service is restarted": ("no_daemon", 20),
    "the service never answers": ("timeout", 45),
    "fragments lost": ("dropped", 10),
    "fragments doubled": ("dropped", 10),
    "another maker's frames": ("stalled", 20),
    "the same record again and again": ("repeated", 60),
    "no free connection": ("no_slot", 60),
}


def test_the_page_states_what_is_tested() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    stated = {fault.strip(): (counter.strip().strip("`"), within.strip()) for fault, _, counter, within in rows[2:]}
    assert stated == {fault: (counter, f"{seconds} s") for fault, (counter, seconds) in STATED.items()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No module here wants a password, so none is waited for."""
    monkeypatch.setattr(session, "LOGIN", 0.3)


class Shed:
    """A gateway with one pack that is read."""

    def __init__(self, bluez: FakeBluez, pack: air.Peripheral, made: Gateway) -> None:
        self.bluez = bluez
        self.pack = pack
        self.device: FakeDevice = pack.device
        self.made = made

    @property
    def adapter(self) -> FakeAdapter:
        """The adapter."""
        return self.bluez.adapter()

    @property
    def health(self) -> dict[str, Any]:
        """What page and API show of the link."""
        return self.made.wire("shed").session.link.health()

    @property
    def accepted(self) -> int:
        """Samples that were believed so far."""
        return self.made.store.packs["shed"].counts["accepted"]

    def told(self, counter: str) -> int:
        """Return a counter, wherever it stands."""
        health = self.health
        places = (health["counts"], health["causes"], health.get("radio_counts", {}))
        return sum(place.get(counter, 0) for place in (*places, self.made.wire("shed").session.counts))

    async def works(self, samples: int = 2, seconds: float = 30.0) -> None:
        """Wait for more samples."""
        before = self.accepted
        await self.made.until(lambda: self.accepted >= before + samples, seconds)

    @contextlib.asynccontextmanager
    async def recovers(self, fault: str) -> AsyncIterator[None]:
        """Do the fault inside; the pack is read again in time afterwards, and the counters name what it was."""
        counter, seconds = STATED[fault]
        before = self.told(counter)
        yield
        began = time.monotonic()
        await self.works(seconds=seconds)
        assert time.monotonic() - began < seconds
        assert self.told(counter) > before, self.health
        assert self.made.store.state(self.made.store.packs["shed"]) == ONLINE
        assert self.device.connected


def when(who: FakeAdapter | FakeDevice, wanted: str, then: Callable[[], None]) -> None:
    """Do something as soon as a method is called."""
    called = who.called

    def hooked(member: str, uuid: str = "") -> None:
        if member == wanted:
            then()
        called(member, uuid)

    who.called = hooked  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def shed(kind: str = "jbd", adapters: tuple[str, ...] = ("hci0",), **more: Any) -> AsyncIterator[Shed]:
    """Run a gateway whose pack has been read."""
    async with FakeBluez(adapters) as bluez:
        pack = air.pack(bluez, kind, ADDRESS, adapters, **more.pop("device", {}))
        more.setdefault("family", air.KINDS[kind].dialect)
        async with gateway(settings("shed", ADDRESS, **{"every": 0.2, **more})) as made:
            found = Shed(bluez, pack, made)
            await found.works(3)
            yield found
        assert not pack.device.connected, "every end is a graceful one"
        assert not bluez.adapter().discovering


async def test_disconnected_in_the_middle_of_an_answer() -> None:
    async with shed() as run, run.recovers("disconnected in the middle of an answer"):
        said = asyncio.Event()

        def half(data: bytes) -> None:
            run.device.notify(run.pack.notify_uuid, data[:20])
            said.set()

        run.pack.say = half  # type: ignore[method-assign]
        await said.wait()
        del run.pack.say
        await run.device.drop()
        assert run.health["connected"] or run.health["last_cause"]


@pytest.mark.parametrize(
    ("until", "member"),
    [
        ("asked for them again", "StartNotify"),
        ("connected anew", "Connect"),
        ("the device is removed", "RemoveDevice"),
        ("the adapter is restarted", "Powered"),
    ],
)
async def test_no_notifications(until: str, member: str) -> None:
    fault = f"no notifications, until {until}"
    async with shed() as run:
        who = run.device if member in ("StartNotify", "Connect") else run.adapter
        when(who, member, lambda: setattr(run.device, "muted", False))
        async with run.recovers(fault):
            run.device.muted = True
        counts = run.health["counts"]
        stages = ["notify_again", "reconnect", "forget_device", "restart_adapter"]
        needed = stages.index(STATED[fault][0]) + 1
        assert [counts.get(stage, 0) for stage in stages] == [1] * needed + [0] * (4 - needed)


async def test_in_progress() -> None:
    async with shed() as run:
        when(run.adapter, "RemoveDevice", run.device.heal)
        async with run.recovers("InProgress"):
            run.device.fail("Connect", ERROR + "InProgress", "Operation already in progress", times=1000)
            await run.device.drop()
        assert run.adapter.calls["RemoveDevice"] == 1, "it is removed at once"
        assert run.told("in_progress") == 1


async def test_not_ready() -> None:
    async with shed() as run:
        async with run.recovers("NotReady"):
            run.adapter.powered = False
        assert run.adapter.powered


async def test_authentication_failed() -> None:
    async with shed(device={"pairing": "passkey"}, pairing="passkey", pin="123456") as run:
        async with run.recovers("AuthenticationFailed"):
            run.device.keys = False
            await run.device.drop()
        assert run.device.calls["Pair"] == 2, "the old keys are forgotten, and new ones made"


async def test_aborted_while_connecting() -> None:
    async with shed() as run, run.recovers("le-connection-abort-by-local"):
        run.device.fail("Connect", ERROR + "Failed", ABORTED, times=2)
        # bleak tries this one again by itself; the others of its kind it does not
        run.device.fail("Connect", ERROR + "Failed", "le-connection-abort-by-remote", times=2)
        await run.device.drop()


async def test_the_device_is_gone_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(radios, "LISTEN", 0.3)
    monkeypatch.setattr(recovery, "AWAY", (0.0, 0.3, 0.6))
    async with shed() as run:
        async with run.recovers("the device is gone, and back"):
            await run.device.vanish()
            await run.made.until(lambda: run.told("unheard") > 2)
            assert "not heard" in run.health["last_cause"]
            await run.device.appear()
        assert run.adapter.calls["RemoveDevice"] == 0


async def test_the_adapter_is_gone_and_back() -> None:
    async with shed() as run, run.recovers("the adapter is gone, and back"):
        await run.adapter.take_away()
        await run.made.until(lambda: run.told("no_adapter") > 0)
        assert "no Bluetooth adapter" in run.health["last_cause"]
        await run.adapter.bring_back()


async def test_another_adapter_is_taken_when_one_is_gone() -> None:
    async with shed(adapters=("hci0", "hci1")) as run:
        used = run.bluez.adapter(run.health["radio"])
        await used.take_away()
        await run.works(seconds=20)
        assert run.health["radio"] not in ("", used.name)


async def test_the_bluetooth_service_is_restarted() -> None:
    async with shed() as run, run.recovers("the Bluetooth service is restarted"):
        await run.bluez.stop_service()
        await run.made.until(lambda: run.told("no_daemon") > 0)
        assert "does not run" in run.health["last_cause"]
        await run.bluez.start_service()


@pytest.mark.parametrize("member", ["Connect", "StartNotify", "WriteValue"])
async def test_the_service_never_answers(member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("CONNECT", "CHOOSE", "WRITE"):
        monkeypatch.setattr(link, limit, 0.5)
    async with shed() as run, run.recovers("the service never answers"):
        run.device.hang(member)
        if member != "WriteValue":
            await run.device.drop()


async def test_fragments_lost() -> None:
    """A tenth of them: hardly an answer comes whole at once, and none that is not is believed."""
    async with shed() as run, run.recovers("fragments lost"):
        run.pack.lose = 0.1
        lost = run.told("dropped")
        await run.made.until(lambda: run.told("dropped") > lost)
        await run.works()
        assert run.made.store.packs["shed"].reason == ""


async def test_fragments_doubled() -> None:
    async with shed() as run, run.recovers("fragments doubled"):
        run.pack.double = 0.1
        doubled = run.told("dropped")
        await run.made.until(lambda: run.told("dropped") > doubled)
        await run.works()
        assert run.made.store.packs["shed"].reason == ""


async def test_another_makers_frames() -> None:
    async with shed() as run, run.recovers("another maker's frames"):
        run.pack.foreign = bytes.fromhex("7e0d01030c12345678f00d")
        await run.made.until(lambda: run.told("stalled") > 1)
        assert "another maker" in run.made.store.packs["shed"].reason
        run.pack.foreign = b""


async def test_the_same_record_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of a JK goes on to send what it last heard of its BMS, until it is connected to anew."""
    monkeypatch.setattr(session, "REPEATS", 1.0)
    async with shed("jk02") as run:
        frozen = run.pack.twin.answer(b"") or []
        pushes = run.pack.twin.pushes

        def again() -> list[bytes]:
            frozen[:] = frozen or pushes()
            return list(frozen) if pushes() else []

        when(run.device, "Connect", lambda: setattr(run.pack.twin, "pushes", pushes))
        async with run.recovers("the same record again and again"):
            run.pack.twin.pushes = again  # type: ignore[method-assign]
            await run.made.until(lambda: run.told("repeated") > 0 and run.told("stalled") > 0)
        assert run.told("reconnect") == 1


async def test_the_radio_has_no_free_connection() -> None:
    """An adapter that says it bears five, and has one left: the packs share it."""
    async with FakeBluez() as bluez:
        packs = [air.pack(bluez, "jbd", each) for each in (ADDRESS, OTHER)]
        limit(packs[0].device, packs[1].device)
        limit(packs[1].device, packs[0].device)
        names = {"shed": ADDRESS, "garage": OTHER}
        async with gateway(*(settings(name, each, family="jbd", every=0.2) for name, each in names.items())) as made:
            made.radios.turn = 0.5
            for name in 3 * list(names):
                pack = made.store.packs[name]
                wanted = pack.counts["accepted"] + 1
                await made.until(partial(reads, pack, wanted), STATED["no free connection"][1])
            healths = [made.wire(name).session.link.health() for name in names]
            assert sum(health["causes"].get("no_slot", 0) for health in healths) == 1
            assert all(health["radio_counts"] == {"refused": 1} for health in healths)
            assert all(health["period"] > 0 for health in healths)
            assert all(made.store.state(pack) == ONLINE for pack in made.store.packs.values())


def reads(pack: PackState, wanted: int) -> bool:
    """Return whether a pack was read so often."""
    return pack.counts["accepted"] >= wanted


def limit(device: FakeDevice, other: FakeDevice) -> None:
    """Let a device not be connected to while the other one is."""

    def full() -> None:
        if other.connected:
            device.fail("Connect", ERROR + "Failed", "le-connection-concurrent-connection-limit")

    when(device, "Connect", full)
