"""Control: who may write what, what is sent and how often, what is read back, and what the journal says."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fakes import warped
from obedient import ENTER, LEAVE, LIMITS, SAVE, WRITE, House

from cellwire.codec.command import ACTION, CHOICE, NUMBER, SWITCH, TEXT, Command
from cellwire.codec.errors import OutOfRange
from cellwire.gateway.control import Denied, Who, parsed
from cellwire.gateway.journal import SENT

ANNA = Who("anna", "page", "service")


def entries(house: House) -> list[dict[str, Any]]:
    return house.journal.entries()


@warped
async def test_it_writes_once_and_reads_back(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "done")]
    assert house.pack.writes == [{"cell_overvoltage_limit": 3.6}]
    (result,) = house.results
    assert (result.before, result.wanted, result.found) == (3.65, 3.6, 3.6)
    # What was read before and afterwards is in the store.
    assert house.store.packs["shed"].readings["cell_overvoltage_limit"] == 3.6
    (entry,) = entries(house)
    assert {key: entry[key] for key in ("who", "source", "command", "before", "wanted", "found", "result")} == {
        "who": "anna", "source": "page", "command": "cell_overvoltage_limit",
        "before": 3.65, "wanted": 3.6, "found": 3.6, "result": "done",
    }  # fmt: skip
    assert entry["pack"] == "fake-42"
    assert house.events.recent[-1].kind == "command"
    assert "anna" in house.events.recent[-1].text


@warped
async def test_what_is_so_already_is_not_sent(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"charge_switch": True}) == [("charge_switch", "done")]
    assert house.pack.writes == []
    assert "before" in house.results[0].reason


@pytest.mark.parametrize(
    ("mood", "result", "words", "found"),
    [
        ("ignore", "not_confirmed", "still shows 3.65", 3.65),
        ("refuse", "refused", "status 07", 3.65),
        ("clamp", "not_confirmed", "shows 3.625 instead", 3.625),
        ("silent", "done", "the answer was lost", 3.6),
        ("lose", "done", "the answer was lost", 3.6),
    ],
)
def test_what_a_pack_can_do_with_a_write(tmp_path: Path, mood: str, result: str, words: str, found: float) -> None:
    @warped
    async def write() -> None:
        house = House(tmp_path)
        house.pack.mood = mood
        assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", result)]
        assert words in house.results[0].reason
        assert house.results[0].found == found
        assert len(house.pack.writes) == 1
        assert entries(house)[0]["result"] == result

    write()


@warped
async def test_a_link_that_stays_away_ends_unconfirmed(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.poller.read_live()
    original = house.pack._write

    def gone(wanted: dict[str, Any]) -> bytes:
        original(wanted)
        house.pack.deaf = True
        return b""

    house.pack._write = gone  # type: ignore[method-assign]
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "not_confirmed")]
    assert house.results[0].found is None
    assert "could not be read" in house.results[0].reason


@warped
async def test_after_one_that_is_not_done_the_rest_is_not_tried(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.pack.mood = "ignore"
    changes = {"cell_overvoltage_release": 3.4, "cell_overvoltage_limit": 3.5}
    assert [result for _, result in await house.write(changes)] == ["not_confirmed", "refused"]
    assert "not tried" in house.results[1].reason
    assert len(house.pack.writes) == 1


# What is not sent


@pytest.mark.parametrize(
    ("changes", "grant", "pack_grant", "words"),
    [
        ({"nonsense": 1}, "service", "service", "no such setting"),
        ({"cell_overvoltage_limit": 4.31}, "service", "service", "not between 2.5 and 4.3"),
        ({"cell_overvoltage_limit": "3.5"}, "service", "service", "not between"),
        ({"cell_overvoltage_limit": True}, "service", "service", "not between"),
        ({"cell_overvoltage_limit": float("nan")}, "service", "service", "not between"),
        ({"charge_switch": 2}, "service", "service", "not on or off"),
        ({"charge_switch": None}, "service", "service", "not on or off"),
        ({"barcode": "ü"}, "service", "service", "plain letters"),
        ({"barcode": "123456789"}, "service", "service", "0 to 8 characters"),
        ({"restart": False}, "service", "service", "not on"),
        ({"calibrate_cell": 3.3}, "service", "service", "calibrate_cell/1"),
        ({"calibrate_cell/5": 3.3}, "service", "service", "calibrate_cell/1"),
        ({"calibrate_cell/x": 3.3}, "service", "service", "calibrate_cell/1"),
        ({"calibrate_cell/" + "1" * 5000: 3.3}, "service", "service", "calibrate_cell/1"),
        ({"charge_switch/1": True}, "service", "service", "no number"),
        ({"cell_overvoltage_limit": 3.6}, "operate", "service", 'anna may do no more than "operate"'),
        ({"cell_overvoltage_limit": 3.6}, "service", "operate", 'grant = "configure" in its [[pack]]'),
        ({"charge_switch": False}, "read", "service", 'no more than "read"'),
        ({"charge_switch": False}, "service", "read", 'grant = "operate"'),
        ({"cell_undervoltage_limit": 2.6}, "service", "service", "unproven"),
        ({"cell_overvoltage_limit": 3.5}, "service", "service", "above cell_overvoltage_release"),
        ({"barcode": "new"}, "service", "service", "has to be confirmed: It is printed"),
        ({"cell_overvoltage_limit": 4.2}, "service", "service", "no overvoltage limit of LFP"),
    ],
)
def test_what_is_refused_reaches_no_link(
    tmp_path: Path, changes: dict[str, Any], grant: str, pack_grant: str, words: str
) -> None:
    @warped
    async def write() -> None:
        house = House(tmp_path, pack_grant)
        assert [result for _, result in await house.write(changes, grant)] == ["refused"]
        assert words in house.results[0].reason
        assert WRITE not in house.pack.asked
        assert ENTER not in house.pack.asked
        (entry,) = entries(house)
        assert (entry["who"], entry["result"]) == ("anna", "refused")
        assert words in entry["reason"]
        assert house.events.recent[-1].detail["result"] == "refused"

    write()


@warped
async def test_one_wrong_value_keeps_all_from_being_sent(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"charge_switch": False, "cell_overvoltage_limit": 9}) == [
        ("charge_switch", "refused"),
        ("cell_overvoltage_limit", "refused"),
    ]
    assert "because cell_overvoltage_limit cannot be done" in house.results[0].reason
    assert not house.pack.writes


@warped
async def test_a_pack_that_cannot_be_read_is_not_written_to(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.pack.deaf = True
    assert await house.write({"charge_switch": False}) == [("charge_switch", "refused")]
    assert "could not be read" in house.results[0].reason


@warped
async def test_nobody_writes_where_another_master_does(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.passive = True
    assert await house.write({"charge_switch": False}) == [("charge_switch", "refused")]
    assert "another master" in house.results[0].reason
    assert not house.link.sent


@warped
async def test_a_pack_of_which_is_not_known_which_it_is(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.poller.pack.settled = False
    assert await house.write({"charge_switch": False}) == [("charge_switch", "refused")]
    assert "which pack this is" in house.results[0].reason
    with pytest.raises(Denied, match="which pack this is"):
        await house.control.undo("shed", ANNA)


@warped
async def test_an_unknown_pack(tmp_path: Path) -> None:
    house = House(tmp_path)
    (result,) = await house.control.write("nobody", {"charge_switch": False}, ANNA)
    assert (result.result, result.reason) == ("refused", "there is no pack nobody")


@warped
async def test_without_a_journal_nothing_is_written(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.journal.path = tmp_path / "journal.jsonl"
    house.journal.path.mkdir()
    assert await house.write({"charge_switch": False}) == [("charge_switch", "refused")]
    assert "nothing is written to a pack without it" in house.results[0].reason
    assert not house.pack.writes


# Order, plan, confirmation


@warped
async def test_several_go_in_an_order_in_which_each_fits(tmp_path: Path) -> None:
    house = House(tmp_path)
    down = {"cell_overvoltage_limit": 3.5, "cell_overvoltage_release": 3.4}
    assert [name for name, _ in await house.write(down)] == ["cell_overvoltage_release", "cell_overvoltage_limit"]
    up = {"cell_overvoltage_release": 3.55, "cell_overvoltage_limit": 3.65}
    assert [name for name, _ in await house.write(up)] == ["cell_overvoltage_limit", "cell_overvoltage_release"]
    assert [result.result for result in house.results] == ["done", "done"]


@warped
async def test_what_makes_it_safer_goes_first(tmp_path: Path) -> None:
    house = House(tmp_path)
    changes = {"charge_switch": False, "cell_overvoltage_limit": 3.7, "discharge_switch": False}
    names = [name for name, _ in await house.write(changes)]
    assert names == ["charge_switch", "discharge_switch", "cell_overvoltage_limit"]


@warped
async def test_a_plan_sends_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    changes = {"cell_overvoltage_limit": 4.2, "charge_switch": False}
    plan = await house.control.plan("shed", changes, ANNA)
    assert [(each.command, each.before, each.wanted, each.result) for each in plan] == [
        ("charge_switch", True, False, ""),
        ("cell_overvoltage_limit", 3.65, 4.2, ""),
    ]
    assert "flow into the pack" in plan[0].warnings[0]
    assert "LFP" in plan[1].dangers[0]
    sent = bytes.fromhex(plan[1].frames[0])
    assert json.loads(sent[4:-1]) == {"cell_overvoltage_limit": 4.2}
    assert not house.pack.writes
    assert not entries(house)
    (refused,) = await house.control.plan("shed", {"cell_overvoltage_limit": 9}, ANNA)
    assert refused.result == "refused"
    assert not entries(house)


@warped
async def test_dangers_that_are_confirmed(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"barcode": "new"}, confirmed=True) == [("barcode", "done")]
    assert await house.write({"cell_undervoltage_limit": 2.6}, unproven=True) == [("cell_undervoltage_limit", "done")]


@warped
async def test_one_of_several_cells(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"calibrate_cell/3": 3.32}, confirmed=True) == [("calibrate_cell/3", "done")]
    assert house.pack.values[1]["cell_voltages"] == [3.3, 3.3, 3.32, 3.3]
    assert (house.results[0].before, house.results[0].found) == (3.3, 3.32)


@warped
async def test_what_no_reading_shows(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert await house.write({"clear_alarms": True}) == [("clear_alarms", "done")]
    # A state that nothing shows is no proof; an order that was acknowledged is all that there is.
    assert await house.write({"fan_switch": True}) == [("fan_switch", "not_confirmed")]
    house.pack.mood = "silent"
    assert await house.write({"clear_alarms": True}) == [("clear_alarms", "not_confirmed")]


@warped
async def test_a_secret_is_written_down_nowhere(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.write({"pin": "9876"})
    await house.write({"pin": "98765"})
    await house.write({"pin": "9876"}, grant="operate")
    await house.write({"pin/1": "9876"})
    assert "9876" not in house.journal.path.read_text()
    assert "9876" not in str(house.events.recent)
    assert "9876" not in str([result.document() for result in house.results])


# The mode


@warped
async def test_the_mode_is_entered_left_and_saved_in(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "done")]
    assert (house.pack.inside, house.pack.saved) == (False, 1)
    assert house.pack.asked.count(ENTER) == 1
    plan = await house.control.plan("shed", {"cell_overvoltage_limit": 3.61}, ANNA)
    keys = [bytes.fromhex(frame)[2] for frame in plan[0].frames]
    assert keys == [ENTER, WRITE, SAVE]
    assert (house.pack.inside, house.pack.saved) == (False, 1)


@pytest.mark.parametrize("mood", ["ignore", "refuse", "clamp", "silent", "lose"])
def test_the_mode_is_left_whatever_happens(tmp_path: Path, mood: str) -> None:
    @warped
    async def write() -> None:
        house = House(tmp_path, factory=True)
        house.pack.mood = mood
        await house.write({"cell_overvoltage_limit": 3.6})
        assert not house.pack.inside
        assert house.pack.asked[-1] in (LEAVE, SAVE)

    write()


@warped
async def test_the_mode_is_left_when_the_caller_goes_away(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    work = asyncio.create_task(house.write({"cell_overvoltage_limit": 3.6}))
    while WRITE not in house.pack.asked:
        await asyncio.sleep(0.001)
    work.cancel()
    while house.pack.inside:
        await asyncio.sleep(0.01)
    assert entries(house)[0]["result"] == "done"


@warped
async def test_what_takes_too_long_is_broken_off_and_the_mode_left(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    work = asyncio.create_task(house.write({"hold_fan": 100}))
    while WRITE not in house.pack.asked:
        await asyncio.sleep(0.001)
    assert house.pack.inside
    await house.control.finish(5.0)
    assert not house.pack.inside
    with pytest.raises(asyncio.CancelledError):
        await work
    assert entries(house)[0]["result"] == SENT


@warped
async def test_what_was_done_is_told_when_the_rest_does_not_fit_any_more(tmp_path: Path) -> None:
    house = House(tmp_path)
    commands = house.poller.dialect.commands
    assert commands is not None
    encode = commands.encode

    def moody(command: Command, number: int, value: Any, address: int, known: dict[str, Any]) -> tuple[bytes, ...]:
        if house.pack.writes and command.name == "cell_overvoltage_limit":
            raise OutOfRange("cell_overvoltage_limit: the pack changed meanwhile")
        return encode(command, number, value, address, known)

    commands.encode = moody
    assert await house.write({"charge_switch": False, "cell_overvoltage_limit": 3.7}) == [
        ("charge_switch", "done"),
        ("cell_overvoltage_limit", "refused"),
    ]
    assert [entry["result"] for entry in entries(house)] == ["refused", "done"]


@warped
async def test_a_pack_that_is_lost_in_its_mode_is_told_to_leave_it_when_it_is_back(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    original = house.pack._write

    def gone(wanted: dict[str, Any]) -> bytes:
        original(wanted)
        house.pack.deaf = True
        return b""

    house.pack._write = gone  # type: ignore[method-assign]
    await house.write({"cell_overvoltage_limit": 3.6})
    assert house.pack.inside
    house.pack.deaf = False
    await house.poller.step()
    assert not house.pack.inside
    assert not house.poller.owed


@warped
async def test_a_write_that_wants_the_mode_after_all_is_sent_again_in_it(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    # Its row does not say so, but the board refuses it outside: nothing was taken, so it may be said once more.
    commands = house.poller.dialect.commands
    assert commands is not None
    there = {command.name: command for command in commands.of({})}
    there["cell_overvoltage_limit"].mode = there["cell_overvoltage_limit"].saves = False
    await house.control.read("shed", ANNA)
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "done")]
    assert not house.pack.inside


@warped
async def test_the_password_of_the_pack(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True, password="1234")
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "refused")]
    house.poller.password = "1234"
    assert await house.write({"cell_overvoltage_limit": 3.6}) == [("cell_overvoltage_limit", "done")]


@warped
async def test_reading_settings(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    assert await house.control.read("shed", ANNA) == []
    assert house.control.values("shed")["cell_overvoltage_limit"] == 3.65
    assert house.control.values("shed")["calibrate_cell/2"] == 3.3
    assert not house.pack.inside
    # Entering the mode is a write.
    with pytest.raises(Denied, match="only in a mode"):
        await house.control.read("shed", Who("guest", "page", "read"))


@warped
async def test_two_writers_take_turns(tmp_path: Path) -> None:
    house = House(tmp_path, factory=True)
    poll = asyncio.create_task(house.poller.run())
    await asyncio.gather(
        house.write({"cell_overvoltage_limit": 3.6}),
        house.control.write("shed", {"cell_overvoltage_release": 3.5}, ANNA),
        house.control.read("shed", ANNA),
    )
    poll.cancel()
    modes = [key for key in house.pack.asked if key in (ENTER, LEAVE, SAVE)]
    assert modes[0::2] == [ENTER] * 3
    assert all(key in (LEAVE, SAVE) for key in modes[1::2])
    assert house.pack.values[5] == {**LIMITS, "cell_overvoltage_limit": 3.6, "cell_overvoltage_release": 3.5}


# Journal and undo


@warped
async def test_undo_goes_back_one_by_one(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.write({"cell_overvoltage_limit": 3.6})
    await house.write({"cell_overvoltage_limit": 3.7})
    for value in (3.6, 3.65):
        (result,) = await house.control.undo("shed", ANNA)
        assert (result.result, result.found) == ("done", value)
    with pytest.raises(Denied, match="nothing in the journal to undo"):
        await house.control.undo("shed", ANNA)
    # By its number, also what was undone.
    (result,) = await house.control.undo("shed", ANNA, 2)
    assert result.found == 3.6


@warped
async def test_a_calibration_is_not_undone(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.write({"charge_switch": False})
    await house.write({"calibrate_cell/3": 3.32}, confirmed=True)
    with pytest.raises(Denied, match="entry 2, calibrate_cell/3, cannot be taken back"):
        await house.control.undo("shed", ANNA)
    (result,) = await house.control.undo("shed", ANNA, 1)
    assert (result.command, result.result) == ("charge_switch", "done")


@warped
async def test_undo_has_the_same_checks(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.write({"charge_switch": False})
    (result,) = await house.control.undo("shed", Who("guest", "api", "read"))
    assert result.result == "refused"
    assert house.pack.values[6]["charge_switch"] is False
    with pytest.raises(Denied, match="entry 99 is not in the journal"):
        await house.control.undo("shed", ANNA, 99)


@warped
async def test_the_journal_has_the_write_before_it_is_sent(tmp_path: Path) -> None:
    house = House(tmp_path)
    original = house.pack._write
    seen: list[Any] = []

    def look(wanted: dict[str, Any]) -> bytes:
        seen.extend(entry["result"] for entry in house.journal.entries())
        return original(wanted)

    house.pack._write = look  # type: ignore[method-assign]
    await house.write({"charge_switch": False})
    assert seen == [SENT]


def test_texts_become_values() -> None:
    def command(kind: str, words: tuple[str, ...] = ()) -> Command:
        return Command("it", kind, "operate", "agreed", words=words)

    assert parsed(command(SWITCH), "ON") is True
    assert parsed(command(SWITCH), "0") is False
    assert parsed(command(NUMBER), " -3 ") == -3
    assert parsed(command(NUMBER), "3.5") == 3.5
    assert parsed(command(CHOICE, ("", "LFP")), "lfp") == "LFP"
    assert parsed(command(TEXT), " a ") == " a "
    assert parsed(command(ACTION), "yes") is True
    for kind, text in (
        (SWITCH, "maybe"),
        (NUMBER, "3,5"),
        (NUMBER, ""),
        (NUMBER, "--1"),
        (NUMBER, "nan"),
        (NUMBER, "1e999"),
        (ACTION, ""),
    ):
        with pytest.raises(OutOfRange):
            parsed(command(kind), text)
