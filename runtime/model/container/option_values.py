"""The values of `run`'s options: one text each, as docker reads it, into our records.

Every function raises ValueError with a sentence that names the text.  Which option it belongs to
is the caller's to say.
"""

from __future__ import annotations

from runtime.model import addresses, units
from runtime.model.container import limits
from runtime.model.container.spec import (
    ContainerRestartPolicy,
    Join,
    Mount,
    Port,
)
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_SHORTEST_PAUSE = 0.001  # seconds between two health checks
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MORE = f"{_NAME}_.-"


def is_name(text: str) -> bool:
    """Return whether *text* may name a container, volume or network."""
    return len(text) > 1 and text[0] in _NAME and all(letter in _MORE for letter in text)


def volume(text: str) -> Mount:
    """Return the mount of ``-v [SOURCE:]TARGET[:OPTIONS]``; without SOURCE its name is empty."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise ValueError(f"'{text}' is not [SOURCE:]TARGET[:OPTIONS]")
    if len(parts) == 1:
        return Mount(kind="volume", source="", target=_target(text, parts[0]))
    source, target = parts[0], parts[1]
    options = parts[2].split(",") if len(parts) == 3 else []
    kind = "bind" if source.startswith("/") else "volume"
    if kind == "volume" and not is_name(source):
        reason = "a host path is absolute, a volume's name has letters, digits, _ . -"
        raise ValueError(f"'{text}': '{source}' is neither: {reason}")
    read_only, propagation, copy_up = False, "rprivate", True
    for option in options:
        if option in ("ro", "readonly"):
            read_only = True
        elif option in PROPAGATIONS:
            propagation = option
        elif option == "nocopy":
            copy_up = False
        elif option not in ("rw", "z", "Z", "cached", "delegated", "consistent"):
            raise ValueError(f"'{text}': no such option '{option}'; ro, rw, nocopy, rslave, …")
    return Mount(
        kind=kind,
        source=source,
        target=_target(text, target),
        read_only=read_only,
        propagation=propagation,
        copy_up=copy_up,
    )


_MOUNT_KEYS = {
    "type": "type",
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "readonly": "readonly",
    "ro": "readonly",
    "bind-propagation": "propagation",
    "volume-nocopy": "nocopy",
    "tmpfs-size": "size",
    "tmpfs-mode": "mode",
}


def mount(text: str) -> Mount:
    """Return the mount of ``--mount type=bind,source=/a,target=/b,readonly``."""
    found: dict[str, str] = {"type": "volume"}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key not in _MOUNT_KEYS:
            raise ValueError(f"'{text}': no such key '{key}'; {', '.join(_MOUNT_KEYS)}")
        found[_MOUNT_KEYS[key]] = value if equals else "true"
    kind, source = found["type"], found.get("source", "")
    if kind not in ("bind", "volume", "tmpfs"):
        raise ValueError(f"'{text}': type is bind, volume or tmpfs")
    if kind == "bind" and not source.startswith("/"):
        raise ValueError(f"'{text}': a bind mount needs source=/an/absolute/path")
    if kind == "volume" and source and not is_name(source):
        raise ValueError(f"'{text}': '{source}' is no volume's name")
    propagation = found.get("propagation", "rprivate")
    if propagation not in PROPAGATIONS:
        raise ValueError(f"'{text}': bind-propagation is one of {', '.join(PROPAGATIONS)}")
    options = []
    if "size" in found:
        options.append(f"size={limits.size(found['size'])}")
    if "mode" in found:
        options.append(f"mode={_mode(text, found['mode'])}")
    return Mount(
        kind=kind,
        source="" if kind == "tmpfs" else source,
        target=_target(text, found.get("target", "")),
        read_only=_truth(text, found.get("readonly", "false")),
        propagation=propagation,
        options=tuple(options),
        copy_up=not _truth(text, found.get("nocopy", "false")),
    )


_TMPFS_FLAGS = ("exec", "noexec", "suid", "nosuid", "dev", "nodev", "ro", "rw")
_TMPFS_VALUES = ("size", "mode", "uid", "gid", "nr_inodes")


def tmpfs(text: str) -> Mount:
    """Return the mount of ``--tmpfs TARGET[:size=64m,mode=1777,exec]``."""
    target, _, rest = text.partition(":")
    options = []
    read_only = False
    for option in filter(None, rest.split(",")):
        key, equals, value = option.partition("=")
        if option in ("ro", "rw"):
            read_only = option == "ro"
        elif equals and key in _TMPFS_VALUES:
            options.append(f"{key}={limits.size(value) if key == 'size' else value}")
        elif option in _TMPFS_FLAGS:
            options.append(option)
        else:
            known = ", ".join((*_TMPFS_FLAGS, *_TMPFS_VALUES))
            raise ValueError(f"'{text}': no such option '{option}'; {known}")
    return Mount(
        kind="tmpfs",
        source="",
        target=_target(text, target),
        read_only=read_only,
        options=tuple(options),
    )


def ports(text: str) -> list[Port]:
    """Return the ports of ``-p [[IP:][HOST]:]CONTAINER[/PROTOCOL]``; ranges give several."""
    rest, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"'{text}': the protocol is tcp or udp")
    address = ""
    if rest.startswith("["):
        address, _, rest = rest[1:].partition("]:")
    elif rest.count(":") > 1:
        address, _, rest = rest.partition(":")
    host_text, colon, container_text = rest.rpartition(":")
    container = port_range(text, container_text)
    host = port_range(text, host_text) if colon and host_text else [0] * len(container)
    if len(host) != len(container):
        if len(container) == 1:  # one container port, any free one of a range
            host = host[:1]
        else:
            raise ValueError(f"'{text}': the two ranges are not equally long")
    return [
        Port(inner, outer, protocol, address) for inner, outer in zip(container, host, strict=True)
    ]


def port_range(text: str, part: str) -> list[int]:
    """Return the numbers of ``80`` or ``8000-8010``; *text* is what an error names."""
    first, dash, last = part.partition("-")
    low, high = whole(first), whole(last if dash else first)
    if low is None or high is None:
        raise ValueError(f"'{text}' is not [[ADDRESS:]HOST:]CONTAINER[/tcp|/udp]")
    if not 1 <= low <= high <= 65535:
        raise ValueError(f"'{text}': a port is a number from 1 to 65535")
    return list(range(low, high + 1))


def exposed(text: str) -> list[tuple[int, str]]:
    """Return (port, protocol) of ``80/tcp``, as images and --expose write it."""
    part, _, protocol = text.partition("/")
    return [(number, protocol or "tcp") for number in port_range(text, part)]


def pause(text: str) -> float:
    """Return the seconds of a duration such as 1m30s; 0 or a millisecond at least."""
    seconds = units.duration(text)
    if seconds < 0 or 0 < seconds < _SHORTEST_PAUSE:
        raise ValueError(f"'{text}' is less than 1ms")
    return seconds


def restart(text: str) -> ContainerRestartPolicy:
    """Return the policy of ``no``, ``always``, ``unless-stopped`` or ``on-failure[:N]``."""
    mode, colon, count = text.partition(":")
    if mode not in ("no", "always", "unless-stopped", "on-failure"):
        raise ValueError(f"'{text}' is none of no, always, unless-stopped, on-failure[:N]")
    if colon and mode != "on-failure":
        raise ValueError(f"'{text}': only on-failure takes a number of tries")
    return ContainerRestartPolicy(mode, limits.whole(count) if colon else 0)


def environment(entries: Iterable[str], host: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``-e NAME=value``; a lone NAME takes *host*'s value, if any."""
    found = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name:
            raise ValueError(f"'{entry}' has no name; -e NAME=value")
        if equals:
            found[name] = value
        elif name in host:
            found[name] = host[name]
    return found


def environment_file(text: str) -> list[str]:
    """Return the entries of an --env-file: a line each, as they are; # begins a comment line."""
    lines = [line.lstrip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def capability(text: str, known: Collection[str]) -> str:
    """Return the name of a capability without CAP_, in capitals: one of *known*, or ALL."""
    name = text.upper().removeprefix("CAP_")
    if name != "ALL" and name not in known:
        raise ValueError(f"'{text}' is no capability; see capabilities(7)")
    return name


def device(text: str) -> tuple[str, str, str]:
    """Return (host path, container path, what is allowed) of ``/dev/sda[:/dev/xvda[:rwm]]``."""
    parts = text.split(":")
    host = parts[0]
    container, allowed = host, "rwm"
    if len(parts) == 2 and not parts[1].startswith("/"):
        allowed = parts[1]
    elif len(parts) > 1:
        container = parts[1]
        allowed = parts[2] if len(parts) > 2 else allowed
    good = host.startswith("/") and container.startswith("/") and len(parts) < 4
    if not good or not allowed or set(allowed) - set("rwm"):
        raise ValueError(f"'{text}' is not /HOST/DEVICE[:/CONTAINER/DEVICE[:rwm]]")
    return host, container, allowed


def add_host(text: str) -> tuple[str, str]:
    """Return (name, address) of ``--add-host NAME:ADDRESS``; an IPv6 one has colons itself."""
    name, separator, address = text.partition("=") if "=" in text else text.partition(":")
    if not name or not separator or not address:
        raise ValueError(f"'{text}' is not NAME:ADDRESS")
    address = address.strip("[]")
    return name, address if address == addresses.HOST_GATEWAY else addresses.address(address)


def network(text: str) -> Join:
    """Return what ``NAME`` or ``name=NAME,alias=A,ip=1.2.3.4,mac-address=…`` names."""
    if "=" not in text:
        if not text:
            raise ValueError("a network needs a name")
        return Join("bridge" if text == "default" else text)
    found: dict[str, list[str]] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key not in ("name", "alias", "ip", "mac-address") or not equals:
            raise ValueError(f"'{text}': '{part}' is none of name=, alias=, ip=, mac-address=")
        found.setdefault(key, []).append(value)
    if not any(found.get("name", ())):
        raise ValueError(f"'{text}' has no name=")
    last = {key: values[-1] for key, values in found.items()}
    name = "bridge" if last["name"] == "default" else last["name"]
    address, mac = last.get("ip", ""), last.get("mac-address", "")
    if address:
        addresses.address(address)
    if mac:
        addresses.mac(mac)
    return Join(name, tuple(found.get("alias", ())), address, mac)


def link(text: str) -> tuple[str, str]:
    """Return (container, alias) of ``--link CONTAINER[:ALIAS]``."""
    container, colon, alias = text.partition(":")
    if not container or (colon and not alias):
        raise ValueError(f"'{text}' is not CONTAINER[:ALIAS]")
    return container, alias or container


def volumes_from(text: str) -> tuple[str, str]:
    """Return (container, mode) of ``--volumes-from CONTAINER[:ro|rw]``; no mode: as they are."""
    container, colon, mode = text.partition(":")
    if not container or (colon and mode not in ("ro", "rw")):
        raise ValueError(f"'{text}' is not CONTAINER[:ro|rw]")
    return container, mode


def device_rule(text: str) -> str:
    """Return ``c 13:* rwm``, as --device-cgroup-rule has it, checked."""
    kind, _, rest = text.partition(" ")
    numbers, _, allowed = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    good = kind in ("a", "b", "c") and colon and allowed and not set(allowed) - set("rwm")
    if not good or not all(n == "*" or whole(n) is not None for n in (major, minor)):
        raise ValueError(f"'{text}' is not 'TYPE MAJOR:MINOR rwm', such as 'c 13:* rwm'")
    return text


STREAMS = ("stdin", "stdout", "stderr")


def stream(text: str) -> str:
    """Return the stream of --attach in small letters."""
    if text.lower() not in STREAMS:
        raise ValueError(f"'{text}' is none of {', '.join(STREAMS)}")
    return text.lower()


def pair(text: str) -> tuple[str, str]:
    """Return (key, value) of ``KEY[=VALUE]``: labels, sysctls."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"'{text}' has no name before the =")
    return key, value


def _target(text: str, target: str) -> str:
    if not target.startswith("/"):
        raise ValueError(f"'{text}': the place in the container is an absolute path")
    clean = "/" + "/".join(part for part in target.split("/") if part not in ("", "."))
    if clean == "/":
        raise ValueError(f"'{text}': nothing can be mounted on the container's root")
    if ".." in clean.split("/"):
        raise ValueError(f"'{text}': '..' has no place in it")
    return clean


def _mode(text: str, value: str) -> str:
    if not value or set(value) - set("01234567"):
        raise ValueError(f"'{text}': tmpfs-mode is octal, such as 1777")
    return value


def _truth(text: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"'{text}': '{value}' is neither true nor false")
    return value.lower() in ("true", "1")
