"""Docker's seccomp profiles: from JSON and a container's capabilities to a BPF program.

Pure; `runtime.container.start.seccomp_cache` reads the files and keeps the result.  The rules are
moby's (profiles/seccomp) and libseccomp's: what is not allowed gets the default action, a call that
is newer than the profile gets ENOSYS, and a program of an unknown architecture is killed.
"""

from __future__ import annotations

from runtime.wire import bpf
from supervise.model.numerals import whole
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# linux/audit.h, by the names of our table of system calls.
_AUDIT = {
    "x86_64": 0xC000003E,
    "x86": 0x40000003,
    "x32": 0xC000003E,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "riscv64": 0xC00000F3,
    "ppc64le": 0xC0000015,
}
_X32_BIT = 0x40000000
# uname(2)'s machine → (our native table, Go's name for it, those of the other ABIs it runs).
_MACHINES = {
    "x86_64": ("x86_64", "amd64", ("x86", "x32")),
    "aarch64": ("aarch64", "arm64", ("arm",)),
    "riscv64": ("riscv64", "riscv64", ()),
    "ppc64le": ("ppc64le", "ppc64le", ()),
}
_SCMP_ARCHES = {
    "SCMP_ARCH_X86_64": "x86_64",
    "SCMP_ARCH_X86": "x86",
    "SCMP_ARCH_X32": "x32",
    "SCMP_ARCH_AARCH64": "aarch64",
    "SCMP_ARCH_ARM": "arm",
    "SCMP_ARCH_RISCV64": "riscv64",
    "SCMP_ARCH_PPC64LE": "ppc64le",
}
_ALLOW, _ERRNO, _KILL_THREAD = 0x7FFF0000, 0x00050000, 0
_ACTIONS = {
    "SCMP_ACT_ALLOW": _ALLOW,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_KILL": _KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": _KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
_EPERM, _ENOSYS = 1, 38
_WORD = 0xFFFFFFFF


class ProfileError(ValueError):
    """Raised for a profile that is not valid or asks for something unknown; the text says what."""


class _Condition(Record):
    """One comparison with an argument of the call, 64 bits wide."""

    index: int
    operator: str  # NE LT LE EQ GE GT MASKED_EQ
    value: int
    second: int = 0


class _Rule(Record):
    """What is done when all conditions hold."""

    action: int
    conditions: tuple[_Condition, ...] = ()


def compile_profile(
    profile: Mapping[str, Any],
    *,
    capabilities: Sequence[str],
    machine: str,
    kernel: tuple[int, int],
    numbers: Mapping[str, Mapping[str, int]],
) -> bytes:
    """Return the BPF program of *profile* for a container with *capabilities* (without CAP_).

    *machine* is uname(2)'s, *kernel* its release, *numbers* architecture → call → number.

    Raises:
        ProfileError: it makes no sense, or this machine is not known.
    """
    if machine not in _MACHINES:
        raise ProfileError(f"there is no table of system calls for '{machine}'")
    native, go_name, _ = _MACHINES[machine]
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    rules: dict[str, list[_Rule]] = {}  # by the call's name
    for entry in profile.get("syscalls") or ():
        if not _applies(entry, frozenset(capabilities), go_name, kernel):
            continue
        action = _action(entry.get("action"), entry.get("errnoRet"))
        for name in entry.get("names") or [entry.get("name")]:
            rules.setdefault(name, []).extend(_rules(entry, action))
    program = bpf.BpfProgram()
    _by_architecture(program, _architectures(profile, native), rules, default, numbers)
    try:
        return program.assemble()
    except ValueError as error:
        raise ProfileError(str(error)) from None


def _architectures(profile: Mapping[str, Any], native: str) -> list[str]:
    """Return the native ABI and those beside it that the profile has rules for."""
    found = [native]
    for entry in profile.get("archMap") or ():
        if _SCMP_ARCHES.get(entry.get("architecture")) == native:
            found += [_SCMP_ARCHES.get(name, "") for name in entry.get("subArchitectures") or ()]
    found += [_SCMP_ARCHES.get(name, "") for name in profile.get("architectures") or ()]
    runs = (native, *_MACHINES_BY_NATIVE[native])
    return [name for name in dict.fromkeys(found) if name in runs]


_MACHINES_BY_NATIVE = {native: others for native, _, others in _MACHINES.values()}


def _applies(
    entry: Mapping[str, Any], capabilities: frozenset[str], go_name: str, kernel: tuple[int, int]
) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    has = {f"CAP_{name}" for name in capabilities}
    if go_name in (excludes.get("arches") or ()) or has & set(excludes.get("caps") or ()):
        return False
    if "minKernel" in excludes and kernel >= _release(excludes["minKernel"]):
        return False
    if includes.get("arches") and go_name not in includes["arches"]:
        return False
    if includes.get("caps") and not has >= set(includes["caps"]):
        return False
    return "minKernel" not in includes or kernel >= _release(includes["minKernel"])


def _release(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    first, second = whole(major), whole(minor)
    if first is None or second is None:
        raise ProfileError(f"minKernel '{text}' is not MAJOR.MINOR")
    return first, second


def _action(name: object, number: object) -> int:
    if name not in _ACTIONS:
        known = ", ".join(_ACTIONS)
        raise ProfileError(f"'{name}' is no action we know; {known}")
    found = _ACTIONS[str(name)]
    if found in (_ERRNO, _ACTIONS["SCMP_ACT_TRACE"]):
        found |= number if isinstance(number, int) else _EPERM
    return found


def _rules(entry: Mapping[str, Any], action: int) -> list[_Rule]:
    conditions = []
    for argument in entry.get("args") or ():
        operator = str(argument.get("op", "")).removeprefix("SCMP_CMP_")
        if operator not in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"):
            raise ProfileError(f"'{argument.get('op')}' is no comparison we know")
        value, second = int(argument.get("value", 0)), int(argument.get("valueTwo") or 0)
        conditions.append(_Condition(int(argument["index"]), operator, value, second))
    indexes = [condition.index for condition in conditions]
    if len(set(indexes)) < len(indexes):
        # libseccomp takes one comparison an argument; runc then makes a rule of each.
        return [_Rule(action, (condition,)) for condition in conditions]
    return [_Rule(action, tuple(conditions))]


def _by_architecture(
    program: bpf.BpfProgram,
    architectures: list[str],
    rules: Mapping[str, list[_Rule]],
    default: int,
    numbers: Mapping[str, Mapping[str, int]],
) -> None:
    """Tell the ABIs apart, then the calls of each."""
    program.load(bpf.ARCHITECTURE)
    labels = {name: program.fresh() for name in architectures}
    separate = [name for name in architectures if name != "x32"]
    for name in separate:
        program.jump_if(bpf.JMP_JEQ_K, _AUDIT[name], labels[name])
    program.answer(_KILL_THREAD)
    for name in separate:
        program.label(labels[name])
        program.load(bpf.NUMBER)
        if name == "x86_64":
            # The same architecture word: x32 calls have a bit set in their number.
            own = program.fresh()
            program.jump_if(bpf.JMP_JGE_K, _X32_BIT, labels.get("x32", "x32-killed"), own)
            if "x32" not in labels:
                program.label("x32-killed")
                program.answer(_KILL_THREAD)
            program.label(own)
        _calls(program, rules, default, numbers[name])
    if "x32" in labels:
        program.label(labels["x32"])
        _calls(program, rules, default, numbers["x32"])


def _calls(
    program: bpf.BpfProgram,
    rules: Mapping[str, list[_Rule]],
    default: int,
    numbers: Mapping[str, int],
) -> None:
    """Decide about the number that is loaded, by bisection of ranges with one fate each."""
    wanted = {numbers[name]: tuple(found) for name, found in rules.items() if name in numbers}
    nothing: tuple[_Rule, ...] = ()
    newest = max(numbers.values(), default=0)
    ranges: list[tuple[int, tuple[_Rule, ...]]] = [(0, nothing)]  # (first number, its rules)
    for number in sorted(wanted):
        for first, fate in ((number, wanted[number]), (number + 1, nothing)):
            if ranges[-1][0] == first:
                ranges[-1] = (first, fate)
            elif ranges[-1][1] != fate:
                ranges.append((first, fate))
    merged: list[tuple[int, tuple[_Rule, ...]]] = []
    for first, fate in ranges:
        if not merged or merged[-1][1] != fate:
            merged.append((first, fate))
    too_new = (_Rule(_ERRNO | _ENOSYS),)
    merged.append((newest + 1, too_new if default & 0xFFFF0000 == _ERRNO else nothing))
    _bisect(program, merged, default)


def _bisect(
    program: bpf.BpfProgram, ranges: list[tuple[int, tuple[_Rule, ...]]], default: int
) -> None:
    if len(ranges) == 1:
        _decide(program, ranges[0][1], default)
        return
    middle = len(ranges) // 2
    upper = program.fresh()
    program.jump_if(bpf.JMP_JGE_K, ranges[middle][0], upper)
    _bisect(program, ranges[:middle], default)
    program.label(upper)
    _bisect(program, ranges[middle:], default)


def _decide(program: bpf.BpfProgram, rules: tuple[_Rule, ...], default: int) -> None:
    """Answer by the first rule that holds; those without conditions come last."""
    for rule in sorted(rules, key=lambda rule: not rule.conditions):
        failed = program.fresh()
        for condition in rule.conditions:
            _compare(program, condition, failed)
        program.answer(rule.action)
        if not rule.conditions:
            return
        program.label(failed)
    program.answer(default)


def _compare(program: bpf.BpfProgram, condition: _Condition, failed: str) -> None:
    """Fall through when the condition holds, else go on at *failed*."""
    low, high = bpf.argument(condition.index)
    held = program.fresh()
    operator, value = condition.operator, condition.value
    if operator == "MASKED_EQ":
        for offset, shift in ((high, 32), (low, 0)):
            program.load(offset)
            program.mask(value >> shift & _WORD)
            program.jump_if(bpf.JMP_JEQ_K, condition.second >> shift & _WORD, held, failed)
            program.label(held)
            held = program.fresh()
        return
    value_high, value_low = value >> 32 & _WORD, value & _WORD
    program.load(high)
    if operator in ("EQ", "NE"):
        on_other = failed if operator == "EQ" else held
        same = program.fresh()
        program.jump_if(bpf.JMP_JEQ_K, value_high, same, on_other)
        program.label(same)
        program.load(low)
        on_same = held if operator == "EQ" else failed
        program.jump_if(bpf.JMP_JEQ_K, value_low, on_same, on_other)
        program.label(held)
        return
    greater, less = (held, failed) if operator in ("GT", "GE") else (failed, held)
    equal = program.fresh()
    program.jump_if(bpf.JMP_JGT_K, value_high, greater)
    program.jump_if(bpf.JMP_JEQ_K, value_high, equal, less)
    program.label(equal)
    program.load(low)
    # With the upper halves equal the lower ones decide: GT and LE look at >, GE and LT at >=.
    code = bpf.JMP_JGT_K if operator in ("GT", "LE") else bpf.JMP_JGE_K
    program.jump_if(code, value_low, greater, less)
    program.label(held)
