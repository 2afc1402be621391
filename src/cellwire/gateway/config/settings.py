"""Every key of the configuration: its name, type, default, rule and meaning; checking and documentation come from here.

A section is a frozen class, a key is a field of it. A new section is its class, and one line in `Config`. What its
keys must be together says its `conflicts`: it gets the values that were given, None for those that are wrong already.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ...families import FAMILIES, GUESTS, dialects, guests, spoken
from ...links import ADDRESSES, open_link
from ..chemistry import CHEMISTRIES
from .bluetooth import BluetoothSettings, ProxySettings
from .outputs import InfluxSettings, ModbusSettings, MqttSettings
from .rules import LISTEN, Conflict, Key, Rule, Values, Wrong, between, matches, one_of, short, spans

GRANTS = ("read", "operate", "configure", "service")
LONGEST_NAME = 64


def _name(value: str) -> Wrong | None:
    fix = f'write 1 to {LONGEST_NAME} letters, digits, spaces and - _ . such as "garden shed"'
    if not value.strip():
        return "the name is empty", fix
    if len(value) > LONGEST_NAME:
        return f"the name has {len(value)} characters", fix
    strange = sorted({sign for sign in value if not sign.isalnum() and sign not in " -_."})
    if strange:
        return f"{value!r} has {' '.join(map(repr, strange))} in it, which addresses of pages cannot hold", fix
    if value != value.strip() or not any(sign.isalnum() for sign in value):
        return f"{value!r} begins or ends with a space, or has neither letter nor digit", fix
    return None


def _link(value: str) -> Wrong | None:
    try:
        open_link(value)
    except ValueError as error:
        problem, _, fix = str(error).partition("; ")
        return problem, fix or f"write {ADDRESSES}"
    return None


def _family(value: str) -> Wrong | None:
    if not value or dialects(value):
        return None
    known = ", ".join([*FAMILIES, *(dialect.name for dialect in (*dialects(), *guests()))])
    return f"there is no family {short(value)}", f"write one of {known}, or leave it out: it is found out then"


NAME = Rule(f"1 to {LONGEST_NAME} letters, digits, spaces and `- _ .`", _name)
COPY = "copy the id from the page, or leave it out"
AMPERES = between(0.1, 10000, "a number of amperes")
DAYS = between(1, 36500, "a number of days")


@dataclass(frozen=True)
class LimitSettings:
    """How charge and discharge limits are worked out; without a chemistry none are shown."""

    chemistry: Annotated[str, Key("what the cells are made of", one_of(("", *CHEMISTRIES)), example="lfp")] = ""
    charge_current: Annotated[
        float | None, Key("largest charge current, A; without it none is shown", AMPERES, example=100.0)
    ] = None
    discharge_current: Annotated[
        float | None, Key("largest discharge current, A; without it none is shown", AMPERES, example=150.0)
    ] = None
    charge_voltage: Annotated[
        float | None,
        Key("V per cell to charge to; without it that of the chemistry", between(1.5, 4.4, "volts"), example=3.45),
    ] = None

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield what the limits need and do not have, or have beyond what the chemistry bears."""
        chemistry = values.get("chemistry", "")
        others = [name for name in values if name != "chemistry"]
        if others and chemistry == "":
            fix = f"write chemistry = one of {', '.join(CHEMISTRIES)} below it, or leave the limits out"
            yield others[0], "without a chemistry no limits are worked out", fix
        voltage, cells = values.get("charge_voltage"), CHEMISTRIES.get(chemistry)
        if voltage is not None and cells and not cells.low <= voltage <= cells.highest:
            problem = f"{chemistry} cells are not charged to {voltage} V"
            yield "charge_voltage", problem, f"write {cells.low} to {cells.highest}, or leave it out"


@dataclass(frozen=True)
class PackSettings:
    """One pack: where it is, and how it is read."""

    name: Annotated[str, Key("what people call the pack; it stands in addresses of pages", NAME, example="shed")]
    link: Annotated[
        str, Key("where it is connected", Rule("[address of a link](commands.md)", _link), example="/dev/ttyUSB0")
    ]
    family: Annotated[
        str,
        Key(
            "family or dialect; found out when left out",
            Rule("[family or dialect](families.md)", _family),
            example="jbd",
        ),
    ] = ""
    address: Annotated[
        int | None, Key("board number on a line with several packs", between(0, 255, "a board number"), example=1)
    ] = None
    every: Annotated[float, Key("seconds between two reads", between(0.2, 3600, "a number of seconds"))] = 2.0
    grant: Annotated[str, Key("the most that anybody may change on it", one_of(GRANTS))] = "read"
    invert_current: Annotated[bool, Key("turn the sign of the current round")] = False
    password: Annotated[
        str,
        Key("the BMS's own password, where it wants one before it takes settings", secret=True, example="123456"),
    ] = field(default="", repr=False)
    pairing: Annotated[
        str, Key("by Bluetooth: how to pair with it when it asks for that", one_of(("never", "just-works", "passkey")))
    ] = "never"
    pin: Annotated[
        str,
        Key("by Bluetooth: the number that the app asks for, for pairing or log-in", secret=True, example="123456"),
    ] = field(default="", repr=False)
    id: Annotated[
        str,
        Key(
            "the identity that the pack must have, as the page shows it",
            matches(r"[A-Za-z0-9._-]{0,64}", "letters, digits and - _ .", COPY),
        ),
    ] = ""
    capacity: Annotated[
        float | None,
        Key("Ah when full, where the BMS does not say", between(0.1, 100000, "ampere-hours"), example=280.0),
    ] = None
    limits: Annotated[LimitSettings, Key("charge and discharge limits")] = LimitSettings()

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield a family that is not asked for on such a link, and an address that the family does not have."""
        address, family = values.get("address"), values.get("family", "")
        if family is None:
            return
        link = values.get("link") or ""
        if not spoken(link, family):
            guest = family if family in GUESTS else link.partition(":")[0]
            fix = f'write link = "{guest}:C8:47:8C:00:00:01" with it, or another family'
            yield "family", f"packs of {guest} are read at links of their own", fix
        if address is None:
            return
        known = sorted({number for dialect in dialects(family) for number in dialect.addresses})
        if address not in known:
            pack = f"a {family} pack" if family else "any pack"
            yield "address", f"{address} is no address of {pack}", f"write one of {spans(known)}, or leave it out"


@dataclass(frozen=True)
class BankSettings:
    """Several packs in parallel, shown as one battery."""

    name: Annotated[str, Key("what people call the bank; no pack may have the same name", NAME, example="house")]
    packs: Annotated[
        tuple[str, ...], Key("names of its packs; a pack is in one bank at most", None, example=("shed", "garage"))
    ]
    join_difference: Annotated[
        float,
        Key(
            "V between packs above which joining them is warned of, for 16 cells in series", between(0.01, 10, "volts")
        ),
    ] = 0.5
    id: Annotated[
        str,
        Key(
            "the identity in history and outputs; from the name when left out",
            matches(r"[\w .-]{0,70}", "letters, digits, spaces and - _ .", COPY),
        ),
    ] = ""


@dataclass(frozen=True)
class WebSettings:
    """The page and its HTTP interface."""

    listen: Annotated[str, Key("host:port to serve on", LISTEN)] = "0.0.0.0:6789"
    hosts: Annotated[
        tuple[str, ...],
        Key(
            "further names by which the page is called, for the check against foreign hosts",
            matches(
                r"[^\s/:@]+|\[[0-9a-fA-F:.]+\]", "a host name", 'write the name alone, such as "cellwire.example.org"'
            ),
        ),
    ] = ()
    prefix: Annotated[
        str,
        Key(
            "path below which a reverse proxy shows the page",
            matches(
                r"(/[A-Za-z0-9._~-]+)*",
                "a path such as /cellwire",
                'begin with a slash and end without, like "/cellwire"',
            ),
        ),
    ] = ""
    guests: Annotated[bool, Key("let everybody read without a password")] = False
    access: Annotated[Path, Key("file of users, passwords (hashed) and tokens")] = Path("access.json")
    certificate: Annotated[
        Path | None, Key("file with the certificate (chain), PEM, for https", example="certificate.pem")
    ] = None
    key: Annotated[Path | None, Key("file with the certificate's private key, PEM", example="key.pem")] = None
    proxy: Annotated[bool, Key("behind a reverse proxy: believe its X-Forwarded-* headers")] = False

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield a certificate without its key, a key without its certificate, and files that are not there."""
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if one in values and other not in values:
                yield one, f"there is no {other} to it", f'write {other} = "FILE.pem" as well, or leave {one} out'
            path = values.get(one)
            if path is not None and not os.path.isfile(path):
                yield one, f"there is no file {path}", "put the file there, or correct its name"


@dataclass(frozen=True)
class HistorySettings:
    """What is kept, how often and how long."""

    path: Annotated[Path, Key("the file")] = Path("cellwire.db")
    every: Annotated[float, Key("seconds between two rows of a pack", between(0.2, 3600, "a number of seconds"))] = 5.0
    commit: Annotated[
        float,
        Key(
            "seconds between two writes to the disk, the most that a power cut loses; 60 or 300 for an SD card",
            between(1, 3600, "a number of seconds"),
        ),
    ] = 10.0
    keep_raw: Annotated[float, Key("days that every row is kept", DAYS)] = 730.0
    keep_minutes: Annotated[float, Key("days that minutes are kept; hours and days stay", DAYS)] = 1826.0
    size: Annotated[
        float, Key("MB that the file may have; the oldest hours go first", between(10, 1000000, "megabytes"))
    ] = 4000.0
    enabled: Annotated[bool, Key("keep a history")] = True


@dataclass(frozen=True)
class ControlSettings:
    """What is written down of everything that is written to a pack; who may write is each pack's `grant`."""

    journal: Annotated[Path, Key("the file of all writes, with who and why")] = Path("journal.jsonl")


@dataclass(frozen=True)
class Config:
    """The whole configuration: each field but the last is a section of the file."""

    packs: Annotated[tuple[PackSettings, ...], Key("one for each pack", None, "pack")] = ()
    banks: Annotated[tuple[BankSettings, ...], Key("one for each bank", None, "bank")] = ()
    web: Annotated[WebSettings, Key("the page")] = WebSettings()
    history: Annotated[HistorySettings, Key("the history")] = HistorySettings()
    control: Annotated[ControlSettings, Key("writing to packs")] = ControlSettings()
    mqtt: Annotated[MqttSettings, Key("publishing to an MQTT broker, for Home Assistant and others")] = MqttSettings()
    modbus: Annotated[ModbusSettings, Key("Modbus server with SunSpec")] = ModbusSettings()
    influx: Annotated[
        tuple[InfluxSettings, ...], Key("one for each database that gets the history as line protocol")
    ] = ()
    bluetooth: Annotated[BluetoothSettings, Key("Bluetooth adapters of this machine")] = BluetoothSettings()
    proxies: Annotated[
        tuple[ProxySettings, ...], Key("one for each ESPHome device that lends its Bluetooth", None, "proxy")
    ] = ()
    path: Path = Path("cellwire.toml")
