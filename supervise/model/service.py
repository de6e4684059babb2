"""What a configuration asks for: a Plan of ServiceSpecs, validated, with defaults filled in.

Whoever makes a Plan (the YAML loader; unit files and other formats later) has checked it; whoever
uses one need not.  A Plan travels from the loader to PID 1, and into a compiled plan, as plain
JSON values (`model.plain`).
"""

from __future__ import annotations

import enum

from supervise.model.plain import from_plain, to_plain
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PLAN_VERSION = 2


class ServiceType(enum.Enum):
    """What the end of the process means: a service should run, a oneshot should complete."""

    SERVICE = "service"
    ONESHOT = "oneshot"


class Stdin(enum.Enum):
    """Where the standard input comes from."""

    NULL = "null"
    TTY = "tty"  # PID 1's own standard input, with the terminal when it is one


class RestartMode(enum.Enum):
    """When a service that ended starts again; compose's words."""

    NO = "no"
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"


class OnFailure(enum.Enum):
    """What a service that failed for good does to the container."""

    NONE = "none"
    SHUTDOWN = "shutdown"


class KillMode(enum.Enum):
    """Who gets the stop signal: the process and all its descendants, or the process alone."""

    GROUP = "group"
    PROCESS = "process"


class Condition(enum.Enum):
    """What a dependency must have reached; compose's words and `service_ready`."""

    STARTED = "service_started"
    READY = "service_ready"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class OnUnhealthy(enum.Enum):
    """What a health check that failed `retries` times in a row does."""

    NONE = "none"
    RESTART = "restart"


class OnStall(enum.Enum):
    """What happens to a service's output when its log's reader does not keep up."""

    BLOCK = "block"  # stop reading the service's pipe; it blocks in write(2)
    DROP = "drop"  # go on reading, count what is thrown away, say so


class LogFormat(enum.Enum):
    """How a line looks on the console."""

    PREFIX = "prefix"
    JSON = "json"
    LOGFMT = "logfmt"
    RAW = "raw"


class ExitPolicy(enum.Enum):
    """When the container ends by itself."""

    ESSENTIAL = "essential"  # an essential service ended for good, or nothing is left to run
    ANY = "any"  # the first service that ends for good
    ALL = "all"  # the last service has ended
    NEVER = "never"


class Dependency(Record):
    """One edge of the dependency graph."""

    condition: Condition = Condition.STARTED
    required: bool = True  # False: wait for it, but start all the same when it failed
    restart: bool = False  # restart me when a person restarts it


class RestartPolicy(Record):
    """Whether to start again, and how often in a row (None: no limit)."""

    mode: RestartMode = RestartMode.ALWAYS
    max_retries: int | None = None


class Backoff(Record):
    """How long to wait before starting again; all in seconds but *factor* and *jitter*."""

    initial: float = 0.1
    factor: float = 2.0
    max: float = 30.0
    jitter: float = 0.1  # a share: 0.1 spreads every delay by up to ten per cent either way
    reset_after: float = 10.0  # having run this long, the next delay is `initial` again


class StartLimit(Record):
    """More than *burst* starts within *interval* seconds, and the service has failed."""

    burst: int = 5
    interval: float = 60.0


class Probe(Record):
    """One question to a service.  Exactly one of the targets is set."""

    notify: bool = False  # the service says so itself: sd_notify(3)
    tcp: str | None = None  # host:port that accepts a connection
    http: str | None = None  # http://host:port/path that answers 200 to 399
    exec: tuple[str, ...] | None = None  # argv that exits with 0


class Ready(Record):
    """When a service counts as ready."""

    probe: Probe
    interval: float = 0.2  # seconds between two tries
    timeout: float = 1.0  # seconds one try may take


class HealthCheck(Record):
    """Is it still well?  Keys, meaning and defaults are compose's."""

    probe: Probe
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0
    start_interval: float = 5.0
    on_unhealthy: OnUnhealthy = OnUnhealthy.NONE


class LogSettings(Record):
    """Where a service's output goes.  Sizes in bytes, ages in seconds."""

    format: LogFormat = LogFormat.PREFIX
    file: str | None = None
    tee: bool = False  # with a file: to the console as well
    max_size: int | None = 10 * 1024 * 1024  # None: never by size
    max_age: float | None = None  # None: never by time
    keep: int = 5
    compress: bool = False
    on_stall: OnStall = OnStall.BLOCK


class Origin(Record):
    """Where a service is declared."""

    file: str  # absolute
    line: int  # counted from 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class ServiceSpec(Record):
    """One validated service: everything needed to run it, nothing about how it fares."""

    name: str
    command: tuple[str, ...]  # argv, never empty, no NUL
    type: ServiceType = ServiceType.SERVICE
    autostart: bool = True
    stdin: Stdin = Stdin.NULL
    # as whom and where; None means: as PID 1 was started
    user: str | None = None  # name | uid | user:group, resolved in the image at each start
    groups: tuple[str, ...] | None = None  # supplementary; None: those of `user`
    working_dir: str | None = None
    umask: int | None = None
    environment: Mapping[str, str] = {}  # on top of PID 1's; env files and defaults merged in
    ulimits: Mapping[str, tuple[int, int]] = {}  # "nofile" → (soft, hard); -1 is unlimited
    nice: int | None = None  # -20 to 19
    ionice: tuple[int, int] | None = None  # (class 1 to 3, level 0 to 7)
    oom_score_adj: int | None = None  # -1000 to 1000
    cpus_allowed: tuple[int, ...] | None = None
    cap_add: tuple[str, ...] = ()  # "NET_ADMIN", no CAP_ prefix; "ALL"
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    # when it is up
    ready: Ready | None = None
    start_timeout: float = 90.0  # seconds from exec to ready; only with `ready`
    healthcheck: HealthCheck | None = None
    # order
    depends_on: Mapping[str, Dependency] = {}
    # staying up
    restart: RestartPolicy = RestartPolicy()
    backoff: Backoff = Backoff()
    start_limit: StartLimit | None = None
    success_exit_codes: tuple[int, ...] = (0,)
    essential: bool = False
    on_failure: OnFailure = OnFailure.NONE
    # going down
    stop_signal: int = 15
    stop_grace_period: float = 5.0
    stop_command: tuple[str, ...] | None = None
    kill_mode: KillMode = KillMode.GROUP
    # reloading
    reload_signal: int | None = None
    reload_command: tuple[str, ...] | None = None
    logs: LogSettings = LogSettings()
    # where it is declared, None for what no file declares; no part of what it is
    origin: Origin | None = None


class ControlSettings(Record):
    """Who may talk to PID 1, and where."""

    socket: str | None = None  # a path, or @name for an abstract socket; None: search
    operators: tuple[int, ...] = ()  # gids that may do everything
    readers: tuple[int, ...] = ()  # gids that may look


class ConfigurationSource(Record):
    """One file the plan was made from."""

    path: str
    digest: str  # blake2b-256 of its bytes, hexadecimal
    kind: str = "yaml"  # yaml | env_file


class Plan(Record):
    """Everything one configuration asks for, checked as a whole."""

    services: Mapping[str, ServiceSpec] = {}  # keyed by service name, in file order
    grace: float = 8.0  # shutdown.grace: seconds for the whole shutdown
    exit_policy: ExitPolicy = ExitPolicy.ESSENTIAL
    log_format: LogFormat = LogFormat.PREFIX  # of our own events
    control: ControlSettings = ControlSettings()
    sources: tuple[ConfigurationSource, ...] = ()
    variables: Mapping[str, str] = {}  # ${NAME} the files used → blake2b-256 of its value, "" unset


def plan_to_plain(plan: Plan) -> dict[str, Any]:
    """Return *plan* as JSON values, with the version of their shape."""
    return {"version": PLAN_VERSION, **to_plain(plan)}


def plan_from_plain(plain: Mapping[str, Any]) -> Plan:
    """Return the plan in *plain*; raises ValueError when another version wrote it."""
    if plain.get("version") != PLAN_VERSION:
        raise ValueError(f"plan version {plain.get('version')!r} is not {PLAN_VERSION}")
    return from_plain(Plan, {k: v for k, v in plain.items() if k != "version"})
