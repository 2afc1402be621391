"""A gateway on simulated packs, as a household has it, and the browser in which people look at it."""

import contextlib
import json
import os
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request
from served import Running, Served, called, free_port, running, served

PASSWORDS = {"admin": "garden of cells", "helper": "only switches here", "viewer": "just looking around"}
GRANTS = {"admin": "service", "helper": "operate", "viewer": "read"}
SCREENSHOTS = Path(__file__).parent.parent.parent / "build/screenshots"


def chromium() -> str:
    """Return the path of the browser; without it a test is skipped, but not on the machine that judges changes."""
    for name in ("chromium", "chromium-browser"):
        if found := shutil.which(name):
            return found
    text = "no chromium here; sudo apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


class House:
    """A running gateway with the packs shed and garage, which form the bank house."""

    def __init__(self, folder: Path, process: Running, port: int, packs: dict[str, Served]) -> None:
        self.folder = folder
        self.process = process
        self.address = f"http://127.0.0.1:{port}/"
        self.packs = packs
        self.file = folder / "cellwire.toml"

    def get(self, what: str) -> Any:
        """Return what the API answers a guest."""
        with urllib.request.urlopen(f"{self.address}api/v1/{what}", timeout=10) as answer:
            return json.load(answer)

    def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something is true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not in {seconds} s; the gateway said: {self.process.errors}"
            time.sleep(0.05)

    def online(self, *names: str) -> None:
        """Wait until these packs are online."""

        def all_there() -> bool:
            states = {pack["pack"]: pack["state"] for pack in self.get("packs")["packs"]}
            return all(states.get(name) == "online" for name in names)

        self.until(all_there)

    def reload(self) -> None:
        """Tell the gateway to read its configuration again."""
        self.process.process.send_signal(signal.SIGHUP)


def pack_text(name: str, link: str, more: str = "") -> str:
    """Return the section of a pack."""
    limits = '[pack.limits]\nchemistry = "lfp"\ncharge_current = 100.0\ndischarge_current = 150.0\n'
    family = 'family = "jbd"\naddress = 0\nevery = 0.5\n'
    return f'[[pack]]\nname = "{name}"\nlink = "{link}"\n{family}{more}{limits}'


@contextlib.contextmanager
def house(folder: Path, guests: bool = True, users: bool = True, grant: str = "read") -> Iterator[House]:
    """Yield a running gateway; with users it has one of each grant. grant: what may be done to its packs."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    with contextlib.ExitStack() as stack:
        packs = {
            name: stack.enter_context(served(folder / name, "jbd", cells=16, seed=number))
            for number, name in enumerate(("shed", "garage"), 1)
        }
        text = f'# The house\n[web]\nlisten = "127.0.0.1:{port}"\nguests = {str(guests).lower()}\n'
        text += "[history]\nevery = 1.0\ncommit = 1.0\n"
        text += '[[bank]]\nname = "house"\npacks = ["shed", "garage"]\n'
        text += "".join(pack_text(name, pack.path, f'grant = "{grant}"\n') for name, pack in packs.items())
        (folder / "cellwire.toml").write_text(text, encoding="utf-8")
        for name, grant in GRANTS.items() if users else ():
            result = called(
                "user", "add", name, "--grant", grant, "--password-stdin", "-c", folder / "cellwire.toml",
                given=PASSWORDS[name] + "\n",
            )  # fmt: skip
            assert result.returncode == 0, result.stderr
        process = stack.enter_context(running("run", "-c", folder / "cellwire.toml"))
        found = House(folder, process, port, packs)
        process.complaint("the page is on" if users else "setup")
        yield found


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.address = address
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, kind: str, text: str) -> None:
        # What the browser itself says of an answer like 401 is no mistake of the page.
        if kind in ("error", "warning") and not re.search(r"status of (400|401|403|422|429|409)", text):
            self.complaints.append(text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "blob:" + self.address)):
            self.foreign.append(request.url)

    def open(self, where: str = "#/") -> Page:
        """Return the page, gone to that view."""
        self.page.goto(self.address + where)
        return self.page

    def log_in(self, name: str, password: str = "") -> Page:
        """Log in as that user; return the page."""
        page = self.open("#/login")
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Password", exact=True).fill(password or PASSWORDS[name])
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        return page

    def forgive(self, *words: str) -> None:
        """Take back what the browser said with one of these words in it."""
        self.complaints = [text for text in self.complaints if not any(word in text for word in words)]

    def close(self) -> None:
        """Leave the page; fail when something went wrong on it, or another host was asked."""
        self.context.close()
        assert not self.complaints, self.complaints
        assert not self.foreign, self.foreign
