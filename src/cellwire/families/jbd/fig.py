"""Parameter files (.fig) of the maker's PC program: text, a key and the raw number of a register in each line.

Raw numbers go through the rows of the records, so that a file says the same as the registers do.
"""

from ...codec.errors import ProtocolError
from ...codec.table import decode, encode
from . import frontend, payload, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

FILE_CODE = "3838"
END = "\r\r\n"
WHOLE, HIGH, LOW, TEXT = "whole", "high", "low", "text"

# Keys in the order of the file: key, register, which part of it.
KEYS = (
    ("DesignCapacity", 0x10, WHOLE),
    ("CycleCapacity", 0x11, WHOLE),
    ("FullChargeVol", 0x12, WHOLE),
    ("ChargeEndVol", 0x13, WHOLE),
    ("DischargingRate", 0x14, WHOLE),
    ("ManufactureDate", 0x15, WHOLE),
    ("SerialNumber", 0x16, WHOLE),
    ("CycleCount", 0x17, WHOLE),
    ("ChgOverTemp", 0x18, WHOLE),
    ("ChgOTRelease", 0x19, WHOLE),
    ("ChgLowTemp", 0x1A, WHOLE),
    ("ChgUTRelease", 0x1B, WHOLE),
    ("DisOverTemp", 0x1C, WHOLE),
    ("DsgOTRelease", 0x1D, WHOLE),
    ("DisLowTemp", 0x1E, WHOLE),
    ("DsgUTRelease", 0x1F, WHOLE),
    ("PackOverVoltage", 0x20, WHOLE),
    ("PackOVRelease", 0x21, WHOLE),
    ("PackUnderVoltage", 0x22, WHOLE),
    ("PackUVRelease", 0x23, WHOLE),
    ("CellOverVoltage", 0x24, WHOLE),
    ("CellOVRelease", 0x25, WHOLE),
    ("CellUnderVoltage", 0x26, WHOLE),
    ("CellUVRelease", 0x27, WHOLE),
    ("OverChargeCurrent", 0x28, WHOLE),
    ("OverDisCurrent", 0x29, WHOLE),
    ("BalanceStartVoltage", 0x2A, WHOLE),
    ("BalanceWindow", 0x2B, WHOLE),
    ("SenseResistor", 0x2C, WHOLE),
    ("BatteryConfig", 0x2D, WHOLE),
    ("NtcConfig", 0x2E, WHOLE),
    ("PackNum", 0x2F, WHOLE),
    ("fet_ctrl_time_set", 0x30, WHOLE),
    ("led_disp_time_set", 0x31, WHOLE),
    ("VoltageCap80", 0x32, WHOLE),
    ("VoltageCap60", 0x33, WHOLE),
    ("VoltageCap40", 0x34, WHOLE),
    ("VoltageCap20", 0x35, WHOLE),
    ("HardCellOverVoltage", 0x36, WHOLE),
    ("HardCellUnderVoltage", 0x37, WHOLE),
    ("HardChgOverCurrent", 0x38, HIGH),
    ("HardDsgOverCurrent", 0x38, LOW),
    ("HardTime", 0x39, HIGH),
    ("SCReleaseTime", 0x39, LOW),
    ("ChgUTDelay", 0x3A, HIGH),
    ("ChgOTDelay", 0x3A, LOW),
    ("DsgUTDelay", 0x3B, HIGH),
    ("DsgOTDelay", 0x3B, LOW),
    ("PackUVDelay", 0x3C, HIGH),
    ("PackOVDelay", 0x3C, LOW),
    ("CellUVDelay", 0x3D, HIGH),
    ("CellOVDelay", 0x3D, LOW),
    ("ChgOCDelay", 0x3E, HIGH),
    ("ChgOCRDelay", 0x3E, LOW),
    ("DsgOCDelay", 0x3F, HIGH),
    ("DsgOCRDelay", 0x3F, LOW),
    ("ManufacturerName", 0xA0, TEXT),
    ("DeviceName", 0xA1, TEXT),
    ("BarCode", 0xA2, TEXT),
    ("GPS_VOL", 0x40, WHOLE),
    ("GPS_TIME", 0x41, WHOLE),
)
PLACES = {key: (register, part) for key, register, part in KEYS}
# What a file holds that no command writes: raw words, and what follows from others.
DERIVED = (
    "function_bits",
    "coarse_units",
    frontend.CURRENT_BITS,
    "short_circuit_limit",
    "discharge_overcurrent_2_limit",
    frontend.DELAY_BITS,
)


def read(text: str) -> "Readings":
    """Return {command: value} of a file; raise ProtocolError when it is none, or a number in it is none.

    Registers 38 and 39 are taken for those of a TI front end, as the program that writes these files does.
    """
    numbers, texts = _lines(text)[:2]
    words: "dict[int, int]" = {}
    parts: "dict[int, list[str]]" = {}
    for key in numbers:
        register, part = PLACES[key]
        words[register] = words.get(register, 0) | numbers[key] << (8 if part == HIGH else 0)
        parts.setdefault(register, []).append(part)
    coarse = words.get(payload.FUNCTIONS, 0) & 0x1000 != 0
    found: "Readings" = {}
    for register in sorted(words):
        record = records.SETTINGS[register]
        if coarse:
            record = records.COARSE_SETTINGS.get(register, record)
        values = decode(record, payload.word(words[register]))
        for reading in values:
            if reading not in DERIVED and _told(reading, register, parts[register]):
                found[reading] = values[reading]
    for key in texts:
        if texts[key]:
            found[records.STRINGS[PLACES[key][0]]] = texts[key]
    return found


def unknown(text: str) -> "tuple[str, ...]":
    """Return what a file holds that `read` leaves out: keys that nobody knows, and functions that are no commands."""
    numbers, _texts, others = _lines(text)
    functions = numbers.get("BatteryConfig", 0)
    bits = [f"BatteryConfig bit {bit}" for bit in range(payload.FIRST_VENDOR_BIT, 16) if functions >> bit & 1]
    return tuple(others + bits)


def write(values: "Readings") -> str:
    """Return the file of {command: value}; readings of a pack do as well. What is not known has no line.

    function_bits, when it is there, gives the functions that are no commands.
    """
    lines = [_line("FileCode", FILE_CODE, TEXT)]
    coarse = payload.is_coarse(values)
    for key, register, part in KEYS:
        if part == TEXT:
            if records.STRINGS[register] in values:
                lines.append(_line(key, values[records.STRINGS[register]], TEXT))
            continue
        data = _register(register, part, values, coarse)
        if data:
            raw = data[0] if part == HIGH else data[1] if part == LOW else data[0] << 8 | data[1]
            lines.append(_line(key, str(raw), part))
    return "".join([line + END for line in lines])


def _lines(text: str) -> "tuple[dict[str, int], dict[str, str], list[str]]":
    """Return the numbers and the texts by key, and the keys that nobody knows."""
    numbers: "dict[str, int]" = {}
    texts: "dict[str, str]" = {}
    others: "list[str]" = []
    lines = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for place in range(len(lines)):
        words = lines[place].strip().split(None, 1)
        if not words:
            continue
        key, value = words[0], words[1] if len(words) > 1 else ""
        if key not in PLACES:
            if key != "FileCode" or value != FILE_CODE:
                others.append(key)
        elif PLACES[key][1] == TEXT:
            texts[key] = value
        else:
            highest = 0xFF if PLACES[key][1] in (HIGH, LOW) else 0xFFFF
            if not value or not all(["0" <= digit <= "9" for digit in value]) or int(value) > highest:
                raise ProtocolError(
                    f"line {place + 1}: {key} is a whole number from 0 to {highest}, not {value or 'empty'}; "
                    "write it right, or take the line out"
                )
            numbers[key] = int(value)
    if not numbers and not texts:
        raise ProtocolError("line 1: none of the parameters of a JBD parameter file; save it again in the PC program")
    return numbers, texts, others


def _told(reading: str, register: int, parts: "list[str]") -> bool:
    """Return whether the parts of a register that a file has tell the reading."""
    if WHOLE in parts or len(parts) == 2:
        return True
    if register == 0x38:
        # Without the high byte nobody knows the range in which the low one counts.
        return parts[0] == HIGH and not reading.startswith("discharge")
    if register == 0x39:
        return (reading == "short_circuit_release_delay") == (parts[0] == LOW)
    high = [row[1] for row in records.PAIRS if row[0] == register]
    return (reading in high) == (parts[0] == HIGH)


def _register(register: int, part: str, values: "Readings", coarse: bool) -> bytes:
    """Return the two bytes of a register, b"" when the values do not tell this part of it."""
    if register == 0x15:
        date = values.get("production_date")
        return payload.word(records.packed_date(date)) if date else b""
    if register == payload.FUNCTIONS:
        return _functions(values)
    if register in (0x38, 0x39):
        return _front_end(register, part, values)
    if register == payload.SHUNT:
        return _shunt(values, coarse)
    record = records.SETTINGS[register]
    if coarse:
        record = records.COARSE_SETTINGS.get(register, record)
    rows = record.numbers[1:] if part == LOW else record.numbers[:1]
    return encode(record, values) if values.get(rows[0][0]) is not None else b""


def _functions(values: "Readings") -> bytes:
    known = [row[0] for row in records.FUNCTION_FLAGS if row[0] in values and row[1] == 1]
    if "function_bits" not in values and not known:
        return b""
    return payload.word(payload.functions(values, int(values.get("function_bits", 0))))


def _shunt(values: "Readings", coarse: bool) -> bytes:
    shunt = values.get("shunt_resistance")
    if shunt is None:
        return b""
    tenths = abs(shunt * 10 - round(shunt * 10)) < 0.001 and not coarse
    raw = round(shunt * (10 if tenths else 100))
    if not 0 <= raw < payload.FINE_SHUNT:
        raise ProtocolError(f"shunt_resistance: {shunt} does not fit its register; leave it out")
    return payload.word(raw if tenths or coarse else raw | payload.FINE_SHUNT)


def _front_end(register: int, part: str, values: "Readings") -> bytes:
    """Return register 38 or 39, b"" when one of the fields of this part is not known."""
    if register == 0x39 and part == LOW:
        fields = ["short_circuit_release_delay"]
    elif part == LOW:
        fields = ["discharge_overcurrent_2_threshold", "discharge_overcurrent_2_delay"]
    else:
        fields = [reading for reading in frontend.FIELDS if frontend.FIELDS[reading][0] == register]
        fields = [reading for reading in fields if not reading.startswith("discharge")]
    if any([values.get(reading) is None for reading in fields]):
        return b""
    for reading in fields:
        if frontend.code(reading, values[reading], values) is None:
            raise ProtocolError(f"{reading}: a TI front end has no {values[reading]}; leave it out")
    known = {frontend.CURRENT_BITS: 0, frontend.DELAY_BITS: 0}
    known.update(values)
    return frontend.registers(known)[register]


def _line(key: str, value: str, part: str) -> str:
    if part == TEXT:
        return "  " + key + " " * (23 - len(key)) + value
    return "  " + key + " " * 8 + value
