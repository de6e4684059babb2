"""`RUN --mount=…`: read with the file, and again when the step's variables are known.

Source: the Dockerfile reference, "RUN --mount"; BuildKit's `instructions/commands_runmount.go`.
"""

from __future__ import annotations

import csv
import re

from runtime.dockerfile.commands import RunMount
from runtime.dockerfile.dockerfile_error import DockerfileError
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_SHORT = {"src": "source", "dst": "target", "destination": "target"}
_SHORT |= {"ro": "readonly", "rw": "readwrite"}
_TEXTS = ("source", "target", "from", "id", "env")
_SWITCHES = ("readonly", "readwrite", "required")
_KNOWN = ("type", *_TEXTS, *_SWITCHES, "size", "sharing", "mode", "uid", "gid")
_WITH_OWNER = ("cache", "secret", "ssh")
# Which types know an option; those that are not here are every type's.
_ONLY = {
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "required": ("secret", "ssh"),
    "mode": _WITH_OWNER,
    "uid": _WITH_OWNER,
    "gid": _WITH_OWNER,
    "env": ("secret",),
}
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")  # Go's strconv.ParseBool
_NUMBERS = {"mode": (8, "such as 0755"), "uid": (10, "such as 1000"), "gid": (10, "such as 1000")}
_SIZE = re.compile(r"\d+(\.\d+)?\s*([kmgtp]?i?b?)", re.IGNORECASE | re.ASCII)


def parse(text: str) -> RunMount:
    """Read what follows `--mount=`; a value with a variable is looked at by `expand` alone.

    As BuildKit does, an unknown option is refused when the step is reached.

    Raises:
        DockerfileError: without a line.
    """
    found, unknown, later = _options(text, None)
    if not later:
        _check(found, text)
    return _mount(found).replace(unknown=unknown, text=text)


def expand(mount: RunMount, word: Callable[[str], str]) -> RunMount:
    """Return *mount* with *word* applied to every value, and checked.

    Raises:
        DockerfileError: without a line.
    """
    for key in mount.unknown:
        meant = closest(key, (*_KNOWN, *_SHORT))
        raise DockerfileError(
            f"unknown option '{key}' of --mount",
            hint=f"did you mean '{meant}'?" if meant else f"known: {', '.join(_KNOWN)}",
        )
    found, _, _ = _options(mount.text, word)
    _check(found, mount.text)
    return _mount(found)


def _mount(found: Mapping[str, Any]) -> RunMount:
    """Return the record of the options *found*, keyed by their long names."""
    fields = {name: value for name, value in found.items() if name not in _SWITCHES}
    fields["from_"] = fields.pop("from", "")
    if "readonly" in found:
        fields["read_only"] = found["readonly"]
    return RunMount(**fields, required=found.get("required", False))


def _options(
    text: str, word: Callable[[str], str] | None
) -> tuple[dict[str, Any], tuple[str, ...], bool]:
    """Return (options by long name, unknown ones, whether a variable hides one) of *text*."""
    found: dict[str, Any] = {}
    unknown: list[str] = []
    later = False
    for field in _fields(text):
        key, equals, value = field.partition("=")
        key = _SHORT.get(key.lower(), key.lower())
        if key not in _KNOWN:
            unknown.append(key)
            continue
        if not equals and key not in _SWITCHES:
            raise DockerfileError(f"'{key}' in --mount={text} needs a value", hint=f"{key}=VALUE")
        if word is not None:
            value = word(value)
        elif "$" in value and key not in _TEXTS:
            later = True
            continue
        later = later or (word is None and "$" in value)
        _put(found, key, value if equals else "true", text)
    return found, tuple(unknown), later


def _fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as problem:
        raise DockerfileError(
            f"--mount={text} is not a list: {problem}",
            hint='quotes are around a whole option: --mount=target=/x,"source=a,b"',
        ) from None


def _put(found: dict[str, Any], key: str, value: str, text: str) -> None:
    """Write one option into *found*, checked as far as it is known alone."""
    if key in _SWITCHES:
        truth = _boolean(key, value)
        if key == "readwrite":
            key, truth = "readonly", not truth
        found[key] = truth
        return
    if key in ("type", "sharing"):
        value = value.lower()
        known = TYPES if key == "type" else SHARING
        if value not in known:
            meant = closest(value, known)
            hint = f"did you mean '{meant}'?" if meant else f"it is {', '.join(known)}"
            raise DockerfileError(f"unknown {key} '{value}' in --mount={text}", hint=hint)
    if key in _NUMBERS:
        base, example = _NUMBERS[key]
        digits = "01234567" if base == 8 else "0123456789"
        if not value or value.strip(digits) or len(value) > 11 or int(value, base) >= 1 << 32:
            raise DockerfileError(f"{key}={value} is not a number", hint=example)
    if key == "size" and not _SIZE.fullmatch(value):
        raise DockerfileError(f"size={value} is not a size", hint="such as 64m")
    found[key] = value


def _boolean(key: str, value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise DockerfileError(f"'{key}' is true or false, not '{value}'", hint=f"{key} alone is true")


def _check(found: Mapping[str, Any], text: str) -> None:
    """Refuse what does not go together."""
    kind = found.get("type", "bind")
    for key in found:
        if kind not in _ONLY.get(key, TYPES):
            raise DockerfileError(
                f"'{key}' means nothing for a mount of type {kind}",
                hint=f"it is for {' and '.join(_ONLY[key])}",
            )
    if kind == "secret":
        if found.get("from"):
            raise DockerfileError(
                "a secret comes from the command line, not from=",
                hint="write --mount=type=secret,id=NAME",
            )
        if not any(found.get(key) for key in ("source", "target", "id", "env")):
            raise DockerfileError(
                "the secret has neither id nor target",
                hint="--mount=type=secret,id=NAME, with --secret id=NAME,src=FILE",
            )
        if found.get("source") and found.get("id"):
            raise DockerfileError(
                "source and id of a secret are the same", hint="leave one of them out"
            )
    if kind in ("bind", "cache", "tmpfs") and not found.get("target"):
        raise DockerfileError(
            f"--mount={text} has no target", hint="target=DIRECTORY says where it is seen"
        )
