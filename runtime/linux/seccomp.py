"""Load a seccomp filter: seccomp(2), or prctl(2) where that is missing.

The program comes from `runtime.wire.seccomp_profile` as bytes: struct sock_filter, 8 bytes each.
"""

from __future__ import annotations

import errno
import os

from supervise.linux import prctl

_NR_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "i686": 354, "armv7l": 383}
_SECCOMP_SET_MODE_FILTER = 1
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION = 8  # bytes
LONGEST = 4096  # instructions, BPF_MAXINSNS


def load(program: bytes) -> None:
    """Filter our system calls, and those of all we start, from here on.

    Needs CAP_SYS_ADMIN or no_new_privs.

    Raises:
        OSError: EACCES: neither of the two; EINVAL: the program is not valid.
    """
    import ctypes

    class SockFprog(ctypes.Structure):
        """struct sock_fprog."""

        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    filters = SockFprog(len(program) // _INSTRUCTION, program)
    number = _NR_SECCOMP.get(os.uname().machine)
    if number is not None:
        result = prctl.libc().syscall(
            ctypes.c_long(number),
            ctypes.c_long(_SECCOMP_SET_MODE_FILTER),
            ctypes.c_long(0),
            ctypes.byref(filters),
        )
        if result == 0 or ctypes.get_errno() != errno.ENOSYS:
            prctl.check(result, "seccomp")
            return
    result = prctl.libc().prctl(
        _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(filters), 0, 0
    )
    prctl.check(result, "seccomp")
