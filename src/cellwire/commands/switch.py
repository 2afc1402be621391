"""cellwire switch: a MOSFET, the balancer or the heater on or off."""

import argparse

from ..cli import USAGE, Failure
from .change import OnePack, on_pack


def run(options: argparse.Namespace) -> int:
    """Switch, and read back whether it did."""

    async def work(pack: OnePack) -> int:
        name = f"{options.what}_switch"
        known = [each.name for each in pack.control.commands(pack.name)]
        if name not in known:
            there = [each.removesuffix("_switch") for each in known if each.endswith("_switch")]
            has = f"it has {', '.join(there)}" if there else "it has no switch at all"
            raise Failure(USAGE, f"{pack.name} has no {options.what} that can be switched; {has}")
        return await pack.change({name: options.state == "on"})

    return on_pack(options, work)
