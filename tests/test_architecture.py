"""The rules of the tree: who may import whom, and what code that also runs on MicroPython may not use."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/cellwire"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

# What a folder may import of ours, besides itself. `families` means any family, `.` nothing.
ALLOWED = {
    "codec": (),
    "readings": (),
    "families": ("codec",),
    "links": (),
    "gateway": ("codec", "families", "readings", "links"),
    "outputs": (
        "readings",
        "gateway.store",
        "gateway.backup",
        "gateway.durations",
        "gateway.events",
        "gateway.config",
        "gateway.control",
        "gateway.journal",
        "gateway.presets",
        "gateway.release",
        "gateway.settings",
        "",
    ),
    "sim": ("codec", "families", "readings"),
    "commands": ("codec", "families", "readings", "links", "gateway", "outputs", "sim", "cli", ""),
    "cli": ("commands", ""),
    "__main__": ("cli",),
    "__init__": (),
}

# The one file that puts everything together.
TOGETHER = "gateway/app.py"
EXTRA = {
    TOGETHER: ("outputs", ""),
    # Modbus RTU answers on a serial port, with the checksum that the families have.
    "outputs/modbus/rtu.py": ("links.link", "links.serial", "codec.checksum"),
}

# The pure folders may import these of the standard library, and nothing else at run time.
PURE = ("struct", "math")
# Guests do not run on MicroPython: the libraries that they come from do not either.
NOT_PURE = ("codec/compiled.py", "families/proof.py", "families/aiobmsble/__init__.py")

# Where `except Exception` may stand: around Bluetooth libraries, whose errors have no common base, in the run loop of
# an output, where parts are put together and kept running, and where the exit code would mean something else.
CATCHERS = ("links/ble/", "sim/ble.py", "outputs/", "gateway/app.py", "gateway/keeper.py", "commands/check.py")

# Outputs that speak to other programs.
OTHERS = ("outputs/mqtt/", "outputs/modbus/", "outputs/influx/")

# Which modules of other people are imported where.
OWNERS = {
    "aiohttp": ("outputs/web/", "outputs/influx/"),
    "argon2": ("outputs/web/",),
    "aiomqtt": ("outputs/mqtt/",),
    "paho": ("outputs/mqtt/",),
    "serial": ("links/",),
    "bleak": ("links/ble/",),
    "dbus_fast": ("links/ble/",),
    "bleak_esphome": ("links/ble/",),
    "habluetooth": ("links/ble/",),
    "aioesphomeapi": ("links/ble/",),
    "aiobmsble": ("links/ble/",),
    "bumble": ("sim/",),
    "sqlite3": ("outputs/history/", "commands/history.py"),
}

# Only these wait with a time limit; everything else is told how much time passed. (Detection listens for a while, and
# a command stops when its --seconds are over.)
WAITERS = ("gateway/session.py", "gateway/detect.py", "links/", "flash/", "commands/", *OTHERS)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_twin(module: str) -> bool:
    return module.startswith("families/") and module.endswith("twin.py")


def is_shared(module: str) -> bool:
    """Return whether the module also runs on MicroPython."""
    return module.split("/")[0] in ("codec", "readings", "families") and module not in NOT_PURE and not is_twin(module)


SHARED = [module for module in MODULES if is_shared(module)]
each_module = pytest.mark.parametrize("module", MODULES)
each_shared = pytest.mark.parametrize("module", SHARED)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below, without what stands in an `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from at_run_time(child)


def imports(module: str, types_too: bool = False) -> set[str]:
    """Return what a module imports, in full: "struct", "cellwire.codec.table"."""
    found: set[str] = set()
    package = ("cellwire/" + module).split("/")[:-1]
    path = SOURCE / module
    nodes = ast.walk(tree(path)) if types_too else at_run_time(tree(path))
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                # `from .codec import table` names a module, `from .table import decode` a thing in one.
                whole = Path(ROOT / "src", *base, alias.name)
                is_module = whole.is_dir() or whole.with_suffix(".py").exists()
                found.add(".".join([*base, alias.name] if is_module else base))
    return found


def ours(module: str) -> set[str]:
    """Return what a module imports of ours, without the leading "cellwire."; typing is no excuse here."""
    return {
        name[len("cellwire") :].lstrip(".")
        for name in imports(module, types_too=True)
        if name.split(".")[0] == "cellwire"
    }


def inside(name: str, folder: str) -> bool:
    return name == folder or (folder != "" and name.startswith(folder + "."))


@each_module
def test_imports_only_what_its_folder_may(module: str) -> None:
    folder = module.split("/")[0].removesuffix(".py")
    allowed = (folder, *ALLOWED[folder], *EXTRA.get(module, ()))
    wrong = {name for name in ours(module) if not any(inside(name, other) for other in allowed)}
    assert not wrong, f"{module} may not import {sorted(wrong)}"


@each_module
def test_families_do_not_know_each_other(module: str) -> None:
    parts = module.split("/")
    if parts[0] == "families" and len(parts) == 3:
        wrong = {
            name
            for name in ours(module)
            if inside(name, "families") and name != "families" and not inside(name, f"families.{parts[1]}")
        }
        assert not wrong


@each_module
def test_a_twin_writes_its_frames_anew(module: str) -> None:
    if is_twin(module):
        wrong = {name for name in ours(module) if name.endswith((".frames", ".checksum"))}
        assert not wrong, f"{module} shares {sorted(wrong)} with the code it is there to judge"


@each_module
def test_nobody_imports_the_command_line(module: str) -> None:
    if module.split("/")[0] not in ("commands", "cli.py", "__main__.py"):
        wrong = {name for name in ours(module) if name.split(".")[0] in ("cli", "commands", "doctor")}
        if module.split("/")[0] != "outputs" and module != TOGETHER:
            wrong |= {name for name in ours(module) if name.split(".")[0] == "outputs"}
        assert not wrong


@each_module
def test_others_are_imported_by_their_owners_only(module: str) -> None:
    for name in {name.split(".")[0] for name in imports(module)} & set(OWNERS):
        assert module.startswith(OWNERS[name]), f"{name} belongs to {', '.join(OWNERS[name])}"


def test_compiled_is_used_by_the_table_only() -> None:
    users = {module for module in MODULES if "codec.compiled" in ours(module)}
    assert users <= {"codec/table.py"}


@each_shared
def test_pure_folders_import_only_pure_modules(module: str) -> None:
    allowed = (*PURE, "sys") if module == "codec/table.py" else PURE
    wrong = {name for name in imports(module) if name not in allowed and name.split(".")[0] != "cellwire"}
    assert not wrong


def annotations(module: ast.Module) -> set[int]:
    """Return the ids of all nodes inside annotations: MicroPython passes over those."""
    found: set[int] = set()
    for node in ast.walk(module):
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if isinstance(annotation, ast.AST):
                found.update(id(part) for part in ast.walk(annotation))
    return found


FORBIDDEN_METHODS = (
    "ljust", "rjust", "zfill", "removeprefix", "removesuffix", "bit_length", "bit_count", "casefold", "isprintable",
    "isascii", "maketrans", "translate",
)  # fmt: skip


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def nested(format_spec: ast.AST) -> bool:
    return any(isinstance(inner, ast.FormattedValue) for inner in ast.walk(format_spec))


def complaint(node: ast.AST) -> str:
    """Return why MicroPython cannot run this node, or ""."""
    if isinstance(node, ast.Match):
        return "match"
    if isinstance(node, ast.arguments) and node.posonlyargs:
        return "a slash among the parameters"
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and any(
        isinstance(element, ast.Starred) and isinstance(element.ctx, ast.Load) for element in node.elts
    ):
        return "[*a]: add the lists"
    if isinstance(node, ast.Dict) and None in node.keys:
        return "{**a}: use update"
    if isinstance(node, ast.Raise) and node.cause is not None and not is_none(node.cause):
        return "raise from"
    if isinstance(node, ast.Delete) and any(
        isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice) for target in node.targets
    ):
        return "del b[:n]: assign the rest"
    if isinstance(node, ast.Slice) and isinstance(node.step, ast.UnaryOp):
        return "a slice that runs backwards"
    if isinstance(node, ast.Attribute):
        if node.attr in FORBIDDEN_METHODS:
            return f".{node.attr}"
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == "struct"
            and node.attr in ("Struct", "error", "iter_unpack")
        ):
            return f"struct.{node.attr}"
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.Constant) and set("{}") & set(str(part.value)):
                return "braces in an f-string"
            if isinstance(part, ast.FormattedValue) and part.format_spec is not None and nested(part.format_spec):
                return "braces in the format of an f-string"
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("list", "dict", "tuple", "set", "frozenset", "type")
    ):
        return f"{node.value.id}[...] outside an annotation"
    if isinstance(node, ast.AsyncFunctionDef | ast.Await):
        return "async: codecs do not wait"
    if isinstance(node, ast.Call):
        return call_complaint(node)
    return ""


def call_complaint(node: ast.Call) -> str:
    """Return why MicroPython cannot make this call, or ""."""
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    keywords = {keyword.arg for keyword in node.keywords}
    if name == "zip" and "strict" in keywords:
        return "zip(strict=)"
    if name in ("from_bytes", "to_bytes") and (keywords or len(node.args) < 2):
        return f"{name} with keywords, or without the byte order"
    if name in ("decode", "encode") and ("errors" in keywords or "encoding" in keywords):
        return f"{name}(errors=)"
    if name in ("print", "input", "open", "exec", "eval"):
        return f"{name}()"
    if name in ("pack", "unpack", "unpack_from", "pack_into", "calcsize"):
        form = node.args[0] if node.args else None
        if isinstance(form, ast.Constant) and "?" in str(form.value):
            return "typecode ? of struct"
    return ""


@each_shared
def test_shared_code_keeps_to_the_subset(module: str) -> None:
    whole = tree(SOURCE / module)
    passed_over = annotations(whole)
    wrong = [
        f"line {getattr(node, 'lineno', '?')}: {text}"
        for node in at_run_time(whole)
        if id(node) not in passed_over and (text := complaint(node))
    ]
    assert not wrong


@each_shared
def test_quoted_where_the_name_is_for_types_only(module: str) -> None:
    """CPython evaluates what is not quoted; a name of the TYPE_CHECKING block is not there then."""
    whole = tree(SOURCE / module)
    names: set[str] = set()
    for block in (node for node in whole.body if is_type_checking(node)):
        for node in ast.walk(block):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    used = {
        node.id
        for node in at_run_time(whole)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names
    }
    assert not used


EVERYTHING = [
    path
    for folder in ("src", "tests", "bench", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stat().st_size
]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_does(path: Path) -> None:
    text = ast.get_docstring(tree(path)) or ""
    sentence = text.split("\n\n")[0]
    assert sentence.endswith("."), f"{path.name} opens with no sentence"


@each_module
def test_nothing_is_caught_blindly(module: str) -> None:
    handlers = [node for node in ast.walk(tree(SOURCE / module)) if isinstance(node, ast.ExceptHandler)]
    blind = [
        node.lineno
        for node in handlers
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
    ]
    assert len(blind) <= module.startswith(CATCHERS), f"lines {blind}"


@each_module
def test_only_sessions_and_links_wait_with_a_limit(module: str) -> None:
    if module.startswith(WAITERS):
        return
    lines = [
        node.lineno
        for node in ast.walk(tree(SOURCE / module))
        if isinstance(node, ast.Attribute)
        and node.attr in ("timeout", "timeout_at", "wait_for")
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    ]
    assert not lines


def loaded_after(code: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after the code."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


HEAVY = {"asyncio", "serial", "aiohttp", "http", "socket", "ssl", "logging", "json", "argparse", "bleak", "unittest"}


def test_importing_the_families_is_light() -> None:
    bare = loaded_after("")
    code = "import cellwire.families, cellwire.readings.catalogue; cellwire.families.dialects()"
    loaded = loaded_after(code) - bare
    assert not loaded & HEAVY


def test_asking_for_the_version_is_light() -> None:
    code = "import contextlib, cellwire.cli\nwith contextlib.suppress(SystemExit): cellwire.cli.main(['--version'])"
    assert not loaded_after(code) & {"asyncio", "serial", "aiohttp", "socket", "cellwire.families"}


def test_nothing_of_this_machine_is_written_down() -> None:
    """No path and no host of the machine where it was made belongs into the repository."""
    marks = ["/ro" + "ot/", "/wo" + "rk/", "sha" + "red/vectors", "sha" + "red/protocols", "--index" + "-url"]
    folders = [ROOT / name for name in ("src", "tests", "bench", "tools", "docs", ".ci")]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}: {mark}"
        for path in files
        if path.suffix != ".pyc"
        for mark in marks
        if mark in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert not found


def test_shows_the_largest(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes are judged by people: this only shows them, with `make check`."""
    files = sorted(((len((SOURCE / m).read_text(encoding="utf-8").splitlines()), m) for m in MODULES), reverse=True)
    functions = sorted(
        (
            ((node.end_lineno or 0) - node.lineno + 1, f"{module}: {node.name}")
            for module in MODULES
            for node in ast.walk(tree(SOURCE / module))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ),
        reverse=True,
    )
    with capsys.disabled():
        if sys.stdout.isatty() or "-s" in sys.argv:
            print("\nlargest files:    ", ", ".join(f"{name} {size}" for size, name in files[:6]))
            print("largest functions:", ", ".join(f"{name} {size}" for size, name in functions[:6]))
    assert files
    assert functions
