"""The command line: what can be asked, and the exit codes.

Exit codes: 0 done, 2 usage or configuration, 3 no answer, 4 port or adapter problem, 5 refused or not allowed,
6 not confirmed. Only `check` has others, because monitoring wants them so: 0 OK, 1 warning, 2 critical, 3 unknown.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__

DONE, USAGE, NO_ANSWER, PORT, NOT_ALLOWED, NOT_CONFIRMED = 0, 2, 3, 4, 5, 6
PLUGIN_UNKNOWN = 3

LINK_HELP = "/dev/ttyUSB0, ble:C8:47:8C:00:00:01, tcp:host:port, rfc2217://host:port or replay:file.jsonl"


class Failure(Exception):
    """A command that cannot go on: the exit code, and a sentence that says what to do next."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Parser(argparse.ArgumentParser):
    """A parser; plugin: its mistakes are said where monitoring looks, as all that the command says."""

    plugin = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end."""
        if self.plugin:
            print(f"CELLWIRE UNKNOWN - {message.replace('|', '/')}; see {self.prog} --help")
            self.exit(PLUGIN_UNKNOWN)
        super().error(message)


def _command(commands: "argparse._SubParsersAction[_Parser]", name: str, text: str, example: str) -> _Parser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output on standard output, nothing else")
    parser.set_defaults(parser=parser)
    return parser


def _pack_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("link", metavar="LINK", help=LINK_HELP)
    _found_by(parser)
    parser.add_argument("--timeout", type=_positive, default=8.0, metavar="S", help="seconds for a first answer (8)")


def _found_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", help="a family or dialect (see `cellwire families`); found out when left out")
    parser.add_argument("--address", type=_address, nargs="+", default=[], metavar="N", help="board numbers")
    parser.add_argument("--invert-current", action="store_true", help="turn the sign of the current round")
    _by_radio(parser)


def _by_radio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairing",
        choices=("never", "just-works", "passkey"),
        default="never",
        help="by Bluetooth: how to pair with the pack when it asks for that (never)",
    )
    parser.add_argument("--pin", default="", metavar="TEXT", help="by Bluetooth: the number that the app asks for")


def _address(text: str) -> int:
    number = int(text, 0)
    if not 0 <= number <= 255:
        raise argparse.ArgumentTypeError(f"{text} is not a board number (0 to 255)")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e7:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count of at least 1")
    return number


def _fault(text: str) -> tuple[str, float]:
    name, _, rate = text.partition("=")
    try:
        value = float(rate or 1)
    except ValueError:
        value = -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=RATE with a rate of 0 to 1, or a count for asleep")
    return name, value


def _moment(text: str) -> float:
    """Return seconds since 1970 of a date or time as people write it; without a zone it is local time."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date or time; write 2026-11-21 or 2026-11-21T10:00"
        ) from None


def _history(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands, "history", "look after the history: export, verify, compact, backup", "cellwire history verify"
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("export", "rows of a pack as CSV or JSON lines; also while the gateway runs"),
        ("verify", "read the whole file and say what is wrong with it; also while the gateway runs"),
        ("compact", "write the file anew without its unused pages; not while the gateway runs"),
        ("backup", "copy the file; also while the gateway runs"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")
        action.add_argument(
            "file", nargs="?", metavar="FILE", help="the history; as in ./cellwire.toml, or ./cellwire.db"
        )
        if name == "backup":
            action.add_argument("out", metavar="OUT", help="the copy; must not exist")
        if name == "export":
            action.add_argument("--of", default="", metavar="ID", help="id or name; not needed when there is only one")
            action.add_argument("--from", dest="start", type=_moment, metavar="TIME", help="first time (the oldest)")
            action.add_argument("--to", dest="end", type=_moment, metavar="TIME", help="time to stop at (now)")
            action.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="csv, or JSON lines")
            action.add_argument("-o", "--output", metavar="OUT", help="file to write; must not exist")


def _user(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands, "user", "users and tokens of the page", "cellwire user add anna --grant operate -c cellwire.toml"
    )
    grants = ("read", "operate", "configure", "service")

    def add(actions: "argparse._SubParsersAction[_Parser]", name: str, text: str, named: bool = True) -> _Parser:
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")
        action.add_argument(
            "-c", "--config", default="cellwire.toml", metavar="FILE", help="configuration (cellwire.toml)"
        )
        if named:
            action.add_argument("name", metavar="NAME")
        return action

    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (("add", "add a user"), ("password", "set a user's password; ends the user's sessions")):
        action = add(actions, name, text)
        action.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        if name == "add":
            action.add_argument("--grant", choices=grants, default="read", help="what the user may do (read)")
    add(actions, "remove", "remove a user and end the user's sessions")
    add(actions, "list", "all users and tokens", named=False)
    token = actions.add_parser("token", help="tokens for programs", description="Tokens for programs.")
    tokens = token.add_subparsers(dest="token_action", metavar="ACTION", required=True)
    action = add(tokens, "add", "add a token and show it, once")
    action.add_argument("--grant", choices=grants, default="read", help="what the token may do (read)")
    add(tokens, "remove", "remove a token")


def _threshold(text: str) -> object:
    from .commands.check import threshold

    return threshold(text)


def _check(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands,
        "check",
        "one look for Nagios, Icinga, Checkmk: 0 OK, 1 warning, 2 critical, 3 unknown",
        "cellwire check http://127.0.0.1:6789 --warning soc=20: --critical soc=10:",
    )
    command.plugin = True
    command.add_argument("link", metavar="LINK", help=f"http://host:port of a running gateway, or {LINK_HELP}")
    for level in ("warning", "critical"):
        command.add_argument(
            f"--{level}",
            type=_threshold,
            action="append",
            default=[],
            metavar="NAME=RANGE",
            help=f"a reading that is to be in a range, else {level}: 10: 10:20 ~:20 @10:20; may come several times",
        )
    command.add_argument(
        "--pack", action="append", default=[], metavar="NAME", help="a pack or bank; all when left out; several times"
    )
    command.add_argument("--max-age", type=_positive, default=0.0, metavar="S", help="older values are critical")
    command.add_argument(
        "--token-file", metavar="FILE", help="file with the token for a URL; CELLWIRE_TOKEN may hold the token too"
    )
    command.add_argument("--ca", metavar="FILE", help="certificate that an https:// gateway's is signed by, PEM")
    _found_by(command)
    command.add_argument("--timeout", type=_positive, default=10.0, metavar="S", help="seconds for it all (10)")


def _minutes(text: str) -> float:
    number = float(text)
    if not 0.5 <= number <= 240:
        raise argparse.ArgumentTypeError(f"{text} is not 0.5 to 240 minutes")
    return number


def _release(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands,
        "release",
        "let the running gateway leave a pack to the phone app for a while",
        "cellwire release shed --minutes 15",
    )
    command.add_argument("pack", metavar="PACK", help="its name; those that share its link are released with it")
    when = command.add_mutually_exclusive_group()
    when.add_argument("--minutes", type=_minutes, default=10.0, metavar="N", help="for so long, 0.5 to 240 (10)")
    when.add_argument("--back", action="store_true", help="take it back now")
    command.add_argument(
        "-c", "--config", default="cellwire.toml", metavar="FILE", help="where the gateway serves (cellwire.toml)"
    )
    command.add_argument("--url", default="", metavar="URL", help="http://host:port of the gateway, instead")
    command.add_argument(
        "--token-file", metavar="FILE", help="file with a token that may operate; CELLWIRE_TOKEN may hold it too"
    )
    command.add_argument("--ca", metavar="FILE", help="certificate that an https:// gateway's is signed by, PEM")


def _one_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", help="a family or dialect (see `cellwire families`); found out when left out")
    parser.add_argument("--address", type=_address, nargs=1, default=[], metavar="N", help="board number")
    parser.add_argument("--invert-current", action="store_true", help="turn the sign of the current round")
    _by_radio(parser)
    parser.add_argument("--timeout", type=_positive, default=8.0, metavar="S", help="seconds for a first answer (8)")
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="configuration; the grant that it gives the pack counts (cellwire.toml)"
    )
    parser.add_argument("--journal", metavar="FILE", help="file of all writes (~/.local/state/cellwire/journal.jsonl)")
    parser.add_argument("--password", default="", metavar="TEXT", help="the BMS's own password, where it wants one")


def _writes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, to the byte, and send nothing")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; a danger wants --confirm as well")
    parser.add_argument(
        "--confirm", action="append", default=[], metavar="NAME", help="the dangerous command NAME is wanted"
    )
    parser.add_argument("--unproven", action="store_true", help="also what nobody has shown in public to work")


def _settings(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands,
        "settings",
        "what can be set on a pack: show, change, keep in a file, take back",
        "cellwire settings /dev/ttyUSB0 set cell_overvoltage_limit=3.6",
    )
    command.add_argument("link", metavar="LINK", help=LINK_HELP)
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, text: str, writes: bool = True) -> _Parser:
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")
        _one_pack(action)
        if writes:
            _writes(action)
        return action

    add("list", "everything that can be set, with range, grant and proof", False)
    action = add("get", "the values of now", False)
    action.add_argument("names", nargs="*", metavar="NAME", help="only these")
    action = add("set", "write values, and read them back")
    action.add_argument("values", nargs="+", metavar="NAME=VALUE")
    action = add("do", "do what has no value, such as restart")
    action.add_argument("name", metavar="NAME")
    action.add_argument("seconds", nargs="?", type=_positive, metavar="SECONDS", help="of what is kept for a while")
    add("reset-counters", "set the counters of protections to 0")
    action = add("backup", "all settings as a readable file", False)
    action.add_argument("-o", "--output", metavar="FILE", help="the file to write; must not exist")
    action = add("restore", "write back what differs from a file")
    action.add_argument("file", nargs="?", metavar="FILE", help="made by `backup`; .fig on a JBD")
    action.add_argument("--resume", action="store_true", help="go on with a restore that was broken off")
    action = add("diff", "what differs between the pack and a file, or two files", False)
    action.add_argument("file", metavar="FILE")
    action.add_argument("other", nargs="?", metavar="FILE2", help="compare with this instead of the pack")
    action = add("preset", "starting values for a chemistry")
    action.add_argument("chemistry", choices=("lfp", "nmc", "lto"))
    action = add("undo", "write what was there before")
    action.add_argument("--entry", type=_count, default=0, metavar="N", help="of the journal; the newest when left out")
    action = add("journal", "what was written to the pack, by whom, and what became of it", False)
    action.add_argument("--count", type=_count, default=20, metavar="N", help="the newest N entries (20)")


def _switch(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands, "switch", "switch a MOSFET, the balancer or the heater", "cellwire switch /dev/ttyUSB0 charge off"
    )
    command.add_argument("link", metavar="LINK", help=LINK_HELP)
    command.add_argument("what", choices=("charge", "discharge", "balancer", "heating"))
    command.add_argument("state", choices=("on", "off"))
    _one_pack(command)
    _writes(command)


def _calibrate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = _command(
        commands,
        "calibrate",
        "tell a BMS what your meter shows",
        "cellwire calibrate /dev/ttyUSB0 cell 1=3.312 2=3.309 --dry-run",
    )
    command.add_argument("link", metavar="LINK", help=LINK_HELP)
    command.add_argument("what", choices=("cell", "sensor", "voltage", "current", "charge", "discharge", "idle"))
    command.add_argument("values", nargs="*", metavar="VALUE", help="N=VALUE for cells and sensors")
    _one_pack(command)
    _writes(command)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = _Parser(
        prog="cellwire", description="Reads and sets battery packs behind a JK, JBD or Daly battery management system."
    )
    top.add_argument("--version", action="version", version=f"cellwire {__version__}")
    top.add_argument("-v", "--verbose", action="store_true", help="log every byte to standard error")
    top.set_defaults(parser=top)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    command = _command(commands, "demo", "the gateway with simulated packs, and its page", "cellwire demo")
    command.add_argument("--seconds", type=_positive, default=0.0, metavar="S", help="stop after that time")
    command.add_argument("--seed", type=int, default=1, help="another seed, other packs")
    command.add_argument("--port", type=_port, default=6789, metavar="N", help="port of the page (6789)")

    command = _command(
        commands, "run", "the gateway: reads, keeps and serves, all day", "cellwire run -c cellwire.toml"
    )
    command.add_argument(
        "-c", "--config", default="cellwire.toml", metavar="FILE", help="configuration (cellwire.toml)"
    )
    command.add_argument("--check", action="store_true", help="only check the configuration")
    command.add_argument(
        "--stdout", action="store_true", help="each new snapshot of a pack or bank as a line of JSON on standard output"
    )
    command.add_argument(
        "--every",
        type=_positive,
        default=1.0,
        metavar="S",
        help="seconds between two such lines of a pack at least (1)",
    )

    command = _command(
        commands, "scan", "list what answers on serial ports and by Bluetooth", "cellwire scan /dev/ttyUSB0"
    )
    command.add_argument("links", nargs="*", metavar="LINK", help="only these; everything when left out")
    command.add_argument("--family", help="look for this family or dialect only")
    air = command.add_mutually_exclusive_group()
    air.add_argument("--ble", action="store_true", help="look for packs by Bluetooth only")
    air.add_argument("--no-ble", action="store_true", help="leave Bluetooth out")
    command.add_argument("--seconds", type=_positive, default=8.0, metavar="S", help="listen for that time (8)")
    command.add_argument("--all", action="store_true", help="show every Bluetooth device that is heard")
    command.add_argument(
        "--ask-all", action="store_true", help="connect also to devices of which only the service is like a pack's"
    )
    command.add_argument("--write", action="store_true", help="add what is new to the configuration")
    command.add_argument(
        "-c", "--config", default="cellwire.toml", metavar="FILE", help="the configuration (cellwire.toml)"
    )

    command = _command(commands, "read", "one snapshot of each pack on a link", "cellwire read /dev/ttyUSB0")
    _pack_arguments(command)
    command.add_argument(
        "--settings", action="store_true", help="the settings too (JBD: enters factory mode, and leaves without saving)"
    )

    command = _command(commands, "watch", "a snapshot every few seconds", "cellwire watch /dev/ttyUSB0 --every 5")
    _pack_arguments(command)
    command.add_argument("--every", type=_positive, default=2.0, metavar="S", help="seconds between snapshots (2)")
    command.add_argument("--count", type=_count, default=0, metavar="N", help="stop after N snapshots")
    command.add_argument("--release", action="store_true", help="give the link back to other programs between reads")

    command = _command(commands, "decode", "decode frames from hex", "cellwire decode jbd dd03001d...77 < paste.log")
    command.add_argument("family", metavar="FAMILY", help="jk, jbd, daly or one dialect")
    command.add_argument("hex", nargs="*", metavar="HEX", help="frames; read from standard input when left out")

    command = _command(
        commands, "record", "write the raw bytes of a link to a file", "cellwire record /dev/ttyUSB0 -o a.jsonl"
    )
    _pack_arguments(command)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="the capture to write; must not exist")
    command.add_argument("--seconds", type=_positive, default=0.0, metavar="S", help="go on for that time")
    command.add_argument("--listen", action="store_true", help="send nothing, only record what goes by")

    command = _command(commands, "sim", "a simulated pack to try things on", "cellwire sim daly --pty /tmp/pack")
    command.add_argument("family", metavar="FAMILY", nargs="?", help="family or dialect; not needed with --from")
    command.add_argument("--pty", metavar="PATH", help="serve on a pseudo serial port with this name")
    command.add_argument("--tcp", type=int, metavar="PORT", help="serve on this loopback TCP port, 0: any")
    command.add_argument(
        "--ble", metavar="TRANSPORT", help="serve by Bluetooth on this controller: usb:0, hci-socket:0"
    )
    command.add_argument("--name", default="", help="by Bluetooth: the name that it advertises")
    command.add_argument("--mac", default="", metavar="ADDRESS", help="by Bluetooth: its address, C0:... to FF:...")
    command.add_argument("--cells", type=_count, default=16, metavar="N", help="cells in series (16)")
    command.add_argument("--address", type=_address, nargs="+", default=[], metavar="N", help="one pack for each")
    command.add_argument("--baud", type=_count, default=0, metavar="N", help="line speed to imitate")
    command.add_argument("--think", type=_positive, default=20.0, metavar="MS", help="thinking time (20)")
    command.add_argument("--fault", type=_fault, nargs="+", default=[], metavar="NAME=RATE", help="misbehave, see docs")
    command.add_argument("--seed", type=int, default=0, help="repeat the same faults and values")
    command.add_argument("--from", dest="capture", metavar="FILE", help="answer from a capture")

    _settings(commands)
    _switch(commands)
    _calibrate(commands)
    _release(commands)
    _check(commands)
    _history(commands)
    _user(commands)
    _command(commands, "families", "what is supported, and how far it is proven", "cellwire families")
    _command(commands, "catalogue", "the vocabulary: all readings with unit and meaning", "cellwire catalogue --json")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    top = parser()
    options, unknown = top.parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.command is None:
        top.print_help()
        return USAGE
    try:
        command = importlib.import_module(f"cellwire.commands.{options.command}")
        code: int = command.run(options)
        sys.stdout.flush()
        return code
    except Failure as failure:
        print(f"cellwire: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return DONE
    except BrokenPipeError:
        # The reader of our output left (head, less): not an error, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


if __name__ == "__main__":
    sys.exit(main())
