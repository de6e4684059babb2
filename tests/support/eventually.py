"""Wait for a fact instead of sleeping.

The only place in the tests that lets time pass.  A test states what must become true; how long
that takes is the machine's business, within a bound that only a bug exceeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 15.0  # seconds; generous, because a loaded machine is not a failure
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


def eventually(fact: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Call *fact* until it returns something true, and return that.

    *fact* may raise AssertionError or OSError while it is not true yet (a file that is not there,
    a process that is gone).

    Raises:
        AssertionError: *timeout* seconds passed; it says what *fact* returned or raised last.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        last: object
        try:
            value = fact()
            if value:
                return value
            last = value
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s; last: {last!r}")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def holds(fact: Callable[[], bool], seconds: float) -> None:
    """Assert that *fact* stays true for *seconds*: the only way to see that nothing happens.

    Raises:
        AssertionError: *fact* became false.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert fact(), "it changed although nothing should"
        time.sleep(_LONGEST_PAUSE)
