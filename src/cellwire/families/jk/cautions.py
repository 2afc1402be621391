"""What people are told of JK's commands before they use them: what they mean, and what can go wrong."""

_ASLEEP = "A pack that sleeps does not answer."
_NEW = "Software before 19.34 says yes to it and does nothing."
WARNINGS = {
    "power_off_voltage": "Below it the BMS switches itself off, and only its button or a charger starts it again.",
    "sleep_delay": _ASLEEP,
    "smart_sleep": _ASLEEP,
    "soc": _NEW,
    "soh": _NEW,
    "gps_heartbeat": "A pack without the GPS module will miss it.",
    "special_charger": "Other chargers than the maker's may be kept from charging.",
    "parallel_module_disabled": "Nothing limits the current between parallel packs then.",
    "emergency_button": "Whoever reaches the button can switch protections off for a while then.",
    "gps_lock_charge": "Charging is locked until this is taken back.",
    "gps_lock_discharge": "Discharging is locked until this is taken back: everything behind the pack loses its power.",
}
_GAUGE = (
    "Everything that the BMS protects by is measured with it: have a good meter beside it, and type what that shows."
)
_LINE = "It may cut the line over which this is written: only Bluetooth, or a visit, gets it back then."
_PRESET = "It overwrites all protection settings, and what was set before is gone: save it first."
DANGERS = {
    "design_capacity": "The state of charge is counted with it: with too much, the pack is empty before it says so.",
    "cell_count_setting": "With a number that is not that of the cells the BMS faults, or cells go unprotected.",
    "short_circuit_delay": "MOSFETs bear a short circuit for about a millisecond: a longer delay can burn them.",
    "voltage_reference": _GAUGE,
    "calibrate_voltage": _GAUGE,
    "calibrate_current": _GAUGE,
    "wire_resistances": "The BMS corrects the cell's voltage by it: too much of it hides an overvoltage.",
    "sensors_disabled": "Without its sensors the pack charges in frost and goes on when it is hot.",
    "port_rs485": _LINE,
    "uart1_protocol": _LINE,
    "uart2_protocol": _LINE,
    "uart3_protocol": _LINE,
    "can_protocol": "An inverter on CAN loses the pack when it does not speak this protocol.",
    "emergency_mode": "While it lasts, protections do not stop the discharge: cells can be ruined.",
    "restart": "The MOSFETs may open for a moment: everything behind the pack loses its power.",
    "power_down": "The pack goes dark, and only its button or a charger starts it again.",
    "preset_li_ion": _PRESET,
    "preset_lfp": _PRESET,
    "preset_lto": _PRESET,
    "factory_reset": _PRESET,
}
_UARTS = (
    "0 4G-GPS (UART socket), 1 JK Modbus, 2 NIU, 3 China Tower 1.1, 4 PACE, 5 Pylon, 6 Growatt, 7 Voltronic, "
    "8 China Tower 2.0, 9 WOW, 10 JK display, 11 and 12 user, 13 JK Modbus at 9600 baud, 14 Pylon at 9600 baud, "
    "15 PB parallel bus, 16 JK LIN"
)
_TRIGGER = (
    "0 off, 1 SoC below, 2 pack overvoltage, 3 pack undervoltage, 4 cell overvoltage, 5 cell undervoltage, 6 charge "
    "overcurrent, 7 discharge overcurrent, 8 battery hot, 9 MOSFETs hot, 10 any alarm, 11 battery cold, "
    "12 remote, 13 SoC above, 14 MOSFET fault"
)
MEANINGS = {
    "uart1_protocol": "protocol of UART1: " + _UARTS,
    "uart2_protocol": "protocol of UART2, on PB packs set by the DIP switches: " + _UARTS,
    "uart3_protocol": "protocol of UART3: " + _UARTS,
    "can_protocol": "protocol of CAN: 0 JK at 250k, 1 Deye, 2 Pylon, 3 Growatt, 4 Victron, 5 Megarevo, 6 JK at 500k, "
    "7 INVT, 8 GoodWe, 9 FSS, 10 MUST, 11 Luxpower, 12 and 13 user",
    "buzzer_trigger": "what sets the buzzer off: " + _TRIGGER,
    "dry_contact_1_trigger": "what closes dry contact 1: " + _TRIGGER,
    "dry_contact_2_trigger": "what closes dry contact 2: " + _TRIGGER,
    "emergency_mode": "discharge in spite of protections, for the time that is set",
    "calibrate_voltage": "voltage of the pack now, as a good meter shows it",
    "calibrate_current": "current of the pack now, as a good meter shows it, without a sign",
}
