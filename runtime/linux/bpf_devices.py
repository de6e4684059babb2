"""Which devices a cgroup of version 2 may use: there it is a BPF program that decides.

The rules are devices.allow's of version 1, so that both versions are given the same list.  See
bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE.
"""

from __future__ import annotations

import os
import struct

from runtime.linux import cgroups
from supervise.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NR_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "i686": 357, "armv7l": 386}
_PROG_LOAD, _PROG_ATTACH = 5, 8
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE = 15, 6
_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}

# Operation codes of eBPF: include/uapi/linux/bpf.h.
_LOAD_WORD, _MOVE_REGISTER, _AND, _SHIFT_RIGHT = 0x61, 0xBC, 0x54, 0x74
_JUMP_UNEQUAL, _JUMP_UNEQUAL_REGISTER, _SET, _EXIT = 0x55, 0x5D, 0xB7, 0x95
_CONTEXT, _SCRATCH, _ACCESS_ASKED, _KIND, _MAJOR, _MINOR = 1, 6, 2, 3, 4, 5  # registers


def attach(directory: str, rules: Sequence[str]) -> None:
    """Restrict the group *directory* to the devices that *rules* allow.

    Needs CAP_SYS_ADMIN, or CAP_BPF and CAP_NET_ADMIN.

    Raises:
        RuntimeFailure: the kernel does not know such programs, or we may not load them.
    """
    number = _NR_BPF.get(os.uname().machine)
    if number is None:
        raise cgroups.no_devices("this machine's bpf(2) is not known")
    try:
        program_fd = _load(number, program(rules))
        try:
            _attach(number, directory, program_fd)
        finally:
            os.close(program_fd)
    except OSError as error:
        raise cgroups.no_devices(f"the kernel takes no BPF program: {error.strerror}") from error


def program(rules: Sequence[str]) -> bytes:
    """Return the instructions for *rules* such as ``c 1:3 rwm`` and ``b *:* m``."""
    out = [
        _instruction(_LOAD_WORD, _ACCESS_ASKED, _CONTEXT, 0),
        _instruction(_MOVE_REGISTER, _KIND, _ACCESS_ASKED),
        _instruction(_AND, _KIND, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ACCESS_ASKED, immediate=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in rules:
        out += _rule(rule)
    out += [_instruction(_SET, 0, immediate=0), _instruction(_EXIT)]
    return b"".join(out)


def _rule(rule: str) -> list[bytes]:
    """Return instructions that allow what *rule* allows, and else go on behind them."""
    kind, numbers, letters = rule.split(" ")
    major, _, minor = numbers.partition(":")
    allowed = sum(_ACCESS[letter] for letter in letters)
    tests = [
        (_JUMP_UNEQUAL, _KIND, 0, _KINDS[kind]),
        (_MOVE_REGISTER, _SCRATCH, _ACCESS_ASKED, 0),
        (_AND, _SCRATCH, 0, allowed),
        (_JUMP_UNEQUAL_REGISTER, _SCRATCH, _ACCESS_ASKED, 0),
    ]
    for register, text in ((_MAJOR, major), (_MINOR, minor)):
        if text != "*":
            tests.append((_JUMP_UNEQUAL, register, 0, int(text)))
    body = [*tests, (_SET, 0, 0, 1), (_EXIT, 0, 0, 0)]
    out = []
    for index, (code, target, source, immediate) in enumerate(body):
        jumps = code in (_JUMP_UNEQUAL, _JUMP_UNEQUAL_REGISTER)
        offset = len(body) - index - 1 if jumps else 0
        out.append(_instruction(code, target, source, offset, immediate))
    return out


def _instruction(
    code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    return struct.pack("<BBhI", code, source << 4 | target, offset, immediate)


def _load(number: int, instructions: bytes) -> int:
    import ctypes

    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"MIT")
    attributes = struct.pack(
        "=IIQQIIQII",
        _CGROUP_DEVICE_PROGRAM,
        len(instructions) // 8,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        *(0, 0, 0, 0, 0),
    )
    return _bpf(number, _PROG_LOAD, attributes)


def _attach(number: int, directory: str, program_fd: int) -> None:
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attributes = struct.pack("=IIII", directory_fd, program_fd, _CGROUP_DEVICE, 0)
        _bpf(number, _PROG_ATTACH, attributes)
    finally:
        os.close(directory_fd)


def _bpf(number: int, command: int, attributes: bytes) -> int:
    import ctypes

    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = prctl.libc().syscall(
        ctypes.c_long(number), ctypes.c_long(command), buffer, ctypes.c_ulong(len(attributes))
    )
    return prctl.check(result, "bpf")
