"""The small image of the run: busybox, and the server that is asked."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.records import BenchmarkError

if TYPE_CHECKING:
    from benchmarks.workshop import Workshop

_APPLETS = ("cat", "ls", "sh", "sleep", "true")


def root_file_system(workshop: Workshop) -> Path:
    """Write it as a tar and return where."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise BenchmarkError("needs busybox-static: apt-get install busybox-static")
    path = workshop.root / "small.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        _add(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _add(archive, "bin/busybox", Path(busybox).read_bytes(), 0o755)
        _add(archive, "bin/answer", Path(workshop.program("answer")).read_bytes(), 0o755)
        for name in _APPLETS:
            member = tarfile.TarInfo(f"bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(member)
    return path


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))
