"""The JK (Jikong) family: UART socket, RS485 of PB packs, Modbus, and the two Bluetooth generations."""

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
