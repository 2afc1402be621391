"""Works out what the maps show beside the readings themselves, for one battery and for the strings of a bank."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from ...gateway.store import PARTIAL, Battery
from .alarms import COMMUNICATION_ERROR, alarm_bits, event_bits

Values = dict[str, Any]

# What is no reading: name, what it is and where it comes from
DERIVED = (
    ("rated_capacity", "`design_capacity`, else `full_capacity`"),
    ("rated_energy", "rated capacity times `rated_voltage`, else times `nominal_cell_voltage` and the number of cells; "
     "in a bank the sum of the strings that count, when all of them have it"),
    ("depth_of_discharge", "100 % minus `soc`"),
    ("cell_average", "mean of `cell_mean` of the strings that count, when all of them have it"),
    ("temperature_average", "mean of the fitted `temperatures`, in a bank of all strings that count"),
    ("alarms", "all active alarms as [alarm bits](#alarm-bits)"),
    ("events", "active alarms as [events](#events); communication error when it, or a pack of it, is not live"),
    ("charge_status", "off 1: both MOSFETs are off; discharging 3, charging 4: `current` shows as 0.1 A or more; "
     "without current full 5 at `soc` 100, empty 2 at `soc` 0, else holding 6"),
    ("state", "fault 99: any of `faults`; SoC protection 5: a protection of voltage or state of charge; "
     "disconnected 1: both MOSFETs are off; connected 3: a MOSFET conducts, or current flows"),
    ("control", "always local (1): nothing of SunSpec can be written"),
    ("beat", "counts seconds, 0 to 65534, while the battery is live; then it stands still"),
    ("cell_max_module", "1: a pack is one module"),
    ("cell_min_module", "1: a pack is one module"),
    ("temperature_max_module", "1: a pack is one module"),
    ("temperature_min_module", "1: a pack is one module"),
    ("cell_max_string", "number of the string with the highest cell, `cell_max_pack`"),
    ("cell_min_string", "number of the string with the lowest cell, `cell_min_pack`"),
    ("temperature_max_string", "number of the string with the highest sensor, `temperature_max_pack`"),
    ("temperature_min_string", "number of the string with the lowest sensor, `temperature_min_pack`"),
    ("balancing_count", "how many `balancing_cells`"),
    ("balancing_bits", "`balancing_cells`: bit 0 is cell 1; not available when a cell beyond 32 is balanced"),
    ("contactors", "bit 0: `charge_mosfet`; bit 1: `discharge_mosfet`"),
    ("string_status", "bit 0, enabled: `charge_switch` and `discharge_switch` are not both off; "
     "bit 1, contactor: a MOSFET conducts"),
    ("strings", "number of strings: packs of the bank, 1 for a pack"),
    ("strings_connected", "strings that count and have a MOSFET that conducts"),
    ("voltage_max", "highest `voltage` of the strings that count"),
    ("voltage_max_string", "its string"),
    ("voltage_min", "lowest `voltage` of the strings that count"),
    ("voltage_min_string", "its string"),
    ("voltage_average", "mean `voltage` of the strings that count"),
    ("current_max", "highest `current` of the strings that count"),
    ("current_max_string", "its string"),
    ("current_min", "lowest `current` of the strings that count"),
    ("current_min_string", "its string"),
    ("current_average", "mean `current` of the strings that count"),
    ("strings_balancing_count", "how many `balancing_cells` in the strings that count, when all of them tell"),
    ("string", "number of the string, from 1 in the order of the bank's packs"),
    ("module", "1: a pack is one module"),
    ("cells", "`cell_count`, else as many as `cell_voltages` has"),
    ("cell_voltage", "the cell's element of `cell_voltages`"),
    ("cell_status", "bit 0: the cell is one of `balancing_cells`"),
    ("unit", "the unit"),
    ("maker", "`manufacturer`, else Cellwire"),
    ("kind", "`model`, else the family; \"bank\" for a bank"),
    ("label", "name of the pack or bank"),
    ("id", "id of the pack or bank, as on all other ways, once it is settled; its end, when it is too long"),
)  # fmt: skip

CONNECTED, DISCONNECTED, SOC_PROTECTION, FAULT = 3, 1, 5, 99
OFF, EMPTY, DISCHARGING, CHARGING, FULL, HOLDING = 1, 2, 3, 4, 5, 6
# Protections that are about how full the battery is.
CHARGE_PROTECTIONS = {
    "cell_overvoltage", "cell_undervoltage", "pack_overvoltage", "pack_undervoltage", "undervoltage_charging",
    "overvoltage_discharging", "soc_low", "soc_high", "full_charge",
}  # fmt: skip
EXTREMES = ("cell_max", "cell_min", "temperature_max", "temperature_min")
SN_SIZE = 32


class View(NamedTuple):
    """What a unit shows: a pack, or a bank with its packs, at one moment.

    strings: the pack itself, or the packs of the bank; None where one is not there
    counted: names of the strings that count and are live
    cells: number of cells of each string, 0 while it is not known; age: seconds since the newest sample
    """

    unit: int
    battery: Battery
    strings: tuple[Battery | None, ...]
    counted: frozenset[str]
    cells: tuple[int, ...]
    age: float | None
    heartbeat: int | None

    @property
    def partial(self) -> bool:
        """Whether some packs of the bank do not count."""
        return self.battery.state == PARTIAL


def direction(current: float) -> int:
    """Return 1 while charging, -1 while discharging, 0 below the 0.1 A that the registers show."""
    steps = round(current * 10)
    return (steps > 0) - (steps < 0)


def conducts(readings: Values) -> bool | None:
    """Return whether a MOSFET conducts, None when that is not known."""
    mosfets = [readings[name] for name in ("charge_mosfet", "discharge_mosfet") if name in readings]
    return True if any(mosfets) else False if len(mosfets) == 2 else None


def charge_status(readings: Values) -> int | None:
    """Return ChaSt of SunSpec."""
    if conducts(readings) is False:
        return OFF
    if "current" not in readings:
        return None
    way = direction(readings["current"])
    if way:
        return CHARGING if way > 0 else DISCHARGING
    soc = readings.get("soc")
    return FULL if soc == 100 else EMPTY if soc == 0 else HOLDING


def state(readings: Values) -> int | None:
    """Return State of SunSpec."""
    if readings.get("faults"):
        return FAULT
    if CHARGE_PROTECTIONS.intersection(readings.get("protections", ())):
        return SOC_PROTECTION
    conducting = conducts(readings)
    if conducting is False:
        return DISCONNECTED
    return CONNECTED if conducting or direction(readings.get("current", 0.0)) else None


def balancing_bits(readings: Values) -> int | None:
    """Return a bit for each cell that is balanced."""
    cells = readings.get("balancing_cells")
    return None if cells is None else sum(1 << (cell - 1) for cell in cells)


def of_battery(battery: Battery | None, cells: int) -> Values:
    """Return the readings and what follows from them; only the events when the battery is not live."""
    if battery is None or not battery.live:
        return {"events": COMMUNICATION_ERROR}
    readings = battery.readings
    values = {**readings, **dict(_followed(readings, cells))}
    values["state"] = state(readings)
    values["charge_status"] = charge_status(readings)
    values["alarms"] = alarm_bits(readings)
    values["events"] = event_bits(readings)
    values["balancing_bits"] = balancing_bits(readings)
    values["control"] = 1
    return values


def _followed(readings: Values, cells: int) -> Iterator[tuple[str, Any]]:
    """Yield what follows from readings that are there."""
    capacity = readings.get("design_capacity", readings.get("full_capacity"))
    if capacity is not None:
        yield "rated_capacity", capacity
        nominal = readings.get("nominal_cell_voltage")
        voltage = readings.get("rated_voltage", nominal and cells and nominal * cells)
        if voltage:
            yield "rated_energy", capacity * voltage
    if "soc" in readings:
        yield "depth_of_discharge", 100 - readings["soc"]
    fitted = [value for value in readings.get("temperatures", ()) if value is not None]
    if fitted:
        yield "temperature_average", fmean(fitted)
    for extreme in EXTREMES:
        if extreme in readings:
            yield f"{extreme}_module", 1
    if "balancing_cells" in readings:
        yield "balancing_count", len(readings["balancing_cells"])
    if "charge_mosfet" in readings and "discharge_mosfet" in readings:
        yield "contactors", readings["charge_mosfet"] + 2 * readings["discharge_mosfet"]
    conducting = conducts(readings)
    if conducting is not None:
        switches = [readings.get(name) for name in ("charge_switch", "discharge_switch")]
        yield "string_status", (switches != [False, False]) + 2 * conducting


def of_strings(view: View, strings: Sequence[Values]) -> Values:
    """Return what the strings come to together."""
    values: Values = {"strings": len(strings)}
    if not view.battery.live:
        return values
    names = [string.name if string else "" for string in view.strings]
    for extreme in EXTREMES:
        if extreme in view.battery.readings:
            name = view.battery.readings.get(f"{extreme}_pack", names[0])
            values[f"{extreme}_string"] = names.index(name) + 1 if name in names else None
    counted = [(string, number) for number, string in enumerate(strings, 1) if names[number - 1] in view.counted]
    values["strings_connected"] = sum(conducts(string) is not False for string, _ in counted)
    for name in ("voltage", "current"):
        known = [(string[name], number) for string, number in counted if name in string]
        if known:
            values[f"{name}_max"], values[f"{name}_max_string"] = max(known, key=lambda each: each[0])
            values[f"{name}_min"], values[f"{name}_min_string"] = min(known, key=lambda each: each[0])
            values[f"{name}_average"] = fmean(value for value, _ in known)
    for name, source in (("cell_average", "cell_mean"), ("temperature_average", "temperature_average")):
        means = [string[source] for string, _ in counted if source in string]
        if means and len(means) == len(counted):
            values[name] = fmean(means)
    for name, source in (("strings_balancing_count", "balancing_count"), ("rated_energy", "rated_energy")):
        parts = [string[source] for string, _ in counted if source in string]
        if parts and len(parts) == len(counted):
            values[name] = sum(parts)
    return values
