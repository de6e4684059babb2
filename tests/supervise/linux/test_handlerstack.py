from __future__ import annotations

import faulthandler
import os
import resource
import signal

import pytest

from supervise.linux import handlerstack
from tests.support import storms
from tests.support.isolated import isolated

CAUGHT = storms.CAUGHT - {signal.SIGTSTP}  # SIGCONT takes it back while it is pending


def nest_every_handler() -> set[int]:
    """Have every signal pending, then unblocked: each handler interrupts the one before."""
    got: set[int] = set()
    for number in CAUGHT:
        signal.signal(number, lambda number, _frame: got.add(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    for number in CAUGHT:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
    return got


@isolated
def test_every_handler_can_be_nested_where_faulthandler_is_on() -> None:
    faulthandler.disable()  # pytest's own has the stack of a parent
    faulthandler.enable(file=2)

    assert handlerstack.ensure()

    assert nest_every_handler() == CAUGHT


@isolated
def test_every_handler_can_be_nested_under_a_small_limit() -> None:
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 17, resource.RLIM_INFINITY))

    assert handlerstack.ensure()

    assert nest_every_handler() == CAUGHT


@isolated
def test_the_usual_stack_is_left_alone() -> None:
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, resource.RLIM_INFINITY))

    assert not handlerstack.ensure()


@isolated
def test_a_second_call_does_nothing() -> None:
    faulthandler.enable(file=2)
    handlerstack.ensure()

    assert not handlerstack.ensure()


@isolated
def test_no_memory_for_it_is_an_oserror() -> None:
    faulthandler.enable(file=2)
    import ctypes  # noqa: F401 - what these map themselves would be refused as well
    import mmap  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))

    with pytest.raises(OSError, match="Cannot allocate memory"):
        handlerstack.ensure()
