"""What can be wrong with bytes or with a value: the errors of the codecs."""


class ProtocolError(Exception):
    """Bytes that are not what the protocol says; the text tells what is wrong."""


class Refused(ProtocolError):
    """The BMS answered, and said no. `code` is its own reason code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class OutOfRange(ProtocolError):
    """A value that does not fit its field or its allowed range; nothing was packed."""
