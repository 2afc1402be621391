"""Judges what may be believed: stands between decoding and the store, so that a damaged frame shows no wrong value.

A checksum of one byte lets one damaged frame in 256 through, so the gate looks at what the readings say. It holds,
for every reading, the value that the next one is compared with. A value beyond reach of it is a doubt, and is
believed when a second question gives it again. Three things keep lies that are small enough to need no second
question from carrying a value away:

- Reach is half of the jump that the catalogue documents.
- What is held follows a believed value by no more than a quarter of the reach. A lie hardly moves it, and it takes
  five in a row, all on one reading and one side, to get beyond the documented jump.
- Extremes and power are worked out by derive(), and the cells must add up to the pack voltage.

On a line that is known to damage bytes the same lie may come twice, so there a doubt wants more confirmations.
"""

from .catalogue import BY_NAME, QUANTITY, TOTAL
from .derive import FOLLOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]
    Rule = tuple[float | None, float, float, float, bool, bool, bool]

REACH = 0.5  # of the documented jump: how far from what is held a value is believed at once
STEP = 0.25  # of the reach: how far what is held follows a believed value
WARY = 30  # samples for which the gate is more careful after one damage; more damage makes it last longer, and more so
WARIER = 40  # for each so many samples of being careful one more confirmation is wanted
WARIEST = 3 * WARIER
NARROW = 0.75  # of the reach is left on a bad line, where a lie may meet a true change to the other side
KEPT = 6  # doubtful values of a reading that are remembered while none of them is believed
PATIENT = 12  # samples after which a doubt that nobody spoke of again is forgotten; a listener hears other records too

# A pack with cells cannot have a zero here; a board that just woke up says so nevertheless.
VITAL = ("voltage", "cell_max", "cell_mean", "cell_count")
# Without these a sample is not worth showing.
MAIN = ("voltage", "current", "soc", "cell_voltages")
# Without these a sample is not worth showing.
MAIN = ("voltage", "current", "soc", "cell_voltages")
# Readings that sum up others: different lies about those would agree in these.
WORDS = ("alarm_bits", "alarm_bits_2", "warning_bits", "protection_bits", "fault_bits", "fault_bits_2")
SUMMARIES: "dict[str, tuple[str, ...]]" = {
    "balancing": ("balancing_cells",),
    "warnings": WORDS,
    "protections": WORDS,
    "faults": WORDS,
}
# So many measurements, and nothing but zeros beside them: a board that just woke up.
ZEROS = 4

# Groups whose readings never change for a moment and back: when they seem to, the line damages bytes.
STEADY = ("identity", "settings", "totals")

_UNRULED: "Rule" = (None, 0.0, 0.0, 0.0, False, False, False)
_rules: "dict[str, Rule]" = {}
_shared: "dict[Rule, Rule]" = {}


def rule(name: str) -> "Rule":
    """Return (reach or None, share, low, high, has a range, only goes up, steady) of a reading; kept once made."""
    if name in _rules:
        return _rules[name]
    made = _UNRULED
    if name in BY_NAME:
        _name, quantity, kind, group, _meaning = BY_NAME[name]
        _quantity, _unit, _decimals, low, high, jump, share = QUANTITY[quantity]
        if group in ("identity", "settings"):
            jump = None
        made = (
            None if jump is None else jump * REACH,
            share * REACH,
            low,
            high,
            quantity not in ("flag", "text", "names"),
            kind == TOTAL,
            group in STEADY,
        )
    # One tuple for all readings of a kind: a controller has little memory.
    if made not in _shared:
        _shared[made] = made
    _rules[name] = _shared[made]
    return made


def follow(held: "Any", value: "Any", reach: "float | None", share: float) -> "Any":
    """Return what to hold after a value that is within reach of what is held; None when it is beyond.

    A list is within reach when it has the same length, the same gaps, and every element within reach.
    """
    if reach is None:
        return value if held == value else None
    if isinstance(value, list):
        if not isinstance(held, list) or len(held) != len(value):
            return None
        moved: "list[Any]" = []
        for index in range(len(value)):
            old = held[index]
            new = value[index]
            if old != new:
                if old is None or new is None:
                    return None
                old = follow(old, new, reach, share)
                if old is None:
                    return None
            moved.append(old)
        return moved
    if isinstance(held, list):
        return None
    if share and share * abs(held) > reach:
        reach = share * abs(held)
    difference = value - held
    step = reach * STEP
    if -step <= difference <= step:
        return value
    if difference > reach or difference < -reach:
        return None
    return held + step if difference > 0 else held - step


def _outside(value: "Any", low: float, high: float) -> bool:
    """Return True when a number, or one of a list, cannot be true. "Not a number" is outside too."""
    if isinstance(value, list):
        return any([element is not None and not low <= element <= high for element in value])
    return not low <= value <= high


class Gate:
    """What one pack said, and what of it is believed.

    last  the newest believed value of every reading
    """

    def __init__(self, sum_tolerance: "tuple[float, float]" = (0.05, 0.005)) -> None:
        self.sum_tolerance = sum_tolerance
        self.last: "Readings" = {}
        self._held: "Readings" = {}
        self._said: "dict[str, list[Any]]" = {}  # doubtful values since a reading was last believed, newest last
        self._doubted: "dict[str, int]" = {}  # when the newest of them was said, by the number of the sample
        self._count = 0
        self._wary = 0

    def forget(self) -> None:
        """Believe nothing any more: after a wake-up or a long loss the first sample is not trusted alone."""
        self.last = {}
        self._held = {}
        self._said = {}
        self._doubted = {}

    def noisy(self) -> None:
        """Note that the line damaged bytes: for a while a change wants two confirmations, after more damage up to four.

        To be called for every answer in which a receiver saw damage; the gate also sees some by itself.
        """
        self._wary = min(self._wary + WARY, WARIEST)

    def wanted(self) -> int:
        """Return how many confirmations a doubt wants now: 1 on a good line."""
        return 1 + (self._wary + WARIER - 1) // WARIER

    def judge(self, sample: "Readings") -> str:
        """Judge readings of one moment, any of them, after derive().

        Returns "" when all are believed, and they are in `last` then; "doubt:<name>,<name>" when a second question
        must confirm them; or why they cannot be true: "range:<name>", "cells_sum" or "zero". Nothing of a sample
        that is not believed gets into `last`.
        """
        held = self._held
        doubts: "list[str]" = []
        moved: "Readings" = {}
        self._count += 1
        narrow = 1.0
        if self._wary:
            self._wary -= 1
            narrow = NARROW
        changed = False
        for name, value in sample.items():
            if held.get(name) == value:
                continue
            changed = True
            if name in FOLLOWS and all([source in sample for source in FOLLOWS[name]]):
                moved[name] = value
                continue
            reach, share, low, high, ranged, total, _steady = _rules.get(name) or rule(name)
            if ranged and _outside(value, low, high):
                if self._zero(sample):
                    return "zero"
                self.noisy()
                return "range:" + name
            if name not in held or reach is None:
                doubts.append(name)
                continue
            to_hold = follow(held[name], value, reach * narrow, share * narrow)
            # A counter that goes back is a doubt, not a lie for sure: a BMS can be reset or replaced.
            if to_hold is None or (total and value < self.last[name]):
                doubts.append(name)
            else:
                moved[name] = to_hold
        if changed:
            if self._zero(sample):
                return "zero"
            if not self._adds_up(sample):
                return "cells_sum"
        if self._said:
            self._returned(sample, doubts)
        if doubts:
            unproven = self._unproven(sample, doubts, moved)
            if unproven:
                return "doubt:" + ",".join(unproven)
            for name in doubts:
                self._said.pop(name, None)
        held.update(moved)
        self.last.update(sample)
        return ""

    def rest(self, sample: "Readings", verdict: str) -> "Readings":
        """Believe what is beyond doubt of a sample that stayed doubtful, and return it.

        A flag that changes faster than it can be asked for twice must not hide the voltages. Nothing is returned when
        the doubt is about one of MAIN, or when the verdict is another one.
        """
        cause, _, names = verdict.partition(":")
        doubtful = names.split(",")
        if cause != "doubt" or any([name in doubtful for name in MAIN]):
            return {}
        beyond: "Readings" = {}
        for name, value in sample.items():
            sources = FOLLOWS.get(name, ()) + SUMMARIES.get(name, ())
            if name not in doubtful and not any([source in doubtful for source in sources]):
                beyond[name] = value
        return {} if not beyond or self.judge(beyond) else beyond

    def _returned(self, sample: "Readings", doubts: "list[str]") -> None:
        """Drop the doubts about readings that came back to what is held; on a bad line they must say so repeatedly."""
        wanted = self.wanted() - 1
        for name in list(self._said):
            if self._count - self._doubted[name] > PATIENT:
                self._said.pop(name)
            elif name in sample and name not in doubts:
                if wanted and self._agreeing(name, sample[name])[0] < wanted:
                    doubts.append(name)
                    continue
                self._said.pop(name)
                if rule(name)[6]:
                    self.noisy()

    def _agreeing(self, name: str, value: "Any") -> "tuple[int, Any]":
        """Return how many of the doubtful values of a reading agree with this one, and what to hold then."""
        reach, share = rule(name)[:2]
        if reach is not None and self._wary:
            reach, share = reach * NARROW, share * NARROW
        count = 0
        hold = None
        for earlier in self._said.get(name, ()):
            to_hold = follow(earlier, value, reach, share)
            if to_hold is not None:
                count += 1
                hold = to_hold
        return count, hold

    def _unproven(self, sample: "Readings", doubts: "list[str]", moved: "Readings") -> "list[str]":
        """Return the doubtful readings that were not said often enough; what to hold of the others goes to `moved`.

        A value may agree with any of the doubtful ones before it, so that a load which goes up and down is shown. On a
        bad line, and for what changes as a whole, most of them must agree, or a lie could win against a truth that
        was said as often.
        """
        wanted = self.wanted()
        unproven = []
        for name in doubts:
            count, hold = self._agreeing(name, sample[name])
            lively = not self._wary and rule(name)[0] is not None
            if count >= wanted and (lively or 2 * count > len(self._said[name])):
                moved[name] = hold
            else:
                unproven.append(name)
        if unproven:
            for name in doubts:
                said = self._said.get(name, [])
                self._said[name] = said[-(KEPT - 1) :] + [sample[name]]
                self._doubted[name] = self._count
        return unproven

    def _zero(self, sample: "Readings") -> bool:
        """Return True when the sample is what a board says that just woke up."""
        # Only JK says by a mask of its own that no cell is connected; elsewhere no cells are zeros like the others.
        if "cell_voltages" in sample:
            bare = sample["cell_voltages"] == [] and sample.get("cell_mask") == 0
        else:
            bare = self.last.get("cell_voltages") == []
        if not bare:
            for name in VITAL:
                if name in sample and not sample[name]:
                    return True
            if sample.get("cell_voltages") and not any(sample["cell_voltages"]):
                return True
        measurements = 0
        for name, value in sample.items():
            if value and not (isinstance(value, list) and not any(value)):
                return False
            if name in BY_NAME and BY_NAME[name][2] == "measurement":
                measurements += 1
        return measurements >= ZEROS

    def _adds_up(self, sample: "Readings") -> bool:
        """Return True unless the sample has voltage and all cells, and they contradict each other."""
        cells = sample.get("cell_voltages")
        if not cells or "voltage" not in sample or None in cells:
            return True
        volts, share = self.sum_tolerance
        voltage: float = sample["voltage"]
        return abs(sum(cells) - voltage) <= volts + share * voltage
