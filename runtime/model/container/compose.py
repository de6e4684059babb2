"""An image's configuration and what the command line asks for become one `Spec`.

Pure: its callers (`runtime.cli.containers.run`, the builder's RUN) have read the files and made
the id.
"""

from __future__ import annotations

from runtime.model.container import (
    defaults,
    health,
    mount_places,
    option_values,
)
from runtime.model.container.spec import (
    ContainerRestartPolicy,
    Join,
    Limits,
    Logging,
    Mount,
    Port,
    Spec,
)
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import Healthcheck
from runtime.model.image.image_config import environment as image_environment
from supervise.model.record import Record
from supervise.model.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runtime.model.image.image_config import ImageConfig

_SHELLS = ("sh", "bash", "ash", "dash", "zsh", "fish")
# An entrypoint that is an init already gets no second one in front.
_INITS = ("supervise", "tini", "dumb-init", "docker-init", "catatonit", "s6-svscan", "init")


class RunOptions(Record):
    """What the command line decided; None, empty and () leave it to the image and the defaults."""

    name: str = ""
    command: tuple[str, ...] = ()  # replaces CMD
    entrypoint: tuple[str, ...] | None = None  # replaces ENTRYPOINT and drops CMD; () is none
    environment: Mapping[str, str] = {}
    working_dir: str = ""
    user: str | None = None
    groups: tuple[str, ...] = ()
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    interactive: bool = False
    detached: bool = False
    auto_remove: bool = False
    init: bool = True
    services: str = ""
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    shm_size: int = defaults.SHM_SIZE
    volumes_from: tuple[str, ...] = ()  # --volumes-from; the caller has put them among the mounts
    devices: tuple[tuple[str, str, str], ...] = ()
    device_rules: tuple[str, ...] = ()
    network: str = "bridge"
    aliases: tuple[str, ...] = ()
    address: str = ""
    mac: str = ""
    joins: tuple[Join, ...] = ()  # the further ones of several --network
    links: tuple[tuple[str, str], ...] = ()  # (container's id, alias)
    ports: tuple[Port, ...] = ()
    publish_all: bool = False
    expose: tuple[tuple[int, str], ...] = ()
    add_hosts: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    security: tuple[str, ...] = ()  # --security-opt, as given
    user_namespace: bool = False
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    rlimits: Mapping[str, tuple[int, int]] = {}
    limits: Limits = Limits()
    sysctls: Mapping[str, str] = {}
    oom_score_adj: int = 0
    restart: ContainerRestartPolicy = ContainerRestartPolicy()
    healthcheck: Healthcheck | None = None  # what it leaves out is the image's
    stop_signal: str = ""
    stop_timeout: float | None = None
    logging: Logging = Logging()
    detach_keys: str = defaults.DETACH_KEYS
    labels: Mapping[str, str] = {}


def compose(
    config: ImageConfig,
    options: RunOptions,
    *,
    container_id: str,
    name: str,
    image: str,
    image_id: str,
    known_capabilities: tuple[str, ...],
    now: float,
) -> Spec:
    """Return the container that *options* make of an image with *config*.

    *known_capabilities* is every name the kernel might know, in its order.

    Raises:
        RuntimeFailure: options that contradict each other, or nothing to run.
    """
    _refuse_contradictions(options)
    entrypoint, command = _command(config, options)
    argv = (*entrypoint, *command)
    no_new_privileges, seccomp = _security(options)
    hidden = () if options.privileged else None  # None is the default list
    same: dict[str, Any] = {field: getattr(options, field) for field in _TAKEN_OVER}
    return Spec(
        id=container_id,
        name=name,
        image=image,
        image_id=image_id,
        argv=argv,
        entrypoint_words=len(entrypoint),
        shell=config.shell,
        healthcheck=health.choose(config.healthcheck, options.healthcheck),
        environment=_environment(config, options, container_id),
        working_dir=options.working_dir or config.working_dir or "/",
        user=config.user if options.user is None else options.user,
        hostname=options.hostname or _hostname(options, container_id),
        init=_init(argv, options),
        mounts=_mounts(config, options),
        masked_paths=hidden,
        readonly_paths=hidden,
        exposed=_exposed(config, options),
        capabilities=_capabilities(options, known_capabilities),
        no_new_privileges=no_new_privileges,
        seccomp=seccomp,
        sysctls=_sysctls(options),
        stop_signal=_stop_signal(config, options),
        labels={**config.labels, **options.labels},
        created=now,
        **same,
    )


# What the command line decides alone: the same field of both records.
_TAKEN_OVER = (
    *("groups", "domainname", "tty", "interactive", "detached", "auto_remove", "services"),
    *("read_only", "shm_size", "volumes_from", "devices", "device_rules", "network", "aliases"),
    *("address", "mac", "joins", "links", "ports"),
    *("publish_all", "add_hosts", "dns", "dns_search", "dns_options", "privileged"),
    *("user_namespace", "pid_mode", "ipc_mode", "uts_mode", "rlimits", "limits"),
    *("oom_score_adj", "restart", "stop_timeout", "logging", "detach_keys"),
)


def _refuse_contradictions(options: RunOptions) -> None:
    if options.auto_remove and options.restart.mode != "no":
        raise RuntimeFailure("--rm and --restart exclude each other")
    if options.services and not options.init:
        raise RuntimeFailure("--services needs the init that --no-init leaves out")
    _refuse_network(options)
    if options.name and not option_values.is_name(options.name):
        raise RuntimeFailure(
            f"'{options.name}' is no name for a container",
            "two or more letters, digits, _ . -, the first a letter or digit",
        )


def _refuse_network(options: RunOptions) -> None:
    """Refuse what the chosen network has no use for: nothing is taken and left undone."""
    mode = options.network
    shares = mode.startswith("container:")
    if (shares or mode in ("host", "none")) and options.ports:
        raise RuntimeFailure(
            f"cannot publish ports with --net {mode}",
            "only a container with an address of its own has ports to publish",
        )
    unfit: list[tuple[str, object]] = []
    if shares or mode in ("host", "none"):
        unfit += [("--ip", options.address), ("--mac-address", options.mac)]
        unfit += [("--link", options.links), ("a second --net", options.joins)]
    if shares:
        unfit += [("--hostname", options.hostname), ("--domainname", options.domainname)]
        unfit += [("--add-host", options.add_hosts), ("--dns", options.dns)]
        unfit += [("--dns-search", options.dns_search), ("--dns-option", options.dns_options)]
    if shares or mode in ("host", "none", "bridge") or mode.startswith("cni:"):
        unfit.append(("--network-alias", options.aliases))
    for option, value in unfit:
        if value:
            hint = "aliases are for networks of yours: runtime network create NAME"
            raise RuntimeFailure(
                f"cannot use {option} with --net {mode}", hint if "alias" in option else ""
            )
    if options.uts_mode == "host" and (options.hostname or options.domainname):
        raise RuntimeFailure("cannot use --hostname and --domainname with --uts host")
    _refuse_joins(options)


def _refuse_joins(options: RunOptions) -> None:
    known = {options.network}
    for join in options.joins:
        alone = join.network in ("host", "none") or ":" in join.network
        if alone or (join.network in known and options.network):
            why = "it cannot be combined with others" if alone else "it is named twice"
            raise RuntimeFailure(f"cannot use --net {join.network}: {why}")
        if join.aliases and join.network == "bridge":
            raise RuntimeFailure("cannot use an alias with --net bridge")
        known.add(join.network)
    if options.joins and ":" in options.network:
        raise RuntimeFailure(
            f"cannot use --net {options.network}: it cannot be combined with others"
        )


def _command(config: ImageConfig, options: RunOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ENTRYPOINT and CMD after what replaces which; see docker run --entrypoint."""
    if options.entrypoint is not None:
        entrypoint, command = options.entrypoint, options.command
    else:
        entrypoint, command = config.entrypoint or (), options.command or config.cmd or ()
    if (
        options.services
        and not options.command
        and _is_idle_shell((*entrypoint, *command), options)
    ):
        return (), ()
    if not entrypoint and not command and not options.services:
        raise RuntimeFailure(
            "no command specified", "the image has no CMD and no ENTRYPOINT; name a command"
        )
    return entrypoint, command


def _is_idle_shell(argv: tuple[str, ...], options: RunOptions) -> bool:
    """Return whether the command would be a shell that nobody talks to.

    Most images have one for their CMD.  It ends at once, and would take the services with it.
    """
    alone = len(argv) == 1 and argv[0].rpartition("/")[2] in _SHELLS
    return alone and not options.tty and not options.interactive


def _environment(config: ImageConfig, options: RunOptions, container_id: str) -> dict[str, str]:
    """HOME is set by whoever resolves the user: it is in the image's passwd(5)."""
    base = {"PATH": defaults.PATH, "HOSTNAME": options.hostname or container_id[:12]}
    if options.tty:
        base["TERM"] = "xterm"
    return {**base, **image_environment(config), **options.environment}


def _hostname(options: RunOptions, container_id: str) -> str:
    shares = options.uts_mode == "host" or options.network == "host"
    joins = options.network.startswith("container:")
    return "" if shares or joins else container_id[:12]


def _init(argv: tuple[str, ...], options: RunOptions) -> str:
    if not options.init:
        return "none"
    first = argv[0].rpartition("/")[2] if argv else ""
    shares = options.pid_mode not in ("", "private")
    # Services need ours, in front of whatever the image has.
    if first in _INITS and not options.services and not shares:
        return "image"
    return "supervise"


def _mounts(config: ImageConfig, options: RunOptions) -> tuple[Mount, ...]:
    """Those asked for, and an anonymous volume for each VOLUME that nothing is mounted on."""
    taken = {mount.target for mount in options.mounts}
    if len(taken) < len(options.mounts):
        targets = [mount.target for mount in options.mounts]
        double = next(target for target in targets if targets.count(target) > 1)
        raise RuntimeFailure(f"two mounts have the same place in the container: '{double}'")
    anonymous = []
    for path in config.volumes:
        target = "/" + path.strip("/")
        if target != "/" and target not in taken:
            anonymous.append(Mount(kind="volume", source="", target=target))
    for mount in (*options.mounts, *anonymous):
        mount_places.check(mount)
    # Outer places first, whatever the order of the command line: an outer one hides inner ones.
    return tuple(sorted((*options.mounts, *anonymous), key=lambda mount: mount.target.count("/")))


def _exposed(config: ImageConfig, options: RunOptions) -> tuple[tuple[int, str], ...]:
    found: dict[tuple[int, str], None] = dict.fromkeys(options.expose)
    for text in config.exposed_ports:
        try:
            found.update(dict.fromkeys(option_values.exposed(text)))
        except ValueError as error:
            raise RuntimeFailure(f"cannot read the image's EXPOSE: {error}") from error
    return tuple(found)


def _capabilities(options: RunOptions, known: tuple[str, ...]) -> tuple[str, ...]:
    """The bounding set in the kernel's order; an added one counts more than a dropped ALL."""
    if options.privileged:
        return known
    kept = set(known if "ALL" in options.cap_add else defaults.CAPABILITIES)
    if "ALL" in options.cap_drop:
        kept.clear()
    kept -= set(options.cap_drop)
    kept |= set(options.cap_add) - {"ALL"}
    return tuple(name for name in known if name in kept)


def _security(options: RunOptions) -> tuple[bool, str]:
    """Return (no_new_privileges, seccomp) of the --security-opt words."""
    no_new_privileges, seccomp = False, "unconfined" if options.privileged else "default"
    for text in options.security:
        key, _, value = text.replace(":", "=", 1).partition("=")
        if key == "no-new-privileges" and value in ("", "true", "false"):
            no_new_privileges = value != "false"
        elif key == "seccomp" and value:
            seccomp = value
        elif text not in ("apparmor=unconfined", "label=disable", "label:disable"):
            raise RuntimeFailure(
                f"'{text}' is no security option",
                "no-new-privileges, seccomp=unconfined, seccomp=/a/profile.json",
            )
    return no_new_privileges, seccomp


def _sysctls(options: RunOptions) -> dict[str, str]:
    private = options.network != "host" and not options.network.startswith("container:")
    return {**(defaults.NETWORK_SYSCTLS if private else {}), **options.sysctls}


def _stop_signal(config: ImageConfig, options: RunOptions) -> int:
    text = options.stop_signal or config.stop_signal
    if not text:
        return defaults.STOP_SIGNAL
    number = signal_number(text)
    if number is None:
        raise RuntimeFailure(f"'{text}' is no signal", "such as TERM, SIGINT or 15")
    return number
