"""Writes docs/captures/*.jsonl: the captured frames of one pack each, put behind the questions they answer."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from cellwire.families import dialects

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs/captures"


class Capture(NamedTuple):
    """One file: the dialect and address of a pack, where its frames come from, and which vector answers which query."""

    name: str
    dialect: str
    address: int
    source: str
    answers: tuple[tuple[str, str], ...]


CAPTURES = (
    Capture(
        "daly-a5-14s",
        "daly-a5",
        1,
        "diysolarforum thread 21898, the maker's PC tool reading one pack of 14 cells; "
        "questions that the tool asked in another order",
        (
            ("status", "a5_94_14s"),
            ("pack", "a5_90_idle"),
            ("cells", "a5_95_14s_5frames"),
            ("temperatures", "a5_96_two_frames_one_sensor"),
            ("mosfets", "a5_93_idle"),
            ("alarms", "a5_98_none"),
            ("balancing", "a5_97_none"),
            ("cell_extremes", "a5_91"),
            ("temperature_extremes", "a5_92"),
        ),
    ),
    Capture(
        "daly-d2-24s",
        "daly-d2",
        0,
        "syssi/esphome-daly-bms docs/pdus/daly_bms_24cells.txt, one pack of 24 cells; the question was put in front",
        (("status", "d2_status62_24s"),),
    ),
    Capture(
        "daly-p81-16s",
        "daly-p81",
        1,
        "syssi/esphome-daly-bms docs/pdus/ess-dl-bms-41_260321_0323.txt, one pack of 16 cells; "
        "questions and answers as logged, times made up",
        (
            ("cells", "p81_cells_ess"),
            ("status", "p81_status_ess"),
            ("versions", "p81_version_ess"),
            ("settings", "p81_settings_ess"),
        ),
    ),
    Capture(
        "jbd-4s",
        "jbd",
        0,
        "syssi/esphome-jbd-bms docs/pdus/JBD-SP04S034-L4S-200A-B-U.txt, one board of 4 cells; times made up",
        (("basic", "basic_4s_idle"), ("cells", "cells_4s"), ("name", "hwname_4s"), ("counters", "counts_24")),
    ),
    Capture(
        "jbd-16s",
        "jbd",
        0,
        "public test file tests/test_jbd.py of a solar dashboard (its repository is not known), one pack of 16 cells "
        "that is being charged; the questions were put in front",
        (("basic", "basic_16s_6ntc_charge"), ("cells", "cells_16s_chunks")),
    ),
    Capture(
        "jbd-up-16s",
        "jbd-up",
        1,
        "syssi/esphome-jbd-bms docs/pdus/JBD-UP16S020-two-devices.txt, address 1 of two rack packs; times made up",
        (
            ("status", "up_rsp_pack_status_a1"),
            ("information", "up_rsp_pack_info_a1"),
            ("clock", "up_rsp_clock_a1"),
            ("protection", "up_rsp_protection_a1"),
            ("own", "up_rsp_slave_status_a1"),
        ),
    ),
    Capture(
        "jk-pb-8s",
        "jk-pb",
        1,
        "jblance/mpp-solar mppsolar/protocols/jkpb.py, one pack of 8 cells that is being charged; "
        "questions by the same source, times made up",
        (
            ("settings", "pb-settings-addr1-15.10-308-bytes"),
            ("cells", "pb-status-addr1-15.10-308-bytes"),
            ("device", "pb-about-addr1-15.10-308-bytes"),
        ),
    ),
    Capture(
        "jk-uart-14s",
        "jk-uart",
        0,
        "syssi/esphome-jk-bms docs/protocol-design-uart-ttl-gps-port.md, one pack of 14 cells; "
        "question by the same source",
        (("status", "uart-status-14s-sw6.1.3s"),),
    ),
    Capture(
        "jk02-8s",
        "jk02",
        0,
        "patman15/aiobmsble tests/bms/test_jikong_bms.py, one pack of 8 cells (JK-B2A8S20P, software 11.48); "
        "the questions were put in front, times made up",
        (("device", "jk02-32s-device-info-b2a8s20p-11.48"), ("cells", "jk02-32s-cell-info-b2a8s20p-11.48")),
    ),
)


def lines_of(capture: Capture) -> list[dict[str, Any]]:
    """Return the lines of the file: the header, then question and answer in turn."""
    dialect = dialects(capture.dialect)[0]
    path = ROOT / "src/cellwire/families" / dialect.family / "vectors.json"
    vectors = {row["id"]: row for row in json.loads(path.read_text(encoding="utf-8"))["vectors"]}
    lines: list[dict[str, Any]] = [
        {
            "cellwire": "capture",
            "version": 1,
            "link": "ble" if not dialect.bauds else "serial",
            "dialect": capture.dialect,
            "address": capture.address,
            "source": capture.source,
        }
    ]
    clock = 0.0
    for query, name in capture.answers:
        row = vectors[name]
        request = dialect.request(dialect.query(query), capture.address)
        lines.append({"t": round(clock, 3), "tx": request.hex()})
        clock += 0.05
        for chunk in row.get("chunks") or [row["hex"]]:
            lines.append({"t": round(clock, 3), "rx": chunk})
            clock += 0.02
        clock = round(clock + 0.1, 3)
    return lines


def text_of(capture: Capture) -> str:
    """Return the text of the file."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines_of(capture))


def main() -> int:
    """Write all files."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for capture in CAPTURES:
        (TARGET / f"{capture.name}.jsonl").write_text(text_of(capture), encoding="utf-8")
    print(f"{len(CAPTURES)} captures in {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
