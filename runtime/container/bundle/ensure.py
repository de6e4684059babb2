"""The bundle of the injected PID 1: made when it is missing, put in front of the command.

A bundle is a directory with nothing but ``.supervise``: an interpreter, its loader and libraries,
the modules PID 1 needs, the commands ``supervise`` and ``supervisectl``.  It is a lower layer of
the overlay, so an image never has to contain anything, and `diff` and `commit` never see it.
Bundles are named by what they were made of, made once
(`runtime.container.bundle.assemble`) and never changed: running containers have them mapped.
"""

from __future__ import annotations

import os
import sys

from runtime.container.bundle.places import (
    COMMANDS,
    PYTHON,
    SERVICES_DIRECTORY,
    SERVICES_FILE,
)
from runtime.model.errors import RuntimeFailure
from supervise import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

_FORMAT = 1  # of what `assemble` makes


def ensure(layout: Layout) -> str:
    """Return the directory of the bundle for this program, made when it is not there.

    Raises:
        RuntimeFailure: it cannot be made; says why.
    """
    path = f"{layout.root}/bundles/{_key()}"
    if not os.path.isdir(path):
        _build_aside(layout, path)
    return path


def _build_aside(layout: Layout, path: str) -> None:
    """Build in a child, for that takes 15 MB of modules which a monitor must not carry on.

    Raises:
        RuntimeFailure: what the child met.
    """
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            from runtime.container.bundle import assemble

            assemble.build(layout, path)
        except RuntimeFailure as failure:
            os.write(write_fd, f"{failure.message}\0{failure.hint}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as report:
        message, _, hint = report.read().decode(errors="replace").partition("\0")
    os.waitpid(pid, 0)
    if message or not os.path.isdir(path):
        raise RuntimeFailure(message or "the injected PID 1 could not be built", hint)


def argv(spec: Spec) -> tuple[str, ...]:
    """Return the command line of PID 1."""
    config = ("-c", services_place(spec)) if spec.services else ()
    command = ("--", *spec.argv) if spec.argv else ()
    return (PYTHON, "-ISXutf8", f"{COMMANDS}/supervise", *config, *command)


def services_place(spec: Spec) -> str:
    """Return where the container has what --services names: a file, or a directory of files."""
    return SERVICES_DIRECTORY if os.path.isdir(spec.services) else SERVICES_FILE


def _key() -> str:
    """Return a name for what a bundle would be made of."""
    from _blake2 import blake2b  # without hashlib's 5 ms

    import supervise

    digest = blake2b(digest_size=8)
    interpreter = os.stat("/proc/self/exe")
    digest.update(f"{_FORMAT} {interpreter.st_size} {interpreter.st_mtime_ns}".encode())
    for name in ("assemble.py", "collect.py"):
        found = os.stat(os.path.join(os.path.dirname(__file__), name))
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}".encode())
    package = os.path.dirname(os.path.abspath(supervise.__file__ or ""))
    for folder in _folders(package):
        with os.scandir(folder) as entries:
            modules = sorted((e.name, e.stat()) for e in entries if e.name.endswith(".py"))
        for name, status in modules:
            digest.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    major, minor = sys.version_info[:2]
    return f"{__version__}-{major}.{minor}-{os.uname().machine}-{digest.hexdigest()}"


def _folders(package: str) -> list[str]:
    """Return *package* and every folder below it, in a stable order."""
    folders = [package]
    for folder in folders:
        with os.scandir(folder) as entries:
            inner = sorted(e.path for e in entries if e.is_dir() and not e.name.startswith("__"))
        folders += inner
    return folders
