"""Works out what follows from other readings: power, and the extremes of cells and temperatures.

What a BMS says about its extremes is replaced by what its lists say, so a damaged extreme cannot be believed and all
packs mean the same by it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Readings = dict[str, Any]

# prefix of the extremes, list they follow from, decimals, and whether mean and delta are given unasked
LISTS = (
    ("cell", "cell_voltages", 3, True),
    ("temperature", "temperatures", 1, False),
)

# reading -> the readings it follows from: when all of them are in a sample, derive() has worked it out
FOLLOWS: "dict[str, tuple[str, ...]]" = {"power": ("voltage", "current")}
for _prefix, _list, _decimals, _whole in LISTS:
    for _name in ("_min", "_max", "_mean", "_delta", "_min_number", "_max_number"):
        FOLLOWS[_prefix + _name] = (_list,)


def derive(values: "Readings") -> "Readings":
    """Return the readings with power in W and the extremes of the lists; numbers count from 1.

    A list without any element has no extremes: those that the BMS gave are left out.
    """
    result = dict(values)
    if "voltage" in values and "current" in values:
        result["power"] = round(values["voltage"] * values["current"], 1) + 0.0
    for prefix, name, decimals, whole in LISTS:
        if name in values:
            _extremes(result, prefix, values[name], decimals, whole)
    return result


def _extremes(result: "Readings", prefix: str, elements: "list[float | None]", decimals: int, whole: bool) -> None:
    fitted = [element for element in elements if element is not None]
    # A sensor may be absent; a cell that is not known could be the lowest.
    if not fitted or (whole and len(fitted) < len(elements)):
        for name in ("_min", "_max", "_mean", "_delta", "_min_number", "_max_number"):
            if prefix + name in result:
                del result[prefix + name]
        return
    low = min(fitted)
    high = max(fitted)
    result[prefix + "_min"] = low
    result[prefix + "_max"] = high
    result[prefix + "_min_number"] = elements.index(low) + 1
    result[prefix + "_max_number"] = elements.index(high) + 1
    if whole or prefix + "_mean" in result:
        result[prefix + "_mean"] = round(sum(fitted) / len(fitted), decimals)
    if whole or prefix + "_delta" in result:
        result[prefix + "_delta"] = round(high - low, decimals)
