"""The configuration: one TOML file, checked whole, edited without losing its comments."""

from .check import ConfigError, Mistake, load, parse, port, read
from .edit import document, first, with_bank, with_pack, with_section, without_bank, without_pack, write
from .settings import BankSettings, Config, HistorySettings, LimitSettings, PackSettings, WebSettings

__all__ = [
    "BankSettings",
    "Config",
    "ConfigError",
    "HistorySettings",
    "LimitSettings",
    "Mistake",
    "PackSettings",
    "WebSettings",
    "document",
    "first",
    "load",
    "parse",
    "port",
    "read",
    "with_bank",
    "with_pack",
    "with_section",
    "without_bank",
    "without_pack",
    "write",
]
