"""The child's side of a start: one linear story from fork to execve.

Runs in the forked copy of the monitor, the first process of its pid namespace.  After
`rootfs.pivot` nothing can be imported any more.  It talks with the launcher over a
SOCK_SEQPACKET socket that execve(2) closes: what it says is READY (its namespaces are there),
TERMINAL (with the pty's master) or a failure as JSON; what it hears is GO (cgroup and network are
done).  The end of the conversation without a failure means: the program runs.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import stat
import struct
import termios
from contextlib import suppress

from runtime.container import copyup, diagnose, rootfs
from runtime.container.steps import reached
from runtime.linux import capabilities, namespaces, seccomp
from runtime.linux.loopback import bring_up_loopback
from runtime.model import defaults
from runtime.model.errors import RuntimeFailure
from runtime.store import overlay
from supervise.linux import identity, prctl, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from runtime.container.setup import Setup
    from supervise.linux.identity import Identity

READY, TERMINAL, GO = b"R", b"T", b"G"
OURS = 125  # exit code of what went wrong before the user's program
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430  # ioctl_tty(2)
_UNLIMITED = -1
_NR_CLOSE_RANGE = 436
_CLOSE_RANGE_CLOEXEC = 4


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
    except (ValueError, KeyError, AttributeError, ImportError, TypeError) as error:
        _report(setup, stage, f"cannot {_WORDS.get(stage, stage)}: {error!r}", OURS)
    finally:
        # Whatever went wrong: a second monitor must not run on.
        os._exit(OURS)


_WORDS = {
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
        ("namespaces", child.namespaces),
        # Sources while the host's paths still mean something.
        ("sources", child.sources),
        ("overlay", child.overlay),
        ("pivot", child.pivot),
        ("kernel-files", child.kernel_files),
        ("devices", child.devices),
        ("mounts", child.mounts),
        # Before /proc/sys becomes read-only.
        ("parameters", child.parameters),
        ("masks", child.masks),
        # The launcher worked beside us up to here: cgroup and network.
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
        self._sources: list[rootfs.Source] = []
        self._ipc: list[rootfs.Source] = []
        self._cgroup_fds: list[tuple[str, int]] = []
        self._old_fd = -1
        self._identity: Identity | None = None
        self._program = ""

    def namespaces(self) -> None:
        """Leave the launcher's world."""
        os.setsid()
        os.umask(0o022)
        if self._setup.cgroup2:
            _write(f"{self._setup.cgroup2}/cgroup.procs", "0")
        for fd, kind in self._setup.join:
            namespaces.setns(fd, kind)
            os.close(fd)
        namespaces.unshare(self._setup.unshare)
        self._setup.channel.send(READY)

    def sources(self) -> None:
        setup = self._setup
        self._sources = [rootfs.Source(mount, path) for mount, path in setup.sources]
        self._ipc = [rootfs.Source(mount, path) for mount, path in setup.shared_ipc]
        for name, path in setup.cgroup1:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._cgroup_fds.append((name, fd))

    def overlay(self) -> None:
        setup = self._setup
        rootfs.detach_from_host()
        overlay.mount(
            setup.lowers,
            f"{setup.directory}/upper",
            f"{setup.directory}/work",
            setup.merged,
            extra_lower=setup.extra_lower,
            hidden=setup.hidden,
        )

    def pivot(self) -> None:
        self._old_fd = rootfs.pivot(self._setup.merged)

    def kernel_files(self) -> None:
        spec = self._spec
        rootfs.mount_proc()
        rootfs.mount_dev(spec, self._ipc)
        rootfs.mount_sys(read_only=not spec.privileged)
        if self._setup.cgroup2:
            rootfs.mount_cgroup2(read_only=not spec.privileged)
        elif self._cgroup_fds:
            rootfs.mount_cgroup1(self._cgroup_fds, read_only=not spec.privileged)
        for _, fd in self._cgroup_fds:
            os.close(fd)

    def devices(self) -> None:
        for path, mode, device in self._setup.devices:
            rootfs.make_directories(os.path.dirname(path))
            with suppress(FileExistsError):
                os.mknod(path, mode, device)
                os.chmod(path, stat.S_IMODE(mode))

    def mounts(self) -> None:
        # In the order of the specification, which is from the outside to the inside.
        sources = iter(self._sources)
        for mount in self._setup.mounts:
            if mount.kind == "tmpfs":
                rootfs.mount_tmpfs(mount)
                continue
            source = next(sources)
            if mount.kind == "volume" and mount.copy_up:
                copyup.fill(source.fd, mount.target)
            source.attach()
        rootfs.leave(self._old_fd)

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
        for name, value in spec.sysctls.items():
            try:
                _write(f"/proc/sys/{name.replace('.', '/')}", value)
            except FileNotFoundError:
                if name not in defaults.NETWORK_SYSCTLS:  # those are a wish of ours
                    raise
        if spec.oom_score_adj:
            _write("/proc/self/oom_score_adj", str(spec.oom_score_adj))

    def masks(self) -> None:
        spec = self._spec
        rootfs.mask(rootfs.masked_paths() if spec.masked_paths is None else spec.masked_paths)
        rootfs.make_read_only(
            defaults.READONLY_PATHS if spec.readonly_paths is None else spec.readonly_paths
        )

    def terminal(self) -> None:
        """Give the program its three descriptors, a terminal's or the monitor's pipes."""
        self._identity = resolve_user(self._spec.user, self._spec.groups)
        if self._spec.tty:
            self._open_terminal()
        else:
            for target, fd in enumerate(
                (self._setup.stdin_fd, self._setup.stdout_fd, self._setup.stderr_fd)
            ):
                os.dup2(fd, target, inheritable=True)
                if stat.S_ISFIFO(os.fstat(target).st_mode):
                    # So that a user who is not root can open /dev/stderr anew.
                    os.fchown(target, self._identity.uid, -1)
        if self._spec.read_only:
            self._make_working_dir()
            rootfs.make_root_read_only()

    def _open_terminal(self) -> None:
        master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]
        path = f"/dev/pts/{number}"
        slave = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        # Before the program asks for it: 0x0 breaks what draws.
        if any(self._setup.window):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *self._setup.window, 0, 0))
        assert self._identity is not None
        os.fchown(slave, self._identity.uid, -1)
        rootfs.mount_console(path)
        rights = (1, 1, struct.pack("i", master))  # SOL_SOCKET, SCM_RIGHTS
        self._setup.channel.sendmsg([TERMINAL], [rights])
        os.close(master)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for target in (0, 1, 2):
            os.dup2(slave, target, inheritable=True)
        os.close(slave)

    def limits(self) -> None:
        for name, (soft, hard) in {"nofile": defaults.NOFILE, **self._spec.rlimits}.items():
            which = getattr(resource, f"RLIMIT_{name.upper()}")
            _, most = resource.getrlimit(which)
            if most != resource.RLIM_INFINITY:
                # Raising a hard limit takes CAP_SYS_RESOURCE, which we may lack ourselves.
                most_now = most if hard == _UNLIMITED else min(hard, most)
                limits = (most_now if soft == _UNLIMITED else min(soft, most_now), most_now)
            else:
                limits = (soft, hard)
            resource.setrlimit(which, limits)

    def working_dir(self) -> None:
        self._make_working_dir()

    def _make_working_dir(self) -> None:
        with suppress(FileExistsError):
            rootfs.make_directories(self._spec.working_dir)

    def user(self) -> None:
        """Become the user, keeping for a moment what loading the filter takes."""
        setup, found = self._setup, self._identity
        assert found is not None
        setup.environment.setdefault("HOME", found.home or "/")
        capabilities.limit_bounding(setup.capabilities)
        prctl.set_keepcaps(True)
        os.setgroups(found.groups)
        os.setresgid(found.gid, found.gid, found.gid)
        os.setresuid(found.uid, found.uid, found.uid)
        os.chdir(self._spec.working_dir)
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
        _close_others()
        mask = set(signals.catchable()) if setup.hold_signals else set()
        signals.reset_all()
        signals.restore_mask(mask)
        prctl.prctl(_PR_SET_PDEATHSIG, 9)
        held = capabilities.held()
        capabilities.set_sets(permitted=held, effective=held)
        if spec.no_new_privileges:
            prctl.set_no_new_privs()
        if setup.seccomp:
            seccomp.load(setup.seccomp)
        kept = setup.capabilities & held if self._identity.uid == 0 else 0
        capabilities.set_sets(permitted=kept, effective=kept)

    def execute(self) -> None:
        reached("init-last")
        try:
            os.execve(self._program, self._setup.argv, self._setup.environment)
        except OSError as error:
            raise diagnose.explain(self._program, error.errno or errno.EINVAL) from None


def resolve_user(user: str, groups: tuple[str, ...]) -> Identity:
    """Return whom the container's own files make of the user and the groups asked for.

    Raises:
        RuntimeFailure: a name that is in none of them.
    """
    try:
        found = identity.resolve(user or "0")
        more = [identity.group_id(group) for group in groups]
    except identity.UnknownIdentityError as error:
        raise RuntimeFailure(
            f"cannot find the user: {error}",
            "a number works without an entry there: -u 1000:1000",
        ) from None
    if more:
        found = found.replace(groups=tuple(dict.fromkeys((*found.groups, *more))))
    return found


def _close_others() -> None:
    """Leave the program its three descriptors alone: CVE-2024-21626 was a forgotten one."""
    import ctypes

    arguments = (ctypes.c_uint(3), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(_CLOSE_RANGE_CLOEXEC))
    number = ctypes.c_long(_NR_CLOSE_RANGE)
    if prctl.libc().syscall(number, *arguments) == 0:
        return
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the listing's own is closed already
                fcntl.fcntl(int(name), fcntl.F_SETFD, fcntl.FD_CLOEXEC)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _report(setup: Setup, stage: str, message: str, code: int, hint: str = "") -> None:
    failure = {"stage": stage, "message": message, "code": code, "hint": hint}
    with suppress(OSError):  # the launcher is gone
        setup.channel.send(json.dumps(failure).encode()[:32768])
