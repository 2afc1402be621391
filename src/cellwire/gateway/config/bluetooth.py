"""The sections of Bluetooth: how the adapters of this machine are used, and the proxies that are used beside them."""

import base64
import binascii
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from .rules import Conflict, Key, Rule, Values, Wrong, between, matches, short

KEY_BYTES = 32


def _host(value: str) -> Wrong | None:
    if re.fullmatch(r"[0-9A-Za-z._-]+|(?=.*:.*:)[0-9a-fA-F:.]+(%[0-9A-Za-z._-]+)?", value):
        return None
    return (
        f"{short(value)} is not a host",
        'write a name or an address alone, such as "kitchen.local"; the port is a key',
    )


def _encryption_key(value: str) -> Wrong | None:
    # A wrong key is nearly a right one: it is not repeated in the message.
    try:
        right = len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        right = False
    if right:
        return None
    return "this is no encryption key of ESPHome", "copy the 44 characters behind `key:` below `api:` and `encryption:`"


@dataclass(frozen=True)
class BluetoothSettings:
    """How the Bluetooth adapters of this machine are used."""

    adapters: Annotated[
        tuple[str, ...],
        Key(
            "adapters to use; all that are there when left out",
            matches("hci[0-9]{1,3}", "an adapter", 'write such as "hci0"; `bluetoothctl list` shows them'),
            example=("hci0",),
        ),
    ] = ()
    slots: Annotated[
        int, Key("connections at a time on each adapter; more packs take turns", between(1, 20, "a number"))
    ] = 5
    turn: Annotated[
        float,
        Key(
            "seconds for which a pack keeps its connection while others wait for one",
            between(5, 600, "a number of seconds"),
        ),
    ] = 20.0
    restart: Annotated[
        bool, Key("switch an adapter on that is off, and off and on where nothing else brings a pack back")
    ] = True


@dataclass(frozen=True)
class ProxySettings:
    """One ESPHome device with a Bluetooth proxy in it."""

    name: Annotated[
        str,
        Key(
            "what it is called here, and in `?radio=` of a link",
            matches("[A-Za-z0-9_.-]{1,64}", "a name of letters, digits and - _ .", 'write such as "kitchen"'),
            example="kitchen",
        ),
    ]
    host: Annotated[
        str, Key("its name or address in the network", Rule("name or address", _host), example="kitchen.local")
    ]
    port: Annotated[int, Key("port of its API", between(1, 65535, "a port"))] = 6053
    encryption_key: Annotated[
        str,
        Key(
            "the key of its API, where it has one; better in a file of its own, or in the environment",
            Rule("44 characters", _encryption_key),
            example="...",
            secret=True,
        ),
    ] = field(default="", repr=False)
    encryption_key_file: Annotated[
        Path | None,
        Key("file with the key; CELLWIRE_PROXY_KEY may hold it too, for all proxies", example="kitchen.key"),
    ] = None

    @staticmethod
    def conflicts(values: Values) -> Iterator[Conflict]:
        """Yield a name that an adapter has, a key that is given twice, and a file that is not there."""
        name, path = values.get("name"), values.get("encryption_key_file")
        if name and re.fullmatch("hci[0-9]+", name):
            yield "name", f"{name} is the name of an adapter", 'write another, such as "kitchen"'
        if values.get("encryption_key") and path is not None:
            fix = "take one of encryption_key and encryption_key_file out"
            yield "encryption_key_file", "there is an encryption_key already", fix
        if path is not None and not os.path.isfile(path):
            yield "encryption_key_file", f"there is no file {path}", "put the file there, or correct its name"


__all__ = ["BluetoothSettings", "ProxySettings"]
