"""Simulated JBD packs of all three dialects; frames and checksums are written here a second time, on purpose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...codec.table import decode, encode
from . import records, up

VECTORS = Path(__file__).with_name("vectors.json")
OK, NO_REGISTER, NOT_NOW, WRONG_PASSWORD = 0x00, 0x80, 0x81, 0x83


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
    """A board with registers; with `addressed` it is one of several on a line.

    registers  what is set, as bytes; saved: what of it outlasts a power loss
    factory    it is in factory mode
    password   six bytes, b"" when none is set; trusted: it was told
    """

    def __init__(self, address: int, variant: str = "", addressed: bool = False) -> None:
        super().__init__(address, variant)
        self.addressed = addressed
        captured = _captured()
        self.registers = {frame[1]: frame[4:-3] for name, frame in captured.items() if name.startswith("ee_")}
        self.registers[0x24] = captured["ee_24"][4:-3]
        # What the read-out that the others come from did not ask for: no second proof, only something to answer.
        self.registers[0x31] = b"\x00\x0a"
        self.registers[0x40] = b"\x08\x98"
        self.registers[0x41] = b"\x00\x0a"
        for register, millivolt in ((0x42, 3430), (0x43, 3370), (0x44, 3330), (0x45, 3250), (0x46, 2950), (0x47, 3500)):
            self.registers[register] = millivolt.to_bytes(2, "big")
        self.registers[0x2E] = b"\x00\x07"
        self.written: set[int] = set()
        self.saved = dict(self.registers)
        self.kept: set[int] = set()  # registers that were written, and saved
        self.password = bytes(range(1, 7)) if variant == "locked" else b""
        self.counters = captured["counts_24"][4:-3]
        self.counters_cleared = False
        self.name = captured["hwname_4s"][4:-3]
        if addressed:
            self.base = captured["addr0_basic_16s"][5:-3]
        elif variant == "tail":
            self.base = captured["basic_8s_ext"][4:-3]
        else:
            self.base = captured["basic_4s_idle"][4:-3]
        self.cells_base = captured["cells_4s"][4:-3]
        self.cell_errors: dict[int, float] = {}  # V that calibration added, by number
        self.sensor_errors: dict[int, float] = {}
        self.zero_current = 0.0
        self.gains = {"charge": 1.0, "discharge": 1.0}
        self.charge_error = 0.0  # Ah between what was set and what the battery has
        self.wake()

    def wake(self) -> None:
        """Start anew: out of every mode, with no password told."""
        self.factory = self.trusted = self.asleep = False
        self.lock = self.balance_test = 0

    def power_cycle(self) -> None:
        """Lose the supply for a moment, and with it everything that was not saved."""
        self.registers, self.written = dict(self.saved), set(self.kept)
        self.wake()

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
        if self.asleep or (self.addressed and frame[1] != self.address):
            return b""
        register, data = frame[2 + more], frame[4 + more : -3]
        if frame[1 + more] == 0xA5:
            status, answer = self.read(register, data)
        else:
            status, answer = self.write(register, data), b""
        body = bytes([status, len(answer)]) + answer
        if self.addressed:
            head = bytes([self.address, register])
            return b"\xdd" + head + body + _minus(head + body) + b"\x77"
        return b"\xdd" + bytes([register]) + body + _minus(body) + b"\x77"

    # What it shows

    def shown(self) -> dict[str, Any]:
        """Return the readings as this board has them: calibrated, with what was set, and with what is switched off."""
        values = dict(self.values)
        if self.cell_errors and values.get("cell_voltages"):
            cells = [
                volts + self.cell_errors.get(number, 0.0) for number, volts in enumerate(values["cell_voltages"], 1)
            ]
            values["voltage"] = values.get("voltage", 0.0) + sum(cells) - sum(values["cell_voltages"])
            values["cell_voltages"] = cells
        if values.get("temperatures"):
            values["temperatures"] = self.sensors(values["temperatures"])
        if values.get("current") is not None:
            current = values["current"] + self.zero_current
            values["current"] = current * self.gains["charge" if current > 0 else "discharge"]
        for register in self.written & {0x10, 0x15, 0x17}:
            values.update(decode(records.SETTINGS[register], self.registers[register]))
        full = values.get("full_capacity")
        if 0x10 in self.written:
            full = values["full_capacity"] = values["design_capacity"]
        if full and values.get("remaining_capacity") is not None and (self.charge_error or 0x10 in self.written):
            there = min(max(values["remaining_capacity"] + self.charge_error, 0.0), full)
            values.update(remaining_capacity=there, soc=100 * there / full)
        if self.balance_test:
            numbers = range(1, len(values.get("cell_voltages", ())) + 1)
            odd = self.balance_test % 2
            values["balancing_cells"] = [each for each in numbers if self.balance_test < 3 and each % 2 == odd]
        if self.lock:
            if self.lock & 1:
                values["charge_mosfet"] = False
            if self.lock & 2:
                values["discharge_mosfet"] = False
            values.pop("protection_bits", None)
            values["protections"] = [*values.get("protections", []), "mosfet_software_lock"]
        return values

    def sensors(self, temperatures: list[float]) -> list[float]:
        """Return what the enabled sensors show; one that is not there is open, the end of the scale."""
        there = [degrees + self.sensor_errors.get(number, 0.0) for number, degrees in enumerate(temperatures, 1)]
        if 0x2E not in self.written:
            return there
        enabled = int.from_bytes(self.registers[0x2E], "big")
        return [there[at] if at < len(there) else -30.0 for at in range(8) if enabled >> at & 1]

    def basic(self) -> bytes:
        """Return the basic record."""
        values = self.shown()
        if "cell_voltages" in values:
            values["cell_count"] = len(values["cell_voltages"])
        record = records.ADDRESSED_BASIC if self.addressed else records.BASIC
        ends = 29 if self.addressed else 23
        sensors = self.base[ends - 1]
        tail = self.base[ends + 2 * sensors :]
        if values.get("temperatures") is not None and self.values.get("temperatures"):
            sensors = values["sensor_count"] = len(values["temperatures"])
        else:
            values["sensor_count"] = sensors
        base = self.base[: ends + 2 * sensors]
        base += bytes(ends + 2 * sensors - len(base)) + tail
        if 0x15 in self.written:
            base = base[:10] + self.registers[0x15] + base[12:]
        if tail:
            values.setdefault("learned_capacity", values.get("full_capacity"))
        if values.get("soc") is not None:
            values["soc"] = round(values["soc"])
        return encode(record, values, base)

    def cells(self) -> bytes:
        """Return the cell voltages."""
        return encode(records.CELLS, self.shown(), b"" if "cell_voltages" in self.values else self.cells_base)

    def setting(self, register: int) -> bytes | None:
        """Return the bytes of a parameter register, as written or as the pack's readings want it."""
        data = self.registers.get(register)
        if data is None or register in self.written or register not in records.SETTINGS:
            return data
        values = dict(self.values)
        cells = len(values.get("cell_voltages", ())) or 4
        values["cell_count_setting"] = cells
        values["sensor_enable_bits"] = (1 << (len(values.get("temperatures", ())) or 3)) - 1
        values.setdefault("design_capacity", values.get("full_capacity"))
        if 0x20 <= register <= 0x23 and not any(row[0] in values for row in records.SETTINGS[register].numbers):
            return (int.from_bytes(data, "big") * cells // 4).to_bytes(2, "big")
        return encode(records.SETTINGS[register], values, data)

    def hardware_name(self) -> bytes:
        """Return what register 05 tells: the model name that was set."""
        if 0xA1 in self.written:
            return self.registers[0xA1][1:]
        return self.values["model"].encode() if "model" in self.values else self.name

    def counts(self) -> bytes:
        """Return the counters of protections."""
        if self.counters_cleared:
            return bytes(len(self.counters))
        return encode(records.COUNTERS, self.values, self.counters)

    # Requests

    def read(self, register: int, data: bytes) -> tuple[int, bytes]:
        """Return (status, payload) of a register."""
        answer: bytes | None
        if register == 0x03:
            answer = self.basic()
        elif register == 0x04:
            answer = self.cells()
        elif register == 0x05:
            answer = self.hardware_name()
        elif register == 0xAA:
            answer = self.counts()
        elif register == 0x00:
            answer = b"\x00\x00"
        elif register in self.registers:
            answer = self.setting(register) if self.factory else None
            if answer is None:
                return NOT_NOW, b""
        else:
            return NO_REGISTER, b""
        if self.zero and register in (0x03, 0x04):
            answer = bytes(len(answer))
        return OK, answer

    def write(self, register: int, data: bytes) -> int:
        """Take a write; return its status."""
        if register == 0x00:
            return self.enter(data)
        if register == 0x01:
            return self.leave(data)
        if register in (0x06, 0x07, 0x09):
            return self.use_password(register, data)
        status = self.allows(register, data)
        if status != OK:
            return status
        if self.mood("refuse"):
            # Outside of factory mode this answer would only ask for it.
            return NOT_NOW if self.factory else NO_REGISTER
        if self.mood("ignore-writes"):
            return OK
        if self.mood("clamp"):
            data = self.half_way(register, data)
        self.lost = self.mood("drop-after-write")
        self.take(register, data)
        return OK

    def enter(self, code: bytes) -> int:
        """Enter factory mode."""
        if code != b"\x56\x78" or not self.open_to_writes():
            return NOT_NOW
        self.factory = True
        return OK

    def leave(self, code: bytes) -> int:
        """Leave factory mode, with or without keeping what was written."""
        if self.factory and code == b"\x28\x28":
            self.saved, self.kept = dict(self.registers), set(self.written)
            self.counters_cleared = True
        self.factory, self.balance_test = False, 0
        return OK

    def open_to_writes(self) -> bool:
        """Return whether nothing is protected by a password, or it was told."""
        return not self.password or self.trusted

    def use_password(self, register: int, data: bytes) -> int:
        """Take, change or clear the password."""
        given = data[1:7]
        if register == 0x09:
            if data != b"\x06J1B2D4":
                return WRONG_PASSWORD
            self.password = b""
            return OK
        if given != (self.password or bytes(6)):
            return WRONG_PASSWORD
        if register == 0x06:
            self.trusted = True
        elif len(data) != 13:
            return WRONG_PASSWORD
        else:
            self.password, self.trusted = data[7:], False
        return OK

    def allows(self, register: int, data: bytes) -> int:
        """Return the status of a write before it is done."""
        if register in (0x0A, 0xE1):
            known = 1 <= data[0] <= 12 if register == 0x0A else data[1] <= 3 if len(data) == 2 else False
            if len(data) != 2 or not known:
                return NO_REGISTER
            return OK if self.open_to_writes() else NOT_NOW
        words = register in (0xE0, 0xE2) or 0xAD <= register <= 0xD7
        if not words and register not in self.registers:
            return NO_REGISTER
        if not self.factory:
            return NOT_NOW
        if words or register in records.SETTINGS:
            return OK if len(data) == 2 else NO_REGISTER
        return OK if data and len(data) == 1 + data[0] and data[0] <= 31 else NO_REGISTER

    def half_way(self, register: int, data: bytes) -> bytes:
        """Return the number between what is and what is wanted; switches and texts as they are wanted."""
        now = self.now(register)
        if now is None:
            return data
        if register in [row[0] for row in records.PAIRS]:
            return bytes((was + wanted) // 2 for was, wanted in zip(now, data, strict=True))
        return ((int.from_bytes(now, "big") + int.from_bytes(data, "big")) // 2).to_bytes(2, "big")

    def now(self, register: int) -> bytes | None:
        """Return what a number that is written has at present, as bytes; None of anything else."""
        if register in [row[0] for row in (*records.WORDS, *records.PAIRS) if row[0] != 0x2E]:
            return self.setting(register)
        values = self.shown()
        cells, temperatures = values.get("cell_voltages", ()), values.get("temperatures", ())
        if register == 0xE0:
            raw = round(values.get("remaining_capacity", 0) * 100)
        elif register in (0xAE, 0xAF):
            raw = round(abs(values.get("current", 0)) * 100)
        elif 0xB0 <= register < 0xB0 + len(cells):
            raw = round(cells[register - 0xB0] * 1000)
        elif 0xD0 <= register < 0xD0 + len(temperatures):
            raw = round(temperatures[register - 0xD0] * 10) + 2731
        else:
            return None
        return bytes((raw // 256, raw % 256))

    def take(self, register: int, data: bytes) -> None:
        """Do what a write says."""
        if register in self.registers:
            self.registers[register] = data
            self.written.add(register)
            if register == 0x2D:
                self.values["balancer_switch"] = bool(data[1] & 4)
        elif register == 0x0A:
            self.control(data[0])
        elif register == 0xE0:
            self.charge_error = int.from_bytes(data, "big") / 100 - self.values.get("remaining_capacity", 0)
        elif register == 0xE1:
            self.lock, self.balance_test = data[1], 0
            self.values["charge_switch"] = not self.lock & 1
            self.values["discharge_switch"] = not self.lock & 2
        elif register == 0xE2:
            self.balance_test = data[1]
        else:
            self.calibrate(register, int.from_bytes(data, "big"))

    def control(self, word: int) -> None:
        """Do what a control word says."""
        if word == 1:
            self.charge_error = 0.0
        elif word == 2:
            self.counters_cleared = True
        elif word == 3:
            self.power_cycle()
        elif word in (5, 6, 8):
            self.asleep = True

    def calibrate(self, register: int, raw: int) -> None:
        """Shift or stretch what is shown from now on, so that it is the true value now."""
        current = self.values.get("current", 0) + self.zero_current
        cells, temperatures = self.values.get("cell_voltages", ()), self.values.get("temperatures", ())
        if register == 0xAD:
            self.zero_current = -self.values.get("current", 0)
        elif register in (0xAE, 0xAF) and current:
            self.gains["charge" if register == 0xAE else "discharge"] = raw / 100 / abs(current)
        elif 0xB0 <= register <= 0xCF and register - 0xB0 < len(cells):
            self.cell_errors[register - 0xAF] = raw / 1000 - cells[register - 0xB0]
        elif 0xD0 <= register <= 0xD7 and register - 0xD0 < len(temperatures):
            self.sensor_errors[register - 0xCF] = (raw - 2731) / 10 - temperatures[register - 0xD0]


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
        self.soc_error = 0.0  # % between what was set and what the battery has

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
        if self.soc_error and values.get("soc") is not None:
            values["soc"] = min(max(values["soc"] + self.soc_error, 0.0), 100.0)
            values["remaining_capacity"] = values.get("full_capacity", 0) * values["soc"] / 100
        if self.outputs is not None:
            values["discharge_mosfet"] = bool(self.outputs & 1) and values.get("discharge_mosfet", True)
            values["charge_mosfet"] = bool(self.outputs & 2) and values.get("charge_mosfet", True)
            for bit, name in ((2, "precharge_mosfet"), (3, "heating"), (4, "fan")):
                values[name] = bool(self.outputs >> bit & 1)
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
            if data[:4] != b"\x11JBD" or len(data) != 6 or not self.write(key, data[4:]):
                return b""
            answer = b""
        elif data or key not in self.payloads:
            return b""
        else:
            answer = self.encoded(key)
            if self.zero:
                answer = bytes(len(answer))
        body = frame[:6] + len(answer).to_bytes(2, "big") + answer
        return body + _crc(body)

    def write(self, key: int, data: bytes) -> bool:
        """Take a write; return False to stay silent: these boards have no word for no."""
        if self.mood("refuse"):
            return False
        if self.mood("ignore-writes"):
            return True
        clamped = self.mood("clamp")
        self.lost = self.mood("drop-after-write")
        if key == 0x792902:
            self.outputs = data[1]
            self.values["discharge_switch"], self.values["charge_switch"] = bool(data[1] & 1), bool(data[1] & 2)
        elif key == 0x792006:
            now = self.shown().get("soc", 0.0)
            wanted = int.from_bytes(data, "big") / 100
            self.soc_error += (wanted - now) / (2 if clamped else 1)
        return True

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
    """Return a simulated pack.

    Variants: "tail" is newer standard firmware, "locked" wants the password 123456 before it takes a write,
    "telemetry" is a UP board that also sends unasked.
    """
    if dialect == "jbd-up":
        return UpTwin(address, variant)
    return StandardTwin(address, variant, addressed=dialect == "jbd-addr")
