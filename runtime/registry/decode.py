"""The text of registries.yaml → `Settings`; every problem with its line and column.

The YAML library is imported with this module, so that a machine without the file does not pay.
"""

from __future__ import annotations

import yaml

from runtime.model.container import limits
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.registry import settings as places
from runtime.registry.settings import Location, Patience, Rule, Settings, Trust
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from yaml.nodes import Node

    T = TypeVar("T")

_LOCATION = ("location", "http", "insecure", "ca", "cert", "key")
_REGISTRY = (*_LOCATION, "mirrors", "blocked")
_TOP = ("registries", "parallel", "attempts", "connect_timeout", "stall_timeout", "chunk_size")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUTH = {"true": True, "false": False}
_MOST_PARALLEL = 64


class _Problem(Exception):  # noqa: N818 - it is collected, not shown as such
    """One thing that makes no sense, at a node."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


def settings(text: str, path: str) -> Settings:
    """Return what *text*, the contents of *path*, says.

    Raises:
        RuntimeFailure: it makes no sense; names every problem's place.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise RuntimeFailure(f"{where}: {error.problem}", code=1) from None
    except yaml.YAMLError as error:
        raise RuntimeFailure(f"{path}: {error}", code=1) from None
    if root is None:
        return Settings()
    reader = _SettingsDecoder(path)
    found = reader.top(root)
    if reader.problems:
        raise RuntimeFailure("\n".join(reader.problems), code=1)
    return found


class _SettingsDecoder:
    """Nodes to values; problems are collected."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[str] = []

    def top(self, root: Node) -> Settings:
        keys = self._mapping(root, "", _TOP)
        default = Settings()
        patience = Patience(
            connect=self._value(keys, "connect_timeout", _duration, Patience().connect),
            stall=self._value(keys, "stall_timeout", _duration, Patience().stall),
            attempts=self._value(keys, "attempts", lambda n: _whole(n, 100), Patience().attempts),
        )
        parallel = self._value(
            keys, "parallel", lambda n: _whole(n, _MOST_PARALLEL), default.parallel
        )
        chunk = self._value(keys, "chunk_size", _size, default.chunk)
        rules = []
        if "registries" in keys:
            for name, node in self._mapping(keys["registries"], "registries", None).items():
                rules.append(self._rule(name, node))
        return Settings(tuple(filter(None, rules)), patience, parallel, chunk)

    def _rule(self, name: str, node: Node) -> Rule | None:
        path = f"registries.{name}"
        domain, _, rest = name.partition("/")
        problem = ""
        if "." not in domain and ":" not in domain and domain != "localhost":
            problem = f"'{name}' is not HOST[:PORT][/PATH]"
        else:
            try:
                names.parse(f"{domain}/{rest or 'x'}")
            except RuntimeFailure as failure:
                problem = failure.message
        if problem:
            self._note(node, path, problem)
            return None
        default = places.default_location(domain).replace(prefix=rest)
        keys = self._mapping(node, path, _REGISTRY)
        mirrors = []
        if "mirrors" in keys:
            for number, item in enumerate(self._sequence(keys["mirrors"], f"{path}.mirrors")):
                mirrors.append(self._mirror(item, f"{path}.mirrors[{number}]"))
        blocked = self._value(keys, "blocked", _truth, default=False, path=path)
        location = self._location(keys, path, default)
        return Rule(name, location, tuple(filter(None, mirrors)), blocked)

    def _mirror(self, node: Node, path: str) -> Location | None:
        if isinstance(node, yaml.ScalarNode):
            try:
                return _place(node)
            except _Problem as problem:
                self._note(problem.node, path, str(problem))
                return None
        keys = self._mapping(node, path, _LOCATION)
        if "location" not in keys:
            self._note(node, path, "it has no location")
            return None
        return self._location(keys, path, Location(""))

    def _location(self, keys: Mapping[str, Node], path: str, default: Location) -> Location:
        found = self._value(keys, "location", _place, default, path=path)
        if self._value(keys, "http", _truth, default=False, path=path):
            found = found.replace(scheme="http")
        trust = Trust(
            ca=self._value(keys, "ca", _file, "", path=path),
            certificate=self._value(keys, "cert", _file, "", path=path),
            key=self._value(keys, "key", _file, "", path=path),
            verify=not self._value(keys, "insecure", _truth, default=False, path=path),
        )
        if trust != Trust() and not found.scheme:
            found = found.replace(scheme="https")
        return found.replace(trust=trust)

    def _value(
        self,
        keys: Mapping[str, Node],
        key: str,
        read: Callable[[Node], T],
        default: T,
        path: str = "",
    ) -> T:
        if key not in keys:
            return default
        try:
            return read(keys[key])
        except _Problem as problem:
            self._note(problem.node, f"{path}.{key}".lstrip("."), str(problem))
            return default

    def _mapping(self, node: Node, path: str, known: tuple[str, ...] | None) -> dict[str, Node]:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._note(node, path, "it is not a mapping")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if known is not None and name not in known:
                near = closest(name, known)
                hint = f"did you mean '{near}'?" if near else f"there is {', '.join(known)}"
                self._note(key, path, f"there is no key '{name}'; {hint}")
            elif name in found:
                self._note(key, path, f"'{name}' is there twice")
            found[name] = value
        return found

    def _sequence(self, node: Node, path: str) -> list[Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._note(node, path, "it is not a list")
            return []
        return list(node.value)

    def _note(self, node: Node, path: str, text: str) -> None:
        mark = node.start_mark
        where = f"{self._path}:{mark.line + 1}:{mark.column + 1}"
        self.problems.append(f"{where}: {path}: {text}" if path else f"{where}: {text}")


def _text(node: Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Problem(node, "it is not a string")
    return str(node.value)


def _place(node: Node) -> Location:
    """Return ``[http[s]://]host[:port][/prefix]``."""
    text = _text(node)
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise _Problem(node, f"'{text}': a registry is reached by http or https")
    host, _, prefix = rest.strip("/").partition("/")
    try:
        names.parse(f"{host}/{prefix or 'x'}")
    except RuntimeFailure as failure:
        raise _Problem(node, failure.message) from None
    if not host:
        raise _Problem(node, f"'{text}' names no host")
    return Location(host, prefix, scheme)


def _truth(node: Node) -> bool:
    text = _text(node).lower()
    if text not in _TRUTH:
        raise _Problem(node, f"'{text}' is neither true nor false")
    return _TRUTH[text]


def _file(node: Node) -> str:
    text = _text(node)
    if not text.startswith("/"):
        raise _Problem(node, f"'{text}' is not an absolute path")
    return text


def _whole(node: Node, most: int) -> int:
    text = _text(node)
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= most:
        raise _Problem(node, f"'{text}' is not a number from 1 to {most}")
    return int(text)


def _size(node: Node) -> int:
    text = _text(node)
    try:
        found = limits.size(text)
    except ValueError as error:
        raise _Problem(node, str(error)) from None
    if found < 1:
        raise _Problem(node, f"'{text}' is no size to send at once")
    return found


def _duration(node: Node) -> float:
    text = _text(node)
    number = text.rstrip("msh")
    unit = text[len(number) :] or "s"
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise _Problem(node, f"'{text}' is not a time such as 500ms, 30s or 2m") from None
    if not 0 < seconds <= 86400:
        raise _Problem(node, f"'{text}' is not between 0 and a day")
    return seconds
