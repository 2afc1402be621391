"""Parameter files of the maker's PC program: a file as it writes them, read and written again, and wrong ones."""

from typing import Any

import pytest

from cellwire.codec.errors import ProtocolError
from cellwire.families import jbd
from cellwire.families.jbd import commands, fig

# A 4-cell LFP board as one vendor ships it (the curve from another board): a key and the raw register in each line.
SAMPLE = """
  FileCode               3838
  DesignCapacity        10000
  CycleCapacity        8000
  FullChargeVol        3400
  ChargeEndVol        3000
  DischargingRate        2
  ManufactureDate        10449
  SerialNumber        0
  CycleCount        0
  ChgOverTemp        3381
  ChgOTRelease        3281
  ChgLowTemp        2741
  ChgUTRelease        2831
  DisOverTemp        3481
  DsgOTRelease        3381
  DisLowTemp        2631
  DsgUTRelease        2731
  PackOverVoltage        1460
  PackOVRelease        1400
  PackUnderVoltage        1000
  PackUVRelease        1200
  CellOverVoltage        3650
  CellOVRelease        3500
  CellUnderVoltage        2500
  CellUVRelease        3000
  OverChargeCurrent        13000
  OverDisCurrent        52536
  BalanceStartVoltage        3400
  BalanceWindow        15
  SenseResistor        1
  BatteryConfig        15
  NtcConfig        3
  PackNum        4
  fet_ctrl_time_set        30
  led_disp_time_set        10
  VoltageCap80        3400
  VoltageCap60        3350
  VoltageCap40        3300
  VoltageCap20        3100
  HardCellOverVoltage        3900
  HardCellUnderVoltage        2000
  HardChgOverCurrent        141
  HardDsgOverCurrent        92
  HardTime        176
  SCReleaseTime        100
  ChgUTDelay        2
  ChgOTDelay        2
  DsgUTDelay        2
  DsgOTDelay        2
  PackUVDelay        2
  PackOVDelay        2
  CellUVDelay        2
  CellOVDelay        2
  ChgOCDelay        10
  ChgOCRDelay        30
  DsgOCDelay        10
  DsgOCRDelay        30
  ManufacturerName       DGJBD
  DeviceName             SP04S028 L4S 150A
  BarCode                123
  GPS_VOL        2200
  GPS_TIME        10
""".lstrip("\n").replace("\n", "\r\r\n")
VALUES: dict[str, Any] = {
    "design_capacity": 100.0,
    "cycle_capacity": 80.0,
    "soc_full_voltage": 3.4,
    "soc_empty_voltage": 3.0,
    "self_discharge": 0.2,
    "production_date": "2020-06-17",
    "serial_number_setting": 0,
    "cycles": 0,
    "charge_overtemperature_limit": 65.0,
    "charge_overtemperature_release": 55.0,
    "charge_undertemperature_limit": 1.0,
    "charge_undertemperature_release": 10.0,
    "discharge_overtemperature_limit": 75.0,
    "discharge_overtemperature_release": 65.0,
    "discharge_undertemperature_limit": -10.0,
    "discharge_undertemperature_release": 0.0,
    "pack_overvoltage_limit": 14.6,
    "pack_overvoltage_release": 14.0,
    "pack_undervoltage_limit": 10.0,
    "pack_undervoltage_release": 12.0,
    "cell_overvoltage_limit": 3.65,
    "cell_overvoltage_release": 3.5,
    "cell_undervoltage_limit": 2.5,
    "cell_undervoltage_release": 3.0,
    "charge_overcurrent_limit": 130.0,
    "discharge_overcurrent_limit": 130.0,
    "balance_start": 3.4,
    "balance_delta": 0.015,
    "shunt_resistance": 0.1,
    "switch_function": True,
    "load_detection": True,
    "balancer_switch": True,
    "balance_only_charging": True,
    "led_switch": False,
    "led_capacity": False,
    "sensor_enable_bits": 3,
    "cell_count_setting": 4,
    "mosfet_control_time": 30,
    "led_time": 10,
    "soc_80_voltage": 3.4,
    "soc_60_voltage": 3.35,
    "soc_40_voltage": 3.3,
    "soc_20_voltage": 3.1,
    "hard_cell_overvoltage_limit": 3.9,
    "hard_cell_undervoltage_limit": 2.0,
    "frontend_double_range": True,
    "short_circuit_threshold": 155,
    "short_circuit_delay": 0.0001,
    "discharge_overcurrent_2_threshold": 83,
    "discharge_overcurrent_2_delay": 0.32,
    "hard_cell_undervoltage_delay": 8,
    "hard_cell_overvoltage_delay": 8,
    "short_circuit_release_delay": 100,
    "charge_undertemperature_delay": 2,
    "charge_overtemperature_delay": 2,
    "discharge_undertemperature_delay": 2,
    "discharge_overtemperature_delay": 2,
    "pack_undervoltage_delay": 2,
    "pack_overvoltage_delay": 2,
    "cell_undervoltage_delay": 2,
    "cell_overvoltage_delay": 2,
    "charge_overcurrent_delay": 10,
    "charge_overcurrent_release_delay": 30,
    "discharge_overcurrent_delay": 10,
    "discharge_overcurrent_release_delay": 30,
    "manufacturer": "DGJBD",
    "model": "SP04S028 L4S 150A",
    "barcode": "123",
    "gps_cutoff_voltage": 2.2,
    "gps_cutoff_delay": 10,
}


def test_a_file_is_read() -> None:
    assert fig.read(SAMPLE) == VALUES
    assert fig.unknown(SAMPLE) == ()


def test_all_of_it_are_commands() -> None:
    there = {each.name for each in commands.STANDARD.of({"chip_type": "TI"})}
    assert set(VALUES) <= there


def test_what_was_read_is_written_as_it_was() -> None:
    assert fig.write(VALUES) == SAMPLE
    # Readings of a pack do as well: what is in no file is passed over, and raw bits carry what has no name.
    pack = {**VALUES, "voltage": 13.2, "function_bits": 0x028F, "frontend_current_bits": 0x8D5C, "soc_90_voltage": 3.37}
    written = fig.write(pack)
    assert written == SAMPLE.replace("BatteryConfig        15\r", "BatteryConfig        655\r")
    assert fig.read(written) == VALUES
    assert fig.unknown(written) == ("BatteryConfig bit 7", "BatteryConfig bit 9")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "   \r\r\n"])
def test_blanks_and_line_ends_do_not_matter(end: str) -> None:
    lines = SAMPLE.split("\r\r\n")
    assert fig.read(end.join(line.strip().replace("        ", "\t") for line in lines)) == VALUES


def test_a_file_may_have_less_and_more() -> None:
    text = "CellOverVoltage 3600\nNewKey 7\nFileCode 3839\nChgOTDelay 9\nDeviceName\n"
    assert fig.read(text) == {"cell_overvoltage_limit": 3.6, "charge_overtemperature_delay": 9}
    assert fig.unknown(text) == ("NewKey", "FileCode")
    # Half of a register tells what is in it, except where the other half has the unit.
    assert fig.read("HardDsgOverCurrent 92") == {}
    high = {"frontend_double_range": True, "short_circuit_threshold": 155, "short_circuit_delay": 0.0001}
    assert fig.read("HardChgOverCurrent 141") == high
    assert fig.read("SCReleaseTime 3") == {"short_circuit_release_delay": 3}
    assert fig.read("HardTime 176") == {"hard_cell_undervoltage_delay": 8, "hard_cell_overvoltage_delay": 8}
    assert fig.read("ManufactureDate 0\nPackNum 4") == {"cell_count_setting": 4}


def test_what_is_not_known_is_not_written() -> None:
    assert (
        fig.write({"cell_overvoltage_limit": 3.6})
        == "  FileCode               3838\r\r\n  CellOverVoltage        3600\r\r\n"
    )
    for values in (high_only := {"short_circuit_threshold": 89, "short_circuit_delay": 0.0004}, {}):
        written = fig.write({**values, "short_circuit_release_delay": 3, "cell_overvoltage_delay": 4})
        keys = [line.split()[0] for line in written.split("\r\r\n") if line]
        assert keys == ["FileCode", *(["HardChgOverCurrent"] if values else []), "SCReleaseTime", "CellOVDelay"]
    assert fig.read(fig.write(high_only)) == {**high_only, "frontend_double_range": False}
    assert fig.write({"balancer_switch": True}).split()[2:] == ["BatteryConfig", "4"]


def test_coarse_units_and_a_fine_shunt() -> None:
    coarse = "BatteryConfig 4096\nDesignCapacity 3000\nOverDisCurrent 64536\nSenseResistor 25"
    values = fig.read(coarse)
    assert (values["design_capacity"], values["discharge_overcurrent_limit"]) == (300.0, 100.0)
    assert values["shunt_resistance"] == 0.25
    written = fig.write({**values, "function_bits": 0x1000})
    assert written.split()[2:] == [
        "DesignCapacity", "3000", "OverDisCurrent", "64536", "SenseResistor", "25", "BatteryConfig", "4096",
    ]  # fmt: skip
    assert fig.read("SenseResistor 32793") == {"shunt_resistance": 0.25}
    assert fig.write({"shunt_resistance": 0.25}).split()[3] == "32793"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "save it again"),
        ("hello\n", "save it again"),
        ("FileCode 3838\n", "save it again"),
        ("FileCode 3838\n\nCellOverVoltage x\n", "line 3: CellOverVoltage .* not x; write it right"),
        ("CellOverVoltage\n", "line 1: CellOverVoltage .* not empty"),
        ("CellOverVoltage -1\n", "from 0 to 65535"),
        ("CellOverVoltage 65536\n", "from 0 to 65535"),
        ("PackNum 4\r\r\nCellOVDelay 256\r\r\n", "line 2: CellOVDelay .* from 0 to 255"),
        ("CellOverVoltage \u00b2\n", "line 1"),
    ],
)
def test_a_wrong_file_says_where(text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        fig.read(text)


@pytest.mark.parametrize(
    "values",
    [
        {"cell_overvoltage_limit": 70.0},
        {"production_date": "1999-12-31"},
        {"shunt_resistance": 5000},
        {"short_circuit_threshold": 78, "short_circuit_delay": 0.0004, "frontend_double_range": True},
    ],
)
def test_what_does_not_fit_is_not_written(values: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        fig.write(values)


def test_the_sample_passes_the_guards() -> None:
    known = {
        **VALUES,
        "chip_type": "TI",
        "function_bits": 15,
        "frontend_current_bits": 0x8D5C,
        "frontend_delay_bits": 176,
    }
    for each in jbd.DIALECTS[0].commands.of(known) if jbd.DIALECTS[0].commands else ():
        if each.name in VALUES:
            commands.guard(each, 0, VALUES[each.name], known)
