"""The topics below the base topic of one gateway."""

ONLINE, OFFLINE = "online", "offline"
# Last levels of a pack's or bank's topics; those of single values are the names of readings.
STATE, AVAILABILITY, RESULT = "state", "availability", "result"
# Of a command to leave a pack to the phone app; those of all others are below "set".
RELEASE = "release"


class Topics:
    """Names the topics of one gateway, and takes them apart again."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.status = f"{base}/status"
        self.of_all = f"{base}/+/+"
        # The second is that of commands which each cell or sensor has.
        self.commands = (f"{base}/+/set/+", f"{base}/+/set/+/+", f"{base}/+/{RELEASE}")

    def of(self, name: str, last: str) -> str:
        """Return a topic of the pack or bank of that name."""
        return f"{self.base}/{name}/{last}"

    def levels(self, topic: str) -> list[str]:
        """Return the levels of a topic below the base topic, none when it is not below it."""
        below = topic.removeprefix(self.base + "/")
        return below.split("/") if below != topic else []
