"""Chromium and running gateways for the tests of the page."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House, Watched, chromium, house
from playwright.sync_api import Browser, sync_playwright

Opened = Callable[..., Watched]


# Not for the whole session: while Playwright is started, no asyncio test can run in the same process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield the browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    """Yield a gateway that tests only look at."""
    with house(tmp_path_factory.mktemp("house") / "it") as found:
        found.online("shed", "garage")
        yield found


@pytest.fixture
def own_house(tmp_path: Path, browser: Browser) -> Iterator[House]:
    """Yield a gateway that a test may do anything to."""
    with house(tmp_path / "house") as found:
        found.online("shed", "garage")
        yield found


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Yield what opens a watched page in a context of its own: `opened(address, viewport=...)`."""
    pages: list[Watched] = []

    def open_page(address: str, **options: Any) -> Watched:
        context = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "timezone_id": "Europe/Berlin", **options}
        )
        context.set_default_timeout(15_000)
        pages.append(Watched(context, address))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
