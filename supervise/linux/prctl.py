"""prctl(2) and the few calls libc has no wrapper for.

ctypes is imported when the first of them is needed: most containers never do.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes

PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2

IOPRIO_WHO_PROCESS = 1
IOPRIO_CLASS_SHIFT = 13
# ioprio_set(2) by machine, from the kernel's unistd headers.
_NR_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "i686": 289, "armv7l": 314}

_libc: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """Return the C library of this process, with errno kept per call."""
    global _libc
    if _libc is None:
        import ctypes

        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def check(result: int, call: str) -> int:
    """Return *result*, or raise the OSError that errno says when it is negative."""
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """Make the system call of that name; all arguments are unsigned long, as the kernel reads them."""
    import ctypes

    arguments = [ctypes.c_ulong(value) for value in (arg2, arg3, arg4, arg5)]
    return check(libc().prctl(ctypes.c_int(option), *arguments), "prctl")


def set_child_subreaper() -> None:
    """Have orphans below us reparented to us; see PR_SET_CHILD_SUBREAPER(2const)."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def set_no_new_privs() -> None:
    """Make set-user-id programs and file capabilities powerless from here on."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_keepcaps(keep: bool) -> None:  # noqa: FBT001 - the kernel's own single argument
    """Keep the permitted set over a change of uid; see PR_SET_KEEPCAPS(2const)."""
    prctl(PR_SET_KEEPCAPS, int(keep))


def ioprio_set(klass: int, level: int) -> None:
    """Set our own I/O class (1 realtime, 2 best-effort, 3 idle) and level 0 to 7.

    See ioprio_set(2).  Realtime needs CAP_SYS_ADMIN or CAP_SYS_NICE.
    """
    number = _NR_IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, "ioprio_set is not known for this machine")
    value = (klass << IOPRIO_CLASS_SHIFT) | level
    check(libc().syscall(number, IOPRIO_WHO_PROCESS, 0, value), "ioprio_set")
