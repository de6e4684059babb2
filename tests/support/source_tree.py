"""The project's own code as syntax trees: what the tests of its layout look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """One import statement's target."""

    path: Path
    line: int
    module: str
    for_types_only: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def sources(*folders: str) -> list[Path]:
    """Return the Python files below *folders* of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def is_type_checking(node: ast.AST) -> bool:
    """Return whether *node* is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(path: Path) -> list[Import]:
    """Return every import of the file, those inside functions too."""
    return list(_imports(parse(path), path, for_types_only=False))


def _imports(node: ast.AST, path: Path, *, for_types_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, for_types_only)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}:{child.lineno}: relative import; write the full name"
            for alias in child.names:
                module = f"{child.module}.{alias.name}"
                yield Import(path, child.lineno, module, for_types_only)
        elif is_type_checking(child):
            assert isinstance(child, ast.If)
            for statement in child.body:
                yield from _imports(
                    ast.Module([statement], []), path, for_types_only=True
                )  # the else branch is what runs
            for statement in child.orelse:
                yield from _imports(ast.Module([statement], []), path, for_types_only=False)
        else:
            yield from _imports(child, path, for_types_only=for_types_only)


def within(module: str, prefixes: tuple[str, ...] | frozenset[str]) -> bool:
    """Return whether *module* is one of *prefixes* or below one."""
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)
