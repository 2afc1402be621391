"""Simulated JK packs for all five dialects. Frames and checksums are written here a second time, on purpose."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...codec.table import Record, decode, encode
from . import identifiers, records

Readings = dict[str, Any]

RECORD = b"\x55\xaa\xeb\x90"
COMMAND = b"\xaa\x55\x90\xeb"
TRIGGERS = {0x1620: records.CELLS, 0x161E: records.SETTINGS, 0x161C: records.DEVICE}
BLOCKS = {
    0x10: records.SETTINGS,
    0x11: records.SETTINGS,
    0x12: records.CELLS,
    0x13: records.CELLS,
    0x14: records.DEVICE,
    0x15: records.DEVICE,
}
LAST_MODBUS_ADDRESS = 15
FIRST = {records.SETTINGS: 0x1000, records.CELLS: 0x1200, records.DEVICE: 0x1400}
RCV_TIME = 0x1504

SWITCHES = ("charge_switch", "discharge_switch", "balancer_switch")
# What happens to a write, in the order of asking; at most one does.
FATES = ("refuse", "ignore-writes", "clamp", "drop-after-write")
# Where a written value stands: register -> (record, offset, bytes). Up to 0x20 all JK02 are alike.
JK02_24S = {0x25: (records.SETTINGS, 134, 4), 0x26: (records.SETTINGS, 138, 4), 0x9F: (records.DEVICE, 102, 13)}
JK02_24S.update({0x27 + cell: (records.SETTINGS, 158 + 4 * cell, 4) for cell in range(24)})
JK02_32S = {
    0x21: (records.SETTINGS, 134, 4),
    0x22: (records.SETTINGS, 138, 4),
    0x25: (records.SETTINGS, 274, 4),
    0x37: (records.SETTINGS, 284, 1),
    0x38: (records.SETTINGS, 285, 1),
    0x39: (records.SETTINGS, 286, 1),
    0x3A: (records.SETTINGS, 296, 1),
    0x3B: (records.SETTINGS, 297, 1),
    0xA5: (records.DEVICE, 184, 1),
    0xA6: (records.DEVICE, 185, 1),
    0xA8: (records.DEVICE, 218, 1),
    0xA9: (records.DEVICE, 234, 1),
    0xAA: (records.DEVICE, 235, 1),
    0xAB: (records.DEVICE, 236, 1),
    0xB3: (records.DEVICE, 266, 1),
    0xB4: (records.DEVICE, 267, 1),
    0xB5: (records.DEVICE, 269, 1),
    0xB6: (records.DEVICE, 270, 1),
    0xB7: (records.DEVICE, 278, 1),
}
for number in range(0x01, 0x21):
    JK02_24S[number] = JK02_32S[number] = (records.SETTINGS, 6 + 4 * (number - 1), 4)
JK04 = {
    0x1C: (records.SETTINGS, 34, 1),
    0x20: (records.SETTINGS, 38, 4),
    0x44: (records.SETTINGS, 74, 4),
    0x64: (records.SETTINGS, 106, 4),
    0x68: (records.SETTINGS, 110, 4),
    0x6C: (records.SETTINGS, 114, 1),
}
PLACES = {"24S": JK02_24S, "32S": JK02_32S, "JK04": JK04}
# What a measured value is told to be: register -> (reading, divisor).
TOLD = {
    "24S": {0x21: ("voltage", 1000), 0x24: ("current", 1000)},
    "32S": {
        0x64: ("voltage", 1000),
        0x67: ("current", 1000),
        0x6C: ("clock", 1),
        0x6E: ("soc", 1),
        0x6F: ("soh", 1),
    },
    "JK04": {},
}
EMERGENCY = 0x6B
RESTART, POWER_DOWN, FACTORY_RESET = 0x66, 0x65, 0x9D
PRESETS: dict[int, Readings] = {
    0x68: {
        "cell_overvoltage_limit": 4.2,
        "cell_overvoltage_release": 4.1,
        "cell_undervoltage_limit": 2.8,
        "cell_undervoltage_release": 3.2,
    },
    0x69: {
        "cell_overvoltage_limit": 3.6,
        "cell_overvoltage_release": 3.4,
        "cell_undervoltage_limit": 2.6,
        "cell_undervoltage_release": 2.8,
    },
    0x6A: {
        "cell_overvoltage_limit": 2.7,
        "cell_overvoltage_release": 2.6,
        "cell_undervoltage_limit": 1.8,
        "cell_undervoltage_release": 2.0,
    },
}
ACTIONS = (RESTART, POWER_DOWN, FACTORY_RESET, *PRESETS)

# The captures that a twin starts from, by layout and record type.
BASES = {
    "32S": {
        records.CELLS: "pb-status-addr3-15.41-310-bytes",
        records.SETTINGS: "pb-settings-addr3-15.41",
        records.DEVICE: "pb-about-addr3-15.41",
        records.LOG: "jk02-32s-logbook",
    },
    "24S": {
        records.CELLS: "jk02-24s-cell-info-b2a20s20p-10.08",
        records.SETTINGS: "jk02-24s-settings-bd6a17s6p-7.1.0h",
        records.DEVICE: "jk02-24s-device-info-b2a20s20p-10.08",
    },
    "JK04": {
        records.CELLS: "jk04-cell-info-b2a16s",
        records.SETTINGS: "jk04-settings-b5a24s",
        records.DEVICE: "jk04-device-info-b2a16s",
    },
}
UART_BASE = "uart-status-16s-sw7.1.0h"
TABLES = {
    "32S": (records.CELLS_32S_14, records.SETTINGS_32S, records.DEVICE_32S),
    "24S": (records.CELLS_24S, records.SETTINGS_24S, records.DEVICE_OLD),
    "JK04": (records.CELLS_04, records.SETTINGS_04, records.DEVICE_OLD),
}
# (cell slots, width of a cell, first lead resistance)
LAYOUTS = {"32S": (32, 2, 80), "24S": (24, 2, 64), "JK04": (24, 4, 102)}

_captures: dict[str, bytes] = {}


def twin(dialect: str, address: int, variant: str = "") -> "Twin":
    """Return a pack that answers in that dialect; variant "24S" or "32S" (the default) is for jk02."""
    if dialect == "jk-uart":
        return UartTwin(address)
    if dialect in ("jk-pb", "jk-modbus"):
        bus = BusTwin(address, "32S")
        # A real PB pack speaks both, so a scan would name it by the first; this one is for trying the second.
        bus.triggers = dialect == "jk-pb"
        return bus
    return BluetoothTwin(address, "JK04" if dialect == "jk04" else variant or "32S")


def _capture(name: str) -> bytes:
    if not _captures:
        path = Path(__file__).with_name("vectors.json")
        for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
            _captures[vector["id"]] = bytes.fromhex(vector.get("hex") or "".join(vector["chunks"]))
    return _captures[name]


def _crc(data: bytes) -> bytes:
    remainder = 0xFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xA001 if remainder & 1 else 0)
    return remainder.to_bytes(2, "little")


class Twin:
    """A simulated pack: shows `values`; `zero` makes it answer as just woken up."""

    def __init__(self, address: int, variant: str) -> None:
        self.address = address
        self.values: Readings = {}
        self.zero = False
        self.mood: Callable[[str], bool] = lambda fault: False
        self.lost = False
        self.variant = variant
        self.off = False  # shut down: only somebody at the pack could start it again
        self._buffer = b""

    def answer(self, data: bytes) -> list[bytes]:
        """Take bytes from the line; return one element for each answer."""
        if self.off:
            return []
        self._buffer = (self._buffer + data)[-1024:]
        replies: list[bytes] = []
        while self._step(replies):
            pass
        return replies

    def pushes(self) -> list[bytes]:
        """Return what the pack sends unasked now."""
        return []

    def _step(self, replies: list[bytes]) -> bool:
        """Take one frame or one wrong byte off the buffer; False when more bytes are needed."""
        raise NotImplementedError

    def _fate(self) -> str:
        """Return what happens to a write that has just come, "" when it is simply obeyed."""
        return next((fault for fault in FATES if self.mood(fault)), "")

    def _switch(self, reading: str, on: bool) -> None:
        """Do what a switch does: the battery learns it from the values, and the MOSFET follows."""
        self.values[reading] = on
        if reading != "balancer_switch":
            self.values[reading.replace("switch", "mosfet")] = on


class RecordTwin(Twin):
    """A pack that keeps the three records, in whatever layout `variant` says now."""

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        self._real = variant
        self._counter = 0
        self._made()

    def _made(self) -> None:
        """Be as the pack left the factory."""
        self._written: Readings = {}  # settings that the model of the battery would show otherwise
        self._told: Readings = {}  # how much more than the model of the battery a measured value shows
        self._emergency = 0  # runtime at which the emergency mode ends
        self._bases = {
            layout: {key: _capture(name)[:300] for key, name in names.items()} for layout, names in BASES.items()
        }
        if self._real == "32S":
            settings = bytearray(self._bases["32S"][records.SETTINGS])
            settings[270] = self.address & 0xFF
            self._bases["32S"][records.SETTINGS] = bytes(settings)
        if self._real == "24S":
            # The captured pack balances from below its undervoltage limit on, where nobody may set it back to.
            self._bases["24S"][records.SETTINGS] = encode(
                records.SETTINGS_24S, {"balance_start": 3.4}, self._bases["24S"][records.SETTINGS]
            )

    def _body(self, key: int) -> bytes:
        """Return what the pack says now, without header, counter and checksum in order."""
        # Device info and log book stay what the pack is; a wrong variant is what the fault is about.
        there = key in (records.CELLS, records.SETTINGS) and self.variant in TABLES
        body = self._image(key, self.variant if there else self._real)
        return bytes(300) if body and self.zero else body

    def _image(self, key: int, layout: str = "") -> bytes:
        """Return what the pack has in a record, in its own layout when none is given."""
        layout = layout or self._real
        base = self._bases[layout].get(key)
        if base is None:
            return b""
        if key == records.LOG:
            return base
        table = _table(key, layout)
        shown = self._shown()
        for reading, factor in records.SECONDS:
            if reading in shown:
                shown[reading] = shown[reading] / factor
        if key == records.CELLS:
            return self._cells(table, layout, shown, base)
        if key == records.SETTINGS:
            if "cell_voltages" in shown:
                shown.setdefault("cell_count_setting", len(shown["cell_voltages"]))
            # The address is the DIP switches'.
            shown.pop("device_address", None)
        if key == records.DEVICE and self._real != "JK04":
            # Packs on one line differ in the last digits.
            shown.setdefault("serial_number", f"{base[86:94].decode()}{self.address:03}")
        if "production_date" in shown:
            shown["production_date"] = shown["production_date"].replace("-", "")[2:]
        return encode(table, shown, base)

    def _shown(self) -> Readings:
        """Return the readings of the battery, changed by what was written."""
        shown = {**self.values, **self._written}
        runtime = self.values.get("runtime", 0)
        for reading, more in self._told.items():
            shown[reading] = (runtime if reading == "clock" else shown.get(reading, 0)) + more
        if "soc" in self._told:
            shown["soc"] = min(100, max(0, shown["soc"]))
            if "full_capacity" in shown:
                shown["remaining_capacity"] = shown["full_capacity"] * shown["soc"] / 100
        if self._emergency:
            shown["emergency_countdown"] = max(0, self._emergency - runtime)
        return shown

    def _cells(self, table: Record, layout: str, shown: Readings, base: bytes) -> bytes:
        slots, width, leads = LAYOUTS[layout]
        data = bytearray(base)
        if "cell_voltages" in shown:
            shown["cell_voltages"] = shown["cell_voltages"][:slots]
            count = len(shown["cell_voltages"])
            data[6 : 6 + slots * width] = bytes(slots * width)
            for cell in range(count, slots):
                data[leads + width * cell : leads + width * (cell + 1)] = bytes(width)
            shown["cell_resistances"] = shown.get("cell_resistances", [])[:count]
            shown["cell_mask"] = (1 << count) - 1
            cells = [cell or 0.0 for cell in shown["cell_voltages"]]
            if cells:
                shown["cell_mean"] = sum(cells) / count
                shown["cell_delta"] = max(cells) - min(cells)
                shown["cell_max_number"] = cells.index(max(cells)) + 1
                shown["cell_min_number"] = cells.index(min(cells)) + 1
        sensors = shown.pop("temperatures", None)
        if sensors is not None and layout != "JK04":
            four = [index < len(sensors) and sensors[index] is not None for index in (0, 1, 3, 4)]
            raws = [
                round(sensors[index] * 10) if fitted else records.NO_SENSOR
                for index, fitted in zip((0, 1, 3, 4), four, strict=True)
            ]
            struct.pack_into("<hh", data, 130 if layout == "24S" else 162, *raws[:2])
            if layout == "32S":
                struct.pack_into("<hh", data, records.T4, *raws[2:])
        if "balancing" in shown and "balance_state" not in shown:
            shown["balance_state"] = "charging" if shown["balancing"] else "off"
        data = bytearray(encode(table, shown, bytes(data)))
        if layout != "JK04" and "voltage" in shown and "current" in shown:
            at = 122 if layout == "24S" else 154
            struct.pack_into("<I", data, at, round(abs(shown["voltage"] * shown["current"]) * 1000))
        if layout == "32S" and "voltage" in shown:
            struct.pack_into("<H", data, 234, round(shown["voltage"] * 100) & 0xFFFF)
        return bytes(data)

    def _record(self, key: int) -> bytes:
        """Return the whole record with its checksum, b"" when the pack has none of the kind."""
        body = self._body(key)
        if not body:
            return b""
        data = RECORD + bytes((key, self._counter & 0xFF)) + body[6:299]
        return data + bytes((sum(data) % 256,))

    def _keep(self, key: int, data: bytes, clamp: bool = False) -> None:
        """Make the bytes the new base of the record, and show what changed, whatever the battery says."""
        table = _table(key, self._real)
        old = self._image(key)
        if clamp:
            data = _halfway(table, old, data)
        before, after = decode(table, old), decode(table, data)
        self._bases[self._real][key] = data
        factors = dict(records.SECONDS)
        for reading, value in after.items():
            if before.get(reading) == value or not isinstance(value, bool | int | float):
                continue
            if reading in SWITCHES:
                self._switch(reading, bool(value))
            else:
                self._written[reading] = value * factors.get(reading, 1)

    def _tell(self, reading: str, value: float, clamp: bool) -> None:
        """Have a measured value show what it was told to be, and follow the battery from there."""
        now = decode(_table(records.CELLS, self._real), self._image(records.CELLS))[reading]
        if reading == "current" and now < 0:
            value = -value
        if clamp:
            value = (now + value) / 2
        model = self.values.get("runtime" if reading == "clock" else reading)
        if model is None:
            self._written[reading] = value
        else:
            self._told[reading] = value - model

    def _emerge(self, on: bool) -> None:
        """Begin or end the emergency mode."""
        minutes = self._image(records.DEVICE)[269]
        self._emergency = self.values.get("runtime", 0) + minutes * 60 if on else 0


def _table(key: int, layout: str) -> Record:
    return TABLES[layout][{records.CELLS: 0, records.SETTINGS: 1, records.DEVICE: 2}[key]]


def _halfway(table: Record, old: bytes, new: bytes) -> bytes:
    """Return the new record with every changed number half-way between the old and the new one."""
    fields = [(row[1], row[2]) for row in table.numbers if row[0] != "control_bits"]
    for row in table.lists:
        width = struct.calcsize(row[2])
        fields += [(row[1] + width * index, row[2]) for index in range(24)]
    data = bytearray(new)
    for at, form in fields:
        before, after = struct.unpack_from(form, old, at)[0], struct.unpack_from(form, new, at)[0]
        if before != after:
            middle = (before + after) / 2
            struct.pack_into(form, data, at, middle if form[1] == "f" else int(middle))
    return bytes(data)


class BluetoothTwin(RecordTwin):
    """JK02 or JK04: answers commands with records, acknowledges each, and streams cell info once asked."""

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        self._streaming = False

    def hush(self) -> None:
        """Send nothing unasked any more: the connection in which it was asked for is over."""
        self._streaming = False

    def pushes(self) -> list[bytes]:
        """Return the next cell info record of the stream."""
        if self.off or not self._streaming:
            return []
        self._counter += 1
        return [self._record(records.CELLS)]

    def _step(self, replies: list[bytes]) -> bool:
        start = self._buffer.find(COMMAND)
        if start < 0:
            self._buffer = self._buffer[-3:]
            return False
        frame = self._buffer[start : start + 20]
        if len(frame) < 20:
            self._buffer = self._buffer[start:]
            return False
        if sum(frame[:19]) % 256 != frame[19] or frame[5] > 13:
            self._buffer = self._buffer[start + 1 :]
            return True
        self._buffer = self._buffer[start + 20 :]
        acknowledgement = COMMAND + b"\xc8\x01\x01" + bytes(12)
        acknowledgement += bytes((sum(acknowledgement) % 256,))
        register, value = frame[4], frame[6 : 6 + frame[5]]
        if not value and register not in ACTIONS:
            replies.append(self._tell_record(register) + acknowledgement)
        elif self._obey(register, value):
            replies.append(acknowledgement)
        return True

    def _tell_record(self, register: int) -> bytes:
        asked = {0x97: records.DEVICE, 0x96: records.SETTINGS, 0xA1: records.LOG}
        if register not in asked:
            return b""
        self._streaming = self._streaming or register == 0x96
        return self._record(asked[register])

    def _obey(self, register: int, value: bytes) -> bool:
        """Do what a write wants; return whether the pack says yes. No pack was ever seen to say no."""
        fate = self._fate()
        if fate == "refuse":
            return False
        if fate != "ignore-writes":
            if value:
                self._write(register, value, fate == "clamp")
            elif self._real == "32S":
                self._act(register)
        self.lost = fate == "drop-after-write"
        return True

    def _act(self, action: int) -> None:
        if action == POWER_DOWN:
            self.off = True
        elif action == RESTART:
            self._streaming, self._emergency = False, 0
        elif action == FACTORY_RESET:
            self._made()
        elif action in PRESETS:
            data = self._image(records.SETTINGS)
            self._keep(records.SETTINGS, encode(_table(records.SETTINGS, self._real), PRESETS[action], data))

    def _write(self, register: int, value: bytes, clamp: bool) -> None:
        """Put a written value where the pack shows it; pass over what is not known."""
        told = TOLD[self._real].get(register)
        if told is not None:
            reading, divisor = told
            self._tell(reading, int.from_bytes(value, "little") / divisor, clamp)
        elif self._real == "32S" and register == EMERGENCY:
            self._emerge(value[0] != 0)
        elif self._real == "32S" and 0x27 <= register <= 0x36:
            data = bytearray(self._image(records.SETTINGS))
            word = struct.unpack_from("<H", data, 282)[0] & ~(1 << register - 0x27)
            struct.pack_into("<H", data, 282, word | (value[0] & 1) << register - 0x27)
            self._keep(records.SETTINGS, bytes(data))
        elif register in PLACES[self._real]:
            key, at, size = PLACES[self._real][register]
            data = bytearray(self._image(key))
            data[at : at + size] = value[:size]
            self._keep(key, bytes(data), clamp)


class BusTwin(RecordTwin):
    """A PB pack on RS485: reads and writes by Modbus, and unless `triggers` is off answers triggers with records."""

    triggers = True

    def _step(self, replies: list[bytes]) -> bool:
        buffer = self._buffer
        if len(buffer) < 8:
            return False
        address, function = buffer[0], buffer[1]
        size = 8 if function == 3 else 9 + buffer[6] if function == 16 else 0
        if not size or size > 255 or not 1 <= address <= LAST_MODBUS_ADDRESS:
            self._buffer = buffer[1:]
            return True
        if len(buffer) < size:
            return False
        frame = buffer[:size]
        if _crc(frame[:-2]) != frame[-2:]:
            self._buffer = buffer[1:]
            return True
        self._buffer = buffer[size:]
        if address == self.address:
            register, words = struct.unpack_from(">HH", frame, 2)
            reply = self._read(register, words) if function == 3 else self._write(register, words, frame[7:-2])
            replies.append(reply)
        return True

    def _sealed(self, data: bytes) -> bytes:
        frame = bytes((self.address,)) + data
        return frame + _crc(frame)

    def _read(self, register: int, words: int) -> bytes:
        key = BLOCKS.get(register >> 8)
        at = register - FIRST[key] + 6 if key is not None else 0
        if key is None or at + 2 * words > 299:
            return self._sealed(b"\x83\x02")
        if not 1 <= words <= 40:
            return self._sealed(b"\x83\x03")
        image = self._turned(key, self._body(key))
        return self._sealed(bytes((3, 2 * words)) + image[at : at + 2 * words])

    def _write(self, register: int, words: int, payload: bytes) -> bytes:
        echo = self._sealed(struct.pack(">BHH", 16, register, words))
        if register in TRIGGERS:
            if not self.triggers:
                return self._sealed(b"\x90\x02")
            return self._record(TRIGGERS[register]) + echo
        key = BLOCKS.get(register >> 8)
        if key is None or key == records.CELLS:
            return self._sealed(b"\x90\x02")
        if register == RCV_TIME and payload[0] == 0:
            return self._sealed(b"\x90\x03")
        at = register - FIRST[key] + 6
        if at + len(payload) > 299:
            return self._sealed(b"\x90\x02")
        fate = self._fate()
        if fate == "refuse":
            return self._sealed(b"\x90\x03")
        if fate != "ignore-writes":
            image = bytearray(self._turned(key, self._image(key)))
            image[at : at + len(payload)] = payload
            self._keep(key, self._turned(key, bytes(image)), fate == "clamp")
        self.lost = fate == "drop-after-write"
        return echo

    def _turned(self, key: int, data: bytes) -> bytes:
        """Return the record with the bytes of each word in the other order."""
        table = _table(key, "32S")
        turned = bytearray(data)
        fields: set[tuple[int, int]] = set()
        rows: tuple[tuple[Any, ...], ...] = table.numbers + table.choices + table.masks + table.alarms
        for row in rows:
            fields.add((row[1], struct.calcsize(row[2])))
        for row in table.lists:
            width = struct.calcsize(row[2])
            count = row[5] if isinstance(row[5], int) else 32
            fields.update((row[1] + width * index, width) for index in range(count))
        if key == records.SETTINGS:
            fields.update((row[1], row[2]) for row in records.SWITCHES + records.CONTROLS)
        if key == records.CELLS:
            fields.update(((154, 4), (records.T4, 2), (records.T5, 2), (254, 2), (234, 2)))
        for at, width in fields:
            turned[at : at + width] = data[at : at + width][::-1]
        return bytes(turned)


class UartTwin(Twin):
    """The UART socket: lists of identifiers; writes only after a password frame."""

    def __init__(self, address: int) -> None:
        super().__init__(address, "")
        self._base = _capture(UART_BASE)[11:-9]
        self._open = False

    def _step(self, replies: list[bytes]) -> bool:
        start = self._buffer.find(b"NW")
        if start < 0:
            self._buffer = self._buffer[-1:]
            return False
        self._buffer = self._buffer[start:]
        if len(self._buffer) < 4:
            return False
        size = int.from_bytes(self._buffer[2:4], "big") + 2
        if not 20 <= size <= 602:
            self._buffer = self._buffer[1:]
            return True
        if len(self._buffer) < size:
            return False
        frame = self._buffer[:size]
        if frame[-5] != 0x68 or sum(frame[:-4]) % 65536 != int.from_bytes(frame[-2:], "big"):
            self._buffer = self._buffer[1:]
            return True
        self._buffer = self._buffer[size:]
        if frame[10] == 0:
            reply = self._obey(frame[8], frame[11:-9])
            if reply:
                replies.append(reply)
        return True

    def _obey(self, command: int, body: bytes) -> bytes:
        if command == 5:
            self._open = True
            return b""
        if command in (3, 6):
            identifier = body[0] if body else 0
            return self._frame(command, self._body() if command == 6 or identifier == 0 else self._one(identifier))
        if command == 2 and self._open and body:
            names = {0xAB: "charge_switch", 0xAC: "discharge_switch"}
            if body[0] not in names or len(body) != 2:
                return b""
            fate = self._fate()
            if fate == "refuse":
                return b""
            if fate != "ignore-writes":
                at = identifiers.walk(self._base)[body[0]]
                self._base = self._base[:at] + body[1:] + self._base[at + 1 :]
                self._switch(names[body[0]], bool(body[1]))
            self.lost = fate == "drop-after-write"
            return self._frame(2, body[:1])
        return b""

    def _one(self, identifier: int) -> bytes:
        body = self._body()
        at = identifiers.walk(body).get(identifier)
        if at is None:
            return bytes((identifier,))
        width = 1 + body[at] if identifier == identifiers.CELLS else identifiers.WIDTHS[identifier]
        return body[at - 1 : at + width]

    def _body(self) -> bytes:
        shown = dict(self.values)
        body = self._base
        if "cell_voltages" in shown:
            at = identifiers.walk(body)[identifiers.CELLS]
            block = b""
            for index, volts in enumerate(shown["cell_voltages"]):
                block += struct.pack(">BH", index + 1, round((volts or 0.0) * 1000))
            body = body[:at] + bytes((len(block),)) + block + body[at + 1 + body[at] :]
            shown["cell_count"] = len(shown["cell_voltages"])
            shown.setdefault("cell_count_setting", shown["cell_count"])
        offsets = identifiers.walk(body)
        if self.zero:
            return self._zeroed(body, offsets)
        for reading in ("production_date", "software_version", "model", "device_address", "protocol_version"):
            shown.pop(reading, None)
        if "runtime" in shown:
            shown["runtime"] = shown["runtime"] // 60
        if "mosfet_temperature" in shown:
            shown["mosfet_temperature"] = self._degrees(shown["mosfet_temperature"])
        data = bytearray(encode(identifiers.placed(offsets), shown, body))
        for identifier, degrees in zip((0x81, 0x82), shown.get("temperatures", ()), strict=False):
            if degrees is not None:
                struct.pack_into(">H", data, offsets[identifier], self._degrees(degrees))
        if "current" in shown:
            raw = round(abs(shown["current"]) * 100) & 0x7FFF
            struct.pack_into(">H", data, offsets[0x84], raw | (0x8000 if shown["current"] > 0 else 0))
        return bytes(data)

    @staticmethod
    def _degrees(value: float) -> int:
        whole = round(value)
        return whole if whole >= 0 else 100 - whole

    @staticmethod
    def _zeroed(body: bytes, offsets: dict[int, int]) -> bytes:
        data = bytearray(body)
        for identifier, at in offsets.items():
            if identifier == identifiers.CELLS:
                for index in range(at + 1, at + 1 + body[at], 3):
                    data[index + 1 : index + 3] = b"\x00\x00"
            else:
                width = identifiers.WIDTHS[identifier]
                data[at : at + width] = bytes(width)
        return bytes(data)

    def _frame(self, command: int, body: bytes) -> bytes:
        size = len(body) + 18
        data = b"NW" + size.to_bytes(2, "big") + bytes((0, 0, 0, 0, command, 0, 1)) + body
        data += b"\x00\x00\x00\x00\x68"
        return data + b"\x00\x00" + (sum(data) % 65536).to_bytes(2, "big")
