"""RUN as a step: its command, its heredocs and its mounts stand in the key."""

from __future__ import annotations

import posixpath

from runtime.builder import cache_keys, entitlements, stage_image
from runtime.builder.build_progress import one_line
from runtime.builder.steps import layering, run_mounts
from runtime.dockerfile import heredocs, predefined
from runtime.model.errors import RuntimeFailure
from supervise.model.exitstatus import Exited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.builder.stage import BuildStage
    from runtime.builder.stage_image import StageImage
    from runtime.dockerfile.commands import Run
    from supervise.model.exitstatus import ExitStatus

_PIPES = "/dev/pipes"  # where BuildKit has heredocs that are programs


def carry_out(stage: BuildStage, command: Run) -> StageImage:
    """Do one RUN; return the changed image.

    Raises:
        RuntimeFailure: it is not allowed, a mount cannot be made, the command fails.
    """
    image, request = stage.image, stage.job.request
    entitlements.check(command, request)  # a base image's ONBUILD has it checked here first
    argv, script = _command(image, command)
    proxies = predefined.proxies(request.build_args)
    environment = image.environment()
    network = _network(command.network, request.network)
    key = cache_keys.of_run(
        stage.below_key(),
        argv=argv,
        environment=environment,
        working_dir=image.config.working_dir or "/",
        user=image.config.user,
        network=network,
        hosts=request.hosts,
        mounts=[run_mounts.key(mount, stage) for mount in command.mounts],
        files=script,
        epoch=request.epoch,
    )

    def make(lowers: Sequence[str], directory: str) -> None:
        from runtime.builder.steps import step_container  # with all that a container's start takes

        prepared = run_mounts.prepare(command.mounts, stage)
        try:
            for target, content in script:
                run_mounts.add_file(prepared, stage.sandbox, target, content.encode())
            spec = step_container.specification(
                stage.sandbox,
                image,
                argv=argv,
                environment={**proxies, **environment, **prepared.environment},
                mounts=tuple(prepared.mounts),
                network=network,
                hosts=request.hosts,
            )
            status = step_container.execute(stage.sandbox, spec, lowers, directory, stage.output)
        finally:
            prepared.close()
        if status != Exited(0):
            raise _refused(command, status)

    history, shown = _history(image, argv), command.place.text
    step = layering.LayerStep(keys=[lambda: key], make=make, history=history, shown=shown)
    return layering.add_layer(stage, image, step)


def _command(image: StageImage, command: Run) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return (what to execute, files that it needs) of RUN, its heredocs included."""
    line = command.line
    if not line.heredocs or not line.shell:
        return stage_image.argv(image, line), []
    words = line.words[0]
    first = line.heredocs[0]
    if heredocs.parse(words.strip()) is None:  # a command that reads them: the shell's matter
        whole = words + "".join(f"\n{each.content}{each.name}" for each in line.heredocs)
        return (*image.shell(), whole), []
    if first.content.startswith("#!"):
        path = posixpath.join(_PIPES, first.name)
        return (*image.shell(), path), [(path, first.content)]
    return (*image.shell(), first.content), []


def _history(image: StageImage, argv: Sequence[str]) -> str:
    """Return what the image's history says: BuildKit puts the ARGs and their number first."""
    environment = image.environment()
    shown = [f"{name}={environment.get(name, '')}" for name, _ in image.args]
    counted = [f"|{len(shown)}", *shown] if shown else []
    return " ".join(["RUN", *counted, *argv])


def _network(asked: str, default: str) -> str:
    return asked if asked not in ("", "default") else default


def _refused(command: Run, status: ExitStatus) -> RuntimeFailure:
    return RuntimeFailure(f"{one_line(command.place.text)}: {status}", code=1)
