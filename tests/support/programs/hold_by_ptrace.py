#!/usr/bin/env python3
"""hold_by_ptrace.py PID: attach as a debugger that never waits.

When PID dies, its parent cannot reap it until this program ends: to the parent it looks like a
process that SIGKILL does not end.
"""

import ctypes
import signal
import sys

PTRACE_SEIZE = 0x4206

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) != 0:
    raise OSError(ctypes.get_errno(), "ptrace")
print("attached", flush=True)
# Blocked, SIGTERM does not end it either: what holds a process this way is rarely polite.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
signal.sigwait({signal.SIGUSR1})
