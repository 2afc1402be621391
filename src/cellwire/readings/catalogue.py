"""The vocabulary: every reading's name, quantity, kind, group and meaning. The single source for all outputs.

Positive current charges. Cells and sensors are numbered from 1 for people; lists start with number 1.
"""

# quantity            unit     decimals  low        high      jump   jump as a share of the value
# A value outside low..high cannot be true. A change of up to the larger of both jumps is believed at once, a larger
# one when a second question confirms it; a jump of None stands for "any change wants confirmation".
QUANTITIES = (
    ("cell_voltage", "V", 3, 0.0, 6.0, 0.030, 0.0),
    ("cell_difference", "V", 3, 0.0, 6.0, 0.060, 0.0),
    ("pack_voltage", "V", 2, 0.0, 1000.0, 0.3, 0.01),
    ("current", "A", 2, -3000.0, 3000.0, 5.0, 0.10),
    ("small_current", "A", 3, -30.0, 30.0, 0.5, 0.10),
    ("power", "W", 1, -300000.0, 300000.0, 250.0, 0.10),
    ("percent", "%", 1, 0.0, 100.0, 2.0, 0.0),
    ("capacity", "Ah", 2, 0.0, 50000.0, 1.0, 0.02),
    ("charge", "Ah", 1, 0.0, 4294967295.0, 2.0, 0.0),
    ("energy", "Wh", 0, 0.0, 4294967295.0, 1000.0, 0.0),
    ("temperature", "degC", 1, -60.0, 200.0, 3.0, 0.0),
    ("temperature_difference", "K", 1, 0.0, 260.0, 6.0, 0.0),
    ("resistance", "ohm", 3, 0.0, 100.0, 0.010, 0.0),
    ("countdown", "s", 0, 0, 4294967295, 120, 0.0),
    ("uptime", "s", 0, 0, 4294967295, 3600, 0.0),
    ("time", "s", 0, 0, 4294967295, None, 0.0),
    ("short_time", "s", 6, 0, 4294967295, None, 0.0),
    ("clock", "s", 0, 0, 4294967295, 3600, 0.0),
    ("count", "", 0, 0, 4294967295, 1, 0.0),
    ("number", "", 3, -4294967295.0, 4294967295.0, None, 0.0),
    ("tick", "", 0, 0, 4294967295, 4294967295, 0.0),
    ("bits", "", 0, 0, 18446744073709551615, None, 0.0),
    ("extreme_cell", "", 0, 0, 300, 300, 0.0),
    ("flag", "", 0, 0, 1, None, 0.0),
    ("text", "", 0, 0, 0, None, 0.0),
    ("names", "", 0, 0, 0, None, 0.0),
)

MEASUREMENT = "measurement"
TOTAL = "total"  # only goes up
STATE = "state"
TEXT = "text"
LIST = "list"

# name, quantity, kind, group, meaning
LIVE = (
    ("voltage", "pack_voltage", MEASUREMENT, "pack", "voltage at the pack's terminals"),
    ("current", "current", MEASUREMENT, "pack", "current of the pack, positive while charging"),
    ("power", "power", MEASUREMENT, "pack", "voltage times current, positive while charging"),
    ("soc", "percent", MEASUREMENT, "pack", "state of charge as the BMS counts it"),
    ("soh", "percent", MEASUREMENT, "pack", "state of health as the BMS estimates it"),
    ("remaining_capacity", "capacity", MEASUREMENT, "pack", "charge that is in the pack now"),
    ("full_capacity", "capacity", MEASUREMENT, "pack", "charge in the pack when full today"),
    ("design_capacity", "capacity", MEASUREMENT, "pack", "charge as sold, or as set"),
    ("pack_state", "text", STATE, "pack", "idle, charging or discharging, as the BMS says"),
    ("charge_phase", "text", STATE, "pack", "bulk, absorption or float"),
    ("charge_phase_time", "countdown", MEASUREMENT, "pack", "time spent in the present charge phase"),
    ("humidity", "percent", MEASUREMENT, "pack", "humidity inside the case"),
    ("energy", "energy", MEASUREMENT, "pack", "energy that is in the pack now"),
    ("remaining_time", "countdown", MEASUREMENT, "pack", "time to full or empty as the BMS estimates it"),
    (
        "charge_voltage_request",
        "pack_voltage",
        MEASUREMENT,
        "pack",
        "voltage that the BMS asks a charger for",
    ),
    (
        "charge_current_request",
        "current",
        MEASUREMENT,
        "pack",
        "largest charge current that the BMS asks for",
    ),
    ("discharge_voltage_request", "pack_voltage", MEASUREMENT, "pack", "lowest voltage that the BMS allows"),
    (
        "discharge_current_request",
        "current",
        MEASUREMENT,
        "pack",
        "largest discharge current that the BMS allows",
    ),
    ("pack_count", "count", STATE, "pack", "packs that a master sees on its bus"),
    ("cell_count", "count", STATE, "cells", "cells in series"),
    ("cell_voltages", "cell_voltage", LIST, "cells", "voltage of each cell"),
    ("cell_min", "cell_voltage", MEASUREMENT, "cells", "lowest cell voltage"),
    ("cell_max", "cell_voltage", MEASUREMENT, "cells", "highest cell voltage"),
    ("cell_mean", "cell_voltage", MEASUREMENT, "cells", "mean of the cell voltages"),
    ("cell_delta", "cell_difference", MEASUREMENT, "cells", "highest minus lowest cell voltage"),
    ("cell_min_number", "extreme_cell", MEASUREMENT, "cells", "number of the lowest cell"),
    ("cell_max_number", "extreme_cell", MEASUREMENT, "cells", "number of the highest cell"),
    (
        "cell_resistances",
        "resistance",
        LIST,
        "cells",
        "resistance of each balance lead as the BMS estimates it",
    ),
    ("cell_mask", "bits", STATE, "cells", "bit 0 is cell 1: cells that the BMS sees"),
    ("balance_wire_alarms", "names", LIST, "cells", "cells whose balance lead has too high a resistance"),
    ("sensor_count", "count", STATE, "temperatures", "temperature sensors that the BMS reports"),
    (
        "temperatures",
        "temperature",
        LIST,
        "temperatures",
        "temperature of each sensor, as numbered on the cable",
    ),
    ("temperature_min", "temperature", MEASUREMENT, "temperatures", "lowest sensor"),
    ("temperature_max", "temperature", MEASUREMENT, "temperatures", "highest sensor"),
    ("temperature_mean", "temperature", MEASUREMENT, "temperatures", "mean of the sensors"),
    (
        "temperature_delta",
        "temperature_difference",
        MEASUREMENT,
        "temperatures",
        "highest minus lowest sensor",
    ),
    ("temperature_min_number", "extreme_cell", MEASUREMENT, "temperatures", "number of the lowest sensor"),
    ("temperature_max_number", "extreme_cell", MEASUREMENT, "temperatures", "number of the highest sensor"),
    ("mosfet_temperature", "temperature", MEASUREMENT, "temperatures", "temperature of the MOSFETs"),
    ("board_temperature", "temperature", MEASUREMENT, "temperatures", "temperature of the board"),
    ("ambient_temperature", "temperature", MEASUREMENT, "temperatures", "temperature around the board"),
    ("balancer_temperature", "temperature", MEASUREMENT, "temperatures", "temperature of the balancer"),
    ("heater_temperature", "temperature", MEASUREMENT, "temperatures", "temperature of the heater"),
    ("box_temperature", "temperature", MEASUREMENT, "temperatures", "temperature inside the battery box"),
    (
        "sensor_mask",
        "bits",
        STATE,
        "temperatures",
        "temperature sensors that the BMS calls fitted, as raw bits",
    ),
    ("charge_mosfet", "flag", STATE, "switches", "the charge MOSFET conducts"),
    ("discharge_mosfet", "flag", STATE, "switches", "the discharge MOSFET conducts"),
    ("precharge_mosfet", "flag", STATE, "switches", "the precharge MOSFET conducts"),
    ("current_limiter", "flag", STATE, "switches", "the charge current limiter is active"),
    ("balancing", "flag", STATE, "switches", "cells are being balanced now"),
    ("balancing_cells", "names", LIST, "switches", "numbers of the cells that are being balanced"),
    ("balance_current", "small_current", MEASUREMENT, "switches", "current of the balancer"),
    ("balance_state", "text", STATE, "switches", "off, charging or discharging a cell"),
    ("balance_duty_charge", "percent", MEASUREMENT, "switches", "duty of the balancer while charging a cell"),
    (
        "balance_duty_discharge",
        "percent",
        MEASUREMENT,
        "switches",
        "duty of the balancer while discharging a cell",
    ),
    ("heating", "flag", STATE, "switches", "the heater is on"),
    ("heating_current", "small_current", MEASUREMENT, "switches", "current of the heater"),
    ("fan", "flag", STATE, "switches", "the fan is on"),
    ("charger_connected", "flag", STATE, "switches", "a charger is connected"),
    ("load_connected", "flag", STATE, "switches", "a load is connected"),
    ("input_bits", "bits", STATE, "switches", "digital inputs, bit 0 is input 1"),
    ("output_bits", "bits", STATE, "switches", "digital outputs, bit 0 is output 1"),
    ("dry_contact_1", "flag", STATE, "switches", "dry contact 1 is closed"),
    ("dry_contact_2", "flag", STATE, "switches", "dry contact 2 is closed"),
    (
        "emergency_countdown",
        "countdown",
        MEASUREMENT,
        "switches",
        "time left of the emergency mode, 0 when it is off",
    ),
    ("sleep_countdown", "countdown", MEASUREMENT, "switches", "time until the BMS goes to sleep"),
    ("parallel_module", "flag", STATE, "switches", "the parallel current limiting module is active"),
    ("battery_line", "flag", STATE, "switches", "the battery line is in order"),
    ("warnings", "names", LIST, "alarms", "near a limit, still running"),
    ("protections", "names", LIST, "alarms", "a limit was passed and a MOSFET is off"),
    ("faults", "names", LIST, "alarms", "hardware that does not work as it should"),
    ("alarm_bits", "bits", STATE, "alarms", "alarm word of the BMS, as sent"),
    ("warning_bits", "bits", STATE, "alarms", "warning word of the BMS, as sent"),
    ("protection_bits", "bits", STATE, "alarms", "protection word of the BMS, as sent"),
    ("fault_bits", "bits", STATE, "alarms", "fault word of the BMS, as sent"),
    ("fault_code", "bits", STATE, "alarms", "fault number of the BMS, as sent"),
    ("cycles", "count", TOTAL, "totals", "full cycles as the BMS counts them"),
    ("charged_total", "charge", TOTAL, "totals", "charge that ever went in"),
    ("discharged_total", "charge", TOTAL, "totals", "charge that ever came out"),
    ("cycled_capacity", "charge", TOTAL, "totals", "charge throughput over the life"),
    ("runtime", "uptime", TOTAL, "totals", "time since the BMS was first started"),
    ("uptime", "uptime", TOTAL, "totals", "time that the BMS was on"),
    ("power_on_count", "count", TOTAL, "totals", "times that the BMS was switched on"),
    ("restarts", "count", TOTAL, "totals", "restarts of the BMS's controller"),
    ("log_entries", "count", TOTAL, "totals", "entries in the BMS's log book"),
    ("heartbeat", "tick", MEASUREMENT, "link", "counter that shows that the BMS is alive"),
    ("frame_counter", "tick", MEASUREMENT, "link", "counter of the records that were sent"),
    (
        "clock",
        "clock",
        MEASUREMENT,
        "link",
        "the BMS's own clock, seconds since 2020-01-01 00:00 in its local time",
    ),
    ("log_book", "names", LIST, "link", "entries of the log book: seconds and event, newest last"),
)

IDENTITY = (
    ("model", "text", TEXT, "identity", "model as the BMS says"),
    ("name", "text", TEXT, "identity", "name that the owner gave the BMS"),
    ("manufacturer", "text", TEXT, "identity", "manufacturer as the BMS says"),
    ("serial_number", "text", TEXT, "identity", "serial number of the BMS"),
    ("pack_serial_number", "text", TEXT, "identity", "serial number of the pack"),
    ("hardware_version", "text", TEXT, "identity", "hardware version"),
    ("software_version", "text", TEXT, "identity", "firmware version"),
    ("firmware_index", "text", TEXT, "identity", "firmware date code"),
    ("battery_code", "text", TEXT, "identity", "code of the battery, good as its identity"),
    ("barcode", "text", TEXT, "identity", "barcode text"),
    ("production_date", "text", TEXT, "identity", "date of production, YYYY-MM-DD"),
    ("user_data", "text", TEXT, "identity", "text that the owner stored"),
    ("user_data_2", "text", TEXT, "identity", "second text that the owner stored"),
    ("project", "text", TEXT, "identity", "project text of the pack's maker"),
    ("chip_type", "text", TEXT, "identity", "analogue front end, where the BMS tells"),
    ("hardware_options", "text", TEXT, "identity", "option letters of the hardware"),
    (
        "record_variant",
        "text",
        TEXT,
        "identity",
        "layout of the records, found by their structure: 24S, 32S or JK04",
    ),
    ("protocol_version", "number", STATE, "identity", "version of the protocol"),
    ("board_number", "number", STATE, "identity", "address of the pack on its bus"),
    ("battery_type", "text", STATE, "identity", "chemistry as set: LFP, Li-ion or LTO"),
    ("rated_voltage", "pack_voltage", MEASUREMENT, "identity", "rated voltage"),
    ("rated_current", "current", MEASUREMENT, "identity", "rated current"),
)

# Limits: (alarm, quantity) that come with a warning, a limit, a release value and a delay in the families' settings.
LIMITS = (
    ("cell_overvoltage", "cell_voltage"),
    ("cell_undervoltage", "cell_voltage"),
    ("pack_overvoltage", "pack_voltage"),
    ("pack_undervoltage", "pack_voltage"),
    ("charge_overcurrent", "current"),
    ("discharge_overcurrent", "current"),
    ("discharge_overcurrent_2", "current"),
    ("short_circuit", "current"),
    ("charge_overtemperature", "temperature"),
    ("charge_undertemperature", "temperature"),
    ("discharge_overtemperature", "temperature"),
    ("discharge_undertemperature", "temperature"),
    ("mosfet_overtemperature", "temperature"),
    ("box_overtemperature", "temperature"),
    ("ambient_overtemperature", "temperature"),
    ("ambient_undertemperature", "temperature"),
    ("cell_delta", "cell_difference"),
    ("temperature_delta", "temperature_difference"),
    ("soc_high", "percent"),
    ("soc_low", "percent"),
    ("hard_cell_overvoltage", "cell_voltage"),
    ("hard_cell_undervoltage", "cell_voltage"),
)


def _limits() -> "tuple[tuple[str, str, str, str, str], ...]":
    rows = []
    for alarm, quantity in LIMITS:
        words = alarm.replace("_", " ")
        rows.append(
            (alarm + "_warning", quantity, MEASUREMENT, "settings", "where the BMS warns of " + words)
        )
        rows.append(
            (alarm + "_limit", quantity, MEASUREMENT, "settings", "where the BMS protects against " + words)
        )
        rows.append(
            (
                alarm + "_release",
                quantity,
                MEASUREMENT,
                "settings",
                "where the protection against " + words + " ends",
            )
        )
        rows.append(
            (
                alarm + "_delay",
                "short_time",
                MEASUREMENT,
                "settings",
                "time until the protection against " + words + " acts",
            )
        )
        rows.append(
            (
                alarm + "_release_delay",
                "time",
                MEASUREMENT,
                "settings",
                "time until the protection against " + words + " is tried to end",
            )
        )
        rows.append(
            (
                alarm + "_release_timer",
                "countdown",
                MEASUREMENT,
                "alarms",
                "time left of the protection against " + words,
            )
        )
        rows.append(
            (alarm + "_count", "count", TOTAL, "totals", "times that the BMS protected against " + words)
        )
    return tuple(rows)


SETTINGS = (
    ("charge_switch", "flag", STATE, "settings", "charging is allowed by the user"),
    ("discharge_switch", "flag", STATE, "settings", "discharging is allowed by the user"),
    ("balancer_switch", "flag", STATE, "settings", "balancing is allowed by the user"),
    ("heating_switch", "flag", STATE, "settings", "heating is allowed by the user"),
    ("balance_start", "cell_voltage", MEASUREMENT, "settings", "cell voltage from which cells are balanced"),
    (
        "balance_delta",
        "cell_difference",
        MEASUREMENT,
        "settings",
        "difference of cells from which they are balanced",
    ),
    ("balance_current_limit", "small_current", MEASUREMENT, "settings", "largest current of the balancer"),
    (
        "power_off_voltage",
        "cell_voltage",
        MEASUREMENT,
        "settings",
        "cell voltage at which the BMS switches itself off",
    ),
    ("sleep_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage below which the BMS may sleep"),
    ("sleep_delay", "time", MEASUREMENT, "settings", "idle time until the BMS sleeps"),
    ("soc_full_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 100 %"),
    ("soc_empty_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 0 %"),
    (
        "charge_voltage_setting",
        "cell_voltage",
        MEASUREMENT,
        "settings",
        "cell voltage requested for bulk charge",
    ),
    (
        "float_voltage_setting",
        "cell_voltage",
        MEASUREMENT,
        "settings",
        "cell voltage requested for float charge",
    ),
    ("nominal_cell_voltage", "cell_voltage", MEASUREMENT, "settings", "nominal voltage of a cell"),
    ("cell_count_setting", "number", STATE, "settings", "cells in series as set"),
    ("soc_setting", "percent", MEASUREMENT, "settings", "state of charge as last set"),
    ("cycle_capacity", "capacity", MEASUREMENT, "settings", "charge throughput that counts as one cycle"),
    (
        "self_discharge",
        "number",
        MEASUREMENT,
        "settings",
        "self discharge that is counted, % a month or mA by firmware",
    ),
    ("shunt_resistance", "number", MEASUREMENT, "settings", "shunt, in milliohm"),
    ("precharge_time", "time", MEASUREMENT, "settings", "precharge before the discharge MOSFET opens"),
    ("heating_start", "temperature", MEASUREMENT, "settings", "temperature below which the heater starts"),
    ("heating_stop", "temperature", MEASUREMENT, "settings", "temperature at which the heater stops"),
    ("operation_mode", "number", STATE, "settings", "operation mode, as sent"),
    ("function_bits", "bits", STATE, "settings", "functions that are on, as raw bits"),
    ("control_bits", "bits", STATE, "settings", "control switches, as raw bits"),
    (
        "sensor_enable_bits",
        "bits",
        STATE,
        "settings",
        "temperature sensors that are enabled, bit 0 is sensor 1",
    ),
    ("uart1_protocol", "number", STATE, "settings", "number of the protocol on UART1"),
    ("uart2_protocol", "number", STATE, "settings", "number of the protocol on UART2"),
    ("uart3_protocol", "number", STATE, "settings", "number of the protocol on UART3"),
    ("can_protocol", "number", STATE, "settings", "number of the protocol on CAN"),
    ("device_address", "number", STATE, "settings", "address as set"),
    ("wire_resistances", "resistance", LIST, "settings", "resistance of each cell's connection as set"),
)

# Alarms of all families: members of warnings, protections and faults.
ALARMS = (
    ("cell_overvoltage", "a cell's voltage is too high"),
    ("cell_undervoltage", "a cell's voltage is too low"),
    ("pack_overvoltage", "the pack's voltage is too high"),
    ("pack_undervoltage", "the pack's voltage is too low"),
    ("charge_overcurrent", "the charge current is too high"),
    ("discharge_overcurrent", "the discharge current is too high"),
    ("discharge_overcurrent_2", "the discharge current is too high, second stage"),
    ("discharge_overcurrent_3", "the discharge current is too high, third stage"),
    ("charge_overcurrent_2", "the charge current is too high, second stage"),
    ("short_circuit", "short circuit"),
    ("charge_short_circuit", "short circuit on the charge side"),
    ("discharge_short_circuit", "short circuit on the discharge side"),
    ("short_circuit_release_failed", "the short circuit protection could not be ended"),
    ("charge_overtemperature", "too hot to charge"),
    ("charge_undertemperature", "too cold to charge"),
    ("discharge_overtemperature", "too hot to discharge"),
    ("discharge_undertemperature", "too cold to discharge"),
    ("battery_overtemperature", "the battery is too hot"),
    ("battery_undertemperature", "the battery is too cold"),
    ("box_overtemperature", "the battery box is too hot"),
    ("ambient_overtemperature", "too hot around the board"),
    ("ambient_undertemperature", "too cold around the board"),
    ("board_overtemperature", "the board is too hot"),
    ("mosfet_overtemperature", "the MOSFETs are too hot"),
    ("charge_mosfet_overtemperature", "the charge MOSFET is too hot"),
    ("discharge_mosfet_overtemperature", "the discharge MOSFET is too hot"),
    ("thermal_runaway", "thermal runaway of a cell"),
    ("fire_aerosol", "the fire extinguisher has been set off"),
    ("cell_delta", "the cells differ too much"),
    ("temperature_delta", "the temperatures differ too much"),
    ("soc_low", "state of charge is low"),
    ("soc_high", "state of charge is high"),
    ("soh_low", "state of health is low"),
    ("full_charge", "charging was ended because the pack is full"),
    ("undervoltage_charging", "cells are too empty to be charged"),
    ("overvoltage_discharging", "voltage too high while discharging"),
    ("balance_wire_resistance", "a balance lead has too high a resistance"),
    ("cell_count_mismatch", "another number of cells than set"),
    ("cell_wire_open", "a cell's sense wire is open"),
    ("cell_offline", "a cell cannot be measured"),
    ("current_sensor", "the current sensor is faulty"),
    ("voltage_sensor", "the voltage measurement is faulty"),
    ("pack_voltage_sensor", "the pack voltage measurement is faulty"),
    ("temperature_sensor", "a temperature sensor is faulty"),
    ("temperature_sensor_open", "a temperature sensor is not connected"),
    ("charge_mosfet_sensor", "the charge MOSFET's temperature sensor is faulty"),
    ("discharge_mosfet_sensor", "the discharge MOSFET's temperature sensor is faulty"),
    ("charge_mosfet", "the charge MOSFET is faulty"),
    ("discharge_mosfet", "the discharge MOSFET is faulty"),
    ("charge_mosfet_stuck_closed", "the charge MOSFET cannot be opened"),
    ("discharge_mosfet_stuck_closed", "the discharge MOSFET cannot be opened"),
    ("charge_mosfet_stuck_open", "the charge MOSFET cannot be closed"),
    ("discharge_mosfet_stuck_open", "the discharge MOSFET cannot be closed"),
    ("discharge_start_failed", "discharging could not be switched on"),
    ("precharge", "precharge failed"),
    ("precharge_mosfet", "the precharge MOSFET is faulty"),
    ("current_limiter", "the current limiter is faulty"),
    ("frontend", "the analogue front end is faulty"),
    ("frontend_communication", "the analogue front end does not answer"),
    ("frontend_sampling", "the analogue front end's measurements are faulty"),
    ("internal_communication", "communication inside the BMS is faulty"),
    ("external_communication", "communication with the outside is faulty"),
    ("parallel_communication", "communication between parallel packs is faulty"),
    ("parallel_module", "the parallel module is faulty"),
    ("eeprom", "the parameter memory is faulty"),
    ("flash", "the program memory is faulty"),
    ("clock", "the clock is faulty"),
    ("reverse_connection", "the pack is connected the wrong way round"),
    ("mosfet_software_lock", "a MOSFET was switched off by command"),
    ("remote_lock", "the pack is locked from afar"),
    ("gps_disconnected", "the GPS module is missing"),
    ("default_password", "the default password is still set"),
    ("smart_charger", "the smart charger is faulty"),
    ("smart_discharger", "the smart discharger is faulty"),
    ("heater", "the heater is faulty"),
    ("charge_cabinet_offline", "the charging cabinet is out of reach"),
    ("frontend_protection_a", "the front end's own protection A acts"),
    ("frontend_protection_b", "the front end's own protection B acts"),
)

# Readings that only the jk family has: settings and diagnostics by its own tools.
JK = ()

# Readings that only the jbd family has: settings and diagnostics by its own tools.
JBD = (
    (
        "coarse_units",
        "flag",
        STATE,
        "settings",
        "currents and capacities come in steps of 0.1 instead of 0.01",
    ),
    ("learned_capacity", "capacity", MEASUREMENT, "pack", "full capacity that the BMS has learned"),
    ("bank_current", "current", MEASUREMENT, "pack", "current of all packs together, positive while charging"),
    ("bank_soc", "percent", MEASUREMENT, "pack", "state of charge of all packs together"),
    ("bank_soh", "percent", MEASUREMENT, "pack", "state of health of all packs together"),
    ("bank_remaining_capacity", "capacity", MEASUREMENT, "pack", "charge that is in all packs together"),
    ("bank_full_capacity", "capacity", MEASUREMENT, "pack", "full capacity of all packs together"),
    ("bank_cell_min", "cell_voltage", MEASUREMENT, "cells", "lowest cell voltage of all packs"),
    ("bank_cell_max", "cell_voltage", MEASUREMENT, "cells", "highest cell voltage of all packs"),
    ("bank_temperature_min", "temperature", MEASUREMENT, "temperatures", "lowest sensor of all packs"),
    ("bank_temperature_max", "temperature", MEASUREMENT, "temperatures", "highest sensor of all packs"),
    ("serial_number_setting", "number", STATE, "settings", "serial number that the pack's maker has set"),
    ("pack_production_date", "text", TEXT, "identity", "date of the pack's production, YYYY-MM-DD"),
    ("unique_id", "text", TEXT, "identity", "number of the controller chip"),
    ("switch_function", "flag", STATE, "settings", "the weak-current switch input is used"),
    ("load_detection", "flag", STATE, "settings", "a short circuit ends when the load is taken away"),
    ("balance_only_charging", "flag", STATE, "settings", "cells are balanced only while charging"),
    ("led_switch", "flag", STATE, "settings", "the LEDs are used"),
    ("led_capacity", "flag", STATE, "settings", "the LEDs show the state of charge"),
    ("mosfet_control_time", "time", MEASUREMENT, "settings", "switching time of the MOSFET control"),
    ("led_time", "time", MEASUREMENT, "settings", "time that the LEDs stay lit"),
    ("gps_cutoff_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that switches the GPS off"),
    ("gps_cutoff_delay", "time", MEASUREMENT, "settings", "time until the GPS is switched off"),
    ("soc_10_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 10 %"),
    ("soc_20_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 20 %"),
    ("soc_30_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 30 %"),
    ("soc_40_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 40 %"),
    ("soc_50_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 50 %"),
    ("soc_60_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 60 %"),
    ("soc_70_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 70 %"),
    ("soc_80_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 80 %"),
    ("soc_90_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage that counts as 90 %"),
    ("soc_100_voltage", "cell_voltage", MEASUREMENT, "settings", "cell voltage of the 100 % point of the table"),
    ("frontend_current_bits", "bits", STATE, "settings", "current registers of the front end, as sent"),
    ("frontend_delay_bits", "bits", STATE, "settings", "delay register of the front end, as sent"),
    ("frontend_double_range", "flag", STATE, "settings", "the front end's current thresholds count double"),
    ("short_circuit_threshold", "number", MEASUREMENT, "settings", "short circuit threshold, mV at the shunt"),
    (
        "discharge_overcurrent_2_threshold",
        "number",
        MEASUREMENT,
        "settings",
        "threshold of the second discharge overcurrent stage, mV at the shunt",
    ),
    ("hardware_overcurrent_setting", "bits", STATE, "settings", "second overcurrent setting, as sent"),
    ("hardware_short_circuit_setting", "bits", STATE, "settings", "short circuit setting, as sent"),
    ("learning_interval", "number", STATE, "settings", "interval of the capacity correction, as sent"),
    ("rated_power", "power", MEASUREMENT, "identity", "largest power"),
    ("rated_charge_voltage", "pack_voltage", MEASUREMENT, "identity", "rated charge voltage"),
    ("rated_charge_current", "current", MEASUREMENT, "identity", "rated charge current"),
    ("rated_discharge_current", "current", MEASUREMENT, "identity", "rated discharge current"),
    ("rated_discharge_power", "power", MEASUREMENT, "identity", "rated discharge power"),
    ("smallest_current", "small_current", MEASUREMENT, "settings", "smaller currents are shown as 0"),
    ("full_pack_voltage", "pack_voltage", MEASUREMENT, "settings", "pack voltage that counts as full"),
    ("full_pack_current", "current", MEASUREMENT, "settings", "charge current below which the pack is full"),
)

# Readings that only the daly family has: settings and diagnostics by its own tools.
DALY = ()

CATALOGUE = LIVE + IDENTITY + _limits() + SETTINGS + JK + JBD + DALY

BY_NAME = {row[0]: row for row in CATALOGUE}
QUANTITY = {row[0]: row for row in QUANTITIES}


def decimals(name: str) -> int:
    """Return how many decimals of a reading mean something."""
    return QUANTITY[BY_NAME[name][1]][2]


def unit(name: str) -> str:
    """Return the unit of a reading, "" for plain numbers and texts."""
    return QUANTITY[BY_NAME[name][1]][1]
