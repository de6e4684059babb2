"""overlayfs: layers under one writable directory, seen as one tree.

By the new mount API, one ``lowerdir+`` a layer (Linux 6.8): no limit on their number, no escaping
of colons.  Where the kernel lacks it, mount(2) with descriptors as paths, so that 150 layers fit
into its one page of options.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import mounts
from runtime.model.contexts import ExitStack
from runtime.model.errors import RuntimeFailure
from runtime.wire import whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What `diff` and `commit` read from the upper directory must say everything by itself: no
# redirects to other names and no inodes with their contents still below.  Not every kernel has
# each option; those were off by default when they did not exist.
_PLAIN = ("redirect_dir", "metacopy", "index")
_LONGEST_OPTIONS = 4095  # one page, with its NUL: mount(2)

_old_kernel = False  # it refused lowerdir+ once


def mount(
    layers: Sequence[str],
    upper: str,
    work: str,
    target: str,
    *,
    extra_lower: Sequence[str] = (),
    hidden: Sequence[str] = (),
    read_only: bool = False,
    volatile: bool = False,
) -> None:
    """Mount *layers*, the top one first, under the writable *upper*, at *target*.

    *extra_lower* lie on top of the layers.  An empty *upper* mounts the layers read-only, and so
    does *read_only*.  *volatile* never waits for the disk: after a power failure *upper* is lost.
    The last layer may be ``/``; *hidden* are directories of it that then look empty.
    Needs CAP_SYS_ADMIN; *upper* and *work* are empty directories of one file system at first.

    Raises:
        RuntimeFailure: the kernel refuses; says why as far as it is known.
    """
    lower = [*extra_lower, *layers]
    volatile = volatile and _knows_volatile()
    try:
        with ExitStack() as stack:
            if layers[-1] == "/":
                lower[-1] = _machine(stack, [*lower[:-1], upper], hidden, work)
            if len(lower) == 1 and not upper:
                lower.append(_empty_beside(work))  # overlayfs wants two when nothing is writable
            _mount(lower, upper, work, target, read_only=read_only, volatile=volatile)
    except OSError as error:
        raise _explain(error, target, upper) from error


def _mount(
    lower: list[str], upper: str, work: str, target: str, *, read_only: bool, volatile: bool
) -> None:
    global _old_kernel
    if not _old_kernel:
        try:
            fd = _create(lower, upper, work, read_only=read_only, volatile=volatile)
        except _TooOldError:
            _old_kernel = True
        else:
            try:
                mounts.move_mount(fd, target)
            finally:
                os.close(fd)
            return
    flags = mounts.MS_RDONLY if read_only else 0
    _mount_old(lower, upper, work, target, flags, volatile=volatile)


def _machine(stack: ExitStack, others: list[str], hidden: Sequence[str], work: str) -> str:
    """Return a path, good until *stack* ends, of ``/`` as a layer below *others*.

    The kernel refuses layers that lie inside another layer ("overlapping layers", ELOOP), and ours
    lie below ``/``.  So ``/`` becomes an overlay of its own first, a file system that holds none of
    them, with a layer on top in which the *hidden* directories are opaque and empty.
    """
    device = os.stat("/").st_dev
    if not any(path and os.stat(path).st_dev == device for path in others):
        return "/"
    if not _old_kernel:
        try:
            mask = _opened(stack, _create_tmpfs())
            _hide(mask, hidden)
            return _opened(stack, _create([mask, "/"], "", "", read_only=True, volatile=False))
        except _TooOldError:
            pass
        except OSError as error:  # EINVAL: a kernel that wants its layers attached somewhere
            if error.errno != errno.EINVAL:
                raise
    return _machine_attached(stack, hidden, f"{os.path.dirname(work)}/machine")


def _machine_attached(stack: ExitStack, hidden: Sequence[str], place: str) -> str:
    """Do the same with mount(2), at *place* for as long as *stack* lasts."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    stack.callback(os.rmdir, place)
    mounts.mount("tmpfs", place, "tmpfs", 0, "mode=755")
    stack.callback(umount, place)
    _hide(place, hidden)
    _mount_old([place, "/"], "", "", place, mounts.MS_RDONLY, volatile=False)
    stack.callback(umount, place)
    return place


def _opened(stack: ExitStack, owned_fd: int) -> str:
    stack.callback(os.close, owned_fd)
    return f"/proc/self/fd/{owned_fd}"


def _create_tmpfs() -> int:
    try:
        fd = mounts.fsopen("tmpfs")
    except OSError as error:
        raise _TooOldError from error
    try:
        mounts.fsconfig_string(fd, "mode", "755")
        mounts.fsconfig_create(fd)
        return mounts.fsmount(fd)
    finally:
        os.close(fd)


def _hide(mask: str, hidden: Sequence[str]) -> None:
    """Have the layer *mask* show each directory of *hidden* empty, and those above as they are."""
    _copy_attributes("/", mask)
    for path in hidden:
        inside_another = any(path.startswith(f"{other}/") for other in hidden)
        if inside_another or not os.path.isdir(path):
            continue
        place, real = mask, ""
        for name in path.strip("/").split("/"):
            place, real = f"{place}/{name}", f"{real}/{name}"
            if not os.path.isdir(place):
                os.mkdir(place)
                _copy_attributes(real, place)
        os.setxattr(place, whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE)


def _copy_attributes(source: str, target: str) -> None:
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, stat.S_IMODE(found.st_mode))


def umount(target: str) -> None:
    """Unmount the overlay at *target* lazily: present users keep it until they close it.

    Raises:
        OSError: EINVAL: nothing is mounted there.
    """
    mounts.umount2(target, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)


class _TooOldError(Exception):
    """This kernel does not have the calls or the option."""


def _create(lower: list[str], upper: str, work: str, *, read_only: bool, volatile: bool) -> int:
    """Return a descriptor of the overlay, attached nowhere yet."""
    try:
        fd = mounts.fsopen("overlay")
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):  # EPERM: a seccomp filter
            raise _TooOldError from error
        raise
    try:
        for layer in lower:
            _add_lower(fd, layer)
        if upper:
            mounts.fsconfig_string(fd, "upperdir", upper)
            mounts.fsconfig_string(fd, "workdir", work)
            if volatile:
                mounts.fsconfig_flag(fd, "volatile")
        for option in _plain_options():
            mounts.fsconfig_string(fd, option, "off")
        mounts.fsconfig_create(fd)
        return mounts.fsmount(fd, mounts.MOUNT_ATTR_RDONLY if read_only else 0)
    except OSError as error:
        if error.errno == errno.EINVAL and _takes_any_option():
            raise _TooOldError from error
        if said := mounts.messages(fd):
            raise OSError(error.errno, said) from error
        raise
    finally:
        os.close(fd)


def _takes_any_option() -> bool:
    """Return whether overlayfs has the new calls only by the kernel's generic fallback.

    So it is before Linux 6.5: options are noted unread, and the end of it all is "EINVAL".
    """
    fd = mounts.fsopen("overlay")
    try:
        mounts.fsconfig_string(fd, "no-such-option", "")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _add_lower(fd: int, layer: str) -> None:
    try:
        mounts.fsconfig_string(fd, "lowerdir+", layer)
    except OSError as error:
        if error.errno == errno.EINVAL and "lowerdir+" in mounts.messages(fd):
            raise _TooOldError from error  # "Unknown parameter 'lowerdir+'"
        raise


def _mount_old(
    lower: list[str], upper: str, work: str, target: str, flags: int, *, volatile: bool
) -> None:
    opened: list[int] = []
    try:
        for layer in lower:
            opened.append(os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))  # noqa: PERF401 - what is open is closed when the next one fails
        options = ["lowerdir=" + ":".join(f"/proc/self/fd/{fd}" for fd in opened)]
        if upper:
            options += [f"upperdir={_escaped(upper)}", f"workdir={_escaped(work)}"]
            if volatile:
                options.append("volatile")
        options += [f"{option}=off" for option in _plain_options()]
        data = ",".join(options)
        if len(os.fsencode(data)) > _LONGEST_OPTIONS:
            raise OSError(errno.E2BIG, f"{len(lower)} layers are too many for this kernel")
        mounts.mount("overlay", target, "overlay", flags, data)
    finally:
        for fd in opened:
            os.close(fd)


def _knows_volatile() -> bool:
    """Return whether this kernel can leave the disk alone: Linux 5.10."""
    major, minor = os.uname().release.replace("-", ".").split(".")[:2]
    return (int(major), int(minor)) >= (5, 10)


def _plain_options() -> list[str]:
    """Return those of our options that this kernel's overlayfs has."""
    known = "/sys/module/overlay/parameters"
    return [option for option in _PLAIN if os.path.exists(f"{known}/{option}")]


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def _empty_beside(work: str) -> str:
    """Return an empty directory: overlayfs wants two layers when nothing is writable."""
    empty = f"{os.path.dirname(work)}/empty"
    os.makedirs(empty, mode=0o755, exist_ok=True)
    return empty


def _explain(error: OSError, target: str, upper: str) -> RuntimeFailure:
    reason = error.strerror or str(error)
    hint = ""
    if error.errno == errno.ENODEV:
        hint = "this kernel has no overlayfs: modprobe overlay"
    elif error.errno == errno.EPERM:
        hint = "overlayfs needs root (CAP_SYS_ADMIN)"
    elif error.errno == errno.EINVAL and upper:
        hint = f"is '{upper}' itself on overlayfs? choose another place with --root"
    return RuntimeFailure(f"cannot mount overlay on '{target}': {reason}", hint)
