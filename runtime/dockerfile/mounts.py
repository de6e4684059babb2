"""`RUN --mount=…`.  Source: the Dockerfile reference, "RUN --mount"."""

from __future__ import annotations

import csv
import re

from runtime.dockerfile.commands import Mount
from runtime.dockerfile.errors import DockerfileError
from runtime.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_OWN_NAMES = {"src": "source", "dst": "target", "destination": "target", "from": "from_"}
_SIZE = re.compile(r"\d+(\.\d+)?\s*([kmgtp]?i?b?)", re.IGNORECASE)
_ID_OF_FILE = ("mode", "uid", "gid")
# Which types know an option; those that are not here are every type's.
_ONLY = {
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "required": ("secret", "ssh"),
    "mode": ("cache", "secret", "ssh"),
    "uid": ("cache", "secret", "ssh"),
    "gid": ("cache", "secret", "ssh"),
    "env": ("secret",),
}
_KNOWN = (
    *("type", "source", "src", "target", "dst", "destination", "from", "readonly", "ro"),
    *("readwrite", "rw", "required", "size", "id", "sharing", "mode", "uid", "gid", "env"),
)


def parse(text: str) -> Mount:
    """Read what follows `--mount=`; values may hold variables.

    As BuildKit does, an option that nobody knows is refused when the step is reached.

    Raises:
        DockerfileError: without a line.
    """
    mount = Mount()
    for field in _fields(text):
        key, equals, value = field.partition("=")
        mount = _with(mount, key.lower(), value if equals else None, text)
    _check(mount, text)
    return mount


def expand(mount: Mount, word: Callable[[str], str]) -> Mount:
    """Return *mount* with *word* applied to what may hold variables, and checked again."""
    names = ("source", "target", "from_", "id", "size", "mode", "uid", "gid", "env")
    for key in mount.unknown:
        meant = closest(key, _KNOWN)
        raise DockerfileError(
            f"unknown option '{key}' of --mount",
            hint=f"did you mean '{meant}'?" if meant else f"known: {', '.join(_KNOWN)}",
        )
    expanded = mount.replace(**{name: word(getattr(mount, name)) for name in names})
    _check(expanded, "")
    for name in _ID_OF_FILE:
        _check_number(name, getattr(expanded, name))
    return expanded


def _fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as problem:
        raise DockerfileError(f"--mount={text} is not a list: {problem}") from None


def _with(mount: Mount, key: str, value: str | None, text: str) -> Mount:
    if key not in _KNOWN:
        return mount.replace(unknown=(*mount.unknown, key))
    if key in ("readonly", "ro"):
        return mount.replace(read_only=_boolean(key, value))
    if key in ("readwrite", "rw"):
        return mount.replace(read_only=not _boolean(key, value))
    if key == "required":
        _check_type(key, mount.type)
        return mount.replace(required=_boolean(key, value))
    if value is None:
        raise DockerfileError(f"'{key}' in --mount={text} needs a value", hint=f"{key}=VALUE")
    if key == "type":
        if value.lower() not in TYPES:
            raise DockerfileError(
                f"unknown type '{value}' in --mount={text}", hint=f"it is {', '.join(TYPES)}"
            )
        return mount.replace(type=value.lower())
    if key == "sharing" and value not in SHARING:
        raise DockerfileError(f"unknown sharing '{value}'", hint=f"it is {', '.join(SHARING)}")
    return mount.replace(**{_OWN_NAMES.get(key, key): value})


def _boolean(key: str, value: str | None) -> bool:
    if value is None:
        return True
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("false", "0", "f"):
        return False
    raise DockerfileError(f"'{key}' is true or false, not '{value}'")


def _check_type(key: str, kind: str) -> None:
    if kind not in _ONLY.get(key, TYPES):
        raise DockerfileError(
            f"'{key}' means nothing for a mount of type {kind}",
            hint=f"it is for {' and '.join(_ONLY[key])}; type= stands before it",
        )


def _check_number(key: str, value: str) -> None:
    base = 8 if key == "mode" else 10
    if value and "$" not in value:
        try:
            int(value, base)
        except ValueError:
            raise DockerfileError(f"{key}={value} is not a number") from None


def _check(mount: Mount, text: str) -> None:
    default = Mount()
    for key in _ONLY:
        if key != "required" and getattr(mount, key) != getattr(default, key):
            _check_type(key, mount.type)
    for key in _ID_OF_FILE:
        _check_number(key, getattr(mount, key))
    if mount.size and "$" not in mount.size and not _SIZE.fullmatch(mount.size):
        raise DockerfileError(f"size={mount.size} is not a size", hint="such as 64m")
    if mount.type == "secret":
        if mount.from_:
            raise DockerfileError("a secret comes from the command line, not from=")
        if not (mount.source or mount.target or mount.id or mount.env):
            raise DockerfileError(
                "the secret has neither id nor target",
                hint="--mount=type=secret,id=NAME, with --secret id=NAME,src=FILE",
            )
        if mount.source and mount.id:
            raise DockerfileError("source and id of a secret are the same; give one")
    if mount.type in ("bind", "cache", "tmpfs") and not mount.target:
        raise DockerfileError(
            f"--mount={text} has no target" if text else "the mount has no target",
            hint="target=DIRECTORY says where it is seen",
        )
