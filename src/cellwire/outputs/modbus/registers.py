"""Writes values into registers: big-endian, the high word first; what is absent or does not fit is not available."""

import math
import struct
from typing import Any

# type: form, lowest and highest value, what says that there is none. The names are those of SunSpec.
TYPES = {
    "uint16": (">H", 0, 0xFFFE, 0xFFFF),
    "int16": (">h", -0x7FFF, 0x7FFF, -0x8000),
    "enum16": (">H", 0, 0xFFFE, 0xFFFF),
    "sunssf": (">h", -10, 10, -0x8000),
    "pad": (">H", 0x8000, 0x8000, 0x8000),
    "uint32": (">I", 0, 0xFFFFFFFE, 0xFFFFFFFF),
    "bitfield32": (">I", 0, 0x7FFFFFFF, 0xFFFFFFFF),
}
TEXTS = {"string8": 16, "string16": 32}  # bytes


def size(kind: str) -> int:
    """Return how many registers a value of this type takes."""
    return (TEXTS.get(kind) or struct.calcsize(TYPES[kind][0])) // 2


def registers(kind: str, value: Any, factor: float = 1) -> bytes:
    """Return the registers of a value times a factor; None, and what does not fit, is not available."""
    if kind in TEXTS:
        text = str(value or "").encode()[: TEXTS[kind]]
        # What was cut in the middle of a letter is no text any more.
        return text.decode(errors="ignore").encode().ljust(TEXTS[kind], b"\0")
    form, low, high, absent = TYPES[kind]
    if value is None or not math.isfinite(value):
        return struct.pack(form, absent)
    number = round(value * factor)
    return struct.pack(form, number if low <= number <= high else absent)
