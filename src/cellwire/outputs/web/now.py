"""What is known now: packs, banks, catalogue, health, and the live stream of it all."""

from aiohttp import web

from ...gateway.events import KINDS
from ...readings.catalogue import ALARMS, BY_NAME, CATALOGUE, decimals, unit
from .answers import answer, encoded, not_found, raw_answer
from .lockout import peer_key
from .schema import MOMENT, NUMBER, TEXT, WHOLE, YES_OR_NO, Schema, listed, refer, table, thing, word
from .site import Site
from .stream import pack_document
from .visit import Route, Visit

QUANTITIES = {name: row[1] for name, row in BY_NAME.items()}
_catalogue = encoded(
    {
        "readings": [
            {
                "name": name,
                "unit": unit(name),
                "decimals": decimals(name),
                "kind": kind,
                "group": group,
                "meaning": meaning,
                "quantity": quantity,
            }
            for name, quantity, kind, group, meaning in CATALOGUE
        ],
        "alarms": [{"name": name, "meaning": meaning} for name, meaning in ALARMS],
    }
)


async def packs(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs."""
    return answer({"packs": [pack_document(site.desk, pack) for pack in site.desk.store.packs.values()]})


async def pack(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET packs/{name}."""
    found = site.desk.store.packs.get(visit.names["name"])
    if found is None:
        raise not_found("pack", visit.names["name"], list(site.desk.store.packs))
    return answer(pack_document(site.desk, found))


async def banks(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET banks."""
    store = site.desk.store
    return answer({"banks": [store.bank_snapshot(bank) for bank in store.banks.values()]})


async def bank(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET banks/{name}."""
    found = site.desk.store.banks.get(visit.names["name"])
    if found is None:
        raise not_found("bank", visit.names["name"], list(site.desk.store.banks))
    return answer(site.desk.store.bank_snapshot(found))


async def catalogue(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET catalogue."""
    return raw_answer(_catalogue)


async def health(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET health."""
    return answer({**site.desk.health(), "clients": site.live.clients})


async def live(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET live."""
    return await site.live.serve(visit.request, visit.visitor, peer_key(visit.peer))


VALUE: Schema = {"description": "a number, a text, yes or no, or a list of those, by the catalogue"}
RADIO = thing(
    {
        "connected": YES_OR_NO,
        "radio": {**TEXT, "description": "adapter or proxy, empty while none hears it"},
        "counts": {**table(WHOLE), "description": "connections, drops, and stages of recovery by name"},
        "causes": {**table(WHOLE), "description": "what went wrong, by name"},
        "last_cause": {**TEXT, "description": "what went wrong last, and what to do; empty when nothing did"},
    },
    {
        "rssi": {**NUMBER, "description": "dBm, as last heard"},
        "rssi_age": {**NUMBER, "description": "seconds since then"},
        "connected_for": {**NUMBER, "description": "seconds"},
        "drops_an_hour": {**WHOLE, "description": "connections that were lost within the last hour"},
        "radio_counts": {**table(WHOLE), "description": "what was done about the radio, by name"},
        "rests": {**NUMBER, "description": "seconds for which nothing is tried"},
        "period": {**NUMBER, "description": "seconds within which each pack has its turn, where connections are few"},
    },
    description="of a link by Bluetooth",
)
LINK = {
    "type": "object",
    "properties": {
        "address": TEXT,
        "counts": table(WHOLE),
        "listening": {**YES_OR_NO, "description": "another master asks the packs"},
        "poll_time": NUMBER,
        "radio": refer("Radio"),
        "released_until": {**MOMENT, "description": "while it is left to another program; seconds since 1970"},
        "released_for": {**NUMBER, "description": "seconds until then"},
    },
}
PACK = thing(
    {
        "pack": TEXT,
        "family": TEXT,
        "dialect": TEXT,
        "address": WHOLE,
        "id": TEXT,
        "state": word("online", "stale", "asleep", "lost", "error"),
        "readings": table(VALUE),
        "problems": listed(TEXT),
        "every": NUMBER,
        "since": {**table(MOMENT), "description": "since when each alarm is on"},
        "changed": {**table(MOMENT), "description": "when each reading changed"},
        "link": LINK,
    },
    {"model": TEXT, "time": TEXT, "age": NUMBER, "reason": TEXT},
)
BANK = thing(
    {
        "bank": TEXT,
        "id": TEXT,
        "packs": listed(TEXT),
        "present": WHOLE,
        "missing": {**table(TEXT), "description": "why a pack does not count"},
        "state": word("online", "partial", "lost"),
        "readings": table(VALUE),
        "problems": listed(TEXT),
        "warnings": listed(TEXT),
    },
    {"time": TEXT, "age": NUMBER},
)
EVENT = thing(
    {"time": MOMENT, "kind": word(*KINDS), "text": TEXT}, {"pack": TEXT, "name": TEXT, "detail": {"type": "object"}}
)
READING = thing(
    {"name": TEXT, "unit": TEXT, "decimals": WHOLE, "kind": TEXT, "group": TEXT, "meaning": TEXT, "quantity": TEXT}
)
OUTPUT: Schema = {
    **thing(
        {"output": word("mqtt", "modbus", "influx"), "name": TEXT, "state": word("starting", "running", "failing")},
        {"reason": {**TEXT, "description": "why it is failing, and what to do"}},
        description="and numbers of its own",
    ),
    "additionalProperties": True,
}
HEALTH = thing(
    {"version": TEXT, "started": MOMENT, "uptime": NUMBER, "packs": listed({"type": "object"}), "clients": WHOLE},
    {
        "radios": {
            **listed({"type": "object"}),
            "description": "of Bluetooth: name, kind, slots, how many are used and waited for, state and why",
        },
        "history": {"type": "object"},
        "outputs": {**listed(OUTPUT), "description": "those that are configured"},
    },
)
SCHEMAS = {"Pack": PACK, "Radio": RADIO, "Bank": BANK, "Event": EVENT, "Health": HEALTH}

STREAM = (
    "text/event-stream",
    "Events pack and bank (snapshots, without `changed`; each at most once a second), event, health, and reload when "
    "the configuration changed. All packs and banks come first.",
)
ROUTES = (
    Route("GET", "/packs", "read", packs, "All packs", {200: thing({"packs": listed(refer("Pack"))})}),
    Route("GET", "/packs/{name}", "read", pack, "One pack", {200: refer("Pack")}, problems=(404,)),
    Route("GET", "/banks", "read", banks, "All banks", {200: thing({"banks": listed(refer("Bank"))})}),
    Route("GET", "/banks/{name}", "read", bank, "One bank", {200: refer("Bank")}, problems=(404,)),
    Route(
        "GET", "/catalogue", "read", catalogue, "The vocabulary: all readings and alarms",
        {200: thing({"readings": listed(READING), "alarms": listed(thing({"name": TEXT, "meaning": TEXT}))})},
    ),
    Route("GET", "/health", "read", health, "How it goes with packs, history and outputs", {200: refer("Health")}),
    Route("GET", "/live", "read", live, f"The live stream. {STREAM[1]}", {200: STREAM[0]}, problems=(503,)),
)  # fmt: skip
