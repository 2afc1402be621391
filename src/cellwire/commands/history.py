"""cellwire history: look after the file that the gateway keeps: export, verify, compact, backup."""

import argparse
import json
import sys
from pathlib import Path

from ..cli import DONE, USAGE, Failure
from ..gateway.config import ConfigError, load
from ..outputs.history.check import verify
from ..outputs.history.copies import CopyError, backup, compact
from ..outputs.history.export import export
from ..outputs.history.file import HistoryError
from ..outputs.history.reader import Reader

CONFIGURATION = Path("cellwire.toml")
DEFAULT = Path("cellwire.db")


def run(options: argparse.Namespace) -> int:
    """Do what was asked with the file."""
    path = Path(options.file) if options.file else _configured()
    if not path.is_file():
        raise Failure(USAGE, f"there is no history at {path}; give its path behind `history {options.action}`")
    try:
        if options.action == "export":
            return _export(options, path)
        if options.action == "verify":
            return _verify(options, path)
        if options.action == "compact":
            return _compact(options, path)
        return _backup(options, path)
    except (CopyError, HistoryError) as error:
        raise Failure(USAGE, str(error)) from None


def _configured() -> Path:
    """Return where cellwire.toml in this folder puts the history."""
    if not CONFIGURATION.exists():
        return DEFAULT
    try:
        return load(CONFIGURATION).history.path
    except ConfigError as error:
        raise Failure(USAGE, f"{error}\nor give the path of the history behind `history ...`") from None


def _export(options: argparse.Namespace, path: Path) -> int:
    reader = Reader(path)
    known = {pack["id"]: pack for pack in reader.packs()}
    pack = _wanted(options.of, known, path)
    start = options.start if options.start is not None else known[pack]["first"]
    end = options.end if options.end is not None else known[pack]["last"] + 1
    if end <= start:
        raise Failure(USAGE, "--to is not after --from")
    lines = export(reader, pack, start, end, "jsonl" if options.json else options.format)
    if options.output is None:
        sys.stdout.writelines(lines)
        return DONE
    try:
        with open(options.output, "x", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    except FileExistsError:
        raise Failure(USAGE, f"{options.output} is there already; give another name, nothing is overwritten") from None
    except OSError as error:
        raise Failure(USAGE, f"{options.output} cannot be written: {error.strerror}") from None
    return DONE


def _wanted(asked: str, known: dict[str, dict[str, object]], path: Path) -> str:
    """Return the id of what was asked for by id or name; the only one there is, when nothing was asked for."""
    found = [pack for pack, about in known.items() if asked in ("", pack, about["name"])]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(known)) or "nothing"
    if not found:
        raise Failure(USAGE, f"{path} has no rows of {asked or 'any pack'}; there is {there}")
    raise Failure(USAGE, f"say which with --of ID; {path} has {there}")


def _verify(options: argparse.Namespace, path: Path) -> int:
    report = verify(path)
    if options.json:
        print(json.dumps({"file": str(path), **report.document()}, ensure_ascii=False))
    else:
        for finding in report.findings:
            print(finding)
        print(f"{path}: {report.summary()}")
    return USAGE if report.findings else DONE


def _compact(options: argparse.Namespace, path: Path) -> int:
    before, after = compact(path)
    if options.json:
        print(json.dumps({"file": str(path), "before": before, "after": after}))
    else:
        print(f"{path}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")
    return DONE


def _backup(options: argparse.Namespace, path: Path) -> int:
    size = backup(path, Path(options.out))
    if options.json:
        print(json.dumps({"file": str(path), "backup": options.out, "bytes": size}))
    else:
        print(f"{options.out}: {size / 1e6:.1f} MB")
    return DONE
