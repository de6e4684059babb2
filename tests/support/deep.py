"""Directories nested deeper than the kernel takes in one path."""

from __future__ import annotations

import os
from pathlib import Path

DEEP_NAME = "n" * 250


def make_deep(directory: Path, depth: int) -> None:
    """Make *depth* directories in each other, the last with a file of 3 bytes."""
    fd = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(DEEP_NAME, dir_fd=fd)
        fd = _deeper(fd)
    file_fd = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(file_fd, b"abc")
    os.close(file_fd)
    os.close(fd)


def _deeper(fd: int) -> int:
    deeper = os.open(DEEP_NAME, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
    os.close(fd)
    return deeper
