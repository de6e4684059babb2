"""Makes a bundle from the running interpreter: see `runtime.container.bundle.ensure`.

Once a version, some seconds.  What is made is tried in an empty root before it is used.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES

from runtime.container.bundle.places import ASIDE, COMMANDS, DIRECTORY, PYTHON, RUN_DIRECTORY
from runtime.linux import locks
from runtime.linux.failpoints import reached
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.wire import elf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.store.layout import Layout

_LIBRARIES = f"/{DIRECTORY}/lib"
_LOADER = f"{_LIBRARIES}/ld.so"
# The loader reads these of every image it finds itself in; ours looks where nothing is.
_BLINDED = (
    (b"/etc/ld.so.preload", b"/.supervise/nothin"),
    (b"/etc/ld.so.cache", b"/.supervise/none"),
)
_COMMAND = """\
#!{python} -ISXutf8
import posix, sys
{before}from supervise.wire import address
address.SYSTEM_DIRECTORY = {run!r}
from {module} import main
sys.exit(main())
"""
_LEFT_OUT = ("_hashlib",)  # brings OpenSSL's 5 MB; hashlib has its own algorithms as well
# Before anything else: the process is called by its name, and children get their variables back.
_BEFORE_PID1 = """\
try:
    fd = posix.open("/proc/self/comm", posix.O_WRONLY)
    posix.write(fd, b"supervise")
    posix.close(fd)
except OSError:
    pass
import os
for name in [name for name in os.environ if name.startswith({aside!r})]:
    os.environ[name[{length}:]] = os.environ.pop(name)
"""


def build(layout: Layout, path: str) -> None:
    """Make the bundle *path*, or wait for another process that is making it.

    Raises:
        RuntimeFailure: it cannot be made; says why.
    """
    parent = os.path.dirname(path)
    files.make_directories(layout.locks)
    files.make_directories(parent, 0o755)
    with locks.lock(layout.lock("bundles")):
        for name in os.listdir(parent):
            if name.startswith(files.TEMPORARY):  # a killed builder's
                files.remove_tree(f"{parent}/{name}")
        if os.path.isdir(path):
            return
        temporary = f"{parent}/{files.TEMPORARY}{os.path.basename(path)}"
        try:
            _fill(temporary)
            _try_out(temporary)
            reached("bundle-made")
            os.rename(temporary, path)
        except (OSError, elf.ElfError, subprocess.SubprocessError, ValueError) as error:
            files.remove_tree(temporary)
            raise RuntimeFailure(
                f"cannot make the injected PID 1 from {sys.executable}: {error}",
                "--no-init runs the command without it",
            ) from error


def _fill(temporary: str) -> None:
    before = os.umask(0o022)
    try:
        root = f"{temporary}/{DIRECTORY}"
        major, minor = sys.version_info[:2]
        standard = f"{root}/lib/python{major}.{minor}"
        for directory in (
            f"{root}/bin",
            f"{standard}/lib-dynload",
            f"{root}/services.d",
            f"{root}/run",
        ):
            os.makedirs(directory)
        files.write(f"{root}/services.yaml", b"", mode=0o644)
        interpreter = os.path.realpath("/proc/self/exe")
        collected = _collect(interpreter)
        extensions = _install_modules(collected["modules"], standard)
        _install_binaries(interpreter, extensions, root)
        _install_commands(root)
    finally:
        os.umask(before)


def _collect(interpreter: str) -> dict[str, Any]:
    """Ask the interpreter itself which files its modules are."""
    import supervise

    package = os.path.dirname(os.path.abspath(supervise.__file__ or ""))
    names = sorted(_wanted_modules(package))
    look_in = [os.path.dirname(package), *(place for place in sys.path if place)]
    collector = os.path.join(os.path.dirname(__file__), "collect.py")
    done = subprocess.run(
        [interpreter, "-I", collector, json.dumps(look_in), json.dumps(names)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip()[-500:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _wanted_modules(package: str) -> set[str]:
    """Return every module that any file of *package* imports, wherever in it."""
    found = {"supervise"}
    for folder, inner, names in os.walk(package):
        inner[:] = [name for name in inner if not name.startswith("__")]
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                module = os.path.relpath(path, os.path.dirname(package))[:-3].replace("/", ".")
                found.add(module.removesuffix(".__init__"))
                with open(path, encoding="utf-8") as file:
                    found |= _imports(ast.parse(file.read()))
    return found - {"supervise.__main__"} | {"__future__"}


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            found |= _imports(ast.Module(node.orelse, []))
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        found |= _imports(node)
    return found


def _install_modules(modules: dict[str, dict[str, Any]], standard: str) -> list[tuple[str, str]]:
    """Compile the modules into *standard*; return (source, target) of compiled extensions."""
    extensions = []
    for name, found in modules.items():
        path, parts = found["path"], name.split(".")
        if name in _LEFT_OUT:
            continue
        if path.endswith(tuple(EXTENSION_SUFFIXES)):
            place = (
                os.path.join(standard, *parts[:-1]) if len(parts) > 1 else f"{standard}/lib-dynload"
            )
            extensions.append((path, os.path.join(place, os.path.basename(path))))
            continue
        if not path.endswith(".py"):
            continue
        target = (
            os.path.join(standard, *parts, "__init__")
            if found["package"]
            else os.path.join(standard, *parts)
        )
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _compile(path, f"{target}.pyc", name)
    main = importlib.util.find_spec("supervise.__main__")
    assert main is not None
    assert main.origin is not None
    _compile(main.origin, f"{standard}/supervise/__main__.pyc", "supervise.__main__")
    return extensions


def _compile(source: str, target: str, name: str) -> None:
    """Write an optimised, unchecked .pyc (PEP 552): nothing is compared with a source at start."""
    with open(source, "rb") as file:
        text = file.read()
    code = compile(text, f"<{name}>", "exec", dont_inherit=True, optimize=2)
    unchecked = (0b01).to_bytes(4, "little")
    data = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(text)
    with open(target, "wb") as file:
        file.write(data + marshal.dumps(code))


def _install_binaries(interpreter: str, extensions: list[tuple[str, str]], root: str) -> None:
    """Copy the interpreter, its loader, the extensions and every library that they load."""
    with open(interpreter, "rb") as file:
        program = file.read()
    loader = elf.interpreter(program)
    libraries: dict[str, str] = {}
    if loader:
        for path in (interpreter, *(source for source, _ in extensions)):
            libraries.update(_needed(loader, path))
        with open(loader, "rb") as file:
            data = file.read()
        for wanted, nothing in _BLINDED:
            data = data.replace(wanted + b"\0", nothing + b"\0")
        _write(f"{root}/lib/ld.so", data, executable=True)
    _write(
        f"{root}/lib/python", elf.patch(program, rpath=_LIBRARIES, loader=_LOADER), executable=True
    )
    libraries.pop(os.path.basename(loader), None)
    for name, path in libraries.items():
        _copy_patched(path, f"{root}/lib/{name}")
    for source, target in extensions:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy_patched(source, target)


def _needed(loader: str, path: str) -> dict[str, str]:
    """Return name → path of the libraries that *path* needs, as the loader itself resolves them."""
    done = subprocess.run(
        [loader, "--list", path], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    found = {}
    for line in done.stdout.decode(errors="surrogateescape").splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and rest.startswith("/"):
            found[os.path.basename(name)] = rest.rpartition(" (")[0]
        elif arrow and "not found" in rest:
            raise ValueError(f"{path} needs {name}, which this machine does not have")
    return found


def _copy_patched(source: str, target: str) -> None:
    with open(source, "rb") as file:
        data = file.read()
    _write(target, elf.patch(data, rpath=_LIBRARIES), executable=False)


def _write(target: str, data: bytes, *, executable: bool) -> None:
    files.write(target, data, mode=0o755 if executable else 0o644, sync=False)


def _install_commands(root: str) -> None:
    before = _BEFORE_PID1.format(aside=ASIDE, length=len(ASIDE))
    for name, module, first in (
        ("supervise", "supervise.__main__", before),
        ("supervisectl", "supervise.cli.supervisectl", ""),
    ):
        text = _COMMAND.format(python=PYTHON, module=module, before=first, run=RUN_DIRECTORY)
        _write(f"{root}/bin/{name}", text.encode(), executable=True)


def _try_out(temporary: str) -> None:
    """Run it where there is nothing else: a root directory of its own."""
    done = subprocess.run(
        [
            shutil.which("chroot") or "/usr/sbin/chroot",
            temporary,
            f"{COMMANDS}/supervise",
            "--version",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={},
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ValueError(f"it does not run in an empty root: {said[-500:]}")
