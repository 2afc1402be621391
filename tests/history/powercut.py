"""The simulated power cut: records what a process asks of the disk, and makes what a cut may leave of it.

Every write, truncation or removal since its file was last synchronised is dropped, kept, or torn by 512-byte sectors.
"""

import functools
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import durable
from generated import EVERY, START

SECTOR = 512
CALLS = (
    "openat,open,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,sync_file_range,"
    "unlink,unlinkat,rename,renameat,renameat2"
)
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)[^()]*$", re.DOTALL)
UNFINISHED = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$", re.DOTALL)
RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", re.DOTALL)
OPENED = re.compile(r'"([^"]*)", (O_[A-Z_|0-9]+)')
WRITTEN = re.compile(r'^\d+<([^>]*)>, "([^"]*)", (\d+)(?:, (\d+))?$')
OF_FILE = re.compile(r"^\d+<([^>]*)>(?:, (\d+))?")
NAMED = re.compile(r'"([^"]*)"')


class CannotRecord(Exception):
    """Strace does not work here; the text says why."""


@functools.cache
def recording_works() -> str:
    """Return "" when system calls can be recorded here, else why not."""
    if shutil.which("strace") is None:
        return "strace is not installed (Debian: apt install strace)"
    run = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return run.stderr.strip() if run.returncode else ""


@dataclass(frozen=True)
class Call:
    """One system call that changes a file, or a line that was said ("say")."""

    kind: str  # create, write, truncate, sync, remove, rename, say
    path: str
    at: int = 0
    data: bytes = b""
    to: str = ""


def plain(text: str) -> bytes:
    """Return the bytes of a string as strace -xx writes it."""
    return bytes.fromhex(text.replace("\\x", ""))


def path_of(text: str) -> str:
    """Return a path as strace wrote it, in hex or not."""
    return (plain(text) if "\\x" in text else text.encode()).decode()


def record(order: durable.Order, log: Path) -> list[Call]:
    """Run a child to its end and return what it did to the files in its folder, in order."""
    words = ["strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none"]
    run = subprocess.run(
        [*words, "-o", str(log), *durable.command(order)], capture_output=True, text=True, timeout=600, check=False
    )
    if run.returncode:
        raise CannotRecord(run.stderr.strip()[-500:])
    folder = str(Path(order.path).parent)
    with log.open(encoding="ascii", errors="replace") as lines:
        return list(_calls(lines, folder))


def _calls(lines: Iterator[str], folder: str) -> Iterator[Call]:
    """Yield the calls of interest: a write counts from its end on, what is said from its beginning on."""
    begun: dict[str, str] = {}
    for line in lines:
        line = line.rstrip("\n")
        if found := UNFINISHED.match(line):
            begun[found[1]] = found[2]
            if found[2].startswith("write(1<"):
                # What is said is a promise as soon as the call begins.
                yield from _call("write", found[2].removeprefix("write("), folder)
            continue
        if found := RESUMED.match(line):
            first = begun.pop(found[1], "")
            if not first or first.startswith("write(1<"):
                continue
            line = f"{found[1]} {first}{found[2]}"
        if (found := LINE.match(line)) and int(found[4]) >= 0:
            yield from _call(found[2], found[3], folder)


def _call(name: str, arguments: str, folder: str) -> Iterator[Call]:
    if name in ("write", "pwrite64"):
        if arguments.startswith("1<"):
            yield Call("say", "", data=plain(arguments.split('"')[1]))
            return
        found = WRITTEN.match(arguments)
        if found and path_of(found[1]).startswith(folder):
            assert name == "pwrite64", f"{name} to {path_of(found[1])}: its place in the file is not known"
            yield Call("write", path_of(found[1]), int(found[4]), plain(found[2]))
        return
    if name in ("openat", "open"):
        found = OPENED.search(arguments)
        if found and path_of(found[1]).startswith(folder) and "O_CREAT" in found[2]:
            yield Call("create", path_of(found[1]))
            if "O_TRUNC" in found[2]:
                yield Call("truncate", path_of(found[1]), 0)
        return
    if name.startswith(("unlink", "rename")):
        paths = [path_of(text) for text in NAMED.findall(arguments)]
        if paths and paths[0].startswith(folder):
            yield Call("rename" if len(paths) > 1 else "remove", paths[0], to=paths[-1])
        return
    found = OF_FILE.match(arguments)
    if found and path_of(found[1]).startswith(folder):
        path = path_of(found[1])
        if name in ("fsync", "fdatasync"):
            yield Call("sync", path)
        elif name == "ftruncate":
            yield Call("truncate", path, int(found[2]))
        else:
            raise AssertionError(f"{name} of {path} is not replayed")


@dataclass
class File:
    """What is surely on the disk of one file, and what was asked since."""

    sure: bytearray = field(default_factory=bytearray)
    asked: list[Call] = field(default_factory=list)
    synced: bool = False


class Disk:
    """The files as they may be found after a cut."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.removed: dict[str, File] = {}  # since the last time anything was synchronised

    def take(self, call: Call) -> None:
        """Follow one call."""
        if call.kind == "create":
            self.files.setdefault(call.path, File())
        elif call.kind in ("write", "truncate") and call.path in self.files:
            self.files[call.path].asked.append(call)
        elif call.kind == "sync":
            self.removed.clear()
            if call.path in self.files:  # else a folder
                file = self.files[call.path]
                for asked in file.asked:
                    apply(file.sure, asked)
                file.asked.clear()
                file.synced = True
        elif call.kind == "remove" and call.path in self.files:
            self.removed[call.path] = self.files.pop(call.path)
        elif call.kind == "rename" and call.path in self.files:
            self.files[call.to] = self.files.pop(call.path)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what is found after the power was cut now."""
        found = {}
        for path, file in self.files.items():
            if file.synced or chance.random() < 0.5:
                found[path] = bytes(_left(file, chance))
        for path, file in self.removed.items():
            if path not in found and chance.random() < 0.5:
                found[path] = bytes(_left(file, chance))
        return found


def apply(content: bytearray, call: Call) -> None:
    """Do a write or a truncation."""
    if call.kind == "truncate":
        if call.at < len(content):
            del content[call.at :]
        else:
            content.extend(bytes(call.at - len(content)))
        return
    if len(content) < call.at:
        content.extend(bytes(call.at - len(content)))
    content[call.at : call.at + len(call.data)] = call.data


def _left(file: File, chance: random.Random) -> bytearray:
    content = bytearray(file.sure)
    for call in file.asked:
        fate = chance.choice(("dropped", "kept", "torn"))
        if fate == "kept":
            apply(content, call)
        elif fate == "torn" and call.kind == "write":
            at = call.at
            while at < call.at + len(call.data):
                end = min((at // SECTOR + 1) * SECTOR, call.at + len(call.data))
                if chance.random() < 0.5:
                    apply(content, Call("write", call.path, at, call.data[at - call.at : end - call.at]))
                at = end
    return content


def cuts(calls: list[Call], count: int, seed: int) -> Iterator[tuple[int, durable.Said, dict[str, bytes]]]:
    """Yield (number of the call, what was said before, files found) of `count` cuts at random points."""
    chance = random.Random(seed)
    points = sorted(chance.sample(range(len(calls)), count))
    disk, said, text = Disk(), durable.Said(), b""
    for number, call in enumerate(calls):
        disk.take(call)
        if call.kind == "say":
            text += call.data
            while b"\n" in text:
                line, _, text = text.partition(b"\n")
                said.take(line.decode())
        while points and points[0] == number:
            points.pop(0)
            yield number, said, disk.cut(chance)


def losses_by_cuts(order: durable.Order, folder: Path, count: int, seed: int) -> tuple[list[str], dict[str, int]]:
    """Record a run of the order, cut it `count` times; return all that was lost and what the record held."""
    calls = record(order, folder / "calls.log")
    (folder / "calls.log").unlink()
    held = {kind: sum(call.kind == kind for call in calls) for kind in ("write", "sync", "say")}
    held["checkpointed"] = sum(call.kind == "write" and call.path == order.path for call in calls)
    held["written"] = sum(len(call.data) for call in calls if call.kind == "write")
    wrong = []
    for number, said, files in cuts(calls, count, seed):
        place = folder / f"cut-{number}"
        place.mkdir()
        for name, content in files.items():
            if not name.endswith("-shm"):
                (place / Path(name).name).write_bytes(content)
        lost = durable.losses(place / Path(order.path).name, order, said)
        wrong += [f"cut after call {number} of {len(calls)}: {loss}" for loss in lost]
        shutil.rmtree(place)
    return wrong, held


def evening(folder: Path, count: int, synchronous: str = "") -> durable.Order:
    """Return an order to record: `count` ticks, an hour is over in the middle of them, and every hour."""
    home = folder / "recorded"
    home.mkdir()
    begin = START + 3600 - count // 2 % 720 * EVERY
    return durable.Order(str(home / "cellwire.db"), begin, ticks=count, flush=3, commit=1e6, synchronous=synchronous)
