"""The steps of a container's life by name, so that a test can end a process between any two.

The names are a promise to the tests alone: `tests/support/programs/killed_runtime.py` replaces
`reached` with a function that kills its own process at the step it is told.
"""

from __future__ import annotations


def reached(name: str) -> None:
    """No-op that marks the step *name*; tests replace it."""
