"""Why a program cannot be executed: what execve(2) means by ENOENT, ENOEXEC and EACCES.

Runs inside the container, where the image's files are; reads a program's first bytes only.
Everything here is imported before pivot_root(2), after which nothing can be.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from runtime.container.bundle import places
from supervise.linux import regular
from supervise.model.exitstatus import NOT_EXECUTABLE, NOT_FOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = 4096  # bytes of a file in which everything we look for lies
_PT_INTERP = 3
_FARTHEST = (1 << 62) - 1  # an offset that pread(2) takes
# e_machine of elf(5) → the name images use, and what uname(2) says.
_MACHINES = {
    3: ("386", ("i686", "i586", "i386", "x86_64")),
    20: ("ppc", ("ppc", "ppc64")),
    21: ("ppc64le", ("ppc64le", "ppc64")),
    22: ("s390x", ("s390x",)),
    40: ("arm", ("armv7l", "armv6l", "armv8l", "aarch64")),
    62: ("amd64", ("x86_64",)),
    183: ("arm64", ("aarch64",)),
    243: ("riscv64", ("riscv64",)),
    258: ("loong64", ("loongarch64",)),
}


class CannotExecuteError(Exception):
    """The program cannot be started; *code* is 126 or 127, the text says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def find(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of the program *name* as execvp(3) finds it: a slash means no search.

    Raises:
        CannotExecuteError: it is not there, or cannot be executed.
    """
    if not name:
        raise CannotExecuteError(NOT_FOUND, "cannot start '': the command is empty")
    if "/" in name:
        _check(name, name)
        return name
    path = environment.get("PATH", "")
    refused: CannotExecuteError | None = None
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        try:
            _check(candidate, name)
        except CannotExecuteError as error:
            if error.code == NOT_EXECUTABLE:
                refused = refused or error
            continue
        return candidate
    if refused:
        raise refused
    shown = path.removesuffix(f":{places.COMMANDS}") or "empty"
    raise CannotExecuteError(
        NOT_FOUND, f"cannot start '{name}': it is in no directory of $PATH ({shown})"
    )


def _check(path: str, name: str) -> None:
    """Raise CannotExecuteError unless *path* is a file that we may execute."""
    try:
        found = os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise CannotExecuteError(
                NOT_FOUND, f"cannot start '{name}': there is no such file in the image"
            ) from None
        raise CannotExecuteError(
            NOT_EXECUTABLE, f"cannot start '{name}': {error.strerror}"
        ) from None
    try:
        regular.check(found)
    except regular.NotRegularError as error:
        raise CannotExecuteError(
            NOT_EXECUTABLE, f"cannot start '{name}': {error.strerror}"
        ) from None
    if not os.access(path, os.X_OK, effective_ids=True):
        mode = stat.S_IMODE(found.st_mode)
        raise CannotExecuteError(
            NOT_EXECUTABLE,
            f"cannot start '{name}': permission denied (mode {mode:04o}, owner {found.st_uid}, "
            f"we are user {os.geteuid()}); chmod +x it in the image",
        )


def check_interpreter(path: str, *, foreign: bool) -> None:
    """Raise CannotExecuteError if what *path* needs to run is missing, before it is executed.

    With *foreign* the kernel may know how to run programs of other machines (binfmt_misc).
    """
    if (problem := _problem(path, foreign=foreign)) is not None:
        raise CannotExecuteError(*problem)


def explain(path: str, number: int) -> CannotExecuteError:
    """Return why execve(2) of *path* failed with errno *number*."""
    code = NOT_FOUND if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE
    try:
        problem = _problem(path, foreign=False)
    except OSError:
        problem = None
    if problem is not None:
        return CannotExecuteError(*problem)
    if number == errno.ENOEXEC:
        reason = "it is neither a program nor a script with a #! line"
    else:
        reason = os.strerror(number)
    return CannotExecuteError(code, f"cannot start '{path}': {reason}")


def _problem(path: str, *, foreign: bool) -> tuple[int, str] | None:
    """Return (exit code, sentence) for what the file's head says is wrong, None for nothing."""
    try:
        fd = regular.open_path(path)
    except OSError:
        return None  # it may be executable and yet not readable
    try:
        head = os.read(fd, _HEAD)
        if head[:2] == b"#!":
            return _script_problem(path, head)
        if head[:4] == b"\x7fELF":
            return _elf_problem(path, fd, head, foreign=foreign)
        return None
    finally:
        os.close(fd)


def _script_problem(path: str, head: bytes) -> tuple[int, str] | None:
    line, newline, _ = head[2:].partition(b"\n")
    words = line.split(None, 1)
    if not words:
        return NOT_EXECUTABLE, f"cannot start '{path}': its #! line names no interpreter"
    interpreter = os.fsdecode(words[0])
    if line.endswith(b"\r") and newline:
        wanted = interpreter.rstrip("\r")
        message = (
            f"cannot start '{path}': its #! line ends with a carriage return (CR), as files from "
            f"Windows do, so the kernel looks for '{wanted}' followed by a CR; "
            "convert it with: sed -i 's/\\r$//'"
        )
        return NOT_FOUND, message
    if os.path.exists(interpreter):
        return None
    return (
        NOT_FOUND,
        f"cannot start '{path}': its #! line needs {interpreter}, which is not in the image",
    )


def _elf_problem(path: str, fd: int, head: bytes, *, foreign: bool) -> tuple[int, str] | None:
    if len(head) < 64:
        return NOT_EXECUTABLE, f"cannot start '{path}': the program is cut short"
    wide = head[4] == 2
    order = "<" if head[5] == 1 else ">"
    (machine,) = struct.unpack_from(f"{order}H", head, 18)
    name, kernels = _MACHINES.get(machine, (f"machine {machine}", ()))
    ours = os.uname().machine
    if ours not in kernels:
        if foreign:
            return None
        message = (
            f"cannot start '{path}': it is a program for {name}, this machine is {ours}; "
            "get the image for this machine, or set up binfmt_misc with qemu"
        )
        return NOT_EXECUTABLE, message
    interpreter = _interpreter(fd, head, order, wide=wide)
    if not interpreter or os.path.exists(interpreter):
        return None
    return (
        NOT_FOUND,
        f"cannot start '{path}': {path} needs {interpreter}, which is not in the image"
        + _libc_hint(interpreter),
    )


def _libc_hint(interpreter: str) -> str:
    if "ld-musl" in interpreter:
        return " (it was built for Alpine's musl; this image is something else)"
    if "ld-linux" in interpreter:
        return " (it was built for glibc, as Debian and Fedora have; link it statically or add it)"
    return ""


def _interpreter(fd: int, head: bytes, order: str, *, wide: bool) -> str:
    """Return the loader that the program names (PT_INTERP of elf(5)), empty for a static one."""
    if wide:
        (offset,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
    else:
        (offset,) = struct.unpack_from(f"{order}I", head, 28)
        size, count = struct.unpack_from(f"{order}HH", head, 42)
    if size < (40 if wide else 20) or offset > _FARTHEST:
        return ""  # no ELF file that the kernel would run
    headers = os.pread(fd, min(size * count, 65536), offset)
    for start in range(0, len(headers) - size + 1, size or 1):
        (kind,) = struct.unpack_from(f"{order}I", headers, start)
        if kind != _PT_INTERP:
            continue
        if wide:
            place, length = struct.unpack_from(f"{order}Q16xQ", headers, start + 8)
        else:
            place, length = struct.unpack_from(f"{order}I8xI", headers, start + 4)
        if place > _FARTHEST:
            return ""
        return os.fsdecode(os.pread(fd, min(length, 4096), place).rstrip(b"\0"))
    return ""
