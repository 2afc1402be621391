"""A fake gateway for the web server: three lively packs, a bank, events and history-like series.

To try the page against it: .venv/bin/python tests/web/desk.py --port 8901 (user admin, password battery-house).
"""

import argparse
import asyncio
import contextlib
import math
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path.append(str(Path(__file__).parent.parent))  # also when this file is run by itself
from fakes import FakeLink
from obedient import ObedientPack, obedient_dialect

from cellwire.gateway import config as files
from cellwire.gateway.config import WebSettings
from cellwire.gateway.control import Control, Denied
from cellwire.gateway.events import Event, Events
from cellwire.gateway.journal import Journal
from cellwire.gateway.poller import Poller
from cellwire.gateway.release import Releases
from cellwire.gateway.session import Session
from cellwire.gateway.store import BankState, PackState, Store
from cellwire.outputs.web import ChangeRefused, Web
from cellwire.outputs.web.access import Access

NAME, PASSWORD = "admin", "battery-house"
DAY = 86400.0
YEAR = 366 * DAY
CELLS = {"shed": 16, "garage": 16, "van": 4}
IDS = {"shed": "jk-pb-1", "garage": "jbd-0011223344", "van": "daly-6012345678"}
STEPS = {"raw": 5.0, "minute": 60.0, "hour": 3600.0, "day": DAY}
NUMBERS = ("voltage", "current", "power", "soc", "cell_min", "cell_max", "cell_delta", "temperature_max")
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")

OUTPUTS: list[dict[str, Any]] = [
    {
        "output": "mqtt", "name": "192.0.2.10:1883", "state": "failing", "published": 4711, "waiting": 12,
        "reason": "the broker refuses user and password; correct them", "reconnects": 2,
    },
    {"output": "modbus", "name": "modbus", "state": "running", "addresses": ["192.0.2.1:502"], "clients": 1},
    {"output": "influx", "name": "grafana", "state": "starting", "sent_rows": 0, "behind_rows": 90, "skipped_rows": 0},
]  # fmt: skip

CONFIGURATION = """# A made up configuration.
[[pack]]
name = "shed"
link = "/dev/serial/by-id/usb-FTDI-shed"
family = "jk-pb"
every = 1.0

[[pack]]
name = "garage"
link = "/dev/serial/by-id/usb-FTDI-garage"
family = "jbd"
every = 1.0

[[pack]]
name = "van"
link = "/dev/serial/by-id/usb-FTDI-van"
family = "daly"
every = 1.0

[[bank]]
name = "house"
packs = ["shed", "garage"]
"""


def sun(moment: float) -> float:
    """Return how strongly the sun shines, 0 to 1."""
    return max(0.0, math.sin((moment % DAY / DAY - 0.25) * math.tau))


def readings_at(name: str, moment: float) -> dict[str, Any]:
    """Return what a pack shows at a moment: charged by day, discharged in the evening."""
    cells = CELLS[name]
    phase = list(CELLS).index(name) * 0.7
    hour = moment % DAY / DAY
    current = round(40 * sun(moment) - 14 - 4 * math.sin(moment / 37 + phase) - (12 if hour > 0.75 else 0), 2)
    soc = 55 + 30 * math.sin((hour - 0.45) * math.tau) + 3 * math.sin(moment / (40 * DAY))
    level = 3.22 + 0.0016 * soc + current / 4000
    volts = [
        round(level + 0.004 * math.sin(cell * 1.7 + phase) + 0.001 * math.sin(moment / 11 + cell), 3)
        for cell in range(cells)
    ]
    warm = round(18 + 8 * sun(moment - 7200) + abs(current) / 12, 1)
    voltage = round(sum(volts), 2)
    return {
        "voltage": voltage,
        "current": current,
        "power": round(voltage * current, 1),
        "soc": round(soc, 1),
        "soh": 98,
        "full_capacity": 280.0,
        "remaining_capacity": round(2.8 * soc, 2),
        "cell_count": cells,
        "cell_voltages": volts,
        "cell_min": min(volts),
        "cell_max": max(volts),
        "cell_mean": round(sum(volts) / cells, 3),
        "cell_delta": round(max(volts) - min(volts), 3),
        "cell_min_number": volts.index(min(volts)) + 1,
        "cell_max_number": volts.index(max(volts)) + 1,
        "sensor_count": 3,
        "temperatures": [warm, round(warm - 1.4, 1), None],
        "temperature_min": round(warm - 1.4, 1),
        "temperature_max": warm,
        "mosfet_temperature": round(warm + 4, 1),
        "charge_mosfet": True,
        "discharge_mosfet": True,
        "balancing": current > 15,
        "balancing_cells": [volts.index(max(volts)) + 1] if current > 15 else [],
    }


class FakeReader:
    """A history that is computed when it is asked for, as if everything had been there for a year."""

    def __init__(self, store: Store, events: Events) -> None:
        self.store = store
        self.recorded = events

    def ids(self) -> set[str]:
        """Return the ids of the packs and the bank."""
        return {known["id"] for known in self.packs()}

    def packs(self) -> list[dict[str, Any]]:
        """Return the packs and the bank."""
        now = self.store.clock()
        found = []
        for name, cells in CELLS.items():
            columns = [*NUMBERS, *METERS, *(f"cell_voltages.{cell}" for cell in range(1, cells + 1))]
            columns += ["temperatures.1", "temperatures.2", "charge_mosfet"]
            found.append({"id": IDS[name], "name": name, "first": now - YEAR, "last": now, "columns": columns})
        bank = {"id": "bank-house", "name": "house", "first": now - YEAR, "last": now}
        return [*found, {**bank, "columns": [*NUMBERS[:4], *METERS]}]

    def _at(self, id: str, moment: float) -> dict[str, Any]:
        name = next((name for name, known in IDS.items() if known == id), "shed")
        readings = readings_at(name, moment)
        hours = moment / 3600
        return {**readings, "energy_in": hours * 0.6, "energy_out": hours * 0.55, "charge_in": hours * 12}

    def _column(self, id: str, name: str, moment: float) -> float | None:
        value = self._at(id, moment).get(name.partition(".")[0])
        if isinstance(value, list):
            number = int(name.partition(".")[2] or 0)
            value = value[number - 1] if 0 < number <= len(value) else None
        return None if value is None else float(value)

    def series(
        self, id: str, names: Sequence[str], start: float, end: float, points: int = 1000, resolution: str = ""
    ) -> dict[str, Any]:
        """Return series as the real history would."""
        span = end - start
        if not resolution:
            resolution = "raw" if span <= 6 * 3600 else "minute" if span <= 7 * DAY else "hour"
        start, end = max(start, self.store.clock() - YEAR), min(end, self.store.clock())
        step = max(STEPS[resolution], (end - start) / points)
        count = max(0, math.ceil((end - start) / step))
        times = [round(start + step * number, 3) for number in range(count)]
        series = {}
        for name in names:
            avg = [self._column(id, name, moment) for moment in times]
            band = 0.0 if resolution == "raw" else 0.01
            low = [None if value is None else value - abs(value) * band for value in avg]
            high = [None if value is None else value + abs(value) * band for value in avg]
            series[name] = {"min": low, "avg": avg, "max": high}
        return {"resolution": resolution, "step": step, "times": times, "series": series}

    def energy(self, id: str, period: str, start: float, end: float, zone: str) -> list[dict[str, Any]]:
        """Return sums of local days or months."""
        moment = datetime.fromtimestamp(start, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        if period == "month":
            moment = moment.replace(day=1)
        found: list[dict[str, Any]] = []
        while moment.timestamp() < end and len(found) < 5000 and moment.year < 9990:
            after = moment + timedelta(days=32 if period == "month" else 1)
            after = after.replace(day=1) if period == "month" else after
            hours = (after.timestamp() - moment.timestamp()) / 3600
            shine = 0.6 + 0.4 * math.sin(moment.timestamp() / (30 * DAY))
            found.append(
                {
                    "from": moment.timestamp(),
                    "to": after.timestamp(),
                    "energy_in": round(hours * 0.5 * shine, 3),
                    "energy_out": round(hours * 0.45 * shine, 3),
                    "charge_in": round(hours * 9.5 * shine, 3),
                    "charge_out": round(hours * 9.1 * shine, 3),
                }
            )
            moment = after
        return found

    def events(
        self, start: float, end: float, id: str = "", kinds: Sequence[str] = (), limit: int = 500
    ) -> list[dict[str, Any]]:
        """Return the events of the fake gateway."""
        found = [
            vars(event)
            for event in reversed(self.recorded.recent)
            if start <= event.time < end and id in ("", event.pack) and (not kinds or event.kind in kinds)
        ]
        return found[:limit]

    def rows(self, id: str, start: float, end: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Yield rows five seconds apart."""
        moment = max(start, self.store.clock() - YEAR)
        while moment < min(end, self.store.clock()):
            yield moment, self._at(id, moment)
            moment += 5.0


class FakeHistory:
    """The history of the fake gateway."""

    def __init__(self, store: Store, events: Events) -> None:
        self.reader = FakeReader(store, events)
        self.status: dict[str, Any] = {
            "state": "ok", "reason": "", "queued_rows": 3, "committed_seq": 123456, "file_bytes": 52428800,
            "loses_at_most_s": 10.0, "mb_per_day": 0.9,
        }  # fmt: skip


RADIO: dict[str, Any] = {
    "connected": True, "radio": "hci0", "connected_for": 4210.5, "rssi": -71, "rssi_age": 4212.1, "drops_an_hour": 1,
    "counts": {"connections": 4, "drops": 3, "notify_again": 2, "reconnect": 1},
    "causes": {"dropped": 3, "stalled": 3, "timeout": 1},
    "last_cause": "the connection was lost; it is made again", "period": 52.0,
}  # fmt: skip
RADIOS: list[dict[str, Any]] = [
    {"name": "hci0", "kind": "adapter", "slots": 5, "used": 5, "waiting": 2, "state": "ready", "reason": ""},
    {
        "name": "kitchen", "kind": "proxy", "slots": 3, "used": 0, "waiting": 0, "state": "trouble",
        "reason": "the proxy does not answer; look whether it has power",
    },
]  # fmt: skip


class FakeWire:
    """The garage's link, by Bluetooth, on which the van is said to be too."""

    names = ("garage", "van")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.released_until: float | None = None
        self.who = ""
        self.busy = False

    @property
    def reason(self) -> str:
        return f"released for the phone app until 14:05 (by {self.who})"

    async def release(self, seconds: float, who: str) -> None:
        if self.busy:
            raise Denied("something is being written or its settings are being read; try again in a moment")
        self.released_until, self.who = self.store.clock() + seconds, who
        for name in self.names:
            self.store.release(self.store.packs[name], self.reason)

    async def resume(self, who: str) -> None:
        self.released_until = None
        for name in self.names:
            pack = self.store.packs[name]
            pack.trouble = pack.reason = ""


class FakeDesk:
    """A gateway whose packs are made up; `step` makes them move.

    The van obeys writes, or misbehaves as its `mood` says; of the other packs nobody knows what they speak.
    grants: what each pack accepts
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.store = Store(clock)
        self.events = Events(clock)
        self.history: FakeHistory | None = FakeHistory(self.store, self.events)
        self.started = clock()
        self.changes: list[tuple[str, str, dict[str, Any] | None, str]] = []
        self.text = CONFIGURATION
        self.config = files.parse(CONFIGURATION, Path("/etc/cellwire/cellwire.toml"))
        self.scans = 0
        families = {"shed": ("jk", "jk-pb"), "garage": ("jbd", "jbd"), "van": ("daly", "daly-p81")}
        for name, (family, dialect) in families.items():
            pack = self.store.add(PackState(name, family, dialect, 1, 1.0))
            pack.pinned_id, pack.settled = IDS[name], True
        self.store.add_bank(BankState("house", ("shed", "garage")))
        self.van = ObedientPack()
        self.van.link = FakeLink(self.van)
        van = self.store.packs["van"]
        self.pollers = {"van": Poller(Session(self.van.link), obedient_dialect(), 1, self.store, van)}
        self.grants = dict.fromkeys(families, "service")
        self.wire = FakeWire(self.store)
        self.releases = Releases(lambda name: self.wire if name in self.wire.names else None)
        # Its file is named when it is served.
        self.control = Control(Journal(Path("/nowhere"), clock), self.events, self.pollers.get, self.grants.get)
        self.step()

    def step(self) -> None:
        """Let a second pass."""
        now = self.store.clock()
        for name, pack in self.store.packs.items():
            if name in CELLS and not pack.trouble:
                hours = (now - self.started) / 3600
                meters = {"energy_in": 812.4 + hours, "energy_out": 774.1 + hours, "charge_in": 15731.0 + hours}
                model = {"model": f"Fake {pack.family.upper()}", "serial_number": IDS[name].rpartition("-")[2]}
                limits = {"charge_current_limit": 100.0, "discharge_current_limit": 120.0}
                warnings = {"warnings": ["cell_overvoltage"] if "cell_overvoltage" in pack.since else []}
                self.store.accept(pack, {**readings_at(name, now), **meters, **model, **limits, **warnings})
        for bank in self.store.banks.values():
            members = [self.store.packs[name] for name in bank.packs if name in self.store.packs]
            counting = [pack for pack in members if not pack.trouble and pack.readings]
            bank.missing = {pack.name: f"{pack.name} is {pack.trouble}" for pack in members if pack not in counting}
            bank.time = now if counting else bank.time
            if counting:
                bank.readings = self._sum(counting, len(bank.packs))

    def _sum(self, packs: list[PackState], total: int) -> dict[str, Any]:
        lowest = min(packs, key=lambda pack: pack.readings["cell_min"])
        highest = max(packs, key=lambda pack: pack.readings["cell_max"])
        mean = {name: sum(pack.readings[name] for pack in packs) / len(packs) for name in ("voltage", "soc")}
        whole = {name: round(sum(pack.readings[name] for pack in packs), 2) for name in ("current", "power")}
        return {
            "voltage": round(mean["voltage"], 2),
            "soc": round(mean["soc"], 1),
            **whole,
            "cell_min": lowest.readings["cell_min"],
            "cell_min_pack": lowest.name,
            "cell_max": highest.readings["cell_max"],
            "cell_max_pack": highest.name,
            "packs_present": len(packs),
            "packs_total": total,
        }

    def adventure(self, seconds: int) -> None:
        """Let something happen now and then: an alarm on the van, and the garage away for a while."""
        van, garage = self.store.packs["van"], self.store.packs["garage"]
        match seconds % 120:
            case 20:
                van.since["cell_overvoltage"] = self.store.clock()
                self.events.add("alarm_on", "van: cell_overvoltage", van.id, "van", alarm="cell_overvoltage")
            case 50:
                van.since.clear()
                self.events.add("alarm_off", "van: cell_overvoltage is over", van.id, "van", alarm="cell_overvoltage")
            case 70:
                self.store.fail(garage, "lost", "no answer for 10 seconds; look at the cable")
                self.events.add("state", "garage is lost: no answer", garage.id, "garage", state="lost")
            case 95:
                garage.trouble = garage.reason = ""
                self.events.add("state", "garage is online again after 25 s", garage.id, "garage", state="online")

    def past(self, random_numbers: random.Random) -> None:
        """Put events of the last month into the memory."""
        now = self.store.clock()
        for number in range(80, 0, -1):
            name = random_numbers.choice(list(CELLS))
            kind = random_numbers.choice(("alarm_on", "alarm_off", "state", "full"))
            text = {"alarm_on": "cell_overvoltage", "alarm_off": "cell_overvoltage is over", "state": "online again"}
            moment = now - number * 9 * 3600
            words = f"{name}: {text.get(kind, 'truly full, counter set')}"
            self.events.recent.append(Event(moment, kind, words, IDS[name], name, {}))

    def link_of(self, pack: str) -> dict[str, Any]:
        """Return what is known of the link."""
        address = f"/dev/serial/by-id/usb-FTDI-{pack}"
        document = {"address": address, "counts": {"asked": 812, "good": 809, "checksum": 3}, "poll_time": 0.0831}
        if pack == "garage":
            document |= {"address": "ble:C8:47:8C:00:00:01", "radio": RADIO}
        if pack in self.wire.names and self.wire.released_until is not None:
            until = self.wire.released_until
            document |= {"released_until": until, "released_for": until - self.store.clock()}
        return document

    def health(self) -> dict[str, Any]:
        """Return how it goes."""
        packs: list[dict[str, Any]] = []
        for pack in self.store.packs.values():
            snapshot = self.store.snapshot(pack)
            shown: dict[str, Any] = {
                key: snapshot[key] for key in ("pack", "id", "state", "age", "reason") if key in snapshot
            }
            packs.append({**shown, "counts": dict(pack.counts), "poll_time": 0.0831, "link": self.link_of(pack.name)})
        now = self.store.clock()
        history = self.history.status if self.history else {"state": "off"}
        base: dict[str, Any] = {
            "radios": RADIOS,
            "version": "0.1.0",
            "started": self.started,
            "uptime": now - self.started,
            "ok": True,
        }
        return {**base, "packs": packs, "history": history, "outputs": OUTPUTS, "clock": {"time": now, "steps": 0}}

    def metrics(self) -> str:
        return "# HELP cellwire_up whether the gateway answers\n# TYPE cellwire_up gauge\ncellwire_up 1.0\n"

    def configuration(self) -> dict[str, Any]:
        """Return the configuration."""
        return {**files.document(self.config), "path": str(self.config.path), "writable": True}

    async def change(self, kind: str, name: str, value: dict[str, Any] | None, who: str) -> None:
        """Change the text of the configuration, checked as the real one is; the packs here stay what they are."""
        path, text = self.config.path, self.text
        packs, banks = [pack.name for pack in self.config.packs], [bank.name for bank in self.config.banks]
        known = name in (packs if kind == "pack" else banks)
        if value is None and not known:
            raise ChangeRefused(f"there is no {kind} {name}; look at the configuration")
        settings, before = {"name": name, **(value or {})}, name if known else ""
        if kind == "pack":
            text = (
                files.with_pack(text, settings, before, path) if value is not None else files.without_pack(text, name)
            )
        elif kind == "bank":
            text = (
                files.with_bank(text, settings, before, path) if value is not None else files.without_bank(text, name)
            )
        else:
            text = files.with_section(text, kind, value or {}, path)
        self.config, self.text = files.parse(text, path), text
        self.changes.append((kind, name, value, who))
        self.events.add("configuration", f"{who} {'removed' if value is None else 'changed'} {kind} {name}".rstrip())

    def scan(self) -> None:
        """Begin to look for packs."""
        self.scans += 1
        self._scan_ends = time.monotonic() + 3

    _scan_ends = 0.0

    def scanned(self) -> dict[str, Any]:
        """Return what was found."""
        if not self.scans or time.monotonic() < self._scan_ends:
            return {"running": bool(self.scans), "links": []}
        proof = "answered the question for its settings"
        found = {"family": "jk", "dialect": "jk-pb", "address": 2, "model": "JK_PB2A16S20P", "proof": proof}
        advice = "swap A and B, or look whether the pack is switched on"
        silent = {"link": "/dev/ttyUSB1", "packs": [], "problem": "nothing answers", "advice": advice}
        signs = [{"family": "jbd", "why": "it has the service FF00"}]
        heard = {"name": "Boat", "rssi": -71, "radio": "hci0", "taken_for": signs}
        unasked = {"link": "ble:A5:C2:37:00:00:02", **heard, "packs": [], "problem": "not_asked", "advice": "name it"}
        return {"running": False, "links": [{"link": "/dev/ttyUSB0", "packs": [found]}, silent, unasked]}


@contextlib.asynccontextmanager
async def serving(
    folder: Path, desk: FakeDesk | None = None, set_up: bool = True, **settings: Any
) -> AsyncIterator[Web]:
    """Serve a fake gateway from this process; yields the server, its `port` is known then."""
    access = folder / "access.json"
    if set_up and not access.exists():
        Access(access, time.time).add_user(NAME, PASSWORD, "service")
    whole = {"listen": "127.0.0.1:0", "access": access, **settings}
    desk = desk or FakeDesk()
    desk.control.journal.path = folder / "journal.jsonl"
    server = Web(desk, WebSettings(**whole))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def serve(options: argparse.Namespace) -> None:
    """Serve until stopped."""
    with tempfile.TemporaryDirectory() as folder:
        desk = FakeDesk()
        desk.past(random.Random(1))
        listen = f"127.0.0.1:{options.port}"
        settings = {"listen": listen, "prefix": options.prefix, "guests": options.guests}
        async with serving(Path(folder), desk, not options.setup, **settings) as server:
            print(server.addresses[0], flush=True)
            if options.tokens:
                for grant in ("read", "service"):
                    print(server.site.access.add_token(grant, grant), flush=True)
            if server.site.setup_code:
                print(f"{server.addresses[0]}#/setup/{server.site.setup_code}", flush=True)
            seconds = 0
            while True:
                await asyncio.sleep(1)
                seconds += 1
                desk.step()
                if not options.calm:
                    desk.adventure(seconds)


def main() -> int:
    """Serve the fake gateway on the port given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--guests", action="store_true", help="let everybody read")
    parser.add_argument("--setup", action="store_true", help="as at the first start: no user yet")
    parser.add_argument("--calm", action="store_true", help="nothing happens: no alarm, no lost pack")
    parser.add_argument("--tokens", action="store_true", help="print a token that reads and one that may do anything")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
