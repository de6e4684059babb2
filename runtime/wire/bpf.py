"""A small assembler for classic BPF, as seccomp filters use it: instructions and labels → bytes.

Jumps go forward only, by label, however far: a conditional jump whose target is out of its eight
bits becomes two instructions.  See seccomp(2), include/uapi/linux/filter.h.
"""

from __future__ import annotations

import struct

from supervise.model.record import Record

LD_W_ABS = 0x20  # load the 32-bit word at an offset of struct seccomp_data
ALU_AND_K = 0x54
JMP_JA = 0x05
JMP_JEQ_K = 0x15
JMP_JGT_K = 0x25
JMP_JGE_K = 0x35
RET_K = 0x06
LONGEST = 4096  # instructions: BPF_MAXINSNS

# struct seccomp_data, little endian.
NUMBER, ARCHITECTURE = 0, 4


def argument(index: int) -> tuple[int, int]:
    """Return the offsets of the low and the high word of an argument."""
    return 16 + 8 * index, 20 + 8 * index


class _Instruction(Record):
    code: int
    k: int = 0
    target: str = ""  # a label, for jumps
    otherwise: str = ""  # of a conditional one; empty is the next instruction


class BpfProgram:
    """A program that grows at its end."""

    def __init__(self) -> None:
        self._instructions: list[_Instruction] = []
        self._labels: dict[str, int] = {}  # → index of an instruction
        self._names = 0

    def fresh(self) -> str:
        """Return an unused label."""
        self._names += 1
        return f"label{self._names}"

    def label(self, name: str) -> None:
        """Define *name* as the place of the next instruction."""
        self._labels[name] = len(self._instructions)

    def load(self, offset: int) -> None:
        """Load a word of struct seccomp_data."""
        self._instructions.append(_Instruction(LD_W_ABS, offset))

    def mask(self, bits: int) -> None:
        """Keep only *bits* of the accumulator."""
        self._instructions.append(_Instruction(ALU_AND_K, bits))

    def jump_if(self, code: int, value: int, target: str, otherwise: str = "") -> None:
        """Compare the accumulator with *value*; jump to *target* if it holds."""
        self._instructions.append(_Instruction(code, value, target, otherwise))

    def answer(self, value: int) -> None:
        """End with *value*: SECCOMP_RET_…."""
        self._instructions.append(_Instruction(RET_K, value))

    def assemble(self) -> bytes:
        """Return the program as an array of struct sock_filter.

        Raises:
            ValueError: it is longer than the kernel takes.
        """
        # Each conditional jump takes three places: itself, and one JA for either way.
        places = [0]
        for instruction in self._instructions:
            places.append(places[-1] + (3 if instruction.target else 1))
        if places[-1] > LONGEST:
            raise ValueError(
                f"the filter has {places[-1]} instructions; the kernel takes {LONGEST}"
            )
        out = bytearray()
        for index, instruction in enumerate(self._instructions):
            here = places[index]
            if not instruction.target:
                out += _pack(instruction.code, 0, 0, instruction.k)
                continue
            target = places[self._labels[instruction.target]]
            other = (
                places[self._labels[instruction.otherwise]]
                if instruction.otherwise
                else places[index + 1]
            )
            out += _conditional(instruction, here, target, other)
        return bytes(out)


def _conditional(instruction: _Instruction, here: int, target: int, other: int) -> bytes:
    """Jump directly where eight bits reach, else over one of the two JA behind."""
    near, far = target - here - 1, other - here - 1
    jump_true = near if near < 256 else 0
    jump_false = far if far < 256 else 1
    return (
        _pack(instruction.code, jump_true, jump_false, instruction.k)
        + _pack(JMP_JA, 0, 0, target - here - 2)
        + _pack(JMP_JA, 0, 0, other - here - 3)
    )


def _pack(code: int, jump_true: int, jump_false: int, k: int) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, k & 0xFFFFFFFF)
