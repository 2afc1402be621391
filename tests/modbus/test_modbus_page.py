"""The documentation of the Modbus server is true: its tables are fresh, and its example shows what it says."""

import re
import shlex
import shutil
from pathlib import Path

import modbus_page
import pytest
from modbus_served import SHED, made, port_of, serving
from test_modbus_clients import mbpoll
from test_modbus_control import obeying

from cellwire.gateway import config as files

PAGE = modbus_page.PAGE.read_text(encoding="utf-8")
CONSOLE = re.findall(r"^```console\n\$ (.+)\n((?:.*\n)*?)```", PAGE, re.MULTILINE)
EXAMPLES, WRITING = CONSOLE[:2], CONSOLE[2:]
CONFIGURATIONS = re.findall(r"^```toml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_tables_are_fresh() -> None:
    assert modbus_page.fresh(PAGE) == PAGE, "run: .venv/bin/python tools/modbus_page.py"


def test_a_page_without_a_place_for_a_table() -> None:
    with pytest.raises(ValueError, match="native map"):
        modbus_page.fresh(PAGE.replace("native map -->", "map -->"))


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
async def test_the_example(command: str, output: str, tmp_path: Path) -> None:
    """The gateway's configuration serves, and mbpoll says what the page says."""
    path = tmp_path / "cellwire.toml"
    path.write_text(CONFIGURATIONS[0], encoding="utf-8")
    settings = files.load(path).modbus
    assert (settings.listen, settings.allow) == ("0.0.0.0:502", ("192.168.1.0/24",))
    program, *arguments, host = shlex.split(command)
    assert (program, host) == ("mbpoll", "192.168.1.20")
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    async with serving(made(**SHED)[0], units=settings.units) as (_, port):
        code, said = await mbpoll(*arguments, "-p", port, "127.0.0.1")
    assert code == 0, said
    assert said.split("\n\n")[-2 if said.endswith("\n\n") else -1].strip().endswith(output.strip()), said


def test_the_other_configuration(tmp_path: Path) -> None:
    packs = "".join(f'[[pack]]\nname = "{name}"\nlink = "/dev/{name}"\n' for name in ("shed", "garage"))
    path = tmp_path / "cellwire.toml"
    path.write_text(
        f'{packs}[[bank]]\nname = "house"\npacks = ["shed", "garage"]\n{CONFIGURATIONS[1]}', encoding="utf-8"
    )
    assert files.load(path).modbus.units == ("house", "shed", "garage")


async def test_the_example_of_writing(tmp_path: Path) -> None:
    """The configuration allows it to those whom it names, and mbpoll says what the page says."""
    ((command, output),) = WRITING
    path = tmp_path / "cellwire.toml"
    path.write_text(CONFIGURATIONS[2], encoding="utf-8")
    config = files.load(path)
    assert config.modbus.grant == config.packs[0].grant == "operate"
    assert config.modbus.allow == ("192.168.1.7",)
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    program, *arguments, host, value = shlex.split(command)
    assert (program, host) == ("mbpoll", "192.168.1.20")
    async with obeying(tmp_path, config.modbus.grant, config.packs[0].grant) as place:
        code, said = await mbpoll(*arguments, "-p", port_of(place.modbus), "127.0.0.1", value)
        assert place.house.pack.writes == [{"charge_switch": False}]
    assert code == 0, said
    assert said.strip().endswith(output.strip()), said


def test_there_are_examples() -> None:
    assert (len(EXAMPLES), len(WRITING)) == (2, 1)
    assert len(CONFIGURATIONS) == 3
