"""Values with a form of their own: commands, environments, restarts, dependencies.

Each is a `kinds.Kind`; `schema` puts them behind keys.
"""

from __future__ import annotations

from supervise.config.yaml import words
from supervise.config.yaml.decoder import INVALID, is_null
from supervise.config.yaml.keys.kinds import Bool, Choice, Kind, TextKind
from supervise.config.yaml.keys.shapes import Fields, Key, ListOf, MapOf
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence
from supervise.model.numerals import whole
from supervise.model.service import Condition, Dependency, RestartMode, RestartPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.nodes import YamlNode


class CommandForm(Kind):
    """An argv: a list as it is, a string split without a shell, or ``{shell: "a | b"}``."""

    label = "a command"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the argv at *node*, never empty."""
        if isinstance(node, Mapping):
            return _SHELL_FORM.decode(decoder, node, path)
        if isinstance(node, Sequence):
            argv = _ARGUMENTS.decode(decoder, node, path)
            if argv is not INVALID and (not argv or not argv[0]):
                decoder.problem(node, path, "must name a program", "as in [sleep, 10]")
                return INVALID
            return argv
        if not isinstance(node, Scalar) or is_null(node):
            return self.refuse(decoder, node, path, "as in [sleep, 10]")
        text = decoder.text(node, path)
        return INVALID if text is None else self._split(decoder, node, path, text)

    def _split(self, decoder: Decoder, node: YamlNode, path: str, text: str) -> Any:
        try:
            argv = words.split(text)
        except words.WordsError as error:
            decoder.problem(node, path, error.what, error.hint)
            return INVALID
        if not argv or not argv[0]:
            decoder.problem(node, path, "must name a program", "as in [sleep, 10]")
            return INVALID
        return argv

    def encode(self, value: Any) -> Any:
        """Return the list form."""
        return list(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": ["string", "number", "boolean"]},
                },
                {
                    "type": "object",
                    "properties": {"shell": {"type": "string", "minLength": 1}},
                    "required": ["shell"],
                    "patternProperties": {"^x-": {}},
                    "additionalProperties": False,
                },
            ]
        }


_ARGUMENTS = ListOf(TextKind("an argument", empty=True), "a command")
_SHELL_FORM = Fields(
    'a command: a list, a string or {shell: "..."}',
    [Key("shell", TextKind("a shell command"), "Runs `/bin/sh -c`.", '"a | b"')],
    required=("shell",),
    build=lambda _decoder, table, _path: ("/bin/sh", "-c", table["shell"]),
)


class HealthTest(Kind):
    """compose's ``test``: an argv, or None for ``[NONE]``."""

    label = "a test such as [CMD, pg_isready]"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the argv at *node*, None when it switches the check off."""
        if isinstance(node, Scalar) and not is_null(node):
            text = decoder.text(node, path)
            if not text:
                return INVALID if text is None else self.refuse(decoder, node, path)
            return ("/bin/sh", "-c", text)
        if not isinstance(node, Sequence):
            return self.refuse(decoder, node, path)
        argv = _ARGUMENTS.decode(decoder, node, path)
        if argv is INVALID:
            return INVALID
        form, arguments = next(iter(argv), ""), argv[1:]
        if form == "NONE" and not arguments:
            return None
        if form == "CMD" and arguments and arguments[0]:
            return tuple(arguments)
        if form == "CMD-SHELL" and len(arguments) == 1 and arguments[0]:
            return ("/bin/sh", "-c", arguments[0])
        if form in {"NONE", "CMD", "CMD-SHELL"}:
            forms = "[NONE], [CMD, PROGRAM, ARG...] or [CMD-SHELL, LINE]"
            decoder.problem(node, path, f"{form} has the wrong number of words", f"write {forms}")
        else:
            decoder.problem(
                node, path, "must begin with CMD, CMD-SHELL or NONE", "as in [CMD, pg_isready]"
            )
        return INVALID

    def encode(self, value: Any) -> Any:
        """Return ``[CMD, …]``."""
        return ["CMD", *value]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        first = {"enum": ["CMD", "CMD-SHELL", "NONE"]}
        return {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "prefixItems": [first],
                    "items": {"type": ["string", "number", "boolean"]},
                },
            ]
        }


class Restart(Kind):
    """``no``, ``always``, ``on-failure``, ``on-failure:5``, ``unless-stopped``."""

    label = "one of no, always, on-failure[:N], unless-stopped"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the RestartPolicy at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        word, colon, count = text.partition(":")
        modes = {mode.value: mode for mode in RestartMode}
        if word == RestartMode.ON_FAILURE.value and colon:
            attempts = whole(count)
            if attempts and len(count) < 10:
                return RestartPolicy(RestartMode.ON_FAILURE, attempts)
            return self.refuse(decoder, node, path, "N is how often, as in on-failure:5")
        if text in modes:
            return RestartPolicy(modes[text])
        never = text.lower() in {"false", "never", "none", "off"}
        hint = "did you mean 'no'?" if never else decoder.problems.suggest(text, modes)
        return self.refuse(decoder, node, path, hint)

    def encode(self, value: Any) -> Any:
        """Return the word, with the count behind a colon."""
        count = "" if value.max_retries is None else f":{value.max_retries}"
        return f"{value.mode.value}{count}"

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        pattern = r"^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$|\$"
        return {"type": "string", "pattern": pattern}


class Environment(Kind):
    """compose's two forms, a mapping and a list of ``NAME=value``.

    A Table: name → value, or None for a name alone, which passes supervise's own value on.
    """

    label = "a mapping or a list of NAME=value"
    nullable = True

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the mapping at *node*; entries that are invalid are left out."""
        if isinstance(node, Mapping):
            table = _VARIABLES.decode(decoder, node, path)
            for name in [name for name in table if not is_variable(name)]:
                self._bad_name(decoder, node.pairs[name][0], f"{path}.{name}", name)
                del table[name]
            return table
        if not isinstance(node, Sequence):
            return self.refuse(decoder, node, path)
        values: dict[str, str | None] = {}
        for index, item in enumerate(node.items):
            text = _ASSIGNMENT.decode(decoder, item, f"{path}[{index}]")
            if text is INVALID:
                continue
            name, equals, value = text.partition("=")
            if is_variable(name):
                values[name] = value if equals else None
            else:
                self._bad_name(decoder, item, f"{path}[{index}]", name)
        return values

    def _bad_name(self, decoder: Decoder, node: YamlNode, path: str, name: str) -> None:
        decoder.problem(
            node,
            path,
            f"{name[:60]!r} is no name of a variable",
            "a name is not empty, with no '='",
        )

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        value = {"type": ["string", "number", "boolean", "null"]}
        return {
            "anyOf": [
                {"type": ["object", "null"], "additionalProperties": value},
                {"type": "array", "items": {"type": "string"}},
            ]
        }


_VARIABLES = MapOf(TextKind("text", empty=True), "a mapping", null_is=lambda: None)
_ASSIGNMENT = TextKind("NAME=value")


def is_variable(name: str) -> bool:
    """Return whether execve(2) and every libc can carry a variable of this *name*."""
    return bool(name) and "=" not in name and "\0" not in name


class DependsOn(Kind):
    """compose's two forms: a list of names, and name → {condition, required, restart}."""

    label = "a list of services or a mapping"
    nullable = True

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return name → Dependency."""
        if isinstance(node, Sequence):
            return self._names(decoder, node, path)
        if isinstance(node, Scalar):
            return self.refuse(decoder, node, path, f"write [{node.text[:40]}]")
        return _DEPENDENCIES.decode(decoder, node, path)

    def _names(self, decoder: Decoder, node: Sequence, path: str) -> dict[str, Dependency]:
        edges: dict[str, Dependency] = {}
        for index, item in enumerate(node.items):
            name = _SERVICE_NAME.decode(decoder, item, f"{path}[{index}]")
            if name in edges:
                decoder.problem(item, f"{path}[{index}]", f"'{name}' is here twice", "delete one")
            elif name is not INVALID:
                edges[name] = Dependency()
        return edges

    def encode(self, value: Any) -> Any:
        """Return the mapping form."""
        return _DEPENDENCIES.encode(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        names = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
        entry = _DEPENDENCIES.json_schema()
        return {"anyOf": [names, entry]}

    @property
    def entry(self) -> Fields:
        """The mapping behind each name."""
        return DEPENDENCY


_SERVICE_NAME = TextKind("the name of a service")
DEPENDENCY = Fields(
    "a mapping such as {condition: service_ready}",
    [
        Key(
            "condition",
            Choice(Condition),
            "What the other service must have reached.",
            "service_ready",
            "service_started",
        ),
        Key(
            "required",
            Bool(),
            "With false this service starts even when the other failed or does not exist.",
            "false",
            "true",
        ),
        Key(
            "restart", Bool(), "Restart this one when a person restarts the other.", "true", "false"
        ),
    ],
    build=lambda _decoder, table, _path: Dependency(**table),
)
_DEPENDENCIES = MapOf(DEPENDENCY, "a mapping", null_is=Dependency)
