"""An image's configuration: the JSON document whose SHA-256 is the image's id.

Docker's keys and OCI's are one document; HEALTHCHECK, ONBUILD, SHELL are docker's alone and are
kept, as docker and buildkit do.  A configuration that was received is stored as its bytes; only
one that we make is rendered here, in docker's own order, so that equal content has equal ids.
"""

from __future__ import annotations

from runtime.model import jsontext
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECOND = 1_000_000_000  # docker writes durations in nanoseconds
_LARGEST = 1 << 63  # Go's int64


class ImageError(ValueError):
    """A document that is no image configuration; says where."""


class Healthcheck(Record):
    """HEALTHCHECK of a Dockerfile.  Seconds; 0 is docker's default."""

    test: tuple[str, ...] = ()  # ("NONE",) | ("CMD", …) | ("CMD-SHELL", line)
    interval: float = 0.0
    timeout: float = 0.0
    start_period: float = 0.0
    start_interval: float = 0.0
    retries: int = 0


class History(Record):
    """One step that led to an image."""

    created: str = ""  # RFC 3339
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False  # the step changed the configuration alone


class ImageConfig(Record):
    """What an image says about the containers made from it."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # NAME=value
    working_dir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()  # 80/tcp
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    stop_signal: str = ""
    shell: tuple[str, ...] = ()  # of RUN, CMD and ENTRYPOINT in shell form
    healthcheck: Healthcheck | None = None
    onbuild: tuple[str, ...] = ()
    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    created: str = ""  # RFC 3339
    author: str = ""
    comment: str = ""
    history: tuple[History, ...] = ()
    diff_ids: tuple[str, ...] = ()  # digests of the layers' tar streams, lowest first
    document: Mapping[str, Any] = {}  # what `from_json` read: keys not named here survive


MOST_LAYERS = 500  # of one image: overlayfs stacks no more (OVL_MAX_STACK)

# JSON key → field, in the order in which docker writes them; how they look is in _ENCODE.
_CONFIG = {
    "User": "user",
    "ExposedPorts": "exposed_ports",
    "Env": "env",
    "Cmd": "cmd",
    "Healthcheck": "healthcheck",
    "Volumes": "volumes",
    "WorkingDir": "working_dir",
    "Entrypoint": "entrypoint",
    "OnBuild": "onbuild",
    "Labels": "labels",
    "StopSignal": "stop_signal",
    "Shell": "shell",
}
_TOP = {
    "architecture": "architecture",
    "author": "author",
    "comment": "comment",
    "created": "created",
    "history": "history",
    "os": "os",
    "variant": "variant",
}
# Keys of docker's that we do not use, where docker writes them among ours.
_GO_ORDER = (
    *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr"),
    *("ExposedPorts", "Tty", "OpenStdin", "StdinOnce", "Env", "Cmd", "Healthcheck"),
    *("ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint", "NetworkDisabled"),
    *("MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell"),
)
_SETS = frozenset({"exposed_ports", "volumes"})  # {"80/tcp": {}}
_TEXTS = frozenset({
    *("working_dir", "user", "stop_signal", "architecture", "os", "variant", "created"),
    *("author", "comment"),
})  # fmt: skip


def from_json(data: bytes | str) -> ImageConfig:
    """Return the configuration in *data*.

    Raises:
        ValueError: it is not JSON, or not a configuration (ImageError).
    """
    document = jsontext.document(data)
    if not isinstance(document, dict):
        raise ImageError("an image configuration is a JSON object")
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise ImageError("'config' is not an object")
    values: dict[str, Any] = {}
    for section, table in ((config, _CONFIG), (document, _TOP)):
        for key, field in table.items():
            if section.get(key) is not None:
                values[field] = _decode(field, key, section[key])
    rootfs = document.get("rootfs") or {}
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    diff_ids = _texts("rootfs.diff_ids", found or ())
    if len(diff_ids) > MOST_LAYERS:
        raise ImageError(f"it has {len(diff_ids)} layers, and overlayfs stacks {MOST_LAYERS}")
    return ImageConfig(**values, diff_ids=diff_ids, document=document)


def to_json(config: ImageConfig) -> bytes:
    """Return the document of *config* as docker writes it: compact, its order, Go's escapes."""
    document = dict(config.document)
    section = dict(document.get("config") or {})
    _update(document, _TOP, config)
    _update(section, _CONFIG, config)
    known = {key: section.pop(key) for key in _GO_ORDER if key in section}
    document["config"] = {**known, **section}
    rootfs = document.get("rootfs")
    if not rootfs or not isinstance(rootfs, dict):
        rootfs = {"type": "layers"}
    document["rootfs"] = {**rootfs, "diff_ids": list(config.diff_ids)}
    import json  # it is heavy, and only those who make images come here

    text = json.dumps(dict(sorted(document.items())), separators=(",", ":"), ensure_ascii=False)
    # encoding/json escapes these for the sake of HTML; none occurs outside strings.
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode()


def environment(config: ImageConfig) -> dict[str, str]:
    """Return the image's variables; a later one replaces an earlier one."""
    found: dict[str, str] = {}
    for entry in config.env:
        name, _, value = entry.partition("=")
        found[name] = value
    return found


def _update(section: dict[str, Any], table: Mapping[str, str], config: ImageConfig) -> None:
    """Write the fields in *table* into *section*; what is empty in both ways stays as it is."""
    for key, field in table.items():
        value = _encode(field, getattr(config, field))
        if value:
            section[key] = value
        elif section.get(key):
            del section[key]


def _decode(field: str, key: str, value: Any) -> Any:
    if field == "labels":
        if not isinstance(value, dict):
            raise ImageError(f"'{key}' is not an object")
        return {str(name): str(text) for name, text in value.items()}
    if field in _SETS:
        if not isinstance(value, dict):
            raise ImageError(f"'{key}' is not an object")
        return tuple(value)
    if field == "healthcheck":
        return _decode_healthcheck(value)
    if field == "history":
        if not isinstance(value, list):
            raise ImageError("'history' is not a list")
        return tuple(_decode_history(step) for step in value)
    if field in _TEXTS:
        if not isinstance(value, str):
            raise ImageError(f"'{key}' is not a string")
        return value
    return _texts(key, value)


def _encode(field: str, value: Any) -> Any:
    if field in _SETS:
        return {key: {} for key in sorted(value)}
    if field == "labels":
        return dict(sorted(value.items()))  # Go writes maps sorted
    if field == "healthcheck":
        return healthcheck_json(value) if value else None
    if field == "history":
        return [_encode_history(step) for step in value]
    return list(value) if isinstance(value, tuple) else value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ImageError(f"'{key}' is not a list of strings")
    return tuple(value)


_HEALTH = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
}


def _decode_healthcheck(value: Any) -> Healthcheck:
    if not isinstance(value, dict):
        raise ImageError("'Healthcheck' is not an object")
    seconds = {field: _number(value, key) / _SECOND for key, field in _HEALTH.items()}
    test = _texts("Healthcheck.Test", value.get("Test") or ())
    return Healthcheck(test=test, retries=int(_number(value, "Retries")), **seconds)


def _number(section: dict[str, Any], key: str) -> float:
    found = section.get(key) or 0
    if not isinstance(found, int | float) or abs(found) > _LARGEST:
        raise ImageError(f"'Healthcheck.{key}' is not a number")
    return found


def healthcheck_json(check: Healthcheck) -> dict[str, Any]:
    """Return docker's JSON of a health check: what is the default is left out."""
    found: dict[str, Any] = {"Test": list(check.test)} if check.test else {}
    for key, field in _HEALTH.items():
        if seconds := getattr(check, field):
            found[key] = round(seconds * _SECOND)
    return found | ({"Retries": check.retries} if check.retries else {})


def _decode_history(step: Any) -> History:
    if not isinstance(step, dict):
        raise ImageError("'history' is not a list of objects")
    found = {field: step[field] for field in History._fields if step.get(field)}
    for field, value in found.items():
        if not isinstance(value, bool if field == "empty_layer" else str):
            raise ImageError(f"'history': '{field}' is not of its kind")
    return History(**found)


def _encode_history(step: History) -> dict[str, Any]:
    return dict(step.set_items())
