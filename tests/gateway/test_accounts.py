"""Accounts of packs and banks as the gateway keeps them: samples, losses, renaming, restarts, clocks and events."""

from itertools import pairwise
from typing import Any

import pytest

from cellwire.gateway.accounts import Accounts
from cellwire.gateway.config import BankSettings, Config, LimitSettings, PackSettings
from cellwire.gateway.events import Event, Events
from cellwire.gateway.store import ASLEEP, ERROR, LOST, PackState, Store

NOW = 1_795_255_200.0
YEAR = 365 * 86400.0
SAMPLE: dict[str, Any] = {
    "voltage": 50.0, "current": 36.0, "soc": 50, "full_capacity": 100.0, "cell_voltages": [3.125] * 16,
    "cell_min": 3.125, "cell_max": 3.125, "cell_mean": 3.125, "temperatures": [20.0], "temperature_min": 20.0,
    "temperature_max": 20.0, "charge_mosfet": True, "discharge_mosfet": True,
    "warnings": [], "protections": [], "faults": [],
}  # fmt: skip
LIMITS = LimitSettings("lfp", charge_current=50.0, discharge_current=80.0)
METERS = ("energy_in", "energy_out", "charge_in", "charge_out")


def settings(*names: str, bank: tuple[str, ...] = (), **changes: Any) -> Config:
    packs = tuple(PackSettings(name, "/dev/ttyUSB0", **changes) for name in names)
    return Config(packs, (BankSettings("house", bank),) if bank else ())


class Gateway:
    """A store and its accounts; `now` is the wall clock, `steady` the monotonic one, both set by hand."""

    def __init__(self, config: Config, now: float = NOW) -> None:
        self.now, self.steady = now, 1000.0
        self.store = Store(lambda: self.now, lambda: self.steady)
        self.events = Events(lambda: self.now)
        self.accounts = Accounts(self.store, self.events, config)
        self.store.follow = self.accounts.take
        self.packs = {pack.name: self.add(pack.name) for pack in config.packs}

    def add(self, name: str, identity: str = "") -> PackState:
        pack = self.store.add(PackState(name, "jbd", "jbd", 0, 2.0))
        pack.pinned_id, pack.settled = identity or f"jbd-{name}", True
        return pack

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds

    def sample(self, *names: str, **changes: Any) -> None:
        for name in names or self.packs:
            self.store.accept(self.packs[name], {**SAMPLE, **changes})

    def run(self, seconds: float, *names: str, every: float = 2.0, **changes: Any) -> None:
        """Samples of the packs named, all without names, and a tick after each."""
        self.sample(*names, **changes)
        self.accounts.tick()
        for _ in range(round(seconds / every)):
            self.wait(every)
            self.sample(*names, **changes)
            self.accounts.tick()

    def meters(self, identity: str) -> tuple[float, ...]:
        journal = self.accounts.journal(identity)
        return tuple(journal[name] for name in METERS)

    def told(self, *kinds: str) -> list[str]:
        return [event.text for event in self.events.recent if event.kind in kinds]

    def last(self, kind: str) -> Event:
        return next(event for event in reversed(self.events.recent) if event.kind == kind)


# 36 A at 50 V for 10 s: 0.1 Ah and 5 Wh.
TEN_SECONDS = (0.005, 0.0, 0.1, 0.0)


def test_a_pack_is_metered_counted_and_limited() -> None:
    gateway = Gateway(settings("shed", limits=LIMITS))
    gateway.run(10)
    readings = gateway.packs["shed"].readings
    assert gateway.meters("jbd-shed") == TEN_SECONDS
    found = {name: readings[name] for name in readings if name not in SAMPLE}
    assert found == {
        "counted_charge": 50.1,
        "counted_soc": 50.1,
        "counted_soc_error": 10.0,
        "soc_drift": -0.1,
        "time_to_full": 4980,  # 49.9 Ah at 36 A: 83.17 min
        "charge_voltage_limit": 55.2,
        "charge_voltage_reason": "configured",
        "charge_current_limit": 50.0,
        "charge_current_reason": "configured",
        "discharge_current_limit": 80.0,
        "discharge_current_reason": "configured",
    }
    assert set(found) <= set(gateway.packs["shed"].received)


def test_meters_are_shown_when_they_are_on_the_disk() -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    gateway.run(10)
    pack, bank = gateway.packs["shed"], gateway.store.banks["house"]
    assert "energy_in" not in pack.readings
    assert "energy_in" not in bank.readings
    journal = {identity: gateway.accounts.journal(identity) for identity in ("jbd-shed", "bank-house", "jbd-foreign")}
    gateway.run(10)
    gateway.accounts.settle(journal)
    for readings in (pack.readings, bank.readings):
        assert tuple(readings[name] for name in METERS) == TEN_SECONDS
    # An older row that comes late changes nothing.
    gateway.accounts.settle({"jbd-shed": {"energy_in": 0.001}})
    gateway.run(2)
    assert pack.readings["energy_in"] == bank.readings["energy_in"] == 0.005


def test_what_is_not_known_any_more_is_absent() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(10)
    assert "time_to_full" in gateway.packs["shed"].readings
    gateway.run(600, current=0.0)
    pack = gateway.packs["shed"]
    for known in (pack.readings, pack.received, pack.changed):
        assert "time_to_full" not in known


def test_a_record_without_current_adds_nothing() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(10)
    gateway.wait(1)
    gateway.store.accept(gateway.packs["shed"], {"cycles": 12})
    assert gateway.meters("jbd-shed") == TEN_SECONDS
    gateway.wait(1)
    gateway.sample()
    assert gateway.meters("jbd-shed") == (0.006, 0.0, 0.12, 0.0)


@pytest.mark.parametrize("trouble", [LOST, ASLEEP])
def test_nothing_is_invented_while_a_pack_is_away(trouble: str) -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(10)
    gateway.store.fail(gateway.packs["shed"], trouble, "gone")
    gateway.accounts.tick()
    gateway.wait(4)
    gateway.sample()
    assert gateway.meters("jbd-shed") == TEN_SECONDS


def test_a_sample_that_was_not_believed_is_bridged() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(8)
    gateway.wait(1)
    gateway.store.fail(gateway.packs["shed"], ERROR, "the cells do not add up")
    gateway.accounts.tick()
    gateway.wait(1)
    gateway.sample()
    assert gateway.meters("jbd-shed") == TEN_SECONDS
    assert gateway.told("state") == []


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_the_wall_clock_may_jump(jump: float) -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    gateway.run(4)
    gateway.now += jump
    gateway.accounts.tick()
    assert gateway.store.banks["house"].missing == {}
    gateway.wait(2)
    gateway.run(4)
    assert gateway.meters("jbd-shed") == gateway.meters("bank-house") == TEN_SECONDS
    assert gateway.packs["shed"].readings["counted_soc"] == 50.1
    assert list(gateway.events.recent) == []


def test_a_sign_that_is_turned_fills_the_other_meter() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(10, current=-36.0)
    assert gateway.meters("jbd-shed") == (0.0, 0.005, 0.0, 0.1)
    # 36 A to -36 A within 2 s: 0.01 Ah - 0.01 Ah, each a quarter of 36 A x 2 s
    gateway.wait(2)
    gateway.sample(current=36.0)
    assert gateway.meters("jbd-shed") == (0.0003, 0.0053, 0.005, 0.105)


def test_a_restart_goes_on() -> None:
    first = Gateway(settings("shed", bank=("shed",)))
    first.run(10)
    saved = {identity: first.accounts.journal(identity) for identity in ("jbd-shed", "bank-house")}
    second = Gateway(settings("shed", bank=("shed",)), NOW + 30)
    for identity, journal in saved.items():
        second.accounts.restore(identity, journal, NOW + 10)
    second.run(0)
    pack, bank = second.packs["shed"], second.store.banks["house"]
    assert second.accounts.journal("jbd-shed") == {**saved["jbd-shed"], "counted_soc_error": 10.1}
    # What is on the disk is shown at once, and nothing is counted of the 20 s between.
    for readings in (pack.readings, bank.readings):
        assert tuple(readings[name] for name in METERS) == TEN_SECONDS
    second.run(10)
    assert second.meters("jbd-shed") == second.meters("bank-house") == (0.01, 0.0, 0.2, 0.0)
    assert pack.readings["energy_in"] == 0.005


def test_what_was_metered_before_the_identity_is_known_is_kept() -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    gateway.accounts.restore("jbd-1234", {"charge_in": 7.0, "counted_soc": 30.0, "counted_charge": 30.0}, NOW)
    pack = gateway.packs["shed"]
    pack.settled, pack.pinned_id = False, ""
    gateway.run(10)
    assert gateway.accounts.journal(pack.id) == {}
    assert "counted_soc" not in pack.readings
    pack.settled, pack.pinned_id = True, "jbd-1234"
    gateway.run(10)
    assert gateway.meters("jbd-1234") == (0.01, 0.0, 7.2, 0.0)
    assert pack.readings["charge_in"] == 7.0
    # 36 A for the 10 s since it is known what was counted before
    assert pack.readings["counted_soc"] == 30.1


def test_a_renamed_pack_goes_on() -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    gateway.run(10)
    gateway.accounts.settle({"jbd-shed": gateway.accounts.journal("jbd-shed")})
    gateway.accounts.configure(settings("barn", bank=("barn",)))
    gateway.store.packs.clear()
    gateway.packs = {"barn": gateway.add("barn", "jbd-shed")}
    gateway.run(10)
    assert gateway.meters("jbd-shed") == gateway.meters("bank-house") == (0.01, 0.0, 0.2, 0.0)
    assert gateway.packs["barn"].readings["charge_in"] == 0.1
    assert gateway.packs["barn"].readings["counted_soc"] == 50.2


def test_another_battery_under_the_same_name_begins_anew() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(10)
    gateway.packs["shed"] = gateway.add("shed", "jbd-other")
    gateway.run(10, soc=90)
    assert gateway.meters("jbd-other") == gateway.meters("jbd-shed") == TEN_SECONDS
    assert gateway.packs["shed"].readings["counted_soc"] == 90.1


def test_a_saved_total_counts_once() -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    for _ in range(2):
        gateway.accounts.restore("jbd-shed", {"charge_in": 5.0}, NOW)
        gateway.accounts.restore("bank-house", {"charge_in": 6.0}, NOW)
        gateway.run(0)
        gateway.accounts.configure(settings("shed", bank=("shed",)))
    assert gateway.meters("jbd-shed")[2] == 5.0
    assert gateway.meters("bank-house")[2] == 6.0


def test_a_bank_that_is_taken_away_and_comes_back_goes_on() -> None:
    gateway = Gateway(settings("shed", bank=("shed",)))
    gateway.run(10)
    gateway.accounts.configure(settings("shed"))
    assert gateway.store.banks == {}
    gateway.run(10)
    gateway.accounts.configure(settings("shed", bank=("shed",)))
    gateway.run(0)
    assert gateway.meters("bank-house") == TEN_SECONDS


# Banks


def test_the_meter_of_a_bank_never_jumps() -> None:
    gateway = Gateway(settings("shed", "barn", bank=("shed", "barn")))
    gateway.accounts.restore("jbd-barn", {"charge_in": 4000.0}, NOW)
    gateway.run(10)
    assert gateway.meters("bank-house") == (0.01, 0.0, 0.2, 0.0)
    # One is lost: the other goes on alone, and the first adds nothing when it is back.
    gateway.store.fail(gateway.packs["barn"], LOST, "no adapter")
    gateway.accounts.tick()
    for _ in range(5):
        gateway.wait(2)
        gateway.sample("shed")
        gateway.accounts.tick()
    assert gateway.meters("bank-house") == (0.015, 0.0, 0.3, 0.0)
    gateway.sample("barn")
    assert gateway.meters("bank-house") == (0.015, 0.0, 0.3, 0.0)
    # A pack that joins brings nothing of its past.
    gateway.accounts.configure(settings("shed", "barn", "attic", bank=("shed", "barn", "attic")))
    gateway.packs["attic"] = gateway.add("attic")
    gateway.accounts.restore("jbd-attic", {"charge_in": 100.0}, NOW)
    gateway.sample("attic")
    assert gateway.meters("bank-house") == (0.015, 0.0, 0.3, 0.0)
    gateway.wait(2)
    gateway.sample()
    assert gateway.meters("bank-house")[2] == pytest.approx(0.36)


def test_a_bank_with_a_lost_pack() -> None:
    gateway = Gateway(settings("shed", "barn", bank=("shed", "barn")))
    bank = gateway.store.banks["house"]
    assert gateway.store.bank_snapshot(bank)["present"] == 2
    gateway.accounts.tick()
    assert bank.missing == {"shed": "not read yet", "barn": "not read yet"}
    gateway.run(4)
    assert (bank.readings["current"], bank.readings["packs_present"], bank.missing) == (72.0, 2, {})
    assert bank.time == gateway.now
    assert gateway.told("bank") == []

    gateway.store.fail(gateway.packs["barn"], LOST, "no adapter")
    gateway.run(2, "shed")
    assert (bank.readings["current"], bank.readings["packs_present"], bank.missing) == (36.0, 1, {"barn": "lost"})
    assert gateway.store.bank_snapshot(bank)["state"] == "partial"
    assert gateway.told("bank") == ["house: barn does not count, it is lost; 1 of 2 packs"]
    seen = gateway.now

    gateway.wait(30)
    gateway.accounts.tick()
    assert bank.readings == {}
    assert bank.missing == {"shed": "stale", "barn": "lost"}
    assert bank.time == seen
    assert gateway.store.bank_snapshot(bank)["state"] == "lost"

    gateway.run(2)
    assert bank.missing == {}
    assert gateway.told("bank")[1:] == [
        "house: shed does not count, it is stale; 0 of 2 packs",
        "house: shed counts again; 2 of 2 packs",
        "house: barn counts again; 2 of 2 packs",
    ]
    assert gateway.last("bank").detail == {"member": "barn"}
    assert (gateway.last("bank").pack, gateway.last("bank").name) == ("bank-house", "house")


def test_a_warning_is_told_once_and_when_it_is_over() -> None:
    gateway = Gateway(settings("shed", "barn", bank=("shed", "barn")))
    bank = gateway.store.banks["house"]
    for voltage in (51.0, 51.1, 51.2):
        gateway.run(2, "shed")
        gateway.run(2, "barn", voltage=voltage, charge_mosfet=False, discharge_mosfet=False)
    assert bank.warnings == [
        "do not join barn: it is 1.20 V above the others; charge or discharge until they are alike"
    ]
    gateway.run(2)
    assert bank.warnings == []
    assert gateway.told("bank") == [
        "house: barn does not count, it is blocked; 1 of 2 packs",
        "house: do not join barn: it is 1.00 V above the others; charge or discharge until they are alike",
        "house: barn counts again; 2 of 2 packs",
        "house: barn may be joined",
    ]


# States and limits


def test_a_pack_that_is_lost_and_back() -> None:
    gateway = Gateway(settings("shed", limits=LIMITS))
    gateway.run(4)
    pack = gateway.packs["shed"]
    gateway.wait(2)
    gateway.store.fail(pack, LOST, "the adapter is gone; put it back")
    gateway.accounts.tick()
    found = {
        name: pack.readings[name] for name in pack.readings if "limit" in name or "reason" in name or "time_" in name
    }
    assert found == {
        "charge_current_limit": 0.0,
        "charge_current_reason": "stale",
        "discharge_current_limit": 0.0,
        "discharge_current_reason": "stale",
    }
    assert pack.readings["voltage"] == 50.0
    gateway.wait(60)
    gateway.accounts.tick()
    gateway.run(2)
    assert pack.readings["charge_current_limit"] == 50.0
    assert gateway.told("state") == ["shed is lost: the adapter is gone; put it back", "shed is back after 62 s"]
    away, back = gateway.events.recent
    assert away.detail == {"from": "online", "to": "lost", "reason": "the adapter is gone; put it back", "seconds": 2.0}
    assert back.detail == {"from": "lost", "to": "online", "reason": "", "seconds": 62.0}


def test_stale_and_error_by_the_monotonic_clock() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(4)
    gateway.wait(6)
    gateway.accounts.tick()
    assert gateway.told("state") == []
    gateway.wait(1)
    gateway.now -= YEAR
    gateway.accounts.tick()
    assert gateway.store.state(gateway.packs["shed"]) == "stale"
    assert gateway.told("state") == [], "why is not known yet"
    gateway.wait(4)
    gateway.accounts.tick()
    assert gateway.told("state") == ["shed is stale: nothing was heard of it for 11 s"]
    gateway.store.fail(gateway.packs["shed"], ERROR, "nonsense")
    gateway.wait(10)
    gateway.accounts.tick()
    assert gateway.told("state")[1:] == ["shed is error: nonsense"]


def test_a_pack_that_was_never_there_is_told_when_it_is_known_why() -> None:
    gateway = Gateway(settings("shed"))
    gateway.wait(60)
    gateway.accounts.tick()
    assert gateway.told("state") == []
    gateway.store.fail(gateway.packs["shed"], LOST, "no adapter")
    gateway.accounts.tick()
    assert gateway.told("state") == ["shed is lost: no adapter"]


def test_a_pack_that_comes_and_goes_does_not_flood(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(2)
    for _ in range(1800):
        gateway.wait(1)
        gateway.store.fail(gateway.packs["shed"], LOST, "loose plug")
        gateway.accounts.tick()
        gateway.wait(1)
        gateway.sample()
        gateway.accounts.tick()
        if gateway.steady == 1062:
            # Away and back at 0, 10 and 30 s of the first minute, then once a minute.
            assert gateway.told("state") == ["shed is lost: loose plug", "shed is back after 2 s"] * 3
    told = gateway.told("state")
    assert 100 < len(told) < 130, "in an hour"
    assert [record.getMessage() for record in caplog.records] == told
    # Who was steady for a while is told at once again.
    gateway.run(200)
    gateway.store.fail(gateway.packs["shed"], LOST, "cut")
    gateway.accounts.tick()
    gateway.wait(12)
    gateway.sample()
    gateway.accounts.tick()
    assert gateway.told("state")[-2:] == ["shed is lost: cut", "shed is back after 12 s"]


def test_the_log_has_a_line_when_lost_and_one_when_back(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(4)
    for trouble, reason in ((ERROR, "noise"), (LOST, "the adapter is gone"), (ASLEEP, "silent"), (LOST, "gone again")):
        gateway.store.fail(gateway.packs["shed"], trouble, reason)
        for _ in range(30):
            gateway.wait(1)
            gateway.accounts.tick()
    gateway.run(2)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["shed is error: noise", "shed is back after 120 s"]
    assert len(gateway.told("state")) == 5


def test_missing_sensors_and_cells() -> None:
    gateway = Gateway(settings("shed", limits=LIMITS))
    gateway.run(4)
    readings = gateway.packs["shed"].readings
    sample = {name: value for name, value in SAMPLE.items() if not name.startswith("temperature")}
    gateway.wait(2)
    gateway.store.accept(gateway.packs["shed"], {**sample, "temperatures": [None]})
    assert (readings["charge_current_limit"], readings["charge_current_reason"]) == (0, "sensor_missing")
    assert readings["discharge_current_limit"] == 80.0
    gateway.run(4)
    assert readings["charge_current_limit"] == 50.0
    # A cell that is not known could be the highest: the extremes are not in the sample, the old ones do not count.
    sample = {name: value for name, value in SAMPLE.items() if not name.startswith("cell_")}
    gateway.wait(2)
    gateway.store.accept(gateway.packs["shed"], {**sample, "cell_voltages": [None, *[3.3] * 15]})
    assert (readings["charge_current_limit"], readings["discharge_current_limit"]) == (0, 0)
    assert "charge_voltage_limit" not in readings


def test_cells_that_were_not_told_for_long_are_missing() -> None:
    gateway = Gateway(settings("shed", limits=LIMITS))
    gateway.run(4)
    pack = gateway.packs["shed"]
    for seconds, limit in ((10, 50.0), (2, 0.0)):
        gateway.wait(seconds)
        gateway.store.accept(pack, {"voltage": 50.0, "current": 36.0, "charge_mosfet": True})
        assert pack.readings["charge_current_limit"] == limit


def test_new_settings_count_at_once() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(4)
    readings = gateway.packs["shed"].readings
    assert "charge_current_limit" not in readings
    gateway.accounts.configure(settings("shed", limits=LIMITS))
    gateway.run(2)
    assert readings["charge_current_limit"] == 50.0
    assert gateway.meters("jbd-shed")[2] == pytest.approx(0.06)
    gateway.accounts.configure(settings("shed"))
    gateway.run(2)
    assert "charge_current_limit" not in readings


# full_capacity and design_capacity of the BMS, configured -> counted from
CAPACITIES = [
    ((100.0, 120.0), 150.0, 100.0),
    ((None, 120.0), 150.0, 150.0),
    ((None, 120.0), None, 120.0),
    ((0.0, 120.0), None, 120.0),
    ((None, None), 150.0, 150.0),
    ((None, None), None, None),
]


@pytest.mark.parametrize(("told", "configured", "capacity"), CAPACITIES)
def test_capacity(told: tuple[float | None, float | None], configured: float | None, capacity: float | None) -> None:
    gateway = Gateway(settings("shed", capacity=configured))
    sample = {name: value for name, value in SAMPLE.items() if name != "full_capacity"}
    for name, value in zip(("full_capacity", "design_capacity"), told, strict=True):
        if value is not None:
            sample[name] = value
    gateway.store.accept(gateway.packs["shed"], sample)
    counted = gateway.packs["shed"].readings.get("counted_charge")
    assert counted == (None if capacity is None else capacity / 2)


# Events


def test_full_is_told() -> None:
    gateway = Gateway(settings("shed", limits=LIMITS))
    cells: dict[str, Any] = {"cell_voltages": [3.46] * 16, "cell_min": 3.46, "cell_max": 3.46, "cell_mean": 3.46}
    gateway.run(300, current=1.0, **cells)
    assert gateway.told("full") == ["shed is full: its counter was set to 100 %"]
    assert gateway.last("full").time == NOW + 60
    assert gateway.packs["shed"].readings["last_full"] == int(NOW) + 300
    assert gateway.packs["shed"].readings["soc_drift"] == -50.0


def test_alarms_are_told_with_since_when() -> None:
    gateway = Gateway(settings("shed"))
    pack = gateway.packs["shed"]
    gateway.run(4)
    gateway.run(4, warnings=["cell_overvoltage"])
    assert pack.since == {"cell_overvoltage": NOW + 4}
    gateway.run(10, warnings=["cell_overvoltage"], protections=["cell_overvoltage"])
    assert pack.since == {"cell_overvoltage": NOW + 4}
    gateway.run(2)
    assert pack.since == {}
    assert gateway.told("alarm_on", "alarm_off") == [
        "shed: a cell's voltage is too high (warning)",
        "shed: a cell's voltage is too high (protection)",
        "shed: over: a cell's voltage is too high (warning)",
        "shed: over: a cell's voltage is too high (protection)",
    ]
    assert gateway.last("alarm_off").detail == {"alarm": "cell_overvoltage", "level": "protection", "since": NOW + 8}
    assert gateway.last("alarm_off").pack == "jbd-shed"


def test_an_alarm_that_flickers_does_not_flood() -> None:
    gateway = Gateway(settings("shed"))
    for _ in range(30):
        gateway.run(1, every=1.0, warnings=["cell_delta"])
        gateway.run(1, every=1.0)
    # One event in 10 s at most, and the last word is what is so.
    gateway.run(20)
    events = [event for event in gateway.events.recent if event.kind.startswith("alarm")]
    assert len(events) <= 8
    assert all(later.time - earlier.time >= 10 for earlier, later in pairwise(events))
    assert events[-1].kind == "alarm_off"


def test_the_end_of_a_short_alarm_is_told_late() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(0, faults=["frontend"])
    gateway.run(8)
    assert [event.kind for event in gateway.events.recent] == ["alarm_on"]
    gateway.wait(2)
    gateway.accounts.tick()
    assert [event.kind for event in gateway.events.recent] == ["alarm_on", "alarm_off"]


def test_alarms_that_are_in_doubt_are_not_over() -> None:
    gateway = Gateway(settings("shed"))
    gateway.run(4, warnings=["cell_delta"])
    del gateway.packs["shed"].readings["warnings"]
    sample = {name: value for name, value in SAMPLE.items() if name != "warnings"}
    gateway.wait(20)
    gateway.store.accept(gateway.packs["shed"], sample)
    assert [event.kind for event in gateway.events.recent] == ["alarm_on"]
    assert gateway.packs["shed"].since == {"cell_delta": NOW}


def test_alarms_are_told_when_it_is_known_whose_they_are() -> None:
    gateway = Gateway(settings("shed"))
    pack = gateway.packs["shed"]
    pack.settled = False
    gateway.run(4, faults=["frontend"])
    assert list(gateway.events.recent) == []
    assert pack.since == {"frontend": NOW}
    pack.settled = True
    gateway.run(0, faults=["frontend"])
    assert gateway.told("alarm_on") == ["shed: the analogue front end is faulty (fault)"]


def test_a_pack_that_is_removed_is_forgotten_by_its_bank() -> None:
    gateway = Gateway(settings("shed", "barn", bank=("shed", "barn")))
    gateway.run(4)
    del gateway.store.packs["barn"]
    gateway.run(2, "shed")
    assert gateway.store.banks["house"].missing == {"barn": "not read yet"}
    assert gateway.meters("jbd-barn")[2] == pytest.approx(0.04)
