"""The one family that is not ours: what the library aiobmsble reads of other makers' packs, as readings.

The library speaks with the pack; the link "aiobmsble:" (links/ble/guest.py) asks it and sends on what it says as lines
of JSON, so that all the rest works as with a pack of our own: session, gate, captures. This folder does not run on
MicroPython, where there is no such library either.
"""

import json

from ...codec.dialect import FAST, ONCE, REPLY, Dialect, Query
from ...codec.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...codec.dialect import Frame

    Readings = dict[str, Any]

LONGEST = 32768  # characters of a line: sixteen packs inside of one need a quarter of it

SAMPLE = "sample"
DEVICE = "device"

# The library's word and ours. It counts like we do: volts, amperes that are positive while charging, Ah, Wh, seconds.
NUMBERS = (
    ("voltage", "voltage"),
    ("current", "current"),
    ("power", "power"),
    ("battery_level", "soc"),
    ("battery_health", "soh"),
    ("cycle_charge", "remaining_capacity"),
    ("design_capacity", "design_capacity"),
    ("cycle_capacity", "energy"),
    ("runtime", "remaining_time"),
    ("pack_count", "pack_count"),
    ("cell_count", "cell_count"),
    ("delta_voltage", "cell_delta"),
    ("cycles", "cycles"),
    ("total_charge", "discharged_total"),
    ("balance_current", "balance_current"),
    ("heater_current", "heating_current"),
    ("problem_code", "alarm_bits"),
)
FLAGS = (
    ("chrg_mosfet", "charge_mosfet"),
    ("dischrg_mosfet", "discharge_mosfet"),
    ("balancer", "balancing"),  # some send a mask, whose bits mean cells or states: only "none" is sure
    ("heater", "heating"),
)
# Where a sensor sits; the others, on cells or anywhere, are numbered as they come.
SENSORS = (
    ("MOSFET", "mosfet_temperature"),
    ("PCB", "board_temperature"),
    ("HEATER", "heater_temperature"),
    ("BALANCER", "balancer_temperature"),
    ("AMBIENT", "ambient_temperature"),
    ("CELL_MAX", "temperature_max"),
    ("CELL_MIN", "temperature_min"),
)
PLACED = tuple([place for place, _ in SENSORS])
# Boards answer with the end of their scale for a sensor that is not there: 215 is 255 less the usual 40.
COLDEST, WARMEST = -60.0, 200.0
# What a pack has to tell one of. Some masters only tell of packs inside of them, which are not shown yet.
MAIN = ("voltage", "current", "soc", "cell_voltages")
PHASES = ("bulk", "absorption", "float")
TEXTS = (
    ("manufacturer", "manufacturer"),
    ("model", "model"),
    ("name", "name"),
    ("serial_number", "pack_serial_number"),  # often the Bluetooth module's, alike in all of them: no identity
    ("hw_version", "hardware_version"),
    ("sw_version", "software_version"),
    ("fw_version", "software_version"),  # of both it is the one that the catalogue means
)


class Receiver:
    """Cuts lines out of bytes; a line is a frame when it is a JSON object with a sample or a device in it."""

    def __init__(self) -> None:
        self.dropped = 0
        self.damaged = 0
        self._begun = b""

    def feed(self, data: bytes) -> "list[Frame]":
        """Return the frames that end in these bytes."""
        lines = (self._begun + data).split(b"\n")
        self._begun = lines.pop()
        if len(self._begun) > LONGEST:
            self.dropped += len(self._begun)
            self._begun = b""
        frames: list[Frame] = []
        for line in lines:
            document = _object(line)
            key = next((key for key in (SAMPLE, DEVICE) if isinstance(document.get(key), dict)), None)
            if key is not None:
                frames.append((REPLY, None, key, line))
            elif line[:1] == b"{":
                self.damaged += 1
            else:
                self.dropped += len(line) + 1
        return frames

    def waiting(self) -> int:
        """Return how many bytes of a line have come that has not ended."""
        return len(self._begun)


def _object(line: bytes) -> "dict[str, Any]":
    """Return the JSON object of a line, {} when it is none."""
    try:
        document = json.loads(line.decode()) if len(line) <= LONGEST else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def request(query: Query, address: int) -> bytes:
    """Return the line that asks the link for it."""
    return str(query.key).encode() + b"\n"


def collect(query: Query, address: int, frames: "list[Frame]", known: "Readings", quiet: bool) -> "Readings | None":
    """Return the readings that answer the query, None while there is no answer; raise ProtocolError."""
    for frame in frames:
        if frame[2] == query.key:
            return read(frame, known)
    return None


def read(frame: "Frame", known: "Readings") -> "Readings":
    """Return the readings of one line; raise ProtocolError when a sample has none that matter."""
    document = _object(frame[3])
    if frame[2] == DEVICE:
        return _device(document)
    values = _sample(document.get(SAMPLE, {}))
    if not any(name in values for name in MAIN):
        raise ProtocolError("the pack said nothing of itself that the library understands; is it the right type?")
    address = document.get("address")
    if isinstance(address, str):
        # The one thing that each of these packs has of its own.
        values["battery_code"] = address.replace(":", "").lower()
    return values


def _sample(sample: "dict[str, Any]") -> "Readings":
    values: Readings = {}
    for theirs, ours in NUMBERS:
        if _is_number(sample.get(theirs)):
            values[ours] = sample[theirs]
    for theirs, ours in FLAGS:
        if sample.get(theirs) is not None:
            values[ours] = bool(sample[theirs])
    cells = sample.get("cell_voltages")
    if isinstance(cells, list) and cells and all(_is_number(cell) for cell in cells):
        values["cell_voltages"] = cells
    _temperatures(sample, values)
    mode = sample.get("battery_mode")
    if isinstance(mode, int) and 0 <= mode < len(PHASES):
        values["charge_phase"] = PHASES[mode]
    if sample.get("problem") is not None or "alarm_bits" in values:
        troubled = bool(sample.get("problem") or values.get("alarm_bits"))
        values["warnings"] = ["unnamed"] if troubled else []
    return values


def _temperatures(sample: "dict[str, Any]", values: "Readings") -> None:
    told = sample.get("temp_values")
    # A few of the library's types give bare numbers.
    sensors = [each if isinstance(each, dict) else {"value": each} for each in told] if isinstance(told, list) else []
    for place, ours in SENSORS:
        values_here = [_measured(each.get("value")) for each in sensors if each.get("type") == place]
        here = [value for value in values_here if value is not None]
        if here:
            # Boards with several sensors on their MOSFETs or around them: what is warmest counts.
            values[ours] = min(here) if place == "CELL_MIN" else max(here)
    others = [_measured(each.get("value")) for each in sensors if each.get("type") not in PLACED]
    if not sensors:
        others = [_measured(sample.get("temperature"))]
    if any(value is not None for value in others):
        values["temperatures"] = others


def _measured(value: "Any") -> "float | None":
    """Return a temperature, None where there is no sensor."""
    return value if _is_number(value) and COLDEST <= value <= WARMEST else None


def _device(document: "dict[str, Any]") -> "Readings":
    values: Readings = {}
    for theirs, ours in TEXTS:
        text = document[DEVICE].get(theirs)
        if isinstance(text, str) and text.strip():
            values[ours] = text.strip()
    return values


def _is_number(value: "Any") -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


DIALECTS = (
    Dialect(
        "aiobmsble",
        "aiobmsble",
        "other makers' packs by Bluetooth, through the library aiobmsble",
        (Query(SAMPLE, SAMPLE, FAST), Query(DEVICE, DEVICE, ONCE, optional=True)),
        SAMPLE,
        request,
        Receiver,
        collect,
        read,
        (),
        bauds=(),
        # Some boards tell their cells to a tenth of a volt: up to 1.5 % of a cell, and the pack voltage is rounded too.
        sum_tolerance=(0.1, 0.02),
    ),
)
