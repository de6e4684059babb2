"""That what a test opens is closed again.

The process has more than the test: threads of the tests before it end when they like and close
theirs.  So descriptors are compared one by one, not counted: only one that was not there before is
a leak, and only if it stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.eventually import eventually


def opened() -> frozenset[tuple[str, str]]:
    """Return every open descriptor of this process as (number, what it is)."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own, or another thread's just closed
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return frozenset(found)


@contextmanager
def none_left() -> Iterator[None]:
    """Fail if a descriptor that is opened inside stays open.

    Raises:
        AssertionError: says which.
    """
    before = opened()
    yield

    def closed() -> bool:
        left = sorted(opened() - before)
        assert not left, f"descriptors leaked: {left}"
        return True

    eventually(closed)
