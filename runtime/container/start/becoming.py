"""The last steps before execve(2), the same for a container's first process and for `exec`.

Runs inside the container.  The order is the point: as root while that is needed, the filter last,
and nothing of ours left open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import stat
import struct

from runtime.linux import beneath, capabilities, namespaces, pty, seccomp
from runtime.model.container import defaults
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from supervise.linux import identity, prctl, signal_actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterable, Mapping

    from supervise.linux.identity import Identity

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_UNLIMITED = -1
_NR_CLOSE_RANGE = 436
_CLOSE_RANGE_CLOEXEC = 4
_LAST_FD = 0xFFFFFFFF
_SOL_SOCKET, _SCM_RIGHTS = 1, 1


def resolve_user(user: str, groups: tuple[str, ...]) -> Identity:
    """Return whom the container's own files make of the user and the groups asked for.

    Raises:
        RuntimeFailure: a name that is in none of them.
    """
    try:
        found = identity.resolve(user or "0")
        more = [identity.group_id(group) for group in groups]
    except identity.UnknownIdentityError as error:
        raise RuntimeFailure(
            f"cannot find the user: {error}",
            "a number works without an entry there: -u 1000:1000",
        ) from None
    if more:
        found = found.replace(groups=tuple(dict.fromkeys((*found.groups, *more))))
    return found


def open_terminal(
    channel: _socket.socket, word: bytes, devpts_fd: int, uid: int, window: tuple[int, int]
) -> None:
    """Take a new terminal for stdin, stdout and stderr; send *word* and its master."""
    master, slave = pty.open_pair(devpts_fd)
    if any(window):  # before the program asks for it: 0x0 breaks what draws
        pty.set_window(slave, *window)
    os.fchown(slave, uid, -1)
    channel.sendmsg([word], [(_SOL_SOCKET, _SCM_RIGHTS, struct.pack("i", master))])
    os.close(master)
    pty.take_control(slave)
    for target in (0, 1, 2):
        os.dup2(slave, target, inheritable=True)
    os.close(slave)


def take_pipes(fds: tuple[int, int, int], uid: int) -> None:
    """Take the three descriptors for stdin, stdout and stderr; all of them are above 2."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target, inheritable=True)
        if stat.S_ISFIFO(os.fstat(target).st_mode):
            os.fchown(target, uid, -1)  # so that the user can open /dev/stderr anew


def set_limits(rlimits: Mapping[str, tuple[int, int]]) -> None:
    """Set resource limits, and our default for open files."""
    for name, (soft, hard) in {"nofile": defaults.NOFILE, **rlimits}.items():
        which = getattr(resource, f"RLIMIT_{name.upper()}")
        _, most = resource.getrlimit(which)
        if most != resource.RLIM_INFINITY:
            # Raising a hard limit takes CAP_SYS_RESOURCE, which we may lack ourselves.
            hard = most if hard == _UNLIMITED else min(hard, most)  # noqa: PLW2901
            soft = hard if soft == _UNLIMITED else min(soft, hard)  # noqa: PLW2901
        resource.setrlimit(which, (soft, hard))


def enter_user_namespace(fd: int, kind: int = namespaces.CLONE_NEWUSER) -> None:
    """Enter the user namespace *fd* (a pidfd, or its own descriptor), with all power in there.

    After everything that takes power outside: the other namespaces stay the host's own, so that
    no capability inside reaches them.
    """
    namespaces.setns(fd, kind)


def take_identity(found: Identity, kept: int) -> None:
    """Become the user, with the bounding set *kept*, holding on to what the last steps take."""
    capabilities.limit_bounding(kept)
    prctl.set_keepcaps(True)
    os.setgroups(found.groups)
    os.setresgid(found.gid, found.gid, found.gid)
    os.setresuid(found.uid, found.uid, found.uid)
    die_with_parent()  # that was undone


def enter(working_dir: str) -> None:
    """Change to *working_dir* and make sure that it is inside the container.

    CVE-2024-21626: a working directory of /proc/self/fd/7 led to a directory of the host that
    the launcher had left open.
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_PATH | os.O_DIRECTORY
        directory_fd = beneath.open_in_root(root_fd, os.fsencode(working_dir), flags)
    finally:
        os.close(root_fd)
    try:
        os.fchdir(directory_fd)
    finally:
        os.close(directory_fd)
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    if not here.startswith("/"):  # the kernel says "(unreachable)"
        raise OSError(errno.EACCES, "it is outside of the container", working_dir)


def give_up_privileges(
    found: Identity, kept: int, *, no_new_privileges: bool, filter_program: bytes, blocked: set[int]
) -> None:
    """Give up all but *kept* (root) or everything (others); leave the signals *blocked*."""
    close_others()
    signal_actions.reset_all()
    signal_actions.restore_mask(blocked)
    held = capabilities.held()
    capabilities.set_sets(permitted=held, effective=held)
    if no_new_privileges:
        prctl.set_no_new_privs()
    if filter_program:
        # While CAP_SYS_ADMIN is still held: without it only no_new_privs lets a filter in, and
        # that breaks set-user-id programs.
        seccomp.load(filter_program)
    last = kept & held if found.uid == 0 else 0
    capabilities.set_sets(permitted=last, effective=last)


def die_with_parent(*, wanted: bool = True) -> None:
    """Be killed when the launcher dies, or no more; see PR_SET_PDEATHSIG(2const).

    A change of user undoes it.  A launcher that was dead before is to be noticed by the caller.
    """
    prctl.prctl(_PR_SET_PDEATHSIG, 9 if wanted else 0)


def hide_from_container() -> None:
    """Keep processes of the container away from ours: /proc/PID/exe leads to the host's Python.

    CVE-2019-5736.  Opening it to write also fails because the container's monitor runs the same
    file (ETXTBSY); execve(2) ends this.
    """
    prctl.prctl(_PR_SET_DUMPABLE, 0)


def close_others() -> None:
    """Let execve(2) close all but the three: CVE-2024-21626 was a forgotten one."""
    if _close_range(3, _LAST_FD, _CLOSE_RANGE_CLOEXEC):
        return
    # Not by a list of them: /proc is the container's.
    for fd in range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        with suppress(OSError):  # it is not open
            os.set_inheritable(fd, False)  # noqa: FBT003


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor above 2 that is not *kept*."""
    first = 3
    for fd in sorted({fd for fd in kept if fd > 2}):
        if fd > first and not _close_range(first, fd - 1, 0):
            os.closerange(first, fd)
        first = fd + 1
    if not _close_range(first, _LAST_FD, 0):
        os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _close_range(first: int, last: int, flags: int) -> bool:
    """Make the system call of that name; False where it is missing (before Linux 5.9)."""
    arguments = (ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))
    result: int = prctl.libc().syscall(ctypes.c_long(_NR_CLOSE_RANGE), *arguments)
    return result == 0
