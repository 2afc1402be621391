"""All protocols: one folder a maker, and one word here."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..codec.dialect import Bluetooth, Dialect

FAMILIES = ("jk", "jbd", "daly")


def dialects(name: str = "") -> "tuple[Dialect, ...]":
    """Return the dialects of a family, or the one dialect of that name, or all; () when there is no such name."""
    found: "list[Dialect]" = []
    for family in FAMILIES:
        module = __import__("cellwire.families." + family, None, None, ("DIALECTS",))
        for dialect in module.DIALECTS:
            if name in ("", family, dialect.name):
                found.append(dialect)
    return tuple(found)


def bluetooth() -> "tuple[Bluetooth, ...]":
    """Return how packs of each family are met by radio."""
    found: "list[Bluetooth]" = []
    for family in FAMILIES:
        found.append(__import__("cellwire.families." + family, None, None, ("BLUETOOTH",)).BLUETOOTH)
    return tuple(found)
