"""Releasing a pack for the phone app on the page, and how links and radios are shown; before real servers."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import SCREENSHOTS, House, Watched
from playwright.sync_api import Browser, Page, expect
from served import free_port

Opened = Callable[..., Watched]
PHONE = {"viewport": {"width": 360, "height": 800}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
DESK = Path(__file__).parent.parent / "web/desk.py"


def picture(watched: Watched, name: str) -> None:
    """Take a picture; nothing is wider than the screen."""
    page = watched.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"release-{name}.png", full_page=True)
    assert page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def pack_of(watched: Watched, name: str, user: str, password: str = "") -> Page:
    """Return the page of a pack, for somebody who is logged in."""
    page = watched.log_in(user, password)
    expect(page.locator(f'[data-pack="{name}"]')).to_be_visible()
    return watched.open(f"#/pack/{name}")


@pytest.fixture
def made_up(browser: Browser) -> Iterator[str]:
    """Yield the address of made-up packs, of which the garage is read by Bluetooth."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(DESK), "--port", str(port), "--calm"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.mark.parametrize(("name", "options"), [("desktop", {}), ("phone", PHONE)])
def test_released_and_taken_back(own_house: House, opened: Opened, name: str, options: dict[str, Any]) -> None:
    watched = opened(own_house.address, **options)
    page = pack_of(watched, "shed", "helper")
    page.get_by_label("For", exact=True).fill("0.1")
    expect(page.get_by_text("Write a number from 0.5 to 240.")).to_be_visible()
    expect(page.get_by_role("button", name="Release", exact=True)).to_be_disabled()
    page.get_by_label("For", exact=True).fill("5")
    page.get_by_role("button", name="Release", exact=True).click()
    notice = page.locator("[data-released]")
    expect(notice).to_contain_text(re.compile(r"released for another program until \d\d:\d\d \(by helper\)"))
    expect(notice).to_contain_text(re.compile(r"Back in 4:5\d\."))
    expect(page.locator(".under-title .badge")).to_contain_text("released")
    assert own_house.get("packs/shed")["state"] == "lost"
    picture(watched, name)
    page.get_by_label("For", exact=True).fill("20")
    page.get_by_role("button", name="From now on").click()
    expect(notice).to_contain_text(re.compile(r"Back in (20:00|19:5\d)\."))
    notice.get_by_role("button", name="Take back").click()
    expect(notice).to_have_count(0)
    expect(page.locator(".under-title .badge")).to_contain_text("online")
    watched.open("#/events")
    expect(page.get_by_text("shed is released for another program for 5 minutes by helper")).to_be_visible()
    expect(page.get_by_text("shed is taken back by helper")).to_be_visible()


def test_who_may_only_look(own_house: House, opened: Opened) -> None:
    watched = opened(own_house.address)
    page = pack_of(watched, "shed", "viewer")
    expect(page.get_by_role("heading", name="Link")).to_be_visible()
    expect(page.get_by_role("heading", name="Another program")).to_have_count(0)


def test_why_it_cannot_be_released(own_house: House, opened: Opened) -> None:
    watched = opened(own_house.address)
    page = pack_of(watched, "shed", "helper")
    text = "shed: something is being written; try again in a moment"
    page.route(
        "**/packs/shed/release", lambda route: route.fulfill(status=409, json={"error": text, "code": "unavailable"})
    )
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.get_by_text(text)).to_be_visible()


@pytest.mark.parametrize(("name", "options"), [("desktop", DARK), ("phone", PHONE)])
def test_how_a_link_by_bluetooth_goes(made_up: str, opened: Opened, name: str, options: dict[str, Any]) -> None:
    watched = opened(made_up, **options)
    page = pack_of(watched, "garage", "admin", "battery-house")
    link = page.locator("section.card").filter(has=page.get_by_role("heading", name="Link", exact=True))
    for text in (
        "connected for 1 h 10 min, through hci0", "−71 dBm, 1 h 10 min ago", "3, 1 in the last hour",
        "asking for its notifications again: 2", "connecting again: 1", "connected, and silent: 3", "too slow: 1",
        "the connection was lost; it is made again", "has one within 52 s",
    ):  # fmt: skip
        expect(link).to_contain_text(text)
    card = page.locator("section.release")
    expect(card).to_contain_text("Phone app")
    picture(watched, f"radio-{name}")
    card.get_by_role("button", name="Release for phone app").click()
    expect(page.locator("[data-released]")).to_contain_text("released for the phone app until 14:05 (by admin)")
    watched.open("#/settings?part=health")
    for radio, texts in (("hci0", ("ready", "5 of 5", "Packs waiting")), ("kitchen", ("trouble", "proxy", "0 of 3"))):
        box = page.locator("section.card").filter(has=page.get_by_role("heading", name=radio, exact=True))
        for text in texts:
            expect(box).to_contain_text(text)
    picture(watched, f"radios-{name}")
