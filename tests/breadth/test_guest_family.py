"""The family that adapts aiobmsble: lines of JSON become readings of the catalogue, and nothing is made up."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellwire.cli import PORT, USAGE, main
from cellwire.codec.errors import ProtocolError
from cellwire.families import FAMILIES, GUESTS, dialects, guests, spoken
from cellwire.families.aiobmsble import FLAGS, NUMBERS, SENSORS, TEXTS, Receiver
from cellwire.families.proof import proof
from cellwire.gateway.config import ConfigError, parse
from cellwire.readings.catalogue import ALARMS, BY_NAME
from cellwire.readings.derive import derive
from cellwire.readings.gate import Gate

(DIALECT,) = dialects("aiobmsble")
WHOLE = {
    "voltage": 13.3,
    "current": -2.5,
    "battery_level": 81,
    "battery_health": 99,
    "cycle_charge": 81.5,
    "design_capacity": 100,
    "cycles": 12,
    "cell_count": 4,
    "cell_voltages": [3.325, 3.326, 3.324, 3.325],
    "temp_values": [
        {"value": 21.0, "type": "CELL"},
        {"value": 22.5, "type": "GENERIC"},
        {"value": 30.0, "type": "MOSFET"},
        {"value": 33.0, "type": "MOSFET"},
        {"value": 18.0, "type": "AMBIENT"},
    ],
    "chrg_mosfet": True,
    "dischrg_mosfet": False,
    "balancer": 5,
    "battery_mode": 2,
    "problem_code": 0,
}


def line(key: str, value: Any, **more: Any) -> bytes:
    return json.dumps({key: value, **more}).encode() + b"\n"


def read(sample: dict[str, Any], query: str = "sample", **more: Any) -> dict[str, Any]:
    frames = DIALECT.receiver().feed(line(query, sample, **more))
    values = DIALECT.collect(DIALECT.query(query), 0, frames, {}, False)
    assert values is not None
    return values


def test_a_sample_becomes_readings() -> None:
    assert read(WHOLE) == {
        "voltage": 13.3,
        "current": -2.5,
        "soc": 81,
        "soh": 99,
        "remaining_capacity": 81.5,
        "design_capacity": 100,
        "cycles": 12,
        "cell_count": 4,
        "cell_voltages": [3.325, 3.326, 3.324, 3.325],
        "temperatures": [21.0, 22.5],
        "mosfet_temperature": 33.0,
        "ambient_temperature": 18.0,
        "charge_mosfet": True,
        "discharge_mosfet": False,
        "balancing": True,
        "charge_phase": "float",
        "alarm_bits": 0,
        "warnings": [],
    }


def test_what_is_not_said_is_not_known() -> None:
    assert read({"voltage": 13.3}) == {"voltage": 13.3}
    assert read({"voltage": 13.3, "cell_voltages": [], "temp_values": [], "current": None}) == {"voltage": 13.3}


def test_a_problem_is_a_warning_and_its_number_is_kept() -> None:
    values = read({"voltage": 13.3, "problem_code": 0x480000000})
    assert values["alarm_bits"] == 0x480000000
    assert values["warnings"] == ["unnamed"]
    assert read({"voltage": 13.3, "problem": True})["warnings"] == ["unnamed"]
    assert read({"voltage": 13.3, "problem": False})["warnings"] == []


def test_a_sensor_that_is_not_there_has_no_temperature() -> None:
    sensors = [
        {"value": 215.0, "type": "GENERIC"},
        {"value": 21.0, "type": "GENERIC"},
        {"value": 255, "type": "MOSFET"},
    ]
    values = read({"voltage": 13.3, "temp_values": sensors})
    assert values == {"voltage": 13.3, "temperatures": [None, 21.0]}
    assert read({"voltage": 13.3, "temp_values": [21.75]})["temperatures"] == [21.75]
    assert read({"voltage": 13.3, "temperature": 17})["temperatures"] == [17]


@pytest.mark.parametrize("sample", [{}, {"pack_count": 2, "packs": [{"voltage": 13.3}]}, {"voltage": "13.3"}])
def test_a_pack_that_says_nothing_of_itself_is_an_error(sample: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="right type"):
        read(sample)


def test_a_device_becomes_an_identity() -> None:
    device = {
        "manufacturer": "Redodo",
        "model": "R-24100",
        "serial_number": " A00643 ",
        "hw_version": "1.2",
        "sw_version": "3.4",
        "fw_version": "5.6",
        "model_id": "",
    }
    assert read(device, "device") == {
        "manufacturer": "Redodo",
        "model": "R-24100",
        "pack_serial_number": "A00643",
        "hardware_version": "1.2",
        "software_version": "5.6",
    }


def test_the_address_is_its_identity() -> None:
    assert read({"voltage": 13.3}, address="C8:47:80:15:D8:34") == {"voltage": 13.3, "battery_code": "c8478015d834"}


def test_all_names_are_in_the_catalogue() -> None:
    names = [ours for _, ours in (*NUMBERS, *FLAGS, *SENSORS, *TEXTS)]
    names += ["cell_voltages", "temperatures", "charge_phase", "warnings", "battery_code"]
    assert set(names) <= set(BY_NAME)
    assert "unnamed" in dict(ALARMS)


def test_lines_are_found_in_pieces_and_noise_is_counted() -> None:
    data = line("sample", {"voltage": 1.0})
    receiver = Receiver()
    assert [receiver.feed(data[at : at + 1]) for at in range(len(data))][-1][0][2] == "sample"
    assert receiver.waiting() == receiver.dropped == receiver.damaged == 0
    assert receiver.feed(b"noise\n{broken\n" + data[:5]) == []
    assert (receiver.dropped, receiver.damaged, receiver.waiting()) == (6, 1, 5)
    assert receiver.feed(b"x" * 40000) == []
    assert receiver.waiting() == 0


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_noise_never_raises(pieces: list[bytes]) -> None:
    receiver = Receiver()
    for piece in pieces:
        for frame in receiver.feed(piece):
            DIALECT.read(frame, {})
    assert receiver.waiting() <= 60 * 20


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            [*(theirs for theirs, _ in (*NUMBERS, *FLAGS)), "cell_voltages", "temp_values", "battery_mode"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        ),
    )
)
def test_no_sample_breaks_the_gate(sample: dict[str, Any]) -> None:
    """Whatever a type of the library gives: what the gate lets through is within its range."""
    try:
        values = derive(read({**sample, "battery_level": 50}))
    except ProtocolError:
        return
    Gate(DIALECT.sum_tolerance).judge(values)


@pytest.mark.parametrize(("cells", "verdict"), [([3.3, 3.4, 3.3, 3.4], "doubt"), ([3.9, 3.9, 3.9, 3.9], "cells_sum")])
def test_cells_told_to_a_tenth_of_a_volt_pass_and_contradictions_do_not(cells: list[float], verdict: str) -> None:
    values = derive(read({"voltage": 13.6, "cell_voltages": cells}))
    assert Gate(DIALECT.sum_tolerance).judge(values).partition(":")[0] == verdict


def test_a_guest_is_asked_for_on_its_own_links_only() -> None:
    assert not set(GUESTS) & set(FAMILIES)
    assert guests() == dialects("aiobmsble")
    assert DIALECT not in dialects()
    assert spoken("aiobmsble:C8:47:80:15:D8:34") == spoken("replay:redodo.jsonl", "aiobmsble") == (DIALECT,)
    assert spoken("aiobmsble:C8:47:80:15:D8:34", "jbd") == ()
    assert spoken("/dev/ttyUSB0", "aiobmsble") == spoken("tcp:localhost:8899", "aiobmsble") == ()
    assert spoken("/dev/ttyUSB0") == spoken("ble:C8:47:80:15:D8:34") == dialects()


@pytest.mark.parametrize(
    ("link", "family"),
    [("/dev/ttyUSB0", "aiobmsble"), ("ble:C8:47:80:15:D8:34", "aiobmsble"), ("aiobmsble:C8:47:80:15:D8:34", "daly-a5")],
)
def test_a_configuration_with_the_wrong_link_says_so(link: str, family: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'[[pack]]\nname = "van"\nlink = "{link}"\nfamily = "{family}"\n', Path("cellwire.toml"))
    (mistake,) = caught.value.mistakes
    assert "links of their own" in str(mistake)
    assert 'link = "aiobmsble:' in str(mistake)


def test_a_configuration_needs_the_link_only() -> None:
    config = parse('[[pack]]\nname = "van"\nlink = "aiobmsble:C8:47:80:15:D8:34"\n', Path("cellwire.toml"))
    assert config.packs[0].family == ""


def test_a_serial_port_is_not_asked_by_a_guest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "/dev/ttyUSB0", "--family", "aiobmsble"]) == USAGE
    assert "docs/aiobmsble.md" in capsys.readouterr().err


def test_without_the_library_one_sentence_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiobmsble", None)  # as if it were not installed
    assert main(["read", "aiobmsble:C8:47:80:15:D8:34"]) == PORT
    told = capsys.readouterr().err
    assert "pip install 'cellwire[aiobmsble]'" in told
    assert "Python 3.12" in told
    assert told.count("\n") == 1


def test_its_proof_is_elsewhere() -> None:
    assert proof(DIALECT) == ([], [])
