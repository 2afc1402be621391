"""cellwire release: lets the running gateway leave a pack to the phone app for a while, or take it back."""

import argparse
import contextlib
import ipaddress
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..cli import DONE, NO_ANSWER, NOT_ALLOWED, USAGE, Failure
from ..gateway.config import ConfigError, WebSettings, load
from .remote import Remote, Unreached, within

PATIENCE = 15.0  # seconds for the answer: a connection has to be ended politely
MAKE = "cellwire user token add phone --grant operate"
# Exit codes by what the gateway answers.
CODES = {400: USAGE, 404: USAGE, 401: NOT_ALLOWED, 403: NOT_ALLOWED, 409: NOT_ALLOWED}


def run(options: argparse.Namespace) -> int:
    """Ask the gateway, and say what became of it."""
    try:
        gateway = Remote(options.url or _url(Path(options.config)), options.token_file, options.ca, MAKE)
    except Unreached as error:
        raise Failure(USAGE, str(error)) from None
    path = f"packs/{quote(options.pack, safe='')}/release"
    minutes = 0 if options.back else options.minutes
    try:
        document: dict[str, Any] = within(PATIENCE, lambda: gateway.ask(path, "POST", {"minutes": minutes}))
        text = f"{options.pack}: {document['text']}"
    except (TypeError, KeyError):
        raise Failure(NO_ANSWER, "this does not answer as a Cellwire gateway does; look at the address") from None
    except Unreached as error:
        raise Failure(CODES.get(error.status, NO_ANSWER), _advice(error, options)) from None
    print(json.dumps({"pack": options.pack, **document}, ensure_ascii=False) if options.json else text)
    return DONE


def _advice(error: Unreached, options: argparse.Namespace) -> str:
    if error.status == 403:
        return f"{error}; a token that may: {MAKE} -c {options.config}"
    if error.away and not error.status:
        return f"{error}; is it running? Where it serves another address than {options.config} says, name that: --url"
    return str(error)


def _url(path: Path) -> str:
    """Return where a gateway with this configuration serves its page; without a file, where one does by itself."""
    try:
        web = load(path).web if path.exists() else WebSettings()
    except (ConfigError, OSError) as error:
        raise Failure(USAGE, str(error)) from None
    host, _, port = web.listen.rpartition(":")
    with contextlib.suppress(ValueError):  # a name is no address
        if ipaddress.ip_address(host.strip("[]") or "::").is_unspecified:
            host = "127.0.0.1"  # it is everywhere, so also here
    return f"{'https' if web.certificate else 'http'}://{host}:{port}{web.prefix}"
