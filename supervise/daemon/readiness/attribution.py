"""Whose a datagram of the notify socket is: the service that its sender belongs to."""

from __future__ import annotations

from supervise.linux import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.daemon.supervisor import Supervisor


def service_of(supervisor: Supervisor, pid: int, uid: int) -> str | None:
    """Return the service whose main process, or a descendant of it, *pid* of *uid* is."""
    current = pid
    while current > 1:
        name = supervisor.service_of_pid(current)
        if name is not None:
            return name
        found = procfs.stat(current)
        if found is None:
            break
        current = found.parent
    return _marked_service_of(supervisor, pid, uid)


def _marked_service_of(supervisor: Supervisor, pid: int, uid: int) -> str | None:
    """Return whose daemon *pid* says it is, if it runs as that service or as root.

    Everybody can write the marker into an environment of his own.
    """
    service = supervisor.services.get(procfs.service_of(pid) or "")
    if service is None or service.pid is None:
        return None
    return service.name if uid in (0, procfs.owner(service.pid)) else None
