"""Rows of the history as line protocol, read back by a parser of its own."""

from pathlib import Path
from typing import Any

from fakedb import FakeDb
from hypothesis import given
from hypothesis import strategies as st
from kept import START, Kept
from lineprotocol import Point, points
from sending import Home, sending, sent

from cellwire.outputs.history import columns
from cellwire.outputs.history.follow import Part, Window
from cellwire.outputs.history.layout import Layout
from cellwire.outputs.influx.lines import Names, lines
from cellwire.readings.catalogue import CATALOGUE, LIST, QUANTITY


def window(*rows: tuple[str, int, dict[str, Any]], **names: str) -> Window:
    """Return a window with these rows: id, number, readings; their time is the number."""
    parts = []
    for pack, seq, readings in rows:
        layout = Layout(()).with_readings(readings)
        parts.append(Part(pack, layout, [[seq], [seq], *([value] for value in layout.encode(readings))]))
    last = max(seq for _, seq, _ in rows)
    known = {pack: "" for pack, _, _ in rows}
    return Window(last, last, {**known, **names}, parts)


def written(flags: bool = True, name: str = "shed", **readings: Any) -> str:
    found = lines(window(("jbd-1", 1, readings), **{"jbd-1": name}), Names(), flags)
    return "".join(line.text for line in found)


def test_a_row() -> None:
    head, fields, time = written(voltage=52.43, soc=81, cell_voltages=[3.281, None], fan=True).split(" ")
    assert head == "cellwire,id=jbd-1,pack=shed"
    assert fields == "voltage=52.43,soc=81.0,cell_voltages_1=3.281,fan=true"
    assert time == "1\n"


def test_flags_as_numbers() -> None:
    assert written(flags=False, balancing=True, fan=False) == "cellwire,id=jbd-1,pack=shed balancing=1,fan=0 1\n"


def test_whole_numbers_are_floats_for_the_database() -> None:
    fields = points(written(cycles=12, soc=81, alarm_bits=2**40))[0].fields
    assert fields == {"cycles": 12.0, "soc": 81.0, "alarm_bits": 2.0**40}
    assert not any(text in written(cycles=12, soc=81) for text in ("12i", "81i", '"'))


def test_a_row_without_readings_has_no_line() -> None:
    assert written(voltage=None) == ""
    assert written() == ""


def test_what_is_missing_in_some_rows() -> None:
    layout = Layout(()).with_readings({"voltage": 1.0, "current": 1.0, "soc": 1.0})
    gap = columns.MISSING
    part = Part("a", layout, [[1, 2, 3], [1, 2, 3], [gap, 5210, gap], [gap, gap, 100], [10, gap, gap]])
    found = [line.text.split(" ")[1] for line in lines(Window(3, 3, {"a": "a"}, [part]), Names(), True)]
    assert found == ["soc=1.0", "voltage=52.1", "current=1.0"]


def test_rows_of_all_packs_come_in_order() -> None:
    rows = [(pack, seq, {"voltage": float(seq)}) for seq, pack in enumerate("abcabcab", 1)]
    found = lines(window(*reversed(rows)), Names(), True)
    assert [line.seq for line in found] == list(range(1, 9))
    assert [line.pack for line in found] == list("abcabcab")


NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, NAMES, st.lists(st.floats(-100, 100), max_size=3), st.booleans())
def test_any_name_and_value_comes_back(pack: str, name: str, values: list[float], flag: bool) -> None:
    readings = {"temperatures": values, "fan": flag, "power": sum(values)}
    found = lines(window((pack, 7, readings), **{pack: name}), Names(), True)
    (point,) = points(found[0].text)
    shown = {
        key: "".join(c if c.isprintable() else "_" for c in text).replace("\\", "/")
        for key, text in (("id", pack), ("pack", name))
    }
    fields = {f"temperatures_{number}": round(value * 10) / 10 for number, value in enumerate(values, 1)}
    assert point == Point("cellwire", shown, {**fields, "fan": flag, "power": round(sum(values) * 10) / 10}, 7)


@given(st.integers(-(2**62), 2**62), st.sampled_from([1, 10, 100, 1000, 10000, 1000000]))
def test_any_integer_is_the_float_that_the_history_gives(value: int, scale: int) -> None:
    layout = Layout.read(f'[["voltage", 0, {scale}, "mean"]]')
    part = Part("a", layout, [[1], [1], [value]])
    (line,) = lines(Window(1, 1, {"a": "a"}, [part]), Names(), True)
    assert points(line.text)[0].fields["voltage"] == value / scale


def test_no_two_readings_have_the_same_field() -> None:
    fields: list[str] = []
    for name, quantity, kind, _, _ in CATALOGUE:
        assert QUANTITY[quantity]
        fields += [f"{name}_{number}" for number in range(1, 65)] if kind == LIST else [name]
    assert len(fields) == len(set(fields))


# Names.


def test_a_renamed_pack_keeps_its_name_in_rows_that_were_there() -> None:
    names = Names()

    def heads(first: int, last: int, name: str) -> list[str]:
        rows = [("a", seq, {"voltage": 1.0}) for seq in range(first, last + 1)]
        return [points(line.text)[0].tags["pack"] for line in lines(window(*rows, a=name), names, True)]

    assert heads(1, 3, "shed") == ["shed"] * 3
    assert heads(2, 5, "barn") == ["shed"] * 2 + ["barn"] * 2
    assert heads(4, 6, "shed") == ["barn"] * 2 + ["shed"]
    assert heads(1, 6, "shed") == ["shed"] * 3 + ["barn"] * 2 + ["shed"]


async def test_a_rename_while_it_runs(home: Home, fake: FakeDb) -> None:
    async with sending(home.sink(fake.url, trail=0)) as sink:
        await sent(sink)
        home.history.name(home.packs[0].id, "my, shed=1")
        home.write(5)
        await sent(sink)
    names: dict[str, list[str]] = {pack.id: [] for pack in home.packs}
    for (pack, _), point in sorted(fake.rows.items()):
        names[pack].append(point.tags["pack"])
    one, other = names.values()
    assert one == [home.packs[0].id] * 150 + ["my, shed=1"] * 5
    assert other == [home.packs[1].id] * 155


# No texts.


def test_the_history_has_nothing_that_would_be_text(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "h.db")
    everything: dict[str, Any] = {}
    for name, quantity, kind, _, _ in CATALOGUE:
        value: Any = "4711" if quantity in ("text", "names") else 1
        everything[name] = [value] if kind == LIST else value
    kept.add(everything)
    kept.writer.turn()
    text = "".join(line.text for line in lines(kept.reader.window(0, 10), Names(), True))
    kept.reader.close()
    fields = points(text)[0].fields
    assert not any(
        QUANTITY[quantity][0] in ("text", "names") and (name in fields or f"{name}_1" in fields)
        for name, quantity, _, _, _ in CATALOGUE
    )
    assert fields["voltage"] == 1.0
    assert points(text)[0].time == START * 1000
