"""cellwire user: who may come in; works on the file of users, whether the gateway runs or not."""

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..cli import DONE, NOT_ALLOWED, USAGE, Failure
from ..gateway.config import ConfigError, load
from ..outputs.web.access import Access, AccessError, NotFit


def run(options: argparse.Namespace) -> int:
    """Add, list or remove users and tokens."""
    actions: dict[str, Callable[[argparse.Namespace, Access], int]] = {
        "add": _add,
        "remove": _remove,
        "password": _password,
        "list": _list,
        "token": _token,
    }
    try:
        return actions[options.action](options, Access(_path(options), time.time))
    except NotFit as error:
        raise Failure(USAGE, str(error)) from None
    except AccessError as error:
        raise Failure(NOT_ALLOWED, str(error)) from None


def _path(options: argparse.Namespace) -> Path:
    """Return the file of users: as the configuration says, beside it when there is none yet."""
    file = Path(options.config)
    if not file.exists():
        return file.resolve().parent / "access.json"
    try:
        return load(file).web.access
    except (ConfigError, OSError) as error:
        raise Failure(USAGE, str(error)) from None


def _add(options: argparse.Namespace, access: Access) -> int:
    if access.knows(options.name):
        raise AccessError(f"There is a user {options.name} already; change the password or choose another name")
    access.add_user(options.name, _asked(options, access), options.grant)
    return _done(options, f"{options.name} may come in with the grant {options.grant}")


def _remove(options: argparse.Namespace, access: Access) -> int:
    if not access.knows(options.name):
        raise Failure(USAGE, f"there is no user {options.name}; look at cellwire user list")
    access.remove_user(options.name)
    return _done(options, f"{options.name} is removed and logged out")


def _password(options: argparse.Namespace, access: Access) -> int:
    if not access.knows(options.name):
        raise Failure(USAGE, f"there is no user {options.name}; look at cellwire user list")
    access.set_password(options.name, _asked(options, access))
    return _done(options, f"{options.name} has the new password and is logged out everywhere")


def _list(options: argparse.Namespace, access: Access) -> int:
    if options.json:
        print(json.dumps({"users": access.users(), "tokens": access.tokens()}))
        return DONE
    for kind, rows in (("user", access.users()), ("token", access.tokens())):
        for row in rows:
            since = time.strftime("%Y-%m-%d", time.localtime(row["added"]))
            print(f"{kind:<6} {row['name']:<24} {row['grant']:<10} since {since}")
    return DONE


def _token(options: argparse.Namespace, access: Access) -> int:
    if options.token_action == "remove":  # noqa: S105  (no password)
        if options.name not in [token["name"] for token in access.tokens()]:
            raise Failure(USAGE, f"there is no token {options.name}; look at cellwire user list")
        access.remove_token(options.name)
        return _done(options, f"the token {options.name} opens nothing any more")
    secret = access.add_token(options.name, options.grant)
    if options.json:
        print(json.dumps({"name": options.name, "grant": options.grant, "token": secret}))
    else:
        print(secret)
        print("cellwire: keep it now, it cannot be shown again", file=sys.stderr)
    return DONE


def _asked(options: argparse.Namespace, access: Access) -> str:
    """Return the password, asked twice, or the first line of standard input."""
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise Failure(USAGE, "there is no terminal to ask for the password; give it with --password-stdin")
    password = getpass.getpass("Password (at least 10 characters): ")
    access.check_password(options.name, password)
    if getpass.getpass("The same again: ") != password:
        raise Failure(USAGE, "the two are not the same; nothing was changed")
    return password


def _done(options: argparse.Namespace, text: str) -> int:
    print(json.dumps({"done": True}) if options.json else text)
    return DONE
