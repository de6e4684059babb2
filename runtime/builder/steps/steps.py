"""The instructions that make files: RUN, COPY, ADD, WORKDIR.  From the cache, else carried out.

A step's files become a layer as the overlay's upper directory has them.  What is kept in the
cache is which layer the step made, under all that the step depended on (`runtime.builder.cache_keys`).
"""

from __future__ import annotations

import os
import posixpath
import time

from runtime.builder import cache_keys, entitlements, host_stamp
from runtime.builder import stage_image as drafts
from runtime.builder.build_progress import one_line
from runtime.builder.files import destination, owners
from runtime.builder.steps import run_mounts
from runtime.dockerfile import commands, heredocs, predefined
from runtime.linux.failpoints import reached
from runtime.model import timestamp
from runtime.model.errors import RuntimeFailure
from runtime.store.build_cache import CachedStep, Steps
from runtime.store.layers import Layers
from supervise.model.exitstatus import Exited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.builder.worker import Worker
    from runtime.dockerfile.commands import Command, Run, Workdir
    from supervise.model.exitstatus import ExitStatus

_PIPES = "/dev/pipes"  # where BuildKit has heredocs that are programs


def now(worker: Worker) -> str:
    """Return the time that this build writes into what it makes."""
    epoch = worker.job.request.epoch
    return timestamp.render(time.time() if epoch is None else float(epoch))


def layers(worker: Worker) -> Layers:
    """Return the store's layers."""
    return Layers(worker.job.layout)


def carry_out(worker: Worker, command: Command) -> None:
    """Do one instruction that makes files; the worker's draft has it afterwards.

    Raises:
        RuntimeFailure: it cannot be done.
    """
    if isinstance(command, commands.Run):
        _run(worker, command)
    elif isinstance(command, commands.Workdir):
        _working_dir(worker, command)
    else:
        assert isinstance(command, commands.Copy)
        from runtime.builder.steps import copy_step

        copy_step.carry_out(worker, command)


def below_key(worker: Worker) -> str:
    """Return what stands for the files below the step in its key."""
    return cache_keys.below(
        worker.draft.layers,
        platform=worker.job.platform,
        machine=host_stamp.stamp() if worker.draft.is_host else "",
    )


def layered(
    worker: Worker,
    keys: Sequence[Callable[[], str]],
    text: str,
    make: Callable[[Sequence[str], str], None],
    shown: str,
) -> None:
    """Do one step, or take it from the cache.

    *keys* are asked for in order until the cache has one, the cheap before the dear.  *make* gets
    (directories below, top first; the step's directory) and fills ``upper``.  *text* is for the
    image's history, *shown* for a person who watches.
    """
    begun = time.monotonic()
    worker.begin_step(shown)
    known, asked, step = Steps(worker.job.layout), [], None
    for make_key in keys:
        asked.append(make_key())
        step = None if worker.job.request.no_cache else known.find(asked[-1])
        if step is not None and step.layer and layers(worker).hold(step.layer, worker.pin) is None:
            step = None  # its layer was removed
        if step is not None:
            break
    cached = step is not None
    if step is None:
        step = _make(worker, shown, make, begun)
        reached("build-layer-made")
    for key in asked[:-1] if cached else asked:
        known.keep(key, step)
    worker.draft = drafts.with_history(worker.draft, text, step.created, layer=step.layer)
    worker.end_step(begun, cached=cached)


def _make(
    worker: Worker, shown: str, make: Callable[[Sequence[str], str], None], begun: float
) -> CachedStep:
    lowers = worker.sandbox.lowers(worker.draft)
    with worker.sandbox.step(lowers) as directory:
        reached("build-step-begun")
        make(lowers, directory)
        reached("build-step-done")
        step = CachedStep(created=now(worker), text=shown)
        upper = f"{directory}/upper"
        if os.listdir(upper):
            epoch = worker.job.request.epoch
            meta = layers(worker).adopt(upper, worker.pin, latest=epoch)
            if meta.entries:
                step = step.replace(layer=meta.diff_id, size=meta.size)
        return step.replace(seconds=round(time.monotonic() - begun, 3))


def _working_dir(worker: Worker, command: Workdir) -> None:
    changed, text = drafts.with_working_dir(worker.draft, command.path)
    path, user = changed.config.working_dir, changed.config.user
    epoch = worker.job.request.epoch
    key = cache_keys.of_working_dir(below_key(worker), path=path, user=user, epoch=epoch)

    def make(lowers: Sequence[str], directory: str) -> None:
        with worker.sandbox.writable(lowers, directory) as root_fd:
            try:
                owner = owners.parse_owner(user, root_fd)
            except RuntimeFailure:  # USER may name one whom a later step makes
                owner = None
            where = destination.resolve(root_fd, os.fsencode(path))
            os.close(destination.make_directories(root_fd, where, owner))

    worker.draft = changed
    layered(worker, [lambda: key], text, make, text)


def _run(worker: Worker, command: Run) -> None:
    draft, request = worker.draft, worker.job.request
    entitlements.check(command, request)  # a base image's ONBUILD has it checked here first
    argv, script = _command(worker, command)
    proxies = predefined.proxies(request.build_args)
    environment = draft.environment()
    network = _network(command.network, request.network)
    key = cache_keys.of_run(
        below_key(worker),
        argv=argv,
        environment=environment,
        working_dir=draft.config.working_dir or "/",
        user=draft.config.user,
        network=network,
        hosts=request.hosts,
        mounts=[run_mounts.key(mount, draft, worker) for mount in command.mounts],
        files=script,
        epoch=request.epoch,
    )

    def make(lowers: Sequence[str], directory: str) -> None:
        from runtime.builder.steps import step_container  # with all that a container's start takes

        prepared = run_mounts.prepare(command.mounts, draft, worker.sandbox, worker, request.given)
        try:
            for target, content in script:
                run_mounts.add_file(prepared, worker.sandbox, target, content.encode())
            spec = step_container.specification(
                worker.sandbox,
                draft,
                argv=argv,
                environment={**proxies, **environment, **prepared.environment},
                mounts=tuple(prepared.mounts),
                network=network,
                hosts=request.hosts,
            )
            status = step_container.execute(worker.sandbox, spec, lowers, directory, worker.output)
        finally:
            prepared.close()
        if status != Exited(0):
            raise _refused(command, status)

    shown = [f"{name}={environment.get(name, '')}" for name, _ in draft.args]
    counted = [f"|{len(shown)}", *shown] if shown else []
    text = " ".join(["RUN", *counted, *argv])
    layered(worker, [lambda: key], text, make, command.place.text)


def _command(worker: Worker, command: Run) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return (what to execute, files that it needs) of RUN, its heredocs included."""
    line = command.line
    if not line.heredocs or not line.shell:
        return drafts.argv(worker.draft, line), []
    words = line.words[0]
    first = line.heredocs[0]
    if heredocs.parse(words.strip()) is None:  # a command that reads them: the shell's matter
        whole = words + "".join(f"\n{each.content}{each.name}" for each in line.heredocs)
        return (*worker.draft.shell(), whole), []
    if first.content.startswith("#!"):
        path = posixpath.join(_PIPES, first.name)
        return (*worker.draft.shell(), path), [(path, first.content)]
    return (*worker.draft.shell(), first.content), []


def _network(asked: str, default: str) -> str:
    return asked if asked not in ("", "default") else default


def _refused(command: Run, status: ExitStatus) -> RuntimeFailure:
    return RuntimeFailure(f"{one_line(command.place.text)}: {status}", code=1)
