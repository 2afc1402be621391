"""Lets `python -m cellwire` be the command."""

import sys

from .cli import main

sys.exit(main())
