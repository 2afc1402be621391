"""What is special about JK: layouts told by structure, owners on a shared line, pieces of Modbus, writes and twins."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from cellwire.codec.command import (
    ACTION,
    CAPTURED,
    CONFIGURE,
    NUMBER,
    SERVICE,
    SWITCH,
    TEXT,
    UNPROVEN,
    Command,
    Commands,
    check,
    proves,
    same,
)
from cellwire.codec.dialect import ACK, PUSH, REFUSAL, REPLY, REQUEST, Dialect
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.codec.table import decode
from cellwire.families import dialects
from cellwire.families.jk import ble, commands, guards, identifiers, modbus, pb, records, uart, writes
from cellwire.families.jk.twin import twin
from cellwire.readings.catalogue import BY_NAME

VECTORS = {
    vector["id"]: vector
    for vector in json.loads(Path(records.__file__).with_name("vectors.json").read_text(encoding="utf-8"))["vectors"]
}
DIALECTS = {dialect.name: dialect for dialect in dialects("jk")}

VALUES: dict[str, Any] = {
    "voltage": 26.585,
    "current": -12.34,
    "soc": 71,
    "cell_voltages": [3.31, 3.32, 3.33, 3.30, 3.31, 3.32, 3.36, 3.335],
    "temperatures": [20.5, -3.0, None, 21.0, 22.5],
    "mosfet_temperature": 30.0,
    "charge_switch": True,
    "discharge_switch": True,
    "charge_mosfet": True,
    "discharge_mosfet": False,
    "runtime": 360000,
    "protections": ["cell_overvoltage"],
    "faults": [],
}


def data_of(name: str) -> bytes:
    vector = VECTORS[name]
    return bytes.fromhex(vector.get("hex") or "".join(vector["chunks"]))


def cell_records() -> list[tuple[str, bytes, str]]:
    found = []
    for name, vector in VECTORS.items():
        data = data_of(name)
        at = data.find(ble.RECORD + b"\x02")
        if at >= 0 and len(data) >= at + 300 and "error" not in vector and vector["kind"] == "capture":
            layout = "JK04" if vector["dialect"] == "jk04" else "24S" if "24s" in name else "32S"
            found.append((name, data[at : at + 300], layout))
    return found


@pytest.mark.parametrize(("name", "data", "layout"), cell_records())
@pytest.mark.parametrize("believed", ["", "24S", "32S", "JK04"])
def test_structure_tells_the_layout(name: str, data: bytes, layout: str, believed: str) -> None:
    assert records.variant(data, {"record_variant": believed}) == layout


def test_layout_of_nothing_is_what_was_known() -> None:
    nothing = ble.RECORD + b"\x02" + bytes(295)
    assert records.variant(nothing, {"record_variant": "32S"}) == "32S"
    assert records.variant(nothing, {"software_version": "10.08"}) == "24S"
    assert records.variant(nothing, {"software_version": "15A"}) == "32S"
    assert records.variant(nothing, {"software_version": "3.3.0"}) == "JK04"


def test_a_resistance_that_looks_like_a_mask() -> None:
    """A 4S pack of 24S: the lead of cell 4 stands where 32S has its mask, and 0.063 ohm is a run of bits."""
    data = bytearray(data_of("jk02-24s-cell-info-b2a20s20p-10.08"))
    struct.pack_into("<I", data, 54, 0x0F)
    struct.pack_into("<HH", data, 70, 63, 0)
    assert records.variant(bytes(data), {}) == "24S"
    assert len(records.cells(bytes(data), {})["cell_voltages"]) == 4


def test_generations_do_not_read_each_other() -> None:
    for name in ("jk04-cell-info-b2a16s", "jk04-settings-b5a24s"):
        frames = ble.Receiver().feed(data_of(name))
        with pytest.raises(ProtocolError):
            ble.read_02(frames[0], {})
    for name in ("jk02-24s-cell-info-b2a20s20p-10.08", "jk02-32s-settings-b2a8s20p-11.50"):
        frames = ble.Receiver().feed(data_of(name))
        with pytest.raises(ProtocolError):
            ble.read_04(frames[0], {})


def test_a_gap_in_the_mask_keeps_the_numbers() -> None:
    data = bytearray(data_of("jk02-32s-cell-info-b2a8s20p-11.48"))
    struct.pack_into("<I", data, 70, 0b11111011)
    values = records.cells(bytes(data), {"record_variant": "32S", "software_version": "11.48"})
    assert values["cell_voltages"][2] is None
    assert len(values["cell_voltages"]) == 8
    assert values["cell_count"] == 7


def test_sensors_by_software_and_sentinel() -> None:
    data = data_of("jk02-32s-cell-info-pb2a16s20p-19.27")
    assert records.cells(data, {})["temperatures"] == [23.3, 23.6, None, 24.5, 24.0]
    assert records.cells(data, {"software_version": "11.48"})["temperatures"] == [23.3, 23.6]
    far = bytearray(data)
    struct.pack_into("<h", far, records.T4, -2000)
    assert records.cells(bytes(far), {})["temperatures"] == [23.3, 23.6, None, None, 24.0]
    near = bytearray(data)
    struct.pack_into("<h", near, 162, -2000)
    assert records.cells(bytes(near), {})["temperatures"] == [None, 23.6, None, 24.5, 24.0]
    old = data_of("jk02-32s-cell-info-b2a8s20p-11.48")
    assert "clock" not in records.cells(old, {})
    assert records.cells(old, {})["temperatures"] == [28.4, 29.2]


def test_every_alarm_bit_has_a_place() -> None:
    data = bytearray(data_of("jk02-32s-cell-info-b2a8s20p-11.48"))
    for bit, list_name, alarm in records.ALARMS_32:
        struct.pack_into("<I", data, 166, 1 << bit)
        values = records.cells(bytes(data), {})
        assert values["alarm_bits"] == 1 << bit
        for name in ("warnings", "protections", "faults"):
            assert values[name] == ([alarm] if name == list_name else [])


def test_every_control_bit() -> None:
    data = bytearray(data_of("jk02-32s-settings-b2a8s20p-11.50"))
    for reading, _at, _width, bit in records.CONTROLS:
        struct.pack_into("<H", data, 282, 1 << bit)
        values = records.settings(bytes(data), {"record_variant": "32S"})
        assert [row[0] for row in records.CONTROLS if values[row[0]]] == [reading]


def test_no_secret_comes_out() -> None:
    for name in VECTORS:
        for frame in VECTORS[name].get("frames", []):
            for reading, value in frame["readings"].items():
                assert value not in ("1234", "123456", "1553"), (name, reading)


def test_log_book_events() -> None:
    assert records.event(0x27) == "watchdog reset"
    assert records.event(0x45) == "LTO preset loaded"
    assert records.event(0x49) == "discharge undertemperature over"
    assert records.event(0x64) == "cell 1 overvoltage"
    assert records.event(0xE7) == "cell 32 undervoltage"
    assert records.event(0xF0) == "event 240"


def test_settings_with_an_impossible_cell_count() -> None:
    data = bytearray(data_of("jk02-32s-settings-b2a8s20p-11.50"))
    data[114] = 200
    with pytest.raises(ProtocolError):
        records.settings(bytes(data), {})


# --- Bluetooth


def test_stream_is_pushed_and_settings_wait_for_the_acknowledgement() -> None:
    cells = ble.Receiver().feed(data_of("jk02-24s-cell-info-b2a20s20p-10.08"))
    assert [frame[0] for frame in cells] == [PUSH]
    settings = ble.Receiver().feed(data_of("jk02-32s-settings-b2a8s20p-11.50"))
    acknowledgement = ble.Receiver().feed(data_of("jk-command-ack"))
    query = ble.JK02.query("settings")
    assert ble.collect_02(query, 0, settings, {}, False) is None
    for follower in (acknowledgement, cells):
        assert ble.collect_02(query, 0, settings + follower, {}, False)
    assert ble.collect_02(query, 0, settings, {}, True)


def test_a_pack_without_a_log_book_says_so() -> None:
    acknowledgement = ble.Receiver().feed(data_of("jk-command-ack"))
    stream = ble.Receiver().feed(data_of("jk02-24s-cell-info-b2a20s20p-10.08"))
    assert ble.collect_02(ble.LOG_QUERY, 0, stream, {}, False) is None
    with pytest.raises(Refused):
        ble.collect_02(ble.LOG_QUERY, 0, stream + acknowledgement, {}, False)
    book = ble.Receiver().feed(data_of("jk02-32s-logbook"))
    assert ble.collect_02(ble.LOG_QUERY, 0, book + acknowledgement, {}, False)


def test_flood_keeps_the_buffer_small() -> None:
    receiver = ble.Receiver()
    for _ in range(50):
        receiver.feed(b"AT\r\n" * 100 + ble.RECORD + b"\x02" + b"AT\r\n" * 80)
        assert receiver.waiting() <= 640
    assert receiver.feed(data_of("jk-command-ack") + data_of("jk-command-ack") + bytes(400))


# --- RS485


def bus(*parts: str | bytes) -> list[Any]:
    receiver = pb.Receiver()
    return receiver.feed(b"".join(data_of(part) if isinstance(part, str) else part for part in parts))


CELLS_1 = data_of("pb-status-addr1-15.10-308-bytes")
SETTINGS_1 = data_of("pb-settings-addr1-15.10-308-bytes")
ASK_3 = data_of("pb-trigger-status-addr3")
ASK_1 = pb.request(pb.JK_PB.query("cells"), 1)


def owners(*parts: str | bytes) -> list[tuple[int, int]]:
    listener = pb.BusListener()
    return [(owner, record[2]) for frame in bus(*parts) for owner, record in listener.owned(frame)]


def settings_of(address: int) -> bytes:
    data = bytearray(SETTINGS_1[:300])
    data[270] = address
    data[299] = sum(data[:299]) & 0xFF
    return bytes(data)


def test_owner_by_echo_and_by_request() -> None:
    assert owners(ASK_1, CELLS_1) == [(1, 2)]
    assert owners(CELLS_1) == [(1, 2)]
    assert owners(ASK_3, CELLS_1) == []


def test_settings_name_their_owner() -> None:
    assert owners(SETTINGS_1[:300]) == [(1, 1)]
    assert owners(SETTINGS_1) == [(1, 1)]
    assert owners(ASK_3, settings_of(0)) == [(0, 1)]
    assert owners(ASK_3, settings_of(2)) == []


def test_a_record_of_nobody_else_is_the_masters() -> None:
    assert owners(CELLS_1[:300], settings_of(0)) == [(0, 2), (0, 1)]
    assert owners(CELLS_1[:300], ASK_3) == [(0, 2)]


def test_a_missing_pack_does_not_get_the_masters_record() -> None:
    """The master tells its own cells after it asked for packs that are not there."""
    ask_15 = pb.request(pb.JK_PB.query("cells"), 15)
    assert owners(ask_15, CELLS_1[:300], ASK_3) == []
    assert owners(ask_15, CELLS_1[:300], settings_of(0)) == [(0, 2), (0, 1)]


def test_a_cycle_of_a_master() -> None:
    line = ASK_1 + CELLS_1 + ASK_3 + data_of("pb-status-addr3-15.41-310-bytes") + CELLS_1[:300] + settings_of(0)
    receiver, listener = pb.Receiver(), pb.JK_PB.listener()
    found = []
    for byte in line:
        for frame in receiver.feed(bytes((byte,))):
            found += listener.take(frame)
    assert [owner for owner, _ in found] == [1, 3, 0, 0]
    assert [values["cell_count"] for _, values in found[:3]] == [8, 16, 8]
    assert found[3][1]["device_address"] == 0
    assert receiver.dropped == 0


def test_only_the_asked_pack_answers() -> None:
    query = pb.JK_PB.query("cells")
    frames = bus(ASK_1, CELLS_1)
    assert pb.collect(query, 1, frames, {}, False)
    assert pb.collect(query, 3, frames, {}, True) is None
    assert pb.collect(query, 1, bus(ASK_1, CELLS_1[:300]), {}, True) is None
    assert pb.collect(pb.JK_PB.query("settings"), 1, frames, {}, True) is None
    assert pb.collect(pb.JK_PB.query("settings"), 1, bus(SETTINGS_1[:300]), {}, True)


def test_a_refusal_is_raised() -> None:
    frames = bus(modbus.sealed(b"\x01\x90\x02"))
    assert frames == [(REFUSAL, 1, 0x10, b"\x02")]
    with pytest.raises(Refused):
        pb.collect(pb.JK_PB.query("cells"), 1, frames, {}, False)


# --- Modbus


def test_a_piece_is_its_part_of_the_record() -> None:
    """The documented answer to one word at 0x12A6: balance state and state of charge."""
    frame = modbus.Receiver().feed(data_of("modbus-read-soc-response"))[0]
    piece = modbus.piece(modbus.CELLS, 0x12A6 - 0x1200 + 6, 2)
    assert decode(piece, frame[3]) == {"balance_state": "off", "soc": 55}
    assert modbus.read(frame, {}) == {}


def test_pieces_fit_and_do_not_repeat() -> None:
    seen: set[str] = set()
    for name, _base, _record, _start, words, _pace in modbus.PIECES:
        assert words <= 32
        rows = modbus.RECORDS[name]
        names = {row[0] for row in rows.numbers + rows.lists + rows.texts} - {"temperatures"}
        assert names, name
        assert not names & seen, name
        seen |= names
    assert {row[0] for row in modbus.CELLS.numbers + modbus.CELLS.lists} - {"temperatures", "frame_counter"} <= seen


def test_own_request_is_no_answer() -> None:
    query = modbus.JK_MODBUS.query("status")
    frames = modbus.Receiver().feed(modbus.request(query, 2))
    assert [(frame[0], frame[1], frame[2]) for frame in frames] == [(REQUEST, 2, 0x128A)]
    assert modbus.collect(query, 2, frames, {}, True) is None


# --- UART


def test_walk_stops_at_the_unknown() -> None:
    assert identifiers.readings(b"\x85\x32\x88\x00\x87\x00\x01", {}) == {"soc": 50}
    assert identifiers.readings(b"\x85\x32\x83\x14", {}) == {"soc": 50}
    with pytest.raises(ProtocolError):
        identifiers.readings(b"\x79\x04\x01\x0c\xe4\x00", {})
    with pytest.raises(ProtocolError):
        identifiers.readings(b"\x79\x03\xf0\x0c\xe4", {})


@pytest.mark.parametrize(
    ("raw", "degrees"), [(0, 0), (25, 25), (99, 99), (100, 0), (101, -1), (140, -40), (141, None), (0xFFFF, None)]
)
def test_temperatures_of_the_uart(raw: int, degrees: int | None) -> None:
    assert identifiers.temperature(raw) == degrees


@pytest.mark.parametrize(
    ("raw", "version", "ampere"),
    [(0x80D0, 1, 2.08), (0x0045, 1, -0.69), (0, 1, 0.0), (9500, 0, 5.0), (11000, 0, -10.0), (10000, 0, 0.0)],
)
def test_current_of_the_uart(raw: int, version: int, ampere: float) -> None:
    assert identifiers.current(raw, version) == ampere


def test_every_uart_alarm() -> None:
    for bit, list_name, alarm in identifiers.STATUS.alarms[0][3]:
        values = identifiers.readings(b"\x8b" + struct.pack(">H", 1 << bit), {})
        assert values[list_name] == [alarm]


# --- writing


def answer(dialect: Dialect, pack: Any, query: Any, known: dict[str, Any], address: int = 3) -> dict[str, Any]:
    """Return what the pack says to one question."""
    receiver = dialect.receiver()
    frames: list[Any] = []
    for reply in pack.answer(dialect.request(query, address)) + pack.pushes():
        frames += receiver.feed(reply)
    assert receiver.dropped == receiver.damaged == 0
    try:
        return dialect.collect(query, address, frames, known, True) or {}
    except Refused:
        assert query.optional
        return {}


def asked(dialect: Dialect, pack: Any, address: int = 3) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for query in dialect.queries:
        known.update(answer(dialect, pack, query, known, address))
    return known


PACKS = [("jk-uart", ""), ("jk-pb", ""), ("jk-modbus", ""), ("jk02", "24S"), ("jk02", "32S"), ("jk04", "")]
SETTINGS_19: dict[str, Any] = {"discharge_undertemperature_limit": -20, "discharge_undertemperature_release": -10}


def pack_of(name: str, layout: str) -> Any:
    """Return a twin with everything that any software has."""
    pack = twin(name, 3, layout)
    pack.values = {**VALUES, **SETTINGS_19}
    return pack


def ways(name: str) -> Commands:
    found = DIALECTS[name].commands
    assert found is not None
    return found


KNOWN = {place: asked(DIALECTS[place[0]], pack_of(*place)) for place in PACKS}
ROWS = [(*place, command) for place in PACKS for command in ways(place[0]).of(KNOWN[place])]
each_row = pytest.mark.parametrize(
    ("name", "layout", "command"), ROWS, ids=[f"{name}{layout}-{command.name}" for name, layout, command in ROWS]
)
each_pack = pytest.mark.parametrize(("name", "layout"), PACKS)


def command_of(name: str, command: str, layout: str = "") -> Command:
    return next(one for one in ways(name).of(KNOWN[name, layout]) if one.name == command)


def edges(command: Command) -> tuple[Any, ...]:
    if command.kind == TEXT:
        return ("A" * int(command.low), "z" * int(command.high))
    return {ACTION: (True,), SWITCH: (False, True), NUMBER: (command.low, command.high)}[command.kind]


def numbers(command: Command) -> tuple[int, ...]:
    return (1, command.count) if command.count else (0,)


def written(name: str, layout: str, command: Command, value: Any, number: int = 0) -> tuple[bytes, ...]:
    return ways(name).encode(command, number, value, 3, KNOWN[name, layout])


def test_everything_is_there() -> None:
    counts = {place: len(ways(place[0]).of(KNOWN[place])) for place in PACKS}
    assert counts == {
        ("jk-uart", ""): 2,
        ("jk-pb", ""): 65,
        ("jk-modbus", ""): 64,
        ("jk02", "24S"): 34,
        ("jk02", "32S"): 79,
        ("jk04", ""): 6,
    }


def test_nothing_before_the_layout_is_known() -> None:
    for name in DIALECTS:
        for known in ({}, {"record_variant": ""}, {"record_variant": "JK02", "software_version": "15.41"}):
            assert ways(name).of(known) == ()
    assert ways("jk-pb").of({"record_variant": "24S"}) == ()
    assert ways("jk02").of({"record_variant": "JK04"}) == ()
    assert ways("jk04").of({"record_variant": "32S"}) == ()


def test_older_software_has_less() -> None:
    for version in ("", "11.48"):
        for name in ("jk02", "jk-pb", "jk-modbus"):
            there = {command.name for command in ways(name).of({"record_variant": "32S", "software_version": version})}
            assert "precharge_time" in there
            assert not there & set(commands.FROM_14)


def test_one_switch_of_the_uart_is_not_told() -> None:
    assert [command.name for command in ways("jk-uart").of({"discharge_switch": True})] == ["discharge_switch"]


@each_row
def test_limits_are_kept(name: str, layout: str, command: Command) -> None:
    assert command.name in BY_NAME or command.meaning
    assert command.query in {"", *(query.name for query in DIALECTS[name].queries)}
    for number in numbers(command):
        for value in edges(command):
            assert all(written(name, layout, command, value, number))
        for value in beyond(command):
            with pytest.raises(OutOfRange):
                check(command, number, value)
            with pytest.raises(OutOfRange):
                written(name, layout, command, value, number)
    with pytest.raises(OutOfRange):
        check(command, command.count + 1, edges(command)[0])


def beyond(command: Command) -> tuple[Any, ...]:
    if command.kind == TEXT:
        return ("", "A" * (int(command.high) + 1), "\u00fc")
    if command.kind != NUMBER:
        return (2, "on", None)
    return (command.low - command.step, command.high + command.step, float("nan"), True)


@each_row
def test_a_value_is_shown_by_the_named_query(name: str, layout: str, command: Command) -> None:
    if command.kind == ACTION:
        return
    query = DIALECTS[name].query(command.query)
    found = answer(DIALECTS[name], pack_of(name, layout), query, KNOWN[name, layout])
    assert ways(name).found(command, numbers(command)[0], found) is not None


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if "command" in vector])
def test_captured_writes(name: str) -> None:
    vector = VECTORS[name]
    row = vector["command"]
    way = ways(vector["dialect"])
    command = next(one for one in way.of(row["known"]) if one.name == row["name"])
    value = check(command, 0, row["value"])
    data = way.encode(command, 0, value, row.get("address", 0), row["known"])[-1]
    captured = data_of(name)
    # The maker's app fills what a value leaves free with random bytes.
    length = 6 + captured[5] if captured[:4] == ble.COMMAND else len(captured)
    assert data[:length] == captured[:length]


def test_captured_rows_have_a_capture() -> None:
    proven = {
        (vector["dialect"], vector["command"]["name"])
        for vector in VECTORS.values()
        if "command" in vector and vector["kind"] == "capture"
    }
    claimed = set()
    for name, layout, command in ROWS:
        if command.proof == CAPTURED:
            # Every captured JK02 write is one of 32S.
            assert layout != "24S", command.name
            # Both answer on the same port, and the writes are the same frames.
            claimed.add(("jk-modbus" if name == "jk-pb" else name, command.name))
    assert claimed == proven


def test_nothing_leads_to_an_update_or_to_the_command_block() -> None:
    for name, layout, command in ROWS:
        for number in numbers(command):
            for value in edges(command):
                for frame in written(name, layout, command, value, number):
                    if name in ("jk-pb", "jk-modbus"):
                        first, words = struct.unpack_from(">HH", frame, 2)
                        assert first >= 0x1000, command.name
                        assert first + 2 * words <= 0x1600, command.name
                    elif name == "jk-uart":
                        assert frame[8] in (uart.PASSWORD, uart.WRITE)
                        assert frame[11] in (0x00, 0xAB, 0xAC)
                        assert frame[8] != uart.WRITE or frame[11] in (0xAB, 0xAC)
                    elif command.kind == ACTION:
                        assert (frame[4], frame[5]) in [
                            (register, 0) for register in (0x65, 0x66, 0x68, 0x69, 0x6A, 0x9D)
                        ]
                    else:
                        # Without a value these would be actions, with one they are something else.
                        assert frame[5] in (1, 2, 4, 13)
                        assert name == "jk04" or frame[4] not in (0x65, 0x66, 0x68, 0x69, 0x6A, 0x96, 0x97, 0x9D)


def test_layouts_do_not_share_what_collides() -> None:
    assert command_of("jk02", "balance_start", "24S").field[0] == 0x26
    assert command_of("jk02", "balance_start", "32S").field[0] == 0x22
    assert command_of("jk02", "calibrate_voltage", "24S").field[0] == 0x21
    assert command_of("jk02", "short_circuit_delay", "32S").field[0] == 0x21
    assert command_of("jk04", "balancer_switch").field[0] == command_of("jk02", "clock", "32S").field[0] == 0x6C


def test_what_is_risky_wants_more_than_a_click() -> None:
    for name, layout, command in ROWS:
        if "calibrate" in command.name or command.name in ("cell_count_setting", "voltage_reference"):
            assert command.grant == SERVICE
            assert command.danger
        if command.kind == ACTION or command.name.endswith("_protocol") or command.name == "port_rs485":
            assert command.grant == SERVICE
            assert command.danger
        if command.kind == ACTION:
            assert command.proof == UNPROVEN
        if command.name in ("design_capacity", "emergency_mode"):
            assert (command.grant, bool(command.danger)) == (CONFIGURE, True), (name, layout)


def test_controls_are_the_bits_of_the_record() -> None:
    assert [row[0] for row in commands._CONTROLS] == [row[0] for row in records.CONTROLS]


# --- what fits together

WRONG: list[tuple[str, float, dict[str, Any]]] = [
    ("cell_overvoltage_release", 3.65, {"cell_overvoltage_limit": 3.65}),
    ("cell_overvoltage_release", 3.6499, {"cell_overvoltage_limit": 3.65}),
    ("cell_overvoltage_limit", 3.4, {"cell_overvoltage_release": 3.45}),
    ("cell_overvoltage_release", 2.8, {"cell_undervoltage_release": 2.9}),
    ("cell_undervoltage_limit", 2.8, {"cell_undervoltage_release": 2.8}),
    ("power_off_voltage", 2.7, {"cell_undervoltage_limit": 2.6}),
    ("cell_undervoltage_limit", 2.4, {"power_off_voltage": 2.5}),
    ("balance_start", 3.7, {"cell_overvoltage_limit": 3.65}),
    ("balance_start", 2.5, {"cell_undervoltage_limit": 2.6}),
    ("charge_voltage_setting", 3.6, {"cell_overvoltage_limit": 3.55}),
    ("float_voltage_setting", 3.5, {"charge_voltage_setting": 3.45}),
    ("soc_empty_voltage", 3.45, {"soc_full_voltage": 3.45}),
    ("charge_overtemperature_release", 60, {"charge_overtemperature_limit": 60}),
    ("discharge_overtemperature_limit", 55, {"discharge_overtemperature_release": 60}),
    ("mosfet_overtemperature_limit", 70, {"mosfet_overtemperature_release": 75}),
    ("charge_undertemperature_limit", 5, {"charge_undertemperature_release": 5}),
    ("discharge_undertemperature_release", -20, {"discharge_undertemperature_limit": -10}),
    ("heating_start", 10, {"heating_stop": 10}),
    ("uart1_protocol", 11, {"uart1_protocols": 0x67FF}),
    ("calibrate_voltage", 5.12, {"voltage": 51.2}),
    ("calibrate_voltage", 51.2, {}),
    ("calibrate_current", 20.0, {"current": 0.4}),
    ("calibrate_current", 20.0, {"current": -5.0}),
]
RIGHT: list[tuple[str, float, dict[str, Any]]] = [
    ("cell_overvoltage_release", 3.649, {"cell_overvoltage_limit": 3.65}),
    ("power_off_voltage", 2.6, {"cell_undervoltage_limit": 2.6}),
    ("float_voltage_setting", 3.45, {"charge_voltage_setting": 3.45}),
    ("balance_start", 3.65, {"cell_overvoltage_limit": 3.65}),
    # A safer limit is not held up by what was set before.
    ("cell_overvoltage_limit", 3.4, {"charge_voltage_setting": 3.45, "balance_start": 3.44}),
    ("uart1_protocol", 10, {"uart1_protocols": 0x67FF}),
    ("uart1_protocol", 12, {"uart1_protocols": 0}),
    ("calibrate_voltage", 51.5, {"voltage": 51.2}),
    ("calibrate_current", 20.0, {"current": -19.0}),
    ("cell_overvoltage_limit", 3.4, {}),
]


@pytest.mark.parametrize(("command", "value", "known"), WRONG)
def test_what_does_not_fit_is_refused(command: str, value: float, known: dict[str, Any]) -> None:
    with pytest.raises(OutOfRange, match=f"^{command}: "):
        guards.guard(command_of("jk02", command, "32S"), 0, value, known)


@pytest.mark.parametrize(("command", "value", "known"), RIGHT)
def test_what_fits_is_taken(command: str, value: float, known: dict[str, Any]) -> None:
    guards.guard(command_of("jk02", command, "32S"), 0, value, known)


def test_neighbours_that_are_not_known_forbid_it() -> None:
    for layout in ("24S", "32S"):
        with pytest.raises(OutOfRange, match="is not known"):
            guards.guard(command_of("jk02", "cell_overvoltage_limit", layout), 0, 3.6, {"record_variant": layout})
    # Software before 19 does not have these.
    guards.guard(command_of("jk02", "discharge_undertemperature_limit", "32S"), 0, -20, {"record_variant": "32S"})
    guards.guard(command_of("jk04", "power_off_voltage"), 0, 2.8, {"record_variant": "JK04"})


def test_the_captured_settings_fit() -> None:
    """What makers and owners have set, set once more."""
    for place in PACKS:
        known = KNOWN[place]
        for command in ways(place[0]).of(known):
            # The maker's own 24S pack balances from below its undervoltage limit on.
            if command.kind == NUMBER and command.name != "balance_start" and "calibrate" not in command.name:
                guards.guard(command, 0, known.get(command.reading, 0), known)


def test_neighbours_are_wanted() -> None:
    """What `guard` and `encode` look at is what `needs` tells: without it a value passes that does not fit."""
    for command, _value, known in WRONG:
        if "calibrate" not in command:
            assert set(known) <= set(guards.needs(command_of("jk02", command, "32S")))
    assert guards.needs(command_of("jk-pb", "display_always_on")) == ("control_bits",)
    assert guards.needs(command_of("jk-pb", "sleep_delay")) == ("stored_data_bits",)
    assert guards.needs(command_of("jk-modbus", "heating_stop")) == ("heating_start",)
    assert guards.needs(command_of("jk02", "sleep_delay", "32S")) == ()


# --- words that are shared


def test_a_bit_leaves_the_others() -> None:
    command = command_of("jk-pb", "display_always_on")
    for word in (0x0000, 0xFFEF, 0x3300, 0xFFFF):
        for on in (True, False):
            frame = writes.encode_modbus(command, 0, on, 2, {"control_bits": word})[0]
            assert struct.unpack(">H", frame[7:9])[0] == (word | 0x0010 if on else word & 0xFFEF)
    # The same request has switched heating on before.
    frame = writes.encode_modbus(command, 0, True, 2, {"control_bits": 0x0000, "heating_switch": True})[0]
    assert frame[7:9] == b"\x00\x11"


def test_a_byte_leaves_the_other() -> None:
    known = {"heating_start": -5, "heating_stop": 12, "sleep_delay": 86400, "stored_data_bits": 0xFE}
    known.update({"can_library_version": 1, "charge_voltage_time": 3600, "float_voltage_time": 43200})
    for name, value, words in (
        ("heating_stop", 9, "11160001 02 fb09"),
        ("heating_start", -7, "11160001 02 f90c"),
        ("sleep_delay", 72000, "11180001 02 14fe"),
        ("float_voltage_time", 7200, "15040001 02 0a14"),
        ("emergency_duration", 900, "15060001 02 010f"),
        ("precharge_time", 4, "110c0002 04 00000004"),
    ):
        frame = writes.encode_modbus(command_of("jk-modbus", name), 0, value, 2, known)[0]
        assert frame == modbus.sealed(bytes.fromhex("0210" + words.replace(" ", ""))), name


@pytest.mark.parametrize("name", ["heating_stop", "display_always_on", "sleep_delay", "emergency_duration"])
def test_nothing_is_written_over_what_is_not_known(name: str) -> None:
    with pytest.raises(OutOfRange):
        writes.encode_modbus(command_of("jk-pb", name), 0, edges(command_of("jk-pb", name))[0], 2, {})


def test_wires_have_a_register_each() -> None:
    wires = command_of("jk02", "wire_resistances", "24S")
    assert wires.count == 8
    assert written("jk02", "24S", wires, 0.025, 8)[0][4:10] == bytes((0x2E, 4, 25, 0, 0, 0))
    wires = command_of("jk-pb", "wire_resistances")
    frame = written("jk-pb", "", wires, 0.025, 3)[0]
    assert frame[2:11] == bytes.fromhex("1090 0002 04 000061a8")
    for name, most in (("jk02", 24), ("jk-pb", 32)):
        known = {"record_variant": "24S" if name == "jk02" else "32S", "cell_count": 40}
        assert [one.count for one in ways(name).of(known) if one.count] == [most]


# --- yes and no


def test_yes_over_bluetooth_is_the_acknowledgement() -> None:
    command = command_of("jk02", "heating_switch", "32S")
    stream = ble.Receiver().feed(data_of("jk02-24s-cell-info-b2a20s20p-10.08"))
    assert writes.answered_ble(command, 0, stream) is None
    assert writes.answered_ble(command, 0, stream + ble.Receiver().feed(data_of("jk-command-ack"))) is True
    no = ble.Receiver().feed(ble.command(0xC8, b"\x00"))
    with pytest.raises(Refused):
        writes.answered_ble(command, 0, no)


def test_yes_on_the_uart_names_the_identifier() -> None:
    frames = uart.Receiver().feed(data_of("uart-write-ack"))
    told = frames[0][3][0]
    answers = {command.field[0]: writes.answered_uart(command, 0, frames) for command in commands.UART}
    assert answers == {0xAB: True if told == 0xAB else None, 0xAC: True if told == 0xAC else None}
    assert True in answers.values()


def test_yes_of_modbus_is_the_echo_of_the_asked() -> None:
    command = command_of("jk-pb", "balance_start")
    echo = modbus.sealed(bytes.fromhex("031010840002"))
    for receiver in (pb.Receiver(), modbus.Receiver()):
        frames = receiver.feed(echo)
        assert writes.answered_modbus(command, 3, frames) is True
        assert writes.answered_modbus(command, 2, frames) is None
        assert writes.answered_modbus(command_of("jk-pb", "charge_switch"), 3, frames) is None


@pytest.mark.parametrize(("code", "word"), [(1, "function"), (2, "register"), (3, "value"), (4, "damaged"), (9, "9")])
def test_no_of_modbus_has_a_reason(code: int, word: str) -> None:
    command = command_of("jk-pb", "balance_start")
    frames = pb.Receiver().feed(modbus.sealed(bytes((3, 0x90, code))))
    with pytest.raises(Refused, match=f"balance_start: .*{word}") as caught:
        writes.answered_modbus(command, 3, frames)
    assert caught.value.code == code
    assert writes.answered_modbus(command, 1, frames) is None


# --- twins


@pytest.mark.parametrize(
    ("name", "layout"),
    [("jk-uart", ""), ("jk-pb", ""), ("jk-modbus", ""), ("jk02", "24S"), ("jk02", "32S"), ("jk04", "")],
)
def test_twin_shows_its_values(name: str, layout: str) -> None:
    pack = twin(name, 3, layout)
    pack.values = dict(VALUES)
    known = asked(DIALECTS[name], pack)
    assert known["cell_voltages"] == pytest.approx(VALUES["cell_voltages"])
    assert known["voltage"] == pytest.approx(26.585, abs=0.006)
    if name in ("jk-pb", "jk-modbus") or layout == "32S":
        assert {reading: known[reading] for reading in VALUES} == VALUES
    elif name == "jk02":
        assert known["current"] == -12.34
        assert known["temperatures"] == [20.5, -3.0]
    pack.zero = True
    zeros = asked(DIALECTS[name], pack)
    assert not any(zeros.get("cell_voltages", []))
    assert zeros.get("soc", 0) == 0


def test_twin_on_a_bus_keeps_quiet_when_another_is_asked() -> None:
    pack = twin("jk-pb", 4)
    assert pack.answer(ASK_3) == []
    assert pack.answer(ASK_3[:5]) == pack.answer(ASK_3[5:]) == []
    assert len(pack.answer(pb.request(pb.JK_PB.query("cells"), 4))) == 1


def test_wrong_variant_is_seen_by_its_structure() -> None:
    """The pack's software says 32S, its records are 24S: the values are right all the same."""
    pack = twin("jk02", 0, "32S")
    pack.values = dict(VALUES)
    pack.variant = "24S"
    known = asked(ble.JK02, pack, 0)
    assert known["software_version"] == "15.41"
    assert known["record_variant"] == "24S"
    assert known["cell_voltages"] == VALUES["cell_voltages"]
    assert known["current"] == -12.34


# --- twins that are written to


def tell(name: str, layout: str, pack: Any, command: Command, value: Any, number: int = 0) -> bool | None:
    """Write as the gateway does; return what the pack said to it."""
    known = asked(DIALECTS[name], pack)
    receiver = DIALECTS[name].receiver()
    frames: list[Any] = []
    for request in ways(name).encode(command, number, value, 3, known):
        frames = []
        for reply in pack.answer(request):
            frames += receiver.feed(reply)
    assert receiver.dropped == receiver.damaged == 0
    return ways(name).answered(command, 3, frames)


def other(command: Command, before: Any) -> Any:
    """Return a value that the pack does not have yet and its owner could mean."""
    if command.kind == SWITCH:
        return not before
    if command.kind == TEXT:
        return "Cellar 2"
    if "calibrate" in command.name:
        return round(before * 1.02 + 0.1, 2)
    if command.name.endswith("_protocol"):
        return 10 if before != 10 else 9
    return command.high if not same(command, before, command.high) else command.low


@each_row
def test_twin_shows_what_was_written(name: str, layout: str, command: Command) -> None:
    if command.kind == ACTION:
        return
    pack = pack_of(name, layout)
    for number in numbers(command):
        before = ways(name).found(command, number, asked(DIALECTS[name], pack))
        value = other(command, before)
        assert tell(name, layout, pack, command, value, number) is True
        if command.name not in ("charge_switch", "discharge_switch", "balancer_switch"):
            # The simulator gives it new ones before each request, and takes the three switches over into the battery.
            pack.values = {**VALUES, **SETTINGS_19}
        found = ways(name).found(command, number, asked(DIALECTS[name], pack))
        assert proves(command, found, value), (found, value)


@each_pack
def test_twin_switches_its_mosfets(name: str, layout: str) -> None:
    if name == "jk04":
        return
    pack = pack_of(name, layout)
    assert tell(name, layout, pack, command_of(name, "charge_switch", layout), False)
    known = asked(DIALECTS[name], pack)
    assert (known["charge_switch"], known["charge_mosfet"]) == (False, False)
    # Where the battery learns it from.
    assert pack.values["charge_switch"] is False


WRITES = [(name, layout, "balancer_switch" if name == "jk04" else "charge_switch") for name, layout in PACKS]
NUMBERS = [(name, layout, "balance_delta") for name, layout in PACKS if name != "jk-uart"]


def moody(pack: Any, fault: str) -> list[str]:
    """Let the fault happen to the pack; return the list of what it asks for."""
    asked_for: list[str] = []

    def mood(name: str) -> bool:
        asked_for.append(name)
        return name == fault

    pack.mood = mood
    return asked_for


@pytest.mark.parametrize(("name", "layout", "command"), WRITES + NUMBERS)
@pytest.mark.parametrize("fault", ["", "ignore-writes", "clamp", "refuse", "drop-after-write"])
def test_twin_has_moods(name: str, layout: str, command: str, fault: str) -> None:
    pack, row = pack_of(name, layout), command_of(name, command, layout)
    before = ways(name).found(row, 0, asked(DIALECTS[name], pack))
    value = other(row, before)
    moods = moody(pack, fault)
    if fault == "refuse" and name in ("jk-pb", "jk-modbus"):
        with pytest.raises(Refused):
            tell(name, layout, pack, row, value)
    else:
        assert tell(name, layout, pack, row, value) is (None if fault == "refuse" else True)
    assert moods.count("refuse") == 1
    assert len(moods) == len(set(moods))
    found = ways(name).found(row, 0, asked(DIALECTS[name], pack))
    assert len(moods) == len(set(moods)), "reading is no write"
    assert pack.lost is (fault == "drop-after-write")
    if fault in ("ignore-writes", "refuse"):
        assert found == before
    elif fault == "clamp" and row.kind == NUMBER:
        assert found == pytest.approx((before + value) / 2, abs=row.step)
        assert not same(row, found, value)
    else:
        assert same(row, found, value)


def test_state_of_charge_goes_on_from_what_was_set() -> None:
    pack = pack_of("jk02", "32S")
    pack.values["full_capacity"] = 200.0
    tell("jk02", "32S", pack, command_of("jk02", "soc", "32S"), 50)
    pack.values["soc"] += 7
    known = asked(ble.JK02, pack)
    assert (known["soc"], known["remaining_capacity"]) == (57, 114.0)


def test_clock_and_emergency_run() -> None:
    pack = pack_of("jk02", "32S")
    tell("jk02", "32S", pack, command_of("jk02", "clock", "32S"), 186592319)
    tell("jk02", "32S", pack, command_of("jk02", "emergency_mode", "32S"), True)
    pack.values = {**VALUES, "runtime": VALUES["runtime"] + 600}
    known = asked(ble.JK02, pack)
    assert known["clock"] == 186592919
    assert known["emergency_countdown"] == 1200
    tell("jk02", "32S", pack, command_of("jk02", "emergency_mode", "32S"), False)
    assert asked(ble.JK02, pack)["emergency_countdown"] == 0


def test_actions() -> None:
    pack = pack_of("jk02", "32S")
    limit = command_of("jk02", "cell_overvoltage_limit", "32S")
    for preset, volts in (("preset_li_ion", 4.2), ("preset_lto", 2.7), ("preset_lfp", 3.6)):
        assert tell("jk02", "32S", pack, command_of("jk02", preset, "32S"), True) is True
        assert asked(ble.JK02, pack)["cell_overvoltage_limit"] == volts
    assert tell("jk02", "32S", pack, limit, 3.5) is True
    assert tell("jk02", "32S", pack, command_of("jk02", "factory_reset", "32S"), True) is True
    assert asked(ble.JK02, pack)["cell_overvoltage_limit"] == 3.65
    assert tell("jk02", "32S", pack, command_of("jk02", "restart", "32S"), True) is True
    assert pack.pushes() == []
    assert tell("jk02", "32S", pack, command_of("jk02", "power_down", "32S"), True) is True
    assert pack.answer(ble.request(ble.JK02.query("settings"), 0)) == pack.pushes() == []


def test_a_refused_action_does_nothing() -> None:
    pack = pack_of("jk02", "32S")
    moody(pack, "refuse")
    assert tell("jk02", "32S", pack, command_of("jk02", "power_down", "32S"), True) is None
    assert asked(ble.JK02, pack)["cell_count"] == 8


def test_uart_twin_wants_the_password_first() -> None:
    pack = twin("jk-uart", 0)
    password, write = written("jk-uart", "", command_of("jk-uart", "charge_switch"), False)
    assert password == data_of("uart-password-prime")
    assert pack.answer(write) == []
    assert pack.answer(password) == []
    frames = uart.Receiver().feed(pack.answer(write)[0])
    assert frames == [(ACK, None, uart.WRITE, b"\xab")]


def test_modbus_does_not_offer_what_a_pack_refused() -> None:
    for name in ("jk-pb", "jk-modbus"):
        with pytest.raises(OutOfRange):
            check(command_of(name, "charge_voltage_time"), 0, 0)


def test_modbus_twin_refuses_as_captured() -> None:
    pack = twin("jk-modbus", 2)
    assert pack.answer(data_of("modbus-write-rcv-rfv-time-illegal")) == [data_of("modbus-exception-3")]


def test_kinds_of_frames() -> None:
    assert bus(ASK_3)[0][:3] == (REQUEST, 3, 2)
    assert [frame[0] for frame in bus(CELLS_1)] == [REPLY, ACK]
