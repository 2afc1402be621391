"""Who may come in: users, tokens and sessions, kept in one file that only its owner can read."""

import contextlib
import copy
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

GRANTS = ("read", "operate", "configure", "service")
VERSION = 1
DAY = 86400.0
# A session ends when it was not used for so long.
IDLE = 30 * DAY
# How often it is written down that a session is in use: not with every request, cards wear out.
NOTE_USE = 3600.0
SESSIONS = 20  # of a user; the one unused for longest ends first
NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SHORTEST, LONGEST = 10, 200

# OWASP's figures for Argon2id: 19 MiB, so that a Raspberry Pi with 512 MB can do it too.
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
# For names that do not exist, so that they cost the same time. It was made from random bytes that nobody kept.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$v54iyXVKIWT/QqdO8yKT7g$LvB3C2m+GyDQo25ju7g5zXpItxqokN5ZO8hiOV1+dhY"

State = dict[str, Any]


class AccessError(Exception):
    """Something about users and tokens that cannot be as things are: a sentence that says what to do."""


class NotFit(AccessError):
    """A name, password or grant that does not fit the rules."""


class AccessBroken(AccessError):
    """The file cannot be read or written."""


@dataclass(frozen=True)
class Visitor:
    """Who asks.

    grant: "" for nobody; session: the key of the session or token, ""; csrf: what writes of the session must show
    """

    name: str = ""
    grant: str = ""
    session: str = ""
    csrf: str = ""
    kind: str = "nobody"  # user, token, guest or nobody

    def may(self, grant: str) -> bool:
        """Return whether the visitor's grant is enough."""
        return not grant or (self.grant in GRANTS and GRANTS.index(self.grant) >= GRANTS.index(grant))

    @property
    def title(self) -> str:
        """The visitor as events call it."""
        return f"token {self.name}" if self.kind == "token" else self.name or "somebody"


NOBODY_HERE = Visitor()
GUEST = Visitor("guest", "read", kind="guest")


class Access:
    """The users, tokens and sessions of the file; other processes may change it too.

    Everything that writes or hashes takes a while and belongs into a thread.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._state: State = _empty()
        self.refresh()

    # The file

    def refresh(self) -> None:
        """Read the file again when it changed; cheap when it did not. Raise AccessError when it cannot be read."""
        # While a thread of ours changes the file it also takes over what others had written.
        if self._mark() != self._seen and self._lock.acquire(blocking=False):
            try:
                mark = self._mark()
                self._state, self._seen = self._read(), mark
            finally:
                self._lock.release()

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AccessBroken(f"{self.path}: {error.strerror}; let this user read it") from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> State:
        try:
            state = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _empty()
        except OSError as error:
            raise AccessBroken(f"{self.path}: {error.strerror}; let this user read it") from None
        except ValueError:
            raise AccessBroken(f"{self.path} is damaged; restore it, or remove it and set up again") from None
        if not isinstance(state, dict) or not {"version", "users", "tokens", "sessions"} <= set(state):
            raise AccessBroken(f"{self.path} is not a file of users; name another with `access` in [web]")
        if state["version"] != VERSION:
            raise AccessBroken(f"{self.path} was written by another version of Cellwire; use that one or a newer one")
        return state

    @contextlib.contextmanager
    def _changing(self) -> Iterator[State]:
        """Give the state to change; it is written when the block ends without an error."""
        with self._lock, self._alone():
            state = copy.deepcopy(self._read())
            yield state
            self._write(state)
            self._state, self._seen = state, self._mark()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # No link: root would give away the file that the folder's owner let it point to.
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(self.path.with_name(self.path.name + ".lock"), flags, 0o600)
        except OSError as error:
            raise AccessBroken(
                f"{self.path} cannot be written ({error.strerror}); give this user the right to"
            ) from None
        try:
            self._give_away(lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, state: State) -> None:
        new = self.path.with_name(self.path.name + ".new")
        try:
            # Opened anew with its final rights: at no time can anybody else read it.
            new.unlink(missing_ok=True)
            file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with open(file, "w", encoding="utf-8") as stream:
                self._give_away(file)
                json.dump(state, stream, indent=1, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise AccessBroken(
                f"{self.path} cannot be written ({error.strerror}); give this user the right to"
            ) from None

    def _give_away(self, file: int) -> None:
        """Let the file belong to whom its folder belongs: root may add a user for a gateway that is not root."""
        if os.geteuid() == 0 and os.fstat(file).st_nlink == 1:
            owner = self.path.parent.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)

    # Users

    @property
    def is_set_up(self) -> bool:
        """Whether there is a user."""
        return bool(self._state["users"])

    def users(self) -> list[State]:
        """Return the users: {name, grant, added}."""
        return [
            {"name": name, "grant": user["grant"], "added": user["added"]}
            for name, user in sorted(self._state["users"].items())
        ]

    def knows(self, name: str) -> bool:
        """Return whether there is such a user."""
        return name in self._state["users"]

    def check_password(self, name: str, password: str) -> None:
        """Raise AccessError for a password that is too easy."""
        if len(password) < SHORTEST:
            raise NotFit(f"A password needs at least {SHORTEST} characters; a few words in a row are easy to keep")
        if len(password) > LONGEST:
            raise NotFit(f"A password has at most {LONGEST} characters")
        if password.casefold() == name.casefold():
            raise NotFit("The password must not be the name; choose another")

    def add_user(self, name: str, password: str, grant: str, first: bool = False) -> None:
        """Add a user. first: only when there is none yet."""
        check_name(name, grant)
        self.check_password(name, password)
        kept = HASHER.hash(password)
        with self._changing() as state:
            if first and state["users"]:
                raise AccessError("This gateway is set up already; log in")
            if name in state["users"]:
                raise AccessError(f"There is a user {name} already; choose another name, or change the password")
            if not state["users"] and grant != "service":
                raise AccessError("The first user needs the grant service, for nobody else could add users")
            state["users"][name] = {"hash": kept, "grant": grant, "added": self.clock()}

    def remove_user(self, name: str) -> None:
        """Remove a user and end its sessions."""
        with self._changing() as state:
            if name not in state["users"]:
                raise KeyError(name)
            _keep_one(state, name)
            del state["users"][name]
            _end_sessions(state, name)

    def change_user(self, name: str, grant: str, password: str = "") -> None:
        """Give a user another grant, and another password when there is one; the user's sessions end."""
        check_name(name, grant)
        kept = ""
        if password:
            self.check_password(name, password)
            kept = HASHER.hash(password)
        with self._changing() as state:
            if name not in state["users"]:
                raise KeyError(name)
            if grant != "service":
                _keep_one(state, name)
            state["users"][name].update({"grant": grant, **({"hash": kept} if kept else {})})
            _end_sessions(state, name)

    def set_password(self, name: str, password: str, keep: str = "") -> None:
        """Change a password and end the user's sessions, all but the one with the key `keep`."""
        self.check_password(name, password)
        kept = HASHER.hash(password)
        with self._changing() as state:
            if name not in state["users"]:
                raise KeyError(name)
            state["users"][name]["hash"] = kept
            _end_sessions(state, name, keep)

    def is_right(self, name: str, password: str) -> bool:
        """Return whether the password is the user's; takes the same time for a user that does not exist."""
        user = self._state["users"].get(name)
        try:
            HASHER.verify(user["hash"] if user else NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
        return user is not None

    # Sessions

    def begin(self, name: str) -> str:
        """Return the secret of a new session."""
        secret = secrets.token_urlsafe(32)
        now = self.clock()
        with self._changing() as state:
            if name not in state["users"]:
                raise AccessError(f"{name} was removed meanwhile; ask a user with the grant service")
            sessions = {key: session for key, session in state["sessions"].items() if now - session["used"] < IDLE}
            own = [key for key, session in sessions.items() if session["user"] == name]
            for key in sorted(own, key=lambda key: sessions[key]["used"])[: max(0, len(own) + 1 - SESSIONS)]:
                del sessions[key]
            sessions[hashed(secret)] = {"user": name, "begun": now, "used": now}
            state["sessions"] = sessions
        return secret

    def visitor(self, secret: str) -> Visitor:
        """Return who has this session."""
        return self._of_session(hashed(secret), hmac.new(secret.encode(), b"csrf", "sha256").hexdigest())

    def still(self, visitor: Visitor) -> Visitor:
        """Return the visitor as it is now: nobody when its session or token is gone."""
        if visitor.kind == "user":
            return self._of_session(visitor.session, visitor.csrf)
        if visitor.kind == "token":
            token = self._state["tokens"].get(visitor.name)
            same = token is not None and token["hash"] == visitor.session
            return Visitor(visitor.name, token["grant"], visitor.session, kind="token") if same else NOBODY_HERE
        return visitor

    def _of_session(self, key: str, csrf: str) -> Visitor:
        session = self._state["sessions"].get(key)
        user = session and self._state["users"].get(session["user"])
        if not user or self.clock() - session["used"] >= IDLE:
            return NOBODY_HERE
        return Visitor(session["user"], user["grant"], key, csrf, "user")

    def wants_note(self, visitor: Visitor) -> bool:
        """Return whether it is time to write down that the session is in use."""
        session = self._state["sessions"].get(visitor.session)
        return session is not None and self.clock() - session["used"] > NOTE_USE

    def note_use(self, visitor: Visitor) -> None:
        """Write down that the session is in use."""
        with self._changing() as state:
            if visitor.session in state["sessions"]:
                state["sessions"][visitor.session]["used"] = self.clock()

    def end(self, visitor: Visitor) -> None:
        """End the visitor's session."""
        with self._changing() as state:
            state["sessions"].pop(visitor.session, None)

    # Tokens

    def tokens(self) -> list[State]:
        """Return the tokens, without their secrets: {name, grant, added}."""
        return [
            {"name": name, "grant": token["grant"], "added": token["added"]}
            for name, token in sorted(self._state["tokens"].items())
        ]

    def add_token(self, name: str, grant: str) -> str:
        """Return the secret of a new token; it is not kept and cannot be shown again."""
        check_name(name, grant)
        secret = "cellwire_" + secrets.token_urlsafe(32)
        with self._changing() as state:
            if name in state["tokens"]:
                raise AccessError(f"There is a token {name} already; remove it first, or choose another name")
            state["tokens"][name] = {"hash": hashed(secret), "grant": grant, "added": self.clock()}
        return secret

    def remove_token(self, name: str) -> None:
        """Remove a token; from now on it opens nothing."""
        with self._changing() as state:
            del state["tokens"][name]

    def bearer(self, secret: str) -> Visitor:
        """Return whose token this is."""
        key = hashed(secret)
        for name, token in self._state["tokens"].items():
            if token["hash"] == key:
                return Visitor(name, token["grant"], key, kind="token")
        return NOBODY_HERE


def check_name(name: str, grant: str) -> None:
    """Raise NotFit for a name or grant that cannot be."""
    if not re.fullmatch(NAME, name):
        raise NotFit("A name has 1 to 64 letters, digits, dots, hyphens or underscores, a letter or digit first")
    if grant not in GRANTS:
        raise NotFit(f"A grant is one of {', '.join(GRANTS)}")


def hashed(secret: str) -> str:
    """Return the form in which a random secret is kept; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _empty() -> State:
    return {"version": VERSION, "users": {}, "tokens": {}, "sessions": {}}


def _keep_one(state: State, name: str) -> None:
    """Refuse to take the grant service from the last user who has it."""
    if not any(user["grant"] == "service" for other, user in state["users"].items() if other != name):
        raise AccessError(f"{name} is the last user with the grant service and stays; add another one first")


def _end_sessions(state: State, name: str, keep: str = "") -> None:
    state["sessions"] = {
        key: session for key, session in state["sessions"].items() if session["user"] != name or key == keep
    }
