"""All protocols: one folder a maker, and one word here."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..codec.dialect import Bluetooth, Dialect

FAMILIES = ("jk", "jbd", "daly")

# Read through other people's libraries, over links of the same names; on any other link they are never asked for.
GUESTS = ("aiobmsble",)


def dialects(name: str = "") -> "tuple[Dialect, ...]":
    """Return the dialects of a family, or the one dialect of that name, or all; () when there is no such name.

    Guests are found by their name only: they are not among "all".
    """
    found: "list[Dialect]" = []
    for family in (name,) if name in GUESTS else FAMILIES:
        module = __import__("cellwire.families." + family, None, None, ("DIALECTS",))
        for dialect in module.DIALECTS:
            if name in ("", family, dialect.name):
                found.append(dialect)
    return tuple(found)


def guests() -> "tuple[Dialect, ...]":
    """Return the dialects of all guests."""
    found: "list[Dialect]" = []
    for name in GUESTS:
        found += dialects(name)
    return tuple(found)


def spoken(link: str, name: str = "") -> "tuple[Dialect, ...]":
    """Return the dialects of a family, or of all, that may be asked for at the address of a link; () when none may.

    On a link of a guest's that is the guest, and a guest may else only be read from a capture.
    """
    kind = link.partition(":")[0]
    if kind in GUESTS:
        return dialects(kind) if name in ("", kind) else ()
    return () if name in GUESTS and kind != "replay" else dialects(name)


def bluetooth() -> "tuple[Bluetooth, ...]":
    """Return how packs of each family are met by radio."""
    found: "list[Bluetooth]" = []
    for family in FAMILIES:
        found.append(__import__("cellwire.families." + family, None, None, ("BLUETOOTH",)).BLUETOOTH)
    return tuple(found)
