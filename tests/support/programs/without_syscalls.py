#!/usr/bin/env python3
"""without_syscalls.py NUMBER… -- COMMAND…: run COMMAND where some system calls do not exist.

A seccomp filter answers ENOSYS, as gVisor, old kernels and strict profiles do.  x86-64 and arm64
share the numbers from 424 on, which are those worth taking away.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
ENOSYS = 38

end = sys.argv.index("--")
numbers = [int(argument) for argument in sys.argv[1:end]]
program = struct.pack("HBBI", LOAD_WORD, 0, 0, 0)  # the system call's number
for number in numbers:
    program += struct.pack("HBBI", JUMP_IF_EQUAL, 0, 1, number)
    program += struct.pack("HBBI", RETURN, 0, 0, ERRNO | ENOSYS)
program += struct.pack("HBBI", RETURN, 0, 0, ALLOW)
buffer = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))

libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])
