"""One pack on a link that somebody wants to change: found, shown what would change, asked, written, and told."""

import argparse
import asyncio
import difflib
import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..cli import DONE, NO_ANSWER, NOT_ALLOWED, NOT_CONFIRMED, USAGE, Failure
from ..codec.command import ACTION, GRANTS, NUMBER, SERVICE, Command
from ..gateway import config
from ..gateway.backup import own_identity
from ..gateway.control import NOT_CONFIRMED as UNCONFIRMED
from ..gateway.control import REFUSED, Control, Denied, Result, Told, Who
from ..gateway.events import Events
from ..gateway.journal import HIDDEN, Journal, JournalError
from ..gateway.restore import worst
from ..gateway.settings import describe
from ..outputs.console import SIGNS
from .packs import Packs, main, port_of

CONFIG = "cellwire.toml"
VARIABLE = "CELLWIRE_PACK_PASSWORD"  # of the environment
SETTLING = 5  # polls in which a pack that answers tells who it is
FINISHING = 600.0  # seconds for what was begun when the program is told to end; another Ctrl-C ends it at once
BROKEN_OFF = "broken off; `cellwire settings LINK journal` tells what was written"

Write = Callable[[bool, Told], Awaitable[list[Result]]]  # (confirmed, told) -> results
Row = dict[str, Any]


def on_pack(options: argparse.Namespace, work: "Callable[[OnePack], Awaitable[int]]") -> int:
    """Do the work with the one pack that the options mean; raise Failure."""
    try:
        return main(lambda: _on_pack(options, work), options.verbose)
    except KeyboardInterrupt:
        raise Failure(NOT_CONFIRMED, BROKEN_OFF) from None


async def _on_pack(options: argparse.Namespace, work: "Callable[[OnePack], Awaitable[int]]") -> int:
    pack = OnePack(options)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await pack.find()
        try:
            return await work(pack)
        finally:
            await pack.control.finish(FINISHING)
    except (Denied, JournalError) as error:
        raise Failure(NOT_ALLOWED, f"{error}{pack.whose_grant()}") from None
    except asyncio.CancelledError:
        raise Failure(NOT_CONFIRMED, BROKEN_OFF) from None
    finally:
        await pack.packs.close()


class OnePack:
    """The pack, and Control for it.

    name   as the configuration says, else as `cellwire read` says
    paper  where people's text goes: standard output, or standard error beside JSON
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.paper: TextIO = sys.stderr if options.json else sys.stdout
        self.packs = Packs(options)
        self.name = ""
        self._config = configuration(options.config)
        self._settings: config.PackSettings | None = None

    async def find(self) -> None:
        """Find the pack, and wait until it has told who it is; raise Failure."""
        options = self.options
        pollers = await self.packs.find()
        if len(pollers) > 1:
            addresses = [str(poller.address) for poller in pollers]
            raise Failure(
                USAGE,
                f"several packs answer on {options.link}, with the addresses {', '.join(addresses)}; "
                f"name the one that you mean: --address {addresses[0]}",
            )
        self.poller = poller = pollers[0]
        pack = self.pack = poller.pack
        self._settings = settings = self._configured()
        poller.password = options.password or os.environ.get(VARIABLE, "")
        if settings:
            poller.password = poller.password or settings.password
            poller.invert_current = options.invert_current or settings.invert_current
            pack.pinned_id = settings.id
        self.name = settings.name if settings else pack.name
        await self.packs.first(options.timeout)
        if self.packs.unread():
            raise Failure(NO_ANSWER, f"{self.name}: {pack.reason or 'nothing was heard of it'}")
        for _ in range(SETTLING):
            if not pack.settled and not self.packs.line.passive:
                await poller.step()
        if not own_identity(pack):
            # On each link there may be one that goes by this address: the journal has to keep them apart.
            pack.pinned_id = f"{pack.id}@{config.port(options.link)}"
        grant = settings.grant if settings else SERVICE
        self.control = Control(
            Journal(journal_path(options, self._config if settings else None), time.time),
            Events(time.time),
            lambda name: poller,
            lambda name: grant,
            lambda name: self.packs.line.passive,
            lambda name: settings.limits.chemistry if settings else "",
        )
        self.who = Who(_login(), "console", SERVICE)

    def _configured(self) -> "config.PackSettings | None":
        """Return what the configuration says of the pack, None when it says nothing."""
        if self._config is None:
            return None
        port = port_of(self.options.link)
        alike = [pack for pack in self._config.packs if port_of(pack.link) == port]
        return next((pack for pack in alike if pack.address in (None, self.poller.address)), None)

    def whose_grant(self) -> str:
        """Return what to say behind a refusal when the configuration is why, "" when it is not."""
        if self._settings is None or self._config is None or self._settings.grant == GRANTS[-1]:
            return ""
        return f' ({self._config.path} names this pack "{self._settings.name}", and its grant counts)'

    # What there is

    async def described(self) -> list[Row]:
        """Return what can be set, with the values of now; say what could not be read. Raises Denied."""
        for problem in await self.control.read(self.name, self.who):
            print(f"cellwire: not read: {problem}", file=sys.stderr)
        return describe(self.control, self.name)

    def command(self, name: str) -> Command:
        """Return the command of that name; raise Failure when the pack has none."""
        commands = self.control.commands(self.name)
        found = next((each for each in commands if each.name == name), None)
        if found is None:
            near = difflib.get_close_matches(name, [each.name for each in commands], 3)
            hint = f"; is it {' or '.join(near)}?" if near else "; `cellwire settings LINK list` shows what it has"
            raise Failure(USAGE, f"{self.name} has nothing that is called {name}{hint}")
        return found

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        print(text, file=self.paper, flush=True)

    # What is done

    async def change(
        self,
        changes: Mapping[str, Any],
        write: Write | None = None,
        unproven: bool = False,
        measured: Callable[[str], Any] | None = None,
        **marks: Any,
    ) -> int:
        """Show what would change, ask, write it, tell what became of it, and return the exit code; raise Failure.

        write: what writes them, `Control.write` when left out
        measured: what the pack measures of that which a command makes right
        marks: for the journal
        """
        options = self.options
        unproven = unproven or options.unproven
        plan = await self.control.plan(self.name, changes, self.who, unproven)
        rows = {row["command"]: row for row in describe(self.control, self.name)}
        if worst(plan) == REFUSED:
            if not options.dry_run:
                plan = await self.control.note(plan, self.who, **marks)
            self._report([], plan)
            for each in plan:
                if not each.reason.startswith("not tried, because"):
                    self.say(_result_line(each, rows))
            raise Failure(NOT_ALLOWED, f"nothing was written{self.whose_grant()}")
        for line in _table(plan, rows, measured):
            self.say(line)
        if options.dry_run:
            for each in plan:
                self.say(f"{each.command}: would send {_bytes(each)}")
            self._report(plan, None)
            return DONE
        await self._agree(plan)

        def told(result: Result) -> None:
            self.say(_result_line(result, rows))

        confirmed = any(each.dangers for each in plan)
        if write is None:
            results = await self.control.write(self.name, changes, self.who, confirmed, unproven, told, **marks)
        else:
            results = await write(confirmed, told)
        self._report(plan, results)
        verdict = worst(results)
        if verdict == REFUSED:
            print(f"cellwire: not everything was written{self.whose_grant()}", file=sys.stderr)
        return {UNCONFIRMED: NOT_CONFIRMED, REFUSED: NOT_ALLOWED}.get(verdict, DONE)

    def _report(self, plan: Sequence[Result], results: Sequence[Result] | None) -> None:
        if self.options.json:
            document: dict[str, Any] = {"pack": self.name, "id": self.pack.id}
            document["plan"] = [each.document() for each in plan]
            if results is not None:
                document["results"] = [each.document() for each in results]
            as_json(document)

    async def _agree(self, plan: Sequence[Result]) -> None:
        """Return when the user wants it nevertheless; raise Failure."""
        options = self.options
        risky = dict.fromkeys(_name(each) for each in plan if each.dangers)
        untyped = [name for name in risky if name not in options.confirm]
        more = "".join(f" --confirm {name}" for name in untyped)
        if options.yes:
            if untyped:
                raise Failure(NOT_ALLOWED, f"nothing was written: --yes is not enough for a danger; add{more}")
            return
        if not sys.stdin.isatty():
            raise Failure(
                NOT_ALLOWED,
                f"nothing was written, because there is no terminal to ask on; if you want it, add --yes{more}",
            )
        for name in untyped:
            if await self._asked(f"Type {name} to do it nevertheless: ") != name:
                raise Failure(NOT_ALLOWED, "nothing was written")
        if not untyped and (await self._asked("Write this? [y/N] ")).lower() not in ("y", "yes"):
            raise Failure(NOT_ALLOWED, "nothing was written")

    async def _asked(self, question: str) -> str:
        """Return what is typed on the terminal; Ctrl-C ends the wait, as it would not end one for `input`."""
        print(question, end="", file=self.paper, flush=True)
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(sys.stdin.fileno(), ready.set)
        try:
            await ready.wait()
        except asyncio.CancelledError:
            raise Failure(NOT_ALLOWED, "nothing was written") from None
        finally:
            loop.remove_reader(sys.stdin.fileno())
        return sys.stdin.readline().strip()


def configuration(path: str | None) -> "config.Config | None":
    """Return the configuration that may name the pack, None when there is none; raise Failure."""
    if path is None and not os.path.exists(CONFIG):
        return None
    try:
        return config.load(Path(path or CONFIG))
    except config.ConfigError as error:
        raise Failure(USAGE, f"{path or CONFIG} has mistakes, and it may say what is allowed here:\n{error}") from None
    except OSError as error:
        raise Failure(
            USAGE, f"{path or CONFIG} cannot be read: {error.strerror}; give this user the right to"
        ) from None


def journal_path(options: argparse.Namespace, of: "config.Config | None") -> Path:
    """Return the file of the journal: as asked for, as the configuration says, or the user's own."""
    if options.journal:
        return Path(options.journal)
    if of is not None:
        return of.control.journal
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if os.path.isabs(state) else Path.home() / ".local/state"
    return home / "cellwire/journal.jsonl"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return f"uid {os.getuid()}"


# As programs and people read it


def as_json(document: Any) -> None:
    """Print the one JSON document of the command."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def _name(result: Result) -> str:
    return result.command.partition("/")[0]


def value_of(row: Row, value: Any) -> str:
    """Return a value for people, without its unit."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "do it" if row.get("kind") == ACTION else "on" if value else "off"
    if isinstance(value, list):
        return " ".join(value_of(row, each) for each in value)
    if isinstance(value, int | float):
        return _number(row, value) if row.get("kind") == NUMBER else f"{value:.10g}"
    return str(value)


def _number(row: Row, value: float) -> str:
    text = f"{value:.{row['decimals']}f}"
    # Of counts, and of times from microseconds to days, the zeros at the end tell nothing.
    return text.rstrip("0").rstrip(".") if "." in text and row["unit"] in ("", "s") else text


def unit_of(row: Row) -> str:
    """Return the unit of a command for people."""
    text: str = row.get("unit", "")
    return SIGNS.get(text, text)


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _table(plan: Sequence[Result], rows: Mapping[str, Row], measured: Callable[[str], Any] | None = None) -> list[str]:
    lines = [("setting", "measured" if measured else "was", "now wanted", "unit")]
    for each in plan:
        row = rows.get(_name(each), {})
        was = measured(each.command) if measured and each.before is None else each.before
        lines.append((each.command, value_of(row, was), value_of(row, each.wanted), unit_of(row)))
    told = dict.fromkeys(f"Note: {text}" for each in plan for text in each.warnings)
    told |= dict.fromkeys(f"DANGER, {_name(each)}: {text}" for each in plan for text in each.dangers)
    return [*aligned(lines), *told]


def _result_line(result: Result, rows: Mapping[str, Row]) -> str:
    row = rows.get(_name(result), {})
    value = f"{value_of(row, result.wanted)} {unit_of(row)}".rstrip()
    said = {REFUSED: "refused", UNCONFIRMED: "not confirmed"}.get(result.result, "done")
    return f"{result.command} = {value}: {said}" + (f": {result.reason}" if result.reason else "")


def _bytes(result: Result) -> str:
    if result.wanted == HIDDEN:
        return "bytes that are not shown, because the secret is in them"
    return ", ".join(bytes.fromhex(frame).hex(" ") for frame in result.frames) or "nothing"
