"""The text that Prometheus gets: every reading, its name, unit and help, what is absent, and that promtool likes it."""

import inspect
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import metrics as page
import pytest
from scraped import ALARMS, MODEL, Still, everything, of, parsed, program

from cellwire.gateway import session
from cellwire.gateway.errors import NoAnswer
from cellwire.gateway.store import LOST, PackState, Store
from cellwire.links.ble import causes
from cellwire.outputs import prometheus
from cellwire.outputs.prometheus import HEADS, LABELS, METRICS, exposition, families, why_not
from cellwire.readings.catalogue import ALARMS as ALL_ALARMS
from cellwire.readings.catalogue import BY_NAME, CATALOGUE, QUANTITIES
from cellwire.readings.gate import Gate
from cellwire.sim.model import Battery

PAGE = Path(__file__).parent.parent.parent / "docs/prometheus.md"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_795_255_200.0

    def __call__(self) -> float:
        return self.now


def test_every_reading_has_a_metric_or_a_reason() -> None:
    for name, quantity, *_ in CATALOGUE:
        shown = name in METRICS or name in LABELS
        assert shown != bool(why_not(name)), name
        if quantity in ("text", "names"):
            assert name not in METRICS
    assert {METRICS[name].type for name, _, kind, *_ in CATALOGUE if kind == "total"} == {"counter"}
    assert {name for name, *_ in QUANTITIES} == {*prometheus.UNITS, *prometheus.QUANTITIES_LEFT_OUT, *ONLY_LEFT_OUT}


# Quantities of readings that are left out as settings, or as something of the link.
ONLY_LEFT_OUT = ("time", "short_time", "tick")


def test_no_two_readings_are_one_series() -> None:
    assert len({(row.metric, row.labels) for row in METRICS.values()}) == len(METRICS)


def test_help_says_the_unit_and_the_sign() -> None:
    for name, (_, text) in families().items():
        assert text[0].isupper() or text[0].isdigit(), name
        for unit, words in (
            ("_volts", "in volts"),
            ("_amperes", "in amperes"),
            ("_watts", "in watts"),
            ("_celsius", "in degrees Celsius"),
            ("_ratio", "1 is 100 %"),
            ("hours", "-hours"),
            ("_ohms", "in ohms"),
            ("_seconds", "seconds"),
            ("_bytes", "ytes"),
        ):
            assert not name.removesuffix("_total").endswith(unit) or words in text, name
        if name.endswith(("_current_amperes", "power_watts")) and not any(
            word in name for word in ("rated", "balance", "heating")
        ):
            assert "positive while charging" in text, name


def test_promtool_finds_nothing_to_complain_of() -> None:
    still = Still()
    text = still.metrics()
    # Every metric there can be is in it, so nothing stays unseen.
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")} == set(HEADS)
    result = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_values_are_those_of_the_store() -> None:
    still = Still()
    found = parsed(still.metrics())
    factors = {"percent": 0.01, "percent_difference": 0.01, "metered_energy": 1000}
    for kind, name in (("pack", "shed"), ("pack", "Würfel & Söhne"), ("bank", "house")):
        seen = 0
        for reading, row in METRICS.items():
            if kind == "pack" and BY_NAME[reading][3] == "bank":
                continue
            factor = factors.get(BY_NAME[reading][1], 1)
            fixed = {part.split("=")[0]: part.split('"')[1] for part in row.labels.split(",") if part}
            values = still.readings[reading]
            elements = enumerate(values, 1) if isinstance(values, list) else ((0, values),)
            for number, value in elements:
                labels = {kind: name, **fixed, **({row.number: str(number)} if row.number else {})}
                wanted = [] if value is None else [pytest.approx(value * factor)]
                assert of(found, f"cellwire_{kind}_{row.metric}", **labels) == wanted, reading
                seen += 1
        assert seen > 200


def test_shares_are_decimal_fractions() -> None:
    store = Store(time.time)
    store.accept(store.add(PackState("shed", "jbd", "jbd", 0, 1.0)), {"soc": 57.3, "energy_in": 812.4567, "soh": 100})
    text = exposition(store, [], Still().health())
    assert 'cellwire_pack_soc_ratio{pack="shed"} 0.573\n' in text
    assert 'cellwire_pack_energy_in_watthours_total{pack="shed"} 812456.7\n' in text


def test_flags_are_0_and_1() -> None:
    store = Store(time.time)
    store.accept(store.add(PackState("shed", "jbd", "jbd", 0, 1.0)), {"charge_mosfet": True, "discharge_mosfet": False})
    text = exposition(store, [], Still().health())
    assert 'cellwire_pack_charge_mosfet{pack="shed"} 1\n' in text
    assert 'cellwire_pack_discharge_mosfet{pack="shed"} 0\n' in text


def test_labels_are_escaped_and_come_back() -> None:
    still = Still()
    text = still.metrics()
    assert r'model="A \"16S\"\\100A\nLiFePO₄"' in text
    found = parsed(text)
    assert of(found, "cellwire_pack_info", pack="Würfel & Söhne", model=MODEL, serial_number="0815", family="jk") == [1]
    assert of(found, "cellwire_bank_info", bank="house", id="bank-house") == [1]


def test_an_identity_that_may_change_is_not_told() -> None:
    store = Store(time.time)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    store.accept(pack, {"voltage": 52.0})
    health = Still().health()
    assert "cellwire_pack_info" not in exposition(store, [], health)
    store.settle(pack)
    found = parsed(exposition(store, [], health))
    assert of(found, "cellwire_pack_info", pack="shed", id=pack.id) == [1]
    assert not [labels for name, labels in found if name == "cellwire_pack_info" and "model" in dict(labels)]


def test_alarms_are_there_while_they_are_active() -> None:
    store = Store(time.time)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    health = Still().health()
    assert "cellwire_pack_problems" not in exposition(store, [], health)
    store.accept(pack, ALARMS)
    found = parsed(exposition(store, [], health))
    assert of(found, "cellwire_pack_alarm", level="warning") == [1, 1]
    assert of(found, "cellwire_pack_alarm", pack="shed", level="protection", alarm="cell_undervoltage") == [1]
    assert of(found, "cellwire_pack_problems", pack="shed", level="warning") == [2]
    assert of(found, "cellwire_pack_problems", pack="shed", level="fault") == [0]
    store.accept(pack, {"warnings": [], "protections": [], "faults": []})
    found = parsed(exposition(store, [], health))
    assert of(found, "cellwire_pack_alarm") == []
    assert of(found, "cellwire_pack_problems") == [0, 0, 0]
    # Every alarm there is, on every level, and twice in one list.
    names = [name for name, _ in ALL_ALARMS]
    store.accept(pack, {"warnings": names + names, "protections": names, "faults": names})
    assert len(of(parsed(exposition(store, [], health)), "cellwire_pack_alarm")) == 3 * len(names)


def test_what_is_stale_or_away_is_absent() -> None:
    clock = Clock()
    store = Store(clock)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    health = Still().health()
    never = parsed(exposition(store, [], health))
    assert of(never, "cellwire_pack_up", pack="shed") == [0]
    assert of(never, "cellwire_pack_state", state="stale") == [1]
    assert of(never, "cellwire_pack_last_success_timestamp_seconds") == []
    store.accept(pack, everything())
    store.settle(pack)
    pack.polls.add(0.1)
    whole = parsed(exposition(store, [], health))
    assert of(whole, "cellwire_pack_up") == [1]
    clock.now += 2.5
    assert of(parsed(exposition(store, [], health)), "cellwire_pack_age_seconds") == [2.5]

    def without_readings() -> None:
        found = parsed(exposition(store, [], health))
        names = {name for name, labels in found if dict(labels).get("pack") == "shed"}
        own = {name for name in names if not name.startswith("cellwire_poll_")}
        assert names - own == {f"cellwire_poll_duration_seconds_{part}" for part in ("bucket", "sum", "count")}
        assert own == {f"cellwire_pack_{name}" for name in (
            "up", "state", "info", "last_success_timestamp_seconds", "age_seconds", "samples_accepted_total",
            "samples_rejected_total",
        )}  # fmt: skip
        assert of(found, "cellwire_pack_up") == [0]

    clock.now += 1.0
    without_readings()
    store.accept(pack, {"voltage": 52.0})
    assert of(parsed(exposition(store, [], health)), "cellwire_pack_voltage_volts") == [52.0]
    store.fail(pack, LOST, "the port is gone")
    without_readings()
    assert of(parsed(exposition(store, [], health)), "cellwire_pack_state", state="lost") == [1]


def test_a_reading_that_did_not_come_again_is_absent() -> None:
    clock = Clock()
    store = Store(clock)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    store.accept(pack, {"voltage": 52.0, "temperatures": [20.0, None], "cell_overvoltage_limit": 3.65})
    clock.now += 200.0
    store.accept(pack, {"voltage": 52.1})
    found = parsed(exposition(store, [], Still().health()))
    assert of(found, "cellwire_pack_temperature_celsius") == []
    assert of(found, "cellwire_pack_threshold_volts", alarm="cell_overvoltage", at="limit") == [3.65]


def test_counters_never_go_back() -> None:
    """Whatever happens to the pack, as long as the gateway runs."""
    clock = Clock()
    store = Store(clock)
    pack = store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    counts: dict[str, int] = {}
    links = [{"address": "/dev/ttyUSB0", "packs": ["shed"], "counts": counts}]
    before: dict[Any, float] = {}
    health = Still().health()
    for step in range(40):
        clock.now += 1.0
        counts["ok" if step % 3 else "damaged"] = counts.get("ok" if step % 3 else "damaged", 0) + 1
        match step % 5:
            case 0 | 1:
                store.accept(pack, {"voltage": 52.0, "energy_in": step / 10, "cycles": step // 10})
                pack.polls.add(step / 10)
            case 2:
                pack.counts["rejected"] += 1
                pack.counts["rejected_doubt"] += 1
            case 3:
                store.fail(pack, LOST, "gone")
            case 4:
                clock.now += 300.0
        found = parsed(exposition(store, links, health))
        counters = {
            key: value for key, value in found.items() if key[0].endswith(("_total", "_bucket", "_count", "_sum"))
        }
        gateway = {key for key in before if "_pack_energy" not in key[0] and "_pack_cycles" not in key[0]}
        assert gateway <= set(counters)
        for key, value in counters.items():
            assert value >= before.get(key, 0.0), key
        before |= counters
    assert of(found, "cellwire_pack_samples_accepted_total") == [16]
    assert of(found, "cellwire_pack_samples_rejected_total", cause="doubt") == [8]
    assert of(found, "cellwire_poll_duration_seconds_count") == [16]
    assert of(found, "cellwire_poll_duration_seconds_bucket", le="+Inf") == [16]
    assert of(found, "cellwire_poll_duration_seconds_bucket", le="0.5") == [3]


def test_counters_are_there_before_they_count() -> None:
    """A series that begins with 1 has not grown for Prometheus: the first damage would not be seen."""
    store = Store(time.time)
    store.add(PackState("shed", "jbd", "jbd", 0, 1.0))
    links = [{"address": "/dev/ttyUSB0", "packs": ["shed"], "counts": {}}]
    found = parsed(exposition(store, links, Still().health()))
    assert of(found, "cellwire_link_answers_total", link="/dev/ttyUSB0") == [0] * 9
    assert of(found, "cellwire_pack_samples_rejected_total") == [0] * 4


def test_all_causes_are_known() -> None:
    judge = inspect.getsource(Gate.judge).partition('"""')[2].partition('"""')[2]
    assert set(re.findall(r'return "(\w+)', judge)) == set(prometheus.CAUSES)
    kind = inspect.getsource(NoAnswer).partition("def kind")[2].rpartition('"""')[2]
    kinds = re.findall(r'"(\w+)"', kind)
    counted = re.findall(r'"(\w+)"', inspect.getsource(session._kind))
    assert {"ok", "partial", *kinds, *counted} == set(prometheus.RESULTS)


def test_how_links_by_bluetooth_go() -> None:
    found = parsed(Still().metrics())
    link = {"link": "ble:C8:47:8C:00:00:01"}
    assert of(found, "cellwire_link_released", **link) == [1]
    assert of(found, "cellwire_link_released", link="/dev/ttyUSB0") == [0]
    assert of(found, "cellwire_link_connected") == [1]
    assert of(found, "cellwire_link_rssi_dbm", **link) == [-71]
    assert of(found, "cellwire_link_rssi_age_seconds", **link) == [3.5]
    assert of(found, "cellwire_link_connections_total", **link) == [2]
    assert of(found, "cellwire_link_failures_total", cause="dropped") == [1]
    assert of(found, "cellwire_link_recoveries_total", **link) == [0] * len(prometheus.STAGES)


def test_all_stages_and_failures_are_known() -> None:
    named = [each for each in vars(causes).values() if isinstance(each, causes.Cause)]
    assert {cause.name for cause in named} == set(prometheus.FAILURES)
    assert {stage for cause in named for stage in cause.stages} == set(prometheus.STAGES)


def test_state_of_history_and_outputs() -> None:
    still = Still()
    found = parsed(still.metrics())
    assert of(found, "cellwire_history_state", state="failing") == [1]
    assert of(found, "cellwire_history_state", state="ok") == [0]
    assert of(found, "cellwire_history_waiting_rows") == [17]
    assert of(found, "cellwire_output_state", output="mqtt", name="broker:1883", state="failing") == [1]
    assert of(found, "cellwire_output_waiting_messages", output="mqtt") == [7]
    assert of(found, "cellwire_build_info", version="1.2.3") == [1]
    assert of(found, "cellwire_bank_member", bank="house", pack="shed") == [0]
    assert of(found, "cellwire_bank_member", bank="house", pack="Würfel & Söhne") == [1]
    assert of(found, "cellwire_link_pack_info", link="/dev/ttyUSB0", pack="shed") == [1]
    off = {**still.health(), "history": {"state": "off", "reason": "switched off"}}
    found = parsed(exposition(still.store, still.links(), off))
    assert of(found, "cellwire_history_state", state="off") == [1]
    assert of(found, "cellwire_history_waiting_rows") == []


def test_32_packs_take_a_few_milliseconds() -> None:
    store = Store(time.time, time.monotonic)
    extra = {name: 1.5 for name, row in METRICS.items() if row.metric.startswith(("threshold", "counted", "charge_"))}
    for number in range(32):
        pack = store.add(PackState(f"pack {number}", "jk", "jk-pb", number, 1.0))
        store.accept(pack, {**Battery(16, number).values(time.time()), **extra})
    links = [{"address": name, "packs": [name], "counts": {"ok": 1}} for name in store.packs]
    health = Still().health()
    times = []
    for _ in range(10):
        began = time.thread_time()  # what other programs take meanwhile does not count
        text = exposition(store, links, health)
        times.append(time.thread_time() - began)
    print(f"{text.count(chr(10))} lines, {len(text)} bytes, {min(times) * 1000:.1f} ms")
    assert text.count("\n") > 4000
    assert min(times) < 0.020


def test_the_tables_of_the_page_are_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page.fresh(text) == text, "run: .venv/bin/python tools/metrics.py"


def test_banks_have_no_other_readings_than_the_page_says() -> None:
    for name in page.of_banks():
        assert name in BY_NAME
        assert name in METRICS or name in LABELS or why_not(name) == "a text"
