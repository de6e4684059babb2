"""Who may write to what a configuration was read from: that person runs programs as us.

A remark, no problem: a file of the developer's, mounted into a container whose PID 1 is root, is
everyday, and nothing but a look at the machine returns whether it is meant.  Lean: imported by PID 1
with a compiled plan.
"""

from __future__ import annotations

import os
import stat

from supervise.linux import directory
from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.linux.directory import Directory
    from supervise.model.service import ConfigurationSource

_READ = frozenset({"yaml", "env_file"})


def remarks(sources: Iterable[ConfigurationSource]) -> list[Problem]:
    """Return one remark for each who may write to *sources* and should not, whatever he may."""
    found: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        if source.kind in _READ and source.digest:
            for path, what, way_out in _concerns(source.path):
                paths = found.setdefault((what, way_out), [])
                if path not in paths:
                    paths.append(path)
    we = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    made = []
    for (what, way_out), paths in found.items():
        others = f", and {len(paths) - 1} more like it" if len(paths) > 1 else ""
        text = f"{what}, and so can run any program as {we}{others}"
        made.append(Problem(paths[0], 0, 0, "", text, f"{way_out} {' '.join(paths[:3])}"))
    return made


def _concerns(path: str) -> list[tuple[str, str, str]]:
    """Return (path, who may write to it, the command that ends that) of a file and its directory."""
    try:
        held, name = directory.find(path, link_owners=set())
    except OSError:
        return []
    try:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held.fd)
    except OSError:
        held.close()
        return []
    try:
        file = os.fstat(fd)
        # Through a read-only mount nobody in this container writes: a ConfigMap has mode 0777.
        if not stat.S_ISREG(file.st_mode) or _is_read_only(fd):
            return []
        concern = _writer(file.st_uid, file.st_gid, file.st_mode)
        found = [(path, *concern)] if concern else []
        concern = _directory_writer(held)
        if concern and all(concern != other[1:] for other in found):
            found.append((held.path, *concern))
        return found
    finally:
        os.close(fd)
        held.close()


def _is_read_only(fd: int) -> bool:
    try:
        return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)
    except OSError:  # a sandbox forbids to ask: then it is said once too often
        return False


def _writer(owner: int, group: int, mode: int) -> tuple[str, str] | None:
    if mode & stat.S_IWOTH:
        return "everybody may write to it", "chmod go-w"
    if mode & stat.S_IWGRP and group not in (0, os.getegid()):
        return f"group {group} may write to it", "chmod go-w"
    if os.geteuid() == 0 and owner not in directory.trusted_users():
        return (
            f"it belongs to user {owner}, who may write to it",
            "unless that is meant: chown root",
        )
    return None


def _directory_writer(held: Directory) -> tuple[str, str] | None:
    """Return who may put another file in the place of one in *held*."""
    # Who may write to a directory above it is not asked: a path has many, and /home is one.
    others = 0 if held.mode & stat.S_ISVTX else held.mode
    return _writer(held.owner, held.group, others)
