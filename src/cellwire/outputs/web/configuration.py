"""The configuration, and looking for packs, for those with the grant configure."""

import asyncio
from functools import partial

from aiohttp import web

from ...gateway.config import ConfigError
from .answers import Problem, answer
from .desk import ChangeRefused
from .schema import NUMBER, TEXT, WHOLE, YES_OR_NO, Schema, listed, or_null, refer, table, thing
from .site import Site
from .visit import Route, Visit


async def show(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET configuration."""
    return answer(site.desk.configuration())


async def _change(kind: str, site: Site, visit: Visit) -> web.StreamResponse:
    """Answer PUT and DELETE of a pack, a bank or a section of the configuration."""
    value = None if visit.request.method == "DELETE" else visit.body
    work = asyncio.create_task(site.desk.change(kind, visit.names.get("name", ""), value, visit.visitor.title))
    try:
        # What was begun is brought to its end, even when the server is taken down by that very change.
        await asyncio.shield(work)
    except ConfigError as error:
        mistakes = [
            {"line": mistake.line, "key": mistake.key, "problem": mistake.problem, "fix": mistake.fix}
            for mistake in error.mistakes
        ]
        raise Problem(422, "bad_request", str(error), mistakes=mistakes) from None
    except ChangeRefused as error:
        raise Problem(409, "unavailable", str(error)) from None
    return answer({"applied": True})


change_pack, change_bank, change_history, change_web, change_mqtt, change_modbus = (
    partial(_change, kind) for kind in ("pack", "bank", "history", "web", "mqtt", "modbus")
)


async def scan(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer POST scan."""
    site.desk.scan()
    return answer(site.desk.scanned(), 202)


async def scanned(site: Site, visit: Visit) -> web.StreamResponse:
    """Answer GET scan."""
    return answer(site.desk.scanned())


APPLIED = thing({"applied": YES_OR_NO})
ANY: Schema = {"type": "object"}
CONFIGURATION = thing(
    {
        "path": TEXT, "writable": YES_OR_NO, "packs": listed(ANY), "banks": listed(ANY), "web": ANY, "history": ANY,
        "mqtt": ANY, "modbus": ANY, "influx": listed(ANY),
    },
    {"text": TEXT},
)  # fmt: skip
SCAN = thing(
    {
        "running": YES_OR_NO,
        "links": listed(
            thing(
                {"link": TEXT},
                {
                    "packs": listed(ANY), "problem": TEXT, "advice": TEXT, "name": TEXT,
                    "rssi": {**WHOLE, "description": "dBm"}, "radio": TEXT,
                    "taken_for": listed(thing({"family": TEXT, "why": TEXT})),
                },
            )
        ),
    },
    {"no_bluetooth": {**TEXT, "description": "why Bluetooth was not looked at"}},
)  # fmt: skip
LIMITS = thing(
    {},
    or_null({"chemistry": TEXT, "charge_current": NUMBER, "discharge_current": NUMBER, "charge_voltage": NUMBER}),
)
PACK = thing(
    {},
    {
        "name": {**TEXT, "description": "another name from now on"},
        **or_null(
            {
                "link": TEXT, "family": TEXT, "address": WHOLE, "every": NUMBER, "grant": TEXT,
                "invert_current": YES_OR_NO, "password": {**TEXT, "description": "never answered"},
                "pairing": TEXT, "pin": {**TEXT, "description": "never answered"},
                "id": TEXT, "capacity": NUMBER, "limits": LIMITS,
            }
        ),
    },
    description="Keys that are not named stay as they are; null takes one away.",
)  # fmt: skip
BANK = thing(
    {}, {"name": TEXT, **or_null({"packs": listed(TEXT), "join_difference": NUMBER})}, description=PACK["description"]
)
HISTORY = thing(
    {},
    or_null(
        {
            "enabled": YES_OR_NO, "every": NUMBER, "commit": NUMBER, "keep_raw": NUMBER, "keep_minutes": NUMBER,
            "size": NUMBER,
        }
    ),
    description="Its path is changed in the file only.",
)  # fmt: skip
WEB = thing(
    {},
    or_null({"listen": TEXT, "hosts": listed(TEXT), "prefix": TEXT, "guests": YES_OR_NO, "proxy": YES_OR_NO}),
    description="The paths access, certificate and key are changed in the file only.",
)
HOME_ASSISTANT = thing({}, or_null({"discovery": TEXT, "prefix": TEXT, "raw": YES_OR_NO}))
MQTT = thing(
    {},
    or_null(
        {
            "url": TEXT, "protocol": TEXT, "base": TEXT, "client_id": TEXT, "user": TEXT,
            "password": {**TEXT, "description": "never answered"}, "single": YES_OR_NO, "refresh": NUMBER,
            "grant": TEXT,
            "periods": table(NUMBER), "dead_band": table(NUMBER), "home_assistant": HOME_ASSISTANT,
        }
    ),
    description="The paths password_file, ca, certificate and key are changed in the file only.",
)  # fmt: skip
MODBUS = thing(
    {},
    or_null(
        {
            "listen": TEXT, "allow": listed(TEXT), "serial": TEXT, "baud": WHOLE, "parity": TEXT,
            "units": listed(TEXT), "invert_current": YES_OR_NO, "grant": TEXT,
        }
    ),
    description=PACK["description"],
)  # fmt: skip
SCHEMAS = {"Configuration": CONFIGURATION, "Scan": SCAN}

WRONG = (409, 422)
ROUTES = (
    Route("GET", "/configuration", "configure", show, "The configuration, no secrets", {200: refer("Configuration")}),
    Route(
        "PUT", "/configuration/packs/{name}", "configure", change_pack, "Add or change a pack", {200: APPLIED},
        body=PACK, problems=WRONG, loose=True,
    ),
    Route(
        "DELETE", "/configuration/packs/{name}", "configure", change_pack, "Remove a pack; its history stays",
        {200: APPLIED}, problems=WRONG,
    ),
    Route(
        "PUT", "/configuration/banks/{name}", "configure", change_bank, "Add or change a bank", {200: APPLIED},
        body=BANK, problems=WRONG, loose=True,
    ),
    Route(
        "DELETE", "/configuration/banks/{name}", "configure", change_bank, "Remove a bank; its history stays",
        {200: APPLIED}, problems=WRONG,
    ),
    Route(
        "PUT", "/configuration/history", "configure", change_history, "Change how the history is kept", {200: APPLIED},
        body=HISTORY, problems=WRONG, loose=True,
    ),
    Route(
        "PUT", "/configuration/web", "configure", change_web, "Change how the page is served", {200: APPLIED},
        body=WEB, problems=WRONG, loose=True,
    ),
    Route(
        "PUT", "/configuration/mqtt", "configure", change_mqtt, "Change what is published to an MQTT broker",
        {200: APPLIED}, body=MQTT, problems=WRONG, loose=True,
    ),
    Route(
        "PUT", "/configuration/modbus", "configure", change_modbus, "Change the Modbus server", {200: APPLIED},
        body=MODBUS, problems=WRONG, loose=True,
    ),
    Route(
        "POST", "/scan", "configure", scan, "Look for packs on all serial ports and by Bluetooth, in the background",
        {202: refer("Scan")},
    ),
    Route("GET", "/scan", "configure", scanned, "What the last scan found", {200: refer("Scan")}),
)  # fmt: skip
