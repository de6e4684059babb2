"""How a container fares: what its monitor writes and everybody reads."""

from __future__ import annotations

from runtime.model.container import statuses
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Endpoint(Record):
    """How the container is on one network, enough to undo it."""

    network: str
    address: str = ""  # IPv4
    prefix: int = 0
    gateway: str = ""
    address6: str = ""
    mac: str = ""
    interface: str = "eth0"
    host_interface: str = ""  # the veth's other end
    ports: tuple[tuple[str, int, int, str], ...] = ()  # (host address, host, container, protocol)
    extra: Mapping[str, str] = {}  # a CNI result, …


class HealthProbe(Record):
    """One run of a container's health check.  Times are wall clock seconds."""

    started: float
    finished: float
    exit_code: int  # 0: healthy; -1: it took too long, or could not be started
    output: str = ""


class State(Record):
    """The life of one container.  Times are wall clock seconds."""

    status: str = statuses.CREATED  # one of statuses.EVERY
    pid: int = 0  # of its PID 1, on the host; 0 without a process
    pid_started: int = 0  # clock ticks since boot: with pid, that very process
    monitor_pid: int = 0
    monitor_started: int = 0
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    restarts: int = 0
    stopped_by_user: bool = False
    health: str = ""  # "" without a check | starting | healthy | unhealthy
    health_streak: int = 0  # failures in a row
    health_log: tuple[HealthProbe, ...] = ()  # the last ones
    endpoints: tuple[Endpoint, ...] = ()
