"""Privileges of files that are copied: they do not survive a change of owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runtime.container.files import transfer

pytestmark = pytest.mark.needs("root")

_CAPABILITIES = bytes.fromhex("0100000280000000000000000000000000000000")  # cap_setuid+ep


def copied(source: Path, target: Path, copier: transfer.Copier) -> os.stat_result:
    source_fd = os.open(source, os.O_PATH | os.O_NOFOLLOW)
    target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        copier.copy(source_fd, target_fd, b"copy")
    finally:
        os.close(source_fd)
        os.close(target_fd)
    return (target / "copy").stat()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program"
    file.touch()
    return file


@pytest.mark.parametrize(
    ("owner", "keep_owner", "is_out", "from_shift", "mode"),
    [
        (1000, False, True, 0, 0o755),
        (0, False, True, 0, 0o755),  # the container's root is not this machine's
        (1000, True, True, 0, 0o6755),
        (100000, True, True, 100000, 0o755),  # --userns: nobody here becomes root here
        (1000, False, False, 0, 0o755),
        (0, False, False, 0, 0o6755),
        (1000, True, False, 0, 0o6755),
    ],
)
def test_set_user_id_does_not_survive_a_change_of_owner(
    program: Path,
    tmp_path: Path,
    owner: int,
    keep_owner: bool,
    is_out: bool,
    from_shift: int,
    mode: int,
) -> None:
    os.chown(program, owner, owner)
    program.chmod(0o6755)
    copier = transfer.Copier(keep_owner=keep_owner, is_out=is_out, from_shift=from_shift)

    made = copied(program, tmp_path, copier)

    assert oct(stat.S_IMODE(made.st_mode)) == oct(mode)


def test_capabilities_do_not_come_out_of_a_container(program: Path, tmp_path: Path) -> None:
    os.setxattr(program, "security.capability", _CAPABILITIES)

    copied(program, tmp_path, transfer.Copier(keep_owner=False, is_out=True))

    assert "security.capability" not in os.listxattr(tmp_path / "copy")
