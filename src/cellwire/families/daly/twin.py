"""Simulated Daly packs of the three dialects: they show what they are told, and obey what is written to them.

Payloads are captured ones with the present values laid over them; frames and checksums are written a second time here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ...codec.table import SIZES, decode, encode
from . import a5, registers
from .alarms import K_1, K_2, K_LEVELS_1, K_LEVELS_2, levels_of
from .dates import clock_bytes, clock_seconds

Readings = dict[str, Any]

# What no capture shows: limits of an LFP pack.
DEFAULTS: Readings = {
    "cell_overvoltage_warning": 3.55,
    "cell_overvoltage_limit": 3.65,
    "cell_undervoltage_warning": 2.8,
    "cell_undervoltage_limit": 2.5,
    # Below the raw zero, as some boards keep them.
    "charge_overcurrent_warning": -100.0,
    "charge_overcurrent_limit": -120.0,
    "discharge_overcurrent_warning": 150.0,
    "discharge_overcurrent_limit": 180.0,
    "temperature_limits_raw": [95, 105, 38, 35, 100, 110, 25, 20],
    "soc_limits_raw": [1000, 1000, 100, 50],
    "cell_delta_warning": 0.3,
    "cell_delta_limit": 0.5,
    "temperature_delta_warning": 15,
    "temperature_delta_limit": 20,
    "balance_start": 3.4,
    "balance_delta": 0.01,
    "software_version": "30_231111_200B",
    "hardware_version": "DL-R32S-P16S",
}
CLOCK_AT_START = 190_000_000
SETTINGS_OF_A5 = range(0x10, 0x21)
SOC_AND_CLOCK = 0x21
MOSFETS = {0xD9: "discharge", 0xDA: "charge"}
RESTART = 0x00
BOARD_NUMBER = 0x100
# What stood behind the first byte in a captured reply to D9: memory of an older reply.
STALE = bytes.fromhex("0d130d210d17c0")


def twin(dialect: str, address: int, variant: str = "") -> "Twin":
    """Return a twin of the dialect. A5: address 1 to 16, or 0x80 for a board that answers the app's address only;
    variant "ble16" sends 16 frames of cells always, as older Bluetooth modules do. P81: 1 to 16. D2: no address."""
    kinds = {"daly-a5": A5Twin, "daly-d2": D2Twin, "daly-p81": P81Twin}
    return kinds[dialect](address, variant)


def _middle(before: int, wanted: int) -> int:
    return (before + wanted) // 2


def _halfway(record: Any, before: bytes, wanted: bytes) -> bytes:
    """Return a payload whose numbers lie half-way between two others."""
    data = bytearray(wanted)
    for row in record.numbers:
        place = slice(row[1], row[1] + SIZES[row[2][1]])
        middle = _middle(int.from_bytes(before[place], "big"), int.from_bytes(wanted[place], "big"))
        data[place] = middle.to_bytes(place.stop - place.start, "big")
    return _clock_halfway(bytes(data), before) if record is a5.CLOCK else bytes(data)


def _clock_halfway(wanted: bytes, before: bytes) -> bytes:
    """Return a payload whose clock, its first six bytes, lies half-way between two others."""
    old, new = clock_seconds(before, 0), clock_seconds(wanted, 0)
    if old is None or new is None:
        return wanted
    return clock_bytes(_middle(old, new)) + wanted[6:]


def _captures() -> dict[str, bytes]:
    """Return the bytes of all vectors by id."""
    path = Path(__file__).with_name("vectors.json")
    rows = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return {row["id"]: bytes.fromhex("".join(row["chunks"]) if "chunks" in row else row["hex"]) for row in rows}


def _pack_limits(shown: Readings, cell_limits: Readings) -> Readings:
    """Return limits of the pack that fit those of its cells."""
    cells = shown.get("cell_count", 16)
    kinds = [over + kind for over in ("overvoltage", "undervoltage") for kind in ("_warning", "_limit", "_release")]
    return {
        "pack_" + name: round(cells * cell_limits["cell_" + name], 1) for name in kinds if "cell_" + name in cell_limits
    }


class Twin:
    """What the three have in common: values, what was written, and the bytes that wait for more.

    written  readings that were written and that no switch of the battery keeps
    """

    def __init__(self, address: int, variant: str) -> None:
        self.address = address
        self.variant = variant
        self.zero = False
        self.mood: Callable[[str], bool] = lambda fault: False
        self.lost = False
        self.values: Readings = {}
        self.written: Readings = {}
        self._soc_offset = 0.0
        self._heartbeat = 0
        self._buffer = b""

    def answer(self, data: bytes) -> list[bytes]:
        """Return what the pack sends after these bytes, one element for each question."""
        self._buffer += data
        replies = []
        while self._buffer:
            length = self._length()
            if length > len(self._buffer):
                break
            if length == 0:
                self._buffer = self._buffer[1:]
                continue
            request, self._buffer = self._buffer[:length], self._buffer[length:]
            reply = self._reply(request)
            if reply:
                replies.append(reply)
        return replies

    def pushes(self) -> list[bytes]:
        """Return nothing: a Daly speaks when spoken to."""
        return []

    def _length(self) -> int:
        """Return the length of the request at the start of the buffer, 0 when none is there for us."""
        raise NotImplementedError

    def _reply(self, request: bytes) -> bytes:
        raise NotImplementedError

    def _shown(self) -> Readings:
        """Return the values with what follows from them, as the device works it out itself."""
        shown = dict(self.values)
        cells, sensors = shown.get("cell_voltages"), shown.get("temperatures")
        if cells:
            shown.setdefault("cell_count", len(cells))
            fitted = [volts for volts in cells if volts is not None]
            shown["cell_max"], shown["cell_min"] = max(fitted), min(fitted)
            shown["cell_max_number"] = cells.index(max(fitted)) + 1
            shown["cell_min_number"] = cells.index(min(fitted)) + 1
            shown["cell_delta"] = max(fitted) - min(fitted)
            shown["cell_mean"] = sum(fitted) / len(fitted)
        if sensors:
            shown["temperatures"] = sensors = sensors[:8]
            shown["sensor_count"] = len(sensors)
            warm = [celsius for celsius in sensors if celsius is not None]
            if warm:
                shown["temperature_max"], shown["temperature_min"] = max(warm), min(warm)
                shown["temperature_max_number"] = sensors.index(max(warm)) + 1
                shown["temperature_min_number"] = sensors.index(min(warm)) + 1
        if "soc" in shown:
            shown["soc"] = min(100.0, max(0.0, shown["soc"] + self._soc_offset))
        if "balancing" in shown:
            shown["balance_mode"] = int(shown["balancing"])
        self._heartbeat = (self._heartbeat + 1) % 256
        shown["heartbeat"] = self._heartbeat
        return shown | self.written

    def _fate(self) -> str:
        """Return what becomes of a write: "" when it is obeyed, else the fault. To be asked once a write."""
        for fault in ("refuse", "ignore-writes", "clamp"):
            if self.mood(fault):
                return fault
        self.lost = self.mood("drop-after-write")
        return ""

    def _set_soc(self, soc: float) -> None:
        self._soc_offset = soc - self.values["soc"] if "soc" in self.values else 0.0

    def _switch(self, name: str, on: bool) -> None:
        if name in ("heating", "fan", "current_limiter"):
            self.written[name] = on
            return
        self.values[name + "_switch"] = on
        if name != "balancer":
            self.values[name + "_mosfet"] = on


class A5Twin(Twin):
    """A board with 13-byte frames."""

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        self.board = 1 if address == 0x80 else address
        self.hosts = (0x80,) if address == 0x80 else (0x80, 0x40) if address == 1 else (0x3F + address,)
        self.payloads: dict[int, bytes] = {
            data[2]: data[4:12]
            for name, data in _captures().items()
            if name.startswith("a5_") and len(data) == 13 and data[1] == 1 and data[2] not in a5.PARTS
        }
        for command in range(0x59, 0x60):
            self.payloads[command] = encode(a5.RECORDS[command], DEFAULTS)
        self.payloads[0xD8] = bytes(8)
        self.settled: set[int] = set()  # settings that were written: they are the pack's own from then on
        # A captured moment to stand on, until values are given.
        self.values = {"cell_voltages": [3.3] * 16, "temperatures": [21, 22], "cell_count": 16, "sensor_count": 2}
        self.values |= {"voltage": 52.8, "current": -6.3, "soc": 95.6, "remaining_capacity": 248.64}

    def _length(self) -> int:
        buffer = self._buffer
        if buffer[0] != 0xA5 or (len(buffer) > 3 and buffer[3] != 8):
            return 0
        if len(buffer) >= 13 and sum(buffer[:12]) % 256 != buffer[12]:
            return 0
        return 13

    def _reply(self, request: bytes) -> bytes:
        host, command, data = request[1], request[2], request[4:12]
        if host not in self.hosts:
            return b""
        if command in MOSFETS or command in (SOC_AND_CLOCK, RESTART) or command in SETTINGS_OF_A5:
            return self._write(command, data)
        shown = self._shown()
        if command in a5.PARTS:
            parts = self._parts(command, shown)
            return b"".join(self._frame(command, part) for part in parts)
        if command not in self.payloads and command != 0x61:
            return b""
        return self._frame(command, bytes(8) if self.zero and command >= 0x90 else self._payload(command, shown))

    def _write(self, command: int, data: bytes) -> bytes:
        """Do as told, and answer; the dialect has no way to say no."""
        read = command + 0x40
        if command in SETTINGS_OF_A5 and read not in self.payloads:
            return b""
        fate = self._fate()
        if fate == "refuse":
            return b""
        if fate != "ignore-writes":
            if command in MOSFETS:
                self._switch(MOSFETS[command], data[0] == 1)
            elif command != RESTART:
                shown = self._shown()
                before = self._payload(read, shown)
                data = _halfway(a5.RECORDS[read], before, data) if fate == "clamp" else data
                self.payloads[read] = data
                self.settled.add(read)
                if command == SOC_AND_CLOCK:
                    self._set_soc(int.from_bytes(data[6:8], "big") / 10)
        if command in MOSFETS:
            return self._frame(command, data[:1] + STALE)
        return self._frame(command, b"\x01" + bytes(7) if command == SOC_AND_CLOCK else data)

    def _payload(self, command: int, shown: Readings) -> bytes:
        base: bytes = self.payloads.get(command, clock_bytes(CLOCK_AT_START) + bytes(2))
        if command == 0x61:
            soc: float = shown.get("soc", 0.0)
            return base[:6] + round(soc * 10).to_bytes(2, "big")
        if command not in a5.RECORDS or command in self.settled:
            return base
        if command == 0x50:
            return encode(a5.RATING, {"design_capacity": shown.get("design_capacity")}, base)
        if command == 0x5A:
            return encode(a5.PACK_LIMITS, _pack_limits(shown, DEFAULTS))
        if command < 0x90 and command != 0x52:
            return base
        data = encode(a5.RECORDS[command], shown, base)
        if command == 0x94 and "input_bits" in shown:
            bits = shown["input_bits"] & 15 | shown.get("output_bits", 0) << 4
            data = data[:4] + bytes((bits,)) + data[5:]
        return data

    def _parts(self, command: int, shown: Readings) -> list[bytes]:
        if command in (0x57, 0x62, 0x63):
            texts = dict(DEFAULTS, battery_code=f"DL-TWIN-{self.address:02X}")
            data = encode(a5.RECORDS[command], texts)
            width = 7
        else:
            width = a5.PARTS[command][0]
            data = b"" if self.zero else encode(a5.RECORDS[command], shown)
            count = shown["cell_count"] * 2 if command == 0x95 else shown["sensor_count"]
            data = data[:count] + bytes(max(0, count - len(data)))
            if command == 0x95 and self.variant == "ble16":
                data += bytes(96 - len(data))
            elif command == 0x95:
                # Boards fill the last frame with cells that do not exist.
                data += (data[-2:] * 2)[: -len(data) % 6]
        parts = []
        for at in range(0, len(data), width):
            part = bytes((at // width + 1,)) + data[at : at + width]
            parts.append(part + bytes(8 - len(part)))
        return parts

    def _frame(self, command: int, data: bytes) -> bytes:
        frame = b"\xa5" + bytes((self.board, command, 8)) + data
        return frame + bytes((sum(frame) % 256,))


def _modbus_crc(data: bytes) -> bytes:
    """Return the two bytes of the CRC as they go over the wire, bit by bit after the Modbus document."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            carry = register % 2
            register //= 2
            if carry:
                register ^= 0xA001
    return register.to_bytes(2, "little")


class RegisterTwin(Twin):
    """A board with registers."""

    asked_as = 0xD2
    answers_as = 0xD2
    # register -> what a write switches
    switches: ClassVar[dict[int, str]] = {}
    soc_register = 0
    clock_register = 0
    # Writes below are repeated, and do nothing.
    first_setting = 0
    # Registers that do something, and of which nothing is kept.
    actions: ClassVar[tuple[int, ...]] = ()

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        # What a unit does not have reads as FFFF.
        self.memory = bytearray(b"\xff" * 2 * 0x200)
        self.told: dict[int, bytes] = {}  # register -> its two bytes as written

    def keep(self, register: int, data: bytes) -> None:
        """Put captured bytes into the registers from `register` on."""
        self.memory[2 * register : 2 * register + len(data)] = data

    def _length(self) -> int:
        buffer = self._buffer
        if buffer[0] != self.asked_as or (len(buffer) > 1 and buffer[1] not in (3, 6, 16)):
            return 0
        length = 8
        if len(buffer) > 5 and buffer[1] == 16:
            count = int.from_bytes(buffer[4:6], "big")
            if not 0 < count <= 64:
                return 0
            length += 2 * count
        if len(buffer) >= length and _modbus_crc(buffer[: length - 2]) != buffer[length - 2 : length]:
            return 0
        return length

    def _reply(self, request: bytes) -> bytes:
        function = request[1]
        register, word = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if 2 * (register + (1 if function == 6 else word)) > len(self.memory):
            return self._frame(bytes((function | 0x80, 2)))
        if function != 3:
            return self._write(request, register, request[4:6] if function == 6 else request[6:-2])
        if not 0 < word <= 125:
            return self._frame(bytes((0x83, 3)))
        memory = self._present()
        data = bytes(2 * word) if self.zero else bytes(memory[2 * register : 2 * (register + word)])
        return self._frame(bytes((3, 2 * word)) + data)

    def _write(self, request: bytes, register: int, data: bytes) -> bytes:
        """Do as told, and answer with the head of the request, or with an exception."""
        yes = self._frame(request[1:6])
        if register < self.first_setting and register not in self.switches:
            return yes
        fate = self._fate()
        if fate == "refuse":
            return self._frame(bytes((request[1] | 0x80, 4)))
        if fate != "ignore-writes" and register not in self.actions:
            if register in self.switches:
                self._switch(self.switches[register], data[-1] == 1)
            else:
                self._keep_written(register, data, fate == "clamp")
        return yes

    def _keep_written(self, register: int, data: bytes, clamped: bool) -> None:
        place = slice(2 * register, 2 * register + len(data))
        if clamped:
            before = bytes(self._present()[place])
            if register == self.clock_register:
                data = _clock_halfway(data, before)
            else:
                middle = _middle(int.from_bytes(before, "big"), int.from_bytes(data, "big"))
                data = middle.to_bytes(len(data), "big")
        if register == self.soc_register:
            self._set_soc(int.from_bytes(data, "big") / 10)
            return
        for at in range(0, len(data), 2):
            self.told[register + at // 2] = data[at : at + 2]

    def _present(self) -> bytearray:
        """Return the registers with the present values in them, and with what was written."""
        memory = bytearray(self.memory)
        self._lay_over(memory, self._shown())
        for register, word in self.told.items():
            memory[2 * register : 2 * register + 2] = word
        return memory

    def _lay_over(self, memory: bytearray, shown: Readings) -> None:
        raise NotImplementedError

    def _frame(self, body: bytes) -> bytes:
        frame = bytes((self.answers_as,)) + body
        return frame + _modbus_crc(frame)


def _lay(memory: bytearray, register: int, record: Any, shown: Readings) -> None:
    place = slice(2 * register, 2 * register + record.size)
    memory[place] = encode(record, shown, bytes(memory[place]))[: record.size]


def _only(shown: Readings, *names: str) -> Readings:
    return {name: shown[name] for name in names if name in shown}


class D2Twin(RegisterTwin):
    """A board that is asked and answers as unit D2."""

    switches: ClassVar[dict[int, str]] = {0xA5: "charge", 0xA6: "discharge", 0xCF: "balancer"}
    soc_register = 0xA7
    clock_register = 0xD4
    first_setting = 0x80
    actions: ClassVar[tuple[int, ...]] = (0xF0, 0xF1, 0xF2, 0xF3)

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        captures = _captures()
        self.keep(0x00, captures["d2_status80_a"][3:-2])
        self.keep(0x80, captures["d2_settings_4s"][3:-2])
        self.keep(0xA9, captures["d2_version_c"][3:-2])
        self.keep(0xC9, captures["d2_password"][3:-2])
        self.keep(0xCC, bytes.fromhex("14080f00") + captures["d2_balancer_state_on"][7:-2])
        self.keep(0xD4, clock_bytes(CLOCK_AT_START))

    def _lay_over(self, memory: bytearray, shown: Readings) -> None:
        if "cell_voltages" in shown:
            memory[: 2 * 0x28] = bytes(2 * 0x28)
            shown["cell_voltages"] = shown["cell_voltages"][:32]
        whole = memory[: 2 * 80]
        memory[: 2 * 80] = encode(registers.D2_STATUS, shown, bytes(whole))
        settings = _only(shown, "charge_switch", "discharge_switch", "design_capacity")
        # The capture is of a pack of four.
        captured = decode(registers.D2_SETTINGS, bytes(self.memory[2 * 0x80 : 2 * 0xA9]))
        _lay(memory, 0x80, registers.D2_SETTINGS, settings | _pack_limits(shown, captured))
        memory[2 * 0xA7 : 2 * 0xA8] = memory[2 * 0x2A : 2 * 0x2B]
        if "balancer_switch" in shown:
            memory[2 * 0xCF : 2 * 0xD0] = bytes((0, shown["balancer_switch"]))


class P81Twin(RegisterTwin):
    """A board that is asked as 0x80 plus its number and answers as 0x50 plus its number."""

    switches: ClassVar[dict[int, str]] = {
        0x121: "charge",
        0x122: "discharge",
        0xF6: "balancer",
        0xF7: "current_limiter",
        0x1F7: "heating",
        0x1F8: "fan",
    }
    soc_register = 0x116
    clock_register = 0x123
    first_setting = 0x100
    actions: ClassVar[tuple[int, ...]] = (0x119,)

    def __init__(self, address: int, variant: str) -> None:
        super().__init__(address, variant)
        self.asked_as, self.answers_as = 0x80 + address, 0x50 + address
        captures = _captures()
        self.keep(0x00, captures["p81_cells_ess"][3:-2] + bytes(2))
        self.keep(0x41, captures["p81_status_ess"][3:-2])
        self.keep(0x100, captures["p81_settings_ess"][3:-2])
        self.keep(0x100, address.to_bytes(2, "big"))
        self.keep(0x178, captures["p81_version_ess"][3:-2])
        # The last digits of the serial number, so that boards on one line differ.
        self.keep(0x194, f"{address:02d}".encode())

    def _reply(self, request: bytes) -> bytes:
        if request[1:4] == b"\x10\x0f\x05":
            # The app's question for the dialect, answered as captured.
            return self._frame(bytes.fromhex("100f05aaaa"))
        return super()._reply(request)

    def _lay_over(self, memory: bytearray, shown: Readings) -> None:
        if "cell_voltages" in shown:
            memory[: 2 * 0x38] = bytes(2 * 0x38)
            memory[2 * 0x40 : 2 * 0x41] = round(shown["cell_min"] * 1000).to_bytes(2, "big")
        if "warnings" in shown or "protections" in shown or "faults" in shown:
            shown.setdefault("alarm_bits", levels_of(shown, K_LEVELS_1, K_1))
            shown.setdefault("alarm_bits_2", levels_of(shown, K_LEVELS_2, K_2))
        _lay(memory, 0x00, registers.P81_CELLS, shown)
        _lay(memory, 0x41, registers.P81_STATUS, shown)
        names = ("charge_switch", "discharge_switch", "design_capacity", "charged_total", "discharged_total")
        captured = decode(registers.P81_SETTINGS, bytes(self.memory[2 * 0x100 : 2 * 0x151]))
        settings = _only(shown, *names) | _pack_limits(shown, captured)
        settings["cell_count_setting"] = shown.get("cell_count")
        _lay(memory, 0x100, registers.P81_SETTINGS, settings)
        if "soc" in shown:
            memory[2 * 0x116 : 2 * 0x117] = round(shown["soc"] * 10).to_bytes(2, "big")

    def _present(self) -> bytearray:
        memory = super()._present()
        # The same clock stands in two places.
        memory[2 * 0x61 : 2 * 0x64] = memory[2 * 0x123 : 2 * 0x126]
        return memory

    def _keep_written(self, register: int, data: bytes, clamped: bool) -> None:
        super()._keep_written(register, data, clamped)
        if register == BOARD_NUMBER:
            board = self.told[register][1]
            self.asked_as, self.answers_as = 0x80 + board, 0x50 + board
