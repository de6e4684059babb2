"""gzip from descriptor 0 to descriptor 1, as a program of its own: `compressor` runs it.

It says ``done`` on descriptor 2 when everything is written and on disk, or what went wrong.  PID 1
does not compress: that takes a third of a second for 10 MiB.  It does not fork to compress either:
a fork copies its page tables and its handlers.  It imports nothing of supervise, so that it can
run without site packages; who names, renames and removes files is `logfile`.
"""

from __future__ import annotations

import os

DONE = b"done"

_CHUNK = 256 * 1024
_GZIP = 31  # zlib: the largest window, with a gzip header


def compress(source_fd: int, target_fd: int) -> None:
    """Write the gzip of *source_fd* to *target_fd* and wait until it is on disk."""
    import zlib  # not at the top: PID 1 imports this module for its path and must not carry it

    packer = zlib.compressobj(wbits=_GZIP)
    while data := os.read(source_fd, _CHUNK):
        _write_all(target_fd, packer.compress(data))
    _write_all(target_fd, packer.flush())
    os.fsync(target_fd)


def main() -> int:
    """Compress what the descriptors say; return the exit code."""
    os.nice(19)
    try:
        compress(0, 1)
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
