"""Answers BlueZ when it asks about pairing: each device as its owner wants it, all others with a no."""

from collections.abc import Callable
from typing import Any

INTERFACE = "org.bluez.Agent1"
PATH = "/org/cellwire/agent"
# It can be asked for a number and shown one, so that the device decides what pairing is.
CAPABILITY = "KeyboardDisplay"

NEVER, JUST_WORKS, PASSKEY = "never", "just-works", "passkey"
ASKED_BY = {
    "RequestAuthorization": JUST_WORKS,
    "RequestConfirmation": JUST_WORKS,
    "RequestPasskey": PASSKEY,
    "RequestPinCode": PASSKEY,
}
# What wants no answer but that it was heard.
HEARD = ("Release", "Cancel", "DisplayPasskey", "DisplayPinCode")


class Agent:
    """What BlueZ is told; policies has ("never", "just-works" or "passkey", pin) by address in capitals.

    Without an agent BlueZ pairs by itself with whatever wants it, so a no has to be said, too.
    """

    def __init__(self) -> None:
        self.policies: dict[str, tuple[str, str]] = {}

    def handler(self, send: Callable[[Any], None]) -> Callable[[Any], bool]:
        """Return what takes the messages of a bus: it answers those to an agent, and leaves the others alone."""
        from dbus_fast import Message, MessageFlag, MessageType

        def take(message: Any) -> bool:
            if message.message_type is not MessageType.METHOD_CALL or message.interface != INTERFACE:
                return False
            answer = self.answer(message.member, message.body)
            if message.flags & MessageFlag.NO_REPLY_EXPECTED:
                return True
            if answer is None:
                send(Message.new_error(message, "org.bluez.Error.Rejected", "not wanted by the owner of this gateway"))
            else:
                send(Message.new_method_return(message, *answer))
            return True

        return take

    def answer(self, member: str, body: list[Any]) -> tuple[str, list[Any]] | None:
        """Return (signature, values) for a question of BlueZ, None for a no."""
        if member in HEARD:
            return "", []
        policy, pin = self.policies.get(address_of(str(body[0])), (NEVER, ""))
        if ASKED_BY.get(member) != policy:
            return None
        if member == "RequestPasskey":
            return ("u", [int(pin)]) if pin.isdecimal() and len(pin) <= 6 else None
        return ("s", [pin]) if member == "RequestPinCode" else ("", [])


def address_of(path: str) -> str:
    """Return the address of the device that BlueZ keeps at a path."""
    return path.rpartition("/dev_")[2].replace("_", ":").upper()
