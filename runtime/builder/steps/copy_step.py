"""COPY and ADD as steps: what is copied is selected, stands in the key, and goes into the upper.

Selecting and copying themselves are `select`, `copier` and `added_sources`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from runtime.builder import cache_keys
from runtime.builder.files import copier, owners
from runtime.builder.files import selection as select
from runtime.builder.files.tree import Tree
from runtime.builder.sources import added_sources
from runtime.builder.steps import steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.builder.files.selection import Selection
    from runtime.builder.worker import Worker
    from runtime.dockerfile.commands import Copy


class _Lazy:
    """The sources of one instruction, looked for when they are first needed."""

    def __init__(self, worker: Worker, command: Copy) -> None:
        self._worker = worker
        self._command = command
        self._found: Selection | None = None
        self.stack = ExitStack()

    def get(self) -> Selection:
        """Return what is copied.

        Raises:
            RuntimeFailure: a source is not there.
        """
        if self._found is None:
            self._found = self.stack.enter_context(self._select())
            for warning in self._found.warnings:
                self._worker.remark(warning)
        return self._found

    def _select(self) -> Selection:
        worker, command = self._worker, self._command
        if not command.from_:
            directory = f"{worker.job.layout.root}/build/context"
            return added_sources.select_added(command, worker.job.context.tree, directory)
        lowers, _ = worker.view(command.from_)
        root_fd = self.stack.enter_context(worker.sandbox.readable(lowers))
        tree = Tree(os.dup(root_fd), name=f"'{command.from_}'", keep_owner=True)
        self.stack.callback(tree.close)
        return select.select(command, tree)


def carry_out(worker: Worker, command: Copy) -> None:
    """Do one COPY or ADD.

    Raises:
        RuntimeFailure: a source is not there, an owner is unknown, …
    """
    draft, epoch = worker.draft, worker.job.request.epoch
    below = steps.below_key(worker)
    lazy = _Lazy(worker, command)

    def key_with(selection: str) -> str:
        return cache_keys.of_copy(
            below,
            selection=selection,
            destination=command.destination,
            working_dir=draft.config.working_dir,
            owner=command.chown,
            mode=command.chmod,
            flags=_flags(command),
            epoch=epoch,
        )

    def quick_key() -> str:
        # As long as all of a stage is what it was, so is what is copied out of it.
        _, shown = worker.view(command.from_)
        return key_with(" ".join([shown, *command.sources, *command.exclude]))

    def make(lowers: Sequence[str], directory: str) -> None:
        selection = lazy.get()
        with worker.sandbox.writable(lowers, directory) as root_fd:
            copier.apply(
                selection,
                command.destination,
                root_fd,
                working_dir=draft.config.working_dir or "/",
                owner=owners.parse_owner(command.chown, root_fd),
                mode=owners.parse_mode(command.chmod),
                epoch=epoch,
            )

    keys = [lambda: key_with(lazy.get().digest)]
    if command.from_:
        keys.insert(0, quick_key)
    with lazy.stack:
        steps.layered(worker, keys, _history(command), make, command.place.text)


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
