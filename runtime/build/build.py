"""One build from its request to the image with its names: the door to this package.

`runtime.cli.build` calls it.  Reads the context and the Dockerfile, decides which stages the
target needs, has them built (`runtime.build.executor`), writes the image.
"""

from __future__ import annotations

import sys
import time

from runtime.build import context as contexts
from runtime.build import failures
from runtime.build.executor import Executor
from runtime.build.job import Job
from runtime.dockerfile import commands, expand, parser, predefined
from runtime.model import image as model
from runtime.model import reference, timestamp
from runtime.model.errors import RuntimeFailure
from runtime.model.suggest import closest
from runtime.store import host
from runtime.store.images import Images
from runtime.store.layers import Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.build.draft import Draft
    from runtime.build.job import Request
    from runtime.build.progress import Progress
    from runtime.dockerfile.commands import Command, Dockerfile
    from runtime.store.images import Image
    from runtime.store.layout import Layout


def build(layout: Layout, request: Request, progress: Progress) -> Image:
    """Build what *request* asks for and return the image.

    Raises:
        RuntimeFailure: what cannot be done, with the place in the Dockerfile; code 1.
    """
    for name in request.tags:
        reference.parse_tagged(name)
    with contexts.open_context(request.where, request.dockerfile, sys.stdin.fileno()) as context:
        text = context.dockerfile
        with failures.located(context.dockerfile_name, text):
            dockerfile = parser.parse(text)
            job = Job(layout, request, dockerfile, context)
            _prepare(job)
            for warning in dockerfile.warnings:
                progress.remark(warning)
            target = _target(dockerfile, request.target)
            with Pin() as pin:
                draft = Executor(job, progress, pin).run(_needed(job, target), target)
                return _write(job, progress, draft)


def _prepare(job: Job) -> None:
    """Fill in what all stages share: the platform, the global ARGs, what each FROM names."""
    mine = f"linux/{host.architecture()}"
    request = job.request
    job.platform = mine
    _check_platform(request.platform, mine)
    environment = predefined.platform_args(mine, mine)
    for arg in job.dockerfile.args:
        expanded = expand.expand_command(arg, environment, job.dockerfile.escape)
        for pair in expanded.pairs:
            value = request.build_args.get(pair.key, pair.value)
            if value is not None:
                environment[pair.key] = value
    job.global_args = environment
    for stage in job.dockerfile.stages:
        with failures.at(stage.start.place):
            start = expand.expand_command(stage.start, environment, job.dockerfile.escape)
            if not start.image:
                raise RuntimeFailure(
                    f"FROM {stage.start.image}: its variables leave no image's name",
                    "give the ARG before the first FROM a default, or --build-arg",
                    code=1,
                )
            _check_platform(start.platform, mine)
            job.bases.append(start.image)


def _check_platform(asked: str, mine: str) -> None:
    """Refuse to build for another machine than this one."""
    parts = asked.lower().split("/")
    if not asked or parts[:2] == mine.split("/") or parts == [mine.partition("/")[2]]:
        return
    raise RuntimeFailure(
        f"cannot build for '{asked}': this machine is {mine}, and nothing is emulated",
        f"leave out --platform, or build on such a machine; --platform {mine} is fine",
        code=1,
    )


def _target(dockerfile: Dockerfile, name: str) -> int:
    """Return the number of the stage to build."""
    stages = dockerfile.stages
    if not name:
        return len(stages) - 1
    for number, stage in enumerate(stages):
        if stage.start.name == name.lower():
            return number
    if name.isascii() and name.isdecimal() and int(name) < len(stages):
        return int(name)
    known = [stage.start.name for stage in stages if stage.start.name]
    near = closest(name.lower(), known)
    hint = f"did you mean '{near}'?" if near else f"its stages are {', '.join(known) or 'nameless'}"
    raise RuntimeFailure(f"--target: the Dockerfile has no stage '{name}'", hint, code=1)


def _needed(job: Job, target: int) -> list[int]:
    """Return the numbers of the stages that *target* is made of, itself included."""
    needed, todo = set(), [target]
    while todo:
        number = todo.pop()
        if number in needed:
            continue
        needed.add(number)
        found = [job.stage_named(job.bases[number], number)]
        for command in job.dockerfile.stages[number].commands:
            found += [job.source_named(name, number) for name in _sources(command)]
        todo += [each for each in found if each is not None]
    return sorted(needed)


def _sources(command: Command) -> list[str]:
    """Return what the ``--from`` options of an instruction name."""
    if isinstance(command, commands.Copy):
        return [command.from_] if command.from_ else []
    if isinstance(command, commands.Run):
        return [mount.from_ for mount in command.mounts if mount.from_]
    return []


def _write(job: Job, progress: Progress, draft: Draft) -> Image:
    """Make the image of *draft* and give it its names."""
    begun = time.monotonic()
    request, images = job.request, Images(job.layout)
    config = draft.config
    if request.labels:
        config = config.replace(labels={**config.labels, **request.labels})
    now = time.time()
    if not config.created:
        config = config.replace(created=timestamp.render(float(request.epoch or now)))
    image = images.add(model.to_json(config), request.tags, now=now, is_host=draft.is_host)
    names = [reference.parse(name).familiar for name in request.tags]
    progress.exported(image.id, names, time.monotonic() - begun)
    return image
