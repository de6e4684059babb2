"""Tar streams made by Python's tarfile: the other opinion on what a header means."""

from __future__ import annotations

import io
import tarfile
from typing import NamedTuple


class Member(NamedTuple):
    """One entry; the kind is one of tarfile's types."""

    name: str
    kind: bytes = tarfile.REGTYPE
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = 1_000_000_000
    device: tuple[int, int] = (0, 0)
    pax: dict[str, str] = {}  # noqa: RUF012 - never changed


def directory(name: str, mode: int = 0o755, mtime: float = 1_000_000_000) -> Member:
    return Member(name, tarfile.DIRTYPE, mode=mode, mtime=mtime)


def file(name: str, data: bytes = b"", mode: int = 0o644) -> Member:
    return Member(name, data=data, mode=mode)


def symlink(name: str, target: str) -> Member:
    return Member(name, tarfile.SYMTYPE, link=target)


def hard_link(name: str, target: str) -> Member:
    return Member(name, tarfile.LNKTYPE, link=target)


def make_tar(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return the archive of *members*, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.mode = member.kind, member.link, member.mode
            info.uid, info.gid, info.mtime = member.uid, member.gid, member.mtime
            info.size = len(member.data)
            info.devmajor, info.devminor = member.device
            info.pax_headers = dict(member.pax)
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()
