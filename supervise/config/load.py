"""Files → a Plan: search path, directories, includes, env files, profiles.

The loader for YAML.  Whatever else comes to declare services (unit files, supervisord.conf)
reads its own files into `Declared` services and shares `validate`.

Runs in a child of PID 1, in `supervise check` and its kin; never in PID 1 itself.
"""

from __future__ import annotations

from supervise.config import validate
from supervise.config.decode import Defaults, build_service, check_name
from supervise.config.keys.shapes import Table
from supervise.config.source import groups, ownership, search
from supervise.config.source.files import Reader
from supervise.model.errors import ConfigError, Problem
from supervise.model.record import Record
from supervise.model.service import Control, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as Seq
    from typing import Any

    from supervise.config.declared import Declared
    from supervise.config.source.files import Document
    from supervise.config.source.nodes import Node

PROFILES = "SUPERVISE_PROFILES"


class Outcome(Record):
    """What came of loading: a plan without problems, or problems without a plan."""

    plan: Plan | None
    problems: tuple[Problem, ...]  # by file in the order of reading, line, column
    warnings: tuple[Problem, ...]
    roots: tuple[str, ...]  # what was asked for, absolute


def load(paths: Seq[str] | None, environ: Mapping[str, str], cwd: str) -> Plan:
    """Return the plan that *paths*, or the files of the search path, ask for.

    Raises:
        ConfigError: with every problem in all of the files.
    """
    outcome = examine(paths, environ, cwd)
    if outcome.plan is None:
        raise ConfigError(outcome.problems)
    return outcome.plan


def examine(paths: Seq[str] | None, environ: Mapping[str, str], cwd: str) -> Outcome:
    """Return the plan, or every problem, and the warnings; never raises ConfigError."""
    try:
        found = search.find(paths, environ, cwd)
    except ConfigError as error:
        return Outcome(None, error.problems, (), ())
    reader = Reader(environ, cwd)
    for path in found:
        reader.read_root(path)
    plan = _Assembly(reader, environ).plan(found[0])
    roots = tuple(search.absolute(path, cwd) for path in found)
    for remark in ownership.remarks(reader.sources.values()):
        reader.decoder.report_warning(remark)
    problems = reader.in_order(reader.decoder.problems)
    warnings = reader.in_order(reader.decoder.warnings)
    return Outcome(None if problems else plan, problems, warnings, roots)


class _Assembly:
    """Makes one plan of the documents that were read."""

    def __init__(self, reader: Reader, environ: Mapping[str, str]) -> None:
        self.reader = reader
        self.decoder = reader.decoder
        self.environ = environ
        self.settings: dict[str, tuple[Any, Node]] = {}  # "logs.format" → value, where it is set

    def plan(self, root: str) -> Plan:
        """Return the plan; only of use when nothing was reported."""
        for document in self.reader.documents:
            self._collect_settings("", document.table)
        services = self._services()
        self._check_any(services, root)
        validate.check(
            services, self.decoder.report, self.decoder.report_warning, self.decoder.suggest
        )
        control = self._control()  # may add a source
        plan = Plan(
            services=validate.settle(services),
            sources=tuple(self.reader.sources.values()),
            variables=self.decoder.interpolator.consulted,
            control=control,
            **self._fields(
                {"grace": "shutdown.grace", "exit_policy": "exit", "log_format": "logs.format"}
            ),
        )
        validate.check_grace(services, plan.grace, self.decoder.report_warning)
        return plan

    def _collect_settings(self, prefix: str, table: Table) -> None:
        """Note the values of *table* below *prefix*; each may be set once, or twice the same."""
        for key, value in table.items():
            path = prefix + key
            if path in {"services", "include", "environment"}:
                continue
            place = table.place(key)
            if isinstance(value, Table):
                self._collect_settings(f"{path}.", value)
            else:
                self._set(path, value, place)
        if not prefix:
            for name, value in table.get("environment", {}).items():
                self._set(f"environment.{name}", value, table.place("environment"))

    def _set(self, path: str, value: Any, place: Node) -> None:
        if path not in self.settings:
            self.settings[path] = value, place
        elif self.settings[path][0] != value:
            first = self.settings[path][1]
            where = f"{first.file}:{first.line}:{first.column}"
            what = f"another value than in {where}"
            self.decoder.problem(place, path, what, "set it in one file only")

    def _below(self, prefix: str) -> dict[str, Any]:
        size = len(prefix)
        return {k[size:]: v for k, (v, _) in self.settings.items() if k.startswith(prefix)}

    def _fields(self, names: Mapping[str, str]) -> dict[str, Any]:
        return {f: self.settings[path][0] for f, path in names.items() if path in self.settings}

    def _services(self) -> dict[str, Declared]:
        defaults = Defaults(self._below("environment."), self._below("logs."))
        services: dict[str, Declared] = {}
        for document in self.reader.documents:
            tables = document.table.get("services")
            if not isinstance(tables, Table):
                continue
            for name, table in tables.items():
                key_node = tables.node.pairs[name][0]
                if name in services:
                    self._twice(name, key_node, services[name])
                elif check_name(self.decoder, name, key_node):
                    services[name] = self._service(document, name, table, defaults, key_node)
        return services

    def _twice(self, name: str, node: Node, first: Declared) -> None:
        place = first.place("")
        self.decoder.problem(
            node,
            f"services.{name}",
            f"the service '{name}' is declared twice",
            f"the first is at {place.file}:{place.line}:{place.column}: rename one of them",
        )

    def _service(
        self, document: Document, name: str, table: Table, defaults: Defaults, key_node: Node
    ) -> Declared:
        env_files = self.reader.environments(document, table, f"services.{name}")
        declared = build_service(
            self.decoder, name, table, defaults, env_files=env_files, name_node=key_node
        )
        if not declared.profiles:
            return declared
        selected = (self.decoder.interpolator.lookup(PROFILES) or "").split(",")
        wanted = {profile.strip() for profile in selected}
        active = "*" in wanted or not wanted.isdisjoint(declared.profiles)
        return declared.replace(active=active)

    def _check_any(self, services: Mapping[str, Declared], root: str) -> None:
        documents = self.reader.documents
        if services or not documents or self.decoder.problems:
            return
        if not any({"services", "include"} & set(d.table.node.pairs) for d in documents):
            what, hint = "declares no services", "add `services: {NAME: {command: [...]}}`"
            self.decoder.report(Problem(root, 1, 1, "", what, hint))

    def _control(self) -> Control:
        fields = self._below("control.")
        for key in ("operators", "readers"):
            if key in fields:
                place = self.settings[f"control.{key}"][1]
                fields[key] = groups.resolve(self.reader, fields[key], place, f"control.{key}")
        return Control(**fields)
