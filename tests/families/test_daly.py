"""What is special about Daly: answers in parts, two signs, levels of alarms, replies without a register, its twin."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from cellwire.codec.checksum import crc16
from cellwire.codec.command import ACTION, CHOICE, SWITCH, Command, check
from cellwire.codec.dialect import ACK, REFUSAL, REPLY, REQUEST, SETTINGS, Dialect
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.codec.table import decode
from cellwire.families.daly import DIALECTS, a5, dates, frames, registers
from cellwire.families.daly.alarms import K_1, K_2, K_LEVELS_1, K_LEVELS_2, levels_of
from cellwire.families.daly.commands import LAST_SECOND
from cellwire.families.daly.twin import twin
from cellwire.readings.catalogue import ALARMS, BY_NAME
from cellwire.sim.model import Battery

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


def command_of(dialect: Dialect, name: str, known: dict[str, Any] | None = None) -> Command:
    """Return the command of that name."""
    assert dialect.commands is not None
    return next(command for command in dialect.commands.of(known or {}) if command.name == name)


def built(dialect: Dialect, name: str, value: Any, address: int = 1, number: int = 0, **known: Any) -> bytes:
    """Return the one frame that writes a value which passed the check of its range."""
    assert dialect.commands is not None
    command = command_of(dialect, name)
    (frame,) = dialect.commands.encode(command, number, check(command, number, value), address, known)
    return frame


def forbidden(dialect: Dialect, name: str, value: Any, **known: Any) -> str:
    """Return why a value makes no sense beside what is known, "" when it does."""
    assert dialect.commands is not None
    try:
        dialect.commands.guard(command_of(dialect, name), 0, value, known)
    except OutOfRange as error:
        return str(error)
    return ""


def all_known(dialect: Dialect) -> dict[str, Any]:
    """Return what a twin of the dialect shows, settings and all."""
    address = 0 if dialect is D2 else 1
    pack = twin(dialect.name, address)
    pack.values = Battery(16).values(EVENING)
    known: dict[str, Any] = {}
    for query in dialect.queries:
        ask(dialect, pack, query.name, address, known)
    return known


EVENING = 1_700_078_400.0
EVERY = [
    (dialect, command) for dialect in DIALECTS if dialect.commands is not None for command in dialect.commands.of({})
]


@pytest.mark.parametrize("row", [row for row in VECTORS if "command" in row], ids=lambda row: row["id"])
def test_commands_build_the_captured_frames(row: dict[str, Any]) -> None:
    wanted = row["command"]
    dialect = next(dialect for dialect in DIALECTS if dialect.name == row["dialect"])
    frame = built(dialect, wanted["name"], wanted["value"], wanted.get("address", 1), **wanted.get("known", {}))
    assert frame.hex(" ") == bytes.fromhex(row["hex"]).hex(" ")


@pytest.mark.parametrize(
    ("dialect", "command"), EVERY, ids=[f"{dialect.name}:{command.name}" for dialect, command in EVERY]
)
def test_every_command_keeps_its_range(dialect: Dialect, command: Command) -> None:
    known = all_known(dialect)
    known["current_limit_sides"] = 5
    commands = dialect.commands
    assert commands is not None
    assert command.reading == "" or command.reading in BY_NAME
    assert command.name in BY_NAME or command.meaning
    assert command.query == "" or dialect.query(command.query)
    good: tuple[Any, ...] = (command.low, command.high)
    bad: tuple[Any, ...] = (command.low - command.step, command.high + command.step, True, "1", None)
    if command.kind in (SWITCH, ACTION):
        good, bad = ((True, False) if command.kind == SWITCH else (True,)), (2, -1, "on", None)
    elif command.kind == CHOICE:
        good, bad = command.words, ("", "NMC", 1)
    frames = set()
    for value in good:
        number = command.count
        (frame,) = commands.encode(command, number, check(command, number, value), 1, known)
        frames.add(frame)
        (found,) = dialect.receiver().feed(frame)
        assert found[0] in (REQUEST, ACK)
    assert len(frames) == len(good)
    for value in bad:
        with pytest.raises(OutOfRange, match=command.name):
            check(command, command.count, value)


def test_only_what_was_seen_or_agreed_on_passes_for_proven() -> None:
    proven = {f"{each.name}:{command.name}": command.proof for each, command in EVERY if command.proof != "unproven"}
    assert proven == {
        "daly-a5:charge_switch": "agreed",
        "daly-a5:discharge_switch": "captured",
        "daly-a5:soc": "captured",
        "daly-a5:clock": "agreed",
        "daly-a5:restart": "agreed",
        "daly-d2:charge_switch": "captured",
        "daly-d2:discharge_switch": "captured",
        "daly-d2:balancer_switch": "captured",
        "daly-d2:clock": "captured",
        "daly-p81:charge_switch": "captured",
        "daly-p81:discharge_switch": "captured",
        "daly-p81:balancer_switch": "captured",
        "daly-p81:current_limiter_switch": "captured",
        "daly-p81:active_balance": "captured",
        "daly-p81:soc": "agreed",
    }


def test_no_command_touches_a_password() -> None:
    for dialect, command in EVERY:
        if dialect is not A5:
            first = command.field[0]
            last = first + max(1, command.count, {"clock": 3, ">I": 2}.get(command.field[1], 1)) - 1
            assert last < (0xC9 if dialect is D2 else 0x126) or first > (0xCB if dialect is D2 else 0x128), command.name


def test_current_limits_stay_on_their_side_of_zero() -> None:
    known: dict[str, Any] = {"charge_overcurrent_limit": 90.0, "discharge_overcurrent_limit": 90.0}
    known["current_limit_sides"] = 0b1000
    below = built(D2, "charge_overcurrent_limit", 100, **known)
    above = built(D2, "discharge_overcurrent_limit", 100, **known)
    assert struct.unpack(">H", below[4:6])[0] == 29000
    assert struct.unpack(">H", above[4:6])[0] == 31000
    # A limit of 0 has no side, and neither has one that was not read.
    lacking: tuple[dict[str, Any], ...] = (
        {"charge_overcurrent_limit": 0.0},
        {"charge_overcurrent_limit": None},
        {"current_limit_sides": None},
    )
    for missing in lacking:
        with pytest.raises(OutOfRange, match="side of zero"):
            built(D2, "charge_overcurrent_limit", 100, **{**known, **missing})


def test_current_limits_of_a5_all_keep_their_sides() -> None:
    record = bytes.fromhex("714874d07a6c7530")
    known = decode(a5.CURRENT_LIMITS, record)
    assert known == {
        "charge_overcurrent_warning": 100.0,
        "charge_overcurrent_limit": 9.6,
        "discharge_overcurrent_warning": 134.0,
        "discharge_overcurrent_limit": 0.0,
        "current_limit_sides": 0b0100,
    }
    request = built(A5, "charge_overcurrent_limit", 120.0, **known)
    assert request[2] == 0x1B
    assert request[4:12] == bytes.fromhex("7148 7080 7a6c 7530")


def test_a5_settings_change_one_value_and_keep_the_others() -> None:
    known = decode(a5.CELL_LIMITS, bytes.fromhex("0e420e740af00a8c"))
    request = built(A5, "cell_overvoltage_limit", 3.6, 3, **known)
    assert request[:4] == bytes((0xA5, 0x42, 0x19, 8))
    assert request[4:12] == bytes.fromhex("0e420e100af00a8c")
    for name in known:
        if name != "cell_overvoltage_limit":
            with pytest.raises(OutOfRange, match=f"together with {name}"):
                built(A5, "cell_overvoltage_limit", 3.6, **{**known, name: None})


def test_a5_commands_say_what_has_to_be_read_for_them() -> None:
    needs = A5.commands.needs if A5.commands else None
    assert needs is not None
    assert needs(command_of(A5, "soc")) == ("clock",)
    assert needs(command_of(A5, "clock")) == ("soc",)
    assert set(needs(command_of(A5, "balance_delta"))) == {"balance_start"}
    assert {"current_limit_sides", "discharge_overcurrent_limit"} <= set(
        needs(command_of(A5, "charge_overcurrent_limit"))
    )
    assert {"pack_overvoltage_limit", "cell_undervoltage_limit"} <= set(needs(command_of(A5, "cell_overvoltage_limit")))


def test_charge_and_clock_of_a5_go_together() -> None:
    clock = 190_000_000
    request = built(A5, "soc", 50.0, clock=clock)
    assert request[4:12] == dates.clock_bytes(clock) + bytes.fromhex("01f4")
    assert built(A5, "clock", clock, soc=50.0) == request
    with pytest.raises(OutOfRange, match="set that first"):
        built(A5, "soc", 50.0)
    with pytest.raises(OutOfRange, match="clock"):
        built(A5, "clock", clock)


def test_registers_of_two_words_are_written_at_once() -> None:
    request = built(P81, "design_capacity", 280.0, 2)
    assert request[:6] == bytes.fromhex("821001090002")
    assert request[6:10] == (280_000).to_bytes(4, "big")
    assert built(D2, "design_capacity", 280.0)[:6] == bytes.fromhex("d20600800af0")


def test_the_pause_before_sleep_is_told_in_tens_of_seconds_by_p81_only() -> None:
    for value, word in ((600, 60), (65530, 6553), (65535, 65535)):
        assert int.from_bytes(built(P81, "sleep_delay", value)[4:6], "big") == word
    assert int.from_bytes(built(D2, "sleep_delay", 600)[4:6], "big") == 600


def test_cells_of_each_board() -> None:
    assert built(D2, "board_cells", 12, number=2)[:6] == bytes.fromhex("d2060084000c")
    assert built(D2, "battery_type", "LTO")[:6] == bytes.fromhex("d20600890002")


def test_a_balancer_has_no_mosfets_to_switch() -> None:
    known = decode(registers.D2_SETTINGS, raw("d2_settings_balancer")[3:-2])
    assert D2.commands is not None
    names = {command.name for command in D2.commands.of({**known, "charge_mosfet": False, "discharge_mosfet": False})}
    assert "balancer_switch" in names
    assert not names & {"charge_switch", "discharge_switch"}
    pack = decode(registers.D2_SETTINGS, raw("d2_settings_4s")[3:-2])
    names = {command.name for command in D2.commands.of({**pack, "charge_mosfet": False, "discharge_mosfet": False})}
    assert {"charge_switch", "discharge_switch"} <= names


def test_limits_have_to_make_sense_beside_each_other() -> None:
    cell = {"cell_overvoltage_warning": 3.55, "cell_overvoltage_limit": 3.65, "cell_undervoltage_warning": 2.8}
    cell |= {"cell_undervoltage_limit": 2.5}
    assert not forbidden(D2, "cell_overvoltage_limit", 3.55, **cell)
    assert "cell_overvoltage_warning" in forbidden(D2, "cell_overvoltage_limit", 3.5, **cell)
    assert "cell_overvoltage_limit" in forbidden(D2, "cell_overvoltage_warning", 3.7, **cell)
    assert not forbidden(D2, "cell_undervoltage_limit", 2.8, **cell)
    assert "cell_undervoltage_warning" in forbidden(D2, "cell_undervoltage_limit", 2.9, **cell)
    assert forbidden(D2, "cell_undervoltage_warning", 3.55, **cell)
    assert not forbidden(D2, "balance_start", 3.65, **cell)
    assert "cell_overvoltage_limit" in forbidden(D2, "balance_start", 3.66, **cell)
    assert "cell_undervoltage_limit" in forbidden(D2, "balance_start", 2.5, **cell)
    assert not forbidden(D2, "balance_start", 3.66)
    # Zero is no limit, but a temperature like any other.
    assert not forbidden(D2, "charge_overcurrent_limit", 5.0, charge_overcurrent_warning=0.0)
    assert forbidden(D2, "charge_overcurrent_limit", 5.0, charge_overcurrent_warning=6.0)
    assert forbidden(D2, "charge_undertemperature_warning", -1, charge_undertemperature_limit=0)
    assert forbidden(D2, "discharge_overtemperature_limit", 20, discharge_undertemperature_limit=20)
    assert forbidden(P81, "cell_overvoltage_release", 3.65, cell_overvoltage_limit=3.65)
    assert forbidden(P81, "cell_undervoltage_release", 2.5, cell_undervoltage_limit=2.5)


def test_limits_of_the_pack_have_to_fit_its_cells() -> None:
    known = {"cell_count": 16, "cell_overvoltage_limit": 3.65, "cell_undervoltage_limit": 2.5}
    assert not forbidden(D2, "pack_overvoltage_limit", 58.4, **known)
    assert not forbidden(D2, "pack_overvoltage_limit", 60.0, **known)
    assert "16 cells" in forbidden(D2, "pack_overvoltage_limit", 66.0, **known)
    assert forbidden(D2, "pack_overvoltage_limit", 39.0, **known)
    assert not forbidden(D2, "pack_undervoltage_limit", 40.0, **known)
    assert forbidden(D2, "pack_undervoltage_limit", 35.0, **known)
    assert forbidden(D2, "pack_undervoltage_limit", 58.5, **known)
    assert forbidden(D2, "cell_overvoltage_limit", 3.3, **known, pack_overvoltage_limit=58.4)
    assert not forbidden(D2, "pack_overvoltage_limit", 66.0)


def test_a_missing_balancer_and_a_flowing_current_are_told() -> None:
    assert "no such switch" in forbidden(D2, "balancer_switch", True)
    assert not forbidden(D2, "balancer_switch", True, balancer_switch=False)
    assert not forbidden(P81, "balancer_switch", True)
    assert "nothing may flow" in forbidden(D2, "calibrate_idle_current", True, current=-3.0)
    assert "nothing may flow" in forbidden(D2, "calibrate_idle_current", True)
    assert not forbidden(D2, "calibrate_idle_current", True, current=0.3)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_what_a_twin_shows_makes_sense(dialect: Dialect) -> None:
    known = all_known(dialect)
    commands = dialect.commands
    assert commands is not None
    for command in commands.of(known):
        value = commands.found(command, command.count, known)
        if value is not None:
            commands.guard(command, command.count, value, known)


def answers(dialect: Dialect, data: bytes) -> list[Any]:
    """Return the frames in these bytes."""
    return list(dialect.receiver().feed(data))


def test_the_yes_of_an_a5_board() -> None:
    assert A5.commands is not None
    answered = A5.commands.answered
    switch, soc = command_of(A5, "discharge_switch"), command_of(A5, "soc")
    yes = answers(A5, raw("a5_d9_off_reply"))
    assert answered(switch, 1, yes) is True
    assert answered(switch, 0x80, yes) is True
    assert answered(switch, 2, yes) is None
    assert answered(command_of(A5, "charge_switch"), 1, yes) is None
    assert answered(switch, 1, answers(A5, built(A5, "discharge_switch", False))) is None
    for first, said in ((1, True), (0, None)):
        body = bytes((0xA5, 1, 0x21, 8, first)) + bytes(7)
        assert answered(soc, 1, answers(A5, body + bytes((sum(body) % 256,)))) is said


@pytest.mark.parametrize("dialect", [D2, P81], ids=lambda dialect: dialect.name)
def test_the_yes_and_the_no_of_registers(dialect: Dialect) -> None:
    assert dialect.commands is not None
    answered = dialect.commands.answered
    unit = 0xD2 if dialect is D2 else 0x52
    switch, clock = command_of(dialect, "charge_switch"), command_of(dialect, "clock")

    def said(command: Command, body: bytes, address: int = 2) -> bool | None:
        crc = crc16(body)
        return answered(command, address, answers(dialect, body + bytes((crc & 0xFF, crc >> 8))))

    register = switch.field[0].to_bytes(2, "big")
    assert said(switch, bytes((unit, 6)) + register + b"\x00\x01") is True
    assert said(switch, bytes((unit, 6, 0, 1, 0, 1))) is None
    assert said(clock, bytes((unit, 16)) + clock.field[0].to_bytes(2, "big") + b"\x00\x03") is True
    with pytest.raises(Refused, match="does not take this value") as refused:
        said(switch, bytes((unit, 0x86, 3)))
    assert refused.value.code == 3
    with pytest.raises(Refused, match="exception 11"):
        said(clock, bytes((unit, 0x90, 11)))
    if dialect is P81:
        assert said(switch, bytes((unit, 0x86, 3)), 3) is None
        assert said(switch, bytes((unit, 6)) + register + b"\x00\x01", 3) is None
    assert dialect.commands.mirrors is (dialect is D2)


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
    for seconds in (0, 59, 86399, 86400 * 59, 86400 * 60, 86400 * 366, 202_593_753, LAST_SECOND - 1):
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
        (reply,) = pack.answer(built(dialect, name, on, address))
        assert [frame[0] for frame in dialect.receiver().feed(reply)] == [ACK]
        answer = ask(dialect, pack, query, address, {})
        assert answer is not None
        assert answer[state] is on


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_twin_takes_a_state_of_charge(dialect: Dialect) -> None:
    address = 0 if dialect is D2 else 1
    pack = twin(dialect.name, address)
    pack.values["soc"] = 60.0
    pack.answer(built(dialect, "soc", 80.0, address, clock=1000))
    known: dict[str, Any] = {}
    ask(dialect, pack, dialect.probe, address, known)
    assert known["soc"] == 80.0
    pack.values = {**pack.values, "soc": 59.0}
    ask(dialect, pack, dialect.probe, address, known)
    assert known["soc"] == 79.0


WRITES = (
    (A5, "cell_overvoltage_limit", 3.75, "cell_limits"),
    (A5, "soc", 40.0, "pack"),
    (D2, "cell_overvoltage_limit", 3.75, "settings"),
    (D2, "clock", 200_000_000, "clock"),
    (P81, "cell_overvoltage_limit", 3.75, "settings"),
    (P81, "design_capacity", 200.0, "settings"),
)


def told(dialect: Dialect, name: str, value: Any, query: str, *faults: str) -> tuple[bytes, Any, Any, Any]:
    """Return (answer of a twin with faults, what it showed before and after, the twin)."""
    address = 0 if dialect is D2 else 1
    pack = twin(dialect.name, address)
    pack.values = dict(Battery(16).values(EVENING))
    known = all_known(dialect)
    asked: list[str] = []
    pack.mood = lambda fault: asked.append(fault) or fault in faults  # type: ignore[func-returns-value]
    before = ask(dialect, pack, query, address, known)
    assert asked == []
    reply = b"".join(pack.answer(built(dialect, name, value, address, **known)))
    assert len(asked) == len(set(asked))
    pack.values = dict(Battery(16).values(EVENING + 1))
    after = ask(dialect, pack, query, address, known)
    assert before is not None
    assert after is not None
    return reply, before[name], after[name], pack


@pytest.mark.parametrize(("dialect", "name", "value", "query"), WRITES)
def test_the_twin_obeys(dialect: Dialect, name: str, value: Any, query: str) -> None:
    reply, before, after, pack = told(dialect, name, value, query)
    assert before != pytest.approx(value)
    assert after == pytest.approx(value, abs=0.05)
    assert [frame[0] for frame in answers(dialect, reply)] == [ACK]
    assert not pack.lost


@pytest.mark.parametrize(("dialect", "name", "value", "query"), WRITES)
def test_the_twin_does_wrong_on_request(dialect: Dialect, name: str, value: Any, query: str) -> None:
    reply, before, after, _pack = told(dialect, name, value, query, "ignore-writes")
    assert after == pytest.approx(before, abs=0.05)
    assert [frame[0] for frame in answers(dialect, reply)] == [ACK]
    reply, before, after, _pack = told(dialect, name, value, query, "refuse")
    assert after == pytest.approx(before, abs=0.05)
    assert [frame[0] for frame in answers(dialect, reply)] == ([] if dialect is A5 else [REFUSAL])
    reply, before, after, _pack = told(dialect, name, value, query, "clamp")
    assert after == pytest.approx((before + value) / 2, abs=1.0 if name == "clock" else 0.06)
    assert [frame[0] for frame in answers(dialect, reply)] == [ACK]
    reply, before, after, pack = told(dialect, name, value, query, "drop-after-write")
    assert pack.lost
    assert after == pytest.approx(value, abs=0.05)


def test_a_write_among_the_live_values_is_repeated_and_does_nothing() -> None:
    pack = twin("daly-d2", 0)
    pack.mood = lambda fault: pytest.fail("no write")
    assert pack.answer(raw("d2_doc_write_req")) == [raw("d2_doc_write_req")]
    known: dict[str, Any] = {}
    ask(D2, pack, "status", 0, known)
    assert known["cell_voltages"] == decode(registers.D2_STATUS, raw("d2_status80_a")[3:-2])["cell_voltages"]


def test_a_board_answers_to_its_new_number() -> None:
    pack = twin("daly-p81", 1)
    (reply,) = pack.answer(built(P81, "board_number", 7))
    assert [frame[:2] for frame in answers(P81, reply)] == [(ACK, 1)]
    assert pack.answer(P81.request(P81.query("cells"), 1)) == []
    assert ask(P81, pack, "settings", 7, {}) is not None


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
