"""What can go wrong on a line, by name and rate; the same seed gives the same mishaps again."""

import random
from collections.abc import Iterable, Mapping

# name, what happens; the rate is a chance from 0 to 1 for each reply, if not said otherwise
FAULTS = (
    ("drop", "a reply is lost"),
    ("flip", "one bit of a reply is turned over"),
    ("truncate", "the end of a reply is missing"),
    ("duplicate", "a reply comes twice"),
    ("split", "a pause inside a reply"),
    ("late", "a reply comes after the client has given up"),
    ("echo", "the adapter sends the request back first"),
    ("noise", "random bytes before or after a reply"),
    ("silent", "a request is not heard at all"),
    ("asleep", "the first requests wake the pack up and are not answered; the number is their count"),
    ("zero-after-wake", "as asleep, and then the first answers are all zero"),
    ("second-master", "another master asks on the same line"),
    ("wrong-variant", "records in the layout of another hardware (JK 24S and 32S)"),
    ("ignore-writes", "the pack says yes to a write and does nothing"),
    ("clamp", "a number is written only half of the way from the old one"),
    ("refuse", "the pack says no to a write, or nothing where its protocol has no no"),
    ("drop-after-write", "the pack takes a write, and the link is lost before it answers"),
)
NAMES = tuple(name for name, _meaning in FAULTS)
COUNTED = ("asleep", "zero-after-wake")

SPLIT_PAUSE = 0.08
LATE_PAUSE = 1.5
NOISE_BYTES = 24
ZERO_ANSWERS = 3


class FaultError(ValueError):
    """A fault that does not exist, or a rate that makes no sense."""


def parse(texts: Iterable[str]) -> dict[str, float]:
    """Return name -> rate of texts like "drop=0.1"; a name alone means always. Raises FaultError."""
    rates = {}
    for text in texts:
        name, _, rate = text.partition("=")
        try:
            rates[name] = float(rate) if rate else 1.0
        except ValueError:
            raise FaultError(f"{text}: the rate of a fault is a number, for example {name}=0.1") from None
    check(rates)
    return rates


def check(rates: Mapping[str, float]) -> None:
    """Raise FaultError when a name is unknown or a rate is out of range."""
    for name, rate in rates.items():
        if name not in NAMES:
            raise FaultError(f"{name}: no such fault; there are {', '.join(NAMES)}")
        if not 0.0 <= rate <= (1e6 if name in COUNTED else 1.0):
            raise FaultError(f"{name}={rate}: a rate lies between 0 and 1")


class Faults:
    """Decides for each request and reply what goes wrong; counts what it did."""

    def __init__(self, rates: Mapping[str, float] | Iterable[str] = (), seed: int = 0) -> None:
        if isinstance(rates, Mapping):
            check(rates)
            self.rates: dict[str, float] = dict(rates)
        else:
            self.rates = parse(rates)
        self.seed = seed
        self.happened = dict.fromkeys(self.rates, 0)
        self._chance = {name: random.Random(f"{seed} {name}") for name in NAMES}
        self._sleep = int(max(self.rate("asleep"), self.rate("zero-after-wake")))
        self._zeros = ZERO_ANSWERS if self.rate("zero-after-wake") else 0

    def rate(self, name: str) -> float:
        """Return the rate of a fault, 0 when it was not asked for."""
        return self.rates.get(name, 0.0)

    def hit(self, name: str) -> bool:
        """Return True when the fault happens this time; each fault has its own dice."""
        rate = self.rates.get(name, 0.0)
        if not rate or self._chance[name].random() >= rate:
            return False
        self.happened[name] += 1
        return True

    @property
    def sleeping(self) -> bool:
        """True while the pack has not been woken up."""
        return self._sleep > 0

    def unheard(self) -> bool:
        """Return True when the pack does not hear this request: asleep or silent."""
        if self._sleep > 0:
            self._sleep -= 1
            for name in COUNTED:
                if self.rate(name):
                    self.happened[name] += 1
            return True
        return self.hit("silent")

    def zero(self) -> bool:
        """Return True when this answer is that of a pack that has just woken up."""
        if self._zeros > 0:
            self._zeros -= 1
            return True
        return False

    def spoil(self, reply: bytes) -> list[tuple[float, bytes]]:
        """Return what arrives in place of a reply: (seconds of pause, bytes) in order, [] when nothing does."""
        if not reply or self.hit("drop"):
            return []
        if self.hit("flip"):
            chance = self._chance["flip"]
            at = chance.randrange(len(reply))
            reply = reply[:at] + bytes((reply[at] ^ 1 << chance.randrange(8),)) + reply[at + 1 :]
        if self.hit("truncate"):
            reply = reply[: self._chance["truncate"].randrange(len(reply))]
        pieces = [(0.0, reply)]
        if self.hit("duplicate"):
            pieces.append((0.0, reply))
        if len(reply) > 1 and self.hit("split"):
            cut = self._chance["split"].randrange(1, len(reply))
            pieces[:1] = [(0.0, reply[:cut]), (SPLIT_PAUSE, reply[cut:])]
        if self.hit("noise"):
            chance = self._chance["noise"]
            at = chance.choice((0, len(pieces)))
            pieces.insert(at, (0.0, chance.randbytes(chance.randint(1, NOISE_BYTES))))
        if self.hit("late"):
            pieces[0] = (pieces[0][0] + LATE_PAUSE, pieces[0][1])
        return [piece for piece in pieces if piece[1]]
