"""Counts wrong passwords, and says who has to wait."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

WINDOW = 900.0  # seconds in which wrong passwords are counted, and for which a lock lasts
BY_PEER, BY_NAME = 10, 20
REMEMBERED = 4096  # peers and names; the oldest are forgotten first, so that strangers cannot fill the memory


class Lockout:
    """Locks a peer after 10 wrong passwords, a name after 20, each within 15 minutes; `monotonic` gives seconds.

    A try counts as wrong when it begins and is taken back when it was right: many at once gain nothing.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tries: OrderedDict[str, list[float]] = OrderedDict()
        self._locked: OrderedDict[str, float] = OrderedDict()

    def wait(self, *keys: str) -> float:
        """Return for how many seconds the keys are locked, 0 when they are not."""
        now = self._monotonic()
        return max(0.0, *(self._locked.get(key, now) - now for key in keys))

    def begin(self, *keys: str) -> bool:
        """Count a try; return whether it locks one of its keys from now on. The try itself may go on."""
        now = self._monotonic()
        locks = False
        for key in keys:
            tries = [moment for moment in self._tries.pop(key, []) if now - moment < WINDOW] + [now]
            if len(tries) >= (BY_NAME if key.startswith("name ") else BY_PEER):
                self._locked[key] = now + WINDOW
                self._locked.move_to_end(key)
                locks = True
                tries = tries[-BY_NAME:]
            self._tries[key] = tries
        for kept in (self._tries, self._locked):
            while len(kept) > REMEMBERED:
                kept.popitem(last=False)
        return locks

    def take_back(self, *keys: str) -> None:
        """Forget the newest try of each key: the password was right."""
        for key in keys:
            if self._tries.get(key):
                self._tries[key].pop()
            self._locked.pop(key, None)


def peer_key(address: str) -> str:
    """Return what is counted for a peer: its address, with IPv6 its network, for those come by the million."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"peer {address[:64]}"
    if found.version == 6:
        if found.ipv4_mapped:
            return f"peer {found.ipv4_mapped}"
        return f"peer {ipaddress.ip_network((found, 64), strict=False)}"
    return f"peer {found}"
