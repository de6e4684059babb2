"""RUN: one command in a container of the runtime's own, without PID 1 in front and no monitor.

The worker is the launcher: it relays the output, waits, and takes everything back.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import select
import time

from runtime.builder.steps import mount_points
from runtime.container.connection import NetworkConnection
from runtime.container.start.launch import Launch
from runtime.linux.failpoints import reached
from runtime.linux.wakeup import WakeUp
from runtime.model.container import compose
from runtime.model.container.spec import Spec
from supervise.linux import capabilities
from supervise.model.exitstatus import from_wait_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.builder.stage_image import StageImage
    from runtime.builder.steps.sandbox import Sandbox
    from runtime.container.start.setup import Setup
    from runtime.model.container.spec import Mount
    from supervise.model.exitstatus import ExitStatus

HOSTNAME = "build"  # the same in every build: programs write it into what they make
_CHUNK = 65536


class StepLaunch(Launch):
    """A launch on layers that are no image yet."""

    def __init__(self, sandbox: Sandbox, spec: Spec, lowers: Sequence[str]) -> None:
        network = NetworkConnection(sandbox.layout, spec)
        super().__init__(sandbox.layout, spec, network, now=time.time())
        self._sandbox = sandbox
        self._lowers = tuple(lowers)
        self.await_word = _hear_sigterm

    def _find_image(self, setup: Setup) -> None:
        setup.lowers = self._lowers
        setup.hidden = self._sandbox.hidden()
        setup.volatile = True  # a layer that is lost is made again


def _hear_sigterm(fd: int) -> None:
    """Wait until *fd* can be read, and let the builder end us: a start may hang."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    with WakeUp() as wakeup:
        poll.register(wakeup.fd, select.POLLIN)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGTERM,))
        try:
            while all(ready != fd for ready, _ in poll.poll()):
                wakeup.drain()
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))


def specification(
    sandbox: Sandbox,
    image: StageImage,
    *,
    argv: tuple[str, ...],
    environment: Mapping[str, str],
    mounts: tuple[Mount, ...],
    network: str,
    hosts: tuple[tuple[str, str], ...],
) -> Spec:
    """Return the container of one RUN; *environment* is all of it.

    Raises:
        RuntimeFailure: as `runtime.model.container.compose.compose`.
    """
    options = compose.RunOptions(
        entrypoint=(),
        command=argv,
        init=False,
        hostname=HOSTNAME,
        mounts=mounts,
        network=network,
        add_hosts=hosts,
    )
    spec = compose.compose(
        image.config.replace(volumes=(), exposed_ports=(), stop_signal=""),
        options,
        container_id=sandbox.id,
        name=HOSTNAME,
        image="",
        image_id="",
        known_capabilities=capabilities.NAMES,
        now=time.time(),
    )
    return spec.replace(environment=dict(environment))


def execute(
    sandbox: Sandbox,
    spec: Spec,
    lowers: Sequence[str],
    directory: str,
    tell: Callable[[int, bytes], None],
) -> ExitStatus:
    """Run the container on *lowers* and the ``upper`` in *directory*; return how it ended.

    *tell* gets its output as (1 or 2, bytes).  What mounts needed is taken out of ``upper``.

    Raises:
        RuntimeFailure: it cannot be started.
    """
    launch = StepLaunch(sandbox, spec, lowers)
    pipes = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    null_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    try:
        launch.run((null_fd, pipes[0][1], pipes[1][1]))
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
        for fd in (null_fd, pipes[0][1], pipes[1][1]):
            os.close(fd)
    reached("build-running")
    try:
        _relay({pipes[0][0]: 1, pipes[1][0]: 2}, tell)
        _, status = os.waitpid(launch.pid, 0)
        launch.pid = 0
    finally:
        launch.undo()
        for read_fd, _ in pipes:
            os.close(read_fd)
    reached("build-ran")
    mount_points.clear(directory, lowers, [mount.target for mount in spec.mounts])
    return from_wait_status(status)


def _relay(streams: Mapping[int, int], tell: Callable[[int, bytes], None]) -> None:
    """Pass on what comes until all ends are closed: nothing of the container runs any more."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    still = len(streams)
    with WakeUp() as wakeup:
        poll.register(wakeup.fd, select.POLLIN)
        while still:
            for fd, _ in poll.poll():
                if fd == wakeup.fd:
                    wakeup.drain()
                elif data := os.read(fd, _CHUNK):
                    tell(streams[fd], data)
                else:
                    poll.unregister(fd)
                    still -= 1
