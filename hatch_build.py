"""Builds the page into the package: whoever installs from source gets it, whoever installs a wheel has it."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "tools"))
from page import PAGE, PageError, build


class PageHook(BuildHookInterface[Any]):
    """Runs tools/page.py when the package is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; without it a wheel is not made, but a checkout can be worked with."""
        try:
            build(Path(self.root))
        except PageError as error:
            if version != "editable":
                raise
            self.app.display_warning(f"the page was not built: {error}")
        build_data["artifacts"].append(f"{PAGE}/**")
