"""WORKDIR as a step: the directory is made where it is missing."""

from __future__ import annotations

import os

from runtime.builder import cache_keys, stage_image
from runtime.builder.files import destination, owners
from runtime.builder.steps import layering
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.builder.stage import BuildStage
    from runtime.builder.stage_image import StageImage
    from runtime.dockerfile.commands import Workdir


def carry_out(stage: BuildStage, command: Workdir) -> StageImage:
    """Do one WORKDIR; return the changed image."""
    changed, text = stage_image.with_working_dir(stage.image, command.path)
    path, user = changed.config.working_dir, changed.config.user
    epoch = stage.job.request.epoch
    key = cache_keys.of_working_dir(stage.below_key(), path=path, user=user, epoch=epoch)

    def make(lowers: Sequence[str], directory: str) -> None:
        with stage.sandbox.writable(lowers, directory) as root_fd:
            try:
                owner = owners.parse_owner(user, root_fd)
            except RuntimeFailure:  # USER may name one whom a later step makes
                owner = None
            where = destination.resolve(root_fd, os.fsencode(path))
            os.close(destination.make_directories(root_fd, where, owner))

    step = layering.LayerStep(keys=[lambda: key], make=make, history=text, shown=text)
    return layering.add_layer(stage, changed, step)
