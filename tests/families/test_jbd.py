"""JBD: frames, units, refusals, parameters, front end, login, commands, and the twins as a stranger reads them."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cellwire.codec.checksum import crc16, negative_sum16
from cellwire.codec.command import ACTION, AGREED, NUMBER, SWITCH, TEXT, UNPROVEN, Command, Commands, check
from cellwire.codec.dialect import ACK, PUSH, REFUSAL, REPLY, REQUEST, Dialect, Query
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.families import jbd
from cellwire.families.jbd import commands, frames, login, offered, parameters, records, twin, up
from cellwire.readings.catalogue import BY_NAME

Frame = tuple[str, int | None, Any, bytes]

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

TI = {"chip_type": "TI", "cell_count": 16, "sensor_count": 3}
KNOWN: dict[str, Any] = {"known": TI, "double": {**TI, "frontend_double_range": True}, "nothing": {}}


def dialect_commands(dialect: Dialect) -> Commands:
    assert dialect.commands is not None
    return dialect.commands


def command(name: str, dialect: Dialect = STANDARD, known: dict[str, Any] = TI) -> Command:
    """Return the command of that name."""
    there = {each.name: each for each in dialect_commands(dialect).of(known)}
    mode = dialect_commands(dialect).mode
    for each in (mode.enter, mode.leave, mode.save) if mode else ():
        there[each.name] = each
    return there[name]


def encoded(name: str, value: Any, known: dict[str, Any], number: int = 0, dialect: Dialect = STANDARD) -> bytes:
    """Return the last frame of a command."""
    found = command(name, dialect)
    taken = check(found, number, value)
    return dialect_commands(dialect).encode(found, number, taken, dialect.addresses[0], known)[-1]


def guarded(name: str, value: Any, known: dict[str, Any], number: int = 0) -> None:
    dialect_commands(STANDARD).guard(command(name), number, value, known)


@pytest.mark.parametrize("name", [name for name in VECTORS if "command" in VECTORS[name]])
def test_commands_build_the_known_frames(name: str) -> None:
    row = VECTORS[name]["command"]
    dialect = next(each for each in jbd.DIALECTS if each.name == VECTORS[name]["dialect"])
    assert encoded(row["name"], row["value"], row.get("known", {}), row.get("number", 0), dialect) == raw(name)


def test_factory_mode_is_entered_and_left_as_captured() -> None:
    mode = dialect_commands(STANDARD).mode
    assert mode is not None
    for each, name in ((mode.enter, "enter"), (mode.leave, "exit_nosave"), (mode.save, "exit_save")):
        assert encoded(each.name, True, {}) == raw(f"std_factory_{name}")
    assert mode.wanted == (0x81,)
    assert encoded("reset_counters", True, {}) == raw("std_factory_enter")
    frames_sent = dialect_commands(STANDARD).encode(command("reset_counters"), 0, True, 0, {})
    assert frames_sent[0] == raw("std_factory_exit_save")


EVERY = [
    pytest.param(dialect, each, known, id=f"{dialect.name}-{kind}-{each.name}")
    for dialect in jbd.DIALECTS
    for kind, known in KNOWN.items()
    for each in dialect_commands(dialect).of(known)
]
DATES = ("2000-01-01", "2127-12-31")
# What everything is beside: as if the pack had just been read.
BESIDE: dict[str, Any] = {
    "function_bits": 0x0006,
    "sensor_enable_bits": 7,
    "full_capacity": 280.0,
    "frontend_current_bits": 0x8D5C,
    "frontend_delay_bits": 0xF0,
    "short_circuit_release_delay": 100,
    "charge_mosfet": True,
    "discharge_mosfet": True,
    "protections": [],
    **{name: 7 for row in records.PAIRS for name in row[1:]},
}


def edges(each: Command) -> tuple[Any, ...]:
    """Return what is just still taken."""
    if each.kind == SWITCH:
        return (True, False)
    if each.kind == ACTION:
        return (True,)
    if each.kind == TEXT:
        return DATES if each.name == "production_date" else ("a" * int(each.low), "Z" * int(each.high))
    return (each.low, each.high)


def beyond(each: Command) -> tuple[Any, ...]:
    """Return what is not taken any more."""
    if each.kind in (SWITCH, ACTION):
        return (2, "on", None)
    if each.kind == TEXT:
        return ("a" * (int(each.low) - 1), "a" * (int(each.high) + 1), "\n" * int(each.low), 12)
    return (each.low - each.step, each.high + each.step, float("nan"), "1", True)


@pytest.mark.parametrize(("dialect", "each", "known"), EVERY)
def test_every_command_keeps_its_range(dialect: Dialect, each: Command, known: dict[str, Any]) -> None:
    commands = dialect_commands(dialect)
    for number in (1, each.count) if each.count else (0,):
        for value in edges(each):
            taken = check(each, number, value)
            packed = commands.encode(each, number, taken, dialect.addresses[0], {**known, **BESIDE})
            assert packed
            assert all(packed)
        for value in beyond(each):
            with pytest.raises(OutOfRange):
                check(each, number, value)
    with pytest.raises(OutOfRange):
        check(each, each.count + 1, edges(each)[0])
    assert each.query == "" or dialect.query(each.query)
    assert each.reading in BY_NAME or not each.reading
    assert each.name in BY_NAME or each.meaning
    assert each.mode or not each.saves
    assert each.query or not each.reading
    for name in commands.needs(each):
        assert name in BY_NAME


def decoded(name: str, value: Any, known: dict[str, Any]) -> Any:
    """Return what a board shows that has taken the value."""
    each = command(name, known=known)
    (frame,) = dialect_commands(STANDARD).encode(each, 0, value, 0, known)
    return STANDARD.read((REPLY, None, frame[2], frame[4:-3]), known)[each.reading]


PARAMETERS_WRITTEN = [each for each in dialect_commands(STANDARD).of(TI) if each.mode and each.query and each.saves]


@pytest.mark.parametrize(
    "each", [each for each in PARAMETERS_WRITTEN if not each.count and each.query not in ("basic", "counters")],
    ids=lambda each: each.name,
)  # fmt: skip
def test_what_is_written_to_a_register_reads_the_same(each: Command) -> None:
    for value in edges(each):
        assert (
            decoded(each.name, value, {**TI, **BESIDE, "frontend_current_bits": 0x0D5C}) == pytest.approx(value)
            if (each.kind == NUMBER)
            else decoded(each.name, value, {**TI, **BESIDE}) == value
        )


def test_what_shares_a_register_stays() -> None:
    with pytest.raises(OutOfRange, match="read first"):
        encoded("cell_overvoltage_delay", 3, {})
    assert encoded("cell_overvoltage_delay", 3, {"cell_undervoltage_delay": 9})[4:6] == b"\x09\x03"
    assert encoded("cell_undervoltage_delay", 3, {"cell_overvoltage_delay": 9})[4:6] == b"\x03\x09"
    assert dialect_commands(STANDARD).needs(command("cell_overvoltage_delay")) == ("cell_undervoltage_delay",)
    with pytest.raises(OutOfRange, match="function_bits"):
        encoded("balancer_switch", True, {})
    assert encoded("led_switch", True, {"function_bits": 0xF042})[4:6] == b"\xf0\x52"
    assert encoded("vendor_function", True, {"function_bits": 0x0006}, 1)[4:6] == b"\x00\x46"
    assert encoded("vendor_function", False, {"function_bits": 0xFFFF}, 6)[4:6] == b"\xf7\xff"
    assert encoded("sensor_enabled", True, {"sensor_enable_bits": 0x0001}, 5)[4:6] == b"\x00\x11"
    assert encoded("sensor_enabled", False, {"sensor_enable_bits": 0x0019}, 5)[4:6] == b"\x00\x09"
    # Several of them in one request: what was not read back yet is known by its key or by its own reading.
    known = {"function_bits": 0x0006, "led_switch": True, "vendor_function/2": True}
    assert encoded("balancer_switch", False, known)[4:6] == b"\x00\x92"
    assert encoded("sensor_enabled", True, {"sensor_enable_bits": 0, "sensor_enabled/1": True}, 2)[4:6] == b"\x00\x03"


def test_coarse_units() -> None:
    coarse = {**TI, "function_bits": 0x1006}
    assert command("charge_overcurrent_limit", known=coarse).step == 0.1
    assert command("charge_overcurrent_limit").step == 0.01
    assert encoded("charge_overcurrent_limit", 120, coarse)[4:6] == (1200).to_bytes(2, "big")
    assert encoded("charge_overcurrent_limit", 120, TI)[4:6] == (12000).to_bytes(2, "big")
    assert encoded("shunt_resistance", 0.25, coarse)[4:6] == b"\x00\x19"
    for name in ("remaining_capacity", "soc", "calibrate_charge_current"):
        with pytest.raises(OutOfRange, match="coarse"):
            encoded(name, 50, {**coarse, "full_capacity": 100.0})
    for name in ("design_capacity", "cycle_capacity", "charge_overcurrent_limit", "shunt_resistance", "soc"):
        assert "function_bits" in dialect_commands(STANDARD).needs(command(name)), name


def test_a_shunt_in_hundredths_where_the_board_has_them() -> None:
    assert encoded("shunt_resistance", 0.3, {})[4:6] == b"\x00\x03"
    assert encoded("shunt_resistance", 0.25, {"shunt_resistance": 0.35})[4:6] == b"\x80\x19"
    for known in ({}, {"shunt_resistance": 0.3}):
        with pytest.raises(OutOfRange, match="this board is only known"):
            guarded("shunt_resistance", 0.25, known)


def test_the_front_end_takes_what_its_tables_have() -> None:
    read = STANDARD.read((REPLY, None, 0x38, b"\x8d\x5c"), {}) | STANDARD.read((REPLY, None, 0x39, b"\xf0\x64"), {})
    known = {**TI, **read}
    for name, value, register, data in (
        ("short_circuit_threshold", 200, 0x38, b"\x8f\x5c"),
        ("short_circuit_delay", 0.0004, 0x38, b"\x9d\x5c"),
        ("discharge_overcurrent_2_threshold", 17, 0x38, b"\x8d\x50"),
        ("discharge_overcurrent_2_delay", 1.28, 0x38, b"\x8d\x7c"),
        ("hard_cell_undervoltage_delay", 4, 0x39, b"\x70\x64"),
        ("hard_cell_overvoltage_delay", 1, 0x39, b"\xc0\x64"),
        ("short_circuit_release_delay", 5, 0x39, b"\xf0\x05"),
    ):
        (frame,) = dialect_commands(STANDARD).encode(command(name, known=known), 0, value, 0, known)
        assert (frame[2], frame[4:6]) == (register, data), name
        guarded(name, value, known)
    for name, value in (
        ("short_circuit_threshold", 78),
        ("short_circuit_delay", 0.0003),
        ("hard_cell_overvoltage_delay", 3),
    ):
        with pytest.raises(OutOfRange, match="the front end has no"):
            guarded(name, value, known)
    # No write changes anything but its own: a threshold keeps its millivolts in the other range, or it is refused.
    with pytest.raises(
        OutOfRange, match="155, which the other range does not have; set it to one of 44, 67, 89 before"
    ):
        guarded("frontend_double_range", False, known)
    both = {**TI, **STANDARD.read((REPLY, None, 0x38, b"\x89\x51"), {})}
    assert (both["short_circuit_threshold"], both["discharge_overcurrent_2_threshold"]) == (67, 22)
    assert encoded("frontend_double_range", False, both)[4:6] == b"\x0c\x55"
    with pytest.raises(OutOfRange, match="read first"):
        guarded("short_circuit_threshold", 89, {"frontend_double_range": True})
    # With the range changed before in the same request the new table counts.
    planned = {**both, "frontend_double_range": False}
    assert encoded("short_circuit_threshold", 78, planned)[4:6] == b"\x0d\x55"
    assert (command("short_circuit_threshold").high, command("short_circuit_threshold", known=known).high) == (100, 200)


def test_the_front_end_of_another_maker_is_left_alone() -> None:
    names = [row[0] for row in offered.FRONT_END] + ["frontend_double_range"]
    there = {each.name: each.proof for each in dialect_commands(STANDARD).of(TI)}
    assert {there[name] for name in names} == {AGREED}
    untold = {each.name: each.proof for each in dialect_commands(STANDARD).of({})}
    assert {untold[name] for name in names} == {UNPROVEN}
    assert not {each.name for each in dialect_commands(STANDARD).of({"chip_type": "O2"})} & set(names)


def test_guards() -> None:
    with pytest.raises(OutOfRange, match="below"):
        guarded("cell_overvoltage_release", 3.7, {"cell_overvoltage_limit": 3.65})
    with pytest.raises(OutOfRange, match="above"):
        guarded("cell_overvoltage_limit", 3.5, {"cell_overvoltage_release": 3.55})
    with pytest.raises(OutOfRange, match="fits this pack"):
        guarded("pack_overvoltage_limit", 58.4, {"cell_count": 4})
    guarded("pack_overvoltage_limit", 14.6, {"cell_count": 4, "pack_overvoltage_release": 14.2})
    # The number of cells that is set counts more than the one that is measured.
    guarded("pack_overvoltage_limit", 58.4, {"cell_count": 4, "cell_count_setting": 16})
    # Chemistry is looked at for all families alike.
    guarded("cell_overvoltage_limit", 4.2, {"battery_type": "LFP"})
    with pytest.raises(OutOfRange, match="fits this pack"):
        guarded("remaining_capacity", 281, {"design_capacity": 280.0})
    guarded("remaining_capacity", 280, {"design_capacity": 280.0})
    for smaller, larger in commands.ORDER:
        for name, other in ((smaller, larger), (larger, smaller)):
            assert other in dialect_commands(STANDARD).needs(command(name))
            with pytest.raises(OutOfRange, match=other):
                guarded(name, 3.0, {other: 3.0})
    assert "cell_count_setting" in dialect_commands(STANDARD).needs(command("pack_undervoltage_limit"))
    for text in ("2022-02-30", "22-02-03", "2022/02/03", "aaaaaaaaaa", "2128-01-01"):
        with pytest.raises(OutOfRange, match="not a date"):
            guarded("production_date", text, {})
    with pytest.raises(OutOfRange, match="blanks"):
        guarded("model", " JBD", {})


def test_calibration_is_compared_with_what_is_measured() -> None:
    live = {"cell_voltages": [3.3, 3.31], "temperatures": [20.0, 25.0], "current": 12.0}
    guarded("calibrate_cell", 3.4, live, 2)
    guarded("calibrate_sensor", 30.0, live, 1)
    guarded("calibrate_charge_current", 10.0, live)
    with pytest.raises(OutOfRange, match="calibrate_cell/1"):
        guarded("calibrate_cell", 3.41, live, 1)
    with pytest.raises(OutOfRange, match="nothing is measured"):
        guarded("calibrate_cell", 3.3, live, 3)
    with pytest.raises(OutOfRange, match="more than 10"):
        guarded("calibrate_sensor", 31.0, live, 1)
    guarded("calibrate_sensor", 30.0, {**live, "sensor_enable_bits": 3}, 1)
    with pytest.raises(OutOfRange, match="numbers are not known"):
        guarded("calibrate_sensor", 30.0, {**live, "sensor_enable_bits": 0x19}, 1)
    with pytest.raises(OutOfRange, match="not being discharged"):
        guarded("calibrate_discharge_current", 10.0, live)
    with pytest.raises(OutOfRange, match="not being charged"):
        guarded("calibrate_charge_current", 10.0, {"current": 0.0})
    with pytest.raises(OutOfRange, match="take every load and charger off"):
        guarded("calibrate_idle_current", True, live)
    guarded("calibrate_idle_current", True, {"current": -0.3})
    with pytest.raises(OutOfRange):
        guarded("calibrate_idle_current", True, {})
    keeps = {each.name: each.saves for each in dialect_commands(STANDARD).of(TI) if "calibrate" in each.name}
    assert keeps == {
        "calibrate_idle_current": False, "calibrate_charge_current": True, "calibrate_discharge_current": True,
        "calibrate_cell": False, "calibrate_sensor": False,
    }  # fmt: skip
    assert encoded("calibrate_cell", 3.3, {}, 16)[2] == 0xBF
    assert encoded("calibrate_sensor", 25, {}, 3)[2] == 0xD2


LOCKED = ["mosfet_software_lock"]


def test_a_mosfet_that_a_protection_has_switched_off_is_not_locked_too() -> None:
    def word(name: str, on: bool, known: dict[str, Any]) -> int:
        return encoded(name, on, known)[5]

    off = {"charge_mosfet": False, "discharge_mosfet": True, "protections": ["cell_overvoltage"]}
    assert word("discharge_switch", False, off) == 2
    locked = {"charge_mosfet": False, "discharge_mosfet": True, "protections": LOCKED}
    assert word("discharge_switch", False, locked) == 3
    assert word("discharge_switch", True, locked) == 1
    # This protection stops charging only: it does not explain why nothing is discharged.
    other = {"charge_mosfet": True, "discharge_mosfet": False, "protections": [*LOCKED, "cell_overvoltage"]}
    assert word("charge_switch", False, other) == 3
    both = {"charge_mosfet": False, "discharge_mosfet": False, "protections": [*LOCKED, "short_circuit"]}
    assert word("charge_switch", True, both) == 0
    with pytest.raises(OutOfRange):
        word("discharge_switch", 2, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("charge", "protections", "faults", "found"),
    [
        (True, [], [], True),
        (False, [], [], True),
        (False, ["cell_overvoltage"], [], True),
        (True, LOCKED, [], True),
        (False, LOCKED, [], False),
        (False, [*LOCKED, "cell_undervoltage"], [], False),
        (False, [*LOCKED, "cell_overvoltage"], [], None),
        (False, LOCKED, ["frontend"], None),
    ],
)
def test_what_the_user_wants_as_far_as_the_pack_shows_it(
    charge: bool, protections: list[str], faults: list[str], found: bool | None
) -> None:
    known = {"charge_mosfet": charge, "discharge_mosfet": True, "protections": protections, "faults": faults}
    assert dialect_commands(STANDARD).found(command("charge_switch"), 0, known) is found
    assert dialect_commands(STANDARD).found(command("discharge_switch"), 0, known) is True
    assert dialect_commands(STANDARD).found(command("charge_switch"), 0, {}) is None


def test_what_else_a_pack_shows_of_its_commands() -> None:
    found = dialect_commands(STANDARD).found
    assert found(command("vendor_function"), 1, {"function_bits": 0x40}) is True
    assert found(command("vendor_function"), 2, {"function_bits": 0x40}) is False
    assert found(command("vendor_function"), 2, {}) is None
    assert found(command("sensor_enabled"), 5, {"sensor_enable_bits": 0x19}) is True
    assert found(command("sensor_enable_bits"), 0, {"sensor_enable_bits": 0x19}) == 0x19
    counters = {row[0]: 0 for row in records.COUNTERS.numbers}
    assert found(command("reset_counters"), 0, {**counters, "restarts": 4}) is True
    assert found(command("reset_counters"), 0, {**counters, "cell_overvoltage_count": 1}) is False
    assert found(command("reset_counters"), 0, {}) is None
    assert found(command("calibrate_discharge_current"), 0, {"current": -9.5}) == 9.5
    assert found(command("calibrate_discharge_current"), 0, {"current": 9.5}) is None
    assert found(command("calibrate_charge_current"), 0, {"current": 9.5}) == 9.5
    assert found(command("calibrate_charge_current"), 0, {"current": -9.5}) is None
    assert found(command("calibrate_idle_current"), 0, {"current": 0.02}) is True
    assert found(command("calibrate_cell"), 2, {"cell_voltages": [3.3, 3.4]}) == 3.4
    assert found(command("cycles"), 0, {"cycles": 7}) == 7


def test_the_yes_and_the_no() -> None:
    answered = dialect_commands(STANDARD).answered
    limit, enter = command("cell_overvoltage_limit"), command("enter_factory_mode")
    assert answered(limit, 0, []) is None
    assert answered(limit, 0, [(ACK, None, 0x25, b"")]) is None
    assert answered(limit, 0, [(ACK, None, 0x25, b""), (ACK, None, 0x24, b"")]) is True
    # The chip type is asked for by the same register as factory mode; that answer has data.
    assert answered(enter, 0, [(REPLY, None, 0x00, b"\x00\x00")]) is None
    assert answered(enter, 0, [(ACK, None, 0x00, b"")]) is True
    with pytest.raises(Refused, match="factory mode is off, or a password is wanted") as caught:
        answered(limit, 0, [(REFUSAL, None, 0x24, b"\x81")])
    assert caught.value.code == 0x81
    with pytest.raises(Refused, match="wrong"):
        answered(command("use_password"), 0, [(REFUSAL, None, 0x06, b"\x83")])
    # Firmware without passwords does not know the register: none is wanted.
    assert answered(command("use_password"), 0, [(REFUSAL, None, 0x06, b"\x80")]) is True
    assert answered(command("calibrate_cell"), 0, [(ACK, None, 0xB7, b"")]) is True
    assert answered(command("calibrate_cell"), 0, [(ACK, None, 0xD0, b"")]) is None
    addressed = dialect_commands(ADDRESSED).answered
    switch = command("charge_switch", ADDRESSED)
    assert addressed(switch, 1, [(ACK, 2, 0xE1, b"")]) is None
    assert addressed(switch, 1, [(ACK, 1, 0xE1, b"")]) is True
    up_answered = dialect_commands(UP).answered
    switch = command("charge_switch", UP)
    assert up_answered(switch, 1, [(REQUEST, 1, 0x792902, b"\x11")]) is None
    assert up_answered(switch, 1, [(ACK, 2, 0x792902, b"")]) is None
    assert up_answered(switch, 1, [(ACK, 1, 0x792902, b"")]) is True


def test_outputs_of_a_up_board_keep_what_else_is_on() -> None:
    known = {"charge_mosfet": True, "discharge_mosfet": True, "heating": True, "protections": []}
    assert encoded("charge_switch", False, known, dialect=UP)[12:14] == b"\x00\x09"
    held = {"charge_mosfet": False, "discharge_mosfet": True, "protections": ["cell_overvoltage"]}
    assert encoded("discharge_switch", False, held, dialect=UP)[12:14] == b"\x00\x02"
    off = {"charge_mosfet": False, "discharge_mosfet": True, "protections": []}
    assert encoded("discharge_switch", False, off, dialect=UP)[12:14] == b"\x00\x00"
    with pytest.raises(OutOfRange):
        encoded("discharge_switch", False, {}, dialect=UP)
    found = dialect_commands(UP).found
    assert found(command("charge_switch", UP), 0, held) is None
    assert found(command("charge_switch", UP), 0, off) is False
    assert found(command("soc", UP), 0, {"soc": 55.5}) == 55.5


def test_letters_of_a_password_go_as_they_are() -> None:
    assert encoded("use_password", "abc123", {})[4:-3] == b"\x06abc123"
    assert encoded("change_password", "123456abc123", {})[4:-3] == b"\x0c\x01\x02\x03\x04\x05\x06abc123"
    for name in ("use_password", "change_password", "clear_password"):
        assert command(name).secret


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
            try:
                values = through(dialect, pack, query, address)
            except Refused:
                values = None
            if values is None:
                assert query.optional
            else:
                seen.update(values)
        for name in ("voltage", "current", "soc", "cell_voltages", "temperatures", "balancing_cells"):
            assert seen[name] == LIVE[name], name
    assert dialect.addresses == (0,) or pack.answer(dialect.request(dialect.queries[0], address + 1)) == []


def send(pack: twin.Twin, name: str, value: Any, known: dict[str, Any] | None = None, number: int = 0) -> Frame:
    """Return the board's answer to a command."""
    frame = encoded(name, value, known or {}, number)
    (answer,) = STANDARD.receiver().feed(b"".join(pack.answer(frame)))
    return answer


def refused(answer: Frame, code: int) -> bool:
    return answer[0] == REFUSAL and answer[3] == bytes((code,))


def shown(pack: twin.Twin, *queries: str) -> dict[str, Any]:
    """Return what the board shows."""
    seen: dict[str, Any] = {}
    for name in queries or ("basic", "cells"):
        seen.update(through(STANDARD, pack, STANDARD.query(name), 0) or {})
    return seen


def standard(variant: str = "", **values: Any) -> twin.StandardTwin:
    pack = twin.twin("jbd", 0, variant)
    assert isinstance(pack, twin.StandardTwin)
    pack.values = {**LIVE, **values}
    return pack


def test_a_twin_wants_factory_mode() -> None:
    pack = standard()
    with pytest.raises(Refused):
        shown(pack, "setting-24")
    for name, value, number in (
        ("cell_overvoltage_limit", 3.6, 0), ("model", "A", 0), ("soc", 50, 0), ("balance_odd_cells", 5, 0),
        ("calibrate_cell", 3.3, 1), ("calibrate_idle_current", True, 0),
    ):  # fmt: skip
        assert refused(send(pack, name, value, {"full_capacity": 56.0}, number), 0x81), name
    assert send(pack, "charge_switch", True)[0] == ACK
    assert send(pack, "clear_alarms", True)[0] == ACK
    send(pack, "enter_factory_mode", True)
    assert shown(pack, "setting-24") == {"cell_overvoltage_limit": 3.65}
    assert send(pack, "cell_overvoltage_limit", 3.6) == (ACK, None, 0x24, b"")
    assert shown(pack, "setting-24") == {"cell_overvoltage_limit": 3.6}
    send(pack, "leave_factory_mode", True)
    with pytest.raises(Refused):
        shown(pack, "setting-24")
    for register in (0x0B, 0xE3, 0xF6, 0xFB, 0xFA):
        (answer,) = STANDARD.receiver().feed(pack.answer(frames.request(frames.WRITE, register, b"\x00\x01"))[0])
        assert refused(answer, 0x80)


def test_a_twin_forgets_what_was_not_saved() -> None:
    pack = standard()
    assert shown(pack, "counters")["cell_overvoltage_count"] == 122
    for value, leave in ((3.6, "leave_factory_mode"), (3.5, "save"), (3.45, "leave_factory_mode")):
        send(pack, "enter_factory_mode", True)
        send(pack, "cell_overvoltage_limit", value)
        send(pack, leave, True)
        pack.answer(frames.enter_factory_mode())
        assert shown(pack, "setting-24") == {"cell_overvoltage_limit": value}
        kept = 3.65 if value == 3.6 else 3.5
        assert shown(pack, "counters")["cell_overvoltage_count"] == (122 if value == 3.6 else 0)
        pack.power_cycle()
        assert not pack.factory
        pack.answer(frames.enter_factory_mode())
        assert shown(pack, "setting-24") == {"cell_overvoltage_limit": kept}
    # Outside of the mode there is nothing to save.
    pack = standard()
    send(pack, "save", True)
    assert shown(pack, "counters")["cell_overvoltage_count"] == 122


def test_a_twin_with_a_password() -> None:
    pack = standard("locked")
    for name in ("enter_factory_mode", "charge_switch", "clear_alarms"):
        assert refused(send(pack, name, True), 0x81)
    assert refused(send(pack, "use_password", "654321"), 0x83)
    assert send(pack, "use_password", "123456")[0] == ACK
    assert send(pack, "enter_factory_mode", True)[0] == ACK
    assert refused(send(pack, "change_password", "000000111111"), 0x83)
    assert send(pack, "change_password", "123456111111")[0] == ACK
    pack.power_cycle()
    assert refused(send(pack, "enter_factory_mode", True), 0x81)
    assert send(pack, "use_password", "111111")[0] == ACK
    pack.power_cycle()
    assert send(pack, "clear_password", True)[0] == ACK
    assert send(pack, "enter_factory_mode", True)[0] == ACK
    assert send(standard(), "use_password", "000000")[0] == ACK


def test_a_twin_locks_its_mosfets() -> None:
    pack = standard()
    assert pack.answer(raw("std_mos_e1_1")) == [raw("std_ack_e1")]
    values = shown(pack)
    assert (values["charge_mosfet"], values["discharge_mosfet"]) == (False, True)
    assert values["protections"] == ["mosfet_software_lock"]
    assert (pack.values["charge_switch"], pack.values["discharge_switch"]) == (False, True)
    rack = twin.twin("jbd-up", 1)
    rack.values = dict(LIVE)
    assert UP.receiver().feed(rack.answer(raw("up_write_mos_charge_off"))[0])[0][0] == ACK
    found = through(UP, rack, UP.query("status"), 1)
    assert found is not None
    assert (found["charge_mosfet"], found["discharge_mosfet"]) == (False, True)
    assert (rack.values["charge_switch"], rack.values["discharge_switch"]) == (False, True)
    rack.values = dict(LIVE)
    rack.answer(raw("up_write_soc_85"))
    found = through(UP, rack, UP.query("status"), 1)
    assert found is not None
    assert found["soc"] == 85


def test_a_twin_shows_its_calibration_at_once() -> None:
    pack = standard()
    send(pack, "enter_factory_mode", True)
    send(pack, "calibrate_cell", 3.35, number=8)
    values = shown(pack)
    assert values["cell_voltages"] == [3.3] * 7 + [3.35]
    assert values["voltage"] == pytest.approx(26.45)
    send(pack, "calibrate_sensor", 25.0, number=2)
    assert shown(pack)["temperatures"] == [21.0, 25.0]
    send(pack, "calibrate_discharge_current", 12.0)
    assert shown(pack)["current"] == pytest.approx(-12.0)
    pack.values = {**LIVE, "current": -3.02}
    assert shown(pack)["current"] == pytest.approx(-6.0)
    pack = standard(current=0.4)
    send(pack, "enter_factory_mode", True)
    send(pack, "calibrate_idle_current", True)
    assert shown(pack)["current"] == 0
    pack.values = {**LIVE, "current": 10.4}
    send(pack, "calibrate_charge_current", 9.0)
    assert shown(pack)["current"] == pytest.approx(9.0)


def test_a_twin_counts_anew_and_balances_by_hand() -> None:
    pack = standard()
    send(pack, "enter_factory_mode", True)
    send(pack, "soc", 50, {"full_capacity": 56.0})
    assert (shown(pack)["soc"], shown(pack)["remaining_capacity"]) == (50, 28.0)
    pack.values = {**LIVE, "remaining_capacity": 47.8}
    assert shown(pack)["remaining_capacity"] == 29.0
    for name, cells in (("odd", [1, 3, 5, 7]), ("even", [2, 4, 6, 8]), ("no", [])):
        send(pack, f"balance_{name}_cells", 10)
        assert shown(pack)["balancing_cells"] == cells
    send(pack, "balance_odd_cells", 10)
    send(pack, "leave_factory_mode", True)
    assert shown(pack)["balancing_cells"] == [3]
    send(pack, "recompute_capacity", True)
    assert shown(pack)["remaining_capacity"] == 47.8
    assert shown(pack, "counters")["cell_overvoltage_count"] == 122
    send(pack, "clear_history", True)
    assert shown(pack, "counters")["cell_overvoltage_count"] == 0
    send(pack, "restart", True)
    assert not pack.factory
    send(pack, "storage", True)
    assert pack.answer(raw("std_read_03")) == []
    pack.power_cycle()
    assert pack.answer(raw("std_read_03")) != []


def test_a_twin_shows_what_was_set_elsewhere_too() -> None:
    pack = standard()
    send(pack, "enter_factory_mode", True)
    for name, value in (
        ("model", "JBD-1"),
        ("production_date", "2024-02-29"),
        ("cycles", 12),
        ("design_capacity", 50.0),
    ):
        assert send(pack, name, value)[0] == ACK
    values = shown(pack, "basic", "name", "model")
    assert (values["model"], values["production_date"], values["cycles"]) == ("JBD-1", "2024-02-29", 12)
    assert (values["full_capacity"], values["soc"]) == (50.0, 94)
    assert shown(pack, "name") == {"model": "JBD-1"}
    # A sensor that is not enabled is not there; one that is not wired is at the end of the scale.
    send(pack, "sensor_enable_bits", 0b110)
    assert shown(pack)["temperatures"] == [20.4, -30.0]
    send(pack, "balancer_switch", False, {"function_bits": 6})
    assert pack.values["balancer_switch"] is False


def test_a_twin_does_wrong_when_it_is_told_to() -> None:
    asked: list[str] = []

    def mood(fault: str) -> bool:
        asked.append(fault)
        return fault == wrong

    wrong = "ignore-writes"
    pack = standard()
    pack.mood = mood
    assert send(pack, "use_password", "000000")[0] == ACK
    for name in ("enter_factory_mode", "save", "clear_password"):
        assert send(pack, name, True)[0] == ACK
    send(pack, "enter_factory_mode", True)
    shown(pack, "basic", "setting-24")
    assert asked == []
    assert send(pack, "cell_overvoltage_limit", 3.55)[0] == ACK
    assert shown(pack, "setting-24") == {"cell_overvoltage_limit": 3.65}
    wrong = "clamp"
    beside = {"cell_undervoltage_delay": 2}
    for name, value, query, half in (
        ("cell_overvoltage_limit", 3.55, "setting-24", 3.6),
        ("discharge_overcurrent_limit", 130.0, "setting-29", 180.0),
        ("cell_overvoltage_delay", 8.0, "setting-3d", 5.0),
    ):
        send(pack, name, value, beside)
        assert shown(pack, query)[name] == half
    send(pack, "cell_count_setting", 6)
    assert shown(pack, "setting-2f") == {"cell_count_setting": 7}
    send(pack, "calibrate_cell", 3.4, number=1)
    send(pack, "soc", 50, {"full_capacity": 56.0})
    assert (shown(pack)["cell_voltages"][0], shown(pack)["remaining_capacity"]) == (3.35, 37.4)
    send(pack, "charge_switch", False)
    assert shown(pack)["charge_mosfet"] is False
    wrong = "refuse"
    assert refused(send(pack, "cell_overvoltage_limit", 3.55), 0x81)
    wrong = "drop-after-write"
    asked.clear()
    send(pack, "cell_overvoltage_limit", 3.55)
    assert (pack.lost, shown(pack, "setting-24")) == (True, {"cell_overvoltage_limit": 3.55})
    assert len(asked) == len(set(asked))
    wrong = "refuse"
    send(pack, "leave_factory_mode", True)
    # Outside of the mode a refusal must not ask for it.
    assert refused(send(pack, "charge_switch", True), 0x80)
    rack = twin.twin("jbd-up", 1)
    rack.values, rack.mood = dict(LIVE), mood
    assert rack.answer(raw("up_write_mos_charge_off")) == []
    wrong = "ignore-writes"
    assert rack.answer(raw("up_write_mos_charge_off")) != []
    assert "charge_switch" not in rack.values
    wrong = "clamp"
    rack.answer(raw("up_write_soc_85"))
    found = through(UP, rack, UP.query("status"), 1)
    assert found is not None
    assert found["soc"] == 84.5


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
