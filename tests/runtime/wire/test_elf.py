"""ELF files made to look for their libraries elsewhere, tried by running them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.wire import elf

PROGRAM = Path(os.path.realpath("/bin/cat"))


def libraries(path: Path) -> dict[str, str]:
    """Return name → path of what the system's loader finds for the program."""
    loader = elf.interpreter(path.read_bytes())
    listed = subprocess.run(
        [loader, "--list", str(path)], capture_output=True, text=True, check=True
    )
    return dict(re.findall(r"(\S+) => (/\S+)", listed.stdout))


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Return a directory with `cat`, its loader and libraries, patched to use one another."""
    data = PROGRAM.read_bytes()
    loader = elf.interpreter(data)
    shutil.copy(loader, tmp_path / "ld.so")
    for name, path in libraries(PROGRAM).items():
        (tmp_path / name).write_bytes(elf.patch(Path(path).read_bytes(), rpath=str(tmp_path)))
    changed = elf.patch(data, rpath=str(tmp_path), loader=f"{tmp_path}/ld.so")
    (tmp_path / "cat").write_bytes(changed)
    (tmp_path / "cat").chmod(0o755)
    return tmp_path


def test_a_patched_program_uses_its_own_libraries_alone(moved: Path) -> None:
    done = subprocess.run(
        [moved / "cat", "/proc/self/maps"], capture_output=True, text=True, check=True
    )

    mapped = {line.split()[-1] for line in done.stdout.splitlines() if ".so" in line}
    assert {path for path in mapped if not path.startswith(f"{moved}/")} == set()
    assert f"{moved}/ld.so" in mapped


def test_its_own_libraries_win_over_ld_library_path(
    moved: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trap = tmp_path_factory.mktemp("trap")
    for name in libraries(PROGRAM):
        (trap / name).write_bytes(b"no library")

    done = subprocess.run(
        [moved / "cat", "/dev/null"], env={"LD_LIBRARY_PATH": str(trap)}, check=False
    )

    assert done.returncode == 0


def test_what_was_patched_can_be_patched_again(moved: Path) -> None:
    again = elf.patch((moved / "cat").read_bytes(), rpath=str(moved))
    (moved / "cat").write_bytes(again)

    done = subprocess.run([moved / "cat", "/dev/null"], env={}, check=False)

    assert done.returncode == 0
    assert elf.interpreter(again) == f"{moved}/ld.so"


def test_a_static_program_stays_as_it_is() -> None:
    data = Path("/bin/busybox").read_bytes()

    assert elf.patch(data, rpath="/x") == data


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"#!/bin/sh\n", "no ELF file"),
        (b"\x7fELF\x01\x01" + bytes(100), "64-bit"),
        (b"\x7fELF\x02\x01" + bytes(100), "headers"),
    ],
)
def test_what_is_no_program_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(elf.ElfError, match=word):
        elf.patch(data, rpath="/x")


def test_symbols_and_debug_information_are_left_out() -> None:
    data = PROGRAM.read_bytes()

    sections = int.from_bytes(elf.patch(data, rpath="/x")[40:48], "little")

    assert sections == 0
