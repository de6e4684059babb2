"""The child's side of fork: one linear story from setsid to execve.

Runs in the forked copy of PID 1, with every signal blocked.  Each step has a name; a step that
fails reports ``stage:errno:text`` on the close-on-exec pipe and the child ends.
"""

from __future__ import annotations

import errno
import os
import resource

from supervise.linux import capabilities, prctl, signal_actions
from supervise.linux.request import SpawnRequest
from supervise.model.errors import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_EXEC_FAILED = 127  # nobody sees it: the report on the pipe says more


def become(
    request: SpawnRequest, report_fd: int, inherited_nofile: tuple[int, int] | None
) -> NoReturn:
    """Turn into *request*'s program; never returns."""
    stage = "session"
    try:
        for stage, step in _steps(request, inherited_nofile):  # noqa: B007
            step()
        stage = "exec"
        _execute(request)
    except OSError as error:
        _report(report_fd, stage, error.errno or errno.EINVAL, error.strerror or "")
    except UnicodeError as error:
        _report(report_fd, stage, errno.EINVAL, reason_of(error))
    except (ValueError, KeyError, OverflowError, ImportError) as error:
        text = reason_of(error) if stage in ("exec", "chdir") else str(error)
        _report(report_fd, stage, errno.EINVAL, text)
    finally:
        # Whatever went wrong: a second PID 1 must not run on.
        os._exit(_EXEC_FAILED)


def _steps(
    request: SpawnRequest, inherited_nofile: tuple[int, int] | None
) -> list[tuple[str, Callable[[], None]]]:
    """Return (stage, step) in the only order that works."""
    return [
        ("session", lambda: _own_session(request)),
        ("stdio", lambda: _take_stdio(request)),
        ("signals", signal_actions.reset_all),
        # While still root: raising limits and priorities needs its capabilities.
        ("ulimits", lambda: _set_limits(request, inherited_nofile)),
        ("nice", lambda: _set_nice(request)),
        ("ionice", lambda: _set_ionice(request)),
        ("oom_score_adj", lambda: _set_oom_score_adj(request)),
        ("cpus_allowed", lambda: _set_cpus(request)),
        # The bounding set shrinks before the ids change, because that needs CAP_SETPCAP; what a
        # plain user is to keep is raised again afterwards as ambient (capabilities(7)).
        ("cap_drop", lambda: _drop_capabilities(request)),
        ("user", lambda: _change_identity(request)),
        ("cap_add", lambda: _add_capabilities(request)),
        # As the user: root squashed on NFS could not enter the user's own directory.
        ("chdir", lambda: _change_directory(request)),
        ("umask", lambda: _set_umask(request)),
        ("no_new_privileges", lambda: _renounce_privileges(request)),
        # A stop that arrived meanwhile takes effect here, before the program begins.
        ("signals", lambda: signal_actions.restore_mask(set())),
    ]


def _own_session(request: SpawnRequest) -> None:
    if request.terminal_fd is None:
        os.setsid()
    else:
        from supervise.linux import tty  # its termios is 0.3 MB that few containers need

        tty.take_foreground(request.terminal_fd)


def _take_stdio(request: SpawnRequest) -> None:
    # Copies above 2 first: a source may itself be 0, 1 or 2 and about to be overwritten.
    sources = [
        fd if fd > 2 else os.dup(fd)
        for fd in (request.stdin_fd, request.stdout_fd, request.stderr_fd)
    ]
    sources = [fd if fd > 2 else _above_stdio(fd) for fd in sources]
    for target, source in enumerate(sources):
        os.dup2(source, target, inheritable=True)


def _above_stdio(fd: int) -> int:
    import fcntl

    return int(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))


def _set_limits(request: SpawnRequest, inherited_nofile: tuple[int, int] | None) -> None:
    if inherited_nofile is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, inherited_nofile)
    for which, (soft, hard) in request.rlimits.items():
        try:
            resource.setrlimit(which, (soft, hard))
        except ValueError as error:  # Python's word for EINVAL and EPERM
            name, highest = _limit_name(which), resource.getrlimit(which)[1]
            above = highest != resource.RLIM_INFINITY and not 0 <= hard <= highest
            why = f"only up to the {highest} of this container" if above else str(error)
            raise ValueError(f"{name} {_limit_text(soft, hard)}: {why}") from error


def _limit_name(which: int) -> str:
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return next(name[7:].lower() for name in names if getattr(resource, name) == which)


def _limit_text(soft: int, hard: int) -> str:
    pair = ["unlimited" if each == resource.RLIM_INFINITY else str(each) for each in (soft, hard)]
    return pair[0] if soft == hard else ":".join(pair)


def _set_nice(request: SpawnRequest) -> None:
    if request.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, request.nice)


def _set_ionice(request: SpawnRequest) -> None:
    if request.ionice is not None:
        prctl.ioprio_set(*request.ionice)


def _set_oom_score_adj(request: SpawnRequest) -> None:
    if request.oom_score_adj is not None:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, str(request.oom_score_adj).encode())
        os.close(fd)


def _set_cpus(request: SpawnRequest) -> None:
    if request.cpus is not None:
        os.sched_setaffinity(0, request.cpus)


def _drop_capabilities(request: SpawnRequest) -> None:
    if request.cap_drop:
        capabilities.drop_bounding(request.cap_drop, keep=request.cap_add)


def _change_identity(request: SpawnRequest) -> None:
    identity = request.identity
    if identity is None:
        return
    # Only root may; a container under an arbitrary uid keeps its groups, and one whose root has
    # no CAP_SETGID may still name the groups it has.
    if os.geteuid() == 0 and set(identity.groups) != {*os.getgroups(), os.getegid()}:
        os.setgroups(identity.groups)
    if request.cap_add or request.no_new_privileges:
        prctl.libc()  # the user may not be able to read ctypes: an interpreter below /root
    if request.cap_add and identity.uid != 0:
        prctl.set_keepcaps(True)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)


def _add_capabilities(request: SpawnRequest) -> None:
    if request.cap_add:
        capabilities.keep(request.cap_add, root=os.geteuid() == 0)


def _change_directory(request: SpawnRequest) -> None:
    if request.working_dir is not None:
        os.chdir(request.working_dir)


def _set_umask(request: SpawnRequest) -> None:
    if request.umask is not None:
        os.umask(request.umask)


def _renounce_privileges(request: SpawnRequest) -> None:
    if request.no_new_privileges:
        prctl.set_no_new_privs()


def _execute(request: SpawnRequest) -> None:
    """Try each candidate as execvp(3) does: EACCES counts more than "not there"."""
    refused: OSError | None = None
    missing: OSError | None = None
    if not request.argv[0]:  # of which os.execve says EINVAL
        raise FileNotFoundError(errno.ENOENT, "no name")
    for path in request.executables():
        try:
            os.execve(path, request.argv, {**request.base.values, **request.environment})
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
        except OSError as error:
            refused = refused or error
    raise refused or missing or FileNotFoundError(errno.ENOENT, "no PATH")


def _report(fd: int, stage: str, number: int, text: str) -> None:
    os.write(fd, f"{stage}:{number}:{text}".encode(errors="replace")[:4000])
