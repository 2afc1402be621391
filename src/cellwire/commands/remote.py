"""Asks a running gateway by its API: with a token, past all proxies, and not for ever."""

import http.client
import json
import os
import queue
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

GIVEN = "CELLWIRE_TOKEN"
FOREIGN = "this does not answer as a Cellwire gateway does; look at the address"

T = TypeVar("T")


class Unreached(Exception):
    """A gateway did not do what it was asked for: a sentence that says why and what to do.

    away    nobody answers, or somebody who is not well
    status  of the answer in HTTP, 0 without one
    """

    def __init__(self, text: str, away: bool = False, status: int = 0) -> None:
        super().__init__(text)
        self.away = away
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: the token is for the gateway alone."""

    def redirect_request(self, *asked: Any) -> None:
        """Return no other request."""


class Remote:
    """A gateway at an address; raises Unreached where that is none, or token or certificate cannot be read.

    make: the command that makes a token as it is needed here
    """

    def __init__(self, url: str, token_file: str | None, ca: str | None, make: str) -> None:
        try:
            parts = urlsplit(url)
            whole = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment or parts.username)
            whole = whole and parts.scheme in ("http", "https")
        except ValueError:
            whole = False
        if not whole or any(letter.isspace() for letter in url):
            raise Unreached("this is not the address of a gateway; write such as http://192.0.2.7:6789")
        try:
            token = Path(token_file).read_text("ascii") if token_file else os.environ.get(GIVEN, "")
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ValueError) as error:
            raise Unreached(f"--token-file or --ca cannot be read: {error}") from None
        token = token.strip()
        if not re.fullmatch(r"[!-~]*", token):
            raise Unreached("the token is not one line of plain letters; copy it anew")
        self.make = make
        self._base = f"{url.rstrip('/')}/api/v1/"
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect())
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the JSON that is answered; raise Unreached."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, **({} if body is None else {"Content-Type": "application/json"})}
        # It is http or https, see above.
        request = urllib.request.Request(self._base + path, data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Unreached(self._refusal(error), error.code >= 500, error.code) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                untrusted = f"its certificate is not trusted ({error.reason.verify_message})"
                raise Unreached(f"{untrusted}; name the one that signed it: --ca") from None
            why = getattr(error.reason, "strerror", None) or error.reason
            raise Unreached(f"the gateway does not answer: {why}", away=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreached(f"the gateway broke off: {error or type(error).__name__}", away=True) from None
        except ValueError:
            raise Unreached(FOREIGN) from None

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        """Return what a refused request comes to."""
        try:
            said = json.load(error)["error"]
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
            return f"{FOREIGN} (HTTP {error.code})"
        if error.code == 401:
            return f"the gateway wants a token; make one ({self.make}) and name it with --token-file or {GIVEN}"
        return f"the gateway says: {said}"


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what the work gives; raise Unreached when it does, or takes longer."""
    answers: queue.SimpleQueue[T | Unreached] = queue.SimpleQueue()

    def do() -> None:
        try:
            answers.put(work())
        except Unreached as error:
            answers.put(error)

    # In a thread that dies with the program, because no part of a request, such as the name service, may take longer.
    threading.Thread(target=do, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise Unreached(f"no answer within {seconds:g} s", away=True) from None
    if isinstance(answer, Unreached):
        raise answer
    return answer
