"""docs/influx.md: its example runs, its settings are settings, what it says of keys is so."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from engines import VictoriaMetrics
from lineprotocol import points
from sending import until
from served import free_port, served
from test_app import online, pack, running, written

from cellwire.gateway import config as files

PAGE = (Path(__file__).parents[2] / "docs/influx.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```console\n\$ (.+)\n((?:.*\n)*?)```", PAGE, re.MULTILINE)


def placed(text: str, port: int) -> str:
    """Return words of the page with a port of our own."""
    return text.replace("127.0.0.1:8428", f"127.0.0.1:{port}")


async def test_the_example(tmp_path: Path) -> None:
    for program in (VictoriaMetrics.program, "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (start, _), (ask, shown) = COMMANDS
    port = free_port()
    server = subprocess.Popen(
        [*shlex.split(placed(start, port)), f"-storageDataPath={tmp_path}/data"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with served(tmp_path / "port", "jbd") as there:
            path = written(tmp_path, pack("shed", there.path), more=placed(SECTIONS[0], port))
            async with running(path) as gateway:
                await online(gateway, "shed")

                def outputs() -> list[dict[str, object]]:
                    return list(gateway.health()["outputs"])

                await until(lambda: int(str(outputs()[0]["sent_rows"])) >= 2, what=outputs)
                assert outputs()[0]["state"] == "running"
                assert json.loads(json.dumps(outputs()))[0]["name"] == "metrics"
                text = ""
                for _ in range(200):  # it shows what came last after a second or so
                    text = (await asyncio.to_thread(subprocess.check_output, shlex.split(placed(ask, port)))).decode()
                    if text:
                        break
                    await asyncio.sleep(0.05)
                voltage = gateway.store.packs["shed"].readings["voltage"]
    finally:
        server.kill()
        server.wait(20)
    assert re.fullmatch(".*?".join(map(re.escape, shown.split("..."))), text)
    assert all(abs(value - voltage) < 1 for value in json.loads(text)["values"])


@pytest.mark.parametrize("text", SECTIONS, ids=lambda text: re.search(r"name = \"(\w+)\"", text)[1])  # type: ignore[index]
def test_its_sections_are_configurations(text: str, tmp_path: Path) -> None:
    for name in ("influx.password", "influx.token"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    config = files.parse(text, tmp_path / "cellwire.toml")
    assert len(config.influx) == 1


def test_its_line_is_one() -> None:
    (line,) = re.findall(r"^cellwire,.*$", PAGE, re.MULTILINE)
    (point,) = points(line + "\n")
    assert point.tags == {"id": "jbd-0011223344", "pack": "shed"}
    assert point.fields["soc"] == 81
