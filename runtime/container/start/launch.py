"""The launcher's side of a start: what is made for a container, in order, and how it is undone.

One `Launch` is one life of a container's first process; the monitor makes it and keeps it until
the process has ended.  Whatever it makes can be found again by the container's id, so that
`runtime.container.heal` clears up when the monitor was killed half-way.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import stat
import struct

from runtime.container import connection as networking
from runtime.container.bundle import ensure, places
from runtime.container.start import init, seccomp_cache
from runtime.container.start.setup import Setup
from runtime.linux import capabilities, cgroups, namespaces, processes
from runtime.linux.failpoints import reached
from runtime.model import jsontext
from runtime.model.container import defaults, statuses
from runtime.model.container.spec import Mount
from runtime.model.container.state import Endpoint
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers
from runtime.store.images import Images
from runtime.store.volumes import Volumes
from supervise.model import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from runtime.container.connection import NetworkConnection
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

_LONGEST_REPORT = 65536
_SHARED_IPC = ("/dev/shm", "/dev/mqueue")  # noqa: S108 - places of mounts
_BINFMT = "/proc/sys/fs/binfmt_misc"


class Launch:
    """One start of one container, from nothing to a running process and back."""

    def __init__(
        self, layout: Layout, spec: Spec, network: NetworkConnection, *, now: float
    ) -> None:
        self._layout = layout
        self._spec = spec
        self._network = network
        self._now = now
        self._setup: Setup | None = None
        self._channel: _socket.socket | None = None
        self.cgroup = cgroups.of(spec.id)
        self.endpoint: Endpoint | None = None
        self.joined: tuple[Endpoint, ...] = ()
        self.remarks: list[str] = []  # sentences for a person
        self.pid = 0
        self.pid_started = 0
        self.terminal_fd = -1  # the pty's master, with a terminal; the caller's from then on
        # Returns when the descriptor can be read: before `run` waits for its process.
        self.await_word: Callable[[int], None] = _wait_in_recvmsg

    def run(self, stdio: tuple[int, int, int], window: tuple[int, int] = (0, 0)) -> None:
        """Start the process; return when its program runs.

        *stdio* are the three descriptors for a program without a terminal, *window* rows and
        columns for one with.  The caller closes them.

        Raises:
            RuntimeFailure: why not, with 125, 126 or 127; everything is undone.
        """
        try:
            setup = self._prepare()
            setup.stdin_fd, setup.stdout_fd, setup.stderr_fd = stdio
            setup.window = window
            self._fork(setup)
            self._serve()
        except OSError as error:
            self.undo()
            what = f" '{error.filename}'" if error.filename else ""
            reason = error.strerror or str(error)
            raise RuntimeFailure(f"cannot start '{self._spec.name}':{what} {reason}") from error
        except BaseException:
            self.undo()
            raise

    def _prepare(self) -> Setup:
        """Find and make everything that does not need the process."""
        spec, layout = self._spec, self._layout
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._channel = ours
        setup = self._setup = Setup(spec, theirs)
        self._find_image(setup)
        setup.directory = layout.container(spec.id)
        setup.merged = f"{layout.container_run(spec.id)}/merged"
        with suppress(FileExistsError):
            os.mkdir(setup.merged, 0o700)
        self._choose_namespaces(setup)
        self._map_user(setup)
        setup.capabilities = capabilities.mask(spec.capabilities) & capabilities.held()
        setup.seccomp = seccomp_cache.program(spec, layout)
        setup.foreign_programs = _knows_foreign_programs()
        self._put_our_init_in_front(setup)
        reached("before-network")
        self.endpoint = self._network.reserve()
        reached("network-reserved")
        files = self._network.write_files(self.endpoint, setup.directory)
        self._choose_mounts(setup, files)
        reached("before-cgroup")
        self._make_cgroup(setup)
        reached("cgroup-made")
        return setup

    def _find_image(self, setup: Setup) -> None:
        images = Images(self._layout)
        image = images.get(self._spec.image_id)
        if image is None:
            raise RuntimeFailure(
                f"cannot start '{self._spec.name}': its image {self._spec.image} was removed"
            )
        setup.lowers = images.lowers(image)
        setup.hidden = images.hidden()
        upper = f"{self._layout.container(self._spec.id)}/upper"
        # The upper directory is what "/" looks like: it takes over the image's.
        if not os.listdir(upper) and setup.lowers:
            found = os.stat(setup.lowers[0])
            os.chown(upper, found.st_uid, found.st_gid)
            os.chmod(upper, stat.S_IMODE(found.st_mode))

    def _put_our_init_in_front(self, setup: Setup) -> None:
        """Have supervise as PID 1, from a bundle that is made when it is missing."""
        if self._spec.init != "supervise":
            return
        setup.extra_lower = (ensure.ensure(self._layout),)
        setup.argv = ensure.argv(self._spec)
        setup.environment = places.environment(setup.environment)
        setup.hold_signals = True

    def _choose_namespaces(self, setup: Setup) -> None:
        spec = self._spec
        setup.unshare = namespaces.CLONE_NEWNS
        modes = (
            (spec.network, "net", namespaces.CLONE_NEWNET, ("host",)),
            (spec.ipc_mode, "ipc", namespaces.CLONE_NEWIPC, ("host",)),
            (spec.uts_mode, "uts", namespaces.CLONE_NEWUTS, ("host",)),
        )
        for mode, kind, flag, hosts in modes:
            if mode.startswith("container:"):
                pid = self._pid_of(mode.partition(":")[2])
                fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                setup.join.append((fd, flag))
            elif mode not in hosts and not (kind == "uts" and _keeps_host_name(spec)):
                setup.unshare |= flag
        if self.cgroup.version == 2:
            setup.unshare |= namespaces.CLONE_NEWCGROUP

    def _map_user(self, setup: Setup) -> None:
        """Make the user namespace of --userns, in which root is nobody outside."""
        if not self._spec.user_namespace:
            return
        if "/" in setup.lowers:
            raise RuntimeFailure(
                f"cannot start '{self._spec.name}' with --userns: its image is this machine's root",
                "the files of `host` cannot be given other owners; import an image",
            )
        first, count = defaults.MAPPED_FIRST, defaults.MAPPED_COUNT
        setup.user_namespace_fd = namespaces.make_user_namespace(first, count)
        setup.id_shift = first
        # The files that are written live here, under the ids of the host.
        for name in ("upper", "work"):
            found = os.stat(path := f"{setup.directory}/{name}")
            if found.st_uid < first:
                os.chown(path, found.st_uid + first, found.st_gid + first)

    def _pid_of(self, reference: str) -> int:
        """Return the process of the container whose namespace is to be shared."""
        containers = Containers(self._layout)
        spec, state = containers.load(containers.find(reference))
        if state.status not in statuses.HAS_PROCESS or not state.pid:
            raise RuntimeFailure(
                f"cannot share a namespace with '{spec.name}': it is not running",
                f"runtime start {spec.name}",
            )
        return state.pid

    def _choose_mounts(self, setup: Setup, files: tuple[Mount, ...]) -> None:
        """Resolve the sources of all mounts on the host, and what devices are to be made."""
        spec, volumes = self._spec, Volumes(self._layout)
        taken = {mount.target for mount in spec.mounts}
        setup.mounts = [*(each for each in files if each.target not in taken), *spec.mounts]
        setup.mounts.sort(key=lambda mount: mount.target.count("/"))
        for mount in setup.mounts:
            if mount.kind == "volume":
                anonymous = "anonymous" in mount.options
                volumes.ensure(mount.source, now=self._now, anonymous=anonymous)
                setup.sources.append((mount, volumes.path(mount.source)))
            elif mount.kind == "bind":
                _check_source(mount)
                setup.sources.append((mount, mount.source))
        if spec.ipc_mode == "host":
            places = [place for place in _SHARED_IPC if os.path.isdir(place)]
            setup.shared_ipc = tuple(Mount("bind", place, place) for place in places)
        elif spec.ipc_mode.startswith("container:"):
            pid = self._pid_of(spec.ipc_mode.partition(":")[2])
            setup.ipc_mount_fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            setup.shared_ipc = tuple(Mount("bind", place, place) for place in _SHARED_IPC)
        setup.devices = _devices(spec)

    def _make_cgroup(self, setup: Setup) -> None:
        spec = self._spec
        rules: list[str] | None = None
        if not spec.privileged:
            rules = list(defaults.DEVICE_RULES)
            for path, mode, device in setup.devices:
                allowed = next((a for _, inner, a in spec.devices if inner == path), "rwm")
                kind = "b" if stat.S_ISBLK(mode) else "c"
                rules.append(f"{kind} {os.major(device)}:{os.minor(device)} {allowed}")
            rules += spec.device_rules
        self.remarks += self.cgroup.create(spec.limits, rules)
        setup.cgroup = self.cgroup

    def _fork(self, setup: Setup) -> None:
        """Fork the process into its pid namespace; ours stays what it is."""
        mode = self._spec.pid_mode
        own = namespaces.open_own("pid")
        try:
            if mode.startswith("container:"):
                pid = self._pid_of(mode.partition(":")[2])
                fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
                namespaces.setns(fd, namespaces.CLONE_NEWPID)
                os.close(fd)
            elif mode != "host":
                namespaces.unshare(namespaces.CLONE_NEWPID)
            self.pid = os.fork()
            if self.pid == 0:
                assert self._channel is not None
                self._channel.close()
                init.become(setup)
        finally:
            namespaces.setns(own, namespaces.CLONE_NEWPID)
            os.close(own)
        setup.close()
        self.pid_started = processes.started(self.pid)
        reached("forked")

    def _serve(self) -> None:
        """Work beside the child until its program runs."""
        assert self._channel is not None
        self._expect(init.READY)
        reached("cgroup-entered")
        try:
            self._connect()
        except (OSError, RuntimeFailure):
            self._check_child()  # its reason was first, ours may be that it is gone
            raise
        reached("network-attached")
        with suppress(BrokenPipeError):  # it has failed already, and says why
            self._channel.send(init.GO)
        if self._spec.tty:
            self._expect(init.TERMINAL)
        self._expect(b"")
        self._channel.close()
        self._channel = None
        reached("started")

    def _connect(self) -> None:
        assert self.endpoint is not None
        self.endpoint = self._network.attach(self.endpoint, self.pid)
        for joined in self._network.join(self.pid, self.endpoint):
            self.joined = (*self.joined, joined)
        for endpoint in (self.endpoint, *self.joined):
            networking.note(self._layout, self._spec, endpoint, "connect")
        self.remarks += self._network.take_remarks()

    def _check_child(self) -> None:
        """Raise what the child has failed with, if it has."""
        assert self._channel is not None
        self._channel.settimeout(0.0)
        self.await_word = _wait_in_recvmsg
        with suppress(BlockingIOError):  # it is well
            self._expect(init.GO)  # which it never says

    def _expect(self, wanted: bytes) -> None:
        """Wait for the child's next word; raise RuntimeFailure when it is another one."""
        assert self._channel is not None
        self.await_word(self._channel.fileno())
        data, rights = hear(self._channel)
        for level, kind, body in rights:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                (self.terminal_fd,) = struct.unpack("i", body[:4])
                fcntl.fcntl(self.terminal_fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        if data == wanted:
            return
        if not data:
            raise RuntimeFailure(
                f"cannot start '{self._spec.name}': its first process was killed while starting"
            )
        said = jsontext.loads(data)
        raise RuntimeFailure(said["message"], said["hint"], said["code"])

    def kill(self) -> None:
        """End every process of the container, at once."""
        if self.pid:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(self.pid, 9)

    def undo(self) -> None:
        """Kill what runs and take back everything; also after a start that failed half-way."""
        self.kill()
        if self.pid:
            with suppress(ChildProcessError):  # the monitor has reaped it
                os.waitpid(self.pid, 0)
            self.pid = 0
        self.clear_up()

    def clear_up(self) -> None:
        """Take everything back once the process has been reaped."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.terminal_fd >= 0:
            os.close(self.terminal_fd)
            self.terminal_fd = -1
        reached("clear-cgroup")
        self.cgroup.kill()
        self.cgroup.remove()
        self.disconnect()
        reached("cleared")

    def take_over(self, endpoints: list[dict[str, Any]]) -> tuple[Endpoint, ...]:
        """Leave these networks too at the end: commands have joined them since the start."""
        known = tuple(plain.from_plain(Endpoint, each) for each in endpoints)
        self.joined = tuple(each for each in known if each != self.endpoint)
        if self.endpoint is not None and self.endpoint not in known:
            self._network.let_go()
            self.endpoint = None
        return known

    def disconnect(self) -> None:
        """Leave the networks. Idempotent."""
        for endpoint in (*self.joined, self.endpoint):
            if endpoint is not None:
                self._network.disconnect(endpoint)
                networking.note(self._layout, self._spec, endpoint, "disconnect")
        self.joined, self.endpoint = (), None


def hear(channel: _socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """Return the child's next word and its descriptors, b"" when the conversation has ended.

    A child that fails before it has read GO leaves that unread, and the kernel says ECONNRESET
    first: what the child has said is still there.
    """
    try:
        data, rights, _, _ = channel.recvmsg(_LONGEST_REPORT, _socket.CMSG_SPACE(4))
    except ConnectionResetError:
        data, rights, _, _ = channel.recvmsg(_LONGEST_REPORT, _socket.CMSG_SPACE(4))
    return data, rights


def _wait_in_recvmsg(_fd: int) -> None:
    """Do nothing: recvmsg(2) waits."""


def _keeps_host_name(spec: Spec) -> bool:
    """Return whether --net host means the machine's own name too: unless it gets one of its own."""
    return spec.network == "host" and not spec.hostname and not spec.domainname


def _check_source(mount: Mount) -> None:
    """Make a bind's source when it is missing, as docker does for -v."""
    if not os.path.lexists(mount.source):
        os.makedirs(mount.source, 0o755, exist_ok=True)


def _devices(spec: Spec) -> list[tuple[str, int, int]]:
    """Return (path inside, mode, number) of what --device and --privileged give."""
    found = []
    wanted = [(host, inner) for host, inner, _ in spec.devices]
    if spec.privileged:
        wanted += [(f"/dev/{name}", f"/dev/{name}") for name in os.listdir("/dev")]
    for host, inner in wanted:
        try:
            there = os.stat(host)
        except OSError as error:
            raise RuntimeFailure(f"cannot give device '{host}': {error.strerror}") from None
        if stat.S_ISCHR(there.st_mode) or stat.S_ISBLK(there.st_mode):
            if inner not in ("/dev/console", "/dev/ptmx"):
                found.append((inner, there.st_mode, there.st_rdev))
        elif (host, inner) in [(h, i) for h, i, _ in spec.devices]:
            raise RuntimeFailure(f"cannot give device '{host}': it is no device")
    return found


def _knows_foreign_programs() -> bool:
    try:
        return len(os.listdir(_BINFMT)) > 2  # beside register and status
    except OSError:
        return False
