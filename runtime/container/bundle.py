"""PID 1 for any image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.setup import Setup
    from runtime.store.layout import Layout


def prepare(setup: Setup, layout: Layout) -> None:
    """Put our init in front of the command when the container is to have it."""
