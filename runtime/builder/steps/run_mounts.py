"""``RUN --mount=…``: what the container sees, what stands for it in the key, how long it lasts.

Binds of stages and images are mounted in the worker's own mount namespace, secrets lie on a tmpfs
there; both go with the worker.  Caches lie below ``build/cache-mounts`` and outlive it.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack, suppress

from runtime.builder import stage_image
from runtime.linux import beneath, locks
from runtime.linux import mounts as kernel
from runtime.model.container import limits, spec
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import files
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.stage import BuildStage
    from runtime.builder.stage_image import StageImage
    from runtime.builder.steps.sandbox import Sandbox
    from runtime.dockerfile.commands import RunMount

_SECRETS = "/run/secrets"
_AGENT = "/run/buildkit/ssh_agent.0"  # where BuildKit has it, so that scripts find it
_MOST_PRIVATE = 1000  # directories of one private cache
_WITHIN = os.O_PATH | os.O_CLOEXEC


class Prepared:
    """The mounts of one RUN, until `close`."""

    def __init__(self) -> None:
        self.mounts: list[spec.Mount] = []
        self.environment: dict[str, str] = {}  # secrets that are variables
        self.stack = ExitStack()

    def close(self) -> None:
        """Take away what was mounted for them."""
        self.stack.close()


class _MountRequest(Record):
    """What the maker of one mount gets; it adds the mount to *prepared*."""

    mount: RunMount
    target: str  # where in the container, absolute
    stage: BuildStage
    prepared: Prepared

    def bind(self, path: str, *, read_only: bool) -> None:
        """Have the container see *path* of the host at the target."""
        self.prepared.mounts.append(spec.Mount("bind", path, self.target, read_only=read_only))


def key(mount: RunMount, stage: BuildStage) -> str:
    """Return the word that stands for *mount* in the cache's key.

    Secrets and caches stand for themselves, never for what is in them.
    """
    shown = [f"{name}={value}" for name, value in mount.set_items() if name != "from_"]
    shown.append(f"at={_target(mount, stage.image)}")
    if mount.type == "bind":
        if mount.from_:
            shown.append(stage.view(mount.from_)[1])
        else:
            shown.append(stage.context_files(mount.source)[1])
    elif mount.from_:
        shown.append(stage.view(mount.from_)[1])
    return " ".join(sorted(shown))


def prepare(mounts: tuple[RunMount, ...], stage: BuildStage) -> Prepared:
    """Make what *mounts* need; the caller closes the result.

    Raises:
        RuntimeFailure: a secret that was not given, a source that is not there.
    """
    prepared = Prepared()
    try:
        for mount in mounts:
            target = _target(mount, stage.image)
            _MAKERS[mount.type](_MountRequest(mount, target, stage, prepared))
    except BaseException:
        prepared.close()
        raise
    return prepared


def add_file(prepared: Prepared, sandbox: Sandbox, target: str, data: bytes) -> None:
    """Show *data* as the executable file *target*: a heredoc that names its interpreter."""
    place = _in_memory(prepared, sandbox)
    _write(path := f"{place}/{posixpath.basename(target)}", data, 0o755)
    prepared.mounts.append(spec.Mount("bind", path, target, read_only=True))


def _target(mount: RunMount, image: StageImage) -> str:
    if mount.target:
        return stage_image.absolute(image, mount.target)
    if mount.type == "secret":
        return f"{_SECRETS}/{_secret_id(mount)}"
    if mount.type == "ssh":
        return _AGENT
    raise RuntimeFailure(f"--mount=type={mount.type} needs target=PATH", code=1)


def _tmpfs(request: _MountRequest) -> None:
    options = ["exec", "dev"]
    if request.mount.size:
        options.append(f"size={limits.size(request.mount.size)}")  # the parser has checked it
    request.prepared.mounts.append(spec.Mount("tmpfs", "", request.target, options=tuple(options)))


def _secret_id(mount: RunMount) -> str:
    return mount.id or posixpath.basename(mount.target) or mount.source or mount.env


def _secret(request: _MountRequest) -> None:
    mount, prepared = request.mount, request.prepared
    name = _secret_id(mount)
    value = request.stage.job.request.given.secrets.get(name)
    if value is None:
        if not mount.required:
            return
        raise RuntimeFailure(
            f"the secret '{name}' was not given",
            f"runtime build --secret id={name},src=FILE, or --secret id={name},env=VARIABLE",
            code=1,
        )
    if mount.env:
        prepared.environment[mount.env] = value.decode(errors="surrogateescape")
        if not mount.target:
            return
    place = _in_memory(prepared, request.stage.sandbox)
    path = f"{place}/{len(prepared.mounts)}"
    _write(path, value, int(mount.mode or "0400", 8))
    os.chown(path, int(mount.uid or 0), int(mount.gid or 0))
    request.bind(path, read_only=True)


def _ssh(request: _MountRequest) -> None:
    name = request.mount.id or "default"
    socket = request.stage.job.request.given.agents.get(name)
    if socket is None:
        if not request.mount.required:
            return
        raise RuntimeFailure(
            f"the ssh agent '{name}' was not given", f"runtime build --ssh {name}=SOCKET", code=1
        )
    request.bind(socket, read_only=False)
    request.prepared.environment["SSH_AUTH_SOCK"] = request.target


def _bind(request: _MountRequest) -> None:
    mount, sandbox, stack = request.mount, request.stage.sandbox, request.prepared.stack
    read_only = mount.read_only is not False
    if mount.from_:
        lowers, _ = request.stage.view(mount.from_)
    else:
        place, _ = request.stage.context_files(mount.source)
        lowers = (place,)
    if read_only:
        root_fd = stack.enter_context(sandbox.readable(lowers))
    else:  # what RUN writes there is lost, as it should be
        directory = stack.enter_context(sandbox.aside(lowers))
        root_fd = stack.enter_context(sandbox.writable(lowers, directory))
    root = os.readlink(f"/proc/self/fd/{root_fd}")
    path = root + (_inside(root_fd, root, mount.source) if mount.from_ or mount.source else "")
    request.bind(path, read_only=read_only)


def _inside(root_fd: int, root: str, source: str) -> str:
    """Return where *source* really lies below *root*, links followed as inside."""
    try:
        fd = beneath.open_in_root(root_fd, os.fsencode(source.lstrip("/") or "."), _WITHIN)
    except OSError as error:
        raise RuntimeFailure(f"cannot mount '{source}': {error.strerror}", code=1) from None
    try:
        return os.readlink(f"/proc/self/fd/{fd}").removeprefix(root)
    finally:
        os.close(fd)


def _cache(request: _MountRequest) -> None:
    mount, stage = request.mount, request.stage
    # As BuildKit: caches that begin with other owners, modes or contents are other caches.
    words = [mount.id or request.target, mount.uid, mount.gid, mount.mode]
    words += [stage.view(mount.from_)[1], mount.source] if mount.from_ else []
    name = digests.digest_of("\0".join(words).encode(errors="surrogateescape"))
    top = f"{stage.cache.mounts}/{digests.hex_of(name)[:32]}"
    directory, lock = _take(top, mount.sharing)
    request.prepared.stack.callback(lock.release)
    place = f"{directory}/files"
    if not os.path.isdir(place):
        _fill(place, mount, stage)
    request.bind(place, read_only=bool(mount.read_only))


def _take(top: str, sharing: str) -> tuple[str, locks.Lock]:
    """Return a cache's directory and the lock by which it is in use."""
    files.make_directories(top)
    if sharing != "private":
        directory = f"{top}/0"
        return directory, locks.lock(f"{directory}/lock", shared=sharing == "shared")
    for number in range(_MOST_PRIVATE):
        directory = f"{top}/{number}"
        lock = locks.try_lock(f"{directory}/lock")
        if lock is not None:
            return directory, lock
    raise RuntimeFailure(f"all {_MOST_PRIVATE} directories of a private cache are in use", code=1)


def _fill(place: str, mount: RunMount, stage: BuildStage) -> None:
    """Make a fresh cache: empty, or what ``from=`` has at ``source=``."""
    from runtime.container.start import copyup

    fresh = f"{place}.{os.getpid()}"
    os.mkdir(fresh, 0o755)
    if mount.from_:
        with stage.sandbox.readable(stage.view(mount.from_)[0]) as root_fd:
            source = beneath.open_in_root(
                root_fd, os.fsencode(mount.source.lstrip("/") or "."), os.O_PATH | os.O_DIRECTORY
            )
            target = os.open(fresh, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            copyup.fill(target, source, proc)
            os.close(proc)
            os.close(target)
            os.close(source)
    else:
        os.chmod(fresh, int(mount.mode or "0755", 8))
        os.chown(fresh, int(mount.uid or 0), int(mount.gid or 0))
    try:
        os.rename(fresh, place)
    except OSError:  # another build has made it meanwhile
        files.remove_tree(fresh)


def _in_memory(prepared: Prepared, sandbox: Sandbox) -> str:
    """Return a directory on a tmpfs that only this worker and its container see."""
    place = f"{sandbox.run}/memory"
    if not os.path.ismount(place):
        with suppress(FileExistsError):
            os.mkdir(place, 0o700)
        kernel.mount("tmpfs", place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=700")
        prepared.stack.callback(kernel.umount2, place, kernel.MNT_DETACH)
    return place


def _write(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        files.write_all(fd, data)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


_MAKERS = {"bind": _bind, "cache": _cache, "secret": _secret, "ssh": _ssh, "tmpfs": _tmpfs}
