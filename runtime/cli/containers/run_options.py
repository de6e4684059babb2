"""The options of `run` and `create`: the table, and what its values mean."""

from __future__ import annotations

import os

from runtime.language.commandline import Arguments
from runtime.model import addresses
from runtime.model.container import (
    defaults,
    health,
    limits,
    option_values,
)
from runtime.model.container.compose import RunOptions
from runtime.model.container.spec import Join, Limits, Logging
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import Healthcheck
from supervise.linux import capabilities, regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_WINDOWS = "only Windows has it"
_BLOCK_IO = "block devices are not limited by this version"
# What docker run has and we have not: said, never taken in silence.
REFUSED = {
    "annotation": "annotations are read by OCI runtimes, of which there is none here; use --label",
    "blkio-weight": _BLOCK_IO,
    "blkio-weight-device": _BLOCK_IO,
    "cgroup-parent": "every container's group is runtime/ID",
    "cgroupns": "it is private under cgroup version 2; version 1 shows the container's own groups",
    "cpu-count": _WINDOWS,
    "cpu-percent": _WINDOWS,
    "cpu-period": "use --cpus, which is quota divided by period",
    "cpu-quota": "use --cpus, which is quota divided by period",
    "cpu-rt-period": "realtime scheduling is not limited by this version",
    "cpu-rt-runtime": "realtime scheduling is not limited by this version",
    "device-read-bps": _BLOCK_IO,
    "device-read-iops": _BLOCK_IO,
    "device-write-bps": _BLOCK_IO,
    "device-write-iops": _BLOCK_IO,
    "disable-content-trust": "signatures of images are not checked by this version",
    "gpus": "there are no drivers of that kind here; see --device",
    "io-maxbandwidth": _WINDOWS,
    "io-maxiops": _WINDOWS,
    "ip6": "an IPv6 address follows from the IPv4 one; see --ip",
    "isolation": _WINDOWS,
    "kernel-memory": "the kernel has given it up; see --memory",
    "link-local-ip": "a container has one address of each family on a network",
    "memory-swappiness": "cgroup version 2 has no such thing; see --memory-swap",
    "oom-kill-disable": "cgroup version 2 has no such thing; see --oom-score-adj",
    "runtime": "there is one, this",
    "storage-opt": "the size of a container's files is not limited by this version",
    "use-api-socket": "there is no HTTP API, and so no socket",
}

TABLE = """
      --add-host list           A line for /etc/hosts: NAME:ADDRESS
      --cap-add list            Add a capability, or ALL
      --cap-drop list           Drop a capability, or ALL
      --cidfile string          Write the container's id to this new file
  -c, --cpu-shares int          Weight among other containers (default 1024)
      --cpus decimal            Processors at most, such as 1.5
      --cpuset-cpus string      Processors it may use, such as 0-2,7
      --cpuset-mems string      Memory nodes it may use
      --detach-keys string      Keys that leave it running (default ctrl-p,ctrl-q)
      --device list             Let it use a device: PATH[:PATH[:rwm]]
      --device-cgroup-rule list
                                Let it use devices: 'TYPE MAJOR:MINOR rwm'
      --dns list                A name server
      --dns-opt, --dns-option list
                                An option for resolv.conf
      --dns-search list         A search domain
      --domainname string       The container's domain name
      --entrypoint string       Replace the image's ENTRYPOINT; its CMD does not count then
  -e, --env list                Set a variable, NAME=VALUE, or pass on ours, NAME
      --env-file list           Set the variables in a file
      --expose list             A port, as EXPOSE says it: PORT[/udp]
      --group-add list          One more group
      --health-cmd string       Command that checks health: exit code 0 is healthy
      --health-interval duration
                                Time between two checks (default 30s)
      --health-retries int      Failures in a row that make it unhealthy (default 3)
      --health-start-interval duration
                                Time between two checks of the start period (default 5s)
      --health-start-period duration
                                Failures do not count so long after its start (default 0s)
      --health-timeout duration
                                Time one check may take (default 30s)
  -h, --hostname string         What the container calls itself
      --init                    supervise is PID 1 (default true)
  -i, --interactive             Keep stdin open
      --ip string               A fixed IPv4 address
      --ipc string              host, private, or container:NAME
  -l, --label list              A label: NAME[=VALUE]
      --label-file list         The labels in a file
      --link list               Name a running container in /etc/hosts: CONTAINER[:ALIAS]
      --log-driver string       json-file is the only one
      --log-opt list            max-size=10m, max-file=3
      --mac-address string      A fixed hardware address
  -m, --memory bytes            Memory at most, such as 512m
      --memory-reservation bytes
                                Memory it should get
      --memory-swap bytes       Memory and swap at most; -1 for any
      --mount mount             type=bind|volume|tmpfs,source=…,target=…,readonly
      --name string             Name of the container
      --net, --network network  bridge (default), host, none, container:NAME, cni:NAME,
                                or a network of yours; several for several networks;
                                or name=NAME,alias=A,ip=ADDRESS,mac-address=MAC
      --net-alias, --network-alias list
                                One more name on a network of yours
      --no-healthcheck          Not even the image's own
      --no-init                 The command itself is PID 1
      --oom-score-adj int       -1000 (spare it) to 1000
      --pid string              host, private, or container:NAME
      --pids-limit int          Processes at most
      --platform string         The machine its image is for, and is pulled for: linux/arm64
      --privileged              Every capability and device, no masks, no filter
  -p, --publish list            Let a port answer on the host: [[ADDRESS:]HOST:]PORT[/udp]
  -P, --publish-all             Publish every EXPOSEd port on a free one
      --pull string             missing, never, always (default missing)
  -q, --quiet                   Do not show how a pull goes
      --read-only               Nothing but mounts can be written to
      --restart string          no, always, unless-stopped, on-failure[:N] (default no)
      --rm                      Remove the container when it has ended
      --security-opt list       no-new-privileges, seccomp=unconfined|FILE
      --services string         Run the services of a supervise.yaml beside the command
      --shm-size bytes          Size of /dev/shm (default 64m)
      --stop-signal string      What `stop` sends (default SIGTERM)
      --stop-timeout int        Seconds `stop` waits before it kills (default 10)
      --sysctl map              A kernel parameter of its namespaces: NAME=VALUE
      --tmpfs list              Mount an empty directory in memory: PATH[:OPTIONS]
  -t, --tty                     Give the command a terminal
      --ulimit ulimit           A resource limit: NAME=SOFT[:HARD]
  -u, --user string             USER[:GROUP], names in the image's own passwd, or numbers
      --userns string           mapped: its root is nobody on the host; or host
      --uts string              host, or private
  -v, --volume list             Mount a volume or a directory: [SOURCE:]PATH[:ro]
      --volume-driver string    local is the only one
      --volumes-from list       The mounts of another container: CONTAINER[:ro|rw]
  -w, --workdir string          Directory to start in; made when missing
"""


def decode(words: Arguments, *, detached: bool) -> RunOptions:
    """Return what *words* ask for; the first operand is the image.

    Raises:
        RuntimeFailure: an option's value is none; names both.
    """
    parts = (_program(words), _files(words), _network(words), _isolation(words), _life(words))
    values: dict[str, Any] = {}
    for part in parts:
        values.update(part)
    return RunOptions(detached=detached, **values)


def _program(words: Arguments) -> dict[str, Any]:
    entrypoint = None
    if words.given("entrypoint"):
        entrypoint = (words.text("entrypoint"),) if words.text("entrypoint") else ()
    return {
        "name": words.text("name"),
        "command": words.operands[1:],
        "entrypoint": entrypoint,
        "environment": environment(words),
        "working_dir": _working_dir(words.text("workdir")),
        "user": words.text("user") if words.given("user") else None,
        "groups": tuple(words.many("group-add")),
        "tty": words.flag("tty"),
        "interactive": words.flag("interactive"),
        "init": not words.flag("no-init") and words.flag("init", default=True),
        "services": _services(words.text("services")),
        "labels": _labels(words),
    }


def _files(words: Arguments) -> dict[str, Any]:
    _only(words, "volume-driver", "local")
    volumes = _each(words, "volume", lambda text: option_values.volume(_whole_path(text)))
    volumes += _each(words, "mount", option_values.mount)
    volumes += _each(words, "tmpfs", option_values.tmpfs)
    return {
        "mounts": tuple(volumes),
        "read_only": words.flag("read-only"),
        "shm_size": _one(words, "shm-size", limits.size, defaults.SHM_SIZE),
        "volumes_from": tuple(words.many("volumes-from")),
        "devices": tuple(_each(words, "device", option_values.device)),
        "device_rules": tuple(_each(words, "device-cgroup-rule", option_values.device_rule)),
    }


def _network(words: Arguments) -> dict[str, Any]:
    first, *others = _each(words, "network", option_values.network) or [Join("bridge")]
    published = _each(words, "publish", option_values.ports)
    exposed = _each(words, "expose", option_values.exposed)
    return {
        "hostname": words.text("hostname"),
        "domainname": words.text("domainname"),
        "network": first.network,
        "aliases": (*first.aliases, *words.many("network-alias")),
        "address": words.text("ip", first.address),
        "mac": _one(words, "mac-address", addresses.mac, first.mac),
        "joins": tuple(others),
        "links": tuple(_each(words, "link", option_values.link)),
        "ports": tuple(port for ports in published for port in ports),
        "publish_all": words.flag("publish-all"),
        "expose": tuple(port for ports in exposed for port in ports),
        "add_hosts": tuple(_each(words, "add-host", option_values.add_host)),
        "dns": tuple(_each(words, "dns", addresses.address)),
        "dns_search": tuple(words.many("dns-search")),
        "dns_options": tuple(words.many("dns-option")),
    }


def _isolation(words: Arguments) -> dict[str, Any]:
    known = capabilities.NAMES
    return {
        "cap_add": tuple(_each(words, "cap-add", lambda t: option_values.capability(t, known))),
        "cap_drop": tuple(_each(words, "cap-drop", lambda t: option_values.capability(t, known))),
        "privileged": words.flag("privileged"),
        "security": tuple(words.many("security-opt")),
        "user_namespace": _user_namespace(words.text("userns")),
        "pid_mode": _mode(words, "pid"),
        "ipc_mode": _mode(words, "ipc"),
        "uts_mode": _mode(words, "uts"),
        "rlimits": dict(_each(words, "ulimit", limits.ulimit)),
        "limits": limits_of(words),
        "sysctls": dict(_each(words, "sysctl", option_values.pair)),
        "oom_score_adj": _one(words, "oom-score-adj", lambda t: limits.whole(t, -1000), 0),
    }


def _whole_path(text: str) -> str:
    """Return a -v whose source is a path from here, ``./data:/data``, as an absolute one."""
    source, colon, rest = text.partition(":")
    relative = source in (".", "..") or source.startswith(("./", "../"))
    return f"{os.path.abspath(source)}:{rest}" if colon and relative else text


def _only(words: Arguments, key: str, known: str) -> None:
    """Refuse any other value than the one there is."""
    text = words.text(key, known)
    if text != known:
        raise RuntimeFailure(f"--{key}: there is no '{text}' here, only {known}")


def attached(words: Arguments) -> frozenset[str]:
    """Return the streams that --attach of `run` names; none stands for all."""
    return frozenset(_each(words, "attach", option_values.stream))


def _life(words: Arguments) -> dict[str, Any]:
    return {
        "auto_remove": words.flag("rm"),
        "restart": _one(words, "restart", option_values.restart, RunOptions().restart),
        "healthcheck": _healthcheck(words),
        "stop_signal": words.text("stop-signal"),
        "stop_timeout": _one(words, "stop-timeout", lambda t: float(limits.whole(t, -1)), None),
        "logging": _logging(words),
        "detach_keys": words.text("detach-keys", defaults.DETACH_KEYS),
    }


_HEALTH_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def _healthcheck(words: Arguments) -> Healthcheck | None:
    given = [key for key in words.values if key.startswith("health-")]
    if words.flag("no-healthcheck"):
        if given:
            raise RuntimeFailure(f"--no-healthcheck and --{given[0]} exclude each other")
        return health.NONE
    if not given:
        return None
    asked = Healthcheck()
    if words.text("health-cmd"):
        asked = asked.replace(test=("CMD-SHELL", words.text("health-cmd")))
    for key in _HEALTH_DURATIONS:
        seconds = _one(words, f"health-{key}", option_values.pause, 0.0)
        asked = asked.replace(**{key.replace("-", "_"): seconds})
    return asked.replace(retries=_one(words, "health-retries", limits.whole, 0))


def _each(words: Arguments, key: str, decode_one: Callable[[str], T]) -> list[T]:
    try:
        return [decode_one(text) for text in words.many(key)]
    except ValueError as error:
        raise RuntimeFailure(f"--{key}: {error}", "see runtime run --help") from None


def _one(words: Arguments, key: str, decode_one: Callable[[str], T], default: T) -> T:
    if not words.given(key):
        return default
    try:
        return decode_one(words.text(key))
    except ValueError as error:
        raise RuntimeFailure(f"--{key}: {error}", "see runtime run --help") from None


def environment(words: Arguments) -> dict[str, str]:
    """Return the variables that --env-file and --env of `run` and `exec` set."""
    found: dict[str, str] = {}
    try:
        for path in words.many("env-file"):
            text = regular.read_given(path).decode("utf-8", "surrogateescape")
            lines = option_values.environment_file(text)
            found.update(option_values.environment(lines, dict(os.environ)))
        found.update(option_values.environment(words.many("env"), dict(os.environ)))
    except OSError as error:
        raise RuntimeFailure(f"cannot read '{error.filename}': {error.strerror}") from None
    except ValueError as error:
        raise RuntimeFailure(f"--env: {error}") from None
    return found


def _labels(words: Arguments) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in words.many("label-file"):
        try:
            lines = option_values.environment_file(regular.read_given(path).decode())
            found.update(map(option_values.pair, lines))
        except OSError as error:
            raise RuntimeFailure(f"cannot read '{path}': {error.strerror}") from None
        except ValueError as error:
            raise RuntimeFailure(f"--label-file '{path}': {error}") from None
    return {**found, **dict(_each(words, "label", option_values.pair))}


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


def _mode(words: Arguments, key: str) -> str:
    text = words.text(key)
    allowed = text in ("", "private", "host") or (
        key != "uts" and text.startswith("container:") and len(text) > len("container:")
    )
    if not allowed or (key == "ipc" and text == "shareable"):
        raise RuntimeFailure(f"--{key}: '{text}' is neither host nor container:NAME")
    return "" if text == "private" else text


def limits_of(words: Arguments) -> Limits:
    """Return the limits among the options of `run` and `update`."""
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


def _logging(words: Arguments) -> Logging:
    _only(words, "log-driver", "json-file")
    found = Logging()
    for text in words.many("log-opt"):
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
