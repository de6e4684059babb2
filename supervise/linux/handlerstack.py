"""Room for signal handlers that nest: sigaltstack(2).

A handler blocks its own number alone, so every number that has one can be nested once: 55 frames
when a stopped process is continued.  A frame is 3 kB with AVX-512, 11 kB with AMX, more with SVE
and SME.  The usual stack of 8 MB holds them all.  Two things take that room away: faulthandler,
whose alternate stack of a few frames all of Python's handlers then run on, and a small RLIMIT_STACK.
`ensure` gives it back; most containers never need the ctypes that this takes.
"""

from __future__ import annotations

import faulthandler
import resource

from supervise.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

# 64 frames of 64 kB.  The kernel gives a page when it is first touched: unused it costs nothing.
SIZE = 4 << 20
_MAP_NORESERVE = 0x4000

_stack: mmap.mmap | None = None  # never freed: the kernel writes into it


def ensure() -> bool:
    """Give handlers a large stack where the one they would run on is small; return whether it did.

    To be called before there are handlers, or while they are blocked.  Idempotent.

    Raises:
        OSError: ENOMEM: there is no address space for it.
    """
    global _stack
    if _stack is not None or not (faulthandler.is_enabled() or _is_limited()):
        return False
    import ctypes
    import mmap

    class Stack(ctypes.Structure):  # stack_t
        _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    stack = mmap.mmap(-1, SIZE, flags=flags)
    start = ctypes.addressof(ctypes.c_char.from_buffer(stack))
    prctl.check(prctl.libc().sigaltstack(ctypes.byref(Stack(start, 0, SIZE)), None), "sigaltstack")
    _stack = stack
    return True


def _is_limited() -> bool:
    soft, _hard = resource.getrlimit(resource.RLIMIT_STACK)
    return soft != resource.RLIM_INFINITY and soft < SIZE
