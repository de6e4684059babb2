"""gzip from descriptor 0 to descriptor 1, as a program of its own: `compressor` runs it.

It says ``done`` on descriptor 2 when everything is written and on disk, or what went wrong.  PID 1
does not compress: that takes a third of a second for 10 MiB.  It does not fork to compress either:
a fork copies its page tables and its handlers.  It imports nothing of supervise, so that it can
run without site packages; who names, renames and removes files is `logfile`.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from contextlib import suppress

DONE = b"done"

_CHUNK = 256 * 1024
_GZIP = 31  # zlib: the largest window, with a gzip header
_OVERHEAD = 1 << 16  # bytes a gzip may be larger than what is in it, with 1/512 of that


def compress(source_fd: int, target_fd: int, limit: int) -> None:
    """Write the gzip of *source_fd* to *target_fd* and wait until it is on disk.

    Raises:
        OSError: EFBIG: there are more than *limit* bytes, it has grown meanwhile; as write(2) says.
    """
    import zlib  # not at the top: PID 1 imports this module for its path and must not carry it

    packer = zlib.compressobj(wbits=_GZIP)
    while data := os.read(source_fd, _CHUNK):
        limit -= len(data)
        if limit < 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        _write_all(target_fd, packer.compress(data))
    _write_all(target_fd, packer.flush())
    os.fsync(target_fd)


def main() -> int:
    """Compress what the descriptors say; return the exit code."""
    limit = int(sys.argv[1])
    most = limit + limit // 512 + _OVERHEAD
    with suppress(
        OSError, ValueError
    ):  # a sandbox forbids it: what is read is bounded all the same
        os.nice(19)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        compress(0, 1, limit)
    except OSError as error:
        os.write(2, os.strerror(error.errno or 0).encode())
        return 1
    os.write(2, DONE)
    return 0


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    raise SystemExit(main())
