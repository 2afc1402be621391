"""A gateway whose history is sent in a process of its own, to be killed: python sender.py HISTORY URL TRAIL BATCH.

Prints how many rows it has sent whenever that changes.
"""

import asyncio
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "history"), str(HERE)]

from cellwire.gateway.config import HistorySettings, InfluxSettings  # noqa: E402
from cellwire.gateway.events import Events  # noqa: E402
from cellwire.outputs import influx  # noqa: E402
from cellwire.outputs.history import History  # noqa: E402


async def main(path: Path, url: str, trail: float, batch: int) -> None:
    """Send until killed."""
    influx.KEEP = 0.0

    def clock() -> float:
        return 2e9

    settings = HistorySettings(path=path, commit=0.01)
    history = History(settings, clock, clock, Events(clock), lambda meters: None)
    history.start()
    sink = influx.Influx(history, Events(clock), InfluxSettings(name="test", url=url, trail=trail, batch=batch))
    task = asyncio.create_task(sink.run())
    said = -1
    while not task.done():
        rows = int(sink.status["sent_rows"])
        if rows != said:
            print(rows, flush=True)
            said = rows
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
