"""A real relay on a real loop, with pipes in the place of the container's stdout and stderr."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from typing import TYPE_CHECKING

from supervise.daemon.logs.console import Console
from supervise.daemon.logs.relay import LogRelay
from supervise.model.service import LogSettings, ServiceSpec
from tests.support import descriptors
from tests.support.loops import running_loop, turn_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from supervise.daemon.loop import Loop
    from supervise.model.announcement import Announcement


class Stage:
    """What a test sees of a relay: two pipes to read, announcements, the relay itself."""

    def __init__(self, loop: Loop, environment: Mapping[str, str]) -> None:
        self.loop = loop
        self.announcements: list[Announcement] = []
        self._read = {}
        self._write = {}
        for stream in ("stdout", "stderr"):
            self._read[stream], self._write[stream] = os.pipe()
            os.set_blocking(self._read[stream], False)
        self.console = Console(loop, self._write["stdout"], self._write["stderr"], environment)
        self.relay = LogRelay(loop, self.console, self._announce)

    def configure(self, **logs: LogSettings) -> None:
        """Tell the relay of services by name, in order."""
        self.relay.configure(specs(**logs))

    def pipe(self, service: str, stream: str = "stdout", pid: int = 1) -> int:
        """Return the end a process of *service* would write to."""
        read_fd, write_fd = os.pipe()
        self.relay.adopt(service, stream, pid, read_fd)
        return write_fd

    def say(self, service: str, data: bytes, stream: str = "stdout", pid: int = 1) -> None:
        """Be a process that writes *data* and ends, up to the end of file."""
        write_fd = self.pipe(service, stream, pid)
        os.write(write_fd, data)
        os.close(write_fd)
        channel = self.relay._channels[service]
        sources = list(channel.sources)
        turn_until(self.loop, lambda: sources[-1] not in channel.sources)

    def read(self, stream: str = "stdout", size: int = 1 << 20) -> bytes:
        """Return what has come out of the console so far."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._read[stream], size)
        return b""

    def poll(self) -> None:
        """Let the loop do what is due, without sleeping."""
        self.loop._running = False
        self.loop.turn()

    def names(self) -> list[str]:
        """Return the names of what was announced so far."""
        return [announcement.name for announcement in self.announcements]

    def close_reader(self, stream: str = "stdout") -> None:
        """Be a log driver that went away."""
        os.close(self._read.pop(stream))

    def close(self) -> None:
        """End the relay without waiting and close the pipes."""
        self.relay.finish(self.loop.now())
        for name in list(self.relay._channels):
            self.relay.forget(name)
        for source in self.relay._leaving:  # their reader has not caught up
            source.close()
        self.relay._leaving.clear()
        self.relay._settle_files()
        self.console.close()
        for fd in (*self._read.values(), *self._write.values()):
            os.close(fd)

    def _announce(self, announcement: Announcement) -> None:
        self.announcements.append(announcement)
        self.relay.event(announcement, time.time())


def specs(**logs: LogSettings) -> dict[str, ServiceSpec]:
    """Return services that differ in nothing but their logs."""
    return {name: ServiceSpec(name, ("true",), logs=logs[name]) for name in logs}


@contextlib.contextmanager
def staged(environment: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Yield a stage; a fault in any callback fails the test, and so does a leaked descriptor."""
    with descriptors.none_left(), running_loop() as loop:
        stage = Stage(loop, environment or {})
        yield stage
        stage.close()


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond *size* bytes: EFBIG, as a full disk gives ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
