"""Frames of the Bluetooth module itself: its name and its login. The BMS behind it never sees them."""

from ...codec.checksum import sum8
from ...codec.errors import ProtocolError

HEAD = b"\xff\xaa"
RENAME = 0x07
APP_KEY = 0x15
NEW_PASSWORD = 0x16
RANDOM = 0x17
PASSWORD = 0x18
ROOT_KEY = 0x1D

ACCEPTED = 0
WRONG = 1
NO_PASSWORD = 2

PASSWORD_SIZE = 6
LONGEST = 20  # bytes of a frame: one notification

DEFAULT_APP_KEY = b"000000"
# The same on every module that was watched.
DEFAULT_ROOT_KEY = b"JBDbtpwd!@#2023"


def frame(command: int, data: bytes = b"") -> bytes:
    """Return a frame for the module."""
    body = bytes((command, len(data))) + data
    return HEAD + body + bytes((sum8(body),))


def parse(data: bytes) -> "tuple[int, bytes]":
    """Return (command, payload) of one notification; raise ProtocolError when it is no module frame."""
    if len(data) < 5 or data[:2] != HEAD or len(data) != 5 + data[3]:
        raise ProtocolError("no frame of the Bluetooth module")
    if sum8(data[2:-1]) != data[-1]:
        raise ProtocolError("frame of the Bluetooth module: the checksum is wrong")
    return data[2], data[4:-1]


def mac_bytes(address: str) -> bytes:
    """Return the six bytes of "10:a5:62:32:75:36"; raise ProtocolError for anything else."""
    parts = address.split(":")
    if len(parts) != 6 or not all([len(part) == 2 for part in parts]):
        raise ProtocolError("no Bluetooth address; expected six pairs of hex digits")
    try:
        return bytes([int(part, 16) for part in parts])
    except ValueError:
        raise ProtocolError("no Bluetooth address; expected six pairs of hex digits") from None


def encrypt(key: bytes, mac: bytes, random: int) -> bytes:
    """Return the key as the module wants it: mixed with its address and with the byte that it has drawn."""
    mixed = []
    for index in range(len(key)):
        mixed.append(((mac[index] if index < 6 else 0) ^ key[index]) + random & 0xFF)
    return bytes(mixed)


def app_key(key: bytes = DEFAULT_APP_KEY) -> bytes:
    """Return the first frame of a login."""
    return frame(APP_KEY, key)


def random_number() -> bytes:
    """Return the frame that asks the module to draw a byte."""
    return frame(RANDOM)


def password(text: str, mac: bytes, random: int) -> bytes:
    """Return the frame with the user's password of six characters; raise ProtocolError for another length."""
    key = text.encode()
    if len(key) != PASSWORD_SIZE:
        raise ProtocolError("the password of a JBD Bluetooth module has six characters")
    return frame(PASSWORD, encrypt(key, mac, random))


def root_key(mac: bytes, random: int, key: bytes = DEFAULT_ROOT_KEY) -> bytes:
    """Return the frame that opens the module's settings."""
    return frame(ROOT_KEY, encrypt(key, mac, random))


class Login:
    """The order of a login: send what `start` returns, feed it what comes, and send what that returns.

    done    the BMS can be asked
    wanted  the module wants a password, and none was given
    wrong   the module does not take the password
    """

    def __init__(self, mac: bytes, text: str) -> None:
        self._mac = mac
        self._password = text
        self._accepted = False
        self._heard = b""
        self._expected = APP_KEY
        self.done = False
        self.wanted = False
        self.wrong = False

    def start(self) -> bytes:
        """Return the first frame."""
        return app_key()

    def feed(self, data: bytes) -> "bytes | None":
        """Take bytes; return the frame that follows the answer in them, b"" at the end, None while none is whole.

        What is no frame of the module, or no answer to the last one, is passed over.
        """
        self._heard += data
        while True:
            start = self._heard.find(HEAD)
            if start < 0:
                self._heard = self._heard[-1:]
                return None
            self._heard = self._heard[start:]
            if len(self._heard) < 4 or len(self._heard) < 5 + self._heard[3] <= LONGEST:
                return None
            answer = self._heard[: 5 + self._heard[3]]
            try:
                command = parse(answer)[0]
            except ProtocolError:
                self._heard = self._heard[len(HEAD) :]
                continue
            self._heard = self._heard[len(answer) :]
            if command == self._expected:
                following = self.next(answer)
                self._expected = following[2] if following else -1
                return following

    def next(self, answer: bytes) -> bytes:
        """Return the frame that follows this answer, b"" when there is nothing more to send."""
        command, data = parse(answer)
        code = data[0] if data else -1
        if command == APP_KEY and code == ACCEPTED:
            self.wanted = not self._password
            return b"" if self.wanted else random_number()
        if command == APP_KEY and code == NO_PASSWORD:
            self.done = True
        elif command == RANDOM and data:
            if self._accepted:
                return root_key(self._mac, code)
            if len(self._password.encode()) == PASSWORD_SIZE:
                return password(self._password, self._mac, code)
            self.wrong = True
        elif command == PASSWORD and code == ACCEPTED:
            self._accepted = True
            return random_number()
        elif command == ROOT_KEY and code == ACCEPTED:
            self.done = True
        else:
            self.wrong = True
        return b""


def begin(address: str, pin: str) -> Login:
    """Return the login to the module of that address; raise ProtocolError when it is no address."""
    return Login(mac_bytes(address), pin)
