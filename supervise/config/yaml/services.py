"""One YAML file → its decoded table; one decoded table → a ServiceSpec.

No files are opened here: `load` reads them, and brings the env files' variables.
"""

from __future__ import annotations

from supervise.config import dialects
from supervise.config.declared import Declared, SourcePlace
from supervise.config.dialects import Dialect
from supervise.config.yaml.keys.schema import TOP
from supervise.config.yaml.keys.shapes import Table
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence, compose
from supervise.config.yaml.wording import WORDING
from supervise.model.errors import Problem
from supervise.model.service import (
    HealthCheck,
    LogSettings,
    Origin,
    Probe,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as Map
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.interpolate import Interpolator
    from supervise.config.yaml.nodes import YamlNode

MAX_FILE_BYTES = 16 * 1024 * 1024
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_MAX_NAME = 100
# Keys of a service that are not fields of ServiceSpec, or not as they are.
_SPECIAL = {"environment", "env_file", "profiles", "ready", "logs", "depends_on"}
_FILE_ONLY = ("tee", "max_size", "max_age", "keep", "compress")


def decode_file(decoder: Decoder, data: bytes, file: str) -> Table | None:
    """Return the table of keys in *data*, None when there is none; problems go to *decoder*."""
    text = _text(decoder, data, file)
    if text is None:
        return None
    if foreign := dialects.foreign(Dialect.YAML, file, text):
        decoder.problems.report(foreign)
        return None
    before = len(decoder.problems)
    root = compose(text, file, decoder.problems.report)
    if root is None:
        if len(decoder.problems) == before:
            what, hint = "the file is empty", "it needs the key 'services'"
            decoder.problems.report(Problem(file, 1, 1, "", what, hint))
        return None
    table = TOP.decode(decoder, root, "")
    return table if isinstance(table, Table) else None


def _text(decoder: Decoder, data: bytes, file: str) -> str | None:
    if len(data) > MAX_FILE_BYTES:
        what = f"larger than {MAX_FILE_BYTES // 1024**2} MiB"
        decoder.problems.report(Problem(file, 0, 0, "", what, "split it with `include`"))
        return None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        decoder.problems.report(Problem(file, 1, 1, "", "the file is UTF-16", "save it as UTF-8"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        decoder.problems.report(Problem(file, line, column, "", what, "save the file as UTF-8"))
        return None


class Defaults:
    """What a configuration says for all of its services."""

    def __init__(self, environment: Map[str, str | None], logs: Map[str, Any]) -> None:
        self.environment = environment
        self.logs = logs


def build_service(
    decoder: Decoder,
    name: str,
    table: Table,
    defaults: Defaults,
    *,
    env_files: Iterable[Map[str, str | None]],
    name_node: YamlNode,
    origin: Origin,
) -> Declared:
    """Return the service that *table*, behind the key at *name_node* in *origin*, describes.

    What could not be decoded has its default in the spec, so that the checks between services
    say nothing that follows from another problem.
    """
    path = f"services.{name}"
    fields: dict[str, Any] = {k: v for k, v in table.items() if k not in _SPECIAL}
    fields.setdefault("command", ("invalid",))
    fields.setdefault("restart", _default_restart(table))
    _check_oneshot(decoder, table, path, fields)
    _set_ready(decoder, table, path, fields)
    if "healthcheck" not in table and table.tried("healthcheck"):
        fields["healthcheck"] = HealthCheck(Probe())
    if "type" not in table and table.tried("type"):
        fields["type"] = ServiceType.ONESHOT  # whoever waits for its completion is not at fault
    layers = [defaults.environment, *env_files, table.get("environment", {})]
    fields["environment"] = merge_environment(decoder.interpolator, layers)
    fields["logs"] = _logs(decoder, table, path, defaults)
    fields["depends_on"] = dict(table.get("depends_on", {}))
    spec = ServiceSpec(name=name, origin=origin, **fields)
    places = _places(table, spec, name_node)
    return Declared(spec, places, WORDING, profiles=table.get("profiles", ()))


def _default_restart(table: Table) -> RestartPolicy:
    oneshot = table.get("type") is ServiceType.ONESHOT
    return RestartPolicy(RestartMode.NO if oneshot else RestartMode.ALWAYS)


def _check_oneshot(decoder: Decoder, table: Table, path: str, fields: dict[str, Any]) -> None:
    if table.get("type") is not ServiceType.ONESHOT:
        return
    mode = fields["restart"].mode
    if mode in (RestartMode.ALWAYS, RestartMode.UNLESS_STOPPED):
        decoder.problem(
            table.place("restart"),
            f"{path}.restart",
            f"a oneshot cannot have restart: {mode.value}; it would never complete",
            "write restart: on-failure, or leave `restart` out",
        )
    if "ready" in table:
        decoder.problem(
            table.place("ready"),
            f"{path}.ready",
            "a oneshot has no readiness: it completes",
            "let others depend on service_completed_successfully",
        )


def _set_ready(decoder: Decoder, table: Table, path: str, fields: dict[str, Any]) -> None:
    """Put `ready` into *fields*; its ``timeout`` is another way to write `start_timeout`."""
    if "ready" not in table:
        if "start_timeout" in table and not table.tried("ready"):
            where = table.place("start_timeout")
            decoder.warn(
                where, f"{path}.start_timeout", "has no effect without `ready`", "add `ready`"
            )
        return
    fields["ready"], timeout = table["ready"]
    if timeout is None:
        return
    if fields.setdefault("start_timeout", timeout) != timeout:
        decoder.problem(
            table.place("start_timeout"),
            f"{path}.start_timeout",
            "differs from ready.timeout, which means the same",
            "keep one of them",
        )


def _logs(decoder: Decoder, table: Table, path: str, defaults: Defaults) -> LogSettings:
    own = table.get("logs", {})
    logs = LogSettings(**{**defaults.logs, **own})
    if not isinstance(own, Table):
        return logs
    if logs.file is not None and not logs.file.startswith("/"):
        decoder.problem(
            own.place("file"), f"{path}.logs.file", "must be an absolute path", "begin it with '/'"
        )
    if logs.file is None:
        for key in _FILE_ONLY:
            if key in own:
                decoder.warn(
                    own.place(key),
                    f"{path}.logs.{key}",
                    "has no effect without `file`",
                    "add `file`",
                )
    return logs


def merge_environment(
    interpolator: Interpolator, layers: Iterable[Map[str, str | None]]
) -> dict[str, str]:
    """Return the variables of *layers*, later ones win.

    None passes supervise's own value on: nothing to do, unless an earlier layer set another.
    """
    merged: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            if value is not None:
                merged[name] = value
            elif name in merged:
                inherited = interpolator.lookup(name)
                del merged[name]
                if inherited is not None:
                    merged[name] = inherited
    return merged


def _places(table: Table, spec: ServiceSpec, name_node: YamlNode) -> dict[str, SourcePlace]:
    places = {"": _place(name_node)}
    for key in ("stdin", "stop_grace_period"):
        if key in table.node.pairs:
            places[key] = _place(table.place(key))
    edges = table.place("depends_on")
    if isinstance(edges, Mapping):
        for name in spec.depends_on:
            places[f"depends_on.{name}"] = _place(edges.pairs[name][0])
    elif isinstance(edges, Sequence):
        by_text = {item.text: item for item in edges.items if isinstance(item, Scalar)}
        for name in spec.depends_on:
            places[f"depends_on.{name}"] = _place(by_text.get(name, edges))
    return places


def _place(node: YamlNode) -> SourcePlace:
    return SourcePlace(node.file, node.line, node.column)


def check_name(decoder: Decoder, name: str, node: YamlNode) -> bool:
    """Return whether *name* is one for a service, having reported it when not."""
    if 0 < len(name) <= _MAX_NAME and _NAME_CHARACTERS.issuperset(name) and name[0] not in "._-":
        return True
    decoder.problem(
        node,
        "services",
        f"{name[:60]!r} is no name for a service",
        f"letters, digits, '.', '_' and '-', at most {_MAX_NAME}, beginning with one of the first two",
    )
    return False
