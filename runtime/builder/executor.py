"""The builder: forks a worker a stage, answers what they ask, makes the image of what they made.

All stages that the target needs run at once; a stage that needs another one's files asks for them
and waits.  This process holds the layers until an image names them, and tells `progress` what
happens.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
from contextlib import suppress

from runtime.builder import bases, messages, worker
from runtime.linux.failpoints import reached
from runtime.linux.wakeup import WakeUp
from runtime.model.errors import RuntimeFailure
from runtime.store.layers import Pin
from runtime.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.build_progress import BuildProgress
    from runtime.builder.job import Job
    from runtime.builder.stage_image import StageImage

_READ = 1 << 16
_WAKE = 100  # milliseconds between two looks at the clock, while somebody watches


class _Stage:
    """One worker, as the builder sees it."""

    def __init__(self, number: int, pid: int, sock: _socket.socket) -> None:
        self.number = number
        self.pid = pid
        self.sock = sock
        self.reader = frames.FrameReader()
        self.image: StageImage | None = None
        self.waits_for: int | None = None  # the stage whose files it has asked for
        self.over = False

    def send(self, frame: bytes) -> None:
        """Send a frame; a worker that was killed shows when it is listened to."""
        with suppress(BrokenPipeError):
            self.sock.sendall(frame)

    def receive(self) -> bytes:
        """Return some of what it says, nothing at its end."""
        with suppress(ConnectionResetError):  # killed with an answer unread
            return self.sock.recv(_READ)
        return b""


class Failed(RuntimeFailure):
    """A stage that could not be built: which instruction it was."""

    def __init__(self, failure: RuntimeFailure, first: int, last: int) -> None:
        super().__init__(failure.message, failure.hint, failure.code)
        self.first = first  # lines of the Dockerfile
        self.last = last


class Executor:
    """One build, until `close`."""

    def __init__(self, job: Job, progress: BuildProgress, pin: Pin) -> None:
        self._job = job
        self._progress = progress
        self._pin = pin
        self._layers = job.store.layers
        self._bases = bases.Bases(job, progress, pin)
        self._stages: dict[int, _Stage] = {}
        self._by_fd: dict[int, _Stage] = {}
        self._poll = select.poll()
        self._failure: Failed | None = None

    def run(self) -> StageImage:
        """Build the stages and return what the target has become.

        Raises:
            Failed: an instruction could not be carried out.
        """
        with WakeUp() as wakeup:
            self._poll.register(wakeup.fd, select.POLLIN)
            try:
                for number in self._job.needed:
                    self._start(number)
                self._loop(wakeup)
            finally:
                self._end()
        if self._failure is not None:
            raise self._failure
        image = self._stages[self._job.target].image
        assert image is not None  # no stage failed
        return image

    def _start(self, number: int) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        others = [ours.fileno(), *(each.sock.fileno() for each in self._stages.values())]
        pid = worker.start(self._job, number, theirs, others)
        theirs.close()
        reached("builder-forked")
        self._stages[number] = self._by_fd[ours.fileno()] = _Stage(number, pid, ours)
        self._poll.register(ours, select.POLLIN)

    def _loop(self, wakeup: WakeUp) -> None:
        """Listen to the workers until all have said how it went, or one has failed."""
        while self._failure is None and any(not each.over for each in self._stages.values()):
            for fd, _ in self._poll.poll(_WAKE if self._progress.is_live else None):
                if fd == wakeup.fd:
                    wakeup.drain()
                    continue
                self._hear(self._by_fd[fd])
                if self._by_fd[fd].over:
                    self._poll.unregister(fd)
            self._progress.tick()

    def _hear(self, stage: _Stage) -> None:
        data = stage.receive()
        if not data and not stage.over:
            raise _gone(stage)
        for kind, body in stage.reader.feed(data):
            self._message(stage, kind, body)

    def _message(self, stage: _Stage, kind: int, body: bytes) -> None:
        number, progress = stage.number, self._progress
        if kind == messages.OUTPUT:
            output = messages.decode_output(body)
            progress.output((number, output.step), output.stream, output.data)
        elif kind == messages.STARTED:
            said = messages.decode(body)
            progress.started((number, said["step"]), self._job.title(number), said)
        elif kind == messages.FINISHED:
            said = messages.decode(body)
            progress.finished((number, said["step"]), said["seconds"], cached=said["cached"])
        elif kind == messages.WANTED:
            self._answer(stage, messages.decode(body))
        elif kind == messages.RESULT:
            self._take(stage, body)
        elif kind == messages.REMARK:
            progress.remark(body.decode())
        elif kind == messages.FAILED:
            failure, said = messages.decode_failure(body)
            progress.failed((number, said["step"]), failure.message)
            stage.over = True
            self._failure = Failed(failure, said["first"], said["last"])

    def _answer(self, stage: _Stage, wanted: dict[str, object]) -> None:
        reached("builder-answers")
        if "stage" in wanted:
            number = wanted["stage"]
            assert isinstance(number, int)
            if number not in self._stages:  # an image's ONBUILD copies from it, nothing else does
                self._start(number)
            stage.waits_for = number
            self._serve(stage)
            return
        try:
            image, image_id = self._bases.find(str(wanted["image"]))
        except RuntimeFailure as failure:
            stage.send(messages.encode_failure(messages.REFUSED, failure))
        else:
            stage.send(messages.encode_image(messages.ANSWER, image, image_id=image_id))

    def _serve(self, stage: _Stage) -> None:
        """Give *stage* the files it waits for, if they are there."""
        if stage.waits_for is None:
            return
        image = self._stages[stage.waits_for].image
        if image is not None:
            stage.waits_for = None
            stage.send(messages.encode_image(messages.ANSWER, image))

    def _take(self, stage: _Stage, body: bytes) -> None:
        """Hold the layers that a stage has made, and let those have them that wait for it."""
        reached("builder-hears-result")
        stage.image, _ = messages.decode_image(body)
        for layer in stage.image.layers:
            self._layers.hold(layer, self._pin)
        stage.over = True
        for other in self._stages.values():
            self._serve(other)

    def _end(self) -> None:
        """Let the workers go; those that are still at it clear up first."""
        for stage in self._stages.values():
            if not stage.over:
                with suppress(ProcessLookupError):  # it was killed
                    os.kill(stage.pid, _signal.SIGTERM)
            stage.sock.close()
        for stage in self._stages.values():
            os.waitpid(stage.pid, 0)


def _gone(stage: _Stage) -> RuntimeFailure:
    """Return what to say of a worker that went without a word; it stays to be reaped."""
    ended = os.waitid(os.P_PID, stage.pid, os.WEXITED | os.WNOWAIT)
    what = f"the process that built stage {stage.number}"
    if ended is not None and ended.si_code == os.CLD_EXITED:  # a fault of ours: it would be again
        return RuntimeFailure(
            f"{what} failed: this is a bug of runtime", "please report it with the lines above", 1
        )
    return RuntimeFailure(f"{what} was killed", "build it again", code=1)
