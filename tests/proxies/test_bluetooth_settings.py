"""The sections [bluetooth] and [[proxy]]: what they mean, what is wrong in them, and that the key stays hidden."""

from pathlib import Path

import pytest

from cellwire.gateway.config import (
    BluetoothSettings,
    ConfigError,
    ProxySettings,
    document,
    parse,
    with_section,
    without_secrets,
)

PATH = Path("cellwire.toml")
KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="
PROXY = '[[proxy]]\nname = "kitchen"\nhost = "kitchen.local"\n'


def test_what_the_sections_mean(tmp_path: Path) -> None:
    (tmp_path / "shed.key").write_text(KEY)
    text = f"""
[bluetooth]
adapters = ["hci0", "hci2"]
slots = 3
turn = 45
restart = false
[[proxy]]
name = "kitchen"
host = "192.168.1.40"
encryption_key = "{KEY}"
[[proxy]]
name = "shed-1"
host = "shed.local"
port = 6054
encryption_key_file = "shed.key"
"""
    config = parse(text, tmp_path / "c.toml")
    assert config.bluetooth == BluetoothSettings(("hci0", "hci2"), 3, 45.0, False)
    kitchen = ProxySettings("kitchen", "192.168.1.40", 6053, KEY)
    shed = ProxySettings("shed-1", "shed.local", 6054, "", tmp_path / "shed.key")
    assert config.proxies == (kitchen, shed)


def test_nothing_is_all_adapters_and_no_proxy() -> None:
    config = parse("", PATH)
    assert config.bluetooth == BluetoothSettings((), 5, 20.0, True)
    assert config.proxies == ()


def test_the_key_is_never_shown() -> None:
    text = f'{PROXY}encryption_key = "{KEY}"\n'
    config = parse(text, PATH)
    assert KEY not in repr(config)
    assert KEY not in str(document(config))
    assert KEY not in without_secrets(text)
    assert document(config)["proxies"][0]["host"] == "kitchen.local"


def test_the_key_is_not_repeated_in_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'{PROXY}encryption_key = "{KEY[:-2]}"\n', PATH)
    assert KEY[:8] not in str(caught.value)


def test_other_keys_of_the_page_stay_visible(tmp_path: Path) -> None:
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).touch()
    config = parse('[web]\ncertificate = "a.pem"\nkey = "b.pem"\n', tmp_path / "c.toml")
    assert document(config)["web"]["key"] == "b.pem"


def test_a_section_is_changed_in_the_text() -> None:
    text = with_section(f"# ours\n{PROXY}", "bluetooth", {"slots": 2, "turn": 20.0})
    assert parse(text, PATH).bluetooth == BluetoothSettings(slots=2)
    assert "# ours" in text


@pytest.mark.parametrize(
    ("text", "key", "problem", "fix"),
    [
        ('[bluetooth]\nadapters = ["usb0"]', "bluetooth.adapters", "'usb0' is not an adapter", "bluetoothctl list"),
        ("[bluetooth]\nslots = 0", "bluetooth.slots", "not between 1 and 20", "1 to 20"),
        ("[bluetooth]\nturn = 2", "bluetooth.turn", "not between 5 and 600", "5 to 600"),
        ('[[proxy]]\nname = "a"', "proxy.host", "host is missing", 'host = "kitchen.local"'),
        ('[[proxy]]\nname = "hci0"\nhost = "a"', "proxy.name", "the name of an adapter", "write another"),
        ('[[proxy]]\nname = "a b"\nhost = "a"', "proxy.name", "'a b' is not a name", "kitchen"),
        ('[[proxy]]\nname = "a"\nhost = "http://a"', "proxy.host", "is not a host", "kitchen.local"),
        ('[[proxy]]\nname = "a"\nhost = "a:6053"', "proxy.host", "is not a host", "the port is a key"),
        (f'{PROXY}encryption_key = "abc"', "proxy.encryption_key", "no encryption key of ESPHome", "44 characters"),
        (f'{PROXY}encryption_key_file = "no"', "proxy.encryption_key_file", "there is no file no", "put the file"),
        (f'{PROXY}[[proxy]]\nname = "kitchen"\nhost = "b"', "proxy.name", "is in line 2", "a name of its own"),
        (f'{PROXY}[[proxy]]\nname = "b"\nhost = "Kitchen.local"', "proxy.host", "the proxy of line 3", "take one"),
        ('[proxy]\nname = "a"\nhost = "b"', "proxy", "one bracket", "[[proxy]]"),
    ],
)
def test_mistakes(text: str, key: str, problem: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH)
    (found,) = caught.value.mistakes
    assert found.key == key
    assert problem in found.problem
    assert fix in found.fix


def test_a_key_given_twice_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(KEY)
    with pytest.raises(ConfigError, match="take one of encryption_key"):
        parse(f'{PROXY}encryption_key = "{KEY}"\nencryption_key_file = "k"\n', tmp_path / "c.toml")
