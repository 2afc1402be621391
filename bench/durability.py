"""Kills and power cuts in numbers: what was acknowledged must be there, the file sound, no meter may go back.

    python bench/durability.py --kills 50 --cuts 60

Fails when a row, an event or a meter reading that was acknowledged is lost, or when `cellwire history verify` finds
anything. The power cuts need strace.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests"), str(Path(__file__).parent.parent / "tests/history")]

import durable  # noqa: E402
import powercut  # noqa: E402

# Ticks of the recorded runs: an hour has 720, so these hold several sealings, and the last one a checkpoint.
RUNS = (1500, 900, 3200)


def kills(count: int, seed: int) -> int:
    """Kill a history `count` times; return 1 when anything is lost."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = durable.survive_kills(Path(folder), count, seed)
        except AssertionError as loss:
            print(f"FAIL kill -9: {loss}")
            return 1
    print(f"PASS kill -9: {count} times, {rows} acknowledged rows, none lost, {time.monotonic() - begin:.0f} s")
    return 0


def power_cuts(count: int, seed: int) -> int:
    """Cut the power `count` times in several recorded runs; return 1 when anything is lost."""
    if why := powercut.recording_works():
        print(f"FAIL power cuts: {why}")
        return 1
    missed = 0
    for number, ticks in enumerate(RUNS):
        share = count // len(RUNS) + (number < count % len(RUNS))
        missed |= power_cut(ticks, share, seed + number) if share else 0
    missed |= negative_control(seed)
    return missed


def power_cut(ticks: int, count: int, seed: int) -> int:
    """Record one run and cut it `count` times; return 1 when anything is lost."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        order = powercut.evening(Path(folder), ticks)
        order.seed = seed
        wrong, held = powercut.losses_by_cuts(order, Path(folder), count, seed)
    about = f"{held['write']} writes, {held['sync']} syncs, {held['written'] / 1e6:.1f} MB"
    about += f", {held['checkpointed']} pages checkpointed"
    verdict = "FAIL" if wrong else "PASS"
    print(f"{verdict} power cut: {count} times in {ticks} ticks ({about}), {time.monotonic() - begin:.0f} s")
    for loss in wrong[:10]:
        print(f"     {loss}")
    return int(bool(wrong))


def negative_control(seed: int) -> int:
    """Cut a history with synchronous=NORMAL; return 1 when no loss is noticed, because then the rig is blind."""
    with tempfile.TemporaryDirectory() as folder:
        order = powercut.evening(Path(folder), 400, synchronous="NORMAL")
        wrong, _held = powercut.losses_by_cuts(order, Path(folder), 5, seed)
    verdict = "PASS" if wrong else "FAIL"
    print(f"{verdict} power cut with synchronous=NORMAL: {len(wrong)} losses noticed, as there must be")
    return int(not wrong)


def main() -> int:
    """Run what was asked for; return 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missed = kills(options.kills, options.seed) if options.kills else 0
    return missed | (power_cuts(options.cuts, options.seed) if options.cuts else 0)


if __name__ == "__main__":
    sys.exit(main())
