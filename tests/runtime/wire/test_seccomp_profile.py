"""Docker's seccomp profiles as BPF: run by an interpreter of the tests' own."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.model.container import defaults
from runtime.wire import bpf
from runtime.wire.seccomp_profile import ProfileError, compile_profile
from tests.support.scripts import ROOT

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0
EPERM, ENOSYS = 1, 38
X86_64, X86, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
NUMBERS = json.loads((ROOT / "runtime/data/syscalls.json").read_text())
DEFAULT = json.loads((ROOT / "runtime/data/seccomp.json").read_text())


def run(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """Return what the kernel would answer: an interpreter of classic BPF."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", _signed(number), architecture, 0, *padded)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, jump_true, jump_false, k = code[at]
        at += 1
        if operation == bpf.LD_W_ABS:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == bpf.ALU_AND_K:
            accumulator &= k
        elif operation == bpf.JMP_JA:
            at += k
        elif operation == bpf.RET_K:
            return int(k)
        else:
            holds = {
                bpf.JMP_JEQ_K: accumulator == k,
                bpf.JMP_JGT_K: accumulator > k,
                bpf.JMP_JGE_K: accumulator >= k,
            }[operation]
            at += jump_true if holds else jump_false


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def compiled(profile: dict[str, Any], *capabilities: str, machine: str = "x86_64") -> bytes:
    return compile_profile(
        profile, capabilities=capabilities, machine=machine, kernel=(6, 1), numbers=NUMBERS
    )


def rule(action: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": f"SCMP_ACT_{action}", **more}


def profile(*rules: dict[str, Any], default: str = "ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(rules), **more}


def number(name: str, table: str = "x86_64") -> int:
    found: int = NUMBERS[table][name]
    return found


@pytest.mark.parametrize("name", ["read", "write", "execve", "mkdirat", "futex", "pselect6"])
def test_the_default_profile_allows_everyday_calls(name: str) -> None:
    assert run(compiled(DEFAULT, *defaults.CAPABILITIES), number(name)) == ALLOW


@pytest.mark.parametrize("name", ["mount", "unshare", "bpf", "keyctl", "init_module", "reboot"])
def test_the_default_profile_refuses_what_needs_power(name: str) -> None:
    assert run(compiled(DEFAULT, *defaults.CAPABILITIES), number(name)) == ERRNO | EPERM


def test_a_capability_opens_its_calls() -> None:
    with_power = compiled(DEFAULT, "SYS_ADMIN")

    assert run(with_power, number("mount")) == ALLOW
    assert run(with_power, number("clone3")) == ALLOW
    assert run(with_power, number("reboot")) == ERRNO | EPERM  # that is SYS_BOOT's


def test_clone_makes_processes_but_no_namespaces() -> None:
    program = compiled(DEFAULT)

    assert run(program, number("clone"), 17) == ALLOW  # SIGCHLD: fork
    assert run(program, number("clone"), 0x10000000) == ERRNO | EPERM  # CLONE_NEWUSER
    assert run(program, number("clone3")) == ERRNO | ENOSYS  # libc then tries clone


@pytest.mark.parametrize(
    ("family", "answer"), [(1, ALLOW), (2, ALLOW), (38, ERRNO | EPERM), (40, ERRNO | EPERM)]
)
def test_socket_families_are_told_apart(family: int, answer: int) -> None:
    assert run(compiled(DEFAULT), number("socket"), family) == answer


def test_a_call_newer_than_the_profile_does_not_exist() -> None:
    assert run(compiled(DEFAULT), 4000) == ERRNO | ENOSYS


def test_other_abis_have_their_own_numbers() -> None:
    program = compiled(DEFAULT)

    assert run(program, number("mount", "x86"), architecture=X86) == ERRNO | EPERM
    assert run(program, number("read", "x86"), architecture=X86) == ALLOW
    assert run(program, number("unshare", "x32")) == ERRNO | EPERM
    assert run(program, number("read", "x32")) == ALLOW


def test_an_unknown_architecture_is_killed() -> None:
    assert run(compiled(DEFAULT), 0, architecture=AARCH64) == KILL


def test_without_x32_in_the_profile_its_calls_are_killed() -> None:
    own = profile(default="ALLOW", architectures=["SCMP_ARCH_X86_64"])

    assert run(compiled(own), number("read", "x32")) == KILL


def test_another_machine_has_its_own_numbers() -> None:
    program = compiled(DEFAULT, machine="aarch64")

    assert run(program, number("openat", "aarch64"), architecture=AARCH64) == ALLOW
    assert run(program, number("mount", "aarch64"), architecture=AARCH64) == ERRNO | EPERM


def test_an_errno_of_ones_own() -> None:
    own = profile(rule("ERRNO", "mkdir", errnoRet=95), default="ALLOW")

    assert run(compiled(own), number("mkdir")) == ERRNO | 95
    assert run(compiled(own), number("rmdir")) == ALLOW


def test_a_rule_for_a_newer_kernel_does_not_apply() -> None:
    own = profile(rule("ALLOW", "ptrace", includes={"minKernel": "6.2"}))

    assert run(compiled(own), number("ptrace")) == ERRNO | EPERM


OPERATORS = {
    "NE": lambda a, v: a != v,
    "LT": lambda a, v: a < v,
    "LE": lambda a, v: a <= v,
    "EQ": lambda a, v: a == v,
    "GE": lambda a, v: a >= v,
    "GT": lambda a, v: a > v,
}
WIDE = (
    st.integers(0, 2**64 - 1) | st.integers(0, 3) | st.sampled_from([2**32 - 1, 2**32, 2**32 + 1])
)


@settings(deadline=None)  # compiling takes a loaded machine its time
@given(st.sampled_from(sorted(OPERATORS)), WIDE, WIDE)
def test_comparisons_are_64_bits_wide(operator: str, value: int, given_value: int) -> None:
    """Comparing two halves gives what comparing whole numbers gives."""
    condition = {"index": 1, "op": f"SCMP_CMP_{operator}", "value": value}
    program = compiled(profile(rule("ALLOW", "ioctl", args=[condition])))

    answer = run(program, number("ioctl"), 7, given_value)

    assert (answer == ALLOW) == OPERATORS[operator](given_value, value)


@settings(deadline=None)  # compiling takes a loaded machine its time
@given(WIDE, WIDE, WIDE)
def test_masks_are_64_bits_wide(mask: int, wanted: int, given_value: int) -> None:
    """A masked comparison holds exactly when the masked number is the one wanted."""
    condition = {"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": wanted}
    program = compiled(profile(rule("ALLOW", "ioctl", args=[condition])))

    answer = run(program, number("ioctl"), given_value)

    assert (answer == ALLOW) == (given_value & mask == wanted)


@settings(deadline=None)  # compiling takes a loaded machine its time
@given(st.sets(st.sampled_from(sorted(NUMBERS["x86_64"]))))
def test_exactly_the_calls_named_are_allowed(names: set[str]) -> None:
    """Bisection by ranges decides as a list of names would."""
    program = compiled(profile(rule("ALLOW", *sorted(names)), archMap=[]))

    allowed = {n for n, i in NUMBERS["x86_64"].items() if run(program, i) == ALLOW}

    assert allowed == names


def test_two_comparisons_of_one_argument_are_alternatives() -> None:
    conditions = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value} for value in (1, 5)]
    program = compiled(profile(rule("ALLOW", "ioctl", args=conditions)))

    allowed = [value for value in range(8) if run(program, number("ioctl"), value) == ALLOW]

    assert allowed == [1, 5]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "SCMP_ACT_MAYBE"),
        ({}, "None"),
        (profile(rule("ALLOW", "x", includes={"minKernel": "six"})), "six"),
        (profile(rule("ALLOW", "x", args=[{"index": 0, "op": "SCMP_CMP_NEAR"}])), "SCMP_CMP_NEAR"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(bad: dict[str, Any], word: str) -> None:
    with pytest.raises(ProfileError, match=word):
        compiled(bad)


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(ProfileError, match="m68k"):
        compiled(DEFAULT, machine="m68k")
