"""The process that builds one stage: instruction after instruction, a layer a step.

Forked by `runtime.builder.executor`; it has a mount namespace of its own, talks to the builder over
one socket and ends with it.  What its instructions may use is in `runtime.builder.stage`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import os
import sys
import time

from runtime.builder import messages, stage_image
from runtime.builder.job import check_platform
from runtime.builder.messages import BuilderChannel
from runtime.builder.stage import BuildStage
from runtime.builder.steps import run_step, workdir_step
from runtime.dockerfile import commands, expand, graph, parser, predefined
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.linux.failpoints import reached
from runtime.model.errors import RuntimeFailure
from supervise.linux import prctl
from supervise.model import unexpected

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import NoReturn

    from runtime.builder.job import Job
    from runtime.builder.stage_image import StageImage
    from runtime.dockerfile.commands import Command

_DEBUG = "RUNTIME_DEBUG"
_PR_SET_PDEATHSIG = 1  # see PR_SET_PDEATHSIG(2const)
_FILES = (commands.Run, commands.Copy, commands.Workdir)  # instructions that are steps


def start(job: Job, number: int, sock: _socket.socket, others: list[int]) -> int:
    """Fork the worker of stage *number* and return its pid; it closes the descriptors *others*."""
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        _become(job, number, sock, others)
    return pid


def _become(job: Job, stage: int, sock: _socket.socket, others: list[int]) -> NoReturn:
    code = 1
    try:
        _signal.set_wakeup_fd(-1)  # the builder's
        for number in (_signal.SIGINT, _signal.SIGHUP):  # a terminal's, for the whole group
            _signal.signal(number, _signal.SIG_IGN)  # the builder hears it and tells us
        _signal.signal(_signal.SIGTERM, _stop)
        prctl.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL)
        for fd in others:
            os.close(fd)
        Worker(job, stage, BuilderChannel(sock)).run()
        code = 0
    except (KeyboardInterrupt, BrokenPipeError, EOFError):
        code = 130  # the builder has given up, and so do we
    except Exception as error:  # noqa: BLE001 - a fault of ours, told here: the builder's frames end here
        if os.environ.get(_DEBUG):
            sys.excepthook(*sys.exc_info())
        sys.stderr.write(unexpected.describe("runtime", error, _DEBUG))
    finally:
        os._exit(code)


def _stop(_number: int, _frame: object) -> None:
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)  # once: clearing up is not to be cut short
    raise KeyboardInterrupt


class Worker:
    """The builder of one stage: carries out its instructions in order and says how it went."""

    def __init__(self, job: Job, number: int, channel: BuilderChannel) -> None:
        self._job = job
        self._number = number
        self._channel = channel
        self._stage = BuildStage(job, number, channel)
        self._place = job.stages[number].stage.start.place  # of the instruction that is at work

    def run(self) -> None:
        """Build the stage, say how it went, and stay until the builder has what it needs."""
        try:
            try:
                self._build()
            finally:
                self._stage.sandbox.close()
        except DockerfileError as problem:  # it knows no more of the place than we do
            self._fail(RuntimeFailure(problem.what, problem.hint, 1))
        except RuntimeFailure as failure:
            self._fail(failure)
        except OSError as error:
            where = f" '{error.filename}'" if error.filename else ""
            self._fail(RuntimeFailure(f"{error.strerror or error}{where}", code=1))
        else:
            self._channel.send(messages.encode_image(messages.RESULT, self._stage.image))
        self._channel.wait_for_end()

    def _fail(self, failure: RuntimeFailure) -> None:
        place, step = self._place, self._stage.step
        frame = messages.encode_failure(
            messages.FAILED, failure, first=place.first_line, last=place.last_line, step=step
        )
        self._channel.send(frame)

    def _build(self) -> None:
        stage, node = self._stage, self._stage.node
        check_platform(node.platform, self._job.platform)
        begun = time.monotonic()
        base, onbuild = self._base()
        triggers = [parser.parse_onbuild(text, self._place) for text in onbuild]
        stage.triggered = graph.triggered(self._job.dockerfile, triggers, self._number)
        all_commands = (*triggers, *node.stage.commands)
        stage.total = 1 + sum(isinstance(each, _FILES) for each in all_commands)
        stage.begin_step(f"FROM {self._base_name()}")
        stage.end_step(begun, cached=False)
        stage.image = stage_image.begin(base)
        for each in all_commands:
            self._place = each.place
            stage.image = self._command(each)
            reached("build-instruction-done")

    def _base(self) -> tuple[StageImage, tuple[str, ...]]:
        """Return what the stage starts from, and the instructions it has for us."""
        node = self._stage.node
        if node.base is None and node.image == "scratch":
            return stage_image.scratch(self._job.architecture), ()
        base = self._stage.other(node.base, node.image)
        return base, base.config.onbuild

    def _base_name(self) -> str:
        node = self._stage.node
        return node.stage.start.image if node.base is not None else node.image

    def _command(self, command: Command) -> StageImage:
        """Carry out one instruction; return the changed image."""
        stage = self._stage
        if isinstance(command, commands.Arg):
            return self._declare(command)
        environment = stage.image.environment()
        expansion = expand.Expansion(environment, self._job.dockerfile.escape)
        expanded = expansion.command(command)
        unset = expansion.unset - {name for name, _ in stage.image.args}
        for warning in predefined.undefined(command.place, unset, environment):
            stage.remark(warning)
        if isinstance(expanded, _FILES):
            return _carry_out(stage, expanded)
        changed, text = stage_image.apply(stage.image, expanded)
        return stage_image.with_history(changed, text, stage.created())

    def _declare(self, command: commands.Arg) -> StageImage:
        image = self._stage.image
        pairs = expand.declared(
            command,
            image.environment(),
            given=self._job.request.build_args,
            outer=self._job.global_args,
            escape=self._job.dockerfile.escape,
        )
        shown = " ".join(key if value is None else f"{key}={value}" for key, value in pairs)
        changed = stage_image.declare(image, pairs)
        return stage_image.with_history(changed, f"ARG {shown}", self._stage.created())


def _carry_out(
    stage: BuildStage, command: commands.Run | commands.Copy | commands.Workdir
) -> StageImage:
    """Do one instruction that makes files; return the changed image.

    Raises:
        RuntimeFailure: it cannot be done.
    """
    if isinstance(command, commands.Run):
        return run_step.carry_out(stage, command)
    if isinstance(command, commands.Workdir):
        return workdir_step.carry_out(stage, command)
    from runtime.builder.steps import copy_step  # with all that fetches and unpacks

    return copy_step.carry_out(stage, command)
