"""What a dialect is: how to ask, how to find frames in bytes, and what the frames of one answer mean.

A frame is a tuple (kind, address, key, payload):
kind      REPLY, ACK (a yes without data), REFUSAL (the device's no), PUSH (sent unasked), REQUEST (of any master,
          also our own, echoed by an adapter)
address   of the pack, None when the frame does not carry it
key       names the record inside (a register, a command, a block), None when the frame does not carry it
payload   the bytes of the record
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .command import Commands

    Frame = tuple[str, int | None, Any, bytes]
    Readings = dict[str, Any]

    class Receiver(Protocol):
        """Turns a stream of bytes, cut anywhere, into checked frames. Never raises on noise."""

        dropped: int  # bytes that belong to no frame
        damaged: int  # frames of right form whose checksum was wrong

        def feed(self, data: bytes) -> list[Frame]: ...

        def waiting(self) -> int: ...  # bytes of a frame that has begun; 0 when none has

    class Login(Protocol):
        """Opens a module that passes nothing on before it was told a password."""

        done: bool  # the pack can be asked
        wanted: bool  # the module wants a password, and none was given
        wrong: bool  # the module does not take the password

        def start(self) -> bytes: ...

        # What to send next, b"" at the end, None while no answer is whole. Never raises on noise.
        def feed(self, data: bytes) -> "bytes | None": ...


REPLY = "reply"
ACK = "ack"
REFUSAL = "refusal"
PUSH = "push"
REQUEST = "request"

# How often a query is asked: every poll, every minute or so, once a connection, and only when settings are wanted.
FAST = "fast"
SLOW = "slow"
ONCE = "once"
SETTINGS = "settings"


class Listener:
    """Makes readings from frames that go by, without asking: a log, or a line that another master owns.

    This one suits dialects whose frames carry their address; others bring their own with the same `take`.
    """

    def __init__(self, read: "Callable[[Frame, Readings], Readings]") -> None:
        self.read = read
        self.known: "dict[int | None, Readings]" = {}

    def take(self, frame: "Frame") -> "list[tuple[int | None, Readings]]":
        """Return (address, readings) of every record that this frame completes."""
        if frame[0] not in (REPLY, PUSH):
            return []
        known = self.known.setdefault(frame[1], {})
        values = self.read(frame, known)
        known.update(values)
        return [(frame[1], values)] if values else []


class Query:
    """One question to a pack.

    name     as people say it: "basic", "cells"
    key      what `request` and `collect` of the dialect need to know it by
    pace     FAST, SLOW, ONCE or SETTINGS
    timeout  seconds without any byte after which the answer is not coming
    pushed   True when the pack sends this record again and again by itself once it was asked
    optional True when some packs refuse or ignore it: it is not asked again after the first failure
    """

    def __init__(
        self,
        name: str,
        key: "Any",
        pace: str = FAST,
        timeout: float = 0.6,
        pushed: bool = False,
        optional: bool = False,
    ) -> None:
        self.name = name
        self.key = key
        self.pace = pace
        self.timeout = timeout
        self.pushed = pushed
        self.optional = optional


class Dialect:
    """One protocol of one family, as data and four functions.

    name       "jk-pb"; family "jk"; title "JK PB series, RS485"
    bauds      in the order of their likelihood; empty for Bluetooth only
    addresses  that a pack can have, the likeliest first; (0,) when the protocol has none
    queries    everything that can be asked for reading
    probe      name of the query that proves the dialect when it is answered plausibly
    request    request(query, address) -> bytes to send
    receiver   receiver() -> a new Receiver
    collect    collect(query, address, frames, known, quiet) -> readings, or None while the answer is not complete.
               frames: all frames since the question; quiet: the line fell silent, so give what there is, or None.
               Raises Refused when the device said no, ProtocolError when a frame cannot be what it claims.
    read       read(frame, known) -> readings of this one frame, {} when it has none: for logs and for listening
    known      readings of the same pack so far (counts, variant)
    gap        seconds of silence that the pack needs before each request
    calm       the same after an answer was missing or damaged: what cautious clients use all the time
    sum_tolerance  (volts, share): how far the sum of the cells may lie from the pack voltage
    around     (requests before, requests after) the SETTINGS queries, or None: JBD's factory mode
    listens    True when another master may own the line: listen first, and never ask when one is there
    wake       bytes that wake a sleeping pack without asking it for anything, None where there are none
    listener   makes the Listener for traffic that goes by, where the plain one does not do
    records    all Records of the dialect, for the proof table and the tests
    commands   how it is written to, None when it is only read
    login      login(address of the device, pin) -> Login, for radio modules that stay silent before one; None where
               no module wants one
    """

    def __init__(
        self,
        name: str,
        family: str,
        title: str,
        queries: tuple[Query, ...],
        probe: str,
        request: "Callable[[Query, int], bytes]",
        receiver: "Callable[[], Receiver]",
        collect: "Callable[[Query, int, list[Frame], Readings, bool], Readings | None]",
        read: "Callable[[Frame, Readings], Readings]",
        records: "tuple[Any, ...]",
        bauds: tuple[int, ...] = (9600,),
        addresses: tuple[int, ...] = (0,),
        gap: float = 0.0,
        calm: float = 0.0,
        sum_tolerance: tuple[float, float] = (0.05, 0.005),
        around: "tuple[tuple[bytes, ...], tuple[bytes, ...]] | None" = None,
        listens: bool = False,
        wake: "bytes | None" = None,
        listener: "Callable[[], Listener] | None" = None,
        commands: "Commands | None" = None,
        login: "Callable[[str, str], Login] | None" = None,
    ) -> None:
        self.name = name
        self.family = family
        self.title = title
        self.queries = queries
        self.probe = probe
        self.request = request
        self.receiver = receiver
        self.collect = collect
        self.read = read
        self.records = records
        self.bauds = bauds
        self.addresses = addresses
        self.gap = gap
        self.calm = calm
        self.sum_tolerance = sum_tolerance
        self.around = around
        self.listens = listens
        self.wake = wake
        self.commands = commands
        self.login = login
        self._listener = listener

    def listener(self) -> "Any":
        """Return a new Listener: take(frame) -> [(address, readings), ...]."""
        return self._listener() if self._listener else Listener(self.read)

    def query(self, name: str) -> Query:
        """Return the query of that name."""
        for query in self.queries:
            if query.name == name:
                return query
        raise KeyError(name)


class Bluetooth:
    """How packs of a family are met by radio; a Bluetooth module passes on the bytes of its dialects.

    family    "jk"
    speaks    names of the dialects that go through it, in the order in which they are tried
    services  (service, characteristic that notifies, characteristic to write to), the likeliest first; short UUIDs are
              four hex digits
    hello     (characteristic, bytes), written after connecting by modules that have the characteristic
    names     shell patterns of advertised names
    makers    (company id, bytes that its data begins with, bytes that it has anywhere) of advertisements
    prefixes  how addresses begin, in capitals
    """

    def __init__(
        self,
        family: str,
        speaks: "tuple[str, ...]",
        services: "tuple[tuple[str, str, str], ...]",
        hello: "tuple[tuple[str, bytes], ...]" = (),
        names: "tuple[str, ...]" = (),
        makers: "tuple[tuple[int, bytes, bytes], ...]" = (),
        prefixes: "tuple[str, ...]" = (),
    ) -> None:
        self.family = family
        self.speaks = speaks
        self.services = services
        self.hello = hello
        self.names = names
        self.makers = makers
        self.prefixes = prefixes
