"""Twins as packs on the air: they answer in fragments, push what they push, and misbehave when they are told to."""

import asyncio
import random
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from bluez import FakeBluez, FakeDevice
from captured import by_dialect, vectors

PUSHED = 0.5  # seconds between two records that a JK sends by itself
JK_FLAGS = ("read", "write-without-response", "notify")


class Twin(Protocol):
    """What a peripheral wants of who plays the pack."""

    def answer(self, data: bytes) -> list[bytes]: ...

    def pushes(self) -> list[bytes]: ...


class Peripheral:
    """Plays a twin on a device.

    mtu      bytes in one notification
    think    seconds until an answer begins
    period   seconds between pushed records
    lose     share of the notifications that are lost; double: that come twice
    between  bytes that come before each pushed record: what modules say to themselves
    foreign  bytes that come instead of every answer: another maker's frames
    deaf     nothing is answered: the BMS behind the module is asleep
    heard    everything that was written to it, by UUID
    """

    def __init__(
        self,
        twin: Twin,
        device: FakeDevice,
        notify_uuid: str,
        mtu: int = 20,
        think: float = 0.01,
        period: float = PUSHED,
        seed: int = 0,
    ) -> None:
        self.twin = twin
        self.device = device
        self.notify_uuid = notify_uuid
        self.mtu = mtu
        self.think = think
        self.period = period
        self.lose = 0.0
        self.double = 0.0
        self.between = b""
        self.foreign = b""
        self.deaf = False
        self.heard: list[tuple[str, bytes]] = []
        self._random = random.Random(seed)
        self._timer: asyncio.TimerHandle | None = None
        device.written = self._written
        device.changed = self._changed

    def _changed(self, connected: bool) -> None:
        """Begin anew with each connection."""
        restarted(self.twin)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if connected:
            self._later(self.period, self._push)

    def _later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        timer = asyncio.get_running_loop().call_later(seconds, call, *arguments)
        if call == self._push:
            self._timer = timer
        return timer

    def _written(self, uuid: str, data: bytes) -> None:
        self.heard.append((uuid, data))
        if self.deaf:
            return
        for reply in self.twin.answer(data):
            if getattr(self.twin, "lost", False):
                self.twin.lost = False  # type: ignore[attr-defined]
                asyncio.get_running_loop().create_task(self.device.drop())
                return
            self._later(self.think, self.say, self.foreign or reply)

    def _push(self) -> None:
        for record in [] if self.deaf else self.twin.pushes():
            if self.between:
                self.device.notify(self.notify_uuid, self.between)
            self.say(self.foreign or record)
        self._later(self.period, self._push)

    def say(self, data: bytes) -> None:
        """Send bytes in fragments, with what goes wrong at present."""
        for at in range(0, len(data), self.mtu):
            if self.lose and self._random.random() < self.lose:
                continue
            for _ in range(2 if self.double and self._random.random() < self.double else 1):
                self.device.notify(self.notify_uuid, data[at : at + self.mtu])


def restarted(twin: Any) -> None:
    """Let who plays a pack know that a connection begins or ends."""
    if hasattr(twin, "restart"):
        twin.restart()
    if hasattr(twin, "_streaming"):
        twin._streaming = False  # a JK wants to be asked again


class Kind(NamedTuple):
    """How a pack of one dialect is on the air."""

    family: str
    dialect: str
    variant: str
    name: str
    services: Sequence[tuple[str, Sequence[tuple[str, Sequence[str]]]]]
    notify: str
    makers: dict[int, bytes]
    mtu: int = 20
    address: int = 1


DALY = [("FFF0", [("FFF1", ("notify",)), ("FFF2", ("write-without-response",))])]
JK = [("FFE0", [("FFE1", JK_FLAGS)])]
JBD = [("FF00", [("FF01", ("read", "notify")), ("FF02", ("read", "write-without-response"))])]
# What the makers put into their advertisements.
JK_MAKER = {0x0B65: bytes.fromhex("88a0c8478c000001")}
DALY_MAKER = {0x0102: bytes.fromhex("0109444c00")}

KINDS = {
    "jk02": Kind("jk", "jk02", "32S", "JK_PB2A16S20P", JK, "FFE1", JK_MAKER, 128),
    "jk02-24s": Kind("jk", "jk02", "24S", "JK-B2A20S20P", JK, "FFE1", JK_MAKER),
    "jk04": Kind("jk", "jk04", "", "JK-B2A16S", JK, "FFE1", JK_MAKER),
    "jbd": Kind("jbd", "jbd", "", "JBD-SP04S020", JBD, "FF01", {}),
    "daly-a5": Kind("daly", "daly-a5", "", "DL-40210D9D6A8B", DALY, "FFF1", DALY_MAKER),
    "daly-d2": Kind("daly", "daly-d2", "", "DL-41181201189F", DALY, "FFF1", DALY_MAKER, 128),
    "daly-p81": Kind("daly", "daly-p81", "", "DL-R16L-000123", DALY, "FFF1", DALY_MAKER, 128),
}


# What one real pack of each kind said, by query; "pushed" is what it goes on to send by itself.
CAPTURED = {
    "jk02": {
        "device": "jk02-32s-device-info-pb2a16s20p-19.27",
        "pushed": "jk02-32s-cell-info-pb2a16s20p-19.27",
        "log": "jk02-32s-logbook",
    },
    "jk02-24s": {
        "device": "jk02-24s-device-info-b2a20s20p-10.08",
        "pushed": "jk02-24s-cell-info-b2a20s20p-10.08",
    },
    "jk04": {"device": "jk04-device-info-b2a16s", "pushed": "jk04-cell-info-b2a16s"},
    "jbd": {"basic": "basic_16s_6ntc_charge", "cells": "cells_16s_chunks", "name": "hwname_vendor"},
    "daly-a5": {
        "status": "a5_94_16s",
        "pack": "a5_90_b",
        "cells": "a5_95_16s_16frames",
        "temperatures": "a5_96_two_frames_one_sensor",
        "mosfets": "a5_93_idle",
        "alarms": "a5_98_none",
        "balancing": "a5_97_none",
    },
    "daly-d2": {"status": "d2_status62_24s", "extension": "d2_ext3e_no_mos", "versions": "d2_version_a"},
    "daly-p81": {"cells": "p81_cells_ess", "status": "p81_status_ess", "versions": "p81_version_ess"},
}


def _vector(kind: str, name: str) -> Any:
    return next(each for each in vectors() if each.family == KINDS[kind].family and each.id == name)


def expected(kind: str) -> dict[str, Any]:
    """Return the readings of all that was captured of a kind."""
    found: dict[str, Any] = {}
    for name in CAPTURED[kind].values():
        row = _vector(kind, name).row
        for frame in row.get("frames", []):
            found.update(frame.get("readings", {}))
        found.update(row.get("readings", {}))
    return found


class Recorded:
    """Says byte by byte what a real pack said, and what nobody captured of it as the simulated one does.

    Only the number of the records that a JK sends by itself is its own.
    """

    def __init__(self, kind: str) -> None:
        self.twin = twin(kind)
        dialect = by_dialect()[KINDS[kind].dialect]
        self._answers: dict[bytes, bytes] = {}
        self._pushed = b""
        for query, name in CAPTURED[kind].items():
            data = _vector(kind, name).data
            if query == "pushed":
                self._pushed = data
            else:
                data += _vector(kind, "jk-command-ack").data if kind.startswith("jk") else b""
                self._answers[dialect.request(dialect.query(query), KINDS[kind].address)] = data

    def restart(self) -> None:
        """Begin a new connection."""
        restarted(self.twin)

    def answer(self, data: bytes) -> list[bytes]:
        """Return what was captured, else what the simulated pack says."""
        found = self._answers.get(data)
        said: list[bytes] = self.twin.answer(data)
        return said if found is None else [found]

    def pushes(self) -> list[bytes]:
        """Return the captured record when it is time for one, counted on: a pack never sends the same twice."""
        records = []
        for own in self.twin.pushes():
            record = self._pushed[:5] + own[5:6] + self._pushed[6:299]
            records.append(record + bytes((sum(record) % 256,)))
        return records


class JbdModule:
    """A JBD Bluetooth module that passes nothing on before it was told its password; written here a second time.

    password  "" when none is set; tries: wrong ones; it is dead for everybody after three of them
    asked     its own frames that came, by command
    """

    ROOT = b"JBDbtpwd!@#2023"

    def __init__(self, played: Twin, address: str, password: str = "123456") -> None:
        self.played = played
        self.password = password
        self.tries = 0
        self.asked: list[int] = []
        self._mac = bytes.fromhex(address.replace(":", ""))
        self._random = random.Random(7)
        self.restart()

    def restart(self) -> None:
        """Begin a new connection."""
        self.open = False
        self._drawn = 0

    def answer(self, data: bytes) -> list[bytes]:
        """Take one write."""
        if data[:2] != b"\xff\xaa":
            return self.played.answer(data) if self.open else []
        command, key = data[2], data[4:-1]
        assert sum(data[2:-1]) % 256 == data[-1]
        self.asked.append(command)
        said = 1
        if self.tries >= 3:
            return []
        if command == 0x15 and key == b"000000":
            said = 0 if self.password else 2
            self.open = not self.password
        elif command == 0x17:
            said = self._drawn = self._random.randrange(256)
        elif command == 0x18:
            right = key == self._mixed(self.password.encode())
            self.tries += not right
            said = int(not right)
            self.open = right
        elif command == 0x1D and self.open and key == self._mixed(self.ROOT):
            said = 0
        body = bytes((command, 1, said))
        return [b"\xff\xaa" + body + bytes((sum(body) % 256,))]

    def _mixed(self, key: bytes) -> bytes:
        mac = self._mac + bytes(len(key))
        return bytes(((one ^ other) + self._drawn) % 256 for one, other in zip(key, mac, strict=False))

    def pushes(self) -> list[bytes]:
        """Return nothing: JBD speaks when spoken to."""
        return []


def twin(kind: str) -> Any:
    """Return a simulated pack, with the values of the captures that it is made from."""
    made = KINDS[kind]
    return import_module(f"cellwire.families.{made.family}.twin").twin(made.dialect, made.address, made.variant)


def device(kind: str, address: str, **more: Any) -> FakeDevice:
    """Return the device that such a pack is on the air."""
    made = KINDS[kind]
    return FakeDevice(address, **{"name": made.name, "services": made.services, "makers": made.makers, **more})


def pack(
    bluez: FakeBluez,
    kind: str,
    address: str = "C8:47:8C:00:00:01",
    adapter: str | Sequence[str] = "hci0",
    played: Twin | None = None,
    **more: Any,
) -> Peripheral:
    """Put a pack on the air: "jk02", "jk02-24s", "jk04", "jbd", "daly-a5", "daly-d2" or "daly-p81".

    played: who plays it instead of the family's twin; more: of FakeDevice
    """
    made = KINDS[kind]
    found = bluez.add(device(kind, address, **more), adapter)
    return Peripheral(played or twin(kind), found, made.notify, made.mtu)
