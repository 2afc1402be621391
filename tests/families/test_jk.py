"""What is special about JK: layouts told by structure, owners on a shared line, pieces of Modbus, writes and twins."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from cellwire.codec.dialect import ACK, PUSH, REFUSAL, REPLY, REQUEST, Dialect
from cellwire.codec.errors import OutOfRange, ProtocolError, Refused
from cellwire.codec.table import decode
from cellwire.families import dialects
from cellwire.families.jk import ble, commands, identifiers, modbus, pb, records, uart
from cellwire.families.jk.twin import twin

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
        rows = modbus._RECORDS[name]
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


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if "command" in vector])
def test_captured_writes(name: str) -> None:
    vector = VECTORS[name]
    command = vector["command"]
    data = commands.request(
        vector["dialect"], command["name"], command["value"], command.get("address", 0), command.get("layout", "")
    )
    captured = data_of(name)
    # The maker's app fills what a value leaves free with random bytes.
    length = 6 + captured[5] if captured[:4] == ble.COMMAND else len(captured)
    assert data[:length] == captured[:length]


def rows() -> list[tuple[str, "commands.Row"]]:
    return [(table, row) for table, found in commands.COMMANDS.items() for row in found]


@pytest.mark.parametrize(("table", "row"), rows(), ids=lambda value: value if isinstance(value, str) else value[0])
def test_limits_are_kept(table: str, row: "commands.Row") -> None:
    low, high = row[4], row[5]
    assert commands.pack(row, low)
    assert commands.pack(row, high)
    step = 1 / row[3] if row[3] > 1 else 1
    for value in (low - step, high + step, float("nan")):
        with pytest.raises(OutOfRange):
            commands.pack(row, value)


def test_captured_rows_have_a_capture() -> None:
    proven = {
        (vector["dialect"], vector["command"]["name"])
        for vector in VECTORS.values()
        if "command" in vector and vector["kind"] == "capture"
    }
    for table, row in rows():
        if row[7] == commands.CAPTURED:
            # Both answer on the same port, and the writes are the same frames; every captured JK02 write is one of 32S.
            assert table != "jk02 24S", row[0]
            dialect = "jk-modbus" if table == "jk-pb" else table.split()[0]
            assert (dialect, row[0]) in proven, (table, row[0])


def test_dangerous_registers_have_no_row() -> None:
    for table, row in rows():
        if table in ("jk-pb", "jk-modbus"):
            assert row[1] < 0x1200
        if table == "jk-uart":
            assert row[1] not in (0xBB, 0xBC, 0xBD)
        if table.startswith("jk02"):
            assert row[1] not in (0x65, 0x66, 0x68, 0x69, 0x6A, 0x9D)


def test_layouts_do_not_share_what_collides() -> None:
    assert commands.row_of("jk02", "balance_start", "24S")[1] == 0x26
    assert commands.row_of("jk02", "balance_start", "32S")[1] == 0x22
    with pytest.raises(ProtocolError):
        commands.row_of("jk02", "balance_start")


def test_voltages_stay_in_order() -> None:
    known = {"cell_undervoltage_limit": 2.6, "cell_undervoltage_release": 2.8, "cell_overvoltage_limit": 3.65}
    commands.guard("cell_overvoltage_release", 3.5, known)
    for name, value in (
        ("cell_overvoltage_release", 3.7),
        ("cell_undervoltage_limit", 2.8),
        ("power_off_voltage", 2.7),
        ("balance_start", 3.7),
    ):
        with pytest.raises(OutOfRange):
            commands.guard(name, value, known)


# --- twins


def asked(dialect: Dialect, pack: Any, address: int = 3) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for query in dialect.queries:
        receiver = dialect.receiver()
        frames: list[Any] = []
        for reply in pack.answer(dialect.request(query, address)) + pack.pushes():
            frames += receiver.feed(reply)
        known.update(dialect.collect(query, address, frames, known, True) or {})
        assert receiver.dropped == receiver.damaged == 0
    return known


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


@pytest.mark.parametrize(("name", "layout"), [("jk02", "24S"), ("jk02", "32S"), ("jk-pb", ""), ("jk-modbus", "")])
def test_twin_takes_writes(name: str, layout: str) -> None:
    pack = twin(name, 3, layout)
    pack.values = dict(VALUES)
    for command, value in (("charge_switch", 0), ("cell_overvoltage_limit", 3.59), ("balance_start", 3.41)):
        pack.answer(commands.request(name, command, value, 3, layout))
    known = asked(DIALECTS[name], pack)
    assert known["charge_switch"] is False
    assert known["charge_mosfet"] is False
    assert known["cell_overvoltage_limit"] == 3.59
    assert known["balance_start"] == 3.41
    assert pack.values["charge_switch"] is False


@pytest.mark.parametrize("row", commands.JK02_32S, ids=lambda row: row[0])
def test_twin_shows_every_32s_write(row: "commands.Row") -> None:
    pack = twin("jk02", 0, "32S")
    before = asked(ble.JK02, pack, 0).get(row[0])
    value = row[5] if before != row[5] else row[4]
    frames = ble.Receiver().feed(b"".join(pack.answer(ble.command(row[1], commands.pack(row, value)))))
    assert [frame[0] for frame in frames] == [ACK]
    assert asked(ble.JK02, pack, 0)[row[0]] == pytest.approx(value)


def test_uart_twin_wants_the_password_first() -> None:
    pack = twin("jk-uart", 0)
    write = commands.request("jk-uart", "charge_switch", 0)
    assert pack.answer(write) == []
    assert pack.answer(commands.password()) == []
    frames = uart.Receiver().feed(pack.answer(write)[0])
    assert frames == [(ACK, None, uart.WRITE, b"\xab")]
    known = asked(uart.JK_UART, pack)
    assert known["charge_switch"] is False
    assert known["charge_mosfet"] is False


def test_modbus_twin_refuses_as_captured() -> None:
    pack = twin("jk-modbus", 2)
    assert pack.answer(data_of("modbus-write-rcv-rfv-time-illegal")) == [data_of("modbus-exception-3")]


def test_kinds_of_frames() -> None:
    assert bus(ASK_3)[0][:3] == (REQUEST, 3, 2)
    assert [frame[0] for frame in bus(CELLS_1)] == [REPLY, ACK]
