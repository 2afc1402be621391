"""The page as people meet it, in a real browser before a real gateway with simulated packs."""

import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generated import Pack
from house import PASSWORDS, SCREENSHOTS, House, Watched, house, pack_text
from playwright.sync_api import Page, expect
from served import served

from cellwire.gateway.config import HistorySettings
from cellwire.gateway.events import Events
from cellwire.outputs.history import History, Row

PAGE = Path(__file__).parent.parent.parent / "src/cellwire/outputs/web/page"
BUDGET = 150_000
Opened = Callable[..., Watched]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def card(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.locator(f'[data-pack="{name}"]')


KEPT = "jbd-0000000000"
STORED = ("voltage", "current", "power", "soc", "energy_in", "energy_out")


def a_year(path: Path) -> None:
    """Write a year of one pack that is gone now, a row each ten minutes."""
    clock = Clock()
    clock.now = time.time() - 366 * 86400
    history = History(HistorySettings(path=path, commit=3600.0), clock, clock, Events(clock), lambda meters: None)
    history.start()
    history.name(KEPT, "old pack")
    pack = Pack(0)
    end = time.time() - 3600
    while clock.now < end:
        rows = []
        for _ in range(144):
            moment, readings = pack.row(clock.now, 600.0)
            rows.append(Row(KEPT, moment, {name: readings[name] for name in STORED}))
            clock.now += 600.0
        history.append(rows)
        assert history.flush(30)
    history.stop()


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_all_assets_together_are_small() -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file() and path.suffix not in (".gz", ".txt")]
    assert len(files) > 3
    total = sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)
    assert total < BUDGET, f"{total} bytes gzipped"


def test_first_paint_and_live_values(shared_house: House, opened: Opened) -> None:
    watched = opened(shared_house.address)
    page = watched.open()
    expect(card(page, "shed")).to_have_attribute("data-state", "online")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1000, f"{paint} ms"
    # The current has noise, so a living page changes its figures within some polls.
    before = card(page, "shed").inner_text()
    page.wait_for_function(
        "([name, text]) => document.querySelector(`[data-pack=${name}]`).innerText !== text", arg=["shed", before]
    )
    expect(page.get_by_text("2 of 2 packs")).to_be_visible()


def test_a_pack_is_shown_whole(shared_house: House, opened: Opened) -> None:
    page = opened(shared_house.address).open("#/pack/shed")
    expect(page.get_by_role("heading", name="shed")).to_be_visible()
    for heading in ("Cells", "Alarms", "Temperatures", "State of charge"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    shown = shared_house.get("packs/shed")
    assert len(shown["readings"]["cell_voltages"]) == 16
    expect(page.locator("li.cell")).to_have_count(16)


def test_history_is_drawn(shared_house: House, opened: Opened) -> None:
    shared_house.until(lambda: len(shared_house.get("stored")["packs"]) >= 3)
    page = opened(shared_house.address).open("#/history")
    expect(page.locator("canvas").first).to_be_visible()
    drawn = """() => {
        const canvas = document.querySelector('canvas'), size = [canvas.width, canvas.height];
        const pixels = canvas.getContext('2d').getImageData(0, 0, ...size).data;
        return pixels.some((value) => value !== 0);
    }"""
    page.wait_for_function(drawn)


def test_from_a_day_to_a_year(tmp_path: Path, opened: Opened) -> None:
    """A year of data: the day in minutes, the month in hours, the year in days, and back by dragging into it."""
    folder = tmp_path / "old"
    folder.mkdir()
    a_year(folder / "cellwire.db")
    with house(folder) as found:
        found.online("shed", "garage")
        found.until(lambda: len(found.get("stored")["packs"]) >= 3)
        asked: list[str] = []
        watched = opened(found.address)
        watched.page.on("request", lambda request: asked.append(request.url))
        page = watched.open(f"#/history?of={KEPT}")
        chart = page.locator("canvas").first
        expect(chart).to_be_visible()
        for span, resolution in (("24 h", "minutes"), ("7 d", "minutes"), ("30 d", "hours"), ("1 y", "days|hours")):
            page.get_by_role("button", name=span, exact=True).click()
            expect(page.get_by_text(re.compile(f"({resolution}).*min, average, max")).first).to_be_visible()
        box = chart.bounding_box()
        assert box
        before = len([url for url in asked if "/history?" in url])
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.50, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.51, middle, steps=4)
        page.mouse.up()
        expect(page.get_by_text(re.compile("minutes.*min, average, max")).first).to_be_visible()
        assert len([url for url in asked if "/history?" in url]) > before, "each zoom asks for what fits it"
        page.get_by_role("button", name="Table").first.click()
        expect(page.get_by_role("table").first).to_be_visible()
        expect(page.get_by_text(re.compile("kWh")).first).to_be_visible()
        watched.close()


def test_first_start(tmp_path: Path, opened: Opened) -> None:
    with house(tmp_path / "new", guests=False, users=False) as fresh:
        code = re.search(r"setup/(\S+)", fresh.process.errors)
        assert code
        watched = opened(fresh.address)
        page = watched.open(f"#/setup/{code[1]}")
        page.get_by_label("Your name").fill("admin")
        page.get_by_label("Password", exact=True).fill("short")
        page.get_by_label("Password again").fill("short")
        page.get_by_role("button", name="Create user").click()
        expect(page.get_by_text("5 more characters are needed")).to_be_visible()
        page.get_by_label("Password", exact=True).fill(PASSWORDS["admin"])
        page.get_by_label("Password again").fill(PASSWORDS["admin"])
        page.get_by_role("button", name="Create user").click()
        expect(card(page, "shed")).to_be_visible()
        expect(page.get_by_role("navigation").first.get_by_text("Packs")).to_be_visible()
        # The address works once.
        again = opened(fresh.address)
        other = again.open(f"#/setup/{code[1]}")
        expect(other.get_by_role("link", name="Log in").first).to_be_visible()
        again.close()
        # It goes on serving after it opened up.
        expect(card(page, "shed")).to_have_attribute("data-state", "online")
        # It began to serve everybody in the middle of this, and streams were cut for it.
        watched.forgive("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_CONNECTION_REFUSED")
        watched.close()


def test_wrong_and_right_log_in(shared_house: House, opened: Opened) -> None:
    watched = opened(shared_house.address)
    page = watched.log_in("viewer", "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    page = watched.log_in("viewer")
    expect(card(page, "shed")).to_be_visible()
    page.get_by_role("button", name=re.compile("viewer|Log out")).first.click()


def test_guests_only_when_opened(tmp_path: Path, opened: Opened, shared_house: House) -> None:
    page = opened(shared_house.address).open()
    expect(card(page, "shed")).to_be_visible()
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()
    expect(page.get_by_role("navigation").first.get_by_text("Packs", exact=True)).to_have_count(0)
    with house(tmp_path / "closed", guests=False) as closed:
        watched = opened(closed.address)
        page = watched.open()
        expect(page.get_by_label("Password", exact=True)).to_be_visible()
        expect(card(page, "shed")).to_have_count(0)
        watched.close()


@pytest.mark.parametrize(("name", "may_change"), [("admin", True), ("helper", False), ("viewer", False)])
def test_roles(shared_house: House, opened: Opened, name: str, may_change: bool) -> None:
    watched = opened(shared_house.address)
    page = watched.log_in(name)
    expect(card(page, "shed")).to_be_visible()
    watched.open("#/packs")
    if may_change:
        expect(page.get_by_role("button", name=re.compile("^Add")).first).to_be_visible()
    else:
        expect(page.get_by_text(re.compile("configure")).first).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Add"))).to_have_count(0)
    answer = page.evaluate("fetch('api/v1/users').then((answer) => answer.status)")
    assert answer == (200 if may_change else 403)


def test_a_pack_is_lost_and_comes_back(own_house: House, opened: Opened) -> None:
    watched = opened(own_house.address)
    page = watched.open()
    expect(card(page, "shed")).to_have_attribute("data-state", "online")
    own_house.packs["shed"].unplug()
    expect(card(page, "shed")).to_have_attribute("data-state", re.compile("lost|error"))
    expect(card(page, "shed")).to_have_class(re.compile("old"))
    expect(card(page, "shed")).to_contain_text(re.compile(r"\d+ s"))
    expect(page.get_by_text("1 of 2 packs")).to_be_visible()
    own_house.packs["shed"].replug()
    expect(card(page, "shed")).to_have_attribute("data-state", "online")
    expect(page.get_by_text("2 of 2 packs")).to_be_visible()
    watched.open("#/events")
    expect(page.get_by_text(re.compile("shed is back")).first).to_be_visible()
    expect(page.get_by_text(re.compile("shed is lost")).first).to_be_visible()


def test_the_gateway_goes_and_comes_back(own_house: House, opened: Opened) -> None:
    page = opened(own_house.address).open()
    expect(card(page, "shed")).to_have_attribute("data-state", "online")
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    page.context.set_offline(False)
    expect(card(page, "shed")).to_have_attribute("data-state", "online")


def test_adding_a_pack(own_house: House, opened: Opened, tmp_path: Path) -> None:
    with served(tmp_path / "van", "jbd", cells=4) as van:
        watched = opened(own_house.address)
        page = watched.log_in("admin")
        expect(card(page, "shed")).to_be_visible()
        watched.open("#/packs")
        page.get_by_role("button", name=re.compile("^Add (by hand|a pack)")).first.click()
        form = page.get_by_role("dialog")
        form.get_by_label("Name", exact=True).fill("van")
        form.get_by_label("Link", exact=True).fill("nonsense://")
        form.get_by_role("button", name="Add a pack").click()
        expect(form.get_by_text(re.compile("nonsense")).first).to_be_visible()
        form.get_by_label("Link", exact=True).fill(van.path)
        form.get_by_role("button", name="Add a pack").click()
        expect(form).to_have_count(0)
        watched.open("#/")
        expect(card(page, "van")).to_have_attribute("data-state", "online", timeout=20_000)
        assert "# The house" in own_house.file.read_text(encoding="utf-8")


def test_the_configuration_is_read_again(own_house: House, opened: Opened, tmp_path: Path) -> None:
    with served(tmp_path / "van", "jbd", cells=4) as van:
        page = opened(own_house.address).open()
        expect(card(page, "shed")).to_be_visible()
        text = own_house.file.read_text(encoding="utf-8")
        own_house.file.write_text(text + pack_text("van", van.path), encoding="utf-8")
        own_house.reload()
        expect(card(page, "van")).to_have_attribute("data-state", "online", timeout=20_000)
        expect(card(page, "shed")).to_have_attribute("data-state", "online")


@pytest.mark.parametrize("view", ["#/", "#/pack/shed", "#/history", "#/events", "#/settings", "#/login", "#/packs"])
def test_nothing_is_wider_than_a_phone(shared_house: House, opened: Opened, view: str) -> None:
    for width in (360, 390):
        watched = opened(shared_house.address, **{**PHONE, "viewport": {"width": width, "height": 800}})
        page = watched.open(view)
        page.get_by_role("heading").first.wait_for()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{view} is {wide} wide"


def test_keyboard_and_names(shared_house: House, opened: Opened) -> None:
    page = opened(shared_house.address).open()
    expect(card(page, "shed")).to_be_visible()
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("document.activeElement.textContent")
    nameless = page.evaluate("""() => [...document.querySelectorAll('a, button, input, select')]
        .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.title || each.labels?.length))
        .map((each) => each.outerHTML)""")
    assert not nameless
    assert page.evaluate("document.documentElement.lang") == "en"


def test_pictures(shared_house: House, opened: Opened) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    looks: dict[str, dict[str, Any]] = {
        "desktop": {},
        "dark": {"color_scheme": "dark"},
        "phone": PHONE,
    }
    for name, options in looks.items():
        watched = opened(shared_house.address, **options)
        for view in ("", "pack/shed", "history"):
            page = watched.open("#/" + view)
            page.get_by_role("heading").first.wait_for()
            if not view:
                expect(card(page, "shed")).to_have_attribute("data-state", "online")
            picture = page.screenshot(path=SCREENSHOTS / f"{view.partition('/')[0] or 'overview'}-{name}.png")
            assert len(picture) > 10_000


def test_under_a_path_prefix(shared_house: House, opened: Opened) -> None:
    """The page asks only addresses below its own, so a reverse proxy may put it anywhere."""
    watched = opened(shared_house.address)
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    page = watched.open()
    expect(card(page, "shed")).to_be_visible()
    html = page.evaluate("fetch('./').then((answer) => answer.text())")
    assert not re.search(r"""(src|href)="/""", html)
