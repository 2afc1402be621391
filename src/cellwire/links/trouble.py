"""Finds out why a serial port cannot be opened, and says what to do about it."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator

from .link import LinkError, PortBusy, PortForbidden, PortMissing

PTY_MAJORS = range(136, 144)


def is_pty(status: os.stat_result) -> bool:
    """Return whether this is the client's end of a pseudo terminal (Linux)."""
    return os.major(status.st_rdev) in PTY_MAJORS


def explain(path: str, error: OSError, present: list[str]) -> LinkError:
    """Return the LinkError for an error of opening; present: the ports that are there instead."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortForbidden(forbidden(path))
    if error.errno in (errno.EBUSY, errno.EWOULDBLOCK):
        return PortBusy(busy(path, list(holders(path)), locker(path)))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return PortMissing(missing(path, present))
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.EIO):
        return PortMissing(
            f"{path} has a name but no working hardware behind it; unplug the adapter and plug it in again"
        )
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return PortMissing(f"{path} is not a serial port; `cellwire scan` lists those that are there")
    return PortMissing(
        f"{path} cannot be opened: {os.strerror(error.errno or 0)}; unplug the adapter and plug it in again"
    )


def missing(path: str, present: list[str]) -> str:
    """Return what to do when there is no such port."""
    if os.path.islink(path):
        return f"{path} points to {os.path.realpath(path)}, which is gone; plug the adapter in again"
    there = f"present are: {', '.join(present)}" if present else "no serial port is there at all"
    return f"{path} is not there; {there}. Plug the adapter in, or choose another port"


def holders(path: str) -> Iterator[tuple[int, str]]:
    """Yield (process id, name) of the other processes that have the port open, as far as this user may see."""
    try:
        device = os.stat(path).st_rdev
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for process in processes:
        with contextlib.suppress(OSError):
            if process != os.getpid() and _holds(process, device):
                yield process, _name(process)


def _holds(process: int, device: int) -> bool:
    folder = f"/proc/{process}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(OSError):
            # The text of the link first: asking about a file on a dead network drive would block.
            if (
                os.readlink(f"{folder}/{number}").startswith("/dev/")
                and os.stat(f"{folder}/{number}").st_rdev == device
            ):
                return True
    return False


def _name(process: int) -> str:
    with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def locker(path: str) -> int | None:
    """Return the process that holds the advisory lock of the port's node, None when nobody is known to."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        node = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        with open("/proc/locks", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == node:
                    return int(fields[4])
    return None


def busy(path: str, found: list[tuple[int, str]], process: int | None = None) -> str:
    """Return who holds the port and what to do; found: those that have it open, process: the one that locked it."""
    if process == os.getpid():
        return f"{path} is open already in this program; packs on one line share one link"
    # A simulator keeps its pseudo terminal open too: who has the lock is nearer to the truth than who has it open.
    named = [item for item in found if item[0] == process] or found
    if named:
        who = ", ".join(f"{name} (process {number})" for number, name in named)
        return f"{path} is in use by {who}; end that program, or stop its service, and try again"
    return (
        f"{path} is in use by another program, of a user whose processes are hidden from this one; "
        f"`sudo fuser -v {os.path.realpath(path)}` names it"
    )


def forbidden(path: str) -> str:
    """Return which group owns the port and which command lets this user in."""
    import grp
    import pwd

    try:
        status = os.stat(path)
    except OSError:
        return f"{path} may not even be looked at by this user; check the rights of the folders above it"
    user = _or_number(lambda: pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
    group = _or_number(lambda: grp.getgrgid(status.st_gid).gr_name, status.st_gid)
    start = f"{path} belongs to group {group}, and user {user}"
    if not status.st_mode & stat.S_IWGRP or not status.st_mode & stat.S_IRGRP:
        return (
            f"{path} may be opened by user {_owner(status.st_uid)} only; `sudo chmod g+rw {path}` lets group {group} in"
        )
    if os.geteuid() == 0 or status.st_gid in (os.getegid(), *os.getgroups()):
        return (
            f"{start} is allowed by its rights, so the container or sandbox refuses it; "
            f"start the container with --device={os.path.realpath(path)}"
        )
    if group == str(status.st_gid):
        return f"{start} is not in it; the group has no name here, so start the container with --group-add {group}"
    if user in grp.getgrgid(status.st_gid).gr_mem:
        return f"{start} was added to it after logging in; log out and in again, or restart the service"
    return f"{start} is not in it; run `sudo usermod -aG {group} {user}`, then log out and in again"


def _owner(number: int) -> str:
    import pwd

    return _or_number(lambda: pwd.getpwuid(number).pw_name, number)


def _or_number(name: Callable[[], str], number: int) -> str:
    try:
        return name()
    except KeyError:
        return str(number)
