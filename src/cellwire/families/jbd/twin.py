"""Simulated JBD packs of all three dialects; frames and checksums are written here a second time, on purpose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...codec.table import encode
from . import records, up

VECTORS = Path(__file__).with_name("vectors.json")
OK, NO_REGISTER, NOT_NOW = 0x00, 0x80, 0x81


def _captured() -> dict[str, bytes]:
    rows = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return {row["id"]: bytes.fromhex(row.get("hex") or "".join(row["chunks"])) for row in rows}


def _minus(data: bytes) -> bytes:
    total = 0
    for byte in data:
        total -= byte
    return (total % 65536).to_bytes(2, "big")


def _crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            low = value % 2
            value //= 2
            if low:
                value ^= 0xA001
    return value.to_bytes(2, "little")


class Twin:
    """Answers like a pack: change `values` at any time; `zero` shows it as just woken up, with nothing measured."""

    def __init__(self, address: int, variant: str = "") -> None:
        self.address = address
        self.variant = variant
        self.values: dict[str, Any] = {}
        self.zero = False
        self.mood: Callable[[str], bool] = lambda fault: False
        self.lost = False
        self.buffer = b""

    def answer(self, data: bytes) -> list[bytes]:
        """Take bytes from the line; return the answers to the requests that they complete."""
        self.buffer = (self.buffer + data)[-600:]
        answers = []
        at = 0
        while at < len(self.buffer):
            length = self.length(self.buffer[at:])
            if length is None:
                break
            if length and (reply := self.reply(self.buffer[at : at + length])) is not None:
                at += length
                if reply:
                    answers.append(reply)
            else:
                at += 1
        self.buffer = self.buffer[at:]
        return answers

    def pushes(self) -> list[bytes]:
        """Return what the pack sends unasked now."""
        return []

    def length(self, data: bytes) -> int | None:
        """Return how long the request at the start is; 0: there is none, None: more bytes are needed."""
        raise NotImplementedError

    def reply(self, frame: bytes) -> bytes | None:
        """Return the answer to a whole request, b"" to stay silent, None when it is no request."""
        raise NotImplementedError


class StandardTwin(Twin):
    """A board with registers; with `addressed` it is one of several on a line."""

    def __init__(self, address: int, variant: str = "", addressed: bool = False) -> None:
        super().__init__(address, variant)
        self.addressed = addressed
        self.factory = False
        self.lock = 0
        self.balance_test = 0
        self.counters_cleared = False
        captured = _captured()
        self.registers = {frame[1]: frame[4:-3] for name, frame in captured.items() if name.startswith("ee_")}
        self.registers[0x24] = captured["ee_24"][4:-3]
        # What the read-out that the others come from did not ask for: no second proof, only something to answer.
        self.registers[0x2E] = b"\x00\x07"
        self.registers[0x31] = b"\x00\x0a"
        self.registers[0x40] = b"\x08\x98"
        self.registers[0x41] = b"\x00\x0a"
        for register, millivolt in ((0x42, 3430), (0x43, 3370), (0x44, 3330), (0x45, 3250), (0x46, 2950), (0x47, 3500)):
            self.registers[register] = millivolt.to_bytes(2, "big")
        self.written: set[int] = set()
        self.name = captured["hwname_4s"][4:-3]
        self.counters = captured["counts_24"][4:-3]
        if addressed:
            self.base = captured["addr0_basic_16s"][5:-3]
        elif variant == "tail":
            self.base = captured["basic_8s_ext"][4:-3]
        else:
            self.base = captured["basic_4s_idle"][4:-3]
        self.cells_base = captured["cells_4s"][4:-3]

    def length(self, data: bytes) -> int | None:
        """Return how long the request at the start is; 0: there is none, None: more bytes are needed."""
        more = 1 if self.addressed else 0
        if data[:1] != b"\xdd":
            return 0
        if len(data) < 4 + more:
            return None
        if data[1 + more] not in (0xA5, 0x5A):
            return 0
        length = 7 + more + data[3 + more]
        return length if len(data) >= length else None

    def reply(self, frame: bytes) -> bytes | None:
        """Return the answer to a whole request, b"" to stay silent, None when it is no request."""
        more = 1 if self.addressed else 0
        if frame[-1] != 0x77 or _minus(frame[1 if self.addressed else 2 : -3]) != frame[-3:-1]:
            return None
        if self.addressed and frame[1] != self.address:
            return b""
        register, data = frame[2 + more], frame[4 + more : -3]
        if frame[1 + more] == 0xA5:
            status, answer = self.read(register, data)
        else:
            status, answer = self.write(register, data)
        body = bytes([status, len(answer)]) + answer
        if self.addressed:
            head = bytes([self.address, register])
            return b"\xdd" + head + body + _minus(head + body) + b"\x77"
        return b"\xdd" + bytes([register]) + body + _minus(body) + b"\x77"

    def basic(self) -> bytes:
        """Return the basic record with what is locked by command shown as off."""
        values = dict(self.values)
        if "cell_voltages" in values:
            values["cell_count"] = len(values["cell_voltages"])
        record = records.ADDRESSED_BASIC if self.addressed else records.BASIC
        ends = 29 if self.addressed else 23
        sensors = self.base[ends - 1]
        tail = self.base[ends + 2 * sensors :]
        if values.get("temperatures"):
            sensors = values["sensor_count"] = len(values["temperatures"])
        else:
            values["sensor_count"] = sensors
        if self.lock:
            if self.lock & 1:
                values["charge_mosfet"] = False
            if self.lock & 2:
                values["discharge_mosfet"] = False
            locked = [*values.get("protections", []), "mosfet_software_lock"]
            values.pop("protection_bits", None)
            values["protections"] = locked
        base = self.base[: ends + 2 * sensors]
        base += bytes(ends + 2 * sensors - len(base)) + tail
        if tail:
            values.setdefault("learned_capacity", values.get("full_capacity"))
        if values.get("soc") is not None:
            values["soc"] = round(values["soc"])
        return encode(record, values, base)

    def cells(self) -> bytes:
        """Return the cell voltages."""
        return encode(records.CELLS, self.values, b"" if "cell_voltages" in self.values else self.cells_base)

    def setting(self, register: int) -> bytes | None:
        """Return the bytes of a parameter register, as written or as the pack's readings want it."""
        data = self.registers.get(register)
        if data is None or register in self.written or register not in records.SETTINGS:
            return data
        values = dict(self.values)
        cells = len(values.get("cell_voltages", ())) or 4
        values["cell_count_setting"] = cells
        values.setdefault("design_capacity", values.get("full_capacity"))
        if 0x20 <= register <= 0x23 and not any(row[0] in values for row in records.SETTINGS[register].numbers):
            return (int.from_bytes(data, "big") * cells // 4).to_bytes(2, "big")
        return encode(records.SETTINGS[register], values, data)

    def read(self, register: int, data: bytes) -> tuple[int, bytes]:
        """Return (status, payload) of a register."""
        answer: bytes | None
        if register == 0x03:
            answer = self.basic()
        elif register == 0x04:
            answer = self.cells()
        elif register == 0x05:
            answer = self.values["model"].encode() if "model" in self.values else self.name
        elif register == 0xAA:
            answer = (
                bytes(len(self.counters))
                if self.counters_cleared
                else encode(records.COUNTERS, self.values, self.counters)
            )
        elif register == 0x00:
            answer = b"\x00\x00"
        elif register == 0xFA and len(data) == 3:
            answer = data + b"".join(self.parameter(data[0] * 256 + data[1] + step) for step in range(data[2]))
        elif register in self.registers:
            answer = self.setting(register) if self.factory else None
            if answer is None:
                return NOT_NOW, b""
        else:
            return NO_REGISTER, b""
        if self.zero and register in (0x03, 0x04):
            answer = bytes(len(answer))
        return OK, answer

    def parameter(self, number: int) -> bytes:
        """Return the word of a numbered parameter; the first 40 are the classic registers."""
        if number < 40:
            return self.setting(0x10 + number) or b"\x00\x00"
        return b"\x00\x00"

    def write(self, register: int, data: bytes) -> tuple[int, bytes]:
        """Take a write; return (status, payload)."""
        if register == 0x00:
            if data != b"\x56\x78":
                return NOT_NOW, b""
            self.factory, self.balance_test = True, 0
        elif register == 0x01:
            self.counters_cleared = self.counters_cleared or (self.factory and data == b"\x28\x28")
            self.factory, self.balance_test = False, 0
        elif register in (0x06, 0x09):
            return (OK if len(data) == 7 else 0x83), b""
        elif register == 0x0A:
            if len(data) != 2 or not 1 <= data[0] <= 12:
                return NO_REGISTER, b""
        elif register == 0xE1:
            if len(data) != 2 or data[1] > 3:
                return NO_REGISTER, b""
            self.lock = data[1]
        elif register == 0xE0 or register == 0xE2 or 0xAD <= register <= 0xD7 or register in self.registers:
            return self.write_in_factory_mode(register, data), b""
        else:
            return NO_REGISTER, b""
        return OK, b""

    def write_in_factory_mode(self, register: int, data: bytes) -> int:
        """Take a write that wants factory mode; return its status."""
        if not self.factory:
            return NOT_NOW
        if register in self.registers:
            if register in records.SETTINGS and len(data) != 2:
                return NO_REGISTER
            self.registers[register] = data
            self.written.add(register)
        elif register == 0xE0 and len(data) == 2:
            full = self.values.get("full_capacity", 0)
            self.values["remaining_capacity"] = int.from_bytes(data, "big") / 100
            if full:
                self.values["soc"] = round(100 * self.values["remaining_capacity"] / full)
        elif register == 0xE2 and len(data) == 2:
            self.balance_test = data[1]
            cells = range(1, len(self.values.get("cell_voltages", ())) + 1)
            self.values["balancing_cells"] = [cell for cell in cells if data[1] < 3 and cell % 2 == data[1] % 2]
        return OK


class UpTwin(Twin):
    """A rack board; the variant "telemetry" also sends its short status unasked."""

    def __init__(self, address: int, variant: str = "") -> None:
        super().__init__(address, variant)
        captured = _captured()
        master = address == 1
        status = captured["up_rsp_pack_status_a1" if master else "up_rsp_pack_status_a2"]
        self.payloads = {0x781000: status[8:-2]}
        if master:
            for name in ("pack_info", "protection", "capacity", "wifi", "clock", "debug", "slave_status"):
                frame = captured[f"up_rsp_{name}_a1"]
                self.payloads[frame[1] << 16 | frame[2] << 8 | frame[3]] = frame[8:-2]
            self.payloads[0x782006] = self.payloads[0x782000][6:24]
        telemetry = captured["up_bcast_a1_discharge" if master else "up_bcast_a2_charge"]
        self.telemetry = bytearray(telemetry[8:-2])
        self.telemetry[24:26] = b"\x00\x01"
        self.outputs: int | None = None

    def length(self, data: bytes) -> int | None:
        """Return how long the request at the start is; 0: there is none, None: more bytes are needed."""
        if len(data) < 2:
            return None
        if data[0] > 32 or data[1] not in (0x78, 0x79, 0x45):
            return 0
        if len(data) < 8:
            return None
        length = 10 + data[6] * 256 + data[7]
        if length > 100:
            return 0
        return length if len(data) >= length else None

    def shown(self) -> dict[str, Any]:
        """Return the readings with what a write has switched."""
        values = dict(self.values)
        if "cell_voltages" in values:
            cells = values["cell_voltages"]
            values["cell_count"] = len(cells)
            if cells:
                values["cell_max"], values["cell_min"] = max(cells), min(cells)
                values["cell_max_number"] = cells.index(max(cells)) + 1
                values["cell_min_number"] = cells.index(min(cells)) + 1
                values["cell_mean"] = sum(cells) / len(cells)
        if values.get("temperatures"):
            found = [value for value in values["temperatures"] if value is not None]
            values["sensor_count"] = len(values["temperatures"])
            values["temperature_max"], values["temperature_min"] = max(found), min(found)
            values["temperature_mean"] = sum(found) / len(found)
        if self.outputs is not None:
            values["discharge_mosfet"] = bool(self.outputs & 1) and values.get("discharge_mosfet", True)
            values["charge_mosfet"] = bool(self.outputs & 2) and values.get("charge_mosfet", True)
        return values

    def fitted(self, key: int, values: dict[str, Any]) -> bytes:
        """Return the captured payload, made as long as the pack's cells and sensors want it."""
        base = self.payloads[key]
        if key not in (0x781000, 0x450000):
            return base
        at = 66 if key == 0x781000 else 0
        cells = values.setdefault("cell_count", 16)
        end = at + 2 + 32
        base = base[: at + 2] + bytes(2 * cells) + base[end:] if cells != 16 else base
        if key == 0x781000:
            at, captured = at + 2 + 2 * cells, 4
            sensors = values.setdefault("sensor_count", captured)
            if sensors != captured:
                base = base[: at + 2] + bytes(2 * sensors) + base[at + 2 + 2 * captured :]
        return base

    def encoded(self, key: int) -> bytes:
        """Return the payload of a range that shows the readings."""
        values = self.shown()
        base = self.fitted(key, values)
        record = up.RECORDS.get(key)
        if record is None:
            return base
        if key == 0x450000:
            values["soc"] = round(values.get("soc", 60))
            values["sensor_count"] = min(values.get("sensor_count", 4), 4)
            values["temperatures"] = values.get("temperatures", [])[:4]
        return encode(record, values, base)

    def reply(self, frame: bytes) -> bytes | None:
        """Return the answer to a whole request, b"" to stay silent, None when it is no request."""
        if _crc(frame[:-2]) != frame[-2:]:
            return None
        if frame[0] != self.address:
            return b""
        key, data = frame[1] << 16 | frame[2] << 8 | frame[3], frame[8:-2]
        if frame[1] == 0x79:
            if data[:4] != b"\x11JBD" or len(data) != 6:
                return b""
            if key == 0x792902:
                self.outputs = data[5]
            elif key == 0x792006:
                self.values["soc"] = int.from_bytes(data[4:6], "big") / 100
            answer = b""
        elif data or key not in self.payloads:
            return b""
        else:
            answer = self.encoded(key)
            if self.zero:
                answer = bytes(len(answer))
        body = frame[:6] + len(answer).to_bytes(2, "big") + answer
        return body + _crc(body)

    def pushes(self) -> list[bytes]:
        """Return the short status, when this twin sends it."""
        if self.variant != "telemetry":
            return []
        values = self.shown()
        if values.get("soc") is not None:
            values["soc"] = round(values["soc"])
        data = encode(up.TELEMETRY_RECORD, values, bytes(self.telemetry))
        body = bytes([self.address, 0x51, 0, 0, 0xFF, 0xFF, 0, len(data)]) + data
        return [body + _crc(body)]


def twin(dialect: str, address: int, variant: str = "") -> Twin:
    """Return a simulated pack: "tail" is newer standard firmware, "telemetry" a UP board that also sends unasked."""
    if dialect == "jbd-up":
        return UpTwin(address, variant)
    return StandardTwin(address, variant, addressed=dialect == "jbd-addr")
