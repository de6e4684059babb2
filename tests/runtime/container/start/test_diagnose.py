"""Why a program cannot be executed, in words."""

from __future__ import annotations

import errno
import platform
import struct
from pathlib import Path

import pytest

from runtime.container.start.diagnose import (
    CannotExecuteError,
    check_interpreter,
    explain,
    find,
)

X86_64, AARCH64 = 62, 183
OURS = {"x86_64": X86_64, "aarch64": AARCH64}[platform.machine()]
OTHER = AARCH64 if OURS == X86_64 else X86_64


def elf(machine: int, loader: str = "") -> bytes:
    """Return the head of a 64-bit program that names *loader*."""
    header = bytearray(64)
    header[:7] = b"\x7fELF\x02\x01\x01"
    struct.pack_into("<HH", header, 16, 2, machine)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    name = loader.encode() + b"\0"
    kind = 3 if loader else 1
    segment = struct.pack("<IIQQQQQQ", kind, 4, 120, 0, 0, len(name), len(name), 1)
    return bytes(header) + segment + name


def program(directory: Path, data: bytes, mode: int = 0o755) -> str:
    path = directory / "program"
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def why(path: str, number: int = errno.ENOENT) -> CannotExecuteError:
    return explain(path, number)


def test_a_missing_loader_is_named(tmp_path: Path) -> None:
    path = program(tmp_path, elf(OURS, "/lib/ld-musl-nowhere.so.1"))

    found = why(path)

    assert found.code == 127
    assert "needs /lib/ld-musl-nowhere.so.1, which is not in the image" in str(found)
    assert "Alpine" in str(found)


def test_another_machines_program_is_recognised(tmp_path: Path) -> None:
    path = program(tmp_path, elf(OTHER))

    found = why(path, errno.ENOEXEC)

    assert found.code == 126
    assert "it is a program for " in str(found)
    check_interpreter(path, foreign=True)  # binfmt_misc may run it
    with pytest.raises(CannotExecuteError):
        check_interpreter(path, foreign=False)


def test_a_carriage_return_is_seen(tmp_path: Path) -> None:
    found = why(program(tmp_path, b"#!/bin/sh\r\necho\r\n"))

    assert found.code == 127
    assert "carriage return" in str(found)
    assert "'/bin/sh' followed by a CR" in str(found)


@pytest.mark.parametrize("line", [b"#!/no/such/shell -e\n", b"#! /no/such/shell\n"])
def test_a_missing_interpreter_is_named(tmp_path: Path, line: bytes) -> None:
    assert "needs /no/such/shell, which" in str(why(program(tmp_path, line)))


def test_a_line_without_interpreter_is_said(tmp_path: Path) -> None:
    found = why(program(tmp_path, b"#!\n"), errno.ENOEXEC)

    assert found.code == 126
    assert "names no interpreter" in str(found)


def test_neither_program_nor_script(tmp_path: Path) -> None:
    found = why(program(tmp_path, b"echo hello\n"), errno.ENOEXEC)

    assert found.code == 126
    assert "neither a program nor a script" in str(found)


@pytest.mark.parametrize("data", [b"\x7fELF", b"\x7fELF\x02\x01" + bytes(10), b""])
def test_a_program_that_is_cut_short_breaks_nothing(tmp_path: Path, data: bytes) -> None:
    assert why(program(tmp_path, data), errno.ENOEXEC).code == 126


def test_what_can_run_is_let_through() -> None:
    check_interpreter("/bin/sh", foreign=False)


def test_the_path_is_searched_in_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        program(tmp_path / name, b"x")
    (tmp_path / "a/program").chmod(0o644)

    assert find("program", {"PATH": f"{tmp_path}/a:{tmp_path}/b"}) == f"{tmp_path}/b/program"


def test_what_is_in_no_directory_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CannotExecuteError, match="no directory of \\$PATH") as refused:
        find("program", {"PATH": str(tmp_path)})

    assert refused.value.code == 127


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_what_may_not_be_executed_is_said(tmp_path: Path, mode: int) -> None:
    path = program(tmp_path, b"x", mode)

    with pytest.raises(CannotExecuteError, match=f"mode {mode:04o}") as refused:
        find(path, {})

    assert refused.value.code == 126


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(CannotExecuteError, match="directory") as refused:
        find(f"{tmp_path}/", {})

    assert refused.value.code == 126


def test_an_empty_command_is_not_found() -> None:
    with pytest.raises(CannotExecuteError, match="empty") as refused:
        find("", {})

    assert refused.value.code == 127
