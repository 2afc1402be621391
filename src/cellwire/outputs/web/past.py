"""What was: series, energy, events and exports out of the history."""

import asyncio
import logging
import re
import zoneinfo
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aiohttp import web

from ...gateway.events import KINDS
from ..history import HistoryError
from ..history.export import export as written
from .answers import API_HEADERS, HEADERS, Problem, bad_request, encoded, not_found, raw_answer
from .desk import Reader
from .now import EVENT
from .schema import LATEST, MOMENT, TEXT, WHOLE, Parameter, Schema, listed, refer, table, text, thing, word
from .site import Site
from .stream import event_document, is_shown
from .visit import Route, Visit

if TYPE_CHECKING:
    from ..history.reader import Reader as StoredReader

log = logging.getLogger("cellwire")

T = TypeVar("T")

DAY = 86400.0
SERIES = 200  # series that may be asked for at once
VALUES = 200_000  # of all series of an answer: some megabytes
LOOKED_AT = 4_500_000  # values that may be read for an answer: what all series have in six hours of seconds
STEPS = {"raw": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY}  # seconds; rows may be further apart
BATCH = 500  # rows of an export that are made in one go
EXPORTS = 4  # exports at a time


def reader_of(site: Site) -> Reader:
    """Return the history's reader."""
    if site.desk.history is None:
        raise Problem(503, "unavailable", "The history is off; switch it on with `enabled = true` in [history]")
    return site.desk.history.reader


async def in_thread(site: Site, visit: Visit, work: Callable[..., T], *arguments: Any) -> T:
    """Return what the work gives, done in a thread when it is its turn; a disk that fails is said."""
    async with site.reading:
        if visit.request.transport is None:
            raise ConnectionError("the client did not wait for it")
        try:
            return await asyncio.to_thread(work, *arguments)
        except HistoryError as error:
            raise Problem(503, "unavailable", str(error)) from None


def identity(site: Site, reader: Reader | None, of: str) -> str:
    """Return the id that history knows for an id, or for the name of a pack or bank."""
    store = site.desk.store
    if of in store.packs:
        return store.packs[of].id
    if of in store.banks:
        return store.banks[of].id
    now = {pack.id for pack in store.packs.values()} | {bank.id for bank in store.banks.values()}
    if of in now:
        return of
    stored = reader.ids() if reader else set()
    if of not in stored:
        raise not_found("pack or bank", of, sorted({*stored, *now}))
    return of


def span(site: Site, visit: Visit, length: float) -> tuple[float, float]:
    """Return start and end: by default the newest `length` seconds."""
    end = visit.query["end"]
    start = visit.query["start"]
    end = site.desk.store.clock() if end is None else end
    start = max(0.0, end - length) if start is None else start
    if start >= end:
        raise bad_request("'start' must be before 'end'; both are seconds since 1970")
    return start, end


async def stored(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET stored."""
    reader = reader_of(site)
    return raw_answer(await in_thread(site, visit, lambda: encoded({"packs": reader.packs()})))


async def series(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET history."""
    reader = reader_of(site)
    start, end = span(site, visit, DAY)
    names = [name for name in visit.query["names"].split(",") if name]
    if not 0 < len(names) <= SERIES:
        raise bad_request(f"'names' must be 1 to {SERIES} columns with commas between, such as voltage,cell_voltages.1")
    points, resolution = visit.query["points"], visit.query["resolution"]
    if len(names) * points > VALUES:
        raise bad_request(f"'names' times 'points' must be at most {VALUES}; ask for fewer at a time")
    if resolution and len(names) * (min(end, site.desk.store.clock()) - start) / STEPS[resolution] > LOOKED_AT:
        raise bad_request(f"the span is too long for so many columns with 'resolution' {resolution}; leave that out")

    def work() -> bytes:
        found = reader.series(identity(site, reader, visit.query["of"]), names, start, end, points, resolution)
        return encoded(found)

    return raw_answer(await in_thread(site, visit, work))


async def energy(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET energy."""
    reader = reader_of(site)
    period, zone = visit.query["period"], visit.query["zone"]
    if not is_zone(zone):
        raise bad_request("'zone' must be a time zone such as Europe/Berlin, or UTC")
    start, end = span(site, visit, 31 * DAY if period == "day" else 366 * DAY)
    if end - start > (3700 if period == "day" else 37000) * DAY:
        raise bad_request("the span is too long: at most ten years of days, or a hundred of months")

    def work() -> bytes:
        found = reader.energy(identity(site, reader, visit.query["of"]), period, start, end, zone)
        return encoded({"energy": found})

    return raw_answer(await in_thread(site, visit, work))


def is_zone(name: str) -> bool:
    """Return whether there is such a time zone."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+_/-]*", name):
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


async def events(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET events: from the history, or the newest from memory while it is off."""
    start, end = span(site, visit, 30 * DAY)
    kinds = [kind for kind in visit.query["kinds"].split(",") if kind]
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong:
        raise bad_request(f"'kinds' has {wrong[0][:40]!r}; known: {', '.join(KINDS)}")
    shown = [kind for kind in KINDS if is_shown(kind, visit.visitor)]
    kinds = [kind for kind in kinds or shown if kind in shown]
    of, limit = visit.query["of"], visit.query["limit"]
    history = site.desk.history
    if history is None:
        of = identity(site, None, of) if of else ""
        recent = [event_document(event) for event in reversed(site.desk.events.recent)]
        found = [
            event
            for event in recent
            if start <= event["time"] < end and event["kind"] in kinds and of in ("", event["pack"])
        ]
        return raw_answer(encoded({"events": found[:limit]}))

    def work() -> bytes:
        reader = history.reader
        if not kinds:
            return encoded({"events": []})
        return encoded({"events": reader.events(start, end, identity(site, reader, of) if of else "", kinds, limit)})

    return raw_answer(await in_thread(site, visit, work))


async def export(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET export: rows as they were stored, made while they are taken."""
    reader = reader_of(site)
    start, end = span(site, visit, DAY)
    of = await in_thread(site, visit, identity, site, reader, visit.query["of"])
    is_csv = visit.query["format"] == "csv"
    if site.exports >= EXPORTS:
        raise Problem(503, "unavailable", "Too many exports at once; try again when one is done", {"Retry-After": "30"})
    site.exports += 1
    try:
        response = web.StreamResponse(headers={**HEADERS, **API_HEADERS})
        response.content_type = "text/csv" if is_csv else "application/jsonl"
        response.charset = "utf-8"
        name = re.sub(r"[^\w.-]", "_", of, flags=re.ASCII)
        suffix = "csv" if is_csv else "jsonl"
        response.headers["Content-Disposition"] = f'attachment; filename="cellwire-{name}.{suffix}"'
        form = visit.query["format"]
        parts = pieces(await in_thread(site, visit, written, cast("StoredReader", reader), of, start, end, form))
        data = await in_thread(site, visit, next, parts, b"")
        await response.prepare(visit.request)
        while data:
            await response.write(data)
            if not site.may_stay(visit.visitor):
                raise ConnectionError("the visitor may not read any more")
            try:
                data = await in_thread(site, visit, next, parts, b"")
            except Problem as problem:
                # Too late for another status: broken off, it is not taken for the whole.
                log.warning("an export broke off: %s", problem.text)
                raise ConnectionError(problem.text) from None
        return response
    finally:
        site.exports -= 1


def pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """Yield lines many at a time."""
    while batch := list(islice(lines, BATCH)):
        yield "".join(batch).encode()


MOMENT_PARAMETER: Schema = {"type": "number", "minimum": 0, "maximum": LATEST}
OF = Parameter("of", text(200, 1), "id of a pack or bank, or its name", required=True)
START = Parameter("start", MOMENT_PARAMETER, "seconds since 1970; left out: a day before `end`, with days a month")
END = Parameter("end", MOMENT_PARAMETER, "seconds since 1970, not included; left out: now")
NUMBERS: Schema = listed({"type": ["number", "null"]})
SERIES_SCHEMA = thing(
    {
        "resolution": word("raw", "minute", "hour", "day"),
        "step": {"type": "number", "description": "seconds"},
        "times": listed(MOMENT),
        "series": table(thing({"min": NUMBERS, "avg": NUMBERS, "max": NUMBERS})),
    }
)
ENERGY = thing(
    {"from": MOMENT, "to": MOMENT},
    {name: {"type": ["number", "null"]} for name in ("energy_in", "energy_out", "charge_in", "charge_out")},
)
STORED = thing({"id": TEXT, "name": TEXT, "first": {}, "last": {}, "columns": listed(TEXT)})
SCHEMAS = {"Series": SERIES_SCHEMA}

ROUTES = (
    Route(
        "GET", "/stored", "read", stored, "What the history has", {200: thing({"packs": listed(STORED)})},
        problems=(503,),
    ),
    Route(
        "GET", "/history", "read", series, "Series for a chart: minimum, average, maximum", {200: refer("Series")},
        (
            OF,
            Parameter("names", text(8000, 1), "columns with commas between: voltage,cell_voltages.1", required=True),
            START,
            END,
            Parameter("points", {**WHOLE, "minimum": 1, "maximum": 20000}, "at most so many (1000)", 1000),
            Parameter("resolution", word("", "raw", "minute", "hour", "day"), "left out: what fits the span", ""),
        ),
        problems=(404, 503),
    ),
    Route(
        "GET", "/energy", "read", energy, "Energy and charge by local day or month",
        {200: thing({"energy": listed(ENERGY)})},
        (
            OF,
            Parameter("period", word("day", "month"), "of each sum (day)", "day"),
            START,
            END,
            Parameter("zone", text(64, 1), "time zone whose days are meant, such as Europe/Berlin (UTC)", "UTC"),
        ),
        problems=(404, 503),
    ),
    Route(
        "GET", "/events", "read", events, "What happened, the newest first", {200: thing({"events": listed(EVENT)})},
        (
            Parameter("of", text(200), "id of a pack or bank, or its name; left out: everything", ""),
            START,
            END,
            Parameter("kinds", text(200), f"kinds with commas between: {', '.join(KINDS)}; left out: all", ""),
            Parameter("limit", {**WHOLE, "minimum": 1, "maximum": 5000}, "at most so many (500)", 500),
        ),
        problems=(404, 503),
    ),
    Route(
        "GET", "/export", "read", export, "Rows as they were stored, as CSV or JSON lines",
        {200: "text/csv application/jsonl"},
        (OF, START, END, Parameter("format", word("csv", "jsonl"), "(csv)", "csv")),
        problems=(404, 503),
    ),
)  # fmt: skip
