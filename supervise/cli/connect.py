"""A connection as a command line asks for it."""

from __future__ import annotations

from supervise.client.control_client import ControlClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.cli.arguments import Arguments


def connect(given: Arguments) -> ControlClient:
    """Return a client for the socket and the form of output that a command line asks for."""
    return ControlClient(given.get("socket"), verbatim=given.flag("json"))
