"""Tests that need a process to themselves: its children, its signals, its descriptors."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

import pytest

P = ParamSpec("P")


def isolated(test: Callable[P, None]) -> Callable[P, None]:
    """Run *test* in a forked child, without children of its own; its failure is ours."""

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
    @functools.wraps(test)
    def in_child(*args: P.args, **kwargs: P.kwargs) -> None:
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                test(*args, **kwargs)
                status = 0
            except BaseException:  # noqa: BLE001 - told to the parent, which fails with it
                os.write(write_fd, traceback.format_exc().encode()[-60_000:])
            finally:
                os._exit(status)
        os.close(write_fd)
        with open(read_fd, encoding="utf-8", errors="replace") as pipe:
            said = pipe.read()
        _, status = os.waitpid(pid, 0)
        assert status == 0, said or f"wait status {status}"

    return in_child
