"""Checksums of the three makers: plain sums and the CRC-16 of Modbus."""


def sum8(data: bytes) -> int:
    """Return the sum of all bytes, modulo 256 (JK records, Daly A5)."""
    return sum(data) & 0xFF


def sum16(data: bytes) -> int:
    """Return the sum of all bytes, modulo 65536 (JK 4E57)."""
    return sum(data) & 0xFFFF


def negative_sum16(data: bytes) -> int:
    """Return 65536 minus the sum of all bytes, modulo 65536 (JBD)."""
    return -sum(data) & 0xFFFF


def _crc16_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


CRC16_TABLE = tuple([_crc16_of(byte) for byte in range(256)])


def crc16(data: bytes) -> int:
    """Return the CRC-16 of Modbus (start FFFF, polynomial A001); the wire carries its low byte first."""
    table = CRC16_TABLE
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc
