"""The JK (Jikong) family: UART socket, RS485 of PB packs, Modbus, and the two Bluetooth generations."""

from .ble import JK02, JK04
from .modbus import JK_MODBUS
from .pb import JK_PB
from .uart import JK_UART

DIALECTS = (JK_UART, JK_PB, JK_MODBUS, JK02, JK04)
