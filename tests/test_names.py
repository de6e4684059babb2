"""What `runtime` does to files by name after they are made: a short list, each with its reason.

Between two calls a container may put a link in the place of a name, and chmod(2), chown(2),
utimensat(2) and setxattr(2) follow it in the root directory of this machine.  What is made is held
by a descriptor, and changed through that: see `runtime.linux.new_objects`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_CHANGES = frozenset(
    ("chmod", "chown", "lchmod", "lchown", "utime", "setxattr", "removexattr", "link", "mknod")
)
_OURS = "below a directory of the store that root alone may enter, no container among them"
_INSIDE = "in the container's own mount namespace after pivot_root(2): a link leads nowhere else"

ALLOWED = {
    ("linux/new_objects.py", "os.mknod"): "makes the node, then holds it and looks at it",
    ("linux/new_objects.py", "os.chown"): "of /proc/self/fd: what is held",
    ("linux/new_objects.py", "os.chmod"): "of /proc/self/fd: what is held",
    ("linux/new_objects.py", "os.utime"): "of /proc/self/fd: what is held",
    ("linux/overlay.py", "os.chown"): "of the mask, a directory on a tmpfs that no container sees",
    ("linux/overlay.py", "os.chmod"): "of the mask, a directory on a tmpfs that no container sees",
    ("linux/overlay.py", "os.setxattr"): "of the mask, a directory on a tmpfs no container sees",
    ("network/leases.py", "os.link"): _OURS,
    ("store/build_cache.py", "os.utime"): _OURS,
    ("store/volumes.py", "os.chmod"): _OURS,
    ("store/containers.py", "os.chmod"): _OURS,
    ("store/unpack.py", "os.link"): "link(2) follows nothing; the stream alone writes meanwhile",
    ("store/unpack.py", "os.setxattr"): "of a descriptor, or of /proc/self/fd: what is held",
    ("builder/files/copier.py", "os.link"): "link(2) follows nothing; the step alone writes",
    (
        "builder/files/added_archives.py",
        "os.link",
    ): "of /proc/self/fd; a new name is never followed",
    ("builder/steps/sandbox.py", "os.chown"): _OURS + "; the step has not begun",
    ("builder/steps/sandbox.py", "os.chmod"): _OURS + "; the step has not begun",
    ("builder/steps/run_mounts.py", "os.chown"): _OURS + "; the step has not begun",
    ("builder/steps/run_mounts.py", "os.chmod"): _OURS + "; the step has not begun",
    ("container/files/transfer.py", "os.link"): "of /proc/self/fd; a new name is never followed",
    ("container/monitor/clients.py", "os.chmod"): _OURS,
    ("container/start/launch.py", "os.chown"): _OURS + "; the container has not begun",
    ("container/start/launch.py", "os.chmod"): _OURS + "; the container has not begun",
    ("container/start/kernelfiles.py", "os.mknod"): _INSIDE,
    ("container/start/root_mounts.py", "os.mknod"): _INSIDE,
    ("container/start/root_mounts.py", "os.chown"): _INSIDE + "; lchown(2) follows nothing",
    ("container/start/copyup.py", "os.link"): "of /proc/PID/fd; a new name is never followed",
    ("container/start/copyup.py", "os.mknod"): _INSIDE,
    ("container/start/copyup.py", "os.chown"): "lchown(2) follows nothing, " + _INSIDE,
    ("container/start/copyup.py", "os.setxattr"): "of a descriptor",
    ("container/start/copyup.py", "os.utime"): "of a descriptor",
}


class NameChange:
    """One call that changes a file by its name."""

    def __init__(self, file: str, line: int, name: str) -> None:
        self.file = file
        self.line = line
        self.name = name

    def __str__(self) -> str:
        return f"runtime/{self.file}:{self.line} calls {self.name}"


def changes_by_name() -> Iterator[NameChange]:
    for path in sorted((ROOT / "runtime").rglob("*.py")):
        file = str(path.relative_to(ROOT / "runtime"))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (name := _by_name(node)):
                yield NameChange(file, node.lineno, name)


def _by_name(node: ast.Call) -> str:
    name = ast.unparse(node.func)
    if not name.startswith("os.") or name[3:] not in _CHANGES:
        return ""
    first = ast.unparse(node.args[0])
    is_descriptor = first == "fd" or first.endswith(("_fd", ".fd"))
    return "" if is_descriptor else name


def test_runtime_changes_files_by_descriptor() -> None:
    strange = [str(c) for c in changes_by_name() if (c.file, c.name) not in ALLOWED]

    advice = "a link may be in its place by then: use runtime.linux.new_objects"
    assert not strange, f"{advice}, or give a reason here:\n" + "\n".join(strange)


def test_no_exception_outlives_its_reason() -> None:
    assert not ALLOWED.keys() - {(c.file, c.name) for c in changes_by_name()}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("os.chmod(name, 0o666, dir_fd=target_fd)", "os.chmod"),
        ("os.chown(name, 0, 0, dir_fd=fd, follow_symlinks=False)", "os.chown"),
        ("os.utime(fd, ns=times)", ""),
        ("os.setxattr(write_fd, key, value)", ""),
        ("os.fchmod(fd, 0o600)", ""),
    ],
)
def test_a_change_by_name_is_told_from_one_by_descriptor(text: str, seen: str) -> None:
    (statement,) = ast.parse(text).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)

    assert _by_name(statement.value) == seen
