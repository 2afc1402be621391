"""A backup says everything that can be written back, is read again as it was, and is compared with care."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cellwire.codec.command import AGREED, UNPROVEN
from cellwire.gateway.backup import (
    ALONE,
    UNREAD,
    UNSHOWN,
    BackupError,
    backup,
    compare,
    difference,
    parse,
    settings_of,
)
from cellwire.gateway.store import PackState

Row = dict[str, Any]


def pack_of(family: str = "jbd", cells: int = 4, **readings: Any) -> PackState:
    pack = PackState("shed", family, f"{family}-x", 1, 2.0)
    known = {"cell_count": cells, "model": "SP04", "software_version": "2.1", "serial_number": "A12"}
    pack.readings = {**known, **readings}
    return pack


def row_of(name: str, value: Any, kind: str = "number", **more: Any) -> Row:
    row: Row = {"command": name, "kind": kind, "group": "protection", "meaning": "what it means", "grant": "configure"}
    row |= {"proof": AGREED, "value": value}
    if kind == "number":
        row |= {"unit": "V", "decimals": 3, "low": 1.0, "high": 60.0, "step": 0.001}
    return {**row, **more}


ROWS = [
    row_of("cell_overvoltage_limit", 3.65, high=4.5),
    row_of("pack_overvoltage_limit", 14.6),
    row_of("cell_count_setting", 4, unit="", decimals=0, step=1, group="sensors and cells"),
    row_of("balancer_switch", True, "switch", group="switches"),
    row_of("battery_type", "LFP", "choice", words=["LFP", "LTO"]),
    row_of("gate_text", 'a "quoted" \\ Ω', "text", low=0, high=20),
    row_of("wire_resistances", [0.1, 0.25], count=2, unit="ohm", low=0),
]
EXPECTED = {
    "cell_overvoltage_limit": 3.65,
    "pack_overvoltage_limit": 14.6,
    "cell_count_setting": 4,
    "balancer_switch": True,
    "battery_type": "LFP",
    "gate_text": 'a "quoted" \\ Ω',
    "wire_resistances": [0.1, 0.25],
}
NOT_KEPT = [
    row_of("charge_switch", False, "switch"),
    row_of("discharge_switch", True, "switch"),
    row_of("clock", 5),
    row_of("soc", 55.0),
    row_of("cycles", 5),
    row_of("restart", None, "action", group="actions"),
    row_of("balance_odd_cells", 5, hold=True, group="actions"),
    row_of("setup_passcode", "1234", "text", secret=True),
    row_of("calibrate_cell", [3.3, 3.3], group="calibration", count=2),
    row_of("not_read_yet", None),
    row_of("not_read_whole", [0.1, None], count=2),
    row_of("serial_number_setting", 17, unit=""),
    row_of("board_number", 2, unit=""),
    row_of("barcode", "B1", "text", low=0, high=30),
]


def test_what_is_written_is_read_again() -> None:
    text = backup(pack_of(), ROWS + NOT_KEPT, 1_795_000_000.0)
    found = parse(text)
    assert found.settings == EXPECTED
    assert (found.family, found.dialect, found.model, found.software_version) == ("jbd", "jbd-x", "SP04", "2.1")
    assert (found.id, found.cells, found.time) == ("jbd-a12", 4, 1_795_000_000.0)
    assert "cell_overvoltage_limit = 3.65  # V\n" in text


def test_numbers_have_the_decimals_of_their_field() -> None:
    rows = [row_of("cell_overvoltage_limit", 0.1 + 0.2)]
    assert "cell_overvoltage_limit = 0.3  # V" in backup(pack_of(), rows, 0.0)


TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    some.dictionaries(some.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), TEXTS, max_size=5),
    some.integers(-(10**9), 10**9),
)
def test_every_text_and_number_survives(texts: dict[str, str], raw: int) -> None:
    number = raw / 1000
    rows = [row_of(f"x{name}", text, "text", low=0, high=30) for name, text in texts.items()]
    rows.append(row_of("number", number))
    found = parse(backup(pack_of(model="\x00\x7f\n"), rows, 0.0))
    assert found.settings == {**{f"x{name}": text for name, text in texts.items()}, "number": number}
    assert found.model == "\x00\x7f\n"


GOOD = 'format = "cellwire-settings"\nversion = 1\n[pack]\nfamily = "jbd"\n[settings]\nbalance_start = 3.4\n'


def test_a_short_one_will_do() -> None:
    found = parse("\ufeff" + GOOD)
    assert (found.family, found.settings, found.cells, found.time) == ("jbd", {"balance_start": 3.4}, 0, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[settings]", "[settings", r"line 5, column 10: .*mend the line"),
        ('format = "cellwire-settings"', "", "no backup of settings"),
        ("version = 1", "version = 2", "line 2: this is a backup of version 2.* take a newer"),
        ("[pack]", "[unit]", r"no section \[pack\]"),
        ("[settings]", "[values]", r"no section \[settings\]"),
        ('"jbd"', '"duracell"', "line 4: there is no family 'duracell'.* one of jk, jbd, daly"),
        ('family = "jbd"', "family = 7", "line 4: family has to be a text"),
        ("3.4", "[[3.4]]", "line 6: balance_start is neither"),
        ("3.4", "nan", "line 6: balance_start is neither"),
        ("3.4", "2026-01-01", "line 6: balance_start is neither"),
        ('"jbd"', '"jbd"\ncells = true', "line 5: cells has to be a whole number"),
        ('"jbd"', '"jbd"\nmodel = 7', "line 5: model has to be a text"),
        ("3.4", "3.4\nbalance_start = 3.5", "line 7"),
        (GOOD, "a = " + "[" * 2000, "."),
        (GOOD, "", "no backup of settings"),
    ],
)
def test_a_bad_one_is_one_sentence(old: str, new: str, says: str) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    with pytest.raises(BackupError, match=says) as caught:
        parse(text)
    assert len(str(caught.value).splitlines()) == 1


@given(some.text(max_size=200))
def test_nothing_but_an_error_comes_of_noise(text: str) -> None:
    with pytest.raises(BackupError):
        parse(text)


def saved(rows: list[Row], pack: PackState) -> Any:
    return parse(backup(pack, rows, 0.0))


def test_nothing_differs_from_itself() -> None:
    found = compare(saved(ROWS, pack_of()), pack_of(), ROWS)
    assert (found.changes, found.warnings, found.skipped) == ({}, [], {})


def test_what_differs_has_to_be_written() -> None:
    now = [row_of("cell_overvoltage_limit", 3.6), row_of("balancer_switch", False, "switch")]
    found = compare(saved(ROWS[:1] + ROWS[3:4], pack_of()), pack_of(), now)
    assert found.changes == {"cell_overvoltage_limit": 3.65, "balancer_switch": True}


def test_less_than_half_a_step_is_no_difference() -> None:
    was = saved([row_of("cell_overvoltage_limit", 3.650)], pack_of())
    assert compare(was, pack_of(), [row_of("cell_overvoltage_limit", 3.6504)]).changes == {}
    assert compare(was, pack_of(), [row_of("cell_overvoltage_limit", 3.6506)]).changes != {}


def test_of_a_list_only_what_differs_is_written() -> None:
    now = [row_of("wire_resistances", [0.1, 0.3], count=2, unit="ohm", low=0)]
    assert compare(saved(ROWS[-1:], pack_of()), pack_of(), now).changes == {"wire_resistances/2": 0.25}


def test_on_is_not_one() -> None:
    was = saved([row_of("balancer_switch", True, "switch")], pack_of())
    found = compare(was, pack_of(), [row_of("balancer_switch", 1)])
    assert (found.changes, found.skipped) == ({}, {"balancer_switch": "True is not a number"})


def test_another_family_is_refused() -> None:
    with pytest.raises(BackupError, match="backup of a jbd pack, and shed is a jk"):
        compare(saved(ROWS, pack_of()), pack_of("jk"), ROWS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "SP16"}, "Another model: the backup is of SP04, this is SP16"),
        ({"software_version": "3.0"}, "Another firmware: the backup is of 2.1, this is 3.0"),
        ({"serial_number": "B77"}, "of another pack: jbd-a12, this is jbd-b77"),
    ],
)
def test_another_pack_of_the_family_is_warned_of(change: dict[str, Any], says: str) -> None:
    found = compare(saved(ROWS, pack_of()), pack_of(**change), ROWS)
    assert len(found.warnings) == 1
    assert says in found.warnings[0]


def test_a_pack_that_goes_by_its_address_may_be_any() -> None:
    pack = pack_of(serial_number="")
    assert parse(backup(pack, ROWS, 0.0)).id == ""
    assert compare(saved(ROWS, pack_of()), pack, ROWS).warnings == []


def test_a_serial_number_that_begins_like_the_address_is_one() -> None:
    pack = pack_of(serial_number="0011")
    pack.dialect, pack.address = "jbd", 0
    assert parse(backup(pack, ROWS, 0.0)).id == "jbd-0011"
    pack.readings["serial_number"] = ""
    pack.pinned_id = "jbd-0-shed"
    assert parse(backup(pack, ROWS, 0.0)).id == ""


def test_another_dialect_is_warned_of() -> None:
    pack = pack_of()
    pack.dialect = "jbd-up"
    assert "over jbd-x, this pack speaks jbd-up" in compare(saved(ROWS, pack_of()), pack, ROWS).warnings[0]


def test_another_number_of_cells_skips_what_does_not_fit() -> None:
    now = [row_of("cell_overvoltage_limit", 3.6), row_of("pack_overvoltage_limit", 29.2), row_of("other_voltage", 9.0)]
    now += [row_of("cell_count_setting", 8, unit="")]
    was = saved([*ROWS[:3], row_of("other_voltage", 12.8)], pack_of())
    found = compare(was, pack_of(cells=8), now)
    assert found.changes == {"cell_overvoltage_limit": 3.65}
    assert found.skipped["pack_overvoltage_limit"] == "14.6 V was meant for 4 cells, and this pack has 8"
    assert found.skipped["other_voltage"] == "12.8 V was meant for 4 cells, and this pack has 8"
    assert "set it first, by itself" in found.skipped["cell_count_setting"]
    assert "of 4 cells, this pack has 8" in found.warnings[0]


def test_without_a_head_the_setting_tells_the_number_of_cells() -> None:
    text = GOOD.replace("balance_start = 3.4", "cell_count_setting = 4\npack_overvoltage_limit = 14.6")
    now = [row_of("pack_overvoltage_limit", 29.2), row_of("cell_count_setting", 8, unit="")]
    found = compare(parse(text), pack_of(cells=8), now)
    assert found.changes == {}
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("row", "value", "why"),
    [
        (row_of("cell_overvoltage_limit", 3.6, high=3.64), "3.65", "3.65 is not between 1.0 and 3.64"),
        (row_of("cell_overvoltage_limit", 3.6), '"high"', "high is not a number"),
        (row_of("cell_overvoltage_limit", True, "switch"), "3.65", "3.65 is neither true nor false"),
        (row_of("cell_overvoltage_limit", "a", "choice", words=["a", "b"]), '"c"', "c is not one of a, b"),
        (row_of("cell_overvoltage_limit", "a", "text", low=1, high=2), '"abc"', "it takes a text of 1 to 2 characters"),
        (row_of("cell_overvoltage_limit", 3.6, proof=UNPROVEN), "3.65", UNSHOWN),
        (row_of("cell_overvoltage_limit", None), "3.65", UNREAD),
        (row_of("cell_overvoltage_limits", 3.6), "3.65", "no such setting; is it cell_overvoltage_limits?"),
        (row_of("battery_type", "LFP", "choice", words=["LFP", "LTO"]), '"LTO"', ALONE),
        (row_of("cell_overvoltage_limit", 3.6), "[3.65]", "it takes one value"),
        (row_of("cell_overvoltage_limit", [3.6, 3.6], count=2), "[3.65]", "it takes 2 values"),
        (row_of("cell_overvoltage_limit", [3.6, 3.6], count=2), "3.65", "it takes 2 values"),
        (row_of("cell_overvoltage_limit", [3.6, None], count=2), "[3.6, 3.6]", UNREAD),
        (row_of("soc", 50.0), "3.65", "no setting that is put back"),
    ],
)
def test_what_cannot_be_written_is_skipped_with_the_reason(row: Row, value: str, why: str) -> None:
    name = row["command"].removesuffix("s")
    text = GOOD.replace("balance_start = 3.4", f"{name} = {value}")
    found = compare(parse(text), pack_of(), [row])
    assert found.changes == {}
    assert why in found.skipped[name]


def test_unproven_settings_can_be_asked_for() -> None:
    now = [row_of("cell_overvoltage_limit", 3.6, proof=UNPROVEN)]
    found = compare(saved(ROWS[:1], pack_of()), pack_of(), now, unproven=True)
    assert found.changes == {"cell_overvoltage_limit": 3.65}


def test_difference_for_people() -> None:
    now, then = settings_of(ROWS), {**settings_of(ROWS), "cell_overvoltage_limit": 3.6, "added": 1}
    del then["gate_text"]
    found = difference(now, then, ROWS)
    assert [(each.name, each.now, each.then, each.unit) for each in found] == [
        ("cell_overvoltage_limit", 3.65, 3.6, "V"),
        ("gate_text", EXPECTED["gate_text"], None, ""),
        ("added", None, 1, ""),
    ]
    assert found[0].meaning == "what it means"


def test_difference_of_two_files_knows_the_vocabulary() -> None:
    (found,) = difference({"charge_overtemperature_limit": 50}, {"charge_overtemperature_limit": 45.0})
    assert (found.unit, found.meaning) == ("°C", "where the BMS protects against charge overtemperature")


def test_the_document_is_plain_toml() -> None:
    document = tomllib.loads(backup(pack_of(), ROWS, 0.0))
    assert list(document) == ["format", "version", "time", "pack", "settings"]
