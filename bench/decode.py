"""Frames a second from notification pieces to all readings: Cellwire, aiobmsble, and a hand-written struct decoder.

Run under Python 3.12 or 3.13, which aiobmsble needs: `make bench`. Each row is the median of several rounds taken
in turn, so that a slow moment of the machine meets all of them.
"""

import asyncio
import json
import logging
import statistics
import struct
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from cellwire.codec.dialect import Dialect
from cellwire.families import dialects

ROUNDS, SECONDS = 7, 0.25

CASES = (
    # title, dialect, [(query, vector)], bytes a notification, aiobmsble module
    ("JK02 32S cell info", "jk02", [("cells", "jk02-32s-cell-info-pb2a16s20p-15.38")], 128, "jikong_bms"),
    (
        "JBD basic + cells",
        "jbd",
        [("basic", "basic_4s_btsnoop_chunks"), ("cells", "cells_4s_btsnoop")],
        20,
        "jbd_bms",
    ),
    ("Daly D2 status", "daly-d2", [("status", "d2_status62_24s")], 165, "daly_bms"),
)


def frame(family: str, name: str) -> bytes:
    """Return the bytes of a captured vector."""
    vectors = json.loads(files(f"cellwire.families.{family}").joinpath("vectors.json").read_text())["vectors"]
    for vector in vectors:
        if vector["id"] == name:
            return bytes.fromhex(vector.get("hex") or "".join(vector["chunks"]))
    raise KeyError(name)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Return the data cut as Bluetooth notifications cut it."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def ours(dialect: Dialect, work: list[tuple[str, list[bytes]]]) -> Callable[[], dict[str, Any]]:
    """Return a function that decodes everything once with Cellwire."""
    queries = [(dialect.query(name), parts) for name, parts in work]
    address = dialect.addresses[0]
    known = {"record_variant": "32S"}

    def run() -> dict[str, Any]:
        readings: dict[str, Any] = {}
        for query, parts in queries:
            receiver = dialect.receiver()
            for part in parts:
                frames = receiver.feed(part)
                values = dialect.collect(query, address, frames, known, False) if frames else None
                if values is not None:
                    # Two records of one pack make one sample; a single one is the sample.
                    readings = {**readings, **values} if readings else values
        return readings

    return run


def theirs(module: str, work: list[tuple[str, list[bytes]]]) -> Callable[[], dict[str, Any]]:
    """Return a function that decodes the same notifications with aiobmsble's class."""
    import importlib

    from bleak.backends.device import BLEDevice

    logging.disable(logging.CRITICAL)
    bms = importlib.import_module(f"aiobmsble.bms.{module}").BMS(
        BLEDevice("00:00:00:00:00:00", "bench", {"path": "/bench"})
    )
    parts = [[bytearray(part) for part in one] for _, one in work]
    if module == "jikong_bms":
        bms._sw_version, bms._prot_offset, bms._valid_reply = 15, 0, 0x02

    state = {"next": 0}

    async def answer(*_: Any, **__: Any) -> None:
        for part in parts[state["next"]]:
            bms._notification_handler(None, part)
        state["next"] += 1

    bms._await_msg = answer
    if module == "daly_bms":
        bms._mos_avail = False

    def run() -> dict[str, Any]:
        state["next"] = 0
        bms._frame.clear() if hasattr(bms, "_frame") else None
        bms._msg_event.clear()
        try:
            bms._async_update().send(None)
        except StopIteration as end:
            result: dict[str, Any] = end.value
            return result
        raise RuntimeError("aiobmsble waited")

    return run


def floor(title: str, work: list[tuple[str, list[bytes]]]) -> Callable[[], dict[str, Any]]:
    """Return the least that can be done by hand: join, check, unpack, divide the main values."""
    from cellwire.codec.checksum import CRC16_TABLE

    jk = struct.Struct("<32H").unpack_from
    jk_rest = struct.Struct("<144xh4xIIihh").unpack_from
    jbd = struct.Struct(">4xHhHHHHHHHBBBBB").unpack_from
    d2 = struct.Struct(">3x62H").unpack_from

    def run_jk() -> dict[str, Any]:
        data = b"".join(work[0][1])
        assert sum(data[:299]) & 0xFF == data[299]
        rest = jk_rest(data)
        return {"cells": [raw / 1000 for raw in jk(data, 6)[:16]], "voltage": rest[1] / 1000, "current": rest[3] / 1000}

    def run_jbd() -> dict[str, Any]:
        data, cells = b"".join(work[0][1]), b"".join(work[1][1])
        for one in (data, cells):
            assert -sum(one[2:-3]) & 0xFFFF == one[-3] << 8 | one[-2]
        row = jbd(data)
        return {
            "voltage": row[0] / 100,
            "current": row[1] / 100,
            "cells": [raw / 1000 for raw in struct.unpack_from(f">{cells[3] // 2}H", cells, 4)],
            "temperatures": [(raw - 2731) / 10 for raw in struct.unpack_from(f">{row[13]}H", data, 27)],
        }

    def run_d2() -> dict[str, Any]:
        data = b"".join(work[0][1])
        crc = 0xFFFF
        for byte in data[:-2]:
            crc = (crc >> 8) ^ CRC16_TABLE[(crc ^ byte) & 0xFF]
        assert crc == data[-1] << 8 | data[-2]
        row = d2(data)
        return {
            "cells": [raw / 1000 for raw in row[: row[49]]],
            "voltage": row[40] / 10,
            "current": (row[41] - 30000) / 10,
        }

    return run_jk if title.startswith("JK") else run_jbd if title.startswith("JBD") else run_d2


def rate(run: Callable[[], dict[str, Any]], seconds: float) -> float:
    """Return runs a second."""
    count, start = 0, time.perf_counter()
    while True:
        for _ in range(100):
            run()
        count += 100
        passed = time.perf_counter() - start
        if passed >= seconds:
            return count / passed


def main() -> int:
    """Print the table; return 1 when Cellwire is not at least three times as fast as aiobmsble."""
    print(f"decode, Python {sys.version.split()[0]}, frames a second (median of {ROUNDS} rounds in turn)")
    print(f"{'record':<22}{'by hand':>10}{'cellwire':>10}{'aiobmsble':>10}{'ratio':>7}  readings")
    slow = False
    for title, name, work, size, module in CASES:
        dialect = dialects(name)[0]
        parts = [(query, pieces(frame(dialect.family, vector), size)) for query, vector in work]
        runs = [floor(title, parts), ours(dialect, parts)]
        try:
            runs.append(theirs(module, parts))
        except ImportError:
            print("aiobmsble is not installed here (it needs Python 3.12); only our own figures follow")
        counts = [len(run()) for run in runs]
        rates: list[list[float]] = [[] for _ in runs]
        for _ in range(ROUNDS):
            for number, run in enumerate(runs):
                rates[number].append(rate(run, SECONDS))
        medians = [statistics.median(one) for one in rates]
        ratio = statistics.median(a / b for a, b in zip(rates[1], rates[2], strict=True)) if len(runs) > 2 else 0.0
        slow |= 0 < ratio < 3
        columns = "".join(f"{median:>10,.0f}" for median in medians)
        print(f"{title:<22}{columns}{ratio:>7.1f}  {' / '.join(str(count) for count in counts)}")
    return int(slow)


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    sys.exit(main())
