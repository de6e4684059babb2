"""What PID 1 does by path, beside `supervise.linux.directory`: a short list, each with its reason.

A path leads where whoever may write to one of its directories says.  Files are opened, made,
renamed and removed in a directory that is held; what is here reads what root alone can place, or
opens nothing at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Runs in PID 1, or in its child that reads the configuration.
FOLDERS = ("daemon", "linux", "config", "model", "wire")
ITSELF = "linux/directory.py"

_OF_OS = frozenset(
    [
        "access",
        "chmod",
        "chown",
        "lchown",
        "link",
        "listdir",
        "lstat",
        "makedirs",
        "mkdir",
        "mkfifo",
        "mknod",
        "open",
        "readlink",
        "remove",
        "removedirs",
        "rename",
        "renames",
        "replace",
        "rmdir",
        "scandir",
        "stat",
        "statvfs",
        "symlink",
        "truncate",
        "unlink",
        "utime",
        "getxattr",
        "setxattr",
        "removexattr",
        "walk",
        "fwalk",
    ]
)
_OF_PATH = frozenset(("exists", "isfile", "isdir", "islink", "lexists", "realpath", "getmtime"))

_PROC = "of /proc and /sys, which the kernel writes"
_ROOTS = "of a path that is written here and is root's in every image"
_LOOKS = "says only whether a path leads somewhere; what is opened is opened elsewhere"

ALLOWED = {
    ("linux/procfs.py", "os.open"): _PROC,
    ("linux/procfs.py", "os.listdir"): _PROC,
    ("linux/procfs.py", "os.stat"): _PROC,
    ("linux/procfs.py", "os.readlink"): _PROC,
    ("linux/procfs.py", "os.path.exists"): _PROC,
    ("linux/child.py", "os.open"): _PROC,
    ("linux/machine.py", "open"): _PROC,
    ("linux/machine.py", "os.access"): _PROC,
    ("linux/machine.py", "os.path.exists"): _PROC,
    ("linux/machine.py", "os.path.isdir"): _PROC,
    ("linux/machine.py", "os.open"): "of the root directory, to learn whether it can be watched",
    ("linux/descriptors.py", "os.listdir"): _PROC,
    ("linux/descriptors.py", "os.open"): _ROOTS,
    ("linux/identity.py", "os.stat"): "words why passwd(5) cannot be used; opens nothing",
    ("linux/regular.py", "open"): "`read_given`: a file that a person names on a command line",
    ("linux/regular.py", "os.open"): "callers name passwd(5) or hold the object; never read unseen",
    ("linux/regular.py", "os.stat"): "the first look of `open_path`; the descriptor gets a second",
    ("daemon/kernel.py", "os.open"): _ROOTS,
    ("linux/unixsocket.py", "os.readlink"): _PROC,
    ("linux/unixsocket.py", "os.lstat"): "compares what clients will find with our own socket",
    ("linux/spawn.py", "os.path.exists"): "words the reason why execve(2), which failed, did",
    ("linux/spawn.py", "os.path.isdir"): "words the reason why execve(2), which failed, did",
    ("linux/spawn.py", "os.stat"): "words the reason why execve(2), which failed, did",
    ("daemon/logs/sinks.py", "os.open"): "of /proc/self/fd: a descriptor we were started with",
    ("daemon/logs/console.py", "os.readlink"): "does a path mean our own stdout; opens nothing",
    ("config/dialects.py", "os.stat"): _LOOKS,
    ("config/search.py", "os.path.exists"): _LOOKS,
    ("config/search.py", "os.path.isfile"): _LOOKS,
    ("config/search.py", "os.listdir"): "names of *.yaml files, each then opened safely",
    ("config/yaml/files.py", "os.path.isdir"): _LOOKS,
    ("config/yaml/files.py", "os.path.realpath"): "a key: has this file been read already",
    ("config/compiled.py", "os.stat"): "`supervise compile`: only takes rights from the plan",
    ("config/config_verbs.py", "os.open"): _ROOTS,
}


class Call:
    """One call that takes a path."""

    def __init__(self, file: str, line: int, name: str) -> None:
        self.file = file
        self.line = line
        self.name = name

    def __str__(self) -> str:
        return f"supervise/{self.file}:{self.line} calls {self.name}"


def calls() -> list[Call]:
    """Return every call by path in what runs in PID 1."""
    return [call for folder in FOLDERS for call in _in_folder(ROOT / "supervise" / folder)]


def _in_folder(folder: Path) -> Iterator[Call]:
    for path in sorted(folder.rglob("*.py")):
        file = str(path.relative_to(ROOT / "supervise"))
        if file == ITSELF:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (name := _by_path(node)):
                yield Call(file, node.lineno, name)


def _by_path(node: ast.Call) -> str:
    """Return the name of the function if it takes a path here, else ""."""
    name = ast.unparse(node.func)
    function = name.rpartition(".")[2]
    plain = name == "open" and not _is_descriptor(node.args[0])
    of_os = name == f"os.{function}" and function in _OF_OS
    if of_os and (_is_descriptor(node.args[0]) or _is_relative(node)):
        return ""
    return name if plain or of_os or name in {f"os.path.{f}" for f in _OF_PATH} else ""


def _is_descriptor(argument: ast.expr) -> bool:
    """Return whether *argument* is called a descriptor, or is one that `Directory` returns."""
    text = ast.unparse(argument)
    return text == "fd" or text.endswith("_fd") or text.startswith("held.")


def _is_relative(node: ast.Call) -> bool:
    return any(k.arg in ("dir_fd", "src_dir_fd") for k in node.keywords)


@pytest.mark.parametrize("name", ["shutil", "tempfile", "pathlib"])
def test_no_library_takes_paths_for_us(name: str) -> None:
    users = [
        str(path)
        for folder in FOLDERS
        for path in (ROOT / "supervise" / folder).rglob("*.py")
        if f"import {name}" in path.read_text() or f"from {name}" in path.read_text()
    ]

    assert not users, f"{name} works by path: use supervise.linux.directory"


def test_pid_1_touches_files_by_descriptor() -> None:
    strange = [str(call) for call in calls() if (call.file, call.name) not in ALLOWED]

    advice = "a path leads where its directories' writers say: use supervise.linux.directory"
    assert not strange, f"{advice}, or give a reason here:\n" + "\n".join(strange)


def test_no_exception_outlives_its_reason() -> None:
    used = {(call.file, call.name) for call in calls()}

    assert not ALLOWED.keys() - used


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("os.open(path, flags)", "os.open"),
        ("os.rename(old, new)", "os.rename"),
        ("os.chmod(path, 0o666)", "os.chmod"),
        ("open(path)", "open"),
        ("os.path.realpath(path)", "os.path.realpath"),
        ("os.open(name, flags, dir_fd=held.fd)", ""),
        ("os.rename(old, new, src_dir_fd=a, dst_dir_fd=a)", ""),
        ("os.utime(fd, ns=times)", ""),
        ("open(fd, 'rb')", ""),
    ],
)
def test_a_call_by_path_is_told_from_one_by_descriptor(text: str, seen: str) -> None:
    (statement,) = ast.parse(text).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)

    assert _by_path(statement.value) == seen
