"""Shows packs, banks and the gateway itself as Prometheus metrics.

Name, unit and help of a reading's metric follow from the catalogue by the tables here; docs/prometheus.md lists all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..gateway.durations import BOUNDS
from ..gateway.store import ASLEEP, ERROR, LOST, ONLINE, PARTIAL, STALE, BankState, Battery, PackState, Store
from ..readings.catalogue import BY_NAME, LIMITS, QUANTITY, TOTAL

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

# quantity: unit in the name of the metric, power of ten to it, unit in the help
UNITS = {
    "cell_voltage": ("volts", 0, "in volts"),
    "cell_difference": ("volts", 0, "in volts"),
    "pack_voltage": ("volts", 0, "in volts"),
    "current": ("amperes", 0, "in amperes"),
    "small_current": ("amperes", 0, "in amperes"),
    "power": ("watts", 0, "in watts"),
    "percent": ("ratio", -2, "1 is 100 %"),
    "percent_difference": ("ratio", -2, "1 is 100 %"),
    "capacity": ("amperehours", 0, "in ampere-hours"),
    "charge": ("amperehours", 0, "in ampere-hours"),
    "metered_charge": ("amperehours", 0, "in ampere-hours"),
    "energy": ("watthours", 0, "in watt-hours"),
    "metered_energy": ("watthours", 3, "in watt-hours"),
    "temperature": ("celsius", 0, "in degrees Celsius"),
    "temperature_difference": ("celsius", 0, "in degrees Celsius"),
    "resistance": ("ohms", 0, "in ohms"),
    "countdown": ("seconds", 0, "in seconds"),
    "uptime": ("seconds", 0, "in seconds"),
    "clock": ("timestamp_seconds", 0, "seconds since 1970"),
    "count": ("", 0, ""),
    "extreme_cell": ("", 0, ""),
    "flag": ("", 0, ""),
}
# What a metric is called after where the reading's own name ends with a word that Prometheus keeps for itself, or is
# the name of many.
RENAMED = {
    "cell_count": "cells",
    "sensor_count": "sensors",
    "pack_count": "bus_packs",
    "packs_total": "packs",
    "power_on_count": "power_ons",
    "charged_total": "charged",
    "discharged_total": "discharged",
    "cell_voltages": "cell_voltage",
    "cell_resistances": "cell_resistance",
    "temperatures": "temperature",
}
# Lists of numbers, and the label that numbers them, from 1.
NUMBERED = {"cell_voltages": "cell", "cell_resistances": "cell", "temperatures": "sensor"}
# What there is of each alarm in a BMS's settings: <alarm>_limit and so on.
THRESHOLDS = ("warning", "limit", "release")
TIMER, TIMES = "_release_timer", "_count"

# Readings that are labels: levels of alarms, what sets a limit, and who the pack is.
LEVELS = {"warnings": "warning", "protections": "protection", "faults": "fault"}
REASONS = {
    "charge_voltage_reason": "charge_voltage",
    "charge_current_reason": "charge_current",
    "discharge_current_reason": "discharge_current",
}
IDENTITY = ("manufacturer", "model", "serial_number", "hardware_version", "software_version")
LABELS = (*LEVELS, *REASONS, *IDENTITY)

# Why a reading has no metric. Of the settings only thresholds and switches have one.
SWITCHES = ("charge_switch", "discharge_switch", "balancer_switch", "heating_switch")
GROUPS_LEFT_OUT = {
    "settings": "a setting of the BMS: it changes only when somebody changes it",
    "link": "the BMS's own clock, counters and calibration",
}
QUANTITIES_LEFT_OUT = {
    "bits": "raw bits: what is known of them are flags and alarms",
    "number": "a number as sent, without a unit",
    "duty": "a number as sent, without a unit",
    "text": "a text",
    "names": "a list of cells",
}

STATES = {"pack": (ONLINE, STALE, ASLEEP, LOST, ERROR), "bank": (ONLINE, PARTIAL, LOST)}
HISTORY_STATES = ("ok", "failing", "off")
OUTPUT_STATES = ("starting", "running", "failing")
# What the gate rejects samples for, and how answers end. All are there from the start: for Prometheus a counter that
# begins with 1 has not grown.
CAUSES = ("range", "cells_sum", "zero", "doubt")
RESULTS = ("ok", "partial", "silent", "echo", "noise", "damaged", "incomplete", "unreadable", "refused")
LOST_BYTES = ("dropped", "stray")
# Of links by Bluetooth: what is done about a pack that is not heard, and why connections fail.
STAGES = ("notify_again", "reconnect", "forget_device", "restart_adapter")
FAILURES = (
    "unheard", "no_bluetooth", "no_daemon", "no_adapter", "not_ready", "forbidden", "no_library", "in_progress",
    "authentication", "aborted", "gone", "timeout", "no_service", "dropped", "stalled", "no_slot", "other",
    "pairing", "taken",
)  # fmt: skip

# Metrics that are no readings: type and help
OF_BOTH = {
    "up": (GAUGE, "1 while it is read and its newest sample is not stale, else 0; all readings are absent then"),
    "state": (GAUGE, "1 for the state that it is in, 0 for the others"),
    "last_success_timestamp_seconds": (GAUGE, "When the newest believed sample came, in seconds since 1970"),
    "age_seconds": (GAUGE, "How long ago the newest believed sample came, in seconds"),
    "alarm": (GAUGE, "1 while the alarm is active, absent while not; level: warning, protection or fault"),
    "problems": (GAUGE, "How many alarms of each level are active, 0 for none; absent while that is not known"),
    "limit_reason_info": (GAUGE, "1; reason: what sets the limit just now"),
}
OF_PACKS = {
    "cellwire_pack_info": (GAUGE, "1; the labels say what the pack is, as far as it tells"),
    "cellwire_pack_samples_accepted_total": (COUNTER, "Samples that were believed"),
    "cellwire_pack_samples_rejected_total": (COUNTER, "Samples that were not believed, by cause"),
    "cellwire_poll_duration_seconds": (HISTOGRAM, "How long the polls of a pack took that were answered, in seconds"),
}
OF_BANKS = {
    "cellwire_bank_info": (GAUGE, "1; id: what stays when the bank is renamed"),
    "cellwire_bank_member": (GAUGE, "1 while the pack counts in the bank, 0 while it does not"),
    "cellwire_bank_warnings": (GAUGE, "Packs that must not be joined as they are, or that are joined and differ"),
}
OF_THE_GATEWAY = {
    "cellwire_link_answers_total": (COUNTER, "Answers to questions on a link, by how they ended"),
    "cellwire_link_lost_bytes_total": (COUNTER, "Bytes that belong to no answer: dropped within one, stray before one"),
    "cellwire_link_echoes_total": (COUNTER, "Answers that came with an echo of the question"),
    "cellwire_link_released": (GAUGE, "1 while the link is left to the phone app or another program, else 0"),
    "cellwire_link_connected": (GAUGE, "1 while there is a connection by Bluetooth, else 0"),
    "cellwire_link_rssi_dbm": (GAUGE, "How loud the pack was when it last advertised, in dBm"),
    "cellwire_link_rssi_age_seconds": (GAUGE, "How long ago that was, in seconds: who is connected does not advertise"),
    "cellwire_link_connections_total": (COUNTER, "Connections by Bluetooth that were made"),
    "cellwire_link_recoveries_total": (
        COUNTER,
        "What was done about a pack by Bluetooth that did not answer, by stage",
    ),
    "cellwire_link_failures_total": (COUNTER, "What went wrong with a connection by Bluetooth, by cause"),
    "cellwire_link_pack_info": (GAUGE, "1; which packs are on which link"),
    "cellwire_build_info": (GAUGE, "1; version: of Cellwire"),
    "cellwire_start_timestamp_seconds": (GAUGE, "When Cellwire was started, in seconds since 1970"),
    "cellwire_uptime_seconds": (GAUGE, "How long Cellwire runs, in seconds"),
    "cellwire_history_state": (GAUGE, "1 for the state that the history is in, 0 for the others"),
    "cellwire_history_waiting_rows": (GAUGE, "Rows that are not on the disk yet"),
    "cellwire_history_file_bytes": (GAUGE, "Size of the history, in bytes"),
    "cellwire_output_state": (GAUGE, "1 for the state that an output is in, 0 for the others"),
    "cellwire_output_published_total": (COUNTER, "Messages that an output has published"),
    "cellwire_output_waiting_messages": (GAUGE, "Messages that wait to be published"),
    "cellwire_output_clients": (GAUGE, "Clients that are connected to an output"),
    "cellwire_output_requests_total": (COUNTER, "Requests that an output has answered"),
    "cellwire_output_sent_rows_total": (COUNTER, "Rows that an output has sent"),
    "cellwire_output_behind_rows": (GAUGE, "Rows of the history that an output has not sent yet"),
}
# What an output says of itself, and the metric for it.
FIGURES = {
    "published": "cellwire_output_published_total",
    "waiting": "cellwire_output_waiting_messages",
    "clients": "cellwire_output_clients",
    "requests": "cellwire_output_requests_total",
    "sent_rows": "cellwire_output_sent_rows_total",
    "behind_rows": "cellwire_output_behind_rows",
}


class Row(NamedTuple):
    """How a reading is shown.

    metric: its name without cellwire_pack_ or cellwire_bank_; labels: as they are written; number: the label that
    numbers the elements of a list; power: of ten, to the metric's unit; digits: decimals in that unit
    """

    metric: str
    type: str
    help: str
    labels: str = ""
    number: str = ""
    power: int = 0
    digits: int = 0


def _row(name: str, metric: str, meaning: str, labels: str = "") -> Row:
    _, quantity, kind, _, _ = BY_NAME[name]
    word, power, unit = UNITS[quantity]
    parts = (metric, word, "total" if kind == TOTAL else "")
    if quantity == "flag":
        meaning = f"1 while {meaning}, else 0"
    elif unit not in meaning:
        meaning = f"{meaning}, {unit}"
    meaning = meaning[0].upper() + meaning[1:]
    digits = QUANTITY[quantity][2] - power
    type_ = COUNTER if kind == TOTAL else GAUGE
    return Row("_".join(filter(None, parts)), type_, meaning, labels, NUMBERED.get(name, ""), power, digits)


def _of_alarms() -> dict[str, Row]:
    """Return the rows of the readings that there are for each alarm: the alarm is a label."""
    rows = {}
    for alarm, _ in LIMITS:
        for at in THRESHOLDS:
            meaning = "where the BMS warns of the alarm, protects against it (limit), and ends that (release)"
            rows[f"{alarm}_{at}"] = _row(f"{alarm}_{at}", "threshold", meaning, f',alarm="{alarm}",at="{at}"')
        rows[alarm + TIMES] = _row(alarm + TIMES, "protections", "times that the BMS protected", f',alarm="{alarm}"')
    for name in BY_NAME:
        if name.endswith(TIMER):
            labels = f',alarm="{name.removesuffix(TIMER)}"'
            rows[name] = _row(name, "protection_release", "time left of the protection", labels)
    return rows


OF_ALARMS = _of_alarms()


def why_not(name: str) -> str:
    """Return why a reading is not shown, "" when it is."""
    _, quantity, _, group, _ = BY_NAME[name]
    if name in LABELS or name in SWITCHES or name in OF_ALARMS:
        return ""
    return GROUPS_LEFT_OUT.get(group, "") or QUANTITIES_LEFT_OUT.get(quantity, "")


METRICS = {
    name: OF_ALARMS.get(name) or _row(name, RENAMED.get(name, name), meaning)
    for name, (_, _, _, _, meaning) in BY_NAME.items()
    if name not in LABELS and not why_not(name)
}


def families() -> dict[str, tuple[str, str]]:
    """Return type and help of every metric there can be, by name, in the order of the exposition."""
    found: dict[str, tuple[str, str]] = {}
    for kind, others in (("pack", OF_PACKS), ("bank", OF_BANKS)):
        of = "" if kind == "pack" else "Of a bank: "
        found |= {f"cellwire_{kind}_{name}": (type_, of + text) for name, (type_, text) in OF_BOTH.items()} | others
        for name, row in METRICS.items():
            if kind == "bank" or BY_NAME[name][3] != "bank":
                found[f"cellwire_{kind}_{row.metric}"] = row.type, of + row.help
    return found | OF_THE_GATEWAY


HEADS = {
    name: f"# HELP {name} {text}\n# TYPE {name} {type_}\n"  # no text of ours has a backslash or a line's end
    for name, (type_, text) in families().items()
}


class Samples:
    """The samples of all metrics, those of one metric together as the format wants it."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, metric: str, value: float, labels: str = "") -> None:
        """Add a sample; labels as they are written."""
        self._lines[metric].append(f"{metric}{{{labels}}} {value}\n" if labels else f"{metric} {value}\n")

    def add_state(self, metric: str, states: Iterable[str], state: str, labels: str = "") -> None:
        """Add 1 for the state, 0 for the others."""
        comma = "," if labels else ""
        for each in states:
            self.add(metric, int(each == state), f'{labels}{comma}state="{each}"')

    def add_histogram(self, metric: str, counts: Sequence[int], total: float, labels: str) -> None:
        """Add how often something took as long as each of BOUNDS, or longer."""
        lines = self._lines[metric]
        for bound, count in zip((*BOUNDS, "+Inf"), accumulate(counts), strict=True):
            lines.append(f'{metric}_bucket{{{labels},le="{bound}"}} {count}\n')
        lines.append(f"{metric}_sum{{{labels}}} {total}\n{metric}_count{{{labels}}} {sum(counts)}\n")

    def text(self) -> str:
        """Return all of them in the text format."""
        found = ((head, self._lines.get(name)) for name, head in HEADS.items())
        return "".join("".join((head, *lines)) for head, lines in found if lines)


def exposition(store: Store, links: Sequence[Mapping[str, Any]], health: Mapping[str, Any]) -> str:
    """Return all metrics in the text format."""
    samples = Samples()
    for battery in store.batteries():
        _battery(samples, battery, store.monotonic())
    for pack in store.packs.values():
        _pack(samples, pack)
    for bank in store.banks.values():
        _bank(samples, bank)
    for link in links:
        _link(samples, link)
    _gateway(samples, health)
    return samples.text()


def labelled(**labels: object) -> str:
    """Return labels as they are written; those without a value are left out."""
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items() if value != "")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _battery(samples: Samples, battery: Battery, now: float) -> None:
    """Add what packs and banks have alike."""
    prefix, owner = f"cellwire_{battery.kind}_", labelled(**{battery.kind: battery.name})
    samples.add(prefix + "up", int(battery.live), owner)
    samples.add_state(prefix + "state", STATES[battery.kind], battery.state, owner)
    if battery.settled:
        identity = {name: battery.identity.get(name, "") for name in IDENTITY}
        samples.add(prefix + "info", 1, f"{owner},{labelled(id=battery.id, family=battery.family, **identity)}")
    if battery.time is not None and battery.seen is not None:
        samples.add(prefix + "last_success_timestamp_seconds", round(battery.time, 3), owner)
        samples.add(prefix + "age_seconds", round(max(0.0, now - battery.seen), 3), owner)
    for name, value in battery.readings.items():
        if name in METRICS:
            _reading(samples, prefix, owner, METRICS[name], value)
        elif name in LEVELS:
            level = labelled(level=LEVELS[name])
            for alarm in dict.fromkeys(value):
                samples.add(prefix + "alarm", 1, f"{owner},{labelled(alarm=alarm)},{level}")
            samples.add(prefix + "problems", len(set(value)), f"{owner},{level}")
        elif name in REASONS:
            labels = labelled(limit=REASONS[name], reason=value)
            samples.add(prefix + "limit_reason_info", 1, f"{owner},{labels}")


def _reading(samples: Samples, prefix: str, owner: str, row: Row, value: Any) -> None:
    metric, labels = prefix + row.metric, owner + row.labels
    if row.number:
        for number, element in enumerate(value, 1):
            if element is not None:
                samples.add(metric, element, f'{labels},{row.number}="{number}"')
    elif row.power:
        samples.add(metric, round(value * 10**row.power, row.digits), labels)
    else:
        samples.add(metric, int(value) if value is True or value is False else value, labels)


def _pack(samples: Samples, pack: PackState) -> None:
    """Add how it goes with asking a pack."""
    owner = labelled(pack=pack.name)
    samples.add("cellwire_pack_samples_accepted_total", pack.counts["accepted"], owner)
    for cause in CAUSES:
        count = pack.counts[f"rejected_{cause}"]
        samples.add("cellwire_pack_samples_rejected_total", count, f'{owner},cause="{cause}"')
    samples.add_histogram("cellwire_poll_duration_seconds", pack.polls.counts, pack.polls.sum, owner)


def _bank(samples: Samples, bank: BankState) -> None:
    """Add which packs count in a bank."""
    owner = labelled(bank=bank.name)
    for pack in bank.packs:
        samples.add("cellwire_bank_member", int(pack not in bank.missing), f"{owner},{labelled(pack=pack)}")
    samples.add("cellwire_bank_warnings", len(bank.warnings), owner)


def _link(samples: Samples, link: Mapping[str, Any]) -> None:
    owner, counts = labelled(link=link["address"]), link["counts"]
    for result in RESULTS:
        samples.add("cellwire_link_answers_total", counts.get(result, 0), f'{owner},result="{result}"')
    for cause in LOST_BYTES:
        samples.add("cellwire_link_lost_bytes_total", counts.get(cause, 0), f'{owner},cause="{cause}"')
    samples.add("cellwire_link_echoes_total", counts.get("echoed", 0), owner)
    samples.add("cellwire_link_released", int("released_until" in link), owner)
    for pack in link["packs"]:
        samples.add("cellwire_link_pack_info", 1, f"{owner},{labelled(pack=pack)}")
    if "radio" in link:
        _radio(samples, owner, link["radio"])


def _radio(samples: Samples, owner: str, radio: Mapping[str, Any]) -> None:
    """Add how it goes with a link by Bluetooth."""
    samples.add("cellwire_link_connected", int(radio["connected"]), owner)
    if "rssi" in radio:
        samples.add("cellwire_link_rssi_dbm", radio["rssi"], owner)
        samples.add("cellwire_link_rssi_age_seconds", radio["rssi_age"], owner)
    counts, causes = radio["counts"], radio["causes"]
    samples.add("cellwire_link_connections_total", counts.get("connections", 0), owner)
    for stage in STAGES:
        samples.add("cellwire_link_recoveries_total", counts.get(stage, 0), f'{owner},stage="{stage}"')
    for cause in FAILURES:
        samples.add("cellwire_link_failures_total", causes.get(cause, 0), f'{owner},cause="{cause}"')


def _gateway(samples: Samples, health: Mapping[str, Any]) -> None:
    samples.add("cellwire_build_info", 1, labelled(version=health["version"]))
    samples.add("cellwire_start_timestamp_seconds", health["started"])
    samples.add("cellwire_uptime_seconds", health["uptime"])
    history = health["history"]
    samples.add_state("cellwire_history_state", HISTORY_STATES, history["state"])
    if history["state"] != "off":
        samples.add("cellwire_history_waiting_rows", history["queued_rows"])
        samples.add("cellwire_history_file_bytes", history["file_bytes"])
    for output in health["outputs"]:
        labels = labelled(output=output["output"], name=output["name"])
        samples.add_state("cellwire_output_state", OUTPUT_STATES, output["state"], labels)
        for figure, metric in FIGURES.items():
            if figure in output:
                samples.add(metric, output[figure], labels)
