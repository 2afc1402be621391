"""What is special about Daly: answers in parts, two signs, levels of alarms, replies without a register, its twin."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from cellwire.codec.checksum import crc16
from cellwire.codec.dialect import ACK, REFUSAL, REPLY, REQUEST, SETTINGS, Dialect
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.codec.table import decode
from cellwire.families.daly import DIALECTS, a5, commands, dates, frames, registers
from cellwire.families.daly.alarms import K_1, K_2, K_LEVELS_1, K_LEVELS_2, levels_of
from cellwire.families.daly.twin import twin
from cellwire.readings.catalogue import ALARMS, BY_NAME

A5, D2, P81 = DIALECTS
VECTORS = json.loads((Path(frames.__file__).parent / "vectors.json").read_text(encoding="utf-8"))["vectors"]
BY_ID = {row["id"]: row for row in VECTORS}


def raw(name: str) -> bytes:
    row = BY_ID[name]
    return bytes.fromhex("".join(row["chunks"]) if "chunks" in row else row["hex"])


def ask(dialect: Dialect, pack: Any, name: str, address: int, known: dict[str, Any]) -> dict[str, Any] | None:
    """Ask a twin one question, take its answer apart, and remember it in `known`."""
    query = dialect.query(name)
    receiver = dialect.receiver()
    found = []
    for reply in pack.answer(dialect.request(query, address)):
        found += receiver.feed(reply)
    assert receiver.dropped == 0
    readings = dialect.collect(query, address, found, known, True)
    known.update(readings or {})
    return readings


@pytest.mark.parametrize("row", [row for row in VECTORS if "command" in row], ids=lambda row: row["id"])
def test_commands_build_the_captured_frames(row: dict[str, Any]) -> None:
    wanted = row["command"]
    built = commands.command(
        row["dialect"], wanted["name"], wanted["value"], wanted.get("address", 1), clock=wanted.get("clock")
    )
    assert built.hex(" ") == bytes.fromhex(row["hex"]).hex(" ")


@pytest.mark.parametrize("dialect", list(commands.COMMANDS))
def test_every_command_keeps_its_range(dialect: str) -> None:
    for row in commands.COMMANDS[dialect]:
        name, low, high, grant, proof, reading = row[0], row[6], row[7], *row[8:]
        assert grant in ("operate", "configure", "service")
        assert proof in ("captured", "agreed", "unproven")
        assert reading == "" or reading in BY_NAME
        commands.pack(row, low)
        commands.pack(row, high)
        for value in (low - 0.2, high + 0.2):
            with pytest.raises(OutOfRange, match=name):
                commands.pack(row, value)


def test_commands_read_back_what_they_write() -> None:
    for row in commands.D2_COMMANDS:
        name, number, at, low, high, reading = row[0], row[1], row[2], row[6], row[7], row[10]
        if at == 0 and reading == name and number < 0xA7:
            value = round((low + high) / 2, 1) if row[5] > 1 else int(high)
            request = commands.command("daly-d2", name, value, current=struct.pack(">H", 30100))
            memory = bytearray(raw("d2_settings_4s")[3:-2])
            memory[2 * (number - 0x80) : 2 * (number - 0x80) + 2] = request[4:6]
            assert decode(registers.D2_SETTINGS, bytes(memory))[name] == pytest.approx(value, abs=0.051)


def test_current_limits_stay_on_their_side_of_zero() -> None:
    below = commands.command("daly-d2", "charge_overcurrent_limit", 100, current=struct.pack(">H", 29900))
    above = commands.command("daly-d2", "charge_overcurrent_limit", 100, current=struct.pack(">H", 30100))
    assert struct.unpack(">H", below[4:6])[0] == 29000
    assert struct.unpack(">H", above[4:6])[0] == 31000
    with pytest.raises(ProtocolError, match="side of zero"):
        commands.command("daly-d2", "charge_overcurrent_limit", 100)


def test_a5_settings_change_one_value_and_keep_the_others() -> None:
    current = bytes.fromhex("0e420e740af00a8c")
    request = commands.command("daly-a5", "cell_overvoltage_limit", 3.6, 3, current)
    assert request[:4] == bytes((0xA5, 0x42, 0x19, 8))
    assert request[4:12] == bytes.fromhex("0e420e100af00a8c")
    with pytest.raises(ProtocolError, match="what was read"):
        commands.command("daly-a5", "cell_overvoltage_limit", 3.6)


def test_setting_the_charge_of_an_a5_board_needs_the_time() -> None:
    with pytest.raises(ProtocolError, match="time"):
        commands.command("daly-a5", "soc", 50.0)


def test_addresses() -> None:
    pack = A5.query("pack")
    assert [A5.request(pack, address)[1] for address in (1, 2, 16, 0x80)] == [0x40, 0x41, 0x4F, 0x80]
    cells = P81.query("cells")
    assert [P81.request(cells, address)[0] for address in (1, 16)] == [0x81, 0x90]
    assert A5.addresses[:2] == (1, 0x80)


def test_a_reply_of_another_board_is_not_taken() -> None:
    found = A5.receiver().feed(raw("a5_90_board2"))
    query = A5.query("pack")
    assert A5.collect(query, 1, found, {}, True) is None
    assert A5.collect(query, 2, found, {}, True) == {"voltage": 13.0, "current": 0.0, "soc": 50.0}
    assert A5.collect(query, 0x80, found, {}, True) is not None


def test_cells_are_complete_with_the_frames_they_need() -> None:
    """Old Bluetooth modules send 16 frames for 16 cells; waiting for the other ten costs 135 ms each poll."""
    found = A5.receiver().feed(raw("a5_95_16s_16frames"))
    query = A5.query("cells")
    known = {"cell_count": 16}
    assert A5.collect(query, 1, found[:5], known, False) is None
    cells = A5.collect(query, 1, found[:6], known, False)
    assert cells is not None
    assert len(cells["cell_voltages"]) == 16
    assert cells == A5.collect(query, 1, found, known, False)


def test_a_lost_frame_leaves_a_gap_and_only_in_silence() -> None:
    found = A5.receiver().feed(raw("a5_95_missing_frame5"))
    query = A5.query("cells")
    assert A5.collect(query, 1, found, {"cell_count": 16}, False) is None
    cells = A5.collect(query, 1, found, {"cell_count": 16}, True)
    assert cells is not None
    assert cells["cell_voltages"][11:] == [3.375, None, None, None, 3.378]


def test_cells_without_their_number_are_no_answer() -> None:
    found = A5.receiver().feed(raw("a5_95_14s_5frames"))
    assert A5.collect(A5.query("cells"), 1, found, {}, True) is None
    assert A5.collect(A5.query("cells"), 1, found, {"cell_count": 200}, True) is None
    assert [A5.read(frame, {}) for frame in found] == [{}] * 5


def test_one_frame_that_is_the_whole_answer_can_be_read() -> None:
    (frame,) = A5.receiver().feed(bytes.fromhex("a50196080137000000000030ac"))
    assert A5.read(frame, {"sensor_count": 1}) == {"temperatures": [15]}
    assert A5.read(frame, {}) == {}


def test_an_echo_is_a_request() -> None:
    (frame,) = A5.receiver().feed(A5.request(A5.query("pack"), 1))
    assert frame[0] == REQUEST
    assert A5.collect(A5.query("pack"), 1, [frame], {}, True) is None


def test_can_carries_the_same_payload() -> None:
    """A made-up CAN reply, id 0x18904001: there is no CAN link, but the record is that of the wire."""
    frame = (REPLY, 1, 0x90, bytes.fromhex("02100000753001f4"))
    assert A5.read(frame, {}) == {"voltage": 52.8, "current": 0.0, "soc": 50.0}


def test_signs_of_the_current() -> None:
    """The same raw number discharges an A5 board and charges the others."""
    assert decode(a5.PACK, bytes.fromhex("02100000759403bc"))["current"] == -10.0
    status = bytearray(raw("d2_status62_8s")[3:-2])
    status[2 * 0x29 : 2 * 0x2A] = bytes.fromhex("7594")
    assert decode(registers.D2_STATUS, bytes(status))["current"] == 10.0


def test_the_register_is_learnt_from_the_question() -> None:
    receiver = D2.receiver()
    reply = raw("d2_balancer_state_on")
    assert [frame[2] for frame in receiver.feed(reply)] == [None]
    found = receiver.feed(D2.request(D2.query("balancer"), 0) + reply)
    assert [(frame[0], frame[2]) for frame in found] == [(REQUEST, 0xCC), (REPLY, 0xCC)]
    assert D2.read(found[1], {}) == {"balancer_switch": True}
    # Only the next reply belongs to the question.
    assert [frame[2] for frame in receiver.feed(reply)] == [None]


def test_the_password_is_never_decoded() -> None:
    receiver = D2.receiver()
    found = receiver.feed(raw("d2_req_00c9") + raw("d2_password"))
    assert found[1][2] == 0xC9
    assert D2.read(found[1], {}) == {}
    (alone,) = D2.receiver().feed(raw("d2_password"))
    assert D2.read(alone, {}) == {}
    for query in D2.queries:
        first, count = query.key
        assert first + count <= 0xC9 or first > 0xCB
        assert "123456" not in str(D2.collect(query, 0, [alone], {}, True))
    assert "123456" not in str(BY_ID["p81_settings_ess"]["frames"])


def test_an_exception_is_a_refusal() -> None:
    frame = bytes((0xD2, 0x83, 2))
    crc = crc16(frame)
    found = D2.receiver().feed(frame + bytes((crc & 0xFF, crc >> 8)))
    assert [each[0] for each in found] == [REFUSAL]
    with pytest.raises(Refused) as refused:
        D2.collect(D2.query("extension"), 0, found, {}, False)
    assert refused.value.code == 2


def test_versions_stored_back_to_front() -> None:
    for name, software, hardware in (
        ("d2_version_a", "401012", "BMS"),
        ("d2_version_b", "204012", "SH39F003"),
        ("d2_version_c", "30_231111_200B", "BMS-GD230-303E"),
        ("d2_version_d", "11_240123_K00T", "H2.0_103R_309F9F"),
    ):
        values = decode(registers.D2_VERSIONS, raw(name)[3:-2])
        assert (values["software_version"], values["hardware_version"]) == (software, hardware)


def test_levels_of_the_k_series() -> None:
    status = bytearray(raw("p81_status_ess")[3:-2])
    place = 2 * (0x6D - 0x41)
    status[place : place + 8] = bytes.fromhex("0011 0801 0200 4000".replace(" ", ""))
    values = decode(registers.P81_STATUS, bytes(status))
    assert values["warnings"] == ["cell_overvoltage", "charge_undertemperature", "temperature_delta"]
    assert values["protections"] == ["cell_undervoltage", "charge_overcurrent"]
    assert values["faults"] == []
    shown = {"warnings": values["warnings"], "protections": values["protections"]}
    assert levels_of(shown, K_LEVELS_1, K_1) == values["alarm_bits"]
    assert levels_of(shown, K_LEVELS_2, K_2) == values["alarm_bits_2"] & ~0x4000


def test_clocks() -> None:
    for seconds in (0, 59, 86399, 86400 * 59, 86400 * 60, 86400 * 366, 202_593_753, commands.LAST_SECOND - 1):
        assert dates.clock_seconds(dates.clock_bytes(seconds), 0) == seconds
    for text in ("000000000000", "180d01000000", "181f1f000000", "17021d000000", "180101180000", "313233343536"):
        assert dates.clock_seconds(bytes.fromhex(text), 0) is None
    assert dates.clock_bytes(BY_ID["d2_time_sync"]["command"]["value"]).hex() == raw("d2_time_sync")[6:12].hex()


def test_all_names_are_in_the_catalogue() -> None:
    alarms = {name for name, _ in ALARMS}
    for dialect in DIALECTS:
        for record in dialect.records:
            rows = record.numbers + record.lists + record.flags + record.choices + record.texts + record.masks
            for row in rows + record.alarms:
                assert row[0] in BY_NAME, row[0]
            for row in record.alarms:
                assert {alarm for _, _, alarm in row[3]} <= alarms
    assert {alarm for _, alarm in K_LEVELS_1 + K_LEVELS_2} <= alarms


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_receivers_live_through_anything(dialect: Dialect) -> None:
    chance = random.Random(3)
    starts = bytes((0xA5, 0xD2, 0x51, 0x81, 3, 6, 16, 8, 0x40, 1))
    receiver = dialect.receiver()
    for _ in range(3000):
        data = bytes(chance.choice(starts) if chance.random() < 0.5 else chance.randrange(256) for _ in range(20))
        for frame in receiver.feed(data):
            try:
                dialect.read(frame, {"cell_count": chance.randrange(60)})
            except ProtocolError:
                pass
        assert receiver.waiting() < 200
    assert receiver.dropped > 0


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("cells", [4, 7, 16, 24])
def test_the_twin_answers_everything(dialect: Dialect, cells: int) -> None:
    address = 0 if dialect is D2 else 3
    pack = twin(dialect.name, address)
    pack.values = {
        "voltage": 3.3 * cells,
        "current": -12.5,
        "soc": 47.5,
        "remaining_capacity": 100.5,
        "cell_voltages": [3.3 + number / 1000 for number in range(cells)],
        "temperatures": [21, 23],
        "charge_mosfet": True,
        "discharge_mosfet": False,
        "balancing": True,
        "balancing_cells": [cells],
        "protections": ["cell_undervoltage"],
        "warnings": ["soc_low"],
        "faults": ["eeprom"],
    }
    known: dict[str, Any] = {}
    for query in dialect.queries:
        assert ask(dialect, pack, query.name, address, known) is not None, query.name
    for name, value in pack.values.items():
        if name != "balancing_cells" or dialect is not D2:
            assert known[name] == pytest.approx(value), name
    assert dialect is P81 or known["cell_min"] == 3.3
    assert [query.name for query in dialect.queries if query.pace == SETTINGS]


def test_the_twin_sends_sixteen_frames_when_it_is_an_old_bluetooth_module() -> None:
    reply = twin("daly-a5", 1, "ble16").answer(A5.request(A5.query("cells"), 0x80))
    assert [len(each) for each in reply] == [16 * 13]
    reply = twin("daly-a5", 1).answer(A5.request(A5.query("cells"), 1))
    assert [len(each) for each in reply] == [6 * 13]


@pytest.mark.parametrize(
    ("dialect", "name", "state", "query"),
    [
        (A5, "discharge_switch", "discharge_mosfet", "mosfets"),
        (A5, "charge_switch", "charge_mosfet", "mosfets"),
        (D2, "discharge_switch", "discharge_mosfet", "status"),
        (D2, "charge_switch", "charge_switch", "settings"),
        (D2, "balancer_switch", "balancer_switch", "balancer"),
        (P81, "charge_switch", "charge_mosfet", "status"),
        (P81, "discharge_switch", "discharge_switch", "settings"),
    ],
)
def test_the_twin_switches(dialect: Dialect, name: str, state: str, query: str) -> None:
    address = 0 if dialect is D2 else 2
    pack = twin(dialect.name, address)
    for on in (False, True, False):
        (reply,) = pack.answer(commands.command(dialect.name, name, on, address))
        assert [frame[0] for frame in dialect.receiver().feed(reply)] == [ACK]
        answer = ask(dialect, pack, query, address, {})
        assert answer is not None
        assert answer[state] is on


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_twin_takes_a_state_of_charge(dialect: Dialect) -> None:
    address = 0 if dialect is D2 else 1
    pack = twin(dialect.name, address)
    pack.values["soc"] = 60.0
    pack.answer(commands.command(dialect.name, "soc", 80.0, address, clock=1000))
    known: dict[str, Any] = {}
    ask(dialect, pack, dialect.probe, address, known)
    assert known["soc"] == 80.0
    pack.values["soc"] = 59.0
    ask(dialect, pack, dialect.probe, address, known)
    assert known["soc"] == 79.0


def test_twins_share_a_line() -> None:
    for dialect in (A5, P81):
        packs = [twin(dialect.name, address) for address in (1, 2, 3)]
        for address in (1, 2, 3, 4):
            request = dialect.request(dialect.query(dialect.probe), address)
            answers = [pack.answer(request) for pack in packs]
            assert [len(each) for each in answers] == [int(address == number) for number in (1, 2, 3)]


def test_a_board_that_answers_the_app_only() -> None:
    pack = twin("daly-a5", 0x80)
    assert pack.answer(A5.request(A5.query("pack"), 1)) == []
    assert ask(A5, pack, "pack", 0x80, {}) is not None


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_twin_that_has_just_woken_up_shows_nothing_to_believe(dialect: Dialect) -> None:
    pack = twin(dialect.name, 1)
    pack.zero = True
    answer = ask(dialect, pack, dialect.probe, 0 if dialect is D2 else 1, {})
    assert answer is not None
    assert answer["voltage"] == 0
    assert "current" not in answer
    if dialect is A5:
        assert ask(dialect, pack, "mosfets", 1, {}) == {}


def test_a_log_with_the_cell_count_gives_the_cells() -> None:
    listener = A5.listener()
    frames = A5.receiver().feed(raw("a5_94_14s") + raw("a5_95_14s_5frames"))
    found = [readings for frame in frames for _board, readings in listener.take(frame)]
    assert len(found) == 2
    assert len(found[1]["cell_voltages"]) == 14
