"""The JK (Jikong) family: UART socket, RS485 of PB packs, Modbus, and the two Bluetooth generations."""

from ...codec.dialect import Bluetooth
from .ble import JK02, JK04
from .commands import JK02_COMMANDS, JK04_COMMANDS, MODBUS_COMMANDS, PB_COMMANDS, UART_COMMANDS
from .modbus import JK_MODBUS
from .pb import JK_PB
from .uart import JK_UART

# Commands are built on the frames of the dialects, so they come to them here.
JK02.commands = JK02_COMMANDS
JK04.commands = JK04_COMMANDS
JK_UART.commands = UART_COMMANDS
JK_PB.commands = PB_COMMANDS
JK_MODBUS.commands = MODBUS_COMMANDS

DIALECTS = (JK_UART, JK_PB, JK_MODBUS, JK02, JK04)

BLUETOOTH = Bluetooth(
    "jk",
    speaks=("jk02", "jk04"),
    # Some modules have the characteristic twice, one to write and one that notifies.
    services=(("FFE0", "FFE1", "FFE1"),),
    names=("JK-*", "JK_*"),
    makers=((0x0B65, b"\x88\xa0", b""), (0x4B4A, b"", b"")),
    prefixes=("C8:47:8C", "C8:47:80", "20:21:11"),
)
