"""What Home Assistant allows together, from its source of 2025 and 2026; test_home_assistant.py checks it."""

# device class of a sensor -> units, state classes
SENSOR_CLASSES: dict[str, tuple[set[str], set[str]]] = {
    "battery": ({"%"}, {"measurement"}),
    "current": ({"A", "mA"}, {"measurement"}),
    "duration": ({"d", "h", "min", "s", "ms"}, {"measurement", "total", "total_increasing"}),
    "energy": ({"Wh", "kWh", "MWh"}, {"total", "total_increasing"}),
    "energy_storage": ({"Wh", "kWh", "MWh"}, {"measurement"}),
    "humidity": ({"%"}, {"measurement"}),
    "power": ({"W", "kW"}, {"measurement"}),
    "temperature": ({"°C", "°F", "K"}, {"measurement"}),
    "timestamp": (set(), set()),
    "voltage": ({"V", "mV"}, {"measurement"}),
}
STATE_CLASSES = {"measurement", "total", "total_increasing"}
BINARY_SENSOR_CLASSES = {"connectivity", "plug", "power", "problem", "running"}
# Units that no class wants.
FREE_UNITS = {"Ah", "K", "%", "Ω"}
ABBREVIATIONS = {
    "avty": "availability",
    "cmd_t": "command_topic",
    "avty_mode": "availability_mode",
    "dev": "device",
    "dev_cla": "device_class",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "exp_aft": "expire_after",
    "max": "max",
    "min": "min",
    "mode": "mode",
    "o": "origin",
    "ops": "options",
    "p": "platform",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_prs": "payload_press",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "step": "step",
    "sug_dsp_prc": "suggested_display_precision",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
    "cmps": "components",
}
DEVICE_ABBREVIATIONS = {
    "hw": "hw_version",
    "ids": "identifiers",
    "mdl": "model",
    "mf": "manufacturer",
    "sn": "serial_number",
    "sw": "sw_version",
}
NOT_ABBREVIATED = {"name"}
# Only these may stand in a sensor of each platform; "sw" of the origin is that of the device, abbreviated alike.
SENSOR_KEYS = {
    *("name", "p", "uniq_id", "dev_cla", "stat_cla", "unit_of_meas", "sug_dsp_prc", "ent_cat", "en", "exp_aft"),
    *("val_tpl", "avty", "avty_mode", "stat_t", "dev", "o"),
}
BINARY_SENSOR_KEYS = SENSOR_KEYS - {"stat_cla", "unit_of_meas", "sug_dsp_prc"} | {"pl_on", "pl_off"}
# Units of numbers by device class.
NUMBER_CLASSES = {name: SENSOR_CLASSES[name][0] for name in ("current", "duration", "power", "temperature", "voltage")}
NUMBER_CLASSES |= {"energy_storage": SENSOR_CLASSES["energy_storage"][0]}
FINEST_STEP = 0.001
LONGEST_TEXT = 255
# Those of all entities that change something. A state topic of the device is passed over where there is no state.
_CONTROL_KEYS = {"name", "p", "uniq_id", "cmd_t", "ent_cat", "avty", "avty_mode", "stat_t", "dev", "o"}
CONTROL_KEYS = {
    "switch": _CONTROL_KEYS | {"pl_on", "pl_off", "val_tpl"},
    "number": _CONTROL_KEYS | {"min", "max", "step", "mode", "unit_of_meas", "dev_cla", "val_tpl"},
    "select": _CONTROL_KEYS | {"ops", "val_tpl"},
    "text": _CONTROL_KEYS | {"min", "max", "val_tpl"},
    "button": _CONTROL_KEYS | {"pl_prs"},
}
