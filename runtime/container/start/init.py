"""The child's side of a start: one linear story from fork to execve.

Runs in the forked copy of the monitor, the first process of its pid namespace.  After
`root_mounts.pivot` nothing can be imported any more.  It talks with the launcher over a
SOCK_SEQPACKET socket that execve(2) closes: what it says is READY (its namespaces are there),
TERMINAL (with the pty's master) or a failure as JSON; what it hears is GO (the network is there).  The end of the conversation without a failure means: the program runs.
"""

from __future__ import annotations

import errno
import os

from runtime.container.bundle import ensure, places
from runtime.container.start import (
    becoming,
    diagnose,
    kernelfiles,
    root_mounts,
)
from runtime.linux import namespaces, overlay, trees
from runtime.linux.failpoints import reached
from runtime.linux.loopback import bring_up_loopback
from runtime.model import jsontext
from runtime.model.container import defaults
from runtime.model.container.spec import Mount
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from supervise.linux import signal_actions
from supervise.model.errors import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from runtime.container.start.kernelfiles import KernelFiles
    from runtime.container.start.setup import Setup
    from supervise.linux.identity import Identity

READY, TERMINAL, GO = b"R", b"T", b"G"
OURS = 125  # exit code of what went wrong before the user's program


def become(setup: Setup) -> NoReturn:
    """Turn into the container's first process; never returns."""
    stage = "start"
    try:
        for stage, step in _story(setup):
            step()
            reached(f"init-{stage}")
    except diagnose.CannotExecuteError as error:
        _report(setup, stage, str(error), error.code)
    except RuntimeFailure as error:
        _report(setup, stage, error.message, error.code, error.hint)
    except OSError as error:
        what = f" '{error.filename}'" if error.filename else ""
        reason = error.strerror or str(error)
        _report(setup, stage, f"cannot {_WORDS.get(stage, stage)}{what}: {reason}", OURS)
    except Exception as error:  # noqa: BLE001 - nobody else can say why it did not start
        _report(setup, stage, f"cannot {_WORDS.get(stage, stage)}: {reason_of(error)}", OURS)
    finally:
        # Whatever went wrong: a second monitor must not run on.
        os._exit(OURS)


_WORDS = {
    "cgroup": "enter the control group",
    "namespaces": "make the namespaces",
    "sources": "mount",
    "overlay": "mount the image",
    "pivot": "change to the image's root",
    "kernel-files": "mount the kernel's file systems",
    "devices": "make the device",
    "mounts": "mount",
    "parameters": "set",
    "masks": "hide",
    "terminal": "open a terminal",
    "limits": "set the limits",
    "working-dir": "enter the working directory",
    "user": "change the user",
    "privileges": "give up privileges",
    "exec": "start the program",
}


def _story(setup: Setup) -> list[tuple[str, Callable[[], None]]]:
    """Return (stage, step) in the only order that works."""
    child = _Child(setup)
    return [
        ("cgroup", child.cgroup),
        ("namespaces", child.namespaces),
        # Sources while the host's paths still mean something.
        ("sources", child.sources),
        ("overlay", child.overlay),
        ("pivot", child.pivot),
        # Before anything of the user's is mounted: none of it can come between us and a file of
        # the kernel's.  Parameters are set before /proc/sys becomes read-only.
        ("kernel-files", child.kernel_files),
        ("parameters", child.parameters),
        ("masks", child.masks),
        ("mounts", child.mounts),
        ("devices", child.devices),
        # The launcher worked beside us up to here: the network.
        ("go", child.wait_for_go),
        ("terminal", child.terminal),
        ("limits", child.limits),
        # Made as root, entered as the user.
        ("working-dir", child.working_dir),
        ("user", child.user),
        ("privileges", child.privileges),
        ("exec", child.execute),
    ]


class _Child:
    """The steps, and what one leaves for another."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._spec = setup.spec
        self._owner = root_mounts.FileOwner(setup.id_shift, setup.user_namespace_fd)
        self._sources: list[root_mounts.MountSource] = []
        self._ipc: list[root_mounts.MountSource] = []
        self._bundle: root_mounts.MountSource | None = None
        self._services: list[root_mounts.MountSource] = []
        self._cgroups: list[tuple[str, int]] = []
        self._root = setup.merged
        self._machine_dev = (-1, -1)
        self._kernel: KernelFiles | None = None
        self._masks: tuple[Sequence[str], Sequence[str]] = ((), ())  # hidden, read-only
        self._identity: Identity | None = None
        self._program = ""

    def cgroup(self) -> None:
        """Keep the limits from here on: what follows is the container's."""
        becoming.die_with_parent()  # one that was dead before does not hear READY
        becoming.close_all_but(self._setup.descriptors())
        becoming.hide_from_container()
        os.setsid()
        os.umask(0o022)
        assert self._setup.cgroup is not None
        self._setup.cgroup.enter(limit_devices=not self._spec.privileged)

    def namespaces(self) -> None:
        """Leave the launcher's world."""
        setup = self._setup
        for fd, kind in setup.join:
            namespaces.setns(fd, kind)
            os.close(fd)
        namespaces.unshare(setup.unshare)
        setup.channel.send(READY)

    def sources(self) -> None:
        setup = self._setup
        self._sources = [
            root_mounts.hold(mount, path, self._owner) for mount, path in setup.sources
        ]
        for directory in setup.extra_lower:
            mount = Mount("bind", directory, f"/{places.DIRECTORY}", read_only=True)
            self._bundle = root_mounts.hold(mount, f"{directory}/{places.DIRECTORY}", self._owner)
        if self._spec.services:
            mount = Mount("bind", self._spec.services, ensure.services_place(self._spec))
            mount = mount.replace(read_only=True)
            self._services = [root_mounts.hold(mount, self._spec.services, self._owner)]
        self._ipc = root_mounts.hold_ipc(setup.shared_ipc, setup.ipc_mount_fd, self._owner)
        assert setup.cgroup is not None
        for name, path in setup.cgroup.shown():
            self._cgroups.append((name, trees.clone(path)))
        with suppress(OSError):  # then nothing can be mounted on the container's
            found = os.stat("/dev")
            self._machine_dev = found.st_dev, found.st_ino

    def overlay(self) -> None:
        setup = self._setup
        root_mounts.detach_from_host()
        lowers, self._root = root_mounts.map_layers(setup.lowers, setup.merged, self._owner)
        overlay.mount(
            lowers,
            f"{setup.directory}/upper",
            f"{setup.directory}/work",
            self._root,
            extra_lower=setup.extra_lower,
            hidden=setup.hidden,
            volatile=setup.volatile,
        )

    def pivot(self) -> None:
        root_mounts.pivot(self._root)

    def kernel_files(self) -> None:
        spec = self._spec
        kernelfiles.mount_proc()
        kernelfiles.mount_dev(spec, self._ipc)
        kernelfiles.mount_sys(read_only=not spec.privileged)
        if self._setup.unshare & namespaces.CLONE_NEWCGROUP:
            kernelfiles.mount_cgroup2(read_only=not spec.privileged)
        elif self._cgroups:
            kernelfiles.mount_cgroup1(self._cgroups, read_only=not spec.privileged)
        self._kernel = kernelfiles.KernelFiles(self._machine_dev)
        if spec.tty:
            self._kernel.make_console()

    def devices(self) -> None:
        for path, mode, device in self._setup.devices:
            root_mounts.make_device(path, mode, device, self._owner)

    def mounts(self) -> None:
        kernel = self._kernel
        assert kernel is not None
        # In the order of the specification, which is from the outside to the inside.
        sources = iter(self._sources)
        for mount in self._setup.mounts:
            if mount.kind == "tmpfs":
                root_mounts.mount_tmpfs(mount, self._owner, kernel)
                continue
            next(sources).attach(kernel)
        if self._bundle is not None:
            self._bundle.attach(kernel)
        for source in self._services:
            source.attach(kernel)
        # The machine's own /proc or /sys is hidden as ours is, wherever it lies on ours.
        if any(source.is_of_the_kernel() for source in self._sources):
            kernel.protect(*self._masks)
        for source in (*self._sources, *self._services, *self._ipc):
            source.close()

    def wait_for_go(self) -> None:
        if self._setup.channel.recv(16) != GO:
            os._exit(OURS)  # the launcher gave up, or was killed

    def parameters(self) -> None:
        spec = self._spec
        if self._setup.unshare & namespaces.CLONE_NEWNET:
            bring_up_loopback()
        if self._setup.unshare & namespaces.CLONE_NEWUTS:
            if spec.hostname:
                namespaces.sethostname(spec.hostname)
            if spec.domainname:
                namespaces.setdomainname(spec.domainname)
        assert self._kernel is not None
        self._kernel.set_parameters(spec.sysctls.items())
        if spec.oom_score_adj:
            self._kernel.set_oom_score(spec.oom_score_adj)

    def masks(self) -> None:
        spec = self._spec
        assert self._kernel is not None
        self._masks = (
            kernelfiles.masked_paths() if spec.masked_paths is None else spec.masked_paths,
            defaults.READONLY_PATHS if spec.readonly_paths is None else spec.readonly_paths,
        )
        self._kernel.protect(*self._masks)

    def terminal(self) -> None:
        """Give the program its three descriptors, a terminal's or the monitor's pipes."""
        setup = self._setup
        found = self._identity = becoming.resolve_user(self._spec.user, self._spec.groups)
        owner = setup.id_shift + found.uid
        kernel = self._kernel
        assert kernel is not None
        if self._spec.services and self._bundle is not None:
            root_mounts.mount_private(self._bundle, places.RUN_DIRECTORY, owner, kernel)
        if self._spec.tty:
            becoming.open_terminal(setup.channel, TERMINAL, kernel.pts_fd, owner, setup.window)
            kernel.show_console(0)
        else:
            becoming.take_pipes((setup.stdin_fd, setup.stdout_fd, setup.stderr_fd), owner)

        if self._bundle is not None:
            self._bundle.close()
        kernel.close()

    def limits(self) -> None:
        becoming.set_limits(self._spec.rlimits)

    def working_dir(self) -> None:
        with suppress(FileExistsError):
            root_mounts.make_directories(self._spec.working_dir, self._owner)
        if self._spec.read_only:
            root_mounts.make_root_read_only()

    def user(self) -> None:
        setup, found = self._setup, self._identity
        assert found is not None
        setup.environment.setdefault("HOME", found.home or "/")
        if setup.user_namespace_fd >= 0:
            becoming.enter_user_namespace(setup.user_namespace_fd)
        becoming.take_identity(found, setup.capabilities)
        becoming.enter(self._spec.working_dir)
        self._find_program()

    def _find_program(self) -> None:
        """Refuse what cannot run before PID 1 starts, with a reason it could not give."""
        environment = self._setup.environment
        if self._setup.argv != self._spec.argv and self._spec.argv:
            path = diagnose.find(self._spec.argv[0], environment)
            diagnose.check_interpreter(path, foreign=self._setup.foreign_programs)
        self._program = diagnose.find(self._setup.argv[0], environment)

    def privileges(self) -> None:
        setup, spec = self._setup, self._spec
        assert self._identity is not None
        becoming.die_with_parent()
        becoming.give_up_privileges(
            self._identity,
            setup.capabilities,
            no_new_privileges=spec.no_new_privileges,
            filter_program=setup.seccomp,
            blocked=set(signal_actions.catchable()) if setup.hold_signals else set(),
        )

    def execute(self) -> None:
        reached("init-last")
        try:
            os.execve(self._program, self._setup.argv, self._setup.environment)
        except OSError as error:
            raise diagnose.explain(self._program, error.errno or errno.EINVAL) from None


def _report(setup: Setup, stage: str, message: str, code: int, hint: str = "") -> None:
    failure = {"stage": stage, "message": message, "code": code, "hint": hint}
    with suppress(OSError):  # the launcher is gone
        setup.channel.send(jsontext.dumps(failure).encode()[:32768])
