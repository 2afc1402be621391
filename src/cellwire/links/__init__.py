"""Bytes in and out, without knowing any protocol: serial ports, Bluetooth, TCP, RFC 2217 and captures."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import parse_qsl

from .link import Link

if TYPE_CHECKING:
    from .ble import Radios

ADDRESSES = (
    "/dev/ttyUSB0, serial:/dev/serial/by-id/...?baud=9600, COM3, "
    "ble:C8:47:8C:00:00:01, aiobmsble:C8:47:8C:00:00:02, tcp:host:port, rfc2217://host:port or replay:file.jsonl"
)


def open_link(address: str, radios: "Radios | None" = None, pairing: str = "never", pin: str = "") -> Link:
    """Return the link of an address, not opened yet; raise ValueError that says how addresses are written.

    radios: what Bluetooth links connect through; pairing and pin: how, where the device wants it
    """
    kind, rest, options = _parts(address)
    link: Link
    if kind == "serial":
        link = _serial(address, rest, _baud(address, options))
    elif kind == "ble":
        from .ble import BleLink

        device = _device(address, rest)
        link = BleLink(
            address, device, radios, options.pop("radio", ""), options.pop("service", ""), pairing=pairing, pin=pin
        )
    elif kind == "aiobmsble":
        from .ble.guest import GuestLink

        device = _device(address, rest)
        link = GuestLink(
            address, device, radios, options.pop("radio", ""), options.pop("type", ""), pairing=pairing, pin=pin
        )
    elif kind == "tcp":
        from .tcp import TcpLink

        link = TcpLink(address, *_host_and_port(address, rest))
    elif kind == "rfc2217":
        from .rfc2217 import Rfc2217Link

        link = Rfc2217Link(address, *_host_and_port(address, rest), _baud(address, options))
    else:
        from .replay import ReplayLink

        link = ReplayLink(address, _path(address, rest), _yes(address, options.pop("realtime", "0")))
    if options:
        raise ValueError(f"{address!r}: a {kind} link has no option {', '.join(sorted(options))}")
    return link


def recording(
    link: Link,
    target: str | Path | TextIO,
    dialect: str | None = None,
    address: int | None = None,
    source: str | None = None,
) -> Link:
    """Return a link that writes a capture of all that goes through it; a file that is there is overwritten."""
    from .replay import Recording

    told = {"dialect": dialect, "address": address, "source": source}
    header = {"cellwire": "capture", "version": 1, "link": link.name}
    return Recording(link, target, header | {name: value for name, value in told.items() if value is not None})


def _parts(address: str) -> tuple[str, str, dict[str, str]]:
    """Return (kind, what follows, options)."""
    if address.startswith("/") or re.fullmatch(r"(?i)(\\\\\.\\)?com\d+", address):
        return "serial", address, {}
    kind, colon, rest = address.partition(":")
    if not colon or kind not in ("serial", "ble", "aiobmsble", "tcp", "rfc2217", "replay"):
        raise ValueError(f"{address!r} is not the address of a link; write {ADDRESSES}")
    rest, mark, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if mark and not options:
        raise ValueError(f"{address!r}: after the question mark comes name=value, like ?baud=9600")
    return kind, rest, options


def _device(address: str, rest: str) -> str:
    from .ble.link import spelled

    device = spelled(rest)
    if device is None:
        raise ValueError(f"{address!r}: {rest!r} is no Bluetooth address; write six pairs, like ble:C8:47:8C:00:00:01")
    return device


def _path(address: str, rest: str) -> str:
    if not rest:
        raise ValueError(
            f"{address!r} names no {'file' if address.startswith('replay') else 'port'}; write {ADDRESSES}"
        )
    return rest


def _serial(address: str, path: str, baud: int) -> Link:
    path = _path(address, path)
    try:
        from .serial import SerialLink
    except ImportError:
        raise ValueError(f"{address!r}: no serial ports on this system yet; share it as rfc2217://host:port") from None
    return SerialLink(path, baud, address)


def _baud(address: str, options: dict[str, str]) -> int:
    text = options.pop("baud", "9600")
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise ValueError(f"{address!r}: baud={text} is not a line speed; write a number like 9600 or 115200")
    return int(text)


def _yes(address: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"{address!r}: realtime={text} is neither 0 nor 1")
    return text == "1"


def _host_and_port(address: str, rest: str) -> tuple[str, int]:
    """Return host and port of host:port, where an IPv6 host stands in square brackets."""
    found = re.fullmatch(r"(?://)?(?:\[([0-9a-fA-F:.%\w]+)\]|([^:/\[\]\s]+)):(\d{1,5})/?", rest)
    if not found:
        raise ValueError(f"{address!r} needs a host and a port, like tcp:192.168.1.20:8899 or tcp:[fe80::1]:8899")
    host, port = found[1] or found[2], int(found[3])
    if not 0 < port < 65536:
        raise ValueError(f"{address!r}: {port} is not a port number; they go from 1 to 65535")
    return host, port


__all__ = ["Link", "open_link", "recording"]
