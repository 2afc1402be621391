"""JBD: frames, units, refusals, parameters, front end, login, commands, and the twins as a stranger reads them."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cellwire.codec.checksum import crc16, negative_sum16
from cellwire.codec.dialect import ACK, PUSH, REFUSAL, REPLY, REQUEST, Dialect, Query
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.families import jbd
from cellwire.families.jbd import commands, frames, login, parameters, records, twin, up
from cellwire.readings.catalogue import BY_NAME

FILE = Path(jbd.__file__).with_name("vectors.json")
DATA = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = {vector["id"]: vector for vector in DATA["vectors"]}
OTHER = {vector["id"]: vector for vector in DATA["other"]}
STANDARD, ADDRESSED, UP = jbd.DIALECTS


def raw(name: str) -> bytes:
    vector = VECTORS[name]
    return bytes.fromhex(vector.get("hex") or "".join(vector["chunks"]))


def reply(register: int, data: bytes, status: int = 0) -> bytes:
    body = bytes((status, len(data))) + data
    return bytes((0xDD, register)) + body + struct.pack(">HB", negative_sum16(body), 0x77)


def ask(dialect: Dialect, name: str, answer: bytes, known: dict[str, Any] | None = None) -> dict[str, Any] | None:
    query = dialect.query(name)
    address = dialect.addresses[0]
    return dialect.collect(query, address, dialect.receiver().feed(answer), known or {}, True)


def basic(**bytes_at: int) -> bytes:
    data = bytearray(raw("basic_4s_idle")[4:-3])
    for name, value in bytes_at.items():
        data[int(name[1:])] = value
    return bytes(data)


def test_every_row_has_a_name_in_the_catalogue() -> None:
    for dialect in jbd.DIALECTS:
        for record in dialect.records:
            for row in record.numbers + record.lists + record.flags + record.choices + record.texts + record.masks:
                assert row[0] in BY_NAME, row


# --- frames ---


def test_an_own_request_that_comes_back_is_no_answer() -> None:
    for query in STANDARD.queries:
        sent = STANDARD.request(query, 0)
        receiver = STANDARD.receiver()
        found = receiver.feed(sent)
        assert [frame[0] for frame in found] == [REQUEST]
        assert STANDARD.collect(query, 0, found, {}, False) is None
    found = STANDARD.receiver().feed(raw("std_read_03") + raw("basic_4s_idle"))
    assert [frame[0] for frame in found] == [REQUEST, REPLY]
    for dialect in (ADDRESSED, UP):
        for query in dialect.queries:
            found = dialect.receiver().feed(dialect.request(query, 1))
            assert [frame[0] for frame in found] == [REQUEST]
            assert dialect.collect(query, 1, found, {}, True) is None


def test_a_wrong_byte_costs_one_byte_only() -> None:
    receiver = frames.Receiver()
    bad = bytearray(raw("basic_4s_idle"))
    bad[6] ^= 1
    assert [frame[2] for frame in receiver.feed(bytes(bad) + raw("cells_4s"))] == [0x04]
    assert receiver.dropped == len(bad)
    assert receiver.damaged == 1


def test_an_unknown_status_is_no_frame() -> None:
    receiver = frames.Receiver()
    assert receiver.feed(reply(0x03, basic(), 0x42) + raw("cells_4s"))[0][2] == 0x04


def test_noise_like_a_long_frame_does_not_swallow_an_answer() -> None:
    receiver = frames.Receiver()
    assert [frame[2] for frame in receiver.feed(b"\xdd\x03\x00\x60\x01" + raw("cells_4s"))] == [0x04]
    assert receiver.dropped == 5


def test_module_frames_are_skipped_whole() -> None:
    receiver = frames.Receiver()
    module = login.frame(login.RANDOM, b"\xdd")
    assert [frame[2] for frame in receiver.feed(module + raw("cells_4s"))] == [0x04]
    assert receiver.dropped == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20])
def test_answers_may_be_cut_anywhere(size: int) -> None:
    stream = raw("basic_4s_idle") + raw("cells_4s") + raw("std_err_24_not_factory") + raw("std_ack_e1")
    receiver = frames.Receiver()
    found = []
    for at in range(0, len(stream), size):
        found += receiver.feed(stream[at : at + size])
    assert [(frame[0], frame[2]) for frame in found] == [
        (REPLY, 0x03),
        (REPLY, 0x04),
        (REFUSAL, 0x24),
        (ACK, 0xE1),
    ]
    assert receiver.waiting() == receiver.dropped == 0


def test_one_dialect_does_not_take_the_frames_of_another() -> None:
    for name, vector in VECTORS.items():
        if vector["dialect"] == "jbd" and vector["direction"] == "rx" and not name.startswith("scan"):
            assert not [frame for frame in ADDRESSED.receiver().feed(raw(name)) if frame[0] == REPLY]
            assert UP.receiver().feed(raw(name)) == []
        if vector["dialect"] != "jbd":
            assert [frame for frame in STANDARD.receiver().feed(raw(name)) if frame[0] == REPLY] == []


def test_telemetry_of_an_up_board_is_found_between_standard_answers() -> None:
    mixed = raw("scan_up16s_stream_mixed")
    assert [(frame[0], frame[1]) for frame in UP.receiver().feed(mixed)] == [(PUSH, 2)]
    assert [frame[2] for frame in STANDARD.receiver().feed(mixed)] == [0x04]


# --- readings ---


def test_a_refusal_says_why() -> None:
    with pytest.raises(Refused, match="factory mode") as caught:
        ask(STANDARD, "setting-24", raw("std_err_24_not_factory"))
    assert caught.value.code == 0x81
    with pytest.raises(Refused, match="does not know"):
        ask(STANDARD, "name", raw("std_err_05_dwf"))


def test_the_answer_to_another_question_is_not_taken() -> None:
    assert ask(STANDARD, "basic", raw("cells_4s")) is None
    assert ask(STANDARD, "setting-25", raw("ee_24")) is None
    assert ask(ADDRESSED, "cells", raw("addr0_basic_16s")) is None


def test_old_firmware_repeats_the_a5() -> None:
    values = ask(STANDARD, "basic", raw("old_basic_a5_echo"))
    assert values is not None
    assert values["voltage"] == 49.84
    assert ask(STANDARD, "cells", raw("old_basic_a5_echo")) is None
    assert ask(STANDARD, "basic", raw("old_cells_a5_echo")) is None


def test_coarse_units_by_the_mosfet_byte_and_by_the_function_bit() -> None:
    data = basic(b2=0x01, b3=0x00, b20=0x83)
    values = STANDARD.read((REPLY, None, 3, data), {})
    assert (values["current"], values["full_capacity"], values["voltage"]) == (25.6, 50.0, 15.6)
    fine = STANDARD.read((REPLY, None, 3, basic(b2=0x01, b3=0x00)), {})
    assert (fine["current"], fine["full_capacity"]) == (2.56, 5.0)
    by_function = STANDARD.read((REPLY, None, 3, basic(b2=0x01, b3=0x00)), {"function_bits": 0x1000})
    assert by_function["current"] == 25.6
    known = {"function_bits": 0x1002}
    assert STANDARD.read((REPLY, None, 0x10, b"\x6d\x60"), known) == {"design_capacity": 2800.0}
    assert STANDARD.read((REPLY, None, 0x29, b"\xa6\x28"), known) == {"discharge_overcurrent_limit": 2300.0}
    assert STANDARD.read((REPLY, None, 0x2C, b"\x00\x19"), known) == {"shunt_resistance": 0.25}


def test_balancing_cells_1_to_16_stand_in_the_first_word() -> None:
    values = STANDARD.read((REPLY, None, 3, basic(b12=0x80, b13=0x01, b15=0x02)), {})
    assert values["balancing_cells"] == [1, 16, 18]
    assert values["balancing"] is True


def test_an_impossible_date_is_left_out() -> None:
    assert "production_date" not in STANDARD.read((REPLY, None, 3, basic(b10=0, b11=0)), {})
    assert records.date_of(records.packed_date("2022-03-28")) == "2022-03-28"
    with pytest.raises(ProtocolError):
        records.packed_date("1999-12-31")


def test_shunt_unit_by_bit_15() -> None:
    assert STANDARD.read((REPLY, None, 0x2C, b"\x80\x19"), {}) == {"shunt_resistance": 0.25}


@pytest.mark.parametrize(
    ("register", "data"),
    [
        (0x03, bytes(22)),
        (0x04, b"\x0c"),
        (0x04, b"\x0c\xe4"),
        (0x04, b"0123"),
        (0x24, bytes(3)),
        (0x05, b"ab\x80"),
        (0xA0, b"\x09DGJBD"),
        (0xAA, bytes(23)),
        (0xFA, b"\x00\x00\x02\x00\x00"),
        (0x00, b"\x00"),
    ],
)
def test_a_length_that_does_not_fit_is_no_reading(register: int, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        STANDARD.read((REPLY, None, register, data), {})


def test_unknown_registers_have_no_readings() -> None:
    assert STANDARD.read((REPLY, None, 0xF6, bytes(60)), {}) == {}
    assert UP.read((REPLY, 1, 0x782400, bytes(14)), {}) == {}


def test_front_end_in_ampere_needs_the_shunt_and_a_ti_chip() -> None:
    frame = (REPLY, None, 0x38, b"\x8d\x5c")
    values = STANDARD.read(frame, {})
    assert (values["short_circuit_threshold"], values["short_circuit_delay"]) == (155, 0.0001)
    assert "short_circuit_limit" not in values
    values = STANDARD.read(frame, {"shunt_resistance": 0.1})
    assert values["short_circuit_limit"] == pytest.approx(1550)
    assert STANDARD.read(frame, {"chip_type": "O2"}) == {"frontend_current_bits": 0x8D5C}
    assert STANDARD.read((REPLY, None, 0, b"\x00\x05"), {}) == {"chip_type": "DC10xx"}


def test_parameter_blocks() -> None:
    answer = reply(0xFA, struct.pack(">HB56H", 0, 56, *range(100, 156)))
    values = ask(STANDARD, "block-0", answer)
    assert values is not None
    assert values["design_capacity"] == 1.0
    assert values["charge_overcurrent_delay"] == 152
    assert values["function_bits"] == 129
    assert ask(STANDARD, "block-56", answer) is None
    text = b"\x05DGJBD" + bytes(26) + bytes(64)
    values = ask(STANDARD, "block-56", reply(0xFA, struct.pack(">HB", 56, 48) + text))
    assert values == {"manufacturer": "DGJBD"}
    assert {row[0] for row in parameters.PARAMETERS.numbers} <= set(BY_NAME)


def test_the_telemetry_of_a_master_is_about_all_packs() -> None:
    values = UP.receiver().feed(raw("up_bcast_a1_discharge"))
    found = UP.read(values[0], {})
    assert (found["bank_current"], found["bank_full_capacity"], found["pack_count"]) == (-14.3, 200.0, 2)
    assert "current" not in found


def test_a_pack_status_shorter_than_its_counts_is_refused() -> None:
    data = raw("up_rsp_pack_status_a1")[8:-2]
    with pytest.raises(ProtocolError):
        UP.read((REPLY, 1, 0x781000, data[:80]), {})
    for cells in (8, 15, 32):
        shown = twin.UpTwin(1)
        shown.values = {"cell_voltages": [3.3] * cells, "temperatures": [20.0, 21.0]}
        query = UP.query("status")
        answer = UP.receiver().feed(shown.answer(UP.request(query, 1))[0])
        values = UP.collect(query, 1, answer, {}, True)
        assert values is not None
        assert values["cell_voltages"] == [3.3] * cells
        assert values["temperatures"] == [20.0, 21.0]
        assert values["pack_serial_number"] == "JBD48100000"


# --- login ---


def test_login_frames() -> None:
    for name, vector in OTHER.items():
        if not name.startswith("mod_"):
            continue
        command, data = login.parse(bytes.fromhex(vector["hex"]))
        assert (command, data.hex()) == (vector["command"], vector["payload_hex"])
        assert login.frame(command, data).hex() == vector["hex"]
        if "context" in vector:
            mac, random = login.mac_bytes(vector["context"]["mac"]), vector["context"]["random"]
            made = (
                login.password(vector["password"], mac, random) if "password" in vector else login.root_key(mac, random)
            )
            assert made.hex() == vector["hex"]


def test_login_order() -> None:
    steps = login.Login(login.mac_bytes("10:a5:62:32:75:36"), "123456")
    assert steps.start() == bytes.fromhex(OTHER["mod_appkey_req"]["hex"])
    assert steps.next(bytes.fromhex(OTHER["mod_appkey_ok"]["hex"])) == login.random_number()
    assert steps.next(login.frame(login.RANDOM, b"\x24")).hex() == OTHER["mod_userpw_123456"]["hex"]
    assert steps.next(bytes.fromhex(OTHER["mod_userpw_ok"]["hex"])) == login.random_number()
    assert steps.next(login.frame(login.RANDOM, b"\xc9")).hex() == OTHER["mod_rootpw_c9"]["hex"]
    assert steps.next(bytes.fromhex(OTHER["mod_rootpw_ok"]["hex"])) == b""
    assert steps.done
    wrong = login.Login(bytes(6), "123456")
    assert wrong.next(bytes.fromhex(OTHER["mod_userpw_wrong"]["hex"])) == b""
    assert wrong.wrong
    assert not wrong.done


# --- commands ---


@pytest.mark.parametrize("name", [name for name in VECTORS if "command" in VECTORS[name]])
def test_commands_build_the_known_frames(name: str) -> None:
    command = VECTORS[name]["command"]
    known = command.get("known", {})
    if VECTORS[name]["dialect"] == "jbd-up":
        assert commands.up_message(1, command["name"], command["value"], known) == raw(name)
    else:
        assert commands.message(command["name"], command["value"], known) == raw(name)


@pytest.mark.parametrize("row", commands.SETTINGS, ids=[row[0] for row in commands.SETTINGS])
def test_settings_keep_their_range(row: tuple[str, int, float, float, str, str]) -> None:
    name, register, low, high, grant, proof = row
    pair = {high_byte: low_byte for _register, high_byte, low_byte in records.PAIRS}
    pair.update({low_byte: high_byte for high_byte, low_byte in list(pair.items())})
    known = {pair[name]: 7} if name in pair else {}
    for value in (low, high):
        data = commands.pack(row, value, known)
        assert STANDARD.read((REPLY, None, register, data), {})[name] == pytest.approx(value)
    for value in (low - 0.01, high + 0.01):
        with pytest.raises(OutOfRange):
            commands.pack(row, value, known)
    assert grant in (commands.CONFIGURE, commands.SERVICE)
    assert proof in (commands.CAPTURED, commands.AGREED, commands.UNPROVEN)


def test_a_delay_keeps_its_neighbour() -> None:
    with pytest.raises(OutOfRange, match="read first"):
        commands.message("cell_overvoltage_delay", 3, {})
    frame = commands.message("cell_overvoltage_delay", 3, {"cell_undervoltage_delay": 9})
    assert frame[4:6] == b"\x09\x03"


def test_guards() -> None:
    with pytest.raises(OutOfRange, match="below"):
        commands.guard("cell_overvoltage_release", 3.7, {"cell_overvoltage_limit": 3.65})
    with pytest.raises(OutOfRange, match="above"):
        commands.guard("cell_overvoltage_limit", 3.5, {"cell_overvoltage_release": 3.55})
    with pytest.raises(OutOfRange):
        commands.guard("pack_overvoltage_limit", 58.4, {"cell_count": 4})
    with pytest.raises(OutOfRange):
        commands.guard("cell_overvoltage_limit", 4.2, {"battery_type": "LFP"})
    commands.guard("pack_overvoltage_limit", 14.6, {"cell_count": 4, "pack_overvoltage_release": 14.2})
    with pytest.raises(OutOfRange):
        commands.guard_calibration("calibrate_cell", 3.5, {"cell_voltages": [3.3]})
    commands.guard_calibration("calibrate_cell", 3.31, {"cell_voltages": [3.3]})


def test_a_mosfet_that_a_protection_has_switched_off_is_not_locked_too() -> None:
    off = {"charge_mosfet": False, "discharge_mosfet": True, "protections": ["cell_overvoltage"]}
    assert commands.switch_bits("discharge_switch", 0, off) == 2
    locked = {"charge_mosfet": False, "protections": ["mosfet_software_lock"]}
    assert commands.switch_bits("discharge_switch", 0, locked) == 3
    assert commands.switch_bits("discharge_switch", 1, locked) == 1
    with pytest.raises(OutOfRange):
        commands.switch_bits("discharge_switch", 2, {})
    with pytest.raises(KeyError):
        commands.message("unheard_of", 1, {})


# --- twins ---

LIVE = {
    "voltage": 26.4,
    "current": -6.04,
    "remaining_capacity": 46.8,
    "full_capacity": 56.0,
    "soc": 84,
    "cell_voltages": [3.3] * 8,
    "temperatures": [21.0, 20.4],
    "charge_mosfet": True,
    "discharge_mosfet": True,
    "balancing_cells": [3],
    "protections": [],
}


def through(dialect: Dialect, pack: twin.Twin, query: Query, address: int) -> dict[str, Any] | None:
    receiver = dialect.receiver()
    found = []
    for answer in pack.answer(dialect.request(query, address)):
        found += receiver.feed(answer)
    return dialect.collect(query, address, found, {}, True)


@pytest.mark.parametrize("dialect", jbd.DIALECTS, ids=[dialect.name for dialect in jbd.DIALECTS])
def test_a_twin_shows_its_values(dialect: Dialect) -> None:
    address = dialect.addresses[0]
    for variant in ("", "tail"):
        pack = twin.twin(dialect.name, address, variant)
        pack.values = dict(LIVE)
        for before in dialect.around[0] if dialect.around else ():
            pack.answer(before)
        seen: dict[str, Any] = {}
        for query in dialect.queries:
            values = through(dialect, pack, query, address)
            if values is None:
                assert query.optional
            else:
                seen.update(values)
        for name in ("voltage", "current", "soc", "cell_voltages", "temperatures", "balancing_cells"):
            assert seen[name] == LIVE[name], name
    assert dialect.addresses == (0,) or pack.answer(dialect.request(dialect.queries[0], address + 1)) == []


def test_a_twin_wants_factory_mode_and_keeps_what_is_written() -> None:
    pack = twin.twin("jbd", 0)
    query = STANDARD.query("setting-24")
    with pytest.raises(Refused):
        through(STANDARD, pack, query, 0)
    pack.answer(frames.enter_factory_mode())
    assert through(STANDARD, pack, query, 0) == {"cell_overvoltage_limit": 3.65}
    assert pack.answer(commands.message("cell_overvoltage_limit", 3.6, {})) == [bytes.fromhex("dd240000000077")]
    assert through(STANDARD, pack, query, 0) == {"cell_overvoltage_limit": 3.6}
    pack.answer(frames.leave_factory_mode())
    with pytest.raises(Refused):
        through(STANDARD, pack, query, 0)


def test_a_twin_locks_its_mosfets() -> None:
    pack = twin.twin("jbd", 0)
    pack.values = dict(LIVE)
    assert pack.answer(raw("std_mos_e1_1")) == [raw("std_ack_e1")]
    values = through(STANDARD, pack, STANDARD.query("basic"), 0)
    assert values is not None
    assert (values["charge_mosfet"], values["discharge_mosfet"]) == (False, True)
    assert values["protections"] == ["mosfet_software_lock"]
    rack = twin.twin("jbd-up", 1)
    rack.values = dict(LIVE)
    assert UP.receiver().feed(rack.answer(raw("up_write_mos_charge_off"))[0])[0][0] == ACK
    values = through(UP, rack, UP.query("status"), 1)
    assert values is not None
    assert (values["charge_mosfet"], values["discharge_mosfet"]) == (False, True)


def test_a_twin_that_just_woke_up_has_measured_nothing() -> None:
    pack = twin.twin("jbd", 0)
    pack.zero = True
    values = through(STANDARD, pack, STANDARD.query("basic"), 0)
    assert values is not None
    assert (values["voltage"], values["soc"], values["cell_count"]) == (0, 0, 0)


def test_a_rack_twin_sends_its_telemetry() -> None:
    pack = twin.twin("jbd-up", 2, "telemetry")
    pack.values = dict(LIVE)
    frame = UP.receiver().feed(pack.pushes()[0])[0]
    values = UP.read(frame, {})
    assert (frame[0], frame[1], values["current"], values["voltage"]) == (PUSH, 2, -6.0, 26.4)
    assert crc16(pack.pushes()[0]) == 0
    assert up.RECORDS[frame[2]] is up.TELEMETRY_RECORD


class Line:
    """What a stranger takes for a serial port: what it writes goes to the twin, what it reads comes from there."""

    def __init__(self, pack: twin.Twin) -> None:
        self.pack, self.waiting, self.timeout = pack, b"", 0.5

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.waiting += b"".join(self.pack.answer(data))

    def read(self, size: int = 1) -> bytes:
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data


def test_bmstools_reads_the_twin() -> None:
    stranger = pytest.importorskip("bmstools.jbd.jbd")
    pack = twin.twin("jbd", 0)
    pack.values = dict(LIVE)
    bms = stranger.JBD(Line(pack), timeout=0.05)
    seen = SimpleNamespace(basic=bms.readBasicInfo(), cells=bms.readCellInfo(), name=bms.readDeviceInfo())
    assert (seen.basic["pack_mv"], seen.basic["pack_ma"], seen.basic["cap_pct"]) == (26400, -6040, 84)
    assert (seen.basic["ntc0"], seen.basic["ntc1"], seen.basic["bal2"]) == (21.0, 20.4, True)
    assert [seen.cells[f"cell{number}_mv"] for number in range(8)] == [3300] * 8
    assert seen.name["device_name"] == "JBD-SP04S034-L4S-200A-B-U"
    settings = bms.readEeprom()
    assert (settings["covp"], settings["dsgoc"], settings["cell_cnt"]) == (3650, -230000, 8)
    assert (settings["mfg_name"], settings["covp_err_cnt"]) == ("DGJBD", 122)
    bms.writeEeprom({"covp": 3600})
    assert bms.readEeprom()["covp"] == 3600
    bms.chgDsgEnable(False, True)
    basic_info = bms.readBasicInfo()
    assert (basic_info["chg_fet_en"], basic_info["dsg_fet_en"], basic_info["software_err"]) == (False, True, True)
