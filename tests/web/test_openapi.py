"""The OpenAPI description is true: schemathesis calls every route by it and finds no undocumented answer and no 5xx."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from caller import calling
from desk import CELLS, FakeDesk, serving
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from cellwire.outputs.web import openapi, table
from cellwire.outputs.web.visit import WRITES

TITLES = {
    "": "Open to everybody",
    "read": "With the grant `read`",
    "operate": "With the grant `operate`",
    "configure": "With the grant `configure`",
    "service": "With the grant `service`",
}
DOCUMENT: dict[str, Any] = json.loads(table.OPENAPI)
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
)


@contextlib.contextmanager
def in_thread(folder: Path) -> Iterator[tuple[str, str, FakeDesk]]:
    """Serve in a thread; give the address and a service token: schemathesis calls without asyncio."""
    desk = FakeDesk()
    ready: list[tuple[str, str]] = []
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(folder, desk) as server:
            ready.append((server.addresses[0], server.site.access.add_token("schemathesis", "service")))
            # What is made up must not lock it out.
            server.site.lockout.begin = lambda *keys: False  # type: ignore[method-assign]
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(20)
        yield (*ready[0], desk)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, FakeDesk]]:
    with in_thread(tmp_path_factory.mktemp("served")) as found:
        yield found


OPERATIONS = [
    (path, method) for path, methods in DOCUMENT["paths"].items() for method in methods if path not in ("/live",)
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: str(part))
def test_schemathesis(served: tuple[str, str, FakeDesk], path: str, method: str) -> None:
    address, token, _ = served
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    operation = schema[path][method]

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: "schemathesis.Case[Any]") -> None:
        headers = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(base_url=f"{address}api/v1", headers=headers, checks=list(CHECKS), timeout=10)

    given(case=operation.as_strategy())(run)()
    # Where nothing can be said nothing can be said wrongly.
    if {"parameters", "requestBody"} & set(DOCUMENT["paths"][path][method]):
        given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))(run)()


async def test_answers_fit_their_schemas(tmp_path: Path) -> None:
    """Real names, which made up ones seldom hit."""
    async with serving(tmp_path) as server, calling(server, logged_in=True) as caller:
        for name in CELLS:
            fits("Pack", (await caller.get(f"packs/{name}")).json)
        fits("Bank", (await caller.get("banks/house")).json)
        fits("Health", (await caller.get("health")).json)
        fits("Session", (await caller.get("session")).json)
        fits("Configuration", (await caller.get("configuration")).json)
        fits("Scan", (await caller.get("scan")).json)
        fits("Series", (await caller.get("history?of=van&names=voltage,nothing&points=10")).json)
        for event in (await caller.get("events")).json["events"]:
            fits("Event", event)


def fits(name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(schema, value)


def test_every_route_is_described() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in table.ROUTES.all}


def test_every_answer_in_use_is_described() -> None:
    for route in table.ROUTES.all:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        found = {int(status) for status in operation["responses"]}
        assert found == {*route.answers, *openapi.statuses(route)}
        assert (401 in found) or not route.grant
        if route.method in WRITES:
            assert {403, 413, 415} <= found


def test_the_page_of_documentation_has_every_route_and_code() -> None:
    text = (Path(__file__).parent.parent.parent / "docs/api.md").read_text(encoding="utf-8")
    parts = {grant: text.partition(f"## {title}")[2].partition("\n## ")[0] for grant, title in TITLES.items()}
    for route in table.ROUTES.all:
        assert f"| `{route.method} {route.path}` |" in parts[route.grant]
    for code in openapi.CODES:
        assert f"| `{code}` |" in text


def test_references_lead_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        if isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(DOCUMENT):
        assert reference.rpartition("/")[2] in DOCUMENT["components"]["schemas"]
