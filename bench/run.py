"""All measurements: start, decode, poll, gateway, history. `make bench` prints what docs/performance.md shows."""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def start() -> int:
    """Print how long the program needs to say its version; return 1 above 0.15 s."""
    times = []
    for _ in range(11):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cellwire", "--version"], capture_output=True, check=True)
        times.append(time.perf_counter() - begin)
    median = statistics.median(times)
    print(f"start, `cellwire --version`: {median * 1000:.0f} ms (median of {len(times)}, budget 150)")
    return int(median > 0.15)


def main() -> int:
    """Run every bench; return 1 when one misses its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decode-with", default=sys.executable, help="a Python in which aiobmsble is installed")
    parser.add_argument("--minutes", default="10", help="how long the gateway with 32 packs is watched")
    parser.add_argument("--days", default="365", help="how much history is generated: a year takes some 20 minutes")
    options = parser.parse_args()
    missed = start()
    print(flush=True)
    missed |= subprocess.run([options.decode_with, HERE / "decode.py"]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "poll.py"]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "gateway.py", "--minutes", options.minutes]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "history.py", "--days", options.days]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "lines.py"]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "modbus.py"]).returncode
    return missed


if __name__ == "__main__":
    sys.exit(main())
