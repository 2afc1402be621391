"""The outputs on the page: how they go, and the forms for MQTT and Modbus, before a real gateway."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from house import SCREENSHOTS, House, Watched
from playwright.sync_api import Locator, Page, expect
from served import free_port

Opened = Callable[..., Watched]
PHONE = {"viewport": {"width": 360, "height": 800}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
SECRET = "gravel-and-honey"


def form(page: Page, name: str) -> Locator:
    """Return the card of an output's settings."""
    return page.get_by_role("region", name=name, exact=True)


def output(page: Page, name: str) -> Locator:
    """Return what is said of an output under Health."""
    return page.get_by_role("region", name=re.compile(f"^{name}"))


def as_admin(house: House, opened: Opened, **options: Any) -> Watched:
    watched = opened(house.address, **options)
    page = watched.log_in("admin")
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    return watched


def test_without_outputs_it_says_where_to_begin(shared_house: House, opened: Opened) -> None:
    page = opened(shared_house.address).open("#/settings")
    expect(page.get_by_text("Nothing is sent to other programs")).to_be_visible()
    expect(page.get_by_role("link", name="Set one up")).to_have_count(0)
    watched = as_admin(shared_house, opened)
    page = watched.open("#/settings")
    page.get_by_role("link", name="Set one up").click()
    for name in ("MQTT", "Modbus", "Databases"):
        expect(form(page, name)).to_be_visible()
    expect(form(page, "Databases").get_by_text("[[influx]]")).to_be_visible()


def test_states(own_house: House, opened: Opened) -> None:
    """A broker and a database that are not there, and a Modbus server that is."""
    closed, modbus = free_port(), free_port()
    text = own_house.file.read_text(encoding="utf-8")
    text += f'[mqtt]\nurl = "mqtt://127.0.0.1:{closed}"\n[modbus]\nlisten = "127.0.0.1:{modbus}"\n'
    text += f'[[influx]]\nname = "attic"\nurl = "http://127.0.0.1:{closed}"\n'
    own_house.file.write_text(text, encoding="utf-8")
    own_house.reload()

    def all_known() -> bool:
        states = {one["output"]: one["state"] for one in own_house.get("health")["outputs"]}
        return states == {"mqtt": "failing", "modbus": "running", "influx": "failing"}

    own_house.until(all_known)
    pictures(as_admin(own_house, opened, **PHONE), "phone")
    watched = as_admin(own_house, opened)
    page = watched.page
    expect(page.get_by_text(re.compile("MQTT: .* does not work"))).to_be_visible()
    pictures(watched, "desktop")
    watched.open("#/settings")
    told = {one["output"]: one for one in own_house.get("health")["outputs"]}
    for name, key in (("MQTT", "mqtt"), ("Database: attic", "influx")):
        expect(output(page, name).get_by_text("failing", exact=True)).to_be_visible()
        expect(output(page, name).get_by_text(told[key]["reason"][:40])).to_be_visible()
    expect(output(page, "Modbus").get_by_text("running", exact=True)).to_be_visible()
    expect(output(page, "Modbus").get_by_text("1 shed, 2 garage, 101 house")).to_be_visible()
    # What changes shows without anything being done.
    own_house.file.write_text(text.partition("[mqtt]")[0], encoding="utf-8")
    own_house.reload()
    expect(page.get_by_text("Nothing is sent to other programs")).to_be_visible(timeout=20_000)


def pictures(watched: Watched, name: str) -> None:
    """Take pictures of what there is of outputs; nothing is wider than the screen."""
    page = watched.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for view, text in (("health", "Database: attic"), ("outputs", "attic")):
        watched.open(f"#/settings?part={view}")
        expect(page.get_by_text(text).first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / f"{view}-{name}.png", full_page=True)
        assert page.viewport_size
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_mqtt(own_house: House, opened: Opened) -> None:
    watched = as_admin(own_house, opened)
    answers: list[str] = []
    watched.page.on("response", lambda answer: answers.append(answer.url))
    page = watched.open("#/settings?part=outputs")
    mqtt = form(page, "MQTT")
    save = mqtt.get_by_role("button", name="Save")
    mqtt.get_by_label("Broker").fill("http://somewhere")
    mqtt.get_by_label("First part of all topics").fill("cells/#")
    save.click()
    broker = mqtt.get_by_label("Broker")
    expect(broker).to_have_attribute("aria-invalid", "true")
    expect(mqtt.get_by_text("'http://somewhere' is not an address")).to_be_visible()
    expect(mqtt.get_by_label("First part of all topics")).to_have_attribute("aria-invalid", "true")
    assert "somewhere" not in own_house.file.read_text(encoding="utf-8")

    broker.fill(f"mqtt://127.0.0.1:{free_port()}")
    mqtt.get_by_label("User").fill("anna")
    mqtt.get_by_label("Password").fill(SECRET)
    mqtt.get_by_label("First part of all topics").fill("home/cells")
    mqtt.get_by_label("Home Assistant").select_option("entity")
    mqtt.get_by_label("Each value on a topic of its own").check()
    save.click()
    expect(mqtt.get_by_text("Saved. It holds from now on.")).to_be_visible()
    expect(mqtt.get_by_label("User")).to_have_value("anna")
    text = own_house.file.read_text(encoding="utf-8")
    assert f'password = "{SECRET}"' in text
    assert 'base = "home/cells"' in text
    assert 'discovery = "entity"' in text
    assert "# The house" in text
    expect(mqtt.get_by_text(re.compile("failing|starting|running")).first).to_be_visible(timeout=20_000)

    # The password is written, and never seen again.
    expect(mqtt.get_by_label("Password")).to_have_value("")
    typed = "[...document.querySelectorAll('input, textarea')].map((field) => field.value).join()"
    assert SECRET not in page.content() + page.evaluate(typed)
    assert SECRET not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    for what in ("configuration", "health", "events", "openapi.json"):
        assert SECRET not in page.evaluate(f"fetch('api/v1/{what}').then((answer) => answer.text())")
    assert not [url for url in answers if SECRET in url]
    assert SECRET not in own_house.process.errors
    watched.open("#/settings?part=gateway")
    page.get_by_text("Show the file").click()
    expect(page.get_by_text('password = "..."')).to_be_visible()
    assert SECRET not in page.content()

    # Another one alone changes nothing that is shown, and is not kept in the form either.
    watched.open("#/settings?part=outputs")
    mqtt.get_by_label("Password").fill(SECRET[::-1])
    save.click()
    own_house.until(lambda: f'password = "{SECRET[::-1]}"' in own_house.file.read_text(encoding="utf-8"))
    expect(mqtt.get_by_label("Password")).to_have_value("")

    # Another change leaves it alone, and it goes with its user.
    mqtt.get_by_label("First part of all topics").fill("")
    save.click()
    expect(mqtt.get_by_text("Saved. It holds from now on.")).to_be_visible()
    expect(mqtt.get_by_label("First part of all topics")).to_have_value("cellwire")
    assert f'password = "{SECRET[::-1]}"' in own_house.file.read_text(encoding="utf-8")
    mqtt.get_by_label("User").fill("")
    save.click()
    own_house.until(lambda: "password" not in own_house.file.read_text(encoding="utf-8"))


def test_modbus(own_house: House, opened: Opened) -> None:
    watched = as_admin(own_house, opened)
    page = watched.open("#/settings?part=outputs")
    modbus = form(page, "Modbus")
    save = modbus.get_by_role("button", name="Save")
    modbus.get_by_label("Clients that may connect").fill("everybody")
    modbus.get_by_label("Speed").fill("")
    save.click()
    expect(modbus.get_by_label("Speed")).to_have_attribute("aria-invalid", "true")
    modbus.get_by_label("Speed").fill("19200")
    save.click()
    expect(modbus.get_by_label("Clients that may connect")).to_have_attribute("aria-invalid", "true")
    modbus.get_by_label("Clients that may connect").fill("127.0.0.0/8\n192.168.1.0/24")
    modbus.get_by_label("Modbus TCP on").fill(f"127.0.0.1:{free_port()}")
    modbus.get_by_label("Parity").select_option("even")
    save.click()
    expect(modbus.get_by_text("Saved. It holds from now on.")).to_be_visible()
    expect(modbus.get_by_text("running", exact=True)).to_be_visible(timeout=20_000)
    shown = json.loads(page.evaluate("fetch('api/v1/configuration').then((answer) => answer.text())"))["modbus"]
    assert (shown["allow"], shown["baud"], shown["parity"]) == (["127.0.0.0/8", "192.168.1.0/24"], 19200, "even")
    page.reload()  # the form is made anew once the gateway has taken it; what is typed before that is lost
    modbus.get_by_label("Modbus TCP on").fill("")
    save.click()
    own_house.until(lambda: own_house.get("health")["outputs"] == [])


@pytest.mark.parametrize("name", ["helper", "viewer"])
def test_only_who_may_configure_gets_the_forms(shared_house: House, opened: Opened, name: str) -> None:
    watched = opened(shared_house.address)
    page = watched.log_in(name)
    expect(page.locator('[data-pack="shed"]')).to_be_visible()
    watched.open("#/settings?part=outputs")
    expect(page.get_by_role("tab", name="Health")).to_be_visible()
    expect(page.get_by_role("tab", name="Outputs")).to_have_count(0)
    status = """fetch('api/v1/configuration/mqtt', {method: 'PUT', body: '{}', headers: {
        'Content-Type': 'application/json', 'X-CSRF-Token': %s}}).then((answer) => answer.status)"""
    token = page.evaluate("fetch('api/v1/session').then((answer) => answer.json()).then((answer) => answer.csrf)")
    assert page.evaluate(status % json.dumps(token)) == 403
