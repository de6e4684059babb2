"""Start a program: by vfork where nothing of ours need run between fork and exec, else by fork.

vfork (``_posixsubprocess.fork_exec``, what `subprocess` itself uses) reaches the program's first
instruction in 0.2 ms whatever our size; fork from a 10 MB process takes 1 to 2 ms, because the
page tables are copied.  Either way an exec that fails is told from a program that exits with 127
by a close-on-exec pipe.
"""

from __future__ import annotations

import _posixsubprocess
import errno
import os
import resource
from contextlib import suppress

from supervise.linux import child, regular, signal_actions
from supervise.linux.request import SpawnError, SpawnRequest
from supervise.model.errors import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The limits on descriptors that PID 1 was started with, when it has raised its soft one.
_inherited_nofile: tuple[int, int] | None = None
# Set when this interpreter's fork_exec takes other arguments than 3.11 to 3.13 do.
_vfork_unknown = False


class Child:
    """What `spawn` started.  *confirm_fd* is owned by the caller.

    It is None when the program has been executed.  Else it becomes readable when that is decided:
    `confirm` then tells.
    """

    __slots__ = ("confirm_fd", "pid")

    def __init__(self, pid: int, confirm_fd: int | None) -> None:
        self.pid = pid
        self.confirm_fd = confirm_fd


def raise_descriptor_limit() -> None:
    """Raise our own soft RLIMIT_NOFILE to the hard one; children keep what we were given.

    Each service costs a few descriptors, and 1024, the usual soft limit, ends at 250 services.
    """
    global _inherited_nofile
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return  # sandboxes may forbid it; the soft limit then bounds the number of services
    _inherited_nofile = (soft, hard)


def spawn(request: SpawnRequest) -> Child:
    """Start *request*; the child is a session leader unless it gets the terminal.

    The descriptors in *request* stay the caller's.  All others must be close-on-exec.

    Raises:
        SpawnError: what failed, where and why; nothing is left behind but a child to reap.
    """
    if request.needs_fork or _vfork_unknown:
        return _fork(request)
    return _vfork(request)


def confirm(owned_fd: int, request: SpawnRequest) -> None:
    """Read the verdict from a child's *confirm_fd* and close it; blocks until there is one.

    Raises:
        SpawnError: the program was not executed.
    """
    try:
        report = os.read(owned_fd, 4096)
    finally:
        os.close(owned_fd)
    if report:
        stage, number, detail = [*report.decode(errors="replace").split(":", 2), "", ""][:3]
        raise SpawnError(stage, int(number), _explain(stage, int(number), detail, request))


def _vfork(request: SpawnRequest) -> Child:
    global _vfork_unknown
    report_read, report_write = _report_pipe(0, request)
    working_dir = request.working_dir
    shared = signal_actions.terminal_stops_are_ignored()
    try:
        _prepare_ourselves(terminal_stops=shared)
        arguments: tuple[Any, ...] = (
            [os.fsencode(word) for word in request.argv],
            request.executables(),
            False,  # close_fds: every descriptor of ours is close-on-exec
            (),
            working_dir,
            request.environment_entries(),
            request.stdin_fd,
            -1,
            -1,
            request.stdout_fd,
            -1,
            request.stderr_fd,
            report_read,
            report_write,
            True,  # restore_signals: SIGPIPE and SIGXFSZ, which Python ignores
            request.new_session,
            -1,
            None,
            None,
            None,
            -1 if request.umask is None else request.umask,
            None,
            True,  # allow_vfork
        )
        pid = _posixsubprocess.fork_exec(*arguments)
        os.close(report_write)
        report_write = -1
        # The child shared our memory until it executed the program or gave up: no waiting here.
        report = os.read(report_read, 4096)
    except OSError as error:
        number = error.errno or errno.EAGAIN
        raise SpawnError("fork", number, _explain("fork", number, "", request)) from error
    except ValueError as error:  # a NUL, or what is no text
        reason = _explain("exec", errno.EINVAL, reason_of(error), request)
        raise SpawnError("exec", errno.EINVAL, reason) from error
    except TypeError:
        _vfork_unknown = True
        return _fork(request)
    finally:
        _restore_ourselves(terminal_stops=shared)
        os.close(report_read)
        if report_write >= 0:
            os.close(report_write)
    if report:
        _kind, number_text, detail = report.split(b":", 2)
        stage = "chdir" if detail.startswith(b"noexec") else "exec"
        number = int(number_text, 16)
        raise SpawnError(stage, number, _explain(stage, number, "", request))
    return Child(pid, None)


def _given_nofile() -> tuple[int, int] | None:
    """Return the limits on descriptors a program is to have, None when they are ours."""
    if _inherited_nofile is None:
        return None
    # Somebody may have lowered the hard limit meanwhile (prlimit(2)): it is not ours to raise.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _inherited_nofile[0]
    return (soft if hard == resource.RLIM_INFINITY else min(soft, hard)), hard


def _prepare_ourselves(*, terminal_stops: bool) -> None:
    """Give ourselves for a moment what the child is to inherit through vfork."""
    given = _given_nofile()
    if given is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)
    if terminal_stops:
        signal_actions.default_terminal_stops()


def _restore_ourselves(*, terminal_stops: bool) -> None:
    if _inherited_nofile is not None:
        # Refused since the start: we go on with fewer.
        with suppress(OSError, ValueError):
            _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            wanted = 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if terminal_stops:
        signal_actions.ignore_terminal_stops()


def _fork(request: SpawnRequest) -> Child:
    report_read, report_write = _report_pipe(os.O_NONBLOCK, request)
    # A signal between fork and exec must reach the program's default action, not our handlers.
    mask = signal_actions.block_all()
    try:
        pid = os.fork()
        if pid == 0:
            child.become(request, report_write, _given_nofile())
    except OSError as error:
        os.close(report_read)
        number = error.errno or errno.EAGAIN
        raise SpawnError("fork", number, _explain("fork", number, "", request)) from error
    finally:
        signal_actions.restore_mask(mask)
        os.close(report_write)
    os.set_blocking(report_read, True)
    return Child(pid, report_read)


def _report_pipe(flags: int, request: SpawnRequest) -> tuple[int, int]:
    try:
        return os.pipe2(os.O_CLOEXEC | flags)
    except OSError as error:
        number = error.errno or errno.EMFILE
        raise SpawnError("pipe", number, _explain("pipe", number, "", request)) from error


def _explain(stage: str, number: int, detail: str, request: SpawnRequest) -> str:
    """Return one sentence: what could not be done, to what, and why."""
    reason = detail or os.strerror(number)
    program = request.argv[0]
    match stage:
        case "exec":
            return f"cannot execute '{program}': {_exec_reason(request, number, reason)}"
        case "chdir":
            return f"cannot change to directory '{request.working_dir}': {reason}"
        case "pipe":
            return f"cannot start a process: {reason} (is the limit on descriptors reached?)"
        case "fork":
            hint = " (is a limit on processes or memory reached?)"
            return f"cannot start a process: {reason}{hint if number != errno.ENOSYS else ''}"
        case _:
            return f"cannot set {stage}: {reason}"


def _exec_reason(request: SpawnRequest, number: int, reason: str) -> str:
    """Say what ENOENT and EACCES of execve(2) hide."""
    program = request.argv[0]
    if number == errno.ENOEXEC:
        return f"{reason} (another architecture, or a script without a #! line?)"
    if not program:
        return "its name is empty"
    if "/" not in program:
        return "not found in PATH" if number == errno.ENOENT else reason
    path = os.path.join(request.working_dir or "", program)
    if number == errno.ENOENT and os.path.exists(path):
        return _missing_interpreter(path)
    if number == errno.EACCES and os.path.isdir(path):
        return "it is a directory"
    if number == errno.EACCES and not _may_be_executed(path):
        return f"it is not executable (chmod +x {program})"
    return reason


def _missing_interpreter(path: str) -> str:
    """Say which interpreter of the program at *path* is not there."""
    try:
        fd = regular.open_path(path)
    except OSError:
        return "its interpreter (the #! line's, or the ELF loader) is missing"
    try:
        first = os.read(fd, 256).partition(b"\n")[0]
    finally:
        os.close(fd)
    if not first.startswith(b"#!"):
        return "the loader that it names is missing (built for another libc?)"
    if first.endswith(b"\r"):
        return "its #! line ends with a carriage return; save it with Unix line ends"
    words = first[2:].split()
    name = os.fsdecode(words[0]) if words else ""
    return f"its interpreter '{name}' is missing"


def _may_be_executed(path: str) -> bool:
    """Return whether somebody may execute the file; True where that cannot be seen."""
    try:
        return os.stat(path).st_mode & 0o111 != 0
    except OSError:
        return True
