"""Parameters by number (register FA of new firmware): one table, of which any block can be read."""

from ...codec.table import Record, text_of
from . import frontend, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

REGISTER = 0xFA
# (first number, count): what is asked for, inside the 95 words that fit one answer.
BLOCKS = ((0, 56), (56, 48), (104, 19), (158, 26))


def _same_as_registers() -> "tuple[Any, ...]":
    rows = []
    for register, reading, (form, zero, divisor) in records.WORDS:
        # Number 4 counts in mA what register 14 counts in %: never to be taken for it.
        if 0x10 <= register <= 0x37 and reading != "self_discharge":
            rows.append((reading, 2 * (register - 0x10), form, zero, divisor))
    return tuple(rows)


PARAMETERS = Record(
    "parameters",
    numbers=_same_as_registers()
    + (
        ("function_bits", 58, ">H", 0, 1),
        ("hardware_overcurrent_setting", 80, ">H", 0, 1),
        ("hardware_short_circuit_setting", 82, ">H", 0, 1),
        ("frontend_delay_bits", 84, ">H", 0, 1),
        ("short_circuit_release_delay", 86, ">H", 0, 1),
        ("charge_undertemperature_delay", 88, ">H", 0, 1),
        ("charge_overtemperature_delay", 90, ">H", 0, 1),
        ("discharge_undertemperature_delay", 92, ">H", 0, 1),
        ("discharge_overtemperature_delay", 94, ">H", 0, 1),
        ("pack_undervoltage_delay", 96, ">H", 0, 1),
        ("pack_overvoltage_delay", 98, ">H", 0, 1),
        ("cell_undervoltage_delay", 100, ">H", 0, 1),
        ("cell_overvoltage_delay", 102, ">H", 0, 1),
        ("charge_overcurrent_delay", 104, ">H", 0, 1),
        ("charge_overcurrent_release_delay", 106, ">H", 0, 1),
        ("discharge_overcurrent_delay", 108, ">H", 0, 1),
        ("discharge_overcurrent_release_delay", 110, ">H", 0, 1),
        ("gps_cutoff_voltage", 208, ">H", 0, 1000),
        ("gps_cutoff_delay", 210, ">H", 0, 1),
        ("soc_90_voltage", 212, ">H", 0, 1000),
        ("soc_70_voltage", 214, ">H", 0, 1000),
        ("soc_50_voltage", 216, ">H", 0, 1000),
        ("soc_30_voltage", 218, ">H", 0, 1000),
        ("soc_10_voltage", 220, ">H", 0, 1000),
        ("soc_100_voltage", 222, ">H", 0, 1000),
        ("learned_capacity", 224, ">H", 0, 100),
        ("learning_interval", 226, ">H", 0, 1),
        ("rated_voltage", 228, ">H", 0, 10),
        ("rated_current", 230, ">H", 0, 1),
        ("rated_power", 232, ">H", 0, 1),
        ("rated_charge_voltage", 234, ">H", 0, 10),
        ("rated_discharge_current", 236, ">H", 0, 1),
        ("rated_charge_current", 238, ">H", 0, 1),
        ("rated_discharge_power", 240, ">H", 0, 1),
        ("smallest_current", 242, ">H", 0, 1000),
        ("sleep_delay", 244, ">H", 0, 1),
    ),
    flags=tuple([(reading, 58 + at, bit) for reading, at, bit in records.FUNCTION_FLAGS]),
)

# reading, first number, words, first byte is the length
TEXTS = (
    ("manufacturer", 56, 16, True),
    ("battery_code", 72, 16, True),
    ("barcode", 88, 16, True),
    ("model", 158, 12, True),
    ("hardware_version", 176, 8, False),
)

_blocks: "dict[tuple[int, int, bool], Record]" = {}


def block(first: int, count: int, coarse: bool) -> Record:
    """Return the record of the parameters `first` to `first` + `count` - 1."""
    key = (first, count, coarse)
    if key not in _blocks:
        whole = records.coarse(PARAMETERS) if coarse else PARAMETERS

        def inside(rows: "tuple[Any, ...]") -> "tuple[Any, ...]":
            start, end = 2 * first, 2 * (first + count)
            return tuple([(row[0], row[1] - start) + row[2:] for row in rows if start <= row[1] < end])

        record = Record("parameter block", 2 * count, numbers=inside(whole.numbers), flags=inside(whole.flags))
        if len(_blocks) > 16:
            return record
        _blocks[key] = record
    return _blocks[key]


def finish(values: "Readings", first: int, data: bytes, known: "Readings") -> None:
    """Add what no row can say: the date, the shunt's unit, the front end, and the texts of a block."""
    end = first + len(data) // 2

    def word(number: int) -> int:
        at = 2 * (number - first)
        return data[at] << 8 | data[at + 1]

    if first <= 5 < end:
        date = records.date_of(word(5))
        if date:
            values["production_date"] = date
    if first <= 28 < end and word(28) & 0x8000:
        values["shunt_resistance"] = (word(28) & 0x7FFF) / 100
    chip = known.get("chip_type", "")
    if first <= 40 and end > 41:
        values.update(frontend.packed_currents(chip, word(40), word(41)))
    if first <= 42 < end and chip == "TI":
        raw = word(42) & 0xFF
        values["hard_cell_undervoltage_delay"] = frontend.HARD_UNDERVOLTAGE_DELAY[raw >> 6]
        values["hard_cell_overvoltage_delay"] = frontend.HARD_OVERVOLTAGE_DELAY[raw >> 4 & 3]
    for reading, number, words, counted in TEXTS:
        if first <= number and end >= number + words:
            field = data[2 * (number - first) : 2 * (number - first + words)]
            if counted:
                field = field[1 : 1 + field[0]]
            text = text_of(field)
            if text:
                values[reading] = text
    if first <= 170 and end >= 176:
        field = data[2 * (170 - first) : 2 * (176 - first)]
        if any(field):
            values["unique_id"] = "".join([f"{byte:02x}" for byte in field])
