"""What can be written to a pack, within which limits, and how a dialect puts it on the wire. Nothing here sends.

The only way from here to a pack is gateway/control.py.
"""

from .errors import OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .dialect import Frame

    Readings = dict[str, Any]

# Who may do it, from the least to the most.
READ, OPERATE, CONFIGURE, SERVICE = "read", "operate", "configure", "service"
GRANTS = (READ, OPERATE, CONFIGURE, SERVICE)

# captured: the write is in a capture of a real pack; agreed: independent sources say the same; unproven: one source.
CAPTURED, AGREED, UNPROVEN = "captured", "agreed", "unproven"

SWITCH = "switch"  # True or False
NUMBER = "number"
CHOICE = "choice"  # one of the words
TEXT = "text"  # ASCII, `low` to `high` characters
ACTION = "action"  # True: do it; there is nothing to set


class Command:
    """One thing that can be written.

    name     as people call it; that of the reading, where a reading shows it
    kind     SWITCH, NUMBER, CHOICE, TEXT or ACTION
    grant    OPERATE, CONFIGURE or SERVICE: what a user and the pack must allow
    proof    CAPTURED, AGREED or UNPROVEN
    reading  what has to show the new value afterwards, "" when nothing does; left out: the name
    query    name of the query that asks for that reading
    low, high, step   of a number, in the unit of the reading; of a text: its length
    near     how far the reading may lie from what was written, where it is measured; left out: half a step
    words    of a choice
    count    of cells or sensors, for a command that each of them has: "calibrate_cell/3"; 0 for all others
    like     the reading whose unit it has; left out: `reading`, else the name
    meaning  one line, where the name is no reading
    warning  a plain sentence that everybody is told before, "" where the field knows of no danger
    danger   a sentence that has to be confirmed by typing: it can harm the pack, or needs a hand on site to undo
    mode     True: only inside the dialect's mode (JBD: factory mode)
    saves    True: the mode has to be left with saving
    hold     True: the value is the seconds for which the mode is kept, then the effect ends
    secret   True: its value is shown to nobody and kept nowhere
    field    what the family's `encode` needs to know: a register, an offset
    """

    def __init__(
        self,
        name: str,
        kind: str,
        grant: str,
        proof: str,
        query: str = "",
        reading: "str | None" = None,
        low: float = 0,
        high: float = 1,
        step: float = 1,
        words: "tuple[str, ...]" = (),
        count: int = 0,
        like: str = "",
        meaning: str = "",
        warning: str = "",
        danger: str = "",
        mode: bool = False,
        saves: bool = False,
        hold: bool = False,
        secret: bool = False,
        field: "Any" = None,
        near: float = 0,
    ) -> None:
        self.name = name
        self.kind = kind
        self.grant = grant
        self.proof = proof
        self.query = query
        self.reading = name if reading is None else reading
        self.low = low
        self.high = high
        self.step = step
        self.near = near or step / 2
        self.words = words
        self.count = count
        self.like = like or self.reading or name
        self.meaning = meaning
        self.warning = warning
        self.danger = danger
        self.mode = mode
        self.saves = saves
        self.hold = hold
        self.secret = secret
        self.field = field


class Mode:
    """A state of the pack in which it takes writes: commands that are never offered to anybody.

    enter, leave   leaving undoes nothing that was written, but does not keep it either
    save           leaves and keeps it
    wanted         codes of a refusal that say that the mode is needed
    password       tells the password without which a pack may refuse to enter, None where there is no such thing
    """

    def __init__(
        self,
        enter: Command,
        leave: Command,
        save: Command,
        wanted: "tuple[int, ...]",
        password: "Command | None" = None,
    ) -> None:
        self.enter = enter
        self.leave = leave
        self.save = save
        self.wanted = wanted
        self.password = password


class Commands:
    """How a dialect is written to.

    of        of(known) -> the commands of this pack; () while it is not known enough of it
    encode    encode(command, number, value, address, known) -> frames to send one after the other; the pack answers
              the last one. number: of the cell or sensor, else 0. known: readings of the pack, just read.
              Raises OutOfRange.
    answered  answered(command, address, frames) -> True when the pack said yes, None while it said nothing; raises
              Refused with the pack's reason in words. frames: all that came since the last frame was sent
    guard     guard(command, number, value, known): raises OutOfRange when the value makes no sense beside what is
              set and measured
    needs     needs(command) -> names of readings, besides its own, that `encode` and `guard` want to be of now
    found     found(command, number, known) -> what the pack shows of what the command sets, None when it is not known
    mode      the Mode that some commands want, or None
    timeout   seconds of silence after which no yes is coming
    pause     seconds between the frames of one command, and between the yes and reading back
    settle    seconds that the pack may need until it shows the new value
    mirrors   True when the pack's yes is the request itself, byte for byte
    """

    def __init__(
        self,
        of: "Callable[[Readings], tuple[Command, ...]]",
        encode: "Callable[[Command, int, Any, int, Readings], tuple[bytes, ...]]",
        answered: "Callable[[Command, int, list[Frame]], bool | None]",
        guard: "Callable[[Command, int, Any, Readings], None] | None" = None,
        needs: "Callable[[Command], tuple[str, ...]] | None" = None,
        found: "Callable[[Command, int, Readings], Any] | None" = None,
        mode: "Mode | None" = None,
        timeout: float = 0.6,
        pause: float = 0.0,
        settle: float = 1.0,
        mirrors: bool = False,
    ) -> None:
        self.of = of
        self.encode = encode
        self.answered = answered
        self.guard = guard or _anything
        self.needs = needs or _nothing
        self.found = found or shown
        self.mode = mode
        self.timeout = timeout
        self.pause = pause
        self.settle = settle
        self.mirrors = mirrors


def _anything(command: Command, number: int, value: "Any", known: "Readings") -> None:
    pass


def _nothing(command: Command) -> "tuple[str, ...]":
    return ()


def shown(command: Command, number: int, known: "Readings") -> "Any":
    """Return what the reading of the command says, of a list the element of that number."""
    value = known.get(command.reading) if command.reading else None
    if number and isinstance(value, list):
        return value[number - 1] if number <= len(value) else None
    return value


def check(command: Command, number: int, value: "Any") -> "Any":
    """Return the value as the command takes it; raise OutOfRange that says what it does take."""
    name = command.name
    if command.count and not 1 <= number <= command.count:
        raise OutOfRange(f"{name}: write {name}/1 to {name}/{command.count}, the number of the cell or sensor")
    if number and not command.count:
        raise OutOfRange(f"{name}: there is only one of it, so it has no number")
    if command.kind in (SWITCH, ACTION):
        if value not in (True, False) or (command.kind == ACTION and not value):
            raise OutOfRange(f"{name}: {value} is not {'on or off' if command.kind == SWITCH else 'on'}")
        return bool(value)
    if command.kind == CHOICE:
        if value not in command.words:
            raise OutOfRange(f"{name}: {value} is not one of {', '.join([word for word in command.words if word])}")
        return value
    if command.kind == TEXT:
        if not isinstance(value, str) or any([not 32 <= ord(letter) < 127 for letter in value]):
            raise OutOfRange(f"{name}: plain letters, digits and signs only")
        if not command.low <= len(value) <= command.high:
            raise OutOfRange(f"{name}: {command.low} to {command.high} characters, not {len(value)}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not command.low <= value <= command.high:
        raise OutOfRange(f"{name}: {value} is not between {command.low} and {command.high}")
    return value


def same(command: Command, one: "Any", other: "Any") -> bool:
    """Return whether two values are the same to the pack: numbers in the same step of the field."""
    return _within(command, one, other, command.step / 2)


def proves(command: Command, found: "Any", wanted: "Any") -> bool:
    """Return whether what the pack shows is what was wanted: near enough, where it is measured."""
    return _within(command, found, wanted, command.near)


def _within(command: Command, one: "Any", other: "Any", distance: float) -> bool:
    if one is None or other is None:
        return False
    if command.kind == NUMBER and not isinstance(one, str) and not isinstance(other, str):
        return bool(abs(one - other) <= distance + 1e-9)
    return bool(one == other)
