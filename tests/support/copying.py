"""COPY and ADD without a builder: a context, a root to copy into, and one instruction at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runtime.builder.files import copier as copy
from runtime.builder.files import owners
from runtime.builder.files.copy_patterns import Patterns
from runtime.builder.files.selection import Selection
from runtime.builder.files.tree import Tree
from runtime.builder.sources.added_sources import select_added
from runtime.dockerfile.commands import Copy, Heredoc, Place
from tests.support.trees import Node, tree

PLACE = Place(1, 1, "COPY")


def instruction(*words: str, **options: Any) -> Copy:
    """Return COPY (or ADD, with ``is_add``) of *words*, the last of which is the destination."""
    *sources, destination = words
    heredocs: tuple[Heredoc, ...] = options.pop("heredocs", ())
    return Copy(
        place=PLACE,
        sources=tuple(sources),
        heredocs=heredocs,
        destination=destination,
        **options,
    )


class Workshop:
    """A context directory and an image's root directory, both empty."""

    def __init__(self, directory: Path) -> None:
        self.context = directory / "context"
        self.root = directory / "root"
        self.store = directory / "store"
        self.outside = directory / "outside"
        for made in (self.context, self.root, self.outside):
            made.mkdir(0o755)
        self.ignore: tuple[str, ...] = ()
        self.is_stage = False

    def put(self, path: str, contents: str = "", mode: int = 0o644) -> Path:
        """Write a file into the context and return it."""
        file = self.context / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(contents or path)
        file.chmod(mode)
        return file

    def open(self) -> Tree:
        """Return the context as a tree."""
        return Tree(
            os.open(self.context, os.O_RDONLY),
            Patterns(self.ignore),
            name="stage 'base'" if self.is_stage else "the build context 'app'",
            keep_owner=self.is_stage,
        )

    def select(self, *words: str, **options: Any) -> Selection:
        """Select and close; only the digest, which is read, and warnings are of use."""
        source = self.open()
        try:
            with select_added(instruction(*words, **options), source, str(self.store)) as found:
                assert found.digest
                return found
        finally:
            source.close()

    def digest(self, *words: str, **options: Any) -> str:
        """Return the digest of what would be copied."""
        return self.select(*words, **options).digest

    def copy(
        self, *words: str, working_dir: str = "/", epoch: int | None = None, **options: Any
    ) -> None:
        """Carry out one instruction."""
        command = instruction(*words, **options)
        source = self.open()
        root_fd = os.open(self.root, os.O_RDONLY)
        try:
            with select_added(command, source, str(self.store)) as selection:
                copy.apply(
                    selection,
                    command.destination,
                    root_fd,
                    working_dir=working_dir,
                    owner=owners.parse_owner(command.chown, root_fd),
                    mode=owners.parse_mode(command.chmod),
                    epoch=epoch,
                )
        finally:
            os.close(root_fd)
            source.close()

    def made(self) -> dict[str, Node]:
        """Return all that is in the root, times left out."""
        return tree(self.root, times=False)

    def names(self) -> list[str]:
        """Return the paths of all that is in the root but directories."""
        return sorted(path for path, node in self.made().items() if node.kind != "d")

    def read(self, path: str) -> str:
        """Return the contents of a file of the root."""
        return (self.root / path).read_text()
