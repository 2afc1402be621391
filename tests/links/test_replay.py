"""Captures: what is recorded from a link, and how it is played."""

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from cellwire.links import open_link, recording
from cellwire.links.link import LinkLost, PortMissing
from cellwire.links.replay import load

HEADER = {"cellwire": "capture", "version": 1, "link": "/dev/ttyUSB0", "dialect": "jbd", "address": 3}


def capture(path: Path, *events: dict[str, Any], header: dict[str, Any] = HEADER) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *events)))
    return f"replay:{path}"


async def all_of(link: Any, seconds: float = 0.05) -> list[bytes]:
    pieces = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                pieces.append(await link.receive())
    except TimeoutError:
        return pieces


async def test_a_request_is_answered_in_turn_and_again(tmp_path: Path) -> None:
    address = capture(
        tmp_path / "a.jsonl",
        {"t": 0.0, "tx": "aa"},
        {"t": 0.1, "rx": "01"},
        {"t": 0.2, "rx": "02"},
        {"t": 0.3, "tx": "bb"},
        {"t": 0.4, "rx": "03"},
        {"t": 0.5, "tx": "aa"},
        {"t": 0.6, "rx": "04"},
        {"t": 0.7, "tx": "aa"},
        {"t": 0.8, "tx": "bb"},
    )
    async with open_link(address) as link:
        assert (link.dialect, link.address, link.baud) == ("jbd", 3, None)  # type: ignore[attr-defined]
        heard = []
        for request in (b"\xaa", b"\xaa", b"\xaa", b"\xaa", b"\xbb", b"\xbb", b"\xbb", b"\xcc"):
            await link.send(request)
            heard.append(await all_of(link))
        assert heard == [[b"\1", b"\2"], [b"\4"], [], [b"\1", b"\2"], [b"\3"], [], [b"\3"], []]


async def test_what_is_left_of_an_answer_can_be_dropped(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 0, "tx": "aa"}, {"t": 0, "rx": "01"}, {"t": 0, "rx": "02"})
    async with open_link(address) as link:
        await link.send(b"\xaa")
        assert await link.receive() == b"\1"
        assert link.pending() == b"\2"
        assert await all_of(link) == []


async def test_a_capture_without_requests_plays_by_itself(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 5, "rx": "01"}, {"t": 9, "rx": "02"})
    link = open_link(address)
    for _ in range(2):
        await link.open()
        assert link.pending() == b""
        await link.send(b"\xaa")
        assert await all_of(link) == [b"\1", b"\2"]
        await link.close()
        with pytest.raises(LinkLost):
            await link.receive()


async def test_bytes_before_the_first_request(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 0, "rx": "0102"}, {"t": 1, "tx": "aa"}, {"t": 2, "rx": "03"})
    async with open_link(address) as link:
        assert await all_of(link) == [b"\1\2"]
        await link.send(b"\xaa")
        assert await all_of(link) == [b"\3"]


async def test_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    capture(path, {"t": 1.0, "tx": "aa"}, {"t": 1.1, "rx": "01"}, {"t": 1.2, "rx": "02"})
    async with open_link(f"replay:{path}?realtime=1") as link:
        start = time.monotonic()
        await link.send(b"\xaa")
        assert link.pending() == b""
        assert [await link.receive(), await link.receive()] == [b"\1", b"\2"]
        assert 0.19 < time.monotonic() - start < 1.0


async def test_a_cancelled_wait_loses_no_piece(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 0, "rx": "01"})
    async with open_link(address) as link:
        receiving = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        assert await all_of(link) == [b"\1"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("{}\n", "line 1 .*cellwire.*capture"),
        ('{"cellwire": "capture", "version": 2}\n', "line 1 .*version 2"),
        (json.dumps(HEADER) + "\nx\n", "line 2"),
        (json.dumps(HEADER) + '\n{"t": 1}\n', 'line 2 .*"rx" or "tx"'),
        (json.dumps(HEADER) + '\n\n{"t": 1, "rx": "0"}\n', "line 3"),
        (json.dumps(HEADER) + '\n{"t": 1, "rx": 5}\n', "line 2"),
        ("[]\n", "line 1"),
    ],
)
async def test_files_that_are_no_captures(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(PortMissing, match=complaint):
        await open_link(f"replay:{path}").open()


async def test_a_capture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PortMissing, match="check the name of the capture"):
        await open_link(f"replay:{tmp_path / 'none'}").open()


async def test_what_is_recorded_can_be_played(tmp_path: Path) -> None:
    original = capture(tmp_path / "a.jsonl", {"t": 0, "tx": "aa"}, {"t": 0.1, "rx": "01"}, {"t": 0.2, "rx": "02"})
    copy = tmp_path / "copy.jsonl"
    link = recording(open_link(original), copy, dialect="jbd", address=3, source="a test")
    assert link.name == original
    for _ in range(2):
        await link.open()
        await link.send(b"\xaa")
        assert await all_of(link) == [b"\1", b"\2"]
        await link.send(b"\xaa")
        assert link.pending() == b"\1\2"
        await link.close()
    header, events = load(copy)
    assert header == HEADER | {"link": original, "source": "a test"}
    assert [(way, data) for _, way, data in events] == [
        ("tx", b"\xaa"), ("rx", b"\1"), ("rx", b"\2"), ("tx", b"\xaa"), ("rx", b"\1\2"),
    ] * 2  # fmt: skip
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    async with open_link(f"replay:{copy}") as played:
        await played.send(b"\xaa")
        assert await all_of(played) == [b"\1", b"\2"]


async def test_recording_into_an_open_file(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 0, "rx": "01"})
    file = io.StringIO()
    async with recording(open_link(address), file) as link:
        assert link.baud is None
        await link.set_baud(9600)
        await link.receive()
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert lines[0] == {"cellwire": "capture", "version": 1, "link": address}
    assert lines[1]["rx"] == "01"


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    address = capture(tmp_path / "a.jsonl", {"t": 0, "rx": "01"})
    link = recording(open_link(address), tmp_path / "no" / "folder")
    with pytest.raises(PortMissing, match="cannot be written"):
        await link.open()
