"""The configuration: one TOML file, checked whole, edited without losing its comments."""

from .bluetooth import BluetoothSettings, ProxySettings
from .check import ConfigError, Mistake, load, parse, port, read
from .edit import (
    document,
    first,
    with_bank,
    with_pack,
    with_section,
    without_bank,
    without_pack,
    without_secrets,
    write,
)
from .outputs import (
    DeadBandSettings,
    HomeAssistantSettings,
    InfluxSettings,
    ModbusSettings,
    MqttSettings,
    PeriodSettings,
)
from .settings import BankSettings, Config, HistorySettings, LimitSettings, PackSettings, WebSettings

__all__ = [
    "BankSettings",
    "BluetoothSettings",
    "Config",
    "ConfigError",
    "DeadBandSettings",
    "HistorySettings",
    "HomeAssistantSettings",
    "InfluxSettings",
    "LimitSettings",
    "Mistake",
    "ModbusSettings",
    "MqttSettings",
    "PackSettings",
    "PeriodSettings",
    "ProxySettings",
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
    "without_secrets",
    "write",
]
