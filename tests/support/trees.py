"""Directory trees as values: everything of every file that a layer must carry."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple


class Node(NamedTuple):
    """One inode as seen under one name."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int  # whole seconds; 0 where it does not count
    contents: bytes  # of a file, or where a link points
    device: int
    xattrs: tuple[tuple[str, bytes], ...]
    twin: str  # the first name of the same inode


def tree(root: Path, *, times: bool = True) -> dict[str, Node]:
    """Return path below *root* → node, the root itself left out."""
    found: dict[str, Node] = {}
    first: dict[int, str] = {}
    for directory, directories, files in os.walk(root):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = Path(directory, name)
            found[str(path.relative_to(root))] = _node(path, root, first, times=times)
    return found


def _node(path: Path, root: Path, first: dict[int, str], *, times: bool) -> Node:
    info = path.lstat()
    contents = b""
    if stat.S_ISREG(info.st_mode):
        contents = path.read_bytes()
    elif stat.S_ISLNK(info.st_mode):
        contents = os.fsencode(os.readlink(path))
    names = os.listxattr(path, follow_symlinks=False)
    return Node(
        kind=stat.filemode(info.st_mode)[0],
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime=int(info.st_mtime) if times else 0,
        contents=contents,
        device=info.st_rdev,
        xattrs=tuple((n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names)),
        twin=first.setdefault(info.st_ino, str(path.relative_to(root))),
    )
