"""The registers themselves: layouts, alarms, what is absent, old or does not fit, and models that do not move."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import sunspec2
from modbus_served import SHED, made, with_bank
from sunspec2 import mb

from cellwire.gateway.store import PackState, Store
from cellwire.outputs.modbus import alarms, native, registers, sunspec, values
from cellwire.outputs.modbus.units import Image, Units
from cellwire.readings.catalogue import ALARMS, BY_NAME
from cellwire.readings.derive import derive

ABSENT = {"uint16": 0xFFFF, "int16": 0x8000}


def image(store: Store, unit: int = 1, invert: bool = False) -> Image:
    found = Units(store, (), invert).image(unit)
    assert found is not None
    return found


def words(content: bytes) -> list[int]:
    return list(struct.unpack(f">{len(content) // 2}H", content))


def native_of(**readings: Any) -> list[int]:
    return words(image(made(**readings)[0]).native)


def double(registers: list[int], first: int) -> int:
    return registers[first] << 16 | registers[first + 1]


def chain(content: bytes) -> list[tuple[int, int]]:
    """Return (model, where it begins) of all models, the end as 65535."""
    found = words(content)
    assert content[:4] == b"SunS"
    at, models = 2, []
    while found[at] != 0xFFFF:
        models.append((found[at], at))
        at += 2 + found[at + 1]
    assert found[at:] == [0xFFFF, 0]
    return [*models, (0xFFFF, at)]


def points_of(content: bytes, model: int, number: int = 0) -> dict[str, int | str | None]:
    """Return the raw values of a model's own points by the rows that wrote them; None: not implemented."""
    start = [at for found, at in chain(content) if found == model][number] + 2
    found: dict[str, int | str | None] = {}
    for name, kind, _, _ in next(each for each in sunspec.MODELS if each.number == model).points:
        data = content[2 * start : 2 * (start + registers.size(kind))]
        if kind in registers.TEXTS:
            found[name] = data.rstrip(b"\0").decode() or None
        else:
            form, _, _, absent = registers.TYPES[kind]
            (value,) = struct.unpack(form, data)
            found[name] = None if value == absent else value
        start += registers.size(kind)
    return found


# Tables


def test_every_alarm_has_a_bit() -> None:
    assert sorted(row[0] for row in alarms.ALARM_BITS) == sorted(name for name, _ in ALARMS)
    assert [bit for bit, _ in alarms.BITS] == list(range(31))
    assert {row[1] for row in alarms.ALARM_BITS} == set(range(31))
    assert {row[2] for row in alarms.ALARM_BITS} == set(alarms.EVENTS)


def test_the_native_rows_lie_one_after_the_other() -> None:
    ends = [row[0] + row[1] * registers.size(row[2]) for row in native.ROWS]
    assert [row[0] for row in native.ROWS] == [0, *ends[:-1]]
    assert ends[-1] == 96
    assert [bit for bit, _, _ in native.STATUS] == list(range(len(native.STATUS)))


def test_every_source_is_a_reading_or_explained() -> None:
    derived = {name for name, _ in (*values.DERIVED, *native.SOURCES)}
    assert not derived & set(BY_NAME)
    sources = {row[5] for row in native.ROWS}
    sources |= {row[3] for model in sunspec.MODELS for row in (*model.points, *model.group) if isinstance(row[3], str)}
    assert sources - {""} <= derived | set(BY_NAME)
    assert derived <= sources


def test_the_models_are_laid_out_as_sunspec_says() -> None:
    folder = Path(sunspec2.__file__).parent / "models/json"
    for model in sunspec.MODELS:
        group = json.loads((folder / f"model_{model.number}.json").read_text())["group"]
        for ours, theirs in ((model.points, group["points"][2:]), (model.group, group.get("groups", [{}])[0])):
            there = theirs if isinstance(theirs, list) else theirs.get("points", [])
            rows = [(row["name"], row["type"], row["size"], row.get("sf", "")) for row in there]
            assert [
                (name, "string" if kind in registers.TEXTS else kind, registers.size(kind), scale)
                for name, kind, scale, _ in ours
            ] == rows


def test_what_says_that_there_is_nothing() -> None:
    for kind, absent in (
        ("uint16", mb.SUNS_UNIMPL_UINT16), ("enum16", mb.SUNS_UNIMPL_ENUM16), ("uint32", mb.SUNS_UNIMPL_UINT32),
        ("bitfield32", mb.SUNS_UNIMPL_BITFIELD32),
    ):  # fmt: skip
        assert int.from_bytes(registers.registers(kind, None), "big") == absent
    assert registers.registers("int16", None) == b"\x80\0"
    assert registers.registers("sunssf", None) == b"\x80\0"
    assert registers.registers("string8", None) == bytes(16)


def test_texts_are_cut_between_letters() -> None:
    assert registers.registers("string8", "Schuppen " + 7 * "ö") == b"Schuppen " + "ööö".encode() + b"\0"


@pytest.mark.parametrize(
    ("kind", "value", "factor", "content"),
    [
        ("uint16", 65534, 1, 65534), ("uint16", 65535, 1, 0xFFFF), ("uint16", -1, 1, 0xFFFF),
        ("uint16", 655.34, 100, 65534), ("uint16", 655.35, 100, 0xFFFF), ("int16", -3276.7, 10, 0x8001),
        ("int16", -3276.8, 10, 0x8000), ("int16", 3276.7, 10, 0x7FFF), ("int16", 3276.8, 10, 0x8000),
        ("int16", 1e9, 1, 0x8000), ("uint16", float("nan"), 1, 0xFFFF), ("uint16", float("inf"), 1, 0xFFFF),
        ("bitfield32", 1 << 31, 1, 0xFFFFFFFF), ("uint32", 4294967295, 1, 0xFFFFFFFF), ("uint16", True, 1, 1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_available(kind: str, value: float, factor: float, content: int) -> None:
    assert int.from_bytes(registers.registers(kind, value, factor), "big") == content


# The native map


def test_native_values() -> None:
    found = native_of(**SHED)
    assert found[:8] == [2, 0b00111100001, 0, 1312, 65536 - 123, 65536 - 16, 810, 990]
    assert double(found, 8) == 81000
    assert double(found, 10) == 100000
    assert found[12:21] == [7, 4, 2, 3284, 3, 3279, 2, 215, 65536 - 32]
    assert double(found, 21) == 0
    assert double(found, 23) == 1 << 2
    assert found[25:32] == [0b11111111111, 0xFFFF, 0xFFFF, 138, 500, 800, 0xFFFF]
    assert found[32:80] == [3281, 3279, 3284, 3280, *[0xFFFF] * 44]
    assert found[80:] == [215, 65536 - 32, *[0x8000] * 14]


def test_a_cell_and_a_sensor_that_are_not_known() -> None:
    found = native_of(cell_voltages=[3.3, None, 3.4], temperatures=[None, 20.0], voltage=10.0)
    assert found[32:36] == [3300, 0xFFFF, 3400, 0xFFFF]
    assert found[80:83] == [0x8000, 200, 0x8000]
    assert found[13:15] == [3, 2]
    assert found[15:19] == [0xFFFF] * 4, "the one that is not known could be the lowest"


def test_what_is_absent_is_not_available() -> None:
    found = native_of(voltage=13.1)
    kinds = [kind for row in native.ROWS for kind in [row[2]] * row[1] * registers.size(row[2])]
    for register, value in enumerate(found):
        if register not in (0, 1, 2, 3, 25):
            assert value == (0x8000 if kinds[register] == "int16" else 0xFFFF), register
    assert found[1] == 1
    assert found[25] == 0b10000000011, "online, stale and partial are always known"


def test_the_rated_capacity() -> None:
    assert double(native_of(full_capacity=95.5), 10) == 95500
    assert double(native_of(full_capacity=95.5, design_capacity=100.0), 10) == 100000


def test_more_cells_than_registers() -> None:
    store, _, _ = made(cell_voltages=[3.3] * 60, balancing_cells=[40])
    found = words(image(store).native)
    assert found[13] == 60
    assert found[79] == 3300
    assert double(found, 23) == 0xFFFFFFFF, "cell 40 has no bit"
    assert words(image(store).sunspec)[chain(image(store).sunspec)[4][1] + 2 + 2] == 60


@pytest.mark.parametrize(("current", "bits"), [(0.04, 0), (-0.04, 0), (0.06, 1 << 4), (-0.06, 1 << 5), (5, 1 << 4)])
def test_the_direction_is_that_of_the_register(current: float, bits: int) -> None:
    found = native_of(current=current)
    assert found[1] & 0b110000 == bits
    assert bool(found[4]) == bool(bits)


def test_alarms() -> None:
    found = native_of(warnings=["soc_low"], protections=["cell_undervoltage"], faults=["frontend"])
    assert found[1] & 0b1000001100 == 0b1000001100
    assert double(found, 21) == 1 << 17 | 1 << 1 | 1 << 26
    assert double(native_of(faults=[]), 21) == 0
    assert double(native_of(voltage=13.0), 21) == 0xFFFFFFFF


@pytest.mark.parametrize("kind", ["warnings", "protections", "faults"])
def test_each_alarm_sets_its_event(kind: str) -> None:
    for name, _ in ALARMS:
        bit, event = alarms.BY_ALARM[name]
        assert alarms.alarm_bits({kind: [name]}) == 1 << bit
        assert alarms.event_bits({kind: [name]}) == 1 << alarms.EVENTS[event][kind == "warnings"]
        # It fits into SunSpec's registers, and is never "not implemented".
        assert alarms.event_bits({kind: [name]}) not in (0, alarms.COMMUNICATION_ERROR)
    everything = {kind: [name for name, _ in ALARMS] for kind in ("warnings", "protections", "faults")}
    assert alarms.alarm_bits(everything) == 0x7FFFFFFF
    assert registers.registers("bitfield32", alarms.alarm_bits(everything)) == b"\x7f\xff\xff\xff"


def test_an_alarm_that_is_in_no_table() -> None:
    assert alarms.alarm_bits({"faults": ["of_tomorrow"]}) == 1 << 30
    assert alarms.event_bits({"faults": ["of_tomorrow"]}) == 1 << 25


@pytest.mark.parametrize("trouble", ["", "lost", "asleep", "error"])
def test_a_stale_pack(trouble: str) -> None:
    store, pack, clock = made(**SHED)
    units = Units(store, (), False)
    before = units.image(1)
    assert before is not None
    if trouble:
        store.fail(pack, trouble, "no answer")
        at_once = units.image(1)
        assert at_once is not None
        assert words(at_once.native)[1] == 2
    clock.passed = 7.0
    stale = units.image(1)
    assert stale is not None
    found = words(stale.native)
    kinds = [kind for row in native.ROWS for kind in [row[2]] * row[1] * registers.size(row[2])]
    assert found[:3] == [2, 2, 7]
    assert found[3:] == [0x8000 if kind == "int16" else 0xFFFF for kind in kinds[3:]]
    assert chain(stale.sunspec) == chain(before.sunspec)
    kept = {
        802: {"Typ": 4, "Evt1": 1, "Hb": 1000},
        803: {"NStr": 1},
        804: {"Idx": 1, "NMod": 1, "Evt1": 1},
        805: {"StrIdx": 1, "ModIdx": 1, "NCell": 4},
    }
    for model, counts in kept.items():
        points = points_of(stale.sunspec, model)
        known = {name for name, value in points.items() if value is not None}
        assert {name: points[name] for name in counts} == counts
        assert known - set(counts) == {name for name in points if name.endswith("_SF")}
    assert points_of(stale.sunspec, 1) == points_of(before.sunspec, 1)
    # It comes back.
    store.accept(pack, derive(SHED))
    again = units.image(1)
    assert again is not None
    assert again.native == before.native


def test_the_heart_beats_as_long_as_there_are_samples() -> None:
    store, pack, clock = made(**SHED)
    units = Units(store, (), False)
    beats = []
    for second in range(20):
        clock.passed = float(second)
        if second < 10:
            store.accept(pack, {"voltage": 13.1})
        found = units.image(1)
        assert found is not None
        beats.append(points_of(found.sunspec, 802)["Hb"])
    assert beats == [*range(1000, 1016), 1015, 1015, 1015, 1015]
    clock.passed = 65535.0 * 3 - 1000.0
    store.accept(pack, {"voltage": 13.1})
    found = units.image(1)
    assert found is not None
    assert points_of(found.sunspec, 802)["Hb"] == 0


def test_the_age_is_not_available_after_18_hours() -> None:
    store, _, clock = made(**SHED)
    clock.passed = 65534.0
    assert words(image(store).native)[2] == 65534
    clock.passed = 70000.0
    assert words(image(store).native)[2] == 0xFFFF


# SunSpec


@pytest.mark.parametrize(
    ("readings", "state", "status"),
    [
        ({"charge_mosfet": True, "discharge_mosfet": True, "current": 1.0}, 3, 4),
        ({"charge_mosfet": False, "discharge_mosfet": True, "current": -1.0}, 3, 3),
        ({"charge_mosfet": False, "discharge_mosfet": False, "current": 0.0}, 1, 1),
        ({"charge_mosfet": True, "discharge_mosfet": True, "current": 0.0, "soc": 100}, 3, 5),
        ({"charge_mosfet": True, "discharge_mosfet": True, "current": 0.0, "soc": 0}, 3, 2),
        ({"charge_mosfet": True, "discharge_mosfet": True, "current": 0.0, "soc": 50}, 3, 6),
        ({"charge_mosfet": True, "discharge_mosfet": True, "current": 0.0}, 3, 6),
        ({"current": -4.0}, 3, 3),
        ({"current": 0.0}, None, 6),
        ({"voltage": 13.0}, None, None),
        ({"charge_mosfet": False, "current": 0.0}, None, 6),
        ({"charge_mosfet": False, "discharge_mosfet": True, "protections": ["cell_overvoltage"]}, 5, None),
        ({"charge_mosfet": False, "discharge_mosfet": False, "protections": ["short_circuit"]}, 1, 1),
        ({"charge_mosfet": True, "discharge_mosfet": True, "faults": ["frontend"]}, 99, None),
    ],
)
def test_state_and_charge_status(readings: dict[str, Any], state: int | None, status: int | None) -> None:
    points = points_of(image(made(**readings)[0]).sunspec, 802)
    assert (points["State"], points["ChaSt"]) == (state, status)


def test_the_rated_energy() -> None:
    known = {"design_capacity": 280.0, "nominal_cell_voltage": 3.2, "cell_count": 16}
    assert points_of(image(made(**known)[0]).sunspec, 802)["WHRtg"] == 1434
    assert points_of(image(made(**known, rated_voltage=48.0)[0]).sunspec, 802)["WHRtg"] == 1344
    for missing in ("design_capacity", "nominal_cell_voltage", "cell_count"):
        others = {name: value for name, value in known.items() if name != missing}
        assert points_of(image(made(**others)[0]).sunspec, 802)["WHRtg"] is None


def test_models_do_not_move() -> None:
    """Before the first sample the cells are not known: their model is added behind the others then."""
    store, pack, clock = made()
    units = Units(store, (), False)

    def now() -> list[tuple[int, int]]:
        found = units.image(1)
        assert found is not None
        return chain(found.sunspec)

    before = now()
    assert [model for model, _ in before] == [1, 802, 803, 804, 0xFFFF]
    store.accept(pack, {"voltage": 13.1})
    assert now() == before
    clock.passed = 0.1
    store.accept(pack, derive(SHED))
    after = now()
    assert after[:4] == before[:4]
    assert [model for model, _ in after] == [1, 802, 803, 804, 805, 0xFFFF]
    clock.passed = 3600.0
    assert now() == after
    # A change of the settings makes the pack anew; it is still the same to clients.
    store.packs["shed"] = PackState("shed", "jbd", "jbd", 0, 5.0)
    assert now() == after


def house() -> Store:
    store, _, _ = made(**SHED)
    garage = store.add(PackState("garage", "jbd", "jbd", 1, 2.0))
    store.accept(garage, derive({**SHED, "voltage": 13.2, "current": 4.0, "cell_voltages": [3.3] * 4}))
    with_bank(store, "shed", "garage")
    return store


def test_a_bank() -> None:
    found = image(house(), 101)
    assert [model for model, _ in chain(found.sunspec)] == [1, 802, 803, 804, 804, 805, 805, 0xFFFF]
    whole, bank = points_of(found.sunspec, 802), points_of(found.sunspec, 803)
    assert (whole["V"], whole["A"], whole["CellVMaxStr"], whole["CellVMinStr"]) == (1316, -83, 2, 1)
    assert (whole["AHRtg"], whole["Evt1"], whole["Hb"]) == (2000, 0, 1000)
    assert (bank["NStr"], bank["NStrCon"], bank["StrVMax"], bank["StrVMaxStr"]) == (2, 2, 1320, 2)
    assert (bank["StrAMin"], bank["StrAMinStr"], bank["NCellBal"]) == (-123, 1, 2)
    assert points_of(found.sunspec, 804, 1)["A"] == 40
    registers = words(found.native)
    assert registers[26:28] == [2, 2]
    assert registers[32:80] == [0xFFFF] * 48


def test_a_pack_of_a_bank_is_lost() -> None:
    store = house()
    before = chain(image(store, 101).sunspec)
    store.fail(store.packs["garage"], "lost", "no answer")
    with_bank(store, "shed", "garage")
    found = image(store, 101)
    assert chain(found.sunspec) == before
    whole, bank = points_of(found.sunspec, 802), points_of(found.sunspec, 803)
    assert (whole["A"], whole["Evt1"], bank["NStr"], bank["NStrCon"], bank["StrVMaxStr"]) == (-123, 1, 2, 1, 1)
    assert points_of(found.sunspec, 804, 1)["A"] is None
    assert points_of(found.sunspec, 804, 1)["Evt1"] == 1
    registers = words(found.native)
    assert registers[1] & 0b10000000011 == 0b10000000001
    assert registers[26:28] == [1, 2]
    # All are gone.
    store.fail(store.packs["shed"], "lost", "no answer")
    with_bank(store, "shed", "garage")
    found = image(store, 101)
    assert chain(found.sunspec) == before
    assert points_of(found.sunspec, 802)["V"] is None
    assert words(found.native)[1] == 2


def test_a_pack_of_a_bank_that_was_never_read() -> None:
    """Packs in parallel have as many cells, so the models of the others need not move when it comes."""
    store, _, _ = made()
    store.add(PackState("garage", "jbd", "jbd", 1, 2.0))
    with_bank(store, "shed", "garage")
    nothing = chain(image(store, 101).sunspec)
    assert [model for model, _ in nothing] == [1, 802, 803, 804, 804, 0xFFFF]
    store.accept(store.packs["garage"], derive(SHED))
    with_bank(store, "shed", "garage")
    one = image(store, 101).sunspec
    assert chain(one)[:5] == nothing[:5]
    assert [model for model, _ in chain(one)] == [1, 802, 803, 804, 804, 805, 805, 0xFFFF]
    assert points_of(one, 805, 0)["V"] is None
    store.accept(store.packs["shed"], derive(SHED))
    with_bank(store, "shed", "garage")
    assert chain(image(store, 101).sunspec) == chain(one)


def test_a_name_that_may_still_change_is_not_told() -> None:
    store, pack, _ = made(**SHED)
    assert points_of(image(store).sunspec, 1)["SN"] is None
    store.settle(pack)
    assert points_of(image(store).sunspec, 1)["SN"] == "jbd-0011223344"
    pack.pinned_id = "jbd-" + "x" * 40 + "-end"
    assert points_of(image(store).sunspec, 1)["SN"] == "x" * 28 + "-end"


def test_units() -> None:
    store = house()
    assert Units(store, (), False).names == {1: "shed", 2: "garage", 101: "house"}
    pinned = Units(store, ("house", "boat", "shed"), False)
    assert pinned.names == {1: "house", 3: "shed"}
    assert pinned.image(2) is None
    for number in range(120):
        store.add(PackState(f"pack{number}", "jbd", "jbd", 1, 2.0))
    assert len([unit for unit in Units(store, (), False).names if unit <= 100]) == 100
    assert Units(store, (), False).names[101] == "house"


def test_an_image_is_made_once_for_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    store, pack, clock = made(**SHED)
    made_images = []
    original = native.image

    def counted(view: values.View) -> bytes:
        made_images.append(view)
        return original(view)

    monkeypatch.setattr(native, "image", counted)
    units = Units(store, (), False)
    for _ in range(10):
        units.image(1)
    assert len(made_images) == 1
    clock.passed = 0.5
    store.accept(pack, {"voltage": 13.5})
    found = units.image(1)
    assert found is not None
    assert words(found.native)[3] == 1350
    assert len(made_images) == 2
    clock.passed = 1.0
    units.image(1)
    assert len(made_images) == 3


@pytest.mark.parametrize(
    ("address", "count", "there"),
    [
        (0, 1, True),
        (95, 1, True),
        (0, 96, True),
        (96, 1, False),
        (90, 7, False),
        (199, 1, False),
        (200, 34, True),
        (233, 2, False),
        (39999, 2, False),
        (40000, 2, True),
    ],
)
def test_reading_at_the_edges(address: int, count: int, there: bool) -> None:
    found = image(made(**SHED)[0])
    assert (found.read(address, count) is not None) == there
    end = 40000 + len(found.sunspec) // 2
    assert found.read(end - 2, 2) == b"\xff\xff\0\0"
    assert found.read(end - 1, 2) is None
    assert found.read(65535, 125) is None


def test_a_bank_without_packs() -> None:
    store, _, _ = made()
    with_bank(store)
    found = image(store, 101)
    assert [model for model, _ in chain(found.sunspec)] == [1, 802, 803, 0xFFFF]
    assert words(found.native)[1] == 2


def test_a_pack_that_grows_old_between_two_looks_at_its_bank() -> None:
    """The gateway looks at its banks each second; a pack can be lost in between."""
    store = house()
    store.fail(store.packs["garage"], "lost", "no answer")
    bank = points_of(image(store, 101).sunspec, 803)
    assert (bank["NStr"], bank["NStrCon"], bank["StrVMax"], bank["StrVMaxStr"]) == (2, 1, 1312, 1)


def test_a_pack_that_does_not_count_and_one_that_tells_less() -> None:
    store = house()
    blocked = {**SHED, "voltage": 14.0, "charge_mosfet": False, "discharge_mosfet": False}
    store.accept(store.packs["garage"], derive(blocked))
    with_bank(store, "shed", "garage")
    found = image(store, 101).sunspec
    bank = points_of(found, 803)
    assert (bank["NStrCon"], bank["StrVMax"], bank["StrVMaxStr"], bank["NCellBal"]) == (1, 1312, 1, 1)
    assert points_of(found, 802)["CellVAvg"] == 3281
    assert points_of(found, 802)["Evt1"] == 0, "it is read"
    assert points_of(found, 804, 1)["V"] == 1400
    # Without the cells of one nothing is known of all.
    store, _, _ = made(**SHED)
    store.accept(store.add(PackState("garage", "jbd", "jbd", 1, 2.0)), {"voltage": 13.1, "current": 1.0})
    with_bank(store, "shed", "garage")
    found = image(store, 101).sunspec
    assert points_of(found, 802)["CellVAvg"] is None
    assert points_of(found, 803)["NCellBal"] is None
    assert points_of(found, 803)["NStrCon"] == 2
