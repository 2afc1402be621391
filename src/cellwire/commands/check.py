"""cellwire check: one look at packs for Nagios, Icinga, Checkmk and their like, by the rules of their plug-ins."""

import argparse
import asyncio
import difflib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..cli import USAGE, Failure
from ..codec.errors import ProtocolError
from ..gateway.errors import NoAnswer
from ..links.link import LinkError, PortBusy, PortForbidden
from ..outputs.console import Snapshot, value_text
from ..readings.catalogue import BY_NAME, TOTAL, decimals, unit
from .packs import Packs
from .remote import FOREIGN, Remote, Unreached, within

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
WORST = (CRITICAL, UNKNOWN, WARNING, OK)

HEADLINE = ("soc", "voltage", "current")
PERFORMANCE = (*HEADLINE, "power", "cell_min", "cell_max", "cell_delta", "temperature_min", "temperature_max")
ALARMS = (("faults", CRITICAL, "fault"), ("protections", CRITICAL, "protection"), ("warnings", WARNING, "warning"))
NO_NUMBERS = ("flag", "text", "names")
LIVE = ("online", "partial")
UNITS = {"degC": "C"}  # as monitoring spells it; a digit or a sign in a unit would end the number

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
RANGE = re.compile(rf"(?P<inside>@?)(?:(?P<start>~|{NUMBER})?:)?(?P<end>{NUMBER})?", re.ASCII)


class Range(NamedTuple):
    """Values that are well, as plug-ins write them: 10, 10:, ~:10, 10:20; inside: the others are."""

    text: str
    start: float
    end: float
    inside: bool

    def alerts(self, value: float) -> bool:
        """Return whether the value is to be told."""
        return (self.start <= value <= self.end) is self.inside


def range_of(text: str) -> Range:
    """Return the range that is written so; raise ValueError."""
    found = RANGE.fullmatch(text)
    if found is None or text.strip("@:") == "":
        raise ValueError(f"{text!r} is not a range; write such as 10: (not below), ~:10 (not above), 10:20 or @10:20")
    start = -float("inf") if found["start"] == "~" else float(found["start"] or 0)
    end = float(found["end"]) if found["end"] else float("inf")
    if start > end:
        raise ValueError(f"{text!r} begins above its end")
    return Range(text, start, end, bool(found["inside"]))


def threshold(text: str) -> tuple[str, Range]:
    """Return name and range of NAME=RANGE, for argparse."""
    name, equals, written = text.partition("=")
    known = [each for each, row in BY_NAME.items() if row[1] not in NO_NUMBERS]
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=RANGE, such as soc=20:")
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"; is it {' or '.join(near)}?" if near else "; `cellwire catalogue` lists them"
        raise argparse.ArgumentTypeError(f"{name!r} is no reading with a number{hint}")
    try:
        return name, range_of(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from None


@dataclass
class Verdict:
    """What is said of a pack or a bank, or of the way to all of them; readings: those that are told."""

    name: str
    state: int = OK
    reasons: list[str] = field(default_factory=list)
    readings: Snapshot = field(default_factory=dict)

    def add(self, state: int, reason: str) -> None:
        """Put a reason to it; the state is the worst of them."""
        self.state = min(self.state, state, key=WORST.index)
        self.reasons.append(reason)

    @property
    def line(self) -> str:
        """Name, the most important readings, and why it is not well."""
        values = [value_text(name, self.readings[name]) for name in HEADLINE if name in self.readings]
        return ": ".join([" ".join([self.name, *values]), *(["; ".join(self.reasons)] if self.reasons else [])])


class Unlooked(Exception):
    """There was nothing to look at: what that comes to, and a sentence."""

    def __init__(self, state: int, text: str) -> None:
        super().__init__(text)
        self.state = state


def run(options: argparse.Namespace) -> int:
    """Look once, print it, and return 0 to 3 as plug-ins do."""
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(message)s")
    asked = re.sub(r"//.*@", "//", options.link)  # no password in what is kept
    try:
        verdicts = [judged(each, options) for each in chosen(snapshots(options), options.pack)]
    except Unlooked as error:
        verdicts = [Verdict(asked, error.state, [str(error)])]
    except KeyboardInterrupt:
        verdicts = [Verdict(asked, UNKNOWN, ["the check was broken off"])]
    except Exception:  # exit code 1 would be taken for a warning
        logging.exception("an error in Cellwire itself, please report it")
        verdicts = [Verdict(asked, UNKNOWN, ["an error in Cellwire itself, see standard error; please report it"])]
    verdicts.sort(key=lambda verdict: WORST.index(verdict.state))
    state = verdicts[0].state
    print(as_document(verdicts) if options.json else as_plugin(verdicts, options))
    return state


def snapshots(options: argparse.Namespace) -> list[Snapshot]:
    """Return what a gateway or a link says now; raise Unlooked."""
    if options.link.startswith(("http://", "https://")):
        return of_gateway(options)
    try:
        return asyncio.run(of_link(options))
    except Failure as failure:
        raise Unlooked(UNKNOWN if failure.code == USAGE else CRITICAL, str(failure)) from None
    except (PortBusy, PortForbidden) as error:
        raise Unlooked(UNKNOWN, str(error)) from None
    except (LinkError, NoAnswer, ProtocolError) as error:
        raise Unlooked(CRITICAL, str(error)) from None
    except TimeoutError:
        text = f"no answer within {options.timeout:g} s; name --family and --address, or give it more --timeout"
        raise Unlooked(CRITICAL, text) from None


async def of_link(options: argparse.Namespace) -> list[Snapshot]:
    """Return snapshots of the packs on a link. Raises Failure, LinkError, NoAnswer, ProtocolError and TimeoutError."""
    packs = Packs(options, every=options.timeout)
    try:
        async with asyncio.timeout(options.timeout):
            await packs.find()
            await packs.first(options.timeout)
    except TimeoutError:
        if not packs.store.packs:
            raise
    finally:
        await packs.close()
    return [packs.store.snapshot(pack) for pack in packs.store.packs.values()]


# A running gateway

KINDS = ("packs", "banks")
MAKE = "cellwire user token add monitoring --grant read"


def of_gateway(options: argparse.Namespace) -> list[Snapshot]:
    """Return snapshots of the packs and banks of a running gateway; raise Unlooked."""
    try:
        gateway = Remote(options.link, options.token_file, options.ca, MAKE)
        answers = within(options.timeout, lambda: [gateway.ask(what) for what in KINDS])
    except Unreached as error:
        raise Unlooked(CRITICAL if error.away else UNKNOWN, str(error)) from None
    found = [each for kind, document in zip(KINDS, answers, strict=True) for each in _listed(document, kind)]
    if not found:
        raise Unlooked(UNKNOWN, "the gateway has no pack yet; add one on its page")
    return found


def _listed(document: Any, kind: str) -> list[Snapshot]:
    """Return the snapshots in an answer; raise Unlooked when it is not what a gateway answers."""
    found = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(
        isinstance(each, dict) and isinstance(each.get("readings"), dict) and kind[:-1] in each for each in found
    ):
        raise Unlooked(UNKNOWN, FOREIGN)
    return found


# What it comes to


def name_of(snapshot: Snapshot) -> str:
    """Return what a pack or bank is called."""
    return str(snapshot.get("pack", snapshot.get("bank")))


def chosen(found: list[Snapshot], names: Sequence[str]) -> list[Snapshot]:
    """Return the snapshots of those names, all when there are none; raise Unlooked."""
    by_name = {name_of(each): each for each in found}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise Unlooked(UNKNOWN, f"there is no {' and no '.join(unknown)}; there is: {', '.join(by_name)}")
    return [by_name[name] for name in names] or found


def judged(snapshot: Snapshot, options: argparse.Namespace) -> Verdict:
    """Return how it is with a pack or a bank."""
    verdict = Verdict(name_of(snapshot))
    state, age = snapshot.get("state"), snapshot.get("age")
    missing = [f"{name} does not count: {why}" for name, why in snapshot.get("missing", {}).items()]
    if state not in LIVE:
        why = snapshot.get("reason") or "; ".join(missing) or "nothing is heard of it"
        verdict.add(CRITICAL, f"{state}: {why}")
        return verdict
    if options.max_age and not (isinstance(age, int | float) and age <= options.max_age):
        verdict.add(CRITICAL, f"its values are {age or '?'} s old, more than {options.max_age:g} s")
        return verdict
    readings = snapshot["readings"]
    for name, level, word in ALARMS:
        for alarm in readings.get(name) or ():
            verdict.add(level, f"{word} {alarm}")
    for reason in (*missing, *snapshot.get("warnings", ())):
        verdict.add(WARNING, reason)
    warning, critical = dict(options.warning), dict(options.critical)
    told = dict.fromkeys([*PERFORMANCE, *warning, *critical])
    verdict.readings = {name: readings[name] for name in told if list(numbers(name, readings.get(name)))}
    for name in dict.fromkeys([*critical, *warning]):
        if name not in verdict.readings:
            verdict.add(UNKNOWN, f"there is no {name}")
        for label, value in numbers(name, readings.get(name)):
            for level, ranges in ((CRITICAL, critical), (WARNING, warning)):
                if name in ranges and ranges[name].alerts(value):
                    verdict.add(
                        level, f"{label} {value_text(name, value)} ({STATES[level].lower()} {ranges[name].text})"
                    )
                    break
    return verdict


def numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a reading by their labels: one, or each element of a list that is there."""
    several = isinstance(value, list)
    for place, each in enumerate(value if several else [value], 1):
        if isinstance(each, int | float) and not isinstance(each, bool):
            yield (f"{name}.{place}" if several else name), each


# What is printed


def as_plugin(verdicts: Sequence[Verdict], options: argparse.Namespace) -> str:
    """Return the first line with all performance data, and a line for each further pack, as plug-ins print them."""
    first, *others = verdicts
    lines = [
        f"CELLWIRE {STATES[first.state]} - {first.line}",
        *(f"{STATES[each.state]} - {each.line}" for each in others),
    ]
    lines = [" ".join(line.replace("|", "/").split()) for line in lines]
    values = [value for verdict in verdicts for value in performance(verdict, options, len(verdicts) > 1)]
    if values:
        lines[0] += " | " + " ".join(values)
    return "\n".join(lines)


def performance(verdict: Verdict, options: argparse.Namespace, several: bool) -> Iterator[str]:
    """Yield label=value[UOM];warn;crit;min;max of each number; with several packs the label begins with its pack."""
    warning, critical = dict(options.warning), dict(options.critical)
    for name, reading in verdict.readings.items():
        limits = [ranges[name].text if name in ranges else "" for ranges in (warning, critical)]
        limits += ["0", "100"] if unit(name) == "%" and BY_NAME[name][1] == "percent" else []
        measure = UNITS.get(unit(name), unit(name)) or ("c" if BY_NAME[name][2] == TOTAL else "")
        for label, value in numbers(name, reading):
            whole = f"{verdict.name} {label}".replace("'", "''").replace("=", "_") if several else label
            shown = f"{value:.{decimals(name)}f}" if isinstance(value, float) else value
            quoted = f"'{whole}'" if " " in whole else whole
            yield f"{quoted}={';'.join([f'{shown}{measure}', *limits]).rstrip(';')}"


def as_document(verdicts: Sequence[Verdict]) -> str:
    """Return it as one JSON document."""
    found = [
        {"name": each.name, "state": STATES[each.state], "reasons": each.reasons, "readings": each.readings}
        for each in verdicts
    ]
    state = verdicts[0].state
    return json.dumps({"state": STATES[state], "code": state, "checked": found}, ensure_ascii=False)
