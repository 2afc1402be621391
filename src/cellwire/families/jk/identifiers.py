"""JK's list of identifiers and values on the UART socket: what they mean, and where they stand in one answer.

A row's `at` is an identifier here, not an offset: firmware leaves identifiers out, so every answer says anew where
its values are. `placed` turns the table into a Record for answers of the same make.
"""

import struct

from ...codec.errors import ProtocolError
from ...codec.table import Record, decode, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

CELLS = 0x79
# Bytes of the value behind each identifier from 0x80; 0x88 and 0x8D do not exist. 0x79 has a length byte.
WIDTHS = dict.fromkeys(range(0x80, 0xC0), 2)
for identifier, width in (
    (0x85, 1), (0x86, 1), (0x89, 4), (0x9D, 1), (0xA9, 1), (0xAA, 4), (0xAB, 1), (0xAC, 1), (0xAE, 1), (0xAF, 1),
    (0xB1, 1), (0xB2, 10), (0xB3, 1), (0xB4, 8), (0xB5, 4), (0xB6, 4), (0xB7, 15), (0xB8, 1), (0xB9, 4), (0xBA, 24),
    (0xBB, 1), (0xBC, 1), (0xBD, 1), (0xC0, 1),
):  # fmt: skip
    WIDTHS[identifier] = width
for identifier in (0x88, 0x8D):
    del WIDTHS[identifier]

WARNING, PROTECTION, FAULT = "warnings", "protections", "faults"
STATUS = Record(
    "status",
    numbers=(
        ("mosfet_temperature", 0x80, ">H", 0, 1),
        ("voltage", 0x83, ">H", 0, 100),
        ("soc", 0x85, ">B", 0, 1),
        ("sensor_count", 0x86, ">B", 0, 1),
        ("cycles", 0x87, ">H", 0, 1),
        ("cycled_capacity", 0x89, ">I", 0, 1),
        ("cell_count", 0x8A, ">H", 0, 1),
        ("pack_overvoltage_limit", 0x8E, ">H", 0, 100),
        ("pack_undervoltage_limit", 0x8F, ">H", 0, 100),
        ("cell_overvoltage_limit", 0x90, ">H", 0, 1000),
        ("cell_overvoltage_release", 0x91, ">H", 0, 1000),
        ("cell_overvoltage_delay", 0x92, ">H", 0, 1),
        ("cell_undervoltage_limit", 0x93, ">H", 0, 1000),
        ("cell_undervoltage_release", 0x94, ">H", 0, 1000),
        ("cell_undervoltage_delay", 0x95, ">H", 0, 1),
        ("cell_delta_limit", 0x96, ">H", 0, 1000),
        ("discharge_overcurrent_limit", 0x97, ">H", 0, 1),
        ("discharge_overcurrent_delay", 0x98, ">H", 0, 1),
        ("charge_overcurrent_limit", 0x99, ">H", 0, 1),
        ("charge_overcurrent_delay", 0x9A, ">H", 0, 1),
        ("balance_start", 0x9B, ">H", 0, 1000),
        ("balance_delta", 0x9C, ">H", 0, 1000),
        ("mosfet_overtemperature_limit", 0x9E, ">H", 0, 1),
        ("mosfet_overtemperature_release", 0x9F, ">H", 0, 1),
        ("box_overtemperature_limit", 0xA0, ">H", 0, 1),
        ("box_overtemperature_release", 0xA1, ">H", 0, 1),
        ("temperature_delta_limit", 0xA2, ">H", 0, 1),
        ("charge_overtemperature_limit", 0xA3, ">H", 0, 1),
        ("discharge_overtemperature_limit", 0xA4, ">H", 0, 1),
        ("charge_undertemperature_limit", 0xA5, ">h", 0, 1),
        ("charge_undertemperature_release", 0xA6, ">h", 0, 1),
        ("discharge_undertemperature_limit", 0xA7, ">h", 0, 1),
        ("discharge_undertemperature_release", 0xA8, ">h", 0, 1),
        ("cell_count_setting", 0xA9, ">B", 0, 1),
        ("design_capacity", 0xAA, ">I", 0, 1),
        ("current_calibration", 0xAD, ">H", 0, 1000),
        ("device_address", 0xAE, ">B", 0, 1),
        ("sleep_delay", 0xB0, ">H", 0, 1),
        ("soc_low_warning", 0xB1, ">B", 0, 1),
        ("runtime", 0xB6, ">I", 0, 1),
        ("full_capacity", 0xB9, ">I", 0, 1),
        ("protocol_version", 0xC0, ">B", 0, 1),
    ),
    flags=(
        ("charge_mosfet", 0x8C, 0),
        ("discharge_mosfet", 0x8C, 1),
        ("balancing", 0x8C, 2),
        ("battery_line", 0x8C, 3),
        ("balancer_switch", 0x9D, 0),
        ("charge_switch", 0xAB, 0),
        ("discharge_switch", 0xAC, 0),
        ("dedicated_charger_switch", 0xB3, 0),
        ("current_calibrating", 0xB8, 0),
    ),
    texts=(("user_data", 0xB4, 8), ("production_date", 0xB5, 4), ("software_version", 0xB7, 15), ("model", 0xBA, 24)),
    alarms=(
        (
            "alarm_bits",
            0x8B,
            ">H",
            (
                (0, WARNING, "soc_low"),
                (1, PROTECTION, "mosfet_overtemperature"),
                (2, PROTECTION, "pack_overvoltage"),
                (3, PROTECTION, "pack_undervoltage"),
                (4, PROTECTION, "battery_overtemperature"),
                (5, PROTECTION, "charge_overcurrent"),
                (6, PROTECTION, "discharge_overcurrent"),
                (7, PROTECTION, "cell_delta"),
                (8, PROTECTION, "box_overtemperature"),
                (9, PROTECTION, "battery_undertemperature"),
                (10, PROTECTION, "cell_overvoltage"),
                (11, PROTECTION, "cell_undervoltage"),
                (12, FAULT, "frontend_protection_a"),
                (13, FAULT, "frontend_protection_b"),
            ),
        ),
    ),
)  # fmt: skip


def walk(body: bytes) -> "dict[int, int]":
    """Return where the value of each identifier begins; an unknown identifier ends the walk."""
    offsets: "dict[int, int]" = {}
    at, size = 0, len(body)
    while at < size:
        identifier = body[at]
        at += 1
        if identifier == CELLS:
            if at >= size:
                break
            end = at + 1 + body[at]
        elif identifier in WIDTHS:
            end = at + WIDTHS[identifier]
        else:
            break
        if end > size:
            break
        offsets[identifier] = at
        at = end
    return offsets


def broken_off(body: bytes, offsets: "dict[int, int]") -> bool:
    """Return True when the walk ended before the body did."""
    ends = [at + (1 + body[at] if one == CELLS else WIDTHS[one]) for one, at in offsets.items()]
    return max(ends, default=0) < len(body)


def placed(offsets: "dict[int, int]") -> Record:
    """Return the table as a Record for an answer whose values begin at these offsets."""

    def there(rows: "tuple[Any, ...]") -> "tuple[Any, ...]":
        return tuple([(row[0], offsets[row[1]]) + row[2:] for row in rows if row[1] in offsets])

    flags = []
    for reading, at, bit in STATUS.flags:
        if at in offsets:
            # The low bits of a word of two bytes stand in its second byte.
            flags.append((reading, offsets[at] + WIDTHS[at] - 1, bit))
    return Record(
        "status",
        numbers=there(STATUS.numbers),
        flags=tuple(flags),
        texts=there(STATUS.texts),
        alarms=there(STATUS.alarms),
    )


# Packs of one make answer in the same order, so the last Records are worth keeping.
_placed: "dict[tuple[tuple[int, int], ...], Record]" = {}


def _record(offsets: "dict[int, int]") -> Record:
    key = tuple(sorted(offsets.items()))
    record = _placed.get(key)
    if record is None:
        if len(_placed) >= 16:
            _placed.clear()
        record = placed(offsets)
        end = 0
        for identifier in offsets:
            if identifier in WIDTHS and offsets[identifier] + WIDTHS[identifier] > end:
                end = offsets[identifier] + WIDTHS[identifier]
        record.size = end
        _placed[key] = record
    return record


def temperature(raw: int) -> "int | None":
    """Return degree Celsius: 101 is one below zero, 140 forty below. None for what is no temperature.

    100 is what packs send just below zero, where a plain reading would say a hundred.
    """
    if raw <= 99:
        return raw
    return 100 - raw if raw <= 140 else None


def current(raw: int, version: int) -> float:
    """Return ampere, positive while charging."""
    if version == 1:
        return (raw & 0x7FFF) / 100 if raw & 0x8000 else -raw / 100 if raw else 0.0
    return (10000 - raw) / 100


def cell_voltages(block: bytes) -> "list[float | None]":
    """Return the voltages by cell number; each entry is a number and millivolts."""
    found: "list[float | None]" = []
    for index in range(0, len(block) - 2, 3):
        number = block[index]
        if not 1 <= number <= 32:
            raise ProtocolError(f"status: a cell with number {number}")
        while len(found) < number:
            found.append(None)
        found[number - 1] = (block[index + 1] << 8 | block[index + 2]) / 1000
    return found


def readings(body: bytes, known: "Readings") -> "Readings":
    """Return the readings of an answer to read-all, or of any list of identifiers and values."""
    offsets = walk(body)
    values = decode(_record(offsets), body)
    if CELLS in offsets:
        at = offsets[CELLS]
        if body[at] % 3:
            raise ProtocolError(f"status: {body[at]} bytes of cells, not three each")
        values["cell_voltages"] = cell_voltages(body[at + 1 : at + 1 + body[at]])
    if 0x84 in offsets:
        raw = struct.unpack_from(">H", body, offsets[0x84])[0]
        version = values.get("protocol_version", known.get("protocol_version"))
        # An answer that broke off does not tell how its current is coded, and a guess could be 100 A off.
        if version is not None or not broken_off(body, offsets):
            values["current"] = current(raw, version or 0)
    _temperatures(values, body, offsets)
    if "runtime" in values:
        values["runtime"] *= 60
    _versions(values)
    return values


def _temperatures(values: "Readings", body: bytes, offsets: "dict[int, int]") -> None:
    if "mosfet_temperature" in values:
        degrees = temperature(values.pop("mosfet_temperature"))
        if degrees is not None:
            values["mosfet_temperature"] = degrees
    found: "list[int | None]" = []
    for identifier in (0x81, 0x82):
        raw = struct.unpack_from(">H", body, offsets[identifier])[0] if identifier in offsets else 0xFFFF
        found.append(temperature(raw))
    while found and found[-1] is None:
        found.pop()
    if found:
        values["temperatures"] = found


def _versions(values: "Readings") -> None:
    """Part "H6.X__S6.1.3S__" into hardware and software, and write the month out: "2101" is 2021-01."""
    text = values.get("software_version", "")
    middle = text.find("_S")
    if middle > 0:
        hardware = text[:middle].strip("_")
        values["hardware_version"] = hardware[1:] if hardware[:1] == "H" else hardware
        values["software_version"] = text[middle + 2 :].strip("_")
    elif text:
        values["software_version"] = text.strip("_")
    date = values.pop("production_date", "")
    if len(date) == 4 and date.isdigit():
        values["production_date"] = f"20{date[:2]}-{date[2:]}"
    model = values.get("model", "")
    # Newer firmware has the first letters of the user data before the model.
    at = model.find("JK")
    if at >= 0:
        values["model"] = model[at:]


def field(body: bytes, identifier: int) -> str:
    """Return the text of an identifier in an answer, "" when it is not there."""
    at = walk(body).get(identifier, -1)
    return text_of(body[at : at + WIDTHS[identifier]]) if at >= 0 else ""
