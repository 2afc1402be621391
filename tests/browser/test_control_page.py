"""Setting packs on the page, before a real gateway with simulated packs that obey, or do not."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import SCREENSHOTS, House, Watched, house
from playwright.sync_api import Browser, Locator, Page, expect

Opened = Callable[..., Watched]
PHONE = {"viewport": {"width": 360, "height": 800}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
CHANGES = {"Cell overvoltage limit": "3.6", "Cell undervoltage limit": "2,6", "Balance delta": "0.02"}


@pytest.fixture
def obeying(tmp_path: Path, browser: Browser) -> Iterator[House]:
    """Yield a house on whose packs everything may be done."""
    with house(tmp_path / "house", grant="service") as found:
        found.online("shed", "garage")
        yield found


def settings_of(house: House, opened: Opened, name: str = "admin", **options: Any) -> tuple[Watched, Page]:
    """Return the page of the shed's settings, all of them read."""
    watched = opened(house.address, **options)
    watched.log_in(name)
    expect(watched.page.locator('[data-pack="shed"]')).to_be_visible()
    page = watched.open("#/control/shed")
    page.get_by_role("button", name="Read from the pack").click()
    expect(row(page, "cell_overvoltage_limit")).to_contain_text("3.650", timeout=20_000)
    return watched, page


def row(page: Page, command: str) -> Locator:
    return page.locator(f'.setting[data-command="{command}"]')


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def step(page: Page, command: str) -> Locator:
    """Return what is said of a command in the dialog that writes."""
    return dialog(page).locator(f'[data-command="{command}"]')


def change(page: Page, name: str, value: str) -> None:
    page.get_by_role("button", name=f"Change: {name}", exact=True).click()
    field = page.get_by_label(f"New value: {name}", exact=True)
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)


def picture(watched: Watched, name: str) -> None:
    """Take a picture; nothing is wider than the screen."""
    page = watched.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"control-{name}.png", full_page=True)
    assert page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize(("name", "options"), [("desktop", DARK), ("phone", PHONE)])
def test_three_settings_are_changed_and_changed_back(
    obeying: House, opened: Opened, name: str, options: dict[str, Any]
) -> None:
    watched, page = settings_of(obeying, opened, **options)
    for label, value in CHANGES.items():
        change(page, label, value)
    expect(page.get_by_text("3 changes, none written yet")).to_be_visible()
    expect(row(page, "cell_overvoltage_limit")).to_contain_text(re.compile(r"3\.650.*3\.600"))
    picture(watched, f"settings-{name}")
    page.get_by_role("button", name="Show difference").click()
    expect(dialog(page).locator("li[data-command]")).to_have_count(3)
    expect(step(page, "cell_undervoltage_limit")).to_contain_text(re.compile(r"2\.500.*2\.600"))
    step(page, "cell_undervoltage_limit").get_by_text("Bytes").click()
    expect(step(page, "cell_undervoltage_limit").locator("code").first).to_contain_text("dd 5a 26")
    picture(watched, f"difference-{name}")
    assert obeying.get("packs/shed")["readings"]["cell_overvoltage_limit"] == 3.65
    dialog(page).get_by_role("button", name="Write 3 changes").click()
    expect(dialog(page).get_by_text("All 3 are done, and read back from the pack.")).to_be_visible(timeout=20_000)
    for command, there in (("cell_overvoltage_limit", 3.6), ("cell_undervoltage_limit", 2.6), ("balance_delta", 0.02)):
        expect(step(page, command).get_by_text("done", exact=True)).to_be_visible()
        assert obeying.get("packs/shed")["readings"][command] == there
    picture(watched, f"results-{name}")
    dialog(page).get_by_role("button", name="Undo").click()
    expect(dialog(page).get_by_role("heading", name="Write back what was before?")).to_be_visible()
    dialog(page).get_by_role("button", name="Write back").click()
    expect(dialog(page).get_by_text("All 3 are done, and read back from the pack.")).to_be_visible(timeout=20_000)
    assert obeying.get("packs/shed")["readings"]["cell_overvoltage_limit"] == 3.65
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_text("none written yet")).to_have_count(0)
    page.get_by_role("tab", name="Journal").click()
    expect(page.locator("[data-entry]")).to_have_count(6)
    expect(page.get_by_text("undone", exact=True)).to_have_count(3)
    expect(page.get_by_text(re.compile("admin, page")).first).to_be_visible()
    picture(watched, f"journal-{name}")


def test_what_makes_no_sense_is_refused_before_anything_is_sent(obeying: House, opened: Opened) -> None:
    _, page = settings_of(obeying, opened)
    change(page, "Cell overvoltage limit", "9")
    field = page.get_by_label("New value: Cell overvoltage limit")
    expect(field).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Change: Balance start").press("Enter")
    expect(page.get_by_label("New value: Balance start")).to_be_focused()
    page.get_by_role("button", name="Leave it as it is: Balance start").press("Enter")
    expect(page.get_by_role("button", name="Change: Balance start")).to_be_focused()
    page.get_by_role("button", name="Show difference").click()
    expect(field).to_be_focused()
    expect(dialog(page)).to_have_count(0)
    # Below its own release.
    field.fill("3.5")
    page.get_by_role("button", name="Show difference").click()
    expect(step(page, "cell_overvoltage_limit").get_by_text("refused", exact=True)).to_be_visible()
    expect(step(page, "cell_overvoltage_limit")).to_contain_text("“Cell overvoltage release”")
    expect(dialog(page).get_by_role("button", name=re.compile("^Write"))).to_have_count(0)
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("1 change, not written yet")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("not written yet")).to_have_count(0)


@pytest.mark.parametrize(("fault", "said"), [("refuse", "refused"), ("ignore-writes", "not confirmed")])
def test_what_a_pack_does_not_do_is_shown_with_its_reason(
    obeying: House, opened: Opened, fault: str, said: str
) -> None:
    _, page = settings_of(obeying, opened)
    change(page, "Balance delta", "0.02")
    page.get_by_role("button", name="Show difference").click()
    expect(dialog(page).get_by_role("button", name="Write 1 change")).to_be_enabled()
    obeying.packs["shed"].simulator.faults = {fault: 1.0}
    dialog(page).get_by_role("button", name="Write 1 change").click()
    expect(dialog(page).get_by_text("0 of 1 done.")).to_be_visible()
    expect(step(page, "balance_delta").get_by_text(said, exact=True)).to_be_visible()
    expect(step(page, "balance_delta").locator(".doing-reason")).not_to_be_empty()
    dialog(page).get_by_role("button", name="Close").last.click()
    # What was not done is still wanted.
    expect(page.get_by_text("1 change, not written yet")).to_be_visible()


def test_a_mosfet_is_switched(obeying: House, opened: Opened) -> None:
    watched = opened(obeying.address)
    watched.log_in("helper")
    expect(watched.page.locator('[data-pack="shed"]')).to_be_visible()
    page = watched.open("#/pack/shed")
    off = page.get_by_role("button", name="Switch off: Discharge", exact=True)
    off.click()
    # It asks first, and says what it means.
    expect(dialog(page).get_by_text("takes the power from everything behind the pack")).to_be_visible()
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(dialog(page)).to_have_count(0)
    expect(off).to_be_focused()
    assert obeying.get("packs/shed")["readings"]["discharge_mosfet"] is True
    off.click()
    dialog(page).get_by_role("button", name="Switch off", exact=True).click()
    expect(dialog(page).get_by_text("Done, and read back from the pack.")).to_be_visible()
    expect(dialog(page).get_by_text("The pack shows off.")).to_be_visible()
    dialog(page).get_by_role("button", name="Close").last.click()
    tile = page.locator(".switch", has_text="Discharge")
    expect(tile.get_by_text("blocks")).to_be_visible()
    expect(page.get_by_role("button", name="Switch on: Discharge", exact=True)).to_be_visible()
    expect(off).to_have_count(0)
    assert obeying.get("packs/shed")["readings"]["discharge_mosfet"] is False
    # An operator switches, and changes no limits.
    watched.open("#/control/shed")
    expect(page.get_by_text("Your user may do no more than “operate”")).to_be_visible()
    expect(page.get_by_role("button", name="Change: Charge switch", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Change: Cell overvoltage limit")).to_have_count(0)


def test_a_viewer_sees_values_and_no_controls(obeying: House, opened: Opened) -> None:
    settings_of(obeying, opened)
    watched = opened(obeying.address)
    watched.log_in("viewer")
    page = watched.page
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    watched.open("#/pack/shed")
    expect(page.locator(".switch").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Switch o"))).to_have_count(0)
    watched.open("#/control/shed")
    expect(row(page, "cell_overvoltage_limit")).to_contain_text("3.650")
    expect(page.get_by_text('viewer may do no more than "read"')).to_be_visible()
    for name in ("^Change", "^Do it", "Load backup", "Calibrate", "Undo"):
        expect(page.get_by_role("button", name=re.compile(name))).to_have_count(0)
    expect(page.get_by_role("tab")).to_have_count(1)
    # Reading them would need a mode that only a write enters.
    page.get_by_role("button", name="Read from the pack").click()
    expect(page.get_by_role("alert")).to_contain_text("viewer")


def test_a_pack_that_may_only_be_read(shared_house: House, opened: Opened) -> None:
    watched = opened(shared_house.address)
    watched.log_in("admin")
    page = watched.page
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    watched.open("#/pack/shed")
    expect(page.get_by_role("button", name="Switch off: Charge", exact=True)).to_be_disabled()
    expect(page.get_by_text(re.compile('accepts no more than "read"'))).to_be_visible()
    watched.open("#/control/shed")
    expect(page.get_by_text(re.compile('accepts no more than "read"'))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Change"))).to_have_count(0)


def test_cells_are_calibrated(obeying: House, opened: Opened) -> None:
    watched = opened(obeying.address)
    watched.log_in("admin")
    page = watched.page
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    watched.open("#/control/shed?part=calibration")
    cells = page.get_by_role("region", name="Calibrate cell", exact=True)
    expect(cells.get_by_role("row")).to_have_count(17)
    button = cells.get_by_role("button", name=re.compile("^Calibrate"))
    expect(button).to_be_disabled()
    shown = obeying.get("packs/shed")["readings"]["cell_voltages"]
    for number in (2, 5):
        cells.get_by_label(f"Your meter shows, Calibrate cell {number}", exact=True).fill(f"{shown[number - 1]:.3f}")
    cells.get_by_label("Your meter shows, Calibrate cell 7", exact=True).fill("33")
    expect(button).to_be_disabled()
    cells.get_by_label("Your meter shows, Calibrate cell 7", exact=True).fill("")
    # A current that flows stands in the way of setting the zero point.
    idle = page.get_by_role("group", name="Calibrate idle current")
    idle.get_by_role("button", name=re.compile("^Calibrate")).click()
    expect(step(page, "calibrate_idle_current").get_by_text("refused", exact=True)).to_be_visible()
    dialog(page).get_by_role("button", name="Cancel").click()
    button.click()
    go = dialog(page).get_by_role("button", name="Calibrate", exact=True)
    expect(go).to_be_disabled()
    confirm = dialog(page).get_by_label("To go on, type the name of the pack: shed")
    confirm.fill("garage")
    expect(go).to_be_disabled()
    confirm.fill("shed")
    go.click()
    for number in (2, 5):
        result = step(page, f"calibrate_cell/{number}").get_by_text(re.compile("^(done|not confirmed|refused)$"))
        expect(result.first).to_be_visible()
    expect(dialog(page).locator("li[data-command]")).to_have_count(2)
    picture(watched, "calibration")


def test_a_backup_and_starting_values(obeying: House, opened: Opened, tmp_path: Path) -> None:
    _, page = settings_of(obeying, opened)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download backup").click()
    assert download.value.suggested_filename == "shed-settings.toml"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert tomllib.loads(text)["settings"]["cell_overvoltage_limit"] == 3.65
    other = tmp_path / "other.toml"
    other.write_text(text.replace("balance_delta = 0.03", "balance_delta = 0.04"), encoding="utf-8")
    page.get_by_text("Many at once").click()
    page.get_by_label("Load backup").set_input_files(other)
    expect(page.get_by_text("1 change from other.toml is in your list now.")).to_be_visible()
    expect(row(page, "balance_delta")).to_contain_text(re.compile(r"0\.030.*0\.040"))
    broken = tmp_path / "broken.toml"
    broken.write_text("nothing", encoding="utf-8")
    page.get_by_label("Load backup").set_input_files(broken)
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Starting values for").select_option("nmc")
    expect(page.get_by_text(re.compile(r"\d+ changes from NMC are in your list now"))).to_be_visible()
    expect(row(page, "cell_overvoltage_limit")).to_contain_text("4.200")
    page.get_by_role("button", name="Show difference").click()
    # Li-ion limits on LFP cells.
    expect(dialog(page).get_by_text(re.compile("is no overvoltage limit of LFP cells")).first).to_be_visible()
    expect(dialog(page).get_by_role("button", name=re.compile("^Write"))).to_be_disabled()


def test_an_action_is_asked_for(obeying: House, opened: Opened) -> None:
    _, page = settings_of(obeying, opened)
    page.get_by_role("button", name="Do it: Clear alarms", exact=True).click()
    expect(dialog(page).get_by_role("heading", name="Clear alarms?")).to_be_visible()
    dialog(page).get_by_role("button", name="Do it", exact=True).click()
    expect(step(page, "clear_alarms").get_by_text("done", exact=True)).to_be_visible()


def test_the_pack_is_set_to_what_may_be_done(own_house: House, opened: Opened) -> None:
    watched = opened(own_house.address)
    watched.log_in("admin")
    page = watched.page
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    watched.open("#/packs")
    page.get_by_role("button", name="Edit pack shed").click()
    dialog(page).get_by_label("What may be done to it").select_option("operate")
    dialog(page).get_by_role("button", name="Save").click()
    expect(dialog(page)).to_have_count(0)
    assert tomllib.loads(own_house.file.read_text(encoding="utf-8"))["pack"][0]["grant"] == "operate"
    watched.open("#/pack/shed")
    expect(page.get_by_role("button", name="Switch off: Charge", exact=True)).to_be_enabled()
