"""The options of `run` and `create`: the table, and what its words mean."""

from __future__ import annotations

import os

from runtime.cli.options import FLAG, LIST, VALUE, Option, Words
from runtime.model import arguments, defaults, limits
from runtime.model.compose import Options
from runtime.model.errors import RuntimeFailure
from runtime.model.spec import Limits, Logging
from supervise.linux import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_TABLE = (
    ("-i --interactive", FLAG, "", "keep stdin open"),
    ("-t --tty", FLAG, "", "give the command a terminal"),
    ("--rm", FLAG, "", "remove the container when it has ended"),
    ("--name", VALUE, "NAME", "call it NAME"),
    ("-e --env", LIST, "NAME[=VALUE]", "set a variable, or pass on ours"),
    ("--env-file", LIST, "FILE", "set the variables in FILE"),
    ("-w --workdir", VALUE, "DIR", "start in DIR, made when missing"),
    ("-u --user", VALUE, "USER[:GROUP]", "names or numbers, of the image's own passwd"),
    ("--group-add", LIST, "GROUP", "one more group"),
    ("--entrypoint", VALUE, "PROGRAM", "replaces the image's ENTRYPOINT; its CMD does not count then"),
    ("-h --hostname", VALUE, "NAME", "what the container calls itself"),
    ("--domainname", VALUE, "NAME", "its domain"),
    ("--init", FLAG, "", "supervise is PID 1 (the default)"),
    ("--no-init", FLAG, "", "the command itself is PID 1"),
    ("--services", VALUE, "FILE", "run the services of a supervise.yaml beside the command"),
    ("-v --volume", LIST, "[SOURCE:]PATH[:ro]", "mount a volume or a host's directory"),
    ("--mount", LIST, "type=…,target=…", "mount, said at length"),
    ("--tmpfs", LIST, "PATH[:OPTIONS]", "mount an empty directory in memory"),
    ("--read-only", FLAG, "", "nothing but mounts can be written to"),
    ("--shm-size", VALUE, "SIZE", "of /dev/shm [64m]"),
    ("--device", LIST, "PATH[:PATH[:rwm]]", "let it use a device of the host"),
    ("--net --network", VALUE, "NETWORK", "bridge (default), host, none, container:NAME, cni:NAME, …"),
    ("--network-alias", LIST, "NAME", "one more name on a network of yours"),
    ("--ip", VALUE, "ADDRESS", "a fixed IPv4 address"),
    ("--mac-address", VALUE, "MAC", "a fixed hardware address"),
    ("-p --publish", LIST, "[[IP:]HOST:]PORT[/udp]", "let a port answer on the host"),
    ("-P --publish-all", FLAG, "", "publish every EXPOSEd port on a free one"),
    ("--expose", LIST, "PORT", "as EXPOSE does"),
    ("--add-host", LIST, "NAME:ADDRESS", "a line for /etc/hosts"),
    ("--dns", LIST, "ADDRESS", "a nameserver"),
    ("--dns-search", LIST, "DOMAIN", "a search domain"),
    ("--dns-option", LIST, "OPTION", "an option of resolv.conf"),
    ("--cap-add", LIST, "CAPABILITY", "one more capability; ALL"),
    ("--cap-drop", LIST, "CAPABILITY", "one less; ALL"),
    ("--privileged", FLAG, "", "every capability and device, no masks, no filter"),
    ("--security-opt", LIST, "OPTION", "no-new-privileges, seccomp=unconfined|FILE"),
    ("--userns", VALUE, "MODE", "mapped: its root is nobody on the host; host"),
    ("--pid", VALUE, "MODE", "host, or container:NAME"),
    ("--ipc", VALUE, "MODE", "host, or container:NAME"),
    ("--uts", VALUE, "MODE", "host"),
    ("--ulimit", LIST, "NAME=SOFT[:HARD]", "a resource limit"),
    ("-m --memory", VALUE, "SIZE", "memory at most"),
    ("--memory-swap", VALUE, "SIZE", "memory and swap at most; -1 for any"),
    ("--memory-reservation", VALUE, "SIZE", "memory it should get"),
    ("--cpus", VALUE, "NUMBER", "processors at most, such as 1.5"),
    ("-c --cpu-shares", VALUE, "NUMBER", "its weight among others [1024]"),
    ("--cpuset-cpus", VALUE, "LIST", "processors it may use: 0-2,7"),
    ("--cpuset-mems", VALUE, "LIST", "memory nodes it may use"),
    ("--pids-limit", VALUE, "NUMBER", "processes at most"),
    ("--sysctl", LIST, "NAME=VALUE", "a kernel parameter of its namespaces"),
    ("--oom-score-adj", VALUE, "NUMBER", "-1000 (spare it) to 1000"),
    ("--restart", VALUE, "POLICY", "no, always, unless-stopped, on-failure[:N]"),
    ("--stop-signal", VALUE, "SIGNAL", "what `stop` sends [TERM]"),
    ("--stop-timeout", VALUE, "SECONDS", "how long `stop` waits [10]"),
    ("--log-opt", LIST, "NAME=VALUE", "max-size=10m, max-file=3"),
    ("--detach-keys", VALUE, "KEYS", "leave without stopping it [ctrl-p,ctrl-q]"),
    ("-l --label", LIST, "NAME[=VALUE]", "a label"),
    ("--pull", VALUE, "WHEN", "missing (default), always, never"),
    ("--cidfile", VALUE, "FILE", "write the container's id there"),
)  # fmt: skip


def table(*more: Option) -> tuple[Option, ...]:
    """Return the options of `run` and `create`, and *more*."""
    return (*more, *(Option(tuple(names.split()), *rest) for names, *rest in _TABLE))


def decode(words: Words, command: list[str], *, detached: bool) -> Options:
    """Return what *words* ask for.

    Raises:
        RuntimeFailure: an option's value is none; names both.
    """
    known = capabilities.NAMES
    volumes = _each(words, "volume", arguments.volume)
    volumes += _each(words, "mount", arguments.mount)
    volumes += _each(words, "tmpfs", arguments.tmpfs)
    entrypoint = None
    if words.given("entrypoint"):
        entrypoint = (words.value("entrypoint"),) if words.value("entrypoint") else ()
    return Options(
        name=words.value("name"),
        command=tuple(command),
        entrypoint=entrypoint,
        environment=_environment(words),
        working_dir=_working_dir(words.value("workdir")),
        user=words.value("user") if words.given("user") else None,
        groups=tuple(words.list("group-add")),
        hostname=words.value("hostname"),
        domainname=words.value("domainname"),
        tty=words.flag("tty"),
        interactive=words.flag("interactive"),
        detached=detached,
        auto_remove=words.flag("rm"),
        init=not words.flag("no-init") and words.flag("init", default=True),
        services=_services(words.value("services")),
        mounts=tuple(volumes),
        read_only=words.flag("read-only"),
        shm_size=_one(words, "shm-size", limits.size, defaults.SHM_SIZE),
        devices=tuple(_each(words, "device", arguments.device)),
        network=words.value("network", "bridge"),
        aliases=tuple(words.list("network-alias")),
        address=words.value("ip"),
        mac=words.value("mac-address"),
        ports=tuple(port for ports in _each(words, "publish", arguments.ports) for port in ports),
        publish_all=words.flag("publish-all"),
        expose=tuple(p for ports in _each(words, "expose", arguments.exposed) for p in ports),
        add_hosts=tuple(_each(words, "add-host", arguments.add_host)),
        dns=tuple(words.list("dns")),
        dns_search=tuple(words.list("dns-search")),
        dns_options=tuple(words.list("dns-option")),
        cap_add=tuple(_each(words, "cap-add", lambda t: arguments.capability(t, known))),
        cap_drop=tuple(_each(words, "cap-drop", lambda t: arguments.capability(t, known))),
        privileged=words.flag("privileged"),
        security=tuple(words.list("security-opt")),
        user_namespace=_user_namespace(words.value("userns")),
        pid_mode=_mode(words, "pid"),
        ipc_mode=_mode(words, "ipc"),
        uts_mode=_mode(words, "uts"),
        rlimits=dict(_each(words, "ulimit", limits.ulimit)),
        limits=_limits(words),
        sysctls=dict(_each(words, "sysctl", arguments.pair)),
        oom_score_adj=_one(words, "oom-score-adj", lambda t: limits.whole(t, -1000), 0),
        restart=_one(words, "restart", arguments.restart, Options().restart),
        stop_signal=words.value("stop-signal"),
        stop_timeout=_one(words, "stop-timeout", lambda t: float(limits.whole(t, -1)), None),
        logging=_logging(words),
        detach_keys=words.value("detach-keys", defaults.DETACH_KEYS),
        labels=dict(_each(words, "label", arguments.pair)),
    )


def _each(words: Words, key: str, decode_one: Callable[[str], T]) -> list[T]:
    try:
        return [decode_one(text) for text in words.list(key)]
    except ValueError as error:
        raise RuntimeFailure(f"--{key}: {error}", "see runtime run --help") from None


def _one(words: Words, key: str, decode_one: Callable[[str], T], default: T) -> T:
    if not words.given(key):
        return default
    try:
        return decode_one(words.value(key))
    except ValueError as error:
        raise RuntimeFailure(f"--{key}: {error}", "see runtime run --help") from None


def _environment(words: Words) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        for path in words.list("env-file"):
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = arguments.environment_file(file.read())
            found.update(arguments.environment(lines, dict(os.environ)))
        found.update(arguments.environment(words.list("env"), dict(os.environ)))
    except OSError as error:
        raise RuntimeFailure(f"cannot read '{error.filename}': {error.strerror}") from None
    except ValueError as error:
        raise RuntimeFailure(f"--env: {error}") from None
    return found


def _working_dir(text: str) -> str:
    if text and not text.startswith("/"):
        raise RuntimeFailure(f"--workdir: '{text}' is not absolute")
    return text


def _services(path: str) -> str:
    if path and not os.path.isfile(path):
        raise RuntimeFailure(f"--services: there is no file '{path}'")
    return os.path.abspath(path) if path else ""


def _user_namespace(text: str) -> bool:
    if text not in ("", "host", "mapped", "auto"):
        raise RuntimeFailure(f"--userns: '{text}' is neither mapped nor host")
    return text in ("mapped", "auto")


def _mode(words: Words, key: str) -> str:
    text = words.value(key)
    allowed = text in ("", "private", "host") or (
        key != "uts" and text.startswith("container:") and len(text) > len("container:")
    )
    if not allowed or (key == "ipc" and text == "shareable"):
        raise RuntimeFailure(f"--{key}: '{text}' is neither host nor container:NAME")
    return "" if text == "private" else text


def _limits(words: Words) -> Limits:
    found = Limits(
        memory=_one(words, "memory", limits.memory, None),
        memory_swap=_one(words, "memory-swap", limits.memory_swap, None),
        memory_reservation=_one(words, "memory-reservation", limits.size, None),
        cpus=_one(words, "cpus", limits.cpus, None),
        cpu_shares=_one(words, "cpu-shares", lambda t: limits.whole(t, 2), None),
        cpuset_cpus=_one(words, "cpuset-cpus", limits.processors, ""),
        cpuset_mems=_one(words, "cpuset-mems", limits.processors, ""),
        pids=_one(words, "pids-limit", lambda t: limits.whole(t, -1), None),
    )
    if found.memory_swap is not None:
        if found.memory is None:
            raise RuntimeFailure("--memory-swap needs --memory beside it")
        if 0 <= found.memory_swap < found.memory:
            raise RuntimeFailure("--memory-swap counts memory too: it cannot be less than --memory")
    return found


def _logging(words: Words) -> Logging:
    found = Logging()
    for text in words.list("log-opt"):
        key, _, value = text.partition("=")
        try:
            if key == "max-size":
                found = found.replace(max_size=limits.size(value))
            elif key == "max-file":
                found = found.replace(max_file=limits.whole(value, 1))
            else:
                raise RuntimeFailure(f"--log-opt: no such option '{key}'; max-size, max-file")
        except ValueError as error:
            raise RuntimeFailure(f"--log-opt: {error}") from None
    return found
