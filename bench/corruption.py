"""Feeds corrupted answers through receiver, decoder and gate, and proves that no wrong value is believed.

    python bench/corruption.py [--frames N] [--family jk|jbd|daly] [--dialect NAME] [--seed N] [--jobs N]

A twin plays each dialect through hours with steps, alarms and changed settings. Its answers go over a bad line:
bits are flipped, bytes lost or inserted, two answers spliced, and a good part of the damage has a checksum that fits,
written by the functions below. Every answer, that to a second question too, is hit independently of all others.
What the gate believes is compared with what the pack said undamaged. Prints a table, and exits with 1 when any value
was off by more than the documented jump of its quantity.
"""

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from cellwire.codec.dialect import FAST, ONCE, REPLY, SETTINGS, Dialect, Query
from cellwire.codec.errors import ProtocolError, Refused
from cellwire.families import FAMILIES, dialects
from cellwire.readings.catalogue import ALARMS, BY_NAME, QUANTITY
from cellwire.readings.derive import derive
from cellwire.readings.gate import Gate
from cellwire.sim.model import Battery

Readings = dict[str, Any]

STEPS = 160  # moments of truth that a run goes through again and again
QUESTIONS = 3  # as the poller asks
TRIES = 3  # as the session asks
EPISODE = 150  # polls of one line with one gate
BADNESS = (0.3, 0.5, 0.8)  # share of answers that a line damages
FITTING = 0.35  # share of the damage whose checksum fits
OTHERS = 0.12  # chance of each record that is not asked every time
VARIANTS = {"jk02": ("32S", "24S")}

EXTREMES = {
    "cell_min_number": ("cell_voltages", min),
    "cell_max_number": ("cell_voltages", max),
    "temperature_min_number": ("temperatures", min),
    "temperature_max_number": ("temperatures", max),
}


# Checksums of the answers, written here once more: the codec's own must not vouch for itself.


def _sum8(frame: bytearray, end: int) -> None:
    frame[end] = sum(frame[:end]) & 0xFF


def _crc16(frame: bytearray, start: int, end: int) -> None:
    crc = 0xFFFF
    for byte in frame[start:end]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    frame[end : end + 2] = crc.to_bytes(2, "little")


def fit_a5(answer: bytearray) -> None:
    """Make the checksum of every 13-byte frame fit."""
    for start in range(0, len(answer) - 12, 13):
        answer[start + 12] = sum(answer[start : start + 12]) & 0xFF


def fit_crc(answer: bytearray) -> None:
    """Make the CRC of the one Modbus frame fit."""
    _crc16(answer, 0, len(answer) - 2)


def fit_jbd(answer: bytearray) -> None:
    """Make the sum of a JBD frame fit: it stands before the end mark and leaves out start mark and register."""
    if len(answer) >= 7:
        start = 2 if answer[0] == 0xDD else 3
        answer[-3:-1] = (-sum(answer[start:-3]) & 0xFFFF).to_bytes(2, "big")


def fit_jk_uart(answer: bytearray) -> None:
    """Make the sum of a 4E57 frame fit."""
    answer[-2:] = (sum(answer[:-4]) & 0xFFFF).to_bytes(2, "big")


def fit_jk_record(answer: bytearray) -> None:
    """Make the sum of a 300-byte record fit, and the CRC of what follows it."""
    at = answer.find(b"\x55\xaa\xeb\x90")
    if at >= 0 and len(answer) >= at + 300:
        answer[at + 299] = sum(answer[at : at + 299]) & 0xFF
        if len(answer) == at + 308:
            _crc16(answer, at + 300, at + 306)


FITTERS: dict[str, Callable[[bytearray], None]] = {
    "daly-a5": fit_a5,
    "daly-d2": fit_crc,
    "daly-p81": fit_crc,
    "jbd": fit_jbd,
    "jbd-addr": fit_jbd,
    "jbd-up": fit_crc,
    "jk-uart": fit_jk_uart,
    "jk-modbus": fit_crc,
    "jk-pb": fit_jk_record,
    "jk02": fit_jk_record,
    "jk04": fit_jk_record,
}


# Damage


def flip(data: bytearray, chance: random.Random) -> None:
    """Flip 1 to 8 bits."""
    for _ in range(chance.randint(1, 8)):
        bit = chance.randrange(8 * len(data))
        data[bit >> 3] ^= 1 << (bit & 7)


def lose(data: bytearray, chance: random.Random) -> None:
    """Lose a run of bytes."""
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 1, 2, 3, 8, 20, 60))]


def insert(data: bytearray, chance: random.Random) -> None:
    """Insert a few bytes, random ones or some that were already there."""
    at = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 2, 4, 8))
    data[at:at] = chance.randbytes(length) if chance.random() < 0.7 else data[at : at + length]


def trade(data: bytearray, chance: random.Random) -> None:
    """Flip the same bit in two bytes, one up and one down: no sum notices."""
    bit = 1 << chance.randrange(8)
    up = [index for index, byte in enumerate(data) if not byte & bit]
    down = [index for index, byte in enumerate(data) if byte & bit]
    if up and down:
        data[chance.choice(up)] ^= bit
        data[chance.choice(down)] ^= bit


def overwrite(data: bytearray, chance: random.Random) -> None:
    """Put other bytes over a short stretch."""
    at = chance.randrange(len(data))
    length = min(chance.choice((1, 2, 4, 12)), len(data) - at)
    data[at : at + length] = chance.choice((chance.randbytes(length), bytes(length), b"\xff" * length))


class Pack:
    """A twin's answers through time, undamaged, with what they mean.

    answers  one dict a step: query name -> bytes
    truth    one dict a step: query name -> readings
    """

    def __init__(self, dialect: Dialect, variant: str = "", seed: int = 0, steps: int = STEPS) -> None:
        self.dialect = dialect
        self.address = dialect.addresses[0]
        self.fit = FITTERS[dialect.name]
        self.answers: list[dict[str, bytes]] = []
        self.truth: list[dict[str, Readings]] = []
        twin = import_module(f"cellwire.families.{dialect.family}.twin").twin(dialect.name, self.address, variant)
        chance = random.Random(f"{dialect.name} {variant} {seed}")
        cells = len(twin.values.get("cell_voltages") or ()) or 16
        battery = Battery(cells, seed, sensors=len(twin.values.get("temperatures") or ()) or 2)
        now = 8 * 3600.0 + seed * 911
        known: Readings = {}
        for _ in range(steps):
            now += chance.choice((1.0, 2.0, 5.0, 5.0, 120.0))
            if chance.random() < 0.06:
                name = chance.choice(("charge_switch", "discharge_switch", "balancer_switch"))
                battery.switch(name, not battery.switches[name])
            twin.values.update(battery.values(now))
            for name in ("warnings", "protections"):
                twin.values[name] = [chance.choice(ALARMS)[0]] if chance.random() < 0.05 else []
            self._ask_all(twin, known)
        self.known = known
        told = set.intersection(*(set(step) for step in self.truth))
        self.queries = [query for query in dialect.queries if query.name in told]
        assert any(query.pace == FAST for query in self.queries), f"{dialect.name}: no live values"
        self.fast = [query for query in self.queries if query.pace == FAST]
        self.others = [query for query in self.queries if query.pace != FAST]
        counts = [query for query in self.others if any("_count" in name for name in self.truth[0][query.name])]
        self.counting = [query for query in counts if query.pace != ONCE and query.pace != SETTINGS]
        self.whole = [self._whole(step) for step in self.truth]

    def _ask_all(self, twin: Any, known: Readings) -> None:
        answers: dict[str, bytes] = {}
        truth: dict[str, Readings] = {}
        for query in self.dialect.queries:
            data = b"".join(twin.answer(self.dialect.request(query, self.address)))
            if query.pushed:
                data += b"".join(twin.pushes())
            if not data:
                continue
            frames = self.dialect.receiver().feed(data)
            try:
                values = self.dialect.collect(query, self.address, frames, known, True)
            except (Refused, ProtocolError):
                continue
            if values is not None:
                answers[query.name], truth[query.name] = data, values
                known.update(values)
        self.answers.append(answers)
        self.truth.append(truth)

    def _whole(self, step: dict[str, Readings]) -> Readings:
        whole: Readings = {}
        for query in [*self.others, *self.fast]:
            whole.update(step.get(query.name, {}))
        return derive(whole)

    def damaged(self, data: bytes, step: int, chance: random.Random) -> bytes:
        """Return the answer as a bad line delivers it; splices are with answers of this poll and the one before."""
        hurt = bytearray(data)
        if chance.random() < FITTING:
            kind = chance.randrange(4)
            if kind == 0:
                trade(hurt, chance)
                return bytes(hurt)
            if kind == 3:
                other = self.neighbour(step, chance)
                at = chance.randrange(len(hurt))
                hurt[at:] = other[at : at + len(hurt) - at]
            else:
                (flip, overwrite)[kind - 1](hurt, chance)
            if len(hurt) >= 7:
                self.fit(hurt)
            return bytes(hurt)
        kind = chance.randrange(4)
        if kind == 3:
            other = self.neighbour(step, chance)
            return bytes(hurt[: chance.randrange(len(hurt) + 1)]) + other[chance.randrange(len(other)) :]
        (flip, lose, insert)[kind](hurt, chance)
        return bytes(hurt)

    def neighbour(self, step: int, chance: random.Random) -> bytes:
        """Return an answer that may still be in somebody's buffer."""
        return chance.choice(list(self.answers[step - chance.randrange(2)].values()))


def merged(answers: dict[str, Readings]) -> Readings:
    """Return the readings of all answers."""
    values: Readings = {}
    for answer in answers.values():
        values.update(answer)
    return values


class NoAnswer(Exception):
    """All tries came to nothing."""


class Line:
    """Asks one pack over a bad line as the poller does, and compares what the gate believes with the truth."""

    def __init__(self, pack: Pack, seed: str, deaf: bool = False) -> None:
        self.pack = pack
        self.chance = random.Random(seed)
        self.deaf = deaf
        self.counts: Counter[str] = Counter()
        self.worst: dict[str, tuple[float, str]] = {}
        self.wrong: list[str] = []
        self.gate = Gate(pack.dialect.sum_tolerance)
        self.believed: Readings = {}
        self.when: dict[str, int] = {}  # the step at which a reading was last believed
        self.met = False
        self.badness = 0.5
        self.step = 0
        self.polls = 0  # so far with this gate
        self.hurt = False
        self.trail: list[Readings] = []

    def run(self, frames: int) -> None:
        """Go on until that many answers were corrupted."""
        while self.counts["frames"] < frames:
            self.gate = Gate(self.pack.dialect.sum_tolerance)
            self.believed, self.when, self.met = {}, {}, False
            self.badness = self.chance.choice(BADNESS)
            self.step = self.chance.randrange(len(self.pack.answers))
            for self.polls in range(EPISODE):
                self.step = (self.step + 1) % len(self.pack.answers)
                self.poll()
                if self.counts["frames"] >= frames:
                    break

    def poll(self) -> None:
        """Ask everything that is due once."""
        others = [query for query in self.pack.others if self.chance.random() < OTHERS]
        try:
            if not self.met:
                # Counts that other answers are cut by must be believed first.
                self.met = not self.pack.counting or self.sample(self.pack.counting)
                return
            if self.sample(self.pack.fast):
                for query in others:
                    self.sample([query])
        except NoAnswer:
            self.counts["lost"] += 1
            if self.chance.random() < 0.1:
                self.gate.forget()

    def sample(self, queries: list[Query]) -> bool:
        """Ask the queries until the gate believes the answers or has doubted often enough."""
        self.hurt = False
        answers = self.ask_all(queries, {})
        verdict = ""
        for number in range(QUESTIONS):
            sample = derive(merged(answers))
            verdict = self.gate.judge(sample)
            self.trail = [*self.trail[-3:], sample]
            if not verdict:
                self.counts["believed"] += 1
                self.counts["gate"] += self.hurt
                self.compare(sample, merged({q.name: self.pack.truth[self.step].get(q.name, {}) for q in queries}))
                self.believed.update(sample)
                return True
            if number < QUESTIONS - 1:
                answers = self.ask_all(self.again(verdict, queries, answers), answers)
        beyond = self.gate.rest(sample, verdict)
        if beyond:
            self.counts["partly"] += 1
            self.compare(beyond, merged({q.name: self.pack.truth[self.step].get(q.name, {}) for q in queries}))
            self.believed.update(beyond)
            return True
        self.counts[verdict.partition(":")[0]] += 1
        return False

    def again(self, verdict: str, queries: list[Query], answers: dict[str, Readings]) -> list[Query]:
        """Return the queries that a doubt is about."""
        cause, _, names = verdict.partition(":")
        if cause != "doubt":
            return queries
        doubtful = [q for q in queries if any(name in answers[q.name] for name in names.split(","))]
        return doubtful or queries

    def ask_all(self, queries: list[Query], answers: dict[str, Readings]) -> dict[str, Readings]:
        """Return the answers with those of the queries in place of older ones."""
        answers = dict(answers)
        for query in queries:
            answers[query.name] = {}
            answers[query.name] = self.ask(query, merged(answers))
        return answers

    def ask(self, query: Query, sample: Readings) -> Readings:
        clean = self.pack.answers[self.step].get(query.name)
        if clean is None:
            return {}
        dialect, chance, counts = self.pack.dialect, self.chance, self.counts
        # Not what was said and not believed: a damaged count would cut every list from then on.
        known = {**self.believed, **sample}
        for _ in range(TRIES):
            hit = chance.random() < self.badness
            data = self.pack.damaged(clean, self.step, chance) if hit else clean
            if data == clean:
                hit = False
            counts["frames"] += hit
            receiver = dialect.receiver()
            cut = chance.randrange(len(data) + 1)
            frames = receiver.feed(data[:cut]) + receiver.feed(data[cut:])
            checked = any(frame[0] == REPLY for frame in frames) or bool(frames)
            counts["checksum"] += hit and checked
            try:
                values = dialect.collect(query, self.pack.address, frames, known, False)
                if values is None:
                    values = dialect.collect(query, self.pack.address, frames, known, True)
            except Refused:
                # The poller would not ask again; here the record goes on to be attacked.
                values = None
            except ProtocolError:
                values = None
            if (receiver.damaged or values is None) and not self.deaf:
                self.gate.noisy()
            if values is not None:
                if hit:
                    counts["decoder"] += 1
                    if values != self.pack.truth[self.step][query.name]:
                        counts["lies"] += 1
                        self.hurt = True
                return values
        raise NoAnswer

    # Judging the judge

    def compare(self, sample: Readings, truth: Readings) -> None:
        """Note how far the believed sample is from the truth of this step."""
        truth = derive(truth)
        for name, value in sample.items():
            if name in truth and value == truth[name]:
                self.when[name] = self.step
                continue
            off = self.off(name, value, truth)
            if off is not None:
                self.when[name] = self.step
                quantity = BY_NAME[name][1]
                if quantity != "tick" and off > self.worst.get(quantity, (0.0, ""))[0]:
                    self.worst[quantity] = (off, name)
            elif self.was_true(name, value):
                self.counts["late"] += 1
            else:
                self.blame(name, value, truth.get(name, "nothing"))

    def was_true(self, name: str, value: Any) -> bool:
        """Return whether a value was true at any step since the reading was last believed.

        Damage that shows what was true a moment ago, a splice with the answer before, only hides a change: a pack
        that has not changed yet would say the same, so no gate can see it.
        """
        back = (self.step - self.when[name]) % len(self.pack.whole) if name in self.when else self.polls
        steps = range(self.step - min(back, self.polls), self.step)
        return any(self.off(name, value, self.pack.whole[step]) is not None for step in steps)

    def off(self, name: str, value: Any, truth: Readings) -> float | None:
        """Return how far a value is from that truth; None when by more than the documented jump."""
        if name not in truth:
            return None
        true = truth[name]
        if value == true:
            return 0.0
        quantity, group = BY_NAME[name][1], BY_NAME[name][3]
        if name in EXTREMES:
            return self.extreme(name, value)
        jump, share = QUANTITY[quantity][5:7]
        if jump is None or group in ("identity", "settings"):
            return None
        off = deviation(value, true)
        return None if off is None or off > max(jump, share * size(true)) * 1.000001 else off

    def extreme(self, name: str, value: int) -> float | None:
        """A cell is rightly called the lowest when it could be, each cell being off by its documented jump."""
        source, choose = EXTREMES[name]
        elements = self.pack.whole[self.step].get(source)
        if not elements or not 0 < value <= len(elements) or elements[value - 1] is None:
            return None
        jump = QUANTITY[BY_NAME[source][1]][5] or 0.0
        extreme = choose([element for element in elements if element is not None])
        return None if abs(elements[value - 1] - extreme) > 2 * jump else 0.0

    def blame(self, name: str, value: Any, true: Any) -> None:
        before = [sample.get(name) for sample in self.trail]
        self.wrong.append(f"{self.pack.dialect.name}: {name} = {value}, true {true}; judged lately: {before}")


def deviation(value: Any, true: Any) -> float | None:
    """Return how far a number, or the worst element of a list, is off; None when they cannot be compared."""
    if isinstance(value, list) != isinstance(true, list):
        return None
    if not isinstance(value, list):
        return float(abs(value - true))
    if len(value) != len(true):
        return None
    worst = 0.0
    for one, other in zip(value, true, strict=True):
        if (one is None) != (other is None):
            return None
        if one is not None:
            worst = max(worst, abs(one - other))
    return worst


def size(true: Any) -> float:
    """Return the size that a share is taken of."""
    if isinstance(true, list):
        return max((abs(element) for element in true if element is not None), default=0.0)
    return float(abs(true))


Result = tuple[str, str, Counter[str], dict[str, tuple[float, str]], list[str]]


def work(task: tuple[str, str, str, int, bool]) -> Result:
    """Run one share of the frames: what a process of the pool does."""
    name, variant, seed, frames, deaf = task
    dialect = dialects(name)[0]
    pack = Pack(dialect, variant, seed=random.Random(seed).randrange(1000))
    line = Line(pack, seed, deaf)
    line.run(frames)
    return dialect.family, name, line.counts, line.worst, line.wrong


def ready(family: str = "", name: str = "") -> Iterator[Dialect]:
    """Yield the dialects that can be attacked."""
    for dialect in dialects(name or family):
        if not family or dialect.family == family:
            yield dialect


def tasks(frames: int, family: str, name: str, seed: int, deaf: bool, share: int = 25_000) -> list[Any]:
    """Return the tasks of all wanted dialects; each family gets `frames`, in equal parts for its dialects."""
    found = []
    for maker in FAMILIES:
        wanted = [
            (dialect.name, variant)
            for dialect in ready(maker)
            if family in ("", maker) and name in ("", dialect.name)
            for variant in VARIANTS.get(dialect.name, ("",))
        ]
        for dialect_name, variant in wanted:
            left, number = -(-frames // len(wanted)), 0
            while left > 0:
                part = min(left, share)
                found.append((dialect_name, variant, f"{seed} {dialect_name} {variant} {number}", part, deaf))
                left, number = left - part, number + 1
    return found


def attack(
    frames: int, family: str = "", name: str = "", seed: int = 0, jobs: int = 1, deaf: bool = False
) -> list[Result]:
    """Return the results of all tasks, in the order of the tasks."""
    todo = tasks(frames, family, name, seed, deaf)
    if jobs == 1:
        return [work(task) for task in todo]
    with multiprocessing.Pool(jobs) as pool:
        return list(pool.imap(work, todo))


COLUMNS = (
    "frames",
    "checksum",
    "decoder",
    "lies",
    "gate",
    "believed",
    "partly",
    "doubt",
    "cells_sum",
    "range",
    "zero",
    "late",
    "wrong",
)


def report(results: list[Result]) -> bool:
    """Print the table; return True when nothing wrong was believed."""
    totals: dict[str, Counter[str]] = {}
    worst: dict[str, tuple[float, str]] = {}
    wrong: list[str] = []
    for family, name, counts, far, bad in results:
        for key in (name, f"{family}, all"):
            total = totals.setdefault(key, Counter())
            total.update(counts)
            total["wrong"] += len(bad)
        for quantity, found in far.items():
            worst[quantity] = max(worst.get(quantity, (0.0, "")), found)
        wrong += bad
    print(f"{'':12}" + "".join(f"{column:>11}" for column in COLUMNS))
    for key, total in totals.items():
        print(f"{key:12}" + "".join(f"{total[column]:>11,}" for column in COLUMNS))
    print("""
frames     corrupted answers fed
checksum   of these: a frame came out of the receiver
decoder    of these: readings came out (some damage leaves the readings whole)
lies       of these: readings that are not what the pack said
gate       samples with a lie in them that were believed
believed   all wholly believed samples
partly     samples of which something stayed doubtful and was left out
doubt ...  (to zero) samples given up after three questions, by the last cause
late       believed values that were true a moment before: damage hid a change
wrong      other believed values that are off by more than the documented jump
""")
    for quantity, (off, name) in sorted(worst.items()):
        _, unit, decimals, _, _, jump, share = QUANTITY[quantity]
        also = f" or {share:.0%}" if share else ""
        print(f"{quantity:24} worst {off:.{decimals}f} {unit} ({name}), documented {jump} {unit}{also}")
    for text in wrong[:40]:
        print("WRONG", text)
    return not wrong


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000, help="corrupted answers for each family")
    parser.add_argument("--family", default="", choices=("", *FAMILIES))
    parser.add_argument("--dialect", default="", help="only this dialect")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--deaf", action="store_true", help="do not tell the gate that the receiver saw damage")
    options = parser.parse_args()
    began = time.monotonic()
    results = attack(options.frames, options.family, options.dialect, options.seed, options.jobs, options.deaf)
    good = bool(results) and report(results)
    print(
        f"\n{time.monotonic() - began:.0f} s, seed {options.seed}: " + ("nothing wrong believed" if good else "FAILED")
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
