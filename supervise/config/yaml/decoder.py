"""What every kind of value needs while it is decoded: a place for problems, and the variables.

`keys` and `services` are the callers.
"""

from __future__ import annotations

from supervise.config.yaml.interpolate import InterpolationError, Interpolator
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence, YamlNode
from supervise.config.yaml.scalars import resolve
from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping as Map

    from supervise.config.problems import Problems


class _Invalid:
    """Stands for a value that could not be decoded; the problem has been reported."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID = _Invalid()


class Decoder:
    """Reports what is wrong with a node at its place; expands variables."""

    def __init__(self, environ: Map[str, str], problems: Problems) -> None:
        self.problems = problems
        self.interpolator = Interpolator(environ)

    def problem(self, node: YamlNode, path: str, what: str, hint: str = "") -> None:
        """Note that the value at *node* cannot be used."""
        self.problems.report(Problem(node.file, node.line, node.column, path, what, hint))

    def warn(self, node: YamlNode, path: str, what: str, hint: str = "") -> None:
        """Note something that is probably not meant, and harmless."""
        self.problems.warn(Problem(node.file, node.line, node.column, path, what, hint))

    def text(self, node: Scalar, path: str) -> str | None:
        """Return the text of *node* with its variables expanded; None after a problem."""
        if "$" not in node.text:
            text = node.text
        else:
            try:
                text = self.interpolator.expand(node.text)
            except InterpolationError as error:
                self.problem(node, path, error.what, error.hint)
                return None
            for name in self.interpolator.unset:
                self.warn(
                    node,
                    path,
                    f"the variable '{name}' is not set: empty",
                    f"write ${{{name}:-}} if that is meant",
                )
            self.interpolator.unset.clear()
        if "\0" in text:
            self.problem(node, path, "holds a NUL byte, which no argument can", "delete it")
            return None
        return text

    def scalar(self, node: Scalar, path: str) -> object:
        """Return what *node* means: None, bool, int, float, str; INVALID after a problem.

        What comes out of a variable is text and may become a number or a boolean, quoted or not.
        """
        text = self.text(node, path)
        if text is None:
            return INVALID
        return resolve(text) if node.plain or "$" in node.text else text


def is_null(node: YamlNode) -> bool:
    """Return whether *node* is YAML's null: nothing, ``~`` or ``null``."""
    return isinstance(node, Scalar) and node.plain and resolve(node.text) is None


def describe(node: YamlNode, interpolator: Interpolator) -> str:
    """Name what stands at *node*, as in "must be a duration, not a list"."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    assert isinstance(node, Scalar)
    if "$" in node.text:
        return _describe_variable(node.text, interpolator)
    value = resolve(node.text) if node.plain else node.text
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return node.text
    return f"the {'text' if isinstance(value, str) else 'number'} {_shorten(node.text)!r}"


def _describe_variable(text: str, interpolator: Interpolator) -> str:
    try:
        expanded = interpolator.expand(text)
    except InterpolationError:  # a list or a mapping is wanted here: text of any kind is wrong
        return f"the text {_shorten(text)!r}"
    finally:
        interpolator.unset.clear()
    return f"{_shorten(expanded)!r}, which {_shorten(text)} comes to"


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
