"""What can be set on a pack, and setting it: asked for here, done by Control alone."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from ...gateway.backup import BackupError, backup, cells_of, compare, parse, settings_of
from ...gateway.control import OPERATE, Control, Denied, Result, Who
from ...gateway.journal import JournalError
from ...gateway.presets import CHEMISTRIES, preset
from ...gateway.settings import describe
from ...gateway.store import PackState
from .answers import API_HEADERS, Problem, answer, bad_request, not_found
from .schema import (
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    YES_OR_NO,
    Parameter,
    Schema,
    closed,
    listed,
    refer,
    table,
    text,
    thing,
    word,
)
from .site import Site
from .visit import Route, Visit

Document = dict[str, Any]


def pack_of(site: Site, visit: Visit) -> PackState:
    """Return the pack that the path names."""
    name = visit.names["name"]
    found = site.desk.store.packs.get(name)
    if found is None:
        raise not_found("pack", name, list(site.desk.store.packs))
    return found


def who_of(visit: Visit) -> Who:
    """Return who asks, as the journal knows them."""
    visitor = visit.visitor
    return Who(visitor.title, "api" if visitor.kind == "token" else "page", visitor.grant)


def confirmed(visit: Visit, pack: PackState) -> bool:
    """Return whether the dangers were confirmed, which is done with the pack's name; raise Problem for another one."""
    said = visit.body.get("confirm", "")
    if said not in ("", pack.name):
        raise bad_request(f"'confirm' must be the name of the pack, {pack.name!r}; nothing was sent")
    return bool(said)


# Settings


async def settings(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs/{name}/settings; the pack is not asked."""
    return answer(_settings(site, visit, pack_of(site, visit)))


async def read_settings(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/settings/read: all are read now."""
    pack, who = pack_of(site, visit), who_of(visit)
    # Who may only look must not keep the pack busy: those who ask while it is read get what comes of that.
    key = (pack.name, site.desk.control.allowed(pack.name, who.grant))
    task = site.settings_reads.get(key)
    if task is None:
        task = asyncio.create_task(site.desk.control.read(pack.name, who))
        site.settings_reads[key] = task
        task.add_done_callback(lambda _: site.settings_reads.pop(key))
    try:
        problems = await asyncio.shield(task)
    except Denied as error:
        raise _denied(error) from None
    return answer({**_settings(site, visit, pack), "problems": problems})


def _settings(site: Site, visit: Visit, pack: PackState) -> Document:
    control, who = site.desk.control, who_of(visit)
    return {
        "pack": pack.name,
        "allowed": control.allowed(pack.name, who.grant),
        "reason": control.obstacle(pack.name, who),
        "commands": _rows(site, pack, control),
    }


def _rows(site: Site, pack: PackState, control: Control) -> list[Document]:
    """Return the commands with their readings; a value that was read comes with the seconds since then."""
    now = site.desk.store.monotonic()
    readings = {command.name: command.reading for command in control.commands(pack.name)}
    rows = describe(control, pack.name)
    for row in rows:
        reading = readings[row["command"]]
        if reading:
            row["reading"] = reading
        if "value" in row and reading in pack.received:
            row["age"] = round(max(0.0, now - pack.received[reading]), 3)
    return rows


# Writing


async def plan(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/plan: the pack is read, nothing is changed."""
    pack, body = pack_of(site, visit), visit.body
    results = await site.desk.control.plan(pack.name, body["changes"], who_of(visit), body.get("unproven", False))
    return _results(results)


def _by_name(visit: Visit) -> None:
    """Raise Problem for guests: they have no name that could stand in the journal."""
    if visit.visitor.kind == "guest":
        raise Problem(401, "not_logged_in", f"Log in, or send a token: this needs the grant {OPERATE}")


def _told(visit: Visit, results: Sequence[Result]) -> web.StreamResponse:
    """Return the results, and raise Problem for who may write nothing at all; the journal has it by then."""
    if not visit.visitor.may(OPERATE):
        raise Problem(403, "not_allowed", results[0].reason)
    return _results(results)


async def write(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/commands, when all is done; what was begun goes on when nobody waits for it."""
    pack, body = pack_of(site, visit), visit.body
    _by_name(visit)
    sure, unproven = confirmed(visit, pack), body.get("unproven", False)
    return _told(visit, await site.desk.control.write(pack.name, body["changes"], who_of(visit), sure, unproven))


async def undo(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/undo."""
    pack = pack_of(site, visit)
    sure, entry = confirmed(visit, pack), visit.body.get("entry", 0)
    _by_name(visit)
    try:
        return _told(visit, await site.desk.control.undo(pack.name, who_of(visit), entry, sure))
    except Denied as error:
        raise _denied(error) from None
    except JournalError as error:
        raise Problem(503, "unavailable", str(error)) from None


def _results(results: Sequence[Result]) -> web.StreamResponse:
    return answer({"results": [result.document() for result in results]})


async def journal(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs/{name}/journal."""
    pack = pack_of(site, visit)
    try:
        found = await asyncio.to_thread(site.desk.control.journal.entries, pack.id, visit.query["limit"])
    except JournalError as error:
        raise Problem(503, "unavailable", str(error)) from None
    known = [{key: value for key, value in entry.items() if value is not None} for entry in found]
    return answer({"entries": known})


# Many at once: what these answer can be looked at, and then written


async def save(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs/{name}/backup."""
    pack = pack_of(site, visit)
    rows = describe(site.desk.control, pack.name)
    if not settings_of(rows):
        raise Problem(409, "unavailable", f"No setting of {pack.name} was read yet; read them first")
    document = backup(pack, rows, site.desk.store.clock())
    name = re.sub(r"[^\w.-]", "_", pack.name, flags=re.ASCII)
    headers = {**API_HEADERS, "Content-Disposition": f'attachment; filename="{name}-settings.toml"'}
    return web.Response(text=document, content_type="application/toml", charset="utf-8", headers=headers)


async def restore(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST packs/{name}/restore; nothing is written."""
    pack, body = pack_of(site, visit), visit.body
    try:
        saved = parse(body["text"])
    except BackupError as error:
        raise bad_request(str(error)) from None
    rows = describe(site.desk.control, pack.name)
    try:
        found = compare(saved, pack, rows, body.get("unproven", False))
    except BackupError as error:
        raise Problem(409, "unavailable", str(error)) from None
    return answer({"changes": found.changes, "warnings": found.warnings, "skipped": found.skipped})


async def start_values(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs/{name}/presets/{chemistry}."""
    pack, chemistry = pack_of(site, visit), visit.names["chemistry"]
    if chemistry not in CHEMISTRIES:
        raise not_found("chemistry", chemistry, list(CHEMISTRIES))
    rows = describe(site.desk.control, pack.name)
    changes, skipped = preset(chemistry, cells_of(pack), rows, visit.query["unproven"] == "yes")
    return answer({"changes": changes, "warnings": [], "skipped": skipped})


def _denied(error: Denied) -> Problem:
    return Problem(409, "unavailable", str(error))


VALUE: Schema = {"description": "yes or no, a number or a text, by the kind of the command"}
COMMAND = thing(
    {
        "command": TEXT,
        "kind": word("switch", "number", "choice", "text", "action"),
        "group": TEXT,
        "meaning": TEXT,
        "grant": refer("Grant"),
        "proof": word("captured", "agreed", "unproven"),
    },
    {
        "value": {"description": "as read from the pack; of a command with a count a list"},
        "age": {**NUMBER, "description": "seconds since the value was read"},
        "reading": {**TEXT, "description": "what shows the value; absent where nothing does"},
        "unit": TEXT,
        "decimals": WHOLE,
        "low": NUMBER,
        "high": NUMBER,
        "step": NUMBER,
        "words": listed(TEXT),
        "count": {**WHOLE, "description": "of cells or sensors: write command/1 to command/count"},
        "warning": TEXT,
        "danger": {**TEXT, "description": "has to be confirmed"},
        "secret": YES_OR_NO,
        "hold": {**YES_OR_NO, "description": "the value is the seconds for which it lasts"},
    },
)
SETTINGS: dict[str, Schema] = {
    "pack": TEXT,
    "allowed": {**refer("Grant"), "description": "what you may do with this pack"},
    "reason": {**TEXT, "description": "why nothing can be set, empty when something can"},
    "commands": listed(refer("Command")),
}
RESULT = thing(
    {"pack": TEXT, "command": TEXT},
    {
        "before": VALUE,
        "wanted": VALUE,
        "found": VALUE,
        "result": {**word("done", "refused", "not_confirmed"), "description": "absent while nothing was done"},
        "reason": TEXT,
        "warnings": listed(TEXT),
        "dangers": {**listed(TEXT), "description": "have to be confirmed"},
        "frames": {**listed(TEXT), "description": "the bytes that are sent, in hex"},
        "entry": {**WHOLE, "description": "number in the journal"},
    },
)
ENTRY = thing(
    {"entry": WHOLE},
    {
        "time": MOMENT,
        "who": TEXT,
        "source": TEXT,
        "pack": {**TEXT, "description": "id"},
        "name": TEXT,
        "command": TEXT,
        "before": VALUE,
        "wanted": VALUE,
        "found": VALUE,
        "result": {
            **word("sent", "done", "refused", "not_confirmed"),
            "description": "sent: what became of it was never written down",
        },
        "reason": TEXT,
        "undo": {**WHOLE, "description": "number of the entry that was taken back"},
    },
)
WANTED = thing(
    {
        "changes": {**table(VALUE), "description": "what is to be written, as `plan` and `commands` take it"},
        "warnings": listed(TEXT),
        "skipped": {**table(TEXT), "description": "why a setting is left as it is"},
    }
)
RESULTS = thing({"results": listed(refer("Result"))})
CHANGES: Schema = {
    "type": "object",
    "description": "value by command; of one cell or sensor as command/3",
    "propertyNames": {"type": "string", "pattern": "^[a-z0-9_]{1,64}(/[0-9]{1,3})?$"},
    "additionalProperties": {"type": ["boolean", "number", "string"], "maxLength": 200},
    "minProperties": 1,
    "maxProperties": 300,
}
CONFIRM: Schema = {**text(100), "description": "the name of the pack: the dangers that `plan` tells are accepted"}
UNPROVEN: Schema = {**YES_OR_NO, "description": "commands without public proof are wanted"}
SCHEMAS = {"Command": COMMAND, "Result": RESULT, "JournalEntry": ENTRY}

ROUTES = (
    Route(
        "GET", "/packs/{name}/settings", "read", settings, "What can be set on a pack, as it was last read",
        {200: thing(SETTINGS)}, problems=(404,),
    ),
    Route(
        "POST", "/packs/{name}/settings/read", "read", read_settings, "Read all settings from the pack now",
        {200: thing({**SETTINGS, "problems": listed(TEXT)})}, problems=(404, 409),
    ),
    Route(
        "POST", "/packs/{name}/plan", "operate", plan,
        "What changes would do, in the order in which they would be written; nothing is changed", {200: RESULTS},
        body=closed({"changes": CHANGES}, {"unproven": UNPROVEN}), problems=(404,),
    ),
    Route(
        "POST", "/packs/{name}/commands", "read", write,
        "Change settings: all pass the checks or none is sent, each is sent once and read back; each command needs its "
        "own grant", {200: RESULTS},
        body=closed({"changes": CHANGES}, {"confirm": CONFIRM, "unproven": UNPROVEN}), problems=(404,),
    ),
    Route(
        "POST", "/packs/{name}/undo", "read", undo,
        "Write what was there before an entry of the journal; needs the grant that the command needs",
        {200: RESULTS},
        body=closed(
            {},
            {
                "entry": {**WHOLE, "minimum": 1, "description": "left out: the newest that can be undone"},
                "confirm": CONFIRM,
            },
        ),
        problems=(404, 409),
    ),
    Route(
        "GET", "/packs/{name}/journal", "operate", journal, "What was written to a pack, the newest first",
        {200: thing({"entries": listed(refer("JournalEntry"))})},
        (Parameter("limit", {**WHOLE, "minimum": 1, "maximum": 5000}, "at most so many (100)", 100),),
        problems=(404,),
    ),
    Route(
        "GET", "/packs/{name}/backup", "read", save, "The settings as they were last read, as a file",
        {200: "application/toml"}, problems=(404, 409),
    ),
    Route(
        "POST", "/packs/{name}/restore", "operate", restore,
        "What has to be written so that a pack is as a backup says; nothing is written", {200: WANTED},
        body=closed({"text": {**TEXT, "minLength": 1}}, {"unproven": UNPROVEN}), problems=(404, 409),
    ),
    Route(
        "GET", "/packs/{name}/presets/{chemistry}", "read", start_values,
        "What has to be written for the starting values of lfp, nmc or lto; nothing is written", {200: WANTED},
        (Parameter("unproven", word("yes", "no"), "whether commands without public proof are wanted (no)", "no"),),
        problems=(404,),
    ),
)  # fmt: skip
