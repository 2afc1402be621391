"""Addresses of links: what is understood, and what is said about the others."""

import pytest

from cellwire.links import open_link
from cellwire.links.replay import ReplayLink
from cellwire.links.rfc2217 import Rfc2217Link
from cellwire.links.serial import SerialLink
from cellwire.links.tcp import TcpLink


@pytest.mark.parametrize(
    ("address", "path", "baud"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0", 9600),
        ("COM3", "COM3", 9600),
        ("com12", "com12", 9600),
        ("serial:/dev/ttyUSB0", "/dev/ttyUSB0", 9600),
        ("serial:/dev/serial/by-id/usb-A:B-port0?baud=115200", "/dev/serial/by-id/usb-A:B-port0", 115200),
        ("serial:COM3?baud=19200", "COM3", 19200),
        ("serial:port?baud=1200", "port", 1200),
    ],
)
def test_serial_ports(address: str, path: str, baud: int) -> None:
    link = open_link(address)
    assert isinstance(link, SerialLink)
    assert (link.name, link.path, link.baud) == (address, path, baud)


@pytest.mark.parametrize(
    ("address", "host", "port", "baud"),
    [
        ("tcp:192.168.1.20:8899", "192.168.1.20", 8899, None),
        ("tcp://gateway.local:23", "gateway.local", 23, None),
        ("tcp:[fe80::1]:23", "fe80::1", 23, None),
        ("rfc2217://host:4000", "host", 4000, 9600),
        ("rfc2217:host:4000", "host", 4000, 9600),
        ("rfc2217://[::1]:4000?baud=115200", "::1", 4000, 115200),
    ],
)
def test_network(address: str, host: str, port: int, baud: int | None) -> None:
    link = open_link(address)
    assert isinstance(link, TcpLink)
    assert isinstance(link, Rfc2217Link) == address.startswith("rfc2217")
    assert (link.name, link.host, link.port, link.baud) == (address, host, port, baud)


def test_captures() -> None:
    link = open_link("replay:folder/a.jsonl")
    assert isinstance(link, ReplayLink)
    assert (link.path, link.real_time) == ("folder/a.jsonl", False)
    assert open_link("replay:/a.jsonl?realtime=1").real_time  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("", "not the address of a link; write /dev/ttyUSB0"),
        ("ttyUSB0", "not the address of a link"),
        ("COM", "not the address of a link"),
        ("http://host:80", "not the address of a link"),
        ("ble:AA:BB:CC:DD:EE", "is no Bluetooth address"),
        ("serial:", "names no port"),
        ("serial:?baud=9600", "names no port"),
        ("replay:", "names no file"),
        ("serial:/dev/x?baud=fast", "baud=fast is not a line speed"),
        ("serial:/dev/x?baud=", "baud= is not a line speed"),
        ("serial:/dev/x?baud=-9600", "is not a line speed"),
        ("serial:/dev/x?baud=12345", "12345 baud is not a speed of serial ports; choose one of 1200"),
        ("serial:/dev/x?baud=0", "is not a line speed"),
        ("serial:/dev/x?parity=E", "a serial link has no option parity"),
        ("serial:/dev/x?", "after the question mark comes name=value"),
        ("tcp:host", "needs a host and a port, like tcp:192"),
        ("tcp:host:", "needs a host and a port"),
        ("tcp::23", "needs a host and a port"),
        ("tcp:host:port", "needs a host and a port"),
        ("tcp:fe80::1:23", "needs a host and a port"),
        ("tcp:host:0", "0 is not a port number; they go from 1 to 65535"),
        ("tcp:host:70000", "70000 is not a port number"),
        ("tcp:host:23?baud=9600", "a tcp link has no option baud"),
        ("rfc2217://host", "needs a host and a port"),
        ("rfc2217://host:23?baud=x", "is not a line speed"),
        ("replay:a?realtime=yes", "realtime=yes is neither 0 nor 1"),
        ("replay:a?speed=2", "a replay link has no option speed"),
    ],
)
def test_bad_addresses(address: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="^[^\n]*" + complaint.replace("?", r"\?")):
        open_link(address)
