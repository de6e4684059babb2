"""What the launcher decided and found on the host, for the child that becomes the container.

A plain object: it crosses fork(2), never a file.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from runtime.linux.cgroups import Group
    from runtime.model.container.spec import Mount, Spec


class Setup:
    """Everything `runtime.container.start.init` needs; descriptors are the child's to keep or lose."""

    def __init__(self, spec: Spec, channel: _socket.socket) -> None:
        self.spec = spec
        self.channel = channel  # to the launcher: see `init`
        self.argv: tuple[str, ...] = spec.argv  # with PID 1 in front
        self.environment: dict[str, str] = dict(spec.environment)
        self.lowers: tuple[str, ...] = ()  # top first
        self.extra_lower: tuple[str, ...] = ()  # the injected PID 1
        self.hidden: tuple[str, ...] = ()
        self.directory = ""  # the container's lasting directory
        self.merged = ""  # where the overlay is mounted, in the child's namespace alone
        self.mounts: list[Mount] = []  # what is asked for and our files for /etc, outer first
        self.sources: list[tuple[Mount, str]] = []  # its binds and volumes: what, host path
        self.shared_ipc: tuple[Mount, ...] = ()  # another's /dev/shm and /dev/mqueue
        self.ipc_mount_fd = -1  # the mount namespace they are in, when it is not the host's
        self.devices: list[tuple[str, int, int]] = []  # container path, mode, st_rdev
        self.cgroup: Group | None = None  # entered before a namespace of it is made
        self.unshare = 0  # CLONE_NEW…
        self.join: list[tuple[int, int]] = []  # (descriptor of a namespace, its CLONE_NEW…)
        self.stdin_fd = -1  # without a terminal: the container's three
        self.stdout_fd = -1
        self.stderr_fd = -1
        self.window: tuple[int, int] = (0, 0)  # rows, columns
        self.seccomp: bytes = b""  # a BPF program; empty for none
        self.capabilities = 0  # bit mask: bounding, and root's permitted and effective
        self.hold_signals = False  # PID 1 is ours and unblocks them itself
        self.user_namespace_fd = -1  # entered last
        self.id_shift = 0  # what the container's uid 0 is on the host
        self.foreign_programs = False  # binfmt_misc knows other machines
        self.volatile = False  # what is written need not survive a power failure

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors that the child needs; -1 among them is none."""
        stdio = (self.stdin_fd, self.stdout_fd, self.stderr_fd)
        others = (self.channel.fileno(), self.user_namespace_fd, self.ipc_mount_fd)
        return (*stdio, *others, *(fd for fd, _ in self.join))

    def close(self) -> None:
        """Give back, in the launcher, what was for the child alone."""
        for fd in (self.user_namespace_fd, self.ipc_mount_fd, *(fd for fd, _ in self.join)):
            if fd >= 0:
                os.close(fd)
        self.user_namespace_fd = self.ipc_mount_fd = -1
        self.join.clear()
        self.channel.close()
