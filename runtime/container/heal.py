"""Clearing up after monitors that were killed, at the next command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.layout import Layout


def heal(layout: Layout) -> None:
    """Clear up."""
