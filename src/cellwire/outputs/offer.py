"""What may be changed on a pack over an output that no person sits at, and what the pack shows of it."""

import asyncio
import logging
from typing import NoReturn

from ..gateway.control import ACTION, OPERATE, READ, UNPROVEN, Command, Control, Denied, Who, too_little
from ..gateway.store import Battery, Readings, Store

log = logging.getLogger("cellwire")

LOOK = 1.0  # seconds between looks whether settings are to be read
QUIET = 5.0  # seconds without another change after which they are read again: other changes need not wait for that
AGAIN = 300.0  # seconds after which settings that could not be read, or of a pack that was away, are read again


def offered(control: Control | None, pack: str, grant: str) -> tuple[Command, ...]:
    """Return the commands that may be done with this grant and need nobody who confirms them, and are no secrets."""
    if control is None or control.allowed(pack, grant) == READ:
        return ()
    return tuple(
        command
        for command in granted(control, pack, grant, control.commands(pack))
        if command.proof != UNPROVEN and not command.danger and not command.secret
    )


def granted(control: Control, pack: str, grant: str, commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Return those of the commands for which the grants of user and pack are enough."""
    allowed = control.allowed(pack, grant)
    return tuple(command for command in commands if not too_little(command, allowed))


def known(store: Store, control: Control | None, battery: Battery) -> Readings:
    """Return what a pack shows now of each command that sets something, by key; nothing of what is old."""
    if control is None or battery.kind != "pack" or not battery.live:
        return {}
    old = store.packs[battery.name].readings.keys() - battery.readings.keys()
    there = {
        command.name
        for command in control.commands(battery.name)
        if command.kind != ACTION and command.reading not in old
    }
    return {key: value for key, value in control.values(battery.name).items() if key.partition("/")[0] in there}


class SettingsReader:
    """Reads the settings of all packs on which they may be changed, so that what is shown of them is true.

    They are read once a pack is settled, after changes, and when the pack was away: somebody else may have changed them
    meanwhile. Some packs have to enter a mode for it, so never more often than that.
    """

    def __init__(self, store: Store, control: Control, who: Who) -> None:
        self._store = store
        self._control = control
        self._who = who
        self._read: dict[str, float] = {}  # when, by id
        self._doubtful: set[str] = set()  # ids whose settings may be others by now
        self._changed: dict[str, float] = {}  # when something was last changed, by id

    def again(self, identity: str) -> None:
        """Note that settings of a pack were changed; what depends on them is to be read again."""
        self._changed[identity] = self._store.monotonic()

    async def run(self) -> NoReturn:
        """Read what is to be read, until cancelled."""
        while True:
            for battery in self._store.batteries():
                if battery.kind == "pack" and battery.settled and self._is_due(battery):
                    await self._read_now(battery)
            await asyncio.sleep(LOOK)

    def _is_due(self, battery: Battery) -> bool:
        if self._control.allowed(battery.name, self._who.grant) in (READ, OPERATE):
            return False
        if not battery.live:
            self._doubtful.add(battery.id)
            return False
        now, changed, read = self._store.monotonic(), self._changed.get(battery.id), self._read.get(battery.id)
        if changed is not None:
            return now - changed > QUIET
        if read is None:
            return battery.id in self._doubtful or self._is_unknown(battery)
        return battery.id in self._doubtful and now - read > AGAIN

    def _is_unknown(self, battery: Battery) -> bool:
        """Return whether something that may be changed is not known."""
        there = known(self._store, self._control, battery)
        wanted = offered(self._control, battery.name, self._who.grant)
        return any(command.reading and not command.count and command.name not in there for command in wanted)

    async def _read_now(self, battery: Battery) -> None:
        self._doubtful.discard(battery.id)
        self._changed.pop(battery.id, None)
        self._read[battery.id] = self._store.monotonic()
        try:
            problems = await self._control.read(battery.name, self._who)
        except Denied as error:
            self._doubtful.add(battery.id)
            problems = [str(error)]
        if problems:
            log.info(
                "%s: the settings of %s could not be read: %s", self._who.source, battery.name, "; ".join(problems)
            )
