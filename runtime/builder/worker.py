"""The process that builds one stage: instruction after instruction, a layer a step.

Forked by `runtime.builder.executor`; it has a mount namespace of its own, talks to the builder over
one socket and ends with it.  What it needs of other stages it asks for.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import os
import sys
import time

from runtime.builder import cache_keys, host_stamp, messages
from runtime.builder import stage_image as drafts
from runtime.builder.job import check_platform
from runtime.builder.messages import BuilderChannel
from runtime.builder.steps import context_mount, steps
from runtime.builder.steps.sandbox import Sandbox
from runtime.dockerfile import commands, expand, graph, parser, predefined
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.linux.failpoints import reached
from runtime.model.errors import RuntimeFailure
from runtime.store.layers import Pin
from runtime.wire import frames
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
    """One stage."""

    def __init__(self, job: Job, number: int, channel: BuilderChannel) -> None:
        self.job = job
        self.number = number
        self.node = job.stages[number]
        self.channel = channel
        self.sandbox = Sandbox(job.layout)
        self.pin = Pin()
        self.draft = drafts.scratch("")
        self.step = 0  # of those that are shown
        self.total = 0
        self._line = job.stages[number].stage.start.place
        self._views: dict[str, tuple[tuple[str, ...], str]] = {}
        self._context: dict[str, tuple[str, str]] = {}
        self._triggered: dict[str, int] = {}  # stages that ONBUILD copies from, by --from

    def run(self) -> None:
        """Build the stage, say how it went, and stay until the builder has what it needs."""
        try:
            try:
                self._stage()
            finally:
                self.sandbox.close()
        except DockerfileError as problem:  # it knows no more of the place than we do
            self._fail(RuntimeFailure(problem.what, problem.hint, 1))
        except RuntimeFailure as failure:
            self._fail(failure)
        except OSError as error:
            where = f" '{error.filename}'" if error.filename else ""
            self._fail(RuntimeFailure(f"{error.strerror or error}{where}", code=1))
        else:
            self.channel.send(messages.encode_draft(messages.RESULT, self.draft))
        self.channel.wait_for_end()

    def _fail(self, failure: RuntimeFailure) -> None:
        place = self._line
        frame = messages.encode_failure(
            messages.FAILED, failure, first=place.first_line, last=place.last_line, step=self.step
        )
        self.channel.send(frame)

    def _stage(self) -> None:
        stage = self.node.stage
        check_platform(self.node.platform, self.job.platform)
        begun = time.monotonic()
        base, onbuild = self._base()
        triggers = [parser.parse_onbuild(text, self._line) for text in onbuild]
        self._triggered = graph.triggered(self.job.dockerfile, triggers, self.number)
        all_commands = (*triggers, *stage.commands)
        self.total = 1 + sum(isinstance(each, _FILES) for each in all_commands)
        self.begin_step(f"FROM {self._base_name()}")
        self.end_step(begun, cached=False)
        self.draft = drafts.begin(base)
        for each in all_commands:
            self._line = each.place
            self._command(each)
            reached("build-instruction-done")

    def _base(self) -> tuple[StageImage, tuple[str, ...]]:
        """Return what the stage starts from, and the instructions it has for us."""
        node = self.node
        if node.base is None and node.image == "scratch":
            return drafts.scratch(self.job.architecture), ()
        base = self.other(node.base, node.image)
        return base, base.config.onbuild

    def _base_name(self) -> str:
        return self.node.stage.start.image if self.node.base is not None else self.node.image

    def other(self, stage: int | None, name: str) -> StageImage:
        """Return the draft of another stage, or of the image *name*; its layers are held."""
        question = {"image": name} if stage is None else {"stage": stage}
        found, _ = self.channel.ask(question)
        for layer in found.layers:
            steps.layers(self).hold(layer, self.pin)
        return found

    def _command(self, command: Command) -> None:
        if isinstance(command, commands.Arg):
            self._declare(command)
            return
        environment = self.draft.environment()
        expansion = expand.Expansion(environment, self.job.dockerfile.escape)
        expanded = expansion.command(command)
        unset = expansion.unset - {name for name, _ in self.draft.args}
        for warning in predefined.undefined(command.place, unset, environment):
            self.remark(warning)
        if isinstance(expanded, _FILES):
            steps.carry_out(self, expanded)
        else:
            changed, text = drafts.apply(self.draft, expanded)
            self.draft = drafts.with_history(changed, text, self.created())

    def _declare(self, command: commands.Arg) -> None:
        pairs = expand.declared(
            command,
            self.draft.environment(),
            given=self.job.request.build_args,
            outer=self.job.global_args,
            escape=self.job.dockerfile.escape,
        )
        shown = " ".join(key if value is None else f"{key}={value}" for key, value in pairs)
        changed = drafts.declare(self.draft, pairs)
        self.draft = drafts.with_history(changed, f"ARG {shown}", self.created())

    # -- what the steps ask for

    def view(self, from_: str) -> tuple[tuple[str, ...], str]:
        """Return (directories top first, what stands for them in a key) of a stage or image."""
        if from_ not in self._views:
            stage = self._triggered.get(from_, self.node.source(from_))
            found = self.other(stage, from_)
            stamp = host_stamp.stamp() if found.is_host else ""
            shown = cache_keys.below(found.layers, platform=self.job.platform, machine=stamp)
            self._views[from_] = self.sandbox.lowers(found), shown
        return self._views[from_]

    def context_files(self, source: str) -> tuple[str, str]:
        """Return (a directory of the host with *source* of the context, what stands for it)."""
        if source not in self._context:
            self._context[source] = context_mount.materialize(self, source)
        return self._context[source]

    def created(self) -> str:
        """Return the time for the history of an instruction that makes no files.

        That of the last one that did: so a build that finds all in the cache gives the same image.
        """
        return self.draft.config.created or steps.now(self)

    # -- what the steps tell

    def remark(self, text: str) -> None:
        """Say something worth a line."""
        self.channel.send(frames.encode(messages.REMARK, text.encode(errors="replace")))

    def begin_step(self, text: str) -> None:
        """Say that the next step begins."""
        self.step += 1
        self.channel.send(messages.encode_started(self.step, self.total, text))

    def end_step(self, begun: float, *, cached: bool) -> None:
        """Say that it is done; *begun* is on the monotonic clock."""
        self.channel.send(messages.encode_finished(self.step, time.monotonic() - begun, cached))

    def output(self, stream: int, data: bytes) -> None:
        """Pass on what a step's command wrote."""
        self.channel.send(messages.encode_output(self.step, stream, data))
