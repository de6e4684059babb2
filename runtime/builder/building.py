"""One build from its request to the image with its names: the door to this package.

`runtime.cli.images.build` calls it.  Reads the context and the Dockerfile, decides which stages the
target needs, has them built (`runtime.builder.executor`), writes the image.
"""

from __future__ import annotations

import io
import sys
import time

from runtime.builder import entitlements, failures
from runtime.builder.executor import Executor
from runtime.builder.job import BuildStore, Job, check_platform
from runtime.builder.sources import context as contexts
from runtime.dockerfile import commands, graph, parser, predefined
from runtime.linux.failpoints import reached
from runtime.model import timestamp
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import image_config as model
from runtime.model.image import reference
from runtime.store import events, host
from runtime.store.layers import Pin
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.build_progress import BuildProgress
    from runtime.builder.job import BuildRequest
    from runtime.builder.sources.context import Context
    from runtime.builder.stage_image import StageImage
    from runtime.dockerfile.commands import Dockerfile
    from runtime.store.images import Image
    from runtime.store.layout import Layout


def build(layout: Layout, request: BuildRequest, progress: BuildProgress) -> Image:
    """Build what *request* asks for and return the image.

    Raises:
        RuntimeFailure: what cannot be done, with the place in the Dockerfile; code 1.
    """
    try:
        return _build(BuildStore(layout), request, progress)
    except RuntimeFailure as failure:
        failure.code = 1
        raise


def _build(store: BuildStore, request: BuildRequest, progress: BuildProgress) -> Image:
    downloads = store.cache.downloads
    dockerfile_option = request.dockerfile or None
    stdin = sys.stdin.buffer if sys.stdin is not None else io.BytesIO()  # it may be closed
    with contexts.open_context(request.where, dockerfile_option, stdin, store=downloads) as context:
        text = context.dockerfile
        with failures.located(context.dockerfile_name, text):
            dockerfile = parser.parse(text)
            job = _plan(store, request, context, dockerfile)
            for warning in dockerfile.warnings:
                progress.remark(warning)
            for name in sorted(set(request.build_args) - _known_args(job)):
                progress.remark(_unused(name, _known_args(job)))
            with Pin() as pin:
                built = Executor(job, progress, pin).run()
                return _write(job, progress, built)


def _plan(
    store: BuildStore, request: BuildRequest, context: Context, dockerfile: Dockerfile
) -> Job:
    """Find out which stages are needed; refuse other platforms than this machine's."""
    mine = f"linux/{host.architecture()}"
    check_platform(request.platform, mine)
    plan = graph.target_stages(
        dockerfile, request.target, request.build_args, predefined.platform_args(mine, mine)
    )
    for node in plan.stages:
        with failures.at(node.stage.start.place):
            check_platform(node.platform, mine)
        for command in node.stage.commands:
            if isinstance(command, commands.Run):
                with failures.at(command.place):
                    entitlements.check(command, request)
    return Job(store, request, context, dockerfile, plan=plan, platform=mine)


def _known_args(job: Job) -> set[str]:
    """Return the names that --build-arg may give a value to."""
    declared = [*job.dockerfile.args]
    for stage in job.dockerfile.stages:
        declared += [each for each in stage.commands if isinstance(each, commands.Arg)]
    names = {pair.key for arg in declared for pair in arg.pairs}
    return names | set(job.global_args) | set(predefined.PROXIES) | {"SOURCE_DATE_EPOCH"}


def _unused(name: str, known: set[str]) -> str:
    near = closest(name, sorted(known))
    guess = f"; did you mean '{near}'?" if near else ""
    return f"warning: --build-arg {name}: the Dockerfile has no such ARG{guess}"


def _write(job: Job, progress: BuildProgress, built: StageImage) -> Image:
    """Make the image of what the target has become and give it its names."""
    begun = time.monotonic()
    request, images = job.request, job.store.images
    config = built.config
    if request.labels:
        config = config.replace(labels={**config.labels, **request.labels})
    now = time.time()
    if not config.created:
        config = config.replace(created=timestamp.render(float(request.epoch or now)))
    reached("builder-writes")
    document = model.to_json(config)
    names = [reference.parse(name).familiar for name in request.tags]
    image = images.find(digests.digest_of(document))
    if image is None or not set(names) <= set(image.names):
        image = images.add(document, request.tags, now=now, is_host=built.is_host)
        for name in names:
            events.emit(job.store.layout, "image", "tag", image.id, {"name": name})
    reached("builder-wrote")
    progress.exported(image.id, names, time.monotonic() - begun)
    return image
