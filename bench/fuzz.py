"""Feeds random bytes to every receiver for as long as you like: with atheris where it is, else with Hypothesis."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

try:
    import atheris
except ImportError:
    atheris = None
else:
    # It guides the bytes by the branches they reach, so it has to see our modules being imported.
    with atheris.instrument_imports(include=["cellwire"]):
        import cellwire.families

        cellwire.families.dialects()

from hypothesis import HealthCheck, given, settings
from test_fuzz import seeds, streams, swallow

from cellwire.codec.dialect import Dialect
from cellwire.families import dialects


def with_hypothesis(dialect: Dialect, seconds: float) -> int:
    """Run rounds of random streams until the time is over; return how many streams there were."""
    done = 0
    end = time.monotonic() + seconds

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(streams(seeds(dialect.name)))
    def some(chunks: list[bytes]) -> None:
        nonlocal done
        if time.monotonic() < end:
            swallow(dialect, chunks)
            done += 1

    while time.monotonic() < end:
        some()
    return done


def with_atheris(minutes: float) -> None:
    """Let atheris guide the bytes by what code they reach, in all dialects at once. It does not return."""
    every = dialects()

    def one(data: bytes) -> None:
        if len(data) > 1:
            step = 1 + data[0] // 8
            rest = data[1:]
            chunks = [rest[at : at + step] for at in range(0, len(rest), step)]
            for dialect in every:
                swallow(dialect, chunks)

    atheris.Setup([sys.argv[0], f"-max_total_time={int(minutes * 60)}", "-max_len=2048"], one)
    atheris.Fuzz()


def main() -> int:
    """Run for the minutes that were asked for, shared among the dialects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--family", default="", help="only this family or dialect")
    options = parser.parse_args()
    chosen = dialects(options.family)
    if atheris is not None and not options.family:
        with_atheris(options.minutes)
    if atheris is None:
        print("atheris is not installed (pip install atheris): Hypothesis makes the bytes instead")
    for dialect in chosen:
        done = with_hypothesis(dialect, options.minutes * 60 / len(chosen))
        print(f"{dialect.name:10} {done} streams, nothing but a ProtocolError came out", flush=True)
    return 0 if chosen else 2


if __name__ == "__main__":
    sys.exit(main())
