"""What a Bluetooth device says of itself, and which maker's module it may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

BASE = "-0000-1000-8000-00805f9b34fb"


class Module(Protocol):
    """What is known of a maker's Bluetooth modules; codec/dialect.py says what the fields mean."""

    family: str
    speaks: tuple[str, ...]
    services: tuple[tuple[str, str, str], ...]
    hello: tuple[tuple[str, bytes], ...]
    names: tuple[str, ...]
    makers: tuple[tuple[int, bytes, bytes], ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Advert:
    """One device as one radio heard it.

    address   "C8:47:8C:00:00:01", in capitals
    rssi      dBm, None where the system does not tell it
    services  full UUIDs in small letters
    makers    data of its advertisements by company id
    radio     name of the radio that heard it
    device    what the radio connects by
    at        loop time
    """

    address: str
    name: str = ""
    rssi: int | None = None
    services: tuple[str, ...] = ()
    makers: Mapping[int, bytes] = field(default_factory=dict)
    service_data: Mapping[str, bytes] = field(default_factory=dict)
    radio: str = ""
    device: Any = field(default=None, compare=False, repr=False)
    at: float = 0.0


class Taken(NamedTuple):
    """What a device is taken for, and why, in words; a strong sign is worth connecting for."""

    module: Module
    why: str
    strong: bool


def full(uuid: str) -> str:
    """Return a UUID of four hex digits in full, in small letters."""
    return f"0000{uuid.lower()}{BASE}" if len(uuid) == 4 else uuid.lower()


def recognise(advert: Advert, modules: Sequence[Module]) -> list[Taken]:
    """Return whose module the device may be, the likeliest first. Names and numbers prove nothing: answers do."""
    found = []
    for module in modules:
        signs = _signs(advert, module)
        offered = any(full(service) in advert.services for service, _, _ in module.services)
        if offered:
            signs.append("the service is the maker's")
        if signs:
            found.append((len(signs) - offered, Taken(module, " and ".join(signs), len(signs) > offered)))
    return [taken for _, taken in sorted(found, key=lambda each: -each[0])]


def _signs(advert: Advert, module: Module) -> list[str]:
    signs = []
    pattern = next((each for each in module.names if fnmatchcase(advert.name.strip("\0 "), each)), None)
    if pattern:
        signs.append(f"the name is like {pattern}")
    for company, start, inside in module.makers:
        data = advert.makers.get(company)
        if data is not None and data.startswith(start) and inside in data:
            signs.append(f"the maker's number is 0x{company:04X}")
            break
    if advert.address.startswith(module.prefixes):
        signs.append(f"the address begins with {advert.address[:8]}")
    return signs
