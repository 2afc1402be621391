"""All measurements side by side: decode, poll and start. `make bench` prints what docs/performance.md shows."""

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
    interpreter = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    missed = start()
    print(flush=True)
    missed |= subprocess.run([interpreter, HERE / "decode.py"]).returncode
    print(flush=True)
    missed |= subprocess.run([sys.executable, HERE / "poll.py"]).returncode
    return missed


if __name__ == "__main__":
    sys.exit(main())
