"""YAML files → one configuration: directories, includes, env files, profiles.

`config.load` is the caller; it checks what stands between the services.
"""

from __future__ import annotations

from supervise.config import search
from supervise.config.declared import Configuration
from supervise.config.yaml import groups
from supervise.config.yaml.files import SourceReader
from supervise.config.yaml.keys.shapes import Table
from supervise.config.yaml.services import Defaults, build_service, check_name
from supervise.model.errors import Problem
from supervise.model.service import ControlSettings, Origin, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as Seq
    from typing import Any

    from supervise.config.declared import Declared
    from supervise.config.problems import Problems
    from supervise.config.yaml.files import SourceDocument
    from supervise.config.yaml.nodes import YamlNode

PROFILES = "SUPERVISE_PROFILES"


def read(
    roots: Seq[str], environ: Mapping[str, str], cwd: str, problems: Problems
) -> Configuration:
    """Return what the files and directories *roots* declare; only of use without problems."""
    reader = SourceReader(environ, cwd, problems)
    for path in roots:
        reader.read_root(path)
    return _Assembly(reader).configuration(roots[0])


class _Assembly:
    """Makes one configuration of the documents that were read."""

    def __init__(self, reader: SourceReader) -> None:
        self.reader = reader
        self.decoder = reader.decoder
        self.settings: dict[
            str, tuple[Any, YamlNode]
        ] = {}  # "logs.format" → value, where it is set

    def configuration(self, root: str) -> Configuration:
        """Return the services with their places, and the plan's other fields."""
        for document in self.reader.documents:
            self._collect_settings("", document.table)
        services = self._services()
        self._check_any(services, root)
        control = self._control()  # may add a source
        plan = Plan(
            sources=tuple(self.reader.sources.values()),
            variables=self.decoder.interpolator.consulted,
            control=control,
            **self._fields(
                {"grace": "shutdown.grace", "exit_policy": "exit", "log_format": "logs.format"}
            ),
        )
        return Configuration(services, plan)

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

    def _set(self, path: str, value: Any, place: YamlNode) -> None:
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

    def _twice(self, name: str, node: YamlNode, first: Declared) -> None:
        place = first.place("")
        self.decoder.problem(
            node,
            f"services.{name}",
            f"the service '{name}' is declared twice",
            f"the first is at {place.file}:{place.line}:{place.column}: rename one of them",
        )

    def _service(
        self,
        document: SourceDocument,
        name: str,
        table: Table,
        defaults: Defaults,
        key_node: YamlNode,
    ) -> Declared:
        env_files = self.reader.environments(document, table, f"services.{name}")
        origin = Origin(search.absolute(document.file, self.reader.cwd), key_node.line)
        declared = build_service(
            self.decoder,
            name,
            table,
            defaults,
            env_files=env_files,
            name_node=key_node,
            origin=origin,
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
            self.decoder.problems.report(Problem(root, 1, 1, "", what, hint))

    def _control(self) -> ControlSettings:
        fields = self._below("control.")
        for key in ("operators", "readers"):
            if key in fields:
                place = self.settings[f"control.{key}"][1]
                fields[key] = groups.resolve(self.reader, fields[key], place, f"control.{key}")
        return ControlSettings(**fields)
