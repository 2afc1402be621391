"""Records of the A5 dialect by command, and how the parts of a long answer become one record.

Live commands: vendor UART/485 protocol V1.2; settings 0x50 to 0x63: read from the PC tool's traffic. Numbers are
big-endian. Unused bytes at the end of a reply are left over from another one and mean nothing.
"""

from ...codec.dialect import REPLY
from ...codec.table import Record
from .alarms import HARDWARE_1, HARDWARE_2, LIMITS_1, LIMITS_2
from .currents import sizes
from .dates import clock_seconds, date_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...codec.dialect import Frame
    from ...codec.table import Readings

# More than 16 frames of cells do not exist; a larger frame number is damage that the sum did not show.
MOST_PARTS = 16


def _mosfets(values: "Readings", data: bytes) -> None:
    # Zeros all over are a board that has just woken up, and "MOSFETs off" from it has cut inverters (Daly2MQTT 164).
    # A true answer has a heartbeat that is past zero a second later.
    if not any(data):
        values.clear()


def _status(values: "Readings", data: bytes) -> None:
    values["input_bits"] = data[4] & 0x0F
    values["output_bits"] = data[4] >> 4


def _balancing(values: "Readings", data: bytes) -> None:
    values["balancing"] = len(values["balancing_cells"]) > 0


def _details(values: "Readings", data: bytes) -> None:
    date = date_text(data, 2)
    if date:
        values["production_date"] = date


def _currents(values: "Readings", data: bytes) -> None:
    sizes(values)


def _clock(values: "Readings", data: bytes) -> None:
    seconds = clock_seconds(data, 0)
    if seconds is not None:
        values["clock"] = seconds


PACK = Record(
    "pack",
    8,
    numbers=(
        ("voltage", 0, ">H", 0, 10),
        ("acquisition_voltage", 2, ">H", 0, 10, (0,)),
        # Raw numbers above 30000 discharge, so the sign is turned. Raw 0 is a board that has just woken up.
        ("current", 4, ">H", 30000, -10, (0,)),
        ("soc", 6, ">H", 0, 10),
    ),
)
CELL_EXTREMES = Record(
    "cell extremes",
    8,
    numbers=(
        ("cell_max", 0, ">H", 0, 1000),
        ("cell_max_number", 2, ">B", 0, 1),
        ("cell_min", 3, ">H", 0, 1000),
        ("cell_min_number", 5, ">B", 0, 1),
    ),
)
TEMPERATURE_EXTREMES = Record(
    "temperature extremes",
    8,
    numbers=(
        ("temperature_max", 0, ">B", 40, 1, (0, 255)),
        ("temperature_max_number", 1, ">B", 0, 1),
        ("temperature_min", 2, ">B", 40, 1, (0, 255)),
        ("temperature_min_number", 3, ">B", 0, 1),
    ),
)
MOSFETS = Record(
    "mosfets",
    8,
    numbers=(
        # The vendor calls it "BMS life"; it rolls over within minutes and counts no cycles.
        ("heartbeat", 3, ">B", 0, 1),
        ("remaining_capacity", 4, ">I", 0, 1000),
    ),
    flags=(("charge_mosfet", 1, 0), ("discharge_mosfet", 2, 0)),
    choices=(("pack_state", 0, ">B", ("idle", "charging", "discharging")),),
    finish=_mosfets,
)
STATUS = Record(
    "status",
    8,
    numbers=(
        ("cell_count", 0, ">B", 0, 1),
        ("sensor_count", 1, ">B", 0, 1),
        ("cycles", 5, ">H", 0, 1),
    ),
    flags=(("charger_connected", 2, 0), ("load_connected", 3, 0)),
    finish=_status,
)
CELLS = Record("cells", 0, lists=(("cell_voltages", 0, ">H", 0, 1000, "cell_count", (0xFFFF,)),))
TEMPERATURES = Record("temperatures", 0, lists=(("temperatures", 0, ">B", 40, 1, "sensor_count", (0, 255)),))
BALANCING = Record(
    "balancing",
    6,
    masks=(
        ("balancing_cells", 0, ">B", 1),
        ("balancing_cells", 1, ">B", 9),
        ("balancing_cells", 2, ">B", 17),
        ("balancing_cells", 3, ">B", 25),
        ("balancing_cells", 4, ">B", 33),
        ("balancing_cells", 5, ">B", 41),
    ),
    finish=_balancing,
)
ALARMS = Record(
    "alarms",
    8,
    numbers=(("fault_code", 7, ">B", 0, 1),),
    alarms=(
        ("alarm_bits", 0, "<H", LIMITS_1),
        ("alarm_bits_2", 2, "<H", LIMITS_2),
        ("fault_bits", 4, "<H", HARDWARE_1),
        ("fault_bits_2", 6, ">B", HARDWARE_2),
    ),
)

RATING = Record(
    "rating",
    8,
    numbers=(("design_capacity", 0, ">I", 0, 1000), ("nominal_cell_voltage", 4, ">I", 0, 1000)),
)
BOARDS = Record(
    "acquisition boards",
    8,
    numbers=(("acquisition_boards", 0, ">B", 0, 1),),
    lists=(("board_cells", 1, ">B", 0, 1, 3), ("board_sensors", 4, ">B", 0, 1, 3)),
)
TOTALS = Record("totals", 8, numbers=(("charged_total", 0, ">I", 0, 1), ("discharged_total", 4, ">I", 0, 1)))
DETAILS = Record(
    "battery details",
    8,
    numbers=(("operation_mode", 1, ">B", 0, 1), ("sleep_delay", 5, ">H", 0, 1)),
    choices=(("battery_type", 0, ">B", ("LFP", "Li-ion", "LTO")),),
    finish=_details,
)
FIRMWARE = Record("firmware index", 8, texts=(("firmware_index", 0, 8),))
BATTERY_CODE = Record("battery code", 7, texts=(("battery_code", 0, 35),))
CELL_LIMITS = Record(
    "cell limits",
    8,
    numbers=(
        ("cell_overvoltage_warning", 0, ">H", 0, 1000),
        ("cell_overvoltage_limit", 2, ">H", 0, 1000),
        ("cell_undervoltage_warning", 4, ">H", 0, 1000),
        ("cell_undervoltage_limit", 6, ">H", 0, 1000),
    ),
)
PACK_LIMITS = Record(
    "pack limits",
    8,
    numbers=(
        ("pack_overvoltage_warning", 0, ">H", 0, 10),
        ("pack_overvoltage_limit", 2, ">H", 0, 10),
        ("pack_undervoltage_warning", 4, ">H", 0, 10),
        ("pack_undervoltage_limit", 6, ">H", 0, 10),
    ),
)
CURRENT_LIMITS = Record(
    "current limits",
    8,
    numbers=(
        ("charge_overcurrent_warning", 0, ">H", 30000, 10),
        ("charge_overcurrent_limit", 2, ">H", 30000, 10),
        ("discharge_overcurrent_warning", 4, ">H", 30000, 10),
        ("discharge_overcurrent_limit", 6, ">H", 30000, 10),
    ),
    finish=_currents,
)
# The order inside these two is only presumed, so the numbers are given as they are.
TEMPERATURE_LIMITS = Record("temperature limits", 8, lists=(("temperature_limits_raw", 0, ">B", 0, 1, 8),))
SOC_LIMITS = Record("charge limits", 8, lists=(("soc_limits_raw", 0, ">H", 0, 1, 4),))
DIFFERENCE_LIMITS = Record(
    "difference limits",
    8,
    numbers=(
        ("cell_delta_warning", 0, ">H", 0, 1000),
        ("cell_delta_limit", 2, ">H", 0, 1000),
        ("temperature_delta_warning", 4, ">B", 0, 1),
        ("temperature_delta_limit", 5, ">B", 0, 1),
    ),
)
BALANCE_SETTINGS = Record(
    "balance settings", 8, numbers=(("balance_start", 0, ">H", 0, 1000), ("balance_delta", 2, ">H", 0, 1000))
)
SHORT_CIRCUIT = Record(
    "short circuit", 8, numbers=(("short_circuit_limit", 0, ">H", 0, 1), ("shunt_resistance", 2, ">H", 0, 1000))
)
CLOCK = Record("clock", 8, numbers=(("soc_setting", 6, ">H", 0, 10),), finish=_clock)
SOFTWARE = Record("software version", 7, texts=(("software_version", 0, 14),))
HARDWARE = Record("hardware version", 7, texts=(("hardware_version", 0, 14),))

RECORDS = {
    0x90: PACK,
    0x91: CELL_EXTREMES,
    0x92: TEMPERATURE_EXTREMES,
    0x93: MOSFETS,
    0x94: STATUS,
    0x95: CELLS,
    0x96: TEMPERATURES,
    0x97: BALANCING,
    0x98: ALARMS,
    0x50: RATING,
    0x51: BOARDS,
    0x52: TOTALS,
    0x53: DETAILS,
    0x54: FIRMWARE,
    0x57: BATTERY_CODE,
    0x59: CELL_LIMITS,
    0x5A: PACK_LIMITS,
    0x5B: CURRENT_LIMITS,
    0x5C: TEMPERATURE_LIMITS,
    0x5D: SOC_LIMITS,
    0x5E: DIFFERENCE_LIMITS,
    0x5F: BALANCE_SETTINGS,
    0x60: SHORT_CIRCUIT,
    0x61: CLOCK,
    0x62: SOFTWARE,
    0x63: HARDWARE,
}

# Answers in parts: command -> (bytes a part behind its number, bytes an element, reading that has their count, or
# the number of parts when it is fixed).
PARTS: "dict[int, tuple[int, int, int | str]]" = {
    0x95: (6, 2, "cell_count"),
    0x96: (7, 1, "sensor_count"),
    0x57: (7, 7, 5),
    0x62: (7, 7, 2),
    0x63: (7, 7, 2),
}
ABSENT = {0x95: b"\xff", 0x96: b"\xff", 0x57: b"\x00", 0x62: b"\x00", 0x63: b"\x00"}


def parts_needed(command: int, known: "Readings") -> "int | None":
    """Return how many parts make the answer complete, None while the count of cells or sensors is not known."""
    width, element, count = PARTS[command]
    if not isinstance(count, int):
        number = known.get(count)
        if number is None:
            return None
        count = (number * element + width - 1) // width
    return count


def join(command: int, frames: "list[Frame]", address: int, needed: int, quiet: bool) -> "bytes | None":
    """Return the bytes of a long answer in the order of its parts, None while parts are missing.

    The newest part of a number counts. When the line is quiet missing cells are filled with what stands for "absent",
    so that the cells behind them keep their places; a text with a hole would be a wrong text.
    """
    width = PARTS[command][0]
    parts: "dict[int, bytes]" = {}
    seen = False
    for kind, board, key, payload in frames:
        if kind == REPLY and key == command and from_board(board, address):
            seen = True
            if 1 <= payload[0] <= MOST_PARTS:
                parts[payload[0]] = payload[1 : 1 + width]
    if not seen:
        return None
    joined = b""
    for number in range(1, needed + 1):
        if number in parts:
            joined += parts[number]
        elif quiet and command == 0x95:
            joined += ABSENT[command] * width
        else:
            return None
    return joined


def from_board(board: "int | None", address: int) -> bool:
    """Say whether a reply of `board` can answer a question to `address`; the app's address has no board number."""
    return board == address or address > 16
