"""Every write in the captures is made again: by a command (tests/micropython does it on both interpreters), or here."""

import pytest
from captured import Vector, name_of, vectors

from cellwire.families.daly.frames import D2_UNIT, P81_REQUEST, WRITE_MANY, WRITE_ONE, register_frame
from cellwire.families.jbd import frames as jbd
from cellwire.families.jk import modbus, uart

# What is a write and no command of ours: how it is made, and why nobody is offered it.
OTHERS = {
    "std_factory_enter": jbd.enter_factory_mode(),
    "std_factory_exit_nosave": jbd.leave_factory_mode(),
    "std_factory_exit_save": jbd.leave_factory_mode(save=True),
    # The boards that this was tried on refuse it.
    "std_reset_e3_4321": jbd.request(jbd.WRITE, 0xE3, b"\x43\x21"),
    # From the maker's paper alone.
    "std_mos_fb_charge_off": jbd.request(jbd.WRITE, 0xFB, b"\x01\x01"),
    "std_clear_history_0b": jbd.request(jbd.WRITE, 0x0B, b"\x18\x81"),
    # Real units say yes to it and do nothing.
    "d2_doc_write_req": register_frame(D2_UNIT, WRITE_ONE, 0x0C, 1),
    "d2_doc_multiwrite_req": register_frame(D2_UNIT, WRITE_MANY, 0x0C, 2, b"\x00\x01\x00\x02"),
    # The maker's program looks for packs with it; nobody knows what it writes.
    "p81_probe": register_frame(P81_REQUEST, WRITE_MANY, 0xF05, 2, b"\x00\x00\x00\x00"),
    # A pack refused this value.
    "modbus-write-rcv-rfv-time-illegal": modbus.write_words(2, 0x1504, b"\x00\x01"),
    "modbus-doc-write-request": modbus.write_words(1, 0x20, b"\x00\x05\x22\x33"),
    "uart-password-prime": uart.frame(uart.PASSWORD, uart.FROM_GPS, b"\x00\x00"),
}
READS = ("cmd-read-", "uart-write-short-checksum-bad", "pb-trigger-")


def is_write(vector: Vector) -> bool:
    """Return whether it is a request that changes something."""
    if vector.row.get("direction") != "tx" or vector.id.startswith(READS):
        return False
    if "command" in vector.row:
        return True
    if vector.dialect == "jbd":
        return vector.data[1] == jbd.WRITE
    if vector.dialect in ("daly-d2", "daly-p81"):
        return vector.data[1] in (WRITE_ONE, WRITE_MANY)
    if vector.dialect in ("jk-pb", "jk-modbus"):
        return vector.data[1] == modbus.WRITE
    return "password" in vector.id or vector.id.startswith("cmd-")


WRITES = [vector for vector in vectors() if is_write(vector)]


@pytest.mark.parametrize("vector", [each for each in WRITES if "command" not in each.row], ids=name_of)
def test_each_captured_write_is_made_again(vector: Vector) -> None:
    assert OTHERS[vector.id] == vector.data


def test_there_are_as_many_as_there_were() -> None:
    assert len([each for each in WRITES if "command" in each.row]) >= 74
    assert {each.id for each in WRITES if "command" not in each.row} == set(OTHERS)
