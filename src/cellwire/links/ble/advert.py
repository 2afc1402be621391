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
    in_use    a program on this machine is connected to it
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
    in_use: bool = False


class Taken(NamedTuple):
    """What a device is taken for, and why, in words.

    strong  the signs are the maker's own. Without one there is only a service or a chip that many makers use, which
            is no reason to connect to what may be a neighbour's.
    """

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
        offered = next((short for short, _, _ in module.services if full(short) in advert.services), "")
        signs = _own(advert, module)
        strong = bool(signs)
        # Makers of thermometers buy the same chips, and say what they are: then the address alone tells nothing.
        if advert.address.startswith(module.prefixes) and (offered or not (advert.services or advert.service_data)):
            signs.append(f"the address begins with {advert.address[:8]}")
            strong = strong or bool(offered)
        if offered:
            signs.append(f"it has the service {offered}")
        if signs:
            found.append((strong, len(signs), Taken(module, " and ".join(signs), strong)))
    return [taken for _, _, taken in sorted(found, key=lambda each: each[:2], reverse=True)]


def _own(advert: Advert, module: Module) -> list[str]:
    """Return the signs that only this maker's modules have."""
    signs = []
    pattern = next((each for each in module.names if fnmatchcase(advert.name.strip("\0 "), each)), None)
    if pattern:
        signs.append(f"the name is like {pattern}")
    for company, start, inside in module.makers:
        data = advert.makers.get(company)
        if data is not None and data.startswith(start) and inside in data:
            signs.append(f"the maker's number is 0x{company:04X}")
            break
    return signs
