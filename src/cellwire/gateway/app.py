"""The gateway that runs all day: puts links, packs, accounts, history and page together, and keeps them going."""

import asyncio
import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..families import dialects
from ..links.link import LinkError
from ..outputs import prometheus
from ..outputs.history import History, Row, Saved
from ..outputs.influx import Influx
from ..outputs.modbus import Modbus
from ..outputs.mqtt import Mqtt, has_password
from ..outputs.web import ChangeRefused, Web, WebError
from . import air, scan
from . import config as files
from .accounts import Accounts
from .config import (
    Config,
    ConfigError,
    HistorySettings,
    InfluxSettings,
    LimitSettings,
    ModbusSettings,
    MqttSettings,
    PackSettings,
)
from .control import Control
from .events import Events
from .journal import Journal
from .keeper import Keeper, end
from .poller import Poller
from .release import Releases
from .store import ONLINE, SLOW, STALE_AFTER, Store
from .wire import Wire

log = logging.getLogger("cellwire")

# Whoever may change the configuration from afar must not choose which files the gateway writes.
PATHS = {"access", "certificate", "key", "path", "password_file", "token_file", "ca"}
SHOWN = ("pack", "id", "state", "age", "reason")  # of a pack's snapshot in the health document
OutputSettings = MqttSettings | ModbusSettings | InfluxSettings
TICK = 1.0  # seconds between looks at banks, ages and what has to be written down
LAST_WORDS = 10.0  # seconds for the history to get everything onto the disk at the end


class Gateway:
    """Everything that runs, from one configuration; what the page asks for is outputs/web/desk.py."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        self.store = Store(clock, time.monotonic)
        self.events = Events(clock)
        self.accounts = Accounts(self.store, self.events, config)
        self.store.follow = self.accounts.take
        self.history: History | None = None
        self.started = clock()
        self._started = self.store.monotonic()
        self._names: dict[str, str] = {}  # as the history knows them, by id
        self.radios = air.radios(config.bluetooth, config.proxies)
        self.releases = Releases(self._wire_of)
        self._wires: Keeper[Wire] = Keeper()
        self._outputs: Keeper[Mqtt | Modbus | Influx] = Keeper()
        self._recorded: dict[str, float] = {}  # when the sample of the last row came, by id
        self._web = Web(self, config.web)
        self._changing = asyncio.Lock()  # one change of what runs at a time
        self._reloads: set[asyncio.Task[None]] = set()
        self._scan: asyncio.Task[None] | None = None
        self._scanned: list[scan.Document] = []
        self._unheard = ""
        self._ended = asyncio.Event()
        self.control = Control(
            Journal(config.control.journal, clock), self.events, self._poller_of, self._grant_of, self._is_passive,
            self._chemistry_of,
        )  # fmt: skip
        self._reason: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or something that cannot go on fails; nothing that was measured is lost."""
        loop = asyncio.get_running_loop()
        self._start_history(self.config.history)
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        self.events.add("start", f"Cellwire {__version__} started")
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._tick())]
        try:
            async with self._changing:
                await self._web.start()
                await self._lay()
                await self._publish()
            if not self.config.packs:
                # For whoever opens the page to add the first one. What is on the air may be the neighbour's.
                self.scan(scan.NOBODY)
            tasks.append(asyncio.create_task(self._web.wait()))
            for task in tasks:
                task.add_done_callback(self._watch)
            ending = [asyncio.create_task(event.wait()) for event in (stop, self._ended)]
            tasks += ending
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(signal.SIGHUP)
            await self._web.stop()
            await end(*self._reloads)  # before the links: it could lay new ones
            await end(self._scan, *tasks)
            await self.control.finish()
            await self._wires.keep(())
            await self.radios.close()
            await self._outputs.keep(())
            self._write_down(0.0)
            self.events.add("stop", "Cellwire was told to stop" if stop.is_set() else "Cellwire stops")
            if self.history:
                await asyncio.to_thread(self._close_history)
        if self._reason:
            raise self._reason

    # History

    def _start_history(self, settings: HistorySettings) -> None:
        if not settings.enabled:
            return
        loop = asyncio.get_running_loop()

        def committed(meters: dict[str, dict[str, float]]) -> None:
            # From the writer's thread, which may outlive the loop by a moment.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.accounts.settle, meters)

        def restored(saved: Saved) -> None:
            for identity, (moment, meters) in saved.items():
                self.accounts.restore(identity, meters, moment)
                self.store.known.add(identity)

        self.history = History(settings, self.clock, time.monotonic, self.events, committed, restored)
        self.events.hearers.append(self.history.event)  # first: trouble at the start is an event too
        restored(self.history.start())

    def _close_history(self) -> None:
        assert self.history is not None
        if not self.history.flush(LAST_WORDS):
            log.warning("the history could not be written to the end: %s", self.history.status.get("reason", ""))
        self.history.stop()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.accounts.tick()
            self._write_down(self.config.history.every)
            due = max(loop.time(), due + TICK)
            await asyncio.sleep(due - loop.time())

    def _write_down(self, every: float) -> None:
        """Give the history what is due."""
        if self.history:
            rows = self._rows(every)
            if rows:
                self.history.append(rows)

    def _rows(self, every: float) -> list[Row]:
        """Return what is to be written down now: packs and banks with a new sample, each at most every so often."""
        rows = []
        for pack in self.store.packs.values():
            if pack.seen is None or pack.time is None:
                continue
            if pack.settled and self._is_due(pack.id, pack.seen, every):
                oldest = pack.seen - max(SLOW, STALE_AFTER * pack.every)
                fresh = {name: value for name, value in pack.readings.items() if pack.received[name] >= oldest}
                self._name(pack.id, pack.name)
                rows.append(Row(pack.id, pack.time, {**fresh, **self.accounts.journal(pack.id)}))
        for bank in self.store.banks.values():
            if bank.seen is None or bank.time is None:
                continue
            if self._is_due(bank.id, bank.seen, every):
                self._name(bank.id, bank.name)
                rows.append(Row(bank.id, bank.time, {**bank.readings, **self.accounts.journal(bank.id)}))
        return rows

    def _name(self, identity: str, name: str) -> None:
        if self.history and self._names.get(identity) != name:
            self._names[identity] = name
            self.history.name(identity, name)

    def _is_due(self, identity: str, seen: float, every: float) -> bool:
        """Return whether a sample that came at a time of the monotonic clock is new, and as long after the last row."""
        passed = seen - self._recorded.get(identity, -math.inf)
        # Half a tick early is in time: the phase of the ticks must not stretch the interval.
        if passed <= 0 or passed < every - TICK / 2:
            return False
        self._recorded[identity] = seen
        return True

    # Links

    async def _lay(self) -> None:
        """Start the links that the configuration wants, leave alone what goes on, end the others."""
        wanted: dict[str, list[PackSettings]] = {}
        for pack in self.config.packs:
            # What has no part in reading a pack may change while it is read.
            read = replace(pack, grant="read", capacity=None, limits=LimitSettings())
            wanted.setdefault(pack.link, []).append(read)
        groups = {tuple(packs) for packs in wanted.values()}
        await self._wires.keep(groups)
        names = {pack.name for pack in self.config.packs}
        kept = {pack.name for wire in self._wires.parts for pack in wire.packs}
        for name in [name for name in self.store.packs if name not in names or name not in kept]:
            self.store.remove(name)
        holds = self.releases.holds
        self._wires.start(
            {
                group: partial(Wire, self.store, self.events, group, self.radios, holds[group[0].link])
                for group in groups
            }
        )
        self.store.packs = {pack.name: self.store.packs[pack.name] for pack in self.config.packs}

    async def _change_radios(self) -> None:
        """Take other radios from now on; links by Bluetooth end, to be laid anew through them."""
        await self._wires.keep({wire.packs for wire in self._wires.parts if not wire.session.link.wireless})
        await self.radios.close()
        self.radios = air.radios(self.config.bluetooth, self.config.proxies)

    # Control

    def _settings_of(self, pack: str) -> PackSettings | None:
        return next((settings for settings in self.config.packs if settings.name == pack), None)

    def _wire_of(self, pack: str) -> Wire | None:
        wires = self._wires.parts
        return next((wire for wire in wires if any(settings.name == pack for settings in wire.packs)), None)

    def _poller_of(self, pack: str) -> Poller | None:
        wire = self._wire_of(pack)
        return wire.poller(pack) if wire else None

    def _grant_of(self, pack: str) -> str | None:
        settings = self._settings_of(pack)
        return settings.grant if settings else None

    def _is_passive(self, pack: str) -> bool:
        wire = self._wire_of(pack)
        return wire is not None and wire.line.passive

    def _chemistry_of(self, pack: str) -> str:
        settings = self._settings_of(pack)
        return settings.limits.chemistry if settings else ""

    # Outputs

    async def _publish(self) -> None:
        """Start the outputs that the configuration wants, leave alone those that did not change, end the others."""
        config = self.config
        wanted: dict[OutputSettings, Callable[[], Mqtt | Modbus | Influx]] = {}
        if config.mqtt.url:
            wanted[config.mqtt] = lambda: Mqtt(self.store, self.events, config.mqtt, self.control, self.releases)
        if config.modbus.listen or config.modbus.serial:
            wanted[config.modbus] = lambda: Modbus(self.store, config.modbus, self.control)
        for settings in config.influx:
            wanted[settings] = partial(Influx, self.history, self.events, settings)
        await self._outputs.keep(wanted)
        self._outputs.start(wanted)

    def _watch(self, task: "asyncio.Task[Any]") -> None:
        """End the gateway when a part of it fails that must never end."""
        if not task.cancelled() and task.exception() is not None:
            self._reason = task.exception()
            self._ended.set()

    # Configuration

    def reload(self) -> None:
        """Read the configuration again and apply it; a mistake in it changes nothing and is said."""
        task = asyncio.create_task(self._reload())
        task.add_done_callback(self._watch)
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        async with self._changing:
            await self._read_again()

    async def _read_again(self) -> None:
        try:
            await self._apply(await asyncio.to_thread(files.load, self.config.path))
        except (ConfigError, OSError, WebError) as error:
            log.error("%s\nthe configuration stays as it was", error)
            self.events.add("configuration", f"The configuration has mistakes and was not applied: {error}")
            return
        self.events.add("configuration", "The configuration was read again")

    async def _apply(self, config: Config) -> None:
        """Run with another configuration from now on; what did not change goes on undisturbed."""
        await self._web.configure(config.web)
        await self.control.finish()  # no pack may be left in the middle of a write
        old, self.config = self.config, config
        before = old.history
        if (config.history.path, config.history.enabled) != (before.path, before.enabled):
            log.warning("[history]: path and enabled count after the next start of Cellwire")
        self.accounts.configure(config)
        if (config.bluetooth, config.proxies) != (old.bluetooth, old.proxies):
            await self._change_radios()
        await self._lay()
        await self._publish()
        if self.history:
            self.history.configure(replace(config.history, enabled=True))

    async def change(self, kind: str, name: str, value: dict[str, Any] | None, who: str) -> None:
        """Change the file and apply it. kind: pack, bank, history, web, mqtt or modbus; a value of None takes it away.

        Raises ConfigError with all mistakes, ChangeRefused when the file cannot be written.
        """
        named = PATHS & set(value or ())
        if named:
            raise ChangeRefused(f"{', '.join(sorted(named))} is a path of this machine; change it in the file")
        async with self._changing:
            await self._change(kind, name, value)
        self.events.add("configuration", f"{who} {'removed' if value is None else 'changed'} {kind} {name}".rstrip())

    async def _change(self, kind: str, name: str, value: dict[str, Any] | None) -> None:
        path = self.config.path
        if self.config.packs and not path.exists():
            raise ChangeRefused(f"{path} is gone, and all packs with it; put it back, cellwire.toml~ may be a copy")
        text = present = files.read(path) if path.exists() else files.first([])
        # A value that has a name of its own renames; a name that is not there yet is that of something new.
        known = {pack.name for pack in self.config.packs} | {bank.name for bank in self.config.banks}
        settings, before = {"name": name, **(value or {})}, name if name in known else ""
        self._keep_pack_password_from_others(kind, name, value or {})
        pack = self.store.packs.get(name) if kind == "pack" else None
        bank = self.store.banks.get(name) if kind == "bank" else None
        named = bank or (pack if pack and pack.settled else None)
        if named and named.id.endswith(f"-{name}") and settings["name"] != name:
            # An identity that was made from the name: without it the history would begin anew.
            settings["id"] = settings.get("id") or named.id
        if kind == "pack":
            text = (
                files.without_pack(text, name, path) if value is None else files.with_pack(text, settings, before, path)
            )
        elif kind == "bank":
            text = (
                files.without_bank(text, name, path) if value is None else files.with_bank(text, settings, before, path)
            )
        else:
            if kind == "mqtt":
                self._keep_password_from_others(value or {})
            text = files.with_section(text, kind, value or {}, path)
        config = files.parse(text, path)
        try:
            await asyncio.to_thread(files.write, path, text)
        except OSError as error:
            raise ChangeRefused(f"{path} cannot be written ({error.strerror}); give this user the right to") from None
        try:
            await self._apply(config)
        except WebError as error:
            await asyncio.to_thread(files.write, path, present)
            raise ChangeRefused(f"{error}. Nothing was changed") from None

    def _keep_password_from_others(self, value: dict[str, Any]) -> None:
        """Raise ChangeRefused when somebody from afar would have our password told to another broker than before."""
        before = self.config.mqtt
        elsewhere = value.get("url") not in ("", None, before.url)
        if elsewhere and has_password(before) and not value.get("password"):
            raise ChangeRefused("For another broker the password must be typed again; or change the url in the file")

    def _keep_pack_password_from_others(self, kind: str, name: str, value: dict[str, Any]) -> None:
        """Raise ChangeRefused when a pack's password or pin would be told on another link than before."""
        before = self._settings_of(name) if kind == "pack" else None
        elsewhere = before is not None and value.get("link") not in (None, before.link)
        kept = [key for key in ("password", "pin") if before and getattr(before, key) and key not in value]
        if elsewhere and kept:
            raise ChangeRefused(f"For another link the {kept[0]} must be typed again; or change the link in the file")

    def configuration(self) -> dict[str, Any]:
        """Return the configuration as the page shows it."""
        path = self.config.path
        writable = os.access(path if path.exists() else path.parent, os.W_OK)
        text = files.read(path) if path.exists() else ""
        return {
            **files.document(self.config),
            "text": files.without_secrets(text),
            "path": str(path),
            "writable": writable,
        }

    # What the page asks for

    def link_of(self, pack: str) -> dict[str, Any]:
        """Return a pack's link: address, what happened on it by cause, how the radio is, the last poll's time."""
        wire = self._wire_of(pack)
        if wire is None:
            return {}
        poller = wire.poller(pack)
        document = _link(wire)
        return {**document, "poll_time": round(poller.took, 4)} if poller and poller.took else document

    def links(self) -> list[dict[str, Any]]:
        """Return every link as `link_of` does, with the names of its packs."""
        return [{**_link(wire), "packs": list(wire.names)} for wire in self._wires.parts]

    def metrics(self) -> str:
        """Return what Prometheus asks for."""
        return prometheus.exposition(self.store, self.links(), self.health())

    def health(self) -> dict[str, Any]:
        """Return how it goes: per pack age, frames by cause, poll time and state; history; clock."""
        packs: list[dict[str, Any]] = []
        for pack in self.store.packs.values():
            snapshot = self.store.snapshot(pack)
            shown = {key: value for key, value in snapshot.items() if key in SHOWN}
            packs.append({**shown, "samples": dict(pack.counts), "link": self.link_of(pack.name)})
        uptime = self.store.monotonic() - self._started
        document = {"version": __version__, "started": self.started, "uptime": round(uptime, 3)}
        off = {"state": "off", "reason": "switched off"}
        history: dict[str, Any] = self.history.status if self.history else off
        outputs = [output.status for output in self._outputs.parts]
        well = all(pack["state"] == ONLINE for pack in packs)
        well = well and all(part["state"] != "failing" for part in (history, *outputs))
        document |= {"ok": well, "time": self.clock(), "packs": packs, "history": history, "outputs": outputs}
        radios = self.radios.health()
        return {**document, "radios": radios} if radios else document

    def scan(self, ask: str = scan.LIKELY) -> None:
        """Look at all serial ports and Bluetooth devices that no configured pack uses, in the background.

        ask: which of the devices are asked, too; gateway/scan.py
        """
        if self._scan is None or self._scan.done():
            self._scan = asyncio.create_task(self._look(ask))
            self._scan.add_done_callback(self._watch)

    async def _look(self, ask: str) -> None:
        used = {files.port(pack.link) for pack in self.config.packs}
        links = _unused(used)
        looks = [self._look_at(link) for link in links]
        found = await asyncio.gather(*looks, self._hear(used, ask), return_exceptions=True)
        self._scanned = []
        for link, documents in zip([*links, "ble:"], found, strict=True):
            if isinstance(documents, BaseException):
                log.error("%s: an error in Cellwire itself, please report it", link, exc_info=documents)
                documents = [{"link": link, "packs": [], "problem": "error", "advice": "see the log, please report it"}]
            self._scanned += documents

    async def _look_at(self, link: str) -> list[dict[str, Any]]:
        return [await scan.look(link, dialects(""))]

    async def _hear(self, used: set[str], ask: str) -> list[dict[str, Any]]:
        """Return the Bluetooth devices that may be packs; note why there are none where there is no Bluetooth."""
        self._unheard = ""
        try:
            documents = await scan.air(self.radios, used=used, ask=ask)
        except LinkError as error:
            self._unheard = str(error)
            return []
        return [document for document in documents if document.get("problem") != scan.UNKNOWN]

    def scanned(self) -> dict[str, Any]:
        """Return {running, links: what the last scan found}, and no_bluetooth: why it could not look there, if so."""
        document = {"running": self._scan is not None and not self._scan.done(), "links": self._scanned}
        return {**document, "no_bluetooth": self._unheard} if self._unheard else document


def _unused(used: set[str]) -> list[str]:
    """Return the serial ports of this machine that are not among these."""
    paths = {os.path.realpath(link) for link in used}
    return [link for link in scan.links() if os.path.realpath(link) not in paths]


def _link(wire: Wire) -> dict[str, Any]:
    """Return {address, counts, listening}; with radio where there is one, and released_until while it is released."""
    document = {"address": wire.title, "counts": dict(wire.session.counts), "listening": wire.line.passive}
    radio, until = wire.session.link.health(), wire.released_until
    if radio:
        document["radio"] = radio
    if until is not None:
        document |= {"released_until": until, "released_for": round(until - wire.store.clock(), 1)}
    return document


def config_of(path: Path) -> Config:
    """Return the configuration of a file, an empty one when there is none yet; raise ConfigError."""
    return files.load(path) if path.exists() else files.parse("", path)


__all__ = ["ChangeRefused", "Gateway", "config_of"]
