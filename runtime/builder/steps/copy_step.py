"""COPY and ADD as steps: what is copied is selected, stands in the key, and goes into the upper.

Selecting and copying themselves are `selection`, `copier` and `added_sources`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from runtime.builder import cache_keys
from runtime.builder.files import copier, owners, selection
from runtime.builder.files.tree import Tree
from runtime.builder.sources import added_sources
from runtime.builder.steps import layering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.builder.files.selection import Selection
    from runtime.builder.stage import BuildStage
    from runtime.builder.stage_image import StageImage
    from runtime.dockerfile.commands import Copy


class _LazySelection:
    """The sources of one instruction, looked for when they are first needed."""

    def __init__(self, stage: BuildStage, command: Copy) -> None:
        self._stage = stage
        self._command = command
        self._selection: Selection | None = None
        self.stack = ExitStack()

    def get(self) -> Selection:
        """Return what is copied.

        Raises:
            RuntimeFailure: a source is not there.
        """
        if self._selection is None:
            self._selection = self.stack.enter_context(self._select())
            for warning in self._selection.warnings:
                self._stage.remark(warning)
        return self._selection

    def _select(self) -> Selection:
        stage, command = self._stage, self._command
        if not command.from_:
            downloads = stage.cache.downloads
            return added_sources.select_added(command, stage.job.context.tree, downloads)
        lowers, _ = stage.view(command.from_)
        root_fd = self.stack.enter_context(stage.sandbox.readable(lowers))
        tree = Tree(os.dup(root_fd), name=f"'{command.from_}'", keep_owner=True)
        self.stack.callback(tree.close)
        return selection.select(command, tree)


def carry_out(stage: BuildStage, command: Copy) -> StageImage:
    """Do one COPY or ADD; return the changed image.

    Raises:
        RuntimeFailure: a source is not there, an owner is unknown, …
    """
    image, epoch = stage.image, stage.job.request.epoch
    below = stage.below_key()
    lazy = _LazySelection(stage, command)

    def key_with(selected: str) -> str:
        return cache_keys.of_copy(
            below,
            selection=selected,
            destination=command.destination,
            working_dir=image.config.working_dir,
            owner=command.chown,
            mode=command.chmod,
            flags=_flags(command),
            epoch=epoch,
        )

    def quick_key() -> str:
        # As long as all of a stage is what it was, so is what is copied out of it.
        _, shown = stage.view(command.from_)
        return key_with(" ".join([shown, *command.sources, *command.exclude]))

    def make(lowers: Sequence[str], directory: str) -> None:
        chosen = lazy.get()
        with stage.sandbox.writable(lowers, directory) as root_fd:
            copier.apply(
                chosen,
                command.destination,
                root_fd,
                working_dir=image.config.working_dir or "/",
                owner=owners.parse_owner(command.chown, root_fd),
                mode=owners.parse_mode(command.chmod),
                epoch=epoch,
            )

    keys = [lambda: key_with(lazy.get().digest)]
    if command.from_:
        keys.insert(0, quick_key)
    history, shown = _history(command), command.place.text
    with lazy.stack:
        step = layering.LayerStep(keys=keys, make=make, history=history, shown=shown)
        return layering.add_layer(stage, image, step)


def _flags(command: Copy) -> list[str]:
    flags = ["add"] if command.is_add else []
    flags += ["link"] if command.link else []
    return flags + (["parents"] if command.parents else [])


def _history(command: Copy) -> str:
    word = "ADD" if command.is_add else "COPY"
    names = [*command.sources, *(heredoc.name for heredoc in command.heredocs)]
    flags = [f"--from={command.from_}"] if command.from_ else []
    flags += [f"--chown={command.chown}"] if command.chown else []
    flags += [f"--chmod={command.chmod}"] if command.chmod else []
    return " ".join([word, *flags, *names, command.destination])
