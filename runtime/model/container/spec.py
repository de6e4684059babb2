"""What a container is: everything `run` decided, nothing about how it fares.

Made from an image's configuration and the command line (`compose`), written beside the container
as plain JSON (`to_plain`, `from_plain` of `supervise.model.plain`), read by launch, monitor, exec.
"""

from __future__ import annotations

from runtime.model.image.image_config import Healthcheck
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Mount(Record):
    """One extra mount, in the order of the command line."""

    kind: str  # bind | volume | tmpfs
    source: str  # a host path, a volume's name, empty for tmpfs
    target: str  # an absolute path in the container
    read_only: bool = False
    propagation: str = "rprivate"  # rprivate private rshared shared rslave slave
    options: tuple[str, ...] = ()  # tmpfs: size=64m, mode=1777, …
    copy_up: bool = True  # a fresh named volume gets what the image has at target


class Port(Record):
    """One published port."""

    container: int
    host: int = 0  # 0: a free one
    protocol: str = "tcp"  # tcp | udp
    address: str = ""  # host address; empty: all, IPv4 and IPv6
    host_last: int = 0  # not 0: the first free one of host to host_last


class Join(Record):
    """One network, as asked for."""

    network: str  # bridge | host | none | container:ID | a network's name | cni:NAME
    aliases: tuple[str, ...] = ()
    address: str = ""  # a fixed IPv4 address
    mac: str = ""


class Limits(Record):
    """cgroup limits; None leaves the controller alone.  Sizes in bytes."""

    memory: int | None = None
    memory_swap: int | None = None  # memory + swap together; -1 unlimited
    memory_reservation: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int | None = None


class Logging(Record):
    """How the monitor keeps the output: one JSON line a line, rotated."""

    max_size: int = 10 * 1024 * 1024
    max_file: int = 3


class ContainerRestartPolicy(Record):
    """docker run --restart."""

    mode: str = "no"  # no | on-failure | always | unless-stopped
    max_retries: int = 0  # on-failure:N; 0 is for ever


class Spec(Record):
    """One container, fully decided."""

    id: str  # 64 hex digits
    name: str
    image: str  # as the user named it
    image_id: str  # sha256:…
    argv: tuple[str, ...]  # entrypoint and command, before PID 1 is put in front
    entrypoint_words: int | None = None  # how many of argv; None: an older version wrote it
    shell: tuple[str, ...] = ()  # the image's SHELL; empty: /bin/sh -c
    healthcheck: Healthcheck | None = None
    environment: Mapping[str, str] = {}
    working_dir: str = "/"
    user: str = ""  # name | uid | user:group, resolved in the container's own files
    groups: tuple[str, ...] = ()  # --group-add
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    interactive: bool = False  # keep stdin open
    detached: bool = False
    auto_remove: bool = False
    init: str = "supervise"  # supervise | none | image (its entrypoint is an init already)
    services: str = ""  # host path of a supervise.yaml given with --services
    # file systems
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    shm_size: int = 64 * 1024 * 1024
    masked_paths: tuple[str, ...] | None = None  # None: the default list
    readonly_paths: tuple[str, ...] | None = None
    volumes_from: tuple[str, ...] = ()  # as asked for; what came of it is among the mounts
    devices: tuple[tuple[str, str, str], ...] = ()  # (host path, container path, rwm)
    device_rules: tuple[str, ...] = ()  # --device-cgroup-rule: "c 13:* rwm"
    # network
    network: str = "bridge"  # bridge | host | none | container:ID | a network's name | cni:NAME
    aliases: tuple[str, ...] = ()
    address: str = ""  # a fixed IPv4 address
    mac: str = ""
    joins: tuple[Join, ...] = ()  # further networks, joined at every start
    links: tuple[tuple[str, str], ...] = ()  # --link: (container's id, alias)
    ports: tuple[Port, ...] = ()
    publish_all: bool = False
    exposed: tuple[tuple[int, str], ...] = ()
    add_hosts: tuple[tuple[str, str], ...] = ()  # (name, address)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    # isolation
    capabilities: tuple[str, ...] = ()  # the bounding set, names without CAP_
    privileged: bool = False
    no_new_privileges: bool = False
    seccomp: str = "default"  # default | unconfined | a profile's host path
    user_namespace: bool = False  # --userns: mapped root
    pid_mode: str = ""  # "" own | host | container:ID
    ipc_mode: str = ""
    uts_mode: str = ""
    rlimits: Mapping[str, tuple[int, int]] = {}  # "nofile" → (soft, hard)
    limits: Limits = Limits()
    sysctls: Mapping[str, str] = {}
    oom_score_adj: int = 0
    # life
    restart: ContainerRestartPolicy = ContainerRestartPolicy()
    stop_signal: int = 15
    stop_timeout: float | None = None  # seconds; None: 10
    logging: Logging = Logging()
    detach_keys: str = "ctrl-p,ctrl-q"
    labels: Mapping[str, str] = {}
    created: float = 0.0  # wall clock, seconds
