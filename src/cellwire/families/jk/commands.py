"""What may be written to a JK, within which limits, and how well each way of writing is proven; nothing here sends.

Registers differ between the layouts: 0x6C is the balancer of JK04 and the clock of 32S. So there is no table for JK
as such, only one for each layout, and none may be used before the layout is known from the pack's own records.
Never written, and not to be had here: identifier BD, Modbus 0x1626 (both begin a firmware update), Modbus 0x1600 to
0x1619 (two incompatible meanings), presets, factory reset.
"""

import struct

from ...codec.errors import OutOfRange, ProtocolError
from ...codec.table import LIMITS
from . import ble, modbus, uart

TYPE_CHECKING = False
if TYPE_CHECKING:
    # command and the reading that proves it, register, form, divisor, low, high, grant, proof
    Row = tuple[str, int, str, float, float, float, str, str]

OPERATE = "operate"
CONFIGURE = "configure"
SERVICE = "service"
# captured: the write is in a capture of a real pack; agreed: independent sources say the same; unproven: one source.
CAPTURED = "captured"
AGREED = "agreed"
UNPROVEN = "unproven"

# The same in 24S and 32S: register = (offset in the settings record - 6) / 4 + 1.
_COMMON: "tuple[Row, ...]" = (
    ("charge_switch", 0x1D, "<I", 1, 0, 1, OPERATE, AGREED),
    ("discharge_switch", 0x1E, "<I", 1, 0, 1, OPERATE, AGREED),
    ("balancer_switch", 0x1F, "<I", 1, 0, 1, OPERATE, AGREED),
    ("cell_undervoltage_limit", 0x02, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_undervoltage_release", 0x03, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_overvoltage_limit", 0x04, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("cell_overvoltage_release", 0x05, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("balance_delta", 0x06, "<I", 1000, 0.003, 1.0, CONFIGURE, AGREED),
    ("power_off_voltage", 0x0B, "<I", 1000, 1.2, 4.35, CONFIGURE, AGREED),
    ("charge_overcurrent_limit", 0x0C, "<I", 1000, 1, 600.1, CONFIGURE, AGREED),
    ("charge_overcurrent_delay", 0x0D, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("charge_overcurrent_release_delay", 0x0E, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("discharge_overcurrent_limit", 0x0F, "<I", 1000, 1, 1200.1, CONFIGURE, AGREED),
    ("discharge_overcurrent_delay", 0x10, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("discharge_overcurrent_release_delay", 0x11, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("short_circuit_release_delay", 0x12, "<I", 1, 2, 600, CONFIGURE, AGREED),
    ("balance_current_limit", 0x13, "<I", 1000, 0.3, 15, CONFIGURE, AGREED),
    ("charge_overtemperature_limit", 0x14, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("charge_overtemperature_release", 0x15, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_limit", 0x16, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("discharge_overtemperature_release", 0x17, "<i", 10, 30, 80, CONFIGURE, AGREED),
    ("charge_undertemperature_limit", 0x18, "<i", 10, -45, 20, CONFIGURE, AGREED),
    ("charge_undertemperature_release", 0x19, "<i", 10, -45, 20, CONFIGURE, AGREED),
    ("mosfet_overtemperature_limit", 0x1A, "<i", 10, 50, 110, CONFIGURE, AGREED),
    ("mosfet_overtemperature_release", 0x1B, "<i", 10, 50, 110, CONFIGURE, AGREED),
    ("cell_count_setting", 0x1C, "<I", 1, 2, 32, SERVICE, AGREED),
    ("design_capacity", 0x20, "<I", 1000, 2, 20000, CONFIGURE, AGREED),
)
JK02_24S: "tuple[Row, ...]" = (
    (("sleep_voltage", 0x01, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),)
    + tuple([row if row[5] != 32 else (row[0], row[1], row[2], row[3], row[4], 24, row[6], row[7]) for row in _COMMON])
    + (
        ("short_circuit_delay", 0x25, "<I", 1000000, 0, 1, CONFIGURE, AGREED),
        ("balance_start", 0x26, "<I", 1000, 1.2, 4.25, CONFIGURE, AGREED),
    )
)
JK02_32S: "tuple[Row, ...]" = (
    (("sleep_voltage", 0x01, "<I", 1000, 0.003, 3.65, CONFIGURE, CAPTURED),)
    + _COMMON
    + (
        ("soc_full_voltage", 0x07, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
        ("soc_empty_voltage", 0x08, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
        ("charge_voltage_setting", 0x09, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
        ("float_voltage_setting", 0x0A, "<I", 1000, 0.003, 3.65, CONFIGURE, AGREED),
        ("short_circuit_delay", 0x21, "<I", 1000000, 0, 1, CONFIGURE, AGREED),
        ("balance_start", 0x22, "<I", 1000, 1.2, 4.25, CONFIGURE, AGREED),
        ("precharge_time", 0x25, "<I", 1, 0, 255, CONFIGURE, CAPTURED),
        # Control bits: register = 0x27 + bit.
        ("heating_switch", 0x27, "<I", 1, 0, 1, OPERATE, CAPTURED),
        ("sensors_disabled", 0x28, "<I", 1, 0, 1, SERVICE, AGREED),
        ("gps_heartbeat", 0x29, "<I", 1, 0, 1, CONFIGURE, UNPROVEN),
        ("port_rs485", 0x2A, "<I", 1, 0, 1, SERVICE, CAPTURED),
        ("display_always_on", 0x2B, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("special_charger", 0x2C, "<I", 1, 0, 1, CONFIGURE, UNPROVEN),
        ("smart_sleep", 0x2D, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("parallel_module_disabled", 0x2E, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("timed_stored_data", 0x2F, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("float_charge", 0x30, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("emergency_button", 0x31, "<I", 1, 0, 1, CONFIGURE, CAPTURED),
        ("dry_contact_intermittent", 0x32, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("discharge_overcurrent_stage_2", 0x33, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("discharge_overcurrent_stage_3", 0x34, "<I", 1, 0, 1, CONFIGURE, UNPROVEN),
        ("gps_lock_charge", 0x35, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("gps_lock_discharge", 0x36, "<I", 1, 0, 1, CONFIGURE, AGREED),
        ("heating_start", 0x37, "<b", 1, -40, 100, CONFIGURE, CAPTURED),
        ("heating_stop", 0x38, "<b", 1, -40, 100, CONFIGURE, CAPTURED),
        # Sent in hours.
        ("sleep_delay", 0x39, "<B", 1 / 3600, 3600, 360000, CONFIGURE, CAPTURED),
        ("discharge_undertemperature_limit", 0x3A, "<b", 1, -40, 100, CONFIGURE, UNPROVEN),
        ("discharge_undertemperature_release", 0x3B, "<b", 1, -40, 100, CONFIGURE, UNPROVEN),
        ("clock", 0x6C, "<I", 1, 0, 4294967295, CONFIGURE, CAPTURED),
        # From software 19.34.
        ("soc", 0x6E, "<B", 1, 0, 100, CONFIGURE, CAPTURED),
        ("soh", 0x6F, "<B", 1, 0, 100, SERVICE, CAPTURED),
        # Sent in tenths of hours and in minutes.
        ("charge_voltage_time", 0xB3, "<B", 1 / 360, 360, 65520, CONFIGURE, AGREED),
        ("float_voltage_time", 0xB4, "<B", 1 / 360, 360, 65520, CONFIGURE, AGREED),
        ("emergency_duration", 0xB5, "<B", 1 / 60, 60, 15300, CONFIGURE, CAPTURED),
        ("rebulk_soc", 0xB7, "<B", 1, 0, 50, CONFIGURE, UNPROVEN),
    )
)
JK04: "tuple[Row, ...]" = (
    ("balancer_switch", 0x6C, "<B", 1, 0, 1, OPERATE, CAPTURED),
    ("cell_count_setting", 0x1C, "<H", 1, 1, 24, SERVICE, CAPTURED),
    ("power_off_voltage", 0x20, "<f", 1, 2.0, 3.7, CONFIGURE, CAPTURED),
    ("voltage_reference", 0x44, "<f", 1, 2.8, 3.2, SERVICE, CAPTURED),
    ("balance_delta", 0x64, "<f", 1, 0.002, 1.0, CONFIGURE, CAPTURED),
    ("balance_current_limit", 0x68, "<f", 1, 0.1, 10, CONFIGURE, CAPTURED),
)
# Other identifiers are called writable by the maker, and were never seen to be; 9D is refused.
UART: "tuple[Row, ...]" = (
    ("charge_switch", 0xAB, ">B", 1, 0, 1, OPERATE, AGREED),
    ("discharge_switch", 0xAC, ">B", 1, 0, 1, OPERATE, AGREED),
)
# Modbus: address = 0x1000 + 4 * (register - 1) for what stands in the settings record, high word first.
_MODBUS_CAPTURED = ("sleep_voltage", "balancer_switch", "balance_start")
MODBUS: "tuple[Row, ...]" = tuple(
    [
        (
            row[0],
            0x1000 + 4 * (row[1] - 1),
            ">" + row[2][1],
            row[3],
            row[4],
            row[5],
            row[6],
            CAPTURED if row[0] in _MODBUS_CAPTURED else AGREED,
        )
        for row in JK02_32S
        if row[1] <= 0x22
    ]
) + (("control_bits", 0x1114, ">H", 1, 0, 65535, SERVICE, CAPTURED),)

# By dialect, and by layout where the dialect has two.
COMMANDS: "dict[str, tuple[Row, ...]]" = {
    "jk02 24S": JK02_24S,
    "jk02 32S": JK02_32S,
    "jk04": JK04,
    "jk-uart": UART,
    "jk-pb": MODBUS,
    "jk-modbus": MODBUS,
}


def row_of(dialect: str, name: str, layout: str = "") -> "Row":
    """Return the row of a command; raise ProtocolError when the dialect, in that layout, has none."""
    key = f"{dialect} {layout}" if dialect == "jk02" else dialect
    for row in COMMANDS.get(key, ()):
        if row[0] == name:
            return row
    raise ProtocolError(f"{key.strip()}: there is no command {name}")


def pack(row: "Row", value: float) -> bytes:
    """Return the row's payload for value. MicroPython's struct wraps silently, so the check comes first."""
    name, _register, form, divisor, low, high, _grant, _proof = row
    if not low <= value <= high:
        raise OutOfRange(f"{name}: {value} is not between {low} and {high}")
    if form[1] == "f":
        return struct.pack(form, float(value))
    raw = round(value * divisor)
    least, most = LIMITS[form[1]]
    if not least <= raw <= most:
        raise OutOfRange(f"{name}: {value} does not fit its field")
    return struct.pack(form, raw)


def request(dialect: str, name: str, value: float, address: int = 0, layout: str = "") -> bytes:
    """Return the bytes that write the value, for that dialect and layout.

    On the UART socket a password frame (`password()`) has to go ahead by 0.1 to 0.15 s.
    """
    row = row_of(dialect, name, layout)
    payload = pack(row, value)
    if dialect in ("jk02", "jk04"):
        return ble.command(row[1], payload)
    if dialect == "jk-uart":
        return uart.frame(uart.WRITE, uart.FROM_GPS, bytes((row[1],)) + payload)
    return modbus.write_words(address, row[1], payload)


def password() -> bytes:
    """Return the frame that opens the UART socket for a write; known firmware does not look at the password."""
    return uart.frame(uart.PASSWORD, uart.FROM_GPS, b"\x00\x00")


def guard(name: str, value: float, known: "dict[str, float]") -> None:
    """Raise OutOfRange when a voltage would break the order of the voltages that are set."""
    order = (
        "power_off_voltage",
        "cell_undervoltage_limit",
        "cell_undervoltage_release",
        "cell_overvoltage_release",
        "cell_overvoltage_limit",
    )
    if name in order:
        place = order.index(name)
        for index in range(len(order)):
            other = known.get(order[index])
            if other is None or index == place:
                continue
            wrong = value < other if index < place else value > other
            # Only power-off and the limit above it may be the same.
            if wrong or (value == other and index + place != 1):
                raise OutOfRange(f"{name}: {value} is on the wrong side of {order[index]} ({other})")
    if name == "balance_start":
        low, high = known.get("cell_undervoltage_limit"), known.get("cell_overvoltage_limit")
        if (low is not None and value < low) or (high is not None and value > high):
            raise OutOfRange(f"{name}: {value} is outside of the cell limits")
