"""What can go wrong between a question and a believed answer; each text says what to do next."""

# What only the owner can change: no use in connecting anew.
PIN_WANTED, PIN_WRONG = "pin_wanted", "pin_wrong"
FINAL = ("echo", PIN_WANTED, PIN_WRONG)


class NoAnswer(Exception):
    """No complete answer came. Tells what was seen instead, because that names the cause."""

    def __init__(
        self,
        question: str,
        seen: int = 0,
        dropped: int = 0,
        damaged: int = 0,
        echo: bool = False,
        wireless: bool = False,
    ) -> None:
        cause = _cause_on_air if wireless else _cause
        super().__init__(f"{question}: {cause(seen, dropped, damaged, echo)}")
        self.seen = seen
        self.dropped = dropped
        self.damaged = damaged
        self.echo = echo

    @property
    def silent(self) -> bool:
        """True when not one byte came back."""
        return not self.seen and not self.echo

    @property
    def kind(self) -> str:
        """The cause in one word: silent, echo, damaged, noise or incomplete."""
        if self.damaged:
            return "damaged"
        if self.seen and self.dropped >= self.seen:
            return "noise"
        if self.seen:
            return "incomplete"
        return "echo" if self.echo else "silent"


class LoggedOut(NoAnswer):
    """The module wants a password before it passes anything on; kind: PIN_WANTED or PIN_WRONG."""

    def __init__(self, question: str, kind: str) -> None:
        super().__init__(question, wireless=True)
        self.args = (f"{question}: {LOGIN_ADVICE[kind]}",)
        self._kind = kind

    @property
    def silent(self) -> bool:
        """False: the module answers, only the pack does not."""
        return False

    @property
    def kind(self) -> str:
        """What is wrong with the password, in one word."""
        return self._kind


class Repeated(NoAnswer):
    """A pack that sends by itself sends the same record again and again: not an answer, whatever its checksum says."""

    def __init__(self, question: str) -> None:
        super().__init__(question, wireless=True)
        self.args = (f"{question}: the same record comes again and again, number and all; the pack is connected anew",)

    @property
    def silent(self) -> bool:
        """False: something comes."""
        return False

    @property
    def kind(self) -> str:
        """The cause in one word."""
        return "repeated"


LOGIN_ADVICE = {
    PIN_WANTED: (
        "the Bluetooth module wants a password before it passes anything on: "
        "write pin = the password that the maker's app asks for"
    ),
    PIN_WRONG: (
        "the Bluetooth module does not take this pin: write pin = the password that the maker's app asks for; "
        "it is not tried again soon, because modules lock themselves"
    ),
}


def _cause(seen: int, dropped: int, damaged: int, echo: bool) -> str:
    if damaged:
        return (
            f"{damaged} answer(s) came damaged (wrong checksum); check the cable's length, its ground "
            "and whether another program or master uses the same line"
        )
    if seen and dropped >= seen:
        return (
            f"{seen} bytes of noise came, no frame among them; check baud rate, A/B or RX/TX, ground, "
            "and that a UART-TTL socket is not on an RS485 adapter"
        )
    if seen:
        return f"an answer began ({seen} bytes) and never ended; try again, and check the cable if it stays so"
    if echo:
        return (
            "only our own question came back; the adapter echoes or TX touches RX, "
            "and the pack is not connected, asleep or off"
        )
    return (
        "no answer; the pack may be asleep (press its button, connect a charger or a load), "
        "have another address, or RX and TX are swapped"
    )


def _cause_on_air(seen: int, dropped: int, damaged: int, echo: bool) -> str:
    if damaged:
        return f"{damaged} answer(s) came damaged (wrong checksum): pieces were lost or doubled on the air; come nearer"
    if seen and dropped >= seen:
        return f"{seen} bytes came, no frame among them: another maker's device, or one that speaks another dialect"
    if seen:
        return f"an answer began ({seen} bytes) and never ended: pieces were lost on the air; come nearer"
    if echo:
        return (
            "the module only sends our question back, as those do that want to be paired: "
            'write pairing = "passkey" and pin = the number that the app asks for'
        )
    return (
        "connected, and no answer: the BMS behind the module is asleep (connect a charger or a load), "
        "or its app's password is wanted first (write pin)"
    )
