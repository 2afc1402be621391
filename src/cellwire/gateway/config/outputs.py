"""The sections of the outputs that speak to other programs: MQTT, Modbus and databases."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from ...codec.command import GRANTS
from .rules import LISTEN, Conflict, Key, Rule, Values, Wrong, between, matches, one_of, short

SECONDS = between(0, 86400, "a number of seconds")
DISCOVERY = ("device", "entity", "off")
PARITIES = ("none", "even", "odd")


def _url(schemes: tuple[str, ...], sample: str) -> Rule:
    """Return the rule that a text is an address of one of these kinds, without user and password in it."""
    listed = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: str) -> Wrong | None:
        if not value:
            return None
        fix = f'write {listed} with host and port, such as "{sample}"'
        try:
            parts = urlsplit(value)
            known = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            known = False
        if not known or any(sign.isspace() for sign in value):
            return f"{short(value)} is not an address", fix
        if parts.username or parts.password:
            return "the address has a user in it", "take it out, and write user and password_file"
        return None

    return Rule(f"{listed}", check)


def _networks(value: str) -> Wrong | None:
    import ipaddress

    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"{short(value)} is not an address or a network: {error}", 'write such as "192.168.1.0/24"'
    return None


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _missing_files(values: Values, *names: str) -> Iterator[Conflict]:
    """Yield files that are not there."""
    for name in names:
        path = values.get(name)
        if path is not None and not os.path.isfile(path):
            yield name, f"there is no file {path}", "put the file there, or correct its name"


def _secrets_once(values: Values, *names: str) -> Iterator[Conflict]:
    """Yield a secret that is both in the file and in a file of its own."""
    for name in names:
        if values.get(name) and values.get(f"{name}_file") is not None:
            yield f"{name}_file", f"there is a {name} already", f"take one of {name} and {name}_file out"


NO_WILDCARD = r"[^+#/\s](?:[^+#\s]*[^+#/\s])?"
TOPIC = matches(NO_WILDCARD, "a topic without + and #", 'write such as "cellwire" or "home/battery"')
HIDDEN = Key("password; better in a file of its own, or in the environment", secret=True, example="...")


@dataclass(frozen=True)
class PeriodSettings:
    """Seconds between two publications of what changed, by group of the catalogue; 0 publishes at once."""

    pack: Annotated[float, Key("voltage, current, power, state of charge", SECONDS)] = 5.0
    cells: Annotated[float, Key("cell voltages and what follows from them", SECONDS)] = 30.0
    temperatures: Annotated[float, Key("temperatures", SECONDS)] = 60.0
    switches: Annotated[float, Key("switches, balancing and states", SECONDS)] = 0.0
    alarms: Annotated[float, Key("warnings, protections and faults", SECONDS)] = 0.0
    totals: Annotated[float, Key("cycles and other totals of the BMS", SECONDS)] = 300.0
    meters: Annotated[float, Key("energy and charge, metered by Cellwire", SECONDS)] = 60.0
    counter: Annotated[float, Key("Cellwire's own coulomb counter", SECONDS)] = 60.0
    limits: Annotated[float, Key("limits for charging and discharging", SECONDS)] = 5.0
    bank: Annotated[float, Key("how many packs of a bank count", SECONDS)] = 5.0
    identity: Annotated[float, Key("model, versions, serial numbers", SECONDS)] = 0.0
    settings: Annotated[float, Key("settings of the BMS", SECONDS)] = 0.0
    link: Annotated[float, Key("the BMS's own clock and counters", SECONDS)] = 300.0


@dataclass(frozen=True)
class DeadBandSettings:
    """How far a value must move until it is published again, by quantity of the catalogue."""

    cell_voltage: Annotated[float, Key("V", between(0, 1, "volts"))] = 0.002
    cell_difference: Annotated[float, Key("V", between(0, 1, "volts"))] = 0.002
    pack_voltage: Annotated[float, Key("V", between(0, 100, "volts"))] = 0.03
    current: Annotated[float, Key("A", between(0, 1000, "amperes"))] = 0.1
    small_current: Annotated[float, Key("A", between(0, 30, "amperes"))] = 0.05
    power: Annotated[float, Key("W", between(0, 100000, "watts"))] = 5.0
    percent: Annotated[float, Key("%", between(0, 100, "per cent"))] = 0.1
    percent_difference: Annotated[float, Key("%", between(0, 100, "per cent"))] = 0.2
    capacity: Annotated[float, Key("Ah", between(0, 10000, "ampere-hours"))] = 0.1
    metered_charge: Annotated[float, Key("Ah", between(0, 10000, "ampere-hours"))] = 0.1
    metered_energy: Annotated[float, Key("kWh", between(0, 1000, "kilowatt-hours"))] = 0.001
    temperature: Annotated[float, Key("degC", between(0, 50, "degrees"))] = 0.3
    temperature_difference: Annotated[float, Key("K", between(0, 50, "kelvin"))] = 0.3
    resistance: Annotated[float, Key("ohm", between(0, 10, "ohms"))] = 0.005
    countdown: Annotated[float, Key("s", SECONDS)] = 60.0
    uptime: Annotated[float, Key("s", SECONDS)] = 300.0
    clock: Annotated[float, Key("s", SECONDS)] = 300.0
    tick: Annotated[float, Key("counts", between(0, 4294967295))] = 60.0


@dataclass(frozen=True)
class HomeAssistantSettings:
    """What Home Assistant is told so that it shows every pack by itself."""

    discovery: Annotated[
        str,
        Key(
            "device: one message a pack, for Home Assistant 2024.12 or newer; entity: one a reading, for older ones",
            one_of(DISCOVERY),
        ),
    ] = "device"
    prefix: Annotated[str, Key("topic that Home Assistant looks at", TOPIC)] = "homeassistant"
    raw: Annotated[bool, Key("enable diagnostic and raw entities from the start")] = False


@dataclass(frozen=True)
class MqttSettings:
    """Publishing to an MQTT broker; off without a url."""

    url: Annotated[
        str,
        Key("the broker", _url(("mqtt", "mqtts"), "mqtt://192.168.1.10:1883"), example="mqtt://192.168.1.10:1883"),
    ] = ""
    protocol: Annotated[str, Key("version of MQTT; auto tries 5 first", one_of(("auto", "5", "3.1.1")))] = "auto"
    base: Annotated[str, Key("first part of all topics", TOPIC)] = "cellwire"
    client_id: Annotated[
        str,
        Key(
            "how this gateway calls itself at the broker; from the base topic when left out",
            matches(r"[\w.-]{0,64}", "letters, digits and - _ .", 'write such as "cellwire-shed", or leave it out'),
        ),
    ] = ""
    user: Annotated[str, Key("user at the broker", example="cellwire")] = ""
    password: Annotated[str, HIDDEN] = field(default="", repr=False)
    password_file: Annotated[
        Path | None, Key("file with the password; CELLWIRE_MQTT_PASSWORD may hold it too", example="mqtt.password")
    ] = None
    ca: Annotated[
        Path | None,
        Key("file with the certificate that the broker's is signed by, PEM; else the system's", example="ca.pem"),
    ] = None
    certificate: Annotated[Path | None, Key("file with this client's certificate, PEM", example="client.pem")] = None
    key: Annotated[Path | None, Key("file with the key of this client's certificate, PEM", example="client.key")] = None
    grant: Annotated[
        str, Key("the most that may be changed over MQTT, where the pack allows it too", one_of(GRANTS))
    ] = "read"
    single: Annotated[bool, Key("publish each value on a topic of its own, too")] = False
    refresh: Annotated[
        float, Key("seconds after which a state is published again although nothing changed", between(1, 3600))
    ] = 60.0
    periods: Annotated[PeriodSettings, Key("seconds between two publications of what changed, by group")] = (
        PeriodSettings()
    )
    dead_band: Annotated[DeadBandSettings, Key("how far a value must move until it is published again")] = (
        DeadBandSettings()
    )
    home_assistant: Annotated[HomeAssistantSettings, Key("discovery by Home Assistant")] = HomeAssistantSettings()

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield files that are not there, and keys that need another one."""
        yield from _missing_files(values, "password_file", "ca", "certificate", "key")
        yield from _secrets_once(values, "password")
        secured = (values.get("url") or "mqtts").startswith("mqtts")
        for name in ("ca", "certificate", "key"):
            if values.get(name) is not None and not secured:
                yield name, "mqtt:// is not encrypted, so this is not used", "write mqtts:// in url"
        if values.get("key") is not None and "certificate" not in values:
            yield "key", "there is no certificate to it", 'write certificate = "FILE.pem" as well'


@dataclass(frozen=True)
class ModbusSettings:
    """Modbus server, TCP and RTU; off without listen and serial."""

    listen: Annotated[
        str,
        Key(
            "host:port to serve Modbus TCP on; off when left out",
            Rule(LISTEN.words, lambda value: LISTEN.check(value) if value else None),
            example="0.0.0.0:502",
        ),
    ] = ""
    allow: Annotated[
        tuple[str, ...],
        Key(
            "networks whose clients may connect; everybody when left out",
            Rule("addresses and networks", _networks),
            example=("192.168.1.0/24",),
        ),
    ] = ()
    serial: Annotated[str, Key("serial port to serve Modbus RTU on; off when left out", example="/dev/ttyUSB1")] = ""
    baud: Annotated[int, Key("speed of the serial port", between(300, 1000000, "a speed"))] = 9600
    parity: Annotated[str, Key("parity of the serial port", one_of(PARITIES))] = "none"
    units: Annotated[
        tuple[str, ...],
        Key(
            "packs and banks by unit, the first is 1; when left out packs from 1 and banks from 101 as in this file",
            example=("shed", "house"),
        ),
    ] = ()
    invert_current: Annotated[bool, Key("SunSpec: positive current discharges")] = False
    grant: Annotated[
        str, Key("the most that may be changed over Modbus, where the pack allows it too", one_of(GRANTS))
    ] = "read"

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield a grant that everybody in the network would have."""
        host = (values.get("listen") or "").rpartition(":")[0].strip("[]")
        if values.get("grant", "read") != "read" and not values.get("allow") and host and not _is_loopback(host):
            yield (
                "grant",
                "Modbus has no passwords, so anybody in the network could change settings",
                'write the networks whose clients may connect, such as allow = ["192.168.1.7"]',
            )


@dataclass(frozen=True)
class InfluxSettings:
    """One database that gets the history: InfluxDB, VictoriaMetrics, QuestDB, Telegraf, by line protocol over HTTP."""

    name: Annotated[
        str,
        Key(
            "what it is called here; how far it got is kept by this name",
            matches(r"[\w .-]{1,64}", "letters, digits, spaces and - _ .", 'write such as "house"'),
            example="house",
        ),
    ]
    url: Annotated[
        str,
        Key(
            "where it listens, without /write",
            Rule(
                "http:// or https://",
                lambda value: _url(("http", "https"), "http://127.0.0.1:8086").check(value or "-"),
            ),
            example="http://127.0.0.1:8086",
        ),
    ]
    api: Annotated[str, Key("1: /write of InfluxDB 1; 2: /api/v2/write", one_of(("1", "2")))] = "1"
    database: Annotated[str, Key("database (api 1) or bucket (api 2)")] = "cellwire"
    org: Annotated[str, Key("organisation (api 2)", example="home")] = ""
    user: Annotated[str, Key("user (api 1)", example="cellwire")] = ""
    password: Annotated[str, HIDDEN] = field(default="", repr=False)
    password_file: Annotated[Path | None, Key("file with the password (api 1)", example="influx.password")] = None
    token: Annotated[str, Key("token (api 2); better in a file of its own", secret=True, example="...")] = field(
        default="", repr=False
    )
    token_file: Annotated[Path | None, Key("file with the token (api 2)", example="influx.token")] = None
    ca: Annotated[
        Path | None, Key("file with the certificate that the server's is signed by, PEM", example="ca.pem")
    ] = None
    batch: Annotated[int, Key("rows in one request at most", between(1, 10000, "a number of rows"))] = 1000
    gzip: Annotated[bool, Key("compress what is sent, to an eighth; QuestDB before 9.1 does not understand it")] = True
    flags: Annotated[
        str,
        Key(
            "boolean: flags are true and false; number: 1 and 0, for QuestDB, where a missing boolean reads as false",
            one_of(("boolean", "number")),
        ),
    ] = "boolean"
    trail: Annotated[
        float,
        Key(
            "seconds of acknowledged rows that are sent again after an interruption, for engines that lose them",
            SECONDS,
        ),
    ] = 60.0
    since: Annotated[
        str,
        Key("what a new database gets: all that is kept, or what comes from now on", one_of(("beginning", "now"))),
    ] = "beginning"

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield files that are not there, and keys that need another one."""
        yield from _missing_files(values, "password_file", "token_file", "ca")
        yield from _secrets_once(values, "password", "token")
        if re.fullmatch(r".*/(write|api/v2/write)/?", values.get("url") or ""):
            yield "url", "the address ends with /write", "leave /write out, it is added"


__all__ = ["InfluxSettings", "ModbusSettings", "MqttSettings"]
