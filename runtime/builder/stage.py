"""One stage in the making, as its instructions see it: the image so far, and what they may use.

`runtime.builder.worker` makes it and sets the image that each instruction returns.  The
instructions (`runtime.builder.steps`) read it, ask it for what other stages have, and tell it
what a person who watches should see.
"""

from __future__ import annotations

import time

from runtime.builder import cache_keys, host_stamp, messages, stage_image
from runtime.builder.steps import context_mount
from runtime.builder.steps.sandbox import Sandbox
from runtime.model import timestamp
from runtime.store.layers import Pin
from runtime.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.job import Job
    from runtime.builder.messages import BuilderChannel
    from runtime.builder.stage_image import StageImage


class BuildStage:
    """One stage, until its sandbox is closed."""

    def __init__(self, job: Job, number: int, channel: BuilderChannel) -> None:
        self.job = job
        self.node = job.stages[number]
        self.sandbox = Sandbox(job.store.layout, job.store.images)
        self.layers = job.store.layers
        self.cache = job.store.cache
        self.pin = Pin()  # holds the layers of this stage and of those it copies from
        self.image = stage_image.scratch("")
        self.triggered: dict[str, int] = {}  # stages that ONBUILD copies from, by --from
        self.step = 0  # of those that are shown
        self.total = 0
        self._channel = channel
        self._views: dict[str, tuple[tuple[str, ...], str]] = {}
        self._context_files: dict[str, tuple[str, str]] = {}

    # -- what the instructions ask for

    def other(self, stage: int | None, name: str) -> StageImage:
        """Return the image of another stage, or the image *name*; its layers are held."""
        question = {"image": name} if stage is None else {"stage": stage}
        image, _ = self._channel.ask(question)
        for layer in image.layers:
            self.layers.hold(layer, self.pin)
        return image

    def view(self, from_: str) -> tuple[tuple[str, ...], str]:
        """Return (directories top first, what stands for them in a key) of a stage or image."""
        if from_ not in self._views:
            number = self.triggered.get(from_, self.node.source(from_))
            image = self.other(number, from_)
            self._views[from_] = self.sandbox.lowers(image), self._key_of(image)
        return self._views[from_]

    def context_files(self, source: str) -> tuple[str, str]:
        """Return (a directory of the host with *source* of the context, its digest)."""
        if source not in self._context_files:
            self._context_files[source] = context_mount.materialize(
                source, self.job.context.tree, self.sandbox, epoch=self.job.request.epoch
            )
        return self._context_files[source]

    def below_key(self) -> str:
        """Return what stands for the files below the next step in its key."""
        return self._key_of(self.image)

    def _key_of(self, image: StageImage) -> str:
        stamp = host_stamp.stamp() if image.is_host else ""
        return cache_keys.below(image.layers, platform=self.job.platform, machine=stamp)

    def now(self) -> str:
        """Return the time that this build writes into what it makes."""
        epoch = self.job.request.epoch
        return timestamp.render(time.time() if epoch is None else float(epoch))

    def created(self) -> str:
        """Return the time for the history of an instruction that makes no files.

        That of the last one that did: so a build that finds all in the cache gives the same image.
        """
        return self.image.config.created or self.now()

    # -- what the instructions tell

    def remark(self, text: str) -> None:
        """Say something worth a line."""
        self._channel.send(frames.encode(messages.REMARK, text.encode(errors="replace")))

    def begin_step(self, text: str) -> None:
        """Say that the next step begins."""
        self.step += 1
        self._channel.send(messages.encode_started(self.step, self.total, text))

    def end_step(self, begun: float, *, cached: bool) -> None:
        """Say that it is done; *begun* is on the monotonic clock."""
        self._channel.send(messages.encode_finished(self.step, time.monotonic() - begun, cached))

    def output(self, stream: int, data: bytes) -> None:
        """Pass on what a step's command wrote."""
        self._channel.send(messages.encode_output(self.step, stream, data))
