"""cellwire decode: frames as hex, from arguments or a pasted log, become readings, or a sentence that says why not."""

import argparse
import io
import json
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..cli import DONE, USAGE, Failure
from ..codec.dialect import REFUSAL, REQUEST, Dialect
from ..codec.errors import ProtocolError
from ..families import dialects
from .packs import chosen

if TYPE_CHECKING:
    from ..codec.dialect import Frame

# A run of hex bytes, joined or with blanks, colons, commas or dashes between them, with or without 0x.
RUN = re.compile(r"(?<![0-9A-Za-z])(?:0x)?[0-9A-Fa-f]{2}(?:[\s:,.-]{0,2}(?:0x)?[0-9A-Fa-f]{2})+(?![0-9A-Za-z])")
# A date and a time at the beginning of a line; "01:03:12:90" is no time.
CLOCK = re.compile(r"^[\s\[(]*(?:\d{4}-\d\d-\d\d[T ]?)?(?:\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?![:0-9A-Fa-f]))?")


def run(options: argparse.Namespace) -> int:
    """Decode and print one JSON object a record."""
    families = chosen(options.family, "replay:")
    if isinstance(sys.stdin, io.TextIOWrapper):
        # A log may come from anywhere: a degree sign in an old code page must not hide the frames beside it.
        sys.stdin.reconfigure(errors="replace")
    data = b"".join(_argument(text) for text in options.hex) if options.hex else _log(sys.stdin)
    if not data:
        raise Failure(USAGE, "there is no hex in the input; paste frames such as dd03001d... or a log that shows them")
    dialect, receiver, frames = max((_received(dialect, data) for dialect in families), key=_worth)
    listener = dialect.listener()
    shown = 0
    for frame in frames:
        document = _document(dialect, frame, listener)
        if document:
            print(json.dumps(document, ensure_ascii=False))
            shown += 1
    complaint = _complaint(dialect, receiver, frames, data)
    if not shown:
        raise Failure(USAGE, complaint or "the frames are whole, but none of them holds a record")
    if complaint:
        print(f"cellwire: {complaint}", file=sys.stderr)
    return DONE


def _argument(text: str) -> bytes:
    digits = re.sub(r"0x|[\s:,-]", "", text)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        if len(digits) % 2 and re.fullmatch(r"[0-9A-Fa-f]+", digits):
            raise Failure(USAGE, f"{text[:40]!r} has an odd number of hex digits; one is missing") from None
        raise Failure(USAGE, f"{text[:40]!r} is not hex") from None


def _log(lines: Iterable[str]) -> bytes:
    """Return the bytes of a pasted log: the longest run of hex of each line, times and dates passed over."""
    data = b""
    for line in lines:
        if line.lstrip().startswith("{"):
            try:
                piece = json.loads(line)
                data += bytes.fromhex(piece.get("rx") or piece.get("tx") or "")
                continue
            except (ValueError, AttributeError, TypeError):
                pass
        runs = [re.sub(r"0x|[^0-9A-Fa-f]", "", found) for found in RUN.findall(CLOCK.sub(" ", line))]
        runs = [found for found in runs if len(found) % 2 == 0]
        if runs:
            data += bytes.fromhex(max(runs, key=len))
    return data


def _received(dialect: Dialect, data: bytes) -> "tuple[Dialect, Any, list[Frame]]":
    receiver = dialect.receiver()
    return dialect, receiver, receiver.feed(data)


def _worth(received: "tuple[Dialect, Any, list[Frame]]") -> tuple[int, int, int, int]:
    dialect, receiver, frames = received
    listener = dialect.listener()
    documents = [_document(dialect, frame, listener) for frame in frames]
    readable = sum("readings" in document for document in documents)
    # Dialects that share their frames tell each other's records apart by what cannot be read.
    sound = sum("error" not in document for document in documents)
    return readable, sound, receiver.damaged, receiver.waiting() - receiver.dropped


def _document(dialect: Dialect, frame: "Frame", listener: Any) -> dict[str, Any]:
    kind, address, key, payload = frame
    document: dict[str, Any] = {"dialect": dialect.name, "kind": kind}
    if address is not None:
        document["address"] = address
    if key is not None:
        document["key"] = key
    if kind in (REQUEST, REFUSAL):
        return {**document, "payload": payload.hex()}
    try:
        records = listener.take(frame)
        readings = records[0][1] if records else dialect.read(frame, {})
        if records and records[0][0] is not None:
            document["address"] = records[0][0]
    except ProtocolError as error:
        return {**document, "error": str(error)}
    return {**document, "readings": readings} if readings else {**document, "payload": payload.hex()}


def _complaint(dialect: Dialect, receiver: Any, frames: "list[Frame]", data: bytes) -> str:
    if receiver.damaged:
        return f"{receiver.damaged} {dialect.name} frame(s) with a wrong checksum: damaged on the way, or copied badly"
    if receiver.waiting():
        return f"truncated: a {dialect.name} frame begins, and its end is missing after {receiver.waiting()} bytes"
    if frames:
        return ""
    for other in dialects():
        if any(frame[0] != REQUEST for frame in _received(other, data)[2]):
            return f"unknown to {dialect.name}: this looks like {other.name}; try `cellwire decode {other.name}`"
    return f"unknown: {len(data)} bytes, and no frame of {dialect.family} among them"
